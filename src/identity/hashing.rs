//! Argon2id: passwords into hashes, and hashes compared, a few at a time.
//!
//! ```text
//!  try ──► a place in the queue ──► a permit ──► 64 MiB, a tenth of a second ──► right or not
//!          (all taken: Busy)        (two)        on a thread of its own
//! ```
//!
//! Rules that hold in every line below:
//!
//! 1. **Every try costs one hash.** Where there is none to compare with, a dummy of the same
//!    parameters is compared, and the answer is no.
//! 2. **A stored hash is not obeyed without bounds.** Its parameters are checked before its memory
//!    is asked for.
//! 3. **A permit is held as long as the memory is**, also when nobody waits for the answer.
//!
//! Not here: what may be a password ([`super::password`]), and the salt, which comes in.

use std::sync::Arc;

use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use tokio::sync::Semaphore;

use super::password::{Password, PasswordError};
use crate::domain::account::PasswordHash;
use crate::domain::email::Email;
use crate::domain::secret::Secret;

/// How many random bytes a salt has (RFC 9106, section 3.1).
pub const SALT_BYTES: usize = 16;

/// What one hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashParameters {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// Why a hash cannot be made or compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HashError {
    /// Less than is safe, or more than a machine should be asked for.
    #[error(
        "a password hash takes {MEMORY_KIB_MIN} to {MEMORY_KIB_MAX} KiB, {PASSES_MIN} to {PASSES_MAX} passes and 1 to {LANES_MAX} lanes"
    )]
    Parameters,
    /// A stored hash is none of Argon2id, or its parameters are out of bounds.
    #[error(
        "the stored password hash is damaged; set the password anew with a one-time code: breakglass operators reset EMAIL"
    )]
    Damaged,
    /// Too many wait already.
    #[error("too many sign-ins wait at the moment; try again in a few seconds")]
    Busy,
    /// There was no memory, or the thread ended.
    #[error("the password could not be hashed: not enough memory, or this program is ending")]
    Failed,
}

/// Why a password is not set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChoiceError {
    /// It may not be chosen.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// It could not be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
}

impl HashParameters {
    /// Makes parameters: memory in KiB, passes over it, and lanes.
    ///
    /// # Errors
    ///
    /// [`HashError::Parameters`], below the least that OWASP names (19 MiB, 2 passes, 1 lane:
    /// Password Storage Cheat Sheet) or above what a jump host can give.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, HashError> {
        let memory = memory_kib >= MEMORY_KIB_MIN && memory_kib <= MEMORY_KIB_MAX;
        let passed = passes >= PASSES_MIN && passes <= PASSES_MAX;
        if memory && passed && lanes >= 1 && lanes <= LANES_MAX {
            Ok(Self { memory_kib, passes, lanes })
        } else {
            Err(HashError::Parameters)
        }
    }

    /// Memory in KiB.
    #[must_use]
    pub const fn memory_kib(self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    #[must_use]
    pub const fn passes(self) -> u32 {
        self.passes
    }

    /// Lanes.
    #[must_use]
    pub const fn lanes(self) -> u32 {
        self.lanes
    }

    fn of(hash: &phc::PasswordHash) -> Result<Self, HashError> {
        let params = Params::try_from(hash).map_err(|_| HashError::Damaged)?;
        Self::new(params.m_cost(), params.t_cost(), params.p_cost()).map_err(|_| HashError::Damaged)
    }

    fn argon2(self) -> Result<Argon2<'static>, HashError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(OUTPUT_BYTES))
            .map_err(|_| HashError::Parameters)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }

    fn phc(self, salt: &[u8], output: &[u8]) -> PasswordHash {
        let Self { memory_kib, passes, lanes } = self;
        let (salt, output) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output));
        PasswordHash::new(format!(
            "$argon2id$v=19$m={memory_kib},t={passes},p={lanes}${salt}${output}"
        ))
    }
}

impl Default for HashParameters {
    /// 64 MiB, three passes, one lane: the second choice of RFC 9106, section 4, in one lane.
    fn default() -> Self {
        Self { memory_kib: 64 * 1_024, passes: 3, lanes: 1 }
    }
}

