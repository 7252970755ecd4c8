//! What a reader may rely on in every file, held by a test instead of by a reviewer.

use proc_macro2::TokenTree;

use crate::support::source::{Source, tree};

/// The longest file, in lines. Functions are held by clippy.
const FILE_LINES_MAX: usize = 600;

/// All that lies at the top, by name; a name that ends in `*` stands for what begins so.
const TOP: &[&str] = &[
    ".ci",
    ".clippy.toml",
    ".config",
    ".gitattributes",
    ".gitignore",
    ".rustfmt.toml",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE*",
    "README.md",
    "assets",
    "benches",
    "config.example.toml",
    "docs",
    "src",
    "tests",
];

/// What `insta` leaves when a snapshot differs.
const UNREVIEWED: &[&str] = &[".pending-snap", ".snap.new"];

/// Words that put off what must be done, spelt so that this file does not hold them.
const PUT_OFF: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Folders of one machine, likewise.
const MACHINE_PATHS: &[&str] = &[concat!("/wo", "rk/"), concat!("/ro", "ot/")];

#[test]
fn the_tree_is_tidy() {
    let complaints = check(&tree());
    assert!(complaints.is_empty(), "not tidy:\n  {}", complaints.join("\n  "));
}

/// Returns a line for everything that is out of order.
fn check(tree: &[Source]) -> Vec<String> {
    let mut complaints: Vec<_> = tree.iter().filter_map(stray).collect();
    complaints.extend(forgotten_tests(tree));
    for source in tree {
        complaints.extend(machine_paths(source));
        if source.path.ends_with(".rs") {
            complaints.extend(too_long(source));
            complaints.extend(undocumented(source));
            complaints.extend(line_by_line(source));
            complaints.extend(words_of_code(source));
        }
    }
    complaints
}

fn stray(source: &Source) -> Option<String> {
    if UNREVIEWED.iter().any(|end| source.path.ends_with(end)) {
        return Some(format!("{}: a snapshot that nobody has reviewed", source.path));
    }
    let top = source.path.split('/').next()?;
    let fits = |allowed: &&str| match allowed.strip_suffix('*') {
        Some(start) => top.starts_with(start),
        None => top == *allowed,
    };
    let refused = !TOP.iter().any(fits);
    refused.then(|| format!("{}: `{top}` has no place at the top", source.path))
}

fn too_long(source: &Source) -> Option<String> {
    let lines = source.text.lines().count();
    let says = || format!("{}: {lines} lines; at most {FILE_LINES_MAX}", source.path);
    (lines > FILE_LINES_MAX).then(says)
}

fn undocumented(source: &Source) -> Option<String> {
    let refused = source.path.starts_with("src/") && !source.text.starts_with("//!");
    refused.then(|| format!("{}: does not begin with `//!` and its story", source.path))
}

fn line_by_line(source: &Source) -> Vec<String> {
    let complaint = |(number, line): (usize, &str)| {
        let word = PUT_OFF.iter().find(|word| has_word(line, word));
        let why = match word {
            Some(word) => format!("`{word}` puts something off; do it or write down why not"),
            None if line.trim_start_matches(' ').starts_with('\t') => "a tab indents".to_owned(),
            None => return None,
        };
        Some(format!("{}:{}: {why}", source.path, number + 1))
    };
    source.text.lines().enumerate().filter_map(complaint).collect()
}

fn machine_paths(source: &Source) -> Vec<String> {
    let begins_path = |before: &str| {
        !before.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_'))
    };
    let complaint = |(number, line): (usize, &str)| {
        let found = MACHINE_PATHS
            .iter()
            .find(|path| line.match_indices(**path).any(|(at, _)| begins_path(&line[..at])))?;
        Some(format!("{}:{}: `{found}` is a path of one machine", source.path, number + 1))
    };
    source.text.lines().enumerate().filter_map(complaint).collect()
}

fn words_of_code(source: &Source) -> Vec<String> {
    let mut complaints = vec![];
    visit(&source.tokens(), &mut |tokens| {
        let why = match tokens {
            [hash, rest @ ..] if is(hash, '#') => attribute(rest),
            [TokenTree::Ident(word), mark, ..] if is(mark, '!') => macro_call(&word.to_string()),
            _ => None,
        };
        complaints.extend(why.map(|why| format!("{}: {why}", source.path)));
    });
    complaints
}

/// Judges what follows a `#`.
fn attribute(rest: &[TokenTree]) -> Option<String> {
    let group = match rest {
        [TokenTree::Group(group), ..] => group,
        [mark, TokenTree::Group(group), ..] if is(mark, '!') => group,
        _ => return None,
    };
    let mut found = None;
    let inner: Vec<_> = group.stream().into_iter().collect();
    visit(&inner, &mut |tokens| {
        if let [TokenTree::Ident(word), ..] = tokens {
            found = found.take().or(match word.to_string().as_str() {
                "allow" => Some("an `allow` goes stale; `expect` with a reason instead".to_owned()),
                "ignore" => Some("an ignored test tests nothing".to_owned()),
                _ => None,
            });
        }
    });
    found
}

