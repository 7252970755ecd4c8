//! What goes wrong at the tailnet of our tests, what it complains of, and how it is served.

use breakglass::domain::time::Span;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::faulty_server::{FAULTS, Fault, FaultyServer, HttpCall, Model};
use crate::support::leaves_nothing::FarSide as _;
use crate::support::tailnet::desk::{Desk, POLICY, START, ids, said};
use crate::support::tailnet::{CommentTrap, Interface, Mishap, Odd, Tailnet, TailnetServer};

const HUJSON: &str = "application/hujson";

#[test]
fn a_policy_file_is_judged_without_being_written() {
    let mut desk = Desk::new();
    let plain = r#"{ "acls": [{ "action": "accept", "src": ["tag:x"], "dst": ["*:*"] }] }"#;
    assert_eq!(desk.validate(HUJSON, POLICY), (200, json!({})));
    assert_eq!(desk.validate(HUJSON, "{ \"acls\": ").0, 400);
    let (status, said) = desk.validate("application/json", plain);
    assert_eq!((status, &said["data"][0]["user"]), (200, &json!("tag:x")));
    desk.tailnet.switches.warnings = vec![("group:ops".into(), "not synced".into())];
    let (status, said) = desk.validate(HUJSON, POLICY);
    assert_eq!((status, &said["message"]), (200, &json!("warning(s) found")));
    assert_eq!(said["data"], json!([{ "user": "group:ops", "warnings": ["not synced"] }]));
    assert_eq!(desk.tailnet.policy_text(), POLICY);
}

#[test]
fn a_comment_in_the_first_line_is_a_trap() {
    let mut desk = Desk::new();
    desk.tailnet.switches.comment_trap = CommentTrap::Always;
    let (status, said) = desk.validate(HUJSON, POLICY);
    assert_eq!(
        (status, said["message"].as_str().unwrap().contains("invalid character '/'")),
        (400, true)
    );
    desk.tailnet.switches.comment_trap = CommentTrap::InJson;
    assert_eq!(desk.validate("application/json", POLICY).0, 400);
    assert_eq!(desk.tailnet.take_violations().len(), 1, "it is no JSON");
    desk.tailnet.switches.comment_trap = CommentTrap::Never;
    assert_eq!(desk.validate("application/json", POLICY).0, 200);
    assert_eq!(desk.tailnet.take_violations().len(), 1, "nor is it now");
}

#[test]
fn tests_are_run_against_the_policy_in_force() {
    let mut desk = Desk::new();
    for (from, to, reaches) in [
        ("ann@example.com", "base:22", true),
        ("ann@example.com", "10.1.0.5:22", true),
        ("ann@example.com", "10.1.0.5:23", false),
        ("bob@example.com", "10.1.0.5:22", false),
        ("group:ops", "10.2.7.7:85", true),
        ("tag:router", "10.3.0.9:5432", true),
        ("tag:router", "10.3.1.9:5432", false),
    ] {
        let tests = json!([{ "src": from, "proto": "tcp", "accept": [to] }]);
        let (status, said) = desk.validate("application/json", &tests.to_string());
        assert_eq!((status, said == json!({})), (200, reaches), "{from} {to}");
        assert_eq!(desk.tailnet.allows(from, to), reaches, "{from} {to}");
        let finding = format!("address \"{to}\": want: Accept, got: Drop");
        assert_eq!(said["data"][0]["errors"][0] == finding.as_str(), !reaches);
    }
    let udp = json!([{ "src": "tag:router", "proto": "udp", "deny": ["10.3.0.9:5432"] }]);
    assert_eq!(desk.validate("application/json", &udp.to_string()).1, json!({}));
}

