//! Signing in, by password and by single sign-on, the first Owner, and what ends a sign-in.

use breakglass::domain::role::Role;
use breakglass::domain::secret::Secret;
use breakglass::domain::sign_in::Token;
use breakglass::domain::time::Span;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Command, Event, Reply, SessionState, SignInAsk, Snapshot};
use breakglass::tui::input::Input;
use breakglass::tui::keymap::Key;
use breakglass::tui::model::Model;
use breakglass::tui::msg::{Effect, Msg, Purpose};

use crate::tui_models::{NOW, Stage, session};
use crate::tui_people::{barred, first_start, identity, idp, me, prompt, signed_in, snapshot_of};
use crate::tui_scenes_people::filled_in;
use crate::tui_walk::{Engine, Walk};

/// What the engine shows: a live session to whoever has the token, and nothing to anybody else.
fn by_token(token: Option<&str>) -> Snapshot {
    if token != Some("t1") {
        return barred();
    }
    let identity = identity(Some(me(Role::Admin)), vec![idp("entra", vec![])]);
    snapshot_of(identity, vec![session(1, "orders-db", SessionState::Active)])
}

fn walk() -> Walk {
    Walk::telling(by_token, (80, 24), false)
}

fn let_in(token: &str, role: Role) -> Result<Reply, Report> {
    Ok(Reply::SignedIn { token: Token::new(token), me: Box::new(me(role)) })
}

fn by_password(password: &str) -> Command {
    let email = "ana@example.com".parse().unwrap();
    Command::SignIn(SignInAsk::Password { email, password: Secret::new(password) })
}

async fn signed_in_walk() -> Walk {
    let mut walk = walk();
    walk.sees("Sign in").await.types("Ana@Example.com").key(Key::Enter);
    walk.types("correct horse battery").key(Key::Enter);
    let asked = walk.answers(let_in("t1", Role::Admin)).await;
    assert_eq!(asked, by_password("correct horse battery"));
    walk.sees("● Active").await.sees("ana@example.com · Admin").await;
    walk
}

fn token(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test]
async fn the_token_goes_with_everything_from_then_on_and_over_a_hand_over() {
    let mut walk = signed_in_walk().await;
    assert_eq!(*walk.engine.tokens.lock().unwrap(), [None, None, token("t1")]);
    walk.key(Key::Char('1')).key(Key::Char('2')).key(Key::Char('4')).key(Key::Char('v'));
    let _ = walk.asked().await;
    assert_eq!(walk.engine.tokens.lock().unwrap().last(), Some(&token("t1")));
    walk.engine.tell(Event::HandedOver).await;
    let other = Engine::telling(&mut walk.tasks, by_token);
    walk.elsewhere.send_replace(Some(other.handle.clone()));
    walk.sees("attached to the engine again").await.sees("ana@example.com · Admin").await;
    assert_eq!(*other.tokens.lock().unwrap(), [token("t1")]);
}

#[tokio::test]
async fn a_refusal_is_said_in_the_engines_words_and_the_password_is_typed_anew() {
    let mut walk = walk();
    walk.sees("Sign in")
        .await
        .types("ana@example.com")
        .key(Key::Tab)
        .types("wrong")
        .key(Key::Enter);
    let refusal = Report::new(Kind::Denied, "e-mail or password is wrong")
        .hint("if single sign-on is enforced for you, use that");
    walk.answers(Err(refusal)).await;
    walk.sees("e-mail or password is wrong").await.sees("hint: if single sign-on").await;
    walk.types("right one").key(Key::Enter);
    assert_eq!(walk.answers(let_in("t1", Role::Admin)).await, by_password("right one"));
    walk.sees("● Active").await;
}

/// The engine may hash for long, or be stopped: the screen answers, and what still comes is ended.
#[tokio::test]
async fn waiting_is_given_up_and_a_late_sign_in_is_ended() {
    let mut walk = walk();
    walk.sees("Sign in").await.types("ana@example.com").key(Key::Tab).types("x").key(Key::Enter);
    let (_, late) = walk.asked().await;
    walk.sees("checking...").await.key(Key::Esc).sees("No longer waiting").await;
    walk.types("typing goes on").sees("●●●●●●●●●●●●").await;
    late.send(let_in("t2", Role::Admin)).unwrap();
    assert_eq!(walk.answers(Ok(Reply::Done)).await, Command::SignIn(SignInAsk::Logout));
    assert_eq!(walk.engine.tokens.lock().unwrap().last(), Some(&token("t2")));
    walk.sees("●●●●●●●●●●●●").await.sees_no("signed in as").await;
}

