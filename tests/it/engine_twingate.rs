//! A session in a network of Twingate from its request to its end: the real engine, provider and
//! launcher, and a connector that is a real process, run by the script that a site's host gets.

use std::sync::Arc;

use async_trait::async_trait;
use breakglass::clock;
use breakglass::domain::launcher::{CommandLauncher, LauncherSettings};
use breakglass::domain::request::{OpenRequest, TargetChoice};
use breakglass::domain::site::Site;
use breakglass::domain::target::{Address, TargetKind};
use breakglass::domain::time::{Span, Timestamp};
use breakglass::protocol::{Command, SessionState};
use breakglass::provider::pace::Pace;

use crate::support::faulty_server::Model as _;
use crate::support::launching::Place;
use crate::support::rig::{Rig, connect, echo, session, until, until_view};
use crate::support::twingate::around::{Client, GROUP, Wish};
use crate::support::twingate::{Level, Twingate, TwingateServer};

/// The host's own clock, and waits that are sixty times as short.
#[derive(Debug)]
struct Brisk;

#[async_trait]
impl Pace for Brisk {
    fn now(&self) -> Timestamp {
        clock::wall()
    }

    async fn pause(&self, at_least: Span) {
        tokio::time::sleep(Span::from_millis(at_least.as_millis() / 60).to_std()).await;
    }
}

/// Commands that keep the connector's own script running, as a process of its own.
fn commands(place: &Place) -> LauncherSettings {
    place.write("connector.sh", include_str!("../../src/provider/twingate/connector.sh"));
    // What stands for the vendor's program: it says with what it was started, and stays.
    place.script(
        "twingate-connector",
        "echo \"$TWINGATE_URL\" >\"$STATE/url\"; printf %s \"$TWINGATE_ACCESS_TOKEN\" >\"$STATE/t\"\n\
         mv \"$STATE/t\" \"$STATE/token\"; exec sleep 600",
    );
    let command = |name: &str, text: &str| vec![place.script(name, text)];
    LauncherSettings::Command(CommandLauncher {
        start: command(
            "start",
            "while IFS= read -r line; do export \"$line\"; done\n\
             url=$(echo \"$BREAKGLASS_ENVIRONMENT\" | sed 's/.*\"TWINGATE_URL\":\"\\([^\"]*\\)\".*/\\1/')\n\
             TWINGATE_URL=$url TMPDIR=$STATE setsid sh \"$STATE/connector.sh\" \
             >/dev/null 2>\"$STATE/log\" </dev/null &\n\
             echo $! >\"$STATE/run-$BREAKGLASS_NAME\"; echo \"$BREAKGLASS_NAME\"",
        ),
        look: command(
            "look",
            "run=$STATE/run-$BREAKGLASS_NAME; [ -e \"$run\" ] || exit 3\n\
             kill -0 \"$(cat \"$run\")\" 2>/dev/null || exit 3",
        ),
        stop: command(
            "stop",
            "run=$STATE/run-$BREAKGLASS_NAME; [ -e \"$run\" ] || exit 0\n\
             kill \"$(cat \"$run\")\" 2>/dev/null\n\
             while kill -0 \"$(cat \"$run\")\" 2>/dev/null; do sleep 0.02; done; rm \"$run\"",
        ),
        logs: Some(command("logs", "cat \"$STATE/log\"")),
        list: None,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_opens_carries_bytes_and_nothing_of_it_is_left() {
    let mut network = Twingate::new(clock::wall());
    let (key, group) = (network.key(Level::Provision), network.group(GROUP, 1));
    network.settle();
    let server = TwingateServer::start(network).await;
    let client = Client::start(&server.model, &group).await;
    let place = Place::new();
    let wish = Wish::new(&server.url, &key, &client);
    let mut rig = Rig::with(vec![Arc::new(wish.provider(Arc::new(Brisk)))]);
    rig.launcher = Arc::new(place.launchers());
    let site = Site {
        id: "munich".parse().unwrap(),
        name: "Munich".to_owned(),
        private_ranges: vec!["10.20.0.0/16".parse().unwrap()],
        providers: vec!["net".parse().unwrap()],
        launcher: Some(commands(&place)),
    };
    rig.catalogue.sites.insert(site.id.clone(), site);
    let engine = rig.start().await;
    let mut faces = engine.handle.subscribe().await.unwrap();

    let address = Address::new("10.20.0.7", 5432).unwrap();
    let (kind, site) = (TargetKind::Tcp, Some("munich".parse().unwrap()));
    let target = TargetChoice::AdHoc { address, kind, site };
    let asked = OpenRequest { target, reason: "INC-1".into(), duration: None, agreed: false };
    let opened = session(engine.handle.call(Command::Open(asked)).await);
    place.until("token").await;
    let token = place.read("token");
    assert_eq!(place.read("url"), "https://acme.twingate.com\n");
    server.with(|network| network.connector_started(&token).unwrap());
    let active = until(&mut faces, opened.id, SessionState::Active).await;
    echo(&mut connect(&active).await, "hello").await;
    let live = until_view(&mut faces, opened.id, |view| !view.live.is_empty()).await;
    assert!(live.live[0].starts_with("connector: alive"), "{:?}", live.live);

    engine.handle.call(Command::End { session: opened.id, reason: None }).await.unwrap();
    let ended = until(&mut faces, opened.id, SessionState::Ended).await;
    let gone: Vec<_> = ended.receipt.iter().filter(|line| line.gone_at.is_some()).collect();
    assert_eq!((gone.len(), ended.receipt.len()), (6, 6), "{:?}", ended.receipt);
    assert_eq!(server.with(|network| network.left()), Vec::<String>::new());
    let left = std::fs::read_dir(place.path("")).unwrap().flatten();
    let left: Vec<_> = left.map(|it| it.file_name().into_string().unwrap()).collect();
    assert!(
        !left.iter().any(|name| name.starts_with("run-") || name.starts_with("tg.")),
        "{left:?}"
    );
}
