//! What a person, or a program in their place, is asked for: addresses, names typed to confirm, and
//! secrets.
//!
//! A secret comes from a masked prompt, from standard input or from a file. It never comes from an
//! argument or the environment, which every user of a host, or every child, may read. From the
//! moment it is read it is a [`Secret`].

use std::future::Future;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::Context;
use super::signals::Caught;
use crate::domain::email::Email;
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::error::{Kind, Report};

/// The longest secret that is read, in bytes.
pub const SECRET_BYTES_MAX: usize = 4_096;

/// The longest key that is read, in bytes: an RSA key of 16384 bits has 13 KiB.
pub const KEY_BYTES_MAX: usize = 16_384;

/// Who sits at standard input.
#[async_trait]
pub trait Person: Send {
    /// True where standard input is a terminal, so that somebody can be asked.
    fn is_there(&self) -> bool;

    /// Asks for one line. Dropping the future leaves the terminal as it was.
    ///
    /// # Errors
    ///
    /// When the person gives up, or no whole line can be had.
    async fn answer(&mut self, prompt: &str, echo: Echo) -> Result<Secret, Stop>;

    /// Reads all that is piped in, but no more than `bytes_max` and one byte.
    ///
    /// # Errors
    ///
    /// When standard input cannot be read.
    async fn piped(&mut self, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, Report>;
}

/// What a terminal shows of what is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// The text.
    Visible,
    /// A star for each character.
    Masked,
}

/// Why a verb goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A signal, or Ctrl-C at a prompt.
    Left(Caught),
    /// Something went wrong.
    Failed(Report),
}

impl From<Report> for Stop {
    fn from(report: Report) -> Self {
        Self::Failed(report)
    }
}

/// The end of a verb that may be left: its exit code.
pub(super) fn end(ended: Result<u8, Stop>) -> Result<u8, Report> {
    match ended {
        Ok(code) => Ok(code),
        Err(Stop::Left(caught)) => Ok(caught.exit_code()),
        Err(Stop::Failed(report)) => Err(report),
    }
}

/// A secret that is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    /// What it is, to stand in a prompt or an error: `password`.
    pub what: &'a str,
    /// The option that reads it from standard input.
    pub option: &'a str,
}

