//! Tokens that are mostly small, several to a symbol, by a static range code (rANS): made to be read fast.
//!
//! A symbol is a tuple of digits, one a token; the highest digit means "this much or more", the rest following apart. What
//! neighbouring tokens have to do with each other is so in the code without any context to keep while reading.
//!
//! How frequent symbols are is either told for each (steps of a fixed ladder, four bits; the commonest takes what is left), or
//! for short alphabets follows from how often a digit comes after another.

use super::bits::{BitReader, BitWriter};
use super::bytes::{Reader, put, put_section};
use super::numbers::Walk;
use crate::series::SegmentError;

/// How tokens are put together: so many digits of such a base.
struct Shape {
    digits: usize,
    base: usize,
    /// Frequencies follow from pairs of digits.
    paired: bool,
    /// By symbol.
    tuples: [Tuple; 256],
    /// Symbols, small digits first: those in use lie together.
    order: [u8; 256],
}

impl Shape {
    const fn new(digits: usize, base: usize, paired: bool) -> Self {
        let mut shape = Self { digits, base, paired, tuples: [Tuple::NONE; 256], order: [0; 256] };
        let alphabet = shape.alphabet();
        let mut sums = [0usize; 256];
        let mut symbol = 0;
        while symbol < alphabet {
            let (mut left, mut digit) = (symbol, 0);
            let mut walk = Walk::from(0);
            while digit < digits {
                let token = left % base;
                let tuple = &mut shape.tuples[symbol];
                tuple.digits[digit] = token as u8;
                tuple.beyond |= token == base - 1;
                tuple.steps[digit] = walk.step(token as u64) as i8;
                tuple.turn = walk.down;
                sums[symbol] += token;
                left /= base;
                digit += 1;
            }
            symbol += 1;
        }
        let (mut sum, mut at) = (0, 0);
        while at < alphabet {
            let mut symbol = 0;
            while symbol < alphabet {
                if sums[symbol] == sum {
                    shape.order[at] = symbol as u8;
                    at += 1;
                }
                symbol += 1;
            }
            sum += 1;
        }
        shape
    }

    const fn alphabet(&self) -> usize {
        self.base.pow(self.digits as u32)
    }

    fn digits_of(&self, symbol: usize) -> impl Iterator<Item = usize> {
        let digits = self.tuples[symbol & 0xFF].digits;
        digits.into_iter().take(self.digits).map(usize::from)
    }

    fn symbols(&self, tokens: &[u64]) -> Vec<u8> {
        let top = self.base as u64 - 1;
        let symbol = |tuple: &[u64]| tuple.iter().rev().fold(0u64, |sum, token| sum * self.base as u64 + (*token).min(top)) as u8;
        tokens.chunks(self.digits).map(symbol).collect()
    }
}

/// What a symbol says.
#[derive(Clone, Copy)]
pub(crate) struct Tuple {
    /// Its digits.
    pub digits: [u8; 8],
    /// Where a walk that was going up stands after each, from where it stood.
    pub steps: [i8; 8],
    /// −1 if the walk has turned round, else 0.
    pub turn: i64,
    /// Whether a digit says "this much or more": then steps are not all.
    beyond: bool,
}

impl Tuple {
    const NONE: Self = Self { digits: [0; 8], steps: [0; 8], turn: 0, beyond: false };
}

/// Numbers of shapes are for ever.
static SHAPES: [Shape; 5] =
    [Shape::new(1, 256, false), Shape::new(2, 16, false), Shape::new(2, 8, false), Shape::new(3, 4, true), Shape::new(6, 2, true)];

/// Frequencies are of this many bits.
const SCALE: u32 = 11;
const TOTAL: u32 = 1 << SCALE;
/// What a step of the ladder stands for, of [`TOTAL`]; about three quarters of an octave each.
const LADDER: [u32; 16] = [0, 1, 2, 3, 5, 8, 13, 22, 37, 62, 104, 175, 294, 494, 830, 1394];
/// A state stays at or above this.
const FLOOR: u32 = 1 << 16;

/// Tokens made ready to be written.
#[derive(Debug)]
pub(crate) struct Plan {
    shape: usize,
    symbols: Vec<u8>,
    /// What a reader needs to find the frequencies.
    table: Vec<u8>,
    frequencies: [u16; 256],
    /// Estimated size.
    pub bits: f64,
}

