//! Providers and launchers in `config.toml`: read, put and taken out, every other byte kept.

use std::fs;
use std::path::Path;

use breakglass::config::{
    Config, EXAMPLE, put_provider, remove_provider, set_provider_enabled, show,
};
use breakglass::domain::launcher::LauncherSettings;
use breakglass::domain::policy::OnPathLoss;
use breakglass::domain::provider::{ProviderSettings, ProviderSetup, SshSetup};
use breakglass::domain::ssh::SshDestination;
use breakglass::domain::twingate::{CONNECTOR_IMAGE, ClientPath, TwingateSetup};

use crate::config_edit::Home;
use crate::config_mistakes::reports;

fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

fn edge() -> ProviderSettings {
    let destination = SshDestination::new("edge.acme".parse().unwrap());
    let setup = ProviderSetup::Ssh(SshSetup { destination, has_key: false });
    ProviderSettings { id: "edge".parse().unwrap(), setup, enabled: true, default: false }
}

fn edge_in_full() -> ProviderSettings {
    let destination = SshDestination {
        host: "fd00::1".parse().unwrap(),
        user: Some("ops".parse().unwrap()),
        port: Some(2222),
        jump: vec!["root@gate:22".parse().unwrap(), "inner".parse().unwrap()],
        identity_file: Some("/etc/keys/a \"b\"".into()),
        known_hosts_file: Some("/etc/known_hosts".into()),
    };
    let setup = ProviderSetup::Ssh(SshSetup { destination, has_key: true });
    ProviderSettings { setup, enabled: false, default: true, ..edge() }
}

fn text(home: &Home) -> String {
    fs::read_to_string(&home.path).unwrap()
}

fn put(home: &Home, settings: &ProviderSettings) -> String {
    let config = put_provider(&home.path, uid(), settings).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(config, Config::load(&home.path, uid()).unwrap());
    assert_eq!(config.providers.iter().find(|it| it.id == settings.id), Some(settings));
    text(home)
}

fn remove(home: &Home, id: &str) -> String {
    let id = id.parse().unwrap();
    let config = remove_provider(&home.path, uid(), &id).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(config, Config::load(&home.path, uid()).unwrap());
    assert!(config.providers.iter().all(|it| it.id != id));
    text(home)
}

