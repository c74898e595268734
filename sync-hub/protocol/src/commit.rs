//! What a program asks to be written: drafts, made into entries by [`crate::replica::Replica::commit`].

use record::binding::Binding;
use record::id::{DeviceId, PatientId, ResourceId};
use record::ledger::body::AuditEvent;
use record::ledger::configuration::Report;
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
    /// Journal ticks whose numerics, and whose waves, are in segments once this commit stands: up to and including these ids.
    pub drop_ticks_through: [Option<u64>; 2],
    /// What becomes entries, in order.
    pub drafts: Vec<Draft>,
    /// Small values for the program's own use, kept beside the record: no entries, never sent. Keys begin with [`OWN_VALUES`].
    pub values: Vec<(String, Vec<u8>)>,
}

/// What keys of a program's own values begin with.
pub const OWN_VALUES: &str = "own/";

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
    /// Samples that were filed to the wrong place: masked where they are, copied to where they belong. Needs the payloads.
    Refile {
        /// Where they are.
        from: Where,
        /// Where they belong.
        to: Where,
        /// Of this device.
        device: DeviceId,
        /// Measured at or after.
        start: Timestamp,
        /// Measured at or before.
        end: Timestamp,
    },
    /// What this site did about what its hub wants it to go by.
    Report(Report),
    /// Audit events, into this replica's own audit.
    Audit(Vec<AuditEvent>),
}

impl Draft {
    /// Whether it concerns documents only.
    #[must_use]
    pub const fn is_document(&self) -> bool {
        matches!(self, Self::Create { .. } | Self::Update { .. } | Self::Acknowledge { .. })
    }

    /// Where a document is to begin; none for all else.
    pub(crate) fn place(&self) -> Option<&Where> {
        match self {
            // A patient begins a scope of their own.
            Self::Create { place, resource } if resource.get("resourceType").and_then(Value::as_str) != Some("Patient") => Some(place),
            _ => None,
        }
    }
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
    /// Patients whose record is no longer here: erased, or left to another site.
    pub closed: Vec<PatientId>,
    /// What was given up for want of room.
    pub given_up: GivenUp,
}

/// Bytes of payloads given up on a full disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GivenUp {
    /// Of any kind, held elsewhere under a receipt: nothing is lost.
    pub safe: u64,
    /// Waveforms nobody else holds.
    pub waves: u64,
    /// Numerics nobody else holds.
    pub numerics: u64,
}

impl GivenUp {
    /// All of it.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.safe + self.waves + self.numerics
    }
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
