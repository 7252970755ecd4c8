//! Where things live.
//!
//! | What | Where |
//! |---|---|
//! | the configuration | `$XDG_CONFIG_HOME/breakglass/config.toml`, by default under `~/.config` |
//! | state: store, lock, log | `$XDG_STATE_HOME/breakglass`, by default under `~/.local/state` |
//! | sockets | `$XDG_RUNTIME_DIR/breakglass`; otherwise `run` in the state directory |
//!
//! The runtime directory is used only where it is private to the user and outlives the login, and
//! where the state is in its usual place: two states never share a socket.
//!
//! An engine of the whole host ignores all that: `/etc/breakglass/config.toml`, `/var/lib/breakglass`
//! and `/run/breakglass` (File Hierarchy Standard 3.0).
//!
//! (XDG Base Directory Specification 0.8.) Nothing is ever looked for in the current directory.

use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::guard;

/// The directories that the user's surroundings name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Where configurations live, absolute: `$XDG_CONFIG_HOME` or `~/.config`.
    pub config_home: Option<PathBuf>,
    /// Where state lives, absolute: `$XDG_STATE_HOME` or `~/.local/state`.
    pub state_home: Option<PathBuf>,
    /// Where sockets live, absolute: `$XDG_RUNTIME_DIR`, where it is set and of use.
    pub runtime_dir: Option<PathBuf>,
    /// Whether `state_home` is `~/.local/state`.
    pub state_is_usual: bool,
}

impl Environment {
    /// Returns what holds for this process: from its environment, and the home directory from the
    /// user database where `HOME` is not set.
    #[must_use]
    pub fn of_this_process() -> Self {
        directories::BaseDirs::new().map_or_else(Self::default, |dirs| Self {
            config_home: Some(dirs.config_dir().to_owned()),
            state_home: dirs.state_dir().map(Path::to_owned),
            runtime_dir: dirs.runtime_dir().map(Path::to_owned),
            state_is_usual: dirs.state_dir() == Some(&dirs.home_dir().join(".local/state")),
        })
    }

    /// Forgets a runtime directory that is not private to `uid`, as su(1) leaves that of another
    /// user behind, and one that does not outlive the login.
    #[must_use]
    pub fn without_fleeting_runtime(mut self, uid: u32, outlives_login: bool) -> Self {
        let of_use = |dir: &PathBuf| outlives_login && guard::is_private_dir(dir, uid);
        self.runtime_dir = self.runtime_dir.filter(of_use);
        self
    }
}

/// What the operator says on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The configuration.
    pub config_file: Option<PathBuf>,
    /// The state directory. Sockets then live in it too, so that two states never share one.
    pub state_dir: Option<PathBuf>,
}

/// Where things live, all absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// The configuration; it need not exist.
    pub config_file: PathBuf,
    /// Store, lock and log.
    pub state_dir: PathBuf,
    /// Sockets.
    pub runtime_dir: PathBuf,
}

impl Places {
    /// Where things live of the engine of a whole host. `root` is `/`; tests have another one.
    #[must_use]
    pub fn of_host(root: &Path) -> Self {
        Self {
            config_file: root.join("etc").join(FOLDER).join("config.toml"),
            state_dir: root.join("var/lib").join(FOLDER),
            runtime_dir: root.join("run").join(FOLDER),
        }
    }

    /// The engine's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime_dir.join("engine.sock")
    }

    /// Works out where things live; touches nothing.
    ///
    /// # Errors
    ///
    /// When there is no home directory to put them under, or a named place is not absolute.
    pub fn new(environment: &Environment, overrides: &Overrides) -> Result<Self, ConfigError> {
        let under = |home: &Option<PathBuf>| home.as_ref().map(|home| home.join(FOLDER));
        let config_file = overrides
            .config_file
            .clone()
            .or_else(|| under(&environment.config_home).map(|dir| dir.join("config.toml")))
            .ok_or(ConfigError::NoHome)?;
        let state_dir = overrides
            .state_dir
            .clone()
            .or_else(|| under(&environment.state_home))
            .ok_or(ConfigError::NoHome)?;
        let runtime_dir = under(&environment.runtime_dir)
            .filter(|_| overrides.state_dir.is_none() && environment.state_is_usual)
            .unwrap_or_else(|| state_dir.join("run"));
        let places = Self { config_file, state_dir, runtime_dir };
        for path in [&places.config_file, &places.state_dir, &places.runtime_dir] {
            if !path.is_absolute() {
                return Err(ConfigError::Relative(path.clone()));
            }
        }
        Ok(places)
    }
}

