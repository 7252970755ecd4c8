//! Clicks and the wheel, where the operator has given the mouse to the program.

use ratatui::layout::{Position, Rect};

use crate::tui::keymap::Action;
use crate::tui::layout;
use crate::tui::model::{Model, Tab};
use crate::tui::msg::Effect;
use crate::tui::view;

/// Takes in a click. With a dialog open it does nothing: no dialog is answered by the mouse.
pub fn click(model: &mut Model, column: u16, row: u16) -> Vec<Effect> {
    if model.dialog.is_some() || !layout::is_big_enough(model.size) {
        return vec![];
    }
    let at = Position { x: column, y: row };
    if model.identity.bars() {
        return vec![];
    }
    let areas = layout::areas(model);
    if areas.tabs.contains(at)
        && let Some(tab) = view::tab_at(column)
    {
        return super::run(model, Action::GoTo(tab));
    }
    match areas.table {
        Some(table) if table.contains(at) => click_table(model, table, at),
        _ => {}
    }
    vec![]
}

fn click_table(model: &mut Model, table: Rect, at: Position) {
    let Some(row) = usize::from(at.y - table.y).checked_sub(1) else {
        let marked = view::column_at(model, table, at.x);
        match model.tab {
            Tab::Sessions => model.sessions.rows.sort.marked = marked,
            Tab::Providers => model.providers.rows.sort.marked = marked,
            Tab::Users | Tab::Audit => {}
        }
        if marked.is_some() {
            super::pane::sort(model);
        }
        return;
    };
    match model.tab {
        Tab::Providers => model.providers.rows.click(row),
        Tab::Sessions => model.sessions.rows.click(row),
        Tab::Audit => model.audit.rows.click(row),
        Tab::Users => {}
    }
}

/// Takes in the wheel.
pub fn wheel(model: &mut Model, by: i16) -> Vec<Effect> {
    if model.dialog.is_none() && !model.identity.bars() {
        super::pane::go(model, isize::from(by));
    }
    vec![]
}
