//! `breakglass providers`: the systems that carry network paths.

use clap::{Args, Subcommand};

use super::docs::ProviderDoc;
use super::output::{Terminal, Tone};
use super::table::Table;
use super::words::Times;
use super::{Context, ask};
use crate::domain::id::ProviderId;
use crate::domain::provider::Health;
use crate::error::{Kind, Report};
use crate::protocol::{Command, ProviderView};

/// List, show, switch, validate or remove providers
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
    Show(ProviderArg),
    /// Let new sessions use a provider
    Enable(ProviderArg),
    /// Keep new sessions from using a provider
    ///
    /// Sessions that run keep their path until they end. With Direct disabled, every session needs
    /// a provider, also for a target that answers from here.
    Disable(ProviderArg),
    /// Look at a provider's health now
    ///
    /// Never writes at the provider. Exit code 5 if it cannot carry a path.
    Validate(ProviderArg),
    /// Remove a provider from the configuration
    ///
    /// Refused for Direct, and while a session uses the provider, one that owes a clean-up counted.
    Remove(ProviderArg),
}

/// Names a provider.
#[derive(Clone, Debug, Args)]
pub struct ProviderArg {
    /// Name of a provider in the configuration
    #[arg(value_name = "PROVIDER")]
    pub provider: ProviderId,
}

pub(super) async fn run(args: ProvidersArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    let engine = context.engines.attach_or_start().await?;
    let (command, only, said) = match args.verb.unwrap_or(ProvidersVerb::List) {
        ProvidersVerb::List => (Command::Providers, None, None),
        ProvidersVerb::Show(ProviderArg { provider }) => (Command::Providers, Some(provider), None),
        ProvidersVerb::Enable(ProviderArg { provider }) => {
            let said = format!("`{provider}` is enabled");
            let command = Command::SetProviderEnabled { provider: provider.clone(), enabled: true };
            (command, Some(provider), Some(said))
        }
        ProvidersVerb::Disable(ProviderArg { provider }) => {
            let said = format!("`{provider}` is disabled; running sessions keep their path");
            let command =
                Command::SetProviderEnabled { provider: provider.clone(), enabled: false };
            (command, Some(provider), Some(said))
        }
        ProvidersVerb::Validate(ProviderArg { provider }) => {
            let providers =
                ask::providers(&engine, Command::CheckProvider { provider: provider.clone() })
                    .await?;
            let times = ask::times(&engine, context.wall()).await?;
            return validated(&find(&providers, &provider)?, &times, context);
        }
        ProvidersVerb::Remove(ProviderArg { provider }) => {
            let said = format!("`{provider}` is removed");
            (Command::RemoveProvider { provider }, None, Some(said))
        }
    };
    let providers = ask::providers(&engine, command).await?;
    let times = ask::times(&engine, context.wall()).await?;
    if let Some(said) = said {
        context.out.talk(&said);
    }
    match only {
        Some(provider) => show(&find(&providers, &provider)?, &times, context)?,
        None => list(&providers, &times, context)?,
    }
    Ok(0)
}

fn find(providers: &[ProviderView], id: &ProviderId) -> Result<ProviderView, Report> {
    providers.iter().find(|view| view.id == *id).cloned().ok_or_else(|| {
        Report::new(Kind::Usage, format!("there is no provider `{id}`"))
            .hint("breakglass providers list")
    })
}

fn validated(view: &ProviderView, times: &Times, context: &mut Context<'_>) -> Result<u8, Report> {
    show(view, times, context)?;
    match &view.health {
        Health::Down { why } => {
            let report =
                Report::new(Kind::Unavailable, format!("`{}` cannot carry a path", view.id));
            Err(report.because(why))
        }
        Health::Healthy | Health::Degraded { .. } => Ok(0),
    }
}

fn list(
    providers: &[ProviderView],
    times: &Times,
    context: &mut Context<'_>,
) -> Result<(), Report> {
    if context.out.is_json() {
        let docs: Vec<_> = providers.iter().map(|view| ProviderDoc::new(view, times)).collect();
        return context.out.document("providers", &docs);
    }
    let headings = ["ID", "KIND", "ENABLED", "HEALTH", "CHECKED", "LATENCY", "SESSIONS", "ABOUT"];
    let mut table = Table::new(context.out.terminal(), &headings, &["HEALTH", "ABOUT"]);
    for view in providers {
        let (health, tone) = health(view);
        let checked = view.checked_at.map(|at| format!("{} ago", times.ago(at)));
        table.row([
            (view.id.as_str(), Tone::Plain),
            (&view.label, Tone::Plain),
            (if view.enabled { "yes" } else { "no" }, Tone::Plain),
            (&health, tone),
            (checked.as_deref().unwrap_or("never"), Tone::Plain),
            (&latency(view), Tone::Plain),
            (&view.sessions.to_string(), Tone::Plain),
            (&view.about, Tone::Plain),
        ]);
    }
    context.out.data(&table.render())
}

fn show(view: &ProviderView, times: &Times, context: &mut Context<'_>) -> Result<(), Report> {
    if context.out.is_json() {
        return context.out.document("provider", &ProviderDoc::new(view, times));
    }
    let page = page(view, times, context.out.terminal());
    context.out.data(&page)
}

fn page(view: &ProviderView, times: &Times, terminal: Terminal) -> String {
    let (health, tone) = health(view);
    let checked = view.checked_at.map_or("never".to_owned(), |at| times.people(at));
    let keep = view.keep.as_ref().map_or("yes".to_owned(), |why| format!("no: {why}"));
    let enabled = if view.enabled { "yes" } else { "no: no new session gets a path here" };
    let rows = [
        ("provider", format!("{} ({})", view.id, terminal.text(&view.label))),
        ("about", terminal.text(&view.about)),
        ("enabled", enabled.to_owned()),
        ("health", terminal.paint(tone, &terminal.text(&health))),
        ("checked", format!("{checked}, latency {}", latency(view))),
        ("sessions", view.sessions.to_string()),
        ("removable", terminal.text(&keep)),
    ];
    rows.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect()
}

fn health(view: &ProviderView) -> (String, Tone) {
    match &view.health {
        Health::Healthy => ("healthy".to_owned(), Tone::Good),
        Health::Degraded { why } => (format!("degraded: {why}"), Tone::Odd),
        Health::Down { why } => (format!("DOWN: {why}"), Tone::Alarm),
    }
}

fn latency(view: &ProviderView) -> String {
    view.latency_millis.map_or("-".to_owned(), |millis| format!("{millis} ms"))
}
