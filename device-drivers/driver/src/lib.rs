//! The contract between a device's bytes and the record: what a driver is given and what it may answer.
//!
//! ```text
//! link bytes ──▶ Driver::handle(now, In) ──▶ Out::{Reading, Wave, Send, Acknowledge, WakeAt, Fault, …}
//! ```
//!
//! Always: a driver is pure and total: any bytes in any pieces give readings and faults, never a panic, and after
//! garbage it finds its feet again. Readings keep wire order. A driver only listens unless its profile says otherwise.
//! Never here: radio, serial ports, clocks; the patient; the meaning of a value for care.
//!
//! Start at [`Driver::handle`]; a device's page of facts is [`profile::Profile`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod alarm;
pub mod command;
pub mod float11073;
pub mod frame;
pub mod profile;
pub mod scan;

use alarm::Alarm;
use record::laboratory::LabReport;
use record::observation::{Reading, WaveBlock};
use record::time::Monotonic;

/// Where on a link bytes travel: a GATT characteristic by its 16-bit assigned number or full UUID; a stream has one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Channel {
    /// The one channel of a serial port or socket.
    Stream,
    /// A GATT characteristic, as its 128-bit UUID.
    Characteristic(u128),
}

impl Channel {
    /// The characteristic with this number of the Bluetooth SIG (`0x2A37`).
    #[must_use]
    pub const fn assigned(number: u16) -> Self {
        Self::Characteristic(profile::Uuid::assigned(number).0)
    }
}

/// What a driver hears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum In<'a> {
    /// The link is up and every feed of the profile is subscribed.
    Connected,
    /// Bytes, in arrival order, cut anywhere (streams) or one notification at a time (characteristics).
    Bytes(Channel, &'a [u8]),
    /// The moment asked for by [`Out::WakeAt`] has come.
    Wake,
    /// The link is down: drop half-read frames.
    Disconnected,
}

/// What a driver answers, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Out {
    /// A numeric.
    Reading(Reading),
    /// A block of a wave.
    Wave(WaveBlock),
    /// Bytes for the device, at once.
    Send(Channel, Vec<u8>),
    /// Bytes for the device, once everything before it in this run of outputs is durable. Protocol acknowledgements
    /// go out this way, so that a device never forgets what we could still lose.
    Acknowledge(Channel, Vec<u8>),
    /// Call [`Driver::handle`] with [`In::Wake`] at this moment; the latest request counts.
    WakeAt(Monotonic),
    /// Something the device says of itself: serial number, battery, bed label.
    About(About),
    /// An alarm of the device's own that began, changed or ended.
    Alarm(Alarm),
    /// Results of a laboratory analyser on one specimen.
    Laboratory(LabReport),
    /// Bytes that could not be read.
    Fault(Fault),
}

/// A fact a device states about itself. Claims, kept as provenance; identity is address + serial + model, never name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum About {
    /// Who made it.
    Maker(String),
    /// Serial number.
    Serial(String),
    /// Model.
    Model(String),
    /// Firmware revision.
    Firmware(String),
    /// Battery charge, 0–100 %.
    BatteryPercent(u8),
    /// Where the monitor believes it stands (HL7 PV1-3). Never used to file data by itself.
    Location(String),
    /// The device's own clock reading at this moment, unset clocks excluded.
    Clock(record::time::Timestamp),
    /// The device says that its clock was never set, or sends a date that is none.
    ClockUnset,
    /// Which of its users the device filed the readings of this frame under (two-user cuffs, family scales).
    User(u8),
}

/// Bytes that could not be read: what and, for streams, how many bytes were passed over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Why.
    pub error: DecodeError,
    /// Bytes skipped to find the next frame.
    pub skipped: usize,
}

impl Fault {
    /// A fault that `skipped` bytes were passed over for.
    #[must_use]
    pub const fn new(error: DecodeError, skipped: usize) -> Self {
        Self { error, skipped }
    }
    /// A field whose content the protocol does not allow; the rest of its frame was read.
    #[must_use]
    pub fn field(field: &'static str, why: impl Into<String>) -> Self {
        Self { error: DecodeError::Field { field, why: why.into() }, skipped: 0 }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.error)?;
        if self.skipped > 0 {
            write!(f, " ({} bytes skipped)", self.skipped)?;
        }
        Ok(())
    }
}

/// Why bytes could not be read. Always the device or the link at fault, never the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A frame shorter than its own flags promise.
    #[error("need {needed} bytes, got {got}")]
    Truncated {
        /// Bytes the frame's own header calls for.
        needed: usize,
        /// Bytes there were.
        got: usize,
    },
    /// A checksum that does not match.
    #[error("checksum: frame states {stated:#04x}, bytes give {computed:#04x}")]
    Checksum {
        /// As sent.
        stated: u32,
        /// As computed.
        computed: u32,
    },
    /// A frame past the protocol's bound; it is dropped and reading goes on after it.
    #[error("frame of more than {limit} bytes")]
    Oversized {
        /// The bound.
        limit: usize,
    },
    /// A field whose content is not what the protocol allows.
    #[error("{field}: {why}")]
    Field {
        /// Which field ("OBX-5", "r_len").
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Bytes outside any frame.
    #[error("bytes outside any frame")]
    Unframed,
}

/// A protocol spoken with one device over one link.
pub trait Driver: Send {
    /// Takes one input, yields what it says.
    fn handle(&mut self, now: Monotonic, input: In<'_>) -> Vec<Out>;
}
