//! What a `tailscaled` writes into its log: much, and the reason of its trouble among it. Pure.

use crate::domain::text;

/// Finds the line that says why, the newest first; clean, without its time.
#[must_use]
pub fn reason(log: &str) -> Option<String> {
    let lines = || log.lines().rev().map(without_time).filter(|line| !is_noise(line));
    let telling = lines().find(|line| {
        let line = line.to_ascii_lowercase();
        TELLING.iter().any(|words| line.contains(words))
    });
    telling.or_else(|| lines().next()).map(text::shown)
}

/// Takes `2026/11/28 21:39:07 ` away.
fn without_time(line: &str) -> &str {
    let line = line.trim();
    let is_time = |byte: u8| byte.is_ascii_digit() || b"/: ".contains(&byte);
    match line.as_bytes().get(..TIME_BYTES) {
        Some(start) if start.iter().copied().all(is_time) => {
            line.get(TIME_BYTES..).unwrap_or_default().trim()
        }
        _ => line,
    }
}

/// True for what is said in good times, too.
fn is_noise(line: &str) -> bool {
    line.is_empty() || NOISE.iter().any(|start| line.starts_with(start))
}

const TIME_BYTES: usize = "2026/11/28 21:39:07 ".len();
const TELLING: &[&str] =
    &["error", "fail", "fatal", "invalid", "denied", "refused", "x509", "no such file", "panic"];
const NOISE: &[&str] = &[
    "TPM: error opening",
    "tstun: error initializing tun dev stats",
    "health(warnable=",
    "logpolicy",
    "dns: inotify",
    "ipnext: work queue shutdown failed",
    "flushing log",
    "logger closing down",
    "magicsock: ",
    // The line before it was said too often.
    "[RATELIMIT]",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_found_among_the_rest() {
        let log = "TPM: error opening: stat /dev/tpmrm0: no such file or directory\n\
            2026/11/28 21:39:07 dns: using \"direct\" mode\n\
            2026/11/28 21:39:08 Received error: fetch control key: Get \"http://127.0.0.1:9/key?v=142\": connection refused\n\
            2026/11/28 21:39:08 health(warnable=warming-up): error: Tailscale is starting.\n\
            2026/11/28 21:39:09 control: authRoutine: exiting\n\
            2026/11/28 21:39:09 [RATELIMIT] format(\"Received error: %v\")\n\
            2026/11/28 21:39:09 flushing log.\n";
        let why = "Received error: fetch control key: Get \"http://127.0.0.1:9/key?v=142\": connection refused";
        assert_eq!(reason(log).as_deref(), Some(why));
    }

    #[test]
    fn where_no_line_tells_the_last_one_does() {
        assert_eq!(reason("one\ntwo\u{1b}[2J\n\n").as_deref(), Some("two<1B>[2J"));
        assert_eq!(reason("2026/11/28 21:39:09 logger closing down\n"), None);
        assert_eq!(
            reason("\u{df}2026/11/28 21:39:0\u{df}x").as_deref(),
            Some("ß2026/11/28 21:39:0ßx")
        );
    }
}