#[tokio::test]
async fn single_sign_on_shows_code_address_and_time_and_can_be_tried_again() {
    let mut walk = walk();
    walk.sees("corp-oidc").await.key(Key::Tab).key(Key::Tab).key(Key::Down).key(Key::Enter);
    let begin = || Command::SignIn(SignInAsk::BeginSso { idp: "corp-oidc".parse().unwrap() });
    assert_eq!(walk.answers(Ok(Reply::SsoPrompt(prompt()))).await, begin());
    let (finish, reply) = walk.asked().await;
    assert_eq!(finish, Command::SignIn(SignInAsk::FinishSso { attempt: 7 }));
    walk.sees("W D J B - M J H T").await.sees("https://login.example.com/device").await;
    walk.sees("█▄▄▄█").await.sees("Waiting for you at login").await.sees("14:3").await;
    let before = walk.bytes().len();
    walk.key(Key::Char('y')).sees("sent the address to the terminal's clipboard").await;
    walk.writes(before, b"\x1b]52;c;aHR0cHM6Ly9sb2dpbi5leGFtcGxlLmNvbS9kZXZpY2U").await;
    let declined = Report::new(Kind::Denied, "the sign-in was declined at the page");
    reply.send(Err(declined)).unwrap();
    walk.sees("declined at the page").await.key(Key::Char('r'));
    assert_eq!(walk.answers(Ok(Reply::SsoPrompt(prompt()))).await, begin());
    assert!(matches!(
        walk.answers(let_in("t1", Role::Admin)).await,
        Command::SignIn(SignInAsk::FinishSso { attempt: 7 })
    ));
    walk.sees("● Active").await;
}

#[tokio::test]
async fn the_first_owner_is_made_in_three_steps() {
    let by_token = |token: Option<&str>| match token {
        None => first_start(),
        Some(_) => snapshot_of(identity(Some(me(Role::Owner)), vec![]), vec![]),
    };
    let mut walk = Walk::telling(by_token, (80, 24), true);
    walk.sees("step 1 of 3").await.types("ana").key(Key::Enter).sees("is no e-mail address").await;
    walk.types("@example.com").key(Key::Enter).sees("step 2 of 3").await;
    walk.types("a long sentence").key(Key::Tab).types("another").key(Key::Enter);
    walk.sees("the two passwords differ").await.types("short").key(Key::Tab).types("short");
    walk.key(Key::Enter);
    let short = Report::new(Kind::Denied, "the password has 5 characters; it needs 15 or more");
    walk.answers(Err(short)).await;
    walk.sees("it needs 15 or more").await.types("a long sentence").key(Key::Tab);
    walk.types("a long sentence").key(Key::Enter);
    let email = "ana@example.com".parse().unwrap();
    let password = Secret::new("a long sentence");
    // That there is an Owner is told to every face, and may come before the answer.
    let (asked, answer) = walk.asked().await;
    assert_eq!(asked, Command::SignIn(SignInAsk::Init { email, password }));
    walk.engine.tell(Event::Identity(Box::new(barred().identity))).await;
    walk.engine.tell(Event::Identity(Box::new(barred().identity))).await;
    walk.key(Key::Tab).sees("step 2 of 3").await;
    answer.send(let_in("t1", Role::Owner)).unwrap();
    walk.sees("Step 3 of 3: you are the Owner").await.key(Key::Enter).sees("No session yet").await;
}

#[tokio::test]
async fn who_comes_second_with_the_first_owner_is_led_to_the_sign_in() {
    let mut walk = Walk::telling(|_| first_start(), (80, 24), true);
    walk.sees("step 1 of 3").await.types("ana@example.com").key(Key::Enter);
    walk.sees("step 2 of 3").await.types("a long sentence").key(Key::Tab);
    walk.types("a long sentence").key(Key::Enter);
    let (_, answer) = walk.asked().await;
    walk.engine.tell(Event::Identity(Box::new(barred().identity))).await;
    let late = Report::new(Kind::Denied, "there is an Owner already");
    answer.send(Err(late)).unwrap();
    walk.sees("there is an Owner already").await.sees("Sign in").await;
}

#[tokio::test]
async fn a_sign_in_that_is_over_leaves_nothing_to_see() {
    let mut walk = signed_in_walk().await;
    walk.types("o");
    let _ = walk.asked().await;
    walk.engine
        .tell(Event::SignedOut { why: "Your sign-in has ended: 30 minutes unused.".into() })
        .await;
    walk.sees("30 minutes unused").await.sees_no("orders-db").await.sees_no("28:").await;
    walk.types("ana@example.com").sees("e-mail       ana@example.com").await;
    walk.engine.tell(Event::Identity(Box::new(barred().identity))).await;
    assert_eq!(walk.engine.tokens.lock().unwrap().last(), Some(&None), "subscribed as nobody");
}

