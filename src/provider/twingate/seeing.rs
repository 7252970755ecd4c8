//! Sees what can be done in a network, ability by ability, and cheaply how it does.

use super::Twingate;
use super::api::{Caller, Change, Named, Rank, Trouble};
use super::objects::the_group;
use crate::domain::artifact::Marker;
use crate::domain::probe::Probe;
use crate::domain::provider::{Health, Validation};
use crate::domain::text::counted;
use crate::domain::time::Timestamp;
use crate::domain::twingate::TwingateSetup;
use crate::provider::checks::Checks;
use crate::provider::{Says, UNHEARD};

impl Twingate {
    /// Looks at everything that a session will need, in the order in which it needs it. What comes
    /// after something that is missing is not looked at.
    pub(super) async fn abilities(&self, now: Timestamp) -> Validation {
        self.seen(None, now).await
    }

    /// The same, but that a canary shows what can only be inferred: it is made, and taken away again.
    pub(super) async fn canary(&self, mark: &Marker, now: Timestamp) -> Validation {
        self.seen(Some(mark), now).await
    }

    async fn seen(&self, canary: Option<&Marker>, now: Timestamp) -> Validation {
        let mut checks = Checks::start();
        if let Some(setup) = &self.setup {
            self.look_at_all(setup, canary, &mut checks).await.ok();
        }
        // The network tells nobody when a key ends.
        Validation { probe: Probe { at: now, checks: checks.into_list() }, key_expires_at: None }
    }

    async fn look_at_all(
        &self,
        setup: &TwingateSetup,
        canary: Option<&Marker>,
        checks: &mut Checks,
    ) -> Result<(), ()> {
        let here = self.client(setup.data_path).await;
        let missing_here = checks.note(CLIENT, here).is_err();
        let caller = match self.any_caller(setup, Rank::Session).await {
            Ok(caller) => caller,
            Err(why) => return checks.note(NETWORK, Err(why)),
        };
        look_at_reading(&caller, setup, checks).await?;
        if let Some(mark) = canary {
            make_and_take(&caller, &mark.to_string(), checks).await?;
        } else {
            checks.note(WRITE, likely(caller.may_write().await))?;
            checks.note(PROVISION, likely(caller.may_provision().await))?;
        }
        if missing_here { Err(()) } else { Ok(()) }
    }

    /// Sees how it does: whether the network answers and the key is taken.
    pub(super) async fn health(&self) -> Health {
        let Some(setup) = &self.setup else {
            return Health::Down { why: "it is not in the configuration".to_owned() };
        };
        let caller = match self.any_caller(setup, Rank::Watch).await {
            Ok(caller) => caller,
            Err(why) => return Health::Down { why },
        };
        match caller.glance().await {
            Ok(_) if !self.is_way_there(setup.data_path).await => Health::Degraded {
                why: "the client of this host is off; see `twingate status`".to_owned(),
            },
            Ok(_) => match clock(&caller) {
                Some(why) => Health::Degraded { why },
                None => Health::Healthy,
            },
            // It does what it should: it is only asked too often.
            Err(why @ Trouble::Busy { .. }) => Health::Degraded { why: why.to_string() },
            Err(why) => Health::Down { why: why.to_string() },
        }
    }

    pub(super) async fn any_caller(
        &self,
        setup: &TwingateSetup,
        rank: Rank,
    ) -> Result<Caller, String> {
        Ok(self.api_of(&setup.network).await?.caller(rank, Says::clone(&UNHEARD)))
    }
}

