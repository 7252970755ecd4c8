//! What holds programs on a host, run on this one: the scripts are the same over SSH.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::domain::artifact::Marker;
use crate::domain::id::SessionId;
use crate::domain::launcher::LaunchSpec;
use crate::domain::secret::Secret;
use crate::domain::ssh::SshDestination;
use crate::domain::time::Timestamp;
use crate::launcher::Secrets;
use crate::launcher::way;
use crate::session::{Applied, Looked};

const CANARY: &str = "vole-canary-two";

struct Place {
    dir: tempfile::TempDir,
    settings: SshLauncher,
    methods: Methods,
}

impl Place {
    fn new(method: SshMethod) -> Self {
        let destination = SshDestination::new("here".parse().unwrap());
        let settings = SshLauncher { destination, method, sudo: false };
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        Self { dir, settings, methods: Methods::default() }
    }

    fn host(&self) -> Host<'_> {
        let dir = self.dir.path().display();
        let variables = [
            ("PATH", format!("{dir}/bin:/usr/bin:/bin")),
            ("STATE", dir.to_string()),
            ("XDG_RUNTIME_DIR", format!("{dir}/run")),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).into();
        let transport = Transport::here(variables, &Waits::default());
        Host { settings: &self.settings, transport, methods: &self.methods }
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.dir.path().join("bin").join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }

    /// A program of one line of shell, to run for so long.
    fn spec(&self, number: u8, script: &str) -> LaunchSpec {
        let pid = std::process::id().to_be_bytes();
        let at = Timestamp::from_millis(1_763_655_000_000);
        let installation = InstallationId::from_random([number; 6]);
        let out = self.dir.path().join("out").to_string_lossy().into_owned();
        let scratch = self.dir.path().join("scratch").to_string_lossy().into_owned();
        LaunchSpec {
            what: "router".to_owned(),
            // No other process has it.
            marker: Marker {
                session: format!("{:08x}", u32::from_be_bytes(pid)),
                ..Marker::new(&installation, SessionId::new(at, [number; 10]), at)
            },
            program: ["sh", "-c", script].map(ToOwned::to_owned).into(),
            image: String::new(),
            arguments: vec![],
            environment: [
                ("MODE".to_owned(), "a \"b\" $c `d` \\e".to_owned()),
                ("OUT".to_owned(), out),
            ]
            .into(),
            secrets: vec!["KEY".to_owned()],
            scratch: vec![scratch],
            ends_at: at + Span::from_minutes(10),
        }
    }
}

fn secrets() -> Secrets {
    [("KEY".to_owned(), Secret::new(CANARY))].into()
}

async fn start(host: &Host<'_>, spec: &LaunchSpec, within: Span) -> Applied {
    let secrets = secrets();
    let order = Order::new(spec, &secrets, spec.ends_at - within).unwrap();
    way::start(host, &order, &Waits::default()).await
}

async fn launch(host: &Host<'_>, spec: &LaunchSpec) -> Result<(), Failed> {
    let secrets = secrets();
    let order = Order::new(spec, &secrets, spec.ends_at - HALF).unwrap();
    host.launch(&order).await.map(drop)
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_in_arguments(text: &str) -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes
        .map(|it| std::fs::read(it.path().join("cmdline")).unwrap_or_default())
        .any(|words| words.windows(text.len()).any(|window| window == text.as_bytes()))
}

