//! Whatever goes wrong at a network of Twingate, a session leaves nothing behind there or in the
//! site: the real provider.

use std::sync::Arc;

use async_trait::async_trait;
use breakglass::domain::artifact::Artifact;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::session::{Applied, Looked, PlannedStep, Session, Undone};

use crate::support::faulty_server::FaultyServer;
use crate::support::hurry::Hurry;
use crate::support::leaves_nothing::{
    Carries, Extent, FarSide, Fixture, assert_leaves_nothing_behind,
};
use crate::support::model_server::Held as _;
use crate::support::orders::order_of_suite;
use crate::support::plans::START;
use crate::support::twingate::around::{Client, GROUP, Played, Wish};
use crate::support::twingate::{Level, SharedTwingate, Twingate};

/// A network that fails calls, with the session's connector and this host's client.
struct Ground {
    server: FaultyServer,
    network: SharedTwingate,
    pace: Arc<Hurry>,
    played: Arc<Played>,
    _client: Client,
}

impl FarSide for Ground {
    fn faults(&self) -> Vec<String> {
        self.server.faults()
    }

    /// What is late comes within the time that the shortest step of the provider allows for that.
    fn arm(&self, wrong: &[(usize, usize)], _: Timestamp) {
        self.server.arm(wrong, START + Span::from_seconds(8));
    }

    fn calls(&self) -> usize {
        self.server.calls()
    }

    fn left(&self) -> Vec<String> {
        let violations = self.network.lock().unwrap().take_violations();
        [self.server.left(), self.played.left(), violations].concat()
    }

    fn advance(&self, now: Timestamp) {
        self.pace.is_now(now);
    }
}

struct Shared(Arc<Played>);

#[async_trait]
impl Carries for Shared {
    async fn apply(&self, step: &PlannedStep) -> Applied {
        self.0.apply(step).await
    }

    async fn look(&self, step: &PlannedStep, known: Option<&Artifact>) -> Looked {
        self.0.look(step, known).await
    }

    async fn undo(&self, step: &PlannedStep, known: Option<&Artifact>) -> Undone {
        self.0.undo(step, known).await
    }

    fn told(&self, session: &Session) {
        self.0.told(session);
    }

    fn died(&self) {
        self.0.died();
    }
}

async fn ground() -> (Ground, Shared) {
    let mut network = Twingate::new(START);
    // The faults are the suite's; how often one may ask has tests of its own.
    network.switches.limits = false;
    let key = network.key(Level::Provision);
    let group = network.group(GROUP, 3);
    network.settle();
    let network = network.shared();
    let server = FaultyServer::start(Box::new(Arc::clone(&network))).await;
    let client = Client::start(&network, &group).await;
    let pace = Hurry::new(&network);
    let patience = Span::from_millis(150);
    let wish = Wish { patience, ..Wish::new(&server.url, &key, &client) };
    let played = Arc::new(Played::new(wish, &network, &pace, order_of_suite()));
    let shared = Shared(Arc::clone(&played));
    (Ground { server, network, pace, played, _client: client }, shared)
}

async fn fixture() -> Fixture {
    let (ground, carrier) = ground().await;
    let plan = carrier.0.plan();
    Fixture { far: Box::new(ground), carrier: Box::new(carrier), plan }
}

#[tokio::test]
async fn a_session_in_a_network_of_twingate_leaves_nothing() {
    let some = Extent { step_by: 7, pairs_by: 0, at_once: 16 };
    let walks = assert_leaves_nothing_behind("twingate", fixture, some).await;
    assert!(walks * some.step_by > 400, "only {walks} walks");
}

/// One that takes whatever is not known for a refusal.
struct Careless(Shared);

#[async_trait]
impl Carries for Careless {
    async fn apply(&self, step: &PlannedStep) -> Applied {
        match self.0.apply(step).await {
            Applied::Unknown(why) => Applied::Refused(why),
            known => known,
        }
    }

    async fn look(&self, step: &PlannedStep, known: Option<&Artifact>) -> Looked {
        self.0.look(step, known).await
    }

    async fn undo(&self, step: &PlannedStep, known: Option<&Artifact>) -> Undone {
        self.0.undo(step, known).await
    }

    fn told(&self, session: &Session) {
        self.0.told(session);
    }
}

#[tokio::test]
#[should_panic(expected = "something is left: [\"network ")]
async fn a_provider_that_takes_silence_for_a_refusal_is_found_out() {
    let careless = || async {
        let (ground, carrier) = ground().await;
        let plan = carrier.0.plan();
        Fixture { far: Box::new(ground), carrier: Box::new(Careless(carrier)), plan }
    };
    let some = Extent { step_by: 7, pairs_by: 0, at_once: 16 };
    assert_leaves_nothing_behind("careless", careless, some).await;
}
