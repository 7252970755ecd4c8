//! `breakglass break-glass-users`: who may sign in by password while SSO is enforced.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::confirm::confirmed;
use super::identity_docs::ListDoc;
use super::output::{Terminal, Tone};
use super::person::{self, Stop, Wanted};
use super::table::Table;
use super::words::Times;
use super::{Context, ask, idp};
use crate::domain::break_glass_user::LISTED_MAX;
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::error::{Kind, Report};
use crate::protocol::{BreakGlassAsk, Command, EngineHandle, IdpAsk, IdpView, ListedView};

/// What to do with break-glass users.
///
/// A break-glass user is an operator who is listed for an identity provider, and may sign in by
/// password while its SSO is enforced: so that nobody is locked out when it fails. A list holds five
/// at most; two or three are wise.
#[derive(Clone, Debug, Subcommand)]
#[command(about = "List, add, remove or prove who gets in when SSO fails")]
pub enum BreakGlassUsersVerb {
    /// List the break-glass users
    ///
    /// Shows each list with roles, when each person last proved that the password works, who counts
    /// for nothing and why, and who could get in if the identity provider failed now. Needs a
    /// sign-in as Admin or Owner.
    List(ListArgs),
    /// Put operators on a list
    ///
    /// Everybody is added, or nobody: each must have an account with a password, belong to the team,
    /// and not be on the list already, and there must be room. Needs a sign-in as Admin or Owner.
    #[command(after_long_help = AFTER_CHANGE)]
    Add(ChangeArgs),
    /// Take operators off a list
    ///
    /// Everybody is removed, or nobody. Who is signed in past SSO at this moment is signed out.
    /// Where nobody who could get in would be left while SSO is enforced, the name of the identity
    /// provider has to be typed, or given with `--confirm`. Needs a sign-in as Admin or Owner.
    #[command(after_long_help = AFTER_CHANGE)]
    Remove(ChangeArgs),
    /// Prove that your password works
    ///
    /// Asks for your password and checks it as a sign-in would, so that it is known to work before
    /// it is needed; a proof is due every 90 days. Nobody is signed in by it. Only the person who is
    /// listed can do this. Without an address, the one who is signed in here is meant.
    #[command(after_long_help = "\
Examples:
  breakglass break-glass-users prove --idp entra
  breakglass break-glass-users prove --idp entra ana@example.com

Exit codes:
  0    proven
  2    the command line is wrong, or there is no terminal to ask at
  4    not proven; the audit has it
  5    the engine cannot be reached
  130, 143   Ctrl-C or SIGTERM; nothing was tried")]
    Prove(ProveArgs),
}

const AFTER_CHANGE: &str = "\
Examples:
  breakglass break-glass-users add --idp entra ana@example.com bob@example.com
  breakglass break-glass-users remove --idp entra bob@example.com

Exit codes:
  0    the list is changed
  2    an operator cannot be listed or is not on the list; nothing is changed
  4    refused: it has to be confirmed, or you are neither Admin nor Owner
  5    the engine cannot be reached
  130, 143   Ctrl-C or SIGTERM; nothing was changed";

/// Which list to show.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Identity provider whose list to show; without it, each
    #[arg(long, value_name = "ID")]
    pub idp: Option<IdpId>,
}

/// Who comes on a list, or goes.
#[derive(Clone, Debug, Args)]
pub struct ChangeArgs {
    /// Identity provider whose list it is
    #[arg(long, value_name = "ID")]
    pub idp: IdpId,
    /// E-mail addresses
    #[arg(value_name = "EMAIL", required = true)]
    pub emails: Vec<Email>,
    /// Name of the identity provider once more, where it has to be confirmed
    #[arg(long, value_name = "ID")]
    pub confirm: Option<String>,
}

/// Who proves their password.
#[derive(Clone, Debug, Args)]
pub struct ProveArgs {
    /// Identity provider whose list it is
    #[arg(long, value_name = "ID")]
    pub idp: IdpId,
    /// Your e-mail address
    #[arg(value_name = "EMAIL")]
    pub email: Option<Email>,
    /// Read the password from standard input instead of asking
    #[arg(long)]
    pub password_stdin: bool,
}

#[derive(Serialize)]
struct ProofDoc<'a> {
    idp: &'a IdpId,
    email: &'a Email,
    proven: bool,
}

pub(super) async fn run(
    verb: BreakGlassUsersVerb,
    context: &mut Context<'_>,
) -> Result<u8, Report> {
    person::end(perform(verb, context).await)
}

async fn perform(verb: BreakGlassUsersVerb, context: &mut Context<'_>) -> Result<u8, Stop> {
    let engine = context.engines.attach_or_start().await?;
    match verb {
        BreakGlassUsersVerb::List(args) => list(&engine, args.idp.as_ref(), context).await?,
        BreakGlassUsersVerb::Add(args) => change(&engine, args, true, context).await?,
        BreakGlassUsersVerb::Remove(args) => change(&engine, args, false, context).await?,
        BreakGlassUsersVerb::Prove(args) => prove(&engine, args, context).await?,
    }
    Ok(0)
}

