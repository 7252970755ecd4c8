//! `breakglass connect`, with real commands.

use breakglass::cli::signals::Caught;
use breakglass::protocol::{Command, Reply, SessionState, SessionView};

use crate::cli_support::{Cli, World, engine, session};

/// An engine that opens at once and ends when asked, with `over` as the outcome.
fn opens(over: SessionState, later: Vec<SessionView>) -> Cli {
    engine(move |world: &mut World, command| match command {
        Command::Open(_) => {
            let active = session(SessionState::Active);
            world.put(active.clone());
            world.later(later.clone());
            Ok(Reply::Session(Box::new(active)))
        }
        Command::End { .. } => {
            world.tell(session(SessionState::Ending));
            world.tell(session(over));
            Ok(Reply::Session(Box::new(session(SessionState::Ending))))
        }
        other => world.usual(other),
    })
}

fn line<'a>(command: &[&'a str]) -> Vec<&'a str> {
    let mut line = vec!["connect", "orders-db", "--reason", "INC-42", "--"];
    line.extend(command);
    line
}

#[tokio::test]
async fn the_command_finds_the_endpoint_and_its_exit_code_is_ours() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("environment");
    let script = format!("env > {} ; exit 7", file.display());
    let ran = opens(SessionState::Ended, vec![]).run(&line(&["sh", "-c", &script])).await;
    insta::assert_snapshot!(ran, @"
    exit 7
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err|   applied   reach db.internal:5432
    err|   applied   listen on 127.0.0.1
    err| session 55667788 is Active for 30m, until 2025-11-20 16:40:00 UTC
    err| ending session 55667788
    err| session 55667788 is ending: ended-by-operator
    err|   undoing   listen on 127.0.0.1
    err|   gone      reach db.internal:5432
    err|   gone      listen on 127.0.0.1
    err| receipt of session 55667788: ended-by-operator, all seen gone at 2025-11-20 16:20:00 UTC
    err|   gone 2025-11-20 16:20:00 UTC  listener 127.0.0.1:41000
    ");
    let environment = std::fs::read_to_string(file).unwrap();
    for expected in [
        "BREAKGLASS_HOST=127.0.0.1",
        "BREAKGLASS_PORT=41000",
        "BREAKGLASS_TARGET=orders-db",
        "PGHOST=127.0.0.1",
        "PGPORT=41000",
        "PGUSER=ana",
        "PGDATABASE=orders",
    ] {
        assert!(environment.lines().any(|line| line == expected), "{expected}");
    }
}

#[tokio::test]
async fn a_signal_that_ends_the_command_is_128_and_its_number() {
    let ran = opens(SessionState::Ended, vec![]).run(&line(&["sh", "-c", "kill -9 $$"])).await;
    assert_eq!(ran.code, 137, "{ran}");
}

#[tokio::test]
async fn arguments_reach_the_command_as_they_are() {
    let check = r#"test "$1" = "a b" && test "$2" = '$(x)' && test "$3" = --json"#;
    let ran = opens(SessionState::Ended, vec![])
        .run(&line(&["sh", "-c", check, "sh", "a b", "$(x)", "--json"]))
        .await;
    assert_eq!(ran.code, 0, "{ran}");
    assert!(ran.stderr().contains("receipt"), "`--json` behind `--` is the command's: {ran}");
}

