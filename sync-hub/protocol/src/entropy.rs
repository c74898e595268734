//! Randomness as an argument.

/// A source of fresh random bytes, given by the program (or by a seed, in a simulation).
pub trait Entropy {
    /// Fills `out` with fresh random bytes.
    fn fill(&mut self, out: &mut [u8]);
}

/// `N` fresh bytes.
pub fn bytes<const N: usize>(entropy: &mut dyn Entropy) -> [u8; N] {
    let mut out = [0; N];
    entropy.fill(&mut out);
    out
}

impl<F: FnMut(&mut [u8])> Entropy for F {
    fn fill(&mut self, out: &mut [u8]) {
        self(out);
    }
}
