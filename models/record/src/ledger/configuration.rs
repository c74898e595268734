//! What a hub wants a site to go by, and what came of it there: entries of the site's own scope.
//!
//! The content is text that `risk::limits` reads; here it is only carried. Rolling back is rolling out what was before.

use crate::id::Hash;
use crate::ledger::entry::sha256;
use serde::{Deserialize, Serialize};

/// Something that happens to a site's configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Configuration {
    /// By the hub: this is what the site is to go by. The newest counts.
    Rollout(Rollout),
    /// By the site: what it did about the newest it knows.
    Report(Report),
}

/// A bundle for one site. The signature over the hub's chain is the bundle's.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Rollout {
    /// The hub's name of the site: which of the bundle's overrides are meant.
    pub site: String,
    /// The bundle's name, as it stands in the text.
    pub name: String,
    /// The format an agent must understand to go by it.
    pub requires: u16,
    /// The bundle, TOML.
    pub text: String,
}

/// What a site did about a rollout.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`Rollout::digest`] of what this is about.
    pub about: Hash,
    /// Its name.
    pub name: String,
    /// Why it was refused; none if the site goes by it.
    pub refused: Option<String>,
    /// What the site goes by: its name, and its digest unless that is what the program was shipped with.
    pub runs: (String, Option<Hash>),
    /// The site's program and version.
    pub program: String,
}

impl Rollout {
    /// SHA-256 of the text: how a bundle is known again, whatever it is called and whichever site it went to.
    #[must_use]
    pub fn digest(&self) -> Hash {
        sha256(&[b"lamplight/configuration/1", self.text.as_bytes()])
    }
}
