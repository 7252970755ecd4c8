//! A look at an identity provider: what a sign-in would need, and whether the clocks agree.
//!
//! It asks afresh, whatever is remembered, and changes nothing there: no code is asked for. What it
//! finds is remembered for sign-ins.

use super::Shared;
use crate::clock::{self, Stopwatch};
use crate::domain::identity_provider::IdpSettings;
use crate::domain::probe::{Probe, ProbeCheck};
use crate::domain::text::{counted, shown};
use crate::domain::time::{Span, Timestamp};
use crate::http::{Answer, Request};
use crate::identity::discovery::{self, DiscoveryError, Document};
use crate::identity::id_token::{Keys, LEEWAY_SECONDS};

/// Looks at everything in turn, and stops where the next thing cannot be found any more.
pub(super) async fn look(shared: &Shared, idp: &IdpSettings, now: Timestamp) -> Probe {
    let mut checks = vec![];
    if let Some(document) = look_at_document(shared, idp, &mut checks).await {
        look_at_keys(shared, &document, &mut checks).await;
    }
    // The clock comes last on screens, though its evidence came first.
    checks.sort_by_key(|check| check.name == CLOCK);
    Probe { at: now, checks }
}

async fn look_at_document(
    shared: &Shared,
    idp: &IdpSettings,
    checks: &mut Vec<ProbeCheck>,
) -> Option<Document> {
    let (issuer, watch) = (idp.issuer(), Stopwatch::start());
    let note =
        |checks: &mut Vec<ProbeCheck>, name: &str, found| checks.push(check(name, found, watch));
    let answer = match ask(shared, &discovery::well_known(&issuer)).await {
        Ok(answer) => answer,
        Err(why) => {
            note(checks, DISCOVERY, Err(why));
            return None;
        }
    };
    if let Some(date) = answer.date {
        // Tokens are judged by the wall clock, so that is the one to compare.
        note(checks, CLOCK, clocks(date, clock::wall()));
    }
    match discovery::read(answer.body(), &issuer) {
        Ok(document) => {
            shared.cache().keep_document(document.clone(), shared.clock.now());
            note(checks, DISCOVERY, Ok(format!("issuer `{}`", shown(&issuer))));
            let endpoint = shown(&document.device_authorization_endpoint);
            note(checks, DEVICE, Ok(format!("`{endpoint}`")));
            Some(document)
        }
        Err(why @ DiscoveryError::NoDeviceFlow) => {
            note(checks, DISCOVERY, Ok(format!("issuer `{}`", shown(&issuer))));
            note(checks, DEVICE, Err(why.to_string()));
            None
        }
        Err(why) => {
            note(checks, DISCOVERY, Err(why.to_string()));
            None
        }
    }
}

async fn look_at_keys(shared: &Shared, document: &Document, checks: &mut Vec<ProbeCheck>) {
    let watch = Stopwatch::start();
    let found = match ask(shared, &document.jwks_uri).await {
        Ok(answer) => Keys::read(answer.body()).map_err(|why| why.to_string()),
        Err(why) => Err(why),
    };
    let found = found.and_then(|keys| {
        if keys.is_empty() {
            return Err("it publishes no key that can be used here".to_owned());
        }
        let said = counted(keys.len(), "key");
        shared.cache().keep_keys(&document.issuer, keys, shared.clock.now());
        Ok(said)
    });
    checks.push(check(KEYS, found, watch));
}

async fn ask(shared: &Shared, url: &str) -> Result<Answer, String> {
    let sent = shared.http.send(Request::get(url).within(STEP_MAX)).await;
    sent.and_then(Answer::success).map_err(|why| why.to_string())
}

fn check(name: &str, found: Result<String, String>, watch: Stopwatch) -> ProbeCheck {
    ProbeCheck { name: name.to_owned(), needed: true, found, millis: watch.elapsed().as_millis() }
}

/// Compares the clocks of the identity provider and of this host.
fn clocks(theirs: Timestamp, ours: Timestamp) -> Result<String, String> {
    let ahead = ours.as_seconds().saturating_sub(theirs.as_seconds());
    let apart = ahead.unsigned_abs();
    if apart <= LEEWAY_SECONDS.unsigned_abs() {
        return Ok(format!("{apart} s apart"));
    }
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    Err(format!("this host's clock is {apart} s {side} that of the identity provider; set it"))
}

const DISCOVERY: &str = "discovery";
const DEVICE: &str = "device authorization";
const KEYS: &str = "keys";
const CLOCK: &str = "clock";

/// How long each of the two questions may take; together less than the ten seconds of a probe.
const STEP_MAX: Span = Span::from_millis(4_500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_say_by_how_much_and_which_way() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        let said = [(0, 0), (60, 0), (61, 0), (0, 61), (0, 3_600)]
            .map(|(theirs, ours)| format!("{:?}", clocks(at(theirs), at(ours))));
        insta::assert_snapshot!(said.join("\n"), @r#"
        Ok("0 s apart")
        Ok("60 s apart")
        Err("this host's clock is 61 s behind that of the identity provider; set it")
        Err("this host's clock is 61 s ahead of that of the identity provider; set it")
        Err("this host's clock is 3600 s ahead of that of the identity provider; set it")
        "#);
    }
}
