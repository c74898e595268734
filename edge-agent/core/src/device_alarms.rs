//! Alarms that devices raise themselves, as they are kept: FHIR R4 Communications of category *alert*, sent by the device.
//!
//! Always: they are claims of the device and never scored; Lamplight's own alerts are DetectedIssues and have nothing to do with
//! them. One stands from when it was heard until the device ends it or is no longer heard. A document is of one bed and one patient:
//! what stands while they change ends there and begins anew.

use crate::association::Association;
use crate::patients::Patients;
use crate::statements::new_dated_id;
use driver::alarm::{Alarm, AlarmKind, AlarmPriority};
use edge_api::ward::DeviceAlarmView;
use protocol::{Draft, Entropy, Where};
use record::id::{BedId, DeviceId, PatientId, ResourceId};
use record::time::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What ids of alarms begin with; see [`crate::ids_since`].
pub const ALARMS: &str = "alarm";
/// System of what tells an alarm apart on its device.
const ID: &str = "urn:lamplight:fhir:device-alarm";
/// System of [`AlarmKind`]'s words.
const KIND: &str = "urn:lamplight:fhir:device-alarm-kind";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/communication-category";
/// Extension: when it stood (`valuePeriod`).
const STOOD: &str = "urn:lamplight:fhir:device-alarm-stood";
/// Extension: the bed the device read for (`valueString`).
const BED: &str = "urn:lamplight:fhir:device-alarm-bed";
/// Extension: what ended it (`valueCode`): `device`, or why the device was no longer heard.
const ENDED: &str = "urn:lamplight:fhir:device-alarm-ended";
/// Extension: a demonstration or test (`valueBoolean`).
const DEMO: &str = "urn:lamplight:fhir:device-alarm-demo";
/// The device ended it.
const BY_DEVICE: &str = "device";
/// It stands on, at another bed or with another patient.
const MOVED: &str = "moved";
/// Nothing was heard of it for [`STANDS_US`].
const SILENCE: &str = "silence";

/// Alarms of one device that are kept in a minute; no monitor raises so many.
pub(crate) const KEPT_A_MINUTE_MAX: u32 = 120;
/// Alarms that stand on one device; what comes past it is not written, as nothing could end it.
const STANDING_MAX: usize = 128;
/// One that has ended is shown so long.
const ENDED_SHOWN_US: i64 = 3_600_000_000;
/// Ended ones shown of one device.
const ENDED_SHOWN_MAX: usize = 16;
/// An alarm of which nothing has been heard for so long no longer stands.
const STANDS_US: i64 = 24 * 3_600 * 1_000_000;
/// The longest text kept, in characters.
const TEXT_LEN_MAX: usize = 200;

/// What is kept of alarms, as far as it is shown or may change.
#[derive(Debug, Default)]
pub(crate) struct DeviceAlarms {
    by_device: BTreeMap<DeviceId, OfDevice>,
}

#[derive(Debug, Default)]
struct OfDevice {
    standing: BTreeMap<String, Kept>,
    ended: Vec<Kept>,
    /// The minute counted, and what was heard in it.
    minute: i64,
    heard: u32,
}

/// One Communication.
#[derive(Clone, PartialEq, Debug)]
struct Kept {
    id: ResourceId,
    alarm: String,
    text: String,
    kind: AlarmKind,
    priority: AlarmPriority,
    demo: bool,
    bed: Option<String>,
    patient: Option<PatientId>,
    since: Timestamp,
    ended: Option<(Timestamp, String)>,
}

/// Where a device reads, as a document has it.
struct At {
    place: Where,
    bed: Option<String>,
    patient: Option<PatientId>,
}

impl DeviceAlarms {
    /// Counts an alarm of a device, unless it raises more than any device does.
    ///
    /// # Errors
    /// It does; whether this is the first in its minute.
    pub fn admit(&mut self, device: &DeviceId, at: Timestamp) -> Result<(), bool> {
        let of = self.by_device.entry(device.clone()).or_default();
        let minute = at.millis() / 60_000;
        if of.minute != minute {
            (of.minute, of.heard) = (minute, 0);
        }
        of.heard = of.heard.saturating_add(1);
        if of.heard <= KEPT_A_MINUTE_MAX { Ok(()) } else { Err(of.heard == KEPT_A_MINUTE_MAX + 1) }
    }

    /// Whether any alarm of a device stands.
    pub fn stands(&self, device: &DeviceId) -> bool {
        self.by_device.get(device).is_some_and(|of| !of.standing.is_empty())
    }

    /// Devices with alarms that stand.
    pub fn standing(&self) -> impl Iterator<Item = &DeviceId> {
        self.by_device.iter().filter(|(_, of)| !of.standing.is_empty()).map(|(device, _)| device)
    }

