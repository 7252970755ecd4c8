//! A crash, a hand-over, and what is made of them.

use super::*;

#[test]
fn a_restart_ends_what_was_opening() {
    let mut story = Story::of(&[step(&[]), step(&[0]), check()]);
    story.tell(1, applied(0));
    // Steps 1 and 2 were under way. A check leaves nothing to look for.
    assert_eq!(story.tell(30, Fact::Restarted), "look 1");
    assert_eq!(story.reason(), Some(EndReason::ActivationFailed));
    assert_eq!(story.detail(), Some("the engine was restarted while the session was opening"));
    // The settle time begins anew: nobody knows when the request left.
    assert_eq!(story.tell(31, absent(1)), "until 32");
    assert_eq!(story.tell(119, absent(1)), "until 120");
    assert_eq!(story.tell(120, absent(1)), "start undo 0; undo 0");
}

#[test]
fn a_restart_adopts_what_was_active() {
    let mut story = Story::of(&[step(&[]), listener(&[0])]);
    story.tell(1, applied(0));
    story.tell(2, applied(1));
    assert_eq!(story.tell(300, Fact::Restarted), "look 0; until 602");
    assert!(story.session.is_mending());
    assert_eq!(story.tell(301, look_failed(0)), "until 306");
    assert_eq!(story.wait(306), "look 0; until 602");
    // What died with the engine is made again, as it was, once what it needs was seen.
    assert_eq!(story.tell(307, found(0)), "start 1; apply 1 as key k1; until 602");
    assert_eq!(story.tell(308, applied(1)), "until 602");
    assert!(!story.session.is_mending());
    let since: Vec<_> = receipt(&story.session).iter().map(|line| line.made_at).collect();
    assert_eq!(since, [second(1), second(2)], "made then, and made again since");
    assert_eq!(story.wait(602), "lease-expired; start undo 1; undo 1");
}

#[test]
fn a_key_that_is_used_up_is_not_missed_at_a_restart() {
    let key = PlannedStep { lives: Lives::UntilUsed, ..step(&[]) };
    let mut story = Story::of(&[key, step(&[0])]);
    story.tell(1, applied(0));
    story.tell(2, applied(1));
    assert_eq!(story.tell(300, Fact::Restarted), "look 1; until 602");
    assert_eq!(story.tell(301, found(1)), "until 602");
    // It is taken back at the end all the same: nobody may ever have used it.
    assert_eq!(story.end(400), "start undo 1; undo 1");
    story.tell(401, Fact::UndoSent { step: 1, problem: None });
    assert_eq!(story.tell(402, absent(1)), "start undo 0; undo 0");
}

#[test]
fn what_is_gone_at_a_restart_ends_the_session() {
    let mut story = Story::active();
    assert_eq!(story.tell(300, Fact::Restarted), "look 0; look 1; until 601");
    assert_eq!(story.tell(301, absent(0)), "provider-lost; start undo 1; undo 1");
    assert_eq!(story.detail(), Some("create key: it is gone"));
}

#[test]
fn an_adoption_that_is_cut_short_by_the_end_removes_everything() {
    let mut story = Story::of(&[step(&[]), listener(&[0])]);
    story.tell(1, applied(0));
    story.tell(2, applied(1));
    story.tell(300, Fact::Restarted);
    assert_eq!(story.end(301), "start undo 1; undo 1");
}

#[test]
fn an_endpoint_that_nobody_saw_reopened_is_reopened_after_the_next_restart() {
    let mut story = Story::of(&[check(), listener(&[0])]);
    story.tell(1, Fact::StepApplied { step: 0, artifact: None });
    story.tell(2, applied(1));
    assert_eq!(story.tell(300, Fact::Restarted), "start 1; apply 1 as key k1; until 602");
    assert_eq!(story.tell(301, unknown(1)), "look 1; until 602");
    assert_eq!(story.tell(302, Fact::Restarted), "start 1; apply 1 as key k1; until 602");
    assert_eq!(story.reason(), None);
}

#[test]
fn a_restart_tries_at_once_what_waited() {
    let mut story = Story::of(&[step(&[])]);
    story.tell(1, applied(0));
    story.end(100);
    // The undo may have been heard or not; it is sent again.
    assert_eq!(story.tell(101, Fact::Restarted), "start undo 0; undo 0");
    story.tell(102, undo_sent(0));
    assert_eq!(story.tell(103, found(0)), "until 108");
    assert_eq!(story.tell(104, Fact::Restarted), "start undo 0; undo 0");
}

#[test]
fn a_hand_over_changes_nothing() {
    let mut story = Story::of(&[step(&[])]);
    let before = story.session.next(second(5));
    assert_eq!(story.tell(5, Fact::HandedOver), "apply 0; until 60");
    assert_eq!(story.session.next(second(5)), before);
    assert_eq!(story.tell(6, applied(0)), "activated; until 606");
}

#[test]
fn what_was_written_down_and_never_begun_is_looked_for_at_the_end() {
    // A hand-over came between the line and the call, and the operator ended the session.
    let mut story = Story::of(&[step(&[]), check()]);
    assert_eq!(story.end(5), "look 0; look 1");
    assert_eq!(story.tell(6, absent(1)), "look 0");
    assert_eq!(story.tell(6, absent(0)), "look 0");
    assert_eq!(story.tell(7, absent(0)), "until 8");
    assert_eq!(story.tell(96, absent(0)), "ended");
    let mut story = Story::of(&[step(&[])]);
    story.end(5);
    assert_eq!(story.tell(6, found(0)), "start undo 0; undo 0");
}
