//! The people, identity providers and lists of a scripted engine.

use breakglass::domain::account::AccountId;
use breakglass::domain::break_glass_user::Stale;
use breakglass::domain::identity_provider::{BreakGlassMode, IdpHealth, IdpKind, IdpSettings};
use breakglass::domain::probe::{Probe, ProbeCheck};
use breakglass::domain::role::Role;
use breakglass::domain::sign_in::{SignInMethod, Token};
use breakglass::domain::time::Span;
use breakglass::protocol::{
    IdentityView, IdpView, ListedView, Mode, OperatorView, Reply, SignedInView,
};

use crate::cli_support::NOW;

/// Ana, an Owner, who signed in a moment ago.
pub fn ana() -> SignedInView {
    SignedInView {
        account: AccountId::new(NOW, [1; 10]),
        email: "ana@example.com".parse().unwrap(),
        role: Role::Owner,
        method: SignInMethod::Password,
        started_at: NOW,
        ends_at: NOW + Span::from_minutes(30),
    }
}

/// A personal installation with one identity provider, and Ana signed in.
pub fn identity() -> IdentityView {
    IdentityView {
        mode: Mode::Personal,
        owner_exists: true,
        sign_in_needed: true,
        me: Some(ana()),
        idps: vec![entra()],
    }
}

pub fn token() -> Token {
    Token::from_random([0xab; 32])
}

/// The answer to whoever is let in.
pub fn signed_in() -> Reply {
    Reply::SignedIn { token: token(), me: Box::new(ana()) }
}

pub fn operator(name: &str, role: Role) -> OperatorView {
    OperatorView {
        account: AccountId::new(NOW, [2; 10]),
        email: format!("{name}@example.com").parse().unwrap(),
        role,
        member: true,
        has_password: true,
        bound_to: None,
        code_expires_at: None,
        listed: vec![],
        created_at: NOW,
    }
}

pub fn healthy() -> Probe {
    let check = |name: &str, found: &str, millis| ProbeCheck {
        name: name.into(),
        needed: true,
        found: Ok(found.into()),
        millis,
    };
    Probe {
        at: NOW - Span::from_seconds(90),
        checks: vec![
            check("discovery", "the issuer is as it should be", 120),
            check("device authorization", "offered", 0),
            check("keys", "2 keys", 80),
        ],
    }
}

pub fn unhealthy() -> Probe {
    let mut probe = healthy();
    probe.checks[1].found =
        Err("not offered; allow public client flows in the app registration".into());
    probe
}

pub fn entra() -> IdpView {
    IdpView {
        id: "entra".parse().unwrap(),
        label: "Microsoft Entra ID".into(),
        settings: Some(IdpSettings {
            id: "entra".parse().unwrap(),
            kind: IdpKind::EntraId { tenant: "11111111-2222-3333-4444-555555555555".into() },
            client_id: "66666666-7777-8888-9999-000000000000".into(),
            has_secret: true,
            scopes: vec![],
            domains: vec!["example.com".into()],
            break_glass: BreakGlassMode::Always,
        }),
        enforced: true,
        health: IdpHealth::Healthy,
        probe: Some(healthy()),
        listed: vec![
            listed("ana", Role::Owner),
            ListedView {
                proven_at: None,
                proof_due: true,
                warning: Some("a Member can get in, but cannot repair SSO".into()),
                ..listed("bob", Role::Member)
            },
            ListedView { stale: Some(Stale::NoPassword), ..listed("cleo", Role::Admin) },
        ],
        forecast: "if entra fails now, 2 of 3 listed can enter; 1 is an Owner".into(),
        warnings: vec!["1 of 3 has never proven a password".into()],
    }
}

pub fn listed(name: &str, role: Role) -> ListedView {
    ListedView {
        account: AccountId::new(NOW, [3; 10]),
        email: format!("{name}@example.com").parse().unwrap(),
        role,
        added_at: Some(NOW - Span::from_hours(48)),
        proven_at: Some(NOW - Span::from_hours(24)),
        proof_due: false,
        stale: None,
        warning: None,
    }
}
