//! What can be wrong with the configuration and with the places where things live, in words.
//!
//! A mistake in the file is shown as `FILE:LINE:COLUMN`, the key, what is wrong with it, and what to
//! write instead. The line itself is never shown, nor the value of a key that we do not know: it
//! may be a secret that was pasted into the wrong place.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use thiserror::Error;
use toml::de::{DeTable, DeValue};

use super::launcher::WORDS_HINT;
use crate::domain::catalogue::edit_distance;
use crate::domain::text::shown;
use crate::error::{Kind, Report};

/// Why the configuration, or a place where things live, cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file says something that it must not.
    #[error("{}:{line}:{column}: {what}", path_shown(.path))]
    Mistake {
        /// The file.
        path: PathBuf,
        /// The line, counted from one.
        line: usize,
        /// The column in characters, counted from one.
        column: usize,
        /// What is wrong.
        what: String,
        /// What to write instead.
        hint: Option<String>,
    },
    /// The file is not UTF-8.
    #[error("{}:{line}: not UTF-8 text", path_shown(.path))]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first line that is not.
        line: usize,
    },
    /// The file is longer than [`FILE_BYTES_MAX`](super::FILE_BYTES_MAX).
    #[error("`{}` has {bytes} bytes; a configuration has at most 16 MiB", path_shown(.path))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// Something else stands where a file or directory is expected.
    #[error("`{}` is not a {expected}", path_shown(.path))]
    WrongKind {
        /// What stands there.
        path: PathBuf,
        /// What is expected: `regular file`, `directory`.
        expected: &'static str,
    },
    /// It belongs to another user.
    #[error("`{}` belongs to uid {owner}, not to you (uid {uid})", path_shown(.path))]
    Foreign {
        /// What belongs to somebody else.
        path: PathBuf,
        /// To whom.
        owner: u32,
        /// Who we are.
        uid: u32,
    },
    /// Others may write to it, so it may say what others want.
    #[error("`{}` may be written by others (mode {mode:04o})", path_shown(.path))]
    WritableByOthers {
        /// What others may write to.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others than its owner and its group may enter it, or the group may write to it.
    #[error("`{}` is open to more than its group (mode {mode:04o})", path_shown(.path))]
    OpenToOthers {
        /// What they may enter.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A secret that others may read.
    #[error("`{}` may be read by others (mode {mode:04o})", path_shown(.path))]
    ReadableByOthers {
        /// What they may read.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is empty, no text, or too long for a secret.
    #[error("`{}` is not one line of text with at most 4096 bytes", path_shown(.path))]
    NoSecret {
        /// The file.
        path: PathBuf,
    },
    /// There is no home directory to put things under.
    #[error("there is no home directory to keep state in")]
    NoHome,
    /// A path that is not absolute: what it means would depend on the current directory.
    #[error("`{}` is not an absolute path", path_shown(.0))]
    Relative(PathBuf),
    /// It cannot be read.
    #[error("cannot read `{}`", path_shown(.path))]
    Unreadable {
        /// What cannot be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be made or written.
    #[error("cannot write `{}`", path_shown(.path))]
    Unwritable {
        /// What cannot be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else wrote to the file while we were about to.
    #[error("`{}` was changed by somebody else at the same time", path_shown(.path))]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// What was asked for may not stand in a configuration.
    #[error("{what}")]
    Refused {
        /// What is wrong with it.
        what: String,
        /// What to ask for instead.
        hint: Option<String>,
    },
    /// The file is written in a way that we cannot edit.
    #[error("cannot edit `{}`: {why}", path_shown(.path))]
    Uneditable {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

impl ConfigError {
    /// Returns what to do now, where we know it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Mistake { hint, .. } | Self::Refused { hint, .. } => hint.clone(),
            Self::NotText { .. } => Some("save the file as UTF-8".into()),
            Self::TooLarge { path, .. } => {
                Some(format!("is this the right file? ls -l {}", quoted(path)))
            }
            Self::WrongKind { path, .. } => {
                Some(format!("move it away and start again: ls -ld {}", quoted(path)))
            }
            Self::Foreign { path, .. } => {
                Some(format!("log in as its owner, or name another place: ls -ld {}", quoted(path)))
            }
            Self::WritableByOthers { path, .. } => {
                Some(format!("check what it says, then: chmod go-w {}", quoted(path)))
            }
            Self::OpenToOthers { path, .. } => Some(format!("chmod 750 {}", quoted(path))),
            Self::ReadableByOthers { path, .. } => Some(format!("chmod 600 {}", quoted(path))),
            Self::NoSecret { path } => Some(format!("ls -l {}", quoted(path))),
            Self::NoHome => Some("set HOME, or name the state directory with --state-dir".into()),
            Self::Relative(_) => Some("write the whole path, from `/` on".into()),
            Self::Unreadable { path, .. } | Self::Unwritable { path, .. } => {
                Some(format!("ls -ld {}", quoted(path)))
            }
            Self::Changed { .. } => Some("look at the file, then try again".into()),
            Self::Uneditable { .. } => Some("make the change in the file by hand".into()),
        }
    }

    /// Returns the error as an operator reads it.
    #[must_use]
    pub fn report(&self) -> Report {
        let kind = match self {
            Self::Unwritable { .. } => Kind::Unavailable,
            Self::Refused { .. } => Kind::Usage,
            _ => Kind::Config,
        };
        let report = Report::of(kind, self);
        match self.hint() {
            Some(hint) => report.hint(hint),
            None => report,
        }
    }
}

/// A mistake at a place in the text, before it is known which file the text is from.
#[derive(Debug)]
pub(super) struct Flaw {
    pub span: Range<usize>,
    pub what: String,
    /// Where the same name or number was used before.
    pub first: Option<Range<usize>>,
    pub hint: Option<String>,
}

impl Flaw {
    pub fn new(span: Range<usize>, what: impl Into<String>) -> Self {
        Self { span, what: what.into(), first: None, hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn first_at(mut self, span: Range<usize>) -> Self {
        self.first = Some(span);
        self
    }

    /// Says what the parser or serde found wrong, without the values they would quote.
    pub fn of_toml(text: &str, error: &toml::de::Error) -> Self {
        let span = error.span().unwrap_or(0..0);
        let message = error.message();
        let found = DeTable::parse(text).ok().and_then(|root| locate(root.get_ref(), &span));
        match found {
            Some(found) if message.starts_with("unknown field") => {
                unknown_key(span, &found.path, expected_of(message))
            }
            Some(found) if message.starts_with("invalid ") => {
                wrong_type(span, &found, expected_of(message))
            }
            Some(found) => Self::new(span, format!("{} cannot be used", found.named())),
            None if message == "duplicate key" => {
                let key = text.get(span.clone()).unwrap_or_default();
                Self::new(span, format!("`{}` stands twice", shown(key)))
                    .hint("a key stands once in its table, and a table once in the file")
            }
            None => Self::new(span, format!("this is not TOML: {}", shown(message)))
                .hint("breakglass config example"),
        }
    }

    /// Says in which file it is.
    pub fn in_file(self, path: &Path, text: &str) -> ConfigError {
        let lines = Lines::new(text);
        let (line, column) = lines.place(self.span.start);
        let first = self.first.map(|first| lines.place(first.start).0);
        let what = match first {
            Some(first) => format!("{} (first on line {first})", self.what),
            None => self.what,
        };
        ConfigError::Mistake { path: path.to_owned(), line, column, what, hint: self.hint }
    }
}

/// A mistake in what was never in a file.
impl From<Flaw> for ConfigError {
    fn from(flaw: Flaw) -> Self {
        Self::Refused { what: flaw.what, hint: flaw.hint }
    }
}

/// Where the lines of a text begin.
pub(super) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub fn new(text: &'a str) -> Self {
        let ends = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(ends).collect() }
    }

    /// Returns line and column of a byte, both counted from one.
    pub fn place(&self, at: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= at).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..at.min(self.text.len())).unwrap_or_default();
        (line, before.trim_start_matches('\u{feff}').chars().count() + 1)
    }
}

/// The name of `known` that a mistyped one most likely means.
pub(super) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let typed = typed.to_ascii_lowercase();
    let near = |name: &&str| edit_distance(&typed, name) <= 1 + typed.len() / 4;
    known.into_iter().filter(near).min_by_key(|name| edit_distance(&typed, name))
}

/// Lists words as people do: `a`, `b` or `c`.
pub(super) fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut quoted: Vec<_> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.pop() {
        Some(last) if quoted.is_empty() => last,
        Some(last) => format!("{} or {last}", quoted.join(", ")),
        None => String::new(),
    }
}

