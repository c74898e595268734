//! Who saw or changed what. A note is durable before the answer it is about is sent; if it cannot be, neither can the
//! answer.

use crate::given::Clock;
use crate::listener::Peer;
use crate::problem::Problem;
use crate::session::Session;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use futures_util::future::BoxFuture;
use record::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// One record was read.
    Read,
    /// Records were looked for.
    Search,
    /// A record was made.
    Create,
    /// A record was changed.
    Update,
    /// A record was struck.
    Delete,
    /// The live stream was opened.
    Watch,
    /// Someone signed in, or tried to.
    SignIn,
    /// Someone signed out.
    SignOut,
}

impl Action {
    /// The word the ledger keeps.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Search => "search",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Watch => "watch",
            Self::SignIn => "sign-in",
            Self::SignOut => "sign-out",
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Done.
    Success,
    /// Refused or failed; nothing was shown.
    Failure,
}

/// One note. Holds references, never names, values or query texts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditNote {
    /// When.
    pub at: Timestamp,
    /// The account; `None` when a sign-in named none that exists (people type secrets into the name field).
    pub who: Option<String>,
    /// Id of the session, never its token.
    pub session: Option<String>,
    /// Where the request came from.
    pub from: Option<IpAddr>,
    /// What was done.
    pub action: Action,
    /// To what: FHIR references (`Patient/123`) or types.
    pub what: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// The program's audit trail.
pub trait Audit: Send + Sync + 'static {
    /// Keeps the note; completes once it is durable.
    ///
    /// # Errors
    /// It could not be made durable; the caller then withholds its answer.
    fn record(&self, note: AuditNote) -> BoxFuture<'_, Result<(), AuditError>>;
}

/// The audit trail could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the audit trail cannot be written")]
pub struct AuditError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Writes notes, and turns a failure into the refusal that replaces the answer.
#[derive(Clone)]
pub struct Auditor {
    audit: Arc<dyn Audit>,
    clock: Clock,
}

impl Auditor {
    /// Writes to `audit`, timed by `clock`.
    #[must_use]
    pub fn new(audit: Arc<dyn Audit>, clock: Clock) -> Self {
        Self { audit, clock }
    }

    /// Notes what `session` did.
    ///
    /// # Errors
    /// 503: the note is not durable; answer this, and no patient data.
    pub async fn note(&self, session: Option<&Session>, peer: Option<&Peer>, act: Act) -> Result<(), Problem> {
        self.write(session.map(|session| session.user.clone()), session.map(|session| session.id.clone()), peer, act).await
    }

    pub(crate) async fn write(&self, who: Option<String>, session: Option<String>, peer: Option<&Peer>, act: Act) -> Result<(), Problem> {
        let Act { action, what, outcome } = act;
        let note = AuditNote { at: (self.clock)().wall, who, session, from: peer.map(|peer| peer.addr.ip()), action, what, outcome };
        self.audit.record(note).await.map_err(|error| {
            tracing::error!(error = %error.0, "audit trail cannot be written; answers are withheld");
            Problem::unavailable("audit-unavailable", "the audit trail cannot be written, so nothing is shown")
        })
    }
}

/// What a note says beyond who, when and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Act {
    /// What was done.
    pub action: Action,
    /// To what.
    pub what: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
}

impl Act {
    /// Something done.
    #[must_use]
    pub const fn done(action: Action, what: Vec<String>) -> Self {
        Self { action, what, outcome: Outcome::Success }
    }
    /// Something refused.
    #[must_use]
    pub const fn refused(action: Action, what: Vec<String>) -> Self {
        Self { action, what, outcome: Outcome::Failure }
    }
}

/// Put in front of an answer by a route that shows or changes patient data: `(Disclosed(Act::done(…)), Json(view))`. The
/// note is written before the answer leaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disclosed(pub Act);

impl IntoResponseParts for Disclosed {
    type Error = std::convert::Infallible;
    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// Writes the note of every answer that carries [`Disclosed`].
pub async fn disclosures(State(auditor): State<Auditor>, request: Request, next: Next) -> Response {
    let session = request.extensions().get::<crate::guard::Presented>().and_then(|presented| presented.session().cloned());
    let peer = request.extensions().get::<Peer>().cloned();
    let mut response = next.run(request).await;
    if let Some(Disclosed(act)) = response.extensions_mut().remove::<Disclosed>()
        && let Err(problem) = auditor.note(session.as_ref(), peer.as_ref(), act).await
    {
        return problem.into_response();
    }
    response
}
