//! The launchers with the real programs, where somebody says that they work here:
//! `tests/e2e/55-launchers.sh` probes for them, and gives the names of what they start.

use breakglass::domain::launcher::{
    ContainerEngine, ContainerLauncher, Launch, LauncherSettings, SshLauncher, SshMethod,
};
use breakglass::domain::ssh::SshDestination;
use breakglass::launcher::Launcher;
use breakglass::launcher::kinds::Launchers;
use breakglass::process::Variables;
use breakglass::session::{Applied, Looked, Undone};
use breakglass::ssh::{Ssh, Whose};

use crate::support::launching::{CANARY, installation, launch, now, secrets};

/// What the suite has found; nothing where it has not.
#[expect(clippy::disallowed_methods, reason = "a test that the suite asks for in this way")]
fn asked_for(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    if value.is_none() {
        println!("{name} is not set: not tried");
    }
    value
}

fn launchers(dir: &tempfile::TempDir, known_hosts: &str) -> Launchers {
    #[expect(clippy::disallowed_methods, reason = "the real programs need the real PATH")]
    let passed = ["PATH", "HOME", "XDG_RUNTIME_DIR", "CONTAINERS_CONF"]
        .map(|name| (name, std::env::var(name)));
    let variables: Variables = passed
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value.ok()?)))
        .collect();
    let whose = Whose::Engine { known_hosts: known_hosts.into() };
    let ssh = Ssh { whose, variables: variables.clone(), dir: dir.path().join("ssh") };
    Launchers::new(ssh, variables)
}

/// Starts it, finds it, starts it again, lists it, stops it, and sees nothing of it left.
async fn walk(launchers: &Launchers, launch: &Launch) {
    let probe = launchers.validate(&launch.launcher, now()).await;
    assert!(probe.is_healthy(), "{probe:?}");
    assert_eq!(launchers.look(launch).await, Looked::Absent);
    let applied = launchers.start(launch, &secrets(), now()).await;
    assert!(matches!(applied, Applied::Applied(Some(_))), "{applied:?}");
    let again = launchers.start(launch, &secrets(), now()).await;
    assert!(matches!(again, Applied::Applied(Some(_))), "{again:?}");
    assert!(matches!(launchers.look(launch).await, Looked::Found(_)));
    let logs = loop {
        let logs = launchers.logs(launch).await.unwrap();
        if logs.contains("ready") {
            break logs;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    assert!(logs.contains("secret is [secret]") && !logs.contains(CANARY), "{logs}");
    let listed = launchers.list(&launch.launcher, &installation()).await.unwrap();
    let name = launch.spec.marker.to_string();
    assert_eq!(listed.iter().filter(|it| it.artifact.name == name).count(), 1, "{listed:?}");
    assert_eq!(launchers.stop(launch).await, Undone::Sent);
    while launchers.look(launch).await != Looked::Absent {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    assert_eq!(launchers.stop(launch).await, Undone::Sent, "what is gone is gone");
    let listed = launchers.list(&launch.launcher, &installation()).await.unwrap();
    assert!(listed.iter().all(|it| it.artifact.name != name), "{listed:?}");
}

const SAYS: &str = "echo secret is \"$KEY\"; touch \"$FOLDER/x\" && echo ready; sleep 600; true";

#[tokio::test]
async fn podman_starts_and_stops_a_container() {
    let Some(image) = asked_for("BREAKGLASS_E2E_PODMAN_IMAGE") else { return };
    let engine = ContainerEngine::Podman;
    let settings = ContainerLauncher { engine, over: None, sudo: false };
    let mut launch = launch(LauncherSettings::Container(settings), 81);
    launch.spec.image = image;
    launch.spec.arguments = ["sh", "-c", SAYS].map(ToOwned::to_owned).into();
    launch.spec.environment = [("FOLDER".to_owned(), "/var/lib/router".to_owned())].into();
    let dir = tempfile::tempdir().unwrap();
    walk(&launchers(&dir, "/dev/null"), &launch).await;
}

/// A host of the suite's own: `USER@HOST:PORT KEY KNOWN_HOSTS`, and what holds programs there.
async fn walk_host(variable: &str, method: SshMethod, number: u8) {
    let Some(host) = asked_for(variable) else { return };
    let words: Vec<_> = host.split(' ').collect();
    let hop: breakglass::domain::ssh::SshHop = words[0].parse().unwrap();
    let destination = SshDestination {
        user: hop.user,
        port: hop.port,
        identity_file: Some(words[1].into()),
        ..SshDestination::new(hop.host)
    };
    let settings = SshLauncher { destination, method, sudo: false };
    let mut launch = launch(LauncherSettings::Ssh(settings), number);
    launch.spec.program = ["sh", "-c", SAYS].map(ToOwned::to_owned).into();
    launch.spec.scratch = vec![format!("/tmp/scratch-{number}")];
    launch.spec.environment = [("FOLDER".to_owned(), launch.spec.scratch[0].clone())].into();
    let dir = tempfile::tempdir().unwrap();
    walk(&launchers(&dir, words[2]), &launch).await;
}

#[tokio::test]
async fn a_host_without_systemd_starts_and_stops_a_program() {
    walk_host("BREAKGLASS_E2E_HOST", SshMethod::Auto, 82).await;
}

#[tokio::test]
async fn systemd_starts_and_stops_a_unit() {
    walk_host("BREAKGLASS_E2E_SYSTEMD_HOST", SshMethod::Systemd, 83).await;
}
