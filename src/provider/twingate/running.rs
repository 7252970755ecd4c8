//! The connector as a process: its tokens, made once, and its first sign of life.

use super::Twingate;
use super::api::{Caller, Change, Connector, ConnectorState};
use super::steps::{Action, Does, id_from};
use crate::domain::time::Span;
use crate::provider::{Made, StepCall};
use crate::session::Applied;

impl Twingate {
    /// Makes the tokens, once: a second pair would end a connector that runs with the first. Where
    /// nobody saw the answer, the session ends, and the connector with it.
    pub(super) async fn make_tokens(
        &self,
        caller: &Caller,
        action: &Action,
        steps: &[Made],
    ) -> Applied {
        let connector = match id_from(steps, Does::Connector) {
            Ok(connector) => connector,
            Err(why) => return Applied::Refused(why),
        };
        match caller.generate_tokens(&connector).await {
            Change::Made(tokens) => {
                self.keep_tokens(&action.name, tokens);
                Applied::Applied(None)
            }
            Change::Refused(why) => Applied::Refused(why.to_string()),
            Change::Unknown(why) => Applied::Unknown(why.to_string()),
        }
    }

    /// Waits until the network hears of the connector, and says meanwhile how it is.
    pub(super) async fn await_life(&self, caller: &Caller, call: StepCall<'_>) -> Applied {
        let connector = match id_from(call.steps, Does::Connector) {
            Ok(connector) => connector,
            Err(why) => return Applied::Refused(why),
        };
        if let Ok(action) = Action::of(call.step) {
            // It has started with them; nobody needs them any more.
            self.forget_tokens(&action.name);
        }
        let pace = &self.around.pace;
        let began = pace.now();
        let mut state = None;
        loop {
            match caller.connector(&connector).await {
                Ok(Some(found)) if found.state == ConnectorState::Alive => {
                    return Applied::Applied(None);
                }
                Ok(Some(found)) => state = Some(found),
                Ok(None) => return Applied::Refused(DELETED.to_owned()),
                // It is asked again; the time of the step is limited.
                Err(why) => call.says.say(why.to_string()),
            }
            let waited = pace.now().since(began);
            let how = explained(state.as_ref());
            if waited >= GIVEN_UP_AFTER {
                return Applied::Refused(format!("not alive after {waited}: {how}"));
            }
            if waited >= WARNED_AFTER {
                call.says
                    .say(format!("not alive after {waited}, given up at {GIVEN_UP_AFTER}: {how}"));
            } else if waited >= HINTED_AFTER {
                call.says.say(how);
            }
            pace.pause(POLL).await;
        }
    }
}

/// What the state of a connector means, and what to look at.
fn explained(connector: Option<&Connector>) -> String {
    let state = connector.map(|connector| &connector.state);
    match state {
        None => "the network did not say how the connector is".to_owned(),
        Some(ConnectorState::Alive) => "it is alive".to_owned(),
        Some(ConnectorState::DeadNoHeartbeat) => {
            "it was never heard of: the site's host must reach `*.twingate.com` on TCP 443, and its \
             clock may be 5 s off at most"
                .to_owned()
        }
        Some(ConnectorState::DeadHeartbeatTooOld) => {
            "it was heard of and then no more: see whether its process still runs in the site".to_owned()
        }
        Some(ConnectorState::DeadNoRelays) => {
            "it reaches the network and no relay: the site must let TCP 30000 to 31000 out, and \
             nothing may open its TLS on the way"
                .to_owned()
        }
        Some(ConnectorState::Other) => "its state is one that this program does not know".to_owned(),
    }
}

/// Between two looks: 20 a minute, of the 60 that a network answers.
const POLL: Span = Span::from_seconds(3);
const HINTED_AFTER: Span = Span::from_seconds(30);
const WARNED_AFTER: Span = Span::from_seconds(90);
const GIVEN_UP_AFTER: Span = Span::from_seconds(300);
const DELETED: &str = "the connector was deleted by somebody else; see the console's audit log";
