//! Who calls, and what they may: every command and every event passes here.

use crate::domain::audit_event::{AuditEvent, Source};
use crate::domain::id::SessionId;
use crate::domain::operator::Operator;
use crate::domain::role::{Ability, Role};
use crate::error::{Kind, Report};
use crate::protocol::{
    BreakGlassAsk, Command, EngineView, Event, IdentityView, IdpAsk, OperatorsAsk, SessionView,
    SignInAsk, VaultAsk,
};

/// Who calls, and where they sit.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub operator: Operator,
    pub source: Source,
    pub standing: Standing,
}

/// What lets them in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is needed: nothing is real.
    Drill,
    /// A sign-in, by the hash of its token.
    SignedIn(String),
    /// Nothing. Where there is no Owner yet, nobody can have any.
    Nobody {
        /// Whether there is an Owner.
        owner_exists: bool,
    },
}

impl Caller {
    /// What the operator may; nothing where nobody is signed in.
    pub fn role(&self) -> Option<Role> {
        match self.standing {
            Standing::Drill => Some(Role::Owner),
            Standing::SignedIn(_) => self.operator.account.as_ref().map(|account| account.role),
            Standing::Nobody { .. } => None,
        }
    }

    /// Decides whether they may do something.
    ///
    /// # Errors
    ///
    /// Who may, or that nobody is signed in.
    pub fn may(&self, ability: Ability) -> Result<(), Report> {
        let Some(role) = self.role() else { return Err(self.nobody()) };
        role.may(ability).map_err(|error| {
            Report::of(Kind::Denied, &error).hint("breakglass whoami tells who is signed in")
        })
    }

    /// What is said to somebody who must sign in first.
    pub fn nobody(&self) -> Report {
        if self.standing == (Standing::Nobody { owner_exists: false }) {
            Report::new(Kind::Denied, "there is no Owner yet, so nobody can sign in")
                .hint("breakglass init --email you@example.com")
        } else {
            Report::new(Kind::Denied, "nobody is signed in at this terminal")
                .hint("breakglass login")
        }
    }

    /// True where they may see a session: one's own, or any for whoever may see all.
    pub fn sees(&self, session: &SessionView) -> bool {
        self.may(Ability::AllSessions).is_ok()
            || (self.role().is_some() && session.operator.is_same(&self.operator))
    }

    /// True where they may see an event of the audit: what they did, or any.
    pub fn sees_event(&self, event: &AuditEvent) -> bool {
        let mine = || self.operator.account.as_ref().map(|account| account.id);
        self.may(Ability::WholeAudit).is_ok()
            || (self.role().is_some()
                && event.event.actor.id.is_some()
                && event.event.actor.id == mine())
    }

    /// What they may see of what has happened; nothing where it is none of their business.
    /// `owns` tells of a session's id whether they may see it.
    pub fn filter(&self, event: &Event, owns: impl Fn(SessionId) -> bool) -> Option<Event> {
        let known = self.role().is_some();
        let shown = match event {
            Event::Session(view) => self.sees(view),
            Event::Traffic { session, .. } => owns(*session),
            Event::Audit(event) => self.sees_event(event),
            Event::Providers(_) => known,
            Event::Notice(notice) => known && notice.session.is_none_or(owns),
            Event::Engine(view) => {
                return Some(Event::Engine(Box::new(self.engine(view, owns))));
            }
            Event::Identity(view) => {
                return Some(Event::Identity(Box::new(self.identity(view))));
            }
            Event::SignedOut { .. } | Event::HandedOver | Event::Stopped => true,
        };
        shown.then(|| event.clone())
    }

    /// The engine as they may see it: alarms of their own sessions and of the engine itself.
    pub fn engine(&self, view: &EngineView, owns: impl Fn(SessionId) -> bool) -> EngineView {
        let mut view = view.clone();
        let known = self.role().is_some();
        view.alarms.retain(|alarm| known && alarm.session.is_none_or(&owns));
        view
    }

    /// People as they may see them: lists and evidence for those who look after them.
    pub fn identity(&self, view: &IdentityView) -> IdentityView {
        let mut view = view.clone();
        let all = self.may(Ability::BreakGlassLists).is_ok();
        for idp in view.idps.iter_mut().filter(|_| !all) {
            idp.listed.clear();
            idp.forecast.clear();
            idp.warnings.clear();
            if self.role().is_none() {
                (idp.settings, idp.probe) = (None, None);
            }
        }
        view
    }
}

/// What a command needs; nothing where it needs no sign-in.
pub(super) const fn needs(command: &Command) -> Option<Ability> {
    match command {
        // Its own process could be stopped as well; a system engine asks for more (see `desk`).
        Command::Status | Command::Stop => None,
        Command::SignIn(SignInAsk::SetPassword { .. }) => Some(Ability::UseSessions),
        Command::SignIn(_) => None,
        Command::BreakGlass(BreakGlassAsk::Prove { .. }) => None,
        Command::Vault(VaultAsk::Status | VaultAsk::Unlock { .. }) => None,
        Command::Vault(_) => Some(Ability::Vault),
        Command::Operators(OperatorsAsk::List { .. }) => Some(Ability::SeeOperators),
        Command::Operators(_) => Some(Ability::Operators),
        Command::Idp(IdpAsk::List) => Some(Ability::UseSessions),
        Command::Idp(IdpAsk::Validate { .. } | IdpAsk::Enforce { .. }) => {
            Some(Ability::Enforcement)
        }
        Command::Idp(_) => Some(Ability::IdentityProviders),
        Command::BreakGlass(_) => Some(Ability::BreakGlassLists),
        Command::SetProviderEnabled { .. }
        | Command::RemoveProvider { .. }
        | Command::ValidateProvider { .. }
        | Command::ValidateSite { .. }
        | Command::PutProvider { .. }
        | Command::RotateKey { .. }
        | Command::Sweep { .. } => Some(Ability::Providers),
        Command::AuditVerify => Some(Ability::WholeAudit),
        Command::Open(_)
        | Command::Plan(_)
        | Command::Path(_)
        | Command::End { .. }
        | Command::Extend { .. }
        | Command::Retry { .. }
        | Command::EndAll
        | Command::Sessions(_)
        | Command::Find { .. }
        | Command::Targets { .. }
        | Command::Sites
        | Command::Providers
        | Command::AuditTail { .. } => Some(Ability::UseSessions),
    }
}
