//! `POST /sync/v1/session`: one message of a sync session, by a site that shows its certificate.

use super::stopped;
use crate::authority::fingerprint;
use crate::hub::{Hub, Stranger};
use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use protocol::StoreError;
use protocol::session::{SessionError, answer};
use protocol::wire::{self, Reply, Request, WireError};
use record::id::Hash;
use record::time::Timestamp;
use std::sync::Arc;
use web::listener::Peer;
use web::problem::Problem;
use web::recorder::{Busy, Desk};

/// Why a message was not answered.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Stranger(#[from] Stranger),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub async fn post(
    State(hub): State<Arc<Hub>>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let certificate = peer
        .certificate
        .ok_or_else(|| Problem::unauthorized("no-certificate", "a sync session needs the client certificate that enrolment gives"))?;
    if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != wire::CONTENT_TYPE) {
        let detail = format!("send Content-Type: {}", wire::CONTENT_TYPE);
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail));
    }
    let request: Request = wire::decode(&body).map_err(unreadable)?;
    let fingerprint = fingerprint(&certificate);
    let recorder = hub.recorder.clone();
    let answered = recorder.write(move |desk| one(&hub, desk, &fingerprint, request)).await;
    match answered {
        Ok(Ok(reply)) => Ok(([(CONTENT_TYPE, wire::CONTENT_TYPE)], wire::encode(&reply)).into_response()),
        Ok(Err(error)) => Err(refused(&error)),
        Err(busy @ Busy::Full) => Err(Problem::unavailable("busy", busy.to_string())),
        Err(Busy::Stopped) => Err(stopped()),
    }
}

/// Runs on the recorder, so that a membership that has ended has ended for every message after.
fn one(hub: &Hub, desk: Desk<'_>, certificate: &Hash, request: Request) -> Result<Reply, Unanswered> {
    let caller = match hub.caller(certificate) {
        Err(Stranger::Revoked(site, revocation)) => {
            if matches!(request, Request::Push(_))
                && let Some(author) = hub.fleet().site(site.as_str())?.and_then(|row| row.replica)
            {
                let mut tx = desk.store.begin()?;
                tx.put_incident(&revocation.incident(&site, author, desk.now.wall))?;
                tx.commit()?;
            }
            return Err(Stranger::Revoked(site, revocation).into());
        }
        other => other?,
    };
    let (reply, learned) = answer(desk.replica, desk.store, desk.now, caller.replica, request)?;
    for refused in &learned.accepted.refused {
        tracing::warn!(site = %caller.site, chain = ?refused.chain, reason = refused.reason, "a stretch was refused");
    }
    hub.note_alerts(caller.replica, &learned.accepted.documents);
    let mut status = caller.row.status;
    let now = desk.now.wall;
    if let Some((program, waiting, oldest)) = &learned.status {
        status.opened(now, program, *waiting, oldest.map(Timestamp));
    }
    if let Some(equal) = learned.equal {
        status.closed(now, equal);
    }
    if learned.status.is_some() || learned.equal.is_some() {
        hub.fleet().put_status(caller.site.as_str(), &status)?;
    }
    Ok(reply)
}

fn unreadable(error: WireError) -> Problem {
    match error {
        WireError::TooLarge(_) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", error.to_string()),
        WireError::Version(_) => Problem::bad_request("sync-version", error.to_string()),
        WireError::Unreadable => Problem::bad_request("unreadable", error.to_string()),
    }
}

fn refused(error: &Unanswered) -> Problem {
    match error {
        Unanswered::Stranger(Stranger::Unknown) => Problem::unauthorized("unknown-certificate", error.to_string()),
        Unanswered::Stranger(Stranger::Revoked(..)) => Problem::forbidden("revoked", error.to_string()),
        Unanswered::Session(SessionError::WrongSite) => Problem::new(StatusCode::CONFLICT, "wrong-site", error.to_string()),
        Unanswered::Session(SessionError::Receipt | SessionError::OutOfTurn) => Problem::bad_request("out-of-turn", error.to_string()),
        Unanswered::Session(SessionError::Store(_)) | Unanswered::Store(_) | Unanswered::Stranger(Stranger::Store(_)) => {
            tracing::error!(%error, "a sync message was not answered");
            Problem::unavailable("store", "the hub cannot write: nothing of this message was kept")
        }
    }
}
