//! What one message does to a model, rule by rule.

use breakglass::domain::role::Role;
use breakglass::domain::target::TargetKind;
use breakglass::domain::time::Span;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{
    Command, Event, Notice, Reply, SessionState, Severity, SignInAsk, TargetView,
};
use breakglass::tui::keymap::Key;
use breakglass::tui::model::dialog::Dialog;
use breakglass::tui::model::open::Catalogue;
use breakglass::tui::model::{Link, Tab};
use breakglass::tui::msg::{Effect, Leave, Msg, Purpose};
use breakglass::tui::update::update;

use crate::tui_gallery::{drawn, text};
use crate::tui_models::{
    LOOK, NOW, Stage, path_direct, session, session_id, session_that_waits, snapshot, target,
    targets,
};
use crate::tui_people::me;

fn two() -> Stage {
    Stage::with(vec![
        session(1, "orders-db", SessionState::Active),
        session(2, "billing-db", SessionState::CleanupOwed),
        session(3, "k8s", SessionState::Ended),
    ])
}

fn names(stage: &Stage) -> Vec<&str> {
    let sessions = &stage.model.sessions;
    let window = sessions.rows.window(99);
    window.filter_map(|(id, _)| sessions.get(id)).map(|it| it.target.name.as_str()).collect()
}

fn last_message(stage: &Stage) -> &str {
    &stage.model.messages.all().back().unwrap().text
}

#[test]
fn what_is_owed_stands_first_however_the_rows_are_sorted() {
    assert_eq!(names(&two()), ["billing-db", "orders-db", "k8s"]);
    for marks in 0..7 {
        let mut stage = two().types(&">".repeat(marks)).types("s");
        assert_eq!(names(&stage)[0], "billing-db", "column {marks}");
        stage = stage.types("s");
        assert_eq!(names(&stage)[0], "billing-db", "column {marks}, the other way round");
    }
}

#[test]
fn the_cursor_stays_on_its_session_when_rows_move() {
    let stage = two().key(Key::Down);
    assert_eq!(stage.model.sessions.selected().unwrap().id, session_id(1));
    let owed = session(4, "search", SessionState::CleanupOwed);
    let stage = stage.then(Msg::Events(vec![Event::Session(Box::new(owed))]));
    assert_eq!(stage.model.sessions.selected().unwrap().id, session_id(1));
}

#[test]
fn a_late_answer_is_not_taken_for_the_answer_to_a_later_question() {
    let stage = Stage::with(vec![]).types("o").answer(Ok(Reply::Targets(targets())));
    let stage = stage.types("orders-db").key(Key::Enter);
    let Some(Effect::Call(Command::Path(_), first)) = stage.effects.last().cloned() else {
        panic!()
    };
    let stage = stage.key(Key::BackTab).types("x").key(Key::Backspace).key(Key::Enter);
    let stage = stage.then(Msg::Answer(first, Ok(path_direct())));
    let Some(Dialog::Open(form)) = &stage.model.dialog else { panic!() };
    assert_eq!(form.chosen.as_ref().unwrap().path, None);

    // The dialog it was sent from is gone; another one is open.
    let opened = session(9, "orders-db", SessionState::Activating);
    let answer = Ok(Reply::Session(Box::new(opened)));
    let stage = stage.then(Msg::Answer(Purpose::Open(1_000), answer));
    assert!(matches!(stage.model.dialog, Some(Dialog::Open(_))));
    assert!(stage.model.sessions.get(&session_id(9)).is_some());
}

#[test]
fn a_key_that_does_nothing_says_why() {
    for (keys, why) in [
        ("r", "orders-db owes no clean-up"),
        ("ge", "billing-db has ended, but something is owed: r tries again to remove it"),
        ("Gx", "only an Active session is extended; this one is Ended"),
        ("Gy", "there is nothing to copy: the session is over"),
        ("1D", "direct cannot be removed: Direct is built in; it can be switched off, not removed"),
        ("4s", "the audit has one order, that of the chain"),
    ] {
        let stage = two().key(Key::Down).types(keys);
        assert_eq!(last_message(&stage), why, "{keys}");
        assert_eq!(stage.model.dialog, None);
    }
}

#[test]
fn a_process_that_carries_sessions_is_not_suspended() {
    let mut stage = two();
    stage.model.hosting = true;
    let stage = stage.key(Key::Ctrl('z'));
    assert_eq!(stage.effects, vec![]);
    assert!(last_message(&stage).starts_with("ctrl-z would freeze 2 sessions"));
    assert_eq!(Stage::with(vec![]).key(Key::Ctrl('z')).effects, vec![Effect::Suspend]);
}

