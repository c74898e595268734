//! Networked devices: one folder or file a protocol.

pub mod hl7;
