//! A canary: a secret that was put into a vault, and must be seen nowhere else.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use breakglass::domain::id::SecretName;
use breakglass::domain::secret::Secret;
use breakglass::vault::Vault;
use breakglass::vault::file::SealedFile;
use breakglass::vault::memory::MemoryVault;
use breakglass::vault::sealed::{Cost, SealKey, Sealed};
use rustix::process::{Pid, Signal, kill_process};

const CANARY: &str = "canary-7Qx\u{e9}tl-yellow";
const PASSPHRASE: &str = "passphrase-canary-2Wz";

/// Every way in which a secret could be written by accident.
fn sings(bytes: &[u8]) -> bool {
    use base64::Engine as _;
    let plain = [CANARY, PASSPHRASE].map(|text| text.as_bytes().to_vec());
    let coded = plain.clone().map(|text| {
        let coded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(text);
        coded.as_bytes()[..12].to_vec()
    });
    let bare = [b"yellow".to_vec(), b"canary".to_vec()];
    let all = plain.into_iter().chain(coded).chain(bare);
    all.into_iter().any(|text| bytes.windows(text.len()).any(|window| window == text))
}

fn file(dir: &Path) -> SealedFile {
    let uid = rustix::process::geteuid().as_raw();
    SealedFile::new(dir.join("vault.sealed"), uid, Cost::FLOOR, "")
}

#[test]
fn a_canary_is_heard() {
    assert!(sings(format!("x{CANARY}x").as_bytes()));
    assert!(sings(b"cGFzc3BocmFzZS1jYW5hcnktMld6"), "in base64 too");
    assert!(!sings(b"nothing of the kind"));
}

#[tokio::test]
async fn a_secret_is_seen_nowhere_but_where_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let vault = file(dir.path());
    let name: SecretName = "idp".parse().unwrap();
    let (secret, passphrase) = (Secret::new(CANARY), Secret::new(PASSPHRASE));
    let long = Secret::new(CANARY.repeat(5_000));
    let mut shown = vec![];
    let mut see = |what: &dyn std::fmt::Debug| shown.push(format!("{what:?}"));

    vault.unlock(&passphrase).await.unwrap();
    vault.put(&name, &secret).await.unwrap();
    see(&vault);
    see(&vault.status().await);
    see(&vault.get(&name).await);
    let wrong = Secret::new(format!("{PASSPHRASE} "));
    for error in [
        vault.put(&name, &long).await.unwrap_err(),
        vault.unlock(&wrong).await.unwrap_err(),
        vault.change_passphrase(&wrong, &passphrase).await.unwrap_err(),
        vault.change_passphrase(&passphrase, &Secret::new("yellow")).await.unwrap_err(),
        vault.export(&Secret::new("yellow")).await.unwrap_err(),
        vault.import(CANARY, &passphrase).await.unwrap_err(),
        file(dir.path()).get(&name).await.unwrap_err(),
    ] {
        see(&error);
        see(&error.to_string());
    }
    let exported = vault.export(&passphrase).await.unwrap();
    see(&exported);
    let sealed = Sealed::parse(&exported).unwrap();
    let key: SealKey = sealed.key(&passphrase).unwrap();
    see(&sealed);
    see(&key);
    see(&sealed.open(&key));
    let drill = MemoryVault::default();
    drill.put(&name, &secret).await.unwrap();
    see(&drill);
    see(&drill.status().await);

    for text in &shown {
        assert!(!sings(text.as_bytes()), "{text}");
    }
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        assert!(!sings(&fs::read(&path).unwrap()), "{}", path.display());
    }
}

/// The memory of a process that cannot be dumped belongs to root (`PR_SET_DUMPABLE`, prctl(2)), so
/// somebody who is not root has to run it.
#[test]
fn what_is_in_memory_is_never_dumped() {
    const NOBODY: u32 = 65_534;
    let dir = tempfile::tempdir().unwrap();
    let mut program = Path::new(env!("CARGO_BIN_EXE_breakglass")).to_owned();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let copy = dir.path().join("breakglass");
        fs::copy(&program, &copy).unwrap();
        program = copy;
    }
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    let mut command = Command::new(program);
    command.args(["demo", "--plain"]).env_clear().env("HOME", &home).env("TMPDIR", &home);
    command.env("LANG", OsStr::new("C.UTF-8")).env("TERM", "dumb").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    if is_root {
        std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let of_process = Path::new("/proc").join(child.id().to_string());
    let limits = fs::read_to_string(of_process.join("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let owner = fs::metadata(of_process.join("mem")).unwrap().uid();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert_eq!(owner, 0, "its memory belongs to root");
    assert!(line.starts_with("DRILL"), "{line}");
}
