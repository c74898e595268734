//! `/api/v1/dead-letters`: entries that could not be taken up, and trying them again. Agent and hub serve the same.

use crate::accounts::Role;
use crate::audit::{Act, Action, Disclosed};
use crate::problem::{Problem, ProblemDocument};
use crate::recorder::{Busy, Recorder};
use crate::session::Session;
use axum::extract::State;
use axum::{Router, routing};
use protocol::replica::Accepted;
use protocol::store::DeadLetter;
use protocol::{Replica, StoreError};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Where dead letters are listed.
pub const DEAD_LETTERS: &str = "/api/v1/dead-letters";
/// Where they are tried again.
pub const RETRY: &str = "/api/v1/dead-letters/retry";
/// Who may look.
const LOOKS: &[Role] = &[Role::Technician, Role::Operator, Role::Admin, Role::Auditor];
/// Who may have them tried again.
const RETRIES: &[Role] = &[Role::Technician, Role::Operator, Role::Admin];

/// Told of what a retry brought, on the writer's thread.
pub type Retried = Arc<dyn Fn(&Replica, Accepted) + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Desk {
    recorder: Recorder,
    retried: Retried,
}

/// Both routes; they need a session.
pub fn routes(recorder: Recorder, retried: Retried) -> Router {
    Router::new().route(DEAD_LETTERS, routing::get(list)).route(RETRY, routing::post(retry)).with_state(Desk { recorder, retried })
}

/// An entry that could not be taken up. It is kept, and holds up nothing else.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct DeadLetterView {
    /// The replica that wrote it, hex.
    pub author: String,
    /// Its process lifetime, hex.
    pub run: String,
    /// The scope it lies in, hex.
    pub scope: String,
    /// Its place in its chain.
    pub seq: u64,
    /// Why, without patient data.
    pub reason: String,
}

/// What came of a retry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ToSchema)]
pub struct RetriedView {
    /// Entries that are well now.
    pub well: u64,
    /// Entries that still could not be taken up; those asked of peers again are none.
    pub left: u64,
}

/// Lists what could not be taken up, oldest first, at most 1,000.
#[utoipa::path(get, operation_id = "listDeadLetters", path = DEAD_LETTERS, tag = "dead letters", responses(
    (status = 200, body = Vec<DeadLetterView>), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument),
))]
pub(crate) async fn list(State(desk): State<Desk>, session: Session) -> Result<axum::Json<Vec<DeadLetterView>>, Problem> {
    session.require_role(LOOKS)?;
    let letters = desk.recorder.read(|store| store.begin()?.dead_letters()).await.map_err(|error| failed(&error))?;
    Ok(axum::Json(letters.into_iter().map(DeadLetterView::from).collect()))
}

/// Tries all of them again: payloads that are here are read again, those that no peer had are asked for in the next session.
#[utoipa::path(post, operation_id = "retryDeadLetters", path = RETRY, tag = "dead letters", responses(
    (status = 200, body = RetriedView), (status = 401, body = ProblemDocument), (status = 403, body = ProblemDocument),
))]
pub(crate) async fn retry(State(desk): State<Desk>, session: Session) -> Result<(Disclosed, axum::Json<RetriedView>), Problem> {
    session.require_role(RETRIES)?;
    let retried = retry_all(&desk.recorder, &desk.retried).await.map_err(|error| failed(&error))?;
    Ok((Disclosed(Act::done(Action::Update, vec!["DeadLetters".to_owned()])), axum::Json(retried)))
}

/// Tries every dead letter again.
///
/// # Errors
/// The store could not do it.
pub async fn retry_all(recorder: &Recorder, told: &Retried) -> Result<RetriedView, StoreError> {
    let told = Arc::clone(told);
    let done = recorder.write(move |desk| {
        let (well, accepted) = desk.replica.retry(desk.store, desk.now)?;
        let left = desk.store.begin()?.dead_letters()?.len() as u64;
        told(desk.replica, accepted);
        Ok(RetriedView { well, left })
    });
    done.await.map_err(|busy| match busy {
        Busy::Away => StoreError::Away { what: "the record".to_owned(), why: busy.to_string() },
        Busy::Full | Busy::Stopped => StoreError::Other(busy.to_string()),
    })?
}

fn failed(error: &StoreError) -> Problem {
    tracing::error!(%error, "dead letters were not looked at");
    Problem::of_store(error)
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        let DeadLetter { chain, seq, reason } = letter;
        Self { author: chain.author.to_string(), run: chain.run.to_string(), scope: chain.scope.to_string(), seq, reason }
    }
}
