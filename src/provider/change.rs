//! What came of a change at a system that others run.

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T, E> {
    /// It is made.
    Made(T),
    /// It is refused, and surely nothing was changed.
    Refused(E),
    /// Nobody saw the outcome.
    Unknown(E),
}

/// Why there is no answer that can be used.
pub trait Doubtful {
    /// True where a change may have been made all the same.
    fn leaves_doubt(&self) -> bool;
}

impl<T, E: Doubtful> Change<T, E> {
    /// Reads what came of it from the answer to the one request that makes it.
    pub fn of(answered: Result<T, E>) -> Self {
        match answered {
            Ok(made) => Self::Made(made),
            Err(why) if why.leaves_doubt() => Self::Unknown(why),
            Err(why) => Self::Refused(why),
        }
    }
}

impl<T, E> Change<T, E> {
    /// Makes something else of what was made.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Change<U, E> {
        match self {
            Self::Made(made) => Change::Made(make(made)),
            Self::Refused(why) => Change::Refused(why),
            Self::Unknown(why) => Change::Unknown(why),
        }
    }
}
