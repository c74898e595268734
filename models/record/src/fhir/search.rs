//! What a search asks: parameters read into filters, bounded, with what was understood kept for the self link.

use super::moment::{Moment, Span};
use super::outcome::{Issue, quoted};
use super::resources::{Kind, Lives, Parameter, Resource};
use super::validate::referenced_type;
use crate::id::PatientId;
use crate::time::Timestamp;

/// Most parameters of one search.
pub const PARAMETERS_MAX: usize = 32;
/// Most values of one parameter.
pub const VALUES_MAX: usize = 50;
/// Longest value, bytes.
pub const VALUE_MAX: usize = 1024;
/// Most resources of one page.
pub const COUNT_MAX: usize = 200;
/// Resources of a page if nothing is said.
pub const COUNT_DEFAULT: usize = 50;

/// A search, read.
#[derive(Clone, Debug)]
pub struct Search {
    /// All must hold.
    pub filters: Vec<Filter>,
    /// Resources of a page.
    pub count: usize,
    /// Order, if one was asked for.
    pub sort: Option<Sort>,
    /// Where the last page ended, as its next link said.
    pub cursor: Option<String>,
    /// Only the total is wanted (`_summary=count`).
    pub count_only: bool,
    /// Parameters understood, for the self link; without the cursor.
    pub used: Vec<(String, String)>,
    /// The patient the filters name and those whom it replaces; filled in by whoever can read links.
    pub patients: Vec<PatientId>,
}

/// One parameter: any of its values must hold.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Which.
    pub parameter: &'static Parameter,
    /// How it is changed.
    pub modifier: Modifier,
    /// The alternatives.
    pub values: Vec<Wanted>,
}

/// What follows a parameter's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Modifier {
    /// Nothing.
    None,
    /// `:exact`, of text.
    Exact,
    /// `:contains`, of text.
    Contains,
    /// `:not`, of tokens.
    Not,
    /// `:missing`.
    Missing,
}

/// One value searched for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// A token; `system` is empty for "has none" and absent for "any".
    Token {
        /// Code system or identifier system.
        system: Option<String>,
        /// Code or identifier; absent for "any of the system".
        code: Option<String>,
    },
    /// Text as given.
    Text(String),
    /// A moment.
    Date(Prefix, Span),
    /// A reference, relative (`Patient/p1`); an id alone fits any type.
    Reference(String),
    /// Whether the element is missing.
    Missing(bool),
}

/// How a date is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names are the specification's")]
pub enum Prefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    Sa,
    Eb,
    Ap,
}

/// An order.
#[derive(Clone, Copy, Debug)]
pub struct Sort {
    /// By which parameter.
    pub by: &'static Parameter,
    /// Greatest first.
    pub descending: bool,
}

/// The query parameter that carries the cursor.
pub(super) const CURSOR: &str = "_cursor";

/// Reads a query.
///
/// # Errors
/// Every fault of it: values that cannot be read, modifiers that are not supported and, if `strict`, unknown parameters.
pub fn parse(
    row: &'static Resource,
    query: &[(String, String)],
    strict: bool,
    base_url: &str,
    now: Timestamp,
) -> Result<Search, Vec<Issue>> {
    let mut search = Search {
        filters: Vec::new(),
        count: COUNT_DEFAULT,
        sort: None,
        cursor: None,
        count_only: false,
        used: Vec::new(),
        patients: Vec::new(),
    };
    let mut issues = Vec::new();
    if query.len() > PARAMETERS_MAX {
        return Err(vec![Issue::error("too-costly", format!("at most {PARAMETERS_MAX} search parameters"))]);
    }
    for (key, value) in query {
        // An empty value says nothing, as the specification has it.
        if value.is_empty() {
            continue;
        }
        if value.len() > VALUE_MAX {
            issues.push(Issue::error("too-long", format!("a value may have at most {VALUE_MAX} bytes")).at(place(key)));
            continue;
        }
        let used = match parse_one(row, &mut search, key, value, base_url, now) {
            Ok(used) => used,
            Err(issue) => {
                issues.push(issue.at(place(key)));
                continue;
            }
        };
        match used {
            Used::Yes => search.used.push((key.clone(), value.clone())),
            Used::Quietly => {}
            Used::No if strict => {
                let known: Vec<&str> = row.search.iter().map(|parameter| parameter.name).collect();
                let text = format!("{} is not a search parameter of {} here; known are {}", quoted(key), row.name, known.join(", "));
                issues.push(Issue::error("not-supported", text).at(place(key)));
            }
            Used::No => {}
        }
    }
    if issues.is_empty() { Ok(search) } else { Err(issues) }
}

enum Used {
    Yes,
    Quietly,
    No,
}

