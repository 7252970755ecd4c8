//! Providers, looked after from the screens.

use breakglass::domain::provider::ProviderSetup;
use breakglass::domain::role::Role;
use breakglass::domain::twingate::ClientPath;
use breakglass::protocol::{Command, Kept, Reply, Save, SweepView, ValidationView};
use breakglass::tui::input::Input;
use breakglass::tui::keymap::Key;
use breakglass::tui::msg::Msg;

use crate::tui_models::Stage;
use crate::tui_scenes_providers::{
    failing, left, limited, network, snapshot_of, snapshot_of_network,
};
use crate::tui_walk::Walk;

const KEY: &str = "-----BEGIN KEY-----\nvole-canary\n-----END KEY-----\n";

fn kept(kept: Option<Kept>) -> Reply {
    let validation = if kept == Some(Kept::AsAsked) { limited() } else { failing() };
    Reply::Validation(Box::new(ValidationView { validation, kept }))
}

fn at_providers() -> Walk {
    Walk::at(snapshot_of(Role::Admin), (100, 30), true)
}

#[tokio::test]
async fn a_bastion_is_added_once_it_works_or_kept_switched_off() {
    let mut walk = at_providers();
    walk.sees("orders-db").await.types("1").sees("bastion").await.types("a");
    walk.sees("Add a provider").await.types("bastion-us").key(Key::Tab).key(Key::Tab);
    walk.types("bad host").key(Key::Enter).sees("is no host or user for ssh").await;
    for _ in 0..8 {
        walk.key(Key::Backspace);
    }
    walk.types("edge").key(Key::Enter);
    let asked = walk.answers(Ok(kept(None))).await;
    let Command::PutProvider { settings, key, save } = asked else { panic!("{asked:?}") };
    let ProviderSetup::Ssh(setup) = &settings.setup else { panic!("{settings:?}") };
    assert_eq!(setup.destination.to_string(), "edge");
    assert_eq!((settings.id.as_str(), key, save), ("bastion-us", None, Save::WhenHealthy));
    walk.sees("something that is needed is missing").await.sees("× sign-in").await;
    walk.key(Key::Right).key(Key::Enter);
    let asked = walk.answers(Ok(kept(Some(Kept::Disabled)))).await;
    assert!(matches!(asked, Command::PutProvider { save: Save::Disabled, .. }), "{asked:?}");
    walk.sees("bastion-us is saved, and switched off until it works").await;
}

#[tokio::test]
async fn a_network_is_added_with_the_fields_that_it_needs() {
    let mut walk = Walk::at(snapshot_of_network(), (100, 30), true);
    walk.sees("No session yet").await.types("1").sees("acme-twingate").await.types("a");
    walk.sees("Add a provider").await.types("tg-eu").key(Key::Tab).key(Key::Right);
    walk.sees("router tag").await.key(Key::Right).sees("reached by").await.key(Key::Tab);
    walk.types("acme.eu").key(Key::Tab).types("On call").key(Key::Tab).key(Key::Tab);
    walk.types("127.0.0.1:8080").key(Key::Enter).sees("`acme.eu` is no name of a network").await;
    walk.key(Key::Backspace).key(Key::Backspace).key(Key::Backspace).key(Key::Enter);
    walk.sees("nothing goes over a proxy by the host's client").await.key(Key::BackTab);
    walk.key(Key::Right).key(Key::Tab).key(Key::Tab).key(Key::Tab).types("vole-canary");
    walk.sees("●●●").await.key(Key::Enter);
    let asked = walk.answers(Ok(kept(Some(Kept::AsAsked)))).await;
    let Command::PutProvider { settings, key, .. } = asked else { panic!("{asked:?}") };
    let ProviderSetup::Twingate(setup) = &settings.setup else { panic!("{settings:?}") };
    assert_eq!(
        (setup.network.as_str(), setup.group.as_str(), setup.data_path),
        ("acme", "On call", ClientPath::Proxy("127.0.0.1:8080".parse().unwrap()))
    );
    assert_eq!(key.unwrap().expose(), "vole-canary");
    walk.sees("tg-eu is saved").await;
}

#[tokio::test]
async fn a_network_that_is_there_keeps_what_its_form_does_not_change() {
    let mut walk = Walk::at(snapshot_of_network(), (100, 30), true);
    walk.sees("No session yet").await.types("1").sees("acme-twingate").await.key(Key::Down);
    walk.types("e").sees("reached by").await.key(Key::Enter);
    let asked = walk.answers(Ok(kept(Some(Kept::AsAsked)))).await;
    let Command::PutProvider { settings, key, .. } = asked else { panic!("{asked:?}") };
    assert_eq!((Some(*settings), key), (network().settings, None));
}

