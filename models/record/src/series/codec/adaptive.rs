//! A binary arithmetic coder whose probabilities learn from what has passed, and tokens of any size through it.
//!
//! A token is coded as its bucket (a finer logarithm), then its place in the bucket; the bucket's probabilities are
//! chosen by how large the tokens before it were, so that quiet and lively stretches of a signal do not blur each other.

use crate::series::SegmentError;

/// The chance that a bit is set: an average that starts quick and grows steady.
#[derive(Clone, Copy, Debug)]
struct Chance {
    p: u16,
    seen: u8,
}

/// 65536 / (n + 1.5), down to a window of about 160 bits.
const RATES: [u32; 160] = {
    let mut rates = [0; 160];
    let mut n = 0;
    while n < 160 {
        rates[n] = (65536 * 2 / (2 * n + 3)) as u32;
        n += 1;
    }
    rates
};

impl Chance {
    const EVEN: Self = Self { p: 1 << 15, seen: 0 };

    /// 1..=65535 of 65536, never certain.
    fn of_set(self) -> u32 {
        u32::from(self.p).clamp(24, 65536 - 24)
    }

    fn learn(&mut self, bit: bool) {
        let rate = i64::from(RATES[usize::from(self.seen).min(RATES.len() - 1)]);
        let target = if bit { 65535 } else { 0 };
        self.p = (i64::from(self.p) + (((target - i64::from(self.p)) * rate) >> 16)).clamp(0, 65535) as u16;
        self.seen = self.seen.saturating_add(1);
    }
}

/// Where in the interval a bit splits it. The interval never empties: `low ≤ split < high`.
const fn split(low: u32, high: u32, chance: u32) -> u32 {
    low + (((high - low) as u64 * chance as u64) >> 16) as u32
}

/// Writes bits.
#[derive(Debug)]
struct Encoder {
    low: u32,
    high: u32,
    out: Vec<u8>,
}

/// Reads bits. Past the end of the bytes it reads zeros, as many as an honest encoder may have left out.
#[derive(Debug)]
struct Decoder<'a> {
    low: u32,
    high: u32,
    at: u32,
    bytes: &'a [u8],
    missing: u32,
}

/// What both directions do with one bit.
trait Coder {
    /// Passes a bit through: an encoder is told it, a decoder finds it.
    fn bit(&mut self, bit: bool, chance: u32) -> bool;
}

impl Coder for Encoder {
    fn bit(&mut self, bit: bool, chance: u32) -> bool {
        let at = split(self.low, self.high, chance);
        if bit {
            self.high = at;
        } else {
            self.low = at + 1;
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.out.push((self.high >> 24) as u8);
            self.low <<= 8;
            self.high = self.high << 8 | 0xFF;
        }
        bit
    }
}

impl<'a> Decoder<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self { low: 0, high: u32::MAX, at: 0, bytes, missing: 0 };
        for _ in 0..4 {
            decoder.next();
        }
        decoder
    }

    fn next(&mut self) {
        let byte = match self.bytes.split_first() {
            Some((byte, rest)) => {
                self.bytes = rest;
                *byte
            }
            None => {
                self.missing = self.missing.saturating_add(1);
                0
            }
        };
        self.at = self.at << 8 | u32::from(byte);
    }

    fn end(&self) -> Result<(), SegmentError> {
        if self.bytes.is_empty() && self.missing <= 4 { Ok(()) } else { Err(SegmentError::Unreadable) }
    }
}

impl Coder for Decoder<'_> {
    fn bit(&mut self, _: bool, chance: u32) -> bool {
        let at = split(self.low, self.high, chance);
        let bit = self.at <= at;
        if bit {
            self.high = at;
        } else {
            self.low = at + 1;
        }
        while (self.low ^ self.high) >> 24 == 0 {
            self.low <<= 8;
            self.high = self.high << 8 | 0xFF;
            self.next();
        }
        bit
    }
}

/// How many levels of liveliness there are.
const LEVELS: usize = 28;

