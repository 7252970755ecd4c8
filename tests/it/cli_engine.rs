//! `breakglass engine`, as an operator sees it.

use breakglass::error::{Kind, Report};
use breakglass::protocol::{Command, Notice, Reply, Severity};

use crate::cli_support::{NOW, World, engine, usual};

#[tokio::test]
async fn status_is_what_engine_alone_means() {
    let ran = usual().run(&["engine"]).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| engine     0.1.0, process 4242, a process of its own
    out| since      2025-11-20 14:40:00 UTC (1h30m ago)
    out| host       jump1
    out| operator   ana (uid 1000)
    out| state      /home/ana/.local/state/breakglass
    out| marker     bg-abc567-...
    out| faces      1
    ");
    assert_eq!(usual().run(&["engine", "status"]).await.to_string(), ran.to_string());
    insta::assert_snapshot!(usual().run(&["engine", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"engine":{"version":"0.1.0","pid":4242,"detached":true,"started_at":"2025-11-20T14:40:00.000Z","installation":"abc567","operator":{"uid":1000,"name":"ana"},"host":"jump1","state_dir":"/home/ana/.local/state/breakglass","drill":false,"faces":1,"alarms":[]}}
    "#);
}

#[tokio::test]
async fn alarms_stand_in_the_status() {
    let ran = usual()
        .world(|world| {
            world.engine.drill = true;
            world.engine.detached = false;
            world.engine.alarms.push(Notice {
                severity: Severity::Alarm,
                text: "the disk is full; nothing can be opened".into(),
                session: None,
                at: NOW,
            });
        })
        .run(&["engine"])
        .await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| engine     0.1.0, process 4242, hosted by a terminal DRILL
    out| since      2025-11-20 14:40:00 UTC (1h30m ago)
    out| host       jump1
    out| operator   ana (uid 1000)
    out| state      /home/ana/.local/state/breakglass
    out| marker     bg-abc567-...
    out| faces      1
    out| ALARM: the disk is full; nothing can be opened
    ");
}

#[tokio::test]
async fn no_engine_is_no_error_and_none_is_started() {
    for verb in ["status", "stop"] {
        let ran = usual().without_engine().run(&["engine", verb]).await;
        insta::allow_duplicates! { insta::assert_snapshot!(ran, @"
        exit 0
        err| no engine runs; a verb that needs one starts it, and takes up what one left
        "); }
        let ran = usual().without_engine().run(&["engine", verb, "--json"]).await;
        assert!(ran.documents()[0]["engine"].is_null(), "{ran}");
    }
}

#[tokio::test]
async fn stop_is_the_engines_to_refuse() {
    let ran = engine(|world: &mut World, command| match command {
        Command::Stop => Err(Report::new(Kind::Denied, "cannot stop while 2 sessions live")
            .hint("breakglass end --all")),
        other => world.usual(other),
    })
    .run(&["engine", "stop"])
    .await;
    insta::assert_snapshot!(ran, @"
    exit 4
    err| denied: cannot stop while 2 sessions live
    err|   hint: breakglass end --all
    ");
    let ran = engine(|world: &mut World, command| match command {
        Command::Stop => {
            world.stopped = true;
            Ok(Reply::Done)
        }
        other => world.usual(other),
    })
    .run(&["engine", "stop"])
    .await;
    insta::assert_snapshot!(ran, @"
    exit 0
    err| engine 4242 has stopped
    ");
}
