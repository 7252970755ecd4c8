//! The operators: who belongs to the team, and as what.

use ratatui::layout::Rect;

use super::open;
use crate::protocol::OperatorView;
use crate::tui::model::Model;
use crate::tui::model::operators::Operators;
use crate::tui::theme::Tone;
use crate::tui::widgets::pen::{Line, Part, Pen, part};
use crate::tui::widgets::table::{Column, Table};

const COLUMNS: [Column; 6] = [
    Column::new("OPERATOR", 26).grow(3),
    Column::new("ROLE", 6),
    Column::new("PASSWORD", 11),
    Column::new("BOUND TO", 9).grow(1),
    Column::new("LISTED FOR", 10).grow(1).from(76),
    Column::new("SINCE", 6).from(90),
];

/// Draws the operators.
pub fn draw(model: &Model, operators: &Operators, pen: &mut Pen<'_>, body: Rect) {
    if let Some(said) = empty(operators, usize::from(body.width.saturating_sub(4))) {
        let mut lines: Vec<Line> = vec![vec![]];
        for mut line in said {
            line.insert(0, part(Tone::Body, "  "));
            lines.push(line);
        }
        pen.lines(body, &lines, 0);
        return;
    }
    let table = Table { columns: &COLUMNS, named: 1, sort: None };
    table.draw(pen, body, &operators.rows, |place| {
        operators.get(*place).map(|operator| cells(model, operator)).unwrap_or_default()
    });
}

fn empty(operators: &Operators, width: usize) -> Option<Vec<Line>> {
    if let Some(report) = &operators.refusal {
        return Some(open::refusal(report, width, 4));
    }
    let said = match () {
        () if !operators.rows.is_empty() => return None,
        () if operators.is_waiting() => "asking the engine...",
        () if operators.rows.filter.is_set() => "No operator fits the filter; esc clears it.",
        () => "No operator.",
    };
    Some(vec![vec![part(Tone::Body, said)]])
}

fn cells(model: &Model, operator: &OperatorView) -> Vec<Part> {
    let quiet = if operator.member { Tone::Body } else { Tone::Dim };
    let code = operator.code_expires_at.filter(|at| *at > model.now);
    let password = match (operator.member, operator.has_password, code) {
        (false, _, _) => part(Tone::Dim, "left"),
        (_, _, Some(_)) => part(Tone::Accent, "code is out"),
        (_, true, None) => part(Tone::Body, "set"),
        (_, false, None) => part(Tone::Dim, "none"),
    };
    let names = |ids: &[crate::domain::id::IdpId]| {
        ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    vec![
        part(quiet, operator.email.to_string()),
        part(quiet, operator.role.as_str()),
        password,
        part(quiet, operator.bound_to.as_ref().map(ToString::to_string).unwrap_or_default()),
        part(quiet, names(&operator.listed)),
        part(Tone::Dim, model.wall.short(operator.created_at, model.now)),
    ]
}
