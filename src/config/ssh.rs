//! Where `ssh` leads, as a provider and a launcher say it: the same keys, checked and written once.

use std::path::Path;

use toml::{Spanned, Value};

use super::error::Flaw;
use super::file::{Text, Texts};
use super::value::{Line, check_length, items, parsed, path, port, value_flaw};
use crate::domain::ssh::{HOPS_MAX, SshDestination, SshHop, SshWord};

/// The keys that say where `ssh` leads.
#[derive(Clone, Copy)]
pub(super) struct SshKeys<'a> {
    /// The name of the table, to stand before each key in a message.
    pub table: &'a str,
    pub user: &'a Text,
    pub port: &'a Option<Spanned<i64>>,
    pub jump: &'a Texts,
    pub identity_file: &'a Text,
    pub known_hosts_file: &'a Text,
}

impl SshKeys<'_> {
    /// The keys that are there, with their names.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, std::ops::Range<usize>)> {
        let text = |key, text: &Text| text.as_ref().map(|text| (key, text.span()));
        [
            text("user", self.user),
            self.port.as_ref().map(|port| ("port", port.span())),
            self.jump.as_ref().map(|jump| ("jump", jump.span())),
            text("identity-file", self.identity_file),
            text("known-hosts-file", self.known_hosts_file),
        ]
        .into_iter()
        .flatten()
    }

    /// Reads where `ssh` leads.
    pub fn destination(&self, host: &Spanned<String>) -> Result<SshDestination, Flaw> {
        let key = |key: &str| format!("{}.{key}", self.table);
        let host = SshWord::of_host(host.get_ref()).map_err(|error| {
            value_flaw(&key("host"), host, error)
                .hint("write the host alone; `user`, `port` and `jump` are keys of their own")
        })?;
        let user = self.user.as_ref().map(|text| parsed(&key("user"), text)).transpose()?;
        if let Some(jump) = self.jump {
            check_length(&key("jump"), jump, HOPS_MAX)?;
        }
        let hop = |text: &Spanned<String>| {
            parsed::<SshHop>(&key("jump"), text).map_err(|flaw| flaw.hint(HOP_HINT))
        };
        Ok(SshDestination {
            host,
            user,
            port: port(&key("port"), self.port.as_ref())?,
            jump: items(self.jump.as_ref()).iter().map(hop).collect::<Result<_, _>>()?,
            identity_file: path(&key("identity-file"), self.identity_file.as_ref())?,
            known_hosts_file: path(&key("known-hosts-file"), self.known_hosts_file.as_ref())?,
        })
    }
}

/// The lines that say where `ssh` leads.
pub(super) fn lines(to: &SshDestination) -> Vec<Line> {
    let file = |key, path: &Option<std::path::PathBuf>| {
        path.as_deref().map(|path| Line::new(key, path_value(path)))
    };
    let jump: Vec<_> = to.jump.iter().map(ToString::to_string).collect();
    [
        Some(Line::new("host", to.host.as_str())),
        to.user.as_ref().map(|user| Line::new("user", user.as_str())),
        to.port.map(|port| Line::new("port", i64::from(port))),
        Some(Line::new("jump", jump).default_if(to.jump.is_empty())),
        file("identity-file", &to.identity_file),
        file("known-hosts-file", &to.known_hosts_file),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A path as text; it came from a text, so nothing is lost.
pub(super) fn path_value(path: &Path) -> Value {
    path.to_string_lossy().into_owned().into()
}

const HOP_HINT: &str = "write a list such as [\"ops@edge.example.com:22\"], the first host first";
