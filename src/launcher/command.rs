//! Starts things by commands of one's own: whatever a site has that nobody else knows.
//!
//! Each command is a list of words that no shell reads, run on this host. The protocol:
//!
//! | Command | Is given | Says |
//! |---|---|---|
//! | `start` | all variables below; the secrets as lines `NAME=VALUE` to read | its id: one line, 200 plain characters at most; ends with 3 where it has surely started nothing and nothing will come of it |
//! | `look` | `BREAKGLASS_NAME` | ends with 0 where it runs, with 3 where it does not; may print the id |
//! | `stop` | `BREAKGLASS_NAME`, and `BREAKGLASS_ID` where `look` prints it | ends with 0, also where it was gone already |
//! | `logs` | the same | its last lines |
//! | `list` | `BREAKGLASS_PREFIX`, which every name of this installation begins with | the names of all that run, one a line |
//!
//! | Variable | What |
//! |---|---|
//! | `BREAKGLASS_NAME` | the name to give it, by which alone it must be found again |
//! | `BREAKGLASS_WHAT` | what it is: `router`, `connector` |
//! | `BREAKGLASS_IMAGE`, `BREAKGLASS_ARGUMENTS` | the image, and the arguments of its program as a JSON array |
//! | `BREAKGLASS_PROGRAM` | the program with its arguments where a host runs it, as a JSON array |
//! | `BREAKGLASS_SCRATCH` | the folders to which it writes, as a JSON array |
//! | `BREAKGLASS_ENVIRONMENT` | its variables, without the secret ones, as a JSON object |
//! | `BREAKGLASS_DEADLINE`, `BREAKGLASS_DEADLINE_SECONDS` | when it must be over: RFC 3339, and in so many seconds |
//!
//! `start` must see to it that the thing ends at the deadline without anybody's help. Nothing that it
//! says is believed: what was started is looked for, and what cannot be named is stopped. Where it
//! fails otherwise than with 3, something may still come of it: that is looked for, too.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Waits;
use super::order::Order;
use super::transport::Transport;
use super::way::{Failed, Seen, Way, prefix};
use crate::clock::Stopwatch;
use crate::domain::id::InstallationId;
use crate::domain::launcher::CommandLauncher;
use crate::domain::probe::ProbeCheck;
use crate::domain::text;
use crate::domain::time::Span;
use crate::process::{Ran, Variables};
use crate::session::Undone;

/// Commands of one's own.
pub(super) struct Commands<'a> {
    settings: &'a CommandLauncher,
    variables: &'a Variables,
    waits: &'a Waits,
}

impl<'a> Commands<'a> {
    /// Makes the way.
    pub const fn new(
        settings: &'a CommandLauncher,
        variables: &'a Variables,
        waits: &'a Waits,
    ) -> Self {
        Self { settings, variables, waits }
    }

    async fn run(
        &self,
        words: &[String],
        more: Variables,
        input: &[u8],
        limit: Span,
    ) -> Result<Ran, super::transport::Lost> {
        let mut variables = self.variables.clone();
        variables.extend(more);
        Transport::here(variables, self.waits).run(words.to_vec(), input, limit).await
    }

    /// Runs `look`: its answer, and the id that it may have printed.
    async fn look(&self, name: &str) -> Result<(Seen, Option<String>), String> {
        let ran = self.run(&self.settings.look, named(name), b"", LOOK_MAX).await;
        let ran = ran.map_err(|lost| lost.why)?;
        match ran.code {
            Some(0) => Ok((Seen::Runs, id(&ran.stdout).ok().flatten())),
            Some(3) => Ok((Seen::Absent, None)),
            _ => Err(format!("the `look` command says neither 0 nor 3: {}", ran.complaint())),
        }
    }

    async fn called(&self, name: &str) -> Variables {
        let mut variables = named(name);
        if let Ok((_, Some(id))) = self.look(name).await {
            variables.insert("BREAKGLASS_ID".to_owned(), id);
        }
        variables
    }
}

