//! What is made from entries, what peers have signed, what is not sealed yet.

use super::FirstFault;
use crate::db::{Capped, Count, Db, Next, Packed, Text, explain};
use crate::tables::ledger::known;
use crate::tables::{Named, chain_id, peers, series};
use protocol::evidence;
use protocol::store::{Mask, StoreError};
use record::id::{ReplicaId, ResourceId};
use record::ledger::ChainId;
use record::ledger::receipt::Receipt;
use record::series::decode_tick;
use record::time::Timestamp;
use rusqlite::params;
use std::collections::BTreeSet;

/// Every mask there is.
pub(super) fn all_masks(db: Db<'_>) -> Result<Vec<Mask>, StoreError> {
    let sql = "SELECT c.scope, c.author, c.run, m.seq, m.from_at, m.to_at FROM masks m JOIN chains c ON c.id = m.chain ORDER BY m.id";
    db.all(format_args!("table masks"), sql, [], |row| {
        let Count(seq) = row.get(3)?;
        Ok(Mask { chain: chain_id(row, 0)?, seq, from: Timestamp(row.get(4)?), to: Timestamp(row.get(5)?) })
    })
}

pub(super) fn is_masked(db: Db<'_>, mask: &Mask) -> Result<bool, StoreError> {
    let Some((row, _)) = known(db, mask.chain)? else { return Ok(false) };
    let sql = "SELECT 1 FROM masks WHERE chain = ? AND seq = ? AND from_at = ? AND to_at = ?";
    let values = params![row, Capped(mask.seq), mask.from.0, mask.to.0];
    Ok(db.one(format_args!("table masks"), sql, values, |_| Ok(()))?.is_some())
}

/// Each of the masks must be founded on an entry, unless it has gone meanwhile.
pub(super) fn masks(db: Db<'_>, all: &[Mask], founded: &BTreeSet<Mask>) -> Result<(), FirstFault> {
    for mask in all.iter().filter(|mask| !founded.contains(mask)) {
        if is_masked(db, mask)? {
            return Err(FirstFault::Mask(*mask));
        }
    }
    Ok(())
}

/// Each document must show what its parts give.
pub(super) fn documents(db: Db<'_>) -> Result<u64, FirstFault> {
    let (mut count, mut fault) = (0, None);
    let sql = "SELECT type, id, version, updated, json, parts, conflicted FROM documents ORDER BY type, id";
    db.each(format_args!("table documents"), sql, [], |row| {
        let (Text(id), Packed(updated)) = (row.get::<_, Text<ResourceId>>(1)?, row.get(3)?);
        let resource_type: String = row.get(0)?;
        let (version, json, parts): (String, String, Vec<u8>) = (row.get(2)?, row.get(4)?, row.get(5)?);
        count += 1;
        let why = evidence::document(&resource_type, &version, updated, row.get(6)?, &json, &parts).err();
        fault = why.map(|why| FirstFault::Document { document: format!("{resource_type}/{id}"), why });
        Ok(if fault.is_some() { Next::Enough } else { Next::More })
    })?;
    fault.map_or(Ok(count), Err)
}

/// Each tick must be frames.
pub(super) fn ticks(db: Db<'_>) -> Result<u64, FirstFault> {
    let mut ids = BTreeSet::new();
    for waves in [false, true] {
        for (id, bytes) in series::ticks(db, waves, 0)? {
            ids.insert(id);
            decode_tick(&bytes).map_err(|_| FirstFault::Tick(id))?;
        }
    }
    Ok(ids.len() as u64)
}

/// Rows of the tables that nothing else here reads, and rows that belong to no entry.
pub(super) fn rows(db: Db<'_>) -> Result<(), StoreError> {
    series::bindings(db)?;
    peers::dead_letters(db)?;
    peers::incidents(db)?;
    for table in ["payloads", "parts"] {
        let sql = format!("SELECT arrival FROM {table} WHERE arrival NOT IN (SELECT arrival FROM entries) ORDER BY arrival LIMIT 1");
        if let Some(arrival) = db.one(format_args!("table {table}"), &sql, [], |row| row.get::<_, i64>(0))? {
            return Err(StoreError::Damaged { what: format!("table {table}, arrival {arrival}"), why: "no entry arrived so".to_owned() });
        }
    }
    Ok(())
}

/// Receipts must be genuine, and what they say of the receiver's own entries must be about entries that are here.
pub(super) fn receipts(db: Db<'_>) -> Result<u64, FirstFault> {
    let say = |e| explain(e, db.path, format_args!("table receipts"));
    let view = db.connection.unchecked_transaction().map_err(say)?;
    let db = Db { connection: &view, path: db.path };
    let sql = "SELECT signer, receiver, receipt FROM receipts ORDER BY signer, receiver";
    let kept = db.all(format_args!("table receipts"), sql, [], |row| {
        let Packed(receipt) = row.get::<_, Packed<Receipt>>(2)?;
        Ok((ReplicaId(row.get(0)?), ReplicaId(row.get(1)?), receipt))
    })?;
    let count = kept.len() as u64;
    for (signer, to, receipt) in kept {
        let fault = |why: String| FirstFault::Receipt { signer, why };
        if receipt.signer != signer || receipt.to != to || !receipt.is_genuine() {
            return Err(fault("its signature does not hold".to_owned()));
        }
        let all = peers::held(db, signer, to)?;
        if let Some(held) = receipt.held.iter().find(|held| !all.contains(held)) {
            return Err(fault(format!("table held does not say what it does of {}", Named(held.chain))));
        }
        for held in all {
            let mut end = 0;
            for (from, before) in &held.gaps {
                if *from < end || before <= from || *before > held.next {
                    return Err(fault(format!("its gaps in {} are in no order", Named(held.chain))));
                }
                end = *before;
            }
            let next = known(db, held.chain)?.map_or(0, |(_, head)| head.next);
            if held.chain.author == to && held.next > next {
                return Err(fault(lost(held.chain, next)));
            }
        }
    }
    Ok(count)
}

fn lost(chain: ChainId, next: u64) -> String {
    format!("it signs for entry {next} of {}, which is not here", Named(chain))
}
