//! `breakglass operators`, as an operator sees it.

use breakglass::domain::role::Role;
use breakglass::domain::secret::Secret;
use breakglass::domain::time::Span;
use breakglass::error::{Kind, Report};
use breakglass::protocol::{Command, OperatorView, OperatorsAsk, Reply};

use crate::cli_people::{identity, operator};
use crate::cli_support::{Cli, NOW, World, engine, usual};

/// An engine that does as an Owner asks.
fn obeys() -> Cli {
    engine(|world: &mut World, command| match command {
        Command::Operators(OperatorsAsk::Invite { email, .. } | OperatorsAsk::Reset { email }) => {
            let (code, expires_at) = (Secret::new("K7Q2-M4XW-ABCD"), NOW + Span::from_hours(24));
            Ok(Reply::Code { email, code, expires_at })
        }
        Command::Operators(OperatorsAsk::Remove { .. } | OperatorsAsk::SetRole { .. }) => {
            Ok(Reply::Done)
        }
        other => world.usual(other),
    })
    .world(|world| world.identity = identity())
}

fn team() -> Cli {
    usual().world(|world| {
        world.operators = vec![
            OperatorView {
                listed: vec!["entra".parse().unwrap(), "okta".parse().unwrap()],
                ..operator("ana", Role::Owner)
            },
            OperatorView {
                has_password: false,
                bound_to: Some("entra".parse().unwrap()),
                ..operator("bob", Role::Admin)
            },
            OperatorView {
                has_password: false,
                code_expires_at: Some(NOW + Span::from_hours(3)),
                ..operator("cl\u{435}o", Role::Member)
            },
            OperatorView { member: false, has_password: false, ..operator("dan", Role::Member) },
        ];
    })
}

