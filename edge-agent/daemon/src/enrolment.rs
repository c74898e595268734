//! Joining a hub: a one-time code for a certificate, kept in the data directory as `hub.json` and `keys/hub.key`.
//!
//! The code pins the hub's certificate authority, so that the first contact cannot be with an impostor. A running agent
//! sees the new file within [`crate::hub_link`]'s next round and grants the hub its scopes.

use crate::clock;
use anyhow::{Context, bail};
use edge_store::DataDir;
use hub_api::code::Code;
use hub_api::enrol::{ENROL, EnrolRequest, EnrolResponse, PROOF_PURPOSE, proof_bytes};
use protocol::{Peer, PeerRole};
use record::id::ReplicaId;
use record::ledger::Identity;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const FILE: &str = "hub.json";
const KEY: &str = "keys/hub.key";

/// What an agent knows of its hub.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// `https://host:port`.
    pub url: String,
    /// The name the hub has for this site.
    pub site: String,
    /// Our certificate, PEM.
    pub certificate_pem: String,
    /// The hub's authority, PEM.
    pub authority_pem: String,
    /// The hub's replica id.
    pub hub: ReplicaId,
    /// The hub's X25519 public key, hex.
    pub hub_seal_key: String,
    /// Host and port of its MQTT listener.
    pub mqtt: String,
}

impl Enrolment {
    /// What is in the data directory, if the agent is enrolled.
    ///
    /// # Errors
    /// A file that is there but cannot be used.
    pub fn load(data: &Path) -> anyhow::Result<Option<Self>> {
        let path = data.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => {
                Ok(Some(serde_json::from_slice(&bytes).with_context(|| format!("{} cannot be used: enrol again", path.display()))?))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| path.display().to_string()),
        }
    }

    /// The hub as a peer that is granted our scopes.
    ///
    /// # Errors
    /// A key that is none.
    pub fn peer(&self) -> anyhow::Result<Peer> {
        let mut seal_public = [0; 32];
        hex::decode_to_slice(&self.hub_seal_key, &mut seal_public).context("hub.json: hub_seal_key")?;
        Ok(Peer { replica: self.hub, seal_public, role: PeerRole::Hub })
    }

    /// TLS towards the hub: its authority and nothing else is trusted, our certificate is shown.
    ///
    /// # Errors
    /// Certificates or keys that cannot be used.
    pub fn tls(&self, data: &Path) -> anyhow::Result<ClientConfig> {
        let (chain, key) = self.certificate(data)?;
        Ok(ClientConfig::builder().with_root_certificates(self.roots()?).with_client_auth_cert(chain, key)?)
    }

    /// The hub's authority: what the hub's and every other site's certificate is checked against.
    ///
    /// # Errors
    /// A certificate that cannot be used.
    pub fn roots(&self) -> anyhow::Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.authority_pem.as_bytes()) {
            roots.add(certificate.context("hub.json: authority_pem")?).context("hub.json: authority_pem")?;
        }
        Ok(roots)
    }

    /// Our certificate and its key.
    ///
    /// # Errors
    /// Files that cannot be used.
    pub fn certificate(&self, data: &Path) -> anyhow::Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let chain = CertificateDer::pem_slice_iter(self.certificate_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .context("hub.json: certificate_pem")?;
        let path = data.join(KEY);
        Ok((chain, PrivateKeyDer::from_pem_file(&path).with_context(|| path.display().to_string())?))
    }
}

/// Enrols this data directory at a hub.
///
/// # Errors
/// The code, the hub, or what it answers; each says what to do.
pub async fn enrol(data: &Path, hub: &str, code: &str) -> anyhow::Result<Enrolment> {
    let code: Code = code.trim().parse()?;
    let directory = DataDir::open(data)?;
    let identity = Identity::from_seed(directory.identity_seed())?;
    let url = https(hub)?;
    let key = rcgen::KeyPair::generate()?;
    let csr_pem = rcgen::CertificateParams::default().serialize_request(&key)?.pem()?;
    let (replica, seal_key) = (identity.replica().to_string(), hex::encode(identity.seal_public()));
    let shown = code.to_string();
    let proof = hex::encode(identity.sign(PROOF_PURPOSE, &proof_bytes(&shown, &replica, &seal_key)));
    let request = EnrolRequest { code: shown, replica, seal_key, csr_pem, proof, version: crate::VERSION.to_owned() };
    let tls = ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::new(Pinned { code })).with_no_client_auth();
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls).timeout(Duration::from_secs(20)).build()?;
    let answer = client
        .post(format!("{url}{ENROL}"))
        .json(&request)
        .send()
        .await
        .with_context(|| format!("{url} cannot be reached, or is not the hub that gave out this code"))?;
    let status = answer.status();
    let body = answer.bytes().await?;
    if !status.is_success() {
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        bail!("the hub refused ({status}): {}", problem["detail"].as_str().unwrap_or("no reason given"));
    }
    let answer: EnrolResponse = serde_json::from_slice(&body).context("the hub's answer")?;
    let enrolment = Enrolment {
        url,
        site: answer.site,
        certificate_pem: answer.certificate_pem,
        authority_pem: answer.authority_pem,
        hub: answer.hub_replica.parse().context("the hub's answer: hub_replica")?,
        hub_seal_key: answer.hub_seal_key,
        mqtt: answer.mqtt,
    };
    enrolment.peer()?;
    write_private(&data.join(KEY), key.serialize_pem().as_bytes())?;
    enrolment.tls(data)?;
    write_private(&data.join(FILE), &serde_json::to_vec_pretty(&enrolment)?)?;
    Ok(enrolment)
}

/// The hub's port speaks TLS whatever scheme a person types.
fn https(hub: &str) -> anyhow::Result<String> {
    let rest = hub.trim_end_matches('/');
    let rest = rest.strip_prefix("https://").or_else(|| rest.strip_prefix("http://")).unwrap_or(rest);
    if rest.is_empty() || rest.contains(['/', '@', '?', '#']) {
        bail!("--hub: expected an address such as https://hub.example.org:7400, got {hub:?}");
    }
    Ok(format!("https://{rest}"))
}

fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let part: PathBuf = path.with_extension("part");
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, path)
    };
    write().with_context(|| path.display().to_string())
}

/// Accepts a server whose chain ends in the authority that the code pins, and checks it against that authority.
#[derive(Debug)]
struct Pinned {
    code: Code,
}

impl Pinned {
    fn against(&self, chain: &[CertificateDer<'_>]) -> Result<Arc<WebPkiServerVerifier>, rustls::Error> {
        let unknown = || rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let pinned = |certificate: &&CertificateDer<'_>| {
            let mut hash = [0; 32];
            hash.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, certificate).as_ref());
            self.code.pins(&hash)
        };
        let authority = chain.iter().find(pinned).ok_or_else(unknown)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        WebPkiServerVerifier::builder(Arc::new(roots)).build().map_err(|_| unknown())
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.against(intermediates)?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A fresh random id such as a client id.
#[must_use]
pub fn random_hex() -> String {
    let mut bytes = [0; 8];
    clock::dice(&mut bytes);
    hex::encode(bytes)
}
