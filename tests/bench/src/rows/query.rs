//! A day of one series out of 40, warm: value by value, and by minutes. The middle of many questions.

use super::Context;
use super::backfill::{HOUR, SERIES};
use crate::data::numerics::{Arrival, columns, frames};
use crate::measure::{median, spent};
use crate::peers::arrow::Arrow;
use crate::read::{ALWAYS, Reading};
use crate::report::{Goal, Row};
use crate::world::{World, patient, segment_of};
use anyhow::{Result, ensure};
use record::code::Code;
use record::series::{Segment, SegmentKind};
use std::time::Duration;

/// Questions asked; fewer if they take longer than [`PATIENCE`] in all.
const ASKED: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);

pub fn run(context: &Context) -> Result<Vec<Row>> {
    let scratch = context.scratch()?;
    let hours = context.size(24, 1);
    let day = columns(SERIES, hours * context.size(HOUR, 60), 42);
    let mut world = World::open(scratch.path(), 1, 1)?;
    world.admit(1)?;
    for hour in frames(&day, 1, Arrival::Jitter)?.chunks(HOUR) {
        world.write(vec![segment_of(1, Segment::build(SegmentKind::Numerics, hour)?)?])?;
    }
    let seconds = day.first().map_or(0, |column| column.values.len());
    let mut reading = Reading::new(world.store.reader()?);
    let who = patient(1)?;
    eprintln!("  raw");
    let raw_ms = asked(&mut || {
        let values = reading.raw(&who, Code::SPO2, ALWAYS)?.at.len();
        ensure!(values == seconds, "{values} values instead of {seconds}");
        Ok(())
    })?;
    eprintln!("  by minutes");
    let minutes_ms = asked(&mut || {
        let found: usize = reading.minutes(&who, Code::SPO2, ALWAYS)?.iter().map(|(_, minutes)| minutes.rows.len()).sum();
        ensure!(found == seconds.div_ceil(60), "{found} minutes of {seconds} s");
        Ok(())
    })?;
    eprintln!("  peer");
    let arrow = Arrow::prepare(&context.peers, scratch.path(), &day).and_then(|arrow| arrow.duckdb_load().map(|_| arrow));
    let (duck_raw, duck_minutes) = match &arrow {
        Ok(arrow) => (arrow.duckdb_raw().map(|told| told.wall_s * 1e3), arrow.duckdb_minutes().map(|told| told.wall_s * 1e3)),
        Err(why) => (Err(anyhow::anyhow!("{why:#}")), Err(anyhow::anyhow!("{why:#}"))),
    };
    let note = format!("{seconds} values of one series among {SERIES}, {hours} h; p50, everything warm");
    Ok(vec![
        Row::against("query-raw-24h", "ms", raw_ms, "DuckDB, to Arrow", duck_raw, Goal::OursAtMost(0.3))
            .note(&note)
            .bound_by("decoding: 2 to 3 ns a value, and writing 16 bytes of it"),
        Row::against("query-minute-24h", "ms", minutes_ms, "DuckDB, min/avg/max by time_bucket", duck_minutes, Goal::OursAtMost(0.05))
            .note(&note)
            .bound_by("a transaction of two statements, and unpacking the minutes that were kept packed"),
    ])
}

fn asked(question: &mut dyn FnMut() -> Result<()>) -> Result<Option<f64>> {
    question()?;
    let (mut took, mut all) = (Vec::new(), Duration::ZERO);
    while took.len() < ASKED && (all < PATIENCE || took.len() < 3) {
        let ((), one) = spent(&mut *question)?;
        all += one.wall;
        took.push(one.wall.as_secs_f64() * 1e3);
    }
    Ok(median(took))
}
