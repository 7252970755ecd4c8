//! Operators' accounts: listed, invited, reset, removed, given roles.

use serde_json::json;

use super::desk::Desk;
use super::sign_in::random;
use super::{Book, audit, records, views};
use crate::domain::account::Account;
use crate::domain::audit_event::AuditDraft;
use crate::domain::break_glass_user::{Stale, stale};
use crate::domain::connect::quote;
use crate::domain::email::Email;
use crate::domain::identity_provider::IdpSettings;
use crate::domain::role::{Ability, Role};
use crate::engine::interpreter::Update;
use crate::error::{Kind, Report};
use crate::identity::directory::operators::{DirectoryError, InviteRandom};
use crate::protocol::{OperatorsAsk, OperatorsView, Reply};

impl Desk {
    pub(super) async fn operators(&self, ask: OperatorsAsk) -> Result<Reply, Report> {
        match ask {
            OperatorsAsk::List { filter, limit, offset } => {
                let book = self.shared.people.book().await;
                let filter = filter.unwrap_or_default();
                Ok(Reply::Operators(list(&book, &filter, limit.min(ROWS_MAX), offset)))
            }
            OperatorsAsk::Invite { email, role } => self.invite(email, role).await,
            OperatorsAsk::Reset { email } => self.reset(&email).await,
            OperatorsAsk::Remove { email, confirm } => {
                self.remove_operator(&email, confirm.as_deref()).await
            }
            OperatorsAsk::SetRole { email, role } => self.set_role(&email, role).await,
        }
    }

    async fn invite(&self, email: Email, role: Role) -> Result<Reply, Report> {
        let mut book = self.deciding(Ability::Operators).await?;
        let random = InviteRandom { id: random()?, code: random()? };
        let invite = book.directory.invite(email.clone(), role, self.shared.now(), random);
        let invite = invite.map_err(|error| refused(&error))?;
        let what = format!("{email} was invited as {role}");
        let draft =
            audit::operator(&self.shared, &self.who(), "operator.invited", &what, &invite.account);
        let mut draft = audit::changed(draft, json!(null), audit::of_account(&invite.account));
        // A look-alike of somebody's address is somebody else's.
        draft.metadata = Some(json!({ "mixes_scripts": email.mixes_scripts() }));
        let (mut changed, mut drafts) = (vec![records::account(&invite.account)], vec![draft]);
        // Perhaps somebody else has the address by now: what they were listed for is decided anew.
        let lists: Vec<_> = invite.listed.iter().map(|idp| book.directory.list(idp)).collect();
        let mut shorter = lists.clone();
        for (before, after) in lists.iter().zip(&mut shorter) {
            after.listed.retain(|listing| listing.account != invite.account.id);
            changed.push(records::list(after));
            drafts.extend(self.changes(&book, before, after, false));
        }
        self.commit(changed, drafts).await?;
        shorter.into_iter().for_each(|list| book.directory.put_list(list));
        let expires_at = invite.account.code.as_ref().map(|code| code.expires_at);
        self.take_in(&mut book, invite.account).await;
        Ok(Reply::Code {
            email,
            code: invite.code.grouped(),
            expires_at: expires_at.unwrap_or_default(),
        })
    }

    async fn reset(&self, email: &Email) -> Result<Reply, Report> {
        let mut book = self.deciding(Ability::Operators).await?;
        let id = find(&book, email)?.id;
        let made = book.directory.reset(id, self.shared.now(), random()?);
        let (account, code) = made.map_err(|error| refused(&error))?;
        let what = format!("A one-time code was made for {email}");
        let draft = audit::operator(&self.shared, &self.who(), "operator.invited", &what, &account);
        self.commit(vec![records::account(&account)], vec![draft]).await?;
        let expires_at = account.code.as_ref().map(|code| code.expires_at).unwrap_or_default();
        self.take_in(&mut book, account).await;
        Ok(Reply::Code { email: email.clone(), code: code.grouped(), expires_at })
    }

