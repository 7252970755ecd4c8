//! People: who may sign in and who has, the identity providers, and the break-glass lists.
//!
//! ```text
//! command ──► desk ──► sign_in | operators | idps | lists | vault
//!                          │ decide (crate::identity), under one lock
//!                          │ make it durable: records and audit in one batch
//!                          ▼ take it in, tell the faces
//!                      directory, lockouts, sign-ins
//! ```
//!
//! Rules that hold in every line below:
//!
//! 1. One decision at a time. What a decision rests on cannot change before it is durable.
//! 2. A try counts before its password is compared.
//! 3. Passwords are hashed, and identity providers asked, while nobody holds the lock.
//! 4. What cannot be written into the audit does not happen.
//!
//! Not here: the rules themselves ([`crate::identity`]), and who may do what
//! ([`super::caller`], before anything comes here).

mod audit;
mod desk;
mod idps;
mod lists;
mod operators;
mod passwords;
mod prober;
mod records;
mod sign_in;
mod sign_ins;
mod sso;
mod vault;
mod views;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::MutexGuard as AsyncGuard;

pub(super) use desk::Desk;
pub(super) use prober::{LOOK_MAX, look_at};
pub(super) use records::{Kept, load};
pub(super) use vault::{open_for as vault_open_for, report as vault_report};

use crate::clock;
use crate::domain::id::IdpId;
use crate::domain::identity_provider::{IdpHealth, IdpSettings};
use crate::domain::probe::Probe;
use crate::domain::sign_in::{SignIn, Token};
use crate::domain::time::{Span, Timestamp};
use crate::identity::SingleSignOn;
use crate::identity::directory::Directory;
use crate::identity::hashing::{HashParameters, Hasher};
use crate::identity::lockout::Lockouts;
use crate::protocol::{IdentityView, Mode, Origin, SignedInView};
use crate::store::{Batch, Store};
use crate::vault::Vault;
pub(super) use sign_ins::Shown;
use sign_ins::SignIns;
use sso::Attempts;

use super::caller::Standing;

/// What an engine needs for people; `app` puts it together.
pub struct PeopleParts {
    /// Whose engine it is.
    pub mode: Mode,
    /// How passwords are hashed.
    pub hashing: HashParameters,
    /// The conversation with identity providers.
    pub sso: Arc<dyn SingleSignOn>,
    /// Where secrets rest.
    pub vault: Arc<dyn Vault>,
    /// The kernel's boot id (random(4)); sign-ins do not outlive a boot.
    pub boot_id: String,
}

/// Everything that the engine knows of people.
pub(super) struct People {
    mode: Mode,
    hasher: Hasher,
    sso: Arc<dyn SingleSignOn>,
    vault: Arc<dyn Vault>,
    boot_id: String,
    /// What decisions rest on. Whoever decides holds it until the decision is durable.
    book: tokio::sync::Mutex<Book>,
    sign_ins: Mutex<SignIns>,
    attempts: Mutex<Attempts>,
    probes: Mutex<BTreeMap<IdpId, Probe>>,
    /// One password at a time for each UNIX user: who tries many waits for themselves.
    turns: Mutex<BTreeMap<u32, Arc<tokio::sync::Mutex<()>>>>,
    /// How people look to whoever may see all.
    shown: RwLock<Arc<IdentityView>>,
}

/// What decisions rest on.
pub(super) struct Book {
    pub directory: Directory,
    pub lockouts: Lockouts,
    /// For each UNIX user, when the audit last said that they must wait, and how often they had to
    /// since.
    told: BTreeMap<u32, (Timestamp, u32)>,
}

impl Book {
    /// Notes that a UNIX user must wait. Where the audit is to say so, returns how often they had to
    /// since it last did: who tries without end does not fill the disk.
    fn throttled(&mut self, uid: u32, now: Timestamp) -> Option<u32> {
        match self.told.get_mut(&uid) {
            Some((at, more)) if now.since(*at) < TELL_EVERY => {
                *more = more.saturating_add(1);
                None
            }
            _ => Some(self.told.insert(uid, (now, 0)).map_or(0, |(_, more)| more)),
        }
    }
}

