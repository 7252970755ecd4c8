//! A small team that invites, lists, enforces and removes.

use super::lists::ListChangeError;
use super::operators::{DirectoryError, InviteRandom};
use super::*;
use crate::domain::account::{CODE_LIFE, PasswordHash};
use crate::domain::break_glass_user::LISTED_MAX;
use crate::domain::identity_provider::{BreakGlassMode, IdpKind};
use crate::domain::time::Span;
use crate::identity::codes::{Code, CodeError};

const NOW: Timestamp = Timestamp::from_millis(1_763_655_000_000);

fn email(name: &str) -> Email {
    format!("{name}@example.com").parse().unwrap()
}

fn id(name: &str) -> IdpId {
    name.parse().unwrap()
}

fn idp(name: &str, domains: &[&str]) -> IdpSettings {
    IdpSettings {
        id: id(name),
        kind: IdpKind::Oidc { issuer: format!("https://{name}.example.com") },
        client_id: "breakglass".to_owned(),
        has_secret: false,
        scopes: vec![],
        domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        break_glass: BreakGlassMode::Always,
    }
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::new(format!("$argon2id${text}"))
}

fn random(byte: u8) -> InviteRandom {
    InviteRandom { id: [byte; 10], code: [byte; 13] }
}

/// A team: Olga is the Owner, Ana and Bob are Admins, Mia is a Member, all with passwords.
struct Team(Directory);

impl Team {
    fn new() -> Self {
        let mut team = Self(Directory::new([], [], vec![idp("entra", &["example.com"])]));
        let olga = team.0.first_owner(email("olga"), hash("olga"), NOW, [0; 10]).unwrap();
        team.0.put_account(olga);
        let others = [("ana", Role::Admin), ("bob", Role::Admin), ("mia", Role::Member)];
        for (byte, (name, role)) in (1_u8..).zip(others) {
            team.join(name, role, byte);
        }
        team
    }

    fn join(&mut self, name: &str, role: Role, byte: u8) {
        let invite = self.0.invite(email(name), role, NOW, random(byte)).unwrap();
        self.0.put_account(invite.account);
        let set = self.0.redeem(&email(name), &invite.code, hash(name), NOW).unwrap();
        self.0.put_account(set);
    }

    fn id(&self, name: &str) -> AccountId {
        self.0.by_email(&email(name)).unwrap().id
    }

    fn list(&mut self, add: &[&str], remove: &[&str]) -> Result<(), ListChangeError> {
        let emails = |names: &[&str]| names.iter().map(|name| email(name)).collect::<Vec<_>>();
        let list = self.0.change_list(&id("entra"), &emails(add), &emails(remove), false, NOW)?;
        self.0.put_list(list);
        Ok(())
    }

    fn enforce(&mut self) {
        let list = self.0.enforce(&id("entra"), true, false).unwrap();
        self.0.put_list(list);
    }

    fn listed(&self) -> Vec<&str> {
        let list = self.0.list(&id("entra"));
        let name = |listing: &Listing| self.0.account(listing.account).unwrap().email.as_str();
        list.listed.iter().map(name).collect()
    }

    fn remove(&mut self, name: &str) {
        let gone = self.0.remove(self.id(name), true).unwrap();
        self.0.put_account(gone);
    }
}

// ---- operators ---------------------------------------------------------------------------------

#[test]
fn the_first_owner_is_made_once() {
    let team = Team::new();
    let again = team.0.first_owner(email("eve"), hash("eve"), NOW, [9; 10]);
    insta::assert_snapshot!(again.unwrap_err(), @"there is an Owner already; an Owner invites you: breakglass operators invite EMAIL");
    assert!(!Directory::default().has_owner());
}

#[test]
fn an_invite_is_a_code_by_which_they_set_their_own_password() {
    let mut team = Team::new();
    let invite = team.0.invite(email("eva"), Role::Member, NOW, random(7)).unwrap();
    assert!(team.0.by_email(&email("eva")).is_none(), "deciding changes nothing");
    team.0.put_account(invite.account.clone());
    assert!(!invite.account.has_password());
    let other = Code::issue([8; 13], NOW).0;
    let redeem = |address: &str, code: &Code, now| {
        team.0.redeem(&email(address), code, hash("eva"), now).map(|account| account.password)
    };
    let wrong = Err(DirectoryError::Code(CodeError::Wrong));
    assert_eq!(redeem("eva", &other, NOW), wrong);
    assert_eq!(redeem("ana", &invite.code, NOW), wrong);
    assert_eq!(redeem("nobody", &invite.code, NOW), wrong);
    let late = Err(DirectoryError::Code(CodeError::Expired));
    assert_eq!(redeem("eva", &invite.code, NOW + CODE_LIFE), late);
    assert_eq!(redeem("eva", &invite.code, NOW), Ok(Some(hash("eva"))));
    let set = team.0.redeem(&email("eva"), &invite.code, hash("eva"), NOW).unwrap();
    team.0.put_account(set);
    let twice = team.0.redeem(&email("eva"), &invite.code, hash("eve"), NOW);
    assert_eq!(twice, Err(DirectoryError::Code(CodeError::Wrong)));
}