/// What stands at a place in the file: the keys that lead there, and the type of the value.
struct Found {
    path: Vec<String>,
    /// True for one item of the list that the path leads to.
    item: bool,
    kind: &'static str,
}

impl Found {
    fn named(&self) -> String {
        let each = if self.item { "each of " } else { "" };
        format!("{each}`{}`", self.path.join("."))
    }
}

fn locate(table: &DeTable<'_>, span: &Range<usize>) -> Option<Found> {
    table.iter().find_map(|(key, value)| {
        let name = || shown(key.get_ref());
        if key.span() == *span || value.span() == *span {
            let kind = type_shown(value.get_ref());
            return Some(Found { path: vec![name()], item: false, kind });
        }
        let mut found = locate_inside(value.get_ref(), span)?;
        found.path.insert(0, name());
        Some(found)
    })
}

fn locate_inside(value: &DeValue<'_>, span: &Range<usize>) -> Option<Found> {
    match value {
        DeValue::Table(table) => locate(table, span),
        DeValue::Array(items) => items.iter().find_map(|item| {
            if item.span() == *span {
                let kind = type_shown(item.get_ref());
                return Some(Found { path: vec![], item: true, kind });
            }
            locate_inside(item.get_ref(), span)
        }),
        _ => None,
    }
}