fn macro_call(name: &str) -> Option<String> {
    let stub = [concat!("to", "do"), "unimplemented"].contains(&name);
    stub.then(|| format!("`{name}!` is a stub"))
}

/// Shows every place in the tokens, groups included, with what follows it there.
fn visit(tokens: &[TokenTree], see: &mut dyn FnMut(&[TokenTree])) {
    for at in 0..tokens.len() {
        see(&tokens[at..]);
        if let TokenTree::Group(group) = &tokens[at] {
            visit(&group.stream().into_iter().collect::<Vec<_>>(), see);
        }
    }
}

fn is(token: &TokenTree, mark: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == mark)
}

fn has_word(line: &str, word: &str) -> bool {
    let edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_');
    line.match_indices(word).any(|(at, _)| {
        edge(line[..at].chars().next_back()) && edge(line[at + word.len()..].chars().next())
    })
}

/// A file of tests that `main.rs` does not declare is never run.
fn forgotten_tests(tree: &[Source]) -> Vec<String> {
    let main = tree.iter().find(|source| source.path == "tests/it/main.rs");
    let declared = main.map_or("", |main| main.text.as_str());
    let subject = |source: &Source| {
        let inner = source.path.strip_prefix("tests/it/")?;
        let name = inner.strip_suffix("/mod.rs").or_else(|| inner.strip_suffix(".rs"))?;
        (!name.contains('/') && name != "main").then(|| name.to_owned())
    };
    let forgotten = |name: &String| !declared.lines().any(|line| line == format!("mod {name};"));
    tree.iter()
        .filter_map(subject)
        .filter(forgotten)
        .map(|name| format!("tests/it/{name}: not declared in tests/it/main.rs, so never run"))
        .collect()
}

fn complaints(path: &str, text: &str) -> String {
    check(&[Source::sample(path, text)]).join("\n")
}

#[test]
fn every_rule_can_fail() {
    let long = format!("//! Long.\n{}", "\n".repeat(FILE_LINES_MAX));
    let put_off = format!("//! It.\n// {}: later\n", PUT_OFF[0]);
    let machine = format!("see `{}notes`\n", MACHINE_PATHS[0]);
    let stub = format!("//! It.\nfn f() {{ {}!() }}\n", concat!("to", "do"));
    let samples = [
        ("notes.txt", ""),
        ("src/.x.rs.pending-snap", ""),
        ("src/x.rs", &long),
        ("src/x.rs", "fn f() {}\n"),
        ("src/x.rs", &put_off),
        ("src/x.rs", "//! It.\nfn f() {\n\tg()\n}\n"),
        ("src/x.rs", &stub),
        ("src/x.rs", "//! It.\n#![allow(dead_code)]\n"),
        ("src/x.rs", "//! It.\nfn f() { #[cfg_attr(x, allow(y))] g() }\n"),
        ("src/x.rs", "//! It.\n#[test]\n#[ignore = \"slow\"]\nfn f() {}\n"),
        ("README.md", &machine),
        ("tests/it/alone.rs", ""),
    ];
    let said: Vec<_> = samples.iter().map(|(path, text)| complaints(path, text)).collect();
    let said = said.join("\n").replace(MACHINE_PATHS[0], "MACHINE").replace(PUT_OFF[0], "PUT-OFF");
    insta::assert_snapshot!(said, @r"
    notes.txt: `notes.txt` has no place at the top
    src/.x.rs.pending-snap: a snapshot that nobody has reviewed
    src/x.rs: 601 lines; at most 600
    src/x.rs: does not begin with `//!` and its story
    src/x.rs:2: `PUT-OFF` puts something off; do it or write down why not
    src/x.rs:3: a tab indents
    src/x.rs: `todo!` is a stub
    src/x.rs: an `allow` goes stale; `expect` with a reason instead
    src/x.rs: an `allow` goes stale; `expect` with a reason instead
    src/x.rs: an ignored test tests nothing
    README.md:1: `MACHINE` is a path of one machine
    tests/it/alone: not declared in tests/it/main.rs, so never run
    ");
}

#[test]
fn what_is_right_is_let_through() {
    let text =
        "//! The word todo in a comment, an #[allow] in a \"text\", and /usr/work/x are well.\n";
    assert_eq!(complaints("src/x.rs", text), "");
    assert_eq!(complaints("LICENSE-MIT", "MIT"), "");
}
