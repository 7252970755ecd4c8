//! Removal: tries, pauses, what is owed.

use super::*;

#[test]
fn gone_means_seen_gone() {
    let mut story = Story::active();
    story.end(100);
    assert_eq!(story.tell(101, undo_sent(1)), "look 1");
    assert_eq!(story.tell(102, found(1)), "until 107");
    assert_eq!(story.wait(106), "until 107");
    assert_eq!(story.wait(107), "start undo 1; undo 1");
    // The undo failed, and yet it is gone.
    story.tell(108, Fact::UndoSent { step: 1, problem: Some("503".to_owned()) });
    assert_eq!(story.tell(109, absent(1)), "start undo 0; undo 0");
}

#[test]
fn tries_come_at_growing_pauses_of_five_minutes_at_the_most() {
    let mut story = Story::of(&[step(&[])]);
    story.tell(1, applied(0));
    story.end(100);
    let (mut at, mut pauses) = (100, vec![]);
    for _ in 0..9 {
        story.tell(at, undo_sent(0));
        let until = story.tell(at, found(0));
        let next: u64 = until.trim_start_matches("until ").parse().unwrap();
        pauses.push(next - at);
        at = next;
        story.wait(at);
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
}

#[test]
fn looks_that_fail_come_at_the_same_pauses_once_the_session_ends() {
    let mut story = Story::of(&[step(&[])]);
    story.tell(1, applied(0));
    story.end(100);
    story.tell(100, undo_sent(0));
    assert_eq!(story.tell(100, look_failed(0)), "until 110");
    assert_eq!(story.wait(110), "look 0");
    assert_eq!(story.tell(110, look_failed(0)), "until 130");
}

#[test]
fn a_removal_is_owed_once_the_third_try_is_seen_not_to_work() {
    let mut story = Story::of(&[step(&[]), step(&[0])]);
    story.tell(1, applied(0));
    story.tell(1, applied(1));
    story.end(100);
    for at in [100, 105] {
        story.tell(at, undo_sent(1));
        story.tell(at, found(1));
        assert!(!story.session.is_owed());
        story.wait(at + 10);
    }
    story.tell(115, Fact::UndoSent { step: 1, problem: Some("403 \u{1b}[31m".to_owned()) });
    assert!(!story.session.is_owed(), "nobody has looked yet");
    // What is owed does not keep the others open.
    assert_eq!(story.tell(115, found(1)), "start undo 0; undo 0; until 135");
    assert!(story.session.is_owed());
    assert_eq!(exit_card(&story.session).len(), 1);
    let card = &exit_card(&story.session)[0];
    assert_eq!(card.artifact, "key k1");
    assert_eq!(card.tried, "3 times; 403 <1B>[31m");
    assert_eq!(card.commands, ["net delete k1"]);
    assert_eq!(card.words.as_deref(), Some("on the host of the network"));
    story.tell(116, undo_sent(0));
    assert_eq!(story.tell(117, absent(0)), "until 135");
    assert_eq!(story.wait(135), "start undo 1; undo 1");
    story.tell(136, undo_sent(1));
    assert!(story.session.is_owed(), "it stays owed until it is seen gone");
    assert_eq!(story.tell(137, absent(1)), "ended");
    assert!(!story.session.is_owed());
    assert_eq!(exit_card(&story.session), []);
}

#[test]
fn a_retry_tries_at_once() {
    let mut story = Story::of(&[step(&[]), step(&[])]);
    story.tell(1, applied(0));
    story.tell(1, applied(1));
    story.end(100);
    for step in [0, 1] {
        story.tell(100, undo_sent(step));
    }
    story.tell(100, found(0));
    assert_eq!(story.tell(100, look_failed(1)), "until 105");
    assert_eq!(story.tell(101, retry()), "start undo 0; undo 0; look 1");
}

#[test]
fn looks_that_fail_while_opening_are_no_tries_at_a_removal() {
    let mut story = Story::of(&[step(&[])]);
    story.tell(10, unknown(0));
    assert_eq!(story.tell(10, look_failed(0)), "until 11");
    for at in [11, 13, 17] {
        story.tell(at, look_failed(0));
    }
    assert_eq!(story.session.steps()[0].tries, 0);
    assert_eq!(exit_card(&story.session), []);
    story.tell(25, found(0));
    assert_eq!(story.end(26), "start undo 0; undo 0");
    story.tell(27, undo_sent(0));
    assert!(!story.session.is_owed());
}

#[test]
fn a_retry_begins_the_pauses_anew_and_forgets_the_reasons_from_before() {
    let mut story = Story::of(&[step(&[])]);
    story.tell(1, applied(0));
    story.end(10);
    let trouble = |why: &str| Fact::UndoSent { step: 0, problem: Some(why.to_owned()) };
    for at in [10, 20, 40, 80] {
        story.tell(at, trouble("the vault is locked"));
        story.tell(at, found(0));
        story.wait(at + 300);
    }
    assert!(story.session.is_owed());
    assert!(exit_card(&story.session)[0].tried.contains("the vault is locked"));
    story.tell(400, trouble("the vault is locked"));
    story.tell(400, found(0));
    story.tell(401, retry());
    assert_eq!(exit_card(&story.session)[0].tried, "5 times; it is tried again now");
    story.tell(402, undo_sent(0));
    assert_eq!(story.tell(402, found(0)), "until 407", "the first pause, not the sixth");
    assert_eq!(exit_card(&story.session)[0].tried, "6 times; it was still there afterwards");
    story.tell(403, retry());
    story.tell(408, undo_sent(0));
    assert_eq!(story.tell(409, absent(0)), "ended");
    assert_eq!(story.session.steps()[0].problem, None, "that it is tried again is over");
}
