//! Chains and their headers, in the order in which they arrived.

use super::{Named, at_most, chain_id};
use crate::postgres::db::{Count, Db, Fixed, Packed, Word};
use postgres::Row;
use protocol::store::{Chain, Entry, LogPage, Logged, State, StoreError};
use record::id::{Hash, ReplicaId, ScopeId};
use record::ledger::chain::STRETCH_LIMIT;
use record::ledger::{ChainId, Head, Header, Hlc, Stretch};
use record::time::Timestamp;
use std::collections::HashMap;
use std::mem::take;

pub fn chains(db: &mut Db<'_>) -> Result<Vec<Chain>, StoreError> {
    let sql = "SELECT scope, author, run, next, head_hash, arrival, hlc, continued FROM chains \
               WHERE next > 0 OR continued > 0 ORDER BY scope, author, run";
    db.all(format_args!("table chains"), sql, &[], |row| {
        let (Count(next), Fixed(hash)) = (row.try_get(3)?, row.try_get(4)?);
        let (Count(arrival), Packed(hlc), Count(continued)) = (row.try_get(5)?, row.try_get(6)?, row.try_get(7)?);
        Ok(Chain { head: Head { chain: chain_id(row, 0)?, next, hash: Hash(hash) }, arrival, hlc, continued })
    })
}

/// A stretch goes in with one statement, however long it is.
pub fn append(db: &mut Db<'_>, stretch: &Stretch, head: Head, state: State, at: Timestamp) -> Result<u64, StoreError> {
    let chain = head.chain;
    let place = format_args!("{}", Named(chain));
    let (row, mut reached) = match known(db, chain)? {
        Some(known) => known,
        None => (begin_chain(db, chain)?, Head::empty(chain)),
    };
    let sql = "SELECT coalesce(max(arrival), 0) FROM entries";
    let mut arrival: i64 = db.one(place, sql, &[], |row| row.try_get(0))?.unwrap_or(0);
    let mut entries = Columns::default();
    let mut hlc = Hlc::default();
    let last = stretch.headers.len().saturating_sub(1);
    for (index, (header, payload)) in stretch.headers.iter().zip(&stretch.payloads).enumerate() {
        let seq = header.seq;
        if seq != reached.next {
            return Err(StoreError::Other(format!("{}: entry {seq} appended where {} is next", Named(chain), reached.next)));
        }
        let hash = header.hash(reached.hash);
        arrival += 1;
        entries.arrivals.push(arrival);
        entries.seqs.push(Count(seq).integer());
        entries.states.push(if payload.is_empty() { State::Wanted } else { state }.word());
        entries.kinds.push(i32::from(header.kind.0));
        entries.priorities.push(i16::from(header.kind.priority()));
        entries.walls.push(Count(header.hlc.wall_ms).integer());
        entries.hashes.push(hash.0.to_vec());
        entries.signatures.push((index == last).then_some(stretch.signature.as_slice()));
        entries.headers.push(header.bytes());
        if !payload.is_empty() {
            entries.payload_arrivals.push(arrival);
            entries.payloads.push(payload);
        }
        (reached, hlc) = (Head { chain, next: seq + 1, hash }, header.hlc);
    }
    let sql = "WITH e AS (INSERT INTO entries (chain, at, arrival, seq, state, kind, priority, wall_ms, header_hash, signature, header) \
                   SELECT $1, $2, * FROM unnest($3::bigint[], $4::bigint[], $5::text[], $6::integer[], $7::smallint[], $8::bigint[], \
                                                $9::bytea[], $10::bytea[], $11::bytea[])), \
               p AS (INSERT INTO payloads SELECT * FROM unnest($12::bigint[], $13::bytea[])) \
               UPDATE chains SET next = $14, head_hash = $15, arrival = $16, hlc = $17 WHERE id = $1";
    let Columns { arrivals, seqs, states, kinds, priorities, walls, hashes, signatures, headers, payload_arrivals, payloads } = &entries;
    let (next, hash) = (Count(head.next), head.hash.0.as_slice());
    db.run(
        place,
        sql,
        &[
            &row,
            &at.0,
            arrivals,
            seqs,
            states,
            kinds,
            priorities,
            walls,
            hashes,
            signatures,
            headers,
            payload_arrivals,
            payloads,
            &next,
            &hash,
            &arrival,
            &Packed(hlc),
        ],
    )?;
    u64::try_from(arrival).map_err(|_| StoreError::Other("table entries: no arrival numbers left".to_owned()))
}

