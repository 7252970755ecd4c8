//! What a session in a network of Twingate meets besides a network that fails: keys that may too
//! little, other people at work in the console, and limits.

use std::sync::Arc;

use breakglass::domain::time::Span;
use breakglass::domain::twingate::ClientPath;
use breakglass::provider::pace::Pace as _;
use breakglass::provider::twingate::documents;
use breakglass::provider::{Lost, Provider as _, Told};
use breakglass::session::{Applied, Looked, PlannedStep, Undone};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::support::faulty_server::Model as _;
use crate::support::hurry::Hurry;
use crate::support::leaves_nothing::Carries as _;
use crate::support::model_server::Held as _;
use crate::support::orders::order;
use crate::support::plans::START;
use crate::support::twingate::around::{Client, GROUP, Played, Wish, numbers};
use crate::support::twingate::{Level, Mishap, Odd, Twingate, TwingateServer, Unknown, call};

/// A network on loopback, this host's client, and one session.
struct Stand {
    server: TwingateServer,
    key: String,
    group: String,
    client: Client,
    played: Played,
}

impl Stand {
    async fn new(prepare: impl FnOnce(&mut Twingate)) -> Self {
        Self::with(Level::Provision, prepare).await
    }

    async fn with(level: Level, prepare: impl FnOnce(&mut Twingate)) -> Self {
        let mut network = Twingate::new(START);
        let (key, group) = (network.key(level), network.group(GROUP, 3));
        prepare(&mut network);
        network.settle();
        let server = TwingateServer::start(network).await;
        let client = Client::start(&server.model, &group).await;
        let pace = Hurry::new(&server.model);
        let wish = Wish::new(&server.url, &key, &client);
        let played = Played::new(wish, &server.model, &pace, order([7; 10]));
        Self { server, key, group, client, played }
    }

    /// Another session over the same provider's settings and budget.
    fn beside(&self, number: u8) -> Played {
        let wish = self.played.wish.lock().unwrap().clone();
        Played::new(wish, &self.server.model, &self.played.pace, order([number; 10]))
    }

    /// The same with other settings.
    fn wishing(mut self, wish: impl FnOnce(Wish) -> Wish) -> Self {
        let wished = wish(Wish::new(&self.server.url, &self.key, &self.client));
        let pace = Arc::clone(&self.played.pace);
        self.played = Played::new(wished, &self.server.model, &pace, order([7; 10]));
        self
    }

    /// Nothing is left anywhere, and nothing was asked that the schema does not know.
    fn is_clean(&self) {
        assert_eq!(self.played.left(), Vec::<String>::new());
        let left = self.server.with(|network| (network.left(), network.take_violations()));
        assert_eq!(left, (vec![], vec![]));
    }

    async fn abilities(&self) -> String {
        let validation = self.played.provider().validate(START).await;
        told(&validation.probe.checks, &self.server.url)
    }
}

