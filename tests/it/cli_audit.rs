//! `breakglass audit`, as an operator sees it.

use breakglass::cli::signals::Caught;
use breakglass::domain::audit_event::{Actor, AuditDraft, AuditEvent, Outcome};
use breakglass::domain::operator::Operator;
use breakglass::domain::time::Span;
use breakglass::protocol::{AuditVerdict, Command, Event, Reply, SessionState};

use crate::cli_support::{Beat, Cli, NOW, World, engine, session};

fn event(seq: u64) -> AuditEvent {
    let ana = Operator::unix(1_000, "ana");
    let mut draft = AuditDraft::new("session.activated", "orders-db is open", Actor::person(ana));
    draft.session = Some(session(SessionState::Active).id);
    draft.reason = Some("INC-42".into());
    AuditEvent {
        seq,
        id: format!("019aa207-9fc0-7122-b344-{seq:012}"),
        time: (NOW + Span::from_seconds(seq)).to_rfc3339(),
        event: draft,
        prev: "0".repeat(64),
        hash: "f".repeat(64),
    }
}

/// An engine with so many events on record.
fn on_record(count: u64) -> Cli {
    engine(move |world: &mut World, command| match command {
        Command::AuditTail { limit, before } => {
            let end = before.unwrap_or(count + 1);
            let start = end.saturating_sub(u64::from(limit)).max(1);
            Ok(Reply::Audit((start..end).map(event).collect()))
        }
        other => world.usual(other),
    })
}

