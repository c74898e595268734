//! A client of an agent's live stream, as the ward board is one: it notes all that it is shown, and when.

use crate::client::Client;
use crate::clock;
use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

const SUBPROTOCOL: &str = "lamplight.live.v1";

/// A number as a screen showed it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Shown {
    /// FHIR Patient id of who lay in the bed.
    pub patient: String,
    /// LOINC.
    pub code: String,
    /// Measured at, ms since 1970.
    pub measured_ms: i64,
    /// The number as sent.
    pub value: String,
}

/// What came so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Arrival to durable, of each tick, µs.
    pub stored_us: Vec<i64>,
    /// Arrival to here, of each tick, µs.
    pub client_us: Vec<i64>,
    /// Arrival to durable alert, by alert, µs.
    pub alert_us: BTreeMap<String, i64>,
    /// Numerics that became durable.
    pub numerics: u64,
    /// Wave samples that became durable.
    pub wave_samples: u64,
    /// Wave blocks received.
    pub waves: u64,
    /// Every number shown in a bed with a patient.
    pub shown: BTreeSet<Shown>,
    /// State of each device, as last told.
    pub devices: BTreeMap<String, String>,
}

/// An open stream; closed when dropped.
#[derive(Debug)]
pub struct Live {
    tally: Arc<Mutex<Tally>>,
    reader: JoinHandle<()>,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Live {
    /// Opens the stream of the agent that `client` is signed in at.
    ///
    /// # Errors
    /// Refused.
    pub async fn open(client: &Client) -> Result<Self> {
        let url = format!("{}/api/v1/live", client.base().replacen("http", "ws", 1));
        let mut request = url.as_str().into_client_request().with_context(|| url.clone())?;
        let offered = format!("{SUBPROTOCOL}, lamplight.token.{}", client.token());
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_str(&offered)?);
        request.headers_mut().insert("origin", HeaderValue::from_str(client.base())?);
        let (mut stream, answer) = connect_async(request).await.with_context(|| format!("opening {url}"))?;
        let chosen = answer.headers().get("sec-websocket-protocol").and_then(|value| value.to_str().ok());
        ensure!(chosen == Some(SUBPROTOCOL), "{url} chose the subprotocol {chosen:?}");
        let tally = Arc::new(Mutex::new(Tally::default()));
        let noted = Arc::clone(&tally);
        let reader = tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let now_us = clock::wall_us();
                let mut tally = noted.lock().unwrap_or_else(PoisonError::into_inner);
                match message {
                    Message::Text(text) => {
                        if let Ok(message) = serde_json::from_str::<Value>(&text) {
                            tally.note(&message, now_us);
                        }
                    }
                    Message::Binary(_) => tally.waves += 1,
                    _ => {}
                }
            }
        });
        Ok(Self { tally, reader })
    }

    /// What came so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Tally {
    fn note(&mut self, message: &Value, now_us: i64) {
        let data = &message["data"];
        match message["type"].as_str() {
            Some("stored") => self.note_stored(data, now_us),
            Some("alert") => self.note_alert(data),
            Some("device") => self.note_device(data),
            Some("bed") => self.note_bed(data),
            Some("ward") => {
                list(&data["beds"]).iter().for_each(|bed| self.note_bed(bed));
                list(&data["alerts"]).iter().for_each(|alert| self.note_alert(alert));
            }
            _ => {}
        }
    }

    fn note_stored(&mut self, data: &Value, now_us: i64) {
        self.numerics += data["numerics"].as_u64().unwrap_or_default();
        self.wave_samples += data["wave_samples"].as_u64().unwrap_or_default();
        if let (Some(arrived), Some(stored)) = (data["arrived_us"].as_i64(), data["stored_us"].as_i64()) {
            self.stored_us.push(stored - arrived);
            self.client_us.push(now_us - arrived);
        }
    }

    fn note_alert(&mut self, alert: &Value) {
        if let (Some(id), Some(latency)) = (alert["id"].as_str(), alert["latency_us"].as_i64()) {
            self.alert_us.entry(id.to_owned()).or_insert(latency);
        }
    }

    fn note_device(&mut self, device: &Value) {
        if let (Some(id), Some(state)) = (device["id"].as_str(), device["state"].as_str()) {
            self.devices.insert(id.to_owned(), state.to_owned());
        }
    }

    fn note_bed(&mut self, bed: &Value) {
        list(&bed["devices"]).iter().for_each(|device| self.note_device(device));
        let Some(patient) = bed["patient"]["id"].as_str() else { return };
        for numeric in list(&bed["numerics"]) {
            if let (Some(code), Some(measured_ms), value @ Value::Number(_)) =
                (numeric["code"].as_str(), numeric["measured_ms"].as_i64(), &numeric["value"])
            {
                let (patient, code) = (patient.to_owned(), code.to_owned());
                self.shown.insert(Shown { patient, code, measured_ms, value: value.to_string() });
            }
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
