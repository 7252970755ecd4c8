//! The configuration: what the operator's `config.toml` says, checked once and for all.
//!
//! ```text
//! paths ──► guard ──► parse ──► file ──► resolve ──► Config
//! where     owner,    text to   one struct  defaults,
//! it lies   mode      TOML      a table     cross checks
//! ```
//!
//! - No file is the same as an empty one: the built-in provider `direct`, and nothing else.
//! - The file decides what may be reached, so it is treated as code: it is refused where others may
//!   write to it, and it is never looked for in the current directory.
//! - An unknown key is an error. So is every value that cannot be used, with its line and with what
//!   to write instead.
//! - What we write keeps everything else byte for byte.
//!
//! Not here: secrets (the file may hold none), accounts and sessions (the store has them), and the
//! environment, which sets nothing but the look.

mod edit;
mod error;
mod file;
mod guard;
mod identity;
mod launcher;
mod parse;
mod paths;
mod plain;
mod provider;
mod resolve;
mod show;
mod ssh;
mod tailscale;
mod twingate;
mod value;
mod write;

use std::path::{Path, PathBuf};

pub use error::ConfigError;
pub use guard::{FILE_BYTES_MAX, SECRET_BYTES_MAX, group_dir, host_dir, private_dir, secret_file};
pub use identity::IDENTITY_PROVIDERS_MAX;
pub use paths::{Environment, Overrides, Places};
pub use show::show;
pub use write::{
    put_identity_provider, put_provider, remove_identity_provider, remove_provider,
    set_provider_enabled,
};

use crate::domain::catalogue::Catalogue;
use crate::domain::identity_provider::IdpSettings;
use crate::domain::policy::Policy;
use crate::domain::provider::ProviderSettings;
use crate::domain::vault::Backend;

/// The documented configuration: every key, at its default.
pub const EXAMPLE: &str = include_str!("../../config.example.toml");

/// Everything that the configuration says, with the defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// What sessions may be.
    pub policy: Policy,
    /// How the screens look.
    pub ui: UiSettings,
    /// How this program itself reaches identity providers and the APIs of providers.
    pub network: NetworkSettings,
    /// How much work a password is.
    pub identity: IdentitySettings,
    /// Where secrets rest.
    pub vault: VaultSettings,
    /// The providers, in the order of the file.
    pub providers: Vec<ProviderSettings>,
    /// The identity providers, in the order of the file; at most [`IDENTITY_PROVIDERS_MAX`].
    pub identity_providers: Vec<IdpSettings>,
    /// The sites and targets.
    pub catalogue: Catalogue,
}

/// How the screens look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UiSettings {
    /// Whether the mouse works; while it does, the terminal cannot select text by itself.
    pub mouse: bool,
    /// When colours are used.
    pub colour: When,
    /// When only ASCII characters are used.
    pub ascii: When,
}

/// How this program itself reaches identity providers and the APIs of providers; network paths to
/// targets have nothing to do with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkSettings {
    /// Whether proxies and CA files that the environment names are honoured; in personal mode only.
    pub use_environment_proxy: bool,
    /// A file of further certificate authorities to trust, absolute; it was not looked at yet.
    pub ca_file: Option<PathBuf>,
}

/// How much work it is to hash a password with Argon2id (RFC 9106); never below the floor of the
/// OWASP Password Storage Cheat Sheet, 19 MiB in two passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdentitySettings {
    /// How much memory one hash takes, in KiB: from 19 MiB to 1 GiB.
    pub hash_memory_kib: u32,
    /// How often it passes over that memory: from 2 to 16.
    pub hash_passes: u32,
    /// Into how many lanes that memory is divided: from 1 to 4.
    pub hash_lanes: u32,
}

/// Where secrets rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultSettings {
    /// What the vault is kept in; none for the keyring where it works, else a sealed file.
    pub backend: Option<Backend>,
    /// The file whose text opens the sealed file, absolute; it was not looked at yet. Never there
    /// with the keyring, which has no passphrase.
    pub passphrase_file: Option<PathBuf>,
}

/// When something is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// When the terminal and the environment ask for it.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl When {
    const WORDS: [(&str, Self); 3] =
        [("auto", Self::Auto), ("always", Self::Always), ("never", Self::Never)];

    /// The word for it in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

impl Config {
    /// Reads the configuration of a text; `path` is only named in errors.
    ///
    /// # Errors
    ///
    /// The first mistake, with its place.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        parse::parse(text).map_err(|flaw| flaw.in_file(path, text))
    }

    /// Reads the configuration of a file; no file is the same as an empty one.
    ///
    /// # Errors
    ///
    /// When the file or its directory could be written by others than `uid` and root, when it is no
    /// regular file or cannot be read, and for every mistake in it.
    pub fn load(path: &Path, uid: u32) -> Result<Self, ConfigError> {
        let text = guard::read(path, uid)?;
        Self::parse(path, text.as_deref().unwrap_or_default())
    }
}

impl UiSettings {
    /// Reads how the screens look, quickly; the defaults where the file cannot be read or says it
    /// wrongly, which is reported by whoever loads the whole.
    #[must_use]
    pub fn load(path: &Path, uid: u32) -> Self {
        guard::read(path, uid).ok().flatten().map_or_else(Self::default, |text| parse::ui(&text))
    }
}

/// The name and the kind of the built-in provider.
const DIRECT: &str = "direct";
