//! `breakglass login --sso`: a code to type in a browser anywhere, and the wait until it was
//! (the device authorization grant, RFC 8628).

use std::time::Duration;

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use tokio::time::MissedTickBehavior;

use super::identity_docs::SsoPromptDoc;
use super::output::Terminal;
use super::person::Stop;
use super::signals::Caught;
use super::words::Times;
use super::{Context, ask, login};
use crate::domain::id::IdpId;
use crate::error::Report;
use crate::protocol::{SignInAsk, SsoPromptView};

pub(super) async fn run(idp: &IdpId, context: &mut Context<'_>) -> Result<u8, Stop> {
    context.signals.listen(&[Caught::Interrupt, Caught::Terminate, Caught::HangUp])?;
    let engine = context.engines.attach_or_start().await?;
    let begin = SignInAsk::BeginSso { idp: idp.clone() };
    let prompt = context.until(ask::sso(&engine, begin)).await?;
    let times = context.until(ask::times(&engine, context.wall())).await?;
    show(idp, &prompt, &times, context)?;
    let finish = ask::sign_in(&engine, SignInAsk::FinishSso { attempt: prompt.attempt });
    tokio::pin!(finish);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let live = context.out.terminal().live;
    let signed_in = loop {
        tokio::select! {
            biased;
            signed_in = &mut finish => break signed_in,
            caught = context.signals.next() => {
                context.out.talk_over("");
                context.out.talk("given up; nobody was signed in");
                return Err(Stop::Left(caught));
            }
            _ = second.tick(), if live => {
                let left = left(&prompt, context.wall(), &times);
                context.out.talk_over(&left);
            }
        }
    };
    context.out.talk_over("");
    let (token, me) = signed_in?;
    login::keep(&engine, &token, &me, context).await
}

fn show(
    idp: &IdpId,
    prompt: &SsoPromptView,
    times: &Times,
    context: &mut Context<'_>,
) -> Result<(), Report> {
    if context.out.is_json() {
        return context.out.document("sso_prompt", &SsoPromptDoc::new(idp, prompt, times));
    }
    let terminal = context.out.terminal();
    let uri = prompt.verification_uri_complete.as_deref().unwrap_or(&prompt.verification_uri);
    let mut lines = format!(
        "open  {}\ncode  {}\n",
        terminal.text(&prompt.verification_uri),
        terminal.text(&prompt.user_code)
    );
    lines.push_str(&qr_code(uri, terminal).unwrap_or_default());
    if !terminal.live {
        let until = times.people(prompt.expires_at);
        lines.push_str(&format!("waiting until {until}; Ctrl-C gives up\n"));
    }
    context.out.talk(&lines);
    Ok(())
}

fn left(prompt: &SsoPromptView, wall: crate::domain::time::Timestamp, times: &Times) -> String {
    format!("{} left; Ctrl-C gives up", times.at(wall).left(prompt.expires_at))
}

/// Draws a QR code two rows a line; none where the terminal could not show it whole.
///
/// Cameras want dark on light. Where there is colour that is said outright; elsewhere the terminal
/// is taken for a dark one, as most are, and the light squares are drawn.
fn qr_code(uri: &str, terminal: Terminal) -> Option<String> {
    if !terminal.live || !terminal.unicode {
        return None;
    }
    let code = QrCode::with_error_correction_level(uri, EcLevel::L).ok()?;
    let columns = code.width() + 2 * QUIET_MODULES;
    if terminal.width.is_some_and(|width| width < columns) {
        return None;
    }
    let mut renderer = code.render::<Dense1x2>();
    if !terminal.colour {
        renderer.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark);
    }
    let drawn = renderer.build();
    let line = |line: &str| match terminal.colour {
        true => format!("\u{1b}[30;107m{line}\u{1b}[0m\n"),
        false => format!("{line}\n"),
    };
    Some(drawn.lines().map(line).collect())
}

/// The light rim on each side (ISO/IEC 18004, section 6.3.8), which the renderer adds.
const QUIET_MODULES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "https://login.example.com/device?user_code=ABCD-EFGH";

    fn terminal(width: usize) -> Terminal {
        Terminal { live: true, unicode: true, width: Some(width), ..Terminal::default() }
    }

    #[test]
    fn a_qr_code_is_drawn_light_on_a_dark_terminal() {
        let drawn = qr_code(URI, terminal(80)).unwrap();
        let first: Vec<_> = drawn.lines().take(3).collect();
        assert!(first[0].chars().all(|c| c == '█'), "the rim is light: {drawn}");
        assert!(first[2].starts_with("████ ▄▄▄▄▄ █"), "a finder stands in the corner: {drawn}");
        assert!(drawn.lines().all(|line| line.chars().count() == 37), "{drawn}");
    }

    #[test]
    fn colour_says_what_is_dark() {
        let drawn = qr_code(URI, Terminal { colour: true, ..terminal(80) }).unwrap();
        assert!(drawn.starts_with("\u{1b}[30;107m    "), "{drawn}");
        assert!(drawn.contains("    █▀▀▀▀▀█ "), "{drawn}");
        assert!(drawn.lines().all(|line| line.ends_with("\u{1b}[0m")));
    }

    #[test]
    fn what_would_not_be_whole_is_not_drawn() {
        assert_eq!(qr_code(URI, terminal(36)), None);
        assert_eq!(qr_code(URI, Terminal { unicode: false, ..terminal(80) }), None);
        assert_eq!(qr_code(URI, Terminal { live: false, ..terminal(80) }), None);
        assert_eq!(qr_code(&"x".repeat(9_000), terminal(80)), None);
    }
}