#[test]
fn who_is_removed_loses_every_way_in_and_keeps_the_account() {
    let mut team = Team::new();
    let ana = team.id("ana");
    team.list(&["ana"], &[]).unwrap();
    team.remove("ana");
    let gone = team.0.account(ana).unwrap();
    assert!(!gone.member && gone.password.is_none() && gone.binding.is_none());
    insta::assert_snapshot!(team.0.remove(ana, true).unwrap_err(), @"`ana@example.com` has left the team; to bring them back: breakglass operators invite EMAIL");
    let back =
        team.0.invite(email("ana"), Role::Member, NOW + Span::from_hours(1), random(9)).unwrap();
    assert_eq!((back.account.id, back.account.created_at), (ana, NOW));
    assert_eq!(back.account.role, Role::Member);
    assert_eq!(back.listed, [id("entra")], "the Owner is told of the old listing");
    team.0.put_account(back.account);
    insta::assert_snapshot!(
        team.0.invite(email("ana"), Role::Admin, NOW, random(1)).unwrap_err(), @"`ana@example.com` is an operator already; for a new password: breakglass operators reset EMAIL");
}

#[test]
fn the_last_owner_who_can_sign_in_stays() {
    let mut team = Team::new();
    let olga = team.id("olga");
    insta::assert_snapshot!(team.0.remove(olga, true).unwrap_err(), @"`olga@example.com` is the last Owner who can sign in; make another first: breakglass operators role EMAIL owner");
    assert!(matches!(team.0.set_role(olga, Role::Admin), Err(DirectoryError::LastOwner(_))));
    assert!(team.0.set_role(olga, Role::Owner).is_ok());
    // An Owner who has only been invited cannot sign in yet.
    let invited = team.0.invite(email("oda"), Role::Owner, NOW, random(9)).unwrap();
    team.0.put_account(invited.account.clone());
    assert!(team.0.set_role(olga, Role::Admin).is_err());
    // By SSO they can, as long as it is configured.
    let binding = |name| Binding { idp: id(name), issuer: "i".into(), subject: "s".into() };
    team.0.put_account(team.0.bind(invited.account.id, binding("removed")).unwrap());
    assert!(team.0.set_role(olga, Role::Admin).is_err());
    team.0.put_account(Account { binding: Some(binding("entra")), ..invited.account.clone() });
    assert!(team.0.set_role(olga, Role::Admin).is_ok());
    assert!(team.0.remove(olga, true).is_ok());
    // By password too.
    team.0.put_account(Account { password: Some(hash("oda")), ..invited.account });
    assert!(team.0.remove(olga, true).is_ok());
}

#[test]
fn a_hash_that_was_made_anew_does_not_bring_an_old_password_back() {
    let mut team = Team::new();
    let ana = team.id("ana");
    assert!(team.0.rehash(ana, &hash("ana"), hash("dearer")).is_ok());
    team.0.put_account(team.0.set_password(ana, hash("changed")).unwrap());
    let late = team.0.rehash(ana, &hash("ana"), hash("dearer"));
    assert_eq!(late, Err(DirectoryError::Changed));
}

#[test]
fn a_reset_leaves_the_password_until_its_code_is_used() {
    let mut team = Team::new();
    let ana = team.id("ana");
    let (first, old) = team.0.reset(ana, NOW, [1; 13]).unwrap();
    assert_eq!(first.password, Some(hash("ana")));
    team.0.put_account(first);
    let (second, new) = team.0.reset(ana, NOW, [2; 13]).unwrap();
    team.0.put_account(second);
    assert_eq!(team.0.check_code(&email("ana"), &old, NOW), Err(CodeError::Wrong));
    assert!(team.0.check_code(&email("ana"), &new, NOW).is_ok());
    // Who remembers the password after all, and changes it, ends the code.
    team.0.put_account(team.0.set_password(ana, hash("own")).unwrap());
    assert_eq!(team.0.check_code(&email("ana"), &new, NOW), Err(CodeError::Wrong));
}

