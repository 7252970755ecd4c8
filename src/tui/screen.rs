//! From frames to bytes, as few as will do.
//!
//! ratatui's own backend spends some fifty bytes around each frame, however small: it resets
//! colours it did not set and hides a cursor that is hidden. On a slow line with a countdown that
//! is most of the traffic, so this backend remembers what the terminal already has. It asks the
//! terminal nothing.

use std::convert::Infallible;

use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

use super::model::Model;
use super::view;

/// Turns models into the bytes that show them.
#[derive(Debug)]
pub struct Screen {
    terminal: Terminal<Ansi>,
}

impl Screen {
    /// Makes a screen of this size, of which nothing has been drawn.
    #[must_use]
    pub fn new(size: (u16, u16)) -> Self {
        let Ok(terminal) = Terminal::new(Ansi::new(size));
        Self { terminal }
    }

    /// Returns the bytes that turn what was drawn last into the model's screen; none where nothing
    /// differs.
    pub fn draw(&mut self, model: &Model) -> Vec<u8> {
        self.terminal.backend_mut().size = Size::new(model.size.0, model.size.1);
        let Ok(_) = self.terminal.draw(|frame| view::render(model, frame));
        self.terminal.backend_mut().take()
    }

    /// Forgets what was drawn, so that the next frame is whole.
    pub fn forget(&mut self) {
        let backend = self.terminal.backend_mut();
        (backend.at, backend.cursor_shown) = (None, None);
        let Ok(()) = self.terminal.clear();
    }
}

/// A backend that writes ANSI sequences (ECMA-48) into memory.
#[derive(Debug)]
struct Ansi {
    out: Vec<u8>,
    size: Size,
    at: Option<Position>,
    look: (Color, Color, Modifier),
    cursor_shown: Option<bool>,
}

impl Ansi {
    fn new(size: (u16, u16)) -> Self {
        Self {
            out: vec![],
            size: Size::new(size.0, size.1),
            at: None,
            look: PLAIN,
            cursor_shown: None,
        }
    }

    /// Takes what was written. A large frame is wrapped so that the terminal shows it at once
    /// (private mode 2026); one that does not know the mode ignores it.
    fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.out);
        if bytes.len() < SYNCHRONIZED_MIN {
            return bytes;
        }
        [b"\x1b[?2026h".as_slice(), &bytes, b"\x1b[?2026l"].concat()
    }

    fn say(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn go(&mut self, to: Position) {
        match self.at {
            Some(at) if at == to => {}
            Some(at) if at.y == to.y && to.x > at.x => {
                let by = to.x - at.x;
                self.say(&if by == 1 { "\x1b[C".to_owned() } else { format!("\x1b[{by}C") });
            }
            _ => self.say(&format!("\x1b[{};{}H", u32::from(to.y) + 1, u32::from(to.x) + 1)),
        }
        self.at = Some(to);
    }

    fn dress(&mut self, look: (Color, Color, Modifier)) {
        if self.look == look {
            return;
        }
        self.look = look;
        let (fg, bg, modifier) = look;
        let mut codes = String::new();
        for (flag, code) in MODIFIERS {
            if modifier.contains(flag) {
                codes.push_str(code);
            }
        }
        if let Some(number) = number(fg) {
            codes.push_str(&format!(";{}", 30 + number));
        }
        if let Some(number) = number(bg) {
            codes.push_str(&format!(";{}", 40 + number));
        }
        // An empty first code is a zero: everything off, then on what is wanted.
        self.say(&format!("\x1b[{codes}m"));
    }

    fn print(&mut self, symbol: &str) {
        self.say(symbol);
        let width = u16::try_from(symbol.width()).unwrap_or(u16::MAX);
        // Where a wide character or the last column leaves the cursor differs between terminals.
        self.at = self
            .at
            .filter(|_| width == 1)
            .map(|at| Position { x: at.x.saturating_add(1), y: at.y })
            .filter(|at| at.x < self.size.width);
    }
}

impl Backend for Ansi {
    type Error = Infallible;

    fn draw<'a, I>(&mut self, content: I) -> Result<(), Infallible>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        for (x, y, cell) in content {
            self.go(Position { x, y });
            self.dress((cell.fg, cell.bg, cell.modifier));
            self.print(cell.symbol());
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> Result<(), Infallible> {
        if self.cursor_shown != Some(false) {
            self.say("\x1b[?25l");
            self.cursor_shown = Some(false);
        }
        Ok(())
    }

    fn show_cursor(&mut self) -> Result<(), Infallible> {
        if self.cursor_shown != Some(true) {
            self.say("\x1b[?25h");
            self.cursor_shown = Some(true);
        }
        Ok(())
    }

    fn get_cursor_position(&mut self) -> Result<Position, Infallible> {
        Ok(self.at.unwrap_or_default())
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> Result<(), Infallible> {
        self.go(position.into());
        Ok(())
    }

    fn clear(&mut self) -> Result<(), Infallible> {
        self.look = PLAIN;
        self.say("\x1b[m\x1b[2J");
        Ok(())
    }

    fn clear_region(&mut self, _: ClearType) -> Result<(), Infallible> {
        self.clear()
    }

    fn size(&self) -> Result<Size, Infallible> {
        Ok(self.size)
    }

    fn window_size(&mut self) -> Result<WindowSize, Infallible> {
        Ok(WindowSize { columns_rows: self.size, pixels: Size::default() })
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// The number of one of the eight colours that themes use; none for the terminal's own.
const fn number(colour: Color) -> Option<u8> {
    match colour {
        Color::Red => Some(1),
        Color::Green => Some(2),
        Color::Yellow => Some(3),
        Color::Blue => Some(4),
        Color::Magenta => Some(5),
        Color::Cyan => Some(6),
        _ => None,
    }
}

const PLAIN: (Color, Color, Modifier) = (Color::Reset, Color::Reset, Modifier::empty());

const MODIFIERS: [(Modifier, &str); 4] = [
    (Modifier::BOLD, ";1"),
    (Modifier::DIM, ";2"),
    (Modifier::UNDERLINED, ";4"),
    (Modifier::REVERSED, ";7"),
];

/// The smallest frame that is worth sixteen bytes more to be shown at once.
const SYNCHRONIZED_MIN: usize = 200;
