//! The register of a fleet, beside the record.
//!
//! Unlike the record's, a change whose answer was lost is not looked up: [`StoreError::Away`] may mean that it was kept. Each can be
//! asked for again; a code is then used, and a new one is asked for.

use super::db::{Db, Fixed, clean};
use super::link::Link;
use crate::fleet::{CodeRow, Enrolment, Found, RawFound, RawSite, Register, SiteRow, Which};
use postgres::Row;
use postgres::types::ToSql;
use protocol::store::StoreError;
use record::id::{Hash, ReplicaId};
use record::time::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module.
pub(crate) struct PostgresRegister(Mutex<Link>);

const SITES: &str = "table sites";
const CODES: &str = "table codes";
/// Taken by every change, so that what one has looked at no other alters before it is done. Readers are not held up.
const ALONE: &str = "LOCK TABLE sites IN SHARE ROW EXCLUSIVE MODE";
const SELECT: &str = "SELECT site, replica, version, status, revocation, seal_key FROM sites";
const UNUSED: &str = "DELETE FROM codes WHERE site = $1 AND used_at IS NULL";

impl PostgresRegister {
    pub(super) fn new(link: Link) -> Self {
        Self(Mutex::new(link))
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Db<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.link().whole(|db| {
            db.run(format_args!("{SITES}"), ALONE, &[])?;
            change(db)
        })
    }
}

impl Register for PostgresRegister {
    fn sites(&self, which: Which<'_>) -> Result<Vec<RawSite>, StoreError> {
        self.link().whole(|db| match which {
            Which::All => sites(db, "ORDER BY site", &[]),
            Which::Named(site) => sites(db, "WHERE site = $1", &[&clean(site)]),
            Which::OfCertificate(hash) => {
                sites(db, "WHERE site = (SELECT site FROM certificates WHERE fingerprint = $1)", &[&hash.0.as_slice()])
            }
            Which::OfReplica(replica) => sites(db, "WHERE replica = $1", &[&replica.0.as_slice()]),
        })
    }

    fn put_code(&mut self, site: &str, by: &str, hash: Hash, expires: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        let (site, by) = (clean(site), clean(by));
        self.change(|db| {
            let add = "INSERT INTO sites (site, added_at, added_by) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
            db.run(format_args!("{SITES}"), add, &[&site, &now.0, &by])?;
            db.run(format_args!("{CODES}"), UNUSED, &[&site])?;
            let blind = db.sealer.blind(&hash.0);
            let code = "INSERT INTO codes (hash, site, expires_at) VALUES ($1, $2, $3)";
            db.run(format_args!("{CODES}"), code, &[&blind.as_slice(), &site, &expires.0]).map(drop)
        })
    }

    fn enrol(
        &mut self,
        hash: Hash,
        replica: Option<ReplicaId>,
        now: Timestamp,
        decide: &mut dyn FnMut(RawFound) -> Result<Option<Enrolment>, StoreError>,
    ) -> Result<(), StoreError> {
        self.change(|db| {
            let blind = db.sealer.blind(&hash.0);
            let sql = "SELECT site, expires_at, used_at FROM codes WHERE hash = $1";
            let code = db.one(format_args!("{CODES}"), sql, &[&blind.as_slice()], read_code)?;
            let site = match &code {
                Some(code) => sites(db, "WHERE site = $1", &[&code.site])?.into_iter().next(),
                None => None,
            };
            let replica_of = match replica {
                Some(replica) => sites(db, "WHERE replica = $1", &[&replica.0.as_slice()])?.into_iter().next().map(|row| row.site),
                None => None,
            };
            let Some(new) = decide(Found { code, site, replica_of })? else { return Ok(()) };
            let Enrolment { site, replica, seal_key, version, fingerprint, serial, expires } = new;
            db.run(format_args!("{CODES}"), "UPDATE codes SET used_at = $1 WHERE hash = $2", &[&now.0, &blind.as_slice()])?;
            let member = "UPDATE sites SET replica = $1, seal_key = $2, version = $3, enrolled_at = $4 WHERE site = $5";
            let values: &[&(dyn ToSql + Sync)] = &[&replica.0.as_slice(), &seal_key.as_slice(), &clean(&version), &now.0, &site];
            db.run(format_args!("{SITES}"), member, values)?;
            let certificate = "INSERT INTO certificates (fingerprint, site, serial, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
            let values: &[&(dyn ToSql + Sync)] = &[&fingerprint.0.as_slice(), &site, &serial, &now.0, &expires.0];
            db.run(format_args!("table certificates"), certificate, values).map(drop)
        })
    }

    fn put_status(&mut self, site: &str, status: &str) -> Result<(), StoreError> {
        self.change(|db| {
            let sealed = db.sealer.seal(&status_of(site), status.as_bytes())?;
            db.run(format_args!("{SITES}"), "UPDATE sites SET status = $1 WHERE site = $2", &[&sealed, &clean(site)]).map(drop)
        })
    }

    fn put_revocation(&mut self, site: &str, revocation: &str) -> Result<(), StoreError> {
        self.change(|db| {
            let sealed = db.sealer.seal(&end_of(site), revocation.as_bytes())?;
            db.run(format_args!("{CODES}"), UNUSED, &[&clean(site)])?;
            db.run(format_args!("{SITES}"), "UPDATE sites SET revocation = $1 WHERE site = $2", &[&sealed, &clean(site)]).map(drop)
        })
    }
}

impl std::fmt::Debug for PostgresRegister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.link().what().fmt(f)
    }
}

/// Whether every row opens.
pub(super) fn readable(db: &mut Db<'_>) -> Result<(), StoreError> {
    sites(db, "ORDER BY site", &[]).map(drop)
}

fn status_of(site: &str) -> String {
    format!("status of site {site}")
}

fn end_of(site: &str) -> String {
    format!("revocation of site {site}")
}

type Sealed = (RawSite, Option<Vec<u8>>, Option<Vec<u8>>);

fn sites(db: &mut Db<'_>, wanted: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<RawSite>, StoreError> {
    let rows = db.all(format_args!("{SITES}"), &format!("{SELECT} {wanted}"), values, read_site)?;
    let open = |(mut row, status, revocation): Sealed| {
        let text = |place: String, sealed: Vec<u8>| {
            let damaged = |_| StoreError::Damaged { what: place.clone(), why: "it is no text".to_owned() };
            db.sealer.open(&place, &sealed).and_then(|bytes| String::from_utf8(bytes).map_err(damaged))
        };
        row.status = status.map(|sealed| text(status_of(&row.site), sealed)).transpose()?;
        row.revocation = revocation.map(|sealed| text(end_of(&row.site), sealed)).transpose()?;
        Ok(row)
    };
    rows.into_iter().map(open).collect()
}

fn read_site(row: &Row) -> Result<Sealed, postgres::Error> {
    let site = SiteRow {
        site: row.try_get(0)?,
        replica: row.try_get::<_, Option<Fixed<32>>>(1)?.map(|Fixed(id)| ReplicaId(id)),
        seal_key: row.try_get::<_, Option<Fixed<32>>>(5)?.map(|Fixed(key)| key),
        version: row.try_get(2)?,
        status: None,
        revocation: None,
    };
    Ok((site, row.try_get(3)?, row.try_get(4)?))
}

fn read_code(row: &Row) -> Result<CodeRow, postgres::Error> {
    Ok(CodeRow { site: row.try_get(0)?, expires: Timestamp(row.try_get(1)?), used: row.try_get::<_, Option<i64>>(2)?.map(Timestamp) })
}
