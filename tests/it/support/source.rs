//! The source of the program as the tests on it see it: files, and the tokens of each.
//!
//! Tokens come from the lexer of `proc-macro2`: comments are gone and a word inside a text is no
//! code, so no rule is fooled by either.

use std::path::{Path, PathBuf};
use std::process::Command;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One file of the tree.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path from the top of the tree, with `/`.
    pub path: String,
    /// What it says; nothing for a file that is no text.
    pub text: String,
}

impl Source {
    /// A file that a self-test makes up.
    pub fn sample(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Its tokens, all of them.
    pub fn tokens(&self) -> Vec<TokenTree> {
        let tokens = self.text.parse::<TokenStream>();
        tokens.unwrap_or_else(|error| panic!("{}: {error}", self.path)).into_iter().collect()
    }

    /// Its tokens without what is compiled for tests only.
    pub fn tokens_without_tests(&self) -> Vec<TokenTree> {
        without_tests(self.tokens())
    }

    /// True for a file that is compiled for tests only.
    pub fn is_test(&self) -> bool {
        let mut parts = self.path.rsplit('/');
        parts.next() == Some("tests.rs") || parts.any(|part| part == "tests")
    }
}

/// Every file of the tree that is, or would be, part of a commit.
///
/// Outside a git checkout every file counts, except what building leaves.
pub fn tree() -> Vec<Source> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(arguments).current_dir(top).output();
    let mut paths: Vec<PathBuf> = match listed {
        Ok(output) if output.status.success() => {
            let names = String::from_utf8(output.stdout).unwrap();
            names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect()
        }
        _ => walked(top, Path::new("")),
    };
    paths.sort();
    paths.dedup();
    let read = |path: PathBuf| {
        let bytes = std::fs::read(top.join(&path)).ok()?;
        let text = String::from_utf8(bytes).unwrap_or_default();
        Some(Source { path: path.to_str()?.to_owned(), text })
    };
    paths.into_iter().filter_map(read).collect()
}

/// Every Rust file below a folder.
pub fn rust_below(folder: &str) -> Vec<Source> {
    let below = |source: &Source| source.path.starts_with(folder) && source.path.ends_with(".rs");
    tree().into_iter().filter(below).collect()
}

fn walked(top: &Path, below: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(top.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = below.join(entry.file_name());
        let left_by_building = path == Path::new("target") || path == Path::new(".git");
        match entry.file_type().unwrap().is_dir() {
            true if left_by_building => {}
            true => found.extend(walked(top, &path)),
            false => found.push(path),
        }
    }
    found
}

/// Returns every path that the tokens name, one segment a word; `use a::{b, c::d}` gives `a b` and
/// `a c d`, and a glob ends in `*`. A type behind `as` is left out.
pub fn paths(tokens: &[TokenTree]) -> Vec<Vec<String>> {
    let mut found = vec![];
    let mut rest = tokens;
    while let Some((token, tail)) = rest.split_first() {
        rest = tail;
        match token {
            // A new name for what was named before it.
            TokenTree::Ident(word) if word == "as" => rest = rest.get(1..).unwrap_or_default(),
            TokenTree::Ident(word) => {
                rest = follow(vec![word.to_string()], rest, &mut found);
            }
            TokenTree::Group(group) => {
                found.extend(paths(&group.stream().into_iter().collect::<Vec<_>>()));
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

/// Reads on behind a word for as long as `::` follows, and returns what is left.
fn follow<'a>(
    mut path: Vec<String>,
    mut rest: &'a [TokenTree],
    found: &mut Vec<Vec<String>>,
) -> &'a [TokenTree] {
    while let [TokenTree::Punct(a), TokenTree::Punct(b), next, tail @ ..] = rest {
        if (a.as_char(), b.as_char()) != (':', ':') {
            break;
        }
        match next {
            TokenTree::Ident(word) => path.push(word.to_string()),
            TokenTree::Punct(star) if star.as_char() == '*' => path.push("*".to_owned()),
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                for inner in paths(&group.stream().into_iter().collect::<Vec<_>>()) {
                    found.push(path.iter().cloned().chain(inner).collect());
                }
                if group.stream().to_string() == "*" {
                    path.push("*".to_owned());
                    found.push(path);
                }
                return tail;
            }
            // Arguments of a generic type: they are paths of their own.
            _ => break,
        }
        rest = tail;
    }
    found.push(path);
    rest
}

fn without_tests(tokens: Vec<TokenTree>) -> Vec<TokenTree> {
    let mut kept = vec![];
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        let attribute = matches!(&token, TokenTree::Punct(hash) if hash.as_char() == '#');
        match rest.peek() {
            Some(TokenTree::Group(group)) if attribute && is_test_only(&group.stream()) => {
                rest.find(ends_an_item);
            }
            _ => kept.push(token),
        }
    }
    kept
}

fn is_test_only(attribute: &TokenStream) -> bool {
    let words: Vec<_> = attribute.clone().into_iter().map(|token| token.to_string()).collect();
    words == ["cfg", "(test)"]
}

fn ends_an_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(mark) => matches!(mark.as_char(), ';' | ','),
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    }
}

#[test]
fn paths_are_read_as_the_compiler_would() {
    let text = "
        // use crate::no::comment;
        use crate::a::{self, b::C, d::*};
        use std::{env, fs as files};
        fn f() { crate::x::y::<crate::z::T>(\"crate::no::text\"); }
        #[cfg(test)]
        mod tests { use crate::no::test; }
    ";
    let source = Source::sample("src/sample.rs", text);
    let found: Vec<_> = paths(&source.tokens_without_tests())
        .iter()
        .filter(|path| path.len() > 1)
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(
        found,
        [
            "crate::a::self",
            "crate::a::b::C",
            "crate::a::d::*",
            "std::env",
            "std::fs",
            "crate::x::y",
            "crate::z::T"
        ]
    );
}
