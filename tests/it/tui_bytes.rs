//! What a screen costs on the line, and when it costs nothing.

use breakglass::domain::role::Role;
use breakglass::domain::time::Span;
use breakglass::protocol::{Reply, SessionState};
use breakglass::tui::keymap::Key;
use breakglass::tui::model::Model;
use breakglass::tui::msg::Msg;
use breakglass::tui::screen::Screen;
use breakglass::tui::update::update;

use crate::tui_models::{NOW, Stage, session, session_id, snapshot};
use crate::tui_people::{barred, page, prompt, signed_in};
use crate::tui_scenes::gallery;

/// A countdown costs one small write a second, however late it is.
#[test]
fn a_countdown_costs_at_most_40_bytes_a_second() {
    for size in [(60, 16), (80, 24), (140, 40)] {
        let mut model = one_active(size);
        let mut screen = Screen::new(size);
        screen.draw(&model);
        let mut all = 0;
        for second in 1..=240 {
            let wake = model.wake_at().expect("a countdown is in view");
            assert_eq!(wake, NOW + Span::from_seconds(second), "on whole seconds only");
            update(&mut model, Msg::Tick(wake));
            let bytes = screen.draw(&model);
            assert!(bytes.len() <= 48, "{}: {:?}", bytes.len(), String::from_utf8_lossy(&bytes));
            all += bytes.len();
        }
        assert!(all <= 40 * 240, "{size:?}: {} bytes a second", all / 240);
    }
}

/// So does the countdown of a single sign-on, with its QR code in view.
#[test]
fn waiting_for_a_single_sign_on_costs_at_most_40_bytes_a_second() {
    for size in [(60, 16), (80, 24), (140, 40)] {
        let begun = Stage::attached(barred()).key(Key::BackTab).key(Key::Enter);
        let mut model = begun.answer(Ok(Reply::SsoPrompt(prompt()))).model;
        update(&mut model, Msg::Resize(size.0, size.1));
        let mut screen = Screen::new(size);
        screen.draw(&model);
        let mut all = 0;
        for second in 1..=240 {
            let wake = model.wake_at().expect("a countdown is in view");
            assert_eq!(wake, NOW + Span::from_seconds(second), "on whole seconds only");
            update(&mut model, Msg::Tick(wake));
            all += screen.draw(&model).len();
        }
        assert!(all <= 40 * 240, "{size:?}: {} bytes a second", all / 240);
        update(&mut model, Msg::Tick(NOW + Span::from_seconds(900)));
        assert_eq!(model.wake_at(), None, "once the code has expired nothing counts");
    }
}

fn one_active(size: (u16, u16)) -> Model {
    let sessions =
        vec![session(1, "orders-db", SessionState::Active), session(2, "k8s", SessionState::Ended)];
    Stage::with(sessions).then(Msg::Resize(size.0, size.1)).model
}

#[test]
fn a_screen_on_which_nothing_changes_costs_nothing() {
    for (name, model) in gallery() {
        let mut screen = Screen::new(model.size);
        assert!(!screen.draw(&model).is_empty(), "{name}");
        assert_eq!(screen.draw(&model), b"", "{name}");
    }
}

#[test]
fn a_screen_on_which_nothing_runs_wakes_nobody() {
    let past = vec![session(1, "orders-db", SessionState::Ended)];
    for tab in ['1', '2', '3', '4'] {
        let model = Stage::with(past.clone()).key(Key::Char(tab)).model;
        assert_eq!(model.wake_at(), None, "tab {tab}");
    }
    for snapshot in [barred(), signed_in(Role::Owner)] {
        let model = Stage::attached(snapshot).key(Key::Tab).key(Key::Char('3')).model;
        assert_eq!(model.wake_at(), None);
    }
    // Behind another tab a countdown wakes the face only to warn.
    let active = vec![session(1, "orders-db", SessionState::Active)];
    let model = Stage::with(active).key(Key::Char('4')).model;
    let end = NOW + Span::from_seconds(28 * 60 + 14);
    assert_eq!(model.wake_at(), Some(end - Span::from_minutes(15)));
}

