//! The Break-Glass Users tab: one identity provider at a time, and who may enter when it fails.

use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::{labelled, people, sign_in};
use crate::domain::break_glass_user::{LISTED_MAX, LISTED_WISE, Stale};
use crate::domain::identity_provider::BreakGlassMode;
use crate::domain::time::Timestamp;
use crate::protocol::{IdpView, ListedView};
use crate::tui::model::Model;
use crate::tui::model::users::{Added, Row};
use crate::tui::theme::{Signs, Tone};
use crate::tui::update::allowed::sees_lists;
use crate::tui::widgets::pen::{Line, Pen, fit, part, wrap};

/// Draws the tab.
pub fn draw(model: &Model, pen: &mut Pen<'_>, body: Rect) {
    pen.lines(body, &page(model, body.width).lines, model.users.scroll);
}

/// The lines of the tab, and which of them the cursor stands on.
#[derive(Debug, Default)]
pub struct Page {
    /// The lines, from top to bottom.
    pub lines: Vec<Line>,
    /// The first and the last line of the row under the cursor.
    pub cursor: Option<(usize, usize)>,
}

/// Makes the page.
#[must_use]
pub fn page(model: &Model, width: u16) -> Page {
    let mut page = Page::default();
    if !model.identity.sign_in_needed {
        nobody_signs_in(model, &mut page.lines, width);
        return page;
    }
    let Some(idp) = model.users.chosen(&model.identity) else {
        no_idp(model, &mut page.lines, width);
        return page;
    };
    page.lines.push(idps(model, idp, width));
    about(model, idp, &mut page.lines, width);
    page.lines.push(vec![]);
    if sees_lists(model) {
        list(model, idp, &mut page, width);
        forecast(idp, &mut page.lines, width);
    } else {
        let text = "Only an Admin or an Owner may see who is listed and change it. If you are on \
                    the list, p shows that your password works.";
        say(&mut page.lines, width, Tone::Body, text);
    }
    page
}

fn say(lines: &mut Vec<Line>, width: u16, tone: Tone, text: &str) {
    let room = usize::from(width).saturating_sub(4).clamp(20, 100);
    lines.extend(
        wrap(text, room).into_iter().map(|it| vec![part(Tone::Body, "  "), part(tone, it)]),
    );
}

/// The sub-tabs. Where they do not all fit, those before the chosen one give way.
fn idps(model: &Model, chosen: &IdpView, width: u16) -> Line {
    let all = &model.identity.idps;
    let at = all.iter().position(|idp| idp.id == chosen.id).unwrap_or(0);
    let wide = |idp: &IdpView| idp.id.as_str().width() + 3;
    let mut first = 0;
    while all.iter().take(at + 1).skip(first).map(wide).sum::<usize>() + 4 > usize::from(width)
        && first < at
    {
        first += 1;
    }
    let mut line = vec![part(Tone::Body, " ")];
    for idp in all.iter().skip(first) {
        let tone = if idp.id == chosen.id { Tone::Badge } else { Tone::Body };
        line.push(part(tone, format!(" {} ", idp.id)));
        line.push(part(Tone::Body, " "));
    }
    if all.len() > 1 {
        line.push(part(Tone::Dim, " [ and ] switch"));
    }
    line
}

/// What the identity provider is, whether it is enforced, how it does.
fn about(model: &Model, idp: &IdpView, lines: &mut Vec<Line>, width: u16) {
    let signs = Signs::of(model.look);
    let domains = people::domains(idp);
    let what =
        if domains.is_empty() { idp.label.clone() } else { format!("{}; {domains}", idp.label) };
    lines.extend(labelled("is", Tone::Body, &what, width));
    let only = idp.settings.as_ref().map(|settings| settings.break_glass);
    let (tone, text) = match (idp.enforced, only) {
        (false, _) => (Tone::Body, "not enforced: by password or single sign-on".to_owned()),
        (true, Some(BreakGlassMode::OnlyWhileUnhealthy)) => (
            Tone::Strong,
            format!("enforced: a password only for who is listed, while {} is unhealthy", idp.id),
        ),
        (true, _) => (Tone::Strong, "enforced: a password only for who is listed".to_owned()),
    };
    lines.extend(labelled("sign-in", tone, &text, width));
    let mut line = vec![part(Tone::Dim, format!("  {:<10}", "health"))];
    line.push(sign_in::health(idp, signs));
    if let Some(probe) = &idp.probe {
        line.push(part(Tone::Dim, format!(", seen {}", model.wall.until(probe.at, model.now))));
    }
    lines.push(line);
    // On a low screen what is well is said by one word, so that the list is in view.
    let low = crate::tui::layout::areas(model).body.height < ROOMY;
    let probe = idp.probe.as_ref().filter(|probe| !(low && probe.is_healthy()));
    let room = usize::from(width).saturating_sub(14);
    for mut check in probe.into_iter().flat_map(|probe| people::checks(probe, signs, room)) {
        check.insert(0, part(Tone::Body, " ".repeat(12)));
        lines.push(check);
    }
}

