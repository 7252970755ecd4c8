//! Targets that are written the usual way, read without the TOML parser.
//!
//! A target is a table of short texts and one number. The parser makes a tree of the text first,
//! which takes ten times as long and twenty times the memory. What is not understood here at once is
//! left to it: nothing is refused here, and whatever is read here means the same in TOML
//! (<https://toml.io/en/v1.0.0>).

use toml::Spanned;

use super::file::{TargetTable, Text};

/// Reads a `[[target]]` with a key and a value on each line; `None` where it holds anything else.
/// Where its values stand is not kept.
pub(super) fn target(block: &str) -> Option<TargetTable> {
    let mut lines = block.lines();
    if lines.next() != Some(HEADER) {
        return None;
    }
    let mut table = TargetTable::default();
    for line in lines {
        if line.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        let line = line.trim_matches(' ');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=')?;
        let (key, value) = (key.trim_end_matches(' '), value.trim_start_matches(' '));
        if key == "local-port" {
            once(&mut table.local_port, number(value)?)?;
        } else {
            once(slot(&mut table, key)?, text(value)?.to_owned())?;
        }
    }
    Some(table)
}

fn slot<'a>(table: &'a mut TargetTable, key: &str) -> Option<&'a mut Text> {
    Some(match key {
        "id" => &mut table.id,
        "name" => &mut table.name,
        "site" => &mut table.site,
        "kind" => &mut table.kind,
        "address" => &mut table.address,
        "reachability" => &mut table.reachability,
        "approval" => &mut table.approval,
        "user" => &mut table.user,
        "database" => &mut table.database,
        "listen" => &mut table.listen,
        "idle" => &mut table.idle,
        "duration-max" => &mut table.duration_max,
        _ => return None,
    })
}

fn once<T>(slot: &mut Option<Spanned<T>>, value: T) -> Option<()> {
    slot.replace(Spanned::new(0..0, value)).is_none().then_some(())
}

/// A text between quotes that holds neither quotes of that kind nor, between double quotes, an
/// escape.
fn text(value: &str) -> Option<&str> {
    let between = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    match between('"') {
        Some(text) => (!text.contains(['"', '\\'])).then_some(text),
        None => between('\'').filter(|text| !text.contains('\'')),
    }
}

/// A port number. TOML has no leading zeros.
fn number(value: &str) -> Option<i64> {
    let plain = (1..=5).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_digit())
        && !value.starts_with('0');
    if plain { value.parse().ok() } else { None }
}

/// What a target begins with.
pub(super) const HEADER: &str = "[[target]]";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse::whole;
    use super::*;

    /// What lines are made of, right and wrong.
    const PARTS: [&str; 20] = [
        "id",
        "name",
        "local-port",
        "=",
        " = ",
        "\"",
        "\"a\"",
        "'b'",
        "'",
        "\\",
        "#",
        "7",
        "0",
        "\n",
        "\r\n",
        "\t",
        " ",
        "é",
        "[",
        "\u{7f}",
    ];

    fn shown(table: &TargetTable) -> String {
        let places = regex_lite::Regex::new("span: [0-9]+\\.\\.[0-9]+").unwrap();
        places.replace_all(&format!("{table:?}"), "").into()
    }

    proptest! {
        #[test]
        fn what_is_read_here_means_the_same_in_toml(
            parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 0..16),
        ) {
            let block = format!("[[target]]\n{}", parts.concat());
            if let Some(table) = target(&block) {
                let parsed = whole(&block).map_err(|flaw| flaw.what).unwrap();
                prop_assert_eq!(shown(&table), shown(parsed.target[0].get_ref()));
            }
        }
    }

    #[test]
    fn only_what_is_written_the_usual_way_is_read_here() {
        let read = |line: &str| target(&format!("[[target]]\nid = \"a\"\n{line}\n")).is_some();
        for line in [
            "",
            "# a comment, `= [[\"`",
            "name = \"It's #1 = ok\"",
            "name='\\ and \"'",
            "  name  =  \"\"  ",
            "name = \"a\"\r",
            "name = \"Äther\"",
            "local-port = 8080",
        ] {
            assert!(read(line), "{line}");
        }
        for line in [
            "id = \"b\"",
            "nam = \"a\"",
            "\"name\" = \"a\"",
            "name",
            "name = \"a\" # a comment",
            "name = \"a\\\"b\"",
            "name = \"a\"b\"",
            "name = \"\"\"a\"\"\"",
            "name = '''a'''",
            "name = \"",
            "name = a",
            "name = \"a\tb\"",
            "name.x = \"a\"",
            "local-port = 080",
            "local-port = 0x50",
            "local-port = \"80\"",
            "local-port = 123456",
            "local-port =",
            " [ui]",
            "name = [",
        ] {
            assert!(!read(line), "{line}");
        }
    }

    #[test]
    fn every_key_is_read_as_the_parser_reads_it() {
        let block = "[[target]]\nid = \"a\"\nname = \"b\"\nsite = \"c\"\nkind = \"d\"\n\
            address = \"e\"\nreachability = \"f\"\napproval = \"g\"\nuser = \"h\"\n\
            database = \"i\"\nlisten = \"j\"\nlocal-port = 1\nidle = \"k\"\nduration-max = 'l'\n";
        let parsed = whole(block).unwrap();
        assert_eq!(shown(&target(block).unwrap()), shown(parsed.target[0].get_ref()));
    }
}
