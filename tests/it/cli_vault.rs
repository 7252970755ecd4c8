//! `breakglass vault`, as an operator sees it.

use std::os::unix::fs::PermissionsExt;

use breakglass::cli::output::Terminal;
use breakglass::domain::secret::Secret;
use breakglass::domain::vault::VaultState;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Command, Reply, SessionState, SessionView, VaultAsk};

use crate::cli_support::{Cli, World, engine, session, usual};

/// An engine that does as an Owner asks, with a vault in this state.
fn vault(state: VaultState) -> Cli {
    engine(|world: &mut World, command| match command {
        Command::Vault(VaultAsk::Export { .. }) => Ok(Reply::Sealed(Secret::new("sealed-text"))),
        Command::Vault(VaultAsk::Unlock { passphrase }) if passphrase != Secret::new("open") => {
            Err(Report::new(Kind::Denied, "the passphrase is not right"))
        }
        Command::Vault(VaultAsk::Status) => Ok(Reply::Vault(world.vault.clone())),
        Command::Vault(_) => {
            world.vault.state = VaultState::Open;
            world.vault.names = vec!["idp-entra".parse().unwrap()];
            Ok(Reply::Vault(world.vault.clone()))
        }
        other => world.usual(other),
    })
    .world(move |world| world.vault.state = state)
}

