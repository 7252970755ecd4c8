//! From text to a configuration, quickly for a large catalogue.
//!
//! A catalogue of ten thousand targets has nearly two megabytes. So a large file is cut before lines
//! that begin with `[`; targets that are written the usual way are read by [`plain`], one after the
//! other, and only the other pieces by the parser. Where such a line does not begin a table (it
//! stands inside a value), the cut leaves a value open and the piece before it does not parse.
//! Whatever goes wrong in a piece, the file is parsed again as a whole: every error comes from
//! there, with its place.

use super::error::Flaw;
use super::file::File;
use super::resolve::{self, Targets, resolve};
use super::{Config, UiSettings, plain};

/// Reads a configuration.
pub(super) fn parse(text: &str) -> Result<Config, Flaw> {
    if text.len() >= PIECES_FROM_BYTES
        && let Some(config) = in_pieces(text)
    {
        return Ok(config);
    }
    whole(text).and_then(resolve)
}

/// Reads how the screens look and nothing else; the defaults where that cannot be told alone.
pub(super) fn ui(text: &str) -> UiSettings {
    let alone = match text.find("[ui]") {
        Some(at) if begins_with_table(text) => text.get(at..).map(first_table),
        // Without the table it could still be written as `ui.mouse = true` before all others.
        None if begins_with_table(text) => Some(""),
        _ => None,
    };
    let config = match alone {
        Some(table) => whole(table).and_then(resolve),
        None => parse(text),
    };
    config.map(|config| config.ui).unwrap_or_default()
}

/// The text up to the line with which the second table begins.
fn first_table(text: &str) -> &str {
    text.find("\n[").and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Reads the file as it is written.
pub(super) fn whole(text: &str) -> Result<File, Flaw> {
    toml::from_str(text).map_err(|error| Flaw::of_toml(text, &error))
}

/// Reads the file in pieces; `None` where it must be read as a whole.
fn in_pieces(text: &str) -> Option<Config> {
    if !begins_with_table(text) {
        return None;
    }
    let (later, first): (Vec<_>, Vec<_>) = cut(text).partition(|piece| is_target(piece));
    let mut file = File::default();
    for piece in first {
        merge(&mut file, toml::from_str(piece).ok()?)?;
    }
    let (mut config, mut targets) = resolve::begin(&file).ok()?;
    // Each is gone before the next is read.
    for piece in later {
        match plain::target(piece) {
            Some(table) => targets.add(&(0..0), &table, &config).ok()?,
            None => add_parsed(&mut targets, piece, &config)?,
        }
    }
    config.catalogue.targets = targets.done()?;
    Some(config)
}

fn is_target(piece: &str) -> bool {
    piece.lines().next() == Some(plain::HEADER)
}

/// Adds the target of a piece that only the parser understands, if there is nothing else in it.
fn add_parsed(targets: &mut Targets, piece: &str, config: &Config) -> Option<()> {
    let mut file: File = toml::from_str(piece).ok()?;
    let target = std::mem::take(&mut file.target);
    if file != File::default() {
        return None;
    }
    target.iter().try_for_each(|table| targets.add(&table.span(), table.get_ref(), config).ok())
}

/// Adds what a later piece says; nothing where both have a table that may stand only once.
fn merge(file: &mut File, piece: File) -> Option<()> {
    let File { policy, ui, network, identity, vault, provider, identity_provider, site, target } =
        piece;
    once(&mut file.policy, policy)?;
    once(&mut file.ui, ui)?;
    once(&mut file.network, network)?;
    once(&mut file.identity, identity)?;
    once(&mut file.vault, vault)?;
    file.provider.extend(provider);
    file.identity_provider.extend(identity_provider);
    file.site.extend(site);
    file.target.extend(target);
    Some(())
}

fn once<T>(slot: &mut Option<T>, value: Option<T>) -> Option<()> {
    match (slot.is_some(), value) {
        (_, None) => Some(()),
        (true, Some(_)) => None,
        (false, value) => {
            *slot = value;
            Some(())
        }
    }
}

/// True when no key stands before the first table: such a key could be a list written inline, to
/// which no later piece may add.
fn begins_with_table(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line.starts_with('['))
}

fn cut(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let belongs = |end: &usize| text.get(*end..).is_some_and(|at| at.starts_with(LAUNCHER));
        let end = text.match_indices("\n[").map(|(end, _)| end).find(|end| !belongs(end));
        match end {
            Some(end) => {
                let (piece, tail) = text.split_at(end + 1);
                rest = Some(tail);
                Some(piece)
            }
            None => rest.take(),
        }
    })
}

/// A table that belongs to the site above it.
const LAUNCHER: &str = "\n[site.";

