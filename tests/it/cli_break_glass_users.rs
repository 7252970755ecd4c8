//! `breakglass break-glass-users`, as an operator sees it.

use breakglass::domain::break_glass_user::ListError;
use breakglass::domain::email::Email;
use breakglass::domain::role::Role;
use breakglass::domain::secret::Secret;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{BreakGlassAsk, Command, IdpView, Reply};

use crate::cli_people::{entra, identity, listed};
use crate::cli_support::{Cli, World, engine, usual};

/// An engine that does as an Admin asks.
fn obeys() -> Cli {
    engine(|world: &mut World, command| match command {
        Command::BreakGlass(BreakGlassAsk::Change { add, remove, confirm, .. }) => {
            changed(world, &add, &remove, confirm)
        }
        Command::BreakGlass(BreakGlassAsk::Prove { .. }) => Ok(Reply::Done),
        other => world.usual(other),
    })
    .world(|world| world.identity = identity())
}

fn changed(
    world: &mut World,
    add: &[Email],
    remove: &[Email],
    confirm: Option<String>,
) -> Result<Reply, Report> {
    let view = &mut world.identity.idps[0];
    let mut list = view.listed.clone();
    list.retain(|listed| !remove.contains(&listed.email));
    for email in add {
        let name = email.as_str().split('@').next().unwrap();
        list.push(listed(name, Role::Admin));
    }
    if list.is_empty() && confirm.as_deref() != Some("entra") {
        return Err(Report::new(Kind::Denied, "nobody could get in if `entra` failed")
            .hint("give the name too: --confirm entra"));
    }
    view.listed = list;
    Ok(Reply::IdentityProviders(world.identity.idps.clone()))
}

const EVERYBODY: [&str; 7] = [
    "break-glass-users",
    "remove",
    "--idp",
    "entra",
    "ana@example.com",
    "bob@example.com",
    "cleo@example.com",
];

