//! The resource table: one row a FHIR resource type. To add a type, add a row here and its elements in
//! [`super::structure`].

use super::structure::{
    ALLERGY_INTOLERANCE, COMMUNICATION, DETECTED_ISSUE, DEVICE, DIAGNOSTIC_REPORT, ENCOUNTER, MEDICATION_REQUEST, OBSERVATION, PATIENT,
    Structure,
};

/// A resource type as kept and served.
#[derive(Debug)]
pub struct Resource {
    /// Its FHIR name.
    pub name: &'static str,
    /// Where its resources live.
    pub lives: Lives,
    /// What may be asked of it.
    pub interactions: &'static [Interaction],
    /// By what it is found; [`COMMON`] besides.
    pub search: &'static [Parameter],
    /// What it may hold.
    pub structure: &'static Structure,
    /// What to say to someone who tries an interaction that is not allowed.
    pub advice: &'static str,
}

/// Which ledger scope a resource belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lives {
    /// The site's.
    Site,
    /// That of the patient whom this element names; it must name one.
    PatientCompartment(&'static str),
    /// Its own: it *is* a patient.
    OwnPatientScope,
    /// Rendered from the patient's series; what laboratories found is a document beside them, in the scope of the patient whom
    /// `subject` names.
    Series,
}

impl Lives {
    /// The element that names the patient.
    #[must_use]
    pub const fn patient_element(self) -> Option<&'static str> {
        match self {
            Self::PatientCompartment(element) => Some(element),
            Self::Series => Some("subject"),
            Self::Site | Self::OwnPatientScope => None,
        }
    }
}

/// A FHIR RESTful interaction on a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interaction {
    /// `GET Type/id`
    Read,
    /// `GET Type?…`, `POST Type/_search`
    Search,
    /// `POST Type`
    Create,
    /// `PUT Type/id`
    Update,
    /// `GET Type/id/_history`
    History,
    /// `GET Type/id/_history/version`
    VersionRead,
}

impl Interaction {
    /// FHIR `type-restful-interaction`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Search => "search-type",
            Self::Create => "create",
            Self::Update => "update",
            Self::History => "history-instance",
            Self::VersionRead => "vread",
        }
    }
}

/// A search parameter.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in the query.
    pub name: &'static str,
    /// How values are compared.
    pub kind: Kind,
    /// Canonical URL of its definition.
    pub definition: &'static str,
    /// JSON paths of the elements looked at; lists are looked through. Vitals are found in series without them.
    pub paths: &'static [&'static str],
}

/// Type of a search parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A code with or without its system.
    Token,
    /// Text, from its beginning, case and accents aside.
    Text,
    /// A moment or span.
    Date,
    /// Another resource.
    Reference,
}

impl Kind {
    /// FHIR `search-param-type`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Text => "string",
            Self::Date => "date",
            Self::Reference => "reference",
        }
    }
}

macro_rules! parameter {
    ($name:literal, $kind:ident, $definition:literal, [$($path:literal),*]) => {
        Parameter {
            name: $name,
            kind: Kind::$kind,
            definition: concat!("http://hl7.org/fhir/SearchParameter/", $definition),
            paths: &[$($path),*],
        }
    };
}

const ALL: &[Interaction] =
    &[Interaction::Read, Interaction::VersionRead, Interaction::Update, Interaction::History, Interaction::Create, Interaction::Search];
/// What devices say: written by the agent alone.
const HEARD: &[Interaction] = &[Interaction::Read, Interaction::VersionRead, Interaction::History, Interaction::Search];
const NEVER_DELETED: &str =
    "a clinical record is not deleted: update the resource to entered-in-error (a Patient to active = false) instead";

/// Parameters of every document type.
pub static COMMON: &[Parameter] =
    &[parameter!("_id", Token, "Resource-id", ["id"]), parameter!("_lastUpdated", Date, "Resource-lastUpdated", ["meta.lastUpdated"])];

