//! A small record in memory: documents and frames, read as a replica would.
#![allow(dead_code, reason = "two test programs share it and each uses a part")]

use record::code::Code;
use record::decimal::Decimal;
use record::document::Origin;
use record::fhir::{
    Context, DocumentQuery, Intent, Method, ObservationId, Outcome, Place, Reader, Reply, Request, Step, Update, Vital, VitalsQuery, group,
    handle, with_version, written,
};
use record::id::{PatientId, ReplicaId, ResourceId, RunId, new_resource_id};
use record::ledger::Hlc;
use record::ledger::body::{Change, DocumentEvent};
use record::observation::{NoValue, Quality};
use record::series::{Boot, Frame, Numeric};
use record::time::{Monotonic, Timestamp};
use record::unit::Unit;
use serde_json::Value;
use std::collections::BTreeMap;
use std::convert::Infallible;

pub const BASE: &str = "https://box:7410/fhir/R4";

/// Documents through the real merge; vitals through the real grouping.
#[derive(Default)]
pub struct Ward {
    documents: BTreeMap<(String, ResourceId), record::document::Document>,
    vitals: Vec<Vital>,
    stamp: u64,
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect(text)
}

pub fn context() -> Context<'static> {
    Context { base_url: BASE, now: at("2026-11-22T12:00:00Z"), program: "edge-agent", version: "0.1.0" }
}

pub fn numeric(code: Code, text: &str, unit: Unit) -> Numeric {
    Numeric { code, value: Ok(text.parse::<Decimal>().expect(text)), unit, quality: Quality::Good }
}

pub fn absent(code: Code, why: NoValue, unit: Unit) -> Numeric {
    Numeric { code, value: Err(why), unit, quality: Quality::Good }
}

pub fn frame(measured: &str, first_seq: u64, numerics: Vec<Numeric>) -> Frame {
    let measured = at(measured);
    Frame {
        device: "monitor-1".parse().expect("id"),
        boot: Boot([0xab; 12]),
        first_seq,
        arrived: measured.plus_micros(40_000),
        arrived_mono: Monotonic(1),
        measured,
        device_time: Some(measured.plus_micros(-2_000_000)),
        offset_us: Some(-2_000_000),
        bed: Some("2".parse().expect("bed")),
        numerics,
        waves: Vec::new(),
    }
}

impl Ward {
    pub fn chart(&mut self, patient: &str, frame: &Frame) {
        self.vitals.extend(group(frame, &patient.parse().expect("id")));
    }

    /// A document as an agent writes it, under an id of its own.
    pub fn keep(&mut self, resource: &Value) {
        self.stamp += 1;
        let hlc = Hlc { trusted: true, wall_ms: 1_790_000_000_000 + self.stamp, counter: 0 };
        let kind = resource["resourceType"].as_str().expect("type");
        let id: ResourceId = resource["id"].as_str().expect("id").parse().expect("id");
        let genesis = record::document::genesis(kind, &id, resource).expect("genesis");
        self.documents.entry((kind.to_owned(), id)).or_default().add(hlc, &DocumentEvent::Genesis(genesis)).expect("genesis");
    }

    pub fn ask(&mut self, request: &Request) -> Outcome {
        handle(request, self, &context()).unwrap_or_else(|never| match never {})
    }

    /// Asks, and carries out what is to be written.
    pub fn answer(&mut self, request: &Request) -> Reply {
        let outcome = self.ask(request);
        self.carry_out(outcome)
    }

    pub fn get(&mut self, path: &str) -> Reply {
        self.answer(&request(Method::Get, path, None))
    }

    pub fn post(&mut self, path: &str, body: Value) -> Reply {
        self.answer(&request(Method::Post, path, Some(body)))
    }

    pub fn put(&mut self, path: &str, body: Value, if_match: Option<&str>) -> Reply {
        let mut request = request(Method::Put, path, Some(body));
        request.if_match = if_match.map(str::to_owned);
        self.answer(&request)
    }

    fn write(&mut self, intent: &Intent) -> Value {
        self.stamp += 1;
        let hlc = Hlc { trusted: true, wall_ms: 1_790_000_000_000 + self.stamp, counter: 0 };
        match intent {
            Intent::Create { resource_type, resource, place } => {
                assert!(*place != Place::Site || *resource_type == "Device");
                let mut entropy = [0; 16];
                entropy[..8].copy_from_slice(&self.stamp.to_be_bytes());
                let id = new_resource_id(entropy);
                let genesis = record::document::genesis(resource_type, &id, resource).expect("genesis");
                self.documents
                    .entry(((*resource_type).to_owned(), id.clone()))
                    .or_default()
                    .add(hlc, &DocumentEvent::Genesis(genesis))
                    .expect("genesis");
                self.shown(resource_type, &id)
            }
            Intent::Update(update) => self.update(update, hlc),
            Intent::Together { updates } => {
                let written: Vec<Value> = updates.iter().map(|update| self.update(update, hlc)).collect();
                written[0].clone()
            }
        }
    }

    fn update(&mut self, update: &Update, hlc: Hlc) -> Value {
        let Update { resource_type, id, elements, .. } = update;
        self.edit(resource_type, id, 1, hlc, elements);
        self.shown(resource_type, id)
    }

