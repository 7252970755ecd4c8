//! The database as a file: where it is, whose it is, and whether it can be what it should be.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, FileType, Mode, OFlags};
use rustix::io::Errno;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::domain::text::shown;
use crate::store::StoreError;

/// Where the database is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
}

/// What was found there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The length of the file.
    pub bytes: u64,
    /// Whether it was closed as it should be: then no write-ahead file is left.
    pub closed: bool,
}

impl Place {
    /// The database of a state directory.
    pub fn in_dir(dir: &Path) -> Self {
        Self { path: dir.join("store.db") }
    }

    /// A file beside the database.
    pub fn beside(&self, ending: &str) -> Self {
        let mut name = OsString::from(&self.path);
        name.push(ending);
        Self { path: name.into() }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path as people may see it.
    pub fn shown(&self) -> String {
        shown(&self.path.to_string_lossy())
    }

    /// True where files can be made and written beside the database.
    pub fn can_write(&self) -> bool {
        let dir = self.path.parent().unwrap_or(&self.path);
        rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok()
            && !matches!(
                rustix::fs::access(&self.path, Access::WRITE_OK),
                Err(Errno::ROFS | Errno::ACCESS)
            )
    }

    /// Looks at the file without SQLite; `None` where there is none.
    pub fn inspect(&self) -> Result<Option<Found>, StoreError> {
        let Some(mut file) = self.open()? else { return Ok(None) };
        let stat = rustix::fs::fstat(&file).map_err(|error| self.errno(error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.damaged("it is not a regular file"));
        }
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(self.io("it belongs to another user"));
        }
        if stat.st_mode & 0o777 != 0o600 {
            rustix::fs::fchmod(&file, OURS).map_err(|error| self.errno(error))?;
        }
        let bytes = u64::try_from(stat.st_size).unwrap_or(0);
        let closed = std::fs::metadata(self.beside("-wal").path()).map_or(true, |it| it.len() == 0);
        let mut header = [0; HEADER_BYTES];
        match file.read_exact(&mut header) {
            Ok(()) => self.check_header(&header, bytes, closed)?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(self.damaged(&format!("it has only {bytes} bytes")));
            }
            Err(error) => return Err(self.io(&error.to_string())),
        }
        Ok(Some(Found { bytes, closed }))
    }

    /// Opens the connection that writes.
    pub async fn connect_writer(&self) -> Result<SqliteConnection, StoreError> {
        // A group of appends is a statement of its own for each size, and rarely seen again.
        let options = self.options().statement_cache_capacity(32);
        // A copy that was put in place of the database is not in this mode.
        let options = options.journal_mode(SqliteJournalMode::Wal);
        SqliteConnection::connect_with(&options).await.map_err(|error| self.error(&error))
    }

    /// Opens a connection that reads, and that leaves every file as it is when it is closed.
    pub async fn connect_reader(&self) -> Result<SqliteConnection, StoreError> {
        let options = self.reader_options();
        SqliteConnection::connect_with(&options).await.map_err(|error| self.error(&error))
    }

    /// How connections that read are opened.
    pub fn reader_options(&self) -> SqliteConnectOptions {
        self.options().read_only(true).statement_cache_capacity(16)
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(false)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("trusted_schema", "OFF")
            .disable_statement_logging()
    }

    /// Makes an empty file for us alone, whatever the umask.
    pub fn make(&self) -> Result<(), StoreError> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = rustix::fs::open(&self.path, flags | OFlags::CLOEXEC, OURS)
            .map_err(|error| self.errno(error))?;
        rustix::fs::fchmod(file, OURS).map_err(|error| self.errno(error))
    }

    /// Makes the content of the file durable.
    pub fn sync(&self) -> Result<(), StoreError> {
        let synced = File::open(&self.path).and_then(|file| file.sync_all());
        synced.map_err(|error| self.io(&error.to_string()))
    }

    /// Puts the file in another's place and makes that durable.
    pub fn rename_to(&self, other: &Self) -> Result<(), StoreError> {
        std::fs::rename(&self.path, &other.path).map_err(|error| other.io(&error.to_string()))?;
        other.sync_dir()
    }

    /// Makes durable which files there are.
    pub fn sync_dir(&self) -> Result<(), StoreError> {
        let dir = self.path.parent().unwrap_or(&self.path);
        let synced = File::open(dir).and_then(|dir| dir.sync_all());
        synced.map_err(|error| self.io(&error.to_string()))
    }

    /// Takes the file away; none is fine.
    pub fn remove(&self) -> Result<(), StoreError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.io(&error.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn open(&self) -> Result<Option<File>, StoreError> {
        // Without NONBLOCK, a FIFO would keep us waiting for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::open(&self.path, flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) if self.beside("-wal").path().exists() => {
                Err(self.damaged("it is gone, but its write-ahead file is still there"))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP) => Err(self.io("it is a link")),
            Err(Errno::NXIO) => Err(self.damaged("it is not a regular file")),
            Err(other) => Err(self.errno(other)),
        }
    }

    /// Checks what can be told from the header, <https://www.sqlite.org/fileformat.html#the_database_header>.
    fn check_header(
        &self,
        header: &[u8; HEADER_BYTES],
        bytes: u64,
        closed: bool,
    ) -> Result<(), StoreError> {
        let number = |at: usize| {
            let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            u32::from_be_bytes(bytes.unwrap_or_default())
        };
        if !header.starts_with(b"SQLite format 3\0") {
            return Err(self.damaged("it is no SQLite database"));
        }
        if number(68) != APPLICATION_ID {
            return Err(self.damaged("it is the database of another program"));
        }
        // The length stands in the header only while these two agree.
        let page_bytes = match u16::try_from(number(16) >> 16) {
            Ok(1) => 65_536,
            Ok(bytes) => u64::from(bytes),
            Err(_) => 0,
        };
        let expected = page_bytes.saturating_mul(u64::from(number(28)));
        if closed && number(24) == number(92) && bytes < expected {
            let why = format!("it is cut short: {bytes} of {expected} bytes are there");
            return Err(self.damaged(&why));
        }
        Ok(())
    }

    fn errno(&self, error: Errno) -> StoreError {
        let path = self.shown();
        match error {
            Errno::NOSPC | Errno::DQUOT | Errno::FBIG => StoreError::Full { path },
            Errno::ROFS | Errno::ACCESS | Errno::PERM => StoreError::ReadOnly { path },
            other => self.io(&io::Error::from(other).to_string()),
        }
    }
}

/// Written into the header: `bgls`.
pub(super) const APPLICATION_ID: u32 = 0x6267_6c73;

const OURS: Mode = Mode::from_raw_mode(0o600);
const HEADER_BYTES: usize = 100;

/// Only another program can keep the file locked, for a backup; the writer waits for it this long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