#[derive(Default)]
struct Columns<'a> {
    arrivals: Vec<i64>,
    seqs: Vec<i64>,
    states: Vec<&'static str>,
    kinds: Vec<i32>,
    priorities: Vec<i16>,
    walls: Vec<i64>,
    hashes: Vec<Vec<u8>>,
    signatures: Vec<Option<&'a [u8]>>,
    headers: Vec<Vec<u8>>,
    payload_arrivals: Vec<i64>,
    payloads: Vec<&'a Vec<u8>>,
}

pub fn set_continued(db: &mut Db<'_>, chain: ChainId, next: u64) -> Result<(), StoreError> {
    let row = chain_row(db, chain)?;
    let sql = "UPDATE chains SET continued = $1 WHERE id = $2 AND continued < $1";
    db.run(format_args!("{}", Named(chain)), sql, &[&Count(next), &row]).map(drop)
}

pub fn log(db: &mut Db<'_>, after: u64, limit: usize, keep: &mut dyn FnMut(&ChainId) -> bool) -> Result<LogPage, StoreError> {
    let place = format_args!("entries that arrived after {after}");
    let mut page = LogPage { reached: after, ..LogPage::default() };
    let mut judged: HashMap<ChainId, bool> = HashMap::new();
    let (mut headers, mut read) = (Vec::new(), 0_usize);
    // So many that the stretch in which the limit falls is whole.
    let rows = at_most(limit.saturating_add(STRETCH_LIMIT));
    let sql = "SELECT e.arrival, e.header, e.signature, c.scope, c.author, c.run FROM entries e JOIN chains c ON c.id = e.chain \
               WHERE e.arrival > $1 ORDER BY e.arrival LIMIT $2";
    let rows = db.all(place, sql, &[&Count(after), &rows], |row| {
        let (Count(arrival), Packed(header)) = (row.try_get(0)?, row.try_get(1)?);
        Ok((arrival, header, signature(row, 2)?, chain_id(row, 3)?))
    })?;
    for (arrival, header, signature, chain) in rows {
        read += 1;
        let kept = *judged.entry(chain).or_insert_with_key(|chain| keep(chain));
        if kept {
            headers.push(header);
        }
        let Some(signature) = signature else { continue };
        page.reached = arrival;
        if kept {
            page.stretches.push(Logged { arrival, headers: take(&mut headers), signature });
        }
        if read >= limit {
            break;
        }
    }
    let last = db.one(place, "SELECT max(arrival) FROM entries", &[], |row| row.try_get::<_, Option<Count>>(0))?.flatten();
    page.more = last.is_some_and(|Count(last)| last > page.reached);
    Ok(page)
}

pub fn stretches(db: &mut Db<'_>, chain: ChainId, from: u64, limit: usize) -> Result<Vec<Stretch>, StoreError> {
    let (mut done, mut headers, mut read) = (Vec::new(), Vec::new(), 0_usize);
    let rows = at_most(limit.saturating_add(STRETCH_LIMIT));
    let sql = "SELECT e.header, e.signature FROM entries e JOIN chains c ON c.id = e.chain \
               WHERE c.scope = $1 AND c.author = $2 AND c.run = $3 AND e.seq >= $4 ORDER BY e.seq LIMIT $5";
    let (scope, author, run) = names(&chain);
    let rows =
        db.all(format_args!("entries of {} from {from}", Named(chain)), sql, &[&scope, &author, &run, &Count(from), &rows], |row| {
            let Packed(header) = row.try_get::<_, Packed<Header>>(0)?;
            Ok((header, signature(row, 1)?))
        })?;
    for (header, signature) in rows {
        read += 1;
        headers.push(header);
        let Some(signature) = signature else { continue };
        let headers = take(&mut headers);
        done.push(Stretch { payloads: vec![Vec::new(); headers.len()], headers, signature });
        if read >= limit {
            break;
        }
    }
    Ok(done)
}

pub fn entry(db: &mut Db<'_>, chain: ChainId, seq: u64) -> Result<Option<Entry>, StoreError> {
    let sql = "SELECT e.header, e.header_hash, e.state, p.payload \
               FROM chains c JOIN entries e ON e.chain = c.id LEFT JOIN payloads p ON p.arrival = e.arrival \
               WHERE c.scope = $1 AND c.author = $2 AND c.run = $3 AND e.seq = $4";
    let place = format_args!("entry {seq} of {}", Named(chain));
    let (scope, author, run) = names(&chain);
    let read = |row: &Row| Ok((read_entry(row)?, row.try_get::<_, Option<Vec<u8>>>(3)?));
    match db.one(place, sql, &[&scope, &author, &run, &Count(seq)], read)? {
        Some((entry, None)) if entry.state.holds() => {
            Err(StoreError::Damaged { what: place.to_string(), why: format!("it is {}, and its payload is not there", entry.state.word()) })
        }
        Some((entry, payload)) => Ok(Some(Entry { payload: payload.unwrap_or_default(), ..entry })),
        None => Ok(None),
    }
}

