//! Where a launcher's commands are run: on this host, or on another one over SSH.
//!
//! One code for both: a command is a list of words and something to read. Whether a command that
//! gave no answer was ever run is told apart, because after the one nothing has changed, and after
//! the other nobody knows.

use crate::domain::connect::quote;
use crate::domain::ssh::SshDestination;
use crate::domain::time::Span;
use crate::process::{self, Program, Ran, RunError, Variables};
use crate::ssh::Ssh;

/// Where commands are run.
#[derive(Clone, Debug)]
pub(super) enum Transport {
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
    /// Runs a command to its end.
    ///
    /// # Errors
    ///
    /// When its end was not seen.
    pub async fn run(&self, words: Vec<String>, input: &[u8], limit: Span) -> Result<Ran, Lost> {
        match self {
            Self::Here(variables) => {
                let program = Program::new(words).with(variables).reading(input).within(limit);
                process::run(program).await.map_err(|error| Lost {
                    never_run: matches!(error, RunError::NotStarted { .. }),
                    why: error.to_string(),
                })
            }
            Self::Over(ssh, to) => ssh.run(to, &words, input, limit).await.map_err(|failure| {
                Lost { never_run: !failure.may_have_run(), why: failure.to_string() }
            }),
        }
    }

    /// The words that run a command there by hand.
    pub fn by_hand(&self, words: &[String]) -> Vec<String> {
        match self {
            Self::Here(_) => words.to_vec(),
            // The shell there reads them once more.
            Self::Over(_, to) => {
                ssh_words(to).into_iter().chain(words.iter().map(|word| quote(word))).collect()
            }
        }
    }

    /// Where that is, in words.
    pub fn place(&self) -> String {
        match self {
            Self::Here(_) => "this host".to_owned(),
            Self::Over(_, to) => to.to_string(),
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
