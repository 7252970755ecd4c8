//! `breakglass sessions` and `breakglass show`, as an operator sees them.

use breakglass::cli::output::Terminal;
use breakglass::domain::time::Span;
use breakglass::protocol::{Command, PathLossView, SessionState, SessionView, Traffic};

use crate::cli_support::{NOW, session, session_with, usual};

fn some() -> Vec<SessionView> {
    let mut owed = session_with([7; 10], SessionState::CleanupOwed);
    owed.end_reason = Some("lease-expired".into());
    vec![
        session(SessionState::Active),
        session_with([5; 10], SessionState::Activating),
        owed,
        session_with([9; 10], SessionState::Ended),
    ]
}

#[tokio::test]
async fn what_is_owed_comes_first_and_what_has_ended_is_left_out() {
    insta::assert_snapshot!(usual().knowing(some()).run(&["sessions"]).await, @"
    exit 0
    out| ID        STATE        TARGET     PATH    ENDPOINT         LEFT           REASON
    out| 07070707  CleanupOwed  orders-db  direct  -                lease-expired  INC-42 slow queries
    out| 55667788  Active       orders-db  direct  127.0.0.1:41000  30m            INC-42 slow queries
    out| 05050505  Activating   orders-db  direct  -                -              INC-42 slow queries
    ");
}

#[tokio::test]
async fn ended_sessions_and_single_states_can_be_asked_for() {
    insta::assert_snapshot!(
        usual().knowing(some()).run(&["sessions", "--all", "--limit", "4"]).await, @"
    exit 0
    out| ID        STATE        TARGET     PATH    ENDPOINT         LEFT               REASON
    out| 07070707  CleanupOwed  orders-db  direct  -                lease-expired      INC-42 slow queries
    out| 55667788  Active       orders-db  direct  127.0.0.1:41000  30m                INC-42 slow queries
    out| 05050505  Activating   orders-db  direct  -                -                  INC-42 slow queries
    out| 09090909  Ended        orders-db  direct  -                ended-by-operator  INC-42 slow queries
    err| these are the newest 4; `--limit` shows more
    ");
    for word in ["cleanup-owed", "CleanupOwed", "CLEANUP-OWED"] {
        let ran = usual().knowing(some()).run(&["sessions", "--state", word]).await;
        assert!(ran.stdout().contains("07070707  CleanupOwed"), "{ran}");
        assert_eq!(ran.stdout().lines().count(), 2, "{ran}");
    }
    let ran = usual().knowing(some()).run(&["sessions", "--state", "ended"]).await;
    assert!(matches!(ran.heard[1], Command::Sessions(query) if query.ended), "{:?}", ran.heard);
}

#[tokio::test]
async fn nothing_to_list_is_said_aside() {
    insta::assert_snapshot!(usual().run(&["sessions"]).await, @"
    exit 0
    err| no session lives; `breakglass sessions --all` lists those that have ended
    ");
    insta::assert_snapshot!(usual().run(&["sessions", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"sessions":[]}
    "#);
}

#[tokio::test]
async fn a_narrow_terminal_gets_a_narrow_table() {
    let terminal = Terminal { width: Some(80), ..Terminal::default() };
    let ran = usual().knowing(some()).terminal(terminal).run(&["sessions"]).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| ID        STATE        TARGET     PATH    ENDPOINT         LEFT        REASON
    out| 07070707  CleanupOwed  orders-db  direct  -                lease-e...  INC-42...
    out| 55667788  Active       orders-db  direct  127.0.0.1:41000  30m         INC-42...
    out| 05050505  Activating   orders-db  direct  -                -           INC-42...
    ");
    assert!(ran.stdout().is_ascii());
}

#[tokio::test]
async fn sessions_as_json() {
    let ran = usual().knowing(some()).run(&["sessions", "--json"]).await;
    let document = &ran.documents()[0];
    assert_eq!(document["version"], 1);
    let states: Vec<_> =
        document["sessions"].as_array().unwrap().iter().map(|session| &session["state"]).collect();
    assert_eq!(states, ["CleanupOwed", "Active", "Activating"]);
}

#[tokio::test]
async fn show_tells_all_of_an_active_session() {
    let mut view = session(SessionState::Active);
    view.traffic = Traffic {
        bytes_up: 1_536,
        bytes_down: 3 << 20,
        connections_open: 1,
        connections_total: 4,
        refused: 2,
    };
    insta::assert_snapshot!(usual().knowing([view]).run(&["show", "5566"]).await, @"
    exit 0
    out| session    019aa207-9fc0-7122-b344-5566778899aa
    out| state      Active
    out| target     orders-db (postgres db.internal:5432, site acme)
    out| path       direct: db.internal:5432 answers from here
    out| reason     INC-42 slow queries
    out| operator   ana (uid 1000)
    out| requested  2025-11-20 16:10:00 UTC
    out| activated  2025-11-20 16:10:00 UTC
    out| lease      30m of at most 4h, 30m left (until 2025-11-20 16:40:00 UTC)
    out| endpoint   127.0.0.1:41000
    out| command    psql -h 127.0.0.1 -p 41000 -U ana -d orders
    out| traffic    1 open of 4 connections, 1.5 KiB up, 3.0 MiB down, 2 strangers turned away
    out|
    out| steps
    out|   applied   reach db.internal:5432
    out|   applied   listen on 127.0.0.1
    out|
    out| made for it
    out|   since 2025-11-20 16:10:00 UTC  listener 127.0.0.1:41000
    ");
}

#[tokio::test]
async fn a_lost_path_and_who_else_may_use_it_are_shown() {
    let mut view = session(SessionState::Active);
    let minutes = |minutes| NOW + Span::from_minutes(minutes);
    view.path_losses = vec![
        PathLossView { lost_at: NOW, back_at: Some(minutes(1)) },
        PathLossView { lost_at: minutes(2), back_at: None },
    ];
    view.path_lost = Some("ssh connection lost: reset\u{1b}; being made again, try 2".into());
    view.audience = vec!["every process of breakglass on this host".into(), "root".into()];
    let ran = usual().knowing([view.clone()]).run(&["sessions"]).await;
    assert!(ran.stdout().contains("  Active, path lost  "), "{ran}");
    let ran = usual().knowing([view.clone()]).run(&["show", "5566"]).await;
    let about = ["state", "path", "reachable"];
    let out = ran.stdout();
    let lines = out.lines().filter(|it| about.iter().any(|word| it.starts_with(word)));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            "state      Active, path lost",
            "path       direct: db.internal:5432 answers from here",
            "path lost  ssh connection lost: reset<1B>; being made again, try 2",
            "path lost  2025-11-20 16:10:00 UTC, back 2025-11-20 16:11:00 UTC",
            "path lost  2025-11-20 16:12:00 UTC, not back",
            "reachable  also by: every process of breakglass on this host",
            "reachable  also by: root",
        ],
        "{ran}"
    );
    let ran = usual().knowing([view]).run(&["show", "5566", "--json"]).await;
    let document = &ran.documents()[0]["session"];
    assert_eq!(document["audience"][1], "root");
    assert_eq!(document["path_losses"][0]["back_at"], "2025-11-20T16:11:00.000Z");
    assert!(document["path_lost"].as_str().unwrap().starts_with("ssh connection lost"));
}

#[tokio::test]
async fn show_of_what_is_owed_has_the_exit_card() {
    insta::assert_snapshot!(usual().knowing(some()).run(&["show", "0707"]).await, @"
    exit 0
    out| session    019aa207-9fc0-7707-8707-070707070707
    out| state      CleanupOwed
    out| target     orders-db (postgres db.internal:5432, site acme)
    out| path       direct: db.internal:5432 answers from here
    out| reason     INC-42 slow queries
    out| operator   ana (uid 1000)
    out| requested  2025-11-20 16:10:00 UTC
    out| activated  2025-11-20 16:10:00 UTC
    out| lease      30m of at most 4h, until 2025-11-20 16:40:00 UTC
    out| traffic    0 open of 0 connections, 0 B up, 0 B down
    out| end        lease-expired
    out|
    out| steps
    out|   OWED      reach db.internal:5432
    out|   gone      listen on 127.0.0.1
    out|
    out| receipt of session 07070707: lease-expired, CLEANUP OWED
    out|   NOT PROVEN GONE           listener 127.0.0.1:41000
    out|
    out| CLEANUP OWED: what may still exist, and how to remove it
    out|   1. device bg-abc567-07070707-691f3d58
    out|      tried: 3 times; the provider answers 503
    out|      $ tailscale-admin delete bg-abc567-07070707-691f3d58
    ");
}

#[tokio::test]
async fn show_of_an_ended_session_has_the_receipt() {
    insta::assert_snapshot!(usual().knowing(some()).run(&["show", "09090909"]).await, @"
    exit 0
    out| session    019aa207-9fc0-7909-8909-090909090909
    out| state      Ended
    out| target     orders-db (postgres db.internal:5432, site acme)
    out| path       direct: db.internal:5432 answers from here
    out| reason     INC-42 slow queries
    out| operator   ana (uid 1000)
    out| requested  2025-11-20 16:10:00 UTC
    out| activated  2025-11-20 16:10:00 UTC
    out| lease      30m of at most 4h, until 2025-11-20 16:40:00 UTC
    out| traffic    0 open of 0 connections, 0 B up, 0 B down
    out| end        ended-by-operator
    out| ended      2025-11-20 16:20:00 UTC
    out|
    out| steps
    out|   gone      reach db.internal:5432
    out|   gone      listen on 127.0.0.1
    out|
    out| receipt of session 09090909: ended-by-operator, all seen gone at 2025-11-20 16:20:00 UTC
    out|   gone 2025-11-20 16:20:00 UTC  listener 127.0.0.1:41000
    ");
}

#[tokio::test]
async fn an_id_that_means_nothing_or_too_much_is_exit_2() {
    insta::assert_snapshot!(usual().run(&["show", "abcd"]).await, @"
    exit 2
    err| usage: no session matches `abcd`
    err|   hint: breakglass sessions --all
    ");
    insta::assert_snapshot!(usual().run(&["show", "ab"]).await, @"
    exit 2
    err| usage: no session matches `ab`
    err|   hint: give at least 4 characters of the id
    ");
    let twins = [
        session_with([1, 2, 3, 3, 5, 6, 7, 8, 9, 10], SessionState::Active),
        session_with([1, 2, 3, 3, 5, 6, 7, 9, 9, 10], SessionState::Ended),
    ];
    insta::assert_snapshot!(usual().knowing(twins).run(&["show", "050607"]).await, @"
    exit 2
    err| usage: `050607` may mean any of 2 sessions
    err|   because: 019aa207-9fc0-7102-8303-05060708090a is Active to orders-db
    err|   because: 019aa207-9fc0-7102-8303-05060709090a is Ended to orders-db
    err|   hint: give more characters of the id
    ");
}

#[tokio::test]
async fn a_wall_clock_that_was_set_shows_in_times_and_not_in_what_is_left() {
    let ran = usual()
        .knowing([session(SessionState::Active)])
        .world(|world| world.engine.wall_offset_millis = -3_600_000)
        .run(&["show", "5566", "--json"])
        .await;
    // One hour back: the lease that began at 16:10 by the engine began at 15:10 by the wall.
    assert_eq!(ran.documents()[0]["session"]["lease_ends_at"], "2025-11-20T15:40:00.000Z");
}
