//! Every named model, as it looks at the sizes that matter.
//!
//! The snapshots are the manual of the screens: read them when a screen changes.

use breakglass::domain::text::must_show;
use breakglass::tui::look::{Colours, Glyphs, Look};
use breakglass::tui::model::Model;
use breakglass::tui::msg::Msg;
use breakglass::tui::update::update;
use breakglass::tui::view::render;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use crate::tui_models::LOOK;
use crate::tui_scenes::gallery;

/// Draws a model at a size.
pub fn drawn(model: &Model, size: (u16, u16), look: Look) -> Buffer {
    let mut model = model.clone();
    model.look = look;
    update(&mut model, Msg::Resize(size.0, size.1));
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| render(&model, frame)).unwrap();
    terminal.backend().buffer().clone()
}

/// The text of a screen, without the blanks at the ends of its lines.
pub fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                line.push_str(symbol);
                skip = unicode_width::UnicodeWidthStr::width(symbol).max(1);
            }
            skip -= 1;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn all(size: (u16, u16), look: Look) -> String {
    let show = |(name, model): (&'static str, Model)| {
        format!("=== {name}\n{}", text(&drawn(&model, size, look)))
    };
    gallery().into_iter().map(show).collect::<Vec<_>>().join("\n")
}

#[test]
fn at_80x24() {
    insta::assert_snapshot!(all((80, 24), LOOK));
}

#[test]
fn at_60x16() {
    insta::assert_snapshot!(all((60, 16), LOOK));
}

#[test]
fn at_140x40() {
    insta::assert_snapshot!(all((140, 40), LOOK));
}

#[test]
fn in_ascii_without_colour_at_60x20() {
    let look = Look { colours: Colours::None, glyphs: Glyphs::Ascii, ..LOOK };
    let shown = all((60, 20), look);
    assert!(shown.is_ascii());
    insta::assert_snapshot!(shown);
}

#[test]
fn no_foreign_character_that_a_terminal_would_obey_reaches_a_cell() {
    for (name, model) in gallery() {
        for size in [(60, 16), (80, 24), (140, 40)] {
            let buffer = drawn(&model, size, LOOK);
            let obeyed = buffer.content().iter().find(|cell| cell.symbol().chars().any(must_show));
            assert_eq!(obeyed, None, "{name}");
        }
    }
}

#[test]
fn no_cell_is_painted_white_or_black() {
    for (name, model) in gallery() {
        for cell in drawn(&model, (80, 24), LOOK).content() {
            assert!(!matches!(cell.fg, Color::White | Color::Black | Color::Gray), "{name}");
            assert_eq!(cell.bg, Color::Reset, "{name}");
        }
        let look = Look { colours: Colours::None, ..LOOK };
        for cell in drawn(&model, (80, 24), look).content() {
            assert_eq!(cell.fg, Color::Reset, "{name}");
        }
    }
}

/// What a screen says without any style is all there is for some people.
#[test]
fn states_are_told_apart_by_word_and_shape() {
    let (_, model) = gallery().into_iter().find(|(name, _)| *name == "sessions").unwrap();
    let shown = text(&drawn(&model, (80, 24), Look { colours: Colours::None, ..LOOK }));
    for state in ["▲ CleanupOwed", "● Active", "► Activating", "◄ Ending", "□ Ended"] {
        assert!(shown.contains(state), "{state}");
    }
}
