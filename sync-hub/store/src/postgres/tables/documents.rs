//! Documents: everything that is not a series. What they say is sealed; type, id, scope and version are not.

use super::at_most;
use crate::postgres::db::{Db, Fixed, Packed, clean};
use crate::postgres::sealing::Sealer;
use postgres::Row;
use protocol::store::{DocumentFilter, StoreError, StoredDocument};
use record::id::{ResourceId, ScopeId};
use record::ledger::Hlc;

const SELECT: &str = "SELECT type, id, scope, version, updated, json, parts, conflicted, keys FROM documents";

pub fn one(db: &mut Db<'_>, resource_type: &str, id: &ResourceId) -> Result<Option<StoredDocument>, StoreError> {
    let sql = format!("{SELECT} WHERE type = $1 AND id = $2");
    let values: &[&(dyn postgres::types::ToSql + Sync)] = &[&clean(resource_type), &clean(id.as_str())];
    let raw = db.one(format_args!("document {resource_type}/{id}"), &sql, values, Raw::read)?;
    raw.map(|raw| raw.open(db.sealer)).transpose()
}

pub fn put(db: &mut Db<'_>, document: &StoredDocument) -> Result<(), StoreError> {
    let StoredDocument { resource_type, id, scope, parts, json, version, updated, conflicted, keys } = document;
    let (resource_type, id) = (clean(resource_type), clean(id.as_str()));
    let [parts_at, json_at] = places(&resource_type, &id);
    let (parts, shown) = (db.sealer.seal(&parts_at, parts)?, !json.is_empty());
    let json = db.sealer.seal(&json_at, json.as_bytes())?;
    let sql = "INSERT INTO documents (type, id, scope, version, updated, shown, json, parts, conflicted, keys) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
               ON CONFLICT (type, id) DO UPDATE SET scope = excluded.scope, version = excluded.version, updated = excluded.updated, \
               shown = excluded.shown, json = excluded.json, parts = excluded.parts, conflicted = excluded.conflicted, keys = excluded.keys";
    let place = format_args!("document {resource_type}/{id}");
    let (scope, version, updated) = (scope.0.as_slice(), clean(version), Packed(*updated));
    let values: &[&(dyn postgres::types::ToSql + Sync)] =
        &[&resource_type, &id, &scope, &version, &updated, &shown, &json, &parts, conflicted, keys];
    db.run(place, sql, values).map(drop)
}

pub fn list(db: &mut Db<'_>, filter: &DocumentFilter) -> Result<Vec<StoredDocument>, StoreError> {
    let place = format_args!("documents of type {}", filter.resource_type);
    let (after, limit) = (clean(filter.after.as_deref().unwrap_or_default()), at_most(filter.limit));
    let resource_type = clean(&filter.resource_type);
    let mut sql = format!("{SELECT} WHERE type = $1 AND id > $2 AND shown");
    let mut values: Vec<&(dyn postgres::types::ToSql + Sync)> = vec![&resource_type, &after, &limit];
    let scope = filter.scope.map(|scope| scope.0.to_vec());
    if let Some(scope) = &scope {
        values.push(scope);
        sql += &format!(" AND scope = ${}", values.len());
    }
    if !filter.keys.is_empty() {
        values.push(&filter.keys);
        sql += &format!(" AND keys && ${}", values.len());
    }
    if filter.conflicted {
        sql += " AND conflicted";
    }
    sql += " ORDER BY id LIMIT $3";
    let rows = db.all(place, &sql, &values, Raw::read)?;
    rows.into_iter().map(|raw| raw.open(db.sealer)).collect()
}

/// Documents after a type and id, those without a genesis too, in that order.
pub fn after(db: &mut Db<'_>, after: &(String, String), limit: i64) -> Result<Vec<StoredDocument>, StoreError> {
    let sql = format!("{SELECT} WHERE (type, id) > ($1, $2) ORDER BY type, id LIMIT $3");
    let rows = db.all(format_args!("table documents"), &sql, &[&after.0, &after.1, &limit], Raw::read)?;
    rows.into_iter().map(|raw| raw.open(db.sealer)).collect()
}

/// A row with its content still sealed.
struct Raw {
    resource_type: String,
    id: String,
    scope: ScopeId,
    version: String,
    updated: Hlc,
    json: Vec<u8>,
    parts: Vec<u8>,
    conflicted: bool,
    keys: Vec<i64>,
}

impl Raw {
    fn read(row: &Row) -> Result<Self, postgres::Error> {
        let (Fixed(scope), Packed(updated)) = (row.try_get(2)?, row.try_get(4)?);
        Ok(Self {
            resource_type: row.try_get(0)?,
            id: row.try_get(1)?,
            scope: ScopeId(scope),
            version: row.try_get(3)?,
            updated,
            json: row.try_get(5)?,
            parts: row.try_get(6)?,
            conflicted: row.try_get(7)?,
            keys: row.try_get(8)?,
        })
    }

    fn open(self, sealer: &Sealer) -> Result<StoredDocument, StoreError> {
        let Self { resource_type, id, scope, version, updated, json, parts, conflicted, keys } = self;
        let [parts_at, json_at] = places(&resource_type, &id);
        let damaged = |why: &str| StoreError::Damaged { what: format!("document {resource_type}/{id}"), why: why.to_owned() };
        let parts = sealer.open(&parts_at, &parts)?;
        let json = String::from_utf8(sealer.open(&json_at, &json)?).map_err(|_| damaged("its JSON is no text"))?;
        let id = id.parse().map_err(|_| damaged("its id is none"))?;
        Ok(StoredDocument { resource_type, id, scope, parts, json, version, updated, conflicted, keys })
    }
}

fn places(resource_type: &str, id: &str) -> [String; 2] {
    ["parts", "json"].map(|what| format!("{what} of document {resource_type}/{id}"))
}
