//! A vault that is not open: said before anything is tried, and not lost again at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use breakglass::domain::secret::Secret;
use breakglass::engine::Outcome;
use breakglass::error::Report;
use breakglass::protocol::{Command, Save, SessionState, VaultAsk};
use breakglass::vault::Vault;
use breakglass::vault::file::SealedFile;
use breakglass::vault::sealed::Cost;

use crate::support::lockable::Lockable;
use crate::support::rig::{EchoTarget, Rig, open_active, request, session, until};
use crate::support::told::{There, bastion};

const PASSPHRASE: &str = "correct horse battery staple";

fn sealed(dir: &tempfile::TempDir) -> Arc<SealedFile> {
    let uid = rustix::process::getuid().as_raw();
    Arc::new(SealedFile::new(dir.path().join("vault"), uid, Cost::FLOOR, ""))
}

fn unlock() -> Command {
    Command::Vault(VaultAsk::Unlock { passphrase: Secret::new(PASSPHRASE) })
}

fn put() -> Command {
    let settings = Box::new(bastion("bastion", "edge"));
    let key = Some(Secret::new("right"));
    Command::PutProvider { settings, key, save: Save::WhenHealthy }
}

fn said(report: &Report) -> (&str, Option<&str>) {
    (&report.message, report.hint.as_deref())
}

#[tokio::test]
async fn what_needs_a_key_says_that_the_vault_is_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new();
    rig.builder = Arc::new(There::default());
    rig.vault = sealed(&dir);
    let engine = rig.start().await;
    let absent = engine.handle.call(put()).await.unwrap_err();
    let makes = "breakglass vault unlock makes it";
    assert_eq!(said(&absent), ("the vault is not made yet", Some(makes)));
    engine.handle.call(unlock()).await.unwrap();
    engine.handle.call(put()).await.unwrap();
    engine.control.stop().await;

    rig.vault = sealed(&dir);
    let engine = rig.start().await;
    let target = EchoTarget::start().await;
    let validate = Command::ValidateProvider { provider: "bastion".parse().unwrap(), deep: false };
    let open = Command::Open(request(&target.address));
    // What the configuration says is read with the first command.
    rig.reconfigure(vec![]);
    engine.handle.call(validate.clone()).await.unwrap_err();
    let off = Command::SetProviderEnabled { provider: "direct".parse().unwrap(), enabled: false };
    engine.handle.call(off).await.unwrap();
    for command in [validate.clone(), open.clone(), put()] {
        let locked = engine.handle.call(command).await.unwrap_err();
        assert_eq!(said(&locked), ("the vault is locked", Some("breakglass vault unlock")));
    }
    let locked = engine.handle.call(open.clone()).await.unwrap_err();
    assert_eq!(locked.causes, ["the key of the provider `bastion` lies in it"]);
    engine.handle.call(unlock()).await.unwrap();
    for command in [validate, open] {
        engine.handle.call(command).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_holds_an_opened_vault_stays_a_quarter_of_an_hour() {
    let dir = tempfile::tempdir().unwrap();
    let mut rig = Rig::new();
    rig.detached = true;
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    let mut engine = rig.start().await;
    let left = tokio::time::timeout(minutes(1), engine.finished()).await;
    assert_eq!(left, Ok(Outcome::Idle), "with nothing to lose it leaves soon");

    let vault = sealed(&dir);
    vault.unlock(&Secret::new(PASSPHRASE)).await.unwrap();
    rig.vault = vault;
    let mut engine = rig.start().await;
    let left = tokio::time::timeout(minutes(14), engine.finished()).await;
    assert!(left.is_err(), "what opened the vault would be gone");
    let left = tokio::time::timeout(minutes(2), engine.finished()).await;
    assert_eq!(left, Ok(Outcome::Idle));
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_cannot_work_says_that_the_vault_is_what_is_missing() {
    let (there, vault) = (There::default(), Arc::new(Lockable::default()));
    there.clings.store(true, Ordering::Relaxed);
    let mut rig = Rig::new();
    (rig.builder, rig.vault) = (Arc::new(there.clone()), vault.clone());
    let engine = rig.start().await;
    engine.handle.call(put()).await.unwrap();
    rig.reconfigure(vec![]);
    let off = Command::SetProviderEnabled { provider: "direct".parse().unwrap(), enabled: false };
    engine.handle.call(off).await.unwrap();
    let target = EchoTarget::start().await;
    let id = open_active(&engine, &target.address).await.id;
    vault.lock(true);
    let mut faces = engine.handle.subscribe().await.unwrap();
    engine.handle.call(Command::End { session: id, reason: None }).await.unwrap();
    until(&mut faces, id, SessionState::CleanupOwed).await;
    let refused = engine.handle.call(Command::Retry { session: id }).await.unwrap_err();
    assert_eq!(said(&refused), ("the vault is locked", Some("breakglass vault unlock")));
    assert_eq!(refused.causes, ["the key of the provider `bastion` lies in it"]);
    vault.lock(false);
    let tried = session(engine.handle.call(Command::Retry { session: id }).await);
    assert!(tried.exit_card[0].tried.ends_with("it is tried again now"), "{tried:?}");
    there.clings.store(false, Ordering::Relaxed);
    until(&mut faces, id, SessionState::Ended).await;
}
