//! The remote side of a drill: what exists there, and its weather.
//!
//! ```text
//! world/tailnet/device-bg-abc234-55667788-691f2a3c.json     a thing: it exists while its file does
//! world/weather/stubborn-vault                              the weather of one target: "stuck device"
//! ```
//!
//! Everything is a file of its own, replaced whole, so that it outlives the process that made it: a
//! crash leaves exactly what a crash leaves at a real provider. `rm` on a file truly removes the
//! thing, and a word written into a weather file changes the weather from the next call on.
//!
//! A thing may *land late*: its file is there, but nobody sees it before its time, and until then
//! it cannot be removed either. A thing with a deadline is gone once that has passed.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Duration, sleep};

use super::part::Part;
use super::weather::Weather;
use crate::clock;
use crate::domain::artifact::Marker;
use crate::domain::id::{ProviderId, SiteId, TargetId};
use crate::domain::target::Address;
use crate::domain::time::{Span, Timestamp};

/// How fast the remote side is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long calls take, in percent of what is usual: 0.15 to 1.8 s.
    pub percent: u32,
    /// How long a call is waited for.
    pub timeout: Span,
    /// How long after it was sent a change may still land. Longer than the timeout: after a crash
    /// nobody knows more than that it was sent.
    pub settle: Span,
}

impl Pace {
    /// As fast as real providers are.
    pub const LIFELIKE: Self =
        Self { percent: 100, timeout: Span::from_seconds(6), settle: Span::from_seconds(8) };

    /// When what lands late does: once nobody waits for an answer, and before all has settled.
    pub(super) const fn late(self) -> Span {
        Span::from_millis(u64::midpoint(self.timeout.as_millis(), self.settle.as_millis()))
    }
}

/// The remote side of a drill.
#[derive(Debug)]
pub struct World {
    dir: PathBuf,
    pace: Pace,
    dice: AtomicU64,
    hurried: watch::Sender<bool>,
}

/// A thing that exists at the remote side, as its file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Thing {
    pub what: String,
    pub marker: Marker,
    pub target: TargetId,
    pub site: Option<SiteId>,
    pub address: Address,
    /// From when on it can be seen.
    pub lands_at: Timestamp,
    /// When it goes by itself.
    pub ends_at: Option<Timestamp>,
}

impl World {
    /// Makes the remote side in a directory, or takes up the one that is there.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made.
    pub fn open(dir: &Path, seed: u64, pace: Pace) -> io::Result<Self> {
        fs::create_dir_all(dir.join(WEATHER))?;
        let (hurried, _) = watch::channel(false);
        Ok(Self { dir: dir.to_owned(), pace, dice: AtomicU64::new(seed), hurried })
    }