/// The table.
pub static RESOURCES: &[Resource] = &[
    Resource {
        name: "Patient",
        lives: Lives::OwnPatientScope,
        interactions: ALL,
        search: &[
            parameter!("identifier", Token, "Patient-identifier", ["identifier"]),
            parameter!("name", Text, "Patient-name", ["name.family", "name.given", "name.text", "name.prefix", "name.suffix"]),
            parameter!("family", Text, "individual-family", ["name.family"]),
            parameter!("given", Text, "individual-given", ["name.given"]),
            parameter!("birthdate", Date, "individual-birthdate", ["birthDate"]),
            parameter!("gender", Token, "individual-gender", ["gender"]),
            parameter!("active", Token, "Patient-active", ["active"]),
        ],
        structure: &PATIENT,
        advice: NEVER_DELETED,
    },
    Resource {
        name: "Encounter",
        lives: Lives::PatientCompartment("subject"),
        interactions: ALL,
        search: &[
            parameter!("patient", Reference, "clinical-patient", ["subject"]),
            parameter!("subject", Reference, "Encounter-subject", ["subject"]),
            parameter!("identifier", Token, "clinical-identifier", ["identifier"]),
            parameter!("status", Token, "Encounter-status", ["status"]),
            parameter!("class", Token, "Encounter-class", ["class"]),
            parameter!("date", Date, "clinical-date", ["period"]),
        ],
        structure: &ENCOUNTER,
        advice: NEVER_DELETED,
    },
    Resource {
        name: "Device",
        lives: Lives::Site,
        interactions: ALL,
        search: &[
            parameter!("identifier", Token, "Device-identifier", ["identifier"]),
            parameter!("status", Token, "Device-status", ["status"]),
            parameter!("type", Token, "Device-type", ["type"]),
            parameter!("device-name", Text, "Device-device-name", ["deviceName.name", "type.coding.display", "type.text"]),
            parameter!("manufacturer", Text, "Device-manufacturer", ["manufacturer"]),
            parameter!("patient", Reference, "Device-patient", ["patient"]),
        ],
        structure: &DEVICE,
        advice: NEVER_DELETED,
    },
    Resource {
        name: "DetectedIssue",
        lives: Lives::PatientCompartment("patient"),
        interactions: ALL,
        search: &[
            parameter!("patient", Reference, "clinical-patient", ["patient"]),
            parameter!("identifier", Token, "clinical-identifier", ["identifier"]),
            parameter!("code", Token, "DetectedIssue-code", ["code"]),
            parameter!("status", Token, "DetectedIssue-status", ["status"]),
            parameter!("identified", Date, "DetectedIssue-identified", ["identifiedDateTime", "identifiedPeriod"]),
        ],
        structure: &DETECTED_ISSUE,
        advice: NEVER_DELETED,
    },
    Resource {
        name: "AllergyIntolerance",
        lives: Lives::PatientCompartment("patient"),
        interactions: ALL,
        search: &[
            parameter!("patient", Reference, "clinical-patient", ["patient"]),
            parameter!("identifier", Token, "clinical-identifier", ["identifier"]),
            parameter!("code", Token, "clinical-code", ["code", "reaction.substance"]),
            parameter!("clinical-status", Token, "AllergyIntolerance-clinical-status", ["clinicalStatus"]),
            parameter!("verification-status", Token, "AllergyIntolerance-verification-status", ["verificationStatus"]),
            parameter!("criticality", Token, "AllergyIntolerance-criticality", ["criticality"]),
            parameter!("category", Token, "AllergyIntolerance-category", ["category"]),
            parameter!("date", Date, "clinical-date", ["recordedDate"]),
        ],
        structure: &ALLERGY_INTOLERANCE,
        advice: "a clinical record is not deleted: update its verificationStatus to entered-in-error instead",
    },
    Resource {
        name: "MedicationRequest",
        lives: Lives::PatientCompartment("subject"),
        interactions: ALL,
        search: &[
            parameter!("patient", Reference, "clinical-patient", ["subject"]),
            parameter!("subject", Reference, "MedicationRequest-subject", ["subject"]),
            parameter!("identifier", Token, "clinical-identifier", ["identifier"]),
            parameter!("code", Token, "clinical-code", ["medicationCodeableConcept"]),
            parameter!("status", Token, "medications-status", ["status"]),
            parameter!("intent", Token, "MedicationRequest-intent", ["intent"]),
            parameter!("authoredon", Date, "MedicationRequest-authoredon", ["authoredOn"]),
        ],
        structure: &MEDICATION_REQUEST,
        advice: NEVER_DELETED,
    },
    Resource {
        name: "DiagnosticReport",
        lives: Lives::PatientCompartment("subject"),
        interactions: HEARD,
        search: &[
            parameter!("patient", Reference, "clinical-patient", ["subject"]),
            parameter!("subject", Reference, "DiagnosticReport-subject", ["subject"]),
            parameter!("identifier", Token, "clinical-identifier", ["identifier"]),
            parameter!("status", Token, "DiagnosticReport-status", ["status"]),
            parameter!("category", Token, "DiagnosticReport-category", ["category"]),
            parameter!("code", Token, "clinical-code", ["code"]),
            parameter!("date", Date, "clinical-date", ["effectiveDateTime", "effectivePeriod"]),
            parameter!("issued", Date, "DiagnosticReport-issued", ["issued"]),
            parameter!("result", Reference, "DiagnosticReport-result", ["result"]),
        ],
        structure: &DIAGNOSTIC_REPORT,
        advice: "reports come from the laboratory's analysers: send results by ASTM or HL7 to the agent",
    },
    Resource {
        name: "Communication",
        lives: Lives::PatientCompartment("subject"),
        interactions: HEARD,
        search: &[
            parameter!("patient", Reference, "Communication-patient", ["subject"]),
            parameter!("subject", Reference, "Communication-subject", ["subject"]),
            parameter!("identifier", Token, "Communication-identifier", ["identifier"]),
            parameter!("status", Token, "Communication-status", ["status"]),
            parameter!("category", Token, "Communication-category", ["category"]),
            parameter!("sender", Reference, "Communication-sender", ["sender"]),
            parameter!("sent", Date, "Communication-sent", ["sent"]),
        ],
        structure: &COMMUNICATION,
        advice: "these are the alarms that devices raise themselves: the agent writes them as it hears them",
    },
    Resource {
        name: "Observation",
        lives: Lives::Series,
        interactions: &[Interaction::Read, Interaction::Search],
        search: &[
            parameter!("patient", Reference, "clinical-patient", ["subject"]),
            parameter!("subject", Reference, "Observation-subject", ["subject"]),
            parameter!("code", Token, "clinical-code", ["code"]),
            parameter!("combo-code", Token, "Observation-combo-code", ["code", "component.code"]),
            parameter!("category", Token, "Observation-category", ["category"]),
            parameter!("date", Date, "clinical-date", ["effectiveDateTime"]),
            parameter!("device", Reference, "Observation-device", ["device"]),
        ],
        structure: &OBSERVATION,
        advice: "vital signs are kept as series, append-only: record values with POST /api/v1/beds/{bed}/observations",
    },
];

/// The row of a type.
#[must_use]
pub fn find(name: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|row| row.name == name)
}

impl Resource {
    /// The parameter of a name, common ones among them.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        let common: &'static [Parameter] = match (self.lives, COMMON) {
            // What arrived when is no question a series answers.
            (Lives::Series, [id, ..]) => std::slice::from_ref(id),
            (_, all) => all,
        };
        common.iter().chain(self.search).find(|parameter| parameter.name == name)
    }
    /// Whether an interaction is allowed.
    #[must_use]
    pub fn allows(&self, interaction: Interaction) -> bool {
        self.interactions.contains(&interaction)
    }
}