fn runs(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

const HALF: Span = Span::from_minutes(5);

#[tokio::test]
async fn a_program_runs_with_its_variables_until_it_is_stopped() {
    let place = Place::new(SshMethod::Timeout);
    let spec = place.spec(
        1,
        r#"printf "%s\n" "$MODE $KEY" >>"$OUT"; touch "$STATE/scratch/x"; echo hello; sleep 600; true"#,
    );
    let (host, name) = (place.host(), spec.marker.to_string());
    let applied = start(&host, &spec, HALF).await;
    assert!(matches!(applied, Applied::Applied(Some(_))), "{applied:?}");
    until(|| place.dir.path().join("scratch/x").exists()).await;
    let said = format!("a \"b\" $c `d` \\e {CANARY}\n");
    assert_eq!(place.read("out"), said);
    assert!(!is_in_arguments(CANARY));
    assert!(matches!(start(&host, &spec, HALF).await, Applied::Applied(_)));
    assert_eq!(place.read("out"), said, "what runs is not started again");
    assert_eq!(host.logs(&name).await.unwrap(), "hello\n");
    assert!(host.list(&spec.marker.installation).await.unwrap().contains(&name));

    assert_eq!(host.stop(&name).await, Undone::Sent);
    assert_eq!(way::look(&host, &spec).await, Looked::Absent);
    assert!(!Path::new(&format!("/tmp/{name}")).exists());
    assert!(!place.dir.path().join("scratch").exists(), "what was made is gone");
    assert_eq!(host.stop(&name).await, Undone::Sent, "what is gone is gone");
    assert!(!host.list(&spec.marker.installation).await.unwrap().contains(&name));
}

#[tokio::test]
async fn what_has_left_its_group_is_found_and_ended_too() {
    let place = Place::new(SshMethod::Timeout);
    let spec = place.spec(
        2,
        r#"setsid sh -c 'trap "" TERM; echo $$ >"$OUT"; while :; do sleep 1; done' & wait; sleep 600"#,
    );
    let host = place.host();
    assert!(matches!(start(&host, &spec, HALF).await, Applied::Applied(_)));
    until(|| place.read("out").ends_with('\n')).await;
    let pid = place.read("out");
    assert!(runs(&pid));
    assert_eq!(host.stop(&spec.marker.to_string()).await, Undone::Sent);
    assert!(!runs(&pid));
}

#[tokio::test]
async fn a_program_ends_by_itself_with_all_that_it_has_started() {
    let place = Place::new(SshMethod::Timeout);
    let spec =
        place.spec(3, r#"setsid sh -c 'echo $$ >"$OUT"; sleep 600; true' & sleep 600; true"#);
    let (host, name) = (place.host(), spec.marker.to_string());
    assert!(matches!(start(&host, &spec, Span::from_seconds(3)).await, Applied::Applied(_)));
    until(|| Path::new(&format!("/tmp/{name}/ended")).exists()).await;
    let pid = place.read("out");
    until(|| !runs(&pid)).await;
    assert_eq!(host.see(&name).await, Ok(Seen::Left), "what it said can still be read");
    assert_eq!(host.stop(&name).await, Undone::Sent);
    assert_eq!(host.see(&name).await, Ok(Seen::Absent));
}

#[tokio::test]
async fn a_program_ends_when_this_host_lets_go_of_it() {
    let place = Place::new(SshMethod::Timeout);
    let spec = place.spec(11, "sleep 600; true");
    let (host, name) = (place.host(), spec.marker.to_string());
    assert!(matches!(start(&host, &spec, HALF).await, Applied::Applied(_)));
    assert_eq!(hold::is_held(&name), Ok(true));
    let hold = format!("BREAKGLASS_HOLD={name}");
    assert_eq!(crate::process::end(&hold, Duration::ZERO).await.unwrap(), 0);
    // Nobody stops it.
    while host.see(&name).await != Ok(Seen::Absent) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_cannot_run_is_refused_and_leaves_nothing() {
    let place = Place::new(SshMethod::Timeout);
    let host = place.host();
    let fails = place.spec(4, "echo no such network >&2; exit 3");
    let missing = LaunchSpec { program: vec!["no-such-router".to_owned()], ..place.spec(5, "") };
    let nothing = LaunchSpec { program: vec![], ..place.spec(6, "") };
    let nowhere = LaunchSpec { scratch: vec!["/proc/no".to_owned()], ..place.spec(7, "true") };
    let mut said = vec![];
    for spec in [fails, missing, nothing, nowhere] {
        let Applied::Refused(why) = start(&host, &spec, HALF).await else { panic!() };
        said.push(why);
        assert_eq!(host.see(&spec.marker.to_string()).await, Ok(Seen::Absent));
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    the router ended as soon as it was started: no such network
    this host says: there is no program no-such-router
    no program of the router for a host is known
    this host says: the folder /proc/no can neither be made nor be written to
    ");
    assert!(!place.dir.path().join("scratch").exists());
}

/// A manager that keeps its units in files.
fn systemd(place: &Place) {
    place.script(
        "systemd-run",
        r#"printf '%s\n' "$@" >"$STATE/words"
for word; do case $word in
    --unit=*) unit=${word#*=} ;;
    --property=EnvironmentFile=*) file=${word#*=*=} ;;
esac; done
cp "$file" "$STATE/file"; stat -c %a "$file" >"$STATE/mode"
[ -e "$STATE/refuses" ] && { cat "$STATE/refuses" >&2; exit 1; }
mkdir -p "$STATE/units"; touch "$STATE/units/$unit.service""#,
    );
    place.script(
        "systemctl",
        r#"[ -e "$STATE/down" ] && { cat "$STATE/down" >&2; exit 1; }
while [ "${1#--}" != "$1" ]; do shift; done
for last; do :; done
case $1 in
show) if [ -e "$STATE/units/$last" ]; then printf 'LoadState=loaded\nActiveState=active\n'
    else printf 'LoadState=not-found\nActiveState=inactive\n'; fi ;;
stop) [ -e "$STATE/units/$last" ] || exit 5; rm "$STATE/units/$last" ;;
list-units) ls "$STATE/units" | sed 's/$/ loaded active running x/' ;;
esac"#,
    );
}

#[tokio::test]
async fn a_unit_is_given_its_end_and_no_secret_but_in_a_file_that_is_gone() {
    let place = Place::new(SshMethod::SystemdUser);
    systemd(&place);
    let (host, spec) = (place.host(), place.spec(8, "sleep $TIME"));
    let name = spec.marker.to_string();
    let applied = start(&host, &spec, HALF).await;
    assert!(matches!(applied, Applied::Applied(Some(_))), "{applied:?}");
    let dir = place.dir.path().display().to_string();
    let words = place.read("words").replace(&name, "NAME").replace(&dir, "DIR");
    insta::assert_snapshot!(words, @r"
    --user
    --unit=NAME
    --property=EnvironmentFile=DIR/run/breakglass-launch/NAME.env
    --collect
    --quiet
    --service-type=exec
    --property=RuntimeMaxSec=300
    --property=Restart=no
    --property=TimeoutStopSec=10
    --property=NoNewPrivileges=yes
    --property=PrivateUsers=yes
    --property=TemporaryFileSystem=DIR/scratch:mode=1777
    --
    sh
    -c
    sleep $$TIME
    ");
    assert_eq!(place.read("mode"), "600\n");
    assert!(place.read("file").ends_with(&format!("KEY=\"{CANARY}\"\n")));
    assert!(!place.dir.path().join(format!("run/breakglass-launch/{name}.env")).exists());
    assert!(matches!(start(&host, &spec, HALF).await, Applied::Applied(_)));
    assert!(host.list(&spec.marker.installation).await.unwrap().contains(&name));
    assert_eq!(host.stop(&name).await, Undone::Sent);
    assert_eq!(host.see(&name).await, Ok(Seen::Absent));
    assert_eq!(host.stop(&name).await, Undone::Sent, "what is gone is gone");
}

#[tokio::test]
async fn no_secret_is_written_through_a_link() {
    let place = Place::new(SshMethod::SystemdUser);
    systemd(&place);
    let dir = place.dir.path();
    let elsewhere = dir.join("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    std::fs::create_dir_all(dir.join("run")).unwrap();
    let (host, spec) = (place.host(), place.spec(12, "true"));
    let file = format!("{}.env", spec.marker);
    std::os::unix::fs::symlink(&elsewhere, dir.join("run/breakglass-launch")).unwrap();
    std::fs::write(elsewhere.join(&file), "theirs").unwrap();
    assert!(matches!(launch(&host, &spec).await, Err(Failed::Refused(_))));
    assert_eq!(host.stop(&spec.marker.to_string()).await, Undone::Sent);
    assert_eq!(std::fs::read_to_string(elsewhere.join(&file)).unwrap(), "theirs");
    std::fs::remove_file(dir.join("run/breakglass-launch")).unwrap();
    std::fs::create_dir(dir.join("run/breakglass-launch")).unwrap();
    let link = dir.join("run/breakglass-launch").join(&file);
    std::os::unix::fs::symlink(elsewhere.join("other"), link).unwrap();
    assert!(matches!(launch(&host, &spec).await, Err(Failed::Refused(_))));
    assert!(!elsewhere.join("other").exists());
}

#[tokio::test]
async fn what_others_left_below_tmp_says_nothing() {
    let place = Place::new(SshMethod::Timeout);
    let (host, spec) = (place.host(), place.spec(13, "sleep 600; true"));
    let name = spec.marker.to_string();
    std::fs::write(place.dir.path().join("ended"), "").unwrap();
    // A link stands for a folder of somebody else: who owns one cannot be chosen here.
    let link = format!("/tmp/{name}");
    std::os::unix::fs::symlink(place.dir.path(), &link).unwrap();
    let seen = host.see(&name).await;
    let listed = host.list(&spec.marker.installation).await.unwrap();
    std::fs::remove_file(&link).unwrap();
    assert_eq!(seen, Ok(Seen::Absent));
    assert!(!listed.contains(&name));
}

#[tokio::test]
async fn a_manager_that_says_no_is_told_with_what_to_do() {
    let place = Place::new(SshMethod::SystemdUser);
    systemd(&place);
    let (host, spec) = (place.host(), place.spec(9, "true"));
    let write = |name: &str, text: &str| std::fs::write(place.dir.path().join(name), text).unwrap();
    write("refuses", "Failed to start transient service unit: Unit is odd.\n");
    let refused = start(&host, &spec, HALF).await;
    let why = "systemd on this host says: Failed to start transient service unit: Unit is odd.";
    assert_eq!(refused, Applied::Refused(why.to_owned()));
    let mut said = vec![];
    for complaint in [
        "Failed to connect to bus: No medium found",
        "sudo: a password is required",
        "Failed to stop x.service: Interactive authentication required.",
    ] {
        write("down", complaint);
        let Looked::Unclear(why) = way::look(&host, &spec).await else { panic!() };
        said.push(why);
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    systemd does not run on this host, or not for this user: set `method = "timeout"` in `[site.launcher]`
    `sudo` on this host asks for a password: allow this user `sudo` without one, or set `method = "timeout"` in `[site.launcher]`
    systemd on this host is closed to this user: set `sudo = true` or `method = "timeout"` in `[site.launcher]`
    "#);
}

#[tokio::test]
async fn a_host_without_systemd_is_seen_and_its_programs_are_held_by_timeout() {
    let place = Place::new(SshMethod::Auto);
    let host = place.host();
    if Path::new("/run/systemd/system").exists() {
        println!("systemd runs here: not tried");
        return;
    }
    let spec = place.spec(10, "sleep 600; true");
    assert!(matches!(start(&host, &spec, HALF).await, Applied::Applied(_)));
    assert!(Path::new(&format!("/tmp/{}", spec.marker)).exists());
    assert_eq!(host.stop(&spec.marker.to_string()).await, Undone::Sent);
    assert!(host.validate().await.iter().all(|check| check.found.is_ok()));
}

#[test]
fn a_plan_says_what_gives_it_an_end_and_what_removes_it() {
    let place = Place::new(SshMethod::Auto);
    let mut host = place.host();
    host.transport = Transport::over(
        crate::ssh::Ssh {
            whose: crate::ssh::Whose::Operator { home: "/".into() },
            variables: crate::process::Variables::new(),
            dir: "/".into(),
        },
        SshDestination { port: Some(2222), ..place.settings.destination.clone() },
        &Waits::default(),
    );
    let by_hand: Vec<_> = host.by_hand("bg-NAME").iter().map(|words| words.join(" ")).collect();
    insta::assert_snapshot!(format!("{}\n{}", host.expires("16:40 UTC"), by_hand.join("\n")), @r"
    systemd, or `timeout` where there is none, on here:2222 ends it at 16:40 UTC, which cannot be moved later
    ssh -p 2222 here systemctl stop bg-NAME.service
    ssh -p 2222 here pkill -f '[B]REAKGLASS_LAUNCH=bg-NAME'
    ssh -p 2222 here rm -rf /tmp/bg-NAME
    ");
}
