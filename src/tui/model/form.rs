//! A form: a few fields below one another, one of which has the cursor.

use crate::domain::secret::Secret;
use crate::error::{Kind, Report};
use crate::tui::keymap::Key;
use crate::tui::widgets::field::Field;
use crate::tui::widgets::secret_field::SecretField;

/// A few fields below one another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    /// The fields, from top to bottom.
    pub entries: Vec<Entry>,
    /// The number of the one with the cursor.
    pub focus: usize,
    /// What is wrong.
    pub refusal: Option<Report>,
    /// The number of the question that the engine considers, while it does.
    pub sent: Option<u64>,
}

/// One field with its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// What stands before it; at most eleven columns.
    pub label: &'static str,
    /// What is typed or chosen.
    pub input: Input,
    /// What is said of it while it has the cursor.
    pub about: &'static str,
    /// True where it may stay empty.
    pub optional: bool,
}

/// What is typed or chosen.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A text that is seen.
    Text(Field),
    /// A text that is not.
    Secret(SecretField),
    /// One of a few words.
    Choice {
        /// The words.
        options: &'static [&'static str],
        /// The number of the chosen one.
        at: usize,
    },
}

impl Entry {
    /// A text that is seen.
    #[must_use]
    pub fn text(label: &'static str, text: &str, about: &'static str) -> Self {
        Self { label, input: Input::Text(Field::from(text)), about, optional: false }
    }

    /// A text that is not seen.
    #[must_use]
    pub fn secret(label: &'static str, about: &'static str) -> Self {
        Self { label, input: Input::Secret(SecretField::default()), about, optional: false }
    }

    /// A text of several lines that is not seen: a private key.
    #[must_use]
    pub fn lines(label: &'static str, about: &'static str) -> Self {
        Self { input: Input::Secret(SecretField::of_lines()), ..Self::secret(label, about) }
    }

    /// One of a few words.
    #[must_use]
    pub const fn choice(
        label: &'static str,
        options: &'static [&'static str],
        at: usize,
        about: &'static str,
    ) -> Self {
        Self { label, input: Input::Choice { options, at }, about, optional: false }
    }

    /// Lets it stay empty.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    fn is_missing(&self) -> bool {
        match &self.input {
            Input::Text(field) => field.text().trim().is_empty() && !self.optional,
            Input::Secret(field) => field.is_empty() && !self.optional,
            Input::Choice { .. } => false,
        }
    }
}

