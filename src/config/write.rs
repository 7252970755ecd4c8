//! Changes to the file that leave everything else in it as it was, byte for byte.
//!
//! What comes out of an [edit](super::edit) is parsed again before it is written, and it is written
//! whole or not at all: a new file next to the old one, made durable, then renamed over it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::edit::{
    IDENTITY_PROVIDER, PROVIDER, table_of, with_item, with_provider_enabled, without_item,
    without_provider,
};
use super::{Config, ConfigError, guard, identity, parse, provider};
use crate::domain::id::{IdpId, ProviderId};
use crate::domain::identity_provider::IdpSettings;
use crate::domain::provider::ProviderSettings;

/// Switches a provider on or off in the file, and returns the configuration as it is then.
///
/// # Errors
///
/// When the file cannot be read or says something wrong already, when it does not know the
/// provider, when it was changed at the same time, and when it cannot be written. The file is then
/// as it was.
pub fn set_provider_enabled(
    path: &Path,
    uid: u32,
    provider: &ProviderId,
    enabled: bool,
) -> Result<Config, ConfigError> {
    let switched = |config: &mut Config| {
        let known = config.providers.iter_mut().find(|known| known.id == *provider);
        known.ok_or_else(|| uneditable(path, "it has no such provider"))?.enabled = enabled;
        Ok(())
    };
    change(path, uid, switched, |text| with_provider_enabled(text, provider.as_str(), enabled))
}

/// Puts a provider into the file, or changes what the file says of the one with its id, and returns
/// the configuration as it is then.
///
/// Of the one that is there, comments and order are kept; values that say the same stay as they
/// are written.
///
/// # Errors
///
/// Those of [`put_identity_provider`]. The file is then as it was.
pub fn put_provider(
    path: &Path,
    uid: u32,
    settings: &ProviderSettings,
) -> Result<Config, ConfigError> {
    let lines = provider::lines(settings);
    let read = parse::parse(&table_of(PROVIDER, &lines))?.providers;
    let settings = read.into_iter().find(|it| it.id == settings.id).unwrap_or(settings.clone());
    let lines = provider::lines(&settings);
    let id = settings.id.clone();
    let put = |config: &mut Config| {
        match config.providers.iter_mut().find(|known| known.id == settings.id) {
            Some(known) => *known = settings,
            None => config.providers.push(settings),
        }
        Ok(())
    };
    change(path, uid, put, |text| with_item(text, PROVIDER, id.as_str(), &lines))
}

/// Takes a provider out of the file with the comment that stands directly above it, and out of the
/// order of every site. Where there is none of that id, nothing is written.
///
/// # Errors
///
/// When it is Direct, which is there without the file; otherwise those of
/// [`set_provider_enabled`], less the unknown provider. The file is then as it was.
pub fn remove_provider(path: &Path, uid: u32, id: &ProviderId) -> Result<Config, ConfigError> {
    if id.as_str() == super::DIRECT {
        return Err(ConfigError::Refused {
            what: "Direct is built in and cannot be removed".to_owned(),
            hint: Some("breakglass providers disable direct".to_owned()),
        });
    }
    let removed = |config: &mut Config| {
        config.providers.retain(|known| known.id != *id);
        for site in config.catalogue.sites.values_mut() {
            site.providers.retain(|known| known != id);
        }
        Ok(())
    };
    change(path, uid, removed, |text| without_provider(text, id.as_str()))
}

/// Puts an identity provider into the file, or changes what the file says of the one with its id,
/// and returns the configuration as it is then: a tenant and domains are in lower case there.
///
/// Of the one that is there, comments and order are kept; values that say the same stay as they
/// are written.
///
/// # Errors
///
/// When the settings may not stand in a configuration; otherwise those of
/// [`set_provider_enabled`]. The file is then as it was.
pub fn put_identity_provider(
    path: &Path,
    uid: u32,
    idp: &IdpSettings,
) -> Result<Config, ConfigError> {
    let idp = alone(std::slice::from_ref(idp))?.pop().unwrap_or_else(|| idp.clone());
    let put = |config: &mut Config| {
        let all = &mut config.identity_providers;
        match all.iter_mut().find(|known| known.id == idp.id) {
            Some(known) => *known = idp.clone(),
            None => all.push(idp.clone()),
        }
        alone(all).map(drop)
    };
    let lines = identity::lines(&idp);
    change(path, uid, put, |text| with_item(text, IDENTITY_PROVIDER, idp.id.as_str(), &lines))
}

