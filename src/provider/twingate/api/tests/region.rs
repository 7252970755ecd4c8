//! Where the calls go, and what they tell of the time.

use super::*;

const COUNT: &str = r#"{"data":{"page":{"totalCount":1}}}"#;

#[tokio::test]
async fn a_region_is_looked_for_once_and_without_the_key() {
    let (apex, region) = (Server::start().await, Server::start().await);
    apex.on("HEAD", [says(308, "").with("location", &region.url)]);
    region.on("Glance", [says(200, COUNT)]);
    let api = apex.api(&Passing::new());
    for _ in 0..2 {
        assert_eq!(api.caller(Rank::Watch, UNHEARD.clone()).glance().await, Ok(1));
    }
    let seen = apex.seen();
    assert_eq!((seen.len(), seen[0].path.as_str()), (1, "/api/graphql/"));
    assert!(!seen[0].headers.contains_key("x-api-key"));
    assert_eq!(region.asked(), ["Glance", "Glance"]);
    region.on("Glance", [says(308, "").with("location", &apex.url), says(200, COUNT)]);
    assert_eq!(api.caller(Rank::Watch, UNHEARD.clone()).glance().await, Ok(1));
    assert_eq!(apex.seen().len(), 2, "a region that leads elsewhere is looked for again");
}

#[tokio::test]
async fn a_key_goes_to_no_stranger() {
    let server = Server::start().await;
    server.on("HEAD", [says(308, "").with("location", "https://twingate.com.evil.example/a?b=c")]);
    let why = server.caller().glance().await.unwrap_err();
    assert!(matches!(why, Trouble::Unreachable { passing: false, .. }), "{why:?}");
    insta::assert_snapshot!(
        server.hidden(why),
        @"`SERVER` leads to `https://twingate.com.evil.example/a`, which is no place of Twingate; the key was not sent there; see whether a proxy or a network that wants a sign-in stands between"
    );
    assert!(server.asked().is_empty(), "nor was anything else sent");
}

#[tokio::test]
async fn an_address_that_tells_no_region_is_asked_itself() {
    for head in [says(500, ""), says(405, ""), says(404, ""), says(302, "").with("location", "/x")]
    {
        let server = Server::start().await;
        server.on("HEAD", [head]).on("Glance", [says(200, COUNT)]);
        assert_eq!(server.caller().glance().await, Ok(1));
    }
    let server = Server::start().await;
    server.on("HEAD", [silence()]).on("Glance", [says(200, COUNT)]);
    assert_eq!(server.caller().glance().await, Ok(1));
}

#[tokio::test]
async fn a_clock_that_is_more_than_five_seconds_off_is_told() {
    for (date, ahead) in [
        (NOW_AS_DATE, None),
        ("Wed, 31 Dec 2025 23:59:55 GMT", None),
        ("Wed, 31 Dec 2025 23:59:54 GMT", Some(6_000)),
        ("Thu, 01 Jan 2026 00:10:00 GMT", Some(-600_000)),
    ] {
        let server = Server::start().await;
        server.on("Glance", [says(200, COUNT).with("date", date)]);
        let api = server.api(&Passing::new());
        assert_eq!((api.server_now(), api.clock_ahead_millis()), (NOW, None));
        api.caller(Rank::Watch, UNHEARD.clone()).glance().await.unwrap();
        assert_eq!(api.clock_ahead_millis(), ahead, "{date}");
        let told = api.server_now();
        assert_eq!(
            told.as_millis() - NOW.as_millis(),
            ahead.map_or(told.as_millis() - NOW.as_millis(), |ahead| -ahead)
        );
    }
}
