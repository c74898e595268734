//! Invariants of R4 that a table of elements cannot say.

use super::Rule;
use crate::fhir::moment::Moment;
use serde_json::{Map, Value};

pub(super) const EXT_1: Rule = Rule {
    key: "ext-1",
    demands: "an extension has either a value or extensions, not both",
    holds: |o| o.contains_key("extension") != any_value(o),
};
pub(super) const QTY_3: Rule = Rule {
    key: "qty-3",
    demands: "a code of a unit needs the system it is from",
    holds: |o| !o.contains_key("code") || o.contains_key("system") || o.contains_key("_system"),
};
pub(super) const CPT_2: Rule = Rule {
    key: "cpt-2",
    demands: "a contact's value needs its system (phone, email, …)",
    holds: |o| !o.contains_key("value") || o.contains_key("system") || o.contains_key("_system"),
};
pub(super) const ATT_1: Rule = Rule {
    key: "att-1",
    demands: "an attachment with data needs its contentType",
    holds: |o| !o.contains_key("data") || o.contains_key("contentType") || o.contains_key("_contentType"),
};
pub(super) const PER_1: Rule = Rule {
    key: "per-1",
    demands: "a period's start is not after its end",
    holds: |o| {
        let moment = |key: &str| o.get(key).and_then(Value::as_str).and_then(Moment::parse);
        // A partial end is as late as it may be.
        moment("start").zip(moment("end")).is_none_or(|(start, end)| start.span.start < end.span.end)
    },
};
pub(super) const PAT_1: Rule = Rule {
    key: "pat-1",
    demands: "a contact has at least a name, telecom, address or organization",
    holds: |o| ["name", "telecom", "address", "organization"].iter().any(|key| o.contains_key(*key)),
};
pub(super) const AIT_1: Rule = Rule {
    key: "ait-1",
    demands: "an allergy that is not entered in error has a clinicalStatus",
    holds: |o| o.contains_key("clinicalStatus") || is_error(o),
};
pub(super) const AIT_2: Rule = Rule {
    key: "ait-2",
    demands: "an allergy entered in error has no clinicalStatus",
    holds: |o| !(o.contains_key("clinicalStatus") && is_error(o)),
};
pub(super) const OBS_3: Rule = Rule {
    key: "obs-3",
    demands: "a reference range has at least a low, a high or a text",
    holds: |o| ["low", "high", "text"].iter().any(|key| o.contains_key(*key)),
};
pub(super) const OBS_6: Rule = Rule {
    key: "obs-6",
    demands: "dataAbsentReason is there only without a value",
    holds: |o| !(o.contains_key("dataAbsentReason") && any_value(o)),
};

/// Profiles of R4 core that are looked at when a resource claims them: last part of the URL, unit its value is in.
const VITALS: &[(&str, &[&str])] = &[
    ("vitalsigns", &[]),
    ("heartrate", &["/min"]),
    ("resprate", &["/min"]),
    ("oxygensat", &["%"]),
    ("bodytemp", &["Cel", "[degF]"]),
    ("bp", &[]),
];

pub(super) const VITAL_SIGNS: Rule = Rule {
    key: "vs-2",
    demands: "a vital sign has category vital-signs, a subject, an effective time, and a value, components or the reason for none",
    holds: |o| {
        claimed(o).next().is_none()
            || (in_category(o, "vital-signs")
                && o.contains_key("subject")
                && o.keys().any(|key| key.starts_with("effective"))
                && (any_value(o) || ["dataAbsentReason", "component", "hasMember"].iter().any(|key| o.contains_key(*key))))
    },
};
pub(super) const VITAL_UNITS: Rule = Rule {
    key: "vs-unit",
    demands: "a value is in the UCUM unit that the claimed vital-signs profile fixes",
    holds: |o| {
        let Some(quantity) = o.get("valueQuantity") else { return true };
        let text = |key: &str| quantity.get(key).and_then(Value::as_str);
        claimed(o).all(|(_, units)| {
            units.is_empty()
                || (text("system") == Some("http://unitsofmeasure.org") && text("code").is_some_and(|code| units.contains(&code)))
        })
    },
};

/// Whether `verificationStatus` says entered in error.
fn is_error(object: &Map<String, Value>) -> bool {
    let codings = object.get("verificationStatus").and_then(|status| status.get("coding")).and_then(Value::as_array);
    codings.into_iter().flatten().any(|coding| coding.get("code").and_then(Value::as_str) == Some("entered-in-error"))
}

fn any_value(object: &Map<String, Value>) -> bool {
    object.keys().any(|key| key.strip_prefix('_').unwrap_or(key).strip_prefix("value").is_some_and(|rest| !rest.is_empty()))
}

fn claimed(object: &Map<String, Value>) -> impl Iterator<Item = &'static (&'static str, &'static [&'static str])> + use<'_> {
    let profiles = object.get("meta").and_then(|meta| meta.get("profile")).and_then(Value::as_array);
    profiles.into_iter().flatten().filter_map(Value::as_str).filter_map(|url| {
        let name = url.strip_prefix("http://hl7.org/fhir/StructureDefinition/")?;
        VITALS.iter().find(|(known, _)| *known == name)
    })
}

fn in_category(object: &Map<String, Value>, wanted: &str) -> bool {
    let categories = object.get("category").and_then(Value::as_array).into_iter().flatten();
    let codings = categories.filter_map(|category| category.get("coding")?.as_array()).flatten();
    codings.into_iter().any(|coding| coding.get("code").and_then(Value::as_str) == Some(wanted))
}
