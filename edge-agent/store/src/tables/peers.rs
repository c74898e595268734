//! What is known of other replicas, what went wrong, and small named values.

use super::ledger::chain_row;
use super::{Named, chain_id, payloads};
use crate::db::{Capped, Count, Db, Packed};
use protocol::store::{Closing, DeadLetter, Incident, StoreError};
use record::id::ReplicaId;
use record::ledger::ChainId;
use record::ledger::receipt::{Held, Receipt, ReceiptId};
use record::time::Timestamp;
use rusqlite::{Row, params};

pub(crate) fn receipt(db: Db<'_>, signer: ReplicaId, to: ReplicaId) -> Result<Option<Receipt>, StoreError> {
    let sql = "SELECT receipt FROM receipts WHERE signer = ? AND receiver = ?";
    let receipt = db.one(format_args!("receipt of {signer}"), sql, [signer.0, to.0], |row| row.get(0))?;
    Ok(receipt.map(|Packed(receipt)| receipt))
}

pub(crate) fn put_receipt(db: Db<'_>, receipt: &Receipt) -> Result<(), StoreError> {
    let Receipt { signer, to, .. } = receipt;
    let place = format_args!("receipt of {signer}");
    let sql = "INSERT INTO receipts (signer, receiver, receipt) VALUES (?, ?, ?) \
               ON CONFLICT (signer, receiver) DO UPDATE SET receipt = excluded.receipt RETURNING id";
    let row = db.one(place, sql, params![signer.0, to.0, Packed(receipt)], |row| row.get::<_, i64>(0))?;
    if receipt.since == ReceiptId::default() {
        db.run(place, "DELETE FROM held WHERE receipt = ?", [row])?;
    }
    for held in &receipt.held {
        let gaps = Some(&held.gaps).filter(|gaps| !gaps.is_empty()).map(Packed);
        let sql = "REPLACE INTO held (receipt, chain, next, gaps) VALUES (?, ?, ?, ?)";
        db.run(place, sql, params![row, chain_row(db, held.chain)?, Capped(held.next), gaps])?;
    }
    Ok(())
}

pub(crate) fn held(db: Db<'_>, signer: ReplicaId, to: ReplicaId) -> Result<Vec<Held>, StoreError> {
    let sql = "SELECT c.scope, c.author, c.run, h.next, h.gaps FROM receipts r JOIN held h ON h.receipt = r.id \
               JOIN chains c ON c.id = h.chain WHERE r.signer = ? AND r.receiver = ? ORDER BY c.scope, c.author, c.run";
    db.all(format_args!("what {signer} holds"), sql, [signer.0, to.0], read_held)
}

pub(crate) fn held_of(db: Db<'_>, signer: ReplicaId, to: ReplicaId, chain: ChainId) -> Result<Option<Held>, StoreError> {
    let sql = "SELECT c.scope, c.author, c.run, h.next, h.gaps FROM receipts r JOIN chains c JOIN held h ON h.receipt = r.id AND h.chain = c.id \
               WHERE r.signer = ? AND r.receiver = ? AND c.scope = ? AND c.author = ? AND c.run = ?";
    let values = params![signer.0, to.0, chain.scope.0, chain.author.0, chain.run.0];
    db.one(format_args!("what {signer} holds of {}", Named(chain)), sql, values, read_held)
}

/// Looks only where a chain goes on past what is held, and into gaps; what is not here counts for nothing.
pub(crate) fn unheld(db: Db<'_>, author: ReplicaId, signer: ReplicaId) -> Result<(u64, Option<Timestamp>), StoreError> {
    let sql = "SELECT c.id, c.next, coalesce(h.next, 0), h.gaps FROM chains c \
               LEFT JOIN held h ON h.chain = c.id AND h.receipt = (SELECT id FROM receipts WHERE signer = ? AND receiver = c.author) \
               WHERE c.author = ? AND (c.next > coalesce(h.next, 0) OR h.gaps IS NOT NULL)";
    let open = db.all(format_args!("what {signer} does not hold"), sql, [signer.0, author.0], |row| {
        let (Count(next), Count(held), gaps) = (row.get(1)?, row.get(2)?, read_gaps(row, 3)?);
        Ok((row.get::<_, i64>(0)?, next, held, gaps))
    })?;
    let (mut waiting, mut oldest) = (0, None);
    for (chain, next, held, mut spans) in open {
        spans.retain_mut(|(_, to)| {
            *to = (*to).min(held);
            true
        });
        spans.push((held, next));
        for (from, to) in spans {
            let (here, at) = payloads::here(db, chain, from, to.min(next))?;
            waiting += here;
            oldest = oldest.into_iter().chain(at.map(Timestamp)).min();
        }
    }
    Ok((waiting, oldest))
}

