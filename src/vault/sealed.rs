//! A sealed text: secrets that only a passphrase opens, in a file or on their way elsewhere.
//!
//! ```text
//! breakglass-vault 1
//! argon2id m=65536 t=3 p=1
//! salt BASE64
//! nonce BASE64
//! BASE64
//! ```
//!
//! The key comes from the passphrase by Argon2id (RFC 9106, version 1.3). The last line is a JSON
//! object of names and secrets under XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03); the four
//! lines above it are its associated data.
//!
//! 1. Every byte is sealed: a change of any of them is refused, in the header too.
//! 2. There is one way to write each content: what is not written exactly so is refused.
//! 3. The header is believed within bounds only. Whoever can write the file must not make us take
//!    all memory, nor make the passphrase cheap to guess the next time.
//! 4. A nonce is random, 192 bits, and used once; nothing here makes random bytes.
//!
//! What is deliberately absent: whether the passphrase was wrong or the text was changed. The seal
//! cannot tell, so nobody is told.

use std::collections::BTreeMap;
use std::fmt;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use super::VaultError;
use crate::domain::id::SecretName;
use crate::domain::secret::Secret;

/// The longest secret, in bytes.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;

/// How many secrets one vault holds.
pub const SECRETS_MAX: usize = 256;

/// The longest sealed text, in bytes: every secret at its longest, with room for JSON and base64.
pub const SEALED_BYTES_MAX: usize = 36 * 1024 * 1024;

/// The fewest characters of a passphrase, after NFKC (NIST SP 800-63B-4, 3.1.1.2).
pub const PASSPHRASE_CHARS_MIN: usize = 15;

/// Secrets by name.
pub type Secrets = BTreeMap<SecretName, Secret>;

/// Random bytes for one passphrase.
pub type Salt = [u8; 16];

/// Random bytes for one sealing; never used twice.
pub type Nonce = [u8; 24];

/// What a guess at the passphrase costs: the parameters of Argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// The least that is allowed: 19 MiB, 2 passes, 1 lane (OWASP Password Storage Cheat Sheet).
    pub const FLOOR: Self = Self { memory_kib: 19 * 1024, passes: 2, lanes: 1 };

    /// What is used where nothing else is asked for: 64 MiB, 3 passes, 1 lane.
    pub const DEFAULT: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 1 };

    /// Takes a cost within the bounds: 19 MiB to 1 GiB of memory, 2 to 16 passes, 1 to 4 lanes.
    #[must_use]
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Option<Self> {
        let fits = (Self::FLOOR.memory_kib..=MEMORY_KIB_MAX).contains(&memory_kib)
            && (Self::FLOOR.passes..=PASSES_MAX).contains(&passes)
            && (Self::FLOOR.lanes..=LANES_MAX).contains(&lanes);
        fits.then_some(Self { memory_kib, passes, lanes })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} t={} p={}", self.memory_kib, self.passes, self.lanes)
    }
}

/// What a passphrase comes to, with the salt and the cost it came by. Wiped when dropped.
#[derive(Clone)]
pub struct SealKey {
    cost: Cost,
    salt: Salt,
    key: Zeroizing<[u8; 32]>,
}

impl SealKey {
    /// Derives the key of a passphrase. It takes the memory and the time that `cost` says, so a
    /// thread that may block is the place for it.
    ///
    /// # Errors
    ///
    /// When the memory is not there.
    pub fn derive(passphrase: &Secret, cost: Cost, salt: Salt) -> Result<Self, VaultError> {
        let no_key = |error: argon2::Error| {
            VaultError::Unavailable(format!("the passphrase cannot be hashed: {error}"))
        };
        let mut key = Zeroizing::new([0; 32]);
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(key.len()))
            .map_err(no_key)?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(normal(passphrase).as_bytes(), &salt, key.as_mut_slice())
            .map_err(no_key)?;
        Ok(Self { cost, salt, key })
    }

    /// The key as text, for another process of this program.
    #[must_use]
    pub fn to_secret(&self) -> Secret {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let mut text = Zeroizing::new(String::with_capacity(160));
        text.push_str(&format!("{memory_kib} {passes} {lanes} "));
        text.push_str(&STANDARD.encode(self.salt));
        text.push(' ');
        STANDARD.encode_string(self.key.as_slice(), &mut text);
        Secret::new(text.as_str())
    }

    /// Reads what [`Self::to_secret`] made; none where it is anything else.
    #[must_use]
    pub fn from_secret(text: &Secret) -> Option<Self> {
        let mut words = text.expose().split(' ');
        let mut number = || words.next()?.parse().ok();
        let (memory_kib, passes, lanes) = (number()?, number()?, number()?);
        let cost = Cost::new(memory_kib, passes, lanes)?;
        let salt = STANDARD.decode(words.next()?).ok()?.try_into().ok()?;
        let bytes = Zeroizing::new(STANDARD.decode(words.next()?).ok()?);
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() || words.next().is_some() {
            return None;
        }
        key.copy_from_slice(&bytes);
        Some(Self { cost, salt, key })
    }

    /// True where the text was sealed with this salt and cost: with another one, the passphrase was
    /// changed since.
    #[must_use]
    pub fn fits(&self, sealed: &Sealed<'_>) -> bool {
        (self.cost, self.salt) == (sealed.cost, sealed.salt)
    }

    /// Seals secrets.
    ///
    /// # Errors
    ///
    /// When they are too many or too long.
    pub fn seal(&self, nonce: Nonce, secrets: &Secrets) -> Result<String, VaultError> {
        check(secrets)?;
        let header = format!(
            "{MAGIC}{VERSION}\nargon2id {}\nsalt {}\nnonce {}\n",
            self.cost,
            STANDARD.encode(self.salt),
            STANDARD.encode(nonce)
        );
        let plain = json(secrets)?;
        let payload = Payload { msg: plain.as_slice(), aad: header.as_bytes() };
        let sealed = self
            .cipher()
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| VaultError::Unavailable("the secrets cannot be sealed".to_owned()))?;
        Ok(format!("{header}{}\n", STANDARD.encode(sealed)))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.key))
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(..)")
    }
}