#[async_trait]
impl Way for Commands<'_> {
    async fn see(&self, name: &str) -> Result<Seen, String> {
        self.look(name).await.map(|(seen, _)| seen)
    }

    async fn launch(&self, order: &Order<'_>) -> Result<Value, Failed> {
        let input = order.secret_lines();
        let ran = self.run(&self.settings.start, variables(order), &input, START_MAX).await?;
        let ran = order.scrubbed(ran);
        if !ran.is_well() {
            let why = format!("the `start` command failed: {}", ran.complaint());
            let surely_nothing = ran.code == Some(SURELY_NOTHING);
            return Err(if surely_nothing { Failed::Refused(why) } else { Failed::Unknown(why) });
        }
        match id(&ran.stdout) {
            Ok(id) => Ok(id.map_or(Value::Null, |id| json!({ "id": id }))),
            Err(why) => Err(Failed::Refused(format!("{why}; it was stopped"))),
        }
    }

    async fn stop(&self, name: &str) -> Undone {
        let variables = self.called(name).await;
        match self.run(&self.settings.stop, variables, b"", STOP_MAX).await {
            Ok(ran) if ran.is_well() => Undone::Sent,
            Ok(ran) => Undone::Problem(format!("the `stop` command failed: {}", ran.complaint())),
            Err(lost) => Undone::Problem(lost.why),
        }
    }

    async fn logs(&self, name: &str) -> Result<String, String> {
        let logs = self.settings.logs.as_ref();
        let logs = logs.ok_or("there is no `logs` command for it in the configuration")?;
        let variables = self.called(name).await;
        match self.run(logs, variables, b"", LOOK_MAX).await {
            Ok(ran) if ran.is_well() => Ok(ran.stdout),
            Ok(ran) => Err(format!("the `logs` command failed: {}", ran.complaint())),
            Err(lost) => Err(lost.why),
        }
    }

    async fn list(&self, installation: &InstallationId) -> Result<Vec<String>, String> {
        let list = self.settings.list.as_ref().ok_or(NO_LIST)?;
        let begins = [("BREAKGLASS_PREFIX".to_owned(), prefix(installation))].into();
        match self.run(list, begins, b"", LOOK_MAX).await {
            Ok(ran) if ran.is_well() => {
                Ok(ran.stdout.lines().map(|line| line.trim().to_owned()).collect())
            }
            Ok(ran) => Err(format!("the `list` command failed: {}", ran.complaint())),
            Err(lost) => Err(lost.why),
        }
    }

    async fn validate(&self) -> Vec<ProbeCheck> {
        let watch = Stopwatch::start();
        // A name that nothing has: this must be the answer of something that knows what runs.
        let looked = match self.look(NOBODY).await {
            Ok((Seen::Absent, _)) => Ok("it tells what does not run".to_owned()),
            Ok(_) => Err("it says of a name that nothing has that it runs; it must end with 3 \
                          there"
                .to_owned()),
            Err(why) => Err(why),
        };
        let found = self.settings.list.as_ref().map(|_| "there is one".to_owned());
        vec![
            ProbeCheck {
                name: "look".to_owned(),
                needed: true,
                found: looked,
                millis: watch.elapsed().as_millis(),
            },
            ProbeCheck {
                name: "list".to_owned(),
                needed: false,
                found: found.ok_or_else(|| NO_LIST.to_owned()),
                millis: 0,
            },
        ]
    }

    fn expires(&self, at: &str) -> String {
        let program = self.settings.start.first().map_or("nothing", String::as_str);
        format!(
            "`{}` was told to end it at {at}, which cannot be moved later",
            text::shown(program)
        )
    }

    fn by_hand(&self, name: &str) -> Vec<Vec<String>> {
        let mut words = vec!["env".to_owned(), format!("BREAKGLASS_NAME={name}")];
        words.extend(self.settings.stop.iter().cloned());
        vec![words]
    }

    fn noun(&self) -> &'static str {
        "launch"
    }
}

fn named(name: &str) -> Variables {
    [("BREAKGLASS_NAME".to_owned(), name.to_owned())].into()
}

fn variables(order: &Order<'_>) -> Variables {
    let spec = order.spec;
    let said = [
        ("NAME", order.name()),
        ("WHAT", spec.what.clone()),
        ("IMAGE", spec.image.clone()),
        ("PROGRAM", json!(spec.program).to_string()),
        ("ARGUMENTS", json!(spec.arguments).to_string()),
        ("SCRATCH", json!(spec.scratch).to_string()),
        ("ENVIRONMENT", json!(spec.environment).to_string()),
        ("DEADLINE", spec.ends_at.to_rfc3339()),
        ("DEADLINE_SECONDS", order.seconds.to_string()),
    ];
    said.into_iter().map(|(name, value)| (format!("BREAKGLASS_{name}"), value)).collect()
}

/// Reads an id: one line of plain characters, or nothing.
fn id(said: &str) -> Result<Option<String>, &'static str> {
    let said = said.trim();
    let is_plain = |c: char| c.is_ascii_graphic() || c == ' ';
    match said {
        "" => Ok(None),
        _ if said.len() > ID_CHARS_MAX => {
            Err("the `start` command printed no id but a lot of text")
        }
        _ if said.chars().all(is_plain) => Ok(Some(said.to_owned())),
        _ => Err("the `start` command printed no id: it must be one line of plain characters"),
    }
}

/// How `start` ends where nothing comes of it.
const SURELY_NOTHING: i32 = 3;
const ID_CHARS_MAX: usize = 200;
/// A mark that no installation can have: its session expired at the epoch.
const NOBODY: &str = "bg-aaaaaa-00000000-00000000";
const NO_LIST: &str = "there is no `list` command, so nobody knows what was left behind there; give \
                       `list` in `[site.launcher]`";
const START_MAX: Span = Span::from_seconds(30);
const STOP_MAX: Span = Span::from_seconds(30);
const LOOK_MAX: Span = Span::from_seconds(10);
