//! A ward in a test: the real agent over the real replica and a store in memory, a clock that is turned by hand, and a
//! link to each device. Crashing drops everything but the store.
#![allow(dead_code)]

use driver::Channel;
use driver::frame::{flagged, mllp};
use driver::profile::Profile;
use edge_api::alert::{AlertAnswer, AlertView};
use edge_api::bed::{AttachDevice, Observe, ObservedValue, PlacePatient};
use edge_api::live::LiveMessage;
use edge_api::ward::{BedView, NumericView, WardView};
use edge_core::{
    Actor, Agent, Command, CommandError, CommandReply, DeviceSetting, Effect, Input, Limits, LinkEvent, LinkId, LiveEvent, Recovered,
    Settings,
};
use protocol::memory::MemoryStore;
use protocol::replica::{Vitals, frames_of};
use protocol::store::DocumentFilter;
use protocol::{Commit, Committed, Draft, Entropy, Replica, Store, Where};
use record::code::Code;
use record::id::{DeviceId, ReplicaId, RunId};
use record::ledger::{Act, Identity};
use record::series::{Boot, Frame, Segment};
use record::time::{Monotonic, Now, Timestamp};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub const PLX: Channel = Channel::assigned(0x2A5F);
pub const PLX_SPOT: Channel = Channel::assigned(0x2A5E);
pub const HR: Channel = Channel::assigned(0x2A37);
pub const BEGIN_MS: i64 = 1_764_000_000_000;

/// Dice that fall the same way every time.
pub struct Dice(u64);

impl Entropy for Dice {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = self.0 as u8;
        }
    }
}

pub struct Ward {
    pub agent: Agent,
    pub replica: Replica,
    pub store: MemoryStore,
    pub now: Now,
    pub settings: Settings,
    /// Effects since they were last taken.
    pub log: Vec<Effect>,
    /// While true, commits wait in `waiting`.
    pub hold: bool,
    pub waiting: Option<(u64, Commit)>,
    /// Commits the store refuses, as the daemon says it.
    pub refuses: fn(&Commit) -> bool,
    /// Segments of durable commits.
    pub sealed: Vec<(Where, Segment)>,
    /// Frames of durable ticks.
    pub ticked: Vec<Frame>,
    pub commits: u64,
    /// What the hub rolled out, as the store would give it back after a crash.
    pub configuration: protocol::replica::Standing,
    /// Whether the next start is one from a backup.
    pub restored: Option<Timestamp>,
    dice: Dice,
    wake: Option<Monotonic>,
    commands: u64,
}

pub fn profile(name: &str) -> Profile {
    catalogue::profiles().expect("profiles").into_iter().find(|p| p.name == name).expect(name)
}

pub fn device(id: &str, profile_name: &str, bed: Option<&str>) -> DeviceSetting {
    let bed = bed.map(|b| b.parse().expect(b));
    DeviceSetting { id: id.parse().expect(id), name: id.to_owned(), profile: profile(profile_name), bed, by: None, replayed: false }
}

pub fn settings(devices: Vec<DeviceSetting>) -> Settings {
    Settings {
        site: "Hillside".to_owned(),
        replica: ReplicaId([7; 32]),
        version: "0.1.0".to_owned(),
        run: RunId([1; 8]),
        beds: ["1", "2", "3"].map(|b| b.parse().expect(b)).to_vec(),
        seal_every_s: 60,
        seal_waves_every_s: 10,
        devices,
        profiles: catalogue::profiles().expect("profiles"),
        device_commands: BTreeSet::new(),
        limits: Limits::default(),
    }
}

impl Ward {
    pub fn new(devices: Vec<DeviceSetting>) -> Self {
        Self::with(settings(devices))
    }

    pub fn with(settings: Settings) -> Self {
        let wall = Timestamp::from_millis(BEGIN_MS);
        let now = Now { wall, mono: Monotonic(1_000_000), ..Now::default() };
        let (mut store, mut dice) = (MemoryStore::default(), Dice(0x9E37_79B9_7F4A_7C15));
        let replica = open(&mut store, settings.run, now, &mut dice);
        let (agent, effects) = Agent::new(settings.clone(), Recovered::default(), now);
        let mut ward = Self {
            agent,
            replica,
            store,
            now,
            settings,
            log: Vec::new(),
            hold: false,
            waiting: None,
            refuses: |_| false,
            sealed: Vec::new(),
            ticked: Vec::new(),
            commits: 0,
            configuration: Default::default(),
            restored: None,
            dice,
            wake: None,
            commands: 0,
        };
        ward.absorb(effects);
        ward.handle(Input::Wake);
        ward.log.clear();
        ward
    }

