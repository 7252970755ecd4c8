//! Whatever goes wrong in a site, a launcher leaves nothing behind there: the real launchers, with
//! programs that fail at the n-th run, and with programs that talk to a server that does.

use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use breakglass::domain::artifact::Artifact;
use breakglass::domain::launcher::{
    CommandLauncher, ContainerEngine, ContainerLauncher, KubernetesLauncher, Launch,
    LauncherSettings, SshLauncher, SshMethod,
};
use breakglass::domain::ssh::SshDestination;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::launcher::kinds::Launchers;
use breakglass::launcher::{Launcher as _, Waits};
use breakglass::session::{Applied, Looked, PlannedStep, Undone};

use crate::support::cluster;
use crate::support::faulty_programs::FaultyPrograms;
use crate::support::faulty_server::FaultyServer;
use crate::support::launching::{Place, launch, now, secrets};
use crate::support::leaves_nothing::{
    Carries, Extent, FarSide, Fixture, assert_leaves_nothing_behind,
};
use crate::support::plans::{SETTLE, check, step};
use crate::support::shelf::Shelf;

/// Programs of files are quick; one that takes longer hangs.
const QUICK: Waits = Waits {
    longest: Span::from_millis(1_500),
    pauses: [Span::from_millis(1), Span::from_millis(5), Span::from_millis(20)],
};
/// Where real processes are started, each walk takes a while.
const SOME: Extent = Extent { step_by: 7, pairs_by: 997, at_once: 12 };
const ALL: Extent = Extent { step_by: 1, pairs_by: 211, at_once: 12 };
const SINGLE: Extent = Extent { pairs_by: 0, ..ALL };

/// A launcher with the one thing that it starts.
struct Starts {
    launchers: Launchers,
    launch: Launch,
}

impl Starts {
    fn new(place: &Place, settings: LauncherSettings, number: u8) -> Self {
        Self { launchers: place.waiting(QUICK), launch: launch(settings, number) }
    }
}

#[async_trait]
impl Carries for Starts {
    async fn apply(&self, step: &PlannedStep) -> Applied {
        match step.leaves {
            Some(_) => self.launchers.start(&self.launch, &secrets(), now()).await,
            None => Applied::Applied(None),
        }
    }

    async fn look(&self, step: &PlannedStep, _: Option<&Artifact>) -> Looked {
        match step.leaves {
            Some(_) => self.launchers.look(&self.launch).await,
            None => Looked::Absent,
        }
    }

    async fn undo(&self, step: &PlannedStep, _: Option<&Artifact>) -> Undone {
        match step.leaves {
            Some(_) => self.launchers.stop(&self.launch).await,
            None => Undone::Sent,
        }
    }
}

fn plan() -> Vec<PlannedStep> {
    vec![PlannedStep { settle: SETTLE, ..step("router", &[]) }, check(&[0])]
}

fn of_programs(programs: FaultyPrograms, settings: LauncherSettings, number: u8) -> Fixture {
    let carrier = Box::new(Starts::new(&programs.place, settings, number));
    Fixture { far: Box::new(programs), carrier, plan: plan() }
}

fn nothing_else(_: &Place) -> Vec<String> {
    vec![]
}

/// Says how a call to the server ended, in one file: `call METHOD PATH`.
const CALL: &str = r#"exec bash -c '
exec 3<>/dev/tcp/127.0.0.1/$(<"$STATE/port") || exit 9
printf "%s %s HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n" "$1" "$2" >&3
answer=$(timeout 0.3 head -c 20000 <&3) || exit 9
[[ $answer =~ ^HTTP/1.1\ ([0-9]+).*content-length:\ ([0-9]+) ]] || exit 9
status=${BASH_REMATCH[1]} length=${BASH_REMATCH[2]} body=${answer#*$'\''\r\n\r\n'\''}
[ "${#body}" = "$length" ] || exit 9
echo "$body"
case $status in 2??) exit 0 ;; 404) exit 4 ;; 4??) exit 3 ;; *) exit 9 ;; esac
' call "$@""#;

