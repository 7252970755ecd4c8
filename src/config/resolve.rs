//! From the file as written to a configuration that holds together.
//!
//! Everything is parsed here, once, into the types that the rest of the program uses; what comes
//! out needs no more checking. The first mistake ends it.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::error::Flaw;
use super::file::{
    File, IdentityTable, NetworkTable, PolicyTable, SiteTable, TargetTable, UiTable, VaultTable,
};
use super::identity::{identity, identity_providers};
use super::launcher::launcher;
use super::provider::providers;
use super::value::{
    Seen, argument, check_plain, items, label, name, parsed, path, port, required, unknown_name,
    value_flaw, word,
};
use super::{Config, NetworkSettings, UiSettings, VaultSettings, When};
use crate::domain::catalogue::Catalogue;
use crate::domain::id::{SiteId, TargetId};
use crate::domain::policy::{DURATION_MIN, OnPathLoss, Policy, ReasonPattern};
use crate::domain::provider::ProviderSettings;
use crate::domain::site::{Prefix, Site};
use crate::domain::target::{Address, Listen, Reachability, Target, TargetKind};
use crate::domain::text::shown;
use crate::domain::time::Span;
use crate::domain::vault::Backend;

/// Fills in the defaults and checks everything.
pub(super) fn resolve(file: File) -> Result<Config, Flaw> {
    let (mut config, mut targets) = begin(&file)?;
    let mut ids = Seen::default();
    for table in &file.target {
        targets.add(&table.span(), table.get_ref(), &config)?;
        if let Some(id) = &table.get_ref().id {
            ids.add("target.id", id.get_ref(), id.span())?;
        }
    }
    config.catalogue.targets = targets.done().unwrap_or_default();
    Ok(config)
}

/// Fills in and checks everything but the targets.
pub(super) fn begin(file: &File) -> Result<(Config, Targets), Flaw> {
    let policy = policy(file.policy.as_ref().unwrap_or(&PolicyTable::default()))?;
    let ui = ui(file.ui.as_ref().unwrap_or(&UiTable::default()))?;
    let network = network(file.network.as_ref().unwrap_or(&NetworkTable::default()))?;
    let identity = identity(file.identity.as_ref().unwrap_or(&IdentityTable::default()))?;
    let vault = vault(file.vault.as_ref().unwrap_or(&VaultTable::default()))?;
    let providers = providers(&file.provider)?;
    let identity_providers = identity_providers(&file.identity_provider)?;
    let sites = sites(&file.site, &providers)?;
    let catalogue = Catalogue { sites, ..Catalogue::default() };
    let config =
        Config { policy, ui, network, identity, vault, providers, identity_providers, catalogue };
    Ok((config, Targets::default()))
}

/// The targets found so far.
#[derive(Default)]
pub(super) struct Targets {
    ports: Seen,
    found: Vec<Target>,
}

impl Targets {
    /// Adds the target of a table; `config` says which sites there are, and what policy is.
    pub fn add(
        &mut self,
        span: &Range<usize>,
        table: &TargetTable,
        config: &Config,
    ) -> Result<(), Flaw> {
        if let Some(port) = &table.local_port {
            self.ports.add("target.local-port", &port.get_ref().to_string(), port.span())?;
        }
        self.found.push(target(span, table, &config.catalogue.sites, &config.policy)?);
        Ok(())
    }

    /// All targets by name; `None` where two have the same.
    pub fn done(self) -> Option<BTreeMap<TargetId, Target>> {
        let count = self.found.len();
        // Made from all at once, the map has no gaps: added in order, it would be twice as large.
        let targets: BTreeMap<_, _> =
            self.found.into_iter().map(|target| (target.id.clone(), target)).collect();
        (targets.len() == count).then_some(targets)
    }
}

fn policy(table: &PolicyTable) -> Result<Policy, Flaw> {
    let duration_max = match &table.duration_max {
        Some(text) => session_length("policy.duration-max", text)?,
        None => DURATION_MAX,
    };
    let duration_default = match &table.duration_default {
        Some(text) => session_length("policy.duration-default", text)?,
        None => DURATION_DEFAULT.min(duration_max),
    };
    if let Some(text) = table.duration_default.as_ref().filter(|_| duration_default > duration_max)
    {
        let what = format!(
            "`policy.duration-default`: `{duration_default}` is longer than \
             `policy.duration-max`, `{duration_max}`"
        );
        return Err(Flaw::new(text.span(), what).hint("make one shorter or the other longer"));
    }
    let reason_pattern = match &table.reason_pattern {
        Some(text) if !text.get_ref().is_empty() => Some(pattern(text)?),
        _ => None,
    };
    Ok(Policy {
        duration_max,
        duration_default,
        reason_pattern,
        ad_hoc_targets: table.ad_hoc_targets.as_ref().is_none_or(|allowed| *allowed.get_ref()),
        idle: idle("policy.idle", table.idle.as_ref())?.flatten(),
        on_path_loss: word("policy.on-path-loss", table.on_path_loss.as_ref(), &ON_PATH_LOSS)?
            .unwrap_or_default(),
    })
}

