//! Where a launcher's commands are run: on this host, or on another one over SSH.
//!
//! One code for both: a command is a list of words and something to read. Whether a command that
//! gave no answer was ever run is told apart, because after the one nothing has changed, and after
//! the other nobody knows.

use super::Waits;
use crate::domain::connect::quote;
use crate::domain::ssh::SshDestination;
use crate::domain::time::Span;
use crate::process::{self, Program, Ran, RunError, Variables};
use crate::ssh::Ssh;

/// Where commands are run, and how long one may take at the most.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    /// Where.
    pub at: At,
    /// No command is waited for longer, whatever it is given.
    pub longest: Span,
}

/// Where commands are run.
#[derive(Clone, Debug)]
pub(super) enum At {
    /// On this host.
    Here(Variables),
    /// On another host.
    Over(Ssh, SshDestination),
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// In words.
    pub why: String,
    /// True where the command was surely never run.
    pub never_run: bool,
}

impl Transport {
    /// On this host.
    pub const fn here(variables: Variables, waits: &Waits) -> Self {
        Self { at: At::Here(variables), longest: waits.longest }
    }

    /// On another host.
    pub const fn over(ssh: Ssh, to: SshDestination, waits: &Waits) -> Self {
        Self { at: At::Over(ssh, to), longest: waits.longest }
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    ///
    /// When its end was not seen.
    pub async fn run(&self, words: Vec<String>, input: &[u8], limit: Span) -> Result<Ran, Lost> {
        let limit = limit.min(self.longest);
        match &self.at {
            At::Here(variables) => {
                let program = Program::new(words).with(variables).reading(input).within(limit);
                process::run(program).await.map_err(|error| Lost {
                    never_run: matches!(error, RunError::NotStarted { .. }),
                    why: error.to_string(),
                })
            }
            At::Over(ssh, to) => ssh.run(to, &words, input, limit).await.map_err(|failure| Lost {
                never_run: !failure.may_have_run(),
                why: failure.to_string(),
            }),
        }
    }

    /// The words that run a command there by hand.
    pub fn by_hand(&self, words: &[String]) -> Vec<String> {
        match &self.at {
            At::Here(_) => words.to_vec(),
            // The shell there reads them once more.
            At::Over(_, to) => {
                ssh_words(to).into_iter().chain(words.iter().map(|word| quote(word))).collect()
            }
        }
    }

    /// Where that is, in words.
    pub fn place(&self) -> String {
        match &self.at {
            At::Here(_) => "this host".to_owned(),
            At::Over(_, to) => to.to_string(),
        }
    }
}

/// The words of `ssh` that lead to a host, as a person types them.
fn ssh_words(to: &SshDestination) -> Vec<String> {
    let mut words = vec!["ssh".to_owned()];
    if let Some(port) = to.port {
        words.extend(["-p".to_owned(), port.to_string()]);
    }
    if !to.jump.is_empty() {
        let hops: Vec<_> = to.jump.iter().map(ToString::to_string).collect();
        words.extend(["-J".to_owned(), hops.join(",")]);
    }
    words.push(match &to.user {
        Some(user) => format!("{user}@{}", to.host),
        None => to.host.to_string(),
    });
    words
}
