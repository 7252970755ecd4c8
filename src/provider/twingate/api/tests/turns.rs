//! Whose turn it is.

use tokio::sync::mpsc;

use super::*;
use crate::provider::twingate::api::budget::Kind;
use crate::provider::twingate::api::turns::Turns;
use crate::session::StepIndex;

#[tokio::test]
async fn the_twenty_first_change_waits_and_says_so() {
    let server = Server::start().await;
    server.on("DeleteResource", [made()]);
    let pace = Passing::new();
    let api = server.api(&pace);
    let (tell, mut told) = mpsc::channel(64);
    let step: StepIndex = serde_json::from_value(json!(0)).unwrap();
    let caller = api.caller(Rank::Teardown, Saying::to(step, tell));
    assert_eq!(api.writes_left(), 20);
    for made in 1..=20 {
        assert_eq!(caller.delete_resource(RESOURCE).await, Change::Made(()));
        assert_eq!(api.writes_left(), 20 - made);
    }
    assert_eq!((pace.waited(), told.try_recv().is_err()), (0, true));
    assert_eq!(caller.delete_resource(RESOURCE).await, Change::Made(()));
    assert_eq!(pace.waited(), 61);
    let first = told.recv().await.unwrap().1;
    insta::assert_snapshot!(first, @"waits 61 s: a network of Twingate takes 20 changes a minute");
    assert_eq!(told.recv().await.unwrap().1, first.replace("61", "56"));
}

#[tokio::test]
async fn a_network_that_was_asked_too_often_is_left_alone_by_all() {
    let server = Server::start().await;
    let busy = says(429, "").with("retry-after", "120");
    server
        .on("CreateNetwork", [busy])
        .on("Glance", [data(&json!({ "page": { "totalCount": 0 } }))]);
    let pace = Passing::new();
    let api = server.api(&pace);
    let session = api.caller(Rank::Session, UNHEARD.clone());
    let refused = session.create_network("bg").await;
    assert!(matches!(refused, Change::Refused(Trouble::Busy { .. })), "{refused:?}");
    assert_eq!((api.writes_left(), pace.waited()), (0, 0));
    let (tell, mut told) = mpsc::channel(64);
    let step: StepIndex = serde_json::from_value(json!(0)).unwrap();
    let other = api.caller(Rank::Watch, Saying::to(step, tell));
    assert_eq!(other.glance().await, Ok(0));
    assert_eq!(pace.waited(), 90);
    let said = told.recv().await.unwrap().1;
    insta::assert_snapshot!(said, @"waits 90 s: the network of Twingate was asked too often");
    server.on("CreateNetwork", [says(429, "").with("retry-after", "999999999999")]);
    let refused = session.create_network("bg").await;
    assert!(matches!(refused, Change::Refused(Trouble::Busy { .. })), "{refused:?}");
    assert_eq!(other.glance().await, Ok(0), "a broken header stops nobody for good");
    assert_eq!(pace.waited(), 90 + 90);
}

#[tokio::test]
async fn two_providers_of_one_network_share_its_budget() {
    let server = Server::start().await;
    server.on("DeleteResource", [made()]);
    let budgets = Budgets::default();
    let api = |network: &str| {
        let http = Http::new(Trust::default(), LIMITS);
        let (cloud, key) = (server.cloud(), Secret::new("k"));
        let network = network.parse().unwrap();
        Arc::new(Api::new(http, &cloud, &network, key, Passing::new(), &budgets))
    };
    let (one, other) = (api("acme"), api("acme"));
    let caller = one.caller(Rank::Teardown, UNHEARD.clone());
    assert_eq!(caller.delete_resource(RESOURCE).await, Change::Made(()));
    assert_eq!((one.writes_left(), other.writes_left()), (19, 19));
}

