//! What this server can do, as a CapabilityStatement written from the resource table.

use super::Context;
use super::resources::{COMMON, Interaction, Lives, Parameter, RESOURCES, Resource};
use crate::time::Timestamp;
use serde_json::{Value, json};

/// The CapabilityStatement; `date` is when what it says last changed.
#[must_use]
pub fn capability_statement(context: &Context<'_>, date: Timestamp) -> Value {
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": date.rfc3339(),
        "kind": "instance",
        "software": {"name": context.program, "version": context.version},
        "implementation": {"description": "Lamplight clinic appliance", "url": context.base_url},
        "fhirVersion": "4.0.1",
        "format": ["json", "application/fhir+json"],
        "rest": [{
            "mode": "server",
            "documentation": "Documents are versioned: an update may name the version it changes in If-Match. \
                Observations are rendered from append-only series. Nothing is deleted; wrong entries become entered-in-error.",
            "security": {
                "cors": false,
                "description": "All but this statement needs a session: sign in at /api/v1/session and send its token as \
                    Authorization: Bearer. Reads and writes of patient data are audited.",
            },
            "resource": RESOURCES.iter().map(resource).collect::<Vec<_>>(),
        }],
    })
}

fn resource(row: &Resource) -> Value {
    let interactions: Vec<Value> = row.interactions.iter().map(|interaction| json!({"code": interaction.code()})).collect();
    let common = if row.lives == Lives::Series { COMMON.get(..1).unwrap_or_default() } else { COMMON };
    let parameters: Vec<Value> = common.iter().chain(row.search).map(parameter).collect();
    let documents = row.lives != Lives::Series;
    let mut statement = json!({
        "type": row.name,
        "interaction": interactions,
        "versioning": if documents { "versioned-update" } else { "no-version" },
        "readHistory": documents,
        "updateCreate": false,
        "conditionalCreate": row.allows(Interaction::Create),
        "conditionalDelete": "not-supported",
        "searchParam": parameters,
    });
    if row.lives == Lives::OwnPatientScope {
        statement["operation"] = json!([
            {
                "name": "match", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-match",
                "documentation": "POST Patient answers 409 with the candidates where one is certain or probable, unless _confirm-new=true.",
            },
            {
                "name": "merge", "definition": "urn:lamplight:fhir:operation:patient-merge",
                "documentation": "Parameters source-patient and target-patient (valueReference): links both. What is kept about the \
                    source is found through the target.",
            },
            {
                "name": "unmerge", "definition": "urn:lamplight:fhir:operation:patient-unmerge",
                "documentation": "Parameters as of merge: takes both links away again.",
            },
        ]);
    }
    statement
}

fn parameter(parameter: &Parameter) -> Value {
    json!({"name": parameter.name, "definition": parameter.definition, "type": parameter.kind.code()})
}
