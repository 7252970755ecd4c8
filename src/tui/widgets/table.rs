//! A list with columns. Only the rows in view are made.

use ratatui::layout::Rect;

use super::pen::{Part, Pen, rows};
use crate::tui::model::rows::{Rows, Sort};
use crate::tui::theme::Tone;

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its head.
    pub title: &'static str,
    /// Its least width.
    pub width: u16,
    /// Its share of what is left over.
    pub grow: u16,
    /// True to stand at the right.
    pub right: bool,
    /// The narrowest table that shows it.
    pub from: u16,
}

impl Column {
    /// Makes a column of a fixed width.
    #[must_use]
    pub const fn new(title: &'static str, width: u16) -> Self {
        Self { title, width, grow: 0, right: false, from: 0 }
    }

    /// Lets it take a share of what is left over.
    #[must_use]
    pub const fn grow(self, grow: u16) -> Self {
        Self { grow, ..self }
    }

    /// Puts its text at the right.
    #[must_use]
    pub const fn right(self) -> Self {
        Self { right: true, ..self }
    }

    /// Shows it only in tables at least this wide.
    #[must_use]
    pub const fn from(self, from: u16) -> Self {
        Self { from, ..self }
    }
}

/// Returns where each column stands in a row: none for one that is left out.
pub fn places(columns: &[Column], row: Rect) -> Vec<Option<Rect>> {
    let shown = |column: &&Column| row.width >= column.from;
    let gaps = GAP * u16::try_from(columns.iter().filter(shown).count()).unwrap_or(0);
    let least: u16 = columns.iter().filter(shown).map(|column| column.width).sum();
    let spare = row.width.saturating_sub(GUTTER + gaps + least);
    let shares: u16 = columns.iter().filter(shown).map(|column| column.grow).sum();
    let mut x = row.x.saturating_add(GUTTER);
    let mut place = |column: &Column| {
        if !shown(&column) {
            return None;
        }
        let more = u32::from(spare) * u32::from(column.grow) / u32::from(shares.max(1));
        let width = column.width.saturating_add(u16::try_from(more).unwrap_or(0));
        let area = Rect { x, width: width.min(row.right().saturating_sub(x)), ..row };
        x = x.saturating_add(width + GAP);
        Some(area)
    };
    columns.iter().map(&mut place).collect()
}

/// How a list is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// The columns, from left to right.
    pub columns: &'a [Column],
    /// How many of them name the row. Only those are lit under the cursor: a whole line twice for
    /// every cursor key is most of what the key costs on a slow line.
    pub named: usize,
    /// By which column the rows are sorted, where they can be.
    pub sort: Option<Sort>,
}

impl Table<'_> {
    /// Draws the head and the rows in view; `cells` makes the cells of one row.
    pub fn draw<K: Clone + PartialEq>(
        &self,
        pen: &mut Pen<'_>,
        area: Rect,
        list: &Rows<K>,
        cells: impl Fn(&K) -> Vec<Part>,
    ) {
        let mut lines = rows(area);
        let Some(head) = lines.next() else { return };
        draw_head(pen, head, self.columns, self.sort);
        let height = usize::from(area.height.saturating_sub(1));
        for (line, (key, here)) in lines.zip(list.window(height)) {
            let places = places(self.columns, line);
            for ((place, column), cell) in places.iter().zip(self.columns).zip(cells(key)) {
                let Some(place) = *place else { continue };
                if column.right {
                    pen.right(place, cell.tone, &cell.text);
                } else {
                    pen.text(place, cell.tone, &cell.text);
                }
            }
            if here {
                pen.text(line, Tone::Accent, pen.signs.cursor);
                let named = places.into_iter().take(self.named).flatten();
                let right = named.map(Rect::right).max().unwrap_or(line.x);
                let lit = Rect { x: line.x + 1, width: right.saturating_sub(line.x), ..line };
                pen.tint(lit, Tone::Selected);
            }
        }
    }
}

fn draw_head(pen: &mut Pen<'_>, head: Rect, columns: &[Column], sort: Option<Sort>) {
    for (number, (place, column)) in places(columns, head).into_iter().zip(columns).enumerate() {
        let Some(place) = place else { continue };
        let arrow = match sort.filter(|sort| sort.column == number) {
            None => "",
            Some(Sort { reversed: false, .. }) => pen.signs.down,
            Some(Sort { reversed: true, .. }) => pen.signs.up,
        };
        let room = usize::from(place.width);
        let gap = if column.title.len() + 1 < room && !arrow.is_empty() { " " } else { "" };
        let title = format!("{}{gap}{arrow}", column.title);
        let marked = sort.is_some_and(|sort| sort.marked == Some(number));
        let tone = if marked { Tone::Badge } else { Tone::Dim };
        if column.right {
            pen.right(place, tone, &title);
        } else {
            pen.text(place, tone, &title);
        }
    }
}

const GUTTER: u16 = 2;
const GAP: u16 = 1;
