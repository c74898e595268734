//! R4 resources that are documents.

use super::Of::{self, Code, Complex, Reference};
use super::Primitive as P;
use super::datatypes::{
    ADDRESS, ANNOTATION, ATTACHMENT, CODEABLE_CONCEPT, CODING, CONTACT_POINT, DOSAGE, HUMAN_NAME, IDENTIFIER, PERIOD, QUANTITY, RANGE,
};
use super::observation::OBSERVATION_STATUS;
use super::{Element, Structure, backbone, choice, many, one, opt, resource, rules, some};

const fn prim(primitive: P) -> Of {
    Of::Primitive(primitive)
}

const GENDER: &[&str] = &["male", "female", "other", "unknown"];

/// Patient.
pub static PATIENT: Structure = resource(
    &[
        many("identifier", Complex(&IDENTIFIER)),
        opt("active", prim(P::Boolean)),
        many("name", Complex(&HUMAN_NAME)),
        many("telecom", Complex(&CONTACT_POINT)),
        opt("gender", Code(GENDER)),
        opt("birthDate", prim(P::Date)),
        choice("deceased", &[("Boolean", prim(P::Boolean)), ("DateTime", prim(P::DateTime))]),
        many("address", Complex(&ADDRESS)),
        opt("maritalStatus", Complex(&CODEABLE_CONCEPT)),
        choice("multipleBirth", &[("Boolean", prim(P::Boolean)), ("Integer", prim(P::Integer))]),
        many("photo", Complex(&ATTACHMENT)),
        many("contact", Complex(&PATIENT_CONTACT)),
        many("communication", Complex(&PATIENT_COMMUNICATION)),
        many("generalPractitioner", Reference(&["Organization", "Practitioner", "PractitionerRole"])),
        opt("managingOrganization", Reference(&["Organization"])),
        many("link", Complex(&PATIENT_LINK)),
    ],
    &[],
);
static PATIENT_CONTACT: Structure = backbone(
    &[
        many("relationship", Complex(&CODEABLE_CONCEPT)),
        opt("name", Complex(&HUMAN_NAME)),
        many("telecom", Complex(&CONTACT_POINT)),
        opt("address", Complex(&ADDRESS)),
        opt("gender", Code(GENDER)),
        opt("organization", Reference(&["Organization"])),
        opt("period", Complex(&PERIOD)),
    ],
    &[rules::PAT_1],
);
static PATIENT_COMMUNICATION: Structure = backbone(&[one("language", Complex(&CODEABLE_CONCEPT)), opt("preferred", prim(P::Boolean))], &[]);
static PATIENT_LINK: Structure = backbone(
    &[one("other", Reference(&["Patient", "RelatedPerson"])), one("type", Code(&["replaced-by", "replaces", "refer", "seealso"]))],
    &[],
);

const ENCOUNTER_STATUS: &[&str] =
    &["planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error", "unknown"];

