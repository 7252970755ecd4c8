//! The configuration as it counts, with where each value came from.

use std::path::Path;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::error::Lines;
use super::resolve::{BACKENDS, OFF};
use super::value::Line;
use super::{Config, ConfigError, guard, identity, launcher, provider};
use crate::domain::site::Site;
use crate::domain::target::{Listen, Target};
use crate::domain::text::shown;

/// Returns the configuration of a file with its defaults filled in, as TOML that reads back to the
/// same; with `origin`, each line says whether the default or a line of the file set it.
///
/// # Errors
///
/// The same as [`Config::load`].
pub fn show(path: &Path, uid: u32, origin: bool) -> Result<String, ConfigError> {
    let text = guard::read(path, uid)?.unwrap_or_default();
    let config = Config::parse(path, &text)?;
    // What was parsed just before parses again.
    let root = DeTable::parse(&text).map(toml::Spanned::into_inner).unwrap_or_default();
    let file = path.file_name().map(|name| shown(&name.to_string_lossy())).unwrap_or_default();
    let mut page = Page { out: String::new(), root: &root, origin, lines: Lines::new(&text), file };
    page.policy_and_ui(&config);
    page.network(&config);
    page.identity_and_vault(&config);
    for it in &config.providers {
        page.listed("provider", it.id.as_str(), provider::lines(it));
    }
    for idp in &config.identity_providers {
        page.listed("identity-provider", idp.id.as_str(), identity::lines(idp));
    }
    for site in config.catalogue.sites.values() {
        page.site(site);
    }
    for target in config.catalogue.targets.values() {
        page.target(target);
    }
    Ok(page.out)
}

struct Page<'a> {
    out: String,
    root: &'a DeTable<'a>,
    origin: bool,
    lines: Lines<'a>,
    file: String,
}

impl<'a> Page<'a> {
    fn policy_and_ui(&mut self, config: &Config) {
        let idle = config.policy.idle.map_or(OFF.to_owned(), |idle| idle.to_string());
        let pattern = config.policy.reason_pattern.as_ref().map_or("", |pattern| pattern.as_str());
        let table = self.root.get("policy").map(toml::Spanned::get_ref);
        self.out.push_str("[policy]\n");
        self.line(table, "duration-max", config.policy.duration_max.to_string());
        self.line(table, "duration-default", config.policy.duration_default.to_string());
        self.line(table, "idle", idle);
        self.line(table, "reason-pattern", pattern);
        self.line(table, "ad-hoc-targets", config.policy.ad_hoc_targets);
        self.line(table, "on-path-loss", config.policy.on_path_loss.as_str());
        let table = self.root.get("ui").map(toml::Spanned::get_ref);
        self.out.push_str("\n[ui]\n");
        self.line(table, "mouse", config.ui.mouse);
        self.line(table, "colour", config.ui.colour.as_str());
        self.line(table, "ascii", config.ui.ascii.as_str());
    }

    fn network(&mut self, config: &Config) {
        let table = self.root.get("network").map(toml::Spanned::get_ref);
        self.out.push_str("\n[network]\n");
        self.line(table, "use-environment-proxy", config.network.use_environment_proxy);
        self.optional(table, "ca-file", path_text(config.network.ca_file.as_deref()));
    }

    fn identity_and_vault(&mut self, config: &Config) {
        let identity = &config.identity;
        let table = self.root.get("identity").map(toml::Spanned::get_ref);
        self.out.push_str("\n[identity]\n");
        self.line(table, "hash-memory-mib", identity.hash_memory_kib / 1024);
        self.line(table, "hash-passes", identity.hash_passes);
        self.line(table, "hash-lanes", identity.hash_lanes);
        let vault = &config.vault;
        let word = BACKENDS.iter().find(|(_, backend)| *backend == vault.backend);
        let table = self.root.get("vault").map(toml::Spanned::get_ref);
        self.out.push_str("\n[vault]\n");
        self.line(table, "backend", word.map_or("auto", |(word, _)| word));
        self.optional(table, "passphrase-file", path_text(vault.passphrase_file.as_deref()));
    }

