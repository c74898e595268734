//! Bytes on disk of a day of 40 series as monitors show them: the growth of the store's file, so with index, timestamps and encryption.

use super::Context;
use super::backfill::{HOUR, SERIES};
use crate::data::numerics::{Arrival, Column, columns, entropy_floor, frames};
use crate::peers::arrow::Arrow;
use crate::peers::codecs;
use crate::read::sealed_bytes;
use crate::report::{Goal, Row};
use crate::world::{World, patient, segment_of};
use anyhow::Result;
use record::series::{Segment, SegmentKind};

pub fn run(context: &Context) -> Result<Vec<Row>> {
    let scratch = context.scratch()?;
    let day = columns(SERIES, context.size(24, 1) * context.size(HOUR, 60), 41);
    let samples = day.iter().map(|column| column.values.len()).sum::<usize>() as f64;
    let (file, sealed) = stored(context, &day, Arrival::Even)?;
    let (late_file, late_sealed) = stored(context, &day, Arrival::Jitter)?;
    let series: Vec<Vec<i32>> = day.iter().map(|column| column.values.iter().map(|value| *value as i32).collect()).collect();
    let slices = || series.iter().map(Vec::as_slice);
    let per = |bytes: usize| bytes as f64 / samples;
    let pco = codecs::pco(slices()).map(per);
    let zstd = codecs::zstd_steps(slices()).map(per);
    let parquet =
        Arrow::prepare(&context.peers, scratch.path(), &day).and_then(|arrow| arrow.parquet()).map(|told| told.bytes as f64 / samples);
    let row = |name: &str, peer_name: &str, peer: Result<f64>, goal| Row::against(name, "B/sample", file / samples, peer_name, peer, goal);
    let bound = "the codec of segments; the file's pages and index add what the note says";
    Ok(vec![
        row("disk-numerics", "pco alone (values only)", pco, Goal::OursAtMost(0.20))
            .note(format!(
                "sealed payloads and headers {:.3} B/sample; entropy floor of the values {:.3}",
                sealed / samples,
                entropy_floor(&day)
            ))
            .bound_by(bound),
        row("disk-numerics-zstd", "zstd-19 on deltas (values only)", zstd, Goal::Told),
        row("disk-numerics-parquet", "Parquet zstd-12, a column a series", parquet, Goal::LessThanPeer).bound_by(bound),
        Row::new("disk-numerics-jitter", "B/sample", late_file / samples, Goal::Told).note(format!(
            "the same values, arrivals up to 4 ms late to the microsecond: 12 bits a frame that no codec can save; sealed {:.3}",
            late_sealed / samples
        )),
    ])
}

/// Bytes the file grows by, and bytes of sealed payloads with their headers.
fn stored(context: &Context, day: &[Column], arrival: Arrival) -> Result<(f64, f64)> {
    let folder = context.scratch()?;
    let mut world = World::open(folder.path(), 1, 1)?;
    world.admit(1)?;
    let before = world.close()?;
    let mut world = World::open(folder.path(), 1, 2)?;
    for hour in frames(day, 1, arrival)?.chunks(HOUR) {
        world.write(vec![segment_of(1, Segment::build(SegmentKind::Numerics, hour)?)?])?;
    }
    let sealed = sealed_bytes(&mut world.store, &patient(1)?, false)?;
    Ok((world.close()?.saturating_sub(before) as f64, sealed as f64))
}
