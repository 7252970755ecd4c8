//! `breakglass engine status` and `engine stop`: the background process that holds the sessions.

use std::time::Duration;

use clap::Subcommand;

use super::docs::EngineDoc;
use super::opening::notice_line;
use super::words::Times;
use super::{Context, ask};
use crate::error::{Kind, Report};
use crate::protocol::{Command, EngineView};

/// What to do with the engine.
#[derive(Clone, Debug, Subcommand)]
pub enum EngineVerb {
    /// Show how the engine is
    ///
    /// Starts none. With `--json`, `engine` is null where none runs.
    Status,
    /// Stop the engine
    ///
    /// Refused while sessions live: end them first, with `breakglass end --all`.
    Stop,
}

pub(super) async fn run(verb: EngineVerb, context: &mut Context<'_>) -> Result<u8, Report> {
    let Some(engine) = context.engines.attach().await? else {
        if context.out.is_json() {
            context.out.document("engine", &None::<EngineDoc<'_>>)?;
        }
        context.out.talk(if context.host.of_host {
            "the engine of this host does not run; systemctl start breakglass"
        } else {
            "no engine runs; a verb that needs one starts it, and takes up what one left"
        });
        return Ok(0);
    };
    let view = ask::status(&engine).await?;
    let times = Times::at_wall(context.wall(), view.wall_offset_millis);
    match verb {
        EngineVerb::Status if context.out.is_json() => {
            context.out.document("engine", &Some(EngineDoc::new(&view, &times)))?;
        }
        EngineVerb::Status => {
            let page = page(&view, &times, context);
            context.out.data(&page)?;
        }
        EngineVerb::Stop => {
            ask::done(&engine, Command::Stop).await?;
            until_gone(context).await?;
            if context.out.is_json() {
                context.out.document("engine", &None::<EngineDoc<'_>>)?;
            }
            context.out.talk(&format!("engine {} has stopped", view.pid));
        }
    }
    Ok(0)
}

/// Waits until nobody answers any more, so that the next verb does not meet an engine that leaves.
async fn until_gone(context: &Context<'_>) -> Result<(), Report> {
    for _ in 0..LOOKS_MAX {
        // What answers with an error is on its way out.
        if matches!(context.engines.attach().await, Ok(None)) {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Err(Report::new(Kind::Unavailable, "the engine has stopped, but its process is still there")
        .hint("breakglass doctor"))
}

fn page(view: &EngineView, times: &Times, context: &Context<'_>) -> String {
    let terminal = context.out.terminal();
    let since = format!("{} ({} ago)", times.people(view.started_at), times.ago(view.started_at));
    let home = if context.host.of_host {
        "of this host"
    } else if view.detached {
        "a process of its own"
    } else {
        "hosted by a terminal"
    };
    let drill = if view.drill { " DRILL" } else { "" };
    let rows = [
        (
            "engine",
            format!("{}, process {}, {home}{drill}", terminal.text(&view.version), view.pid),
        ),
        ("since", since),
        ("host", terminal.text(&view.host)),
        ("operator", terminal.text(&format!("{} (uid {})", view.operator, view.operator.uid))),
        ("state", terminal.text(&view.state_dir)),
        ("marker", format!("bg-{}-...", view.installation)),
        ("faces", view.faces.to_string()),
    ];
    let mut lines: String =
        rows.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect();
    for alarm in &view.alarms {
        lines.push_str(&notice_line(alarm, &context.out));
        lines.push('\n');
    }
    lines
}

const LOOKS_MAX: u32 = 250;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
