//! `breakglass init`, `login`, `logout` and `whoami`, as an operator sees them.

use breakglass::cli::output::Terminal;
use breakglass::cli::signals::Caught;
use breakglass::domain::secret::Secret;
use breakglass::domain::sign_in::{SignInMethod, Token};
use breakglass::domain::time::Span;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Command, IdentityView, Reply, SignInAsk, SignedInView, SsoPromptView};

use crate::cli_people::{ana, identity, signed_in, token};
use crate::cli_support::{Cli, NOW, Ran, World, engine, usual};

const PASSWORD: &str = "correct horse battery";

/// An engine that lets everybody in.
fn lets_in() -> Cli {
    engine(|world: &mut World, command| match command {
        Command::SignIn(SignInAsk::Init { .. } | SignInAsk::Password { .. }) => Ok(signed_in()),
        Command::SignIn(SignInAsk::FinishSso { attempt: 7 }) => Ok(signed_in()),
        Command::SignIn(SignInAsk::BeginSso { .. }) => Ok(Reply::SsoPrompt(prompt())),
        Command::SignIn(SignInAsk::Logout) => Ok(Reply::Done),
        other => world.usual(other),
    })
    .world(|world| world.identity = IdentityView { me: None, ..identity() })
}

fn prompt() -> SsoPromptView {
    SsoPromptView {
        attempt: 7,
        user_code: "ABCD-EFGH".into(),
        verification_uri: "https://login.example.com/device".into(),
        verification_uri_complete: None,
        expires_at: NOW + Span::from_minutes(15),
    }
}

fn fresh() -> Cli {
    lets_in().world(|world| world.identity.owner_exists = false)
}

/// Neither a password nor a token is ever seen.
fn assert_nothing_told(ran: &Ran) {
    let printed = ran.stdout() + &ran.stderr();
    for secret in [PASSWORD, token().expose(), "abababab"] {
        assert!(!printed.contains(secret), "{ran}");
    }
}

