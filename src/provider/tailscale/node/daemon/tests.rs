//! A private daemon that is a script: it starts, is found again, ends, and says why it does not.

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::super::tests::{Fake, answered};
use super::*;
use crate::domain::artifact::Marker;
use crate::domain::id::{InstallationId, SessionId};
use crate::domain::time::Timestamp;
use crate::provider::left;

/// A folder with a `tailscaled` that is a script.
struct Installed {
    dir: TempDir,
    tailscaled: Tailscaled,
}

const VERSION: &str = "if [ \"$1\" = --version ]; then echo 1.102.5-t1a2b3c; exit; fi";
const RUNS: &str = "env >\"$HOME/env\"; echo \"$@\" >\"$HOME/args\"; while :; do sleep 0.05; done";

fn installed(script: &str) -> Installed {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("tailscaled");
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o700)).unwrap();
    let variables = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into();
    let ca_file = Some("/etc/ca.pem".into());
    let program = program.into();
    let tailscaled = Tailscaled { program, variables, ca_file, is_root: false, host: vec![] };
    Installed { dir, tailscaled }
}

impl Installed {
    fn daemon(&self, bits: u8) -> (InstallationId, Daemon) {
        let installation = InstallationId::from_random([0, 1, 2, 29, 30, bits]);
        let at = Timestamp::from_millis(1_763_655_000_000);
        let marker = Marker::new(&installation, SessionId::new(at, [9; 10]), at);
        let folder = self.dir.path().join("n").join(&marker.session);
        (installation, Daemon::new(folder, marker.to_string()))
    }

    /// Starts one that answers, and returns what answers for it.
    async fn start(&self, daemon: &Daemon) -> (Result<(), DaemonTrouble>, Fake) {
        let answers = async {
            while !daemon.folder.join("args").exists() {
                sleep(Duration::from_millis(5)).await;
            }
            let status = r#"{"BackendState":"NeedsLogin"}"#;
            Fake::at(&daemon.socket(), |_| answered("200 OK", "", status))
        };
        tokio::join!(daemon.start(&self.tailscaled, Span::from_minutes(10)), answers)
    }
}

#[tokio::test]
async fn it_starts_is_found_again_and_ends_without_trace() {
    let here = installed(&format!("{VERSION}\n{RUNS}"));
    let (installation, daemon) = here.daemon(1);
    assert!(!daemon.is_left().unwrap());
    let (started, _fake) = here.start(&daemon).await;
    started.unwrap();
    assert!(daemon.is_left().unwrap() && daemon.is_running().unwrap());
    let mode = daemon.folder.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700);

    let again = Daemon::new(daemon.folder.clone(), daemon.name.clone());
    again.start(&here.tailscaled, Span::from_minutes(10)).await.unwrap();
    let running = process::find(&daemon.mark()).unwrap().len();
    assert!(running >= 2, "`timeout` and the daemon: {running}");

    std::fs::remove_dir_all(daemon.state()).unwrap();
    let found = left::list(&here.dir.path().join("n"), &installation).unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), [&daemon.folder], "by its process alone");
    let (other, _) = here.daemon(2);
    assert!(left::list(&here.dir.path().join("n"), &other).unwrap().is_empty());

    again.end().await.unwrap();
    assert!(!daemon.is_left().unwrap());
    daemon.gone().await.unwrap();
    assert_eq!(again.end().await, Ok(()), "what is gone is gone");
}

#[tokio::test]
async fn it_is_given_what_it_needs_and_nothing_else() {
    let here = installed(&format!("{VERSION}\n{RUNS}"));
    let (_, daemon) = here.daemon(3);
    let (started, _fake) = here.start(&daemon).await;
    started.unwrap();
    let (folder, state) = (daemon.folder.display(), daemon.mark());
    let args = std::fs::read_to_string(daemon.folder.join("args")).unwrap();
    let wanted = format!(
        "--tun=userspace-networking --state=mem: --statedir {state} --socket {folder}/s --port=0 \
         --no-logs-no-support\n"
    );
    assert_eq!(args, wanted);
    let env = std::fs::read_to_string(daemon.folder.join("env")).unwrap();
    for line in [
        format!("HOME={folder}"),
        format!("TMPDIR={state}"),
        format!("TS_LOGS_DIR={state}"),
        "TS_NO_LOGS_NO_SUPPORT=true".to_owned(),
        "SSL_CERT_FILE=/etc/ca.pem".to_owned(),
        "PATH=/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin".to_owned(),
    ] {
        assert!(env.lines().any(|it| it == line), "{line} is not in {env}");
    }
    assert!(!env.contains("CARGO"), "{env}");
    daemon.end().await.unwrap();
}

