//! Programs held by systemd: transient units (systemd-run(1)), of the system's manager or of the
//! user's own.
//!
//! `RuntimeMaxSec` ends one in time, `--collect` leaves no failed unit behind, and a name that is
//! taken is refused by systemd itself. What a unit's environment says can be read by everybody over
//! D-Bus (systemd.exec(5)), so variables go into an `EnvironmentFile` of root alone, which is gone
//! once the program runs. A unit of the system's manager runs as a user of its own that exists as
//! long as it does.

use super::super::order::Order;
use super::super::transport::Transport;
use super::super::way::{Failed, Seen, prefix};
use crate::domain::id::InstallationId;
use crate::domain::text;
use crate::domain::time::Span;
use crate::process::Ran;

/// The units of one manager.
pub(super) struct Units<'a> {
    pub transport: &'a Transport,
    /// Whether `sudo -n` stands before.
    pub sudo: bool,
    /// Whether it is the user's own manager.
    pub of_user: bool,
}

impl Units<'_> {
    pub async fn see(&self, name: &str) -> Result<Seen, String> {
        match self.ask("see", name).await?.trim() {
            "runs" => Ok(Seen::Runs),
            "left" => Ok(Seen::Left),
            "absent" => Ok(Seen::Absent),
            odd => Err(format!("{} answers oddly: {}", self.transport.place(), text::shown(odd))),
        }
    }

    pub async fn launch(&self, order: &Order<'_>) -> Result<(), Failed> {
        let words = self.words("start", &order.name(), run_words(order, self.of_user));
        let input = order.lines(environment_line);
        let ran = self.transport.run(words, &input, START_MAX).await?;
        let ran = order.scrubbed(ran);
        if ran.is_well() { Ok(()) } else { Err(Failed::of(&ran, self.trouble(&ran))) }
    }

    pub async fn stop(&self, name: &str) -> Result<(), String> {
        self.ask("stop", name).await.map(drop)
    }

    pub async fn logs(&self, name: &str) -> Result<String, String> {
        self.ask("logs", name).await
    }

    pub async fn list(&self, installation: &InstallationId) -> Result<Vec<String>, String> {
        let said = self.ask("list", &prefix(installation)).await?;
        Ok(said.lines().map(|line| line.trim().to_owned()).collect())
    }

    /// Asks after a unit that nobody has: the manager answers, and `sudo` where it is to be used.
    pub async fn test(&self) -> Result<String, String> {
        self.see("bg-aaaaaa-00000000-00000000").await?;
        let who = if self.of_user { "the user's systemd" } else { "systemd" };
        Ok(format!("{who} holds programs there"))
    }

    pub fn by_hand(&self, name: &str) -> Vec<String> {
        let unit = format!("{name}.service");
        let sudo = if self.sudo { &["sudo", "-n"][..] } else { &[] };
        let user = if self.of_user { &["--user"][..] } else { &[] };
        let words = [sudo, &["systemctl"], user, &["stop", &unit]].concat();
        let words: Vec<_> = words.into_iter().map(ToOwned::to_owned).collect();
        self.transport.by_hand(&words)
    }

    async fn ask(&self, mode: &str, name: &str) -> Result<String, String> {
        let words = self.words(mode, name, vec![]);
        let ran = self.transport.run(words, b"", ASK_MAX).await.map_err(|lost| lost.why)?;
        if ran.is_well() { Ok(ran.stdout) } else { Err(self.trouble(&ran)) }
    }

    fn words(&self, mode: &str, name: &str, more: Vec<String>) -> Vec<String> {
        let sudo = if self.sudo { &["sudo", "-n"][..] } else { &[] };
        let user = if self.of_user { "--user" } else { "" };
        let script = ["sh", "-c", SCRIPT, "breakglass", mode, user, name];
        let words = sudo.iter().copied().chain(script).map(ToOwned::to_owned);
        words.chain(more).collect()
    }

    /// What went wrong, and what to do where that is known.
    fn trouble(&self, ran: &Ran) -> String {
        let place = self.transport.place();
        let said = ran.stderr.to_ascii_lowercase();
        if said.contains("a password is required") || said.contains("a terminal is required") {
            format!(
                "`sudo` on {place} asks for a password: allow this user `sudo` without one, or set \
                 `method = \"timeout\"` in `[site.launcher]`"
            )
        } else if said.contains("interactive authentication required")
            || said.contains("permission denied")
            || said.contains("access denied")
        {
            format!(
                "systemd on {place} is closed to this user: set `sudo = true` or `method = \
                 \"timeout\"` in `[site.launcher]`"
            )
        } else if said.contains("failed to connect to bus") || said.contains("not been booted") {
            format!(
                "systemd does not run on {place}, or not for this user: set `method = \"timeout\"` \
                 in `[site.launcher]`"
            )
        } else {
            format!("systemd on {place} says: {}", ran.complaint())
        }
    }
}

fn run_words(order: &Order<'_>, of_user: bool) -> Vec<String> {
    let mut words: Vec<String> =
        ["--collect", "--quiet", "--service-type=exec"].map(ToOwned::to_owned).into();
    let mut property = |text: String| words.push(format!("--property={text}"));
    property(format!("RuntimeMaxSec={}", order.seconds));
    property("Restart=no".to_owned());
    property("TimeoutStopSec=10".to_owned());
    property("NoNewPrivileges=yes".to_owned());
    if of_user && !order.spec.scratch.is_empty() {
        // The user's manager can mount nothing without it (systemd.exec(5)).
        property("PrivateUsers=yes".to_owned());
    }
    if !of_user {
        // It implies a read-only system and a private `/tmp`.
        property("DynamicUser=yes".to_owned());
    }
    for folder in &order.spec.scratch {
        property(format!("TemporaryFileSystem={folder}:mode=1777"));
    }
    words.push("--".to_owned());
    // systemd puts variables in place of `$NAME`; `$$` is the character.
    words.extend(order.spec.program.iter().map(|word| word.replace('$', "$$")));
    words
}

/// A line of an EnvironmentFile: between double quotes four characters mean something.
fn environment_line(name: &str, value: &str) -> String {
    let mut line = format!("{name}=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '`' | '$') {
            line.push('\\');
        }
        line.push(c);
    }
    line.push_str("\"\n");
    line
}

const SCRIPT: &str = include_str!("unit.sh");
const START_MAX: Span = Span::from_seconds(30);
const ASK_MAX: Span = Span::from_seconds(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_back_as_it_was() {
        assert_eq!(
            environment_line("A", r#" a "b" $c `d` \e # "#),
            "A=\" a \\\"b\\\" \\$c \\`d\\` \\\\e # \"\n"
        );
    }
}
