//! Keys: every one that a footer shows does something, and none does harm.

use breakglass::domain::role::Role;
use breakglass::domain::time::Span;
use breakglass::protocol::{
    BreakGlassAsk, Command, Event, IdpAsk, OperatorsAsk, SessionState, SignInAsk,
};
use breakglass::tui::keymap::{Action, Key, action};
use breakglass::tui::layout::{HEIGHT_MIN, WIDTH_MIN};
use breakglass::tui::msg::{Effect, Leave, Msg};
use breakglass::tui::update::update;
use breakglass::tui::view::footer_keys;
use proptest::prelude::*;

use crate::tui_gallery::drawn;
use crate::tui_models::{LOOK, NOW, Stage, session, snapshot};
use crate::tui_people::{barred, signed_in};
use crate::tui_scenes::gallery;

#[test]
fn every_key_in_a_footer_does_something() {
    for (name, model) in gallery() {
        let shown = footer_keys(&model, 200);
        assert!(!shown.is_empty(), "{name}: a footer without a key");
        for binding in shown {
            let key = *binding.keys.first().unwrap();
            assert_eq!(action(model.contexts(), key), Some(binding.action), "{name}: {key:?}");
            let mut after = model.clone();
            let effects = update(&mut after, Msg::Key(key));
            let said =
                after.messages.all().len() > model.messages.all().len() && effects.is_empty();
            let refused = said && after.dialog == model.dialog;
            assert!(after != model || !effects.is_empty(), "{name}: {key:?} does nothing");
            assert!(!refused, "{name}: {key:?} stands in the footer and is refused");
        }
    }
}

#[test]
fn a_pane_shows_at_least_five_keys_at_80_columns() {
    for name in ["sessions", "providers", "audit", "users", "operators"] {
        let (_, model) = gallery().into_iter().find(|(other, _)| *other == name).unwrap();
        assert!(footer_keys(&model, 80).len() >= 5, "{name}");
    }
}

#[test]
fn no_single_key_asks_the_engine_to_change_anything() {
    for (name, model) in gallery() {
        for key in every_key() {
            let mut after = model.clone();
            let asked = update(&mut after, Msg::Key(key));
            let changes = asked.iter().any(changes_something);
            // Answering a question, filling in a form, or saving a working copy is the second key.
            let confirmed = matches!(
                action(model.contexts(), key),
                Some(Action::Accept | Action::Retry | Action::Save)
            );
            assert!(!changes || confirmed, "{name}: {key:?} asks for {asked:?}");
        }
    }
}

#[test]
fn pasted_text_confirms_nothing() {
    for (name, model) in gallery() {
        for text in ["y\ny\ny\n", "yes\r\n", "\t\n\t\n", "\u{1b}[C\r", "q\n"] {
            let mut after = model.clone();
            let effects = update(&mut after, Msg::Paste(text.repeat(1_000)));
            assert_eq!(effects, vec![], "{name}");
        }
    }
}

/// A terminal without bracketed paste sends pasted text as keys: a question stays unanswered, or
/// is answered with the safe answer.
#[test]
fn pasted_keys_confirm_nothing() {
    for name in [
        "end",
        "quit",
        "quit attached",
        "providers switch off",
        "users enforce off",
        "users enforce empty",
        "users edit leave",
        "operators remove",
        "logout",
        "open changes a policy file",
    ] {
        let (_, mut model) = gallery().into_iter().find(|(other, _)| *other == name).unwrap();
        for key in [Key::Char('y'), Key::Tab, Key::Char('l'), Key::Char('e'), Key::Enter] {
            let effects = update(&mut model, Msg::Key(key));
            assert!(!effects.iter().any(changes_something), "{name}: {effects:?}");
            assert!(!effects.iter().any(|it| matches!(it, Effect::Quit(_))), "{name}");
        }
    }
}

#[test]
fn ctrl_c_never_loses_anything() {
    let mut stage = Stage::with(vec![session(1, "orders-db", SessionState::Active)]);
    stage.model.hosting = true;
    for _ in 0..7 {
        stage.send(Msg::Key(Key::Ctrl('c')));
    }
    assert_eq!(stage.effects, vec![], "ctrl-c opens the question and closes it, and that is all");
    let mut edited = Stage::attached(signed_in(Role::Admin)).types("3ed");
    for _ in 0..7 {
        edited.send(Msg::Key(Key::Ctrl('c')));
    }
    assert_eq!(edited.effects, vec![], "nor is a list that was edited and not saved");
    assert!(edited.model.users.edit.is_some());
    let stage = Stage::with(vec![]).key(Key::Ctrl('c'));
    assert_eq!(stage.effects, vec![Effect::Quit(Leave::Nothing)]);
}

