//! Everything that is on screen, as plain data.
//!
//! Nothing here draws, waits or reads a clock. What was typed, where a list is scrolled to, which
//! dialog is open: all of it is here, so that a screen can be made from a model alone and a test
//! can name it.

pub mod audit;
mod contexts;
pub mod dialog;
pub mod form;
pub mod gate;
pub mod messages;
pub mod open;
pub mod operators;
pub mod rows;
pub mod sessions;
pub mod users;
mod wake;

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use self::audit::Audit;
use self::dialog::Dialog;
use self::gate::Gate;
use self::messages::Messages;
use self::open::Catalogue;
use self::operators::Operators;
use self::rows::Rows;
use self::sessions::Sessions;
use self::users::Users;
use super::format::Wall;
use super::look::Look;
use crate::domain::id::{ProviderId, SessionId};
use crate::domain::time::{Span, Timestamp};
use crate::error::Report;
use crate::protocol::{
    EngineView, IdentityView, PolicyView, ProviderView, SessionState, SignedInView,
};

/// Everything that is on screen.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// How the screens may look.
    pub look: Look,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Engine time.
    pub now: Timestamp,
    /// The wall clock of this place.
    pub wall: Wall,
    /// True when this process hosts the engine, so that leaving it must hand the sessions over.
    pub hosting: bool,
    /// True for a drill.
    pub drill: bool,
    /// True while the mouse is taken from the terminal.
    pub mouse: bool,
    /// Whether the engine answers.
    pub link: Link,
    /// What is known of the engine.
    pub engine: Option<EngineView>,
    /// What policy allows.
    pub policy: Option<PolicyView>,
    /// Who is signed in, and who might.
    pub identity: IdentityView,
    /// The sign-in screen, which stands before everything else while nobody is signed in.
    pub gate: Gate,
    /// The last five reasons, the newest first.
    pub reasons: Vec<String>,
    /// The tab.
    pub tab: Tab,
    /// The Sessions tab.
    pub sessions: Sessions,
    /// The Providers tab.
    pub providers: Providers,
    /// The Break-Glass Users tab.
    pub users: Users,
    /// The operators, while they are shown in that tab.
    pub operators: Option<Operators>,
    /// The Audit tab.
    pub audit: Audit,
    /// The catalogue.
    pub catalogue: Catalogue,
    /// How many targets it has.
    pub targets_total: u64,
    /// What stands over the pane.
    pub dialog: Option<Dialog>,
    /// What was told.
    pub messages: Messages,
    /// True once every session was told to end and the face leaves as soon as nothing lives.
    pub leaving: bool,
    /// The thresholds at which the operator was warned, for each session.
    pub warned: BTreeMap<SessionId, Span>,
    /// Numbers dialogs and questions.
    pub counter: u64,
    /// When the engine last heard that somebody sits here.
    pub used_at: Timestamp,
}

/// The tabs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tab {
    /// The systems that carry paths.
    Providers,
    /// The sessions.
    #[default]
    Sessions,
    /// Who may sign in when single sign-on is down.
    Users,
    /// Who did what.
    Audit,
}

impl Tab {
    /// Every tab, from left to right.
    pub const ALL: [Self; 4] = [Self::Providers, Self::Sessions, Self::Users, Self::Audit];

    /// What it is called.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Providers => "Providers",
            Self::Sessions => "Sessions",
            Self::Users => "Break-Glass Users",
            Self::Audit => "Audit",
        }
    }
}

/// Whether the engine answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Link {
    /// It has not answered yet.
    #[default]
    Connecting,
    /// It answers.
    Live,
    /// It has gone to another process; the face follows.
    Moving,
    /// It does not answer; it is tried again.
    Lost(Report),
    /// It has stopped. Nothing lives any more.
    Stopped,
}

/// The Providers tab.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Providers {
    /// Every provider, in the order of the configuration.
    pub all: Vec<ProviderView>,
    /// The list.
    pub rows: Rows<ProviderId>,
}

impl Providers {
    /// One provider.
    #[must_use]
    pub fn get(&self, id: &ProviderId) -> Option<&ProviderView> {
        self.all.iter().find(|provider| provider.id == *id)
    }

