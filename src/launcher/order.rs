//! What is to be started, checked once for every kind: it has time left, all its secrets, and
//! nothing in its variables that a line could not hold.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::Secrets;
use crate::domain::launcher::LaunchSpec;
use crate::domain::text;
use crate::domain::time::Timestamp;
use crate::process::Ran;

/// Something that is to be started.
pub(super) struct Order<'a> {
    /// What.
    pub spec: &'a LaunchSpec,
    /// Its secret variables; those and no others that the specification names.
    pub secrets: &'a Secrets,
    /// How long it may run, in seconds; one at least.
    pub seconds: u64,
}

impl<'a> Order<'a> {
    /// Checks an order.
    ///
    /// # Errors
    ///
    /// Why nothing can be started, in words.
    pub fn new(spec: &'a LaunchSpec, secrets: &'a Secrets, now: Timestamp) -> Result<Self, String> {
        let seconds = spec.ends_at.since(now).as_seconds();
        if seconds == 0 {
            return Err(format!("the time of the {} is over already", text::shown(&spec.what)));
        }
        if let Some(name) = spec.secrets.iter().find(|name| !secrets.contains_key(*name)) {
            return Err(format!("the secret `{}` of it is not known", text::shown(name)));
        }
        if secrets.keys().any(|name| !spec.secrets.contains(name)) {
            return Err("there is a secret that it has no use for".to_owned());
        }
        let secret = secrets.iter().map(|(name, value)| (name.as_str(), value.expose()));
        let plain = spec.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in plain.chain(secret) {
            if !is_name(name) {
                return Err(format!("`{}` is no name of a variable", text::shown(name)));
            }
            // The value is said nowhere: it may be a secret.
            if value.chars().any(char::is_control) {
                return Err(format!(
                    "the value of `{name}` has a line break or a control character"
                ));
            }
        }
        Ok(Self { spec, secrets, seconds })
    }

    /// Its name there.
    pub fn name(&self) -> String {
        self.spec.marker.to_string()
    }

    /// All its variables, a line each, made by `line` out of name and value.
    pub fn lines(&self, line: impl Fn(&str, &str) -> String) -> Zeroizing<Vec<u8>> {
        let mut lines = Zeroizing::new(vec![]);
        let plain = self.spec.environment.iter();
        let plain = plain.filter(|(name, _)| !self.secrets.contains_key(*name));
        for (name, value) in plain {
            lines.extend_from_slice(line(name, value).as_bytes());
        }
        for (name, value) in self.secrets {
            lines.extend_from_slice(Zeroizing::new(line(name, value.expose())).as_bytes());
        }
        lines
    }

    /// What a command has said, without its secrets.
    pub fn scrubbed(&self, ran: Ran) -> Ran {
        let (stdout, stderr) = (scrub(&ran.stdout, self.secrets), scrub(&ran.stderr, self.secrets));
        Ran { stdout, stderr, ..ran }
    }

    /// The secret variables alone, as `NAME=VALUE`.
    pub fn secret_lines(&self) -> Zeroizing<Vec<u8>> {
        let mut lines = Zeroizing::new(vec![]);
        for (name, value) in self.secrets {
            lines.extend_from_slice(name.as_bytes());
            lines.push(b'=');
            lines.extend_from_slice(value.expose().as_bytes());
            lines.push(b'\n');
        }
        lines
    }

    /// All its variables as `NAME=VALUE`.
    pub fn plain_lines(&self) -> Zeroizing<Vec<u8>> {
        self.lines(|name, value| format!("{name}={value}\n"))
    }
}

/// Takes every secret out of a text, also as JSON, base64 and a screen would write it, and what is
/// left of one where the text was cut.
pub(super) fn scrub(text: &str, secrets: &Secrets) -> String {
    let mut forms: Vec<Zeroizing<String>> = vec![];
    for secret in secrets.values().filter(|secret| !secret.is_empty()) {
        let plain = secret.expose();
        let json = Zeroizing::new(serde_json::to_string(plain).unwrap_or_default());
        let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        forms.push(Zeroizing::new(plain.to_owned()));
        forms.push(Zeroizing::new(inner.unwrap_or_default().to_owned()));
        forms.push(Zeroizing::new(STANDARD.encode(plain)));
        forms.push(Zeroizing::new(text::clean(plain, usize::MAX).into_owned()));
    }
    // The longest first: one may be the beginning of another.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.retain(|form| !form.is_empty());
    let whole = forms.iter().fold(text.to_owned(), |text, form| text.replace(&**form, HIDDEN));
    forms.iter().fold(whole, |text, form| without_beginnings(&text, form))
}

