//! A path that is lost while the session is Active.

use super::*;

/// A connection that is made again, a check over it, the endpoint; Active at second 3.
fn over_a_connection() -> Story {
    let connection = PlannedStep { remade: true, ..step(&[]) };
    let check = PlannedStep { needs: vec![0], ..check() };
    let mut story = Story::of(&[connection, check, listener(&[0, 1])]);
    story.tell(1, applied(0));
    story.tell(2, Fact::StepApplied { step: 1, artifact: None });
    assert_eq!(story.tell(3, applied(2)), "activated; until 603");
    story
}

#[test]
fn a_lost_path_is_made_again_within_the_lease() {
    let mut story = over_a_connection();
    assert_eq!(story.tell(100, lost(0)), "start 0; apply 0 as key k0; until 603");
    assert!(story.session.is_active() && story.session.is_mending());
    // The check that needs it does not run again, and the endpoint stays as it is.
    assert_eq!(story.tell(101, applied(0)), "until 603");
    assert!(!story.session.is_mending());
    assert_eq!(story.session.steps()[0].problem, None);
    assert_eq!(story.wait(603), "lease-expired; start undo 2; undo 2");
    story.tell(604, undo_sent(2));
    assert_eq!(story.tell(604, absent(2)), "start undo 0; undo 0");
    story.tell(605, undo_sent(0));
    assert_eq!(story.tell(606, absent(0)), "ended");
    let lines = receipt(&story.session);
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[0].made_at, lines[0].gone_at), (second(1), Some(second(606))));
}

#[test]
fn a_lost_path_ends_the_session_where_policy_says_so() {
    let mut story = Story::active();
    assert_eq!(story.tell(100, lost(0)), "provider-lost; start undo 1; undo 1");
    assert_eq!(story.detail(), Some("create key: connection reset"));
    story.tell(101, undo_sent(1));
    // Reported gone is not seen gone.
    assert_eq!(story.tell(102, absent(1)), "start undo 0; undo 0");
    assert_eq!(story.tell(103, undo_sent(0)), "look 0");
    assert_eq!(story.tell(104, absent(0)), "ended");
}

#[test]
fn a_path_that_cannot_be_made_again_is_tried_at_growing_pauses_until_the_lease_ends() {
    let mut story = over_a_connection();
    story.tell(100, lost(0));
    let (mut at, mut pauses) = (100, vec![]);
    for _ in 0..8 {
        let until = story.tell(at, refused(0));
        let next: u64 = until.trim_start_matches("until ").parse().unwrap();
        pauses.push(next - at);
        at = next;
        assert_eq!(story.wait(at), "start 0; apply 0 as key k0; until 603");
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    story.tell(600, refused(0));
    assert_eq!(story.wait(603), "lease-expired; start undo 2; undo 2");
    story.tell(604, undo_sent(2));
    // It is looked for all the same.
    assert_eq!(story.tell(604, absent(2)), "start undo 0; undo 0");
    assert_eq!(story.tell(605, undo_sent(0)), "look 0");
    assert_eq!(story.tell(606, absent(0)), "ended");
    assert_eq!(story.reason(), Some(EndReason::LeaseExpired));
}

#[test]
fn a_path_that_does_not_hold_goes_on_with_its_pauses() {
    let mut story = over_a_connection();
    story.tell(100, lost(0));
    story.tell(101, applied(0));
    assert_eq!(story.tell(110, lost(0)), "until 111");
    assert_eq!(story.wait(111), "start 0; apply 0 as key k0; until 603");
    story.tell(112, applied(0));
    assert_eq!(story.tell(113, lost(0)), "until 115");
    story.wait(115);
    story.tell(116, applied(0));
    assert_eq!(story.tell(176, lost(0)), "start 0; apply 0 as key k0; until 603", "it had held");
}

#[test]
fn a_path_that_may_have_been_made_again_is_looked_for() {
    let mut story = over_a_connection();
    story.tell(100, lost(0));
    assert_eq!(story.tell(110, unknown(0)), "look 0; until 603");
    assert_eq!(story.tell(111, absent(0)), "until 112");
    assert_eq!(story.tell(112, found(0)), "until 603");
    story.tell(300, lost(0));
    story.tell(310, unknown(0));
    // Absent proves something once the settle time is over, and then it is made again.
    assert_eq!(story.tell(399, absent(0)), "until 400");
    assert_eq!(story.tell(400, absent(0)), "until 401");
    assert_eq!(story.wait(401), "start 0; apply 0 as key k0; until 603");
    assert_eq!(story.reason(), None);
}

#[test]
fn a_restart_in_the_middle_goes_on() {
    let mut story = over_a_connection();
    story.tell(100, lost(0));
    // The request may have been heard.
    assert_eq!(story.tell(101, Fact::Restarted), "look 0; until 603");
    assert_eq!(story.tell(102, found(0)), "start 2; apply 2 as key k2; until 603");
    story.tell(103, applied(2));
    story.tell(200, lost(0));
    story.tell(201, refused(0));
    assert_eq!(
        story.tell(201, Fact::Restarted),
        "start 0; apply 0 as key k0; until 603",
        "what waited is tried at once"
    );
}

#[test]
fn what_was_lost_while_nobody_watched_is_made_again() {
    let mut story = over_a_connection();
    assert_eq!(story.tell(300, Fact::Restarted), "look 0; until 603");
    assert_eq!(story.tell(301, absent(0)), "start 0; apply 0 as key k0; until 603");
    assert_eq!(story.tell(302, applied(0)), "start 2; apply 2 as key k2; until 603");
    story.tell(303, applied(2));
    assert!(story.session.is_active() && !story.session.is_mending());
}

#[test]
fn an_end_while_the_path_is_lost_removes_everything() {
    let mut story = over_a_connection();
    story.tell(100, lost(0));
    assert_eq!(story.end(101), "start undo 2; look 0; undo 2");
    // The answer came after the end.
    assert_eq!(story.tell(102, applied(0)), "undo 2");
    story.tell(103, undo_sent(2));
    assert_eq!(story.tell(104, absent(2)), "start undo 0; undo 0");
    story.tell(105, undo_sent(0));
    assert_eq!(story.tell(106, absent(0)), "ended");
}

#[test]
fn only_what_was_made_out_there_can_be_lost() {
    let story = over_a_connection();
    for step in [1, 2, 9] {
        let entry = Entry { at: second(50), fact: lost(step) };
        assert!(story.session.clone().evolve(&entry).is_err(), "step {step}");
    }
    let mut story = over_a_connection();
    story.tell(100, lost(0));
    let entry = Entry { at: second(100), fact: lost(0) };
    assert!(story.session.clone().evolve(&entry).is_err(), "it is lost already");
    story.end(101);
    let entry = Entry { at: second(101), fact: lost(0) };
    assert!(story.session.clone().evolve(&entry).is_err(), "the session ends");
}
