//! What is changed in a network, and the three outcomes of it.

use super::*;
use crate::provider::twingate::api::{Named, NewResource};

fn new_resource() -> NewResource {
    NewResource {
        name: "bg-1".into(),
        address: "fd00::7".parse().unwrap(),
        port: 5432,
        network_id: NETWORK.into(),
        tag: ("breakglass".into(), "0a1b".into()),
    }
}

fn entity(id: &str) -> Says {
    done(&json!({ "ok": true, "error": null, "entity": { "id": id, "name": "bg-1" } }))
}

#[tokio::test]
async fn all_that_a_session_makes_is_asked_for_in_full() {
    let server = Server::start().await;
    server.on("CreateNetwork", [entity(NETWORK)]).on("CreateConnector", [entity(CONNECTOR)]);
    server.on("CreateResource", [entity(RESOURCE)]).on("Grant", [made()]);
    let caller = server.caller();
    let named = |id: &str| Change::Made(Named { id: id.into(), name: "bg-1".into() });
    assert_eq!(caller.create_network("bg-1").await, named(NETWORK));
    assert_eq!(server.last().variables, json!({ "name": "bg-1" }));
    assert_eq!(caller.create_connector(NETWORK, "bg-1").await, named(CONNECTOR));
    assert_eq!(server.last().variables, json!({ "network": NETWORK, "name": "bg-1" }));
    assert_eq!(caller.create_resource(&new_resource()).await, named(RESOURCE));
    let sent = json!({
        "name": "bg-1", "address": "fd00::7", "port": 5432, "network": NETWORK,
        "key": "breakglass", "value": "0a1b",
    });
    assert_eq!(server.last().variables, sent);
    let until = NOW + Span::from_hours(1);
    assert_eq!(caller.grant(RESOURCE, GROUP, until).await, Change::Made(()));
    let sent = json!({ "resource": RESOURCE, "group": GROUP, "until": "2026-01-01T01:00:00.000Z" });
    assert_eq!(server.last().variables, sent);
}

#[tokio::test]
async fn tokens_are_shown_nowhere_and_come_in_pairs() {
    let server = Server::start().await;
    let tokens = |access: &str, refresh: &str| {
        let entity = json!({ "accessToken": access, "refreshToken": refresh });
        done(&json!({ "ok": true, "error": null, "entity": entity }))
    };
    server.on("GenerateTokens", [tokens(CANARY, "r")]);
    let Change::Made(made) = server.caller().generate_tokens(CONNECTOR).await else { panic!() };
    assert_eq!((made.access.expose(), made.refresh.expose()), (CANARY, "r"));
    assert!(!format!("{made:?}").contains(CANARY));
    for cut in [tokens(CANARY, ""), made_without_entity(), says(200, format!("{{\"{CANARY}"))] {
        server.on("GenerateTokens", [cut]);
        let unknown = server.caller().generate_tokens(CONNECTOR).await;
        assert!(matches!(unknown, Change::Unknown(_)), "{unknown:?}");
        assert!(!format!("{unknown:?}").contains(CANARY), "{unknown:?}");
    }
}

/// It is done, and something went wrong beside it.
fn beside(message: &str) -> String {
    format!(
        r#"{{"data":{{"done":{{"ok":true,"entity":null}}}},"errors":[{{"message":"{message}"}}]}}"#
    )
}

fn made_without_entity() -> Says {
    made()
}

