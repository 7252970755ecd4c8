//! The watchdog of a program on a host without systemd: a connection that is kept as long as this
//! host wants the program, and beyond this process.
//!
//! On this host a `sleep` holds the reading end of an `ssh` open, both under `timeout`, all three with
//! the mark in arguments or environment ([`process::keep`]). Over there a shell reads until there is
//! nothing more to read, and then ends what bears the mark. So whatever ends here, the machine among
//! them, ends the program there, as soon as the host there has seen that the connection is gone; the
//! program's own deadline is behind it.

use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::marked;
use super::super::transport::{At, Transport};
use crate::domain::ssh::SshDestination;
use crate::domain::time::Span;
use crate::process::{self, Keep, Variables};
use crate::ssh::{Ssh, config};

/// Starts to hold something.
///
/// # Errors
///
/// Why it cannot be held, in words.
pub(super) fn hold(transport: &Transport, name: &str, seconds: u64) -> Result<(), String> {
    let (held, mut variables) = match &transport.at {
        At::Here(variables) => {
            // In a session of its own and without our mark, as another host would run it.
            let words = ["setsid", "env", "-u", VARIABLE].map(ToOwned::to_owned);
            (words.into_iter().chain(watch(name)).collect(), variables.clone())
        }
        At::Over(ssh, to) => {
            let words = ssh_words(ssh, to, name)?;
            (words, ssh.variables.clone())
        }
    };
    variables.insert(VARIABLE.to_owned(), name.to_owned());
    start(name, seconds, held, &variables)
        .map_err(|error| format!("the watchdog on this host cannot be started: {error}"))
}

/// True where something is held.
///
/// # Errors
///
/// When the processes of this host cannot be listed.
pub(super) fn is_held(name: &str) -> Result<bool, String> {
    let found = process::find(&mark(name));
    found.map(|found| !found.is_empty()).map_err(|error| error.to_string())
}

/// Lets go of something. Nothing may be held any more.
///
/// # Errors
///
/// Why it may still be held, in words.
pub(super) async fn let_go(transport: &Transport, name: &str) -> Result<(), String> {
    let left = process::end(&mark(name), PATIENCE).await.map_err(|error| error.to_string())?;
    if left > 0 {
        return Err("the watchdog on this host does not end".to_owned());
    }
    match &transport.at {
        At::Here(_) => Ok(()),
        At::Over(ssh, _) => match std::fs::remove_dir_all(folder(ssh, name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.to_string()),
            _ => Ok(()),
        },
    }
}

fn start(name: &str, seconds: u64, held: Vec<String>, variables: &Variables) -> io::Result<()> {
    let mut words = ["sh", "-c", KEEPER].map(ToOwned::to_owned).to_vec();
    words.extend([mark(name), seconds.to_string()]);
    words.extend(held);
    let words = words.into_iter().map(OsString::from).collect();
    process::keep(Keep { words, variables, ends_in: Span::from_seconds(seconds), complaints: None })
}

/// The words that watch, there.
fn watch(name: &str) -> Vec<String> {
    let words = ["sh", "-c", WATCH, "breakglass", marked::SCRIPT];
    let mut words: Vec<_> = words.map(ToOwned::to_owned).into();
    words.push(marked::pattern(name));
    words
}

/// The words of an `ssh` that watches, with a folder of its own for as long as it runs.
fn ssh_words(ssh: &Ssh, to: &SshDestination, name: &str) -> Result<Vec<String>, String> {
    let text = config::file(&ssh.whose, to, None).map_err(|failure| failure.to_string())?;
    let folder = folder(ssh, name);
    let (file, log) = (folder.join("config"), folder.join("log"));
    write(&folder, &file, &text)
        .map_err(|error| format!("`{}` cannot be written: {error}", file.display()))?;
    let mut words = config::words(&file, &log, to);
    // One line for a shell there: every word between single quotes.
    let quote = |word: String| format!("'{}'", word.replace('\'', r"'\''"));
    let line: Vec<_> = watch(name).into_iter().map(quote).collect();
    words.extend(["-T".to_owned(), "--".to_owned(), to.host.to_string(), line.join(" ")]);
    Ok(config::limited(words))
}

fn write(folder: &Path, file: &Path, text: &str) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}

fn folder(ssh: &Ssh, name: &str) -> PathBuf {
    ssh.dir.join(format!("hold-{name}"))
}

fn mark(name: &str) -> String {
    format!("{VARIABLE}={name}")
}

const VARIABLE: &str = "BREAKGLASS_HOLD";
/// Gives something to read that never comes, and ends its group once nobody reads any more.
const KEEPER: &str = "seconds=$1; shift; sleep \"$seconds\" | { \"$@\"; kill 0; }";
/// Reads to the end, then ends what bears the mark.
const WATCH: &str = "trap '' HUP; cat >/dev/null; exec sh -c \"$1\" breakglass end \"$2\"";
const PATIENCE: Duration = Duration::from_secs(2);
