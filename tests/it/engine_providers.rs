//! Providers are looked after: seen through before they are kept, their keys bound to a host, and
//! what they left behind found by its mark.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use breakglass::domain::id::SecretName;
use breakglass::domain::launcher::{CommandLauncher, LauncherSettings};
use breakglass::domain::provider::{ProviderSettings, ProviderSetup};
use breakglass::domain::secret::Secret;
use breakglass::domain::site::Site;
use breakglass::engine::Running;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{
    Command, Kept, ProviderView, Reply, Save, SessionState, SweepProblem, SweepView, ValidationView,
};
use tokio::sync::oneshot;

use crate::engine_launch::commands;
use crate::support::launching::Place;
use crate::support::lockable::Lockable;
use crate::support::rig::{EchoTarget, Rig, open_active, request, session, until};
use crate::support::told::{There, bastion, network};

struct House {
    rig: Rig,
    vault: Arc<Lockable>,
    there: There,
    engine: Running,
}

impl House {
    async fn new() -> Self {
        let there = There::default();
        let mut rig = Rig::new();
        rig.builder = Arc::new(there.clone());
        let vault = Arc::new(Lockable::default());
        rig.vault = vault.clone();
        let engine = rig.start().await;
        Self { rig, vault, there, engine }
    }

    async fn put(
        &self,
        settings: ProviderSettings,
        key: Option<&str>,
        save: Save,
    ) -> Result<ValidationView, Report> {
        let settings = Box::new(settings);
        let command = Command::PutProvider { settings, key: key.map(Secret::new), save };
        validation(self.engine.handle.call(command).await)
    }

    async fn rotate(&self, key: &str) -> Result<ValidationView, Report> {
        let command =
            Command::RotateKey { provider: "bastion".parse().unwrap(), key: Secret::new(key) };
        validation(self.engine.handle.call(command).await)
    }

    async fn providers(&self) -> Vec<ProviderView> {
        match self.engine.handle.call(Command::Providers).await.unwrap() {
            Reply::Providers(views) => views,
            other => panic!("{other:?}"),
        }
    }

    async fn view(&self) -> ProviderView {
        self.providers().await.into_iter().find(|it| it.id.as_str() == "bastion").unwrap()
    }

    async fn sweep(&self, apply: bool) -> SweepView {
        self.sweep_with(apply, apply).await
    }

    async fn sweep_with(&self, apply: bool, also_unexpired: bool) -> SweepView {
        let sweep = Command::Sweep { apply, also_unexpired };
        match self.engine.handle.call(sweep).await.unwrap() {
            Reply::Sweep(view) => view,
            other => panic!("{other:?}"),
        }
    }

    async fn in_vault(&self) -> Option<String> {
        let name: SecretName = "provider-bastion".parse().unwrap();
        self.rig.vault.get(&name).await.unwrap().map(|it| it.expose().to_owned())
    }

    fn audit(&self, kind: &str) -> Vec<String> {
        let events = self.rig.store.events();
        let of_kind = events.into_iter().filter(|event| event.event.kind == kind);
        of_kind.map(|event| event.event.description).collect()
    }
}

