//! What the engine says: snapshots, events, answers.

use crate::domain::id::SessionId;
use crate::error::Report;
use crate::protocol::{
    Event, IdentityView, Notice, ProviderView, Reply, SessionState, SessionView, Severity, Snapshot,
};
use crate::tui::model::dialog::{Agreement, Dialog, Filling};
use crate::tui::model::open::{Catalogue, Focus};
use crate::tui::model::{Link, Model, Tab};
use crate::tui::msg::{Effect, Purpose};

/// Takes in everything as it stands.
pub fn attached(model: &mut Model, snapshot: Snapshot) -> Vec<Effect> {
    let again = model.engine.is_some() && model.link != Link::Live;
    let first = model.engine.is_none();
    model.link = Link::Live;
    (model.now, model.used_at) = (snapshot.now, snapshot.now);
    model.drill = snapshot.engine.drill;
    model.wall.offset_millis = snapshot.engine.wall_offset_millis;
    model.engine = Some(snapshot.engine);
    model.policy = Some(snapshot.policy);
    identity(model, snapshot.identity);
    if std::mem::take(&mut model.gate.entering) {
        model.gate.form.sent = None;
    }
    model.reasons = snapshot.reasons;
    model.targets_total = snapshot.targets_total;
    model.sessions.replace(snapshot.sessions, snapshot.sessions_ended_total);
    model.audit.replace(snapshot.audit);
    providers(model, snapshot.providers);
    if !matches!(model.catalogue, Catalogue::Here(_)) {
        model.catalogue = Catalogue::Unknown;
    }
    if model.drill && model.hosting && first {
        let dir = model.engine.as_ref().map_or("", |engine| engine.state_dir.as_str());
        let text = format!("another terminal can join: breakglass --state-dir {dir}");
        model.messages.tell(model.now, Severity::Info, text);
    }
    if again {
        model.messages.tell(model.now, Severity::Info, "attached to the engine again");
    }
    match &model.dialog {
        Some(Dialog::Open(_)) => super::open::fetch_catalogue(model),
        _ => vec![],
    }
}

/// Notes that the events ended without a word.
pub fn cut_off(model: &mut Model) -> Vec<Effect> {
    if model.link == Link::Stopped {
        return vec![];
    }
    let moving = model.link == Link::Moving;
    if !moving {
        model.link = Link::Connecting;
    }
    vec![Effect::Reattach { same: !moving }]
}

/// Takes in what has happened at the engine.
pub fn events(model: &mut Model, events: Vec<Event>) -> Vec<Effect> {
    events.into_iter().flat_map(|event| one(model, event)).collect()
}

fn one(model: &mut Model, event: Event) -> Vec<Effect> {
    match event {
        Event::Session(session) => return session_changed(model, *session),
        Event::Traffic { session, traffic } => {
            model.sessions.put_traffic(session, traffic, model.now);
        }
        Event::Providers(all) => providers(model, all),
        Event::Audit(event) => model.audit.put(*event),
        Event::Identity(view) => identity(model, *view),
        Event::SignedOut { why } => return super::gate::signed_out(model, &why),
        Event::Engine(engine) => {
            model.wall.offset_millis = engine.wall_offset_millis;
            model.engine = Some(*engine);
        }
        Event::Notice(Notice { severity, text, .. }) => {
            model.messages.tell(model.now, severity, text);
            return if severity == Severity::Alarm { vec![Effect::Bell] } else { vec![] };
        }
        Event::HandedOver => {
            model.link = Link::Moving;
            model.hosting = false;
        }
        Event::Stopped => {
            model.link = Link::Stopped;
            model.hosting = false;
        }
    }
    vec![]
}

fn identity(model: &mut Model, view: IdentityView) {
    model.identity = view;
    if model.identity.bars() {
        // What stood over the panes must not stand over the sign-in screen.
        model.dialog = model.dialog.take().filter(belongs_to_gate);
    }
    super::users::follow(model);
    super::forms::touch_operators(model);
}

fn belongs_to_gate(dialog: &Dialog) -> bool {
    match dialog {
        Dialog::Help(_) | Dialog::Note(_) => true,
        Dialog::Form(dialog) => dialog.what == Filling::Redeem,
        _ => false,
    }
}

fn providers(model: &mut Model, all: Vec<ProviderView>) {
    model.providers.all = all;
    model.providers.arrange();
}

