//! A session's whole life at the screen: opened, used, extended, ended, proven gone.

use breakglass::domain::request::{OpenRequest, TargetChoice};
use breakglass::domain::time::Span;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Command, Event, Reply, SessionState};
use breakglass::tui::keymap::Key;

use crate::tui_models::{path_direct, session, snapshot, targets};
use crate::tui_scenes::policy_change;
use crate::tui_walk::{Walk, turned};

#[tokio::test]
async fn opened_used_extended_ended_and_proven_gone() {
    let mut walk = Walk::start(vec![]);
    walk.sees("No session yet").await.key(Key::Char('o'));
    walk.sees("fetching 6 targets").await;
    assert_eq!(
        walk.answers(Ok(Reply::Targets(targets()))).await,
        Command::Targets { with_paths: false }
    );
    walk.sees("orders-cache").await.types("ordb").key(Key::Enter);
    walk.sees("checking which way").await;
    let named = TargetChoice::Named("orders-db".parse().unwrap());
    assert_eq!(walk.answers(Ok(path_direct())).await, Command::Path(named));
    walk.sees("answers from this host in 3 ms").await;
    walk.types("INC-43 lag").key(Key::Tab).key(Key::Right).key(Key::Enter);
    walk.sees("asking the engine").await;

    // Nothing is shown as done before the engine says so.
    let activating = session(1, "orders-db", SessionState::Activating);
    let (command, reply) = walk.asked().await;
    let Command::Open(request) = command else { panic!("{command:?}") };
    assert_eq!(
        (request.reason.as_str(), request.duration),
        ("INC-43 lag", Some(Span::from_minutes(60)))
    );
    assert!(walk.screen().contains("Open a session"));
    reply.send(Ok(Reply::Session(Box::new(activating.clone())))).unwrap();
    walk.sees("► applying").await.sees_no("Open a session").await;

    walk.tells(turned(&activating, SessionState::Active)).await;
    walk.sees("orders-db is open at 127.0.0.1:41000").await.key(Key::Char('y'));
    walk.sees("sent the command to the terminal's clipboard").await;
    walk.writes(0, b"\x1b]52;c;").await;

    walk.key(Key::Char('x'));
    walk.sees("Extend orders-db").await.key(Key::Enter);
    let mut longer = turned(&activating, SessionState::Active);
    longer.lease = Span::from_minutes(45);
    let extended = walk.answers(Ok(Reply::Session(Box::new(longer)))).await;
    assert_eq!(extended, Command::Extend { session: activating.id, by: Span::from_minutes(15) });
    walk.sees("orders-db now runs for 45m").await.key(Key::Char('e'));

    // The safe answer is the marked one.
    walk.sees("[ cancel ]").await.key(Key::Enter);
    walk.sees_no("End orders-db?").await.key(Key::Char('e'));
    walk.sees("2 open connections cut at once").await.key(Key::Right).key(Key::Enter);
    let ending = turned(&activating, SessionState::Ending);
    let ended = walk.answers(Ok(Reply::Session(Box::new(ending)))).await;
    assert_eq!(ended, Command::End { session: activating.id, reason: None });
    walk.sees("◄ undoing").await;
    walk.tells(turned(&activating, SessionState::Ended)).await;
    walk.sees("orders-db has ended: 1 thing seen gone").await.sees("✓ gone 16:09:30").await;
    walk.key(Key::Char('q'));
    walk.leaves().await;
}

#[tokio::test]
async fn a_refusal_stays_in_the_dialog_with_what_was_typed() {
    let mut walk = Walk::start(vec![]);
    walk.sees("No session yet").await.key(Key::Char('o'));
    walk.answers(Ok(Reply::Targets(targets()))).await;
    walk.sees("orders-db").await.types("k8s").key(Key::Enter);
    walk.answers(Ok(path_direct())).await;
    walk.sees("answers from this host").await.types("because").key(Key::Enter);
    let refused = Report::new(Kind::Denied, "the reason must match `INC-[0-9]+`")
        .hint("begin with the number of the incident");
    walk.answers(Err(refused)).await;
    walk.sees("! the reason must match").await.sees("hint: begin with the number").await;
    assert!(walk.screen().contains("because"), "{}", walk.screen());
}

#[tokio::test]
async fn by_address_with_its_kind() {
    let mut walk = Walk::start(vec![]);
    walk.sees("No session yet").await.key(Key::Char('o'));
    walk.answers(Ok(Reply::Targets(targets()))).await;
    walk.sees("orders-db").await.types("10.2.3.4:5432").key(Key::Enter);
    walk.answers(Ok(path_direct())).await;
    walk.sees("kind      postgres").await.key(Key::Right).sees_no("kind      postgres").await;
    walk.sees("kind      mysql").await.key(Key::Enter).types("INC-1").key(Key::Enter);
    let (command, _reply) = walk.asked().await;
    let Command::Open(request) = command else { panic!("{command:?}") };
    let TargetChoice::AdHoc { address, kind, .. } = request.target else { panic!() };
    assert_eq!((address.to_string().as_str(), kind.as_str()), ("10.2.3.4:5432", "mysql"));
}

#[tokio::test]
async fn where_policy_forbids_addresses_it_says_so_before_the_engine_does() {
    let mut snapshot = snapshot(vec![]);
    snapshot.policy.ad_hoc_targets = false;
    let mut walk = Walk::at(snapshot, (80, 24), true);
    walk.sees("No session yet").await.key(Key::Char('o'));
    walk.answers(Ok(Reply::Targets(targets()))).await;
    walk.sees("orders-db").await.types("10.2.3.4:22").sees("not allowed by policy").await;
    walk.key(Key::Enter).sees("(policy.ad-hoc-targets").await;
}