const FOLDER: &str = "breakglass";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn environment() -> Environment {
        Environment {
            config_home: Some("/home/ana/.config".into()),
            state_home: Some("/home/ana/.local/state".into()),
            runtime_dir: Some("/run/user/1000".into()),
            state_is_usual: true,
        }
    }

    fn shown(environment: &Environment, overrides: &Overrides) -> String {
        match Places::new(environment, overrides) {
            Ok(Places { config_file, state_dir, runtime_dir }) => {
                [config_file, state_dir, runtime_dir]
                    .map(|path| path.display().to_string())
                    .join("\n")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn everything_lives_where_its_kind_lives() {
        insta::assert_snapshot!(shown(&environment(), &Overrides::default()), @r"
        /home/ana/.config/breakglass/config.toml
        /home/ana/.local/state/breakglass
        /run/user/1000/breakglass
        ");
    }

    #[test]
    fn without_a_runtime_directory_sockets_live_with_the_state() {
        let environment = Environment { runtime_dir: None, ..environment() };
        insta::assert_snapshot!(shown(&environment, &Overrides::default()), @r"
        /home/ana/.config/breakglass/config.toml
        /home/ana/.local/state/breakglass
        /home/ana/.local/state/breakglass/run
        ");
    }

    #[test]
    fn a_state_in_an_unusual_place_keeps_its_sockets() {
        let environment = Environment {
            state_home: Some("/srv/b".into()),
            state_is_usual: false,
            ..environment()
        };
        let shown = shown(&environment, &Overrides::default());
        assert!(shown.ends_with("/srv/b/breakglass/run"), "{shown}");
    }

    #[test]
    fn a_runtime_directory_of_somebody_else_or_of_this_login_alone_is_forgotten() {
        let uid = rustix::process::getuid().as_raw();
        let private = std::fs::Permissions::from_mode(0o700);
        let dir = tempfile::Builder::new().permissions(private).tempdir().unwrap();
        let of = |path: &Path| Environment { runtime_dir: Some(path.to_owned()), ..environment() };
        let kept = |path: &Path, uid, lasts| {
            of(path).without_fleeting_runtime(uid, lasts).runtime_dir.is_some()
        };
        assert!(kept(dir.path(), uid, true));
        assert!(!kept(dir.path(), uid, false));
        assert!(!kept(dir.path(), uid + 1, true));
        assert!(!kept(Path::new("/tmp"), uid, true));
        assert!(!kept(&dir.path().join("missing"), uid, true));
    }

    #[test]
    fn another_state_has_sockets_of_its_own() {
        let overrides = Overrides {
            config_file: Some("/etc/x.toml".into()),
            state_dir: Some("/srv/state".into()),
        };
        insta::assert_snapshot!(shown(&environment(), &overrides), @r"
        /etc/x.toml
        /srv/state
        /srv/state/run
        ");
    }

    #[test]
    fn the_engine_of_a_host_has_fixed_places() {
        let places = Places::of_host(Path::new("/"));
        assert_eq!(places.config_file, Path::new("/etc/breakglass/config.toml"));
        assert_eq!(places.state_dir, Path::new("/var/lib/breakglass"));
        assert_eq!(places.socket(), Path::new("/run/breakglass/engine.sock"));
    }

    #[test]
    fn nothing_is_looked_for_in_the_current_directory() {
        let nowhere = Environment::default();
        assert_eq!(
            shown(&nowhere, &Overrides::default()),
            "there is no home directory to keep state in"
        );
        let overrides =
            Overrides { config_file: Some("config.toml".into()), ..Overrides::default() };
        assert_eq!(shown(&environment(), &overrides), "`config.toml` is not an absolute path");
    }
}
