//! `breakglass providers`, as an operator sees it.

use breakglass::domain::provider::Health;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Command, ProviderView, Reply};

use crate::cli_support::{Cli, World, engine, provider, usual};

/// An engine that does to Direct what it is asked to.
fn obeys() -> Cli {
    engine(|world: &mut World, command| match command {
        Command::SetProviderEnabled { enabled, .. } => {
            world.providers = vec![ProviderView { enabled, ..provider() }];
            Ok(Reply::Providers(world.providers.clone()))
        }
        Command::CheckProvider { .. } => Ok(Reply::Providers(world.providers.clone())),
        Command::RemoveProvider { .. } => {
            Err(Report::new(Kind::Denied, "Direct is built in and cannot be removed")
                .hint("breakglass providers disable direct"))
        }
        other => world.usual(other),
    })
}

#[tokio::test]
async fn list_is_what_providers_alone_means() {
    let ran = usual().run(&["providers"]).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| ID      KIND    ENABLED  HEALTH   CHECKED    LATENCY  SESSIONS  ABOUT
    out| direct  Direct  yes      healthy  1m30s ago  1 ms     1         a plain TCP connection from this host
    ");
    assert_eq!(usual().run(&["providers", "list"]).await.to_string(), ran.to_string());
    insta::assert_snapshot!(usual().run(&["providers", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"providers":[{"id":"direct","kind":"direct","label":"Direct","enabled":true,"health":"healthy","health_why":null,"checked_at":"2025-11-20T16:08:30.000Z","latency_millis":1,"sessions":1,"removable":false,"keep":"Direct is built in; it can be disabled","about":"a plain TCP connection from this host"}]}
    "#);
}

#[tokio::test]
async fn show_tells_why_it_cannot_be_removed() {
    insta::assert_snapshot!(usual().run(&["providers", "show", "direct"]).await, @"
    exit 0
    out| provider   direct (Direct)
    out| about      a plain TCP connection from this host
    out| enabled    yes
    out| health     healthy
    out| checked    2025-11-20 16:08:30 UTC, latency 1 ms
    out| sessions   1
    out| removable  no: Direct is built in; it can be disabled
    ");
    insta::assert_snapshot!(usual().run(&["providers", "show", "acme"]).await, @"
    exit 2
    err| usage: there is no provider `acme`
    err|   hint: breakglass providers list
    ");
}

#[tokio::test]
async fn enable_and_disable_say_what_it_means() {
    insta::assert_snapshot!(obeys().run(&["providers", "disable", "direct"]).await, @"
    exit 0
    err| `direct` is disabled; running sessions keep their path
    out| provider   direct (Direct)
    out| about      a plain TCP connection from this host
    out| enabled    no: no new session gets a path here
    out| health     healthy
    out| checked    2025-11-20 16:08:30 UTC, latency 1 ms
    out| sessions   1
    out| removable  no: Direct is built in; it can be disabled
    ");
    let ran = obeys().run(&["providers", "enable", "direct", "--json"]).await;
    assert_eq!(ran.documents()[0]["provider"]["enabled"], true);
}

#[tokio::test]
async fn a_provider_that_cannot_carry_a_path_is_exit_5() {
    let health = |health: Health| {
        obeys().world(move |world| world.providers = vec![ProviderView { health, ..provider() }])
    };
    let down = health(Health::Down { why: "no route".into() });
    insta::assert_snapshot!(down.run(&["providers", "validate", "direct"]).await, @"
    exit 5
    out| provider   direct (Direct)
    out| about      a plain TCP connection from this host
    out| enabled    yes
    out| health     DOWN: no route
    out| checked    2025-11-20 16:08:30 UTC, latency 1 ms
    out| sessions   1
    out| removable  no: Direct is built in; it can be disabled
    err| unavailable: `direct` cannot carry a path
    err|   because: no route
    ");
    let slow = health(Health::Degraded { why: "slow".into() });
    assert_eq!(slow.run(&["providers", "validate", "direct"]).await.code, 0);
}

#[tokio::test]
async fn remove_is_the_engines_to_refuse() {
    insta::assert_snapshot!(obeys().run(&["providers", "remove", "direct"]).await, @"
    exit 4
    err| denied: Direct is built in and cannot be removed
    err|   hint: breakglass providers disable direct
    ");
}
