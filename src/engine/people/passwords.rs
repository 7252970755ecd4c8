//! Setting passwords: each operator sets their own, by the old one, by a one-time code, or after a
//! single sign-on.

use super::desk::Desk;
use super::{audit, records};
use crate::domain::account::Account;
use crate::domain::email::Email;
use crate::domain::role::Ability;
use crate::domain::secret::Secret;
use crate::domain::sign_in::SignInMethod;
use crate::error::{Kind, Report};
use crate::identity::codes::Code;
use crate::protocol::Reply;
use crate::store::Record;

impl Desk {
    /// Sets a password with a one-time code.
    pub(super) async fn redeem(
        &self,
        email: &Email,
        code: &Secret,
        password: &Secret,
    ) -> Result<Reply, Report> {
        let code = Code::parse(code)
            .map_err(|error| Report::of(Kind::Usage, &error).hint("type it as it was shown"))?;
        // Judged and hashed before the code is looked at: the time says nothing of who was invited,
        // and a password that will not do is no failed try.
        let hashed = self.chosen(password, email).await?;
        let reservation = self.reserve(email).await?;
        let mut book = self.shared.people.book().await;
        let account = match book.directory.redeem(email, &code, hashed, self.shared.now()) {
            Ok(account) => account,
            Err(error) => {
                drop(book);
                let what = format!("One-time code refused: {error}");
                let who = self.somebody();
                let draft = audit::not_signed_in(&self.shared, &who, &what, email, "code", false);
                self.commit(vec![], vec![draft]).await?;
                return Err(Report::of(Kind::Denied, &error));
            }
        };
        let cleared = records::throttle(&book.lockouts.succeeded(reservation));
        let what = format!("{email} set a password with a one-time code");
        let who = self.who_is(&account);
        let draft = audit::operator(&self.shared, &who, "operator.password_set", &what, &account);
        let ended = self.others_by_password(&account);
        let mut changed = vec![records::account(&account), cleared];
        changed.extend(ended.iter().map(records::no_sign_in));
        self.commit(changed, vec![draft]).await?;
        self.end_sign_ins(&ended, "the password was changed").await;
        self.take_in(&mut book, account).await;
        Ok(Reply::Done)
    }

    /// Sets the caller's own password.
    pub(super) async fn set_password(
        &self,
        current: Option<&Secret>,
        new: &Secret,
    ) -> Result<Reply, Report> {
        let Some(me) = self.caller.operator.account.clone() else {
            return Err(self.caller.nobody());
        };
        let before = {
            let book = self.shared.people.book().await;
            book.directory.account(me.id).and_then(|account| account.password.clone())
        };
        let mut changed = match &before {
            Some(_) => self.know_current(&me.email, current).await?,
            None => vec![],
        };
        let hashed = self.chosen(new, &me.email).await?;
        let mut book = self.deciding(Ability::UseSessions).await?;
        // What was known is worth nothing where somebody has set another one meanwhile.
        let now = book.directory.account(me.id).and_then(|account| account.password.as_ref());
        if now != before.as_ref() {
            return Err(Report::new(Kind::Denied, "the password was changed meanwhile")
                .hint("breakglass login"));
        }
        let account = book
            .directory
            .set_password(me.id, hashed)
            .map_err(|error| Report::of(Kind::Denied, &error))?;
        let what = format!("{} set their password", me.email);
        let who = self.who();
        let draft = audit::operator(&self.shared, &who, "operator.password_set", &what, &account);
        let ended = self.others_by_password(&account);
        changed.push(records::account(&account));
        changed.extend(ended.iter().map(records::no_sign_in));
        self.commit(changed, vec![draft]).await?;
        self.end_sign_ins(&ended, "the password was changed").await;
        self.take_in(&mut book, account).await;
        Ok(Reply::Done)
    }

    /// Refuses who does not know the password that is set; a face that was left open is not enough
    /// to take an account over.
    async fn know_current(
        &self,
        email: &Email,
        current: Option<&Secret>,
    ) -> Result<Vec<Record>, Report> {
        let current = current.ok_or_else(|| {
            Report::new(Kind::Usage, "the password that is set is needed too")
                .hint("breakglass password set")
        })?;
        let tried = self.try_password(email, current).await?;
        let mut book = self.shared.people.book().await;
        if tried.is_right(book.directory.by_email(email)) {
            return Ok(vec![records::throttle(&book.lockouts.succeeded(tried.reservation))]);
        }
        drop(book);
        let what = "Change of password refused: wrong password";
        let who = self.who();
        let draft = audit::not_signed_in(&self.shared, &who, what, email, "password", false);
        self.commit(vec![], vec![draft]).await?;
        Err(Report::new(Kind::Denied, "the current password is wrong"))
    }

    /// Sign-ins of an account by its old password, but for the one that asks.
    fn others_by_password(&self, account: &Account) -> Vec<crate::domain::sign_in::SignIn> {
        self.shared.people.sign_ins().of(account.id, |it| {
            !matches!(it.method, SignInMethod::Sso(_))
                && Some(it.token_hash.as_str()) != self.token_hash()
        })
    }
}
