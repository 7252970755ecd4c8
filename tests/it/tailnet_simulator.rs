//! The tailnet that our tests stand on does what its vendor's does: each rule in a line or two.

use breakglass::domain::time::Span;
use serde_json::{Value, json};

use crate::support::faulty_server::Model;
use crate::support::tailnet::desk::{Desk, POLICY, START, ids, said};
use crate::support::tailnet::{Carrier, Refusal, Tailnet};

#[test]
fn a_key_is_told_once_and_joins_once() {
    let mut desk = Desk::new();
    let (status, key) = desk.make_key(600, &["tag:router"]);
    let (id, secret) = (key["id"].as_str().unwrap(), key["key"].as_str().unwrap());
    assert_eq!((status, secret.split('-').nth(2)), (200, Some(id)));
    assert_eq!(key["expirySeconds"], 600);
    let path = format!("/tailnet/-/keys/{id}");
    assert_eq!(desk.get(&path).1["key"], Value::Null);
    let node = desk.tailnet.join(secret, "bg-1", &[]).unwrap();
    assert_eq!(desk.tailnet.device(&node).unwrap().tags, ["tag:router"]);
    assert_eq!(desk.get(&path).1["invalid"], true);
    assert!(desk.tailnet.auth_key(id).unwrap().used);
    assert_eq!(desk.tailnet.join(secret, "bg-1", &[]), Err(Refusal::InvalidKey));
    assert_eq!(desk.tailnet.join("tskey-auth-none", "bg-1", &[]), Err(Refusal::UnknownKey));
}

#[test]
fn a_key_ends_by_itself_or_is_taken_back_and_is_still_known() {
    let mut desk = Desk::new();
    let (_, over) = desk.make_key(60, &["tag:router"]);
    let (_, taken) = desk.make_key(6_000, &["tag:router"]);
    let path = |key: &Value| format!("/tailnet/-/keys/{}", key["id"].as_str().unwrap());
    assert_eq!(desk.tailnet.left().len(), 2);
    desk.advance(1);
    assert_eq!(desk.get(&path(&over)).1["invalid"], true);
    assert_eq!(desk.ask("DELETE", &path(&taken), &Value::Null).0, 200);
    assert_eq!(desk.get(&path(&taken)).1["invalid"], true);
    assert_eq!(desk.ask("DELETE", &path(&taken), &Value::Null).0, 404);
    assert_eq!(desk.get("/tailnet/-/keys/k0").0, 404);
    assert_eq!(desk.tailnet.left(), Vec::<String>::new());
}

#[test]
fn a_key_that_is_not_well_described_is_refused() {
    let mut desk = Desk::new();
    let devices = json!({ "devices": {} });
    for (order, status) in [
        (json!({ "capabilities": devices }), 200),
        (json!({ "capabilities": devices, "description": "a".repeat(50) }), 200),
        (json!({ "capabilities": devices, "description": "a".repeat(51) }), 400),
        (json!({ "capabilities": devices, "description": "for tag:x" }), 400),
        (json!({ "capabilities": devices, "expirySeconds": 0 }), 400),
        (json!({ "capabilities": devices, "expirySeconds": 7_776_001 }), 400),
    ] {
        assert_eq!(desk.ask("POST", "/tailnet/-/keys", &order).0, status, "{order}");
    }
}

#[test]
fn tags_are_the_clients_own_set_or_what_they_own() {
    let both = ["tag:admin", "tag:other"];
    for (client, wanted, fits) in [
        (&both[..1], &["tag:admin"][..], true),
        (&both[..1], &["tag:router"], true),
        (&both[..1], &["tag:other"], false),
        (&both[..1], &["tag:none"], false),
        (&both[..1], &[], false),
        (&both, &["tag:other", "tag:admin"], true),
        (&both, &["tag:admin"], false),
        (&both, &["tag:router"], true),
    ] {
        let mut desk = Desk::of_client(&["auth_keys"], client);
        let (status, said) = desk.make_key(600, wanted);
        assert_eq!(status == 200, fits, "{client:?} {wanted:?}");
        let words = format!("requested tags [{}] are invalid or not permitted", wanted.join(" "));
        assert_eq!(said["message"] == words, !fits);
    }
    let mut person = Desk::new();
    assert_eq!(person.make_key(600, &["tag:other"]).0, 200);
    assert_eq!(person.make_key(600, &["tag:none"]).0, 400);
}

