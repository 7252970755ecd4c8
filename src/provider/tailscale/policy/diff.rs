//! A change of a policy file, shown to a person.

use similar::{ChangeTag, TextDiff};

use crate::domain::text::clean;

/// How many unchanged lines are shown around a change.
const CONTEXT: usize = 3;
/// How much of a line is shown, in characters.
const LINE_CHARS_MAX: usize = 400;

/// Returns the unified diff of two policy files, fit for a terminal; empty when they are equal.
#[must_use]
pub fn diff(before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    let mut out = String::new();
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        out.push_str(&format!("{}\n", hunk.header()));
        for change in hunk.iter_changes() {
            out.push(match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            });
            let line = change.value().trim_end_matches(['\r', '\n']).replace('\t', "    ");
            out.push_str(&clean(&line, LINE_CHARS_MAX));
            out.push('\n');
        }
    }
    out
}
