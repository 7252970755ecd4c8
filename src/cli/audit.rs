//! `breakglass audit`: the record, and whether it still holds.

use clap::{Args, Subcommand};
use serde::Serialize;

use super::output::{Terminal, Tone};
use super::signals::Caught;
use super::{Context, ask};
use crate::domain::audit_event::{AuditEvent, Outcome};
use crate::error::{Kind, Report};
use crate::protocol::{EngineHandle, Event};

/// What to do with the audit.
#[derive(Clone, Debug, Subcommand)]
#[command(about = "Read the record of who did what, or verify it")]
pub enum AuditVerb {
    /// Print the newest audit events
    ///
    /// Prints the newest events, the newest last. With `--follow`, goes on with each event as it is
    /// written, until Ctrl-C; with `--json` then one document a line.
    #[command(after_long_help = "\
Examples:
  breakglass audit tail -n 100
  breakglass audit tail --follow --json | jq -r .event.description")]
    Tail(TailArgs),
    /// Verify the whole audit chain
    ///
    /// Reads every event and checks that none was changed, inserted, dropped or moved. Prints the
    /// head of the chain in four groups of five characters, to be read aloud and noted elsewhere:
    /// only against a noted head does a missing tail, or a record that was rewritten whole, show.
    ///
    /// Exit code 5 if the chain does not hold; the first bad place is then named.
    Verify,
}

/// Which audit events to print.
#[derive(Clone, Debug, Args)]
pub struct TailArgs {
    /// Number of events
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(0..=EVENTS_MAX))]
    pub lines: u32,
    /// Go on with each event as it is written
    #[arg(short, long)]
    pub follow: bool,
}

#[derive(Serialize)]
struct VerdictDoc<'a> {
    holds: bool,
    events: u64,
    head: &'a str,
    first_bad_seq: Option<u64>,
    what: Option<&'a str>,
}

pub(super) async fn run(verb: AuditVerb, context: &mut Context<'_>) -> Result<u8, Report> {
    match verb {
        AuditVerb::Tail(args) if args.follow => follow(&args, context).await,
        AuditVerb::Tail(args) => tail(&args, context).await,
        AuditVerb::Verify => verify(context).await,
    }
}

async fn tail(args: &TailArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    let engine = context.engines.attach_or_start().await?;
    let events = newest(&engine, args.lines, 0).await?;
    if context.out.is_json() {
        context.out.document("events", &events)?;
    } else {
        let terminal = context.out.terminal();
        let lines: String = events.iter().map(|event| line(event, terminal) + "\n").collect();
        context.out.data(&lines)?;
    }
    Ok(0)
}

async fn follow(args: &TailArgs, context: &mut Context<'_>) -> Result<u8, Report> {
    context.signals.listen(&[Caught::Interrupt, Caught::Terminate])?;
    let mut wanted = args.lines;
    let mut last = 0;
    let mut in_vain = 0;
    loop {
        // First the subscription, then what is there: no event falls between the two.
        let engine = context.engines.attach_or_start().await?;
        let mut events = engine.subscribe().await?.events;
        for event in newest(&engine, wanted, last).await? {
            last = event.seq;
            print(&event, context)?;
        }
        in_vain += 1;
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                _ = context.signals.next() => return Ok(0),
            };
            match event {
                Some(Event::Audit(event)) if event.seq > last => {
                    last = event.seq;
                    print(&event, context)?;
                }
                Some(Event::Stopped) => {
                    context.out.talk("the engine has stopped");
                    return Ok(0);
                }
                Some(Event::HandedOver) | None => break,
                Some(_) => {}
            }
            in_vain = 0;
            if context.out.reader_gone() {
                return Ok(0);
            }
        }
        if in_vain > ATTACH_MAX {
            return Err(Report::new(Kind::Unavailable, "the engine keeps closing the connection")
                .hint("breakglass doctor"));
        }
        wanted = u32::MAX;
    }
}

/// Returns the newest events behind `after`, at most so many, the newest last.
async fn newest(engine: &EngineHandle, wanted: u32, after: u64) -> Result<Vec<AuditEvent>, Report> {
    let mut pages: Vec<Vec<AuditEvent>> = Vec::new();
    let mut before = None;
    let mut missing = wanted;
    while missing > 0 {
        let mut page = ask::audit(engine, missing.min(PAGE), before).await?;
        let asked_all = page.len() < usize::try_from(missing.min(PAGE)).unwrap_or(usize::MAX);
        let reached = page.first().is_none_or(|event| event.seq <= after + 1);
        page.retain(|event| event.seq > after);
        before = page.first().map(|event| event.seq);
        missing = missing.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
        pages.push(page);
        if asked_all || reached {
            break;
        }
    }
    Ok(pages.into_iter().rev().flatten().collect())
}

fn print(event: &AuditEvent, context: &mut Context<'_>) -> Result<(), Report> {
    if context.out.is_json() {
        return context.out.document("event", event);
    }
    let line = line(event, context.out.terminal());
    context.out.data(&line)
}

fn line(event: &AuditEvent, terminal: Terminal) -> String {
    let draft = &event.event;
    let (outcome, tone) = match draft.outcome {
        Outcome::Success => ("success", Tone::Plain),
        Outcome::Failure => ("FAILURE", Tone::Alarm),
        Outcome::Unknown => ("unknown", Tone::Odd),
    };
    let actor = draft.actor.name();
    let session = draft.session.map_or("-".to_owned(), |session| session.short());
    let reason = draft.reason.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
    format!(
        "{} {:>6} {} {:<26} {:<8} {} {}{}{}",
        terminal.text(&event.time),
        event.seq,
        terminal.paint(tone, outcome),
        terminal.text(&draft.kind),
        session,
        terminal.text(actor),
        if draft.drill { "DRILL " } else { "" },
        terminal.text(&draft.description),
        terminal.text(&reason),
    )
}

async fn verify(context: &mut Context<'_>) -> Result<u8, Report> {
    let engine = context.engines.attach_or_start().await?;
    let verdict = ask::verdict(&engine).await?;
    if context.out.is_json() {
        let doc = VerdictDoc {
            holds: verdict.broken.is_none(),
            events: verdict.events,
            head: &verdict.head,
            first_bad_seq: verdict.broken.as_ref().map(|(seq, _)| *seq),
            what: verdict.broken.as_ref().map(|(_, what)| what.as_str()),
        };
        context.out.document("audit", &doc)?;
    }
    match verdict.broken {
        Some((seq, what)) => {
            Err(Report::new(Kind::Unavailable, format!("the audit chain breaks at event {seq}"))
                .because(what)
                .hint("keep a copy of the state directory before anything else writes to it"))
        }
        None if context.out.is_json() => Ok(0),
        None => {
            let head = context.out.terminal().text(&verdict.head);
            context
                .out
                .data(&format!("the audit chain holds: {} events\nhead {head}", verdict.events))?;
            Ok(0)
        }
    }
}

const PAGE: u32 = 1_000;
const EVENTS_MAX: i64 = 1_000_000;
const ATTACH_MAX: u32 = 8;
