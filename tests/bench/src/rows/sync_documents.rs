//! 3,000 small documents from a site to its hub, and from PouchDB to pouchdb-server, each through a wire that counts.

use super::Context;
use crate::chance::Chance;
use crate::data::visits::{VISIT, visit};
use crate::link::{Hub, Line};
use crate::measure::{median, spent};
use crate::peers::pouch::Pouch;
use crate::proxy::Wire;
use crate::report::{Goal, Row, Side};
use crate::world::{World, patient};
use anyhow::{Error, Result, ensure};
use protocol::store::DocumentFilter;
use protocol::{Draft, Store, Where};
use serde_json::Value;
use std::net::Ipv4Addr;

/// Patients, each with one visit a round.
const PATIENTS: usize = 100;

/// Bytes a document, and documents a second, of each round.
#[derive(Default)]
struct Rounds {
    bytes: Vec<f64>,
    rate: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, documents: usize, bytes: u64, wall_s: f64) {
        self.bytes.push(bytes as f64 / documents as f64);
        self.rate.push(documents as f64 / wall_s);
    }
}

pub fn run(context: &Context) -> Result<Vec<Row>> {
    let scratch = context.scratch()?;
    let patients = context.size(PATIENTS, 2);
    let documents = patients * VISIT;
    let mut site = World::open(scratch.path(), 1, 1)?;
    let hub = World::open(scratch.path(), 2, 1)?;
    let known = hub.peer();
    site.replica.admit(&mut site.store, crate::clock::now(), &mut site.chance, known)?;
    site.admit(patients)?;
    let hub = Hub::serve(hub, site.replica.id())?;
    let wire = Wire::to(hub.address)?;
    let mut line = Line::to(wire.port)?;
    line.session(&mut site, known.replica)?;

    let pouch = Pouch::start(&context.peers, scratch.path());
    let pouch_wire = pouch.as_ref().ok().map(|server| Wire::to((Ipv4Addr::LOCALHOST, server.port).into())).transpose()?;
    let (mut ours, mut peer) = (Rounds::default(), Rounds::default());
    let mut peer_failed = None;
    for round in 0..context.rounds {
        eprintln!("  round {}", round + 1);
        let mut chance = Chance::new(round as u64);
        let visits: Vec<Vec<Value>> = (1..=patients).map(|number| visit(round * patients + number, number, &mut chance)).collect();
        for (number, documents) in (1..).zip(&visits) {
            let place = Where::Patient(patient(number)?);
            site.write(documents.iter().map(|resource| Draft::Create { place: place.clone(), resource: resource.clone() }).collect())?;
        }
        let before = crossed(&wire);
        let (summary, took) = spent(|| line.session(&mut site, known.replica))?;
        ensure!(summary.sent as usize >= patients, "{} entries for {patients} visits", summary.sent);
        let there = observations(&mut hub.world())?;
        ensure!(there == documents * (round + 1), "the hub shows {there} documents after {} rounds of {documents}", round + 1);
        ours.add(documents, crossed(&wire) - before, took.wall.as_secs_f64());
        if let (Ok(server), Some(wire)) = (&pouch, &pouch_wire) {
            let before = crossed(wire);
            match server.replicate(&visits, round, wire.port) {
                Ok(told) if told.written == documents => peer.add(documents, crossed(wire) - before, told.wall_s),
                Ok(told) => peer_failed = Some(anyhow::anyhow!("PouchDB wrote {} of {documents}", told.written)),
                Err(error) => peer_failed = Some(error),
            }
        }
    }
    let why: Option<Error> = pouch.err().or(peer_failed);
    let side = |values: Vec<f64>| why.as_ref().map_or_else(|| Side::from(median(values)), |why| Side::Skipped(format!("{why:#}")));
    let how = format!(
        "{documents} Observations of about 600 B of JSON, one visit of {VISIT} a commit, {patients} patients, a scope each; HTTP/2 without TLS"
    );
    let name = "PouchDB → pouchdb-server";
    Ok(vec![
        Row::against("sync-documents-bytes", "B/doc", median(ours.bytes), name, side(peer.bytes), Goal::OursAtMost(70.0))
            .note(&how)
            .bound_by("each document is sealed by itself: a header of its own (hashes, stamp) and zstd without what other documents have in common"),
        Row::against("sync-documents-rate", "docs/s", median(ours.rate), name, side(peer.rate), Goal::OursAtLeast(20_000.0))
            .note(&how)
            .bound_by("the hub opens, parses and shows each document before it answers, on one thread"),
    ])
}

/// Observations a hub can show.
fn observations(hub: &mut World) -> Result<usize> {
    let filter = DocumentFilter { resource_type: "Observation".into(), limit: usize::MAX, ..DocumentFilter::default() };
    Ok(hub.store.begin()?.documents(&filter)?.len())
}

fn crossed(wire: &Wire) -> u64 {
    let (up, down) = wire.crossed();
    up + down
}
