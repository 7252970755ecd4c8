//! A provider, its world and its weather together.

use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::domain::artifact::Marker;
use crate::domain::id::{InstallationId, SessionId};
use crate::domain::target::{Listen, Reachability, Target, TargetKind};
use crate::domain::time::Timestamp;
use crate::provider::UNHEARD;

/// A provider in a world of its own.
struct Stand {
    dir: TempDir,
    world: Arc<World>,
    provider: Simulated,
}

const INSTANT: Pace =
    Pace { percent: 0, timeout: Span::from_seconds(1), settle: Span::from_seconds(60) };

impl Stand {
    fn new(flavour: Flavour, pace: Pace) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = Arc::new(World::open(dir.path(), 7, pace).unwrap());
        let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let services = [("ledger", nobody), ("meters", nobody)];
        let services = services.map(|(id, at)| (id.parse().unwrap(), at)).into();
        let id = "net".parse().unwrap();
        let provider = Simulated::new(id, flavour, Arc::clone(&world), Arc::new(services));
        Self { dir, world, provider }
    }

    fn session(&self, target: &str, site: &str, number: u8) -> Path {
        let at = Timestamp::from_millis(4_000_000_000_000);
        let session = SessionId::new(at, [number; 10]);
        let marker = Marker::new(&InstallationId::from_random([0; 6]), session, at);
        let order = Order {
            session,
            target: target_of(target, site),
            site: None,
            forbidden: vec![],
            marker: marker.clone(),
            needed_until: at,
        };
        Path { session, marker, steps: self.provider.plan(&order).unwrap() }
    }

    fn weather(&self, weather: &str) {
        self.world.set_weather(None, weather.parse().unwrap()).unwrap();
    }
}

fn target_of(id: &str, site: &str) -> Target {
    Target {
        id: id.parse().unwrap(),
        name: id.to_owned(),
        site: Some(site.parse().unwrap()),
        kind: TargetKind::Postgres,
        address: "10.20.0.7:5432".parse().unwrap(),
        reachability: Reachability::Private,
        user: None,
        database: None,
        listen: Listen::Loopback { port: None },
        idle: None,
        duration_max: None,
    }
}

/// One session's path, as the engine would walk it.
struct Path {
    session: SessionId,
    marker: Marker,
    steps: Vec<PlannedStep>,
}

impl Path {
    fn call(&self, step: usize) -> StepCall<'_> {
        let step = &self.steps[step];
        let (session, marker) = (self.session, &self.marker);
        StepCall { session, marker, step, artifact: None, steps: &[], says: &UNHEARD }
    }

    /// Applies the first so many steps.
    async fn apply(&self, provider: &Simulated, count: usize) -> Vec<Made> {
        let mut made = vec![];
        for (number, step) in self.steps.iter().take(count).enumerate() {
            match provider.apply(self.call(number)).await {
                Applied::Applied(artifact) => {
                    made.push(Made { index: made.len(), step: step.clone(), artifact })
                }
                other => panic!("{}: {other:?}", step.label),
            }
        }
        made
    }
}

