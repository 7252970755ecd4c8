//! Direct: a plain TCP connection from this host. Built in, needs no key, leaves nothing behind.
//!
//! Its only step is a check that the target answers. Each connection resolves the name anew, so
//! that a target which moves during a session is followed; an address that has come to lie in a
//! site's private range is refused every time, not only at the first.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{DialError, Dialed, Made, Order, Provider, ProviderError, StepCall};
use crate::domain::id::ProviderId;
use crate::domain::probe::Probe;
use crate::domain::provider::{Health, ProviderKind, Validation};
use crate::domain::site::Prefix;
use crate::domain::target::Address;
use crate::domain::time::{Span, Timestamp};
use crate::session::{Applied, Carrier, Lives, Looked, PlannedStep, Undone};

/// The built-in provider.
#[derive(Clone, Debug)]
pub struct Direct {
    id: ProviderId,
}

/// What the step's parameters say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Action {
    address: Address,
    forbidden: Vec<Prefix>,
}

impl Direct {
    /// Makes the provider under its name.
    #[must_use]
    pub const fn new(id: ProviderId) -> Self {
        Self { id }
    }
}

#[async_trait]
impl Provider for Direct {
    fn id(&self) -> &ProviderId {
        &self.id
    }

    fn kind(&self) -> ProviderKind {
        ProviderKind::Direct
    }

    fn label(&self) -> String {
        "Direct".to_owned()
    }

    fn about(&self) -> String {
        "a plain TCP connection from this host; leaves nothing behind".to_owned()
    }

    fn keep(&self) -> Option<String> {
        Some("Direct is built in and cannot be removed; it can be disabled".to_owned())
    }

    fn plan(&self, order: &Order) -> Result<Vec<PlannedStep>, ProviderError> {
        let address = order.target.address.clone();
        let label = format!("connect to {address}");
        let action = Action { address, forbidden: order.forbidden.clone() };
        let action = serde_json::to_value(action).map_err(|error| self.cannot(&error))?;
        Ok(vec![PlannedStep {
            label,
            carrier: Carrier::Provider(self.id.clone()),
            action,
            leaves: None,
            expires: None,
            lives: Lives::InTheWorld,
            remade: false,
            waits: false,
            needs: vec![],
            undo_after: None,
            settle: Span::ZERO,
            timeout: CONNECT_TIMEOUT + Span::from_seconds(1),
            by_hand: vec![],
            in_words: None,
        }])
    }

    async fn apply(&self, call: StepCall<'_>) -> Applied {
        match Action::deserialize(&call.step.action) {
            Ok(action) => {
                match connect(&action.address, &action.forbidden, CONNECT_TIMEOUT).await {
                    Ok(_) => Applied::Applied(None),
                    Err(error) => Applied::Refused(error.to_string()),
                }
            }
            Err(error) => Applied::Refused(format!("the step's parameters are damaged: {error}")),
        }
    }

    async fn look(&self, _: StepCall<'_>) -> Looked {
        Looked::Absent
    }

    async fn undo(&self, _: StepCall<'_>) -> Undone {
        Undone::Sent
    }

    async fn dial(&self, steps: &[Made]) -> Result<Dialed, DialError> {
        let action = steps.iter().find_map(|made| Action::deserialize(&made.step.action).ok());
        let Some(Action { address, forbidden }) = action else {
            let why = "the session has no step of this provider".to_owned();
            return Err(DialError::Other { address: self.id.to_string(), why });
        };
        connect(&address, &forbidden, CONNECT_TIMEOUT).await.map(Dialed::Tcp)
    }

    async fn check(&self) -> Health {
        Health::Healthy
    }

    async fn validate(&self, now: Timestamp) -> Validation {
        // There is nobody to ask: whether a target answers is seen when it is opened.
        Validation { probe: Probe { at: now, checks: vec![] }, key_expires_at: None }
    }

