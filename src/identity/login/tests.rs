//! The rule in every combination, beside an oracle that is written another way, and what is read.

use proptest::prelude::*;

use super::*;
use crate::domain::account::PasswordHash;
use crate::domain::identity_provider::IdpKind;
use crate::domain::role::Role;
use crate::domain::time::Timestamp;

const ADDRESS: &str = "ana@example.com";

fn email(text: &str) -> Email {
    text.parse().unwrap()
}

fn id(text: &str) -> IdpId {
    text.parse().unwrap()
}

fn idp(name: &str, domains: &[&str], break_glass: BreakGlassMode) -> IdpSettings {
    IdpSettings {
        id: id(name),
        kind: IdpKind::Oidc { issuer: format!("https://{name}.example.com") },
        client_id: "breakglass".to_owned(),
        has_secret: false,
        scopes: vec![],
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        break_glass,
    }
}

fn bound_to(name: &str) -> Binding {
    Binding { idp: id(name), issuer: format!("https://{name}.example.com"), subject: "7".into() }
}

fn ana() -> Account {
    Account {
        id: AccountId::new(Timestamp::from_millis(1), [1; 10]),
        email: email(ADDRESS),
        role: Role::Admin,
        member: true,
        password: Some(PasswordHash::new("$argon2id$".into())),
        binding: None,
        code: None,
        created_at: Timestamp::from_millis(1),
    }
}

fn facts(settings: &IdpSettings, enforced: bool, health: IdpHealth, listed: bool) -> IdpFacts<'_> {
    IdpFacts { settings, enforced, health, listed }
}

// ---- the matrix of the product, computed -------------------------------------------------------

#[test]
fn the_matrix() {
    let entra = idp("entra", &["example.com"], BreakGlassMode::Always);
    let identity = SsoIdentity {
        issuer: "https://entra.example.com".into(),
        subject: "7".into(),
        email: Some(email(ADDRESS)),
        email_verified: true,
    };
    let cell = |enforced, health, listed| {
        let known = [facts(&entra, enforced, health, listed)];
        let sso =
            SsoFacts { bound: None, invited: Some(&ana()), idps: std::slice::from_ref(&entra) };
        let sso = bind_or_match(&identity, &entra.id, sso).is_ok() && health == IdpHealth::Healthy;
        let password = match decide(Some(&ana()), &email(ADDRESS), &known, true) {
            Verdict::Admitted { bypass } if bypass.is_empty() => Ok("password"),
            Verdict::Admitted { .. } => Ok("password (break-glass)"),
            Verdict::Refused { said, .. } => Err(said),
        };
        match (password, sso) {
            (Ok(password), true) => format!("{password} or SSO"),
            (Ok(password), false) => password.to_owned(),
            (Err(_), true) => "SSO only".to_owned(),
            (Err(said), false) => format!("cannot sign in: {said}"),
        }
    };
    let row = |name: &str, enforced, health| {
        let (ordinary, listed) = (cell(enforced, health, false), cell(enforced, health, true));
        format!("{name}\n  ordinary operator: {ordinary}\n  break-glass user:  {listed}")
    };
    let rows = [
        row("enforcement off", false, IdpHealth::Healthy),
        row("enforcement on", true, IdpHealth::Healthy),
        row("IdP down, enforcement on", true, IdpHealth::Unhealthy),
    ];
    insta::assert_snapshot!(rows.join("\n"), @r"
    enforcement off
      ordinary operator: password or SSO
      break-glass user:  password or SSO
    enforcement on
      ordinary operator: SSO only
      break-glass user:  password (break-glass) or SSO
    IdP down, enforcement on
      ordinary operator: cannot sign in: the e-mail address or the password is wrong, or SSO is enforced for you: sign in with SSO at `entra`; `entra` was seen not to work: until it does, an Admin or Owner on its break-glass list can let you in
      break-glass user:  password (break-glass)
    ");
}

// ---- every combination, against an oracle that is written another way --------------------------

/// What one identity provider can be to the operator in question.
const DOMAINS: [&[&str]; 3] = [&[], &["example.com"], &["elsewhere.org"]];
const HEALTHS: [IdpHealth; 3] = [IdpHealth::Unknown, IdpHealth::Healthy, IdpHealth::Unhealthy];
const MODES: [BreakGlassMode; 2] = [BreakGlassMode::Always, BreakGlassMode::OnlyWhileUnhealthy];
const EITHER: [bool; 2] = [false, true];

#[derive(Clone, Debug)]
struct Case {
    settings: IdpSettings,
    enforced: bool,
    health: IdpHealth,
    listed: bool,
}

impl Case {
    fn facts(&self) -> IdpFacts<'_> {
        facts(&self.settings, self.enforced, self.health, self.listed)
    }
}

