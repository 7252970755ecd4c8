//! The fields of a tailnet.

use super::{FIRST, Misfit, file, optional, parsed, shown};
use crate::domain::provider::{ProviderSettings, ProviderSetup};
use crate::domain::secret::Secret;
use crate::domain::tailscale::{
    DataPath, ROUTER_IMAGE, Tag, Tailnet, TailnetError, TailscaleSetup,
};
use crate::tui::model::form::{Entry, Form};

/// How many there are, but for the key.
pub(super) const FIELDS: usize = 7;
const SERVER: usize = FIRST;
const NAME: usize = FIRST + 1;
const ROUTER_TAG: usize = FIRST + 2;
const OPERATOR_TAG: usize = FIRST + 3;
const DATA_PATH: usize = FIRST + 4;
const POLICY: usize = FIRST + 5;
const CA_FILE: usize = FIRST + 6;

pub(super) fn entries(known: Option<&ProviderSetup>, has_key: bool) -> Vec<Entry> {
    let setup = match known {
        Some(ProviderSetup::Tailscale(setup)) => Some(&**setup),
        _ => None,
    };
    let tailnet = setup.map(|setup| &setup.tailnet);
    let text = |text: Option<String>| text.unwrap_or_default();
    let key = if has_key {
        "stays as it is where empty; given again where the server changes"
    } else {
        "an API token or OAuth client secret (tskey-..), or an API key of Headscale"
    };
    let tag = |tag: Option<&Tag>, usual: Tag| tag.cloned().unwrap_or(usual).to_string();
    vec![
        Entry::text(
            "server",
            &text(tailnet.and_then(|it| it.server.as_ref()).map(ToString::to_string)),
            "of a Headscale: https://..; where empty, Tailscale itself",
        )
        .optional(),
        Entry::text(
            "tailnet",
            &text(tailnet.and_then(|it| it.name.as_ref()).map(ToString::to_string)),
            "where empty, that of the key",
        )
        .optional(),
        Entry::text(
            "router tag",
            &tag(setup.map(|setup| &setup.router_tag), Tag::router()),
            "of the routers in sites; the policy file must know it",
        ),
        Entry::text(
            "own tag",
            &tag(setup.map(|setup| &setup.operator_tag), Tag::operator()),
            "of this side's nodes; the policy file says what it may reach",
        ),
        Entry::choice(
            "data path",
            &["own node", "this host's"],
            usize::from(setup.is_some_and(|setup| setup.data_path == DataPath::Host)),
            "a node for each session, or the tailscaled that this host runs",
        ),
        Entry::choice(
            "policy",
            &["leave alone", "edit"],
            usize::from(setup.is_some_and(|setup| setup.edit_policy)),
            "whether the policy file is edited for each session, and edited back",
        ),
        Entry::text(
            "CA file",
            &shown(tailnet.and_then(|it| it.ca_file.as_ref())),
            "the whole path of further certificates to trust; may be none",
        )
        .optional(),
        Entry::secret("vault key", key).optional(),
    ]
}

pub(super) fn read(
    form: &Form,
    has_key: bool,
    known: Option<&ProviderSettings>,
) -> Result<ProviderSetup, Misfit> {
    let known = known.and_then(|known| match &known.setup {
        ProviderSetup::Tailscale(setup) => Some(&**setup),
        _ => None,
    });
    let data_path = if form.choice(DATA_PATH) == 1 { DataPath::Host } else { DataPath::Node };
    let setup = TailscaleSetup {
        tailnet: Tailnet {
            server: optional(form, SERVER)?,
            name: optional(form, NAME)?,
            // What the form does not ask for stays as the configuration has it.
            user: known.and_then(|known| known.tailnet.user),
            ca_file: file(form, CA_FILE)?,
        },
        router_tag: parsed(form, ROUTER_TAG)?,
        operator_tag: parsed(form, OPERATOR_TAG)?,
        data_path,
        edit_policy: form.choice(POLICY) == 1,
        router_image: known.map_or(ROUTER_IMAGE, |known| &known.router_image).to_owned(),
        has_key,
    };
    setup.check().map_err(|error| (OPERATOR_TAG, error.to_string()))?;
    Ok(ProviderSetup::Tailscale(Box::new(setup)))
}

/// Refuses a key that is surely for the other product.
pub fn fits(setup: &TailscaleSetup, key: &Secret) -> Result<(), String> {
    setup.tailnet.check_key(key).map_err(|error| match error {
        TailnetError::HeadscaleKey => format!("{error}: fill in `server`"),
        error => format!("{error}: leave `server` empty, or paste a key of that Headscale"),
    })
}
