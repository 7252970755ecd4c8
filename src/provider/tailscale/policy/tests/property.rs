//! What holds for every file: bytes that are not ours stay, in whatever order sessions come and go.

use proptest::prelude::*;

use super::*;

/// A gap between values in the style of a file: blank, with comments, or on a new line.
fn gap(newline: &'static str) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just(String::new()),
        3 => Just(" ".to_owned()),
        1 => Just("\t".to_owned()),
        4 => Just(newline.to_owned()),
        1 => Just(format!("{newline}    ")),
        1 => Just(format!("/* a, {newline} \"b\": [ // */")),
        1 => Just("/**/".to_owned()),
        2 => Just(format!("// {{ , \" ]{newline}")),
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

/// A container of these parts, with gaps around each.
fn container(
    brackets: (&'static str, &'static str),
    parts: Vec<String>,
    newline: &'static str,
) -> impl Strategy<Value = String> {
    let gaps = proptest::collection::vec(gap(newline), parts.len() * 2 + 2);
    (gaps, any::<bool>()).prop_map(move |(gaps, trailing)| {
        let mut gaps = gaps.into_iter();
        let mut gap = || gaps.next().unwrap_or_default();
        let mut text = brackets.0.to_owned();
        for (count, part) in parts.iter().enumerate() {
            text += &format!("{}{part}{}", gap(), gap());
            if trailing || count + 1 < parts.len() {
                text.push(',');
            }
        }
        text + &gap() + brackets.1
    })
}

fn some_of(
    all: &'static [&'static str],
    brackets: (&'static str, &'static str),
    newline: &'static str,
) -> BoxedStrategy<String> {
    let parts = proptest::sample::subsequence(all, 0..=all.len());
    let parts = parts.prop_map(|parts| parts.into_iter().map(str::to_owned).collect());
    parts.prop_flat_map(move |parts: Vec<_>| container(brackets, parts, newline)).boxed()
}

/// A section that may be missing.
fn section(name: &'static str, value: BoxedStrategy<String>) -> BoxedStrategy<Option<String>> {
    proptest::option::of(value.prop_map(move |value| format!("\"{name}\": {value}"))).boxed()
}

const OBJECT: (&str, &str) = ("{", "}");
const LIST: (&str, &str) = ("[", "]");

/// A policy file of whatever shape; the rules section is always there.
fn policy() -> impl Strategy<Value = String> {
    let newline = prop_oneof![Just("\n"), Just("\r\n")];
    newline.prop_flat_map(|newline| {
        let tags = some_of(&["\"tag:a\": []", "\"tag:b\" /* b */ : [\"x@y\",]"], OBJECT, newline);
        let rules = some_of(
            &["{\"src\": [\"*\"], \"dst\": [\"*\"], \"ip\": [\"*\"]}", "{\"app\": 0}"],
            LIST,
            newline,
        );
        let approvers = some_of(&["\"tag:a\"", "\"group:x\""], LIST, newline);
        let route = section("10.20.30.40/32", approvers.clone());
        let routes = (route, section("10.0.0.0/8", approvers.clone())).prop_flat_map(move |both| {
            container(OBJECT, [both.0, both.1].into_iter().flatten().collect(), newline)
        });
        let auto = (section("Routes", routes.boxed()), section("exitNode", approvers));
        let auto = auto.prop_flat_map(move |both| {
            container(OBJECT, [both.1, both.0].into_iter().flatten().collect(), newline)
        });
        let rules = rules.prop_map(|rules| Some(format!("\"grants\": {rules}")));
        let sections = (
            section("TagOwners", tags),
            rules,
            section("autoApprovers", auto.boxed()),
            gap(newline),
        );
        sections.prop_flat_map(move |(tags, rules, auto, around)| {
            let parts = [tags, rules, auto].into_iter().flatten().collect();
            let root = container(OBJECT, parts, newline);
            root.prop_map(move |root| format!("{around}{root}{around}"))
        })
    })
}

/// Sessions that come and go in a random order.
fn life(sessions: u16) -> impl Strategy<Value = Vec<u16>> {
    let twice: Vec<_> = (0..sessions).flat_map(|session| [session, session]).collect();
    Just(twice).prop_shuffle()
}

/// Lives through the order: the first time a session comes, the second time it goes.
fn live(mut text: String, order: &[u16]) -> String {
    let mut open = BTreeMap::new();
    for &session in order {
        if let Some(added) = open.remove(&session) {
            text = text_of(revert(&text, &added).unwrap());
        } else {
            let edited = edit(&text, &wanted(session)).unwrap();
            text = edited.text;
            open.insert(session, edited.added);
        }
    }
    text
}

/// Returns true when `small` is `large` with pieces left out.
fn is_part_of(small: &str, large: &str) -> bool {
    let mut rest = large.bytes();
    small.bytes().all(|byte| rest.any(|other| other == byte))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn an_edit_only_adds_and_its_revert_leaves_no_trace(text in policy()) {
        let after = edited(&text, &wanted(1));
        prop_assert!(is_part_of(&text, &after));
    }

    #[test]
    fn a_change_of_somebody_else_is_all_that_remains(text in policy(), note in "[a-z]{1,9}") {
        let theirs = |text: &str| {
            let text = text.replace("/**/", &format!("/* {note} */")).replace("// {", "// ");
            let text = text.replace("\"tag:a\": []", "\"tag:a\": [\"group:x\"]");
            format!("{}// {note}", text.replace("\"app\": 0", "\"app\": 1"))
        };
        let text = text.replacen('{', "{\"hosts\": {\"\": 1},", 1);
        let edited = edit(&text, &wanted(1)).unwrap();
        let now = theirs(&edited.text);
        prop_assert_eq!(text_of(revert(&now, &edited.added).unwrap()), theirs(&text));
    }

    #[test]
    fn a_journal_keeps_what_was_added(text in policy()) {
        let edited = edit(&text, &wanted(1)).unwrap();
        let line = serde_json::to_string(&edited.added).unwrap();
        prop_assert_eq!(serde_json::from_str::<Added>(&line).unwrap(), edited.added);
    }

    #[test]
    fn any_text_is_answered(text in "[\\[\\]{}\",:/* \n\r\tacls]{0,40}") {
        let _ = edit(&text, &wanted(1));
        let added = Added { items: vec![], created: vec![vec!["acls".into()]] };
        if let Ok(Reverted::Text { text: now, .. }) = revert(&text, &added) {
            prop_assert!(false, "{} became {}", text, now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn fifty_sessions_in_any_order_leave_the_bytes_of_the_beginning(
        text in policy(),
        order in life(50),
    ) {
        prop_assert_eq!(live(text.clone(), &order), text);
    }
}
