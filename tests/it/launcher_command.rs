//! The launcher of one's own commands, with every way in which a command can be bad.

use breakglass::domain::launcher::{CommandLauncher, LauncherSettings};
use breakglass::launcher::Launcher as _;
use breakglass::session::{Applied, Looked, Undone};
use tokio::time::Duration;

use crate::support::launching::{CANARY, Place, installation, launch, now, secrets};

/// A start that keeps what it is given, and a name a file.
const START: &str = r#"
env | grep ^BREAKGLASS_ | sort >"$STATE/given"
echo "$0 $*" >>"$STATE/words"
cat >"$STATE/read"
echo started >>"$STATE/starts"
mkdir -p "$STATE/run"
touch "$STATE/run/$BREAKGLASS_NAME"
echo i-42
"#;
const LOOK: &str = r#"[ -e "$STATE/run/$BREAKGLASS_NAME" ] || exit 3; echo i-42"#;
const STOP: &str =
    r#"echo "$BREAKGLASS_ID" >"$STATE/stopped"; rm -f "$STATE/run/$BREAKGLASS_NAME""#;
const LOGS: &str = r#"cat "$STATE/read"; echo last line of "$BREAKGLASS_ID""#;
const LIST: &str = r#"echo "$BREAKGLASS_PREFIX" >"$STATE/prefix"; ls "$STATE/run"; echo bg-zzzzzz-00000000-00000000; echo other"#;

fn place(start: &str) -> (Place, LauncherSettings) {
    let place = Place::new();
    let command = |name: &str, text: &str| vec![place.script(name, text), "a b".to_owned()];
    let settings = LauncherSettings::Command(CommandLauncher {
        start: command("start", start),
        stop: command("stop", STOP),
        look: command("look", LOOK),
        logs: Some(command("logs", LOGS)),
        list: Some(command("list", LIST)),
    });
    (place, settings)
}

async fn refusal(start: &str, number: u8) -> String {
    let (place, settings) = place(start);
    let (launchers, launch) = (place.launchers(), launch(settings, number));
    let Applied::Refused(why) = launchers.start(&launch, &secrets(), now()).await else {
        panic!("it is not refused");
    };
    assert_eq!(launchers.look(&launch).await, Looked::Absent, "{why}");
    why
}

