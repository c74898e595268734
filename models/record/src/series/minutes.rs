//! A series by the minute: lowest, highest, mean. What a chart of a day draws, without opening the day.
//!
//! Always: exact. A sum is of digits, not of floats, so that minutes add up to hours on any machine alike. A value the device
//! doubts counts for nothing but is marked, as is a missing one.

use super::codec::bits::{BitReader, BitWriter};
use super::codec::bytes::{Reader, put, put_section, put_signed};
use super::codec::numbers;
use super::{Samples, SegmentError, SegmentView};
use crate::code::Code;
use crate::observation::Quality;
use crate::unit::Unit;
use std::collections::BTreeMap;

/// Minutes one summary may span, gaps left out.
pub const MINUTES_MAX: usize = 1 << 16;
/// Digits past which a value is left out, as if it were doubted: no vital has them, and sums must not overflow.
const MANTISSA_LIMIT: i64 = 1 << 43;
const US: i64 = 60_000_000;

/// Minutes of one series, ascending.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Minutes {
    /// The power of ten of all digits here.
    pub exponent: i8,
    /// Each minute that has anything.
    pub rows: Vec<Minute>,
}

/// What was measured in one minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Minute {
    /// Which, since 1970-01-01T00:00Z.
    pub minute: i64,
    /// Digits of the lowest value; 0 without values.
    pub min: i64,
    /// Digits of the highest value.
    pub max: i64,
    /// Sum of all digits.
    pub sum: i64,
    /// Values counted.
    pub count: u32,
    /// What else was said: [`ABSENT`], [`DOUBTED`], [`DEMO`].
    pub flags: u8,
}

/// Some samples had no value.
pub const ABSENT: u8 = 1;
/// Some values were doubted by the device, and not counted.
pub const DOUBTED: u8 = 2;
/// Some values are of a demonstration; they are counted.
pub const DEMO: u8 = 4;

impl SegmentView<'_> {
    /// Each numeric series by the minute; made when a segment is sealed or taken in.
    ///
    /// # Errors
    /// A segment that cannot be read.
    pub fn minutes(&self) -> Result<Vec<(Code, Unit, Minutes)>, SegmentError> {
        let mut found = Vec::new();
        for (code, unit, samples) in self.each_numeric()? {
            found.push((code, unit, Minutes::of(&samples)));
        }
        Ok(found)
    }
}

impl Minutes {
    /// Of samples in one unit.
    #[must_use]
    pub fn of(samples: &Samples) -> Self {
        let valued = samples.runs.iter().filter(|run| run.count > 0);
        let exponent = valued.filter_map(|run| run.value.as_ref().ok().copied()).min().unwrap_or(0);
        let mut rows: Vec<Minute> = Vec::new();
        let mut at = 0usize;
        for run in &samples.runs {
            let span = at..at.saturating_add(run.count);
            at = span.end;
            let (Some(times), Some(mantissas)) = (samples.at.get(span.clone()), samples.mantissas.get(span)) else { break };
            let scale = run.value.as_ref().ok().map(|e| 10i64.checked_pow(u32::from(e.abs_diff(exponent))));
            for (time, mantissa) in times.iter().zip(mantissas) {
                let minute = time.0.div_euclid(US);
                if rows.last().is_none_or(|row| row.minute != minute) {
                    rows.push(Minute { minute, ..Minute::default() });
                }
                let Some(row) = rows.last_mut() else { continue };
                let value =
                    scale.map(|scale| scale.and_then(|s| mantissa.checked_mul(s)).filter(|v| v.unsigned_abs() <= MANTISSA_LIMIT as u64));
                match value {
                    None => row.flags |= ABSENT,
                    Some(Some(value)) if run.quality != Quality::Questionable => {
                        row.flags |= if run.quality == Quality::Demo { DEMO } else { 0 };
                        row.add(&Minute { min: value, max: value, sum: value, count: 1, ..*row });
                    }
                    Some(_) => row.flags |= DOUBTED,
                }
            }
        }
        let mut minutes = Self { exponent, rows };
        minutes.sort();
        minutes
    }

    /// Takes in others of the same unit. Digits that do not fit one power of ten are left out, as if they were doubted.
    pub fn add(&mut self, others: &Self) {
        if self.rows.is_empty() {
            self.exponent = others.exponent;
        }
        self.rescale(self.exponent.min(others.exponent));
        let follows = self.rows.last().zip(others.rows.first()).is_none_or(|(last, first)| last.minute < first.minute);
        let held = self.rows.len();
        self.rows.extend_from_slice(&others.rows);
        if let Some(added) = self.rows.get_mut(held..) {
            rescale(added, others.exponent, self.exponent);
        }
        if !follows {
            self.sort();
        }
    }

