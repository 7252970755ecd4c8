//! The sign-in of this terminal, between one verb and the next: a file in the runtime directory
//! that only its owner may read.
//!
//! Whoever reads the file while it holds is the operator, as far as the engine can tell for this
//! UNIX user at this terminal. So it is made for its owner alone, put in place whole, and refused
//! where others could have read it.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::world::World;
use crate::cli::KeepSignIn;
use crate::config;
use crate::domain::sign_in::Token;
use crate::domain::text;
use crate::error::{Kind, Report};

/// Where the sign-in of this terminal lies.
#[derive(Clone, Debug)]
pub(super) struct TokenFile {
    dir: PathBuf,
    path: PathBuf,
    uid: u32,
}

impl TokenFile {
    /// Names the file of the terminal that this process belongs to.
    pub fn new(world: &World) -> Self {
        let tty = world.origin().tty;
        let kept = Self::of(&world.places.runtime_dir, tty.as_deref(), world.operator.uid);
        // It lies with what is the operator's own; the name says of which engine it is.
        if world.of_host.is_some() { kept.named("system-") } else { kept }
    }

    fn named(mut self, prefix: &str) -> Self {
        if let Some(name) = self.path.file_name() {
            self.path = self.dir.join(format!("{prefix}{}", name.to_string_lossy()));
        }
        self
    }

    fn of(dir: &Path, tty: Option<&str>, uid: u32) -> Self {
        let tty = tty.unwrap_or("none").replace('/', "-");
        Self { dir: dir.to_owned(), path: dir.join(format!("sign-in-{tty}")), uid }
    }

    /// Reads what is kept; none where nothing is.
    ///
    /// # Errors
    ///
    /// When it is not a file of this user alone, or cannot be read.
    pub fn read(&self) -> Result<Option<Token>, Report> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::open(&self.path, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(self.refused("it is a link")),
            Err(error) => return Err(self.refused(&error.to_string())),
            Ok(file) => file,
        };
        let stat = rustix::fs::fstat(&file).map_err(|error| self.refused(&error.to_string()))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.refused("it is no regular file"));
        }
        if stat.st_uid != self.uid {
            return Err(self.refused(&format!("it belongs to uid {}", stat.st_uid)));
        }
        if stat.st_mode & 0o077 != 0 {
            let mode = stat.st_mode & 0o777;
            return Err(self.refused(&format!("others may read it (mode {mode:03o})")));
        }
        let mut digits = Zeroizing::new(String::with_capacity(TOKEN_BYTES + 1));
        let file = std::fs::File::from(file);
        let read = file.take(TOKEN_BYTES as u64 + 1).read_to_string(&mut digits);
        read.map_err(|error| self.refused(&error.to_string()))?;
        let whole = digits.len() == TOKEN_BYTES && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if whole { Ok(Some(Token::new(&digits))) } else { Err(self.refused("it is damaged")) }
    }

    fn refused(&self, why: &str) -> Report {
        let path = text::shown(&self.path.to_string_lossy());
        Report::new(Kind::Denied, format!("the sign-in in `{path}` cannot be trusted"))
            .because(why)
            .hint(format!("rm {path}, then: breakglass login"))
    }

    /// Puts a new file in the place of what is there: whole, and never readable by others.
    fn put(&self, token: &Token) -> io::Result<()> {
        // Made anew under a name that is free (O_EXCL), for this user alone (mode 600).
        let mut file = tempfile::Builder::new().prefix(".sign-in-").tempfile_in(&self.dir)?;
        file.write_all(token.expose().as_bytes())?;
        file.persist(&self.path)?;
        Ok(())
    }
}

impl KeepSignIn for TokenFile {
    fn keep(&self, token: &Token) -> Result<(), Report> {
        config::private_dir(&self.dir, self.uid).map_err(|error| error.report())?;
        self.put(token).map_err(|error| {
            let path = text::shown(&self.path.to_string_lossy());
            Report::new(Kind::Unavailable, format!("cannot keep the sign-in in `{path}`"))
                .because(error.to_string())
                .hint("breakglass doctor")
        })
    }

    fn forget(&self) {
        // What is not there is forgotten; what cannot be removed is ended at the engine.
        std::fs::remove_file(&self.path).ok();
    }
}

/// 256 bits in hexadecimal digits.
const TOKEN_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn private() -> tempfile::TempDir {
        let mode = std::fs::Permissions::from_mode(0o700);
        tempfile::Builder::new().permissions(mode).tempdir().unwrap()
    }

    fn file(dir: &Path) -> TokenFile {
        let uid = rustix::process::getuid().as_raw();
        TokenFile::of(&dir.join("run"), Some("pts/3"), uid)
    }

    #[test]
    fn what_is_kept_is_read_back_until_it_is_forgotten() {
        let dir = private();
        let file = file(dir.path());
        assert_eq!(file.read(), Ok(None));
        for byte in [1, 2] {
            let token = Token::from_random([byte; 32]);
            file.keep(&token).unwrap();
            assert_eq!(file.read(), Ok(Some(token)));
        }
        assert!(file.path.ends_with("run/sign-in-pts-3"));
        let mode = std::fs::metadata(&file.path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(std::fs::read_dir(&file.dir).unwrap().count(), 1, "nothing is left beside it");
        file.forget();
        assert_eq!(file.read(), Ok(None));
    }

    #[test]
    fn each_terminal_has_its_own() {
        let of = |tty| TokenFile::of(Path::new("/run"), tty, 0).path;
        assert_eq!(of(Some("pts/3")), Path::new("/run/sign-in-pts-3"));
        assert_eq!(of(Some("../x")), Path::new("/run/sign-in-..-x"));
        assert_eq!(of(None), Path::new("/run/sign-in-none"));
        let of_host = TokenFile::of(Path::new("/run"), Some("pts/3"), 0).named("system-");
        assert_eq!(of_host.path, Path::new("/run/system-sign-in-pts-3"));
    }

    #[test]
    fn what_others_could_have_read_or_made_is_refused() {
        let dir = private();
        let file = file(dir.path());
        file.keep(&Token::from_random([7; 32])).unwrap();
        let why = |file: &TokenFile| file.read().unwrap_err().causes.remove(0);
        let mode = |mode| {
            std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(0o644);
        assert_eq!(why(&file), "others may read it (mode 644)");
        mode(0o600);
        let uid = file.uid;
        let other = TokenFile { uid: uid + 1, ..file.clone() };
        assert_eq!(why(&other), format!("it belongs to uid {uid}"));
        std::fs::write(&file.path, "short").unwrap();
        assert_eq!(why(&file), "it is damaged");
        file.forget();
        symlink("/etc/passwd", &file.path).unwrap();
        assert_eq!(why(&file), "it is a link");
        let hint = file.read().unwrap_err().hint.unwrap();
        assert!(hint.ends_with("sign-in-pts-3, then: breakglass login"), "{hint}");
        assert!(!format!("{:?}", file.read()).contains("0707"), "no part of a token is told");
    }
}
