//! The Secret Service of freedesktop.org, by D-Bus: GNOME Keyring, KWallet, KeePassXC.

use std::sync::Arc;

use keyring_core::api::CredentialStoreApi as _;
use keyring_core::{Entry, Error};
use zbus_secret_service_keyring_store::Store;
use zeroize::Zeroizing;

use super::{Entries, Ring, RingError};
use crate::domain::text::shown;

/// The keyring of the desktop session, found by `DBUS_SESSION_BUS_ADDRESS` or in the runtime
/// directory of the user.
///
/// The store is held by the connection and not as the default of the process: that one is made
/// once, and stays broken where the keyring comes up later.
#[derive(Clone, Copy, Debug, Default)]
pub struct SecretService;

impl Ring for SecretService {
    fn connect(&self) -> Result<Box<dyn Entries>, RingError> {
        Ok(Box::new(Connection(Store::new().map_err(|error| failed(&error))?)))
    }
}

struct Connection(Arc<Store>);

impl Connection {
    fn entry(&self, user: &str) -> Result<Entry, RingError> {
        self.0.build(SERVICE, user, None).map_err(|error| failed(&error))
    }
}

impl Entries for Connection {
    fn get(&self, user: &str) -> Result<Option<Zeroizing<Vec<u8>>>, RingError> {
        match self.entry(user)?.get_secret() {
            Ok(bytes) => Ok(Some(Zeroizing::new(bytes))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(failed(&error)),
        }
    }

    fn set(&self, user: &str, bytes: &[u8]) -> Result<(), RingError> {
        self.entry(user)?.set_secret(bytes).map_err(|error| failed(&error))
    }

    fn delete(&self, user: &str) -> Result<(), RingError> {
        match self.entry(user)?.delete_credential() {
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