    /// How fast it is.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        self.pace
    }

    /// From here on nothing takes any time, or everything takes its time again.
    pub fn hurry(&self, hurried: bool) {
        self.hurried.send_replace(hurried);
    }

    /// Changes the weather of one target, or of all that have none of their own.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn set_weather(&self, target: Option<&TargetId>, weather: Weather) -> io::Result<()> {
        let name = target.map_or(EVERYWHERE, TargetId::as_str);
        replace(&self.dir.join(WEATHER).join(name), format!("{weather}\n").as_bytes())
    }

    /// Clears the weather of every target.
    ///
    /// # Errors
    ///
    /// When a file cannot be removed.
    pub fn clear_weather(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.dir.join(WEATHER))? {
            gone_is_well(fs::remove_file(entry?.path()))?;
        }
        Ok(())
    }

    /// The weather of a target at this moment. A word that is none counts as calm.
    #[must_use]
    pub fn weather(&self, target: &TargetId) -> Weather {
        let read = |name: &str| fs::read_to_string(self.dir.join(WEATHER).join(name)).ok();
        let text = read(target.as_str()).or_else(|| read(EVERYWHERE));
        let weather = text.map(|text| text.parse());
        match weather {
            Some(Ok(weather)) => weather,
            Some(Err(error)) => {
                tracing::warn!(%error, "the weather is no weather");
                Weather::Calm
            }
            None => Weather::Calm,
        }
    }

    /// Everything that exists there, for whoever wants to see that nothing is left.
    ///
    /// # Errors
    ///
    /// When a directory cannot be read.
    pub fn leftovers(&self) -> io::Result<Vec<PathBuf>> {
        let mut found = vec![];
        for provider in fs::read_dir(&self.dir)? {
            let provider = provider?;
            if provider.file_name() == WEATHER {
                continue;
            }
            for thing in fs::read_dir(provider.path())? {
                found.push(thing?.path());
            }
        }
        found.sort();
        Ok(found)
    }

    /// Where the file of a thing is.
    pub(super) fn place(&self, provider: &ProviderId, part: Part, marker: &Marker) -> PathBuf {
        self.dir.join(provider.as_str()).join(format!("{}-{marker}.json", part.as_str()))
    }

    /// Makes a thing.
    pub(super) fn put(&self, place: &Path, thing: &Thing) -> io::Result<()> {
        if let Some(dir) = place.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut text = serde_json::to_vec_pretty(thing)?;
        text.push(b'\n');
        replace(place, &text)
    }

    /// Sees a thing, if it is there.
    pub(super) fn see(&self, place: &Path) -> io::Result<Option<Thing>> {
        let now = clock::wall();
        Ok(read(place)?.filter(|thing| thing.is_there(now)))
    }

    /// Removes a thing. One that has not landed yet stays.
    pub(super) fn remove(&self, place: &Path) -> io::Result<()> {
        match read(place)? {
            Some(thing) if clock::wall() < thing.lands_at => Ok(()),
            Some(_) => gone_is_well(fs::remove_file(place)),
            None => Ok(()),
        }
    }

    /// The routes that a provider carries at the moment.
    pub(super) fn routes(&self, provider: &ProviderId) -> io::Result<Vec<Thing>> {
        let listed = match fs::read_dir(self.dir.join(provider.as_str())) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
            listed => listed?,
        };
        let mut routes = vec![];
        for entry in listed {
            let entry = entry?;
            let is_route = entry.file_name().to_string_lossy().starts_with("route-");
            routes.extend(if is_route { self.see(&entry.path())? } else { None });
        }
        Ok(routes)
    }

    /// Lets the time of a call pass.
    pub(super) async fn take_time(&self, long: bool, weather: Weather) {
        let range = if long { LONG_MILLIS } else { CALL_MILLIS };
        let times = if weather == Weather::Slow { SLOW_TIMES } else { 1 };
        tokio::select! {
            () = sleep(self.duration(range) * times) => {}
            () = self.hang() => {}
        }
    }

    /// Lets the time of a call pass, hurry or not.
    pub(super) async fn take_its_time(&self) {
        sleep(self.duration(CALL_MILLIS)).await;
    }

    fn duration(&self, (least, most): (u64, u64)) -> Duration {
        let millis = least + self.roll(most - least);
        Duration::from_millis(millis.saturating_mul(u64::from(self.pace.percent)) / 100)
    }

    /// Never answers, unless there is a hurry.
    pub(super) async fn hang(&self) {
        let mut hurried = self.hurried.subscribe();
        if hurried.wait_for(|hurried| *hurried).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// True once in so many times.
    pub(super) fn once_in(&self, times: u64) -> bool {
        self.roll(times) == 0
    }

    /// A number below `below`: splitmix64, so that one seed gives one drill.
    fn roll(&self, below: u64) -> u64 {
        let step = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.dice.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }
}

impl Thing {
    fn is_there(&self, now: Timestamp) -> bool {
        now >= self.lands_at && self.ends_at.is_none_or(|end| now < end)
    }
}

fn read(place: &Path) -> io::Result<Option<Thing>> {
    match fs::read(place) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a file whole.
fn replace(place: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = place.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    file.persist(place)?;
    Ok(())
}

fn gone_is_well(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

const WEATHER: &str = "weather";
/// No target has this name.
const EVERYWHERE: &str = "_everywhere";
const CALL_MILLIS: (u64, u64) = (150, 600);
const LONG_MILLIS: (u64, u64) = (900, 1_800);
const SLOW_TIMES: u32 = 3;
