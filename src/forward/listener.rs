//! Where the endpoint listens: a loopback port, or a UNIX socket only its owner can open.
//!
//! Binding is apart from serving, so that the engine can note the address in the journal before
//! anybody can use it, and so that a listener can come from another process as a descriptor.
//!
//! - **A port** is bound with `SO_REUSEADDR`: after a crash the same port is ours again at once,
//!   while a port on which somebody else listens stays theirs.
//! - **A socket file** is born with mode 0600: the mode is set on the descriptor before `bind`
//!   makes the file, so there is no moment with a wider one, whatever the umask. Its folder must be
//!   0700 and ours. Where the owner of the session is another user than this process, the file is
//!   opened to all afterwards, in a folder that nobody else may write to: the kernel would let in
//!   only us, and who it is is asked of each connection anyway (see [`super::peer`]). A file left by a dead process is told from a live one by connecting to it.

use std::fs::DirBuilder;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use crate::domain::connect::EndpointAddress;
use crate::forward::{Conduit, Peer};

/// Connections that may wait to be accepted; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Longest path of a socket file in bytes, fixed by the kernel.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Where an endpoint shall listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// On `127.0.0.1`.
    Loopback {
        /// The port, or any free one.
        port: Option<u16>,
    },
    /// On a UNIX socket.
    Unix {
        /// Where the socket file is made. Its folder is made with mode 0700 if it is missing.
        path: PathBuf,
        /// Whose connections pass.
        owner: u32,
    },
}

/// Why an endpoint cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens on the port.
    #[error(
        "failed to listen on 127.0.0.1:{port}: the port is in use by another program; \
         end it, or give the target another port"
    )]
    InUse {
        /// The port that was asked for.
        port: u16,
    },
    /// The port is reserved for root.
    #[error(
        "failed to listen on 127.0.0.1:{port}: the port is reserved for root; \
         give the target a port above 1023"
    )]
    NotPermitted {
        /// The port that was asked for.
        port: u16,
    },
    /// Somebody listens on the socket file.
    #[error("failed to listen on `{}`: another process serves this socket; end it first", path.display())]
    SocketInUse {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Something that is no socket is in the way; it is left alone.
    #[error("failed to listen on `{}`: the file is not a socket; move it away", path.display())]
    NotASocket {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// Somebody else could reach into the folder of the socket file.
    #[error(
        "failed to listen in `{}`: the folder must be yours alone, \
         with mode 0700 and no symbolic link; run `chmod 700` on it",
        folder.display()
    )]
    FolderNotPrivate {
        /// The folder of the socket file.
        folder: PathBuf,
    },
    /// The kernel takes no path of this length.
    #[error(
        "failed to listen on `{}`: a socket path has at most {SOCKET_PATH_BYTES_MAX} bytes; \
         choose a shorter folder",
        path.display()
    )]
    PathTooLong {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A descriptor from a hand-over is not what its note says.
    #[error("failed to take over a listener: the descriptor does not listen on `{address}`")]
    NotThatListener {
        /// What the note says.
        address: EndpointAddress,
    },
    /// The system said no in another way.
    #[error("failed to listen on `{wanted}`: {source}")]
    System {
        /// What was asked for.
        wanted: String,
        /// The answer of the system.
        source: io::Error,
    },
}

impl Listen {
    /// Binds and begins to listen. Connections wait in the queue until an endpoint serves them.
    pub fn bind(&self) -> Result<Bound, BindError> {
        match self {
            Self::Loopback { port } => bind_loopback(port.unwrap_or(0)),
            Self::Unix { path, owner } => {
                bind_unix(path, *owner != rustix::process::geteuid().as_raw())
            }
        }
    }
}

/// A listening socket and its address. Dropping it stops listening and removes the socket file.
#[derive(Debug)]
pub struct Bound {
    fd: OwnedFd,
    address: EndpointAddress,
    /// Removes the socket file when it goes; `None` for a port.
    file: Option<SocketFile>,
}

impl Bound {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &EndpointAddress {
        &self.address
    }

