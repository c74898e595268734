//! Documents: everything that is not a series.

use super::at_most;
use crate::db::{Db, Packed, Text};
use protocol::store::{DocumentFilter, StoreError, StoredDocument};
use record::id::{ResourceId, ScopeId};
use rusqlite::{Row, ToSql, params};

pub(crate) fn one(db: Db<'_>, resource_type: &str, id: &ResourceId) -> Result<Option<StoredDocument>, StoreError> {
    let sql = "SELECT type, id, scope, version, updated, json, parts, conflicted, rowid FROM documents WHERE type = ? AND id = ?";
    let found = db.one(format_args!("document {resource_type}/{id}"), sql, params![resource_type, id.as_str()], read)?;
    found.map(|found| with_keys(db, found)).transpose()
}

pub(crate) fn put(db: Db<'_>, document: &StoredDocument) -> Result<(), StoreError> {
    let StoredDocument { resource_type, id, scope, parts, json, version, updated, conflicted, keys } = document;
    let place = format_args!("document {resource_type}/{id}");
    let sql = "INSERT INTO documents (type, id, scope, version, updated, json, parts, conflicted) VALUES (?, ?, ?, ?, ?, ?, ?, ?) \
               ON CONFLICT (type, id) DO UPDATE SET scope = excluded.scope, version = excluded.version, updated = excluded.updated, \
               json = excluded.json, parts = excluded.parts, conflicted = excluded.conflicted RETURNING rowid";
    let values = params![resource_type, id.as_str(), scope.0, version, Packed(updated), json, parts, conflicted];
    let row = db.one(place, sql, values, |row| row.get::<_, i64>(0))?;
    // Most documents never have keys.
    if let Some(row) = row.filter(|_| resource_type == "Patient" || !keys.is_empty()) {
        db.run(place, "DELETE FROM document_keys WHERE document = ?", [row])?;
        for key in keys {
            db.run(place, "INSERT INTO document_keys (key, document) VALUES (?, ?) ON CONFLICT DO NOTHING", [*key, row])?;
        }
    }
    Ok(())
}

pub(crate) fn list(db: Db<'_>, filter: &DocumentFilter) -> Result<Vec<StoredDocument>, StoreError> {
    let place = format_args!("documents of type {}", filter.resource_type);
    let (kind, after, limit) = (&filter.resource_type, filter.after.as_deref().unwrap_or_default(), at_most(filter.limit));
    let select = "SELECT type, id, scope, version, updated, json, parts, conflicted, rowid FROM documents";
    // A statement for each, so that each is answered from its index.
    let found = if !filter.keys.is_empty() {
        let marks = vec!["?"; filter.keys.len()].join(", ");
        let sql = format!(
            "{select} WHERE rowid IN (SELECT document FROM document_keys WHERE key IN ({marks})) AND +type = ? AND +id > ? AND json <> '' \
             AND conflicted >= ? AND (? IS NULL OR scope = ?) ORDER BY +id LIMIT ?"
        );
        let scope = filter.scope.map(|scope| scope.0);
        let mut values: Vec<&dyn ToSql> = filter.keys.iter().map(|key| key as &dyn ToSql).collect();
        values.extend([kind as &dyn ToSql, &after, &filter.conflicted, &scope, &scope, &limit]);
        db.all(place, &sql, values.as_slice(), read)?
    } else {
        match (filter.scope, filter.conflicted) {
            (None, false) => db.all(
                place,
                &format!("{select} WHERE type = ? AND id > ? AND json <> '' ORDER BY id LIMIT ?"),
                params![kind, after, limit],
                read,
            )?,
            (None, true) => {
                let sql = format!("{select} WHERE conflicted = 1 AND type = ? AND id > ? AND json <> '' ORDER BY id LIMIT ?");
                db.all(place, &sql, params![kind, after, limit], read)?
            }
            (Some(scope), conflicted) => {
                let sql =
                    format!("{select} WHERE scope = ? AND type = ? AND id > ? AND json <> '' AND conflicted >= ? ORDER BY id LIMIT ?");
                db.all(place, &sql, params![scope.0, kind, after, conflicted, limit], read)?
            }
        }
    };
    found.into_iter().map(|found| with_keys(db, found)).collect()
}

fn with_keys(db: Db<'_>, (mut document, row): (StoredDocument, i64)) -> Result<StoredDocument, StoreError> {
    if document.resource_type == "Patient" {
        let sql = "SELECT key FROM document_keys WHERE document = ? ORDER BY key";
        document.keys = db.all(format_args!("keys of documents"), sql, [row], |row| row.get(0))?;
    }
    Ok(document)
}

fn read(row: &Row<'_>) -> rusqlite::Result<(StoredDocument, i64)> {
    let (Text(id), Packed(updated)) = (row.get(1)?, row.get(4)?);
    let document = StoredDocument {
        resource_type: row.get(0)?,
        id,
        scope: ScopeId(row.get(2)?),
        version: row.get(3)?,
        updated,
        json: row.get(5)?,
        parts: row.get(6)?,
        conflicted: row.get(7)?,
        keys: Vec::new(),
    };
    Ok((document, row.get(8)?))
}
