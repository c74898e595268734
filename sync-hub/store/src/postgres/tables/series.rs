//! Where the series lie: bindings, the index of segments, masks, the journal of what is not sealed yet.

use super::ledger::chain_row;
use super::{Named, at_most, chain_id};
use crate::postgres::db::{Count, Db, Fixed, Packed};
use postgres::Row;
use protocol::store::{Mask, SegmentRow, StoreError};
use record::binding::Binding;
use record::id::ScopeId;
use record::ledger::Hlc;
use record::series::Boot;
use record::time::Timestamp;
use std::ops::RangeInclusive;

const BINDING: &str = "a binding";
const TICK: &str = "a tick";

pub fn bindings(db: &mut Db<'_>) -> Result<Vec<(Hlc, Binding)>, StoreError> {
    let rows = db.all(format_args!("table bindings"), "SELECT hlc, binding FROM bindings ORDER BY id", &[], |row| {
        let Packed(hlc) = row.try_get(0)?;
        Ok((hlc, row.try_get::<_, Vec<u8>>(1)?))
    })?;
    let mut bindings = Vec::with_capacity(rows.len());
    for (hlc, sealed) in rows {
        let damaged = |e: postcard::Error| StoreError::Damaged { what: "table bindings".to_owned(), why: e.to_string() };
        bindings.push((hlc, postcard::from_bytes(&db.sealer.open(BINDING, &sealed)?).map_err(damaged)?));
    }
    Ok(bindings)
}

pub fn put_binding(db: &mut Db<'_>, hlc: Hlc, binding: &Binding) -> Result<(), StoreError> {
    let bytes = postcard::to_stdvec(binding).map_err(|e| StoreError::Other(e.to_string()))?;
    let sealed = db.sealer.seal(BINDING, &bytes)?;
    let sql = "INSERT INTO bindings (hlc, binding) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    db.run(format_args!("binding {}", binding.id), sql, &[&Packed(hlc), &sealed]).map(drop)
}

/// Its entry may come later in the same transaction, and then with its payload.
pub fn put_segment(db: &mut Db<'_>, row: &SegmentRow) -> Result<(), StoreError> {
    let SegmentRow { chain, seq, device, boot, waves, start, end, next_seq } = row;
    let chain_row = chain_row(db, *chain)?;
    let sql = "INSERT INTO segments (scope, chain, seq, device, boot, waves, start_at, end_at, next_seq, held) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NOT EXISTS (SELECT FROM entries WHERE chain = $2 AND seq = $3 \
               AND state NOT IN ('waiting', 'done', 'dead', 'quarantined'))) ON CONFLICT DO NOTHING";
    let (scope, boot, device) = (chain.scope.0.as_slice(), boot.0.as_slice(), crate::postgres::db::clean(device));
    let place = format_args!("segment {seq} of {}", Named(*chain));
    db.run(place, sql, &[&scope, &chain_row, &Count(*seq), &device, &boot, waves, &start.0, &end.0, &Count(*next_seq)]).map(drop)
}

pub fn segments(
    db: &mut Db<'_>,
    scope: ScopeId,
    waves: bool,
    span: RangeInclusive<Timestamp>,
    limit: usize,
) -> Result<Vec<SegmentRow>, StoreError> {
    let sql = "SELECT c.scope, c.author, c.run, s.seq, s.device, s.boot, s.waves, s.start_at, s.end_at, s.next_seq \
               FROM segments s JOIN chains c ON c.id = s.chain \
               WHERE s.scope = $1 AND s.waves = $2 AND s.start_at <= $3 AND s.end_at >= $4 \
               ORDER BY s.start_at DESC, c.author, c.run, s.seq LIMIT $5";
    let (id, limit) = (scope.0.as_slice(), at_most(limit));
    db.all(format_args!("segments of scope {scope}"), sql, &[&id, &waves, &span.end().0, &span.start().0, &limit], read_segment)
}

pub fn oldest_segments(db: &mut Db<'_>, waves: bool, before: Timestamp, limit: usize) -> Result<Vec<SegmentRow>, StoreError> {
    let sql = "SELECT c.scope, c.author, c.run, s.seq, s.device, s.boot, s.waves, s.start_at, s.end_at, s.next_seq \
               FROM segments s JOIN chains c ON c.id = s.chain \
               WHERE s.held AND s.waves = $1 AND s.end_at < $2 ORDER BY s.end_at, s.chain, s.seq LIMIT $3";
    db.all(format_args!("oldest segments"), sql, &[&waves, &before.0, &at_most(limit)], read_segment)
}