#[tokio::test]
async fn a_canary_is_made_once_somebody_has_read_what_it_is_and_agreed() {
    let mut walk = Walk::at(snapshot_of_network(), (100, 30), true);
    walk.sees("No session yet").await.types("1").sees("acme-twingate").await;
    walk.types("V").sees("direct has no deep check: c shows all there is").await;
    walk.key(Key::Down).types("V").sees("Make a canary at acme-twingate?").await;
    walk.sees("taken away at once").await.key(Key::Right).key(Key::Enter);
    let asked = walk.answers(Ok(kept(Some(Kept::AsAsked)))).await;
    let provider = network().id;
    assert_eq!(asked, Command::ValidateProvider { provider, deep: true });
    walk.sees("acme-twingate works").await;
}

#[tokio::test]
async fn a_new_key_is_pasted_whole_and_never_shown() {
    let mut walk = at_providers();
    walk.sees("orders-db").await.types("1").sees("bastion").await.key(Key::Down).types("K");
    walk.sees("A new key for bastion")
        .await
        .input(Input::Msg(Msg::Paste(KEY.to_owned())))
        .sees("●●●")
        .await
        .key(Key::Enter);
    let asked = walk.answers(Ok(kept(None))).await;
    let Command::RotateKey { provider, key } = asked else { panic!("{asked:?}") };
    assert_eq!((provider.as_str(), key.expose()), ("bastion", KEY));
    walk.sees("The old key stays").await.key(Key::Enter);
    walk.answers(Ok(kept(Some(Kept::AsAsked)))).await;
    walk.sees("bastion has its new key; 1 limit: enter shows").await;
    let stage = Stage::attached(snapshot_of(Role::Admin)).types("1").key(Key::Down).types("K");
    let stage = stage.then(Msg::Paste(KEY.into()));
    assert!(!format!("{:?}", stage.model).contains("vole"));
}

#[tokio::test]
async fn what_was_left_behind_is_shown_and_removed_on_demand() {
    let mut walk = at_providers();
    walk.sees("orders-db").await.types("1").sees("bastion").await.types("S");
    let asked = walk.answers(Ok(Reply::Sweep(left(None)))).await;
    assert_eq!(asked, Command::Sweep { apply: false, also_unexpired: false });
    walk.sees("2 things of this installation").await.sees("nobody could look at site acme").await;
    walk.types("D").sees("Remove 2 things?").await.key(Key::Right).key(Key::Enter);
    let asked = walk.answers(Ok(Reply::Sweep(left(Some(Ok(())))))).await;
    assert_eq!(asked, Command::Sweep { apply: true, also_unexpired: false });
    walk.sees("2 things removed and seen gone").await.key(Key::Esc).types("S");
    walk.answers(Ok(Reply::Sweep(SweepView::default()))).await;
    walk.sees("nothing is left that belongs to no session").await;
}

#[tokio::test]
async fn a_member_looks_and_changes_nothing() {
    let walk = Walk::at(snapshot_of(Role::Member), (100, 30), true);
    walk.sees("orders-db").await.types("1").sees("bastion").await.key(Key::Down);
    for key in ["a", "e", "K", "D", "S", "t", "V"] {
        walk.types(key).sees("change providers").await.key(Key::Esc);
    }
}

#[tokio::test]
async fn a_vault_key_for_another_host_is_asked_for_in_its_field() {
    let walk = at_providers();
    walk.sees("orders-db").await.types("1").sees("bastion").await.key(Key::Down).types("e");
    walk.sees("vault key").await.sees("identity").await.key(Key::Tab).key(Key::Tab);
    walk.types("x").key(Key::Enter).sees("the vault key is bound to the host").await;
}

#[tokio::test]
async fn a_key_for_the_other_product_is_refused_in_its_field_before_anything_is_sent() {
    let mut walk = at_providers();
    walk.sees("orders-db").await.types("1").sees("bastion").await.types("a");
    walk.sees("Add a provider").await.types("net").key(Key::Tab).key(Key::Right);
    walk.sees("router tag").await.key(Key::Enter).sees("a tailnet needs a key of its API").await;
    walk.types("hskey-api-vole").sees("●●●").await.key(Key::Enter);
    walk.sees("no server of one is given").await;
    assert!(!walk.screen().contains("vole"));
    for _ in 0.."hskey-api-vole".len() {
        walk.key(Key::Backspace);
    }
    walk.types("tskey-api-vole").key(Key::Enter);
    let asked = walk.answers(Ok(kept(Some(Kept::AsAsked)))).await;
    let Command::PutProvider { key, .. } = asked else { panic!("{asked:?}") };
    assert_eq!(key.unwrap().expose(), "tskey-api-vole");
}
