//! Each mistake in what `config.toml` says of identity providers, passwords, the vault and the
//! network, with the words an operator reads.

use std::path::Path;

use breakglass::config::Config;

use crate::config_mistakes::{report, reports};

const IDP: &str = "[[identity-provider]]\nid = \"okta\"\nkind = \"oidc\"\nclient-id = \"bg\"\n\
                   issuer = \"https://login.example.com\"\n";

fn idp(line: &str) -> String {
    format!("{IDP}{line}\n")
}

fn issuer(issuer: &str) -> String {
    IDP.replace("https://login.example.com", issuer)
}

fn entra(tenant: &str) -> String {
    format!(
        "[[identity-provider]]\nid = \"entra\"\nkind = \"entra-id\"\nclient-id = \"bg\"\n\
         tenant = \"{tenant}\"\n"
    )
}

#[test]
fn network_passwords_and_vault() {
    let long = format!("[network]\nca-file = \"/{}\"", "x".repeat(5_000));
    insta::assert_snapshot!(reports(&[
        "[network]\nca-file = \"ca.pem\"",
        "[network]\nca-file = \"~/ca.pem\"",
        "[network]\nca-file = \"\"",
        "[network]\nca-file = \"/etc/\\u202eca.pem\"",
        &long,
        "[network]\nuse-environment-proxy = \"no\"",
        "[identity]\nhash-memory-mib = 18",
        "[identity]\nhash-memory-mib = -1",
        "[identity]\nhash-memory-mib = 65536",
        "[identity]\nhash-passes = 1",
        "[identity]\nhash-passes = 17",
        "[identity]\nhash-lanes = 0",
        "[identity]\nhash-lanes = 5",
        "[vault]\nbackend = \"kwallet\"",
        "[vault]\npassphrase-file = \"passphrase\"",
        "[vault]\nbackend = \"keyring\"\npassphrase-file = \"/etc/passphrase\"",
    ]), @r#"
        config: /home/ana/config.toml:2:11: `network.ca-file`: `ca.pem` is not an absolute path
          hint: write the whole path, from `/` on

        config: /home/ana/config.toml:2:11: `network.ca-file`: `~/ca.pem` is not an absolute path
          hint: write the whole path, from `/` on

        config: /home/ana/config.toml:2:11: `network.ca-file`: `` is not an absolute path
          hint: write the whole path, from `/` on

        config: /home/ana/config.toml:2:11: `network.ca-file` holds a control or invisible character: `/etc/<202E>ca.pem`
          hint: write the whole path, from `/` on

        config: /home/ana/config.toml:2:11: `network.ca-file` has 5001 bytes; a path has at most 4095
          hint: write the whole path, from `/` on

        config: /home/ana/config.toml:2:25: `network.use-environment-proxy` must be `true` or `false`, without quotes, not a text
          hint: breakglass config example

        config: /home/ana/config.toml:2:19: `identity.hash-memory-mib`: `18` is below OWASP's floor for Argon2id, 19 MiB in 2 passes
          hint: write a number from 19 to 1024, or leave the key out for 64

        config: /home/ana/config.toml:2:19: `identity.hash-memory-mib`: `-1` is below OWASP's floor for Argon2id, 19 MiB in 2 passes
          hint: write a number from 19 to 1024, or leave the key out for 64

        config: /home/ana/config.toml:2:19: `identity.hash-memory-mib`: `65536` is not between 19 and 1024
          hint: write a number from 19 to 1024, or leave the key out for 64

        config: /home/ana/config.toml:2:15: `identity.hash-passes`: `1` is below OWASP's floor for Argon2id, 19 MiB in 2 passes
          hint: write a number from 2 to 16, or leave the key out for 3

        config: /home/ana/config.toml:2:15: `identity.hash-passes`: `17` is not between 2 and 16
          hint: write a number from 2 to 16, or leave the key out for 3

        config: /home/ana/config.toml:2:14: `identity.hash-lanes`: `0` is not between 1 and 4
          hint: write a number from 1 to 4, or leave the key out for 1

        config: /home/ana/config.toml:2:14: `identity.hash-lanes`: `5` is not between 1 and 4
          hint: write a number from 1 to 4, or leave the key out for 1

        config: /home/ana/config.toml:2:11: `vault.backend`: `kwallet` is none of its values
          hint: write `auto`, `keyring` or `file`

        config: /home/ana/config.toml:2:19: `vault.passphrase-file`: `passphrase` is not an absolute path
          hint: write the whole path, from `/` on

        config: /home/ana/config.toml:3:19: `vault.passphrase-file`: the keyring has no passphrase
          hint: take the key out, or write `backend = "file"` in `[vault]`
    "#);
}

#[test]
fn identity_providers() {
    let ids = |ids: std::ops::Range<usize>| -> String {
        ids.map(|id| IDP.replace("okta", &format!("idp-{id}"))).collect()
    };
    assert_eq!(report(&ids(0..20)), "no mistake");
    insta::assert_snapshot!(reports(&[
        "[[identity-provider]]\nkind = \"oidc\"",
        "[[identity-provider]]\nid = \"okta\"",
        "[[identity-provider]]\nid = \"Okta\"",
        "[[identity-provider]]\nid = \"okta\"\nkind = \"saml\"",
        "[[identity-provider]]\nid = \"okta\"\nkind = \"oidc\"\nclient-id = \"bg\"",
        "[[identity-provider]]\nid = \"okta\"\nkind = \"oidc\"\nissuer = \"https://a\"",
        "[[identity-provider]]\nid = \"entra\"\nkind = \"entra-id\"\nclient-id = \"bg\"",
        &idp("tenant = \"8f1c2d3e-4b5a-4c6d-8e7f-0123456789ab\""),
        &idp("").replace("oidc", "entra-id"),
        &idp(IDP),
        &ids(0..21),
        &idp("scopes = [\"profile email\"]"),
        &idp("scopes = [\"openid\", \"email\"]"),
        &idp("scopes = [\"\"]"),
        &idp("scopes = [\"email\", \"email\"]"),
        &idp("break-glass = \"never\""),
        &idp("").replace("\"bg\"", "\"\""),
        &idp("").replace("\"bg\"", "\"bg \""),
        &idp("").replace("bg", "b\\u0007g"),
        &idp("").replace("bg", &"b".repeat(201)),
    ]), @r#"
        config: /home/ana/config.toml:1:1: this `identity-provider` has no `id`
          hint: add a line such as `id = "entra"`

        config: /home/ana/config.toml:1:1: this `identity-provider` has no `kind`
          hint: add a line such as `kind = "entra-id"`

        config: /home/ana/config.toml:2:6: `identity-provider.id`: `Okta` cannot be a name
          hint: a name starts with a letter or digit and holds only a-z, 0-9, `.`, `_` and `-`

        config: /home/ana/config.toml:3:8: `identity-provider.kind`: `saml` is none of its values
          hint: write `entra-id` or `oidc`

        config: /home/ana/config.toml:1:1: this `identity-provider` has no `issuer`
          hint: add a line such as `issuer = "https://login.example.com"`

        config: /home/ana/config.toml:1:1: this `identity-provider` has no `client-id`
          hint: add a line such as `client-id = "breakglass"`

        config: /home/ana/config.toml:1:1: this `identity-provider` has no `tenant`
          hint: add a line such as `tenant = "8f1c2d3e-4b5a-4c6d-8e7f-0123456789ab"`

        config: /home/ana/config.toml:6:10: `identity-provider.tenant`: only an `entra-id` has a tenant
          hint: take the key out, or write `kind = "entra-id"`

        config: /home/ana/config.toml:5:10: `identity-provider.issuer`: that of an `entra-id` follows from its tenant
          hint: take the key out, or write `kind = "oidc"`

        config: /home/ana/config.toml:7:6: `identity-provider.id`: `okta` is used twice (first on line 2)
          hint: each must be different; change one or take it out

        config: /home/ana/config.toml:101:1: there are more than 20 identity providers
          hint: take out those that nobody signs in with

        config: /home/ana/config.toml:6:11: `identity-provider.scopes`: `profile email` is no scope
          hint: write words without spaces, such as ["profile", "email"]

        config: /home/ana/config.toml:6:11: `identity-provider.scopes`: `openid` is always asked for
          hint: take it out

        config: /home/ana/config.toml:6:11: `identity-provider.scopes`: `` is no scope
          hint: write words without spaces, such as ["profile", "email"]

        config: /home/ana/config.toml:6:20: `identity-provider.scopes`: `email` is used twice (first on line 6)
          hint: each must be different; change one or take it out

        config: /home/ana/config.toml:6:15: `identity-provider.break-glass`: `never` is none of its values
          hint: write `always` or `only-while-unhealthy`

        config: /home/ana/config.toml:4:13: `identity-provider.client-id` is empty
          hint: write the id that this program has there; in Entra, the Application (client) ID

        config: /home/ana/config.toml:4:13: `identity-provider.client-id` begins or ends with a space
          hint: write the id that this program has there; in Entra, the Application (client) ID

        config: /home/ana/config.toml:4:13: `identity-provider.client-id` holds a control or invisible character: `b<07>g`
          hint: write the id that this program has there; in Entra, the Application (client) ID

        config: /home/ana/config.toml:4:13: `identity-provider.client-id` has 201 characters; at most 200 are usable
          hint: write the id that this program has there; in Entra, the Application (client) ID
    "#);
}

#[test]
fn a_tenant_is_one_tenant() {
    insta::assert_snapshot!(reports(&[
        &entra("common"),
        &entra("Organizations"),
        &entra("consumers"),
        &entra("9188040d-6c67-4c5b-b112-36a304b66dad"),
        &entra("contoso.onmicrosoft.com"),
        &entra("8f1c2d3e4b5a4c6d8e7f0123456789ab"),
        &entra("{8f1c2d3e-4b5a-4c6d-8e7f-0123456789ab}"),
    ]), @r"
        config: /home/ana/config.toml:5:10: `identity-provider.tenant`: `common` stands for many tenants, so that its issuer is a template, which no token names
          hint: write the Tenant ID, which stands at https://entra.microsoft.com under Overview: a UUID

        config: /home/ana/config.toml:5:10: `identity-provider.tenant`: `Organizations` stands for many tenants, so that its issuer is a template, which no token names
          hint: write the Tenant ID, which stands at https://entra.microsoft.com under Overview: a UUID

        config: /home/ana/config.toml:5:10: `identity-provider.tenant`: `consumers` stands for every personal Microsoft account
          hint: write the Tenant ID, which stands at https://entra.microsoft.com under Overview: a UUID

        config: /home/ana/config.toml:5:10: `identity-provider.tenant`: `9188040d-6c67-4c5b-b112-36a304b66dad` stands for every personal Microsoft account
          hint: write the Tenant ID, which stands at https://entra.microsoft.com under Overview: a UUID

        config: /home/ana/config.toml:5:10: `identity-provider.tenant`: `contoso.onmicrosoft.com` is no tenant id, which is a UUID
          hint: write the Tenant ID, which stands at https://entra.microsoft.com under Overview: a UUID

        config: /home/ana/config.toml:5:10: `identity-provider.tenant`: `8f1c2d3e4b5a4c6d8e7f0123456789ab` is no tenant id, which is a UUID
          hint: write the Tenant ID, which stands at https://entra.microsoft.com under Overview: a UUID

        config: /home/ana/config.toml:5:10: `identity-provider.tenant`: `{8f1c2d3e-4b5a-4c6d-8e7f-0123456789ab}` is no tenant id, which is a UUID
          hint: write the Tenant ID, which stands at https://entra.microsoft.com under Overview: a UUID
    ");
}

#[test]
fn an_issuer_is_an_address_that_nobody_can_pass_for() {
    insta::assert_snapshot!(reports(&[
        &issuer("login.example.com"),
        &issuer("HTTPS://login.example.com"),
        &issuer("https://login.example.com/{tenantid}/v2.0"),
        &issuer("https://login.example.com\\\\x"),
        &issuer("https://ana:pw@login.example.com"),
        &issuer("https://login.example.com?tenant=a"),
        &issuer("https://login.example.com/#a"),
        &issuer("https://"),
        &issuer("https:///login"),
        &issuer("https://login.example.com:99999"),
        &issuer("http://login.example.com"),
        &issuer("http://127.1"),
        &issuer("http://127.0.0.1.example.com"),
        &issuer("http://localhost.example.com:80"),
        &issuer("http://[::2]"),
        &issuer(&format!("https://login.example.com/{}", "a".repeat(500))),
    ]), @r"
        config: /home/ana/config.toml:5:10: `identity-provider.issuer` must begin with `https://`
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` must begin with `https://`
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` holds `{`, which no URL does
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` holds `\`, which no URL does
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` holds a user name or a password
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` holds a `?` or `#`, which no issuer does
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` holds a `?` or `#`, which no issuer does
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` is no URL
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` is no URL
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` is no URL
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` begins with `http://`, but leads to another host
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` begins with `http://`, but leads to another host
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` begins with `http://`, but leads to another host
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` begins with `http://`, but leads to another host
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` begins with `http://`, but leads to another host
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        config: /home/ana/config.toml:5:10: `identity-provider.issuer` has 526 bytes; at most 500 are usable
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host
    ");
}

#[test]
fn an_issuer_is_kept_byte_for_byte() {
    for right in [
        "https://login.example.com",
        "https://login.example.com/",
        "https://Login.example.com:443/a/../b",
        "http://127.0.0.1:8080/realms/main",
        "http://127.255.255.254",
        "http://[::1]",
        "http://[::1]:8080/",
        "http://localhost:8080",
    ] {
        let config = Config::parse(Path::new("config.toml"), &issuer(right)).unwrap();
        assert_eq!(config.identity_providers[0].issuer(), right);
    }
}

#[test]
fn domains_have_one_owner() {
    let two = |one: &str, other: &str| {
        let other = idp(&format!("domains = [\"{other}\"]")).replace("okta", "ping");
        format!("{}{other}", idp(&format!("domains = [\"{one}\"]")))
    };
    let many: Vec<_> = (0..51).map(|number| format!("d{number}.example")).collect();
    insta::assert_snapshot!(reports(&[
        &two("acme.example", "ACME.example"),
        &idp("domains = [\"acme.example\", \"Acme.Example\"]"),
        &idp("domains = [\"@acme.example\"]"),
        &idp("domains = [\"ana@acme.example\"]"),
        &idp("domains = [\" acme.example\"]"),
        &idp("domains = [\"acme\"]"),
        &idp("domains = [\"*.acme.example\"]"),
        &idp("domains = [\"acme.example.\"]"),
        &idp("domains = [\"-acme.example\"]"),
        &idp("domains = [\"ac\\u200bme.example\"]"),
        &idp("domains = [\"\"]"),
        &idp(&format!("domains = {many:?}")),
        &idp("domains = \"acme.example\""),
    ]), @r#"
        config: /home/ana/config.toml:12:12: `identity-provider.domains`: `okta` and `ping` both own `acme.example` (first on line 6)
          hint: a domain has one owner, who says who its people are; take it out of one

        config: /home/ana/config.toml:6:28: `identity-provider.domains`: `acme.example` is used twice (first on line 6)
          hint: each must be different; change one or take it out

        config: /home/ana/config.toml:6:12: `identity-provider.domains`: `@acme.example` is no domain
          hint: write what stands behind the `@` of an address, such as "example.com"

        config: /home/ana/config.toml:6:12: `identity-provider.domains`: `ana@acme.example` is no domain
          hint: write what stands behind the `@` of an address, such as "example.com"

        config: /home/ana/config.toml:6:12: `identity-provider.domains`: ` acme.example` is no domain
          hint: write what stands behind the `@` of an address, such as "example.com"

        config: /home/ana/config.toml:6:12: `identity-provider.domains`: `acme` is no domain
          hint: write what stands behind the `@` of an address, such as "example.com"

        config: /home/ana/config.toml:6:12: `identity-provider.domains`: `*.acme.example` is no domain
          hint: write what stands behind the `@` of an address, such as "example.com"

        config: /home/ana/config.toml:6:12: `identity-provider.domains`: `acme.example.` is no domain
          hint: write what stands behind the `@` of an address, such as "example.com"

        config: /home/ana/config.toml:6:12: `identity-provider.domains`: `-acme.example` is no domain
          hint: write what stands behind the `@` of an address, such as "example.com"

        config: /home/ana/config.toml:6:12: `identity-provider.domains`: `ac<200B>me.example` is no domain
          hint: write what stands behind the `@` of an address, such as "example.com"

        config: /home/ana/config.toml:6:12: `identity-provider.domains`: `` is no domain
          hint: write what stands behind the `@` of an address, such as "example.com"

        config: /home/ana/config.toml:6:11: `identity-provider.domains` holds 51; at most 50 are usable
          hint: take out what is not needed

        config: /home/ana/config.toml:6:11: `identity-provider.domains` must be a list, not a text
          hint: breakglass config example
    "#);
    let config = Config::parse(Path::new("config.toml"), &two("ACME.example", "b.acme.example"));
    let ana = "Ana@acme.example".parse().unwrap();
    let owners = config.unwrap().identity_providers;
    assert_eq!(owners.iter().map(|idp| idp.owns(&ana)).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn a_client_secret_is_only_a_reference() {
    let long = "x".repeat(60);
    insta::assert_snapshot!(reports(&[
        &idp("client-secret = \"hunter2\""),
        &idp("client-secret = \"vault:idp-entra\""),
        &idp("client-secret = \"\""),
        &idp("client-secret = 7"),
        &idp(&format!("client-secret = \"vault:idp-{long}\"")).replace("okta", &long),
    ]), @r"
        config: /home/ana/config.toml:6:17: `identity-provider.client-secret`: only `vault:idp-okta` may stand here, never a secret
          hint: `breakglass idp add okta --secret-stdin` puts it in the vault and never in the file

        config: /home/ana/config.toml:6:17: `identity-provider.client-secret`: only `vault:idp-okta` may stand here, never a secret
          hint: `breakglass idp add okta --secret-stdin` puts it in the vault and never in the file

        config: /home/ana/config.toml:6:17: `identity-provider.client-secret`: only `vault:idp-okta` may stand here, never a secret
          hint: `breakglass idp add okta --secret-stdin` puts it in the vault and never in the file

        config: /home/ana/config.toml:6:17: `identity-provider.client-secret` must be a text in quotes, not a number
          hint: breakglass config example

        config: /home/ana/config.toml:6:17: `identity-provider.client-secret`: no secret can be named after an id this long
          hint: write an `id` of at most 59 characters
    ");
    for (line, has_secret) in [("", false), ("client-secret = \"vault:idp-okta\"", true)] {
        let config = Config::parse(Path::new("config.toml"), &idp(line)).unwrap();
        assert_eq!(config.identity_providers[0].has_secret, has_secret);
    }
}

#[test]
fn no_message_shows_what_may_be_a_secret() {
    let secret = "hunter2";
    for text in [
        idp(&format!("client-secret = \"{secret}\"")),
        idp(&format!("client-secret = \"vault:{secret}\"")),
        idp(&format!("client-secret = [\"{secret}\"]")),
        idp(&format!("client-secret = {secret}")),
        idp(&format!("secret = \"{secret}\"")),
        idp("").replace("https://", &format!("https://me:{secret}@")),
        idp("").replace(".com", &format!(".com/?key={secret}")),
        idp("").replace(".com", &format!(".com/#{secret}")),
        idp("").replace(".com", &format!(".com/ {secret}")),
    ] {
        let report = report(&text);
        assert!(report.starts_with("config: /home/ana/config.toml:"), "{report}");
        assert!(!report.contains(secret), "{text}\n{report}");
    }
}
