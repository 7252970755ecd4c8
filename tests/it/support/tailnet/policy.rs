//! The policy file: its text, the tag of its version, and what the server thinks of one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::super::faulty_server::{HttpAnswer, HttpCall};
use super::hujson::{blanked, lines_of, parsed, section};
use super::rules::{self, rules, texts};
use super::{CommentTrap, Tailnet};

/// The policy file in force.
#[derive(Clone)]
pub struct Policy {
    pub text: String,
    is_untouched: bool,
}

impl Policy {
    /// What every tailnet begins with.
    pub fn untouched() -> Self {
        Self { text: UNTOUCHED.to_owned(), is_untouched: true }
    }

    /// The tag of this version, in its quotes.
    pub fn etag(&self) -> String {
        format!("\"{}\"", super::keys::hex(&Sha256::digest(&self.text)))
    }

    /// Who owns a tag; nothing where there is no such tag.
    pub fn owners_of(&self, tag: &str) -> Option<Vec<String>> {
        let policy = parsed(&self.text).ok()?;
        section(&policy, "tagowners")?.get(tag).map(texts)
    }

    /// True where a route of a device with these tags needs nobody's approval.
    pub fn approves(&self, route: &str, tags: &[String]) -> bool {
        parsed(&self.text).is_ok_and(|policy| rules::approves(&policy, route, tags))
    }
}

impl Tailnet {
    /// Somebody else writes the policy file.
    pub fn write_policy(&mut self, text: &str) {
        self.policy = Policy { text: text.to_owned(), is_untouched: false };
    }

    /// The policy file as it is kept.
    pub fn policy_text(&self) -> &str {
        &self.policy.text
    }

    /// True where the policy in force lets a source reach `host:port` over TCP.
    pub fn allows(&self, from: &str, to: &str) -> bool {
        let policy = parsed(&self.policy.text).unwrap_or_default();
        rules(&policy).iter().any(|rule| rule.allows(&policy, from, to, "tcp"))
    }

    pub fn read_policy(&self, call: &HttpCall) -> Result<HttpAnswer, HttpAnswer> {
        if call.query.split('&').any(|pair| pair == "details=true") {
            let acl = STANDARD.encode(&self.policy.text);
            let warnings =
                self.switches.warnings.iter().map(|(who, why)| format!("{who:?}: {why}"));
            let warnings: Vec<_> = warnings.collect();
            return Ok(HttpAnswer::json(
                200,
                &json!({ "acl": acl, "warnings": warnings, "errors": null }),
            ));
        }
        Ok(self.policy_said(call))
    }

    fn policy_said(&self, call: &HttpCall) -> HttpAnswer {
        let as_json = call.headers.get("accept").is_some_and(|kind| kind == "application/json");
        let (kind, body) = match as_json {
            true => ("application/json", blanked(&self.policy.text)),
            false => ("application/hujson", self.policy.text.clone()),
        };
        let answer = HttpAnswer { status: 200, body, ..HttpAnswer::default() };
        answer.with("content-type", kind).with("etag", &self.policy.etag())
    }

    pub fn put_policy(&mut self, call: &HttpCall) -> Result<HttpAnswer, HttpAnswer> {
        if let Some(wanted) = call.headers.get("if-match") {
            let untouched = wanted == "\"ts-default\"" && self.policy.is_untouched;
            if !untouched && *wanted != self.policy.etag() {
                return Err(HttpAnswer::problem(412, "precondition failed, invalid old hash"));
            }
        }
        let policy = parsed(&call.body).map_err(|why| HttpAnswer::problem(400, &why))?;
        let findings = findings(&policy, &tests_in(&policy));
        if !findings.is_empty() {
            let said = json!({ "message": "test(s) failed", "data": findings });
            return Err(HttpAnswer::json(400, &said));
        }
        if let Some(tag) = unknown_tag(&policy) {
            return Err(HttpAnswer::problem(400, &format!("tag not found: {tag:?}")));
        }
        self.policy = Policy { text: call.body.clone(), is_untouched: false };
        Ok(self.policy_said(call))
    }

