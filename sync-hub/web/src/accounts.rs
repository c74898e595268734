//! Who may sign in. The program keeps them; this is what it must answer.

use crate::secret::SecretHash;
use record::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use utoipa::ToSchema;

/// What a person is here for. What each role may do is decided by the routes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Cares for patients.
    Nurse,
    /// Installs and pairs devices.
    Technician,
    /// Runs a hub's fleet.
    Operator,
    /// Manages accounts and configuration.
    Admin,
    /// Reads audit, changes nothing.
    Auditor,
}

impl Role {
    /// As written in JSON and configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nurse => "nurse",
            Self::Technician => "technician",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected nurse, technician, operator, admin or auditor, got {0:?}")]
pub struct RoleError(pub String);

impl std::str::FromStr for Role {
    type Err = RoleError;
    fn from_str(text: &str) -> Result<Self, RoleError> {
        [Self::Nurse, Self::Technician, Self::Operator, Self::Admin, Self::Auditor]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| RoleError(text.chars().take(64).collect()))
    }
}

/// One person's account as kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Account {
    /// The name typed at sign-in; unique.
    pub user: String,
    /// The name shown.
    pub display_name: String,
    /// What they are here for.
    pub role: Role,
    /// Their secret, hashed.
    pub secret_hash: SecretHash,
    /// Wrong secrets in a row.
    pub failures: u32,
    /// Until when no secret is accepted.
    pub locked_until: Option<Timestamp>,
    /// May not sign in at all; running sessions end within [`crate::session::SessionLimits::recheck_s`].
    pub disabled: bool,
}

/// The program's accounts. Calls may block; they are made off the async threads.
pub trait Accounts: Send + Sync + 'static {
    /// The account of that user, if there is one.
    ///
    /// # Errors
    /// The store cannot be read.
    fn find(&self, user: &str) -> Result<Option<Account>, AccountsError>;

    /// Keeps the lock-out state durably; `0, None` after a success. Returns once it is on disk.
    ///
    /// # Errors
    /// The store cannot be written.
    fn note_attempt(&self, user: &str, failures: u32, locked_until: Option<Timestamp>) -> Result<(), AccountsError>;
}

/// The accounts' store failed.
#[derive(Debug, thiserror::Error)]
#[error("the accounts cannot be read or written")]
pub struct AccountsError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
