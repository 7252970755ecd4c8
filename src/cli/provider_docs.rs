//! What `--json` prints of providers and of what is left behind. The rules are those of `docs`.

use std::path::Path;

use serde::Serialize;

use super::words::Times;
use crate::domain::id::{ProviderId, SiteId};
use crate::domain::launcher::LauncherSettings;
use crate::domain::probe::{Probe, ProbeCheck};
use crate::domain::provider::{Health, ProviderKind, ProviderSettings, ProviderSetup};
use crate::domain::site::Site;
use crate::domain::ssh::SshDestination;
use crate::domain::tailscale::{DataPath, ServerUrl, TailnetName, TailscaleSetup};
use crate::domain::time::Timestamp;
use crate::domain::twingate::{ClientPath, TwingateSetup};
use crate::protocol::{Kept, OrphanView, ProviderView, SweepProblem, SweepView, ValidationView};

#[derive(Serialize)]
pub(super) struct ProviderDoc<'a> {
    id: &'a ProviderId,
    kind: ProviderKind,
    label: &'a str,
    enabled: bool,
    settings: Option<SettingsDoc<'a>>,
    health: &'static str,
    health_why: Option<&'a str>,
    checked_at: Option<String>,
    latency_millis: Option<u64>,
    abilities: Option<Vec<AbilityDoc<'a>>>,
    missing: Vec<&'a str>,
    key_expires_at: Option<String>,
    errors: Vec<ErrorDoc<'a>>,
    sessions: u32,
    removable: bool,
    keep: Option<&'a str>,
    about: &'a str,
}

#[derive(Serialize)]
struct SettingsDoc<'a> {
    default: bool,
    has_key: bool,
    ssh: Option<SshDoc<'a>>,
    tailscale: Option<TailscaleDoc<'a>>,
    twingate: Option<TwingateDoc<'a>>,
}

#[derive(Serialize)]
struct SshDoc<'a> {
    host: &'a str,
    user: Option<&'a str>,
    port: Option<u16>,
    jump: Vec<String>,
    identity_file: Option<&'a Path>,
    known_hosts_file: Option<&'a Path>,
}

#[derive(Serialize)]
struct TailscaleDoc<'a> {
    server: Option<&'a str>,
    tailnet: Option<&'a str>,
    headscale_user: Option<u32>,
    ca_file: Option<&'a Path>,
    router_tag: &'a str,
    operator_tag: &'a str,
    data_path: DataPath,
    edit_policy: bool,
    router_image: &'a str,
}

#[derive(Serialize)]
struct TwingateDoc<'a> {
    network: &'a str,
    group: &'a str,
    data_path: &'static str,
    proxy: Option<String>,
    connector_image: &'a str,
}

#[derive(Serialize)]
struct ErrorDoc<'a> {
    at: String,
    text: &'a str,
}

#[derive(Serialize)]
pub(super) struct AbilityDoc<'a> {
    name: &'a str,
    needed: bool,
    ok: bool,
    detail: &'a str,
    millis: u64,
}

impl<'a> ProviderDoc<'a> {
    pub(super) fn new(view: &'a ProviderView, times: &Times) -> Self {
        let (health, health_why) = match &view.health {
            Health::Healthy => ("healthy", None),
            Health::Degraded { why } => ("degraded", Some(why.as_str())),
            Health::Down { why } => ("down", Some(why.as_str())),
        };
        let time = |at: Timestamp| times.rfc3339(at);
        let validation = view.validation.as_ref();
        let errors =
            view.errors.iter().map(|error| ErrorDoc { at: time(error.at), text: &error.text });
        Self {
            id: &view.id,
            kind: view.kind,
            label: &view.label,
            enabled: view.enabled,
            settings: view.settings.as_ref().map(SettingsDoc::new),
            health,
            health_why,
            checked_at: view.checked_at.map(time),
            latency_millis: view.latency_millis,
            abilities: validation.map(|validation| abilities(&validation.probe)),
            missing: view.missing().collect(),
            key_expires_at: validation.and_then(|validation| validation.key_expires_at).map(time),
            errors: errors.collect(),
            sessions: view.sessions,
            removable: view.keep.is_none(),
            keep: view.keep.as_deref(),
            about: &view.about,
        }
    }
}

impl<'a> SettingsDoc<'a> {
    fn new(settings: &'a ProviderSettings) -> Self {
        let mut doc = Self {
            default: settings.default,
            has_key: settings.setup.has_key(),
            ssh: None,
            tailscale: None,
            twingate: None,
        };
        match &settings.setup {
            ProviderSetup::Direct => {}
            ProviderSetup::Ssh(setup) => doc.ssh = Some(SshDoc::new(&setup.destination)),
            ProviderSetup::Tailscale(setup) => doc.tailscale = Some(TailscaleDoc::new(setup)),
            ProviderSetup::Twingate(setup) => doc.twingate = Some(TwingateDoc::new(setup)),
        }
        doc
    }
}

impl<'a> SshDoc<'a> {
    fn new(to: &'a SshDestination) -> Self {
        Self {
            host: to.host.as_str(),
            user: to.user.as_ref().map(|user| user.as_str()),
            port: to.port,
            jump: to.jump.iter().map(ToString::to_string).collect(),
            identity_file: to.identity_file.as_deref(),
            known_hosts_file: to.known_hosts_file.as_deref(),
        }
    }
}

