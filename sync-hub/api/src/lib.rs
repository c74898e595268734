//! What operators and agents may ask of a hub, beside FHIR and the ledger: one file a resource.
//!
//! Always: every number says as of when.
//! Never here: FHIR (`record::fhir`), sign-in (`web`), the sync messages (`protocol`).

pub mod alert;
pub mod code;
pub mod configuration;
pub mod enrol;
pub mod fleet;
pub mod live;
pub mod patient;
pub mod quarantine;

use utoipa::OpenApi;

/// The OpenAPI document of the hub's own routes, to be merged with those of `web`.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lamplight hub",
        description = "Watches many sites. All routes but health, FHIR metadata, sign-in and enrolment need a session."
    ),
    paths(
        fleet::get,
        fleet::add,
        fleet::revoke,
        fleet::state,
        fleet::incidents,
        fleet::close,
        patient::transfer,
        patient::transfers,
        patient::erase,
        patient::erasures,
        quarantine::list,
        quarantine::accept,
        configuration::list,
        configuration::roll_out,
        configuration::roll_back,
        alert::acknowledge,
        enrol::post
    )
)]
pub struct Document;
