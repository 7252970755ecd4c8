//! Cuts in the text of the file: each takes a text and returns the changed one.
//!
//! The places to change come from the parser. (A tree of the whole document that is printed again
//! does not keep every byte: line ends, for one.)

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use super::DIRECT;
use super::identity::{Line, lines};
use crate::domain::id::IdpId;
use crate::domain::identity_provider::IdpSettings;

/// Returns the text with the provider switched; `None` where the text does not know it.
pub(super) fn with_provider_enabled(text: &str, id: &str, enabled: bool) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    let list = root.get_ref().get("provider");
    if let Some(item) = list.and_then(|list| item_of(list, id)) {
        return switched(text, item, enabled);
    }
    if id != DIRECT {
        return None;
    }
    match list {
        // A list that is written inline takes no `[[provider]]` behind it.
        Some(list) if is_inline(text, list) => {
            let comma = if list.get_ref().as_array()?.is_empty() { "" } else { ", " };
            let item = format!("{{ id = \"{id}\", kind = \"{id}\", enabled = {enabled} }}{comma}");
            spliced(text, list.span().start + 1..list.span().start + 1, &item)
        }
        _ => {
            let keys = format!("id = \"{id}\"\nkind = \"{id}\"\nenabled = {enabled}\n");
            Some(with_table_at_end(text, &format!("[[provider]]\n{keys}")))
        }
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

/// Returns the text with an identity provider in it; of one that is there, the values that say
/// something else are changed. `None` where it is written in a way that cannot be cut.
pub(super) fn with_identity_provider(text: &str, idp: &IdpSettings) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    let list = root.get_ref().get(IDENTITY_PROVIDER);
    if let Some(item) = list.and_then(|list| item_of(list, idp.id.as_str())) {
        return if is_inline(text, item) {
            spliced(text, one_line(text, item)?, &inline_table(idp))
        } else {
            with_lines(text, item, &lines(idp))
        };
    }
    match list {
        Some(list) if is_inline(text, list) => {
            let start = list.span().start + 1;
            match list.get_ref().as_array()?.last() {
                Some(last) => {
                    let end = last.span().end;
                    spliced(text, end..end, &format!(", {}", inline_table(idp)))
                }
                None => spliced(text, start..start, &inline_table(idp)),
            }
        }
        _ => Some(with_table_at_end(text, &identity_provider_table(idp))),
    }
}

/// Returns the text without an identity provider and without the comment directly above it. `None`
/// where it is written in a way that cannot be cut.
pub(super) fn without_identity_provider(text: &str, id: &IdpId) -> Option<String> {
    let root = DeTable::parse(text).ok()?;
    let item = item_of(root.get_ref().get(IDENTITY_PROVIDER)?, id.as_str())?;
    if is_inline(text, item) {
        return without_item(text, one_line(text, item)?);
    }
    let end = item.get_ref().as_table()?.values().map(|value| value.span().end).max()?;
    let end = lines_of(text, end..end)?.end;
    let mut start = lines_of(text, item.span())?.start;
    for line in text.get(..start)?.split_inclusive('\n').rev().take_while(|line| is_prose(line)) {
        start -= line.len();
    }
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

/// Returns an identity provider as a table of its own; what holds without being said is left out.
pub(super) fn identity_provider_table(idp: &IdpSettings) -> String {
    let said = lines(idp).into_iter().filter(|line| !line.default);
    let said: String = said.map(|line| format!("{} = {}\n", line.key, line.value)).collect();
    format!("[[{IDENTITY_PROVIDER}]]\n{said}")
}

fn inline_table(idp: &IdpSettings) -> String {
    let said = lines(idp).into_iter().filter(|line| !line.default);
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
        (DeValue::Array(there), Value::Array(value)) => {
            there.len() == value.len()
                && there.iter().zip(value).all(|(there, value)| says(there.get_ref(), value))
        }
        _ => false,
    }
}

