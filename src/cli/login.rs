//! `breakglass login`, `logout` and `whoami`: one operator's time at one terminal.

use clap::Args;

use super::identity_docs::SignInDoc;
use super::output::Terminal;
use super::person::{self, Stop, Wanted};
use super::words::Times;
use super::{Context, ask, sso};
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::sign_in::{SignInMethod, Token};
use crate::error::{Kind, Report};
use crate::protocol::{Command, EngineHandle, SignInAsk, SignedInView};

/// Sign in at this terminal
///
/// Asks for what is not given: the address, then the password, which is not shown. With `--sso`,
/// shows a code and where to type it, in a browser anywhere, and waits until that is done, the code
/// is too old, or Ctrl-C. A QR code of the address is drawn where the terminal can show one.
///
/// A sign-in holds for this UNIX user at this terminal until the host starts anew, for 8 hours, or
/// 30 minutes unused. It is kept in a file that only you may read, and is never printed. It takes
/// the place of an earlier one.
///
/// Where single sign-on is enforced, a password lets in only who is listed as a break-glass user of
/// that identity provider; the audit tells so. After wrong passwords the next try has to wait,
/// longer each time.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
With --json, --sso prints JSON Lines: first `sso_prompt`, with code and address, then `sign_in`.

Examples:
  breakglass login
  breakglass login --email ana@example.com
  breakglass login --sso entra
  pass show breakglass | breakglass login --email ana@example.com --password-stdin

Exit codes:
  0    signed in
  2    the command line is wrong, or there is no terminal to ask at
  4    not let in; the reason is given as far as it may be told
  5    the identity provider or the engine cannot be reached
  130, 143   Ctrl-C or SIGTERM; nobody was signed in")]
pub struct LoginArgs {
    /// E-mail address
    #[arg(long, value_name = "EMAIL")]
    pub email: Option<Email>,
    /// Read the password from standard input instead of asking
    #[arg(long, requires = "email")]
    pub password_stdin: bool,
    /// Identity provider at which to sign on instead of by password
    #[arg(long, value_name = "IDP", conflicts_with_all = ["email", "password_stdin"])]
    pub sso: Option<IdpId>,
}

/// End the sign-in at this terminal
///
/// Sessions go on. That nobody was signed in is no error.
#[derive(Clone, Debug, Args)]
pub struct LogoutArgs {}

/// Show who is signed in at this terminal
///
/// Shows the address, the role, how and until when. That nobody is signed in is no error; with
/// `--json`, `sign_in` is then null.
#[derive(Clone, Debug, Args)]
pub struct WhoamiArgs {}

pub(super) async fn login(args: LoginArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    let signed_in = match args.sso {
        Some(idp) => sso::run(&idp, context).await,
        None => by_password(args.email, args.password_stdin, context).await,
    };
    person::end(signed_in)
}

async fn by_password(
    email: Option<Email>,
    piped: bool,
    context: &mut Context<'_>,
) -> Result<u8, Stop> {
    let engine = context.engines.attach_or_start().await?;
    let email = context.email(email).await?;
    let wanted = Wanted { what: "password", option: "--password-stdin" };
    let password = context.secret(piped, None, false, wanted).await?;
    let asked = SignInAsk::Password { email, password };
    let (token, me) = context.until(ask::sign_in(&engine, asked)).await?;
    keep(&engine, &token, &me, context).await
}

/// Keeps a new sign-in for the verbs that follow, and says whose it is.
///
/// One that cannot be kept is ended, and so is the one whose place it takes: nobody could use it, or
/// end it.
pub(super) async fn keep(
    engine: &EngineHandle,
    token: &Token,
    me: &SignedInView,
    context: &mut Context<'_>,
) -> Result<u8, Stop> {
    let before = engine.token().filter(|before| *before != token).map(|_| engine.clone());
    let engine = engine.signed_in(Some(token.clone()));
    let kept = context.sign_in.keep(token);
    let unused = if kept.is_ok() { before } else { Some(engine.clone()) };
    if let Some(unused) = unused {
        // What cannot be ended ends by itself, unused.
        ask::done(&unused, Command::SignIn(SignInAsk::Logout)).await.ok();
    }
    kept?;
    let times = ask::times(&engine, context.wall()).await?;
    print(Some(me), &times, context)?;
    Ok(0)
}

pub(super) async fn logout(context: &mut Context<'_>) -> Result<u8, Report> {
    // Without an engine there is nobody to tell; the next one finds the sign-in unused.
    let engine = context.engines.attach().await;
    context.sign_in.forget();
    if let Some(engine) = engine? {
        match ask::done(&engine, Command::SignIn(SignInAsk::Logout)).await {
            Err(report) if report.kind != Kind::Denied => return Err(report),
            _ => {}
        }
    }
    context.out.talk("signed out at this terminal; sessions go on");
    if context.out.is_json() {
        context.out.document("sign_in", &None::<SignInDoc<'_>>)?;
    }
    Ok(0)
}

pub(super) async fn whoami(context: &mut Context<'_>) -> Result<u8, Report> {
    let engine = context.engines.attach_or_start().await?;
    let me = ask::me(&engine).await?;
    let times = ask::times(&engine, context.wall()).await?;
    print(me.as_ref(), &times, context)?;
    Ok(0)
}

fn print(
    me: Option<&SignedInView>,
    times: &Times,
    context: &mut Context<'_>,
) -> Result<(), Report> {
    if context.out.is_json() {
        return context.out.document("sign_in", &me.map(|me| SignInDoc::new(me, times)));
    }
    match me {
        Some(me) => {
            let line = line(me, times, context.out.terminal());
            context.out.data(&line)?;
        }
        None => context.out.talk("nobody is signed in at this terminal: breakglass login"),
    }
    Ok(())
}

/// Who is signed in, how and until when, in one line.
fn line(me: &SignedInView, times: &Times, terminal: Terminal) -> String {
    format!("{}; it ends at {} unless it is used", who(me, terminal), times.people(me.ends_at))
}

/// Who is signed in, and how.
pub(super) fn who(me: &SignedInView, terminal: Terminal) -> String {
    let how = match &me.method {
        SignInMethod::Password => "by password".to_owned(),
        SignInMethod::Sso(idp) => format!("by single sign-on at {idp}"),
        SignInMethod::BreakGlass(idps) => {
            let idps: Vec<_> = idps.iter().map(ToString::to_string).collect();
            format!("as a BREAK-GLASS USER past the enforced SSO of {}", idps.join(", "))
        }
    };
    format!("{} ({}), signed in {how}", terminal.text(me.email.as_str()), me.role)
}
