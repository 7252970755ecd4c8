//! JSON with comments and trailing commas, made into JSON without moving anything.

use serde_json::Value;

/// Puts blanks where comments and trailing commas are. Lines and columns stay where they are.
pub fn blanked(text: &str) -> String {
    let mut out: Vec<char> = vec![];
    let mut chars = text.chars().peekable();
    let mut in_text = false;
    while let Some(c) = chars.next() {
        match (in_text, c, chars.peek()) {
            (true, '\\', Some(_)) => out.extend([c, chars.next().unwrap_or_default()]),
            (_, '"', _) => {
                in_text = !in_text;
                out.push(c);
            }
            (false, '/', Some('/')) => {
                out.push(' ');
                while let Some(rest) = chars.next_if(|c| *c != '\n') {
                    out.push(blank(rest));
                }
            }
            (false, '/', Some('*')) => {
                out.extend([' ', ' ']);
                chars.next();
                let mut before = ' ';
                for inner in chars.by_ref() {
                    out.push(blank(inner));
                    if (before, inner) == ('*', '/') {
                        break;
                    }
                    before = inner;
                }
            }
            (false, '}' | ']', _) => {
                let last = out.iter().rposition(|c| !c.is_whitespace());
                if let Some(last) = last.filter(|at| out[*at] == ',') {
                    out[last] = ' ';
                }
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out.into_iter().collect()
}

/// Reads it.
pub fn parsed(text: &str) -> Result<Value, String> {
    serde_json::from_str(&blanked(text)).map_err(|error| error.to_string())
}

/// A section of a policy file by its name in small letters, however it is written there.
pub fn section<'v>(policy: &'v Value, name: &str) -> Option<&'v Value> {
    let named = |(key, _): &(&String, &Value)| key.to_lowercase() == name;
    policy.as_object()?.iter().find(named).map(|(_, value)| value)
}

/// The lines, counted from one, at which the entries of a list begin.
pub fn lines_of(text: &str, name: &str) -> Vec<usize> {
    let text = blanked(text);
    let lower = text.to_ascii_lowercase();
    let Some(start) = lower.find(&format!("\"{name}\"")) else { return vec![] };
    let (mut depth, mut in_text, mut escaped) = (0, false, false);
    let mut line = 1 + text[..start].matches('\n').count();
    let mut lines = vec![];
    for c in text[start..].chars() {
        match c {
            '\n' => line += 1,
            _ if escaped => escaped = false,
            '\\' if in_text => escaped = true,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '[' | '{' => {
                depth += 1;
                if (c, depth) == ('{', 2) {
                    lines.push(line);
                }
            }
            ']' | '}' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            _ => {}
        }
    }
    lines
}

fn blank(c: char) -> char {
    if matches!(c, '\n' | '\r' | '\t') { c } else { ' ' }
}
