//! Signing in and out by password, and what a sign-in is.

use serde_json::json;

use super::desk::Desk;
use super::sign_ins::hash;
use super::{Book, audit, over, records};
use crate::domain::account::{Account, AccountId, PasswordHash};
use crate::domain::audit_event::AuditDraft;
use crate::domain::email::Email;
use crate::domain::identity_provider::IdpHealth;
use crate::domain::operator::Operator;
use crate::domain::secret::Secret;
use crate::domain::sign_in::{SignIn, SignInMethod, Token};
use crate::domain::time::Span;
use crate::engine::caller::{Caller, Standing};
use crate::engine::chronicle;
use crate::engine::interpreter::Update;
use crate::engine::shared::Who;
use crate::error::{Kind, Report};
use crate::identity::directory::operators::DirectoryError;
use crate::identity::hashing::{ChoiceError, Compared, HashError};
use crate::identity::lockout::{Reservation, Source};
use crate::identity::login::{Refusal, Verdict};
use crate::identity::password::{Password, PasswordError};
use crate::protocol::{IdpView, Mode, Reply};
use crate::store::Record;

/// A try by password that was counted, and what came of comparing it.
pub(super) struct Tried {
    pub reservation: Reservation,
    /// What it was compared with; none where there was nothing and a dummy was.
    pub with: Option<PasswordHash>,
    pub compared: Compared,
}

impl Tried {
    /// True where the password is right and still the account's own.
    pub fn is_right(&self, account: Option<&Account>) -> bool {
        let kept = account.and_then(|account| account.password.as_ref());
        self.compared.right && kept.is_some() && kept == self.with.as_ref()
    }
}

impl Desk {
    /// Makes the first Owner, and signs them in.
    pub(super) async fn init(&self, email: Email, password: &Secret) -> Result<Reply, Report> {
        let refused = |error| Report::of(Kind::Denied, &error).hint("breakglass login");
        let looks_after = self.origin.uid == 0 || self.origin.uid == self.shared.operator.uid;
        if self.shared.people.mode() == Mode::System && !looks_after {
            let message = "on a shared host root makes the first Owner, so that nobody is quicker";
            return Err(
                Report::new(Kind::Denied, message).hint("sudo breakglass init --email EMAIL")
            );
        }
        if self.shared.people.view().owner_exists {
            return Err(refused(DirectoryError::HasOwner));
        }
        let hashed = self.chosen(password, &email).await?;
        let mut book = self.shared.people.book().await;
        let first = book.directory.first_owner(email, hashed, self.shared.now(), random()?);
        let account = first.map_err(refused)?;
        let what = format!("{} is the first Owner", account.email);
        let who = self.who_is(&account);
        let draft = audit::operator(&self.shared, &who, "operator.created", &what, &account);
        let draft = audit::changed(draft, json!(null), audit::of_account(&account));
        let record = records::account(&account);
        self.admit(&mut book, account, SignInMethod::Password, vec![record], vec![draft]).await
    }

    /// Signs in by password.
    pub(super) async fn by_password(
        &self,
        email: &Email,
        password: &Secret,
    ) -> Result<Reply, Report> {
        let tried = self.try_password(email, password).await?;
        let mut book = self.shared.people.book().await;
        let account = book.directory.by_email(email).cloned();
        let health = |idp: &_| self.shared.people.health(idp);
        let right = tried.is_right(account.as_ref());
        match (book.directory.decide(email, health, right), account) {
            (Verdict::Admitted { bypass }, Some(account)) => {
                let Tried { reservation, with, compared } = tried;
                let cleared = records::throttle(&book.lockouts.succeeded(reservation));
                let (id, mut changed) = (account.id, vec![cleared]);
                // Coming in by it shows that it works.
                let now = self.shared.now();
                let proofs = bypass.iter().map(|idp| book.directory.prove(idp, id, now));
                let proofs: Vec<_> = proofs.flatten().collect();
                changed.extend(proofs.iter().map(records::list));
                let method = match bypass {
                    none if none.is_empty() => SignInMethod::Password,
                    idps => SignInMethod::BreakGlass(idps),
                };
                let admitted = self.admit(&mut book, account, method, changed, vec![]).await?;
                proofs.into_iter().for_each(|list| book.directory.put_list(list));
                self.show(&book).await;
                drop(book);
                // Only now: what takes longer for a right password would tell that it is right.
                if let Some(before) = with.filter(|_| compared.needs_rehash) {
                    self.hash_anew(id, &before, password).await;
                }
                Ok(admitted)
            }
            (Verdict::Refused { refusal, is_break_glass, said }, _) => {
                drop(book);
                self.refuse(email, &refusal, is_break_glass, &said).await
            }
            (Verdict::Admitted { .. }, None) => {
                Err(Report::new(Kind::Internal, "nobody was let in"))
            }
        }
    }