fn every_idp(name: &str) -> Vec<Case> {
    let mut cases = vec![];
    for domains in DOMAINS {
        for break_glass in MODES {
            let settings = idp(name, domains, break_glass);
            for enforced in EITHER {
                for health in HEALTHS {
                    for listed in EITHER {
                        cases.push(Case { settings: settings.clone(), enforced, health, listed });
                    }
                }
            }
        }
    }
    cases
}

fn every_account() -> Vec<Option<Account>> {
    let mut accounts = vec![None];
    for member in EITHER {
        for password in [None, ana().password] {
            for binding in [None, Some("a"), Some("b"), Some("gone")] {
                let (password, binding) = (password.clone(), binding.map(bound_to));
                accounts.push(Some(Account { member, password, binding, ..ana() }));
            }
        }
    }
    accounts
}

/// The rule as sentences over all identity providers, without a list of who governs.
struct Oracle<'a> {
    account: Option<&'a Account>,
    cases: &'a [Case],
}

impl Oracle<'_> {
    fn governs(&self, case: &Case) -> bool {
        let names = |wanted: &str| self.cases.iter().any(|it| it.settings.id.as_str() == wanted);
        let domain = |it: &Case, domain: &str| it.settings.domains.contains(&domain.to_owned());
        match self.account.and_then(|account| account.binding.as_ref()) {
            Some(to) if names(to.idp.as_str()) => to.idp == case.settings.id,
            _ if self.cases.iter().any(|it| domain(it, "example.com")) => {
                domain(case, "example.com")
            }
            _ => case.settings.domains.is_empty(),
        }
    }

    fn opens(&self, case: &Case) -> bool {
        let counts =
            case.listed && self.account.is_some_and(|it| it.member && it.password.is_some());
        let mode = case.settings.break_glass;
        counts && (mode == BreakGlassMode::Always || case.health == IdpHealth::Unhealthy)
    }

    /// The names of those that were got by; none where somebody is in the way.
    fn bypass(&self) -> Option<Vec<&str>> {
        let name = |case: &'_ Case| -> usize {
            self.cases.iter().position(|it| it.settings.id == case.settings.id).unwrap()
        };
        let governed = self.cases.iter().any(|case| self.governs(case));
        let mut by = vec![];
        for case in self.cases.iter().filter(|case| case.enforced) {
            match (governed, self.governs(case), self.opens(case)) {
                (true, true, false) => return None,
                (true, true, true) | (false, _, true) => by.push(name(case)),
                (true, false, _) | (false, _, false) => {}
            }
        }
        let none_open = !governed && by.is_empty() && self.cases.iter().any(|case| case.enforced);
        (!none_open).then(|| by.iter().map(|at| self.cases[*at].settings.id.as_str()).collect())
    }

    fn verdict(&self, right: bool) -> (bool, bool, &'static str) {
        let bypass = self.bypass();
        let Some(account) = self.account else { return (false, false, "unknown") };
        let Some(by) = bypass else {
            let governed = self.cases.iter().any(|case| self.governs(case));
            let mut asked =
                self.cases.iter().filter(|it| it.enforced && (!governed || self.governs(it)));
            let unlisted =
                if governed { asked.any(|it| !it.listed) } else { asked.all(|it| !it.listed) };
            let why = match (unlisted, account.member && account.password.is_some()) {
                (true, _) => "not listed",
                (false, false) => "stale",
                (false, true) => "healthy",
            };
            return (false, why == "healthy", why);
        };
        let why = match (account.member, account.password.is_some(), right) {
            (false, _, _) => "left",
            (true, false, _) => "no password",
            (true, true, false) => "wrong",
            (true, true, true) => "",
        };
        (why.is_empty(), !by.is_empty(), why)
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Admitted { .. } => "",
        Verdict::Refused { refusal, .. } => match refusal {
            Refusal::UnknownAddress => "unknown",
            Refusal::NotListed(_) => "not listed",
            Refusal::StaleListing { .. } => "stale",
            Refusal::NotUnhealthy(_) => "healthy",
            Refusal::NotMember => "left",
            Refusal::NoPassword => "no password",
            Refusal::WrongPassword => "wrong",
        },
    }
}

