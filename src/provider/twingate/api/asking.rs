//! Asking a network: in turn, at the place where its region is, with patience where a repetition
//! does no harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::budget::Kind;
use super::cloud::Cloud;
use super::documents::Deed;
use super::said::Heard;
use super::trouble::{Level, Trouble};
use super::turns::{Budgets, Rank, Turns};
use crate::domain::secret::Secret;
use crate::domain::text;
use crate::domain::time::{Span, Timestamp};
use crate::domain::twingate::NetworkName;
use crate::http::{Answer, Http, HttpError, Limits, Phase, Request};
use crate::provider::Says;
use crate::provider::change::Doubtful as _;
use crate::provider::pace::Pace;

/// One network, asked with one key.
pub struct Api {
    http: Http,
    cloud: Cloud,
    network: NetworkName,
    server: String,
    key: Secret,
    pace: Arc<dyn Pace>,
    turns: Arc<Turns>,
    /// Where the calls go, once that is known.
    region: Mutex<Option<Url>>,
    /// This host's clock minus the network's, in milliseconds, as of the last answer.
    ahead: AtomicI64,
}

/// One who asks a network, for something of a certain rank.
pub struct Caller {
    api: Arc<Api>,
    rank: Rank,
    says: Says,
}

/// Whether a request may be sent again when nobody knows what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Once, whatever happens.
    Never,
    /// It reads, or takes away: twice is as good as once.
    Safe,
}

#[derive(Serialize)]
struct Body<'a> {
    query: &'static str,
    variables: &'a Value,
}

impl Api {
    /// One for a network; nothing is sent yet.
    pub fn new(
        http: Http,
        cloud: &Cloud,
        network: &NetworkName,
        key: Secret,
        pace: Arc<dyn Pace>,
        budgets: &Budgets,
    ) -> Self {
        let server = cloud.server(network);
        Self {
            http,
            cloud: cloud.clone(),
            network: network.clone(),
            turns: budgets.of(&server),
            server,
            key: Secret::new(key.expose().trim()),
            pace,
            region: Mutex::new(None),
            ahead: AtomicI64::new(UNKNOWN),
        }
    }

    /// One who asks, of that rank; while it waits for its turn it says so.
    pub fn caller(self: &Arc<Self>, rank: Rank, says: Says) -> Caller {
        Caller { api: Arc::clone(self), rank, says }
    }

    /// What the network's clock shows, as far as that is known; else this host's.
    pub fn server_now(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::Relaxed);
        self.pace.now().offset(if ahead == UNKNOWN { 0 } else { ahead.saturating_neg() })
    }

    /// How far this host's clock is ahead of the network's, in milliseconds, where that is more than
    /// 5 s: a connector whose clock is that far off is turned away
    /// (<https://help.twingate.com/articles/4104282255>).
    pub fn clock_ahead_millis(&self) -> Option<i64> {
        let ahead = self.ahead.load(Ordering::Relaxed);
        (ahead != UNKNOWN && ahead.unsigned_abs() > SKEW_MILLIS_MAX).then_some(ahead)
    }

    /// How many changes could be made at once now.
    pub fn writes_left(&self) -> u32 {
        let left = self.turns.left(Kind::Write, self.pace.now());
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// Where the calls go. An address that did not answer is asked again the next time.
    async fn origin(&self) -> Result<Url, Trouble> {
        let mut region = self.region.lock().await;
        if let Some(known) = region.as_ref() {
            return Ok(known.clone());
        }
        let apex = self.cloud.origin(&self.network)?;
        let request = Request::head(address(&apex)?).within(LOOK_MAX);
        let found = match self.http.leads_to(request).await {
            Ok(None) => apex,
            Ok(Some((status, to))) => self.cloud.region(&self.network, &apex, status, &to)?,
            // Where its region is, it says again to whoever asks at the wrong place.
            Err(_) => apex,
        };
        *region = Some(found.clone());
        Ok(found)
    }

    async fn send(&self, origin: &Url, deed: Deed, variables: &Value) -> Result<Answer, Trouble> {
        let unsendable =
            |why: HttpError| Trouble::Unreachable { why: why.to_string(), passing: false };
        let body = Body { query: deed.document, variables };
        let request =
            Request::post(address(origin)?).header_secret(KEY_HEADER, &self.key).json(&body);
        let sent = self.http.send(request.map_err(unsendable)?).await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(why) => {
                // The region may be another by now.
                if matches!(why, HttpError::Redirected { .. }) {
                    *self.region.lock().await = None;
                }
                return Err(self.unsent(&why, deed));
            }
        };
        if let Some(date) = answer.date.filter(|_| answer.is_success()) {
            let ahead = self.pace.now().as_millis().saturating_sub(date.as_millis());
            self.ahead.store(ahead, Ordering::Relaxed);
        }
        Ok(answer)
    }

    /// Tells what never left this host, or was not taken, from what may have arrived.
    fn unsent(&self, why: &HttpError, deed: Deed) -> Trouble {
        let said = why.to_string();
        match why {
            // Some go elsewhere only after they have done what was asked.
            HttpError::Redirected { .. } if deed.needs > Level::Read => {
                self.heard(deed).unclear(said)
            }
            HttpError::Refused { .. }
            | HttpError::NoAddress { .. }
            | HttpError::Redirected { .. }
            | HttpError::TimedOut { phase: Phase::Connecting, .. } => {
                Trouble::Unreachable { why: said, passing: true }
            }
            HttpError::Broken { .. }
            | HttpError::TimedOut { .. }
            | HttpError::TooLarge { .. }
            | HttpError::NotJson { .. }
            | HttpError::Status { .. } => self.heard(deed).unclear(said),
            _ => Trouble::Unreachable { why: said, passing: false },
        }
    }

    fn heard(&self, deed: Deed) -> Heard<'_> {
        Heard { server: &self.server, deed, key: &self.key }
    }
}

