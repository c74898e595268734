//! JSON request bodies whose refusal names the field and the place.

use crate::problem::Problem;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Deepest nesting of arrays and objects that is read.
pub const DEPTH_MAX: usize = 64;

/// A JSON body, as an extractor and as an answer. Bounded by the route's body limit and by [`DEPTH_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = media_type(request.headers());
        if kind != "application/json" && !kind.ends_with("+json") {
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "send Content-Type: application/json"));
        }
        read(&body(request, state).await?).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The media type of a body, without parameters, in lower case; empty when not stated.
pub(crate) fn media_type(headers: &HeaderMap) -> String {
    let stated = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    stated.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// The whole body, within the route's limit.
pub(crate) async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "the request body is larger than this path accepts")
        }
        status => Problem::new(status, "body", "the request body broke off"),
    })
}

/// Reads JSON.
///
/// # Errors
/// Malformed, too deep or of the wrong shape; the problem names field, line and column.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    check_depth(bytes)?;
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        // A `?` stands for what was broken before it had a name: the known part before it is where to look.
        let path = error.path().to_string();
        let known = path.split('?').next().unwrap_or("").trim_end_matches('.');
        let problem = refusal(error.inner());
        if known.is_empty() { problem } else { problem.about(known) }
    })?;
    reader.end().map_err(|error| refusal(&error))?;
    Ok(value)
}

/// serde_json's text already ends in "at line L column C".
fn refusal(error: &serde_json::Error) -> Problem {
    let kind = if error.is_data() { "wrong-shape" } else { "malformed-json" };
    Problem::bad_request(kind, error.to_string())
}

/// Finds over-deep nesting before a recursive reader meets it.
fn check_depth(bytes: &[u8]) -> Result<(), Problem> {
    let (mut depth, mut line, mut column) = (0_usize, 1_usize, 0_usize);
    let (mut in_text, mut escaped) = (false, false);
    for &byte in bytes {
        column += 1;
        if byte == b'\n' {
            (line, column) = (line + 1, 0);
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth > DEPTH_MAX {
                    let detail = format!("nested more than {DEPTH_MAX} deep at line {line} column {column}");
                    return Err(Problem::bad_request("too-deep", detail));
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize, Debug)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "only its shape is tested")]
        lines: Vec<u32>,
    }

    #[test]
    fn a_wrong_field_is_named_with_its_place() {
        let problem = read::<Order>(b"{\"lines\":[1,\n \"two\"]}").unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("lines[1]"));
        assert!(problem.detail.unwrap().contains("line 2 column 6"));
    }

    #[test]
    fn text_after_the_document_is_refused() {
        assert_eq!(read::<serde_json::Value>(b"{} {}").unwrap_err().kind, "malformed-json");
    }

    #[test]
    fn the_deepest_allowed_nesting_is_read_and_one_more_is_not() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(read::<serde_json::Value>(nested(DEPTH_MAX).as_bytes()).is_ok());
        assert_eq!(read::<serde_json::Value>(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err().kind, "too-deep");
        assert_eq!(read::<serde_json::Value>(nested(200_000).as_bytes()).unwrap_err().kind, "too-deep");
    }

    #[test]
    fn brackets_inside_text_do_not_count() {
        let text = format!("\"\\\"{}\"", "[".repeat(500));
        assert!(read::<serde_json::Value>(text.as_bytes()).is_ok());
    }
}
