//! The sign-in screen: what stands before everything else while nobody is signed in.

use super::form::{Entry, Form};
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::time::{Span, Timestamp};
use crate::error::Report;
use crate::protocol::{IdentityView, SsoPromptView};
use crate::tui::format::countdown;

/// The sign-in screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gate {
    /// What is asked for.
    pub step: Step,
    /// Its fields. What is wrong stands in it, and the number of the question under way.
    pub form: Form,
    /// The number of the marked identity provider, while the cursor is on their list.
    pub idp: Option<usize>,
    /// True once somebody is signed in and their screens are on the way.
    pub entering: bool,
    /// Until when the engine wants to hear nothing, where it said so.
    pub not_before: Option<Timestamp>,
    /// Why the last sign-in ended.
    pub notice: Option<String>,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Step {
    /// Nothing: somebody is signed in, or need not be.
    #[default]
    Open,
    /// E-mail and password, or one of the identity providers.
    SignIn,
    /// The first Owner's address.
    OwnerEmail,
    /// The first Owner's password, twice.
    OwnerPassword(Email),
    /// What to do at an identity provider's page.
    Sso(Box<Sso>),
}

/// A single sign-on that was begun.
#[derive(Clone, Debug, PartialEq)]
pub struct Sso {
    /// At which identity provider.
    pub idp: IdpId,
    /// What people call it.
    pub label: String,
    /// Code and address, once they are here.
    pub prompt: Option<SsoPromptView>,
    /// Why it came to nothing.
    pub failed: Option<Report>,
}

impl Sso {
    /// True while somebody may still sign in at the page.
    #[must_use]
    pub fn is_running(&self, now: Timestamp) -> bool {
        self.failed.is_none() && self.prompt.as_ref().is_some_and(|prompt| prompt.expires_at > now)
    }

    /// True once it has come to nothing, so that only another one helps.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.failed.is_some() || self.prompt.as_ref().is_some_and(|it| it.expires_at <= now)
    }
}

impl Gate {
    /// Brings the screen in line with who is signed in and whether there is an Owner; what was
    /// typed stays where it still fits.
    pub fn follow(&mut self, identity: &IdentityView) {
        if !identity.bars() {
            *self = Self::default();
            return;
        }
        let wizard = matches!(self.step, Step::OwnerEmail | Step::OwnerPassword(_));
        // While an answer is awaited, that there is an Owner is the news of this very question, and
        // the answer says whether it is the one who sits here.
        if wizard && self.form.sent.is_some() {
            return;
        }
        match (&self.step, identity.owner_exists) {
            (Step::Open, true) => self.ask_sign_in(""),
            (_, true) if wizard => {
                // Why it was somebody else may have been said just before.
                let refusal = self.form.refusal.take();
                self.ask_sign_in("");
                self.form.refusal = refusal;
            }
            (_, false) if !wizard => self.ask_owner_email(""),
            _ => {}
        }
        self.idp = self.idp.filter(|_| !identity.idps.is_empty());
        self.idp = self.idp.map(|at| at.min(identity.idps.len().saturating_sub(1)));
    }

    /// Asks for e-mail and password.
    pub fn ask_sign_in(&mut self, email: &str) {
        self.step = Step::SignIn;
        self.idp = None;
        self.not_before = None;
        self.form =
            Form::new(vec![Entry::text("e-mail", email, ""), Entry::secret("password", "")]);
        self.form.focus = usize::from(!email.is_empty());
    }

    /// Asks for the first Owner's address.
    pub fn ask_owner_email(&mut self, email: &str) {
        self.step = Step::OwnerEmail;
        self.form = Form::new(vec![Entry::text("e-mail", email, "")]);
    }

    /// Asks for the first Owner's password.
    pub fn ask_owner_password(&mut self, email: Email) {
        self.step = Step::OwnerPassword(email);
        self.form = Form::new(vec![Entry::secret("password", ""), Entry::secret("again", "")]);
    }

    /// Notes what the engine refused, and until when it wants to hear nothing.
    pub fn refuse(&mut self, report: Report, now: Timestamp) {
        self.not_before = wait_of(&report).map(|wait| now + wait);
        self.form.sent = None;
        self.form.refusal = Some(report);
    }

    /// True while something on the screen changes every second.
    #[must_use]
    pub fn counts(&self, now: Timestamp) -> bool {
        let waits = self.form.refusal.is_some() && self.not_before.is_some_and(|until| until > now);
        waits || matches!(&self.step, Step::Sso(sso) if sso.is_running(now))
    }
}

/// How long a report asks to wait: the time behind `try again in`, such as `4s` or `4 s`.
#[must_use]
pub fn wait_of(report: &Report) -> Option<Span> {
    let texts = [Some(&report.message), report.hint.as_ref()].into_iter().flatten();
    texts.chain(&report.causes).find_map(|text| Some(waits(text)?.1))
}

/// The same report, with the time that is left where it says how long to wait.
#[must_use]
pub fn counted_down(report: &Report, left: Span) -> Report {
    let count = |text: &String| match waits(text) {
        None => text.clone(),
        Some((before, _, after)) if left == Span::ZERO => format!("{before}{TRY_NOW}{after}"),
        Some((before, _, after)) => format!("{before}{TRY_AGAIN}{}{after}", countdown(left)),
    };
    Report {
        kind: report.kind,
        message: count(&report.message),
        causes: report.causes.iter().map(count).collect(),
        hint: report.hint.as_ref().map(count),
    }
}

/// What stands before `try again in`, the time behind it, and what follows.
fn waits(text: &str) -> Option<(&str, Span, &str)> {
    let (before, rest) = text.split_once(TRY_AGAIN)?;
    // The time is one word, or a number and its unit.
    let ends = rest.match_indices([' ', ',', ';', '.', ')']).map(|(at, _)| at);
    ends.chain([rest.len()]).take(2).find_map(|end| {
        let (time, after) = rest.split_at_checked(end)?;
        let span = time.replace(' ', "").parse().ok()?;
        Some((before, span, after))
    })
}

/// The words in front of the time that a report asks to wait.
const TRY_AGAIN: &str = "try again in ";

/// What stands there once it is over.
const TRY_NOW: &str = "try again now";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn the_time_to_wait_is_read_from_the_engines_words() {
        let wait = |hint: &str| wait_of(&Report::new(Kind::Denied, "too many tries").hint(hint));
        assert_eq!(wait("try again in 4 s"), Some(Span::from_seconds(4)));
        assert_eq!(wait("try again in 15m, or by SSO"), Some(Span::from_minutes(15)));
        assert_eq!(wait("try again in 2m30s"), Some(Span::from_seconds(150)));
        assert_eq!(wait("try again in a while"), None);
        assert_eq!(wait("ask an Owner"), None);
    }

    #[test]
    fn the_time_that_is_left_takes_its_place() {
        let report =
            Report::new(Kind::Denied, "too many tries").hint("try again in 4 s, or by SSO");
        let hint = |left| counted_down(&report, Span::from_seconds(left)).hint.unwrap();
        assert_eq!(hint(3), "try again in 0:03, or by SSO");
        assert_eq!(hint(0), "try again now, or by SSO");
        let other = Report::new(Kind::Denied, "wrong").hint("ask an Owner");
        assert_eq!(counted_down(&other, Span::ZERO), other);
    }
}
