//! The screens: a directory of built files, with `index.html` for every address that is the screen's own.

use crate::problem::Problem;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use std::path::PathBuf;
use std::sync::Arc;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;
use tower_http::services::ServeDir;

/// First path segments that are never a screen's.
const RESERVED: [&str; 6] = ["api", "fhir", "sync", "healthz", "readyz", "metrics"];

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Lamplight</title>\
<h1>Lamplight is running; its screens are not built</h1>\
<p>In the source tree: <code>cd desktop-app/ui &amp;&amp; npm ci &amp;&amp; npm run build</code>, then point the configuration's UI \
directory at <code>desktop-app/ui/dist</code>.</p><p>The programming interface is served all the same.</p></html>";

/// Everything no route claims. `directory` holds a Vite build: `index.html` and hashed files below `assets/`.
pub fn routes(directory: Option<PathBuf>) -> Router {
    Router::new().fallback(page).layer(CompressionLayer::new()).with_state(Arc::new(directory))
}

async fn page(State(directory): State<Arc<Option<PathBuf>>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let first = path.split('/').nth(1).unwrap_or("");
    if RESERVED.contains(&first) {
        return Problem::new(StatusCode::NOT_FOUND, "no-such-path", "nothing is kept at this path").into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let refusal = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "screens are only read");
        return ([(ALLOW, HeaderValue::from_static("GET, HEAD"))], refusal).into_response();
    }
    let Some(directory) = directory.as_ref() else { return not_built() };

    let (mut head, _) = request.into_parts();
    head.headers.remove(axum::http::header::RANGE);
    let file = serve(directory, Request::from_parts(head.clone(), Body::empty())).await;
    let is_file = path.rsplit('/').next().is_some_and(|last| last.contains('.'));
    if file.status() != StatusCode::NOT_FOUND {
        let hashed = first == "assets" && (file.status().is_success() || file.status() == StatusCode::NOT_MODIFIED);
        return cached(file, if hashed { "public, max-age=31536000, immutable" } else { "no-cache" });
    }
    if is_file || first == "assets" {
        return Problem::new(StatusCode::NOT_FOUND, "no-such-path", "nothing is kept at this path").into_response();
    }
    head.uri = Uri::from_static("/index.html");
    let index = serve(directory, Request::from_parts(head, Body::empty())).await;
    if index.status() == StatusCode::NOT_FOUND { not_built() } else { cached(index, "no-cache") }
}

/// ServeDir refuses `..`, absolute and encoded escapes by itself.
async fn serve(directory: &PathBuf, request: Request) -> Response {
    match ServeDir::new(directory).oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

fn cached(mut response: Response, how: &'static str) -> Response {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(how));
    response
}

fn not_built() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, Html(NOT_BUILT)).into_response()
}