#[test]
fn a_preview_names_the_rules_and_their_lines() {
    let mut desk = Desk::new();
    let target = "/tailnet/-/acl/preview?type=ipport&previewFor=10.3.0.9%3A5432";
    let mut call = desk.call("POST", target, POLICY);
    call.headers.insert("content-type".into(), HUJSON.into());
    let (_, said) = said(&desk.tailnet.answer(&call));
    let line = POLICY.lines().position(|line| line.contains("10.3.0.0/24")).unwrap() + 1;
    let matched = json!({
        "users": ["tag:router"], "ports": ["10.3.0.0/24:5432"], "lineNumber": line
    });
    assert_eq!(said["matches"], json!([matched]));
}

#[test]
fn settings_that_the_caller_may_not_see_are_null() {
    let mut desk = Desk::of_client(&["feature_settings:read"], &[]);
    desk.tailnet.switches.approval_on = true;
    desk.tailnet.switches.policy_kept_at = Some("https://git.example.com/policy".into());
    let (_, settings) = desk.get("/tailnet/-/settings");
    assert_eq!(settings["devicesApprovalOn"], true);
    assert_eq!(settings["aclsExternallyManagedOn"], Value::Null);
    let mut desk = Desk::new();
    desk.tailnet.switches.policy_kept_at = Some("https://git.example.com/policy".into());
    let (_, settings) = desk.get("/tailnet/-/settings");
    assert_eq!(settings["aclsExternallyManagedOn"], true);
    assert_eq!(settings["aclsExternalLink"], "https://git.example.com/policy");
    assert_eq!(desk.put(POLICY, None).status, 200, "the flag stops nobody here");
}

#[test]
fn some_calls_go_wrong_and_others_do_not() {
    let mut desk = Desk::new();
    let nodes = [desk.router(&[]), desk.router(&[])];
    let path = format!("/device/{}", nodes[0]);
    desk.tailnet.mishap(Mishap::on("*", &nodes[0], Odd::Refuses(504)).times(2));
    assert_eq!(desk.get(&path).0, 504);
    assert_eq!(desk.get(&format!("/device/{}", nodes[1])).0, 200);
    assert_eq!(desk.ask("DELETE", &path, &Value::Null).0, 504);
    assert_eq!(desk.get(&path).0, 200);
    desk.tailnet.mishap(Mishap::on("DELETE", &nodes[0], Odd::DoneBut(500)));
    assert_eq!(desk.ask("DELETE", &path, &Value::Null).0, 500);
    assert_eq!(desk.get(&path).0, 404);
    for (odd, status, kind) in [
        (Odd::Page(503), 503, "text/html"),
        (Odd::DoneButPage, 200, "text/html"),
        (Odd::TooMany(None), 429, "application/json"),
        (Odd::TooMany(Some("7".into())), 429, "application/json"),
    ] {
        let after = matches!(odd, Odd::TooMany(Some(_))).then_some("7");
        desk.tailnet.mishap(Mishap::on("GET", "/devices", odd));
        let answer = desk.tailnet.answer(&desk.call("GET", "/tailnet/-/devices", ""));
        assert_eq!((answer.status, &*answer.headers["content-type"]), (status, kind));
        assert_eq!(answer.headers.get("retry-after").map(String::as_str), after);
    }
    desk.tailnet.mishap(Mishap::on("GET", "/devices", Odd::Bare));
    assert_eq!(desk.get("/tailnet/-/devices"), (200, Value::Null));
    assert_eq!(desk.tailnet.count("GET", "/devices"), 5);
}

#[test]
fn its_clock_may_be_wrong() {
    let mut desk = Desk::new();
    let date = |desk: &mut Desk| {
        let call = desk.call("GET", "/tailnet/-/settings", "");
        desk.tailnet.answer(&call).headers["date"].clone()
    };
    assert_eq!(date(&mut desk), "Tue, 14 Nov 2023 22:13:20 GMT");
    desk.tailnet.switches.date_skew_seconds = -600;
    assert_eq!(date(&mut desk), "Tue, 14 Nov 2023 22:03:20 GMT");
}