#[tokio::test]
async fn what_is_started_is_given_the_protocol_found_listed_and_stopped() {
    let (place, settings) = place(START);
    let (launchers, launch) = (place.launchers(), launch(settings.clone(), 1));
    let name = launch.spec.marker.to_string();
    let applied = launchers.start(&launch, &secrets(), now()).await;
    let Applied::Applied(Some(artifact)) = applied else { panic!("{applied:?}") };
    assert_eq!((artifact.kind.as_str(), &artifact.name), ("router", &name));
    assert_eq!(artifact.details, serde_json::json!({ "id": "i-42" }));
    insta::assert_snapshot!(place.read("given").replace(&name, "NAME"), @r#"
    BREAKGLASS_ARGUMENTS=["--verbose"]
    BREAKGLASS_DEADLINE=2025-11-20T16:40:00.000Z
    BREAKGLASS_DEADLINE_SECONDS=1800
    BREAKGLASS_ENVIRONMENT={"MODE":"plain $(HOME)"}
    BREAKGLASS_IMAGE=example/router:1
    BREAKGLASS_NAME=NAME
    BREAKGLASS_PROGRAM=[]
    BREAKGLASS_SCRATCH=["/var/lib/router"]
    BREAKGLASS_WHAT=router
    "#);
    assert_eq!(place.read("read"), format!("KEY={CANARY}\n"));
    assert!(!place.read("words").contains("vole"), "{}", place.read("words"));

    launchers.start(&launch, &secrets(), now()).await;
    assert_eq!(place.read("starts"), "started\n", "what runs is not started again");
    assert!(matches!(launchers.look(&launch).await, Looked::Found(_)));
    let logs = launchers.logs(&launch).await.unwrap();
    assert_eq!(logs, "KEY=[secret]\nlast line of i-42");
    let unknowing = place.launchers().logs(&launch).await;
    assert_eq!(
        unknowing.unwrap_err(),
        "what it says may hold a secret that this process does not know"
    );

    let listed = launchers.list(&settings, &installation()).await.unwrap();
    assert_eq!(listed.len(), 1, "nothing of another installation: {listed:?}");
    assert_eq!(listed[0].artifact.name, name);
    assert_eq!(launchers.remove(&settings, &listed[0]).await, Undone::Sent);
    assert_eq!(place.read("stopped"), "i-42\n");
    assert_eq!(launchers.look(&launch).await, Looked::Absent);
    assert_eq!(launchers.stop(&launch).await, Undone::Sent, "what is gone is gone");
}

#[tokio::test]
async fn a_command_that_lies_or_says_no_is_refused_and_nothing_of_it_runs() {
    let run = r#"mkdir -p "$STATE/run"; touch "$STATE/run/$BREAKGLASS_NAME";"#;
    let said = [
        refusal("read secret; echo no luck with $secret >&2; exit 3", 12).await,
        refusal(&format!("{run} head -c 1000000 /dev/zero | tr '\\0' x"), 13).await,
        refusal(&format!("{run} printf 'one\\ntwo'"), 14).await,
        refusal(&format!("{run} printf '\\033]52;c;x\\007'"), 15).await,
    ];
    insta::assert_snapshot!(said.join("\n"), @r"
    the `start` command failed: no luck with KEY=[secret]
    the `start` command printed no id but a lot of text; it was stopped
    the `start` command printed no id: it must be one line of plain characters; it was stopped
    the `start` command printed no id: it must be one line of plain characters; it was stopped
    ");
}

#[tokio::test]
async fn what_may_still_come_of_a_command_nobody_knows() {
    let mut said = vec![];
    for (number, start) in
        ["exit 0", "echo timed out >&2; exit 7", "kill -KILL $$"].iter().enumerate()
    {
        let (place, settings) = place(start);
        let launch = launch(settings, 16 + u8::try_from(number).unwrap());
        let Applied::Unknown(why) = place.launchers().start(&launch, &secrets(), now()).await
        else {
            panic!("{start} is not unknown")
        };
        said.push(why);
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    the router was started, it is said, and it does not run: last line of
    the `start` command failed: timed out
    the `start` command failed: ended by a signal
    ");
}

#[tokio::test]
async fn a_command_that_forks_and_holds_its_output_holds_up_nobody() {
    let (place, settings) = place(&format!("{START}\nsleep 5 &"));
    let (launchers, launch) = (place.launchers(), launch(settings, 21));
    let applied = launchers.start(&launch, &secrets(), now()).await;
    assert!(matches!(applied, Applied::Applied(_)), "{applied:?}");
}

#[tokio::test]
async fn what_a_command_that_hangs_has_done_nobody_knows() {
    let (place, settings) = place(r#"touch "$STATE/hangs"; exec sleep 600"#);
    let (launchers, launch) = (place.launchers(), launch(settings, 31));
    let secrets = secrets();
    let late = async {
        place.until("hangs").await;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(31)).await;
        tokio::time::resume();
    };
    let (applied, ()) = tokio::join!(launchers.start(&launch, &secrets, now()), late);
    let Applied::Unknown(why) = applied else { panic!("{applied:?}") };
    assert!(why.ends_with("did not end within 30s"), "{why}");
}

#[tokio::test]
async fn a_look_that_says_nothing_is_unclear_and_nothing_is_started() {
    let (place, settings) = place(START);
    place.script("look", "echo KEY is gone >&2; exit 1");
    let (launchers, launch) = (place.launchers(), launch(settings.clone(), 41));
    let said = launchers.look(&launch).await;
    let why = "the `look` command says neither 0 nor 3: KEY is gone".to_owned();
    assert_eq!(said, Looked::Unclear(why.clone()));
    let applied = launchers.start(&launch, &secrets(), now()).await;
    assert_eq!(applied, Applied::Refused(format!("cannot see whether it runs already: {why}")));
    assert_eq!(place.read("starts"), "");
    let probe = launchers.validate(&settings, now()).await;
    assert_eq!(probe.trouble(), Some(why.as_str()));
}

#[tokio::test]
async fn a_plan_says_what_gives_it_an_end_and_what_removes_it() {
    let (place, settings) = place(START);
    let launch = launch(settings, 51);
    let described = place.launchers().describe(&launch.launcher, &launch.spec);
    let start = place.path("bin/start");
    let stop = place.path("bin/stop").to_string_lossy().into_owned();
    let expires = described.expires.replace(&*start.to_string_lossy(), "START");
    assert_eq!(expires, "`START` was told to end it at 16:40 UTC, which cannot be moved later");
    let named = format!("BREAKGLASS_NAME={}", launch.spec.marker);
    assert_eq!(described.by_hand, [["env", &named, &stop, "a b"]]);
}

#[tokio::test]
async fn without_a_list_command_it_is_said_that_nobody_knows() {
    let (place, settings) = place(START);
    let LauncherSettings::Command(mut commands) = settings else { panic!() };
    commands.list = None;
    let settings = LauncherSettings::Command(commands);
    let launchers = place.launchers();
    let why = launchers.list(&settings, &installation()).await.unwrap_err();
    insta::assert_snapshot!(why, @"there is no `list` command, so nobody knows what was left behind there; give `list` in `[site.launcher]`");
    let probe = launchers.validate(&settings, now()).await;
    assert!(probe.is_healthy(), "{probe:?}");
}