    /// Devices of whose alarms some have stood for too long.
    pub fn overdue(&self, now: Timestamp) -> Vec<DeviceId> {
        let old = |of: &OfDevice| of.standing.values().any(|kept| kept.is_overdue(now));
        self.by_device.iter().filter(|(_, of)| old(of)).map(|(device, _)| device.clone()).collect()
    }

    /// Takes in a Communication as it is kept, if it is an alarm of a device that this box reads; whose.
    pub fn take(&mut self, resource: &Value, reads: impl FnOnce(&DeviceId) -> bool) -> Option<DeviceId> {
        let (device, kept) = read(resource).filter(|(device, _)| reads(device))?;
        let of = self.by_device.entry(device.clone()).or_default();
        of.standing.retain(|_, held| held.id != kept.id);
        if kept.ended.is_some() {
            of.ended.push(kept);
            of.ended.sort_by_key(|kept| kept.since);
            let over = of.ended.len().saturating_sub(ENDED_SHOWN_MAX);
            of.ended.drain(..over);
        } else if of.standing.len() < 2 * STANDING_MAX {
            // One commit may have begun several at once.
            of.standing.insert(kept.alarm.clone(), kept);
        }
        Some(device)
    }

    /// The record of a patient is no longer here: neither are their alarms.
    pub fn forget(&mut self, patient: &PatientId) {
        for of in self.by_device.values_mut() {
            of.standing.retain(|_, kept| kept.patient.as_ref() != Some(patient));
            of.ended.retain(|kept| kept.patient.as_ref() != Some(patient));
        }
    }

    /// Whether any alarm that stands on a device is of another bed or patient than it reads for now.
    pub fn stands_elsewhere(&self, device: &DeviceId, now: Timestamp, association: &mut Association, patients: &Patients) -> bool {
        let mut standing = self.by_device.get(device).into_iter().flat_map(|of| of.standing.values());
        standing.any(|kept| !kept.is_at(&At::of(device, kept.demo, now, association, patients)))
    }

    /// What a device's alarms are shown as at a bed: those that stand, gravest and latest first, then those that ended lately. One of
    /// another bed or another patient is not; one that was filed to nobody stands with whoever is in the bed.
    pub fn views(&self, device: &DeviceId, bed: &BedId, patient: Option<&PatientId>, now: Timestamp) -> Vec<DeviceAlarmView> {
        let Some(of) = self.by_device.get(device) else { return Vec::new() };
        let here = |kept: &&Kept| kept.bed.as_deref() == Some(bed.as_str());
        let theirs = |kept: &&Kept| kept.patient.as_ref() == patient;
        let mut standing: Vec<&Kept> = of.standing.values().filter(here).filter(|kept| kept.patient.is_none() || theirs(kept)).collect();
        standing.sort_by_key(|kept| std::cmp::Reverse((kept.priority, kept.since)));
        let ended_lately = |kept: &&Kept| kept.ended.as_ref().is_some_and(|(at, _)| now.micros_since(*at) <= ENDED_SHOWN_US);
        let lately = |kept: &&Kept| ended_lately(kept) && here(kept) && theirs(kept);
        standing.into_iter().chain(of.ended.iter().rev().filter(lately)).map(|kept| kept.view(device)).collect()
    }

    /// What has to be written so that a change of an alarm is kept; nothing if it is, or if it ends what was never heard. What the
    /// store refused where it belongs begins as nobody's or, where it only changes, is given up.
    pub fn drafts(
        &mut self,
        device: &DeviceId,
        alarm: &Alarm,
        at: Timestamp,
        refused: bool,
        (association, patients): (&mut Association, &Patients),
        entropy: &mut dyn Entropy,
    ) -> Vec<Draft> {
        let name = name_of(alarm);
        let of = self.by_device.entry(device.clone()).or_default();
        let begin = |name: String, now: &At, entropy: &mut dyn Entropy| {
            let id = new_dated_id(ALARMS, at, protocol::entropy::bytes(entropy));
            Kept::new(id, name, alarm, now, at).created(device, now)
        };
        let Some(held) = of.standing.get(&name) else {
            if !alarm.active || of.standing.len() >= STANDING_MAX {
                return Vec::new();
            }
            let now = At::of(device, alarm.demo, at, association, patients);
            return vec![begin(name, &if refused { now.nobodys() } else { now }, entropy)];
        };
        if !alarm.active {
            if refused {
                of.standing.remove(&name);
                return Vec::new();
            }
            return vec![held.end(at, BY_DEVICE)];
        }
        let now = At::of(device, alarm.demo, at, association, patients);
        if !held.is_at(&now) {
            return if refused {
                vec![begin(name, &now.nobodys(), entropy)]
            } else {
                vec![held.end(at, MOVED), begin(name, &now, entropy)]
            };
        }
        let changed = Kept { since: held.since, ..Kept::new(held.id.clone(), name, alarm, &now, at) };
        if refused || changed == *held { Vec::new() } else { vec![changed.change()] }
    }

