//! Finds what bears the mark of this installation and belongs to no living session.
//!
//! It needs no notes: everything that was ever made says in its name whose it is. First everything is
//! listed, then it is asked which sessions live: a session is known to live before it makes
//! anything, so nothing of a living one is ever taken for an orphan. Of another installation nothing
//! is even shown.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::chronicle;
use super::interpreter::Update;
use super::reading::record;
use super::shared::{Shared, Who};
use crate::domain::artifact::Marked;
use crate::domain::audit_event::{Object, Outcome};
use crate::domain::launcher::LauncherSettings;
use crate::domain::text;
use crate::domain::time::{Span, Timestamp};
use crate::error::Report;
use crate::protocol::{OrphanView, SweepProblem, SweepView};
use crate::provider::Provider;
use crate::session::{Undone, exit_card};

/// What a sweep removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removes {
    /// It only looks.
    Nothing,
    /// What no session anywhere can need any more. Which sessions live, this engine knows of itself
    /// alone: where its state was copied to another host, both have one mark.
    Expired,
    /// Whatever is found.
    All,
}

impl Removes {
    /// What a command asks for.
    pub const fn of(apply: bool, also_unexpired: bool) -> Self {
        match (apply, also_unexpired) {
            (false, _) => Self::Nothing,
            (true, false) => Self::Expired,
            (true, true) => Self::All,
        }
    }
}

/// Looks everywhere; also removes what it finds where it is to, and looks again.
///
/// # Errors
///
/// When what is found cannot be written into the audit; nothing is removed then.
pub(super) async fn sweep(
    shared: &Arc<Shared>,
    removes: Removes,
    who: &Who,
    updates: &mpsc::Sender<Update>,
) -> Result<SweepView, Report> {
    let mut places = JoinSet::new();
    let (mut swept, mut seen) = (SweepView::default(), BTreeSet::new());
    for place in places_of(shared) {
        if let Some(why) = place.unlisted() {
            swept.unlisted.push(SweepProblem { place: place.name(), why: why.to_owned() });
            continue;
        }
        let shared = Arc::clone(shared);
        places.spawn(async move {
            let listed = place.list(&shared).await;
            (place, listed)
        });
    }
    while let Some(listed) = places.join_next().await {
        let Ok((place, listed)) = listed else { continue };
        match listed {
            Ok(found) => {
                // Providers of one kind may see the same things: each is taken once. What has only its
                // name in common with another is a thing of its own.
                let view = place.view();
                let orphans = found.into_iter().filter(|it| shared.is_orphan(&it.marker));
                let mut new: Vec<_> =
                    orphans.filter(|it| seen.insert((view.clone(), identity(it)))).collect();
                if new.len() > ORPHANS_MAX {
                    let why = record_rest(shared, &place, new.len(), who, updates).await?;
                    swept.problems.push(SweepProblem { place: place.name(), why });
                    new.truncate(ORPHANS_MAX);
                }
                for marked in new {
                    swept.orphans.push(take(shared, &place, marked, removes, who, updates).await?);
                }
            }
            Err(why) => swept.problems.push(SweepProblem { place: place.name(), why }),
        }
    }
    swept.orphans.sort_by(|one, other| {
        (&one.place, &one.session, &one.artifact).cmp(&(
            &other.place,
            &other.session,
            &other.artifact,
        ))
    });
    swept.problems.sort_by(|one, other| one.place.cmp(&other.place));
    let left = swept.orphans.iter().filter(|it| it.removed != Some(Ok(()))).count();
    updates.send(Update::Orphans(left)).await.ok();
    Ok(swept)
}

/// Somewhere to look.
enum Place {
    Provider(Arc<dyn Provider>),
    Site(String, Box<LauncherSettings>),
}

fn places_of(shared: &Shared) -> Vec<Place> {
    let mut places: Vec<_> = shared.providers.all().into_iter().map(Place::Provider).collect();
    let mut seen: Vec<LauncherSettings> = vec![];
    for site in shared.rules().catalogue.sites.values() {
        if let Some(launcher) = site.launcher.clone().filter(|it| !seen.contains(it)) {
            seen.push(launcher.clone());
            places.push(Place::Site(format!("site {}", site.id), Box::new(launcher)));
        }
    }
    places
}

impl Place {
    fn name(&self) -> String {
        match self {
            Self::Provider(provider) => provider.id().to_string(),
            Self::Site(name, _) => name.clone(),
        }
    }

