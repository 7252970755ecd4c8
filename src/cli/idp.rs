//! `breakglass idp`: the identity providers, where single sign-on happens.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::abilities::{self, unhealthy};
use super::confirm::confirmed;
use super::identity_docs::{IdpDoc, ProbeDoc};
use super::output::Tone;
use super::person::{self, Stop, Wanted};
use super::table::Table;
use super::words::Times;
use super::{Context, ask, vault};
use crate::domain::break_glass_user::LISTED_MAX;
use crate::domain::id::IdpId;
use crate::domain::identity_provider::{BreakGlassMode, IdpHealth, IdpKind, IdpSettings};
use crate::domain::probe::Probe;
use crate::error::{Kind, Report};
use crate::protocol::{Command, EngineHandle, IdpAsk, IdpView};

/// What to do with identity providers.
///
/// An identity provider is where single sign-on (SSO) happens: Microsoft Entra ID, or any OpenID
/// provider with the device authorization grant. While its SSO is enforced, whom it governs signs
/// in there; only who is listed for it as a break-glass user may use a password. Adding and
/// removing needs a sign-in as Owner, enforcing as Admin or Owner.
#[derive(Clone, Debug, Subcommand)]
#[command(about = "Add, look at, enforce or remove identity providers")]
pub enum IdpVerb {
    /// List the identity providers with their health
    List,
    /// Add an identity provider, or change the settings of one
    ///
    /// Looks at it first: its discovery document, device authorization and keys. What does not work
    /// is not kept, unless `--save-unhealthy` says so. Where there is one of this name, its
    /// settings are replaced; the client secret that it has stays unless another one is given. SSO
    /// is not enforced by this: `breakglass idp enforce` does that.
    #[command(after_long_help = AFTER_ADD)]
    Add(Box<AddArgs>),
    /// Look at an identity provider now
    ///
    /// Prints each thing that a sign-in needs: whether it is there, or what is wrong and what to do.
    ///
    /// Exit code 5 if something that a sign-in needs is not there.
    Validate(IdpArg),
    /// Enforce the SSO of an identity provider
    ///
    /// From then on a password lets in only who is listed: `breakglass break-glass-users list`. Where
    /// nobody who is listed could get in, a failure of the identity provider locks everybody out;
    /// then its name has to be typed, or given with `--confirm`.
    #[command(after_long_help = "\
Examples:
  breakglass idp enforce entra

Exit codes:
  0    enforced
  4    refused: it has to be confirmed, or you are neither Admin nor Owner
  5    the engine cannot be reached
  130, 143   Ctrl-C or SIGTERM; nothing was changed")]
    Enforce(EnforceArgs),
    /// Stop enforcing the SSO of an identity provider
    ///
    /// From then on everybody may sign in by password or by SSO. The list of break-glass users
    /// stays. Needs a sign-in as Admin or Owner; else exit code 4.
    Unenforce(IdpArg),
    /// Remove an identity provider, with its list
    ///
    /// Refused, with exit code 4, while its SSO is enforced, and to who is not an Owner.
    Remove(IdpArg),
}

const AFTER_ADD: &str = "\
Examples:
  breakglass idp add entra --kind entra-id --tenant 11111111-2222-3333-4444-555555555555 \\
      --client-id 66666666-7777-8888-9999-000000000000 --domain example.com
  breakglass idp add corp --kind oidc --issuer https://sso.example.com --client-id breakglass \\
      --secret-file client-secret --scope email

Exit codes:
  0    kept
  2    the command line or a setting is wrong
  4    you are not an Owner
  5    it does not work and was not kept, or the engine cannot be reached
  130, 143   Ctrl-C or SIGTERM";

/// Names an identity provider.
#[derive(Clone, Debug, Args)]
pub struct IdpArg {
    /// Name of an identity provider
    #[arg(value_name = "ID")]
    pub idp: IdpId,
}

/// Names an identity provider whose SSO is to be enforced.
#[derive(Clone, Debug, Args)]
pub struct EnforceArgs {
    /// Name of an identity provider
    #[arg(value_name = "ID")]
    pub idp: IdpId,
    /// Name once more, where it has to be confirmed
    #[arg(long, value_name = "ID")]
    pub confirm: Option<String>,
}

