//! The v1 of Headscale, as its versions answer.

use super::*;
use crate::provider::tailscale::api::headscale::{Headscale, Keys};
use crate::provider::tailscale::api::{Change, NewKey};

const NODE: &str = "/api/v1/node/7";

/// As 0.28 and 0.29 list one.
const NODE_29: &str = r#"{"id":"7","machineKey":"mkey:x","nodeKey":"nodekey:y","ipAddresses":["100.64.0.7"],
    "name":"bg-0a1b2c3d","user":{"id":"2147455555","name":"tagged-devices"},"lastSeen":null,"expiry":null,
    "preAuthKey":{"user":null,"id":"3","key":"hskey-auth-abc-***","ephemeral":true},
    "createdAt":"2026-01-01T00:00:00.5Z","registerMethod":"REGISTER_METHOD_AUTH_KEY","givenName":"bg-0a1b2c3d-1",
    "online":true,"approvedRoutes":[],"availableRoutes":["10.0.0.5/32"],"subnetRoutes":[],"tags":["tag:r"]}"#;

/// As 0.26 and 0.27 list one.
const NODE_26: &str = r#"{"id":"7","ipAddresses":["100.64.0.7"],"name":"bg-0a1b2c3d","givenName":"bg-0a1b2c3d-1",
    "preAuthKey":{"id":"3","key":"c4n4ry","ephemeral":true},"online":true,"approvedRoutes":[],
    "createdAt":"2026-01-01T00:00:00.5Z","availableRoutes":["10.0.0.5/32"],
    "forcedTags":[],"invalidTags":[],"validTags":["tag:r"]}"#;

fn headscale(server: &Server, keys: Keys, user: Option<&str>) -> Headscale {
    let token = Token::of(Secret::new(format!("hskey-api-abcdefghijkl-{CANARY}")), false);
    let asker = Asker::new(http(server), &server.url, token.ok().unwrap(), Still::new()).unwrap();
    Headscale::new(asker, keys, user.map(str::to_owned))
}

fn wanted() -> NewKey {
    NewKey::new(vec!["tag:r".into()], "breakglass x")
}

fn made() -> Says {
    ok(format!(
        r#"{{"preAuthKey":{{"user":null,"id":"3","key":"hskey-auth-abc-{CANARY}","reusable":false,
            "ephemeral":true,"used":false,"expiration":"2026-01-01T00:10:00Z","aclTags":["tag:r"]}}}}"#
    ))
}

