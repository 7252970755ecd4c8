//! Single sign-on against an identity provider that misbehaves in every way that is known.
//!
//! A second between two questions lasts a millisecond here. Paused time would not do: while a real
//! socket is waited for, it runs ahead to the next limit.

use std::time::Duration;

use breakglass::clock;
use breakglass::domain::identity_provider::{BreakGlassMode, IdpKind, IdpSettings};
use breakglass::domain::probe::{Probe, ProbeCheck};
use breakglass::domain::secret::Secret;
use breakglass::domain::time::{Span, Timestamp};
use breakglass::http::{Http, Limits, Trust};
use breakglass::identity::oidc::Oidc;
use breakglass::identity::{SingleSignOn, SsoError, SsoIdentity};
use serde_json::json;

use crate::support::idp::{Idp, Manners, Reply};
use crate::support::signing::{SigningKey, forged_with_public_key, unsigned};

const DISCOVERY: &str = "/.well-known/openid-configuration";

fn sso() -> Oidc {
    impatient(Limits::default().total)
}

fn impatient(total: Span) -> Oidc {
    let limits = Limits { total, ..Limits::default() };
    let http = Http::new(Trust::default(), limits);
    Oidc::at_pace(http, Duration::from_millis(1))
}

/// Signs in, as far as it goes; an error in its words, with the server's address hidden.
async fn sign_in(sso: &Oidc, idp: &Idp) -> Result<SsoIdentity, String> {
    sign_in_as(sso, idp, &idp.settings(), None).await
}

async fn sign_in_as(
    sso: &Oidc,
    idp: &Idp,
    settings: &IdpSettings,
    secret: Option<&Secret>,
) -> Result<SsoIdentity, String> {
    let hidden = |error: SsoError| error.to_string().replace(&idp.issuer, "IDP");
    let pending = sso.begin(settings, secret).await.map_err(hidden)?;
    pending.finish().await.map_err(hidden)
}

/// What is said of a sign-in with these manners.
async fn said(change: impl FnOnce(&mut Manners)) -> String {
    let idp = Idp::start().await;
    idp.behave(change);
    sign_in(&sso(), &idp).await.unwrap_err()
}

#[tokio::test]
async fn a_person_types_the_code_and_is_who_the_token_says() {
    let idp = Idp::start().await;
    idp.behave(|manners| {
        manners.before_token = [
            Reply::Error("authorization_pending"),
            Reply::Error("slow_down"),
            Reply::Error("authorization_pending"),
        ]
        .into();
    });
    let pending = sso().begin(&idp.settings(), None).await.unwrap();
    let prompt = pending.prompt();
    assert_eq!(prompt.user_code, "WDJB-MJHT");
    assert_eq!(prompt.verification_uri, format!("{}/activate", idp.issuer));
    assert_eq!(
        prompt.verification_uri_complete,
        Some(format!("{}/activate?user_code=WDJB-MJHT", idp.issuer))
    );
    assert_eq!(prompt.expires_in_seconds, 600);
    let person = pending.finish().await.unwrap();
    let expected = SsoIdentity {
        issuer: idp.issuer.clone(),
        subject: "alice-1".into(),
        email: Some("alice@example.com".parse().unwrap()),
        email_verified: true,
    };
    assert_eq!(person, expected);
    assert_eq!(idp.asked("/token").len(), 4);
    let asked = &idp.asked("/device")[0];
    assert_eq!(asked.body, "scope=openid+email&client_id=breakglass");
    assert_eq!(asked.authorization, None);
}

#[tokio::test]
async fn a_missing_interval_and_trouble_on_the_way_end_nothing() {
    let idp = Idp::start().await;
    idp.behave(|manners| {
        manners.code = json!({"interval": null});
        manners.before_token = [
            Reply::Status(503, Some(1)),
            Reply::Error("authorization_pending"),
            Reply::Text("<html>a proxy's page</html>"),
            Reply::Described(500, "server_error", "AADSTS90033"),
        ]
        .into();
    });
    assert!(sign_in(&sso(), &idp).await.is_ok());
    assert_eq!(idp.asked("/token").len(), 5);
}

