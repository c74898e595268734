//! One entry's row, as the checks of `protocol::evidence` take it.

use crate::db::{Count, Word};
use protocol::evidence::Row as Kept;
use record::id::Hash;
use rusqlite::Row;

/// The entries of a chain's row, in order.
pub(super) const SELECT: &str = "SELECT e.seq, e.header_hash, e.signature, e.header, e.state, e.kind, e.priority, e.wall_ms, \
     p.payload, length(t.bytes) FROM entries e LEFT JOIN payloads p ON p.arrival = e.arrival \
     LEFT JOIN parts t ON t.arrival = e.arrival WHERE e.chain = ? ORDER BY e.seq";

pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Kept> {
    let (Count(seq), Word(state)) = (row.get(0)?, row.get(4)?);
    Ok(Kept {
        seq,
        header_hash: Hash(row.get(1)?),
        signature: row.get(2)?,
        header: row.get(3)?,
        state,
        columns: (row.get(5)?, row.get(6)?, row.get(7)?),
        payload: row.get(8)?,
        part: row.get::<_, Option<Count>>(9)?.map(|Count(bytes)| bytes),
    })
}
