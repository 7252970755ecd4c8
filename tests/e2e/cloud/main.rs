//! A network of Twingate for the end-to-end walk: its cloud, a connector and a client, each a
//! process.
//!
//! ```text
//! twingate-cloud cloud ADDRESS FOLDER   the API on 443, and what the others ask on 8081
//! twingate-cloud connector              what `twingate-connector` is on the site's host
//! twingate-cloud client HOST AT GROUP   a client of a member of GROUP, with its proxy at AT
//! twingate-cloud ask HOST WORD...       a question of the walk: 0 where it is done, 1 where it is not
//! ```
//!
//! The API is the simulator of the tests, on the wall clock. A connector takes connections at its host's
//! own address and relays what the cloud lets through; the client asks the cloud who carries an
//! address. What is not played: relays, and how any of the three prove who they are.

#![expect(clippy::print_stdout, reason = "the answer of a question is what `ask` is for")]
#![expect(clippy::disallowed_methods, reason = "it runs on the wall clock, and is a program")]

use std::env;
use std::error::Error;
use std::process::ExitCode;

mod carrying;
mod cloud;
mod serving;

#[expect(dead_code, unused_imports, reason = "the tests use the rest")]
#[expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "these are tests"
)]
#[path = "../../it/support/mod.rs"]
mod support;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<ExitCode> {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["cloud", address, folder] => serving::serve(address.parse()?, folder.as_ref()).await?,
        ["connector"] => carrying::connector(|name| env::var(name).ok()).await?,
        ["client", host, at, group] => carrying::client(host, at.parse()?, group).await?,
        ["ask", host, question @ ..] => return ask(host, question).await,
        _ => {
            return Err(
                "cloud ADDRESS FOLDER, connector, client HOST AT GROUP, or ask HOST WORD".into()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask(host: &str, question: &[&str]) -> Outcome<ExitCode> {
    let (done, said) = match carrying::ask(host, question).await? {
        Ok(said) => (ExitCode::SUCCESS, said),
        Err(why) => (ExitCode::FAILURE, why),
    };
    if !said.is_empty() {
        println!("{said}");
    }
    Ok(done)
}
