//! Handing a patient's record over to another site, and erasing it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Path that hands a patient over.
pub const TRANSFER: &str = "/api/v1/patients/{id}/transfer";
/// Path of the list of [`TransferView`].
pub const TRANSFERS: &str = "/api/v1/transfers";
/// Path that orders an erasure.
pub const ERASE: &str = "/api/v1/patients/{id}/erase";
/// Path of the list of [`ErasureView`].
pub const ERASURES: &str = "/api/v1/erasures";
/// Longest reason, characters.
pub const REASON_MAX: usize = 512;

/// Hands a patient over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// The site that is to have the record, with all its history.
    pub to: String,
    /// Whether the sites that have it keep it. Else each leaves once all it wrote is held here and the patient lies in none of
    /// its beds, and signs what it purged.
    #[serde(default)]
    pub keep: bool,
    /// Why; kept in the record.
    pub reason: String,
}

/// A record opened to a site by this hub.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct TransferView {
    /// FHIR Patient id; absent while the Patient has not reached the hub.
    pub patient: Option<String>,
    /// The site that was granted it.
    pub to: String,
    /// When, ms since 1970.
    pub granted_ms: i64,
    /// Whether that site has signed that it holds everything the hub has of it.
    pub arrived: bool,
    /// Sites that have left and signed what they purged.
    pub left: Vec<String>,
    /// Sites that are to leave and have not yet.
    pub outstanding: Vec<String>,
}

/// Orders an erasure. It cannot be taken back.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Erase {
    /// The patient's id typed again.
    pub confirm: String,
    /// Why; kept in the audit.
    pub reason: String,
}

/// A record that is being destroyed, or is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErasureView {
    /// The scope it lay in, hex: whose it was is not known any more.
    pub scope: String,
    /// Whether everybody has signed.
    pub complete: bool,
    /// Sites, and `hub`, that have not signed yet that they destroyed it.
    pub outstanding: Vec<String>,
}

/// Opens a patient's record to another site.
#[utoipa::path(post, operation_id = "transferPatient", path = TRANSFER, params(("id" = String, Path)), request_body = Transfer, responses((status = 200, body = TransferView)))]
pub fn transfer() {}

/// Records opened to other sites, the newest first.
#[utoipa::path(get, operation_id = "listTransfers", path = TRANSFERS, responses((status = 200, body = Vec<TransferView>)))]
pub fn transfers() {}

/// Destroys a patient's record here and orders every site that has it to do the same.
#[utoipa::path(post, operation_id = "erasePatient", path = ERASE, params(("id" = String, Path)), request_body = Erase, responses((status = 200, body = ErasureView)))]
pub fn erase() {}

/// Erasures, with who has not signed yet.
#[utoipa::path(get, operation_id = "listErasures", path = ERASURES, responses((status = 200, body = Vec<ErasureView>)))]
pub fn erasures() {}
