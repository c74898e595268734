//! The FHIR R4 face of the record. Agent and hub serve `/fhir/R4/…` through this one module.
//!
//! ```text
//! Request ──▶ handle ──▶ Reply, or an Intent to write ──▶ (the caller writes) ──▶ written ──▶ Reply
//!               │
//!               └── asks a Reader for documents and vitals
//! ```
//!
//! Always: a refusal is an OperationOutcome that names the element or parameter; what is refused changes nothing; nothing
//! is deleted; an answer is bounded, whatever is asked.
//! Never here: HTTP, sign-in and permissions (crate `web`), writing (`document`, `ledger`), the clock. Terminology is not
//! looked up.
//! Start at [`handle`]; a resource type is a row of [`resources::RESOURCES`].

mod bundle;
pub mod capability;
pub mod conflicts;
pub mod duplicates;
mod find;
mod handle;
mod history;
pub mod identity;
pub mod laboratory;
mod links;
mod matching;
pub mod moment;
pub mod observation;
mod observations;
pub mod outcome;
pub mod patient;
mod primitive;
pub mod resources;
pub mod search;
pub mod structure;
pub mod validate;
pub mod vital;
mod write;

pub use capability::capability_statement;
pub use handle::handle;
pub use outcome::{Issue, operation_outcome};
pub use patient::PatientView;
pub use validate::validate;
pub use vital::{ObservationId, Vital, VitalsQuery, group, group_excerpt, together};
use write::version_of;
pub use write::written;

use crate::document::{Document, Shown};
use crate::id::{PatientId, ResourceId};
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// A request below the base URL.
#[derive(Clone, PartialEq, Debug)]
pub struct Request {
    /// HTTP method; HEAD is asked as GET.
    pub method: Method,
    /// Path segments below the base, percent-decoded: `["Patient", "p1"]`.
    pub path: Vec<String>,
    /// Query parameters, decoded, in order; of `POST …/_search` those of the form body too.
    pub query: Vec<(String, String)>,
    /// `If-Match`, as sent: `*`, or versions, each with or without `W/` and quotes.
    pub if_match: Option<String>,
    /// `If-None-Exist`, read as a query.
    pub if_none_exist: Option<Vec<(String, String)>>,
    /// `Prefer`.
    pub prefer: Option<String>,
    /// The JSON body.
    pub body: Option<Value>,
}

/// The methods that mean something here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are HTTP's")]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

/// What is true of every request.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Where this server is reached, without a slash at the end: `https://box:7410/fhir/R4`.
    pub base_url: &'a str,
    /// Wall clock.
    pub now: Timestamp,
    /// Name of the program ("edge-agent").
    pub program: &'a str,
    /// Its version.
    pub version: &'a str,
}

/// Where resources come from.
pub trait Reader {
    /// Why it may fail; nothing a caller of the API could mend.
    type Error;
    /// One document, with `meta.versionId` and `meta.lastUpdated` (see [`with_version`]).
    ///
    /// # Errors
    /// The store's.
    fn document(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<Value>, Self::Error>;
    /// The parts of one document, for its history and its conflicts.
    ///
    /// # Errors
    /// The store's.
    fn parts(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<Document>, Self::Error>;
    /// Documents by filter, ids ascending by byte.
    ///
    /// # Errors
    /// The store's.
    fn documents(&mut self, query: &DocumentQuery) -> Result<Vec<Value>, Self::Error>;
    /// Vitals as [`VitalsQuery::select`] would have them.
    ///
    /// # Errors
    /// The store's.
    fn vitals(&mut self, query: &VitalsQuery) -> Result<Vec<Vital>, Self::Error>;
    /// One vital.
    ///
    /// # Errors
    /// The store's.
    fn vital(&mut self, id: &ObservationId) -> Result<Option<Vital>, Self::Error>;
}

/// Which documents to list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocumentQuery {
    /// FHIR resource type.
    pub resource_type: &'static str,
    /// Those of these patients are enough, of anybody if none is named; more may be given, they are sifted.
    pub patients: Vec<PatientId>,
    /// Those in which values wait for a choice are enough; more may be given, they are sifted.
    pub conflicted: bool,
    /// Those with one of these [`identity::keys`] are enough, all if none is named; more may be given, they are sifted.
    pub keys: Vec<i64>,
    /// Only ids after this one.
    pub after: Option<String>,
    /// At most this many.
    pub limit: usize,
}

impl DocumentQuery {
    /// The first of a type.
    #[must_use]
    pub const fn of(resource_type: &'static str, limit: usize) -> Self {
        Self { resource_type, patients: Vec::new(), conflicted: false, keys: Vec::new(), after: None, limit }
    }
}

/// What came of a request.
#[derive(Clone, PartialEq, Debug)]
pub struct Outcome {
    /// What to do.
    pub step: Step,
    /// For the audit trail: `read`, `search`, `history`, `create`, `update`, `merge`, `unmerge`, `capabilities`, `refused`.
    pub action: &'static str,
    /// For the audit trail: references to what was seen or is to be written.
    pub touched: Vec<String>,
}

/// What to do about a request.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// Answer this.
    Reply(Reply),
    /// Write this durably, then answer [`written`].
    Write(Intent),
}

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// `application/fhir+json`.
    pub body: Option<Value>,
    /// `ETag`: `W/"version"`.
    pub etag: Option<String>,
    /// `Last-Modified`, to be written as HTTP has it.
    pub last_modified: Option<Timestamp>,
    /// `Location`.
    pub location: Option<String>,
}

