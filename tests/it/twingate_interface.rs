//! What is asked of a network of Twingate fits our own extract of its schema, and the network of
//! our tests behaves as the vendor's is known to.

use breakglass::domain::time::{Span, Timestamp};
use breakglass::provider::twingate::documents;
use serde_json::{Value, json};

use crate::support::faulty_server::{FAULTS, Fault, FaultyServer, HttpAnswer, HttpCall, Model};
use crate::support::leaves_nothing::FarSide as _;
use crate::support::plans::START;
use crate::support::twingate::graph::Graph;
use crate::support::twingate::usage::unused;
use crate::support::twingate::{
    Level, Mishap, Odd, Refusal, Twingate, TwingateServer, Unknown, call,
};

#[test]
fn every_document_fits_the_extract() {
    let graph = Graph::of_twingate();
    assert_eq!(documents().len(), 22);
    for document in documents() {
        assert_eq!(graph.read(document).err(), None, "{document}");
    }
}

#[test]
fn the_extract_holds_nothing_that_is_not_used() {
    let graph = Graph::of_twingate();
    assert_eq!(unused(&graph, &documents()), Vec::<String>::new());
    let without: Vec<_> = documents().into_iter().filter(|it| !it.contains("expiresAt")).collect();
    let loose = unused(&graph, &without);
    for name in ["AccessEdge.expiresAt", "AccessInput", "MutationsRoot.resourceAccessAdd(access)"] {
        assert!(loose.contains(&name.to_owned()), "{name}: {loose:?}");
    }
}

#[test]
fn no_document_takes_text_from_outside() {
    for document in documents() {
        assert!(!document.contains('"'), "{document}");
    }
}

/// A network with a group, and one who asks it.
struct Desk {
    network: Twingate,
    key: String,
    group: String,
}

impl Desk {
    fn new() -> Self {
        Self::with(Level::Provision)
    }

    fn with(level: Level) -> Self {
        let mut network = Twingate::new(START);
        let (key, group) = (network.key(level), network.group("On call", 3));
        network.switches.limits = false;
        network.settle();
        Self { network, key, group }
    }

    /// Asks with the client's own document.
    fn call(&self, operation: &str, variables: &Value) -> HttpCall {
        let begins = [format!("query {operation}"), format!("mutation {operation}")];
        let is_it = |document: &&&str| {
            begins.iter().any(|begin| {
                let rest = document.strip_prefix(begin.as_str());
                rest.is_some_and(|rest| rest.starts_with(['(', ' ']))
            })
        };
        let all = documents();
        let document = all.iter().find(is_it).unwrap();
        call(&self.key, document, variables)
    }

    fn ask(&mut self, operation: &str, variables: &Value) -> (u16, Value) {
        let call = self.call(operation, variables);
        said(&self.network.answer(&call))
    }

    /// Asks, and expects data.
    fn data(&mut self, operation: &str, variables: &Value) -> Value {
        let (status, body) = self.ask(operation, variables);
        assert_eq!((status, &body["errors"]), (200, &Value::Null), "{operation}: {body}");
        body["data"].clone()
    }

    /// Makes a change, and gives back what the payload says.
    fn done(&mut self, operation: &str, variables: &Value) -> Value {
        self.data(operation, variables)["done"].clone()
    }

    /// Makes something, and gives back its id.
    fn made(&mut self, operation: &str, variables: &Value) -> String {
        let done = self.done(operation, variables);
        assert_eq!(done["ok"], true, "{operation}: {done}");
        done["entity"]["id"].as_str().unwrap().to_owned()
    }

    /// A network, a connector and a resource.
    fn path(&mut self) -> [String; 3] {
        let network = self.made("CreateNetwork", &json!({ "name": "bg-1" }));
        let connector =
            self.made("CreateConnector", &json!({ "network": network, "name": "bg-1" }));
        let resource = self.made(
            "CreateResource",
            &json!({
                "name": "bg-1", "address": "10.0.0.7", "network": network, "port": 5432,
                "key": "breakglass", "value": "1",
            }),
        );
        [network, connector, resource]
    }

