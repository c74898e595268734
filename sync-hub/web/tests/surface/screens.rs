use crate::clinic::{Clinic, ask, get};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use std::fs;

fn built() -> tempfile::TempDir {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.txt"), "not a screen").unwrap();
    let ui = outside.path().join("ui");
    fs::create_dir_all(ui.join("assets")).unwrap();
    fs::write(ui.join("index.html"), "<title>ward</title>").unwrap();
    fs::write(ui.join("assets/index-4f2a.js"), "export {}").unwrap();
    outside
}

#[tokio::test]
async fn screens_are_served_with_their_own_addresses_and_cached_by_hash() {
    let built = built();
    let router = Clinic::open().router_with(Some(built.path().join("ui")), None);
    for address in ["/", "/ward/bed/4", "/index.html"] {
        let page = get(&router, address, None).await;
        assert_eq!((page.status, page.text().as_str()), (StatusCode::OK, "<title>ward</title>"), "{address}");
        assert_eq!(page.header("cache-control"), "no-cache");
        assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
    let script = get(&router, "/assets/index-4f2a.js", None).await;
    assert_eq!(script.header("cache-control"), "public, max-age=31536000, immutable");
    let gone = get(&router, "/assets/index-0000.js", None).await;
    assert_eq!((gone.status, gone.header("cache-control")), (StatusCode::NOT_FOUND, "no-store"));
    let written = ask(&router, Request::post("/ward").body(Body::empty()).unwrap()).await;
    assert_eq!(written.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn nothing_outside_the_directory_is_served() {
    let built = built();
    let router = Clinic::open().router_with(Some(built.path().join("ui")), None);
    for path in [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/..%5csecret.txt",
        "//etc/hostname.txt",
    ] {
        let answer = get(&router, path, None).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {}", answer.text());
        assert!(!answer.text().contains("not a screen"));
    }
}

#[tokio::test]
async fn without_built_screens_a_page_says_how_to_build_them() {
    let empty = tempfile::tempdir().unwrap();
    for directory in [None, Some(empty.path().join("nowhere"))] {
        let router = Clinic::open().router_with(directory, None);
        let page = get(&router, "/", None).await;
        assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(page.text().contains("npm run build"));
        assert_eq!(get(&router, "/healthz", None).await.status, StatusCode::OK);
    }
}