#[tokio::test]
async fn the_first_owner_is_made_and_told_what_the_mode_means() {
    let line = ["init", "--email", "Ana@Example.com"];
    let ran = fresh().typing([PASSWORD, PASSWORD]).run(&line).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    ask| Password: *********************
    ask| The same again: *********************
    err| personal mode: signing in records who acts; it cannot bar who owns this account's files
    out| ana@example.com (Owner), signed in by password; it ends at 2025-11-20 16:40:00 UTC unless it is used
    ");
    let email = "ana@example.com".parse().unwrap();
    let made = SignInAsk::Init { email, password: Secret::new(PASSWORD) };
    assert_eq!(ran.heard[0], Command::SignIn(made));
    assert_eq!(ran.kept, vec![Some(token())]);
    assert_nothing_told(&ran);
    let piped = [&line[..], &["--password-stdin", "--json"]].concat();
    let ran = fresh().piping(format!("{PASSWORD}\n")).run(&piped).await;
    insta::assert_snapshot!(ran, @r#"
    exit 0
    out| {"version":1,"sign_in":{"account":"019aa207-9fc0-7101-8101-010101010101","email":"ana@example.com","role":"owner","method":"password","idps":[],"started_at":"2025-11-20T16:10:00.000Z","ends_at":"2025-11-20T16:40:00.000Z"}}
    "#);
    assert_nothing_told(&ran);
}

#[tokio::test]
async fn a_second_first_owner_is_refused_before_anybody_types() {
    let ran = lets_in().typing([]).run(&["init", "--email", "ana@example.com"]).await;
    insta::assert_snapshot!(ran, @"
    exit 4
    err| denied: there is an Owner already
    err|   hint: breakglass login
    ");
    assert_eq!(ran.heard, vec![]);
}

#[tokio::test]
async fn two_passwords_that_differ_make_nobody() {
    let line = ["init", "--email", "ana@example.com"];
    let ran = fresh().typing([PASSWORD, "correct hose battery"]).run(&line).await;
    insta::assert_snapshot!(ran, @"
    exit 2
    ask| Password: *********************
    ask| The same again: ********************
    err| usage: the two are not the same; no password was taken
    ");
    assert_eq!(ran.heard, vec![]);
    let left = fresh().typing([PASSWORD, "^C"]).run(&line).await;
    assert_eq!((left.code, left.heard), (130, vec![]));
}

#[tokio::test]
async fn login_asks_for_what_is_not_given() {
    let ran = lets_in().typing(["ana@example.com", PASSWORD]).run(&["login"]).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    ask| E-mail: ana@example.com
    ask| Password: *********************
    out| ana@example.com (Owner), signed in by password; it ends at 2025-11-20 16:40:00 UTC unless it is used
    ");
    assert_eq!(ran.kept, vec![Some(token())]);
    assert_nothing_told(&ran);
    let line = ["login", "--email", "ana@example.com", "--password-stdin", "--json"];
    let ran = lets_in().piping(PASSWORD).run(&line).await;
    insta::assert_snapshot!(ran, @r#"
    exit 0
    out| {"version":1,"sign_in":{"account":"019aa207-9fc0-7101-8101-010101010101","email":"ana@example.com","role":"owner","method":"password","idps":[],"started_at":"2025-11-20T16:10:00.000Z","ends_at":"2025-11-20T16:40:00.000Z"}}
    "#);
    assert_nothing_told(&ran);
}

#[tokio::test]
async fn a_password_that_cannot_be_had_is_exit_2() {
    insta::assert_snapshot!(lets_in().run(&["login"]).await, @"
    exit 2
    err| usage: there is no terminal to ask at
    err|   hint: give --email; `--help` says how
    ");
    let line = ["login", "--email", "ana@example.com", "--password-stdin"];
    insta::assert_snapshot!(lets_in().typing([]).run(&line).await, @"
    exit 2
    err| usage: standard input is a terminal, which would show what is typed
    err|   hint: leave `--password-stdin` out, and you are asked
    ");
    insta::assert_snapshot!(lets_in().piping("").run(&line).await, @"
    exit 2
    err| usage: the password is empty
    ");
    insta::assert_snapshot!(lets_in().piping("a\nb\n").run(&line).await, @"
    exit 2
    err| usage: the password has more than one line
    ");
    insta::assert_snapshot!(lets_in().piping(vec![b'x'; 9_000]).run(&line).await, @"
    exit 2
    err| usage: the password is longer than 4 KiB
    ");
    insta::assert_snapshot!(lets_in().typing([""]).run(&line[..3]).await, @"
    exit 2
    ask| Password:
    err| usage: the password is empty
    ");
    insta::assert_snapshot!(lets_in().typing(["ana"]).run(&["login"]).await, @"
    exit 2
    ask| E-mail: ana
    err| usage: `ana` is no e-mail address; one looks like `ana@example.com`
    ");
}

#[tokio::test]
async fn a_refusal_is_the_engines_and_keeps_nothing() {
    let refuses = engine(|_: &mut World, _| {
        Err(Report::new(Kind::Denied, "the address or the password is not right"))
    });
    let ran = refuses.typing([PASSWORD]).run(&["login", "--email", "ana@example.com"]).await;
    insta::assert_snapshot!(ran, @"
    exit 4
    ask| Password: *********************
    err| denied: the address or the password is not right
    ");
    assert_eq!(ran.kept, vec![]);
    assert_nothing_told(&ran);
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_kept_is_ended() {
    let line = ["login", "--email", "ana@example.com"];
    let ran = lets_in().keeping_nothing().typing([PASSWORD]).run(&line).await;
    insta::assert_snapshot!(ran, @"
    exit 5
    ask| Password: *********************
    err| unavailable: cannot keep the sign-in
    ");
    assert_eq!(ran.heard.last(), Some(&Command::SignIn(SignInAsk::Logout)));
    assert_eq!(ran.tokens.last(), Some(&Some(token())));
}

#[tokio::test]
async fn a_new_sign_in_ends_the_one_whose_place_it_takes() {
    let before = Token::from_random([1; 32]);
    let line = ["login", "--email", "ana@example.com"];
    let ran = lets_in().holding(before.clone()).typing([PASSWORD]).run(&line).await;
    assert_eq!((ran.code, ran.kept), (0, vec![Some(token())]));
    let ended = ran.heard.iter().position(|it| *it == Command::SignIn(SignInAsk::Logout)).unwrap();
    assert_eq!(ran.tokens[ended], Some(before));
    assert_eq!(ran.tokens.last(), Some(&Some(token())));
}

#[tokio::test]
async fn a_break_glass_sign_in_says_so() {
    let past = || {
        let idps = vec!["entra".parse().unwrap(), "okta".parse().unwrap()];
        SignedInView { method: SignInMethod::BreakGlass(idps), ..ana() }
    };
    let known = || {
        usual().world(move |world| {
            world.identity = IdentityView { me: Some(past()), ..identity() };
        })
    };
    insta::assert_snapshot!(known().run(&["whoami"]).await, @"
    exit 0
    out| ana@example.com (Owner), signed in as a BREAK-GLASS USER past the enforced SSO of entra, okta; it ends at 2025-11-20 16:40:00 UTC unless it is used
    ");
    insta::assert_snapshot!(known().run(&["whoami", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"sign_in":{"account":"019aa207-9fc0-7101-8101-010101010101","email":"ana@example.com","role":"owner","method":"break-glass","idps":["entra","okta"],"started_at":"2025-11-20T16:10:00.000Z","ends_at":"2025-11-20T16:40:00.000Z"}}
    "#);
}

#[tokio::test]
async fn single_sign_on_shows_a_code_and_waits() {
    let ran = lets_in().run(&["login", "--sso", "entra"]).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    err| open  https://login.example.com/device
    err| code  ABCD-EFGH
    err| waiting until 2025-11-20 16:25:00 UTC; Ctrl-C gives up
    out| ana@example.com (Owner), signed in by password; it ends at 2025-11-20 16:40:00 UTC unless it is used
    ");
    assert_eq!(ran.kept, vec![Some(token())]);
    insta::assert_snapshot!(lets_in().run(&["login", "--sso", "entra", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"sso_prompt":{"idp":"entra","user_code":"ABCD-EFGH","verification_uri":"https://login.example.com/device","verification_uri_complete":null,"expires_at":"2025-11-20T16:25:00.000Z"}}
    out| {"version":1,"sign_in":{"account":"019aa207-9fc0-7101-8101-010101010101","email":"ana@example.com","role":"owner","method":"password","idps":[],"started_at":"2025-11-20T16:10:00.000Z","ends_at":"2025-11-20T16:40:00.000Z"}}
    "#);
}

#[tokio::test]
async fn a_terminal_gets_a_qr_code_and_a_countdown() {
    let terminal = Terminal { live: true, unicode: true, ..Terminal::default() };
    // Nobody finishes at the identity provider.
    let waits = engine(|world: &mut World, command| match command {
        Command::SignIn(SignInAsk::BeginSso { .. }) => Ok(Reply::SsoPrompt(prompt())),
        other => world.usual(other),
    });
    let ran = waits
        .mute_at(|command| matches!(command, Command::SignIn(SignInAsk::FinishSso { .. })))
        .terminal(terminal)
        .on("15m left; Ctrl-C gives up", Caught::Interrupt)
        .run(&["login", "--sso", "entra"])
        .await;
    assert_eq!((ran.code, ran.kept.len()), (130, 0));
    insta::assert_snapshot!(ran.stderr().replace('\r', "<CR>").replace('\u{1b}', "<ESC>"), @"
    open  https://login.example.com/device
    code  ABCD-EFGH
    █████████████████████████████████
    █████████████████████████████████
    ████ ▄▄▄▄▄ █ ▄█▄▀▀▄▄ █ ▄▄▄▄▄ ████
    ████ █   █ █ ▄█▀ ▀   █ █   █ ████
    ████ █▄▄▄█ █▀▀█▄█ ▀▄▄█ █▄▄▄█ ████
    ████▄▄▄▄▄▄▄█▄▀▄▀ █▄▀ █▄▄▄▄▄▄▄████
    ████▄ ▀▀ ▄▄█▀▄▄▀▄█▀  ██▄▀ ▄ ▄████
    ████▀██▄██▄█▄ █ ▀█▄ ██ ▀▀▄ ▀█████
    ████ ▀ ▄█▄▄ ▄▀█▀▄▀▀▀▀▄▄▄▀▄▄ ▄████
    ██████ █▄█▄▄▀ █▄ █ ▄▄█▀  ▄ ▀█████
    ████▄▄▄▄▄█▄▄▀█   █ ▄ ▄▄▄ ▄▄██████
    ████ ▄▄▄▄▄ █▀▀█  ▄▄▀ █▄█ ▀▀▀█████
    ████ █   █ █▄█▄ ▄▀▀█    ▄▄ █▄████
    ████ █▄▄▄█ █▀█▀▄ ▄▀▀█  ▀▀ ▀ █████
    ████▄▄▄▄▄▄▄█▄▄█▄▄██▄█▄▄███▄▄▄████
    █████████████████████████████████
    ▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀▀
    <CR><ESC>[K15m left; Ctrl-C gives up<CR><ESC>[Kgiven up; nobody was signed in
    ");
}

#[tokio::test]
async fn logout_forgets_even_where_no_engine_runs() {
    let ran = lets_in().run(&["logout"]).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    err| signed out at this terminal; sessions go on
    ");
    assert_eq!((ran.kept, ran.heard), (vec![None], vec![Command::SignIn(SignInAsk::Logout)]));
    let ran = lets_in().without_engine().run(&["logout", "--json"]).await;
    insta::assert_snapshot!(ran, @r#"
    exit 0
    out| {"version":1,"sign_in":null}
    "#);
    assert_eq!((ran.kept, ran.heard), (vec![None], vec![]));
}

#[tokio::test]
async fn nobody_signed_in_is_an_answer() {
    let nobody = || lets_in();
    insta::assert_snapshot!(nobody().run(&["whoami"]).await, @"
    exit 0
    err| nobody is signed in at this terminal: breakglass login
    ");
    insta::assert_snapshot!(nobody().run(&["whoami", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"sign_in":null}
    "#);
}
