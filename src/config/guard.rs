//! Who owns the files and directories we rely on, and who may write to them.
//!
//! Whoever can write the configuration, or the directory that holds it, decides what this program
//! reaches; whoever can write the state directory decides what it remembers. So both must be ours
//! alone. What is opened is checked on its descriptor, so that nobody can swap it in between.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::error::ConfigError;
use crate::domain::secret::Secret;

/// The longest configuration, in bytes.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The longest secret in a file, in bytes.
pub const SECRET_BYTES_MAX: usize = 4096;

/// Reads a file that only `uid` and root may write; `None` where there is none.
///
/// A link is followed, as people keep their dotfiles: then both directories are checked, the one
/// with the link and the one with the file.
pub(super) fn read(path: &Path, uid: u32) -> Result<Option<String>, ConfigError> {
    let Some(mut file) = open(path, uid)? else { return Ok(None) };
    let mut bytes = Vec::new();
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let limit = FILE_BYTES_MAX + 1;
    file.by_ref().take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 == limit {
        return Err(ConfigError::TooLarge { path: path.to_owned(), bytes: limit });
    }
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        ConfigError::NotText { path: path.to_owned(), line }
    })
}

/// Returns the path with every link resolved.
pub(super) fn resolved(path: &Path) -> Result<PathBuf, ConfigError> {
    path.canonicalize().map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })
}

/// Makes a directory that only `uid` may enter, whatever the umask, with its parents.
///
/// # Errors
///
/// When a link or something else stands there, when it belongs to somebody else, when others may
/// write to it, and when it cannot be made; likewise when somebody else could put another directory
/// in its place. A directory of ours that others may only read is closed to them.
pub fn private_dir(path: &Path, uid: u32) -> Result<(), ConfigError> {
    let unwritable =
        |source: Errno| ConfigError::Unwritable { path: path.to_owned(), source: source.into() };
    make_dir(path).map_err(unwritable)?;
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
    let dir = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| match error {
        Errno::NOTDIR | Errno::LOOP => wrong_kind(path, "directory"),
        other => unwritable(other),
    })?;
    let stat = rustix::fs::fstat(&dir).map_err(unwritable)?;
    if stat.st_uid != uid {
        return Err(ConfigError::Foreign { path: path.to_owned(), owner: stat.st_uid, uid });
    }
    check_mode(path, &stat)?;
    if stat.st_mode & 0o7777 != 0o700 {
        rustix::fs::fchmod(&dir, Mode::RWXU).map_err(unwritable)?;
    }
    check_all_above(path, uid)
}

/// Makes sure that a directory is `uid`'s, and that nobody but `uid` and its group may enter it, as
/// systemd makes a `RuntimeDirectory=` with mode 0750. Returns the group.
///
/// # Errors
///
/// When it is not there, is not like that, or when somebody else could put another directory in its
/// place.
pub fn group_dir(path: &Path, uid: u32) -> Result<u32, ConfigError> {
    let stat = real_dir(path)?;
    if stat.st_uid != uid {
        return Err(ConfigError::Foreign { path: path.to_owned(), owner: stat.st_uid, uid });
    }
    let mode = stat.st_mode & 0o7777;
    if mode & 0o027 != 0 {
        return Err(ConfigError::OpenToOthers { path: path.to_owned(), mode });
    }
    check_all_above(path, uid)?;
    Ok(stat.st_gid)
}

/// Returns the owner of a directory to which only that owner may write, and whose place only root
/// and that owner decide: whatever is in it, they have put there.
///
/// # Errors
///
/// When it is not like that.
pub fn host_dir(path: &Path) -> Result<u32, ConfigError> {
    let stat = real_dir(path)?;
    check_mode(path, &stat)?;
    check_all_above(path, stat.st_uid)?;
    Ok(stat.st_uid)
}

fn real_dir(path: &Path) -> Result<Stat, ConfigError> {
    let stat = rustix::fs::lstat(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source: io::Error::from(source),
    })?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(wrong_kind(path, "directory"));
    }
    Ok(stat)
}

fn check_all_above(path: &Path, uid: u32) -> Result<(), ConfigError> {
    resolved(path)?.ancestors().skip(1).try_for_each(|above| check_above(above, uid))
}

/// Reads a file that holds one secret and belongs to `uid` or to root.
///
/// Of root's, its group may read too: systemd lends a credential by an access control list, which
/// shows in those bits (systemd.exec(5), `LoadCredential=`).
///
/// # Errors
///
/// When others may read or write it, a link or something else stands there, or it holds no secret.
pub fn secret_file(path: &Path, uid: u32) -> Result<Secret, ConfigError> {
    if is_link(path) {
        return Err(wrong_kind(path, "regular file"));
    }
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let file = open(path, uid)?.ok_or_else(|| unreadable(io::ErrorKind::NotFound.into()))?;
    let stat = rustix::fs::fstat(&file).map_err(|errno| unreadable(errno.into()))?;
    let closed = if stat.st_uid == 0 && uid != 0 { 0o007 } else { 0o077 };
    if stat.st_mode & closed != 0 {
        let mode = stat.st_mode & 0o7777;
        return Err(ConfigError::ReadableByOthers { path: path.to_owned(), mode });
    }
    let no_secret = || ConfigError::NoSecret { path: path.to_owned() };
    let mut text = Zeroizing::new(String::with_capacity(SECRET_BYTES_MAX + 2));
    let read = file.take(SECRET_BYTES_MAX as u64 + 2).read_to_string(&mut text);
    read.map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => no_secret(),
        _ => unreadable(error),
    })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    if line.is_empty() || line.len() > SECRET_BYTES_MAX || line.contains(char::is_control) {
        return Err(no_secret());
    }
    Ok(Secret::new(line.to_owned()))
}