#[test]
fn a_client_mints_tokens_of_an_hour() {
    let mut desk = Desk::new();
    let secret = desk.tailnet.oauth_client(&["auth_keys", "devices:core"], &["tag:admin"]);
    let form = format!("client_id=x&client_secret={secret}");
    let (_, whole) = desk.mint(&form);
    assert_eq!(whole["expires_in"], 3_600);
    assert_eq!(
        (&whole["scope"], &whole["tags"]),
        (&json!("auth_keys devices:core"), &json!("tag:admin"))
    );
    desk.tailnet.switches.tells_tags = false;
    let (_, narrow) = desk.mint(&format!("{form}&scope=auth_keys&grant_type=client_credentials"));
    assert_eq!((&narrow["scope"], &narrow["tags"]), (&json!("auth_keys"), &Value::Null));
    assert_eq!(desk.mint(&format!("{form}&scope=policy_file")).0, 400);
    assert_eq!(desk.mint("client_id=x&client_secret=tskey-client-x-y").0, 401);
    desk.token = narrow["access_token"].as_str().unwrap().to_owned();
    assert_eq!(desk.get("/tailnet/-/devices").0, 403);
    desk.token = whole["access_token"].as_str().unwrap().to_owned();
    assert_eq!(desk.get("/tailnet/-/devices").0, 200);
    desk.advance(60);
    assert_eq!(desk.get("/tailnet/-/devices").0, 401);
    desk.token = desk.mint(&form).1["access_token"].as_str().unwrap().to_owned();
    desk.tailnet.end_minted();
    assert_eq!(desk.get("/tailnet/-/devices").0, 401);
    desk.tailnet.revoke(&secret);
    assert_eq!(desk.mint(&form).0, 401);
}

#[test]
fn whoever_may_not_is_refused_but_sees_its_own_key() {
    let mut desk = Desk::new();
    let own = |token: &str| format!("/tailnet/-/keys/{}", token.split('-').nth(2).unwrap());
    let first = own(&desk.token);
    desk.token = desk.tailnet.limited_token("bob@example.com", &["devices:core:read"]);
    let mine = own(&desk.token);
    assert_eq!(desk.get(&mine).1["scopes"], json!(["all"]));
    assert_eq!(desk.get(&first).0, 403);
    assert_eq!(desk.get("/tailnet/-/devices").0, 200);
    assert_eq!(desk.get("/tailnet/T1234CNTRL/devices").0, 200);
    assert_eq!(desk.get("/tailnet/other.example.com/devices").0, 404);
    assert_eq!(desk.make_key(600, &["tag:router"]).0, 403);
    let mut basic = desk.call("GET", "/tailnet/-/devices", "");
    let user = base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        format!("{}:", desk.token),
    );
    basic.headers.insert("authorization".into(), format!("Basic {user}"));
    assert_eq!(desk.tailnet.answer(&basic).status, 200);
    let token = desk.token.clone();
    desk.tailnet.revoke(&token);
    assert_eq!(desk.get(&mine).0, 401);
}

#[test]
fn who_lists_keys_sees_their_own_or_all() {
    let mut desk = Desk::new();
    let key = desk.make_key(600, &["tag:router"]).1["id"].as_str().unwrap().to_owned();
    desk.tailnet.somebodys_key("bob@example.com", "bob's", &[]);
    let (_, mine) = desk.get("/tailnet/-/keys");
    assert_eq!(ids(&mine["keys"]).len(), 2);
    assert!(ids(&mine["keys"]).contains(&key.as_str()));
    assert_eq!(ids(&desk.get("/tailnet/-/keys?all=true").1["keys"]).len(), 3);
    desk.tailnet.switches.lists_ids_only = true;
    assert_eq!(desk.get("/tailnet/-/keys").1["keys"][1], json!({ "id": key }));

    let mut client = Desk::of_client(&["auth_keys"], &["tag:admin"]);
    client.make_key(600, &["tag:router"]);
    let (_, clients) = client.get("/tailnet/-/keys");
    assert_eq!(clients["keys"].as_array().unwrap().len(), 1);
    assert_eq!(clients["keys"][0]["keyType"], "client");
    assert_eq!(client.get("/tailnet/-/keys?all=true").0, 403);
}

