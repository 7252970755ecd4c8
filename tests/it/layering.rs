//! No import runs up.
//!
//! The table below is the one in `src/lib.rs`; this test reads every path in `src` outside tests
//! and holds the code to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::source::{Source, paths, rust_below};

/// Where a folder stands, and on which side of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// In the trunk: pure rules, contracts, the engine, the wiring.
    Trunk,
    /// The engine uses it.
    Adapter,
    /// It uses the engine's protocol.
    Face,
}

use Side::{Adapter, Face, Trunk};

/// Every top-level module with its layer. A new one is given its place here, or nowhere.
const TABLE: &[(&str, u8, Side)] = &[
    ("domain", 1, Trunk),
    ("error", 1, Trunk),
    ("logging", 1, Trunk),
    ("session", 2, Trunk),
    ("approval", 2, Trunk),
    ("protocol", 2, Trunk),
    ("config", 2, Trunk),
    ("vault", 2, Trunk),
    ("http", 2, Trunk),
    ("process", 2, Trunk),
    ("ssh", 2, Trunk),
    ("clock", 2, Trunk),
    ("provider", 3, Adapter),
    ("launcher", 3, Adapter),
    ("forward", 3, Adapter),
    ("credential", 3, Adapter),
    ("identity", 3, Adapter),
    ("store", 3, Adapter),
    ("tui", 3, Face),
    ("cli", 3, Face),
    ("socket", 3, Face),
    ("engine", 4, Trunk),
    ("app", 5, Trunk),
    ("main", 6, Trunk),
];

/// All that a face may know. `config` tells it how to look and `clock` what time it is; neither
/// decides anything.
const KNOWN_TO_FACES: &[&str] = &["domain", "protocol", "config", "clock", "error", "logging"];

/// Folders whose `mod.rs` is a contract: what lies below it is known to itself and to `app`.
const CONTRACTS: &[&str] = &["provider", "launcher", "credential", "store"];

/// What belongs to a contract though it has a file of its own: the same for all that fulfil it.
const SHARED_IN_CONTRACT: &[(&str, &str)] = &[
    ("store", "chain"),
    ("launcher", "marked"),
    ("launcher", "order"),
    ("launcher", "transport"),
    ("launcher", "way"),
    ("provider", "change"),
    ("provider", "checks"),
    ("provider", "key"),
    ("provider", "left"),
    ("provider", "pace"),
];

/// What puts all that fulfil a contract behind one face of it.
const GATHERS: &[(&str, &str)] = &[("launcher", "kinds")];

/// Modules that decide and touch nothing.
const PURE: &[&str] = &["domain", "session", "approval"];

/// What a pure module must not name.
const IMPURE: &[&[&str]] = &[
    &["async"],
    &["tokio"],
    &["crate", "clock"],
    &["std", "fs"],
    &["std", "env"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "net", "TcpStream"],
    &["std", "net", "TcpListener"],
    &["std", "net", "UdpSocket"],
];

#[test]
fn no_import_runs_up_and_nothing_pure_touches_the_world() {
    let complaints = check(&rust_below("src/"));
    assert!(complaints.is_empty(), "the layers do not hold:\n  {}", complaints.join("\n  "));
}

/// Returns a line for everything that breaks the table.
fn check(sources: &[Source]) -> Vec<String> {
    let code: Vec<_> = sources.iter().filter(|source| !source.is_test()).map(Code::new).collect();
    let children = children(&code);
    let mut complaints = vec![];
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in &code {
        let own = file.module();
        let Some(place) = place(own) else {
            complaints.push(format!("{}: `{own}` has no layer; give it one", file.path));
            continue;
        };
        if PURE.contains(&own) {
            complaints.extend(file.impurities());
        }
        for path in file.imports() {
            let to = path[0].as_str();
            let said = path.join("::");
            let refused = refusal(own, place, to)
                .or_else(|| concrete(file, &path, &children))
                .map(|why| format!("{}: names `{said}`: {why}", file.path));
            complaints.extend(refused);
            if own != to && self::place(to).is_some_and(|(layer, _)| layer == place.0) {
                arrows.entry(own.to_owned()).or_default().insert(to.to_owned());
            }
        }
    }
    complaints.extend(map_with_code(sources));
    complaints.extend(circle(&arrows));
    complaints.sort();
    complaints.dedup();
    complaints
}

