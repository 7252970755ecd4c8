//! The tailnet of our tests as Headscale serves it, from 0.26 to 0.29.

use serde_json::{Value, json};

use crate::support::faulty_server::{HttpCall, Model};
use crate::support::tailnet::desk::{START, said};
use crate::support::tailnet::{HeadscaleVersion, Tailnet};

const VERSIONS: [HeadscaleVersion; 4] =
    [HeadscaleVersion::V26, HeadscaleVersion::V27, HeadscaleVersion::V28, HeadscaleVersion::V29];

/// Whoever asks a Headscale.
struct Desk {
    tailnet: Tailnet,
    key: String,
    is_old: bool,
}

impl Desk {
    fn new(version: HeadscaleVersion) -> Self {
        let mut tailnet = Tailnet::headscale(START, version);
        let key = tailnet.headscale_key();
        tailnet.settle();
        Self { tailnet, key, is_old: version < HeadscaleVersion::V28 }
    }

    fn ask(&mut self, method: &str, target: &str, body: &Value) -> (u16, Value) {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut call = HttpCall {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            ..HttpCall::default()
        };
        call.headers.insert("authorization".into(), format!("Bearer {}", self.key));
        if !body.is_null() {
            call.body = body.to_string();
            call.headers.insert("content-type".into(), "application/json".into());
        }
        said(&self.tailnet.answer(&call))
    }

    fn get(&mut self, target: &str) -> (u16, Value) {
        self.ask("GET", target, &Value::Null)
    }

    fn make_key(&mut self) -> Value {
        let mut order = json!({
            "reusable": false,
            "ephemeral": true,
            "expiration": "2023-11-14T23:13:20Z",
            "aclTags": ["tag:router"],
        });
        if self.is_old {
            order["user"] = json!("1");
        }
        let (status, made) = self.ask("POST", "/api/v1/preauthkey", &order);
        assert_eq!(status, 200, "{made}");
        made["preAuthKey"].clone()
    }

    fn keys(&mut self) -> Value {
        let target = if self.is_old { "/api/v1/preauthkey?user=1" } else { "/api/v1/preauthkey" };
        self.get(target).1["preAuthKeys"].clone()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.tailnet.take_violations(), Vec::<String>::new());
        }
    }
}

#[test]
fn it_says_its_version_since_0_27_and_speaks_no_v2() {
    for version in VERSIONS {
        let mut desk = Desk::new(version);
        let (status, told) = desk.get("/version");
        assert_eq!(status, if version == HeadscaleVersion::V26 { 404 } else { 200 });
        assert_eq!(told["version"].is_string(), status == 200);
        assert_eq!(desk.get("/api/v2/tailnet/-/keys").0, 404);
        let (_, keys) = desk.get("/api/v1/apikey");
        let prefix = keys["apiKeys"][0]["prefix"].as_str().unwrap().trim_end_matches("***");
        assert!(desk.key.starts_with(prefix), "{prefix}");
        desk.key = "somebody-else".into();
        assert_eq!(desk.get("/api/v1/apikey").0, 401);
    }
}

#[test]
fn a_key_joins_once_and_is_listed_as_used() {
    for version in VERSIONS {
        let mut desk = Desk::new(version);
        let key = desk.make_key();
        let secret = key["key"].as_str().unwrap();
        let node = desk.tailnet.join(secret, "bg-1", &["10.1.0.5/32"]).unwrap();
        assert!(desk.tailnet.join(secret, "bg-2", &[]).is_err());
        let listed = desk.keys();
        assert_eq!(listed[0]["used"], true);
        assert_eq!(
            listed[0]["key"] == secret,
            desk.is_old,
            "since 0.28 the text is not told again"
        );
        let (_, one) = desk.get(&format!("/api/v1/node/{node}"));
        let tags = if desk.is_old { "forcedTags" } else { "tags" };
        assert_eq!(one["node"][tags], json!(["tag:router"]));
        assert_eq!(one["node"]["preAuthKey"]["ephemeral"], true);
    }
}

#[test]
fn a_key_ends_by_user_and_text_before_0_28_and_by_id_since() {
    for version in VERSIONS {
        let mut desk = Desk::new(version);
        let key = desk.make_key();
        let by_id = format!("/api/v1/preauthkey?id={}", key["id"].as_str().unwrap());
        let expire = "/api/v1/preauthkey/expire";
        if desk.is_old {
            assert_eq!(desk.ask("DELETE", &by_id, &Value::Null).0, 501);
            assert_eq!(desk.get("/api/v1/preauthkey").0, 500);
            let other = desk.tailnet.headscale_user("other");
            let order = json!({ "user": other, "key": key["key"] });
            assert_eq!(desk.ask("POST", expire, &order).0, 500);
            let order = json!({ "user": "1", "key": key["key"] });
            assert_eq!(desk.ask("POST", expire, &order), (200, json!({})));
            assert_eq!(desk.keys()[0]["expiration"], "2023-11-14T22:13:20Z");
        } else {
            assert_eq!(desk.ask("POST", expire, &json!({ "id": "999" })), (200, json!({})));
            assert_eq!(desk.ask("DELETE", &by_id, &Value::Null), (200, json!({})));
            assert_eq!(desk.ask("DELETE", &by_id, &Value::Null), (200, json!({})));
            assert_eq!(desk.keys(), json!([]));
        }
        assert_eq!(desk.tailnet.left(), Vec::<String>::new());
    }
}

