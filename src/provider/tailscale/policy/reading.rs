//! A policy file read strictly, with the place of every value.

use std::ops::Range;

use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged as _;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::fault::{PolicyFault, Position};
use crate::domain::text::shown;

/// How deep values may lie in each other; policy files need six.
const DEPTH_MAX: usize = 100;

/// Where a container is: the names on the way from the root, in the spelling of the documentation.
pub(super) type Path = Vec<String>;

/// Reads a policy file: one object.
pub(super) fn read(text: &str) -> Result<Value<'_>, PolicyFault> {
    check_bytes(text)?;
    let strict = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(text, &CollectOptions::default(), &strict)
        .map_err(|error| PolicyFault::parser(text, error.range().start, error.kind()))?;
    match parsed.value {
        Some(value @ Value::Object(_)) => Ok(value),
        Some(value) => Err(kind_fault(text, value.range().start, "the whole", "an object")),
        None => Err(PolicyFault::syntax(text, text.len(), "it is empty")),
    }
}

/// Refuses what the parser lets through though Tailscale's does not, and what would nest too deep.
///
/// A lone carriage return matters most: the two disagree on whether it ends a line comment.
fn check_bytes(text: &str) -> Result<(), PolicyFault> {
    let bytes = text.as_bytes();
    let mut state = In::Plain;
    let mut depth = 0_usize;
    let mut escaped = false;
    for (at, &byte) in bytes.iter().enumerate() {
        let next = bytes.get(at + 1).copied();
        let fault = |problem| Err(PolicyFault::syntax(text, at, problem));
        if byte == b'\r' && next != Some(b'\n') {
            return fault("a carriage return without a line feed");
        }
        match state {
            In::Plain => match byte {
                b'"' => state = In::String,
                b'/' if next == Some(b'/') => state = In::Line,
                b'/' if next == Some(b'*') => state = In::Block { from: at + 2 },
                b'{' | b'[' if depth == DEPTH_MAX => return fault("values nest too deep"),
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth = depth.saturating_sub(1),
                b' ' | b'\t' | b'\n' | b'\r' | 0x21..=0x7e => {}
                _ => return fault("a character that is neither text nor white space"),
            },
            In::String if byte < 0x20 => return fault("a control character in a string"),
            In::String if escaped => escaped = false,
            In::String if byte == b'\\' => escaped = true,
            In::String if byte == b'"' => state = In::Plain,
            In::Line if byte == b'\n' => state = In::Plain,
            In::Block { from } if byte == b'/' && at > from && bytes.get(at - 1) == Some(&b'*') => {
                state = In::Plain;
            }
            In::String | In::Line | In::Block { .. } => {}
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum In {
    Plain,
    String,
    Line,
    Block { from: usize },
}

/// What a container holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Values with names.
    Object,
    /// Values in a row.
    List,
}

/// Returns what the container at a path has to be; none when that is not a place we edit.
pub(super) fn kind(path: &[String]) -> Option<Kind> {
    match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] | ["tagOwners" | "autoApprovers"] | ["autoApprovers", "routes"] => Some(Kind::Object),
        ["grants" | "acls"] | ["autoApprovers", "routes", _] => Some(Kind::List),
        _ => None,
    }
}

/// True when names inside the container at `path` mean the same in any case: they are fields of
/// the server's, and its decoder is lenient.
fn any_case(path: &[String]) -> bool {
    matches!(path, []) || matches!(path, [one] if one == "autoApprovers")
}

/// Lower case as Go's decoder of JSON sees it: two letters outside ASCII fold into it.
fn fold(name: &str) -> String {
    let one = |c| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => char::to_ascii_lowercase(&c),
    };
    name.chars().map(one).collect()
}

/// Returns the name as the documentation spells it, when it is a section's.
pub(super) fn canonical(within: &[String], name: &str) -> String {
    let known: &[&str] = match within {
        [] => &["tagOwners", "autoApprovers", "grants", "acls"],
        _ if any_case(within) => &["routes"],
        _ => &[],
    };
    let folded = || fold(name);
    let known = known.iter().find(|known| known.len() <= name.len() && fold(known) == folded());
    known.map_or(name, |known| known).to_owned()
}

/// Returns the one member of that name.
pub(super) fn member<'v, 'a>(
    text: &str,
    object: &'v Object<'a>,
    within: &[String],
    name: &str,
) -> Result<Option<&'v ObjectProp<'a>>, PolicyFault> {
    let lenient = any_case(within).then(|| fold(name));
    let fits = |property: &&ObjectProp<'_>| match &lenient {
        Some(folded) => fold(property.name.as_str()) == *folded,
        None => property.name.as_str() == name,
    };
    let mut found = object.properties.iter().filter(fits);
    let first = found.next();
    if let (Some(first), Some(second)) = (first, found.next()) {
        return Err(PolicyFault::Twice {
            first: shown(first.name.as_str()),
            first_at: Position::of(text, first.range.start),
            second: shown(second.name.as_str()),
            at: Position::of(text, second.range.start),
        });
    }
    Ok(first)
}

