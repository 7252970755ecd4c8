//! Cuts in the text of the file: each takes a text and returns the changed one.
//!
//! The places to change come from the parser. (A tree of the whole document that is printed again
//! does not keep every byte: line ends, for one.)

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::DIRECT;
use super::provider::{direct, lines as lines_of_provider};
use super::value::Line;

/// A list of tables with ids, as it is written.
pub(super) const PROVIDER: &str = "provider";
pub(super) const IDENTITY_PROVIDER: &str = "identity-provider";

/// Returns the text with the provider switched; `None` where the text does not know it.
pub(super) fn with_provider_enabled(text: &str, id: &str, enabled: bool) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    match root.get_ref().get(PROVIDER).and_then(|list| item_of(list, id)) {
        Some(item) => switched(text, item, enabled),
        None if id == DIRECT => {
            with_item(text, PROVIDER, id, &lines_of_provider(&direct(enabled)?))
        }
        None => None,
    }
}

/// Changes `enabled` of the provider at `item`, or adds it behind its last key.
fn switched(text: &str, item: &Spanned<DeValue<'_>>, enabled: bool) -> Option<String> {
    let table = item.get_ref().as_table()?;
    if let Some(value) = table.get("enabled") {
        return spliced(text, value.span(), &enabled.to_string());
    }
    if is_inline(text, item) {
        let end = table.values().map(|value| value.span().end).max()?;
        return spliced(text, end..end, &format!(", enabled = {enabled}"));
    }
    let (range, line) = behind_last_key(text, table, &[format!("enabled = {enabled}")])?;
    spliced(text, range, &line)
}

/// Returns the text with an item in one of its lists; of one that is there, the values that say
/// something else are changed. `None` where it is written in a way that cannot be cut.
pub(super) fn with_item(text: &str, list: &str, id: &str, lines: &[Line]) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    let there = root.get_ref().get(list);
    if let Some(item) = there.and_then(|there| item_of(there, id)) {
        return if is_inline(text, item) {
            spliced(text, one_line(text, item)?, &inline_table(lines))
        } else {
            with_lines(text, item, lines)
        };
    }
    // Direct counts as the first where it is not named, so that is where it is named.
    let first = id == DIRECT && list == PROVIDER;
    let Some(there) = there else { return Some(with_table_at_end(text, &table_of(list, lines))) };
    let items = there.get_ref().as_array()?;
    if !is_inline(text, there) {
        return match items.first().filter(|_| first) {
            Some(item) => with_table_before(text, item, &table_of(list, lines)),
            None => Some(with_table_at_end(text, &table_of(list, lines))),
        };
    }
    let start = there.span().start + 1;
    match items.last() {
        Some(_) if first => spliced(text, start..start, &format!("{}, ", inline_table(lines))),
        Some(last) => {
            let end = last.span().end;
            spliced(text, end..end, &format!(", {}", inline_table(lines)))
        }
        None => spliced(text, start..start, &inline_table(lines)),
    }
}

/// Returns the text without an item of one of its lists and without the comment directly above it.
/// `None` where it is written in a way that cannot be cut.
pub(super) fn without_item(text: &str, list: &str, id: &str) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    let item = item_of(root.get_ref().get(list)?, id)?;
    if is_inline(text, item) {
        return without_element(text, one_line(text, item)?);
    }
    let end = item.get_ref().as_table()?.values().map(|value| value.span().end).max()?;
    let end = lines_of(text, end..end)?.end;
    let mut start = start_with_comment(text, item)?;
    // Of the empty lines above and below, one goes with it.
    let is_empty = |line: &str| line.trim().is_empty();
    let above = text.get(..start)?.split_inclusive('\n').next_back();
    if let Some(above) = above.filter(|line| is_empty(line))
        && text.get(end..)?.lines().next().is_none_or(is_empty)
    {
        start -= above.len();
    }
    spliced(text, start..end, "")
}

