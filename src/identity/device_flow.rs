//! The device authorization grant (RFC 8628) as a pure machine: it says when to ask, takes in what
//! was answered, and knows when it is over.
//!
//! ```text
//!             ┌──────── pending, slow down, trouble ───────┐
//!             ▼                                            │
//!  code ──► wait ──► poll ──► answer ──────────────────────┤
//!             │                                            ▼
//!             └── the code expires ─────────────────────► done
//! ```
//!
//! Rules that hold in every line below:
//!
//! 1. It never asks more often than the identity provider wants, nor after the code has expired.
//! 2. Trouble on the way ends nothing: only an answer or the code's end does.
//! 3. What is done stays done.
//!
//! Time is counted from the moment at which the code was given.

use serde::Deserialize;

use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::time::Span;

/// What the identity provider gives at the beginning (RFC 8628, section 3.2), as it is read.
#[derive(Clone, Debug, Deserialize)]
pub struct DeviceAnswer {
    /// What to poll with.
    pub device_code: Secret,
    /// What the person types.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the code in it.
    pub verification_uri_complete: Option<String>,
    /// How long the code works, in seconds.
    pub expires_in: u64,
    /// How long to wait between two questions, in seconds.
    pub interval: Option<u64>,
}

/// What the identity provider gives at the end (RFC 6749, section 5.1), as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Grant {
    /// Who the person is; still to be judged.
    pub id_token: Option<Secret>,
    /// With what more may be asked about the person.
    pub access_token: Option<Secret>,
}

/// A sign-in that waits for a person.
#[derive(Clone, Debug)]
pub struct DeviceFlow {
    expires_at: Span,
    interval: Span,
    next_at: Span,
    failures: u32,
    trouble: Option<String>,
    outcome: Option<Outcome>,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask whether the person has decided.
    Poll,
    /// Do nothing until then.
    WaitUntil(Span),
    /// It is over.
    Done(Outcome),
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The person signed in.
    Granted(Grant),
    /// An error of OAuth, by its code, with the identity provider's own number for it.
    Refused {
        /// `authorization_pending`, `access_denied`, ...; clean text.
        code: String,
        /// Such as `AADSTS50020`.
        detail: Option<String>,
    },
    /// No answer, or one that says nothing: the network, or an error of the server's own.
    Trouble {
        /// What went wrong; clean text.
        why: String,
        /// How long the server wants to be left alone.
        retry_after: Option<Span>,
    },
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The person signed in; the ID token is still to be judged.
    Granted(Grant),
    /// The person, or a rule there, said no.
    Declined,
    /// Nobody decided in time.
    Expired,
    /// The code expired while the identity provider could not be asked.
    Unreachable(String),
    /// This program is not let: what it says, and what to change there.
    Misconfigured(String),
    /// It contradicts itself.
    Untrusted(String),
}

impl DeviceFlow {
    /// Begins with what the identity provider gave, in seconds.
    ///
    /// A missing `interval` is five seconds (RFC 8628, section 3.2). One of nothing still leaves
    /// [`POLL_MIN`] between two questions, and no code is waited for longer than
    /// [`EXPIRES_SECONDS_MAX`].
    #[must_use]
    pub fn new(expires_in: u64, interval: Option<u64>) -> Self {
        let interval = interval.unwrap_or(INTERVAL_SECONDS).min(EXPIRES_SECONDS_MAX);
        let interval = Span::from_seconds(interval).max(POLL_MIN);
        Self {
            expires_at: Span::from_seconds(expires_in.min(EXPIRES_SECONDS_MAX)),
            interval,
            next_at: interval,
            failures: 0,
            trouble: None,
            outcome: None,
        }
    }

    /// What to do at `now`.
    #[must_use]
    pub fn next(&self, now: Span) -> Next {
        if let Some(outcome) = &self.outcome {
            return Next::Done(outcome.clone());
        }
        if now >= self.expires_at {
            return Next::Done(self.out_of_time());
        }
        if now >= self.next_at {
            Next::Poll
        } else {
            Next::WaitUntil(self.next_at.min(self.expires_at))
        }
    }

    /// Takes in what came of a question, at `now`.
    pub fn take_in(&mut self, answer: Answer, now: Span) {
        if self.outcome.is_some() {
            return;
        }
        match answer {
            Answer::Granted(grant) => self.outcome = Some(Outcome::Granted(grant)),
            Answer::Refused { code, detail } => self.refused(&code, detail.as_deref(), now),
            Answer::Trouble { why, retry_after } => self.troubled(why, retry_after, now),
        }
    }

    fn refused(&mut self, code: &str, detail: Option<&str>, now: Span) {
        self.failures = 0;
        self.trouble = None;
        match code {
            "authorization_pending" => self.next_at = now + self.interval,
            "slow_down" => {
                // For this and all further questions (RFC 8628, section 3.5).
                self.interval = self.interval + SLOW_DOWN;
                self.next_at = now + self.interval;
            }
            code => self.outcome = Some(meaning(code, detail)),
        }
    }