#[test]
fn the_last_reasons_are_walked_through_and_back() {
    let stage = Stage::with(vec![]).types("o").answer(Ok(Reply::Targets(targets())));
    let mut stage = stage.types("k8s").key(Key::Enter);
    let mut seen = vec![];
    for key in [Key::Up, Key::Up, Key::Up, Key::Down, Key::Down] {
        stage = stage.key(key);
        let Some(Dialog::Open(form)) = &stage.model.dialog else { panic!() };
        seen.push(form.reason.text().to_owned());
    }
    let newest = "INC-42 orders are stuck in the queue";
    assert_eq!(seen, [newest, "INC-41 slow", "INC-41 slow", newest, ""]);
}

#[test]
fn durations_stay_within_what_the_target_allows() {
    let mut short = target("orders-db", TargetKind::Postgres, 5_432);
    short.duration_max = Some(Span::from_minutes(60));
    let views = vec![TargetView { target: short, path: None }];
    let stage = Stage::with(vec![]).types("o").answer(Ok(Reply::Targets(views))).key(Key::Enter);
    let stage = (0..9).fold(stage.key(Key::Tab), |stage, _| stage.key(Key::Right));
    let Some(Dialog::Open(form)) = &stage.model.dialog else { panic!() };
    assert_eq!(form.duration.text(), "1h");
}

#[test]
fn names_are_searched_loosely_and_the_rest_to_the_letter() {
    let catalogue = Catalogue::of(targets());
    let found = |query: &str| {
        let places = catalogue.search(query).into_iter();
        let ids = places.map(|place| catalogue.entries()[place].target.id.to_string());
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("ordb"), "orders-db");
    assert_eq!(found("k8s"), "k8s");
    assert_eq!(found("db"), "orders-db billing-db");
    assert_eq!(found("mysql"), "billing-db");
    assert_eq!(found("acme 6379"), "orders-cache");
    assert_eq!(found("nothing"), "");
    assert_eq!(found("  ").split(' ').count(), 6);
}

#[test]
fn a_failed_catalogue_says_so_and_is_asked_for_again() {
    let down = || Report::new(Kind::Unavailable, "the store does not answer");
    let stage = Stage::with(vec![]).types("o").answer(Err(down()));
    assert_eq!(stage.model.catalogue, Catalogue::Failed(down()));
    let stage = stage.key(Key::Esc).types("o");
    let asked = |it: &&Effect| matches!(it, Effect::Call(Command::Targets { .. }, _));
    assert_eq!(stage.effects.iter().filter(asked).count(), 2);
}

#[test]
fn attaching_again_keeps_what_the_operator_was_doing() {
    let stage = two().types("o").answer(Ok(Reply::Targets(targets()))).types("k8");
    let stage = stage.then(Msg::CutOff);
    assert_eq!(stage.effects.last(), Some(&Effect::Reattach { same: true }));
    let stage = stage.then(Msg::Attached(Box::new(snapshot(vec![]))));
    let Some(Dialog::Open(form)) = &stage.model.dialog else { panic!() };
    assert_eq!((form.search.text(), form.rows.len()), ("k8", 1));
    assert_eq!(stage.model.link, Link::Live);
}

#[test]
fn a_face_that_no_longer_hosts_leaves_nothing_behind() {
    let mut stage = two();
    stage.model.hosting = true;
    stage.send(Msg::Events(vec![Event::HandedOver]));
    stage.send(Msg::CutOff);
    assert_eq!(stage.effects, [Effect::Reattach { same: false }]);
    stage.send(Msg::Terminate);
    assert_eq!(stage.effects.last(), Some(&Effect::Quit(Leave::Nothing)));
}

#[test]
fn staying_after_all_stays() {
    let stage = two().types("q").key(Key::Left).key(Key::Enter).answer(Ok(Reply::Done));
    assert!(stage.model.leaving);
    let stage = stage.types("q").key(Key::Enter);
    assert!(!stage.model.leaving);
}

#[test]
fn an_alarm_stays_on_screen_and_rings() {
    let notice = |severity, text: &str| {
        Event::Notice(Notice { severity, text: text.into(), session: None, at: NOW })
    };
    let mut stage = two();
    stage.send(Msg::Events(vec![
        notice(Severity::Alarm, "the disk is full"),
        notice(Severity::Info, "a face has come"),
    ]));
    assert_eq!(stage.effects, [Effect::Bell]);
    stage.send(Msg::Tick(NOW + Span::from_minutes(60)));
    assert_eq!(stage.model.messages.toast().unwrap().text, "the disk is full");
    let stage = stage.key(Key::Esc);
    assert_eq!(stage.model.messages.toast(), None);
}

