//! What is known of other replicas, what went wrong, and small named values.

use super::ledger::chain_row;
use super::{Named, chain_id};
use crate::db::{Count, Db, Packed};
use protocol::store::{DeadLetter, Incident, StoreError};
use record::id::ReplicaId;
use record::ledger::ChainId;
use record::ledger::receipt::Receipt;
use record::time::Timestamp;
use rusqlite::params;

pub(crate) fn receipt(db: Db<'_>, signer: ReplicaId) -> Result<Option<Receipt>, StoreError> {
    let sql = "SELECT receipt FROM receipts WHERE signer = ?";
    let receipt = db.one(format_args!("receipt of {signer}"), sql, [signer.0], |row| row.get(0))?;
    Ok(receipt.map(|Packed(receipt)| receipt))
}

pub(crate) fn put_receipt(db: Db<'_>, receipt: &Receipt) -> Result<(), StoreError> {
    let sql = "REPLACE INTO receipts (signer, receipt) VALUES (?, ?)";
    db.run(format_args!("receipt of {}", receipt.signer), sql, params![receipt.signer.0, Packed(receipt)])?;
    Ok(())
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
    let values = params![chain_row(db, letter.chain)?, Count(letter.seq), letter.reason];
    db.run(format_args!("dead letter {} of {}", letter.seq, Named(letter.chain)), sql, values)?;
    Ok(())
}

pub(crate) fn drop_dead_letter(db: Db<'_>, chain: ChainId, seq: u64) -> Result<(), StoreError> {
    let sql = "DELETE FROM dead_letters WHERE chain = ? AND seq = ?";
    db.run(format_args!("dead letter {seq} of {}", Named(chain)), sql, params![chain_row(db, chain)?, Count(seq)])?;
    Ok(())
}

pub(crate) fn incidents(db: Db<'_>) -> Result<Vec<Incident>, StoreError> {
    let sql = "SELECT author, kind, detail, at FROM incidents ORDER BY id DESC LIMIT 1000";
    db.all(format_args!("table incidents"), sql, [], |row| {
        Ok(Incident { author: ReplicaId(row.get(0)?), kind: row.get(1)?, detail: row.get(2)?, at: Timestamp(row.get(3)?) })
    })
}

pub(crate) fn put_incident(db: Db<'_>, incident: &Incident) -> Result<(), StoreError> {
    let Incident { author, kind, detail, at } = incident;
    let sql = "INSERT INTO incidents (author, kind, detail, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    db.run(format_args!("incident {kind} of {author}"), sql, params![author.0, kind, detail, at.0])?;
    Ok(())
}

pub(crate) fn value(db: Db<'_>, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    db.one(format_args!("value {key}"), "SELECT value FROM small_values WHERE key = ?", [key], |row| row.get(0))
}

pub(crate) fn put_value(db: Db<'_>, key: &str, value: &[u8]) -> Result<(), StoreError> {
    db.run(format_args!("value {key}"), "REPLACE INTO small_values (key, value) VALUES (?, ?)", params![key, value])?;
    Ok(())
}
