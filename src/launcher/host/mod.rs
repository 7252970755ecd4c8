//! Starts programs on a host, over SSH.
//!
//! What holds a program there is a transient unit of systemd ([`mod@unit`]), or where there is none
//! `timeout` with a supervisor of ours ([`process`]) and a watchdog ([`hold`]). `auto` takes systemd where it runs and this
//! user may use the system's manager; the answer is noted once a host, because what was started must
//! be looked for where it was started.

mod hold;
mod process;
mod unit;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use super::Waits;
use super::order::Order;
use super::transport::Transport;
use super::way::{Failed, Seen, Way};
use crate::clock::Stopwatch;
use crate::domain::id::InstallationId;
use crate::domain::launcher::{SshLauncher, SshMethod};
use crate::domain::probe::ProbeCheck;
use crate::domain::time::Span;
use crate::session::Undone;
use crate::ssh::Ssh;

/// What `auto` was found to mean, by host.
pub(super) type Methods = Mutex<BTreeMap<String, SshMethod>>;

/// A host.
pub(super) struct Host<'a> {
    settings: &'a SshLauncher,
    transport: Transport,
    methods: &'a Methods,
}

impl<'a> Host<'a> {
    /// Makes the way.
    pub fn new(settings: &'a SshLauncher, ssh: &Ssh, methods: &'a Methods, waits: &Waits) -> Self {
        let transport = Transport::over(ssh.clone(), settings.destination.clone(), waits);
        Self { settings, transport, methods }
    }

    fn held_by(&self, method: SshMethod) -> Held<'_> {
        let transport = &self.transport;
        match method {
            SshMethod::SystemdUser => {
                Held::Unit(unit::Units { transport, sudo: false, of_user: true })
            }
            SshMethod::Systemd => {
                Held::Unit(unit::Units { transport, sudo: self.settings.sudo, of_user: false })
            }
            SshMethod::Timeout | SshMethod::Auto => Held::Process(process::Processes { transport }),
        }
    }

    /// What holds programs there; asks where nobody has said.
    async fn held(&self) -> Result<Held<'_>, String> {
        match self.settings.method {
            SshMethod::Auto => Ok(self.held_by(self.method().await?)),
            method => Ok(self.held_by(method)),
        }
    }

    async fn method(&self) -> Result<SshMethod, String> {
        let key = format!("{} {}", self.transport.place(), self.settings.sudo);
        let noted = self.methods.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        if let Some(method) = noted {
            return Ok(method);
        }
        let sudo = if self.settings.sudo { "sudo" } else { "" };
        let words = ["sh", "-c", BOOTED, "breakglass", sudo].map(ToOwned::to_owned);
        let ran = self.transport.run(words.into(), b"", ASK_MAX).await.map_err(|lost| lost.why)?;
        let method = match ran.stdout.trim() {
            "systemd" => SshMethod::Systemd,
            "timeout" => SshMethod::Timeout,
            _ => return Err(format!("{} says: {}", self.transport.place(), ran.complaint())),
        };
        self.methods.lock().unwrap_or_else(PoisonError::into_inner).insert(key, method);
        Ok(method)
    }
}

/// What holds programs on a host.
enum Held<'a> {
    Unit(unit::Units<'a>),
    Process(process::Processes<'a>),
}

#[async_trait]
impl Way for Host<'_> {
    async fn see(&self, name: &str) -> Result<Seen, String> {
        match self.held().await? {
            Held::Unit(units) => units.see(name).await,
            Held::Process(processes) => processes.see(name).await,
        }
    }

    async fn launch(&self, order: &Order<'_>) -> Result<Value, Failed> {
        if order.spec.program.is_empty() {
            let what = crate::domain::text::shown(&order.spec.what);
            let why = format!("no program of the {what} for a host is known");
            return Err(Failed::Refused(why));
        }
        match self.held().await.map_err(Failed::Refused)? {
            Held::Unit(units) => units.launch(order).await?,
            Held::Process(processes) => processes.launch(order).await?,
        }
        Ok(Value::Null)
    }

    async fn stop(&self, name: &str) -> Undone {
        let stopped = match self.held().await {
            Ok(Held::Unit(units)) => units.stop(name).await,
            Ok(Held::Process(processes)) => processes.stop(name).await,
            Err(why) => Err(why),
        };
        stopped.map_or_else(Undone::Problem, |()| Undone::Sent)
    }

    async fn logs(&self, name: &str) -> Result<String, String> {
        match self.held().await? {
            Held::Unit(units) => units.logs(name).await,
            Held::Process(processes) => processes.logs(name).await,
        }
    }

    async fn list(&self, installation: &InstallationId) -> Result<Vec<String>, String> {
        match self.held().await? {
            Held::Unit(units) => units.list(installation).await,
            Held::Process(processes) => processes.list(installation).await,
        }
    }

    async fn validate(&self) -> Vec<ProbeCheck> {
        let watch = Stopwatch::start();
        let held = self.held().await;
        let found = match &held {
            Ok(Held::Unit(units)) => units.test().await,
            Ok(Held::Process(_)) => Ok("`timeout` and a supervisor hold programs there".to_owned()),
            Err(why) => Err(why.clone()),
        };
        let millis = watch.elapsed().as_millis();
        let mut checks = vec![ProbeCheck { name: "host".to_owned(), needed: true, found, millis }];
        if let Ok(Held::Process(processes)) = held {
            checks.push(processes.test().await);
        }
        checks
    }

    fn expires(&self, at: &str) -> String {
        let place = self.transport.place();
        let who = match self.settings.method {
            SshMethod::Systemd => "systemd",
            SshMethod::SystemdUser => "the user's systemd",
            SshMethod::Timeout => "`timeout`",
            SshMethod::Auto => "systemd, or `timeout` where there is none,",
        };
        format!("{who} on {place} ends it at {at}, which cannot be moved later")
    }

    fn by_hand(&self, name: &str) -> Vec<Vec<String>> {
        let ways = match self.settings.method {
            SshMethod::Auto => &[SshMethod::Systemd, SshMethod::Timeout][..],
            SshMethod::Systemd => &[SshMethod::Systemd],
            SshMethod::SystemdUser => &[SshMethod::SystemdUser],
            SshMethod::Timeout => &[SshMethod::Timeout],
        };
        let commands = ways.iter().flat_map(|method| match self.held_by(*method) {
            Held::Unit(units) => vec![units.by_hand(name)],
            Held::Process(processes) => processes.by_hand(name),
        });
        commands.collect()
    }

    fn noun(&self) -> &'static str {
        "program"
    }
}

/// Whether systemd runs there (sd_booted(3)) and its manager is ours to use.
const BOOTED: &str = "if [ -d /run/systemd/system ] && { [ -n \"$1\" ] || [ \"$(id -u)\" = 0 ]; }; \
                      then echo systemd; else echo timeout; fi";
const ASK_MAX: Span = Span::from_seconds(15);

#[cfg(test)]
mod tests;
