//! `breakglass idp`, as an operator sees it.

use std::os::unix::fs::PermissionsExt;

use breakglass::domain::identity_provider::{BreakGlassMode, IdpHealth, IdpKind, IdpSettings};
use breakglass::domain::probe::Probe;
use breakglass::domain::secret::Secret;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Command, IdpAsk, IdpView, Reply};

use crate::cli_people::{entra, healthy, identity, unhealthy};
use crate::cli_support::{Cli, World, engine, usual};

/// An engine whose looks show this.
fn seeing(probe: fn() -> Probe) -> Cli {
    engine(move |world: &mut World, command| match command {
        Command::Idp(IdpAsk::Add { .. } | IdpAsk::Validate { .. }) => Ok(Reply::Probe(probe())),
        Command::Idp(IdpAsk::Remove { .. }) => Ok(Reply::Done),
        Command::Idp(IdpAsk::Enforce { on, confirm, .. }) => enforced(world, on, confirm),
        other => world.usual(other),
    })
    .world(|world| world.identity = identity())
}

/// Nobody who is listed could get in, so the name has to be typed.
fn enforced(world: &mut World, on: bool, confirm: Option<String>) -> Result<Reply, Report> {
    match confirm.as_deref() {
        _ if !on => {}
        Some("entra") => {}
        None => {
            let message = "nobody could get in if `entra` failed";
            return Err(Report::new(Kind::Denied, message)
                .because("nobody who is listed has a password")
                .hint("breakglass idp enforce entra --confirm entra"));
        }
        Some(_) => {
            return Err(Report::new(Kind::Denied, "what was typed is not `entra`")
                .hint("breakglass idp enforce entra --confirm entra"));
        }
    }
    world.identity.idps = vec![IdpView { enforced: on, ..entra() }];
    Ok(Reply::IdentityProviders(world.identity.idps.clone()))
}

const OIDC: [&str; 9] = [
    "idp",
    "add",
    "corp",
    "--kind",
    "oidc",
    "--issuer",
    "https://sso.example.com",
    "--client-id",
    "breakglass",
];

fn corp(has_secret: bool) -> IdpSettings {
    IdpSettings {
        id: "corp".parse().unwrap(),
        kind: IdpKind::Oidc { issuer: "https://sso.example.com".into() },
        client_id: "breakglass".into(),
        has_secret,
        scopes: vec!["profile".into(), "email".into()],
        domains: vec![],
        break_glass: BreakGlassMode::Always,
    }
}

fn added(settings: IdpSettings, secret: Option<&str>, unhealthy: bool) -> Command {
    let (settings, secret) = (Box::new(settings), secret.map(Secret::new));
    Command::Idp(IdpAsk::Add { settings, secret, unhealthy })
}

