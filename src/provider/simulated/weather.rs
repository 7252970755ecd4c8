//! What the remote side is like for one target: fair, slow, or broken in one known way.
//!
//! Weather is a line of words in a file, so that a person can change it while a drill runs:
//! `calm`, `slow`, `flaky`, `refuses route`, `times-out device`, `loses connector`,
//! `late resource`, `stuck device`, `drops device`.

use std::fmt;
use std::str::FromStr;

use super::part::Part;

/// What the remote side is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// All is well.
    #[default]
    Calm,
    /// Every call takes three times as long.
    Slow,
    /// A look or an undo fails now and then.
    Flaky,
    /// The making of this part is refused.
    Refuses(Part),
    /// The making of this part is never answered.
    Silent(Part, Landing),
    /// This part cannot be taken back.
    Stuck(Part),
    /// This part goes now and then while it is used.
    Drops(Part),
}

/// What became of a change that was never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// It was made at once.
    Lands,
    /// It is made later, when nobody waits for an answer any more.
    Late,
    /// It was lost.
    Never,
}

/// The text names no weather.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("weather is `calm`, `slow`, `flaky`, or `refuses`, `stuck`, `drops` ... and a part")]
pub struct NoWeather;

impl FromStr for Weather {
    type Err = NoWeather;

    fn from_str(text: &str) -> Result<Self, NoWeather> {
        let words: Vec<_> = text.split_whitespace().collect();
        let (word, part) = match words.as_slice() {
            ["calm"] => return Ok(Self::Calm),
            ["slow"] => return Ok(Self::Slow),
            ["flaky"] => return Ok(Self::Flaky),
            [word, part] => (*word, Part::named(part).ok_or(NoWeather)?),
            _ => return Err(NoWeather),
        };
        match word {
            "refuses" => Ok(Self::Refuses(part)),
            "times-out" => Ok(Self::Silent(part, Landing::Lands)),
            "late" => Ok(Self::Silent(part, Landing::Late)),
            "loses" => Ok(Self::Silent(part, Landing::Never)),
            "stuck" => Ok(Self::Stuck(part)),
            "drops" => Ok(Self::Drops(part)),
            _ => Err(NoWeather),
        }
    }
}

impl fmt::Display for Weather {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, part) = match self {
            Self::Calm => return f.write_str("calm"),
            Self::Slow => return f.write_str("slow"),
            Self::Flaky => return f.write_str("flaky"),
            Self::Refuses(part) => ("refuses", part),
            Self::Silent(part, Landing::Lands) => ("times-out", part),
            Self::Silent(part, Landing::Late) => ("late", part),
            Self::Silent(part, Landing::Never) => ("loses", part),
            Self::Stuck(part) => ("stuck", part),
            Self::Drops(part) => ("drops", part),
        };
        write!(f, "{word} {}", part.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weather_reads_back() {
        for text in [
            "calm",
            "slow",
            "flaky",
            "refuses route",
            "times-out device",
            "late resource",
            "loses connector",
            "stuck device",
            "drops device",
        ] {
            assert_eq!(text.parse::<Weather>().unwrap().to_string(), text);
        }
        for text in ["", "rain", "stuck", "stuck moon", "calm device", "stuck device now"] {
            assert_eq!(text.parse::<Weather>(), Err(NoWeather), "{text}");
        }
    }
}
