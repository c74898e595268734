//! A ward, a line and a hub in one process, from one seed: the real replicas over a simulated disk, clock and network.
//!
//! ```text
//!     seed ─▶ plan ─▶ world: one queue of events ─▶ storm ─▶ quiet ─▶ check
//!                       │        │        │
//!                    workload  befall  network          model: what should be true, kept plainly beside
//! ```
//!
//! Always: a seed gives the same run, byte for byte; nothing asks the system for time or chance; the model knows of the protocol
//! only the hashes of what was acknowledged.
//! Never here: files, sockets, threads; what a mutation of the product looks like.
//! Start at [`run`], then `world`, `workload`, `befall`, `check`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod act;
mod befall;
pub mod check;
pub mod dice;
pub mod disk;
pub mod hostile;
pub mod model;
pub mod node;
pub mod plan;
mod quiet;
pub mod workload;
pub mod world;

pub use plan::{Fault, Plan};
pub use world::{Failure, World};

/// What came of a run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outcome {
    /// What was not as it should be; none: all was.
    pub failure: Option<Failure>,
    /// Seconds of the run's own time.
    pub seconds: u64,
    /// Boxes.
    pub replicas: u64,
    /// Commits that were acknowledged.
    pub acknowledged: u64,
    /// Of those, how many no disk holds any more, because every disk that did was replaced by an older one.
    pub lost: u64,
    /// What happened, if it was asked for.
    pub trace: Vec<String>,
    /// A hash over all the sets held at the end.
    pub digest: String,
}

/// Runs a plan.
#[must_use]
pub fn run(plan: &Plan, traced: bool) -> Outcome {
    let mut world = match World::new(plan, traced) {
        Ok(world) => world,
        Err(failure) => return Outcome { failure: Some(failure), ..Outcome::default() },
    };
    let failure = world.storm().and_then(|()| world.quiet()).and_then(|()| check::all(&mut world)).err();
    let heads = world.nodes.iter().filter_map(|n| n.replica.as_ref().map(|r| r.digest(r.id()).all.to_string()));
    let digest = heads.collect::<Vec<_>>().join(" ");
    Outcome {
        failure,
        seconds: world.now / world::SECOND,
        replicas: world.nodes.len() as u64,
        acknowledged: world.model.writes.len() as u64,
        lost: world.model.writes.iter().filter(|w| !w.sure).count() as u64,
        trace: world.trace.take().unwrap_or_default(),
        digest,
    }
}
