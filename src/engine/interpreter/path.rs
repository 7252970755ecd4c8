//! What becomes of the path of an Active session: it is watched, and what is lost is taken in.

use super::{Interpreter, Update};
use crate::domain::id::ProviderId;
use crate::domain::text;
use crate::engine::carrier;
use crate::engine::watcher::News;
use crate::protocol::Severity;
use crate::provider::Lost;
use crate::session::{Carrier, Entry, Fact, StepIndex};

impl Interpreter {
    /// Has the path watched as it stands now, and the endpoint lead over it.
    pub(super) fn mind_path(&mut self) {
        if self.handing_over.is_some() {
            return self.watcher.rest();
        }
        let whole = self.session.is_active() && {
            let steps = self.session.steps().iter();
            let mut carried = steps.filter(|step| step.planned.carrier != Carrier::Endpoint);
            carried.all(crate::session::Step::is_applied)
        };
        if !whole {
            return self.watcher.rest();
        }
        let steps = carrier::made(&self.session);
        if self.watcher.watches(&steps) {
            return;
        }
        self.shared.doors.lead_over(self.session.id(), &steps);
        let path = &self.session.request().path;
        if let Some(provider) = self.shared.providers.find_for_removal(&path.provider, path.kind) {
            self.watcher.watch(provider, steps);
        }
    }

    pub(super) async fn take_path_news(&mut self, news: News) {
        match news {
            News::Lost(lost) => self.take_loss(lost).await,
            News::Trouble(text) => {
                let text = text::shown(&text);
                if self.watcher.is_news(&text, self.shared.now()) {
                    self.notice(Severity::Warning, text.clone()).await;
                    let provider = self.session.request().path.provider.clone();
                    self.note_trouble(&provider, &text).await;
                }
            }
            News::Live(lines) => self.take_live(lines).await,
            News::Broke => self.mind_path(),
        }
    }

    /// Shows what a step waits for, while it is under way. Nothing of it is kept.
    pub(super) async fn take_aside(&mut self, step: StepIndex, said: &str) {
        let is_under_way = self.under_way.iter().any(|(_, effect)| effect.step() == step);
        let said = text::clean(said, ASIDE_CHARS_MAX).into_owned();
        if is_under_way && self.asides.get(&step) != Some(&said) {
            self.asides.insert(step, said);
            self.tell(Update::Session { view: self.view(), audit: vec![] }).await;
        }
    }

    /// Shows how the path does. Nothing of it is kept.
    async fn take_live(&mut self, lines: Vec<String>) {
        let lines: Vec<_> =
            lines.iter().take(LIVE_LINES_MAX).map(|line| text::shown(line)).collect();
        if self.live != lines && self.session.is_active() {
            self.live = lines;
            self.tell(Update::Session { view: self.view(), audit: vec![] }).await;
        }
    }

    async fn take_loss(&mut self, lost: Lost) {
        let why = text::shown(&lost.why);
        let fact = Fact::StepLost { step: lost.step, why: why.clone() };
        let entry = Entry { at: self.shared.now(), fact };
        if let Err(error) = self.session.clone().evolve(&entry) {
            // It is watched again, and not at once: what cannot be true is told without end.
            tracing::warn!(%error, "a loss that cannot be is dropped");
            self.watcher.be_patient();
            return self.mind_path();
        }
        let provider = self.session.request().path.provider.clone();
        self.suspect(&provider, &format!("path lost: {why}")).await;
        self.advance_by_itself(vec![entry.fact]).await;
    }

    /// Takes note of a provider's step that did not go well. One that was refused may be the target's
    /// doing; where nobody knows what came of it, the provider did not answer.
    pub(super) async fn note_refusal(&self, fact: &Fact) {
        let (step, why, answered) = match fact {
            Fact::StepRefused { step, why } => (step, why, true),
            Fact::OutcomeUnknown { step, why } => (step, why, false),
            _ => return,
        };
        let Some(step) = self.session.steps().get(*step) else { return };
        let Carrier::Provider(id) = &step.planned.carrier else { return };
        let text = format!("{}: {why}", step.planned.label);
        if answered {
            self.note_trouble(id, &text).await;
            self.tell(Update::Suspected(id.clone())).await;
        } else {
            self.suspect(id, &text).await;
        }
    }

    /// Has a provider looked at, which until then does not count as well.
    async fn suspect(&self, provider: &ProviderId, text: &str) {
        self.shared.providers.suspect(provider, self.shared.now(), text);
        self.tell(Update::Providers).await;
        self.tell(Update::Suspected(provider.clone())).await;
    }

    async fn note_trouble(&self, provider: &ProviderId, text: &str) {
        self.shared.providers.note_trouble(provider, self.shared.now(), text);
        self.tell(Update::Providers).await;
    }
}

const LIVE_LINES_MAX: usize = 16;
/// How much of what a step says is shown: it may end in what to do.
const ASIDE_CHARS_MAX: usize = 400;
