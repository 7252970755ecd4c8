//! The real engine on simulated providers, in every weather: whatever happens on the way, nothing
//! is left in the world at the end.

use std::net::SocketAddr;
use std::process::Command as Process;
use std::sync::Arc;

use breakglass::domain::id::SessionId;
use breakglass::domain::time::Span;
use breakglass::engine::Running;
use breakglass::protocol::{
    Command, SessionState, SessionView, StepProgress, StepView, Subscription,
};
use breakglass::provider::Provider;
use breakglass::provider::simulated::{Flavour, Landing, Pace, Part, Simulated, Weather, World};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::rig::{
    EchoTarget, Rig, connect, echo, open_active, request, session, until, until_view,
};

/// Every answer comes at once, and is waited for.
const QUICK: Pace =
    Pace { percent: 0, timeout: Span::from_seconds(10), settle: Span::from_seconds(20) };

/// The same for weather in which some answer never comes.
const IMPATIENT: Pace =
    Pace { percent: 0, timeout: Span::from_millis(500), settle: Span::from_millis(800) };

const FLAVOURS: [Flavour; 2] = [Flavour::Tailscale, Flavour::Twingate];

/// A store with one simulated provider, and a real target behind it.
struct Stage {
    rig: Rig,
    world: Arc<World>,
    target: EchoTarget,
    flavour: Flavour,
    _dir: TempDir,
}

impl Stage {
    async fn new(flavour: Flavour, pace: Pace) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = Arc::new(World::open(dir.path(), 7, pace).unwrap());
        let target = EchoTarget::start().await;
        let behind: SocketAddr = target.address.to_string().parse().unwrap();
        let services = [(format!("127.0.0.1-{}", behind.port()).parse().unwrap(), behind)];
        let (services, id) = (Arc::new(services.into()), "net".parse().unwrap());
        let provider: Arc<dyn Provider> =
            Arc::new(Simulated::new(id, flavour, Arc::clone(&world), services));
        Self { rig: Rig::with(vec![provider]), world, target, flavour, _dir: dir }
    }

    async fn under(flavour: Flavour, weather: Weather) -> Self {
        let silent = matches!(weather, Weather::Silent(..));
        let stage = Self::new(flavour, if silent { IMPATIENT } else { QUICK }).await;
        stage.world.set_weather(None, weather).unwrap();
        stage
    }

    /// Opens a session and returns it as it is once it is requested.
    async fn open(&self, engine: &Running) -> (Subscription, SessionView) {
        let faces = engine.handle.subscribe().await.unwrap();
        let answer = engine.handle.call(Command::Open(request(&self.target.address))).await;
        (faces, session(answer))
    }

    fn nothing_is_left(&self, ended: &SessionView) {
        assert_eq!(ended.state, SessionState::Ended);
        assert!(ended.receipt.iter().all(|line| line.gone_at.is_some()), "{:?}", ended.receipt);
        let left = self.world.leftovers().unwrap();
        assert!(left.is_empty(), "{:?}: {left:?}", self.flavour);
    }

    async fn end(&self, engine: &Running, id: SessionId) {
        let mut faces = engine.handle.subscribe().await.unwrap();
        engine.handle.call(Command::End { session: id, reason: None }).await.unwrap();
        let ended = until(&mut faces, id, SessionState::Ended).await;
        self.nothing_is_left(&ended);
    }
}

/// Every part of a flavour's path that leaves something, or every part.
fn parts(flavour: Flavour, leaving: bool) -> Vec<Part> {
    let mut parts = Part::ALL.to_vec();
    let twingate = parts.split_off(7);
    let parts = if flavour == Flavour::Twingate { twingate } else { parts };
    parts.into_iter().filter(|part| !leaving || part.leaves().is_some()).collect()
}

fn each(leaving: bool) -> impl Iterator<Item = (Flavour, Part)> {
    FLAVOURS.into_iter().flat_map(move |flavour| {
        parts(flavour, leaving).into_iter().map(move |part| (flavour, part))
    })
}