#[test]
fn an_identity_and_an_account_belong_to_each_other() {
    let mut team = Team::new();
    let identity = SsoIdentity {
        issuer: "https://entra.example.com".into(),
        subject: "7".into(),
        email: Some(email("ana")),
        email_verified: true,
    };
    let Ok(SsoMatch::First(ana, binding)) = team.0.sign_on(&identity, &id("entra")) else {
        panic!("an invited operator is found by their address");
    };
    assert_eq!(ana, team.id("ana"));
    team.0.put_account(team.0.bind(ana, binding.clone()).unwrap());
    // From here on the address may change, at the identity provider, to anybody's.
    let renamed = SsoIdentity { email: Some(email("olga")), ..identity.clone() };
    assert_eq!(team.0.sign_on(&renamed, &id("entra")), Ok(SsoMatch::Bound(ana)));
    let another = SsoIdentity { subject: "8".into(), ..identity.clone() };
    let refused = team.0.sign_on(&another, &id("entra"));
    assert_eq!(refused, Err(SsoRefusal::BoundElsewhere(email("ana"))));
    insta::assert_snapshot!(team.0.bind(team.id("bob"), binding).unwrap_err(), @"this SSO identity belongs to `ana@example.com`");
    // Whoever is removed is found by nothing.
    team.remove("ana");
    let refused = team.0.sign_on(&identity, &id("entra"));
    assert_eq!(refused, Err(SsoRefusal::NotInvited(email("ana"))));
}

// ---- lists -------------------------------------------------------------------------------------

