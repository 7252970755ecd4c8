//! What the documents say of the code is true: tests, files, links and commands that they name
//! exist.
//!
//! - A word like `gone_means_seen_gone` is the name of a test, or of a lint. In a paragraph that
//!   says what something is *shown by*, every test stands in one of the files named there.
//! - A path that begins with a folder or file of the tree leads to something.
//! - A link that is no address leads to a file, and to a heading where it says so.
//! - A command line of this program parses; in running text its arguments may be left out.

use std::collections::BTreeSet;

use breakglass::cli::args;
use clap::error::ErrorKind;

use crate::support::source::{Source, tree};

#[test]
fn what_the_documents_name_exists() {
    let tree = tree();
    let documents: Vec<_> = tree.iter().filter(|source| source.path.ends_with(".md")).collect();
    assert!(documents.len() >= 10, "only {} documents", documents.len());
    let complaints: Vec<_> = documents.iter().flat_map(|document| check(document, &tree)).collect();
    assert!(complaints.is_empty(), "not true:\n  {}", complaints.join("\n  "));
}

/// Returns a line for everything that a document names and that is not there.
fn check(document: &Source, tree: &[Source]) -> Vec<String> {
    let mut complaints = vec![];
    for block in blocks(&document.text) {
        let said = match block.kind {
            Kind::Code => wrong_commands(&block),
            Kind::Text => [
                wrong_words(&block, tree),
                wrong_links(&block, document, tree),
                wrong_mentions(&block),
            ]
            .concat(),
        };
        let place = |what: String| format!("{}:{}: {what}", document.path, block.line);
        complaints.extend(said.into_iter().map(place));
    }
    complaints
}

/// A paragraph, a heading, a list item, or what stands between two fences.
struct Block {
    /// Where it begins, counted from one.
    line: usize,
    kind: Kind,
    /// The lines of code; those of text as one line.
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Code,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = vec![];
    let mut kind = Kind::Text;
    let mut fresh = true;
    for (number, line) in text.lines().enumerate() {
        let fence = line.trim_start().starts_with("```");
        if fence || (kind == Kind::Text && line.trim().is_empty()) {
            fresh = true;
            kind = match kind {
                Kind::Text if fence => Kind::Code,
                _ => Kind::Text,
            };
            continue;
        }
        if fresh {
            blocks.push(Block { line: number + 1, kind, text: String::new() });
            fresh = false;
        }
        if let Some(block) = blocks.last_mut() {
            let (line, end) = if kind == Kind::Code { (line, '\n') } else { (line.trim(), ' ') };
            block.text.push_str(line);
            block.text.push(end);
        }
    }
    blocks
}

/// What stands between back quotes.
fn spans(block: &Block) -> impl Iterator<Item = &str> {
    block.text.split('`').skip(1).step_by(2)
}

/// What does not.
fn prose(block: &Block) -> impl Iterator<Item = &str> {
    block.text.split('`').step_by(2)
}

fn wrong_words(block: &Block, tree: &[Source]) -> Vec<String> {
    let shown_by = block.text.contains("Shown by ");
    let files: Vec<_> = spans(block).filter(|span| is_path(span, tree)).collect();
    let missing = |span: &str| {
        if is_path(span, tree) {
            return (!leads_somewhere(span, tree)).then(|| format!("there is no `{span}`"));
        }
        let words = span.split('_').count();
        if !is_snake(span) || (words < 4 && !shown_by) {
            return None;
        }
        if shown_by {
            let here = tree.iter().filter(|source| files.contains(&source.path.as_str()));
            let found = here.flat_map(tests_of).any(|test| test == span);
            return (!found).then(|| format!("no test `{span}` in {}", files.join(", ")));
        }
        let known = tree.iter().any(|source| tests_of(source).any(|test| test == span));
        (!known).then(|| format!("there is no test `{span}`"))
    };
    spans(block).filter_map(missing).collect()
}

/// The names of the tests in a file.
fn tests_of(source: &Source) -> impl Iterator<Item = &str> {
    let lines: Vec<_> = source.text.lines().map(str::trim).collect();
    let is_test = |line: &&str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    let named = move |at: usize| {
        let line = *lines.get(at)?;
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
        let above = lines.get(..at)?.iter().rev();
        let mut marks = above.take_while(|line| line.starts_with('#') || line.starts_with("//"));
        marks.any(is_test).then(|| name.split('(').next())?
    };
    let many = if source.path.ends_with(".rs") { source.text.lines().count() } else { 0 };
    (0..many).filter_map(named)
}

fn is_snake(word: &str) -> bool {
    let small = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    word.contains('_') && word.chars().all(small) && !word.starts_with('_')
}

/// True for what begins like a path of the tree and has no place left open.
fn is_path(span: &str, tree: &[Source]) -> bool {
    let open = |c: char| c.is_whitespace() || "*<>:".contains(c);
    let top = |path: &str| path.split('/').next().unwrap_or_default().to_owned();
    let tops: BTreeSet<_> = tree.iter().map(|source| top(&source.path)).collect();
    !span.contains(open) && tops.contains(&top(span)) && (span.contains('/') || span.contains('.'))
}

