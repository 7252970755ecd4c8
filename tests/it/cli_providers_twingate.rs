//! A network of Twingate, as an operator adds it, looks at it and gives it another key.

use breakglass::domain::provider::{
    Health, ProviderKind, ProviderSettings, ProviderSetup, Validation,
};
use breakglass::domain::secret::Secret;
use breakglass::domain::twingate::{CONNECTOR_IMAGE, ClientPath, TwingateSetup};
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Command, Kept, ProviderView, Reply, Save, ValidationView};

use crate::cli_providers::{check, key_of, words};
use crate::cli_support::{Cli, NOW, World, engine, provider};

/// What a look at a network shows; a key that may not write carries no path.
fn seen(writes: bool, deep: bool) -> Validation {
    let key = match (writes, deep) {
        (false, _) => Err("the key may only read; grant: Read, Write & Provision"),
        (true, false) => Ok("likely: what is not there was said not to be there"),
        (true, true) => Ok("a canary was made and taken away"),
    };
    let checks = vec![
        check("network", true, Ok("acme.twingate.com")),
        check("changes", true, key),
        check("client", true, Ok("online")),
    ];
    Validation { probe: breakglass::domain::probe::Probe { at: NOW, checks }, key_expires_at: None }
}

/// An engine that looks at a network, and keeps it as engines do.
fn looking(writes: bool) -> Cli {
    engine(move |world: &mut World, command| {
        let (kept, deep) = match &command {
            Command::ValidateProvider { provider, deep: true } if provider.as_str() != "tg" => {
                return Err(Report::new(Kind::Denied, "there is no deeper look"));
            }
            Command::ValidateProvider { deep, .. } => (None, *deep),
            Command::PutProvider { .. } | Command::RotateKey { .. } if writes => {
                (Some(Kept::AsAsked), false)
            }
            Command::PutProvider { save: Save::Disabled, .. } => (Some(Kept::Disabled), false),
            Command::PutProvider { .. } | Command::RotateKey { .. } => (None, false),
            _ => return world.usual(command),
        };
        let validation = seen(writes, deep);
        Ok(Reply::Validation(Box::new(ValidationView { validation, kept })))
    })
}

fn settings(change: impl FnOnce(&mut TwingateSetup)) -> ProviderSettings {
    let mut setup = TwingateSetup {
        network: "acme".parse().unwrap(),
        group: "On call".parse().unwrap(),
        data_path: ClientPath::Host,
        connector_image: CONNECTOR_IMAGE.to_owned(),
        has_key: false,
    };
    change(&mut setup);
    let setup = ProviderSetup::Twingate(Box::new(setup));
    ProviderSettings { id: "tg".parse().unwrap(), setup, enabled: true, default: false }
}

/// One that is there, with a key in the vault.
fn known(data_path: ClientPath) -> ProviderView {
    let settings = settings(|setup| (setup.has_key, setup.data_path) = (true, data_path));
    ProviderView {
        id: settings.id.clone(),
        kind: ProviderKind::Twingate,
        label: "Twingate".into(),
        health: Health::Healthy,
        keep: None,
        about: "a connector for each session, in acme.twingate.com".into(),
        settings: Some(settings),
        validation: Some(seen(true, false)),
        ..provider()
    }
}

fn put(settings: ProviderSettings, key: Option<&str>) -> Command {
    let has_key = key.is_some();
    let settings = ProviderSettings { setup: settings.setup.with_key(has_key), ..settings };
    let key = key.map(Secret::new);
    Command::PutProvider { settings: Box::new(settings), key, save: Save::WhenHealthy }
}

const KEY: &str = "vole-canary_of-an.API-key";

#[tokio::test]
async fn a_network_is_added_by_arguments_alone() {
    let line = "providers add twingate tg --network https://Acme.twingate.com/ --group sre \
                --data-path proxy --proxy [::1]:8080 --connector-image reg.acme/connector:1 \
                --default --key-stdin";
    let ran = looking(true).piping(format!(" {KEY}\n")).run(&words(line)).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| ✓ network                     7 ms  acme.twingate.com
    out| ✓ changes                     7 ms  likely: what is not there was said not to be there
    out| ✓ client                      7 ms  online
    err| its key is in the vault; no file of it is needed any more
    err| `tg` is kept; it serves private targets of no site
    ");
    let mut wanted = settings(|setup| {
        setup.group = "sre".parse().unwrap();
        setup.data_path = ClientPath::Proxy("[::1]:8080".parse().unwrap());
        setup.connector_image = "reg.acme/connector:1".to_owned();
    });
    wanted.default = true;
    assert!(ran.heard.contains(&put(wanted, Some(KEY))), "{:?}", ran.heard);
    assert!(!ran.to_string().contains("canary_of"), "{ran}");
}

