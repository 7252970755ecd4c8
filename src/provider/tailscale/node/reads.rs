//! What follows from the status of a daemon. Pure.

use std::time::Duration;

use super::status::{BackendState, Node, Status, Way};
use crate::domain::site::Prefix;
use crate::domain::text;

/// Why this side's node is not on the tailnet, in words; none where it is.
///
/// It tries again without end: whoever waits for it decides how long.
#[must_use]
pub fn not_joined(status: &Status) -> Option<String> {
    if status.backend_state == BackendState::Running {
        return None;
    }
    let state = format!("this side's node {}", status.backend_state);
    let said = status.health.iter().find_map(|line| line.split_once(LOGIN_ERROR));
    Some(match said {
        Some((_, why)) => format!("{state}: {}", text::shown(why.trim())),
        None if !status.auth_url.is_empty() => format!("{state}; its auth key did not count"),
        None => state,
    })
}

/// Sees whether packets for `route` go to the router with this stable id, and to nobody else, and
/// whether it is connected.
///
/// # Errors
///
/// Why they do not, in words.
pub fn is_route_here(status: &Status, router: &str, route: &Prefix) -> Result<(), String> {
    let node = leads_to(status, router, route)?;
    if !node.online {
        let name = name(node);
        return Err(format!("the router {name} is not connected to the control server"));
    }
    Ok(())
}

/// Sees whether packets for `route` go to the router with this stable id, and to nobody else. Whether
/// it is connected, the control server may not know.
///
/// # Errors
///
/// Why they do not, in words.
pub fn leads_to<'s>(status: &'s Status, router: &str, route: &Prefix) -> Result<&'s Node, String> {
    if let Some(why) = not_joined(status) {
        return Err(why);
    }
    if status.this.as_ref().is_some_and(|this| this.expired) {
        return Err("the key of this side's node has expired".to_owned());
    }
    let Some(node) = status.peer(router) else {
        return Err(
            "this side's node does not see the router: the policy of the tailnet must let \
             this node reach the route"
                .to_owned(),
        );
    };
    let name = name(node);
    if node.expired {
        return Err(format!("the key of the router {name} has expired"));
    }
    if !node.carries(route) {
        return Err(format!("the router {name} does not carry {route} (yet)"));
    }
    let narrower = |other: &&Prefix| *other == route || inside(other, route);
    let others = status.peers.iter().filter(|peer| peer.id != node.id);
    if let Some((other, taken)) =
        others.filter_map(|other| Some((other, other.routes().find(narrower)?))).next()
    {
        let other = self::name(other);
        return Err(format!("{taken} goes to another router, {other}, and not to {name} alone"));
    }
    Ok(node)
}

/// True where `narrow` lies in `wide` and is not the same.
fn inside(narrow: &Prefix, wide: &Prefix) -> bool {
    narrow != wide && narrow.overlaps(wide) && length(narrow) > length(wide)
}

fn length(prefix: &Prefix) -> u8 {
    let text = prefix.to_string();
    text.rsplit('/').next().and_then(|length| length.parse().ok()).unwrap_or_default()
}

/// How a path is while it is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// True where this side's node is on the tailnet, and the control server hears it.
    pub this_online: bool,
    /// The router; none where it is not seen.
    pub router: Option<LiveRouter>,
    /// How long the router took to answer; none where that is not known.
    pub latency: Option<Duration>,
    /// What is wrong, in the daemon's words, clean.
    pub health: Vec<String>,
}

/// How the router is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveRouter {
    /// True where the control server hears it.
    pub online: bool,
    /// How it is reached.
    pub way: Way,
    /// Bytes received from it.
    pub received: u64,
    /// Bytes sent to it.
    pub sent: u64,
}

/// Reads how a path is.
#[must_use]
pub fn live(status: &Status, router: &str, latency: Option<Duration>) -> Live {
    let is_running = status.backend_state == BackendState::Running;
    let count = |bytes: i64| u64::try_from(bytes).unwrap_or_default();
    Live {
        this_online: is_running && status.this.as_ref().is_some_and(|this| this.online),
        router: status.peer(router).map(|node| LiveRouter {
            online: node.online,
            way: node.way(),
            received: count(node.rx_bytes),
            sent: count(node.tx_bytes),
        }),
        latency,
        health: status.health.iter().take(HEALTH_MAX).map(|line| text::shown(line)).collect(),
    }
}

impl Live {
    /// The same in lines for people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let online = |is: bool| if is { "online" } else { "not online" };
        let mut lines = vec![format!("this side's node: {}", online(self.this_online))];
        match &self.router {
            None => lines.push("router: not seen".to_owned()),
            Some(router) => {
                lines.push(format!("router: {}, {}", online(router.online), router.way));
                let (received, sent) = (router.received, router.sent);
                lines.push(format!("bytes: {received} received, {sent} sent"));
            }
        }
        lines.push(match self.latency {
            Some(latency) => format!("latency: {} ms", latency.as_millis()),
            None => "latency: unknown".to_owned(),
        });
        lines.extend(self.health.iter().map(|line| format!("warning: {line}")));
        lines
    }
}

