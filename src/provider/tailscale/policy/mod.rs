//! The tailnet's policy file: edited with every comment kept, and edited back.
//!
//! A session that needs a rule adds it, with the tags it speaks of, and takes away later exactly
//! what it added. In between the file belongs to others as well: administrators, pipelines, other
//! sessions. Hence
//!
//! - a revert is an edit of the text as it is then. No copy is ever put back;
//! - bytes outside the edit stay as they are, and when all who added have taken away, in whatever
//!   order, the bytes are those of the beginning;
//! - what is in the file already is somebody else's: it is not added, so it is not taken away;
//! - what others refer to by then stays, and is named ([`Reverted`]);
//! - the rules section is never created nor removed: without one everybody may reach everything;
//! - every edit is proven on the two texts, by code that did not make it.
//!
//! Not here: asking for the file, sending it, and time.
//!
//! | File | What it does |
//! |---|---|
//! | `reading` | the text as values with their places, strictly |
//! | `splice` | adding and taking away |
//! | `proof` | the difference between two texts |
//! | `asked` | what else is asked of a policy file |
//! | `diff` | the same for a person |
//! | `fault` | why a file is left as it is |

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::Range;

use jsonc_parser::ast::Value;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

pub use self::asked::{check, owners, whatever};
pub use self::diff::diff;
pub use self::fault::{PolicyFault, Position};
use self::reading::{Container, Kind, Path, kind, lookup, member, read};
use self::splice::{Entry, Fresh};

mod asked;
mod diff;
mod fault;
mod proof;
mod reading;
mod splice;
#[cfg(test)]
mod tests;

/// What a session needs to find in the policy file.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The tag of this side's node, `tag:` included.
    pub operator_tag: String,
    /// The tag of the router.
    pub router_tag: String,
    /// Who may assign both tags, besides the administrators of the tailnet.
    pub owners: Vec<String>,
    /// What the operator's node may reach, over TCP.
    pub target: SocketAddr,
    /// A route that the router may offer without being asked, as a CIDR.
    pub route: Option<String>,
}

/// All that an edit added: enough to take it away again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// The values.
    pub items: Vec<Item>,
    /// The objects and lists that were not there before: each as the names on the way to it.
    pub created: Vec<Vec<String>>,
}

/// A value that an edit added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The object or list that it is in, as the names on the way to it.
    pub within: Vec<String>,
    /// Its name, in an object.
    pub name: Option<String>,
    /// The value.
    pub value: Json,
}

/// A policy file with what was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The whole text.
    pub text: String,
    /// What is in it that was not before.
    pub added: Added,
}

/// A policy file without what was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reverted {
    /// Something was there and was taken away.
    Text {
        /// The whole text.
        text: String,
        /// The tags that stayed since others refer to them by now; a later revert may take them.
        kept: Vec<String>,
    },
    /// There is nothing to take away.
    NothingLeft {
        /// The tags that stay since others refer to them.
        kept: Vec<String>,
    },
}

/// How much of what was added is in a policy file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Everything.
    All,
    /// Some of it.
    Part,
    /// Nothing.
    None,
}

/// Adds what is wanted and not there.
///
/// The rule is added even when an equal one is there, since its owner may take that away. It is a
/// grant, or an entry of `acls` where the file has those and no `grants`.
///
/// # Errors
///
/// When the file is not one that can be edited safely.
pub fn edit(text: &str, wanted: &Wanted) -> Result<Edited, PolicyFault> {
    let before = read(text)?;
    let items = missing(text, &before, wanted)?;
    let mut places: BTreeMap<Path, Vec<Entry>> = BTreeMap::new();
    let mut created = vec![];
    for item in &items {
        let depth = depth_there(text, &before, &item.within)?;
        let (there, new) = item.within.split_at_checked(depth).unwrap_or_default();
        place(places.entry(there.to_vec()).or_default(), there, new, item, &mut created);
    }
    let unit = splice::unit(&Container::open(text, &before));
    let mut changes = vec![];
    for (path, entries) in &places {
        if let Some(value) = lookup(text, &before, path)? {
            changes.extend(splice::add(&Container::open(text, value), unit, entries));
        }
    }
    let added = Added { items, created };
    let after = splice::apply(text, changes);
    prove(&before, &after, |before, after| proof::differ_by(before, after, &added))?;
    Ok(Edited { text: after, added })
}

