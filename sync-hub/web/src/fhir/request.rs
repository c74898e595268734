//! Reads an HTTP request as a FHIR interaction, within stated limits.

use super::{BASE, FHIR_JSON};
use crate::json;
use crate::listener::Peer;
use crate::problem::Problem;
use crate::session::Session;
use axum::extract::Request;
use axum::http::header::{ACCEPT, HOST, IF_MATCH};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;

/// Most query pairs.
pub const QUERY_MAX: usize = 64;
/// Longest query, in bytes, before decoding.
pub const QUERY_BYTES_MAX: usize = 8 * 1024;
/// Most path segments below the base.
pub const SEGMENTS_MAX: usize = 8;

/// One interaction.
#[derive(Clone, PartialEq, Debug)]
pub struct FhirRequest {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`; `HEAD` arrives as `GET`.
    pub method: Method,
    /// Path segments below `/fhir/R4`, decoded; none for the base itself.
    pub path: Vec<String>,
    /// Query pairs in order, decoded; those of a `_search` form follow.
    pub query: Vec<(String, String)>,
    /// `If-Match`, as sent.
    pub if_match: Option<String>,
    /// Criteria in `If-None-Exist`.
    pub if_none_exist: Option<String>,
    /// `Prefer`, as sent.
    pub prefer: Option<String>,
    /// The body of a create, update or patch.
    pub body: Option<Value>,
    /// Who asks; `None` only for `metadata`.
    pub session: Option<Session>,
    /// `https://host/fhir/R4` as the client addressed it; relative when it named no host.
    pub base_url: String,
}

/// `GET /fhir/R4/metadata`, the one interaction that needs no session.
pub(super) fn is_metadata(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && request.uri().path() == "/fhir/R4/metadata"
}

impl FhirRequest {
    /// Reads a request.
    ///
    /// # Errors
    /// 400 malformed, 405 method, 406 accept, 413 too large, 415 content type, 422 never: content is the service's matter.
    pub(super) async fn read(request: Request, session: Option<Session>) -> Result<Self, Problem> {
        let method = match request.method() {
            &Method::HEAD => Method::GET,
            other => other.clone(),
        };
        if ![Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&method) {
            return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "use GET, POST, PUT, PATCH or DELETE"));
        }
        let path = path(request.uri())?;
        let mut query = pairs(request.uri().query().unwrap_or(""))?;
        check_accept(request.headers(), &query)?;
        let if_match = header(request.headers(), IF_MATCH.as_str());
        let if_none_exist = header(request.headers(), "if-none-exist");
        let prefer = header(request.headers(), "prefer");
        let base_url = base_url(&request);

        let kind = json::media_type(request.headers());
        let mut body = None;
        if method == Method::POST && path.last().is_some_and(|last| last == "_search") {
            let bytes = json::body(request, &()).await?;
            if !bytes.is_empty() {
                if kind != "application/x-www-form-urlencoded" {
                    return Err(unsupported("send a search as application/x-www-form-urlencoded"));
                }
                let form = std::str::from_utf8(&bytes).map_err(|_| Problem::bad_request("query", "the form is not UTF-8"))?;
                query.extend(pairs(form)?);
                if query.len() > QUERY_MAX {
                    return Err(too_many_pairs());
                }
            }
        } else if matches!(method, Method::POST | Method::PUT | Method::PATCH) {
            let patch = method == Method::PATCH && kind == "application/json-patch+json";
            if !patch && ![FHIR_JSON, "application/json"].contains(&kind.as_str()) {
                return Err(unsupported("send Content-Type: application/fhir+json"));
            }
            let bytes = json::body(request, &()).await?;
            body = Some(json::read(&bytes).map_err(|problem| as_fhirpath(problem, path.first().map(String::as_str)))?);
        }
        Ok(Self { method, path, query, if_match, if_none_exist, prefer, body, session, base_url })
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn unsupported(detail: &str) -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", detail)
}

fn too_many_pairs() -> Problem {
    Problem::bad_request("query", format!("at most {QUERY_MAX} parameters"))
}

/// `name[0].given` of a body sent to `Patient` is `Patient.name[0].given`.
fn as_fhirpath(mut problem: Problem, resource: Option<&str>) -> Problem {
    let resource = resource.unwrap_or("Bundle");
    problem.field = Some(problem.field.map_or_else(|| resource.to_owned(), |field| format!("{resource}.{field}")));
    problem
}

fn path(uri: &Uri) -> Result<Vec<String>, Problem> {
    let below = uri.path().strip_prefix(BASE).unwrap_or("").trim_matches('/');
    if below.is_empty() {
        return Ok(Vec::new());
    }
    let segments: Vec<String> = below.split('/').map(|segment| decode(segment, false)).collect::<Option<_>>().ok_or_else(garbled)?;
    if segments.len() > SEGMENTS_MAX || segments.iter().any(|segment| segment.is_empty() || segment == "." || segment == "..") {
        return Err(Problem::of(StatusCode::NOT_FOUND));
    }
    Ok(segments)
}

fn garbled() -> Problem {
    Problem::bad_request("percent-encoding", "the address is not percent-encoded UTF-8")
}

fn pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(Problem::bad_request("query", format!("the parameters take more than {QUERY_BYTES_MAX} bytes")));
    }
    let pieces: Vec<&str> = query.split('&').filter(|piece| !piece.is_empty()).take(QUERY_MAX + 1).collect();
    if pieces.len() > QUERY_MAX {
        return Err(too_many_pairs());
    }
    let pair = |piece: &str| {
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        Some((decode(name, true)?, decode(value, true)?))
    };
    pieces.into_iter().map(pair).collect::<Option<_>>().ok_or_else(garbled)
}

