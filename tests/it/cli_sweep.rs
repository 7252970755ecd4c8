//! `breakglass sweep`, as an operator sees it.

use breakglass::domain::launcher::{CommandLauncher, LauncherSettings};
use breakglass::domain::time::Span;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Command, OrphanView, Reply, SessionState, SweepProblem, SweepView};

use crate::cli_support::{Cli, NOW, World, engine, session};

fn orphan(name: &str, removed: Option<Result<(), String>>) -> OrphanView {
    OrphanView {
        place: "site acme".into(),
        artifact: format!("container {name}"),
        session: "55667788".into(),
        expires_at: NOW - Span::from_minutes(5),
        removed,
        by_hand: vec![format!("docker rm -f {name}")],
    }
}

fn problem() -> SweepProblem {
    SweepProblem { place: "edge".into(), why: "no route to \u{1b}[2Jhost".into() }
}

/// A site that has no way to list anything.
fn unlisted() -> SweepProblem {
    let commands = CommandLauncher {
        start: vec!["/bin/start".into()],
        stop: vec!["/bin/stop".into()],
        look: vec!["/bin/look".into()],
        logs: None,
        list: None,
    };
    let why = LauncherSettings::Command(commands).unlisted().unwrap().to_owned();
    SweepProblem { place: "site acme".into(), why }
}

/// An engine that finds this; what is removed is as `removed` says.
fn finding(orphans: usize, removed: Result<(), &'static str>, problems: Vec<SweepProblem>) -> Cli {
    sweeping(orphans, removed, problems, vec![])
}

fn sweeping(
    orphans: usize,
    removed: Result<(), &'static str>,
    problems: Vec<SweepProblem>,
    unlisted: Vec<SweepProblem>,
) -> Cli {
    engine(move |world: &mut World, command| match command {
        Command::Sweep { apply, .. } => {
            let outcome = apply.then(|| removed.map_err(str::to_owned));
            let orphans = (0..orphans).map(|at| orphan(&format!("bg-{at}"), outcome.clone()));
            let (orphans, problems) = (orphans.collect(), problems.clone());
            Ok(Reply::Sweep(SweepView { orphans, problems, unlisted: unlisted.clone() }))
        }
        other => world.usual(other),
    })
}

