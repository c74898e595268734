//! FHIR over a replica: reads beside the writer, writes through it, the audit note in the very commit of a write.

use crate::fhir::{BASE, FhirReply, FhirRequest, FhirService};
use crate::given::Clock;
use crate::problem::Problem;
use crate::recorder::{Desk, Recorder};
use crate::session::Session;
use axum::http::{Method, StatusCode};
use futures_util::future::BoxFuture;
use protocol::commit::DocumentState;
use protocol::reader::StoreReader;
use protocol::replica::{CommitError, SeriesReader};
use protocol::{Commit, Draft, Replica, Store, StoreError, Where};
use record::fhir::conflicts::{self, Asked, Choice, Page};
use record::fhir::{self, Context, Intent, Issue, Outcome, Place, Reader, Reply, Step, Update, operation_outcome, written};
use record::ledger::Act;
use record::ledger::body::AuditEvent;
use record::time::Timestamp;
use serde_json::Value;
use std::sync::Arc;

/// Told of every document a FHIR write changed once it is durable, on the writer's thread: in the order of the commits, and
/// before whoever asked for the write is answered, so that what they do next meets a program that knows.
pub type Changed = Arc<dyn Fn(&Replica, Vec<DocumentState>) + Send + Sync>;

/// The FHIR of a program that keeps a replica.
pub struct Records {
    /// Its writer and readers.
    pub recorder: Recorder,
    /// Its clock.
    pub clock: Clock,
    /// Its name.
    pub program: &'static str,
    /// Its version.
    pub version: &'static str,
    /// Who else must know of writes.
    pub changed: Changed,
}

/// Who writes, for the ledger and the audit trail.
#[derive(Clone, Default)]
struct Writer {
    user: String,
    session: String,
}

impl FhirService for Records {
    fn handle(&self, request: FhirRequest) -> BoxFuture<'_, FhirReply> {
        Box::pin(self.answer(request))
    }
}

impl Records {
    async fn answer(&self, request: FhirRequest) -> FhirReply {
        let base_url = request.base_url.clone();
        let writer = request.session.as_ref().map_or_else(Writer::default, |s| Writer { user: s.user.clone(), session: s.id.clone() });
        let Some(asked) = plain(request) else {
            return refused(StatusCode::METHOD_NOT_ALLOWED, "not-supported", "use GET, POST or PUT; nothing is deleted or patched here");
        };
        let decide = move |reader: &mut StoreReader<'_>, context: &Context<'_>| fhir::handle(&asked, reader, context);
        self.decided(Arc::new(decide), writer, base_url).await
    }

    /// A page of what waits for a choice, and references to what it shows.
    ///
    /// # Errors
    /// 503: the store is away; 500: it cannot be read. Why is in the log.
    pub async fn conflicts(&self, asked: Asked) -> Result<(Page, Vec<String>), Problem> {
        let (program, version, now) = (self.program, self.version, (self.clock)().wall);
        let read = self.recorder.read_series(move |store, series| {
            let mut tx = store.begin()?;
            conflicts::list(&asked, &mut StoreReader::new(tx.as_mut(), series), &Context { base_url: BASE, now, program, version })
        });
        read.await.map_err(|error| {
            tracing::error!(%error, "the store failed to list conflicts");
            Problem::of_store(&error)
        })
    }

    /// Carries out a person's choice between concurrent values. A refusal is a reply whose body is an OperationOutcome.
    pub async fn settle(&self, session: &Session, kind: String, id: String, if_match: Option<String>, choice: Choice) -> FhirReply {
        let writer = Writer { user: session.user.clone(), session: session.id.clone() };
        let decide =
            move |reader: &mut StoreReader<'_>, _: &Context<'_>| conflicts::choose(&kind, &id, if_match.as_deref(), &choice, reader);
        self.decided(Arc::new(decide), writer, BASE.to_owned()).await
    }