#[test]
fn what_is_late_counts_as_left_before_it_lands() {
    let mut desk = Desk::new();
    let soon = START + Span::from_seconds(30);
    desk.tailnet.delay(soon, soon);
    assert_eq!(desk.make_key(600, &["tag:router"]).0, 504);
    desk.tailnet.delay(START, START);
    let listed = |desk: &mut Desk| ids(&desk.get("/tailnet/-/keys").1["keys"]).len();
    assert_eq!((listed(&mut desk), desk.tailnet.left().len()), (1, 1));
    desk.advance(1);
    assert_eq!((listed(&mut desk), desk.tailnet.left().len()), (2, 1));
    desk.tailnet.delay(START, desk.tailnet.now() + Span::from_seconds(30));
    assert_eq!(desk.make_key(600, &["tag:router"]).0, 200);
    assert_eq!((listed(&mut desk), desk.tailnet.left().len()), (2, 2));
    desk.advance(1);
    assert_eq!(listed(&mut desk), 3);
    desk.advance(10);
    assert_eq!(desk.tailnet.left(), Vec::<String>::new());
}

#[test]
fn what_is_left_are_keys_devices_routes_and_a_changed_policy() {
    let mut desk = Desk::new();
    let node = desk.router(&["10.9.1.0/24"]);
    desk.put("{}", None);
    let left = desk.tailnet.left();
    assert_eq!(left[..1], [format!("device {node}")]);
    assert!(left[1].starts_with("policy file "));
    assert_eq!(left[2..], [format!("route 10.9.1.0/24 of {node}")]);
}

#[test]
fn the_extracts_hold_together() {
    assert_eq!(Interface::tailscale().loose_ends(), Vec::<String>::new());
    assert_eq!(Interface::headscale().loose_ends(), Vec::<String>::new());
}

