//! One engine gives its sessions to another, or dies and is followed by another.

use std::os::unix::net::UnixStream;

use breakglass::engine::{Outcome, Parcel, Running};
use breakglass::protocol::{Command, Event, SessionState};
use tokio::net::TcpListener;

use crate::support::rig::{EchoTarget, Rig, connect, echo, open_active, until, until_view};

/// Sends a parcel through a socket, as it goes from process to process.
fn posted(parcel: Parcel) -> Parcel {
    let (mut giver, mut taker) = UnixStream::pair().unwrap();
    let sending = std::thread::spawn(move || parcel.send(&mut giver).map(|()| parcel));
    let received = Parcel::receive(&mut taker).unwrap();
    drop(sending.join().unwrap().unwrap());
    received
}

/// Stops an engine while its sessions live: to them that is as if it had died.
async fn stop(mut engine: Running) {
    engine.control.stop().await;
    assert_eq!(engine.finished().await, Outcome::Stopped);
}

#[tokio::test]
async fn a_hand_over_keeps_port_and_connections() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let mut first = rig.start().await;
    let view = open_active(&first, &target.address).await;
    let mut client = connect(&view).await;
    echo(&mut client, "before").await;
    let mut faces = first.handle.subscribe().await.unwrap();
    let parcel = first.control.hand_over().await.unwrap();
    assert_eq!(first.finished().await, Outcome::HandedOver);
    while faces.events.recv().await.is_some_and(|event| event != Event::HandedOver) {}

    let second = rig.start_with(posted(parcel)).await;
    echo(&mut client, "after").await;
    let faces = second.handle.subscribe().await.unwrap();
    let known = faces.snapshot.sessions.iter().find(|it| it.id == view.id).unwrap();
    assert_eq!(known.state, SessionState::Active);
    assert_eq!(known.endpoint, view.endpoint);
    assert_eq!(known.lease_ends_at, view.lease_ends_at);
    let mut faces = faces;
    second.handle.call(Command::End { session: view.id, reason: None }).await.unwrap();
    let ended = until(&mut faces, view.id, SessionState::Ended).await;
    assert_eq!(ended.traffic.bytes_up, 11, "counted over the hand-over");
    assert!(rig.store.audit_kinds().contains(&"engine.handed_over".to_owned()));
}

#[tokio::test]
async fn after_a_crash_an_active_session_is_adopted_on_the_same_port() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let first = rig.start().await;
    let view = open_active(&first, &target.address).await;
    stop(first).await;

    let second = rig.start().await;
    let mut faces = second.handle.subscribe().await.unwrap();
    let adopted = until_view(&mut faces, view.id, |view| view.endpoint.is_some()).await;
    assert_eq!(adopted.endpoint, view.endpoint);
    assert_eq!(adopted.lease_ends_at, view.lease_ends_at);
    echo(&mut connect(&adopted).await, "adopted").await;
}

#[tokio::test]
async fn a_port_that_somebody_took_after_a_crash_is_an_alarm_and_a_new_port() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let first = rig.start().await;
    let view = open_active(&first, &target.address).await;
    let address = view.endpoint.clone().unwrap().to_string();
    stop(first).await;
    let squatter = TcpListener::bind(&address).await.unwrap();

    let second = rig.start().await;
    let mut faces = second.handle.subscribe().await.unwrap();
    let adopted = until_view(&mut faces, view.id, |view| view.endpoint.is_some()).await;
    assert_ne!(adopted.endpoint, view.endpoint);
    drop(squatter);
    assert!(rig.store.audit_kinds().contains(&"session.step.moved".to_owned()));
    let faces = second.handle.subscribe().await.unwrap();
    let alarm = faces.snapshot.engine.alarms.first().expect("the alarm stands");
    assert!(alarm.text.ends_with("was taken by another program; the endpoint moved"), "{alarm:?}");
}

#[tokio::test]
async fn descriptors_added_by_the_giver_arrive_in_their_places() {
    let (rig, target) = (Rig::new(), EchoTarget::start().await);
    let first = rig.start().await;
    let view = open_active(&first, &target.address).await;
    let mut parcel = first.control.hand_over().await.unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    parcel.add("lock", near.into());
    let mut arrived = posted(parcel);
    assert!(arrived.take("socket").is_none());
    let lock = UnixStream::from(arrived.take("lock").unwrap());
    std::io::Write::write_all(&mut &lock, b"x").unwrap();
    let mut byte = [0];
    std::io::Read::read_exact(&mut &far, &mut byte).unwrap();
    assert_eq!(arrived.unpack().keys().copied().collect::<Vec<_>>(), [view.id]);
}
