//! Structural validation of a resource against its element definitions: every fault at once, each with its place.
//!
//! Looked at: unknown and missing elements, JSON types, lists against single values, formats, required bindings, choice
//! and reference types, empty values, the invariants of [`super::structure`]. Not looked at: terminology, slicing,
//! profiles other than the vital signs', whether referenced resources exist.

use super::outcome::{ISSUES_MAX, Issue, quoted};
use super::primitive::{wrong_format, wrong_json};
use super::resources;
use super::structure::{Base, Element, Of, Primitive, Structure};
use serde_json::{Map, Value};

/// Deepest nesting of elements.
const DEPTH_MAX: usize = 48;

/// What is wrong with a resource of a type of the table; empty if nothing is.
#[must_use]
pub fn validate(resource: &Value) -> Vec<Issue> {
    let Some(object) = resource.as_object() else {
        return vec![Issue::error("structure", "a resource must be a JSON object")];
    };
    let Some(name) = object.get("resourceType").and_then(Value::as_str) else {
        return vec![Issue::error("structure", "resourceType is missing: the body must be a FHIR resource")];
    };
    let Some(row) = resources::find(name) else {
        return vec![Issue::error("not-supported", format!("{} is not a resource type kept here", quoted(name))).at("resourceType")];
    };
    let mut walk = Walk { issues: Vec::new(), contained: false };
    walk.object(row.name, row.structure, object, 0);
    walk.issues
}

struct Walk {
    issues: Vec<Issue>,
    contained: bool,
}

impl Walk {
    fn error(&mut self, code: &'static str, path: &str, text: String) {
        // One past the limit, so that the outcome says there are more.
        if self.issues.len() <= ISSUES_MAX {
            self.issues.push(Issue::error(code, text).at(path));
        }
    }

    fn object(&mut self, path: &str, structure: &'static Structure, object: &Map<String, Value>, depth: usize) {
        if depth > DEPTH_MAX {
            return self.error("too-long", path, format!("elements are nested more than {DEPTH_MAX} deep"));
        }
        if self.issues.len() > ISSUES_MAX {
            return;
        }
        let is_resource = structure.base == Base::Resource;
        if object.keys().all(|key| key == "id" || key == "resourceType") && !is_resource {
            // ele-1: an id alone says nothing.
            return self.error("structure", path, "an element must have a value or children".to_owned());
        }
        for (key, value) in object {
            if is_resource && key == "resourceType" {
                continue;
            }
            let (name, beside) = key.strip_prefix('_').map_or((key.as_str(), false), |name| (name, true));
            match find(structure, name) {
                Some((element, of)) if beside => self.beside(path, name, element, of, value, object.get(name), depth),
                Some((element, of)) => self.element(path, name, element, of, value, object.get(&format!("_{name}")), depth),
                None => self.unknown(path, key),
            }
        }
        for element in structure.elements {
            self.presence(path, element, object);
        }
        for rule in structure.rules {
            if !(rule.holds)(object) {
                self.error("invariant", path, format!("{}: {}", rule.key, rule.demands));
            }
        }
    }

    fn unknown(&mut self, path: &str, key: &str) {
        let plain = key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let place = if plain && !key.is_empty() { format!("{path}.{key}") } else { path.to_owned() };
        self.error("structure", &place, format!("{} is not an element of {path} in FHIR R4", quoted(key)));
    }

