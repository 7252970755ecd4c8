//! `breakglass init`: the first Owner.

use clap::Args;

use super::person::{self, Stop, Wanted};
use super::{Context, ask, login};
use crate::domain::email::Email;
use crate::error::{Kind, Report};
use crate::protocol::SignInAsk;

/// Make the first Owner of this installation
///
/// Makes the account of the first Owner, and signs them in at this terminal. The password is asked
/// for twice and not shown; it is never an argument. It has 15 characters or more and no other
/// rule, but common words and what can be guessed from the address are refused.
///
/// Until an Owner exists, nothing opens. Once there is one, this verb is refused: an Owner invites
/// everybody else, with `breakglass operators invite`.
///
/// In *personal* mode engine and state belong to your UNIX user: signing in records who acts, and
/// cannot bar somebody who owns the files. In *system* mode the engine has a UNIX user of its own,
/// and signing in bars.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  breakglass init --email ana@example.com
  pass show breakglass | breakglass init --email ana@example.com --password-stdin

Exit codes:
  0    the Owner is made and signed in
  2    the address or the password will not do
  4    there is an Owner already
  5    the engine cannot be reached
  130, 143   Ctrl-C or SIGTERM; nothing was made")]
pub struct InitArgs {
    /// E-mail address of the Owner
    #[arg(long, value_name = "EMAIL")]
    pub email: Email,
    /// Read the password from standard input instead of asking
    #[arg(long)]
    pub password_stdin: bool,
}

pub(super) async fn run(args: InitArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    person::end(init(args, context).await)
}

async fn init(args: InitArgs, context: &mut Context<'_>) -> Result<u8, Stop> {
    let engine = context.engines.attach_or_start().await?;
    let identity = ask::identity(&engine).await?;
    if identity.owner_exists {
        return Err(Report::new(Kind::Denied, "there is an Owner already")
            .hint("breakglass login")
            .into());
    }
    let wanted = Wanted { what: "password", option: "--password-stdin" };
    let password = context.secret(args.password_stdin, None, true, wanted).await?;
    let made = SignInAsk::Init { email: args.email, password };
    let (token, me) = context.until(ask::sign_in(&engine, made)).await?;
    context.out.talk(identity.mode.meaning());
    login::keep(&engine, &token, &me, context).await
}
