//! Chains and their entries.

use super::{Named, chain_id};
use crate::db::{Count, Db, Next, Packed};
use protocol::store::{Applied, Entry, StoreError};
use record::id::{Hash, ReplicaId, ScopeId};
use record::ledger::{ChainId, Head, Header, Stretch};
use record::time::Timestamp;
use rusqlite::{Row, params};
use std::mem::take;

/// What a header costs on the wire, about: counted against a budget.
const HEADER_BYTES: usize = 96;

pub(crate) fn heads(db: Db<'_>) -> Result<Vec<Head>, StoreError> {
    let sql = "SELECT scope, author, run, next, head_hash FROM chains WHERE next > 0 ORDER BY scope, author, run";
    db.all(format_args!("table chains"), sql, [], read_head)
}

pub(crate) fn head(db: Db<'_>, chain: ChainId) -> Result<Option<Head>, StoreError> {
    Ok(known(db, chain)?.map(|(_, head)| head).filter(|head| head.next > 0))
}

pub(crate) fn append(db: Db<'_>, stretch: &Stretch, head: Head, applied: Applied, at: Timestamp) -> Result<(), StoreError> {
    let chain = head.chain;
    let row = chain_row(db, chain)?;
    let mut reached = known(db, chain)?.map_or_else(|| Head::empty(chain), |(_, head)| head);
    let last = stretch.headers.len().saturating_sub(1);
    let sql = "INSERT INTO entries (chain, seq, at, header_hash, signature, header, payload) VALUES (?, ?, ?, ?, ?, ?, ?)";
    for (index, (header, payload)) in stretch.headers.iter().zip(&stretch.payloads).enumerate() {
        if header.seq != reached.next {
            return Err(StoreError::Other(format!("{}: entry {} appended where {} is next", Named(chain), header.seq, reached.next)));
        }
        let hash = header.hash(reached.hash);
        let signature = (index == last).then_some(stretch.signature.as_slice());
        let values = params![row, Count(header.seq), at.0, hash.0, signature, header.bytes(), payload];
        db.run(format_args!("entry {} of {}", header.seq, Named(chain)), sql, values)?;
        if applied != Applied::Done {
            let sql = "INSERT INTO unapplied (arrival, dead) VALUES (?, ?)";
            let values = params![db.connection.last_insert_rowid(), applied == Applied::Dead];
            db.run(format_args!("table unapplied"), sql, values)?;
        }
        reached = Head { chain, next: header.seq + 1, hash };
    }
    let sql = "UPDATE chains SET next = ?, head_hash = ? WHERE id = ?";
    db.run(format_args!("{}", Named(chain)), sql, params![Count(head.next), head.hash.0, row])?;
    Ok(())
}

pub(crate) fn stretches(db: Db<'_>, chain: ChainId, from: u64, budget: usize) -> Result<Vec<Stretch>, StoreError> {
    let Some((row, _)) = known(db, chain)? else { return Ok(Vec::new()) };
    let (mut done, mut used) = (Vec::new(), 0_usize);
    let (mut headers, mut payloads) = (Vec::new(), Vec::new());
    let sql = "SELECT header, signature, payload FROM entries WHERE chain = ? AND seq >= ? ORDER BY seq";
    db.each(format_args!("entries of {} from {from}", Named(chain)), sql, params![row, Count(from)], |row| {
        let Packed(header) = row.get::<_, Packed<Header>>(0)?;
        let payload: Vec<u8> = row.get(2)?;
        used = used.saturating_add(payload.len() + HEADER_BYTES);
        headers.push(header);
        payloads.push(payload);
        if let Some(signature) = row.get::<_, Option<[u8; 64]>>(1)? {
            if used > budget && !done.is_empty() {
                return Ok(Next::Enough);
            }
            done.push(Stretch { headers: take(&mut headers), payloads: take(&mut payloads), signature });
        }
        Ok(if used > budget && !done.is_empty() { Next::Enough } else { Next::More })
    })?;
    Ok(done)
}

pub(crate) fn entry(db: Db<'_>, chain: ChainId, seq: u64) -> Result<Option<Entry>, StoreError> {
    let Some((row, _)) = known(db, chain)? else { return Ok(None) };
    let sql = "SELECT header, payload FROM entries WHERE chain = ? AND seq = ?";
    db.one(format_args!("entry {seq} of {}", Named(chain)), sql, params![row, Count(seq)], read_entry)
}

