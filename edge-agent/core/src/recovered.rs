//! What the store held when the program started.

use protocol::commit::DocumentState;
use protocol::replica::Standing;
use record::binding::Binding;
use record::id::{PatientId, ScopeId};
use record::ledger::Hlc;
use record::series::{Boot, Frame};
use record::time::Timestamp;
use serde_json::Value;

/// The durable state an agent begins from. After `kill -9` this is all there is, and nothing in it is lost or doubled.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Recovered {
    /// Every version of every binding.
    pub bindings: Vec<(Hlc, Binding)>,
    /// FHIR Patients.
    pub patients: Vec<Value>,
    /// Scopes of patients.
    pub scopes: Vec<(PatientId, ScopeId)>,
    /// Patients named by bindings whose record is no longer here.
    pub closed: Vec<PatientId>,
    /// FHIR Devices.
    pub devices: Vec<Value>,
    /// FHIR DetectedIssues: at least those that are open, those a person closed in the present stay of a patient in a bed, and
    /// those resolved in the last hour.
    pub alerts: Vec<DocumentState>,
    /// What was kept of what devices state besides readings: DiagnosticReports whose ids [`crate::ids_since`] finds within a month,
    /// and Observations of the last two days, of [`crate::REPORTS`]; Communications of the last two days, of [`crate::ALARMS`].
    pub statements: Vec<Value>,
    /// What was kept under the keys of [`crate::value_keys`] of every device: which records it has sent.
    pub values: Vec<(String, Vec<u8>)>,
    /// Sealed numerics of the last 12 hours of patients in a bed, oldest first: charts are rebuilt from them and nothing
    /// else is done with them. May be empty; scores then miss what was sealed.
    pub recent: Vec<Frame>,
    /// The journal, oldest tick first, numerics and waves apart, as [`record::series::encode_tick`] made them and
    /// [`record::series::decode_tick`] has read them: an hour of a ward is too much to hold unpacked.
    pub ticks: Vec<(u64, Vec<u8>)>,
    /// `(device, boot, waves, next_seq)`: samples below `next_seq` are in segments. Must cover every (device, boot) of
    /// `ticks`, however old its measurements.
    pub sealed_through: Vec<(String, Boot, bool, u64)>,
    /// Since when this is a backup put back, and the hub has not told yet what was written after it: who was moved since is not
    /// known. None otherwise.
    pub restored: Option<Timestamp>,
    /// What the hub wants this ward to go by, and what it was last told of that.
    pub configuration: Standing,
}