/// A sealed text that was taken apart and is not open yet. Nothing of it is proven.
#[derive(Debug)]
pub struct Sealed<'a> {
    header: &'a str,
    cost: Cost,
    salt: Salt,
    nonce: Nonce,
    ciphertext: Vec<u8>,
}

impl<'a> Sealed<'a> {
    /// Takes a sealed text apart.
    ///
    /// # Errors
    ///
    /// [`VaultError::Form`] where it is something else or of a newer version, and
    /// [`VaultError::Refused`] where anything after its first line is not as it was written.
    pub fn parse(text: &'a str) -> Result<Self, VaultError> {
        let Some(rest) = text.strip_prefix(MAGIC) else {
            let why = format!("it does not begin with `{}`", MAGIC.trim_end());
            return Err(VaultError::Form(why));
        };
        if text.len() > SEALED_BYTES_MAX {
            return Err(VaultError::Form(format!("it is longer than {SEALED_BYTES_MAX} bytes")));
        }
        if rest.split('\n').next() != Some(VERSION) {
            let why = format!("its version is not {VERSION}, the only one that is known here");
            return Err(VaultError::Form(why));
        }
        parts(text).ok_or(VaultError::Refused)
    }

    /// Derives the key that a passphrase comes to with the salt and the cost of this text.
    ///
    /// # Errors
    ///
    /// When the memory is not there. A wrong passphrase comes to a key as well.
    pub fn key(&self, passphrase: &Secret) -> Result<SealKey, VaultError> {
        SealKey::derive(passphrase, self.cost, self.salt)
    }

    /// Opens it.
    ///
    /// # Errors
    ///
    /// [`VaultError::Refused`] where the key is another one or any byte was changed.
    pub fn open(&self, key: &SealKey) -> Result<Secrets, VaultError> {
        let payload = Payload { msg: self.ciphertext.as_slice(), aad: self.header.as_bytes() };
        let plain = key.cipher().decrypt(&XNonce::from(self.nonce), payload);
        let plain = Zeroizing::new(plain.map_err(|_| VaultError::Refused)?);
        // Whoever sealed this knew the key. What serde says may quote a secret.
        let secrets: Secrets = serde_json::from_slice(&plain)
            .map_err(|_| VaultError::Form("what is sealed in it is of another kind".to_owned()))?;
        check(&secrets)?;
        Ok(secrets)
    }
}

/// Seals secrets with a passphrase of their own, to be carried elsewhere.
///
/// # Errors
///
/// When the passphrase is weak, or the memory is not there.
pub fn export(
    secrets: &Secrets,
    passphrase: &Secret,
    cost: Cost,
    (salt, nonce): (Salt, Nonce),
) -> Result<String, VaultError> {
    check_passphrase(passphrase)?;
    SealKey::derive(passphrase, cost, salt)?.seal(nonce, secrets)
}

/// Opens what was carried here. Space around it and the line ends of other systems do no harm.
///
/// # Errors
///
/// When the text or the passphrase is wrong.
pub fn import(text: &str, passphrase: &Secret) -> Result<Secrets, VaultError> {
    let text = format!("{}\n", text.trim().replace("\r\n", "\n"));
    let sealed = Sealed::parse(&text)?;
    sealed.open(&sealed.key(passphrase)?)
}

