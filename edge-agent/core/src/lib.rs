#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]
//! What the appliance decides. Owns no socket, no file, no clock, no dice.
//!
//!     bytes from a device ──┐                    ┌── commit this, then tell me
//!     a nurse's command ────┼──▶ Agent::handle ──┼── show this on the screens, answer that command
//!     "it is durable", tick ┘                    └── send to the device, wake me at T
//!
//! Always: nothing is shown, answered or acknowledged to a device before the commit that holds it is durable. One commit
//! is under way at most; what arrives meanwhile goes into the next. A sample belongs to whoever was bound when it was
//! measured, judged when its segment is cut. The same inputs give the same effects. Every map and queue has a limit.
//! Never here: radio and serial (`device-drivers/transport`), storage and keys (`edge-agent/store`, `protocol`), sync.
//! Start at [`Agent::handle`], then follow a sample: `ingest`, `writer`, `series`, `chart`, `limiting`, `alerting`, `view`.

mod agent;
mod alert_document;
mod alerting;
mod association;
mod chart;
mod commands;
mod correction;
mod device_alarms;
mod devices;
mod durable;
mod effects;
mod ingest;
mod input;
mod laboratory;
mod limiting;
mod on_record;
mod pairing;
mod patients;
mod planning;
mod plausible;
mod recovered;
mod refusals;
mod saving;
mod series;
mod settings;
mod statements;
mod technician;
mod view;
mod writer;

pub use agent::{Agent, Counts};
pub use alert_document::{EVIDENCE_URL, RESOLUTION_URL};
pub use alerting::CALM_BEFORE_RESOLVED_US;
pub use commands::{Actor, Command, CommandError, CommandReply, Sighting};
pub use device_alarms::ALARMS;
pub use effects::{Effect, LiveEvent, Note, Recording, Telemetry};
pub use ingest::value_keys;
pub use input::{Input, LinkEvent, LinkId, Room};
pub use laboratory::REPORTS;
pub use on_record::PAIRING_URL;
pub use pairing::{BondEvent, VALID_NEEDED_US};
pub use protocol::replica::MANUAL;
pub use recovered::Recovered;
pub use settings::{DeviceSetting, Limits, Settings};
pub use statements::ids_since;
pub use writer::COMMAND_ATTEMPTS;
