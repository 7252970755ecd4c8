//! The launcher of Jobs, with a fake of `kubectl`, and with the real one where it is installed
//! (`support/cluster.rs` is the cluster).

use breakglass::domain::launcher::{KubernetesLauncher, LauncherSettings};
use breakglass::launcher::Launcher as _;
use breakglass::session::{Applied, Looked, Undone};

use crate::support::cluster::Cluster;
use crate::support::launching::{CANARY, Place, installation, launch, now, secrets};

fn settings(kubeconfig: Option<std::path::PathBuf>) -> LauncherSettings {
    LauncherSettings::Kubernetes(KubernetesLauncher {
        context: None,
        namespace: "net".to_owned(),
        kubeconfig,
    })
}

/// Where the real one is; it may be linked into a place's `PATH`.
const REAL: &str = "/usr/bin/kubectl";

#[tokio::test]
async fn real_kubectl_makes_a_job_with_a_secret_of_its_own_and_takes_both_away() {
    if !std::path::Path::new(REAL).exists() {
        println!("{REAL} is not installed: not tried");
        return;
    }
    let (place, cluster) = (Place::new(), Cluster::start().await);
    place.write("kubeconfig", &cluster.kubeconfig());
    let settings = settings(Some(place.path("kubeconfig")));
    let (launchers, launch) = (place.launchers(), launch(settings.clone(), 71));
    let name = launch.spec.marker.to_string();
    assert_eq!(launchers.look(&launch).await, Looked::Absent);
    let applied = launchers.start(&launch, &secrets(), now()).await;
    assert!(matches!(applied, Applied::Applied(Some(_))), "{applied:?}");
    let secret = cluster.object("secrets", &name);
    assert_eq!(secret["stringData"]["KEY"], CANARY);
    assert_eq!(secret["immutable"], true);
    let job = cluster.object("jobs", &name);
    assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], job["metadata"]["uid"]);
    assert!(!job.to_string().contains("vole"), "{job}");
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 1_800);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["env"][0]["value"], "plain $$(HOME)", "nothing is put in its place");

    launchers.start(&launch, &secrets(), now()).await;
    assert_eq!(cluster.count("POST"), 2, "what runs is not started again");
    let listed = launchers.list(&settings, &installation()).await.unwrap();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(launchers.stop(&launch).await, Undone::Sent);
    assert_eq!(launchers.look(&launch).await, Looked::Absent);
    assert_eq!(launchers.stop(&launch).await, Undone::Sent, "what is gone is gone");

    cluster.stop();
    assert!(matches!(launchers.look(&launch).await, Looked::Unclear(_)));
}

/// A cluster that creates a Job, and no Secret.
const FAKE: &str = r#"
printf '%s\n' "$@" -- >>"$STATE/words"
case $* in
*" can-i "*) case $* in *secrets*) echo no; exit 1 ;; *) echo yes ;; esac ;;
*" get "*) if [ -e "$STATE/job" ]; then echo '{"items":[{"kind":"Job"}]}'; else echo '{"items":[]}'; fi ;;
*" create "*) manifest=$(cat)
    case $manifest in
    *Secret*) cat "$STATE/refuses" >&2; exit 1 ;;
    *) touch "$STATE/job"; echo '{"metadata":{"uid":"u-1"}}' ;;
    esac ;;
*" delete "*) rm -f "$STATE/job" ;;
esac
"#;

#[tokio::test]
async fn a_job_whose_secret_is_refused_is_taken_away_again() {
    let place = Place::new();
    place.script("kubectl", FAKE);
    let (launchers, launch) = (place.launchers(), launch(settings(None), 72));
    place.write("refuses", &format!("Error from server (Forbidden): no {CANARY} here"));
    let refused = launchers.start(&launch, &secrets(), now()).await;
    let why = "the cluster forbids it: Error from server (Forbidden): no [secret] here";
    assert_eq!(refused, Applied::Refused(why.to_owned()));
    assert_eq!(launchers.look(&launch).await, Looked::Absent);
    assert!(!place.read("words").contains("vole"));
    place.write("refuses", "Unable to connect to the server: net/http: TLS handshake timeout");
    let unknown = launchers.start(&launch, &secrets(), now()).await;
    assert!(matches!(unknown, Applied::Unknown(_)), "{unknown:?}");
}

#[tokio::test]
async fn what_is_not_allowed_is_told_right_by_right() {
    let place = Place::new();
    place.script("kubectl", FAKE);
    let probe = place.launchers().validate(&settings(None), now()).await;
    let wrong: Vec<_> = probe.wrong(true).map(|(name, why)| format!("{name}: {why}")).collect();
    insta::assert_snapshot!(wrong.join("\n"), @r"
    create secrets: not allowed in namespace net: give a Role with `create` on `secrets`
    list secrets: not allowed in namespace net: give a Role with `list` on `secrets`
    delete secrets: not allowed in namespace net: give a Role with `delete` on `secrets`
    ");
}
