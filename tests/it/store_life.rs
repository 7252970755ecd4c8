//! What was written reads back, in order, and nothing else does.

use breakglass::protocol::{SessionQuery, SessionState};
use breakglass::store::{Batch, Record, RecordKind, Store, StoreError};
use sqlx::Row as _;
use tokio::task::JoinSet;

use crate::store_samples::{State, Written, append_all, audit, view, wall};

fn all() -> SessionQuery {
    SessionQuery { ended: true, limit: 1_000, ..SessionQuery::default() }
}

#[tokio::test]
async fn a_new_store_is_empty_and_stays() {
    let state = State::new();
    for _ in 0..2 {
        let store = state.open().await;
        assert_eq!(store.open_journals().await, Ok(vec![]));
        assert_eq!(store.sessions(all()).await, Ok(vec![]));
        assert_eq!(store.audit_tail(10, None).await, Ok(vec![]));
        assert_eq!(store.ended_total().await, Ok(0));
        assert_eq!(store.reasons(5).await, Ok(vec![]));
        assert_eq!(store.setting("x").await, Ok(None));
        let verdict = store.audit_verify().await.unwrap();
        assert_eq!((verdict.events, verdict.broken), (0, None));
        store.close().await;
    }
    let left: Vec<_> = std::fs::read_dir(state.dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, ["store.db"], "closed as it should be, it is one file");
}

#[tokio::test]
async fn journals_read_back_after_a_start() {
    let state = State::new();
    let mut first = Written::new(1);
    let mut second = Written::new(2);
    let mut over = Written::new(3);
    let store = state.open().await;
    append_all(&store, [first.line(), second.lines(3, SessionState::CleanupOwed), first.line()])
        .await;
    append_all(&store, [over.lines(4, SessionState::Ended)]).await;
    store.close().await;

    let store = state.open().await;
    assert_eq!(store.open_journals().await.unwrap(), [first.journal(), second.journal()]);
    append_all(&store, [second.lines(1, SessionState::Ended), first.line()]).await;
    assert_eq!(store.open_journals().await.unwrap(), [first.journal()]);
    assert_eq!(store.ended_total().await, Ok(2));
}

#[tokio::test]
async fn a_line_that_does_not_follow_is_refused() {
    let state = State::new();
    let store = state.open().await;
    let mut session = Written::new(1);
    append_all(&store, [session.line(), session.line()]).await;
    let gap = |first| StoreError::Gap { session: session.view.id, have: 2, first };
    for first in [0, 1, 3, 1_000] {
        let mut wrong = Written { next: first, ..session.clone() };
        let batch = Batch { audit: audit(&["lost"]).audit, ..wrong.lines(0, SessionState::Active) };
        assert_eq!(store.append(batch).await, Err(gap(first)));
    }
    let mut unknown = Written { next: 5, ..Written::new(2) };
    assert!(matches!(store.append(unknown.line()).await, Err(StoreError::Gap { have: 0, .. })));
    assert_eq!(store.open_journals().await.unwrap(), [session.journal()]);
    assert_eq!(store.audit_tail(10, None).await, Ok(vec![]), "nothing of a refused batch is kept");

    // Also after the session has ended, when the writer has forgotten its length.
    append_all(&store, [session.lines(1, SessionState::Ended)]).await;
    let mut again = Written { next: 2, ..session.clone() };
    let refused = store.append(again.line()).await.unwrap_err();
    let words = refused.to_string().replace(&session.view.id.to_string(), "ID");
    insta::assert_snapshot!(words, @"session ID has 3 journal entries, but entry 2 was to be appended");
}

#[tokio::test]
async fn one_batch_is_one_decision() {
    let state = State::new();
    let store = state.open().await;
    let mut session = Written::new(1);
    let batch = Batch {
        audit: audit(&["asked for", "begun"]).audit,
        settings: vec![("clock".into(), "1".into()), ("id".into(), "abc234".into())],
        ..session.line()
    };
    let events = store.append(batch).await.unwrap();
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(events[0].time, "2025-11-20T16:10:00.000Z");
    assert_eq!(events[1].prev, events[0].hash);
    assert_eq!(&events[0].id[14..15], "7", "a UUIDv7: {}", events[0].id);
    assert_ne!(events[0].id, events[1].id);
    assert_eq!(store.audit_tail(10, None).await.unwrap(), events);
    assert_eq!(store.setting("clock").await, Ok(Some("1".into())));
    let empty = Batch::at(wall());
    assert_eq!(store.append(empty).await, Ok(vec![]));
    let changed = Batch { settings: vec![("clock".into(), "2".into())], ..audit(&[]) };
    append_all(&store, [changed]).await;
    assert_eq!(store.setting("clock").await, Ok(Some("2".into())));
}