#[tokio::test]
async fn a_key_is_made_without_a_user_where_none_is_needed() {
    let server = Server::start().await;
    server.on("POST /api/v1/preauthkey", [made()]);
    let control = headscale(&server, Keys::ById, None);
    let Change::Made(key) = control.create_key(&wanted()).await else { panic!() };
    assert_eq!((key.id.as_str(), key.tags), ("3", vec!["tag:r".to_owned()]));
    insta::assert_snapshot!(server.last().body, @r#"{"reusable":false,"ephemeral":true,"expiration":"2026-01-01T00:10:00.000Z","aclTags":["tag:r"]}"#);
    server
        .on("POST /api/v1/preauthkey", [says(500, r#"{"code":2,"message":"database is locked"}"#)]);
    assert!(matches!(control.create_key(&wanted()).await, Change::Unknown(_)));
    assert_eq!(server.lines().len(), 2, "sent once");
    let why = control.keys_described("x").await.unwrap_err();
    assert!(matches!(why, Trouble::CannotList { .. }));
}

#[tokio::test]
async fn a_wrong_clock_here_makes_no_key_that_is_over() {
    let server = Server::start().await;
    let ahead = "Thu, 01 Jan 2026 05:00:00 GMT";
    server
        .on("GET /api/v1/user", [ok(r#"{"users":[{"id":"1","name":"ops"}]}"#).with("date", ahead)]);
    server.on("POST /api/v1/preauthkey", [made()]);
    headscale(&server, Keys::ByUser, None).create_key(&wanted()).await;
    assert!(server.last().body.contains(r#""user":"1""#));
    assert!(server.last().body.contains("2026-01-01T05:10:00"), "{}", server.last().body);
}

#[tokio::test]
async fn an_old_one_must_know_whose_key_it_is() {
    let server = Server::start().await;
    server.on("POST /api/v1/preauthkey", [made()]);
    let users = r#"{"users":[{"id":"1","name":"ops"},{"id":"2","name":"dev"}]}"#;
    server.on("GET /api/v1/user", [ok(users)]);
    let mut said = vec![];
    for user in [None, Some("nobody")] {
        let outcome = headscale(&server, Keys::ByUser, user).create_key(&wanted()).await;
        let Change::Refused(why) = outcome else { panic!("{outcome:?}") };
        said.push(server.hidden(why));
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    `SERVER` refused to make a key for a device: its keys belong to a user; name one in the configuration, of ops, dev
    `SERVER` refused to make a key for a device: there is no user `nobody`; there are ops, dev
    "#);
    for user in ["dev", "2"] {
        headscale(&server, Keys::ByUser, Some(user)).create_key(&wanted()).await;
        assert!(server.last().body.starts_with(r#"{"user":"2","#));
    }
    server.on("GET /api/v1/user", [says(500, "")]);
    let outcome = headscale(&server, Keys::ByUser, None).create_key(&wanted()).await;
    assert!(matches!(outcome, Change::Refused(_)), "nothing was made yet: {outcome:?}");
}

#[tokio::test]
async fn a_key_is_taken_back_as_the_version_wants_it() {
    let server = Server::start().await;
    let list = |expiration: &str| {
        let key = format!(r#""key":"{CANARY}","used":false,"expiration":"{expiration}""#);
        ok(format!(r#"{{"preAuthKeys":[{{"id":"2","key":"other"}},{{"id":"3",{key}}}]}}"#))
    };
    let (valid, over) = ("2026-01-01T00:10:00Z", "2026-01-01T00:00:01Z");
    server.on("GET /api/v1/user", [ok(r#"{"users":[{"id":"1","name":"ops"}]}"#)]);
    server.on("DELETE /api/v1/preauthkey", [ok("{}")]);
    server.on("POST /api/v1/preauthkey/expire", [ok("{}")]);
    assert_eq!(headscale(&server, Keys::ById, None).delete_key("3").await, Change::Made(()));
    assert_eq!((server.last().query, server.lines().len()), ("id=3".to_owned(), 1));
    let old = headscale(&server, Keys::ByUser, None);
    server.on("GET /api/v1/preauthkey", [list(valid)]);
    assert_eq!(old.delete_key("3").await, Change::Made(()));
    assert_eq!(server.last().body, format!(r#"{{"user":"1","key":"{CANARY}"}}"#));
    assert_eq!(server.seen()[2].query, "user=1");
    server.on("POST /api/v1/preauthkey/expire", [says(500, r#"{"code":2,"message":"x"}"#)]);
    assert!(matches!(old.delete_key("3").await, Change::Unknown(_)));
    server.on("GET /api/v1/preauthkey", [list(valid), list(over)]);
    assert_eq!(old.delete_key("3").await, Change::Made(()), "seen to be over");
    server.on("DELETE /api/v1/preauthkey", [says(500, r#"{"code":2,"message":"not found"}"#)]);
    server.on("GET /api/v1/preauthkey", [ok(r#"{"preAuthKeys":[]}"#)]);
    assert_eq!(headscale(&server, Keys::ById, None).delete_key("3").await, Change::Made(()));
}

#[tokio::test]
async fn a_spent_or_expired_key_is_invalid() {
    let server = Server::start().await;
    let control = headscale(&server, Keys::ById, None);
    for (key, invalid) in [
        (r#""used":true"#, true),
        (r#""used":true,"reusable":true"#, false),
        (r#""expiration":"2025-12-31T23:59:59Z""#, true),
        (r#""expiration":"2026-01-01T00:10:00Z""#, false),
        (r#""expiration":null"#, false),
    ] {
        server.on(
            "GET /api/v1/preauthkey",
            [ok(format!(r#"{{"preAuthKeys":[{{"id":"3",{key}}}]}}"#))],
        );
        assert_eq!(control.key("3").await.unwrap().unwrap().invalid, invalid, "{key}");
    }
    assert_eq!(control.key("4").await.unwrap(), None);
}

#[tokio::test]
async fn nodes_of_every_version_are_devices() {
    let server = Server::start().await;
    let control = headscale(&server, Keys::ById, None);
    let mut devices = vec![];
    for node in [NODE_26, NODE_29] {
        server.on("GET /api/v1/node", [ok(format!(r#"{{"nodes":[{node}]}}"#))]);
        devices.extend(control.devices().await.unwrap());
    }
    assert_eq!(devices[0], devices[1]);
    let device = &devices[0];
    assert!(device.is_ephemeral && device.online && device.authorized);
    assert_eq!(
        (device.id.as_str(), device.tags.as_slice()),
        ("7", ["tag:r".to_owned()].as_slice())
    );
    assert_eq!((device.hostname.as_str(), device.name.as_str()), ("bg-0a1b2c3d", "bg-0a1b2c3d-1"));
    assert_eq!(device.advertised[0].to_string(), "10.0.0.5/32");
    assert!(!format!("{devices:?}").contains("c4n4ry"));
}

#[tokio::test]
async fn a_node_that_0_26_answers_500_for_is_looked_up_in_the_list() {
    let server = Server::start().await;
    let control = headscale(&server, Keys::ByUser, None);
    let error = says(500, r#"{"code":2,"message":"record not found","details":[]}"#);
    server.on(&format!("GET {NODE}"), [error.clone()]).on(&format!("DELETE {NODE}"), [error]);
    server.on("GET /api/v1/node", [ok(r#"{"nodes":[]}"#)]);
    assert_eq!(control.device("7").await.unwrap(), None);
    assert_eq!(control.delete_device("7").await, Change::Made(()));
    server.on("GET /api/v1/node", [ok(format!(r#"{{"nodes":[{NODE_26}]}}"#))]);
    assert_eq!(control.device("7").await.unwrap().unwrap().id, "7");
    assert!(matches!(control.delete_device("7").await, Change::Unknown(_)));
    server.on(&format!("DELETE {NODE}"), [says(404, r#"{"code":5,"message":"node not found"}"#)]);
    assert_eq!(control.delete_device("7").await, Change::Made(()));
}

#[tokio::test]
async fn routes_are_approved_node_by_node() {
    let server = Server::start().await;
    let approved = NODE_29.replace(r#""approvedRoutes":[]"#, r#""approvedRoutes":["10.0.0.5/32"]"#);
    let path = format!("POST {NODE}/approve_routes");
    server.on(&path, [says(502, ""), ok(format!(r#"{{"node":{approved}}}"#))]);
    let wanted = vec!["10.0.0.5/32".parse().unwrap()];
    let control = headscale(&server, Keys::ById, None);
    assert_eq!(control.set_routes("7", &wanted).await, Change::Made(wanted.clone()));
    assert_eq!(server.last().body, r#"{"routes":["10.0.0.5/32"]}"#);
    assert!(matches!(control.set_routes("7/../8", &wanted).await, Change::Refused(_)));
    assert_eq!(control.authorize("7").await, Change::Made(()));
    assert_eq!(control.may_reach("tag:r", "10.0.0.5".parse().unwrap(), 22).await, Ok(None));
    assert_eq!(control.settings().await.unwrap().devices_approval_on, None);
}

#[tokio::test]
async fn a_policy_is_compared_before_it_is_written_over() {
    let server = Server::start().await;
    let policy = |text: &str| ok(format!(r#"{{"policy":"{text}","updatedAt":null}}"#));
    let path = "/api/v1/policy";
    let (get, put) = (format!("GET {path}"), format!("PUT {path}"));
    let control = headscale(&server, Keys::ById, None);
    server.on(&get, [policy("// a\\n{}")]).on(&put, [policy("{}")]);
    let read = control.policy().await.unwrap();
    assert_eq!((read.text.as_str(), read.guarded), ("// a\n{}", false));
    assert!(matches!(control.put_policy("{}", &read.etag).await, Change::Made(_)));
    assert_eq!(server.last().body, r#"{"policy":"{}"}"#);
    let failed = |said: &str| says(500, format!(r#"{{"code":2,"message":"{said}"}}"#));
    let mut said = vec![];
    for why in ["update is disabled for modes other than 'database'", "setting policy: odd"] {
        server.on(&put, [failed(why)]);
        let Change::Refused(why) = control.put_policy("{}", &read.etag).await else { panic!() };
        said.push(server.hidden(why));
    }
    insta::assert_snapshot!(said.join("\n"), @r#"
    `SERVER` refused to write the policy file: it reads the policy from a file; edit that file, or set `policy.mode: database` in its configuration
    `SERVER` refused to write the policy file: status 500, and it says `setting policy: odd`
    "#);
    server.on(&put, [says(502, "<html>")]);
    server.on(&get, [policy("// a\\n{}"), policy("{}")]);
    let outcome = control.put_policy("{}", &read.etag).await;
    assert!(matches!(outcome, Change::Made(_)), "seen to be in force: {outcome:?}");
    server.on(&get, [policy("// a\\n{}")]);
    assert!(matches!(control.put_policy("{}", &read.etag).await, Change::Unknown(_)));
    server.on(&get, [policy("theirs")]);
    assert_eq!(control.put_policy("{}", &read.etag).await, Change::Refused(Trouble::Conflict));
}

#[tokio::test]
async fn a_policy_is_checked_where_the_server_can() {
    let server = Server::start().await;
    let control = headscale(&server, Keys::ById, None);
    let why = control.validate_policy("{}").await.unwrap_err();
    assert!(matches!(why, Trouble::NotOffered { .. }), "before 0.29: {why}");
    let check = "POST /api/v1/policy/check";
    server.on(check, [ok("{}"), says(400, r#"{"code":3,"message":"tag not found"}"#)]);
    assert!(control.validate_policy("{}").await.unwrap().is_good());
    assert_eq!(control.validate_policy("{}").await.unwrap().errors, ["tag not found"]);
}

#[tokio::test]
async fn the_end_of_an_api_key_is_in_its_list() {
    let server = Server::start().await;
    let keys = r#"{"apiKeys":[{"id":"1","prefix":"zzzzzzz***","expiration":"2027-01-01T00:00:00Z"},
        {"id":"2","prefix":"hskey-api-abcdefghijkl-***","expiration":"2026-02-01T00:00:00Z"}]}"#;
    server.on("GET /api/v1/apikey", [ok(keys)]);
    let credential = headscale(&server, Keys::ById, None).credential().await.unwrap();
    assert_eq!((credential.id.as_deref(), credential.invalid), (Some("2"), false));
    assert_eq!(credential.expires, Some(NOW + Span::from_hours(31 * 24)));
}