fn unknown_key(span: Range<usize>, path: &[String], expected: &str) -> Flaw {
    let known: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
    let (key, table) = path.split_last().map_or(("", &[][..]), |(key, rest)| (key.as_str(), rest));
    let what = if table.is_empty() {
        format!("there is no table or key `{key}`")
    } else {
        format!("there is no key `{key}` in `{}`", table.join("."))
    };
    let allowed = format!("it is one of {}", listed(known.iter().copied()));
    Flaw::new(span, what).hint(match nearest(key, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => allowed,
    })
}

fn wrong_type(span: Range<usize>, found: &Found, expected: &str) -> Flaw {
    let expected = match expected {
        "a string" => "a text in quotes",
        "a boolean" => "`true` or `false`, without quotes",
        "i64" => "a whole number",
        "a sequence" => "a list",
        other => other,
    };
    let key = found.named();
    match (expected, found.kind) {
        ("a whole number", "a number") => Flaw::new(span, format!("{key} is too large")),
        ("a list", "a table") => Flaw::new(span, format!("{key} must be a list, not a table"))
            .hint(format!("write `[[{}]]`, once for each", found.path.join("."))),
        ("a list", "a text") if found.path.iter().any(|key| key == "launcher") => {
            Flaw::new(span, format!("{key} must be a list, not a text")).hint(WORDS_HINT)
        }
        (expected, kind) => Flaw::new(span, format!("{key} must be {expected}, not {kind}"))
            .hint("breakglass config example"),
    }
}

/// What serde expected, from the end of its message; the part before may quote a value.
fn expected_of(message: &str) -> &str {
    message.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected)
}

fn type_shown(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn path_shown(path: &Path) -> String {
    shown(&path.to_string_lossy())
}

fn quoted(path: &Path) -> String {
    crate::domain::connect::quote(&path.to_string_lossy())
}
