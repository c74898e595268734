//! Sites, codes, certificates.

mod sqlite;

use crate::postgres::Postgres;
use protocol::store::StoreError;
use record::id::{Hash, ReplicaId};
use record::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlite::SqliteRegister;
use std::marker::PhantomData;
use std::path::Path;

/// A fleet, in its file or beside the record in PostgreSQL. `S` is a site's status, `R` the end of a membership; both are kept as
/// JSON.
pub struct FleetStore<S, R> {
    kept: Kept,
    types: PhantomData<fn() -> (S, R)>,
}

enum Kept {
    Sqlite(SqliteRegister),
    Postgres(crate::postgres::PostgresRegister),
}

/// What keeps a fleet must do. Structures are JSON here.
pub(crate) trait Register {
    /// The sites asked for, by name.
    fn sites(&self, which: Which<'_>) -> Result<Vec<RawSite>, StoreError>;
    /// Adds a site unless it is there, and puts this code in place of an unused earlier one.
    fn put_code(&mut self, site: &str, by: &str, hash: Hash, expires: Timestamp, now: Timestamp) -> Result<(), StoreError>;
    /// Finds, lets `decide` judge, and keeps what it gives, in one transaction that no other change can come between.
    fn enrol(
        &mut self,
        hash: Hash,
        replica: Option<ReplicaId>,
        now: Timestamp,
        decide: &mut dyn FnMut(RawFound) -> Result<Option<Enrolment>, StoreError>,
    ) -> Result<(), StoreError>;
    fn put_status(&mut self, site: &str, status: &str) -> Result<(), StoreError>;
    /// Codes not used yet are forgotten.
    fn put_revocation(&mut self, site: &str, revocation: &str) -> Result<(), StoreError>;
}

/// Which sites.
#[derive(Clone, Copy)]
pub(crate) enum Which<'a> {
    All,
    Named(&'a str),
    OfCertificate(&'a Hash),
    OfReplica(ReplicaId),
}

pub(crate) type RawSite = SiteRow<Option<String>, String>;
pub(crate) type RawFound = Found<Option<String>, String>;

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
        Ok(Self { kept: Kept::Sqlite(SqliteRegister::open(path, key)?), types: PhantomData })
    }

    /// Opens the fleet beside the record in PostgreSQL, made if it is not there. Any number may, hub and commands alike.
    ///
    /// # Errors
    /// As for [`Postgres::accounts`].
    pub fn beside(record: &Postgres) -> Result<Self, StoreError> {
        Ok(Self { kept: Kept::Postgres(record.register()?), types: PhantomData })
    }

    /// Every site, by name.
    ///
    /// # Errors
    /// As all below: the store cannot be read or written.
    pub fn sites(&self) -> Result<Vec<SiteRow<S, R>>, StoreError> {
        self.kept().sites(Which::All)?.into_iter().map(read).collect()
    }

    /// One site.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn site(&self, site: &str) -> Result<Option<SiteRow<S, R>>, StoreError> {
        self.one(Which::Named(site))
    }

    /// The X25519 public key of a site's replica, once it is enrolled.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn seal_key(&self, site: &str) -> Result<Option<[u8; 32]>, StoreError> {
        Ok(self.site(site)?.and_then(|row| row.seal_key))
    }

    /// The site to which the certificate of this fingerprint was given.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn site_of_certificate(&self, fingerprint: &Hash) -> Result<Option<SiteRow<S, R>>, StoreError> {
        self.one(Which::OfCertificate(fingerprint))
    }

    /// The site that a replica is enrolled for.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn site_of_replica(&self, replica: ReplicaId) -> Result<Option<SiteRow<S, R>>, StoreError> {
        self.one(Which::OfReplica(replica))
    }

    /// Adds a site unless it is there, and puts this code in place of an unused earlier one.
    ///
    /// # Errors
    /// Nothing was written.
    pub fn put_code(&mut self, site: &str, by: &str, hash: Hash, expires: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.kept_mut().put_code(site, by, hash, expires, now)
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
        let (mut decide, mut refusal) = (Some(decide), None);
        let mut judge = |found: RawFound| {
            let Found { code, site, replica_of } = found;
            let found = Found { code, site: site.map(read).transpose()?, replica_of };
            Ok(match decide.take().map(|decide| decide(found)) {
                Some(Ok(new)) => Some(new),
                Some(Err(refused)) => {
                    refusal = Some(refused);
                    None
                }
                None => None,
            })
        };
        self.kept_mut().enrol(hash, replica, now, &mut judge)?;
        Ok(refusal.map_or(Ok(()), Err))
    }

    /// Keeps what sessions have told of a site.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_status(&mut self, site: &str, status: &S) -> Result<(), StoreError> {
        self.kept_mut().put_status(site, &written(status)?)
    }

    /// Ends a membership, or keeps more about its end. Codes not used yet are forgotten.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_revocation(&mut self, site: &str, revocation: &R) -> Result<(), StoreError> {
        self.kept_mut().put_revocation(site, &written(revocation)?)
    }

    /// Copies the fleet of a file into the new file `to`, while others go on writing.
    ///
    /// # Errors
    /// The file is there already, or cannot be written; the fleet lies in PostgreSQL.
    pub fn backup(&self, key: &[u8; 32], to: &Path) -> Result<(), StoreError> {
        match &self.kept {
            Kept::Sqlite(register) => register.backup(key, to),
            Kept::Postgres(_) => Err(StoreError::Other("this fleet lies in PostgreSQL and is saved with it".to_owned())),
        }
    }

    /// Makes the fleet at `to` from a backup, each page of which is checked.
    ///
    /// # Errors
    /// There is a fleet already, or the backup is damaged or another key's.
    pub fn restore(from: &Path, key: &[u8; 32], to: &Path) -> Result<(), StoreError> {
        crate::backup::restore(from, key, to)
    }

    fn one(&self, which: Which<'_>) -> Result<Option<SiteRow<S, R>>, StoreError> {
        self.kept().sites(which)?.into_iter().next().map(read).transpose()
    }

    fn kept(&self) -> &dyn Register {
        match &self.kept {
            Kept::Sqlite(register) => register,
            Kept::Postgres(register) => register,
        }
    }

    fn kept_mut(&mut self) -> &mut dyn Register {
        match &mut self.kept {
            Kept::Sqlite(register) => register,
            Kept::Postgres(register) => register,
        }
    }
}

fn read<S: DeserializeOwned + Default, R: DeserializeOwned>(raw: RawSite) -> Result<SiteRow<S, R>, StoreError> {
    let SiteRow { site, replica, seal_key, version, status, revocation } = raw;
    let damaged = |e: serde_json::Error| StoreError::Damaged { what: format!("site {site}"), why: e.to_string() };
    let status: Option<S> = status.map(|text| serde_json::from_str::<Option<S>>(&text)).transpose().map_err(damaged)?.flatten();
    let revocation = revocation.map(|text| serde_json::from_str(&text)).transpose().map_err(damaged)?;
    Ok(SiteRow { status: status.unwrap_or_default(), revocation, replica, seal_key, version, site })
}

fn written(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Other(e.to_string()))
}

impl<S, R> std::fmt::Debug for FleetStore<S, R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_tuple("FleetStore");
        match &self.kept {
            Kept::Sqlite(register) => out.field(register),
            Kept::Postgres(register) => out.field(register),
        };
        out.finish()
    }
}
