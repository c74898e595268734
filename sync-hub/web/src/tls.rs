//! TLS for the listener: rustls with ring, HTTP/2 and HTTP/1.1, client certificates where a client has one.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Certificate and key do not fit, or cannot be used.
    #[error("the server's certificate or key cannot be used")]
    Certificate(#[from] rustls::Error),
    /// The roots for client certificates cannot be used.
    #[error("the roots for client certificates cannot be used")]
    ClientRoots(#[from] VerifierBuilderError),
}

/// A server that shows `chain`, and asks for a client certificate under `client_roots` when given. A client without one
/// is let in as a stranger; one with a certificate of another root is turned away in the handshake.
///
/// # Errors
/// The material cannot be used.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    client_roots: Option<RootCertStore>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match client_roots {
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated().build()?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
