//! What we write changes the intended bytes of the file and no others.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use breakglass::config::{
    Config, ConfigError, EXAMPLE, put_identity_provider, remove_identity_provider,
    set_provider_enabled,
};
use breakglass::domain::id::{IdpId, ProviderId};
use breakglass::domain::identity_provider::{BreakGlassMode, IdpKind, IdpSettings};

fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

fn direct() -> ProviderId {
    "direct".parse().unwrap()
}

/// What `[[identity-provider]]` says with nothing but what it must say.
fn okta() -> IdpSettings {
    IdpSettings {
        id: "okta".parse().unwrap(),
        kind: IdpKind::Oidc { issuer: "https://login.example.com/".to_owned() },
        client_id: "bg".to_owned(),
        has_secret: false,
        scopes: vec!["profile".to_owned(), "email".to_owned()],
        domains: vec![],
        break_glass: BreakGlassMode::Always,
    }
}

/// With everything that can be said of it.
fn okta_in_full() -> IdpSettings {
    IdpSettings {
        kind: IdpKind::EntraId { tenant: "8f1c2d3e-4b5a-4c6d-8e7f-0123456789ab".to_owned() },
        client_id: "a \"quoted\" \\ id".to_owned(),
        has_secret: true,
        scopes: vec!["email".to_owned()],
        domains: vec!["acme.example".to_owned(), "acme.test".to_owned()],
        break_glass: BreakGlassMode::OnlyWhileUnhealthy,
        ..okta()
    }
}

pub struct Home {
    _dir: tempfile::TempDir,
    pub path: PathBuf,
}

impl Home {
    pub fn with(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        Self { _dir: dir, path }
    }

    fn switch(&self, enabled: bool) -> String {
        let config = set_provider_enabled(&self.path, uid(), &direct(), enabled)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config, Config::load(&self.path, uid()).unwrap());
        assert_eq!(config.providers[0].enabled, enabled);
        fs::read_to_string(&self.path).unwrap()
    }

    fn put(&self, idp: &IdpSettings) -> String {
        let config =
            put_identity_provider(&self.path, uid(), idp).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config, Config::load(&self.path, uid()).unwrap());
        let put = config.identity_providers.iter().find(|known| known.id == idp.id);
        assert_eq!(put, Some(idp));
        fs::read_to_string(&self.path).unwrap()
    }

    fn remove(&self, id: &str) -> String {
        let id: IdpId = id.parse().unwrap();
        let config = remove_identity_provider(&self.path, uid(), &id)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config, Config::load(&self.path, uid()).unwrap());
        assert!(config.identity_providers.iter().all(|known| known.id != id));
        fs::read_to_string(&self.path).unwrap()
    }

    /// The report of what is refused, with the file as it was.
    fn refused(&self, change: impl FnOnce(&Path) -> Result<Config, ConfigError>) -> String {
        let before = fs::read_to_string(&self.path).unwrap();
        let report = change(&self.path).unwrap_err().report().to_string();
        assert_eq!(fs::read_to_string(&self.path).unwrap(), before);
        report.replace(&self.path.display().to_string(), "~/config.toml")
    }
}

