//! Bytes of real recordings: sealed segments of a minute, headers counted, beside codecs that keep the values alone.

use super::Context;
use crate::data::numerics::START;
use crate::data::waveforms::{Channel, NAMED, Recording, SMOOTHED, read};
use crate::peers::codecs;
use crate::read::sealed_bytes;
use crate::report::{Goal, Row, Side};
use crate::world::{World, bed, device, patient, segment_of};
use anyhow::Result;
use record::code::Code;
use record::decimal::Decimal;
use record::observation::WaveBlock;
use record::series::{Boot, Frame, Segment, SegmentKind};
use record::time::Monotonic;
use record::unit::Unit;

/// Seconds of a segment of waves.
const MINUTE: usize = 60;

pub fn run(context: &Context) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (folder, record) in NAMED {
        let recording = || read(folder, record).map(|whole| if context.quick { whole.first(5) } else { whole });
        if folder == SMOOTHED {
            rows.extend(one(context, folder, recording().map(Recording::smoothed)));
            rows.extend(one(context, &format!("{folder}-unsmoothed"), recording()));
        } else {
            rows.extend(one(context, folder, recording()));
        }
    }
    Ok(rows)
}

fn one(context: &Context, name: &str, recording: Result<Recording>) -> Vec<Row> {
    let name = |peer: &str| format!("disk-real-{name}-{peer}");
    let row =
        |peer: &str, peer_name: &str, ours: Side, theirs: Side, goal| Row::against(&name(peer), "B/sample", ours, peer_name, theirs, goal);
    let sides = |recording: &Recording| -> Result<(f64, f64, [Side; 3])> {
        let scratch = context.scratch()?;
        let (file, sealed) = stored(context, recording)?;
        let channels = || recording.channels.iter().map(|channel| channel.samples.as_slice());
        let per = |bytes: usize| bytes as f64 / recording.values() as f64;
        let pco = codecs::pco(channels()).map(per).into();
        let flac = codecs::flac(&context.peers, scratch.path(), channels()).map(per).into();
        let lpc = (codecs::lpc32_entropy(channels()) / recording.values() as f64).into();
        Ok((per(file), per(sealed), [pco, flac, lpc]))
    };
    let (file, ours, [pco, flac, lpc]) = match recording.and_then(|recording| sides(&recording)) {
        Ok((file, sealed, peers)) => (file, Side::Measured(sealed), peers),
        Err(why) => (0.0, Side::Skipped(format!("{why:#}")), [Side::None, Side::None, Side::None]),
    };
    let bound = "the codec of segments";
    vec![
        row("pco", "pco alone, whole channels", ours.clone(), pco, Goal::LessThanPeer)
            .note(format!("sealed segments of {MINUTE} s with headers; the file grows by {file:.3} B/sample"))
            .bound_by(bound),
        row("flac", "FLAC -8, whole channels", ours.clone(), flac, Goal::LessThanPeer).bound_by(bound),
        row("lpc32", "entropy of order-32 LPC residuals", ours, lpc, Goal::RatioAtMost(1.1)).bound_by(bound),
    ]
}

/// Bytes the file grows by, and bytes of sealed payloads with their headers.
fn stored(context: &Context, recording: &Recording) -> Result<(usize, usize)> {
    let folder = context.scratch()?;
    let mut world = World::open(folder.path(), 1, 1)?;
    world.admit(1)?;
    let before = world.close()?;
    let mut world = World::open(folder.path(), 1, 2)?;
    for minute in frames(recording)?.chunks(MINUTE) {
        world.write(vec![segment_of(1, Segment::build(SegmentKind::Waves, minute)?)?])?;
    }
    let sealed = sealed_bytes(&mut world.store, &patient(1)?, true)?;
    Ok((usize::try_from(world.close()?.saturating_sub(before))?, sealed))
}

/// The recording as a monitor would have sent it: a frame a second, a block a channel.
fn frames(recording: &Recording) -> Result<Vec<Frame>> {
    let chunk = |channel: &Channel| channel.per_frame * recording.frames_hz;
    let seconds = recording.channels.iter().map(|channel| channel.samples.len().div_ceil(chunk(channel))).max().unwrap_or(0);
    let frame = |second: usize| {
        let measured = START.plus_micros(second as i64 * 1_000_000);
        let waves = recording.channels.iter().zip(170_000u32..).filter_map(|(channel, code)| {
            let raw = channel.samples.chunks(chunk(channel)).nth(second)?.to_vec();
            let (code, unit, scale) = (Code::Mdc(code), Unit::Millivolt, Decimal::new(5, -3));
            Some(WaveBlock { code, rate_hz: channel.rate_hz, unit, scale, raw, good: true, demo: false })
        });
        let waves: Vec<WaveBlock> = waves.collect();
        Ok(Frame {
            device: device(1)?,
            boot: Boot([1; 12]),
            first_seq: (second * waves.len()) as u64,
            arrived: measured,
            arrived_mono: Monotonic(second as u64 * 1_000_000),
            measured,
            device_time: Some(measured),
            offset_us: None,
            bed: Some(bed(1)?),
            numerics: Vec::new(),
            waves,
        })
    };
    (0..seconds).map(frame).collect()
}
