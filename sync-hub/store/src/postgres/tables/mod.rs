//! The tables, one file a concept, as in `edge-agent/store`. Every function runs inside the transaction of the
//! [`super::db::Db`] it is given; what takes SQLite several statements is one here, because each is a journey.

pub(super) mod documents;
pub(super) mod ledger;
pub(super) mod payloads;
pub(super) mod peers;
pub(super) mod scopes;
pub(super) mod series;

use super::db::Fixed;
use postgres::Row;
use record::id::{ReplicaId, RunId, ScopeId};
use record::ledger::ChainId;
use std::fmt;

/// Reads a chain's name from three columns that start at `first`: scope, author, run.
pub(super) fn chain_id(row: &Row, first: usize) -> Result<ChainId, postgres::Error> {
    let (Fixed(scope), Fixed(author), Fixed(run)) = (row.try_get(first)?, row.try_get(first + 1)?, row.try_get(first + 2)?);
    Ok(ChainId { scope: ScopeId(scope), author: ReplicaId(author), run: RunId(run) })
}

/// A chain in the words of an error.
pub(super) struct Named(pub(super) ChainId);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "scope {}, author {}, run {}", self.0.scope, self.0.author, self.0.run)
    }
}

/// As many rows as a limit allows, in PostgreSQL's terms.
fn at_most(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
