//! Whether a JSON value is a FHIR primitive of a type.

use super::moment::{self, Moment};
use super::structure::Primitive;
use crate::id::is_fhir_id;
use serde_json::Value;

/// Longest string, bytes.
const STRING_MAX: usize = 1024 * 1024;
/// Longest decimal, characters: more than twice the digits FHIR asks for.
const DECIMAL_MAX: usize = 40;

/// What JSON a primitive must be; `None` if it is.
pub(super) fn wrong_json(primitive: Primitive, value: &Value) -> Option<&'static str> {
    match primitive {
        Primitive::Boolean => (!value.is_boolean()).then_some("true or false"),
        Primitive::Decimal | Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => {
            (!value.is_number()).then_some("a number, without quotes")
        }
        _ => (!value.is_string()).then_some("a string"),
    }
}

/// What a value of the right JSON type must look like; `None` if it does.
pub(super) fn wrong_format(primitive: Primitive, value: &Value) -> Option<&'static str> {
    let whole = |from: i64| !value.as_i64().is_some_and(|n| (from..=i64::from(i32::MAX)).contains(&n));
    match primitive {
        Primitive::Boolean => return None,
        // Kept digit by digit, so that their number must have an end.
        Primitive::Decimal => return (value.to_string().len() > DECIMAL_MAX).then_some("a number of at most 40 characters"),
        Primitive::Integer => return whole(i64::from(i32::MIN)).then_some("a whole number of 32 bits"),
        Primitive::UnsignedInt => return whole(0).then_some("a whole number, 0 or more"),
        Primitive::PositiveInt => return whole(1).then_some("a whole number, 1 or more"),
        _ => {}
    }
    let text = value.as_str()?;
    let refused = text.is_empty() || text.len() > STRING_MAX || !text_matches(primitive, text);
    refused.then_some(match primitive {
        Primitive::Date => "a date: YYYY, YYYY-MM or YYYY-MM-DD",
        Primitive::DateTime => "a date, or a time to the second with a zone such as 2026-01-31T10:20:30+02:00",
        Primitive::Instant => "a time to the second with a zone such as 2026-01-31T10:20:30Z",
        Primitive::Time => "a time of day: hh:mm:ss",
        Primitive::Id => "1 to 64 of A-Z a-z 0-9 - .",
        Primitive::Code => "a code without leading, trailing or double white space",
        Primitive::Uri | Primitive::Canonical => "a URI without white space",
        Primitive::Oid => "urn:oid: and an OID",
        Primitive::Uuid => "urn:uuid: and a UUID in lower case",
        Primitive::Base64Binary => "base64",
        Primitive::Xhtml => "one <div> of XHTML without scripts, forms, event handlers or outside frames",
        _ => "text that is not empty, has no control characters and at most 1 MiB",
    })
}

fn text_matches(primitive: Primitive, text: &str) -> bool {
    match primitive {
        Primitive::Date => Moment::parse(text).is_some_and(|m| m.is_date()),
        Primitive::DateTime => Moment::parse(text).is_some_and(|m| m.is_date_time()),
        Primitive::Instant => Moment::parse(text).is_some_and(|m| m.is_instant()),
        Primitive::Time => moment::is_time(text),
        Primitive::Id => is_fhir_id(text),
        Primitive::Code => is_code(text),
        Primitive::Uri | Primitive::Canonical => !text.contains(char::is_whitespace) && is_text(text),
        Primitive::Oid => text.strip_prefix("urn:oid:").is_some_and(is_oid),
        Primitive::Uuid => text.strip_prefix("urn:uuid:").is_some_and(is_uuid),
        Primitive::Base64Binary => is_base64(text),
        Primitive::Xhtml => is_xhtml(text),
        _ => is_text(text) && text.contains(|c: char| !c.is_whitespace()),
    }
}

fn is_text(text: &str) -> bool {
    text.bytes().all(|b| b >= 32 || matches!(b, b'\t' | b'\n' | b'\r'))
}

