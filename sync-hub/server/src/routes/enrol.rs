//! `POST /sync/v1/enrol`: a one-time code for a certificate. Public, so guesses are few.

use super::{stopped, unheard};
use crate::clock;
use crate::hub::Hub;
use crate::register::{self, RegisterError};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use hub_api::enrol::{EnrolRequest, EnrolResponse};
use hub_core::enrolment::Refusal;
use protocol::StoreError;
use record::ledger::body::AuditEvent;
use std::sync::Arc;
use tokio::task::spawn_blocking;
use web::json::Json;
use web::listener::Peer;
use web::problem::Problem;
use web::rate::Rate;

/// Tries of one address: so many at once, then one in six seconds. A day of them is a 2^-26th of the codes there are.
const BURST: u32 = 10;
const INTERVAL_US: u64 = 6_000_000;
const ADDRESSES_MAX: usize = 4096;

/// The hub, and how often each address has tried.
#[derive(Clone)]
pub struct Counter {
    hub: Arc<Hub>,
    rate: Arc<Rate>,
}

impl Counter {
    /// Nobody has tried yet.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { hub, rate: Arc::new(Rate::new(BURST, INTERVAL_US, ADDRESSES_MAX)) }
    }
}

pub async fn post(
    State(counter): State<Counter>,
    Extension(peer): Extension<Peer>,
    Json(request): Json<EnrolRequest>,
) -> Result<axum::Json<EnrolResponse>, Problem> {
    let now = clock::now();
    counter.rate.take(peer.addr.ip(), now.mono).map_err(|seconds| {
        let detail = "too many tries from this address";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-tries", detail).retry_after(seconds)
    })?;
    let mut serial = [0; 16];
    clock::dice(&mut serial);
    let hub = Arc::clone(&counter.hub);
    let enrolled = spawn_blocking(move || register::enrol(&mut hub.fleet(), &hub.authority, &request, serial, now.wall)).await;
    let enrolled = enrolled.map_err(|_| stopped())?.map_err(|error| refused(&error))?;
    tracing::info!(site = %enrolled.site, "enrolled");
    let hub = &counter.hub;
    note(hub, enrolled.site.as_str()).await?;
    Ok(axum::Json(EnrolResponse {
        site: enrolled.site.to_string(),
        certificate_pem: enrolled.certificate_pem,
        authority_pem: hub.authority.pem().to_owned(),
        hub_replica: hub.replica.to_string(),
        hub_seal_key: hub.seal_key.clone(),
        mqtt: hub.mqtt.clone(),
    }))
}

async fn note(hub: &Hub, site: &str) -> Result<(), Problem> {
    let event = AuditEvent {
        at: hub.now(),
        user: "system".to_owned(),
        session: String::new(),
        action: "enrol".to_owned(),
        what: vec![format!("Site/{site}")],
        ok: true,
    };
    let commit = protocol::Commit { drafts: vec![protocol::Draft::Audit(vec![event])], ..protocol::Commit::default() };
    let written = hub.recorder.write(move |desk| desk.replica.commit(desk.store, desk.now, desk.entropy, &commit).map(|_| ())).await;
    written.map_err(unheard)?.map_err(|error| {
        tracing::error!(%error, "the enrolment cannot be audited");
        Problem::unavailable("audit-unavailable", "the audit trail cannot be written; ask for a new code and try again")
    })
}

fn refused(error: &RegisterError) -> Problem {
    match error {
        RegisterError::Refused(refusal) => {
            let (status, kind, field) = match refusal {
                Refusal::Code(_) => (StatusCode::BAD_REQUEST, "code-malformed", "code"),
                Refusal::OtherHub => (StatusCode::FORBIDDEN, "code-of-another-hub", "code"),
                Refusal::Unknown => (StatusCode::FORBIDDEN, "code-unknown", "code"),
                Refusal::Used(_) => (StatusCode::FORBIDDEN, "code-used", "code"),
                Refusal::Expired(_) => (StatusCode::FORBIDDEN, "code-expired", "code"),
                Refusal::Key(field) => (StatusCode::BAD_REQUEST, "key-malformed", *field),
                Refusal::Proof => (StatusCode::FORBIDDEN, "proof", "proof"),
                Refusal::Taken(_) => (StatusCode::CONFLICT, "site-taken", "replica"),
                Refusal::Elsewhere(_) => (StatusCode::CONFLICT, "replica-elsewhere", "replica"),
                Refusal::Revoked(_) => (StatusCode::FORBIDDEN, "revoked", "code"),
            };
            Problem::new(status, kind, refusal.to_string()).about(field)
        }
        RegisterError::Store(StoreError::Away { .. }) => {
            // Its answer may have been lost on the way: whether the code was used only a second try tells.
            let detail = "the fleet is not reached at this moment: try again, and ask for a new code if this one is used by then";
            Problem::unavailable("store-away", detail)
        }
        RegisterError::Request(_) => Problem::bad_request("certificate-request", error.to_string()).about("csr_pem"),
        other => {
            tracing::error!(error = %other, "enrolment failed");
            Problem::unavailable("fleet-unavailable", "the fleet cannot be written; the code is still good")
        }
    }
}
