//! `breakglass end`, `extend` and `retry`, as an operator sees them.

use breakglass::domain::time::Span;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Command, Reply, SessionState, SessionView, StepProgress};

use crate::cli_support::{Cli, NOW, World, engine, session, session_with, usual};

fn ends(last: SessionState) -> Cli {
    engine(move |world: &mut World, command| match command {
        Command::End { .. } => {
            let ending = session(SessionState::Ending);
            world.put(ending.clone());
            world.later([session(last)]);
            Ok(Reply::Session(Box::new(ending)))
        }
        other => world.usual(other),
    })
    .knowing([session(SessionState::Active)])
}

#[tokio::test]
async fn end_waits_until_everything_is_seen_gone() {
    let ran = ends(SessionState::Ended).run(&["end", "5566", "--reason", "INC-42 is over"]).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    err| session 55667788 is ending: ended-by-operator
    err|   undoing   listen on 127.0.0.1
    err|   gone      reach db.internal:5432
    err|   gone      listen on 127.0.0.1
    out| receipt of session 55667788: ended-by-operator, all seen gone at 2025-11-20 16:20:00 UTC
    out|   gone 2025-11-20 16:20:00 UTC  listener 127.0.0.1:41000
    ");
    let asked = ran.heard.iter().any(|command| {
        matches!(command, Command::End { reason: Some(reason), .. } if reason == "INC-42 is over")
    });
    assert!(asked, "{:?}", ran.heard);
}

