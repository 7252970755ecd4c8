//! Questions, the messages, the commands, the verdict.

use ratatui::layout::{Position, Rect};

use super::{field, open, people};
use crate::domain::time::Span;
use crate::error::Report;
use crate::protocol::{AuditVerdict, SessionView};
use crate::tui::format;
use crate::tui::layout;
use crate::tui::look::Glyphs;
use crate::tui::model::Model;
use crate::tui::model::dialog::{Answer, Confirm, ExtendForm, Palette, Question};
use crate::tui::model::open::presets;
use crate::tui::theme::Tone;
use crate::tui::update::commands_for;
use crate::tui::widgets::pen::{Line, Part, Pen, part, rows, wrap};

/// Draws a question.
pub fn confirm(model: &Model, confirm: &Confirm, pen: &mut Pen<'_>) -> Option<Position> {
    let (title, texts) = asked(model, &confirm.question);
    let width = 68.min(model.size.0.saturating_sub(4));
    let room = usize::from(width.saturating_sub(4));
    let mut lines: Vec<Line> = vec![vec![]];
    for text in texts {
        lines.extend(wrap(&text, room).into_iter().map(|line| vec![part(Tone::Body, line)]));
    }
    lines.push(vec![]);
    let height = u16::try_from(lines.len()).unwrap_or(0).saturating_add(3);
    let area = layout::dialog(model.size, width, height);
    let inner = pen.frame(area, &[part(Tone::Strong, format!(" {title} "))]);
    pen.lines(inner, &lines, 0);
    let last = Rect { y: inner.bottom().saturating_sub(1), height: 1, ..inner };
    pen.line(last, &answers(model, confirm));
    None
}

fn answers(model: &Model, confirm: &Confirm) -> Line {
    let mut line: Vec<Part> = vec![];
    for (number, answer) in confirm.question.answers().iter().enumerate() {
        let word = word(model, &confirm.question, *answer);
        let marked = number == confirm.marked;
        line.push(if marked {
            part(Tone::Badge, format!("[ {word} ]"))
        } else {
            part(Tone::Body, format!("  {word}  "))
        });
        line.push(part(Tone::Body, "  "));
    }
    line
}

fn word(model: &Model, question: &Question, answer: Answer) -> &'static str {
    match (question, answer) {
        (Question::Quit | Question::LeaveDrill, Answer::Stay) => "stay",
        (_, Answer::Stay) => "cancel",
        (Question::Quit, Answer::Leave) if model.hosting => "hand over",
        (_, Answer::Leave) => "leave",
        (_, Answer::EndAll) => "end all",
        (Question::End(_), Answer::Do) => "end the session",
        (Question::Switch { on: true, .. }, Answer::Do) => "switch on",
        (Question::Switch { on: false, .. }, Answer::Do) => "switch off",
        (Question::Remove(_) | Question::RemoveOrphans(_), Answer::Do) => "remove",
        (Question::CheckDeep(_), Answer::Do) => "make it",
        (Question::LeaveDrill, Answer::Do) => "leave the drill",
        (Question::Quit, Answer::Do) => "quit",
        (question, Answer::Do) => people::word(question),
    }
}

fn asked(model: &Model, question: &Question) -> (String, Vec<String>) {
    match question {
        Question::End(id) => match model.sessions.get(id) {
            Some(session) => end_of(model, session),
            None => ("End the session?".to_owned(), vec![]),
        },
        Question::Switch { provider, on } => switch(model, provider, *on),
        Question::Remove(provider) => (
            format!("Remove {provider}?"),
            vec!["It leaves the configuration, and its secret leaves the vault.".to_owned()],
        ),
        Question::CheckDeep(provider) => (format!("Make a canary at {provider}?"), canary()),
        Question::RemoveOrphans(count) => (
            format!("Remove {}?", format::plural(*count, "thing")),
            vec![
                "Each bears the mark of this installation and belongs to no living session. It is \
                 removed, and looked for until it is seen gone."
                    .to_owned(),
            ],
        ),
        Question::Quit => quit(model),
        Question::LeaveDrill => leave_drill(model),
        question => people::asked(model, question),
    }
}

fn canary() -> Vec<String> {
    vec![
        "A network with a connector is made there, and a pair of tokens that nobody gets; all of it is \
         taken away at once. Nothing in it can be reached."
            .to_owned(),
        "It takes five of the twenty changes that a minute has, shared with sessions.".to_owned(),
    ]
}

fn end_of(model: &Model, session: &SessionView) -> (String, Vec<String>) {
    let open = usize::try_from(session.traffic.connections_open).unwrap_or(usize::MAX);
    let closed = match open {
        0 => "No connection is open.".to_owned(),
        open => format!("{} cut at once.", format::plural(open, "open connection")),
    };
    let left = session.lease_ends_at.map_or_else(String::new, |end| {
        format!(" It would run until {}.", model.wall.until(end, model.now))
    });
    let title = format!("End {}?", session.target.name);
    let then = "Then everything it made is removed, and looked for until it is seen gone.";
    (title, vec![format!("{closed}{left}"), then.to_owned(), format!("Reason: {}", session.reason)])
}