/// Who is listed, and in the working copy who would be.
fn list(model: &Model, idp: &IdpView, page: &mut Page, width: u16) {
    let edit = model.users.edit.as_ref();
    let count = edit.map_or(idp.listed.len(), |edit| edit.count(idp.listed.len()));
    let mut head =
        vec![part(Tone::Strong, format!("  Break-glass users: {count} of {LISTED_MAX}"))];
    match edit {
        Some(edit) if edit.sent => head.push(part(Tone::Accent, "  saving...")),
        Some(edit) if edit.changes.is_empty() => head.push(part(Tone::Accent, "  editing")),
        Some(_) => head.push(part(Tone::Accent, "  editing, not saved")),
        None => {}
    }
    page.lines.push(head);
    let rows = model.users.rows(&model.identity);
    if rows.is_empty() {
        let text = "Nobody is listed. e edits the list: operators on it may sign in by password \
                    while single sign-on is enforced, so that an outage locks nobody out.";
        say(&mut page.lines, width, Tone::Body, text);
    }
    let widths = columns(width);
    for (number, row) in rows.iter().enumerate() {
        let here = number == model.users.cursor;
        let first = page.lines.len();
        page.lines.push(row_line(model, *row, here, widths));
        if here {
            for text in more_of(*row, Signs::of(model.look)) {
                let room = usize::from(width).saturating_sub(8);
                let wrapped = wrap(&text, room).into_iter();
                page.lines.extend(wrapped.map(|it| vec![part(Tone::Dim, format!("      {it}"))]));
            }
            page.cursor = Some((first, page.lines.len() - 1));
        }
    }
    page.lines.push(vec![]);
}

/// The widths of address, role and proof.
fn columns(width: u16) -> (usize, usize, usize) {
    let email = usize::from(width).saturating_sub(4 + 7 + 11 + 17).clamp(18, 44);
    (email, 7, 11)
}

fn row_line(
    model: &Model,
    row: Row<'_>,
    here: bool,
    (email, role, proven): (usize, usize, usize),
) -> Line {
    let signs = Signs::of(model.look);
    let (sign, role_text, proven_text, tone, state) = match row {
        Row::Listed(listed, true) => (
            "-",
            listed.role.as_str(),
            ago(listed, model.now),
            Tone::Warn,
            "goes when saved".to_owned(),
        ),
        Row::Listed(listed, false) => {
            let (tone, state) = state(listed, signs);
            (" ", listed.role.as_str(), ago(listed, model.now), tone, state)
        }
        Row::Added(added) => {
            let role = added.role.map_or("", crate::domain::role::Role::as_str);
            ("+", role, "new".to_owned(), Tone::Good, "comes when saved".to_owned())
        }
    };
    let cursor = if here { signs.cursor } else { " " };
    let name = fit(row.email().as_str(), email, signs.ellipsis).into_owned();
    let gap = " ".repeat(email.saturating_sub(name.width()) + 1);
    let lit = if here { Tone::Selected } else { Tone::Body };
    vec![
        part(Tone::Accent, cursor),
        part(tone, format!(" {sign} ")),
        part(lit, name),
        part(Tone::Body, gap),
        part(Tone::Body, format!("{role_text:<role$}")),
        part(Tone::Body, format!("{proven_text:<proven$}")),
        part(tone, state),
    ]
}

