//! Where the series lie: bindings, the index of segments, the journal of what is not sealed yet.

use super::ledger::chain_row;
use super::{Named, at_most, chain_id};
use crate::db::{Capped, Count, Db, Packed};
use protocol::store::{Mask, SegmentRow, SeriesMark, StoreError};
use record::binding::Binding;
use record::id::ScopeId;
use record::ledger::Hlc;
use record::series::Boot;
use record::time::Timestamp;
use rusqlite::{Row, params};
use std::ops::RangeInclusive;

pub(crate) fn bindings(db: Db<'_>) -> Result<Vec<(Hlc, Binding)>, StoreError> {
    db.all(format_args!("table bindings"), "SELECT hlc, binding FROM bindings ORDER BY id", [], |row| {
        let (Packed(hlc), Packed(binding)) = (row.get(0)?, row.get(1)?);
        Ok((hlc, binding))
    })
}

pub(crate) fn put_binding(db: Db<'_>, hlc: Hlc, binding: &Binding) -> Result<(), StoreError> {
    let sql = "INSERT INTO bindings (hlc, binding) VALUES (?, ?) ON CONFLICT DO NOTHING";
    db.run(format_args!("binding {}", binding.id), sql, params![Packed(hlc), Packed(binding)])?;
    Ok(())
}

/// Its entry may come later in the same transaction, and then with its payload.
pub(crate) fn put_segment(db: Db<'_>, row: &SegmentRow) -> Result<(), StoreError> {
    let SegmentRow { chain, seq, device, boot, waves, start, end, next_seq } = row;
    let sql = "INSERT INTO segments (scope, chain, seq, device, boot, waves, start_at, end_at, next_seq, held) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, NOT EXISTS (SELECT 1 FROM entries WHERE chain = ?2 AND seq = ?3 \
               AND state NOT IN ('waiting', 'done', 'dead', 'quarantined'))) ON CONFLICT (chain, seq) DO NOTHING";
    let chain_row = chain_row(db, *chain)?;
    let values = params![chain.scope.0, chain_row, Count(*seq), device, boot.0, waves, start.0, end.0, Capped(*next_seq)];
    db.run(format_args!("segment {seq} of {}", Named(*chain)), sql, values)?;
    Ok(())
}

pub(crate) fn segments(
    db: Db<'_>,
    scope: ScopeId,
    waves: bool,
    span: RangeInclusive<Timestamp>,
    limit: usize,
) -> Result<Vec<SegmentRow>, StoreError> {
    let sql = "SELECT c.scope, c.author, c.run, s.seq, s.device, s.boot, s.waves, s.start_at, s.end_at, s.next_seq \
               FROM segments s JOIN chains c ON c.id = s.chain \
               WHERE s.scope = ? AND s.waves = ? AND s.start_at <= ? AND s.end_at >= ? \
               ORDER BY s.start_at DESC, c.author, c.run, s.seq LIMIT ?";
    let values = params![scope.0, waves, span.end().0, span.start().0, at_most(limit)];
    db.all(format_args!("segments of scope {scope}"), sql, values, read_segment)
}

pub(crate) fn oldest_segments(db: Db<'_>, waves: bool, before: Timestamp, limit: usize) -> Result<Vec<SegmentRow>, StoreError> {
    let sql = "SELECT c.scope, c.author, c.run, s.seq, s.device, s.boot, s.waves, s.start_at, s.end_at, s.next_seq \
               FROM segments s JOIN chains c ON c.id = s.chain \
               WHERE s.held = 1 AND s.waves = ? AND s.end_at < ? ORDER BY s.end_at, s.chain, s.seq LIMIT ?";
    db.all(format_args!("oldest segments"), sql, params![waves, before.0, at_most(limit)], read_segment)
}

pub(crate) fn put_mask(db: Db<'_>, mask: &Mask) -> Result<(), StoreError> {
    let Mask { chain, seq, from, to } = mask;
    let sql = "INSERT INTO masks (chain, seq, from_at, to_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
    db.run(format_args!("mask of {seq} of {}", Named(*chain)), sql, params![chain_row(db, *chain)?, Capped(*seq), from.0, to.0])?;
    Ok(())
}

