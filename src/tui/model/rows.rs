//! A list on screen: which rows, in which order, where the cursor stands, what is scrolled away.

use crate::tui::widgets::field::Field;

/// A list on screen. The rows are keys; what they show is looked up when they are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<K> {
    order: Vec<K>,
    cursor: usize,
    offset: usize,
    /// The filter.
    pub filter: Filter,
    /// The order of the rows.
    pub sort: Sort,
    /// True while the details of the row under the cursor fill the pane.
    pub zoomed: bool,
    /// How many lines of those details are scrolled away.
    pub scroll: usize,
}

/// A filter: what was typed, and whether it is being typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// The text.
    pub field: Field,
    /// True while it is being typed.
    pub typing: bool,
}

impl Filter {
    /// The text, in small letters, as rows are compared with it.
    #[must_use]
    pub fn needle(&self) -> String {
        self.field.text().to_lowercase()
    }

    /// True when it hides rows.
    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.field.is_empty()
    }
}

/// By which column rows are sorted, and which column is marked for the next sort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// The column that sorts.
    pub column: usize,
    /// True for the largest first.
    pub reversed: bool,
    /// The marked column; none until somebody moves the mark.
    pub marked: Option<usize>,
}

impl Sort {
    /// Sorts by the marked column, or reverses the order when it sorts already.
    pub const fn press(&mut self) {
        let column = match self.marked {
            Some(marked) => marked,
            None => self.column,
        };
        self.reversed = column == self.column && !self.reversed;
        self.column = column;
    }

    /// Moves the mark, staying within `columns`.
    pub fn move_mark(&mut self, by: isize, columns: usize) {
        let from = self.marked.unwrap_or(self.column);
        self.marked = Some(from.saturating_add_signed(by).min(columns.saturating_sub(1)));
    }
}

impl<K> Default for Rows<K> {
    fn default() -> Self {
        Self {
            order: vec![],
            cursor: 0,
            offset: 0,
            filter: Filter::default(),
            sort: Sort::default(),
            zoomed: false,
            scroll: 0,
        }
    }
}

impl<K: Clone + PartialEq> Rows<K> {
    /// How many rows there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.order.len()
    }

    /// True when there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The row under the cursor.
    #[must_use]
    pub fn selected(&self) -> Option<&K> {
        self.order.get(self.cursor)
    }

    /// Where the cursor stands.
    #[must_use]
    pub const fn cursor(&self) -> usize {
        self.cursor
    }

    /// The rows in view, each with whether it is under the cursor.
    pub fn window(&self, height: usize) -> impl Iterator<Item = (&K, bool)> {
        let numbered = self.order.iter().enumerate().skip(self.offset).take(height);
        numbered.map(|(number, key)| (key, number == self.cursor))
    }

    /// Takes in new rows. The cursor stays on its row; where that is gone, at its height.
    pub fn set(&mut self, order: Vec<K>) {
        let kept = self.selected().and_then(|key| order.iter().position(|other| other == key));
        self.order = order;
        self.cursor = kept.unwrap_or(self.cursor).min(self.order.len().saturating_sub(1));
    }

    /// Puts the cursor on a row, and returns whether there is such a row.
    pub fn select(&mut self, key: &K) -> bool {
        let found = self.order.iter().position(|other| other == key);
        self.cursor = found.unwrap_or(self.cursor);
        found.is_some()
    }

    /// Moves the cursor by a number of rows, staying within them.
    pub fn move_by(&mut self, by: isize) {
        let last = self.order.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
    }

    /// Moves the cursor, or scrolls the details where they fill the pane.
    pub fn go(&mut self, zoomed: bool, by: isize) {
        if zoomed {
            self.scroll = self.scroll.saturating_add_signed(by);
        } else {
            self.move_by(by);
        }
    }

    /// Shows the details in full, from their first line, or the list again.
    pub const fn zoom(&mut self, on: bool) {
        self.zoomed = on;
        self.scroll = 0;
    }

    /// Puts the cursor on the row at this height of the window, if there is one.
    pub fn click(&mut self, row: usize) {
        let at = self.offset.saturating_add(row);
        if at < self.order.len() {
            self.cursor = at;
        }
    }

    /// Scrolls so that the cursor is in view, and nothing is scrolled away without need.
    pub fn show(&mut self, height: usize) {
        let height = height.max(1);
        let furthest = self.order.len().saturating_sub(height);
        let lowest = self.cursor.saturating_sub(height - 1);
        self.offset = self.offset.clamp(lowest, self.cursor.max(lowest)).min(furthest);
    }

    /// True when the cursor is within a window's height of the last row.
    #[must_use]
    pub const fn near_end(&self, height: usize) -> bool {
        self.cursor.saturating_add(height) >= self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows(count: u32) -> Rows<u32> {
        let mut rows = Rows::default();
        rows.set((0..count).collect());
        rows
    }

    #[test]
    fn the_cursor_follows_its_row() {
        let mut rows = rows(10);
        rows.move_by(4);
        rows.set(vec![9, 8, 4, 1]);
        assert_eq!((rows.selected(), rows.cursor()), (Some(&4), 2));
        rows.set(vec![9, 8]);
        assert_eq!(rows.selected(), Some(&8));
        rows.set(vec![]);
        assert_eq!(rows.selected(), None);
    }

    #[test]
    fn sorting_twice_by_a_column_turns_it_round() {
        let mut sort = Sort::default();
        sort.move_mark(1, 3);
        sort.press();
        assert_eq!((sort.column, sort.reversed), (1, false));
        sort.press();
        assert_eq!((sort.column, sort.reversed), (1, true));
        sort.move_mark(9, 3);
        sort.press();
        assert_eq!((sort.column, sort.reversed), (2, false));
    }

    proptest! {
        #[test]
        fn the_cursor_is_always_in_view(
            count in 0u32..100,
            moves in prop::collection::vec((-30isize..30, 0usize..20), 1..20),
        ) {
            let mut rows = rows(count);
            for (by, height) in moves {
                rows.move_by(by);
                rows.show(height);
                let seen: Vec<_> = rows.window(height.max(1)).collect();
                prop_assert_eq!(seen.iter().any(|(_, here)| *here), count > 0);
                let full = usize::try_from(count).unwrap().min(height.max(1));
                prop_assert_eq!(seen.len(), full);
            }
        }
    }
}
