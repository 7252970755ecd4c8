//! People at an engine: who gets in, who is kept out, and what the audit says of it.

use breakglass::domain::account::Account;
use breakglass::domain::break_glass_user::Stale;
use breakglass::domain::email::Email;
use breakglass::domain::identity_provider::BreakGlassMode;
use breakglass::domain::role::Role;
use breakglass::domain::secret::Secret;
use breakglass::domain::sign_in::{SignInMethod, Token};
use breakglass::engine::{Parcel, Running};
use breakglass::error::Report;
use breakglass::identity::{SsoError, SsoIdentity};
use breakglass::protocol::{
    BreakGlassAsk, Command, EngineHandle, Event, IdpAsk, IdpView, OperatorsAsk, Origin, Reply,
    SessionQuery, SessionState, SignInAsk,
};
use serde_json::Value;

use crate::support::people::{self, OWNER, account, idp};
use crate::support::rig::{EchoTarget, Rig, open_active, request, session, until};

/// Strong enough for the rule, and nobody's.
pub const PASSWORD: &str = "pelican orbit walnut seven";

/// The same account with [`PASSWORD`], at the least cost that is allowed.
pub fn with_password(account: Account) -> Account {
    use breakglass::identity::hashing::{HashParameters, hash};
    use breakglass::identity::password::Password;
    let parameters = HashParameters::new(19 * 1_024, 2, 1).unwrap();
    let password = Password::typed(&Secret::new(PASSWORD)).unwrap();
    Account { password: Some(hash(parameters, &password, [7; 16]).unwrap()), ..account }
}

/// An engine with an Owner who is signed in, `bob` who is a Member, and an identity provider that
/// owns `example.com`.
pub struct Team {
    pub rig: Rig,
    pub engine: Running,
    pub bob: EngineHandle,
}

impl Team {
    pub async fn new() -> Self {
        let mut rig = Rig::new();
        rig.idps = vec![idp("entra", &["example.com"])];
        Self::on(rig).await
    }

    pub async fn on(rig: Rig) -> Self {
        let bob = with_password(account("bob@example.com", Role::Member));
        let token = people::sign_in(&*rig.store, &bob).await;
        let mut engine = rig.start().await;
        let owner = with_password(account(OWNER, Role::Owner));
        // Only after the start: it makes the Owner anew.
        drop(engine);
        people::sign_in(&*rig.store, &owner).await;
        engine = rig.start_for_nobody(Parcel::pack(vec![])).await;
        let owners = people::token(&owner, None);
        engine.handle = engine.handle.signed_in(Some(owners));
        let bob = engine.handle.signed_in(Some(token));
        Self { rig, engine, bob }
    }

    pub fn owner(&self) -> &EngineHandle {
        &self.engine.handle
    }

    pub fn nobody(&self) -> EngineHandle {
        self.engine.handle.signed_in(None)
    }

    pub async fn ask(&self, command: Command) -> Result<Reply, Report> {
        self.engine.handle.call(command).await
    }

