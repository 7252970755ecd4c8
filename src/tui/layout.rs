//! Which part of the screen is whose. Pure: model in, areas out; the drawing and the model agree
//! because both ask here.
//!
//! ```text
//! header    program, host, operator, mode, alarms, clock
//! tabs      1 Providers  2 Sessions  3 Break-Glass Users  4 Audit
//! rule
//! banner    only while something is wrong with the engine
//! table     the list, and beside it or below it the detail of the row under the cursor
//! detail
//! footer    the keys that do something here
//! ```
//!
//! While nobody is signed in, the tabs give way to a title and the body to the sign-in screen.

use ratatui::layout::Rect;

use super::model::{Link, Model, Tab};

/// The areas of a screen. One that is missing does not fit, or has nothing to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Areas {
    /// The first row.
    pub header: Rect,
    /// The tabs.
    pub tabs: Rect,
    /// The rule below them.
    pub rule: Rect,
    /// What is wrong with the engine.
    pub banner: Option<Rect>,
    /// Everything between rule and footer.
    pub body: Rect,
    /// The list, its head included.
    pub table: Option<Rect>,
    /// The detail, its title included.
    pub detail: Option<Rect>,
    /// The last row.
    pub footer: Rect,
}

/// True when a screen of this size can be used.
#[must_use]
pub const fn is_big_enough(size: (u16, u16)) -> bool {
    size.0 >= WIDTH_MIN && size.1 >= HEIGHT_MIN
}

/// Divides the screen.
#[must_use]
pub fn areas(model: &Model) -> Areas {
    let (width, height) = model.size;
    let row = |y: u16| Rect { x: 0, y, width, height: u16::from(y < height) };
    let alarmed = model.engine.as_ref().is_some_and(|engine| !engine.alarms.is_empty());
    let banner = alarmed || model.leaving || !matches!(model.link, Link::Live | Link::Connecting);
    let top = 3 + u16::from(banner);
    let body = Rect { x: 0, y: top, width, height: height.saturating_sub(top + 1) };
    let (table, detail) = divide(model, body);
    Areas {
        header: row(0),
        tabs: row(1),
        rule: row(2),
        banner: banner.then(|| row(3)),
        body,
        table,
        detail,
        footer: row(height.saturating_sub(1)),
    }
}

/// Gives list and detail their shares of the body.
fn divide(model: &Model, body: Rect) -> (Option<Rect>, Option<Rect>) {
    let rows = match model.tab {
        _ if model.identity.bars() => return (None, Some(body)),
        Tab::Users => return (None, Some(body)),
        Tab::Providers => model.providers.rows.len(),
        Tab::Sessions => model.sessions.rows.len(),
        Tab::Audit => model.audit.rows.len(),
    };
    let empty = rows == 0;
    if model.zoomed() && !empty {
        return (None, Some(body));
    }
    if empty {
        return (Some(body), None);
    }
    if body.width >= BESIDE_MIN {
        let share = body.width * 11 / 20;
        let table = Rect { width: share, ..body };
        let detail = Rect { x: share + 1, width: body.width - share - 1, ..body };
        return (Some(table), Some(detail));
    }
    if body.height < BELOW_MIN {
        return (Some(body), None);
    }
    // The list gets what it needs, within bounds that leave the detail room to say something.
    let wanted = u16::try_from(rows.saturating_add(1)).unwrap_or(u16::MAX);
    let most = body.height.saturating_sub(DETAIL_MIN).min(body.height / 2).max(LIST_MIN);
    let share = wanted.clamp(LIST_MIN, most);
    let table = Rect { height: share, ..body };
    let detail = Rect { y: body.y + share, height: body.height - share, ..body };
    (Some(table), Some(detail))
}

/// Returns the box of a dialog: as large as asked for, as far as the screen allows, in the middle.
#[must_use]
pub fn dialog(size: (u16, u16), width: u16, height: u16) -> Rect {
    let width = width.min(size.0.saturating_sub(2));
    let height = height.min(size.1.saturating_sub(2));
    let x = size.0.saturating_sub(width) / 2;
    let y = size.1.saturating_sub(height) / 3;
    Rect { x, y, width, height }
}

/// Returns the box of the question whether a policy file may be changed: nearly the whole screen,
/// since a change is read before anybody agrees to it.
#[must_use]
pub fn agreement(size: (u16, u16)) -> Rect {
    dialog(size, 100, size.1.saturating_sub(4))
}

/// How many rows of the open dialog's list are in view. It depends on the catalogue, not on what
/// fits the search, so that nothing jumps while somebody types.
#[must_use]
pub fn open_list_rows(model: &Model) -> u16 {
    let room = model.size.1.saturating_sub(OPEN_ROWS_BESIDE);
    let targets = u16::try_from(model.targets_total).unwrap_or(u16::MAX);
    targets.clamp(3, 10).min(room)
}

/// The height of the open dialog's box.
#[must_use]
pub fn open_height(model: &Model) -> u16 {
    open_list_rows(model) + OPEN_ROWS_BESIDE - 2
}

/// The most seconds a sparkline shows.
pub const BARS_MAX: usize = 60;

/// The narrowest usable screen, in columns.
pub const WIDTH_MIN: u16 = 60;

/// The lowest usable screen, in rows.
pub const HEIGHT_MIN: u16 = 16;

const BESIDE_MIN: u16 = 120;
const BELOW_MIN: u16 = 17;
const DETAIL_MIN: u16 = 12;
const LIST_MIN: u16 = 5;
const OPEN_ROWS_BESIDE: u16 = 13;