/// How long ago a proof was.
fn ago(listed: &ListedView, now: Timestamp) -> String {
    match listed.proven_at {
        None => "never".to_owned(),
        Some(at) => match now.since(at).as_seconds() / 86_400 {
            0 => "today".to_owned(),
            days => format!("{days} d ago"),
        },
    }
}

fn state(listed: &ListedView, signs: &Signs) -> (Tone, String) {
    match listed.stale {
        Some(Stale::NotMember) => (Tone::Warn, format!("{} left the team", signs.bad)),
        Some(Stale::NoPassword) => (Tone::Warn, format!("{} no password", signs.bad)),
        None if listed.proof_due => (Tone::Warn, "! proof is due".to_owned()),
        None => (Tone::Good, format!("{} can enter", signs.good)),
    }
}

/// What is said of the row under the cursor.
fn more_of(row: Row<'_>, signs: &Signs) -> Vec<String> {
    match row {
        Row::Listed(listed, _) => {
            let stale = listed.stale.map(|stale| {
                format!("{}: counts for nothing until that is mended", stale.as_str())
            });
            let due =
                (listed.proof_due && listed.stale.is_none()).then(|| match listed.proven_at {
                    None => {
                        "last proven: never; they press p here and type their password".to_owned()
                    }
                    Some(_) => "last proven more than 90 days ago; they press p here".to_owned(),
                });
            stale.into_iter().chain(due).chain(listed.warning.clone()).collect()
        }
        Row::Added(Added { warning, .. }) => {
            // The engine has looked at each of the rules.
            let ticks = ["exists", "password", "member", "room"]
                .map(|rule| format!("{rule} {}", signs.good))
                .join("  ");
            std::iter::once(ticks).chain(warning.clone()).collect()
        }
    }
}

/// What would happen if the identity provider failed now, and what to mend.
fn forecast(idp: &IdpView, lines: &mut Vec<Line>, width: u16) {
    if !idp.forecast.is_empty() {
        lines.extend(labelled("forecast", Tone::Strong, &idp.forecast, width));
    }
    let mut warnings = idp.warnings.clone();
    if warnings.is_empty() && idp.listed.len() < LISTED_WISE {
        warnings.push("two or three break-glass users are wise".to_owned());
    }
    for (number, warning) in warnings.iter().enumerate() {
        let label = if number == 0 { "warning" } else { "" };
        lines.extend(labelled(label, Tone::Warn, warning, width));
    }
}

fn no_idp(model: &Model, lines: &mut Vec<Line>, width: u16) {
    lines.push(vec![]);
    say(lines, width, Tone::Strong, "No identity provider yet: everybody signs in by password.");
    lines.push(vec![]);
    let how = match model.me().map(|me| me.role) {
        Some(role) if role.may(crate::domain::role::Ability::IdentityProviders).is_ok() => {
            "i adds one, Microsoft Entra ID or any other with OpenID Connect; or from a shell: \
             breakglass idp add --help"
        }
        _ => "Only an Owner may add one.",
    };
    say(lines, width, Tone::Body, how);
    lines.push(vec![]);
    say(lines, width, Tone::Body, WHAT_THEY_ARE);
    lines.push(vec![]);
    say(lines, width, Tone::Dim, model.identity.mode.meaning());
}

/// What the tab says where nobody signs in.
fn nobody_signs_in(model: &Model, lines: &mut Vec<Line>, width: u16) {
    let you = if model.engine.is_none() {
        "The engine has not said yet who you are."
    } else {
        "Nobody signs in here: this is a drill, and nothing in it is real."
    };
    lines.push(vec![]);
    say(lines, width, Tone::Strong, you);
    lines.push(vec![]);
    say(lines, width, Tone::Body, WHAT_THEY_ARE);
}

/// From which height of the body on every check of an identity provider is shown.
const ROOMY: u16 = 18;

const WHAT_THEY_ARE: &str = "Break-glass users are operators of the team who may sign in by \
    password while single sign-on is enforced, so that an outage of the identity provider locks \
    nobody out. Each identity provider has its own list of at most five; two or three are wise.";
