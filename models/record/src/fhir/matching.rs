//! Whether a document is what a search asks for.

use super::moment::{Moment, Span};
use super::resources::{Kind, Parameter};
use super::search::{Filter, Modifier, Prefix, Wanted};
use serde_json::Value;

/// Whether a resource passes all filters.
#[must_use]
pub fn matches(resource: &Value, filters: &[Filter], base_url: &str) -> bool {
    filters.iter().all(|filter| passes(resource, filter, base_url))
}

fn passes(resource: &Value, filter: &Filter, base_url: &str) -> bool {
    let found: Vec<&Value> = filter.parameter.paths.iter().flat_map(|path| at(resource, path)).collect();
    let any = |test: &dyn Fn(&Value, &Wanted) -> bool| filter.values.iter().any(|wanted| found.iter().any(|value| test(value, wanted)));
    match (filter.modifier, filter.parameter.kind) {
        (Modifier::Missing, _) => filter.values.contains(&Wanted::Missing(found.is_empty())),
        (Modifier::Not, _) => !any(&is_token),
        (modifier, Kind::Text) => any(&|value, wanted| is_text(value, wanted, modifier)),
        (_, Kind::Token) => any(&is_token),
        (_, Kind::Date) => any(&is_date),
        (_, Kind::Reference) => any(&|value, wanted| is_reference(value, wanted, base_url)),
    }
}

/// The text a resource is sorted by; resources without one come last.
#[must_use]
pub fn sort_key(resource: &Value, parameter: &Parameter) -> String {
    const LAST: &str = "\u{10ffff}";
    let first = parameter.paths.iter().flat_map(|path| at(resource, path)).next();
    let key = first.and_then(|value| match parameter.kind {
        // The sign bit is turned so that text order is the order of moments.
        Kind::Date => span(value).map(|span| format!("{:016x}", (span.start.0 as u64) ^ (1 << 63))),
        _ => value.as_str().map(fold),
    });
    key.unwrap_or_else(|| LAST.to_owned())
}

/// Every value at a dotted path, lists looked through.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut found = vec![value];
    for name in path.split('.') {
        found = found.into_iter().filter_map(|value| value.get(name)).flat_map(flat).collect();
    }
    found
}

fn flat(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Array(items) => Box::new(items.iter()),
        one => Box::new(std::iter::once(one)),
    }
}

fn is_token(value: &Value, wanted: &Wanted) -> bool {
    let Wanted::Token { system, code } = wanted else { return false };
    let same = |code: &Option<String>, got: &str| code.as_deref().is_none_or(|code| code.eq_ignore_ascii_case(got));
    match value {
        Value::Bool(flag) => same(code, if *flag { "true" } else { "false" }),
        // A bare code's system is that of its binding, which it does not state.
        Value::String(text) => same(code, text),
        Value::Object(object) => {
            if let Some(Value::Array(codings)) = object.get("coding") {
                return codings.iter().any(|coding| is_token(coding, wanted));
            }
            let own_system = object.get("system").and_then(Value::as_str).unwrap_or("");
            // A Coding has a code, an Identifier a value.
            let own_code = object.get("code").or_else(|| object.get("value")).and_then(Value::as_str);
            system.as_deref().is_none_or(|system| system == own_system) && own_code.map_or(code.is_none(), |own| same(code, own))
        }
        _ => false,
    }
}

fn is_text(value: &Value, wanted: &Wanted, modifier: Modifier) -> bool {
    let (Some(text), Wanted::Text(wanted)) = (value.as_str(), wanted) else { return false };
    match modifier {
        Modifier::Exact => text == wanted,
        Modifier::Contains => fold(text).contains(&fold(wanted)),
        _ => fold(text).starts_with(&fold(wanted)),
    }
}

fn is_date(value: &Value, wanted: &Wanted) -> bool {
    let (Some(target), Wanted::Date(prefix, span)) = (span(value), wanted) else { return false };
    match prefix {
        Prefix::Eq => span.contains(&target),
        Prefix::Ne => !span.contains(&target),
        Prefix::Gt => target.end > span.end,
        Prefix::Lt => target.start < span.start,
        Prefix::Ge => target.end > span.end || span.contains(&target),
        Prefix::Le => target.start < span.start || span.contains(&target),
        Prefix::Sa => target.start >= span.end,
        Prefix::Eb => target.end <= span.start,
        Prefix::Ap => span.overlaps(&target),
    }
}

/// What a date, dateTime, instant or Period covers; a Period without an end has not ended.
fn span(value: &Value) -> Option<Span> {
    match value {
        Value::String(text) => Moment::parse(text).map(|moment| moment.span),
        Value::Object(period) => {
            let moment = |key: &str| period.get(key).and_then(Value::as_str).and_then(Moment::parse);
            let (start, end) = (moment("start"), moment("end"));
            (start.is_some() || end.is_some()).then(|| Span {
                start: start.map_or(Span::ALWAYS.start, |m| m.span.start),
                end: end.map_or(Span::ALWAYS.end, |m| m.span.end),
            })
        }
        _ => None,
    }
}

