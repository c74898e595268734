//! Who a certificate of the hub's authority belongs to: on a LAN without names the certificate itself says it.

use record::id::ReplicaId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::OnceLock;
use x509_parser::extensions::GeneralName;

/// A member of the hub's fleet, as its certificate names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The name it is enrolled under.
    pub site: String,
    /// Its replica.
    pub replica: ReplicaId,
    /// Its X25519 public key, proven to the hub at enrolment.
    pub seal_public: [u8; 32],
}

impl Member {
    /// Reads a certificate that has been checked against the authority.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let site = certificate.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        let names = &certificate.subject_alternative_name().ok()??.value.general_names;
        let said = |what: &str| {
            names.iter().find_map(|name| match name {
                GeneralName::URI(uri) => uri.strip_prefix(what),
                _ => None,
            })
        };
        let mut seal_public = [0; 32];
        hex::decode_to_slice(said("lamplight:seal:")?, &mut seal_public).ok()?;
        Some(Self { site, replica: said("lamplight:replica:")?.parse().ok()?, seal_public })
    }
}

/// Accepts a box whose certificate is of the authority and names a site that is shared with. The first one stays the only one:
/// at this address nobody else is spoken to until the client is made anew.
#[derive(Debug)]
pub struct Neighbourly {
    roots: RootCertStore,
    share_with: Vec<String>,
    algorithms: WebPkiSupportedAlgorithms,
    seen: OnceLock<Member>,
}

impl Neighbourly {
    /// For the authority's certificates and the sites named.
    #[must_use]
    pub fn new(roots: RootCertStore, share_with: Vec<String>) -> Self {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        Self { roots, share_with, algorithms, seen: OnceLock::new() }
    }

    /// Who answered, once somebody has.
    #[must_use]
    pub fn seen(&self) -> Option<&Member> {
        self.seen.get()
    }
}

impl ServerCertVerifier for Neighbourly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, self.algorithms.all)?;
        let stranger = || Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        let member = Member::of(end_entity).filter(|member| self.share_with.contains(&member.site)).ok_or_else(stranger)?;
        if *self.seen.get_or_init(|| member.clone()) == member { Ok(ServerCertVerified::assertion()) } else { Err(stranger()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
        SanType,
    };

    const NOW: UnixTime = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_795_000_000));

    fn authority() -> (Issuer<'static, KeyPair>, RootCertStore) {
        let key = KeyPair::generate().expect("key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).expect("signed").der().clone();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("root");
        (Issuer::from_ca_cert_der(&certificate, key).expect("issuer"), roots)
    }

    fn issued(issuer: &Issuer<'static, KeyPair>, site: &str, replica: u8) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, site);
        params.distinguished_name = name;
        for uri in [format!("lamplight:replica:{}", ReplicaId([replica; 32])), format!("lamplight:seal:{}", "07".repeat(32))] {
            params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().expect("uri")));
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.signed_by(&KeyPair::generate().expect("key"), issuer).expect("signed").der().clone()
    }

    fn checked(verifier: &Neighbourly, certificate: &CertificateDer<'_>) -> bool {
        let name = ServerName::try_from("192.168.1.20").expect("name");
        verifier.verify_server_cert(certificate, &[], &name, &[], NOW).is_ok()
    }

    #[test]
    fn a_box_is_known_by_its_certificate_and_only_one_that_is_shared_with_is_spoken_to() {
        let ((ours, roots), (others, _)) = (authority(), authority());
        let verifier = Neighbourly::new(roots, vec!["riverside".to_owned()]);
        assert!(!checked(&verifier, &issued(&others, "riverside", 1)), "of another authority");
        assert!(!checked(&verifier, &issued(&ours, "hillside", 1)), "not shared with");
        assert_eq!(verifier.seen(), None);
        assert!(checked(&verifier, &issued(&ours, "riverside", 1)));
        let seen = verifier.seen().expect("seen");
        assert_eq!((seen.replica, seen.seal_public), (ReplicaId([1; 32]), [7; 32]));
        assert!(!checked(&verifier, &issued(&ours, "riverside", 2)), "another box at the same address");
    }
}