    /// Gives the descriptor out. It goes on listening, and a socket file stays.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        if let Some(file) = self.file {
            file.keep();
        }
        self.fd
    }

    /// Takes in a descriptor that [`Bound::into_fd`] gave out, here or in another process.
    ///
    /// The descriptor is not trusted: it must be a listening stream socket on just this address.
    pub fn from_fd(address: EndpointAddress, fd: OwnedFd) -> Result<Self, BindError> {
        if !matches!(listens_on(&fd, &address), Ok(true)) {
            return Err(BindError::NotThatListener { address });
        }
        let file = match &address {
            EndpointAddress::Loopback { .. } => None,
            EndpointAddress::Unix { path } => Some(SocketFile::at(Path::new(path))),
        };
        Ok(Self { fd, address, file })
    }

    /// Splits into what is polled and what must outlive it.
    pub(super) fn into_listener(self) -> io::Result<(Listener, Door)> {
        let listener = match self.address {
            EndpointAddress::Loopback { .. } => {
                let listener = std::net::TcpListener::from(self.fd);
                listener.set_nonblocking(true)?;
                Listener::Tcp(tokio::net::TcpListener::from_std(listener)?)
            }
            EndpointAddress::Unix { .. } => {
                let listener = unix::UnixListener::from(self.fd);
                listener.set_nonblocking(true)?;
                Listener::Unix(tokio::net::UnixListener::from_std(listener)?)
            }
        };
        Ok((listener, Door { address: self.address, file: self.file }))
    }
}

/// A listener that tokio watches.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Listener {
    /// Accepts one client. Nothing is lost when the future is dropped.
    pub(super) async fn accept(&self) -> io::Result<(Conduit, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Conduit::Tcp(stream), Peer::Tcp(address)))
            }
            Self::Unix(listener) => {
                let (stream, _unnamed) = listener.accept().await?;
                let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
                Ok((Conduit::Unix(stream), Peer::Unix { pid }))
            }
        }
    }
}

/// The name of a [`Listener`]: its address and, for a socket, the file to remove.
#[derive(Debug)]
pub(super) struct Door {
    address: EndpointAddress,
    file: Option<SocketFile>,
}

impl Door {
    /// The reverse of [`Bound::into_listener`].
    pub(super) fn rebind(self, listener: Listener) -> io::Result<Bound> {
        let fd = match listener {
            Listener::Tcp(listener) => listener.into_std()?.into(),
            Listener::Unix(listener) => OwnedFd::from(listener.into_std()?),
        };
        Ok(Bound { fd, address: self.address, file: self.file })
    }
}

fn bind_loopback(port: u16) -> Result<Bound, BindError> {
    let wanted = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::InUse { port },
        io::ErrorKind::PermissionDenied => BindError::NotPermitted { port },
        _ => BindError::System { wanted: wanted.to_string(), source },
    };
    // The standard library sets `SO_REUSEADDR`; its queue of 128 is too short for a burst.
    let listener = std::net::TcpListener::bind(wanted).map_err(failed)?;
    rustix::net::listen(&listener, BACKLOG).map_err(|errno| failed(errno.into()))?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok(Bound { fd: listener.into(), address: EndpointAddress::Loopback { port }, file: None })
}

fn bind_unix(path: &Path, for_another: bool) -> Result<Bound, BindError> {
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(BindError::PathTooLong { path: path.to_owned() });
    }
    require_private_folder(path, for_another)?;
    clear_stale(path)?;
    // What is pasted and kept in the journal is text.
    let text = path.to_str().ok_or_else(|| system(path, io::ErrorKind::InvalidFilename.into()))?;
    let fd = bound_socket(path).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::SocketInUse { path: path.to_owned() },
        _ => system(path, source),
    })?;
    let file = SocketFile::at(path);
    if for_another {
        // Nobody else can have put another file there: the folder is ours to write to.
        rustix::fs::chmod(path, Mode::from_raw_mode(0o666))
            .map_err(|errno| system(path, errno.into()))?;
    }
    rustix::net::listen(&fd, BACKLOG).map_err(|errno| system(path, errno.into()))?;
    Ok(Bound { fd, address: EndpointAddress::Unix { path: text.to_owned() }, file: Some(file) })
}

fn bound_socket(path: &Path) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // On Linux the file that `bind` makes takes the mode of the descriptor, less the umask.
    rustix::fs::fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
    rustix::net::bind(&fd, &SocketAddrUnix::new(path)?)?;
    Ok(fd)
}

