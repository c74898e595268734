//! Token buckets, one per network address, in bounded room.

use record::time::Monotonic;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

/// Limits how often each address may do something: `burst` at once, then one every `interval_us`.
///
/// Holds at most `room` addresses. When that many are being limited at the same time, newcomers share one bucket, so a
/// crowd of addresses cannot wash out the buckets of those being limited.
#[derive(Debug)]
pub struct Rate {
    burst: u32,
    interval_us: u64,
    room: usize,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

/// `due` is when the bucket is full again; it holds `(due − now) / interval` spent tokens.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    due: Monotonic,
}

impl Rate {
    /// A limiter; `interval_us` is the time to regain one try.
    #[must_use]
    pub fn new(burst: u32, interval_us: u64, room: usize) -> Self {
        Self { burst, interval_us, room, buckets: Mutex::new(HashMap::new()) }
    }

    /// Spends one try of `address`.
    ///
    /// # Errors
    /// None is left; the value is the whole seconds until one is.
    pub fn take(&self, address: IpAddr, now: Monotonic) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = neighbourhood(address);
        if !buckets.contains_key(&key) && buckets.len() >= self.room {
            buckets.retain(|_, bucket| bucket.due > now);
            if buckets.len() >= self.room {
                key = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { due: now });
        let due = bucket.due.max(now).plus_micros(self.interval_us);
        let over_us = due.micros_since(now.plus_micros(self.interval_us.saturating_mul(u64::from(self.burst))));
        if over_us > 0 {
            return Err(over_us.div_ceil(1_000_000));
        }
        bucket.due = due;
        Ok(())
    }
}

/// One IPv6 subscriber has a whole /64 to choose addresses from.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn a_burst_passes_then_one_an_interval() {
        let rate = Rate::new(3, 2 * SECOND, 8);
        let now = Monotonic(0);
        for _ in 0..3 {
            assert_eq!(rate.take(address(1), now), Ok(()));
        }
        assert_eq!(rate.take(address(1), now), Err(2));
        assert_eq!(rate.take(address(1), Monotonic(SECOND)), Err(1));
        assert_eq!(rate.take(address(1), Monotonic(2 * SECOND)), Ok(()));
        assert_eq!(rate.take(address(1), Monotonic(2 * SECOND)), Err(2));
    }

    #[test]
    fn a_crowd_cannot_wash_out_a_limited_address() {
        let rate = Rate::new(1, 60 * SECOND, 4);
        assert_eq!(rate.take(address(1), Monotonic(0)), Ok(()));
        for last in 2..200 {
            let _ = rate.take(address(last), Monotonic(0));
        }
        assert_eq!(rate.take(address(1), Monotonic(0)), Err(60));
        assert!(rate.buckets.lock().unwrap().len() <= 5);
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_bucket() {
        let rate = Rate::new(1, SECOND, 4);
        assert_eq!(rate.take("2001:db8::1".parse().unwrap(), Monotonic(0)), Ok(()));
        assert!(rate.take("2001:db8::2".parse().unwrap(), Monotonic(0)).is_err());
        assert!(rate.take("2001:db8:0:1::2".parse().unwrap(), Monotonic(0)).is_ok());
    }
}