#[tokio::test]
async fn list_shows_health_and_what_is_wrong() {
    insta::assert_snapshot!(seeing(healthy).run(&["idp", "list"]).await, @"
    exit 0
    out| ID     KIND                SSO       HEALTH   CHECKED    LISTED  ISSUER                                                                       DOMAINS
    out| entra  Microsoft Entra ID  enforced  healthy  1m30s ago  3 of 5  https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0  example.com
    ");
    insta::assert_snapshot!(seeing(healthy).run(&["idp", "list", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"identity_providers":[{"id":"entra","label":"Microsoft Entra ID","kind":"entra-id","tenant":"11111111-2222-3333-4444-555555555555","issuer":"https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0","client_id":"66666666-7777-8888-9999-000000000000","has_secret":true,"scopes":[],"domains":["example.com"],"break_glass":"always","enforced":true,"health":"healthy","probe":{"idp":"entra","healthy":true,"at":"2025-11-20T16:08:30.000Z","checks":[{"name":"discovery","ok":true,"detail":"the issuer is as it should be","millis":120},{"name":"device authorization","ok":true,"detail":"offered","millis":0},{"name":"keys","ok":true,"detail":"2 keys","millis":80}]}}]}
    "#);
    let sick = usual().world(|world| {
        let probe = Some(unhealthy());
        let sick = IdpView { health: IdpHealth::Unhealthy, probe, settings: None, ..entra() };
        world.identity.idps = vec![sick];
    });
    insta::assert_snapshot!(sick.run(&["idp", "list"]).await, @"
    exit 0
    out| ID     KIND                SSO       HEALTH                                                                     CHECKED    LISTED  ISSUER  DOMAINS
    out| entra  Microsoft Entra ID  enforced  UNHEALTHY: not offered; allow public client flows in the app registration  1m30s ago  3 of 5  -       -
    ");
    insta::assert_snapshot!(usual().run(&["idp", "list"]).await, @"
    exit 0
    err| there is no identity provider; everybody signs in by password
    ");
}

#[tokio::test]
async fn add_takes_the_secret_from_a_pipe_or_a_file() {
    let piped = [&OIDC[..], &["--secret-stdin", "--scope", "email", "--scope", "groups"]].concat();
    let ran = seeing(healthy).piping("s3cret\n").run(&piped).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| ✓ discovery                 120 ms  the issuer is as it should be
    out| ✓ device authorization        0 ms  offered
    out| ✓ keys                       80 ms  2 keys
    err| `corp` is kept; its SSO is not enforced: breakglass idp enforce corp
    ");
    let settings = IdpSettings { scopes: vec!["email".into(), "groups".into()], ..corp(true) };
    assert_eq!(ran.heard.last(), Some(&added(settings, Some("s3cret"), false)));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    std::fs::write(&path, "s3cret\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let filed = [&OIDC[..], &["--secret-file", path.to_str().unwrap(), "--json"]].concat();
    let ran = seeing(healthy).run(&filed).await;
    assert!(ran.heard.contains(&added(corp(true), Some("s3cret"), false)), "{:?}", ran.heard);
    insta::assert_snapshot!(ran, @r#"
    exit 0
    out| {"version":1,"probe":{"idp":"corp","healthy":true,"at":"2025-11-20T16:08:30.000Z","checks":[{"name":"discovery","ok":true,"detail":"the issuer is as it should be","millis":120},{"name":"device authorization","ok":true,"detail":"offered","millis":0},{"name":"keys","ok":true,"detail":"2 keys","millis":80}]}}
    "#);
}

#[tokio::test]
async fn a_change_of_settings_keeps_the_secret_that_is_there() {
    let line = "idp add entra --kind entra-id --tenant 11111111-2222-3333-4444-555555555555 \
                --client-id x --domain Example.com --break-glass only-while-unhealthy";
    let ran = seeing(healthy).run(&line.split_whitespace().collect::<Vec<_>>()).await;
    let settings = IdpSettings {
        client_id: "x".into(),
        scopes: vec!["profile".into(), "email".into()],
        break_glass: BreakGlassMode::OnlyWhileUnhealthy,
        ..entra().settings.unwrap()
    };
    assert_eq!(ran.heard.last(), Some(&added(settings, None, false)), "{ran}");
    assert_eq!(ran.code, 0);
}

#[tokio::test]
async fn what_does_not_work_is_kept_only_where_that_is_asked_for() {
    let ran = seeing(unhealthy).run(&OIDC).await;
    insta::assert_snapshot!(ran, @"
    exit 5
    out| ✓ discovery                 120 ms  the issuer is as it should be
    out| ✗ device authorization        0 ms  not offered; allow public client flows in the app registration
    out| ✓ keys                       80 ms  2 keys
    err| unavailable: `corp` does not work, so it was not kept
    err|   because: not offered; allow public client flows in the app registration
    err|   hint: mend it, or keep it as it is: --save-unhealthy
    ");
    assert_eq!(ran.heard.last(), Some(&added(corp(false), None, false)));
    let ran = seeing(unhealthy).run(&[&OIDC[..], &["--save-unhealthy"]].concat()).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| ✓ discovery                 120 ms  the issuer is as it should be
    out| ✗ device authorization        0 ms  not offered; allow public client flows in the app registration
    out| ✓ keys                       80 ms  2 keys
    err| `corp` is kept though it does not work now
    ");
    assert_eq!(ran.heard.last(), Some(&added(corp(false), None, true)));
}

#[tokio::test]
async fn settings_that_do_not_go_together_are_exit_2() {
    let run =
        async |line: &str| seeing(healthy).run(&line.split_whitespace().collect::<Vec<_>>()).await;
    insta::assert_snapshot!(run("idp add x --kind oidc --client-id c").await, @"
    exit 2
    err| usage: the following required arguments were not provided: --issuer <URL>
    err|   hint: breakglass idp add --help
    ");
    insta::assert_snapshot!(run("idp add x --kind oidc --client-id c --tenant t").await, @"
    exit 2
    err| usage: the following required arguments were not provided: --issuer <URL>
    err|   hint: breakglass idp add --help
    ");
    insta::assert_snapshot!(
        run("idp add x --kind oidc --client-id c --tenant t --issuer https://x").await, @"
    exit 2
    err| usage: the argument '--tenant <TENANT>' cannot be used with '--issuer <URL>'
    err|   hint: breakglass idp add --help
    ");
    insta::assert_snapshot!(
        run("idp add x --kind entra-id --client-id c --tenant t --domain @x").await, @"
    exit 2
    err| usage: invalid value '@x' for '--domain <DOMAIN>': a domain is what stands behind the `@`, such as `example.com`
    err|   hint: breakglass idp add --help
    ");
    insta::assert_snapshot!(run("idp add x --kind ldap --client-id c").await, @"
    exit 2
    err| usage: invalid value 'ldap' for '--kind <KIND>' [possible values: entra-id, oidc]
    err|   hint: breakglass idp add --help
    ");
}

#[tokio::test]
async fn validate_prints_each_check_and_its_remedy() {
    insta::assert_snapshot!(seeing(healthy).run(&["idp", "validate", "entra"]).await, @"
    exit 0
    out| ✓ discovery                 120 ms  the issuer is as it should be
    out| ✓ device authorization        0 ms  offered
    out| ✓ keys                       80 ms  2 keys
    ");
    insta::assert_snapshot!(seeing(unhealthy).run(&["idp", "validate", "entra"]).await, @"
    exit 5
    out| ✓ discovery                 120 ms  the issuer is as it should be
    out| ✗ device authorization        0 ms  not offered; allow public client flows in the app registration
    out| ✓ keys                       80 ms  2 keys
    err| unavailable: nobody could sign in at `entra` now
    err|   because: not offered; allow public client flows in the app registration
    ");
    let json = seeing(unhealthy).run(&["idp", "validate", "entra", "--json"]).await;
    insta::assert_snapshot!(json, @r#"
    exit 5
    out| {"version":1,"probe":{"idp":"entra","healthy":false,"at":"2025-11-20T16:08:30.000Z","checks":[{"name":"discovery","ok":true,"detail":"the issuer is as it should be","millis":120},{"name":"device authorization","ok":false,"detail":"not offered; allow public client flows in the app registration","millis":0},{"name":"keys","ok":true,"detail":"2 keys","millis":80}]}}
    err| {"version":1,"error":{"kind":"unavailable","message":"nobody could sign in at `entra` now","causes":["not offered; allow public client flows in the app registration"],"hint":null}}
    "#);
    let ascii = breakglass::cli::output::Terminal::default();
    let ran = seeing(unhealthy).terminal(ascii).run(&["idp", "validate", "entra"]).await;
    assert!(ran.stdout().is_ascii() && ran.stdout().contains("FAIL device"), "{ran}");
}

#[tokio::test]
async fn enforcing_asks_for_the_name_where_the_engine_wants_it() {
    let line = ["idp", "enforce", "entra"];
    insta::assert_snapshot!(seeing(healthy).run(&line).await, @"
    exit 4
    err| denied: nobody could get in if `entra` failed
    err|   because: nobody who is listed has a password
    err|   hint: breakglass idp enforce entra --confirm entra
    ");
    insta::assert_snapshot!(seeing(healthy).typing(["entra"]).run(&line).await, @"
    exit 0
    err| denied: nobody could get in if `entra` failed
    err|   because: nobody who is listed has a password
    ask| Type the name of the identity provider to go on: entra
    err| the SSO of `entra` is enforced; a password lets in only who is listed
    out| ID     KIND                SSO       HEALTH   CHECKED    LISTED  ISSUER                                                                       DOMAINS
    out| entra  Microsoft Entra ID  enforced  healthy  1m30s ago  3 of 5  https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0  example.com
    ");
    insta::assert_snapshot!(seeing(healthy).typing(["yes"]).run(&line).await, @"
    exit 4
    err| denied: nobody could get in if `entra` failed
    err|   because: nobody who is listed has a password
    ask| Type the name of the identity provider to go on: yes
    err| denied: what was typed is not `entra`
    err|   hint: breakglass idp enforce entra --confirm entra
    ");
    let left = seeing(healthy).typing(["^C"]).run(&line).await;
    assert_eq!((left.code, left.heard.len()), (130, 1));
    let given = [&line[..], &["--confirm", "entra"]].concat();
    assert_eq!(seeing(healthy).run(&given).await.code, 0);
}

#[tokio::test]
async fn what_is_taken_back_says_what_holds_then() {
    insta::assert_snapshot!(seeing(healthy).run(&["idp", "unenforce", "entra"]).await, @"
    exit 0
    err| the SSO of `entra` is not enforced; everybody may use a password or SSO
    out| ID     KIND                SSO      HEALTH   CHECKED    LISTED  ISSUER                                                                       DOMAINS
    out| entra  Microsoft Entra ID  offered  healthy  1m30s ago  3 of 5  https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0  example.com
    ");
    insta::assert_snapshot!(seeing(healthy).run(&["idp", "remove", "entra"]).await, @"
    exit 0
    err| `entra` is removed, with its list
    ");
    let json = seeing(healthy).run(&["idp", "remove", "entra", "--json"]).await;
    insta::assert_snapshot!(json, @r#"
    exit 0
    out| {"version":1,"identity_provider":{"id":"entra","removed":true}}
    "#);
}
