//! Cuts in the text of the file: each takes a text and returns the changed one.
//!
//! The places to change come from the parser. (A tree of the whole document that is printed again
//! does not keep every byte: line ends, for one.)

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::DIRECT;

/// Returns the text with the provider switched; `None` where the text does not know it.
pub(super) fn with_provider_enabled(text: &str, id: &str, enabled: bool) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    let list = root.get_ref().get("provider");
    let items = list.and_then(|list| list.get_ref().as_array());
    let named = |item: &&Spanned<DeValue<'_>>| {
        item.get_ref().get("id").and_then(|value| value.get_ref().as_str()) == Some(id)
    };
    if let Some(item) = items.and_then(|items| items.iter().find(named)) {
        return switched(text, item, enabled);
    }
    if id != DIRECT {
        return None;
    }
    match list {
        // A list that is written inline takes no `[[provider]]` behind it.
        Some(list) if !text.get(list.span())?.starts_with("[[") => {
            let comma = if items.is_some_and(|items| items.is_empty()) { "" } else { ", " };
            let item = format!("{{ id = \"{id}\", kind = \"{id}\", enabled = {enabled} }}{comma}");
            spliced(text, list.span().start + 1..list.span().start + 1, &item)
        }
        _ => Some(with_table_at_end(text, id, enabled)),
    }
}

/// Changes `enabled` of the provider at `item`, or adds it behind its last key.
fn switched(text: &str, item: &Spanned<DeValue<'_>>, enabled: bool) -> Option<String> {
    let table = item.get_ref().as_table()?;
    if let Some(value) = table.get("enabled") {
        return spliced(text, value.span(), &enabled.to_string());
    }
    let (key, value) = table.iter().max_by_key(|(_, value)| value.span().end)?;
    let end = value.span().end;
    if text.get(item.span())?.starts_with('{') {
        return spliced(text, end..end, &format!(", enabled = {enabled}"));
    }
    let line = text.get(..key.span().start)?.rsplit('\n').next()?;
    let indent = if line.trim().is_empty() { line } else { "" };
    let eol = line_end(text);
    match text.get(end..)?.find('\n').map(|at| end + at + 1) {
        Some(next) => spliced(text, next..next, &format!("{indent}enabled = {enabled}{eol}")),
        None => Some(format!("{text}{eol}{indent}enabled = {enabled}")),
    }
}

fn with_table_at_end(text: &str, id: &str, enabled: bool) -> String {
    let eol = line_end(text);
    let table = ["[[provider]]", &format!("id = \"{id}\""), &format!("kind = \"{id}\"")];
    let table = format!("{}{eol}enabled = {enabled}{eol}", table.join(eol));
    match text {
        "" => table,
        text if text.ends_with('\n') => format!("{text}{eol}{table}"),
        text => format!("{text}{eol}{eol}{table}"),
    }
}

/// The line end that the text uses.
fn line_end(text: &str) -> &'static str {
    let first = text.find('\n').and_then(|at| text.get(..at));
    if first.is_some_and(|line| line.ends_with('\r')) { "\r\n" } else { "\n" }
}

fn spliced(text: &str, range: Range<usize>, with: &str) -> Option<String> {
    Some(format!("{}{with}{}", text.get(..range.start)?, text.get(range.end..)?))
}