#[tokio::test]
async fn a_command_that_does_not_exist_ends_the_session_and_is_127() {
    let ran = opens(SessionState::Ended, vec![]).run(&line(&["/no/such/psqll"])).await;
    insta::assert_snapshot!(ran, @"
    exit 127
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err|   applied   reach db.internal:5432
    err|   applied   listen on 127.0.0.1
    err| session 55667788 is Active for 30m, until 2025-11-20 16:40:00 UTC
    err| ending session 55667788
    err| session 55667788 is ending: ended-by-operator
    err|   undoing   listen on 127.0.0.1
    err|   gone      reach db.internal:5432
    err|   gone      listen on 127.0.0.1
    err| receipt of session 55667788: ended-by-operator, all seen gone at 2025-11-20 16:20:00 UTC
    err|   gone 2025-11-20 16:20:00 UTC  listener 127.0.0.1:41000
    err| usage: cannot run `/no/such/psqll`
    err|   because: No such file or directory (os error 2)
    err|   hint: put the command after `--`, and install it if it is missing
    ");
    let ran = opens(SessionState::Ended, vec![]).run(&line(&["/etc/passwd"])).await;
    assert_eq!(ran.code, 126, "{ran}");
}

#[tokio::test]
async fn a_session_that_ends_first_ends_the_command() {
    let mut lost = session(SessionState::Ending);
    lost.end_reason = Some("provider-lost".into());
    let mut over = session(SessionState::Ended);
    over.end_reason = Some("provider-lost".into());
    let ran = opens(SessionState::Ended, vec![lost, over]).run(&line(&["sleep", "600"])).await;
    insta::assert_snapshot!(ran, @"
    exit 5
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err|   applied   reach db.internal:5432
    err|   applied   listen on 127.0.0.1
    err| session 55667788 is Active for 30m, until 2025-11-20 16:40:00 UTC
    err| session 55667788 is ending: provider-lost
    err|   undoing   listen on 127.0.0.1
    err| the session is over, so the command is ended too
    err|   gone      reach db.internal:5432
    err|   gone      listen on 127.0.0.1
    err| receipt of session 55667788: provider-lost, all seen gone at 2025-11-20 16:20:00 UTC
    err|   gone 2025-11-20 16:20:00 UTC  listener 127.0.0.1:41000
    err| unavailable: the session ended before the command
    err|   because: provider-lost
    err|   hint: breakglass show 55667788
    ");
}

#[tokio::test]
async fn ctrl_c_is_the_commands_and_does_not_end_the_session() {
    let ran = opens(SessionState::Ended, vec![])
        .on("is Active", Caught::Interrupt)
        .run(&line(&["sh", "-c", "sleep 0.2; exit 5"]))
        .await;
    assert_eq!(ran.code, 5, "{ran}");
}

#[tokio::test]
async fn sigterm_and_a_lost_terminal_end_session_and_command() {
    for (caught, code) in [(Caught::Terminate, 143), (Caught::HangUp, 129)] {
        let ran = opens(SessionState::Ended, vec![])
            .on("is Active", caught)
            .run(&line(&["sleep", "600"]))
            .await;
        assert_eq!(ran.code, code, "{ran}");
        let ended = ran.heard.iter().any(|command| matches!(command, Command::End { .. }));
        assert!(ended && ran.stderr().contains("receipt"), "{ran}");
    }
}

#[tokio::test]
async fn what_is_owed_is_exit_6_unless_the_command_failed_too() {
    let ran = opens(SessionState::CleanupOwed, vec![]).run(&line(&["true"])).await;
    insta::assert_snapshot!(ran, @"
    exit 6
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err|   applied   reach db.internal:5432
    err|   applied   listen on 127.0.0.1
    err| session 55667788 is Active for 30m, until 2025-11-20 16:40:00 UTC
    err| ending session 55667788
    err| session 55667788 is ending: ended-by-operator
    err|   undoing   listen on 127.0.0.1
    err|   OWED      reach db.internal:5432
    err|   gone      listen on 127.0.0.1
    err| receipt of session 55667788: ended-by-operator, CLEANUP OWED
    err|   NOT PROVEN GONE           listener 127.0.0.1:41000
    err| CLEANUP OWED: what may still exist, and how to remove it
    err|   1. device bg-abc567-55667788-691f3d58
    err|      tried: 3 times; the provider answers 503
    err|      $ tailscale-admin delete bg-abc567-55667788-691f3d58
    err| cleanup owed: session 55667788 to `orders-db` is not proven gone
    err|   because: device bg-abc567-55667788-691f3d58: 3 times; the provider answers 503
    err|   hint: breakglass retry 55667788
    ");
    let ran = opens(SessionState::CleanupOwed, vec![]).run(&line(&["false"])).await;
    assert_eq!(ran.code, 1, "{ran}");
    assert!(ran.stderr().contains("cleanup owed"), "{ran}");
}
