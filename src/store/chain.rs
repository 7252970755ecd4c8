//! The audit chain: each event carries the hash of the one before it.
//!
//! ```text
//! body = canonical JSON of {seq, id, time, .., prev}      hash = SHA-256(body)
//!
//! body 1 ──► hash 1 ──► prev in body 2 ──► hash 2 ──► prev in body 3 ..
//! ```
//!
//! - Changing, inserting, swapping or taking out any event breaks the chain at that place. The
//!   verifier names the first bad one.
//! - Taking events off the end, or writing the whole chain anew, breaks nothing in the file. That is
//!   found against a head that was noted elsewhere; [`Head`] prints it so that it can be read aloud.
//! - The canonical form is that of RFC 8785: keys sorted by UTF-16 code units, no white space, the
//!   shortest escapes. Numbers are written as `serde_json` does, which for the integers of the audit
//!   is the same.
//!
//! Not here: any file. The store keeps body and hash as they come out of here.

use std::fmt;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::domain::audit_event::{AuditDraft, AuditEvent};
use crate::protocol::AuditVerdict;

/// The end of the chain: where the next event is linked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The place of the newest event; zero where there is none.
    pub seq: u64,
    /// Its hash, 64 hexadecimal digits; zeros where there is none.
    pub hash: String,
}

/// An event in its place, and what is kept of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The event.
    pub event: AuditEvent,
    /// What was hashed.
    pub body: String,
    /// The chain as it ends with this event.
    pub head: Head,
}

impl Default for Head {
    /// The head of an empty chain.
    fn default() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }
}

/// An event that only lacks its place: the text is made, but for where `prev` and `seq` stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loose {
    id: String,
    time: String,
    event: AuditDraft,
    /// Before `prev`, between it and `seq`, and after that.
    body: [String; 3],
}

impl Loose {
    /// Makes the text of an event. `id` is a UUIDv7, `time` RFC 3339.
    #[must_use]
    pub fn new(id: String, time: String, event: AuditDraft) -> Self {
        let mut members = match json!(event) {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        members.insert("id".to_owned(), json!(id));
        members.insert("time".to_owned(), json!(time));
        members.insert("prev".to_owned(), Value::Null);
        members.insert("seq".to_owned(), Value::Null);
        let [mut before, mut between, mut after] = [const { String::new() }; 3];
        let mut out = &mut before;
        for (place, (key, member)) in sorted(&members).into_iter().enumerate() {
            out.push(if place == 0 { '{' } else { ',' });
            write_text(out, key);
            out.push(':');
            match key.as_str() {
                "prev" => out = &mut between,
                "seq" => out = &mut after,
                _ => write_value(out, member),
            }
        }
        out.push('}');
        Self { id, time, event, body: [before, between, after] }
    }
}

impl Head {
    /// Gives an event the next place.
    #[must_use]
    pub fn link(&self, loose: Loose) -> Link {
        let Loose { id, time, event, body: [before, between, after] } = loose;
        let seq = self.seq.saturating_add(1);
        let prev = self.hash.clone();
        let body = format!("{before}\"{prev}\"{between}{seq}{after}");
        let hash = digest(body.as_bytes());
        let event = AuditEvent { seq, id, time, event, prev, hash: hash.clone() };
        Link { event, body, head: Self { seq, hash } }
    }
}

impl fmt::Display for Head {
    /// Writes the first 100 bits as four groups of five base32 characters (RFC 4648, lower case).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in 0..HEAD_CHARS {
            if place > 0 && place % HEAD_GROUP_CHARS == 0 {
                f.write_str("-")?;
            }
            let digit = BASE32.get(five_bits(&self.hash, place)).unwrap_or(&b'a');
            write!(f, "{}", char::from(*digit))?;
        }
        Ok(())
    }
}

/// One event as it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its place.
    pub seq: u64,
    /// What was hashed.
    pub body: &'a [u8],
    /// The hash that was kept.
    pub hash: &'a [u8],
}

/// Verifies a chain event by event.
#[derive(Debug, Default)]
pub struct Verifier {
    head: Head,
    broken: Option<(u64, String)>,
}

/// What the verifier needs to know of a body.
#[derive(serde::Deserialize)]
struct Place<'a> {
    seq: u64,
    prev: &'a str,
}

impl Verifier {
    /// Takes in the next event; false once the chain is broken.
    pub fn take(&mut self, row: Row<'_>) -> bool {
        if self.broken.is_some() {
            return false;
        }
        let expected = self.head.seq.saturating_add(1);
        match check(&self.head, expected, row) {
            Ok(hash) => self.head = Head { seq: expected, hash },
            Err(why) => self.broken = Some((expected, why)),
        }
        self.broken.is_none()
    }

