//! R4 datatypes.

use super::Of::{self, Choice, Code, Complex, Opaque, Reference};
use super::Primitive as P;
use super::{Element, Structure, backbone, choice, datatype, many, one, opt, rules, some};

const fn prim(primitive: P) -> Of {
    Of::Primitive(primitive)
}

/// What every element has.
pub(super) const ELEMENT: &[Element] = &[opt("id", prim(P::String)), many("extension", Complex(&EXTENSION))];

/// What every part of a resource has.
pub(super) const BACKBONE_ELEMENT: &[Element] =
    &[opt("id", prim(P::String)), many("extension", Complex(&EXTENSION)), many("modifierExtension", Complex(&EXTENSION))];

/// What every resource of the table has.
pub(super) const DOMAIN_RESOURCE: &[Element] = &[
    opt("id", prim(P::Id)),
    opt("meta", Complex(&META)),
    opt("implicitRules", prim(P::Uri)),
    opt("language", prim(P::Code)),
    opt("text", Complex(&NARRATIVE)),
    many("contained", Of::Resource),
    many("extension", Complex(&EXTENSION)),
    many("modifierExtension", Complex(&EXTENSION)),
];

static META: Structure = datatype(
    &[
        opt("versionId", prim(P::Id)),
        opt("lastUpdated", prim(P::Instant)),
        opt("source", prim(P::Uri)),
        many("profile", prim(P::Canonical)),
        many("security", Complex(&CODING)),
        many("tag", Complex(&CODING)),
    ],
    &[],
);
static NARRATIVE: Structure =
    datatype(&[one("status", Code(&["generated", "extensions", "additional", "empty"])), one("div", prim(P::Xhtml))], &[]);

pub(super) static EXTENSION: Structure = datatype(
    &[
        one("url", prim(P::Uri)),
        choice(
            "value",
            &[
                ("Base64Binary", prim(P::Base64Binary)),
                ("Boolean", prim(P::Boolean)),
                ("Canonical", prim(P::Canonical)),
                ("Code", prim(P::Code)),
                ("Date", prim(P::Date)),
                ("DateTime", prim(P::DateTime)),
                ("Decimal", prim(P::Decimal)),
                ("Id", prim(P::Id)),
                ("Instant", prim(P::Instant)),
                ("Integer", prim(P::Integer)),
                ("Markdown", prim(P::Markdown)),
                ("Oid", prim(P::Oid)),
                ("PositiveInt", prim(P::PositiveInt)),
                ("String", prim(P::String)),
                ("Time", prim(P::Time)),
                ("UnsignedInt", prim(P::UnsignedInt)),
                ("Uri", prim(P::Uri)),
                ("Url", prim(P::Uri)),
                ("Uuid", prim(P::Uuid)),
                ("Address", Complex(&ADDRESS)),
                ("Age", Complex(&QUANTITY)),
                ("Annotation", Complex(&ANNOTATION)),
                ("Attachment", Complex(&ATTACHMENT)),
                ("CodeableConcept", Complex(&CODEABLE_CONCEPT)),
                ("Coding", Complex(&CODING)),
                ("ContactPoint", Complex(&CONTACT_POINT)),
                ("Count", Complex(&QUANTITY)),
                ("Distance", Complex(&QUANTITY)),
                ("Duration", Complex(&QUANTITY)),
                ("HumanName", Complex(&HUMAN_NAME)),
                ("Identifier", Complex(&IDENTIFIER)),
                ("Money", Complex(&MONEY)),
                ("Period", Complex(&PERIOD)),
                ("Quantity", Complex(&QUANTITY)),
                ("Range", Complex(&RANGE)),
                ("Ratio", Complex(&RATIO)),
                ("Reference", Reference(&[])),
                ("SampledData", Complex(&SAMPLED_DATA)),
                ("Signature", Complex(&SIGNATURE)),
                ("Timing", Complex(&TIMING)),
                ("ContactDetail", Complex(&CONTACT_DETAIL)),
                ("Meta", Complex(&META)),
                ("Contributor", Opaque),
                ("DataRequirement", Opaque),
                ("Expression", Opaque),
                ("ParameterDefinition", Opaque),
                ("RelatedArtifact", Opaque),
                ("TriggerDefinition", Opaque),
                ("UsageContext", Opaque),
                ("Dosage", Complex(&DOSAGE)),
            ],
        ),
    ],
    &[rules::EXT_1],
);