#[tokio::test]
async fn what_is_not_gone_is_exit_6_with_the_exit_card() {
    insta::assert_snapshot!(ends(SessionState::CleanupOwed).run(&["end", "5566"]).await, @"
    exit 6
    err| session 55667788 is ending: ended-by-operator
    err|   undoing   listen on 127.0.0.1
    err|   OWED      reach db.internal:5432
    err|   gone      listen on 127.0.0.1
    out| receipt of session 55667788: ended-by-operator, CLEANUP OWED
    out|   NOT PROVEN GONE           listener 127.0.0.1:41000
    out| CLEANUP OWED: what may still exist, and how to remove it
    out|   1. device bg-abc567-55667788-691f3d58
    out|      tried: 3 times; the provider answers 503
    out|      $ tailscale-admin delete bg-abc567-55667788-691f3d58
    err| cleanup owed: session 55667788 to `orders-db` is not proven gone
    err|   because: device bg-abc567-55667788-691f3d58: 3 times; the provider answers 503
    err|   hint: breakglass retry 55667788
    ");
    let ran = ends(SessionState::CleanupOwed).run(&["end", "5566", "--json"]).await;
    assert_eq!(ran.documents()[0]["session"]["state"], "CleanupOwed");
    insta::assert_snapshot!(ran.stderr(), @r#"{"version":1,"error":{"kind":"cleanup-owed","message":"session 55667788 to `orders-db` is not proven gone","causes":["device bg-abc567-55667788-691f3d58: 3 times; the provider answers 503"],"hint":"breakglass retry 55667788"}}"#);
}

#[tokio::test]
async fn ending_twice_shows_the_receipt_again() {
    let ran = usual().knowing([session(SessionState::Ended)]).run(&["end", "5566"]).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    err| session 55667788 has ended already
    out| receipt of session 55667788: ended-by-operator, all seen gone at 2025-11-20 16:20:00 UTC
    out|   gone 2025-11-20 16:20:00 UTC  listener 127.0.0.1:41000
    ");
}

#[tokio::test]
async fn a_refused_end_is_what_the_engine_says() {
    let ran = engine(|world: &mut World, command| match command {
        Command::End { .. } => Err(Report::new(Kind::Denied, "the session is not yours to end")),
        other => world.usual(other),
    })
    .knowing([session(SessionState::Active)])
    .run(&["end", "5566"])
    .await;
    insta::assert_snapshot!(ran, @"
    exit 4
    err| denied: the session is not yours to end
    ");
}

#[tokio::test]
async fn end_all_waits_for_each() {
    let other = |state| session_with([9; 10], state);
    let all = move || {
        engine(move |world: &mut World, command| match command {
            Command::EndAll => {
                world.put(session(SessionState::Ended));
                world.put(other(SessionState::CleanupOwed));
                Ok(Reply::Done)
            }
            other => world.usual(other),
        })
        .knowing([session(SessionState::Active), other(SessionState::Active)])
    };
    insta::assert_snapshot!(all().run(&["end", "--all"]).await, @"
    exit 6
    err| session 55667788 on orders-db
    err|   gone      reach db.internal:5432
    err|   gone      listen on 127.0.0.1
    err| session 09090909 on orders-db
    err|   OWED      reach db.internal:5432
    err|   gone      listen on 127.0.0.1
    out| receipt of session 55667788: ended-by-operator, all seen gone at 2025-11-20 16:20:00 UTC
    out|   gone 2025-11-20 16:20:00 UTC  listener 127.0.0.1:41000
    out| receipt of session 09090909: ended-by-operator, CLEANUP OWED
    out|   NOT PROVEN GONE           listener 127.0.0.1:41000
    out| CLEANUP OWED: what may still exist, and how to remove it
    out|   1. device bg-abc567-09090909-691f3d58
    out|      tried: 3 times; the provider answers 503
    out|      $ tailscale-admin delete bg-abc567-09090909-691f3d58
    err| cleanup owed: session 09090909 to `orders-db` is not proven gone
    err|   because: device bg-abc567-09090909-691f3d58: 3 times; the provider answers 503
    err|   hint: breakglass retry 09090909
    ");
    assert_eq!(
        all().run(&["end", "--all", "--json"]).await.documents()[0]["sessions"][1]["state"],
        "CleanupOwed"
    );
    let none = engine(|world: &mut World, command| match command {
        Command::EndAll => Ok(Reply::Done),
        other => world.usual(other),
    });
    insta::assert_snapshot!(none.run(&["end", "--all"]).await, @"
    exit 0
    err| no session lives
    ");
}

#[tokio::test]
async fn extend_says_until_when() {
    let extend = |world: &mut World, command| match command {
        Command::Extend { by, .. } => {
            let mut view = session(SessionState::Active);
            view.lease = view.lease + by;
            view.lease_ends_at = Some(NOW + view.lease);
            Ok(Reply::Session(Box::new(view)))
        }
        other => world.usual(other),
    };
    let known = || engine(extend).knowing([session(SessionState::Active)]);
    insta::assert_snapshot!(known().run(&["extend", "5566", "--by", "15m"]).await, @"
    exit 0
    out| session 55667788 is Active for 45m, until 2025-11-20 16:55:00 UTC (45m left)
    ");
    let ran = known().run(&["extend", "5566", "--by", "15m", "--json"]).await;
    assert_eq!(ran.documents()[0]["session"]["lease_seconds"], 2_700);
    for wrong in ["0", "-5m", "9999h", "soon"] {
        let ran = known().run(&["extend", "5566", "--by", wrong]).await;
        assert_eq!(ran.code, 2, "{ran}");
    }
    insta::assert_snapshot!(known().run(&["extend", "5566", "--by", "-5m"]).await, @"
    exit 2
    err| usage: invalid value '-5m' for '--by <DURATION>': `-5m` is not a duration; write it like `30m`, `1h30m` or `90s`
    err|   hint: breakglass extend --help
    ");
}

fn tried(tries: u32, progress: StepProgress) -> SessionView {
    let mut view = session(SessionState::CleanupOwed);
    view.steps[0].tries = tries;
    view.steps[0].progress = progress;
    view
}

fn retries(then: Vec<SessionView>) -> Cli {
    let mut then = Some(then);
    engine(move |world: &mut World, command| match command {
        Command::Retry { .. } => {
            world.later(then.take().unwrap());
            Ok(Reply::Session(Box::new(session(SessionState::CleanupOwed))))
        }
        other => world.usual(other),
    })
    .knowing([session(SessionState::CleanupOwed)])
}

#[tokio::test]
async fn retry_that_succeeds_prints_the_receipt() {
    let ran = retries(vec![tried(3, StepProgress::Undoing), session(SessionState::Ended)])
        .run(&["retry", "5566"])
        .await;
    insta::assert_snapshot!(ran, @"
    exit 0
    err|   undoing   reach db.internal:5432
    err|   gone      reach db.internal:5432
    out| receipt of session 55667788: ended-by-operator, all seen gone at 2025-11-20 16:20:00 UTC
    out|   gone 2025-11-20 16:20:00 UTC  listener 127.0.0.1:41000
    ");
}

#[tokio::test]
async fn retry_that_fails_once_more_is_exit_6() {
    let ran = retries(vec![tried(3, StepProgress::Undoing), tried(4, StepProgress::Owed)])
        .run(&["retry", "5566"])
        .await;
    insta::assert_snapshot!(ran, @"
    exit 6
    err|   undoing   reach db.internal:5432
    err|   OWED      reach db.internal:5432
    out| receipt of session 55667788: ended-by-operator, CLEANUP OWED
    out|   NOT PROVEN GONE           listener 127.0.0.1:41000
    out| CLEANUP OWED: what may still exist, and how to remove it
    out|   1. device bg-abc567-55667788-691f3d58
    out|      tried: 3 times; the provider answers 503
    out|      $ tailscale-admin delete bg-abc567-55667788-691f3d58
    err| cleanup owed: session 55667788 to `orders-db` is not proven gone
    err|   because: device bg-abc567-55667788-691f3d58: 3 times; the provider answers 503
    err|   hint: it is tried again by itself; what is on the exit card can be done by hand: breakglass show 55667788
    ");
}

#[tokio::test]
async fn what_no_command_removes_is_on_the_exit_card_in_words() {
    let mut view = tried(4, StepProgress::Owed);
    let words = "remove the lines with `tag:breakglass-operator-55667788` from the policy file";
    view.exit_card[0].commands.clear();
    view.exit_card[0].words = Some(words.into());
    let ran = retries(vec![view]).run(&["retry", "5566"]).await;
    assert!(ran.to_string().contains(&format!("out|      by hand: {words}\n")), "{ran}");
    assert!(!ran.to_string().contains("$ "), "{ran}");
}

#[tokio::test]
async fn retry_of_a_session_that_owes_nothing_is_exit_2() {
    let ran = usual().knowing([session(SessionState::Active)]).run(&["retry", "5566"]).await;
    insta::assert_snapshot!(ran, @"
    exit 2
    err| usage: session 55667788 owes nothing
    err|   because: it is Active
    err|   hint: breakglass show 55667788
    ");
    assert_eq!(Span::from_minutes(30), session(SessionState::Active).lease);
}
