//! What a session costs when nothing, or one document, has changed: on a warm connection.

use super::Context;
use crate::chance::Chance;
use crate::data::visits::visit;
use crate::link::{Hub, Line};
use crate::measure::median;
use crate::proxy::Wire;
use crate::report::{Goal, Row};
use crate::world::{World, patient};
use anyhow::{Context as _, Result, ensure};
use protocol::{Draft, Where};
use record::id::{ReplicaId, ResourceId};
use serde_json::json;
use tempfile::TempDir;

/// Patients of the site.
const PATIENTS: usize = 100;

/// A site and its hub, equal.
struct Pair {
    site: World,
    hub_id: ReplicaId,
    line: Line,
    wire: Wire,
    document: ResourceId,
    patients: usize,
    _hub: Hub,
    _scratch: TempDir,
}

fn pair(context: &Context) -> Result<Pair> {
    let scratch = context.scratch()?;
    let mut site = World::open(scratch.path(), 1, 1)?;
    let hub = World::open(scratch.path(), 2, 1)?;
    let known = hub.peer();
    site.replica.admit(&mut site.store, crate::clock::now(), &mut site.chance, known)?;
    let patients = context.size(PATIENTS, 2);
    site.admit(patients)?;
    let place = Where::Patient(patient(1)?);
    let resource = visit(1, 1, &mut Chance::new(1)).into_iter().next().context("an empty visit")?;
    let written = site.write(vec![Draft::Create { place, resource }])?;
    let document = written.documents.first().context("nothing was written")?.id.clone();
    let hub = Hub::serve(hub, site.replica.id())?;
    let wire = Wire::to(hub.address)?;
    let mut line = Line::to(wire.port)?;
    line.session(&mut site, known.replica)?;
    Ok(Pair { site, hub_id: known.replica, line, wire, document, patients, _hub: hub, _scratch: scratch })
}

/// Nothing has changed.
pub fn idle(context: &Context) -> Result<Vec<Row>> {
    let mut pair = pair(context)?;
    let (mut application, mut on_the_wire, mut trips) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..context.rounds {
        let (bytes, asked) = (pair.line.application_bytes, pair.line.round_trips);
        let before = crossed(&pair.wire);
        pair.line.session(&mut pair.site, pair.hub_id)?;
        application.push((pair.line.application_bytes - bytes) as f64);
        trips.push((pair.line.round_trips - asked) as f64);
        on_the_wire.push((crossed(&pair.wire) - before) as f64);
    }
    let wire = median(on_the_wire).unwrap_or(f64::NAN);
    Ok(vec![
        Row::new("sync-idle-bytes", "application B", median(application), Goal::OursAtMost(200.0))
            .note(format!("{} patients; both ways; {wire} B on the wire with HTTP/2 frames, without TLS", pair.patients)),
        Row::new("sync-idle-trips", "round trips", median(trips), Goal::OursAtMost(1.0)),
    ])
}

/// One element of one document has changed.
pub fn one_document(context: &Context) -> Result<Vec<Row>> {
    let mut pair = pair(context)?;
    let mut bytes = Vec::new();
    for round in 0..context.rounds {
        let elements =
            json!({"valueQuantity": {"value": 80 + round, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"}});
        let elements = elements.as_object().cloned().unwrap_or_default();
        let id = pair.document.clone();
        pair.site.write(vec![Draft::Update { resource_type: "Observation".into(), id, elements, if_match: None }])?;
        let before = crossed(&pair.wire);
        let summary = pair.line.session(&mut pair.site, pair.hub_id)?;
        ensure!(summary.sent == 1, "{} entries went", summary.sent);
        bytes.push((crossed(&pair.wire) - before) as f64);
    }
    Ok(vec![
        Row::new("sync-one-document", "B on the wire", median(bytes), Goal::OursAtMost(600.0))
            .note(format!(
                "one element of one document changed, {} patients; a whole session, both ways, with HTTP/2 frames, without TLS",
                pair.patients
            ))
            .bound_by("messages that name every chain's head"),
    ])
}

fn crossed(wire: &Wire) -> u64 {
    let (up, down) = wire.crossed();
    up + down
}