fn read_held(row: &Row<'_>) -> rusqlite::Result<Held> {
    let Count(next) = row.get(3)?;
    Ok(Held { chain: chain_id(row, 0)?, next, gaps: read_gaps(row, 4)? })
}

fn read_gaps(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<(u64, u64)>> {
    Ok(row.get::<_, Option<Packed<Vec<(u64, u64)>>>>(column)?.map(|Packed(gaps)| gaps).unwrap_or_default())
}

pub(crate) fn dead_letters(db: Db<'_>) -> Result<Vec<DeadLetter>, StoreError> {
    let sql =
        "SELECT c.scope, c.author, c.run, d.seq, d.reason FROM dead_letters d JOIN chains c ON c.id = d.chain ORDER BY d.id LIMIT 1000";
    db.all(format_args!("table dead_letters"), sql, [], |row| {
        let Count(seq) = row.get(3)?;
        Ok(DeadLetter { chain: chain_id(row, 0)?, seq, reason: row.get(4)? })
    })
}

pub(crate) fn put_dead_letter(db: Db<'_>, letter: &DeadLetter) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO dead_letters (chain, seq, reason) VALUES (?, ?, ?) ON CONFLICT (chain, seq) DO UPDATE SET reason = excluded.reason";
    let values = params![chain_row(db, letter.chain)?, Capped(letter.seq), letter.reason];
    db.run(format_args!("dead letter {} of {}", letter.seq, Named(letter.chain)), sql, values)?;
    Ok(())
}

pub(crate) fn drop_dead_letter(db: Db<'_>, chain: ChainId, seq: u64) -> Result<(), StoreError> {
    let sql = "DELETE FROM dead_letters WHERE chain = ? AND seq = ?";
    db.run(format_args!("dead letter {seq} of {}", Named(chain)), sql, params![chain_row(db, chain)?, Capped(seq)])?;
    Ok(())
}

pub(crate) fn incidents(db: Db<'_>) -> Result<Vec<Incident>, StoreError> {
    let sql = "SELECT author, kind, detail, at, closed FROM incidents ORDER BY id DESC LIMIT 1000";
    db.all(format_args!("table incidents"), sql, [], |row| {
        let closed = row.get::<_, Option<Packed<Closing>>>(4)?.map(|Packed(closing)| closing);
        Ok(Incident { author: ReplicaId(row.get(0)?), kind: row.get(1)?, detail: row.get(2)?, at: Timestamp(row.get(3)?), closed })
    })
}

pub(crate) fn put_incident(db: Db<'_>, incident: &Incident) -> Result<(), StoreError> {
    let Incident { author, kind, detail, at, closed } = incident;
    let sql = "INSERT INTO incidents (author, kind, detail, at, closed) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    db.run(format_args!("incident {kind} of {author}"), sql, params![author.0, kind, detail, at.0, closed.as_ref().map(Packed)])?;
    Ok(())
}

pub(crate) fn close_incident(db: Db<'_>, incident: &Incident, closing: &Closing) -> Result<(), StoreError> {
    let Incident { author, kind, detail, .. } = incident;
    let sql = "UPDATE incidents SET closed = ? WHERE author = ? AND kind = ? AND detail = ?";
    db.run(format_args!("incident {kind} of {author}"), sql, params![Packed(closing), author.0, kind, detail])?;
    Ok(())
}

pub(crate) fn value(db: Db<'_>, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    db.one(format_args!("value {key}"), "SELECT value FROM small_values WHERE key = ?", [key], |row| row.get(0))
}

pub(crate) fn put_value(db: Db<'_>, key: &str, value: &[u8]) -> Result<(), StoreError> {
    db.run(format_args!("value {key}"), "REPLACE INTO small_values (key, value) VALUES (?, ?)", params![key, value])?;
    Ok(())
}

pub(crate) fn drop_value(db: Db<'_>, key: &str) -> Result<(), StoreError> {
    db.run(format_args!("value {key}"), "DELETE FROM small_values WHERE key = ?", [key])?;
    Ok(())
}