pub fn put_mask(db: &mut Db<'_>, mask: &Mask) -> Result<(), StoreError> {
    let Mask { chain, seq, from, to } = mask;
    let row = chain_row(db, *chain)?;
    let sql = "INSERT INTO masks (chain, seq, from_at, to_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
    db.run(format_args!("mask of {seq} of {}", Named(*chain)), sql, &[&row, &Count(*seq), &from.0, &to.0]).map(drop)
}

pub fn masks(db: &mut Db<'_>, scope: ScopeId) -> Result<Vec<Mask>, StoreError> {
    let sql = "SELECT c.scope, c.author, c.run, m.seq, m.from_at, m.to_at FROM chains c JOIN masks m ON m.chain = c.id \
               WHERE c.scope = $1 ORDER BY c.author, c.run, m.seq, m.from_at, m.to_at";
    db.all(format_args!("masks of scope {scope}"), sql, &[&scope.0.as_slice()], |row| {
        let Count(seq) = row.try_get(3)?;
        Ok(Mask { chain: chain_id(row, 0)?, seq, from: Timestamp(row.try_get(4)?), to: Timestamp(row.try_get(5)?) })
    })
}

pub fn sealed_through(db: &mut Db<'_>, since: Timestamp) -> Result<Vec<(String, Boot, bool, u64)>, StoreError> {
    let sql = "SELECT device, boot, waves, max(next_seq) FROM segments WHERE end_at >= $1 GROUP BY device, boot, waves \
               ORDER BY device, boot, waves";
    db.all(format_args!("table segments"), sql, &[&since.0], |row| {
        let (Fixed(boot), Count(next)) = (row.try_get(1)?, row.try_get(3)?);
        Ok((row.try_get(0)?, Boot(boot), row.try_get(2)?, next))
    })
}

pub fn put_tick(db: &mut Db<'_>, numerics: &[u8], waves: &[u8]) -> Result<u64, StoreError> {
    let place = format_args!("table ticks");
    let seal = |bytes: &[u8]| if bytes.is_empty() { Ok(None) } else { db.sealer.seal(TICK, bytes).map(Some) };
    let (numerics, waves) = (seal(numerics)?, seal(waves)?);
    let sql = "INSERT INTO ticks (id, numerics, waves) SELECT coalesce(max(id), 0) + 1, $1, $2 FROM ticks RETURNING id";
    let id = db.one(place, sql, &[&numerics, &waves], |row| row.try_get(0))?;
    id.map(|Count(id)| id).ok_or_else(|| StoreError::Other(format!("{place}: PostgreSQL gave it no row")))
}

pub fn ticks(db: &mut Db<'_>, waves: bool, after: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let sql = if waves {
        "SELECT id, waves FROM ticks WHERE id > $1 AND waves IS NOT NULL ORDER BY id"
    } else {
        "SELECT id, numerics FROM ticks WHERE id > $1 AND numerics IS NOT NULL ORDER BY id"
    };
    let rows = db.all(format_args!("table ticks"), sql, &[&Count(after)], |row| {
        let Count(id) = row.try_get(0)?;
        Ok((id, row.try_get::<_, Vec<u8>>(1)?))
    })?;
    rows.into_iter().map(|(id, sealed)| Ok((id, db.sealer.open(TICK, &sealed)?))).collect()
}

/// The newest row stays, without its bytes, so that ids are never used again.
pub fn drop_ticks(db: &mut Db<'_>, waves: bool, through: u64) -> Result<(), StoreError> {
    let place = format_args!("table ticks");
    let sql = if waves { "UPDATE ticks SET waves = NULL WHERE id <= $1" } else { "UPDATE ticks SET numerics = NULL WHERE id <= $1" };
    db.run(place, sql, &[&Count(through)])?;
    let sql = "DELETE FROM ticks WHERE id <= $1 AND numerics IS NULL AND waves IS NULL AND id < (SELECT max(id) FROM ticks)";
    db.run(place, sql, &[&Count(through)]).map(drop)
}

fn read_segment(row: &Row) -> Result<SegmentRow, postgres::Error> {
    let (Count(seq), Fixed(boot), Count(next_seq)) = (row.try_get(3)?, row.try_get(5)?, row.try_get(9)?);
    Ok(SegmentRow {
        chain: chain_id(row, 0)?,
        seq,
        device: row.try_get(4)?,
        boot: Boot(boot),
        waves: row.try_get(6)?,
        start: Timestamp(row.try_get(7)?),
        end: Timestamp(row.try_get(8)?),
        next_seq,
    })
}
