//! Backfill: a day of 40 series, 3.5 M numerics, from frames in memory to durable on disk. CPU time, for a box with little of it.

use super::Context;
use crate::data::numerics::{Arrival, columns, frames};
use crate::measure::{median, spent};
use crate::peers::arrow::Arrow;
use crate::report::{Goal, Row};
use crate::world::{World, segment_of};
use anyhow::Result;
use record::series::{Segment, SegmentKind};

/// Series of the day.
pub const SERIES: usize = 40;
/// Seconds of a segment of numerics.
pub const HOUR: usize = 3600;

pub fn run(context: &Context) -> Result<Vec<Row>> {
    let scratch = context.scratch()?;
    let day = columns(SERIES, context.size(24, 1) * context.size(HOUR, 60), 40);
    let samples = day.iter().map(|column| column.values.len()).sum::<usize>();
    let all = frames(&day, 1, Arrival::Jitter)?;
    let arrow = Arrow::prepare(&context.peers, scratch.path(), &day);
    let (mut ours, mut walls, mut peer) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..context.rounds {
        eprintln!("  round {}", round + 1);
        let folder = tempfile::tempdir_in(scratch.path())?;
        let mut world = World::open(folder.path(), 1, 1)?;
        world.admit(1)?;
        let (_, took) = spent(|| {
            let drafts = all.chunks(HOUR).map(|hour| segment_of(1, Segment::build(SegmentKind::Numerics, hour)?));
            world.write(drafts.collect::<Result<_>>()?)
        })?;
        ours.push(took.cpu.as_secs_f64() * 1e6 / samples as f64);
        walls.push(took.wall.as_secs_f64());
        if let Ok(arrow) = &arrow {
            peer.push(arrow.duckdb_load()?.cpu_s * 1e6 / samples as f64);
        }
    }
    let peer = arrow.map(|_| median(peer).unwrap_or(f64::NAN));
    let row = Row::against(
        "backfill",
        "CPU µs/sample",
        median(ours),
        "DuckDB CREATE TABLE AS from Arrow, CHECKPOINT",
        peer,
        Goal::OursAtMost(0.06),
    )
    .note(format!(
        "{samples} numerics in {} hourly segments, one durable commit; {:.2} s on the wall",
        all.len().div_ceil(HOUR),
        median(walls).unwrap_or(f64::NAN)
    ))
    .bound_by(
        "turning frames into a segment, then its serde, zstd and AES; `cargo xtask bench --only backfill` under callgrind tells the shares",
    );
    Ok(vec![row])
}
