//! `/api/v1/conflicts`: values written at the same time that wait for a person. Agent and hub serve the same.

use crate::accounts::Role;
use crate::audit::{Act, Action, Disclosed};
use crate::json::Json;
use crate::problem::{Problem, ProblemDocument};
use crate::records::Records;
use crate::session::Session;
use axum::extract::{Path, Query, State};
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::{Router, routing};
use record::fhir::conflicts::{Asked, Choice, InConflict, PAGE_MAX, Page};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Where conflicts are listed.
pub const CONFLICTS: &str = "/api/v1/conflicts";
/// Where one is settled.
pub const CONFLICT: &str = "/api/v1/conflicts/{type}/{id}";
/// Who may settle one: those who answer for what is done to the patient.
const SETTLE: &[Role] = &[Role::Nurse, Role::Admin];

/// Both routes; they need a session.
pub fn routes(records: Arc<Records>) -> Router {
    Router::new().route(CONFLICTS, routing::get(list)).route(CONFLICT, routing::post(settle)).with_state(records)
}

/// Which conflicts to list.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// Only of this patient: an id.
    pub patient: Option<String>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Resources of a page: 1 to 100, 50 if unsaid.
    pub count: Option<usize>,
}

/// A page of resources in conflict.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct ConflictPage {
    /// Resources, by type and id; none if nothing waits for anybody.
    pub conflicts: Vec<ConflictView>,
    /// `cursor` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A resource with elements in conflict.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct ConflictView {
    /// `MedicationRequest/3`.
    pub resource: String,
    /// `Patient/1`, if it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    /// The patient's name, if the resource is the patient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patient_name: Option<String>,
    /// The version seen: send it in `If-Match` with a choice.
    pub version: String,
    /// What is in conflict.
    pub elements: Vec<ConflictElement>,
}

/// An element in conflict.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct ConflictElement {
    /// `birthDate`, `deceased[x]`, an item of a list as `name[0123456789abcdef]`.
    pub element: String,
    /// How it is shown meanwhile: `latest`, `union`, `safety`.
    pub policy: String,
    /// Lives may hang on it: all values are shown until someone chooses.
    pub ask: bool,
    /// Every value; the first is shown, or all in this order.
    pub values: Vec<ConflictValue>,
}

/// One of several values.
#[derive(Clone, PartialEq, Debug, Serialize, ToSchema)]
pub struct ConflictValue {
    /// The members it sets: `{"birthDate": "1960-05-01"}`; empty where it removes them.
    #[schema(value_type = Object)]
    pub value: Map<String, Value>,
    /// Who wrote it; empty where it is not known.
    pub user: String,
    /// The replica it was written on.
    pub author: String,
    /// The process lifetime of that replica.
    pub run: String,
    /// When, by the clock of that replica.
    pub at: String,
    /// Whether that clock was trusted.
    pub clock_trusted: bool,
    /// The change that wrote it.
    pub change: String,
}

/// A person's choice.
#[derive(Clone, PartialEq, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConflictChoice {
    /// The element as it is listed.
    pub element: String,
    /// The members it is to have: those of one of the values, or new ones; empty to remove it.
    #[schema(value_type = Object)]
    pub value: Map<String, Value>,
}

/// Lists what waits for a choice.
#[utoipa::path(get, operation_id = "listConflicts", path = CONFLICTS, tag = "conflicts", params(Wanted), responses(
    (status = 200, body = ConflictPage), (status = 400, body = ProblemDocument), (status = 401, body = ProblemDocument),
))]
pub(crate) async fn list(
    State(records): State<Arc<Records>>,
    _: Session,
    wanted: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<(Disclosed, axum::Json<ConflictPage>), Problem> {
    let Query(wanted) = wanted.map_err(|error| Problem::bad_request("query", error.body_text()))?;
    let patient = wanted.patient.map(|id| id.trim_start_matches("Patient/").parse()).transpose();
    let patient = patient.map_err(|error: record::id::IdError| Problem::bad_request("query", error.to_string()).about("patient"))?;
    let asked = Asked { patient, cursor: wanted.cursor, count: wanted.count.unwrap_or(50).clamp(1, PAGE_MAX) };
    let (page, touched) = records.conflicts(asked).await?;
    Ok((Disclosed(Act::done(Action::Search, touched)), axum::Json(page.into())))
}

/// Chooses a value, of those listed or a new one. A second tap changes nothing.
#[utoipa::path(post, operation_id = "settleConflict", path = CONFLICT, tag = "conflicts", request_body = ConflictChoice,
    params(
        ("type" = String, Path, description = "FHIR resource type"), ("id" = String, Path, description = "Its id"),
        ("If-Match" = String, Header, description = "The version that was listed"),
    ),
    responses(
        (status = 200, description = "The resource as it stands: FHIR JSON", body = Object), (status = 403, body = ProblemDocument),
        (status = 404, body = ProblemDocument), (status = 409, description = "Not in conflict any more", body = ProblemDocument),
        (status = 412, description = "Changed since", body = ProblemDocument), (status = 422, body = ProblemDocument),
        (status = 428, description = "If-Match is missing", body = ProblemDocument),
    ))]
pub(crate) async fn settle(
    State(records): State<Arc<Records>>,
    session: Session,
    Path((kind, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(choice): Json<ConflictChoice>,
) -> Result<(Option<Disclosed>, [(HeaderName, HeaderValue); 1], axum::Json<Value>), Problem> {
    session.require_role(SETTLE)?;
    let if_match = headers.get(IF_MATCH).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let choice = Choice { element: choice.element, value: choice.value };
    let reply = records.settle(&session, kind, id, if_match, choice).await;
    match reply.body {
        Some(resource) if reply.status == StatusCode::OK => {
            let etag = format!("W/\"{}\"", reply.version.unwrap_or_default());
            let etag = HeaderValue::from_str(&etag).unwrap_or(HeaderValue::from_static("W/\"\""));
            // The note of a write lies in its commit.
            let note = (!reply.audited).then(|| Disclosed(Act::done(Action::Update, reply.touched)));
            Ok((note, [(ETAG, etag)], axum::Json(resource)))
        }
        body => Err(refusal(reply.status, body.as_ref())),
    }
}

/// An OperationOutcome in this dialect: the first issue speaks.
fn refusal(status: StatusCode, outcome: Option<&Value>) -> Problem {
    let issue = outcome.and_then(|outcome| outcome.get("issue")?.get(0));
    let text = issue.and_then(|issue| issue.get("details")?.get("text")?.as_str()).unwrap_or("it was not written");
    let problem = Problem::new(status, "conflict", text);
    match issue.and_then(|issue| issue.get("expression")?.get(0)?.as_str()) {
        Some(field) => problem.about(field),
        None => problem,
    }
}

impl From<Page> for ConflictPage {
    fn from(page: Page) -> Self {
        Self { conflicts: page.conflicts.into_iter().map(ConflictView::from).collect(), next: page.next }
    }
}

impl From<InConflict> for ConflictView {
    fn from(one: InConflict) -> Self {
        let elements = one.elements.into_iter().map(|element| ConflictElement {
            element: element.element,
            policy: element.policy.to_owned(),
            ask: element.ask,
            values: element
                .values
                .into_iter()
                .map(|v| ConflictValue {
                    value: v.value,
                    user: v.user,
                    author: v.author,
                    run: v.run,
                    at: v.at,
                    clock_trusted: v.clock_trusted,
                    change: v.change,
                })
                .collect(),
        });
        Self {
            resource: one.resource,
            patient: one.patient,
            patient_name: one.patient_name,
            version: one.version,
            elements: elements.collect(),
        }
    }
}