impl People {
    pub fn new(parts: PeopleParts, kept: Kept, drill: bool) -> Self {
        let PeopleParts { mode, hashing, sso, vault, boot_id } = parts;
        let Kept { directory, lockouts, sign_ins } = kept;
        let mut lasting = SignIns::default();
        for sign_in in sign_ins.into_iter().filter(|it| it.boot_id == boot_id) {
            if let Some(account) = directory.account(sign_in.account) {
                lasting.add(sign_in, account);
            }
        }
        let shown = IdentityView { mode, sign_in_needed: !drill, ..IdentityView::of_drill() };
        Self {
            mode,
            hasher: Hasher::new(hashing),
            sso,
            vault,
            boot_id,
            book: tokio::sync::Mutex::new(Book { directory, lockouts, told: BTreeMap::new() }),
            sign_ins: Mutex::new(lasting),
            attempts: Mutex::default(),
            probes: Mutex::default(),
            turns: Mutex::default(),
            shown: RwLock::new(Arc::new(shown)),
        }
    }

    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Returns whose token this is, and notes that it was used.
    pub fn use_token(&self, token: &Token, origin: &Origin, now: Timestamp) -> Option<Shown> {
        self.sign_ins().use_now(token, origin, &self.boot_id, now)
    }

    /// Where secrets rest.
    pub fn vault(&self) -> &dyn Vault {
        &*self.vault
    }

    /// How somebody stands who is not signed in.
    pub fn nobody(&self) -> Standing {
        Standing::Nobody { owner_exists: self.view().owner_exists }
    }

    /// How people look to whoever may see all.
    pub fn view(&self) -> Arc<IdentityView> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A sign-in as people see it.
    pub fn signed_in_view(&self, hash: &str) -> Option<SignedInView> {
        self.sign_ins().view(hash)
    }

    /// When a sign-in ends unless it is used.
    pub fn ends_at(&self, hash: &str) -> Option<Timestamp> {
        self.sign_ins().ends_at(hash)
    }

    /// True while a sign-in lasts.
    pub fn lasts(&self, hash: &str, now: Timestamp) -> bool {
        self.sign_ins().lasts(hash, now)
    }

    /// Writes down when a sign-in was last used, unless it is over by now: the record of one that
    /// is over never comes back.
    pub async fn note_use(&self, store: &dyn Store, sign_in: &SignIn) {
        let _book = self.book().await;
        if self.sign_ins().view(&sign_in.token_hash).is_none() {
            return;
        }
        let batch = Batch { records: vec![records::sign_in(sign_in)], ..Batch::at(clock::wall()) };
        if let Err(error) = store.append(batch).await {
            tracing::warn!(%error, "the use of a sign-in could not be written down");
        }
    }

    /// Takes in the identity providers as they are configured.
    pub async fn take_idps(&self, idps: Vec<IdpSettings>, now: Timestamp) {
        let mut book = self.book().await;
        book.directory.put_idps(idps);
        self.show(&book.directory, now);
    }

    /// Shows what is known at the start.
    pub fn begin(&self, now: Timestamp) {
        // Nobody else has the engine yet, so the book is free.
        if let Ok(book) = self.book.try_lock() {
            self.show(&book.directory, now);
        }
    }

    /// Waits for the turn of a UNIX user.
    async fn turn(&self, uid: u32) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(uid).or_default())
        };
        turn.lock_owned().await
    }

    async fn book(&self) -> AsyncGuard<'_, Book> {
        self.book.lock().await
    }

    fn sign_ins(&self) -> MutexGuard<'_, SignIns> {
        self.sign_ins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How an identity provider does, as far as was seen.
    fn health(&self, idp: &IdpId) -> IdpHealth {
        IdpHealth::of(self.probe(idp).as_ref())
    }

    fn probe(&self, idp: &IdpId) -> Option<Probe> {
        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.get(idp).cloned()
    }
}

/// How often the audit says at most that a UNIX user must wait.
const TELL_EVERY: Span = Span::from_seconds(10);

/// The records of sign-ins that need not be kept any more.
fn over(people: &People, now: Timestamp) -> Vec<SignIn> {
    people.sign_ins().over(&people.boot_id, now)
}