/// Encounter.
pub static ENCOUNTER: Structure = resource(
    &[
        many("identifier", Complex(&IDENTIFIER)),
        one("status", Code(ENCOUNTER_STATUS)),
        many("statusHistory", Complex(&ENCOUNTER_STATUS_HISTORY)),
        one("class", Complex(&CODING)),
        many("classHistory", Complex(&ENCOUNTER_CLASS_HISTORY)),
        many("type", Complex(&CODEABLE_CONCEPT)),
        opt("serviceType", Complex(&CODEABLE_CONCEPT)),
        opt("priority", Complex(&CODEABLE_CONCEPT)),
        opt("subject", Reference(&["Patient", "Group"])),
        many("episodeOfCare", Reference(&["EpisodeOfCare"])),
        many("basedOn", Reference(&["ServiceRequest"])),
        many("participant", Complex(&ENCOUNTER_PARTICIPANT)),
        many("appointment", Reference(&["Appointment"])),
        opt("period", Complex(&PERIOD)),
        opt("length", Complex(&QUANTITY)),
        many("reasonCode", Complex(&CODEABLE_CONCEPT)),
        many("reasonReference", Reference(&["Condition", "Procedure", "Observation", "ImmunizationRecommendation"])),
        many("diagnosis", Complex(&ENCOUNTER_DIAGNOSIS)),
        many("account", Reference(&["Account"])),
        opt("hospitalization", Complex(&ENCOUNTER_HOSPITALIZATION)),
        many("location", Complex(&ENCOUNTER_LOCATION)),
        opt("serviceProvider", Reference(&["Organization"])),
        opt("partOf", Reference(&["Encounter"])),
    ],
    &[],
);
static ENCOUNTER_STATUS_HISTORY: Structure = backbone(&[one("status", Code(ENCOUNTER_STATUS)), one("period", Complex(&PERIOD))], &[]);
static ENCOUNTER_CLASS_HISTORY: Structure = backbone(&[one("class", Complex(&CODING)), one("period", Complex(&PERIOD))], &[]);
static ENCOUNTER_PARTICIPANT: Structure = backbone(
    &[
        many("type", Complex(&CODEABLE_CONCEPT)),
        opt("period", Complex(&PERIOD)),
        opt("individual", Reference(&["Practitioner", "PractitionerRole", "RelatedPerson"])),
    ],
    &[],
);
static ENCOUNTER_DIAGNOSIS: Structure = backbone(
    &[one("condition", Reference(&["Condition", "Procedure"])), opt("use", Complex(&CODEABLE_CONCEPT)), opt("rank", prim(P::PositiveInt))],
    &[],
);
static ENCOUNTER_HOSPITALIZATION: Structure = backbone(
    &[
        opt("preAdmissionIdentifier", Complex(&IDENTIFIER)),
        opt("origin", Reference(&["Location", "Organization"])),
        opt("admitSource", Complex(&CODEABLE_CONCEPT)),
        opt("reAdmission", Complex(&CODEABLE_CONCEPT)),
        many("dietPreference", Complex(&CODEABLE_CONCEPT)),
        many("specialCourtesy", Complex(&CODEABLE_CONCEPT)),
        many("specialArrangement", Complex(&CODEABLE_CONCEPT)),
        opt("destination", Reference(&["Location", "Organization"])),
        opt("dischargeDisposition", Complex(&CODEABLE_CONCEPT)),
    ],
    &[],
);
static ENCOUNTER_LOCATION: Structure = backbone(
    &[
        one("location", Reference(&["Location"])),
        opt("status", Code(&["planned", "active", "reserved", "completed"])),
        opt("physicalType", Complex(&CODEABLE_CONCEPT)),
        opt("period", Complex(&PERIOD)),
    ],
    &[],
);

/// Device.
pub static DEVICE: Structure = resource(
    &[
        many("identifier", Complex(&IDENTIFIER)),
        opt("definition", Reference(&["DeviceDefinition"])),
        many("udiCarrier", Complex(&DEVICE_UDI_CARRIER)),
        opt("status", Code(&["active", "inactive", "entered-in-error", "unknown"])),
        many("statusReason", Complex(&CODEABLE_CONCEPT)),
        opt("distinctIdentifier", prim(P::String)),
        opt("manufacturer", prim(P::String)),
        opt("manufactureDate", prim(P::DateTime)),
        opt("expirationDate", prim(P::DateTime)),
        opt("lotNumber", prim(P::String)),
        opt("serialNumber", prim(P::String)),
        many("deviceName", Complex(&DEVICE_NAME)),
        opt("modelNumber", prim(P::String)),
        opt("partNumber", prim(P::String)),
        opt("type", Complex(&CODEABLE_CONCEPT)),
        many("specialization", Complex(&DEVICE_SPECIALIZATION)),
        many("version", Complex(&DEVICE_VERSION)),
        many("property", Complex(&DEVICE_PROPERTY)),
        opt("patient", Reference(&["Patient"])),
        opt("owner", Reference(&["Organization"])),
        many("contact", Complex(&CONTACT_POINT)),
        opt("location", Reference(&["Location"])),
        opt("url", prim(P::Uri)),
        many("note", Complex(&ANNOTATION)),
        many("safety", Complex(&CODEABLE_CONCEPT)),
        opt("parent", Reference(&["Device"])),
    ],
    &[],
);
static DEVICE_UDI_CARRIER: Structure = backbone(
    &[
        opt("deviceIdentifier", prim(P::String)),
        opt("issuer", prim(P::Uri)),
        opt("jurisdiction", prim(P::Uri)),
        opt("carrierAIDC", prim(P::Base64Binary)),
        opt("carrierHRF", prim(P::String)),
        opt("entryType", Code(&["barcode", "rfid", "manual", "card", "self-reported", "unknown"])),
    ],
    &[],
);
static DEVICE_NAME: Structure = backbone(
    &[
        one("name", prim(P::String)),
        one("type", Code(&["udi-label-name", "user-friendly-name", "patient-reported-name", "manufacturer-name", "model-name", "other"])),
    ],
    &[],
);
static DEVICE_SPECIALIZATION: Structure = backbone(&[one("systemType", Complex(&CODEABLE_CONCEPT)), opt("version", prim(P::String))], &[]);
static DEVICE_VERSION: Structure =
    backbone(&[opt("type", Complex(&CODEABLE_CONCEPT)), opt("component", Complex(&IDENTIFIER)), one("value", prim(P::String))], &[]);
