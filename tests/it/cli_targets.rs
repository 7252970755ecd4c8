//! `breakglass targets` and `breakglass sites`, as an operator sees them.

use breakglass::domain::launcher::{ContainerEngine, ContainerLauncher, LauncherSettings};
use breakglass::domain::request::NetworkPath;
use breakglass::domain::site::Site;
use breakglass::domain::ssh::SshDestination;
use breakglass::protocol::{Command, Considered, PathView, Reply, SessionState, TargetView};

use crate::cli_support::{Cli, World, engine, session};

fn view(id: &str, path: PathView) -> TargetView {
    let mut target = session(SessionState::Active).target;
    target.id = id.parse().unwrap();
    target.name = id.into();
    target.address = format!("{id}.internal:5432").parse().unwrap();
    TargetView { target, path: Some(path) }
}

fn catalogue() -> Cli {
    let direct: NetworkPath = session(SessionState::Active).path;
    let good = PathView { path: Ok(direct), considered: vec![] };
    let none = PathView {
        path: Err("no provider of site `acme` can serve".into()),
        considered: vec![Considered {
            provider: "acme-tailnet".parse().unwrap(),
            why: "it is disabled".into(),
        }],
    };
    engine(move |world: &mut World, command| match command {
        Command::Targets { with_paths } => {
            let mut targets = vec![view("orders-db", good.clone()), view("ledger", none.clone())];
            for target in targets.iter_mut().filter(|_| !with_paths) {
                target.path = None;
            }
            Ok(Reply::Targets(targets))
        }
        Command::Sites => Ok(Reply::Sites(vec![Site {
            id: "acme".parse().unwrap(),
            name: "Acme \u{1b}[31mCorp".into(),
            private_ranges: vec!["10.20.0.0/16".parse().unwrap()],
            providers: vec!["direct".parse().unwrap(), "acme-tailnet".parse().unwrap()],
            launcher: Some(LauncherSettings::Container(ContainerLauncher {
                engine: ContainerEngine::Docker,
                over: Some(SshDestination::new("docker1".parse().unwrap())),
                sudo: false,
            })),
        }])),
        other => world.usual(other),
    })
}

#[tokio::test]
async fn targets_are_listed_without_touching_them() {
    let ran = catalogue().run(&["targets"]).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| ID         KIND      ADDRESS                  SITE
    out| orders-db  postgres  orders-db.internal:5432  acme
    out| ledger     postgres  ledger.internal:5432     acme
    ");
    assert_eq!(ran.heard, [Command::Targets { with_paths: false }]);
}

#[tokio::test]
async fn paths_are_told_with_the_reason_in_words() {
    insta::assert_snapshot!(catalogue().run(&["targets", "--paths"]).await, @"
    exit 0
    out| ID         KIND      ADDRESS                  SITE  PATH    WHY
    out| orders-db  postgres  orders-db.internal:5432  acme  direct  db.internal:5432 answers from here
    out| ledger     postgres  ledger.internal:5432     acme  NONE    no provider of site `acme` can serve; acme-tailnet: it is disabled
    ");
    insta::assert_snapshot!(catalogue().run(&["targets", "ledger", "--paths", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"targets":[{"id":"ledger","name":"ledger","site":"acme","kind":"postgres","address":"ledger.internal:5432","reachability":"auto","user":"ana","database":"orders","idle_seconds":null,"duration_max_seconds":null,"path":{"chosen":null,"refused":"no provider of site `acme` can serve","considered":[{"provider":"acme-tailnet","why":"it is disabled"}]}}]}
    "#);
}

#[tokio::test]
async fn a_filter_looks_at_everything_that_names_a_target() {
    for (filter, lines) in [("ORDERS", 2), ("internal", 3), ("postgres", 3), ("acme", 3)] {
        let ran = catalogue().run(&["targets", filter]).await;
        assert_eq!(ran.stdout().lines().count(), lines, "{filter}: {ran}");
    }
    insta::assert_snapshot!(catalogue().run(&["targets", "nothing-like-it"]).await, @"
    exit 0
    err| no target matches
    ");
    let ran = catalogue().run(&["targets", "nothing-like-it", "--json"]).await;
    assert_eq!(ran.stdout(), "{\"version\":1,\"targets\":[]}\n");
}

#[tokio::test]
async fn sites_are_listed_with_their_providers_in_order() {
    insta::assert_snapshot!(catalogue().run(&["sites"]).await, @"
    exit 0
    out| ID    NAME               PROVIDERS             PRIVATE RANGES  LAUNCHER
    out| acme  Acme <1B>[31mCorp  direct, acme-tailnet  10.20.0.0/16    by docker on docker1
    ");
    insta::assert_snapshot!(catalogue().run(&["sites", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"sites":[{"id":"acme","name":"Acme \u001b[31mCorp","private_ranges":["10.20.0.0/16"],"providers":["direct","acme-tailnet"],"launcher":{"kind":"docker","about":"by docker on docker1"}}]}
    "#);
}

#[tokio::test]
async fn sites_list_is_what_sites_alone_means() {
    let alone = catalogue().run(&["sites"]).await;
    assert_eq!(catalogue().run(&["sites", "list"]).await.to_string(), alone.to_string());
}

#[tokio::test]
async fn a_launcher_that_cannot_start_anything_is_exit_5() {
    let looking = |probe: fn() -> breakglass::domain::probe::Probe| {
        engine(move |world: &mut World, command| match command {
            Command::ValidateSite { .. } => Ok(Reply::Probe(probe())),
            other => world.usual(other),
        })
    };
    let line = ["sites", "validate", "acme"];
    insta::assert_snapshot!(looking(crate::cli_people::healthy).run(&line).await, @"
    exit 0
    out| ✓ discovery                 120 ms  the issuer is as it should be
    out| ✓ device authorization        0 ms  offered
    out| ✓ keys                       80 ms  2 keys
    ");
    let sick = looking(crate::cli_people::unhealthy);
    let ran = sick.run(&line).await;
    insta::assert_snapshot!(ran, @"
    exit 5
    out| ✓ discovery                 120 ms  the issuer is as it should be
    out| ✗ device authorization        0 ms  not offered; allow public client flows in the app registration
    out| ✓ keys                       80 ms  2 keys
    err| unavailable: nothing can be started in `acme` now
    err|   because: not offered; allow public client flows in the app registration
    ");
    assert_eq!(ran.heard, [Command::ValidateSite { site: "acme".parse().unwrap() }]);
    let json = [&line[..], &["--json"]].concat();
    insta::assert_snapshot!(looking(crate::cli_people::healthy).run(&json).await, @r#"
    exit 0
    out| {"version":1,"validation":{"site":"acme","healthy":true,"at":"2025-11-20T16:08:30.000Z","abilities":[{"name":"discovery","needed":true,"ok":true,"detail":"the issuer is as it should be","millis":120},{"name":"device authorization","needed":true,"ok":true,"detail":"offered","millis":0},{"name":"keys","needed":true,"ok":true,"detail":"2 keys","millis":80}]}}
    "#);
}