/// What needs no more than to read: the network, the key, the group.
async fn look_at_reading(
    caller: &Caller,
    setup: &TwingateSetup,
    checks: &mut Checks,
) -> Result<(), ()> {
    let seen = caller.glance().await.map_err(|why| why.to_string());
    let seen = seen.map(|count| {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        format!("`{}` answers, and has {}", setup.network.host(), counted(count, "remote network"))
    });
    checks.note(NETWORK, seen)?;
    if let Some(why) = clock(caller) {
        checks.also(CLOCK, Err(why));
    }
    let group = the_group(caller, &setup.group).await;
    let is_empty = group.as_ref().is_ok_and(|group| group.members == 0);
    checks.note(
        GROUP,
        group.map(|group| format!("`{}`, {} in it", setup.group, people(group.members))),
    )?;
    if is_empty {
        checks
            .also(MEMBERS, Err("nobody is in the group, so nobody could use a session".to_owned()));
    }
    Ok(())
}

/// Makes a remote network, a connector and its tokens, and takes away what was made, whatever came of
/// the rest.
async fn make_and_take(caller: &Caller, name: &str, checks: &mut Checks) -> Result<(), ()> {
    let made = caller.create_network(name).await;
    let known = id_of(&made, caller.networks_named(name), |it| it.id).await;
    let mut well = checks.note(WRITE, could(made, "a remote network was made"));
    let Some(network) = known else { return well };
    let made = caller.create_connector(&network, name).await;
    let known = id_of(&made, caller.connectors_named(name), |it| it.id).await;
    well = checks.note(CONNECTOR, could(made, "a connector was made")).and(well);
    if let Some(connector) = known {
        let tokens = caller.generate_tokens(&connector).await;
        well = checks.note(PROVISION, could(tokens, "it was given tokens")).and(well);
        let taken = gone(CONNECTOR, caller.delete_connector(&connector).await);
        well = checks.note(TAKEN, taken).and(well);
    }
    let taken = gone("remote network", caller.delete_network(&network).await);
    checks.note(TAKEN, taken).and(well)
}

/// The id of what was made; where nobody saw that, it is looked for by its name.
async fn id_of<T>(
    made: &Change<Named>,
    named: impl Future<Output = Result<Vec<T>, Trouble>>,
    id: fn(T) -> String,
) -> Option<String> {
    match made {
        Change::Made(it) => Some(it.id.clone()),
        Change::Refused(_) => None,
        Change::Unknown(_) => named.await.ok()?.into_iter().next().map(id),
    }
}

fn could<T>(change: Change<T>, what: &str) -> Result<String, String> {
    match change {
        Change::Made(_) => Ok(what.to_owned()),
        Change::Refused(why) | Change::Unknown(why) => Err(why.to_string()),
    }
}

fn gone(what: &str, change: Change<()>) -> Result<String, String> {
    match change {
        Change::Made(()) => Ok(format!("the {what} is gone again")),
        Change::Refused(why) | Change::Unknown(why) => {
            Err(format!("the {what} may still be there: {why}; `breakglass sweep` finds it"))
        }
    }
}

fn likely(may: Result<(), Trouble>) -> Result<String, String> {
    may.map(|()| LIKELY.to_owned()).map_err(|why| why.to_string())
}

fn people(count: u64) -> String {
    if count == 1 { "1 person".to_owned() } else { format!("{count} people") }
}

/// What is wrong with a clock, where connectors and the network would disagree about it.
fn clock(caller: &Caller) -> Option<String> {
    let ahead = caller.api().clock_ahead_millis()?;
    let seconds = ahead.unsigned_abs() / 1_000;
    let which = if ahead > 0 { "ahead of" } else { "behind" };
    Some(format!(
        "this host's clock is {seconds} s {which} the network's; a connector that is more than 5 s off is \
         turned away, so see that NTP runs here and in the sites"
    ))
}

const CLIENT: &str = "this side";
const NETWORK: &str = "network and key";
const CLOCK: &str = "clock";
const GROUP: &str = "group";
const MEMBERS: &str = "members";
const WRITE: &str = "write";
const CONNECTOR: &str = "connector";
const PROVISION: &str = "provision";
const TAKEN: &str = "taken away";
const LIKELY: &str = "likely: the network does not say what a key may do, and a thing that cannot exist was \
                      not refused; `--deep` makes one and takes it away";
