//! The form that adds an identity provider.

use crate::domain::id::IdpId;
use crate::domain::identity_provider::{BreakGlassMode, IdpKind, IdpSettings};
use crate::protocol::{Command, IdpAsk};
use crate::tui::model::form::{Entry, Form};

/// The number of the field with the name.
pub const NAME: usize = 0;
const KIND: usize = 1;
const PLACE: usize = 2;
const CLIENT: usize = 3;
const DOMAINS: usize = 4;
const SECRET: usize = 5;
const MODE: usize = 6;
const THEN: usize = 7;

/// The fields of the form.
#[must_use]
pub fn entries() -> Vec<Entry> {
    vec![
        Entry::text("name", "", "short and lower case, such as entra; it is typed to confirm"),
        Entry::choice("kind", &["Microsoft Entra ID", "OpenID Connect"], 0, ""),
        Entry::text(
            "where",
            "",
            "Entra ID: the tenant's id, a UUID. OpenID: the issuer, https://..",
        ),
        Entry::text("client id", "", "as it is registered there, with the device flow allowed"),
        Entry::text("domains", "", "e-mail domains that it owns, such as example.com; may be none")
            .optional(),
        Entry::secret("secret", "the client secret, for the vault; may be none").optional(),
        Entry::choice(
            "break-glass",
            &["always", "only while unhealthy"],
            0,
            "when listed operators may sign in by password",
        ),
    ]
}

/// Also asks whether to save what does not work now.
pub fn offer_saving(form: &mut Form) {
    if form.entries.len() <= THEN {
        form.entries.push(Entry::choice(
            "then",
            &["look again", "save all the same"],
            0,
            "it does not work now; it can be saved, and mended there",
        ));
    }
    form.focus = THEN;
}

/// True where it was chosen to save what does not work.
#[must_use]
pub fn saves(form: &Form) -> bool {
    form.choice(THEN) == 1
}

/// Reads the fields; where one does not fit, the form says so.
///
/// The secret stays in its field until the engine has taken it: after a look that fails it may
/// have to be sent again.
pub fn command(form: &mut Form, looked_at: bool) -> Option<Command> {
    let id: IdpId = match form.text(NAME).parse() {
        Ok(id) => id,
        Err(error) => {
            form.refuse(NAME, format!("{error}"));
            return None;
        }
    };
    let place = form.text(PLACE).to_owned();
    let kind = if form.choice(KIND) == 0 {
        IdpKind::EntraId { tenant: place }
    } else {
        IdpKind::Oidc { issuer: place }
    };
    let break_glass = match form.choice(MODE) {
        0 => BreakGlassMode::Always,
        _ => BreakGlassMode::OnlyWhileUnhealthy,
    };
    let domains = form.text(DOMAINS).split([',', ' ', ';']).filter(|domain| !domain.is_empty());
    let domains = domains.map(|domain| domain.trim_start_matches('@').to_lowercase()).collect();
    let secret = Some(form.secret(SECRET)).filter(|secret| !secret.is_empty());
    let settings = IdpSettings {
        id,
        kind,
        client_id: form.text(CLIENT).to_owned(),
        has_secret: secret.is_some(),
        scopes: SCOPES.map(str::to_owned).to_vec(),
        domains,
        break_glass,
    };
    let unhealthy = looked_at && saves(form);
    Some(Command::Idp(IdpAsk::Add { settings: Box::new(settings), secret, unhealthy }))
}

/// What is asked for beside `openid`: `email` matches an invite, `profile` brings Entra's `oid`
/// and `tid` (Microsoft identity platform, ID token claims reference).
const SCOPES: [&str; 2] = ["profile", "email"];
