//! The tabs beside Sessions.

use breakglass::protocol::{AuditVerdict, Command, Event, Reply, SessionState};
use breakglass::tui::keymap::Key;

use crate::tui_models::{audit_event, providers, session, snapshot};
use crate::tui_walk::Walk;

#[tokio::test]
async fn providers_are_checked_switched_and_kept() {
    let mut walk = Walk::start(vec![session(1, "orders-db", SessionState::Active)]);
    walk.sees("● Active").await.key(Key::Char('1')).sees("✓ healthy").await.key(Key::Char('c'));
    let direct = || "direct".parse().unwrap();
    assert_eq!(
        walk.answers(Ok(Reply::Providers(providers()))).await,
        Command::ValidateProvider { provider: direct(), deep: false }
    );
    walk.key(Key::Char('D')).sees("direct cannot be removed: Direct is built in").await;
    walk.key(Key::Char('t')).sees("Every session will need a tunnel, also for a reachable").await;
    walk.sees("1 session on it keeps its path").await.key(Key::Right).key(Key::Enter);
    let mut off = providers();
    off[0].enabled = false;
    assert_eq!(
        walk.answers(Ok(Reply::Providers(off))).await,
        Command::SetProviderEnabled { provider: direct(), enabled: false }
    );
    walk.sees("off: it carries no new session").await;
}

#[tokio::test]
async fn the_audit_is_a_live_tail_that_is_filtered_and_verified() {
    let mut walk = Walk::start(vec![]);
    walk.sees("No session yet").await.key(Key::Char('4')).sees("session.extended").await;
    let event = audit_event(8, "session.ended", "orders-db ended, all seen gone");
    walk.engine.tell(Event::Audit(Box::new(event))).await;
    walk.sees("── session.ended").await.types("/refused").sees("1 of 8 events").await;
    walk.key(Key::Enter).sees("× failure").await.key(Key::Enter).sees("203.0.113.9").await;
    walk.key(Key::Esc).key(Key::Esc).sees("8 events").await.key(Key::Char('v'));
    walk.sees("reading the whole chain").await;
    let head = "mzxw6 ytboi 2gk43 7ourb".to_owned();
    let verdict = AuditVerdict { events: 8, broken: None, head };
    assert_eq!(walk.answers(Ok(Reply::AuditVerdict(verdict))).await, Command::AuditVerify);
    walk.sees("The chain holds: 8 events").await.sees("mzxw6 ytboi 2gk43 7ourb").await;
}

#[tokio::test]
async fn older_events_are_fetched_on_the_way_down() {
    let mut snapshot = snapshot(vec![]);
    snapshot.audit = (501..=520).map(|seq| audit_event(seq, "session.ended", "it ended")).collect();
    let mut walk = Walk::at(snapshot, (80, 24), true);
    walk.sees("No session yet")
        .await
        .key(Key::Char('4'))
        .sees("#520")
        .await
        .key(Key::End)
        .types("/older")
        .sees("Nothing among")
        .await;
    let older = (1..=500).map(|seq| audit_event(seq, "session.older", "it was")).collect();
    let asked = walk.answers(Ok(Reply::Audit(older))).await;
    assert_eq!(asked, Command::AuditTail { limit: 500, before: Some(501) });
    walk.sees("#500").await.key(Key::Enter).key(Key::End).sees("#1 ").await;
}

#[tokio::test]
async fn older_sessions_are_fetched_on_the_way_down() {
    let ended = |number: u8| session(number, "orders-db", SessionState::Ended);
    let mut snapshot = snapshot((0..50).map(ended).collect());
    snapshot.sessions_ended_total = 60;
    let mut walk = Walk::at(snapshot, (80, 24), true);
    walk.sees("60 sessions").await.types("/oldest").sees("No session fits").await;
    let (command, reply) = walk.asked().await;
    let Command::Sessions(query) = command else { panic!("{command:?}") };
    assert_eq!((query.offset, query.state), (50, Some(SessionState::Ended)));
    let mut oldest = ended(200);
    oldest.target.name = "the-oldest".into();
    let mut older: Vec<_> = (100..109).map(ended).collect();
    older.push(oldest);
    reply.send(Ok(Reply::Sessions(older))).unwrap();
    walk.sees("── the-oldest").await;
}

#[tokio::test]
async fn where_nobody_signs_in_the_users_tab_says_so() {
    let walk = Walk::start(vec![]);
    walk.sees("No session yet").await.key(Key::Char('3')).sees("Nobody signs in here").await;
    walk.key(Key::Char('e')).sees("this is a drill: nobody signs in").await;
    walk.key(Key::Right).sees("engine.started").await;
}
