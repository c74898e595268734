use crate::clinic::{Clinic, PIN, USER, ask, get, post, sign_in};
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;
use std::sync::atomic::Ordering;
use web::accounts::Role;
use web::audit::{Action, Outcome};

#[tokio::test]
async fn the_right_pin_opens_a_session_that_can_be_read_and_ended() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let answer = sign_in(&router, USER, PIN).await;
    let opened = answer.json();
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(opened["role"], "nurse");
    assert_eq!(opened["display_name"], "Amina W.");
    assert_eq!(opened["expires_ms"], 1_795_000_000_000_i64 + 30 * 60 * 1000);
    let token = opened["token"].as_str().unwrap();
    assert_eq!(token.len(), 64);

    let seen = get(&router, "/api/v1/session", Some(token)).await.json();
    assert_eq!((&seen["user"], seen.get("token")), (&json!(USER), None));

    let end = Request::delete("/api/v1/session").header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap();
    assert_eq!(ask(&router, end).await.status, StatusCode::NO_CONTENT);
    assert_eq!(get(&router, "/api/v1/session", Some(token)).await.status, StatusCode::UNAUTHORIZED);

    let notes = clinic.notes.lock().unwrap();
    let acts: Vec<_> = notes.iter().map(|note| (note.action, note.outcome, note.who.as_deref())).collect();
    assert_eq!(acts, [(Action::SignIn, Outcome::Success, Some(USER)), (Action::SignOut, Outcome::Success, Some(USER))]);
    assert!(notes.iter().all(|note| note.session.as_deref().is_some_and(|id| !token.contains(id))));
}

#[tokio::test]
async fn five_wrong_secrets_lock_the_account_and_say_for_how_long() {
    let clinic = Clinic::open();
    let router = clinic.router();
    for _ in 0..4 {
        assert_eq!(sign_in(&router, USER, "0000").await.status, StatusCode::UNAUTHORIZED);
    }
    let fifth = sign_in(&router, USER, "0000").await;
    assert_eq!(fifth.status, StatusCode::LOCKED);
    assert_eq!(fifth.json()["retry_after_s"], 30);
    assert_eq!(fifth.header("retry-after"), "30");
    assert_eq!(clinic.accounts.lock().unwrap()[USER].failures, 5, "the count is kept by the program");

    clinic.pass(10);
    let locked = sign_in(&router, USER, PIN).await;
    assert_eq!((locked.status, &locked.json()["retry_after_s"]), (StatusCode::LOCKED, &json!(20)), "even the right one is refused");

    clinic.pass(20);
    let sixth = sign_in(&router, USER, "0000").await;
    assert_eq!(sixth.json()["retry_after_s"], 60);
    clinic.pass(60);
    assert_eq!(sign_in(&router, USER, PIN).await.status, StatusCode::OK);
    assert_eq!(clinic.accounts.lock().unwrap()[USER].failures, 0);
}

#[tokio::test]
async fn parallel_guesses_are_all_counted() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let guesses = (0..12).map(|_| sign_in(&router, USER, "0000"));
    let answers = futures_util::future::join_all(guesses).await;
    let wrong = answers.iter().filter(|answer| answer.status == StatusCode::UNAUTHORIZED).count();
    assert_eq!(wrong, 4);
    assert_eq!(clinic.accounts.lock().unwrap()[USER].failures, 5);
}

#[tokio::test]
async fn an_unknown_name_is_answered_like_a_known_one() {
    let clinic = Clinic::open();
    let router = clinic.router();
    for expected in [401, 401, 401, 401, 423, 423] {
        let known = sign_in(&router, USER, "0000").await;
        let unknown = sign_in(&router, "nobody", "0000").await;
        assert_eq!((known.status.as_u16(), unknown.status.as_u16()), (expected, expected));
        assert_eq!(known.body, unknown.body);
    }
    let notes = clinic.notes.lock().unwrap();
    assert!(notes.iter().all(|note| note.who.as_deref() != Some("nobody")), "what was typed is not kept: it may be a secret");
}

#[tokio::test]
async fn no_token_a_garbled_one_and_an_expired_one_are_all_refused() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let token = clinic.token(&router).await;
    assert_eq!(get(&router, "/api/v1/ward", Some(&token)).await.status, StatusCode::OK);
    let long = "f".repeat(64);
    for bad in [None, Some(""), Some("x"), Some("Ünicode"), Some(long.as_str())] {
        let answer = get(&router, "/api/v1/ward", bad).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{bad:?}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    clinic.pass(30 * 60);
    assert_eq!(get(&router, "/api/v1/ward", Some(&token)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_disabled_account_loses_its_running_session_within_half_a_minute() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let token = clinic.token(&router).await;
    clinic.accounts.lock().unwrap().get_mut(USER).unwrap().disabled = true;
    clinic.pass(30);
    assert_eq!(get(&router, "/api/v1/ward", Some(&token)).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(sign_in(&router, USER, PIN).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn accounts_that_cannot_be_read_let_nobody_in() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let token = clinic.token(&router).await;
    clinic.accounts_fail.store(true, Ordering::SeqCst);
    assert_eq!(sign_in(&router, USER, PIN).await.status, StatusCode::SERVICE_UNAVAILABLE);
    clinic.pass(31);
    assert_eq!(get(&router, "/api/v1/ward", Some(&token)).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn sign_in_without_a_note_gives_no_token() {
    let clinic = Clinic::open();
    let router = clinic.router();
    clinic.audit_fails.store(true, Ordering::SeqCst);
    let answer = sign_in(&router, USER, PIN).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.text().contains("token"));
}

#[tokio::test]
async fn one_address_may_not_try_without_end() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let mut last = None;
    for n in 0..31 {
        last = Some(sign_in(&router, "", &n.to_string()).await);
    }
    let last = last.unwrap();
    assert_eq!((last.status, &last.json()["retry_after_s"]), (StatusCode::TOO_MANY_REQUESTS, &json!(1)));
}

#[tokio::test]
async fn a_malformed_sign_in_names_the_field() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let unknown = post(&router, "/api/v1/session", "", "application/json", r#"{"user":"a","secret":"b","role":"admin"}"#).await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST);
    assert_eq!(unknown.json()["field"], "role");
    assert_eq!(sign_in(&router, &"a".repeat(65), "x").await.json()["field"], "user");
    assert_eq!(sign_in(&router, "a", &"x".repeat(129)).await.json()["field"], "secret");
}

#[tokio::test]
async fn a_role_that_may_not_is_told_which_may() {
    let clinic = Clinic::open();
    let router = clinic.router();
    let token = clinic.token(&router).await;
    let refused = post(&router, "/api/v1/pair", &token, "application/json", "").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.json()["detail"].as_str().unwrap().contains("technician or admin"));
    clinic.accounts.lock().unwrap().get_mut(USER).unwrap().role = Role::Technician;
    let token = clinic.token(&router).await;
    assert_eq!(post(&router, "/api/v1/pair", &token, "application/json", "").await.status, StatusCode::OK);
}
