//! Watches an open path: the connector, the resource, who may reach it, and this side's client.

use tokio::sync::mpsc;

use super::Twingate;
use super::api::{Connector, ConnectorState, Rank, Resource};
use super::steps::{self, Action, Does, id_from, index, made};
use crate::domain::time::{Span, Timestamp};
use crate::provider::{Lost, Made, Told, UNHEARD};

impl Twingate {
    /// Returns once the way is surely gone.
    pub(super) async fn guard(&self, carried: &[Made], tell: mpsc::Sender<Told>) -> Lost {
        let group = id_from(carried, Does::Access).unwrap_or_default();
        let known = (id_from(carried, Does::Connector), id_from(carried, Does::Resource));
        let (Some((_, action)), (Ok(connector), Ok(resource))) =
            (made(carried, Does::Check), known)
        else {
            return std::future::pending().await;
        };
        let mut dead = Missing::default();
        let mut cut_off = Missing::default();
        loop {
            let lines = match self.look_over(&action, &connector, &resource).await {
                Ok(Seen { connector: None, .. }) => return lost(carried, Does::Connector, DELETED),
                Ok(Seen { resource: None, .. }) => return lost(carried, Does::Resource, DELETED),
                Ok(Seen { resource: Some(resource), .. })
                    if !resource.access.iter().any(|edge| edge.principal == group) =>
                {
                    return lost(
                        carried,
                        Does::Access,
                        "the group may not reach the resource any more",
                    );
                }
                Ok(Seen { connector: Some(connector), resource: Some(resource), lines }) => {
                    if resource.access.iter().any(|edge| edge.principal != group) {
                        let why = "somebody else was given access to the resource in the console";
                        tell.try_send(Told::Trouble(why.to_owned())).ok();
                    }
                    if !resource.is_active {
                        let why = "the resource was switched off in the console".to_owned();
                        tell.try_send(Told::Trouble(why)).ok();
                    }
                    if connector.state == ConnectorState::Alive {
                        dead.seen();
                    } else if dead.has_lasted() {
                        return lost(
                            carried,
                            Does::Connector,
                            "the connector is not heard of any more",
                        );
                    }
                    lines
                }
                // The path goes on without the network's word.
                Err(why) => vec![format!("network: {why}")],
            };
            // Where nobody reads, one more is of no use.
            tell.try_send(Told::Live(lines)).ok();
            if self.is_way_there(action.data_path).await {
                cut_off.seen();
            } else if cut_off.has_lasted() {
                return lost(carried, Does::Access, "the client of this host is off");
            }
            self.around.pace.pause(ROUND).await;
        }
    }

    async fn look_over(
        &self,
        action: &Action,
        connector: &str,
        resource: &str,
    ) -> Result<Seen, String> {
        let caller = self.caller(action, Rank::Watch, &UNHEARD).await?;
        let found = caller.path(connector, resource).await;
        let (connector, resource) = found.map_err(|why| why.to_string())?;
        let mut lines = vec![];
        if let Some(connector) = &connector {
            lines.push(alive(connector, caller.api().server_now()));
        }
        if let Some(ends_at) = resource.as_ref().and_then(|it| it.access.first()?.expires_at) {
            lines.push(format!("access: group `{}`, until {}", action.group, steps::at(ends_at)));
        }
        lines.push(format!(
            "network: takes {} more changes this minute",
            caller.api().writes_left()
        ));
        Ok(Seen { connector, resource, lines })
    }
}

/// What was seen of a path.
struct Seen {
    connector: Option<Connector>,
    resource: Option<Resource>,
    lines: Vec<String>,
}

/// How a connector does, in a line.
fn alive(connector: &Connector, now: Timestamp) -> String {
    let state = match connector.state {
        ConnectorState::Alive => "alive",
        ConnectorState::DeadNoHeartbeat => "never heard of",
        ConnectorState::DeadHeartbeatTooOld => "not heard of any more",
        ConnectorState::DeadNoRelays => "without a relay",
        ConnectorState::Other => "in a state that is new",
    };
    let heard = connector.last_heartbeat_at.map(|at| format!(", heard {} ago", now.since(at)));
    let version = connector.version.as_ref().map(|version| format!(", version {version}"));
    let (heard, version) = (heard.unwrap_or_default(), version.unwrap_or_default());
    format!("connector: {state}{heard}{version}")
}

fn lost(steps: &[Made], what: Does, why: &str) -> Lost {
    Lost { step: index(steps, what).unwrap_or_default(), why: why.to_owned() }
}

/// How often in a row something has been missing: no clock that is set misleads it.
#[derive(Debug, Default)]
struct Missing(u32);

impl Missing {
    fn seen(&mut self) {
        self.0 = 0;
    }

    fn has_lasted(&mut self) -> bool {
        self.0 = self.0.saturating_add(1);
        self.0 > MISSING_MAX
    }
}

/// Four of the 60 questions that a network answers a minute.
const ROUND: Span = Span::from_seconds(15);
/// A minute at least: the network is told of a heartbeat late, and what is restarted takes a while.
const MISSING_MAX: u32 = 4;
const DELETED: &str = "it was deleted by somebody else; see the audit log of the console";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connector_is_told_in_a_line() {
        let now = Timestamp::from_millis(1_763_655_000_000);
        let mut connector = Connector {
            id: "Q29ubmVjdG9yOjE=".to_owned(),
            name: "bg".to_owned(),
            state: ConnectorState::Alive,
            last_heartbeat_at: Some(Timestamp::from_millis(1_763_654_988_000)),
            version: Some("1.80.0".to_owned()),
        };
        assert_eq!(alive(&connector, now), "connector: alive, heard 12s ago, version 1.80.0");
        connector.state = ConnectorState::DeadNoRelays;
        connector.last_heartbeat_at = None;
        connector.version = None;
        assert_eq!(alive(&connector, now), "connector: without a relay");
    }
}
