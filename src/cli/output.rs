//! The only place that prints: data on standard output, talk on standard error.
//!
//! A reader that goes away (`| head`) is no error: what is left is not printed, and the verb keeps
//! its own exit code. (gh does so for its pager. Dying of SIGPIPE instead would make
//! `breakglass sessions | head -1` a failure under `set -o pipefail`.) A verb that prints without
//! end asks [`Output::reader_gone`]. Any other failure, such as a full disk, is an error.
//!
//! With `--json`, standard output carries documents and standard error carries at most one, the
//! error; talk is left out, so that a program can read both.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::ser::{CompactFormatter, Formatter};

use crate::domain::text;
use crate::error::{Kind, Report};

/// What the terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// True where a person reads standard output directly.
    pub stdout_tty: bool,
    /// How many columns a line has; nothing is cut where nobody knows.
    pub width: Option<usize>,
    /// Whether colour may be used. It only ever repeats what a word says.
    pub colour: bool,
    /// Whether characters beyond ASCII may be printed.
    pub unicode: bool,
    /// Whether a person watches, so that a line may be drawn over.
    pub live: bool,
}

impl Terminal {
    /// Works out what the terminal can show from the environment.
    ///
    /// `width` is the terminal's own word, if it is one.
    #[must_use]
    pub fn new(
        environment: &BTreeMap<String, String>,
        stdout_tty: bool,
        width: Option<usize>,
        plain: bool,
    ) -> Self {
        let set = |name: &str| environment.get(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        Self {
            stdout_tty,
            width: width.filter(|width| stdout_tty && *width > 0),
            colour: stdout_tty && !plain && !dumb && set("NO_COLOR").is_none(),
            unicode: is_utf8(environment),
            live: stdout_tty && !plain && !dumb,
        }
    }

    /// Returns foreign text as it may be printed: cleaned, and in ASCII where the locale needs it.
    #[must_use]
    pub fn text(&self, foreign: &str) -> String {
        let clean = text::clean(foreign, FOREIGN_CHARS_MAX);
        if self.unicode { clean.into_owned() } else { ascii(&clean) }
    }

    /// Returns `words` in a colour, where colour may be used.
    #[must_use]
    pub fn paint(&self, tone: Tone, words: &str) -> String {
        let code = match tone {
            Tone::Plain => "",
            Tone::Strong => "1",
            Tone::Good => "32",
            Tone::Odd => "33",
            Tone::Alarm => "1;31",
        };
        if self.colour && !code.is_empty() {
            format!("\u{1b}[{code}m{words}\u{1b}[0m")
        } else {
            words.to_owned()
        }
    }
}

/// What a colour repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing to repeat.
    Plain,
    /// A heading.
    Strong,
    /// All is well.
    Good,
    /// Odd, still whole.
    Odd,
    /// A person must act.
    Alarm,
}

/// True when the locale's characters are UTF-8: the first of `LC_ALL`, `LC_CTYPE` and `LANG` that
/// is set decides (locale(7)).
#[must_use]
pub fn is_utf8(environment: &BTreeMap<String, String>) -> bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let mut values = names.iter().filter_map(|name| environment.get(*name));
    values.find(|value| !value.is_empty()).is_some_and(|value| {
        let value = value.to_ascii_lowercase();
        value.contains("utf-8") || value.contains("utf8")
    })
}

/// Who reads standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A person.
    #[default]
    Text,
    /// A program (`--json`).
    Json,
}

/// Standard output and standard error.
pub struct Output {
    stdout: Box<dyn Write + Send>,
    stderr: Box<dyn Write + Send>,
    terminal: Terminal,
    format: Format,
    reader_gone: bool,
}

impl Output {
    /// Prints to this process's standard output and standard error.
    #[must_use]
    pub fn of_process(terminal: Terminal, format: Format) -> Self {
        Self::new(Box::new(io::stdout()), Box::new(io::stderr()), terminal, format)
    }

    /// Prints to any two writers.
    #[must_use]
    pub fn new(
        stdout: Box<dyn Write + Send>,
        stderr: Box<dyn Write + Send>,
        terminal: Terminal,
        format: Format,
    ) -> Self {
        Self { stdout, stderr, terminal, format, reader_gone: false }
    }

    /// What the terminal can show.
    #[must_use]
    pub const fn terminal(&self) -> Terminal {
        self.terminal
    }

    /// True with `--json`.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// True once nobody reads standard output any more.
    #[must_use]
    pub const fn reader_gone(&self) -> bool {
        self.reader_gone
    }

    /// Prints lines for whoever called the verb; an end of line is added where none is.
    ///
    /// # Errors
    ///
    /// When standard output takes nothing, for any reason but a reader that went away.
    pub fn data(&mut self, lines: &str) -> Result<(), Report> {
        let lines = self.fitted(lines);
        self.write(lines.as_bytes())
    }

    /// Prints lines for the person who watches; nothing with `--json`. That nobody can be told is
    /// no reason to stop, so a failure here is passed over.
    pub fn talk(&mut self, lines: &str) {
        if !self.is_json() {
            self.tell(lines);
        }
    }

    /// Draws the last line for the person who watches over: a countdown. Nothing where nobody does,
    /// and nothing with `--json`. An empty line takes it away.
    pub fn talk_over(&mut self, line: &str) {
        if !self.is_json() && self.terminal.live {
            let line = if self.terminal.unicode { line.to_owned() } else { ascii(line) };
            // As with all talk, that nobody can be told is no reason to stop.
            let _ = write!(self.stderr, "\r\u{1b}[K{line}").and_then(|()| self.stderr.flush());
        }
    }