fn switch(
    model: &Model,
    provider: &crate::domain::id::ProviderId,
    on: bool,
) -> (String, Vec<String>) {
    let known = model.providers.get(provider);
    let direct = known.is_some_and(|it| it.kind == crate::domain::provider::ProviderKind::Direct);
    let used = known.map_or(0, |it| usize::try_from(it.sessions).unwrap_or(0));
    let mut texts = vec![match (on, direct) {
        (true, true) => "Reachable targets are reached without a tunnel again.".to_owned(),
        (true, false) => "It may carry new sessions again.".to_owned(),
        (false, true) => {
            "Every session will need a tunnel, also for a reachable target.".to_owned()
        }
        (false, false) => {
            "It carries no new session: a target that only it can reach is refused.".to_owned()
        }
    }];
    if !on && used > 0 {
        let sessions = format::plural(used, "session");
        let keep = if used == 1 {
            "keeps its path until it ends"
        } else {
            "keep their path until they end"
        };
        texts.push(format!("{sessions} on it {keep}."));
    }
    let title =
        if on { format!("Switch {provider} on?") } else { format!("Switch {provider} off?") };
    (title, texts)
}

fn quit(model: &Model) -> (String, Vec<String>) {
    let (live, last) = model.lives();
    let owed = model.owed();
    let count = live.saturating_sub(owed);
    let until = match last.filter(|last| *last > model.now) {
        Some(last) => format!(" until {}", model.wall.until(last, model.now)),
        None => String::new(),
    };
    let title = "Quit?".to_owned();
    let go_on = if count == 1 { "goes on" } else { "go on" };
    let sessions = format::plural(count, "session");
    let mut texts = vec![if count == 0 {
        "Nothing is open any more.".to_owned()
    } else if model.hosting {
        format!(
            "{sessions} {go_on}{until}, carried by this window. Hand over: a process of its own \
             carries on, and the next breakglass finds it. Nothing is lost."
        )
    } else {
        format!(
            "{sessions} {go_on}{until}, in the engine's own process. The next breakglass finds them."
        )
    }];
    if owed > 0 {
        let owe = if owed == 1 { "owes" } else { "owe" };
        let sessions = format::plural(owed, "session");
        texts.push(format!("{sessions} {owe} a clean-up, which is tried again without end."));
    }
    (title, texts)
}

fn leave_drill(model: &Model) -> (String, Vec<String>) {
    let (live, _) = model.lives();
    let end = if live == 1 { "ends" } else { "end" };
    let sessions = format::plural(live, "session");
    let texts = vec![
        format!("{sessions} {end} now. A drill ends with this window: it is not handed over."),
        "Then everything of it is removed from this host.".to_owned(),
    ];
    ("Leave the DRILL?".to_owned(), texts)
}

/// Draws the dialog that extends a session, and returns where its cursor stands.
pub fn extend(model: &Model, form: &ExtendForm, pen: &mut Pen<'_>) -> Option<Position> {
    let session = model.sessions.get(&form.session)?;
    let area = layout::dialog(model.size, 66, 9);
    let title = format!(" Extend {} ", session.target.name);
    let room = pen.frame(area, &[part(Tone::Strong, title)]);
    let mut lines = rows(room).skip(1);
    let rest = pen.text(lines.next()?, Tone::Strong, "by  ");
    let typed = Rect { width: rest.width.min(10), ..rest };
    let cursor = field(pen, typed, &form.by);
    let spare = session.lease_max.as_millis().saturating_sub(session.lease.as_millis());
    let offered = presets(Some(Span::from_millis(spare)));
    let texts: Vec<String> = offered.iter().map(ToString::to_string).collect();
    let beside = Rect { x: typed.right(), width: rest.width - typed.width, ..rest };
    pen.text(beside, Tone::Dim, &texts.join("  "));
    lines.next();
    let by = form.by.text().parse::<Span>().unwrap_or(Span::ZERO);
    let then = session.lease_ends_at.map_or_else(String::new, |end| {
        format!("then it ends at {}; ", model.wall.until(end + by, model.now))
    });
    let bound = format!("{then}at most {} in all", session.lease_max);
    pen.text(lines.next()?, Tone::Body, &bound);
    let said = match &form.refusal {
        _ if form.sent => vec![vec![part(Tone::Accent, "asking the engine...")]],
        Some(report) => open::refusal(report, usize::from(room.width), 3),
        None => vec![],
    };
    for line in said {
        pen.line(lines.next()?, &line);
    }
    cursor
}

