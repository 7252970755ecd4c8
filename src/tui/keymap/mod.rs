//! What each key means where: the one table behind handler, footer, help and `:` commands.
//!
//! The model says which contexts hold, the innermost first ([`Model::contexts`]); the first binding
//! that names one of them and the key wins. In a context with a text field, a key without a binding
//! goes to the field.
//!
//! No binding of a dialog that confirms something is a key that pasted text could hold: a terminal
//! without bracketed paste must not be able to confirm.
//!
//! [`Model::contexts`]: super::model::Model::contexts

mod table;

pub use table::BINDINGS;

use super::model::Tab;

/// A key, as far as this program tells keys apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is named by its key")]
pub enum Key {
    Char(char),
    Ctrl(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
}

impl Key {
    /// What a screen calls the key, in the signs of the look.
    #[must_use]
    pub fn name(self, ascii: bool) -> String {
        let arrow = |sign: &str, word: &str| if ascii { word.to_owned() } else { sign.to_owned() };
        match self {
            Self::Char(' ') => "space".to_owned(),
            Self::Char(c) => c.to_string(),
            Self::Ctrl(c) => format!("ctrl-{c}"),
            Self::Enter => "enter".to_owned(),
            Self::Esc => "esc".to_owned(),
            Self::Tab => "tab".to_owned(),
            Self::BackTab => "shift-tab".to_owned(),
            Self::Backspace => "backspace".to_owned(),
            Self::Delete => "delete".to_owned(),
            Self::Up => arrow("↑", "up"),
            Self::Down => arrow("↓", "down"),
            Self::Left => arrow("←", "left"),
            Self::Right => arrow("→", "right"),
            Self::Home => "home".to_owned(),
            Self::End => "end".to_owned(),
            Self::PageUp => "pgup".to_owned(),
            Self::PageDown => "pgdn".to_owned(),
        }
    }
}

/// Where a key is pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// Everywhere, dialogs too.
    Everywhere,
    /// Every pane, while no dialog is open and no filter is typed.
    Pane,
    /// A pane with a list.
    List,
    /// A detail that fills the pane.
    Detail,
    /// A page of text.
    Text,
    /// The Providers tab.
    Providers,
    /// The Sessions tab.
    Sessions,
    /// The Break-Glass Users tab.
    Users,
    /// Its list while it is edited.
    UsersEdit,
    /// The operators, in that tab.
    Operators,
    /// The Audit tab.
    Audit,
    /// The sign-in screen, whichever field has the cursor.
    SignIn,
    /// Its e-mail field.
    SignInEmail,
    /// Its password field.
    SignInPassword,
    /// Its list of identity providers.
    SignInIdp,
    /// The first Owner's address and password.
    Owner,
    /// The sign-in screen while the engine considers something.
    Wait,
    /// What to do at an identity provider's page.
    Sso,
    /// A filter is being typed.
    Filter,
    /// The dialog that opens a session, whichever field has the cursor.
    Open,
    /// Its list of targets.
    OpenTarget,
    /// Its choice of a kind.
    OpenKind,
    /// Its reason.
    OpenReason,
    /// Its duration.
    OpenDuration,
    /// The question whether a policy file may be changed.
    Agree,
    /// The dialog that extends a session.
    Extend,
    /// A question with a choice of answers.
    Confirm,
    /// The help.
    Help,
    /// The search inside the help.
    HelpSearch,
    /// The messages.
    Messages,
    /// The `:` commands.
    Palette,
    /// The verdict on the audit chain.
    Verdict,
    /// A form, whichever field has the cursor.
    Form,
    /// A choice in a form.
    FormChoice,
    /// A one-time code.
    Code,
    /// Something to read.
    Note,
    /// What was left behind.
    Sweep,
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is explained by its binding's help")]
pub enum Action {
    Quit,
    Back,
    Suspend,
    Repaint,
    Help,
    Palette,
    Messages,
    Mouse,
    GoTo(Tab),
    NextTab,
    PreviousTab,
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
    Details,
    Filter,
    ColumnLeft,
    ColumnRight,
    Sort,
    Open,
    End,
    Extend,
    Retry,
    Copy,
    Toggle,
    Check,
    CheckDeep,
    Remove,
    AddProvider,
    EditProvider,
    RotateKey,
    Sweep,
    RemoveOrphans,
    Verify,
    NextField,
    PreviousField,
    Next,
    Previous,
    Accept,
    Complete,
    Search,
    Redeem,
    CopyLink,
    CopyCode,
    Again,
    NextIdp,
    PreviousIdp,
    Edit,
    Enforce,
    Validate,
    Prove,
    Operators,
    AddIdp,
    RemoveIdp,
    AddListed,
    MarkListed,
    Undo,
    Save,
    Invite,
    ChangeRole,
    ResetCode,
    RemoveOperator,
    Password,
    Logout,
    Whoami,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Where it holds.
    pub contexts: &'static [Context],
    /// Which keys; the first stands in the footer.
    pub keys: &'static [Key],
    /// What they mean.
    pub action: Action,
    /// The word in the footer; empty keeps it out of there.
    pub hint: &'static str,
    /// The line in the help.
    pub help: &'static str,
    /// The `:` command that does the same; empty where there is none.
    pub command: &'static str,
}

/// Returns what a key means where these contexts hold.
#[must_use]
pub fn action(contexts: &[Context], key: Key) -> Option<Action> {
    contexts
        .iter()
        .find_map(|context| in_context(*context).find(|binding| binding.keys.contains(&key)))
        .map(|binding| binding.action)
}

/// The bindings of one context, in the order of the table.
pub fn in_context(context: Context) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(move |binding| binding.contexts.contains(&context))
}

/// The bindings with a word in the footer, the innermost context first.
pub fn hints(contexts: &[Context]) -> impl Iterator<Item = &'static Binding> {
    contexts.iter().flat_map(|context| in_context(*context)).filter(|it| !it.hint.is_empty())
}

/// The bindings that a `:` command stands for.
pub fn commands() -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(|binding| !binding.command.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_in_one_context() {
        for context in BINDINGS.iter().flat_map(|binding| binding.contexts) {
            let mut keys: Vec<_> = in_context(*context)
                .flat_map(|binding| binding.keys)
                .map(|key| key.name(true))
                .collect();
            let all = keys.len();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), all, "{context:?}: {keys:?}");
        }
    }

    #[test]
    fn no_command_stands_for_two_actions() {
        let mut names: Vec<_> = commands().map(|binding| binding.command).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn pasted_text_holds_no_key_that_moves_to_another_answer() {
        let typed = |key: &Key| matches!(key, Key::Char(_) | Key::Tab | Key::Backspace);
        for context in [Context::Confirm, Context::Agree] {
            for binding in in_context(context) {
                assert!(!binding.keys.iter().any(typed), "{binding:?}");
            }
        }
    }

    #[test]
    fn vim_keys_and_arrows_both_move() {
        for (vim, arrow) in [
            (Key::Char('j'), Key::Down),
            (Key::Char('k'), Key::Up),
            (Key::Char('h'), Key::Left),
            (Key::Char('l'), Key::Right),
            (Key::Char('g'), Key::Home),
            (Key::Char('G'), Key::End),
            (Key::Ctrl('f'), Key::PageDown),
            (Key::Ctrl('b'), Key::PageUp),
        ] {
            let contexts = [Context::Sessions, Context::List, Context::Pane, Context::Everywhere];
            assert!(action(&contexts, vim).is_some(), "{vim:?}");
            assert_eq!(action(&contexts, vim), action(&contexts, arrow));
        }
    }
}