    async fn decided(&self, decide: Decide, writer: Writer, base_url: String) -> FhirReply {
        let (program, version, now) = (self.program, self.version, (self.clock)().wall);
        let (at, again) = (base_url.clone(), Arc::clone(&decide));
        let read = self
            .recorder
            .read_series(move |store, series| run(store, series, &decide, &Context { base_url: &at, now, program, version }))
            .await;
        let outcome = match read {
            Ok(outcome) => outcome,
            Err(error) => return failed(&error),
        };
        match outcome.step {
            Step::Reply(reply) => http(reply, &base_url, outcome.touched, false),
            Step::Write(_) => self.write(again, writer, base_url).await,
        }
    }

    /// Asks again inside the writer, so that nothing can change between the check and the write.
    async fn write(&self, asked: Decide, writer: Writer, base_url: String) -> FhirReply {
        let (program, version) = (self.program, self.version);
        let at = base_url.clone();
        let changed = Arc::clone(&self.changed);
        let done = self.recorder.write(move |mut desk| {
            let now = desk.now.wall;
            let context = Context { base_url: &at, now, program, version };
            let (reply, touched, documents) = carry_out(&mut desk, &asked, &writer, &context)?;
            let audited = !documents.is_empty();
            if audited {
                changed(desk.replica, documents);
            }
            Ok((reply, touched, audited))
        });
        match done.await {
            Ok(Ok((reply, touched, audited))) => http(reply, &base_url, touched, audited),
            Ok(Err(error)) => commit_failed(&error),
            Err(busy) => refused(StatusCode::SERVICE_UNAVAILABLE, "throttled", &busy.to_string()),
        }
    }
}

/// What comes of a request, given the record.
type Decide = Arc<dyn Fn(&mut StoreReader<'_>, &Context<'_>) -> Result<Outcome, StoreError> + Send + Sync>;

fn run(store: &mut dyn Store, series: &mut SeriesReader, asked: &Decide, context: &Context<'_>) -> Result<Outcome, StoreError> {
    let mut tx = store.begin()?;
    asked(&mut StoreReader::new(tx.as_mut(), series), context)
}

type Done = (Reply, Vec<String>, Vec<DocumentState>);

fn carry_out(desk: &mut Desk<'_>, asked: &Decide, writer: &Writer, context: &Context<'_>) -> Result<Done, CommitError> {
    // Writes hardly ever look at series: nothing of them is kept here.
    let mut series = SeriesReader::default();
    let outcome = run(desk.store, &mut series, asked, context)?;
    let intent = match outcome.step {
        Step::Reply(reply) => return Ok((reply, outcome.touched, Vec::new())),
        Step::Write(intent) => intent,
    };
    // The new id is chosen here, so that the audit event of the same commit can name it.
    let mut drafts: Vec<(Draft, String)> = match &intent {
        Intent::Create { resource_type, resource, place } => {
            let id = record::id::new_resource_id(protocol::entropy::bytes(desk.entropy));
            let mut resource = resource.clone();
            if let Some(object) = resource.as_object_mut() {
                object.insert("id".to_owned(), id.as_str().into());
            }
            let place = match place {
                Place::Site | Place::NewPatient => Where::Site,
                Place::Patient(patient) => Where::Patient(patient.clone()),
            };
            vec![(Draft::Create { place, resource }, format!("{resource_type}/{id}"))]
        }
        Intent::Update(update) => vec![drafted(update)],
        Intent::Together { updates } => updates.iter().map(drafted).collect(),
    };
    let what: Vec<String> = drafts.iter().map(|(_, what)| what.clone()).collect();
    let event = audit_event(context.now, writer, outcome.action, what.clone());
    drafts.push((Draft::Audit(vec![event]), String::new()));
    let act = Act { user: writer.user.clone(), session: writer.session.clone(), reason: String::new() };
    let commit = Commit { act, drafts: drafts.into_iter().map(|(draft, _)| draft).collect(), ..Commit::default() };
    let committed = desk.replica.commit(desk.store, desk.now, desk.entropy, &commit)?;
    let is_first = |d: &&DocumentState| what.first().is_some_and(|first| *first == format!("{}/{}", d.resource_type, d.id));
    let json = match (committed.documents.iter().rfind(is_first), &intent) {
        (Some(document), _) => document.json.clone(),
        // It was so already: nothing was written.
        (None, Intent::Update(update)) => {
            StoreReader::new(desk.store.begin()?.as_mut(), &mut series).document(update.resource_type, &update.id)?.unwrap_or_default()
        }
        (None, _) => Value::Null,
    };
    Ok((written(&intent, &json, context), what, committed.documents))
}

