//! The sealed file on a real disk: who may read it, what is refused, who writes when.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use breakglass::domain::id::{InstallationId, SecretName};
use breakglass::domain::secret::Secret;
use breakglass::domain::vault::{Backend, VaultState};
use breakglass::vault::choose::{VaultChoice, open_with};
use breakglass::vault::file::SealedFile;
use breakglass::vault::keyring::{Entries, Ring, RingError};
use breakglass::vault::memory::MemoryVault;
use breakglass::vault::sealed::Cost;
use breakglass::vault::{Vault, VaultError};
use tempfile::TempDir;
use tokio::task::JoinSet;
use zeroize::Zeroizing;

const PASSPHRASE: &str = "seven lamps by the harbour";
const OTHER: &str = "nine lamps by the river";

/// A directory for a vault, and whatever the vault says with the directory cut out.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("vault.sealed")
    }

    fn vault(&self) -> SealedFile {
        self.vault_of(uid())
    }

    fn vault_of(&self, uid: u32) -> SealedFile {
        SealedFile::new(self.file(), uid, Cost::FLOOR, "there is no keyring")
    }

    async fn unlocked(&self) -> SealedFile {
        let vault = self.vault();
        vault.unlock(&secret(PASSPHRASE)).await.unwrap();
        vault
    }

    fn said(&self, text: impl ToString) -> String {
        text.to_string().replace(&self.0.path().display().to_string(), "~")
    }

    fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn installation() -> InstallationId {
    InstallationId::try_from("abcdef".to_owned()).unwrap()
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

#[tokio::test]
async fn a_vault_is_absent_then_open_then_locked_for_the_next_process() {
    let place = Place::new();
    let vault = place.vault();
    assert_eq!(vault.status().await.state, VaultState::Absent);
    assert_eq!(vault.get(&name("idp")).await, Err(VaultError::Absent));
    vault.unlock(&secret(PASSPHRASE)).await.unwrap();
    vault.put(&name("idp"), &secret("s")).await.unwrap();
    vault.put(&name("api"), &secret("k")).await.unwrap();
    let status = vault.status().await;
    assert_eq!((status.backend, status.state), (Backend::File, VaultState::Open));
    assert_eq!(status.names, [name("api"), name("idp")]);
    assert_eq!(place.said(status.detail), "~/vault.sealed: there is no keyring");

    let next = place.vault();
    let status = next.status().await;
    assert_eq!((status.state, status.names), (VaultState::Locked, vec![]));
    assert_eq!(next.put(&name("idp"), &secret("t")).await, Err(VaultError::Locked));
    assert_eq!(next.unlock(&secret(OTHER)).await, Err(VaultError::Refused));
    next.unlock(&secret(PASSPHRASE)).await.unwrap();
    assert_eq!(next.get(&name("idp")).await, Ok(Some(secret("s"))));
    next.remove(&name("idp")).await.unwrap();
    next.remove(&name("idp")).await.unwrap();
    assert_eq!(next.get(&name("idp")).await, Ok(None));
    assert_eq!(vault.status().await.names, [name("api")], "the first process sees it too");
}

#[tokio::test]
async fn a_wrong_passphrase_does_not_lock_what_is_open() {
    let place = Place::new();
    let vault = place.unlocked().await;
    assert_eq!(vault.unlock(&secret(OTHER)).await, Err(VaultError::Refused));
    vault.put(&name("idp"), &secret("s")).await.unwrap();
}

#[tokio::test]
async fn a_weak_passphrase_makes_no_vault() {
    let place = Place::new();
    let refused = place.vault().unlock(&secret("short")).await.unwrap_err();
    assert!(matches!(refused, VaultError::Weak(_)), "{refused}");
    assert_eq!(place.entries(), Vec::<String>::new());
}

#[tokio::test]
async fn only_its_owner_may_read_it_and_it_is_replaced_whole() {
    let place = Place::new();
    let vault = place.unlocked().await;
    let before = inode(&place.file());
    vault.put(&name("idp"), &secret("s")).await.unwrap();
    let after = fs::metadata(place.file()).unwrap();
    assert_eq!(after.mode() & 0o7777, 0o600);
    assert_ne!(after.ino(), before, "another file, not the same one written over");
    assert_eq!(place.entries(), ["vault.sealed"]);
}

#[tokio::test]
async fn a_file_that_is_not_ours_alone_is_refused() {
    let place = Place::new();
    let vault = place.unlocked().await;
    let text = fs::read(place.file()).unwrap();
    let mut said = vec![];
    let foreign = place.vault_of(uid() + 1);
    let belongs = place.said(foreign.unlock(&secret(PASSPHRASE)).await.unwrap_err());
    let ends = format!("it belongs to uid {}, not to uid {}", uid(), uid() + 1);
    assert!(belongs.ends_with(&ends), "{belongs}");
    for mode in [0o640, 0o604, 0o602, 0o620] {
        fs::set_permissions(place.file(), Permissions::from_mode(mode)).unwrap();
        said.push(place.said(vault.put(&name("idp"), &secret("s")).await.unwrap_err()));
    }
    let status = vault.status().await;
    assert_eq!((status.state, status.names), (VaultState::Locked, vec![]));
    said.push(place.said(status.detail));
    fs::rename(place.file(), place.0.path().join("elsewhere")).unwrap();
    symlink("elsewhere", place.file()).unwrap();
    said.push(place.said(vault.get(&name("idp")).await.unwrap_err()));
    fs::remove_file(place.file()).unwrap();
    fs::create_dir(place.file()).unwrap();
    said.push(place.said(vault.unlock(&secret(PASSPHRASE)).await.unwrap_err()));
    insta::assert_snapshot!(said.join("\n"), @r"
    the vault cannot be used: `~/vault.sealed`: others may read or write it: its mode is 640, not 600
    the vault cannot be used: `~/vault.sealed`: others may read or write it: its mode is 604, not 600
    the vault cannot be used: `~/vault.sealed`: others may read or write it: its mode is 602, not 600
    the vault cannot be used: `~/vault.sealed`: others may read or write it: its mode is 620, not 600
    the vault cannot be used: `~/vault.sealed`: others may read or write it: its mode is 620, not 600
    the vault cannot be used: `~/vault.sealed`: it is a link
    the vault cannot be used: `~/vault.sealed`: it is no regular file
    ");
    assert_eq!(fs::read(place.0.path().join("elsewhere")).unwrap(), text, "left as it was");
}

#[tokio::test]
async fn a_dangling_link_is_not_written_through() {
    let place = Place::new();
    symlink("nowhere", place.file()).unwrap();
    let refused = place.vault().unlock(&secret(PASSPHRASE)).await.unwrap_err();
    assert!(place.said(refused).ends_with("`~/vault.sealed`: it is a link"));
    assert_eq!(place.entries(), ["vault.sealed"]);
}

#[tokio::test]
async fn a_changed_file_is_refused_as_a_wrong_passphrase_is() {
    let place = Place::new();
    let vault = place.unlocked().await;
    vault.put(&name("idp"), &secret("s")).await.unwrap();
    let good = fs::read(place.file()).unwrap();
    let write = |bytes: &[u8]| fs::write(place.file(), bytes).unwrap();
    for at in (good.len() - 40..good.len()).chain(40..60) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        write(&bad);
        let refused = vault.get(&name("idp")).await.unwrap_err();
        let expected = [VaultError::Refused, VaultError::Locked];
        assert!(expected.contains(&refused), "byte {at}: {refused}");
        vault.put(&name("idp"), &secret("t")).await.unwrap_err();
        assert_eq!(fs::read(place.file()).unwrap(), bad, "byte {at}: it is not written over");
    }
    write(&good);
    let again = place.unlocked().await;
    assert_eq!(again.get(&name("idp")).await, Ok(Some(secret("s"))));
}

#[tokio::test]
async fn a_file_that_is_gone_is_not_made_anew_in_silence() {
    let place = Place::new();
    let vault = place.unlocked().await;
    fs::remove_file(place.file()).unwrap();
    let gone = vault.put(&name("idp"), &secret("s")).await.unwrap_err();
    insta::assert_snapshot!(place.said(gone), @"the vault cannot be used: `~/vault.sealed`: it is gone");
    assert_eq!(vault.status().await.state, VaultState::Absent);
    assert_eq!(place.entries(), Vec::<String>::new());
}

#[tokio::test]
async fn another_passphrase_locks_every_other_process_out() {
    let place = Place::new();
    let (one, other) = (place.unlocked().await, place.unlocked().await);
    one.put(&name("idp"), &secret("s")).await.unwrap();
    let (old, new) = (secret(PASSPHRASE), secret(OTHER));
    assert_eq!(one.change_passphrase(&new, &new).await, Err(VaultError::Refused));
    let weak = one.change_passphrase(&old, &secret("short")).await.unwrap_err();
    assert!(matches!(weak, VaultError::Weak(_)), "{weak}");
    assert_eq!(other.get(&name("idp")).await, Ok(Some(secret("s"))), "nothing was changed yet");
    one.change_passphrase(&old, &new).await.unwrap();
    assert_eq!(one.get(&name("idp")).await, Ok(Some(secret("s"))));
    assert_eq!(other.get(&name("idp")).await, Err(VaultError::Locked));
    assert_eq!(other.unlock(&old).await, Err(VaultError::Refused));
    other.unlock(&new).await.unwrap();
    assert_eq!(other.get(&name("idp")).await, Ok(Some(secret("s"))));
}

#[tokio::test]
async fn what_one_vault_exports_another_takes_in() {
    let (place, there) = (Place::new(), Place::new());
    let (vault, other) = (place.unlocked().await, there.unlocked().await);
    vault.put(&name("idp"), &secret("s")).await.unwrap();
    vault.put(&name("api"), &secret("k")).await.unwrap();
    other.put(&name("idp"), &secret("old")).await.unwrap();
    other.put(&name("own"), &secret("o")).await.unwrap();
    let weak = vault.export(&secret("short")).await.unwrap_err();
    assert!(matches!(weak, VaultError::Weak(_)), "{weak}");
    let text = vault.export(&secret(OTHER)).await.unwrap();
    assert_eq!(other.import(&text, &secret(PASSPHRASE)).await, Err(VaultError::Refused));
    let cut = &text[..text.len() - 5];
    assert_eq!(other.import(cut, &secret(OTHER)).await, Err(VaultError::Refused));
    assert_eq!(other.get(&name("idp")).await, Ok(Some(secret("old"))), "nothing was taken in");
    let names = other.import(&text, &secret(OTHER)).await.unwrap();
    assert_eq!(names, [name("api"), name("idp")]);
    assert_eq!(other.get(&name("idp")).await, Ok(Some(secret("s"))));
    assert_eq!(other.get(&name("own")).await, Ok(Some(secret("o"))));
    let drill = MemoryVault::default();
    assert_eq!(drill.import(&text, &secret(OTHER)).await.unwrap(), names);
    assert_eq!(drill.get(&name("api")).await, Ok(Some(secret("k"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_where_many_write_at_once() {
    let place = Place::new();
    // Two of them share nothing but the file, as two processes do.
    let vaults = [Arc::new(place.unlocked().await), Arc::new(place.unlocked().await)];
    let mut writers = JoinSet::new();
    for n in 0..40 {
        let vault = Arc::clone(&vaults[n % 2]);
        writers.spawn(async move {
            let name = name(&format!("n{n}"));
            vault.put(&name, &secret("s")).await?;
            if n % 4 == 0 { vault.remove(&name).await } else { Ok(()) }
        });
    }
    for done in writers.join_all().await {
        done.unwrap();
    }
    for vault in vaults {
        assert_eq!(vault.status().await.names.len(), 30);
    }
    assert_eq!(place.entries(), ["vault.sealed"]);
}

#[tokio::test]
async fn a_half_written_file_is_ignored_and_taken_away() {
    let place = Place::new();
    let vault = place.unlocked().await;
    vault.put(&name("idp"), &secret("s")).await.unwrap();
    let half = place.0.path().join("vault.sealed.new");
    fs::write(&half, "breakglass-vault 1\nargon2id m=").unwrap();
    assert_eq!(vault.get(&name("idp")).await, Ok(Some(secret("s"))));
    assert!(half.exists(), "a look changes nothing");
    vault.put(&name("api"), &secret("k")).await.unwrap();
    assert_eq!(place.entries(), ["vault.sealed"]);
    symlink("/dev/null", &half).unwrap();
    let next = place.unlocked().await;
    assert_eq!(place.entries(), ["vault.sealed"]);
    assert_eq!(next.status().await.names, [name("api"), name("idp")]);
}

#[tokio::test]
async fn a_write_that_fails_leaves_the_old_file() {
    let place = Place::new();
    let vault = place.unlocked().await;
    let before = fs::read(place.file()).unwrap();
    // Not even root can put a file where a directory is.
    fs::create_dir(place.0.path().join("vault.sealed.new")).unwrap();
    vault.put(&name("idp"), &secret("s")).await.unwrap_err();
    assert_eq!(fs::read(place.file()).unwrap(), before);
    assert_eq!(vault.get(&name("idp")).await, Ok(None));
}

#[tokio::test]
async fn too_long_a_secret_is_refused() {
    let place = Place::new();
    let vault = place.unlocked().await;
    let long = vault.put(&name("idp"), &secret(&"s".repeat(65_537))).await.unwrap_err();
    insta::assert_snapshot!(long, @"a secret has at most 65536 bytes, and this one has 65537");
}

/// A keyring that works, or one that is locked.
#[derive(Clone, Default)]
struct Desk {
    locked: bool,
    kept: Arc<std::sync::Mutex<std::collections::BTreeMap<String, Vec<u8>>>>,
}

impl Ring for Desk {
    fn connect(&self) -> Result<Box<dyn Entries>, RingError> {
        Ok(Box::new(self.clone()))
    }
}

impl Entries for Desk {
    fn get(&self, user: &str) -> Result<Option<Zeroizing<Vec<u8>>>, RingError> {
        Ok(self.kept.lock().unwrap().get(user).cloned().map(Zeroizing::new))
    }

    fn set(&self, user: &str, bytes: &[u8]) -> Result<(), RingError> {
        if self.locked {
            return Err(RingError::Locked);
        }
        self.kept.lock().unwrap().insert(user.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn delete(&self, user: &str) -> Result<(), RingError> {
        self.kept.lock().unwrap().remove(user);
        Ok(())
    }
}

#[tokio::test]
async fn the_vault_says_which_it_is_and_why() {
    let place = Place::new();
    let open = Desk::default();
    let locked = Desk { locked: true, ..Desk::default() };
    let mut said = vec![];
    let mut tell = async |what: &str, choice, ring: &Desk| {
        let ring = Arc::new(ring.clone());
        let vault = open_with(ring, choice, place.file(), uid(), installation()).await;
        let status = vault.status().await;
        let (backend, state) = (status.backend, status.state);
        said.push(format!("{what}: {backend:?}, {state:?}: {}", place.said(status.detail)));
    };
    tell("auto, open keyring", VaultChoice::Auto, &open).await;
    tell("auto, locked keyring", VaultChoice::Auto, &locked).await;
    tell("locked keyring", VaultChoice::Keyring, &locked).await;
    tell("file", VaultChoice::File, &open).await;
    drop(place.unlocked().await);
    tell("auto, open keyring, sealed file", VaultChoice::Auto, &open).await;
    tell("open keyring, sealed file", VaultChoice::Keyring, &open).await;
    insta::assert_snapshot!(said.join("\n"), @r"
    auto, open keyring: Keyring, Open: the keyring of the desktop (Secret Service)
    auto, locked keyring: File, Absent: ~/vault.sealed: the keyring is not used: the keyring is locked, or not set up
    locked keyring: Keyring, Locked: the keyring is locked, or not set up
    file: File, Absent: ~/vault.sealed: the configuration says so
    auto, open keyring, sealed file: File, Locked: ~/vault.sealed: the keyring is not used, as there is a sealed file already
    open keyring, sealed file: Keyring, Open: the keyring of the desktop (Secret Service)
    ");
}
