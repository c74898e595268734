//! Sites, codes, certificates.

use crate::open::{self, explain};
use protocol::store::StoreError;
use record::id::{Hash, ReplicaId};
use record::time::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

/// A fleet in its file. `S` is a site's status, `R` the end of a membership; both are kept as JSON.
pub struct FleetStore<S, R> {
    connection: Connection,
    path: PathBuf,
    kept: PhantomData<fn() -> (S, R)>,
}

/// A site as kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SiteRow<S, R> {
    /// Its name.
    pub site: String,
    /// The replica enrolled for it.
    pub replica: Option<ReplicaId>,
    /// The X25519 public key it enrolled with.
    pub seal_key: Option<[u8; 32]>,
    /// Its program version at enrolment.
    pub version: Option<String>,
    /// What sessions have told.
    pub status: S,
    /// The end of its membership.
    pub revocation: Option<R>,
}

/// A code as kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeRow {
    /// The site it opens.
    pub site: String,
    /// Useless from then on.
    pub expires: Timestamp,
    /// When it was used.
    pub used: Option<Timestamp>,
}

/// What is kept about a code and a replica that come together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found<S, R> {
    /// The code, if there is one of that hash.
    pub code: Option<CodeRow>,
    /// The site the code opens.
    pub site: Option<SiteRow<S, R>>,
    /// The name under which the replica is enrolled already.
    pub replica_of: Option<String>,
}

/// A member and its certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Enrolment {
    /// The site.
    pub site: String,
    /// Its replica.
    pub replica: ReplicaId,
    /// The replica's X25519 public key.
    pub seal_key: [u8; 32],
    /// Its program version.
    pub version: String,
    /// SHA-256 of the certificate's DER form.
    pub fingerprint: Hash,
    /// The certificate's serial number, hex.
    pub serial: String,
    /// When the certificate ends.
    pub expires: Timestamp,
}

impl<S: Serialize + DeserializeOwned + Default, R: Serialize + DeserializeOwned> FleetStore<S, R> {
    /// Opens the fleet at `path`, made if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Open`]: the key does not fit, or the file is another program's or a newer version's.
    pub fn open(path: &Path, key: &[u8; 32]) -> Result<Self, StoreError> {
        Ok(Self { connection: open::store(path, key)?, path: path.to_owned(), kept: PhantomData })
    }

    /// Every site, by name.
    ///
    /// # Errors
    /// As all below: the store cannot be read or written.
    pub fn sites(&self) -> Result<Vec<SiteRow<S, R>>, StoreError> {
        self.say(|c| c.prepare_cached(&format!("{SITE} ORDER BY site"))?.query_map([], read_site)?.collect())
    }