fn session_changed(model: &mut Model, session: SessionView) -> Vec<Effect> {
    let (id, state, name) = (session.id, session.state, session.target.name.clone());
    let told = transition(&session);
    let lease = session.lease;
    let reason = session.reason.clone();
    let Some(before) = model.sessions.put(session) else {
        remember_reason(model, &reason);
        return vec![];
    };
    if before.lease < lease {
        // A longer lease crosses its thresholds anew.
        model.warned.remove(&id);
        let text = format!("{name} now runs for {lease} in all");
        model.messages.tell(model.now, Severity::Info, text);
    }
    if before.state == state {
        return vec![];
    }
    if before.state == SessionState::CleanupOwed {
        model.messages.take_back(&owed(&name));
    }
    let Some((severity, text)) = told else { return vec![] };
    model.messages.tell(model.now, severity, text);
    if severity == Severity::Info { vec![] } else { vec![Effect::Bell] }
}

/// What is told when a session comes into its state.
fn transition(session: &SessionView) -> Option<(Severity, String)> {
    let name = &session.target.name;
    let because = || session.end_detail.as_ref().or(session.end_reason.as_ref());
    match session.state {
        SessionState::Pending | SessionState::Activating | SessionState::Ending => None,
        SessionState::Active => {
            let endpoint = session.endpoint.as_ref().map(|at| format!(" at {at}"));
            let at = endpoint.unwrap_or_default();
            Some((Severity::Info, format!("{name} is open{at}; y copies the command")))
        }
        SessionState::Ended if session.activated_at.is_none() => {
            let why = because().map_or_else(String::new, |why| format!(": {why}"));
            Some((Severity::Warning, format!("{name} was not opened{why}")))
        }
        SessionState::Ended => {
            let gone = crate::tui::format::plural(session.receipt.len(), "thing");
            Some((Severity::Info, format!("{name} has ended: {gone} seen gone")))
        }
        SessionState::CleanupOwed => Some((Severity::Alarm, owed(name))),
    }
}

/// The alarm of a session that owes something; it holds until that is gone.
fn owed(name: &str) -> String {
    format!("{name}: something is not proven gone; see its exit card")
}

fn remember_reason(model: &mut Model, reason: &str) {
    if model.reasons.iter().any(|known| known == reason) {
        return;
    }
    model.reasons.insert(0, reason.to_owned());
    model.reasons.truncate(REASONS_MAX);
}

/// Takes in what the engine answered.
pub fn answer(model: &mut Model, purpose: Purpose, answer: Result<Reply, Report>) -> Vec<Effect> {
    match (purpose, answer) {
        (Purpose::Open(number), answer) => opened(model, number, answer),
        (Purpose::Path(question), answer) => {
            super::open::path_known(model, question, answer);
            vec![]
        }
        (Purpose::Targets, answer) => {
            model.catalogue = match answer {
                Ok(Reply::Targets(targets)) => Catalogue::of(targets),
                Ok(_) => Catalogue::Unknown,
                Err(report) => Catalogue::Failed(report),
            };
            if let Some(Dialog::Open(form)) = &mut model.dialog {
                form.search_again(&model.catalogue);
            }
            vec![]
        }
        (Purpose::Extend(id), answer) => {
            extended(model, id, answer);
            vec![]
        }
        (Purpose::Verify, answer) => {
            verified(model, answer);
            vec![]
        }
        (Purpose::OlderSessions, Ok(Reply::Sessions(sessions))) => {
            model.sessions.put_older(sessions);
            vec![]
        }
        (Purpose::OlderAudit, Ok(Reply::Audit(events))) => {
            model.audit.put_older(events);
            vec![]
        }
        // Where the sign-in is over, the engine says so by itself.
        (Purpose::InUse, _) => vec![],
        (Purpose::EndAll, Ok(_)) => {
            model.leaving = true;
            vec![]
        }
        (
            purpose @ (Purpose::SignIn(_)
            | Purpose::BeginSso(_)
            | Purpose::Form(_)
            | Purpose::Validate(_)
            | Purpose::Enforce { .. }
            | Purpose::Save(_)
            | Purpose::RemoveIdp(_)
            | Purpose::Operators(_)
            | Purpose::ResetCode(_)
            | Purpose::RemoveOperator(_)
            | Purpose::Logout
            | Purpose::Whoami),
            answer,
        ) => super::people::answer(model, purpose, answer),
        (purpose @ (Purpose::ValidateProvider(_) | Purpose::Sweep), Ok(reply)) => {
            super::providers::answered(model, &purpose, reply);
            vec![]
        }
        (_, Ok(Reply::Session(session))) => session_changed(model, *session),
        (_, Ok(Reply::Providers(all))) => {
            providers(model, all);
            vec![]
        }
        (_, Ok(_)) => vec![],
        (_, Err(report)) => {
            model.messages.tell(model.now, Severity::Warning, one_line(&report));
            vec![]
        }
    }
}