/// Runs a test for each case, all at once.
async fn for_each<C, F>(cases: impl Iterator<Item = C>, test: impl Fn(C) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    for case in cases {
        running.spawn(test(case));
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

fn of_part(view: &SessionView, part: Part, flavour: Flavour) -> &StepView {
    &view.steps[parts(flavour, false).iter().position(|it| *it == part).unwrap()]
}

async fn stop(mut engine: Running) {
    engine.control.stop().await;
    engine.finished().await;
}

#[tokio::test]
async fn in_calm_weather_a_session_opens_carries_and_leaves_nothing() {
    for_each(FLAVOURS.into_iter(), |flavour| async move {
        let stage = Stage::under(flavour, Weather::Calm).await;
        let engine = stage.rig.start().await;
        let view = open_active(&engine, &stage.target.address).await;
        echo(&mut connect(&view).await, "through the path").await;
        assert_eq!(stage.world.leftovers().unwrap().len(), parts(flavour, true).len());
        stage.end(&engine, view.id).await;
    })
    .await;
}

#[tokio::test]
async fn refused_at_any_step_everything_before_it_is_removed() {
    for_each(each(false), |(flavour, part)| async move {
        let stage = Stage::under(flavour, Weather::Refuses(part)).await;
        let engine = stage.rig.start().await;
        let (mut faces, opened) = stage.open(&engine).await;
        let ended = until(&mut faces, opened.id, SessionState::Ended).await;
        assert_eq!(ended.end_reason.as_deref(), Some("activation-failed"));
        assert!(ended.end_detail.as_ref().unwrap().contains("403"), "{:?}", ended.end_detail);
        assert_eq!(of_part(&ended, part, flavour).progress, StepProgress::Refused);
        stage.nothing_is_left(&ended);
    })
    .await;
}

#[tokio::test]
async fn what_was_made_without_an_answer_is_found_by_a_look_and_the_session_goes_on() {
    let landings = [Landing::Lands, Landing::Late];
    let cases = each(true).flat_map(move |case| landings.map(|landing| (case, landing)));
    for_each(cases, |((flavour, part), landing)| async move {
        let stage = Stage::under(flavour, Weather::Silent(part, landing)).await;
        let engine = stage.rig.start().await;
        let view = open_active(&engine, &stage.target.address).await;
        assert!(stage.rig.store.audit_kinds().contains(&"session.step.unknown".to_owned()));
        echo(&mut connect(&view).await, "all the same").await;
        stage.end(&engine, view.id).await;
    })
    .await;
}

#[tokio::test]
async fn a_call_that_is_lost_ends_the_session_and_nothing_is_left() {
    for_each(each(false), |(flavour, part)| async move {
        let stage = Stage::under(flavour, Weather::Silent(part, Landing::Never)).await;
        let engine = stage.rig.start().await;
        let (mut faces, opened) = stage.open(&engine).await;
        let ended = until(&mut faces, opened.id, SessionState::Ended).await;
        assert_eq!(ended.end_reason.as_deref(), Some("activation-failed"));
        stage.nothing_is_left(&ended);
    })
    .await;
}

#[tokio::test]
async fn slow_and_flaky_weather_only_takes_longer() {
    let cases = FLAVOURS.into_iter().flat_map(|it| [(it, Weather::Slow), (it, Weather::Flaky)]);
    for_each(cases, |(flavour, weather)| async move {
        let stage = Stage::new(flavour, Pace { percent: 2, ..QUICK }).await;
        stage.world.set_weather(None, weather).unwrap();
        let engine = stage.rig.start().await;
        let view = open_active(&engine, &stage.target.address).await;
        engine.handle.call(Command::End { session: view.id, reason: None }).await.unwrap();
        stage.nothing_is_left(&hurried(&engine, view.id).await);
    })
    .await;
}

/// Waits until a session has ended, and tries at once whatever would be tried again after a while.
async fn hurried(engine: &Running, id: SessionId) -> SessionView {
    let mut faces = engine.handle.subscribe().await.unwrap();
    let ended = until(&mut faces, id, SessionState::Ended);
    let hurry = async {
        loop {
            // A session that has ended meanwhile cannot be hurried.
            engine.handle.call(Command::Retry { session: id }).await.ok();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = ended => ended,
        () = hurry => unreachable!("it hurries for ever"),
    }
}

/// Ends a session in whose way something stands, and tries until that is owed.
async fn owed(engine: &Running, view: &SessionView, part: Part, flavour: Flavour) -> SessionView {
    let mut faces = engine.handle.subscribe().await.unwrap();
    engine.handle.call(Command::End { session: view.id, reason: None }).await.unwrap();
    for tries in 1..=2 {
        until_view(&mut faces, view.id, |view| {
            let step = of_part(view, part, flavour);
            step.tries == tries && step.progress == StepProgress::Applied
        })
        .await;
        engine.handle.call(Command::Retry { session: view.id }).await.unwrap();
    }
    until(&mut faces, view.id, SessionState::CleanupOwed).await
}

#[tokio::test]
async fn what_will_not_go_is_owed_and_its_exit_card_truly_removes_it() {
    for_each(each(true), |(flavour, part)| async move {
        let stage = Stage::under(flavour, Weather::Stuck(part)).await;
        let engine = stage.rig.start().await;
        let view = open_active(&engine, &stage.target.address).await;
        let owed = owed(&engine, &view, part, flavour).await;
        let card = &owed.exit_card[..];
        assert_eq!(card.len(), 1, "{card:?}");
        assert!(card[0].artifact.starts_with(part.leaves().unwrap()), "{card:?}");
        assert!(card[0].tried.contains("409"), "{card:?}");
        for command in &card[0].commands {
            let status = Process::new("sh").args(["-c", command]).status().unwrap();
            assert!(status.success(), "{command}");
        }
        stage.nothing_is_left(&hurried(&engine, view.id).await);
    })
    .await;
}

#[tokio::test]
async fn what_is_owed_goes_once_the_weather_clears() {
    let (flavour, part) = (Flavour::Tailscale, Part::Device);
    let stage = Stage::under(flavour, Weather::Stuck(part)).await;
    let engine = stage.rig.start().await;
    let view = open_active(&engine, &stage.target.address).await;
    owed(&engine, &view, part, flavour).await;
    assert_eq!(stage.world.leftovers().unwrap().len(), 1);
    stage.world.clear_weather().unwrap();
    stage.nothing_is_left(&hurried(&engine, view.id).await);
}

#[tokio::test]
async fn after_a_crash_on_the_way_the_next_engine_removes_everything() {
    let landings = [Landing::Lands, Landing::Late, Landing::Never];
    let cases = each(true).flat_map(move |case| landings.map(|landing| (case, landing)));
    for_each(cases, |((flavour, part), landing)| async move {
        let stage = Stage::under(flavour, Weather::Silent(part, landing)).await;
        let first = stage.rig.start().await;
        let (mut faces, opened) = stage.open(&first).await;
        until_view(&mut faces, opened.id, |view| {
            of_part(view, part, flavour).progress == StepProgress::Applying
        })
        .await;
        stop(first).await;

        let second = stage.rig.start().await;
        let mut faces = second.handle.subscribe().await.unwrap();
        let ended = until(&mut faces, opened.id, SessionState::Ended).await;
        assert_eq!(ended.end_reason.as_deref(), Some("activation-failed"));
        assert!(ended.receipt.iter().all(|line| line.gone_at.is_some()));
        stage.nothing_is_left(&ended);
    })
    .await;
}

#[tokio::test]
async fn a_part_that_was_lost_while_no_engine_ran_is_made_again() {
    for_each(FLAVOURS.into_iter(), |flavour| async move {
        let stage = Stage::under(flavour, Weather::Calm).await;
        let first = stage.rig.start().await;
        let view = open_active(&first, &stage.target.address).await;
        stop(first).await;
        let left = stage.world.leftovers().unwrap();
        std::fs::remove_file(left.last().unwrap()).unwrap();

        let second = stage.rig.start().await;
        let mut faces = second.handle.subscribe().await.unwrap();
        let whole = until_view(&mut faces, view.id, |view| {
            view.steps.iter().all(|step| step.progress == StepProgress::Applied)
        })
        .await;
        assert_eq!((whole.state, &whole.endpoint), (SessionState::Active, &view.endpoint));
        echo(&mut connect(&whole).await, "over a new part").await;
        stage.end(&second, view.id).await;
    })
    .await;
}

#[tokio::test]
async fn a_part_that_goes_while_the_session_is_active_is_made_again() {
    for_each(FLAVOURS.into_iter(), |flavour| async move {
        let stage = Stage::under(flavour, Weather::Calm).await;
        let engine = stage.rig.start().await;
        let mut faces = engine.handle.subscribe().await.unwrap();
        let view = open_active(&engine, &stage.target.address).await;
        std::fs::remove_file(stage.world.leftovers().unwrap().last().unwrap()).unwrap();
        let lost = until_view(&mut faces, view.id, |view| view.path_lost.is_some()).await;
        assert_eq!(lost.state, SessionState::Active);
        let back = until_view(&mut faces, view.id, |view| view.path_lost.is_none()).await;
        assert_eq!((back.state, &back.endpoint), (SessionState::Active, &view.endpoint));
        echo(&mut connect(&back).await, "over a new part").await;
        stage.end(&engine, view.id).await;
    })
    .await;
}

#[tokio::test]
async fn a_hand_over_on_the_way_changes_nothing() {
    for_each(FLAVOURS.into_iter(), |flavour| async move {
        let stage = Stage::new(flavour, Pace { percent: 5, ..QUICK }).await;
        let mut first = stage.rig.start().await;
        let (mut faces, opened) = stage.open(&first).await;
        until_view(&mut faces, opened.id, |view| view.steps[1].progress == StepProgress::Applied)
            .await;
        let parcel = first.control.hand_over().await.unwrap();
        first.finished().await;

        let second = stage.rig.start_with(parcel).await;
        let mut faces = second.handle.subscribe().await.unwrap();
        let active = until(&mut faces, opened.id, SessionState::Active).await;
        echo(&mut connect(&active).await, "as if nothing had happened").await;
        stage.end(&second, active.id).await;
    })
    .await;
}
