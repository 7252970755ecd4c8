//! `[identity]` and `[[identity-provider]]`: how people prove who they are, checked and written.
//!
//! - A client secret never stands in the file. What stands there says that the vault has one, and
//!   anything else is refused without being shown: it may be the secret.
//! - An issuer is kept as it is written: tokens are held to it byte for byte. Whoever answers there
//!   decides who is who, so it is `https`, or this host.
//! - An e-mail domain has one owner.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::ops::{Range, RangeInclusive};

use toml::{Spanned, Value};
use url::Url;
use uuid::Uuid;

use super::IdentitySettings;
use super::error::Flaw;
use super::file::{IdentityProviderTable, IdentityTable};
use super::value::{Line, Seen, check_length, items, name, required, word};
use crate::domain::email::Email;
use crate::domain::id::IdpId;
use crate::domain::identity_provider::{BreakGlassMode, IdpKind, IdpSettings};
use crate::domain::text::{must_show, shown};

/// How many identity providers there may be.
pub const IDENTITY_PROVIDERS_MAX: usize = 20;

/// How much work a password is.
pub(super) fn identity(table: &IdentityTable) -> Result<IdentitySettings, Flaw> {
    let mib =
        number("identity.hash-memory-mib", table.hash_memory_mib.as_ref(), 64, FLOOR_MIB..=1024)?;
    Ok(IdentitySettings {
        hash_memory_kib: mib * 1024,
        hash_passes: number(
            "identity.hash-passes",
            table.hash_passes.as_ref(),
            3,
            FLOOR_PASSES..=16,
        )?,
        hash_lanes: number("identity.hash-lanes", table.hash_lanes.as_ref(), 1, 1..=4)?,
    })
}

/// The identity providers in the order of the file.
pub(super) fn identity_providers(
    tables: &[Spanned<IdentityProviderTable>],
) -> Result<Vec<IdpSettings>, Flaw> {
    if let Some(table) = tables.get(IDENTITY_PROVIDERS_MAX) {
        let what = format!("there are more than {IDENTITY_PROVIDERS_MAX} identity providers");
        return Err(Flaw::new(table.span(), what).hint("take out those that nobody signs in with"));
    }
    let mut ids = Seen::default();
    let mut owners = BTreeMap::new();
    let mut all = Vec::new();
    for table in tables {
        let idp = identity_provider(&table.span(), table.get_ref(), &mut ids)?;
        let spans = items(table.get_ref().domains.as_ref()).iter().map(Spanned::span);
        for (domain, span) in idp.domains.iter().zip(spans) {
            own(&mut owners, domain, &idp.id, span)?;
        }
        all.push(idp);
    }
    Ok(all)
}

/// Every key that an identity provider has, in order, as the file would say it.
pub(super) fn lines(idp: &IdpSettings) -> Vec<Line> {
    let texts = |list: &[String]| Value::from(list.to_vec());
    let place = match &idp.kind {
        IdpKind::EntraId { tenant } => Line::new("tenant", tenant.as_str()),
        IdpKind::Oidc { issuer } => Line::new("issuer", issuer.as_str()),
    };
    let mut lines = vec![
        Line::new("id", idp.id.as_str()),
        Line::new("kind", idp.kind.as_str()),
        place,
        Line::new("client-id", idp.client_id.as_str()),
    ];
    lines.extend(idp.has_secret.then(|| Line::new("client-secret", secret_reference(&idp.id))));
    lines.extend([
        Line::new("scopes", texts(&idp.scopes)).default_if(idp.scopes == SCOPES),
        Line::new("domains", texts(&idp.domains)).default_if(idp.domains.is_empty()),
        Line::new("break-glass", idp.break_glass.as_str())
            .default_if(idp.break_glass == BreakGlassMode::default()),
    ]);
    lines
}