/// Percent-decoding that refuses what it cannot decode. In queries `+` is a space.
fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
                high << 4 | low
            }
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// JSON must be acceptable, by `_format` or by `Accept`.
fn check_accept(headers: &HeaderMap, query: &[(String, String)]) -> Result<(), Problem> {
    let json = |kind: &str| ["json", "text/json", "application/json", FHIR_JSON].contains(&kind);
    let refused = || Err(Problem::new(StatusCode::NOT_ACCEPTABLE, "accept", "only application/fhir+json is spoken here"));
    if let Some((_, format)) = query.iter().find(|(name, _)| name == "_format") {
        // An unescaped `+` in `application/fhir+json` has been read as a space.
        let kind = format.split(';').next().unwrap_or("").trim().replace(' ', "+");
        return if json(&kind) { Ok(()) } else { refused() };
    }
    let mut accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).peekable();
    if accepts.peek().is_none() {
        return Ok(());
    }
    let fits = |range: &str| {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or("").to_ascii_lowercase();
        let never = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        !never && (json(&kind) || kind == "*/*" || kind == "application/*")
    };
    if accepts.any(fits) { Ok(()) } else { refused() }
}

fn base_url(request: &Request) -> String {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let host = authority.or_else(|| request.headers().get(HOST).and_then(|value| value.to_str().ok()));
    let plain =
        |host: &&str| !host.is_empty() && host.len() <= 255 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b));
    let secure = request.extensions().get::<Peer>().is_some_and(|peer| peer.secure);
    let scheme = if secure { "https" } else { "http" };
    host.filter(plain).map_or_else(|| BASE.to_owned(), |host| format!("{scheme}://{host}{BASE}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    async fn read(request: axum::http::request::Builder, body: impl Into<Body>) -> Result<FhirRequest, Problem> {
        FhirRequest::read(request.body(body.into()).unwrap(), None).await
    }

    #[tokio::test]
    async fn a_search_arrives_decoded_and_in_order() {
        let asked = read(
            Request::get("/fhir/R4/Observation?patient=Patient%2F1&date=ge2026-11-22T04%3A00&code=8867-4,59408-5&_count=10&name=a+b")
                .header("host", "agent.local:7410"),
            "",
        )
        .await
        .unwrap();
        assert_eq!(asked.path, ["Observation"]);
        assert_eq!(asked.query[0], ("patient".into(), "Patient/1".into()));
        assert_eq!(asked.query[1].1, "ge2026-11-22T04:00");
        assert_eq!(asked.query[4].1, "a b");
        assert_eq!(asked.base_url, "http://agent.local:7410/fhir/R4");
    }

    #[tokio::test]
    async fn a_form_search_joins_the_query() {
        let request = Request::post("/fhir/R4/Patient/_search?_count=5").header("content-type", "application/x-www-form-urlencoded");
        let asked = read(request, "family=Otieno").await.unwrap();
        assert_eq!(asked.query, [("_count".into(), "5".into()), ("family".into(), "Otieno".into())]);
        assert_eq!(asked.body, None);
    }

    #[tokio::test]
    async fn malformed_json_is_refused_with_its_place_and_fhirpath() {
        let request = Request::post("/fhir/R4/Patient").header("content-type", FHIR_JSON);
        let problem = read(request, "{\"name\":[{\"given\":[\n1,}]}").await.unwrap_err();
        assert_eq!(problem.status, StatusCode::BAD_REQUEST);
        assert!(problem.detail.unwrap().contains("line 2 column"));
        assert_eq!(problem.field.as_deref(), Some("Patient.name[0].given[1]"));
    }

    #[tokio::test]
    async fn what_is_not_json_is_refused_by_its_type() {
        let xml = read(Request::put("/fhir/R4/Patient/1").header("content-type", "application/fhir+xml"), "<Patient/>").await;
        assert_eq!(xml.unwrap_err().status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let accept = read(Request::get("/fhir/R4/Patient/1").header("accept", "application/fhir+xml"), "").await;
        assert_eq!(accept.unwrap_err().status, StatusCode::NOT_ACCEPTABLE);
        let format = read(Request::get("/fhir/R4/Patient/1?_format=xml"), "").await;
        assert_eq!(format.unwrap_err().status, StatusCode::NOT_ACCEPTABLE);
        for accept in ["application/fhir+json; fhirVersion=4.0", "text/html, */*;q=0.1", "application/json"] {
            assert!(read(Request::get("/fhir/R4/Patient/1").header("accept", accept), "").await.is_ok(), "{accept}");
        }
        assert!(read(Request::get("/fhir/R4/Patient/1?_format=application/fhir+json"), "").await.is_ok());
    }

    #[tokio::test]
    async fn addresses_out_of_bounds_are_refused() {
        let many = format!("/fhir/R4/Patient?{}", "a=1&".repeat(QUERY_MAX + 1));
        assert_eq!(read(Request::get(many), "").await.unwrap_err().kind, "query");
        let long = format!("/fhir/R4/Patient?a={}", "x".repeat(QUERY_BYTES_MAX));
        assert_eq!(read(Request::get(long), "").await.unwrap_err().kind, "query");
        assert_eq!(read(Request::get("/fhir/R4/Patient/%ff"), "").await.unwrap_err().kind, "percent-encoding");
        assert_eq!(read(Request::get("/fhir/R4/Patient/%2e%2e"), "").await.unwrap_err().status, StatusCode::NOT_FOUND);
        assert_eq!(read(Request::get("/fhir/R4/Patient//1"), "").await.unwrap_err().status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_host_that_is_no_host_is_not_echoed() {
        let asked = read(Request::get("/fhir/R4/metadata").header("host", "evil\"><script>"), "").await.unwrap();
        assert_eq!(asked.base_url, "/fhir/R4");
    }
}