pub(super) static REFERENCE: Structure = datatype(
    &[
        opt("reference", prim(P::String)),
        opt("type", prim(P::Uri)),
        opt("identifier", Complex(&IDENTIFIER)),
        opt("display", prim(P::String)),
    ],
    &[],
);
pub(super) static CODING: Structure = datatype(
    &[
        opt("system", prim(P::Uri)),
        opt("version", prim(P::String)),
        opt("code", prim(P::Code)),
        opt("display", prim(P::String)),
        opt("userSelected", prim(P::Boolean)),
    ],
    &[],
);
pub(super) static CODEABLE_CONCEPT: Structure = datatype(&[many("coding", Complex(&CODING)), opt("text", prim(P::String))], &[]);
pub(super) static IDENTIFIER: Structure = datatype(
    &[
        opt("use", Code(&["usual", "official", "temp", "secondary", "old"])),
        opt("type", Complex(&CODEABLE_CONCEPT)),
        opt("system", prim(P::Uri)),
        opt("value", prim(P::String)),
        opt("period", Complex(&PERIOD)),
        opt("assigner", Reference(&["Organization"])),
    ],
    &[],
);
pub(super) static HUMAN_NAME: Structure = datatype(
    &[
        opt("use", Code(&["usual", "official", "temp", "nickname", "anonymous", "old", "maiden"])),
        opt("text", prim(P::String)),
        opt("family", prim(P::String)),
        many("given", prim(P::String)),
        many("prefix", prim(P::String)),
        many("suffix", prim(P::String)),
        opt("period", Complex(&PERIOD)),
    ],
    &[],
);
pub(super) static CONTACT_POINT: Structure = datatype(
    &[
        opt("system", Code(&["phone", "fax", "email", "pager", "url", "sms", "other"])),
        opt("value", prim(P::String)),
        opt("use", Code(&["home", "work", "temp", "old", "mobile"])),
        opt("rank", prim(P::PositiveInt)),
        opt("period", Complex(&PERIOD)),
    ],
    &[rules::CPT_2],
);
pub(super) static ADDRESS: Structure = datatype(
    &[
        opt("use", Code(&["home", "work", "temp", "old", "billing"])),
        opt("type", Code(&["postal", "physical", "both"])),
        opt("text", prim(P::String)),
        many("line", prim(P::String)),
        opt("city", prim(P::String)),
        opt("district", prim(P::String)),
        opt("state", prim(P::String)),
        opt("postalCode", prim(P::String)),
        opt("country", prim(P::String)),
        opt("period", Complex(&PERIOD)),
    ],
    &[],
);
pub(super) static ATTACHMENT: Structure = datatype(
    &[
        opt("contentType", prim(P::Code)),
        opt("language", prim(P::Code)),
        opt("data", prim(P::Base64Binary)),
        opt("url", prim(P::Uri)),
        opt("size", prim(P::UnsignedInt)),
        opt("hash", prim(P::Base64Binary)),
        opt("title", prim(P::String)),
        opt("creation", prim(P::DateTime)),
    ],
    &[rules::ATT_1],
);
pub(super) static PERIOD: Structure = datatype(&[opt("start", prim(P::DateTime)), opt("end", prim(P::DateTime))], &[rules::PER_1]);
pub(super) static QUANTITY: Structure = datatype(
    &[
        opt("value", prim(P::Decimal)),
        opt("comparator", Code(&["<", "<=", ">=", ">"])),
        opt("unit", prim(P::String)),
        opt("system", prim(P::Uri)),
        opt("code", prim(P::Code)),
    ],
    &[rules::QTY_3],
);
pub(super) static RANGE: Structure = datatype(&[opt("low", Complex(&QUANTITY)), opt("high", Complex(&QUANTITY))], &[]);
pub(super) static RATIO: Structure = datatype(&[opt("numerator", Complex(&QUANTITY)), opt("denominator", Complex(&QUANTITY))], &[]);
pub(super) static SAMPLED_DATA: Structure = datatype(
    &[
        one("origin", Complex(&QUANTITY)),
        one("period", prim(P::Decimal)),
        opt("factor", prim(P::Decimal)),
        opt("lowerLimit", prim(P::Decimal)),
        opt("upperLimit", prim(P::Decimal)),
        one("dimensions", prim(P::PositiveInt)),
        opt("data", prim(P::String)),
    ],
    &[],
);
pub(super) static ANNOTATION: Structure = datatype(
    &[
        choice(
            "author",
            &[("Reference", Reference(&["Practitioner", "Patient", "RelatedPerson", "Organization"])), ("String", prim(P::String))],
        ),
        opt("time", prim(P::DateTime)),
        one("text", prim(P::Markdown)),
    ],
    &[],
);
static MONEY: Structure = datatype(&[opt("value", prim(P::Decimal)), opt("currency", prim(P::Code))], &[]);
static CONTACT_DETAIL: Structure = datatype(&[opt("name", prim(P::String)), many("telecom", Complex(&CONTACT_POINT))], &[]);
const SIGNERS: &[&str] = &["Practitioner", "PractitionerRole", "RelatedPerson", "Patient", "Device", "Organization"];
static SIGNATURE: Structure = datatype(
    &[
        some("type", Complex(&CODING)),
        one("when", prim(P::Instant)),
        one("who", Reference(SIGNERS)),
        opt("onBehalfOf", Reference(SIGNERS)),
        opt("targetFormat", prim(P::Code)),
        opt("sigFormat", prim(P::Code)),
        opt("data", prim(P::Base64Binary)),
    ],
    &[],
);
const UNITS_OF_TIME: &[&str] = &["s", "min", "h", "d", "wk", "mo", "a"];
pub(super) static TIMING: Structure =
    backbone(&[many("event", prim(P::DateTime)), opt("repeat", Complex(&TIMING_REPEAT)), opt("code", Complex(&CODEABLE_CONCEPT))], &[]);
