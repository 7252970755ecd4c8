//! The form that adds a provider or changes one.
//!
//! The kind comes first: the fields below it are those that such a system needs.

use std::path::PathBuf;

use crate::domain::id::ProviderId;
use crate::domain::provider::{ProviderSettings, ProviderSetup, SshSetup};
use crate::domain::ssh::{SshDestination, SshHop};
use crate::protocol::{Command, Save};
use crate::tui::model::form::{Entry, Form};

/// The number of the field with the name.
pub const NAME: usize = 0;
const HOST: usize = 2;
const USER: usize = 3;
const PORT: usize = 4;
const JUMP: usize = 5;
const IDENTITY: usize = 6;
const KNOWN_HOSTS: usize = 7;
const KEY: usize = 8;
const DEFAULT: usize = 9;
const THEN: usize = 10;

/// The fields of the form, filled in with what is known.
#[must_use]
pub fn entries(known: Option<&ProviderSettings>) -> Vec<Entry> {
    let setup = known.and_then(|settings| match &settings.setup {
        ProviderSetup::Ssh(setup) => Some(setup),
        ProviderSetup::Direct => None,
    });
    let to = setup.map(|setup| &setup.destination);
    let file = |path: Option<&PathBuf>| {
        path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let jump = to.map(|to| to.jump.iter().map(ToString::to_string).collect::<Vec<_>>());
    let text = |text: Option<String>| text.unwrap_or_default();
    let name = text(known.map(|settings| settings.id.to_string()));
    let default = usize::from(known.is_some_and(|settings| settings.default));
    let key = if setup.is_some_and(|setup| setup.has_key) {
        "stays as it is where empty; given again where the host changes"
    } else {
        "a private key for the vault, pasted whole; where empty, your agent and files"
    };
    vec![
        Entry::text("name", &name, "short and lower case, such as bastion-eu"),
        Entry::choice("kind", &["SSH bastion"], 0, "the system's ssh, with your configuration"),
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
            "key file",
            &file(to.and_then(|to| to.identity_file.as_ref())),
            "the whole path of a private key on this host; may be none",
        )
        .optional(),
        Entry::text(
            "known hosts",
            &file(to.and_then(|to| to.known_hosts_file.as_ref())),
            "the whole path of the file with its host key; may be none",
        )
        .optional(),
        Entry::lines("key", key).optional(),
        Entry::choice(
            "default",
            &["no", "yes"],
            default,
            "whether it serves private targets that belong to no site",
        ),
    ]
}

/// Also asks whether to save what does not work now.
pub fn offer_saving(form: &mut Form) {
    if form.entries.len() <= THEN {
        form.entries.push(Entry::choice(
            "then",
            &["look again", "save disabled"],
            0,
            "something that is needed is missing; saved, it carries nothing until it is mended",
        ));
    }
    form.focus = THEN;
}

/// Reads the fields; where one does not fit, the form says so.
///
/// The key stays in its field until the engine has taken it: after a look that fails it may have
/// to be sent again.
pub fn command(form: &mut Form, known: Option<&ProviderSettings>) -> Option<Command> {
    match read(form, known) {
        Ok(settings) => {
            let key = Some(form.secret(KEY)).filter(|key| !key.is_empty());
            let save = if form.choice(THEN) == 1 { Save::Disabled } else { Save::WhenHealthy };
            Some(Command::PutProvider { settings: Box::new(settings), key, save })
        }
        Err((field, why)) => {
            form.refuse(field, why);
            None
        }
    }
}

fn read(
    form: &Form,
    known: Option<&ProviderSettings>,
) -> Result<ProviderSettings, (usize, String)> {
    let id: ProviderId = form.text(NAME).parse().map_err(|error| wrong(NAME, &error))?;
    if known.is_some_and(|known| known.id != id) {
        return Err((NAME, "a name stays; add another provider and remove this one".to_owned()));
    }
    let user = form.text(USER);
    let user = if user.is_empty() { None } else { Some(parsed(form, USER)?) };
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
        user,
        port,
        jump: jump.map_err(|error| wrong(JUMP, &error))?,
        identity_file: file(form, IDENTITY)?,
        known_hosts_file: file(form, KNOWN_HOSTS)?,
    };
    let has_key = known.is_some_and(|known| known.setup.has_key());
    Ok(ProviderSettings {
        id,
        setup: ProviderSetup::Ssh(SshSetup { destination, has_key }),
        enabled: known.is_none_or(|known| known.enabled),
        default: form.choice(DEFAULT) == 1,
    })
}

fn parsed<T>(form: &Form, field: usize) -> Result<T, (usize, String)>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    form.text(field).parse().map_err(|error: T::Err| wrong(field, &error))
}

fn file(form: &Form, field: usize) -> Result<Option<PathBuf>, (usize, String)> {
    match form.text(field) {
        "" => Ok(None),
        path if path.starts_with('/') => Ok(Some(path.into())),
        _ => Err((field, "write the whole path, from `/` on".to_owned())),
    }
}

fn wrong(field: usize, error: &dyn std::fmt::Display) -> (usize, String) {
    (field, error.to_string())
}
