//! The FHIR face against a record held in memory, the shared examples, and anything at all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod anything;
mod conflicts;
mod identity;
mod reading;
mod results;
mod searching;
mod validation;
mod versions;
mod ward;
mod writing;