/// What is smaller is parsed whole: it takes less than a millisecond.
const PIECES_FROM_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Blocks of a file, whole and broken, with everything that could mislead a cut.
    const BLOCKS: [&str; 33] = [
        "[[target]]\nid = \"T\"\nkind = \"tcp\"\naddress = \"a:1\"\n",
        "[[target]]\nid = \"T\"\nkind = \"tcp\"\naddress = \"a:1\"\nname = \"T\"\nidle = \"9m\"\n",
        "[[target]]\r\nid = \"T\"\r\nkind = \"tcp\"\r\naddress = \"a:1\"\r\n",
        "[[target]]\nid = \"T\"\nkind = \"tcp\"\naddress = \"\"\"\na:1\"\"\"\n",
        "[[site]]\nid = \"T\"\n",
        "[[site]]\nid = \"T\"\nproviders = [\n\"direct\",\n]\n",
        "[[site]]\nid = \"T\"\nprivate-ranges = [\n[[target]]\n]\n",
        "[[provider]]\nid = \"direct\"\nkind = \"direct\"\n",
        "[policy]\nidle = \"5m\"\n",
        "[policy]\nreason-pattern = \"\"\"\n[[target]]\nid = 'x'\n\"\"\"\n",
        "[policy]\nreason-pattern = '''\n[[site]]\n'''\n",
        "[ui]\n",
        "[[identity-provider]]\nid = \"T\"\nkind = \"oidc\"\nissuer = \"https://a\"\nclient-id = \"c\"\n",
        "[[identity-provider]]\nid = \"T\"\nscopes = [\n[[target]]\n]\n",
        "identity-provider = []\n",
        "[network]\nuse-environment-proxy = false\n",
        "[identity]\nhash-passes = 4\n",
        "[vault]\nbackend = \"file\"\n",
        "# [[target]]\n",
        "[[target]]\nid = 'T'\nkind = 'tcp'\naddress = 'a:1' # where\nlocal-port = 5_432\n",
        "[[target]]\n  id  =  'T'\n\n# why\nkind='tcp'\naddress='a:1'\nlocal-port = 5432\n",
        "[[target]]\nid = \"T\"\nkind = \"tcp\"\naddress = \"a:1\"\nname = \"\\u0041\"\n",
        "[[target]]\nid = \"T\"\nkind = \"tcp\"\naddress = \"a:1\"\nsite = \"t1\"\n",
        "[[target]]\nid = \"t1\"\nid = \"T\"\nkind = \"tcp\"\naddress = \"a:1\"\n",
        "[[target]]\nid = \"T\"\nkind = \"tcp\"\naddress = \"a:1\"\n [policy]\nidle = \"5m\"\n",
        "# a comment\n[[\n",
        "target = []\n",
        "\n",
        "[site.launcher]\nkind = \"docker\"\n",
        "[[site]]\nid = \"T\"\n[site.launcher]\nkind = \"command\"\nstart = [\n\"/a\",\n]\nstop = [\"/a\"]\n\
         look = [\"/a\"]\n",
        "[[site]]\nid = \"T\"\nlauncher = { kind = \"podman\" }\n",
        "[ site . launcher ]\nkind = \"podman\"\n",
        "[[provider]]\nid = \"T\"\nkind = \"ssh\"\nhost = \"b\"\njump = [\n\"a\"\n]\n",
    ];

    fn file() -> impl Strategy<Value = String> {
        prop::collection::vec(0..BLOCKS.len(), 0..8).prop_map(|blocks| {
            let name = |(number, block): (usize, &usize)| {
                BLOCKS[*block].replace("\"T\"", &format!("\"t{number}\""))
            };
            blocks.iter().enumerate().map(name).collect()
        })
    }

    #[test]
    fn the_look_is_read_without_the_rest() {
        let mouse = UiSettings { mouse: true, ..UiSettings::default() };
        let broken = "[[target]]\nid = 7\n[ui]\nmouse = true\n[policy]\n?";
        for (text, look) in [
            ("", UiSettings::default()),
            ("[policy]\nidle = \"5m\"\n", UiSettings::default()),
            ("[ui]\nmouse = true", mouse),
            ("ui.mouse = true\n[policy]\n", mouse),
            ("ui = { mouse = true }\n", mouse),
            (broken, mouse),
            ("[ui]\nmouse = 7", UiSettings::default()),
        ] {
            assert_eq!(ui(text), look, "{text}");
        }
    }

    proptest! {
        #[test]
        fn pieces_never_say_anything_else_than_the_whole(text in file()) {
            if let Some(config) = in_pieces(&text) {
                let whole = whole(&text).and_then(resolve);
                prop_assert_eq!(whole.map_err(|flaw| flaw.what), Ok(config));
            }
        }
    }

    #[test]
    fn a_usual_file_is_read_in_pieces() {
        let blocks = [15, 16, 17, 11, 8, 4, 29, 32, 0, 2, 12];
        let text = blocks.map(|block| BLOCKS[block]).concat();
        let text = text.replace("\"T\"", "\"t\"").replacen("id = \"t\"", "id = \"s\"", 1);
        let text = text.replacen("id = \"t\"", "id = \"u\"", 1);
        let text = text.replacen("id = \"t\"", "id = \"v\"", 1);
        let text = text.replacen("id = \"t\"", "id = \"w\"", 1);
        assert_eq!(cut(&text).count(), 11);
        assert!(in_pieces(&text).is_some());
    }
}
