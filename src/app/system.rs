//! The engine of a whole host: in the foreground, for systemd, as a UNIX user of its own.
//!
//! It takes nothing from its environment but two paths that systemd sets: where to say that it is
//! ready (`NOTIFY_SOCKET`, sd_notify(3)) and where its credentials lie (`CREDENTIALS_DIRECTORY`,
//! systemd.exec(5)). It hands nothing over and never leaves by itself. What it starts (`ssh`, a site's
//! launcher) gets nothing of anybody's: its own keys, its own known hosts, a `PATH` that is fixed.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::detach;
use super::host::{Host, NoHost};
use super::settings;
use super::world::World;
use crate::engine::Parcel;
use crate::error::{Kind, Report};

/// Is the engine of this host until somebody stops it. Sessions that live are taken up at the next
/// start.
///
/// # Errors
///
/// When it is started as root, or cannot serve.
pub(super) async fn run(world: &World) -> Result<u8, Report> {
    if world.operator.uid == 0 {
        return Err(Report::new(Kind::Usage, "the engine of a host does not run as root")
            .because("it needs a UNIX user of its own, which its unit file names")
            .hint("systemctl start breakglass"));
    }
    let configured = |lives| settings::configured(world, settings::load(world), lives);
    let host = Host::start(world, configured, true, Parcel::pack(vec![])).await;
    let host = host.map_err(NoHost::report)?;
    if let Some(socket) = world.variable("NOTIFY_SOCKET")
        && let Err(error) = ready(socket)
    {
        tracing::warn!(%error, "systemd was not told that the engine is ready");
    }
    detach::until_done(world, host).await?;
    Ok(0)
}

/// Says that the start is over. A name that begins with `@` is in the abstract namespace (unix(7)).
fn ready(socket: &str) -> std::io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_told_at_a_path_and_at_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let abstract_name = format!("breakglass-test-{}", std::process::id());
        let there = UnixDatagram::bind(&path).unwrap();
        let nowhere = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        let abstract_there = UnixDatagram::bind_addr(&nowhere).unwrap();
        ready(path.to_str().unwrap()).unwrap();
        ready(&format!("@{abstract_name}")).unwrap();
        for socket in [there, abstract_there] {
            let mut said = [0; 16];
            let length = socket.recv(&mut said).unwrap();
            assert_eq!(said.get(..length), Some(b"READY=1".as_slice()));
        }
    }
}
