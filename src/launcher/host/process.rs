//! Programs held by `timeout` (coreutils) and a supervisor: for hosts without systemd, or without
//! any right to use it.
//!
//! The supervisor ends all that bears the mark once the program has ended or its time is over, also
//! what has left its process group. What the program says is kept in a folder of the user's alone
//! below `/tmp`, a megabyte at the most; a minute after the end it is gone. Variables, secret ones
//! among them, are read from standard input and stand in no file and no argument.

use super::super::marked;
use super::super::order::{LINES_MAX, Order};
use super::super::transport::Transport;
use super::super::way::{Failed, Seen, prefix};
use super::hold;
use crate::domain::id::InstallationId;
use crate::domain::probe::ProbeCheck;
use crate::domain::time::Span;

/// The programs on a host.
pub(super) struct Processes<'a> {
    pub transport: &'a Transport,
}

impl Processes<'_> {
    pub async fn see(&self, name: &str) -> Result<Seen, String> {
        match marked::see(self.transport, name).await? {
            Seen::Absent if hold::is_held(name)? => Ok(Seen::Left),
            seen => Ok(seen),
        }
    }

    pub async fn launch(&self, order: &Order<'_>) -> Result<(), Failed> {
        let (name, spec) = (order.name(), order.spec);
        let (seconds, count) = (order.seconds.to_string(), spec.scratch.len().to_string());
        let words = ["sh", "-c", START, "breakglass", SUPERVISE, &name, &seconds, &count];
        let mut words: Vec<String> = words.map(ToOwned::to_owned).into();
        words.extend(spec.scratch.iter().chain(&spec.program).cloned());
        let mut input = order.plain_lines();
        input.push(b'\n');
        let ran = self.transport.run(words, &input, START_MAX).await?;
        let ran = order.scrubbed(ran);
        if ran.is_well() {
            // Longer than the program itself: what it said can be read for a while after its end.
            let seconds = order.seconds.saturating_add(READABLE_SECONDS);
            let held = hold::hold(self.transport, &name, seconds);
            return held.map_err(Failed::Refused);
        }
        let why = format!("{} says: {}", self.transport.place(), ran.complaint());
        Err(Failed::of(&ran, why))
    }

    pub async fn stop(&self, name: &str) -> Result<(), String> {
        let ended = marked::end(self.transport, name).await;
        // Also where the host was not reached: it then ends the program by itself.
        let let_go = hold::let_go(self.transport, name).await;
        ended.and(let_go)
    }

    pub async fn logs(&self, name: &str) -> Result<String, String> {
        let (lines, file) = (LINES_MAX.to_string(), format!("/tmp/{name}/log"));
        let words = ["tail", "-n", &lines, &file].map(ToOwned::to_owned);
        let ran = self.transport.run(words.into(), b"", ASK_MAX).await;
        let ran = ran.map_err(|lost| lost.why)?;
        if ran.is_well() {
            Ok(ran.stdout)
        } else {
            Err(format!("{} says: {}", self.transport.place(), ran.complaint()))
        }
    }

    pub async fn list(&self, installation: &InstallationId) -> Result<Vec<String>, String> {
        marked::list(self.transport, &prefix(installation)).await
    }

    pub async fn test(&self) -> ProbeCheck {
        marked::tools(self.transport, "timeout", &["timeout", "mkfifo", "dd", "grep", "tr"]).await
    }

    pub fn by_hand(&self, name: &str) -> Vec<Vec<String>> {
        let folder = format!("/tmp/{name}");
        vec![
            self.transport.by_hand(&marked::by_hand(name)),
            self.transport.by_hand(&["rm", "-rf", &folder].map(ToOwned::to_owned)),
        ]
    }
}

const START: &str = include_str!("start.sh");
const SUPERVISE: &str = include_str!("supervise.sh");
const READABLE_SECONDS: u64 = 30;
const START_MAX: Span = Span::from_seconds(20);
const ASK_MAX: Span = Span::from_seconds(15);
