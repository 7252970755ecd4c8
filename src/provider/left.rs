//! What kept programs leave on this host: found by mark, without any notes.
//!
//! A kept program has a private folder in `dir`, with a file or folder in it that is named after the
//! mark, and that path stands among its arguments.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::artifact::Marker;
use crate::domain::id::InstallationId;
use crate::process;

/// Lists the folders of an installation, with the mark of each: those that are there, and those of
/// programs that run without one.
///
/// # Errors
///
/// When folders or processes cannot be listed.
pub(super) fn list(
    dir: &Path,
    installation: &InstallationId,
) -> io::Result<BTreeMap<PathBuf, Marker>> {
    let mut found = BTreeMap::new();
    for (folder, name) in named(dir)?.into_iter().chain(running(dir)?) {
        let Ok(marker) = name.parse::<Marker>() else { continue };
        if marker.installation == *installation {
            found.insert(folder, marker);
        }
    }
    Ok(found)
}

/// The folders with the name of every file in them.
fn named(dir: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut names = vec![];
    let folders = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(names),
        folders => folders?,
    };
    for folder in folders {
        let folder = folder?.path();
        let Ok(files) = std::fs::read_dir(&folder) else { continue };
        for file in files.flatten() {
            names.push((folder.clone(), file.file_name().to_string_lossy().into_owned()));
        }
    }
    Ok(names)
}

/// What stands in the arguments of processes that use such a folder.
fn running(dir: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let start = format!("{}/", dir.display());
    let mut names = vec![];
    for process in process::find(&start)? {
        let words = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).into_owned();
        let words =
            words.split('\0').map(|word| word.split_once('=').map_or(word, |(_, path)| path));
        for word in words.filter_map(|word| word.strip_prefix(&start)) {
            if let Some((folder, name)) = word.split_once('/') {
                names.push((dir.join(folder), name.to_owned()));
            }
        }
    }
    Ok(names)
}