/// Compares rule and oracle for every account and both answers of the hash.
fn compare(cases: &[Case], accounts: &[Option<Account>]) -> usize {
    let known: Vec<_> = cases.iter().map(Case::facts).collect();
    // What an address reads that nobody has, and that is therefore listed nowhere.
    let nobody = known.iter().map(|facts| IdpFacts { listed: false, ..*facts });
    let outsider = said(&email(ADDRESS), &nobody.collect::<Vec<_>>());
    for account in accounts {
        let oracle = Oracle { account: account.as_ref(), cases };
        for right in EITHER {
            let verdict = decide(account.as_ref(), &email(ADDRESS), &known, right);
            let admitted = matches!(verdict, Verdict::Admitted { .. });
            let is = (admitted, verdict.is_break_glass(), word(&verdict));
            assert_eq!(is, oracle.verdict(right), "{cases:#?} {account:#?} {right}");
            match verdict {
                Verdict::Admitted { bypass } => {
                    let bypass: Vec<_> = bypass.iter().map(IdpId::as_str).collect();
                    assert_eq!(Some(bypass), oracle.bypass(), "{cases:#?} {account:#?}");
                }
                Verdict::Refused { said, .. } => assert_eq!(said, outsider),
            }
        }
    }
    accounts.len() * 2
}

#[test]
fn the_rule_is_the_oracles_for_every_combination_of_two_identity_providers() {
    let (accounts, mut compared) = (every_account(), 0);
    compared += compare(&[], &accounts);
    for first in every_idp("a") {
        compared += compare(std::slice::from_ref(&first), &accounts);
        for second in every_idp("b") {
            compared += compare(&[first.clone(), second], &accounts);
        }
    }
    assert_eq!(compared, (1 + 72 + 72 * 72) * 17 * 2);
}

proptest! {
    #[test]
    fn the_rule_is_the_oracles_for_three_of_them(
        picks in prop::array::uniform3(0_usize..72),
        account in 0_usize..17,
    ) {
        let pick = |name, at: usize| every_idp(name).swap_remove(at);
        let cases = [pick("a", picks[0]), pick("b", picks[1]), pick("c", picks[2])];
        compare(&cases, &every_account()[account..=account]);
    }
}

// ---- who governs, in examples ------------------------------------------------------------------

#[test]
fn the_binding_governs_then_the_domain_then_who_claims_none() {
    let all = [
        idp("domain", &["example.com"], BreakGlassMode::Always),
        idp("catch-all", &[], BreakGlassMode::Always),
        idp("other", &["other.org"], BreakGlassMode::Always),
    ];
    let known: Vec<_> = all.iter().map(|it| facts(it, true, IdpHealth::Healthy, false)).collect();
    let who = |binding: Option<&str>, address: &str, known: &[IdpFacts<'_>]| {
        let binding = binding.map(bound_to);
        let found = governing(binding.as_ref(), &email(address), known);
        names(found.iter().map(|idp| &idp.settings.id))
    };
    assert_eq!(who(Some("other"), "ana@example.com", &known), "`other`");
    assert_eq!(who(None, "ana@example.com", &known), "`domain`");
    assert_eq!(who(None, "ana@sub.example.com", &known), "`catch-all`");
    assert_eq!(who(None, "ana@example.com", &known[2..]), "");
    assert_eq!(who(Some("removed"), "ana@example.com", &known), "`domain`");
}

#[test]
fn a_private_address_does_not_walk_around_enforcement() {
    let entra = idp("entra", &["corp.example"], BreakGlassMode::Always);
    let okta = idp("okta", &["sub.example"], BreakGlassMode::Always);
    let verdict = |in_entra, in_okta| {
        let known = [
            facts(&entra, true, IdpHealth::Healthy, in_entra),
            facts(&okta, true, IdpHealth::Healthy, in_okta),
        ];
        decide(Some(&ana()), &email(ADDRESS), &known, true)
    };
    let none = verdict(false, false);
    let both = vec![id("entra"), id("okta")];
    assert!(matches!(none, Verdict::Refused { refusal: Refusal::NotListed(of), .. } if of == both));
    assert_eq!(verdict(false, true), Verdict::Admitted { bypass: vec![id("okta")] });
}

