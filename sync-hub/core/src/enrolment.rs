//! Joining: a code typed by a person, and a signature that proves the agent's key is its own.

use crate::membership::Revocation;
use crate::site::SiteName;
use hub_api::code::{Code, HALF};
use hub_api::enrol::{EnrolRequest, PROOF_PURPOSE, proof_bytes};
use record::id::{Hash, ReplicaId};
use record::ledger::entry::sha256;
use record::ledger::identity::verify;
use record::time::Timestamp;

/// How long a code is good: 24 hours.
pub const CODE_LIFE_US: i64 = 24 * 3600 * 1_000_000;
/// Longest program version kept.
const VERSION_MAX: usize = 64;

/// A code as kept: never the code itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptCode {
    /// The site it opens.
    pub site: SiteName,
    /// [`hash_of`] its secret.
    pub hash: Hash,
    /// Useless from then on.
    pub expires: Timestamp,
    /// When it was used.
    pub used: Option<Timestamp>,
}

/// A site's place in the fleet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its name.
    pub site: SiteName,
    /// The replica enrolled for it.
    pub replica: ReplicaId,
    /// That replica's X25519 public key.
    pub seal_key: [u8; 32],
    /// Its program version at enrolment.
    pub version: String,
}

/// What is known of the names and keys a request concerns.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Register {
    /// The code offered, by its hash.
    pub code: Option<KeptCode>,
    /// Who is enrolled under the code's site name.
    pub holder: Option<ReplicaId>,
    /// Whether and why that site's membership was ended.
    pub revoked: Option<Revocation>,
    /// The site for which the asking replica is enrolled.
    pub replica_of: Option<SiteName>,
}

/// Why nobody was enrolled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The code is mistyped.
    #[error("{0}")]
    Code(hub_api::code::CodeError),
    /// The code was given out by another hub.
    #[error("this code was given out by another hub")]
    OtherHub,
    /// No such code.
    #[error("this code is not known here: check it, or ask for a new one")]
    Unknown,
    /// The code was used.
    #[error("this code was used at {0}: a code is good once; ask for a new one")]
    Used(Timestamp),
    /// The code is too old.
    #[error("this code was good until {0}: ask for a new one")]
    Expired(Timestamp),
    /// A field is not what it must be.
    #[error("{0} must be 64 hex digits")]
    Key(&'static str),
    /// The signature does not prove the key.
    #[error("the proof is not a signature by the replica's key")]
    Proof,
    /// The site's name belongs to another replica.
    #[error("site {0} is enrolled with another box: revoke it and add a site under a new name")]
    Taken(SiteName),
    /// The replica is enrolled under another name.
    #[error("this box is enrolled as {0} already")]
    Elsewhere(SiteName),
    /// The site's membership has ended.
    #[error("{0}")]
    Revoked(String),
}

/// A new code of fresh entropy, and what is kept of it.
#[must_use]
pub fn issue(site: &SiteName, entropy: [u8; HALF], authority_sha256: &Hash, now: Timestamp) -> (Code, KeptCode) {
    let code = Code::new(entropy, &authority_sha256.0);
    let kept = KeptCode { site: site.clone(), hash: hash_of(&code), expires: now.plus_micros(CODE_LIFE_US), used: None };
    (code, kept)
}

/// The hash under which a code is kept.
#[must_use]
pub fn hash_of(code: &Code) -> Hash {
    sha256(&[b"lamplight/enrol-code/1", &code.secret])
}

/// Reads the code of a request and checks that this hub gave it out.
///
/// # Errors
/// [`Refusal::Code`], [`Refusal::OtherHub`].
pub fn code_of(request: &EnrolRequest, authority_sha256: &Hash) -> Result<Code, Refusal> {
    let code: Code = request.code.parse().map_err(Refusal::Code)?;
    if code.pins(&authority_sha256.0) { Ok(code) } else { Err(Refusal::OtherHub) }
}

