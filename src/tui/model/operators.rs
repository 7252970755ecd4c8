//! The operators: as many as were asked for, page by page.

use super::rows::Rows;
use crate::error::Report;
use crate::protocol::{OperatorView, OperatorsAsk, OperatorsView};

/// The operators on screen. The engine filters; what is here are the first pages of what it found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operators {
    all: Vec<OperatorView>,
    /// How many there are in all.
    pub total: u64,
    /// How many fit the filter.
    pub matching: u64,
    /// The list: places in what is here.
    pub rows: Rows<usize>,
    /// Why they cannot be shown.
    pub refusal: Option<Report>,
    /// Which page is under way: the number of the question, and how many are before it.
    asked: Option<(u64, u32)>,
    /// True when what is here may no longer hold.
    stale: bool,
}

impl Operators {
    /// Nobody yet, to be asked for.
    #[must_use]
    pub fn unknown() -> Self {
        Self { stale: true, ..Self::default() }
    }

    /// True until the first page is here.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.all.is_empty() && (self.stale || self.asked.is_some())
    }

    /// The operator at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<&OperatorView> {
        self.all.get(place)
    }

    /// The operator under the cursor.
    #[must_use]
    pub fn selected(&self) -> Option<&OperatorView> {
        self.rows.selected().and_then(|place| self.get(*place))
    }

    /// Says that they must be asked for again: the filter, or somebody, has changed.
    pub const fn touch(&mut self) {
        self.stale = true;
    }

    /// Returns what must be asked for now, if anything; one question at a time.
    pub fn wanted(&mut self, number: u64, height: usize) -> Option<OperatorsAsk> {
        if self.asked.is_some() {
            return None;
        }
        let here = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let more = u64::from(here) < self.matching && self.rows.near_end(height);
        let offset = match (self.stale, more && self.refusal.is_none()) {
            (true, _) => 0,
            (false, true) => here,
            (false, false) => return None,
        };
        self.stale = false;
        self.asked = Some((number, offset));
        let typed = self.rows.filter.field.text().trim();
        let filter = (!typed.is_empty()).then(|| typed.to_owned());
        Some(OperatorsAsk::List { filter, limit: PAGE, offset })
    }

    /// Takes in the page that was asked for by this number.
    pub fn put(&mut self, number: u64, answer: Result<OperatorsView, Report>) {
        let Some((_, offset)) = self.asked.take_if(|(asked, _)| *asked == number) else { return };
        match answer {
            Ok(page) => {
                if offset == 0 {
                    self.all.clear();
                }
                // A page that comes back empty is the end, whatever the count says.
                let ended = page.operators.is_empty();
                self.all.extend(page.operators);
                self.total = page.total;
                let here = u64::try_from(self.all.len()).unwrap_or(u64::MAX);
                self.matching = if ended { here } else { page.matching };
                self.refusal = None;
            }
            Err(report) => {
                self.all.clear();
                self.refusal = Some(report);
            }
        }
        self.rows.set((0..self.all.len()).collect());
    }
}

/// How many are asked for at once.
pub const PAGE: u32 = 500;
