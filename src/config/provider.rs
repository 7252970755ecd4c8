//! `[[provider]]`: the systems that carry network paths, checked and written.
//!
//! - A key never stands in the file. What stands there says that the vault has one, and anything else
//!   is refused without being shown: it may be the key.
//! - Direct is always there, also where the file does not name it.

use std::ops::Range;

use toml::Spanned;

use super::DIRECT;
use super::error::{Flaw, listed};
use super::file::ProviderTable;
use super::ssh::{self, SshKeys};
use super::tailscale;
use super::twingate;
use super::value::{Line, Seen, name, required, word};
use crate::domain::id::ProviderId;
use crate::domain::provider::{ProviderKind, ProviderSettings, ProviderSetup, SshSetup};

/// The providers in the order of the file; Direct comes first where the file does not name it.
pub(super) fn providers(tables: &[Spanned<ProviderTable>]) -> Result<Vec<ProviderSettings>, Flaw> {
    let mut seen = Seen::default();
    let mut providers = Vec::new();
    for table in tables {
        let span = table.span();
        let table = table.get_ref();
        let id_text = required(TABLE, "id", &span, table.id.as_ref(), "id = \"acme-bastion\"")?;
        let id: ProviderId = name("provider.id", id_text)?;
        seen.add("provider.id", id.as_str(), id_text.span())?;
        let setup = setup(&span, table, &id, id_text)?;
        providers.push(ProviderSettings {
            id,
            setup,
            enabled: table.enabled.as_ref().is_none_or(|enabled| *enabled.get_ref()),
            default: table.default.as_ref().is_some_and(|default| *default.get_ref()),
        });
    }
    if providers.iter().all(|known| known.id.as_str() != DIRECT)
        && let Some(direct) = direct(true)
    {
        providers.insert(0, direct);
    }
    Ok(providers)
}

/// Direct, on or off.
pub(super) fn direct(enabled: bool) -> Option<ProviderSettings> {
    let id = DIRECT.parse().ok()?;
    Some(ProviderSettings { id, setup: ProviderSetup::Direct, enabled, default: false })
}

/// Every key that a provider has, in order, as the file would say it.
pub(super) fn lines(provider: &ProviderSettings) -> Vec<Line> {
    let mut lines = vec![
        Line::new("id", provider.id.as_str()),
        Line::new("kind", provider.setup.kind().to_string()),
        Line::new("enabled", provider.enabled).default_if(provider.enabled),
    ];
    if provider.setup.kind() != ProviderKind::Direct {
        lines.push(Line::new("default", provider.default).default_if(!provider.default));
    }
    match &provider.setup {
        ProviderSetup::Direct => {}
        ProviderSetup::Ssh(setup) => lines.extend(ssh::lines(&setup.destination)),
        ProviderSetup::Tailscale(setup) => lines.extend(tailscale::lines(setup)),
        ProviderSetup::Twingate(setup) => lines.extend(twingate::lines(setup)),
    }
    if provider.setup.has_key() {
        lines.push(Line::new("key", key_reference(&provider.id)));
    }
    lines
}

fn setup(
    span: &Range<usize>,
    table: &ProviderTable,
    id: &ProviderId,
    id_text: &Spanned<String>,
) -> Result<ProviderSetup, Flaw> {
    let kind = required(TABLE, "kind", span, table.kind.as_ref(), "kind = \"ssh\"")?;
    let kind = word("provider.kind", Some(kind), &KINDS)?.unwrap_or(ProviderKind::Direct);
    match (kind == ProviderKind::Direct, id.as_str() == DIRECT) {
        (true, false) => {
            let what = "`provider.id`: the provider of kind `direct` is always named `direct`";
            return Err(Flaw::new(id_text.span(), what).hint("write `id = \"direct\"`"));
        }
        (false, true) => {
            let what = "`provider.id`: only the provider of kind `direct` is named `direct`";
            let hint = "write another id, such as \"acme-bastion\"";
            return Err(Flaw::new(id_text.span(), what).hint(hint));
        }
        (true, true) | (false, false) => {}
    }
    let keys = ssh_keys(table);
    only_its_own(table, keys, kind)?;
    match kind {
        ProviderKind::Ssh => {
            let example = "host = \"bastion.example.com\"";
            let host = required(TABLE, "host", span, table.host.as_ref(), example)?;
            let destination = keys.destination(host)?;
            let has_key = has_key(id, table.key.as_ref(), "ssh")?;
            Ok(ProviderSetup::Ssh(SshSetup { destination, has_key }))
        }
        ProviderKind::Tailscale => {
            let has_key = has_key(id, table.key.as_ref(), "tailscale")?;
            Ok(ProviderSetup::Tailscale(Box::new(tailscale::setup(table, span, has_key)?)))
        }
        ProviderKind::Twingate => {
            let has_key = has_key(id, table.key.as_ref(), "twingate")?;
            Ok(ProviderSetup::Twingate(Box::new(twingate::setup(table, span, has_key)?)))
        }
        ProviderKind::Direct | ProviderKind::Simulated => Ok(ProviderSetup::Direct),
    }
}