#[test]
fn the_operator_is_warned_at_15_5_and_1_minutes_and_once() {
    let mut stage = Stage::with(vec![session(1, "orders-db", SessionState::Active)]);
    let end = NOW + Span::from_seconds(28 * 60 + 14);
    let mut rung = vec![];
    for seconds_left in (0..=28 * 60).rev() {
        let before = stage.effects.len();
        stage.send(Msg::Tick(end - Span::from_seconds(seconds_left)));
        rung.extend((stage.effects.len() > before).then_some(seconds_left));
    }
    assert_eq!(rung, [300, 60], "the bell rings at five minutes and at one");
    let said: Vec<_> = stage.model.messages.all().iter().map(|it| it.text.clone()).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    orders-db ends in 15:00, at 16:38; x extends it
    orders-db ends in 5:00, at 16:38; x extends it
    orders-db ends in 1:00, at 16:38; x extends it
    ");
}

#[test]
fn a_longer_lease_is_warned_of_anew() {
    let mut stage = Stage::with(vec![session(1, "orders-db", SessionState::Active)]);
    let end = NOW + Span::from_seconds(28 * 60 + 14);
    stage.send(Msg::Tick(end - Span::from_seconds(250)));
    let mut longer = session(1, "orders-db", SessionState::Active);
    longer.lease = Span::from_minutes(45);
    longer.lease_ends_at = Some(end + Span::from_minutes(15));
    stage.send(Msg::Events(vec![breakglass::protocol::Event::Session(Box::new(longer))]));
    let before = stage.model.messages.all().len();
    stage.send(Msg::Tick(end + Span::from_minutes(11)));
    assert_eq!(stage.model.messages.all().len(), before + 1);
}

/// Ten thousand sessions cost no more than the window shows.
#[test]
fn keys_cost_little_on_the_line() {
    let mut snapshot = snapshot(vec![]);
    snapshot.sessions =
        (0..200).map(|number| session(number, "orders-db", SessionState::Ended)).collect();
    for (number, session) in (0..).zip(&mut snapshot.sessions) {
        session.target.name = format!("target-{number:05}");
        session.requested_at = NOW - Span::from_minutes(number * 7);
        session.reason = format!("INC-{number} looking into it");
    }
    let mut stage = Stage::attached(snapshot);
    assert_eq!(stage.model.sessions.get(&session_id(1)).map(|it| it.id), Some(session_id(1)));
    let mut screen = Screen::new((80, 24));
    screen.draw(&stage.model);
    let mut cost = |stage: &mut Stage, key: Key| {
        stage.send(Msg::Key(key));
        screen.draw(&stage.model).len()
    };
    for _ in 0..40 {
        let bytes = cost(&mut stage, Key::Down);
        assert!(bytes <= 300, "{bytes} bytes for a cursor key");
    }
    for tab in ['1', '2', '3', '4', '2'] {
        let bytes = cost(&mut stage, Key::Char(tab));
        assert!(bytes <= 3_072, "{bytes} bytes for tab {tab}");
    }
}

#[test]
fn people_cost_no_more_on_the_line_than_sessions() {
    let mut stage = Stage::attached(signed_in(Role::Owner));
    let mut screen = Screen::new((80, 24));
    screen.draw(&stage.model);
    let mut cost = |stage: &mut Stage, key: Key| {
        stage.send(Msg::Key(key));
        screen.draw(&stage.model).len()
    };
    assert!(cost(&mut stage, Key::Char('3')) <= 3_072);
    for key in [Key::Down, Key::Down, Key::Up] {
        let bytes = cost(&mut stage, key);
        assert!(bytes <= 1_024, "{bytes} bytes for a cursor key on the list");
    }
    cost(&mut stage, Key::Char('O'));
    let mut stage = stage.answer(Ok(Reply::Operators(page(0, 500))));
    assert!(cost(&mut stage, Key::Down) <= 3_072);
    for row in 1..40 {
        let bytes = cost(&mut stage, Key::Down);
        // From the last row in view on every row changes with each key.
        let most = if row < 18 { 300 } else { 1_500 };
        assert!(bytes <= most, "{bytes} bytes for a cursor key on the operators");
    }
}
