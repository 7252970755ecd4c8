//! What an edit does to a file, as texts before and after.

use super::*;

mod property;

/// What session `number` wants.
fn wanted(number: u16) -> Wanted {
    Wanted {
        operator_tag: format!("tag:bg-operator-{number}"),
        router_tag: format!("tag:bg-router-{number}"),
        owners: vec!["group:sre".into()],
        target: "10.20.30.40:5432".parse().unwrap(),
        route: Some("10.20.30.40/32".into()),
    }
}

fn text_of(reverted: Reverted) -> String {
    match reverted {
        Reverted::Text { text, kept } if kept.is_empty() => text,
        other => panic!("{other:?}"),
    }
}

/// Edits, prints, and holds the revert to the bytes of the beginning.
fn edited(text: &str, wanted: &Wanted) -> String {
    let edited = edit(text, wanted).unwrap();
    assert_eq!(presence(text, &edited.added), Ok(Presence::None));
    assert_eq!(presence(&edited.text, &edited.added), Ok(Presence::All));
    assert_eq!(text_of(revert(&edited.text, &edited.added).unwrap()), text);
    edited.text
}

fn fault(text: &str) -> String {
    edit(text, &wanted(1)).unwrap_err().to_string()
}

#[test]
fn entries_take_the_style_of_their_neighbours() {
    let before = r#"// The tailnet of Acme.
{
  "tagOwners": {
    "tag:web": ["group:dev"], // the shop
  },
  "grants": [
    {"src": ["group:dev"], "dst": ["tag:web"], "ip": ["443"]},
    // Ask Ana before you add one.
  ],
  "autoApprovers": {"routes": {"10.0.0.0/8": ["tag:web"]}}
}
"#;
    insta::assert_snapshot!(edited(before, &wanted(1)), @r#"
    // The tailnet of Acme.
    {
      "tagOwners": {
        "tag:web": ["group:dev"], // the shop
        "tag:bg-operator-1": ["group:sre"],
        "tag:bg-router-1": ["group:sre"],
      },
      "grants": [
        {"src": ["group:dev"], "dst": ["tag:web"], "ip": ["443"]},
        {"src": ["tag:bg-operator-1"], "dst": ["10.20.30.40"], "ip": ["tcp:5432"]},
        // Ask Ana before you add one.
      ],
      "autoApprovers": {"routes": {"10.0.0.0/8": ["tag:web"], "10.20.30.40/32": ["tag:bg-router-1",]}}
    }
    "#);
}

#[test]
fn what_is_missing_is_created_and_leaves_with_its_last_entry() {
    let before = "{\n\t// Nobody may do anything.\n\t\"ACLs\": [] // yet\n}\n";
    insta::assert_snapshot!(edited(before, &wanted(1)).replace('\t', "  "), @r#"
    {
      // Nobody may do anything.
      "ACLs": [{"action": "accept", "src": ["tag:bg-operator-1"], "proto": "tcp", "dst": ["10.20.30.40:5432"]}], // yet
      "tagOwners": {
        "tag:bg-operator-1": ["group:sre"],
        "tag:bg-router-1": ["group:sre"],
      },
      "autoApprovers": {
        "routes": {
          "10.20.30.40/32": [
            "tag:bg-router-1",
          ],
        },
      }
    }
    "#);
}

#[test]
fn a_target_in_ipv6_is_written_as_each_form_wants_it() {
    let mut wanted = wanted(1);
    wanted.target = "[fd7a:115c:a1e0:b1a:0:7:a14:1e28]:5432".parse().unwrap();
    wanted.route = None;
    let rule = |before| {
        let edited = edit(before, &wanted).unwrap();
        edited.added.items.last().unwrap().value["dst"][0].clone()
    };
    assert_eq!(rule(r#"{"grants": []}"#), "fd7a:115c:a1e0:b1a:0:7:a14:1e28");
    assert_eq!(rule(r#"{"acls": []}"#), "[fd7a:115c:a1e0:b1a:0:7:a14:1e28]:5432");
    assert_eq!(rule(r#"{"acls": [], "grants": []}"#), "fd7a:115c:a1e0:b1a:0:7:a14:1e28");
}

#[test]
fn what_is_there_already_is_somebody_elses() {
    let before = r#"{
  "tagOwners": {"tag:bg-operator-1": [], "tag:bg-router-1": ["tag:ci"]},
  "autoApprovers": {"Routes": {"10.20.30.40/32": ["tag:bg-router-1"]}},
  "grants": [],
}
"#;
    insta::assert_snapshot!(edited(before, &wanted(1)), @r#"
    {
      "tagOwners": {"tag:bg-operator-1": [], "tag:bg-router-1": ["tag:ci"]},
      "autoApprovers": {"Routes": {"10.20.30.40/32": ["tag:bg-router-1"]}},
      "grants": [{"src": ["tag:bg-operator-1"], "dst": ["10.20.30.40"], "ip": ["tcp:5432"]}],
    }
    "#);
}

#[test]
fn the_changes_of_others_stay() {
    let before = "{\n  \"acls\": [],\n  \"tagOwners\": {\n    \"tag:a\": [], // old\n  },\n}\n";
    let edited = edit(before, &wanted(1)).unwrap();
    // Somebody rewrites a comment, adds to a section that we made, and notes something at ours.
    let theirs = |text: &str| {
        text.replace("// old", "// new").replace("\"tag:a\": [],", "\"tag:a\": [], \"tag:b\": [],")
    };
    let now = theirs(&edited.text)
        .replace("\"routes\": {", "\"exitNode\": [\"tag:a\"],\n    \"routes\": {");
    let now = now.replace(
        "\"tag:bg-router-1\": [\"group:sre\"],",
        "\"tag:bg-router-1\": [\"group:sre\"], // whose?",
    );
    insta::assert_snapshot!(text_of(revert(&now, &edited.added).unwrap()), @r#"
    {
      "acls": [],
      "tagOwners": {
        "tag:a": [], "tag:b": [], // new
        // whose?
      },
      "autoApprovers": {
        "exitNode": ["tag:a"],
      },
    }
    "#);
}

#[test]
fn a_tag_that_others_use_by_now_stays_and_is_named() {
    let before = "{\"grants\": []}";
    let (one, two) = (edit(before, &wanted(1)).unwrap(), wanted(1));
    let both = edit(&one.text, &two).unwrap();
    let Reverted::Text { text, kept } = revert(&both.text, &one.added).unwrap() else { panic!() };
    assert_eq!(kept, ["tag:bg-operator-1"]);
    assert_eq!(presence(&text, &one.added), Ok(Presence::Part));
    let text = text_of(revert(&text, &both.added).unwrap());
    assert_eq!(text_of(revert(&text, &one.added).unwrap()), before);
}

#[test]
fn only_an_equal_value_is_taken_away() {
    let edited = edit("{\"acls\": []}", &wanted(1)).unwrap();
    let wider = edited.text.replace(":5432", ":*").replace("\"group:sre\"", "\"group:all\"");
    let now = wider.replace("[\"tag:bg-router-1\",]", "[]");
    assert_eq!(presence(&now, &edited.added), Ok(Presence::None));
    let text = text_of(revert(&now, &edited.added).unwrap());
    assert_eq!(
        text,
        now.replace(", \"autoApprovers\": {\"routes\": {\"10.20.30.40/32\": [],},}", "")
    );
    assert_eq!(revert(&text, &edited.added), Ok(Reverted::NothingLeft { kept: vec![] }));
}

#[test]
fn a_comment_in_a_section_of_ours_keeps_the_section() {
    let edited = edit("{\n\"acls\": [],\n}", &wanted(1)).unwrap();
    let noted = edited.text.replace("\"tagOwners\": {", "\"tagOwners\": { // mind the gap");
    insta::assert_snapshot!(text_of(revert(&noted, &edited.added).unwrap()), @r#"
    {
    "acls": [],
    "tagOwners": { // mind the gap
    },
    }
    "#);
}

#[test]
fn a_file_that_cannot_be_edited_safely_is_left_with_a_reason() {
    let deep = format!("{{\"acls\": {}", "[".repeat(200));
    for (text, reason) in [
        (
            "{\"groups\": {}}",
            "the policy file has neither `grants` nor `acls`, so everybody may reach everything, and the first rule would shut all others out; write the rules of the tailnet first (`\"acls\": []` allows nothing)",
        ),
        (
            "{\n  \"acls\": [],\n  \"ACLs\": [],\n}",
            "`acls` on line 2 and `ACLs` on line 3, column 3 of the policy file name the same; merge them into one",
        ),
        (
            "{\"acls\": [], \"tagOwner\u{17f}\": {}, \"tagOwners\": {}}",
            "`tagOwner\u{17f}` on line 1 and `tagOwners` on line 1, column 31 of the policy file name the same; merge them into one",
        ),
        (
            "{\"acls\": [], \"tagOwners\": {\"tag:bg-router-1\": [], \"tag:bg-router-1\": []}}",
            "`tag:bg-router-1` on line 1 and `tag:bg-router-1` on line 1, column 51 of the policy file name the same; merge them into one",
        ),
        (
            "{\"acls\": {}}",
            "`acls` on line 1, column 2 of the policy file is not a list; make it one, or remove it",
        ),
        (
            "{\"acls\": [], \"autoApprovers\": {\"routes\": null}}",
            "`routes` on line 1, column 32 of the policy file is not an object; make it one, or remove it",
        ),
        (
            "[]",
            "`the whole` on line 1, column 1 of the policy file is not an object; make it one, or remove it",
        ),
        (
            "",
            "line 1, column 1 of the policy file is not valid HuJSON (it is empty); correct it there, in the admin console or in its repository",
        ),
        (
            "{\n  \"acls\": [,],\n}",
            "line 2, column 12 of the policy file is not valid HuJSON (unexpected comma); correct it there, in the admin console or in its repository",
        ),
        (
            &deep,
            "line 1, column 109 of the policy file is not valid HuJSON (values nest too deep); correct it there, in the admin console or in its repository",
        ),
    ] {
        assert_eq!(fault(text), reason);
    }
}

#[test]
fn nothing_but_hujson_is_read() {
    for text in [
        "{'acls': []}",
        "{acls: []}",
        "{\"acls\": [1 2]}",
        "{\"acls\": []} x",
        "{\"acls\": [],,}",
        "{\"acls\": [0x1]}",
        "{\"acls\": [+1]}",
        "{\"acls\": [.5]}",
        "{\"acls\": [5.]}",
        "{\"acls\": [01]}",
        "{\"acls\": [NaN]}",
        "{\"acls\": [\"\\x41\"]}",
        "{\"acls\": [\"a\nb\"]}",
        "{\"acls\": [] # no\n}",
        "{\"acls\": [] /* no }",
        "{\"acls\": []",
        "\u{feff}{\"acls\": []}",
        "{\u{a0}\"acls\": []}",
        "{\"acls\":\u{b}[]}",
        "{// hidden?\r\"acls\": []\n}",
        "{\"acls\": []}{}",
    ] {
        assert!(matches!(edit(text, &wanted(1)), Err(PolicyFault::Syntax { .. })), "{text:?}");
    }
    edited("/*a*/{\"acls\"/*b*/:/*c*/[/*/d*/],/**/}//e", &wanted(1));
}

#[test]
fn a_difference_is_shown_without_what_a_terminal_obeys() {
    let before = "{\r\n\t\"acls\": [], // \u{1b}[2J\r\n}\r\n";
    let mut wanted = wanted(1);
    wanted.route = None;
    wanted.router_tag.clone_from(&wanted.operator_tag);
    let after = edited(before, &wanted);
    insta::assert_snapshot!(diff(before, &after), @r#"
    @@ -1,3 +1,6 @@
     {
    -    "acls": [], // <1B>[2J
    +    "acls": [{"action": "accept", "src": ["tag:bg-operator-1"], "proto": "tcp", "dst": ["10.20.30.40:5432"]}], // <1B>[2J
    +    "tagOwners": {
    +        "tag:bg-operator-1": ["group:sre"],
    +    },
     }
    "#);
    assert!(!after.replace("\r\n", "").contains('\n'));
    assert_eq!(diff(before, before), "");
}

#[test]
fn an_edit_that_does_more_than_it_says_is_not_proven() {
    let before = "{\"acls\": [1], \"ssh\": []}";
    let Edited { text, added } = edit(before, &wanted(1)).unwrap();
    let differ = |after: &str, added: &Added| {
        proof::differ_by(&read(before).unwrap(), &read(after).unwrap(), added)
    };
    assert!(differ(&text, &added));
    for (from, to) in [
        ("\"ssh\": []", "\"ssh\": [2]"),
        ("[1,", "[2,"),
        ("[1, ", "["),
        ("5432", "5433"),
        ("\"group:sre\"", "\"group:sre\", \"group:all\""),
        ("\"ssh\": []", "\"ssh\": [], \"hosts\": {}"),
    ] {
        assert!(text.contains(from), "{text}");
        assert!(!differ(&text.replace(from, to), &added), "{from} to {to}");
    }
    let less = Added { items: added.items[1..].to_vec(), created: added.created.clone() };
    assert!(!differ(&text, &less));
    let other = Added { created: vec![], ..added };
    assert!(!differ(&text, &other));
}
