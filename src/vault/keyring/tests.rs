//! A keyring that lies as the real ones do.

use std::collections::BTreeMap;
use std::sync::Condvar;

use super::*;

/// What the keyring is like at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Open,
    /// As gnome-keyring: a get finds nothing, a set is refused.
    Locked,
    /// Locked for one more look; then somebody typed the password.
    UnlocksAfterALook,
    /// No bus, or no service on it.
    Away,
    /// Somebody is asked for a password, and does not come.
    Asks,
    /// One more entry can be written.
    FullAfterOne,
    Full,
}

struct FakeRing {
    kept: Mutex<BTreeMap<String, Vec<u8>>>,
    mood: Mutex<Mood>,
    changed: Condvar,
    connected: Mutex<usize>,
}

impl FakeRing {
    fn new(mood: Mood) -> Arc<Self> {
        Arc::new(Self {
            kept: Mutex::default(),
            mood: Mutex::new(mood),
            changed: Condvar::new(),
            connected: Mutex::default(),
        })
    }

    fn turn(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        self.changed.notify_all();
    }

    fn users(&self) -> Vec<String> {
        self.kept.lock().unwrap().keys().cloned().collect()
    }

    fn drop_entry(&self, user: &str) {
        self.kept.lock().unwrap().remove(user).unwrap();
    }
}

struct Handle(Arc<FakeRing>);

/// The ring as vaults hold it.
struct Shared(Arc<FakeRing>);

impl Ring for Shared {
    fn connect(&self) -> Result<Box<dyn Entries>, RingError> {
        *self.0.connected.lock().unwrap() += 1;
        if *self.0.mood.lock().unwrap() == Mood::Away {
            return Err(RingError::Failed("no such file or directory".to_owned()));
        }
        Ok(Box::new(Handle(Arc::clone(&self.0))))
    }
}

impl Entries for Handle {
    fn get(&self, user: &str) -> Result<Option<Zeroizing<Vec<u8>>>, RingError> {
        let mut mood = self.0.mood.lock().unwrap();
        while *mood == Mood::Asks {
            mood = self.0.changed.wait(mood).unwrap();
        }
        match *mood {
            Mood::Locked => return Ok(None),
            Mood::UnlocksAfterALook => {
                *mood = Mood::Open;
                return Ok(None);
            }
            _ => {}
        }
        Ok(self.0.kept.lock().unwrap().get(user).cloned().map(Zeroizing::new))
    }