    /// Ascending, each minute once: measured times may step back where a clock was corrected.
    fn sort(&mut self) {
        if self.rows.is_sorted_by(|a, b| a.minute < b.minute) {
            return;
        }
        let mut sorted: BTreeMap<i64, Minute> = BTreeMap::new();
        for row in self.rows.drain(..) {
            sorted.entry(row.minute).or_insert(Minute { minute: row.minute, ..Minute::default() }).add(&row);
        }
        self.rows.extend(sorted.into_values());
    }

    fn rescale(&mut self, exponent: i8) {
        rescale(&mut self.rows, self.exponent, exponent);
        self.exponent = exponent;
    }

    /// `[min, mean, max]` of each minute that has values, with the minute, for drawing.
    pub fn plotted(&self) -> impl Iterator<Item = (i64, [f64; 3])> {
        let (times, over) = (10f64.powi(i32::from(self.exponent).max(0)), 10f64.powi(-i32::from(self.exponent).min(0)));
        let shown = move |digits: f64| digits * times / over;
        let valued = self.rows.iter().filter(|row| row.count > 0);
        valued.map(move |row| {
            let mean = row.sum as f64 / f64::from(row.count);
            (row.minute, [shown(row.min as f64), shown(mean), shown(row.max as f64)])
        })
    }

    /// The bytes of it: about ten bits a quiet minute.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_signed(&mut out, i64::from(self.exponent));
        put(&mut out, self.rows.len() as u64);
        let first = self.rows.first().map_or(0, |row| row.minute);
        put_signed(&mut out, first);
        let steps: Vec<i64> = self.rows.windows(2).map(|pair| pair[1].minute.wrapping_sub(pair[0].minute)).collect();
        let counts: Vec<i64> = self.rows.iter().map(|row| i64::from(row.count)).collect();
        let flags: Vec<i64> = self.rows.iter().map(|row| i64::from(row.flags)).collect();
        for values in [&steps, &counts, &flags] {
            let mut column = Vec::new();
            numbers::encode(values, &mut column);
            put_section(&mut out, &column);
        }
        let lowest = self.rows.iter().map(|row| row.min).min().unwrap_or(0);
        let range = |row: &Minute| row.max.wrapping_sub(row.min) as u64;
        let above = self.rows.iter().map(|row| width(row.min.wrapping_sub(lowest) as u64)).max().unwrap_or(0);
        let spread = self.rows.iter().map(|row| width(range(row))).max().unwrap_or(0);
        put_signed(&mut out, lowest);
        out.extend([above as u8, spread as u8]);
        let mut bits = BitWriter::default();
        for row in &self.rows {
            bits.put(row.min.wrapping_sub(lowest) as u64, above);
            bits.put(range(row), spread);
            bits.put(row.sum.wrapping_sub(row.least()) as u64, row.room());
        }
        out.extend(bits.finish());
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// Other bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, SegmentError> {
        let mut reader = Reader(bytes);
        let exponent = i8::try_from(reader.signed()?).ok().filter(|e| (-18..=18).contains(e)).ok_or(SegmentError::Unreadable)?;
        let length = reader.count(MINUTES_MAX)?;
        let mut minute = reader.signed()?;
        let steps = Column::decode(reader.section()?, length.saturating_sub(1))?;
        let (counts, flags) = (Column::decode(reader.section()?, length)?, Column::decode(reader.section()?, length)?);
        let lowest = reader.signed()?;
        let (above, spread) = (u32::from(reader.byte()?), u32::from(reader.byte()?));
        if above > u64::BITS || spread > u64::BITS {
            return Err(SegmentError::Unreadable);
        }
        let mut bits = BitReader::new(reader.0);
        let mut rows = Vec::with_capacity(length);
        for at in 0..length {
            let step = if at == 0 { 0 } else { steps.at(at - 1) };
            minute = minute.checked_add(step).ok_or(SegmentError::Unreadable)?;
            let count = u32::try_from(counts.at(at)).map_err(|_| SegmentError::Unreadable)?;
            let min = lowest.wrapping_add(bits.take(above)? as i64);
            let max = min.wrapping_add(bits.take(spread)? as i64);
            let mut row = Minute { minute, min, max, sum: 0, count, flags: flags.at(at) as u8 };
            row.sum = row.least().wrapping_add(bits.take(row.room())? as i64);
            rows.push(row);
        }
        bits.end()?;
        Ok(Self { exponent, rows })
    }
}

/// Small numbers of each minute, mostly the same one.
enum Column {
    All(i64),
    Each(Vec<i64>),
}

impl Column {
    fn decode(section: Reader<'_>, length: usize) -> Result<Self, SegmentError> {
        if let Some(value) = numbers::constant(section).filter(|_| length > 0) {
            return Ok(Self::All(value));
        }
        let mut values = Vec::new();
        numbers::decode(section, length, &mut values)?;
        Ok(Self::Each(values))
    }

