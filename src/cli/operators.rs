//! `breakglass operators`: who belongs to the team, and as what.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::identity_docs::OperatorDoc;
use super::output::{Terminal, Tone};
use super::table::Table;
use super::words::Times;
use super::{Context, ask};
use crate::domain::email::Email;
use crate::domain::role::Role;
use crate::domain::text;
use crate::error::Report;
use crate::protocol::{Command, EngineHandle, OperatorView, OperatorsAsk};

/// What to do with operators.
///
/// An operator is somebody with an account: an Owner, an Admin or a Member. All of this needs a
/// sign-in; Admins may list, and Owners may do the rest.
#[derive(Clone, Debug, Subcommand)]
#[command(about = "List, invite or remove operators, or give them roles")]
pub enum OperatorsVerb {
    /// List the operators
    ///
    /// Lists those of the team by address, with role, password, and the break-glass lists they are
    /// on. An address that mixes look-alike letters of several scripts is marked.
    #[command(after_long_help = "\
Examples:
  breakglass operators list
  breakglass operators list --filter owner
  breakglass operators list --all --json | jq -r '.operators[] | select(.member | not).email'")]
    List(ListArgs),
    /// Take somebody into the team
    ///
    /// Makes an account, or takes a former operator back, and prints a one-time code that works
    /// once within 24 hours. The code is shown only here: give it to them in person or by a channel
    /// that you trust, and they set their own password with it. Who signs on by SSO needs no code.
    #[command(after_long_help = "\
Standard output has the code alone; what to do with it is told on standard error.

Examples:
  breakglass operators invite bob@example.com --role member
  breakglass operators invite bob@example.com --role admin --json | jq -r .code.code

Exit codes:
  0  invited
  2  the address or the role will not do
  4  you are not an Owner, or nobody is signed in
  5  the engine cannot be reached")]
    Invite(InviteArgs),
    /// Remove somebody from the team
    ///
    /// Their sign-ins end at once, and so do their sessions; password, SSO binding and codes are
    /// taken back. The account stays in the audit. The last Owner cannot be removed, and who is the
    /// last that could get in while an enforced identity provider fails only with `--confirm`.
    #[command(after_long_help = EXIT_CODES)]
    Remove(RemoveArgs),
    /// Give somebody another role
    ///
    /// Where it is a lesser one, their sign-ins end at once, and so do their sessions. The last
    /// Owner keeps the role.
    #[command(after_long_help = EXIT_CODES)]
    Role(RoleArgs),
    /// Let somebody set their password anew
    ///
    /// Prints a one-time code that works once within 24 hours, as an invitation does. Nobody else
    /// can set an operator's password, an Owner neither.
    #[command(after_long_help = EXIT_CODES)]
    Reset(OperatorArg),
}

const EXIT_CODES: &str = "\
Examples:
  breakglass operators role bob@example.com admin
  breakglass operators reset bob@example.com
  breakglass operators remove bob@example.com

Exit codes:
  0  done
  2  the address or the role will not do
  4  you are not an Owner, nobody is signed in, or it is the last Owner
  5  the engine cannot be reached";

/// Which operators to list.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Text that the address or the role must hold
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Include those who have left the team
    #[arg(long)]
    pub all: bool,
}

/// Whom to invite.
#[derive(Clone, Debug, Args)]
pub struct InviteArgs {
    /// E-mail address
    #[arg(value_name = "EMAIL")]
    pub email: Email,
    /// What they may do: owner, admin or member
    #[arg(long, value_name = "ROLE")]
    pub role: Role,
}

/// Names an operator.
#[derive(Clone, Debug, Args)]
pub struct OperatorArg {
    /// E-mail address
    #[arg(value_name = "EMAIL")]
    pub email: Email,
}

/// Names an operator who is to be removed.
#[derive(Clone, Debug, Args)]
pub struct RemoveArgs {
    /// E-mail address
    #[arg(value_name = "EMAIL")]
    pub email: Email,
    /// E-mail address once more, where it has to be confirmed
    #[arg(long, value_name = "EMAIL")]
    pub confirm: Option<String>,
}

/// Names an operator and a role.
#[derive(Clone, Debug, Args)]
pub struct RoleArgs {
    /// E-mail address
    #[arg(value_name = "EMAIL")]
    pub email: Email,
    /// What they may do: owner, admin or member
    #[arg(value_name = "ROLE")]
    pub role: Role,
}

#[derive(Serialize)]
struct CodeDoc<'a> {
    email: &'a Email,
    code: &'a str,
    expires_at: String,
    command: String,
}

/// What a change has come to.
#[derive(Serialize)]
struct ChangedDoc<'a> {
    email: &'a Email,
    member: bool,
    role: Option<Role>,
}

pub(super) async fn run(verb: OperatorsVerb, context: &mut Context<'_>) -> Result<u8, Report> {
    let engine = context.engines.attach_or_start().await?;
    match verb {
        OperatorsVerb::List(args) => list(&engine, &args, context).await?,
        OperatorsVerb::Invite(InviteArgs { email, role }) => {
            code(&engine, OperatorsAsk::Invite { email, role }, context).await?;
        }
        OperatorsVerb::Reset(OperatorArg { email }) => {
            code(&engine, OperatorsAsk::Reset { email }, context).await?;
        }
        OperatorsVerb::Remove(RemoveArgs { email, confirm }) => {
            let ask = OperatorsAsk::Remove { email: email.clone(), confirm };
            ask::done(&engine, Command::Operators(ask)).await?;
            let said = format!("{email} is removed; their sign-ins and sessions end");
            changed(&said, &ChangedDoc { email: &email, member: false, role: None }, context)?;
        }
        OperatorsVerb::Role(RoleArgs { email, role }) => {
            let ask = OperatorsAsk::SetRole { email: email.clone(), role };
            ask::done(&engine, Command::Operators(ask)).await?;
            let said = format!("{email} is {}", one(role));
            changed(&said, &ChangedDoc { email: &email, member: true, role: Some(role) }, context)?;
        }
    }
    Ok(0)
}