/// Where questions go at a place.
fn address(origin: &Url) -> Result<Url, Trouble> {
    origin.join(PATH).map_err(|_| {
        let why = HttpError::NoUrl { text: text::shown(origin.as_str()) };
        Trouble::Unreachable { why: why.to_string(), passing: false }
    })
}

impl Caller {
    /// Whom it asks.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Asks for something.
    ///
    /// # Errors
    ///
    /// What is to be done about it, where it does not come.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        deed: Deed,
        variables: Value,
    ) -> Result<T, Trouble> {
        let read = |heard: Heard<'_>, answer: &Answer| heard.read(answer);
        self.repeat(deed, &variables, Repeat::Safe, read).await
    }

    /// Makes a change. Gives back what the answer says of what was made, if anything.
    ///
    /// # Errors
    ///
    /// What is to be done about it, where it was not made or nobody knows.
    pub(super) async fn change<T: DeserializeOwned>(
        &self,
        deed: Deed,
        variables: Value,
        repeat: Repeat,
    ) -> Result<Option<T>, Trouble> {
        let read = |heard: Heard<'_>, answer: &Answer| heard.outcome(answer);
        self.repeat(deed, &variables, repeat, read).await
    }

    /// That nobody knows what came of it.
    pub(super) fn unclear(&self, deed: Deed, why: &str) -> Trouble {
        self.api.heard(deed).unclear(why)
    }

    /// That it will not be done.
    pub(super) fn refused(&self, deed: Deed, said: String) -> Trouble {
        self.api.heard(deed).refused(said)
    }

    /// That the key may not do it.
    pub(super) fn ability(&self, deed: Deed, said: String) -> Trouble {
        self.api.heard(deed).ability(Some(said))
    }

    async fn repeat<T>(
        &self,
        deed: Deed,
        variables: &Value,
        repeat: Repeat,
        read: impl Fn(Heard<'_>, &Answer) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let mut doubt = None;
        let mut pause = FIRST_PAUSE;
        let mut left = ATTEMPTS;
        loop {
            left = left.saturating_sub(1);
            let answered = self.once(deed, variables).await;
            let why = match answered.and_then(|answer| read(self.api.heard(deed), &answer)) {
                Ok(found) => return Ok(found),
                Err(why) => why,
            };
            let wait = match &why {
                Trouble::Busy { wait, .. } => *wait,
                _ => Span::ZERO,
            };
            if wait > Span::ZERO {
                self.api.turns.close(self.api.pace.now(), wait.min(PATIENCE));
            }
            // Who was asked too often has done nothing, whatever it was asked for.
            let is_once = repeat == Repeat::Never && !matches!(why, Trouble::Busy { .. });
            let last = is_once || left == 0 || wait > PATIENCE;
            if last || !why.is_passing() {
                // What an earlier attempt may have done, a later one that never arrived does not undo.
                let settles = !why.is_passing() && !matches!(why, Trouble::Unreachable { .. });
                return Err(if settles { why } else { doubt.unwrap_or(why) });
            }
            if wait == Span::ZERO {
                self.api.pace.pause(pause).await;
            }
            if why.leaves_doubt() {
                doubt = Some(why);
            }
            pause = pause + pause;
        }
    }

    /// One attempt, in turn.
    async fn once(&self, deed: Deed, variables: &Value) -> Result<Answer, Trouble> {
        let api = &self.api;
        let origin = api.origin().await?;
        let kind = if deed.needs == Level::Read { Kind::Read } else { Kind::Write };
        api.turns.take(kind, self.rank, &*api.pace, &self.says).await;
        api.send(&origin, deed, variables).await
    }
}

/// What a client of a network allows itself.
pub const LIMITS: Limits = Limits {
    connect: Span::from_seconds(5),
    total: Span::from_seconds(30),
    bytes_max: 4 * 1024 * 1024,
};

const PATH: &str = "api/graphql/";
const KEY_HEADER: &str = "x-api-key";

/// How often something is tried that may be repeated.
const ATTEMPTS: u32 = 3;

/// What is waited after the first failure; twice that after the second.
const FIRST_PAUSE: Span = Span::from_seconds(1);

/// The longest that a network is obeyed which wants to be left alone: its own window is a minute, and
/// teardown must not stand still for as long as a broken header says.
const PATIENCE: Span = Span::from_seconds(90);

/// How long the network's own address may take to tell its region.
const LOOK_MAX: Span = Span::from_seconds(3);

/// A clock may be so far off before a connector is turned away for it.
const SKEW_MILLIS_MAX: u64 = 5_000;

const UNKNOWN: i64 = i64::MIN;