pub(crate) fn masks(db: Db<'_>, scope: ScopeId) -> Result<Vec<Mask>, StoreError> {
    let sql = "SELECT c.scope, c.author, c.run, m.seq, m.from_at, m.to_at FROM chains c JOIN masks m ON m.chain = c.id \
               WHERE c.scope = ? ORDER BY c.author, c.run, m.seq, m.from_at, m.to_at";
    db.all(format_args!("masks of scope {scope}"), sql, [scope.0], |row| {
        let Count(seq) = row.get(3)?;
        Ok(Mask { chain: chain_id(row, 0)?, seq, from: Timestamp(row.get(4)?), to: Timestamp(row.get(5)?) })
    })
}

pub(crate) fn sealed_through(db: Db<'_>, since: Timestamp) -> Result<Vec<(String, Boot, bool, u64)>, StoreError> {
    let sql = "SELECT device, boot, waves, max(next_seq) FROM segments WHERE end_at >= ? GROUP BY device, boot, waves ORDER BY device, boot, waves";
    db.all(format_args!("table segments"), sql, [since.0], |row| {
        let Count(next) = row.get(3)?;
        Ok((row.get(0)?, Boot(row.get(1)?), row.get(2)?, next))
    })
}

pub(crate) fn mark(db: Db<'_>) -> Result<SeriesMark, StoreError> {
    let sql = "SELECT version, gone, (SELECT max(id) FROM ticks) FROM series_version";
    let mark = db.one(format_args!("table series_version"), sql, [], |row| {
        let (Count(version), Count(gone), newest) = (row.get(0)?, row.get(1)?, row.get::<_, Option<Count>>(2)?);
        Ok(SeriesMark { version, gone, newest_tick: newest.map_or(0, |Count(id)| id) })
    })?;
    mark.ok_or_else(|| StoreError::Damaged { what: "table series_version".to_owned(), why: "its row is missing".to_owned() })
}

pub(crate) fn put_tick(db: Db<'_>, numerics: &[u8], waves: &[u8]) -> Result<u64, StoreError> {
    let [numerics, waves] = [numerics, waves].map(|bytes| Some(bytes).filter(|bytes| !bytes.is_empty()));
    db.run(format_args!("table ticks"), "INSERT INTO ticks (numerics, waves) VALUES (?, ?)", params![numerics, waves])?;
    u64::try_from(db.connection.last_insert_rowid()).map_err(|_| StoreError::Other("table ticks: no ids left".to_owned()))
}

pub(crate) fn ticks(db: Db<'_>, waves: bool, after: u64) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    let sql = if waves {
        "SELECT id, waves FROM ticks WHERE id > ? AND waves IS NOT NULL ORDER BY id"
    } else {
        "SELECT id, numerics FROM ticks WHERE id > ? AND numerics IS NOT NULL ORDER BY id"
    };
    db.all(format_args!("table ticks"), sql, [Capped(after)], |row| {
        let Count(id) = row.get(0)?;
        Ok((id, row.get(1)?))
    })
}

pub(crate) fn drop_ticks(db: Db<'_>, waves: bool, through: u64) -> Result<(), StoreError> {
    let place = format_args!("table ticks");
    let sql = if waves {
        "UPDATE ticks SET waves = NULL WHERE id <= ? AND waves IS NOT NULL"
    } else {
        "UPDATE ticks SET numerics = NULL WHERE id <= ? AND numerics IS NOT NULL"
    };
    db.run(place, sql, [Capped(through)])?;
    let sql = "DELETE FROM ticks WHERE id <= ? AND numerics IS NULL AND waves IS NULL AND id < (SELECT max(id) FROM ticks)";
    db.run(place, sql, [Capped(through)])?;
    Ok(())
}

fn read_segment(row: &Row<'_>) -> rusqlite::Result<SegmentRow> {
    let (Count(seq), Count(next_seq)) = (row.get(3)?, row.get(9)?);
    Ok(SegmentRow {
        chain: chain_id(row, 0)?,
        seq,
        device: row.get(4)?,
        boot: Boot(row.get(5)?),
        waves: row.get(6)?,
        start: Timestamp(row.get(7)?),
        end: Timestamp(row.get(8)?),
        next_seq,
    })
}