/// The shape that makes the fewest bytes of these tokens.
pub(crate) fn plan(tokens: &[u64]) -> Option<Plan> {
    let zeros = tokens.iter().filter(|t| **t == 0).count();
    let small = tokens.iter().filter(|t| **t < 3).count();
    let share = |n: usize| n as f64 / tokens.len().max(1) as f64;
    let shapes: &[usize] = match (share(zeros), share(small)) {
        (z, _) if z > 0.96 => &[3, 4],
        (_, s) if s > 0.97 => &[3],
        (_, s) if s > 0.85 => &[2, 3],
        (_, s) if s > 0.5 => &[1, 2],
        _ => &[0, 1],
    };
    shapes.iter().filter_map(|shape| plan_for(*shape, tokens)).min_by(|a, b| a.bits.total_cmp(&b.bits))
}

fn plan_for(number: usize, tokens: &[u64]) -> Option<Plan> {
    let shape = SHAPES.get(number)?;
    let symbols = shape.symbols(tokens);
    let mut counts = [0u32; 256];
    for symbol in &symbols {
        counts[usize::from(*symbol)] += 1;
    }
    let table = if shape.paired { pair_bytes(shape, &counts) } else { ladder_bytes(shape, &counts)? };
    let frequencies = frequencies(shape, &mut Reader(&table)).ok()?;
    let mut bits = 100.0 + 8.0 * table.len() as f64;
    for (count, frequency) in counts.iter().zip(frequencies).filter(|(n, _)| **n > 0) {
        if frequency == 0 {
            return None;
        }
        bits += f64::from(*count) * (f64::from(SCALE) - f64::from(frequency).log2());
    }
    let top = shape.base as u64 - 1;
    bits += tokens.iter().filter(|t| **t >= top).map(|t| 8.0 * f64::from((70 - ((t - top) | 1).leading_zeros()) / 7)).sum::<f64>();
    Some(Plan { shape: number, symbols, table, frequencies, bits })
}

fn sum(steps: &[u8; 256]) -> u32 {
    steps.iter().map(|s| LADDER[usize::from(*s & 15)]).sum()
}

/// Appends tokens as planned.
pub(crate) fn encode(plan: &Plan, tokens: &[u64], out: &mut Vec<u8>) {
    let Some(shape) = SHAPES.get(plan.shape) else { return };
    out.push(plan.shape as u8);
    out.extend_from_slice(&plan.table);
    let top = shape.base as u64 - 1;
    let mut beyond = Vec::new();
    for token in tokens.iter().filter(|t| **t >= top) {
        put(&mut beyond, token - top);
    }
    put_section(out, &beyond);
    let mut start = [0u32; 256];
    let mut below = 0;
    for (start, frequency) in start.iter_mut().zip(plan.frequencies) {
        *start = below;
        below += u32::from(frequency);
    }
    let mut states = [FLOOR; 2];
    let mut words: Vec<u16> = Vec::with_capacity(plan.symbols.len() / 3);
    for (at, symbol) in plan.symbols.iter().enumerate().rev() {
        let state = &mut states[at & 1];
        let frequency = u32::from(plan.frequencies[usize::from(*symbol)]).max(1);
        if u64::from(*state) >= u64::from(frequency) << (32 - SCALE) {
            words.push(*state as u16);
            *state >>= 16;
        }
        *state = ((*state / frequency) << SCALE) + *state % frequency + start[usize::from(*symbol)];
    }
    for state in states {
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.extend(words.iter().rev().flat_map(|word| word.to_le_bytes()));
}

/// For the start of a tuple, then after each digit: how likely each digit but 0 is, as 256 × the root of it.
fn pair_bytes(shape: &Shape, counts: &[u32; 256]) -> Vec<u8> {
    let base = shape.base;
    let mut pairs = vec![vec![0u32; base]; base + 1];
    for (symbol, count) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        let mut before = 0;
        for digit in shape.digits_of(symbol) {
            pairs[before][digit] += count;
            before = digit + 1;
        }
    }
    let mut bytes = Vec::with_capacity(pairs.len() * base);
    for row in pairs {
        let total = f64::from(row.iter().sum::<u32>().max(1));
        // Never all: whatever follows, a zero stays possible.
        let mut left = (ONE - 1) as u32;
        for count in &row[1..] {
            let mut root = (256.0 * (f64::from(*count) / total).sqrt()).round().min(255.0) as u32;
            while root * root > left {
                root -= 1;
            }
            left -= root * root;
            bytes.push(root as u8);
        }
    }
    bytes
}

/// A certainty, in the products of [`paired`].
const ONE: u64 = 1 << 16;