async fn list(
    engine: &EngineHandle,
    only: Option<&IdpId>,
    context: &mut Context<'_>,
) -> Result<(), Report> {
    let mut idps = ask::idps(engine, Command::Idp(IdpAsk::List)).await?;
    let times = ask::times(engine, context.wall()).await?;
    if let Some(idp) = only {
        idps = vec![find(&idps, idp)?];
    }
    if context.out.is_json() {
        let docs: Vec<_> = idps.iter().map(|view| ListDoc::new(view, &times)).collect();
        return context.out.document("break_glass_lists", &docs);
    }
    if idps.is_empty() {
        context.out.talk("there is no identity provider, so everybody signs in by password");
        return Ok(());
    }
    let terminal = context.out.terminal();
    let pages: Vec<_> = idps.iter().map(|view| page(view, &times, terminal)).collect();
    context.out.data(&pages.join("\n"))
}

async fn change(
    engine: &EngineHandle,
    args: ChangeArgs,
    add: bool,
    context: &mut Context<'_>,
) -> Result<(), Stop> {
    let ChangeArgs { idp, emails, confirm } = args;
    let (adds, removes) = if add { (emails, vec![]) } else { (vec![], emails) };
    let command = |confirm| {
        let (idp, add, remove) = (idp.clone(), adds.clone(), removes.clone());
        Command::BreakGlass(BreakGlassAsk::Change { idp, add, remove, confirm })
    };
    let idps = confirmed(engine, confirm, command, context).await?;
    let times = ask::times(engine, context.wall()).await?;
    let view = find(&idps, &idp)?;
    if context.out.is_json() {
        return Ok(context.out.document("break_glass_list", &ListDoc::new(&view, &times))?);
    }
    let page = page(&view, &times, context.out.terminal());
    Ok(context.out.data(&page)?)
}

async fn prove(
    engine: &EngineHandle,
    args: ProveArgs,
    context: &mut Context<'_>,
) -> Result<(), Stop> {
    let email = match args.email {
        Some(email) => email,
        None => match ask::me(engine).await? {
            Some(me) => me.email,
            None => context.email(None).await?,
        },
    };
    let wanted = Wanted { what: "password", option: "--password-stdin" };
    let password = context.secret(args.password_stdin, None, false, wanted).await?;
    let idp = args.idp;
    let asked = BreakGlassAsk::Prove { idp: idp.clone(), email: email.clone(), password };
    context.until(ask::done(engine, Command::BreakGlass(asked))).await?;
    if context.out.is_json() {
        let doc = ProofDoc { idp: &idp, email: &email, proven: true };
        return Ok(context.out.document("proof", &doc)?);
    }
    let email = context.out.terminal().text(email.as_str());
    let said = format!("the password of {email} works for `{idp}`; nobody was signed in by this");
    Ok(context.out.data(&said)?)
}

fn find(idps: &[IdpView], id: &IdpId) -> Result<IdpView, Report> {
    idps.iter().find(|view| view.id == *id).cloned().ok_or_else(|| {
        Report::new(Kind::Usage, format!("there is no identity provider `{id}`"))
            .hint("breakglass idp list")
    })
}

/// One list, with what follows from it.
fn page(view: &IdpView, times: &Times, terminal: Terminal) -> String {
    let (health, tone) = idp::health(view);
    let mut lines = format!(
        "{} ({}), SSO {}, {}: break-glass users ({} of {LISTED_MAX})\n",
        view.id,
        terminal.text(&view.label),
        if view.enforced { "enforced" } else { "not enforced" },
        terminal.paint(tone, &terminal.text(&health)),
        view.listed.len()
    );
    if !view.listed.is_empty() {
        let headings = ["EMAIL", "ROLE", "LAST PROVEN", "NOTE"];
        let mut table = Table::new(terminal, &headings, &["NOTE"]);
        for listed in &view.listed {
            let (note, tone) = note(listed);
            let proven = listed.proven_at.map(|at| format!("{} ago", times.ago(at)));
            table.row([
                (listed.email.as_str(), Tone::Plain),
                (listed.role.as_str(), Tone::Plain),
                (proven.as_deref().unwrap_or("never"), Tone::Plain),
                (&note, tone),
            ]);
        }
        lines.push_str(&table.render());
    }
    if !view.forecast.is_empty() {
        lines.push_str(&format!("forecast: {}\n", terminal.text(&view.forecast)));
    }
    for warning in &view.warnings {
        let warning = terminal.text(warning);
        lines.push_str(&format!("{}: {warning}\n", terminal.paint(Tone::Odd, "warning")));
    }
    lines
}

fn note(listed: &ListedView) -> (String, Tone) {
    if let Some(stale) = listed.stale {
        return (format!("STALE, counts for nothing: {}", stale.as_str()), Tone::Alarm);
    }
    let due = listed.proof_due.then(|| "proof due".to_owned());
    let notes: Vec<_> = due.into_iter().chain(listed.warning.clone()).collect();
    let tone = if notes.is_empty() { Tone::Plain } else { Tone::Odd };
    (notes.join("; "), tone)
}
