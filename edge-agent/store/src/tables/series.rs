//! Where the series lie: bindings, the index of segments, the journal of what is not sealed yet.

use super::ledger::chain_row;
use super::{Named, at_most, chain_id};
use crate::db::{Count, Db, Packed};
use protocol::store::{SegmentRow, StoreError};
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

pub(crate) fn put_segment(db: Db<'_>, row: &SegmentRow) -> Result<(), StoreError> {
    let SegmentRow { chain, seq, device, boot, waves, start, end, next_seq } = row;
    let sql = "INSERT INTO segments (scope, chain, seq, device, boot, waves, start_at, end_at, next_seq) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (chain, seq) DO NOTHING";
    let chain_row = chain_row(db, *chain)?;
    let values = params![chain.scope.0, chain_row, Count(*seq), device, boot.0, waves, start.0, end.0, Count(*next_seq)];
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

pub(crate) fn sealed_through(db: Db<'_>, since: Timestamp) -> Result<Vec<(String, Boot, bool, u64)>, StoreError> {
    let sql = "SELECT device, boot, waves, max(next_seq) FROM segments WHERE end_at >= ? GROUP BY device, boot, waves ORDER BY device, boot, waves";
    db.all(format_args!("table segments"), sql, [since.0], |row| {
        let Count(next) = row.get(3)?;
        Ok((row.get(0)?, Boot(row.get(1)?), row.get(2)?, next))
    })
}

pub(crate) fn put_tick(db: Db<'_>, bytes: &[u8]) -> Result<u64, StoreError> {
    db.run(format_args!("table ticks"), "INSERT INTO ticks (bytes) VALUES (?)", [bytes])?;
    u64::try_from(db.connection.last_insert_rowid()).map_err(|_| StoreError::Other("table ticks: no ids left".to_owned()))
}

pub(crate) fn ticks(db: Db<'_>) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
    db.all(format_args!("table ticks"), "SELECT id, bytes FROM ticks ORDER BY id", [], |row| {
        let Count(id) = row.get(0)?;
        Ok((id, row.get(1)?))
    })
}

pub(crate) fn drop_ticks(db: Db<'_>, through: u64) -> Result<(), StoreError> {
    let through = i64::try_from(through).unwrap_or(i64::MAX);
    db.run(format_args!("table ticks"), "DELETE FROM ticks WHERE id <= ?", [through])?;
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