async fn list(
    engine: &EngineHandle,
    args: &ListArgs,
    context: &mut Context<'_>,
) -> Result<(), Report> {
    let mut operators = everybody(engine, args.filter.as_ref()).await?;
    let times = ask::times(engine, context.wall()).await?;
    let found = operators.len();
    operators.retain(|view| args.all || view.member);
    if context.out.is_json() {
        let docs: Vec<_> = operators.iter().map(|view| OperatorDoc::new(view, &times)).collect();
        return context.out.document("operators", &docs);
    }
    let left_out = found - operators.len();
    if operators.is_empty() {
        context.out.talk("no operator matches");
    } else {
        let table = rows(&operators, &times, context.out.terminal());
        context.out.data(&table)?;
    }
    if left_out > 0 {
        context.out.talk(&format!("{left_out} more have left the team; `--all` shows them"));
    }
    Ok(())
}

/// Asks for page after page.
async fn everybody(
    engine: &EngineHandle,
    filter: Option<&String>,
) -> Result<Vec<OperatorView>, Report> {
    let mut operators = Vec::new();
    loop {
        let offset = u32::try_from(operators.len()).unwrap_or(u32::MAX);
        let ask = OperatorsAsk::List { filter: filter.cloned(), limit: PAGE, offset };
        let page = ask::operators(engine, ask).await?;
        let last = page.operators.is_empty();
        operators.extend(page.operators);
        if last || operators.len() as u64 >= page.matching {
            return Ok(operators);
        }
    }
}

fn rows(operators: &[OperatorView], times: &Times, terminal: Terminal) -> String {
    let headings = ["EMAIL", "ROLE", "PASSWORD", "SSO", "BREAK-GLASS", "NOTE"];
    let mut table = Table::new(terminal, &headings, &["BREAK-GLASS", "NOTE"]);
    for view in operators {
        let listed: Vec<_> = view.listed.iter().map(ToString::to_string).collect();
        let (note, tone) = note(view, times);
        table.row([
            (view.email.as_str(), Tone::Plain),
            (view.role.as_str(), Tone::Plain),
            (if view.has_password { "yes" } else { "no" }, Tone::Plain),
            (view.bound_to.as_ref().map_or("-", |idp| idp.as_str()), Tone::Plain),
            (
                if listed.is_empty() { "-".to_owned() } else { listed.join(", ") }.as_str(),
                Tone::Plain,
            ),
            (&note, tone),
        ]);
    }
    table.render()
}

fn note(view: &OperatorView, times: &Times) -> (String, Tone) {
    let mut notes = vec![];
    let mut tone = Tone::Plain;
    if view.email.mixes_scripts() {
        notes.push("LOOK-ALIKE: the address mixes scripts".to_owned());
        tone = Tone::Alarm;
    }
    if !view.member {
        notes.push("has left the team".to_owned());
    }
    if let Some(at) = view.code_expires_at {
        notes.push(format!("a one-time code works for {} more", times.left(at)));
    }
    (notes.join("; "), tone)
}

async fn code(
    engine: &EngineHandle,
    ask: OperatorsAsk,
    context: &mut Context<'_>,
) -> Result<(), Report> {
    // Asked first: once there is a code, nothing may come between it and who asked.
    let times = ask::times(engine, context.wall()).await?;
    let (email, code, expires_at) = ask::code(engine, ask).await?;
    let command = format!("breakglass password set --email {}", quoted(&email));
    if context.out.is_json() {
        let expires_at = times.rfc3339(expires_at);
        let doc = CodeDoc { email: &email, code: code.expose(), expires_at, command };
        return context.out.document("code", &doc);
    }
    let terminal = context.out.terminal();
    context.out.talk(&format!(
        "one-time code for {}, shown only here; it works once, until {}",
        terminal.text(email.as_str()),
        times.people(expires_at)
    ));
    context.out.data(&terminal.text(code.expose()))?;
    context.out.talk(&format!(
        "give it to them in person or by a channel that you trust; they set their password with:\n  \
         {}",
        terminal.text(&command)
    ));
    Ok(())
}

/// An address as a shell takes it: most need no quotes, and an apostrophe ends them.
fn quoted(email: &Email) -> String {
    let plain = |c: char| c.is_alphanumeric() || "@.+-_".contains(c);
    if email.as_str().chars().all(plain) {
        return email.to_string();
    }
    format!("'{}'", email.as_str().replace('\'', r"'\''"))
}

fn changed(said: &str, doc: &ChangedDoc<'_>, context: &mut Context<'_>) -> Result<(), Report> {
    if context.out.is_json() {
        return context.out.document("operator", doc);
    }
    context.out.data(&text::shown(said))
}

const fn one(role: Role) -> &'static str {
    match role {
        Role::Owner => "an Owner",
        Role::Admin => "an Admin",
        Role::Member => "a Member",
    }
}

const PAGE: u32 = 1_000;
