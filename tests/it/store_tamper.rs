//! Whoever changes the audit in the file is found out, and where.

use breakglass::store::Store;
use sqlx::{AssertSqlSafe, Row as _};

use crate::store_samples::{State, Written, append_all, audit};

const FREE: &str = "DROP TRIGGER audit_kept; DROP TRIGGER audit_unchanged; ";

/// What somebody may do to a chain of seven, in words and in SQL.
const TAMPERING: &[(&str, &str)] = &[
    ("nothing", "SELECT 1"),
    ("first taken out", "DELETE FROM audit WHERE seq = 1"),
    ("middle taken out", "DELETE FROM audit WHERE seq = 4"),
    (
        "middle taken out, the rest moved up",
        "DELETE FROM audit WHERE seq = 4; \
  UPDATE audit SET seq = 4 WHERE seq = 5; UPDATE audit SET seq = 5 WHERE seq = 6; \
  UPDATE audit SET seq = 6 WHERE seq = 7",
    ),
    ("last taken out", "DELETE FROM audit WHERE seq = 7"),
    ("all taken out", "DELETE FROM audit"),
    (
        "two swapped",
        "UPDATE audit SET seq = -seq WHERE seq IN (3, 5); \
  UPDATE audit SET seq = 8 + seq WHERE seq < 0",
    ),
    (
        "one put in",
        "UPDATE audit SET seq = seq + 100 WHERE seq > 3; \
  UPDATE audit SET seq = seq - 99 WHERE seq > 100; \
  INSERT INTO audit SELECT 4, body, hash FROM audit WHERE seq = 3",
    ),
    ("one put in front", "INSERT INTO audit SELECT 0, body, hash FROM audit WHERE seq = 1"),
    ("one put far in front", "INSERT INTO audit SELECT -9, body, hash FROM audit WHERE seq = 1"),
    ("one put behind", "INSERT INTO audit SELECT 8, body, hash FROM audit WHERE seq = 7"),
    ("a text replaced", "UPDATE audit SET body = replace(body, '\"c\"', '\"x\"') WHERE seq = 3"),
    ("a text that is none", "UPDATE audit SET body = 'x' || char(10) || '4 y z' WHERE seq = 3"),
    (
        "a hash replaced",
        "UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 2) WHERE seq = 3",
    ),
    ("a hash taken away", "UPDATE audit SET hash = '' WHERE seq = 3"),
];

/// A chain of seven, closed.
async fn chain() -> (State, String) {
    let state = State::new();
    let store = state.open().await;
    append_all(&store, ["a", "b", "c", "d", "e", "f", "g"].map(|text| audit(&[text]))).await;
    let head = store.audit_verify().await.unwrap().head;
    store.close().await;
    (state, head)
}

/// The first bad place after this was done to the chain, and what is said of it.
async fn after(sql: &str) -> String {
    let (state, noted) = chain().await;
    state.tamper(&format!("{FREE}{sql}")).await;
    let verdict = state.open().await.audit_verify().await.unwrap();
    match verdict.broken {
        Some((seq, why)) => format!("{seq}: {why}"),
        None if verdict.head == noted => "holds".to_owned(),
        None => "holds, but the head is not the one that was noted".to_owned(),
    }
}