    /// Gives one input and answers the commits that follow, unless they are held.
    pub fn handle(&mut self, input: Input) {
        let effects = self.agent.handle(self.now, &mut self.dice, input);
        self.absorb(effects);
        while let Some((_, commit)) = self.waiting.as_ref().filter(|_| !self.hold) {
            if (self.refuses)(commit) { self.refuse("it cannot be kept", 1_000) } else { self.answer() }
        }
    }

    fn absorb(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match &effect {
                Effect::Commit { token, commit } => {
                    assert!(self.waiting.is_none(), "two commits under way");
                    self.waiting = Some((*token, commit.clone()));
                }
                Effect::WakeAt(at) => self.wake = Some(*at),
                _ => {}
            }
            self.log.push(effect);
        }
    }

    /// Makes the waiting commit durable without telling the agent.
    pub fn persist(&mut self) -> Option<(u64, Committed)> {
        let (token, commit) = self.waiting.take()?;
        self.tick_us(1_000);
        let result = self.replica.commit(&mut self.store, self.now, &mut self.dice, &commit).expect("commit");
        self.commits += 1;
        self.ticked.extend(commit.tick.iter().cloned());
        self.sealed.extend(commit.drafts.into_iter().filter_map(|d| match d {
            Draft::Segment { place, segment } => Some((place, segment)),
            _ => None,
        }));
        Some((token, result))
    }

    /// Makes the waiting commit durable and says so.
    pub fn answer(&mut self) {
        if let Some((token, result)) = self.persist() {
            self.handle(Input::Committed { token, result });
        }
    }

    /// Refuses the waiting commit.
    pub fn refuse(&mut self, reason: &str, retry_ms: u64) {
        self.refuse_as(false, reason, retry_ms);
    }

    /// The same, saying whether the disk is full.
    pub fn refuse_as(&mut self, full: bool, reason: &str, retry_ms: u64) {
        let (token, _) = self.waiting.take().expect("a commit");
        self.handle(Input::CommitFailed { token, full, reason: reason.to_owned(), retry_ms });
    }

    pub fn tick_us(&mut self, us: i64) {
        self.now.wall = self.now.wall.plus_micros(us);
        self.now.mono = self.now.mono.plus_micros(us.unsigned_abs());
    }

    /// Lets time pass, waking the agent whenever it asked to be.
    pub fn pass_ms(&mut self, ms: u64) {
        let end = self.now.mono.plus_micros(ms * 1000);
        while let Some(at) = self.wake.filter(|at| *at <= end) {
            self.tick_us(i64::try_from(at.micros_since(self.now.mono)).expect("time"));
            self.wake = None;
            self.handle(Input::Wake);
        }
        self.tick_us(i64::try_from(end.micros_since(self.now.mono)).expect("time"));
    }

    pub fn link(&mut self, link: u64, id: &str, event: LinkEvent) {
        self.handle(Input::Link { link: LinkId(link), device: id.parse().expect(id), event });
    }
    pub fn connect(&mut self, link: u64, id: &str) {
        self.link(link, id, LinkEvent::Connected);
    }
    pub fn bytes(&mut self, link: u64, id: &str, channel: Channel, bytes: &[u8]) {
        self.link(link, id, LinkEvent::Bytes(channel, bytes.to_vec()));
    }
    pub fn unplug(&mut self, link: u64, id: &str) {
        self.link(link, id, LinkEvent::Disconnected { reason: "cable pulled: plug it in".to_owned() });
    }

    /// A patient as FHIR would bring one in.
    pub fn register(&mut self, id: &str, more: Value) {
        let mut resource =
            json!({"resourceType": "Patient", "id": id, "name": [{"family": id, "given": ["A."]}], "birthDate": "1960-01-01"});
        for (key, value) in more.as_object().expect("object") {
            resource[key] = value.clone();
        }
        let commit = Commit { act: Act::system(), drafts: vec![Draft::Create { place: Where::Site, resource }], ..Commit::default() };
        let result = self.replica.commit(&mut self.store, self.now, &mut self.dice, &commit).expect("register");
        let patient = id.parse().expect(id);
        let scope = self.replica.scope_of(&patient).expect("scope");
        self.handle(Input::Scopes(vec![(patient, scope)]));
        self.handle(Input::Changed(result.documents));
    }

    /// Writes on another's behalf (a hub, a FHIR client) and tells the agent.
    pub fn elsewhere(&mut self, drafts: Vec<Draft>) {
        let commit = Commit { act: Act::system(), drafts, ..Commit::default() };
        let result = self.replica.commit(&mut self.store, self.now, &mut self.dice, &commit).expect("commit");
        self.handle(Input::Changed(result.documents));
    }

    pub fn ask(&mut self, command: Command) -> u64 {
        self.commands += 1;
        let actor = Actor { user: "ana".to_owned(), session: "s1".to_owned() };
        self.handle(Input::Command { id: self.commands, actor, command });
        self.commands
    }

    pub fn answer_to(&self, id: u64) -> Option<Result<CommandReply, CommandError>> {
        self.log.iter().find_map(|e| match e {
            Effect::Reply { id: of, result } if *of == id => Some(result.clone()),
            _ => None,
        })
    }

    pub fn command(&mut self, command: Command) -> Result<CommandReply, CommandError> {
        let id = self.ask(command);
        self.answer_to(id).expect("an answer")
    }

    pub fn place(&mut self, bed: &str, patient: Option<&str>) -> Result<CommandReply, CommandError> {
        self.command(Command::PlacePatient {
            bed: bed.to_owned(),
            request: PlacePatient { patient: patient.map(str::to_owned), since_ms: None },
        })
    }

    pub fn attach(&mut self, bed: &str, device: &str, may_move: bool) -> Result<CommandReply, CommandError> {
        let request = AttachDevice { move_from_other_bed: may_move };
        self.command(Command::AttachDevice { bed: bed.to_owned(), device: device.to_owned(), request })
    }

    pub fn observe(&mut self, bed: &str, patient: &str, values: &[(&str, &str, &str)]) -> Result<CommandReply, CommandError> {
        self.command(observe(bed, patient, values))
    }

    pub fn acknowledge(&mut self, alert: &str) -> Result<CommandReply, CommandError> {
        self.command(Command::AcknowledgeAlert { alert: alert.to_owned(), answer: AlertAnswer::default() })
    }

    pub fn resolve(&mut self, alert: &str) -> Result<CommandReply, CommandError> {
        self.command(Command::ResolveAlert { alert: alert.to_owned(), answer: AlertAnswer::default() })
    }

    pub fn ward(&self) -> WardView {
        self.agent.ward(self.now)
    }
    pub fn bed(&self, bed: &str) -> BedView {
        self.ward().beds.into_iter().find(|b| b.bed == bed).expect(bed)
    }
    pub fn shown(&self, bed: &str, code: Code) -> Option<NumericView> {
        self.bed(bed).numerics.into_iter().find(|n| n.key == code.key())
    }
    pub fn value(&self, bed: &str, code: Code) -> Option<String> {
        self.shown(bed, code).and_then(|n| n.value).map(|v| v.to_string())
    }
    pub fn open_alerts(&self) -> Vec<AlertView> {
        self.ward().alerts
    }

    /// The program is killed. A commit that waits was never made durable.
    pub fn crash(&mut self) {
        self.waiting = None;
        self.settings.run = RunId([self.settings.run.0[0].wrapping_add(1); 8]);
        // The steady clock begins anew with the machine.
        self.now.mono = Monotonic(500_000);
        self.wake = None;
        self.replica = open(&mut self.store, self.settings.run, self.now, &mut self.dice);
        let recovered = Recovered { configuration: self.configuration.clone(), restored: self.restored, ..recovered(&mut self.store) };
        let (agent, effects) = Agent::new(self.settings.clone(), recovered, self.now);
        self.agent = agent;
        self.absorb(effects);
        self.handle(Input::Wake);
    }

    pub fn stop(&mut self) {
        self.handle(Input::Stop);
        self.pass_ms(1);
        assert!(self.log.contains(&Effect::Stopped), "did not stop");
    }

    /// What the record holds of a patient, from segments and journal.
    pub fn charted(&mut self, patient: &str) -> Vec<Frame> {
        let vitals = Vitals {
            patient: patient.parse().expect(patient),
            waves: false,
            from: Timestamp(i64::MIN),
            to: Timestamp(i64::MAX),
            device: None,
        };
        let mut tx = self.store.begin().expect("begin");
        frames_of(tx.as_mut(), &vitals).expect("frames")
    }

    pub fn charted_values(&mut self, patient: &str, code: Code) -> Vec<String> {
        let numerics = self.charted(patient).into_iter().flat_map(|f| f.numerics);
        numerics.filter(|n| n.code == code).map(|n| n.value.map_or_else(|e| e.to_string(), |v| v.to_string())).collect()
    }

    pub fn journal(&mut self) -> Vec<u64> {
        let mut tx = self.store.begin().expect("begin");
        let ids: BTreeSet<u64> = [false, true].into_iter().flat_map(|w| tx.ticks(w, 0).expect("ticks")).map(|(id, _)| id).collect();
        ids.into_iter().collect()
    }

    /// Every sample of durable ticks must lie in exactly one segment.
    pub fn check_nothing_lost_or_doubled(&self) {
        let mut wanted: BTreeSet<(DeviceId, Boot, u64)> = BTreeSet::new();
        for frame in &self.ticked {
            for seq in frame.first_seq..frame.first_seq + frame.len() {
                assert!(wanted.insert((frame.device.clone(), frame.boot, seq)), "one sample in two ticks");
            }
        }
        let mut found: BTreeMap<(DeviceId, Boot, u64), u32> = BTreeMap::new();
        for frame in self.sealed.iter().flat_map(|(_, s)| s.frames().expect("frames")) {
            for seq in frame.first_seq..frame.first_seq + frame.len() {
                *found.entry((frame.device.clone(), frame.boot, seq)).or_default() += 1;
            }
        }
        assert!(found.values().all(|n| *n == 1), "a sample is sealed twice");
        assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), wanted);
    }

    pub fn lives(&self) -> Vec<&LiveMessage> {
        let live = |e: &'_ Effect| matches!(e, Effect::Live(LiveEvent::Message(_)));
        self.log
            .iter()
            .filter(|e| live(e))
            .filter_map(|e| match e {
                Effect::Live(LiveEvent::Message(message)) => Some(message.as_ref()),
                _ => None,
            })
            .collect()
    }
    pub fn sends(&self) -> Vec<Vec<u8>> {
        self.log.iter().filter_map(|e| if let Effect::Send { bytes, .. } = e { Some(bytes.clone()) } else { None }).collect()
    }
}