fn name(node: &Node) -> String {
    format!("`{}`", text::clean(&node.host_name, 64))
}

/// How many warnings are shown.
const HEALTH_MAX: usize = 10;
/// How a daemon's warning on a failed sign-in goes on before it says why.
const LOGIN_ERROR: &str = "The last login error was:";

#[cfg(test)]
mod tests {
    use super::super::status::tests::RUNNING;
    use super::*;

    fn status() -> Status {
        serde_json::from_str(RUNNING).unwrap()
    }

    fn route() -> Prefix {
        "10.20.0.5/32".parse().unwrap()
    }

    fn refusal(change: impl FnOnce(&mut Status)) -> String {
        let mut status = status();
        change(&mut status);
        is_route_here(&status, "nROUTER", &route()).unwrap_err()
    }

    #[test]
    fn a_route_is_here_where_an_online_router_alone_carries_it() {
        assert_eq!(is_route_here(&status(), "nROUTER", &route()), Ok(()));
        let wide = "10.20.0.0/16".parse().unwrap();
        let mut status = status();
        status.peers[1].allowed.push(wide);
        let here = is_route_here(&status, "nROUTER", &route());
        assert_eq!(here, Ok(()), "the longest prefix wins, and that is ours");
    }

    #[test]
    fn everything_else_is_said() {
        let same = |s: &mut Status| s.peers[1].primary_routes.push(route());
        let join = |s: &mut Status| {
            s.backend_state = BackendState::NeedsLogin;
            s.auth_url = "https://login.example".to_owned();
        };
        let got = [
            refusal(join),
            refusal(|s| s.backend_state = BackendState::NeedsMachineAuth),
            refusal(|s| s.this.as_mut().unwrap().expired = true),
            refusal(|s| drop(s.peers.remove(0))),
            refusal(|s| s.peers[0].expired = true),
            refusal(|s| {
                s.peers[0].allowed.clear();
                s.peers[0].primary_routes.clear();
            }),
            refusal(same),
            refusal(|s| s.peers[0].online = false),
            refusal(|s| {
                s.peers[0].host_name = "bad\u{1b}[2J".to_owned();
                s.peers[0].online = false;
            }),
        ];
        let words = [
            "this side's node is not signed in to the tailnet; its auth key did not count",
            "this side's node waits for an administrator to approve it",
            "the key of this side's node has expired",
            "this side's node does not see the router: the policy of the tailnet must let this node \
             reach the route",
            "the key of the router `bg-router` has expired",
            "the router `bg-router` does not carry 10.20.0.5/32 (yet)",
            "10.20.0.5/32 goes to another router, `laptop`, and not to `bg-router` alone",
            "the router `bg-router` is not connected to the control server",
            "the router `bad<1B>[2J` is not connected to the control server",
        ];
        assert_eq!(got, words);
        let none = is_route_here(&status(), "", &route()).unwrap_err();
        assert!(none.contains("does not see"), "{none}");
    }

    #[test]
    fn a_failed_sign_in_says_why() {
        let mut status = status();
        assert_eq!(not_joined(&status), None);
        status.backend_state = BackendState::NeedsLogin;
        status.health = vec![
            "Tailscale is starting. Please wait.".to_owned(),
            "You are logged out. The last login error was: invalid key: API key kX not valid\u{1b}"
                .to_owned(),
        ];
        let why = "this side's node is not signed in to the tailnet: \
                   invalid key: API key kX not valid<1B>";
        assert_eq!(not_joined(&status).as_deref(), Some(why));
    }

    #[test]
    fn a_narrower_range_of_another_router_takes_a_part_away() {
        let mut status = status();
        let wide: Prefix = "10.20.0.0/24".parse().unwrap();
        status.peers[0].allowed.push(wide);
        assert_eq!(is_route_here(&status, "nROUTER", &wide), Ok(()));
        status.peers[1].allowed.push("10.20.0.128/25".parse().unwrap());
        let why = is_route_here(&status, "nROUTER", &wide).unwrap_err();
        assert!(why.contains("10.20.0.128/25 goes to another router"), "{why}");
    }

    #[test]
    fn an_open_path_is_described() {
        let mut status = status();
        status.health = vec!["odd\u{1b}".to_owned()];
        let seen = live(&status, "nROUTER", Some(Duration::from_millis(21)));
        assert_eq!(
            seen.lines(),
            [
                "this side's node: online",
                "router: online, through the relay fra",
                "bytes: 2048 received, 512 sent",
                "latency: 21 ms",
                "warning: odd<1B>",
            ]
        );
        status.backend_state = BackendState::Starting;
        let lost = live(&status, "nGONE", None);
        let lines = lost.lines();
        assert_eq!(
            lines[..3],
            ["this side's node: not online", "router: not seen", "latency: unknown"]
        );
    }
}
