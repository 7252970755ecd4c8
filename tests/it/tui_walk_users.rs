//! The Break-Glass Users tab, identity providers and operators.

use breakglass::domain::email::Email;
use breakglass::domain::identity_provider::IdpKind;
use breakglass::domain::role::Role;
use breakglass::domain::secret::Secret;
use breakglass::domain::time::Span;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{
    BreakGlassAsk, Command, Event, IdpAsk, IdpView, OperatorsAsk, OperatorsView, Reply, SignInAsk,
    Snapshot,
};
use breakglass::tui::keymap::Key;
use breakglass::tui::msg::{Effect, Msg};

use crate::tui_models::{NOW, Stage};
use crate::tui_people::{
    full_list, healthy, identity, idp, listed, me, operator_view, page, signed_in, snapshot_of,
    unhealthy, usual_list,
};
use crate::tui_walk::Walk;

fn email(name: &str) -> Email {
    format!("{name}@example.com").parse().unwrap()
}

fn entra() -> breakglass::domain::id::IdpId {
    "entra".parse().unwrap()
}

async fn at(snapshot: Snapshot) -> Walk {
    let walk = Walk::at(snapshot, (80, 24), true);
    walk.sees("ana@example.com").await.key(Key::Char('3'));
    walk
}

async fn tab(role: Role) -> Walk {
    let walk = at(signed_in(role)).await;
    walk.sees("Microsoft Entra ID; owns example.com").await;
    walk
}

fn idps(listed: Vec<breakglass::protocol::ListedView>) -> Vec<IdpView> {
    vec![idp("entra", listed), idp("corp-oidc", vec![])]
}

fn check(name: &str) -> Command {
    Command::BreakGlass(BreakGlassAsk::Check { idp: entra(), email: email(name) })
}

#[tokio::test]
async fn a_list_is_edited_in_a_copy_and_saved_at_once() {
    let mut walk = tab(Role::Admin).await;
    walk.sees("Break-glass users: 3 of 5").await.types("e").sees("editing").await;
    walk.types("a").types(" Zoe@Example.com ").key(Key::Enter);
    let refused = Report::new(Kind::Denied, "this user has no password configured")
        .hint("they set one themselves: breakglass password set");
    assert_eq!(walk.answers(Err(refused)).await, check("zoe"));
    walk.sees("this user has no password configured").await.sees("they set one").await;
    walk.key(Key::Enter);
    let view = listed(8, "zoe", Role::Member, None);
    walk.answers(Ok(Reply::Listed(Box::new(view)))).await;
    walk.sees("exists ✓  password ✓  member ✓  room ✓").await.sees("cannot repair SSO").await;
    walk.sees("4 of 5").await.key(Key::Up).types("d").sees("goes when saved").await;
    walk.key(Key::Up).types("d").sees("2 of 5").await.types("u").sees("3 of 5").await;
    walk.key(Key::Esc).sees("2 changes would be lost").await.key(Key::Enter).types("s");
    let mut saved = usual_list();
    saved.truncate(2);
    saved.push(listed(8, "zoe", Role::Member, None));
    let change = BreakGlassAsk::Change {
        idp: entra(),
        add: vec![email("zoe")],
        remove: vec![email("eve")],
        confirm: None,
    };
    let answer = Ok(Reply::IdentityProviders(idps(saved)));
    assert_eq!(walk.answers(answer).await, Command::BreakGlass(change));
    walk.sees("the list of entra is saved")
        .await
        .sees("zoe@example.com")
        .await
        .sees_no("eve@")
        .await;
}

#[tokio::test]
async fn what_the_copy_alone_shows_needs_no_engine() {
    let walk =
        at(snapshot_of(identity(Some(me(Role::Owner)), vec![idp("entra", full_list())]), vec![]))
            .await;
    walk.sees("5 of 5").await.types("ea").sees("maximum number reached (5 of 5)").await;
    walk.types("d").sees("4 of 5").await.types("a").types("ana@example.com").key(Key::Enter);
    walk.sees("5 of 5").await.sees_no("goes when saved").await.types("d").sees("4 of 5").await;
}