#[test]
fn devices_are_filtered_and_shown_in_part_unless_all_is_asked_for() {
    let mut desk = Desk::new();
    let node = desk.router(&["10.9.1.0/24"]);
    desk.tailnet.resident("bg-1", &["tag:router", "tag:other"], &[]);
    let (_, part) = desk.get("/tailnet/-/devices");
    assert_eq!(part["devices"][0]["advertisedRoutes"], Value::Null);
    assert_eq!(part["devices"][1]["name"], "bg-1-1.tail0123.ts.net");
    let (_, all) = desk.get("/tailnet/-/devices?fields=all&isEphemeral=true");
    assert_eq!(all["devices"].as_array().unwrap().len(), 1);
    assert_eq!(all["devices"][0]["advertisedRoutes"], json!(["10.9.1.0/24"]));
    let both = desk.get("/tailnet/-/devices?tags=tag:router&tags=tag:other&hostname=bg-1").1;
    assert_eq!(both["devices"].as_array().unwrap().len(), 1);
    desk.tailnet.switches.devices_listed_after = Span::from_minutes(1);
    let late = desk.tailnet.resident("late", &[], &[]);
    let listed = |desk: &mut Desk| ids(&desk.get("/tailnet/-/devices").1["devices"]).len();
    assert_eq!((listed(&mut desk), desk.get(&format!("/device/{late}")).0), (2, 200));
    desk.advance(1);
    assert_eq!(listed(&mut desk), 3);
    desk.tailnet.switches.empty_times = true;
    let legacy = all["devices"][0]["id"].as_str().unwrap();
    let (_, one) = desk.get(&format!("/device/{legacy}"));
    assert_eq!((&one["nodeId"], &one["created"]), (&json!(node), &json!("")));
}

#[test]
fn an_ephemeral_device_stays_a_while_unless_it_logs_out() {
    let mut desk = Desk::new();
    let resident = desk.tailnet.resident("base", &[], &[]);
    let nodes = [(); 3].map(|()| desk.router(&[]));
    let path = format!("/device/{}", nodes[0]);
    assert_eq!(desk.get(&path).1["connectedToControl"], true);
    assert_eq!(desk.get(&path).1["lastSeen"], Value::Null);
    for node in [&nodes[0], &nodes[1], &resident] {
        desk.tailnet.go_offline(node);
    }
    assert_eq!(desk.get(&path).1["connectedToControl"], false);
    assert!(desk.get(&path).1["lastSeen"].is_string());
    desk.tailnet.go_online(&nodes[1]);
    desk.tailnet.leave(&nodes[2]);
    assert!(desk.tailnet.device(&nodes[2]).is_none());
    desk.advance(44);
    assert_eq!(desk.get(&path).0, 200);
    desk.advance(1);
    assert_eq!(desk.get(&path).0, 404);
    assert_eq!(desk.tailnet.nodes(), [resident.clone(), nodes[1].clone()]);
    desk.tailnet.leave(&resident);
    assert!(desk.tailnet.device(&resident).is_some());
}

#[test]
fn routes_are_replaced_and_may_be_enabled_before_they_are_advertised() {
    let mut desk = Desk::new();
    let node = desk.router(&[]);
    let path = format!("/device/{node}/routes");
    let (_, early) = desk.ask("POST", &path, &json!({ "routes": ["10.1.0.5/32"] }));
    assert_eq!(early, json!({ "advertisedRoutes": [], "enabledRoutes": ["10.1.0.5/32"] }));
    let to = "10.1.0.5".parse().unwrap();
    assert_eq!(desk.tailnet.carrier(to), Carrier::Nobody);
    desk.tailnet.advertise(&node, &["10.1.0.5/32"]);
    assert_eq!(desk.tailnet.carrier(to), Carrier::Device(node.clone()));
    let (_, later) = desk.ask("POST", &path, &json!({ "routes": [] }));
    assert_eq!(later["enabledRoutes"], json!([]));
    assert_eq!(desk.get(&path).1["advertisedRoutes"], json!(["10.1.0.5/32"]));
    assert_eq!(desk.tailnet.carrier(to), Carrier::Nobody);
}

#[test]
fn approval_by_policy_is_for_new_routes_alone() {
    let mut desk = Desk::new();
    let node = desk.router(&["10.9.1.0/24", "10.8.0.0/16"]);
    let enabled = |desk: &Desk| desk.tailnet.device(&node).unwrap().enabled.clone();
    assert_eq!(enabled(&desk), ["10.9.1.0/24"]);
    desk.tailnet.write_policy(&POLICY.replace("10.9.0.0/16", "10.8.0.0/16"));
    desk.tailnet.advertise(&node, &["10.9.1.0/24", "10.8.0.0/16"]);
    assert_eq!(enabled(&desk), ["10.9.1.0/24"]);
    desk.tailnet.advertise(&node, &[]);
    desk.tailnet.advertise(&node, &["10.8.0.0/16"]);
    assert_eq!(enabled(&desk), ["10.9.1.0/24", "10.8.0.0/16"]);
}