#[tokio::test]
async fn what_makes_something_is_sent_once_whatever_happens() {
    for (answer, is_unknown) in [
        (says(500, ""), true),
        (says(200, "<html>sign in</html>"), true),
        (says(200, ""), true),
        (silence(), true),
        (made_without_entity(), true),
        (data(&json!({ "done": null })), true),
        (says(200, r#"{"data":{"done":null},"errors":[{"message":"oops"}]}"#), true),
        (says(200, r#"{"errors":[{"message":"Unknown argument"}]}"#), false),
        (says(200, beside("Network matching query does not exist.")), true),
        (says(200, beside("You do not have permission")), true),
        (says(401, ""), false),
        (says(404, "no"), false),
        (not("name is too long"), false),
    ] {
        let server = Server::start().await;
        server.on("CreateResource", [answer.clone()]);
        let came = server.caller().create_resource(&new_resource()).await;
        assert_eq!(matches!(came, Change::Unknown(_)), is_unknown, "{answer:?}: {came:?}");
        assert_eq!(matches!(came, Change::Refused(_)), !is_unknown, "{answer:?}: {came:?}");
        assert_eq!(server.asked().len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn what_was_turned_away_for_its_number_is_sent_again_and_made_once() {
    let server = Server::start().await;
    let busy = says(429, "").with("retry-after", "5");
    server.on("CreateNetwork", [busy.clone(), entity(NETWORK)]);
    let pace = Passing::new();
    let caller = server.api(&pace).caller(Rank::Session, UNHEARD.clone());
    assert!(matches!(caller.create_network("bg-1").await, Change::Made(_)));
    assert_eq!((server.asked().len(), pace.waited()), (2, 5));
    server.on("CreateNetwork", [busy]);
    let refused = caller.create_network("bg-1").await;
    assert!(matches!(refused, Change::Refused(Trouble::Busy { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_is_gone_is_well_taken_away() {
    let server = Server::start().await;
    let gone = not("Field 'id' Resource with id 'UmVz' does not exist");
    for operation in ["DeleteNetwork", "DeleteConnector", "DeleteResource", "Withdraw"] {
        server.on(operation, [made(), gone.clone()]);
    }
    for _ in 0..2 {
        let caller = server.caller();
        assert_eq!(caller.delete_network(NETWORK).await, Change::Made(()));
        assert_eq!(caller.delete_connector(CONNECTOR).await, Change::Made(()));
        assert_eq!(caller.delete_resource(RESOURCE).await, Change::Made(()));
        assert_eq!(caller.withdraw(RESOURCE, GROUP).await, Change::Made(()));
    }
    assert_eq!(server.asked().len(), 8);
    let beside =
        r#"{"data":null,"errors":[{"message":"Connector matching query does not exist."}]}"#;
    server.on("DeleteConnector", [says(200, beside)]).on("Connector", [says(200, beside)]);
    assert_eq!(server.caller().delete_connector(CONNECTOR).await, Change::Made(()));
    let why = server.caller().connector(CONNECTOR).await.unwrap_err();
    assert!(matches!(why, Trouble::Unclear { .. }), "a read that fails sees nothing gone: {why:?}");
}

#[test]
fn whatever_is_asked_can_be_waited_for_from_any_thread() {
    fn sent<T: Send>(_: T) {}
    fn all(caller: &Caller, wanted: &NewResource) {
        sent(caller.withdraw("", ""));
        sent(caller.delete_network(""));
        sent(caller.delete_connector(""));
        sent(caller.delete_resource(""));
        sent(caller.create_resource(wanted));
        sent(caller.generate_tokens(""));
        sent(caller.path("", ""));
        sent(caller.resources_starting(""));
        sent(caller.may_write());
    }
    let _: fn(&Caller, &NewResource) = all;
}

#[tokio::test]
async fn a_removal_that_nobody_saw_is_repeated_and_then_looked_for() {
    let server = Server::start().await;
    server.on("DeleteConnector", [says(502, "")]);
    server.on("Connector", [one(&Value::Null), one(&connector(CONNECTOR, "bg-1"))]);
    let tried = ["DeleteConnector", "DeleteConnector", "DeleteConnector", "Connector"];
    assert_eq!(server.caller().delete_connector(CONNECTOR).await, Change::Made(()));
    assert_eq!(server.asked(), tried);
    let unknown = server.caller().delete_connector(CONNECTOR).await;
    assert!(matches!(unknown, Change::Unknown(Trouble::Unclear { .. })), "{unknown:?}");
    server.on("DeleteConnector", [says(502, ""), not("Connector is in use")]);
    let refused = server.caller().delete_connector(CONNECTOR).await;
    assert!(matches!(refused, Change::Refused(Trouble::Refused { .. })), "{refused:?}");
    server.on("Connector", [says(200, "<html>")]);
    server.on("DeleteConnector", [says(502, ""), says(429, "").with("retry-after", "600")]);
    let unknown = server.caller().delete_connector(CONNECTOR).await;
    assert!(matches!(unknown, Change::Unknown(Trouble::Unclear { .. })), "a page is not gone");
}

#[tokio::test]
async fn access_is_withdrawn_once_the_group_is_seen_gone() {
    let server = Server::start().await;
    server.on("Withdraw", [says(500, "")]);
    for (group, is_made) in [(GROUP, false), ("QTox", true)] {
        server.on("Resource", [one(&resource(RESOURCE, "bg-1", &access(&[group], None)))]);
        let came = server.caller().withdraw(RESOURCE, GROUP).await;
        assert_eq!(came == Change::Made(()), is_made, "{came:?}");
        assert_eq!(matches!(came, Change::Unknown(_)), !is_made, "{came:?}");
    }
}

#[tokio::test]
async fn an_ability_is_there_only_where_the_network_says_that_the_thing_is_not() {
    let gone = || not("Connector with id 'x' does not exist");
    for (answer, is_able) in [
        (gone(), true),
        (not("You do not have permission"), false),
        (not("Unable to parse global ID"), false),
        (says(403, "{}"), false),
        (says(200, r#"{"data":{"done":null},"errors":[{"message":"Permission denied"}]}"#), false),
        (says(200, r#"{"errors":[{"message":"Not authorized"}],"data":null}"#), false),
    ] {
        let server = Server::start().await;
        server.on("DeleteConnector", [answer.clone()]).on("GenerateTokens", [answer]);
        for (found, level) in [
            (server.caller().may_write().await, Level::Write),
            (server.caller().may_provision().await, Level::Provision),
        ] {
            match found {
                Ok(()) => assert!(is_able),
                Err(Trouble::Ability { needs, .. }) => assert_eq!((is_able, needs), (false, level)),
                Err(why) => panic!("{why:?}"),
            }
        }
        let ids: Vec<_> = server.seen().iter().map(|seen| seen.variables["id"].clone()).collect();
        assert!(ids.contains(&json!("Q29ubmVjdG9yOjIxNDc0ODM2NDc=")), "{ids:?}");
    }
    let server = Server::start().await;
    server.on("DeleteConnector", [made()]);
    let why = server.caller().may_write().await.unwrap_err();
    assert!(matches!(why, Trouble::Unclear { .. }), "{why:?}");
}