    pub async fn idp(&self) -> IdpView {
        match self.ask(Command::Idp(IdpAsk::List)).await.unwrap() {
            Reply::IdentityProviders(all) => all.into_iter().next().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    pub async fn enforce(&self, confirm: bool) -> Result<Reply, Report> {
        let confirm = confirm.then(|| "entra".to_owned());
        let ask = IdpAsk::Enforce { idp: "entra".parse().unwrap(), on: true, confirm };
        self.ask(Command::Idp(ask)).await
    }

    pub async fn list(&self, add: &[&str], remove: &[&str]) -> Result<Reply, Report> {
        let emails = |all: &[&str]| all.iter().map(|email| email.parse().unwrap()).collect();
        let (add, remove) = (emails(add), emails(remove));
        let ask =
            BreakGlassAsk::Change { idp: "entra".parse().unwrap(), add, remove, confirm: None };
        self.ask(Command::BreakGlass(ask)).await
    }

    /// The newest event of the audit.
    pub async fn newest(&self) -> Value {
        let tail = self.ask(Command::AuditTail { limit: 1, before: None }).await.unwrap();
        let Reply::Audit(events) = tail else { panic!("{tail:?}") };
        serde_json::to_value(&events[0]).unwrap()
    }
}

pub fn email(text: &str) -> Email {
    text.parse().unwrap()
}

pub async fn sign_in(
    at: &EngineHandle,
    who: &str,
    password: &str,
) -> Result<(Token, SignInMethod), Report> {
    let ask = SignInAsk::Password { email: email(who), password: Secret::new(password) };
    match at.call(Command::SignIn(ask)).await? {
        Reply::SignedIn { token, me } => Ok((token, me.method)),
        other => panic!("{other:?}"),
    }
}

pub fn said(answer: Result<impl std::fmt::Debug, Report>) -> String {
    answer.unwrap_err().to_string()
}

#[tokio::test]
async fn before_there_is_an_owner_nothing_is_done_and_the_first_is_made_once() {
    let rig = Rig::new();
    let engine = rig.start_for_nobody(Parcel::pack(vec![])).await;
    let sessions = Command::Sessions(SessionQuery::default());
    insta::assert_snapshot!(said(engine.handle.call(sessions.clone()).await), @r"
    denied: there is no Owner yet, so nobody can sign in
      hint: breakglass init --email you@example.com
    ");
    let init = |who: &str, password: &str| {
        Command::SignIn(SignInAsk::Init { email: email(who), password: Secret::new(password) })
    };
    insta::assert_snapshot!(said(engine.handle.call(init(OWNER, "short")).await), @r"
    usage: a password has at least 15 characters; this one has 5. Four or five words that do not belong together will do
    ");
    let made = engine.handle.call(init(OWNER, PASSWORD)).await.unwrap();
    let Reply::SignedIn { token, me } = made else { panic!("{made:?}") };
    assert_eq!((me.email.as_str(), me.role), (OWNER, Role::Owner));
    let owner = engine.handle.signed_in(Some(token));
    assert!(owner.call(sessions).await.is_ok());
    insta::assert_snapshot!(said(engine.handle.call(init("eve@example.com", PASSWORD)).await), @r"
    denied: there is an Owner already; an Owner invites you: breakglass operators invite EMAIL
      hint: breakglass login
    ");
    assert_eq!(
        rig.store.audit_kinds(),
        ["engine.started", "operator.created", "auth.login.success"]
    );
}

#[tokio::test]
async fn who_is_not_signed_in_sees_nothing_of_anybody() {
    let team = Team::new().await;
    let target = EchoTarget::start().await;
    open_active(&team.engine, &target.address).await;
    let nobody = team.nobody().subscribe().await.unwrap();
    let snapshot = &nobody.snapshot;
    assert!(snapshot.identity.bars());
    assert!(snapshot.sessions.is_empty() && snapshot.audit.is_empty());
    assert!(snapshot.providers.is_empty() && snapshot.reasons.is_empty());
    let idp = &snapshot.identity.idps[0];
    assert_eq!((idp.id.as_str(), &idp.settings, &idp.probe), ("entra", &None, &None));
    assert!(idp.listed.is_empty() && idp.forecast.is_empty());
    insta::assert_snapshot!(said(team.nobody().call(Command::EndAll).await), @r"
    denied: nobody is signed in at this terminal
      hint: breakglass login
    ");
}

#[tokio::test]
async fn a_member_sees_and_ends_their_own_sessions_only() {
    let team = Team::new().await;
    let target = EchoTarget::start().await;
    let hers = open_active(&team.engine, &target.address).await;
    let mut faces = team.bob.subscribe().await.unwrap();
    assert!(faces.snapshot.sessions.is_empty());
    let his = session(team.bob.call(Command::Open(request(&target.address))).await);
    until(&mut faces, his.id, SessionState::Active).await;
    assert_eq!(his.operator.name, "bob@example.com");
    let all = team.bob.call(Command::Sessions(SessionQuery::default())).await.unwrap();
    let Reply::Sessions(seen) = all else { panic!("{all:?}") };
    assert_eq!(seen.iter().map(|view| view.id).collect::<Vec<_>>(), [his.id]);
    let end = Command::End { session: hers.id, reason: None };
    assert!(said(team.bob.call(end).await).contains("there is no live session"));
    team.bob.call(Command::EndAll).await.unwrap();
    until(&mut faces, his.id, SessionState::Ended).await;
    let seen = team.owner().subscribe().await.unwrap().snapshot.sessions;
    assert_eq!(seen.iter().find(|view| view.id == hers.id).unwrap().state, SessionState::Active);
    assert_eq!(seen.len(), 2, "an Owner sees all");
    let tail = team.bob.call(Command::AuditTail { limit: 100, before: None }).await.unwrap();
    let Reply::Audit(events) = tail else { panic!("{tail:?}") };
    let actors: Vec<_> = events.iter().map(|event| event.event.actor.name()).collect();
    assert!(!actors.is_empty() && actors.iter().all(|actor| *actor == "bob@example.com"));
}

#[tokio::test]
async fn each_refusal_of_a_role_says_who_may() {
    let team = Team::new().await;
    let invite = OperatorsAsk::Invite { email: email("eve@example.com"), role: Role::Owner };
    let enforce = IdpAsk::Enforce { idp: "entra".parse().unwrap(), on: false, confirm: None };
    let mut lines = vec![];
    for command in [
        Command::Operators(invite),
        Command::Idp(enforce),
        Command::AuditVerify,
        Command::ValidateProvider { provider: "direct".parse().unwrap(), deep: false },
    ] {
        lines.push(team.bob.call(command).await.unwrap_err().message);
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    only an Owner may invite, reset or remove operators or give roles; you are a Member
    only an Admin or an Owner may look at identity providers or enforce their SSO; you are a Member
    only an Admin or an Owner may see the whole audit; you are a Member
    only an Admin or an Owner may change providers; you are a Member
    ");
}

#[tokio::test]
async fn wrong_and_unknown_read_the_same_and_are_told_apart_in_the_audit() {
    let team = Team::new().await;
    let wrong = said(sign_in(&team.nobody(), "bob@example.com", "not his password at all").await);
    let first = team.newest().await;
    let unknown = said(sign_in(&team.nobody(), "eve@example.com", PASSWORD).await);
    let second = team.newest().await;
    assert_eq!(wrong, unknown);
    insta::assert_snapshot!(wrong, @"denied: the e-mail address or the password is wrong");
    assert_eq!(
        first["description"],
        "Sign-in of bob@example.com by password refused: wrong password"
    );
    assert_eq!(
        second["description"],
        "Sign-in of eve@example.com by password refused: no account has that address"
    );
    assert_eq!(first["metadata"]["isBreakGlassAccess"], false);
    assert!(!first.to_string().contains("not his password"), "{first}");
}

#[tokio::test]
async fn an_outage_locks_out_nobody_who_is_listed_and_everybody_else() {
    let team = Team::new().await;
    team.list(&[OWNER], &[]).await.unwrap();
    team.enforce(false).await.unwrap();
    team.rig.sso.set_down("entra", Some("`login.example.com` refuses connections"));
    insta::assert_snapshot!(said(sign_in(&team.nobody(), "bob@example.com", PASSWORD).await), @r"
    denied: the e-mail address or the password is wrong, or SSO is enforced for you: sign in with SSO at `entra`; `entra` was seen not to work: until it does, an Admin or Owner on its break-glass list can let you in
    ");
    let refused = team.newest().await;
    assert_eq!(
        refused["description"],
        "Sign-in of bob@example.com by password refused: SSO is enforced and the operator is not listed for `entra`"
    );
    let (_, method) = sign_in(&team.nobody(), OWNER, PASSWORD).await.unwrap();
    assert_eq!(method, SignInMethod::BreakGlass(vec!["entra".parse().unwrap()]));
    let event = team.newest().await;
    assert_eq!(event["type"], "auth.login.success");
    assert_eq!(event["description"], "Break-glass user logged in via password");
    assert_eq!(event["actor"]["email"], OWNER);
    assert_eq!(event["metadata"]["isBreakGlassAccess"], true);
    let evidence = &event["metadata"]["evidence"][0];
    assert_eq!((evidence["idp"].as_str(), &evidence["healthy"]), (Some("entra"), &false.into()));
    assert_eq!(evidence["checks"][0]["said"], "`login.example.com` refuses connections");
    assert!(team.rig.store.audit_kinds().contains(&"sso.probe_changed".to_owned()));
    assert!(!team.idp().await.listed[0].proof_due, "coming in by it shows that it works");
}

#[tokio::test]
async fn where_the_list_is_open_only_in_an_outage_a_healthy_provider_keeps_it_shut() {
    let mut rig = Rig::new();
    let mode = BreakGlassMode::OnlyWhileUnhealthy;
    rig.idps = vec![breakglass::domain::identity_provider::IdpSettings {
        break_glass: mode,
        ..idp("entra", &["example.com"])
    }];
    let team = Team::on(rig).await;
    team.list(&[OWNER], &[]).await.unwrap();
    team.enforce(false).await.unwrap();
    assert!(sign_in(&team.nobody(), OWNER, PASSWORD).await.is_err());
    let event = team.newest().await;
    assert_eq!(event["metadata"]["isBreakGlassAccess"], true, "a try at the bypass");
    team.rig.sso.set_down("entra", Some("down"));
    let validate = IdpAsk::Validate { idp: "entra".parse().unwrap() };
    team.ask(Command::Idp(validate)).await.unwrap();
    assert!(sign_in(&team.nobody(), OWNER, PASSWORD).await.is_ok());
}

#[tokio::test]
async fn enforcement_with_nobody_listed_wants_the_name_typed() {
    let team = Team::new().await;
    insta::assert_snapshot!(said(team.enforce(false).await), @r"
    denied: with SSO enforced, nobody listed for `entra` could enter by password: its failure would lock out all whom it governs; type its name to confirm that
      hint: --confirm entra
    ");
    assert!(!team.idp().await.enforced);
    team.enforce(true).await.unwrap();
    assert!(team.idp().await.enforced);
    let enforced = team.newest().await;
    team.rig.sso.set_down("entra", Some("down"));
    let validate = IdpAsk::Validate { idp: "entra".parse().unwrap() };
    team.ask(Command::Idp(validate)).await.unwrap();
    insta::assert_snapshot!(team.idp().await.warnings[0], @"entra does not work NOW and nobody listed can enter: whom it governs is locked out; who is signed in lets them in: breakglass idp unenforce entra");
    assert_eq!(enforced["type"], "sso.enforced");
    assert_eq!(enforced["changes"]["after"]["enforced"], true);
}

#[tokio::test]
async fn of_five_who_add_the_fifth_at_once_one_does() {
    let mut rig = Rig::new();
    rig.idps = vec![idp("entra", &["example.com"])];
    for number in 0..9 {
        let who = with_password(account(&format!("user{number}@example.com"), Role::Admin));
        people::sign_in(&*rig.store, &who).await;
    }
    let team = Team::on(rig).await;
    let first: Vec<_> = (0..4).map(|number| format!("user{number}@example.com")).collect();
    let first: Vec<_> = first.iter().map(String::as_str).collect();
    team.list(&first, &[]).await.unwrap();
    let names: Vec<_> = (4..9).map(|number| format!("user{number}@example.com")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let answers = tokio::join!(
        team.list(&names[0..1], &[]),
        team.list(&names[1..2], &[]),
        team.list(&names[2..3], &[]),
        team.list(&names[3..4], &[]),
        team.list(&names[4..5], &[]),
    );
    let answers = [answers.0, answers.1, answers.2, answers.3, answers.4];
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 4);
    assert!(
        refused.iter().all(|report| report.message.contains("maximum number reached (5 of 5)"))
    );
    assert_eq!(team.idp().await.listed.len(), 5);
}

#[tokio::test]
async fn who_is_removed_is_signed_out_and_their_sessions_end() {
    let team = Team::new().await;
    let target = EchoTarget::start().await;
    let mut faces = team.bob.subscribe().await.unwrap();
    let mut owners = team.owner().subscribe().await.unwrap();
    let his = session(team.bob.call(Command::Open(request(&target.address))).await);
    until(&mut faces, his.id, SessionState::Active).await;
    let remove = OperatorsAsk::Remove { email: email("bob@example.com"), confirm: None };
    team.ask(Command::Operators(remove)).await.unwrap();
    let why = loop {
        if let Event::SignedOut { why } = faces.events.recv().await.unwrap() {
            break why;
        }
    };
    assert_eq!(why, "an Owner has changed what you may");
    let ended = until(&mut owners, his.id, SessionState::Ended).await;
    assert_eq!(ended.end_reason.as_deref(), Some("ended-by-admin"));
    assert!(said(team.bob.call(Command::Providers).await).contains("nobody is signed in"));
    assert!(sign_in(&team.nobody(), "bob@example.com", PASSWORD).await.is_err());
}

#[tokio::test]
async fn a_listing_of_somebody_who_leaves_is_told_to_count_for_nothing() {
    let team = Team::new().await;
    team.list(&[OWNER, "bob@example.com"], &[]).await.unwrap();
    let remove = OperatorsAsk::Remove { email: email("bob@example.com"), confirm: None };
    team.ask(Command::Operators(remove)).await.unwrap();
    let event = team.newest().await;
    assert_eq!(event["type"], "breakglass_user.stale");
    assert_eq!(event["description"], "bob@example.com is listed for entra and has left the team");
    let entra = team.idp().await;
    assert_eq!(entra.listed[1].stale, Some(Stale::NotMember));
    assert!(entra.forecast.starts_with("if entra fails now, 1 of 2 listed can enter"));
}

#[tokio::test]
async fn who_is_taken_off_the_list_while_in_by_it_is_out() {
    let team = Team::new().await;
    team.list(&[OWNER, "bob@example.com"], &[]).await.unwrap();
    team.enforce(false).await.unwrap();
    let (token, _) = sign_in(&team.nobody(), "bob@example.com", PASSWORD).await.unwrap();
    let by_bypass = team.nobody().signed_in(Some(token));
    assert!(by_bypass.call(Command::Providers).await.is_ok());
    team.list(&[], &["bob@example.com"]).await.unwrap();
    assert!(by_bypass.call(Command::Providers).await.is_err());
    assert!(team.bob.call(Command::Providers).await.is_ok(), "in before, and not by the list");
}

#[tokio::test]
async fn the_last_owner_stays_an_owner() {
    let team = Team::new().await;
    let demote = OperatorsAsk::SetRole { email: email(OWNER), role: Role::Member };
    let remove = OperatorsAsk::Remove { email: email(OWNER), confirm: None };
    let lines = [
        said(team.ask(Command::Operators(demote)).await),
        said(team.ask(Command::Operators(remove)).await),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r"
    denied: `ana@example.com` is the last Owner who can sign in; make another first: breakglass operators role EMAIL owner
    denied: `ana@example.com` is the last Owner who can sign in; make another first: breakglass operators role EMAIL owner
    ");
}

#[tokio::test]
async fn an_invited_person_sets_their_own_password_once() {
    let team = Team::new().await;
    let invite = OperatorsAsk::Invite { email: email("eve@example.com"), role: Role::Admin };
    let made = team.ask(Command::Operators(invite)).await.unwrap();
    let Reply::Code { code, .. } = made else { panic!("{made:?}") };
    let event = team.newest().await;
    assert_eq!(event["type"], "operator.invited");
    assert!(!event.to_string().contains(code.expose()), "{event}");
    let redeem = |code: &Secret| {
        let (email, password) = (email("eve@example.com"), Secret::new(PASSWORD));
        Command::SignIn(SignInAsk::Redeem { email, code: code.clone(), password })
    };
    let wrong = Secret::new("00000-00000-00000-00000");
    assert!(said(team.nobody().call(redeem(&wrong)).await).contains("one-time code is wrong"));
    let shouted = Secret::new(code.expose().to_lowercase().replace('-', " "));
    team.nobody().call(redeem(&shouted)).await.unwrap();
    assert!(team.nobody().call(redeem(&code)).await.is_err(), "once is once");
    assert!(sign_in(&team.nobody(), "eve@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn who_guesses_waits_and_a_restart_does_not_help() {
    let team = Team::new().await;
    for _ in 0..4 {
        sign_in(&team.nobody(), "bob@example.com", "a guess that is wrong").await.unwrap_err();
    }
    let waiting = sign_in(&team.nobody(), "bob@example.com", PASSWORD).await.unwrap_err();
    assert_eq!(waiting.message, "too many failed tries from here");
    assert!(waiting.hint.unwrap().starts_with("try again in "));
    assert_eq!(team.newest().await["type"], "auth.throttled");
    let Team { rig, engine, .. } = team;
    drop(engine);
    let engine = rig.start_for_nobody(Parcel::pack(vec![])).await;
    let again = sign_in(&engine.handle, "bob@example.com", PASSWORD).await.unwrap_err();
    assert_eq!(again.message, "too many failed tries from here");
    let elsewhere = engine.handle.for_origin(Origin { uid: 4_711, ..Origin::default() });
    assert!(sign_in(&elsewhere, "bob@example.com", PASSWORD).await.is_ok(), "from elsewhere");
}

#[tokio::test]
async fn a_proof_lets_nobody_in_and_is_remembered() {
    let team = Team::new().await;
    team.list(&[OWNER], &[]).await.unwrap();
    let prove = |who: &str, password: &str| {
        let (idp, email) = ("entra".parse().unwrap(), email(who));
        Command::BreakGlass(BreakGlassAsk::Prove { idp, email, password: Secret::new(password) })
    };
    assert!(team.idp().await.listed[0].proof_due);
    assert_eq!(team.nobody().call(prove(OWNER, PASSWORD)).await, Ok(Reply::Done));
    let listed = team.idp().await.listed;
    assert!(listed[0].proven_at.is_some() && !listed[0].proof_due);
    let mut lines = vec![];
    for (who, password) in [("bob@example.com", PASSWORD), (OWNER, "a wrong one, a wrong one")] {
        lines.push(said(team.nobody().call(prove(who, password)).await));
        lines.push(team.newest().await["type"].as_str().unwrap().to_owned());
    }
    insta::assert_snapshot!(lines.join("\n"), @r"
    denied: the e-mail address or the password is wrong, or it is not listed for `entra`
    breakglass_user.proof_failed
    denied: the e-mail address or the password is wrong, or it is not listed for `entra`
    breakglass_user.proof_failed
    ");
}

#[tokio::test]
async fn a_first_sign_on_binds_the_invite_and_later_ones_go_by_the_binding() {
    let team = Team::new().await;
    let person = |subject: &str, address: &str| SsoIdentity {
        issuer: "https://entra.example.com".into(),
        subject: subject.into(),
        email: Some(email(address)),
        email_verified: true,
    };
    team.rig.sso.decide(Ok(person("s-1", "bob@example.com")));
    let sso = async || {
        let begin = SignInAsk::BeginSso { idp: "entra".parse().unwrap() };
        let begun = team.nobody().call(Command::SignIn(begin)).await.unwrap();
        let Reply::SsoPrompt(prompt) = begun else { panic!("no prompt") };
        assert_eq!(prompt.user_code, "WDJB-MJHT");
        let finish = SignInAsk::FinishSso { attempt: prompt.attempt };
        team.nobody().call(Command::SignIn(finish)).await
    };
    let Reply::SignedIn { me, .. } = sso().await.unwrap() else { panic!("not signed in") };
    assert_eq!(me.email.as_str(), "bob@example.com");
    let kinds = team.rig.store.audit_kinds();
    assert_eq!(kinds[kinds.len() - 2..], ["operator.bound", "auth.login.success"]);
    // Another address for the same person changes nothing; another person with his does not get in.
    team.rig.sso.decide(Ok(person("s-1", "robert@example.com")));
    let Reply::SignedIn { me, .. } = sso().await.unwrap() else { panic!("not signed in") };
    assert_eq!(me.email.as_str(), "bob@example.com");
    team.rig.sso.decide(Ok(person("s-2", "bob@example.com")));
    insta::assert_snapshot!(said(sso().await), @"denied: `bob@example.com` is bound to another SSO identity; an Owner removes and invites them anew");
    team.rig.sso.decide(Err(SsoError::Declined { idp: "entra".into() }));
    insta::assert_snapshot!(said(sso().await), @r"
    denied: the sign-in was declined at `entra`
      hint: try again
    ");
    assert_eq!(team.newest().await["type"], "auth.login.failure");
}

#[tokio::test]
async fn a_sign_in_outlives_a_restart_but_not_a_logout() {
    let team = Team::new().await;
    let (token, _) = sign_in(&team.nobody(), "bob@example.com", PASSWORD).await.unwrap();
    let Team { rig, engine, .. } = team;
    drop(engine);
    let engine = rig.start_for_nobody(Parcel::pack(vec![])).await;
    let bob = engine.handle.signed_in(Some(token));
    let me = bob.call(Command::SignIn(SignInAsk::Whoami)).await.unwrap();
    assert!(matches!(&me, Reply::Me(Some(me)) if me.email.as_str() == "bob@example.com"), "{me:?}");
    bob.call(Command::SignIn(SignInAsk::Logout)).await.unwrap();
    assert_eq!(bob.call(Command::SignIn(SignInAsk::Whoami)).await, Ok(Reply::Me(None)));
    drop(engine);
    let engine = rig.start_for_nobody(Parcel::pack(vec![])).await;
    let bob = engine.handle.signed_in(bob.token().cloned());
    assert_eq!(bob.call(Command::SignIn(SignInAsk::Whoami)).await, Ok(Reply::Me(None)));
}

#[tokio::test]
async fn what_cannot_be_written_down_lets_nobody_in() {
    let team = Team::new().await;
    team.rig.store.set_full(true);
    assert!(sign_in(&team.nobody(), "bob@example.com", PASSWORD).await.is_err());
    assert!(team.enforce(true).await.is_err());
    team.rig.store.set_full(false);
    assert!(!team.idp().await.enforced);
}

/// Who may say where people prove who they are could become any of them.
#[tokio::test]
async fn only_an_owner_says_where_people_sign_in() {
    let mut rig = Rig::new();
    rig.idps = vec![idp("entra", &["example.com"])];
    let admin = account("carl@example.com", Role::Admin);
    let token = people::sign_in(&*rig.store, &admin).await;
    let team = Team::on(rig).await;
    let carl = team.engine.handle.signed_in(Some(token));
    let settings = Box::new(idp("mine", &["example.com"]));
    let add = IdpAsk::Add { settings, secret: None, unhealthy: true };
    insta::assert_snapshot!(said(carl.call(Command::Idp(add)).await), @r"
    denied: only an Owner may add, change or remove identity providers; you are an Admin
      hint: breakglass whoami tells who is signed in
    ");
    let validate = IdpAsk::Validate { idp: "entra".parse().unwrap() };
    assert!(carl.call(Command::Idp(validate)).await.is_ok());
}

/// Else the team would have nobody who could let anybody in.
#[tokio::test]
async fn the_way_by_which_the_only_owner_signs_in_is_not_taken_away() {
    let mut rig = Rig::new();
    rig.idps = vec![idp("entra", &["example.com"])];
    let engine = rig.start().await;
    rig.sso.decide(Ok(SsoIdentity {
        issuer: "https://entra.example.com".into(),
        subject: "s-1".into(),
        email: Some(email(OWNER)),
        email_verified: true,
    }));
    let begin = SignInAsk::BeginSso { idp: "entra".parse().unwrap() };
    let begun = engine.handle.call(Command::SignIn(begin)).await.unwrap();
    let Reply::SsoPrompt(prompt) = begun else { panic!("{begun:?}") };
    let finish = SignInAsk::FinishSso { attempt: prompt.attempt };
    engine.handle.call(Command::SignIn(finish)).await.unwrap();
    let remove = Command::Idp(IdpAsk::Remove { idp: "entra".parse().unwrap() });
    insta::assert_snapshot!(said(engine.handle.call(remove.clone()).await), @r"
    denied: no Owner could sign in without `entra`
      hint: an Owner sets a password first: breakglass password set
    ");
    let new = Secret::new(PASSWORD);
    let set = SignInAsk::SetPassword { current: None, new };
    engine.handle.call(Command::SignIn(set)).await.unwrap();
    assert_eq!(engine.handle.call(remove).await, Ok(Reply::Done));
}