fn number(
    key: &str,
    value: Option<&Spanned<i64>>,
    default: u32,
    range: RangeInclusive<u32>,
) -> Result<u32, Flaw> {
    let Some(value) = value else { return Ok(default) };
    let given = *value.get_ref();
    if let Some(number) = u32::try_from(given).ok().filter(|number| range.contains(number)) {
        return Ok(number);
    }
    let (least, most) = range.into_inner();
    let what = if least > 1 && given < i64::from(least) {
        format!(
            "`{key}`: `{given}` is below OWASP's floor for Argon2id, {FLOOR_MIB} MiB in \
             {FLOOR_PASSES} passes"
        )
    } else {
        format!("`{key}`: `{given}` is not between {least} and {most}")
    };
    let hint = format!("write a number from {least} to {most}, or leave the key out for {default}");
    Err(Flaw::new(value.span(), what).hint(hint))
}

fn identity_provider(
    span: &Range<usize>,
    table: &IdentityProviderTable,
    ids: &mut Seen,
) -> Result<IdpSettings, Flaw> {
    let id_text = required(TABLE, "id", span, table.id.as_ref(), "id = \"entra\"")?;
    let id: IdpId = name("identity-provider.id", id_text)?;
    ids.add("identity-provider.id", id.as_str(), id_text.span())?;
    let kind = kind(span, table)?;
    let client_id =
        required(TABLE, "client-id", span, table.client_id.as_ref(), "client-id = \"breakglass\"")?;
    Ok(IdpSettings {
        kind,
        client_id: checked_client_id(client_id)?,
        has_secret: has_secret(&id, table.client_secret.as_ref())?,
        scopes: scopes(table.scopes.as_ref())?,
        domains: domains(table.domains.as_ref())?,
        break_glass: word(
            "identity-provider.break-glass",
            table.break_glass.as_ref(),
            &BREAK_GLASS_MODES,
        )?
        .unwrap_or_default(),
        id,
    })
}

fn kind(span: &Range<usize>, table: &IdentityProviderTable) -> Result<IdpKind, Flaw> {
    let kind = required(TABLE, "kind", span, table.kind.as_ref(), "kind = \"entra-id\"")?;
    let is_entra =
        word("identity-provider.kind", Some(kind), &[("entra-id", true), ("oidc", false)])?;
    if is_entra == Some(true) {
        if let Some(issuer) = &table.issuer {
            let what = "`identity-provider.issuer`: that of an `entra-id` follows from its tenant";
            return Err(
                Flaw::new(issuer.span(), what).hint("take the key out, or write `kind = \"oidc\"`")
            );
        }
        let example = "tenant = \"8f1c2d3e-4b5a-4c6d-8e7f-0123456789ab\"";
        let tenant = required(TABLE, "tenant", span, table.tenant.as_ref(), example)?;
        return Ok(IdpKind::EntraId { tenant: checked_tenant(tenant)? });
    }
    if let Some(tenant) = &table.tenant {
        let what = "`identity-provider.tenant`: only an `entra-id` has a tenant";
        return Err(
            Flaw::new(tenant.span(), what).hint("take the key out, or write `kind = \"entra-id\"`")
        );
    }
    let example = "issuer = \"https://login.example.com\"";
    let issuer = required(TABLE, "issuer", span, table.issuer.as_ref(), example)?;
    Ok(IdpKind::Oidc { issuer: checked_issuer(issuer)? })
}

/// The tenant in the form in which Entra's issuer names it: hyphens, lower case.
fn checked_tenant(text: &Spanned<String>) -> Result<String, Flaw> {
    let tenant = text.get_ref().to_ascii_lowercase();
    let says = match tenant.as_str() {
        "common" | "organizations" => {
            "stands for many tenants, so that its issuer is a template, which no token names"
        }
        "consumers" | CONSUMERS => "stands for every personal Microsoft account",
        _ if tenant.len() == 36 && Uuid::try_parse(&tenant).is_ok() => return Ok(tenant),
        _ => "is no tenant id, which is a UUID",
    };
    let what = format!("`identity-provider.tenant`: `{}` {says}", shown(text.get_ref()));
    Err(Flaw::new(text.span(), what).hint(
        "write the Tenant ID, which stands at https://entra.microsoft.com under Overview: a UUID",
    ))
}