fn is_reference(value: &Value, wanted: &Wanted, base_url: &str) -> bool {
    let Wanted::Reference(wanted) = wanted else { return false };
    let Some(text) = value.get("reference").and_then(Value::as_str) else { return false };
    let relative = relative(text, base_url);
    relative == wanted || (!wanted.contains('/') && relative.split_once('/').is_some_and(|(_, id)| id == wanted))
}

/// A reference to a resource of this server without the server's address and the version.
pub(super) fn relative<'a>(text: &'a str, base_url: &str) -> &'a str {
    let local = text.strip_prefix(base_url).map_or(text, |rest| rest.trim_start_matches('/'));
    local.split_once("/_history/").map_or(local, |(current, _)| current)
}

/// Lower case without the marks of Latin letters, so that "Jose" finds "José".
pub(super) fn fold(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).filter(|c| !('\u{300}'..='\u{36f}').contains(c)).map(plain).collect()
}

fn plain(c: char) -> char {
    match c {
        'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' | 'ạ'..='ặ' => 'a',
        'ç' | 'ć'..='č' => 'c',
        'ď' | 'đ' => 'd',
        'è'..='ë' | 'ē'..='ě' | 'ẹ'..='ệ' => 'e',
        'ĝ'..='ģ' => 'g',
        'ì'..='ï' | 'ĩ'..='į' | 'ı' | 'ỉ'..='ị' => 'i',
        'ñ' | 'ń'..='ň' => 'n',
        'ò'..='ö' | 'ø' | 'ō'..='ő' | 'ọ'..='ợ' | 'ơ' => 'o',
        'ŕ'..='ř' => 'r',
        'ś'..='š' | 'ș' => 's',
        'ţ'..='ŧ' | 'ț' => 't',
        'ù'..='ü' | 'ũ'..='ų' | 'ụ'..='ự' | 'ư' => 'u',
        'ý' | 'ÿ' | 'ỳ'..='ỹ' => 'y',
        'ź'..='ž' => 'z',
        'ł' | 'ĺ'..='ľ' => 'l',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::resources::find;
    use crate::fhir::search::parse;
    use crate::time::Timestamp;
    use serde_json::json;

    fn finds(resource: &Value, key: &str, value: &str) -> bool {
        let row = find(resource["resourceType"].as_str().expect("type")).expect("row");
        let now = Timestamp::parse("2026-11-22T00:00:00Z").expect("now");
        let search = parse(row, &[(key.to_owned(), value.to_owned())], true, "http://box/fhir/R4", now).expect("search");
        matches(resource, &search.filters, "http://box/fhir/R4")
    }

    fn patient() -> Value {
        json!({
            "resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1980-02-03", "active": true,
            "identifier": [{"system": "urn:mrn", "value": "12"}],
            "name": [{"family": "Nuñez", "given": ["María", "José"]}],
        })
    }

    #[test]
    fn a_name_is_found_from_its_beginning_case_and_accents_aside() {
        for (key, value) in [("name", "nunez"), ("given", "JOSE"), ("name:contains", "ari"), ("family:exact", "Nuñez")] {
            assert!(finds(&patient(), key, value), "{key}={value}");
        }
        assert!(!finds(&patient(), "family", "unez") && !finds(&patient(), "family:exact", "Nunez"));
    }

    #[test]
    fn tokens_match_with_and_without_their_system() {
        for value in ["12", "urn:mrn|12", "urn:mrn|", "x,12"] {
            assert!(finds(&patient(), "identifier", value), "{value}");
        }
        assert!(!finds(&patient(), "identifier", "|12") && !finds(&patient(), "identifier", "urn:other|12"));
        assert!(finds(&patient(), "gender:not", "male") && finds(&patient(), "active", "true"));
        assert!(finds(&patient(), "birthdate:missing", "false") && !finds(&patient(), "gender:missing", "true"));
    }

    #[test]
    fn dates_are_compared_as_spans() {
        for value in ["1980", "1980-02", "1980-02-03", "ge1980-02-03", "le1980", "gt1980-02-02", "lt1981", "ap1981", "ne1979", "sa1979"] {
            assert!(finds(&patient(), "birthdate", value), "{value}");
        }
        for value in ["gt1980", "lt1980-02-03", "1981", "sa1980-02", "eb1980-02"] {
            assert!(!finds(&patient(), "birthdate", value), "{value}");
        }
    }

    #[test]
    fn an_encounter_without_an_end_has_not_ended() {
        let encounter = json!({
            "resourceType": "Encounter", "subject": {"reference": "http://box/fhir/R4/Patient/p1"}, "class": {"code": "IMP"},
            "period": {"start": "2026-01-01T10:00:00Z"},
        });
        assert!(finds(&encounter, "date", "ge2026-05-01") && !finds(&encounter, "date", "2026-01-01"));
        for value in ["p1", "Patient/p1"] {
            assert!(finds(&encounter, "patient", value), "{value}");
        }
        assert!(!finds(&encounter, "patient", "Group/p1") && finds(&encounter, "class", "imp"));
    }
}