fn drafted(update: &Update) -> (Draft, String) {
    let Update { resource_type, id, elements, if_match } = update;
    let draft = Draft::Update {
        resource_type: (*resource_type).to_owned(),
        id: id.clone(),
        elements: elements.clone(),
        if_match: if_match.clone(),
    };
    (draft, format!("{resource_type}/{id}"))
}

fn audit_event(at: Timestamp, writer: &Writer, action: &str, what: Vec<String>) -> AuditEvent {
    AuditEvent { at, user: writer.user.clone(), session: writer.session.clone(), action: action.to_owned(), what, ok: true }
}

fn plain(request: FhirRequest) -> Option<fhir::Request> {
    let method = match request.method {
        Method::GET => fhir::Method::Get,
        Method::POST => fhir::Method::Post,
        Method::PUT => fhir::Method::Put,
        Method::DELETE => fhir::Method::Delete,
        _ => return None,
    };
    let if_none_exist = request.if_none_exist.map(|text| {
        let pair = |piece: &str| {
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            (name.to_owned(), value.to_owned())
        };
        text.trim_start_matches('?').split('&').filter(|piece| !piece.is_empty()).map(pair).collect()
    });
    Some(fhir::Request {
        method,
        path: request.path,
        query: request.query,
        if_match: request.if_match,
        if_none_exist,
        prefer: request.prefer,
        body: request.body,
    })
}

fn http(reply: Reply, base_url: &str, touched: Vec<String>, audited: bool) -> FhirReply {
    let version = reply.etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"').to_owned());
    let relative =
        |location: String| location.strip_prefix(base_url).map_or(location.clone(), |rest| rest.trim_start_matches('/').to_owned());
    FhirReply {
        status: StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        body: reply.body,
        version,
        last_modified: reply.last_modified.map(Timestamp::http_date),
        location: reply.location.map(relative),
        touched,
        audited,
    }
}

fn refused(status: StatusCode, code: &'static str, text: &str) -> FhirReply {
    FhirReply { status, body: Some(operation_outcome(&[Issue::error(code, text.to_owned())])), ..FhirReply::default() }
}

fn commit_failed(error: &CommitError) -> FhirReply {
    let (status, code) = match error {
        CommitError::UnknownPatient(_) | CommitError::UnknownDocument(_) => (StatusCode::NOT_FOUND, "not-found"),
        CommitError::Exists(_) => (StatusCode::CONFLICT, "duplicate"),
        CommitError::Closed(_) => (StatusCode::GONE, "deleted"),
        CommitError::Version { .. } => (StatusCode::PRECONDITION_FAILED, "conflict"),
        CommitError::Document(_) | CommitError::Seal(_) => (StatusCode::PAYLOAD_TOO_LARGE, "too-long"),
        CommitError::Resource(_) | CommitError::Content(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        CommitError::Store(store) => return failed(store),
        CommitError::Grant(_) => (StatusCode::INTERNAL_SERVER_ERROR, "exception"),
    };
    refused(status, code, &error.to_string())
}

fn failed(error: &StoreError) -> FhirReply {
    tracing::error!(%error, "the store failed a FHIR request");
    match error {
        StoreError::Away { .. } => {
            refused(StatusCode::SERVICE_UNAVAILABLE, "transient", "what keeps the record is not reached at this moment: try again soon")
        }
        StoreError::Full(_) => refused(StatusCode::INSUFFICIENT_STORAGE, "no-store", &error.to_string()),
        _ => refused(StatusCode::INTERNAL_SERVER_ERROR, "exception", "the store could not answer; the reason is in the log"),
    }
}
