//! Switching a provider changes the intended bytes of the file and no others.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use breakglass::config::{Config, EXAMPLE, set_provider_enabled};
use breakglass::domain::id::ProviderId;

fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

fn direct() -> ProviderId {
    "direct".parse().unwrap()
}

struct Home {
    _dir: tempfile::TempDir,
    path: PathBuf,
}

impl Home {
    fn with(text: &str) -> Self {
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
        use std::os::unix::fs::MetadataExt as _;
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