/// The issuer, unchanged.
///
/// No message shows it: what does not belong there may be a password.
fn checked_issuer(text: &Spanned<String>) -> Result<String, Flaw> {
    let issuer = text.get_ref().as_str();
    let key = "`identity-provider.issuer`";
    let authority = issuer.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let stray = issuer.chars().find(|c| !c.is_ascii_alphanumeric() && !URL_MARKS.contains(*c));
    let what = if issuer.len() > ISSUER_BYTES_MAX {
        format!("{key} has {} bytes; at most {ISSUER_BYTES_MAX} are usable", issuer.len())
    } else if let Some(stray) = stray {
        format!("{key} holds `{}`, which no URL does", shown(&stray.to_string()))
    } else if !issuer.starts_with("https://") && !issuer.starts_with("http://") {
        format!("{key} must begin with `https://`")
    } else if authority.contains('@') {
        format!("{key} holds a user name or a password")
    } else if issuer.contains(['?', '#']) {
        format!("{key} holds a `?` or `#`, which no issuer does")
    } else if authority.is_empty() || Url::parse(issuer).is_err() {
        format!("{key} is no URL")
    } else if issuer.starts_with("http://") && !is_this_host(authority) {
        format!("{key} begins with `http://`, but leads to another host")
    } else {
        return Ok(issuer.to_owned());
    };
    Err(Flaw::new(text.span(), what).hint(
        "copy `issuer` from its discovery document: `https`, or `http` where it is this host",
    ))
}

