//! Our own extract of the vendors' interfaces, and what does not fit it.
//!
//! The extract lists operations and shapes. A type is a word, or words joined by `|`: `text`,
//! `flag`, `whole`, `number`, `null`, `time` (RFC 3339), `digits` (a text), `prefix`, `any`, `=word`
//! for that word alone, `@Shape`. `[type]` is a list, `{"*": type}` a map, and an object lists its
//! fields: one whose name ends in `?` may be missing, and no other may be there.

use serde_json::{Map, Value};

use super::super::faulty_server::{HttpAnswer, HttpCall};
use super::rules::prefix;

/// An extract.
pub struct Interface {
    operations: Vec<Value>,
    shapes: Map<String, Value>,
    /// What any operation may refuse with.
    refusals: Vec<u64>,
    refusal: Value,
}

impl Interface {
    /// Tailscale's API v2.
    pub fn tailscale() -> Self {
        Self::read(include_str!("../../tailnet_interface/tailscale.json"))
    }

    /// Headscale's API v1.
    pub fn headscale() -> Self {
        Self::read(include_str!("../../tailnet_interface/headscale.json"))
    }

    fn read(text: &str) -> Self {
        let read: Value = serde_json::from_str(text).unwrap();
        Self {
            operations: read["operations"].as_array().unwrap().clone(),
            shapes: read["shapes"].as_object().unwrap().clone(),
            refusals: numbers(&read["refusals"]),
            refusal: read["refusal"].clone(),
        }
    }

    /// Every word of a type and every shape that the extract uses and does not define.
    pub fn loose_ends(&self) -> Vec<String> {
        let mut loose = vec![];
        let used = self.operations.iter().flat_map(|operation| {
            let parts = ["query", "sends", "gives"].map(|part| operation[part].clone());
            parts.into_iter().filter(|part| part.is_object())
        });
        for ty in used.chain(self.shapes.values().cloned()).chain([self.refusal.clone()]) {
            self.loose_in(&ty, &mut loose);
        }
        loose
    }

    fn loose_in(&self, ty: &Value, loose: &mut Vec<String>) {
        match ty {
            Value::String(words) => loose.extend(words.split('|').filter_map(|word| {
                let is_known = match word.strip_prefix('@') {
                    Some(shape) => self.shapes.contains_key(shape),
                    None => word.starts_with('=') || WORDS.contains(&word),
                };
                (!is_known).then(|| word.to_owned())
            })),
            Value::Array(list) => list.iter().for_each(|ty| self.loose_in(ty, loose)),
            Value::Object(fields) => fields.values().for_each(|ty| self.loose_in(ty, loose)),
            other => loose.push(other.to_string()),
        }
    }

    /// What is wrong with a request.
    pub fn check_call(&self, call: &HttpCall) -> Vec<String> {
        let name = format!("{} {}", call.method, call.path);
        let mut wrong = kept_secret(call);
        let Some(operation) = self.operation(call) else {
            wrong.push("is not in the extract".to_owned());
            return wrong.into_iter().map(|why| format!("{name}: {why}")).collect();
        };
        let query = url::form_urlencoded::parse(call.query.as_bytes()).into_owned();
        let known = operation["query"].as_object().cloned().unwrap_or_default();
        let query: Vec<(String, String)> = query.collect();
        for (key, is) in &query {
            match known.get(key).or_else(|| known.get(&format!("{key}?"))) {
                Some(ty) => self.check(ty, &as_told(is), key, &mut wrong),
                None => wrong.push(format!("`{key}` is no name in its query")),
            }
        }
        let needed = known.keys().filter(|key| !key.ends_with('?'));
        let missing = needed.filter(|key| !query.iter().any(|(name, _)| name == *key));
        wrong.extend(missing.map(|key| format!("`{key}` is missing in its query")));
        let is_open = operation["open"] == true;
        if is_open == call.headers.contains_key("authorization") {
            wrong.push("`authorization` is missing, or sent where none is asked".to_owned());
        }
        self.check_body(operation, call, &mut wrong);
        if call.headers.contains_key("if-match") && operation["guarded"] != true {
            wrong.push("nothing here has a tag to match".to_owned());
        }
        wrong.into_iter().map(|why| format!("{name}: {why}")).collect()
    }

    fn check_body(&self, operation: &Value, call: &HttpCall, wrong: &mut Vec<String>) {
        let Some(kinds) = operation["sends"].as_object() else {
            if !call.body.is_empty() {
                wrong.push("it has a body".to_owned());
            }
            return;
        };
        let kind = call.headers.get("content-type").cloned().unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_lowercase();
        match kinds.get(&kind) {
            None => wrong.push(format!("its body is not to be `{kind}`")),
            Some(Value::String(word)) if word == "text" => {}
            Some(ty) if kind == "application/x-www-form-urlencoded" => {
                let form = url::form_urlencoded::parse(call.body.as_bytes()).into_owned();
                let form = form.map(|(key, is)| (key, Value::String(is))).collect();
                self.check(ty, &Value::Object(form), "body", wrong);
            }
            Some(ty) => match serde_json::from_str(&call.body) {
                Ok(body) => self.check(ty, &body, "body", wrong),
                Err(why) => wrong.push(format!("its body is no JSON: {why}")),
            },
        }
    }

