//! A small program around the surface: accounts and notes in memory, a clock the test turns, one patient.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::{Router, routing};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use record::time::{Monotonic, Now, Timestamp};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tower::ServiceExt;
use utoipa::OpenApi;
use web::accounts::{Account, Accounts, AccountsError, Role};
use web::audit::{Act, Action, Audit, AuditError, AuditNote, Disclosed};
use web::fhir::{FhirReply, FhirRequest, FhirService};
use web::given::{Entropy, EntropyUnavailable};
use web::json::Json;
use web::live::Live;
use web::ops::Ready;
use web::secret::{Secret, hash_secret};
use web::session::{Session, Sessions};
use web::{Routes, Surface};

/// The nurse everyone signs in as.
pub const USER: &str = "amina";
/// Her PIN.
pub const PIN: &str = "4917";
/// What must never leave without a note.
pub const PATIENT_NAME: &str = "Otieno";

/// Everything a test may look at or turn.
#[derive(Default)]
pub struct Clinic {
    /// Seconds since the start.
    pub seconds: AtomicU64,
    pub accounts: Mutex<HashMap<String, Account>>,
    pub notes: Mutex<Vec<AuditNote>>,
    pub audit_fails: AtomicBool,
    pub accounts_fail: AtomicBool,
    pub unready: AtomicBool,
    pub sessions: Arc<Sessions>,
    drawn: AtomicU64,
}

impl Clinic {
    pub fn open() -> Arc<Self> {
        let clinic = Self::default();
        let secret_hash = hash_secret(&Secret::new(PIN.into()), b"salt of the test").unwrap();
        let account = Account {
            user: USER.into(),
            display_name: "Amina W.".into(),
            role: Role::Nurse,
            secret_hash,
            failures: 0,
            locked_until: None,
            disabled: false,
        };
        clinic.accounts.lock().unwrap().insert(USER.into(), account);
        Arc::new(clinic)
    }

    pub fn router(self: &Arc<Self>) -> Router {
        self.router_with(None, None)
    }

    pub fn router_with(self: &Arc<Self>, ui_dir: Option<PathBuf>, live: Option<Live>) -> Router {
        let clock = Arc::clone(self);
        let surface = Surface {
            clock: Arc::new(move || clock.now()),
            entropy: Arc::clone(self) as _,
            accounts: Arc::clone(self) as _,
            sessions: Arc::clone(&self.sessions),
            audit: Arc::clone(self) as _,
            fhir: Arc::clone(self) as _,
            live,
            ready: Arc::clone(self) as _,
            metrics: Arc::new(|| "lamplight_up 1\n".into()),
            scrape_token: Some(Secret::new("scrape-me-please".into())),
            ui_dir,
            openapi: ProgramDocument::openapi(),
            program: "edge-agent".into(),
            version: "0.1.0".into(),
            name: "hillside".into(),
        };
        let ward = |session: Session| async move {
            let act = Act::done(Action::Read, vec!["Patient/1".into()]);
            (Disclosed(act), Json(json!({ "patient": PATIENT_NAME, "seen_by": session.user })))
        };
        let technicians = |session: Session| async move { session.require_role(&[Role::Technician, Role::Admin]).map(|()| "paired") };
        let signed_in = Router::new()
            .route("/api/v1/ward", routing::get(ward))
            .route("/api/v1/pair", routing::post(technicians))
            .route("/api/v1/echo", routing::post(|Json(body): Json<Order>| async move { Json(body) }))
            .route("/api/v1/fault", routing::get(|| async { fault() }));
        let own_door = Router::new().route(
            "/sync/v1/peer",
            routing::get(|peer: Option<axum::Extension<web::listener::Peer>>| async move {
                let peer = peer.unwrap();
                Json(json!({ "secure": peer.secure, "certificate": peer.certificate.as_ref().map(|der| der.as_ref().to_vec()) }))
            }),
        );
        surface.router(Routes { signed_in, own_door })
    }

    pub fn now(&self) -> Now {
        let seconds = self.seconds.load(Ordering::SeqCst);
        Now {
            wall: Timestamp::from_millis(1_795_000_000_000 + seconds as i64 * 1000),
            mono: Monotonic(seconds * 1_000_000),
            ..Now::default()
        }
    }

    pub fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Signs in; the token.
    pub async fn token(self: &Arc<Self>, router: &Router) -> String {
        let answer = sign_in(router, USER, PIN).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        answer.json()["token"].as_str().unwrap().to_owned()
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    beds: Vec<u32>,
}

fn fault() -> &'static str {
    panic!("bed 4 of {PATIENT_NAME}")
}

#[derive(OpenApi)]
#[openapi(info(title = "Test program"))]
struct ProgramDocument;

impl Entropy for Clinic {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
        bytes.fill(0x5a);
        let drawn = self.drawn.fetch_add(1, Ordering::SeqCst).to_le_bytes();
        bytes.iter_mut().zip(drawn).for_each(|(byte, drawn)| *byte = drawn);
        Ok(())
    }
}

impl Accounts for Clinic {
    fn find(&self, user: &str) -> Result<Option<Account>, AccountsError> {
        if self.accounts_fail.load(Ordering::SeqCst) {
            return Err(AccountsError("disk is gone".into()));
        }
        Ok(self.accounts.lock().unwrap().get(user).cloned())
    }
    fn note_attempt(&self, user: &str, failures: u32, locked_until: Option<Timestamp>) -> Result<(), AccountsError> {
        let mut accounts = self.accounts.lock().unwrap();
        let account = accounts.get_mut(user).unwrap();
        (account.failures, account.locked_until) = (failures, locked_until);
        Ok(())
    }
}

impl Audit for Clinic {
    fn record(&self, note: AuditNote) -> BoxFuture<'_, Result<(), AuditError>> {
        async move {
            if self.audit_fails.load(Ordering::SeqCst) {
                return Err(AuditError("disk is full".into()));
            }
            self.notes.lock().unwrap().push(note);
            Ok(())
        }
        .boxed()
    }
}

impl FhirService for Clinic {
    fn handle(&self, request: FhirRequest) -> BoxFuture<'_, FhirReply> {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        let body = match path.as_slice() {
            ["metadata"] => json!({ "resourceType": "CapabilityStatement" }),
            _ => json!({ "resourceType": "Patient", "id": "1", "name": [{ "family": PATIENT_NAME }] }),
        };
        async move { FhirReply { body: Some(body), version: Some("7".into()), ..FhirReply::default() } }.boxed()
    }
}

impl Ready for Clinic {
    fn reasons(&self) -> Vec<String> {
        if self.unready.load(Ordering::SeqCst) { vec!["the record is still being read".into()] } else { Vec::new() }
    }
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub async fn ask(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer { status: parts.status, headers: parts.headers, body: to_bytes(body, usize::MAX).await.unwrap().to_vec() }
}

pub async fn get(router: &Router, path: &str, token: Option<&str>) -> Answer {
    let request = Request::get(path);
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    ask(router, request.body(Body::empty()).unwrap()).await
}

pub async fn post(router: &Router, path: &str, token: &str, kind: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path).header("authorization", format!("Bearer {token}")).header("content-type", kind);
    ask(router, request.body(body.into()).unwrap()).await
}

pub async fn sign_in(router: &Router, user: &str, secret: &str) -> Answer {
    let body = json!({ "user": user, "secret": secret }).to_string();
    let request = Request::post("/api/v1/session").header("content-type", "application/json");
    ask(router, request.body(Body::from(body)).unwrap()).await
}
