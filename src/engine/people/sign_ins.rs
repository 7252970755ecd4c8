//! The sign-ins that last: from a token to the operator whom it was given to.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::domain::account::{Account, AccountId};
use crate::domain::operator::Operator;
use crate::domain::sign_in::{SignIn, Token};
use crate::domain::time::{Span, Timestamp};
use crate::protocol::{Origin, SignedInView};

/// Every sign-in that lasts.
#[derive(Debug, Default)]
pub(in crate::engine) struct SignIns {
    by_hash: BTreeMap<String, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    sign_in: SignIn,
    account: Account,
    /// What stands in the store as the last use.
    saved_at: Timestamp,
}

/// A sign-in that was shown, and holds.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Shown {
    pub hash: String,
    pub operator: Operator,
    /// The sign-in where its last use should be written down again.
    pub to_save: Option<SignIn>,
}

impl SignIns {
    /// Takes a sign-in in.
    pub fn add(&mut self, sign_in: SignIn, account: &Account) {
        let saved_at = sign_in.used_at;
        let known = Known { sign_in, account: account.clone(), saved_at };
        self.by_hash.insert(known.sign_in.token_hash.clone(), known);
    }

    /// Returns whose token this is, where it was given to this UNIX user at this terminal, since
    /// this host started, and has not ended; and notes that it was used.
    pub fn use_now(
        &mut self,
        token: &Token,
        origin: &Origin,
        boot_id: &str,
        now: Timestamp,
    ) -> Option<Shown> {
        let known = self.by_hash.get_mut(&hash(token))?;
        let sign_in = &mut known.sign_in;
        let here = sign_in.uid == origin.uid
            && sign_in.tty == origin.tty
            && sign_in.session == origin.session
            && sign_in.boot_id == boot_id
            && now < sign_in.ends_at();
        if !here {
            return None;
        }
        sign_in.used_at = sign_in.used_at.max(now);
        let due = sign_in.used_at.since(known.saved_at) >= SAVE_EVERY;
        if due {
            known.saved_at = sign_in.used_at;
        }
        Some(Shown {
            hash: sign_in.token_hash.clone(),
            operator: Operator::signed_in(origin.uid, &known.account),
            to_save: due.then(|| sign_in.clone()),
        })
    }

    /// Returns a sign-in as people see it.
    pub fn view(&self, hash: &str) -> Option<SignedInView> {
        let Known { sign_in, account, .. } = self.by_hash.get(hash)?;
        Some(SignedInView {
            account: account.id,
            email: account.email.clone(),
            role: account.role,
            method: sign_in.method.clone(),
            started_at: sign_in.started_at,
            ends_at: sign_in.ends_at(),
        })
    }

    /// True where the sign-in lasts.
    pub fn lasts(&self, hash: &str, now: Timestamp) -> bool {
        self.by_hash.get(hash).is_some_and(|known| now < known.sign_in.ends_at())
    }

    /// When a sign-in ends unless it is used.
    pub fn ends_at(&self, hash: &str) -> Option<Timestamp> {
        self.by_hash.get(hash).map(|known| known.sign_in.ends_at())
    }

    /// Takes in that an account has changed.
    pub fn account_changed(&mut self, account: &Account) {
        for known in self.by_hash.values_mut().filter(|known| known.account.id == account.id) {
            known.account = account.clone();
        }
    }

    /// Takes a sign-in out.
    pub fn end(&mut self, hash: &str) -> Option<SignIn> {
        self.by_hash.remove(hash).map(|known| known.sign_in)
    }

    /// The sign-ins of an account, those that `which` picks.
    pub fn of(&self, account: AccountId, which: impl Fn(&SignIn) -> bool) -> Vec<SignIn> {
        let theirs = self.by_hash.values().map(|known| &known.sign_in);
        theirs.filter(|it| it.account == account && which(it)).cloned().collect()
    }

    /// The sign-ins that are over, which need not be kept any more.
    pub fn over(&self, boot_id: &str, now: Timestamp) -> Vec<SignIn> {
        let all = self.by_hash.values().map(|known| &known.sign_in);
        all.filter(|it| it.boot_id != boot_id || it.ends_at() <= now).cloned().collect()
    }
}