pub fn observe(bed: &str, patient: &str, values: &[(&str, &str, &str)]) -> Command {
    let values = values.iter().map(|(code, value, unit)| ObservedValue {
        code: (*code).to_owned(),
        value: value.parse().expect(value),
        unit: (*unit).to_owned(),
    });
    let request = Observe { patient: patient.to_owned(), measured_ms: None, values: values.collect() };
    Command::Observe { bed: bed.to_owned(), request }
}

fn open(store: &mut MemoryStore, run: RunId, now: Now, dice: &mut Dice) -> Replica {
    let identity = Identity::from_seed(&[7; 32]).expect("identity");
    Replica::open(store, identity, run, "test", now, dice).expect("replica")
}

/// What a program reads from its store at start.
pub fn recovered(store: &mut MemoryStore) -> Recovered {
    let mut tx = store.begin().expect("begin");
    let mut documents = |kind: &str| {
        let filter = DocumentFilter { resource_type: kind.to_owned(), limit: 1000, ..DocumentFilter::default() };
        tx.documents(&filter).expect("documents")
    };
    let json = |d: &protocol::store::StoredDocument| serde_json::from_str::<Value>(&d.json).expect("json");
    let patients = documents("Patient").iter().map(json).collect();
    let devices = documents("Device").iter().map(json).collect();
    let alerts = documents("DetectedIssue")
        .into_iter()
        .map(|d| protocol::commit::DocumentState {
            json: json(&d),
            acknowledged: protocol::replica::parts_of(&d).expect("parts").first_acknowledgement().map(|(at, by)| (at, by.to_owned())),
            resource_type: d.resource_type,
            id: d.id,
            version: d.version,
        })
        .collect();
    let statements =
        ["DiagnosticReport", "Observation", "Communication"].iter().flat_map(|kind| documents(kind)).map(|d| json(&d)).collect();
    let devices: Vec<Value> = devices;
    let ids = devices.iter().filter_map(|d| d["id"].as_str()?.parse::<DeviceId>().ok());
    let keys: Vec<String> = ids.flat_map(|id| edge_core::value_keys(&id).collect::<Vec<_>>()).collect();
    let values = keys.into_iter().filter_map(|key| tx.value(&key).expect("value").map(|value| (key, value))).collect();
    let mut ticks: Vec<_> = [false, true].into_iter().flat_map(|waves| tx.ticks(waves, 0).expect("ticks")).collect();
    ticks.sort_by_key(|(id, _)| *id);
    Recovered {
        bindings: tx.bindings().expect("bindings"),
        patients,
        scopes: tx.scopes().expect("scopes").into_iter().filter_map(|s| Some((s.patient?, s.id))).collect(),
        devices,
        alerts,
        closed: Vec::new(),
        statements,
        values,
        recent: Vec::new(),
        ticks,
        sealed_through: tx.sealed_through(Timestamp(i64::MIN)).expect("sealed"),
        restored: None,
        configuration: Default::default(),
    }
}

