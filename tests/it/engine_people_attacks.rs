//! What somebody might try who wants in, wants more, or wants others out.

use breakglass::domain::identity_provider::IdpSettings;
use breakglass::domain::role::Role;
use breakglass::domain::secret::Secret;
use breakglass::error::Kind;
use breakglass::identity::SsoIdentity;
use breakglass::protocol::{
    Command, OperatorsAsk, Reply, SessionQuery, SessionState, SignInAsk, VaultAsk,
};

use crate::engine_people::{PASSWORD, Team, email, said, sign_in};
use crate::support::people::OWNER;
use crate::support::rig::{EchoTarget, request, until};

/// A thief who knows the old password changes it just as its owner recovers the account.
#[tokio::test]
async fn a_change_of_password_never_wins_over_a_recovery() {
    const RECOVERED: &str = "walrus anvil seven lantern";
    for _ in 0..4 {
        let team = Team::new().await;
        let reset = OperatorsAsk::Reset { email: email("bob@example.com") };
        let made = team.ask(Command::Operators(reset)).await.unwrap();
        let Reply::Code { code, .. } = made else { panic!("{made:?}") };
        let stolen = Command::SignIn(SignInAsk::SetPassword {
            current: Some(Secret::new(PASSWORD)),
            new: Secret::new("thief picks this very one"),
        });
        let (email, password) = (email("bob@example.com"), Secret::new(RECOVERED));
        let redeem = Command::SignIn(SignInAsk::Redeem { email, code, password });
        let nobody = team.nobody();
        let (_, redeemed) = tokio::join!(team.bob.call(stolen), nobody.call(redeem));
        if redeemed.is_ok() {
            assert!(sign_in(&team.nobody(), "bob@example.com", RECOVERED).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_session_that_opens_while_its_operator_is_demoted_does_not_stay() {
    let target = EchoTarget::start().await;
    for _ in 0..6 {
        let team = Team::new().await;
        let promote = OperatorsAsk::SetRole { email: email("bob@example.com"), role: Role::Admin };
        team.ask(Command::Operators(promote)).await.unwrap();
        let mut owners = team.owner().subscribe().await.unwrap();
        let demote = OperatorsAsk::SetRole { email: email("bob@example.com"), role: Role::Member };
        let open = Command::Open(request(&target.address));
        let demoting = team.ask(Command::Operators(demote));
        let (opened, demoted) = tokio::join!(team.bob.call(open), demoting);
        demoted.unwrap();
        if let Ok(Reply::Session(view)) = opened {
            until(&mut owners, view.id, SessionState::Ended).await;
        }
        let live = team.ask(Command::Sessions(SessionQuery::default())).await.unwrap();
        assert_eq!(live, Reply::Sessions(vec![]));
    }
}

#[tokio::test]
async fn a_sign_on_that_began_with_other_settings_proves_nothing() {
    let team = Team::new().await;
    let person = SsoIdentity {
        issuer: "https://entra.example.com".into(),
        subject: "s-1".into(),
        email: Some(email("bob@example.com")),
        email_verified: true,
    };
    let begin = SignInAsk::BeginSso { idp: "entra".parse().unwrap() };
    let begun = team.nobody().call(Command::SignIn(begin)).await.unwrap();
    let Reply::SsoPrompt(prompt) = begun else { panic!("{begun:?}") };
    let mended = IdpSettings { client_id: "another".into(), ..team.rig.idps[0].clone() };
    team.rig.reconfigure(vec![mended]);
    team.rig.sso.decide(Ok(person));
    let finish = SignInAsk::FinishSso { attempt: prompt.attempt };
    insta::assert_snapshot!(said(team.nobody().call(Command::SignIn(finish)).await), @"denied: `entra` was changed or removed meanwhile");
}

#[tokio::test]
async fn who_tries_without_end_does_not_fill_the_audit() {
    let team = Team::new().await;
    for number in 0..90 {
        let who = format!("user{number}@example.com");
        sign_in(&team.nobody(), &who, "a guess that is wrong").await.unwrap_err();
    }
    let kinds = team.rig.store.audit_kinds();
    let throttled = kinds.iter().filter(|kind| *kind == "auth.throttled").count();
    assert_eq!(throttled, 1, "one, though many tries had to wait");
}

/// Perhaps somebody else has the address by then.
#[tokio::test]
async fn who_is_invited_back_is_not_a_break_glass_user_by_that() {
    let team = Team::new().await;
    team.list(&[OWNER, "bob@example.com"], &[]).await.unwrap();
    let remove = OperatorsAsk::Remove { email: email("bob@example.com"), confirm: None };
    team.ask(Command::Operators(remove)).await.unwrap();
    assert_eq!(team.idp().await.listed.len(), 2, "stale, and shown so");
    let invite = OperatorsAsk::Invite { email: email("bob@example.com"), role: Role::Member };
    team.ask(Command::Operators(invite)).await.unwrap();
    assert_eq!(team.idp().await.listed.len(), 1);
    let kinds = team.rig.store.audit_kinds();
    assert_eq!(kinds.last().unwrap(), "breakglass_user.removed");
}

#[tokio::test]
async fn what_lies_in_the_vault_is_nobodys_business() {
    use breakglass::protocol::IdpAsk;
    let mut settings = Team::new().await.rig.idps[0].clone();
    settings.id = "corp".parse().unwrap();
    let team = Team::new().await;
    let secret = Some(Secret::new("the secret of a client"));
    let add = IdpAsk::Add { settings: Box::new(settings), secret, unhealthy: false };
    team.ask(Command::Idp(add)).await.unwrap();
    let names = async |at: &breakglass::protocol::EngineHandle| match at
        .call(Command::Vault(VaultAsk::Status))
        .await
        .unwrap()
    {
        Reply::Vault(status) => status.names.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!((names(team.owner()).await, names(&team.nobody()).await), (1, 0));
}

#[tokio::test]
async fn numbers_that_are_too_large_are_only_large() {
    let team = Team::new().await;
    let ended = SessionQuery { state: None, ended: true, limit: u32::MAX, offset: u32::MAX };
    assert_eq!(team.bob.call(Command::Sessions(ended)).await, Ok(Reply::Sessions(vec![])));
    let tail = Command::AuditTail { limit: u32::MAX, before: Some(0) };
    assert!(team.bob.call(tail).await.is_ok());
    let list = OperatorsAsk::List { filter: None, limit: u32::MAX, offset: u32::MAX };
    assert!(team.ask(Command::Operators(list)).await.is_ok());
}

#[tokio::test]
async fn right_and_wrong_cannot_be_told_apart_where_nobody_may_enter() {
    let team = Team::new().await;
    team.enforce(true).await.unwrap();
    let right = sign_in(&team.nobody(), "bob@example.com", PASSWORD).await.unwrap_err();
    let wrong = sign_in(&team.nobody(), "bob@example.com", "not it, not it, no").await.unwrap_err();
    assert_eq!((right.kind, &right), (Kind::Denied, &wrong));
}