fn pattern(text: &Spanned<String>) -> Result<ReasonPattern, Flaw> {
    check_plain("policy.reason-pattern", text)?;
    ReasonPattern::new(text.get_ref()).map_err(|error| {
        value_flaw("policy.reason-pattern", text, error)
            .hint("write a regular expression such as \"INC-[0-9]+.*\", or \"\" for none")
    })
}

fn ui(table: &UiTable) -> Result<UiSettings, Flaw> {
    Ok(UiSettings {
        mouse: table.mouse.as_ref().is_some_and(|mouse| *mouse.get_ref()),
        colour: word("ui.colour", table.colour.as_ref(), &When::WORDS)?.unwrap_or_default(),
        ascii: word("ui.ascii", table.ascii.as_ref(), &When::WORDS)?.unwrap_or_default(),
    })
}

fn network(table: &NetworkTable) -> Result<NetworkSettings, Flaw> {
    let proxy = table.use_environment_proxy.as_ref();
    Ok(NetworkSettings {
        use_environment_proxy: proxy.is_none_or(|used| *used.get_ref()),
        ca_file: path("network.ca-file", table.ca_file.as_ref())?,
    })
}

fn vault(table: &VaultTable) -> Result<VaultSettings, Flaw> {
    let backend = word("vault.backend", table.backend.as_ref(), &BACKENDS)?.flatten();
    let passphrase_file = path("vault.passphrase-file", table.passphrase_file.as_ref())?;
    match (backend, &table.passphrase_file) {
        (Some(Backend::Keyring), Some(text)) => {
            let what = "`vault.passphrase-file`: the keyring has no passphrase";
            Err(Flaw::new(text.span(), what)
                .hint("take the key out, or write `backend = \"file\"` in `[vault]`"))
        }
        _ => Ok(VaultSettings { backend, passphrase_file }),
    }
}

fn sites(
    tables: &[Spanned<SiteTable>],
    providers: &[ProviderSettings],
) -> Result<BTreeMap<SiteId, Site>, Flaw> {
    let mut seen = Seen::default();
    let mut sites = BTreeMap::new();
    for table in tables {
        let span = table.span();
        let table = table.get_ref();
        let id_text = required("site", "id", &span, table.id.as_ref(), "id = \"acme-prod\"")?;
        let id: SiteId = name("site.id", id_text)?;
        seen.add("site.id", id.as_str(), id_text.span())?;
        let name = label("site.name", table.name.as_ref())?.unwrap_or_else(|| id.to_string());
        let private_ranges = items(table.private_ranges.as_ref())
            .iter()
            .map(|text| parsed::<Prefix>("site.private-ranges", text))
            .collect::<Result<_, _>>()?;
        let order = items(table.providers.as_ref());
        let mut used = Seen::default();
        for text in order {
            used.add("site.providers", text.get_ref(), text.span())?;
        }
        let known = || providers.iter().map(|provider| provider.id.as_str());
        let find = |text: &Spanned<String>| {
            let found = providers.iter().find(|known| known.id.as_str() == text.get_ref());
            found
                .map(|found| found.id.clone())
                .ok_or_else(|| unknown_name("site.providers", "provider", text, known()))
        };
        let providers = order.iter().map(find).collect::<Result<_, _>>()?;
        let launcher = table.launcher.as_ref().map(launcher).transpose()?;
        sites.insert(id.clone(), Site { id, name, private_ranges, providers, launcher });
    }
    Ok(sites)
}

