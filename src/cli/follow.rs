//! Following one session through whatever happens to the engine.
//!
//! A command changes the session; then comes a subscription, whose snapshot says how the session
//! stands and after which no event is missed. When the engine moves to another process, or cuts off
//! a face that is too slow, the follower attaches again and goes on with the session as it stands.

use std::time::Duration;

use tokio::sync::mpsc;

use super::words::Times;
use super::{Engines, ask, find};
use crate::domain::id::SessionId;
use crate::domain::time::Timestamp;
use crate::error::{Kind, Report};
use crate::protocol::{
    Command, EngineHandle, Event, Notice, SessionView, Snapshot, Subscription, Traffic,
};

/// Follows one session.
pub(super) struct Follow<'a> {
    engines: &'a dyn Engines,
    engine: EngineHandle,
    events: mpsc::Receiver<Event>,
    session: SessionId,
    wall_offset_millis: i64,
    attached_in_vain: u32,
}

/// What was seen of the session.
pub(super) enum Seen {
    /// It has changed, or may have.
    Session(Box<SessionView>),
    /// Its counters.
    Traffic(Traffic),
    /// Something to tell people.
    Notice(Notice),
}

impl<'a> Follow<'a> {
    /// Sends a command about a session, and follows that session from there.
    pub(super) async fn after(
        engines: &'a dyn Engines,
        engine: EngineHandle,
        command: Command,
    ) -> Result<(Self, SessionView), Report> {
        let session = ask::session(&engine, command).await?.id;
        Self::of(engines, engine, session).await
    }

    /// Follows a session from here.
    pub(super) async fn of(
        engines: &'a dyn Engines,
        engine: EngineHandle,
        session: SessionId,
    ) -> Result<(Self, SessionView), Report> {
        let (subscription, view) = attach(&engine, session).await?;
        let follow = Self {
            engines,
            engine,
            session,
            wall_offset_millis: subscription.snapshot.engine.wall_offset_millis,
            events: subscription.events,
            attached_in_vain: 0,
        };
        Ok((follow, view))
    }

    /// The session that is followed.
    pub(super) const fn session(&self) -> SessionId {
        self.session
    }

    /// Tells the wall's time of the session's instants.
    pub(super) const fn times(&self, wall: Timestamp) -> Times {
        Times::at_wall(wall, self.wall_offset_millis)
    }

    /// Asks the engine to end the session.
    pub(super) async fn end(&self, reason: &str) -> Result<SessionView, Report> {
        let command = Command::End { session: self.session, reason: Some(reason.to_owned()) };
        ask::session(&self.engine, command).await
    }

    /// Waits for the next thing seen of the session. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Result<Seen, Report> {
        loop {
            let Some(event) = self.events.recv().await else {
                return self.attach_again().await;
            };
            self.attached_in_vain = 0;
            match event {
                Event::Session(view) if view.id == self.session => return Ok(Seen::Session(view)),
                Event::Traffic { session, traffic } if session == self.session => {
                    return Ok(Seen::Traffic(traffic));
                }
                Event::Notice(notice) if notice.session.is_none_or(|id| id == self.session) => {
                    return Ok(Seen::Notice(notice));
                }
                Event::Engine(engine) => self.wall_offset_millis = engine.wall_offset_millis,
                Event::HandedOver | Event::Stopped => self.events.close(),
                Event::Session(_)
                | Event::Traffic { .. }
                | Event::Notice(_)
                | Event::Providers(_)
                | Event::Identity(_)
                | Event::SignedOut { .. }
                | Event::Audit(_) => {}
            }
        }
    }

    async fn attach_again(&mut self) -> Result<Seen, Report> {
        loop {
            self.attached_in_vain += 1;
            match self.try_attach().await {
                Ok(view) => return Ok(Seen::Session(Box::new(view))),
                Err(report)
                    if report.kind != Kind::Unavailable || self.attached_in_vain >= ATTACH_MAX =>
                {
                    return Err(report);
                }
                Err(_) => tokio::time::sleep(ATTACH_PAUSE * self.attached_in_vain).await,
            }
        }
    }

    async fn try_attach(&mut self) -> Result<SessionView, Report> {
        if self.attached_in_vain > ATTACH_MAX {
            return Err(Report::new(Kind::Unavailable, "the engine keeps closing the connection")
                .hint(format!("breakglass show {}", self.session.short())));
        }
        self.engine = self.engines.attach_or_start().await?;
        let (subscription, view) = attach(&self.engine, self.session).await?;
        self.wall_offset_millis = subscription.snapshot.engine.wall_offset_millis;
        self.events = subscription.events;
        Ok(view)
    }
}

async fn attach(
    engine: &EngineHandle,
    session: SessionId,
) -> Result<(Subscription, SessionView), Report> {
    let subscription = engine.subscribe().await?;
    let view = match in_snapshot(&subscription.snapshot, session) {
        Some(view) => view,
        None => find::session(engine, &session.to_string()).await?,
    };
    Ok((subscription, view))
}

fn in_snapshot(snapshot: &Snapshot, session: SessionId) -> Option<SessionView> {
    snapshot.sessions.iter().find(|view| view.id == session).cloned()
}

/// How often the engine is attached to again without hearing anything from it.
const ATTACH_MAX: u32 = 8;
const ATTACH_PAUSE: Duration = Duration::from_millis(100);
