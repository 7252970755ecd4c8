//! `breakglass targets`: what there is to reach.

use clap::Args;

use super::docs::TargetRowDoc;
use super::output::{Terminal, Tone};
use super::table::Table;
use super::{Context, ask};
use crate::error::Report;
use crate::protocol::{Command, PathView, TargetView};

/// List what there is to reach
///
/// Lists the targets of the configuration. With `--paths`, also works out the path that each would
/// get now, and why; that may try to connect to each target.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  breakglass targets
  breakglass targets orders --paths
  breakglass targets --json | jq -r '.targets[].id'")]
pub struct TargetsArgs {
    /// Text that the id, name, site, kind or address must contain
    #[arg(value_name = "FILTER")]
    pub filter: Option<String>,
    /// Work out the path that each would get now
    #[arg(long)]
    pub paths: bool,
}

pub(super) async fn targets(args: &TargetsArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    let engine = context.engines.attach_or_start().await?;
    let mut targets = ask::targets(&engine, Command::Targets { with_paths: args.paths }).await?;
    if let Some(filter) = &args.filter {
        let filter = filter.to_lowercase();
        targets.retain(|view| matches(view, &filter));
    }
    if context.out.is_json() {
        let docs: Vec<_> = targets.iter().map(TargetRowDoc::new).collect();
        context.out.document("targets", &docs)?;
        return Ok(0);
    }
    if targets.is_empty() {
        context.out.talk(match args.filter {
            Some(_) => "no target matches",
            None => "no target is configured; `breakglass config example` shows how",
        });
        return Ok(0);
    }
    let table = rows(&targets, args.paths, context.out.terminal());
    context.out.data(&table)?;
    Ok(0)
}

fn matches(view: &TargetView, filter: &str) -> bool {
    let target = &view.target;
    let site = target.site.as_ref().map_or("", |site| site.as_str());
    let address = target.address.to_string();
    [target.id.as_str(), &target.name, site, target.kind.as_str(), &address]
        .iter()
        .any(|text| text.to_lowercase().contains(filter))
}

fn rows(targets: &[TargetView], paths: bool, terminal: Terminal) -> String {
    let headings = ["ID", "KIND", "ADDRESS", "SITE", "PATH", "WHY"];
    let shown = if paths { headings.as_slice() } else { headings.get(..4).unwrap_or_default() };
    let mut table = Table::new(terminal, shown, &["PATH", "WHY"]);
    for view in targets {
        let target = &view.target;
        let address = target.address.to_string();
        let fixed = [
            (target.id.as_str(), Tone::Plain),
            (target.kind.as_str(), Tone::Plain),
            (address.as_str(), Tone::Plain),
            (target.site.as_ref().map_or("-", |site| site.as_str()), Tone::Plain),
        ];
        if paths {
            let [id, kind, address, site] = fixed;
            let (provider, tone, why) = path(view.path.as_ref());
            table.row([id, kind, address, site, (&provider, tone), (&why, Tone::Plain)]);
        } else {
            table.row(fixed);
        }
    }
    table.render()
}

fn path(view: Option<&PathView>) -> (String, Tone, String) {
    match view.map(|view| (&view.path, &view.considered)) {
        Some((Ok(path), _)) => (path.provider.to_string(), Tone::Good, path.why.clone()),
        Some((Err(why), considered)) => {
            // The reason may name each provider already.
            let passed = considered
                .iter()
                .map(|considered| format!("{}: {}", considered.provider, considered.why))
                .filter(|passed| !why.contains(passed));
            let words: Vec<_> = std::iter::once(why.clone()).chain(passed).collect();
            ("NONE".to_owned(), Tone::Alarm, words.join("; "))
        }
        None => ("-".to_owned(), Tone::Plain, String::new()),
    }
}