fn parse_one(row: &'static Resource, search: &mut Search, key: &str, value: &str, base_url: &str, now: Timestamp) -> Result<Used, Issue> {
    match key {
        "_count" => {
            let count: usize =
                value.parse().map_err(|_| Issue::error("value", format!("_count must be a whole number, got {}", quoted(value))))?;
            search.count_only |= count == 0;
            search.count = count.clamp(1, COUNT_MAX);
            return Ok(Used::Yes);
        }
        "_sort" => {
            search.sort = Some(parse_sort(row, value)?);
            return Ok(Used::Yes);
        }
        CURSOR => {
            let text = hex::decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            search.cursor =
                Some(text.ok_or_else(|| Issue::error("value", "the cursor is none that was given out: start the search again"))?);
            return Ok(Used::Quietly);
        }
        "_summary" if value == "count" => {
            search.count_only = true;
            return Ok(Used::Yes);
        }
        // How the answer is written is the HTTP layer's affair.
        "_format" | "_pretty" => return Ok(Used::Quietly),
        _ => {}
    }
    let (name, modifier) = key.split_once(':').map_or((key, None), |(name, modifier)| (name, Some(modifier)));
    let Some(parameter) = row.parameter(name) else { return Ok(Used::No) };
    let filter = parse_filter(parameter, modifier, value, base_url, now)?;
    search.filters.push(filter);
    Ok(Used::Yes)
}

fn parse_filter(
    parameter: &'static Parameter,
    modifier: Option<&str>,
    value: &str,
    base_url: &str,
    now: Timestamp,
) -> Result<Filter, Issue> {
    let (modifier, reference_type) = match (modifier, parameter.kind) {
        (None, _) => (Modifier::None, None),
        (Some("missing"), _) => (Modifier::Missing, None),
        (Some("exact"), Kind::Text) => (Modifier::Exact, None),
        (Some("contains"), Kind::Text) => (Modifier::Contains, None),
        (Some("not"), Kind::Token) => (Modifier::Not, None),
        (Some("Patient"), Kind::Reference) => (Modifier::None, Some("Patient")),
        (Some("Device"), Kind::Reference) => (Modifier::None, Some("Device")),
        // A modifier that is ignored would change what is found: it must be refused, in lenient searches too.
        (Some(other), _) => return Err(Issue::error("not-supported", format!("the modifier {} is not supported here", quoted(other)))),
    };
    let values = split_unescaped(value, ',');
    if values.len() > VALUES_MAX {
        return Err(Issue::error("too-costly", format!("at most {VALUES_MAX} values")));
    }
    let read = |text: &String| match (modifier, parameter.kind) {
        (Modifier::Missing, _) => match text.as_str() {
            "true" => Ok(Wanted::Missing(true)),
            "false" => Ok(Wanted::Missing(false)),
            _ => Err(Issue::error("value", "expected true or false")),
        },
        (_, Kind::Token) => Ok(token(text)),
        (_, Kind::Text) => Ok(Wanted::Text(unescape(text))),
        (_, Kind::Date) => date(text, now),
        (_, Kind::Reference) => reference(&unescape(text), reference_type, base_url),
    };
    let values = values.iter().filter(|text| !text.is_empty()).map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Filter { parameter, modifier, values })
}

fn parse_sort(row: &'static Resource, value: &str) -> Result<Sort, Issue> {
    let (descending, name) = value.strip_prefix('-').map_or((false, value), |name| (true, name));
    let sortable = |parameter: &&'static Parameter| match row.lives {
        Lives::Series => parameter.name == "date",
        _ => parameter.name == "_id" || matches!(parameter.kind, Kind::Date | Kind::Text),
    };
    row.parameter(name).filter(sortable).map(|by| Sort { by, descending }).ok_or_else(|| {
        let mut known: Vec<&str> = vec!["_id", "_lastUpdated"];
        known.extend(row.search.iter().map(|parameter| parameter.name));
        known.retain(|name| row.parameter(name).filter(sortable).is_some());
        Issue::error("not-supported", format!("cannot sort by {}; one of {} with or without -", quoted(value), known.join(", ")))
    })
}

fn token(text: &str) -> Wanted {
    let some = |text: &str| Some(unescape(text)).filter(|t| !t.is_empty());
    match split_unescaped(text, '|').as_slice() {
        [code] => Wanted::Token { system: None, code: some(code) },
        [system, rest @ ..] => Wanted::Token { system: Some(unescape(system)), code: some(&rest.join("|")) },
        [] => Wanted::Token { system: None, code: None },
    }
}