/// Takes out what stands of a form before a `…`.
fn without_beginnings(text: &str, form: &str) -> String {
    let ends = || form.char_indices().map(|(at, c)| at + c.len_utf8()).rev();
    let cut = |part: &str| {
        let mut beginnings = ends().filter_map(|end| form.get(..end));
        let begin = beginnings.find(|begin| begin.len() >= TELLING && part.ends_with(begin))?;
        Some(format!("{}{HIDDEN}", part.strip_suffix(begin)?))
    };
    let mut parts: Vec<_> = text.split('…').map(ToOwned::to_owned).collect();
    let before_last = parts.len().saturating_sub(1);
    for part in parts.iter_mut().take(before_last) {
        if let Some(scrubbed) = cut(part) {
            *part = scrubbed;
        }
    }
    parts.join("…")
}

/// The last lines of what something has said, from both of its outputs.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(LINES_MAX);
    lines.get(from..).unwrap_or_default().join("\n")
}

/// Adds the last line of what something has said to a reason.
pub(super) fn with_last_line(why: String, logs: &str) -> String {
    match logs.lines().rev().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => format!("{why}: {}", text::shown(line)),
        None => why,
    }
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(fits) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// What stands in the place of a secret.
const HIDDEN: &str = "[secret]";
/// A beginning of fewer bytes tells nothing.
const TELLING: usize = 4;
/// How many lines are shown of what something has said.
pub(super) const LINES_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::artifact::Marker;
    use crate::domain::id::{InstallationId, SessionId};
    use crate::domain::secret::Secret;
    use crate::domain::time::Span;

    fn spec() -> LaunchSpec {
        let at = Timestamp::from_millis(1_763_655_000_000);
        let installation = InstallationId::from_random([1; 6]);
        LaunchSpec {
            what: "router".to_owned(),
            marker: Marker::new(&installation, SessionId::new(at, [9; 10]), at),
            program: vec![],
            image: String::new(),
            arguments: vec![],
            environment: [("MODE".to_owned(), "plain".to_owned())].into(),
            secrets: vec!["KEY".to_owned()],
            scratch: vec![],
            ends_at: at,
        }
    }

    fn secrets(value: &str) -> Secrets {
        [("KEY".to_owned(), Secret::new(value))].into()
    }

    fn refusal(spec: &LaunchSpec, secrets: &Secrets, now: Timestamp) -> String {
        Order::new(spec, secrets, now).map(drop).unwrap_err()
    }

    #[test]
    fn what_cannot_be_started_anywhere_is_refused_before_anything_is_done() {
        let spec = spec();
        let before = spec.ends_at - Span::from_minutes(10);
        let order = secrets("vole");
        assert_eq!(Order::new(&spec, &order, before).unwrap().seconds, 600);
        let said = [
            refusal(&spec, &order, spec.ends_at),
            refusal(&spec, &Secrets::new(), before),
            refusal(&spec, &secrets("vole\nEVIL=1"), before),
            refusal(&LaunchSpec { secrets: vec![], ..spec.clone() }, &order, before),
            refusal(
                &LaunchSpec {
                    environment: [("A B".to_owned(), String::new())].into(),
                    ..spec.clone()
                },
                &order,
                before,
            ),
        ];
        insta::assert_snapshot!(said.join("\n"), @r"
        the time of the router is over already
        the secret `KEY` of it is not known
        the value of `KEY` has a line break or a control character
        there is a secret that it has no use for
        `A B` is no name of a variable
        ");
    }

    #[test]
    fn no_form_of_a_secret_stays_in_a_text() {
        let mut secrets = secrets("vole\"canary");
        secrets.insert("LONGER".to_owned(), Secret::new("vole\"canary-two"));
        secrets.insert("EMPTY".to_owned(), Secret::new(""));
        let base64 = STANDARD.encode("vole\"canary");
        let text = format!("a vole\"canary b vole\"canary-two c vole\\\"canary d {base64} e");
        assert_eq!(scrub(&text, &secrets), "a [secret] b [secret] c [secret] d [secret] e");
        let long = Secrets::from([("KEY".to_owned(), Secret::new("vole".repeat(200)))]);
        let cut = text::shown(&format!("no: {}", "vole".repeat(200)));
        assert_eq!(scrub(&cut, &long), "no: [secret]…");
    }

    #[test]
    fn variables_are_lines() {
        let (spec, secrets) = (spec(), secrets("vole"));
        let order = Order::new(&spec, &secrets, spec.ends_at - Span::from_minutes(1)).unwrap();
        assert_eq!(order.plain_lines().as_slice(), b"MODE=plain\nKEY=vole\n");
    }
}