    /// One site.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn site(&self, site: &str) -> Result<Option<SiteRow<S, R>>, StoreError> {
        self.say(|c| c.prepare_cached(&format!("{SITE} WHERE site = ?"))?.query_row([site], read_site).optional())
    }

    /// The X25519 public key of a site's replica, once it is enrolled.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn seal_key(&self, site: &str) -> Result<Option<[u8; 32]>, StoreError> {
        let found: Option<Option<[u8; 32]>> =
            self.say(|c| c.prepare_cached("SELECT seal_key FROM sites WHERE site = ?")?.query_row([site], |row| row.get(0)).optional())?;
        Ok(found.flatten())
    }

    /// The site to which the certificate of this fingerprint was given.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn site_of_certificate(&self, fingerprint: &Hash) -> Result<Option<SiteRow<S, R>>, StoreError> {
        let sql = format!("{SITE} WHERE site = (SELECT site FROM certificates WHERE fingerprint = ?)");
        self.say(|c| c.prepare_cached(&sql)?.query_row([fingerprint.0], read_site).optional())
    }

    /// The site that a replica is enrolled for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn site_of_replica(&self, replica: ReplicaId) -> Result<Option<SiteRow<S, R>>, StoreError> {
        self.say(|c| c.prepare_cached(&format!("{SITE} WHERE replica = ?"))?.query_row([replica.0], read_site).optional())
    }

    /// Adds a site unless it is there, and puts this code in place of an unused earlier one.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn put_code(&mut self, site: &str, by: &str, hash: Hash, expires: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            let add = "INSERT INTO sites (site, added_at, added_by) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
            tx.execute(add, params![site, now.0, by])?;
            tx.execute("DELETE FROM codes WHERE site = ? AND used_at IS NULL", [site])?;
            tx.execute("INSERT INTO codes (hash, site, expires_at) VALUES (?, ?, ?)", params![hash.0, site, expires.0])?;
            Ok(())
        })
    }

    /// Lets `decide` judge what is kept about a code and a replica; if it enrols, the code is used, the member kept and the
    /// certificate noted in the same transaction.
    ///
    /// # Errors
    /// Outer: the store; inner: what `decide` refused with. Nothing was written either way.
    pub fn enrol<E>(
        &mut self,
        hash: Hash,
        replica: Option<ReplicaId>,
        now: Timestamp,
        decide: impl FnOnce(Found<S, R>) -> Result<Enrolment, E>,
    ) -> Result<Result<(), E>, StoreError> {
        let path = &self.path;
        let say = |e| explain(path, e);
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(say)?;
        let find = || -> rusqlite::Result<Found<S, R>> {
            let code = tx.query_row("SELECT site, expires_at, used_at FROM codes WHERE hash = ?", [hash.0], read_code).optional()?;
            let site = match &code {
                Some(code) => tx.query_row(&format!("{SITE} WHERE site = ?"), [&code.site], read_site).optional()?,
                None => None,
            };
            let replica = replica.map(|replica| replica.0);
            let replica_of = tx.query_row("SELECT site FROM sites WHERE replica = ?", [replica], |row| row.get(0)).optional()?;
            Ok(Found { code, site, replica_of })
        };
        let new = match decide(find().map_err(say)?) {
            Ok(new) => new,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let keep = || -> rusqlite::Result<()> {
            tx.execute("UPDATE codes SET used_at = ? WHERE hash = ?", params![now.0, hash.0])?;
            let member = "UPDATE sites SET replica = ?, seal_key = ?, version = ?, enrolled_at = ? WHERE site = ?";
            tx.execute(member, params![new.replica.0, new.seal_key, new.version, now.0, new.site])?;
            let certificate = "INSERT INTO certificates (fingerprint, site, serial, issued_at, expires_at) VALUES (?, ?, ?, ?, ?)";
            tx.execute(certificate, params![new.fingerprint.0, new.site, new.serial, now.0, new.expires.0])?;
            Ok(())
        };
        keep().map_err(say)?;
        tx.commit().map_err(say)?;
        Ok(Ok(()))
    }

    /// Keeps what sessions have told of a site.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_status(&mut self, site: &str, status: &S) -> Result<(), StoreError> {
        self.write(|tx| tx.execute("UPDATE sites SET status = ? WHERE site = ?", params![Json(status), site]).map(drop))
    }

    /// Ends a membership, or keeps more about its end. Codes not used yet are forgotten.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_revocation(&mut self, site: &str, revocation: &R) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute("DELETE FROM codes WHERE site = ? AND used_at IS NULL", [site])?;
            tx.execute("UPDATE sites SET revocation = ? WHERE site = ?", params![Json(revocation), site]).map(drop)
        })
    }

    /// Copies the fleet into the new file `to`, while others go on writing.
    ///
    /// # Errors
    /// The file is there already, or cannot be written.
    pub fn backup(&self, key: &[u8; 32], to: &Path) -> Result<(), StoreError> {
        crate::backup::backup(&self.connection, &self.path, key, to)
    }

    /// Makes the fleet at `to` from a backup, each page of which is checked.
    ///
    /// # Errors
    /// There is a fleet already, or the backup is damaged or another key's.
    pub fn restore(from: &Path, key: &[u8; 32], to: &Path) -> Result<(), StoreError> {
        crate::backup::restore(from, key, to)
    }

    fn say<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        read(&self.connection).map_err(|e| explain(&self.path, e))
    }

    fn write(&mut self, change: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), StoreError> {
        let path = &self.path;
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| explain(path, e))?;
        change(&tx).map_err(|e| explain(path, e))?;
        tx.commit().map_err(|e| explain(path, e))
    }
}

impl<S, R> std::fmt::Debug for FleetStore<S, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FleetStore").field(&self.path).finish()
    }
}

const SITE: &str = "SELECT site, replica, version, status, revocation, seal_key FROM sites";

fn read_site<S: DeserializeOwned + Default, R: DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<SiteRow<S, R>> {
    let Json(status): Json<Option<S>> = row.get(3)?;
    let revocation: Option<Json<R>> = row.get(4)?;
    Ok(SiteRow {
        site: row.get(0)?,
        replica: row.get::<_, Option<[u8; 32]>>(1)?.map(ReplicaId),
        seal_key: row.get(5)?,
        version: row.get(2)?,
        status: status.unwrap_or_default(),
        revocation: revocation.map(|Json(revocation)| revocation),
    })
}

fn read_code(row: &Row<'_>) -> rusqlite::Result<CodeRow> {
    Ok(CodeRow { site: row.get(0)?, expires: Timestamp(row.get(1)?), used: row.get::<_, Option<i64>>(2)?.map(Timestamp) })
}

/// A structure kept as JSON.
struct Json<T>(T);

impl<T: Serialize> ToSql for Json<&T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = serde_json::to_string(self.0).map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
        Ok(ToSqlOutput::from(text))
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Self).map_err(FromSqlError::other)
    }
}