pub(crate) fn waiting(db: Db<'_>, scope: ScopeId) -> Result<Vec<Entry>, StoreError> {
    let sql = "SELECT e.header, e.payload FROM unapplied u JOIN entries e ON e.arrival = u.arrival JOIN chains c ON c.id = e.chain \
               WHERE u.dead = 0 AND c.scope = ? ORDER BY u.arrival";
    db.all(format_args!("waiting entries of scope {scope}"), sql, [scope.0], read_entry)
}

pub(crate) fn mark(db: Db<'_>, chain: ChainId, seq: u64, applied: Applied) -> Result<(), StoreError> {
    let Some((row, _)) = known(db, chain)? else { return Ok(()) };
    let sql = match applied {
        Applied::Done => "DELETE FROM unapplied WHERE arrival = (SELECT arrival FROM entries WHERE chain = ? AND seq = ?)",
        Applied::Waiting => "REPLACE INTO unapplied (arrival, dead) SELECT arrival, 0 FROM entries WHERE chain = ? AND seq = ?",
        Applied::Dead => "REPLACE INTO unapplied (arrival, dead) SELECT arrival, 1 FROM entries WHERE chain = ? AND seq = ?",
    };
    db.run(format_args!("entry {seq} of {}", Named(chain)), sql, params![row, Count(seq)])?;
    Ok(())
}

pub(crate) fn count_entries(db: Db<'_>, author: ReplicaId) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(next), 0) FROM chains WHERE author = ?";
    let Count(entries) = db.one(format_args!("table chains"), sql, [author.0], |row| row.get(0))?.unwrap_or(Count(0));
    Ok(entries)
}

pub(crate) fn oldest_after(db: Db<'_>, author: ReplicaId, acked: &[Head]) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT scope, author, run, next, head_hash FROM chains WHERE author = ?";
    let own = db.all(format_args!("chains of author {author}"), sql, [author.0], read_head)?;
    let mut oldest = None;
    for head in own {
        let next = acked.iter().find(|held| held.chain == head.chain).map_or(0, |held| held.next);
        let Some((row, _)) = known(db, head.chain)?.filter(|_| next < head.next) else { continue };
        let sql = "SELECT at FROM entries WHERE chain = ? AND seq = ?";
        let at = db.one(format_args!("entry {next} of {}", Named(head.chain)), sql, params![row, Count(next)], |row| row.get(0))?;
        oldest = oldest.into_iter().chain(at.map(Timestamp)).min();
    }
    Ok(oldest)
}

pub(crate) fn header_hash(db: Db<'_>, chain: ChainId, seq: u64) -> Result<Option<Hash>, StoreError> {
    let Some((row, _)) = known(db, chain)? else { return Ok(None) };
    let sql = "SELECT header_hash FROM entries WHERE chain = ? AND seq = ?";
    db.one(format_args!("entry {seq} of {}", Named(chain)), sql, params![row, Count(seq)], |row| row.get(0).map(Hash))
}

/// The row of a chain, made if there is none: its entries, segments and dead letters refer to it.
pub(crate) fn chain_row(db: Db<'_>, chain: ChainId) -> Result<i64, StoreError> {
    if let Some((row, _)) = known(db, chain)? {
        return Ok(row);
    }
    let sql = "INSERT INTO chains (scope, author, run, next, head_hash) VALUES (?, ?, ?, 0, ?)";
    db.run(format_args!("{}", Named(chain)), sql, params![chain.scope.0, chain.author.0, chain.run.0, chain.root().0])?;
    Ok(db.connection.last_insert_rowid())
}

/// A chain's row and how far it reaches.
pub(crate) fn known(db: Db<'_>, chain: ChainId) -> Result<Option<(i64, Head)>, StoreError> {
    let sql = "SELECT scope, author, run, next, head_hash, id FROM chains WHERE scope = ? AND author = ? AND run = ?";
    let place = params![chain.scope.0, chain.author.0, chain.run.0];
    db.one(format_args!("{}", Named(chain)), sql, place, |row| Ok((row.get(5)?, read_head(row)?)))
}

fn read_head(row: &Row<'_>) -> rusqlite::Result<Head> {
    let Count(next) = row.get(3)?;
    Ok(Head { chain: chain_id(row, 0)?, next, hash: Hash(row.get(4)?) })
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let Packed(header) = row.get(0)?;
    Ok(Entry { header, payload: row.get(1)? })
}