/// Returns the text without a provider, also in the orders of the sites.
pub(super) fn without_provider(text: &str, id: &str) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    let sites = root.get_ref().get("site").and_then(|list| list.get_ref().as_array());
    let orders = sites.into_iter().flatten().filter_map(|site| site.get_ref().get("providers"));
    let named = orders.filter_map(|order| order.get_ref().as_array()).flatten();
    let mut places: Vec<_> = named
        .filter(|named| named.get_ref().as_str() == Some(id))
        .map(|named| named.span())
        .collect();
    // From the end on, so that the places before a cut stay right.
    places.sort_by_key(|place| std::cmp::Reverse(place.start));
    let text = places.into_iter().try_fold(text.to_owned(), |text, place| {
        without_line(&text, &place).or_else(|| without_element(&text, place))
    })?;
    without_item(&text, PROVIDER, id)
}

/// Returns an item as a table of its own; what holds without being said is left out.
pub(super) fn table_of(list: &str, lines: &[Line]) -> String {
    let said = lines.iter().filter(|line| !line.default);
    let said: String = said.map(|line| format!("{} = {}\n", line.key, line.value)).collect();
    format!("[[{list}]]\n{said}")
}

fn inline_table(lines: &[Line]) -> String {
    let said = lines.iter().filter(|line| !line.default);
    let said: Vec<_> = said.map(|line| format!("{} = {}", line.key, line.value)).collect();
    format!("{{ {} }}", said.join(", "))
}

/// Changes the values of the table at `item` to those of `lines`: what says the same stays as it is
/// written, what is not among them goes with its line, what is missing comes behind the last key.
fn with_lines(text: &str, item: &Spanned<DeValue<'_>>, lines: &[Line]) -> Option<String> {
    let table = item.get_ref().as_table()?;
    let missing = lines.iter().filter(|line| !line.default && table.get(line.key).is_none());
    let missing: Vec<_> = missing.map(|line| format!("{} = {}", line.key, line.value)).collect();
    let mut cuts = Vec::new();
    if !missing.is_empty() {
        cuts.push(behind_last_key(text, table, &missing)?);
    }
    for (key, value) in table {
        match lines.iter().find(|line| line.key == key.get_ref()) {
            Some(line) if says(value.get_ref(), &line.value) => {}
            Some(line) => cuts.push((value.span(), line.value.to_string())),
            None => {
                cuts.push((lines_of(text, key.span().start..value.span().end)?, String::new()));
            }
        }
    }
    // From the end on, so that the places before a cut stay right.
    cuts.sort_by_key(|(range, _)| std::cmp::Reverse(range.start));
    cuts.into_iter().try_fold(text.to_owned(), |text, (range, with)| spliced(&text, range, &with))
}

/// True where the file says a value already, in whatever quotes.
fn says(there: &DeValue<'_>, value: &Value) -> bool {
    match (there, value) {
        (DeValue::String(there), Value::String(value)) => there == value,
        (DeValue::Boolean(there), Value::Boolean(value)) => there == value,
        (DeValue::Integer(there), Value::Integer(value)) => {
            there.radix() == 10 && there.as_str().parse() == Ok(*value)
        }
        (DeValue::Array(there), Value::Array(value)) => {
            there.len() == value.len()
                && there.iter().zip(value).all(|(there, value)| says(there.get_ref(), value))
        }
        _ => false,
    }
}

/// Takes an element out of a list that is written inline, with the comma behind or before it.
fn without_element(text: &str, element: Range<usize>) -> Option<String> {
    let (before, after) = (text.get(..element.start)?, text.get(element.end..)?);
    if let Some(rest) = after.trim_start().strip_prefix(',') {
        return Some(format!("{before}{}", rest.trim_start_matches([' ', '\t'])));
    }
    let before = before.trim_end().strip_suffix(',').unwrap_or(before);
    Some(format!("{before}{after}"))
}