impl Form {
    /// A form of these fields, the cursor in the first.
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        Self { entries, ..Self::default() }
    }

    /// The field with the cursor.
    #[must_use]
    pub fn focused(&self) -> Option<&Entry> {
        self.entries.get(self.focus)
    }

    /// True while a word is to be chosen, not a text to be typed.
    #[must_use]
    pub fn chooses(&self) -> bool {
        self.focused().is_some_and(|entry| matches!(entry.input, Input::Choice { .. }))
    }

    /// The text of a field that is seen, without blanks around it.
    #[must_use]
    pub fn text(&self, number: usize) -> &str {
        match self.entries.get(number).map(|entry| &entry.input) {
            Some(Input::Text(field)) => field.text().trim(),
            _ => "",
        }
    }

    /// The number of the chosen word.
    #[must_use]
    pub fn choice(&self, number: usize) -> usize {
        match self.entries.get(number).map(|entry| &entry.input) {
            Some(Input::Choice { at, .. }) => *at,
            _ => 0,
        }
    }

    /// Gives away a text that is not seen; its field is empty afterwards.
    pub fn take(&mut self, number: usize) -> Secret {
        match self.entries.get_mut(number).map(|entry| &mut entry.input) {
            Some(Input::Secret(field)) => field.take(),
            _ => Secret::new(""),
        }
    }

    /// A copy of a text that is not seen.
    #[must_use]
    pub fn secret(&self, number: usize) -> Secret {
        match self.entries.get(number).map(|entry| &entry.input) {
            Some(Input::Secret(field)) => field.secret(),
            _ => Secret::new(""),
        }
    }

    /// Moves the cursor to the next field, or the one before, round the corner.
    pub fn move_focus(&mut self, forward: bool) {
        let count = self.entries.len().max(1);
        self.focus = (self.focus + if forward { 1 } else { count - 1 }) % count;
    }

    /// Chooses the next word, or the one before.
    pub fn choose(&mut self, forward: bool) {
        let entry = self.entries.get_mut(self.focus).map(|entry| &mut entry.input);
        if let Some(Input::Choice { options, at }) = entry {
            let count = options.len().max(1);
            *at = (*at + if forward { 1 } else { count - 1 }) % count;
            self.refusal = None;
        }
    }

    /// Moves the cursor to the first field that is still empty and must not be, the next one after
    /// the cursor first, and returns whether there is one.
    pub fn go_to_missing(&mut self) -> bool {
        let count = self.entries.len();
        let missing = (0..count).map(|step| (self.focus + step) % count.max(1));
        let empty = |number: &usize| self.entries.get(*number).is_some_and(Entry::is_missing);
        let Some(number) = missing.into_iter().find(empty) else { return false };
        if number == self.focus {
            let label = self.focused().map_or("", |entry| entry.label);
            self.refuse(number, format!("the {label} is still missing"));
        }
        self.focus = number;
        true
    }

    /// Says what is wrong with a field, and moves the cursor there.
    pub fn refuse(&mut self, number: usize, why: impl AsRef<str>) {
        self.refusal = Some(Report::new(Kind::Usage, why));
        self.focus = number;
    }

    /// Gives a key to the field with the cursor.
    pub fn key(&mut self, key: Key) {
        if self.sent.is_some() {
            return;
        }
        let changed = match self.entries.get_mut(self.focus).map(|entry| &mut entry.input) {
            Some(Input::Text(field)) => field.key(key),
            Some(Input::Secret(field)) => field.key(key),
            _ => false,
        };
        if changed {
            self.refusal = None;
        }
    }

    /// Gives a pasted text to the field with the cursor.
    pub fn paste(&mut self, text: &str) {
        if self.sent.is_some() {
            return;
        }
        let refused = match self.entries.get_mut(self.focus).map(|entry| &mut entry.input) {
            Some(Input::Text(field)) => {
                field.paste(text);
                None
            }
            Some(Input::Secret(field)) => field.paste(text).err(),
            _ => return,
        };
        self.refusal = refused.map(|error| Report::of(Kind::Usage, &error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> Form {
        Form::new(vec![
            Entry::text("e-mail", "", ""),
            Entry::secret("password", ""),
            Entry::choice("role", &["Member", "Admin"], 0, ""),
            Entry::text("domains", "", "").optional(),
        ])
    }

    #[test]
    fn enter_leads_from_one_empty_field_to_the_next_and_says_what_is_missing() {
        let mut form = form();
        assert!(form.go_to_missing());
        assert_eq!(form.refusal.as_ref().unwrap().message, "the e-mail is still missing");
        form.key(Key::Char('a'));
        assert_eq!(form.refusal, None);
        assert!(form.go_to_missing());
        assert_eq!((form.focus, form.refusal.is_some()), (1, false));
        form.key(Key::Char('b'));
        assert!(!form.go_to_missing());
    }

    #[test]
    fn a_refused_paste_is_said_and_a_sent_form_takes_nothing() {
        let mut form = form();
        form.focus = 1;
        form.paste("one\ntwo");
        assert!(form.refusal.as_ref().unwrap().message.contains("more than one line"));
        form.paste("three\n");
        assert_eq!(form.refusal, None);
        form.sent = Some(1);
        form.paste("four");
        form.key(Key::Char('5'));
        assert_eq!(form.take(1).expose(), "three");
    }

    #[test]
    fn words_are_chosen_round_the_corner() {
        let mut form = form();
        form.focus = 2;
        form.choose(false);
        assert_eq!(form.choice(2), 1);
        form.choose(true);
        assert_eq!(form.choice(2), 0);
        form.move_focus(true);
        form.move_focus(true);
        assert_eq!(form.focus, 0);
    }
}