    /// The provider under the cursor.
    #[must_use]
    pub fn selected(&self) -> Option<&ProviderView> {
        self.rows.selected().and_then(|id| self.get(id))
    }

    /// Works out the rows again.
    pub fn arrange(&mut self) {
        let needle = self.rows.filter.needle();
        let fits = |provider: &&ProviderView| {
            [provider.id.as_str(), &provider.label, &provider.about]
                .iter()
                .any(|text| sessions::holds(text, &needle))
        };
        let mut shown: Vec<&ProviderView> = self.all.iter().filter(fits).collect();
        let key_ends = |provider: &&ProviderView| {
            provider.validation.as_ref().and_then(|validation| validation.key_expires_at)
        };
        match self.rows.sort.column {
            1 => shown.sort_by(|one, other| one.label.cmp(&other.label)),
            2 => shown.sort_by_key(|provider| !provider.health.can_serve()),
            3 => shown.sort_by_key(|provider| !provider.enabled),
            4 => shown.sort_by_key(|provider| std::cmp::Reverse(provider.checked_at)),
            5 => shown.sort_by_key(|provider| provider.latency_millis.unwrap_or(u64::MAX)),
            6 => shown.sort_by_key(|provider| (key_ends(provider).is_none(), key_ends(provider))),
            7 => shown.sort_by_key(|provider| std::cmp::Reverse(provider.sessions)),
            _ => {}
        }
        if self.rows.sort.reversed {
            shown.reverse();
        }
        let order = shown.into_iter().map(|provider| provider.id.clone()).collect();
        self.rows.set(order);
    }
}

/// How many columns the list of providers has.
pub const PROVIDER_COLUMNS: usize = 8;

impl Model {
    /// Makes the model of a face that has heard nothing yet.
    #[must_use]
    pub fn new(look: Look, size: (u16, u16), zone: TimeZone) -> Self {
        Self {
            look,
            size,
            now: Timestamp::default(),
            wall: Wall { zone, offset_millis: 0 },
            hosting: false,
            drill: false,
            mouse: look.mouse,
            link: Link::default(),
            engine: None,
            policy: None,
            identity: IdentityView::of_drill(),
            gate: Gate::default(),
            reasons: vec![],
            tab: Tab::default(),
            sessions: Sessions::default(),
            providers: Providers::default(),
            users: Users::default(),
            operators: None,
            audit: Audit::default(),
            catalogue: Catalogue::default(),
            targets_total: 0,
            dialog: None,
            messages: Messages::default(),
            leaving: false,
            warned: BTreeMap::new(),
            counter: 0,
            used_at: Timestamp::default(),
        }
    }

    /// True while the details of one row fill the pane.
    #[must_use]
    pub const fn zoomed(&self) -> bool {
        match self.tab {
            Tab::Providers => self.providers.rows.zoomed,
            Tab::Sessions => self.sessions.rows.zoomed,
            Tab::Users => false,
            Tab::Audit => self.audit.rows.zoomed,
        }
    }

    /// The filter of the tab, where it has one.
    #[must_use]
    pub const fn filter(&self) -> Option<&rows::Filter> {
        match self.tab {
            Tab::Providers => Some(&self.providers.rows.filter),
            Tab::Sessions => Some(&self.sessions.rows.filter),
            Tab::Users => match &self.operators {
                Some(operators) => Some(&operators.rows.filter),
                None => None,
            },
            Tab::Audit => Some(&self.audit.rows.filter),
        }
    }

    /// Who is signed in at this face.
    #[must_use]
    pub const fn me(&self) -> Option<&SignedInView> {
        self.identity.me.as_ref()
    }

    /// The sessions that go on when the face leaves, and when the last of them ends.
    #[must_use]
    pub fn lives(&self) -> (usize, Option<Timestamp>) {
        let count = self.sessions.live().count();
        (count, self.sessions.live().filter_map(|session| session.lease_ends_at).max())
    }

    /// How many sessions owe a clean-up.
    #[must_use]
    pub fn owed(&self) -> usize {
        self.sessions.count(SessionState::CleanupOwed)
    }
}