#[tokio::test]
async fn what_is_owed_stands_first_rings_and_is_tried_again() {
    let one = session(1, "orders-db", SessionState::Active);
    let two = session(2, "billing-db", SessionState::Ending);
    let mut walk = Walk::start(vec![one, two.clone()]);
    walk.sees("● Active").await;
    let before = walk.bytes().len();
    walk.tells(turned(&two, SessionState::CleanupOwed)).await;
    walk.sees("▲ billing-db: something is not proven gone").await.sees("▲ 1 owed").await;
    assert!(walk.bytes()[before..].contains(&7), "the bell rings");
    walk.key(Key::Esc).sees_no("something is not proven gone").await;
    walk.key(Key::Home).sees("Not proven gone").await.key(Key::Char('r'));
    assert_eq!(walk.answers(Ok(Reply::Done)).await, Command::Retry { session: two.id });
}

#[tokio::test]
async fn on_a_small_screen_the_checklist_fills_the_pane() {
    let mut walk = Walk::at(snapshot(vec![]), (60, 16), true);
    walk.sees("No session yet").await.key(Key::Char('o'));
    walk.answers(Ok(Reply::Targets(targets()))).await;
    walk.sees("orders-db").await.key(Key::Enter);
    walk.answers(Ok(path_direct())).await;
    walk.sees("answers from this host").await.types("INC-1").key(Key::Enter);
    let activating = session(1, "orders-db", SessionState::Activating);
    walk.answers(Ok(Reply::Session(Box::new(activating)))).await;
    walk.sees("► applying").await.sees("esc back").await;
    walk.key(Key::Esc).sees("REASON").await;
}

#[tokio::test]
async fn sorted_filtered_and_backed_out_of() {
    let sessions = vec![
        session(1, "orders-db", SessionState::Active),
        session(2, "k8s", SessionState::Ended),
        session(3, "billing-db", SessionState::Ended),
    ];
    let walk = Walk::start(sessions);
    walk.sees("STATE ↓").await.types(">s").sees("TARGET ↓").await.types("s");
    walk.sees("TARGET ↑").await.types("/k8").sees("1 of 3 sessions").await;
    walk.key(Key::Enter).sees("── k8s").await.key(Key::Esc).sees_no("/k8").await;
    walk.sees("3 sessions").await.key(Key::Char('?')).sees("Help").await.types("/verify");
    walk.sees("Nothing fits the search").await.key(Key::Esc).key(Key::Esc).sees_no("Help").await;
    walk.types(":sess").sees("the Sessions tab").await.key(Key::Tab).sees(":sessions").await;
    walk.key(Key::Esc).types(":mesages").key(Key::Enter).sees("did you mean `messages`?").await;
}

#[tokio::test]
async fn traffic_draws_a_sparkline() {
    let one = session(1, "orders-db", SessionState::Active);
    let mut traffic = one.traffic;
    traffic.bytes_down += 5_000_000;
    let id = one.id;
    let mut walk = Walk::start(vec![one]);
    walk.sees("12.5 KiB").await;
    walk.engine.tell(Event::Traffic { session: id, traffic }).await;
    walk.sees("4.7 MiB").await.sees("█").await;
}

#[tokio::test]
async fn a_change_of_a_policy_file_is_read_line_by_line_and_agreed_to_by_more_than_enter() {
    let mut walk = Walk::start(vec![]);
    walk.sees("No session yet").await.key(Key::Char('o')).sees("fetching 6 targets").await;
    walk.answers(Ok(Reply::Targets(targets()))).await;
    walk.sees("orders-cache").await.types("ordb").key(Key::Enter);
    walk.answers(Ok(path_direct())).await;
    walk.sees("answers from this host").await.types("INC-43 lag").key(Key::Enter);
    let asked = |command: Command| match command {
        Command::Open(request) => request,
        other => panic!("{other:?}"),
    };
    let first = asked(walk.answers(Err(policy_change())).await);
    assert!(!first.agreed);
    walk.sees("Opening changes the shared policy file of `acme-tailnet`").await;
    walk.sees("-  \"grants\": [").await.sees("[ cancel ]").await;

    // Enter alone cancels; nothing that was typed is lost, and the next Enter asks again.
    walk.key(Key::Enter).sees_no("[ cancel ]").await.sees("INC-43 lag").await.key(Key::Enter);
    let again = asked(walk.answers(Err(policy_change())).await);
    assert!(!again.agreed, "what was cancelled is not agreed to");
    walk.sees("[ cancel ]")
        .await
        .sees_no("// line 39")
        .await
        .sees("more lines of the change")
        .await;
    walk.key(Key::PageDown).key(Key::PageDown).key(Key::PageDown).key(Key::PageDown);
    walk.sees("// line 39").await.sees_no("more lines of the change").await;
    walk.key(Key::Up).sees("1 more line of the change").await;
    walk.key(Key::Right).sees("[ change the policy file and open ]").await.key(Key::Enter);
    let activating = session(1, "orders-db", SessionState::Activating);
    let agreed = asked(walk.answers(Ok(Reply::Session(Box::new(activating)))).await);
    assert_eq!(agreed, OpenRequest { agreed: true, ..first });
    walk.sees("► applying").await.sees_no("Open a session").await;
}