/// The engine counts those who are only marked for removal. Want of room is its last rule, so
/// whoever fails that alone fits once the marked ones are gone.
#[tokio::test]
async fn the_place_of_somebody_who_goes_is_given_to_somebody_else() {
    let idps = vec![idp("entra", full_list())];
    let mut walk = at(snapshot_of(identity(Some(me(Role::Owner)), idps), vec![])).await;
    walk.sees("5 of 5").await.types("edazoe@example.com").key(Key::Enter);
    let full = Report::new(Kind::Denied, "maximum number reached (5 of 5)").hint("remove somebody");
    assert_eq!(walk.answers(Err(full)).await, check("zoe"));
    walk.sees("comes when saved").await.sees("5 of 5").await.types("s");
    let change = BreakGlassAsk::Change {
        idp: entra(),
        add: vec![email("zoe")],
        remove: vec![email("ana")],
        confirm: None,
    };
    assert_eq!(walk.asked().await.0, Command::BreakGlass(change));
}

#[tokio::test]
async fn where_the_engine_wants_the_name_typed_it_is_typed() {
    let mut walk = tab(Role::Admin).await;
    walk.types("ed").sees("goes when saved").await.types("s");
    let needed = Report::new(
        Kind::Denied,
        "nobody listed for `entra` could sign in any more while its SSO is enforced; type its name \
         to do it all the same",
    );
    walk.answers(Err(needed)).await;
    walk.sees("Save the list of entra?").await.sees("could sign in any more").await;
    walk.types("entr").key(Key::Enter).sees("that is not its name").await.types("a");
    walk.key(Key::Enter);
    let change = BreakGlassAsk::Change {
        idp: entra(),
        add: vec![],
        remove: vec![email("ana")],
        confirm: Some("entra".into()),
    };
    let answer = Ok(Reply::IdentityProviders(idps(vec![])));
    assert_eq!(walk.answers(answer).await, Command::BreakGlass(change));
    walk.sees("the list is saved").await.sees("0 of 5").await;
}

#[tokio::test]
async fn enforcement_is_switched_with_its_warning() {
    let mut walk = tab(Role::Admin).await;
    let enforce = |on, confirm: Option<&str>, idp: &str| {
        let confirm = confirm.map(str::to_owned);
        Command::Idp(IdpAsk::Enforce { idp: idp.parse().unwrap(), on, confirm })
    };
    walk.types("t").sees("may sign in by it again").await.key(Key::Right).key(Key::Enter);
    let mut off = idps(usual_list());
    off[0].enforced = false;
    assert_eq!(
        walk.answers(Ok(Reply::IdentityProviders(off.clone()))).await,
        enforce(false, None, "entra")
    );
    walk.sees("not enforced: by password or single sign-on").await;
    walk.types("t")
        .sees("2 listed operators may still sign in")
        .await
        .key(Key::Right)
        .key(Key::Enter);
    off[0].enforced = true;
    assert_eq!(
        walk.answers(Ok(Reply::IdentityProviders(off.clone()))).await,
        enforce(true, None, "entra")
    );
    walk.sees("enforced: a password only for who is listed").await.types("]t");
    walk.sees("Nobody on the list of corp-oidc could get in").await.types("corp-oidc");
    walk.key(Key::Enter);
    assert_eq!(
        walk.answers(Ok(Reply::IdentityProviders(off))).await,
        enforce(true, Some("corp-oidc"), "corp-oidc")
    );
    walk.sees("corp-oidc: single sign-on is enforced now").await;
}

#[tokio::test]
async fn an_identity_provider_is_looked_at_and_a_password_proven() {
    let mut walk = tab(Role::Admin).await;
    walk.types("v").sees("looking at entra").await;
    let answer = Ok(Reply::Probe(unhealthy()));
    assert_eq!(walk.answers(answer).await, Command::Idp(IdpAsk::Validate { idp: entra() }));
    walk.sees("× unhealthy").await.sees("SSO entra: unhealthy").await;
    walk.types("p").types("my own password").key(Key::Enter);
    let prove = BreakGlassAsk::Prove {
        idp: entra(),
        email: email("ana"),
        password: Secret::new("my own password"),
    };
    assert_eq!(walk.answers(Ok(Reply::Done)).await, Command::BreakGlass(prove));
    walk.sees("it is proven now").await;
    let mut proven = idps(usual_list());
    proven[0].listed[0].proven_at = Some(NOW);
    let view = identity(Some(me(Role::Admin)), proven);
    walk.engine.tell(Event::Identity(Box::new(view))).await;
    walk.sees("today").await;
}

