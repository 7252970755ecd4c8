//! A vault in the keyring of the operating system.
//!
//! ```text
//! service     user                   holds
//! breakglass  INSTALLATION/NAME      a secret
//! breakglass  INSTALLATION/.index    the names, as a JSON list
//! breakglass  INSTALLATION/.probe-*  a try, for a moment
//! ```
//!
//! A keyring that is locked says that it has no entry, exactly as one that is open and empty does
//! (gnome-keyring 42). So:
//!
//! 1. The index says what there is. A name in it without an entry means locked, not gone.
//! 2. No index means that there are no secrets only where a probe (set, get, delete) works, and
//!    there is still no index after it.
//! 3. A secret is written before its name, and a name is taken out before its secret: whatever
//!    comes between, no name promises what never was.
//! 4. A keyring may ask a person for a password and wait. So each call has a thread of its own and
//!    a limit, and one runs at a time. Past its limit it writes nothing more: what was said to have
//!    failed does not happen later, when that person comes back.
//! 5. Each call asks anew: a keyring that was restarted is found.
//!
//! What is deliberately absent: a look at the keyring for the status. To look is to search, and to
//! search is to ask a person to unlock. The status tells what the last call met.

mod secret_service;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::sealed::{self, Cost, Secrets};
use super::work::{aside, random};
use super::{Vault, VaultError};
use crate::domain::id::{InstallationId, SecretName};
use crate::domain::secret::Secret;
use crate::domain::vault::{Backend, VaultState, VaultStatus};

pub use secret_service::SecretService;

/// A way to the entries of one keyring. Calls block, for as long as the keyring likes.
pub trait Ring: Send + Sync + 'static {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When there is no keyring to talk to.
    fn connect(&self) -> Result<Box<dyn Entries>, RingError>;
}

/// The entries of a keyring, each with the name of a user.
pub trait Entries {
    /// Returns what is kept for a user. Nothing is no proof that there is nothing.
    ///
    /// # Errors
    ///
    /// When the keyring says no.
    fn get(&self, user: &str) -> Result<Option<Zeroizing<Vec<u8>>>, RingError>;

    /// Keeps something for a user, in the place of what there was.
    ///
    /// # Errors
    ///
    /// When the keyring says no.
    fn set(&self, user: &str, bytes: &[u8]) -> Result<(), RingError>;

    /// Takes away what is kept for a user, where there is something.
    ///
    /// # Errors
    ///
    /// When the keyring says no.
    fn delete(&self, user: &str) -> Result<(), RingError>;
}

/// Why a keyring does not do as asked. No text in it holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// It is locked, or has nothing to keep secrets in, and nobody unlocked it.
    #[error("it is locked, or not set up")]
    Locked,
    /// There is none, or it failed.
    #[error("{0}")]
    Failed(String),
}

/// A vault in a keyring.
pub struct KeyringVault {
    ring: Arc<dyn Ring>,
    installation: InstallationId,
    cost: Cost,
    limits: Limits,
    met: Arc<Mutex<Met>>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// How long a keyring may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For the probe.
    pub probe: Duration,
    /// For any other call; a person may be asked for a password meanwhile.
    pub call: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { probe: Duration::from_secs(3), call: Duration::from_secs(10) }
    }
}

/// What the last call met.
#[derive(Clone, Debug)]
struct Met {
    state: VaultState,
    detail: String,
    names: Vec<SecretName>,
}

impl KeyringVault {
    /// A vault in `ring`, for one installation. `cost` is for what is exported. Nothing is asked
    /// before [`KeyringVault::probe`].
    #[must_use]
    pub fn new(
        ring: Arc<dyn Ring>,
        installation: InstallationId,
        cost: Cost,
        limits: Limits,
    ) -> Self {
        let met = Met { state: VaultState::Locked, detail: String::new(), names: vec![] };
        Self {
            ring,
            installation,
            cost,
            limits,
            met: Arc::new(Mutex::new(met)),
            turn: Arc::default(),
        }
    }

    /// Sets, gets and deletes a throwaway entry, and reads the names.
    ///
    /// # Errors
    ///
    /// When any of it does not work, in words.
    pub async fn probe(&self) -> Result<(), VaultError> {
        self.call(self.limits.probe, |room| {
            room.probe()?;
            room.names().map(drop)
        })
        .await
    }