#[tokio::test]
async fn list_shows_the_team_and_counts_who_has_left() {
    insta::assert_snapshot!(team().run(&["operators", "list"]).await, @"
    exit 0
    out| EMAIL             ROLE    PASSWORD  SSO    BREAK-GLASS  NOTE
    out| ana@example.com   Owner   yes       -      entra, okta
    out| bob@example.com   Admin   no        entra  -
    out| clеo@example.com  Member  no        -      -            LOOK-ALIKE: the address mixes scripts; a one-time code works for 3h more
    err| 1 more have left the team; `--all` shows them
    ");
    insta::assert_snapshot!(team().run(&["operators", "list", "--filter", "owner"]).await, @"
    exit 0
    out| EMAIL            ROLE   PASSWORD  SSO  BREAK-GLASS  NOTE
    out| ana@example.com  Owner  yes       -    entra, okta
    ");
    let all = team().run(&["operators", "list", "--all"]).await;
    assert!(all.stdout().contains("dan@example.com"), "{all}");
    insta::assert_snapshot!(team().run(&["operators", "list", "--filter", "zed"]).await, @"
    exit 0
    err| no operator matches
    ");
    let line = ["operators", "list", "--filter", "bob", "--json"];
    insta::assert_snapshot!(team().run(&line).await, @r#"
    exit 0
    out| {"version":1,"operators":[{"account":"019aa207-9fc0-7202-8202-020202020202","email":"bob@example.com","role":"admin","member":true,"has_password":false,"bound_to":"entra","code_expires_at":null,"listed":[],"created_at":"2025-11-20T16:10:00.000Z"}]}
    "#);
}

#[tokio::test]
async fn a_large_team_is_asked_for_page_after_page() {
    let many = usual().world(|world| {
        let named = |number| operator(&format!("user{number:05}"), Role::Member);
        world.operators = (0..2_500).map(named).collect();
    });
    let ran = many.run(&["operators", "list", "--json"]).await;
    assert_eq!(ran.documents()[0]["operators"].as_array().unwrap().len(), 2_500);
    let asked = |command: &&Command| matches!(command, Command::Operators(_));
    assert_eq!(ran.heard.iter().filter(asked).count(), 3);
}

#[tokio::test]
async fn an_invitation_prints_the_code_once_and_how_it_is_used() {
    let line = ["operators", "invite", "Bob@example.com", "--role", "admin"];
    let ran = obeys().run(&line).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    err| one-time code for bob@example.com, shown only here; it works once, until 2025-11-21 16:10:00 UTC
    out| K7Q2-M4XW-ABCD
    err| give it to them in person or by a channel that you trust; they set their password with:
    err|   breakglass password set --email bob@example.com
    ");
    let email = "bob@example.com".parse().unwrap();
    let invite = Command::Operators(OperatorsAsk::Invite { email, role: Role::Admin });
    assert_eq!(ran.heard.last(), Some(&invite));
    assert_eq!(ran.stdout(), "K7Q2-M4XW-ABCD\n", "a script reads the code and nothing else");
    let json = [&line[..], &["--json"]].concat();
    insta::assert_snapshot!(obeys().run(&json).await, @r#"
    exit 0
    out| {"version":1,"code":{"email":"bob@example.com","code":"K7Q2-M4XW-ABCD","expires_at":"2025-11-21T16:10:00.000Z","command":"breakglass password set --email bob@example.com"}}
    "#);
    let reset = obeys().run(&["operators", "reset", "o'neil@example.com"]).await;
    insta::assert_snapshot!(reset, @r"
    exit 0
    err| one-time code for o'neil@example.com, shown only here; it works once, until 2025-11-21 16:10:00 UTC
    out| K7Q2-M4XW-ABCD
    err| give it to them in person or by a channel that you trust; they set their password with:
    err|   breakglass password set --email 'o'\''neil@example.com'
    ");
}

#[tokio::test]
async fn a_change_says_what_it_means() {
    insta::assert_snapshot!(obeys().run(&["operators", "remove", "bob@example.com"]).await, @"
    exit 0
    out| bob@example.com is removed; their sign-ins and sessions end
    ");
    let line = ["operators", "role", "bob@example.com", "Admin"];
    let ran = obeys().run(&line).await;
    insta::assert_snapshot!(ran, @"
    exit 0
    out| bob@example.com is an Admin
    ");
    let email = "bob@example.com".parse().unwrap();
    let role = Command::Operators(OperatorsAsk::SetRole { email, role: Role::Admin });
    assert_eq!(ran.heard, vec![role]);
    let json = obeys().run(&["operators", "remove", "bob@example.com", "--json"]).await;
    insta::assert_snapshot!(json, @r#"
    exit 0
    out| {"version":1,"operator":{"email":"bob@example.com","member":false,"role":null}}
    "#);
}

#[tokio::test]
async fn what_is_no_address_or_role_is_exit_2() {
    let line = ["operators", "invite", "bob", "--role", "admin"];
    insta::assert_snapshot!(obeys().run(&line).await, @"
    exit 2
    err| usage: invalid value 'bob' for '<EMAIL>': `bob` is no e-mail address; one looks like `ana@example.com`
    err|   hint: breakglass operators invite --help
    ");
    insta::assert_snapshot!(
        obeys().run(&["operators", "role", "bob@example.com", "root"]).await, @"
    exit 2
    err| usage: invalid value 'root' for '<ROLE>': `root` is no role; there are owner, admin and member
    err|   hint: breakglass operators role --help
    ");
    insta::assert_snapshot!(obeys().run(&["operators", "invite", "bob@example.com"]).await, @"
    exit 2
    err| usage: the following required arguments were not provided: --role <ROLE>
    err|   hint: breakglass operators invite --help
    ");
}

#[tokio::test]
async fn the_last_owner_is_the_engines_to_keep() {
    let refuses = engine(|_: &mut World, _| {
        let message = "ana@example.com is the last Owner, and somebody has to be";
        Err(Report::new(Kind::Denied, message).hint("breakglass operators role EMAIL owner"))
    });
    insta::assert_snapshot!(refuses.run(&["operators", "remove", "ana@example.com"]).await, @"
    exit 4
    err| denied: ana@example.com is the last Owner, and somebody has to be
    err|   hint: breakglass operators role EMAIL owner
    ");
}