#[tokio::test]
async fn signing_out_asks_first() {
    let mut walk = signed_in_walk().await;
    walk.types(":logout").key(Key::Enter).sees("Sign out?").await;
    walk.sees("1 session goes on").await.key(Key::Right).key(Key::Enter);
    assert_eq!(walk.answers(Ok(Reply::Done)).await, Command::SignIn(SignInAsk::Logout));
    walk.sees("You signed out.").await.sees_no("● Active").await;
}

#[tokio::test]
async fn a_paste_signs_nobody_in() {
    let mut walk = walk();
    walk.sees("Sign in").await.types("ana@example.com").key(Key::Tab);
    let paste = |text: &str| Input::Msg(Msg::Paste(text.into()));
    walk.input(paste("first line\nsecond line")).sees("more than one line").await;
    walk.input(paste("one password \n")).sees_no("more than one line").await.key(Key::Enter);
    assert_eq!(walk.answers(let_in("t1", Role::Admin)).await, by_password("one password "));
}

#[tokio::test]
async fn a_one_time_code_sets_a_password_and_leads_back_to_the_sign_in() {
    let mut walk = walk();
    walk.sees("Sign in").await.types("zoe@example.com").key(Key::Ctrl('o')).sees("one-time").await;
    walk.types("5G8KQ-ZT2AB-0XNVM-4JC7D").key(Key::Enter).types("a long sentence").key(Key::Enter);
    walk.types("a long sentence").key(Key::Enter);
    let ask = SignInAsk::Redeem {
        email: "zoe@example.com".parse().unwrap(),
        code: Secret::new("5G8KQ-ZT2AB-0XNVM-4JC7D"),
        password: Secret::new("a long sentence"),
    };
    assert_eq!(walk.answers(Ok(Reply::Done)).await, Command::SignIn(ask));
    walk.sees("the password is set; sign in with it").await.sees("zoe@example.com").await;
    walk.types("a long sentence").key(Key::Enter).sees("checking...").await;
}

#[test]
fn the_time_to_wait_is_counted_down() {
    let delay = || Report::new(Kind::Denied, "too many tries").hint("try again in 4 s");
    let stage = filled_in().key(Key::Enter).answer(Err(delay()));
    assert_eq!(stage.model.wake_at(), Some(NOW + Span::from_seconds(1)));
    let typing = filled_in().key(Key::Enter).answer(Err(delay())).types("x");
    assert_eq!(typing.model.wake_at(), None, "what is no longer shown is not counted");
    let stage = stage.then(Msg::Tick(NOW + Span::from_seconds(3)));
    let screen = |model: &Model| {
        let look = crate::tui_models::LOOK;
        crate::tui_gallery::text(&crate::tui_gallery::drawn(model, (80, 24), look))
    };
    assert!(screen(&stage.model).contains("hint: try again in 0:01"));
    let stage = stage.then(Msg::Tick(NOW + Span::from_seconds(4)));
    assert!(screen(&stage.model).contains("hint: try again now\n"));
    assert_eq!(stage.model.wake_at(), None, "nothing counts any more");
}

/// An answer to a question that was given up finds nobody, whatever was asked since.
#[test]
fn an_answer_to_an_earlier_question_lets_nobody_in() {
    let stage = filled_in().key(Key::Enter);
    let Some(Effect::Call(_, first)) = stage.effects.last().cloned() else { panic!() };
    let stage = stage.key(Key::Esc).types("another one").key(Key::Enter);
    let before = stage.model.clone();
    let welcome = Ok(Reply::Me(Some(Box::new(me(Role::Owner)))));
    let stage = stage.then(Msg::Answer(first.clone(), welcome));
    assert_eq!(stage.effects.last(), Some(&Effect::GiveBack));
    let refused = Err(Report::new(Kind::Denied, "e-mail or password is wrong"));
    let stage = stage.then(Msg::Answer(first, refused));
    assert_eq!(stage.model, before);
}

#[test]
fn what_is_behind_the_sign_in_screen_cannot_be_reached_from_it() {
    let stage = Stage::attached(barred()).key(Key::Tab).key(Key::Tab);
    let stage = stage.types("1234o:rvm/").then(Msg::Click(3, 1)).then(Msg::Wheel(3));
    assert_eq!((stage.effects.as_slice(), &stage.model.dialog), ([].as_slice(), &None));
    let late = Msg::Answer(Purpose::Whoami, Ok(Reply::Me(None)));
    let out = Stage::attached(signed_in(Role::Owner))
        .types(":operators")
        .key(Key::Enter)
        .then(Msg::Events(vec![Event::SignedOut { why: "ended".into() }]));
    assert_eq!((&out.model.operators, out.model.sessions.rows.len()), (&None, 0));
    assert_eq!(out.then(late).model.me(), None);
}
