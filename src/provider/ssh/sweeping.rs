//! Finds and removes what bears the mark of an installation, without any notes.

use std::io;
use std::path::Path;

use super::steps::marked;
use crate::domain::artifact::Marked;
use crate::domain::id::InstallationId;
use crate::provider::left;
use crate::session::Undone;
use crate::ssh::Master;

/// Lists the connections of an installation: what has a folder, and what still runs without one.
///
/// # Errors
///
/// When folders or processes cannot be listed.
pub(super) fn list(dir: &Path, installation: &InstallationId) -> io::Result<Vec<Marked>> {
    let found = left::list(dir, installation)?;
    Ok(found.into_iter().map(|(folder, marker)| marked(marker, &folder)).collect())
}

/// Removes what was listed.
pub(super) async fn remove(dir: &Path, found: &Marked) -> Undone {
    // Only what lies where we put it: the rest of a name is nothing to go by.
    let folder = dir.join(&found.marker.session);
    let master = Master::new(folder, found.marker.to_string());
    master.end().await.map_or_else(Undone::Problem, |()| Undone::Sent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::artifact::Marker;
    use crate::domain::id::SessionId;
    use crate::domain::time::Timestamp;

    #[tokio::test]
    async fn what_bears_our_mark_is_listed_and_nothing_of_anybody_else() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("ssh");
        let ours = InstallationId::from_random([0, 1, 2, 29, 30, 31]);
        let theirs = InstallationId::from_random([5; 6]);
        assert_eq!(list(&dir, &ours).unwrap(), []);
        let at = Timestamp::from_millis(1_763_655_000_000);
        for (installation, bits) in [(&ours, 9), (&theirs, 7)] {
            let marker = Marker::new(installation, SessionId::new(at, [bits; 10]), at);
            let folder = dir.join(&marker.session);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(marker.to_string()), "").unwrap();
        }
        std::fs::create_dir_all(dir.join("t0000")).unwrap();
        let found = list(&dir, &ours).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].artifact.name, "bg-abc567-09090909-691f3d58");
        assert_eq!(remove(&dir, &found[0]).await, Undone::Sent);
        assert_eq!(list(&dir, &ours).unwrap(), []);
        assert_eq!(list(&dir, &theirs).unwrap().len(), 1, "it is not ours to remove");
        assert_eq!(remove(&dir, &found[0]).await, Undone::Sent, "what is gone is gone");
    }
}