/// True for a directory that only `uid` may enter.
pub(super) fn is_private_dir(path: &Path, uid: u32) -> bool {
    rustix::fs::lstat(path).is_ok_and(|stat| {
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        is_dir && stat.st_uid == uid && stat.st_mode & 0o077 == 0
    })
}

/// Whoever may write to a directory above ours may put another one in its place, unless the sticky
/// bit keeps what is ours. A group of our own (as some systems give each user) is ourselves.
fn check_above(above: &Path, uid: u32) -> Result<(), ConfigError> {
    let stat = rustix::fs::stat(above).map_err(|source| ConfigError::Unreadable {
        path: above.to_owned(),
        source: io::Error::from(source),
    })?;
    check_owner(above, &stat, uid)?;
    let own_group = stat.st_uid == uid && stat.st_gid == rustix::process::getgid().as_raw();
    let sticky = stat.st_mode & 0o1000 != 0;
    if sticky || own_group && stat.st_mode & 0o002 == 0 {
        return Ok(());
    }
    check_mode(above, &stat)
}

/// Makes the directory for a new file, or makes sure that the one that is there is ours.
pub(super) fn own_dir(path: &Path, uid: u32) -> Result<(), ConfigError> {
    if path.exists() { check_dir(path, uid) } else { private_dir(path, uid) }
}

fn make_dir(path: &Path) -> Result<(), Errno> {
    match make_one(path) {
        Err(Errno::NOENT) => {
            make_dir(path.parent().ok_or(Errno::NOENT)?)?;
            make_one(path)
        }
        made => made,
    }
}

/// Makes one directory. Its mode is set afterwards: the umask may have taken even ours away.
fn make_one(path: &Path) -> Result<(), Errno> {
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) => rustix::fs::chmod(path, Mode::RWXU),
        Err(Errno::EXIST) => Ok(()),
        Err(other) => Err(other),
    }
}

fn open(path: &Path, uid: u32) -> Result<Option<File>, ConfigError> {
    // Without NONBLOCK, a FIFO would keep us waiting for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let unreadable =
        |source: Errno| ConfigError::Unreadable { path: path.to_owned(), source: source.into() };
    let file: OwnedFd = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) if !is_link(path) => return Ok(None),
        Err(Errno::NXIO) => return Err(wrong_kind(path, "regular file")),
        Err(other) => return Err(unreadable(other)),
    };
    let stat = rustix::fs::fstat(file.as_fd()).map_err(unreadable)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(wrong_kind(path, "regular file"));
    }
    check_owner(path, &stat, uid)?;
    check_mode(path, &stat)?;
    check_parent(path, uid)?;
    check_parent(&resolved(path)?, uid)?;
    let bytes = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    if bytes > FILE_BYTES_MAX {
        return Err(ConfigError::TooLarge { path: path.to_owned(), bytes });
    }
    Ok(Some(File::from(file)))
}

/// True for a link, also one that leads nowhere: a mistake to tell, not an absent configuration.
fn is_link(path: &Path) -> bool {
    rustix::fs::lstat(path)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

fn check_parent(file: &Path, uid: u32) -> Result<(), ConfigError> {
    file.parent().map_or(Ok(()), |dir| check_dir(dir, uid))
}

fn check_dir(dir: &Path, uid: u32) -> Result<(), ConfigError> {
    let stat = rustix::fs::stat(dir).map_err(|source| ConfigError::Unreadable {
        path: dir.to_owned(),
        source: io::Error::from(source),
    })?;
    check_owner(dir, &stat, uid)?;
    check_mode(dir, &stat)
}

fn check_owner(path: &Path, stat: &Stat, uid: u32) -> Result<(), ConfigError> {
    if stat.st_uid == uid || stat.st_uid == 0 {
        return Ok(());
    }
    Err(ConfigError::Foreign { path: path.to_owned(), owner: stat.st_uid, uid })
}

fn check_mode(path: &Path, stat: &Stat) -> Result<(), ConfigError> {
    let mode = stat.st_mode & 0o7777;
    if mode & 0o022 == 0 {
        return Ok(());
    }
    Err(ConfigError::WritableByOthers { path: path.to_owned(), mode })
}

fn wrong_kind(path: &Path, expected: &'static str) -> ConfigError {
    ConfigError::WrongKind { path: path.to_owned(), expected }
}
