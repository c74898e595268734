//! Conflicts over HTTP, above a real replica whose documents two others have edited at once.

use crate::clinic::{Answer, ask};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::{Extension, Router};
use protocol::conformance::Counting;
use protocol::memory::MemoryStore;
use protocol::{Commit, Draft, Replica, Store, StoreError, Transaction, Where};
use record::document::{Document, Origin, canonical_json};
use record::id::{ReplicaId, ResourceId, RunId};
use record::ledger::body::{Change, DocumentEvent};
use record::ledger::{Hlc, Identity};
use record::time::{Now, Timestamp};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use web::accounts::Role;
use web::given::{Entropy, EntropyUnavailable};
use web::guard::Presented;
use web::recorder::{OpenReader, Recorder};
use web::records::Records;
use web::session::Session;

/// The writer's store; readers see it as it was when the writer last began.
struct Mirror {
    own: MemoryStore,
    seen: Arc<Mutex<MemoryStore>>,
}

impl Store for Mirror {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        *self.seen.lock().unwrap() = self.own.clone();
        self.own.begin()
    }
}

/// A reader of it.
struct Seen {
    seen: Arc<Mutex<MemoryStore>>,
    own: MemoryStore,
}

impl Store for Seen {
    fn begin(&mut self) -> Result<Box<dyn Transaction + '_>, StoreError> {
        self.own = self.seen.lock().unwrap().clone();
        self.own.begin()
    }
}

struct Dice;

impl Entropy for Dice {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyUnavailable> {
        bytes.fill(7);
        Ok(())
    }
}

fn now() -> Now {
    Now { wall: Timestamp::from_millis(1_795_000_000_000), ..Now::default() }
}

/// A store whose patient p1 two replicas have given two birth dates.
fn in_conflict() -> (Replica, MemoryStore) {
    let mut store = MemoryStore::default();
    let identity = Identity::from_seed(&[1; 32]).unwrap();
    let mut replica = Replica::open(&mut store, identity, RunId([2; 8]), "test", now(), &mut Counting(0)).unwrap();
    let resource = json!({"resourceType": "Patient", "id": "p1", "birthDate": "1960-01-01", "name": [{"family": "Lima"}]});
    let commit = Commit { drafts: vec![Draft::Create { place: Where::Site, resource }], ..Commit::default() };
    replica.commit(&mut store, now(), &mut Counting(9), &commit).unwrap();
    let id: ResourceId = "p1".parse().unwrap();
    let mut tx = store.begin().unwrap();
    let mut held = tx.document("Patient", &id).unwrap().unwrap();
    let base: Document = protocol::replica::parts_of(&held).unwrap();
    let mut document = base.clone();
    for (by, date) in [(1, "1961-01-01"), (2, "1962-01-01")] {
        let hlc = Hlc { trusted: true, wall_ms: 1_795_000_000_000 + u64::from(by), counter: 0 };
        let from = Origin { hlc, author: ReplicaId([by; 32]), run: RunId([by; 8]), user: format!("user{by}") };
        let elements = json!({"birthDate": date});
        let changes = base.edit(from.author, from.run, hlc, elements.as_object().unwrap()).unwrap();
        document.take(&from, &DocumentEvent::Change(Change { resource_type: "Patient".into(), id: id.clone(), changes })).unwrap();
    }
    let shown = document.show("Patient").unwrap();
    held.parts = postcard(&document);
    held.conflicted = true;
    (held.version, held.updated) = (shown.version.clone(), shown.updated);
    held.json = canonical_json(&record::fhir::with_version(shown));
    tx.put_document(&held).unwrap();
    tx.commit().unwrap();
    (replica, store)
}

fn postcard(document: &Document) -> Vec<u8> {
    postcard::to_stdvec(document).unwrap()
}

fn router(role: Role) -> (Router, Recorder) {
    let (replica, store) = in_conflict();
    let seen = Arc::new(Mutex::new(store.clone()));
    let reader = Arc::clone(&seen);
    let reader: OpenReader = Arc::new(move || Ok(Box::new(Seen { seen: Arc::clone(&reader), own: MemoryStore::default() })));
    let store = Box::new(Mirror { own: store, seen });
    let (recorder, _) = Recorder::start(replica, store, reader, Arc::new(now), Arc::new(Dice)).unwrap();
    let records = Records {
        recorder: recorder.clone(),
        clock: Arc::new(now),
        program: "test",
        version: "0",
        changed: Arc::new(|_, documents| assert_eq!(documents.len(), 1)),
    };
    let session = Session { id: "s1".into(), user: "amina".into(), display_name: "Amina".into(), role };
    (web::conflicts::routes(Arc::new(records)).layer(Extension(Presented::Session(session))), recorder)
}

async fn list(router: &Router, query: &str) -> Answer {
    ask(router, Request::get(format!("/api/v1/conflicts{query}")).body(Body::empty()).unwrap()).await
}

async fn settle(router: &Router, version: Option<&str>, body: Value) -> Answer {
    let request = Request::post("/api/v1/conflicts/Patient/p1").header("content-type", "application/json");
    let request = match version {
        Some(version) => request.header("if-match", format!("W/\"{version}\"")),
        None => request,
    };
    ask(router, request.body(Body::from(body.to_string())).unwrap()).await
}

#[tokio::test]
async fn a_nurse_sees_who_wrote_what_chooses_once_and_taps_twice() {
    let (router, recorder) = router(Role::Nurse);
    let page = list(&router, "?patient=p1").await.json();
    let waiting = &page["conflicts"][0];
    assert_eq!((&waiting["resource"], &waiting["elements"][0]["element"]), (&json!("Patient/p1"), &json!("birthDate")));
    let values = waiting["elements"][0]["values"].as_array().unwrap();
    assert_eq!(values.iter().map(|v| v["user"].as_str().unwrap()).collect::<Vec<_>>(), ["user2", "user1"]);
    let version = waiting["version"].as_str().unwrap();
    let choice = json!({"element": "birthDate", "value": {"birthDate": "1961-01-01"}});
    assert_eq!(settle(&router, None, choice.clone()).await.status, StatusCode::PRECONDITION_REQUIRED);
    assert_eq!(settle(&router, Some("0"), choice.clone()).await.status, StatusCode::PRECONDITION_FAILED);
    let done = settle(&router, Some(version), choice.clone()).await;
    assert_eq!((done.status, &done.json()["birthDate"]), (StatusCode::OK, &json!("1961-01-01")), "{}", done.text());
    // The writer begins once more, so that readers see what it has written.
    let _ = recorder.write(|desk| desk.store.begin().map(|_| ()).is_ok()).await;
    let again = settle(&router, Some(version), choice).await;
    assert_eq!((again.status, again.header("etag")), (StatusCode::OK, done.header("etag")));
    assert_eq!(list(&router, "").await.json(), json!({"conflicts": []}));
}

#[tokio::test]
async fn who_does_not_care_for_patients_may_look_and_not_choose() {
    let (router, _recorder) = router(Role::Technician);
    assert_eq!(list(&router, "").await.json()["conflicts"].as_array().unwrap().len(), 1);
    let choice = json!({"element": "birthDate", "value": {"birthDate": "1961-01-01"}});
    assert_eq!(settle(&router, Some("x"), choice).await.status, StatusCode::FORBIDDEN);
    assert_eq!(list(&router, "?patient=a_b").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(list(&router, "?shoe=42").await.status, StatusCode::BAD_REQUEST);
}
