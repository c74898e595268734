//! The hub's certificate authority: P-256, in `keys/authority.{key,crt}`, readable by this user alone.
//!
//! It signs three kinds: its own certificate (20 years, renewed under the same key in its last), the server's (made anew at
//! each start, its key only in memory) and those of sites. A site's certificate is good for ten years: what ends a membership
//! is the fleet's list, looked at with each request, not a date that a clinic without a network would miss.

use anyhow::{Context, anyhow, bail};
use hub_core::enrolment::Member;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use record::id::Hash;
use record::ledger::entry::sha256;
use record::time::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs::File;
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const KEY: &str = "keys/authority.key";
const CERTIFICATE: &str = "keys/authority.crt";
/// Longest certificate request read, bytes.
const CSR_MAX: usize = 16 * 1024;

const DAY_US: i64 = 86_400 * 1_000_000;
const YEAR_US: i64 = 365 * DAY_US;
const AUTHORITY_YEARS: i64 = 20;
const SERVER_YEARS: i64 = 5;
const SITE_YEARS: i64 = 10;

/// The authority, opened.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

/// A certificate given to a site.
#[derive(Debug)]
pub struct Issued {
    /// As sent.
    pub pem: String,
    /// SHA-256 of its DER form: how it is known again.
    pub fingerprint: Hash,
    /// Serial number, hex.
    pub serial: String,
    /// When it ends.
    pub expires: Timestamp,
}

impl Authority {
    /// Whether there is one in this data directory.
    #[must_use]
    pub fn exists(data: &Path) -> bool {
        data.join(KEY).exists() && data.join(CERTIFICATE).exists()
    }

    /// Opens the authority, made if it is not there and renewed if it ends within a year. Only for who holds the lock of the
    /// data directory.
    ///
    /// # Errors
    /// Files that cannot be read, written or used.
    pub fn open_or_create(data: &Path, now: Timestamp) -> anyhow::Result<Self> {
        let key_file = data.join(KEY);
        let key = match std::fs::read_to_string(&key_file) {
            Ok(pem) => KeyPair::from_pem(&pem).map_err(|_| anyhow!("{} is no private key", key_file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let key = KeyPair::generate()?;
                write_private(&key_file, key.serialize_pem().as_bytes())?;
                key
            }
            Err(error) => return Err(error).with_context(|| key_file.display().to_string()),
        };
        let renew = match std::fs::read_to_string(data.join(CERTIFICATE)) {
            Ok(pem) => ends(&pem)?.micros_since(now) < YEAR_US,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => return Err(error).context(CERTIFICATE),
        };
        if renew {
            // The same key and name: what was signed before stays good, and agents need not hear of it.
            write_private(&data.join(CERTIFICATE), own(now)?.self_signed(&key)?.pem().as_bytes())?;
        }
        Self::open(data)
    }

    /// Opens the authority of a hub that has run.
    ///
    /// # Errors
    /// Files that cannot be read or used.
    pub fn open(data: &Path) -> anyhow::Result<Self> {
        let read = |name: &str| std::fs::read_to_string(data.join(name)).with_context(|| data.join(name).display().to_string());
        let (pem, key) = (read(CERTIFICATE)?, read(KEY)?);
        let key = KeyPair::from_pem(&key).map_err(|_| anyhow!("{} is no private key", data.join(KEY).display()))?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).with_context(|| data.join(CERTIFICATE).display().to_string())?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).with_context(|| data.join(CERTIFICATE).display().to_string())?;
        Ok(Self { issuer, certificate, pem })
    }

    /// SHA-256 of the authority's certificate: what codes pin.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        fingerprint(&self.certificate)
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// What client certificates are checked against.
    ///
    /// # Errors
    /// Never for a certificate made here.
    pub fn roots(&self) -> anyhow::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        Ok(roots)
    }

    /// A fresh certificate and key for this hub's listeners. The chain holds the authority, so that an agent can compare it
    /// with the code.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn server(&self, names: &[String], now: Timestamp) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let key = KeyPair::generate()?;
        let all = ["localhost", "127.0.0.1", "::1"].into_iter().map(str::to_owned).chain(names.iter().cloned());
        let mut params = CertificateParams::default();
        for name in all {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(ip) => SanType::IpAddress(ip),
                Err(_) => SanType::DnsName(name.as_str().try_into().with_context(|| format!("names: {name:?}"))?),
            });
        }
        params.distinguished_name = common_name("Lamplight hub");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        valid(&mut params, now, SERVER_YEARS)?;
        let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
        Ok((vec![certificate, self.certificate.clone()], PrivateKeyDer::Pkcs8(key.serialize_der().into())))
    }

    /// Signs a site's request. Of the request only the key is used: the name is ours to say. The certificate also names the
    /// replica and its proven X25519 key, so that boxes of one clinic can know each other with no hub in reach; it has no
    /// host name, so that no site can pass for the hub.
    ///
    /// # Errors
    /// The request is too long, cannot be read, or is not signed by its key.
    pub fn sign(&self, csr_pem: &str, member: &Member, serial: [u8; 16], now: Timestamp) -> anyhow::Result<Issued> {
        if csr_pem.len() > CSR_MAX {
            bail!("a certificate request has at most {CSR_MAX} bytes");
        }
        let mut request = CertificateSigningRequestParams::from_pem(csr_pem)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(member.site.as_str());
        let names = [format!("lamplight:replica:{}", member.replica), format!("lamplight:seal:{}", hex::encode(member.seal_key))];
        for name in names {
            params.subject_alt_names.push(SanType::URI(name.as_str().try_into()?));
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        // Positive and never empty, as X.509 has it.
        let serial: Vec<u8> = std::iter::once(0x40).chain(serial).collect();
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        valid(&mut params, now, SITE_YEARS)?;
        request.params = params;
        let certificate = request.signed_by(&self.issuer)?;
        Ok(Issued {
            pem: certificate.pem(),
            fingerprint: fingerprint(certificate.der()),
            serial: hex::encode(serial),
            expires: now.plus_micros(SITE_YEARS * YEAR_US),
        })
    }
}