fn target(
    span: &Range<usize>,
    table: &TargetTable,
    sites: &BTreeMap<SiteId, Site>,
    policy: &Policy,
) -> Result<Target, Flaw> {
    let id_text = required("target", "id", span, table.id.as_ref(), "id = \"orders-db\"")?;
    let id: TargetId = name("target.id", id_text)?;
    let kind = required("target", "kind", span, table.kind.as_ref(), "kind = \"postgres\"")?;
    let kind: TargetKind = parsed("target.kind", kind)?;
    let address = required(
        "target",
        "address",
        span,
        table.address.as_ref(),
        "address = \"db.internal:5432\"",
    )?;
    let address: Address = parsed("target.address", address)?;
    check_approval(table.approval.as_ref())?;
    let site = match &table.site {
        Some(text) => Some(known_site(text, sites)?),
        None => None,
    };
    let duration_max = match &table.duration_max {
        Some(text) => Some(session_length("target.duration-max", text)?),
        None => None,
    };
    Ok(Target {
        name: label("target.name", table.name.as_ref())?.unwrap_or_else(|| id.to_string()),
        id,
        site,
        kind,
        address,
        reachability: word("target.reachability", table.reachability.as_ref(), &REACHABILITIES)?
            .unwrap_or_default(),
        user: argument("target.user", table.user.as_ref())?,
        database: argument("target.database", table.database.as_ref())?,
        listen: listen(table.listen.as_ref(), table.local_port.as_ref())?,
        idle: idle("target.idle", table.idle.as_ref())?.unwrap_or(policy.idle),
        duration_max,
    })
}

fn known_site(text: &Spanned<String>, sites: &BTreeMap<SiteId, Site>) -> Result<SiteId, Flaw> {
    let unknown = || unknown_name("target.site", "site", text, sites.keys().map(SiteId::as_str));
    let id: SiteId = text.get_ref().parse().map_err(|_| unknown())?;
    if sites.contains_key(&id) { Ok(id) } else { Err(unknown()) }
}

fn check_approval(text: Option<&Spanned<String>>) -> Result<(), Flaw> {
    match text {
        Some(text) if text.get_ref() != "none" => {
            let what = format!(
                "`target.approval`: `{}` asks for an approval, and approvals do not exist yet",
                shown(text.get_ref())
            );
            let hint = "write `approval = \"none\"` if it may be opened without one, or leave the \
                        target out";
            Err(Flaw::new(text.span(), what).hint(hint))
        }
        _ => Ok(()),
    }
}

fn listen(listen: Option<&Spanned<String>>, local: Option<&Spanned<i64>>) -> Result<Listen, Flaw> {
    let unix = word("target.listen", listen, &[("loopback", false), ("unix", true)])?;
    match (unix.unwrap_or(false), local) {
        (true, None) => Ok(Listen::Unix),
        (true, Some(port)) => {
            let what = "`target.local-port`: a UNIX socket has no port";
            Err(Flaw::new(port.span(), what).hint("write `listen = \"loopback\"`, or no port"))
        }
        (false, number) => port("target.local-port", number)
            .map(|port| Listen::Loopback { port })
            .map_err(|flaw| flaw.hint("leave it out for a port that is chosen free")),
    }
}

/// A length of a session, which is at least [`DURATION_MIN`].
fn session_length(key: &str, text: &Spanned<String>) -> Result<Span, Flaw> {
    let length: Span = parsed(key, text)?;
    if length < DURATION_MIN {
        let what = format!("`{key}`: `{length}` is too short; a session is at least `1m`");
        return Err(Flaw::new(text.span(), what).hint("write it like \"30m\" or \"8h\""));
    }
    Ok(length)
}

/// An idle limit: absent, `off`, or a length.
fn idle(key: &str, text: Option<&Spanned<String>>) -> Result<Option<Option<Span>>, Flaw> {
    match text {
        None => Ok(None),
        Some(text) if text.get_ref() == OFF => Ok(Some(None)),
        Some(text) => text.get_ref().parse().map(|idle| Some(Some(idle))).map_err(|error| {
            value_flaw(key, text, error).hint("write it like \"15m\", or \"off\" for no limit")
        }),
    }
}

const DURATION_MAX: Span = Span::from_minutes(8 * 60);
const DURATION_DEFAULT: Span = Span::from_minutes(30);

/// The word for no limit.
pub(super) const OFF: &str = "off";

const ON_PATH_LOSS: [(&str, OnPathLoss); 2] = [
    (OnPathLoss::Reconnect.as_str(), OnPathLoss::Reconnect),
    (OnPathLoss::End.as_str(), OnPathLoss::End),
];

const REACHABILITIES: [(&str, Reachability); 3] = [
    (Reachability::Auto.as_str(), Reachability::Auto),
    (Reachability::Direct.as_str(), Reachability::Direct),
    (Reachability::Private.as_str(), Reachability::Private),
];

/// Where secrets rest, in words; none for the keyring where it works, else a sealed file.
pub(super) const BACKENDS: [(&str, Option<Backend>); 3] =
    [("auto", None), ("keyring", Some(Backend::Keyring)), ("file", Some(Backend::File))];
