//! Serial lines: one folder or file a protocol.

pub mod ge_dri;
