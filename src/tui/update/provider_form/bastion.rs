//! The fields of a bastion.

use super::{FIRST, Misfit, file, optional, parsed, shown, wrong};
use crate::domain::provider::{ProviderSetup, SshSetup};
use crate::domain::ssh::{SshDestination, SshHop};
use crate::tui::model::form::{Entry, Form};

/// How many there are, but for the key.
pub(super) const FIELDS: usize = 6;
const HOST: usize = FIRST;
const USER: usize = FIRST + 1;
const PORT: usize = FIRST + 2;
const JUMP: usize = FIRST + 3;
const IDENTITY: usize = FIRST + 4;
const KNOWN_HOSTS: usize = FIRST + 5;

pub(super) fn entries(known: Option<&ProviderSetup>, has_key: bool) -> Vec<Entry> {
    let to = match known {
        Some(ProviderSetup::Ssh(setup)) => Some(&setup.destination),
        _ => None,
    };
    let jump = to.map(|to| to.jump.iter().map(ToString::to_string).collect::<Vec<_>>());
    let text = |text: Option<String>| text.unwrap_or_default();
    let key = if has_key {
        "stays as it is where empty; given again where the host changes"
    } else {
        "a private key for the vault, pasted whole; where empty, your agent and files"
    };
    vec![
        Entry::text(
            "host",
            &text(to.map(|to| to.host.to_string())),
            "a host, or a name that your ssh_config knows",
        ),
        Entry::text("user", &text(to.and_then(|to| to.user.as_ref()).map(ToString::to_string)), "")
            .optional(),
        Entry::text("port", &text(to.and_then(|to| to.port).map(|port| port.to_string())), "")
            .optional(),
        Entry::text(
            "jump",
            &text(jump.map(|hops| hops.join(", "))),
            "hosts on the way, the first one first: user@host:port, host",
        )
        .optional(),
        Entry::text(
            "identity",
            &shown(to.and_then(|to| to.identity_file.as_ref())),
            "the whole path of a private key that stays a file on this host; may be none",
        )
        .optional(),
        Entry::text(
            "known hosts",
            &shown(to.and_then(|to| to.known_hosts_file.as_ref())),
            "the whole path of the file with its host key; may be none",
        )
        .optional(),
        Entry::lines("vault key", key).optional(),
    ]
}

pub(super) fn read(form: &Form, has_key: bool) -> Result<ProviderSetup, Misfit> {
    let port = match form.text(PORT) {
        "" => None,
        text => match text.parse() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err((PORT, "a port is a number from 1 to 65535".to_owned())),
        },
    };
    let hops = form.text(JUMP).split([',', ' ']).filter(|hop| !hop.is_empty());
    let jump: Result<Vec<SshHop>, _> = hops.map(str::parse).collect();
    let destination = SshDestination {
        host: parsed(form, HOST)?,
        user: optional(form, USER)?,
        port,
        jump: jump.map_err(|error| wrong(JUMP, &error))?,
        identity_file: file(form, IDENTITY)?,
        known_hosts_file: file(form, KNOWN_HOSTS)?,
    };
    Ok(ProviderSetup::Ssh(SshSetup { destination, has_key }))
}