#[tokio::test]
async fn what_is_taken_down_goes_first() {
    let (gate, turns) = (Gate::new(), Arc::new(Turns::default()));
    let order = Arc::new(Mutex::new(vec![]));
    for _ in 0..20 {
        take(&turns, Rank::Teardown, &gate).await;
        gate.second();
    }
    let mut waiting = JoinSet::new();
    for (so_many, rank) in [(1, Rank::Watch), (2, Rank::Session), (3, Rank::Teardown)] {
        let (gate, turns, order) = (Arc::clone(&gate), Arc::clone(&turns), Arc::clone(&order));
        let waits = Arc::clone(&gate);
        waiting.spawn(async move {
            take(&turns, rank, &gate).await;
            order.lock().unwrap().push((rank, gate.now()));
        });
        waits.until_waiting(so_many).await;
    }
    while order.lock().unwrap().len() < 3 {
        gate.second();
        for _ in 0..9 {
            tokio::task::yield_now().await;
        }
    }
    let order = order.lock().unwrap().clone();
    let ranks: Vec<_> = order.iter().map(|(rank, _)| *rank).collect();
    assert_eq!(ranks, [Rank::Teardown, Rank::Session, Rank::Watch]);
    let late = order[2].1.since(NOW + Span::from_seconds(63));
    // Beside what is kept for those who take something down.
    assert!(late <= Span::from_seconds(9), "a free place stays free for {late}");
}

#[tokio::test]
async fn who_gives_up_leaves_the_queue() {
    let (gate, turns) = (Gate::new(), Arc::new(Turns::default()));
    for _ in 0..20 {
        take(&turns, Rank::Teardown, &gate).await;
    }
    let mut waiting = JoinSet::new();
    let (waits, queue) = (Arc::clone(&gate), Arc::clone(&turns));
    waiting.spawn(async move { take(&queue, Rank::Teardown, &waits).await });
    gate.until_waiting(1).await;
    waiting.shutdown().await;
    (0..61).for_each(|_| gate.second());
    assert_eq!(turns.left(Kind::Write, gate.now()), 20);
    take(&turns, Rank::Watch, &gate).await;
}

#[tokio::test]
async fn the_way_down_of_a_session_is_kept_for_it() {
    let (gate, turns) = (Gate::new(), Arc::new(Turns::default()));
    for _ in 0..16 {
        take(&turns, Rank::Session, &gate).await;
    }
    let opens = take(&turns, Rank::Session, &gate);
    let mut opens = std::pin::pin!(opens);
    tokio::select! {
        () = &mut opens => panic!("it takes what is kept"),
        () = gate.until_waiting(1) => {}
    }
    for _ in 0..4 {
        take(&turns, Rank::Teardown, &gate).await;
    }
    assert_eq!(turns.left(Kind::Write, gate.now()), 0);
}

async fn take(turns: &Turns, rank: Rank, gate: &Arc<Gate>) {
    turns.take(Kind::Write, rank, &**gate, &UNHEARD).await;
}

/// A time that a test lets pass, second by second.
#[derive(Debug)]
struct Gate {
    now: Mutex<Timestamp>,
    waiting: tokio::sync::watch::Sender<usize>,
    tick: tokio::sync::watch::Sender<Timestamp>,
}

impl Gate {
    fn new() -> Arc<Self> {
        let (waiting, tick) =
            (tokio::sync::watch::Sender::new(0), tokio::sync::watch::Sender::new(NOW));
        Arc::new(Self { now: Mutex::new(NOW), waiting, tick })
    }

    async fn until_waiting(&self, so_many: usize) {
        self.waiting.subscribe().wait_for(|waiting| *waiting >= so_many).await.unwrap();
    }

    fn second(&self) {
        let mut now = self.now.lock().unwrap();
        *now = *now + Span::from_seconds(1);
        self.tick.send_replace(*now);
    }
}

#[async_trait]
impl Pace for Gate {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }

    async fn pause(&self, at_least: Span) {
        let until = self.now() + at_least;
        let mut ticks = self.tick.subscribe();
        self.waiting.send_modify(|waiting| *waiting += 1);
        ticks.wait_for(|now| *now >= until).await.unwrap();
    }
}