static DEVICE_PROPERTY: Structure = backbone(
    &[one("type", Complex(&CODEABLE_CONCEPT)), many("valueQuantity", Complex(&QUANTITY)), many("valueCode", Complex(&CODEABLE_CONCEPT))],
    &[],
);

/// DetectedIssue: an alert.
pub static DETECTED_ISSUE: Structure = resource(
    &[
        many("identifier", Complex(&IDENTIFIER)),
        one("status", Code(OBSERVATION_STATUS)),
        opt("code", Complex(&CODEABLE_CONCEPT)),
        opt("severity", Code(&["high", "moderate", "low"])),
        opt("patient", Reference(&["Patient"])),
        choice("identified", &[("DateTime", prim(P::DateTime)), ("Period", Complex(&PERIOD))]),
        opt("author", Reference(&["Practitioner", "PractitionerRole", "Device"])),
        many("implicated", Reference(&[])),
        many("evidence", Complex(&DETECTED_ISSUE_EVIDENCE)),
        opt("detail", prim(P::String)),
        opt("reference", prim(P::Uri)),
        many("mitigation", Complex(&DETECTED_ISSUE_MITIGATION)),
    ],
    &[],
);
static DETECTED_ISSUE_EVIDENCE: Structure = backbone(&[many("code", Complex(&CODEABLE_CONCEPT)), many("detail", Reference(&[]))], &[]);
static DETECTED_ISSUE_MITIGATION: Structure = backbone(
    &[
        one("action", Complex(&CODEABLE_CONCEPT)),
        opt("date", prim(P::DateTime)),
        opt("author", Reference(&["Practitioner", "PractitionerRole"])),
    ],
    &[],
);

/// AllergyIntolerance.
pub static ALLERGY_INTOLERANCE: Structure = resource(
    &[
        many("identifier", Complex(&IDENTIFIER)),
        opt("clinicalStatus", Complex(&CODEABLE_CONCEPT)),
        opt("verificationStatus", Complex(&CODEABLE_CONCEPT)),
        opt("type", Code(&["allergy", "intolerance"])),
        many("category", Code(&["food", "medication", "environment", "biologic"])),
        opt("criticality", Code(&["low", "high", "unable-to-assess"])),
        opt("code", Complex(&CODEABLE_CONCEPT)),
        one("patient", Reference(&["Patient"])),
        opt("encounter", Reference(&["Encounter"])),
        choice(
            "onset",
            &[
                ("DateTime", prim(P::DateTime)),
                ("Age", Complex(&QUANTITY)),
                ("Period", Complex(&PERIOD)),
                ("Range", Complex(&RANGE)),
                ("String", prim(P::String)),
            ],
        ),
        opt("recordedDate", prim(P::DateTime)),
        opt("recorder", Reference(&["Practitioner", "PractitionerRole", "Patient", "RelatedPerson"])),
        opt("asserter", Reference(&["Patient", "RelatedPerson", "Practitioner", "PractitionerRole"])),
        opt("lastOccurrence", prim(P::DateTime)),
        many("note", Complex(&ANNOTATION)),
        many("reaction", Complex(&ALLERGY_REACTION)),
    ],
    &[rules::AIT_1, rules::AIT_2],
);
static ALLERGY_REACTION: Structure = backbone(
    &[
        opt("substance", Complex(&CODEABLE_CONCEPT)),
        some("manifestation", Complex(&CODEABLE_CONCEPT)),
        opt("description", prim(P::String)),
        opt("onset", prim(P::DateTime)),
        opt("severity", Code(&["mild", "moderate", "severe"])),
        opt("exposureRoute", Complex(&CODEABLE_CONCEPT)),
        many("note", Complex(&ANNOTATION)),
    ],
    &[],
);

