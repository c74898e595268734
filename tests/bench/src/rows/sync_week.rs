//! A week offline: 20 beds' numerics and their documents, then a line that is cut ten times at random bytes.
//!
//! The site goes to two hubs that know nothing yet: to one over a whole line, to the other over the bad one. What the bad line cost
//! more, divided by its cuts, is what a cut resends.

use super::Context;
use crate::chance::Chance;
use crate::data::numerics::{START, columns, frames};
use crate::data::visits::visit;
use crate::link::{Hub, Line};
use crate::measure::spent;
use crate::proxy::Wire;
use crate::read::{ALWAYS, all_sealed_bytes};
use crate::report::{Goal, Row};
use crate::world::{World, patient, segment_of};
use anyhow::{Context as _, Result, ensure};
use protocol::replica::patient_scope;
use protocol::store::DocumentFilter;
use protocol::{Draft, Store, Where};
use record::series::{Frame, Segment, SegmentKind};

const BEDS: usize = 20;
const HOURS: usize = 7 * 24;
/// Series of a bed, one value a second.
const SERIES: usize = 6;
/// Hours between rounds of a nurse who writes a visit for each bed.
const VISIT_EVERY: usize = 24;
const CUTS: usize = 10;

pub fn run(context: &Context) -> Result<Vec<Row>> {
    let scratch = context.scratch()?;
    let (beds, hours) = (context.size(BEDS, 2), context.size(HOURS, 2));
    let mut site = World::open(scratch.path(), 1, 1)?;
    let hubs = [World::open(scratch.path(), 2, 1)?, World::open(scratch.path(), 3, 1)?];
    let ids = [hubs[0].peer(), hubs[1].peer()];
    for peer in ids {
        site.replica.admit(&mut site.store, crate::clock::now(), &mut site.chance, peer)?;
    }
    site.admit(beds)?;
    eprintln!("  writing the week");
    let documents = write_week(context, &mut site, beds, hours)?;
    let sealed = all_sealed_bytes(&mut site.store)?;
    let [whole_hub, cut_hub] = hubs;

    eprintln!("  whole line");
    let whole_hub = Hub::serve(whole_hub, site.replica.id())?;
    let wire = Wire::to(whole_hub.address)?;
    let (_, took) = spent(|| Line::to(wire.port)?.session(&mut site, ids[0].replica))?;
    let whole = crossed(&wire);

    eprintln!("  bad line");
    let cut_hub = Hub::serve(cut_hub, site.replica.id())?;
    let wire = Wire::to(cut_hub.address)?;
    let mut chance = Chance::new(10);
    let mut cuts: Vec<u64> = (0..CUTS).map(|_| (whole as f64 * chance.unit()) as u64).collect();
    cuts.sort_unstable();
    let (mut early, mut before, mut held) = (0.0f64, 0, Vec::new());
    for at in cuts {
        wire.cut_after(at - before);
        before = at;
        let broken = Line::to(wire.port)?.session(&mut site, ids[1].replica);
        ensure!(broken.is_err(), "a session ended well before the cut at byte {at} of {whole}");
        let (there, segments) = holds(&mut cut_hub.world(), beds)?;
        let share = segments as f64 / (beds * hours) as f64;
        held.push(format!("{there}+{segments}"));
        if there < documents {
            early = early.max(share);
        }
    }
    Line::to(wire.port)?.session(&mut site, ids[1].replica)?;
    let cut = crossed(&wire);
    let all = holds(&mut cut_hub.world(), beds)?;
    ensure!(all == (documents, beds * hours), "the hub holds {all:?} in the end");

    let note = format!(
        "{hours} h, {beds} beds × {SERIES} series at 1 Hz in hourly segments, {documents} documents; {:.1} MB sealed; {CUTS} cuts at random bytes",
        sealed as f64 / 1e6
    );
    Ok(vec![
        Row::new("sync-week-wire", "× sealed bytes", cut as f64 / sealed as f64, Goal::OursAtMost(1.3))
            .note(&note)
            .note(format!("whole line {:.3} × in {:.1} s", whole as f64 / sealed as f64, took.wall.as_secs_f64()))
            .bound_by("batches that are sent again whole"),
        Row::new("sync-week-resent", "KiB/cut", cut.saturating_sub(whole) as f64 / CUTS as f64 / 1024.0, Goal::OursAtMost(64.0))
            .note("what the bad line carried more than the whole one, by cuts")
            .bound_by("a cut loses the batch it falls into, up to half a megabyte"),
        Row::new("sync-week-order", "share of segments before the last document", early, Goal::OursAtMost(0.0))
            .note(format!("documents+segments at the hub at each cut: {}", held.join(" ")))
            .bound_by("chains are taken by what comes next in them: documents behind segments in one chain wait"),
    ])
}

/// Writes it hour by hour, as it would have come; how many documents.
fn write_week(context: &Context, site: &mut World, beds: usize, hours: usize) -> Result<usize> {
    let seconds = context.size(3600, 30);
    let mut chance = Chance::new(7);
    let mut hour_of = (1..=beds)
        .map(|bed| frames(&columns(SERIES, seconds, bed as u64), bed, crate::data::numerics::Arrival::Even))
        .collect::<Result<Vec<Vec<Frame>>>>()?;
    let mut documents = 0;
    for hour in 0..hours {
        let mut drafts = Vec::new();
        for (bed, frames) in (1..).zip(&mut hour_of) {
            for (second, frame) in frames.iter_mut().enumerate() {
                let at = START.plus_micros(((hour * 3600 + second) * 1_000_000) as i64);
                (frame.measured, frame.arrived, frame.device_time) = (at, at, Some(at));
                frame.first_seq = ((hour * 3600 + second) * SERIES) as u64;
                // Another hour is another walk: the same steps from where the last one ended, no two alike.
                for numeric in &mut frame.numerics {
                    if let Ok(value) = &mut numeric.value
                        && chance.below(4) == 0
                    {
                        *value = record::decimal::Decimal::new(value.mantissa() + 1 - chance.below(3) as i64, value.exponent());
                    }
                }
            }
            drafts.push(segment_of(bed, Segment::build(SegmentKind::Numerics, frames)?)?);
        }
        if hour % VISIT_EVERY == 0 {
            for bed in 1..=beds {
                let place = Where::Patient(patient(bed)?);
                let written = visit(hour, bed, &mut chance);
                documents += written.len();
                drafts.extend(written.into_iter().map(|resource| Draft::Create { place: place.clone(), resource }));
            }
        }
        site.write(drafts)?;
    }
    Ok(documents)
}

/// Observations and segments a hub can show.
fn holds(hub: &mut World, beds: usize) -> Result<(usize, usize)> {
    let mut tx = hub.store.begin()?;
    let filter = DocumentFilter { resource_type: "Observation".into(), limit: usize::MAX, ..DocumentFilter::default() };
    let documents = tx.documents(&filter)?.len();
    let mut segments = 0;
    for bed in 1..=beds {
        if let Some(scope) = patient_scope(tx.as_mut(), &patient(bed)?).context("scopes")? {
            segments += tx.segments(scope, false, ALWAYS.0, ALWAYS.1, usize::MAX)?.len();
        }
    }
    Ok((documents, segments))
}

fn crossed(wire: &Wire) -> u64 {
    let (up, down) = wire.crossed();
    up + down
}
