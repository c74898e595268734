//! Payloads: which are here, which are wanted, and what has come of those.

use super::Named;
use super::ledger::names;
use crate::postgres::db::{Count, Db, Packed, Word};
use protocol::store::{State, StoreError};
use record::id::ScopeId;
use record::ledger::{ChainId, Header, Kind};
use std::collections::HashMap;

/// States whose payload is not here, as [`State::holds`] has it.
pub const LACKING: &str = "state IN ('wanted', 'absent', 'shed', 'dropped', 'erased')";
/// The kind that [`Kind::outlives_scope`].
const OUTLIVES: u16 = Kind::ERASURE.0;
/// Wanted headers fetched at a time.
const FETCHED: usize = 512;

pub fn put(db: &mut Db<'_>, chain: ChainId, seq: u64, payload: &[u8], state: State) -> Result<(), StoreError> {
    let (scope, author, run) = names(&chain);
    let sql = "WITH e AS (UPDATE entries SET state = $5 FROM chains c WHERE entries.chain = c.id AND c.scope = $1 AND c.author = $2 \
                   AND c.run = $3 AND seq = $4 RETURNING entries.arrival, entries.chain, entries.seq), \
               p AS (INSERT INTO payloads SELECT arrival, $6 FROM e ON CONFLICT (arrival) DO UPDATE SET payload = excluded.payload), \
               d AS (DELETE FROM parts USING e WHERE parts.arrival = e.arrival) \
               UPDATE segments s SET held = true FROM e WHERE s.chain = e.chain AND s.seq = e.seq AND NOT s.held";
    let place = format_args!("payload {seq} of {}", Named(chain));
    db.run(place, sql, &[&scope, &author, &run, &Count(seq), &Word(state), &payload]).map(drop)
}

pub fn mark(db: &mut Db<'_>, chain: ChainId, seq: u64, state: State) -> Result<(), StoreError> {
    let (scope, author, run) = names(&chain);
    let holds = "UPDATE entries SET state = $5 FROM chains c \
                 WHERE chain = c.id AND c.scope = $1 AND c.author = $2 AND c.run = $3 AND seq = $4";
    let lacks = "WITH e AS (UPDATE entries SET state = $5 FROM chains c WHERE entries.chain = c.id AND c.scope = $1 AND c.author = $2 \
                     AND c.run = $3 AND seq = $4 RETURNING entries.arrival, entries.chain, entries.seq), \
                 p AS (DELETE FROM payloads USING e WHERE payloads.arrival = e.arrival), \
                 d AS (DELETE FROM parts USING e WHERE parts.arrival = e.arrival) \
                 UPDATE segments s SET held = false FROM e WHERE s.chain = e.chain AND s.seq = e.seq";
    let place = format_args!("entry {seq} of {}", Named(chain));
    db.run(place, if state.holds() { holds } else { lacks }, &[&scope, &author, &run, &Count(seq), &Word(state)]).map(drop)
}

pub fn part(db: &mut Db<'_>, chain: ChainId, seq: u64) -> Result<Vec<u8>, StoreError> {
    let (scope, author, run) = names(&chain);
    let sql = "SELECT t.bytes FROM chains c JOIN entries e ON e.chain = c.id JOIN parts t ON t.arrival = e.arrival \
               WHERE c.scope = $1 AND c.author = $2 AND c.run = $3 AND e.seq = $4";
    let place = format_args!("part of payload {seq} of {}", Named(chain));
    Ok(db.one(place, sql, &[&scope, &author, &run, &Count(seq)], |row| row.try_get(0))?.unwrap_or_default())
}

pub fn put_part(db: &mut Db<'_>, chain: ChainId, seq: u64, bytes: &[u8]) -> Result<(), StoreError> {
    let (scope, author, run) = names(&chain);
    let sql = "INSERT INTO parts SELECT e.arrival, $5 FROM chains c JOIN entries e ON e.chain = c.id \
               WHERE c.scope = $1 AND c.author = $2 AND c.run = $3 AND e.seq = $4 \
               ON CONFLICT (arrival) DO UPDATE SET bytes = excluded.bytes";
    let place = format_args!("part of payload {seq} of {}", Named(chain));
    db.run(place, sql, &[&scope, &author, &run, &Count(seq), &bytes]).map(drop)
}

/// Fetched through a cursor in the order asked for, so that a long list costs no more than what is taken from it.
pub fn wanted(db: &mut Db<'_>, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Result<Vec<Header>, StoreError> {
    let place = format_args!("wanted entries");
    let mut judged: HashMap<ChainId, bool> = HashMap::new();
    let mut headers = Vec::new();
    let declare = "DECLARE wanted NO SCROLL CURSOR FOR \
                   SELECT header FROM entries WHERE state = 'wanted' ORDER BY priority, wall_ms DESC, chain, seq";
    db.run(place, declare, &[])?;
    loop {
        let fetch = format!("FETCH {FETCHED} FROM wanted");
        let page: Vec<Header> = db.fetch(place, &fetch, |row| row.try_get(0).map(|Packed(header)| header))?;
        let more = page.len() == FETCHED;
        for header in page {
            if headers.len() < limit && *judged.entry(header.chain()).or_insert_with_key(|chain| keep(chain)) {
                headers.push(header);
            }
        }
        if !more || headers.len() >= limit {
            break;
        }
    }
    db.run(place, "CLOSE wanted", &[])?;
    Ok(headers)
}

pub fn lacking(db: &mut Db<'_>, chain: ChainId) -> Result<Vec<(u64, State)>, StoreError> {
    let (scope, author, run) = names(&chain);
    let sql = format!(
        "SELECT seq, state FROM entries WHERE chain = (SELECT id FROM chains WHERE scope = $1 AND author = $2 AND run = $3) \
         AND {LACKING} ORDER BY seq"
    );
    db.all(format_args!("entries of {}", Named(chain)), &sql, &[&scope, &author, &run], |row| {
        let (Count(seq), Word(state)) = (row.try_get(0)?, row.try_get(1)?);
        Ok((seq, state))
    })
}

pub fn clear(db: &mut Db<'_>, scope: ScopeId, state: State) -> Result<(), StoreError> {
    let place = format_args!("content of scope {scope}");
    let id = scope.0.as_slice();
    let of = "(SELECT id FROM chains WHERE scope = $1)";
    let closed = format!("chain IN {of} AND kind <> {OUTLIVES}");
    let mut run = |sql: &str| db.run(place, sql, &[&id]).map(drop);
    run(&format!("DELETE FROM parts WHERE arrival IN (SELECT arrival FROM entries WHERE chain IN {of} AND {LACKING})"))?;
    if state == State::Wanted {
        return run(&format!("UPDATE entries SET state = 'wanted' WHERE state = 'dropped' AND {closed}"));
    }
    run(&format!("DELETE FROM payloads WHERE arrival IN (SELECT arrival FROM entries WHERE {closed})"))?;
    run("DELETE FROM documents WHERE scope = $1")?;
    run("DELETE FROM segments WHERE scope = $1")?;
    run(&format!("DELETE FROM masks WHERE chain IN {of}"))?;
    db.run(place, &format!("UPDATE entries SET state = $2 WHERE {closed}"), &[&id, &Word(state)]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_statements_say_is_what_the_protocol_says() {
        for state in State::ALL {
            assert_eq!(LACKING.contains(&format!("'{}'", state.word())), !state.holds(), "{state:?}");
        }
        let outlives: Vec<u16> = (0..=Kind::NEWEST.0).filter(|kind| Kind(*kind).outlives_scope()).collect();
        assert_eq!(outlives, [OUTLIVES]);
    }
}
