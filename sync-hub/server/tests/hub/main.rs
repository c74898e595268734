//! The hub as agents, operators and intruders meet it: the real program, real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod agent;
mod enrolment;
mod keeping;
mod live;
mod operation;
mod program;
mod sync;