    fn at(&self, index: usize) -> i64 {
        match self {
            Self::All(value) => *value,
            Self::Each(values) => values.get(index).copied().unwrap_or_default(),
        }
    }
}

impl Minute {
    /// Takes in another of the same minute.
    fn add(&mut self, other: &Self) {
        self.flags |= other.flags;
        if other.count == 0 {
            return;
        }
        (self.min, self.max) = if self.count == 0 { (other.min, other.max) } else { (self.min.min(other.min), self.max.max(other.max)) };
        self.sum = self.sum.wrapping_add(other.sum);
        self.count = self.count.saturating_add(other.count);
    }

    /// What the sum cannot be below.
    fn least(&self) -> i64 {
        self.min.wrapping_mul(i64::from(self.count))
    }

    /// Bits that hold how far the sum is above [`Self::least`].
    fn room(&self) -> u32 {
        width((self.max.wrapping_sub(self.min) as u64).saturating_mul(u64::from(self.count)))
    }
}

/// Puts digits of one power of ten at a lower one.
fn rescale(rows: &mut [Minute], from: i8, to: i8) {
    let scale = 10i64.checked_pow(u32::from(from.abs_diff(to)));
    if scale == Some(1) {
        return;
    }
    for row in rows {
        let scaled = |digits: i64| scale.and_then(|scale| digits.checked_mul(scale));
        *row = match (scaled(row.min), scaled(row.max), scaled(row.sum)) {
            (Some(min), Some(max), Some(sum)) => Minute { min, max, sum, ..*row },
            _ => Minute { minute: row.minute, flags: row.flags | DOUBTED, ..Minute::default() },
        };
    }
}

const fn width(value: u64) -> u32 {
    u64::BITS - value.leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::super::Run;
    use super::*;
    use crate::observation::NoValue;
    use crate::time::Timestamp;
    use proptest::prelude::*;

    type Said = (i64, Result<(i64, i8), NoValue>, Quality);

    fn samples(list: &[Said]) -> Samples {
        let mut samples = Samples::default();
        for (at, value, quality) in list {
            samples.at.push(Timestamp(*at));
            samples.mantissas.push(value.as_ref().map_or(0, |v| v.0));
            let value = value.as_ref().map(|v| v.1).map_err(Clone::clone);
            samples.runs.push(Run { count: 1, unit: Unit::Percent, value, quality: *quality });
        }
        samples
    }

    #[test]
    fn doubted_and_missing_values_are_marked_and_not_counted() {
        let got = Minutes::of(&samples(&[
            (0, Ok((97, 0)), Quality::Good),
            (1, Ok((965, -1)), Quality::Good),
            (2, Ok((3, 0)), Quality::Questionable),
            (US, Err(NoValue::SensorOff), Quality::Good),
            (2 * US, Ok((50, 0)), Quality::Demo),
            // The clock is set back.
            (5, Ok((98, 0)), Quality::Good),
        ]));
        assert_eq!(got.exponent, -1);
        assert_eq!(
            got.rows,
            [
                Minute { minute: 0, min: 965, max: 980, sum: 970 + 965 + 980, count: 3, flags: DOUBTED },
                Minute { minute: 1, flags: ABSENT, ..Minute::default() },
                Minute { minute: 2, min: 500, max: 500, sum: 500, count: 1, flags: DEMO },
            ]
        );
        assert_eq!(got.plotted().map(|(minute, _)| minute).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(got.plotted().next().map(|(_, [min, _, max])| (min, max)), Some((96.5, 98.0)));
    }

    proptest! {
        #[test]
        fn minutes_survive_their_bytes(list in proptest::collection::vec(
            (any::<i32>(), prop_oneof![any::<i64>(), -300i64..300], -18i8..=18, 0u8..4), 0..200,
        )) {
            let list: Vec<_> = list.into_iter().map(|(at, mantissa, exponent, kind)| {
                let value = if kind == 0 { Err(NoValue::Artefact) } else { Ok((mantissa, exponent)) };
                (i64::from(at), value, [Quality::Good, Quality::Good, Quality::Questionable, Quality::Demo][usize::from(kind)])
            }).collect();
            let minutes = Minutes::of(&samples(&list));
            let bytes = minutes.encode();
            prop_assert_eq!(Minutes::decode(&bytes).expect("decode"), minutes);
            for cut in (0..bytes.len()).filter(|cut| *cut < 12 || cut % 61 == 0 || cut + 2 > bytes.len()) {
                prop_assert!(Minutes::decode(&bytes[..cut]).is_err());
            }
        }

        #[test]
        fn minutes_of_any_bytes_are_refused_or_bounded(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(minutes) = Minutes::decode(&bytes) {
                prop_assert!(minutes.rows.len() <= MINUTES_MAX);
            }
        }
    }
}
