//! Payloads: which are here, which are wanted, and what has come of those.

use super::Named;
use super::ledger::known;
use crate::db::{Capped, Count, Db, Next, Packed, Word};
use protocol::store::{State, StoreError};
use record::id::ScopeId;
use record::ledger::{ChainId, Header, Kind};
use rusqlite::params;
use std::collections::HashMap;

/// States whose payload is not here, as [`State::holds`] has it.
const LACKING: &str = "state IN ('wanted', 'absent', 'shed', 'dropped', 'erased') AND state <> 'done'";
/// The kind that [`Kind::outlives_scope`].
const OUTLIVES: u16 = Kind::ERASURE.0;

pub(crate) fn put(db: Db<'_>, chain: ChainId, seq: u64, payload: &[u8], state: State) -> Result<(), StoreError> {
    let Some((row, arrival)) = place_of(db, chain, seq)? else { return Ok(()) };
    let place = format_args!("payload {seq} of {}", Named(chain));
    db.run(place, "REPLACE INTO payloads (arrival, payload) VALUES (?, ?)", params![arrival, payload])?;
    db.run(place, "UPDATE entries SET state = ? WHERE arrival = ?", params![Word(state), arrival])?;
    db.run(place, "DELETE FROM parts WHERE arrival = ?", [arrival])?;
    db.run(place, "UPDATE segments SET held = 1 WHERE chain = ? AND seq = ?", params![row, Capped(seq)])?;
    Ok(())
}

pub(crate) fn mark(db: Db<'_>, chain: ChainId, seq: u64, state: State) -> Result<(), StoreError> {
    let Some((row, arrival)) = place_of(db, chain, seq)? else { return Ok(()) };
    let place = format_args!("entry {seq} of {}", Named(chain));
    db.run(place, "UPDATE entries SET state = ? WHERE arrival = ?", params![Word(state), arrival])?;
    if !state.holds() {
        db.run(place, "DELETE FROM payloads WHERE arrival = ?", [arrival])?;
        db.run(place, "DELETE FROM parts WHERE arrival = ?", [arrival])?;
        db.run(place, "UPDATE segments SET held = 0 WHERE chain = ? AND seq = ?", params![row, Capped(seq)])?;
    }
    Ok(())
}

pub(crate) fn part(db: Db<'_>, chain: ChainId, seq: u64) -> Result<Vec<u8>, StoreError> {
    let Some((_, arrival)) = place_of(db, chain, seq)? else { return Ok(Vec::new()) };
    let place = format_args!("part of payload {seq} of {}", Named(chain));
    let bytes = db.one(place, "SELECT bytes FROM parts WHERE arrival = ?", [arrival], |row| row.get(0))?;
    Ok(bytes.unwrap_or_default())
}

pub(crate) fn put_part(db: Db<'_>, chain: ChainId, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
    let Some((_, arrival)) = place_of(db, chain, seq)? else { return Ok(()) };
    let place = format_args!("part of payload {seq} of {}", Named(chain));
    db.run(place, "REPLACE INTO parts (arrival, bytes) VALUES (?, ?)", params![arrival, bytes])?;
    Ok(())
}

/// Read in the order asked for, from its own index, so that a long list costs no more than what is taken from it.
pub(crate) fn wanted(db: Db<'_>, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Result<Vec<Header>, StoreError> {
    let mut judged: HashMap<ChainId, bool> = HashMap::new();
    let mut headers = Vec::new();
    if limit == 0 {
        return Ok(headers);
    }
    let sql = "SELECT header FROM entries WHERE state = 'wanted' ORDER BY priority, wall_ms DESC, chain, seq";
    db.each(format_args!("wanted entries"), sql, [], |row| {
        let Packed(header) = row.get::<_, Packed<Header>>(0)?;
        if *judged.entry(header.chain()).or_insert_with_key(|chain| keep(chain)) {
            headers.push(header);
        }
        Ok(if headers.len() < limit { Next::More } else { Next::Enough })
    })?;
    Ok(headers)
}