/// Commands that keep what they start on the shelf of a server.
async fn commands() -> (FaultyServer, Place, LauncherSettings) {
    let server = FaultyServer::start(Box::<Shelf>::default()).await;
    let place = Place::new();
    place.write("port", server.url.rsplit(':').next().unwrap());
    place.script("call", CALL);
    let command = |name: &str, text: &str| vec![place.script(name, text)];
    let settings = LauncherSettings::Command(CommandLauncher {
        start: command(
            "start",
            r#"call PUT "/things/$BREAKGLASS_NAME" >/dev/null || exit; echo i"#,
        ),
        look: command(
            "look",
            r#"listed=$(call GET /things/) || exit 1
            case $listed in
            *"\"$BREAKGLASS_NAME\""*) exit 0 ;;
            '{"things":['*']}') exit 3 ;;
            *) exit 1 ;;
            esac"#,
        ),
        stop: command(
            "stop",
            r#"call DELETE "/things/$BREAKGLASS_NAME"; code=$?; [ $code = 4 ] && exit 0; exit $code"#,
        ),
        logs: None,
        list: None,
    });
    (server, place, settings)
}

/// Keeps the scripts as long as the server.
struct Beside<F>(F, #[expect(dead_code, reason = "it goes with the server")] Place);

impl<F: FarSide> FarSide for Beside<F> {
    fn faults(&self) -> Vec<String> {
        self.0.faults()
    }

    fn arm(&self, wrong: &[(usize, usize)], late: Timestamp) {
        self.0.arm(wrong, late);
    }

    fn calls(&self) -> usize {
        self.0.calls()
    }

    fn left(&self) -> Vec<String> {
        self.0.left()
    }

    fn advance(&self, now: Timestamp) {
        self.0.advance(now);
    }
}

#[tokio::test]
async fn commands_of_ones_own_leave_nothing_on_a_server() {
    let fresh = || async {
        let (server, place, settings) = commands().await;
        let carrier = Box::new(Starts::new(&place, settings, 101));
        Fixture { far: Box::new(Beside(server, place)), carrier, plan: plan() }
    };
    assert_leaves_nothing_behind("command", fresh, ALL).await;
}

#[tokio::test]
async fn commands_of_ones_own_leave_nothing_however_they_end() {
    let fresh = || async {
        let programs = FaultyPrograms::new("no", "timed out", Box::new(nothing_else));
        let command = |name: &str, act: &str| vec![programs.fake(name, act)];
        let settings = LauncherSettings::Command(CommandLauncher {
            start: command("start", r#"touch "$STATE/$where/$BREAKGLASS_NAME"; echo i"#),
            look: command("look", r#"[ -e "$STATE/there/$BREAKGLASS_NAME" ] || exit 3"#),
            stop: command("stop", r#"rm -f "$STATE/there/$BREAKGLASS_NAME""#),
            logs: None,
            list: None,
        });
        of_programs(programs, settings, 102)
    };
    assert_leaves_nothing_behind("command, run by run", fresh, ALL).await;
}

/// A container engine of files.
const ENGINE: &str = r#"
case $1 in
ps) for file in "$STATE"/there/*; do
        [ -e "$file" ] || continue
        echo "${file##*/} running"
    done ;;
run) cat >/dev/null; touch "$STATE/$where/$4" ;;
rm) [ -e "$STATE/there/$3" ] || { echo "Error: no such container: $3" >&2; return 1; }
    rm -f "$STATE/there/$3" ;;
esac
"#;

fn podman() -> FaultyPrograms {
    let trouble = "error during connect: Post \"http://x/containers/create\": EOF";
    let refusal = "Error response from daemon: pull access denied";
    let programs = FaultyPrograms::new(refusal, trouble, Box::new(nothing_else));
    programs.fake("podman", ENGINE);
    programs
}

#[tokio::test]
async fn containers_leave_nothing() {
    let fresh = || async {
        let programs = podman();
        let engine = ContainerEngine::Podman;
        let settings = ContainerLauncher { engine, over: None, sudo: false };
        of_programs(programs, LauncherSettings::Container(settings), 103)
    };
    assert_leaves_nothing_behind("podman", fresh, ALL).await;
}

