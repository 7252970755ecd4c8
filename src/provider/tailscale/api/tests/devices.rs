//! Devices and their routes.

use super::*;
use crate::domain::site::Prefix;
use crate::provider::tailscale::api::Change;

const DEVICE: &str = "/api/v2/device/n1CNTRL";

fn routes(texts: &[&str]) -> Vec<Prefix> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn all_devices_come_with_their_routes() {
    let server = Server::start().await;
    let listed = r#"{"devices":[{"nodeId":"n1CNTRL","advertisedRoutes":["10.0.0.5/32"]},
        {"nodeId":"n2","authorized":false,"tailnetLockError":"not signed"}]}"#;
    server.on("GET /api/v2/tailnet/-/devices", [ok(listed)]);
    let devices = tailnet(&server).devices().await.unwrap();
    assert_eq!(devices[0].advertised, routes(&["10.0.0.5/32"]));
    assert!(!devices[1].authorized && devices[1].lock_error.is_some());
    assert_eq!(server.last().query, "fields=all");
    server.on("GET /api/v2/tailnet/-/devices", [ok(r#"{"message":"odd"}"#)]);
    assert!(matches!(tailnet(&server).devices().await, Err(Trouble::Unclear { .. })));
}

#[tokio::test]
async fn ten_thousand_devices_are_no_trouble() {
    let server = Server::start().await;
    let one =
        format!(r#"{{"nodeId":"n","clientConnectivity":{{"endpoints":["{}"]}}}}"#, "x".repeat(20));
    let all = vec![one; 10_000].join(",");
    server.on("GET /api/v2/tailnet/-/devices", [ok(format!(r#"{{"devices":[{all}]}}"#))]);
    let token = Token::of(Secret::new("tskey-api-k1-x"), true).ok().unwrap();
    let http = Http::new(Trust::default(), super::super::LIMITS);
    let control = V2::new(Asker::new(http, &server.url, token, Still::new()).unwrap(), "-");
    assert_eq!(control.devices().await.unwrap().len(), 10_000);
}

#[tokio::test]
async fn a_device_is_there_or_not_or_nobody_knows() {
    let server = Server::start().await;
    let control = tailnet(&server);
    assert_eq!(control.device("n1CNTRL").await.unwrap(), None);
    for (answer, clear) in [
        (ok(r#"{"nodeId":"n1CNTRL"}"#), true),
        (ok("{}"), false),
        (says(404, "<!doctype html>"), false),
        (says(504, ""), false),
    ] {
        server.on(&format!("GET {DEVICE}"), [answer.clone()]);
        assert_eq!(control.device("n1CNTRL").await.is_ok(), clear, "{answer:?}");
    }
    assert_eq!(server.last().query, "fields=all");
}

#[tokio::test]
async fn routes_are_replaced_and_sent_again_when_nobody_answers() {
    let server = Server::start().await;
    let enabled =
        r#"{"advertisedRoutes":[],"enabledRoutes":["fd7a:115c:a1e0:b1a:0:7:a01:100/120"]}"#;
    server.on(&format!("POST {DEVICE}/routes"), [says(504, ""), ok(enabled)]);
    let wanted = routes(&["fd7a:115c:a1e0:b1a:0:7:a01:100/120"]);
    let outcome = tailnet(&server).set_routes("n1CNTRL", &wanted).await;
    assert_eq!(outcome, Change::Made(wanted));
    assert_eq!(server.last().body, r#"{"routes":["fd7a:115c:a1e0:b1a:0:7:a01:100/120"]}"#);
    assert_eq!(server.lines().len(), 2);
    server.on(&format!("POST {DEVICE}/routes"), [says(403, "{}")]);
    let outcome = tailnet(&server).set_routes("n1CNTRL", &[]).await;
    let why = Trouble::Ability {
        server: format!("`{}`", server.url),
        deed: "allow the routes of a device",
        scope: "devices:routes",
        said: None,
    };
    assert_eq!(outcome, Change::Refused(why));
}

#[tokio::test]
async fn a_device_that_waits_for_approval_is_let_in() {
    let server = Server::start().await;
    server.on(&format!("POST {DEVICE}/authorized"), [ok("")]);
    assert_eq!(tailnet(&server).authorize("n1CNTRL").await, Change::Made(()));
    assert_eq!(server.last().body, r#"{"authorized":true}"#);
    let settings = "GET /api/v2/tailnet/-/settings";
    let told = r#"{"devicesApprovalOn":true,"aclsExternallyManagedOn":null,"aclsExternalLink":""}"#;
    for (answer, approval) in
        [(ok(told), Some(true)), (ok("{}"), None), (says(403, "{}"), None), (says(404, "{}"), None)]
    {
        server.on(settings, [answer]);
        let settings = tailnet(&server).settings().await.unwrap();
        assert_eq!(settings.devices_approval_on, approval);
        assert_eq!(
            (settings.acls_externally_managed_on, settings.acls_external_link),
            (None, None)
        );
    }
}

#[tokio::test]
async fn a_device_is_looked_up_before_its_end_is_called_unknown() {
    for (delete, get, gone) in [
        (ok(""), ok("{}"), Some(true)),
        (says(404, r#"{"message":"no"}"#), ok("{}"), Some(true)),
        (says(500, ""), says(404, "{}"), Some(true)),
        (silence(), says(404, "{}"), Some(true)),
        (says(500, ""), ok(r#"{"nodeId":"n1CNTRL"}"#), None),
        (says(500, ""), says(500, ""), None),
        (says(501, r#"{"message":"shared"}"#), ok("{}"), Some(false)),
        (says(403, "{}"), ok("{}"), Some(false)),
    ] {
        let server = Server::start().await;
        server
            .on(&format!("DELETE {DEVICE}"), [delete.clone()])
            .on(&format!("GET {DEVICE}"), [get]);
        let outcome = match tailnet(&server).delete_device("n1CNTRL").await {
            Change::Made(()) => Some(true),
            Change::Refused(_) => Some(false),
            Change::Unknown(_) => None,
        };
        assert_eq!(outcome, gone, "{delete:?}");
    }
}

#[tokio::test]
async fn no_id_leads_elsewhere() {
    let server = Server::start().await;
    let control = tailnet(&server);
    for id in ["", ".", "..", "a/b", "n1?x=1", "n1#", "../../tailnet/-/acl", "%2e%2e"] {
        assert!(matches!(control.delete_device(id).await, Change::Refused(_)), "{id}");
        assert!(matches!(control.delete_key(id).await, Change::Refused(_)), "{id}");
        assert!(control.device(id).await.is_err() && control.key(id).await.is_err(), "{id}");
    }
    assert!(server.lines().is_empty());
    let token = Token::of(Secret::new("tskey-api-k1-x"), true).ok().unwrap();
    let asker =
        Asker::new(http(&server), &format!("{}/base/?q#f", server.url), token, Still::new());
    let odd = V2::new(asker.unwrap(), "a/../b?c");
    assert!(odd.devices().await.is_err());
    assert_eq!(server.last().line, "GET /base/api/v2/tailnet/a%2F..%2Fb%3Fc/devices");
}