#[tokio::test]
async fn a_record_changes_and_goes_and_what_is_left_outlives_a_start() {
    let state = State::new();
    let store = state.open().await;
    let record = |kind, key: &str, body: Option<&str>| Record {
        kind,
        key: key.into(),
        body: body.map(str::to_owned),
    };
    let (account, list) = (RecordKind::Account, RecordKind::List);
    let first = vec![
        record(account, "b", Some("Bob")),
        record(account, "a", Some("Ana")),
        record(list, "a", Some("of entra")),
    ];
    append_all(&store, [Batch { records: first, ..audit(&["made"]) }]).await;
    let second = vec![
        record(account, "a", Some("Ana, an Owner")),
        record(account, "b", None),
        record(account, "never there", None),
    ];
    append_all(&store, [Batch { records: second, ..audit(&["changed"]) }]).await;
    for store in [store, state.open().await] {
        assert_eq!(store.records(account).await, Ok(vec!["Ana, an Owner".into()]));
        assert_eq!(store.records(list).await, Ok(vec!["of entra".into()]));
        assert_eq!(store.records(RecordKind::SignIn).await, Ok(vec![]));
        store.close().await;
    }
}

#[tokio::test]
async fn the_chain_goes_on_over_a_start() {
    let state = State::new();
    let mut written = Vec::new();
    for round in 0..3 {
        let store = state.open().await;
        for number in 0..4 {
            let text = format!("round {round}, event {number}: “ü”\u{1b}\n");
            written.extend(store.append(audit(&[&text])).await.unwrap());
        }
        store.close().await;
    }
    let store = state.open().await;
    assert_eq!(store.audit_tail(100, None).await.unwrap(), written);
    assert_eq!(store.audit_tail(3, None).await.unwrap(), written[9..]);
    assert_eq!(store.audit_tail(3, Some(5)).await.unwrap(), written[1..4]);
    assert_eq!(store.audit_tail(3, Some(1)).await.unwrap(), []);
    let verdict = store.audit_verify().await.unwrap();
    assert_eq!((verdict.events, verdict.broken), (12, None));
}

#[tokio::test]
async fn a_long_chain_is_verified_piece_by_piece() {
    let state = State::new();
    let store = state.open().await;
    let texts: Vec<_> = (0..1_300).map(|number| number.to_string()).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    append_all(&store, texts.chunks(100).map(audit)).await;
    let verdict = store.audit_verify().await.unwrap();
    assert_eq!((verdict.events, verdict.broken), (1_300, None));
}

#[tokio::test]
async fn those_who_wait_together_are_written_in_the_order_they_asked() {
    let state = State::new();
    let store = std::sync::Arc::new(state.open().await);
    let mut writers = JoinSet::new();
    for number in 0..16 {
        let store = std::sync::Arc::clone(&store);
        writers.spawn(async move {
            let mut session = Written::new(number);
            let mut places = Vec::new();
            for _ in 0..30 {
                let batch = Batch { audit: audit(&["line"]).audit, ..session.line() };
                places.push(store.append(batch).await.unwrap()[0].seq);
            }
            assert!(places.is_sorted(), "{places:?}");
            session
        });
    }
    let mut sessions = writers.join_all().await;
    sessions.sort_by_key(|session| session.view.id);
    let journals: Vec<_> = sessions.iter().map(Written::journal).collect();
    assert_eq!(store.open_journals().await.unwrap(), journals);
    let verdict = store.audit_verify().await.unwrap();
    assert_eq!((verdict.events, verdict.broken), (16 * 30, None));
}

#[tokio::test]
async fn a_session_may_begin_and_end_in_one_group() {
    let state = State::new();
    let store = state.open().await;
    let mut session = Written::new(1);
    let batches = [SessionState::Pending, SessionState::Active, SessionState::Ended]
        .map(|state| session.lines(2, state));
    let [begun, active, ended] = batches.map(|batch| store.append(batch));
    assert_eq!(tokio::join!(begun, active, ended), (Ok(vec![]), Ok(vec![]), Ok(vec![])));
    assert_eq!(store.sessions(all()).await.unwrap(), [session.view.clone()]);
    assert_eq!(store.open_journals().await, Ok(vec![]));
    let mut late = Written { next: 5, ..session };
    assert!(matches!(store.append(late.line()).await, Err(StoreError::Gap { have: 6, .. })));
}

