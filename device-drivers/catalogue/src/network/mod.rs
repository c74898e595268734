//! Networked devices: one folder or file a protocol.

pub mod hl7;
pub mod intellivue;
pub mod mindray;
