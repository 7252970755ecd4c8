//! What a `[[provider]]` of kind `tailscale` says of its tailnet.

use std::ops::Range;

use toml::Spanned;

use super::error::Flaw;
use super::file::ProviderTable;
use super::ssh::path_value;
use super::value::{Line, argument, parsed, path, word};
use crate::domain::tailscale::{DataPath, ROUTER_IMAGE, Tag, Tailnet, TailscaleSetup};

/// Reads the keys of a tailnet.
pub(super) fn setup(
    table: &ProviderTable,
    span: &Range<usize>,
    has_key: bool,
) -> Result<TailscaleSetup, Flaw> {
    let key = |key: &str| format!("provider.{key}");
    let tag = |name: &str, text: &Option<Spanned<String>>| {
        text.as_ref().map(|text| parsed::<Tag>(&key(name), text)).transpose()
    };
    let server = table.server.as_ref().map(|text| parsed(&key("server"), text)).transpose()?;
    let name = table.tailnet.as_ref().map(|text| parsed(&key("tailnet"), text)).transpose()?;
    let router_tag = tag("router-tag", &table.router_tag)?.unwrap_or_else(Tag::router);
    let operator_tag = tag("operator-tag", &table.operator_tag)?.unwrap_or_else(Tag::operator);
    let image = argument(&key("router-image"), table.router_image.as_ref())?;
    let setup = TailscaleSetup {
        tailnet: Tailnet {
            server,
            name,
            user: user(table.headscale_user.as_ref())?,
            ca_file: path(&key("ca-file"), table.ca_file.as_ref())?,
        },
        router_tag,
        operator_tag,
        data_path: word(&key("data-path"), table.data_path.as_ref(), &DataPath::ALL)?
            .unwrap_or_default(),
        edit_policy: table.edit_policy.as_ref().is_some_and(|edit| *edit.get_ref()),
        router_image: image.unwrap_or_else(|| ROUTER_IMAGE.to_owned()),
        has_key,
    };
    setup.check().map_err(|error| Flaw::new(span.clone(), format!("this `provider`: {error}")))?;
    Ok(setup)
}

/// The lines that say which tailnet it is, and how sessions use it.
pub(super) fn lines(setup: &TailscaleSetup) -> Vec<Line> {
    let Tailnet { server, name, user, ca_file } = &setup.tailnet;
    let tag = |key, tag: &Tag, usual: &Tag| Line::new(key, tag.as_str()).default_if(tag == usual);
    [
        server.as_ref().map(|url| Line::new("server", url.as_str())),
        name.as_ref().map(|name| Line::new("tailnet", name.as_str())),
        user.map(|user| Line::new("headscale-user", i64::from(user))),
        ca_file.as_deref().map(|file| Line::new("ca-file", path_value(file))),
        Some(tag("router-tag", &setup.router_tag, &Tag::router())),
        Some(tag("operator-tag", &setup.operator_tag, &Tag::operator())),
        Some(
            Line::new("data-path", setup.data_path.as_str())
                .default_if(setup.data_path == DataPath::default()),
        ),
        Some(Line::new("edit-policy", setup.edit_policy).default_if(!setup.edit_policy)),
        Some(
            Line::new("router-image", setup.router_image.as_str())
                .default_if(setup.router_image == ROUTER_IMAGE),
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The keys that are there and that only a tailnet has, with their names.
pub(super) fn given(table: &ProviderTable) -> Vec<(&'static str, Range<usize>)> {
    let text = |key, text: &Option<Spanned<String>>| text.as_ref().map(|text| (key, text.span()));
    [
        text("server", &table.server),
        text("tailnet", &table.tailnet),
        table.headscale_user.as_ref().map(|user| ("headscale-user", user.span())),
        text("ca-file", &table.ca_file),
        text("router-tag", &table.router_tag),
        text("operator-tag", &table.operator_tag),
        table.edit_policy.as_ref().map(|edit| ("edit-policy", edit.span())),
        text("router-image", &table.router_image),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn user(number: Option<&Spanned<i64>>) -> Result<Option<u32>, Flaw> {
    let Some(number) = number else { return Ok(None) };
    let user = u32::try_from(*number.get_ref()).ok().filter(|user| *user > 0);
    user.map(Some).ok_or_else(|| {
        let what = "`provider.headscale-user`: a user of Headscale has a number from 1 on";
        Flaw::new(number.span(), what).hint("`headscale users list` shows it")
    })
}
