//! What `open` and `connect` share: from the request to Active, and from the end to the receipt.

use super::docs::{NoticeDoc, SessionDoc, TrafficDoc};
use super::follow::{Follow, Seen};
use super::output::Output;
use super::person::Stop;
use super::progress::Progress;
use super::signals::Caught;
use super::{Context, ask, vault, words};
use crate::domain::request::{AGREE, OpenRequest};
use crate::domain::vault::UNLOCK;
use crate::error::{Kind, Report};
use crate::protocol::{Command, Notice, SessionState, SessionView, Severity, Traffic};

/// A session that is followed, as it was last seen.
pub(super) struct Opened<'a> {
    pub(super) follow: Follow<'a>,
    pub(super) view: SessionView,
    /// Print every change as a JSON line.
    pub(super) stream: bool,
    /// The signal that asked for the end, if one did.
    pub(super) caught: Option<Caught>,
    progress: Progress,
}

/// What happened while a session was followed.
pub(super) enum Happened {
    Seen(Seen),
    Caught(Caught),
}

/// Requests a session and follows it until it is Active, or over.
///
/// A signal meanwhile ends the session; a second one leaves the removal to the engine.
pub(super) async fn open<'a>(
    request: OpenRequest,
    stream: bool,
    context: &mut Context<'a>,
) -> Result<Opened<'a>, Stop> {
    let engine = context.engines.attach_or_start().await?;
    // The change that is agreed to beforehand is shown all the same, before it is made.
    let beforehand = request.agreed;
    let request = OpenRequest { agreed: false, ..request };
    // Until it is known which session there is, nobody leaves: there would be nothing to end.
    let asking = async || ask::session(&engine, Command::Open(request.clone())).await;
    let mut requested = asking().await;
    if let Err(report) = &requested
        && !wants_agreement(report)
    {
        vault::open_after(&engine, report.clone(), context).await?;
        requested = asking().await;
    }
    let requested = match requested {
        Err(report) if wants_agreement(&report) => {
            if beforehand {
                show_change(&report, context);
            } else {
                agree(&report, context).await?;
            }
            let request = OpenRequest { agreed: true, ..request };
            ask::session(&engine, Command::Open(request)).await?
        }
        requested => requested?,
    };
    let (follow, view) = Follow::of(context.engines, engine, requested.id).await?;
    let mut opened = Opened { follow, view, stream, caught: None, progress: Progress::default() };
    opened.tell_state(context)?;
    while !matches!(
        opened.view.state,
        SessionState::Active | SessionState::Ended | SessionState::CleanupOwed
    ) {
        let left = opened.wait(context).await?;
        if left {
            break;
        }
    }
    Ok(opened)
}

/// True for a refusal that says how to agree.
fn wants_agreement(report: &Report) -> bool {
    report.hint.as_ref().is_some_and(|hint| hint.contains(AGREE))
}

/// Shows a change that was agreed to beforehand.
fn show_change(report: &Report, context: &mut Context<'_>) {
    context
        .out
        .talk(&format!("agreed by {AGREE}: {}", context.out.terminal().text(&report.message)));
    for line in &report.causes {
        let line = format!("  {}", context.out.terminal().text(line));
        context.out.talk(&line);
    }
}

/// Asks a person who is there to agree to a change; where nobody is, the refusal stands.
async fn agree(report: &Report, context: &mut Context<'_>) -> Result<(), Stop> {
    if !context.person.is_there() || context.out.is_json() {
        return Err(report.clone().into());
    }
    context.out.report(&Report { hint: None, ..report.clone() });
    let typed = context.asked("Open it with this change? Type yes to go on", AGREE).await?;
    if typed.trim() == "yes" { Ok(()) } else { Err(report.clone().into()) }
}

