//! When time alone changes the screen next.
//!
//! A screen on which nothing runs asks for no wake-up at all. One with a countdown or a running
//! step asks for the next whole second, at which everything that counts changes together.

use super::sessions::WARNINGS;
use super::{Model, Tab};
use crate::domain::time::Timestamp;
use crate::protocol::{SessionState, SessionView, StepProgress};
use crate::tui::layout;

impl Model {
    /// When the model next needs to hear how late it is; never, where nothing depends on it.
    #[must_use]
    pub fn wake_at(&self) -> Option<Timestamp> {
        let next_second = Timestamp::from_millis((self.now.as_seconds() + 1).saturating_mul(1_000));
        let running = self.counts().then_some(next_second);
        let toast = self.messages.expires_at();
        running.into_iter().chain(toast).chain(self.next_warning()).min()
    }

    /// True while something in view changes every second.
    #[must_use]
    pub fn counts(&self) -> bool {
        if !layout::is_big_enough(self.size) {
            return false;
        }
        if self.identity.bars() {
            return self.gate.counts(self.now);
        }
        if self.tab != Tab::Sessions {
            return false;
        }
        let areas = layout::areas(self);
        let height = areas.table.map_or(0, |table| usize::from(table.height.saturating_sub(1)));
        let in_rows = self
            .sessions
            .rows
            .window(height)
            .filter_map(|(id, _)| self.sessions.get(id))
            .any(|session| self.counts_in_row(session));
        let detail = areas.detail.and_then(|_| self.sessions.selected());
        in_rows || detail.is_some_and(|session| self.counts_in_detail(session))
    }

    fn counts_in_row(&self, session: &SessionView) -> bool {
        session.state == SessionState::Active
            && session.lease_ends_at.is_some_and(|end| end > self.now)
    }

    fn counts_in_detail(&self, session: &SessionView) -> bool {
        let running = |progress| {
            matches!(
                progress,
                StepProgress::Applying | StepProgress::Undoing | StepProgress::Unsure
            )
        };
        let history = self.sessions.history(&session.id);
        self.counts_in_row(session)
            || session.steps.iter().any(|step| running(step.progress) && step.started_at.is_some())
            || history.is_some_and(|history| history.moves(self.now, layout::BARS_MAX))
    }

    /// When the next Active session crosses a threshold that the operator is warned at.
    fn next_warning(&self) -> Option<Timestamp> {
        let ends = self
            .sessions
            .live()
            .filter(|session| session.state == SessionState::Active)
            .filter_map(|session| session.lease_ends_at);
        let crossings = ends.flat_map(|end| WARNINGS.map(|left| end - left));
        crossings.filter(|at| *at > self.now).min()
    }
}
