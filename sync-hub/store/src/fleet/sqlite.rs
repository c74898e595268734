//! The register in its file.

use super::{CodeRow, Enrolment, Found, RawFound, RawSite, Register, SiteRow, Which};
use crate::open::{self, explain};
use protocol::store::StoreError;
use record::id::{Hash, ReplicaId};
use record::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use std::path::{Path, PathBuf};

/// See the module.
pub(super) struct SqliteRegister {
    connection: Connection,
    path: PathBuf,
}

impl SqliteRegister {
    pub fn open(path: &Path, key: &[u8; 32]) -> Result<Self, StoreError> {
        Ok(Self { connection: open::store(path, key)?, path: path.to_owned() })
    }

    pub fn backup(&self, key: &[u8; 32], to: &Path) -> Result<(), StoreError> {
        crate::backup::backup(&self.connection, &self.path, key, to)
    }

    fn write(&mut self, change: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), StoreError> {
        let path = &self.path;
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| explain(path, e))?;
        change(&tx).map_err(|e| explain(path, e))?;
        tx.commit().map_err(|e| explain(path, e))
    }
}

impl Register for SqliteRegister {
    fn sites(&self, which: Which<'_>) -> Result<Vec<RawSite>, StoreError> {
        let ask = |wanted: &str, values: &[&dyn rusqlite::ToSql]| {
            let mut statement = self.connection.prepare_cached(&format!("{SITE} {wanted}"))?;
            statement.query_map(values, read_site)?.collect::<rusqlite::Result<Vec<_>>>()
        };
        let found = match which {
            Which::All => ask("ORDER BY site", &[]),
            Which::Named(site) => ask("WHERE site = ?", &[&site]),
            Which::OfCertificate(hash) => ask("WHERE site = (SELECT site FROM certificates WHERE fingerprint = ?)", &[&hash.0]),
            Which::OfReplica(replica) => ask("WHERE replica = ?", &[&replica.0]),
        };
        found.map_err(|e| explain(&self.path, e))
    }

    fn put_code(&mut self, site: &str, by: &str, hash: Hash, expires: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            let add = "INSERT INTO sites (site, added_at, added_by) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
            tx.execute(add, params![site, now.0, by])?;
            tx.execute("DELETE FROM codes WHERE site = ? AND used_at IS NULL", [site])?;
            tx.execute("INSERT INTO codes (hash, site, expires_at) VALUES (?, ?, ?)", params![hash.0, site, expires.0])?;
            Ok(())
        })
    }

    fn enrol(
        &mut self,
        hash: Hash,
        replica: Option<ReplicaId>,
        now: Timestamp,
        decide: &mut dyn FnMut(RawFound) -> Result<Option<Enrolment>, StoreError>,
    ) -> Result<(), StoreError> {
        let path = &self.path;
        let say = |e| explain(path, e);
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(say)?;
        let find = || -> rusqlite::Result<RawFound> {
            let code = tx.query_row("SELECT site, expires_at, used_at FROM codes WHERE hash = ?", [hash.0], read_code).optional()?;
            let site = match &code {
                Some(code) => tx.query_row(&format!("{SITE} WHERE site = ?"), [&code.site], read_site).optional()?,
                None => None,
            };
            let replica = replica.map(|replica| replica.0);
            let replica_of = tx.query_row("SELECT site FROM sites WHERE replica = ?", [replica], |row| row.get(0)).optional()?;
            Ok(Found { code, site, replica_of })
        };
        let Some(new) = decide(find().map_err(say)?)? else { return Ok(()) };
        let keep = || -> rusqlite::Result<()> {
            tx.execute("UPDATE codes SET used_at = ? WHERE hash = ?", params![now.0, hash.0])?;
            let member = "UPDATE sites SET replica = ?, seal_key = ?, version = ?, enrolled_at = ? WHERE site = ?";
            tx.execute(member, params![new.replica.0, new.seal_key, new.version, now.0, new.site])?;
            let certificate = "INSERT INTO certificates (fingerprint, site, serial, issued_at, expires_at) VALUES (?, ?, ?, ?, ?)";
            tx.execute(certificate, params![new.fingerprint.0, new.site, new.serial, now.0, new.expires.0])?;
            Ok(())
        };
        keep().map_err(say)?;
        tx.commit().map_err(say)
    }

    fn put_status(&mut self, site: &str, status: &str) -> Result<(), StoreError> {
        self.write(|tx| tx.execute("UPDATE sites SET status = ? WHERE site = ?", [status, site]).map(drop))
    }

    fn put_revocation(&mut self, site: &str, revocation: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute("DELETE FROM codes WHERE site = ? AND used_at IS NULL", [site])?;
            tx.execute("UPDATE sites SET revocation = ? WHERE site = ?", [revocation, site]).map(drop)
        })
    }
}

impl std::fmt::Debug for SqliteRegister {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.fmt(f)
    }
}

const SITE: &str = "SELECT site, replica, version, status, revocation, seal_key FROM sites";

fn read_site(row: &Row<'_>) -> rusqlite::Result<RawSite> {
    Ok(SiteRow {
        site: row.get(0)?,
        replica: row.get::<_, Option<[u8; 32]>>(1)?.map(ReplicaId),
        seal_key: row.get(5)?,
        version: row.get(2)?,
        status: row.get(3)?,
        revocation: row.get(4)?,
    })
}

fn read_code(row: &Row<'_>) -> rusqlite::Result<CodeRow> {
    Ok(CodeRow { site: row.get(0)?, expires: Timestamp(row.get(1)?), used: row.get::<_, Option<i64>>(2)?.map(Timestamp) })
}
