//! A single sign-on in a terminal: code, address, QR code, and how long there is left.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use ratatui::layout::Rect;

use super::open;
use crate::protocol::SsoPromptView;
use crate::tui::format;
use crate::tui::look::Glyphs;
use crate::tui::model::Model;
use crate::tui::model::gate::Sso;
use crate::tui::theme::Tone;
use crate::tui::widgets::pen::{Line, Pen, clamp, part, wrap};

/// Draws a single sign-on.
pub fn draw(model: &Model, sso: &Sso, pen: &mut Pen<'_>, area: Rect) {
    let over = sso.is_over(model.now);
    let code = sso.prompt.as_ref().filter(|_| !over).and_then(|it| fitting_code(model, it, area));
    let left = match &code {
        Some(code) => {
            let width = code.first().map_or(0, |row| clamp(row.chars().count()));
            let x = area.right().saturating_sub(width);
            for (row, text) in (Rect { x, width, ..area }).rows().zip(code) {
                pen.text(row, Tone::Body, text);
            }
            Rect { width: area.width - width - GAP, ..area }
        }
        None => area,
    };
    pen.lines(left, &lines(model, sso, usize::from(left.width)), 0);
}

fn lines(model: &Model, sso: &Sso, width: usize) -> Vec<Line> {
    let mut lines: Vec<Line> = vec![vec![]];
    let mut say = |tone: Tone, text: &str| {
        lines.extend(wrap(text, width).into_iter().map(|line| vec![part(tone, line)]));
    };
    say(Tone::Strong, &format!("{} ({})", sso.label, sso.idp));
    say(Tone::Body, "");
    let expired = sso.is_over(model.now) && sso.failed.is_none();
    match (&sso.prompt, &sso.failed) {
        (_, Some(report)) => {
            lines.extend(open::refusal(report, width, 6));
            lines.push(vec![]);
            lines.push(vec![part(Tone::Body, AGAIN)]);
        }
        _ if expired => {
            say(Tone::Warn, "the code has expired");
            say(Tone::Body, "");
            say(Tone::Body, AGAIN);
        }
        (Some(prompt), None) => waiting(model, prompt, &mut say),
        (None, None) => say(Tone::Accent, "asking it for a code... esc gives up waiting"),
    }
    lines
}

fn waiting(model: &Model, prompt: &SsoPromptView, say: &mut impl FnMut(Tone, &str)) {
    say(Tone::Body, "On any device with a browser open");
    say(Tone::Accent, &prompt.verification_uri);
    say(Tone::Body, "and type this code:");
    say(Tone::Body, "");
    let spaced: Vec<String> =
        prompt.user_code.chars().take(CODE_CHARS_MAX).map(String::from).collect();
    say(Tone::Strong, &format!("    {}", spaced.join(" ")));
    say(Tone::Body, "");
    let place = host(&prompt.verification_uri);
    let left = format::countdown(format::left(model.now, prompt.expires_at));
    say(Tone::Body, &format!("Waiting for you at {place}, {left} left."));
}

/// The host of an address, as people know it.
fn host(uri: &str) -> &str {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// The rows of the QR code, where it fits and the glyphs are there.
///
/// The light squares are drawn and the dark ones left out, which is right on a dark background; on
/// a light one it is turned round, which cameras read as well. Nothing is painted white or black.
fn fitting_code(model: &Model, prompt: &SsoPromptView, area: Rect) -> Option<Vec<String>> {
    if model.look.glyphs == Glyphs::Ascii {
        return None;
    }
    let uri = prompt.verification_uri_complete.as_ref().unwrap_or(&prompt.verification_uri);
    let code = QrCode::with_error_correction_level(uri, EcLevel::L).ok()?;
    // With the quiet zone of four squares around it that ISO/IEC 18004 asks for, if there is room;
    // cameras make do without on a plain background.
    [true, false].into_iter().find_map(|quiet| {
        let image = code
            .render::<Dense1x2>()
            .quiet_zone(quiet)
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build();
        let rows: Vec<String> = image.lines().map(str::to_owned).collect();
        let wide = rows.first().map_or(0, |row| row.chars().count());
        let fits = rows.len() <= usize::from(area.height)
            && wide + usize::from(GAP) + TEXT_MIN <= usize::from(area.width);
        fits.then_some(rows)
    })
}

const AGAIN: &str = "r asks for a new code; esc goes back.";

/// The longest code that anybody would type, in characters.
const CODE_CHARS_MAX: usize = 40;

const GAP: u16 = 2;

/// The narrowest text beside a QR code, in columns.
const TEXT_MIN: usize = 36;

#[cfg(test)]
mod tests {
    use qrcode::Color;

    use super::*;
    use crate::domain::time::Timestamp;
    use crate::tui::look::{Environment, Look};

    fn prompt(uri: &str) -> SsoPromptView {
        SsoPromptView {
            attempt: 1,
            user_code: "WDJB-MJHT".into(),
            verification_uri: "https://login.example.com/device".into(),
            verification_uri_complete: Some(uri.into()),
            expires_at: Timestamp::default(),
        }
    }

    fn shown(uri: &str, locale: &str, size: (u16, u16)) -> Option<Vec<String>> {
        let look = Look::of(Environment { locale: Some(locale), ..Environment::default() });
        let model = Model::new(look, size, jiff::tz::TimeZone::UTC);
        fitting_code(&model, &prompt(uri), Rect::new(0, 0, size.0, size.1))
    }

    /// Reads the squares back from the half blocks: a blank is a dark square.
    fn squares(rows: &[String]) -> Vec<Vec<Color>> {
        let half = |c: char, upper: bool| match c {
            '█' => Color::Light,
            '▀' if upper => Color::Light,
            '▄' if !upper => Color::Light,
            _ => Color::Dark,
        };
        let line = |row: &String, upper| row.chars().map(|c| half(c, upper)).collect::<Vec<_>>();
        rows.iter().flat_map(|row| [line(row, true), line(row, false)]).collect()
    }

    #[test]
    fn what_is_drawn_is_the_code_of_the_address() {
        let uri = "https://login.example.com/device?user_code=WDJB-MJHT";
        let rows = shown(uri, "C.UTF-8", (80, 24)).unwrap();
        let code = QrCode::with_error_correction_level(uri, EcLevel::L).unwrap();
        let wide = code.width();
        let squares = squares(&rows);
        let quiet = (squares[0].len() - wide) / 2;
        assert_eq!(quiet, 4, "the quiet zone");
        let inner = squares.iter().skip(quiet).take(wide);
        let read: Vec<Color> = inner.flat_map(|row| row[quiet..quiet + wide].to_vec()).collect();
        assert_eq!(read, code.to_colors());
        assert!(squares[..quiet].iter().flatten().all(|square| *square == Color::Light));
    }

    #[test]
    fn where_it_does_not_fit_or_has_no_glyphs_there_is_none() {
        let uri = "https://login.example.com/device";
        assert!(shown(uri, "C.UTF-8", (80, 18)).is_some());
        assert!(shown(uri, "C.UTF-8", (60, 24)).is_none());
        assert!(shown(uri, "C.UTF-8", (80, 10)).is_none());
        assert!(shown(uri, "C", (80, 24)).is_none());
        let long = format!("{uri}?{}", "x".repeat(4_000));
        assert!(shown(&long, "C.UTF-8", (1_000, 1_000)).is_none(), "no code holds that much");
    }

    #[test]
    fn the_host_is_what_people_know_an_address_by() {
        assert_eq!(host("https://login.example.com/device?x=1"), "login.example.com");
        assert_eq!(host("microsoft.com/devicelogin"), "microsoft.com");
    }
}