/// Takes away what an edit added, as far as it is there and nobody else refers to it.
///
/// # Errors
///
/// When the file is not one that can be edited safely.
pub fn revert(text: &str, added: &Added) -> Result<Reverted, PolicyFault> {
    let before = read(text)?;
    let mut found = find(text, &before, added)?;
    let kept = keep_what_others_use(&before, &mut found);
    let mut taken = Added { items: vec![], created: vec![] };
    let mut marks: BTreeMap<Path, BTreeSet<usize>> = BTreeMap::new();
    for one in found {
        marks.entry(one.item.within.clone()).or_default().insert(one.part);
        taken.items.push(one.item.clone());
    }
    taken.created = collapse(text, &before, added, &mut marks)?;
    let mut changes = vec![];
    for (path, marked) in &marks {
        if let Some(value) = lookup(text, &before, path)? {
            changes.extend(splice::take(&Container::open(text, value), marked));
        }
    }
    if changes.is_empty() {
        return Ok(Reverted::NothingLeft { kept });
    }
    let after = splice::apply(text, changes);
    prove(&before, &after, |before, after| proof::differ_by(after, before, &taken))?;
    Ok(Reverted::Text { text: after, kept })
}

/// Returns how much of what an edit added is there.
///
/// # Errors
///
/// When the file cannot be read.
pub fn presence(text: &str, added: &Added) -> Result<Presence, PolicyFault> {
    let root = read(text)?;
    let found = find(text, &root, added)?.len();
    Ok(match found {
        0 => Presence::None,
        all if all == added.items.len() => Presence::All,
        _ => Presence::Part,
    })
}

/// Holds the finished text against the one before.
fn prove(
    before: &Value<'_>,
    after: &str,
    holds: impl Fn(&Value<'_>, &Value<'_>) -> bool,
) -> Result<(), PolicyFault> {
    let after = read(after).map_err(|_| PolicyFault::Unproven)?;
    if holds(before, &after) { Ok(()) } else { Err(PolicyFault::Unproven) }
}

/// Returns what is wanted and not there.
fn missing(text: &str, root: &Value<'_>, wanted: &Wanted) -> Result<Vec<Item>, PolicyFault> {
    let mut items = vec![];
    let tag_owners = vec!["tagOwners".to_owned()];
    let owned = lookup(text, root, &tag_owners)?;
    for tag in [&wanted.operator_tag, &wanted.router_tag] {
        let twice = items.iter().any(|item: &Item| item.name.as_ref() == Some(tag));
        let there = match owned {
            Some(Value::Object(object)) => member(text, object, &tag_owners, tag)?.is_some(),
            _ => false,
        };
        if !there && !twice {
            let (within, name) = (tag_owners.clone(), Some(tag.clone()));
            items.push(Item { within, name, value: json!(wanted.owners) });
        }
    }
    items.push(rule(text, root, wanted)?);
    if let Some(route) = &wanted.route {
        let within = vec!["autoApprovers".to_owned(), "routes".to_owned(), route.clone()];
        let value = json!(wanted.router_tag);
        let there = lookup(text, root, &within)?.is_some_and(|list| {
            Container::open(text, list).parts.iter().any(|part| proof::json(part.value) == value)
        });
        if !there {
            items.push(Item { within, name: None, value });
        }
    }
    Ok(items)
}

/// Returns the rule in the form that the file has.
fn rule(text: &str, root: &Value<'_>, wanted: &Wanted) -> Result<Item, PolicyFault> {
    let (grants, acls) = (vec!["grants".to_owned()], vec!["acls".to_owned()]);
    let has_grants = lookup(text, root, &grants)?.is_some();
    let has_acls = lookup(text, root, &acls)?.is_some();
    let (source, target) = (&wanted.operator_tag, wanted.target);
    let (within, value) = match (has_grants, has_acls) {
        (true, _) => (grants, asked::grant(source, target)),
        (false, true) => (acls, asked::entry(source, target)),
        (false, false) => return Err(PolicyFault::NoRules),
    };
    Ok(Item { within, name: None, value })
}

/// Returns the address as it stands before the colon of a port.
fn bracketed(target: SocketAddr) -> String {
    if target.is_ipv6() { format!("[{}]", target.ip()) } else { target.ip().to_string() }
}

/// Returns how many names of a path lead to something that is there.
fn depth_there(text: &str, root: &Value<'_>, path: &[String]) -> Result<usize, PolicyFault> {
    let mut depth = 0;
    while depth < path.len()
        && lookup(text, root, path.get(..=depth).unwrap_or_default())?.is_some()
    {
        depth += 1;
    }
    Ok(depth)
}

/// Puts an item among entries, in containers that are created where they are missing.
fn place(
    entries: &mut Vec<Entry>,
    there: &[String],
    new: &[String],
    item: &Item,
    created: &mut Vec<Path>,
) {
    let Some((name, deeper)) = new.split_first() else {
        let fresh = Fresh::Plain(item.value.clone());
        entries.push(Entry { name: item.name.clone(), fresh });
        return;
    };
    let path: Path = there.iter().chain([name]).cloned().collect();
    if !created.contains(&path) {
        let fresh = Fresh::Holder(kind(&path).unwrap_or(Kind::Object), vec![]);
        entries.push(Entry { name: Some(name.clone()), fresh });
        created.push(path.clone());
    }
    let holder = entries.iter_mut().find(|entry| entry.name.as_ref() == Some(name));
    if let Some(Entry { fresh: Fresh::Holder(_, inner), .. }) = holder {
        place(inner, &path, deeper, item, created);
    }
}