#[tokio::test]
async fn one_that_ends_at_once_says_why() {
    let says = "echo '2026/11/28 21:39:07 safesocket.Listen: no: permission denied' >&2; \
                echo '2026/11/28 21:39:07 flushing log.' >&2; exit 1";
    let here = installed(&format!("{VERSION}\n{says}"));
    let (_, daemon) = here.daemon(4);
    let why = daemon.start(&here.tailscaled, Span::from_minutes(1)).await.unwrap_err();
    let wanted = "`tailscaled` ended at once: safesocket.Listen: no: permission denied";
    assert_eq!(why.to_string(), wanted);
    assert!(daemon.is_left().unwrap(), "its folder is for whoever takes it back");
    daemon.end().await.unwrap();
    assert!(!daemon.is_left().unwrap());
}

#[tokio::test]
async fn what_is_installed_must_do() {
    let cases = [
        ("echo 1.96.4; exit", "the `tailscaled` of this host is 1.96.4; install 1.98 or later"),
        ("echo odd; exit", "says nothing of use: `odd`"),
        ("echo broken >&2; exit 1", "says nothing of use: broken"),
    ];
    for (script, words) in cases {
        let here = installed(script);
        let (_, daemon) = here.daemon(5);
        let why = daemon.start(&here.tailscaled, Span::from_minutes(1)).await.unwrap_err();
        assert!(why.to_string().contains(words), "{why}");
        assert!(!daemon.is_left().unwrap(), "nothing was made");
    }
    let here = installed(VERSION);
    assert_eq!(here.tailscaled.version().await.unwrap(), "1.102.5-t1a2b3c");
    let none = Tailscaled { program: "/no/such/tailscaled".into(), ..here.tailscaled };
    let why = none.version().await.unwrap_err();
    assert!(matches!(why, DaemonTrouble::NotInstalled { .. }), "{why}");
}

#[tokio::test]
async fn root_does_not_start_a_second_one_beside_that_of_the_host() {
    let mut here = installed(&format!("{VERSION}\n{RUNS}"));
    let (_, daemon) = here.daemon(6);
    let socket = here.dir.path().join("tailscaled.sock");
    here.tailscaled = Tailscaled { is_root: true, host: vec![socket.clone()], ..here.tailscaled };
    std::fs::write(&socket, "").unwrap();
    let why = daemon.start(&here.tailscaled, Span::from_minutes(1)).await.unwrap_err();
    assert!(matches!(why, DaemonTrouble::RootBesideHost { .. }), "{why}");
    assert!(!daemon.is_left().unwrap());
    here.tailscaled.is_root = false;
    let (started, _fake) = here.start(&daemon).await;
    started.unwrap();
    daemon.end().await.unwrap();
}

#[test]
fn a_path_that_no_socket_can_have_is_refused() {
    let fits = Daemon::new(format!("/{}", "x".repeat(104)), "m");
    assert_eq!(fits.check_length(), Ok(()));
    let long = Daemon::new(format!("/{}", "x".repeat(105)), "m");
    let why = long.check_length().unwrap_err().to_string();
    assert!(why.ends_with("its path may have 105 bytes"), "{why}");
}

#[test]
fn a_log_does_not_grow_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::new(dir.path(), "m");
    assert_eq!(daemon.complaint(), None);
    std::fs::write(daemon.log(), "x\n".repeat(600_000)).unwrap();
    daemon.trim_log();
    assert_eq!(daemon.log().metadata().unwrap().len(), 0);
    std::fs::write(daemon.log(), "Received error: no\n").unwrap();
    daemon.trim_log();
    assert_eq!(daemon.complaint().as_deref(), Some("Received error: no"));
}

#[test]
fn the_one_that_is_installed_is_found_by_its_name() {
    let found = Tailscaled::installed(Variables::new(), None);
    assert_eq!(found.program, "tailscaled");
    assert_eq!(
        found.environment()["PATH"],
        "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
    );
    assert_eq!(found.host.len(), 2);
}

#[test]
fn a_version_is_read() {
    assert_eq!(release("1.102.5-ERR-BuildInfo"), Some((1, 102)));
    assert_eq!(release("1.98.0"), Some((1, 98)));
    assert_eq!(release("v1.98"), None);
}
