//! What is known of other replicas, what went wrong, and small named values.

use super::ledger::{chain_row, names};
use super::payloads::LACKING;
use super::{Named, chain_id};
use crate::postgres::db::{Count, Db, Fixed, Packed, clean};
use postgres::Row;
use protocol::store::{Closing, DeadLetter, Incident, StoreError};
use record::id::ReplicaId;
use record::ledger::ChainId;
use record::ledger::receipt::{Held, Receipt, ReceiptId};
use record::time::Timestamp;

type Gaps = Vec<(u64, u64)>;

pub fn receipt(db: &mut Db<'_>, signer: ReplicaId, to: ReplicaId) -> Result<Option<Receipt>, StoreError> {
    let sql = "SELECT receipt FROM receipts WHERE signer = $1 AND receiver = $2";
    let values: &[&(dyn postgres::types::ToSql + Sync)] = &[&signer.0.as_slice(), &to.0.as_slice()];
    db.one(format_args!("receipt of {signer}"), sql, values, |row| row.try_get(0).map(|Packed(receipt)| receipt))
}

pub fn put_receipt(db: &mut Db<'_>, receipt: &Receipt) -> Result<(), StoreError> {
    let Receipt { signer, to, .. } = receipt;
    let place = format_args!("receipt of {signer}");
    let sql = "INSERT INTO receipts (signer, receiver, receipt) VALUES ($1, $2, $3) \
               ON CONFLICT (signer, receiver) DO UPDATE SET receipt = excluded.receipt RETURNING id";
    let values: &[&(dyn postgres::types::ToSql + Sync)] = &[&signer.0.as_slice(), &to.0.as_slice(), &Packed(receipt.clone())];
    let row: Option<i64> = db.one(place, sql, values, |row| row.try_get(0))?;
    if receipt.since == ReceiptId::default() {
        db.run(place, "DELETE FROM held WHERE receipt = $1", &[&row])?;
    }
    let (mut chains, mut nexts, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    for held in &receipt.held {
        chains.push(chain_row(db, held.chain)?);
        nexts.push(Count(held.next).integer());
        gaps.push(if held.gaps.is_empty() { None } else { Some(Packed(held.gaps.clone())) });
    }
    let sql = "INSERT INTO held (receipt, chain, next, gaps) SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bytea[]) \
               ON CONFLICT (receipt, chain) DO UPDATE SET next = excluded.next, gaps = excluded.gaps";
    db.run(place, sql, &[&row, &chains, &nexts, &gaps]).map(drop)
}

pub fn held(db: &mut Db<'_>, signer: ReplicaId, to: ReplicaId) -> Result<Vec<Held>, StoreError> {
    let sql = "SELECT c.scope, c.author, c.run, h.next, h.gaps FROM receipts r JOIN held h ON h.receipt = r.id \
               JOIN chains c ON c.id = h.chain WHERE r.signer = $1 AND r.receiver = $2 ORDER BY c.scope, c.author, c.run";
    db.all(format_args!("what {signer} holds"), sql, &[&signer.0.as_slice(), &to.0.as_slice()], read_held)
}

pub fn held_of(db: &mut Db<'_>, signer: ReplicaId, to: ReplicaId, chain: ChainId) -> Result<Option<Held>, StoreError> {
    let sql = "SELECT c.scope, c.author, c.run, h.next, h.gaps FROM receipts r JOIN held h ON h.receipt = r.id \
               JOIN chains c ON c.id = h.chain \
               WHERE r.signer = $1 AND r.receiver = $2 AND c.scope = $3 AND c.author = $4 AND c.run = $5";
    let (scope, author, run) = names(&chain);
    let place = format_args!("what {signer} holds of {}", Named(chain));
    db.one(place, sql, &[&signer.0.as_slice(), &to.0.as_slice(), &scope, &author, &run], read_held)
}

/// Looks only where a chain goes on past what is held, and into gaps; what is not here counts for nothing.
pub fn unheld(db: &mut Db<'_>, author: ReplicaId, signer: ReplicaId) -> Result<(u64, Option<Timestamp>), StoreError> {
    let place = format_args!("what {signer} does not hold");
    let sql = "SELECT c.id, c.next, coalesce(h.next, 0), h.gaps FROM chains c \
               LEFT JOIN held h ON h.chain = c.id AND h.receipt = (SELECT id FROM receipts WHERE signer = $1 AND receiver = $2) \
               WHERE c.author = $2 AND (c.next > coalesce(h.next, 0) OR h.gaps IS NOT NULL)";
    let open = db.all(place, sql, &[&signer.0.as_slice(), &author.0.as_slice()], |row| {
        let (Count(next), Count(held), gaps) = (row.try_get(1)?, row.try_get(2)?, read_gaps(row, 3)?);
        Ok((row.try_get::<_, i64>(0)?, next, held, gaps))
    })?;
    let (mut chains, mut from, mut before) = (Vec::new(), Vec::new(), Vec::new());
    for (chain, next, held, gaps) in open {
        let gaps = gaps.into_iter().map(|(from, to)| (from, to.min(held)));
        for (start, end) in gaps.chain([(held, next)]).map(|(start, end)| (start, end.min(next))).filter(|(start, end)| start < end) {
            chains.push(chain);
            from.push(Count(start).integer());
            before.push(Count(end).integer());
        }
    }
    let sql = format!(
        "SELECT coalesce(sum(s.upto - s.since - (SELECT count(*) FROM entries e \
             WHERE e.chain = s.chain AND e.seq >= s.since AND e.seq < s.upto AND {LACKING})), 0)::bigint, \
         min((SELECT e.at FROM entries e WHERE e.chain = s.chain AND e.seq >= s.since AND e.seq < s.upto AND NOT ({LACKING}) \
             ORDER BY e.seq LIMIT 1)) \
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS s (chain, since, upto)"
    );
    let found = db.one(place, &sql, &[&chains, &from, &before], |row| {
        let Count(waiting) = row.try_get(0)?;
        Ok((waiting, row.try_get::<_, Option<i64>>(1)?.map(Timestamp)))
    })?;
    Ok(found.unwrap_or_default())
}

pub fn dead_letters(db: &mut Db<'_>) -> Result<Vec<DeadLetter>, StoreError> {
    let sql =
        "SELECT c.scope, c.author, c.run, d.seq, d.reason FROM dead_letters d JOIN chains c ON c.id = d.chain ORDER BY d.id LIMIT 1000";
    db.all(format_args!("table dead_letters"), sql, &[], |row| {
        let Count(seq) = row.try_get(3)?;
        Ok(DeadLetter { chain: chain_id(row, 0)?, seq, reason: row.try_get(4)? })
    })
}

pub fn put_dead_letter(db: &mut Db<'_>, letter: &DeadLetter) -> Result<(), StoreError> {
    let row = chain_row(db, letter.chain)?;
    let sql = "INSERT INTO dead_letters (chain, seq, reason) VALUES ($1, $2, $3) \
               ON CONFLICT (chain, seq) DO UPDATE SET reason = excluded.reason";
    let place = format_args!("dead letter {} of {}", letter.seq, Named(letter.chain));
    db.run(place, sql, &[&row, &Count(letter.seq), &clean(&letter.reason)]).map(drop)
}

pub fn drop_dead_letter(db: &mut Db<'_>, chain: ChainId, seq: u64) -> Result<(), StoreError> {
    let (scope, author, run) = names(&chain);
    let sql = "DELETE FROM dead_letters USING chains c \
               WHERE chain = c.id AND c.scope = $1 AND c.author = $2 AND c.run = $3 AND seq = $4";
    db.run(format_args!("dead letter {seq} of {}", Named(chain)), sql, &[&scope, &author, &run, &Count(seq)]).map(drop)
}

pub fn incidents(db: &mut Db<'_>) -> Result<Vec<Incident>, StoreError> {
    let sql = "SELECT author, kind, detail, at, closed FROM incidents ORDER BY id DESC LIMIT 1000";
    db.all(format_args!("table incidents"), sql, &[], |row| {
        let Fixed(author) = row.try_get(0)?;
        let closed = row.try_get::<_, Option<Packed<Closing>>>(4)?.map(|Packed(closing)| closing);
        Ok(Incident { author: ReplicaId(author), kind: row.try_get(1)?, detail: row.try_get(2)?, at: Timestamp(row.try_get(3)?), closed })
    })
}

pub fn put_incident(db: &mut Db<'_>, incident: &Incident) -> Result<(), StoreError> {
    let Incident { author, kind, detail, at, closed } = incident;
    let sql = "INSERT INTO incidents (author, kind, detail, at, closed) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    let place = format_args!("incident {kind} of {author}");
    let closed = closed.clone().map(Packed);
    db.run(place, sql, &[&author.0.as_slice(), &clean(kind), &clean(detail), &at.0, &closed]).map(drop)
}

pub fn close_incident(db: &mut Db<'_>, incident: &Incident, closing: &Closing) -> Result<(), StoreError> {
    let Incident { author, kind, detail, .. } = incident;
    let sql = "UPDATE incidents SET closed = $1 WHERE author = $2 AND kind = $3 AND detail = $4";
    let place = format_args!("incident {kind} of {author}");
    db.run(place, sql, &[&Packed(closing.clone()), &author.0.as_slice(), &clean(kind), &clean(detail)]).map(drop)
}

pub fn value(db: &mut Db<'_>, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    db.one(format_args!("value {key}"), "SELECT value FROM small_values WHERE key = $1", &[&clean(key)], |row| row.try_get(0))
}

pub fn put_value(db: &mut Db<'_>, key: &str, value: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT INTO small_values (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    db.run(format_args!("value {key}"), sql, &[&clean(key), &value]).map(drop)
}

fn read_held(row: &Row) -> Result<Held, postgres::Error> {
    let Count(next) = row.try_get(3)?;
    Ok(Held { chain: chain_id(row, 0)?, next, gaps: read_gaps(row, 4)? })
}

fn read_gaps(row: &Row, column: usize) -> Result<Gaps, postgres::Error> {
    Ok(row.try_get::<_, Option<Packed<Gaps>>>(column)?.map(|Packed(gaps)| gaps).unwrap_or_default())
}
