//! The log: a file, never the terminal.
//!
//! error: a person must act now. warn: odd, still whole. info: an operator would tell a colleague.
//! debug: the developer's view. Names and addresses of targets are debug or lower; the audit, not
//! the log, is the record.

use std::path::Path;

use tracing_appender::rolling::{RollingFileAppender, Rotation};
use tracing_subscriber::EnvFilter;

/// Begins to log into a directory: a file a day, seven at the most. What cannot be logged is lost;
/// the program goes on.
pub fn start(dir: &Path) {
    let appender = RollingFileAppender::builder()
        .rotation(Rotation::DAILY)
        .filename_prefix("breakglass")
        .filename_suffix("log")
        .max_log_files(7)
        .build(dir);
    if let Ok(appender) = appender {
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_env_filter(EnvFilter::new("warn,breakglass=info"))
            .with_writer(std::sync::Mutex::new(appender));
        // A second start in one process keeps the first log.
        subscriber.try_init().ok();
    }
}
