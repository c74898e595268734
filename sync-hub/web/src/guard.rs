//! Who is asking: the token of each request is looked up once, and routes take a [`Session`] as an argument.

use crate::accounts::Role;
use crate::problem::Problem;
use crate::session::Session;
use crate::sign_in::Desk;
use axum::extract::{FromRequestParts, OptionalFromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// What a request presented, as a request extension.
#[derive(Clone, Debug)]
pub enum Presented {
    /// No token.
    Nothing,
    /// A token that opens nothing, and why.
    Refused(Problem),
    /// A running session.
    Session(Session),
}

impl Presented {
    /// The session, if there is one.
    #[must_use]
    pub const fn session(&self) -> Option<&Session> {
        match self {
            Self::Session(session) => Some(session),
            _ => None,
        }
    }
    /// The session.
    ///
    /// # Errors
    /// 401 saying whether none was presented or it is over; 503 when accounts cannot be read.
    pub fn required(&self) -> Result<&Session, Problem> {
        match self {
            Self::Session(session) => Ok(session),
            Self::Refused(problem) => Err(problem.clone()),
            Self::Nothing => Err(Problem::unauthorized("no-session", "sign in first: POST /api/v1/session")),
        }
    }
}

impl Session {
    /// Lets only these roles pass.
    ///
    /// # Errors
    /// 403 naming the roles that may.
    pub fn require_role(&self, allowed: &[Role]) -> Result<(), Problem> {
        if allowed.contains(&self.role) {
            return Ok(());
        }
        let names: Vec<&str> = allowed.iter().map(|role| role.as_str()).collect();
        Err(Problem::forbidden("role", format!("this needs the role {}; {} is {}", names.join(" or "), self.user, self.role)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Presented>().unwrap_or(&Presented::Nothing).required().cloned()
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Session {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Presented>().and_then(|presented| presented.session().cloned()))
    }
}

/// Looks up the token of every request; refuses nothing by itself.
pub async fn present(State(desk): State<Arc<Desk>>, mut request: Request, next: Next) -> Response {
    let presented = match bearer(request.headers()) {
        None => Presented::Nothing,
        Some(token) => desk.look_up(&token).await,
    };
    request.extensions_mut().insert(presented);
    next.run(request).await
}

/// Refuses whatever has no session. Layered over whole routers, so that no route of them can forget.
pub async fn signed_in(request: Request, next: Next) -> Response {
    match request.extensions().get::<Presented>().unwrap_or(&Presented::Nothing).required() {
        Ok(_) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// The token in `Authorization: Bearer …`.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}
