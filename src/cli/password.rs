//! `breakglass password set`: one's own password, and nobody else's.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::person::{self, Stop, Wanted};
use super::{Context, ask};
use crate::domain::email::Email;
use crate::domain::secret::Secret;
use crate::error::Report;
use crate::protocol::{Command, SignInAsk};

/// What to do with one's password.
#[derive(Clone, Debug, Subcommand)]
#[command(about = "Set your own password")]
pub enum PasswordVerb {
    /// Set your own password
    ///
    /// Asks for the password that is set and twice for the new one; nothing of it is shown, and
    /// nothing is ever an argument. Who has none yet, having signed on by SSO only, presses Enter at
    /// the first question.
    ///
    /// With `--email` or `--code`, nobody need be signed in: a one-time code of an invitation or a
    /// reset takes the place of the password that is set. It works once. It signs nobody in.
    ///
    /// A password has 15 characters or more and no other rule, but common words and what can be
    /// guessed from the address are refused, with the reason.
    #[command(after_long_help = "\
Examples:
  breakglass password set                             change the password you have
  breakglass password set --email bob@example.com     with a code; both are asked for
  printf '%s\\n' \"$code\" \"$new\" | breakglass password set --email bob@example.com --code-stdin

Exit codes:
  0    the password is set
  2    the command line is wrong, or the new password will not do
  4    the code or the password that is set is not right, or nobody is signed in
  5    the engine cannot be reached
  130, 143   Ctrl-C or SIGTERM; nothing was changed")]
    Set(SetArgs),
}

/// How to set a password.
#[derive(Clone, Debug, Args)]
pub struct SetArgs {
    /// E-mail address that the one-time code was made for
    #[arg(long, value_name = "EMAIL")]
    pub email: Option<Email>,
    /// Use a one-time code; it is asked for
    #[arg(long)]
    pub code: bool,
    /// Read the one-time code from the first line of standard input, the password from the second
    #[arg(long, requires = "email", conflicts_with = "code")]
    pub code_stdin: bool,
    /// Read the password that is set from the first line of standard input, the new one from the
    /// second
    ///
    /// The first line is empty where no password is set.
    #[arg(long, conflicts_with_all = ["email", "code", "code_stdin"])]
    pub password_stdin: bool,
}

#[derive(Serialize)]
struct PasswordDoc<'a> {
    email: Option<&'a Email>,
    set: bool,
}

pub(super) async fn run(verb: PasswordVerb, context: &mut Context<'_>) -> Result<u8, Report> {
    let PasswordVerb::Set(args) = verb;
    let set = if args.email.is_some() || args.code {
        redeem(args, context).await
    } else {
        change(args.password_stdin, context).await
    };
    person::end(set)
}

async fn change(piped: bool, context: &mut Context<'_>) -> Result<u8, Stop> {
    let engine = context.engines.attach_or_start().await?;
    let (current, new) = if piped {
        let wanted = Wanted { what: "new password", option: "--password-stdin" };
        let (current, new) = context.piped_two("password that is set", wanted).await?;
        (Some(current).filter(|current| !current.is_empty()), new)
    } else {
        let prompt = "Current password (Enter where none is set)";
        let current = context.asked_secret_if_any(prompt, "--password-stdin").await?;
        (current, asked_new("--password-stdin", context).await?)
    };
    let asked = Command::SignIn(SignInAsk::SetPassword { current, new });
    context.until(ask::done(&engine, asked)).await?;
    context.out.talk("the password is set");
    print(None, context)
}

async fn redeem(args: SetArgs, context: &mut Context<'_>) -> Result<u8, Stop> {
    let engine = context.engines.attach_or_start().await?;
    let email = context.email(args.email).await?;
    let (code, password) = if args.code_stdin {
        let wanted = Wanted { what: "new password", option: "--code-stdin" };
        context.piped_two("one-time code", wanted).await?
    } else {
        let wanted = Wanted { what: "one-time code", option: "--email and --code-stdin" };
        let code = context.asked_secret(wanted).await?;
        (code, asked_new("--code-stdin", context).await?)
    };
    let code = Secret::new(code.expose().trim());
    let asked = Command::SignIn(SignInAsk::Redeem { email: email.clone(), code, password });
    context.until(ask::done(&engine, asked)).await?;
    context.out.talk(&format!("the password of {email} is set; sign in: breakglass login"));
    print(Some(&email), context)
}

async fn asked_new(option: &str, context: &mut Context<'_>) -> Result<Secret, Stop> {
    context.asked_twice(Wanted { what: "new password", option }).await
}

fn print(email: Option<&Email>, context: &mut Context<'_>) -> Result<u8, Stop> {
    if context.out.is_json() {
        context.out.document("password", &PasswordDoc { email, set: true })?;
    }
    Ok(0)
}
