//! Chains and their headers, in the order in which they arrived.

use super::{Named, at_most, chain_id};
use crate::db::{Capped, Count, Db, Next, Packed, Word};
use protocol::store::{Chain, Entry, LogPage, Logged, State, StoreError};
use record::id::{Hash, ReplicaId, ScopeId};
use record::ledger::{ChainId, Head, Header, Hlc, Stretch};
use record::time::Timestamp;
use rusqlite::{Row, params};
use std::collections::HashMap;
use std::mem::take;

pub(crate) fn chains(db: Db<'_>) -> Result<Vec<Chain>, StoreError> {
    let sql = "SELECT scope, author, run, next, head_hash, arrival, hlc, continued FROM chains \
               WHERE next > 0 OR continued > 0 ORDER BY scope, author, run";
    db.all(format_args!("table chains"), sql, [], |row| {
        let (Count(arrival), Packed(hlc), Count(continued)) = (row.get(5)?, row.get(6)?, row.get(7)?);
        Ok(Chain { head: read_head(row)?, arrival, hlc, continued })
    })
}

pub(crate) fn append(db: Db<'_>, stretch: &Stretch, head: Head, state: State, at: Timestamp) -> Result<u64, StoreError> {
    let chain = head.chain;
    let (row, mut reached) = match known(db, chain)? {
        Some(known) => known,
        None => (begin_chain(db, chain)?, Head::empty(chain)),
    };
    let last = stretch.headers.len().saturating_sub(1);
    let (mut arrival, mut hlc) = (0, Hlc::default());
    let sql = "INSERT INTO entries (chain, seq, at, state, kind, priority, wall_ms, header_hash, signature, header) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    for (index, (header, payload)) in stretch.headers.iter().zip(&stretch.payloads).enumerate() {
        let seq = header.seq;
        if seq != reached.next {
            return Err(StoreError::Other(format!("{}: entry {seq} appended where {} is next", Named(chain), reached.next)));
        }
        let hash = header.hash(reached.hash);
        let signature = (index == last).then_some(stretch.signature.as_slice());
        let state = if payload.is_empty() { State::Wanted } else { state };
        let (kind, wall) = (header.kind, Capped(header.hlc.wall_ms));
        let values = params![row, Count(seq), at.0, Word(state), kind.0, kind.priority(), wall, hash.0, signature, header.bytes()];
        db.run(format_args!("entry {seq} of {}", Named(chain)), sql, values)?;
        arrival = db.connection.last_insert_rowid();
        if !payload.is_empty() {
            let sql = "INSERT INTO payloads (arrival, payload) VALUES (?, ?)";
            db.run(format_args!("payload {seq} of {}", Named(chain)), sql, params![arrival, payload])?;
        }
        (reached, hlc) = (Head { chain, next: seq + 1, hash }, header.hlc);
    }
    let sql = "UPDATE chains SET next = ?, head_hash = ?, arrival = ?, hlc = ? WHERE id = ?";
    db.run(format_args!("{}", Named(chain)), sql, params![Count(head.next), head.hash.0, arrival, Packed(hlc), row])?;
    u64::try_from(arrival).map_err(|_| StoreError::Other("table entries: no arrival numbers left".to_owned()))
}

pub(crate) fn set_continued(db: Db<'_>, chain: ChainId, next: u64) -> Result<(), StoreError> {
    let sql = "UPDATE chains SET continued = ?1 WHERE id = ?2 AND continued < ?1";
    db.run(format_args!("{}", Named(chain)), sql, params![Capped(next), chain_row(db, chain)?])?;
    Ok(())
}

/// A chain is read, and asked about, once a page, however many of its entries the page holds.
pub(crate) fn log(db: Db<'_>, after: u64, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Result<LogPage, StoreError> {
    let place = format_args!("entries that arrived after {after}");
    let mut page = LogPage { reached: after, ..LogPage::default() };
    let mut judged: HashMap<i64, bool> = HashMap::new();
    let (mut headers, mut read) = (Vec::new(), 0_usize);
    let sql = "SELECT arrival, chain, signature, header FROM entries WHERE arrival > ? ORDER BY arrival";
    db.each(place, sql, [Capped(after)], |row| {
        read += 1;
        let chain: i64 = row.get(1)?;
        let kept = match judged.get(&chain) {
            Some(kept) => *kept,
            None => {
                let sql = "SELECT scope, author, run FROM chains WHERE id = ?";
                let id = db.connection.prepare_cached(sql)?.query_row([chain], |row| chain_id(row, 0))?;
                *judged.entry(chain).or_insert(keep(&id))
            }
        };
        if kept {
            let Packed(header) = row.get(3)?;
            headers.push(header);
        }
        let Some(signature) = row.get(2)? else { return Ok(Next::More) };
        let Count(arrival) = row.get(0)?;
        page.reached = arrival;
        if kept {
            page.stretches.push(Logged { arrival, headers: take(&mut headers), signature });
        }
        Ok(if read >= limit { Next::Enough } else { Next::More })
    })?;
    let last = db.one(place, "SELECT max(arrival) FROM entries", [], |row| row.get::<_, Option<Count>>(0))?.flatten();
    page.more = last.is_some_and(|Count(last)| last > page.reached);
    Ok(page)
}

