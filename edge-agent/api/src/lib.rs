//! All that a screen may say to an agent or see of it: one file a resource, requests beside responses beside routes.
//!
//! Always: views are ready to show — the agent decides words, bands and order; a screen only lays them out.
//! Never here: FHIR (`record::fhir`), sign-in (`web`), how anything is kept.

pub mod alert;
pub mod bed;
pub mod device;
pub mod live;
pub mod saving;
pub mod status;
pub mod sync;
pub mod ward;

use utoipa::OpenApi;

/// The OpenAPI document of the agent's own routes, to be merged with those of `web`.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lamplight agent",
        description = "The appliance in the clinic. All routes but health, FHIR metadata and sign-in need a session."
    ),
    paths(
        ward::get,
        ward::devices,
        bed::place,
        bed::attach,
        bed::observe,
        device::profiles,
        device::scan,
        device::begin,
        device::pairings,
        device::pairing,
        device::cancel,
        device::passkey,
        device::confirm,
        device::retire,
        device::bindings,
        device::move_to,
        device::swap,
        device::commands,
        device::command,
        device::recordings,
        device::record,
        device::record_stop,
        device::recording,
        device::recording_delete,
        alert::list,
        alert::acknowledge,
        alert::resolve,
        sync::get,
        sync::now,
        sync::state,
        live::open
    ),
    components(schemas(live::LiveMessage, live::WaveHeader))
)]
pub struct Document;