/// Why `own` may not name anything of `to`.
fn refusal(own: &str, (layer, side): (u8, Side), to: &str) -> Option<String> {
    if to == "*" {
        return Some("says nothing about what is meant; name it".to_owned());
    }
    let Some((to_layer, to_side)) = place(to) else {
        return Some(format!("`{to}` is no module with a layer"));
    };
    if own == to {
        return None;
    }
    if to_layer > layer {
        return Some(format!("`{own}` is in layer {layer}, `{to}` above it in layer {to_layer}"));
    }
    match (side, to_side) {
        (Face, _) if !KNOWN_TO_FACES.contains(&to) => {
            Some(format!("a face knows {} and nothing else", KNOWN_TO_FACES.join(", ")))
        }
        (Adapter, Adapter | Face) => Some("adapters never import each other or a face".to_owned()),
        (Trunk, Face) if layer < 5 => Some("only `app` knows a face".to_owned()),
        _ => None,
    }
}

/// Why this file may not name what lies below a contract.
fn concrete(
    file: &Code<'_>,
    path: &[String],
    children: &BTreeMap<&str, BTreeSet<&str>>,
) -> Option<String> {
    let (contract, child) = (path.first()?.as_str(), path.get(1)?.as_str());
    if !CONTRACTS.contains(&contract) || !children.get(contract)?.contains(child) {
        return None;
    }
    let own_child = file.place().get(1).map(String::as_str);
    match file.module() {
        "app" => None,
        own if own == contract && own_child.is_none_or(|own| own == child) => None,
        own if own == contract && SHARED_IN_CONTRACT.contains(&(contract, child)) => None,
        own if own == contract
            && own_child.is_some_and(|child| GATHERS.contains(&(contract, child))) =>
        {
            None
        }
        own if own == contract => Some("what fulfils a contract knows nobody beside it".to_owned()),
        _ => Some(format!("only `app` knows what fulfils the contract of `{contract}`")),
    }
}

/// The modules below each top-level one.
fn children<'a>(code: &'a [Code<'_>]) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut children: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in code {
        if let [top, child, ..] = file.place() {
            children.entry(top).or_default().insert(child);
        }
    }
    children
}

/// `lib.rs` is the map and nothing else.
fn map_with_code(sources: &[Source]) -> Option<String> {
    let map = sources.iter().find(|source| source.path == "src/lib.rs")?;
    let words = ["pub", "mod", "doc", "cfg"];
    let only_modules = paths(&map.tokens()).iter().all(|path| match path.as_slice() {
        [word] => words.contains(&word.as_str()) || place(word).is_some(),
        _ => false,
    });
    (!only_modules).then(|| "src/lib.rs: is the map; it holds `pub mod` lines only".to_owned())
}

/// Names a circle between modules of one layer, if there is one.
fn circle(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let mut left = arrows.clone();
    loop {
        let stuck: Vec<_> = left.keys().cloned().collect();
        let free = |to: &BTreeSet<String>| to.iter().all(|to| !stuck.contains(to));
        let before = left.len();
        left.retain(|_, to| !free(to));
        match left.len() {
            0 => return None,
            after if after == before => {
                return Some(format!(
                    "modules import each other in a circle: {}",
                    stuck.join(", ")
                ));
            }
            _ => {}
        }
    }
}

fn place(module: &str) -> Option<(u8, Side)> {
    TABLE.iter().find(|(name, ..)| *name == module).map(|(_, layer, side)| (*layer, *side))
}

/// A file with its place among the modules and what it names.
struct Code<'a> {
    path: &'a str,
    place: Vec<String>,
    named: Vec<Vec<String>>,
}

impl<'a> Code<'a> {
    fn new(source: &'a Source) -> Self {
        let inner = source.path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut place: Vec<_> = inner.split('/').map(ToOwned::to_owned).collect();
        if place.last().is_some_and(|last| last == "mod") {
            place.pop();
        }
        Self { path: &source.path, place, named: paths(&source.tokens_without_tests()) }
    }

    /// The module that it is, from the top.
    fn place(&self) -> &[String] {
        if self.place == ["lib"] { &[] } else { &self.place }
    }

    /// The top-level module that it belongs to. The map itself counts with `main`: it names all.
    fn module(&self) -> &str {
        self.place().first().map_or("main", String::as_str)
    }

    /// Every path of this crate that it names, from the top.
    fn imports(&self) -> Vec<Vec<String>> {
        self.named.iter().filter_map(|path| self.resolved(path)).collect()
    }