fn is_code(text: &str) -> bool {
    is_text(text) && text.split(char::is_whitespace).all(|word| !word.is_empty())
}

fn is_oid(text: &str) -> bool {
    let mut arcs = text.split('.');
    matches!(arcs.next(), Some("0" | "1" | "2"))
        && text.contains('.')
        && arcs.all(|arc| !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0')))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok() && !text.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_base64(text: &str) -> bool {
    let symbols = text.bytes().filter(|b| !b.is_ascii_whitespace());
    let (mut count, mut padding) = (0usize, 0usize);
    for symbol in symbols {
        count += 1;
        match symbol {
            b'=' => padding += 1,
            _ if padding > 0 => return false,
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {}
            _ => return false,
        }
    }
    count % 4 == 0 && padding <= 2
}

/// Narrative is shown by other systems as it is, so active content is refused here. Not a full XHTML check.
fn is_xhtml(text: &str) -> bool {
    let lower = text.trim().to_ascii_lowercase();
    let active = ["<script", "<iframe", "<object", "<embed", "<form", "<input", "<link", "<base", "<meta", "javascript:"];
    lower.starts_with("<div")
        && (lower.ends_with("</div>") || lower.ends_with("/>"))
        && is_text(text)
        && !active.iter().any(|word| lower.contains(word))
        && !has_event_handler(&lower)
}

/// Whether some tag has an attribute `on…=`.
fn has_event_handler(lower: &str) -> bool {
    lower.split('<').skip(1).filter_map(|tag| tag.split('>').next()).any(|tag| {
        let before_equals = tag.rsplit_once('=').map_or("", |(before, _)| before).split('=');
        let mut names = before_equals.map(|text| text.trim_end().rsplit(|c: char| c.is_whitespace() || "\"'/".contains(c)).next());
        names.any(|name| name.is_some_and(|n| n.len() > 3 && n.starts_with("on") && n.bytes().all(|b| b.is_ascii_alphabetic())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ok(primitive: Primitive, value: Value) -> bool {
        wrong_json(primitive, &value).is_none() && wrong_format(primitive, &value).is_none()
    }

    #[test]
    fn each_format_takes_what_the_specification_takes() {
        assert!(ok(Primitive::Code, json!("a b")) && !ok(Primitive::Code, json!("a  b")) && !ok(Primitive::Code, json!(" a")));
        assert!(ok(Primitive::Oid, json!("urn:oid:1.2.3")) && !ok(Primitive::Oid, json!("urn:oid:3.2")));
        assert!(!ok(Primitive::Oid, json!("urn:oid:1.02")) && !ok(Primitive::Oid, json!("1.2.3")));
        assert!(ok(Primitive::Base64Binary, json!("QUJD")) && !ok(Primitive::Base64Binary, json!("QUJ")));
        assert!(ok(Primitive::Integer, json!(-3)) && !ok(Primitive::Integer, json!(1.5)) && !ok(Primitive::PositiveInt, json!(0)));
        let digits = |text: &str| serde_json::from_str::<Value>(text).expect("number");
        assert!(ok(Primitive::Decimal, digits("1.10")) && !ok(Primitive::Decimal, digits(&format!("1.{}", "0".repeat(40)))));
        assert!(ok(Primitive::Decimal, json!(36.6)) && !ok(Primitive::Decimal, json!("36.6")));
        assert!(!ok(Primitive::String, json!("")) && !ok(Primitive::String, json!("a\u{0}b")) && !ok(Primitive::String, json!(" ")));
    }

    #[test]
    fn a_narrative_that_would_act_is_refused() {
        assert!(ok(Primitive::Xhtml, json!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>only on=off</p></div>")));
        for bad in ["text", "<div><script>x</script></div>", "<div><p onclick=\"x()\">a</p></div>", "<div><a href=\"javascript:x\"/></div>"]
        {
            assert!(!ok(Primitive::Xhtml, json!(bad)), "{bad}");
        }
    }
}