/// The settings of an identity provider.
#[derive(Clone, Debug, Args)]
pub struct AddArgs {
    /// Name to give it
    #[arg(value_name = "ID")]
    pub idp: IdpId,
    /// Kind of identity provider
    #[arg(long, value_name = "KIND", value_parser = ["entra-id", "oidc"])]
    pub kind: String,
    /// Id of the Entra tenant
    #[arg(
        long,
        value_name = "TENANT",
        required_if_eq("kind", "entra-id"),
        conflicts_with = "issuer"
    )]
    pub tenant: Option<String>,
    /// Issuer of an OpenID provider, exactly as its discovery document has it
    #[arg(long, value_name = "URL", required_if_eq("kind", "oidc"))]
    pub issuer: Option<String>,
    /// Id under which this program is registered there
    #[arg(long, value_name = "CLIENT")]
    pub client_id: String,
    /// Read the client secret from standard input
    #[arg(long, conflicts_with = "secret_file")]
    pub secret_stdin: bool,
    /// Read the client secret from a file that only you may read
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub secret_file: Option<PathBuf>,
    /// Scope to ask for beside `openid`; may be given again
    #[arg(long = "scope", value_name = "SCOPE")]
    pub scopes: Vec<String>,
    /// E-mail domain that it owns; may be given again
    #[arg(long = "domain", value_name = "DOMAIN", value_parser = domain)]
    pub domains: Vec<String>,
    /// When who is listed may use a password while SSO is enforced
    #[arg(long, value_name = "WHEN", default_value = "always", value_parser = break_glass_mode())]
    pub break_glass: BreakGlassMode,
    /// Keep it even where it does not work now
    #[arg(long)]
    pub save_unhealthy: bool,
}

#[derive(Serialize)]
struct RemovedDoc<'a> {
    id: &'a IdpId,
    removed: bool,
}

pub(super) async fn run(verb: IdpVerb, context: &mut Context<'_>) -> Result<u8, Report> {
    person::end(perform(verb, context).await)
}

async fn perform(verb: IdpVerb, context: &mut Context<'_>) -> Result<u8, Stop> {
    let engine = context.engines.attach_or_start().await?;
    match verb {
        IdpVerb::List => {
            let idps = ask::idps(&engine, Command::Idp(IdpAsk::List)).await?;
            let times = ask::times(&engine, context.wall()).await?;
            list(&idps, &times, context)?;
        }
        IdpVerb::Add(args) => return add(&engine, *args, context).await,
        IdpVerb::Validate(IdpArg { idp }) => {
            let probe = ask::probe(&engine, IdpAsk::Validate { idp: idp.clone() }).await?;
            show_probe(&engine, &idp, &probe, context).await?;
            if !probe.is_healthy() {
                let message = format!("nobody could sign in at `{idp}` now");
                return Err(unhealthy(message, &probe).into());
            }
        }
        IdpVerb::Enforce(EnforceArgs { idp, confirm }) => {
            enforce(&engine, &idp, true, confirm, context).await?;
        }
        IdpVerb::Unenforce(IdpArg { idp }) => enforce(&engine, &idp, false, None, context).await?,
        IdpVerb::Remove(IdpArg { idp }) => {
            ask::done(&engine, Command::Idp(IdpAsk::Remove { idp: idp.clone() })).await?;
            context.out.talk(&format!("`{idp}` is removed, with its list"));
            if context.out.is_json() {
                let doc = RemovedDoc { id: &idp, removed: true };
                context.out.document("identity_provider", &doc)?;
            }
        }
    }
    Ok(0)
}

async fn add(engine: &EngineHandle, args: AddArgs, context: &mut Context<'_>) -> Result<u8, Stop> {
    let (idp, unhealthy_too) = (args.idp.clone(), args.save_unhealthy);
    let known = ask::idps(engine, Command::Idp(IdpAsk::List)).await?;
    let known = known.iter().find(|view| view.id == idp);
    let had_secret = known.and_then(|view| view.settings.as_ref()).is_some_and(|it| it.has_secret);
    let wanted = Wanted { what: "client secret", option: "--secret-stdin" };
    let secret = if args.secret_stdin || args.secret_file.is_some() {
        let file = args.secret_file.as_deref();
        Some(context.secret(args.secret_stdin, file, false, wanted).await?)
    } else {
        None
    };
    let settings = Box::new(settings(args, secret.is_some() || had_secret)?);
    let asked = IdpAsk::Add { settings, secret, unhealthy: unhealthy_too };
    let asking = async || ask::probe(engine, asked.clone()).await;
    let probe = vault::with_open(engine, context, asking).await?;
    show_probe(engine, &idp, &probe, context).await?;
    match (probe.is_healthy(), unhealthy_too) {
        (true, _) if known.is_some_and(|view| view.enforced) => {
            context.out.talk(&format!("`{idp}` is changed; its SSO stays enforced"));
        }
        (true, _) => {
            let enforce = format!("breakglass idp enforce {idp}");
            context.out.talk(&format!("`{idp}` is kept; its SSO is not enforced: {enforce}"));
        }
        (false, true) => context.out.talk(&format!("`{idp}` is kept though it does not work now")),
        (false, false) => {
            let report = unhealthy(format!("`{idp}` does not work, so it was not kept"), &probe);
            return Err(report.hint("mend it, or keep it as it is: --save-unhealthy").into());
        }
    }
    Ok(0)
}