/// True for the loopback addresses as they are usually written; other forms (`127.1`) are only
/// read so by some programs.
fn is_this_host(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let named = host == "localhost" || host == "[::1]";
    named || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

fn checked_client_id(text: &Spanned<String>) -> Result<String, Flaw> {
    let id = text.get_ref();
    let key = "`identity-provider.client-id`";
    let length = id.chars().count();
    let what = if length > CLIENT_ID_CHARS_MAX {
        format!("{key} has {length} characters; at most {CLIENT_ID_CHARS_MAX} are usable")
    } else if id.is_empty() {
        format!("{key} is empty")
    } else if id.trim() != id {
        format!("{key} begins or ends with a space")
    } else if id.chars().any(must_show) {
        format!("{key} holds a control or invisible character: `{}`", shown(id))
    } else {
        return Ok(id.clone());
    };
    Err(Flaw::new(text.span(), what)
        .hint("write the id that this program has there; in Entra, the Application (client) ID"))
}

/// True where the file says that the vault has the secret.
fn has_secret(id: &IdpId, text: Option<&Spanned<String>>) -> Result<bool, Flaw> {
    let Some(text) = text else { return Ok(false) };
    if IdpSettings::secret_name(id).is_none() {
        let what =
            "`identity-provider.client-secret`: no secret can be named after an id this long";
        return Err(Flaw::new(text.span(), what).hint("write an `id` of at most 59 characters"));
    }
    let reference = secret_reference(id);
    if *text.get_ref() == reference {
        return Ok(true);
    }
    let what = format!(
        "`identity-provider.client-secret`: only `{reference}` may stand here, never a secret"
    );
    Err(Flaw::new(text.span(), what).hint(format!(
        "`breakglass idp add {id} --secret-stdin` puts it in the vault and never in the file"
    )))
}

fn secret_reference(id: &IdpId) -> String {
    format!("vault:idp-{id}")
}

fn scopes(list: Option<&Spanned<Vec<Spanned<String>>>>) -> Result<Vec<String>, Flaw> {
    let Some(list) = list else { return Ok(SCOPES.map(str::to_owned).to_vec()) };
    let key = "identity-provider.scopes";
    check_length(key, list, LIST_MAX)?;
    let mut seen = Seen::default();
    for text in list.get_ref() {
        let scope = text.get_ref().as_str();
        // RFC 6749, section 3.3.
        let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
        if scope == "openid" {
            let what = format!("`{key}`: `openid` is always asked for");
            return Err(Flaw::new(text.span(), what).hint("take it out"));
        }
        if scope.is_empty() || scope.len() > SCOPE_BYTES_MAX || !scope.bytes().all(fits) {
            let what = format!("`{key}`: `{}` is no scope", shown(scope));
            let hint = "write words without spaces, such as [\"profile\", \"email\"]";
            return Err(Flaw::new(text.span(), what).hint(hint));
        }
        seen.add(key, scope, text.span())?;
    }
    Ok(list.get_ref().iter().map(|text| text.get_ref().clone()).collect())
}

/// The domains, in the form in which addresses have them.
fn domains(list: Option<&Spanned<Vec<Spanned<String>>>>) -> Result<Vec<String>, Flaw> {
    let Some(list) = list else { return Ok(vec![]) };
    let key = "identity-provider.domains";
    check_length(key, list, LIST_MAX)?;
    let mut seen = Seen::default();
    let checked = |text: &Spanned<String>| {
        let domain = domain(text.get_ref()).ok_or_else(|| {
            let what = format!("`{key}`: `{}` is no domain", shown(text.get_ref()));
            Flaw::new(text.span(), what)
                .hint("write what stands behind the `@` of an address, such as \"example.com\"")
        })?;
        seen.add(key, &domain, text.span())?;
        Ok(domain)
    };
    list.get_ref().iter().map(checked).collect()
}

/// A domain as an address of it would have it; nothing where it does not look like one.
fn domain(text: &str) -> Option<String> {
    let email: Email = format!("x@{text}").parse().ok()?;
    let domain = email.domain();
    let label = |label: &str| {
        let inside = |c: char| c.is_alphanumeric() || c == '-';
        !label.starts_with('-') && !label.ends_with('-') && label.chars().all(inside)
    };
    let fits = domain.contains('.') && domain.split('.').all(label) && text.trim() == text;
    fits.then(|| domain.to_owned())
}

fn own(
    owners: &mut BTreeMap<String, (IdpId, Range<usize>)>,
    domain: &str,
    id: &IdpId,
    span: Range<usize>,
) -> Result<(), Flaw> {
    match owners.insert(domain.to_owned(), (id.clone(), span.clone())) {
        None => Ok(()),
        Some((other, first)) => {
            let what =
                format!("`identity-provider.domains`: `{other}` and `{id}` both own `{domain}`");
            Err(Flaw::new(span, what)
                .first_at(first)
                .hint("a domain has one owner, who says who its people are; take it out of one"))
        }
    }
}

const TABLE: &str = "identity-provider";

/// The least memory and passes for Argon2id: OWASP Password Storage Cheat Sheet.
const FLOOR_MIB: u32 = 19;
const FLOOR_PASSES: u32 = 2;

const SCOPES: [&str; 2] = ["profile", "email"];
const BREAK_GLASS_MODES: [(&str, BreakGlassMode); 2] = [
    (BreakGlassMode::Always.as_str(), BreakGlassMode::Always),
    (BreakGlassMode::OnlyWhileUnhealthy.as_str(), BreakGlassMode::OnlyWhileUnhealthy),
];

/// The tenant of personal Microsoft accounts (Microsoft identity platform, `OpenID` Connect).
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// What a URL holds beside letters and digits (RFC 3986, section 2).
const URL_MARKS: &str = "-._~:/?#[]@!$&'()*+,;=%";

const CLIENT_ID_CHARS_MAX: usize = 200;
const ISSUER_BYTES_MAX: usize = 500;
const LIST_MAX: usize = 50;
const SCOPE_BYTES_MAX: usize = 200;
