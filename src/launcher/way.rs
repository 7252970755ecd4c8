//! What every kind of launcher does at one place, and the order in which it is done.
//!
//! ```text
//! see ── runs ───────────────────────────────────────────► applied
//!  │ ── left of an earlier one ── stop, see ──┐
//!  └─── absent ───────────────────────────────┴─ launch, see ── runs ► applied
//!                                                   │    ├ left ─ logs, stop, see ──────► refused
//!                                                   │    └ absent: maybe not yet ───────► unknown
//!                                                   ├ the other side says no ─ stop, see ─► refused
//!                                                   └ no answer ──────────────────────────► unknown
//! ```
//!
//! What is refused was seen gone; what cannot be seen gone is unknown.

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::sleep;

use super::Waits;
use super::order::{Order, scrub, with_last_line};
use super::transport::Lost;
use crate::domain::artifact::{Artifact, Marked, Marker};
use crate::domain::id::InstallationId;
use crate::domain::launcher::LaunchSpec;
use crate::domain::probe::ProbeCheck;
use crate::domain::text;
use crate::process::Ran;
use crate::session::{Applied, Looked, Undone};

/// A way to start things at one place. Everything there is called by its mark.
#[async_trait]
pub(super) trait Way: Send + Sync {
    /// Sees whether something runs, or anything of it is left. An error says why nobody can tell.
    async fn see(&self, name: &str) -> Result<Seen, String>;

    /// Starts something that is not there.
    async fn launch(&self, order: &Order<'_>) -> Result<Value, Failed>;

    /// Stops it and takes away what belongs to it. It may be gone already.
    async fn stop(&self, name: &str) -> Undone;

    /// Returns the last lines that it has said.
    async fn logs(&self, name: &str) -> Result<String, String>;

    /// Lists the names of all that bear the mark of an installation, and maybe others.
    async fn list(&self, installation: &InstallationId) -> Result<Vec<String>, String>;

    /// Sees what can be done there.
    async fn validate(&self) -> Vec<ProbeCheck>;

    /// What gives it an end, in words; `at` is when that is.
    fn expires(&self, at: &str) -> String;

    /// The commands that remove it by hand.
    fn by_hand(&self, name: &str) -> Vec<Vec<String>>;

    /// What one thing there is called.
    fn noun(&self) -> &'static str;
}

/// What is to be seen of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It runs.
    Runs,
    /// It does not run, or not whole, and something of it is there.
    Left,
    /// There is nothing of it.
    Absent,
}

/// Why something was not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The other side has said no, or was never asked. Something of it may be there all the same.
    Refused(String),
    /// Nobody saw the answer.
    Unknown(String),
}

impl Failed {
    /// Takes a start that did not end well for a refusal where the far side has surely said no:
    /// nothing ended the program from outside, and it does not complain of a lost connection.
    pub fn of(ran: &Ran, why: String) -> Self {
        let said = ran.stderr.to_ascii_lowercase();
        let is_lost = LOST.iter().any(|word| said.contains(word)) && !said.contains(ANSWERED);
        match ran.code {
            Some(1..=ENDED_ITSELF_MAX) if !is_lost => Self::Refused(why),
            _ => Self::Unknown(why),
        }
    }
}

impl From<Lost> for Failed {
    fn from(lost: Lost) -> Self {
        if lost.never_run { Self::Refused(lost.why) } else { Self::Unknown(lost.why) }
    }
}

/// Starts something, or finds that it runs already.
pub(super) async fn start(way: &dyn Way, order: &Order<'_>, waits: &Waits) -> Applied {
    let name = order.name();
    match way.see(&name).await {
        Ok(Seen::Runs) => return Applied::Applied(Some(artifact(order.spec, Value::Null))),
        Ok(Seen::Absent) => {}
        Ok(Seen::Left) => {
            if let Err(why) = clear(way, &name, waits).await {
                return Applied::Unknown(format!("something of an earlier one is left: {why}"));
            }
        }
        Err(why) => {
            return Applied::Refused(format!("cannot see whether it runs already: {why}"));
        }
    }
    match way.launch(order).await {
        Ok(details) => confirm(way, order, details, waits).await,
        Err(Failed::Refused(why)) => refuse(way, &name, why, waits).await,
        Err(Failed::Unknown(why)) => Applied::Unknown(why),
    }
}