#[test]
fn the_mouse_chooses_tabs_rows_and_columns_and_answers_nothing() {
    let stage = two().then(Msg::Click(3, 1));
    assert_eq!(stage.model.tab, Tab::Providers);
    let stage = stage.then(Msg::Click(16, 1)).then(Msg::Click(10, 5));
    assert_eq!(stage.model.sessions.rows.cursor(), 1);
    let stage = stage.then(Msg::Click(18, 3));
    assert_eq!(stage.model.sessions.rows.sort.column, 1);
    let asked = stage.types("e");
    let before = asked.model.clone();
    let clicked =
        (0..80).fold(asked, |stage, x| (0..24).fold(stage, |it, y| it.then(Msg::Click(x, y))));
    assert_eq!(clicked.model, before);
    let wheel = two().then(Msg::Wheel(3));
    assert_eq!(wheel.model.sessions.rows.cursor(), 2);
    let on = two().types(":mouse").key(Key::Enter);
    assert_eq!(on.effects, [Effect::Mouse(true)]);
}

#[test]
fn on_a_screen_too_small_to_read_nothing_but_leaving_happens() {
    let mut stage = two().then(Msg::Resize(40, 10));
    stage.model.hosting = true;
    let stage = stage.types("eor:y").key(Key::Enter);
    assert_eq!((stage.effects.as_slice(), &stage.model.dialog), ([].as_slice(), &None));
    assert_eq!(stage.types("q").effects, [Effect::Quit(Leave::HandOver)]);
}

#[test]
fn a_key_keeps_a_sign_in_alive_once_a_minute() {
    let in_use = Effect::Call(Command::SignIn(SignInAsk::Whoami), Purpose::InUse);
    let seen = |stage: &mut Stage, after: u64| {
        update(&mut stage.model, Msg::Tick(NOW + Span::from_seconds(after)));
        update(&mut stage.model, Msg::Key(Key::Down)).contains(&in_use)
    };
    let mut stage = two();
    assert!(!seen(&mut stage, 600), "nobody is signed in");
    stage.model.identity.me = Some(me(Role::Member));
    stage.model.used_at = NOW;
    let heard = [59, 60, 61, 119, 120].map(|after| seen(&mut stage, after));
    assert_eq!(heard, [false, true, false, false, true]);
    let late = update(&mut stage.model, Msg::Tick(NOW + Span::from_seconds(999)));
    assert!(!late.contains(&in_use), "time alone is no use");
}

#[test]
fn what_no_command_removes_is_on_the_exit_card_in_words() {
    let mut owed = session(2, "billing-db", SessionState::CleanupOwed);
    owed.exit_card[0].commands.clear();
    owed.exit_card[0].words = Some("remove the lines from the policy file".into());
    let stage = Stage::with(vec![owed]).key(Key::Enter);
    let shown = text(&drawn(&stage.model, (80, 24), LOOK));
    assert!(shown.contains("  by hand   remove the lines from the policy file"), "{shown}");
}

#[test]
fn the_step_under_way_is_in_view_with_what_it_waits_for_and_how_long_it_may() {
    let stage = Stage::with(vec![session_that_waits(2, "billing-replica")]);
    for size in [(80, 24), (120, 30)] {
        let shown = text(&drawn(&stage.model, size, LOOK));
        assert!(shown.contains("wait for the router to"), "{shown}");
        assert!(shown.contains("40s of 2m: the router"), "{shown}");
    }
}

#[test]
fn the_alarm_of_what_is_owed_goes_once_it_is_gone_and_not_before() {
    let told = |state| Msg::Events(vec![Event::Session(Box::new(session(2, "billing-db", state)))]);
    let toast = |stage: &Stage| stage.model.messages.toast().map(|it| it.text.clone());
    let alarm = "billing-db: something is not proven gone; see its exit card";
    let stage = Stage::with(vec![session(2, "billing-db", SessionState::Ending)]);
    let stage = stage.then(told(SessionState::CleanupOwed));
    assert_eq!(toast(&stage).as_deref(), Some(alarm));
    let other = session(3, "k8s", SessionState::Ended);
    let stage = stage.then(Msg::Events(vec![Event::Session(Box::new(other))]));
    assert_eq!(toast(&stage).as_deref(), Some(alarm));
    let stage = stage.then(told(SessionState::Ended));
    assert_eq!(toast(&stage).as_deref(), Some("billing-db has ended: 1 thing seen gone"));
}
