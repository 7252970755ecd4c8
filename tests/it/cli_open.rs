//! `breakglass open`, as an operator sees it.

use std::collections::VecDeque;

use breakglass::cli::signals::Caught;
use breakglass::domain::time::Span;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{
    Command, Event, Notice, PlanStepView, PlanView, Reply, SessionState, SessionView, Severity,
    StepProgress, Traffic,
};

use crate::cli_support::{Beat, Cli, NOW, World, engine, session, step};

const OPEN: [&str; 4] = ["open", "orders-db", "--reason", "INC-42 slow queries"];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    OPEN.into_iter().chain(more.iter().copied()).collect()
}

/// An engine that opens the session in these stages, and ends it when asked.
fn opens(stages: impl IntoIterator<Item = SessionView>) -> Cli {
    let mut stages: VecDeque<_> = stages.into_iter().collect();
    engine(move |world: &mut World, command| match command {
        Command::Open(_) => {
            let pending = session(SessionState::Pending);
            world.put(pending.clone());
            world.later(stages.drain(..));
            Ok(Reply::Session(Box::new(pending)))
        }
        Command::End { .. } => {
            let ending = session(SessionState::Ending);
            world.tell(ending.clone());
            world.tell(session(SessionState::Ended));
            Ok(Reply::Session(Box::new(ending)))
        }
        other => world.usual(other),
    })
}

fn to_active() -> Vec<SessionView> {
    vec![session(SessionState::Activating), session(SessionState::Active)]
}

fn failed(state: SessionState) -> SessionView {
    let mut view = session(state);
    view.end_reason = Some("activation-failed".into());
    view.end_detail = Some("connection refused".into());
    view
}

#[tokio::test]
async fn open_ticks_its_steps_and_prints_endpoint_and_command() {
    let ran = opens(to_active()).run(&with(&["--for", "30m"])).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err|   applied   reach db.internal:5432
    err|   applying  listen on 127.0.0.1
    err|   applied   listen on 127.0.0.1
    err| session 55667788 is Active for 30m, until 2025-11-20 16:40:00 UTC
    out| 127.0.0.1:41000
    out| psql -h 127.0.0.1 -p 41000 -U ana -d orders
    ");
    assert_eq!(ran.stdout(), "127.0.0.1:41000\npsql -h 127.0.0.1 -p 41000 -U ana -d orders\n");
}