/// Checks the length of a new passphrase. How easily it is guessed is for others to say.
///
/// # Errors
///
/// [`VaultError::Weak`] with the reason.
pub fn check_passphrase(passphrase: &Secret) -> Result<(), VaultError> {
    let text = normal(passphrase);
    let count = text.chars().count();
    if count < PASSPHRASE_CHARS_MIN {
        let why = format!("it has {count} characters, at least {PASSPHRASE_CHARS_MIN} are needed");
        return Err(VaultError::Weak(why));
    }
    let mut chars = text.chars();
    let first = chars.next();
    if chars.all(|other| Some(other) == first) {
        return Err(VaultError::Weak("it is one character again and again".to_owned()));
    }
    Ok(())
}

/// Checks that one secret is not too long.
///
/// # Errors
///
/// [`VaultError::NotApplicable`] with the limit.
pub fn check_secret(secret: &Secret) -> Result<(), VaultError> {
    let bytes = secret.expose().len();
    if bytes <= SECRET_BYTES_MAX {
        return Ok(());
    }
    let why = format!("a secret has at most {SECRET_BYTES_MAX} bytes, and this one has {bytes}");
    Err(VaultError::NotApplicable(why))
}

/// Checks that there are not too many secrets.
///
/// # Errors
///
/// [`VaultError::NotApplicable`] with the limit.
pub fn check_count(count: usize) -> Result<(), VaultError> {
    if count <= SECRETS_MAX {
        return Ok(());
    }
    Err(VaultError::NotApplicable(format!("a vault holds at most {SECRETS_MAX} secrets")))
}

fn check(secrets: &Secrets) -> Result<(), VaultError> {
    check_count(secrets.len())?;
    secrets.values().try_for_each(check_secret)
}

/// The same passphrase, whatever the keyboard made of it (NFKC, UAX #15).
fn normal(passphrase: &Secret) -> Zeroizing<String> {
    // With room for the longest that NFKC makes of a character, no copy stays behind.
    let room = passphrase.expose().len().saturating_mul(NFKC_GROWTH_MAX);
    let mut text = Zeroizing::new(String::with_capacity(room));
    text.extend(passphrase.expose().nfkc());
    text
}

fn json(secrets: &Secrets) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let each = |(name, secret): (&SecretName, &Secret)| {
        let escaped: usize = secret.expose().bytes().map(escaped_bytes).sum();
        name.as_str().len() + escaped + "\"\":\"\",".len()
    };
    // With room for all, no copy stays behind.
    let room = secrets.iter().map(each).sum::<usize>() + "{}".len();
    if room > PLAIN_BYTES_MAX {
        return Err(VaultError::NotApplicable("the secrets are too long together".to_owned()));
    }
    let mut plain = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *plain, secrets)
        .map_err(|_| VaultError::Unavailable("the secrets cannot be written".to_owned()))?;
    Ok(plain)
}

/// What a byte takes in a JSON string, at most.
fn escaped_bytes(byte: u8) -> usize {
    match byte {
        0..0x20 => r"\u0000".len(),
        b'"' | b'\\' => 2,
        _ => 1,
    }
}

/// Reads the lines; nothing where one is missing, or is not written as [`SealKey::seal`] does.
fn parts(text: &str) -> Option<Sealed<'_>> {
    let (above, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
    let mut lines = above.split('\n').skip(1);
    let cost = cost(lines.next()?.strip_prefix("argon2id ")?)?;
    let salt = STANDARD.decode(lines.next()?.strip_prefix("salt ")?).ok()?.try_into().ok()?;
    let nonce = STANDARD.decode(lines.next()?.strip_prefix("nonce ")?).ok()?.try_into().ok()?;
    if lines.next().is_some() {
        return None;
    }
    let header = text.get(..=above.len())?;
    Some(Sealed { header, cost, salt, nonce, ciphertext: STANDARD.decode(last).ok()? })
}

fn cost(text: &str) -> Option<Cost> {
    let mut words = text.split(' ');
    let mut number = |key: &str| words.next()?.strip_prefix(key)?.parse().ok();
    let cost = Cost::new(number("m=")?, number("t=")?, number("p=")?)?;
    (cost.to_string() == text).then_some(cost)
}

const MAGIC: &str = "breakglass-vault ";
const VERSION: &str = "1";

const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 4;

/// All secrets as JSON, in bytes; in base64 it is a third more.
const PLAIN_BYTES_MAX: usize = 24 * 1024 * 1024;

/// U+FDFA, three bytes, becomes 33 (UAX #15, table of worst-case expansion factors).
const NFKC_GROWTH_MAX: usize = 11;

#[cfg(test)]
mod tests;
