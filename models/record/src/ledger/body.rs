//! What a payload says, by kind. Canonical bytes are postcard of (act, body); a kind's body is for ever.

use crate::binding::Binding;
use crate::id::{ReplicaId, ResourceId, ScopeId};
use crate::ledger::chain::{ChainId, Head};
use crate::ledger::configuration::Configuration;
use crate::ledger::entry::Kind;
use crate::ledger::grant::Grant;
use crate::ledger::hlc::Hlc;
use crate::series::{Segment, SegmentView};
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
    /// What one commit does to documents, in order.
    Documents(Vec<DocumentEvent>),
    /// A sealed segment, numerics or waves.
    Segment(Segment),
    /// A binding interval, or a later version of one.
    Binding(Binding),
    /// A wrapped scope key.
    Grant(Grant),
    /// Audit events.
    Audit(Vec<AuditEvent>),
    /// See [`Refiling`].
    Refiling(Refiling),
    /// Payloads of this scope given up on a full disk.
    Shed(Vec<Span>),
    /// See [`Membership`].
    Membership(Membership),
    /// See [`Erasure`].
    Erasure(Erasure),
    /// See [`Revocation`].
    Revocation(Revocation),
    /// See [`Configuration`].
    Configuration(Configuration),
}

impl Body {
    /// The kind an entry of this body states.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::RunStart(_) => Kind::RUN_START,
            Self::Documents(_) => Kind::DOCUMENTS,
            Self::Segment(segment) if segment.is_waves() => Kind::WAVES,
            Self::Segment(_) => Kind::NUMERICS,
            Self::Binding(_) => Kind::BINDING,
            Self::Grant(_) => Kind::GRANT,
            Self::Audit(_) => Kind::AUDIT,
            Self::Refiling(_) => Kind::REFILING,
            Self::Shed(_) => Kind::SHED,
            Self::Membership(_) => Kind::MEMBERSHIP,
            Self::Erasure(_) => Kind::ERASURE,
            Self::Revocation(_) => Kind::REVOCATION,
            Self::Configuration(_) => Kind::CONFIGURATION,
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

/// The segment in canonical bytes, where it lies: of a [`Body::Segment`], or of a [`Refiling::Copy`].
///
/// # Errors
/// Canonical bytes of anything else.
pub fn segment_in(canonical: &[u8]) -> Result<SegmentView<'_>, BodyError> {
    /// Numbers of the variants, as postcard has them.
    const SEGMENT: u32 = 2;
    const REFILING: u32 = 6;
    const COPY: u32 = 1;
    fn take<'a, T: Deserialize<'a>>(bytes: &mut &'a [u8]) -> Result<T, BodyError> {
        let (value, rest) = postcard::take_from_bytes(bytes).map_err(|_| BodyError)?;
        *bytes = rest;
        Ok(value)
    }
    let mut bytes = canonical;
    let _act: (&str, &str, &str) = take(&mut bytes)?;
    match take(&mut bytes)? {
        SEGMENT => take(&mut bytes),
        REFILING if take::<u32>(&mut bytes)? == COPY => {
            let _first_filed: (ChainId, u64) = take(&mut bytes)?;
            take(&mut bytes)
        }
        _ => Err(BodyError),
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
    /// In the author's site scope: how many entries its earlier runs had written in all, as the author knew them.
    pub written: Option<u64>,
}

/// Something that happens to a document.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DocumentEvent {
    /// It begins.
    Genesis(Genesis),
    /// It is edited.
    Change(Change),
    /// It is an alert, and somebody has taken it.
    Acknowledgement(Acknowledgement),
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

/// Entries of one chain, `from` to before `to`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Span {
    /// The chain.
    pub chain: ChainId,
    /// The first.
    pub from: u64,
    /// After the last.
    pub to: u64,
}

/// One half of moving samples from the patient they were filed to wrongly; both halves carry one group.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Refiling {
    /// In the wrong patient's scope: these samples of a segment are not this patient's.
    Mask {
        /// The chain of the segment.
        chain: ChainId,
        /// Its place.
        seq: u64,
        /// Measured at or after.
        from: Timestamp,
        /// Measured at or before.
        to: Timestamp,
    },
    /// In the right patient's scope: the samples, sealed again.
    Copy {
        /// The chain they were first filed in.
        chain: ChainId,
        /// The segment's place there.
        seq: u64,
        /// The samples.
        segment: Segment,
    },
}

/// Who still takes part in a scope.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Membership {
    /// In the scope: this replica is to hand over and leave. It stops writing once it knows, and leaves once all it wrote is
    /// held elsewhere.
    Ends {
        /// Who.
        replica: ReplicaId,
        /// The stamp of the grant that ends, and of every earlier one: a later grant stands, whatever clocks say.
        granted: Hlc,
    },
    /// In the leaver's own site scope: it has dropped what it held of these scopes.
    Left {
        /// The scopes, each with the stamp of the grant that is left.
        scopes: Vec<(ScopeId, Hlc)>,
    },
}

/// Destroying what a scope says, everywhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Erasure {
    /// Whoever holds the scope must destroy its key, its payloads and all that was made from them.
    Ordered {
        /// Who takes part or did: the grants are destroyed with the scope, and whoever comes later, or comes back from a backup,
        /// must still learn whose entries count and who is to sign.
        members: Vec<Member>,
    },
    /// The author of this entry has done so.
    Done,
}

/// One who takes part in a scope that is to be destroyed, or did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub replica: ReplicaId,
    /// The stamp of its newest grant.
    pub granted: Hlc,
    /// Whether it has left since.
    pub left: bool,
}

/// A replica whose membership was revoked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revocation {
    /// Who.
    pub replica: ReplicaId,
    /// How far each of its chains in this scope counts. A later revocation that names more lets more through.
    pub heads: Vec<Head>,
}