/// An item that is there.
struct Found<'i> {
    item: &'i Item,
    /// Which part of its container it is.
    part: usize,
    /// Its bytes.
    range: Range<usize>,
}

/// Finds the items that are there with an equal value; each in a place of its own.
fn find<'i>(text: &str, root: &Value<'_>, added: &'i Added) -> Result<Vec<Found<'i>>, PolicyFault> {
    let mut found: Vec<Found<'i>> = vec![];
    for item in &added.items {
        let Some(value) = lookup(text, root, &item.within)? else { continue };
        if let (Value::Object(object), Some(name)) = (value, &item.name) {
            member(text, object, &item.within, name)?;
        }
        let container = Container::open(text, value);
        let fits = |at: &usize| {
            container.parts.get(*at).is_some_and(|part| {
                part.name == item.name.as_deref() && proof::json(part.value) == item.value
            }) && !found.iter().any(|one| one.part == *at && one.item.within == item.within)
        };
        let part = (0..container.parts.len()).rev().find(fits);
        if let Some((part, there)) = part.and_then(|at| Some((at, container.parts.get(at)?))) {
            found.push(Found { item, part, range: there.range.clone() });
        }
    }
    Ok(found)
}

/// Takes the tags out of `found` that something else in the file refers to, and returns them.
fn keep_what_others_use(root: &Value<'_>, found: &mut Vec<Found<'_>>) -> Vec<String> {
    let mut kept = vec![];
    loop {
        let taken: Vec<_> = found.iter().map(|one| one.range.clone()).collect();
        let used = found
            .iter()
            .position(|one| one.item.name.as_ref().is_some_and(|tag| mentions(root, tag, &taken)));
        let Some(used) = used else { return kept };
        kept.extend(found.remove(used).item.name.clone());
    }
}

/// True when the tag is named in a value outside these bytes.
fn mentions(value: &Value<'_>, tag: &str, outside: &[Range<usize>]) -> bool {
    let about = |text: &str| {
        text.strip_prefix(tag).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    let skipped = |start: usize| outside.iter().any(|range| range.start == start);
    match value {
        Value::StringLit(text) => about(&text.value),
        Value::Array(array) => array.elements.iter().any(|value| {
            !skipped(jsonc_parser::common::Ranged::start(value)) && mentions(value, tag, outside)
        }),
        Value::Object(object) => object.properties.iter().any(|property| {
            !skipped(property.range.start)
                && (about(property.name.as_str()) || mentions(&property.value, tag, outside))
        }),
        _ => false,
    }
}

/// Marks the containers that would stay behind empty, instead of what is in them.
///
/// A session that adds to what another created leaves nothing either: what a session creates has
/// a comma at its end, and what was empty before has none.
fn collapse(
    text: &str,
    root: &Value<'_>,
    added: &Added,
    marks: &mut BTreeMap<Path, BTreeSet<usize>>,
) -> Result<Vec<Path>, PolicyFault> {
    let within = added.items.iter().map(|item| &item.within).chain(&added.created);
    let prefixes = within.flat_map(|path| (1..=path.len()).filter_map(|end| path.get(..end)));
    let mut paths: Vec<_> = prefixes.collect::<BTreeSet<_>>().into_iter().collect();
    paths.sort_by_key(|path| std::cmp::Reverse(path.len()));
    let mut gone = vec![];
    for path in paths {
        let rules = matches!(path, [one] if one == "grants" || one == "acls");
        let Some((name, parent)) = path.split_last().filter(|_| !rules) else { continue };
        let Some(value) = lookup(text, root, path)? else { continue };
        let container = Container::open(text, value);
        let all_marked = container.parts.len() == marks.get(path).map_or(0, BTreeSet::len);
        let ours = container.trails() || added.created.iter().any(|own| own == path);
        if !all_marked || !ours || container.commented() {
            continue;
        }
        let Some(Value::Object(holder)) = lookup(text, root, parent)? else { continue };
        let Some(own) = member(text, holder, parent, name)? else { continue };
        marks.retain(|inner, _| !inner.starts_with(path));
        let index = holder.properties.iter().position(|property| std::ptr::eq(property, own));
        marks.entry(parent.to_vec()).or_default().extend(index);
        gone.push(path.to_vec());
    }
    Ok(gone)
}
