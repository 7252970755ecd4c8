//! What the sessions of provider tests are for.

use breakglass::domain::artifact::Marker;
use breakglass::domain::id::SessionId;
use breakglass::domain::launcher::{ContainerEngine, ContainerLauncher, LauncherSettings};
use breakglass::domain::site::Site;
use breakglass::domain::time::Span;
use breakglass::provider::Order;

use super::launching::installation;
use super::plans::{START, id, request};

/// What every test wants to reach: an address in a site where containers can be started.
pub fn order(random: [u8; 10]) -> Order {
    let launcher = ContainerLauncher { engine: ContainerEngine::Docker, over: None, sudo: false };
    let session = SessionId::new(START, random);
    let needed_until = START + Span::from_hours(1);
    Order {
        session,
        target: request().target,
        site: Some(Site {
            id: "munich".parse().unwrap(),
            name: "Munich".to_owned(),
            private_ranges: vec!["10.20.0.0/16".parse().unwrap()],
            providers: vec!["net".parse().unwrap()],
            launcher: Some(LauncherSettings::Container(launcher)),
        }),
        forbidden: vec!["10.20.0.0/16".parse().unwrap()],
        marker: Marker::new(&installation(), session, needed_until),
        needed_until,
    }
}

/// The order of the session that the suite opens.
pub fn order_of_suite() -> Order {
    let order = order([7; 10]);
    assert_eq!(order.session, id());
    order
}
