//! The other way: this host's own `tailscaled`, which is read and dialled through, and never told
//! anything.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::local::{LocalApi, LocalError};
use super::status::{BackendState, HostPrefs, Status};
use crate::domain::text;

/// This host's own daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    api: LocalApi,
}

/// Why this host's own daemon cannot carry a path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HostTrouble {
    /// It cannot be asked.
    #[error(transparent)]
    Daemon(#[from] LocalError),
    /// It is not on the tailnet.
    #[error("this host's own `tailscaled` {state}; see `tailscale status`")]
    NotRunning {
        /// How it is.
        state: BackendState,
    },
    /// It is on the tailnet of somebody else.
    #[error(
        "this host's own `tailscaled` belongs to `{there}`, and the provider to `{wanted}`: \
         it would be another tailnet"
    )]
    OtherServer {
        /// Its control server.
        there: String,
        /// That of the provider.
        wanted: String,
    },
    /// It takes no routes of others.
    #[error(
        "this host's own `tailscaled` takes no routes of others; \
         `sudo tailscale set --accept-routes` changes that, and the routes of everybody on this host"
    )]
    NoRoutes,
}

impl Host {
    /// The one behind a socket. Nothing is touched.
    #[must_use]
    pub fn at(socket: impl Into<PathBuf>) -> Self {
        Self { api: LocalApi::at(socket) }
    }

    /// The one of this host, where the first of these sockets is that is there; see
    /// [`HOST_SOCKETS`].
    #[must_use]
    pub fn find<'a>(sockets: impl IntoIterator<Item = &'a Path>) -> Option<Self> {
        sockets.into_iter().find(|socket| socket.exists()).map(Self::at)
    }

    /// Its local API, to dial through it.
    #[must_use]
    pub const fn api(&self) -> &LocalApi {
        &self.api
    }

    /// Sees whether it can carry a path: it is on the tailnet of this control server (empty for that
    /// of Tailscale), and takes the routes of others. Returns what it sees.
    ///
    /// # Errors
    ///
    /// Why it cannot.
    pub async fn check(&self, control_url: &str) -> Result<Status, HostTrouble> {
        let (status, prefs) = (self.api.status().await?, self.api.prefs().await?);
        judge(&status, &prefs, control_url)?;
        Ok(status)
    }
}

fn judge(status: &Status, prefs: &HostPrefs, control_url: &str) -> Result<(), HostTrouble> {
    if status.backend_state != BackendState::Running {
        return Err(HostTrouble::NotRunning { state: status.backend_state.clone() });
    }
    let (there, wanted) = (server(&prefs.control_url), server(control_url));
    if there != wanted {
        return Err(HostTrouble::OtherServer {
            there: text::shown(there),
            wanted: text::shown(wanted),
        });
    }
    if prefs.route_all { Ok(()) } else { Err(HostTrouble::NoRoutes) }
}

/// The same server is written in several ways.
fn server(url: &str) -> &str {
    match url.trim_end_matches('/') {
        "" | "https://login.tailscale.com" => DEFAULT_SERVER,
        url => url,
    }
}

/// Where a host's own daemon listens.
pub const HOST_SOCKETS: [&str; 2] =
    ["/run/tailscale/tailscaled.sock", "/var/run/tailscale/tailscaled.sock"];
const DEFAULT_SERVER: &str = "https://controlplane.tailscale.com";

#[cfg(test)]
mod tests {
    use super::super::status::tests::RUNNING;
    use super::*;

    fn judged(state: BackendState, control_url: &str, route_all: bool) -> Result<(), String> {
        let mut status: Status = serde_json::from_str(RUNNING).unwrap();
        status.backend_state = state;
        let prefs = HostPrefs { control_url: control_url.to_owned(), route_all };
        judge(&status, &prefs, "https://hs.example.com").map_err(|why| why.to_string())
    }

    #[test]
    fn only_a_daemon_that_runs_there_and_takes_routes_serves() {
        assert_eq!(judged(BackendState::Running, "https://hs.example.com/", true), Ok(()));
        for (got, words) in [
            (judged(BackendState::Stopped, "https://hs.example.com", true), "was told to stop"),
            (judged(BackendState::Running, "", true), "another tailnet"),
            (judged(BackendState::Running, "https://hs.example.com", false), "--accept-routes"),
        ] {
            let why = got.unwrap_err();
            assert!(why.contains(words), "{why}");
        }
        assert_eq!(server(""), server("https://login.tailscale.com/"));
    }

    #[test]
    fn the_first_socket_that_is_there_counts() {
        let dir = tempfile::tempdir().unwrap();
        let (none, some) = (dir.path().join("none"), dir.path().join("some"));
        std::fs::write(&some, "").unwrap();
        assert_eq!(Host::find([none.as_path()]), None);
        let found = Host::find([none.as_path(), &some]).unwrap();
        assert_eq!(found.api().socket(), some);
    }
}