    /// What has to be written because a device is no longer heard: alarms that began before then have ended.
    pub fn unheard(&mut self, device: &DeviceId, at: Timestamp, why: &str, refused: bool) -> Vec<Draft> {
        self.end(device, at, why, refused, |kept| kept.since <= at)
    }

    /// What has to be written because nothing was heard of alarms for too long.
    pub fn silent(&mut self, device: &DeviceId, at: Timestamp, refused: bool) -> Vec<Draft> {
        self.end(device, at, SILENCE, refused, |kept| kept.is_overdue(at))
    }

    /// Ends some alarms of a device; those whose end the store refused are forgotten: they must not hold up what follows.
    fn end(&mut self, device: &DeviceId, at: Timestamp, why: &str, refused: bool, which: impl Fn(&Kept) -> bool) -> Vec<Draft> {
        let Some(of) = self.by_device.get_mut(device) else { return Vec::new() };
        if refused {
            of.standing.retain(|_, kept| !which(kept));
        }
        of.standing.values().filter(|kept| which(kept)).map(|kept| kept.end(at, why)).collect()
    }

    /// What has to be written because a device reads for another bed or patient: what stands ends there, and stands here from now on.
    pub fn moved(
        &self,
        device: &DeviceId,
        at: Timestamp,
        refused: bool,
        (association, patients): (&mut Association, &Patients),
        entropy: &mut dyn Entropy,
    ) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for kept in self.by_device.get(device).into_iter().flat_map(|of| of.standing.values()) {
            let now = At::of(device, kept.demo, at, association, patients);
            if kept.is_at(&now) {
                continue;
            }
            let now = if refused { now.nobodys() } else { now };
            drafts.extend((!refused).then(|| kept.end(at, MOVED)));
            let id = new_dated_id(ALARMS, at, protocol::entropy::bytes(entropy));
            let here = Kept { id, bed: now.bed.clone(), patient: now.patient.clone(), since: at, ..kept.clone() };
            drafts.push(here.created(device, &now));
        }
        drafts
    }
}

impl At {
    fn of(device: &DeviceId, demo: bool, at: Timestamp, association: &mut Association, patients: &Patients) -> Self {
        let placed = association.place_at(device, at, demo, patients);
        Self { bed: placed.bed.as_ref().map(ToString::to_string), patient: placed.patient().cloned(), place: placed.place }
    }

    /// The same bed, filed to nobody.
    fn nobodys(self) -> Self {
        Self { place: Where::Unassigned, patient: None, ..self }
    }
}

impl Kept {
    fn new(id: ResourceId, name: String, alarm: &Alarm, at: &At, since: Timestamp) -> Self {
        let text = cut(&alarm.text);
        let text = if text.is_empty() { name.clone() } else { text };
        let (bed, patient) = (at.bed.clone(), at.patient.clone());
        Self { id, alarm: name, text, kind: alarm.kind, priority: alarm.priority, demo: alarm.demo, bed, patient, since, ended: None }
    }

    fn is_at(&self, at: &At) -> bool {
        (&self.bed, &self.patient) == (&at.bed, &at.patient)
    }

    fn is_overdue(&self, now: Timestamp) -> bool {
        now.micros_since(self.since) > STANDS_US
    }

    fn created(&self, device: &DeviceId, at: &At) -> Draft {
        Draft::Create { place: at.place.clone(), resource: self.resource(device) }
    }

    fn resource(&self, device: &DeviceId) -> Value {
        let mut resource = json!({
            "resourceType": "Communication",
            "id": self.id.as_str(),
            "identifier": [{"system": ID, "value": self.alarm}],
            "status": "in-progress",
            "sent": self.since.rfc3339(),
            "sender": {"reference": format!("Device/{device}")},
        });
        if let Some(patient) = &self.patient {
            resource["subject"] = json!({"reference": format!("Patient/{patient}")});
        }
        if let Some(object) = resource.as_object_mut() {
            object.extend(self.said());
            object.insert("extension".to_owned(), self.extensions());
        }
        resource
    }

    /// The elements that follow what the device says.
    fn said(&self) -> Map<String, Value> {
        Map::from_iter([
            ("priority".to_owned(), priority(self.priority).into()),
            (
                "category".to_owned(),
                json!([{"coding": [{"system": CATEGORY, "code": "alert"}]}, {"coding": [{"system": KIND, "code": self.kind.word()}]}]),
            ),
            ("payload".to_owned(), json!([{"contentString": self.text}])),
        ])
    }

