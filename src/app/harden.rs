//! What is in the memory of this process stays there: it is never dumped.
//!
//! A core dump would write passwords, keys and the open vault to a disk, or to a crash collector.
//! So the process is not dumpable (`PR_SET_DUMPABLE`, prctl(2)): then nobody but root can trace it
//! or read its memory either, not even another process of the same user. The limit for core files
//! is zero as well (`RLIMIT_CORE`, getrlimit(2)); programs that are started from here inherit the
//! limit, but are dumpable again.
//!
//! What such a process has in `/proc` belongs to root (proc(5)). It still reads its own `exe` and
//! `fd`, and others of the same user its `stat`, `status`, `cmdline` and `limits`, but no longer
//! `environ`, `exe`, `fd` or `maps`. Nothing here needs more than the terminal in `stat`.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, getrlimit, set_dumpable_behavior,
    setrlimit,
};

/// Keeps the memory of this process from being dumped. Called before anything secret is read.
pub(super) fn harden() {
    // What does not work is told by `tell`, once there is a log.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
    setrlimit(Resource::Core, NO_CORE).ok();
}

/// Logs what [`harden`] could not do; it is the log's business alone, and no reason to stop.
pub(super) fn tell() {
    if dumpable_behavior() != Ok(DumpableBehavior::NotDumpable) {
        tracing::warn!("the memory of this process can be dumped: prctl refused to forbid it");
    }
    if getrlimit(Resource::Core) != NO_CORE {
        tracing::warn!("this process may write a core file: the limit could not be set");
    }
}

const NO_CORE: Rlimit = Rlimit { current: Some(0), maximum: Some(0) };
