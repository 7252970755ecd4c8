//! The table itself. Its order is the order of footer and help.

use super::{Action, Binding, Context, Key};
use crate::tui::model::Tab;

use Context as In;

const fn binding(
    contexts: &'static [Context],
    keys: &'static [Key],
    action: Action,
    hint: &'static str,
    help: &'static str,
    command: &'static str,
) -> Binding {
    Binding { contexts, keys, action, hint, help, command }
}

/// Every key of the program.
#[rustfmt::skip]
pub const BINDINGS: &[Binding] = &[
    // Sessions
    binding(&[In::Sessions], &[Key::Char('o')], Action::Open, "open", "open a session", "open"),
    binding(&[In::Sessions], &[Key::Char('r')], Action::Retry, "retry", "try at once to remove what is owed", "retry"),
    binding(&[In::Sessions], &[Key::Char('y')], Action::Copy, "copy", "copy the command, or those of the exit card", "copy"),
    binding(&[In::Sessions], &[Key::Char('e')], Action::End, "end", "end the session (asks first)", "end"),
    binding(&[In::Sessions], &[Key::Char('x')], Action::Extend, "extend", "let the session run longer", "extend"),
    // Providers
    binding(&[In::Providers], &[Key::Char('t')], Action::Toggle, "on/off", "switch the provider on or off (asks first)", "toggle"),
    binding(&[In::Providers], &[Key::Char('c')], Action::Check, "check", "look at the provider's health now", "check"),
    binding(&[In::Providers], &[Key::Char('D')], Action::Remove, "remove", "remove the provider (asks first)", "remove"),
    // Audit
    binding(&[In::Audit], &[Key::Char('v')], Action::Verify, "verify", "verify the whole chain", "verify"),
    // Lists
    binding(&[In::List], &[Key::Enter], Action::Details, "details", "show the details in full", "details"),
    binding(&[In::List], &[Key::Char('/')], Action::Filter, "filter", "show only rows that hold a text; esc clears", "filter"),
    binding(&[In::List], &[Key::Char('s')], Action::Sort, "sort", "sort by the marked column, or turn the order round", "sort"),
    binding(&[In::List], &[Key::Char('<')], Action::ColumnLeft, "", "mark the column to the left", ""),
    binding(&[In::List], &[Key::Char('>')], Action::ColumnRight, "", "mark the column to the right", ""),
    binding(&[In::List, In::Detail, In::Text], &[Key::Up, Key::Char('k')], Action::Up, "", "up", ""),
    binding(&[In::List, In::Detail, In::Text], &[Key::Down, Key::Char('j')], Action::Down, "", "down", ""),
    binding(&[In::List, In::Detail, In::Text], &[Key::PageUp, Key::Ctrl('b')], Action::PageUp, "", "a page up", ""),
    binding(&[In::List, In::Detail, In::Text], &[Key::PageDown, Key::Ctrl('f')], Action::PageDown, "", "a page down", ""),
    binding(&[In::List, In::Detail, In::Text], &[Key::Home, Key::Char('g')], Action::First, "", "to the first row", ""),
    binding(&[In::List, In::Detail, In::Text], &[Key::End, Key::Char('G')], Action::Last, "", "to the last row", ""),
    binding(&[In::Detail], &[Key::Esc, Key::Enter], Action::Back, "back", "back to the list", ""),
    // Every pane
    binding(&[In::Pane], &[Key::Char('1')], Action::GoTo(Tab::Providers), "", "the Providers tab", "providers"),
    binding(&[In::Pane], &[Key::Char('2')], Action::GoTo(Tab::Sessions), "", "the Sessions tab", "sessions"),
    binding(&[In::Pane], &[Key::Char('3')], Action::GoTo(Tab::Users), "", "the Break-Glass Users tab", "users"),
    binding(&[In::Pane], &[Key::Char('4')], Action::GoTo(Tab::Audit), "", "the Audit tab", "audit"),
    binding(&[In::Pane], &[Key::Tab, Key::Right, Key::Char('l')], Action::NextTab, "tabs", "the next tab", ""),
    binding(&[In::Pane], &[Key::BackTab, Key::Left, Key::Char('h')], Action::PreviousTab, "", "the tab before", ""),
    binding(&[In::Pane], &[Key::Char(':')], Action::Palette, "command", "give a command by name", ""),
    binding(&[In::Pane], &[Key::Char('m')], Action::Messages, "", "all messages so far", "messages"),
    binding(&[In::Pane], &[Key::Esc], Action::Back, "", "back out: clear the filter, the message", ""),
    binding(&[In::Pane], &[Key::Char('?')], Action::Help, "help", "this help", "help"),
    binding(&[In::Pane], &[Key::Char('q'), Key::Ctrl('c')], Action::Quit, "quit", "quit; asks where sessions live", "quit"),
    // Filter
    binding(&[In::Filter], &[Key::Enter], Action::Accept, "keep", "keep the filter and go back to the list", ""),
    binding(&[In::Filter], &[Key::Esc, Key::Ctrl('c')], Action::Back, "clear", "clear the filter", ""),
    binding(&[In::Filter], &[Key::Up], Action::Up, "", "up", ""),
    binding(&[In::Filter], &[Key::Down], Action::Down, "", "down", ""),
    // Opening a session
    binding(&[In::OpenTarget], &[Key::Enter], Action::Accept, "choose", "take the target and go on to the reason", ""),
    binding(&[In::OpenTarget], &[Key::Up, Key::Ctrl('p')], Action::Previous, "", "the target above", ""),
    binding(&[In::OpenTarget], &[Key::Down, Key::Ctrl('n')], Action::Next, "", "the target below", ""),
    binding(&[In::OpenTarget], &[Key::PageUp], Action::PageUp, "", "a page up", ""),
    binding(&[In::OpenTarget], &[Key::PageDown], Action::PageDown, "", "a page down", ""),
    binding(&[In::OpenKind], &[Key::Enter], Action::Accept, "choose", "take the kind and go on to the reason", ""),
    binding(&[In::OpenKind], &[Key::Right, Key::Down, Key::Char('l'), Key::Char('j')], Action::Next, "next kind", "the next kind", ""),
    binding(&[In::OpenKind], &[Key::Left, Key::Up, Key::Char('h'), Key::Char('k')], Action::Previous, "", "the kind before", ""),
    binding(&[In::OpenReason], &[Key::Enter], Action::Accept, "open", "open the session", ""),
    binding(&[In::OpenReason], &[Key::Up, Key::Ctrl('p')], Action::Previous, "earlier reasons", "an earlier reason", ""),
    binding(&[In::OpenReason], &[Key::Down, Key::Ctrl('n')], Action::Next, "", "a later reason", ""),
    binding(&[In::OpenDuration], &[Key::Enter], Action::Accept, "open", "open the session", ""),
    binding(&[In::OpenDuration], &[Key::Right, Key::Up], Action::Next, "longer", "the next longer duration; or type one, such as 45m", ""),
    binding(&[In::OpenDuration], &[Key::Left, Key::Down], Action::Previous, "", "the next shorter duration", ""),
    binding(&[In::Open], &[Key::Tab], Action::NextField, "next field", "the next field", ""),
    binding(&[In::Open], &[Key::BackTab], Action::PreviousField, "", "the field before", ""),
    binding(&[In::Open], &[Key::Esc, Key::Ctrl('c')], Action::Back, "cancel", "back, without opening anything", ""),
    // Extending
    binding(&[In::Extend], &[Key::Enter], Action::Accept, "extend", "extend the session", ""),
    binding(&[In::Extend], &[Key::Right, Key::Up, Key::Tab], Action::Next, "longer", "the next longer time; or type one, such as 45m", ""),
    binding(&[In::Extend], &[Key::Left, Key::Down, Key::BackTab], Action::Previous, "", "the next shorter time", ""),
    binding(&[In::Extend], &[Key::Esc, Key::Ctrl('c')], Action::Back, "cancel", "back, without extending", ""),
    // Questions: only keys that no pasted text can hold move away from the safe answer
    binding(&[In::Confirm], &[Key::Right, Key::Down], Action::Next, "next answer", "the next answer", ""),
    binding(&[In::Confirm], &[Key::Left, Key::Up], Action::Previous, "", "the answer before", ""),
    binding(&[In::Confirm], &[Key::Enter], Action::Accept, "answer", "give the marked answer", ""),
    binding(&[In::Confirm], &[Key::Esc, Key::Ctrl('c')], Action::Back, "back", "back, nothing is done", ""),
    // Help
    binding(&[In::HelpSearch], &[Key::Enter], Action::Accept, "keep", "keep the search", ""),
    binding(&[In::HelpSearch], &[Key::Esc, Key::Ctrl('c')], Action::Back, "clear", "clear the search", ""),
    binding(&[In::Help], &[Key::Char('/')], Action::Search, "search", "search the help", ""),
    binding(&[In::Help, In::Messages], &[Key::Up, Key::Char('k')], Action::Up, "", "up", ""),
    binding(&[In::Help, In::Messages], &[Key::Down, Key::Char('j')], Action::Down, "", "down", ""),
    binding(&[In::Help, In::Messages], &[Key::PageUp, Key::Ctrl('b')], Action::PageUp, "", "a page up", ""),
    binding(&[In::Help, In::Messages], &[Key::PageDown, Key::Ctrl('f')], Action::PageDown, "", "a page down", ""),
    binding(&[In::Help, In::Messages, In::Verdict], &[Key::Esc, Key::Char('q'), Key::Char('?'), Key::Ctrl('c')], Action::Back, "back", "back", ""),
    // Commands
    binding(&[In::Palette], &[Key::Enter], Action::Accept, "run", "run the command", ""),
    binding(&[In::Palette], &[Key::Tab], Action::Complete, "complete", "complete the name", ""),
    binding(&[In::Palette], &[Key::Up], Action::Previous, "", "the command above", ""),
    binding(&[In::Palette], &[Key::Down], Action::Next, "", "the command below", ""),
    binding(&[In::Palette], &[Key::Esc, Key::Ctrl('c')], Action::Back, "cancel", "back", ""),
    // Everywhere
    binding(&[In::Everywhere], &[Key::Ctrl('l')], Action::Repaint, "", "paint the screen again", "repaint"),
    binding(&[In::Everywhere], &[Key::Ctrl('z')], Action::Suspend, "", "suspend; fg brings it back", "suspend"),
    binding(&[In::Everywhere], &[], Action::Mouse, "", "take the mouse from the terminal, or give it back", "mouse"),
];