/// Hashes a password, on this thread.
///
/// # Errors
///
/// [`HashError::Failed`] without memory for it.
pub fn hash(
    parameters: HashParameters,
    password: &Password,
    salt: [u8; SALT_BYTES],
) -> Result<PasswordHash, HashError> {
    let output = output(parameters, password, &salt)?;
    Ok(parameters.phc(&salt, &output))
}

/// Compares a password with a hash, on this thread; the hash says at what cost.
///
/// # Errors
///
/// [`HashError::Damaged`], [`HashError::Failed`].
pub fn verify(hash: &PasswordHash, password: &Password) -> Result<bool, HashError> {
    let (parsed, parameters) = parse(hash)?;
    let (Some(salt), Some(wanted)) = (parsed.salt, parsed.hash) else {
        return Err(HashError::Damaged);
    };
    let output = output(parameters, password, salt.as_ref())?;
    Ok(output.ct_eq(wanted.as_bytes()).into())
}

/// True where a hash was made at another cost than is wanted, or cannot be read: make another when
/// its password is at hand.
#[must_use]
pub fn needs_rehash(hash: &PasswordHash, wanted: HashParameters) -> bool {
    parse(hash).map_or(true, |(_, parameters)| parameters != wanted)
}

/// Returns a hash that no password has, to be compared with where there is none. It costs as much
/// as a real one of the same parameters.
#[must_use]
pub fn dummy(parameters: HashParameters) -> PasswordHash {
    parameters.phc(&[0; SALT_BYTES], &[0; OUTPUT_BYTES])
}

fn parse(hash: &PasswordHash) -> Result<(phc::PasswordHash, HashParameters), HashError> {
    let parsed = phc::PasswordHash::new(hash.as_str()).map_err(|_| HashError::Damaged)?;
    if parsed.algorithm.as_str() != "argon2id" || parsed.version != Some(19) {
        return Err(HashError::Damaged);
    }
    let parameters = HashParameters::of(&parsed)?;
    Ok((parsed, parameters))
}

fn output(
    parameters: HashParameters,
    password: &Password,
    salt: &[u8],
) -> Result<[u8; OUTPUT_BYTES], HashError> {
    let mut output = [0; OUTPUT_BYTES];
    parameters
        .argon2()?
        .hash_password_into(password.expose().as_bytes(), salt, &mut output)
        .map_err(|_| HashError::Failed)?;
    Ok(output)
}

/// What comparing a password showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// Whether it is the password.
    pub right: bool,
    /// Whether it is, and its hash should be made anew.
    pub needs_rehash: bool,
}

/// Hashes and compares passwords, [`HASHES_AT_ONCE`] at a time.
#[derive(Clone, Debug)]
pub struct Hasher {
    parameters: HashParameters,
    dummy: PasswordHash,
    places: Arc<Semaphore>,
    permits: Arc<Semaphore>,
}

impl Hasher {
    /// Makes a hasher of these parameters, and its dummy.
    #[must_use]
    pub fn new(parameters: HashParameters) -> Self {
        Self {
            parameters,
            dummy: dummy(parameters),
            places: Arc::new(Semaphore::new(WAITING_MAX)),
            permits: Arc::new(Semaphore::new(HASHES_AT_ONCE)),
        }
    }

    /// Judges what somebody chose for themselves, and hashes it: judging takes long enough to be
    /// kept from whoever waits for other things.
    ///
    /// # Errors
    ///
    /// [`ChoiceError`].
    pub async fn choose(
        &self,
        typed: Secret,
        email: Email,
        salt: [u8; SALT_BYTES],
    ) -> Result<PasswordHash, ChoiceError> {
        let judged = self.run(move || Ok(Password::chosen(&typed, &email))).await??;
        Ok(self.hash(judged, salt).await?)
    }

    /// Hashes a password, chosen or compared before.
    ///
    /// # Errors
    ///
    /// [`HashError::Busy`], [`HashError::Failed`].
    pub async fn hash(
        &self,
        password: Password,
        salt: [u8; SALT_BYTES],
    ) -> Result<PasswordHash, HashError> {
        let parameters = self.parameters;
        self.run(move || hash(parameters, &password, salt)).await
    }