    /// Why nobody can ever list what is there.
    fn unlisted(&self) -> Option<&'static str> {
        match self {
            Self::Provider(_) => None,
            Self::Site(_, launcher) => launcher.unlisted(),
        }
    }

    /// What sees the same things as others do: the providers of a kind, and a site alone.
    fn view(&self) -> String {
        match self {
            Self::Provider(provider) => format!("providers of kind {}", provider.kind()),
            Self::Site(name, _) => name.clone(),
        }
    }

    async fn list(&self, shared: &Shared) -> Result<Vec<Marked>, String> {
        let installation = &shared.installation;
        let listed = async {
            match self {
                Self::Provider(provider) => provider.list(installation).await,
                Self::Site(_, launcher) => shared.launcher.list(launcher, installation).await,
            }
        };
        let listed = timeout(LIST_MAX.to_std(), listed).await;
        let listed = listed.unwrap_or_else(|_| Err(format!("no answer within {LIST_MAX}")));
        listed.map_err(|why| text::shown(&why))
    }

    async fn remove(&self, shared: &Shared, marked: &Marked) -> Undone {
        let removed = async {
            match self {
                Self::Provider(provider) => provider.remove(marked).await,
                Self::Site(_, launcher) => shared.launcher.remove(launcher, marked).await,
            }
        };
        let removed = timeout(LIST_MAX.to_std(), removed).await;
        removed.unwrap_or_else(|_| Undone::Problem(format!("no answer within {LIST_MAX}")))
    }

    /// Removes one thing, and looks whether it is gone.
    async fn take_away(&self, shared: &Shared, marked: &Marked) -> Result<(), String> {
        let undone = self.remove(shared, marked).await;
        let left = self.list(shared).await?;
        let is_there = left.iter().any(|it| identity(it) == identity(marked));
        match undone {
            _ if !is_there => Ok(()),
            Undone::Problem(why) => Err(text::shown(&why)),
            Undone::Sent => Err("it is still there".to_owned()),
        }
    }
}

/// What tells a thing from all others that are listed.
fn identity(found: &Marked) -> (String, String) {
    (found.artifact.name.clone(), found.artifact.details.to_string())
}

async fn take(
    shared: &Arc<Shared>,
    place: &Place,
    marked: Marked,
    removes: Removes,
    who: &Who,
    updates: &mpsc::Sender<Update>,
) -> Result<OrphanView, Report> {
    let mut orphan = OrphanView {
        place: place.name(),
        artifact: marked.artifact.to_string(),
        session: marked.marker.session.clone(),
        expires_at: Timestamp::from_millis(i64::from(marked.marker.expires_seconds) * 1_000),
        removed: None,
        by_hand: exit_card::commands(&marked.by_hand, Some(&marked.artifact)),
    };
    record_orphan(shared, &orphan, who, updates).await?;
    if removes == Removes::Expired && orphan.expires_at > shared.now() {
        orphan.removed = Some(Err(UNEXPIRED.to_owned()));
    } else if removes != Removes::Nothing {
        orphan.removed = Some(place.take_away(shared, &marked).await);
        record_orphan(shared, &orphan, who, updates).await?;
    }
    Ok(orphan)
}

/// Writes once into the audit that there is more at a place than is looked at in one go.
async fn record_rest(
    shared: &Arc<Shared>,
    place: &Place,
    count: usize,
    who: &Who,
    updates: &mpsc::Sender<Update>,
) -> Result<String, Report> {
    let place = place.name();
    let why = format!(
        "it lists {count} things that no living session needs, and {ORPHANS_MAX} at a time are \
         looked at: see what names them so, and sweep again"
    );
    let object = Object { kind: "orphan".to_owned(), id: place.clone(), name: place.clone() };
    let what = format!("Found too much at {place}: {why}");
    let mut draft = chronicle::plain(shared, "orphan.found", &what, who, Some(object));
    draft.outcome = Outcome::Failure;
    draft.metadata = Some(json!({ "place": place, "count": count }));
    record(shared, draft, updates).await?;
    Ok(why)
}

async fn record_orphan(
    shared: &Arc<Shared>,
    orphan: &OrphanView,
    who: &Who,
    updates: &mpsc::Sender<Update>,
) -> Result<(), Report> {
    let OrphanView { artifact, place, session, .. } = orphan;
    let what = format!("{artifact} at {place}, which belongs to no living session");
    let (kind, what) = match &orphan.removed {
        None => ("orphan.found", format!("Found: {what}")),
        Some(Ok(())) => ("orphan.removed", format!("Removed and seen gone: {what}")),
        Some(Err(why)) => ("orphan.removed", format!("Not removed: {what}: {why}")),
    };
    let object = Object { kind: "orphan".to_owned(), id: session.clone(), name: artifact.clone() };
    let mut draft = chronicle::plain(shared, kind, &what, who, Some(object));
    if matches!(orphan.removed, Some(Err(_))) {
        draft.outcome = Outcome::Failure;
    }
    draft.metadata = Some(json!({ "place": place, "session": session }));
    record(shared, draft, updates).await
}

/// How many things at one place are looked at in one go: each stands in the audit, and what a place
/// lists is its own word.
const ORPHANS_MAX: usize = 100;
const UNEXPIRED: &str = "left alone: until then an engine with a copy of this state may need it; where \
                         there is none: breakglass sweep --apply --also-unexpired";
const LIST_MAX: Span = Span::from_seconds(30);