/// What the engine keeps of a token: SHA-256, which for 256 random bits is as good as a slow hash.
pub(in crate::engine) fn hash(token: &Token) -> String {
    let digest = Sha256::digest(token.expose().as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The last use is written down again after this long: after a restart a sign-in may seem idle for
/// so much longer than it was.
const SAVE_EVERY: Span = Span::from_minutes(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::role::Role;
    use crate::domain::sign_in::SignInMethod;

    const MINUTE: i64 = 60_000;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * MINUTE)
    }

    fn account() -> Account {
        Account {
            id: AccountId::new(at(0), [1; 10]),
            email: "ana@example.com".parse().unwrap(),
            role: Role::Admin,
            member: true,
            password: None,
            binding: None,
            code: None,
            created_at: at(0),
        }
    }

    fn origin() -> Origin {
        Origin {
            uid: 1_000,
            pid: Some(7),
            tty: Some("pts/3".into()),
            session: Some(70),
            remote: None,
        }
    }

    fn signed_in() -> (SignIns, Token) {
        let token = Token::from_random([7; 32]);
        let mut all = SignIns::default();
        let sign_in = SignIn {
            token_hash: hash(&token),
            account: account().id,
            method: SignInMethod::Password,
            uid: 1_000,
            tty: Some("pts/3".into()),
            session: Some(70),
            boot_id: "boot".into(),
            started_at: at(0),
            used_at: at(0),
        };
        all.add(sign_in, &account());
        (all, token)
    }

    #[test]
    fn a_token_works_for_one_user_at_one_terminal_until_the_next_boot() {
        let (mut all, token) = signed_in();
        let whose = |all: &mut SignIns, token: &Token, origin: &Origin, boot: &str| {
            all.use_now(token, origin, boot, at(1)).map(|shown| shown.operator.name)
        };
        assert_eq!(whose(&mut all, &token, &origin(), "boot").unwrap(), "ana@example.com");
        let other = Token::from_random([8; 32]);
        assert_eq!(whose(&mut all, &other, &origin(), "boot"), None);
        assert_eq!(whose(&mut all, &token, &Origin { uid: 1_001, ..origin() }, "boot"), None);
        assert_eq!(whose(&mut all, &token, &Origin { tty: None, ..origin() }, "boot"), None);
        let elsewhere = Origin { tty: Some("pts/4".into()), ..origin() };
        assert_eq!(whose(&mut all, &token, &elsewhere, "boot"), None);
        let later = Origin { session: Some(71), ..origin() };
        assert_eq!(whose(&mut all, &token, &later, "boot"), None, "the next login there");
        assert_eq!(whose(&mut all, &token, &origin(), "another boot"), None);
    }

    #[test]
    fn a_sign_in_lasts_thirty_idle_minutes_and_eight_hours_in_all() {
        let (mut all, token) = signed_in();
        let mut works = |minutes| all.use_now(&token, &origin(), "boot", at(minutes)).is_some();
        assert!(works(29));
        assert!(works(58), "each use lets it go on");
        assert!(!works(88));
        assert!(!works(89), "over is over");
        let (mut all, token) = signed_in();
        let mut works = |minutes| all.use_now(&token, &origin(), "boot", at(minutes)).is_some();
        assert!((0..480).step_by(20).all(&mut works));
        assert!(!works(480));
    }

    #[test]
    fn its_last_use_is_written_down_once_a_minute() {
        let (mut all, token) = signed_in();
        let mut saved = |millis| {
            let now = Timestamp::from_millis(millis);
            all.use_now(&token, &origin(), "boot", now).unwrap().to_save.is_some()
        };
        assert_eq!(
            [1, MINUTE - 1, MINUTE, MINUTE + 1, 2 * MINUTE].map(&mut saved),
            [false, false, true, false, true]
        );
    }

    #[test]
    fn who_was_demoted_is_no_admin_at_the_next_call() {
        let (mut all, token) = signed_in();
        all.account_changed(&Account { role: Role::Member, ..account() });
        let shown = all.use_now(&token, &origin(), "boot", at(1)).unwrap();
        assert_eq!(shown.operator.account.unwrap().role, Role::Member);
    }

    #[test]
    fn what_is_over_need_not_be_kept() {
        let (all, _) = signed_in();
        assert_eq!(all.over("boot", at(29)).len(), 0);
        assert_eq!(all.over("boot", at(30)).len(), 1);
        assert_eq!(all.over("another boot", at(1)).len(), 1);
    }
}