#[tokio::test]
async fn an_identity_provider_that_does_not_work_is_saved_on_purpose_only() {
    let mut walk = tab(Role::Owner).await;
    walk.types("iokta").key(Key::Tab).key(Key::Right).key(Key::Enter);
    walk.types("https://okta.example.com").key(Key::Enter).types("breakglass").key(Key::Tab);
    walk.types("example.com, @Example.org").key(Key::Tab).types("s3cret").key(Key::Enter);
    let (command, reply) = walk.asked().await;
    let Command::Idp(IdpAsk::Add { settings, secret, unhealthy: false }) = command else {
        panic!()
    };
    assert_eq!(settings.kind, IdpKind::Oidc { issuer: "https://okta.example.com".into() });
    assert_eq!(settings.domains, ["example.com", "example.org"]);
    assert_eq!((secret, settings.has_secret), (Some(Secret::new("s3cret")), true));
    reply.send(Ok(Reply::Probe(unhealthy()))).unwrap();
    walk.sees("It is not saved").await.sees("503 Service Unavailable").await.key(Key::Enter);
    let mut other = unhealthy();
    other.checks[1].found = Err("404 Not Found".into());
    let again = walk.answers(Ok(Reply::Probe(other))).await;
    assert!(matches!(again, Command::Idp(IdpAsk::Add { unhealthy: false, .. })));
    walk.sees("404 Not Found").await.key(Key::Right).key(Key::Enter);
    let saved = walk.answers(Ok(Reply::Probe(unhealthy()))).await;
    assert!(matches!(saved, Command::Idp(IdpAsk::Add { unhealthy: true, secret: Some(_), .. })));
    walk.sees("okta is saved").await.sees_no("It is not saved").await;
}

#[tokio::test]
async fn one_that_works_is_saved_at_once_and_removed_with_a_question() {
    let mut walk = tab(Role::Owner).await;
    walk.types("iokta").key(Key::Tab).key(Key::Tab).types("tenant").key(Key::Tab).types("id");
    walk.key(Key::Enter);
    walk.answers(Ok(Reply::Probe(healthy()))).await;
    walk.sees("okta is saved").await.types("D").sees("t stops that first").await;
    walk.types("]D").sees("Remove the identity provider corp-oidc?").await;
    walk.key(Key::Right).key(Key::Enter);
    let remove = Command::Idp(IdpAsk::Remove { idp: "corp-oidc".parse().unwrap() });
    assert_eq!(walk.answers(Ok(Reply::Done)).await, remove);
    walk.sees("corp-oidc is removed").await;
}

#[tokio::test]
async fn who_may_not_is_told_who_may() {
    let walk = tab(Role::Member).await;
    walk.sees("Only an Admin or an Owner may see who is listed").await.types("e");
    walk.sees("only an Admin or an Owner may change a break-glass list").await;
    walk.types("O").sees("may see the operators").await.types("i");
    walk.sees("may add, change or remove identity providers").await;
}

#[tokio::test]
async fn operators_are_filtered_by_the_engine_and_invited() {
    let mut walk = tab(Role::Owner).await;
    walk.types(":operators").key(Key::Enter);
    let list = |filter: Option<&str>, offset| {
        let filter = filter.map(str::to_owned);
        Command::Operators(OperatorsAsk::List { filter, limit: 500, offset })
    };
    assert_eq!(walk.answers(Ok(Reply::Operators(page(0, 500)))).await, list(None, 0));
    walk.sees("10,000 operators").await.sees("person00000").await.types("/zo");
    // One question at a time: what was typed while it was under way is asked for after it.
    let none = || OperatorsView { total: 10_000, matching: 0, operators: vec![] };
    assert_eq!(walk.answers(Ok(Reply::Operators(none()))).await, list(Some("z"), 0));
    assert_eq!(walk.answers(Ok(Reply::Operators(none()))).await, list(Some("zo"), 0));
    walk.sees("No operator fits the filter").await.key(Key::Esc);
    assert_eq!(walk.answers(Ok(Reply::Operators(page(0, 500)))).await, list(None, 0));
    walk.sees("person00000").await.types("azoe@example.com").key(Key::Tab).key(Key::Right);
    walk.key(Key::Enter);
    let invite = OperatorsAsk::Invite { email: email("zoe"), role: Role::Admin };
    let code = Reply::Code {
        email: email("zoe"),
        code: Secret::new("5G8KQ-ZT2AB-0XNVM-4JC7D"),
        expires_at: NOW + Span::from_hours(24),
    };
    assert_eq!(walk.answers(Ok(code)).await, Command::Operators(invite));
    walk.sees("5G8KQ-ZT2AB-0XNVM-4JC7D").await.sees("It is shown once").await;
    assert_eq!(walk.answers(Ok(Reply::Operators(page(0, 500)))).await, list(None, 0));
    walk.key(Key::Char('y')).sees("sent the code").await.key(Key::Esc).sees_no("5G8KQ").await;
}