#[tokio::test]
async fn whatever_is_done_to_it_is_found() {
    let mut said = Vec::new();
    for (what, sql) in TAMPERING {
        said.push(format!("{what}\n  {}", after(sql).await));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
        nothing
          holds
        first taken out
          1: it is missing: the next one is number 2
        middle taken out
          4: it is missing: the next one is number 5
        middle taken out, the rest moved up
          4: it was moved: it calls itself number 5
        last taken out
          holds, but the head is not the one that was noted
        all taken out
          holds, but the head is not the one that was noted
        two swapped
          3: it was moved: it calls itself number 5
        one put in
          4: it was moved: it calls itself number 3
        one put in front
          1: it is missing: the next one is number 0
        one put far in front
          1: it is missing: the next one is number 0
        one put behind
          8: it was moved: it calls itself number 7
        a text replaced
          3: it was changed: its hash is that of another text
        a text that is none
          3: it was changed: its hash is that of another text
        a hash replaced
          3: it was changed: its hash is that of another text
        a hash taken away
          3: it was changed: its hash is that of another text
    ");
}

#[tokio::test]
async fn one_flipped_bit_in_any_field_is_found() {
    let (state, _) = chain().await;
    let mut connection = state.connect().await;
    let row = sqlx::query("SELECT body, hash FROM audit WHERE seq = 4")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    let body: String = row.get("body");
    let fields: Vec<String> = serde_json::from_str::<serde_json::Value>(&body)
        .unwrap()
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(fields.len(), 15, "every field but the hash: {fields:?}");
    sqlx::raw_sql(AssertSqlSafe(FREE.to_owned())).execute(&mut connection).await.unwrap();
    for field in &fields {
        let at = body.find(&format!("\"{field}\":")).unwrap() + field.len() + 3;
        let mut flipped = body.clone().into_bytes();
        flipped[at] ^= 1;
        flip(&mut connection, "body", &flipped).await;
        let verdict = state.open().await.audit_verify().await.unwrap();
        assert_eq!(verdict.broken.map(|(seq, _)| seq), Some(4), "{field}");
    }
    flip(&mut connection, "body", body.as_bytes()).await;
    let hash: String = row.get("hash");
    for at in [0, 31, 63] {
        let mut flipped = hash.clone().into_bytes();
        flipped[at] ^= 1;
        flip(&mut connection, "hash", &flipped).await;
        let verdict = state.open().await.audit_verify().await.unwrap();
        assert_eq!(verdict.broken.map(|(seq, _)| seq), Some(4), "hash, at {at}");
    }
    flip(&mut connection, "hash", hash.as_bytes()).await;
    let verdict = state.open().await.audit_verify().await.unwrap();
    assert_eq!((verdict.events, verdict.broken), (7, None), "everything is as it was again");
}

async fn flip(connection: &mut sqlx::SqliteConnection, column: &str, to: &[u8]) {
    let sql = format!("UPDATE audit SET {column} = CAST(? AS TEXT) WHERE seq = 4");
    sqlx::query(AssertSqlSafe(sql)).bind(to.to_vec()).execute(connection).await.unwrap();
}

#[tokio::test]
async fn yesterdays_copy_is_found_against_a_head_that_was_noted() {
    let (state, yesterday) = chain().await;
    let copy = std::fs::read(state.file()).unwrap();
    let store = state.open().await;
    append_all(&store, [audit(&["today"])]).await;
    let noted = store.audit_verify().await.unwrap().head;
    store.close().await;
    std::fs::write(state.file(), copy).unwrap();
    let verdict = state.open().await.audit_verify().await.unwrap();
    assert_eq!((verdict.broken, &verdict.head), (None, &yesterday));
    assert_ne!(verdict.head, noted);
}

#[tokio::test]
async fn two_that_append_at_once_cannot_fork_the_chain_or_share_a_journal() {
    let (state, _) = chain().await;
    let first = state.open().await;
    let second = state.open().await;
    append_all(&first, [audit(&["first"])]).await;
    let refused = second.append(audit(&["second"])).await.unwrap_err().to_string();
    assert!(refused.contains("another program has written to it"), "{refused}");
    append_all(&second, [audit(&["second, having looked again"])]).await;
    let verdict = second.audit_verify().await.unwrap();
    assert_eq!((verdict.events, verdict.broken), (9, None));

    let (mut one, mut other) = (Written::new(1), Written::new(2));
    append_all(&first, [one.line()]).await;
    let line = other.clone().line();
    let refused = second.append(line).await.unwrap_err().to_string();
    assert!(refused.contains("another program has written to it"), "{refused}");
    append_all(&second, [other.line(), one.line()]).await;
    assert_eq!(second.open_journals().await.unwrap(), [one.journal(), other.journal()]);
}
