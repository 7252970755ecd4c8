//! The engine of a whole host: who may own what it rests on, and what it may not be told.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use breakglass::config::{SECRET_BYTES_MAX, group_dir, host_dir, secret_file};

use crate::cli_support::usual;

fn uid() -> u32 {
    rustix::process::getuid().as_raw()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A directory `run` below one that is private.
fn run_dir() -> (tempfile::TempDir, PathBuf) {
    let top = tempfile::tempdir().unwrap();
    chmod(top.path(), 0o755);
    let dir = top.path().join("run");
    fs::create_dir(&dir).unwrap();
    (top, dir)
}

#[test]
fn the_folder_of_the_socket_is_for_its_owner_and_its_group() {
    let (top, dir) = run_dir();
    for (mode, good) in
        [(0o750, true), (0o700, true), (0o770, false), (0o755, false), (0o751, false)]
    {
        chmod(&dir, mode);
        assert_eq!(group_dir(&dir, uid()).is_ok(), good, "{mode:o}");
    }
    chmod(&dir, 0o750);
    assert!(group_dir(&dir, uid() + 1).is_err(), "somebody else's");
    assert!(group_dir(&top.path().join("missing"), uid()).is_err(), "nobody makes it");
    chmod(top.path(), 0o777);
    assert!(group_dir(&dir, uid()).is_err(), "anybody could put another one there");
}

#[test]
fn a_client_trusts_a_folder_that_only_its_owner_decides_about() {
    let (top, dir) = run_dir();
    chmod(&dir, 0o750);
    assert_eq!(host_dir(&dir).unwrap(), uid());
    for mode in [0o770, 0o752] {
        chmod(&dir, mode);
        assert!(host_dir(&dir).is_err(), "{mode:o}");
    }
    chmod(&dir, 0o750);
    let link = top.path().join("link");
    symlink(&dir, &link).unwrap();
    assert!(host_dir(&link).is_err(), "a link");
    chmod(top.path(), 0o775);
    // A group of our own is ourselves; in a folder of somebody else's it is not.
    if uid() == 0 {
        chown(&dir, Some(4_242), None).unwrap();
        assert!(host_dir(&dir).is_err(), "a group above could put another one there");
        chmod(top.path(), 0o755);
        assert_eq!(host_dir(&dir).unwrap(), 4_242, "root above is trusted");
    }
}

#[test]
fn a_passphrase_is_one_line_that_nobody_else_can_read() {
    let (_top, dir) = run_dir();
    chmod(&dir, 0o700);
    let file = dir.join("passphrase");
    fs::write(&file, "seven green boats\n").unwrap();
    for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
        chmod(&file, mode);
        let read = secret_file(&file, uid());
        assert_eq!(read.is_ok(), good, "{mode:o}");
        if let Ok(secret) = read {
            assert_eq!(secret.expose(), "seven green boats");
        }
    }
    chmod(&file, 0o600);
    for bad in [String::new(), "\n".into(), "two\nlines".into(), "x".repeat(SECRET_BYTES_MAX + 1)] {
        fs::write(&file, bad).unwrap();
        let words = secret_file(&file, uid()).unwrap_err().to_string();
        assert!(words.ends_with("is not one line of text with at most 4096 bytes"), "{words}");
    }
    let link = dir.join("link");
    symlink(&file, &link).unwrap();
    assert!(secret_file(&link, uid()).is_err(), "a link");
    assert!(secret_file(&dir.join("missing"), uid()).is_err());
    if uid() == 0 {
        // As systemd lends it: root's, and the engine's user reads it by an access control list.
        fs::write(&file, "lent").unwrap();
        chmod(&file, 0o440);
        chown(&dir, Some(4_242), None).unwrap();
        assert_eq!(secret_file(&file, 4_242).unwrap().expose(), "lent");
    }
}

#[tokio::test]
async fn the_engine_of_a_host_is_told_no_other_places() {
    for flag in [&["--config", "/x"][..], &["--state-dir", "/x"], &["--personal"]] {
        let ran = usual().run(&[&["engine", "--system"], flag].concat()).await;
        assert_eq!(ran.code, 2, "{ran}");
        let words = format!("{ran}");
        assert!(words.contains(&format!("`{}` and `--system`", flag[0])), "{words}");
    }
    let ran = usual().run(&["engine", "--system", "stop"]).await;
    assert_eq!(ran.code, 2, "{ran}");
}

#[test]
fn the_unit_gives_the_engine_what_it_needs() {
    let unit = include_str!("../../assets/systemd/breakglass.service");
    for line in [
        "Type=notify",
        "ExecStart=/usr/bin/breakglass engine --system",
        "StateDirectoryMode=0700",
        "RuntimeDirectoryMode=0750",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "LoadCredential=vault-passphrase:/etc/breakglass/vault-passphrase",
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
    let set = |key: &str| unit.lines().any(|line| line.starts_with(key));
    assert!(!set("PrivateUsers=") && !set("ProtectProc="), "then nobody could be told apart");
}
