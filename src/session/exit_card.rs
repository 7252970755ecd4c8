//! The manual exit card: how to finish a removal by hand, without a secret.

use super::state::Session;
use super::step::Step;
use crate::domain::artifact::Artifact;
use crate::domain::connect::quote;
use crate::domain::text;

/// One thing to remove by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// What may still exist.
    pub artifact: String,
    /// What was tried, and what came of it.
    pub tried: String,
    /// The exact commands, every word quoted.
    pub commands: Vec<String>,
    /// What is to be known for them, or done where there is none, in words.
    pub words: Option<String>,
}

/// Returns a card for each removal that is owed; nothing while all goes well.
#[must_use]
pub fn exit_card(session: &Session) -> Vec<Card> {
    session.steps().iter().filter(|step| step.is_owed()).map(card).collect()
}

fn card(step: &Step) -> Card {
    let what = step.planned.leaves.as_deref().unwrap_or("artifact");
    let artifact = match &step.made {
        Some(artifact) => artifact.to_string(),
        None => format!("{what} (never seen)"),
    };
    let problem = step.problem.as_deref().unwrap_or("it was still there afterwards");
    let tried = format!("{} times; {}", step.tries, text::shown(problem));
    let commands = commands(&step.planned.by_hand, step.made.as_ref());
    let words = step.planned.in_words.clone();
    Card { artifact, tried, commands, words }
}

/// Returns commands as they are typed: every word quoted, what is known of the artifact filled in. One
/// that wants what nobody knows is left out: it would remove nothing, or something else.
#[must_use]
pub fn commands(by_hand: &[Vec<String>], artifact: Option<&Artifact>) -> Vec<String> {
    let command = |words: &Vec<String>| {
        let words = words.iter().map(|word| filled(word, artifact));
        let quoted = words.map(|word| word.map(|word| quote(&word)));
        quoted.collect::<Option<Vec<_>>>().map(|words| words.join(" "))
    };
    by_hand.iter().filter_map(command).collect()
}

/// Puts the artifact's name and details in place of `{name}` and `{key}`; nothing where one of them is
/// not known.
fn filled(word: &str, artifact: Option<&Artifact>) -> Option<String> {
    let known = |key: &str| {
        let artifact = artifact?;
        if key == "name" {
            return Some(artifact.name.clone());
        }
        let value = artifact.details.get(key)?;
        Some(value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned))
    };
    let (mut filled, mut rest) = (String::new(), word);
    while let Some((before, behind)) = rest.split_once('{') {
        filled.push_str(before);
        if let Some((key, after)) = behind.split_once('}').filter(|(key, _)| is_key(key)) {
            filled.push_str(&known(key)?);
            rest = after;
        } else {
            filled.push('{');
            rest = behind;
        }
    }
    filled.push_str(rest);
    Some(filled)
}

/// True for what stands in braces as a name; a command may have braces of its own.
fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_that_wants_what_nobody_knows_is_left_out() {
        let words = |line: &str| line.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
        let by_hand =
            [words("net delete {id}"), words("net forget {name}"), words("pkill {it: 1}")];
        let known = Artifact {
            kind: "key".to_owned(),
            name: "it's {id}".to_owned(),
            details: json!({ "id": 7 }),
        };
        assert_eq!(
            commands(&by_hand, Some(&known)),
            ["net delete 7", r"net forget 'it'\''s {id}'", "pkill '{it:' '1}'"]
        );
        assert_eq!(commands(&by_hand, None), ["pkill '{it:' '1}'"]);
    }
}
