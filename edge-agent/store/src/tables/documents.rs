//! Documents: everything that is not a series.

use super::at_most;
use crate::db::{Db, Packed, Text};
use protocol::store::{DocumentFilter, StoreError, StoredDocument};
use record::id::{ResourceId, ScopeId};
use rusqlite::{Row, params};

pub(crate) fn one(db: Db<'_>, resource_type: &str, id: &ResourceId) -> Result<Option<StoredDocument>, StoreError> {
    let sql = "SELECT type, id, scope, version, updated, json, parts FROM documents WHERE type = ? AND id = ?";
    db.one(format_args!("document {resource_type}/{id}"), sql, params![resource_type, id.as_str()], read)
}

pub(crate) fn put(db: Db<'_>, document: &StoredDocument) -> Result<(), StoreError> {
    let StoredDocument { resource_type, id, scope, parts, json, version, updated } = document;
    let sql = "INSERT INTO documents (type, id, scope, version, updated, json, parts) VALUES (?, ?, ?, ?, ?, ?, ?) \
               ON CONFLICT (type, id) DO UPDATE SET scope = excluded.scope, version = excluded.version, updated = excluded.updated, \
               json = excluded.json, parts = excluded.parts";
    let values = params![resource_type, id.as_str(), scope.0, version, Packed(updated), json, parts];
    db.run(format_args!("document {resource_type}/{id}"), sql, values)?;
    Ok(())
}

pub(crate) fn list(db: Db<'_>, filter: &DocumentFilter) -> Result<Vec<StoredDocument>, StoreError> {
    let place = format_args!("documents of type {}", filter.resource_type);
    let (after, limit) = (filter.after.as_deref().unwrap_or_default(), at_most(filter.limit));
    // Two statements, so that each is answered from its index.
    match filter.scope {
        None => {
            let sql = "SELECT type, id, scope, version, updated, json, parts FROM documents \
                       WHERE type = ? AND id > ? AND json <> '' ORDER BY id LIMIT ?";
            db.all(place, sql, params![filter.resource_type, after, limit], read)
        }
        Some(scope) => {
            let sql = "SELECT type, id, scope, version, updated, json, parts FROM documents \
                       WHERE scope = ? AND type = ? AND id > ? AND json <> '' ORDER BY id LIMIT ?";
            db.all(place, sql, params![scope.0, filter.resource_type, after, limit], read)
        }
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<StoredDocument> {
    let (Text(id), Packed(updated)) = (row.get(1)?, row.get(4)?);
    Ok(StoredDocument {
        resource_type: row.get(0)?,
        id,
        scope: ScopeId(row.get(2)?),
        version: row.get(3)?,
        updated,
        json: row.get(5)?,
        parts: row.get(6)?,
    })
}
