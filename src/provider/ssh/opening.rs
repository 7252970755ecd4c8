//! Opens the path, looks at it, takes it back.

use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

use super::Bastion;
use super::steps::{Action, connection};
use crate::clock;
use crate::domain::text;
use crate::domain::time::Span;
use crate::provider::{DialError, Dialed, Made};
use crate::session::{Applied, Looked, Undone};
use crate::ssh::failure::ChannelTrouble;
use crate::ssh::mux::{Mux, MuxError};
use crate::ssh::reading::{self, Logs};
use crate::ssh::{SshFailure, folder};

impl Bastion {
    /// Keeps a connection open; one that is open already serves.
    pub(super) async fn connect(&self, action: &Action, is_again: bool) -> Applied {
        let Ok(_turn) = self.turns.acquire().await else {
            return Applied::Refused("this provider is going away".to_owned());
        };
        let master = action.master();
        if !is_again && listens(action).await.is_ok() {
            return Applied::Applied(Some(action.artifact()));
        }
        // Where that cannot be seen, ending it says why.
        if (is_again || master.is_left().unwrap_or(true))
            && let Err(why) = master.end().await
        {
            return Applied::Unknown(format!("what was there before cannot be removed: {why}"));
        }
        let refusal = match self.open(action).await {
            Ok(()) => return Applied::Applied(Some(action.artifact())),
            Err(why) => why,
        };
        match master.end().await {
            Ok(()) => Applied::Refused(refusal),
            Err(why) => Applied::Unknown(format!("{refusal}; and {why}")),
        }
    }

    async fn open(&self, action: &Action) -> Result<(), String> {
        let key = self.key.get(&self.id).await?;
        let ssh = &self.ssh;
        folder::make(&ssh.dir, &action.folder)
            .map_err(|error| format!("cannot make `{}`: {error}", action.folder.display()))?;
        // Its own deadline is coarse: the lease is ended by the engine, this is for when there is none.
        let left = action.needed_until.since(clock::wall());
        let ends_in = left.max(ENDS_IN_LEAST);
        let started = action.master().start(ssh, &action.bastion, key.as_ref(), ends_in).await;
        started.map_err(|failure| failure.to_string())?;
        listens(action).await.map_err(|error| self.gone_wrong(action, &error))
    }

    /// Sees whether the target answers through an open connection.
    pub(super) async fn probe(&self, action: &Action) -> Applied {
        if let Err(error) = listens(action).await {
            return Applied::Refused(self.gone_wrong(action, &error));
        }
        match reaches(action).await {
            Ok(()) => Applied::Applied(None),
            Err(Unreached::Target(why)) => Applied::Refused(why.to_string()),
            Err(Unreached::Connection(error)) => Applied::Refused(self.gone_wrong(action, &error)),
        }
    }

    /// Says what became of a connection that does not do as asked.
    fn gone_wrong(&self, action: &Action, error: &MuxError) -> String {
        self.ending(action)
            .map_or_else(|| format!("the ssh connection: {error}"), |it| it.to_string())
    }

    /// Why the connection has ended; none where its process is still there.
    pub(super) fn ending(&self, action: &Action) -> Option<SshFailure> {
        let found = crate::process::find(&action.master().mark()).unwrap_or_default();
        found.is_empty().then(|| {
            let logs = Logs::read(&action.master().log(), action.bastion.jump.len());
            reading::ending(&logs, &action.bastion)
        })
    }
}

/// Sees whether anything of a connection is there.
pub(super) fn look(action: &Action) -> Looked {
    let master = action.master();
    match master.is_left() {
        Ok(true) => Looked::Found(action.artifact()),
        Ok(false) => Looked::Absent,
        Err(error) => Looked::Unclear(format!("`{}`: {error}", action.folder.display())),
    }
}

/// Ends a connection.
pub(super) async fn close(action: &Action) -> Undone {
    action.master().end().await.map_or_else(Undone::Problem, |()| Undone::Sent)
}

/// Opens one connection to the target.
pub(super) async fn dial(steps: &[Made]) -> Result<Dialed, DialError> {
    let Some((_, action)) = connection(steps) else {
        let why = "the session has no ssh connection".to_owned();
        return Err(DialError::Other { address: "?".to_owned(), why });
    };
    let dialed = UnixStream::connect(action.master().forward()).await;
    dialed.map(Dialed::Unix).map_err(|error| {
        let why = format!("the ssh connection does not take it: {error}");
        DialError::Other { address: action.target.to_string(), why }
    })
}

/// Makes the kept connection listen for us, where it does not yet.
async fn listens(action: &Action) -> Result<(), MuxError> {
    let master = action.master();
    let mut mux = Mux::connect(&master.control()).await?;
    mux.alive().await?;
    if master.forward().exists() {
        return Ok(());
    }
    mux.forward(&master.forward(), &action.target).await
}

/// Why a target was not reached.
pub(super) enum Unreached {
    /// The connection does not do as asked.
    Connection(MuxError),
    /// The bastion did not get there.
    Target(ChannelTrouble),
}

/// Opens one connection to the target and lets go of it.
pub(super) async fn reaches(action: &Action) -> Result<(), Unreached> {
    let master = action.master();
    let log = master.log();
    let before = log_length(&log);
    let mux = Mux::connect(&master.control()).await.map_err(Unreached::Connection)?;
    let (host, target) = (reading::place(&action.bastion), action.target.to_string());
    match mux.probe(&action.target, PROBE_MAX).await {
        Ok(true) => Ok(()),
        Err(MuxError::Silent(_)) => {
            Err(Unreached::Target(ChannelTrouble::TimedOut { host, target }))
        }
        Err(error) => Err(Unreached::Connection(error)),
        Ok(false) => {
            let logs = Logs::read(&log, 0);
            let skip = usize::try_from(before).unwrap_or_default();
            let new = logs.main.get(skip..).unwrap_or(&logs.main);
            let said = new.lines().rev().find_map(|line| reading::channel(line, &host, &target));
            let why = text::shown("it said no and gave no reason");
            Err(Unreached::Target(said.unwrap_or(ChannelTrouble::Other { host, target, why })))
        }
    }
}

fn log_length(log: &Path) -> u64 {
    log.metadata().map_or(0, |it| it.len())
}

/// How long a target may take to answer the bastion.
const PROBE_MAX: Duration = Duration::from_secs(10);
/// The engine's time and the wall clock may differ by a little.
const ENDS_IN_LEAST: Span = Span::from_minutes(1);