/// The texts with everything that must survive, and what they become when Direct is disabled.
const EDITS: [(&str, &str); 12] = [
    ("", "[[provider]]\nid = \"direct\"\nkind = \"direct\"\nenabled = false\n"),
    (
        "# mine\n[ui]\nmouse = true # yes\n# the end",
        "# mine\n[ui]\nmouse = true # yes\n# the end\n\n[[provider]]\nid = \"direct\"\nkind = \"direct\"\n\
         enabled = false\n",
    ),
    (
        "[[provider]]\nid = \"direct\"\nkind = \"direct\"\nenabled = true   # for now\n\n[ui]\n",
        "[[provider]]\nid = \"direct\"\nkind = \"direct\"\nenabled = false   # for now\n\n[ui]\n",
    ),
    (
        "[[provider]] # built in\n  id = \"direct\" # its name\n  kind='direct'#x\n\n# ui\n[ui]\n",
        "[[provider]] # built in\n  id = \"direct\" # its name\n  kind='direct'#x\n  enabled = false\n\n\
         # ui\n[ui]\n",
    ),
    (
        "[[provider]]\nid = \"direct\"\nkind = \"direct\"",
        "[[provider]]\nid = \"direct\"\nkind = \"direct\"\nenabled = false",
    ),
    (
        "[[provider]]\r\nid = \"direct\"\r\nkind = \"direct\"\r\n# end\r\n",
        "[[provider]]\r\nid = \"direct\"\r\nkind = \"direct\"\r\nenabled = false\r\n# end\r\n",
    ),
    (
        "[ui]\r\n",
        "[ui]\r\n\r\n[[provider]]\r\nid = \"direct\"\r\nkind = \"direct\"\r\nenabled = false\r\n",
    ),
    (
        "provider = [ ] # none\n",
        "provider = [{ id = \"direct\", kind = \"direct\", enabled = false } ] # none\n",
    ),
    (
        "provider = [ # all\n  { id = \"direct\", kind = \"direct\" }, # it\n]\n",
        "provider = [ # all\n  { id = \"direct\", kind = \"direct\", enabled = false }, # it\n]\n",
    ),
    (
        "provider = [{ enabled=true,id = \"direct\", kind = \"direct\" }]\npolicy.idle = \"off\"\n",
        "provider = [{ enabled=false,id = \"direct\", kind = \"direct\" }]\npolicy.idle = \"off\"\n",
    ),
    (
        "[[provider]]\nkind = \"direct\"\n\"enabled\" = true\nid = \"direct\"\n[[site]]\nid = \"a\"",
        "[[provider]]\nkind = \"direct\"\n\"enabled\" = false\nid = \"direct\"\n[[site]]\nid = \"a\"",
    ),
    (
        "\u{feff}[[provider]]\nid = '''\ndirect'''\nkind = \"direct\" \t\n",
        "\u{feff}[[provider]]\nid = '''\ndirect'''\nkind = \"direct\" \t\nenabled = false\n",
    ),
];

#[test]
fn only_the_intended_bytes_differ() {
    for (before, after) in EDITS {
        let home = Home::with(before);
        assert_eq!(home.switch(false), after, "{before:?}");
        let on = after.replacen("enabled = false", "enabled = true", 1);
        let on = on.replacen("enabled=false", "enabled=true", 1);
        let on = on.replacen("\"enabled\" = false", "\"enabled\" = true", 1);
        assert_eq!(home.switch(true), on, "and back: {before:?}");
    }
}

#[test]
fn the_example_keeps_its_comments() {
    let home = Home::with(EXAMPLE);
    let off = EXAMPLE.replacen("\nenabled = true\n", "\nenabled = false\n", 1);
    assert_eq!(home.switch(false), off);
    assert_eq!(home.switch(true), EXAMPLE);
}

#[test]
fn nothing_is_written_where_nothing_changes() {
    for text in ["", "[ui]\n", "[[provider]]\nid = \"direct\"\nkind = \"direct\"\n"] {
        let home = Home::with(text);
        let before = fs::metadata(&home.path).unwrap();
        assert_eq!(home.switch(true), text);
        assert_eq!(fs::metadata(&home.path).unwrap().ino(), before.ino());
    }
}

#[test]
fn the_mode_is_kept_and_nothing_else_is_left() {
    let home = Home::with("");
    home.switch(false);
    assert_eq!(fs::metadata(&home.path).unwrap().permissions().mode() & 0o7777, 0o640);
    let names: Vec<_> = fs::read_dir(home.path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["config.toml"]);
}

#[test]
fn a_missing_file_is_made_for_us_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("breakglass/config.toml");
    set_provider_enabled(&path, uid(), &direct(), false).unwrap();
    assert!(!Config::load(&path, uid()).unwrap().providers[0].enabled);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let folder = fs::metadata(path.parent().unwrap()).unwrap();
    assert_eq!(folder.permissions().mode() & 0o7777, 0o700);
}

#[test]
fn a_link_stays_a_link() {
    let home = Home::with("");
    let link = home.path.with_file_name("link.toml");
    symlink(&home.path, &link).unwrap();
    set_provider_enabled(&link, uid(), &direct(), false).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&home.path).unwrap().contains("enabled = false"));
}

