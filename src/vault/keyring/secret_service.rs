//! The Secret Service of freedesktop.org, by D-Bus: GNOME Keyring, KWallet, KeePassXC.

use keyring::{Entry, Error};
use zeroize::Zeroizing;

use super::{Entries, Ring, RingError};
use crate::domain::text::shown;

/// The keyring of the desktop session, found by `DBUS_SESSION_BUS_ADDRESS` or in the runtime
/// directory of the user.
///
/// The process connects to the bus once, at the first call. Where that fails it stays failed, and
/// the keyring is not the vault until the next start. One that is started anew meanwhile knows
/// nothing of the session that was opened with it (`NoSession`), and is of use after the next start.
#[derive(Clone, Copy, Debug, Default)]
pub struct SecretService;

impl Ring for SecretService {
    fn connect(&self) -> Result<Box<dyn Entries>, RingError> {
        match Entry::store_status() {
            Ok(()) => Ok(Box::new(Connection)),
            Err(error) => Err(failed(error)),
        }
    }
}

struct Connection;

fn entry(user: &str) -> Result<Entry, RingError> {
    Entry::new(SERVICE, user).map_err(|error| failed(&error))
}

impl Entries for Connection {
    fn get(&self, user: &str) -> Result<Option<Zeroizing<Vec<u8>>>, RingError> {
        match entry(user)?.get_secret() {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    fn set(&self, user: &str, bytes: &[u8]) -> Result<(), RingError> {
        entry(user)?.set_secret(bytes).map_err(|error| failed(&error))
    }

    fn delete(&self, user: &str) -> Result<(), RingError> {
        match entry(user)?.delete_credential() {
            Ok(()) | Err(Error::NoEntry) => Ok(()),
            Err(error) => Err(failed(&error)),
        }
    }
}

/// Only what a keyring says of itself is repeated: some errors carry the bytes of an entry.
fn failed(error: &Error) -> RingError {
    match error {
        Error::NoStorageAccess(_) => RingError::Locked,
        Error::PlatformFailure(why) => {
            RingError::Failed(format!("the keyring does not answer: {}", shown(&why.to_string())))
        }
        Error::Ambiguous(_) => {
            RingError::Failed("the keyring has more than one entry of a name".to_owned())
        }
        _ => RingError::Failed("the keyring cannot do what is asked".to_owned()),
    }
}

const SERVICE: &str = "breakglass";
