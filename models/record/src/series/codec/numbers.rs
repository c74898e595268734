//! A column of integers.
//!
//! Either around a base (times that come as a clock ticks) or as a walk (a vital, which mostly stays, and when it moves mostly
//! goes back): a step's token says how far it goes along the direction of the step before.

use super::bits::{BitReader, BitWriter};
use super::bytes::{Reader, put_signed};
use super::tuples::{Tuple, Values};
use super::{adaptive, tuples, unzigzag, zigzag};
use crate::series::SegmentError;

/// How values become tokens.
const BASE: u8 = 0;
const WALK: u8 = 1;
/// How tokens become bytes.
const NOTHING: u8 = 0 << 1;
const TUPLES: u8 = 1 << 1;
const ADAPTIVE: u8 = 2 << 1;
const PACKED: u8 = 3 << 1;

/// Columns up to this long are packed in fields of one width: a table of frequencies costs them more than it gives.
const SHORT: usize = 64;
/// Bits a value past which tuples do not pay, and the adaptive code is tried.
const LIVELY: f64 = 5.0;
/// Values looked at to find one in the middle.
const PROBES: usize = 128;

/// Appends `values`; how many there are is for the caller to keep.
pub(crate) fn encode(values: &[i64], out: &mut Vec<u8>) {
    let Some(&first) = values.first() else { return };
    if values.iter().all(|value| *value == first) {
        out.push(BASE | NOTHING);
        put_signed(out, first);
        return;
    }
    let mut probes: Vec<i64> = values.iter().step_by(values.len().div_ceil(PROBES)).copied().collect();
    probes.sort_unstable();
    let base = probes.get(probes.len() / 2).copied().unwrap_or(first);
    let around = values.iter().map(|v| zigzag(v.wrapping_sub(base)));
    let mut walk = Walk::from(first);
    let walked: Vec<u64> = values[1..].iter().map(|value| walk.token(*value)).collect();
    let size = |token: u64| u64::from(u64::BITS - token.leading_zeros());
    let walks = walked.iter().map(|t| size(*t)).sum::<u64>() <= around.clone().map(size).sum::<u64>();
    let (transform, start, tokens) = if walks { (WALK, first, walked) } else { (BASE, base, around.collect()) };
    let mut begin = |coder: u8| {
        out.push(transform | coder);
        put_signed(out, start);
    };
    if tokens.len() <= SHORT {
        begin(PACKED);
        let width = tokens.iter().map(|t| size(*t)).max().unwrap_or(0) as u32;
        out.push(width as u8);
        let mut bits = BitWriter::default();
        tokens.iter().for_each(|token| bits.put(*token, width));
        out.extend(bits.finish());
        return;
    }
    match tuples::plan(&tokens) {
        Some(plan) if plan.bits <= LIVELY * tokens.len() as f64 => {
            begin(TUPLES);
            tuples::encode(&plan, &tokens, out);
        }
        plan => {
            let mut learnt = Vec::new();
            adaptive::encode(tokens.iter().copied(), &mut learnt);
            match plan.filter(|plan| plan.bits < 8.0 * learnt.len() as f64) {
                Some(plan) => {
                    begin(TUPLES);
                    tuples::encode(&plan, &tokens, out);
                }
                None => {
                    begin(ADAPTIVE);
                    out.extend_from_slice(&learnt);
                }
            }
        }
    }
}

/// The value that all of a column have, if its bytes say so.
pub(crate) fn constant(mut reader: Reader<'_>) -> Option<i64> {
    let constant = reader.byte().ok()? == BASE | NOTHING;
    reader.signed().ok().filter(|_| constant && reader.end().is_ok())
}

/// Reads `count` values to the end of the bytes and appends them.
pub(crate) fn decode(mut reader: Reader<'_>, count: usize, into: &mut Vec<i64>) -> Result<(), SegmentError> {
    if count == 0 {
        return reader.end();
    }
    let method = reader.byte()?;
    let start = reader.signed()?;
    into.reserve(count);
    if method & 1 == WALK {
        into.push(start);
        decode_tokens(method & !1, reader, count - 1, &mut Walk::from(start), into)
    } else {
        decode_tokens(method & !1, reader, count, &mut Around(start), into)
    }
}

fn decode_tokens(
    coder: u8,
    mut reader: Reader<'_>,
    count: usize,
    values: &mut impl Values,
    into: &mut Vec<i64>,
) -> Result<(), SegmentError> {
    match coder {
        NOTHING => {
            into.extend(std::iter::repeat_with(|| values.value(0)).take(count));
            reader.end()
        }
        TUPLES => tuples::decode(reader, count, values, into),
        ADAPTIVE => {
            let mut learnt = adaptive::Tokens::new(reader.0);
            into.extend(std::iter::repeat_with(|| values.value(learnt.next())).take(count));
            learnt.end()
        }
        PACKED => {
            let width = u32::from(reader.byte()?);
            if width > u64::BITS {
                return Err(SegmentError::Unreadable);
            }
            let mut bits = BitReader::new(reader.0);
            for _ in 0..count {
                into.push(values.value(bits.take(width)?));
            }
            bits.end()
        }
        _ => Err(SegmentError::Unreadable),
    }
}

/// Values around a base.
struct Around(i64);

impl Values for Around {
    fn value(&mut self, token: u64) -> i64 {
        self.0.wrapping_add(unzigzag(token))
    }

    fn tuple<const N: usize>(&mut self, tuple: &Tuple) -> [i64; N] {
        let mut values = [0; N];
        values.iter_mut().zip(tuple.digits).for_each(|(value, digit)| *value = self.value(u64::from(digit)));
        values
    }
}

impl Values for Walk {
    fn value(&mut self, token: u64) -> i64 {
        self.step(token)
    }

    // A walk that was going down is one that was going up, upside down: all that one tuple waits for of the one before is
    // where the walk stands and which way it goes.
    fn tuple<const N: usize>(&mut self, tuple: &Tuple) -> [i64; N] {
        let mut values = [0; N];
        values.iter_mut().zip(tuple.steps).for_each(|(value, step)| {
            *value = self.at.wrapping_add((i64::from(step) ^ self.down).wrapping_sub(self.down));
        });
        self.at = values.last().copied().unwrap_or(self.at);
        self.down ^= tuple.turn;
        values
    }
}

/// Where a walk stands and which way it last went: 0 up, −1 down.
pub(crate) struct Walk {
    at: i64,
    pub(crate) down: i64,
}

impl Walk {
    pub(crate) const fn from(at: i64) -> Self {
        Self { at, down: 0 }
    }

    fn token(&mut self, value: i64) -> u64 {
        let step = value.wrapping_sub(self.at);
        let along = (step ^ self.down).wrapping_sub(self.down);
        self.at = value;
        self.down ^= along >> 63;
        zigzag(along)
    }

    pub(crate) const fn step(&mut self, token: u64) -> i64 {
        let along = unzigzag(token);
        self.at = self.at.wrapping_add((along ^ self.down).wrapping_sub(self.down));
        self.down ^= along >> 63;
        self.at
    }
}
