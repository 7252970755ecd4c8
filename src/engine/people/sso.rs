//! Single sign-on: a code for a person, the wait for them, and what becomes of it.

use std::collections::BTreeMap;

use serde_json::json;

use super::desk::Desk;
use super::{audit, records, vault};
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::identity_provider::IdpSettings;
use crate::domain::secret::Secret;
use crate::domain::sign_in::SignInMethod;
use crate::domain::text;
use crate::domain::time::{Span, Timestamp};
use crate::error::{Kind, Report};
use crate::identity::login::SsoMatch;
use crate::identity::{PendingSignOn, SsoError, SsoIdentity};
use crate::protocol::{Origin, Reply, SsoPromptView};

/// Sign-ons that wait for a person.
#[derive(Default)]
pub(super) struct Attempts {
    waiting: BTreeMap<u64, Attempt>,
}

struct Attempt {
    /// As it was configured when the attempt began.
    idp: IdpSettings,
    pending: Box<dyn PendingSignOn>,
    uid: u32,
    tty: Option<String>,
    expires_at: Timestamp,
}

impl Attempts {
    /// Keeps a sign-on. Where a UNIX user has too many, their own first one goes: nobody takes a
    /// place from somebody else.
    fn add(&mut self, number: u64, attempt: Attempt, now: Timestamp) {
        self.waiting.retain(|_, waiting| waiting.expires_at > now);
        let theirs = self.waiting.iter().filter(|(_, waiting)| waiting.uid == attempt.uid);
        let mut theirs: Vec<_> = theirs.map(|(number, it)| (it.expires_at, *number)).collect();
        theirs.sort_unstable();
        if let Some((_, first)) = theirs.first().filter(|_| theirs.len() >= ATTEMPTS_MAX) {
            self.waiting.remove(first);
        }
        self.waiting.insert(number, attempt);
    }

    /// Gives a sign-on to the face that began it.
    fn take(&mut self, number: u64, origin: &Origin) -> Option<Attempt> {
        let theirs = self.waiting.get(&number)?;
        let same = theirs.uid == origin.uid && theirs.tty == origin.tty;
        if same { self.waiting.remove(&number) } else { None }
    }
}

impl Desk {
    pub(super) async fn begin_sso(&self, id: &IdpId) -> Result<Reply, Report> {
        let idp = self.idp(id)?;
        let secret = self.client_secret(&idp).await?;
        let people = &self.shared.people;
        // One at a time for each UNIX user: who asks for many codes waits for themselves.
        let turn = people.turn(self.origin.uid).await;
        let pending = people.sso.begin(&idp, secret.as_ref()).await.map_err(|e| report(&e))?;
        drop(turn);
        let prompt = pending.prompt();
        let now = self.shared.now();
        let expires_at = now + Span::from_seconds(prompt.expires_in_seconds);
        let number = random_number()?;
        let Origin { uid, tty, .. } = self.origin.clone();
        let attempt = Attempt { idp, pending, uid, tty, expires_at };
        people.attempts().add(number, attempt, now);
        Ok(Reply::SsoPrompt(SsoPromptView {
            attempt: number,
            user_code: prompt.user_code,
            verification_uri: prompt.verification_uri,
            verification_uri_complete: prompt.verification_uri_complete,
            expires_at,
        }))
    }

    /// Waits for the person, and signs them in. Where nobody waits for the answer any more, the
    /// attempt is given up, and whoever types the code later lets nobody in.
    pub async fn finish(
        &self,
        number: u64,
        nobody_waits: impl Future<Output = ()>,
    ) -> Result<Reply, Report> {
        let proven = tokio::select! {
            proven = self.wait_for_person(number) => proven,
            () = nobody_waits => Err(Report::new(Kind::Denied, "the sign-on was given up")),
        };
        let (idp, identity) = proven?;
        self.finish_sso(&idp, identity).await
    }

    async fn wait_for_person(&self, number: u64) -> Result<(IdpSettings, SsoIdentity), Report> {
        let attempt = self.shared.people.attempts().take(number, &self.origin);
        let Attempt { idp, pending, .. } = attempt.ok_or_else(|| {
            Report::new(Kind::Denied, "there is no such sign-on at this terminal")
                .hint("begin again: breakglass login --sso IDP")
        })?;
        let finished = pending.finish().await;
        if let Err(error) = &finished {
            let idp = &idp.id;
            let what =
                format!("Sign-in by SSO at {idp} failed: {}", text::shown(&error.to_string()));
            let who = self.somebody();
            let draft = audit::idp(&self.shared, &who, "auth.login.failure", &what, idp);
            let mut draft = audit::failed(draft);
            draft.metadata = Some(json!({ "method": "sso", "isBreakGlassAccess": false }));
            self.commit(vec![], vec![draft]).await?;
        }
        finished.map(|identity| (idp, identity)).map_err(|error| report(&error))
    }

