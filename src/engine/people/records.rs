//! People as the store keeps them: one record an account, a list, a sign-in, a throttle.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::account::Account;
use crate::domain::break_glass_user::BreakGlassList;
use crate::domain::identity_provider::IdpSettings;
use crate::domain::sign_in::SignIn;
use crate::domain::time::Timestamp;
use crate::engine::store_report;
use crate::error::Report;
use crate::identity::directory::Directory;
use crate::identity::lockout::{Change, Key, Lockouts, Throttle};
use crate::store::{Record, RecordKind, Store, StoreError};

/// What the store has kept of people.
#[derive(Default)]
pub(in crate::engine) struct Kept {
    pub directory: Directory,
    pub lockouts: Lockouts,
    pub sign_ins: Vec<SignIn>,
}

/// Reads what the store has kept.
///
/// # Errors
///
/// When the store cannot be read, or what it has kept is not what was written.
pub(in crate::engine) async fn load(
    store: &dyn Store,
    idps: Vec<IdpSettings>,
    now: Timestamp,
) -> Result<Kept, Report> {
    let failed = |error: StoreError| store_report(&error);
    let (accounts, lists, sign_ins, throttles) = tokio::try_join!(
        store.records(RecordKind::Account),
        store.records(RecordKind::List),
        store.records(RecordKind::SignIn),
        store.records(RecordKind::Throttle),
    )
    .map_err(failed)?;
    let accounts = read_all::<Account>(RecordKind::Account, &accounts).map_err(failed)?;
    let lists = read_all::<BreakGlassList>(RecordKind::List, &lists).map_err(failed)?;
    let sign_ins = read_all(RecordKind::SignIn, &sign_ins).map_err(failed)?;
    let throttles: Vec<(String, Throttle)> =
        read_all(RecordKind::Throttle, &throttles).map_err(failed)?;
    let counted =
        throttles.into_iter().filter_map(|(key, it)| Some((key.parse::<Key>().ok()?, it)));
    Ok(Kept {
        directory: Directory::new(accounts, lists, idps),
        lockouts: Lockouts::restore(counted, now),
        sign_ins,
    })
}

fn read_all<T: DeserializeOwned>(
    kind: RecordKind,
    bodies: &[String],
) -> Result<Vec<T>, StoreError> {
    let read = |body: &String| {
        serde_json::from_str(body).map_err(|error| StoreError::Damaged {
            path: format!("the {} records", kind.as_str()),
            why: error.to_string(),
        })
    };
    bodies.iter().map(read).collect()
}

/// The record of an account.
pub(super) fn account(account: &Account) -> Record {
    put(RecordKind::Account, account.id.to_string(), account)
}

/// The record of a list.
pub(super) fn list(list: &BreakGlassList) -> Record {
    put(RecordKind::List, list.idp.to_string(), list)
}

/// The record of a sign-in.
pub(super) fn sign_in(sign_in: &SignIn) -> Record {
    put(RecordKind::SignIn, sign_in.token_hash.clone(), sign_in)
}

/// That there is no sign-in any more.
pub(super) fn no_sign_in(sign_in: &SignIn) -> Record {
    Record { kind: RecordKind::SignIn, key: sign_in.token_hash.clone(), body: None }
}

/// The record of a throttle, or that there is none any more.
pub(super) fn throttle(change: &Change) -> Record {
    let key = change.key.to_string();
    match &change.throttle {
        Some(throttle) => put(RecordKind::Throttle, key.clone(), &(key, throttle)),
        None => Record { kind: RecordKind::Throttle, key, body: None },
    }
}

fn put(kind: RecordKind, key: String, value: &impl Serialize) -> Record {
    // Plain data with text keys always has a JSON form.
    let body = serde_json::to_string(value).unwrap_or_default();
    Record { kind, key, body: Some(body) }
}