fn date(text: &str, now: Timestamp) -> Result<Wanted, Issue> {
    let prefixes = [
        ("eq", Prefix::Eq),
        ("ne", Prefix::Ne),
        ("gt", Prefix::Gt),
        ("lt", Prefix::Lt),
        ("ge", Prefix::Ge),
        ("le", Prefix::Le),
        ("sa", Prefix::Sa),
        ("eb", Prefix::Eb),
        ("ap", Prefix::Ap),
    ];
    let (prefix, rest) =
        prefixes.iter().find_map(|(word, prefix)| text.strip_prefix(word).map(|rest| (*prefix, rest))).unwrap_or((Prefix::Eq, text));
    let Some(moment) = Moment::parse(rest) else {
        let text =
            format!("{} is not a date (YYYY, YYYY-MM, YYYY-MM-DD or a time, after eq, ne, gt, lt, ge, le, sa, eb or ap)", quoted(text));
        // A `+` of a zone that was not percent-encoded arrives as a space.
        let hint = if rest.contains(' ') { ": write the + of a time zone as %2B" } else { "" };
        return Err(Issue::error("value", format!("{text}{hint}")));
    };
    let mut span = moment.span;
    if prefix == Prefix::Ap {
        // The specification's suggestion: a tenth of the distance to the present, either way.
        let slack = (now.micros_since(span.start) / 10).saturating_abs();
        span = Span { start: span.start.plus_micros(-slack), end: span.end.plus_micros(slack) };
    }
    Ok(Wanted::Date(prefix, span))
}

fn reference(text: &str, kind: Option<&str>, base_url: &str) -> Result<Wanted, Issue> {
    let relative = text.strip_prefix(base_url).map_or(text, |rest| rest.trim_start_matches('/'));
    if crate::id::is_fhir_id(relative) {
        return Ok(Wanted::Reference(kind.map_or_else(|| relative.to_owned(), |kind| format!("{kind}/{relative}"))));
    }
    match referenced_type(relative) {
        Some(named) if kind.is_none_or(|kind| kind == named) => Ok(Wanted::Reference(relative.to_owned())),
        _ => Err(Issue::error("value", format!("{} is not a reference: an id or Type/id", quoted(text)))),
    }
}

/// Splits at `separator` where no backslash stands before it; escapes are kept.
fn split_unescaped(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == separator && !escaped {
            parts.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    out
}

/// FHIR's expression for a search parameter in an OperationOutcome.
fn place(key: &str) -> String {
    let plain: String = key.chars().take(64).filter(|c| c.is_ascii_alphanumeric() || "_-:.".contains(*c)).collect();
    format!("http.{plain}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::resources::find;

    fn search(kind: &str, query: &[(&str, &str)], strict: bool) -> Result<Search, Vec<Issue>> {
        let query: Vec<_> = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        parse(find(kind).expect("type"), &query, strict, "http://box/fhir/R4", Timestamp(0))
    }

    #[test]
    fn an_unknown_parameter_is_left_out_of_the_self_link_and_refused_when_strict() {
        let lenient = search("Patient", &[("shoe", "42"), ("gender", "female")], false).expect("lenient");
        assert_eq!(lenient.used, [("gender".to_owned(), "female".to_owned())]);
        let issues = search("Patient", &[("shoe", "42")], true).expect_err("strict");
        assert_eq!(issues[0].expression.as_deref(), Some("http.shoe"));
    }

    #[test]
    fn a_modifier_nobody_understands_is_refused_even_when_lenient() {
        assert!(search("Patient", &[("name:phonetic", "a")], false).is_err());
        assert!(search("Patient", &[("name:exact", "a")], false).is_ok());
    }

    #[test]
    fn tokens_and_references_are_read_in_all_their_forms() {
        let values = |kind, key, value| search(kind, &[(key, value)], true).expect("search").filters.remove(0).values;
        let token = |system: Option<&str>, code: Option<&str>| Wanted::Token { system: system.map(Into::into), code: code.map(Into::into) };
        assert_eq!(
            values("Patient", "identifier", "urn:x|1,2,|3,urn:y|,a\\,b\\|c"),
            [
                token(Some("urn:x"), Some("1")),
                token(None, Some("2")),
                token(Some(""), Some("3")),
                token(Some("urn:y"), None),
                token(None, Some("a,b|c"))
            ]
        );
        for text in ["p1", "Patient/p1", "http://box/fhir/R4/Patient/p1"] {
            let Wanted::Reference(got) = values("Encounter", "patient", text).remove(0) else { panic!("reference") };
            assert!(got == "p1" || got == "Patient/p1");
        }
    }

    #[test]
    fn a_page_is_never_larger_than_its_limit() {
        assert_eq!(search("Patient", &[("_count", "100000")], true).expect("search").count, COUNT_MAX);
        assert_eq!(search("Patient", &[], true).expect("search").count, COUNT_DEFAULT);
        assert!(search("Patient", &[("_count", "-1")], true).is_err());
        assert!(search("Patient", &[("_count", "0")], true).expect("search").count_only);
    }

    #[test]
    fn a_plus_that_became_a_space_is_explained() {
        let issues = search("Observation", &[("date", "ge2026-01-01T00:00:00 02:00")], false).expect_err("date");
        assert!(issues[0].text.contains("%2B"));
    }
}