/// Checks as people read them.
fn told(checks: &[breakglass::domain::probe::ProbeCheck], url: &str) -> String {
    let lines = checks.iter().map(|check| match &check.found {
        Ok(well) => format!("+ {}: {well}", check.name),
        Err(why) => format!("- {}: {why}", check.name),
    });
    let all = lines.collect::<Vec<_>>().join("\n");
    let proxy = all.split("listens at ").nth(1).and_then(|rest| rest.split('\n').next());
    let all = proxy.map_or(all.clone(), |proxy| all.replace(proxy, "PROXY"));
    all.replace(url, "URL")
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

/// Takes every step back, in its order, and says which have trouble or are still there.
async fn end(played: &Played) -> Vec<String> {
    let plan = played.plan();
    let (mut left, mut trouble): (Vec<usize>, Vec<String>) = ((0..plan.len()).collect(), vec![]);
    while !left.is_empty() {
        let free = |number: &usize| after(&plan, *number).iter().all(|it| !left.contains(it));
        let number = left.iter().copied().rev().find(free).unwrap();
        left.retain(|other| *other != number);
        let (step, known) = (&plan[number], played.made()[number].artifact.clone());
        if step.leaves.is_none() {
            continue;
        }
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

/// The id of what a step made.
fn id(played: &Played, what: &str) -> String {
    let made = &played.made()[numbers(&played.plan())[what]];
    made.artifact.as_ref().unwrap().details["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_opens_carries_bytes_and_leaves_nothing() {
    let stand = Stand::new(|_| {}).await;
    open(&stand.played).await;
    let changes = stand.server.with(|network| network.count("mutation"));
    assert_eq!(changes, 5, "on the way up");
    stand.server.with(|network| {
        let resource = &network.resources()[0];
        assert_eq!(resource.address, "10.20.0.7");
        insta::assert_snapshot!(resource.protocols, @r#"{"allowIcmp":false,"tcp":{"policy":"RESTRICTED","ports":[{"end":5432,"start":5432}]},"udp":{"policy":"RESTRICTED","ports":[]}}"#);
        assert!(resource.tags.to_string().contains("breakglass"), "{}", resource.tags);
        assert!(!network.connectors()[0].mails, "nobody is mailed when it goes");
        let ends_at = resource.access[0].expires_at.unwrap();
        let wanted = START + Span::from_minutes(61);
        assert!(ends_at >= wanted && ends_at < wanted + Span::from_minutes(2), "{ends_at:?}");
    });
    let dialed = stand.played.provider().dial(&stand.played.made()).await.unwrap();
    let breakglass::provider::Dialed::Tcp(mut stream) = dialed else { panic!() };
    stream.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    let changes = stand.server.with(|network| network.count("mutation")) - changes;
    assert_eq!(changes, 4, "on the way down");
    stand.is_clean();
}

#[tokio::test]
async fn what_can_be_done_is_said_ability_by_ability() {
    let stand = Stand::new(|_| {}).await;
    insta::assert_snapshot!(stand.abilities().await, @r"
    + this side: the client's proxy listens at PROXY
    + network and key: `acme.twingate.com` answers, and has 0 remote networks
    + group: `On call`, 3 people in it
    + write: likely: the network does not say what a key may do, and a thing that cannot exist was not refused; `--deep` makes one and takes it away
    + provision: likely: the network does not say what a key may do, and a thing that cannot exist was not refused; `--deep` makes one and takes it away
    ");
    stand.is_clean();
}

#[tokio::test]
async fn a_key_that_may_too_little_is_told_what_to_be_given() {
    for (level, wanted) in [(Level::Read, "- write: "), (Level::Write, "- provision: ")] {
        for in_payload in [false, true] {
            let stand = Stand::with(level, |network| {
                network.switches.forbids_in_payload = in_payload;
            });
            let stand = stand.await;
            let abilities = stand.abilities().await;
            let line = abilities.lines().find(|line| line.starts_with("- ")).unwrap();
            assert!(line.starts_with(wanted), "{line}");
            assert!(line.contains("under Settings, API in the console"), "{line}");
            stand.is_clean();
        }
    }
}

#[tokio::test]
async fn a_network_or_a_key_that_is_wrong_is_told_apart() {
    for (unknown, wanted) in [
        (Some(Unknown::Status404), "- network and key: there seems to be no network at `URL`"),
        (Some(Unknown::Page), "- network and key: there seems to be no network at `URL`"),
        (None, "- network and key: `URL` does not accept the key of this provider"),
    ] {
        let stand = Stand::new(|network| network.switches.unknown = unknown).await;
        stand.server.with(|network| network.revoke(&stand.key));
        let abilities = stand.abilities().await;
        assert!(abilities.lines().last().unwrap().starts_with(wanted), "{abilities}");
    }
}

#[tokio::test]
async fn a_deep_look_makes_a_canary_and_takes_it_away() {
    let stand = Stand::new(|_| {}).await;
    let mark = order([9; 10]).marker;
    let proved = stand.played.provider().prove(&mark, START).await.unwrap();
    insta::assert_snapshot!(told(&proved.probe.checks, &stand.server.url), @r"
    + this side: the client's proxy listens at PROXY
    + network and key: `acme.twingate.com` answers, and has 0 remote networks
    + group: `On call`, 3 people in it
    + write: a remote network was made
    + connector: a connector was made
    + provision: it was given tokens
    + taken away: the connector is gone again
    + taken away: the remote network is gone again
    ");
    assert_eq!(stand.server.with(|network| network.count("mutation")), 5);
    stand.is_clean();
}

#[tokio::test]
async fn a_canary_of_a_key_that_may_not_provision_is_taken_away_all_the_same() {
    let stand = Stand::with(Level::Write, |_| {}).await;
    let mark = order([9; 10]).marker;
    let proved = stand.played.provider().prove(&mark, START).await.unwrap();
    let said = told(&proved.probe.checks, &stand.server.url);
    assert!(said.contains("- provision: "), "{said}");
    assert!(said.contains("+ taken away: the remote network is gone again"), "{said}");
    assert!(!proved.probe.is_healthy());
    stand.is_clean();
}

#[tokio::test]
async fn the_key_goes_to_no_region_outside_of_the_vendors_domain() {
    let stand = Stand::new(|network| {
        network.switches.region = Some("https://acme.us1.twingate.com.evil.example".to_owned());
    });
    let stand = stand.await;
    let abilities = stand.abilities().await;
    let line = abilities.lines().last().unwrap();
    assert!(line.starts_with("- network and key: "), "{line}");
    assert!(line.contains("twingate.com.evil.example"), "{line}");
    assert_eq!(stand.server.with(|network| network.count("query")), 0, "nothing was asked");
}

#[tokio::test]
async fn a_clock_ten_minutes_off_is_told_and_access_ends_by_the_networks() {
    let stand = Stand::new(|network| network.switches.date_skew_seconds = 600).await;
    let abilities = stand.abilities().await;
    assert!(
        abilities.contains("- clock: this host's clock is 600 s behind the network's"),
        "{abilities}"
    );
    open(&stand.played).await;
    let ends_at = stand.server.with(|network| network.resources()[0].access[0].expires_at.unwrap());
    let wanted = START + Span::from_minutes(71);
    assert!(ends_at >= wanted && ends_at < wanted + Span::from_minutes(2), "{ends_at:?}");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn an_access_without_an_end_is_taken_back() {
    let stand = Stand::new(|network| network.switches.forgets_ends = true).await;
    let why = refusal(open_to(&stand.played, "access").await);
    assert_eq!(why, "the network did not take the end of the access, so it was taken back");
    let access = stand.server.with(|network| network.resources()[0].access.len());
    assert_eq!(access, 0);
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_clock_that_is_hours_off_gives_no_access_at_all() {
    let stand = Stand::new(|network| network.switches.date_skew_seconds = 40_000).await;
    let why = refusal(open_to(&stand.played, "access").await);
    assert!(why.contains("more than an hour apart"), "{why}");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_group_that_is_not_the_one_is_refused_with_what_to_do() {
    let stand = Stand::new(|network| {
        network.group("Twins", 1);
        network.group("Twins", 1);
        let off = network.group("Off", 1);
        network.set_group_active(&off, false);
        network.group("Nobody", 0);
    });
    let mut stand = stand.await;
    for (group, wanted) in [
        ("Nowhere", "- group: there is no group `Nowhere`"),
        ("Twins", "- group: two groups are called `Twins`; write the id of one"),
        ("Off", "- group: the group `Off` is switched off in the console"),
        ("Nobody", "- members: nobody is in the group"),
    ] {
        stand = stand.wishing(|wish| Wish { group: group.to_owned(), ..wish });
        let abilities = stand.abilities().await;
        assert!(abilities.lines().any(|line| line.starts_with(wanted)), "{abilities}");
    }
    let by_id = stand.group.clone();
    stand = stand.wishing(|wish| Wish { group: by_id, ..wish });
    open(&stand.played).await;
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_connector_that_does_not_come_alive_is_given_up_with_what_its_state_means() {
    let mut stand = Stand::new(|_| {}).await;
    stand.played.starts = false;
    let why = refusal(open_to(&stand.played, "alive").await);
    insta::assert_snapshot!(why, @"not alive after 5m: it was never heard of: the site's host must reach `*.twingate.com` on TCP 443, and its clock may be 5 s off at most");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_connector_without_a_relay_says_what_is_in_the_way() {
    let stand = Stand::new(|network| network.switches.alive_after_looks = 1_000).await;
    assert_eq!(open_to(&stand.played, "start").await, Applied::Applied(None));
    let token = stand.played.token().unwrap();
    stand.server.with(|network| network.connector_loses_relays(&token).unwrap());
    let why = refusal(make(&stand.played, "alive").await);
    assert!(why.contains("it reaches the network and no relay"), "{why}");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

/// Makes one step.
async fn make(played: &Played, what: &str) -> Applied {
    let plan = played.plan();
    played.apply(&plan[numbers(&plan)[what]]).await
}

#[tokio::test]
async fn tokens_whose_making_nobody_saw_end_the_session_and_are_never_made_twice() {
    let stand = Stand::new(|network| {
        network.mishap(Mishap::on("POST", "connectorGenerateTokens", Odd::Bare));
    });
    let stand = stand.await;
    let Applied::Unknown(_) = open_to(&stand.played, "tokens").await else {
        panic!("the outcome is not known")
    };
    let pairs = stand.server.with(|network| network.count("connectorGenerateTokens"));
    assert_eq!(pairs, 1);
    let step = &stand.played.plan()[numbers(&stand.played.plan())["tokens"]];
    assert_eq!(stand.played.look(step, None).await, Looked::Absent);
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn tokens_that_somebody_else_has_made_useless_start_nothing_and_leave_nothing() {
    let stand = Stand::new(|_| {}).await;
    assert_eq!(open_to(&stand.played, "tokens").await, Applied::Applied(None));
    let connector = id(&stand.played, "connector");
    stand.server.with(|network| {
        let makes = |document: &&str| document.contains("connectorGenerateTokens");
        let document = documents().into_iter().find(makes).unwrap();
        let answer = network.answer(&call(&stand.key, document, &json!({ "id": connector })));
        assert_eq!(answer.status, 200);
    });
    let why = refusal(make(&stand.played, "start").await);
    assert!(why.contains("InvalidToken"), "{why}");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_connector_that_somebody_deletes_ends_the_session() {
    let stand = Stand::new(|_| {}).await;
    open(&stand.played).await;
    let connector = id(&stand.played, "connector");
    stand.server.with(|network| network.remove(&connector));
    let lost = watched(&stand.played).await;
    assert_eq!(lost.step, numbers(&stand.played.plan())["connector"]);
    assert_eq!(lost.why, "it was deleted by somebody else; see the audit log of the console");
    assert_eq!(end(&stand.played).await, Vec::<String>::new(), "what is gone is well taken back");
    stand.is_clean();
}

#[tokio::test]
async fn a_connector_that_is_not_heard_of_for_a_minute_ends_the_session() {
    let stand = Stand::new(|_| {}).await;
    open(&stand.played).await;
    let token = stand.played.token().unwrap();
    stand.server.with(|network| network.connector_stopped(&token));
    let lost = watched(&stand.played).await;
    assert_eq!(lost.why, "the connector is not heard of any more");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn an_access_that_somebody_withdraws_ends_the_session() {
    let stand = Stand::new(|_| {}).await;
    open(&stand.played).await;
    let group = stand.group.clone();
    stand.server.with(|network| network.remove(&group));
    let lost = watched(&stand.played).await;
    assert_eq!(lost.step, numbers(&stand.played.plan())["access"]);
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
}

/// Watches a path until it is lost.
async fn watched(played: &Played) -> Lost {
    let (tell, _heard) = mpsc::channel(64);
    played.provider().watch(&played.made(), tell).await
}

#[tokio::test]
async fn how_the_path_does_is_told_in_lines() {
    let stand = Stand::new(|_| {}).await;
    open(&stand.played).await;
    let (tell, mut heard) = mpsc::channel(64);
    let (provider, made) = (stand.played.provider(), stand.played.made());
    let lines = tokio::select! {
        lost = provider.watch(&made, tell) => panic!("{lost:?}"),
        Some(told) = heard.recv() => told,
    };
    let Told::Live(lines) = lines else { panic!("{lines:?}") };
    insta::assert_snapshot!(lines.join("\n"), @r"
    connector: alive, heard 0s ago, version 1.80.0
    access: group `On call`, until 1970-01-01 01:17 UTC
    network: takes 15 more changes this minute
    ");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_remote_network_with_something_in_it_is_owed_until_that_is_gone() {
    let stand = Stand::new(|_| {}).await;
    open(&stand.played).await;
    let plan = stand.played.plan();
    let network = numbers(&plan)["network"];
    let known = stand.played.made()[network].artifact.clone();
    let Undone::Problem(why) = stand.played.undo(&plan[network], known.as_ref()).await else {
        panic!("it cannot go")
    };
    assert!(why.contains("in use and cannot be deleted"), "{why}");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn two_up_and_down_in_a_minute_fit_and_a_third_waits_and_comes() {
    let stand = Stand::new(|_| {}).await;
    let (second, third) = (stand.beside(8), stand.beside(9));
    for played in [&stand.played, &second] {
        open(played).await;
        assert_eq!(end(played).await, Vec::<String>::new());
    }
    let changes = stand.server.with(|network| network.count("mutation"));
    assert_eq!(changes, 18);
    open(&third).await;
    let waited = stand.played.pace.now().since(START);
    assert!(waited >= Span::from_seconds(30), "it has waited {waited}");
    assert_eq!(end(&third).await, Vec::<String>::new());
    let refused = stand.server.with(|network| network.too_many());
    assert_eq!(refused, 0, "the network never had to say that it is too much");
    stand.is_clean();
}

#[tokio::test]
async fn a_network_that_is_asked_too_often_by_others_is_left_alone_and_asked_again() {
    let stand = Stand::new(|network| {
        let busy = Odd::TooMany(Some("5".to_owned()));
        network.mishap(Mishap::on("POST", "resourceCreate", busy.clone()));
        network.mishap(Mishap::on("POST", "query", busy).times(2));
    });
    let stand = stand.await;
    open(&stand.played).await;
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_key_that_is_revoked_meanwhile_is_told_and_another_one_finishes() {
    let stand = Stand::new(|_| {}).await;
    open(&stand.played).await;
    let other = stand.server.with(|network| {
        network.revoke(&stand.key);
        network.key(Level::Provision)
    });
    let trouble = end(&stand.played).await;
    assert!(trouble.len() >= 4, "{trouble:?}");
    assert_eq!(stand.played.left(), Vec::<String>::new(), "a process needs no key to be ended");
    stand.played.wish.lock().unwrap().key = other;
    stand.played.died();
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}

#[tokio::test]
async fn a_sweep_finds_what_nobody_remembers_and_takes_it_in_an_order_that_works() {
    let stand = Stand::new(|_| {}).await;
    open(&stand.played).await;
    stand.server.with(|network| {
        network.group("other", 1);
    });
    let installation = order([7; 10]).marker.installation;
    let found = stand.played.provider().list(&installation).await.unwrap();
    let kinds: Vec<_> = found.iter().map(|it| it.artifact.kind.as_str()).collect();
    assert_eq!(kinds, ["resource", "connector", "remote network"], "none before what lies in it");
    stand.played.stop();
    for thing in &found {
        assert_eq!(stand.played.provider().remove(thing).await, Undone::Sent);
    }
    assert_eq!(stand.played.provider().list(&installation).await.unwrap(), vec![]);
    stand.is_clean();
}

#[tokio::test]
async fn without_the_client_of_this_host_nothing_is_promised() {
    let stand = Stand::new(|_| {}).await;
    let nobody = "127.0.0.1:1".parse().unwrap();
    let stand = stand.wishing(|wish| Wish { data_path: ClientPath::Proxy(nobody), ..wish });
    let abilities = stand.abilities().await;
    assert!(abilities.starts_with("- this side: nothing listens at PROXY"), "{abilities}");
    let why = refusal(open_to(&stand.played, "check").await);
    assert!(why.starts_with("nothing listens at 127.0.0.1:1"), "{why}");
    assert_eq!(end(&stand.played).await, Vec::<String>::new());
    stand.is_clean();
}
