//! How an agent joins: a one-time code for a certificate.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path of [`EnrolRequest`].
pub const ENROL: &str = "/sync/v1/enrol";

/// What an agent offers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// The one-time code.
    pub code: String,
    /// Ed25519 public key the agent signs entries with, hex: its replica id.
    pub replica: String,
    /// X25519 public key to wrap scope keys for, hex.
    pub seal_key: String,
    /// PKCS #10 request for the client certificate, PEM.
    pub csr_pem: String,
    /// The request's own bytes up to here (`code|replica|seal_key`) signed by the replica key, hex: proves possession.
    pub proof: String,
    /// Agent program version.
    pub version: String,
}

/// What the hub answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct EnrolResponse {
    /// The site's name.
    pub site: String,
    /// Client certificate, PEM.
    pub certificate_pem: String,
    /// The hub's certificate authority, PEM.
    pub authority_pem: String,
    /// The hub's replica id, hex.
    pub hub_replica: String,
    /// The hub's X25519 public key, hex.
    pub hub_seal_key: String,
    /// Host and port of the MQTT listener.
    pub mqtt: String,
}

/// Enrols an agent. Public, rate-limited.
#[utoipa::path(post, operation_id = "enrol", path = ENROL, request_body = EnrolRequest, responses((status = 200, body = EnrolResponse)))]
pub fn post() {}

/// Purpose under which the replica key signs [`EnrolRequest::proof`].
pub const PROOF_PURPOSE: &str = "enrol";

/// The bytes an agent signs to prove that the replica key is its own.
#[must_use]
pub fn proof_bytes(code: &str, replica: &str, seal_key: &str) -> Vec<u8> {
    [code, replica, seal_key].join("|").into_bytes()
}
