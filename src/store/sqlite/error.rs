//! What SQLite says, in the words of the store.

use rustix::process::{Resource, getrlimit};

use super::files::Place;
use crate::domain::text::shown;
use crate::store::StoreError;

impl Place {
    /// Says what an error of SQLite means for this file.
    pub fn error(&self, error: &sqlx::Error) -> StoreError {
        let path = self.shown();
        let sqlx::Error::Database(said) = error else {
            return match error {
                sqlx::Error::PoolClosed => StoreError::Closed,
                sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                    self.damaged("a value is not what belongs there")
                }
                other => self.io(&other.to_string()),
            };
        };
        let code: u32 = said.code().and_then(|code| code.parse().ok()).unwrap_or(0);
        if matches!(code, IOERR_WRITE | IOERR_SHMSIZE) && files_are_limited() {
            return StoreError::Full { path };
        }
        match code & 0xff {
            FULL => StoreError::Full { path },
            READONLY => StoreError::ReadOnly { path },
            CANTOPEN if !self.can_write() => StoreError::ReadOnly { path },
            CORRUPT | NOTADB => self.damaged(said.message()),
            BUSY => self.io("another program holds it locked"),
            CONSTRAINT => {
                self.io(&format!("another program has written to it: {}", said.message()))
            }
            _ => self.io(&format!("{} (SQLite error {code})", said.message())),
        }
    }

    /// The file is no database of ours, or is damaged.
    pub fn damaged(&self, why: &str) -> StoreError {
        StoreError::Damaged { path: self.shown(), why: shown(why) }
    }

    /// The operating system, or SQLite for it, said no.
    pub fn io(&self, why: &str) -> StoreError {
        StoreError::Io { path: self.shown(), why: shown(why) }
    }
}

/// Whether this process may only write files up to a length (`ulimit -f`). SQLite does not tell
/// that limit from a broken disk.
fn files_are_limited() -> bool {
    getrlimit(Resource::Fsize).current.is_some()
}

// Primary result codes, <https://www.sqlite.org/rescode.html>; the low byte of every other code.
const BUSY: u32 = 5;
const READONLY: u32 = 8;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
const CANTOPEN: u32 = 14;
const CONSTRAINT: u32 = 19;
const NOTADB: u32 = 26;
// Whole codes.
const IOERR_WRITE: u32 = 10 | (3 << 8);
const IOERR_SHMSIZE: u32 = 10 | (19 << 8);
