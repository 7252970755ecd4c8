//! The form that adds a provider or changes one.
//!
//! The kind comes second, after the name: the fields below it are those that such a system needs.

mod bastion;
mod network;
mod tailnet;

use std::path::PathBuf;

use crate::domain::id::ProviderId;
use crate::domain::provider::{ProviderSettings, ProviderSetup};
use crate::domain::secret::Secret;
use crate::protocol::{Command, Save};
use crate::tui::model::form::{Entry, Form};

/// The number of the field with the name.
pub const NAME: usize = 0;
const KIND: usize = 1;
/// The number of the first field that belongs to the kind.
const FIRST: usize = 2;

/// What kind of provider the form describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bastion,
    Tailnet,
    Network,
}

impl Kind {
    fn of(setup: &ProviderSetup) -> Self {
        match setup {
            ProviderSetup::Direct | ProviderSetup::Ssh(_) => Self::Bastion,
            ProviderSetup::Tailscale(_) => Self::Tailnet,
            ProviderSetup::Twingate(_) => Self::Network,
        }
    }

    fn chosen(form: &Form) -> Self {
        let number = form.choice(KIND);
        let others = [Self::Tailnet, Self::Network];
        others.into_iter().find(|kind| kind.number() == number).unwrap_or(Self::Bastion)
    }

    const fn number(self) -> usize {
        match self {
            Self::Bastion => 0,
            Self::Tailnet => 1,
            Self::Network => 2,
        }
    }

    /// The numbers of the fields behind those of the kind: its key, whether it is a default, and what
    /// then.
    const fn after(self) -> [usize; 3] {
        let key = FIRST
            + match self {
                Self::Bastion => bastion::FIELDS,
                Self::Tailnet => tailnet::FIELDS,
                Self::Network => network::FIELDS,
            };
        [key, key + 1, key + 2]
    }
}

/// The fields of the form, filled in with what is known.
#[must_use]
pub fn entries(known: Option<&ProviderSettings>) -> Vec<Entry> {
    let kind = known.map_or(Kind::Bastion, |settings| Kind::of(&settings.setup));
    let name = known.map(|settings| settings.id.to_string()).unwrap_or_default();
    let default = usize::from(known.is_some_and(|settings| settings.default));
    fields(kind, &name, known.map(|settings| &settings.setup), default)
}

fn fields(kind: Kind, name: &str, known: Option<&ProviderSetup>, default: usize) -> Vec<Entry> {
    let mut entries = vec![
        Entry::text("name", name, "short and lower case, such as bastion-eu"),
        Entry::choice("kind", &KINDS, kind.number(), KIND_ABOUT),
    ];
    let has_key = known.is_some_and(ProviderSetup::has_key);
    match kind {
        Kind::Bastion => entries.extend(bastion::entries(known, has_key)),
        Kind::Tailnet => entries.extend(tailnet::entries(known, has_key)),
        Kind::Network => entries.extend(network::entries(known, has_key)),
    }
    entries.push(Entry::choice(
        "default",
        &["no", "yes"],
        default,
        "whether it serves private targets that belong to no site",
    ));
    entries
}

/// Shows the fields of the kind that is chosen now. The kind of a provider that is there stays.
pub fn follow_kind(form: &mut Form, known: Option<&ProviderSettings>) {
    if form.focus != KIND {
        return;
    }
    if let Some(known) = known {
        form.refuse(KIND, "a kind stays; add another provider and remove this one");
        form.entries = entries(Some(known));
        return;
    }
    let name = form.text(NAME).to_owned();
    form.entries = fields(Kind::chosen(form), &name, None, 0);
}

/// Also asks whether to save what does not work now.
pub fn offer_saving(form: &mut Form) {
    let [_, _, then] = Kind::chosen(form).after();
    if form.entries.len() <= then {
        form.entries.push(Entry::choice(
            "then",
            &["look again", "save disabled"],
            0,
            "something that is needed is missing; saved, it carries nothing until it is mended",
        ));
    }
    form.focus = then;
}