impl<'a> TailscaleDoc<'a> {
    fn new(setup: &'a TailscaleSetup) -> Self {
        let tailnet = &setup.tailnet;
        Self {
            server: tailnet.server.as_ref().map(ServerUrl::as_str),
            tailnet: tailnet.name.as_ref().map(TailnetName::as_str),
            headscale_user: tailnet.user,
            ca_file: tailnet.ca_file.as_deref(),
            router_tag: setup.router_tag.as_str(),
            operator_tag: setup.operator_tag.as_str(),
            data_path: setup.data_path,
            edit_policy: setup.edit_policy,
            router_image: &setup.router_image,
        }
    }
}

impl<'a> TwingateDoc<'a> {
    fn new(setup: &'a TwingateSetup) -> Self {
        let proxy = match setup.data_path {
            ClientPath::Host => None,
            ClientPath::Proxy(proxy) => Some(proxy.to_string()),
        };
        Self {
            network: setup.network.as_str(),
            group: setup.group.as_str(),
            data_path: setup.data_path.as_str(),
            proxy,
            connector_image: &setup.connector_image,
        }
    }
}

fn abilities(probe: &Probe) -> Vec<AbilityDoc<'_>> {
    probe.checks.iter().map(AbilityDoc::new).collect()
}

impl<'a> AbilityDoc<'a> {
    fn new(check: &'a ProbeCheck) -> Self {
        Self {
            name: &check.name,
            needed: check.needed,
            ok: check.found.is_ok(),
            detail: match &check.found {
                Ok(text) | Err(text) => text,
            },
            millis: check.millis,
        }
    }
}

#[derive(Serialize)]
pub(super) struct ValidationDoc<'a> {
    provider: &'a ProviderId,
    healthy: bool,
    at: String,
    abilities: Vec<AbilityDoc<'a>>,
    key_expires_at: Option<String>,
    kept: Option<Kept>,
}

impl<'a> ValidationDoc<'a> {
    pub(super) fn new(provider: &'a ProviderId, view: &'a ValidationView, times: &Times) -> Self {
        let probe = &view.validation.probe;
        Self {
            provider,
            healthy: probe.is_healthy(),
            at: times.rfc3339(probe.at),
            abilities: abilities(probe),
            key_expires_at: view.validation.key_expires_at.map(|at| times.rfc3339(at)),
            kept: view.kept,
        }
    }
}

#[derive(Serialize)]
pub(super) struct SiteDoc<'a> {
    id: &'a SiteId,
    name: &'a str,
    private_ranges: Vec<String>,
    providers: &'a [ProviderId],
    launcher: Option<LauncherDoc>,
}

#[derive(Serialize)]
struct LauncherDoc {
    kind: &'static str,
    about: String,
}

impl<'a> SiteDoc<'a> {
    pub(super) fn new(site: &'a Site) -> Self {
        let launcher =
            |it: &LauncherSettings| LauncherDoc { kind: it.kind(), about: it.to_string() };
        Self {
            id: &site.id,
            name: &site.name,
            private_ranges: site.private_ranges.iter().map(ToString::to_string).collect(),
            providers: &site.providers,
            launcher: site.launcher.as_ref().map(launcher),
        }
    }
}

#[derive(Serialize)]
pub(super) struct LookDoc<'a> {
    site: &'a SiteId,
    healthy: bool,
    at: String,
    abilities: Vec<AbilityDoc<'a>>,
}

impl<'a> LookDoc<'a> {
    pub(super) fn new(site: &'a SiteId, probe: &'a Probe, times: &Times) -> Self {
        let healthy = probe.is_healthy();
        Self { site, healthy, at: times.rfc3339(probe.at), abilities: abilities(probe) }
    }
}

#[derive(Serialize)]
pub(super) struct SweepDoc<'a> {
    applied: bool,
    orphans: Vec<OrphanDoc<'a>>,
    problems: &'a [SweepProblem],
    unlisted: &'a [SweepProblem],
}

#[derive(Serialize)]
struct OrphanDoc<'a> {
    place: &'a str,
    artifact: &'a str,
    session: &'a str,
    expires_at: String,
    expired: bool,
    removed: Option<bool>,
    why: Option<&'a str>,
    by_hand: &'a [String],
}

impl<'a> SweepDoc<'a> {
    /// Makes it; `wall` is the time now, since a mark holds the wall's time.
    pub(super) fn new(view: &'a SweepView, applied: bool, wall: Timestamp) -> Self {
        let orphan = |orphan: &'a OrphanView| OrphanDoc {
            place: &orphan.place,
            artifact: &orphan.artifact,
            session: &orphan.session,
            expires_at: orphan.expires_at.to_rfc3339(),
            expired: orphan.expires_at <= wall,
            removed: orphan.removed.as_ref().map(Result::is_ok),
            why: orphan
                .removed
                .as_ref()
                .and_then(|removed| removed.as_ref().err())
                .map(String::as_str),
            by_hand: &orphan.by_hand,
        };
        Self {
            applied,
            orphans: view.orphans.iter().map(orphan).collect(),
            problems: &view.problems,
            unlisted: &view.unlisted,
        }
    }
}
