//! Scopes and their keys.

use crate::db::{Db, Packed, Text};
use protocol::store::{Scope, StoreError};
use record::id::{PatientId, ReplicaId, ScopeId};
use record::ledger::ScopeKey;
use record::ledger::grant::ScopeRole;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Row, params};

pub(crate) fn all(db: Db<'_>) -> Result<Vec<Scope>, StoreError> {
    let sql = "SELECT scope, role, creator, key_id, key, patient, access FROM scopes ORDER BY scope";
    db.all(format_args!("table scopes"), sql, [], read)
}

pub(crate) fn one(db: Db<'_>, id: ScopeId) -> Result<Option<Scope>, StoreError> {
    let sql = "SELECT scope, role, creator, key_id, key, patient, access FROM scopes WHERE scope = ?";
    db.one(format_args!("scope {id}"), sql, [id.0], read)
}

pub(crate) fn of(db: Db<'_>, patient: &PatientId) -> Result<Vec<Scope>, StoreError> {
    let sql = "SELECT scope, role, creator, key_id, key, patient, access FROM scopes WHERE patient = ? ORDER BY scope";
    db.all(format_args!("scopes about a patient"), sql, [patient.as_str()], read)
}

pub(crate) fn put(db: Db<'_>, scope: &Scope) -> Result<(), StoreError> {
    let (key_id, key) = scope.key.as_ref().map(|(id, key)| (*id, key.0)).unzip();
    let patient = scope.patient.as_ref().map(PatientId::as_str);
    let sql = "REPLACE INTO scopes (scope, role, creator, key_id, key, patient, access) VALUES (?, ?, ?, ?, ?, ?, ?)";
    let values = params![scope.id.0, scope.role.map(name), scope.creator.0, key_id, key, patient, Packed(&scope.access)];
    db.run(format_args!("scope {}", scope.id), sql, values)?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Scope> {
    let (key_id, key): (Option<u32>, Option<[u8; 32]>) = (row.get(3)?, row.get(4)?);
    let Packed(access) = row.get(6)?;
    Ok(Scope {
        id: ScopeId(row.get(0)?),
        role: row.get::<_, Option<Role>>(1)?.map(|Role(role)| role),
        creator: ReplicaId(row.get(2)?),
        key: key_id.zip(key.map(ScopeKey)),
        patient: row.get::<_, Option<Text<PatientId>>>(5)?.map(|Text(patient)| patient),
        access,
    })
}

const fn name(role: ScopeRole) -> &'static str {
    match role {
        ScopeRole::Site => "site",
        ScopeRole::Patient => "patient",
        ScopeRole::Unassigned => "unassigned",
        ScopeRole::Audit => "audit",
    }
}

struct Role(ScopeRole);

impl FromSql for Role {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        let roles = [ScopeRole::Site, ScopeRole::Patient, ScopeRole::Unassigned, ScopeRole::Audit];
        roles.into_iter().find(|role| name(*role) == text).map(Self).ok_or(FromSqlError::InvalidType)
    }
}
