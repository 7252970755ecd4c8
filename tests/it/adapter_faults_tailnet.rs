//! Whatever goes wrong at a control server, a session leaves nothing behind on the tailnet, in the
//! site and on this host: the real provider, in both dialects and with every kind of key.

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
use crate::support::orders::order_of_suite;
use crate::support::plans::START;
use crate::support::tailnet::around::{Played, TAGS, Wish};
use crate::support::tailnet::{HeadscaleVersion, SharedTailnet, Tailnet};

/// A tailnet that fails calls, with the session's router and node.
struct Ground {
    server: FaultyServer,
    tailnet: SharedTailnet,
    pace: Arc<Hurry>,
    played: Arc<Played>,
    _dir: tempfile::TempDir,
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
        let mut violations = self.tailnet.lock().unwrap().take_violations();
        // Where the first answer is garbled, it is asked whether it is an older Headscale.
        violations.retain(|it| it != "GET /api/v1/apikey: is not in the extract");
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

/// Who calls.
#[derive(Clone, Copy)]
enum Caller {
    Person,
    Client,
    Headscale(HeadscaleVersion),
}

/// A tailnet in which nothing has happened yet, and the key to it.
fn prepared(caller: Caller) -> (Tailnet, String) {
    let mut tailnet = match caller {
        Caller::Headscale(version) => Tailnet::headscale(START, version),
        _ => Tailnet::new(START),
    };
    tailnet.write_policy(TAGS);
    let scopes = ["auth_keys", "devices:core", "devices:routes", "policy_file"];
    let key = match caller {
        Caller::Person => tailnet.api_token("ann@example.com"),
        Caller::Client => tailnet.oauth_client(&scopes, &["tag:admin"]),
        Caller::Headscale(_) => tailnet.headscale_key(),
    };
    tailnet.settle();
    (tailnet, key)
}

async fn ground(prepared: (Tailnet, String), edit_policy: bool) -> (Ground, Shared) {
    let (tailnet, key) = prepared;
    let tailnet = tailnet.shared();
    let server = FaultyServer::start(Box::new(Arc::clone(&tailnet))).await;
    let pace = Hurry::new(&tailnet);
    let dir = tempfile::Builder::new().prefix("bg").tempdir_in("/tmp").unwrap();
    let patience = Span::from_millis(150);
    let wish = Wish { edit_policy, patience, ..Wish::new(&server.url, &key) };
    let played = Arc::new(Played::new(wish, &tailnet, &pace, dir.path(), order_of_suite()));
    let shared = Shared(Arc::clone(&played));
    (Ground { server, tailnet, pace, played, _dir: dir }, shared)
}

/// Walks through one in so many of all faults and deaths; each kind of fault is among them.
async fn leaves_nothing(name: &str, caller: Caller, edit_policy: bool, step_by: usize) {
    let prepared = prepared(caller);
    let fresh = move || {
        let prepared = prepared.clone();
        async move {
            let (ground, carrier) = ground(prepared, edit_policy).await;
            let plan = carrier.0.plan();
            Fixture { far: Box::new(ground), carrier: Box::new(carrier), plan }
        }
    };
    let walks = assert_leaves_nothing_behind(name, fresh, some(step_by)).await;
    assert!(walks * step_by > 400, "only {walks} walks");
}

const fn some(step_by: usize) -> Extent {
    Extent { step_by, pairs_by: 0, at_once: 16 }
}

#[tokio::test]
async fn a_session_with_the_token_of_a_person_leaves_nothing() {
    leaves_nothing("v2, person", Caller::Person, false, 11).await;
}

#[tokio::test]
async fn a_session_with_an_oauth_client_leaves_nothing() {
    leaves_nothing("v2, client", Caller::Client, false, 17).await;
}

#[tokio::test]
async fn a_session_that_edits_the_policy_file_leaves_it_as_it_was() {
    leaves_nothing("v2, policy", Caller::Client, true, 11).await;
}

#[tokio::test]
async fn a_session_on_headscale_leaves_nothing() {
    let caller = Caller::Headscale(HeadscaleVersion::V29);
    leaves_nothing("v1", caller, false, 11).await;
}

#[tokio::test]
async fn a_session_on_an_old_headscale_leaves_nothing() {
    let caller = Caller::Headscale(HeadscaleVersion::V26);
    leaves_nothing("v1, old", caller, false, 17).await;
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
#[should_panic(expected = "something is left: [\"key ")]
async fn a_provider_that_takes_silence_for_a_refusal_is_found_out() {
    let prepared = prepared(Caller::Person);
    let fresh = move || {
        let prepared = prepared.clone();
        async move {
            let (ground, carrier) = ground(prepared, false).await;
            let plan = carrier.0.plan();
            Fixture { far: Box::new(ground), carrier: Box::new(Careless(carrier)), plan }
        }
    };
    assert_leaves_nothing_behind("careless", fresh, some(7)).await;
}