    async fn refuse(
        &self,
        email: &Email,
        refusal: &Refusal,
        is_break_glass: bool,
        said: &str,
    ) -> Result<Reply, Report> {
        let what = format!("Sign-in of {email} by password refused: {refusal}");
        let who = self.somebody();
        let mut draft =
            audit::not_signed_in(&self.shared, &who, &what, email, "password", is_break_glass);
        if let Some(metadata) = draft.metadata.as_mut().and_then(serde_json::Value::as_object_mut) {
            metadata.insert("evidence".to_owned(), self.evidence_of_enforced().into());
        }
        self.commit(vec![], vec![draft]).await?;
        let report = Report::new(Kind::Denied, said);
        // One that was seen not to work would only lead them back here.
        let works = |idp: &&IdpView| idp.enforced && idp.health != IdpHealth::Unhealthy;
        let enforced = self.shared.people.view().idps.iter().find(works).cloned();
        Err(match enforced {
            Some(idp) => report.hint(format!("breakglass login --sso {}", idp.id)),
            None => report,
        })
    }

    /// Lets somebody in: the sign-in and everything that belongs to it become durable as one, and
    /// only then is there a token.
    pub(super) async fn admit(
        &self,
        book: &mut Book,
        account: Account,
        method: SignInMethod,
        mut changed: Vec<Record>,
        mut drafts: Vec<AuditDraft>,
    ) -> Result<Reply, Report> {
        let people = &self.shared.people;
        let token = Token::from_random(random()?);
        let now = self.shared.now();
        let sign_in = SignIn {
            token_hash: hash(&token),
            account: account.id,
            method,
            uid: self.origin.uid,
            tty: self.origin.tty.clone(),
            session: self.origin.session,
            boot_id: people.boot_id.clone(),
            started_at: now,
            used_at: now,
        };
        let finished = over(people, now);
        changed.extend(finished.iter().map(records::no_sign_in));
        changed.push(records::sign_in(&sign_in));
        drafts.push(self.success(&account, &sign_in.method));
        self.commit(changed, drafts).await?;
        for gone in &finished {
            people.sign_ins().end(&gone.token_hash);
        }
        people.sign_ins().add(sign_in.clone(), &account);
        self.take_in(book, account).await;
        let me = people.signed_in_view(&sign_in.token_hash);
        let me = me.ok_or_else(|| Report::new(Kind::Internal, "the sign-in is gone"))?;
        Ok(Reply::SignedIn { token, me: Box::new(me) })
    }

    fn success(&self, account: &Account, method: &SignInMethod) -> AuditDraft {
        let (what, word) = match method {
            SignInMethod::Password => ("Signed in by password".to_owned(), "password"),
            // These words are looked for by whoever watches the audit.
            SignInMethod::BreakGlass(_) => {
                ("Break-glass user logged in via password".to_owned(), "password")
            }
            SignInMethod::Sso(idp) => (format!("Signed in by SSO at {idp}"), "sso"),
        };
        let who = self.who_is(account);
        let mut draft = audit::operator(&self.shared, &who, "auth.login.success", &what, account);
        let bypassed = match method {
            SignInMethod::BreakGlass(idps) => idps.clone(),
            SignInMethod::Password | SignInMethod::Sso(_) => vec![],
        };
        draft.metadata = Some(json!({
            "method": word,
            "isBreakGlassAccess": method.is_break_glass(),
            "bypassed": bypassed,
            "evidence": if method.is_break_glass() { self.evidence_of_enforced() } else { vec![] },
        }));
        draft
    }

    /// Ends the caller's sign-in.
    pub(super) async fn logout(&self) -> Result<Reply, Report> {
        let Standing::SignedIn(hash) = &self.caller.standing else { return Ok(Reply::Done) };
        let _book = self.shared.people.book().await;
        let Some(ended) = self.shared.people.sign_ins().end(hash) else {
            return Ok(Reply::Done);
        };
        let draft = chronicle::plain(&self.shared, "auth.logout", "Signed out", &self.who(), None);
        // In this process it is over whatever the disk says.
        let why = "you signed out".to_owned();
        self.tell(Update::SignedOut { hash: hash.clone(), why }).await;
        self.commit(vec![records::no_sign_in(&ended)], vec![draft]).await?;
        Ok(Reply::Done)
    }

