//! `breakglass sites`: the customers' environments.

use clap::{Args, Subcommand};

use super::output::{Terminal, Tone};
use super::provider_docs::{LookDoc, SiteDoc};
use super::table::Table;
use super::{Context, abilities, ask};
use crate::domain::id::SiteId;
use crate::domain::site::Site;
use crate::error::Report;
use crate::protocol::Command;

/// List the customers' environments
///
/// Lists the sites of the configuration, with their private ranges, the providers that may reach
/// each, the preferred one first, and how temporary things are started there.
#[derive(Clone, Debug, Args)]
pub struct SitesArgs {
    /// What to do with them; without it, they are listed
    #[command(subcommand)]
    pub verb: Option<SitesVerb>,
}

/// What to do with sites.
#[derive(Clone, Debug, Subcommand)]
pub enum SitesVerb {
    /// List the sites
    List,
    /// Look at what a site's launcher can do now
    ///
    /// Prints each ability: whether it is there, or what is wrong and what to do. Starts nothing.
    /// Exit code 5 if something is missing that is needed.
    #[command(after_long_help = "\
Examples:
  breakglass sites validate acme-prod

Exit codes:
  0    the launcher can start and stop things there
  2    there is no such site, or it has no launcher
  5    something is missing that is needed, or the engine cannot be reached")]
    Validate(SiteArg),
}

/// Names a site.
#[derive(Clone, Debug, Args)]
pub struct SiteArg {
    /// Name of a site in the configuration
    #[arg(value_name = "SITE")]
    pub site: SiteId,
}

pub(super) async fn run(args: SitesArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    match args.verb.unwrap_or(SitesVerb::List) {
        SitesVerb::List => list(context).await?,
        SitesVerb::Validate(SiteArg { site }) => validate(&site, context).await?,
    }
    Ok(0)
}

async fn list(context: &mut Context<'_>) -> Result<(), Report> {
    let engine = context.engines.attach_or_start().await?;
    let sites = ask::sites(&engine).await?;
    if context.out.is_json() {
        let docs: Vec<_> = sites.iter().map(SiteDoc::new).collect();
        return context.out.document("sites", &docs);
    }
    if sites.is_empty() {
        context.out.talk("no site is configured; `breakglass config example` shows how");
        return Ok(());
    }
    let table = rows(&sites, context.out.terminal());
    context.out.data(&table)
}

async fn validate(site: &SiteId, context: &mut Context<'_>) -> Result<(), Report> {
    let engine = context.engines.attach_or_start().await?;
    let probe = ask::look(&engine, Command::ValidateSite { site: site.clone() }).await?;
    if context.out.is_json() {
        let times = ask::times(&engine, context.wall()).await?;
        context.out.document("validation", &LookDoc::new(site, &probe, &times))?;
    } else {
        let lines = abilities::lines(&probe, context.out.terminal());
        context.out.data(&lines)?;
    }
    if probe.is_healthy() {
        return Ok(());
    }
    Err(abilities::unhealthy(format!("nothing can be started in `{site}` now"), &probe))
}

fn rows(sites: &[Site], terminal: Terminal) -> String {
    let mut table = Table::new(
        terminal,
        &["ID", "NAME", "PROVIDERS", "PRIVATE RANGES", "LAUNCHER"],
        &["NAME", "PROVIDERS", "PRIVATE RANGES", "LAUNCHER"],
    );
    for site in sites {
        let providers: Vec<_> = site.providers.iter().map(ToString::to_string).collect();
        let ranges: Vec<_> = site.private_ranges.iter().map(ToString::to_string).collect();
        let or_dash = |words: Vec<String>| {
            if words.is_empty() { "-".to_owned() } else { words.join(", ") }
        };
        let launcher = site.launcher.as_ref().map(ToString::to_string);
        table.row([
            (site.id.as_str(), Tone::Plain),
            (&site.name, Tone::Plain),
            (&or_dash(providers), Tone::Plain),
            (&or_dash(ranges), Tone::Plain),
            (launcher.as_deref().unwrap_or("-"), Tone::Plain),
        ]);
    }
    table.render()
}
