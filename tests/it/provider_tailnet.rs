//! What a session on a tailnet meets besides a server that fails: other routes, other people, and
//! rules of the tailnet that are against it.

use std::path::Path;
use std::sync::Arc;

use breakglass::domain::time::Span;
use breakglass::provider::pace::HostPace;
use breakglass::provider::tailscale::Tailscale;
use breakglass::provider::{Provider as _, Told};
use breakglass::session::{Applied, Looked, PlannedStep, Undone};

use crate::support::faulty_server::Model as _;
use crate::support::hurry::Hurry;
use crate::support::leaves_nothing::Carries as _;
use crate::support::orders::order;
use crate::support::plans::START;
use crate::support::tailnet::around::{Played, TAGS, Wish, numbers};
use crate::support::tailnet::{HeadscaleVersion, Mishap, Odd, Tailnet, TailnetServer};
use crate::support::tls_server::TlsServer;

/// A tailnet on loopback, and one session.
struct Stand {
    server: TailnetServer,
    key: String,
    played: Played,
    _dir: tempfile::TempDir,
}

const SCOPES: [&str; 4] = ["auth_keys", "devices:core", "devices:routes", "policy_file"];
const RUNBOOK: &str = include_str!("../../docs/RUNBOOK.md");
const OWN: &str = "10.20.0.7/32";

impl Stand {
    async fn new(prepare: impl FnOnce(&mut Tailnet)) -> Self {
        Self::of(prepare, |tailnet| tailnet.api_token("ann@example.com"), |wish| wish).await
    }

    async fn editing(prepare: impl FnOnce(&mut Tailnet)) -> Self {
        let key = |tailnet: &mut Tailnet| tailnet.api_token("ann@example.com");
        Self::of(prepare, key, |wish| Wish { edit_policy: true, ..wish }).await
    }

    async fn of(
        prepare: impl FnOnce(&mut Tailnet),
        key: impl FnOnce(&mut Tailnet) -> String,
        wish: impl FnOnce(Wish) -> Wish,
    ) -> Self {
        let mut tailnet = Tailnet::new(START);
        tailnet.write_policy(TAGS);
        prepare(&mut tailnet);
        let key = key(&mut tailnet);
        tailnet.settle();
        let server = TailnetServer::start(tailnet).await;
        let pace = Hurry::new(&server.model);
        let dir = tempfile::Builder::new().prefix("bg").tempdir_in("/tmp").unwrap();
        let wish = wish(Wish::new(&server.url, &key));
        let played = Played::new(wish, &server.model, &pace, dir.path(), order([7; 10]));
        Self { server, key, played, _dir: dir }
    }

    /// Nothing is left anywhere.
    fn is_clean(&self) {
        assert_eq!(self.played.left(), Vec::<String>::new());
        assert_eq!(self.server.with(|tailnet| tailnet.left()), Vec::<String>::new());
    }

    fn enabled(&self) -> Vec<String> {
        let router = self.played.router().unwrap();
        self.server.with(|tailnet| tailnet.device(&router).unwrap().enabled.clone())
    }
}

/// Makes the steps one after another, up to and with the one that does this.
async fn open_to(played: &Played, last: &str) -> Applied {
    let (plan, numbers) = (played.plan(), numbers(&played.plan()));
    for (number, step) in plan.iter().enumerate().take(numbers[last] + 1) {
        let applied = played.apply(step).await;
        match applied {
            Applied::Applied(artifact) => played.note(number, artifact),
            other if number == numbers[last] => return other,
            other => panic!("`{}`: {other:?}", step.label),
        }
    }
    Applied::Applied(None)
}

async fn open(played: &Played) {
    assert_eq!(open_to(played, "check").await, Applied::Applied(None));
}

/// Makes all steps but one, and then that.
async fn open_until(played: &Played, last: &str) {
    let before = played.plan();
    let number = numbers(&before)[last];
    for (number, step) in before.iter().enumerate().take(number) {
        match played.apply(step).await {
            Applied::Applied(artifact) => played.note(number, artifact),
            other => panic!("`{}`: {other:?}", step.label),
        }
    }
}

async fn make(played: &Played, what: &str) -> Applied {
    let plan = played.plan();
    played.apply(&plan[numbers(&plan)[what]]).await
}

/// Makes one step; as soon as it waits for the first time, something else happens.
async fn make_meanwhile(played: &Played, what: &str, happens: impl FnOnce()) -> Applied {
    let mut making = std::pin::pin!(make(played, what));
    tokio::select! {
        applied = &mut making => panic!("it did not wait: {applied:?}"),
        () = played.pace.passes(Span::from_millis(1)) => happens(),
    }
    making.await
}