#[test]
fn what_does_not_fit_the_extract_is_complained_of() {
    let mut desk = Desk::new();
    let node = desk.router(&[]);
    let mut wrong = |change: &dyn Fn(&mut HttpCall), method: &str, target: &str, body: &str| {
        let mut call = desk.call(method, target, body);
        change(&mut call);
        desk.tailnet.answer(&call);
        desk.tailnet.take_violations().join("; ").replace(&node, "NODE")
    };
    let as_is = |_: &mut HttpCall| {};
    let keys = "/tailnet/-/keys";
    assert!(wrong(&as_is, "PUT", "/tailnet/-/acl", "{}").contains("is not in the extract"));
    assert!(
        wrong(&as_is, "GET", "/tailnet/-/devices?filter=x", "").contains("no name in its query")
    );
    assert!(wrong(&as_is, "GET", "/tailnet/-/devices?fields=some", "").contains("`fields`"));
    assert!(
        wrong(&as_is, "POST", "/tailnet/-/acl/preview?type=user", "{}").contains("`previewFor`")
    );
    assert!(wrong(&as_is, "POST", keys, "{}").contains("`body.capabilities` is missing"));
    let typed = r#"{ "capabilities": { "devices": {} }, "expirySeconds": "60" }"#;
    assert!(wrong(&as_is, "POST", keys, typed).contains("`body.expirySeconds` is not `whole`"));
    let extra = r#"{ "capabilities": { "devices": {} }, "lifetime": 60 }"#;
    assert!(wrong(&as_is, "POST", keys, extra).contains("`body.lifetime` is not in the extract"));
    let routes = format!("/device/{node}/routes");
    assert!(wrong(&as_is, "POST", &routes, r#"{ "routes": ["10.0.0.1/8"] }"#).contains("`prefix`"));
    assert!(wrong(&as_is, "DELETE", &format!("/device/{node}"), "{}").contains("it has a body"));
    let no_key = |call: &mut HttpCall| drop(call.headers.remove("authorization"));
    assert!(wrong(&no_key, "GET", keys, "").contains("`authorization` is missing"));
    assert!(
        wrong(&as_is, "GET", "/tailnet/-/keys/tskey-auth-k1-x", "")
            .contains("a key is in its address")
    );
    let matched =
        |call: &mut HttpCall| drop(call.headers.insert("if-match".into(), "\"x\"".into()));
    assert!(wrong(&matched, "GET", keys, "").contains("nothing here has a tag"));
    let form = |call: &mut HttpCall| {
        call.headers.insert("content-type".into(), "text/plain".into());
    };
    assert!(wrong(&form, "POST", keys, "{}").contains("is not to be `text/plain`"));
    assert_eq!(wrong(&as_is, "GET", keys, ""), "");
}

/// Sends one call by hand. Gives back all that comes.
async fn fetch(url: &str, call: &HttpCall) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    let headers: String =
        call.headers.iter().map(|(name, is)| format!("{name}: {is}\r\n")).collect();
    let head = format!(
        "{} {} HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{}",
        call.method,
        call.path,
        call.body.len(),
        call.body
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    all
}

#[tokio::test]
async fn it_is_served_with_its_headers_and_a_delay() {
    let desk = Desk::new();
    let server = TailnetServer::start(desk.tailnet.clone()).await;
    let call = desk.call("GET", "/tailnet/-/acl", "");
    let said = fetch(&server.url, &call).await;
    let etag = server.with(|tailnet| tailnet.left().len());
    assert_eq!((etag, server.calls()), (0, 1));
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with(POLICY), "{said}");
    assert!(said.contains("etag: \"") && said.contains("date: Tue, 14 Nov 2023"), "{said}");
    server.delay_calls(Span::from_hours(1));
    let late =
        tokio::time::timeout(std::time::Duration::from_millis(50), fetch(&server.url, &call));
    assert!(late.await.is_err());
    server.delay_calls(Span::ZERO);
    assert!(fetch(&server.url, &call).await.starts_with("HTTP/1.1 200"));
    assert_eq!(server.calls(), 2, "one is still under way");
}

#[tokio::test]
#[should_panic(expected = "is not in the extract")]
async fn a_server_complains_at_its_end() {
    let desk = Desk::new();
    let server = TailnetServer::start(desk.tailnet.clone()).await;
    fetch(&server.url, &desk.call("GET", "/tailnet/-/secrets", "")).await;
}

#[tokio::test]
async fn it_stands_behind_every_fault() {
    let desk = Desk::new();
    let shared = desk.tailnet.clone().shared();
    let server = FaultyServer::start(Box::new(shared.clone())).await;
    let mut write = desk.call("POST", "/tailnet/-/acl", "{}");
    write.headers.insert("content-type".into(), HUJSON.into());
    write.headers.insert("if-match".into(), "\"old\"".into());
    assert!(fetch(&server.url, &write).await.starts_with("HTTP/1.1 412"));
    let said = fetch(&server.url, &desk.call("GET", "/tailnet/-/acl", "")).await;
    assert!(said.contains("etag: \"") && said.ends_with(POLICY), "{said}");
    let too_many = FAULTS.iter().position(|it| *it == Fault::TooMany(Some("1"))).unwrap();
    server.arm(&[(2, too_many)], START);
    assert!(
        fetch(&server.url, &desk.call("GET", "/tailnet/-/acl", ""))
            .await
            .contains("retry-after: 1")
    );
    write.headers.remove("if-match");
    fetch(&server.url, &write).await;
    assert_eq!(server.left().len(), 1);
    assert_eq!(shared.lock().unwrap().policy_text(), "{}");
    assert_eq!(shared.lock().unwrap().take_violations(), Vec::<String>::new());
}

#[test]
fn an_untouched_tailnet_has_nothing_in_it() {
    let tailnet = Tailnet::new(START);
    assert_eq!((tailnet.nodes().len(), tailnet.left().len(), tailnet.calls().len()), (0, 0, 0));
    assert!(tailnet.allows("ann@example.com", "10.0.0.1:22"));
}