#[tokio::test]
async fn a_session_is_listed_as_it_was_when_its_state_changed() {
    let state = State::new();
    let store = state.open().await;
    let mut session = Written::new(1);
    append_all(&store, [session.line()]).await;
    let first = session.view.clone();
    session.view.end_detail = Some("seen by those who hold it".into());
    append_all(&store, [session.line()]).await;
    assert_eq!(store.sessions(all()).await.unwrap(), [first]);
    append_all(&store, [session.lines(1, SessionState::Ended)]).await;
    assert_eq!(store.sessions(all()).await.unwrap(), [session.view]);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_still_written_whole() {
    let state = State::new();
    let store = state.open().await;
    let mut session = Written::new(1);
    for _ in 0..20 {
        let asked = store.append(session.line());
        // Polled once, so that it is in the queue, and given up.
        tokio::select! { biased; _ = asked => {}, () = std::future::ready(()) => {} }
    }
    append_all(&store, [session.line()]).await;
    assert_eq!(store.open_journals().await.unwrap(), [session.journal()]);
}

#[tokio::test]
async fn sessions_are_listed_the_newest_first() {
    let state = State::new();
    let store = state.open().await;
    let states = [SessionState::Ended, SessionState::Active, SessionState::CleanupOwed];
    for number in 0..30 {
        let mut session = Written::new(number);
        append_all(&store, [session.lines(1, states[number as usize % 3])]).await;
    }
    let list = async |query: SessionQuery| -> Vec<u64> {
        let views = store.sessions(query).await.unwrap();
        views.iter().map(|view| view.requested_at.since(wall()).as_seconds()).collect()
    };
    let query = SessionQuery { limit: 4, ..SessionQuery::default() };
    assert_eq!(list(query).await, [29, 28, 26, 25], "live ones");
    assert_eq!(list(SessionQuery { ended: true, ..query }).await, [29, 28, 27, 26]);
    assert_eq!(list(SessionQuery { ended: true, offset: 27, ..query }).await, [2, 1, 0]);
    let owed = SessionQuery { state: Some(SessionState::CleanupOwed), ..query };
    assert_eq!(list(owed).await, [29, 26, 23, 20]);
    let ended = SessionQuery { state: Some(SessionState::Ended), ..query };
    assert_eq!(list(ended).await, [27, 24, 21, 18], "asked for by name, they are shown");
    assert_eq!(store.ended_total().await, Ok(10));
    let reasons = ["INC-1", "INC-0", "INC-6", "INC-5", "INC-4"];
    assert_eq!(store.reasons(5).await.unwrap(), reasons);
    assert_eq!(store.reasons(100).await.unwrap().len(), 7, "each once");
}

#[tokio::test]
async fn a_session_is_found_by_either_end_of_its_id() {
    let state = State::new();
    let store = state.open().await;
    for number in 0..40 {
        append_all(&store, [Written::new(number).line()]).await;
    }
    let wanted = view(17);
    let whole = wanted.id.to_string();
    for text in [&wanted.id.short(), &wanted.id.short()[..6], &whole, &whole.to_ascii_uppercase()] {
        assert_eq!(store.find(text).await.unwrap()[0].id, wanted.id, "{text}");
    }
    assert_eq!(store.find(&whole[..8]).await.unwrap().len(), 10, "a time they share; at most ten");
    let found = store.find(&whole[..13]).await.unwrap();
    assert!(found.iter().all(|view| view.id.matches(&whole[..13])));
    for text in ["", "abc", "zzzz", "%%%%", "____", "' OR 1=1 --", "\u{1b}[2J", &"a".repeat(5_000)]
    {
        assert_eq!(store.find(text).await.unwrap(), [], "{text}");
    }
}

#[tokio::test]
async fn nothing_is_taken_after_it_was_closed() {
    let state = State::new();
    let store = state.open().await;
    store.close().await;
    assert_eq!(store.append(Written::new(1).line()).await, Err(StoreError::Closed));
    assert_eq!(store.ended_total().await, Err(StoreError::Closed));
    store.close().await;
}

#[tokio::test]
async fn what_waits_when_it_is_closed_is_still_written() {
    let state = State::new();
    let store = std::sync::Arc::new(state.open().await);
    let mut writers = JoinSet::new();
    for number in 0..50 {
        let store = std::sync::Arc::clone(&store);
        writers.spawn(async move { store.append(Written::new(number).line()).await });
    }
    tokio::task::yield_now().await;
    store.close().await;
    let answers = writers.join_all().await;
    let written = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(StoreError::Closed))));
    let store = state.open().await;
    assert_eq!(store.open_journals().await.unwrap().len(), written);
}

