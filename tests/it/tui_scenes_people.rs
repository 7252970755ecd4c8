//! The scenes about people: signing in, break-glass users, operators.

use breakglass::domain::role::Role;
use breakglass::domain::secret::Secret;
use breakglass::domain::sign_in::SignInMethod;
use breakglass::domain::time::Span;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Event, Reply, SessionState};
use breakglass::tui::keymap::Key;
use breakglass::tui::msg::Msg;

use crate::tui_models::{NOW, Stage, session};
use crate::tui_people::{
    barred, first_start, full_list, identity, idp, listed, me, page, prompt, signed_in,
    snapshot_of, unhealthy, users,
};
use crate::tui_scenes::{Scenes, down};

/// Every scene about people by its name.
pub fn all() -> Scenes {
    signing_in().into_iter().chain(sso()).chain(lists()).chain(operators()).chain(head()).collect()
}

pub fn filled_in() -> Stage {
    Stage::attached(barred()).types("ana@example.com").key(Key::Tab).types("correct horse battery")
}

fn wrong() -> Report {
    Report::new(Kind::Denied, "e-mail or password is wrong")
        .hint("if single sign-on is enforced for you, use that")
}

fn signing_in() -> Scenes {
    let slow_down = Report::new(Kind::Denied, "too many tries").hint("try again in 4 s");
    let weak =
        Report::new(Kind::Denied, "the password is too easy to guess: it is a common phrase")
            .hint("add a few words that nobody would put together");
    let owner = || Stage::attached(first_start()).types("ana@example.com").key(Key::Enter);
    let twice = |stage: Stage| {
        stage.types("a long sentence").key(Key::Tab).types("a long sentence").key(Key::Enter)
    };
    vec![
        ("sign in", Stage::attached(barred())),
        ("sign in typed", filled_in()),
        ("sign in checking", filled_in().key(Key::Enter)),
        ("sign in refused", filled_in().key(Key::Enter).answer(Err(wrong()))),
        ("sign in delayed", filled_in().key(Key::Enter).answer(Err(slow_down))),
        ("sign in at an idp", filled_in().key(Key::Tab).key(Key::Down)),
        ("sign in help", filled_in().key(Key::Tab).key(Key::Char('?'))),
        ("sign in pasted lines", filled_in().then(Msg::Paste("one\ntwo".into()))),
        ("sign in code", Stage::attached(barred()).key(Key::Ctrl('o'))),
        (
            "signed out",
            Stage::attached(signed_in(Role::Admin)).then(Msg::Events(vec![Event::SignedOut {
                why: "Your sign-in has ended: 30 minutes unused.".into(),
            }])),
        ),
        ("first owner", Stage::attached(first_start())),
        ("first owner password", owner().types("a long").key(Key::Tab)),
        ("first owner differs", owner().types("one").key(Key::Enter).types("two").key(Key::Enter)),
        ("first owner refused", twice(owner()).answer(Err(weak))),
        (
            "first owner made",
            twice(owner()).answer(Ok(Reply::Me(Some(Box::new(me(Role::Owner)))))).then(
                Msg::Attached(Box::new(snapshot_of(
                    identity(Some(me(Role::Owner)), vec![]),
                    vec![],
                ))),
            ),
        ),
    ]
}

fn sso() -> Scenes {
    let begun = || Stage::attached(barred()).key(Key::BackTab).key(Key::Enter);
    let prompted = || begun().answer(Ok(Reply::SsoPrompt(prompt())));
    let declined = Report::new(Kind::Denied, "the sign-in was declined at the page")
        .hint("ask for a new code, or sign in by password where you may");
    vec![
        ("sso asking", begun()),
        ("sso", prompted()),
        ("sso declined", prompted().answer(Err(declined))),
        ("sso expired", prompted().then(Msg::Tick(NOW + Span::from_seconds(900)))),
    ]
}

fn full() -> Stage {
    let idps = vec![idp("entra", full_list())];
    Stage::attached(snapshot_of(identity(Some(me(Role::Owner)), idps), vec![])).types("3")
}