fn ssh_keys(table: &ProviderTable) -> SshKeys<'_> {
    SshKeys {
        table: TABLE,
        user: &table.user,
        port: &table.port,
        jump: &table.jump,
        identity_file: &table.identity_file,
        known_hosts_file: &table.known_hosts_file,
    }
}

/// Refuses the keys of other kinds. Direct leads straight from here: there is nothing in between, and
/// nothing to prove.
fn only_its_own(table: &ProviderTable, keys: SshKeys<'_>, kind: ProviderKind) -> Result<(), Flaw> {
    let text = |key, text: Option<&Spanned<String>>| text.map(|text| (key, text.span()));
    if kind == ProviderKind::Direct {
        if let Some(default) = &table.default {
            let what = "`provider.default`: Direct is tried without being the default of anything";
            return Err(Flaw::new(default.span(), what).hint("take the key out"));
        }
        if let Some(key) = &table.key {
            let what = "`provider.key`: Direct needs no key";
            return Err(Flaw::new(key.span(), what).hint("take the key out"));
        }
    }
    let of_ssh = text("host", table.host.as_ref()).into_iter().chain(keys.given());
    let shared = text("data-path", table.data_path.as_ref()).into_iter();
    let given = of_ssh.map(|given| (given, &[ProviderKind::Ssh][..]));
    let given = given
        .chain(tailscale::given(table).into_iter().map(|it| (it, &[ProviderKind::Tailscale][..])))
        .chain(twingate::given(table).into_iter().map(|it| (it, &[ProviderKind::Twingate][..])))
        .chain(shared.map(|it| (it, &[ProviderKind::Tailscale, ProviderKind::Twingate][..])));
    let mut foreign = given.filter(|(_, kinds)| !kinds.contains(&kind));
    match foreign.next() {
        None => Ok(()),
        Some(((key, span), kinds)) => {
            let words: Vec<_> = kinds.iter().map(ToString::to_string).collect();
            let lines: Vec<_> = words.iter().map(|kind| format!("kind = \"{kind}\"")).collect();
            let kinds = listed(words.iter().map(String::as_str));
            let lines = listed(lines.iter().map(String::as_str));
            let what = format!("`provider.{key}`: only a provider of kind {kinds} has it");
            Err(Flaw::new(span, what).hint(format!("take the key out, or write {lines}")))
        }
    }
}

/// True where the file says that the vault has the key.
fn has_key(id: &ProviderId, text: Option<&Spanned<String>>, kind: &str) -> Result<bool, Flaw> {
    let Some(text) = text else { return Ok(false) };
    if ProviderSettings::secret_name(id).is_none() {
        let what = "`provider.key`: no secret can be named after an id this long";
        return Err(Flaw::new(text.span(), what).hint("write an `id` of at most 54 characters"));
    }
    let reference = key_reference(id);
    if *text.get_ref() == reference {
        return Ok(true);
    }
    let what = format!("`provider.key`: only `{reference}` may stand here, never a key");
    Err(Flaw::new(text.span(), what).hint(format!(
        "`breakglass providers add {kind} {id} --key-file FILE` puts it in the vault and never in the \
         file"
    )))
}

fn key_reference(id: &ProviderId) -> String {
    format!("vault:provider-{id}")
}

const TABLE: &str = "provider";

const KINDS: [(&str, ProviderKind); 4] = [
    ("direct", ProviderKind::Direct),
    ("ssh", ProviderKind::Ssh),
    ("tailscale", ProviderKind::Tailscale),
    ("twingate", ProviderKind::Twingate),
];
