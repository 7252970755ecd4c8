//! Providers as people read them: a row each, or a page of one.

use super::super::provider_docs::ProviderDoc;
use crate::cli::output::{Terminal, Tone};
use crate::cli::table::Table;
use crate::cli::words::Times;
use crate::cli::{Context, abilities, ask};
use crate::domain::provider::{Health, ProviderSetup, SshSetup};
use crate::domain::tailscale::{DataPath, TailscaleSetup};
use crate::domain::text::counted;
use crate::domain::time::Timestamp;
use crate::domain::twingate::{ClientPath, TwingateSetup};
use crate::error::Report;
use crate::protocol::{EngineHandle, ProviderView};

/// Prints a row for each provider.
pub(super) async fn list(
    engine: &EngineHandle,
    providers: &[ProviderView],
    context: &mut Context<'_>,
) -> Result<(), Report> {
    let times = &ask::times(engine, context.wall()).await?;
    if context.out.is_json() {
        let docs: Vec<_> = providers.iter().map(|view| ProviderDoc::new(view, times)).collect();
        return context.out.document("providers", &docs);
    }
    let headings = [
        "ID", "KIND", "ENABLED", "HEALTH", "MISSING", "KEY", "CHECKED", "LATENCY", "SESSIONS",
        "ABOUT",
    ];
    let mut table = Table::new(context.out.terminal(), &headings, &["HEALTH", "MISSING", "ABOUT"])
        .sparing(&["ABOUT", "LATENCY", "CHECKED", "MISSING", "KEY"]);
    for view in providers {
        let (health, tone) = health(view);
        let checked = view.checked_at.map(|at| format!("{} ago", times.ago(at)));
        let missing: Vec<_> = view.missing().collect();
        let (missing, missing_tone) = match missing.as_slice() {
            [] => ("-".to_owned(), Tone::Plain),
            missing => (missing.join(", "), Tone::Alarm),
        };
        let (key, key_tone) = key(view, times);
        table.row([
            (view.id.as_str(), Tone::Plain),
            (&view.label, Tone::Plain),
            (if view.enabled { "yes" } else { "no" }, Tone::Plain),
            (&health, tone),
            (&missing, missing_tone),
            (&key, key_tone),
            (checked.as_deref().unwrap_or("never"), Tone::Plain),
            (&latency(view), Tone::Plain),
            (&view.sessions.to_string(), Tone::Plain),
            (&view.about, Tone::Plain),
        ]);
    }
    context.out.data(&table.render())
}

/// Prints all that is known of one provider.
pub(super) async fn show(
    engine: &EngineHandle,
    view: &ProviderView,
    context: &mut Context<'_>,
) -> Result<(), Report> {
    let times = ask::times(engine, context.wall()).await?;
    if context.out.is_json() {
        return context.out.document("provider", &ProviderDoc::new(view, &times));
    }
    let page = page(view, &times, context.out.terminal());
    context.out.data(&page)
}

fn page(view: &ProviderView, times: &Times, terminal: Terminal) -> String {
    let (health, tone) = health(view);
    let checked = view.checked_at.map_or("never".to_owned(), |at| times.people(at));
    let keep = view.keep.as_ref().map_or("yes".to_owned(), |why| format!("no: {why}"));
    let enabled = if view.enabled { "yes" } else { "no: no new session gets a path here" };
    let mut rows = vec![
        ("provider", format!("{} ({})", view.id, terminal.text(&view.label))),
        ("about", terminal.text(&view.about)),
    ];
    rows.extend(settings(view, times, terminal));
    rows.extend([
        ("enabled", enabled.to_owned()),
        ("health", terminal.paint(tone, &terminal.text(&health))),
        ("checked", format!("{checked}, latency {}", latency(view))),
        ("sessions", view.sessions.to_string()),
        ("removable", terminal.text(&keep)),
    ]);
    let mut page: String =
        rows.iter().map(|(name, value)| format!("{name:<10} {value}\n")).collect();
    if let Some(validation) = view.validation.as_ref().filter(|it| !it.probe.checks.is_empty()) {
        page.push_str(&format!("\nabilities, seen {}\n", times.people(validation.probe.at)));
        page.push_str(&abilities::lines(&validation.probe, terminal));
    }
    if !view.errors.is_empty() {
        page.push_str("\nwhat went wrong last\n");
        for error in &view.errors {
            page.push_str(&format!("{}  {}\n", times.people(error.at), terminal.text(&error.text)));
        }
    }
    page
}

