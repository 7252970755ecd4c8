//! `breakglass providers`: the systems that carry network paths.

mod add;
mod page;
mod tailnet;
mod twingate;

use clap::{Args, Subcommand};

use self::add::SshArgs;
use self::tailnet::TailscaleArgs;
use self::twingate::TwingateArgs;
use super::person::{self, Stop};
use super::provider_docs::ValidationDoc;
use super::{Context, abilities, ask, vault};
use crate::domain::id::ProviderId;
use crate::error::{Kind, Report};
use crate::protocol::{Command, EngineHandle, ProviderView, ValidationView};

/// List, show, add, switch, validate or remove providers
///
/// A provider is a system that carries network paths. Without a verb, lists them in the order of
/// the configuration.
#[derive(Clone, Debug, Args)]
pub struct ProvidersArgs {
    /// What to do with them; without it, they are listed
    #[command(subcommand)]
    pub verb: Option<ProvidersVerb>,
}

/// What to do with providers.
#[derive(Clone, Debug, Subcommand)]
pub enum ProvidersVerb {
    /// List the providers with their health
    List,
    /// Show one provider in full
    ///
    /// Where it is, what could be done there when that was last looked at, when its key ends, what
    /// went wrong last, and how many sessions use it.
    Show(ProviderArg),
    /// Add a provider, or change the settings of one
    ///
    /// Looks at it first, ability by ability. Where something is missing that is needed, it is not
    /// kept, unless `--save-disabled` says so. Where there is one of this name, its settings are
    /// replaced; the key that it has stays unless another one is given.
    #[command(subcommand)]
    Add(AddKind),
    /// Look at what can be done at a provider now
    ///
    /// Prints each ability: whether it is there, or what is wrong and what to grant. Changes nothing
    /// at the provider, but with `--deep`. Exit code 5 if something is missing that is needed.
    #[command(after_long_help = "\
Examples:
  breakglass providers validate acme-bastion
  breakglass providers validate acme-twingate --deep

Exit codes:
  0    it can carry a path
  2    there is no such provider
  4    you may not, or it has no deep check
  5    something is missing that is needed, or the engine cannot be reached")]
    Validate(ValidateArgs),
    /// Let new sessions use a provider
    Enable(ProviderArg),
    /// Keep new sessions from using a provider
    ///
    /// Sessions that run keep their path until they end. With Direct disabled, every session needs
    /// a provider, also for a target that answers from here.
    Disable(ProviderArg),
    /// Give a provider another key
    ///
    /// The new key is tried first; where it does not work, the old one stays. Sessions that run keep
    /// what they have. The key is read from standard input or from a file that only you may read.
    #[command(after_long_help = "\
Examples:
  breakglass providers rotate-key acme-bastion --key-file new-key

Exit codes:
  0    it has the new key
  2    the key cannot be read, or there is no such provider
  4    refused: it needs no key, or you may not
  5    the new key does not work, so the old one stays
  130, 143   Ctrl-C or SIGTERM; `providers show` tells what holds")]
    RotateKey(RotateArgs),
    /// Remove a provider, with its key
    ///
    /// Takes it out of the configuration and of every site that names it, and its key out of the
    /// vault. Refused for Direct, and while a session uses the provider, one that owes a clean-up
    /// counted.
    Remove(ProviderArg),
}

/// What kind of provider to add.
#[derive(Clone, Debug, Subcommand)]
pub enum AddKind {
    /// Add a bastion that is reached by `ssh`
    ///
    /// Uses the `ssh` of this host, with its configuration, agent and known hosts. The host key must
    /// be known already: none is ever accepted unseen. What is missing is asked for where there is a
    /// terminal; a key never is: it is read from standard input or a file, and kept in the vault,
    /// bound to this host.
    #[command(after_long_help = add::AFTER_SSH)]
    Ssh(Box<SshArgs>),
    /// Add a tailnet of Tailscale or Headscale
    ///
    /// For each session a router is started in the site and joins the tailnet, for that one target,
    /// and a node of the session's own leads there from this host: `tailscaled` must be installed
    /// here, and where routers run. The key is an API access token or the secret of an OAuth client,
    /// or an API key of Headscale; it is read from standard input or a file, and kept in the vault,
    /// bound to this server.
    #[command(after_long_help = tailnet::AFTER)]
    Tailscale(Box<TailscaleArgs>),
    /// Add a network of Twingate
    ///
    /// For each session a connector is started in the site, in a network of its own, and one group
    /// may reach one address and one port there. This host reaches it by a client of Twingate that is
    /// signed in as somebody in that group. The key is an API key of the level Read, Write &
    /// Provision; it is read from standard input or a file, or asked for where there is a terminal,
    /// and kept in the vault, bound to this network.
    #[command(after_long_help = twingate::AFTER)]
    Twingate(Box<TwingateArgs>),
}

/// Names a provider.
#[derive(Clone, Debug, Args)]
pub struct ProviderArg {
    /// Name of a provider in the configuration
    #[arg(value_name = "PROVIDER")]
    pub provider: ProviderId,
}

