//! A place where launchers find fakes of the programs that they use: scripts on a `PATH` of their
//! own, which note what they are given and keep their state in files.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use breakglass::domain::artifact::Marker;
use breakglass::domain::id::{InstallationId, SessionId};
use breakglass::domain::launcher::{Launch, LaunchSpec, LauncherSettings};
use breakglass::domain::secret::Secret;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::launcher::kinds::Launchers;
use breakglass::launcher::{Secrets, Waits};
use breakglass::process::Variables;
use breakglass::ssh::{Ssh, Whose};

/// A secret that stands nowhere else.
pub const CANARY: &str = "vole-canary-\"1";

/// A folder with fakes.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// An empty one.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        Self { dir }
    }

    /// A file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a script on the `PATH`, and returns where it is.
    pub fn script(&self, name: &str, text: &str) -> String {
        let path = self.path("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_string_lossy().into_owned()
    }

    /// Writes a file.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Reads a file; nothing where there is none.
    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Waits for a file.
    pub async fn until(&self, name: &str) {
        while !self.path(name).exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// Launchers that find nothing but these fakes and the system's tools; `$STATE` is the folder.
    pub fn launchers(&self) -> Launchers {
        self.waiting(Waits::default())
    }

    /// The same with waits of one's own.
    pub fn waiting(&self, waits: Waits) -> Launchers {
        let ssh = self.ssh();
        let variables = ssh.variables.clone();
        Launchers::waiting(ssh, variables, waits)
    }

    /// An `ssh` that finds nothing else either, with its folders below `ssh`.
    pub fn ssh(&self) -> Ssh {
        let variables = variables(&self.path("bin"), self.dir.path());
        let whose = Whose::Operator { home: self.dir.path().to_owned() };
        Ssh { whose, variables, dir: self.path("ssh") }
    }
}

fn variables(bin: &Path, state: &Path) -> Variables {
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let state = state.display().to_string();
    [("PATH".to_owned(), path), ("HOME".to_owned(), state.clone()), ("STATE".to_owned(), state)]
        .into()
}

/// The installation of the tests.
pub fn installation() -> InstallationId {
    InstallationId::from_random([7, 7, 7, 7, 7, 7])
}

/// The moment at which things are started.
pub fn now() -> Timestamp {
    Timestamp::from_millis(1_763_655_000_000)
}

/// Something to start for half an hour, with one secret. The number makes its mark differ from that
/// of other tests and other processes.
pub fn launch(launcher: LauncherSettings, number: u8) -> Launch {
    let ends_at = now() + Span::from_minutes(30);
    let pid = std::process::id().to_be_bytes();
    let random = [number; 10];
    let marker = Marker {
        session: format!("{:08x}", u32::from_be_bytes(pid) ^ (u32::from(number) << 24)),
        ..Marker::new(&installation(), SessionId::new(now(), random), ends_at)
    };
    let spec = LaunchSpec {
        what: "router".to_owned(),
        marker,
        program: vec![],
        image: "example/router:1".to_owned(),
        arguments: vec!["--verbose".to_owned()],
        environment: [("MODE".to_owned(), "plain $(HOME)".to_owned())].into(),
        secrets: vec!["KEY".to_owned()],
        scratch: vec!["/var/lib/router".to_owned()],
        ends_at,
    };
    Launch { launcher, spec }
}

/// Its secret.
pub fn secrets() -> Secrets {
    [("KEY".to_owned(), Secret::new(CANARY))].into()
}