static TIMING_REPEAT: Structure = datatype(
    &[
        opt("bounds", Choice(&[("Duration", Complex(&QUANTITY)), ("Range", Complex(&RANGE)), ("Period", Complex(&PERIOD))])),
        opt("count", prim(P::PositiveInt)),
        opt("countMax", prim(P::PositiveInt)),
        opt("duration", prim(P::Decimal)),
        opt("durationMax", prim(P::Decimal)),
        opt("durationUnit", Code(UNITS_OF_TIME)),
        opt("frequency", prim(P::PositiveInt)),
        opt("frequencyMax", prim(P::PositiveInt)),
        opt("period", prim(P::Decimal)),
        opt("periodMax", prim(P::Decimal)),
        opt("periodUnit", Code(UNITS_OF_TIME)),
        many("dayOfWeek", Code(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"])),
        many("timeOfDay", prim(P::Time)),
        many("when", prim(P::Code)),
        opt("offset", prim(P::UnsignedInt)),
    ],
    &[],
);

/// How much of a medicine, when and how.
pub(super) static DOSAGE: Structure = backbone(
    &[
        opt("sequence", prim(P::Integer)),
        opt("text", prim(P::String)),
        many("additionalInstruction", Complex(&CODEABLE_CONCEPT)),
        opt("patientInstruction", prim(P::String)),
        opt("timing", Complex(&TIMING)),
        choice("asNeeded", &[("Boolean", prim(P::Boolean)), ("CodeableConcept", Complex(&CODEABLE_CONCEPT))]),
        opt("site", Complex(&CODEABLE_CONCEPT)),
        opt("route", Complex(&CODEABLE_CONCEPT)),
        opt("method", Complex(&CODEABLE_CONCEPT)),
        many("doseAndRate", Complex(&DOSE_AND_RATE)),
        opt("maxDosePerPeriod", Complex(&RATIO)),
        opt("maxDosePerAdministration", Complex(&QUANTITY)),
        opt("maxDosePerLifetime", Complex(&QUANTITY)),
    ],
    &[],
);
static DOSE_AND_RATE: Structure = datatype(
    &[
        opt("type", Complex(&CODEABLE_CONCEPT)),
        choice("dose", &[("Range", Complex(&RANGE)), ("Quantity", Complex(&QUANTITY))]),
        choice("rate", &[("Ratio", Complex(&RATIO)), ("Range", Complex(&RANGE)), ("Quantity", Complex(&QUANTITY))]),
    ],
    &[],
);
