//! How the screens may look on the terminal at hand.
//!
//! Everything here is decided from what the environment says, never by asking the terminal: a
//! terminal that does not answer must not cost a second at the worst time.

/// How the screens may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Which colours.
    pub colours: Colours,
    /// Which characters beyond letters.
    pub glyphs: Glyphs,
    /// Whether the mouse is taken from the terminal at the start.
    pub mouse: bool,
    /// What stands between the program and the terminal's clipboard.
    pub multiplexer: Multiplexer,
}

/// Which colours may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// None: bold, dim and reverse only.
    None,
    /// The eight of the terminal's own palette, so that light and dark both stay readable.
    Ansi16,
}

/// Which characters may be drawn beside letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// All that a UTF-8 terminal with a usual font has.
    Full,
    /// Those in the font of a Linux console.
    Console,
    /// No byte above 127.
    Ascii,
}

/// What stands between the program and the terminal's clipboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiplexer {
    /// Nothing.
    None,
    /// tmux(1), which passes on what is wrapped for it.
    Tmux,
    /// screen(1), which passes on what is wrapped for it, in short pieces.
    Screen,
}

/// What the environment says of the terminal; each is the value of the variable, if it is set.
#[derive(Clone, Copy, Debug, Default)]
pub struct Environment<'a> {
    /// `TERM`.
    pub term: Option<&'a str>,
    /// `NO_COLOR`.
    pub no_color: Option<&'a str>,
    /// The first of `LC_ALL`, `LC_CTYPE` and `LANG` that is set and not empty.
    pub locale: Option<&'a str>,
    /// `TMUX`.
    pub tmux: Option<&'a str>,
    /// `STY`, which screen(1) sets.
    pub sty: Option<&'a str>,
}

impl Look {
    /// Works out the look from the environment.
    ///
    /// The mouse stays off, so that the terminal's own selection works.
    #[must_use]
    pub fn of(environment: Environment<'_>) -> Self {
        let term = environment.term.unwrap_or_default();
        let mono = term.starts_with("vt") || term.ends_with("-m") || term.ends_with("-mono");
        let no_color = environment.no_color.is_some_and(|value| !value.is_empty());
        Self {
            colours: if no_color || mono { Colours::None } else { Colours::Ansi16 },
            glyphs: glyphs(term, environment.locale),
            mouse: false,
            multiplexer: multiplexer(term, environment),
        }
    }
}

fn glyphs(term: &str, locale: Option<&str>) -> Glyphs {
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    let utf8 = locale.contains("utf-8") || locale.contains("utf8");
    match term {
        _ if !utf8 => Glyphs::Ascii,
        "linux" => Glyphs::Console,
        _ => Glyphs::Full,
    }
}

fn multiplexer(term: &str, environment: Environment<'_>) -> Multiplexer {
    if environment.tmux.is_some_and(|value| !value.is_empty()) || term.starts_with("tmux") {
        Multiplexer::Tmux
    } else if environment.sty.is_some_and(|value| !value.is_empty()) {
        Multiplexer::Screen
    } else {
        Multiplexer::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_and_nothing_is_assumed() {
        let plain = Look::of(Environment::default());
        assert_eq!((plain.colours, plain.glyphs), (Colours::Ansi16, Glyphs::Ascii));
        let usual = Environment {
            term: Some("xterm-256color"),
            locale: Some("en_GB.UTF-8"),
            ..Environment::default()
        };
        assert_eq!(Look::of(usual).glyphs, Glyphs::Full);
        assert_eq!(Look::of(usual).multiplexer, Multiplexer::None);
        assert_eq!(Look::of(Environment { no_color: Some("1"), ..usual }).colours, Colours::None);
        assert_eq!(Look::of(Environment { no_color: Some(""), ..usual }).colours, Colours::Ansi16);
        assert_eq!(Look::of(Environment { term: Some("vt100"), ..usual }).colours, Colours::None);
        assert_eq!(Look::of(Environment { term: Some("linux"), ..usual }).glyphs, Glyphs::Console);
        assert_eq!(Look::of(Environment { locale: Some("C"), ..usual }).glyphs, Glyphs::Ascii);
        assert_eq!(
            Look::of(Environment { tmux: Some("/tmp/tmux-1000/default,1,0"), ..usual }).multiplexer,
            Multiplexer::Tmux
        );
        assert_eq!(
            Look::of(Environment { sty: Some("1.pts-0.host"), ..usual }).multiplexer,
            Multiplexer::Screen
        );
    }
}
