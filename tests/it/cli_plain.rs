//! The plain face: one line for each thing that happens.

use breakglass::cli::signals::Caught;
use breakglass::domain::identity_provider::IdpHealth;
use breakglass::domain::provider::Health;
use breakglass::protocol::{
    Event, IdentityView, IdpView, Notice, ProviderView, SessionState, SessionView, Severity,
};

use crate::cli_people::{entra, identity, unhealthy};
use crate::cli_support::{Beat, NOW, provider, session, session_with, usual};

fn told(view: SessionView) -> Beat {
    Beat::Tell(Event::Session(Box::new(view)))
}

#[tokio::test]
async fn it_says_how_things_stand_and_then_what_happens() {
    let down = ProviderView { health: Health::Down { why: "no route".into() }, ..provider() };
    let ran = usual()
        .knowing([session(SessionState::Active), session_with([9; 10], SessionState::Ended)])
        .world(|world| {
            let other = |state| told(session_with([7; 10], state));
            world.later.extend([
                other(SessionState::Pending),
                other(SessionState::Activating),
                other(SessionState::Active),
                told(session(SessionState::Ending)),
                told(session(SessionState::Ended)),
                Beat::Tell(Event::Providers(vec![down])),
                Beat::Tell(Event::Notice(Notice {
                    severity: Severity::Warning,
                    text: "15 minutes left".into(),
                    session: None,
                    at: NOW,
                })),
                other(SessionState::Ending),
                other(SessionState::CleanupOwed),
            ]);
        })
        .on("ALARM", Caught::Interrupt)
        .run(&["--plain"])
        .await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| breakglass 0.1.0 on jump1, operator ana, targets 2, live sessions 1
    out| provider direct is enabled, healthy
    out| session 55667788 is Active: orders-db (postgres db.internal:5432, site acme) at 127.0.0.1:41000 until 2025-11-20 16:40:00 UTC; paste: psql -h 127.0.0.1 -p 41000 -U ana -d orders
    err| Ctrl-C leaves; `breakglass --help` lists the verbs
    out| session 07070707 is Pending: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    out| session 07070707 is Activating: orders-db (postgres db.internal:5432, site acme) by direct: db.internal:5432 answers from here
    out| session 07070707: applied   reach db.internal:5432
    out| session 07070707: applying  listen on 127.0.0.1
    out| session 07070707 is Active: orders-db (postgres db.internal:5432, site acme) at 127.0.0.1:41000 until 2025-11-20 16:40:00 UTC; paste: psql -h 127.0.0.1 -p 41000 -U ana -d orders
    out| session 07070707: applied   listen on 127.0.0.1
    out| session 55667788 is Ending: orders-db (postgres db.internal:5432, site acme), ended-by-operator
    out| session 55667788: undoing   listen on 127.0.0.1
    out| session 55667788 is Ended: orders-db (postgres db.internal:5432, site acme), ended-by-operator
    out| session 55667788: gone      reach db.internal:5432
    out| session 55667788: gone      listen on 127.0.0.1
    out| provider direct is enabled, DOWN: no route
    out| warning: 15 minutes left
    out| session 07070707 is Ending: orders-db (postgres db.internal:5432, site acme), ended-by-operator
    out| session 07070707: undoing   listen on 127.0.0.1
    out| ALARM: session 07070707 is CleanupOwed: orders-db (postgres db.internal:5432, site acme), 1 to remove; `breakglass show 07070707` says how
    out| session 07070707: OWED      reach db.internal:5432
    out| session 07070707: gone      listen on 127.0.0.1
    err| left; sessions go on until they are ended or their lease ends
    ");
}

#[tokio::test]
async fn nothing_is_told_twice_when_the_engine_moves() {
    let ran = usual()
        .knowing([session(SessionState::Active)])
        .world(|world| {
            world.later.extend([
                Beat::Tell(Event::HandedOver),
                Beat::Cut,
                told(session(SessionState::Ending)),
                Beat::Tell(Event::Stopped),
            ]);
        })
        .run(&[])
        .await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| breakglass 0.1.0 on jump1, operator ana, targets 2, live sessions 1
    out| provider direct is enabled, healthy
    out| session 55667788 is Active: orders-db (postgres db.internal:5432, site acme) at 127.0.0.1:41000 until 2025-11-20 16:40:00 UTC; paste: psql -h 127.0.0.1 -p 41000 -U ana -d orders
    err| Ctrl-C leaves; `breakglass --help` lists the verbs
    out| session 55667788 is Ending: orders-db (postgres db.internal:5432, site acme), ended-by-operator
    out| session 55667788: undoing   listen on 127.0.0.1
    err| the engine has stopped
    ");
}

#[tokio::test]
async fn a_drill_says_so_on_every_line() {
    let ran = usual()
        .knowing([SessionView { drill: true, ..session(SessionState::Active) }])
        .world(|world| {
            world.engine.drill = true;
            world.later.push_back(Beat::Tell(Event::Stopped));
        })
        .run(&[])
        .await;
    let about_sessions: Vec<_> =
        ran.stdout().lines().filter(|line| line.contains("session")).map(str::to_owned).collect();
    assert!(about_sessions.iter().all(|line| line.starts_with("DRILL")), "{ran}");
    assert_eq!(about_sessions.len(), 2, "{ran}");
}

#[tokio::test]
async fn who_is_signed_in_and_what_changes_about_signing_on_is_told() {
    let sick = || {
        let idp = IdpView { health: IdpHealth::Unhealthy, probe: Some(unhealthy()), ..entra() };
        IdentityView { idps: vec![idp], ..identity() }
    };
    let eased = || {
        let idps = vec![IdpView { enforced: false, ..sick().idps.remove(0) }];
        IdentityView { idps, ..identity() }
    };
    let later = |view| Beat::Tell(Event::Identity(Box::new(view)));
    let ran = usual()
        .world(|world| {
            world.identity = identity();
            world.later.extend([
                later(identity()),
                later(sick()),
                later(eased()),
                Beat::Tell(Event::SignedOut { why: "it was not used for 30 minutes".into() }),
                Beat::Cut,
                Beat::Tell(Event::Stopped),
            ]);
        })
        .run(&["--plain"])
        .await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| breakglass 0.1.0 on jump1, operator ana, targets 2, live sessions 0
    out| ana@example.com (Owner), signed in by password
    out| identity provider entra: SSO enforced, healthy
    out| provider direct is enabled, healthy
    err| Ctrl-C leaves; `breakglass --help` lists the verbs
    out| identity provider entra: SSO enforced, UNHEALTHY: not offered; allow public client flows in the app registration
    out| identity provider entra: SSO not enforced, UNHEALTHY: not offered; allow public client flows in the app registration
    out| signed out: it was not used for 30 minutes
    out| nobody is signed in at this terminal: breakglass login
    err| the engine has stopped
    ");
}

#[tokio::test]
async fn before_there_is_an_owner_it_says_how_to_make_one() {
    let ran = usual()
        .world(|world| {
            world.identity =
                IdentityView { owner_exists: false, me: None, idps: vec![], ..identity() };
            world.later.push_back(Beat::Tell(Event::Stopped));
        })
        .run(&["--plain"])
        .await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| breakglass 0.1.0 on jump1, operator ana, targets 2, live sessions 0
    out| there is no Owner yet: breakglass init --email EMAIL
    out| provider direct is enabled, healthy
    err| Ctrl-C leaves; `breakglass --help` lists the verbs
    err| the engine has stopped
    ");
}
