//! Acknowledging an alert from the hub: an entry in the patient's scope, which the site takes with its next sync.

use super::{unheard, wake};
use crate::hub::{ALERT, Hub};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use hub_api::alert::AlertAcknowledged;
use protocol::commit::DocumentState;
use protocol::replica::CommitError;
use protocol::{Commit, Draft};
use record::id::{ReplicaId, ResourceId};
use record::ledger::Act;
use record::ledger::body::AuditEvent;
use std::sync::Arc;
use web::accounts::Role;
use web::problem::Problem;
use web::recorder::Desk;
use web::session::Session;

pub async fn acknowledge(
    State(hub): State<Arc<Hub>>,
    session: Session,
    Path(id): Path<String>,
) -> Result<axum::Json<AlertAcknowledged>, Problem> {
    session.require_role(&[Role::Nurse, Role::Operator, Role::Admin])?;
    let alert: ResourceId = id.parse().map_err(|_| unknown(&id))?;
    let written = hub.recorder.write(move |desk| write(desk, alert, &session));
    let (site, state) = written.await.map_err(unheard)?.map_err(|error| match error {
        CommitError::UnknownDocument(_) => unknown(&id),
        other => {
            tracing::error!(error = %other, "an acknowledgement was not written");
            Problem::unavailable("store", "the hub cannot write: the alert is not acknowledged")
        }
    })?;
    let state = state.ok_or_else(|| unknown(&id))?;
    let (at, by) = state.acknowledged.clone().ok_or_else(|| unknown(&id))?;
    if let Some(site) = site {
        hub.note_alerts(site, &[state]);
        wake(&hub, site).await;
    }
    Ok(axum::Json(AlertAcknowledged { id, acknowledged_by: by, acknowledged_ms: at.millis() }))
}

type Written = (Option<ReplicaId>, Option<DocumentState>);

/// The acknowledgement and its audit event, both or neither.
fn write(desk: Desk<'_>, alert: ResourceId, session: &Session) -> Result<Written, CommitError> {
    let held = desk.store.begin()?.document(ALERT, &alert)?.filter(|document| !document.json.is_empty());
    let held = held.ok_or_else(|| CommitError::UnknownDocument(format!("{ALERT}/{alert}")))?;
    let event = AuditEvent {
        at: desk.now.wall,
        user: session.user.clone(),
        session: session.id.clone(),
        action: "acknowledge".to_owned(),
        what: vec![format!("{ALERT}/{alert}")],
        ok: true,
    };
    let commit = Commit {
        act: Act { user: session.user.clone(), session: session.id.clone(), reason: String::new() },
        drafts: vec![Draft::Acknowledge { alert: alert.clone(), by: session.user.clone(), at: desk.now.wall }, Draft::Audit(vec![event])],
        ..Commit::default()
    };
    let committed = desk.replica.commit(desk.store, desk.now, desk.entropy, &commit)?;
    let state = committed.documents.into_iter().find(|document| document.resource_type == ALERT && document.id == alert);
    Ok((desk.replica.creator_of(held.scope), state))
}

fn unknown(id: &str) -> Problem {
    let shown: String = id.chars().take(64).collect();
    Problem::new(StatusCode::NOT_FOUND, "unknown-alert", format!("no alert {shown} is known here"))
}