impl Context<'_> {
    /// Waits for something, unless a signal that the verb listens for comes first.
    pub(super) async fn until<T>(
        &mut self,
        work: impl Future<Output = Result<T, Report>>,
    ) -> Result<T, Stop> {
        tokio::select! {
            biased;
            done = work => Ok(done?),
            caught = self.signals.next() => Err(Stop::Left(caught)),
        }
    }

    /// Asks for a line that may be seen.
    pub(super) async fn asked(&mut self, prompt: &str, option: &str) -> Result<String, Stop> {
        let typed = self.ask(&format!("{prompt}: "), Echo::Visible, option).await?;
        Ok(typed.expose().trim().to_owned())
    }

    /// Returns the address that was given, or asks for one.
    pub(super) async fn email(&mut self, given: Option<Email>) -> Result<Email, Stop> {
        if let Some(email) = given {
            return Ok(email);
        }
        let typed = self.asked("E-mail", "--email").await?;
        Ok(typed.parse().map_err(|error| Report::of(Kind::Usage, &error))?)
    }

    /// Asks for a secret that exists. Nothing typed is nothing had.
    pub(super) async fn asked_secret(&mut self, wanted: Wanted<'_>) -> Result<Secret, Stop> {
        let prompt = format!("{}: ", capital(wanted.what));
        let typed = self.ask(&prompt, Echo::Masked, wanted.option).await?;
        Ok(filled(typed, wanted.what)?)
    }

    /// Asks for a secret that may not be there.
    pub(super) async fn asked_secret_if_any(
        &mut self,
        prompt: &str,
        option: &str,
    ) -> Result<Option<Secret>, Stop> {
        let typed = self.ask(&format!("{prompt}: "), Echo::Masked, option).await?;
        Ok(Some(typed).filter(|typed| !typed.is_empty()))
    }

    /// Asks for a secret that is made here and now, twice.
    pub(super) async fn asked_twice(&mut self, wanted: Wanted<'_>) -> Result<Secret, Stop> {
        let first = self.asked_secret(wanted).await?;
        let second = self.ask("The same again: ", Echo::Masked, wanted.option).await?;
        if first != second {
            let message = format!("the two are not the same; no {} was taken", wanted.what);
            return Err(Report::new(Kind::Usage, message).into());
        }
        Ok(first)
    }

    /// Reads one secret from standard input.
    pub(super) async fn piped_secret(&mut self, wanted: Wanted<'_>) -> Result<Secret, Stop> {
        let text = self.piped_text(wanted, SECRET_BYTES_MAX).await?;
        Ok(one_line(&text, wanted.what)?)
    }

    /// Reads two secrets from standard input, a line each. The first may be empty.
    pub(super) async fn piped_two(
        &mut self,
        first: &str,
        second: Wanted<'_>,
    ) -> Result<(Secret, Secret), Stop> {
        let text = self.piped_text(second, 2 * SECRET_BYTES_MAX).await?;
        let Some((one, two)) = text.split_once('\n') else {
            let message = format!("standard input has one line; the {first} stands on the first");
            let message = format!("{message}, the {} on the second", second.what);
            return Err(Report::new(Kind::Usage, message).into());
        };
        let one = one.strip_suffix('\r').unwrap_or(one);
        Ok((Secret::new(one), one_line(two, second.what)?))
    }

    /// Reads a secret from where the options say, or asks.
    pub(super) async fn secret(
        &mut self,
        piped: bool,
        file: Option<&Path>,
        twice: bool,
        wanted: Wanted<'_>,
    ) -> Result<Secret, Stop> {
        match (piped, file) {
            (true, _) => self.piped_secret(wanted).await,
            (_, Some(path)) => Ok(in_file(path, wanted.what)?),
            _ if twice => self.asked_twice(wanted).await,
            _ => self.asked_secret(wanted).await,
        }
    }

    /// Reads a key, which may have several lines, from where the options say; none where they say
    /// nothing. It ends with an end of line, as OpenSSH wants it.
    pub(super) async fn key(
        &mut self,
        piped: bool,
        file: Option<&Path>,
    ) -> Result<Option<Secret>, Stop> {
        let text = match (piped, file) {
            (true, _) if self.person.is_there() => {
                let message = "standard input is a terminal, which would show what is typed";
                let hint = "name a file with `--key-file`, or pipe the key in";
                return Err(Report::new(Kind::Usage, message).hint(hint).into());
            }
            (true, _) => {
                let bytes = self.person.piped(KEY_BYTES_MAX).await?;
                text_of(&bytes, KEY_BYTES_MAX, "key")?
            }
            (false, Some(path)) => text_in(path, KEY_BYTES_MAX, "key")?,
            (false, None) => return Ok(None),
        };
        if text.trim().is_empty() {
            return Err(Report::new(Kind::Usage, "the key is empty").into());
        }
        let text = Zeroizing::new(text.replace("\r\n", "\n"));
        Ok(Some(Secret::new(format!("{}\n", text.trim_end_matches('\n')))))
    }

    async fn ask(&mut self, prompt: &str, echo: Echo, option: &str) -> Result<Secret, Stop> {
        if !self.person.is_there() {
            let message = "there is no terminal to ask at";
            let help = format!("give {option}; `--help` says how");
            return Err(Report::new(Kind::Usage, message).hint(help).into());
        }
        self.signals.listen(&[Caught::Interrupt, Caught::Terminate, Caught::HangUp])?;
        let Context { person, signals, .. } = self;
        tokio::select! {
            biased;
            typed = person.answer(prompt, echo) => typed,
            caught = signals.next() => Err(Stop::Left(caught)),
        }
    }

    async fn piped_text(
        &mut self,
        wanted: Wanted<'_>,
        bytes_max: usize,
    ) -> Result<Zeroizing<String>, Stop> {
        if self.person.is_there() {
            let message = "standard input is a terminal, which would show what is typed";
            let hint = format!("leave `{}` out, and you are asked", wanted.option);
            return Err(Report::new(Kind::Usage, message).hint(hint).into());
        }
        let bytes = self.person.piped(bytes_max).await?;
        Ok(text_of(&bytes, bytes_max, wanted.what)?)
    }
}