/// What the configuration says of a provider that is more than a name.
fn settings(view: &ProviderView, times: &Times, terminal: Terminal) -> Vec<(&'static str, String)> {
    let Some(settings) = &view.settings else { return vec![] };
    let mut lines = match &settings.setup {
        ProviderSetup::Direct => return vec![],
        ProviderSetup::Ssh(setup) => of_bastion(setup, terminal),
        ProviderSetup::Tailscale(setup) => of_tailnet(setup, terminal),
        ProviderSetup::Twingate(setup) => of_network(setup, terminal),
    };
    let default = if settings.default { "yes: it serves private targets of no site" } else { "no" };
    let (key, tone) = key(view, times);
    let key = if settings.setup.has_key() { format!("in the vault, {key}") } else { key };
    lines.push(("key", terminal.paint(tone, &key)));
    lines.push(("default", default.to_owned()));
    lines
}

fn of_bastion(setup: &SshSetup, terminal: Terminal) -> Vec<(&'static str, String)> {
    let file = |path: &std::path::PathBuf| terminal.text(&path.to_string_lossy());
    let to = &setup.destination;
    let lines = [
        Some(("host", terminal.text(&to.to_string()))),
        to.identity_file.as_ref().map(|path| ("identity", file(path))),
        to.known_hosts_file.as_ref().map(|path| ("host keys", file(path))),
    ];
    lines.into_iter().flatten().collect()
}

fn of_tailnet(setup: &TailscaleSetup, terminal: Terminal) -> Vec<(&'static str, String)> {
    let tailnet = &setup.tailnet;
    let file = |path: &std::path::PathBuf| terminal.text(&path.to_string_lossy());
    let reached = match setup.data_path {
        DataPath::Node => "by a node of the session's own",
        DataPath::Host => "by the node that this host is",
    };
    let policy = if setup.edit_policy { "edited for each session" } else { "left alone" };
    let lines = [
        Some(("tailnet", terminal.text(&tailnet.to_string()))),
        tailnet.user.map(|user| ("user", user.to_string())),
        tailnet.ca_file.as_ref().map(|path| ("CA file", file(path))),
        Some(("tags", format!("{} and {}", setup.router_tag, setup.operator_tag))),
        Some(("reached", reached.to_owned())),
        Some(("policy", policy.to_owned())),
        Some(("image", terminal.text(&setup.router_image))),
    ];
    lines.into_iter().flatten().collect()
}

fn of_network(setup: &TwingateSetup, terminal: Terminal) -> Vec<(&'static str, String)> {
    let reached = match setup.data_path {
        ClientPath::Host => "by the client that this host runs".to_owned(),
        ClientPath::Proxy(proxy) => format!("by the proxy of a client at {proxy}"),
    };
    vec![
        ("network", setup.network.host()),
        ("group", terminal.text(setup.group.as_str())),
        ("reached", reached),
        ("image", terminal.text(&setup.connector_image)),
    ]
}

/// Whose key it is and when it ends, as far as that is known.
fn key(view: &ProviderView, times: &Times) -> (String, Tone) {
    let ends = view.validation.as_ref().and_then(|validation| validation.key_expires_at);
    let has_key = view.settings.as_ref().is_some_and(|settings| settings.setup.has_key());
    match ends {
        Some(at) => {
            let soon = times.left(at).as_seconds() < KEY_SECONDS_GOOD;
            (key_ends(at, times), if soon { Tone::Alarm } else { Tone::Plain })
        }
        None if has_key => ("no end known".to_owned(), Tone::Plain),
        None => ("-".to_owned(), Tone::Plain),
    }
}

/// When a key ends, in words.
pub(super) fn key_ends(at: Timestamp, times: &Times) -> String {
    let left = times.left(at);
    match usize::try_from(left.as_seconds() / DAY_SECONDS).unwrap_or(usize::MAX) {
        _ if left.as_seconds() == 0 => "HAS EXPIRED".to_owned(),
        0 => format!("ends in {left}"),
        days => format!("ends in {}", counted(days, "day")),
    }
}

fn health(view: &ProviderView) -> (String, Tone) {
    match &view.health {
        Health::Healthy => ("healthy".to_owned(), Tone::Good),
        Health::Degraded { why } => (format!("degraded: {why}"), Tone::Odd),
        Health::Down { why } => (format!("DOWN: {why}"), Tone::Alarm),
    }
}

fn latency(view: &ProviderView) -> String {
    view.latency_millis.map_or("-".to_owned(), |millis| format!("{millis} ms"))
}

const DAY_SECONDS: u64 = 24 * 60 * 60;

/// A key that ends sooner is shown as an alarm.
const KEY_SECONDS_GOOD: u64 = 14 * DAY_SECONDS;