    /// Signs in whom an identity provider vouches for.
    async fn finish_sso(&self, idp: &IdpSettings, identity: SsoIdentity) -> Result<Reply, Report> {
        let id = &idp.id;
        let mut book = self.shared.people.book().await;
        // What was proven to settings that are others by now, or gone, proves nothing.
        if book.directory.idp(id) != Some(idp) {
            drop(book);
            let why = format!("`{id}` was changed or removed meanwhile");
            return self.refuse_sso(id, identity.email.as_ref(), &why).await;
        }
        let (account, first) = match book.directory.sign_on(&identity, id) {
            Ok(SsoMatch::Bound(account)) => (account, None),
            Ok(SsoMatch::First(account, binding)) => (account, Some(binding)),
            Err(refusal) => {
                drop(book);
                return self.refuse_sso(id, identity.email.as_ref(), &refusal.to_string()).await;
            }
        };
        let known = book.directory.account(account).cloned();
        let before = known.ok_or_else(|| Report::new(Kind::Internal, "an account is gone"))?;
        let (mut changed, mut drafts) = (vec![], vec![]);
        let mut account = before.clone();
        if let Some(binding) = first {
            let bound = book.directory.bind(before.id, binding);
            account = bound.map_err(|error| Report::of(Kind::Denied, &error))?;
            let what = format!("{} is bound to {id} from now on", before.email);
            let who = self.who_is(&account);
            let draft = audit::operator(&self.shared, &who, "operator.bound", &what, &account);
            let (before, after) = (audit::of_account(&before), audit::of_account(&account));
            drafts.push(audit::changed(draft, before, after));
            changed.push(records::account(&account));
        }
        self.admit(&mut book, account, SignInMethod::Sso(id.clone()), changed, drafts).await
    }

    async fn refuse_sso(
        &self,
        idp: &IdpId,
        email: Option<&Email>,
        why: &str,
    ) -> Result<Reply, Report> {
        let what = format!("Sign-in by SSO at {idp} refused: {why}");
        let who = self.somebody();
        let draft = match email {
            Some(email) => audit::not_signed_in(&self.shared, &who, &what, email, "sso", false),
            None => audit::failed(audit::idp(&self.shared, &who, "auth.login.failure", &what, idp)),
        };
        self.commit(vec![], vec![draft]).await?;
        Err(Report::new(Kind::Denied, why))
    }

    /// The settings of an identity provider.
    pub(super) fn idp(&self, id: &IdpId) -> Result<IdpSettings, Report> {
        let rules = self.shared.rules();
        rules.idps.iter().find(|idp| idp.id == *id).cloned().ok_or_else(|| {
            let message = format!("there is no identity provider `{id}`");
            Report::new(Kind::Usage, message).hint("breakglass idp list")
        })
    }

    /// The client secret of an identity provider, where it has one.
    pub(super) async fn client_secret(&self, idp: &IdpSettings) -> Result<Option<Secret>, Report> {
        if !idp.has_secret {
            return Ok(None);
        }
        let missing = || {
            let message = format!("the client secret of `{}` is not in the vault", idp.id);
            Report::new(Kind::Unavailable, message)
                .hint(format!("breakglass idp add {} --secret-stdin ...", idp.id))
        };
        let name = IdpSettings::secret_name(&idp.id).ok_or_else(missing)?;
        let found = self.shared.people.vault.get(&name).await.map_err(|e| vault::report(&e))?;
        found.map(Some).ok_or_else(missing)
    }
}

/// What an operator reads when a single sign-on does not come about.
fn report(error: &SsoError) -> Report {
    match error {
        SsoError::Unreachable { .. } => Report::of(Kind::Unavailable, error)
            .hint("a break-glass user signs in by password: breakglass login"),
        SsoError::Untrusted { idp, .. } | SsoError::Misconfigured { idp, .. } => {
            Report::of(Kind::Unavailable, error).hint(format!("breakglass idp validate {idp}"))
        }
        SsoError::Declined { .. } => Report::of(Kind::Denied, error).hint("try again"),
        SsoError::Expired { .. } => Report::of(Kind::Denied, error).hint("try again"),
    }
}

fn random_number() -> Result<u64, Report> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| Report::of(Kind::Internal, &error))?;
    Ok(u64::from_le_bytes(random))
}

/// How many sign-ons of one UNIX user may wait at the same time.
const ATTEMPTS_MAX: usize = 16;