fn opened(model: &mut Model, number: u64, answer: Result<Reply, Report>) -> Vec<Effect> {
    let here = matches!(&model.dialog, Some(Dialog::Open(form)) if form.number == number);
    match answer {
        Ok(Reply::Session(session)) => {
            let id = session.id;
            let effects = session_changed(model, *session);
            if here {
                model.dialog = None;
                show_session(model, &id);
            }
            effects
        }
        Ok(_) => vec![],
        Err(report) if here => {
            refused(model, report);
            vec![]
        }
        Err(report) => {
            model.messages.tell(model.now, Severity::Warning, one_line(&report));
            vec![]
        }
    }
}

/// Shows a refusal in the dialog; one that wants a word for a change of a shared file asks for it.
fn refused(model: &mut Model, report: Report) {
    let Some(Dialog::Open(mut form)) = model.dialog.take() else { return };
    form.sent = false;
    model.dialog = Some(match form.asked.take() {
        Some(request) if super::agree::is_wanted(&report) => {
            let (marked, scroll) = (0, 0);
            Dialog::Agree(Box::new(Agreement { form, request, report, marked, scroll }))
        }
        _ => {
            form.refusal = Some((blamed(&report), report));
            Dialog::Open(form)
        }
    });
}

/// The field that a refusal stands beside; the cursor stays where it is.
fn blamed(report: &Report) -> Focus {
    let about = |words: &[&str]| words.iter().any(|word| report.message.contains(word));
    if about(&["reason"]) {
        Focus::Reason
    } else if about(&["duration", "longer than", "too short", "lease"]) {
        Focus::Duration
    } else {
        Focus::Target
    }
}

/// Moves the view to a session: its live checklist, while it is being opened.
fn show_session(model: &mut Model, id: &SessionId) {
    model.tab = Tab::Sessions;
    model.sessions.rows.zoomed = false;
    model.sessions.arrange();
    if !model.sessions.rows.select(id) {
        model.sessions.rows.filter = crate::tui::model::rows::Filter::default();
        model.sessions.touch();
        model.sessions.arrange();
        model.sessions.rows.select(id);
    }
    let beside = crate::tui::layout::areas(model).detail.is_some();
    model.sessions.rows.zoomed = !beside;
    model.sessions.rows.scroll = 0;
}

fn extended(model: &mut Model, id: SessionId, answer: Result<Reply, Report>) {
    let here = matches!(&model.dialog, Some(Dialog::Extend(form)) if form.session == id);
    match answer {
        Ok(Reply::Session(session)) => {
            if here {
                model.dialog = None;
            }
            session_changed(model, *session);
        }
        Ok(_) => {}
        Err(report) => match &mut model.dialog {
            Some(Dialog::Extend(form)) if here => {
                form.sent = false;
                form.refusal = Some(report);
            }
            _ => model.messages.tell(model.now, Severity::Warning, one_line(&report)),
        },
    }
}

fn verified(model: &mut Model, answer: Result<Reply, Report>) {
    let verdict = match answer {
        Ok(Reply::AuditVerdict(verdict)) => Ok(verdict),
        Ok(_) => return,
        Err(report) => Err(report),
    };
    let (severity, text) = match &verdict {
        Ok(verdict) => match &verdict.broken {
            None => (Severity::Info, format!("the audit chain holds; head {}", verdict.head)),
            Some((seq, why)) => {
                (Severity::Alarm, format!("the audit chain is broken at {seq}: {why}"))
            }
        },
        Err(report) => (Severity::Warning, one_line(report)),
    };
    model.messages.tell(model.now, severity, text);
    if let Some(Dialog::Verdict(shown)) = &mut model.dialog {
        *shown = Some(verdict);
        if severity == Severity::Info {
            model.messages.dismiss();
        }
    }
}

/// Writes a report as one line: what, the nearest cause, what to do.
#[must_use]
pub fn one_line(report: &Report) -> String {
    let mut line = report.message.clone();
    if let Some(cause) = report.causes.first() {
        line = format!("{line}: {cause}");
    }
    match &report.hint {
        Some(hint) => format!("{line}; {hint}"),
        None => line,
    }
}

const REASONS_MAX: usize = 5;
