//! What is seen of a network.

use super::*;
use crate::provider::twingate::api::{Access, Connector, ConnectorState, Group, Named};

#[tokio::test]
async fn what_is_sent_is_one_document_with_the_key_in_its_header() {
    let server = Server::start().await;
    server.on("Glance", [data(&json!({ "page": { "totalCount": 7 } }))]);
    assert_eq!(server.caller().glance().await, Ok(7));
    let seen = server.last();
    assert_eq!(seen.path, "/api/graphql/");
    assert_eq!(seen.headers["x-api-key"], format!("k-{CANARY}"));
    assert_eq!(seen.headers["content-type"], "application/json");
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn a_list_is_read_to_its_end_and_holds_nothing_else() {
    let server = Server::start().await;
    let named = |id: &str, name: &str| json!({ "id": id, "name": name });
    server.on(
        "NetworksStarting",
        [
            page(&[named("QTox", "bg-1"), named("QToy", "prod")], Some("c1")),
            page(&[named("QToz", "bg-2")], None),
        ],
    );
    let found = server.caller().networks_starting("bg-").await.unwrap();
    let ids: Vec<_> = found.iter().map(|network| network.id.as_str()).collect();
    assert_eq!(ids, ["QTox", "QToz"], "a filter that is not obeyed loses nothing");
    let asked: Vec<_> = server.seen().into_iter().skip(1).map(|seen| seen.variables).collect();
    let first = json!({ "name": "bg-", "after": null });
    assert_eq!(asked, [first, json!({ "name": "bg-", "after": "c1" })]);
    server.on("NetworksNamed", [page(&[named("QTox", "bg"), named("QToy", "bg-1")], None)]);
    let found = server.caller().networks_named("bg").await.unwrap();
    assert_eq!(found, [Named { id: "QTox".into(), name: "bg".into() }]);
    server.on("ConnectorsNamed", [page(&[connector("QTox", "bg"), connector("QToy", "b")], None)]);
    let found = server.caller().connectors_named("b").await.unwrap();
    assert_eq!(found.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), ["QToy"]);
    let nobody = access(&[], None);
    let listed = [resource("QTox", "prod", &nobody), resource("QToy", "bg-1", &nobody)];
    server.on("ResourcesStarting", [page(&listed, None)]);
    let found = server.caller().resources_starting("bg-").await.unwrap();
    assert_eq!(found.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), ["QToy"]);
}

#[tokio::test]
async fn part_of_a_list_never_passes_for_the_whole() {
    let server = Server::start().await;
    server.on("ConnectorsStarting", [page(&[], Some("c1"))]);
    let why = server.caller().connectors_starting("bg-").await.unwrap_err();
    assert!(matches!(why, Trouble::Unclear { .. }), "{why:?}");
    assert_eq!(server.asked().len(), 2, "the cursor stands still");
    server.on("ConnectorsStarting", [page(&[connector("", "bg-1")], None)]);
    let why = server.caller().connectors_starting("bg-").await.unwrap_err();
    assert!(matches!(why, Trouble::Unclear { .. }), "{why:?}");
}

#[tokio::test]
async fn a_connector_is_read_with_patience() {
    let server = Server::start().await;
    server.on("Connector", [one(&connector(CONNECTOR, "bg-1")), one(&Value::Null)]);
    let caller = server.caller();
    let found = caller.connector(CONNECTOR).await.unwrap().unwrap();
    let expected = Connector {
        id: CONNECTOR.into(),
        name: "bg-1".into(),
        state: ConnectorState::Alive,
        last_heartbeat_at: Some(NOW + Span::from_millis(500)),
        version: Some("1.80.0".into()),
    };
    assert_eq!(found, expected);
    assert_eq!(caller.connector(CONNECTOR).await, Ok(None), "gone is what is not there");
    for (state, seen) in [
        ("DEAD_NO_HEARTBEAT", ConnectorState::DeadNoHeartbeat),
        ("DEAD_HEARTBEAT_TOO_OLD", ConnectorState::DeadHeartbeatTooOld),
        ("DEAD_NO_RELAYS", ConnectorState::DeadNoRelays),
        ("DREAMING", ConnectorState::Other),
    ] {
        let name = "bg\u{1b}[2J";
        let version = "v".repeat(500);
        let odd = json!({
            "id": CONNECTOR, "name": name, "state": state, "version": version, "mood": {},
        });
        server.on("Connector", [one(&odd)]);
        let found = caller.connector(CONNECTOR).await.unwrap().unwrap();
        assert_eq!((found.state, found.last_heartbeat_at), (seen, None));
        assert_eq!(
            (found.name.as_str(), found.version.unwrap().chars().count()),
            ("bg<1B>[2J", 41)
        );
    }
}