    /// Says whether the chain holds; its head is that of the part that does.
    #[must_use]
    pub fn verdict(self) -> AuditVerdict {
        AuditVerdict { events: self.head.seq, broken: self.broken, head: self.head.to_string() }
    }
}

fn check(head: &Head, expected: u64, row: Row<'_>) -> Result<String, String> {
    if row.seq != expected {
        return Err(format!("it is missing: the next one is number {}", row.seq));
    }
    let hash = digest(row.body);
    if hash.as_bytes() != row.hash {
        return Err("it was changed: its hash is that of another text".to_owned());
    }
    let place: Place<'_> =
        serde_json::from_slice(row.body).map_err(|_| "it is no audit event".to_owned())?;
    if place.seq != expected {
        return Err(format!("it was moved: it calls itself number {}", place.seq));
    }
    if place.prev != head.hash {
        return Err("it does not follow the event before it".to_owned());
    }
    Ok(hash)
}

/// Writes the canonical JSON of a value.
fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (place, (key, member)) in sorted(members).into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write_text(out, key);
                out.push(':');
                write_value(out, member);
            }
            out.push('}');
        }
        Value::String(text) => write_text(out, text),
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number.to_string()),
    }
}

fn sorted(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    members
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Returns the SHA-256 of the bytes as 64 hexadecimal digits.
fn digest(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let hash = Sha256::digest(bytes);
    hash.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// The five bits at this place of a hash in hexadecimal, counted in fives from the front.
fn five_bits(hash: &str, place: usize) -> usize {
    let nibble =
        |at: usize| hash.as_bytes().get(at).and_then(|digit| char::from(*digit).to_digit(16));
    let bit = |at: usize| nibble(at / 4).map_or(0, |nibble| (nibble >> (3 - at % 4)) & 1);
    (place * 5..place * 5 + 5).fold(0, |bits, at| (bits << 1) | bit(at) as usize)
}

const HEAD_CHARS: usize = 20;
const HEAD_GROUP_CHARS: usize = 5;
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::audit_event::Actor;

    fn canonical(value: &Value) -> String {
        let mut out = String::new();
        write_value(&mut out, value);
        out
    }

    fn draft(text: &str) -> AuditDraft {
        AuditDraft::new("session.requested", text, Actor::engine())
    }

    fn chain(texts: &[&str]) -> Vec<Link> {
        let mut head = Head::default();
        let link = |text: &&str| {
            let time = "2025-11-20T16:10:00.000Z".into();
            let link = head.link(Loose::new("id".into(), time, draft(text)));
            head = link.head.clone();
            link
        };
        texts.iter().map(link).collect()
    }

    fn verify<'a>(rows: impl IntoIterator<Item = Row<'a>>) -> AuditVerdict {
        let mut verifier = Verifier::default();
        for row in rows {
            if !verifier.take(row) {
                break;
            }
        }
        verifier.verdict()
    }

    fn verdict(links: &[Link]) -> AuditVerdict {
        verify(links.iter().map(|link| Row {
            seq: link.head.seq,
            body: link.body.as_bytes(),
            hash: link.head.hash.as_bytes(),
        }))
    }

    #[test]
    fn an_event_is_hashed_as_canonical_json() {
        let links = chain(&["first", "second"]);
        insta::assert_snapshot!(links[0].body, @r#"{"actor":{"kind":"engine","operator":null},"changes":null,"description":"first","drill":false,"id":"id","metadata":null,"object":null,"outcome":"success","prev":"0000000000000000000000000000000000000000000000000000000000000000","reason":null,"seq":1,"session":null,"source":{"host":null,"ip":null,"tty":null,"uid":null},"time":"2025-11-20T16:10:00.000Z","type":"session.requested"}"#);
        insta::assert_snapshot!(links[0].head, @"tzsqh-lzyn3-wf26y-km3y3");
        let body: Value = serde_json::from_str(&links[0].body).unwrap();
        assert_eq!(links[0].body, canonical(&body), "made in pieces, it is the same");
        assert_eq!(links[0].event.hash, links[0].head.hash);
        assert_eq!(links[1].event.prev, links[0].event.hash);
        assert_eq!(verdict(&links).broken, None);
        assert_eq!(verdict(&links).head, links[1].head.to_string());
    }

    #[test]
    fn an_empty_chain_holds() {
        insta::assert_snapshot!(format!("{:?}", verdict(&[])), @r#"AuditVerdict { events: 0, broken: None, head: "aaaaa-aaaaa-aaaaa-aaaaa" }"#);
    }

    /// RFC 8785, 3.2.2 and 3.2.3, without numbers that are no integers.
    #[test]
    fn canonical_json_is_that_of_the_standard() {
        let value: Value = serde_json::from_str(
            r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh",
                "1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control",
                "\u00f6":"Latin Small Letter O With Diaeresis",
                "literals":[null,true,false],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
                "integers":[0,-1,9007199254740993,18446744073709551615]}"#,
        )
        .unwrap();
        let expected = "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\
            \"integers\":[0,-1,9007199254740993,18446744073709551615],\
            \"literals\":[null,true,false],\"string\":\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\",\
            \"\u{80}\":\"Control\",\"\u{f6}\":\"Latin Small Letter O With Diaeresis\",\
            \"\u{20ac}\":\"Euro Sign\",\"\u{1f600}\":\"Emoji: Grinning Face\",\
            \"\u{fb33}\":\"Hebrew Letter Dalet With Dagesh\"}";
        assert_eq!(canonical(&value), expected);
    }

    #[test]
    fn what_is_done_to_the_chain_is_found_where_it_was_done() {
        let whole = chain(&["a", "b", "c", "d"]);
        let mut told = Vec::new();
        let mut tell = |what: &str, links: Vec<Link>| {
            told.push(format!("{what}: {:?}", verdict(&links).broken));
        };
        tell("without the first", whole[1..].to_vec());
        tell("without the second", [&whole[..1], &whole[2..]].concat());
        tell("without the last", whole[..3].to_vec());
        let mut swapped = whole.clone();
        swapped.swap(1, 2);
        tell("two swapped", swapped);
        let mut renumbered = whole.clone();
        renumbered.swap(1, 2);
        (renumbered[1].head.seq, renumbered[2].head.seq) = (2, 3);
        tell("two swapped and numbered anew", renumbered);
        tell("one twice", [&whole[..2], &whole[1..]].concat());
        let mut changed = whole.clone();
        changed[1].body = changed[1].body.replace("\"b\"", "\"B\"");
        tell("a text changed", changed.clone());
        changed[1].head.hash = digest(changed[1].body.as_bytes());
        tell("a text changed and hashed anew", changed);
        let other = chain(&["a", "x", "c", "d"]);
        tell("one from another chain", [&whole[..1], &other[1..2], &whole[2..]].concat());
        tell("its end from another chain", [&whole[..2], &other[2..]].concat());
        insta::assert_snapshot!(told.join("\n"), @r#"
            without the first: Some((1, "it is missing: the next one is number 2"))
            without the second: Some((2, "it is missing: the next one is number 3"))
            without the last: None
            two swapped: Some((2, "it is missing: the next one is number 3"))
            two swapped and numbered anew: Some((2, "it was moved: it calls itself number 3"))
            one twice: Some((3, "it is missing: the next one is number 2"))
            a text changed: Some((2, "it was changed: its hash is that of another text"))
            a text changed and hashed anew: Some((3, "it does not follow the event before it"))
            one from another chain: Some((3, "it does not follow the event before it"))
            its end from another chain: Some((3, "it does not follow the event before it"))
        "#);
    }

    #[test]
    fn a_chain_written_anew_is_found_against_a_head_that_was_noted() {
        let noted = verdict(&chain(&["a", "b"])).head;
        let anew = verdict(&chain(&["a", "B"]));
        assert_eq!(anew.broken, None);
        assert_ne!(anew.head, noted);
        assert_ne!(verdict(&chain(&["a"])).head, noted, "a missing end, too");
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_json_reads_back_to_the_same(value in json()) {
            let text = canonical(&value);
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(&read, &value);
            prop_assert_eq!(canonical(&read), text.as_str());
            prop_assert!(!text.contains('\n'), "a line of the verifier is one event");
        }

        #[test]
        fn any_flipped_bit_is_found(bit in 0_usize..8, at in any::<prop::sample::Index>(), row in 0_usize..3, in_hash in any::<bool>()) {
            let links = chain(&["a", "b", "c"]);
            let mut rows: Vec<(u64, Vec<u8>, Vec<u8>)> = links
                .iter()
                .map(|link| (link.head.seq, link.body.clone().into(), link.head.hash.clone().into()))
                .collect();
            let field = if in_hash { &mut rows[row].2 } else { &mut rows[row].1 };
            let at = at.index(field.len());
            field[at] ^= 1 << bit;
            let verdict =
                verify(rows.iter().map(|(seq, body, hash)| Row { seq: *seq, body, hash }));
            prop_assert_eq!(verdict.broken.map(|(seq, _)| seq), Some(row as u64 + 1));
        }
    }
}