/// Draws the messages, the newest first.
pub fn messages(model: &Model, scroll: usize, pen: &mut Pen<'_>) -> Option<Position> {
    let width = model.size.0.saturating_sub(6).min(110);
    let room = usize::from(width.saturating_sub(4 + 12));
    let mut lines: Vec<Line> = vec![];
    for message in model.messages.all().iter().rev().skip(scroll).take(usize::from(model.size.1)) {
        let tone = Tone::of_severity(message.severity);
        let sign = pen.signs.severity(message.severity);
        for (number, text) in wrap(&message.text, room).into_iter().enumerate() {
            let lead = if number == 0 {
                format!("{} {sign} ", model.wall.seconds(message.at))
            } else {
                " ".repeat(11)
            };
            lines.push(vec![part(Tone::Dim, lead), part(tone, text)]);
        }
    }
    if lines.is_empty() {
        lines.push(vec![part(Tone::Body, "Nothing was told so far.")]);
    }
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let area = layout::dialog(model.size, width, height.max(6));
    let inner = pen.frame(area, &[part(Tone::Strong, " Messages, the newest first ")]);
    pen.lines(inner, &lines, 0);
    None
}

/// Draws the `:` commands, and returns where the cursor stands.
pub fn palette(model: &Model, palette: &Palette, pen: &mut Pen<'_>) -> Option<Position> {
    let found = commands_for(palette.field.text());
    let most = usize::from(model.size.1.saturating_sub(8)).clamp(4, 12);
    let height = u16::try_from(most).unwrap_or(0) + 4;
    let area = layout::dialog(model.size, 66, height);
    let room = pen.frame(area, &[part(Tone::Strong, " Command ")]);
    let mut lines = rows(room);
    let rest = pen.text(lines.next()?, Tone::Accent, ":");
    let cursor = field(pen, rest, &palette.field);
    lines.next();
    if let Some(refusal) = &palette.refusal {
        for text in wrap(refusal, usize::from(room.width)) {
            pen.text(lines.next()?, Tone::Warn, &text);
        }
        return cursor;
    }
    let ascii = model.look.glyphs == Glyphs::Ascii;
    let first = palette.marked.saturating_sub(most.saturating_sub(1));
    for (number, binding) in found.iter().enumerate().skip(first).take(most) {
        let Some(row) = lines.next() else { break };
        let here = number == palette.marked;
        let sign = if here { pen.signs.cursor } else { " " };
        let key = binding.keys.first().map(|key| key.name(ascii)).unwrap_or_default();
        let rest = pen.text(row, Tone::Accent, sign);
        let tone = if here { Tone::Strong } else { Tone::Body };
        let rest = pen.text(rest, tone, &format!("{:<12}", binding.command));
        let rest = pen.right(rest, Tone::Dim, &key);
        pen.text(rest, Tone::Dim, binding.help);
    }
    cursor
}

/// Draws the verdict on the audit chain.
pub fn verdict(
    model: &Model,
    verdict: Option<&Result<AuditVerdict, Report>>,
    pen: &mut Pen<'_>,
) -> Option<Position> {
    let width = 66;
    let room = usize::from(width) - 4;
    let mut lines: Vec<Line> = vec![vec![]];
    let mut say = |tone: Tone, text: &str| {
        lines.extend(wrap(text, room).into_iter().map(|line| vec![part(tone, line)]));
    };
    match verdict {
        None => say(Tone::Accent, "reading the whole chain..."),
        Some(Err(report)) => say(Tone::Warn, &format!("could not be verified: {}", report.message)),
        Some(Ok(AuditVerdict { events, broken: None, head })) => {
            let sign = pen.signs.good;
            say(Tone::Good, &format!("{sign} The chain holds: {} events.", format::count(*events)));
            say(Tone::Body, "");
            say(Tone::Strong, &format!("head   {head}"));
            say(Tone::Body, "");
            say(
                Tone::Dim,
                "Compare the head with one that was noted elsewhere: only that shows a missing \
                 end or a file that was rewritten whole. It is made to be read aloud.",
            );
        }
        Some(Ok(AuditVerdict { events, broken: Some((seq, why)), head })) => {
            let sign = pen.signs.alarm;
            say(Tone::Alarm, &format!("{sign} The chain is broken at event {seq}."));
            say(Tone::Body, why);
            say(Tone::Body, "");
            say(Tone::Body, &format!("{} events were read; head {head}", format::count(*events)));
            say(
                Tone::Dim,
                "Nothing before that event was changed. Keep a copy of the state directory as it \
                 is, and tell whoever answers for the audit.",
            );
        }
    }
    lines.push(vec![]);
    let height = u16::try_from(lines.len()).unwrap_or(0).saturating_add(2);
    let area = layout::dialog(model.size, width, height);
    let inner = pen.frame(area, &[part(Tone::Strong, " The audit chain ")]);
    pen.lines(inner, &lines, 0);
    None
}
