//! Every kind of launcher behind the one contract.
//!
//! What holds for all of them is here: an order is checked before anything is done, no secret gets
//! into any text that comes back, and of another installation nothing is listed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::command::Commands;
use super::container::Containers;
use super::host::{Host, Methods};
use super::kubernetes::Jobs;
use super::order::{Order, last_lines, scrub};
use super::way::{self, Way, ours};
use super::{Described, Launcher, Secrets, Waits};
use crate::domain::artifact::{Marked, Marker};
use crate::domain::id::InstallationId;
use crate::domain::launcher::{Launch, LaunchSpec, LauncherSettings};
use crate::domain::probe::Probe;
use crate::domain::time::Timestamp;
use crate::process::Variables;
use crate::session::{Applied, Looked, Undone};
use crate::ssh::Ssh;

/// Every kind of launcher.
#[derive(Debug)]
pub struct Launchers {
    ssh: Ssh,
    variables: Variables,
    /// The secrets of what this process has started, so that they are taken out of what it says.
    known: Mutex<BTreeMap<Marker, Secrets>>,
    methods: Methods,
    waits: Waits,
}

impl Launchers {
    /// Makes them: what `ssh` they use, and what their commands find in their environment.
    #[must_use]
    pub fn new(ssh: Ssh, variables: Variables) -> Self {
        Self::waiting(ssh, variables, Waits::default())
    }

    /// Makes them with waits of one's own.
    #[must_use]
    pub const fn waiting(ssh: Ssh, variables: Variables, waits: Waits) -> Self {
        Self {
            ssh,
            variables,
            known: Mutex::new(BTreeMap::new()),
            methods: Mutex::new(BTreeMap::new()),
            waits,
        }
    }

    fn way<'a>(&'a self, settings: &'a LauncherSettings) -> Box<dyn Way + 'a> {
        let waits = &self.waits;
        match settings {
            LauncherSettings::Ssh(it) => Box::new(Host::new(it, &self.ssh, &self.methods, waits)),
            LauncherSettings::Container(it) => {
                Box::new(Containers::new(it, &self.ssh, &self.variables, waits))
            }
            LauncherSettings::Kubernetes(it) => Box::new(Jobs::new(it, &self.variables, waits)),
            LauncherSettings::Command(it) => Box::new(Commands::new(it, &self.variables, waits)),
        }
    }

    /// True where they were not known before.
    fn remember(&self, marker: &Marker, secrets: &Secrets) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(marker.clone(), secrets.clone()).is_none()
    }

    fn forget(&self, marker: &Marker) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(marker);
    }

    /// The secrets of something, where this process knows them all.
    fn recall(&self, spec: &LaunchSpec) -> Option<Secrets> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(&spec.marker) {
            None if spec.secrets.is_empty() => Some(Secrets::new()),
            secrets => secrets.cloned(),
        }
    }

    fn scrubbed(&self, spec: &LaunchSpec, text: &str) -> String {
        scrub(text, &self.recall(spec).unwrap_or_default())
    }
}

#[async_trait]
impl Launcher for Launchers {
    async fn start(&self, launch: &Launch, secrets: &Secrets, now: Timestamp) -> Applied {
        let order = match Order::new(&launch.spec, secrets, now) {
            Ok(order) => order,
            Err(why) => return Applied::Refused(why),
        };
        let is_first = self.remember(&launch.spec.marker, secrets);
        match way::start(&*self.way(&launch.launcher), &order, &self.waits).await {
            Applied::Applied(artifact) => Applied::Applied(artifact),
            Applied::Refused(why) => {
                // Of an earlier try, whose end nobody saw, something may be there and speak.
                if is_first {
                    self.forget(&launch.spec.marker);
                }
                Applied::Refused(scrub(&why, secrets))
            }
            Applied::Unknown(why) => Applied::Unknown(scrub(&why, secrets)),
        }
    }

    async fn look(&self, launch: &Launch) -> Looked {
        match way::look(&*self.way(&launch.launcher), &launch.spec).await {
            Looked::Unclear(why) => Looked::Unclear(self.scrubbed(&launch.spec, &why)),
            Looked::Absent => {
                self.forget(&launch.spec.marker);
                Looked::Absent
            }
            found @ Looked::Found(_) => found,
        }
    }

