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
    Card { artifact, tried, commands }
}

/// Returns commands as they are typed: every word quoted, what is known of the artifact filled in.
#[must_use]
pub fn commands(by_hand: &[Vec<String>], artifact: Option<&Artifact>) -> Vec<String> {
    let command = |words: &Vec<String>| {
        let quoted: Vec<_> = words.iter().map(|word| quote(&filled(word, artifact))).collect();
        quoted.join(" ")
    };
    by_hand.iter().map(command).collect()
}

/// Puts the artifact's name and details in place of `{name}` and `{key}`.
fn filled(word: &str, artifact: Option<&Artifact>) -> String {
    let Some(artifact) = artifact else { return word.to_owned() };
    let mut filled = word.replace("{name}", &artifact.name);
    for (key, value) in artifact.details.as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        filled = filled.replace(&format!("{{{key}}}"), &text);
    }
    filled
}