/// Decides on a request whose code has been looked up. A replica may come again under its own name with a new code: that
/// is how a certificate is renewed.
///
/// # Errors
/// The first reason why not.
pub fn judge(request: &EnrolRequest, register: &Register, now: Timestamp) -> Result<Member, Refusal> {
    let code = register.code.as_ref().ok_or(Refusal::Unknown)?;
    if let Some(at) = code.used {
        return Err(Refusal::Used(at));
    }
    if now >= code.expires {
        return Err(Refusal::Expired(code.expires));
    }
    if let Some(revoked) = &register.revoked {
        return Err(Refusal::Revoked(revoked.sentence(&code.site)));
    }
    let replica: ReplicaId = request.replica.parse().map_err(|_| Refusal::Key("replica"))?;
    let seal_key: Hash = request.seal_key.parse().map_err(|_| Refusal::Key("seal_key"))?;
    let proof = hex::decode(&request.proof).map_err(|_| Refusal::Proof)?;
    if !verify(replica, PROOF_PURPOSE, &proof_bytes(&request.code, &request.replica, &request.seal_key), &proof) {
        return Err(Refusal::Proof);
    }
    if register.holder.is_some_and(|holder| holder != replica) {
        return Err(Refusal::Taken(code.site.clone()));
    }
    if let Some(other) = register.replica_of.as_ref().filter(|other| **other != code.site) {
        return Err(Refusal::Elsewhere(other.clone()));
    }
    let version = request.version.chars().take(VERSION_MAX).collect();
    Ok(Member { site: code.site.clone(), replica, seal_key: seal_key.0, version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::ledger::Identity;

    const AUTHORITY: Hash = Hash([0xab; 32]);
    const NOW: Timestamp = Timestamp(1_795_000_000_000_000);

    fn site() -> SiteName {
        "hillside".parse().unwrap()
    }
    fn asked(code: &Code, seed: u8) -> EnrolRequest {
        let identity = Identity::from_seed(&[seed; 32]).unwrap();
        let (code, replica, seal_key) = (code.to_string(), identity.replica().to_string(), hex::encode(identity.seal_public()));
        let proof = hex::encode(identity.sign(PROOF_PURPOSE, &proof_bytes(&code, &replica, &seal_key)));
        EnrolRequest { code, replica, seal_key, csr_pem: String::new(), proof, version: "1".into() }
    }
    fn offered() -> (Code, Register) {
        let (code, kept) = issue(&site(), [1, 2, 3, 4, 5], &AUTHORITY, NOW);
        (code, Register { code: Some(kept), ..Register::default() })
    }

    #[test]
    fn the_code_and_the_key_together_make_a_member() {
        let (code, register) = offered();
        let member = judge(&asked(&code, 1), &register, NOW).unwrap();
        assert_eq!(member.site, site());
        assert_eq!(member.replica, Identity::from_seed(&[1; 32]).unwrap().replica());
    }

    #[test]
    fn a_code_is_good_until_the_day_is_over_and_not_a_microsecond_longer() {
        let (code, register) = offered();
        let end = NOW.plus_micros(CODE_LIFE_US);
        assert!(judge(&asked(&code, 1), &register, end.plus_micros(-1)).is_ok());
        assert_eq!(judge(&asked(&code, 1), &register, end), Err(Refusal::Expired(end)));
    }

    #[test]
    fn a_used_or_unknown_code_opens_nothing() {
        let (code, mut register) = offered();
        register.code.as_mut().unwrap().used = Some(NOW);
        assert_eq!(judge(&asked(&code, 1), &register, NOW), Err(Refusal::Used(NOW)));
        assert_eq!(judge(&asked(&code, 1), &Register::default(), NOW), Err(Refusal::Unknown));
    }

    #[test]
    fn a_proof_by_another_key_or_over_another_code_is_refused() {
        let (code, register) = offered();
        let mut request = asked(&code, 1);
        request.replica = asked(&code, 2).replica;
        assert_eq!(judge(&request, &register, NOW), Err(Refusal::Proof));
        let other = Code::new([9; HALF], &AUTHORITY.0);
        let mut request = asked(&other, 1);
        request.code = code.to_string();
        assert_eq!(judge(&request, &register, NOW), Err(Refusal::Proof));
    }

    #[test]
    fn a_name_stays_with_its_box_and_a_box_with_its_name() {
        let (code, mut register) = offered();
        let own = Identity::from_seed(&[1; 32]).unwrap().replica();
        register.holder = Some(own);
        assert!(judge(&asked(&code, 1), &register, NOW).is_ok(), "a renewal");
        assert_eq!(judge(&asked(&code, 2), &register, NOW), Err(Refusal::Taken(site())));
        register.holder = None;
        register.replica_of = Some("riverside".parse().unwrap());
        assert!(matches!(judge(&asked(&code, 1), &register, NOW), Err(Refusal::Elsewhere(_))));
    }

    #[test]
    fn a_code_of_another_hub_is_told_apart_from_a_wrong_one() {
        let request = asked(&Code::new([1; HALF], &[7; 32]), 1);
        assert_eq!(code_of(&request, &AUTHORITY), Err(Refusal::OtherHub));
    }
}
