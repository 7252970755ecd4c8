//! The text of a policy file and the tag of its version.

use sha2::{Digest, Sha256};

/// The tag as a server sent it, without quotes; nothing where it sent none.
pub fn bare(etag: Option<&str>) -> Option<String> {
    let etag = etag?.trim();
    let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    (!etag.is_empty()).then(|| etag.to_owned())
}

/// The tag as it is sent back: in exactly one pair of quotes.
pub fn quoted(etag: &str) -> String {
    format!("\"{}\"", bare(Some(etag)).unwrap_or_default())
}

/// A tag of our own for a server that has none: it stands for the text itself.
pub fn own_tag(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{OWN}{hex}")
}

/// True for a tag of our own.
pub fn is_own(etag: &str) -> bool {
    etag.starts_with(OWN)
}

/// HuJSON with its comments blanked, line by line as long as before.
pub fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    let (mut quoted, mut escaped) = (false, false);
    while let Some(c) = rest.next() {
        match (quoted, c, rest.peek()) {
            (true, _, _) => {
                quoted = escaped || c != '"';
                escaped = !escaped && c == '\\';
                kept.push(c);
            }
            (false, '/', Some('/')) => {
                kept.push(' ');
                while let Some(c) = rest.next_if(|c| *c != '\n') {
                    kept.push(blank(c));
                }
            }
            (false, '/', Some('*')) => {
                rest.next();
                kept.push_str("  ");
                let mut before = ' ';
                for c in rest.by_ref() {
                    kept.push(blank(c));
                    if before == '*' && c == '/' {
                        break;
                    }
                    before = c;
                }
            }
            (false, c, _) => {
                quoted = c == '"';
                kept.push(c);
            }
        }
    }
    kept
}

fn blank(c: char) -> char {
    if matches!(c, '\n' | '\r' | '\t') { c } else { ' ' }
}

const OWN: &str = "own-sha256-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_exactly_one_pair_of_quotes_when_it_goes_back() {
        for sent in ["\"abc\"", "abc", "\"\"abc\"\"", "W/\"abc\"", " \"abc\" "] {
            let kept = bare(Some(sent)).unwrap();
            assert_eq!(kept, "abc", "{sent}");
            assert_eq!(quoted(&kept), "\"abc\"");
        }
        assert_eq!(quoted("\"ts-default\""), "\"ts-default\"");
        assert_eq!((bare(None), bare(Some("\"\""))), (None, None));
        assert!(is_own(&own_tag("{}")) && own_tag("{}") != own_tag("{ }"));
    }

    #[test]
    fn comments_are_blanked_and_nothing_else() {
        for (text, blanked) in [
            ("// a\n{}", "    \n{}"),
            (
                "{\"a\": \"http://x\", /* b\n */ \"c\\\"//\": 1}",
                "{\"a\": \"http://x\",     \n    \"c\\\"//\": 1}",
            ),
            ("{/**/}", "{    }"),
            ("{/*/ */}", "{      }"),
            ("{} /* open", "{}        "),
            ("{\"a\": 1 / 2}", "{\"a\": 1 / 2}"),
        ] {
            assert_eq!(without_comments(text), blanked, "{text}");
        }
    }
}
