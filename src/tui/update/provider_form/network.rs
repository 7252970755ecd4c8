//! The fields of a network of Twingate.

use super::{FIRST, Misfit, optional, parsed};
use crate::domain::provider::ProviderSetup;
use crate::domain::twingate::{CONNECTOR_IMAGE, ClientPath, TwingateSetup};
use crate::tui::model::form::{Entry, Form};

/// How many there are, but for the key.
pub(super) const FIELDS: usize = 5;
const NETWORK: usize = FIRST;
const GROUP: usize = FIRST + 1;
const REACHED: usize = FIRST + 2;
const PROXY: usize = FIRST + 3;
const IMAGE: usize = FIRST + 4;

pub(super) fn entries(known: Option<&ProviderSetup>, has_key: bool) -> Vec<Entry> {
    let setup = match known {
        Some(ProviderSetup::Twingate(setup)) => Some(&**setup),
        _ => None,
    };
    let proxy = match setup.map(|setup| setup.data_path) {
        Some(ClientPath::Proxy(proxy)) => Some(proxy),
        Some(ClientPath::Host) | None => None,
    };
    let key = if has_key {
        "stays as it is where empty; given again where the network changes"
    } else {
        "an API key of the level Read, Write & Provision"
    };
    vec![
        Entry::text(
            "network",
            setup.map_or("", |setup| setup.network.as_str()),
            "what stands before .twingate.com",
        ),
        Entry::text(
            "group",
            setup.map_or("", |setup| setup.group.as_str()),
            "who may reach the target of a session: all of it may",
        ),
        Entry::choice(
            "reached by",
            &["host client", "proxy"],
            usize::from(proxy.is_some()),
            "the client that this host runs, or one that listens as a proxy",
        ),
        Entry::text(
            "proxy",
            &proxy.map(|proxy| proxy.to_string()).unwrap_or_default(),
            "where it listens on this host; where empty, 127.0.0.1:9999",
        )
        .optional(),
        Entry::text(
            "image",
            setup.map_or(CONNECTOR_IMAGE, |setup| &setup.connector_image),
            "of a connector, where a container runs it",
        ),
        Entry::secret("vault key", key).optional(),
    ]
}

pub(super) fn read(form: &Form, has_key: bool) -> Result<ProviderSetup, Misfit> {
    let (network, group) = (parsed(form, NETWORK)?, parsed(form, GROUP)?);
    let proxy = optional(form, PROXY)?;
    let data_path = match (form.choice(REACHED) == 1, proxy) {
        (true, proxy) => ClientPath::Proxy(proxy.unwrap_or_default()),
        (false, None) => ClientPath::Host,
        (false, Some(_)) => {
            let why = "nothing goes over a proxy by the host's client: empty this, or choose proxy";
            return Err((PROXY, why.to_owned()));
        }
    };
    let image = form.text(IMAGE);
    if image.starts_with('-') {
        return Err((IMAGE, "an image does not start with `-`".to_owned()));
    }
    Ok(ProviderSetup::Twingate(Box::new(TwingateSetup {
        network,
        group,
        data_path,
        connector_image: image.to_owned(),
        has_key,
    })))
}
