//! Scopes and their keys. A key is sealed to its scope and number.

use crate::postgres::db::{Db, Fixed, Packed, clean};
use crate::postgres::sealing::Sealer;
use postgres::Row;
use protocol::access::Access;
use protocol::store::{Scope, StoreError};
use record::id::{PatientId, ReplicaId, ScopeId};
use record::ledger::ScopeKey;
use record::ledger::grant::ScopeRole;

const SELECT: &str = "SELECT scope, role, creator, key_id, key, patient, access FROM scopes";

pub fn all(db: &mut Db<'_>) -> Result<Vec<Scope>, StoreError> {
    let rows = db.all(format_args!("table scopes"), &format!("{SELECT} ORDER BY scope"), &[], Raw::read)?;
    rows.into_iter().map(|raw| raw.open(db.sealer)).collect()
}

pub fn one(db: &mut Db<'_>, id: ScopeId) -> Result<Option<Scope>, StoreError> {
    let raw = db.one(format_args!("scope {id}"), &format!("{SELECT} WHERE scope = $1"), &[&id.0.as_slice()], Raw::read)?;
    raw.map(|raw| raw.open(db.sealer)).transpose()
}

pub fn of(db: &mut Db<'_>, patient: &PatientId) -> Result<Vec<Scope>, StoreError> {
    let sql = format!("{SELECT} WHERE patient = $1 ORDER BY scope");
    let rows = db.all(format_args!("scopes about a patient"), &sql, &[&clean(patient.as_str())], Raw::read)?;
    rows.into_iter().map(|raw| raw.open(db.sealer)).collect()
}

pub fn put(db: &mut Db<'_>, scope: &Scope) -> Result<(), StoreError> {
    let key_id = scope.key.as_ref().map(|(id, _)| i64::from(*id));
    let key = scope.key.as_ref().map(|(id, key)| db.sealer.seal(&place(scope.id, i64::from(*id)), &key.0)).transpose()?;
    let patient = scope.patient.as_ref().map(|patient| clean(patient.as_str()));
    let sql = "INSERT INTO scopes (scope, role, creator, key_id, key, patient, access) VALUES ($1, $2, $3, $4, $5, $6, $7) \
               ON CONFLICT (scope) DO UPDATE SET role = excluded.role, creator = excluded.creator, key_id = excluded.key_id, \
               key = excluded.key, patient = excluded.patient, access = excluded.access";
    let (id, role, creator) = (scope.id.0.as_slice(), scope.role.map(name), scope.creator.0.as_slice());
    let values: &[&(dyn postgres::types::ToSql + Sync)] = &[&id, &role, &creator, &key_id, &key, &patient, &Packed(scope.access.clone())];
    db.run(format_args!("scope {}", scope.id), sql, values).map(drop)
}

/// A row with its key still sealed.
struct Raw {
    id: ScopeId,
    role: Option<String>,
    creator: ReplicaId,
    key: Option<(i64, Vec<u8>)>,
    patient: Option<String>,
    access: Access,
}

impl Raw {
    fn read(row: &Row) -> Result<Self, postgres::Error> {
        let (Fixed(id), Fixed(creator), Packed(access)) = (row.try_get(0)?, row.try_get(2)?, row.try_get(6)?);
        let (key_id, key): (Option<i64>, Option<Vec<u8>>) = (row.try_get(3)?, row.try_get(4)?);
        Ok(Self {
            id: ScopeId(id),
            role: row.try_get(1)?,
            creator: ReplicaId(creator),
            key: key_id.zip(key),
            patient: row.try_get(5)?,
            access,
        })
    }

    fn open(self, sealer: &Sealer) -> Result<Scope, StoreError> {
        let Self { id, role, creator, key, patient, access } = self;
        let damaged = |why: &str| StoreError::Damaged { what: format!("scope {id}"), why: why.to_owned() };
        let key = match key {
            None => None,
            Some((number, sealed)) => {
                let bytes = sealer.open(&place(id, number), &sealed)?;
                let bytes = bytes.try_into().map_err(|_| damaged("its key has another length"))?;
                Some((u32::try_from(number).map_err(|_| damaged("its key has no number"))?, ScopeKey(bytes)))
            }
        };
        let role = role.map(|role| named(&role).ok_or_else(|| damaged("its role is none"))).transpose()?;
        let patient = patient.map(|patient| patient.parse::<PatientId>().map_err(|_| damaged("its patient's id is none"))).transpose()?;
        Ok(Scope { id, role, creator, key, patient, access })
    }
}

fn place(scope: ScopeId, key_id: i64) -> String {
    format!("key {key_id} of scope {scope}")
}

const fn name(role: ScopeRole) -> &'static str {
    match role {
        ScopeRole::Site => "site",
        ScopeRole::Patient => "patient",
        ScopeRole::Unassigned => "unassigned",
        ScopeRole::Audit => "audit",
    }
}

fn named(text: &str) -> Option<ScopeRole> {
    [ScopeRole::Site, ScopeRole::Patient, ScopeRole::Unassigned, ScopeRole::Audit].into_iter().find(|role| name(*role) == text)
}
