//! Serves one command about people: sends it where it belongs, and makes decisions durable.

use std::sync::Arc;

use tokio::sync::{MutexGuard as AsyncGuard, mpsc};

use super::Book;
use crate::domain::account::Account;
use crate::domain::audit_event::AuditDraft;
use crate::domain::role::Ability;
use crate::domain::sign_in::SignIn;
use crate::engine::caller::{Caller, Standing};
use crate::engine::interpreter::Update;
use crate::engine::shared::{Shared, Who, store_report};
use crate::error::{Kind, Report};
use crate::protocol::{Command, Origin, Reply, SignInAsk};
use crate::store::{Batch, Record};

/// One command about people, and who gave it.
pub(in crate::engine) struct Desk {
    pub shared: Arc<Shared>,
    pub updates: mpsc::Sender<Update>,
    pub caller: Caller,
    pub origin: Origin,
}

impl Desk {
    /// Serves the command. What it decides is durable when this returns; it must not be dropped
    /// half-way.
    pub async fn serve(&self, command: Command) -> Result<Reply, Report> {
        if self.shared.drill {
            return Err(Report::new(
                Kind::Denied,
                "nobody signs in in a drill, and nothing of it is real",
            )
            .hint("leave the drill, then: breakglass"));
        }
        match command {
            Command::SignIn(ask) => self.sign_in(ask).await,
            Command::Operators(ask) => self.operators(ask).await,
            Command::Idp(ask) => self.idps(ask).await,
            Command::BreakGlass(ask) => self.break_glass(ask).await,
            Command::Vault(ask) => self.vault(ask).await,
            other => Err(Report::new(Kind::Internal, format!("`{other:?}` is not served here"))),
        }
    }

    async fn sign_in(&self, ask: SignInAsk) -> Result<Reply, Report> {
        match ask {
            SignInAsk::Init { email, password } => self.init(email, &password).await,
            SignInAsk::Password { email, password } => self.by_password(&email, &password).await,
            SignInAsk::BeginSso { idp } => self.begin_sso(&idp).await,
            SignInAsk::FinishSso { .. } => {
                Err(Report::new(Kind::Internal, "a sign-on is waited for before it is finished"))
            }
            SignInAsk::Redeem { email, code, password } => {
                self.redeem(&email, &code, &password).await
            }
            SignInAsk::SetPassword { current, new } => {
                self.set_password(current.as_ref(), &new).await
            }
            SignInAsk::Logout => self.logout().await,
            SignInAsk::Whoami => Ok(Reply::Me(self.me())),
        }
    }

    /// Takes in an account as it has become, and tells the faces.
    pub(super) async fn take_in(&self, book: &mut Book, account: Account) {
        self.shared.people.sign_ins().account_changed(&account);
        book.directory.put_account(account);
        self.shared.people.show(&book.directory, self.shared.now());
        self.tell(Update::Identity).await;
    }

    /// Ends sign-ins that are out of the store already.
    pub(super) async fn end_sign_ins(&self, ended: &[SignIn], why: &str) {
        for sign_in in ended {
            self.shared.people.sign_ins().end(&sign_in.token_hash);
            let (hash, why) = (sign_in.token_hash.clone(), why.to_owned());
            self.tell(Update::SignedOut { hash, why }).await;
        }
    }

    /// Takes the book for a decision that needs a right, and asks for that right again: it may have
    /// been lost while this waited, for the book or for the world.
    ///
    /// # Errors
    ///
    /// Who may, or that nobody is signed in any more.
    pub(super) async fn deciding(&self, ability: Ability) -> Result<AsyncGuard<'_, Book>, Report> {
        let book = self.shared.people.book().await;
        let hash = self.token_hash().ok_or_else(|| self.caller.nobody())?;
        let signed_in = self.shared.people.signed_in_view(hash);
        let me = signed_in.filter(|_| self.shared.people.lasts(hash, self.shared.now()));
        let me = me.ok_or_else(|| self.caller.nobody())?;
        me.role.may(ability).map_err(|error| Report::of(Kind::Denied, &error))?;
        Ok(book)
    }

    /// Whoever sits there, with no account to their name: nobody is who they say before it is
    /// proven, whoever is signed in there meanwhile.
    pub(super) fn somebody(&self) -> Who {
        let operator = self.shared.unix_user(&self.origin);
        Who::from(&Caller { operator, ..self.caller.clone() })
    }

    pub(super) fn who(&self) -> Who {
        Who::from(&self.caller)
    }

    /// The hash of the token of whoever calls, where they are signed in.
    pub(super) fn token_hash(&self) -> Option<&str> {
        match &self.caller.standing {
            Standing::SignedIn(hash) => Some(hash),
            Standing::Drill | Standing::Nobody { .. } => None,
        }
    }

    fn me(&self) -> Option<Box<crate::protocol::SignedInView>> {
        self.token_hash().and_then(|hash| self.shared.people.signed_in_view(hash)).map(Box::new)
    }

    /// Makes a decision durable: what changes, and what the audit gets.
    ///
    /// # Errors
    ///
    /// When it is not durable; nothing has changed then.
    pub(super) async fn commit(
        &self,
        records: Vec<Record>,
        audit: Vec<AuditDraft>,
    ) -> Result<(), Report> {
        let batch = Batch { records, audit, ..Batch::at(crate::clock::wall()) };
        let events = self.shared.store.append(batch).await.map_err(|error| store_report(&error))?;
        self.tell(Update::Audit(events)).await;
        Ok(())
    }

    pub(super) async fn tell(&self, update: Update) {
        // An engine that stops tells nobody.
        self.updates.send(update).await.ok();
    }
}