#[tokio::test]
async fn a_code_that_expires_tells_idleness_from_trouble() {
    let idle = said(|manners| {
        manners.code = json!({"expires_in": 12, "interval": 5});
        manners.before_token = vec![Reply::Error("authorization_pending"); 10].into();
    });
    let down = said(|manners| {
        // Long enough for one question at the least, on a busy machine too.
        manners.code = json!({"expires_in": 600, "interval": 5});
        manners.before_token = vec![Reply::Status(503, None); 1_000].into();
    });
    let said = [idle.await, down.await];
    insta::assert_snapshot!(said.join("\n"), @r"
    the code expired before anybody signed in at `corp`
    `corp` cannot be reached: `IDP/token` answered 503: it is not available at the moment
    ");
}

#[tokio::test]
async fn every_no_says_whose_it_is() {
    let mut told = vec![];
    for reply in [
        Reply::Error("access_denied"),
        Reply::Error("authorization_declined"),
        Reply::Error("expired_token"),
        Reply::Error("bad_verification_code"),
        Reply::Error("invalid_grant"),
        Reply::Described(401, "invalid_client", "AADSTS7000218: the body must hold \u{1b}[2J"),
        Reply::Error("something_new"),
    ] {
        told.push(said(|manners| manners.before_token = [reply].into()).await);
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    the sign-in was declined at `corp`
    the sign-in was declined at `corp`
    the code expired before anybody signed in at `corp`
    `corp` gave an answer that cannot be trusted: it does not know the code that it gave (`bad_verification_code`)
    `corp` does not let this program sign people in: the code was used already, or a rule there, such as conditional access, forbids this way to sign in (`invalid_grant`)
    `corp` does not let this program sign people in: it does not know the client id, or the client secret is wrong or missing (`invalid_client`, AADSTS7000218); an application without a secret must be registered as a public client
    `corp` does not let this program sign people in: it answers `something_new`
    ");
}

#[tokio::test]
async fn a_code_that_is_not_given_says_why() {
    let mut told = vec![];
    for reply in [
        Reply::Error("unauthorized_client"),
        Reply::Error("invalid_scope"),
        Reply::Status(403, None),
        Reply::Text("{\"user_code\": 7}"),
    ] {
        told.push(said(|manners| manners.instead = vec![("/device", reply)]).await);
    }
    for code in [
        json!({"verification_uri": "http://evil.example.com/"}),
        json!({"verification_uri": "javascript:alert(1)"}),
        json!({"user_code": ""}),
        json!({"expires_in": null}),
    ] {
        told.push(said(|manners| manners.code = code).await);
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    `corp` does not let this program sign people in: the application is not allowed the device code grant (`unauthorized_client`); allow it there (Entra: `Allow public client flows`)
    `corp` does not let this program sign people in: it does not grant the scopes that are asked for (`invalid_scope`); change them here or there
    `corp` cannot be reached: `IDP/device` answered 403: it does not allow this
    `corp` gave an answer that cannot be trusted: the answer of `IDP/device` is not the JSON expected of it (line 1, column 15)
    `corp` gave an answer that cannot be trusted: it sends people to `http://evil.example.com/`, which is not https
    `corp` gave an answer that cannot be trusted: it sends people to `javascript:alert(1)`, which is not https
    `corp` gave an answer that cannot be trusted: it gave no code that a person could type
    `corp` gave an answer that cannot be trusted: the answer of `IDP/device` is not the JSON expected of it (line 1, column 210)
    ");
}

#[tokio::test]
async fn what_a_person_is_shown_is_clean_and_leads_where_it_says() {
    let idp = Idp::start().await;
    idp.behave(|manners| {
        manners.code = json!({
            "user_code": "AB\u{1b}[2J",
            "verification_uri": "https://EXAMPLE.com/\u{202e}go",
            "verification_uri_complete": "https://evil.example.com/go?user_code=AB",
        });
    });
    let prompt = sso().begin(&idp.settings(), None).await.unwrap().prompt();
    insta::assert_debug_snapshot!(prompt, @r#"
    Prompt {
        user_code: "AB<1B>[2J",
        verification_uri: "https://example.com/%E2%80%AEgo",
        verification_uri_complete: None,
        expires_in_seconds: 600,
    }
    "#);
}

#[tokio::test]
async fn a_document_that_is_not_the_issuers_is_not_believed() {
    let mut told = vec![];
    for document in [
        json!({"issuer": "https://evil.example.com"}),
        json!({"token_endpoint": "http://evil.example.com/token"}),
        json!({"device_authorization_endpoint": null}),
    ] {
        told.push(said(|manners| manners.document = document).await);
    }
    let idp = Idp::start().await;
    let slash = format!("{}/", idp.issuer);
    idp.behave(|manners| manners.document = json!({ "issuer": slash }));
    told.push(sign_in(&sso(), &idp).await.unwrap_err());
    insta::assert_snapshot!(told.join("\n"), @r"
    `corp` gave an answer that cannot be trusted: its discovery document is for the issuer `https://evil.example.com`, not `IDP`
    `corp` gave an answer that cannot be trusted: its discovery document names `http://evil.example.com/token` as `token_endpoint`, which is not https
    `corp` does not let this program sign people in: its discovery document names no `device_authorization_endpoint`: the device authorization grant (RFC 8628) is not offered or not switched on there, and a terminal has no other way to sign in
    `corp` gave an answer that cannot be trusted: its discovery document is for the issuer `IDP/`, not `IDP`; they differ by the slash at the end only: write it as the document does
    ");
}

#[tokio::test]
async fn a_document_that_does_not_come_says_why() {
    let mut told = vec![];
    for reply in [
        Reply::Status(404, None),
        Reply::Status(503, Some(30)),
        Reply::Redirect("https://evil.example.com/"),
        Reply::Announced(2_000_000),
        Reply::Endless,
        Reply::Text("<html>"),
    ] {
        told.push(said(|manners| manners.instead = vec![(DISCOVERY, reply)]).await);
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    `corp` cannot be reached: `IDP/.well-known/openid-configuration` answered 404: there is nothing at this address
    `corp` cannot be reached: `IDP/.well-known/openid-configuration` answered 503: it is not available at the moment; try again in 30 s
    `corp` gave an answer that cannot be trusted: `IDP/.well-known/openid-configuration` redirects to `https://evil.example.com/`; redirects are not followed
    `corp` gave an answer that cannot be trusted: the answer of `IDP/.well-known/openid-configuration` is larger than 1048576 bytes
    `corp` gave an answer that cannot be trusted: the answer of `IDP/.well-known/openid-configuration` is larger than 1048576 bytes
    `corp` gave an answer that cannot be trusted: `IDP/.well-known/openid-configuration` holds no discovery document
    ");
}

#[tokio::test]
async fn a_token_that_proves_nothing_lets_nobody_in() {
    let (key, now) =
        (SigningKey::of("first", jsonwebtoken::Algorithm::EdDSA), clock::wall().as_seconds());
    let none = format!("{}.", unsigned(&json!({"alg": "none"}), &json!({"sub": "alice-1"})));
    let forged = forged_with_public_key(&key, &json!({"sub": "alice-1"}));
    let mut told = vec![
        said(|manners| manners.token = Some(json!(none))).await,
        said(|manners| {
            manners.published = vec![key.public()];
            manners.token = Some(json!(forged));
        })
        .await,
        said(|manners| manners.key = SigningKey::ec("first")).await,
        said(|manners| manners.token = Some(json!(null))).await,
    ];
    for claims in [
        json!({"aud": "another"}),
        json!({"iss": "https://evil.example.com"}),
        json!({"iat": now - 7_200, "exp": now - 3_600}),
        json!({"iat": now + 3_600, "exp": now + 7_200}),
    ] {
        told.push(said(|manners| manners.claims = claims).await);
    }
    // The seconds of a real clock move on while it runs.
    let digits = regex_lite::Regex::new(r"[0-9]+ s").unwrap();
    let told = digits.replace_all(&told.join("\n"), "N s").into_owned();
    insta::assert_snapshot!(told, @r"
    `corp` gave an answer that cannot be trusted: its ID token is signed with `none`, which is not accepted
    `corp` gave an answer that cannot be trusted: its ID token is signed with `HS256`, which is not accepted
    `corp` gave an answer that cannot be trusted: the signature of its ID token is wrong
    `corp` gave an answer that cannot be trusted: it gave no ID token; is the scope `openid` allowed?
    `corp` gave an answer that cannot be trusted: its ID token has `another` as `aud`, not `breakglass`
    `corp` gave an answer that cannot be trusted: its ID token has `https://evil.example.com` as `iss`, not `IDP`
    `corp` gave an answer that cannot be trusted: its ID token expired N s ago by this host's clock, which stands N s after the token was issued: the clocks differ, or the token is old
    `corp` gave an answer that cannot be trusted: its ID token is from N s in the future: this host's clock is N s behind, or that of the identity provider is ahead
    ");
}

#[tokio::test]
async fn a_new_key_is_fetched_and_an_invented_one_at_most_once_a_minute() {
    let (idp, sso) = (Idp::start().await, sso());
    assert!(sign_in(&sso, &idp).await.is_ok());
    assert!(sign_in(&sso, &idp).await.is_ok());
    assert_eq!((idp.asked(DISCOVERY).len(), idp.asked("/keys").len()), (1, 1));
    let second = SigningKey::ec("second");
    idp.behave(|manners| {
        manners.published.push(second.public());
        manners.key = second;
    });
    assert!(sign_in(&sso, &idp).await.is_ok());
    assert_eq!(idp.asked("/keys").len(), 2);
    idp.behave(|manners| manners.key = SigningKey::ec("invented"));
    for _ in 0..3 {
        let refused = sign_in(&sso, &idp).await.unwrap_err();
        insta::allow_duplicates!(
            insta::assert_snapshot!(refused, @"`corp` gave an answer that cannot be trusted: its ID token is signed with the key `invented`, which is not among its published keys")
        );
    }
    assert_eq!(idp.asked("/keys").len(), 2);
}

#[tokio::test]
async fn an_address_that_is_not_in_the_token_is_asked_for() {
    let idp = Idp::start().await;
    let endpoint = format!("{}/me", idp.issuer);
    idp.behave(|manners| {
        manners.document = json!({ "userinfo_endpoint": endpoint });
        manners.claims = json!({"email": null, "email_verified": null});
        manners.person =
            json!({"sub": "alice-1", "email": "alice@example.com", "email_verified": true});
    });
    let person = sign_in(&sso(), &idp).await.unwrap();
    assert_eq!(person.email, Some("alice@example.com".parse().unwrap()));
    assert!(person.email_verified);
    assert_eq!(idp.asked("/me")[0].authorization.as_deref(), Some("Bearer x"));
    // One that is down costs nobody the sign-in; one that speaks of somebody else does.
    idp.behave(|manners| manners.instead = vec![("/me", Reply::Status(503, None))]);
    let person = sign_in(&sso(), &idp).await.unwrap();
    assert_eq!((person.email, person.email_verified), (None, false));
    idp.behave(|manners| {
        manners.instead.clear();
        manners.person = json!({"sub": "bob-1", "email": "bob@example.com"});
    });
    let refused = sign_in(&sso(), &idp).await.unwrap_err();
    insta::assert_snapshot!(refused, @"`corp` gave an answer that cannot be trusted: its UserInfo endpoint does not speak of the person in the ID token");
    // A token with an address is enough.
    idp.behave(|manners| manners.claims = json!({}));
    assert!(sign_in(&sso(), &idp).await.is_ok());
    assert_eq!(idp.asked("/me").len(), 3);
}

#[tokio::test]
async fn nobody_types_a_code_where_the_keys_cannot_be_had() {
    let idp = Idp::start().await;
    idp.behave(|manners| manners.instead = vec![("/keys", Reply::Status(500, None))]);
    let refused = sign_in(&sso(), &idp).await.unwrap_err();
    insta::assert_snapshot!(refused, @"`corp` cannot be reached: `IDP/keys` answered 500: it has trouble of its own");
    assert!(idp.asked("/device").is_empty());
}

#[tokio::test]
async fn a_client_secret_goes_where_it_is_wanted_and_nowhere_else() {
    let (idp, secret) = (Idp::start().await, Secret::new("s: cret"));
    let settings = idp.settings();
    assert!(sign_in_as(&sso(), &idp, &settings, Some(&secret)).await.is_ok());
    for path in ["/device", "/token"] {
        let asked = &idp.asked(path)[0];
        // base64 of `breakglass:s%3A+cret`
        assert_eq!(asked.authorization.as_deref(), Some("Basic YnJlYWtnbGFzczpzJTNBK2NyZXQ="));
        assert!(!asked.body.contains("cret"), "{}", asked.body);
    }
    let post = Idp::start().await;
    post.behave(|manners| {
        manners.document = json!({"token_endpoint_auth_methods_supported": ["client_secret_post"]});
    });
    assert!(sign_in_as(&sso(), &post, &post.settings(), Some(&secret)).await.is_ok());
    let asked = &post.asked("/token")[0];
    assert_eq!(asked.authorization, None);
    assert!(asked.body.ends_with("&client_secret=s%3A+cret"), "{}", asked.body);
    post.behave(|manners| {
        manners.document = json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]});
    });
    let refused = sign_in_as(&sso(), &post, &post.settings(), Some(&secret)).await.unwrap_err();
    insta::assert_snapshot!(refused, @"`corp` does not let this program sign people in: it takes no client secret, by HTTP Basic or in a form; register a public client, or one with a secret");
}

#[tokio::test]
async fn one_that_hangs_delays_nobody_else() {
    let (hangs, works, sso) = (Idp::start().await, Idp::start().await, sso());
    hangs.behave(|manners| manners.instead = vec![(DISCOVERY, Reply::Hang)]);
    let settings = hangs.settings();
    let stuck = sso.begin(&settings, None);
    let elsewhere = async {
        while hangs.asked(DISCOVERY).is_empty() {
            tokio::task::yield_now().await;
        }
        sign_in(&sso, &works).await
    };
    tokio::select! {
        biased;
        _ = stuck => panic!("it hangs"),
        person = elsewhere => assert!(person.is_ok()),
    }
    let told = sign_in(&impatient(Span::from_millis(300)), &hangs).await.unwrap_err();
    insta::assert_snapshot!(told, @"`corp` cannot be reached: `IDP` did not answer within 300 ms");
}

/// What a look shows, a line a check, with the server's address hidden.
fn lines(probe: &Probe, idp: &Idp) -> String {
    let line = |check: &ProbeCheck| {
        format!("{}: {:?}", check.name, check.found).replace(&idp.issuer, "IDP")
    };
    probe.checks.iter().map(line).collect::<Vec<_>>().join("\n")
}

async fn look(sso: &Oidc, idp: &Idp) -> Probe {
    sso.probe(&idp.settings(), Timestamp::from_millis(7)).await
}

#[tokio::test]
async fn a_look_shows_all_that_a_sign_in_needs_and_changes_nothing() {
    let (idp, sso) = (Idp::start().await, sso());
    let probe = look(&sso, &idp).await;
    assert!(probe.is_healthy());
    assert_eq!(probe.at, Timestamp::from_millis(7));
    let clock = regex_lite::Regex::new("[0-9]+ s apart").unwrap();
    let shown = clock.replace(&lines(&probe, &idp), "N s apart").into_owned();
    insta::assert_snapshot!(shown, @r#"
    discovery: Ok("issuer `IDP`")
    device authorization: Ok("`IDP/device`")
    keys: Ok("1 key")
    clock: Ok("N s apart")
    "#);
    assert!(idp.asked("/device").is_empty());
    // It looks afresh each time.
    idp.behave(|manners| manners.instead = vec![("/keys", Reply::Status(503, None))]);
    let probe = look(&sso, &idp).await;
    assert!(!probe.is_healthy());
    insta::assert_snapshot!(probe.trouble().unwrap().replace(&idp.issuer, "IDP"), @"`IDP/keys` answered 503: it is not available at the moment");
}

#[tokio::test]
async fn a_look_says_what_is_missing() {
    let mut told = vec![];
    let manners: [fn(&mut Manners); 4] = [
        |manners| manners.document = json!({"device_authorization_endpoint": null}),
        |manners| manners.document = json!({"issuer": "https://evil.example.com"}),
        |manners| manners.published = vec![json!({"kty": "oct", "k": "c2VjcmV0"})],
        |manners| manners.clock_ahead = -305,
    ];
    for change in manners {
        let idp = Idp::start().await;
        idp.behave(change);
        let probe = look(&sso(), &idp).await;
        assert!(!probe.is_healthy());
        told.push(probe.trouble().unwrap().replace(&idp.issuer, "IDP"));
    }
    let hangs = Idp::start().await;
    hangs.behave(|manners| manners.instead = vec![(DISCOVERY, Reply::Hang)]);
    let probe = look(&impatient(Span::from_millis(300)), &hangs).await;
    told.push(probe.trouble().unwrap().replace(&hangs.issuer, "IDP"));
    let clock = regex_lite::Regex::new("clock is 30[0-9] s").unwrap();
    let told = clock.replace(&told.join("\n"), "clock is 305 s").into_owned();
    insta::assert_snapshot!(told, @r"
    its discovery document names no `device_authorization_endpoint`: the device authorization grant (RFC 8628) is not offered or not switched on there, and a terminal has no other way to sign in
    its discovery document is for the issuer `https://evil.example.com`, not `IDP`
    it publishes no key that can be used here
    this host's clock is 305 s ahead of that of the identity provider; set it
    `IDP` did not answer within 300 ms
    ");
}

#[test]
fn entra_is_asked_under_the_tenants_own_issuer() {
    let kind = IdpKind::EntraId { tenant: "11111111-2222-3333-4444-555555555555".into() };
    let settings = IdpSettings { kind, ..sample() };
    insta::assert_snapshot!(
        breakglass::identity::discovery::well_known(&settings.issuer()),
        @"https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0/.well-known/openid-configuration"
    );
}

fn sample() -> IdpSettings {
    IdpSettings {
        id: "entra".parse().unwrap(),
        kind: IdpKind::Oidc { issuer: String::new() },
        client_id: "breakglass".into(),
        has_secret: false,
        scopes: vec![],
        domains: vec![],
        break_glass: BreakGlassMode::Always,
    }
}

/// At the identity provider these may be two mailboxes, and only one of them was invited.
#[tokio::test]
async fn an_address_that_only_looks_like_the_one_invited_is_none() {
    let idp = Idp::start().await;
    for (claim, email) in [
        ("Fiona@Example.com", Some("fiona@example.com")),
        ("\u{fb01}ona@example.com", None),
        ("mar\u{212a}@example.com", None),
        (" fiona@example.com", None),
    ] {
        idp.behave(|manners| manners.claims = json!({"email": claim, "email_verified": true}));
        let person = sign_in(&sso(), &idp).await.unwrap();
        assert_eq!(person.email.map(|email| email.to_string()).as_deref(), email, "{claim:?}");
        assert_eq!(person.email_verified, email.is_some());
    }
}