pub fn header_hash(db: &mut Db<'_>, chain: ChainId, seq: u64) -> Result<Option<Hash>, StoreError> {
    let sql = "SELECT e.header_hash FROM chains c JOIN entries e ON e.chain = c.id \
               WHERE c.scope = $1 AND c.author = $2 AND c.run = $3 AND e.seq = $4";
    let (scope, author, run) = names(&chain);
    let values: &[&(dyn postgres::types::ToSql + Sync)] = &[&scope, &author, &run, &Count(seq)];
    db.one(format_args!("entry {seq} of {}", Named(chain)), sql, values, |row| row.try_get(0).map(|Fixed(hash)| Hash(hash)))
}

pub fn in_state(db: &mut Db<'_>, state: State, scope: Option<ScopeId>, limit: usize) -> Result<Vec<Entry>, StoreError> {
    let place = format_args!("entries in state {}", state.word());
    let limit = at_most(limit);
    // Said in words, and not as a value, so that the index of that state is used.
    let of = format!("SELECT header, header_hash, state FROM entries WHERE state = '{}'", state.word());
    match scope {
        None => db.all(place, &format!("{of} ORDER BY arrival LIMIT $1"), &[&limit], read_entry),
        Some(scope) => {
            let sql = format!("{of} AND chain IN (SELECT id FROM chains WHERE scope = $1) ORDER BY arrival LIMIT $2");
            db.all(place, &sql, &[&scope.0.as_slice(), &limit], read_entry)
        }
    }
}

pub fn count_entries(db: &mut Db<'_>, author: ReplicaId) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(sum(next), 0)::bigint FROM chains WHERE author = $1";
    let Count(entries) = db.one(format_args!("table chains"), sql, &[&author.0.as_slice()], |row| row.try_get(0))?.unwrap_or(Count(0));
    Ok(entries)
}

/// The row of a chain, made if there is none: its entries, segments and dead letters refer to it.
pub fn chain_row(db: &mut Db<'_>, chain: ChainId) -> Result<i64, StoreError> {
    match known(db, chain)? {
        Some((row, _)) => Ok(row),
        None => begin_chain(db, chain),
    }
}

fn begin_chain(db: &mut Db<'_>, chain: ChainId) -> Result<i64, StoreError> {
    let sql = "INSERT INTO chains (scope, author, run, head_hash, hlc) VALUES ($1, $2, $3, $4, $5) RETURNING id";
    let (scope, author, run) = names(&chain);
    let root = chain.root();
    let values: &[&(dyn postgres::types::ToSql + Sync)] = &[&scope, &author, &run, &root.0.as_slice(), &Packed(Hlc::default())];
    let row = db.one(format_args!("{}", Named(chain)), sql, values, |row| row.try_get(0))?;
    row.ok_or_else(|| StoreError::Other(format!("{}: PostgreSQL gave it no row", Named(chain))))
}

/// A chain's row and how far it reaches.
fn known(db: &mut Db<'_>, chain: ChainId) -> Result<Option<(i64, Head)>, StoreError> {
    let sql = "SELECT id, next, head_hash FROM chains WHERE scope = $1 AND author = $2 AND run = $3";
    let (scope, author, run) = names(&chain);
    db.one(format_args!("{}", Named(chain)), sql, &[&scope, &author, &run], |row| {
        let (Count(next), Fixed(hash)) = (row.try_get(1)?, row.try_get(2)?);
        Ok((row.try_get(0)?, Head { chain, next, hash: Hash(hash) }))
    })
}

/// A chain's name as values.
pub fn names(chain: &ChainId) -> (&[u8], &[u8], &[u8]) {
    (&chain.scope.0, &chain.author.0, &chain.run.0)
}

fn signature(row: &Row, column: usize) -> Result<Option<[u8; 64]>, postgres::Error> {
    Ok(row.try_get::<_, Option<Fixed<64>>>(column)?.map(|Fixed(signature)| signature))
}

/// An entry from three columns: header, hash, state.
fn read_entry(row: &Row) -> Result<Entry, postgres::Error> {
    let (Packed(header), Fixed(hash), Word(state)) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    Ok(Entry { header, hash: Hash(hash), state, payload: Vec::new() })
}
