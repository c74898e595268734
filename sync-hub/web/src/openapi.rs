//! The OpenAPI document of what is served here; programs pass theirs and `/api/v1/openapi.json` shows both.

use crate::conflicts;
use crate::dead_letters;
use crate::ops::{Health, Readiness};
use crate::problem::ProblemDocument;
use crate::sign_in;
use utoipa::openapi::OpenApi as Document_;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::{Modify, OpenApi};

/// Path of the merged document.
pub const OPENAPI: &str = "/api/v1/openapi.json";

/// Session, conflict and operation routes.
#[derive(OpenApi)]
#[openapi(
    paths(
        sign_in::post,
        sign_in::get,
        sign_in::delete,
        conflicts::list,
        conflicts::settle,
        dead_letters::list,
        dead_letters::retry,
        crate::ops::healthz,
        crate::ops::readyz,
        crate::ops::metrics
    ),
    components(schemas(ProblemDocument, Health, Readiness)),
    modifiers(&Bearer)
)]
pub struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Document_) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The token of POST /api/v1/session")).build();
        document.components.get_or_insert_default().add_security_scheme("session", SecurityScheme::Http(scheme));
        document.security = Some(vec![SecurityRequirement::new("session", Vec::<String>::new())]);
    }
}

/// The program's document with this crate's routes added.
#[must_use]
pub fn merged(mut program: Document_) -> Document_ {
    let own = Document::openapi();
    program.security.clone_from(&own.security);
    program.merge(own);
    program
}
