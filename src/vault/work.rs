//! What all vaults need: a thread that may block, and random bytes.

use super::VaultError;

/// Does work in a thread that may block.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(VaultError::Unavailable("the work on it was cut off".to_owned())))
}

/// Returns random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| {
        VaultError::Unavailable(format!("the system gives no random bytes: {error}"))
    })?;
    Ok(bytes)
}