#[test]
fn what_cannot_be_changed_stays_as_it_was() {
    let unknown: ProviderId = "acme".parse().unwrap();
    let home = Home::with("[ui]\n");
    let error = set_provider_enabled(&home.path, uid(), &unknown, false).unwrap_err();
    let path = home.path.display().to_string();
    insta::assert_snapshot!(error.report().to_string().replace(&path, "~/config.toml"), @r"
        config: cannot edit `~/config.toml`: it has no such provider
          hint: make the change in the file by hand
    ");
    assert_eq!(fs::read_to_string(&home.path).unwrap(), "[ui]\n");

    let home = Home::with("[ui]\nmose = true\n");
    let error = set_provider_enabled(&home.path, uid(), &direct(), false).unwrap_err();
    assert!(error.to_string().contains("there is no key `mose`"), "{error}");
    assert_eq!(fs::read_to_string(&home.path).unwrap(), "[ui]\nmose = true\n");
}

#[test]
fn an_identity_provider_comes_behind_everything_else() {
    let table = "[[identity-provider]]\nid = \"okta\"\nkind = \"oidc\"\n\
                 issuer = \"https://login.example.com/\"\nclient-id = \"bg\"\n";
    for (before, between) in [
        ("", ""),
        ("# mine\n", "\n"),
        ("[ui]\nmouse = true # yes\n# the end", "\n\n"),
        ("[[target]]\nid = 'a'\nkind = 'tcp'\naddress = 'a:1'\n\n# [[site]]\n", "\n"),
        ("\u{feff}[[provider]]\nid = 'direct'\nkind = 'direct'\n", "\n"),
        (EXAMPLE, "\n"),
    ] {
        let home = Home::with(before);
        assert_eq!(home.put(&okta()), format!("{before}{between}{table}"));
        let again = home.put(&IdpSettings { id: "ping".parse().unwrap(), ..okta() });
        let second = table.replace("okta", "ping");
        assert_eq!(again, format!("{before}{between}{table}\n{second}"));
    }
    let home = Home::with("[ui]\r\n");
    assert_eq!(home.put(&okta()), format!("[ui]\r\n\r\n{}", table.replace('\n', "\r\n")));
    insta::assert_snapshot!(Home::with("").put(&okta_in_full()), @r#"
        [[identity-provider]]
        id = "okta"
        kind = "entra-id"
        tenant = "8f1c2d3e-4b5a-4c6d-8e7f-0123456789ab"
        client-id = 'a "quoted" \ id'
        client-secret = "vault:idp-okta"
        scopes = ["email"]
        domains = ["acme.example", "acme.test"]
        break-glass = "only-while-unhealthy"
    "#);
}

/// What the file says of `okta`, and what it says once `okta()` was put there.
const PUTS: [(&str, &str); 7] = [
    (
        "# ours\n[[identity-provider]] # the one\n  id='okta' # its name\n  # from the portal\n  \
         client-id = \"old\"   # bg\n\n  kind = \"oidc\"\n  issuer = \"https://old\"\n# end\n\n[ui]\n",
        "# ours\n[[identity-provider]] # the one\n  id='okta' # its name\n  # from the portal\n  \
         client-id = \"bg\"   # bg\n\n  kind = \"oidc\"\n  issuer = \"https://login.example.com/\"\n\
         # end\n\n[ui]\n",
    ),
    (
        // Of another kind, with a secret and words that all go; what remains is said already.
        "[[identity-provider]]\n\"id\" = 'okta'\nkind = \"entra-id\"\n# where\n\
         tenant = \"8f1c2d3e-4b5a-4c6d-8e7f-0123456789ab\" # ours\nclient-id = '''bg'''\n\
         client-secret = \"vault:idp-okta\"\nscopes = [\n  'profile', # name\n  'email',\n]\n\
         domains = [ # all\n'acme.example']\nbreak-glass = 'only-while-unhealthy'\n[policy]\n",
        "[[identity-provider]]\n\"id\" = 'okta'\nkind = \"oidc\"\n# where\n\
         client-id = '''bg'''\nscopes = [\n  'profile', # name\n  'email',\n]\n\
         domains = []\nbreak-glass = \"always\"\nissuer = \"https://login.example.com/\"\n[policy]\n",
    ),
    (
        "[[identity-provider]]\r\nid = \"okta\"\r\nkind = \"oidc\"\r\nissuer = \"https://a\"\r\n\
         client-id = \"bg\"\r\n\r\n# end\r\n",
        "[[identity-provider]]\r\nid = \"okta\"\r\nkind = \"oidc\"\r\n\
         issuer = \"https://login.example.com/\"\r\nclient-id = \"bg\"\r\n\r\n# end\r\n",
    ),
    (
        "[[identity-provider]]\nid = \"okta\"\nkind = \"oidc\"\nissuer = \"https://a\"\nclient-id = \"bg\"",
        "[[identity-provider]]\nid = \"okta\"\nkind = \"oidc\"\n\
         issuer = \"https://login.example.com/\"\nclient-id = \"bg\"",
    ),
    (
        "identity-provider = [] # none\n",
        "identity-provider = [{ id = \"okta\", kind = \"oidc\", \
         issuer = \"https://login.example.com/\", client-id = \"bg\" }] # none\n",
    ),
    (
        "identity-provider = [\n  {id='a', kind='oidc', issuer='https://a', client-id='a'}, # first\n]\n",
        "identity-provider = [\n  {id='a', kind='oidc', issuer='https://a', client-id='a'}, \
         { id = \"okta\", kind = \"oidc\", issuer = \"https://login.example.com/\", \
         client-id = \"bg\" }, # first\n]\n",
    ),
    (
        "identity-provider = [ # all\n  {id='okta', kind='oidc', issuer='https://a', client-id='a'}, # it\n]\n",
        "identity-provider = [ # all\n  { id = \"okta\", kind = \"oidc\", \
         issuer = \"https://login.example.com/\", client-id = \"bg\" }, # it\n]\n",
    ),
];

#[test]
fn of_an_identity_provider_only_the_values_change() {
    for (before, after) in PUTS {
        let home = Home::with(before);
        assert_eq!(home.put(&okta()), after, "{before:?}");
        let inode = fs::metadata(&home.path).unwrap().ino();
        assert_eq!(home.put(&okta()), after);
        assert_eq!(fs::metadata(&home.path).unwrap().ino(), inode, "it says so already");
        home.put(&okta_in_full());
        home.put(&okta());
    }
}

/// A file with `okta`, and without it.
const REMOVALS: [(&str, &str); 10] = [
    ("{}", ""),
    ("# ours\n{}", ""),
    ("# mine\n\n# ours\n#\n# and more\n{}\n# the look\n[ui]\n", "# mine\n\n# the look\n[ui]\n"),
    ("[ui]\n{}# of nobody\n", "[ui]\n# of nobody\n"),
    ("[ui]\n#mouse = true\n{}[policy]", "[ui]\n#mouse = true\n[policy]"),
    ("[ui]\nmouse = true # yes\n\n{}\n\n[policy]\n", "[ui]\nmouse = true # yes\n\n\n[policy]\n"),
    ("[ui]\n\n{}", "[ui]\n"),
    ("\u{feff}# mine\n{}", "\u{feff}# mine\n"),
    (
        "[[identity-provider]]\nid='a'\nkind='oidc'\nissuer='https://a'\nclient-id='a' # a\n{}\n\
         [[identity-provider]]\nid='b'\nkind='oidc'\nissuer='https://b'\nclient-id='b'\n",
        "[[identity-provider]]\nid='a'\nkind='oidc'\nissuer='https://a'\nclient-id='a' # a\n\n\
         [[identity-provider]]\nid='b'\nkind='oidc'\nissuer='https://b'\nclient-id='b'\n",
    ),
    (
        "[[site]]\nid = 'a'\nname = \"\"\"\\\n[[identity-provider]]\\\n# id\"\"\"\n{}",
        "[[site]]\nid = 'a'\nname = \"\"\"\\\n[[identity-provider]]\\\n# id\"\"\"\n",
    ),
];

#[test]
fn an_identity_provider_goes_with_its_comment_and_nothing_else() {
    let table = "[[identity-provider]] # it\n  id = \"okta\"\n# what it is\n  kind = \"oidc\"\n\n\
                 issuer = \"https://a\"\nscopes = [\n'email', # x\n]\nclient-id = 'bg' # [[x]]\n";
    for (around, after) in REMOVALS {
        let before = around.replace("{}", table);
        assert_eq!(Home::with(&before).remove("okta"), after, "{before:?}");
        let crlf = |text: &str| text.replace('\n', "\r\n");
        assert_eq!(Home::with(&crlf(&before)).remove("okta"), crlf(after), "{before:?}");
        assert_eq!(Home::with(&before).remove("other"), before);
    }
}

#[test]
fn an_identity_provider_goes_out_of_a_list_in_one_line() {
    let item = |id: &str| format!("{{id='{id}',kind='oidc',issuer='https://a',client-id='a'}}");
    let (okta, other) = (item("okta"), item("other"));
    for (before, after) in [
        (format!("[{okta}]"), "[]".to_owned()),
        (format!("[ {okta}, {other} ] # all"), format!("[ {other} ] # all")),
        (format!("[{other} , {okta}]"), format!("[{other} ]")),
        (
            format!("[\n  {okta}, # it\n  {other}, # other\n]"),
            format!("[\n  # it\n  {other}, # other\n]"),
        ),
    ] {
        let home = Home::with(&format!("identity-provider = {before}\n"));
        assert_eq!(home.remove("okta"), format!("identity-provider = {after}\n"));
    }
}

#[test]
fn what_may_not_stand_in_the_file_is_not_written() {
    let owned = |id: &str| IdpSettings {
        id: id.parse().unwrap(),
        domains: vec!["Acme.example".to_owned()],
        ..okta()
    };
    let secret = IdpSettings { id: "x".repeat(60).parse().unwrap(), has_secret: true, ..okta() };
    let kind = |kind| IdpSettings { kind, ..okta() };
    let home = Home::with("# mine\n");
    put_identity_provider(&home.path, uid(), &owned("ping")).unwrap();
    let refused: Vec<_> = [
        owned("okta"),
        secret,
        kind(IdpKind::EntraId { tenant: "common".to_owned() }),
        kind(IdpKind::Oidc { issuer: "http://login.example.com".to_owned() }),
        IdpSettings { client_id: "\u{1b}[31m".to_owned(), ..okta() },
    ]
    .iter()
    .map(|idp| home.refused(|path| put_identity_provider(path, uid(), idp)))
    .collect();
    insta::assert_snapshot!(refused.join("\n\n"), @r"
        usage: `identity-provider.domains`: `ping` and `okta` both own `acme.example`
          hint: a domain has one owner, who says who its people are; take it out of one

        usage: `identity-provider.client-secret`: no secret can be named after an id this long
          hint: write an `id` of at most 59 characters

        usage: `identity-provider.tenant`: `common` stands for many tenants, so that its issuer is a template, which no token names
          hint: write the Tenant ID, which stands at https://entra.microsoft.com under Overview: a UUID

        usage: `identity-provider.issuer` begins with `http://`, but leads to another host
          hint: copy `issuer` from its discovery document: `https`, or `http` where it is this host

        usage: `identity-provider.client-id` holds a control or invisible character: `<1B>[31m`
          hint: write the id that this program has there; in Entra, the Application (client) ID
    ");

    for number in 1..20 {
        let id = format!("idp-{number}").parse().unwrap();
        put_identity_provider(&home.path, uid(), &IdpSettings { id, ..okta() }).unwrap();
    }
    insta::assert_snapshot!(home.refused(|path| put_identity_provider(path, uid(), &okta())), @r"
        usage: there are more than 20 identity providers
          hint: take out those that nobody signs in with
    ");

    // In TOML 1.1 a table in braces may have several lines, with comments that would be lost.
    let home = Home::with(
        "identity-provider = [{\n  id = 'okta', # it\n  kind = 'oidc',\n  issuer = 'https://a',\n  \
         client-id = 'a',\n}]\n",
    );
    let refused = [
        home.refused(|path| put_identity_provider(path, uid(), &okta())),
        home.refused(|path| remove_identity_provider(path, uid(), &okta().id)),
    ];
    insta::assert_snapshot!(refused.join("\n\n"), @r"
        config: cannot edit `~/config.toml`: what it says of this is written in a way that this program cannot change
          hint: make the change in the file by hand

        config: cannot edit `~/config.toml`: what it says of this is written in a way that this program cannot change
          hint: make the change in the file by hand
    ");
}

#[test]
fn a_tenant_and_domains_are_put_in_lower_case() {
    let home = Home::with("");
    let full = okta_in_full();
    let upper = IdpSettings {
        kind: IdpKind::EntraId { tenant: "8F1C2D3E-4B5A-4C6D-8E7F-0123456789AB".to_owned() },
        domains: vec!["ACME.example".to_owned(), "acme.TEST".to_owned()],
        ..full.clone()
    };
    let config = put_identity_provider(&home.path, uid(), &upper).unwrap();
    assert_eq!(config.identity_providers, [full]);
    assert_eq!(config, Config::load(&home.path, uid()).unwrap());
}