/// Returns the container at a path, if it is there.
pub(super) fn lookup<'v, 'a>(
    text: &str,
    root: &'v Value<'a>,
    path: &[String],
) -> Result<Option<&'v Value<'a>>, PolicyFault> {
    let mut value = root;
    for (depth, name) in path.iter().enumerate() {
        let Value::Object(object) = value else { return Ok(None) };
        let within = path.get(..depth).unwrap_or_default();
        let Some(property) = member(text, object, within, name)? else { return Ok(None) };
        let wanted = match (kind(path.get(..=depth).unwrap_or_default()), &property.value) {
            (Some(Kind::Object), Value::Object(_)) | (Some(Kind::List), Value::Array(_)) => None,
            (Some(Kind::List), _) => Some("a list"),
            (_, _) => Some("an object"),
        };
        if let Some(wanted) = wanted {
            return Err(kind_fault(text, property.range.start, property.name.as_str(), wanted));
        }
        value = &property.value;
    }
    Ok(Some(value))
}

fn kind_fault(text: &str, byte: usize, name: &str, wanted: &'static str) -> PolicyFault {
    PolicyFault::Kind { name: shown(name), wanted, at: Position::of(text, byte) }
}

/// A value in a container, with its name if it has one.
pub(super) struct Part<'v, 'a> {
    /// Its name, in an object.
    pub(super) name: Option<&'v str>,
    /// Its bytes, those of the name included.
    pub(super) range: Range<usize>,
    /// The value.
    pub(super) value: &'v Value<'a>,
}

/// An object or a list, as a text that parts can be added to and taken from.
pub(super) struct Container<'v, 'a> {
    /// The whole text.
    pub(super) text: &'v str,
    /// The byte after the opening bracket.
    pub(super) open: usize,
    /// The byte of the closing bracket.
    pub(super) close: usize,
    /// What is in it.
    pub(super) parts: Vec<Part<'v, 'a>>,
}

impl<'v, 'a> Container<'v, 'a> {
    /// Opens a value; what is no container has no parts.
    pub(super) fn open(text: &'v str, value: &'v Value<'a>) -> Self {
        let range = value.range();
        let parts = match value {
            Value::Object(object) => object.properties.iter().map(Part::named).collect(),
            Value::Array(array) => array.elements.iter().map(Part::unnamed).collect(),
            _ => vec![],
        };
        Self { text, open: range.start + 1, close: range.end.saturating_sub(1), parts }
    }

    /// Returns the byte of the comma after a part, if there is one.
    pub(super) fn comma_after(&self, part: usize) -> Option<usize> {
        let from = self.parts.get(part)?.range.end;
        let to = self.parts.get(part + 1).map_or(self.close, |next| next.range.start);
        let (at, _) =
            pieces(slice(self.text, from..to)).find(|(_, piece)| *piece == Piece::Comma)?;
        Some(from + at)
    }

    /// True when a comma follows the last part.
    pub(super) fn trails(&self) -> bool {
        self.parts.len().checked_sub(1).is_some_and(|last| self.comma_after(last).is_some())
    }

    /// True when somebody wrote a comment between the parts.
    pub(super) fn commented(&self) -> bool {
        let starts = self.parts.iter().map(|part| part.range.start).chain([self.close]);
        let ends = [self.open].into_iter().chain(self.parts.iter().map(|part| part.range.end));
        let mut gaps = ends.zip(starts).map(|(from, to)| slice(self.text, from..to));
        gaps.any(|gap| pieces(gap).any(|(_, piece)| matches!(piece, Piece::Comment(_))))
    }
}

impl<'v, 'a> Part<'v, 'a> {
    fn named(property: &'v ObjectProp<'a>) -> Self {
        let range = property.range.start..property.range.end;
        Self { name: Some(property.name.as_str()), range, value: &property.value }
    }

    fn unnamed(value: &'v Value<'a>) -> Self {
        let range = value.range();
        Self { name: None, range: range.start..range.end, value }
    }
}

/// What stands between values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    /// The end of a line, as it is written.
    Newline(&'t str),
    /// A comment; for one of a line, without the end of that line.
    Comment(&'t str),
    /// A comma.
    Comma,
    /// Any other character.
    Other,
}

/// Returns the pieces of a gap between values, each with its byte in the gap.
pub(super) fn pieces(gap: &str) -> impl Iterator<Item = (usize, Piece<'_>)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = gap.get(at..).filter(|rest| !rest.is_empty())?;
        let upto = |end: Option<usize>| rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
        let (piece, length) = if rest.starts_with("//") {
            let line = upto(rest.find('\n'));
            let line = line.strip_suffix('\r').unwrap_or(line);
            (Piece::Comment(line), line.len())
        } else if rest.starts_with("/*") {
            let block = upto(rest.get(2..).and_then(|inside| inside.find("*/")).map(|end| end + 4));
            (Piece::Comment(block), block.len())
        } else if rest.starts_with("\r\n") {
            (Piece::Newline("\r\n"), 2)
        } else if rest.starts_with('\n') {
            (Piece::Newline("\n"), 1)
        } else if rest.starts_with(',') {
            (Piece::Comma, 1)
        } else {
            (Piece::Other, rest.chars().next().map_or(1, char::len_utf8))
        };
        let found = (at, piece);
        at += length;
        Some(found)
    })
}

/// Returns a part of a text; nothing where there is none.
pub(super) fn slice(text: &str, range: Range<usize>) -> &str {
    text.get(range).unwrap_or_default()
}
