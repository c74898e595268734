//! What both ends of a sync session over HTTP hold to: paths, the media type, sizes, and what a refusal is called.

use crate::problem::Problem;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use protocol::session::SessionError;
use protocol::wire::{self, WireError};

/// Path of a session's messages.
pub const SESSION: &str = "/sync/v1/session";
/// Path at which boxes of one clinic ask each other whether both want to share.
pub const NEIGHBOUR: &str = "/sync/v1/neighbour";

/// Whether a request can hold a message.
///
/// # Errors
/// Another media type, or past the limit.
pub fn check(headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    if headers.get(CONTENT_TYPE).is_none_or(|kind| kind != wire::CONTENT_TYPE) {
        let detail = format!("send Content-Type: {}", wire::CONTENT_TYPE);
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail));
    }
    if body.len() > wire::MESSAGE_LIMIT { Err(unreadable(&WireError::TooLarge(body.len()))) } else { Ok(()) }
}

/// What the sender of a message that cannot be read is told.
#[must_use]
pub fn unreadable(error: &WireError) -> Problem {
    match error {
        WireError::TooLarge(_) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", error.to_string()),
        WireError::Version(_) => Problem::bad_request("sync-version", error.to_string()),
        WireError::Unreadable => Problem::bad_request("unreadable", error.to_string()),
    }
}

/// What the sender of a message that was not taken is told.
#[must_use]
pub fn unanswered(error: &SessionError) -> Problem {
    match error {
        SessionError::Receipt => Problem::bad_request("receipt", error.to_string()),
        SessionError::Store(_) => {
            tracing::error!(%error, "a sync message was not answered");
            Problem::unavailable("store", "the record cannot be written: nothing of this message was kept")
        }
    }
}
