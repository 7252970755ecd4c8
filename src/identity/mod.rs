//! Who may sign in, and how: the rules, and the conversation with identity providers.
//!
//! ```text
//!  password ──► lockout ──► password ──► login ──► admitted, by break-glass or not
//!               may one     hash and      the rule
//!               try now?    compare
//!  SSO ───────► discovery ──► device_flow ──► id_token ──► a person at an identity provider
//!               where is it    (RFC 8628)      who is it
//! ```
//!
//! - [`login`]: the rule: who is let in by password, and whom a single sign-on speaks of.
//! - [`lockout`]: how long somebody waits after failures, so that nobody else does.
//! - [`password`]: what may be a password.
//! - [`hashing`]: Argon2id, a few at a time.
//! - [`codes`]: one-time codes, by which a password is set without anybody else knowing it.
//! - [`directory`]: all operators and lists in memory, and every change to them as a decision.
//! - [`forecast`]: who could enter if an identity provider failed now.
//! - [`device_flow`]: the device authorization grant (RFC 8628) as a pure machine.
//! - [`discovery`]: what an identity provider says of itself.
//! - [`id_token`]: whom its tokens vouch for.
//! - [`oidc`]: the thin caller of these three, over HTTP.
//!
//! All but `hashing` and `oidc` decide and touch nothing: time, randomness and answers come in.
//!
//! Rules that hold in every line below:
//!
//! 1. Unknown address, wrong password and not listed cost the same time and read the same.
//! 2. A person is who the identity provider's `iss` and `sub` say; an address only finds an invite.
//! 3. What a token or a document claims is compared exactly, never repaired.
//!
//! Not here: accounts and lists themselves (`domain`), where they are kept (`store`), and who may
//! change them (`domain::role`); the engine puts these together.

pub mod codes;
pub mod device_flow;
pub mod directory;
pub mod discovery;
pub mod forecast;
pub mod hashing;
pub mod id_token;
pub mod lockout;
pub mod login;
pub mod oidc;
pub mod password;

use async_trait::async_trait;
use thiserror::Error;

use crate::domain::email::Email;
use crate::domain::identity_provider::IdpSettings;
use crate::domain::probe::Probe;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// The conversation with identity providers.
#[async_trait]
pub trait SingleSignOn: Send + Sync + 'static {
    /// Looks whether everything that a sign-in needs is there: discovery document, device
    /// authorization endpoint, keys. It changes nothing there, and ends within ten seconds.
    async fn probe(&self, idp: &IdpSettings, now: Timestamp) -> Probe;

    /// Asks for a code that a person types at the identity provider.
    ///
    /// # Errors
    ///
    /// When there is none to be had.
    async fn begin(
        &self,
        idp: &IdpSettings,
        secret: Option<&Secret>,
    ) -> Result<Box<dyn PendingSignOn>, SsoError>;
}

/// A sign-in that waits for a person at the identity provider's page.
#[async_trait]
pub trait PendingSignOn: Send + 'static {
    /// What the person needs for it.
    fn prompt(&self) -> Prompt;

    /// Waits until the person has decided, the code has expired, or the answer cannot be trusted.
    /// Dropping the future gives up.
    ///
    /// # Errors
    ///
    /// Everything but a person who was proven to be who they are.
    async fn finish(self: Box<Self>) -> Result<SsoIdentity, SsoError>;
}

/// What a person needs to sign in at the identity provider's page (RFC 8628, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What to type; clean text.
    pub user_code: String,
    /// Where; a clean `https` URL (or `http` on loopback).
    pub verification_uri: String,
    /// The same with the code in it, for a QR code.
    pub verification_uri_complete: Option<String>,
    /// How long the code works, in seconds.
    pub expires_in_seconds: u64,
}

/// A person as an identity provider vouches for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SsoIdentity {
    /// `iss`, or Entra's `tid`.
    pub issuer: String,
    /// `sub`, or Entra's `oid`.
    pub subject: String,
    /// The address that it claims for them, where it can be used at all.
    pub email: Option<Email>,
    /// Whether it says that the address was verified.
    pub email_verified: bool,
}

/// Why a single sign-on did not come about. Every text in it is clean and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SsoError {
    /// The identity provider cannot be reached, or answers with an error of its own.
    #[error("`{idp}` cannot be reached: {why}")]
    Unreachable {
        /// Its name.
        idp: String,
        /// What was tried and what came of it.
        why: String,
    },
    /// It answers something that cannot be used or trusted.
    #[error("`{idp}` gave an answer that cannot be trusted: {why}")]
    Untrusted {
        /// Its name.
        idp: String,
        /// What is wrong with it.
        why: String,
    },
    /// It does not know this program, or does not let it sign people in this way.
    #[error("`{idp}` does not let this program sign people in: {why}")]
    Misconfigured {
        /// Its name.
        idp: String,
        /// What it says, and what to change there.
        why: String,
    },
    /// The person, or a rule of the identity provider, said no.
    #[error("the sign-in was declined at `{idp}`")]
    Declined {
        /// Its name.
        idp: String,
    },
    /// Nobody typed the code in time.
    #[error("the code expired before anybody signed in at `{idp}`")]
    Expired {
        /// Its name.
        idp: String,
    },
}