/// A continuous oximeter notification.
pub fn plx(spo2: u8, pulse: u8) -> Vec<u8> {
    vec![0, spo2, 0, pulse, 0]
}
/// The same, marked as demonstration data.
pub fn plx_demo(spo2: u8, pulse: u8) -> Vec<u8> {
    vec![0x04, spo2, 0, pulse, 0, 0x00, 0x04]
}
/// A stored spot-check measurement of a moment, UTC.
pub fn plx_stored(spo2: u8, pulse: u8, at: Timestamp) -> Vec<u8> {
    let text = at.rfc3339();
    let part = |from: usize, to: usize| text.get(from..to).expect("part").parse::<u16>().expect("number");
    let year = part(0, 4).to_le_bytes();
    let rest = [part(5, 7), part(8, 10), part(11, 13), part(14, 16), part(17, 19)].map(|n| n as u8);
    [&[0x03, spo2, 0, pulse, 0][..], &year, &rest, &[0x00, 0x02]].concat()
}
/// A heart rate notification.
pub fn hr(rate: u8) -> Vec<u8> {
    vec![0, rate]
}
/// A monitor's report over MLLP, with one OBX per (MDC code, value, MDC unit).
pub fn oru(id: &str, time: &str, values: &[(u32, &str, u32)]) -> Vec<u8> {
    let mut text = format!("MSH|^~\\&|MON^1^EUI-64|W|||{time}+0000||ORU^R01^ORU_R01|{id}|P|2.6\rPID|||1\rOBR|1||||||{time}+0000\r");
    for (n, (code, value, unit)) in values.iter().enumerate() {
        text.push_str(&format!("OBX|{}|NM|{code}^X^MDC|1.{n}|{value}|{unit}^X^MDC|||||R\r", n + 1));
    }
    mllp(text.as_bytes())
}
/// A DRI wave record with one ECG block.
pub fn dri_ecg(samples: &[i16]) -> Vec<u8> {
    let mut record = vec![0u8; 40];
    let data: Vec<u8> = [samples.len() as i16, 0, 2].iter().chain(samples).flat_map(|v| v.to_le_bytes()).collect();
    let length = (record.len() + data.len()) as i16;
    record[0..2].copy_from_slice(&length.to_le_bytes());
    record[14..16].copy_from_slice(&1i16.to_le_bytes());
    record[18] = 1;
    record[21] = 0xFF;
    record.extend(data);
    record.push(record.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
    flagged(&record)
}