fn shown(steps: &[PlannedStep]) -> String {
    let line = |(number, step): (usize, &PlannedStep)| {
        let leaves = step.leaves.as_deref().unwrap_or("-");
        let expires = step.expires.as_deref().unwrap_or("-");
        let (needs, undo_after) = (&step.needs, &step.undo_after);
        format!("{number} {} | {leaves} | {expires} | {needs:?} {undo_after:?}", step.label)
    };
    steps.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_plans_in_words() {
    let stand = Stand::new(Flavour::Tailscale, INSTANT);
    let steps = stand.session("ledger", "harbour", 1).steps;
    insta::assert_snapshot!(shown(&steps), @r#"
    0 check for overlapping routes | - | - | [] None
    1 create the router's key | router key | 10 minutes after it was made | [0] Some([])
    2 create this host's key | host key | 10 minutes after it was made | [0] Some([])
    3 start a router in the site | router process | stops itself at 07:06 UTC | [1] Some([5])
    4 wait for the router to join | device | ephemeral: goes once it is offline | [3] Some([1, 2, 3, 5])
    5 approve the route to 10.20.0.7:5432 | route | - | [4] None
    6 check that the target answers | - | - | [2, 5] None
    "#);
    assert!(crate::session::Plan::new(steps).is_ok());
    let steps = Stand::new(Flavour::Twingate, INSTANT).session("ledger", "harbour", 1).steps;
    insta::assert_snapshot!(shown(&steps), @r#"
    0 create a remote network | remote network | - | [] None
    1 create a connector | connector | - | [0] None
    2 start the connector in the site | connector process | stops itself at 07:06 UTC | [1] None
    3 wait until the connector is alive | - | - | [2] None
    4 create a resource for 10.20.0.7:5432 | resource | - | [0, 3] None
    5 give access until 07:06 UTC | access | ends by itself at 07:06 UTC | [4] None
    "#);
    assert!(crate::session::Plan::new(steps).is_ok());
}

#[tokio::test]
async fn what_is_made_is_found_by_its_mark_and_gone_once_its_file_is() {
    let stand = Stand::new(Flavour::Tailscale, INSTANT);
    let path = stand.session("ledger", "harbour", 1);
    path.apply(&stand.provider, 6).await;
    let Looked::Found(device) = stand.provider.look(path.call(4)).await else { panic!() };
    assert_eq!(device.to_string(), format!("device {}", path.marker));
    let other = stand.session("ledger", "harbour", 2);
    assert_eq!(stand.provider.look(other.call(4)).await, Looked::Absent);
    let [rm, file] = &path.steps[4].by_hand[0][..] else { panic!() };
    assert_eq!(rm, "rm");
    assert!(file.starts_with(stand.dir.path().to_str().unwrap()));
    std::fs::remove_file(file).unwrap();
    assert_eq!(stand.provider.look(path.call(4)).await, Looked::Absent);
    assert_eq!(stand.provider.undo(path.call(4)).await, Undone::Sent, "gone is well");
}

#[tokio::test]
async fn the_weather_is_asked_at_each_call() {
    let stand = Stand::new(Flavour::Tailscale, INSTANT);
    let path = stand.session("ledger", "harbour", 1);
    path.apply(&stand.provider, 6).await;
    stand.weather("stuck route");
    let problem = "409: the route is in use and cannot be deleted".to_owned();
    assert_eq!(stand.provider.undo(path.call(5)).await, Undone::Problem(problem));
    assert!(matches!(stand.provider.look(path.call(5)).await, Looked::Found(_)));
    stand.world.clear_weather().unwrap();
    assert_eq!(stand.provider.undo(path.call(5)).await, Undone::Sent);
    assert_eq!(stand.provider.look(path.call(5)).await, Looked::Absent);
    stand.weather("refuses route");
    insta::assert_debug_snapshot!(stand.provider.apply(path.call(5)).await, @r#"
    Refused(
        "403: this API key may not approve the route to 10.20.0.7:5432",
    )
    "#);
    std::fs::write(stand.dir.path().join("weather/_everywhere"), "a plague of frogs").unwrap();
    assert!(matches!(stand.provider.apply(path.call(5)).await, Applied::Applied(_)));
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_its_time_a_slow_one_three_times_as_much_and_a_hurried_one_none() {
    let stand = Stand::new(Flavour::Tailscale, Pace { percent: 100, ..INSTANT });
    let path = stand.session("ledger", "harbour", 1);
    let took = async || {
        let begun = Instant::now();
        stand.provider.look(path.call(1)).await;
        begun.elapsed().as_millis()
    };
    for _ in 0..50 {
        assert!((150..=601).contains(&took().await));
    }
    stand.weather("slow");
    assert!((450..=1_801).contains(&took().await));
    stand.world.hurry(true);
    assert_eq!(took().await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_change_may_have_landed_or_land_later_or_never() {
    let stand = Stand::new(Flavour::Tailscale, INSTANT);
    let path = stand.session("ledger", "harbour", 1);
    let unanswered = async |weather: &str| {
        stand.weather(weather);
        let limit = std::time::Duration::from_secs(3_600);
        let answer = tokio::time::timeout(limit, stand.provider.apply(path.call(1))).await;
        assert!(answer.is_err(), "{weather}: {answer:?}");
        stand.provider.look(path.call(1)).await
    };
    assert_eq!(unanswered("loses router-key").await, Looked::Absent);
    assert_eq!(stand.world.leftovers().unwrap().len(), 0);
    assert_eq!(unanswered("late router-key").await, Looked::Absent);
    assert_eq!(stand.provider.undo(path.call(1)).await, Undone::Sent);
    assert_eq!(stand.world.leftovers().unwrap().len(), 1, "it lands all the same");
    assert!(matches!(unanswered("times-out router-key").await, Looked::Found(_)));
}

#[tokio::test]
async fn what_lands_late_is_there_once_its_time_has_come() {
    let pace = Pace { timeout: Span::ZERO, settle: Span::ZERO, ..INSTANT };
    let stand = Stand::new(Flavour::Tailscale, pace);
    let path = stand.session("ledger", "harbour", 1);
    stand.weather("late router-key");
    stand.world.hurry(true);
    assert!(matches!(stand.provider.apply(path.call(1)).await, Applied::Unknown(_)));
    assert!(matches!(stand.provider.look(path.call(1)).await, Looked::Found(_)));
}

#[tokio::test]
async fn two_sites_with_one_address_never_meet_in_a_tailnet() {
    let stand = Stand::new(Flavour::Tailscale, INSTANT);
    let first = stand.session("ledger", "harbour", 1);
    let second = stand.session("meters", "lumen", 2);
    first.apply(&stand.provider, 5).await;
    second.apply(&stand.provider, 5).await;
    assert!(matches!(stand.provider.apply(first.call(5)).await, Applied::Applied(_)));
    let refused = "10.20.0.7 is routed to harbour; two sites must never meet".to_owned();
    for step in [0, 5] {
        let applied = stand.provider.apply(second.call(step)).await;
        assert_eq!(applied, Applied::Refused(refused.clone()), "step {step}");
    }
}

#[tokio::test]
async fn a_path_of_which_a_part_is_gone_carries_nothing() {
    let stand = Stand::new(Flavour::Twingate, INSTANT);
    let path = stand.session("ledger", "harbour", 1);
    let made = path.apply(&stand.provider, 6).await;
    // Nobody listens behind the target here, so the path is there and the target is not.
    let error = stand.provider.dial(&made).await.unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
    stand.provider.undo(path.call(5)).await;
    let error = stand.provider.dial(&made).await.unwrap_err().to_string();
    assert_eq!(error, "cannot connect to `10.20.0.7:5432`: the access of the path is gone");
}

#[tokio::test(start_paused = true)]
async fn a_part_that_goes_is_noticed_and_named() {
    let stand = Stand::new(Flavour::Tailscale, INSTANT);
    let path = stand.session("ledger", "harbour", 1);
    let made = path.apply(&stand.provider, 6).await;
    assert!(made[4].step.remade && !made[1].step.remade, "a key is spent");
    let (trouble, _) = tokio::sync::mpsc::channel(1);
    let an_hour = std::time::Duration::from_secs(3_600);
    let watch = stand.provider.watch(&made, trouble.clone());
    assert!(tokio::time::timeout(an_hour, watch).await.is_err(), "it is all there");
    stand.provider.undo(path.call(4)).await;
    let lost = Lost { step: 4, why: "the device went offline".to_owned() };
    assert_eq!(stand.provider.watch(&made, trouble.clone()).await, lost);
    path.apply(&stand.provider, 5).await;
    stand.weather("drops route");
    assert_eq!(stand.provider.watch(&made, trouble).await.step, 5);
}

#[tokio::test]
async fn nothing_joins_from_a_process_that_does_not_run() {
    let stand = Stand::new(Flavour::Tailscale, INSTANT);
    let path = stand.session("ledger", "harbour", 1);
    let refused = Applied::Refused("the router process is gone".to_owned());
    assert_eq!(stand.provider.apply(path.call(4)).await, refused);
}

#[test]
fn a_target_that_nobody_plays_has_no_plan() {
    let stand = Stand::new(Flavour::Tailscale, INSTANT);
    let at = Timestamp::from_millis(0);
    let session = SessionId::new(at, [1; 10]);
    let order = Order {
        session,
        target: target_of("unknown", "harbour"),
        site: None,
        forbidden: vec![],
        marker: Marker::new(&InstallationId::from_random([0; 6]), session, at),
        needed_until: at,
    };
    let error = stand.provider.plan(&order).unwrap_err();
    insta::assert_snapshot!(error, @"net cannot carry a path to this target: nothing plays `unknown` in this drill");
}