    /// Does something in the keyring, in a thread, within a limit, and notes what it met.
    async fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&Room) -> Result<T, VaultError> + Send + 'static,
    ) -> Result<T, VaultError> {
        let (ring, turn) = (Arc::clone(&self.ring), Arc::clone(&self.turn));
        let (met, over) = (Arc::clone(&self.met), Arc::new(AtomicBool::new(false)));
        let (prefix, is_over) = (format!("{}/", self.installation), Arc::clone(&over));
        let answered = tokio::time::timeout(limit, async move {
            let turn = turn.lock_owned().await;
            // The turn stays with the thread: where that hangs, no second one comes to hang too.
            aside(move || {
                let done = ring
                    .connect()
                    .map_err(VaultError::from)
                    .and_then(|entries| work(&Room { entries, prefix, met, is_over }));
                drop(turn);
                done
            })
            .await
        });
        let done = answered.await.unwrap_or_else(|_| {
            over.store(true, Ordering::Relaxed);
            Err(silent(limit))
        });
        self.note(done.as_ref().err());
        done
    }

    fn note(&self, error: Option<&VaultError>) {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        match error {
            None => {
                met.state = VaultState::Open;
                met.detail = "the keyring of the desktop (Secret Service)".to_owned();
            }
            Some(VaultError::Locked | VaultError::Unavailable(_)) => {
                met.state = VaultState::Locked;
                met.detail = error.map(why_not).unwrap_or_default();
            }
            // The keyring is as it was: what was asked for was wrong.
            Some(_) => {}
        }
    }
}

fn silent(limit: Duration) -> VaultError {
    VaultError::Unavailable(format!("the keyring did not answer within {limit:?}"))
}

/// Says why the keyring is not used.
#[must_use]
pub fn why_not(error: &VaultError) -> String {
    match error {
        VaultError::Locked => "the keyring is locked, or not set up".to_owned(),
        VaultError::Unavailable(why) => why.clone(),
        other => other.to_string(),
    }
}

impl std::fmt::Debug for KeyringVault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyringVault")
            .field("installation", &self.installation)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Vault for KeyringVault {
    async fn status(&self) -> VaultStatus {
        let Met { state, detail, names } =
            self.met.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let names = if state == VaultState::Open { names } else { vec![] };
        VaultStatus { backend: Backend::Keyring, state, detail, names }
    }

    async fn get(&self, name: &SecretName) -> Result<Option<Secret>, VaultError> {
        let name = name.clone();
        self.call(self.limits.call, move |room| {
            if room.names()?.contains(&name) { room.secret(&name).map(Some) } else { Ok(None) }
        })
        .await
    }

    async fn put(&self, name: &SecretName, secret: &Secret) -> Result<(), VaultError> {
        sealed::check_secret(secret)?;
        let all = Secrets::from([(name.clone(), secret.clone())]);
        self.call(self.limits.call, move |room| room.put(&all)).await
    }

    async fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        let name = name.clone();
        self.call(self.limits.call, move |room| room.remove(&name)).await
    }

    async fn unlock(&self, _passphrase: &Secret) -> Result<(), VaultError> {
        let why = "the keyring is unlocked by the desktop, not with a passphrase of ours";
        Err(VaultError::NotApplicable(why.to_owned()))
    }

    async fn change_passphrase(&self, _old: &Secret, _new: &Secret) -> Result<(), VaultError> {
        let why = "the passphrase of the keyring is changed in the desktop";
        Err(VaultError::NotApplicable(why.to_owned()))
    }

    async fn export(&self, passphrase: &Secret) -> Result<String, VaultError> {
        sealed::check_passphrase(passphrase)?;
        let secrets = self.call(self.limits.call, Room::all).await?;
        let (passphrase, cost) = (passphrase.clone(), self.cost);
        aside(move || sealed::export(&secrets, &passphrase, cost, (random()?, random()?))).await
    }

    async fn import(&self, text: &str, passphrase: &Secret) -> Result<Vec<SecretName>, VaultError> {
        let (text, passphrase) = (text.to_owned(), passphrase.clone());
        let taken = aside(move || sealed::import(&text, &passphrase)).await?;
        let names = taken.keys().cloned().collect();
        self.call(self.limits.call, move |room| room.put(&taken)).await?;
        Ok(names)
    }
}

