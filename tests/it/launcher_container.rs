//! The launchers of containers, with fakes of their commands.

use breakglass::domain::launcher::{ContainerEngine, ContainerLauncher, LauncherSettings};
use breakglass::launcher::Launcher as _;
use breakglass::session::{Applied, Looked, Undone};
use tokio::time::Duration;

use crate::support::launching::{CANARY, Place, installation, launch, now, secrets};

/// A container engine of files: a container a file, its state what stands in it.
const FAKE: &str = r#"
case $1 in
ps)
    [ -e "$STATE/down" ] && { cat "$STATE/down" >&2; exit 1; }
    for file in "$STATE"/c/*; do
        [ -e "$file" ] || continue
        case $* in *State*) echo "${file##*/} $(cat "$file")" ;; *) echo "${file##*/}" ;; esac
    done ;;
run)
    printf '%s\n' "$@" >"$STATE/run"
    cat /dev/stdin >"$STATE/read"
    [ -e "$STATE/hang" ] && { touch "$STATE/hangs"; exec sleep 600; }
    [ -e "$STATE/fails" ] && { cat "$STATE/fails" >&2; exit 125; }
    echo started >>"$STATE/starts"
    mkdir -p "$STATE/c"
    if [ -e "$STATE/becomes" ]; then cat "$STATE/becomes"; else echo running; fi >"$STATE/c/$4" ;;
rm)
    [ -e "$STATE/c/$3" ] || { echo "Error: No such container: $3" >&2; exit 1; }
    rm "$STATE/c/$3" ;;
logs) cat "$STATE/read"; echo "it cannot go on" >&2 ;;
version) echo 29.1.0 ;;
esac
"#;

fn place(engine: ContainerEngine) -> (Place, LauncherSettings) {
    let place = Place::new();
    place.script(engine.as_str(), FAKE);
    let settings = ContainerLauncher { engine, over: None, sudo: false };
    (place, LauncherSettings::Container(settings))
}

/// No process of this user says it in its arguments.
fn is_in_arguments(text: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let own = std::process::id().to_string();
    processes.filter(|process| process.file_name().to_string_lossy() != own).any(|process| {
        let words = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&words).contains(text)
    })
}

#[tokio::test]
async fn podman_holds_a_container_to_its_end_by_itself() {
    let (place, settings) = place(ContainerEngine::Podman);
    let (launchers, launch) = (place.launchers(), launch(settings, 61));
    let name = launch.spec.marker.to_string();
    let applied = launchers.start(&launch, &secrets(), now()).await;
    assert!(matches!(applied, Applied::Applied(Some(_))), "{applied:?}");
    let words = place.read("run").replace(&name, "NAME");
    let words = words.replace(&launch.spec.marker.session, "SESSION").replace('\n', " ");
    insta::assert_snapshot!(words, @"run --detach --name NAME --label breakglass.installation=hhhhhh --label breakglass.session=SESSION --label breakglass.expires=2025-11-20T16:40:00.000Z --env-file /dev/stdin --read-only --cap-drop ALL --security-opt no-new-privileges --pull missing --restart no --tmpfs /var/lib/router --timeout 1800 example/router:1 --verbose ");
    assert_eq!(place.read("read"), format!("MODE=plain $(HOME)\nKEY={CANARY}\n"));
    launchers.start(&launch, &secrets(), now()).await;
    assert_eq!(place.read("starts"), "started\n", "what runs is not started again");
    assert_eq!(launchers.stop(&launch).await, Undone::Sent);
    assert_eq!(launchers.look(&launch).await, Looked::Absent);
    assert_eq!(launchers.stop(&launch).await, Undone::Sent, "what is gone is gone");
    let described = launchers.describe(&launch.launcher, &launch.spec);
    assert_eq!(
        described.expires,
        "podman on this host ends it at 16:40 UTC, which cannot be moved later"
    );
    assert_eq!(described.by_hand, [["podman", "rm", "--force", &name]]);
}