#[tokio::test]
async fn list_shows_who_counts_and_who_does_not() {
    insta::assert_snapshot!(obeys().run(&["break-glass-users", "list"]).await, @"
    exit 0
    out| entra (Microsoft Entra ID), SSO enforced, healthy: break-glass users (3 of 5)
    out| EMAIL             ROLE    LAST PROVEN  NOTE
    out| ana@example.com   Owner   1d ago
    out| bob@example.com   Member  never        proof due; a Member can get in, but cannot repair SSO
    out| cleo@example.com  Admin   1d ago       STALE, counts for nothing: has no password
    out| forecast: if entra fails now, 2 of 3 listed can enter; 1 is an Owner
    out| warning: 1 of 3 has never proven a password
    ");
    let line = ["break-glass-users", "list", "--idp", "entra", "--json"];
    insta::assert_snapshot!(obeys().run(&line).await, @r#"
    exit 0
    out| {"version":1,"break_glass_lists":[{"idp":"entra","label":"Microsoft Entra ID","enforced":true,"health":"healthy","listed_max":5,"listed":[{"account":"019aa207-9fc0-7303-8303-030303030303","email":"ana@example.com","role":"owner","added_at":"2025-11-18T16:10:00.000Z","proven_at":"2025-11-19T16:10:00.000Z","proof_due":false,"stale":null,"warning":null},{"account":"019aa207-9fc0-7303-8303-030303030303","email":"bob@example.com","role":"member","added_at":"2025-11-18T16:10:00.000Z","proven_at":null,"proof_due":true,"stale":null,"warning":"a Member can get in, but cannot repair SSO"},{"account":"019aa207-9fc0-7303-8303-030303030303","email":"cleo@example.com","role":"admin","added_at":"2025-11-18T16:10:00.000Z","proven_at":"2025-11-19T16:10:00.000Z","proof_due":false,"stale":"no-password","warning":null}],"forecast":"if entra fails now, 2 of 3 listed can enter; 1 is an Owner","warnings":["1 of 3 has never proven a password"]}]}
    "#);
    let line = ["break-glass-users", "list", "--idp", "okta"];
    insta::assert_snapshot!(obeys().run(&line).await, @"
    exit 2
    err| usage: there is no identity provider `okta`
    err|   hint: breakglass idp list
    ");
    insta::assert_snapshot!(usual().run(&["break-glass-users", "list"]).await, @"
    exit 0
    err| there is no identity provider, so everybody signs in by password
    ");
    let empty = obeys().world(|world| {
        world.identity.idps = vec![IdpView {
            enforced: false,
            listed: vec![],
            forecast: "if entra fails now, nobody can enter".into(),
            warnings: vec![],
            ..entra()
        }];
    });
    insta::assert_snapshot!(empty.run(&["break-glass-users", "list"]).await, @"
    exit 0
    out| entra (Microsoft Entra ID), SSO not enforced, healthy: break-glass users (0 of 5)
    out| forecast: if entra fails now, nobody can enter
    ");
}

#[tokio::test]
async fn everybody_named_is_added_at_once() {
    let line = ["break-glass-users", "add", "--idp", "entra", "Dan@example.com", "eve@example.com"];
    let ran = obeys().run(&line).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| entra (Microsoft Entra ID), SSO enforced, healthy: break-glass users (5 of 5)
    out| EMAIL             ROLE    LAST PROVEN  NOTE
    out| ana@example.com   Owner   1d ago
    out| bob@example.com   Member  never        proof due; a Member can get in, but cannot repair SSO
    out| cleo@example.com  Admin   1d ago       STALE, counts for nothing: has no password
    out| dan@example.com   Admin   1d ago
    out| eve@example.com   Admin   1d ago
    out| forecast: if entra fails now, 2 of 3 listed can enter; 1 is an Owner
    out| warning: 1 of 3 has never proven a password
    ");
    let change = BreakGlassAsk::Change {
        idp: "entra".parse().unwrap(),
        add: vec!["dan@example.com".parse().unwrap(), "eve@example.com".parse().unwrap()],
        remove: vec![],
        confirm: None,
    };
    assert_eq!(ran.heard[0], Command::BreakGlass(change));
    let json = obeys().run(&[&line[..], &["--json"]].concat()).await;
    assert_eq!(json.documents()[0]["break_glass_list"]["listed"].as_array().unwrap().len(), 5);
}

#[tokio::test]
async fn the_five_refusals_come_with_their_remedies() {
    for error in [
        ListError::Unknown,
        ListError::NoPassword,
        ListError::NotMember,
        ListError::Full(5),
        ListError::Already,
    ] {
        let refuses = engine(move |_: &mut World, _| {
            Err(Report::of(Kind::Usage, &error).hint(error.remedy()))
        });
        let line = ["break-glass-users", "add", "--idp", "entra", "dan@example.com"];
        let ran = refuses.run(&line).await;
        let text = format!("exit 2\nerr| usage: {error}\nerr|   hint: {}\n", error.remedy());
        assert_eq!(ran.to_string(), text);
    }
}

#[tokio::test]
async fn the_last_one_goes_only_when_the_name_is_typed() {
    insta::assert_snapshot!(obeys().run(&EVERYBODY).await, @"
    exit 4
    err| denied: nobody could get in if `entra` failed
    err|   hint: give the name too: --confirm entra
    ");
    insta::assert_snapshot!(obeys().typing(["entra"]).run(&EVERYBODY).await, @"
    exit 0
    err| denied: nobody could get in if `entra` failed
    ask| Type the name of the identity provider to go on: entra
    out| entra (Microsoft Entra ID), SSO enforced, healthy: break-glass users (0 of 5)
    out| forecast: if entra fails now, 2 of 3 listed can enter; 1 is an Owner
    out| warning: 1 of 3 has never proven a password
    ");
    let given = [&EVERYBODY[..], &["--confirm", "entra", "--json"]].concat();
    insta::assert_snapshot!(obeys().run(&given).await, @r#"
    exit 0
    out| {"version":1,"break_glass_list":{"idp":"entra","label":"Microsoft Entra ID","enforced":true,"health":"healthy","listed_max":5,"listed":[],"forecast":"if entra fails now, 2 of 3 listed can enter; 1 is an Owner","warnings":["1 of 3 has never proven a password"]}}
    "#);
    assert_eq!(obeys().run(&EVERYBODY[..4]).await.code, 2);
}

#[tokio::test]
async fn a_proof_is_of_ones_own_password() {
    let line = ["break-glass-users", "prove", "--idp", "entra"];
    let ran = obeys().typing(["correct horse battery"]).run(&line).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    ask| Password: *********************
    out| the password of ana@example.com works for `entra`; nobody was signed in by this
    ");
    let (idp, email) = ("entra".parse().unwrap(), "ana@example.com".parse().unwrap());
    let password = Secret::new("correct horse battery");
    let proof = Command::BreakGlass(BreakGlassAsk::Prove { idp, email, password });
    assert_eq!(ran.heard.last(), Some(&proof));
    assert_eq!(ran.kept, vec![], "nobody is signed in by it");
    let nobody = obeys().world(|world| world.identity.me = None);
    let ran = nobody.typing(["bob@example.com", "correct horse battery"]).run(&line).await;
    assert!(ran.to_string().contains("ask| E-mail: bob@example.com"), "{ran}");
    let piped = [&line[..], &["bob@example.com", "--password-stdin", "--json"]].concat();
    insta::assert_snapshot!(obeys().piping("correct horse battery\n").run(&piped).await, @r#"
    exit 0
    out| {"version":1,"proof":{"idp":"entra","email":"bob@example.com","proven":true}}
    "#);
}