#[test]
fn a_longer_route_of_one_that_is_off_loses_what_it_draws() {
    let mut desk = Desk::new();
    let wide = desk.tailnet.resident("wide", &[], &["10.0.0.0/8", "fd00::/8"]);
    let long = desk.tailnet.resident("long", &[], &["10.1.0.5/32"]);
    desk.tailnet.go_offline(&long);
    let carrier = |to: &str| desk.tailnet.carrier(to.parse().unwrap());
    assert_eq!(carrier("10.1.0.5"), Carrier::BlackHole(long.clone()));
    assert_eq!(carrier("10.1.0.6"), Carrier::Device(wide.clone()));
    assert_eq!(carrier("fd12::1"), Carrier::Device(wide));
    assert_eq!(desk.ask("DELETE", &format!("/device/{long}"), &Value::Null).0, 200);
    assert_eq!(desk.ask("DELETE", &format!("/device/{long}"), &Value::Null).0, 404);
}

#[test]
fn a_device_may_have_to_be_let_in_or_signed() {
    let mut desk = Desk::new();
    desk.tailnet.switches.approval_on = true;
    desk.tailnet.switches.lock_on = true;
    let let_in = desk.router(&[]);
    assert!(desk.tailnet.device(&let_in).unwrap().authorized);
    let key = desk.tailnet.somebodys_key("ann@example.com", "", &[]);
    let waits = desk.tailnet.join(&key, "new", &[]).unwrap();
    let path = format!("/device/{waits}");
    assert_eq!(desk.get(&path).1["authorized"], false);
    assert_ne!(desk.get(&path).1["tailnetLockError"], "");
    let order = json!({ "authorized": true });
    assert_eq!(desk.ask("POST", &format!("{path}/authorized"), &order).0, 200);
    assert_eq!(desk.get(&path).1["authorized"], true);
    let foreign = desk.tailnet.shared_in("theirs");
    assert_eq!(desk.ask("DELETE", &format!("/device/{foreign}"), &Value::Null).0, 501);
}

#[test]
fn a_policy_file_is_written_over_the_version_that_was_read() {
    let mut desk = Desk::new();
    let read = desk.tailnet.answer(&desk.call("GET", "/tailnet/-/acl", ""));
    assert_eq!(
        (read.body.as_str(), &*read.headers["content-type"]),
        (POLICY, "application/hujson")
    );
    let tag = read.headers["etag"].clone();
    assert!(tag.starts_with('"') && tag.len() == 66);
    let new = POLICY.replace("Ours", "Theirs");
    for wrong in ["\"ts-default\"", tag.trim_matches('"'), &format!("\"{tag}\"")] {
        assert_eq!(desk.put(&new, Some(wrong)).status, 412, "{wrong}");
    }
    let written = desk.put(&new, Some(&tag));
    assert_eq!((written.status, written.body), (200, new.clone()));
    assert_ne!(written.headers["etag"], tag);
    assert_eq!(desk.put(POLICY, Some(&tag)).status, 412);
    assert_eq!(desk.put("{ \"acls\": [ }", None).status, 400);
    assert_eq!(desk.put(&new.replace("tag:router\": [", "tag:gone\": ["), None).status, 400);
    let failing = new.replace(
        "\"groups\"",
        r#""tests": [{"src": "tag:router", "accept": ["base:22"]}], "groups""#,
    );
    assert_eq!(said(&desk.put(&failing, None)).1["data"][0]["user"], "tag:router");
    assert_eq!(desk.tailnet.policy_text(), new);
    assert_eq!(desk.put(POLICY, None).status, 200);

    let mut untouched = Desk::new();
    untouched.tailnet = Tailnet::new(START);
    untouched.token = untouched.tailnet.api_token("ann@example.com");
    assert_eq!(untouched.put(POLICY, Some("\"ts-default\"")).status, 200);
    assert_eq!(untouched.put(POLICY, Some("\"ts-default\"")).status, 412);
}

#[test]
fn a_policy_file_is_read_as_json_or_in_detail() {
    let mut desk = Desk::new();
    let mut call = desk.call("GET", "/tailnet/-/acl", "");
    call.headers.insert("accept".into(), "application/json".into());
    let (_, read) = said(&desk.tailnet.answer(&call));
    assert_eq!(read["tagOwners"]["tag:router"], json!(["tag:admin"]));
    desk.tailnet.switches.warnings = vec![("group:ops".into(), "not synced".into())];
    let (_, detail) = desk.get("/tailnet/-/acl?details=true");
    assert!(detail["acl"].as_str().unwrap().starts_with("Ly8gT3Vycy4K"));
    assert_eq!(detail["warnings"][0], "\"group:ops\": not synced");
}
