//! What sites go by: limits and sampling, rolled out in bundles and rolled back.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path of the list of [`ConfigurationView`].
pub const CONFIGURATION: &str = "/api/v1/configuration";
/// Path that rolls a bundle out.
pub const ROLL_OUT: &str = "/api/v1/configuration/roll-out";
/// Path that rolls sites back.
pub const ROLL_BACK: &str = "/api/v1/configuration/roll-back";

/// How one site stands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ConfigurationView {
    /// The site.
    pub site: String,
    /// Whether it goes by what it was told to.
    pub state: ConfigurationState,
    /// What was rolled out last.
    pub wanted: Option<BundleView>,
    /// What the site says it goes by; none while it has said nothing.
    pub running: Option<BundleView>,
    /// Why the site refused what is wanted.
    pub refused: Option<String>,
    /// The program that said so.
    pub program: Option<String>,
    /// What a roll-back would bring: the name.
    pub before: Option<String>,
}

/// Whether a site goes by what it was told to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigurationState {
    /// Nothing has been rolled out to it: it goes by what its program was shipped with.
    Shipped,
    /// It has not answered what was rolled out last.
    Waiting,
    /// It goes by it.
    Applied,
    /// It cannot use it, and goes by what it did before.
    Refused,
}

/// A bundle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct BundleView {
    /// Its name.
    pub name: String,
    /// SHA-256 of its text, hex; none for what a program was shipped with.
    pub sha256: Option<String>,
    /// When it was rolled out, or told of, ms since 1970.
    pub at_ms: i64,
}

/// Rolls a bundle out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollOut {
    /// `all`, `group:<name>` or `site:<name>`.
    pub to: String,
    /// The bundle, TOML.
    pub bundle: String,
    /// Why; kept in the ledger.
    pub reason: String,
}

/// Takes sites back to what was rolled out to them before.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// `all`, `group:<name>` or `site:<name>`.
    pub to: String,
    /// Why; kept in the ledger.
    pub reason: String,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct RolledOut {
    /// The sites it was written for; each takes it up when it next syncs.
    pub sites: Vec<String>,
    /// Sites that were meant and left out: nothing has come from them yet, or there is nothing to go back to.
    pub skipped: Vec<String>,
}

/// How each site stands.
#[utoipa::path(get, operation_id = "listConfiguration", path = CONFIGURATION, responses((status = 200, body = Vec<ConfigurationView>)))]
pub fn list() {}

/// Rolls a bundle out to all sites, a group or one. A bundle no site could use is refused and nothing is written.
#[utoipa::path(post, operation_id = "rollOutConfiguration", path = ROLL_OUT, request_body = RollOut, responses((status = 200, body = RolledOut)))]
pub fn roll_out() {}

/// Rolls sites back, each to what it was told to go by before.
#[utoipa::path(post, operation_id = "rollBackConfiguration", path = ROLL_BACK, request_body = RollBack, responses((status = 200, body = RolledOut)))]
pub fn roll_back() {}
