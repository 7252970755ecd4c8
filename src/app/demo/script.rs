//! What happens in a drill by itself: sessions of the past, sessions that live, a client that works
//! through one of them, and the short walk of the plain face.
//!
//! Everything goes through the engine's handle, as if a person had asked for it.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Duration, sleep};

use crate::cli::sessions::ShowArgs;
use crate::cli::{self, Context, Verb};
use crate::domain::connect::EndpointAddress;
use crate::domain::id::{IdError, SessionId, TargetId};
use crate::domain::request::{OpenRequest, TargetChoice};
use crate::domain::time::Span;
use crate::error::{Kind, Report};
use crate::protocol::{Command, EngineHandle, Event, Reply, SessionState, SessionView};

/// Opens and ends what stands in the list when the screens come up.
///
/// # Errors
///
/// When the engine refuses.
pub(super) async fn past(engine: &EngineHandle) -> Result<(), Report> {
    for (target, reason) in PAST {
        let opened = open(engine, target, reason, 30).await?;
        let settled =
            |view: &SessionView| matches!(view.state, SessionState::Active | SessionState::Ended);
        if until(engine, opened, settled).await?.state == SessionState::Active {
            end(engine, opened).await?;
        }
    }
    Ok(())
}

/// Opens what lives when the screens come up, and starts a client of one of them.
///
/// # Errors
///
/// When the engine refuses.
pub(super) async fn present(
    engine: &EngineHandle,
    clients: &mut JoinSet<()>,
) -> Result<(), Report> {
    for (target, reason, minutes) in PRESENT {
        let opened = open(engine, target, reason, minutes).await?;
        if target == WORKED_ON {
            let engine = engine.clone();
            // A client whose path ends has done its work.
            clients.spawn(async move {
                work(&engine, opened).await.ok();
            });
        }
    }
    Ok(())
}

/// Opens two sessions, uses each, ends them, and shows what is left of them: nothing.
///
/// # Errors
///
/// When the engine refuses, or a target does not answer.
pub(super) async fn play(engine: &EngineHandle, context: &mut Context<'_>) -> Result<(), Report> {
    for (target, reason) in PLAYED {
        let opened = open(engine, target, reason, 15).await?;
        let settled =
            |view: &SessionView| matches!(view.state, SessionState::Active | SessionState::Ended);
        let view = until(engine, opened, settled).await?;
        let answer = fetch(&view).await?;
        let port = view.endpoint.as_ref().map(ToString::to_string).unwrap_or_default();
        for line in answer.lines() {
            context.out.data(&format!("from {port}: {line}"))?;
        }
        end(engine, opened).await?;
        cli::run(Verb::Show(ShowArgs { id: opened.to_string() }), context).await?;
    }
    Ok(())
}

async fn open(
    engine: &EngineHandle,
    target: &str,
    reason: &str,
    minutes: u64,
) -> Result<SessionId, Report> {
    let target: TargetId =
        target.parse().map_err(|error: IdError| Report::of(Kind::Internal, &error))?;
    let request = OpenRequest {
        target: TargetChoice::Named(target),
        reason: reason.to_owned(),
        duration: Some(Span::from_minutes(minutes)),
        agreed: false,
    };
    match engine.call(Command::Open(request)).await? {
        Reply::Session(view) => Ok(view.id),
        other => Err(Report::new(Kind::Internal, format!("not a session: {other:?}"))),
    }
}

async fn end(engine: &EngineHandle, id: SessionId) -> Result<SessionView, Report> {
    engine.call(Command::End { session: id, reason: Some("the drill goes on".into()) }).await?;
    until(engine, id, |view| view.state == SessionState::Ended).await
}

/// Waits until a session looks as wanted.
async fn until(
    engine: &EngineHandle,
    id: SessionId,
    wanted: impl Fn(&SessionView) -> bool,
) -> Result<SessionView, Report> {
    let mut subscription = engine.subscribe().await?;
    let known = subscription.snapshot.sessions.into_iter().find(|view| view.id == id);
    if let Some(view) = known.filter(|view| wanted(view)) {
        return Ok(view);
    }
    while let Some(event) = subscription.events.recv().await {
        match event {
            Event::Session(view) if view.id == id && wanted(&view) => return Ok(*view),
            _ => {}
        }
    }
    Err(Report::new(Kind::Unavailable, "the engine has stopped"))
}

async fn connect(view: &SessionView) -> Result<TcpStream, Report> {
    let Some(EndpointAddress::Loopback { port }) = view.endpoint else {
        let why = view.end_detail.as_deref().unwrap_or("it has no endpoint");
        return Err(Report::new(Kind::Unavailable, format!("{}: {why}", view.target.id)));
    };
    TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| broken(&error))
}

/// Asks an http target for its page, as curl would.
async fn fetch(view: &SessionView) -> Result<String, Report> {
    let mut stream = connect(view).await?;
    let asked = b"GET / HTTP/1.1\r\nHost: drill\r\nConnection: close\r\n\r\n";
    stream.write_all(asked).await.map_err(|error| broken(&error))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(|error| broken(&error))?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or(answer))
}

/// Works through a session's endpoint for as long as it is there.
async fn work(engine: &EngineHandle, id: SessionId) -> Result<(), Report> {
    let view = until(engine, id, |view| view.endpoint.is_some()).await?;
    let mut stream = connect(&view).await?;
    let mut answer = vec![0; 16 * 1_024];
    for beat in WORK.iter().cycle() {
        for _ in 0..*beat {
            stream.write_all(b"INFO\r\n").await.map_err(|error| broken(&error))?;
            if stream.read(&mut answer).await.map_err(|error| broken(&error))? == 0 {
                return Ok(());
            }
        }
        sleep(WORK_EVERY).await;
    }
    Ok(())
}

fn broken(error: &std::io::Error) -> Report {
    Report::of(Kind::Unavailable, error)
}

const PAST: [(&str, &str); 3] = [
    ("northwind-shop", "INC-2098 shop front shows old prices"),
    ("status-page", "weekly look at the status page"),
    ("guarded-substation", "INC-2101 substation does not report"),
];

const WORKED_ON: &str = "harbour-sessions";
const PRESENT: [(&str, &str, u64); 3] = [
    ("status-page", "INC-2104 is it us, or the network?", 20),
    ("meridian-records-db", "INC-2105 records open slowly on ward 4", 60),
    (WORKED_ON, "INC-2104 customers are logged out again", 30),
];

const PLAYED: [(&str, &str); 2] = [
    ("status-page", "is it us, or the network?"),
    ("harbour-payments", "INC-2104 payments are slow"),
];

/// How busy the client is, beat by beat.
const WORK: [u32; 16] = [2, 3, 5, 9, 14, 9, 6, 3, 1, 0, 0, 4, 11, 7, 3, 1];
const WORK_EVERY: Duration = Duration::from_secs(1);