#[tokio::test]
async fn a_group_is_found_by_its_name_and_by_its_id() {
    let group = |id: &str, name: &str| json!({ "id": id, "name": name, "isActive": true, "users": { "totalCount": 3 } });
    let server = Server::start().await;
    server.on("GroupsNamed", [page(&[group("R3JvdXA6OQ==", "On call")], None)]);
    server.on("Group", [one(&group(GROUP, "On call"))]);
    let caller = server.caller();
    let found = caller.groups_named(&"On call".parse().unwrap()).await.unwrap();
    let name = "On call".to_owned();
    let expected = Group { id: "R3JvdXA6OQ==".into(), name, is_active: true, members: 3 };
    assert_eq!(found, [expected]);
    assert_eq!(server.asked(), ["GroupsNamed"]);
    server.on("GroupsNamed", [page(&[], None)]);
    let found = caller.groups_named(&GROUP.parse().unwrap()).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].id, GROUP);
}

#[tokio::test]
async fn all_who_may_reach_a_resource_are_read() {
    let server = Server::start().await;
    let of = |access| resource(RESOURCE, "bg-1", &access);
    server.on("ResourcesNamed", [page(&[of(access(&["QTox"], Some("c1")))], None)]);
    let pages = [one(&of(access(&["QTox"], Some("c1")))), one(&of(access(&[GROUP], None)))];
    server.on("Resource", pages.clone());
    let found = server.caller().resources_named("bg-1").await.unwrap();
    let edge = |principal: &str| Access {
        principal: principal.into(),
        expires_at: Some(NOW + Span::from_hours(1)),
    };
    assert_eq!(found[0].access, [edge("QTox"), edge(GROUP)]);
    assert_eq!(server.last().variables, json!({ "id": RESOURCE, "after": "c1" }));
    let path = json!({
        "connector": connector(CONNECTOR, "bg-1"), "resource": of(access(&["QTox"], Some("c1"))),
    });
    server.on("Path", [data(&path)]).on("Resource", pages);
    let (connector, resource) = server.caller().path(CONNECTOR, RESOURCE).await.unwrap();
    assert_eq!((connector.unwrap().id.as_str(), resource.unwrap().access.len()), (CONNECTOR, 2));
    let gone = json!({ "connector": null, "resource": null });
    server.on("Path", [data(&gone)]);
    assert_eq!(server.caller().path(CONNECTOR, RESOURCE).await, Ok((None, None)));
}

#[tokio::test]
async fn only_a_whole_answer_says_that_something_is_gone() {
    let server = Server::start().await;
    let gone = r#"{"data":{"one":null}}"#;
    let cut = (0..gone.len()).map(|end| gone[..end].to_owned());
    let odd = [
        r#"{"data":{}}"#,
        r#"{"data":null}"#,
        r#"{"data":{"one":[]}}"#,
        r#"{"data":{"one":{}}}"#,
        r#"{"one":null}"#,
        "null",
        "[]",
        r#"{"data":{"one":null},"errors":[{"message":"it timed out"}]}"#,
        r#"{"data":{"one":null},"errors":{}}"#,
    ];
    for body in cut.chain(odd.map(str::to_owned)) {
        server.on("Network", [says(200, body.clone())]);
        let found = server.caller().network(NETWORK).await;
        assert!(matches!(found, Err(Trouble::Unclear { .. })), "{body}: {found:?}");
    }
    let half = data(&json!({ "connector": null }));
    server.on("Path", [half]);
    assert!(server.caller().path(CONNECTOR, RESOURCE).await.is_err());
    server.on("Network", [says(200, gone)]);
    assert_eq!(server.caller().network(NETWORK).await, Ok(None));
}

#[tokio::test]
async fn a_time_that_is_none_is_no_access_for_good() {
    let server = Server::start().await;
    let edge = json!({ "expiresAt": "soon", "node": { "id": GROUP } });
    let info = json!({ "hasNextPage": false, "endCursor": null });
    let odd = json!({ "edges": [edge], "pageInfo": info });
    server.on("Resource", [one(&resource(RESOURCE, "bg-1", &odd))]);
    let why = server.caller().resource(RESOURCE).await.unwrap_err();
    assert!(matches!(why, Trouble::Unclear { .. }), "{why:?}");
}

#[tokio::test]
async fn an_id_that_is_none_is_never_sent() {
    let server = Server::start().await;
    let long = "A".repeat(201);
    for id in ["", "a b", "QTox\"", "ä", "Connector:1", &long] {
        let why = server.caller().connector(id).await.unwrap_err();
        assert!(matches!(why, Trouble::Refused { .. }), "{id}: {why:?}");
        let refused = server.caller().delete_resource(id).await;
        assert!(matches!(refused, Change::Refused(Trouble::Refused { .. })), "{id}");
    }
    assert!(server.seen().is_empty());
}
