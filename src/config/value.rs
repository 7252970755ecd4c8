//! Single values of the file: read, and refused with the key and the place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use toml::{Spanned, Value};

use super::error::{Flaw, listed, nearest};
use crate::domain::id::IdError;
use crate::domain::text::{must_show, shown};

/// A text that people read: one line, without what a terminal would act on or hide.
pub(super) fn label(key: &str, text: Option<&Spanned<String>>) -> Result<Option<String>, Flaw> {
    let Some(text) = text else { return Ok(None) };
    if text.get_ref().trim().is_empty() {
        return Err(Flaw::new(text.span(), format!("`{key}` is empty"))
            .hint("write a short line of plain text, or leave the key out"));
    }
    check_plain(key, text)?;
    Ok(Some(text.get_ref().clone()))
}

/// Refuses what is too long to be shown, or holds what a terminal would act on or hide.
pub(super) fn check_plain(key: &str, text: &Spanned<String>) -> Result<(), Flaw> {
    let length = text.get_ref().chars().count();
    let what = if length > LABEL_CHARS_MAX {
        format!("`{key}` has {length} characters; at most {LABEL_CHARS_MAX} can be shown")
    } else if text.get_ref().chars().any(must_show) {
        format!("`{key}` holds a control or invisible character: `{}`", shown(text.get_ref()))
    } else {
        return Ok(());
    };
    Err(Flaw::new(text.span(), what).hint("write a short line of plain text"))
}

/// A label that becomes a word of a command, so it must not look like an option.
pub(super) fn argument(key: &str, text: Option<&Spanned<String>>) -> Result<Option<String>, Flaw> {
    if let Some(text) = text.filter(|text| text.get_ref().starts_with('-')) {
        let what =
            format!("`{key}` starts with `-`, so that a command would take it for an option");
        return Err(Flaw::new(text.span(), what).hint("write a name that starts with a letter"));
    }
    label(key, text)
}

/// A file that may be named: its path does not depend on the current directory.
pub(super) fn path(key: &str, text: Option<&Spanned<String>>) -> Result<Option<PathBuf>, Flaw> {
    let Some(text) = text else { return Ok(None) };
    let path = text.get_ref().as_str();
    let what = if path.chars().any(must_show) {
        format!("`{key}` holds a control or invisible character: `{}`", shown(path))
    } else if path.len() > PATH_BYTES_MAX {
        format!("`{key}` has {} bytes; a path has at most {PATH_BYTES_MAX}", path.len())
    } else if !path.starts_with('/') {
        format!("`{key}`: `{}` is not an absolute path", shown(path))
    } else {
        return Ok(Some(path.into()));
    };
    Err(Flaw::new(text.span(), what).hint("write the whole path, from `/` on"))
}

pub(super) fn word<T: Copy>(
    key: &str,
    text: Option<&Spanned<String>>,
    words: &[(&str, T)],
) -> Result<Option<T>, Flaw> {
    let Some(text) = text else { return Ok(None) };
    match words.iter().find(|(word, _)| word == text.get_ref()) {
        Some((_, meaning)) => Ok(Some(*meaning)),
        None => {
            let what = format!("`{key}`: `{}` is none of its values", shown(text.get_ref()));
            let values = listed(words.iter().map(|(word, _)| *word));
            Err(Flaw::new(text.span(), what).hint(format!("write {values}")))
        }
    }
}

pub(super) fn parsed<T>(key: &str, text: &Spanned<String>) -> Result<T, Flaw>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.get_ref().parse().map_err(|error: T::Err| value_flaw(key, text, error))
}

pub(super) fn name<T: FromStr<Err = IdError>>(
    key: &str,
    text: &Spanned<String>,
) -> Result<T, Flaw> {
    text.get_ref().parse().map_err(|error: IdError| {
        let what = format!("`{key}`: `{}` cannot be a name", shown(text.get_ref()));
        Flaw::new(text.span(), what).hint(error.to_string())
    })
}

pub(super) fn value_flaw(key: &str, text: &Spanned<String>, error: impl std::fmt::Display) -> Flaw {
    Flaw::new(text.span(), format!("`{key}`: {error}"))
}

pub(super) fn required<'a, T>(
    table: &str,
    key: &str,
    span: &Range<usize>,
    value: Option<&'a T>,
    example: &str,
) -> Result<&'a T, Flaw> {
    value.ok_or_else(|| {
        Flaw::new(span.clone(), format!("this `{table}` has no `{key}`"))
            .hint(format!("add a line such as `{example}`"))
    })
}

pub(super) fn unknown_name<'a>(
    key: &str,
    noun: &str,
    text: &Spanned<String>,
    known: impl Iterator<Item = &'a str>,
) -> Flaw {
    let what = format!("`{key}`: there is no {noun} `{}`", shown(text.get_ref()));
    Flaw::new(text.span(), what).hint(match nearest(text.get_ref(), known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add a `[[{noun}]]` with this id, or mend the name"),
    })
}

/// Refuses a list that is too long.
pub(super) fn check_length(
    key: &str,
    list: &Spanned<Vec<Spanned<String>>>,
    max: usize,
) -> Result<(), Flaw> {
    let length = list.get_ref().len();
    if length <= max {
        return Ok(());
    }
    let what = format!("`{key}` holds {length}; at most {max} are usable");
    Err(Flaw::new(list.span(), what).hint("take out what is not needed"))
}

/// A port, where there is one.
pub(super) fn port(key: &str, port: Option<&Spanned<i64>>) -> Result<Option<u16>, Flaw> {
    let Some(port) = port else { return Ok(None) };
    let number = u16::try_from(*port.get_ref()).ok().filter(|number| *number > 0);
    number.map(Some).ok_or_else(|| {
        Flaw::new(port.span(), format!("`{key}`: a port is a number from 1 to 65535"))
            .hint("leave it out for the usual one")
    })
}

pub(super) fn items(list: Option<&Spanned<Vec<Spanned<String>>>>) -> &[Spanned<String>] {
    list.map_or(&[], |list| list.get_ref())
}

/// One key of a table that is written.
pub(super) struct Line {
    pub key: &'static str,
    pub value: Value,
    /// True where the value is what holds without the key.
    pub default: bool,
}

impl Line {
    /// A key that must be said.
    pub fn new(key: &'static str, value: impl Into<Value>) -> Self {
        Self { key, value: value.into(), default: false }
    }

    /// The same, left out of the file where `default` says that it holds anyway.
    pub fn default_if(self, default: bool) -> Self {
        Self { default, ..self }
    }
}

/// Names and numbers that must differ from each other.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<String, Range<usize>>);

impl Seen {
    pub fn add(&mut self, key: &str, value: &str, span: Range<usize>) -> Result<(), Flaw> {
        match self.0.insert(value.to_owned(), span.clone()) {
            None => Ok(()),
            Some(first) => {
                Err(Flaw::new(span, format!("`{key}`: `{}` is used twice", shown(value)))
                    .first_at(first)
                    .hint("each must be different; change one or take it out"))
            }
        }
    }
}

const LABEL_CHARS_MAX: usize = 100;
/// PATH_MAX of Linux, less the byte that ends it.
const PATH_BYTES_MAX: usize = 4095;