    fn audience(&self, order: &Order) -> Vec<String> {
        let target = &order.target.address;
        vec![format!(
            "whoever can connect to {target} from this host, with or without this session; it opens \
             nothing that was closed"
        )]
    }
}

impl Direct {
    fn cannot(&self, why: &dyn std::fmt::Display) -> ProviderError {
        ProviderError::CannotCarry { provider: self.id.clone(), why: why.to_string() }
    }
}

/// Connects to the first address that answers, leaving out those inside a forbidden range.
///
/// # Errors
///
/// Why nothing answered: of several addresses, the last one's reason.
pub async fn connect(
    address: &Address,
    forbidden: &[Prefix],
    limit: Span,
) -> Result<TcpStream, DialError> {
    let seconds = limit.as_seconds();
    let late = || DialError::TimedOut { address: address.to_string(), seconds };
    timeout(limit.to_std(), try_each(address, forbidden)).await.map_err(|_| late())?
}

/// Resolves a host by the system's own rules (getaddrinfo, nsswitch). The unspecified address,
/// which would be this host, is left out.
///
/// # Errors
///
/// When the name leads to no address.
pub async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, DialError> {
    let unresolved = |why: String| DialError::Unresolved { host: address.host().to_owned(), why };
    let found = tokio::net::lookup_host((address.host(), address.port())).await;
    let found = found.map_err(|error| unresolved(error.to_string()))?;
    let found: Vec<_> = found.filter(|at| !at.ip().to_canonical().is_unspecified()).collect();
    if found.is_empty() { Err(unresolved("it has no address".to_owned())) } else { Ok(found) }
}

async fn try_each(address: &Address, forbidden: &[Prefix]) -> Result<TcpStream, DialError> {
    let inside = |at: &SocketAddr| forbidden.iter().any(|range| range.contains(at.ip()));
    let mut outcome = Err(DialError::Forbidden { host: address.host().to_owned() });
    let found = resolve(address).await?;
    let several = found.len() > 1;
    for at in found.into_iter().filter(|at| !inside(at)) {
        // One silent address must not use up the time of the others.
        let limit = if several { EACH_TIMEOUT } else { Duration::MAX };
        match timeout(limit, TcpStream::connect(at)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => outcome = Err(why(at, &error)),
            Err(_) => {
                let seconds = EACH_TIMEOUT.as_secs();
                outcome = Err(DialError::TimedOut { address: at.to_string(), seconds });
            }
        }
    }
    outcome
}

fn why(at: SocketAddr, error: &std::io::Error) -> DialError {
    let address = at.to_string();
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => DialError::Refused { address },
        _ => DialError::Other { address, why: error.to_string() },
    }
}

/// How long the target may take to answer.
const CONNECT_TIMEOUT: Span = Span::from_seconds(10);
const EACH_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn address(port: u16) -> Address {
        Address::new("127.0.0.1", port).unwrap()
    }

    #[tokio::test]
    async fn what_answers_is_reached_and_what_refuses_says_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(connect(&address(port), &[], CONNECT_TIMEOUT).await.is_ok());
        drop(listener);
        let refused = connect(&address(port), &[], CONNECT_TIMEOUT).await.unwrap_err();
        assert_eq!(refused, DialError::Refused { address: format!("127.0.0.1:{port}") });
    }

    #[tokio::test]
    async fn an_address_inside_a_forbidden_range_is_never_connected_to() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let forbidden = ["127.0.0.0/8".parse().unwrap()];
        let refused = connect(&address(port), &forbidden, CONNECT_TIMEOUT).await.unwrap_err();
        assert_eq!(refused, DialError::Forbidden { host: "127.0.0.1".to_owned() });
    }

    #[tokio::test]
    async fn a_name_that_leads_nowhere_says_so() {
        let address = Address::new("no-such-host.invalid", 1).unwrap();
        let error = connect(&address, &[], CONNECT_TIMEOUT).await.unwrap_err();
        assert!(matches!(error, DialError::Unresolved { .. }), "{error}");
    }
}