/// A write that has been found good.
#[derive(Clone, PartialEq, Debug)]
pub enum Intent {
    /// Begin a document under a new id.
    Create {
        /// FHIR resource type.
        resource_type: &'static str,
        /// The resource, without `id`.
        resource: Value,
        /// The scope it goes to.
        place: Place,
    },
    /// Change elements of a document.
    Update(Update),
    /// Change several documents as one act; the first is answered with.
    Together {
        /// What to change.
        updates: Vec<Update>,
    },
}

/// A change of one document.
#[derive(Clone, PartialEq, Debug)]
pub struct Update {
    /// FHIR resource type.
    pub resource_type: &'static str,
    /// Which.
    pub id: ResourceId,
    /// Elements to set, or to remove where `Null`.
    pub elements: Map<String, Value>,
    /// The version it must still have when it is written; else 412.
    pub if_match: Option<String>,
}

/// The ledger scope of a new document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// The site's.
    Site,
    /// A new patient scope: the document is the patient.
    NewPatient,
    /// That of this patient, who is known.
    Patient(PatientId),
}

/// The resource of a document as readers give it: with its version and time.
#[must_use]
pub fn with_version(shown: Shown) -> Value {
    let mut json = shown.json;
    let updated = Timestamp::from_millis(i64::try_from(shown.updated.wall_ms).unwrap_or(i64::MAX));
    let meta = json.entry("meta").or_insert_with(|| json!({}));
    if let Some(meta) = meta.as_object_mut() {
        meta.insert("versionId".to_owned(), shown.version.into());
        meta.insert("lastUpdated".to_owned(), updated.rfc3339().into());
    }
    Value::Object(json)
}

impl Reply {
    /// A resource with its version.
    fn resource(status: u16, resource: Value) -> Self {
        let meta = |key: &str| resource.get("meta").and_then(|meta| meta.get(key)).and_then(Value::as_str);
        let etag = meta("versionId").map(|version| format!("W/\"{version}\""));
        let last_modified = meta("lastUpdated").and_then(|text| Timestamp::parse(text).ok());
        Self { status, etag, last_modified, location: None, body: Some(resource) }
    }
    /// A refusal.
    fn refusal(status: u16, issues: &[Issue]) -> Self {
        Self { status, body: Some(operation_outcome(issues)), etag: None, last_modified: None, location: None }
    }
}

impl Outcome {
    fn reply(action: &'static str, reply: Reply, touched: Vec<String>) -> Self {
        Self { step: Step::Reply(reply), action, touched }
    }
    fn refused(status: u16, issue: Issue) -> Self {
        Self::refused_all(status, &[issue])
    }
    fn refused_all(status: u16, issues: &[Issue]) -> Self {
        Self::reply("refused", Reply::refusal(status, issues), Vec::new())
    }
}