#[test]
fn a_provider_comes_behind_everything_else_and_goes_without_a_trace() {
    for before in ["", "# mine\n[ui]\nmouse = true # yes\n", "[ui]\r\n", EXAMPLE] {
        for settings in [edge(), edge_in_full()] {
            let home = Home::with(before);
            assert!(put(&home, &settings).starts_with(before), "{before:?}");
            assert_eq!(remove(&home, "edge"), before);
        }
    }
    insta::assert_snapshot!(put(&Home::with(""), &edge_in_full()), @r#"
    [[provider]]
    id = "edge"
    kind = "ssh"
    enabled = false
    default = true
    host = "fd00::1"
    user = "ops"
    port = 2222
    jump = ["root@gate:22", "inner"]
    identity-file = '/etc/keys/a "b"'
    known-hosts-file = "/etc/known_hosts"
    key = "vault:provider-edge"
    "#);
    insta::assert_snapshot!(put(&Home::with(""), &edge()), @r#"
    [[provider]]
    id = "edge"
    kind = "ssh"
    host = "edge.acme"
    "#);
}

#[test]
fn of_a_provider_only_the_values_change() {
    let before = "[[provider]] # the edge\n  id = 'edge'\n  kind = 'ssh' # by ssh\n  enabled = true\n\
                  # where\n  host = \"old\"\n  port = 22 # usual\n  jump = [\n    'a', # one\n  ]\n\n[ui]\n";
    insta::assert_snapshot!(put(&Home::with(before), &edge()), @r#"
    [[provider]] # the edge
      id = 'edge'
      kind = 'ssh' # by ssh
      enabled = true
    # where
      host = "edge.acme"
      jump = []

    [ui]
    "#);
    insta::assert_snapshot!(put(&Home::with(before), &edge_in_full()), @r#"
    [[provider]] # the edge
      id = 'edge'
      kind = 'ssh' # by ssh
      enabled = false
    # where
      host = "fd00::1"
      port = 2222 # usual
      jump = ["root@gate:22", "inner"]
      default = true
      user = "ops"
      identity-file = '/etc/keys/a "b"'
      known-hosts-file = "/etc/known_hosts"
      key = "vault:provider-edge"

    [ui]
    "#);
}

#[test]
fn what_says_the_same_already_is_not_written_again() {
    let same = "[[provider]]\nkind = 'ssh'\nhost = '''edge.acme'''\nid = \"edge\"\njump = [ ]\n";
    assert_eq!(put(&Home::with(same), &edge()), same);
}

#[test]
fn an_inline_list_stays_one() {
    let inline = "provider = [{ id = 'edge', kind = 'ssh', host = 'old' }] # all\n[ui]\n";
    let home = Home::with(inline);
    assert_eq!(
        put(&home, &edge()),
        "provider = [{ id = \"edge\", kind = \"ssh\", host = \"edge.acme\" }] # all\n[ui]\n"
    );
    let other = ProviderSettings { id: "gate".parse().unwrap(), ..edge() };
    assert_eq!(
        put(&home, &other),
        "provider = [{ id = \"edge\", kind = \"ssh\", host = \"edge.acme\" }, { id = \"gate\", \
         kind = \"ssh\", host = \"edge.acme\" }] # all\n[ui]\n"
    );
    remove(&home, "gate");
    assert_eq!(remove(&home, "edge"), "provider = [] # all\n[ui]\n");
}

#[test]
fn a_provider_that_goes_is_taken_out_of_every_order() {
    let site = |order: &str| format!("[[site]]\nid = \"s\"\nproviders = {order}\n");
    let file = |order: &str| {
        format!(
            "{}\n# ours\n[[provider]]\nid = \"edge\"\nkind = \"ssh\"\nhost = \"h\"\n",
            site(order)
        )
    };
    for (before, after) in [
        ("[\"edge\"] # why", "[] # why"),
        ("[\"edge\", 'direct']", "['direct']"),
        ("['direct', 'edge']", "['direct']"),
        ("[\n  'direct', # a\n  'edge', # b\n]", "[\n  'direct', # a\n]"),
        ("[\n  'edge',\n  'direct' # a\n]", "[\n  'direct' # a\n]"),
        ("[\n  'direct',\n  'edge'\n]", "[\n  'direct'\n]"),
        ("['direct']", "['direct']"),
    ] {
        let home = Home::with(&file(before));
        assert_eq!(remove(&home, "edge"), site(after), "{before}");
    }
    let two = format!("{}[[site]]\nid = \"t\"\nproviders = ['edge', 'direct']\n", file("['edge']"));
    assert!(!remove(&Home::with(&two), "edge").contains("edge"));
}

#[test]
fn direct_stays_and_stays_first() {
    let home = Home::with("# ours\n[[provider]]\nid = \"edge\"\nkind = \"ssh\"\nhost = \"h\"\n");
    let direct = "direct".parse().unwrap();
    let config = set_provider_enabled(&home.path, uid(), &direct, false).unwrap();
    assert_eq!(config.providers[0].id, direct);
    insta::assert_snapshot!(text(&home), @r#"
    [[provider]]
    id = "direct"
    kind = "direct"
    enabled = false

    # ours
    [[provider]]
    id = "edge"
    kind = "ssh"
    host = "h"
    "#);
    insta::assert_snapshot!(remove_provider(&home.path, uid(), &direct).unwrap_err().report(), @"
    usage: Direct is built in and cannot be removed
      hint: breakglass providers disable direct
    ");
}

#[test]
fn what_may_not_stand_in_the_file_is_not_put_there() {
    let home = Home::with("[ui]\n");
    let ProviderSetup::Ssh(setup) = edge().setup else { panic!("a bastion") };
    let destination = SshDestination { identity_file: Some("id".into()), ..setup.destination };
    let setup = ProviderSetup::Ssh(SshSetup { destination, has_key: false });
    let wrong = ProviderSettings { setup, ..edge() };
    insta::assert_snapshot!(put_provider(&home.path, uid(), &wrong).unwrap_err().report(), @"
    usage: `provider.identity-file`: `id` is not an absolute path
      hint: write the whole path, from `/` on
    ");
    assert_eq!(text(&home), "[ui]\n");
}

fn network() -> TwingateSetup {
    TwingateSetup {
        network: "acme".parse().unwrap(),
        group: "On call".parse().unwrap(),
        data_path: ClientPath::Host,
        connector_image: CONNECTOR_IMAGE.to_owned(),
        has_key: false,
    }
}

fn twingate(setup: TwingateSetup) -> ProviderSettings {
    let setup = ProviderSetup::Twingate(Box::new(setup));
    ProviderSettings { id: "tg".parse().unwrap(), setup, ..edge() }
}

#[test]
fn of_a_network_only_what_is_not_usual_is_written() {
    insta::assert_snapshot!(put(&Home::with(""), &twingate(network())), @r#"
    [[provider]]
    id = "tg"
    kind = "twingate"
    network = "acme"
    group = "On call"
    "#);
    let usual = ClientPath::Proxy("127.0.0.1:9999".parse().unwrap());
    let by_proxy = TwingateSetup { data_path: usual, ..network() };
    insta::assert_snapshot!(put(&Home::with(""), &twingate(by_proxy)), @r#"
    [[provider]]
    id = "tg"
    kind = "twingate"
    network = "acme"
    group = "On call"
    data-path = "proxy"
    "#);
    let in_full = TwingateSetup {
        data_path: ClientPath::Proxy("[::1]:8080".parse().unwrap()),
        connector_image: "registry.acme.example/connector:1".to_owned(),
        has_key: true,
        ..network()
    };
    let home = Home::with("");
    insta::assert_snapshot!(put(&home, &twingate(in_full)), @r#"
    [[provider]]
    id = "tg"
    kind = "twingate"
    network = "acme"
    group = "On call"
    data-path = "proxy"
    proxy = "[::1]:8080"
    connector-image = "registry.acme.example/connector:1"
    key = "vault:provider-tg"
    "#);
    let back = put(&home, &twingate(network()));
    assert!(!back.contains("proxy"), "what holds no more is gone: {back}");
    assert_eq!(remove(&home, "tg"), "");
}

#[test]
fn what_cannot_describe_a_network_is_refused() {
    let with = |line: &str| {
        format!(
            "[[provider]]\nid = \"tg\"\nkind = \"twingate\"\nnetwork = \"acme\"\ngroup = \"g\"\n{line}"
        )
    };
    let texts = [
        "[[provider]]\nid = \"tg\"\nkind = \"twingate\"\ngroup = \"g\"".to_owned(),
        "[[provider]]\nid = \"tg\"\nkind = \"twingate\"\nnetwork = \"acme\"".to_owned(),
        with("").replace("acme", "acme.eu"),
        with("").replace("\"g\"", "\"\""),
        with("data-path = \"node\""),
        with("proxy = \"127.0.0.1:9999\""),
        with("data-path = \"proxy\"\nproxy = \"10.0.0.1:9999\""),
        with("connector-image = \"--privileged\""),
        with("tailnet = \"x\""),
        with("key = \"canary-of-a-key\""),
        "[[provider]]\nid = \"t\"\nkind = \"tailscale\"\ngroup = \"g\"".to_owned(),
        "[[provider]]\nid = \"e\"\nkind = \"ssh\"\nhost = \"h\"\ndata-path = \"host\"".to_owned(),
    ];
    let said = reports(&texts.each_ref().map(String::as_str));
    assert!(!said.contains("canary"), "{said}");
    insta::assert_snapshot!(said, @r#"
    config: /home/ana/config.toml:1:1: this `provider` has no `network`
      hint: add a line such as `network = "acme"`

    config: /home/ana/config.toml:1:1: this `provider` has no `group`
      hint: add a line such as `group = "On call"`

    config: /home/ana/config.toml:4:11: `provider.network`: `acme.eu` is no name of a network; it is what stands before `.twingate.com` in the address of the console

    config: /home/ana/config.toml:5:9: `provider.group`: a group has a name of 1 to 120 characters, on one line

    config: /home/ana/config.toml:6:13: `provider.data-path`: `node` is none of its values
      hint: write `host` or `proxy`

    config: /home/ana/config.toml:6:9: `provider.proxy`: nothing goes over a proxy with `data-path = "host"`
      hint: take the key out, or write `data-path = "proxy"`

    config: /home/ana/config.toml:7:9: `provider.proxy`: `10.0.0.1:9999` is no proxy on this host; one looks like `127.0.0.1:9999`

    config: /home/ana/config.toml:6:19: `provider.connector-image` starts with `-`, so that a command would take it for an option
      hint: write a name that starts with a letter

    config: /home/ana/config.toml:6:11: `provider.tailnet`: only a provider of kind `tailscale` has it
      hint: take the key out, or write `kind = "tailscale"`

    config: /home/ana/config.toml:6:7: `provider.key`: only `vault:provider-tg` may stand here, never a key
      hint: `breakglass providers add twingate tg --key-file FILE` puts it in the vault and never in the file

    config: /home/ana/config.toml:4:9: `provider.group`: only a provider of kind `twingate` has it
      hint: take the key out, or write `kind = "twingate"`

    config: /home/ana/config.toml:5:13: `provider.data-path`: only a provider of kind `tailscale` or `twingate` has it
      hint: take the key out, or write `kind = "tailscale"` or `kind = "twingate"`
    "#);
}

const LAUNCHERS: &str = "\
[policy]
on-path-loss = \"end\"
[[site]]
id = \"a\"
[site.launcher]
kind = \"ssh\"
host = \"app1\"
user = \"ops\"
jump = [\"gate\"]
method = \"systemd-user\"
sudo = true
[[site]]
id = \"b\"
launcher = { kind = \"podman\", over = \"ssh://ops@[fd00::1]:22/\" }
[[site]]
id = \"c\"
[site.launcher]
kind = \"kubernetes\"
[[site]]
id = \"d\"
launcher.kind = \"command\"
launcher.start = [\"/bin/run\", \"a b\", \"$HOME\", \"\"]
launcher.stop = [\"/bin/stop\"]
launcher.look = [\"/bin/look\"]
";

#[test]
fn launchers_are_read_as_they_are_meant() {
    let config = Config::parse(Path::new("config.toml"), LAUNCHERS).unwrap();
    assert_eq!(config.policy.on_path_loss, OnPathLoss::End);
    let launchers = config.catalogue.sites.values().filter_map(|site| site.launcher.as_ref());
    let lines: Vec<_> = launchers.map(|it| format!("{} {it}", it.kind())).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    ssh on ops@app1 via gate over SSH
    podman by podman on ops@[fd00::1]:22
    kubernetes as a Job in namespace default
    command by /bin/run
    ");
    let last = config.catalogue.sites.values().last().unwrap().launcher.as_ref();
    let Some(LauncherSettings::Command(last)) = last else { panic!("{last:?}") };
    assert_eq!(last.start, ["/bin/run", "a b", "$HOME", ""], "no shell has read it");
}

#[test]
fn what_is_shown_of_launchers_reads_back_to_the_same() {
    let home = Home::with(LAUNCHERS);
    let shown = show(&home.path, uid(), false).unwrap();
    let parse = |text| Config::parse(Path::new("config.toml"), text).unwrap();
    assert_eq!(parse(&shown), parse(LAUNCHERS));
    let origin = show(&home.path, uid(), true).unwrap();
    assert!(origin.contains("method = \"systemd-user\"  # config.toml:10\n"), "{origin}");
    assert!(origin.contains("namespace = \"default\"  # default\n"), "{origin}");
}
