//! HL7 v2 observation reports (`ORU^R01`) over MLLP, as bedside monitors and gateways send them: IHE PCD-01 and what
//! claims to be, alarms by PCD-04 (`ORU^R40`), and results of laboratory analysers. Profiles tell the dialects apart.
//!
//! Read in this order: [`message`] (segments and separators), [`time`], [`obx`] (one observation), [`oru`] (the
//! driver), [`repeats`] (what was charted before), [`alarm`], [`laboratory`], [`acknowledge`].
//!
//! Patients are not read here: `PID` is ignored, and `PV1-3` is passed on as a claim of where the monitor stands.

pub mod acknowledge;
pub mod alarm;
pub mod laboratory;
pub mod message;
pub mod obx;
pub mod oru;
pub mod repeats;
pub mod time;

use crate::{Link, ProtocolRow};
use driver::Channel;
use driver::frame::mllp;

/// The longest message read, in bytes.
pub const MESSAGE_LEN_MAX: usize = 1024 * 1024;

pub(crate) const PROTOCOL: ProtocolRow = ProtocolRow {
    id: "hl7.oru",
    quirks: &[],
    link: Link::TcpListener,
    channel: Channel::Stream,
    make: |profile| Box::new(oru::Oru::new(profile)),
    check: |_| Ok(()),
    as_sent,
};

/// A file may hold bare messages: each begins with `MSH` at the start of a line.
pub(super) fn as_sent(bytes: &[u8]) -> Vec<u8> {
    if bytes.contains(&0x0B) {
        return bytes.to_vec();
    }
    let mut starts: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(b"MSH")))
        .filter(|at| at.checked_sub(1).and_then(|before| bytes.get(before)).is_none_or(|before| matches!(before, b'\r' | b'\n')))
        .collect();
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    let ends = starts.iter().copied().skip(1).chain([bytes.len()]);
    starts.iter().zip(ends).filter_map(|(start, end)| bytes.get(*start..end)).filter(|m| !m.is_empty()).flat_map(mllp).collect()
}