fn seqs(documents: &[serde_json::Value]) -> Vec<u64> {
    documents.iter().map(|document| document["event"]["seq"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn tail_prints_the_newest_last() {
    insta::assert_snapshot!(on_record(30).run(&["audit", "tail", "-n", "2"]).await, @"
    exit 0
    out| 2025-11-20T16:10:29.000Z     29 success session.activated          55667788 ana orders-db is open (INC-42)
    out| 2025-11-20T16:10:30.000Z     30 success session.activated          55667788 ana orders-db is open (INC-42)
    ");
    assert_eq!(on_record(30).run(&["audit", "tail"]).await.stdout().lines().count(), 20);
    assert_eq!(on_record(3).run(&["audit", "tail"]).await.stdout().lines().count(), 3);
    insta::assert_snapshot!(on_record(0).run(&["audit", "tail"]).await, @"exit 0");
}

#[tokio::test]
async fn tail_as_json_is_one_document_with_every_field() {
    insta::assert_snapshot!(on_record(1).run(&["audit", "tail", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"events":[{"seq":1,"id":"019aa207-9fc0-7122-b344-000000000001","time":"2025-11-20T16:10:01.000Z","type":"session.activated","outcome":"success","description":"orders-db is open","actor":{"kind":"operator","operator":{"uid":1000,"name":"ana"}},"object":null,"session":"019aa207-9fc0-7122-b344-5566778899aa","source":{"host":null,"ip":null,"tty":null,"uid":null},"reason":"INC-42","changes":null,"metadata":null,"drill":false,"prev":"0000000000000000000000000000000000000000000000000000000000000000","hash":"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"}]}
    "#);
}

#[tokio::test]
async fn tail_asks_for_more_than_a_page_in_pages() {
    let ran = on_record(5_000).run(&["audit", "tail", "-n", "2500", "--json"]).await;
    let events = ran.documents()[0]["events"].as_array().unwrap().clone();
    let seqs: Vec<_> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (2_501..=5_000).collect::<Vec<_>>());
    assert_eq!(ran.heard.len(), 3);
}

#[tokio::test]
async fn events_that_stand_out_do_so_without_colour() {
    let ran = engine(|world: &mut World, command| match command {
        Command::AuditTail { .. } => {
            let mut failed = event(1);
            failed.event.outcome = Outcome::Failure;
            failed.event.actor = Actor::engine();
            failed.event.session = None;
            failed.event.reason = None;
            let mut drill = event(2);
            drill.event.drill = true;
            drill.event.outcome = Outcome::Unknown;
            drill.event.description = "\u{1b}[2Jgone".into();
            Ok(Reply::Audit(vec![failed, drill]))
        }
        other => world.usual(other),
    })
    .run(&["audit", "tail"])
    .await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| 2025-11-20T16:10:01.000Z      1 FAILURE session.activated          -        engine orders-db is open
    out| 2025-11-20T16:10:02.000Z      2 unknown session.activated          55667788 ana DRILL <1B>[2Jgone (INC-42)
    ");
}

#[tokio::test]
async fn follow_misses_nothing_and_tells_nothing_twice() {
    // The third event is on record and told as well; after the cut, what was missed is fetched.
    let mut known = 3;
    let ran = engine(move |world: &mut World, command| match command {
        Command::AuditTail { limit, before } => {
            let end = before.unwrap_or(known + 1);
            known = 6;
            let start = end.saturating_sub(u64::from(limit)).max(1);
            Ok(Reply::Audit((start..end).map(event).collect()))
        }
        other => world.usual(other),
    })
    .world(|world| {
        for seq in [3, 4] {
            world.later.push_back(Beat::Tell(Event::Audit(Box::new(event(seq)))));
        }
        world.later.push_back(Beat::Cut);
        world.later.push_back(Beat::Tell(Event::Audit(Box::new(event(7)))));
    })
    .on("\"seq\":7", Caught::Interrupt)
    .run(&["audit", "tail", "-n", "2", "--follow", "--json"])
    .await;
    assert_eq!(ran.code, 0, "{ran}");
    assert_eq!(seqs(&ran.documents()), [2, 3, 4, 5, 6, 7]);
}

#[tokio::test]
async fn follow_ends_with_the_engine() {
    let ran = on_record(1)
        .world(|world| world.later.push_back(Beat::Tell(Event::Stopped)))
        .run(&["audit", "tail", "--follow"])
        .await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| 2025-11-20T16:10:01.000Z      1 success session.activated          55667788 ana orders-db is open (INC-42)
    err| the engine has stopped
    ");
}

#[tokio::test]
async fn verify_prints_the_head_to_be_noted() {
    let whole = |world: &mut World, command| match command {
        Command::AuditVerify => Ok(Reply::AuditVerdict(AuditVerdict {
            events: 1_234,
            broken: None,
            head: "abcde fghij klmno pqrst".into(),
        })),
        other => world.usual(other),
    };
    insta::assert_snapshot!(engine(whole).run(&["audit", "verify"]).await, @"
    exit 0
    out| the audit chain holds: 1234 events
    out| head abcde fghij klmno pqrst
    ");
    insta::assert_snapshot!(engine(whole).run(&["audit", "verify", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"audit":{"holds":true,"events":1234,"head":"abcde fghij klmno pqrst","first_bad_seq":null,"what":null}}
    "#);
}

#[tokio::test]
async fn a_broken_chain_is_exit_5_and_names_the_first_bad_event() {
    let broken = |world: &mut World, command| match command {
        Command::AuditVerify => Ok(Reply::AuditVerdict(AuditVerdict {
            events: 1_234,
            broken: Some((17, "its hash does not fit what it says".into())),
            head: "abcde fghij klmno pqrst".into(),
        })),
        other => world.usual(other),
    };
    insta::assert_snapshot!(engine(broken).run(&["audit", "verify"]).await, @"
    exit 5
    err| unavailable: the audit chain breaks at event 17
    err|   because: its hash does not fit what it says
    err|   hint: keep a copy of the state directory before anything else writes to it
    ");
    insta::assert_snapshot!(engine(broken).run(&["audit", "verify", "--json"]).await, @r#"
    exit 5
    out| {"version":1,"audit":{"holds":false,"events":1234,"head":"abcde fghij klmno pqrst","first_bad_seq":17,"what":"its hash does not fit what it says"}}
    err| {"version":1,"error":{"kind":"unavailable","message":"the audit chain breaks at event 17","causes":["its hash does not fit what it says"],"hint":"keep a copy of the state directory before anything else writes to it"}}
    "#);
}