    /// Compares a password with an account's hash; without one, or with a damaged one, with the
    /// dummy, and then it is never right.
    ///
    /// A hash of other parameters takes another time; it is made anew at the next right password.
    ///
    /// # Errors
    ///
    /// [`HashError::Busy`], [`HashError::Failed`].
    pub async fn compare(
        &self,
        hash: Option<PasswordHash>,
        password: Password,
    ) -> Result<Compared, HashError> {
        let wanted = self.parameters;
        let kept = hash.filter(|hash| parse(hash).is_ok());
        let is_real = kept.is_some();
        let hash = kept.unwrap_or_else(|| self.dummy.clone());
        self.run(move || {
            let right = verify(&hash, &password)? & is_real;
            Ok(Compared { right, needs_rehash: right && needs_rehash(&hash, wanted) })
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| HashError::Busy)?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| HashError::Failed)?;
        let worked = tokio::task::spawn_blocking(move || {
            // Nothing can stop this thread half-way, so place and permit stay until it is done.
            let _held = (place, permit);
            work()
        });
        worked.await.map_err(|_| HashError::Failed)?
    }
}

/// How many hashes are made at the same time: their memory is this many times one hash's.
pub const HASHES_AT_ONCE: usize = 2;

/// How many may be under way or wait; the next is told so.
pub const WAITING_MAX: usize = 128;

