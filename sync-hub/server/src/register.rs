//! Who belongs: `hub-core` decides, `hub-store` keeps, and here they meet. Server and commands use the same functions.

use crate::authority::Authority;
use hub_api::enrol::EnrolRequest;
use hub_api::fleet::SiteCode;
use hub_core::enrolment::{self, KeptCode, Refusal, Register};
use hub_core::fleet::Status;
use hub_core::membership::{self, Revocation, RevokeRefusal};
use hub_core::site::{SiteName, SiteNameError};
use hub_store::{Enrolment, FleetStore, Found};
use protocol::{Store, StoreError};
use record::id::{Hash, ReplicaId};
use record::ledger::Head;
use record::time::Timestamp;

/// The fleet's file with the types of the hub's core in it.
pub type Fleet = FleetStore<Status, Revocation>;
/// A site in it.
pub type SiteRow = hub_store::SiteRow<Status, Revocation>;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The name.
    #[error(transparent)]
    Name(#[from] SiteNameError),
    /// No such site.
    #[error("there is no site {0}")]
    Unknown(String),
    /// The membership has ended.
    #[error("{0}; add a site under a new name")]
    Revoked(String),
    /// The end of a membership was not asked for as it must be.
    #[error(transparent)]
    Revoke(#[from] RevokeRefusal),
    /// Nobody was enrolled.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The certificate request cannot be used.
    #[error("csr_pem: {0}")]
    Request(String),
    /// The file.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Adds a site, or gives an enrolled one a new code.
///
/// # Errors
/// A name that is none, or of a site whose membership has ended.
pub fn add(
    fleet: &mut Fleet,
    authority: &Authority,
    site: &str,
    by: &str,
    entropy: [u8; hub_api::code::HALF],
    now: Timestamp,
) -> Result<SiteCode, RegisterError> {
    let site: SiteName = site.parse()?;
    if let Some(revoked) = fleet.site(site.as_str())?.and_then(|row| row.revocation) {
        return Err(RegisterError::Revoked(revoked.sentence(&site)));
    }
    let (code, kept) = enrolment::issue(&site, entropy, &authority.fingerprint(), now);
    fleet.put_code(site.as_str(), by, kept.hash, kept.expires, now)?;
    Ok(SiteCode { site: site.to_string(), code: code.to_string(), expires_ms: kept.expires.millis() })
}

/// A site that has just been enrolled.
pub struct Enrolled {
    /// Its name.
    pub site: SiteName,
    /// Its certificate, PEM.
    pub certificate_pem: String,
}

/// Enrols whoever shows an unused code and proves its key.
///
/// # Errors
/// Why nobody was enrolled; the code is then as it was.
pub fn enrol(
    fleet: &mut Fleet,
    authority: &Authority,
    request: &EnrolRequest,
    serial: [u8; 16],
    now: Timestamp,
) -> Result<Enrolled, RegisterError> {
    let code = enrolment::code_of(request, &authority.fingerprint())?;
    let hash = enrolment::hash_of(&code);
    let replica: Option<ReplicaId> = request.replica.parse().ok();
    let mut enrolled = None;
    let decide = |found: Found<Status, Revocation>| -> Result<Enrolment, RegisterError> {
        let member = enrolment::judge(request, &register(found, hash)?, now)?;
        let issued =
            authority.sign(&request.csr_pem, &member, serial, now).map_err(|error| RegisterError::Request(format!("{error:#}")))?;
        enrolled = Some(Enrolled { site: member.site.clone(), certificate_pem: issued.pem });
        Ok(Enrolment {
            site: member.site.to_string(),
            replica: member.replica,
            seal_key: member.seal_key,
            version: member.version,
            fingerprint: issued.fingerprint,
            serial: issued.serial,
            expires: issued.expires,
        })
    };
    fleet.enrol(hash, replica, now, decide)??;
    enrolled.ok_or_else(|| StoreError::Other("enrolled, but nobody".to_owned()).into())
}

fn register(found: Found<Status, Revocation>, hash: Hash) -> Result<Register, RegisterError> {
    let code = match found.code {
        None => None,
        Some(row) => Some(KeptCode { site: row.site.parse()?, hash, expires: row.expires, used: row.used }),
    };
    let (holder, revoked) = found.site.map_or((None, None), |row| (row.replica, row.revocation));
    let replica_of = found.replica_of.map(|name| name.parse()).transpose()?;
    Ok(Register { code, holder, revoked, replica_of })
}

/// Ends a membership. `heads` are the last accepted entries; they are asked for once the end is durable, so that whatever is
/// accepted meanwhile is among them.
///
/// # Errors
/// Not confirmed, no reason, or no such site.
pub fn revoke(
    fleet: &mut Fleet,
    site: &str,
    confirm: &str,
    reason: &str,
    by: &str,
    now: Timestamp,
    heads: impl FnOnce(ReplicaId) -> Result<Vec<Head>, StoreError>,
) -> Result<(), RegisterError> {
    let name: SiteName = site.parse()?;
    let row = fleet.site(site)?.ok_or_else(|| RegisterError::Unknown(site.to_owned()))?;
    membership::check(&name, confirm, reason)?;
    if row.revocation.is_some() {
        return Ok(());
    }
    let mut revocation = Revocation { at: now, by: by.to_owned(), reason: reason.trim().to_owned(), heads: Vec::new() };
    fleet.put_revocation(site, &revocation)?;
    if let Some(replica) = row.replica {
        revocation.heads = heads(replica)?;
        fleet.put_revocation(site, &revocation)?;
    }
    Ok(())
}

/// The heads of the chains a replica has written, as a store has them.
///
/// # Errors
/// The store cannot be read.
pub fn heads_of(store: &mut dyn Store, replica: ReplicaId) -> Result<Vec<Head>, StoreError> {
    let chains = store.begin()?.chains()?;
    Ok(chains.into_iter().map(|chain| chain.head).filter(|head| head.chain.author == replica).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hub_api::enrol::{PROOF_PURPOSE, proof_bytes};
    use hub_core::enrolment::CODE_LIFE_US;
    use record::ledger::Identity;

    const NOW: Timestamp = Timestamp(1_795_000_000_000_000);

    struct Place {
        _data: tempfile::TempDir,
        fleet: Fleet,
        authority: Authority,
    }

    fn place() -> Place {
        let data = tempfile::tempdir().expect("directory");
        std::fs::create_dir(data.path().join("keys")).expect("keys");
        let authority = Authority::open_or_create(data.path(), NOW).expect("authority");
        let fleet = Fleet::open(&data.path().join("fleet.db"), &[7; 32]).expect("fleet");
        Place { _data: data, fleet, authority }
    }

    fn asked(code: &str, seed: u8) -> EnrolRequest {
        let identity = Identity::from_seed(&[seed; 32]).expect("identity");
        let (replica, seal_key) = (identity.replica().to_string(), hex::encode(identity.seal_public()));
        let proof = hex::encode(identity.sign(PROOF_PURPOSE, &proof_bytes(code, &replica, &seal_key)));
        let key = rcgen::KeyPair::generate().expect("key");
        let csr_pem = rcgen::CertificateParams::default().serialize_request(&key).expect("request").pem().expect("pem");
        EnrolRequest { code: code.to_owned(), replica, seal_key, csr_pem, proof, version: "0.1.0".to_owned() }
    }

    #[test]
    fn a_code_that_is_a_day_old_opens_nothing_and_stays_unused() {
        let mut place = place();
        let code = add(&mut place.fleet, &place.authority, "hillside", "op", [1; 5], NOW).expect("code").code;
        let late = NOW.plus_micros(CODE_LIFE_US);
        let refused = enrol(&mut place.fleet, &place.authority, &asked(&code, 1), [2; 16], late).err();
        assert!(matches!(refused, Some(RegisterError::Refused(Refusal::Expired(_)))), "{refused:?}");
        let in_time = late.plus_micros(-1);
        assert_eq!(
            enrol(&mut place.fleet, &place.authority, &asked(&code, 1), [2; 16], in_time).expect("enrolled").site.as_str(),
            "hillside"
        );
    }

    #[test]
    fn a_request_without_a_usable_certificate_request_leaves_the_code_good() {
        let mut place = place();
        let code = add(&mut place.fleet, &place.authority, "hillside", "op", [1; 5], NOW).expect("code").code;
        let spoilt = EnrolRequest { csr_pem: "no request".to_owned(), ..asked(&code, 1) };
        let refused = enrol(&mut place.fleet, &place.authority, &spoilt, [2; 16], NOW).err();
        assert!(matches!(refused, Some(RegisterError::Request(_))), "{refused:?}");
        assert!(enrol(&mut place.fleet, &place.authority, &asked(&code, 1), [2; 16], NOW).is_ok());
    }

    #[test]
    fn a_revoked_site_gets_no_new_code_and_its_last_entries_are_noted() {
        let mut place = place();
        let code = add(&mut place.fleet, &place.authority, "hillside", "op", [1; 5], NOW).expect("code").code;
        enrol(&mut place.fleet, &place.authority, &asked(&code, 1), [2; 16], NOW).expect("enrolled");
        let head = |replica| {
            let run = record::id::RunId([1; 8]);
            Head::empty(record::ledger::ChainId { scope: record::id::ScopeId([1; 16]), author: replica, run })
        };
        let end =
            |fleet: &mut Fleet, confirm: &str| revoke(fleet, "hillside", confirm, "stolen", "op", NOW, |replica| Ok(vec![head(replica)]));
        assert!(matches!(end(&mut place.fleet, "hill"), Err(RegisterError::Revoke(_))));
        end(&mut place.fleet, "hillside").expect("revoked");
        let kept = place.fleet.site("hillside").expect("read").and_then(|row| row.revocation).expect("revocation");
        assert_eq!((kept.reason.as_str(), kept.heads.len()), ("stolen", 1));
        let again = add(&mut place.fleet, &place.authority, "hillside", "op", [2; 5], NOW);
        assert!(matches!(again, Err(RegisterError::Revoked(_))));
    }
}