#[tokio::test]
async fn open_asks_for_what_was_said_and_nothing_else() {
    let ran = opens(to_active())
        .run(&[
            "open",
            "--address",
            "10.0.0.7:22",
            "--kind",
            "ssh",
            "--site",
            "acme",
            "--reason",
            "INC-42",
            "--for",
            "1h30m",
        ])
        .await;
    insta::assert_debug_snapshot!(ran.heard[0], @r#"
    Open(
        OpenRequest {
            target: AdHoc {
                address: Address {
                    host: "10.0.0.7",
                    port: 22,
                },
                kind: Ssh,
                site: Some(
                    SiteId(
                        "acme",
                    ),
                ),
            },
            reason: "INC-42",
            duration: Some(
                Span(
                    5400000,
                ),
            ),
            agreed: false,
        },
    )
    "#);
}

#[tokio::test]
async fn open_as_json_is_one_document_and_no_talk() {
    let ran = opens(to_active()).run(&with(&["--json"])).await;
    assert_eq!((ran.code, ran.stderr().as_str()), (0, ""));
    let documents = ran.documents();
    assert_eq!(documents.len(), 1);
    insta::assert_snapshot!(ran.stdout(), @r#"{"version":1,"session":{"id":"019aa207-9fc0-7122-b344-5566778899aa","short_id":"55667788","state":"Active","target":{"id":"orders-db","name":"Orders","site":"acme","kind":"postgres","address":"db.internal:5432"},"path":{"provider":"direct","kind":"direct","why":"db.internal:5432 answers from here"},"endpoint":{"address":"127.0.0.1:41000","host":"127.0.0.1","port":41000,"socket":null},"command":"psql -h 127.0.0.1 -p 41000 -U ana -d orders","operator":{"uid":1000,"name":"ana"},"reason":"INC-42 slow queries","requested_at":"2025-11-20T16:10:00.000Z","activated_at":"2025-11-20T16:10:00.000Z","lease_seconds":1800,"lease_max_seconds":14400,"lease_ends_at":"2025-11-20T16:40:00.000Z","ended_at":null,"end_reason":null,"end_detail":null,"steps":[{"label":"reach db.internal:5432","progress":"applied","detail":null,"started_at":"2025-11-20T16:10:00.000Z","finished_at":null,"tries":0},{"label":"listen on 127.0.0.1","progress":"applied","detail":null,"started_at":"2025-11-20T16:10:00.000Z","finished_at":null,"tries":0}],"receipt":[{"artifact":"listener 127.0.0.1:41000","made_at":"2025-11-20T16:10:00.000Z","gone_at":null}],"exit_card":[],"traffic":{"bytes_up":0,"bytes_down":0,"connections_open":0,"connections_total":0,"refused":0},"audience":[],"path_lost":null,"live":[],"path_losses":[],"drill":false}}"#);
}

#[tokio::test]
async fn a_refusal_by_policy_is_exit_4() {
    let refuse = |world: &mut World, command| match command {
        Command::Open(_) => Err(Report::new(Kind::Denied, "policy refuses the session")
            .because("`9h` is longer than the `4h` allowed for this target")),
        other => world.usual(other),
    };
    insta::assert_snapshot!(engine(refuse).run(&with(&["--for", "9h"])).await, @"
    exit 4
    err| denied: policy refuses the session
    err|   because: `9h` is longer than the `4h` allowed for this target
    ");
    insta::assert_snapshot!(engine(refuse).run(&with(&["--for", "9h", "--json"])).await, @r#"
    exit 4
    err| {"version":1,"error":{"kind":"denied","message":"policy refuses the session","causes":["`9h` is longer than the `4h` allowed for this target"],"hint":null}}
    "#);
}

#[tokio::test]
async fn a_target_that_does_not_answer_is_exit_5() {
    let mut activating = session(SessionState::Activating);
    activating.steps[0].progress = StepProgress::Refused;
    activating.steps[0].detail = Some("connection refused".into());
    activating.steps[1].progress = StepProgress::Skipped;
    let mut ended = failed(SessionState::Ended);
    ended.steps = activating.steps.clone();
    let ran = opens([activating, ended]).run(&OPEN).await;
    insta::assert_snapshot!(ran, @"
    exit 5
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err|   refused   reach db.internal:5432: connection refused
    err|   skipped   listen on 127.0.0.1
    err| unavailable: cannot open a session to `orders-db`
    err|   because: connection refused
    err|   hint: breakglass show 55667788
    ");
}

#[tokio::test]
async fn what_is_owed_is_exit_6_with_the_exit_card() {
    let stages = [failed(SessionState::Ending), failed(SessionState::CleanupOwed)];
    insta::assert_snapshot!(opens(stages).run(&OPEN).await, @"
    exit 6
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err| session 55667788 is ending: activation-failed (connection refused)
    err|   applied   reach db.internal:5432
    err|   undoing   listen on 127.0.0.1
    err|   OWED      reach db.internal:5432
    err|   gone      listen on 127.0.0.1
    err| CLEANUP OWED: what may still exist, and how to remove it
    err|   1. device bg-abc567-55667788-691f3d58
    err|      tried: 3 times; the provider answers 503
    err|      $ tailscale-admin delete bg-abc567-55667788-691f3d58
    err| cleanup owed: session 55667788 to `orders-db` is not proven gone
    err|   because: device bg-abc567-55667788-691f3d58: 3 times; the provider answers 503
    err|   hint: breakglass retry 55667788
    ");
}

#[tokio::test]
async fn ctrl_c_before_active_ends_the_session_and_says_so() {
    let ran = opens([session(SessionState::Activating)])
        .on("applying", Caught::Interrupt)
        .run(&OPEN)
        .await;
    insta::assert_snapshot!(ran, @"
    exit 130
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err|   applied   reach db.internal:5432
    err|   applying  listen on 127.0.0.1
    err| ending session 55667788
    err| session 55667788 is ending: ended-by-operator
    err|   undoing   listen on 127.0.0.1
    err|   gone      reach db.internal:5432
    err|   gone      listen on 127.0.0.1
    err| session 55667788 has ended; everything was seen gone
    ");
}

#[tokio::test]
async fn a_second_ctrl_c_leaves_the_removal_to_the_engine() {
    let ran = engine(|world: &mut World, command| match command {
        Command::Open(_) => {
            let pending = session(SessionState::Pending);
            world.put(pending.clone());
            world.later([session(SessionState::Activating)]);
            Ok(Reply::Session(Box::new(pending)))
        }
        Command::End { .. } => {
            world.tell(session(SessionState::Ending));
            Ok(Reply::Session(Box::new(session(SessionState::Ending))))
        }
        other => world.usual(other),
    })
    .on("applying", Caught::Interrupt)
    .on("is ending", Caught::Interrupt)
    .run(&OPEN)
    .await;
    insta::assert_snapshot!(ran, @"
    exit 130
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err|   applied   reach db.internal:5432
    err|   applying  listen on 127.0.0.1
    err| ending session 55667788
    err| session 55667788 is ending: ended-by-operator
    err|   undoing   listen on 127.0.0.1
    err| the engine goes on with the removal; `breakglass show 55667788` tells how it went
    ");
}

#[tokio::test]
async fn wait_stays_until_ctrl_c_and_prints_the_receipt() {
    let ran = opens(to_active()).on("Ctrl-C", Caught::Interrupt).run(&with(&["--wait"])).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err|   applied   reach db.internal:5432
    err|   applying  listen on 127.0.0.1
    err|   applied   listen on 127.0.0.1
    err| session 55667788 is Active for 30m, until 2025-11-20 16:40:00 UTC
    out| 127.0.0.1:41000
    out| psql -h 127.0.0.1 -p 41000 -U ana -d orders
    err| Ctrl-C ends the session
    err| ending session 55667788
    err| session 55667788 is ending: ended-by-operator
    err|   undoing   listen on 127.0.0.1
    err|   gone      reach db.internal:5432
    err|   gone      listen on 127.0.0.1
    err| receipt of session 55667788: ended-by-operator, all seen gone at 2025-11-20 16:20:00 UTC
    err|   gone 2025-11-20 16:20:00 UTC  listener 127.0.0.1:41000
    ");
}

#[tokio::test]
async fn wait_tells_what_happens_a_line_each_until_the_lease_ends() {
    let mut over = session(SessionState::Ended);
    over.end_reason = Some("lease-expired".into());
    let mut ending = session(SessionState::Ending);
    ending.end_reason = Some("lease-expired".into());
    let id = over.id;
    let one = Traffic { connections_open: 1, connections_total: 1, ..Traffic::default() };
    let bytes = Traffic { bytes_up: 2_048, ..one };
    let refused = Traffic { refused: 1, ..bytes };
    let notice = Notice {
        severity: Severity::Warning,
        text: "the port was held by somebody else".into(),
        session: Some(id),
        at: NOW,
    };
    let ran = opens([])
        .world(|world| {
            for view in to_active() {
                world.later.push_back(Beat::Tell(Event::Session(Box::new(view))));
            }
            for traffic in [one, bytes, refused] {
                world.later.push_back(Beat::Tell(Event::Traffic { session: id, traffic }));
            }
            world.later.push_back(Beat::Tell(Event::Notice(notice)));
            world.later([ending, over]);
        })
        .run(&with(&["--wait"]))
        .await;
    insta::assert_snapshot!(ran, @"
    exit 0
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err|   applied   reach db.internal:5432
    err|   applying  listen on 127.0.0.1
    err|   applied   listen on 127.0.0.1
    err| session 55667788 is Active for 30m, until 2025-11-20 16:40:00 UTC
    out| 127.0.0.1:41000
    out| psql -h 127.0.0.1 -p 41000 -U ana -d orders
    err| Ctrl-C ends the session
    err|   1 open of 1 connections, 0 B up, 0 B down
    err|   1 open of 1 connections, 2.0 KiB up, 0 B down, 1 stranger turned away
    err| warning: the port was held by somebody else
    err| session 55667788 is ending: lease-expired
    err|   undoing   listen on 127.0.0.1
    err|   gone      reach db.internal:5432
    err|   gone      listen on 127.0.0.1
    err| receipt of session 55667788: lease-expired, all seen gone at 2025-11-20 16:20:00 UTC
    err|   gone 2025-11-20 16:20:00 UTC  listener 127.0.0.1:41000
    ");
}

#[tokio::test]
async fn wait_as_json_is_a_stream_of_documents() {
    let ran = opens(to_active())
        .world(|world| {
            let id = session(SessionState::Active).id;
            let traffic = Traffic { bytes_up: 7, ..Traffic::default() };
            world.later(to_active());
            world.later.push_back(Beat::Tell(Event::Traffic { session: id, traffic }));
            world.later([session(SessionState::Ended)]);
        })
        .run(&with(&["--wait", "--json"]))
        .await;
    assert_eq!(ran.stderr(), "");
    let told: Vec<_> = ran
        .documents()
        .iter()
        .map(|document| {
            assert_eq!(document["version"], 1);
            document.pointer("/session/state").map_or("traffic".into(), ToString::to_string)
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    "Pending"
    "Activating"
    "Active"
    traffic
    "Ended"
    "#);
}

#[tokio::test]
async fn an_engine_that_moves_away_is_followed() {
    let ran = opens([])
        .world(|world| {
            world.later([session(SessionState::Activating)]);
            world.later.push_back(Beat::Tell(Event::HandedOver));
            world.later.push_back(Beat::Cut);
            world.later([session(SessionState::Active)]);
        })
        .run(&OPEN)
        .await;
    insta::assert_snapshot!(ran, @"
    exit 0
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err|   applied   reach db.internal:5432
    err|   applying  listen on 127.0.0.1
    err|   applied   listen on 127.0.0.1
    err| session 55667788 is Active for 30m, until 2025-11-20 16:40:00 UTC
    out| 127.0.0.1:41000
    out| psql -h 127.0.0.1 -p 41000 -U ana -d orders
    ");
}

#[tokio::test]
async fn who_waits_is_told_that_the_path_is_lost_and_that_it_is_back() {
    let mut lost = session(SessionState::Active);
    lost.path_lost = Some("ssh connection lost: reset; being made again, try 1".into());
    let mut lost_still = lost.clone();
    lost_still.path_lost = Some("ssh connection lost: reset; being made again, try 2".into());
    let active = || session(SessionState::Active);
    let later = [active(), lost, lost_still, active(), session(SessionState::Ended)];
    let ran = opens(later).run(&with(&["--wait"])).await;
    let err = ran.stderr();
    let about: Vec<_> = err.lines().filter(|it| it.contains("path")).collect();
    assert_eq!(
        about,
        ["  path lost: ssh connection lost: reset; being made again, try 1", "  path is back"],
        "{ran}"
    );
}

#[tokio::test]
async fn an_engine_that_never_stays_is_an_error_and_no_endless_loop() {
    let ran =
        opens([]).world(|world| world.later.extend((0..100).map(|_| Beat::Cut))).run(&OPEN).await;
    insta::assert_snapshot!(ran, @"
    exit 5
    err| session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err| unavailable: the engine keeps closing the connection
    err|   hint: breakglass show 55667788
    ");
}

#[tokio::test]
async fn a_plan_says_what_would_be_done_and_does_nothing() {
    let plan = || PlanView {
        target: session(SessionState::Pending).target,
        path: session(SessionState::Pending).path,
        lease: Span::from_minutes(30),
        lease_max: Span::from_minutes(240),
        steps: vec![
            PlanStepView {
                label: "make an auth key".into(),
                creates: Some("auth key bg-abc567-55667788".into()),
                expires: Some("by itself after 10m".into()),
                needs: vec![],
            },
            PlanStepView {
                label: "listen on 127.0.0.1".into(),
                creates: Some("listener".into()),
                expires: None,
                needs: vec![0],
            },
        ],
        changes: vec![],
        audience: vec!["every process of `bg\u{1b}` on this host".into()],
    };
    let planner = move |world: &mut World, command| match command {
        Command::Plan(_) => Ok(Reply::Plan(Box::new(plan()))),
        other => world.usual(other),
    };
    insta::assert_snapshot!(engine(planner).run(&with(&["--plan"])).await, @"
    exit 0
    out| target  orders-db (postgres db.internal:5432, site acme)
    out| path    direct: db.internal:5432 answers from here
    out| lease   30m, at most 4h
    out| also reachable by: every process of `bg<1B>` on this host
    out| steps
    out|   1. make an auth key
    out|      creates  auth key bg-abc567-55667788
    out|      expires  by itself after 10m
    out|   2. listen on 127.0.0.1
    out|      creates  listener
    out|      expires  NOTHING: only this program removes it
    out|      after    1
    out| what expires does so then at the latest: the session may be extended to 4h (duration-max); its end removes it
    out| nothing was done
    ");
    let without_reason = engine(planner).run(&["open", "orders-db", "--plan"]).await;
    assert_eq!(without_reason.code, 0, "{without_reason}");
    let ran = engine(planner).run(&with(&["--plan", "--json"])).await;
    insta::assert_snapshot!(ran, @r#"
    exit 0
    out| {"version":1,"plan":{"target":{"id":"orders-db","name":"Orders","site":"acme","kind":"postgres","address":"db.internal:5432"},"path":{"provider":"direct","kind":"direct","why":"db.internal:5432 answers from here"},"lease_seconds":1800,"lease_max_seconds":14400,"steps":[{"label":"make an auth key","creates":"auth key bg-abc567-55667788","expires":"by itself after 10m","needs":[]},{"label":"listen on 127.0.0.1","creates":"listener","expires":null,"needs":[0]}],"audience":["every process of `bg\u001b` on this host"],"changes":[]}}
    "#);
}

#[tokio::test]
async fn a_drill_is_marked_on_every_line() {
    let drill = |state| SessionView { drill: true, ..session(state) };
    let ran = engine(move |world: &mut World, command| match command {
        Command::Open(_) => {
            world.put(drill(SessionState::Pending));
            world.later([drill(SessionState::Activating), drill(SessionState::Active)]);
            Ok(Reply::Session(Box::new(drill(SessionState::Pending))))
        }
        other => world.usual(other),
    })
    .run(&OPEN)
    .await;
    insta::assert_snapshot!(ran, @"
    exit 0
    err| DRILL session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    err| DRILL   applied   reach db.internal:5432
    err| DRILL   applying  listen on 127.0.0.1
    err| DRILL   applied   listen on 127.0.0.1
    err| DRILL session 55667788 is Active for 30m, until 2025-11-20 16:40:00 UTC
    out| 127.0.0.1:41000
    out| psql -h 127.0.0.1 -p 41000 -U ana -d orders
    ");
}

#[tokio::test]
async fn steps_that_wait_for_something_say_for_what() {
    let mut unsure = session(SessionState::Activating);
    unsure.steps = vec![step("make an auth key", StepProgress::Unsure)];
    unsure.steps[0].detail = Some("no answer for 30s; looking again in 60s".into());
    let ran = opens([unsure, session(SessionState::Active)]).run(&OPEN).await;
    insta::assert_snapshot!(ran.stderr(), @"
    session 55667788: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
      unsure    make an auth key: no answer for 30s; looking again in 60s
      applied   reach db.internal:5432
      applied   listen on 127.0.0.1
    session 55667788 is Active for 30m, until 2025-11-20 16:40:00 UTC
    ");
}

/// An engine that opens nothing before the operator has agreed.
fn wants_agreement() -> Cli {
    engine(|world: &mut World, command| match command {
        Command::Open(request) if !request.agreed => {
            let message = "opening changes the shared policy file of `acme-tailnet`";
            Err(Report::new(Kind::Denied, message)
                .because("+    {\"src\": [\"tag:breakglass-operator-55667788\"]},")
                .hint("to agree, open it again just so; on the command line with --agree"))
        }
        Command::Open(_) => {
            world.put(session(SessionState::Active));
            Ok(Reply::Session(Box::new(session(SessionState::Active))))
        }
        other => world.usual(other),
    })
}

/// What `--agree` has agreed to, told before anything is done.
const SHOWN: &str = "agreed by --agree: opening changes the shared policy file of `acme-tailnet`
  +    {\"src\": [\"tag:breakglass-operator-55667788\"]},
session 55667788: ";

#[tokio::test]
async fn a_change_in_a_file_of_others_needs_a_word_and_is_shown_first() {
    let refused = wants_agreement().run(&OPEN).await;
    assert_eq!(refused.code, 4, "{refused}");
    assert!(refused.to_string().contains("tag:breakglass-operator-55667788"), "{refused}");
    let agreed = wants_agreement().run(&with(&["--agree"])).await;
    assert_eq!(agreed.code, 0, "{agreed}");
    let shown = agreed.stderr();
    assert!(shown.starts_with(SHOWN), "{shown}");
    assert_eq!(wants_agreement().typing(["yes"]).run(&OPEN).await.code, 0);
    assert_eq!(wants_agreement().typing(["y"]).run(&OPEN).await.code, 4, "only yes is a yes");
}
