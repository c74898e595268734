//! R4 Observation with the vital-signs profile: rendered here, never taken in.

use super::Of::{self, Code, Complex, Reference};
use super::Primitive as P;
use super::datatypes::{ANNOTATION, CODEABLE_CONCEPT, IDENTIFIER, PERIOD, QUANTITY, RANGE, RATIO, SAMPLED_DATA, TIMING};
use super::{Structure, backbone, choice, many, one, opt, resource, rules};

const fn prim(primitive: P) -> Of {
    Of::Primitive(primitive)
}

/// R4 `observation-status`; DetectedIssue shares it.
pub(super) const OBSERVATION_STATUS: &[&str] =
    &["registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown"];

const VALUE: &[(&str, Of)] = &[
    ("Quantity", Complex(&QUANTITY)),
    ("CodeableConcept", Complex(&CODEABLE_CONCEPT)),
    ("String", prim(P::String)),
    ("Boolean", prim(P::Boolean)),
    ("Integer", prim(P::Integer)),
    ("Range", Complex(&RANGE)),
    ("Ratio", Complex(&RATIO)),
    ("SampledData", Complex(&SAMPLED_DATA)),
    ("Time", prim(P::Time)),
    ("DateTime", prim(P::DateTime)),
    ("Period", Complex(&PERIOD)),
];

/// Observation.
pub static OBSERVATION: Structure = resource(
    &[
        many("identifier", Complex(&IDENTIFIER)),
        many(
            "basedOn",
            Reference(&[
                "CarePlan",
                "DeviceRequest",
                "ImmunizationRecommendation",
                "MedicationRequest",
                "NutritionOrder",
                "ServiceRequest",
            ]),
        ),
        many(
            "partOf",
            Reference(&[
                "MedicationAdministration",
                "MedicationDispense",
                "MedicationStatement",
                "Procedure",
                "Immunization",
                "ImagingStudy",
            ]),
        ),
        one("status", Code(OBSERVATION_STATUS)),
        many("category", Complex(&CODEABLE_CONCEPT)),
        one("code", Complex(&CODEABLE_CONCEPT)),
        opt("subject", Reference(&["Patient", "Group", "Device", "Location"])),
        many("focus", Reference(&[])),
        opt("encounter", Reference(&["Encounter"])),
        choice(
            "effective",
            &[("DateTime", prim(P::DateTime)), ("Period", Complex(&PERIOD)), ("Timing", Complex(&TIMING)), ("Instant", prim(P::Instant))],
        ),
        opt("issued", prim(P::Instant)),
        many("performer", Reference(&["Practitioner", "PractitionerRole", "Organization", "CareTeam", "Patient", "RelatedPerson"])),
        choice("value", VALUE),
        opt("dataAbsentReason", Complex(&CODEABLE_CONCEPT)),
        many("interpretation", Complex(&CODEABLE_CONCEPT)),
        many("note", Complex(&ANNOTATION)),
        opt("bodySite", Complex(&CODEABLE_CONCEPT)),
        opt("method", Complex(&CODEABLE_CONCEPT)),
        opt("specimen", Reference(&["Specimen"])),
        opt("device", Reference(&["Device", "DeviceMetric"])),
        many("referenceRange", Complex(&REFERENCE_RANGE)),
        many("hasMember", Reference(&["Observation", "QuestionnaireResponse", "MolecularSequence"])),
        many(
            "derivedFrom",
            Reference(&["DocumentReference", "ImagingStudy", "Media", "QuestionnaireResponse", "Observation", "MolecularSequence"]),
        ),
        many("component", Complex(&COMPONENT)),
    ],
    &[rules::OBS_6, rules::VITAL_SIGNS, rules::VITAL_UNITS],
);
static REFERENCE_RANGE: Structure = backbone(
    &[
        opt("low", Complex(&QUANTITY)),
        opt("high", Complex(&QUANTITY)),
        opt("type", Complex(&CODEABLE_CONCEPT)),
        many("appliesTo", Complex(&CODEABLE_CONCEPT)),
        opt("age", Complex(&RANGE)),
        opt("text", prim(P::String)),
    ],
    &[rules::OBS_3],
);
static COMPONENT: Structure = backbone(
    &[
        one("code", Complex(&CODEABLE_CONCEPT)),
        choice("value", VALUE),
        opt("dataAbsentReason", Complex(&CODEABLE_CONCEPT)),
        many("interpretation", Complex(&CODEABLE_CONCEPT)),
        many("referenceRange", Complex(&REFERENCE_RANGE)),
    ],
    &[],
);
