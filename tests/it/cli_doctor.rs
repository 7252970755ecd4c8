//! `breakglass doctor` on this very host, with an engine that says what it likes.

use std::os::unix::fs::PermissionsExt;

use breakglass::cli::Host;
use breakglass::protocol::{AuditVerdict, Command, Reply};

use crate::cli_support::{Cli, World, engine, usual};

fn healthy() -> Cli {
    engine(|world: &mut World, command| match command {
        Command::AuditVerify => Ok(Reply::AuditVerdict(AuditVerdict {
            events: 12,
            broken: None,
            head: "abcde fghij klmno pqrst".into(),
        })),
        other => world.usual(other),
    })
}

/// A host whose state directory is `dir`.
fn host(dir: &std::path::Path) -> Host {
    let home = dir.to_string_lossy().into_owned();
    Host {
        uid: rustix::process::getuid().as_raw(),
        environment: [("HOME".to_owned(), home), ("TERM".to_owned(), "xterm".to_owned())].into(),
        state_dir: dir.join("state"),
        socket: dir.join("run").join("engine.sock"),
        of_host: false,
        stdin_tty: false,
    }
}

fn outcome(ran: &crate::cli_support::Ran, name: &str) -> String {
    let documents = ran.documents();
    let checks = documents[0]["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name);
    check.unwrap_or_else(|| panic!("no check {name}: {ran}"))["outcome"].to_string()
}

#[tokio::test]
async fn doctor_looks_at_twenty_things_and_tells_no_home() {
    let dir = tempfile::tempdir().unwrap();
    let ran = healthy().host(host(dir.path())).run(&["doctor"]).await;
    let home = dir.path().to_string_lossy().into_owned();
    assert!(!ran.stdout().contains(&home), "{ran}");
    assert!(ran.stdout().contains("`~/state` is made when an engine first starts"), "{ran}");
    let checks = ran.stdout().lines().filter(|line| !line.starts_with(' ')).count() - 2;
    assert!(checks >= 20, "{ran}");
}

#[tokio::test]
async fn a_state_directory_that_others_may_enter_is_exit_5() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::fs::create_dir(&state).unwrap();
    let set = |mode| {
        std::fs::set_permissions(&state, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o755);
    let ran = healthy().host(host(dir.path())).run(&["doctor", "--json"]).await;
    assert_eq!((ran.code, outcome(&ran, "state directory").as_str()), (5, "\"fail\""), "{ran}");
    set(0o700);
    let ran = healthy().host(host(dir.path())).run(&["doctor", "--json"]).await;
    assert_eq!(outcome(&ran, "state directory"), "\"ok\"", "{ran}");
    assert_eq!(ran.documents()[0]["version"], 1);
}

#[tokio::test]
async fn no_engine_is_no_failure_and_none_is_started() {
    let dir = tempfile::tempdir().unwrap();
    let ran = usual().without_engine().host(host(dir.path())).run(&["doctor", "--json"]).await;
    assert_eq!(outcome(&ran, "engine"), "\"ok\"", "{ran}");
    assert_eq!(ran.heard, vec![]);
}