    fn edit(&mut self, resource_type: &str, id: &ResourceId, by: u8, hlc: Hlc, elements: &serde_json::Map<String, Value>) {
        let document = self.documents.get_mut(&(resource_type.to_owned(), id.clone())).expect("document");
        let part = change(document, resource_type, id, by, hlc, elements);
        document.take(&part.0, &part.1).expect("change");
    }

    /// Several people, each without having seen the others, set elements of one document.
    pub fn at_once(&mut self, resource_type: &str, id: &str, edits: &[(u8, Value)]) {
        let id: ResourceId = id.parse().expect("id");
        let document = self.documents.get_mut(&(resource_type.to_owned(), id.clone())).expect("document");
        let seen = document.clone();
        for (by, elements) in edits {
            self.stamp += 1;
            let hlc = Hlc { trusted: true, wall_ms: 1_790_000_000_000 + self.stamp, counter: 0 };
            let part = change(&seen, resource_type, &id, *by, hlc, elements.as_object().expect("object"));
            document.take(&part.0, &part.1).expect("change");
        }
    }

    /// Carries out what came of a choice between concurrent values.
    pub fn carry_out(&mut self, outcome: Outcome) -> Reply {
        match outcome.step {
            Step::Reply(reply) => reply,
            Step::Write(intent) => {
                let now = self.write(&intent);
                written(&intent, &now, &context())
            }
        }
    }

    fn shown(&self, resource_type: &str, id: &ResourceId) -> Value {
        with_version(self.documents[&(resource_type.to_owned(), id.clone())].show(resource_type).expect("shown"))
    }
}

fn change(
    document: &record::document::Document,
    resource_type: &str,
    id: &ResourceId,
    by: u8,
    hlc: Hlc,
    elements: &serde_json::Map<String, Value>,
) -> (Origin, DocumentEvent) {
    let (author, run) = (ReplicaId([by; 32]), RunId([2; 8]));
    let changes = document.edit(author, run, hlc, elements).expect("edit");
    let body = DocumentEvent::Change(Change { resource_type: resource_type.to_owned(), id: id.clone(), changes });
    (Origin { hlc, author, run, user: format!("user{by}") }, body)
}

/// `path?key=value&…`, without escapes.
pub fn request(method: Method, path: &str, body: Option<Value>) -> Request {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    Request {
        method,
        path: path.split('/').map(str::to_owned).collect(),
        query: query.split('&').filter_map(pair).collect(),
        if_match: None,
        if_none_exist: None,
        prefer: None,
        body,
    }
}

/// The request a link of a Bundle stands for.
pub fn follow(bundle: &Value, relation: &str) -> Option<String> {
    let links = bundle["link"].as_array().expect("links");
    let link = links.iter().find(|link| link["relation"] == relation)?;
    let url = link["url"].as_str().expect("url").strip_prefix(BASE).expect("base").trim_start_matches('/');
    Some(url.replace("%7C", "|"))
}

/// The resources of a Bundle.
pub fn entries(bundle: &Value) -> Vec<&Value> {
    bundle["entry"].as_array().into_iter().flatten().map(|entry| &entry["resource"]).collect()
}

impl Reader for Ward {
    type Error = Infallible;

    fn document(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<Value>, Infallible> {
        let known = self.documents.contains_key(&(resource_type.to_owned(), id.clone()));
        Ok(known.then(|| self.shown(resource_type, id)))
    }

    fn parts(&mut self, resource_type: &str, id: &ResourceId) -> Result<Option<record::document::Document>, Infallible> {
        Ok(self.documents.get(&(resource_type.to_owned(), id.clone())).cloned())
    }

    fn documents(&mut self, query: &DocumentQuery) -> Result<Vec<Value>, Infallible> {
        let of_type = self.documents.keys().filter(|(kind, _)| kind == query.resource_type);
        let later = of_type.filter(|(_, id)| query.after.as_deref().is_none_or(|after| id.as_str() > after));
        let wanted = |shown: &Value| {
            let keyed = query.keys.is_empty() || record::fhir::identity::keys(shown).iter().any(|key| query.keys.contains(key));
            keyed && (!query.conflicted || record::document::is_in_conflict(shown))
        };
        Ok(later.map(|(kind, id)| self.shown(kind, id)).filter(wanted).take(query.limit).collect())
    }

    fn vitals(&mut self, query: &VitalsQuery) -> Result<Vec<Vital>, Infallible> {
        Ok(query.select(self.vitals.iter().cloned()))
    }

    fn vital(&mut self, id: &ObservationId) -> Result<Option<Vital>, Infallible> {
        Ok(self.vitals.iter().find(|vital| vital.id() == *id).cloned())
    }
}

/// A ward with one patient, whose id is given back.
pub fn with_patient() -> (Ward, PatientId) {
    let mut ward = Ward::default();
    let reply = ward.post(
        "Patient",
        serde_json::json!({
            "resourceType": "Patient", "birthDate": "1960-05-01", "gender": "female",
            "identifier": [{"system": "urn:mrn", "value": "17"}], "name": [{"use": "official", "family": "Lima", "given": ["Ana"]}],
        }),
    );
    let id = reply.body.expect("body")["id"].as_str().expect("id").parse().expect("id");
    (ward, id)
}