const MEMORY_KIB_MIN: u32 = 19 * 1_024;
const MEMORY_KIB_MAX: u32 = 1_024 * 1_024;
const PASSES_MIN: u32 = 2;
const PASSES_MAX: u32 = 32;
const LANES_MAX: u32 = 16;
const OUTPUT_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: HashParameters =
        HashParameters { memory_kib: MEMORY_KIB_MIN, passes: PASSES_MIN, lanes: 1 };
    const SALT: [u8; SALT_BYTES] = *b"sixteen bytes ok";

    fn password(text: &str) -> Password {
        Password::typed(&Secret::new(text)).unwrap()
    }

    #[test]
    fn a_hash_is_a_phc_string_that_says_its_cost() {
        let made = hash(CHEAP, &password("correct horse"), SALT).unwrap();
        insta::assert_snapshot!(made.as_str(), @"$argon2id$v=19$m=19456,t=2,p=1$c2l4dGVlbiBieXRlcyBvaw$Oq6NUf8oUawuVWIqWRRrB80MYlKfkN6Nm4K6m5hBrTw");
        assert_eq!(verify(&made, &password("correct horse")), Ok(true));
        assert_eq!(verify(&made, &password("correct house")), Ok(false));
        // What another program makes of the same is the same.
        let theirs = argon2::PasswordHasher::hash_password_with_salt(
            &CHEAP.argon2().unwrap(),
            b"correct horse",
            &SALT,
        );
        assert_eq!(made.as_str(), theirs.unwrap().to_string());
    }

    #[test]
    fn a_hash_of_another_cost_is_right_still_and_due_to_be_made_anew() {
        let made = hash(CHEAP, &password("correct horse"), SALT).unwrap();
        assert!(!needs_rehash(&made, CHEAP));
        let dearer = HashParameters::new(MEMORY_KIB_MIN, PASSES_MIN + 1, 1).unwrap();
        assert!(needs_rehash(&made, dearer));
        assert!(needs_rehash(&PasswordHash::new("$argon2id$".into()), CHEAP));
    }

    #[test]
    fn less_than_is_safe_and_more_than_is_sane_are_refused() {
        for (memory, passes, lanes) in [
            (MEMORY_KIB_MIN - 1, 2, 1),
            (MEMORY_KIB_MIN, 1, 1),
            (MEMORY_KIB_MIN, 2, 0),
            (MEMORY_KIB_MAX + 1, 3, 1),
            (MEMORY_KIB_MIN, 33, 1),
            (MEMORY_KIB_MIN, 2, 17),
        ] {
            let refused = HashParameters::new(memory, passes, lanes);
            assert_eq!(refused, Err(HashError::Parameters), "{memory} {passes} {lanes}");
        }
        let usual = HashParameters::default();
        assert_eq!(HashParameters::new(65_536, 3, 1), Ok(usual));
        insta::assert_snapshot!(HashError::Parameters, @"a password hash takes 19456 to 1048576 KiB, 2 to 32 passes and 1 to 16 lanes");
    }

    #[test]
    fn a_damaged_hash_is_refused_before_memory_is_asked_for() {
        for text in [
            "",
            "correct horse",
            "$argon2id$v=19$m=19456,t=2,p=1",
            "$argon2i$v=19$m=19456,t=2,p=1$c2l4dGVlbiBieXRlcyBvaw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=4294967295,t=2,p=1$c2l4dGVlbiBieXRlcyBvaw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=8,t=1,p=1$c2l4dGVlbiBieXRlcyBvaw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            let hash = PasswordHash::new(text.into());
            assert_eq!(verify(&hash, &password("x")), Err(HashError::Damaged), "{text}");
        }
    }

    #[tokio::test]
    async fn without_a_hash_a_dummy_is_compared_and_is_never_right() {
        let hasher = Hasher::new(CHEAP);
        let no = Compared { right: false, needs_rehash: false };
        assert_eq!(hasher.compare(None, password("correct horse")).await, Ok(no));
        let damaged = PasswordHash::new("$argon2id$".into());
        assert_eq!(hasher.compare(Some(damaged), password("x")).await, Ok(no));
        assert_eq!(parse(&hasher.dummy).unwrap().1, CHEAP);
        let made = hasher.hash(password("correct horse"), SALT).await.unwrap();
        let yes = Compared { right: true, needs_rehash: false };
        assert_eq!(hasher.compare(Some(made.clone()), password("correct horse")).await, Ok(yes));
        assert_eq!(hasher.compare(Some(made.clone()), password("wrong")).await, Ok(no));
        let dearer = Hasher::new(HashParameters::new(MEMORY_KIB_MIN, 3, 1).unwrap());
        let due = Compared { right: true, needs_rehash: true };
        assert_eq!(dearer.compare(Some(made), password("correct horse")).await, Ok(due));
    }

    #[tokio::test]
    async fn what_somebody_chooses_is_judged_before_it_is_hashed() {
        let hasher = Hasher::new(CHEAP);
        let choose = |text| {
            let email: Email = "ana@example.com".parse().unwrap();
            hasher.choose(Secret::new(text), email, SALT)
        };
        let refused = choose("short").await;
        assert_eq!(refused, Err(ChoiceError::Password(PasswordError::TooShort(5))));
        let made = choose("correct horse battery staple").await.unwrap();
        assert_eq!(verify(&made, &password("correct horse battery staple")), Ok(true));
    }

    #[tokio::test]
    async fn few_are_made_at_once_and_a_long_queue_is_told_so() {
        let hasher = Hasher::new(CHEAP);
        // Both permits are taken, so that nothing moves.
        let held = Arc::clone(&hasher.permits).acquire_many_owned(2).await.unwrap();
        let mut waiting = tokio::task::JoinSet::new();
        for _ in 0..WAITING_MAX {
            let hasher = hasher.clone();
            waiting.spawn(async move { hasher.run(|| Ok(())).await });
        }
        while hasher.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hasher.run(|| Ok(())).await, Err(HashError::Busy));
        drop(held);
        let all = waiting.join_all().await;
        assert!(all.iter().all(Result::is_ok));
        assert_eq!(hasher.places.available_permits(), WAITING_MAX);
    }

    #[tokio::test]
    async fn a_permit_is_held_as_long_as_the_memory_is() {
        let hasher = Hasher::new(CHEAP);
        let (finish, wait) = std::sync::mpsc::channel::<()>();
        let (started, mut has_started) = tokio::sync::mpsc::channel(1);
        let work = hasher.run(move || {
            started.blocking_send(()).map_err(|_| HashError::Failed)?;
            wait.recv().map_err(|_| HashError::Failed)
        });
        // Nobody waits for the answer any more.
        tokio::select! {
            _ = work => panic!("it had nothing to finish by"),
            _ = has_started.recv() => {}
        }
        assert_eq!(hasher.permits.available_permits(), HASHES_AT_ONCE - 1);
        finish.send(()).unwrap();
        while hasher.permits.available_permits() < HASHES_AT_ONCE {
            tokio::task::yield_now().await;
        }
    }
}