/// Reads the fields; where one does not fit, the form says so.
///
/// The key stays in its field until the engine has taken it: after a look that fails it may have
/// to be sent again.
pub fn command(form: &mut Form, known: Option<&ProviderSettings>) -> Option<Command> {
    match read(form, known) {
        Ok(settings) => {
            let [key, _, then] = Kind::chosen(form).after();
            let key = Some(form.secret(key)).filter(|key| !key.is_empty());
            let save = if form.choice(then) == 1 { Save::Disabled } else { Save::WhenHealthy };
            Some(Command::PutProvider { settings: Box::new(settings), key, save })
        }
        Err((field, why)) => {
            form.refuse(field, why);
            None
        }
    }
}

/// Why a field does not fit, with its number.
type Misfit = (usize, String);

fn read(form: &Form, known: Option<&ProviderSettings>) -> Result<ProviderSettings, Misfit> {
    let id: ProviderId = form.text(NAME).parse().map_err(|error| wrong(NAME, &error))?;
    if known.is_some_and(|known| known.id != id) {
        return Err((NAME, "a name stays; add another provider and remove this one".to_owned()));
    }
    let has_key = known.is_some_and(|known| known.setup.has_key());
    let kind = Kind::chosen(form);
    let [key, default, _] = kind.after();
    let settings = ProviderSettings {
        id,
        setup: match kind {
            Kind::Bastion => bastion::read(form, has_key)?,
            Kind::Tailnet => tailnet::read(form, has_key, known)?,
            Kind::Network => network::read(form, has_key)?,
        },
        enabled: known.is_none_or(|known| known.enabled),
        default: form.choice(default) == 1,
    };
    if let ProviderSetup::Tailscale(setup) = &settings.setup {
        tailnet::fits(setup, &form.secret(key)).map_err(|why| (key, why))?;
        let saves = form.choice(kind.after()[2]) == 1;
        if form.secret(key).is_empty() && !has_key && !saves {
            return Err((key, "a tailnet needs a key of its API: paste it here".to_owned()));
        }
    }
    let is_elsewhere = known.is_some_and(|known| settings.needs_key_again(known));
    if is_elsewhere && form.secret(key).is_empty() {
        let why = "the vault key is bound to the host that it was given for: paste it again here";
        return Err((key, why.to_owned()));
    }
    Ok(settings)
}

/// Why a new key is surely not for a provider; none where it may be.
pub fn misfit_of_key(known: Option<&ProviderSettings>, key: &Secret) -> Option<String> {
    match &known?.setup {
        ProviderSetup::Tailscale(setup) => tailnet::fits(setup, key).err(),
        _ => None,
    }
}

/// A field that may stay empty.
fn optional<T>(form: &Form, field: usize) -> Result<Option<T>, Misfit>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    if form.text(field).is_empty() { Ok(None) } else { parsed(form, field).map(Some) }
}

fn parsed<T>(form: &Form, field: usize) -> Result<T, Misfit>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    form.text(field).parse().map_err(|error: T::Err| wrong(field, &error))
}

fn file(form: &Form, field: usize) -> Result<Option<PathBuf>, Misfit> {
    match form.text(field) {
        "" => Ok(None),
        path if path.starts_with('/') => Ok(Some(path.into())),
        _ => Err((field, "write the whole path, from `/` on".to_owned())),
    }
}

/// A path as a field shows it.
fn shown(path: Option<&PathBuf>) -> String {
    path.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default()
}

fn wrong(field: usize, error: &dyn std::fmt::Display) -> Misfit {
    (field, error.to_string())
}

const KINDS: [&str; 3] = ["SSH", "Tailscale/Headscale", "Twingate"];
const KIND_ABOUT: &str =
    "a bastion that the system's ssh reaches, or a router or a connector for each session";
