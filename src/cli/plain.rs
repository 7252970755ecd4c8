//! The plain face: for screen readers, dumb terminals, pipes, and nobody at all.
//!
//! No second screen, no box, no colour, nothing redrawn and no question asked: how things stand,
//! then one line for each thing that happens, until Ctrl-C. What is done is done with the verbs, in
//! another shell.

use std::collections::BTreeMap;

use super::idp;
use super::opening::notice_line;
use super::output::Terminal;
use super::progress::{Progress, why};
use super::signals::Caught;
use super::words::{self, Times};
use super::{Context, login};
use crate::domain::id::{IdpId, ProviderId, SessionId};
use crate::domain::provider::Health;
use crate::error::{Kind, Report};
use crate::protocol::{
    Event, IdentityView, IdpView, ProviderView, SessionState, SessionView, Snapshot,
};

/// True where the screens cannot be shown, or are not wanted.
#[must_use]
pub fn is_wanted(asked: bool, term: Option<&str>, stdin_tty: bool, stdout_tty: bool) -> bool {
    let dumb = term.is_none_or(|term| term.is_empty() || term == "dumb");
    asked || dumb || !stdin_tty || !stdout_tty
}

/// Tells how things stand and then what happens, until a signal or the engine's end.
///
/// # Errors
///
/// When the engine, or standard output, cannot be had.
pub async fn run(context: &mut Context<'_>) -> Result<u8, Report> {
    context.signals.listen(&[Caught::Interrupt, Caught::Terminate])?;
    let mut told = Told::default();
    let mut in_vain = 0;
    loop {
        let engine = context.engines.attach_or_start().await?;
        let mut subscription = engine.subscribe().await?;
        told.all(&subscription.snapshot, context)?;
        in_vain += 1;
        loop {
            let event = tokio::select! {
                event = subscription.events.recv() => event,
                _ = context.signals.next() => {
                    context.out.talk("left; sessions go on until they are ended or their lease ends");
                    return Ok(0);
                }
            };
            match event {
                Some(Event::Stopped) => {
                    context.out.talk("the engine has stopped");
                    return Ok(0);
                }
                Some(Event::SignedOut { why }) => {
                    // What may be seen without a sign-in is another subscription.
                    told.signed_out(&why, context)?;
                    break;
                }
                Some(Event::HandedOver) | None => break,
                Some(event) => told.event(&event, context)?,
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
    }
}

/// What was told already.
#[derive(Default)]
struct Told {
    greeted: bool,
    wall_offset_millis: i64,
    sessions: BTreeMap<SessionId, (SessionState, Progress)>,
    providers: BTreeMap<ProviderId, String>,
    who: String,
    idps: BTreeMap<IdpId, String>,
}

impl Told {
    fn all(&mut self, snapshot: &Snapshot, context: &mut Context<'_>) -> Result<(), Report> {
        self.wall_offset_millis = snapshot.engine.wall_offset_millis;
        if !self.greeted {
            self.greet(snapshot, context)?;
        }
        self.identity(&snapshot.identity, context)?;
        self.providers(&snapshot.providers, context)?;
        let again = self.greeted;
        for view in snapshot.sessions.iter().rev() {
            if again || view.state.is_live() {
                self.session(view, context)?;
            }
        }
        if !again {
            for alarm in &snapshot.engine.alarms {
                let line = notice_line(alarm, &context.out);
                context.out.data(&line)?;
            }
            context.out.talk("Ctrl-C leaves; `breakglass --help` lists the verbs");
        }
        self.greeted = true;
        Ok(())
    }

    fn greet(&self, snapshot: &Snapshot, context: &mut Context<'_>) -> Result<(), Report> {
        let terminal = context.out.terminal();
        let engine = &snapshot.engine;
        let live = snapshot.sessions.iter().filter(|view| view.state.is_live()).count();
        context.out.data(&format!(
            "{}breakglass {} on {}, operator {}, targets {}, live sessions {live}",
            if engine.drill { "DRILL " } else { "" },
            terminal.text(&engine.version),
            terminal.text(&engine.host),
            terminal.text(&engine.operator.name),
            snapshot.targets_total,
        ))
    }

    fn event(&mut self, event: &Event, context: &mut Context<'_>) -> Result<(), Report> {
        match event {
            Event::Session(view) => self.session(view, context),
            Event::Providers(views) => self.providers(views, context),
            Event::Identity(identity) => self.identity(identity, context),
            Event::Notice(notice) => {
                let line = notice_line(notice, &context.out);
                context.out.data(&line)
            }
            Event::Engine(engine) => {
                self.wall_offset_millis = engine.wall_offset_millis;
                Ok(())
            }
            // Bytes are not worth a line, and what the audit says was told as it happened.
            Event::Traffic { .. }
            | Event::Audit(_)
            | Event::SignedOut { .. }
            | Event::HandedOver
            | Event::Stopped => Ok(()),
        }
    }

    /// Says who is signed in, and how the identity providers do, as far as that is new.
    fn identity(&mut self, view: &IdentityView, context: &mut Context<'_>) -> Result<(), Report> {
        let terminal = context.out.terminal();
        if view.sign_in_needed {
            // When it would end is no news: every use moves it.
            let who = match &view.me {
                Some(me) => login::who(me, terminal),
                None if view.owner_exists => {
                    "nobody is signed in at this terminal: breakglass login".to_owned()
                }
                None => "there is no Owner yet: breakglass init --email EMAIL".to_owned(),
            };
            if self.who != who {
                context.out.data(&who)?;
                self.who = who;
            }
        }
        for idp in &view.idps {
            let line = idp_line(idp, terminal);
            if self.idps.get(&idp.id) != Some(&line) {
                context.out.data(&line)?;
                self.idps.insert(idp.id.clone(), line);
            }
        }
        Ok(())
    }

    fn signed_out(&mut self, why: &str, context: &mut Context<'_>) -> Result<(), Report> {
        self.who.clear();
        let why = context.out.terminal().text(why);
        context.out.data(&format!("signed out: {why}"))
    }

    fn session(&mut self, view: &SessionView, context: &mut Context<'_>) -> Result<(), Report> {
        let terminal = context.out.terminal();
        let times = Times::at_wall(context.wall(), self.wall_offset_millis);
        let first = (SessionState::Pending, Progress::of_steps(view));
        let known = self.sessions.contains_key(&view.id);
        let (state, progress) = self.sessions.entry(view.id).or_insert(first);
        if !known || *state != view.state {
            context.out.data(&session_line(view, &times, terminal))?;
        }
        for line in progress.step_lines(view, terminal) {
            let drill = words::drill(view);
            context.out.data(&format!("{drill}session {}: {line}", view.id.short()))?;
        }
        *state = view.state;
        if view.state == SessionState::Ended {
            self.sessions.remove(&view.id);
        }
        Ok(())
    }

    fn providers(
        &mut self,
        views: &[ProviderView],
        context: &mut Context<'_>,
    ) -> Result<(), Report> {
        let terminal = context.out.terminal();
        for view in views {
            let line = provider_line(view, terminal);
            if self.providers.get(&view.id) != Some(&line) {
                context.out.data(&line)?;
                self.providers.insert(view.id.clone(), line);
            }
        }
        Ok(())
    }
}

fn session_line(view: &SessionView, times: &Times, terminal: Terminal) -> String {
    let start = format!("{}session {} is {}", words::drill(view), view.id.short(), view.state);
    let target = terminal.text(&words::target(&view.target));
    match view.state {
        SessionState::Pending | SessionState::Activating => {
            format!("{start}: {target} by {}", terminal.text(&words::path(view)))
        }
        SessionState::Active => {
            let endpoint = view.endpoint.as_ref().map_or("-".to_owned(), ToString::to_string);
            let until = view.lease_ends_at.map_or("-".to_owned(), |at| times.people(at));
            let command = terminal.text(view.command.as_deref().unwrap_or("-"));
            format!("{start}: {target} at {endpoint} until {until}; paste: {command}")
        }
        SessionState::Ending | SessionState::Ended => {
            format!("{start}: {target}, {}", why(view, terminal))
        }
        SessionState::CleanupOwed => {
            let count = view.exit_card.len();
            let id = view.id.short();
            format!("ALARM: {start}: {target}, {count} to remove; `breakglass show {id}` says how")
        }
    }
}

fn idp_line(view: &IdpView, terminal: Terminal) -> String {
    let (health, _) = idp::health(view);
    let sso = if view.enforced { "enforced" } else { "not enforced" };
    format!("identity provider {}: SSO {sso}, {}", view.id, terminal.text(&health))
}

fn provider_line(view: &ProviderView, terminal: Terminal) -> String {
    let health = match &view.health {
        Health::Healthy => "healthy".to_owned(),
        Health::Degraded { why } => format!("degraded: {}", terminal.text(why)),
        Health::Down { why } => format!("DOWN: {}", terminal.text(why)),
    };
    let enabled = if view.enabled { "enabled" } else { "disabled" };
    format!("provider {} is {enabled}, {health}", view.id)
}

const ATTACH_MAX: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screens_need_a_terminal_at_both_ends() {
        assert!(!is_wanted(false, Some("xterm"), true, true));
        for (asked, term, stdin, stdout) in [
            (true, Some("xterm"), true, true),
            (false, Some("dumb"), true, true),
            (false, Some(""), true, true),
            (false, None, true, true),
            (false, Some("xterm"), false, true),
            (false, Some("xterm"), true, false),
        ] {
            assert!(is_wanted(asked, term, stdin, stdout), "{term:?}");
        }
    }
}
