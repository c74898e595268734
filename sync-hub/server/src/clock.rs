//! The one place of this program that reads clocks and takes randomness.

use record::time::{ClockQuality, Monotonic, Now, Timestamp};
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use web::given::{Entropy, EntropyUnavailable};

/// Before this the clock has plainly never been set: 2024-01-01.
const SANE_FROM_US: i64 = 1_704_067_200_000_000;

/// Both clocks, read together.
#[expect(clippy::disallowed_methods, reason = "this is the program's clock")]
#[must_use]
pub fn now() -> Now {
    static START: OnceLock<Instant> = OnceLock::new();
    let mono = Instant::now().duration_since(*START.get_or_init(Instant::now));
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let wall = Timestamp(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX));
    Now {
        wall,
        mono: Monotonic(u64::try_from(mono.as_micros()).unwrap_or(u64::MAX)),
        quality: if wall.0 < SANE_FROM_US { ClockQuality::Untrusted } else { ClockQuality::Trusted },
    }
}

/// The system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is the program's randomness")]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
        getrandom::fill(bytes).map_err(|_| EntropyUnavailable)
    }
}

/// Randomness for keys. Without any there can be no keys: the program ends.
pub fn dice(bytes: &mut [u8]) {
    if SystemEntropy.fill(bytes).is_err() {
        tracing::error!("the system gives no randomness: stopping");
        std::process::abort();
    }
}