/// The entries of one installation, during one call.
struct Room {
    entries: Box<dyn Entries>,
    prefix: String,
    met: Arc<Mutex<Met>>,
    is_over: Arc<AtomicBool>,
}

impl Room {
    fn user(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Sets, gets and deletes an entry that nobody else has.
    fn probe(&self) -> Result<(), VaultError> {
        let chance: [u8; 16] = random()?;
        let tag: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
        let user = self.user(&format!(".probe-{tag}"));
        self.set(&user, tag.as_bytes())?;
        let got = self.entries.get(&user);
        self.entries.delete(&user)?;
        match got? {
            Some(bytes) if bytes.as_slice() == tag.as_bytes() => Ok(()),
            Some(_) => Err(VaultError::Unavailable("the keyring returns something else".into())),
            None => Err(VaultError::Locked),
        }
    }

    /// Reads the index.
    fn names(&self) -> Result<Vec<SecretName>, VaultError> {
        let user = self.user(INDEX);
        let mut index = self.entries.get(&user)?;
        if index.is_none() {
            self.probe()?;
            // Somebody may have unlocked it between the two.
            index = self.entries.get(&user)?;
        }
        let damaged = |_| VaultError::Unavailable("its list of names is damaged".to_owned());
        let names = index.map_or_else(|| Ok(vec![]), |bytes| serde_json::from_slice(&bytes));
        let names = names.map_err(damaged)?;
        self.tell(&names);
        Ok(names)
    }

    fn secret(&self, name: &SecretName) -> Result<Secret, VaultError> {
        let bytes = self.entries.get(&self.user(name.as_str()))?.ok_or(VaultError::Locked)?;
        match str::from_utf8(&bytes) {
            Ok(text) => Ok(Secret::new(text)),
            Err(_) => Err(VaultError::Unavailable(format!("`{name}` in it is no text"))),
        }
    }

    fn all(&self) -> Result<Secrets, VaultError> {
        let names = self.names()?;
        names.into_iter().map(|name| self.secret(&name).map(|secret| (name, secret))).collect()
    }

    fn put(&self, secrets: &Secrets) -> Result<(), VaultError> {
        let mut names = self.names()?;
        let before = names.len();
        names.extend(secrets.keys().cloned());
        names.sort();
        names.dedup();
        sealed::check_count(names.len())?;
        for (name, secret) in secrets {
            self.set(&self.user(name.as_str()), secret.expose().as_bytes())?;
        }
        if names.len() == before { Ok(()) } else { self.keep(&names) }
    }

    fn remove(&self, name: &SecretName) -> Result<(), VaultError> {
        let mut names = self.names()?;
        let before = names.len();
        names.retain(|other| other != name);
        if names.len() < before {
            self.keep(&names)?;
        }
        self.wanted()?;
        Ok(self.entries.delete(&self.user(name.as_str()))?)
    }

    fn set(&self, user: &str, bytes: &[u8]) -> Result<(), VaultError> {
        self.wanted()?;
        Ok(self.entries.set(user, bytes)?)
    }

    /// Refuses where nobody waits for the outcome any more; nobody hears of it either.
    fn wanted(&self) -> Result<(), VaultError> {
        let over = self.is_over.load(Ordering::Relaxed);
        if over { Err(VaultError::Unavailable("nobody waits".to_owned())) } else { Ok(()) }
    }

    /// Writes the index.
    fn keep(&self, names: &[SecretName]) -> Result<(), VaultError> {
        let list = serde_json::to_vec(names)
            .map_err(|_| VaultError::Unavailable("its list of names cannot be written".into()))?;
        self.set(&self.user(INDEX), &list)?;
        self.tell(names);
        Ok(())
    }

    fn tell(&self, names: &[SecretName]) {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).names = names.to_vec();
    }
}

impl From<RingError> for VaultError {
    fn from(error: RingError) -> Self {
        match error {
            RingError::Locked => Self::Locked,
            RingError::Failed(why) => Self::Unavailable(why),
        }
    }
}

/// No secret can have this name: it begins with a dot.
const INDEX: &str = ".index";

#[cfg(test)]
mod tests;