    fn troubled(&mut self, why: String, retry_after: Option<Span>, now: Span) {
        // Twice as long after each failure in a row (RFC 8628, section 3.5), and never shorter
        // than the server asks for.
        self.failures = self.failures.saturating_add(1);
        let factor = 1_u64 << self.failures.min(6);
        let pause = Span::from_millis(self.interval.as_millis().saturating_mul(factor));
        let pause = pause.min(BACK_OFF_MAX.max(self.interval));
        self.next_at = now + pause.max(retry_after.unwrap_or_default());
        self.trouble = Some(why);
    }

    fn out_of_time(&self) -> Outcome {
        match &self.trouble {
            Some(why) => Outcome::Unreachable(why.clone()),
            None => Outcome::Expired,
        }
    }
}

/// Says what an error that ends it means (RFC 8628, section 3.5; RFC 6749, section 5.2; the rest is
/// [Entra's](https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code)).
#[must_use]
pub fn meaning(code: &str, detail: Option<&str>) -> Outcome {
    let detail = detail.map(|detail| format!(", {detail}")).unwrap_or_default();
    let said = format!("`{}`{detail}", text::shown(code));
    match code {
        "access_denied" | "authorization_declined" => Outcome::Declined,
        "expired_token" => Outcome::Expired,
        "bad_verification_code" => {
            Outcome::Untrusted(format!("it does not know the code that it gave ({said})"))
        }
        "invalid_client" => Outcome::Misconfigured(format!(
            "it does not know the client id, or the client secret is wrong or missing ({said}); \
             an application without a secret must be registered as a public client"
        )),
        "unauthorized_client" => Outcome::Misconfigured(format!(
            "the application is not allowed the device code grant ({said}); allow it there \
             (Entra: `Allow public client flows`)"
        )),
        "unsupported_grant_type" => Outcome::Misconfigured(format!(
            "it does not offer the device code grant to this application ({said}); allow it there"
        )),
        "invalid_scope" => Outcome::Misconfigured(format!(
            "it does not grant the scopes that are asked for ({said}); change them here or there"
        )),
        "invalid_grant" => Outcome::Misconfigured(format!(
            "the code was used already, or a rule there, such as conditional access, forbids \
             this way to sign in ({said})"
        )),
        _ => Outcome::Misconfigured(format!("it answers {said}")),
    }
}

/// The least time between two questions, whatever the identity provider allows.
pub const POLL_MIN: Span = Span::from_millis(100);

/// The longest that a code is waited for.
pub const EXPIRES_SECONDS_MAX: u64 = 3_600;

/// RFC 8628, section 3.2.
const INTERVAL_SECONDS: u64 = 5;

/// RFC 8628, section 3.5.
const SLOW_DOWN: Span = Span::from_seconds(5);