fn settings(args: AddArgs, has_secret: bool) -> Result<IdpSettings, Report> {
    let kind = match (args.kind.as_str(), args.tenant, args.issuer) {
        ("entra-id", Some(tenant), None) => IdpKind::EntraId { tenant },
        ("oidc", None, Some(issuer)) => IdpKind::Oidc { issuer },
        _ => {
            let message = "`entra-id` goes with `--tenant`, `oidc` with `--issuer`";
            return Err(Report::new(Kind::Usage, message).hint("breakglass idp add --help"));
        }
    };
    Ok(IdpSettings {
        id: args.idp,
        kind,
        client_id: args.client_id,
        has_secret,
        scopes: match args.scopes {
            none if none.is_empty() => DEFAULT_SCOPES.map(str::to_owned).into(),
            scopes => scopes,
        },
        domains: args.domains,
        break_glass: args.break_glass,
    })
}

async fn enforce(
    engine: &EngineHandle,
    idp: &IdpId,
    on: bool,
    confirm: Option<String>,
    context: &mut Context<'_>,
) -> Result<(), Stop> {
    let command = |confirm| Command::Idp(IdpAsk::Enforce { idp: idp.clone(), on, confirm });
    let idps = confirmed(engine, confirm, command, context).await?;
    let times = ask::times(engine, context.wall()).await?;
    context.out.talk(&match on {
        true => format!("the SSO of `{idp}` is enforced; a password lets in only who is listed"),
        false => format!("the SSO of `{idp}` is not enforced; everybody may use a password or SSO"),
    });
    Ok(list(&idps, &times, context)?)
}

fn list(idps: &[IdpView], times: &Times, context: &mut Context<'_>) -> Result<(), Report> {
    if context.out.is_json() {
        let docs: Vec<_> = idps.iter().map(|view| IdpDoc::new(view, times)).collect();
        return context.out.document("identity_providers", &docs);
    }
    if idps.is_empty() {
        context.out.talk("there is no identity provider; everybody signs in by password");
        return Ok(());
    }
    let headings = ["ID", "KIND", "SSO", "HEALTH", "CHECKED", "LISTED", "ISSUER", "DOMAINS"];
    let flexible = ["HEALTH", "ISSUER", "DOMAINS"];
    let mut table = Table::new(context.out.terminal(), &headings, &flexible);
    for view in idps {
        let (health, tone) = health(view);
        let checked = view.probe.as_ref().map(|probe| format!("{} ago", times.ago(probe.at)));
        let settings = view.settings.as_ref();
        let domains = settings.map(|settings| settings.domains.join(", "));
        table.row([
            (view.id.as_str(), Tone::Plain),
            (&view.label, Tone::Plain),
            (if view.enforced { "enforced" } else { "offered" }, Tone::Plain),
            (&health, tone),
            (checked.as_deref().unwrap_or("never"), Tone::Plain),
            (&format!("{} of {LISTED_MAX}", view.listed.len()), Tone::Plain),
            (settings.map_or("-".to_owned(), IdpSettings::issuer).as_str(), Tone::Plain),
            (domains.filter(|it| !it.is_empty()).as_deref().unwrap_or("-"), Tone::Plain),
        ]);
    }
    context.out.data(&table.render())
}

/// The health of an identity provider in words, with what is wrong.
pub(super) fn health(view: &IdpView) -> (String, Tone) {
    match view.health {
        IdpHealth::Unknown => ("not looked at".to_owned(), Tone::Plain),
        IdpHealth::Healthy => ("healthy".to_owned(), Tone::Good),
        IdpHealth::Unhealthy => {
            let trouble = view.probe.as_ref().and_then(Probe::trouble);
            let trouble = trouble.map_or(String::new(), |why| format!(": {why}"));
            (format!("UNHEALTHY{trouble}"), Tone::Alarm)
        }
    }
}

async fn show_probe(
    engine: &EngineHandle,
    idp: &IdpId,
    probe: &Probe,
    context: &mut Context<'_>,
) -> Result<(), Report> {
    if context.out.is_json() {
        let times = ask::times(engine, context.wall()).await?;
        return context.out.document("probe", &ProbeDoc::new(idp, probe, &times));
    }
    let lines = abilities::lines(probe, context.out.terminal());
    context.out.data(&lines)
}

/// Reads an e-mail domain.
fn domain(text: &str) -> Result<String, String> {
    let domain = text.trim().to_lowercase();
    let whole = domain.split('.').all(|label| !label.is_empty());
    let letters = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.');
    if whole && domain.contains('.') && domain.chars().all(letters) {
        Ok(domain)
    } else {
        Err("a domain is what stands behind the `@`, such as `example.com`".to_owned())
    }
}

fn break_glass_mode() -> impl TypedValueParser<Value = BreakGlassMode> {
    let modes = [BreakGlassMode::Always, BreakGlassMode::OnlyWhileUnhealthy];
    PossibleValuesParser::new(modes.map(BreakGlassMode::as_str)).try_map(move |word| {
        modes.into_iter().find(|mode| mode.as_str() == word).ok_or("there is no such mode")
    })
}

/// What is asked for where nothing is said: who somebody is, and the address that finds their invite.
const DEFAULT_SCOPES: [&str; 2] = ["profile", "email"];