pub(crate) fn lacking(db: Db<'_>, chain: ChainId) -> Result<Vec<(u64, State)>, StoreError> {
    let Some((row, _)) = known(db, chain)? else { return Ok(Vec::new()) };
    let sql = format!("SELECT seq, state FROM entries WHERE chain = ? AND {LACKING} ORDER BY seq");
    db.all(format_args!("entries of {}", Named(chain)), &sql, [row], |row| {
        let (Count(seq), Word(state)) = (row.get(0)?, row.get(1)?);
        Ok((seq, state))
    })
}

/// How many entries of a chain from `from` to before `to`, all of them known, are here, and when the first of them was written.
pub(crate) fn here(db: Db<'_>, chain: i64, from: u64, to: u64) -> Result<(u64, Option<i64>), StoreError> {
    let place = format_args!("entries {from} to {to} of chain row {chain}");
    let sql = format!("SELECT count(*) FROM entries WHERE chain = ? AND seq >= ? AND seq < ? AND {LACKING}");
    let Count(lacking) = db.one(place, &sql, params![chain, Capped(from), Capped(to)], |row| row.get(0))?.unwrap_or(Count(0));
    let here = to.saturating_sub(from).saturating_sub(lacking);
    if here == 0 {
        return Ok((0, None));
    }
    let sql = "SELECT at FROM entries WHERE chain = ? AND seq >= ? AND seq < ? \
               AND state IN ('waiting', 'done', 'dead', 'quarantined') ORDER BY seq LIMIT 1";
    let at = db.one(place, sql, params![chain, Capped(from), Capped(to)], |row| row.get(0))?;
    Ok((here, at))
}

pub(crate) fn clear(db: Db<'_>, scope: ScopeId, state: State) -> Result<(), StoreError> {
    let place = format_args!("content of scope {scope}");
    let of = "(SELECT id FROM chains WHERE scope = ?1)";
    let closed = format!("chain IN {of} AND kind <> {OUTLIVES}");
    let run = |sql: &str| db.run(place, sql, [scope.0]).map(drop);
    run(&format!("DELETE FROM parts WHERE arrival IN (SELECT arrival FROM entries WHERE chain IN {of} AND {LACKING})"))?;
    if state == State::Wanted {
        return run(&format!("UPDATE entries SET state = 'wanted' WHERE state = 'dropped' AND state <> 'done' AND {closed}"));
    }
    run(&format!("DELETE FROM payloads WHERE arrival IN (SELECT arrival FROM entries WHERE {closed})"))?;
    db.run(place, &format!("UPDATE entries SET state = ?2 WHERE {closed}"), params![scope.0, Word(state)])?;
    run("DELETE FROM documents WHERE scope = ?1")?;
    run("DELETE FROM segments WHERE scope = ?1")?;
    run(&format!("DELETE FROM masks WHERE chain IN {of}"))
}

/// The rows of a chain and of an entry in it.
fn place_of(db: Db<'_>, chain: ChainId, seq: u64) -> Result<Option<(i64, i64)>, StoreError> {
    let sql = "SELECT c.id, e.arrival FROM chains c JOIN entries e ON e.chain = c.id \
               WHERE c.scope = ? AND c.author = ? AND c.run = ? AND e.seq = ?";
    let values = params![chain.scope.0, chain.author.0, chain.run.0, Capped(seq)];
    db.one(format_args!("entry {seq} of {}", Named(chain)), sql, values, |row| Ok((row.get(0)?, row.get(1)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_statements_say_is_what_the_protocol_says() {
        for state in State::ALL {
            assert_eq!(LACKING.contains(&format!("'{}'", state.word())) && state != State::Done, !state.holds(), "{state:?}");
        }
        let outlives: Vec<u16> = (0..=Kind::NEWEST.0).filter(|kind| Kind(*kind).outlives_scope()).collect();
        assert_eq!(outlives, [OUTLIVES]);
    }
}