fn paired(shape: &Shape, reader: &mut Reader<'_>) -> Result<[u16; 256], SegmentError> {
    let base = shape.base;
    let mut chances = [[0u64; 4]; 5];
    for row in chances.iter_mut().take(base + 1) {
        let mut left = ONE;
        for chance in row.iter_mut().take(base).skip(1) {
            let root = u64::from(reader.byte()?);
            *chance = root * root;
            left = left.checked_sub(*chance).ok_or(SegmentError::Unreadable)?;
        }
        row[0] = left;
    }
    // Every symbol stays possible; what rounding leaves goes to the likeliest.
    let spread = u64::from(TOTAL) - shape.alphabet() as u64;
    let mut frequencies = [0u16; 256];
    let (mut left, mut likeliest) = (TOTAL as u16, 0usize);
    for symbol in 0..shape.alphabet() {
        let (mut chance, mut before) = (ONE * ONE, 0);
        for digit in shape.digits_of(symbol) {
            chance = (chance * chances[before.min(4)][digit & 3]) >> 16;
            before = digit + 1;
        }
        frequencies[symbol] = ((chance * spread) >> 32) as u16 + 1;
        left = left.checked_sub(frequencies[symbol]).ok_or(SegmentError::Unreadable)?;
        if frequencies[symbol] > frequencies[likeliest] {
            likeliest = symbol;
        }
    }
    frequencies[likeliest] += left;
    Ok(frequencies)
}

/// The commonest symbol; then steps in the shape's order up to the last in use, a zero being followed by how many more there are.
fn ladder_bytes(shape: &Shape, counts: &[u32; 256]) -> Option<Vec<u8>> {
    let rest = (0..256).max_by_key(|s| counts[*s])?;
    let mut steps = [0u8; 256];
    let scale = f64::from(TOTAL) / f64::from(counts.iter().sum::<u32>().max(1));
    for (symbol, count) in counts.iter().enumerate().filter(|(s, n)| **n > 0 && *s != rest) {
        let wanted = f64::from(*count) * scale;
        // The first step below whose geometric middle to the next it lies.
        steps[symbol] = (1..15).find(|s| wanted * wanted < f64::from(LADDER[*s] * LADDER[s + 1])).unwrap_or(15) as u8;
    }
    while sum(&steps) >= TOTAL {
        let highest = (0..256).max_by_key(|s| steps[*s])?;
        steps[highest] -= 1;
    }
    let used: Vec<u8> =
        shape.order[..shape.alphabet()].iter().filter(|s| usize::from(**s) != rest).map(|s| steps[usize::from(*s)]).collect();
    let end = used.iter().rposition(|s| *s > 0).map_or(0, |at| at + 1);
    let mut bits = BitWriter::default();
    let mut steps = used[..end].iter().peekable();
    while let Some(step) = steps.next() {
        bits.put(u64::from(*step), 4);
        if *step == 0 {
            let mut more = 0;
            while more < 15 && steps.next_if(|s| **s == 0).is_some() {
                more += 1;
            }
            bits.put(more, 4);
        }
    }
    let mut bytes = vec![rest as u8];
    put_section(&mut bytes, &bits.finish());
    Some(bytes)
}

fn ladder(shape: &Shape, reader: &mut Reader<'_>) -> Result<[u16; 256], SegmentError> {
    let rest = reader.byte()?;
    let ladder = reader.section()?;
    let mut steps = [0u8; 256];
    // Two steps a byte; the last byte's high half may be padding.
    let (mut bits, mut halves) = (BitReader::new(ladder.0), ladder.0.len() * 2);
    let mut order = shape.order[..shape.alphabet()].iter().filter(|s| **s != rest);
    while halves > 0 {
        let step = bits.take(4)? as u8;
        halves -= 1;
        if step > 0 {
            steps[usize::from(*order.next().ok_or(SegmentError::Unreadable)?)] = step;
        } else if halves > 0 {
            halves -= 1;
            for _ in 0..=bits.take(4)? {
                order.next().ok_or(SegmentError::Unreadable)?;
            }
        }
    }
    if usize::from(rest) >= shape.alphabet() {
        return Err(SegmentError::Unreadable);
    }
    let left = TOTAL.checked_sub(sum(&steps)).filter(|left| *left > 0).ok_or(SegmentError::Unreadable)?;
    let mut frequencies = steps.map(|s| LADDER[usize::from(s & 15)] as u16);
    frequencies[usize::from(rest)] = left as u16;
    Ok(frequencies)
}

/// By symbol, of [`TOTAL`]; together just that.
fn frequencies(shape: &Shape, reader: &mut Reader<'_>) -> Result<[u16; 256], SegmentError> {
    if shape.paired { paired(shape, reader) } else { ladder(shape, reader) }
}

/// Values made at a time: whole tuples of every shape.
const CHUNK: usize = 510;