/// What has been learnt of a stream of tokens.
#[derive(Debug)]
struct Model {
    /// By level, a tree over the 128 buckets.
    buckets: Vec<[Chance; 128]>,
    /// By bucket, the first two bits below it.
    places: Vec<[Chance; 4]>,
    /// Averages of the tokens before, quick and slow, × 64.
    quick: u64,
    slow: u64,
}

impl Model {
    fn new() -> Self {
        Self { buckets: vec![[Chance::EVEN; 128]; LEVELS], places: vec![[Chance::EVEN; 4]; 128], quick: 0, slow: 0 }
    }

    fn level(&self) -> usize {
        let mean = (self.quick + self.slow) >> 3;
        let length = u64::BITS - mean.leading_zeros();
        // Two levels an octave.
        let half = if length >= 2 { (mean >> (length - 2)) & 1 } else { 0 };
        ((length as usize) * 2 + half as usize).min(LEVELS + 3).saturating_sub(4)
    }

    fn saw(&mut self, token: u64) {
        let token = token.min(1 << 40) << 6;
        self.quick = (self.quick * 3 + token) >> 2;
        self.slow = (self.slow * 15 + token) >> 4;
    }

    /// Passes a token through: an encoder is told it, a decoder (told 0) finds it.
    fn token<C: Coder>(&mut self, coder: &mut C, token: u64) -> u64 {
        let (bucket, _) = bucket_of(token);
        let level = self.level().min(LEVELS - 1);
        let tree = &mut self.buckets[level];
        let mut node = 1usize;
        for shift in (0..7).rev() {
            let chance = &mut tree[node & 127];
            let bit = coder.bit(bucket >> shift & 1 == 1, chance.of_set());
            chance.learn(bit);
            node = node << 1 | usize::from(bit);
        }
        let bucket = node & 127;
        let width = width_of(bucket);
        let mut place = 0u64;
        let mut node = 0usize;
        for shift in (0..width).rev() {
            let told = token >> shift & 1 == 1;
            let bit = match width - shift {
                depth @ 1..=2 if shift > 0 => {
                    let chance = &mut self.places[bucket][if depth == 1 { 0 } else { 1 + node }];
                    let bit = coder.bit(told, chance.of_set());
                    chance.learn(bit);
                    node = usize::from(bit);
                    bit
                }
                _ => coder.bit(told, 1 << 15),
            };
            place = place << 1 | u64::from(bit);
        }
        let token = if bucket < 4 { bucket as u64 } else { (2 | (bucket as u64 & 1)) << width | place };
        self.saw(token);
        token
    }
}

/// The bucket of a token and how many bits lie below it.
fn bucket_of(token: u64) -> (usize, u32) {
    if token < 4 {
        return (token as usize, 0);
    }
    let top = 63 - token.leading_zeros();
    ((2 * top as usize) | (token >> (top - 1) & 1) as usize, top - 1)
}

const fn width_of(bucket: usize) -> u32 {
    if bucket < 4 { 0 } else { (bucket as u32 >> 1) - 1 }
}

/// Appends tokens to `out`, to its end.
pub(crate) fn encode(tokens: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
    let mut coder = Encoder { low: 0, high: u32::MAX, out: std::mem::take(out) };
    let mut model = Model::new();
    for token in tokens {
        model.token(&mut coder, token);
    }
    // One byte inside the interval is enough: the reader's zeros follow.
    let Encoder { low, out: mut bytes, .. } = coder;
    let last = low.div_ceil(1 << 24);
    if last > 0 {
        bytes.push(last as u8);
    }
    *out = bytes;
}

/// Reads tokens one by one.
#[derive(Debug)]
pub(crate) struct Tokens<'a> {
    coder: Decoder<'a>,
    model: Model,
}

impl<'a> Tokens<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { coder: Decoder::new(bytes), model: Model::new() }
    }

    pub fn next(&mut self) -> u64 {
        self.model.token(&mut self.coder, 0)
    }

    /// The bytes held just what was read, as far as can be told.
    pub fn end(&self) -> Result<(), SegmentError> {
        self.coder.end()
    }
}