    async fn remove_operator(&self, email: &Email, confirm: Option<&str>) -> Result<Reply, Report> {
        let mut book = self.deciding(Ability::Operators).await?;
        let before = find(&book, email)?.clone();
        let confirmed = confirm.is_some_and(|typed| typed.trim() == email.as_str());
        let after = book.directory.remove(before.id, confirmed).map_err(|error| refused(&error))?;
        let what = format!("{email} was removed from the team");
        self.change(&mut book, "operator.removed", &what, before, after).await?;
        Ok(Reply::Done)
    }

    async fn set_role(&self, email: &Email, role: Role) -> Result<Reply, Report> {
        let mut book = self.deciding(Ability::Operators).await?;
        let before = find(&book, email)?.clone();
        if before.role == role {
            return Ok(Reply::Done);
        }
        let after = book.directory.set_role(before.id, role).map_err(|error| refused(&error))?;
        let what = format!("{email} is {role} now, not {}", before.role);
        self.change(&mut book, "operator.role_changed", &what, before, after).await?;
        Ok(Reply::Done)
    }

    /// Makes a change of an account durable. Who may less than before is signed out everywhere,
    /// and their sessions end.
    async fn change(
        &self,
        book: &mut Book,
        kind: &str,
        what: &str,
        before: Account,
        after: Account,
    ) -> Result<(), Report> {
        let draft = audit::operator(&self.shared, &self.who(), kind, what, &after);
        let draft = audit::changed(draft, audit::of_account(&before), audit::of_account(&after));
        let mut drafts = vec![draft];
        if stale(&before).is_none() && stale(&after).is_some() {
            drafts.extend(self.stale_entries(book, &after));
        }
        let lost = !after.member || after.role < before.role;
        let ended =
            if lost { self.shared.people.sign_ins().of(after.id, |_| true) } else { vec![] };
        let mut changed = vec![records::account(&after)];
        changed.extend(ended.iter().map(records::no_sign_in));
        self.commit(changed, drafts).await?;
        let account = after.id;
        self.take_in(book, after).await;
        if lost {
            let why = if ended.is_empty() { what } else { "an Owner has changed what you may" };
            self.end_sign_ins(&ended, why).await;
            self.tell(Update::Revoked { account, why: what.to_owned() }).await;
        }
        Ok(())
    }
}

impl Desk {
    /// The events of listings that count for nothing from now on.
    fn stale_entries(&self, book: &Book, account: &Account) -> Vec<AuditDraft> {
        let why = stale(account).map_or("", Stale::as_str);
        let on = |idp: &&IdpSettings| book.directory.list(&idp.id).listing(account.id).is_some();
        let lists = book.directory.idps().iter().filter(on);
        let draft = |idp: &IdpSettings| {
            let what = format!("{} is listed for {} and {why}", account.email, idp.id);
            let who = self.who();
            audit::operator(&self.shared, &who, "breakglass_user.stale", &what, account)
        };
        lists.map(draft).collect()
    }
}

/// The operators whose address or role holds a text.
fn list(book: &Book, filter: &str, limit: u32, offset: u32) -> OperatorsView {
    let matching: Vec<_> = book.directory.holding(filter).collect();
    let shown = matching.iter().skip(offset as usize).take(limit as usize);
    OperatorsView {
        total: book.directory.accounts().count() as u64,
        matching: matching.len() as u64,
        operators: shown.map(|account| views::operator(&book.directory, account)).collect(),
    }
}

fn find<'a>(book: &'a Book, email: &Email) -> Result<&'a Account, Report> {
    book.directory.by_email(email).ok_or_else(|| refused(&DirectoryError::Unknown))
}

fn refused(error: &DirectoryError) -> Report {
    let report = Report::of(Kind::Denied, error);
    match error {
        DirectoryError::LastUsable { email, .. } => {
            report.hint(format!("--confirm {}", quote(email.as_str())))
        }
        _ => report,
    }
}

const ROWS_MAX: u32 = 1_000;
