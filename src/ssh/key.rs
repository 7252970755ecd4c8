//! A private key as somebody gives it, and an agent of our own that holds it for one sign-in.
//!
//! It never lies on disk: the agent gets it over standard input, has a deadline of its own, and is
//! ended once the sign-in is done.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::failure::{SshFailure, Trouble};
use crate::domain::secret::Secret;
use crate::domain::time::Span;
use crate::process::{self, Keep, Program, Variables};

/// Why a text cannot be used as a key. It never holds any of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyFault {
    /// Something else.
    #[error("this is no private key: give the whole text, from `-----BEGIN` to the last `-----`")]
    Form,
    /// The other half.
    #[error("this is a public key: give the private one, the file without `.pub`")]
    Public,
    /// Nobody is there to type it.
    #[error(
        "the key has a passphrase, and nobody is there to type it when a session opens: give one \
         without (`ssh-keygen -p -N '' -f COPY_OF_IT`); the vault keeps it sealed"
    )]
    Passphrase,
}

/// Sees whether a text is a private key without a passphrase.
///
/// # Errors
///
/// What is wrong with it.
pub fn check(key: &Secret) -> Result<(), KeyFault> {
    let text = key.expose().trim();
    if ["ssh-", "ecdsa-", "sk-"].iter().any(|start| text.starts_with(start)) {
        return Err(KeyFault::Public);
    }
    let mut lines = text.lines().map(str::trim);
    let first = lines.next().unwrap_or_default();
    let kind = first.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
    let kind = kind.filter(|kind| kind.ends_with("PRIVATE KEY")).ok_or(KeyFault::Form)?;
    if !text.ends_with(&format!("-----END {kind}-----")) {
        return Err(KeyFault::Form);
    }
    let is_locked = match kind {
        "OPENSSH PRIVATE KEY" => {
            let body: Zeroizing<String> =
                Zeroizing::new(lines.take_while(|line| !line.starts_with('-')).collect());
            let bytes = Zeroizing::new(STANDARD.decode(&*body).map_err(|_| KeyFault::Form)?);
            let cipher = bytes.strip_prefix(b"openssh-key-v1\0").ok_or(KeyFault::Form)?;
            !cipher.starts_with(b"\0\0\0\x04none")
        }
        "ENCRYPTED PRIVATE KEY" => true,
        _ => lines.any(|line| line.starts_with("Proc-Type:") && line.contains("ENCRYPTED")),
    };
    if is_locked { Err(KeyFault::Passphrase) } else { Ok(()) }
}

/// Starts an agent that holds a key, on a socket in a private folder.
///
/// # Errors
///
/// When it does not come up or does not take the key.
pub(super) async fn hold(
    key: &Secret,
    socket: &Path,
    variables: &Variables,
) -> Result<(), SshFailure> {
    let trouble = |why: String| SshFailure::from(Trouble::Key { why });
    check(key).map_err(|fault| trouble(fault.to_string()))?;
    let words = ["ssh-agent".into(), "-D".into(), "-a".into(), OsString::from(socket)].to_vec();
    process::keep(Keep { words, variables, ends_in: HELD, complaints: None })
        .map_err(|error| trouble(format!("cannot run `ssh-agent`: {error}")))?;
    let comes_up = async {
        while !socket.exists() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    let late = |_| trouble("`ssh-agent` does not come up; see that it is installed".to_owned());
    timeout(COMES_UP, comes_up).await.map_err(late)?;
    let mut variables = variables.clone();
    variables.insert("SSH_AUTH_SOCK".to_owned(), socket.to_string_lossy().into_owned());
    variables.insert("SSH_ASKPASS_REQUIRE".to_owned(), "never".to_owned());
    let seconds = HELD.as_seconds().to_string();
    let input = Zeroizing::new(format!("{}\n", key.expose().trim()));
    let add = Program::new(["ssh-add", "-q", "-t", &seconds, "-"]).with(&variables);
    let ran = process::run(add.reading(input.as_bytes())).await;
    let ran = ran.map_err(|error| trouble(error.to_string()))?;
    if ran.is_well() {
        Ok(())
    } else {
        Err(trouble(format!("`ssh-add` does not take it: {}", ran.complaint())))
    }
}

/// Ends the agent on that socket, also one that has not come up.
///
/// # Errors
///
/// Why it may still be there, in words.
pub(super) async fn let_go(socket: &Path) -> Result<(), String> {
    match process::end(&socket.to_string_lossy(), Duration::from_secs(1)).await {
        Ok(0) => Ok(()),
        Ok(left) => Err(format!("its key agent does not end ({left} left)")),
        Err(error) => Err(format!("the processes cannot be listed: {error}")),
    }
}

/// How long an agent holds a key at the most.
const HELD: Span = Span::from_seconds(60);
const COMES_UP: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn openssh(cipher: &str) -> Secret {
        let mut bytes = b"openssh-key-v1\0\0\0\0".to_vec();
        bytes.push(u8::try_from(cipher.len()).unwrap());
        bytes.extend(cipher.as_bytes());
        let body = STANDARD.encode(bytes);
        Secret::new(format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n"
        ))
    }

    #[test]
    fn only_a_private_key_that_needs_nobody_is_taken() {
        assert_eq!(check(&openssh("none")), Ok(()));
        assert_eq!(check(&openssh("aes256-ctr")), Err(KeyFault::Passphrase));
        let pem = |kind: &str, head: &str| {
            Secret::new(format!("-----BEGIN {kind}-----\n{head}AAAA\n-----END {kind}-----"))
        };
        assert_eq!(check(&pem("RSA PRIVATE KEY", "")), Ok(()));
        let locked = pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: x\n\n");
        assert_eq!(check(&locked), Err(KeyFault::Passphrase));
        assert_eq!(check(&pem("ENCRYPTED PRIVATE KEY", "")), Err(KeyFault::Passphrase));
        assert_eq!(check(&Secret::new("ssh-ed25519 AAAA ana@host")), Err(KeyFault::Public));
        for text in ["", "hunter2", "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----"] {
            assert_eq!(check(&Secret::new(text)), Err(KeyFault::Form), "{text}");
        }
        let cut = Secret::new("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNz");
        assert_eq!(check(&cut), Err(KeyFault::Form));
    }

    #[test]
    fn each_fault_says_what_to_give_instead() {
        let all = [KeyFault::Form, KeyFault::Public, KeyFault::Passphrase].map(|it| it.to_string());
        insta::assert_snapshot!(all.join("\n"), @r"
        this is no private key: give the whole text, from `-----BEGIN` to the last `-----`
        this is a public key: give the private one, the file without `.pub`
        the key has a passphrase, and nobody is there to type it when a session opens: give one without (`ssh-keygen -p -N '' -f COPY_OF_IT`); the vault keeps it sealed
        ");
    }
}