fn lists() -> Scenes {
    let edit = || users(Role::Admin).types("e");
    let new = Reply::Listed(Box::new(listed(8, "zoe", Role::Member, None)));
    let added =
        || edit().types("a").types("zoe@example.com").key(Key::Enter).answer(Ok(new.clone()));
    let no_password = Report::new(Kind::Denied, "this user has no password configured")
        .hint("they set one themselves: breakglass password set");
    let nobody = identity(Some(me(Role::Owner)), vec![]);
    vec![
        ("users", users(Role::Admin)),
        ("users stale", down(users(Role::Owner), 2)),
        ("users other idp", users(Role::Admin).types("]")),
        ("users of a member", users(Role::Member)),
        ("users no idp", Stage::attached(snapshot_of(nobody, vec![])).types("3")),
        ("users enforce off", users(Role::Admin).types("t")),
        ("users enforce empty", users(Role::Admin).types("]t")),
        ("users prove", users(Role::Admin).types("p")),
        ("users edit", edit()),
        ("users edit add", edit().types("a")),
        (
            "users edit refused",
            edit().types("a").types("zoe@example.com").key(Key::Enter).answer(Err(no_password)),
        ),
        ("users edit changed", added().key(Key::Up).types("d")),
        ("users edit leave", added().key(Key::Esc)),
        ("users edit saving", added().types("s")),
        ("users full", full().types("e")),
        ("users idp add", users(Role::Owner).types("i")),
        ("users idp unhealthy", idp_form().key(Key::Enter).answer(Ok(Reply::Probe(unhealthy())))),
        ("users hostile probe", hostile()),
    ]
}

pub fn idp_form() -> Stage {
    users(Role::Owner)
        .types("i")
        .types("okta")
        .key(Key::Tab)
        .key(Key::Right)
        .key(Key::Tab)
        .types("https://okta.example.com")
        .key(Key::Tab)
        .types("breakglass")
}

/// What an identity provider says may hold anything.
fn hostile() -> Stage {
    let nasty = "\u{1b}]52;c;AAAA\u{7}\u{9b}31m\u{202e}evil\u{200b}\r\n\t東京👍e\u{301}".repeat(3);
    let mut snapshot = signed_in(Role::Admin);
    for idp in &mut snapshot.identity.idps {
        idp.label = nasty.clone();
        idp.forecast = nasty.clone();
        idp.warnings = vec![nasty.clone()];
        for check in idp.probe.iter_mut().flat_map(|probe| &mut probe.checks) {
            check.name = nasty.clone();
            check.found = Err(nasty.clone());
        }
        for listed in &mut idp.listed {
            listed.warning = Some(nasty.clone());
        }
    }
    Stage::attached(snapshot).types("3")
}

fn operators() -> Scenes {
    let open = || users(Role::Owner).types("O").answer(Ok(Reply::Operators(page(0, 500))));
    let code = || Reply::Code {
        email: "zoe@example.com".parse().unwrap(),
        code: Secret::new("5G8KQ-ZT2AB-0XNVM-4JC7D"),
        expires_at: NOW + Span::from_hours(24),
    };
    vec![
        ("operators asking", users(Role::Owner).types("O")),
        ("operators", open()),
        ("operators filtered", open().types("/admin")),
        ("operators invite", open().types("a").types("zoe@example.com").key(Key::Tab)),
        (
            "operators code",
            open().types("a").types("zoe@example.com").key(Key::Enter).answer(Ok(code())),
        ),
        ("operators role", open().types("r").key(Key::Right)),
        ("operators remove", open().types("D")),
        ("password", Stage::attached(signed_in(Role::Member)).types(":password").key(Key::Enter)),
        ("logout", Stage::attached(signed_in(Role::Member)).types(":logout").key(Key::Enter)),
        (
            "whoami",
            Stage::attached(signed_in(Role::Admin))
                .types(":whoami")
                .key(Key::Enter)
                .answer(Ok(Reply::Me(Some(Box::new(me(Role::Admin)))))),
        ),
    ]
}

/// The header in its longest form.
fn head() -> Scenes {
    let mut who = me(Role::Owner);
    who.method = SignInMethod::BreakGlass(vec!["entra".parse().unwrap()]);
    let mut down = idp("entra", vec![]);
    down.health = breakglass::domain::identity_provider::IdpHealth::Unhealthy;
    down.probe = Some(unhealthy());
    let live = vec![session(1, "orders-db", SessionState::Active)];
    vec![(
        "signed in by break-glass",
        Stage::attached(snapshot_of(identity(Some(who), vec![down]), live)),
    )]
}
