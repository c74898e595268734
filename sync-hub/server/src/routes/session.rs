//! `POST /sync/v1/session`: one message of a sync session, by a site that shows its certificate.

use super::unheard;
use crate::authority::fingerprint;
use crate::hub::{Hub, Stranger};
use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use protocol::StoreError;
use protocol::session::SessionError;
use protocol::wire::{self, WireError};
use record::id::Hash;
use record::time::Timestamp;
use std::sync::Arc;
use web::listener::Peer;
use web::problem::Problem;
use web::recorder::Desk;
use web::sync;

/// Why a message was not answered.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Stranger(#[from] Stranger),
    #[error(transparent)]
    Wire(#[from] WireError),
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
    sync::check(&headers, &body)?;
    let fingerprint = fingerprint(&certificate);
    let recorder = hub.recorder.clone();
    let answered = recorder.write(move |desk| one(&hub, desk, &fingerprint, &body)).await;
    match answered {
        Ok(Ok(reply)) => Ok(([(CONTENT_TYPE, wire::CONTENT_TYPE)], reply).into_response()),
        Ok(Err(error)) => Err(refused(&error)),
        Err(busy) => Err(unheard(busy)),
    }
}

/// Runs on the recorder, so that a membership that has ended has ended for every message after.
fn one(hub: &Hub, desk: Desk<'_>, certificate: &Hash, body: &[u8]) -> Result<Vec<u8>, Unanswered> {
    let me = desk.replica.id();
    let caller = match hub.caller(certificate) {
        Err(Stranger::Revoked(site, revocation)) => {
            if let Some(author) = hub.fleet().site(site.as_str())?.and_then(|row| row.replica)
                && wire::decode(body, author, me).is_ok_and(|message| !message.stretches.is_empty() || !message.parts.is_empty())
            {
                let mut tx = desk.store.begin()?;
                tx.put_incident(&revocation.incident(&site, author, desk.now.wall))?;
                tx.commit()?;
            }
            return Err(Stranger::Revoked(site, revocation).into());
        }
        other => other?,
    };
    let message = wire::decode(body, caller.replica, me)?;
    let (reply, learned) = desk.replica.answer(desk.store, desk.now, caller.replica, &message)?;
    for refused in &learned.accepted.refused {
        tracing::warn!(site = %caller.site, chain = ?refused.chain, reason = refused.reason, "a stretch was refused");
    }
    hub.note_alerts(caller.replica, &learned.accepted.documents);
    let mut status = caller.row.status;
    let now = desk.now.wall;
    if let Some(opening) = &learned.opening {
        status.opened(
            now,
            opening.program.as_deref(),
            opening.waiting,
            opening.oldest_s.map(|s| Timestamp::from_millis(s.saturating_mul(1000))),
        );
    }
    // While entries are still on their way the sets differ and nothing is wrong.
    let over = !reply.more && !message.more && reply.wants.is_empty() && message.wants.is_empty();
    if learned.equal || over {
        status.closed(now, learned.equal);
    }
    if learned.opening.is_some() || learned.equal || over {
        hub.fleet().put_status(caller.site.as_str(), &status)?;
    }
    Ok(wire::encode(&reply, me, caller.replica))
}

fn refused(error: &Unanswered) -> Problem {
    match error {
        Unanswered::Stranger(Stranger::Unknown) => Problem::unauthorized("unknown-certificate", error.to_string()),
        Unanswered::Stranger(Stranger::Revoked(..)) => Problem::forbidden("revoked", error.to_string()),
        Unanswered::Wire(error) => sync::unreadable(error),
        Unanswered::Session(error) => sync::unanswered(error),
        Unanswered::Store(_) | Unanswered::Stranger(Stranger::Store(_)) => {
            tracing::error!(%error, "a sync message was not answered");
            Problem::unavailable("store", "the hub cannot write: nothing of this message was kept")
        }
    }
}