/// Takes an identity provider out of the file with the comment that stands directly above it, and
/// returns the configuration as it is then. Where there is none of that id, nothing is written.
///
/// # Errors
///
/// Those of [`set_provider_enabled`], less the unknown provider. The file is then as it was.
pub fn remove_identity_provider(path: &Path, uid: u32, idp: &IdpId) -> Result<Config, ConfigError> {
    let removed = |config: &mut Config| {
        config.identity_providers.retain(|known| known.id != *idp);
        Ok(())
    };
    change(path, uid, removed, |text| without_item(text, IDENTITY_PROVIDER, idp.as_str()))
}

/// Changes the file so that it says what `wish` makes of the configuration, and nothing else.
fn change(
    path: &Path,
    uid: u32,
    wish: impl FnOnce(&mut Config) -> Result<(), ConfigError>,
    edit: impl FnOnce(&str) -> Option<String>,
) -> Result<Config, ConfigError> {
    let before = guard::read(path, uid)?;
    let text = before.as_deref().unwrap_or_default();
    let config = Config::parse(path, text)?;
    let mut wanted = config.clone();
    wish(&mut wanted)?;
    if wanted == config {
        return Ok(config);
    }
    let edited =
        edit(text).filter(|edited| Config::parse(path, edited).is_ok_and(|it| it == wanted));
    let edited = edited.ok_or_else(|| {
        uneditable(path, "what it says of this is written in a way that this program cannot change")
    })?;
    replace(path, uid, before.as_deref(), &edited)?;
    Ok(wanted)
}

/// Returns identity providers as a file that says nothing else would be read.
fn alone(all: &[IdpSettings]) -> Result<Vec<IdpSettings>, ConfigError> {
    let table = |idp: &IdpSettings| table_of(IDENTITY_PROVIDER, &identity::lines(idp));
    let text: String = all.iter().map(table).collect();
    Ok(parse::parse(&text)?.identity_providers)
}

fn uneditable(path: &Path, why: &str) -> ConfigError {
    ConfigError::Uneditable { path: path.to_owned(), why: why.to_owned() }
}

/// Puts a new file in place of the one that was read, or of none.
fn replace(path: &Path, uid: u32, before: Option<&str>, text: &str) -> Result<(), ConfigError> {
    let target = match before {
        Some(_) => guard::resolved(path)?,
        None => path.to_owned(),
    };
    let dir = target.parent().ok_or_else(|| ConfigError::Relative(path.to_owned()))?;
    if before.is_none() {
        guard::own_dir(dir, uid)?;
    }
    let draft = draft_path(dir)?;
    let written = write_draft(&draft, &target, before.is_some(), text)
        .map_err(|source| ConfigError::Unwritable { path: path.to_owned(), source })
        .and_then(|()| {
            if guard::read(path, uid)?.as_deref() == before {
                Ok(())
            } else {
                Err(ConfigError::Changed { path: path.to_owned() })
            }
        })
        .and_then(|()| {
            std::fs::rename(&draft, &target)
                .and_then(|()| File::open(dir)?.sync_all())
                .map_err(|source| ConfigError::Unwritable { path: path.to_owned(), source })
        });
    if written.is_err() {
        // Nothing is lost if it stays: it is a file of ours that nobody reads.
        drop(std::fs::remove_file(&draft));
    }
    written
}

fn draft_path(dir: &Path) -> Result<PathBuf, ConfigError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|error| ConfigError::Unwritable {
        path: dir.to_owned(),
        source: std::io::Error::other(error),
    })?;
    Ok(dir.join(format!(".config.toml.{:016x}", u64::from_le_bytes(random))))
}

fn write_draft(draft: &Path, target: &Path, keep_mode: bool, text: &str) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(draft, flags, Mode::RUSR | Mode::WUSR)?);
    if keep_mode {
        let mode = Mode::from_raw_mode(rustix::fs::stat(target)?.st_mode);
        rustix::fs::fchmod(&file, mode)?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_by_somebody_else_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let uid = rustix::process::getuid().as_raw();
        std::fs::write(&path, "# theirs\n").unwrap();
        for before in [None, Some("# as we read it\n")] {
            let refused = replace(&path, uid, before, "# ours\n");
            assert!(matches!(refused, Err(ConfigError::Changed { .. })), "{refused:?}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), "# theirs\n");
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
        }
    }
}