#[tokio::test]
async fn status_says_where_it_lies_and_what_is_in_it() {
    insta::assert_snapshot!(usual().run(&["vault", "status"]).await, @"
    exit 0
    out| vault      open
    out| kept in    a sealed file: /home/ana/.local/state/breakglass/vault
    out| holds      nothing
    ");
    insta::assert_snapshot!(vault(VaultState::Locked).run(&["vault", "status"]).await, @"
    exit 0
    out| vault      locked; `breakglass vault unlock` opens it
    out| kept in    a sealed file: /home/ana/.local/state/breakglass/vault
    out| holds      shown once it is open
    ");
    insta::assert_snapshot!(vault(VaultState::Absent).run(&["vault", "status"]).await, @"
    exit 0
    out| vault      not made yet; `breakglass vault unlock` makes it
    out| kept in    a sealed file: /home/ana/.local/state/breakglass/vault
    out| holds      shown once it is open
    ");
    insta::assert_snapshot!(usual().run(&["vault", "status", "--json"]).await, @r#"
    exit 0
    out| {"version":1,"vault":{"backend":"file","state":"open","detail":"/home/ana/.local/state/breakglass/vault","names":[]}}
    "#);
}

#[tokio::test]
async fn unlocking_asks_once_and_making_asks_twice() {
    let unlock = ["vault", "unlock"];
    insta::assert_snapshot!(vault(VaultState::Locked).typing(["open"]).run(&unlock).await, @"
    exit 0
    ask| Passphrase: ****
    err| the vault stays open while a session lives, and for 15m after the last command
    out| vault      open
    out| kept in    a sealed file: /home/ana/.local/state/breakglass/vault
    out| holds      idp-entra
    ");
    let made = vault(VaultState::Absent).typing(["open", "open"]).run(&unlock).await;
    insta::assert_snapshot!(made, @"
    exit 0
    err| there is no vault yet; one is made with this passphrase
    ask| Passphrase: ****
    ask| The same again: ****
    err| the vault stays open while a session lives, and for 15m after the last command
    out| vault      open
    out| kept in    a sealed file: /home/ana/.local/state/breakglass/vault
    out| holds      idp-entra
    ");
    insta::assert_snapshot!(vault(VaultState::Locked).typing(["shut"]).run(&unlock).await, @"
    exit 4
    ask| Passphrase: ****
    err| denied: the passphrase is not right
    ");
    insta::assert_snapshot!(vault(VaultState::Open).typing([]).run(&unlock).await, @"
    exit 0
    err| the vault is open already
    out| vault      open
    out| kept in    a sealed file: /home/ana/.local/state/breakglass/vault
    out| holds      nothing
    ");
    let piped = ["vault", "unlock", "--passphrase-stdin", "--json"];
    assert_eq!(vault(VaultState::Absent).piping("open\n").run(&piped).await.code, 0);
}

/// An engine that opens nothing while its vault is closed.
fn guarded(state: VaultState) -> Cli {
    engine(|world: &mut World, command| match command {
        Command::Vault(VaultAsk::Unlock { .. }) => {
            world.vault.state = VaultState::Open;
            Ok(Reply::Vault(world.vault.clone()))
        }
        Command::Vault(VaultAsk::Status) => Ok(Reply::Vault(world.vault.clone())),
        Command::Open(_) | Command::ValidateProvider { .. } | Command::Retry { .. } => {
            Err(match world.vault.state {
                VaultState::Locked => Report::new(Kind::Unavailable, "the vault is locked")
                    .because("the key of the provider `lab` lies in it")
                    .hint("breakglass vault unlock"),
                VaultState::Absent => Report::new(Kind::Unavailable, "the vault is not made yet")
                    .hint("breakglass vault unlock makes it"),
                VaultState::Open => Report::new(Kind::Denied, "asked again"),
            })
        }
        other => world.usual(other),
    })
    .world(move |world| world.vault.state = state)
}

fn owed() -> SessionView {
    session(SessionState::CleanupOwed)
}

#[tokio::test]
async fn what_is_owed_for_want_of_the_vault_is_finished_by_opening_it_first() {
    let mut view = owed();
    view.exit_card[0].tried =
        "4 times; the key of `lab` is in the locked vault: breakglass vault unlock".into();
    let ended = engine(move |world: &mut World, command| match command {
        Command::End { .. } => {
            world.put(view.clone());
            Ok(Reply::Session(Box::new(view.clone())))
        }
        other => world.usual(other),
    });
    let ran = ended.knowing([session(SessionState::Active)]).run(&["end", "5566"]).await;
    let hint = "hint: breakglass vault unlock; then breakglass retry 55667788";
    assert!(ran.to_string().contains(hint), "{ran}");
}

#[tokio::test]
async fn a_verb_that_finds_the_vault_locked_asks_for_the_passphrase_and_goes_on() {
    let open = ["open", "orders-db", "--reason", "INC-42"];
    insta::assert_snapshot!(guarded(VaultState::Locked).typing(["open"]).run(&open).await, @"
    exit 4
    err| the vault is locked, and the key of the provider `lab` lies in it
    ask| Passphrase: ****
    err| the vault stays open while a session lives, and for 15m after the last command
    err| denied: asked again
    ");
    let retry = guarded(VaultState::Locked).knowing([owed()]).typing(["open"]);
    let retry = retry.run(&["retry", "5566"]).await;
    assert!(retry.to_string().contains("ask| Passphrase: ****"), "{retry}");
    assert!(retry.to_string().ends_with("err| denied: asked again\n"), "{retry}");
    let validate = ["providers", "validate", "lab"];
    let made = guarded(VaultState::Absent).typing(["open", "open"]).run(&validate).await;
    insta::assert_snapshot!(made, @"
    exit 4
    err| the vault is not made yet
    err| there is no vault yet; one is made with this passphrase
    ask| Passphrase: ****
    ask| The same again: ****
    err| the vault stays open while a session lives, and for 15m after the last command
    err| denied: asked again
    ");
}

#[tokio::test]
async fn without_a_terminal_it_says_how_to_give_the_passphrase() {
    let open = ["open", "orders-db", "--reason", "INC-42"];
    insta::assert_snapshot!(guarded(VaultState::Locked).run(&open).await, @"
    exit 5
    err| unavailable: the vault is locked
    err|   because: the key of the provider `lab` lies in it
    err|   hint: breakglass vault unlock; without a terminal: breakglass vault unlock --passphrase-file FILE
    ");
    let validate = ["providers", "validate", "lab"];
    insta::assert_snapshot!(guarded(VaultState::Absent).run(&validate).await, @"
    exit 5
    err| unavailable: the vault is not made yet
    err|   hint: breakglass vault unlock makes it; without a terminal: breakglass vault unlock --passphrase-file FILE
    ");
}

#[tokio::test]
async fn a_passphrase_in_a_file_is_for_one_reader() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("passphrase");
    std::fs::write(&path, "open\n").unwrap();
    let mode = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let line = ["vault", "unlock", "--passphrase-file", path.to_str().unwrap()];
    mode(0o604);
    let ran = vault(VaultState::Locked).run(&line).await;
    assert!(ran.stderr().contains("(mode 604)") && ran.code == 2, "{ran}");
    mode(0o400);
    assert_eq!(vault(VaultState::Locked).run(&line).await.code, 0);
    let missing = ["vault", "unlock", "--passphrase-file", "/none/passphrase"];
    insta::assert_snapshot!(vault(VaultState::Locked).run(&missing).await, @"
    exit 2
    err| usage: cannot read `/none/passphrase`
    err|   because: No such file or directory (os error 2)
    ");
}

#[tokio::test]
async fn a_new_passphrase_takes_the_place_of_the_old_one() {
    let line = ["vault", "change-passphrase"];
    let ran = vault(VaultState::Open).typing(["old", "new", "new"]).run(&line).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    ask| Passphrase: ***
    ask| New passphrase: ***
    ask| The same again: ***
    err| the vault is sealed with the new passphrase
    out| vault      open
    out| kept in    a sealed file: /home/ana/.local/state/breakglass/vault
    out| holds      idp-entra
    ");
    let (old, new) = (Secret::new("old"), Secret::new("new"));
    let change = Command::Vault(VaultAsk::ChangePassphrase { old, new });
    assert_eq!(ran.heard, vec![change.clone()]);
    let piped = [&line[..], &["--passphrase-stdin"]].concat();
    let ran = vault(VaultState::Open).piping("old\nnew\n").run(&piped).await;
    assert_eq!(ran.heard, vec![change]);
}

#[tokio::test]
async fn an_export_is_a_new_file_of_ones_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vault.sealed");
    let line = ["vault", "export", "--out", path.to_str().unwrap()];
    let ran = vault(VaultState::Open).typing(["p", "p"]).run(&line).await;
    assert_eq!((ran.code, ran.stdout()), (0, format!("{}\n", path.display())));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "sealed-text");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!ran.to_string().contains("sealed-text"), "{ran}");

    let again = vault(VaultState::Open).typing([]).run(&line).await;
    assert!(again.stderr().starts_with("usage: there is a `") && again.heard.is_empty(), "{again}");
    let terminal = ["vault", "export", "--out", "/dev/tty"];
    insta::assert_snapshot!(vault(VaultState::Open).typing([]).run(&terminal).await, @"
    exit 2
    err| usage: there is a `/dev/tty` already
    err|   hint: name a file that is not there
    ");
    let nowhere = ["vault", "export", "--out", "/none/vault.sealed", "--passphrase-stdin"];
    insta::assert_snapshot!(vault(VaultState::Open).piping("p").run(&nowhere).await, @"
    exit 2
    err| usage: cannot write `/none/vault.sealed`
    err|   because: No such file or directory (os error 2)
    ");
}

#[tokio::test]
async fn an_import_brings_back_what_was_exported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vault.sealed");
    std::fs::write(&path, "sealed-text").unwrap();
    let line = ["vault", "import", path.to_str().unwrap()];
    let ran = vault(VaultState::Open).typing(["p"]).run(&line).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    ask| Passphrase: *
    err| what was exported is in the vault
    out| vault      open
    out| kept in    a sealed file: /home/ana/.local/state/breakglass/vault
    out| holds      idp-entra
    ");
    let (sealed, passphrase) = ("sealed-text".to_owned(), Secret::new("p"));
    assert_eq!(ran.heard, vec![Command::Vault(VaultAsk::Import { sealed, passphrase })]);
    std::fs::write(&path, b"\xff").unwrap();
    let ran = vault(VaultState::Open).typing([]).run(&line).await;
    assert!(ran.stderr().ends_with("because: it is no text, so it is no export\n"), "{ran}");
    let missing = ["vault", "import", "/none"];
    insta::assert_snapshot!(vault(VaultState::Open).typing([]).run(&missing).await, @"
    exit 2
    err| usage: cannot read `/none`
    err|   because: No such file or directory (os error 2)
    ");
}

#[tokio::test]
async fn a_hostile_detail_does_nothing_to_the_terminal() {
    let evil = usual().world(|world| world.vault.detail = "x\u{1b}[2J\u{202e}".into());
    let ran = evil.terminal(Terminal::default()).run(&["vault", "status"]).await;
    assert!(ran.stdout().contains("x<1B>[2J<202E>"), "{ran}");
}
