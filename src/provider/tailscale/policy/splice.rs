//! Adding to a container and taking from it, as changes of the text.
//!
//! What is added goes to the end, in one of two forms: on lines of its own where the closing
//! bracket has one, else in the same line. Taking away knows both forms and nothing else, so that
//! many who add and take away in any order leave the bytes that the first of them found:
//!
//! ```text
//! [        ]      [ // why     ]      ["a"]          ["a",]
//! [NEW     ]      [ // why            ["a", NEW]     ["a", NEW,]
//!                     NEW
//!                 ]
//! ```
//!
//! The comma after the last part is the file's own taste and kept. A container that was empty gets
//! none, and one that is created gets one: by that a later revert tells them apart.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value as Json;

use super::reading::{Container, Kind, Piece, pieces, slice};

/// Something to write into a container.
pub(super) struct Entry {
    /// Its name, in an object.
    pub(super) name: Option<String>,
    /// What it is.
    pub(super) fresh: Fresh,
}

/// What is written.
pub(super) enum Fresh {
    /// A value.
    Plain(Json),
    /// A container that was not there, with what goes into it.
    Holder(Kind, Vec<Entry>),
}

/// A change of a text: these bytes make room for that text.
pub(super) type Change = (Range<usize>, String);

/// Returns the text with the changes made. They must not overlap.
pub(super) fn apply(text: &str, mut changes: Vec<Change>) -> String {
    changes.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len() + 1024);
    let mut done = 0;
    for (range, new) in changes {
        out.push_str(slice(text, done..range.start));
        out.push_str(&new);
        done = done.max(range.end);
    }
    out.push_str(slice(text, done..text.len()));
    out
}

/// Returns what one level of indentation is in a file.
pub(super) fn unit<'v>(root: &Container<'v, '_>) -> &'v str {
    let first = root.parts.first();
    let own = first.and_then(|part| indent_before(root.text, part.range.start));
    own.filter(|indent| !indent.is_empty()).unwrap_or("\t")
}

/// Adds entries to the end of a container.
pub(super) fn add(container: &Container<'_, '_>, unit: &str, entries: &[Entry]) -> Vec<Change> {
    let text = container.text;
    let last = container.parts.last();
    let comma = container.parts.len().checked_sub(1).and_then(|last| container.comma_after(last));
    let from = comma.map(|comma| comma + 1).or(last.map(|last| last.range.end));
    let (at, newline) = line_end(text, from.unwrap_or(container.open)..container.close);
    let indent = match last.and_then(|last| indent_before(text, last.range.start)) {
        Some(indent) => indent.to_owned(),
        None => format!("{}{unit}", indent_of_line(text, container.close)),
    };
    let mut new = String::new();
    for (count, entry) in entries.iter().enumerate() {
        match newline {
            Some(newline) => new.extend([newline, indent.as_str()]),
            None if count > 0 || last.is_some() => new.push(' '),
            None => {}
        }
        write(&mut new, entry, &indent, newline, unit);
        if comma.is_some() || count + 1 < entries.len() {
            new.push(',');
        }
    }
    let mut changes = vec![];
    if let (Some(last), None) = (last, comma) {
        changes.push((last.range.end..last.range.end, ",".to_owned()));
    }
    changes.push((at..at, new));
    changes
}

/// Takes parts from a container.
pub(super) fn take(container: &Container<'_, '_>, marked: &BTreeSet<usize>) -> Vec<Change> {
    let kept: Vec<_> = (0..container.parts.len()).filter(|part| !marked.contains(part)).collect();
    let last_kept = kept.last().copied();
    let follows = |index| container.trails() || last_kept.is_some_and(|kept| kept > index);
    // At the end of a container without a comma there, the one before a part goes with it.
    let owner = |&index: &usize| if follows(index) { Some(index) } else { index.checked_sub(1) };
    let mut commas: BTreeSet<_> =
        marked.iter().filter_map(owner).filter_map(|owner| container.comma_after(owner)).collect();
    let mut changes = vec![];
    for &index in marked {
        let Some(part) = container.parts.get(index) else { continue };
        let mut range = part.range.clone();
        if commas.remove(&range.end) {
            range.end += 1;
        }
        let before = kept.first().is_some_and(|kept| *kept < index);
        let after = last_kept.is_some_and(|kept| kept > index);
        let range = widened(container.text, range, index == 0, before, after);
        changes.push((range, String::new()));
    }
    changes.extend(commas.into_iter().map(|comma| (comma..comma + 1, String::new())));
    changes
}