    fn extensions(&self) -> Value {
        let mut stood = json!({"start": self.since.rfc3339()});
        let mut all = Vec::new();
        if let Some((at, why)) = &self.ended {
            stood["end"] = at.rfc3339().into();
            all.push(json!({"url": ENDED, "valueCode": why}));
        }
        all.push(json!({"url": STOOD, "valuePeriod": stood}));
        all.extend(self.bed.as_ref().map(|bed| json!({"url": BED, "valueString": bed})));
        all.extend(self.demo.then(|| json!({"url": DEMO, "valueBoolean": true})));
        all.into()
    }

    fn change(&self) -> Draft {
        let mut elements = self.said();
        elements.insert("extension".to_owned(), self.extensions());
        self.update(elements)
    }

    fn end(&self, at: Timestamp, why: &str) -> Draft {
        let ended = Self { ended: Some((at.max(self.since), why.to_owned())), ..self.clone() };
        let mut elements = Map::from_iter([("status".to_owned(), Value::from("completed"))]);
        elements.insert("extension".to_owned(), ended.extensions());
        self.update(elements)
    }

    fn update(&self, elements: Map<String, Value>) -> Draft {
        Draft::Update { resource_type: "Communication".to_owned(), id: self.id.clone(), elements, if_match: None }
    }

    fn view(&self, device: &DeviceId) -> DeviceAlarmView {
        DeviceAlarmView {
            id: self.id.to_string(),
            device: device.to_string(),
            text: self.text.clone(),
            kind: self.kind.word().to_owned(),
            priority: self.priority.word().to_owned(),
            demo: self.demo,
            since_ms: self.since.millis(),
            ended_ms: self.ended.as_ref().map(|(at, _)| at.millis()),
            ended_by: self.ended.as_ref().map(|(_, why)| why.clone()),
        }
    }
}

/// Reads a Communication; `None` if it is no device's alarm.
fn read(resource: &Value) -> Option<(DeviceId, Kept)> {
    let text = |at: &str| resource.pointer(at).and_then(Value::as_str);
    let identifiers = resource.get("identifier")?.as_array()?;
    let alarm = identifiers.iter().find(|i| i.get("system").and_then(Value::as_str) == Some(ID))?.get("value")?.as_str()?;
    let device = text("/sender/reference")?.strip_prefix("Device/")?.parse().ok()?;
    let extensions = resource.get("extension").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let extension = |url: &str| extensions.iter().find(|e| e.get("url").and_then(Value::as_str) == Some(url));
    let moment = |key: &str| {
        let at = extension(STOOD)?.get("valuePeriod")?.get(key)?.as_str()?;
        Timestamp::parse(at).ok()
    };
    let categories = resource.get("category").and_then(Value::as_array).into_iter().flatten();
    let kinds = categories.filter_map(|c| c.get("coding")?.get(0)).filter(|c| c.get("system").and_then(Value::as_str) == Some(KIND));
    let technical = kinds.filter_map(|c| c.get("code")?.as_str()).any(|code| code == AlarmKind::Technical.word());
    let ended_by = extension(ENDED).and_then(|e| e.get("valueCode")).and_then(Value::as_str).unwrap_or(BY_DEVICE);
    let since = moment("start")?;
    let over = text("/status") != Some("in-progress");
    let kept = Kept {
        id: text("/id")?.parse().ok()?,
        alarm: alarm.to_owned(),
        text: text("/payload/0/contentString").unwrap_or_default().to_owned(),
        kind: if technical { AlarmKind::Technical } else { AlarmKind::Physiological },
        priority: match text("/priority") {
            Some("stat") => AlarmPriority::High,
            Some("asap") => AlarmPriority::Medium,
            Some("urgent") => AlarmPriority::Low,
            _ => AlarmPriority::Advisory,
        },
        demo: extension(DEMO).is_some(),
        bed: extension(BED).and_then(|e| e.get("valueString")).and_then(Value::as_str).map(str::to_owned),
        patient: text("/subject/reference").and_then(|whose| whose.strip_prefix("Patient/")?.parse().ok()),
        since,
        ended: over.then(|| (moment("end").unwrap_or(since), ended_by.to_owned())),
    };
    Some((device, kept))
}

/// FHIR's priority of a request, each for one of ours.
const fn priority(priority: AlarmPriority) -> &'static str {
    match priority {
        AlarmPriority::Advisory => "routine",
        AlarmPriority::Low => "urgent",
        AlarmPriority::Medium => "asap",
        AlarmPriority::High => "stat",
    }
}

/// What an alarm is kept under.
pub(crate) fn name_of(alarm: &Alarm) -> String {
    let name = cut(&alarm.id);
    if name.is_empty() { "alarm".to_owned() } else { name }
}

/// One line without blanks at its ends, as FHIR has strings.
fn cut(text: &str) -> String {
    let plain: String = text.chars().filter(|c| !c.is_control()).take(TEXT_LEN_MAX).collect();
    plain.trim().to_owned()
}
