//! A private folder for one use of `ssh`.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Ssh;
use super::failure::{SshFailure, Trouble};
use crate::domain::ssh::SshDestination;

/// A private folder that is removed, with all that is in it, when this is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes a fresh one that only this user may enter.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn fresh(ssh: &Ssh) -> Result<Self, SshFailure> {
        let mut random = [0; 2];
        getrandom::fill(&mut random).map_err(|error| failed("random numbers", &error))?;
        let random = u16::from_be_bytes(random);
        let path = ssh.dir.join(format!("t{:x}-{random:04x}", std::process::id()));
        make(&ssh.dir, &path).map_err(|error| failed(&path.to_string_lossy(), &error))?;
        Ok(Self(path))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// The fresh folders of processes that are no more. Each bears the number of its own.
pub(super) fn of_the_dead(dir: &Path) -> Vec<PathBuf> {
    let pid = |name: &str| {
        let (pid, _) = name.strip_prefix('t')?.split_once('-')?;
        u32::from_str_radix(pid, 16).ok()
    };
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let dead = entries.filter(|entry| {
        let pid = entry.file_name().to_str().and_then(pid);
        // One that has ended and was not taken note of yet has no words any more (proc_pid_cmdline(5)).
        let words =
            pid.map(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default());
        words.is_some_and(|words| words.is_empty())
    });
    dead.map(|entry| entry.path()).collect()
}

impl Drop for Folder {
    fn drop(&mut self) {
        let removed = std::fs::remove_dir_all(&self.0);
        if let Err(error) = removed.or_else(gone_is_gone) {
            tracing::warn!(%error, "a folder for ssh is left behind");
        }
    }
}

fn gone_is_gone(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Makes a folder inside another one, both for this user alone. The inner one must not exist.
///
/// # Errors
///
/// When one cannot be made.
pub fn make(parent: &Path, path: &Path) -> io::Result<()> {
    let mut private = DirBuilder::new();
    private.mode(0o700);
    match private.create(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    private.create(path)
}

/// Writes a new file that only this user may read.
///
/// # Errors
///
/// When it exists or cannot be written.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

/// Sees whether the files that somebody named are files: `ssh` reads one to its end, and a device has
/// none. One that is not there is for `ssh` to say.
///
/// # Errors
///
/// When one is something else, or too long.
pub fn check_files(to: &SshDestination) -> Result<(), SshFailure> {
    for path in [&to.identity_file, &to.known_hosts_file].into_iter().flatten() {
        let Ok(found) = path.metadata() else { continue };
        let why = match found.is_file() {
            true if found.len() <= FILE_BYTES_MAX => continue,
            true => "it is longer than 8 MiB",
            false => "it is no regular file",
        };
        let path = crate::domain::text::shown(&path.to_string_lossy());
        let remedy = "name the right one".to_owned();
        return Err(Trouble::KeyFile { path, why: why.to_owned(), remedy }.into());
    }
    Ok(())
}

/// Why something private could not be made.
pub(super) fn failed(what: &str, why: &dyn std::fmt::Display) -> SshFailure {
    let (what, why) = (crate::domain::text::shown(what), why.to_string());
    Trouble::Prepare { what, why }.into()
}

const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::ssh::Whose;

    #[test]
    fn only_a_file_with_an_end_is_given_to_ssh() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, "x").unwrap();
            path
        };
        let to = |identity: &Path, known: &Path| SshDestination {
            identity_file: Some(identity.to_owned()),
            known_hosts_file: Some(known.to_owned()),
            ..SshDestination::new("bastion".parse().unwrap())
        };
        let (well, zero) = (file("a"), Path::new("/dev/zero"));
        assert_eq!(check_files(&to(&well, &well)), Ok(()));
        assert_eq!(check_files(&to(Path::new("/nowhere/x"), &well)), Ok(()), "ssh says so");
        let long = file("b");
        File::options().write(true).open(&long).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        let link = dir.path().join("c");
        std::os::unix::fs::symlink(zero, &link).unwrap();
        let said =
            [to(zero, &well), to(&well, zero), to(&link, &well), to(&well, &long)].map(|to| {
                check_files(&to)
                    .unwrap_err()
                    .to_string()
                    .replace(dir.path().to_str().unwrap(), "DIR")
            });
        insta::assert_snapshot!(said.join("\n"), @r"
        the key file `/dev/zero` cannot be used: it is no regular file; name the right one
        the key file `/dev/zero` cannot be used: it is no regular file; name the right one
        the key file `DIR/c` cannot be used: it is no regular file; name the right one
        the key file `DIR/b` cannot be used: it is longer than 8 MiB; name the right one
        ");
    }

    #[test]
    fn a_folder_is_private_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let whose = Whose::Operator { home: "/home/ana".into() };
        let ssh = Ssh { whose, variables: [].into(), dir: dir.path().join("a/ssh") };
        let folder = Folder::fresh(&ssh).unwrap();
        let path = folder.path().to_owned();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&ssh.dir), mode(&path)), (0o700, 0o700));
        write(&path.join("c"), "x").unwrap();
        assert_eq!(mode(&path.join("c")), 0o600);
        assert!(write(&path.join("c"), "y").is_err(), "nothing is written into what is there");
        drop(folder);
        assert!(!path.exists());
    }
}