/// Widens the range of a part to the white space that came with it.
fn widened(
    text: &str,
    range: Range<usize>,
    first: bool,
    before: bool,
    after: bool,
) -> Range<usize> {
    let space_after = slice(text, range.end..range.end + 1) == " ";
    if let Some(indent) = indent_before(text, range.start) {
        let rest = slice(text, range.end..text.len()).trim_start_matches([' ', '\t']);
        if rest.starts_with('\n') || rest.starts_with("\r\n") {
            let above = slice(text, 0..range.start - indent.len());
            let above = above.strip_suffix('\n').unwrap_or(above);
            let above = above.strip_suffix('\r').unwrap_or(above);
            return above.len()..range.end;
        }
        // Somebody wrote more on this line, and that keeps the line.
        return range.start..range.end + usize::from(space_after);
    }
    if !before && after {
        return range.start..range.end + usize::from(space_after);
    }
    let space_before = !first && slice(text, 0..range.start).ends_with(' ');
    range.start - usize::from(space_before)..range.end
}

/// Returns where the line ends that a gap begins in, and how; without an end of line, the byte
/// after the last comment.
fn line_end(text: &str, gap: Range<usize>) -> (usize, Option<&str>) {
    let mut at = gap.start;
    for (offset, piece) in pieces(slice(text, gap.clone())) {
        match piece {
            Piece::Newline(newline) => return (gap.start + offset, Some(newline)),
            Piece::Comment(comment) => at = gap.start + offset + comment.len(),
            Piece::Comma | Piece::Other => {}
        }
    }
    (at, None)
}

/// Returns what stands before a byte on its line, when that is white space only and not the
/// beginning of the text.
fn indent_before(text: &str, byte: usize) -> Option<&str> {
    let before = slice(text, 0..byte);
    let above = before.trim_end_matches([' ', '\t']);
    above.ends_with('\n').then(|| slice(before, above.len()..byte))
}

/// Returns the white space that the line of a byte begins with.
fn indent_of_line(text: &str, byte: usize) -> &str {
    let line = slice(text, 0..byte).rsplit('\n').next().unwrap_or_default();
    slice(line, 0..line.len() - line.trim_start_matches([' ', '\t']).len())
}

fn write(out: &mut String, entry: &Entry, indent: &str, newline: Option<&str>, unit: &str) {
    if let Some(name) = &entry.name {
        out.push_str(&format!("{}: ", Json::from(name.as_str())));
    }
    let (kind, entries) = match &entry.fresh {
        Fresh::Plain(value) => return write_value(out, value),
        Fresh::Holder(kind, entries) => (kind, entries),
    };
    let deeper = format!("{indent}{unit}");
    out.push(if *kind == Kind::Object { '{' } else { '[' });
    for (count, entry) in entries.iter().enumerate() {
        match newline {
            Some(newline) => out.extend([newline, deeper.as_str()]),
            None if count > 0 => out.push(' '),
            None => {}
        }
        write(out, entry, &deeper, newline, unit);
        out.push(',');
    }
    out.extend(newline.into_iter().flat_map(|newline| [newline, indent]));
    out.push(if *kind == Kind::Object { '}' } else { ']' });
}

/// Writes a value into one line, with the fields of a rule in their usual order.
fn write_value(out: &mut String, value: &Json) {
    const ORDER: &[&str] = &["action", "src", "proto", "dst", "ip"];
    match value {
        Json::Array(values) => {
            out.push('[');
            for (count, value) in values.iter().enumerate() {
                out.push_str(if count > 0 { ", " } else { "" });
                write_value(out, value);
            }
            out.push(']');
        }
        Json::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| ORDER.iter().position(|known| known == name));
            out.push('{');
            for (count, (name, value)) in fields.into_iter().enumerate() {
                out.push_str(if count > 0 { ", " } else { "" });
                out.push_str(&format!("{}: ", Json::from(name.as_str())));
                write_value(out, value);
            }
            out.push('}');
        }
        plain => out.push_str(&plain.to_string()),
    }
}
