//! What goes wrong, how often it is tried, and what an operator reads.

use super::*;

const COUNT: &str = r#"{"data":{"page":{"totalCount":1}}}"#;

async fn paused(answers: impl IntoIterator<Item = Says>) -> (bool, Vec<u64>, usize) {
    let server = Server::start().await;
    server.on("Glance", answers);
    let pace = Passing::new();
    let good = server.api(&pace).caller(Rank::Watch, UNHEARD.clone()).glance().await.is_ok();
    (good, pace.pauses(), server.asked().len())
}

#[tokio::test]
async fn a_read_is_repeated_with_patience_that_has_an_end() {
    let well = || says(200, COUNT);
    let busy = |wait| says(429, "").with("retry-after", wait);
    assert_eq!(paused([says(504, ""), says(500, ""), well()]).await, (true, vec![1_000, 2_000], 3));
    assert_eq!(paused([says(500, "")]).await, (false, vec![1_000, 2_000], 3));
    assert_eq!(paused([says(200, "nul"), well()]).await, (true, vec![1_000], 2));
    assert_eq!(paused([silence(), well()]).await, (true, vec![1_000], 2));
    assert_eq!(paused([busy("7"), well()]).await, (true, vec![5_000, 2_000], 2));
    let minute = vec![5_000; 12];
    assert_eq!(paused([says(429, "<html>"), well()]).await, (true, minute, 2));
    assert_eq!(paused([busy("91"), well()]).await, (false, vec![], 1));
    for settled in [
        says(401, "{}"),
        says(403, "{}"),
        says(404, "{}"),
        says(400, "{}"),
        says(200, "<html>"),
        says(200, r#"{"errors":[{"message":"Cannot query field"}]}"#),
    ] {
        assert_eq!(paused([settled.clone(), well()]).await, (false, vec![], 1), "{settled:?}");
    }
}

#[tokio::test]
async fn every_trouble_says_what_to_do() {
    let server = Server::start().await;
    let mut said = vec![];
    for answer in [
        says(401, r#"{"errors":[{"message":"Invalid API key"}]}"#),
        says(403, "Forbidden"),
        says(404, "Not found"),
        says(200, "<!DOCTYPE html><title>Sign in</title>"),
        says(429, r#"{"errors":[{"message":"429 Too Many Requests"}]}"#).with("retry-after", "120"),
        says(400, r#"{"errors":[{"message":"Syntax Error"}]}"#),
        says(503, ""),
        says(502, "<html><title>Bad Gateway</title>"),
        says(200, r#"{"data":{"page":null}}"#),
        says(200, r#"{"data":null,"errors":[{"message":"oops"},{"message":"again"}]}"#),
        says(200, r#"{"errors":[{}]}"#),
        says(200, r#"{"data":{"page":null},"errors":[{"message":"Permission denied"}]}"#),
        says(302, "").with("location", "https://login.example.com/?x=1"),
    ] {
        server.on("Glance", [answer]);
        said.push(server.hidden(server.caller().glance().await.unwrap_err()));
    }
    for answer in [
        says(403, ""),
        says(200, "<html>"),
        not("Remote network 'bg' is in use and cannot be deleted"),
        not(""),
        done(&json!({ "ok": false, "error": null })),
    ] {
        server.on("CreateNetwork", [answer]);
        let (Change::Refused(why) | Change::Unknown(why)) =
            server.caller().create_network("bg").await
        else {
            panic!("it was made")
        };
        said.push(server.hidden(why));
    }
    server.on("Grant", [not("Resource with id 'x' does not exist")]);
    let Change::Refused(why) = server.caller().grant(RESOURCE, GROUP, NOW).await else { panic!() };
    said.push(server.hidden(why));
    insta::assert_snapshot!(said.join("\n"), @r"
    `SERVER` does not accept the key of this provider (it says `Invalid API key`); see under Settings, API in its console whether the key is there and may be used from this host's address, or give the provider a new one
    `SERVER` does not accept the key of this provider; see under Settings, API in its console whether the key is there and may be used from this host's address, or give the provider a new one
    there seems to be no network at `SERVER`: status 404; see whether the name of the network in the configuration is right, or whether a proxy or a network that wants a sign-in stands between
    there seems to be no network at `SERVER`: a web page came instead of an answer (status 200); see whether the name of the network in the configuration is right, or whether a proxy or a network that wants a sign-in stands between
    `SERVER` was asked too often; try again in 2m
    `SERVER` refused to count the remote networks: Syntax Error; see in its console what stands in the way
    `SERVER` gave no clear answer when it was asked to count the remote networks: status 503
    `SERVER` gave no clear answer when it was asked to count the remote networks: a web page came instead of an answer (status 502); a proxy, or a network that wants a sign-in, may stand between
    `SERVER` gave no clear answer when it was asked to count the remote networks: the answer of `SERVER/api/graphql/` is not the JSON expected of it (line 1, column 20)
    `SERVER` gave no clear answer when it was asked to count the remote networks: it says `oops; again`
    `SERVER` refused to count the remote networks: an error without words; see in its console what stands in the way
    the key of this provider may not count the remote networks at `SERVER` (it says `Permission denied`); give it the permission `Read` under Settings, API in the console, or give the provider another key
    `SERVER/api/graphql/` redirects to `https://login.example.com/`; redirects are not followed
    the key of this provider may not make a remote network at `SERVER`; give it the permission `Read, Write & Provision` under Settings, API in the console, or give the provider another key
    `SERVER` gave no clear answer when it was asked to make a remote network: a web page came instead of an answer (status 200); a proxy, or a network that wants a sign-in, may stand between
    `SERVER` refused to make a remote network: Remote network 'bg' is in use and cannot be deleted; see in its console what stands in the way
    `SERVER` refused to make a remote network: it says no reason; see in its console what stands in the way
    `SERVER` refused to make a remote network: it says no reason; see in its console what stands in the way
    `SERVER` could not let a group reach a resource: it says `Resource with id 'x' does not exist`; somebody else may have removed it; end the session and open a new one
    ");
}

#[tokio::test]
async fn no_key_is_seen_anywhere() {
    let server = Server::start().await;
    let echo = format!("odd: k-{CANARY} eyJhbGciOi.{CANARY} \u{1b}[2J");
    let errors = json!({ "data": null, "errors": [{ "message": echo }] }).to_string();
    let mut shown = vec![];
    for status in [200, 400, 401, 403, 404, 422, 429, 500, 503] {
        server.on("Glance", [says(status, errors.clone()).with("retry-after", "600")]);
        server.on("CreateNetwork", [says(status, errors.clone()), not(&echo)]);
        for _ in 0..2 {
            let why = server.caller().glance().await.unwrap_err();
            shown.push(format!("{why} {why:?}"));
            shown.push(format!("{:?}", server.caller().create_network("bg").await));
        }
    }
    for text in &shown {
        assert!(!text.contains(CANARY) && !text.contains('\u{1b}'), "{text}");
    }
    assert_eq!(shown.len(), 36);
}

#[tokio::test]
async fn a_key_that_breaks_the_line_is_not_sent() {
    let server = Server::start().await;
    let http = Http::new(Trust::default(), LIMITS);
    let (network, budgets) = ("acme".parse().unwrap(), Budgets::default());
    let key = Secret::new(format!("{CANARY}\nx: y"));
    let api = Api::new(http, &server.cloud(), &network, key, Passing::new(), &budgets);
    let caller = Arc::new(api).caller(Rank::Session, UNHEARD.clone());
    let why = caller.glance().await.unwrap_err();
    assert!(matches!(why, Trouble::Unreachable { passing: false, .. }), "{why:?}");
    assert!(!format!("{why} {why:?}").contains(CANARY) && server.asked().is_empty());
}
