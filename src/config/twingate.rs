//! What a `[[provider]]` of kind `twingate` says of its network.

use std::ops::Range;

use toml::Spanned;

use super::error::Flaw;
use super::file::{ProviderTable, Text};
use super::value::{Line, argument, parsed, required, word};
use crate::domain::twingate::{CONNECTOR_IMAGE, ClientPath, ProxyAddress, TwingateSetup};

/// Reads the keys of a network.
pub(super) fn setup(
    table: &ProviderTable,
    span: &Range<usize>,
    has_key: bool,
) -> Result<TwingateSetup, Flaw> {
    let needed = |name: &'static str, text: &'static str, value| {
        required("provider", name, span, value, text)
    };
    let network = needed("network", "network = \"acme\"", table.network.as_ref())?;
    let group = needed("group", "group = \"On call\"", table.group.as_ref())?;
    let image = argument("provider.connector-image", table.connector_image.as_ref())?;
    Ok(TwingateSetup {
        network: parsed("provider.network", network)?,
        group: parsed("provider.group", group)?,
        data_path: data_path(table)?,
        connector_image: image.unwrap_or_else(|| CONNECTOR_IMAGE.to_owned()),
        has_key,
    })
}

/// The lines that say which network it is, and how sessions use it.
pub(super) fn lines(setup: &TwingateSetup) -> Vec<Line> {
    let proxy = match setup.data_path {
        ClientPath::Host => None,
        ClientPath::Proxy(proxy) => {
            Some(Line::new("proxy", proxy.to_string()).default_if(proxy == ProxyAddress::default()))
        }
    };
    [
        Some(Line::new("network", setup.network.as_str())),
        Some(Line::new("group", setup.group.as_str())),
        Some(
            Line::new("data-path", setup.data_path.as_str())
                .default_if(setup.data_path == ClientPath::default()),
        ),
        proxy,
        Some(
            Line::new("connector-image", setup.connector_image.as_str())
                .default_if(setup.connector_image == CONNECTOR_IMAGE),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The keys that are there and that only a network has, with their names.
pub(super) fn given(table: &ProviderTable) -> Vec<(&'static str, Range<usize>)> {
    let text = |key, text: &Text| text.as_ref().map(|text| (key, text.span()));
    [
        text("network", &table.network),
        text("group", &table.group),
        text("proxy", &table.proxy),
        text("connector-image", &table.connector_image),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn data_path(table: &ProviderTable) -> Result<ClientPath, Flaw> {
    let words = [("host", false), ("proxy", true)];
    let by_proxy = word("provider.data-path", table.data_path.as_ref(), &words)?;
    let proxy = |text: &Spanned<String>| parsed::<ProxyAddress>("provider.proxy", text);
    match (by_proxy.unwrap_or_default(), &table.proxy) {
        (true, text) => {
            let proxy = text.as_ref().map(proxy).transpose()?;
            Ok(ClientPath::Proxy(proxy.unwrap_or_default()))
        }
        (false, None) => Ok(ClientPath::Host),
        (false, Some(text)) => {
            let what = "`provider.proxy`: nothing goes over a proxy with `data-path = \"host\"`";
            Err(Flaw::new(text.span(), what)
                .hint("take the key out, or write `data-path = \"proxy\"`"))
        }
    }
}
