//! A signed-in client of an agent or a hub, as any other program would be one.

use anyhow::{Context, Result, bail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

/// How long an answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(40);

/// A client with a session, or without one.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    token: Option<String>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Seconds after which it asks to be asked again.
    pub retry_after: Option<u64>,
    /// Media type without parameters.
    pub kind: String,
    /// The body where it is JSON, else null.
    pub body: Value,
    /// The request, for errors.
    asked: String,
}

impl Answer {
    /// The body.
    ///
    /// # Errors
    /// The status is no success; with the request and the body.
    pub fn ok(self) -> Result<Value> {
        if self.status.is_success() { Ok(self.body) } else { bail!("{} answered {}: {}", self.asked, self.status, self.body) }
    }

    /// The OperationOutcome or problem that a refusal must be: its words.
    ///
    /// # Errors
    /// It is no refusal of that status, or one without words.
    pub fn refused(self, status: u16) -> Result<String> {
        if self.status.as_u16() != status {
            bail!("{} answered {}, not {status}: {}", self.asked, self.status, self.body);
        }
        let words = match self.kind.as_str() {
            "application/problem+json" => self.body.get("detail").and_then(Value::as_str).map(str::to_owned),
            "application/fhir+json" if self.body.get("resourceType").is_some_and(|it| it == "OperationOutcome") => {
                self.body.pointer("/issue/0").map(Value::to_string)
            }
            kind => bail!("{} refused in {kind:?}: {}", self.asked, self.body),
        };
        words.filter(|words| !words.is_empty()).with_context(|| format!("{} refused without words: {}", self.asked, self.body))
    }
}

impl Client {
    /// A client without a session.
    ///
    /// # Errors
    /// No HTTP client can be made.
    pub fn stranger(base: &str) -> Result<Self> {
        // Another client of this process may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(ANSWER_WAIT).no_proxy().build().context("an HTTP client")?;
        Ok(Self { base: base.to_owned(), http, token: None })
    }

    /// A client with a session.
    ///
    /// # Errors
    /// Sign-in is refused.
    pub async fn sign_in(base: &str, user: &str, secret: &str) -> Result<Self> {
        let mut client = Self::stranger(base)?;
        let session = client.post("/api/v1/session", &json!({"user": user, "secret": secret})).await?;
        client.token = Some(session.get("token").and_then(Value::as_str).context("a session without a token")?.to_owned());
        Ok(client)
    }

    /// Where it talks to: `http://127.0.0.1:7410`.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Its session's token.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Reads.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.ask(Method::GET, path, None).await?.ok()
    }

    /// Sends JSON, as FHIR below `/fhir`.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask(Method::POST, path, Some(body)).await?.ok()
    }

    /// Replaces.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask(Method::PUT, path, Some(body)).await?.ok()
    }

    /// Any request with a JSON body; refusals are answers.
    ///
    /// # Errors
    /// No answer.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let kind = if path.starts_with("/fhir") { "application/fhir+json" } else { "application/json" };
        self.send(method, path, body.map(|body| (kind, body.to_string().into_bytes()))).await
    }

    /// Any request with any body; refusals are answers.
    ///
    /// # Errors
    /// No answer.
    pub async fn send(&self, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Result<Answer> {
        // A search's next page is a whole address.
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let asked = format!("{method} {url}");
        let mut request = self.http.request(method, &url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some((kind, body)) = body {
            request = request.header("content-type", kind).body(body);
        }
        let response = request.send().await.with_context(|| format!("{asked}: no answer"))?;
        let status = response.status();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
        let kind = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = response.bytes().await.with_context(|| format!("{asked}: the answer breaks off"))?;
        Ok(Answer { status, kind, retry_after, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null), asked })
    }
}