    async fn stop(&self, launch: &Launch) -> Undone {
        match self.way(&launch.launcher).stop(&launch.spec.marker.to_string()).await {
            Undone::Problem(why) => Undone::Problem(self.scrubbed(&launch.spec, &why)),
            Undone::Sent => Undone::Sent,
        }
    }

    async fn logs(&self, launch: &Launch) -> Result<String, String> {
        let Some(secrets) = self.recall(&launch.spec) else {
            return Err("what it says may hold a secret that this process does not know".to_owned());
        };
        let logs = self.way(&launch.launcher).logs(&launch.spec.marker.to_string()).await;
        match logs {
            Ok(logs) => Ok(last_lines(&scrub(&logs, &secrets))),
            Err(why) => Err(scrub(&why, &secrets)),
        }
    }

    async fn list(
        &self,
        settings: &LauncherSettings,
        installation: &InstallationId,
    ) -> Result<Vec<Marked>, String> {
        let way = self.way(settings);
        let names = way.list(installation).await?;
        Ok(ours(&*way, &names, installation))
    }

    async fn remove(&self, settings: &LauncherSettings, found: &Marked) -> Undone {
        self.way(settings).stop(&found.marker.to_string()).await
    }

    async fn validate(&self, settings: &LauncherSettings, now: Timestamp) -> Probe {
        Probe { at: now, checks: self.way(settings).validate().await }
    }

    fn describe(&self, launcher: &LauncherSettings, spec: &LaunchSpec) -> Described {
        let way = self.way(launcher);
        let expires = way.expires(&until(spec.ends_at));
        Described { expires, by_hand: way.by_hand(&spec.marker.to_string()) }
    }
}

/// When something ends, as the plan says it.
fn until(at: Timestamp) -> String {
    let instant = jiff::Timestamp::from_millisecond(at.as_millis());
    let text = instant.map(|instant| instant.strftime("%H:%M UTC").to_string());
    text.unwrap_or_else(|_| at.to_rfc3339())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::SessionId;
    use crate::domain::launcher::CommandLauncher;
    use crate::domain::secret::Secret;
    use crate::domain::time::Span;
    use crate::ssh::Whose;

    /// A launch whose start and look are these lines of shell.
    fn launch(start: &str, look: &str) -> Launch {
        let words = |line: &str| ["sh", "-c", line].map(str::to_owned).to_vec();
        let at = Timestamp::from_millis(1_763_655_000_000);
        let installation = InstallationId::from_random([1; 6]);
        let launcher = LauncherSettings::Command(CommandLauncher {
            start: words(start),
            stop: words("true"),
            look: words(look),
            logs: None,
            list: None,
        });
        let spec = LaunchSpec {
            what: "router".to_owned(),
            marker: Marker::new(&installation, SessionId::new(at, [1; 10]), at),
            program: vec!["router".to_owned()],
            image: "router".to_owned(),
            arguments: vec![],
            environment: BTreeMap::new(),
            secrets: vec!["KEY".to_owned()],
            scratch: vec![],
            ends_at: at + Span::from_minutes(10),
        };
        Launch { launcher, spec }
    }

    async fn start(launchers: &Launchers, launch: &Launch) -> Applied {
        let secrets = [("KEY".to_owned(), Secret::new("vole"))].into();
        launchers.start(launch, &secrets, launch.spec.ends_at - Span::from_minutes(5)).await
    }

    #[tokio::test]
    async fn the_secrets_of_what_never_ran_are_forgotten() {
        let whose = Whose::Operator { home: "/".into() };
        let variables: Variables = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into();
        let ssh = Ssh { whose, variables: variables.clone(), dir: "/".into() };
        let launchers = Launchers::new(ssh, variables);
        let known = || launchers.known.lock().unwrap().len();
        let refused = launch("exit 3", "exit 3");
        assert!(matches!(start(&launchers, &refused).await, Applied::Refused(_)));
        assert_eq!(known(), 0);
        let lost = launch("exit 1", "exit 7");
        launchers.remember(&lost.spec.marker, &[("KEY".to_owned(), Secret::new("vole"))].into());
        assert!(matches!(start(&launchers, &lost).await, Applied::Refused(_)));
        assert_eq!(known(), 1, "an earlier one may still speak");
    }
}
