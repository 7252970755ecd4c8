//! A tailnet of our own: Tailscale's API v2 with a memory, or Headscale's v1 over the same memory.
//!
//! [`Tailnet`] is pure: it has no clock and no socket. Time comes through `advance`, calls through
//! [`Model`], and what nodes do through `join`, `advertise`, `go_offline`, `go_online` and `leave`.
//! [`TailnetServer`] puts it on loopback; [`FaultyServer`](super::faulty_server::FaultyServer) does
//! too, and fails calls. Every call and every answer is held against our own extract of the vendor's
//! interface (`tests/it/tailnet_interface`); what does not fit is kept as a violation.

pub mod around;
mod credentials;
pub mod desk;
mod devices;
mod headscale;
mod headscale_shapes;
mod hujson;
mod interface;
mod keys;
pub mod node;
mod policy;
mod rules;
mod v2;

use std::sync::{Arc, Mutex};

use breakglass::domain::time::{Span, Timestamp};

pub use devices::{Carrier, Refusal};
pub use headscale::HeadscaleVersion;
pub use interface::Interface;

use super::faulty_server::{HttpAnswer, HttpCall, Model};
pub use super::mishap::{Mishap, Odd};
use super::mishap::{http_date, take};
use super::model_server::{Held, ModelServer};
use credentials::Minted;
use devices::Device;
use headscale::Headscale;
use keys::Key;
use policy::Policy;

/// A tailnet on loopback; it ends when it is dropped, and then complains of what did not fit.
pub type TailnetServer = ModelServer<Tailnet>;

/// A tailnet that several hold: the one that serves it, and the test that plays its nodes.
pub type SharedTailnet = Arc<Mutex<Tailnet>>;

/// What a tailnet is set to, and what its vendor is known to do.
#[derive(Clone, Debug)]
pub struct Switches {
    /// A device that joins waits to be let in, unless its key lets it in.
    pub approval_on: bool,
    /// The policy file is kept elsewhere: the flag and the link that say so.
    pub policy_kept_at: Option<String>,
    /// Whoever joins is not signed.
    pub lock_on: bool,
    /// Devices have `""` where a time would be.
    pub empty_times: bool,
    /// A list of keys says their ids only.
    pub lists_ids_only: bool,
    /// The answer that mints a token says its tags.
    pub tells_tags: bool,
    /// A policy file that begins with a comment is not understood when it is validated, except
    /// with the media type of HuJSON; or not even then.
    pub comment_trap: CommentTrap,
    /// What a valid policy file is warned of: whom, and why.
    pub warnings: Vec<(String, String)>,
    /// No rule of the policy file lets this side's node reach a router, so it sees none.
    pub hides_routers: bool,
    /// So many seconds the header `Date` is ahead.
    pub date_skew_seconds: i64,
    /// How long an ephemeral device stays after it was last seen; 30 to 60 minutes.
    pub ephemeral_lag: Span,
    /// How long after it joined a device is listed; asked for by its id it is known at once.
    pub devices_listed_after: Span,
}

/// When a comment in the first line is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommentTrap {
    Never,
    InJson,
    Always,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            approval_on: false,
            policy_kept_at: None,
            lock_on: false,
            empty_times: false,
            lists_ids_only: false,
            tells_tags: true,
            comment_trap: CommentTrap::InJson,
            warnings: vec![],
            hides_routers: false,
            date_skew_seconds: 0,
            ephemeral_lag: Span::from_minutes(45),
            devices_listed_after: Span::ZERO,
        }
    }
}

/// A tailnet.
#[derive(Clone)]
pub struct Tailnet {
    pub switches: Switches,
    now: Timestamp,
    serial: u64,
    keys: Vec<Key>,
    minted: Vec<Minted>,
    devices: Vec<Device>,
    policy: Policy,
    headscale: Option<Headscale>,
    interface: Arc<Interface>,
    /// When the next change lands, and from when on it is listed.
    next: (Timestamp, Timestamp),
    late: Vec<(Timestamp, HttpCall)>,
    is_landing: bool,
    mishaps: Vec<Mishap>,
    calls: Vec<HttpCall>,
    violations: Vec<String>,
    /// What was there when the test began.
    before: Vec<String>,
}

impl Tailnet {
    /// Tailscale's, with nothing in it but its default policy file.
    pub fn new(now: Timestamp) -> Self {
        let mut made = Self {
            switches: Switches::default(),
            now,
            serial: 0,
            keys: vec![],
            minted: vec![],
            devices: vec![],
            policy: Policy::untouched(),
            headscale: None,
            interface: Arc::new(Interface::tailscale()),
            next: Default::default(),
            late: vec![],
            is_landing: false,
            mishaps: vec![],
            calls: vec![],
            violations: vec![],
            before: vec![],
        };
        made.settle();
        made
    }

