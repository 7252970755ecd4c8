//! The help: the keymap, for where one is.

use ratatui::layout::{Position, Rect};

use super::field;
use crate::tui::keymap::{self, Binding, Context};
use crate::tui::layout;
use crate::tui::look::{Glyphs, Look};
use crate::tui::model::Model;
use crate::tui::model::dialog::Help;
use crate::tui::theme::Tone;
use crate::tui::widgets::pen::{Line, Pen, part};

/// Draws the help, and returns where its cursor stands.
pub fn draw(model: &Model, help: &Help, pen: &mut Pen<'_>) -> Option<Position> {
    let lines = lines(help, model.look);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(3);
    let area = layout::dialog(model.size, 76, height.max(8));
    let room = pen.frame(area, &[part(Tone::Strong, " Help ")]);
    let list = Rect { height: room.height.saturating_sub(1), ..room };
    pen.lines(list, &lines, help.scroll);
    let last = Rect { y: list.bottom(), height: 1, ..room };
    if !help.typing && help.search.is_empty() {
        let hidden = lines.len().saturating_sub(help.scroll + usize::from(list.height));
        if hidden > 0 {
            pen.right(last, Tone::Dim, &format!("{hidden} more below"));
        }
        return None;
    }
    let rest = pen.text(last, Tone::Accent, "/");
    field(pen, rest, &help.search).filter(|_| help.typing)
}

/// Returns the lines of the help that fit its search.
#[must_use]
pub fn lines(help: &Help, look: Look) -> Vec<Line> {
    let needle = help.search.text().to_lowercase();
    let mut lines = vec![];
    for context in help.contexts {
        let fits = |binding: &&Binding| fits(binding, &needle);
        let mut rows: Vec<Line> =
            keymap::in_context(*context).filter(fits).map(|binding| row(binding, look)).collect();
        if rows.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push(vec![]);
        }
        lines.push(vec![part(Tone::Strong, title(*context))]);
        lines.append(&mut rows);
    }
    if lines.is_empty() {
        lines.push(vec![part(Tone::Body, "Nothing fits the search; esc clears it.")]);
    }
    lines
}

fn row(binding: &Binding, look: Look) -> Line {
    let ascii = look.glyphs == Glyphs::Ascii;
    let names: Vec<String> = binding.keys.iter().map(|key| key.name(ascii)).collect();
    let command = match binding.command {
        "" => String::new(),
        command => format!("  :{command}"),
    };
    vec![
        part(Tone::Accent, format!("  {:<18}", names.join(" "))),
        part(Tone::Body, binding.help),
        part(Tone::Dim, command),
    ]
}

fn fits(binding: &Binding, needle: &str) -> bool {
    let keys = binding.keys.iter().any(|key| key.name(true) == needle);
    keys || binding.help.to_lowercase().contains(needle) || binding.command.contains(needle)
}

const fn title(context: Context) -> &'static str {
    match context {
        Context::Everywhere => "Everywhere",
        Context::Pane => "Every tab",
        Context::List => "Moving in the list",
        Context::Detail => "The details",
        Context::Text => "Moving on the page",
        Context::Providers => "Providers",
        Context::Sessions => "Sessions",
        Context::Users => "Break-Glass Users",
        Context::UsersEdit => "Editing the list",
        Context::Operators => "Operators",
        Context::Audit => "Audit",
        Context::SignIn | Context::SignInEmail | Context::SignInPassword => "Signing in",
        Context::SignInIdp => "The identity providers",
        Context::Owner => "The first Owner",
        Context::Wait => "Waiting for the engine",
        Context::Sso => "Single sign-on",
        Context::Filter => "The filter",
        Context::Open
        | Context::OpenTarget
        | Context::OpenKind
        | Context::OpenReason
        | Context::OpenDuration => "Opening a session",
        Context::Agree => "Changing a policy file",
        Context::Extend => "Extending a session",
        Context::Confirm => "A question",
        Context::Help | Context::HelpSearch => "The help",
        Context::Messages => "The messages",
        Context::Palette => "The commands",
        Context::Verdict => "The verdict",
        Context::Form | Context::FormChoice => "A form",
        Context::Code => "A one-time code",
        Context::Note => "Something to read",
        Context::Sweep => "What was left behind",
    }
}