fn leads_somewhere(path: &str, tree: &[Source]) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    tree.iter().any(|source| source.path == path || source.path.starts_with(&folder))
}

fn wrong_links(block: &Block, document: &Source, tree: &[Source]) -> Vec<String> {
    let text: String = prose(block).collect();
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let wrong = |target: &str| {
        if target.contains("://") {
            return None;
        }
        let (path, heading) = target.split_once('#').unwrap_or((target, ""));
        let path = if path.is_empty() { document.path.clone() } else { from(document, path) };
        let file = tree.iter().find(|source| source.path == path);
        let there = heading.is_empty() && leads_somewhere(&path, tree)
            || file.is_some_and(|file| has_heading(file, heading));
        (!there).then(|| format!("the link to `{target}` leads nowhere"))
    };
    targets.filter_map(wrong).collect()
}

/// The path of the tree that a link in a document means.
fn from(document: &Source, link: &str) -> String {
    let mut parts: Vec<_> = document.path.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// True when a heading becomes this anchor: small letters, a hyphen for a space, no other mark.
fn has_heading(source: &Source, anchor: &str) -> bool {
    let slug = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    source.text.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor)
}

/// In a block that shows a prompt only the lines behind it are commands.
fn wrong_commands(block: &Block) -> Vec<String> {
    let prompt = block.text.lines().any(|line| line.starts_with("$ "));
    let lines = block.text.lines().map(str::trim);
    let typed = lines.filter_map(|line| if prompt { line.strip_prefix("$ ") } else { Some(line) });
    typed.filter_map(command).filter_map(|words| mistake(&words, false)).collect()
}

fn wrong_mentions(block: &Block) -> Vec<String> {
    spans(block).filter_map(command).filter_map(|words| mistake(&words, true)).collect()
}

/// The words of a command line of this program, up to a pipe, a redirection or a comment.
fn command(line: &str) -> Option<Vec<String>> {
    let built = line.strip_prefix("cargo run --release -- ");
    let arguments = built.or(line.strip_prefix("breakglass "))?;
    let mut words = vec!["breakglass".to_owned()];
    let (mut word, mut quote) = (String::new(), None);
    for c in arguments.chars() {
        match (quote, c) {
            (None, '|' | '>' | '<' | '#' | ';' | '&') => break,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, ' ') => words.push(std::mem::take(&mut word)),
            (_, c) => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    Some(words)
}

fn mistake(words: &[String], arguments_may_miss: bool) -> Option<String> {
    let error = args::command().try_get_matches_from(words).err()?;
    let missing = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
    ];
    let allowed = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion)
        || arguments_may_miss && missing.contains(&error.kind());
    let why = error.to_string();
    let why = why.lines().next().unwrap_or_default();
    (!allowed).then(|| format!("`{}`: {why}", words.join(" ")))
}

#[test]
fn every_rule_can_fail() {
    let code = "#[test]\nfn what_is_shown_is_so() {}\nfn what_only_helps_a_test() {}\n";
    let text = "\
See `docs/none.md`, `what_nobody_ever_tested`, `what_only_helps_a_test` and `breakglass opne`.

Shown by `what_is_shown_is_so` in `src/b.rs`, and [there](b.md), [here](#no-such-heading).

- [up](../../none.md)

```
$ breakglass open orders-db
breakglass is what it prints
$ breakglass end --all | head
```

```
cargo run --release -- dmeo
breakglass sessions --al
```
";
    let tree = [
        Source::sample("docs/a.md", text),
        Source::sample("src/a.rs", code),
        Source::sample("src/b.rs", ""),
    ];
    insta::assert_snapshot!(check(&tree[0], &tree).join("\n"), @r"
    docs/a.md:1: there is no `docs/none.md`
    docs/a.md:1: there is no test `what_nobody_ever_tested`
    docs/a.md:1: there is no test `what_only_helps_a_test`
    docs/a.md:1: `breakglass opne`: error: unrecognized subcommand 'opne'
    docs/a.md:3: no test `what_is_shown_is_so` in src/b.rs
    docs/a.md:3: the link to `b.md` leads nowhere
    docs/a.md:3: the link to `#no-such-heading` leads nowhere
    docs/a.md:5: the link to `../../none.md` leads nowhere
    docs/a.md:8: `breakglass open orders-db`: error: the following required arguments were not provided:
    docs/a.md:14: `breakglass dmeo`: error: unrecognized subcommand 'dmeo'
    docs/a.md:14: `breakglass sessions --al`: error: unexpected argument '--al' found
    ");
}

#[test]
fn what_is_right_is_let_through() {
    let code = "#[test]\nfn what_is_shown_is_so() {}\n";
    let text = "\
# A title, and more

`src/a.rs`, `src/`, `x/tests.rs`, `missing_docs`, `breakglass open`, `breakglass doctor | head`.

Shown by `what_is_shown_is_so` in `src/a.rs`; see [above](#a-title-and-more), [code](../src/a.rs) and
[the web](https://example.org/none).

```
breakglass open orders-db --reason 'INC-42 > all' --for 30m   # a comment
breakglass --help
```
";
    let tree = [Source::sample("docs/a.md", text), Source::sample("src/a.rs", code)];
    assert_eq!(check(&tree[0], &tree).join("\n"), "");
}