pub(crate) fn stretches(db: Db<'_>, chain: ChainId, from: u64, limit: usize) -> Result<Vec<Stretch>, StoreError> {
    let Some((row, _)) = known(db, chain)? else { return Ok(Vec::new()) };
    let (mut done, mut headers, mut read) = (Vec::new(), Vec::new(), 0_usize);
    let sql = "SELECT header, signature FROM entries WHERE chain = ? AND seq >= ? ORDER BY seq";
    db.each(format_args!("entries of {} from {from}", Named(chain)), sql, params![row, Capped(from)], |row| {
        read += 1;
        let Packed(header) = row.get::<_, Packed<Header>>(0)?;
        headers.push(header);
        let Some(signature) = row.get(1)? else { return Ok(Next::More) };
        let headers = take(&mut headers);
        done.push(Stretch { payloads: vec![Vec::new(); headers.len()], headers, signature });
        Ok(if read >= limit { Next::Enough } else { Next::More })
    })?;
    Ok(done)
}

pub(crate) fn entry(db: Db<'_>, chain: ChainId, seq: u64) -> Result<Option<Entry>, StoreError> {
    let sql = "SELECT e.header, e.header_hash, e.state, p.payload \
               FROM chains c JOIN entries e ON e.chain = c.id LEFT JOIN payloads p ON p.arrival = e.arrival \
               WHERE c.scope = ? AND c.author = ? AND c.run = ? AND e.seq = ?";
    let place = format_args!("entry {seq} of {}", Named(chain));
    let values = params![chain.scope.0, chain.author.0, chain.run.0, Capped(seq)];
    let found = db.one(place, sql, values, |row| Ok((read_entry(row)?, row.get::<_, Option<Vec<u8>>>(3)?)))?;
    match found {
        Some((entry, None)) if entry.state.holds() => {
            Err(StoreError::Damaged { what: place.to_string(), why: format!("it is {}, and its payload is not there", entry.state.word()) })
        }
        Some((entry, payload)) => Ok(Some(Entry { payload: payload.unwrap_or_default(), ..entry })),
        None => Ok(None),
    }
}

pub(crate) fn header_hash(db: Db<'_>, chain: ChainId, seq: u64) -> Result<Option<Hash>, StoreError> {
    let sql = "SELECT e.header_hash FROM chains c JOIN entries e ON e.chain = c.id \
               WHERE c.scope = ? AND c.author = ? AND c.run = ? AND e.seq = ?";
    let values = params![chain.scope.0, chain.author.0, chain.run.0, Capped(seq)];
    db.one(format_args!("entry {seq} of {}", Named(chain)), sql, values, |row| row.get(0).map(Hash))
}

pub(crate) fn in_state(db: Db<'_>, state: State, scope: Option<ScopeId>, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let place = format_args!("entries in state {}", state.word());
    let limit = at_most(limit);
    // That a state is not "done" must be said aloud for the index that leaves those out to be used.
    let rest = if state == State::Done { "ORDER BY arrival LIMIT ?" } else { "AND state <> 'done' ORDER BY arrival LIMIT ?" };
    match scope {
        None => {
            let sql = format!("SELECT header, header_hash, state FROM entries WHERE state = ? {rest}");
            db.all(place, &sql, params![Word(state), limit], read_entry)
        }
        Some(scope) => {
            let sql = format!(
                "SELECT header, header_hash, state FROM entries \
                 WHERE chain IN (SELECT id FROM chains WHERE scope = ?) AND state = ? {rest}"
            );
            db.all(place, &sql, params![scope.0, Word(state), limit], read_entry)
        }
    }
}

pub(crate) fn count_entries(db: Db<'_>, author: ReplicaId) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(next), 0) FROM chains WHERE author = ?";
    let Count(entries) = db.one(format_args!("table chains"), sql, [author.0], |row| row.get(0))?.unwrap_or(Count(0));
    Ok(entries)
}

/// The row of a chain, made if there is none: its entries, segments and dead letters refer to it.
pub(crate) fn chain_row(db: Db<'_>, chain: ChainId) -> Result<i64, StoreError> {
    match known(db, chain)? {
        Some((row, _)) => Ok(row),
        None => begin_chain(db, chain),
    }
}

fn begin_chain(db: Db<'_>, chain: ChainId) -> Result<i64, StoreError> {
    let sql = "INSERT INTO chains (scope, author, run, next, head_hash, arrival, hlc) VALUES (?, ?, ?, 0, ?, 0, ?)";
    let values = params![chain.scope.0, chain.author.0, chain.run.0, chain.root().0, Packed(Hlc::default())];
    db.run(format_args!("{}", Named(chain)), sql, values)?;
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

/// An entry from three columns: header, hash, state.
fn read_entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let (Packed(header), Word(state)) = (row.get(0)?, row.get(2)?);
    Ok(Entry { header, hash: Hash(row.get(1)?), state, payload: Vec::new() })
}