fn validation(answer: Result<Reply, Report>) -> Result<ValidationView, Report> {
    match answer? {
        Reply::Validation(view) => Ok(*view),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_does_not_work_is_kept_only_switched_off() {
    let house = House::new().await;
    *house.there.good_key.lock().unwrap() = Some("right".to_owned());
    let looked = house.put(bastion("bastion", "edge"), Some("wrong"), Save::WhenHealthy).await;
    let looked = looked.unwrap();
    assert_eq!((looked.kept, looked.validation.probe.is_healthy()), (None, false));
    assert_eq!((house.providers().await.len(), house.in_vault().await), (1, None));
    let kept = house.put(bastion("bastion", "edge"), Some("wrong"), Save::Disabled).await.unwrap();
    assert_eq!(kept.kept, Some(Kept::Disabled));
    let view = house.view().await;
    assert!(!view.enabled && view.settings.as_ref().unwrap().setup.has_key());
    assert_eq!(view.missing().collect::<Vec<_>>(), ["sign-in"]);
    assert_eq!(house.audit("provider.validation_failed").len(), 1);
    assert_eq!(house.audit("provider.added"), ["Provider bastion was added"]);
}

#[tokio::test]
async fn a_canary_is_made_only_where_it_is_asked_for_and_stands_in_the_audit_first() {
    let house = House::new().await;
    house.put(bastion("bastion", "edge"), None, Save::WhenHealthy).await.unwrap();
    house.put(network("tg", "acme"), None, Save::WhenHealthy).await.unwrap();
    let look = async |id: &str, deep| {
        let command = Command::ValidateProvider { provider: id.parse().unwrap(), deep };
        validation(house.engine.handle.call(command).await)
    };
    look("tg", false).await.unwrap();
    insta::assert_snapshot!(look("bastion", true).await.unwrap_err(), @"
    denied: `bastion` has no deep check: what can be done there is seen without making anything
      hint: breakglass providers validate bastion
    ");
    insta::assert_snapshot!(look("direct", true).await.unwrap_err(), @"
    denied: `direct` has no deep check: what can be done there is seen without making anything
      hint: breakglass providers validate direct
    ");
    insta::assert_snapshot!(look("nobody", true).await.unwrap_err(), @"
    usage: there is no provider `nobody`
      hint: breakglass providers
    ");
    assert_eq!(*house.there.canaries.lock().unwrap(), 0);
    assert!(house.audit("provider.canary_made").is_empty());
    let seen = look("tg", true).await.unwrap();
    assert_eq!(seen.validation.probe.checks.last().unwrap().name, "canary");
    let view = house.providers().await.into_iter().find(|it| it.id.as_str() == "tg").unwrap();
    assert_eq!(view.validation, Some(seen.validation), "it is what everybody sees from now on");
    let kinds: Vec<_> =
        house.rig.store.events().into_iter().map(|event| event.event.kind).collect();
    assert_eq!(kinds[kinds.len() - 2..], ["provider.canary_made", "provider.validated"]);
    house.rig.store.set_full(true);
    look("tg", true).await.unwrap_err();
    assert_eq!(*house.there.canaries.lock().unwrap(), 1, "what cannot be recorded is not made");
}

#[tokio::test]
async fn a_key_is_bound_to_the_host_that_it_was_given_for() {
    let house = House::new().await;
    house.put(bastion("bastion", "edge"), Some("right"), Save::WhenHealthy).await.unwrap();
    assert_eq!(house.in_vault().await.as_deref(), Some("for ssh edge\nright"));
    let moved = house.put(bastion("bastion", "evil"), None, Save::WhenHealthy).await.unwrap_err();
    assert_eq!(moved.message, "a key is bound to the host that it was given for");
    assert_eq!(house.in_vault().await.as_deref(), Some("for ssh edge\nright"));
    let mut renamed = bastion("bastion", "edge");
    renamed.default = false;
    house.put(renamed, None, Save::WhenHealthy).await.unwrap();
    assert_eq!(house.in_vault().await.as_deref(), Some("for ssh edge\nright"), "it stays");
    house.put(bastion("bastion", "evil"), Some("other"), Save::WhenHealthy).await.unwrap();
    assert_eq!(house.in_vault().await.as_deref(), Some("for ssh evil\nother"));
    let ProviderSetup::Ssh(setup) = house.view().await.settings.unwrap().setup else { panic!() };
    assert_eq!(setup.destination.to_string(), "evil");
}

#[tokio::test]
async fn a_new_key_is_seen_to_work_before_the_old_one_goes() {
    let house = House::new().await;
    house.put(bastion("bastion", "edge"), Some("old"), Save::WhenHealthy).await.unwrap();
    *house.there.good_key.lock().unwrap() = Some("new".to_owned());
    assert_eq!(house.rotate("wrong").await.unwrap().kept, None);
    assert_eq!(house.in_vault().await.as_deref(), Some("for ssh edge\nold"));
    assert_eq!(house.rotate("new").await.unwrap().kept, Some(Kept::AsAsked));
    assert_eq!(house.in_vault().await.as_deref(), Some("for ssh edge\nnew"));
    assert_eq!(house.audit("provider.key_rotated"), ["Provider bastion has another key"]);
    let said = format!("{:?}", house.rig.store.events());
    assert!(!said.contains("wrong") && !said.contains("\"new\""), "no key is in the audit");
}

#[tokio::test]
async fn a_key_that_worked_is_not_kept_for_what_was_changed_meanwhile() {
    let house = House::new().await;
    house.put(bastion("bastion", "edge"), Some("old"), Save::WhenHealthy).await.unwrap();
    let ((begun, has_begun), (go_on, goes_on)) = (oneshot::channel(), oneshot::channel());
    *house.there.pause.lock().unwrap() = Some((begun, goes_on));
    let meanwhile = async {
        has_begun.await.unwrap();
        let off =
            Command::SetProviderEnabled { provider: "bastion".parse().unwrap(), enabled: false };
        house.engine.handle.call(off).await.unwrap();
        go_on.send(()).unwrap();
    };
    let (rotated, ()) = tokio::join!(house.rotate("new"), meanwhile);
    assert_eq!(rotated.unwrap_err().message, "`bastion` was changed by somebody else meanwhile");
    assert_eq!(house.in_vault().await.as_deref(), Some("for ssh edge\nold"));
    assert!(!house.view().await.enabled, "and it stays off");
}

#[tokio::test]
async fn a_way_over_too_many_hosts_is_refused_before_anything_is_tried() {
    let house = House::new().await;
    let mut settings = bastion("bastion", "edge");
    let ProviderSetup::Ssh(setup) = &mut settings.setup else { panic!() };
    setup.destination.jump = vec!["hop".parse().unwrap(); 9];
    // Whoever looks at it waits for ever.
    let ((begun, _has_begun), (_go_on, goes_on)) = (oneshot::channel(), oneshot::channel());
    *house.there.pause.lock().unwrap() = Some((begun, goes_on));
    let refused = house.put(settings, None, Save::Disabled).await.unwrap_err();
    assert_eq!(refused.kind, Kind::Usage);
    assert_eq!(refused.message, "there are more than 8 hosts on the way");
    assert!(house.there.pause.lock().unwrap().is_some(), "nothing was tried");
}

#[tokio::test]
async fn a_provider_goes_with_its_key_but_not_while_it_is_used() {
    let house = House::new().await;
    house.put(bastion("bastion", "edge"), Some("right"), Save::WhenHealthy).await.unwrap();
    let remove = |id: &str| Command::RemoveProvider { provider: id.parse().unwrap() };
    let off = Command::SetProviderEnabled { provider: "direct".parse().unwrap(), enabled: false };
    house.engine.handle.call(off).await.unwrap();
    let target = EchoTarget::start().await;
    let open = session(house.engine.handle.call(Command::Open(request(&target.address))).await);
    let used = house.engine.handle.call(remove("bastion")).await.unwrap_err();
    assert_eq!(used.message, "`bastion` is used by 1 session, what is owed counted");
    let mut faces = house.engine.handle.subscribe().await.unwrap();
    let end = Command::End { session: open.id, reason: None };
    house.engine.handle.call(end).await.unwrap();
    until(&mut faces, open.id, SessionState::Ended).await;
    let kept = house.engine.handle.call(remove("direct")).await.unwrap_err();
    assert_eq!(kept.kind, Kind::Denied);
    house.engine.handle.call(remove("bastion")).await.unwrap();
    let on = Command::SetProviderEnabled { provider: "bastion".parse().unwrap(), enabled: true };
    let switched = house.engine.handle.call(on).await.unwrap_err();
    assert_eq!(switched.message, "there is no provider `bastion`");
    assert_eq!((house.providers().await.len(), house.in_vault().await), (1, None));
    assert_eq!(house.audit("provider.removed"), ["Provider bastion was removed"]);
    let gone = house.engine.handle.call(remove("bastion")).await.unwrap_err();
    assert_eq!(gone.message, "there is no provider `bastion`");
    let again = house.put(bastion("bastion", "edge"), None, Save::WhenHealthy).await.unwrap();
    assert_eq!(again.kept, Some(Kept::AsAsked), "the name is free again");
}

#[tokio::test]
async fn two_sites_with_the_same_addresses_never_share_what_cannot_tell_them_apart() {
    let there = There::default();
    let mut rig = Rig::new();
    rig.builder = Arc::new(there);
    for id in ["acme", "beta"] {
        let site = Site {
            id: id.parse().unwrap(),
            name: id.to_owned(),
            private_ranges: vec!["127.0.0.0/8".parse().unwrap()],
            providers: vec!["bastion".parse().unwrap()],
            launcher: None,
        };
        rig.catalogue.sites.insert(site.id.clone(), site);
    }
    let engine = rig.start().await;
    let settings = Box::new(bastion("bastion", "edge"));
    let put = Command::PutProvider { settings, key: None, save: Save::WhenHealthy };
    engine.handle.call(put).await.unwrap();
    let target = EchoTarget::start().await;
    let mut asked = request(&target.address);
    if let breakglass::domain::request::TargetChoice::AdHoc { site, .. } = &mut asked.target {
        *site = Some("acme".parse().unwrap());
    }
    let refused = engine.handle.call(Command::Open(asked)).await;
    let refused = refused.map(|reply| session(Ok(reply)).path).unwrap_err();
    assert_eq!(
        refused.message,
        "`bastion` cannot tell apart acme and beta: both have these addresses"
    );
}

#[tokio::test]
async fn two_providers_over_one_way_are_one_where_sites_have_the_same_addresses() {
    let there = There::default();
    let mut rig = Rig::new();
    rig.builder = Arc::new(there.clone());
    for (id, provider) in [("acme", "first"), ("beta", "second")] {
        let site = Site {
            id: id.parse().unwrap(),
            name: id.to_owned(),
            private_ranges: vec!["127.0.0.0/8".parse().unwrap()],
            providers: vec![provider.parse().unwrap()],
            launcher: None,
        };
        rig.catalogue.sites.insert(site.id.clone(), site);
    }
    let engine = rig.start().await;
    for id in ["first", "second"] {
        let settings = Box::new(bastion(id, "edge"));
        let put = Command::PutProvider { settings, key: None, save: Save::WhenHealthy };
        engine.handle.call(put).await.unwrap();
    }
    let target = EchoTarget::start().await;
    let mut asked = request(&target.address);
    if let breakglass::domain::request::TargetChoice::AdHoc { site, .. } = &mut asked.target {
        *site = Some("acme".parse().unwrap());
    }
    *there.way.lock().unwrap() = Some("the device tun9".to_owned());
    let refused = engine.handle.call(Command::Open(asked.clone())).await.unwrap_err();
    insta::assert_snapshot!(
        format!("{}; {}", refused.message, refused.hint.unwrap()),
        @"`first` cannot tell apart acme and beta: both have these addresses; give one of the two sites, in its `providers`, one that does not go over the device tun9"
    );
    *there.way.lock().unwrap() = None;
    assert!(engine.handle.call(Command::Open(asked)).await.is_ok(), "each goes its own way");
}

#[tokio::test]
async fn what_belongs_to_no_living_session_is_found_and_goes_on_demand() {
    let house = House::new().await;
    house.put(bastion("bastion", "edge"), None, Save::WhenHealthy).await.unwrap();
    let target = EchoTarget::start().await;
    let living = open_active(&house.engine, &target.address).await;
    let installation = "bcdefg";
    let ours = format!("bg-{installation}-deadbeef-7fffffff");
    let stuck = format!("bg-{installation}-deadbeef-7ffffffe");
    house.there.put(&ours);
    house.there.put(&stuck);
    house.there.put("bg-zzzzzz-deadbeef-7fffffff");
    house.there.put(&format!("bg-{installation}-{}-7fffffff", living.id.short()));
    let found = house.sweep(false).await;
    let names: Vec<_> = found.orphans.iter().map(|it| it.artifact.as_str()).collect();
    assert_eq!(names, [format!("key {stuck}"), format!("key {ours}")]);
    assert_eq!(found.orphans[0].by_hand, [format!("net delete {stuck}")]);
    assert!(found.orphans.iter().all(|it| it.removed.is_none()));
    assert_eq!(house.there.things.lock().unwrap().len(), 4, "a dry run removes nothing");
    *house.there.stuck.lock().unwrap() = Some(stuck.clone());
    let swept = house.sweep(true).await;
    let outcomes: Vec<_> = swept.orphans.iter().map(|it| it.removed.clone().unwrap()).collect();
    assert_eq!(outcomes, [Err("409: in use".to_owned()), Ok(())]);
    assert_eq!(house.there.things.lock().unwrap().len(), 3, "nothing else is touched");
    assert_eq!(house.audit("orphan.removed").len(), 2);
}

#[tokio::test]
async fn a_sweep_passes_over_a_launcher_that_can_never_list_and_names_it() {
    let commands = |list: Option<Vec<String>>| CommandLauncher {
        start: vec!["/bin/true".to_owned()],
        stop: vec!["/bin/true".to_owned()],
        look: vec!["/bin/true".to_owned()],
        logs: None,
        list,
    };
    let mut rig = Rig::new();
    for (id, list) in [("acme", None), ("beta", Some(vec!["/bin/true".to_owned()]))] {
        let site = Site {
            id: id.parse().unwrap(),
            name: id.to_owned(),
            private_ranges: vec![],
            providers: vec![],
            launcher: Some(LauncherSettings::Command(commands(list))),
        };
        rig.catalogue.sites.insert(site.id.clone(), site);
    }
    let engine = rig.start().await;
    let Reply::Sweep(swept) =
        engine.handle.call(Command::Sweep { apply: false, also_unexpired: false }).await.unwrap()
    else {
        panic!("no sweep")
    };
    let why = "cannot be listed: give it `list` in `[site.launcher]`".to_owned();
    let acme = SweepProblem { place: "site acme".to_owned(), why };
    assert_eq!(swept, SweepView { unlisted: vec![acme], ..SweepView::default() });
}

#[tokio::test]
async fn a_provider_stays_whole_while_the_vault_with_its_key_is_locked() {
    let house = House::new().await;
    house.put(bastion("bastion", "edge"), Some("right"), Save::WhenHealthy).await.unwrap();
    let (before, settings) = (house.providers().await, house.rig.kept.lock().unwrap().clone());
    let remove = || Command::RemoveProvider { provider: "bastion".parse().unwrap() };
    house.vault.lock(true);
    let refused = house.engine.handle.call(remove()).await.unwrap_err();
    assert_eq!(refused.message, "the vault is locked");
    assert_eq!(house.providers().await, before);
    assert_eq!(*house.rig.kept.lock().unwrap(), settings);
    assert!(settings.unwrap().iter().any(|it| it.id.as_str() == "bastion"));
    assert_eq!(house.audit("provider.removed"), Vec::<String>::new());
    house.vault.lock(false);
    assert_eq!(house.in_vault().await.as_deref(), Some("for ssh edge\nright"));
    house.engine.handle.call(remove()).await.unwrap();
    assert_eq!((house.providers().await.len(), house.in_vault().await), (1, None));
}

#[tokio::test]
async fn what_an_engine_with_the_same_state_may_need_stays_until_its_time_is_over() {
    let house = House::new().await;
    house.put(bastion("bastion", "edge"), None, Save::WhenHealthy).await.unwrap();
    house.there.put("bg-bcdefg-deadbeef-00000001");
    house.there.put("bg-bcdefg-deadbeef-7fffffff");
    let swept = house.sweep_with(true, false).await;
    let outcomes: Vec<_> = swept.orphans.iter().map(|it| it.removed.clone().unwrap()).collect();
    assert_eq!(outcomes[0], Ok(()));
    assert!(outcomes[1].as_ref().unwrap_err().contains("--also-unexpired"), "{outcomes:?}");
    assert_eq!(house.there.things.lock().unwrap().len(), 1);
    let swept = house.sweep_with(true, true).await;
    assert_eq!(swept.orphans[0].removed, Some(Ok(())));
}

#[tokio::test]
async fn the_same_mark_at_two_places_is_two_things() {
    let (there, place) = (There::default(), Place::new());
    let mut rig = Rig::new();
    (rig.builder, rig.launcher) = (Arc::new(there.clone()), Arc::new(place.launchers()));
    let site = Site {
        id: "acme".parse().unwrap(),
        name: "acme".to_owned(),
        private_ranges: vec![],
        providers: vec![],
        launcher: Some(commands(&place)),
    };
    rig.catalogue.sites.insert(site.id.clone(), site);
    let engine = rig.start().await;
    let house = House { rig, vault: Arc::default(), there, engine };
    for id in ["bastion", "second"] {
        house.put(bastion(id, "edge"), None, Save::WhenHealthy).await.unwrap();
    }
    let mark = "bg-bcdefg-deadbeef-00000001";
    house.there.put(mark);
    place.write(&format!("run-{mark}"), "");
    let places = |view: &SweepView| {
        let mut all: Vec<_> = view.orphans.iter().map(|it| it.place.clone()).collect();
        all.retain(|place| place != "second" && place != "bastion");
        (view.orphans.len(), all)
    };
    let found = house.sweep(false).await;
    assert_eq!(places(&found), (2, vec!["site acme".to_owned()]), "of two of a kind one says it");
    house.there.apart.store(true, Ordering::SeqCst);
    assert_eq!(house.sweep(false).await.orphans.len(), 3, "two that only have one name are two");
    house.there.apart.store(false, Ordering::SeqCst);
    let swept = house.sweep(true).await;
    assert!(swept.orphans.iter().all(|it| it.removed == Some(Ok(()))), "{swept:?}");
    assert!(!place.path(&format!("run-{mark}")).exists());
    assert_eq!(house.sweep(false).await, SweepView::default());
}

#[tokio::test]
async fn a_place_that_lists_without_end_does_not_fill_the_audit() {
    let house = House::new().await;
    house.put(bastion("bastion", "edge"), None, Save::WhenHealthy).await.unwrap();
    for number in 0..2_000 {
        house.there.put(&format!("bg-bcdefg-{number:08x}-00000001"));
    }
    let swept = house.sweep(true).await;
    assert_eq!(swept.orphans.len(), 100);
    assert_eq!(swept.problems.len(), 1);
    assert!(swept.problems[0].why.starts_with("it lists 2000 things"), "{swept:?}");
    assert_eq!(house.audit("orphan.found").len(), 101);
    assert_eq!(house.audit("orphan.removed").len(), 100);
    assert_eq!(house.there.things.lock().unwrap().len(), 1_900);
}