/// The longest pause after failures, where the server does not ask for more.
const BACK_OFF_MAX: Span = Span::from_seconds(60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Span {
        Span::from_seconds(seconds)
    }

    fn grant() -> Grant {
        Grant { id_token: Some(Secret::new("token")), access_token: None }
    }

    fn refused(code: &str) -> Answer {
        Answer::Refused { code: code.into(), detail: None }
    }

    fn trouble(why: &str, retry_after: Option<u64>) -> Answer {
        Answer::Trouble { why: why.into(), retry_after: retry_after.map(s) }
    }

    #[test]
    fn it_waits_the_interval_before_each_question() {
        let mut flow = DeviceFlow::new(900, Some(3));
        assert_eq!(flow.next(s(0)), Next::WaitUntil(s(3)));
        assert_eq!(flow.next(s(3)), Next::Poll);
        flow.take_in(refused("authorization_pending"), s(4));
        assert_eq!(flow.next(s(4)), Next::WaitUntil(s(7)));
        assert_eq!(flow.next(s(7)), Next::Poll);
        flow.take_in(Answer::Granted(grant()), s(7));
        assert_eq!(flow.next(s(7)), Next::Done(Outcome::Granted(grant())));
    }

    #[test]
    fn a_missing_interval_is_five_seconds_and_one_of_nothing_is_no_hot_loop() {
        assert_eq!(DeviceFlow::new(900, None).next(s(0)), Next::WaitUntil(s(5)));
        assert_eq!(DeviceFlow::new(900, Some(0)).next(s(0)), Next::WaitUntil(POLL_MIN));
    }

    #[test]
    fn slow_down_adds_five_seconds_for_good() {
        let mut flow = DeviceFlow::new(900, None);
        flow.take_in(refused("slow_down"), s(5));
        assert_eq!(flow.next(s(5)), Next::WaitUntil(s(15)));
        flow.take_in(refused("authorization_pending"), s(15));
        assert_eq!(flow.next(s(15)), Next::WaitUntil(s(25)));
        flow.take_in(refused("slow_down"), s(25));
        assert_eq!(flow.next(s(25)), Next::WaitUntil(s(40)));
    }

    #[test]
    fn trouble_makes_it_ask_less_often_until_there_is_an_answer() {
        let mut flow = DeviceFlow::new(900, None);
        let mut pauses = vec![];
        for _ in 0..6 {
            flow.take_in(trouble("it refuses connections", None), s(0));
            pauses.push(flow.next(s(0)));
        }
        let expected = [10, 20, 40, 60, 60, 60].map(|seconds| Next::WaitUntil(s(seconds)));
        assert_eq!(pauses, expected);
        flow.take_in(refused("authorization_pending"), s(100));
        assert_eq!(flow.next(s(100)), Next::WaitUntil(s(105)));
    }

    #[test]
    fn a_server_that_wants_peace_gets_it() {
        let mut flow = DeviceFlow::new(900, None);
        flow.take_in(trouble("it answered 503", Some(120)), s(0));
        assert_eq!(flow.next(s(0)), Next::WaitUntil(s(120)));
        flow.take_in(trouble("it answered 503", Some(1)), s(120));
        assert_eq!(flow.next(s(120)), Next::WaitUntil(s(140)));
        flow.take_in(trouble("it answered 503", Some(u64::MAX)), s(140));
        assert_eq!(flow.next(s(140)), Next::WaitUntil(s(900)));
    }

    #[test]
    fn a_code_that_expires_ends_it_and_trouble_is_not_called_idleness() {
        let mut flow = DeviceFlow::new(12, None);
        flow.take_in(refused("authorization_pending"), s(10));
        assert_eq!(flow.next(s(10)), Next::WaitUntil(s(12)));
        assert_eq!(flow.next(s(12)), Next::Done(Outcome::Expired));
        flow.take_in(trouble("it refuses connections", None), s(11));
        assert_eq!(
            flow.next(s(12)),
            Next::Done(Outcome::Unreachable("it refuses connections".into()))
        );
    }

    #[test]
    fn every_refusal_says_whose_turn_it_is() {
        let said = [
            "access_denied",
            "authorization_declined",
            "expired_token",
            "bad_verification_code",
            "invalid_client",
            "unauthorized_client",
            "unsupported_grant_type",
            "invalid_scope",
            "invalid_grant",
            "odd\u{1b}[2J",
        ]
        .map(|code| format!("{:?}", meaning(code, Some("AADSTS7000218"))));
        insta::assert_snapshot!(said.join("\n"), @r#"
        Declined
        Declined
        Expired
        Untrusted("it does not know the code that it gave (`bad_verification_code`, AADSTS7000218)")
        Misconfigured("it does not know the client id, or the client secret is wrong or missing (`invalid_client`, AADSTS7000218); an application without a secret must be registered as a public client")
        Misconfigured("the application is not allowed the device code grant (`unauthorized_client`, AADSTS7000218); allow it there (Entra: `Allow public client flows`)")
        Misconfigured("it does not offer the device code grant to this application (`unsupported_grant_type`, AADSTS7000218); allow it there")
        Misconfigured("it does not grant the scopes that are asked for (`invalid_scope`, AADSTS7000218); change them here or there")
        Misconfigured("the code was used already, or a rule there, such as conditional access, forbids this way to sign in (`invalid_grant`, AADSTS7000218)")
        Misconfigured("it answers `odd<1B>[2J`, AADSTS7000218")
        "#);
    }

    #[test]
    fn what_is_done_stays_done() {
        let mut flow = DeviceFlow::new(900, None);
        flow.take_in(refused("access_denied"), s(5));
        flow.take_in(Answer::Granted(grant()), s(6));
        flow.take_in(trouble("late", None), s(7));
        assert_eq!(flow.next(s(5_000)), Next::Done(Outcome::Declined));
    }

    fn any_answer() -> impl Strategy<Value = Answer> {
        prop_oneof![
            Just(refused("authorization_pending")),
            Just(refused("slow_down")),
            any::<Option<u64>>().prop_map(|wait| trouble("down", wait)),
        ]
    }

    proptest! {
        #[test]
        fn it_never_hurries_and_always_ends(
            expires_in in any::<u64>(),
            interval in any::<Option<u64>>(),
            answers in proptest::collection::vec(any_answer(), 1..8),
        ) {
            let mut flow = DeviceFlow::new(expires_in, interval);
            let (mut now, mut polled) = (s(0), None);
            for turn in 0_usize.. {
                match flow.next(now) {
                    Next::WaitUntil(then) => {
                        prop_assert!(then > now);
                        now = then;
                    }
                    Next::Poll => {
                        prop_assert!(polled.is_none_or(|at| now >= at + POLL_MIN));
                        prop_assert!(now < s(EXPIRES_SECONDS_MAX));
                        polled = Some(now);
                        flow.take_in(answers[turn % answers.len()].clone(), now);
                    }
                    Next::Done(_) => break,
                }
            }
        }
    }
}