#[tokio::test]
async fn operators_get_roles_and_codes_and_are_removed_with_a_question() {
    let mut walk = tab(Role::Owner).await;
    walk.types("O");
    let one = || OperatorsView { total: 1, matching: 1, operators: vec![operator_view(3)] };
    walk.answers(Ok(Reply::Operators(one()))).await;
    let who = || operator_view(3).email;
    walk.sees("person00003").await.types("r").key(Key::Right).key(Key::Enter);
    let role = OperatorsAsk::SetRole { email: who(), role: Role::Admin };
    assert_eq!(walk.answers(Ok(Reply::Done)).await, Command::Operators(role));
    walk.answers(Ok(Reply::Operators(one()))).await;
    walk.sees("person00003@example.com is Admin now").await.types("c").sees("[ cancel ]").await;
    walk.key(Key::Right).key(Key::Enter);
    let last = Report::new(Kind::Denied, "`person00003@example.com` has left the team");
    let reset = OperatorsAsk::Reset { email: who() };
    assert_eq!(walk.answers(Err(last)).await, Command::Operators(reset));
    walk.sees("has left the team").await.types("D").sees("end at once").await;
    walk.key(Key::Right).key(Key::Enter);
    let remove = OperatorsAsk::Remove { email: who(), confirm: None };
    assert_eq!(walk.answers(Ok(Reply::Done)).await, Command::Operators(remove));
    walk.sees("is removed").await;
}

#[tokio::test]
async fn ones_own_password_is_set() {
    let mut walk = tab(Role::Member).await;
    walk.types(":password").key(Key::Enter).sees("Set your password").await.key(Key::Tab);
    walk.types("a new sentence").key(Key::Tab).types("a new sentence").key(Key::Enter);
    let new = Secret::new("a new sentence");
    let set = SignInAsk::SetPassword { current: None, new };
    assert_eq!(walk.answers(Ok(Reply::Done)).await, Command::SignIn(set));
    walk.sees("your password is set").await;
}

/// Only what was asked for is here, and only what is in view is drawn.
#[test]
fn ten_thousand_operators_are_fetched_page_by_page_on_the_way_down() {
    let asked = |stage: &Stage| match stage.effects.last() {
        Some(Effect::Call(Command::Operators(OperatorsAsk::List { offset, .. }), _)) => *offset,
        other => panic!("{other:?}"),
    };
    let mut stage = Stage::attached(signed_in(Role::Owner)).types("3O");
    for from in (0..10_000).step_by(500) {
        assert_eq!(asked(&stage), from);
        stage = stage.answer(Ok(Reply::Operators(page(from, 500)))).key(Key::End);
    }
    assert_eq!(asked(&stage), 9_500, "there is no more to ask for");
    let operators = stage.model.operators.as_ref().unwrap();
    assert_eq!(operators.selected().unwrap().email, operator_view(9_999).email);
}

/// What somebody else did meanwhile is no longer planned here.
#[test]
fn a_working_copy_follows_what_somebody_else_saved() {
    let stage = Stage::attached(signed_in(Role::Admin)).types("3ed");
    let mut others = usual_list();
    others.remove(0);
    let view = identity(Some(me(Role::Admin)), idps(others));
    let stage = stage.then(Msg::Events(vec![Event::Identity(Box::new(view))]));
    assert_eq!(stage.model.users.edit.as_ref().unwrap().changes, []);
    let gone = identity(Some(me(Role::Admin)), vec![]);
    let stage = stage.then(Msg::Events(vec![Event::Identity(Box::new(gone))]));
    assert_eq!(stage.model.users.edit, None);
}
