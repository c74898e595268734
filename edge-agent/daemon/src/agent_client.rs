//! The running agent as a command beside it sees it: its own HTTP, signed in as the person who types.

use crate::config::Config;
use anyhow::{Context, bail};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// Longest wait for an answer: a scan takes half a minute.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// Where people sign in.
const SESSION: &str = "/api/v1/session";

/// A signed-in client.
pub struct AgentClient {
    base: String,
    http: reqwest::Client,
    token: String,
}

impl AgentClient {
    /// Signs in at the agent of this configuration.
    ///
    /// # Errors
    /// It does not run, or refuses; each says what to do.
    pub async fn sign_in(config: &Config, user: &str, secret: &str) -> anyhow::Result<Self> {
        let base = format!("http://{}", reachable(config.bind));
        let http = reqwest::Client::builder().timeout(ANSWER_WAIT).no_proxy().build()?;
        let mut client = Self { base, http, token: String::new() };
        let session: Value = client.ask(Method::POST, SESSION, Some(&json!({"user": user, "secret": secret}))).await?;
        client.token = session.get("token").and_then(Value::as_str).context("the agent gave no session")?.to_owned();
        Ok(client)
    }

    /// Reads.
    ///
    /// # Errors
    /// A refusal, in the agent's words.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask(Method::GET, path, None::<&Value>).await
    }

    /// Asks for something to be done.
    ///
    /// # Errors
    /// A refusal, in the agent's words.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.ask(Method::POST, path, Some(body)).await
    }

    /// Takes something away.
    ///
    /// # Errors
    /// A refusal, in the agent's words.
    pub async fn delete(&self, path: &str) -> anyhow::Result<()> {
        self.ask::<Value>(Method::DELETE, path, None::<&Value>).await.map(drop)
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&impl Serialize>) -> anyhow::Result<T> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.with_context(|| format!("no agent answers at {}: start it, or check `bind`", self.base))?;
        let status = response.status();
        let bytes = response.bytes().await?;
        if !status.is_success() {
            let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let words = problem.get("detail").or_else(|| problem.get("title")).and_then(Value::as_str);
            bail!("{}", words.map_or_else(|| format!("the agent answered {status}"), str::to_owned));
        }
        let text: &[u8] = if status == StatusCode::NO_CONTENT { b"null" } else { &bytes };
        serde_json::from_slice(text).context("the agent's answer cannot be read: is it of another version?")
    }
}

/// Where an agent that listens on every address is reached from its own box.
fn reachable(bind: SocketAddr) -> SocketAddr {
    match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), bind.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), bind.port()),
        _ => bind,
    }
}