/// Takes an item out of a list that is written inline, with the comma behind or before it.
fn without_item(text: &str, item: Range<usize>) -> Option<String> {
    let (before, after) = (text.get(..item.start)?, text.get(item.end..)?);
    if let Some(rest) = after.trim_start().strip_prefix(',') {
        return Some(format!("{before}{}", rest.trim_start_matches([' ', '\t'])));
    }
    let before = before.trim_end().strip_suffix(',').unwrap_or(before);
    Some(format!("{before}{after}"))
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

const IDENTITY_PROVIDER: &str = "identity-provider";

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::super::{Config, EXAMPLE};
    use super::*;
    use crate::domain::identity_provider::{BreakGlassMode, IdpKind};

    /// Parts of a file with everything that could mislead a cut.
    const PARTS: [&str; 15] = [
        "[[identity-provider]]\nid = \"@@\"\nkind = \"oidc\"\nissuer = \"https://a\"\nclient-id = \"c\"\n",
        "[[identity-provider]]\r\nid = '@@'#\r\nkind='oidc'\r\nissuer='https://a'\r\nclient-id='c'\r\n",
        "# ours\n  [[identity-provider]] # x\n  id = '@@'\n  # y\n\n  kind = 'entra-id'\n  client-id = '''\nc'''\n  \
         scopes = [\n# [[site]]\n'a', 'b' ]\n  tenant = '8f1c2d3e-4b5a-4c6d-8e7f-0123456789ab'\n",
        "[[identity-provider]]\nid = \"@@\"\nkind = \"oidc\"\nissuer = \"https://a\"\nclient-id = \"c\"\n\
         client-secret = \"vault:idp-@@\"\n",
        "[[site]]\nid = \"@@\"\nproviders = [\n\"direct\",\n]\n",
        "[[target]]\nid = \"@@\"\nkind = \"tcp\"\naddress = \"a:1\"\n",
        "[[site]]\nid = '@@'\nname = \"\"\"\\\n[[identity-provider]] \\\nid = '@@' \\\n# \"\"\"\n",
        "[[site]]\nid = '@@'\nname = '''\n# x'''\n",
        "[ui]\n#mouse = true\n",
        "# prose\n",
        "#key = 1\n",
        "\n",
        " \t\r\n",
        "#\n",
        EXAMPLE,
    ];

    fn text() -> impl Strategy<Value = String> {
        prop::collection::vec(0..PARTS.len(), 0..9).prop_map(|parts| {
            let named =
                |(number, part): (usize, &usize)| PARTS[*part].replace("@@", &format!("t{number}"));
            parts.iter().enumerate().map(named).collect()
        })
    }

    fn idp(id: String) -> impl Strategy<Value = IdpSettings> {
        let kind = prop_oneof![
            Just(IdpKind::Oidc { issuer: "https://login.example.com/".into() }),
            Just(IdpKind::EntraId { tenant: "11111111-2222-4333-8444-555555555555".into() }),
        ];
        let lists = (prop::collection::btree_set("[a-z.]{1,9}", 0..3), 0..3_usize);
        (kind, "[ -~]{0,9}[!-~]", any::<bool>(), lists, any::<bool>()).prop_map(
            move |(kind, client_id, has_secret, (scopes, domains), always)| IdpSettings {
                id: id.parse().unwrap(),
                kind,
                client_id: client_id.trim().to_owned(),
                has_secret,
                scopes: scopes.into_iter().filter(|scope| scope != "openid").collect(),
                domains: (0..domains).map(|number| format!("d{number}.example")).collect(),
                break_glass: if always {
                    BreakGlassMode::Always
                } else {
                    BreakGlassMode::OnlyWhileUnhealthy
                },
            },
        )
    }

    fn parse(text: &str) -> Result<Config, TestCaseError> {
        let parsed = Config::parse(Path::new("config.toml"), text);
        parsed.map_err(|error| TestCaseError::fail(error.to_string()))
    }

    /// What stands before the header of an identity provider, and behind the line of its last key.
    fn around<'t>(text: &'t str, id: &IdpId) -> (&'t str, &'t str) {
        let root = DeTable::parse(text).unwrap();
        let item = item_of(&root.get_ref()[IDENTITY_PROVIDER], id.as_str()).unwrap();
        let values = item.get_ref().as_table().unwrap().values();
        let end = values.map(|value| value.span().end).max().unwrap();
        (&text[..item.span().start], &text[lines_of(text, end..end).unwrap().end..])
    }

    proptest! {
        #[test]
        fn what_was_put_goes_without_a_trace(text in text(), idp in idp("new".into())) {
            prop_assume!(parse(&text).is_ok());
            let with = with_identity_provider(&text, &idp).unwrap();
            prop_assert!(with.starts_with(&text));
            let read = parse(&with)?;
            prop_assert_eq!(read.identity_providers.last(), Some(&idp));
            prop_assert_eq!(without_identity_provider(&with, &idp.id).unwrap(), text);
        }

        #[test]
        fn what_stands_around_it_is_kept(
            text in text(),
            mut idp in idp("new".into()),
            at in 0_usize..9,
        ) {
            let before = parse(&text);
            prop_assume!(before.as_ref().is_ok_and(|it| !it.identity_providers.is_empty()));
            let before = before?;
            let at = at % before.identity_providers.len();
            idp.id = before.identity_providers[at].id.clone();
            let (above, below) = around(&text, &idp.id);

            let mut wanted = before.clone();
            wanted.identity_providers[at] = idp.clone();
            let put = with_identity_provider(&text, &idp).unwrap();
            prop_assert_eq!(parse(&put)?, wanted);
            prop_assert_eq!(around(&put, &idp.id), (above, below));

            let mut wanted = before;
            wanted.identity_providers.remove(at);
            let removed = without_identity_provider(&text, &idp.id).unwrap();
            prop_assert_eq!(parse(&removed)?, wanted);
            let kept = removed.strip_suffix(below);
            let gone = kept.and_then(|kept| above.strip_prefix(kept));
            prop_assert!(gone.is_some_and(|gone| gone.lines().all(|it| it.trim().is_empty() || is_prose(it))));
        }
    }
}