/// Takes every step back, in its order, and says which have trouble or are still there.
async fn end(played: &Played) -> Vec<String> {
    let plan = played.plan();
    let (mut left, mut trouble): (Vec<usize>, Vec<String>) = ((0..plan.len()).collect(), vec![]);
    while !left.is_empty() {
        let is_free = |number: &usize| {
            let after = after(&plan, *number);
            after.iter().all(|earlier| !left.contains(earlier))
        };
        let number = left.iter().copied().rev().find(is_free).unwrap();
        left.retain(|other| *other != number);
        let (step, known) = (&plan[number], played.made()[number].artifact.clone());
        if let Undone::Problem(why) = played.undo(step, known.as_ref()).await {
            trouble.push(format!("{}: {why}", step.label));
        } else if played.look(step, known.as_ref()).await != Looked::Absent {
            trouble.push(format!("{}: it is still there", step.label));
        }
    }
    trouble
}

/// What is taken back before a step.
fn after(plan: &[PlannedStep], number: usize) -> Vec<usize> {
    let needs = |step: &PlannedStep| step.needs.contains(&number);
    plan[number].undo_after.clone().unwrap_or_else(|| {
        plan.iter().enumerate().filter(|(_, step)| needs(step)).map(|(other, _)| other).collect()
    })
}

fn refusal(applied: Applied) -> String {
    match applied {
        Applied::Refused(why) => why,
        other => panic!("not refused: {other:?}"),
    }
}

