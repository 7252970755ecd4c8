//! Watches an open path: this side's node, the router, and how both do.

use std::net::IpAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::Tailscale;
use super::node::Status;
use super::node::reads::{leads_to, live};
use super::nodes::router;
use super::own::{api, daemon};
use super::route::Route;
use super::steps::{self, Action, Does, index, made};
use crate::domain::tailscale::DataPath;
use crate::provider::{Lost, Made, Told};

impl Tailscale {
    /// Returns once the way is surely gone.
    pub(super) async fn guard(&self, carried: &[Made], tell: mpsc::Sender<Told>) -> Lost {
        let Some((_, action)) = made(carried, Does::Check) else {
            return std::future::pending().await;
        };
        let router = router(carried).unwrap_or_default();
        let own = action.data_path == DataPath::Node;
        let here = if own { Does::StartNode } else { Does::SeeRoute };
        let route = steps::route(carried);
        let preview = self.preview(&action, route.as_ref().ok().map(Route::address)).await;
        let mut silent = Missing::default();
        let mut unseen = Missing::default();
        loop {
            if let Some(status) = look(&action).await {
                silent.seen();
                let latency = ping(&action, &status, &router).await;
                let lines = live(&status, &router, latency).lines().into_iter();
                // Where nobody reads, one more is of no use.
                tell.try_send(Told::Live(lines.chain(preview.clone()).collect())).ok();
                let leads = match &route {
                    Ok(route) => leads_to(&status, &router, &route.prefix),
                    Err(why) => Err(why.clone()),
                };
                let (may_be_off, why) = match leads {
                    // Only who answers is there: the control server learns late of a cut line.
                    Ok(peer) if peer.online || latency.is_some() => {
                        unseen.seen();
                        (Duration::MAX, String::new())
                    }
                    Ok(_) => (ROUTER_MAY_BE_OFF, "the router is off and does not come back".into()),
                    Err(why) => (ROUTE_MAY_LEAD_ELSEWHERE, why),
                };
                if unseen.has_lasted(may_be_off) {
                    return lost(carried, Does::AwaitRouter, why);
                }
            } else {
                if own && !daemon(&action).is_running().unwrap_or(true) {
                    let said = daemon(&action).complaint();
                    let said = said.map(|why| format!(": {why}")).unwrap_or_default();
                    return lost(carried, here, format!("`tailscaled` has ended{said}"));
                }
                if silent.has_lasted(NODE_MAY_BE_SILENT) {
                    let why = "`tailscaled` on this host does not answer".to_owned();
                    return lost(carried, here, why);
                }
            }
            if own {
                daemon(&action).trim_log();
                ends_or(&action, ROUND).await;
            } else {
                sleep(ROUND).await;
            }
        }
    }
}

impl Tailscale {
    /// What the policy in force says of this side's node and the target, as the path was opened; nothing
    /// where the server cannot tell, or is not there to be asked.
    async fn preview(&self, action: &Action, route: Option<IpAddr>) -> Option<String> {
        let asked = async {
            let control = self.control(action).await.ok()?;
            let tag = action.operator_tag.as_str();
            control.may_reach(tag, route.unwrap_or(action.address), action.port).await.ok()?
        };
        let may = timeout(PREVIEWED_WITHIN, asked).await.ok().flatten()?;
        let word = if may { "lets" } else { "does not let" };
        let (tag, port) = (&action.operator_tag, action.port);
        Some(format!("policy: {word} {tag} reach {} port {port}", action.address))
    }
}

/// Waits a while, or until this side's node has ended.
async fn ends_or(action: &Action, pause: Duration) {
    let daemon = daemon(action);
    tokio::select! {
        Ok(()) = daemon.gone() => {}
        () = sleep(pause) => {}
    }
}

/// How long the router takes to answer this side's node.
async fn ping(action: &Action, status: &Status, router: &str) -> Option<Duration> {
    let address = status.peer(router)?.addresses.first()?;
    let pinged = timeout(ANSWERS_WITHIN, api(action).ok()?.ping(*address)).await;
    pinged.ok()?.ok().map(|pinged| pinged.latency)
}

async fn look(action: &Action) -> Option<Status> {
    api(action).ok()?.status().await.ok()
}

fn lost(steps: &[Made], what: Does, why: String) -> Lost {
    Lost { step: index(steps, what).unwrap_or_default(), why }
}

/// For how long something has been missing.
#[derive(Debug, Default)]
struct Missing(Option<Instant>);

impl Missing {
    fn seen(&mut self) {
        self.0 = None;
    }

    fn has_lasted(&mut self, long: Duration) -> bool {
        long != Duration::MAX && self.0.get_or_insert_with(Instant::now).elapsed() >= long
    }
}

const PREVIEWED_WITHIN: Duration = Duration::from_secs(5);
const ROUND: Duration = Duration::from_secs(5);
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
/// The control server says whether a router is on; when it is restarted, everybody is off for a while.
const ROUTER_MAY_BE_OFF: Duration = Duration::from_secs(60);
const ROUTE_MAY_LEAD_ELSEWHERE: Duration = Duration::from_secs(10);
const NODE_MAY_BE_SILENT: Duration = Duration::from_secs(30);