/// How a certificate is known again.
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Hash {
    sha256(&[certificate])
}

fn own(now: Timestamp) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("Lamplight hub authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    valid(&mut params, now, AUTHORITY_YEARS)?;
    Ok(params)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// From a day ago (clinics' clocks are off) for so many years.
fn valid(params: &mut CertificateParams, now: Timestamp, years: i64) -> anyhow::Result<()> {
    let date = |at: Timestamp| {
        let text = at.rfc3339();
        let number = |range| text.get(range).and_then(|digits: &str| digits.parse::<u16>().ok());
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        Some(date_time_ymd(i32::from(year), u8::try_from(month).ok()?, u8::try_from(day).ok()?))
    };
    params.not_before = date(now.plus_micros(-DAY_US)).context("the clock is out of range")?;
    params.not_after = date(now.plus_micros(years * YEAR_US)).context("the clock is out of range")?;
    Ok(())
}

/// When the certificate in `pem` ends.
fn ends(pem: &str) -> anyhow::Result<Timestamp> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).context(CERTIFICATE)?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).context(CERTIFICATE)?;
    Ok(Timestamp(certificate.validity().not_after.timestamp().saturating_mul(1_000_000)))
}

/// Writes a file that appears complete or not at all, for this user alone, and is on disk when this returns.
fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part = path.with_extension("part");
    let write = || -> std::io::Result<()> {
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_795_000_000_000_000);

    fn opened(data: &Path, now: Timestamp) -> Authority {
        std::fs::create_dir_all(data.join("keys")).expect("keys");
        Authority::open_or_create(data, now).expect("authority")
    }

    #[test]
    fn the_authority_stays_the_same_until_its_last_year_and_its_key_for_ever() {
        let data = tempfile::tempdir().expect("directory");
        let first = opened(data.path(), NOW);
        let key = || std::fs::read(data.path().join(KEY)).expect("key");
        let first_key = key();
        let later = opened(data.path(), NOW.plus_micros(18 * YEAR_US));
        assert_eq!(first.fingerprint(), later.fingerprint());
        let last = opened(data.path(), NOW.plus_micros(19 * YEAR_US + 2 * DAY_US));
        assert_ne!(first.fingerprint(), last.fingerprint());
        assert_eq!(first_key, key());
    }

    #[test]
    fn the_key_is_for_its_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::tempdir().expect("directory");
        opened(data.path(), NOW);
        for name in [KEY, CERTIFICATE] {
            assert_eq!(std::fs::metadata(data.path().join(name)).expect("file").permissions().mode() & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_sites_certificate_bears_the_name_we_give_and_not_the_one_it_asks_for() {
        let data = tempfile::tempdir().expect("directory");
        let authority = opened(data.path(), NOW);
        let mut asked = CertificateParams::new(vec!["riverside".to_owned()]).expect("params");
        asked.distinguished_name = common_name("riverside");
        let csr = asked.serialize_request(&KeyPair::generate().expect("key")).expect("request").pem().expect("pem");
        let member = Member {
            site: "hillside".parse().expect("name"),
            replica: record::id::ReplicaId([0xab; 32]),
            seal_key: [0xcd; 32],
            version: "0.1.0".to_owned(),
        };
        let issued = authority.sign(&csr, &member, [9; 16], NOW).expect("signed");
        let der = CertificateDer::from_pem_slice(issued.pem.as_bytes()).expect("pem");
        assert_eq!(fingerprint(&der), issued.fingerprint);
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).expect("certificate");
        assert_eq!(certificate.subject().to_string(), "CN=hillside");
        let names = format!("{:?}", certificate.subject_alternative_name().expect("extension").expect("names").value);
        assert!(
            names.contains("lamplight:replica:abab") && names.contains("lamplight:seal:cdcd") && !names.contains("riverside"),
            "{names}"
        );
        assert!(authority.sign("no request", &member, [9; 16], NOW).is_err());
    }
}