    fn set(&self, user: &str, bytes: &[u8]) -> Result<(), RingError> {
        let mut mood = self.0.mood.lock().unwrap();
        match *mood {
            Mood::Locked | Mood::UnlocksAfterALook => return Err(RingError::Locked),
            Mood::Full => return Err(RingError::Failed("no space".to_owned())),
            Mood::FullAfterOne => *mood = Mood::Full,
            _ => {}
        }
        self.0.kept.lock().unwrap().insert(user.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn delete(&self, user: &str) -> Result<(), RingError> {
        self.0.kept.lock().unwrap().remove(user);
        Ok(())
    }
}

fn vault_of(ring: &Arc<FakeRing>, installation: &str) -> KeyringVault {
    let installation = InstallationId::try_from(installation.to_owned()).unwrap();
    let ring = Arc::new(Shared(Arc::clone(ring)));
    KeyringVault::new(ring, installation, Cost::FLOOR, Limits::default())
}

fn vault(ring: &Arc<FakeRing>) -> KeyringVault {
    vault_of(ring, "abcdef")
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

#[tokio::test]
async fn what_is_kept_is_found_by_installation_and_name() {
    let ring = FakeRing::new(Mood::Open);
    let (one, other) = (vault(&ring), vault_of(&ring, "ghijkl"));
    assert_eq!(one.get(&name("idp")).await, Ok(None));
    one.put(&name("idp"), &secret("first")).await.unwrap();
    one.put(&name("api"), &secret("key")).await.unwrap();
    one.put(&name("idp"), &secret("second")).await.unwrap();
    assert_eq!(one.get(&name("idp")).await, Ok(Some(secret("second"))));
    assert_eq!(other.get(&name("idp")).await, Ok(None));
    assert_eq!(one.status().await.names, [name("api"), name("idp")]);
    assert_eq!(ring.users(), ["abcdef/.index", "abcdef/api", "abcdef/idp"]);
    one.remove(&name("idp")).await.unwrap();
    one.remove(&name("idp")).await.unwrap();
    assert_eq!(one.get(&name("idp")).await, Ok(None));
    assert_eq!(ring.users(), ["abcdef/.index", "abcdef/api"]);
}

#[tokio::test]
async fn a_probe_leaves_nothing() {
    let ring = FakeRing::new(Mood::Open);
    vault(&ring).probe().await.unwrap();
    assert_eq!(ring.users(), Vec::<String>::new());
}

#[tokio::test]
async fn a_locked_keyring_is_not_an_empty_one() {
    let ring = FakeRing::new(Mood::Open);
    let vault = vault(&ring);
    vault.put(&name("idp"), &secret("s")).await.unwrap();
    ring.turn(Mood::Locked);
    assert_eq!(vault.get(&name("idp")).await, Err(VaultError::Locked));
    assert_eq!(vault.get(&name("other")).await, Err(VaultError::Locked));
    assert_eq!(vault.put(&name("idp"), &secret("t")).await, Err(VaultError::Locked));
    assert_eq!(vault.remove(&name("idp")).await, Err(VaultError::Locked));
    let status = vault.status().await;
    assert_eq!((status.state, status.names), (VaultState::Locked, vec![]));
    assert_eq!(status.detail, "the keyring is locked, or not set up");
    ring.turn(Mood::Open);
    assert_eq!(vault.get(&name("idp")).await, Ok(Some(secret("s"))));
    assert_eq!(vault.status().await.names, [name("idp")]);
}

#[tokio::test]
async fn no_name_is_lost_where_somebody_unlocks_between_two_looks() {
    let ring = FakeRing::new(Mood::Open);
    let vault = vault(&ring);
    vault.put(&name("idp"), &secret("s")).await.unwrap();
    ring.turn(Mood::UnlocksAfterALook);
    vault.put(&name("api"), &secret("k")).await.unwrap();
    assert_eq!(vault.status().await.names, [name("api"), name("idp")]);
}

#[tokio::test]
async fn a_name_without_its_entry_is_locked_and_can_be_put_again() {
    let ring = FakeRing::new(Mood::Open);
    let vault = vault(&ring);
    vault.put(&name("idp"), &secret("s")).await.unwrap();
    ring.drop_entry("abcdef/idp");
    assert_eq!(vault.get(&name("idp")).await, Err(VaultError::Locked));
    vault.put(&name("idp"), &secret("t")).await.unwrap();
    assert_eq!(vault.get(&name("idp")).await, Ok(Some(secret("t"))));
}

#[tokio::test]
async fn a_put_that_fails_half_way_put_nothing() {
    let ring = FakeRing::new(Mood::Open);
    let vault = vault(&ring);
    vault.put(&name("idp"), &secret("s")).await.unwrap();
    ring.turn(Mood::FullAfterOne);
    let full = VaultError::Unavailable("no space".to_owned());
    assert_eq!(vault.put(&name("api"), &secret("k")).await, Err(full));
    ring.turn(Mood::Open);
    assert_eq!(vault.get(&name("api")).await, Ok(None));
    assert_eq!(vault.status().await.names, [name("idp")]);
}

#[tokio::test]
async fn a_keyring_that_comes_up_late_is_found() {
    let ring = FakeRing::new(Mood::Away);
    let vault = vault(&ring);
    vault.probe().await.unwrap_err();
    assert_eq!(vault.status().await.detail, "no such file or directory");
    ring.turn(Mood::Open);
    vault.put(&name("idp"), &secret("s")).await.unwrap();
    assert_eq!(vault.status().await.state, VaultState::Open);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_keyring_that_asks_a_person_holds_one_thread_and_writes_nothing_later() {
    let ring = FakeRing::new(Mood::Asks);
    let mut vault = vault(&ring);
    let brief = Duration::from_millis(20);
    vault.limits = Limits { probe: brief, call: brief };
    let silent = VaultError::Unavailable("the keyring did not answer within 20ms".to_owned());
    assert_eq!(vault.put(&name("idp"), &secret("s")).await, Err(silent.clone()));
    assert_eq!(vault.get(&name("idp")).await, Err(silent));
    while *ring.connected.lock().unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*ring.connected.lock().unwrap(), 1);
    assert_eq!(vault.status().await.state, VaultState::Locked);
    ring.turn(Mood::Open);
    vault.limits = Limits::default();
    assert_eq!(vault.get(&name("idp")).await, Ok(None));
    assert_eq!(ring.users(), Vec::<String>::new());
}

#[tokio::test]
async fn there_is_no_passphrase_of_ours() {
    let vault = vault(&FakeRing::new(Mood::Open));
    let said = [
        vault.unlock(&secret("p")).await.unwrap_err(),
        vault.change_passphrase(&secret("p"), &secret("q")).await.unwrap_err(),
    ]
    .map(|error| error.to_string());
    insta::assert_snapshot!(said.join("\n"), @r"
    the keyring is unlocked by the desktop, not with a passphrase of ours
    the passphrase of the keyring is changed in the desktop
    ");
}