    fn resolved(&self, path: &[String]) -> Option<Vec<String>> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        let (from, rest): (&[String], _) = match path.first()?.as_str() {
            "crate" | "breakglass" => (&[], &path[1..]),
            "super" => (&self.place()[..self.place().len().checked_sub(ups)?], &path[ups..]),
            _ => return None,
        };
        let whole: Vec<_> = from.iter().chain(rest).cloned().collect();
        (!whole.is_empty()).then_some(whole)
    }

    fn impurities(&self) -> Vec<String> {
        let begins = |path: &[String], part: &[&str]| {
            path.len() >= part.len() && path.iter().zip(part).all(|(word, wanted)| word == wanted)
        };
        let named = |part: &&&[&str]| self.named.iter().any(|path| begins(path, part));
        let complaint = |part: &&[&str]| {
            format!("{}: names `{}`, but decides only", self.path, part.join("::"))
        };
        IMPURE.iter().filter(named).map(complaint).collect()
    }
}

fn complaints(samples: &[(&str, &str)]) -> String {
    let sources: Vec<_> = samples.iter().map(|(path, text)| Source::sample(path, text)).collect();
    check(&sources).join("\n")
}

#[test]
fn every_rule_can_fail() {
    let direct = ("src/provider/direct.rs", "");
    let knows_direct = "use crate::provider::{Provider, direct::Direct};";
    let samples: [&[(&str, &str)]; 15] = [
        &[("src/wizard.rs", "")],
        &[("src/domain/id.rs", "use crate::session::Entry;")],
        &[("src/domain/id.rs", "use crate::*;")],
        &[("src/tui/mod.rs", "use crate::engine::Engine;")],
        &[("src/tui/mod.rs", "use crate::session::Entry;")],
        &[("src/cli/mod.rs", "use crate::tui::run;")],
        &[("src/provider/mod.rs", "use crate::store::Store;")],
        &[("src/forward/mod.rs", "use crate::cli::run;")],
        &[("src/engine/mod.rs", "fn f() { crate::cli::run() }")],
        &[direct, ("src/engine/mod.rs", knows_direct)],
        &[direct, ("src/provider/tailscale/api.rs", "use super::super::direct::connect;")],
        &[("src/session/next.rs", "use std::{env, fs::File};")],
        &[("src/domain/id.rs", "pub async fn f() { tokio::task::yield_now().await }")],
        &[
            ("src/session/next.rs", "use crate::protocol::X;"),
            ("src/protocol/view.rs", "use super::super::session::Y;"),
        ],
        &[("src/lib.rs", "pub mod domain; pub fn code() {}")],
    ];
    let said: Vec<_> = samples.iter().map(|sample| complaints(sample)).collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    src/wizard.rs: `wizard` has no layer; give it one
    src/domain/id.rs: names `session::Entry`: `domain` is in layer 1, `session` above it in layer 2
    src/domain/id.rs: names `*`: says nothing about what is meant; name it
    src/tui/mod.rs: names `engine::Engine`: `tui` is in layer 3, `engine` above it in layer 4
    src/tui/mod.rs: names `session::Entry`: a face knows domain, protocol, config, clock, error, logging and nothing else
    src/cli/mod.rs: names `tui::run`: a face knows domain, protocol, config, clock, error, logging and nothing else
    src/provider/mod.rs: names `store::Store`: adapters never import each other or a face
    src/forward/mod.rs: names `cli::run`: adapters never import each other or a face
    src/engine/mod.rs: names `cli::run`: only `app` knows a face
    src/engine/mod.rs: names `provider::direct::Direct`: only `app` knows what fulfils the contract of `provider`
    src/provider/tailscale/api.rs: names `provider::direct::connect`: what fulfils a contract knows nobody beside it
    src/session/next.rs: names `std::env`, but decides only
    src/session/next.rs: names `std::fs`, but decides only
    src/domain/id.rs: names `async`, but decides only
    src/domain/id.rs: names `tokio`, but decides only
    modules import each other in a circle: protocol, session
    src/lib.rs: is the map; it holds `pub mod` lines only
    ");
}

#[test]
fn what_is_right_is_let_through() {
    let right = [
        ("src/lib.rs", "//! The map.\npub mod domain;"),
        ("src/main.rs", "use breakglass::app;"),
        ("src/app.rs", "use crate::provider::direct::Direct; use crate::{engine, tui};"),
        ("src/engine/mod.rs", "use crate::provider::Provider; use crate::store::Store;"),
        ("src/provider/mod.rs", "pub mod direct; pub use self::direct::Direct;"),
        ("src/provider/direct.rs", "use super::Provider; use crate::session::PlannedStep;"),
        ("src/tui/mod.rs", "use crate::{clock, config, domain::id, error, protocol};"),
        ("src/session/next.rs", "use std::net::SocketAddr; use super::state::Session;"),
        ("src/session/tests.rs", "use crate::provider::direct::Direct;"),
        ("src/error.rs", "use crate::domain::text; #[cfg(test)] mod tests { use crate::app; }"),
    ];
    assert_eq!(complaints(&right), "");
}
