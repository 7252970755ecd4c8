//! What must be seen nowhere: passwords, codes, tokens.

use breakglass::domain::role::Role;
use breakglass::domain::secret::Secret;
use breakglass::domain::time::Span;
use breakglass::protocol::Reply;
use breakglass::tui::keymap::Key;
use breakglass::tui::msg::Msg;

use crate::tui_gallery::{drawn, text};
use crate::tui_models::{LOOK, NOW, Stage};
use crate::tui_people::{barred, first_start, signed_in, users};

const PASSWORD: &str = "Zx9qKw7#Vb2mTr5!Jd8";

/// No piece of four characters of it, so that half a password is found as well.
fn is_in(text: &str) -> bool {
    let pieces = PASSWORD.as_bytes().windows(4);
    pieces.filter_map(|piece| std::str::from_utf8(piece).ok()).any(|piece| text.contains(piece))
}

fn looked_at(name: &str, stage: &Stage) {
    assert!(!is_in(&format!("{:?}", stage.model)), "{name}: in the model");
    assert!(!is_in(&format!("{:?}", stage.effects)), "{name}: in an effect");
    for size in [(60, 16), (80, 24), (140, 40)] {
        assert!(!is_in(&text(&drawn(&stage.model, size, LOOK))), "{name}: on the screen");
    }
}

/// Types the password key by key, then pastes it, and looks after every step.
fn enters(name: &str, mut stage: Stage, then: &[Key]) -> Stage {
    for c in PASSWORD.chars() {
        stage.send(Msg::Key(Key::Char(c)));
        looked_at(name, &stage);
    }
    stage.send(Msg::Key(Key::Ctrl('u')));
    stage.send(Msg::Paste(format!("{PASSWORD}\n")));
    looked_at(name, &stage);
    for key in then {
        stage.send(Msg::Key(*key));
        looked_at(name, &stage);
    }
    stage
}

#[test]
fn a_password_is_on_no_screen_in_no_model_and_in_no_effect() {
    let sign_in = Stage::attached(barred()).types("ana@example.com").key(Key::Tab);
    let sent = enters("sign in", sign_in, &[Key::Enter]);
    assert!(!sent.effects.is_empty(), "it was sent, hidden");

    let owner = Stage::attached(first_start()).types("ana@example.com").key(Key::Enter);
    let once = enters("first owner", owner, &[Key::Tab]);
    enters("first owner again", once, &[Key::Enter]);

    let password = Stage::attached(signed_in(Role::Member)).types(":password").key(Key::Enter);
    let current = enters("current password", password, &[Key::Tab]);
    let new = enters("new password", current, &[Key::Tab]);
    let sent = enters("new password again", new, &[Key::Enter]);
    assert!(!sent.effects.is_empty());

    enters("proof", users(Role::Admin).types("p"), &[Key::Enter]);
    let idp = (0..5).fold(users(Role::Owner).types("i"), |stage, _| stage.key(Key::Tab));
    enters("client secret", idp, &[Key::Enter]);
}

/// A field that was sent is empty: nothing is left to be sent by a second key, or read from memory.
#[test]
fn a_password_that_was_sent_is_gone_from_the_model() {
    let typed = Stage::attached(barred()).types("ana@example.com").key(Key::Tab).types(PASSWORD);
    assert!(!typed.model.gate.form.secret(1).is_empty());
    let sent = typed.key(Key::Enter);
    assert!(sent.model.gate.form.secret(1).is_empty());
}

#[test]
fn a_code_is_shown_and_in_no_debugging_text() {
    let code = Reply::Code {
        email: "zoe@example.com".parse().unwrap(),
        code: Secret::new(PASSWORD),
        expires_at: NOW + Span::from_hours(24),
    };
    let stage = users(Role::Owner).types(":invite").key(Key::Enter).types("zoe@example.com");
    let stage = stage.key(Key::Enter).answer(Ok(code)).types("y");
    assert!(is_in(&text(&drawn(&stage.model, (80, 24), LOOK))), "it is shown");
    assert!(!is_in(&format!("{:?} {:?}", stage.model, stage.effects)));
    let stage = stage.key(Key::Esc);
    assert_eq!(stage.model.dialog, None, "and once only");
}