/// Appends the values that `count` tokens make, to the end of the bytes.
pub(crate) fn decode(mut reader: Reader<'_>, count: usize, values: &mut impl Values, into: &mut Vec<i64>) -> Result<(), SegmentError> {
    let shape = SHAPES.get(usize::from(reader.byte()?)).ok_or(SegmentError::Unreadable)?;
    let mut slots = [0; TOTAL as usize];
    fill(&mut slots, &frequencies(shape, &mut reader)?)?;
    let beyond = reader.section()?;
    let mut states = [0u32; 2];
    for state in &mut states {
        *state = u32::from_le_bytes(*reader.take(4)?.first_chunk::<4>().ok_or(SegmentError::Unreadable)?);
    }
    let mut symbols = Symbols { shape, slots, states, words: reader.0, read: 0, beyond, short: false };
    let mut chunk = [0i64; CHUNK];
    for from in (0..count).step_by(CHUNK) {
        let chunk = chunk.get_mut(..CHUNK.min(count - from)).unwrap_or_default();
        match shape.digits {
            1 => symbols.unpack::<1>(values, chunk),
            2 => symbols.unpack::<2>(values, chunk),
            3 => symbols.unpack::<3>(values, chunk),
            _ => symbols.unpack::<6>(values, chunk),
        }
        into.extend_from_slice(chunk);
    }
    symbols.end()
}

/// What tokens mean.
pub(crate) trait Values {
    /// The value of the next token.
    fn value(&mut self, token: u64) -> i64;
    /// The values of the next tokens, which are the digits of this tuple.
    fn tuple<const N: usize>(&mut self, tuple: &Tuple) -> [i64; N];
}

struct Symbols<'a> {
    shape: &'static Shape,
    slots: Slots,
    states: [u32; 2],
    words: &'a [u8],
    /// Bytes of the words that were read; more than there are where they end early.
    read: usize,
    beyond: Reader<'a>,
    /// Whether what is beyond a digit was missing.
    short: bool,
}

impl Symbols<'_> {
    /// Takes tuples of `N` digits from two states in turn. All but the rare digit that is not all depends on no branch: a
    /// mistaken guess would cost more than all else.
    #[inline(always)]
    fn unpack<const N: usize>(&mut self, values: &mut impl Values, into: &mut [i64]) {
        let Self { shape, slots, states, words, read, beyond, short } = self;
        let [mut this, mut next] = *states;
        let mut at = *read;
        let mut tuple = || {
            let slot = slots[(this & (TOTAL - 1)) as usize];
            let (frequency, place) = (slot >> 20, slot >> 8 & 0xFFF);
            let state = frequency.wrapping_mul(this >> SCALE).wrapping_add(place);
            let word = words.get(at..).and_then(<[u8]>::first_chunk::<2>).map_or(0, |word| u32::from(u16::from_le_bytes(*word)));
            let renewed = state < FLOOR;
            at = at.saturating_add(2 * usize::from(renewed));
            (this, next) = (next, if renewed { state << 16 | word } else { state });
            let tuple = &shape.tuples[(slot & 0xFF) as usize];
            if tuple.beyond {
                return rest::<N>(tuple, (shape.base - 1) as u8, beyond, short, values);
            }
            values.tuple::<N>(tuple)
        };
        let (tuples, rest) = into.as_chunks_mut::<N>();
        for place in tuples {
            *place = tuple();
        }
        if !rest.is_empty() {
            rest.iter_mut().zip(tuple()).for_each(|(place, value)| *place = value);
        }
        (*states, *read) = ([this, next], at);
    }

    /// The bytes held just what was read.
    fn end(&self) -> Result<(), SegmentError> {
        let whole = self.read == self.words.len() && self.states == [FLOOR; 2] && !self.short;
        if whole { self.beyond.end() } else { Err(SegmentError::Unreadable) }
    }
}

/// The values of a tuple some of whose digits are not all.
#[cold]
fn rest<const N: usize>(tuple: &Tuple, top: u8, beyond: &mut Reader<'_>, short: &mut bool, values: &mut impl Values) -> [i64; N] {
    let mut made = [0; N];
    for (value, digit) in made.iter_mut().zip(tuple.digits) {
        let more = if digit == top { beyond.number().ok() } else { Some(0) };
        let token = more.and_then(|more| more.checked_add(u64::from(digit)));
        *short |= token.is_none();
        *value = values.value(token.unwrap_or_default());
    }
    made
}

/// By the low bits of a state: frequency of the symbol (12 bits), place in it (12 bits), symbol (8 bits).
type Slots = [u32; TOTAL as usize];

fn fill(slots: &mut Slots, frequencies: &[u16; 256]) -> Result<(), SegmentError> {
    let mut left = slots.as_mut_slice();
    for (symbol, frequency) in frequencies.iter().enumerate().filter(|(_, f)| **f > 0) {
        let (these, after) = left.split_at_mut_checked(usize::from(*frequency)).ok_or(SegmentError::Unreadable)?;
        for (place, slot) in (0u32..).zip(these) {
            *slot = u32::from(*frequency) << 20 | place << 8 | symbol as u32;
        }
        left = after;
    }
    Ok(())
}