    /// A table of a list with all its keys.
    fn listed(&mut self, list: &str, id: &str, lines: Vec<Line>) {
        let table = self.item(list, id);
        self.out.push_str(&format!("\n[[{list}]]\n"));
        self.lines_of(table, lines);
    }

    fn lines_of(&mut self, table: Option<&DeValue<'_>>, lines: Vec<Line>) {
        for line in lines {
            self.line(table, line.key, line.value);
        }
    }

    fn site(&mut self, site: &Site) {
        let table = self.item("site", site.id.as_str());
        self.out.push_str("\n[[site]]\n");
        self.line(table, "id", site.id.as_str());
        self.line(table, "name", site.name.as_str());
        let ranges: Vec<_> = site.private_ranges.iter().map(ToString::to_string).collect();
        self.line(table, "private-ranges", ranges);
        let providers: Vec<_> = site.providers.iter().map(ToString::to_string).collect();
        self.line(table, "providers", providers);
        if let Some(settings) = &site.launcher {
            let table = table.and_then(|table| table.get("launcher")).map(toml::Spanned::get_ref);
            self.out.push_str("\n[site.launcher]\n");
            self.lines_of(table, launcher::lines(settings));
        }
    }

    fn target(&mut self, target: &Target) {
        let table = self.item("target", target.id.as_str());
        let (listen, port) = match target.listen {
            Listen::Loopback { port } => ("loopback", port),
            Listen::Unix => ("unix", None),
        };
        self.out.push_str("\n[[target]]\n");
        self.line(table, "id", target.id.as_str());
        self.line(table, "name", target.name.as_str());
        self.optional(table, "site", target.site.as_ref().map(ToString::to_string));
        self.line(table, "kind", target.kind.as_str());
        self.line(table, "address", target.address.to_string());
        self.line(table, "reachability", target.reachability.as_str());
        self.line(table, "approval", "none");
        self.optional(table, "user", target.user.clone());
        self.optional(table, "database", target.database.clone());
        self.line(table, "listen", listen);
        self.optional(table, "local-port", port.map(i64::from));
        let idle = target.idle.map_or(OFF.to_owned(), |idle| idle.to_string());
        self.line_or(table, "idle", idle, "policy.idle");
        self.optional(table, "duration-max", target.duration_max.map(|max| max.to_string()));
    }

    /// The table of a list with this id, where the file has it.
    fn item(&self, list: &str, id: &str) -> Option<&'a DeValue<'a>> {
        let items = self.root.get(list)?.get_ref().as_array()?;
        let is = |item: &&toml::Spanned<DeValue<'a>>| {
            item.get_ref().get("id").and_then(|value| value.get_ref().as_str()) == Some(id)
        };
        items.iter().find(is).map(toml::Spanned::get_ref)
    }

    fn optional(
        &mut self,
        table: Option<&DeValue<'_>>,
        key: &str,
        value: Option<impl Into<Value>>,
    ) {
        if let Some(value) = value {
            self.line(table, key, value);
        }
    }

    fn line(&mut self, table: Option<&DeValue<'_>>, key: &str, value: impl Into<Value>) {
        self.line_or(table, key, value, "default");
    }

    /// Writes a line; `otherwise` says where the value is from where the file does not set it.
    fn line_or(
        &mut self,
        table: Option<&DeValue<'_>>,
        key: &str,
        value: impl Into<Value>,
        otherwise: &str,
    ) {
        let value = value.into();
        if !self.origin {
            self.out.push_str(&format!("{key} = {value}\n"));
            return;
        }
        let from = match table.and_then(|table| table.get(key)) {
            Some(value) => format!("{}:{}", self.file, self.lines.place(value.span().start).0),
            None => otherwise.to_owned(),
        };
        self.out.push_str(&format!("{key} = {value}  # {from}\n"));
    }
}

/// A path as text; it came from a text, so nothing is lost.
fn path_text(path: Option<&Path>) -> Option<String> {
    path.map(|path| path.to_string_lossy().into_owned())
}
