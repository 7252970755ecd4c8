//! The proof that two policy files differ by what they should, and by nothing else.
//!
//! It reads the finished texts and knows nothing of how the edit was made.

use std::collections::BTreeMap;

use jsonc_parser::ast::{Object, Value};
use serde_json::Value as Json;

use super::reading::{Kind, Path, canonical, kind};
use super::{Added, Item};

/// Returns true when `large` is `small` with exactly these items and containers more.
pub(super) fn differ_by(small: &Value<'_>, large: &Value<'_>, by: &Added) -> bool {
    let mut found = Added { items: vec![], created: vec![] };
    walk(small, large, &[], &mut found)
        && same_items(&found.items, &by.items)
        && same_items(&found.created, &by.created)
}

/// Returns true when both lists hold the same, in any order.
fn same_items<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    let count = |all: &[T], item: &T| all.iter().filter(|each| *each == item).count();
    one.len() == other.len() && one.iter().all(|item| count(one, item) == count(other, item))
}

/// Collects what `large` has more; false when it has something less, or other.
fn walk(small: &Value<'_>, large: &Value<'_>, path: &[String], more: &mut Added) -> bool {
    match (kind(path), small, large) {
        (Some(Kind::Object), Value::Object(small), Value::Object(large)) => {
            walk_object(small, large, path, more)
        }
        (Some(Kind::List), Value::Array(small), Value::Array(large)) => {
            let mut rest = small.elements.iter().peekable();
            for value in &large.elements {
                if rest.next_if(|own| same(own, value)).is_none() {
                    more.items.push(Item { within: path.to_vec(), name: None, value: json(value) });
                }
            }
            rest.next().is_none()
        }
        _ => same(small, large),
    }
}

fn walk_object(small: &Object<'_>, large: &Object<'_>, path: &[String], more: &mut Added) -> bool {
    let mut rest = small.properties.iter().peekable();
    for property in &large.properties {
        let name = property.name.as_str();
        let inner = below(path, name);
        match rest.next_if(|own| own.name.as_str() == name) {
            Some(own) if !walk(&own.value, &property.value, &inner, more) => return false,
            Some(_) => {}
            None => expand(&property.value, path, name, more),
        }
    }
    rest.next().is_none()
}

/// Takes in a member that only the larger one has: as an item, or as a container of items.
fn expand(value: &Value<'_>, within: &[String], name: &str, more: &mut Added) {
    let path = below(within, name);
    match (kind(&path), value) {
        (Some(Kind::Object), Value::Object(object)) => {
            for property in &object.properties {
                expand(&property.value, &path, property.name.as_str(), more);
            }
            more.created.push(path);
        }
        (Some(Kind::List), Value::Array(array)) => {
            let item = |value| Item { within: path.clone(), name: None, value: json(value) };
            more.items.extend(array.elements.iter().map(item));
            more.created.push(path);
        }
        _ => {
            let (within, name) = (within.to_vec(), Some(name.to_owned()));
            more.items.push(Item { within, name, value: json(value) });
        }
    }
}

fn below(within: &[String], name: &str) -> Path {
    let mut path = within.to_vec();
    path.push(canonical(within, name));
    path
}

/// Returns true when two values mean the same: white space, comments and the order of names aside.
/// Numbers are the same when they are written the same.
pub(super) fn same(one: &Value<'_>, other: &Value<'_>) -> bool {
    match (one, other) {
        (Value::StringLit(one), Value::StringLit(other)) => one.value == other.value,
        (Value::NumberLit(one), Value::NumberLit(other)) => one.value == other.value,
        (Value::BooleanLit(one), Value::BooleanLit(other)) => one.value == other.value,
        (Value::NullKeyword(_), Value::NullKeyword(_)) => true,
        (Value::Array(one), Value::Array(other)) => {
            one.elements.len() == other.elements.len()
                && one.elements.iter().zip(&other.elements).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => same_objects(one, other),
        _ => false,
    }
}

fn same_objects(one: &Object<'_>, other: &Object<'_>) -> bool {
    let pairs = || one.properties.iter().zip(&other.properties);
    if one.properties.len() != other.properties.len() {
        return false;
    }
    if pairs().all(|(one, other)| one.name.as_str() == other.name.as_str()) {
        return pairs().all(|(one, other)| same(&one.value, &other.value));
    }
    let by_name = |object: &Object<'_>| -> Vec<usize> {
        let mut order: Vec<_> = (0..object.properties.len()).collect();
        order.sort_by_key(|at| object.properties.get(*at).map(|own| own.name.as_str().to_owned()));
        order
    };
    by_name(one).into_iter().zip(by_name(other)).all(|(left, right)| {
        let (left, right) = (one.properties.get(left), other.properties.get(right));
        left.zip(right).is_some_and(|(left, right)| {
            left.name.as_str() == right.name.as_str() && same(&left.value, &right.value)
        })
    })
}

/// Returns the value without its place.
pub(super) fn json(value: &Value<'_>) -> Json {
    match value {
        Value::StringLit(text) => Json::from(text.value.as_ref()),
        Value::NumberLit(number) => serde_json::from_str(number.value).unwrap_or(Json::Null),
        Value::BooleanLit(boolean) => Json::from(boolean.value),
        Value::NullKeyword(_) => Json::Null,
        Value::Array(array) => array.elements.iter().map(json).collect(),
        Value::Object(object) => {
            let field = |own: &jsonc_parser::ast::ObjectProp<'_>| {
                (own.name.as_str().to_owned(), json(&own.value))
            };
            Json::Object(
                object
                    .properties
                    .iter()
                    .map(field)
                    .collect::<BTreeMap<_, _>>()
                    .into_iter()
                    .collect(),
            )
        }
    }
}
