//! Break-glass lists: who could be on one, who is, and proofs.

use serde_json::{Value, json};

use super::desk::Desk;
use super::idps::{confirms, refused};
use super::{Book, audit, records, views};
use crate::domain::audit_event::AuditDraft;
use crate::domain::break_glass_user::BreakGlassList;
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::role::Ability;
use crate::domain::secret::Secret;
use crate::error::{Kind, Report};
use crate::protocol::{BreakGlassAsk, Reply};

impl Desk {
    pub(super) async fn break_glass(&self, ask: BreakGlassAsk) -> Result<Reply, Report> {
        match ask {
            BreakGlassAsk::Check { idp, email } => self.check(&idp, &email).await,
            BreakGlassAsk::Change { idp, add, remove, confirm } => {
                self.change_list(&idp, &add, &remove, confirm.as_deref()).await
            }
            BreakGlassAsk::Prove { idp, email, password } => {
                self.prove(&idp, &email, &password).await
            }
        }
    }

    async fn check(&self, idp: &IdpId, email: &Email) -> Result<Reply, Report> {
        self.idp(idp)?;
        let book = self.shared.people.book().await;
        let account = book.directory.by_email(email);
        match (book.directory.list(idp).admits(account), account) {
            (Ok(_), Some(account)) => {
                let view = views::listed(account, None, self.shared.now());
                Ok(Reply::Listed(Box::new(view)))
            }
            (Err(error), _) => Err(Report::of(Kind::Usage, &error).hint(error.remedy())),
            (Ok(_), None) => Err(Report::new(Kind::Internal, "nobody could be listed")),
        }
    }

    async fn change_list(
        &self,
        idp: &IdpId,
        add: &[Email],
        remove: &[Email],
        confirm: Option<&str>,
    ) -> Result<Reply, Report> {
        let mut book = self.deciding(Ability::BreakGlassLists).await?;
        let before = book.directory.list(idp);
        let confirmed = confirms(idp, confirm);
        let after = book.directory.change_list(idp, add, remove, confirmed, self.shared.now());
        let after = after.map_err(|error| refused(&error))?;
        if before == after {
            return Ok(self.shown());
        }
        let drafts = self.changes(&book, &before, &after, confirm.is_some());
        let bypassing = self.lose_bypass(&before, &after);
        let mut changed = vec![records::list(&after)];
        changed.extend(bypassing.iter().map(records::no_sign_in));
        self.commit(changed, drafts).await?;
        book.directory.put_list(after);
        self.show(&book).await;
        let why = format!("taken off the break-glass list of {idp}, by which the sign-in was");
        self.end_sign_ins(&bypassing, &why).await;
        for account in bypassing.iter().map(|sign_in| sign_in.account) {
            let why = why.clone();
            self.tell(crate::engine::interpreter::Update::Revoked { account, why }).await;
        }
        Ok(self.shown())
    }

    /// The sign-ins of those who were taken off a list while they are in by it.
    fn lose_bypass(
        &self,
        before: &BreakGlassList,
        after: &BreakGlassList,
    ) -> Vec<crate::domain::sign_in::SignIn> {
        use crate::domain::sign_in::SignInMethod::BreakGlass;
        let gone = before.listed.iter().filter(|it| after.listing(it.account).is_none());
        let sign_ins = self.shared.people.sign_ins();
        let by_it = |account| {
            sign_ins.of(
                account,
                |it| matches!(&it.method, BreakGlass(idps) if idps.contains(&before.idp)),
            )
        };
        gone.flat_map(|listing| by_it(listing.account)).collect()
    }

    /// The events of a change, one for everybody who came or went.
    pub(super) fn changes(
        &self,
        book: &Book,
        before: &BreakGlassList,
        after: &BreakGlassList,
        confirmed: bool,
    ) -> Vec<AuditDraft> {
        let who = self.who();
        let names = |list: &BreakGlassList| -> Value {
            let known = list.listed.iter().map(|it| book.directory.account(it.account));
            known.flatten().map(|account| json!(account.email)).collect()
        };
        let (names_before, names_after) = (names(before), names(after));
        let draft = |kind: &str, verb: &str, account| {
            let account = book.directory.account(account)?;
            let what = format!("{} {verb} the break-glass list of {}", account.email, after.idp);
            let draft = audit::operator(&self.shared, &who, kind, &what, account);
            let mut draft = audit::changed(draft, names_before.clone(), names_after.clone());
            draft.metadata = Some(json!({ "idp": after.idp, "confirmed": confirmed }));
            Some(draft)
        };
        let gone = before.listed.iter().filter(|it| after.listing(it.account).is_none());
        let come = after.listed.iter().filter(|it| before.listing(it.account).is_none());
        let gone =
            gone.filter_map(|it| draft("breakglass_user.removed", "was taken off", it.account));
        let come = come.filter_map(|it| draft("breakglass_user.added", "was put on", it.account));
        gone.chain(come).collect()
    }

    /// Lets a listed operator show that their password works. It lets nobody in.
    async fn prove(&self, idp: &IdpId, email: &Email, password: &Secret) -> Result<Reply, Report> {
        self.idp(idp)?;
        let tried = self.try_password(email, password).await?;
        let mut book = self.shared.people.book().await;
        let account = book.directory.by_email(email).cloned();
        let right = tried.is_right(account.as_ref());
        let proven = account
            .as_ref()
            .filter(|account| right && account.member)
            .map(|account| book.directory.prove(idp, account.id, self.shared.now()));
        let (list, account) = match (proven, account) {
            (Some(Ok(list)), Some(account)) => (list, account),
            (proven, _) => {
                drop(book);
                let why = match proven {
                    Some(Err(error)) => error.to_string(),
                    _ => "wrong address or password".to_owned(),
                };
                self.not_proven(idp, email, &why).await?;
                // A right password reads the same, or this would tell who has which.
                let message = format!(
                    "the e-mail address or the password is wrong, or it is not listed for `{idp}`"
                );
                return Err(Report::new(Kind::Denied, message));
            }
        };
        let cleared = records::throttle(&book.lockouts.succeeded(tried.reservation));
        let what = format!("{email} proved that their password works for {idp}");
        let who = self.who_is(&account);
        let draft =
            audit::operator(&self.shared, &who, "breakglass_user.proof_passed", &what, &account);
        self.commit(vec![records::list(&list), cleared], vec![draft]).await?;
        book.directory.put_list(list);
        self.show(&book).await;
        Ok(Reply::Done)
    }

    async fn not_proven(&self, idp: &IdpId, email: &Email, why: &str) -> Result<(), Report> {
        let what = format!("Proof for {idp} failed: {why}");
        let who = self.somebody();
        let draft =
            audit::address(&self.shared, &who, "breakglass_user.proof_failed", &what, email);
        self.commit(vec![], vec![audit::failed(draft)]).await
    }
}
