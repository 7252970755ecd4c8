//! The Break-Glass Users tab: what is real so far, and nothing else.

use ratatui::layout::Rect;

use crate::tui::model::Model;
use crate::tui::theme::Tone;
use crate::tui::widgets::pen::{Line, Pen, part, wrap};

/// Draws the tab.
pub fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    pen.lines(body, &lines(model, body.width), model.users_scroll);
}

/// Returns the lines of the page.
#[must_use]
pub fn lines(model: &Model, width: u16) -> Vec<Line> {
    let who = model.engine.as_ref().map(|engine| &engine.operator);
    let you = match who {
        _ if model.drill => {
            "You are in a drill. Nobody signs in, and nothing here is real.".to_owned()
        }
        Some(operator) => format!(
            "You act as the UNIX user {operator} (uid {}). The kernel says so, not the environment; \
             every event of the audit carries that uid.",
            operator.uid
        ),
        None => "The engine has not said yet who you are.".to_owned(),
    };
    let mut lines = vec![vec![]];
    section(
        &mut lines,
        width,
        "Personal mode: the account is the sign-in",
        &[
            &you,
            "Whoever can become this user can open, end and read everything here. The SSH login to \
         this host is the gate; guard that.",
        ],
    );
    section(
        &mut lines,
        width,
        "Not part of this version",
        &[
            "Sign-in by password or single sign-on, identity providers, and the list of break-glass \
         users who may enter while single sign-on is down. There is no list to show, so none is \
         shown.",
        ],
    );
    section(
        &mut lines,
        width,
        "What helps when the identity provider is down",
        &[
            "This program asks no identity provider for anything: if you can log in to this host, it \
         works. Keep one SSH key that does not depend on single sign-on, and try it now and then.",
        ],
    );
    lines
}

fn section(lines: &mut Vec<Line>, width: u16, title: &'static str, texts: &[&str]) {
    let room = usize::from(width).saturating_sub(6).clamp(20, 76);
    lines.push(vec![part(Tone::Strong, format!("  {title}"))]);
    for text in texts {
        let wrapped = wrap(text, room).into_iter();
        lines.extend(wrapped.map(|line| vec![part(Tone::Body, format!("  {line}"))]));
    }
    lines.push(vec![]);
}