    fn grant(&mut self, resource: &str, until: Timestamp) -> Value {
        let until = until.to_rfc3339();
        let group = self.group.clone();
        self.done("Grant", &json!({ "resource": resource, "group": group, "until": until }))
    }

    fn tokens(&mut self, connector: &str) -> String {
        let done = self.done("GenerateTokens", &json!({ "id": connector }));
        done["entity"]["accessToken"].as_str().unwrap().to_owned()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        use crate::support::model_server::Held as _;
        if !std::thread::panicking() {
            assert_eq!(self.network.take_violations(), Vec::<String>::new());
        }
    }
}

fn head(path: &str) -> HttpCall {
    HttpCall { method: "HEAD".into(), path: path.into(), ..HttpCall::default() }
}

fn said(answer: &HttpAnswer) -> (u16, Value) {
    (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
}

#[test]
fn a_whole_session_opens_a_path_and_leaves_nothing() {
    let mut desk = Desk::new();
    let [network, connector, resource] = desk.path();
    let (group, hour) = (desk.group.clone(), START + Span::from_hours(1));
    assert_eq!(desk.grant(&resource, hour)["ok"], true);
    let token = desk.tokens(&connector);
    assert_eq!(desk.network.connector_started(&token), Ok(connector.clone()));
    let ids = json!({ "connector": connector, "resource": resource });
    let states: Vec<_> = (0..3)
        .map(|_| desk.data("Path", &ids)["connector"]["state"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(states, ["DEAD_NO_HEARTBEAT", "ALIVE", "ALIVE"]);
    let seen = desk.data("Path", &ids)["resource"]["access"].clone();
    let edge = json!({ "expiresAt": "1970-01-01T01:16:40Z", "node": { "id": group } });
    assert_eq!(seen["edges"], json!([edge]));
    for (port, reaches) in [(5432, true), (5433, false)] {
        assert_eq!(desk.network.reaches(&group, "10.0.0.7", port), reaches);
    }
    assert!(!desk.network.connectors()[0].mails);
    let made = &desk.network.resources()[0];
    assert_eq!(made.tags, json!([{ "key": "breakglass", "value": "1" }]));
    assert_eq!(made.protocols["allowIcmp"], false);
    assert_eq!(made.protocols["udp"], json!({ "policy": "RESTRICTED", "ports": [] }));
    assert_eq!(desk.network.left().len(), 4);
    let in_use = desk.done("DeleteNetwork", &json!({ "id": network }));
    let why = "Remote network 'bg-1' is in use and cannot be deleted";
    assert_eq!(in_use, json!({ "ok": false, "error": why }));
    for (operation, id) in [
        ("DeleteResource", &resource),
        ("DeleteConnector", &connector),
        ("DeleteNetwork", &network),
    ] {
        assert_eq!(desk.done(operation, &json!({ "id": id }))["ok"], true);
        let gone = desk.done(operation, &json!({ "id": id }));
        assert!(gone["error"].as_str().unwrap().contains("does not exist"), "{gone}");
    }
    assert_eq!(desk.data("Path", &ids), json!({ "connector": null, "resource": null }));
    assert_eq!(desk.network.left(), Vec::<String>::new());
    assert_eq!(desk.network.connector_started(&token), Err(Refusal::Gone));
}

#[test]
fn new_tokens_make_the_old_ones_useless() {
    let mut desk = Desk::new();
    let [_, connector, _] = desk.path();
    let (old, new) = (desk.tokens(&connector), desk.tokens(&connector));
    assert_eq!(desk.network.connector_started(&old), Err(Refusal::InvalidToken));
    assert_eq!(desk.network.connector_started("eyJ"), Err(Refusal::InvalidToken));
    assert!(desk.network.connector_started(&new).is_ok());
    let mut state = || {
        let found = desk.data("Connector", &json!({ "id": connector }));
        desk.network.connector_stopped(&new);
        let now = desk.network.now() + Span::from_minutes(2);
        desk.network.advance(now);
        found["one"]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!([state(), state()], ["DEAD_NO_HEARTBEAT"; 2], "it ended before it was heard of");
    desk.network.switches.alive_after_looks = 0;
    desk.network.connector_started(&new).unwrap();
    let found = desk.data("Connector", &json!({ "id": connector }));
    assert_eq!(found["one"]["state"], "ALIVE");
    desk.network.connector_loses_relays(&new).unwrap();
    let found = desk.data("Connector", &json!({ "id": connector }));
    assert_eq!(found["one"]["state"], "DEAD_NO_RELAYS");
    desk.network.connector_stopped(&new);
    let later = desk.network.now() + Span::from_minutes(2);
    desk.network.advance(later);
    let found = desk.data("Connector", &json!({ "id": connector }));
    assert_eq!(found["one"]["state"], "DEAD_HEARTBEAT_TOO_OLD");
}

#[test]
fn access_ends_by_itself_and_has_a_shortest_time() {
    let mut desk = Desk::new();
    let [.., resource] = desk.path();
    let soon = START + Span::from_minutes(30);
    assert_eq!(desk.grant(&resource, soon)["error"], "expiresAt is too soon");
    assert_eq!(desk.grant(&resource, START + Span::from_hours(1))["ok"], true);
    assert_eq!(desk.network.resources()[0].access.len(), 1);
    desk.network.advance(START + Span::from_hours(1));
    assert_eq!(desk.network.resources()[0].access, []);
    let withdrawn = json!({ "resource": resource, "group": desk.group });
    assert_eq!(desk.done("Withdraw", &withdrawn)["ok"], true, "who is not let in is well kept out");
    desk.network.remove(&resource);
    let gone = desk.done("Withdraw", &withdrawn)["error"].as_str().unwrap().to_owned();
    assert!(gone.contains("does not exist"), "{gone}");
}

#[test]
fn what_somebody_changes_in_the_console_is_felt() {
    let mut desk = Desk::new();
    let [_, connector, resource] = desk.path();
    let group = desk.group.clone();
    desk.network.switches.alive_after_looks = 0;
    desk.grant(&resource, START + Span::from_hours(1));
    let token = desk.tokens(&connector);
    assert!(!desk.network.reaches(&group, "10.0.0.7", 5432), "no connector runs");
    desk.network.connector_started(&token).unwrap();
    assert!(desk.network.reaches(&group, "10.0.0.7", 5432));
    desk.network.set_group_active(&group, false);
    assert!(!desk.network.reaches(&group, "10.0.0.7", 5432));
    desk.network.set_group_active(&group, true);
    desk.network.set_resource_active(&resource, false);
    assert!(!desk.network.reaches(&group, "10.0.0.7", 5432));
    assert_eq!(desk.data("Resource", &json!({ "id": resource }))["one"]["isActive"], false);
    desk.network.remove(&group);
    assert_eq!(desk.network.resources()[0].access, []);
    let operations = desk.network.calls().iter().filter(|call| call.body.contains("Grant"));
    assert_eq!(operations.count(), 1);
}

#[test]
fn names_are_not_unique_and_lists_come_in_pages() {
    let mut desk = Desk::new();
    for number in 0..150 {
        desk.made("CreateNetwork", &json!({ "name": format!("bg-{}", number / 75) }));
    }
    let named = desk.data("NetworksNamed", &json!({ "name": "bg-0", "after": null }));
    assert_eq!(named["page"]["edges"].as_array().unwrap().len(), 75);
    let mut page = |after: &Value| {
        let found = desk.data("NetworksStarting", &json!({ "name": "bg-", "after": after }));
        let page = found["page"].clone();
        (page["edges"].as_array().unwrap().len(), page["pageInfo"].clone())
    };
    let (first, info) = page(&Value::Null);
    assert_eq!((first, &info["hasNextPage"]), (100, &json!(true)));
    let (second, info) = page(&info["endCursor"]);
    assert_eq!((second, &info["hasNextPage"]), (50, &json!(false)));
    assert_eq!(desk.data("Glance", &json!({}))["page"]["totalCount"], 150);
    let groups = desk.data("GroupsNamed", &json!({ "name": "On call", "after": null }));
    assert_eq!(groups["page"]["edges"][0]["node"]["users"]["totalCount"], 3);
}

#[test]
fn a_key_may_do_what_its_level_allows() {
    for (level, may_write, may_provision) in
        [(Level::Read, false, false), (Level::Write, true, false), (Level::Provision, true, true)]
    {
        for in_payload in [true, false] {
            let mut desk = Desk::with(level);
            desk.network.switches.forbids_in_payload = in_payload;
            assert_eq!(desk.ask("Glance", &json!({})).0, 200);
            let none = json!({ "id": "Q29ubmVjdG9yOjIxNDc0ODM2NDc=" });
            for (operation, may) in
                [("DeleteConnector", may_write), ("GenerateTokens", may_provision)]
            {
                let (status, body) = desk.ask(operation, &none);
                let told = body["data"]["done"]["error"].as_str().unwrap_or_default();
                assert_eq!((status, told.contains("does not exist")), (200, may), "{body}");
                assert_eq!(told.contains("permission"), !may && in_payload, "{body}");
                assert_eq!(body["errors"].is_array(), !may && !in_payload, "{body}");
            }
        }
    }
    let mut desk = Desk::new();
    desk.network.revoke(&desk.key.clone());
    assert_eq!(desk.ask("Glance", &json!({})).0, 401);
}

#[test]
fn an_id_that_is_none_is_an_error_beside_the_data() {
    let mut desk = Desk::new();
    let (status, body) = desk.ask("Connector", &json!({ "id": "x" }));
    assert_eq!((status, &body["data"]), (200, &json!({ "one": null })));
    assert_eq!(body["errors"][0]["message"], "{'id': ['Unable to parse global ID']}");
    let (status, body) = desk.ask("DeleteConnector", &json!({ "id": "x" }));
    assert_eq!((status, &body["data"]), (200, &Value::Null));
    assert!(body["errors"].is_array());
}

#[test]
fn more_than_its_number_a_minute_is_turned_away() {
    let mut desk = Desk::new();
    desk.network.switches.limits = true;
    for _ in 0..20 {
        desk.made("CreateNetwork", &json!({ "name": "bg" }));
    }
    desk.network.advance(START + Span::from_seconds(10));
    let call = desk.call("CreateNetwork", &json!({ "name": "bg" }));
    let answer = desk.network.answer(&call);
    assert_eq!((answer.status, &*answer.headers["retry-after"]), (429, "50"));
    assert_eq!(desk.network.networks().len(), 20, "nothing is done");
    let reads = (0..61).map(|_| desk.ask("Glance", &json!({})).0);
    let reads: Vec<_> = reads.collect();
    assert_eq!((reads[59], reads[60]), (200, 429));
    desk.network.advance(START + Span::from_minutes(1));
    assert_eq!(desk.network.answer(&call).status, 200);
}

#[test]
fn a_network_may_be_unknown_or_lead_to_its_region() {
    let mut desk = Desk::new();
    desk.network.switches.unknown = Some(Unknown::Status404);
    assert_eq!(desk.ask("Glance", &json!({})).0, 404);
    desk.network.switches.unknown = Some(Unknown::Page);
    let call = desk.call("Glance", &json!({}));
    assert!(desk.network.answer(&call).body.starts_with("<!DOCTYPE html>"));
    desk.network.switches.unknown = None;
    let look = head("/api/graphql/");
    assert_eq!(desk.network.answer(&look).status, 200);
    desk.network.switches.region = Some("http://127.0.0.1:1/".into());
    desk.network.switches.date_skew_seconds = 60;
    let led = desk.network.answer(&look);
    assert_eq!((led.status, &*led.headers["location"]), (308, "http://127.0.0.1:1/"));
    assert_eq!(led.headers["date"], "Thu, 01 Jan 1970 00:17:40 GMT");
}

#[test]
fn what_does_not_fit_is_kept_against_it() {
    use crate::support::model_server::Held as _;
    let mut desk = Desk::new();
    let key = desk.key.clone();
    let mut wrong = |call: HttpCall| {
        let status = desk.network.answer(&call).status;
        (status, desk.network.take_violations().len())
    };
    let none = json!({});
    assert_eq!(wrong(call(&key, "query A { secrets }", &none)), (400, 1));
    assert_eq!(wrong(call(&key, "query A($id: ID!) { group(id: $id) { id } }", &none)), (400, 1));
    let glance = "query A { remoteNetworks { totalCount __typename } }";
    assert_eq!(wrong(call(&key, glance, &none)), (200, 0));
    let elsewhere = HttpCall { path: "/api/graphql".into(), ..call(&key, glance, &none) };
    assert_eq!(wrong(elsewhere), (200, 1));
    let told = json!({ "unused": key });
    assert_eq!(wrong(call(&key, glance, &told)).1, 1, "the key is in the body");
    let mut look = head("/api/graphql/");
    look.headers.insert("x-api-key".into(), key.clone());
    assert_eq!(wrong(look), (200, 1));
    assert_eq!(wrong(head("/")), (200, 1));
}

#[test]
fn some_calls_go_wrong_and_what_is_late_counts_as_left() {
    let mut desk = Desk::new();
    let named = json!({ "name": "bg" });
    desk.network.mishap(Mishap::on("POST", "remoteNetworkCreate", Odd::DoneBut(500)));
    assert_eq!(desk.ask("Glance", &json!({})).0, 200);
    assert_eq!(desk.ask("CreateNetwork", &named).0, 500);
    assert_eq!(desk.network.left().len(), 1);
    desk.network.mishap(Mishap::on("POST", "remoteNetworkCreate", Odd::Refuses(503)));
    assert_eq!(desk.ask("CreateNetwork", &named).0, 503);
    assert_eq!((desk.network.left().len(), desk.network.count("mutation CreateNetwork")), (1, 2));
    let soon = START + Span::from_seconds(30);
    desk.network.delay(soon, soon);
    assert_eq!(desk.ask("CreateNetwork", &named).0, 504);
    desk.network.delay(START, START);
    assert_eq!((desk.network.networks().len(), desk.network.left().len()), (1, 2));
    desk.network.advance(soon);
    assert_eq!((desk.network.networks().len(), desk.network.left().len()), (2, 2));
    desk.network.delay(START, soon + Span::from_seconds(30));
    let id = desk.made("CreateNetwork", &named);
    let listed = |desk: &mut Desk| {
        let found = desk.data("NetworksNamed", &json!({ "name": "bg", "after": null }));
        found["page"]["edges"].as_array().unwrap().len()
    };
    assert_eq!(listed(&mut desk), 2);
    assert_eq!(desk.data("Network", &json!({ "id": id }))["one"]["name"], "bg", "by id at once");
    desk.network.advance(soon + Span::from_minutes(1));
    assert_eq!(listed(&mut desk), 3);
}

#[tokio::test]
async fn it_stands_behind_every_fault_and_on_loopback() {
    use breakglass::domain::secret::Secret;
    use breakglass::http::{Http, Limits, Request, Trust};
    let mut desk = Desk::new();
    let http = Http::new(Trust::default(), Limits::default());
    let glance = documents().into_iter().find(|it| it.starts_with("query Glance")).unwrap();
    let (body, key) = (json!({ "query": glance, "variables": {} }), Secret::new(&*desk.key));
    let ask = |url: &str| {
        let request = Request::post(format!("{url}/api/graphql/")).header_secret("x-api-key", &key);
        http.send(request.json(&body).unwrap())
    };
    let shared = desk.network.clone().shared();
    let faulty = FaultyServer::start(Box::new(shared)).await;
    let slow_down = FAULTS.iter().position(|it| *it == Fault::TooMany(Some("1"))).unwrap();
    faulty.arm(&[(1, slow_down)], START);
    let statuses = [ask(&faulty.url).await.unwrap().status, ask(&faulty.url).await.unwrap().status];
    assert_eq!((statuses, faulty.calls()), ([200, 429], 2));
    desk.network.switches.region = Some(faulty.url.clone());
    let server = TwingateServer::start(desk.network.clone()).await;
    let look = Request::head(format!("{}/api/graphql/", server.url));
    let led = http.leads_to(look).await.unwrap().unwrap();
    assert_eq!((led.0, led.1.as_str()), (308, format!("{}/", faulty.url).as_str()));
    let answer = ask(&server.url).await.unwrap();
    let read: Value = answer.json().unwrap();
    assert_eq!((read, server.calls()), (json!({ "data": { "page": { "totalCount": 0 } } }), 1));
}