/// Takes an element out that has a line of its own, with its comma and the comment behind it;
/// nothing where it shares its line.
fn without_line(text: &str, element: &Range<usize>) -> Option<String> {
    let line = lines_of(text, element.clone())?;
    let before = text.get(line.start..element.start)?;
    let after = text.get(element.end..line.end)?.trim();
    let after = after.strip_prefix(',')?.trim_start();
    let alone = before.trim().is_empty() && (after.is_empty() || after.starts_with('#'));
    if alone { spliced(text, line, "") } else { None }
}

/// The item of a list with this id.
fn item_of<'a, 'i>(list: &'a Spanned<DeValue<'i>>, id: &str) -> Option<&'a Spanned<DeValue<'i>>> {
    let named = |item: &&Spanned<DeValue<'_>>| {
        item.get_ref().get("id").and_then(|value| value.get_ref().as_str()) == Some(id)
    };
    list.get_ref().as_array()?.iter().find(named)
}

/// True for a table in braces and for a list in single brackets: nothing can be added behind it.
fn is_inline(text: &str, value: &Spanned<DeValue<'_>>) -> bool {
    text.get(value.span()).is_some_and(|text| !text.starts_with("[["))
}

/// Where a value stands; nothing where it has several lines, in which comments may stand.
fn one_line(text: &str, value: &Spanned<DeValue<'_>>) -> Option<Range<usize>> {
    let one = !text.get(value.span())?.contains('\n');
    one.then(|| value.span())
}

/// The place behind the last key of a table, and the lines as they come there.
fn behind_last_key(
    text: &str,
    table: &DeTable<'_>,
    lines: &[String],
) -> Option<(Range<usize>, String)> {
    let (key, value) = table.iter().max_by_key(|(_, value)| value.span().end)?;
    let end = value.span().end;
    let line = text.get(..key.span().start)?.rsplit('\n').next()?;
    let indent = if line.trim().is_empty() { line } else { "" };
    let eol = line_end(text);
    let line = |line: &String| format!("{indent}{line}");
    let lines = lines.iter().map(line).collect::<Vec<_>>().join(eol);
    Some(match text.get(end..)?.find('\n').map(|at| end + at + 1) {
        Some(next) => (next..next, format!("{lines}{eol}")),
        None => (text.len()..text.len(), format!("{eol}{lines}")),
    })
}

/// Widens a place to whole lines, line ends counted.
fn lines_of(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let start = text.get(..place.start)?.rfind('\n').map_or(0, |at| at + 1);
    let end = text.get(place.end..)?.find('\n').map_or(text.len(), |at| place.end + at + 1);
    Some(start..end)
}

/// True for a line of comment that is meant to be read. `#key` is meant to be uncommented: it is a
/// line of the table above. With quotes of three, it may be the end of a text.
fn is_prose(line: &str) -> bool {
    let comment = line
        .trim()
        .strip_prefix('#')
        .filter(|comment| comment.is_empty() || comment.starts_with(char::is_whitespace));
    comment.is_some_and(|comment| !comment.contains("'''") && !comment.contains("\"\"\""))
}

/// Where an item begins, the comment directly above it counted.
fn start_with_comment(text: &str, item: &Spanned<DeValue<'_>>) -> Option<usize> {
    let start = lines_of(text, item.span())?.start;
    let above = text.get(..start)?.split_inclusive('\n').rev().take_while(|line| is_prose(line));
    Some(start - above.map(str::len).sum::<usize>())
}

/// Adds a table, whose lines end with `\n`, before an item and its comment.
fn with_table_before(text: &str, item: &Spanned<DeValue<'_>>, table: &str) -> Option<String> {
    let eol = line_end(text);
    let start = start_with_comment(text, item)?;
    spliced(text, start..start, &format!("{}{eol}", table.replace('\n', eol)))
}

/// Adds a table, whose lines end with `\n`, behind everything else.
fn with_table_at_end(text: &str, table: &str) -> String {
    let eol = line_end(text);
    let table = table.replace('\n', eol);
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

#[cfg(test)]
mod tests;
