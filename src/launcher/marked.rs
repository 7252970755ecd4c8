//! Processes on a host, here or over SSH, that bear a mark: in their arguments, or in their
//! environment, which whatever they start inherits, whether or not it left their group. Only those
//! of the user that the commands are run as; no process id is ever noted.
//!
//! The mark is `BREAKGLASS_LAUNCH=` and the name, not the name alone: where the host is this one, a
//! provider may keep a process of the same session here.

use super::transport::Transport;
use super::way::Seen;
use crate::clock::Stopwatch;
use crate::domain::probe::ProbeCheck;
use crate::domain::text;
use crate::domain::time::Span;

/// Sees whether a mark is borne by anything.
///
/// # Errors
///
/// Why nobody can tell.
pub(super) async fn see(transport: &Transport, name: &str) -> Result<Seen, String> {
    match ask(transport, "see", name).await?.trim() {
        "runs" => Ok(Seen::Runs),
        "left" => Ok(Seen::Left),
        "absent" => Ok(Seen::Absent),
        odd => Err(format!("{} answers oddly: {}", transport.place(), text::shown(odd))),
    }
}

/// Ends all that bears a mark, and removes what belongs to it.
///
/// # Errors
///
/// Why something may be left.
pub(super) async fn end(transport: &Transport, name: &str) -> Result<(), String> {
    ask(transport, "end", name).await.map(drop)
}

/// Lists the marks that begin so.
///
/// # Errors
///
/// Why they cannot be listed.
pub(super) async fn list(transport: &Transport, prefix: &str) -> Result<Vec<String>, String> {
    let said = ask(transport, "list", prefix).await?;
    Ok(said.lines().map(|line| line.trim().to_owned()).collect())
}

/// Sees whether programs are there that are needed.
pub(super) async fn tools(transport: &Transport, name: &str, tools: &[&str]) -> ProbeCheck {
    let watch = Stopwatch::start();
    let script = "for tool; do command -v \"$tool\" >/dev/null || echo \"$tool\"; done";
    let mut words = ["sh", "-c", script, "breakglass"].map(ToOwned::to_owned).to_vec();
    words.extend(tools.iter().map(|tool| (*tool).to_owned()));
    let place = transport.place();
    let found = match transport.run(words, b"", ASK_MAX).await {
        Ok(ran) if !ran.is_well() => Err(format!("{place} says: {}", ran.complaint())),
        Ok(ran) if ran.stdout.trim().is_empty() => Ok(format!("{} are there", tools.join(", "))),
        Ok(ran) => {
            let missing: Vec<_> = ran.stdout.lines().map(text::shown).collect();
            Err(format!("{place} has no {}: install it there", missing.join(", ")))
        }
        Err(lost) => Err(lost.why),
    };
    let millis = watch.elapsed().as_millis();
    ProbeCheck { name: name.to_owned(), needed: true, found, millis }
}

/// The command that ends what bears a mark, for people. Quoted once more where another shell reads
/// it: the brackets mean files there.
pub(super) fn by_hand(name: &str) -> [String; 3] {
    ["pkill".to_owned(), "-f".to_owned(), pattern(name)]
}

/// A pattern that matches a mark, and not itself.
pub(super) fn pattern(name: &str) -> String {
    format!("[B]REAKGLASS_LAUNCH={name}")
}

async fn ask(transport: &Transport, mode: &str, name: &str) -> Result<String, String> {
    let words = ["sh", "-c", SCRIPT, "breakglass", mode, &pattern(name)].map(ToOwned::to_owned);
    let ran = transport.run(words.into(), b"", ASK_MAX).await.map_err(|lost| lost.why)?;
    if ran.is_well() {
        Ok(ran.stdout)
    } else {
        Err(format!("{} says: {}", transport.place(), ran.complaint()))
    }
}

/// What looks for a mark, for `sh -c`: the words behind it are what is to be done, and the pattern.
pub(super) const SCRIPT: &str = include_str!("marked.sh");
const ASK_MAX: Span = Span::from_seconds(25);
