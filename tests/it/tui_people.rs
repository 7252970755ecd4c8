//! People for the screens: who is signed in, identity providers, lists, operators.

use breakglass::domain::account::AccountId;
use breakglass::domain::break_glass_user::Stale;
use breakglass::domain::identity_provider::{BreakGlassMode, IdpHealth, IdpKind, IdpSettings};
use breakglass::domain::probe::{Probe, ProbeCheck};
use breakglass::domain::role::Role;
use breakglass::domain::sign_in::SignInMethod;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::protocol::{
    IdentityView, IdpView, ListedView, Mode, OperatorView, OperatorsView, SessionView,
    SignedInView, Snapshot, SsoPromptView,
};

use crate::tui_models::{NOW, Stage, snapshot};

const DAY: Span = Span::from_hours(24);

fn days_ago(days: u64) -> Timestamp {
    NOW - Span::from_millis(DAY.as_millis() * days)
}

pub fn account(number: u8) -> AccountId {
    AccountId::new(NOW, [number; 10])
}

pub fn me(role: Role) -> SignedInView {
    SignedInView {
        account: account(1),
        email: "ana@example.com".parse().unwrap(),
        role,
        method: SignInMethod::Password,
        started_at: NOW - Span::from_minutes(12),
        ends_at: NOW + Span::from_minutes(30),
    }
}

fn check(name: &str, found: Result<&str, &str>, millis: u64) -> ProbeCheck {
    let found = found.map(str::to_owned).map_err(str::to_owned);
    ProbeCheck { name: name.into(), needed: true, found, millis }
}

pub fn healthy() -> Probe {
    Probe {
        at: NOW - Span::from_minutes(2),
        checks: vec![
            check("discovery", Ok("the issuer is as configured"), 41),
            check("device authorization", Ok("offered"), 60),
            check("keys", Ok("3 signing keys"), 33),
        ],
    }
}

pub fn unhealthy() -> Probe {
    Probe {
        at: NOW - Span::from_seconds(20),
        checks: vec![
            check("discovery", Ok("the issuer is as configured"), 380),
            check(
                "keys",
                Err("503 Service Unavailable from login.example.com; look at its status page"),
                5_004,
            ),
        ],
    }
}

pub fn idp(id: &str, listed: Vec<ListedView>) -> IdpView {
    let entra = id == "entra";
    let kind = if entra {
        IdpKind::EntraId { tenant: "7b3c9d1e-0000-4000-8000-000000000001".into() }
    } else {
        IdpKind::Oidc { issuer: "https://login.example.com".into() }
    };
    IdpView {
        id: id.parse().unwrap(),
        label: kind.label().into(),
        settings: Some(IdpSettings {
            id: id.parse().unwrap(),
            kind,
            client_id: "breakglass".into(),
            has_secret: false,
            scopes: vec![],
            domains: vec!["example.com".into()],
            break_glass: BreakGlassMode::Always,
        }),
        enforced: entra,
        health: if entra { IdpHealth::Healthy } else { IdpHealth::Unhealthy },
        probe: Some(if entra { healthy() } else { unhealthy() }),
        forecast: if listed.is_empty() {
            format!("if {id} fails now, nobody can enter")
        } else {
            format!(
                "if {id} fails now, 2 of 3 listed can enter; 1 untested for 143 days; 1 is Owner"
            )
        },
        listed,
        warnings: vec![],
    }
}

pub fn listed(number: u8, name: &str, role: Role, proven_days: Option<u64>) -> ListedView {
    ListedView {
        account: account(number),
        email: format!("{name}@example.com").parse().unwrap(),
        role,
        added_at: Some(days_ago(200)),
        proven_at: proven_days.map(days_ago),
        proof_due: proven_days.is_none_or(|days| days >= 90),
        stale: None,
        warning: (role == Role::Member)
            .then(|| "a Member can get in, but cannot repair SSO".into()),
    }
}