impl<'a> Opened<'a> {
    /// Takes over a session that was known as it stood `before`; what is new since is told.
    pub(super) fn known(
        before: &SessionView,
        (follow, view): (Follow<'a>, SessionView),
        context: &mut Context<'_>,
    ) -> Result<Self, Report> {
        let progress = Progress::told(before);
        let mut opened = Self { follow, view, stream: false, caught: None, progress };
        opened.tell_state(context)?;
        Ok(opened)
    }

    fn tell_state(&mut self, context: &mut Context<'_>) -> Result<(), Report> {
        self.take_in(self.view.clone(), context)
    }

    /// Waits for one thing and takes it in. Returns true when a second signal says to wait no
    /// longer.
    pub(super) async fn wait(&mut self, context: &mut Context<'_>) -> Result<bool, Report> {
        let happened = self.happens(context).await?;
        self.answer(happened, context).await
    }

    /// Takes in what happened. Returns true when a second signal says to wait no longer.
    pub(super) async fn answer(
        &mut self,
        happened: Happened,
        context: &mut Context<'_>,
    ) -> Result<bool, Report> {
        match happened {
            Happened::Seen(seen) => self.see(seen, context)?,
            Happened::Caught(caught) if self.caught.is_some() => {
                self.caught = Some(caught);
                return Ok(true);
            }
            Happened::Caught(caught) => {
                self.caught = Some(caught);
                self.end("interrupted at the command line", context).await;
            }
        }
        Ok(false)
    }

    /// Waits for one thing. Dropping the future loses nothing.
    pub(super) async fn happens(&mut self, context: &mut Context<'_>) -> Result<Happened, Report> {
        tokio::select! {
            seen = self.follow.next() => Ok(Happened::Seen(seen?)),
            caught = context.signals.next() => Ok(Happened::Caught(caught)),
        }
    }

    /// Asks the engine to end the session, and says so.
    pub(super) async fn end(&mut self, reason: &str, context: &mut Context<'_>) {
        let id = self.follow.session().short();
        context.out.talk(&format!("ending session {id}"));
        // A session that is over already cannot be ended; what follows says how it stands.
        if let Err(report) = self.follow.end(reason).await {
            context.out.talk(&report.to_string());
        }
    }

    /// Follows the session until it is over, and returns false when a signal says to wait no
    /// longer.
    pub(super) async fn until_over(&mut self, context: &mut Context<'_>) -> Result<bool, Report> {
        while !is_over(&self.view) {
            let left = self.wait(context).await?;
            if left {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes in what was seen, and prints what is new in it.
    pub(super) fn see(&mut self, seen: Seen, context: &mut Context<'_>) -> Result<(), Report> {
        match seen {
            Seen::Session(view) => self.take_in(*view, context),
            Seen::Traffic(traffic) => self.take_in_traffic(traffic, context),
            Seen::Notice(notice) => self.tell(&notice, context),
        }
    }

    fn take_in(&mut self, view: SessionView, context: &mut Context<'_>) -> Result<(), Report> {
        for line in self.progress.lines(&view, context.out.terminal()) {
            context.out.talk(&line);
        }
        if self.stream {
            let times = self.follow.times(context.wall());
            context.out.document("session", &SessionDoc::new(&view, &times))?;
        }
        self.view = view;
        Ok(())
    }

    fn take_in_traffic(
        &mut self,
        traffic: Traffic,
        context: &mut Context<'_>,
    ) -> Result<(), Report> {
        let before = self.view.traffic;
        self.view.traffic = traffic;
        if self.stream {
            let id = self.follow.session();
            return context.out.document("traffic", &TrafficDoc::new(id, traffic));
        }
        // Bytes change all the time; a line is worth a connection that comes, goes, or is refused.
        let news = traffic.connections_open != before.connections_open
            || traffic.connections_total != before.connections_total
            || traffic.refused != before.refused;
        if news {
            let drill = words::drill(&self.view);
            context.out.talk(&format!("{drill}  {}", words::traffic(&traffic)));
        }
        Ok(())
    }

    fn tell(&self, notice: &Notice, context: &mut Context<'_>) -> Result<(), Report> {
        if self.stream {
            let times = self.follow.times(context.wall());
            return context.out.document("notice", &NoticeDoc::new(notice, &times));
        }
        let line = notice_line(notice, &context.out);
        context.out.talk(&line);
        Ok(())
    }
}

/// A notice in one line.
pub(super) fn notice_line(notice: &Notice, out: &Output) -> String {
    let word = match notice.severity {
        Severity::Info => "note",
        Severity::Warning => "warning",
        Severity::Alarm => "ALARM",
    };
    format!("{word}: {}", out.terminal().text(&notice.text))
}

/// True when nothing more happens to a session unless somebody acts, or time passes.
pub(super) fn is_over(view: &SessionView) -> bool {
    matches!(view.state, SessionState::Ended | SessionState::CleanupOwed)
}

/// Says that a session is Active, and until when.
pub(super) fn tell_active(opened: &Opened<'_>, context: &mut Context<'_>) {
    let view = &opened.view;
    let times = opened.follow.times(context.wall());
    let until = view.lease_ends_at.map(|at| format!(", until {}", times.people(at)));
    context.out.talk(&format!(
        "{}session {} is Active for {}{}",
        words::drill(view),
        view.id.short(),
        view.lease,
        until.unwrap_or_default(),
    ));
}

/// Says that a verb leaves before everything is gone.
pub(super) fn leaving(view: &SessionView) -> String {
    let id = view.id.short();
    format!("the engine goes on with the removal; `breakglass show {id}` tells how it went")
}

/// Says what a session that is over has come to: success, or what is owed.
pub(super) fn verdict(view: &SessionView) -> Result<u8, Report> {
    if view.state != SessionState::CleanupOwed {
        return Ok(0);
    }
    let id = view.id.short();
    let mut report = Report::new(
        Kind::CleanupOwed,
        format!("session {id} to `{}` is not proven gone", view.target.id),
    );
    for owed in &view.exit_card {
        report = report.because(format!("{}: {}", owed.artifact, owed.tried));
    }
    let needs_vault = view.exit_card.iter().any(|owed| owed.tried.contains(UNLOCK));
    let first = if needs_vault { format!("{UNLOCK}; then ") } else { String::new() };
    Err(report.hint(format!("{first}breakglass retry {id}")))
}

/// Says why a session that should be Active is not.
pub(super) fn not_active(view: &SessionView) -> Report {
    if let Err(owed) = verdict(view) {
        return owed;
    }
    let id = view.id.short();
    let mut report =
        Report::new(Kind::Unavailable, format!("cannot open a session to `{}`", view.target.id));
    let mut failed = view.steps.iter().filter_map(|step| step.detail.as_deref());
    match view.end_detail.as_deref().or_else(|| failed.next_back()) {
        Some(detail) => report = report.because(detail),
        None => report = report.because(view.end_reason.as_deref().unwrap_or("it ended at once")),
    }
    report.hint(format!("breakglass show {id}"))
}