#[tokio::test]
async fn what_is_missing_is_asked_for_and_the_key_is_masked() {
    let asked = looking(true).typing(["tg", "acme", "On call", KEY]);
    let ran = asked.run(&words("providers add twingate")).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    ask| Name of the provider: tg
    ask| Network, as NAME.twingate.com: acme
    ask| Group that may reach targets: On call
    ask| API key: *************************
    out| ✓ network                     7 ms  acme.twingate.com
    out| ✓ changes                     7 ms  likely: what is not there was said not to be there
    out| ✓ client                      7 ms  online
    err| its key is in the vault; no file of it is needed any more
    err| `tg` is kept; a site uses it once its `providers` name it
    ");
    assert!(ran.heard.contains(&put(settings(|_| ()), Some(KEY))), "{:?}", ran.heard);
    let line = ["providers", "add", "twingate", "tg", "--network", "acme", "--group", "On call"];
    insta::assert_snapshot!(looking(true).run(&line).await, @"
    exit 2
    err| usage: there is no terminal to ask at
    err|   hint: give --key-stdin or --key-file; `--help` says how
    ");
    let off = [line.as_slice(), &["--save-disabled"]].concat();
    let ran = looking(false).run(&off).await;
    assert_eq!((ran.code, key_of(&ran.heard)), (0, None), "{ran}");
}

#[tokio::test]
async fn a_change_of_the_group_leaves_the_key_and_another_network_wants_it_again() {
    let there = || looking(true).world(|world| world.providers.push(known(ClientPath::Host)));
    let group = words("providers add twingate tg --network acme --group sre");
    let ran = there().typing([]).run(&group).await;
    let wanted = settings(|setup| setup.group = "sre".parse().unwrap());
    assert!(ran.heard.contains(&put(wanted, None)), "{:?}", ran.heard);
    let elsewhere = words("providers add twingate tg --network other --group sre");
    insta::assert_snapshot!(there().run(&elsewhere).await, @"
    exit 4
    err| denied: the key of `tg` is bound to the host that it was given for: `twingate acme.twingate.com`
    err|   hint: give it again for the new host: --key-stdin or --key-file FILE
    ");
    let ran = there().typing([KEY]).run(&elsewhere).await;
    assert_eq!(key_of(&ran.heard), Some(Secret::new(KEY)), "{ran}");
}

#[tokio::test]
async fn what_is_surely_no_api_key_is_refused_before_anybody_is_asked() {
    let mut all = String::new();
    let line = "providers add twingate tg --network acme --group sre --key-stdin";
    for text in
        ["two words-canary", "two\nlines-canary", "eyJh.eyJi-canary.c", "{\"k\":\"canary\"}"]
    {
        let ran = looking(true).piping(text).run(&words(line)).await;
        assert!(ran.heard.is_empty(), "{:?}", ran.heard);
        all.push_str(&format!("{ran}\n"));
    }
    assert!(!all.contains("canary"), "{all}");
    insta::assert_snapshot!(all, @"
    exit 2
    err| usage: this is no API key: it is one word on one line
    err|   hint: it was shown once where it was made: Settings, API in the console

    exit 2
    err| usage: this is no API key: it is one word on one line
    err|   hint: it was shown once where it was made: Settings, API in the console

    exit 2
    err| usage: this is a token of a connector or service account, not an API key
    err|   hint: make one of the level Read, Write & Provision: Settings, API in the console

    exit 2
    err| usage: this is a token of a connector or service account, not an API key
    err|   hint: make one of the level Read, Write & Provision: Settings, API in the console
    ");
    let there = looking(true).world(|world| world.providers.push(known(ClientPath::Host)));
    let rotate = words("providers rotate-key tg --key-stdin");
    let ran = there.piping("eyJh.eyJi.c").run(&rotate).await;
    assert_eq!((ran.code, key_of(&ran.heard)), (2, None), "{ran}");
    let there = looking(true).world(|world| world.providers.push(known(ClientPath::Host)));
    let ran = there.piping(format!("{KEY}\n")).run(&rotate).await;
    assert_eq!((ran.code, key_of(&ran.heard)), (0, Some(Secret::new(KEY))), "{ran}");
}

#[tokio::test]
async fn settings_that_cannot_be_are_exit_2() {
    let mut all = String::new();
    for options in [
        "--network acme.eu --group g",
        "--network acme --group g --proxy 127.0.0.1:9999",
        "--network acme --group g --data-path proxy --proxy 10.0.0.1:9999",
        "--network acme --group g --data-path node",
    ] {
        let line = format!("providers add twingate tg {options}");
        let ran = looking(true).run(&words(&line)).await;
        assert!(ran.heard.is_empty(), "{:?}", ran.heard);
        all.push_str(&format!("{ran}\n"));
    }
    insta::assert_snapshot!(all, @"
    exit 2
    err| usage: invalid value 'acme.eu' for '--network <NAME>': `acme.eu` is no name of a network; it is what stands before `.twingate.com` in the address of the console
    err|   hint: breakglass providers add twingate --help

    exit 2
    err| usage: nothing goes over a proxy with `--data-path host`
    err|   hint: leave `--proxy` out, or give `--data-path proxy`

    exit 2
    err| usage: invalid value '10.0.0.1:9999' for '--proxy <ADDRESS>': `10.0.0.1:9999` is no proxy on this host; one looks like `127.0.0.1:9999`
    err|   hint: breakglass providers add twingate --help

    exit 2
    err| usage: invalid value 'node' for '--data-path <DATA_PATH>' [possible values: host, proxy]
    err|   hint: breakglass providers add twingate --help
    ");
}

#[tokio::test]
async fn show_tells_the_network_the_group_and_how_it_is_reached() {
    let with = |path| looking(true).world(move |world| world.providers.push(known(path)));
    let proxy = ClientPath::Proxy("127.0.0.1:9999".parse().unwrap());
    insta::assert_snapshot!(with(ClientPath::Host).run(&words("providers show tg")).await, @"
    exit 0
    out| provider   tg (Twingate)
    out| about      a connector for each session, in acme.twingate.com
    out| network    acme.twingate.com
    out| group      On call
    out| reached    by the client that this host runs
    out| image      docker.io/twingate/connector:1
    out| key        in the vault, no end known
    out| default    no
    out| enabled    yes
    out| health     healthy
    out| checked    2025-11-20 16:08:30 UTC, latency 1 ms
    out| sessions   1
    out| removable  yes
    out|
    out| abilities, seen 2025-11-20 16:10:00 UTC
    out| ✓ network                     7 ms  acme.twingate.com
    out| ✓ changes                     7 ms  likely: what is not there was said not to be there
    out| ✓ client                      7 ms  online
    ");
    insta::assert_snapshot!(with(proxy).run(&words("providers show tg --json")).await, @r#"
    exit 0
    out| {"version":1,"provider":{"id":"tg","kind":"twingate","label":"Twingate","enabled":true,"settings":{"default":false,"has_key":true,"ssh":null,"tailscale":null,"twingate":{"network":"acme","group":"On call","data_path":"proxy","proxy":"127.0.0.1:9999","connector_image":"docker.io/twingate/connector:1"}},"health":"healthy","health_why":null,"checked_at":"2025-11-20T16:08:30.000Z","latency_millis":1,"abilities":[{"name":"network","needed":true,"ok":true,"detail":"acme.twingate.com","millis":7},{"name":"changes","needed":true,"ok":true,"detail":"likely: what is not there was said not to be there","millis":7},{"name":"client","needed":true,"ok":true,"detail":"online","millis":7}],"missing":[],"key_expires_at":null,"errors":[],"sessions":1,"removable":true,"keep":null,"about":"a connector for each session, in acme.twingate.com"}}
    "#);
}

#[tokio::test]
async fn a_deep_look_is_asked_for_and_only_then_made() {
    let there = || looking(true).world(|world| world.providers.push(known(ClientPath::Host)));
    let asked = |ran: &crate::cli_support::Ran| {
        let deep = |command: &Command| match command {
            Command::ValidateProvider { deep, .. } => Some(*deep),
            _ => None,
        };
        ran.heard.iter().filter_map(deep).collect::<Vec<_>>()
    };
    let ran = there().run(&words("providers validate tg")).await;
    assert_eq!(asked(&ran), [false]);
    let ran = there().run(&words("providers validate tg --deep")).await;
    assert_eq!(asked(&ran), [true]);
    insta::assert_snapshot!(ran, @"
    exit 0
    out| ✓ network                     7 ms  acme.twingate.com
    out| ✓ changes                     7 ms  a canary was made and taken away
    out| ✓ client                      7 ms  online
    ");
    let ran = there().run(&words("providers validate direct --deep")).await;
    assert_eq!((ran.code, asked(&ran)), (4, vec![true]), "{ran}");
}
