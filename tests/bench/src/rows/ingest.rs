//! Durable live ingest: one second of 20 beds is one durable commit, acknowledged after `fdatasync`, encrypted.
//!
//! Held against what the disk allows (appending a tick's journal bytes to a file, `fdatasync` each time) and against servers that take
//! the same tick as one durable write.

use super::Context;
use crate::data::ticks::{SAMPLES, ticks};
use crate::measure::{Spent, median, spent};
use crate::peers::disk::Log;
use crate::peers::influx::Influx;
use crate::peers::postgres::{Layout, Postgres};
use crate::report::{Goal, Row, Side};
use crate::world::World;
use anyhow::{Error, Result};
use record::series::encode_tick;
use std::path::PathBuf;
use std::time::Duration;

/// What a side took in each round: ticks a second, and CPU µs a tick.
#[derive(Default)]
struct Rounds {
    per_second: Vec<f64>,
    cpu_us: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, times: usize, took: Spent, cpu: Duration) {
        self.per_second.push(took.per_second(times));
        self.cpu_us.push(cpu.as_secs_f64() * 1e6 / times as f64);
    }
    fn rate(&self) -> Option<f64> {
        median(self.per_second.clone())
    }
    fn samples(&self) -> Option<f64> {
        self.rate().map(|rate| rate * SAMPLES as f64)
    }
    fn cpu(&self) -> f64 {
        median(self.cpu_us.clone()).unwrap_or(f64::NAN)
    }
}

/// One tick into a side: which of the prepared ones.
type Write<'a> = dyn FnMut(usize) -> Result<()> + 'a;

pub fn run(context: &Context) -> Result<Vec<Row>> {
    let scratch = context.scratch()?;
    let (ours_times, peer_times) = (context.size(400, 4), context.size(40, 2));
    let all = ticks(0, context.size(60, 2))?;
    let encoded: Vec<Vec<u8>> = all.iter().map(|frames| encode_tick(frames).concat()).collect();
    let bytes = encoded.iter().map(Vec::len).sum::<usize>() / encoded.len();
    let mut world = World::open(scratch.path(), 1, 1)?;
    world.admit(crate::data::ticks::BEDS)?;
    let mut log = Log::create(scratch.path())?;

    let mut postgres = Postgres::start(&context.peers, scratch.path());
    let prepared = |layout| -> Result<Vec<_>, Error> {
        let Ok(server) = &postgres else { return Ok(vec![]) };
        all.iter().enumerate().map(|(at, frames)| server.prepare(&format!("{layout:?}-{at}"), frames, layout)).collect()
    };
    let (rows_files, block_files) = (prepared(Layout::Rows)?, prepared(Layout::Blocks)?);
    let mut influx = Influx::start(&context.peers, scratch.path());
    let lines: Vec<Vec<u8>> = if influx.is_ok() { all.iter().map(|frames| Influx::lines(frames)).collect() } else { vec![] };

    let (mut ours, mut disk) = (Rounds::default(), Rounds::default());
    let (mut pg_rows, mut pg_blocks, mut flux) = (Rounds::default(), Rounds::default(), Rounds::default());
    for round in 0..context.rounds {
        eprintln!("  round {}", round + 1);
        let mut fresh: Vec<_> = (0..ours_times).map(|at| pick(&all, at).clone()).collect();
        let took = each(ours_times, &mut |at| world.tick(std::mem::take(&mut fresh[at])).map(drop))?;
        ours.add(ours_times, took, took.cpu);
        let took = each(ours_times, &mut |at| log.append(pick::<Vec<u8>>(&encoded, at)))?;
        disk.add(ours_times, took, took.cpu);
        if let Ok(server) = &mut postgres {
            for (rounds, files, layout) in [(&mut pg_rows, &rows_files, Layout::Rows), (&mut pg_blocks, &block_files, Layout::Blocks)] {
                let before = server.cpu();
                let took = each(peer_times, &mut |at| server.copy(pick::<PathBuf>(files, at), layout))?;
                rounds.add(peer_times, took, server.cpu().saturating_sub(before));
            }
        }
        if let Ok(server) = &mut influx {
            let before = server.cpu();
            let took = each(peer_times, &mut |at| server.write(pick::<Vec<u8>>(&lines, at)))?;
            flux.add(peer_times, took, server.cpu().saturating_sub(before));
        }
    }
    let pg_name = match &mut postgres {
        Ok(server) => format!("PostgreSQL {} COPY", server.version()?),
        Err(_) => "PostgreSQL COPY".to_owned(),
    };
    let flux_name = influx.as_ref().map_or("InfluxDB".to_owned(), |server| format!("InfluxDB {} line protocol", server.version));
    let side =
        |server: Option<&Error>, value: Option<f64>| server.map_or_else(|| Side::from(value), |why| Side::Skipped(format!("{why:#}")));
    // No more than this can be reached by a commit that costs nothing but its one `fdatasync`.
    let ceiling = disk.samples().zip(pg_rows.samples()).map_or(f64::NAN, |(disk, peer)| disk / peer);
    let (pg_error, flux_error) = (postgres.as_ref().err(), influx.as_ref().err());
    Ok(vec![
        Row::against("ingest-ticks", "ticks/s", ours.rate(), "fdatasync append of the same bytes", disk.rate(), Goal::RatioAtLeast(0.8))
            .note(format!("a tick is {SAMPLES} values, {bytes} B in the journal"))
            .note(format!("CPU µs a tick: ours {:.0}, append {:.0}", ours.cpu(), disk.cpu()))
            .bound_by(
                "one fdatasync a commit, as the peer's; then CPU: the waves' prediction, six pages written to the log, their encryption",
            ),
        Row::against(
            "ingest-postgresql",
            "samples/s",
            ours.samples(),
            &format!("{pg_name}, a row a value"),
            side(pg_error, pg_rows.samples()),
            Goal::RatioAtLeast(10.0),
        )
        .note(format!("CPU µs a tick: ours {:.0}, PostgreSQL {:.0}", ours.cpu(), pg_rows.cpu()))
        .bound_by(&format!(
            "the disk: each commit waits for one fdatasync, and appending with nothing else done would be {ceiling:.1} × the peer"
        )),
        Row::against(
            "ingest-postgresql-blocks",
            "samples/s",
            ours.samples(),
            &format!("{pg_name}, a row a wave block (int4[])"),
            side(pg_error, pg_blocks.samples()),
            Goal::Told,
        )
        .note(format!(
            "the layout that flatters the peer; CPU µs a tick: ours {:.0}, PostgreSQL {:.0}",
            ours.cpu(),
            pg_blocks.cpu()
        )),
        Row::against(
            "ingest-influxdb",
            "samples/s",
            ours.samples(),
            &flux_name,
            side(flux_error, flux.samples()),
            Goal::RatioAtLeast(10.0),
        )
        .note(format!("CPU µs a tick: ours {:.0}, InfluxDB {:.0}", ours.cpu(), flux.cpu())),
    ])
}

/// One tick after the other, each waited for.
fn each(times: usize, write: &mut Write<'_>) -> Result<Spent> {
    let ((), took) = spent(|| (0..times).try_for_each(write))?;
    Ok(took)
}

fn pick<T>(all: &[T], at: usize) -> &T {
    &all[at % all.len()]
}