#[tokio::test]
async fn docker_has_a_timer_that_removes_the_container_and_goes_with_it() {
    let (place, settings) = place(ContainerEngine::Docker);
    let (launchers, mut launch) = (place.launchers(), launch(settings.clone(), 62));
    let name = launch.spec.marker.to_string();
    let applied = launchers.start(&launch, &secrets(), now()).await;
    assert!(matches!(applied, Applied::Applied(Some(_))), "{applied:?}");
    assert!(is_in_arguments(&name), "the timer runs");
    assert!(!is_in_arguments(CANARY));
    // Without the container the timer alone is still something of it.
    std::fs::remove_file(place.path(&format!("c/{name}"))).unwrap();
    assert!(matches!(launchers.look(&launch).await, Looked::Found(_)));
    let listed = launchers.list(&settings, &installation()).await.unwrap();
    assert!(listed.iter().any(|it| it.artifact.name == name), "{listed:?}");
    assert_eq!(launchers.stop(&launch).await, Undone::Sent);
    assert_eq!(launchers.look(&launch).await, Looked::Absent);
    assert!(!is_in_arguments(&name));

    // Nobody stops this one.
    launch.spec.ends_at = now() + breakglass::domain::time::Span::from_seconds(1);
    let applied = launchers.start(&launch, &secrets(), now()).await;
    assert!(!matches!(applied, Applied::Unknown(_)), "{applied:?}");
    while launchers.look(&launch).await != Looked::Absent {}
}

#[tokio::test]
async fn what_ends_at_once_is_refused_with_its_last_line() {
    let (place, settings) = place(ContainerEngine::Podman);
    place.write("becomes", "exited");
    let (launchers, launch) = (place.launchers(), launch(settings, 63));
    let applied = launchers.start(&launch, &secrets(), now()).await;
    let why = "the router ended as soon as it was started: it cannot go on".to_owned();
    assert_eq!(applied, Applied::Refused(why));
    assert_eq!(launchers.look(&launch).await, Looked::Absent);
}

#[tokio::test]
async fn an_engine_that_refuses_says_why_and_one_that_hangs_leaves_it_open() {
    let (place, settings) = place(ContainerEngine::Podman);
    let (launchers, launch) = (place.launchers(), launch(settings, 64));
    place.write("fails", &format!("no image for {CANARY}\n"));
    let applied = launchers.start(&launch, &secrets(), now()).await;
    let why = "`podman` on this host says: no image for [secret]".to_owned();
    assert_eq!(applied, Applied::Refused(why));

    place.write("hang", "");
    let secrets = secrets();
    let late = async {
        place.until("hangs").await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(181)).await;
        tokio::time::resume();
    };
    let (applied, ()) = tokio::join!(launchers.start(&launch, &secrets, now()), late);
    assert_eq!(applied, Applied::Unknown("`sh` did not end within 3m".to_owned()));
}

#[tokio::test]
async fn an_engine_that_is_down_or_closed_is_unclear_and_says_what_to_do() {
    let (place, settings) = place(ContainerEngine::Docker);
    let (launchers, launch) = (place.launchers(), launch(settings.clone(), 65));
    let mut said = vec![];
    for complaint in [
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is it running?",
        "permission denied while trying to connect to the Docker daemon socket",
        "sudo: a password is required",
        "odd\u{1b}[31m",
    ] {
        place.write("down", complaint);
        let Looked::Unclear(why) = launchers.look(&launch).await else { panic!() };
        said.push(why);
    }
    place.script("docker", "exit 127");
    let probe = launchers.validate(&settings, now()).await;
    said.push(probe.trouble().unwrap().to_owned());
    insta::assert_snapshot!(said.join("\n"), @r"
    no `docker` daemon answers on this host: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is it running?
    `docker` on this host is closed to this user: add the user to its group, or set `sudo = true` in `[site.launcher]`
    `sudo` on this host asks for a password: allow `docker` without one, or set `sudo = false` in `[site.launcher]`
    `docker` on this host says: odd<1B>[31m
    `docker` is not installed on this host, or not in the PATH there
    ");
}

#[tokio::test]
async fn what_is_no_list_of_containers_does_not_say_that_there_is_none() {
    let (place, settings) = place(ContainerEngine::Podman);
    let (launchers, launch) = (place.launchers(), launch(settings, 69));
    let name = launch.spec.marker.to_string();
    for (said, seen) in [
        (
            "<html>sign in first</html>",
            "`podman` on this host answers oddly: <html>sign in first</html>",
        ),
        ("bg-cut", "`podman` on this host answers oddly: bg-cut"),
    ] {
        place.script("podman", &format!("echo '{said}'"));
        assert_eq!(launchers.look(&launch).await, Looked::Unclear(seen.to_owned()));
    }
    place.script("podman", &format!("echo '{name},acme/alias exited'"));
    assert!(matches!(launchers.look(&launch).await, Looked::Found(_)));
    place.script("podman", "echo");
    assert_eq!(launchers.look(&launch).await, Looked::Absent);
}