#[tokio::test]
async fn nothing_left_is_said() {
    insta::assert_snapshot!(finding(0, Ok(()), vec![]).run(&["sweep"]).await, @"
    exit 0
    err| nothing is left behind
    ");
    let json = finding(0, Ok(()), vec![]).run(&["sweep", "--json"]).await;
    insta::assert_snapshot!(json, @r#"
    exit 0
    out| {"version":1,"sweep":{"applied":false,"orphans":[],"problems":[],"unlisted":[]}}
    "#);
}

#[tokio::test]
async fn without_apply_nothing_is_removed_and_the_next_line_is_told() {
    let ran = finding(2, Ok(()), vec![]).run(&["sweep"]).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| PLACE      ARTIFACT        SESSION   NEEDED UNTIL                    NOW
    out| site acme  container bg-0  55667788  2025-11-20 16:05:00 UTC (over)  there
    out| site acme  container bg-1  55667788  2025-11-20 16:05:00 UTC (over)  there
    out| by hand, container bg-0:
    out|   $ docker rm -f bg-0
    out| by hand, container bg-1:
    out|   $ docker rm -f bg-1
    err| 2 things found that no living session needs; remove: breakglass sweep --apply
    ");
    assert_eq!(ran.heard[0], Command::Sweep { apply: false, also_unexpired: false });
    insta::assert_snapshot!(finding(1, Ok(()), vec![]).run(&["sweep", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"sweep":{"applied":false,"orphans":[{"place":"site acme","artifact":"container bg-0","session":"55667788","expires_at":"2025-11-20T16:05:00.000Z","expired":true,"removed":null,"why":null,"by_hand":["docker rm -f bg-0"]}],"problems":[],"unlisted":[]}}
    "#);
}

#[tokio::test]
async fn what_is_gone_is_told_and_what_is_not_is_exit_6() {
    let ran = finding(1, Ok(()), vec![]).run(&["sweep", "--apply"]).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| PLACE      ARTIFACT        SESSION   NEEDED UNTIL                    NOW
    out| site acme  container bg-0  55667788  2025-11-20 16:05:00 UTC (over)  gone
    err| 1 thing removed, and seen gone
    ");
    assert_eq!(ran.heard[0], Command::Sweep { apply: true, also_unexpired: false });
    let ran = finding(1, Ok(()), vec![]).run(&["sweep", "--apply", "--also-unexpired"]).await;
    assert_eq!(ran.heard[0], Command::Sweep { apply: true, also_unexpired: true });
    let stuck = finding(1, Err("the daemon is \u{7}down"), vec![]);
    insta::assert_snapshot!(stuck.run(&["sweep", "--apply"]).await, @"
    exit 6
    out| PLACE      ARTIFACT        SESSION   NEEDED UNTIL                    NOW
    out| site acme  container bg-0  55667788  2025-11-20 16:05:00 UTC (over)  STILL THERE: the daemon is <07>down
    out| by hand, container bg-0:
    out|   $ docker rm -f bg-0
    err| 0 of 1 thing removed, and seen gone
    err| cleanup owed: 1 thing is still there
    err|   hint: run the commands above, then look again: breakglass sweep
    ");
    let stuck = finding(1, Err("the daemon is down"), vec![]);
    insta::assert_snapshot!(stuck.run(&["sweep", "--apply", "--json"]).await, @r#"
    exit 6
    out| {"version":1,"sweep":{"applied":true,"orphans":[{"place":"site acme","artifact":"container bg-0","session":"55667788","expires_at":"2025-11-20T16:05:00.000Z","expired":true,"removed":false,"why":"the daemon is down","by_hand":["docker rm -f bg-0"]}],"problems":[],"unlisted":[]}}
    err| {"version":1,"error":{"kind":"cleanup-owed","message":"1 thing is still there","causes":[],"hint":"run the commands above, then look again: breakglass sweep"}}
    "#);
}

#[tokio::test]
async fn where_nobody_could_look_something_may_be_left() {
    insta::assert_snapshot!(finding(0, Ok(()), vec![problem()]).run(&["sweep"]).await, @"
    exit 6
    err| nobody could look at edge: no route to <1B>[2Jhost
    err| nothing is left behind where somebody could look
    err| cleanup owed: something may be left where nobody could look
    err|   because: no route to <1B>[2Jhost
    err|   hint: breakglass providers validate edge
    ");
    let site = SweepProblem { place: "site acme".into(), ..problem() };
    insta::assert_snapshot!(finding(1, Ok(()), vec![site]).run(&["sweep", "--apply"]).await, @"
    exit 6
    out| PLACE      ARTIFACT        SESSION   NEEDED UNTIL                    NOW
    out| site acme  container bg-0  55667788  2025-11-20 16:05:00 UTC (over)  gone
    err| nobody could look at site acme: no route to <1B>[2Jhost
    err| 1 thing removed, and seen gone
    err| cleanup owed: something may be left where nobody could look
    err|   because: no route to <1B>[2Jhost
    err|   hint: breakglass sites validate acme
    ");
}

#[tokio::test]
async fn a_launcher_that_can_never_list_is_told_and_is_no_failure() {
    let unlisted = || vec![unlisted()];
    insta::assert_snapshot!(sweeping(0, Ok(()), vec![], unlisted()).run(&["sweep"]).await, @"
    exit 0
    err| site acme cannot be listed: give it `list` in `[site.launcher]`
    err| nothing is left behind where somebody could look
    ");
    let all = sweeping(1, Ok(()), vec![], unlisted()).run(&["sweep", "--apply"]).await;
    insta::assert_snapshot!(all, @"
    exit 0
    out| PLACE      ARTIFACT        SESSION   NEEDED UNTIL                    NOW
    out| site acme  container bg-0  55667788  2025-11-20 16:05:00 UTC (over)  gone
    err| site acme cannot be listed: give it `list` in `[site.launcher]`
    err| 1 thing removed, and seen gone
    ");
    let json = sweeping(0, Ok(()), vec![], unlisted()).run(&["sweep", "--json"]).await;
    insta::assert_snapshot!(json, @r#"
    exit 0
    out| {"version":1,"sweep":{"applied":false,"orphans":[],"problems":[],"unlisted":[{"place":"site acme","why":"cannot be listed: give it `list` in `[site.launcher]`"}]}}
    "#);
    let both = sweeping(0, Ok(()), vec![problem()], unlisted()).run(&["sweep"]).await;
    assert_eq!(both.code, 6, "a place that does not answer is still one");
}

#[tokio::test]
async fn who_may_not_is_refused() {
    let denied = engine(|_: &mut World, _| {
        Err(Report::new(Kind::Denied, "a Member may not sweep").hint("ask an Admin"))
    });
    assert_eq!(denied.run(&["sweep"]).await.code, 4);
}

#[tokio::test]
async fn what_may_still_be_needed_is_told_at_the_first_look_with_what_it_takes() {
    let found = |minutes: [i64; 2]| {
        engine(move |world: &mut World, command| match command {
            Command::Sweep { .. } => {
                let orphans = minutes.map(|minutes| OrphanView {
                    expires_at: NOW.offset(minutes * 60_000),
                    ..orphan("bg-0", None)
                });
                Ok(Reply::Sweep(SweepView { orphans: orphans.into(), ..SweepView::default() }))
            }
            other => world.usual(other),
        })
    };
    let mut said = String::new();
    for minutes in [[5, 5], [-5, 5]] {
        let ran = found(minutes).run(&["sweep"]).await;
        said.push_str(ran.stderr().lines().last().unwrap());
        said.push('\n');
    }
    insta::assert_snapshot!(said, @r"
    2 things found that no living session needs; remove: breakglass sweep --apply --also-unexpired
    2 things found that no living session needs; remove 1: breakglass sweep --apply; all of it: breakglass sweep --apply --also-unexpired
    ");
}

#[tokio::test]
async fn a_session_that_owes_is_named_with_what_finishes_it() {
    let owing = finding(0, Ok(()), vec![]).knowing([session(SessionState::CleanupOwed)]);
    insta::assert_snapshot!(owing.run(&["sweep"]).await, @"
    exit 0
    err| nothing is left behind
    err| session 55667788 owes clean-up: breakglass retry 55667788
    ");
}