/// Reads a secret from a file that nobody else may read. A pipe, as a shell makes for `<(...)`, is
/// such a file.
fn in_file(path: &Path, what: &str) -> Result<Secret, Report> {
    one_line(&text_in(path, SECRET_BYTES_MAX, what)?, what)
}

fn text_in(path: &Path, bytes_max: usize, what: &str) -> Result<Zeroizing<String>, Report> {
    let shown = text::shown(&path.to_string_lossy());
    let broken = |error: std::io::Error| {
        Report::new(Kind::Usage, format!("cannot read `{shown}`")).because(error.to_string())
    };
    let file = std::fs::File::open(path).map_err(broken)?;
    let metadata = file.metadata().map_err(broken)?;
    if metadata.is_file() && metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o777;
        let message = format!("others may read `{shown}` (mode {mode:03o})");
        return Err(Report::new(Kind::Usage, message).hint(format!("chmod 600 {shown}")));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max + 1));
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(broken)?;
    text_of(&bytes, bytes_max, what)
}

fn text_of(bytes: &[u8], bytes_max: usize, what: &str) -> Result<Zeroizing<String>, Report> {
    if bytes.len() > bytes_max {
        let most = if bytes_max == KEY_BYTES_MAX { "16 KiB" } else { "4 KiB" };
        return Err(Report::new(Kind::Usage, format!("the {what} is longer than {most}")));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| {
        Report::new(Kind::Usage, format!("the {what} is no text: it is not valid UTF-8"))
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The text without the one end of line that `echo` puts behind it.
fn one_line(text: &str, what: &str) -> Result<Secret, Report> {
    let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if text.contains('\n') {
        return Err(Report::new(Kind::Usage, format!("the {what} has more than one line")));
    }
    filled(Secret::new(text), what)
}

fn filled(secret: Secret, what: &str) -> Result<Secret, Report> {
    if secret.is_empty() {
        return Err(Report::new(Kind::Usage, format!("the {what} is empty")));
    }
    Ok(secret)
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or(String::new(), |first| first.to_ascii_uppercase().to_string())
        + chars.as_str()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn line(bytes: &[u8]) -> String {
        let text = text_of(bytes, SECRET_BYTES_MAX, "password");
        match text.and_then(|text| one_line(&text, "password")) {
            Ok(secret) => secret.expose().to_owned(),
            Err(report) => report.message,
        }
    }

    #[test]
    fn one_end_of_line_is_taken_off_and_nothing_else() {
        for (bytes, taken) in [
            (&b"correct horse"[..], "correct horse"),
            (b" correct horse \n", " correct horse "),
            (b"correct horse\r\n", "correct horse"),
            ("zoë\t東京\n".as_bytes(), "zoë\t東京"),
            (b"", "the password is empty"),
            (b"\n", "the password is empty"),
            (b"one\ntwo\n", "the password has more than one line"),
            (b"one\n\n", "the password has more than one line"),
            (b"\xff\xfe", "the password is no text: it is not valid UTF-8"),
            (&[b'x'; 4_097], "the password is longer than 4 KiB"),
        ] {
            assert_eq!(line(bytes), taken);
        }
        assert_eq!(line(&[b'x'; 4_096]).len(), 4_096);
    }

    #[test]
    fn a_file_that_others_may_read_holds_no_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "s3cret\n").unwrap();
        let mode = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            in_file(&path, "secret")
        };
        assert_eq!(mode(0o600), Ok(Secret::new("s3cret")));
        let refused = mode(0o640).unwrap_err();
        assert!(refused.message.ends_with("(mode 640)"), "{refused}");
        assert!(refused.hint.unwrap().starts_with("chmod 600 "));
    }
}