    pub fn validate(&self, call: &HttpCall) -> Result<HttpAnswer, HttpAnswer> {
        let is_hujson =
            call.headers.get("content-type").is_some_and(|kind| kind.contains("hujson"));
        let trapped = match self.switches.comment_trap {
            CommentTrap::Never => false,
            CommentTrap::InJson => !is_hujson,
            CommentTrap::Always => true,
        };
        if trapped && call.body.trim_start().starts_with('/') {
            let why = "invalid character '/' looking for beginning of value";
            return Err(HttpAnswer::problem(400, why));
        }
        let candidate = parsed(&call.body).map_err(|why| HttpAnswer::problem(400, &why))?;
        let findings = match &candidate {
            Value::Array(tests) => findings(&parsed(&self.policy.text).unwrap_or_default(), tests),
            Value::Object(_) => {
                let mut findings = findings(&candidate, &tests_in(&candidate));
                findings.extend(unknown_tag(&candidate).map(
                    |tag| json!({ "user": tag, "errors": [format!("tag not found: {tag:?}")] }),
                ));
                findings
            }
            _ => return Err(HttpAnswer::problem(400, "neither a policy file nor a list of tests")),
        };
        let warnings = self.switches.warnings.iter().filter(|_| candidate.is_object());
        let warnings: Vec<_> =
            warnings.map(|(who, why)| json!({ "user": who, "warnings": [why] })).collect();
        let message = if findings.is_empty() { "warning(s) found" } else { "test(s) failed" };
        let data = [findings, warnings].concat();
        let passed = data.is_empty();
        let said = if passed { json!({}) } else { json!({ "message": message, "data": data }) };
        Ok(HttpAnswer::json(200, &said))
    }

    /// Which rules match a person or an address with its port.
    pub fn preview(&self, call: &HttpCall) -> Result<HttpAnswer, HttpAnswer> {
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(call.query.as_bytes()).into_owned().collect();
        let asked = |name: &str| {
            let found = query.iter().find(|(key, _)| key == name).map(|(_, is)| is.clone());
            found.ok_or_else(|| HttpAnswer::problem(400, &format!("{name} is required")))
        };
        let (kind, wanted) = (asked("type")?, asked("previewFor")?);
        let policy = parsed(&call.body).map_err(|why| HttpAnswer::problem(400, &why))?;
        let fitting = rules(&policy).into_iter().filter(|rule| match kind.as_str() {
            "user" => rule.comes_from(&policy, &wanted),
            _ => rule.leads_to(&policy, &wanted),
        });
        let matches = fitting.map(|rule| {
            let (section, at) = rule.place;
            let line = lines_of(&call.body, section).get(at).copied().unwrap_or_default();
            json!({ "users": rule.sources, "ports": rule.destinations, "lineNumber": line })
        });
        let matches: Vec<_> = matches.collect();
        let said = json!({ "matches": matches, "type": kind, "previewFor": wanted });
        Ok(HttpAnswer::json(200, &said))
    }
}

fn tests_in(policy: &Value) -> Vec<Value> {
    section(policy, "tests").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// What fails of these tests.
fn findings(policy: &Value, tests: &[Value]) -> Vec<Value> {
    let rules = rules(policy);
    let judged = tests.iter().map(|test| {
        let from = test["src"].as_str().unwrap_or_default();
        let protocol = test["proto"].as_str().unwrap_or("tcp");
        let wrong = |list: &str, want: bool| {
            let (want_word, got) = if want { ("Accept", "Drop") } else { ("Drop", "Accept") };
            let is_wrong = |to: &String| {
                rules.iter().any(|rule| rule.allows(policy, from, to, protocol)) != want
            };
            let said = |to: String| format!("address {to:?}: want: {want_word}, got: {got}");
            texts(&test[list]).into_iter().filter(is_wrong).map(said).collect::<Vec<_>>()
        };
        let errors = [wrong("accept", true), wrong("deny", false)].concat();
        json!({ "user": from, "errors": errors })
    });
    judged.filter(|finding| finding["errors"] != json!([])).collect()
}

/// A tag that a rule uses and nobody owns.
fn unknown_tag(policy: &Value) -> Option<String> {
    let owners = section(policy, "tagowners").unwrap_or(&Value::Null);
    let parties = rules(policy).into_iter().flat_map(|rule| {
        let to =
            rule.destinations.into_iter().filter_map(|to| Some(to.rsplit_once(':')?.0.to_owned()));
        rule.sources.into_iter().chain(to.collect::<Vec<_>>())
    });
    let is_unknown = |party: &String| party.starts_with("tag:") && owners.get(party).is_none();
    parties.into_iter().find(is_unknown)
}

const UNTOUCHED: &str = r#"// This policy lets everybody reach everything.
{
  "grants": [
    {"src": ["*"], "dst": ["*"], "ip": ["*"]},
  ],
}
"#;
