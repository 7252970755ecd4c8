//! `config.toml` as it is written: one struct a table, nothing filled in and nothing checked.
//!
//! Every value knows where it stands, so that a later mistake can be shown there. `resolve` turns
//! this into a [`Config`](super::Config). No serde `flatten` and no `untagged`: their messages say
//! neither the key nor the place.

use serde::Deserialize;
use toml::Spanned;

/// A text, and where it stands.
pub(super) type Text = Option<Spanned<String>>;

/// A list of texts, each with its place.
pub(super) type Texts = Option<Spanned<Vec<Spanned<String>>>>;

/// The whole file.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct File {
    pub policy: Option<PolicyTable>,
    pub ui: Option<UiTable>,
    pub network: Option<NetworkTable>,
    pub identity: Option<IdentityTable>,
    pub vault: Option<VaultTable>,
    pub provider: Vec<Spanned<ProviderTable>>,
    pub identity_provider: Vec<Spanned<IdentityProviderTable>>,
    pub site: Vec<Spanned<SiteTable>>,
    /// Boxed, since there may be ten thousand and the list is moved as it grows.
    pub target: Vec<Spanned<Box<TargetTable>>>,
}

/// `[policy]`: what sessions may be.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct PolicyTable {
    pub duration_max: Text,
    pub duration_default: Text,
    pub idle: Text,
    pub reason_pattern: Text,
    pub ad_hoc_targets: Option<Spanned<bool>>,
    pub on_path_loss: Text,
}

/// `[ui]`: how the screens look.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct UiTable {
    pub mouse: Option<Spanned<bool>>,
    pub colour: Text,
    pub ascii: Text,
}

/// `[network]`: how this program itself reaches identity providers and providers.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct NetworkTable {
    pub use_environment_proxy: Option<Spanned<bool>>,
    pub ca_file: Text,
}

/// `[identity]`: how much work a password is.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct IdentityTable {
    pub hash_memory_mib: Option<Spanned<i64>>,
    pub hash_passes: Option<Spanned<i64>>,
    pub hash_lanes: Option<Spanned<i64>>,
}

/// `[vault]`: where secrets rest.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct VaultTable {
    pub backend: Text,
    pub passphrase_file: Text,
}

/// `[[provider]]`: a system that carries network paths.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct ProviderTable {
    pub id: Text,
    pub kind: Text,
    pub enabled: Option<Spanned<bool>>,
    pub default: Option<Spanned<bool>>,
    pub host: Text,
    pub user: Text,
    pub port: Option<Spanned<i64>>,
    pub jump: Texts,
    pub identity_file: Text,
    pub known_hosts_file: Text,
    pub server: Text,
    pub tailnet: Text,
    pub headscale_user: Option<Spanned<i64>>,
    pub ca_file: Text,
    pub router_tag: Text,
    pub operator_tag: Text,
    pub data_path: Text,
    pub edit_policy: Option<Spanned<bool>>,
    pub router_image: Text,
    pub network: Text,
    pub group: Text,
    pub proxy: Text,
    pub connector_image: Text,
    pub key: Text,
}

/// `[[identity-provider]]`: where single sign-on happens.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct IdentityProviderTable {
    pub id: Text,
    pub kind: Text,
    pub tenant: Text,
    pub issuer: Text,
    pub client_id: Text,
    pub client_secret: Text,
    pub scopes: Texts,
    pub domains: Texts,
    pub break_glass: Text,
}

/// `[[site]]`: a customer's environment.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct SiteTable {
    pub id: Text,
    pub name: Text,
    pub private_ranges: Texts,
    pub providers: Texts,
    pub launcher: Option<Spanned<LauncherTable>>,
}

/// `[site.launcher]`: how things are started in a site.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct LauncherTable {
    pub kind: Text,
    pub host: Text,
    pub user: Text,
    pub port: Option<Spanned<i64>>,
    pub jump: Texts,
    pub identity_file: Text,
    pub known_hosts_file: Text,
    pub method: Text,
    pub sudo: Option<Spanned<bool>>,
    pub over: Text,
    pub context: Text,
    pub namespace: Text,
    pub kubeconfig: Text,
    pub start: Texts,
    pub stop: Texts,
    pub look: Texts,
    pub logs: Texts,
    pub list: Texts,
}

/// `[[target]]`: one thing to reach.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case", expecting = "a table")]
pub(super) struct TargetTable {
    pub id: Text,
    pub name: Text,
    pub site: Text,
    pub kind: Text,
    pub address: Text,
    pub reachability: Text,
    pub approval: Text,
    pub user: Text,
    pub database: Text,
    pub listen: Text,
    pub local_port: Option<Spanned<i64>>,
    pub idle: Text,
    pub duration_max: Text,
}