#[tokio::test]
async fn journals_and_audit_are_only_appended_to() {
    let state = State::new();
    let store = state.open().await;
    let batch = Batch { audit: audit(&["kept"]).audit, ..Written::new(1).line() };
    append_all(&store, [batch]).await;
    store.close().await;
    let mut connection = state.connect().await;
    let mut said = Vec::new();
    for sql in [
        "UPDATE audit SET body = ''",
        "DELETE FROM audit",
        "UPDATE journal SET entry = ''",
        "DELETE FROM journal",
        "DELETE FROM session",
    ] {
        said.push(sqlx::query(sql).execute(&mut connection).await.unwrap_err().to_string());
    }
    insta::assert_snapshot!(said.join("\n"), @r"
        error returned from database: (code: 1811) the audit is only ever appended to
        error returned from database: (code: 1811) the audit is only ever appended to
        error returned from database: (code: 1811) a journal is only ever appended to
        error returned from database: (code: 1811) a journal is only ever appended to
        error returned from database: (code: 1811) a session is never taken out
    ");
}

#[tokio::test]
async fn no_list_reads_more_than_it_shows() {
    let state = State::new();
    state.open().await.close().await;
    let mut connection = state.connect().await;
    let mut plans = String::new();
    for sql in breakglass::store::sqlite::QUERIES {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        for row in rows {
            let step: String = row.get("detail");
            assert!(!step.starts_with("SCAN session") || step.contains("USING"), "{sql}\n{step}");
            assert!(
                !step.contains("TEMP B-TREE FOR ORDER BY") || sql.contains("LIMIT 10"),
                "{sql}"
            );
            plans.push_str(&format!("{step}\n"));
        }
        plans.push('\n');
    }
    insta::assert_snapshot!(plans, @r"
        SCAN session USING INDEX session_live
        SEARCH journal USING INDEX journal_place (session=?) LEFT-JOIN
        USE TEMP B-TREE FOR LAST TERM OF ORDER BY

        SCAN session USING INDEX sqlite_autoindex_session_1

        SCAN session USING INDEX session_live

        SEARCH session USING INDEX session_state (state=?)

        SEARCH session USING INTEGER PRIMARY KEY (rowid=?)
        LIST SUBQUERY 2
        COMPOUND QUERY
        LEFT-MOST SUBQUERY
        SEARCH session USING COVERING INDEX sqlite_autoindex_session_1 (id>? AND id<?)
        UNION USING TEMP B-TREE
        SEARCH session USING COVERING INDEX session_tail (tail>? AND tail<?)
        CREATE BLOOM FILTER
        USE TEMP B-TREE FOR ORDER BY

        SEARCH session USING COVERING INDEX session_state (state=?)

        CO-ROUTINE (subquery-1)
        SCAN session USING INDEX sqlite_autoindex_session_1
        SCAN (subquery-1)
        USE TEMP B-TREE FOR GROUP BY
        USE TEMP B-TREE FOR ORDER BY

        SEARCH audit USING INTEGER PRIMARY KEY (rowid<?)

        CO-ROUTINE (subquery-1)
        SEARCH audit USING INTEGER PRIMARY KEY (rowid>?)
        SCAN (subquery-1)

        SCAN session USING INDEX session_live
        CORRELATED SCALAR SUBQUERY 1
        SEARCH journal USING COVERING INDEX journal_place (session=?)
    ");
}

#[tokio::test]
async fn ten_thousand_sessions_are_no_burden() {
    let state = State::new();
    let store = state.open().await;
    let mut ids = Vec::new();
    for number in 0..10_000_u64 {
        let mut session = Written::new(number);
        ids.push(session.view.id);
        let ended = session.lines(1, SessionState::Ended);
        if number % 100 == 99 {
            append_all(&store, [ended]).await;
        } else {
            // Whoever waits for the hundredth knows the others durable: they are in order.
            tokio::select! { biased; _ = store.append(ended) => {}, () = std::future::ready(()) => {} }
        }
    }
    assert_eq!(store.ended_total().await, Ok(10_000));
    let page = SessionQuery { ended: true, limit: 1_000, offset: 9_500, state: None };
    assert_eq!(store.sessions(page).await.unwrap().len(), 500);
    let beyond = SessionQuery { ended: true, limit: u32::MAX, offset: 0, state: None };
    assert_eq!(store.sessions(beyond).await.unwrap().len(), 1_000, "a page has an end");
    assert_eq!(store.find(&ids[1_234].short()).await.unwrap()[0].id, ids[1_234]);
    assert_eq!(store.open_journals().await, Ok(vec![]));
}
