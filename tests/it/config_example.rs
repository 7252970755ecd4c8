//! The example is the documentation: it must say what the program does.

use std::path::Path;

use breakglass::config::{Config, EXAMPLE, show};

fn parse(text: &str) -> Config {
    Config::parse(Path::new("config.toml"), text).unwrap_or_else(|error| panic!("{error}"))
}

/// Uncomments the lines that begin with `#` and no space.
fn uncommented() -> String {
    let line = |line: &'static str| match line.strip_prefix('#') {
        Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest,
        _ => line,
    };
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Every `key =` of the text outside comments.
fn keys(text: &str) -> Vec<&str> {
    let mut keys: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = ").map(|(key, _)| key))
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

#[test]
fn the_example_says_what_holds_without_a_file() {
    assert_eq!(parse(EXAMPLE), parse(""));
}

#[test]
fn the_examples_in_the_example_are_right() {
    let config = parse(&uncommented());
    assert_eq!(config.providers.len(), 4);
    let launchers = config.catalogue.sites.values().filter_map(|site| site.launcher.as_ref());
    let kinds: Vec<_> = launchers.map(|launcher| launcher.kind()).collect();
    assert_eq!(kinds, ["kubernetes", "command", "ssh", "docker"]);
    assert_eq!(config.identity_providers.len(), 2);
    assert_eq!(config.catalogue.targets.len(), 1);
}

#[test]
fn every_key_stands_in_the_example() {
    assert_eq!(keys(&shown(&uncommented(), false)), keys(&uncommented()));
}

#[test]
fn every_key_that_the_parser_knows_is_in_the_example() {
    for header in [
        "[policy]",
        "[ui]",
        "[network]",
        "[identity]",
        "[vault]",
        "[[provider]]",
        "[[identity-provider]]",
        "[[site]]",
        "[[site]]\n[site.launcher]",
        "[[target]]",
    ] {
        let text = format!("{header}\nno-such-key-anywhere = 1");
        let error = Config::parse(Path::new("config.toml"), &text).unwrap_err();
        let hint = error.hint().unwrap();
        assert!(hint.starts_with("it is one of `"), "{hint}");
        let tables = ["launcher"];
        for known in hint.split('`').skip(1).step_by(2).filter(|known| !tables.contains(known)) {
            assert!(keys(&uncommented()).contains(&known), "`{known}` of {header}");
        }
    }
}

/// A file that says something of everything.
const FILE: &str = "[policy]\nidle = \"15m\"\n\n[identity]\nhash-memory-mib = 128\n\n\
                [vault]\npassphrase-file = \"/run/keys/vault\"\n\n\
                [[identity-provider]]\nid = \"entra\"\nkind = \"entra-id\"\n\
                tenant = \"8F1C2D3E-4B5A-4C6D-8E7F-0123456789AB\"\nclient-id = \"0c9b\"\n\
                client-secret = \"vault:idp-entra\"\ndomains = [\"ACME.example\"]\n\n\
                [[provider]]\nid = \"edge\"\nkind = \"ssh\"\nhost = \"edge.acme\"\n\
                jump = [\"ops@gate:2222\"]\nkey = \"vault:provider-edge\"\n\n\
                [[site]]\nid = \"acme\"\nproviders = [\"edge\"]\n\n\
                [site.launcher]\nkind = \"ssh\"\nhost = \"app1\"\n\n[[target]]\nid = \"db\"\n\
                site = \"acme\"\nkind = \"postgres\"\naddress = \"DB.acme:5432\"\nlocal-port = 15432\n";

fn shown(file: &str, origin: bool) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, file).unwrap();
    show(&path, rustix::process::getuid().as_raw(), origin).unwrap()
}

#[test]
fn what_counts_is_shown_with_where_it_came_from() {
    insta::assert_snapshot!(shown(FILE, true), @r#"
    [policy]
    duration-max = "8h"  # default
    duration-default = "30m"  # default
    idle = "15m"  # config.toml:2
    reason-pattern = ""  # default
    ad-hoc-targets = true  # default
    on-path-loss = "reconnect"  # default

    [ui]
    mouse = false  # default
    colour = "auto"  # default
    ascii = "auto"  # default

    [network]
    use-environment-proxy = true  # default

    [identity]
    hash-memory-mib = 128  # config.toml:5
    hash-passes = 3  # default
    hash-lanes = 1  # default

    [vault]
    backend = "auto"  # default
    passphrase-file = "/run/keys/vault"  # config.toml:8

    [[provider]]
    id = "direct"  # default
    kind = "direct"  # default
    enabled = true  # default

    [[provider]]
    id = "edge"  # config.toml:19
    kind = "ssh"  # config.toml:20
    enabled = true  # default
    default = false  # default
    host = "edge.acme"  # config.toml:21
    jump = ["ops@gate:2222"]  # config.toml:22
    key = "vault:provider-edge"  # config.toml:23

    [[identity-provider]]
    id = "entra"  # config.toml:11
    kind = "entra-id"  # config.toml:12
    tenant = "8f1c2d3e-4b5a-4c6d-8e7f-0123456789ab"  # config.toml:13
    client-id = "0c9b"  # config.toml:14
    client-secret = "vault:idp-entra"  # config.toml:15
    scopes = ["profile", "email"]  # default
    domains = ["acme.example"]  # config.toml:16
    break-glass = "always"  # default

    [[site]]
    id = "acme"  # config.toml:26
    name = "acme"  # default
    private-ranges = []  # default
    providers = ["edge"]  # config.toml:27

    [site.launcher]
    kind = "ssh"  # config.toml:30
    host = "app1"  # config.toml:31
    jump = []  # default
    method = "auto"  # default
    sudo = false  # default

    [[target]]
    id = "db"  # config.toml:34
    name = "db"  # default
    site = "acme"  # config.toml:35
    kind = "postgres"  # config.toml:36
    address = "db.acme:5432"  # config.toml:37
    reachability = "auto"  # default
    approval = "none"  # default
    listen = "loopback"  # default
    local-port = 15432  # config.toml:38
    idle = "15m"  # policy.idle
    "#);
    assert_eq!(parse(&shown(FILE, false)), parse(FILE), "it reads back to the same");
}