    /// Prints one document, `{"version":1,"NAME":VALUE}`, on one line.
    ///
    /// # Errors
    ///
    /// As [`Output::data`].
    pub fn document(&mut self, name: &str, value: &impl Serialize) -> Result<(), Report> {
        let line = self.json(name, value)?;
        self.write(line.as_bytes())
    }

    /// Prints an error and returns the exit code that goes with it.
    pub fn report(&mut self, report: &Report) -> u8 {
        // A report may have come over a socket, where nothing has cleaned it yet.
        let clean = |text: &String| self.terminal.text(text);
        let report = Report {
            kind: report.kind,
            message: clean(&report.message),
            causes: report.causes.iter().map(clean).collect(),
            hint: report.hint.as_ref().map(clean),
        };
        let lines = match self.format {
            Format::Text => report.to_string(),
            Format::Json => {
                self.json("error", &report).unwrap_or_else(|unprintable| unprintable.to_string())
            }
        };
        self.tell(&lines);
        report.kind.exit_code()
    }

    /// Prints bytes that are printed as they are: a man page, a completion script.
    ///
    /// # Errors
    ///
    /// As [`Output::data`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Report> {
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Report> {
        if self.reader_gone {
            return Ok(());
        }
        match self.stdout.write_all(bytes).and_then(|()| self.stdout.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.reader_gone = true;
                Ok(())
            }
            Err(error) => Err(Report::new(Kind::Unavailable, "cannot write to standard output")
                .because(error.to_string())),
        }
    }

    fn tell(&mut self, lines: &str) {
        let lines = self.fitted(lines);
        // Standard error is where a failure here would be reported.
        let _ = self.stderr.write_all(lines.as_bytes()).and_then(|()| self.stderr.flush());
    }

    fn fitted(&self, lines: &str) -> String {
        let mut fitted = if self.terminal.unicode { lines.to_owned() } else { ascii(lines) };
        if !fitted.is_empty() && !fitted.ends_with('\n') {
            fitted.push('\n');
        }
        fitted
    }

    fn json(&self, name: &str, value: &impl Serialize) -> Result<String, Report> {
        let mut bytes = Vec::new();
        let formatter = Escaping { ascii: !self.terminal.unicode };
        let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
        let mut map = serializer.serialize_map(Some(2)).map_err(|error| bug(&error))?;
        map.serialize_entry("version", &JSON_VERSION).map_err(|error| bug(&error))?;
        map.serialize_entry(name, value).map_err(|error| bug(&error))?;
        map.end().map_err(|error| bug(&error))?;
        bytes.push(b'\n');
        String::from_utf8(bytes).map_err(|error| bug(&error))
    }
}

/// The version of every `--json` document. A field that leaves or changes its meaning raises it.
pub const JSON_VERSION: u32 = 1;

/// Writes strings such that no character in them can act on a terminal, and none is lost.
struct Escaping {
    ascii: bool,
}

impl Formatter for Escaping {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let escape = |c: char| text::must_show(c) || (self.ascii && !c.is_ascii());
        if !fragment.chars().any(escape) {
            return CompactFormatter.write_string_fragment(writer, fragment);
        }
        for c in fragment.chars() {
            if escape(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            } else {
                write!(writer, "{c}")?;
            }
        }
        Ok(())
    }
}

fn bug(error: &dyn std::error::Error) -> Report {
    Report::new(Kind::Internal, "cannot write the answer as JSON").because(error.to_string())
}

/// Returns the text in ASCII; what is left out is named as cleaning names it.
fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '…' => plain.push_str("..."),
            c if c.is_ascii() => plain.push(c),
            c => plain.push_str(&format!("<{:02X}>", u32::from(c))),
        }
    }
    plain
}

const FOREIGN_CHARS_MAX: usize = 4_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn colour_needs_a_terminal_that_has_it_and_nobody_who_refused_it() {
        let colour = |pairs: &[(&str, &str)], tty, plain| {
            Terminal::new(&environment(pairs), tty, Some(80), plain).colour
        };
        assert!(colour(&[("TERM", "xterm")], true, false));
        assert!(colour(&[("TERM", "xterm"), ("NO_COLOR", "")], true, false));
        assert!(!colour(&[("TERM", "xterm"), ("NO_COLOR", "1")], true, false));
        assert!(!colour(&[("TERM", "dumb")], true, false));
        assert!(!colour(&[], true, false));
        assert!(!colour(&[("TERM", "xterm")], false, false));
        assert!(!colour(&[("TERM", "xterm")], true, true));
    }

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        for (pairs, utf8) in [
            (&[][..], false),
            (&[("LANG", "en_US.UTF-8")], true),
            (&[("LANG", "C.utf8")], true),
            (&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")], false),
            (&[("LC_ALL", ""), ("LC_CTYPE", "de_CH.UTF-8"), ("LANG", "C")], true),
        ] {
            assert_eq!(is_utf8(&environment(pairs)), utf8, "{pairs:?}");
        }
    }

    #[test]
    fn json_loses_nothing_and_shows_nothing_hostile() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{202e}\u{e0001}\n\"\\ü東";
        for unicode in [true, false] {
            let terminal = Terminal { unicode, ..Terminal::default() };
            let out =
                Output::new(Box::new(io::sink()), Box::new(io::sink()), terminal, Format::Json);
            let line = out.json("thing", &hostile).unwrap();
            assert!(!line.trim_end().chars().any(text::must_show), "{line}");
            assert!(unicode || line.is_ascii(), "{line}");
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["version"], 1);
            assert_eq!(value["thing"], hostile);
        }
    }

    #[test]
    fn ascii_names_what_it_cannot_show() {
        assert_eq!(ascii("Zürich…"), "Z<FC>rich...");
    }
}
