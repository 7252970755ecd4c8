//! What is asked of a policy file besides an edit.

use std::net::SocketAddr;

use serde_json::json;

use super::reading::{lookup, read};
use super::{Added, Item, PolicyFault, Wanted, bracketed, proof};

/// Returns who may give a tag; nothing where the file does not know it.
///
/// # Errors
///
/// When the file cannot be read.
pub fn owners(text: &str, tag: &str) -> Result<Option<Vec<String>>, PolicyFault> {
    let root = read(text)?;
    let all = lookup(text, &root, &["tagOwners".to_owned()])?.map(proof::json);
    let found = all.as_ref().and_then(|all| all.get(tag));
    Ok(found.map(|owners| {
        let names = owners.as_array().into_iter().flatten();
        names.filter_map(|name| name.as_str().map(ToOwned::to_owned)).collect()
    }))
}

/// Reads a policy file as strictly as an edit does.
///
/// # Errors
///
/// Why it cannot be edited safely.
pub fn check(text: &str) -> Result<(), PolicyFault> {
    let root = read(text)?;
    let has = |name: &str| lookup(text, &root, &[name.to_owned()]).map(|it| it.is_some());
    if has("grants")? || has("acls")? { Ok(()) } else { Err(PolicyFault::NoRules) }
}

/// Returns everything that an edit may have added: for one whose outcome nobody wrote down. Of the two
/// forms of a rule at most one is there.
#[must_use]
pub fn whatever(wanted: &Wanted) -> Added {
    let owned = |tag: &String| Item {
        within: vec!["tagOwners".to_owned()],
        name: Some(tag.clone()),
        value: json!(wanted.owners),
    };
    let rule = |within: &str, value| Item { within: vec![within.to_owned()], name: None, value };
    let (source, target) = (&wanted.operator_tag, wanted.target);
    Added {
        items: vec![
            owned(&wanted.operator_tag),
            owned(&wanted.router_tag),
            rule("grants", grant(source, target)),
            rule("acls", entry(source, target)),
        ],
        created: vec![],
    }
}

/// A rule as a grant.
pub(super) fn grant(source: &str, target: SocketAddr) -> serde_json::Value {
    let ip = format!("tcp:{}", target.port());
    json!({"src": [source], "dst": [target.ip().to_string()], "ip": [ip]})
}

/// A rule as an entry of `acls`.
pub(super) fn entry(source: &str, target: SocketAddr) -> serde_json::Value {
    let dst = format!("{}:{}", bracketed(target), target.port());
    json!({"action": "accept", "src": [source], "proto": "tcp", "dst": [dst]})
}
