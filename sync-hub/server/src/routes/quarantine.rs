//! What sites wrote after their membership had been revoked.

use super::{named, reason_fits, site_replica, unheard};
use crate::hub::Hub;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hub_api::quarantine::{AcceptQuarantine, QuarantineView, QuarantinedKind};
use protocol::store::State as Kept;
use record::id::ReplicaId;
use record::ledger::{Act as By, Kind};
use std::collections::BTreeMap;
use std::sync::Arc;
use web::accounts::Role;
use web::audit::{Act, Action, Disclosed};
use web::json::Json;
use web::problem::Problem;
use web::session::Session;

const LOOKS: [Role; 3] = [Role::Operator, Role::Admin, Role::Auditor];
const CHANGES: [Role; 2] = [Role::Operator, Role::Admin];
/// Entries counted for one answer.
const COUNTED_MAX: usize = 100_000;

pub async fn list(State(hub): State<Arc<Hub>>, session: Session) -> Result<axum::Json<Vec<QuarantineView>>, Problem> {
    session.require_role(&LOOKS)?;
    quarantined(&hub).await.map(axum::Json)
}

pub async fn accept(
    State(hub): State<Arc<Hub>>,
    session: Session,
    Path(site): Path<String>,
    Json(asked): Json<AcceptQuarantine>,
) -> Result<(Disclosed, axum::Json<Vec<QuarantineView>>), Problem> {
    session.require_role(&CHANGES)?;
    reason_fits(&asked.reason)?;
    let replica = site_replica(&hub, &site).await?;
    let act = By { user: session.user, session: session.id, reason: asked.reason.trim().to_owned() };
    let accepted = hub.recorder.write(move |desk| match desk.replica.has_revoked(replica) {
        false => Ok(false),
        // To revoke again what is known now lets through all that has come.
        true => desk.replica.revoke(desk.store, desk.now, desk.entropy, &act, replica).map(|_| true),
    });
    match accepted.await.map_err(unheard)? {
        Ok(true) => {}
        Ok(false) => return Err(Problem::new(StatusCode::CONFLICT, "not-revoked", format!("the membership of {site} has not ended"))),
        Err(error) => {
            tracing::error!(%error, "quarantined entries were not let through");
            return Err(Problem::unavailable("store", "the hub cannot write: nothing was let through"));
        }
    }
    hub.forget_alerts().await.map_err(|error| Problem::of_store(&error))?;
    let noted = Disclosed(Act::done(Action::Update, vec![format!("Site/{site}")]));
    Ok((noted, axum::Json(quarantined(&hub).await?)))
}

/// What is held of one site.
#[derive(Default)]
struct Held {
    entries: u64,
    oldest_ms: Option<u64>,
    kinds: BTreeMap<u16, u64>,
}

async fn quarantined(hub: &Arc<Hub>) -> Result<Vec<QuarantineView>, Problem> {
    let found = hub.recorder.read(|store| store.begin()?.in_state(Kept::Quarantined, None, COUNTED_MAX)).await;
    let found = found.map_err(|error| {
        tracing::error!(%error, "the quarantine cannot be read");
        Problem::of_store(&error)
    })?;
    let mut sites: BTreeMap<ReplicaId, Held> = BTreeMap::new();
    for entry in found {
        let held = sites.entry(entry.header.author).or_default();
        let written = entry.header.hlc.wall_ms;
        held.entries += 1;
        held.oldest_ms = Some(held.oldest_ms.map_or(written, |oldest| oldest.min(written)));
        *held.kinds.entry(entry.header.kind.0).or_default() += 1;
    }
    let names = named(hub).await?;
    let view = |(author, held): (ReplicaId, Held)| QuarantineView {
        site: names.of(author),
        entries: held.entries,
        oldest_ms: held.oldest_ms.and_then(|ms| i64::try_from(ms).ok()),
        kinds: held.kinds.into_iter().map(|(kind, entries)| QuarantinedKind { kind: word(Kind(kind)), entries }).collect(),
    };
    Ok(sites.into_iter().map(view).collect())
}

fn word(kind: Kind) -> String {
    let word = match kind {
        Kind::RUN_START => "run-start",
        Kind::DOCUMENTS => "documents",
        Kind::NUMERICS => "numerics",
        Kind::WAVES => "waves",
        Kind::BINDING => "binding",
        Kind::GRANT => "grant",
        Kind::AUDIT => "audit",
        Kind::REFILING => "refiling",
        Kind::SHED => "shed",
        Kind::MEMBERSHIP => "membership",
        Kind::ERASURE => "erasure",
        Kind::REVOCATION => "revocation",
        Kind::CONFIGURATION => "configuration",
        Kind(other) => return format!("kind:{other}"),
    };
    word.to_owned()
}
