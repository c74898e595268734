//! The tables, one file a concept. Every function runs inside the transaction of the [`crate::db::Db`] it is given.

pub(crate) mod documents;
pub(crate) mod ledger;
pub(crate) mod payloads;
pub(crate) mod peers;
pub(crate) mod scopes;
pub(crate) mod series;

use record::ledger::ChainId;
use rusqlite::Row;
use std::fmt;

/// Reads a chain's name from three columns that start at `first`: scope, author, run.
pub(crate) fn chain_id(row: &Row<'_>, first: usize) -> rusqlite::Result<ChainId> {
    Ok(ChainId {
        scope: record::id::ScopeId(row.get(first)?),
        author: record::id::ReplicaId(row.get(first + 1)?),
        run: record::id::RunId(row.get(first + 2)?),
    })
}

/// A chain in the words of an error.
pub(crate) struct Named(pub(crate) ChainId);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scope {}, author {}, run {}", self.0.scope, self.0.author, self.0.run)
    }
}

/// As many rows as a limit allows, in SQLite's terms.
pub(crate) fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