    fn presence(&mut self, path: &str, element: &Element, object: &Map<String, Value>) {
        let has = |name: &str| object.contains_key(name) || object.contains_key(&format!("_{name}"));
        if let Of::Choice(types) = &element.of {
            let present = types.iter().filter(|(suffix, _)| has(&format!("{}{suffix}", element.name))).count();
            if present > 1 {
                self.error("structure", &format!("{path}.{}", element.name), format!("{}[x] may have one type only", element.name));
            } else if present == 0 && element.required {
                self.error("required", &format!("{path}.{}", element.name), format!("{}[x] is required", element.name));
            }
        } else if element.required && !has(element.name) {
            self.error("required", &format!("{path}.{}", element.name), format!("{} is required", element.name));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one element and all that its check needs, passed down one step")]
    fn element(&mut self, path: &str, name: &str, element: &Element, of: &'static Of, value: &Value, beside: Option<&Value>, depth: usize) {
        let path = format!("{path}.{}", expression(name, element));
        match (element.many, value) {
            (true, Value::Array(items)) if items.is_empty() => {
                self.error("structure", &path, format!("{name} is an empty list: leave it out"));
            }
            (true, Value::Array(items)) => {
                let beside = beside.and_then(Value::as_array);
                for (index, item) in items.iter().enumerate() {
                    // A null holds the place of a primitive that has only extensions.
                    let extended = beside.and_then(|list| list.get(index)).is_some_and(Value::is_object);
                    if !(item.is_null() && extended && is_primitive(of)) {
                        self.value(&format!("{path}[{index}]"), of, item, depth);
                    }
                }
            }
            (true, _) => self.error("structure", &path, format!("{name} must be a list, even of one")),
            (false, Value::Array(_)) => self.error("structure", &path, format!("{name} must be single, not a list")),
            (false, _) => self.value(&path, of, value, depth),
        }
    }

    /// The `_name` beside a primitive: its id and extensions.
    #[expect(clippy::too_many_arguments, reason = "one element and all that its check needs, passed down one step")]
    fn beside(&mut self, path: &str, name: &str, element: &Element, of: &Of, value: &Value, primary: Option<&Value>, depth: usize) {
        if !is_primitive(of) {
            return self.unknown(path, &format!("_{name}"));
        }
        static EXTENDED: Structure = Structure { base: Base::Datatype, elements: &[], rules: &[] };
        let path = format!("{path}.{}", expression(name, element));
        let one = |walk: &mut Self, path: &str, value: &Value| match value.as_object() {
            Some(object) => walk.object(path, &EXTENDED, object, depth + 1),
            None => walk.error("structure", path, format!("_{name} must be an object with id or extension")),
        };
        match (element.many, value) {
            (false, value) => one(self, &path, value),
            (true, Value::Array(items)) if !items.is_empty() => {
                let primary = primary.and_then(Value::as_array);
                for (index, item) in items.iter().enumerate() {
                    let stands = primary.and_then(|list| list.get(index)).is_some_and(|v| !v.is_null());
                    if !(item.is_null() && stands) {
                        one(self, &format!("{path}[{index}]"), item);
                    }
                }
            }
            (true, _) => self.error("structure", &path, format!("_{name} must be a list with an item for each {name}")),
        }
    }

    fn value(&mut self, path: &str, of: &'static Of, value: &Value, depth: usize) {
        match of {
            Of::Primitive(primitive) => self.primitive(path, *primitive, value),
            Of::Code(codes) => match value.as_str() {
                Some(code) if codes.contains(&code) => {}
                Some(code) => self.error("code-invalid", path, format!("{} is not one of {}", quoted(code), codes.join(", "))),
                None => self.wrong_type(path, "a string", value),
            },
            Of::Complex(structure) => match value.as_object() {
                Some(object) => self.object(path, structure, object, depth + 1),
                None => self.wrong_type(path, "an object", value),
            },
            Of::Reference(targets) => match value.as_object() {
                Some(object) => {
                    self.object(path, super::structure::reference(), object, depth + 1);
                    self.target(path, targets, object);
                }
                None => self.wrong_type(path, "a Reference object such as {\"reference\": \"Patient/p1\"}", value),
            },
            Of::Resource => self.contained(path, value, depth),
            Of::Opaque => {
                if value.as_object().is_none_or(Map::is_empty) {
                    self.wrong_type(path, "an object that is not empty", value);
                }
            }
            // A choice is resolved to one of its types before it gets here.
            Of::Choice(_) => {}
        }
    }

    fn primitive(&mut self, path: &str, primitive: Primitive, value: &Value) {
        if let Some(expected) = wrong_json(primitive, value) {
            self.wrong_type(path, expected, value);
        } else if let Some(expected) = wrong_format(primitive, value) {
            let got = value.as_str().map_or_else(|| value.to_string(), quoted);
            self.error("value", path, format!("expected {expected}, got {got}"));
        }
    }

    fn wrong_type(&mut self, path: &str, expected: &str, value: &Value) {
        let got = match value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "an object",
        };
        self.error("structure", path, format!("expected {expected}, got {got}"));
    }

    fn target(&mut self, path: &str, targets: &[&str], reference: &Map<String, Value>) {
        let Some(text) = reference.get("reference").and_then(Value::as_str) else { return };
        let absolute = text.contains("://");
        if text.starts_with('#') || text.starts_with("urn:") {
            return;
        }
        match referenced_type(text) {
            Some(kind) if targets.is_empty() || targets.contains(&kind) => {}
            Some(kind) => self.error("structure", path, format!("refers to a {kind}; allowed are {}", targets.join(", "))),
            None if absolute => {}
            None => self.error("value", path, format!("{} is not a reference of the form Type/id", quoted(text))),
        }
    }

    fn contained(&mut self, path: &str, value: &Value, depth: usize) {
        let Some(object) = value.as_object() else { return self.wrong_type(path, "a resource", value) };
        let Some(name) = object.get("resourceType").and_then(Value::as_str) else {
            return self.error("required", &format!("{path}.resourceType"), "a contained resource needs its resourceType".to_owned());
        };
        if object.contains_key("contained") || self.contained {
            return self.error("invariant", path, "dom-2: a contained resource contains no others".to_owned());
        }
        if let Some(row) = resources::find(name) {
            self.contained = true;
            self.object(path, row.structure, object, depth + 1);
            self.contained = false;
        }
    }
}

/// The type a reference names: of `Patient/p1`, `Patient/p1/_history/2`, `Patient?identifier=x` and URLs ending so.
pub(super) fn referenced_type(text: &str) -> Option<&str> {
    let type_name = |part: &str| part.starts_with(|c: char| c.is_ascii_uppercase()) && part.bytes().all(|b| b.is_ascii_alphabetic());
    if let Some((before, _)) = text.split_once('?') {
        return before.rsplit('/').next().filter(|part| type_name(part));
    }
    let current = text.split_once("/_history/").map_or(text, |(current, _)| current);
    let mut parts = current.rsplit('/');
    let id = parts.next()?;
    let kind = parts.next()?;
    let relative_or_url = parts.next().is_none() || text.contains("://");
    (relative_or_url && crate::id::is_fhir_id(id) && type_name(kind)).then_some(kind)
}

/// The element a JSON key stands for, and what it holds there.
fn find(structure: &'static Structure, key: &str) -> Option<(&'static Element, &'static Of)> {
    structure.base.elements().iter().chain(structure.elements).find_map(|element| match &element.of {
        Of::Choice(types) => {
            let suffix = key.strip_prefix(element.name)?;
            types.iter().find(|(name, _)| *name == suffix).map(|(_, of)| (element, of))
        }
        of => (element.name == key).then_some((element, of)),
    })
}

/// FHIRPath names a choice without its type.
fn expression<'a>(key: &'a str, element: &'a Element) -> &'a str {
    if matches!(element.of, Of::Choice(_)) { element.name } else { key }
}

fn is_primitive(of: &Of) -> bool {
    matches!(of, Of::Primitive(_) | Of::Code(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn places(resource: Value) -> Vec<(&'static str, String)> {
        validate(&resource).into_iter().map(|issue| (issue.code, issue.expression.unwrap_or_default())).collect()
    }

    #[test]
    fn every_fault_is_told_at_once_with_its_place() {
        let got = places(json!({
            "resourceType": "Patient", "foo": 1, "gender": "F", "birthDate": "03/02/1980", "photo": [],
            "name": [{"family": "A", "given": "B"}], "contact": [{"gender": "female"}],
            "deceasedBoolean": true, "deceasedDateTime": "2020-01-01", "managingOrganization": {"reference": "Patient/x"},
        }));
        for want in [
            ("structure", "Patient.foo"),
            ("code-invalid", "Patient.gender"),
            ("value", "Patient.birthDate"),
            ("structure", "Patient.photo"),
            ("structure", "Patient.name[0].given"),
            ("invariant", "Patient.contact[0]"),
            ("structure", "Patient.deceased"),
            ("structure", "Patient.managingOrganization"),
        ] {
            assert!(got.contains(&(want.0, want.1.to_owned())), "{want:?} in {got:?}");
        }
        assert_eq!(got.len(), 8);
    }

    #[test]
    fn a_primitive_may_have_extensions_beside_or_instead_of_its_value() {
        let absent = json!({"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]});
        let good = json!({
            "resourceType": "Patient", "_birthDate": absent,
            "name": [{"given": ["A", null], "_given": [null, absent]}],
        });
        assert_eq!(places(good), []);
        let bad = json!({"resourceType": "Patient", "name": [{"given": [null]}], "_name": {"id": "x"}, "_gender": {}});
        assert_eq!(places(bad).len(), 3);
    }

    #[test]
    fn required_elements_are_named() {
        let got = places(json!({"resourceType": "Encounter"}));
        assert_eq!(got, [("required", "Encounter.status".to_owned()), ("required", "Encounter.class".to_owned())]);
    }

    #[test]
    fn a_contained_resource_is_checked_and_contains_no_other() {
        let inner = json!({"resourceType": "Patient", "id": "p", "gender": "x"});
        let got = places(json!({"resourceType": "Device", "contained": [inner], "patient": {"reference": "#p"}}));
        assert_eq!(got, [("code-invalid", "Device.contained[0].gender".to_owned())]);
        let nested = json!({"resourceType": "Patient", "contained": [{"resourceType": "Patient"}]});
        assert_eq!(places(json!({"resourceType": "Device", "contained": [nested]})).len(), 1);
    }

    #[test]
    fn a_reference_names_its_type_in_all_its_forms() {
        for (text, kind) in [
            ("Patient/p1", Some("Patient")),
            ("Patient/p1/_history/3", Some("Patient")),
            ("http://example.org/fhir/Patient/p1", Some("Patient")),
            ("Patient?identifier=x", Some("Patient")),
            ("p1", None),
            ("Patient/", None),
            ("a/Patient/p1", None),
        ] {
            assert_eq!(referenced_type(text), kind, "{text}");
        }
    }
}