/// MedicationRequest: an order of a medicine.
pub static MEDICATION_REQUEST: Structure = resource(
    &[
        many("identifier", Complex(&IDENTIFIER)),
        one("status", Code(&["active", "on-hold", "cancelled", "completed", "entered-in-error", "stopped", "draft", "unknown"])),
        opt("statusReason", Complex(&CODEABLE_CONCEPT)),
        one("intent", Code(&["proposal", "plan", "order", "original-order", "reflex-order", "filler-order", "instance-order", "option"])),
        many("category", Complex(&CODEABLE_CONCEPT)),
        opt("priority", Code(&["routine", "urgent", "asap", "stat"])),
        opt("doNotPerform", prim(P::Boolean)),
        choice(
            "reported",
            &[
                ("Boolean", prim(P::Boolean)),
                ("Reference", Reference(&["Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Organization"])),
            ],
        ),
        Element {
            required: true,
            ..choice("medication", &[("CodeableConcept", Complex(&CODEABLE_CONCEPT)), ("Reference", Reference(&["Medication"]))])
        },
        one("subject", Reference(&["Patient", "Group"])),
        opt("encounter", Reference(&["Encounter"])),
        many("supportingInformation", Reference(&[])),
        opt("authoredOn", prim(P::DateTime)),
        opt("requester", Reference(&["Practitioner", "PractitionerRole", "Organization", "Patient", "RelatedPerson", "Device"])),
        opt(
            "performer",
            Reference(&["Practitioner", "PractitionerRole", "Organization", "Patient", "Device", "RelatedPerson", "CareTeam"]),
        ),
        opt("performerType", Complex(&CODEABLE_CONCEPT)),
        opt("recorder", Reference(&["Practitioner", "PractitionerRole"])),
        many("reasonCode", Complex(&CODEABLE_CONCEPT)),
        many("reasonReference", Reference(&["Condition", "Observation"])),
        many("instantiatesCanonical", prim(P::Canonical)),
        many("instantiatesUri", prim(P::Uri)),
        many("basedOn", Reference(&["CarePlan", "MedicationRequest", "ServiceRequest", "ImmunizationRecommendation"])),
        opt("groupIdentifier", Complex(&IDENTIFIER)),
        opt("courseOfTherapyType", Complex(&CODEABLE_CONCEPT)),
        many("insurance", Reference(&["Coverage", "ClaimResponse"])),
        many("note", Complex(&ANNOTATION)),
        many("dosageInstruction", Complex(&DOSAGE)),
        opt("dispenseRequest", Complex(&MEDICATION_DISPENSE_REQUEST)),
        opt("substitution", Complex(&MEDICATION_SUBSTITUTION)),
        opt("priorPrescription", Reference(&["MedicationRequest"])),
        many("detectedIssue", Reference(&["DetectedIssue"])),
        many("eventHistory", Reference(&["Provenance"])),
    ],
    &[],
);
static MEDICATION_DISPENSE_REQUEST: Structure = backbone(
    &[
        opt("initialFill", Complex(&MEDICATION_INITIAL_FILL)),
        opt("dispenseInterval", Complex(&QUANTITY)),
        opt("validityPeriod", Complex(&PERIOD)),
        opt("numberOfRepeatsAllowed", prim(P::UnsignedInt)),
        opt("quantity", Complex(&QUANTITY)),
        opt("expectedSupplyDuration", Complex(&QUANTITY)),
        opt("performer", Reference(&["Organization"])),
    ],
    &[],
);
static MEDICATION_INITIAL_FILL: Structure = backbone(&[opt("quantity", Complex(&QUANTITY)), opt("duration", Complex(&QUANTITY))], &[]);
static MEDICATION_SUBSTITUTION: Structure = backbone(
    &[
        Element { required: true, ..choice("allowed", &[("Boolean", prim(P::Boolean)), ("CodeableConcept", Complex(&CODEABLE_CONCEPT))]) },
        opt("reason", Complex(&CODEABLE_CONCEPT)),
    ],
    &[],
);
