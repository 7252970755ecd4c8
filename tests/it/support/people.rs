//! People for an engine: an identity provider that does as it is told, a vault that keeps nothing,
//! and an Owner who is signed in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use breakglass::clock;
use breakglass::domain::account::{Account, AccountId};
use breakglass::domain::id::IdpId;
use breakglass::domain::identity_provider::{BreakGlassMode, IdpKind, IdpSettings};
use breakglass::domain::probe::{Probe, ProbeCheck};
use breakglass::domain::role::Role;
use breakglass::domain::secret::Secret;
use breakglass::domain::sign_in::{SignIn, SignInMethod, Token};
use breakglass::domain::time::Timestamp;
use breakglass::engine::PeopleParts;
use breakglass::identity::hashing::HashParameters;
use breakglass::identity::{PendingSignOn, Prompt, SingleSignOn, SsoError, SsoIdentity};
use breakglass::protocol::{Mode, Origin};
use breakglass::store::{Batch, Record, RecordKind, Store};
use breakglass::vault::memory::MemoryVault;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

/// The boot during which everything happens.
pub const BOOT: &str = "boot";

/// Who is signed in at the handle of an engine.
pub const OWNER: &str = "ana@example.com";

/// An identity provider that does as it is told.
#[derive(Clone, Default)]
pub struct ToldSso {
    down: Arc<Mutex<BTreeMap<IdpId, String>>>,
    decided: Arc<watch::Sender<Option<Result<SsoIdentity, SsoError>>>>,
}

impl ToldSso {
    /// From now on one of them does not work, for this reason; or it does again.
    pub fn set_down(&self, idp: &str, why: Option<&str>) {
        let mut down = self.down.lock().unwrap();
        match why {
            Some(why) => drop(down.insert(idp.parse().unwrap(), why.to_owned())),
            None => drop(down.remove(&idp.parse().unwrap())),
        }
    }

    /// What comes of every sign-on that waits, and of those to come.
    pub fn decide(&self, decided: Result<SsoIdentity, SsoError>) {
        self.decided.send_replace(Some(decided));
    }
}

#[async_trait]
impl SingleSignOn for ToldSso {
    async fn probe(&self, idp: &IdpSettings, now: Timestamp) -> Probe {
        let why = self.down.lock().unwrap().get(&idp.id).cloned();
        let found = why.map_or_else(|| Ok("found".to_owned()), Err);
        Probe {
            at: now,
            checks: vec![ProbeCheck { name: "discovery".into(), needed: true, found, millis: 7 }],
        }
    }

    async fn begin(
        &self,
        idp: &IdpSettings,
        _: Option<&Secret>,
    ) -> Result<Box<dyn PendingSignOn>, SsoError> {
        let why = self.down.lock().unwrap().get(&idp.id).cloned();
        match why {
            Some(why) => Err(SsoError::Unreachable { idp: idp.id.to_string(), why }),
            None => Ok(Box::new(Waiting(self.decided.subscribe()))),
        }
    }
}

struct Waiting(watch::Receiver<Option<Result<SsoIdentity, SsoError>>>);

#[async_trait]
impl PendingSignOn for Waiting {
    fn prompt(&self) -> Prompt {
        Prompt {
            user_code: "WDJB-MJHT".into(),
            verification_uri: "https://idp.example.com/device".into(),
            verification_uri_complete: None,
            expires_in_seconds: 600,
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<SsoIdentity, SsoError> {
        let decided = self.0.wait_for(Option::is_some).await.unwrap();
        decided.clone().unwrap()
    }
}

/// An identity provider that owns `example.com`, or no domain.
pub fn idp(id: &str, domains: &[&str]) -> IdpSettings {
    IdpSettings {
        id: id.parse().unwrap(),
        kind: IdpKind::Oidc { issuer: format!("https://{id}.example.com") },
        client_id: "breakglass".into(),
        has_secret: false,
        scopes: vec!["email".into()],
        domains: domains.iter().map(|&domain| domain.to_owned()).collect(),
        break_glass: BreakGlassMode::Always,
    }
}

/// What an engine needs for people; its hashes cost as little as is allowed.
pub fn parts(sso: &ToldSso) -> PeopleParts {
    PeopleParts {
        mode: Mode::Personal,
        hashing: HashParameters::new(19 * 1_024, 2, 1).unwrap(),
        sso: Arc::new(sso.clone()),
        vault: Arc::new(MemoryVault::default()),
        boot_id: BOOT.into(),
    }
}

/// An account without anything.
pub fn account(email: &str, role: Role) -> Account {
    let digest: [u8; 32] = Sha256::digest(email.as_bytes()).into();
    Account {
        id: AccountId::new(Timestamp::from_millis(1), *digest.first_chunk().unwrap()),
        email: email.parse().unwrap(),
        role,
        member: true,
        password: None,
        binding: None,
        code: None,
        created_at: Timestamp::from_millis(1),
    }
}

/// The token of an account at a terminal.
pub fn token(account: &Account, tty: Option<&str>) -> Token {
    Token::from_random(Sha256::digest(format!("{}{tty:?}", account.email)).into())
}

/// Makes an account in a store, and signs it in for this user without a terminal; returns its token.
pub async fn sign_in(store: &dyn Store, account: &Account) -> Token {
    sign_in_at(store, account, &Origin::default()).await
}

/// Makes an account in a store, and signs it in for this user where somebody sits; returns its token.
pub async fn sign_in_at(store: &dyn Store, account: &Account, at: &Origin) -> Token {
    let token = token(account, at.tty.as_deref());
    let hash = Sha256::digest(token.expose().as_bytes());
    let now = clock::wall();
    let sign_in = SignIn {
        token_hash: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
        account: account.id,
        method: SignInMethod::Password,
        uid: rustix::process::getuid().as_raw(),
        tty: at.tty.clone(),
        session: at.session,
        boot_id: BOOT.into(),
        started_at: now,
        used_at: now,
    };
    let record = |kind, key: String, body: String| Record { kind, key, body: Some(body) };
    let records = vec![
        record(
            RecordKind::Account,
            account.id.to_string(),
            serde_json::to_string(account).unwrap(),
        ),
        record(
            RecordKind::SignIn,
            sign_in.token_hash.clone(),
            serde_json::to_string(&sign_in).unwrap(),
        ),
    ];
    store.append(Batch { records, ..Batch::at(now) }).await.unwrap();
    token
}