/// Believes nothing that was said of a start: it must be seen to run.
async fn confirm(way: &dyn Way, order: &Order<'_>, details: Value, waits: &Waits) -> Applied {
    let (name, what) = (order.name(), text::shown(&order.spec.what));
    let mut seen = Ok(Seen::Absent);
    for pause in waits.pauses {
        sleep(pause.to_std()).await;
        seen = way.see(&name).await;
        if seen != Ok(Seen::Absent) {
            break;
        }
    }
    let why = match &seen {
        Ok(Seen::Runs) => return Applied::Applied(Some(artifact(order.spec, details))),
        Ok(Seen::Left) => format!("the {what} ended as soon as it was started"),
        Ok(Seen::Absent) => format!("the {what} was started, it is said, and it does not run"),
        Err(why) => return Applied::Unknown(format!("whether it runs cannot be seen: {why}")),
    };
    let logs = scrub(&way.logs(&name).await.unwrap_or_default(), order.secrets);
    let why = with_last_line(why, &logs);
    if seen == Ok(Seen::Absent) {
        // It may only be slow to come.
        return Applied::Unknown(why);
    }
    refuse(way, &name, why, waits).await
}

/// Refuses a start once nothing of it is there.
async fn refuse(way: &dyn Way, name: &str, why: String, waits: &Waits) -> Applied {
    match clear(way, name, waits).await {
        Ok(()) => Applied::Refused(why),
        Err(left) => Applied::Unknown(format!("{why}; something of it may be left: {left}")),
    }
}

/// Stops something and sees it gone.
async fn clear(way: &dyn Way, name: &str, waits: &Waits) -> Result<(), String> {
    let stopped = way.stop(name).await;
    for pause in waits.pauses {
        match way.see(name).await? {
            Seen::Absent => return Ok(()),
            Seen::Runs | Seen::Left => sleep(pause.to_std()).await,
        }
    }
    match stopped {
        Undone::Sent => Err("it is still there".to_owned()),
        Undone::Problem(why) => Err(why),
    }
}

/// Sees whether something is there.
pub(super) async fn look(way: &dyn Way, spec: &LaunchSpec) -> Looked {
    match way.see(&spec.marker.to_string()).await {
        Ok(Seen::Runs | Seen::Left) => Looked::Found(artifact(spec, Value::Null)),
        Ok(Seen::Absent) => Looked::Absent,
        Err(why) => Looked::Unclear(why),
    }
}

/// What was listed, as far as it bears the mark of the installation: of another one nothing is even
/// seen.
pub(super) fn ours(way: &dyn Way, names: &[String], installation: &InstallationId) -> Vec<Marked> {
    let mut markers: Vec<Marker> = names.iter().filter_map(|name| name.parse().ok()).collect();
    markers.retain(|marker| marker.installation == *installation);
    markers.sort();
    markers.dedup();
    let marked = |marker: Marker| {
        let name = marker.to_string();
        let by_hand = way.by_hand(&name);
        let artifact = Artifact { kind: way.noun().to_owned(), name, details: Value::Null };
        Marked { marker, artifact, by_hand }
    };
    markers.into_iter().map(marked).collect()
}

/// The mark that everything of an installation begins with.
pub(super) fn prefix(installation: &InstallationId) -> String {
    format!("bg-{installation}-")
}

fn artifact(spec: &LaunchSpec, details: Value) -> Artifact {
    Artifact { kind: spec.what.clone(), name: spec.marker.to_string(), details }
}

/// The highest exit code of a program that was ended by no signal, as a shell tells it.
const ENDED_ITSELF_MAX: i32 = 127;
/// What programs say where they asked for something and lost whom they asked.
const LOST: [&str; 9] = [
    "error during connect",
    "eof",
    "connection reset",
    "broken pipe",
    "timed out",
    "timeout",
    "deadline exceeded",
    "no reply",
    "transport endpoint",
];
/// What stands before an answer, whatever it says.
const ANSWERED: &str = "error response from daemon";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_refused_only_where_the_far_side_said_no() {
        let ran = |code: Option<i32>, stderr: &str| {
            let ran = Ran { code, stdout: String::new(), stderr: stderr.to_owned() };
            matches!(Failed::of(&ran, String::new()), Failed::Refused(_))
        };
        assert!(ran(Some(125), "docker: no such image"));
        assert!(ran(Some(125), "Error response from daemon: Get \"https://x\": request timeout"));
        assert!(ran(Some(127), "not found"));
        assert!(!ran(Some(125), "error during connect: Post \"http://x\": EOF"));
        assert!(!ran(Some(1), "Failed to start transient service unit: Connection timed out"));
        assert!(!ran(Some(137), "Killed"));
        assert!(!ran(None, ""));
    }
}