#[test]
fn what_another_version_would_ask_is_complained_of() {
    let [mut old, mut new] = [HeadscaleVersion::V27, HeadscaleVersion::V28].map(Desk::new);
    let expire = "/api/v1/preauthkey/expire";
    old.ask("POST", expire, &json!({ "id": "1" }));
    assert_eq!(old.tailnet.take_violations().len(), 1);
    new.get("/api/v1/preauthkey?user=1");
    let (status, _) = new.ask("POST", expire, &json!({ "user": "1", "key": "x" }));
    assert_eq!(
        (status, new.tailnet.take_violations().len()),
        (200, 2),
        "it ends nothing, silently"
    );
}

#[test]
fn a_key_needs_a_user_before_0_28_and_a_tag_or_a_user_since() {
    for version in VERSIONS {
        let mut desk = Desk::new(version);
        let tagged = desk.ask("POST", "/api/v1/preauthkey", &json!({ "aclTags": ["tag:a"] }));
        assert_eq!(tagged.0, if desk.is_old { 500 } else { 200 });
        assert_eq!(desk.ask("POST", "/api/v1/preauthkey", &json!({})).0, 500);
        let bad = desk.ask("POST", "/api/v1/preauthkey", &json!({ "user": "1", "aclTags": ["a"] }));
        assert_eq!((bad.0, &bad.1["code"]), (400, &json!(3)));
        let (_, users) = desk.get("/api/v1/user?name=breakglass");
        assert_eq!(users["users"][0]["id"], "1");
    }
}

#[test]
fn routes_are_approved_a_node_and_a_node_that_is_gone_is_not_found() {
    for version in VERSIONS {
        let mut desk = Desk::new(version);
        let key = desk.make_key();
        let node =
            desk.tailnet.join(key["key"].as_str().unwrap(), "bg-1", &["10.1.0.5/32"]).unwrap();
        let path = format!("/api/v1/node/{node}");
        let approve = format!("{path}/approve_routes");
        let (_, said) = desk.ask("POST", &approve, &json!({ "routes": ["10.1.0.5/32"] }));
        assert_eq!(said["node"]["subnetRoutes"], json!(["10.1.0.5/32"]));
        desk.tailnet.go_offline(&node);
        let (_, nodes) = desk.get("/api/v1/node");
        assert_eq!(
            (&nodes["nodes"][0]["online"], &nodes["nodes"][0]["subnetRoutes"]),
            (&json!(false), &json!([]))
        );
        assert_eq!(desk.ask("DELETE", &path, &Value::Null), (200, json!({})));
        let (status, said) = desk.ask("DELETE", &path, &Value::Null);
        let gone = if version == HeadscaleVersion::V26 { (500, 2) } else { (404, 5) };
        assert_eq!((status, &said["code"]), (gone.0, &json!(gone.1)));
        assert_eq!(desk.ask("POST", &approve, &json!({ "routes": [] })).0, 400);
    }
}

#[test]
fn the_policy_is_written_where_the_database_keeps_it() {
    for version in VERSIONS {
        let mut desk = Desk::new(version);
        let text = json!({ "policy": "{ \"acls\": [] } // ours" });
        assert_eq!(desk.ask("PUT", "/api/v1/policy", &text).0, 200);
        assert_eq!(desk.get("/api/v1/policy").1["policy"], text["policy"]);
        let check = desk.ask("POST", "/api/v1/policy/check", &json!({ "policy": "{" }));
        assert_eq!(check.0, if version == HeadscaleVersion::V29 { 400 } else { 404 });
        assert_eq!(desk.ask("PUT", "/api/v1/policy", &json!({ "policy": "{" })).0, 500);
        desk.tailnet.policy_from_file();
        let (status, said) = desk.ask("PUT", "/api/v1/policy", &text);
        assert_eq!(status, 500);
        assert!(said["message"].as_str().unwrap().contains("update is disabled"));
        desk.tailnet.write_policy("");
        assert_eq!(desk.get("/api/v1/policy").0, 500);
    }
}