/// Nothing of these names is left among the processes and in `/tmp`.
fn marked(name: &str) -> Vec<String> {
    // Not every word that names it: a look that was just killed may still be on its way out.
    let found = ["LAUNCH", "HOLD"].map(|what| format!("BREAKGLASS_{what}={name}"));
    let found = found.iter().flat_map(|mark| breakglass::process::find(mark).unwrap());
    let folder = std::path::Path::new("/tmp").join(name);
    let mut left: Vec<_> = found.map(|it| format!("process {}", it.pid)).collect();
    left.extend(folder.exists().then(|| folder.display().to_string()));
    left
}

/// A number for the mark of something that is really started: no two walks share one.
fn number() -> u8 {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    128 + NEXT.fetch_add(1, Ordering::Relaxed) % 128
}

fn name_of(number: u8) -> String {
    let settings = LauncherSettings::Container(docker());
    launch(settings, number).spec.marker.to_string()
}

fn docker() -> ContainerLauncher {
    ContainerLauncher { engine: ContainerEngine::Docker, over: None, sudo: false }
}

#[tokio::test]
async fn containers_with_a_timer_leave_nothing() {
    let fresh = || async {
        let number = number();
        let name = name_of(number);
        let trouble = "error during connect: Post \"http://x/containers/create\": EOF";
        let left = move |_: &Place| marked(&name);
        let programs = FaultyPrograms::new("no such image", trouble, Box::new(left));
        programs.fake("docker", ENGINE);
        of_programs(programs, LauncherSettings::Container(docker()), number)
    };
    assert_leaves_nothing_behind("docker", fresh, SOME).await;
}

/// A cluster of files: a Job, and a Secret that goes with it.
const CLUSTER: &str = r#"
case $* in
*" get "*)
    printf '{"items":['
    [ -e "$STATE/there/job" ] && printf '{"kind":"Job","metadata":{}}'
    [ -e "$STATE/there/job" ] && [ -e "$STATE/there/secret" ] && printf ,
    [ -e "$STATE/there/secret" ] && printf '{"kind":"Secret"}'
    echo ']}' ;;
*" create "*) manifest=$(cat)
    case $manifest in
    *'"kind":"Secret"'*) made=secret ;;
    *) made=job ;;
    esac
    if [ -e "$STATE/there/$made" ]; then
        echo 'Error from server (AlreadyExists): it is there' >&2
        return 1
    fi
    touch "$STATE/$where/$made"
    echo '{"metadata":{"uid":"u-1"}}' ;;
*" delete "*) rm -f "$STATE/there/job" "$STATE/there/secret" ;;
esac
"#;

#[tokio::test]
async fn jobs_leave_nothing() {
    let fresh = || async {
        let trouble = "Unable to connect to the server: net/http: TLS handshake timeout";
        let refusal = "Error from server (Forbidden): not here";
        let programs = FaultyPrograms::new(refusal, trouble, Box::new(nothing_else));
        programs.fake("kubectl", CLUSTER);
        let settings = LauncherSettings::Kubernetes(KubernetesLauncher {
            context: None,
            namespace: "net".to_owned(),
            kubeconfig: None,
        });
        of_programs(programs, settings, 104)
    };
    assert_leaves_nothing_behind("kubernetes", fresh, ALL).await;
}

/// An `ssh` whose host is this one. Its log says what the real one's would.
const SSH: &str = r#"
log= line=
while [ $# -gt 0 ]; do
    [ "$1" = -E ] && log=$2
    line=$1
    shift
done
export where XDG_RUNTIME_DIR="$STATE/user"
echo "debug1: Sending command: x" >>"$log"
sh -c "$line"
code=$?
case $fault in
none | garbage | html | huge | cut | well-*)
    echo "debug1: client_input_channel_req: channel 0 rtype exit-status reply 0" >>"$log" ;;
esac
return $code
"#;

/// A manager of units that are files.
const RUN_UNIT: &str = r#"
for word; do
    case $word in --unit=*) touch "$STATE/$where/${word#--unit=}.service" ;; esac
done
"#;
const UNITS: &str = r#"
for unit; do :; done
case $2 in
show) if [ -e "$STATE/there/$unit" ]; then
        printf 'LoadState=loaded\nActiveState=active\n'
    else
        printf 'LoadState=not-found\nActiveState=inactive\n'
    fi ;;
stop) [ -e "$STATE/there/$unit" ] || exit 5
    rm "$STATE/there/$unit" ;;
esac
"#;

