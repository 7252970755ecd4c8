//! `breakglass password set`, as an operator sees it.

use breakglass::domain::secret::Secret;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Command, Reply, SignInAsk};

use crate::cli_support::{Cli, World, engine};

const OLD: &str = "an old and long password";
const NEW: &str = "a new and longer password";

fn obeys() -> Cli {
    engine(|world: &mut World, command| match command {
        Command::SignIn(SignInAsk::SetPassword { .. } | SignInAsk::Redeem { .. }) => {
            Ok(Reply::Done)
        }
        other => world.usual(other),
    })
}

fn set(current: Option<&str>) -> Vec<Command> {
    let ask = SignInAsk::SetPassword { current: current.map(Secret::new), new: Secret::new(NEW) };
    vec![Command::SignIn(ask)]
}

fn redeemed() -> Vec<Command> {
    let (email, code) = ("bob@example.com".parse().unwrap(), Secret::new("K7Q2-M4XW"));
    vec![Command::SignIn(SignInAsk::Redeem { email, code, password: Secret::new(NEW) })]
}

#[tokio::test]
async fn ones_own_password_is_asked_for_and_never_shown() {
    let ran = obeys().typing([OLD, NEW, NEW]).run(&["password", "set"]).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    ask| Current password (Enter where none is set): ************************
    ask| New password: *************************
    ask| The same again: *************************
    err| the password is set
    ");
    assert_eq!(ran.heard, set(Some(OLD)));
    let ran = obeys().typing(["", NEW, NEW]).run(&["password", "set", "--json"]).await;
    insta::assert_snapshot!(ran, @r#"
    exit 0
    ask| Current password (Enter where none is set):
    ask| New password: *************************
    ask| The same again: *************************
    out| {"version":1,"password":{"email":null,"set":true}}
    "#);
    assert_eq!(ran.heard, set(None));
}

#[tokio::test]
async fn a_script_pipes_both_a_line_each() {
    let line = ["password", "set", "--password-stdin"];
    assert_eq!(obeys().piping(format!("{OLD}\n{NEW}\n")).run(&line).await.heard, set(Some(OLD)));
    assert_eq!(obeys().piping(format!("\r\n{NEW}\r\n")).run(&line).await.heard, set(None));
    insta::assert_snapshot!(obeys().piping(format!("{NEW}\n")).run(&line[..2]).await, @"
    exit 2
    err| usage: there is no terminal to ask at
    err|   hint: give --password-stdin; `--help` says how
    ");
    insta::assert_snapshot!(obeys().piping(NEW).run(&line).await, @"
    exit 2
    err| usage: standard input has one line; the password that is set stands on the first, the new password on the second
    ");
    insta::assert_snapshot!(obeys().piping(format!("{OLD}\n\n")).run(&line).await, @"
    exit 2
    err| usage: the new password is empty
    ");
}

#[tokio::test]
async fn a_one_time_code_takes_the_place_of_a_password() {
    let line = ["password", "set", "--email", "bob@example.com"];
    let ran = obeys().typing([" K7Q2-M4XW ", NEW, NEW]).run(&line).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    ask| One-time code: ***********
    ask| New password: *************************
    ask| The same again: *************************
    err| the password of bob@example.com is set; sign in: breakglass login
    ");
    assert_eq!(ran.heard, redeemed());
    let asked = obeys().typing(["bob@example.com", "K7Q2-M4XW", NEW, NEW]);
    assert_eq!(asked.run(&["password", "set", "--code"]).await.heard, redeemed());
    let piped = [&line[..], &["--code-stdin", "--json"]].concat();
    let ran = obeys().piping(format!("K7Q2-M4XW\n{NEW}\n")).run(&piped).await;
    insta::assert_snapshot!(ran, @r#"
    exit 0
    out| {"version":1,"password":{"email":"bob@example.com","set":true}}
    "#);
    assert_eq!(ran.heard, redeemed());
}

#[tokio::test]
async fn a_code_and_a_password_are_not_both_used() {
    insta::assert_snapshot!(obeys().run(&["password", "set", "--code-stdin"]).await, @"
    exit 2
    err| usage: the following required arguments were not provided: --email <EMAIL>
    err|   hint: breakglass password set --help
    ");
    let line = ["password", "set", "--password-stdin", "--email", "bob@example.com"];
    insta::assert_snapshot!(obeys().run(&line).await, @"
    exit 2
    err| usage: the argument '--password-stdin' cannot be used with '--email <EMAIL>'
    err|   hint: breakglass password set --help
    ");
}

#[tokio::test]
async fn a_password_that_will_not_do_is_the_engines_to_refuse() {
    let refuses = engine(|_: &mut World, _| {
        Err(Report::new(Kind::Usage, "the password has 8 characters; at least 15 are needed"))
    });
    let ran = refuses.typing([OLD, "password", "password"]).run(&["password", "set"]).await;
    insta::assert_snapshot!(ran, @"
    exit 2
    ask| Current password (Enter where none is set): ************************
    ask| New password: ********
    ask| The same again: ********
    err| usage: the password has 8 characters; at least 15 are needed
    ");
}