/// The route that a session has chosen.
fn chosen(played: &Played) -> String {
    let artifact = played.made()[0].artifact.clone().unwrap();
    artifact.details["route"]["prefix"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_opens_and_ends_and_leaves_nothing() {
    let mut stand = Stand::new(|_| {}).await;
    stand.played = stand.played.waiting(Arc::new(HostPace));
    open(&stand.played).await;
    assert_eq!(stand.enabled(), [OWN]);
    let provider = stand.played.provider();
    provider.dial(&stand.played.made()).await.unwrap();
    // Each thing that a sweep could find has a name of its own: here, the router, the node's record.
    let action = &stand.played.plan()[0].action;
    let state =
        Path::new(action["folder"].as_str().unwrap()).join(action["name"].as_str().unwrap());
    std::fs::create_dir_all(state).unwrap();
    let listed = provider.list(&order([7; 10]).marker.installation).await.unwrap();
    let names: std::collections::BTreeSet<_> = listed.iter().map(|it| &it.artifact.name).collect();
    assert_eq!((listed.len(), names.len()), (3, 3), "{listed:?}");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_key_that_is_revoked_meanwhile_is_told_and_another_one_finishes() {
    let stand = Stand::new(|_| {}).await;
    open(&stand.played).await;
    let other = stand.server.with(|tailnet| {
        tailnet.revoke(&stand.key);
        tailnet.api_token("bob@example.com")
    });
    let trouble = end(&stand.played).await;
    assert!(trouble.iter().any(|line| line.contains("approve the route: ")), "{trouble:?}");
    assert!(trouble.iter().all(|line| !line.contains("start")), "{trouble:?}");
    assert_eq!(stand.played.left(), Vec::<String>::new(), "programs need no key to be ended");
    stand.played.wish.lock().unwrap().key = other;
    stand.played.died();
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    let left = stand.server.with(|tailnet| tailnet.left());
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn two_sessions_to_one_address_never_share_a_route() {
    let stand = Stand::new(|_| {}).await;
    let other = Played::beside(&stand.played, order([8; 10]));
    open_to(&stand.played, "choose-route").await;
    open_to(&other, "choose-route").await;
    assert_eq!(chosen(&stand.played), OWN);
    assert!(chosen(&other).starts_with("fd7a:115c:a1e0:b1a:0:"), "{}", chosen(&other));
    assert_eq!(end(&other).await, Vec::<String>::new());

    open(&stand.played).await;
    open(&other).await;
    assert_ne!(chosen(&other), OWN);
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    other.provider().dial(&other.made()).await.unwrap();
    assert_eq!(end(&other).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_route_that_another_node_has_got_meanwhile_is_given_up() {
    let stand = Stand::new(|_| {}).await;
    open_until(&stand.played, "approve-route").await;
    stand.server.with(|tailnet| {
        tailnet.resident("old", &[], &[OWN]);
    });
    let why = refusal(make(&stand.played, "approve-route").await);
    assert_eq!(
        why,
        format!(
            "`old.tail0123.ts.net` serves `{OWN}` too, so that nobody could tell where it leads"
        )
    );
    assert_eq!(stand.enabled(), Vec::<String>::new(), "ours is taken back");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_wider_route_that_is_approved_by_itself_is_refused() {
    let approved = TAGS.replace(
        "\"acls\"",
        "\"autoApprovers\": { \"routes\": { \"10.0.0.0/8\": [\"tag:breakglass-router\"] } },\n  \"acls\"",
    );
    let mut stand = Stand::new(|tailnet| tailnet.write_policy(&approved)).await;
    stand.played.offers_at_once = false;
    open_until(&stand.played, "approve-route").await;
    let offers = || {
        let router = stand.played.router().unwrap();
        stand.server.with(|tailnet| tailnet.advertise(&router, &[OWN, "10.20.0.0/16"]));
    };
    let applied = make_meanwhile(&stand.played, "approve-route", offers).await;
    assert_eq!(
        refusal(applied),
        "the router was also allowed `10.20.0.0/16`, which was not asked for; see `autoApprovers` \
         in the policy file"
    );
    assert_eq!(stand.enabled(), Vec::<String>::new());
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_wider_route_that_was_approved_before_is_taken_back() {
    let approved = TAGS.replace(
        "\"acls\"",
        "\"autoApprovers\": { \"routes\": { \"10.0.0.0/8\": [\"tag:breakglass-router\"] } },\n  \"acls\"",
    );
    let mut stand = Stand::new(|tailnet| tailnet.write_policy(&approved)).await;
    stand.played.offers = vec!["10.20.0.0/16".to_owned()];
    open_until(&stand.played, "approve-route").await;
    assert_eq!(stand.enabled(), [OWN, "10.20.0.0/16"]);
    make(&stand.played, "approve-route").await;
    assert_eq!(stand.enabled(), [OWN]);
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_router_that_never_joins_is_given_up() {
    let mut stand = Stand::new(|_| {}).await;
    stand.played.joins = false;
    open_until(&stand.played, "await-router").await;
    let before = stand.server.calls();
    let given_up = make(&stand.played, "await-router").await;
    assert_eq!(given_up, Applied::Unknown("no answer in time".to_owned()));
    let asked = stand.server.calls() - before;
    assert!((30..=80).contains(&asked), "it is asked {asked} times in 120 s");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn tailnet_lock_keeps_a_router_out_and_nothing_is_signed() {
    let stand = Stand::new(|tailnet| tailnet.switches.lock_on = true).await;
    open_until(&stand.played, "await-router").await;
    let why = refusal(make(&stand.played, "await-router").await);
    assert_eq!(
        why,
        "tailnet lock keeps the router out (node key is not signed): sign its node key on a \
         trusted node (`tailscale lock sign`), or use another provider; nothing is signed by itself"
    );
    let nodes = stand.server.with(|tailnet| tailnet.nodes());
    assert_eq!(nodes, Vec::<String>::new(), "its node is out again");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_client_that_does_not_own_the_tags_is_told_how_it_would() {
    let key = |tailnet: &mut Tailnet| tailnet.oauth_client(&SCOPES, &["tag:other"]);
    let others = TAGS.replace("\"tag:admin\": [", "\"tag:other\": [], \"tag:admin\": [");
    let stand = Stand::of(|tailnet| tailnet.write_policy(&others), key, |wish| wish).await;
    open_until(&stand.played, "router-key").await;
    let why = refusal(make(&stand.played, "router-key").await);
    insta::assert_snapshot!(why.replace(&stand.server.url, "URL"), @r#"`URL` does not let this key give the tags `tag:breakglass-router` (it says `requested tags [tag:breakglass-router] are invalid or not permitted`); an OAuth client may give exactly the set of tags that it has itself, or tags which those own: give the client one tag, such as `tag:breakglass-admin`, and name it in the policy file as the owner of each tag above, as in `"tagOwners": {"tag:breakglass-router": ["tag:breakglass-admin"]}`; a tag that stands nowhere under `tagOwners` is refused to everybody"#);
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_policy_file_that_is_kept_elsewhere_is_not_touched() {
    let kept = "https://git.example.com/policy";
    let stand =
        Stand::editing(|tailnet| tailnet.switches.policy_kept_at = Some(kept.to_owned())).await;
    open_until(&stand.played, "edit-policy").await;
    let why = refusal(make(&stand.played, "edit-policy").await);
    assert!(why.starts_with(&format!("the policy file is kept in {kept}, and an edit")), "{why}");
    assert_eq!(stand.server.with(|tailnet| tailnet.count("POST", "/acl")), 0);
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn an_edit_of_somebody_else_in_between_stays_and_ours_goes() {
    let stand = Stand::editing(|_| {}).await;
    let theirs = TAGS.replace("// Ours.", "// Ours, and theirs.");
    open_until(&stand.played, "edit-policy").await;
    stand.server.with(|tailnet| {
        // It is validated, and then written.
        tailnet.mishap(Mishap::on("POST", "/acl", Odd::Bare));
        tailnet.mishap(Mishap::on("POST", "/acl", Odd::Refuses(412)));
    });
    let writes = || stand.server.with(|tailnet| tailnet.write_policy(&theirs));
    let applied = make_meanwhile(&stand.played, "edit-policy", writes).await;
    let Applied::Applied(artifact) = applied else { panic!("{applied:?}") };
    stand.played.note(1, artifact);
    let edited = stand.server.with(|tailnet| tailnet.policy_text().to_owned());
    assert!(edited.starts_with("// Ours, and theirs.") && edited.len() > theirs.len(), "{edited}");

    let later = edited.replace("// for incidents", "// for incidents and drills");
    stand.server.with(|tailnet| tailnet.write_policy(&later));
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    let wanted = theirs.replace("// for incidents", "// for incidents and drills");
    assert_eq!(stand.server.with(|tailnet| tailnet.policy_text().to_owned()), wanted);
}

#[tokio::test]
async fn a_stale_route_in_the_way_is_gone_around() {
    let stale = |tailnet: &mut Tailnet| {
        let node = tailnet.resident("old", &[], &["10.20.0.0/24"]);
        tailnet.go_offline(&node);
    };
    let stand = Stand::new(stale).await;
    open(&stand.played).await;
    let route = chosen(&stand.played);
    assert_eq!(route, "fd7a:115c:a1e0:b1a:0:707:a14:7/128");
    assert_eq!(stand.enabled(), [route]);
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_stranger_who_takes_the_routers_name_is_neither_let_in_nor_thrown_out() {
    let stand = Stand::new(|_| {}).await;
    let name = stand.played.plan()[0].action["name"].as_str().unwrap().to_owned();
    let stranger = stand.server.with(|tailnet| {
        let id = tailnet.resident(&name, &["tag:other"], &[]);
        tailnet.advertise(&id, &[OWN]);
        tailnet.settle();
        id
    });
    assert_eq!(open_to(&stand.played, "await-router").await, Applied::Applied(None));
    assert_ne!(stand.played.router().unwrap(), stranger);
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    let stays = stand.server.with(|tailnet| tailnet.device(&stranger).is_some());
    assert!(stays, "it is not ours to take out");
}

#[tokio::test]
async fn a_router_that_does_not_come_is_said_to_be_missing() {
    let mut stand = Stand::new(|_| {}).await;
    stand.played.joins = false;
    open_until(&stand.played, "await-router").await;
    let applied = make(&stand.played, "await-router").await;
    assert!(matches!(applied, Applied::Unknown(_)), "{applied:?}");
    let said = stand.played.says.last().unwrap();
    assert_eq!(said, "the router is started and has not joined the tailnet yet");
    assert!(RUNBOOK.contains(&said), "the runbook quotes other words");
}

#[tokio::test]
async fn a_missing_rule_of_the_policy_file_is_named_as_what_is_missing() {
    let hidden = |tailnet: &mut Tailnet| tailnet.switches.hides_routers = true;
    let stand = Stand::new(hidden).await;
    open_until(&stand.played, "see-route").await;
    let why = refusal(make(&stand.played, "see-route").await);
    assert_eq!(stand.played.says.last(), Some(why.clone()));
    insta::assert_snapshot!(why, @"the router has joined, but this side's node does not see it: no rule of the policy file lets `tag:breakglass-operator` reach 10.20.0.7, or the node does not know it yet; add a rule, or set `edit-policy = true`");
    let quoted = why.split(';').next().unwrap();
    assert!(RUNBOOK.contains(quoted), "the runbook quotes other words");
    let stand = Stand::editing(hidden).await;
    open_until(&stand.played, "see-route").await;
    let why = refusal(make(&stand.played, "see-route").await);
    assert!(why.ends_with("is in the policy file, and the node does not know it yet"), "{why}");
}

/// What a look says under a name; nothing where it does not get that far.
async fn seen(provider: &Tailscale, name: &str) -> Option<Result<String, String>> {
    let checks = provider.validate(START).await.probe.checks;
    checks.into_iter().find(|check| check.name == name).map(|check| check.found)
}

#[tokio::test]
async fn a_server_that_takes_no_connection_and_a_missing_file_are_not_called_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = crate::support::rig::nobody_there().await;
    let wish = Wish::new(&format!("http://{nobody}"), "abcdefg.key");
    let refused = wish.provider(dir.path(), Arc::new(HostPace));
    let why = seen(&refused, "server").await.unwrap().unwrap_err();
    assert!(why.contains("refuses connections"), "{why}");
    assert_eq!(seen(&refused, "key").await, None);
    let ca_file = Some(dir.path().join("none.pem"));
    let wish = Wish { ca_file, ..Wish::new("https://127.0.0.1:9", "abcdefg.key") };
    let without = wish.provider(dir.path(), Arc::new(HostPace));
    let why = seen(&without, "server").await.unwrap().unwrap_err();
    assert!(why.contains("none.pem") && why.contains("does not exist"), "{why}");
    assert_eq!(seen(&without, "key").await, None);
}

#[tokio::test]
async fn a_server_that_cannot_guard_its_policy_file_is_told_and_not_called_degraded() {
    let mut tailnet = Tailnet::headscale(START, HeadscaleVersion::V29);
    tailnet.write_policy(TAGS);
    let key = tailnet.headscale_key();
    let server = TailnetServer::start(tailnet).await;
    let dir = tempfile::tempdir().unwrap();
    let wish = Wish { edit_policy: true, ..Wish::new(&server.url, &key) };
    let provider = wish.provider(dir.path(), Arc::new(HostPace));
    let said = seen(&provider, "policy guard").await.unwrap();
    assert!(said.unwrap().contains("a moment in which an edit can be lost"));
}

#[tokio::test]
async fn an_authority_that_is_not_known_is_told_with_what_to_give_here_and_there() {
    let server = TlsServer::start("Acme Root", "localhost", 2090).await;
    let dir = tempfile::tempdir().unwrap();
    let wish = Wish::new(&server.url, "abcdefg.key");
    let provider = wish.provider(dir.path(), Arc::new(HostPace));
    let why = seen(&provider, "server").await.unwrap().unwrap_err();
    assert!(
        why.contains(
            "or name its file: `--ca-file FILE`, or `ca-file` in the configuration; the \
                      hosts of routers must trust it too"
        ),
        "{why}"
    );
}

#[tokio::test]
async fn what_the_policy_says_of_the_way_is_told_while_it_is_open() {
    for (policy, word) in
        [(TAGS.to_owned(), "lets"), (TAGS.replace("10.20.0.0/16", "10.9.0.0/16"), "does not let")]
    {
        let stand = Stand::new(|tailnet| tailnet.write_policy(&policy)).await;
        open(&stand.played).await;
        let (tell, mut heard) = tokio::sync::mpsc::channel(8);
        let (provider, made) = (stand.played.provider(), stand.played.made());
        let told = tokio::select! {
            lost = provider.watch(&made, tell) => panic!("{lost:?}"),
            Some(told) = heard.recv() => told,
        };
        let Told::Live(lines) = told else { panic!("{told:?}") };
        let wanted = format!("policy: {word} tag:breakglass-operator reach 10.20.0.7 port 5432");
        assert_eq!(lines.last(), Some(&wanted), "{lines:?}");
        assert_eq!(end(&stand.played).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn of_fifty_who_edit_the_policy_file_at_once_none_loses_anything() {
    let stand = Stand::editing(|_| {}).await;
    let mut editing = tokio::task::JoinSet::new();
    for number in 0..50_u8 {
        let played = Played::beside(&stand.played, order([100 + number; 10]));
        editing.spawn(async move {
            assert_eq!(open_to(&played, "edit-policy").await, Applied::Applied(None));
            played
        });
    }
    let all = editing.join_all().await;
    let text = stand.server.with(|tailnet| tailnet.policy_text().to_owned());
    for played in &all {
        let session = &played.order.marker.session;
        assert!(text.contains(&format!("tag:breakglass-operator-{session}")), "{session} is lost");
    }
    let mut ending = tokio::task::JoinSet::new();
    for played in all {
        ending.spawn(async move { end(&played).await });
    }
    assert!(ending.join_all().await.into_iter().flatten().next().is_none());
    assert_eq!(stand.server.with(|tailnet| tailnet.policy_text().to_owned()), TAGS);
}
