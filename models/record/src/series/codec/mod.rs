//! Integers into few bytes, and back on any machine bit for bit: no floating point on the way back.
//!
//! [`numbers`] keeps a column of integers (a numeric's mantissas, the times of frames), [`wave`] a sampled signal. Both
//! end in [`tuples`] (static, made for speed of reading) or [`adaptive`] (learns as it goes, made for size).
//!
//! Always: a decoder is told how many values to expect, allocates for no more, and refuses bytes that do not give
//! exactly them.

pub(crate) mod adaptive;
pub(crate) mod bits;
pub(crate) mod bytes;
pub(crate) mod linear;
pub(crate) mod numbers;
pub(crate) mod tuples;
pub(crate) mod wave;

/// Small magnitudes, of either sign, as small numbers: 0, −1, 1, −2, …
pub(crate) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// The inverse of [`zigzag`].
pub(crate) const fn unzigzag(token: u64) -> i64 {
    ((token >> 1) as i64) ^ -((token & 1) as i64)
}