fn on_a_host(programs: FaultyPrograms, method: SshMethod, number: u8) -> Fixture {
    programs.fake("ssh", SSH);
    let destination = SshDestination::new("edge".parse().unwrap());
    let settings = LauncherSettings::Ssh(SshLauncher { destination, method, sudo: false });
    let mut carrier = Box::new(Starts::new(&programs.place, settings, number));
    carrier.launch.spec.program = ["sleep", "600"].map(ToOwned::to_owned).into();
    carrier.launch.spec.scratch = vec![];
    Fixture { far: Box::new(programs), carrier, plan: plan() }
}

/// What lies in folders of a place, by their names.
fn files(place: &Place, folders: &[&str]) -> Vec<String> {
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(place.path(folder)));
    files.flatten().map(|file| file.unwrap().path().display().to_string()).collect()
}

#[tokio::test]
async fn units_on_a_host_leave_nothing() {
    let fresh = || async {
        let left = |place: &Place| files(place, &["user/breakglass", "ssh"]);
        let programs = FaultyPrograms::new("no", "it is gone", Box::new(left));
        programs.place.script("systemd-run", RUN_UNIT);
        programs.place.script("systemctl", UNITS);
        on_a_host(programs, SshMethod::SystemdUser, 105)
    };
    assert_leaves_nothing_behind("ssh, systemd", fresh, ALL).await;
}

#[tokio::test]
async fn programs_on_a_host_without_systemd_leave_nothing() {
    let fresh = || async {
        let number = number();
        let name = name_of(number);
        let left = move |place: &Place| [marked(&name), files(place, &["ssh"])].concat();
        let programs = FaultyPrograms::new("no", "it is gone", Box::new(left)).never_late();
        on_a_host(programs, SshMethod::Timeout, number)
    };
    assert_leaves_nothing_behind("ssh, timeout", fresh, SOME).await;
}

/// The real `kubectl` takes its time.
const REAL: Extent = Extent { step_by: 41, pairs_by: 0, at_once: 4 };

#[tokio::test]
async fn jobs_made_by_the_real_kubectl_leave_nothing_in_a_cluster() {
    let kubectl = std::path::Path::new("/usr/bin/kubectl");
    if !kubectl.exists() {
        println!("{} is not installed: not tried", kubectl.display());
        return;
    }
    let fresh = || async {
        let server = FaultyServer::start(Box::<cluster::Inner>::default()).await;
        let place = Place::new();
        place.write("kubeconfig", &cluster::kubeconfig(&server.url));
        let settings = LauncherSettings::Kubernetes(KubernetesLauncher {
            context: None,
            namespace: "net".to_owned(),
            kubeconfig: Some(place.path("kubeconfig")),
        });
        let mut carrier = Box::new(Starts::new(&place, settings, 107));
        let longest = Span::from_seconds(4);
        carrier.launchers = place.waiting(Waits { longest, ..QUICK });
        Fixture { far: Box::new(Beside(server, place)), carrier, plan: plan() }
    };
    assert_leaves_nothing_behind("kubectl", fresh, REAL).await;
}

/// One that takes whatever is not known for a refusal.
struct Careless(Starts);

#[async_trait]
impl Carries for Careless {
    async fn apply(&self, step: &PlannedStep) -> Applied {
        match self.0.apply(step).await {
            Applied::Unknown(why) => Applied::Refused(why),
            known => known,
        }
    }

    async fn look(&self, step: &PlannedStep, known: Option<&Artifact>) -> Looked {
        self.0.look(step, known).await
    }

    async fn undo(&self, step: &PlannedStep, known: Option<&Artifact>) -> Undone {
        self.0.undo(step, known).await
    }
}

#[tokio::test]
#[should_panic(expected = "it is killed, and it is done later: something is left")]
async fn a_launcher_that_takes_a_killed_program_for_a_refusal_is_found_out() {
    let fresh = || async {
        let programs = podman();
        let settings = LauncherSettings::Container(ContainerLauncher {
            engine: ContainerEngine::Podman,
            ..docker()
        });
        let carrier = Box::new(Careless(Starts::new(&programs.place, settings, 106)));
        Fixture { far: Box::new(programs), carrier, plan: plan() }
    };
    assert_leaves_nothing_behind("careless", fresh, SINGLE).await;
}
