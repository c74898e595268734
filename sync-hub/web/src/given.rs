//! What a program hands in because this crate may not take it: the time and randomness.

use record::time::Now;
use std::sync::Arc;

/// Reads both clocks of the program.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// The program's source of unpredictable bytes. Session tokens are as good as this is.
pub trait Entropy: Send + Sync + 'static {
    /// Fills all of `bytes` with unpredictable ones.
    ///
    /// # Errors
    /// The system has none to give; `bytes` must then not be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable>;
}

/// The system gave no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system has no randomness to give")]
pub struct EntropyUnavailable;
