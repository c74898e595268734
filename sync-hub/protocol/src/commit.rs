//! What a program asks to be written: drafts, made into entries by [`crate::replica::Replica::commit`].

use record::binding::Binding;
use record::id::{PatientId, ResourceId};
use record::ledger::body::AuditEvent;
use record::ledger::{Act, Head};
use record::series::{Frame, Segment};
use record::time::Timestamp;
use serde_json::{Map, Value};

/// One durable commit: all of it or nothing.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Commit {
    /// On whose behalf.
    pub act: Act,
    /// Frames of a tick for the journal.
    pub tick: Vec<Frame>,
    /// Journal ticks that are wholly in segments once this commit stands: up to and including this id.
    pub drop_ticks_through: Option<u64>,
    /// What becomes entries, in order.
    pub drafts: Vec<Draft>,
}

/// One thing to be written.
#[derive(Clone, PartialEq, Debug)]
pub enum Draft {
    /// Begins a document. The resource carries `resourceType`; an `id` is kept if it has one, else made. A Patient begins
    /// a scope of its own.
    Create {
        /// Where it belongs.
        place: Where,
        /// FHIR JSON.
        resource: Value,
    },
    /// Sets top-level elements of a document; `Null` removes one.
    Update {
        /// FHIR resource type.
        resource_type: String,
        /// Logical id.
        id: ResourceId,
        /// What to set.
        elements: Map<String, Value>,
        /// Refuse unless the document is at this version.
        if_match: Option<String>,
    },
    /// Somebody has taken an alert.
    Acknowledge {
        /// The DetectedIssue.
        alert: ResourceId,
        /// User name.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// A binding interval or a later version of one.
    Bind(Binding),
    /// A sealed segment.
    Segment {
        /// Where it belongs.
        place: Where,
        /// The segment.
        segment: Segment,
    },
    /// Audit events, into this replica's own audit.
    Audit(Vec<AuditEvent>),
}

/// Where an entry belongs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Where {
    /// The clinic's own scope.
    Site,
    /// Samples no binding claims.
    Unassigned,
    /// A patient's scope.
    Patient(PatientId),
}

/// What a commit wrote.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Committed {
    /// The tick's id in the journal, if there was one.
    pub tick: Option<u64>,
    /// Entries written.
    pub entries: u64,
    /// Documents as they stand after it, in the order of the drafts that touched them.
    pub documents: Vec<DocumentState>,
    /// Heads of the chains written.
    pub heads: Vec<Head>,
}

/// A document after a change.
#[derive(Clone, PartialEq, Debug)]
pub struct DocumentState {
    /// FHIR resource type.
    pub resource_type: String,
    /// Logical id.
    pub id: ResourceId,
    /// The resource with `meta.versionId` and `meta.lastUpdated`.
    pub json: Value,
    /// Its version.
    pub version: String,
    /// Who acknowledged it first and when (alerts).
    pub acknowledged: Option<(Timestamp, String)>,
}