    /// Headscale's of that version, with a user of the name `breakglass`.
    pub fn headscale(now: Timestamp, version: HeadscaleVersion) -> Self {
        let mut made = Self::new(now);
        made.switches.ephemeral_lag = Span::from_minutes(30);
        made.headscale = Some(Headscale::new(version));
        made.interface = Arc::new(Interface::headscale());
        made
    }

    /// For several to hold.
    pub fn shared(self) -> SharedTailnet {
        Arc::new(Mutex::new(self))
    }

    /// What there is now belongs here: `left` does not count it.
    pub fn settle(&mut self) {
        self.before = self.inventory();
    }

    /// Makes something go wrong.
    pub fn mishap(&mut self, mishap: Mishap) {
        self.mishaps.push(mishap);
    }

    /// All calls so far.
    pub fn calls(&self) -> &[HttpCall] {
        &self.calls
    }

    /// How many calls there were with that method, in whose path this part stands.
    pub fn count(&self, method: &str, part: &str) -> usize {
        let fits = |call: &&HttpCall| call.method == method && call.path.contains(part);
        self.calls.iter().filter(fits).count()
    }

    /// What did not fit the extract, and forgets it.
    pub fn take_violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }

    /// What time it is here.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    fn serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn inventory(&self) -> Vec<String> {
        let keys = self.keys.iter().filter(|key| key.joins_devices() && !key.is_invalid(self.now));
        let keys = keys.map(|key| format!("key {}", key.id));
        let devices = self.devices.iter().map(|device| format!("device {}", device.node_id));
        let routes = self.devices.iter().flat_map(|device| {
            device.enabled.iter().map(|route| format!("route {route} of {}", device.node_id))
        });
        let policy = format!("policy file {}", self.policy.etag());
        keys.chain(devices).chain(routes).chain([policy]).collect()
    }

    fn dispatch(&mut self, call: &HttpCall) -> HttpAnswer {
        match self.headscale {
            Some(_) => self.serve_headscale(call),
            None => self.serve_v2(call),
        }
    }

    /// Carries a call out, now or later.
    fn carry_out(&mut self, call: &HttpCall) -> HttpAnswer {
        let changes = call.method != "GET" && !call.path.ends_with("/oauth/token");
        if changes && self.now < self.next.0 {
            self.late.push((self.next.0, call.clone()));
            return HttpAnswer::problem(504, "it takes longer");
        }
        self.dispatch(call)
    }

    fn land(&mut self, until: Timestamp) {
        self.is_landing = true;
        let (due, late) =
            std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= until);
        self.late = late;
        let due: Vec<(Timestamp, HttpCall)> = due;
        for (_, call) in due {
            self.dispatch(&call);
        }
        self.is_landing = false;
    }
}

impl Model for Tailnet {
    fn serve(&mut self, call: &HttpCall) -> (u16, String) {
        let answer = self.answer(call);
        (answer.status, answer.body)
    }

    fn answer(&mut self, call: &HttpCall) -> HttpAnswer {
        self.calls.push(call.clone());
        let interface = Arc::clone(&self.interface);
        self.violations.extend(interface.check_call(call));
        let odd = take(&mut self.mishaps, &call.method, &call.path);
        let answer = if odd.as_ref().is_none_or(Odd::is_done) {
            let is_late = self.now < self.next.0;
            let answer = self.carry_out(call);
            if !is_late {
                self.violations.extend(interface.check_answer(call, &answer));
            }
            answer
        } else {
            HttpAnswer::default()
        };
        let answer = odd.map_or(answer.clone(), |odd| odd.instead_of(answer, HttpAnswer::problem));
        let date = self.now.offset(self.switches.date_skew_seconds * 1_000);
        answer.with("date", &http_date(date))
    }

    fn left(&self) -> Vec<String> {
        let mut later = self.clone();
        later.land(Timestamp::from_millis(i64::MAX));
        let mut left = [self.inventory(), later.inventory()].concat();
        left.retain(|thing| !self.before.contains(thing));
        left.sort();
        left.dedup();
        left
    }

    fn delay(&mut self, lands_at: Timestamp, listed_at: Timestamp) {
        self.next = (lands_at, listed_at);
    }

    fn advance(&mut self, now: Timestamp) {
        self.land(now);
        self.now = now;
        self.forget_ephemeral();
    }
}

impl Held for Tailnet {
    fn take_violations(&mut self) -> Vec<String> {
        self.take_violations()
    }

    fn calls(&self) -> usize {
        self.calls.len()
    }
}
