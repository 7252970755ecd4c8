//! Quitting, being killed, losing the terminal, losing the engine.

use breakglass::protocol::{Command, Event, Reply, SessionState};
use breakglass::tui::input::Input;
use breakglass::tui::keymap::Key;
use breakglass::tui::msg::{Leave, Msg};
use breakglass::tui::{Cause, Exit};

use crate::tui_models::{session, snapshot};
use crate::tui_walk::{Engine, Walk, turned};

fn live() -> Walk {
    Walk::start(vec![session(1, "orders-db", SessionState::Active)])
}

#[tokio::test]
async fn with_live_sessions_quitting_asks_and_staying_is_the_safe_answer() {
    let mut walk = live();
    walk.sees("● Active").await.key(Key::Char('q'));
    walk.sees("1 session goes on until 16:38").await.sees("[ stay ]").await.key(Key::Enter);
    walk.sees_no("[ stay ]").await.key(Key::Ctrl('c')).sees("[ stay ]").await;
    walk.key(Key::Right).sees("[ hand over ]").await.key(Key::Enter);
    assert_eq!(walk.leaves().await, Exit { leave: Leave::HandOver, cause: Cause::Asked });
}

#[tokio::test]
async fn ending_all_stays_until_everything_is_seen_gone() {
    let mut walk = live();
    let one = session(1, "orders-db", SessionState::Active);
    walk.sees("● Active").await.key(Key::Char('q')).key(Key::Left);
    walk.sees("[ end all ]").await.key(Key::Enter);
    assert_eq!(walk.answers(Ok(Reply::Done)).await, Command::EndAll);
    walk.sees("leaves once everything is seen gone").await;
    walk.tells(turned(&one, SessionState::Ending)).await;
    walk.sees("◄ Ending").await;
    walk.tells(turned(&one, SessionState::Ended)).await;
    assert_eq!(walk.leaves().await, Exit { leave: Leave::EndedAll, cause: Cause::Asked });
}

#[tokio::test]
async fn a_signal_hands_over_and_asks_nobody() {
    let mut walk = live();
    walk.sees("● Active").await.input(Input::Msg(Msg::Terminate));
    assert_eq!(walk.leaves().await, Exit { leave: Leave::HandOver, cause: Cause::Asked });
    let mut walk = live();
    walk.sees("● Active").await.input(Input::HungUp);
    assert_eq!(walk.leaves().await, Exit { leave: Leave::HandOver, cause: Cause::HungUp });
}

#[tokio::test]
async fn a_face_that_hosts_nothing_leaves_nothing_behind() {
    let sessions = vec![session(1, "orders-db", SessionState::Active)];
    let mut walk = Walk::at(snapshot(sessions), (80, 24), false);
    walk.sees("● Active").await.key(Key::Char('q')).sees("in the engine's own process").await;
    walk.key(Key::Right).sees("[ leave ]").await.key(Key::Enter);
    assert_eq!(walk.leaves().await, Exit { leave: Leave::Nothing, cause: Cause::Asked });
}

#[tokio::test]
async fn after_a_hand_over_the_face_follows_and_hosts_nothing() {
    let mut walk = live();
    walk.sees("● Active").await;
    walk.engine.tell(Event::HandedOver).await;
    walk.sees("the engine moves to another process").await;
    let mut sessions = snapshot(vec![session(1, "orders-db", SessionState::Active)]);
    sessions.engine.host = "jump-2".into();
    let other = Engine::start(&mut walk.tasks, sessions);
    walk.elsewhere.send_replace(Some(other.handle.clone()));
    walk.sees("jump-2").await.sees_no("moves to another").await.key(Key::Char('q'));
    walk.sees("in the engine's own process").await;
}

#[tokio::test]
async fn a_face_that_was_cut_off_subscribes_again() {
    let walk = live();
    walk.sees("● Active").await;
    // Subscribing for somebody else drops the sender that the face listens to.
    let _other = walk.engine.handle.subscribe().await.unwrap();
    walk.sees("attached to the engine again").await;
}

#[tokio::test]
async fn an_engine_that_has_stopped_is_said_to_have_stopped() {
    let mut walk = Walk::start(vec![]);
    walk.sees("No session yet").await;
    walk.engine.tell(Event::Stopped).await;
    walk.sees("the engine has stopped").await.key(Key::Char('o'));
    walk.sees("start breakglass again").await.key(Key::Char('q'));
    assert_eq!(walk.leaves().await, Exit { leave: Leave::Nothing, cause: Cause::Asked });
}

/// A terminal that is held takes no frame. The face goes on listening, and shows the last state
/// when the terminal is let go: frames are dropped, not queued.
#[tokio::test]
async fn a_held_terminal_drops_frames_and_holds_up_nobody() {
    let mut walk = live();
    let one = session(1, "orders-db", SessionState::Active);
    walk.sees("● Active").await;
    walk.hold.send_replace(true);
    for bytes in 0..5_000_u64 {
        let mut traffic = one.traffic;
        traffic.bytes_down = bytes * 1_000;
        // More events than any channel holds: this waits unless the face goes on taking them in.
        walk.engine.tell(Event::Traffic { session: one.id, traffic }).await;
    }
    let held = walk.bytes().len();
    walk.hold.send_replace(false);
    walk.sees("4.7 MiB").await;
    assert!(walk.bytes().len() - held < 4_000, "{} bytes", walk.bytes().len() - held);
}

#[tokio::test]
async fn a_flood_of_keys_is_taken_in_at_once() {
    let sessions = (0..200).map(|number| session(number, "orders-db", SessionState::Ended));
    let walk = Walk::start(sessions.collect());
    walk.sees("□ Ended").await;
    for _ in 0..10_000 {
        walk.key(Key::Down).key(Key::Up);
    }
    walk.key(Key::Char('4')).sees("session.requested").await;
}