    /// What is wrong with an answer.
    pub fn check_answer(&self, call: &HttpCall, answer: &HttpAnswer) -> Vec<String> {
        let Some(operation) = self.operation(call) else { return vec![] };
        let status = u64::from(answer.status);
        let mut wrong = vec![];
        if status != 200 {
            let known = [numbers(&operation["refuses"]), self.refusals.clone()].concat();
            if !known.contains(&status) {
                wrong.push(format!("{status} is no answer of it"));
            }
            let is_json =
                answer.headers.get("content-type").is_some_and(|kind| kind.contains("json"));
            if let Some(body) = serde_json::from_str(&answer.body).ok().filter(|_| is_json) {
                self.check(&self.refusal, &body, "answer", &mut wrong);
            }
        } else {
            let kind = answer.headers.get("content-type").cloned().unwrap_or_default();
            match (operation["gives"].get(&kind), answer.body.is_empty()) {
                (None, true) if operation["gives"].is_null() => {}
                (None, _) => wrong.push(format!("`{kind}` is no kind of its answer")),
                (Some(Value::String(word)), _) if word == "text" => {}
                (Some(ty), _) => match serde_json::from_str(&answer.body) {
                    Ok(body) => self.check(ty, &body, "answer", &mut wrong),
                    Err(why) => wrong.push(format!("its answer is no JSON: {why}")),
                },
            }
        }
        let name = format!("{} {}", call.method, call.path);
        wrong.into_iter().map(|why| format!("{name}: {why}")).collect()
    }

    fn operation(&self, call: &HttpCall) -> Option<&Value> {
        let parts: Vec<_> = call.path.split('/').collect();
        let mut fitting: Vec<_> = self
            .operations
            .iter()
            .filter(|operation| {
                let path: Vec<_> =
                    operation["path"].as_str().unwrap_or_default().split('/').collect();
                let same = |(own, part): (&&str, &&str)| {
                    own == part || (own.starts_with('{') && !part.is_empty())
                };
                operation["method"] == call.method.as_str()
                    && path.len() == parts.len()
                    && path.iter().zip(&parts).all(same)
            })
            .collect();
        // One that is written out goes before one with a place for a name.
        fitting.sort_by_key(|operation| {
            operation["path"].as_str().unwrap_or_default().matches('{').count()
        });
        fitting.first().copied()
    }

    fn check(&self, ty: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
        match (ty, value) {
            (Value::String(words), _) => {
                let tried = words.split('|').map(|word| {
                    let mut wrong = vec![];
                    self.check_word(word, value, at, &mut wrong);
                    wrong
                });
                let tried: Vec<_> = tried.collect();
                if tried.iter().all(|wrong| !wrong.is_empty()) {
                    wrong.extend(tried.into_iter().next_back().unwrap_or_default());
                }
            }
            (Value::Array(each), Value::Array(list)) => {
                for value in list {
                    self.check(&each[0], value, &format!("{at}[]"), wrong);
                }
            }
            (Value::Object(fields), Value::Object(values)) if fields.contains_key("*") => {
                for (key, value) in values {
                    self.check(&fields["*"], value, &format!("{at}.{key}"), wrong);
                }
            }
            (Value::Object(fields), Value::Object(values)) => {
                for (key, value) in values {
                    match fields.get(key).or_else(|| fields.get(&format!("{key}?"))) {
                        Some(ty) => self.check(ty, value, &format!("{at}.{key}"), wrong),
                        None => wrong.push(format!("`{at}.{key}` is not in the extract")),
                    }
                }
                let needed = fields.keys().filter(|key| !key.ends_with('?'));
                let missing = needed.filter(|key| !values.contains_key(*key));
                wrong.extend(missing.map(|key| format!("`{at}.{key}` is missing")));
            }
            _ => wrong.push(format!("`{at}` is not {ty}")),
        }
    }

    fn check_word(&self, word: &str, value: &Value, at: &str, wrong: &mut Vec<String>) {
        if let Some(shape) = word.strip_prefix('@') {
            return self.check(&self.shapes[shape], value, at, wrong);
        }
        let text = value.as_str();
        let fits = match word {
            "any" => true,
            "null" => value.is_null(),
            "text" => text.is_some(),
            "flag" => value.is_boolean(),
            "whole" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "time" => text.is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
            "digits" => text.is_some_and(|text| text.parse::<u64>().is_ok()),
            "prefix" => text.is_some_and(|text| prefix(text).is_some()),
            word => text == word.strip_prefix('='),
        };
        if !fits {
            wrong.push(format!("`{at}` is not `{word}`"));
        }
    }
}

/// A value of a query as what it stands for.
fn as_told(text: &str) -> Value {
    match text {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        text => Value::String(text.to_owned()),
    }
}

/// As far as loopback can tell what TLS protects: no key is in an address, where logs would keep it.
fn kept_secret(call: &HttpCall) -> Vec<String> {
    let address = format!("{}?{}", call.path, call.query);
    let told = ["tskey-", "hskey-"].iter().any(|key| address.contains(key));
    let told =
        told || super::credentials::token_of(call).is_some_and(|token| address.contains(&token));
    told.then(|| "a key is in its address".to_owned()).into_iter().collect()
}

fn numbers(list: &Value) -> Vec<u64> {
    list.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

const WORDS: &[&str] =
    &["text", "flag", "whole", "number", "null", "time", "digits", "prefix", "any"];
