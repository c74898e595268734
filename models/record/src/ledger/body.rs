//! What a payload says, by kind. Canonical bytes are postcard of (act, body); a kind's body is for ever.

use crate::binding::Binding;
use crate::id::ResourceId;
use crate::ledger::chain::Head;
use crate::ledger::entry::Kind;
use crate::ledger::grant::Grant;
use crate::series::Segment;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// On whose behalf, in which session, and why.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Act {
    /// User name; "system" for what the box does by itself.
    pub user: String,
    /// Session id; empty for the box itself.
    pub session: String,
    /// Why, where a reason was asked for.
    pub reason: String,
}

impl Act {
    /// What the box does by itself.
    #[must_use]
    pub fn system() -> Self {
        Self { user: "system".to_owned(), ..Self::default() }
    }
}

/// The content of an entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Body {
    /// See [`RunStart`].
    RunStart(RunStart),
    /// See [`Genesis`].
    Genesis(Genesis),
    /// See [`Change`].
    Change(Change),
    /// A sealed segment, numerics or waves.
    Segment(Segment),
    /// A binding interval, or a later version of one.
    Binding(Binding),
    /// A wrapped scope key.
    Grant(Grant),
    /// Audit events.
    Audit(Vec<AuditEvent>),
    /// See [`Acknowledgement`].
    Acknowledgement(Acknowledgement),
}

impl Body {
    /// The kind an entry of this body states.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::RunStart(_) => Kind::RUN_START,
            Self::Genesis(_) => Kind::GENESIS,
            Self::Change(_) => Kind::CHANGE,
            Self::Segment(segment) if segment.is_waves() => Kind::WAVES,
            Self::Segment(_) => Kind::NUMERICS,
            Self::Binding(_) => Kind::BINDING,
            Self::Grant(_) => Kind::GRANT,
            Self::Audit(_) => Kind::AUDIT,
            Self::Acknowledgement(_) => Kind::ACKNOWLEDGEMENT,
        }
    }

    /// Canonical bytes.
    #[must_use]
    pub fn encode(&self, act: &Act) -> Vec<u8> {
        // Plain fields into memory: cannot fail.
        postcard::to_stdvec(&(act, self)).unwrap_or_default()
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// Bytes no version of this program has written.
    pub fn decode(bytes: &[u8]) -> Result<(Act, Self), BodyError> {
        postcard::from_bytes(bytes).map_err(|_| BodyError)
    }
}

/// A payload whose content cannot be read: dead-lettered, the chain goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the payload's content cannot be read by this version")]
pub struct BodyError;

/// First entry of a run in a scope: what it continues.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RunStart {
    /// Heads of the author's earlier runs in this scope, as the author knew them.
    pub continues: Vec<Head>,
    /// Program version.
    pub program: String,
}

/// A document's beginning: its canonical JSON and the shape that builds the automerge document from it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Genesis {
    /// FHIR resource type.
    pub resource_type: String,
    /// Logical id.
    pub id: ResourceId,
    /// Which builder.
    pub shape: u16,
    /// Canonical JSON, without `meta`.
    pub json: String,
}

/// Changes of one document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// FHIR resource type.
    pub resource_type: String,
    /// Logical id.
    pub id: ResourceId,
    /// Automerge changes.
    pub changes: Vec<Vec<u8>>,
}

/// Who did what to whose data.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// User name.
    pub user: String,
    /// Session id.
    pub session: String,
    /// `read`, `search`, `create`, `update`, `sign-in`, `sign-in-failed`, `acknowledge`, …
    pub action: String,
    /// References ("Patient/…"), never content.
    pub what: Vec<String>,
    /// Whether it was allowed and worked.
    pub ok: bool,
}

/// Somebody has taken an alert: an event, so that repeating it changes nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Acknowledgement {
    /// The DetectedIssue.
    pub alert: ResourceId,
    /// User name.
    pub by: String,
    /// When.
    pub at: Timestamp,
}
