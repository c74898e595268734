//! Where neighbours knock: sync sessions for members of the same fleet that this box shares with.

use super::{Lan, member::Member};
use crate::session_line::Line;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router, routing};
use protocol::session::SessionError;
use protocol::wire::{self, WireError};
use std::sync::Arc;
use web::listener::Peer;
use web::problem::Problem;
use web::recorder::{Busy, Desk};
use web::sync::{self, NEIGHBOUR, SESSION};

#[derive(Clone)]
struct Door {
    lan: Arc<Lan>,
    line: Line,
}

/// Why a message was not answered.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("the hub has ended the membership of {0}")]
    Revoked(String),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Admission(#[from] protocol::replica::CommitError),
}

/// The routes, for a listener that asks for certificates of the hub's authority.
pub fn routes(lan: Arc<Lan>, line: Line) -> Router {
    Router::new()
        .route(NEIGHBOUR, routing::get(hello))
        .route(SESSION, routing::post(session))
        .layer(DefaultBodyLimit::max(wire::MESSAGE_LIMIT))
        .with_state(Door { lan, line })
}

/// Whether both sides want to share: asked before anything is granted.
async fn hello(State(door): State<Door>, Extension(peer): Extension<Peer>) -> Result<StatusCode, Problem> {
    let member = door.caller(&peer)?;
    let revoked = door.line.recorder.write(move |desk| desk.replica.knows_revoked(member.replica).then_some(member.site)).await;
    match revoked.map_err(busy)? {
        None => Ok(StatusCode::NO_CONTENT),
        Some(site) => Err(refused(&Unanswered::Revoked(site))),
    }
}

async fn session(State(door): State<Door>, Extension(peer): Extension<Peer>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let member = door.caller(&peer)?;
    sync::check(&headers, &body)?;
    let answered = door.line.recorder.write(move |desk| answer(desk, &member, &body)).await.map_err(busy)?;
    let (reply, received) = answered.map_err(|error| refused(&error))?;
    door.line.bring(received).await;
    Ok(([(CONTENT_TYPE, wire::CONTENT_TYPE)], reply).into_response())
}

/// Runs on the recorder, so that a revocation counts for every message after it.
fn answer(desk: Desk<'_>, member: &Member, body: &[u8]) -> Result<(Vec<u8>, crate::session_line::Brought), Unanswered> {
    if desk.replica.knows_revoked(member.replica) {
        return Err(Unanswered::Revoked(member.site.clone()));
    }
    let me = desk.replica.id();
    let message = wire::decode(body, member.replica, me)?;
    let desk = super::admit(desk, member)?;
    let (reply, learned) = desk.replica.answer(desk.store, desk.now, member.replica, &message)?;
    Ok((wire::encode(&reply, me, member.replica), learned.accepted))
}

impl Door {
    fn caller(&self, peer: &Peer) -> Result<Member, Problem> {
        let certificate = peer
            .certificate
            .as_ref()
            .ok_or_else(|| Problem::unauthorized("no-certificate", "a neighbour shows the certificate that enrolment gives"))?;
        let member =
            Member::of(certificate).ok_or_else(|| Problem::unauthorized("no-member", "this certificate names no replica: enrol again"))?;
        if self.lan.share_with.contains(&member.site) {
            return Ok(member);
        }
        let detail = format!("this box does not share with {}: name it in lan.share_with here", member.site);
        Err(Problem::forbidden("not-shared", detail))
    }
}

fn busy(busy: Busy) -> Problem {
    Problem::unavailable("busy", busy.to_string())
}

fn refused(error: &Unanswered) -> Problem {
    match error {
        Unanswered::Revoked(_) => Problem::forbidden("revoked", error.to_string()),
        Unanswered::Wire(error) => sync::unreadable(error),
        Unanswered::Session(error) => sync::unanswered(error),
        Unanswered::Admission(_) => {
            tracing::error!(%error, "a neighbour is not granted the record");
            Problem::unavailable("store", "the record cannot be written: nothing was granted")
        }
    }
}
