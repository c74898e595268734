//! R4 resources that say what devices said: reports of laboratories and alarms. Rendered here, never taken in.

use super::Of::{self, Code, Complex, Reference};
use super::Primitive as P;
use super::datatypes::{ANNOTATION, ATTACHMENT, CODEABLE_CONCEPT, IDENTIFIER, PERIOD};
use super::{Element, Structure, backbone, choice, many, one, opt, resource};

const fn prim(primitive: P) -> Of {
    Of::Primitive(primitive)
}

const REPORT_STATUS: &[&str] =
    &["registered", "partial", "preliminary", "final", "amended", "corrected", "appended", "cancelled", "entered-in-error", "unknown"];
const WHO: &[&str] = &["Practitioner", "PractitionerRole", "Organization", "CareTeam"];

/// DiagnosticReport.
pub static DIAGNOSTIC_REPORT: Structure = resource(
    &[
        many("identifier", Complex(&IDENTIFIER)),
        many("basedOn", Reference(&["CarePlan", "ImmunizationRecommendation", "MedicationRequest", "NutritionOrder", "ServiceRequest"])),
        one("status", Code(REPORT_STATUS)),
        many("category", Complex(&CODEABLE_CONCEPT)),
        one("code", Complex(&CODEABLE_CONCEPT)),
        opt("subject", Reference(&["Patient", "Group", "Device", "Location"])),
        opt("encounter", Reference(&["Encounter"])),
        choice("effective", &[("DateTime", prim(P::DateTime)), ("Period", Complex(&PERIOD))]),
        opt("issued", prim(P::Instant)),
        many("performer", Reference(WHO)),
        many("resultsInterpreter", Reference(WHO)),
        many("specimen", Reference(&["Specimen"])),
        many("result", Reference(&["Observation"])),
        many("imagingStudy", Reference(&["ImagingStudy"])),
        many("media", Complex(&REPORT_MEDIA)),
        opt("conclusion", prim(P::String)),
        many("conclusionCode", Complex(&CODEABLE_CONCEPT)),
        many("presentedForm", Complex(&ATTACHMENT)),
    ],
    &[],
);
static REPORT_MEDIA: Structure = backbone(&[opt("comment", prim(P::String)), one("link", Reference(&["Media"]))], &[]);

const PARTY: &[&str] =
    &["Device", "Organization", "Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Group", "CareTeam", "HealthcareService"];

/// Communication: an alarm of a device's own.
pub static COMMUNICATION: Structure = resource(
    &[
        many("identifier", Complex(&IDENTIFIER)),
        many("instantiatesCanonical", prim(P::Canonical)),
        many("instantiatesUri", prim(P::Uri)),
        many("basedOn", Reference(&[])),
        many("partOf", Reference(&[])),
        many("inResponseTo", Reference(&["Communication"])),
        one("status", Code(&["preparation", "in-progress", "not-done", "on-hold", "stopped", "completed", "entered-in-error", "unknown"])),
        opt("statusReason", Complex(&CODEABLE_CONCEPT)),
        many("category", Complex(&CODEABLE_CONCEPT)),
        opt("priority", Code(&["routine", "urgent", "asap", "stat"])),
        many("medium", Complex(&CODEABLE_CONCEPT)),
        opt("subject", Reference(&["Patient", "Group"])),
        opt("topic", Complex(&CODEABLE_CONCEPT)),
        many("about", Reference(&[])),
        opt("encounter", Reference(&["Encounter"])),
        opt("sent", prim(P::DateTime)),
        opt("received", prim(P::DateTime)),
        many("recipient", Reference(PARTY)),
        opt("sender", Reference(PARTY)),
        many("reasonCode", Complex(&CODEABLE_CONCEPT)),
        many("reasonReference", Reference(&["Condition", "Observation", "DiagnosticReport", "DocumentReference"])),
        many("payload", Complex(&COMMUNICATION_PAYLOAD)),
        many("note", Complex(&ANNOTATION)),
    ],
    &[],
);
static COMMUNICATION_PAYLOAD: Structure = backbone(
    &[Element {
        required: true,
        ..choice("content", &[("String", prim(P::String)), ("Attachment", Complex(&ATTACHMENT)), ("Reference", Reference(&[]))])
    }],
    &[],
);