fn changes_something(effect: &Effect) -> bool {
    let Effect::Call(command, _) = effect else { return false };
    matches!(
        command,
        Command::Open(_)
            | Command::End { .. }
            | Command::Extend { .. }
            | Command::Retry { .. }
            | Command::EndAll
            | Command::SetProviderEnabled { .. }
            | Command::RemoveProvider { .. }
            | Command::Stop
            | Command::Idp(IdpAsk::Add { .. } | IdpAsk::Enforce { .. } | IdpAsk::Remove { .. })
            | Command::BreakGlass(BreakGlassAsk::Change { .. } | BreakGlassAsk::Prove { .. })
            | Command::Operators(
                OperatorsAsk::Invite { .. }
                    | OperatorsAsk::Reset { .. }
                    | OperatorsAsk::Remove { .. }
                    | OperatorsAsk::SetRole { .. }
            )
            | Command::SignIn(
                SignInAsk::Init { .. }
                    | SignInAsk::Redeem { .. }
                    | SignInAsk::SetPassword { .. }
                    | SignInAsk::Logout
            )
            | Command::Vault(_)
    )
}

fn every_key() -> Vec<Key> {
    let mut keys: Vec<Key> = (' '..='~').map(Key::Char).collect();
    keys.extend(('a'..='z').map(Key::Ctrl));
    keys.extend([
        Key::Enter,
        Key::Esc,
        Key::Tab,
        Key::BackTab,
        Key::Backspace,
        Key::Delete,
        Key::Up,
        Key::Down,
        Key::Left,
        Key::Right,
        Key::Home,
        Key::End,
        Key::PageUp,
        Key::PageDown,
        Key::Char('東'),
        Key::Char('\u{202e}'),
    ]);
    keys
}

fn any_msg() -> impl Strategy<Value = Msg> {
    let keys = every_key();
    let state = prop::sample::select(SessionState::ALL.to_vec());
    prop_oneof![
        12 => prop::sample::select(keys).prop_map(Msg::Key),
        2 => (0u16..=200, 0u16..=60).prop_map(|(width, height)| Msg::Resize(width, height)),
        1 => any::<String>().prop_map(Msg::Paste),
        1 => (0u16..200, 0u16..60).prop_map(|(x, y)| Msg::Click(x, y)),
        1 => (-5i16..5).prop_map(Msg::Wheel),
        1 => (0u64..10_000).prop_map(|after| Msg::Tick(NOW + Span::from_seconds(after))),
        2 => (0u8..8, state).prop_map(|(number, state)| {
            Msg::Events(vec![Event::Session(Box::new(session(number, "orders-db", state)))])
        }),
        1 => Just(Msg::CutOff),
        1 => Just(Msg::Attached(Box::new(snapshot(vec![session(1, "k8s", SessionState::Active)])))),
        1 => Just(Msg::Attached(Box::new(signed_in(Role::Owner)))),
        1 => Just(Msg::Attached(Box::new(barred()))),
        1 => Just(Msg::Events(vec![Event::SignedOut { why: "it lasted its time".into() }])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn every_model_fits_every_size(width in 0u16..=200, height in 0u16..=60) {
        for (name, model) in gallery() {
            let buffer = drawn(&model, (width, height), LOOK);
            prop_assert_eq!(buffer.area.width, width, "{}", name);
            let says_so = width < WIDTH_MIN || height < HEIGHT_MIN;
            prop_assert!(says_so || buffer.content().iter().any(|cell| cell.symbol() == "b"));
        }
    }

    #[test]
    fn no_order_of_keys_and_events_breaks_it(msgs in prop::collection::vec(any_msg(), 1..60)) {
        let mut stage = Stage::with(vec![session(1, "orders-db", SessionState::Active)]);
        for msg in msgs {
            stage.send(msg);
            let size = stage.model.size;
            drawn(&stage.model, size, LOOK);
        }
    }
}