#[test]
fn a_listing_elsewhere_opens_nothing_and_every_governing_one_is_needed() {
    let one = idp("one", &["example.com"], BreakGlassMode::Always);
    let two = idp("two", &["example.com"], BreakGlassMode::Always);
    let third = idp("third", &["other.org"], BreakGlassMode::Always);
    let verdict = |in_one, in_two, in_third| {
        let known = [
            facts(&one, true, IdpHealth::Healthy, in_one),
            facts(&two, true, IdpHealth::Healthy, in_two),
            facts(&third, true, IdpHealth::Healthy, in_third),
        ];
        match decide(Some(&ana()), &email(ADDRESS), &known, true) {
            Verdict::Admitted { bypass } => format!("admitted by {}", names(&bypass)),
            Verdict::Refused { refusal, .. } => refusal.to_string(),
        }
    };
    insta::assert_snapshot!(
        [verdict(true, true, false), verdict(true, false, true), verdict(false, false, true)].join("\n"),
        @r"
    admitted by `one` and `two`
    SSO is enforced and the operator is not listed for `two`
    SSO is enforced and the operator is not listed for `one` and `two`
    "
    );
}

// ---- what is read ------------------------------------------------------------------------------

#[test]
fn the_audit_says_why_and_the_person_reads_one_thing() {
    let only = idp("entra", &["example.com"], BreakGlassMode::OnlyWhileUnhealthy);
    let always = idp("entra", &["example.com"], BreakGlassMode::Always);
    let on = |settings, listed| [facts(settings, true, IdpHealth::Healthy, listed)];
    let left = Account { member: false, ..ana() };
    let without = Account { password: None, ..ana() };
    let tries = [
        decide(None, &email(ADDRESS), &on(&always, false), false),
        decide(Some(&ana()), &email(ADDRESS), &on(&always, false), true),
        decide(Some(&left), &email(ADDRESS), &on(&always, true), true),
        decide(Some(&without), &email(ADDRESS), &on(&always, true), false),
        decide(Some(&ana()), &email(ADDRESS), &on(&only, true), true),
        decide(Some(&ana()), &email(ADDRESS), &on(&always, true), false),
    ];
    let mut read = vec![];
    let audit = tries.iter().map(|verdict| match verdict {
        Verdict::Refused { refusal, is_break_glass, said } => {
            read.push(said.clone());
            format!("{refusal} (isBreakGlassAccess: {is_break_glass})")
        }
        Verdict::Admitted { .. } => "admitted".to_owned(),
    });
    insta::assert_snapshot!(audit.collect::<Vec<_>>().join("\n"), @r"
    no account has that address (isBreakGlassAccess: false)
    SSO is enforced and the operator is not listed for `entra` (isBreakGlassAccess: false)
    SSO is enforced and the listing for `entra` is stale: the operator has left the team (isBreakGlassAccess: false)
    SSO is enforced and the listing for `entra` is stale: the operator has no password (isBreakGlassAccess: false)
    listed, but only while `entra` was seen not to work, and it was not (isBreakGlassAccess: true)
    wrong password (isBreakGlassAccess: true)
    ");
    read.dedup();
    insta::assert_snapshot!(read.join("\n"), @"the e-mail address or the password is wrong, or SSO is enforced for you: sign in with SSO at `entra`");
}

#[test]
fn without_enforcement_nothing_is_said_of_sso() {
    let entra = idp("entra", &["example.com"], BreakGlassMode::Always);
    let known = [facts(&entra, false, IdpHealth::Unhealthy, false)];
    let left = Account { member: false, ..ana() };
    for account in [None, Some(&ana()), Some(&left)] {
        let Verdict::Refused { said, is_break_glass, .. } =
            decide(account, &email(ADDRESS), &known, false)
        else {
            panic!("admitted with a wrong password");
        };
        assert_eq!(said, "the e-mail address or the password is wrong");
        assert!(!is_break_glass);
    }
}

#[test]
fn who_is_bound_elsewhere_is_told_of_sso_as_everybody_with_that_domain_is() {
    let domain = idp("domain", &["example.com"], BreakGlassMode::Always);
    let other = idp("other", &["other.org"], BreakGlassMode::Always);
    let known = [
        facts(&domain, false, IdpHealth::Healthy, false),
        facts(&other, true, IdpHealth::Healthy, false),
    ];
    let bound = Account { binding: Some(bound_to("other")), ..ana() };
    let read = |account, right| match decide(account, &email(ADDRESS), &known, right) {
        Verdict::Refused { said, .. } => said,
        Verdict::Admitted { .. } => "admitted".to_owned(),
    };
    assert_eq!(read(Some(&bound), true), read(None, false));
    insta::assert_snapshot!(read(Some(&bound), true), @"the e-mail address or the password is wrong, or SSO is enforced for you: sign in with SSO at `other`");
}

// ---- single sign-on ----------------------------------------------------------------------------

struct Sso {
    idps: Vec<IdpSettings>,
    identity: SsoIdentity,
}

impl Sso {
    fn new() -> Self {
        let idps = vec![
            idp("entra", &["example.com"], BreakGlassMode::Always),
            idp("okta", &["other.org"], BreakGlassMode::Always),
            idp("any", &[], BreakGlassMode::Always),
        ];
        let identity = SsoIdentity {
            issuer: "https://entra.example.com".into(),
            subject: "7".into(),
            email: Some(email(ADDRESS)),
            email_verified: true,
        };
        Self { idps, identity }
    }

    fn at(&self, name: &str, bound: Option<&Account>, invited: Option<&Account>) -> String {
        let facts = SsoFacts { bound, invited, idps: &self.idps };
        match bind_or_match(&self.identity, &id(name), facts) {
            Ok(SsoMatch::Bound(_)) => "bound".to_owned(),
            Ok(SsoMatch::First(_, binding)) => format!("first, by {}", binding.idp),
            Err(refusal) => refusal.to_string(),
        }
    }
}

#[test]
fn a_sign_on_goes_by_the_binding_whatever_the_address_says() {
    let mut sso = Sso::new();
    let bound = Account { binding: Some(bound_to("entra")), ..ana() };
    let stranger = Account { email: email("boss@example.com"), ..ana() };
    sso.identity.email = Some(stranger.email.clone());
    sso.identity.email_verified = false;
    assert_eq!(sso.at("entra", Some(&bound), Some(&stranger)), "bound");
    sso.identity.email = None;
    assert_eq!(sso.at("entra", Some(&bound), None), "bound");
    let left = Account { member: false, ..bound };
    insta::assert_snapshot!(sso.at("entra", Some(&left), None), @"`ana@example.com` has left the team; an Owner invites them back");
}

#[test]
fn a_first_sign_on_needs_a_verified_address_of_its_own_domain_that_was_invited() {
    let mut sso = Sso::new();
    assert_eq!(sso.at("entra", None, Some(&ana())), "first, by entra");
    let elsewhere = Account { binding: Some(bound_to("removed")), ..ana() };
    let left = Account { member: false, ..ana() };
    let mut lines = vec![
        sso.at("entra", None, Some(&elsewhere)),
        sso.at("entra", None, Some(&left)),
        sso.at("entra", None, None),
        sso.at("okta", None, Some(&ana())),
        sso.at("any", None, Some(&ana())),
    ];
    sso.identity.email_verified = false;
    lines.push(sso.at("entra", None, Some(&ana())));
    sso.identity.email = None;
    lines.push(sso.at("entra", None, Some(&ana())));
    insta::assert_snapshot!(lines.join("\n"), @r"
    `ana@example.com` is bound to another SSO identity; an Owner removes and invites them anew
    `ana@example.com` was not invited; an Owner invites them: breakglass operators invite EMAIL
    `ana@example.com` was not invited; an Owner invites them: breakglass operators invite EMAIL
    addresses like `ana@example.com` belong to `entra`, not to `okta`; sign in there
    addresses like `ana@example.com` belong to `entra`, not to `any`; sign in there
    `entra` does not say that `ana@example.com` was verified, so it finds no invite
    `entra` sends no e-mail address that can be used, and you have not signed in with it before; ask who runs it for the `email` claim
    ");
}

#[test]
fn an_address_that_nobody_owns_comes_from_who_claims_no_domain() {
    let mut sso = Sso::new();
    let private = Account { email: email("ana@private.net"), ..ana() };
    sso.identity.email = Some(private.email.clone());
    assert_eq!(sso.at("any", None, Some(&private)), "first, by any");
    insta::assert_snapshot!(sso.at("entra", None, Some(&private)), @"`entra` does not own the domain of `ana@private.net`; add it to its `domains`");
}