pub fn usual_list() -> Vec<ListedView> {
    let mut left = listed(3, "eve", Role::Member, None);
    left.stale = Some(Stale::NotMember);
    vec![listed(1, "ana", Role::Owner, Some(12)), listed(2, "bob", Role::Admin, Some(143)), left]
}

/// Five who are listed.
pub fn full_list() -> Vec<ListedView> {
    let names = ["ana", "bob", "cyd", "dan", "eve"];
    (1..).zip(names).map(|(number, name)| listed(number, name, Role::Admin, Some(3))).collect()
}

pub fn identity(me: Option<SignedInView>, idps: Vec<IdpView>) -> IdentityView {
    IdentityView { mode: Mode::System, owner_exists: true, sign_in_needed: true, me, idps }
}

/// What an engine says to whoever this is.
pub fn snapshot_of(identity: IdentityView, sessions: Vec<SessionView>) -> Snapshot {
    let mut snapshot = snapshot(if identity.bars() { vec![] } else { sessions });
    if identity.bars() {
        snapshot.audit = vec![];
        snapshot.providers = vec![];
        snapshot.reasons = vec![];
    }
    snapshot.identity = identity;
    snapshot
}

/// What nobody may see of the usual identity providers.
pub fn idps_for_nobody() -> Vec<IdpView> {
    let mut idps = vec![idp("entra", vec![]), idp("corp-oidc", vec![])];
    for idp in &mut idps {
        idp.settings = None;
        idp.forecast.clear();
    }
    idps
}

pub fn barred() -> Snapshot {
    snapshot_of(identity(None, idps_for_nobody()), vec![])
}

/// A face before the first Owner.
pub fn first_start() -> Snapshot {
    let mut identity = identity(None, vec![]);
    identity.owner_exists = false;
    identity.mode = Mode::Personal;
    snapshot_of(identity, vec![])
}

/// A face at which an operator of this role is signed in, with the usual lists.
pub fn signed_in(role: Role) -> Snapshot {
    let idps = vec![idp("entra", usual_list()), idp("corp-oidc", vec![])];
    let mut identity = identity(Some(me(role)), idps);
    if role == Role::Member {
        for idp in &mut identity.idps {
            idp.listed.clear();
            idp.forecast.clear();
        }
    }
    snapshot_of(identity, vec![])
}

/// The Break-Glass Users tab of an operator of this role.
pub fn users(role: Role) -> Stage {
    Stage::attached(signed_in(role)).types("3")
}

pub fn prompt() -> SsoPromptView {
    SsoPromptView {
        attempt: 7,
        user_code: "WDJB-MJHT".into(),
        verification_uri: "https://login.example.com/device".into(),
        verification_uri_complete: Some(
            "https://login.example.com/device?user_code=WDJB-MJHT".into(),
        ),
        expires_at: NOW + Span::from_seconds(872),
    }
}

pub fn operator_view(number: u32) -> OperatorView {
    let [_, _, a, b] = number.to_be_bytes();
    let role = match number % 20 {
        0 => Role::Owner,
        1 | 2 => Role::Admin,
        _ => Role::Member,
    };
    OperatorView {
        account: AccountId::new(NOW, [a, b, 1, 2, 3, 4, 5, 6, 7, 8]),
        email: format!("person{number:05}@example.com").parse().unwrap(),
        role,
        member: number % 7 != 6,
        has_password: number % 3 != 1,
        bound_to: number.is_multiple_of(2).then(|| "entra".parse().unwrap()),
        code_expires_at: (number % 5 == 4).then(|| NOW + DAY),
        listed: if number == 0 { vec!["entra".parse().unwrap()] } else { vec![] },
        created_at: days_ago(u64::from(number % 300)),
    }
}

/// A page of ten thousand operators.
pub fn page(from: u32, count: u32) -> OperatorsView {
    OperatorsView {
        total: 10_000,
        matching: 10_000,
        operators: (from..from + count).map(operator_view).collect(),
    }
}