/// Names a provider, and says how deep to look.
#[derive(Clone, Debug, Args)]
pub struct ValidateArgs {
    /// Name of a provider in the configuration
    #[arg(value_name = "PROVIDER")]
    pub provider: ProviderId,
    /// Make something there and take it away again, so that it is known for certain
    ///
    /// For Twingate, whose keys cannot be asked what they may do: a network, a connector and a pair
    /// of tokens that nobody gets. Refused where there is nothing to be seen that way.
    #[arg(long)]
    pub deep: bool,
}

/// Names a provider and where its new key is.
#[derive(Clone, Debug, Args)]
pub struct RotateArgs {
    /// Name of a provider in the configuration
    #[arg(value_name = "PROVIDER")]
    pub provider: ProviderId,
    /// Where the key is
    #[command(flatten)]
    pub key: add::KeyArgs,
}

pub(super) async fn run(args: ProvidersArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    person::end(perform(args, context).await)
}

async fn perform(args: ProvidersArgs, context: &mut Context<'_>) -> Result<u8, Stop> {
    let engine = context.engines.attach_or_start().await?;
    match args.verb.unwrap_or(ProvidersVerb::List) {
        ProvidersVerb::List => {
            let providers = ask::providers(&engine, Command::Providers).await?;
            page::list(&engine, &providers, context).await?;
        }
        ProvidersVerb::Show(ProviderArg { provider }) => {
            let providers = ask::providers(&engine, Command::Providers).await?;
            page::show(&engine, &find(&providers, &provider)?, context).await?;
        }
        ProvidersVerb::Add(AddKind::Ssh(args)) => return add::ssh(&engine, *args, context).await,
        ProvidersVerb::Add(AddKind::Tailscale(args)) => {
            return tailnet::add(&engine, *args, context).await;
        }
        ProvidersVerb::Add(AddKind::Twingate(args)) => {
            return twingate::add(&engine, *args, context).await;
        }
        ProvidersVerb::Validate(args) => validate(&engine, args, context).await?,
        ProvidersVerb::Enable(ProviderArg { provider }) => {
            let said = format!("`{provider}` is enabled");
            switch(&engine, provider, true, &said, context).await?;
        }
        ProvidersVerb::Disable(ProviderArg { provider }) => {
            let said = format!("`{provider}` is disabled; running sessions keep their path");
            switch(&engine, provider, false, &said, context).await?;
        }
        ProvidersVerb::RotateKey(args) => return add::rotate(&engine, args, context).await,
        ProvidersVerb::Remove(ProviderArg { provider }) => {
            let command = Command::RemoveProvider { provider: provider.clone() };
            let asking = async || ask::providers(&engine, command.clone()).await;
            let providers = vault::with_open(&engine, context, asking).await?;
            context.out.talk(&format!("`{provider}` is removed"));
            page::list(&engine, &providers, context).await?;
        }
    }
    Ok(0)
}

async fn validate(
    engine: &EngineHandle,
    args: ValidateArgs,
    context: &mut Context<'_>,
) -> Result<(), Stop> {
    let ValidateArgs { provider, deep } = args;
    let command = Command::ValidateProvider { provider: provider.clone(), deep };
    let asking = async || ask::validation(engine, command.clone()).await;
    let view = vault::with_open(engine, context, asking).await?;
    looked(engine, &provider, &view, context).await?;
    let probe = &view.validation.probe;
    if !probe.is_healthy() {
        let message = format!("`{provider}` cannot carry a path");
        return Err(abilities::unhealthy(message, probe).into());
    }
    Ok(())
}

async fn switch(
    engine: &EngineHandle,
    provider: ProviderId,
    enabled: bool,
    said: &str,
    context: &mut Context<'_>,
) -> Result<(), Report> {
    let command = Command::SetProviderEnabled { provider: provider.clone(), enabled };
    let providers = ask::providers(engine, command).await?;
    context.out.talk(said);
    page::show(engine, &find(&providers, &provider)?, context).await
}

fn find(providers: &[ProviderView], id: &ProviderId) -> Result<ProviderView, Report> {
    providers.iter().find(|view| view.id == *id).cloned().ok_or_else(|| {
        Report::new(Kind::Usage, format!("there is no provider `{id}`"))
            .hint("breakglass providers list")
    })
}

/// Prints what can be done at a provider.
async fn looked(
    engine: &EngineHandle,
    id: &ProviderId,
    view: &ValidationView,
    context: &mut Context<'_>,
) -> Result<(), Report> {
    let times = ask::times(engine, context.wall()).await?;
    if context.out.is_json() {
        return context.out.document("validation", &ValidationDoc::new(id, view, &times));
    }
    let probe = &view.validation.probe;
    if probe.checks.is_empty() {
        context.out.talk(&format!("there is nothing to look at: `{id}` needs nobody's leave"));
    }
    let lines = abilities::lines(probe, context.out.terminal());
    context.out.data(&lines)?;
    if let Some(at) = view.validation.key_expires_at {
        context.out.talk(&format!("its key {}", page::key_ends(at, &times)));
    }
    Ok(())
}
