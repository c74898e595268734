//! What frames have besides values: numbers and times, a column each. A steady cadence costs a few bytes however long.

use super::codec::bytes::{Reader, put_section};
use super::codec::numbers;
use super::{Frame, SegmentError};
use crate::time::{Monotonic, Timestamp};

/// The columns, in the order in which they are kept; the first is all that reading one series takes.
const COLUMNS: usize = 8;

/// A frame without its values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub first_seq: u64,
    pub measured: Timestamp,
    pub arrived: Timestamp,
    pub arrived_mono: Monotonic,
    pub device_time: Option<Timestamp>,
    pub offset_us: Option<i64>,
}

impl From<&Frame> for Arrival {
    fn from(frame: &Frame) -> Self {
        let Frame { first_seq, measured, arrived, arrived_mono, device_time, offset_us, .. } = *frame;
        Self { first_seq, measured, arrived, arrived_mono, device_time, offset_us }
    }
}

/// Appends arrivals: each clock as how it runs against another, since two clocks drift slower than either jitters.
pub(super) fn encode(arrivals: &[Arrival], out: &mut Vec<u8>) {
    let mut columns: [Vec<i64>; COLUMNS] = Default::default();
    let (mut measured, mut seq) = (0i64, 0i64);
    for a in arrivals {
        let [measured_steps, seq_steps, lags, monos, timed, device_lags, offset, offsets] = &mut columns;
        measured_steps.push(a.measured.0.wrapping_sub(std::mem::replace(&mut measured, a.measured.0)));
        seq_steps.push((a.first_seq as i64).wrapping_sub(std::mem::replace(&mut seq, a.first_seq as i64)));
        lags.push(a.arrived.0.wrapping_sub(a.measured.0));
        monos.push((a.arrived_mono.0 as i64).wrapping_sub(a.arrived.0));
        timed.push(i64::from(a.device_time.is_some()));
        device_lags.extend(a.device_time.map(|t| t.0.wrapping_sub(a.measured.0)));
        offset.push(i64::from(a.offset_us.is_some()));
        offsets.extend(a.offset_us);
    }
    let mut column = Vec::new();
    for (at, values) in columns.iter().enumerate() {
        column.clear();
        // The first step is from zero, and would be the only one of its kind.
        let split = usize::from(at < 2).min(values.len());
        numbers::encode(&values[..split], &mut column);
        let mut rest = Vec::new();
        numbers::encode(&values[split..], &mut rest);
        if at < 2 {
            put_section(out, &column);
        }
        put_section(out, &rest);
    }
}

/// Appends the measured times of `count` frames.
pub(super) fn measured(reader: &mut Reader<'_>, count: usize, into: &mut Vec<Timestamp>) -> Result<(), SegmentError> {
    let (mut first, rest) = (Vec::new(), count.saturating_sub(1));
    numbers::decode(reader.section()?, count.min(1), &mut first)?;
    let section = reader.section()?;
    let Some(mut at) = first.first().copied() else { return section.end() };
    into.reserve(count);
    into.push(Timestamp(at));
    if let Some(step) = numbers::constant(section).filter(|_| rest > 0) {
        into.extend((1..=rest as i64).map(|n| Timestamp(step.wrapping_mul(n).wrapping_add(at))));
        return Ok(());
    }
    let mut steps = Vec::new();
    numbers::decode(section, rest, &mut steps)?;
    into.extend(steps.into_iter().map(|step| {
        at = at.wrapping_add(step);
        Timestamp(at)
    }));
    Ok(())
}

/// All of `count` arrivals, to the end of the bytes.
pub(super) fn decode(mut reader: Reader<'_>, count: usize) -> Result<Vec<Arrival>, SegmentError> {
    let (mut times, mut seqs) = (Vec::new(), Vec::new());
    measured(&mut reader, count, &mut times)?;
    // Sequence numbers are steps too.
    measured(&mut reader, count, &mut seqs)?;
    let mut column = |count: usize| {
        let mut values = Vec::new();
        numbers::decode(reader.section()?, count, &mut values)?;
        Ok(values)
    };
    let (lags, monos) = (column(count)?, column(count)?);
    let mut optional = || {
        let present = column(count)?;
        let held = present.iter().filter(|p| **p != 0).count();
        let mut values = column(held)?.into_iter();
        Ok(present.into_iter().map(move |p| if p == 0 { None } else { values.next() }))
    };
    let (mut device, mut offsets) = (optional()?, optional()?);
    reader.end()?;
    let all = times.into_iter().zip(seqs).zip(lags.into_iter().zip(monos));
    Ok(all
        .map(|((Timestamp(measured), Timestamp(seq)), (lag, mono))| {
            let arrived = measured.wrapping_add(lag);
            Arrival {
                first_seq: seq as u64,
                measured: Timestamp(measured),
                arrived: Timestamp(arrived),
                arrived_mono: Monotonic(mono.wrapping_add(arrived) as u64),
                device_time: device.next().flatten().map(|lag| Timestamp(measured.wrapping_add(lag))),
                offset_us: offsets.next().flatten(),
            }
        })
        .collect())
}