    /// Counts a try and compares its password. An address that nobody has costs the same.
    pub(super) async fn try_password(
        &self,
        email: &Email,
        password: &Secret,
    ) -> Result<Tried, Report> {
        let typed = Password::typed(password).map_err(|error| unusable(&error))?;
        let reservation = self.reserve(email).await?;
        let with = {
            let book = self.shared.people.book().await;
            book.directory.by_email(email).and_then(|account| account.password.clone())
        };
        let _turn = self.shared.people.turn(self.origin.uid).await;
        // Identity providers are asked for every try alike, so that the time says nothing.
        let (compared, ()) = tokio::join!(
            self.shared.people.hasher.compare(with.clone(), typed),
            self.look_at_enforced(),
        );
        let compared = compared.map_err(|error| busy(&error))?;
        Ok(Tried { reservation, with, compared })
    }

    /// Hashes a right password anew, where it should cost more by now. What goes wrong is tried
    /// again at the next sign-in.
    async fn hash_anew(&self, id: AccountId, before: &PasswordHash, password: &Secret) {
        let Ok(typed) = Password::typed(password) else { return };
        let people = &self.shared.people;
        let Ok(salt) = random() else { return };
        let Ok(after) = people.hasher.hash(typed, salt).await else { return };
        let mut book = people.book().await;
        let Ok(account) = book.directory.rehash(id, before, after) else { return };
        match self.commit(vec![records::account(&account)], vec![]).await {
            Ok(()) => self.take_in(&mut book, account).await,
            Err(report) => tracing::warn!(%report, "a password was not hashed anew"),
        }
    }

    /// Counts a try before it is made, durably.
    pub(super) async fn reserve(&self, email: &Email) -> Result<Reservation, Report> {
        let mut book = self.shared.people.book().await;
        let remote = self.origin.remote.as_deref().and_then(|text| text.parse().ok());
        let source = Source::new(self.origin.uid, remote);
        match book.lockouts.reserve(source, email, self.shared.now()) {
            Ok((reservation, changes)) => {
                let changed = changes.iter().map(records::throttle).collect();
                self.commit(changed, vec![]).await?;
                Ok(reservation)
            }
            Err(wait) => {
                let wait = wait.max(Span::from_seconds(1));
                let untold = book.throttled(self.origin.uid, self.shared.now());
                let listed = book.directory.is_listed(email);
                drop(book);
                if let Some(before) = untold {
                    let what = format!("Too many failed tries: the next one in {wait}");
                    let who = self.somebody();
                    let draft = audit::address(&self.shared, &who, "auth.throttled", &what, email);
                    let mut draft = audit::failed(draft);
                    draft.metadata =
                        Some(json!({ "isBreakGlassAccess": listed, "more_before": before }));
                    self.commit(vec![], vec![draft]).await?;
                }
                Err(Report::new(Kind::Denied, "too many failed tries from here")
                    .hint(format!("try again in {wait}")))
            }
        }
    }

    /// Judges a password that somebody chose for themselves, and hashes it.
    pub(super) async fn chosen(
        &self,
        password: &Secret,
        email: &Email,
    ) -> Result<PasswordHash, Report> {
        let people = &self.shared.people;
        let _turn = people.turn(self.origin.uid).await;
        let chosen = people.hasher.choose(password.clone(), email.clone(), random()?).await;
        chosen.map_err(|error| match error {
            ChoiceError::Password(error) => Report::of(Kind::Usage, &error),
            ChoiceError::Hash(error) => busy(&error),
        })
    }

    /// Who acts, where it is the operator of this account.
    pub(super) fn who_is(&self, account: &Account) -> Who {
        let operator = Operator::signed_in(self.origin.uid, account);
        Who::from(&Caller { operator, ..self.caller.clone() })
    }
}

/// What an operator reads whose password cannot be one.
pub(super) fn unusable(error: &PasswordError) -> Report {
    Report::of(Kind::Usage, error).hint("type it again")
}

fn busy(error: &HashError) -> Report {
    Report::of(Kind::Unavailable, error).hint("wait a moment and try again")
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], Report> {
    let mut random = [0; N];
    getrandom::fill(&mut random).map_err(|error| Report::of(Kind::Internal, &error))?;
    Ok(random)
}