fn require_private_folder(path: &Path, for_another: bool) -> Result<(), BindError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            return Err(system(folder, source));
        }
        Ok(()) if for_another => {
            // Set afterwards: the umask may have taken it away.
            rustix::fs::chmod(folder, Mode::from_raw_mode(0o711))
                .map_err(|errno| system(folder, errno.into()))?;
        }
        _ => {}
    }
    let closed = if for_another { 0o022 } else { 0o077 };
    let found = folder.symlink_metadata().map_err(|source| system(folder, source))?;
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    if found.is_dir() && ours && found.mode() & closed == 0 {
        return Ok(());
    }
    Err(BindError::FolderNotPrivate { folder: folder.to_owned() })
}

/// Removes a socket file on which nobody listens any more.
///
/// Between the look and the removal nobody else can put a file there: the folder is private, and
/// only one engine works in it.
fn clear_stale(path: &Path) -> Result<(), BindError> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(system(path, source)),
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket { path: path.to_owned() });
    }
    match is_served(path) {
        Ok(true) => Err(BindError::SocketInUse { path: path.to_owned() }),
        Ok(false) => std::fs::remove_file(path).map_err(|source| system(path, source)),
        Err(source) => Err(system(path, source)),
    }
}

/// Tells whether a process listens on a socket file, without waiting for it to answer.
fn is_served(path: &Path) -> io::Result<bool> {
    use rustix::io::Errno;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&probe, &SocketAddrUnix::new(path)?) {
        // A full queue (`AGAIN`) and a socket of another type are served too.
        Ok(()) | Err(Errno::AGAIN | Errno::PROTOTYPE) => Ok(true),
        Err(Errno::CONNREFUSED) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn system(path: &Path, source: io::Error) -> BindError {
    BindError::System { wanted: path.display().to_string(), source }
}

fn listens_on(fd: &OwnedFd, address: &EndpointAddress) -> io::Result<bool> {
    if !sockopt::socket_acceptconn(fd)? || sockopt::socket_type(fd)? != SocketType::STREAM {
        return Ok(false);
    }
    let copy = fd.as_fd().try_clone_to_owned()?;
    match address {
        EndpointAddress::Loopback { port } => {
            let expected = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            Ok(std::net::TcpListener::from(copy).local_addr()? == expected)
        }
        EndpointAddress::Unix { path } => {
            let found = unix::UnixListener::from(copy).local_addr()?;
            Ok(found.as_pathname() == Some(Path::new(path)))
        }
    }
}

/// A socket file that is removed when this goes, if it is still the same file.
#[derive(Debug)]
struct SocketFile {
    /// `None` once it shall stay.
    path: Option<PathBuf>,
    /// Device and inode at the time it was bound or taken over.
    identity: Option<(u64, u64)>,
}

impl SocketFile {
    fn at(path: &Path) -> Self {
        Self { path: Some(path.to_owned()), identity: identity(path) }
    }

    fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Some(path) = self.path.take()
            && self.identity.is_some()
            && identity(&path) == self.identity
        {
            // A file that stays is harmless: nobody listens on it, and the next bind clears it.
            std::fs::remove_file(path).ok();
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|found| (found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn private() -> tempfile::TempDir {
        tempfile::Builder::new()
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir()
            .unwrap()
    }

    fn me() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    fn unix_at(folder: &tempfile::TempDir) -> Listen {
        Listen::Unix { path: folder.path().join("db.sock"), owner: me() }
    }

    #[test]
    fn a_free_port_is_chosen_and_shown() {
        let bound = Listen::Loopback { port: None }.bind().unwrap();
        let EndpointAddress::Loopback { port } = *bound.address() else { panic!("a port") };
        assert_ne!(port, 0);
        assert_eq!(bound.address().to_string(), format!("127.0.0.1:{port}"));
    }

    #[test]
    fn a_port_in_use_is_refused_in_words() {
        let first = Listen::Loopback { port: None }.bind().unwrap();
        let EndpointAddress::Loopback { port } = *first.address() else { panic!("a port") };
        let refused = Listen::Loopback { port: Some(port) }.bind().unwrap_err();
        assert!(matches!(refused, BindError::InUse { port: p } if p == port));
        drop(first);
        Listen::Loopback { port: Some(port) }.bind().unwrap();
        insta::assert_snapshot!(
            BindError::InUse { port: 5432 },
            @"failed to listen on 127.0.0.1:5432: the port is in use by another program; end it, or give the target another port"
        );
    }

    #[test]
    fn a_port_travels_as_a_descriptor() {
        let bound = Listen::Loopback { port: None }.bind().unwrap();
        let address = bound.address().clone();
        let again = Bound::from_fd(address.clone(), bound.into_fd()).unwrap();
        assert_eq!(*again.address(), address);
    }

    #[test]
    fn a_descriptor_that_does_not_listen_there_is_refused() {
        let bound = Listen::Loopback { port: None }.bind().unwrap();
        let EndpointAddress::Loopback { port } = *bound.address() else { panic!("a port") };
        let elsewhere = EndpointAddress::Loopback { port: port.wrapping_add(1) };
        let refused = Bound::from_fd(elsewhere, bound.into_fd()).unwrap_err();
        assert!(matches!(refused, BindError::NotThatListener { .. }));

        let everywhere = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
        let port = everywhere.local_addr().unwrap().port();
        let refused = Bound::from_fd(EndpointAddress::Loopback { port }, everywhere.into());
        assert!(matches!(refused, Err(BindError::NotThatListener { .. })));

        let file = std::fs::File::open("/dev/null").unwrap();
        let refused = Bound::from_fd(EndpointAddress::Loopback { port }, file.into());
        assert!(matches!(refused, Err(BindError::NotThatListener { .. })));
    }

    #[test]
    fn a_socket_file_goes_with_its_listener() {
        let folder = private();
        let bound = unix_at(&folder).bind().unwrap();
        let path = folder.path().join("db.sock");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let folder = private();
        let path = folder.path().join("db.sock");
        drop(unix::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let live = unix_at(&folder).bind().unwrap();
        let refused = unix_at(&folder).bind().unwrap_err();
        assert!(matches!(refused, BindError::SocketInUse { .. }));
        unix::UnixStream::connect(&path).unwrap();
        drop(live);
    }

    #[test]
    fn a_socket_travels_as_a_descriptor_and_keeps_its_file() {
        let folder = private();
        let bound = unix_at(&folder).bind().unwrap();
        let address = bound.address().clone();
        let fd = bound.into_fd();
        let path = folder.path().join("db.sock");
        assert!(path.exists());
        let again = Bound::from_fd(address, fd).unwrap();
        unix::UnixStream::connect(&path).unwrap();
        drop(again);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_somebody_else_put_there_stays() {
        let folder = private();
        let bound = unix_at(&folder).bind().unwrap();
        let path = folder.path().join("db.sock");
        std::fs::rename(&path, folder.path().join("moved")).unwrap();
        std::fs::write(&path, "mine").unwrap();
        drop(bound);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        let refused = unix_at(&folder).bind().unwrap_err();
        assert!(matches!(refused, BindError::NotASocket { .. }));
    }

    #[test]
    fn a_folder_open_to_others_is_refused_and_a_missing_one_is_made() {
        let folder = private();
        let listen = Listen::Unix { path: folder.path().join("new/db.sock"), owner: me() };
        drop(listen.bind().unwrap());
        let made = folder.path().join("new");
        assert_eq!(made.metadata().unwrap().mode() & 0o777, 0o700);
        std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o750)).unwrap();
        let refused = listen.bind().unwrap_err();
        assert!(matches!(&refused, BindError::FolderNotPrivate { folder } if *folder == made));
    }

    #[test]
    fn a_socket_for_another_user_can_be_reached_and_not_replaced() {
        let folder = private();
        let path = folder.path().join("new/db.sock");
        let listen = Listen::Unix { path: path.clone(), owner: me() + 1 };
        let bound = listen.bind().unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o666);
        let made = folder.path().join("new");
        assert_eq!(made.metadata().unwrap().mode() & 0o777, 0o711);
        drop(bound);
        std::fs::set_permissions(&made, std::fs::Permissions::from_mode(0o731)).unwrap();
        let refused = listen.bind().unwrap_err();
        assert!(matches!(&refused, BindError::FolderNotPrivate { folder } if *folder == made));
    }

    #[test]
    fn a_path_that_the_kernel_cannot_take_is_refused() {
        let path = PathBuf::from(format!("/tmp/{}", "x".repeat(200)));
        let refused = Listen::Unix { path, owner: me() }.bind().unwrap_err();
        assert!(matches!(refused, BindError::PathTooLong { .. }));
    }
}
