//! What goes wrong with some calls while all others are well.

use breakglass::domain::time::Timestamp;
use serde_json::{Value, json};

use super::faulty_server::HttpAnswer;

/// What comes instead of the answer.
#[derive(Clone, Debug)]
pub enum Odd {
    /// This status, and nothing is done.
    Refuses(u16),
    /// It is done, and this status comes.
    DoneBut(u16),
    /// A page for people with this status, and nothing is done.
    Page(u16),
    /// It is done, and a page for people comes.
    DoneButPage,
    /// 429, with this `Retry-After`.
    TooMany(Option<String>),
    /// It is done, and the body is empty.
    Bare,
}

/// Something that goes wrong with the next calls of a kind.
#[derive(Clone, Debug)]
pub struct Mishap {
    method: String,
    part: String,
    odd: Odd,
    times: usize,
}

impl Mishap {
    /// With the next call of that method in whose path, or in the name of what it asks, this part
    /// stands. `*` is any method.
    pub fn on(method: &str, part: &str, odd: Odd) -> Self {
        Self { method: method.to_owned(), part: part.to_owned(), odd, times: 1 }
    }

    /// With so many calls.
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }
}

impl Odd {
    /// True where the call is carried out all the same.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::DoneBut(_) | Self::DoneButPage | Self::Bare)
    }

    /// What comes instead; `problem` words a refusal as those who are played do.
    pub fn instead_of(
        self,
        answer: HttpAnswer,
        problem: impl Fn(u16, &str) -> HttpAnswer,
    ) -> HttpAnswer {
        let page = |status| {
            let body = "<!DOCTYPE html><html>be right back</html>".to_owned();
            HttpAnswer { status, body, ..HttpAnswer::default() }.with("content-type", "text/html")
        };
        match self {
            Self::Refuses(status) | Self::DoneBut(status) => problem(status, "try again later"),
            Self::Page(status) => page(status),
            Self::DoneButPage => page(200),
            Self::TooMany(None) => problem(429, "too many requests"),
            Self::TooMany(Some(after)) => {
                problem(429, "too many requests").with("retry-after", &after)
            }
            Self::Bare => HttpAnswer { body: String::new(), ..answer },
        }
    }
}

/// Takes what goes wrong with this call.
pub fn take(mishaps: &mut Vec<Mishap>, method: &str, what: &str) -> Option<Odd> {
    let fits = |mishap: &Mishap| {
        [method, "*"].contains(&mishap.method.as_str()) && what.contains(&mishap.part)
    };
    let at = mishaps.iter().position(fits)?;
    mishaps[at].times -= 1;
    let odd = mishaps[at].odd.clone();
    mishaps.retain(|mishap| mishap.times > 0);
    Some(odd)
}

impl HttpAnswer {
    /// An answer in JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        let answer = Self { status, body: body.to_string(), ..Self::default() };
        answer.with("content-type", "application/json")
    }

    /// A refusal as Tailscale words it.
    pub fn problem(status: u16, message: &str) -> Self {
        Self::json(status, &json!({ "message": message }))
    }

    /// A refusal as a gateway of gRPC words it.
    pub fn of_grpc(status: u16, code: u16, message: &str) -> Self {
        Self::json(status, &json!({ "code": code, "message": message, "details": [] }))
    }

    /// An answer in plain words.
    pub fn plain(status: u16, body: &str) -> Self {
        let answer = Self { status, body: body.to_owned(), ..Self::default() };
        answer.with("content-type", "text/plain; charset=utf-8")
    }

    /// With a header more.
    pub fn with(mut self, name: &str, is: &str) -> Self {
        self.headers.insert(name.to_owned(), is.to_owned());
        self
    }
}

/// A time as the header `Date` writes it.
pub fn http_date(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A time as the API writes it.
pub fn wire_time(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.as_seconds()).unwrap().to_string()
}