#[test]
fn one_save_removes_and_adds_all_or_nothing() {
    let mut team = Team::new();
    for (byte, name) in (20_u8..).zip(["u1", "u2", "u3", "u4"]) {
        team.join(name, Role::Admin, byte);
    }
    let invited = team.0.invite(email("eva"), Role::Admin, NOW, random(40)).unwrap();
    team.0.put_account(invited.account);
    team.join("left", Role::Admin, 41);
    team.remove("left");
    team.list(&["ana", "u1", "u2", "u3", "u4"], &[]).unwrap();
    let refused = team.list(&["nobody", "eva", "left", "u1", "bob"], &["mia"]).unwrap_err();
    insta::assert_snapshot!(refused.to_string().replace("; ", "\n"), @r"
    the list of `entra` stays as it is: `mia@example.com`: this user is not on the list
    `nobody@example.com`: this user does not exist
    `eva@example.com`: this user has no password configured
    `left@example.com`: this user is not a member of this team
    `u1@example.com`: this user is already added
    `bob@example.com`: maximum number reached (5 of 5)
    ");
    assert_eq!(team.listed().len(), LISTED_MAX);
    team.list(&["bob"], &["u1"]).unwrap();
    let names = ["ana", "u2", "u3", "u4", "bob"].map(|name| format!("{name}@example.com"));
    assert_eq!(team.listed(), names);
}

#[test]
fn two_of_one_name_are_one_too_many() {
    let mut team = Team::new();
    let refused = team.list(&["ana", "ana"], &[]).unwrap_err();
    insta::assert_snapshot!(refused, @"the list of `entra` stays as it is: `ana@example.com`: this user is already added");
    assert!(team.listed().is_empty());
}

#[test]
fn five_people_who_add_the_fifth_at_once_add_one() {
    let mut team = Team::new();
    for (byte, name) in (20_u8..).zip(["u1", "u2", "u3", "u4", "u5"]) {
        team.join(name, Role::Admin, byte);
    }
    team.list(&["ana", "bob", "mia", "olga"], &[]).unwrap();
    let added = ["u1", "u2", "u3", "u4", "u5"].map(|name| team.list(&[name], &[]).is_ok());
    assert_eq!(added, [true, false, false, false, false]);
}

#[test]
fn enforcing_with_nobody_who_could_enter_needs_a_confirmation() {
    let mut team = Team::new();
    let refused = team.0.enforce(&id("entra"), true, false).unwrap_err();
    insta::assert_snapshot!(refused, @"with SSO enforced, nobody listed for `entra` could enter by password: its failure would lock out all whom it governs; type its name to confirm that");
    assert!(team.0.enforce(&id("entra"), true, true).unwrap().enforced);
    // A stale entry is nobody.
    team.list(&["ana"], &[]).unwrap();
    team.remove("ana");
    assert!(team.0.enforce(&id("entra"), true, false).is_err());
    team.list(&["bob"], &[]).unwrap();
    assert!(team.0.enforce(&id("entra"), true, false).unwrap().enforced);
    let other = team.0.enforce(&id("other"), true, true).unwrap_err();
    insta::assert_snapshot!(other, @"`other` is not configured; breakglass idp list shows what is");
}

#[test]
fn taking_the_last_way_in_while_enforced_needs_a_confirmation() {
    let mut team = Team::new();
    team.list(&["ana", "bob"], &[]).unwrap();
    team.enforce();
    team.list(&[], &["bob"]).unwrap();
    assert_eq!(team.list(&[], &["ana"]), Err(ListChangeError::NobodyCouldEnter(id("entra"))));
    assert!(team.0.change_list(&id("entra"), &[], &[email("ana")], true, NOW).is_ok());
    insta::assert_snapshot!(team.0.remove(team.id("ana"), false).unwrap_err(), @"`ana@example.com` is the last who can enter while `entra` fails, and its SSO is enforced; type the address to confirm that");
    assert!(team.0.remove(team.id("ana"), true).is_ok());
    assert!(team.list(&["bob"], &["ana"]).is_ok(), "another takes the place in the same save");
    assert!(team.0.enforce(&id("entra"), false, false).is_ok(), "turning it off needs none");
}

#[test]
fn a_listing_that_another_enforced_list_would_bar_is_no_way_in() {
    let mut team = Team::new();
    team.0.put_idps(vec![idp("entra", &["example.com"]), idp("okta", &["example.com"])]);
    team.list(&["ana"], &[]).unwrap();
    let okta = BreakGlassList { enforced: true, ..BreakGlassList::new(id("okta")) };
    team.0.put_list(okta);
    assert!(team.0.enforce(&id("entra"), true, false).is_err());
    let forecast = team.0.forecast(&id("entra"), NOW);
    let warnings = forecast.warnings.iter().map(|warning| format!("\n  {warning}"));
    insta::assert_snapshot!(forecast.to_string() + &warnings.collect::<String>(), @r"
    if entra fails now, 0 of 1 listed can enter; 0 are Owner
      nobody listed could enter by password
      `ana@example.com` is listed and cannot enter: SSO is enforced and the operator is not listed for `okta`
    ");
}

#[test]
fn a_proof_is_by_somebody_whose_listing_counts() {
    let mut team = Team::new();
    let (ana, entra) = (team.id("ana"), id("entra"));
    let lines = |team: &Team| match team.0.prove(&entra, ana, NOW) {
        Ok(list) => format!("proven: {}", list.listing(ana).unwrap().proven_at == Some(NOW)),
        Err(error) => error.to_string(),
    };
    let mut said = vec![lines(&team)];
    team.list(&["ana"], &[]).unwrap();
    said.push(lines(&team));
    team.remove("ana");
    said.push(lines(&team));
    insta::assert_snapshot!(said.join("\n"), @r"
    you are not listed for `entra`, so there is nothing to prove
    proven: true
    your listing for `entra` counts for nothing: the operator has left the team
    ");
}

#[test]
fn the_forecast_asks_the_rule_for_every_entry() {
    let mut team = Team::new();
    team.list(&["ana", "bob", "mia"], &[]).unwrap();
    team.0.put_list(team.0.prove(&id("entra"), team.id("ana"), NOW).unwrap());
    team.enforce();
    team.remove("bob");
    let now = NOW + Span::from_hours(143 * 24);
    insta::assert_snapshot!(team.0.forecast(&id("entra"), now), @"if entra fails now, 2 of 3 listed can enter; 2 untested, one for 143 days; 0 are Owner");
    let verdict = |name: &str| team.0.decide(&email(name), |_| IdpHealth::Unhealthy, true);
    assert_eq!(verdict("ana"), Verdict::Admitted { bypass: vec![id("entra")] });
    assert!(matches!(verdict("olga"), Verdict::Refused { refusal: Refusal::NotListed(_), .. }));
}

#[test]
fn accounts_are_found_by_a_part_of_their_address_or_role() {
    let team = Team::new();
    let found =
        |part: &str| team.0.holding(part).map(|it| it.email.to_string()).collect::<Vec<_>>();
    assert_eq!(found(" A@EX"), ["ana@example.com", "mia@example.com", "olga@example.com"]);
    assert_eq!(found("bo"), ["bob@example.com"]);
    assert_eq!(found("OWN").len(), team.0.accounts().filter(|it| it.role == Role::Owner).count());
    assert_eq!(found("").len(), 4);
}
