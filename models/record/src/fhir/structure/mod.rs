//! FHIR R4 element definitions as data: what a resource or datatype may hold. Read by [`super::validate()`].

mod datatypes;
mod heard;
mod observation;
mod resources;
mod rules;

pub use heard::{COMMUNICATION, DIAGNOSTIC_REPORT};
pub use observation::OBSERVATION;
pub use resources::{ALLERGY_INTOLERANCE, DETECTED_ISSUE, DEVICE, ENCOUNTER, MEDICATION_REQUEST, PATIENT};

use serde_json::{Map, Value};

/// A resource, datatype or backbone element.
#[derive(Debug)]
pub struct Structure {
    /// What every structure of its kind has besides.
    pub base: Base,
    /// Its own elements.
    pub elements: &'static [Element],
    /// Invariants over the whole object.
    pub rules: &'static [Rule],
}

/// What a structure begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// A datatype: `id`, `extension`.
    Datatype,
    /// A part of a resource: `modifierExtension` besides.
    Backbone,
    /// A resource: `meta`, `text`, `contained`, … besides.
    Resource,
}

impl Base {
    /// The elements it stands for.
    #[must_use]
    pub const fn elements(self) -> &'static [Element] {
        match self {
            Self::Datatype => datatypes::ELEMENT,
            Self::Backbone => datatypes::BACKBONE_ELEMENT,
            Self::Resource => datatypes::DOMAIN_RESOURCE,
        }
    }
}

/// One element.
#[derive(Debug)]
pub struct Element {
    /// Its name; for a choice without the `[x]`.
    pub name: &'static str,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it is a list.
    pub many: bool,
    /// What it holds.
    pub of: Of,
}

/// What an element holds.
#[derive(Debug)]
pub enum Of {
    /// A plain value.
    Primitive(Primitive),
    /// A code bound to these and no others.
    Code(&'static [&'static str]),
    /// A datatype or part.
    Complex(&'static Structure),
    /// A Reference to one of these types; to any if none is named.
    Reference(&'static [&'static str]),
    /// One of several types, told apart by the suffix of the name.
    Choice(&'static [(&'static str, Of)]),
    /// A whole resource.
    Resource,
    /// An object whose inside is not looked at: datatypes that occur only as the value of an extension.
    Opaque,
}

/// FHIR's primitive types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Primitive {
    Base64Binary,
    Boolean,
    Canonical,
    Code,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Markdown,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Uuid,
    Xhtml,
}

/// An invariant.
#[derive(Debug)]
pub struct Rule {
    /// Its key in the specification ("qty-3").
    pub key: &'static str,
    /// What it demands, in words.
    pub demands: &'static str,
    /// Whether an object keeps it.
    pub holds: fn(&Map<String, Value>) -> bool,
}

/// FHIR's Reference.
#[must_use]
pub fn reference() -> &'static Structure {
    &datatypes::REFERENCE
}

const fn opt(name: &'static str, of: Of) -> Element {
    Element { name, required: false, many: false, of }
}
const fn one(name: &'static str, of: Of) -> Element {
    Element { name, required: true, many: false, of }
}
const fn many(name: &'static str, of: Of) -> Element {
    Element { name, required: false, many: true, of }
}
const fn some(name: &'static str, of: Of) -> Element {
    Element { name, required: true, many: true, of }
}
const fn choice(name: &'static str, types: &'static [(&'static str, Of)]) -> Element {
    opt(name, Of::Choice(types))
}
const fn datatype(elements: &'static [Element], rules: &'static [Rule]) -> Structure {
    Structure { base: Base::Datatype, elements, rules }
}
const fn backbone(elements: &'static [Element], rules: &'static [Rule]) -> Structure {
    Structure { base: Base::Backbone, elements, rules }
}
const fn resource(elements: &'static [Element], rules: &'static [Rule]) -> Structure {
    Structure { base: Base::Resource, elements, rules }
}
