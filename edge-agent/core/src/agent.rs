//! The agent: one input in, effects out.

use crate::MANUAL;
use crate::alerting::{Alerts, Scored};
use crate::association::Association;
use crate::chart::{Chart, Charts, Whose};
use crate::commands::{Actor, Command, CommandError, Sighting};
use crate::device_alarms::{DeviceAlarms, KEPT_A_MINUTE_MAX};
use crate::devices::Devices;
use crate::durable::Failure;
use crate::effects::{Effect, Note};
use crate::ingest::{Arrival, Links};
use crate::input::{Input, LinkEvent, LinkId};
use crate::laboratory::Laboratory;
use crate::limiting::Limiting;
use crate::on_record::OnRecord;
use crate::pairing::Pairings;
use crate::patients::Patients;
use crate::recovered::Recovered;
use crate::refusals::Refusals;
use crate::saving::Saving;
use crate::series::Series;
use crate::settings::Settings;
use crate::statements::{Statements, What};
use crate::writer::{Acknowledgement, Writer};
use catalogue::Link;
use driver::{DecodeError, Fault, In};
use edge_api::sync::{LinkState, SyncView};
use protocol::Entropy;
use record::id::{BedId, DeviceId, PatientId};
use record::time::{Monotonic, Now};
use risk::Score;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Scores are looked at again this often even if nothing arrives: values grow old.
const RESCORE_EVERY_US: u64 = 10_000_000;
/// A wake-up that would be earlier by less than this is not asked for anew.
const WAKE_SLACK_US: u64 = 1_000;
/// How long after a session all it brought has been heard.
const HEARD_US: u64 = 60_000_000;
/// The score that raises alerts.
pub(crate) const SCORE: &dyn Score = &risk::scores::news2::News2;

/// The deciding part of one appliance.
#[derive(Debug)]
pub struct Agent {
    pub(crate) settings: Settings,
    pub(crate) association: Association,
    pub(crate) patients: Patients,
    pub(crate) devices: Devices,
    pub(crate) links: Links,
    pub(crate) pairings: Pairings,
    pub(crate) on_record: OnRecord,
    /// What the latest scan heard.
    pub(crate) sightings: Vec<Sighting>,
    pub(crate) charts: Charts,
    pub(crate) scores: BTreeMap<PatientId, Scored>,
    pub(crate) alerts: Alerts,
    pub(crate) limiting: Limiting,
    pub(crate) laboratory: Laboratory,
    pub(crate) device_alarms: DeviceAlarms,
    pub(crate) statements: Statements,
    pub(crate) series: Series,
    pub(crate) writer: Writer,
    pub(crate) commands: VecDeque<Queued>,
    pub(crate) command_was_last: bool,
    pub(crate) refusals: Refusals,
    pub(crate) saving: Saving,
    pub(crate) set_up: bool,
    pub(crate) manual: DeviceId,
    pub(crate) manual_seq: u64,
    pub(crate) sync: SyncView,
    /// Beds whose view has changed, and when each was last sent.
    pub(crate) beds_changed: BTreeSet<BedId>,
    pub(crate) beds_shown: BTreeMap<BedId, Monotonic>,
    pub(crate) to_score: BTreeSet<PatientId>,
    pub(crate) losing: bool,
    /// There is room for little: alerts and commands are written without the readings that wait.
    pub(crate) scarce: bool,
    pub(crate) stopping: bool,
    pub(crate) stopped: bool,
    pub(crate) counts: Counts,
    rescore_at: Monotonic,
    wake_asked: Option<Monotonic>,
}

/// What an agent has done since it started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Numerics heard from devices and people.
    pub received: u64,
    /// Scores computed.
    pub scored: u64,
}

/// A command waiting for its turn.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub id: u64,
    pub actor: Actor,
    pub command: Command,
    /// Commits of it that failed.
    pub attempts: u32,
}

impl Agent {
    /// An agent as the store left it. The first [`Agent::handle`] writes what is missing.
    #[must_use]
    pub fn new(settings: Settings, recovered: Recovered, now: Now) -> (Self, Vec<Effect>) {
        let mut agent = Self {
            association: Association::default(),
            patients: Patients::default(),
            devices: Devices::new(&settings.devices),
            links: Links::new(settings.run),
            pairings: Pairings::default(),
            on_record: OnRecord::new(settings.replica),
            sightings: Vec::new(),
            charts: Charts::default(),
            scores: BTreeMap::new(),
            alerts: Alerts::default(),
            limiting: Limiting::new(format!("edge-agent/{}", settings.version)),
            laboratory: Laboratory::default(),
            device_alarms: DeviceAlarms::default(),
            statements: Statements::default(),
            series: Series::new(settings.seal_every_s, settings.seal_waves_every_s),
            writer: Writer::new(settings.limits.waiting_bytes_max),
            commands: VecDeque::new(),
            command_was_last: false,
            refusals: Refusals::default(),
            saving: Saving::default(),
            set_up: false,
            manual: manual(),
            manual_seq: 0,
            sync: SyncView::before_contact(LinkState::Unenrolled, now.wall.millis()),
            beds_changed: settings.beds.iter().cloned().collect(),
            beds_shown: BTreeMap::new(),
            to_score: BTreeSet::new(),
            losing: false,
            scarce: false,
            stopping: false,
            stopped: false,
            counts: Counts::default(),
            rescore_at: now.mono,
            wake_asked: Some(now.mono),
            settings,
        };
        let mut out = agent.recover(recovered, now);
        out.push(Effect::WakeAt(now.mono));
        (agent, out)
    }

    /// What it has done so far.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes one input, yields what to do. `now` never decides whether, only when; `entropy` names new things.
    pub fn handle(&mut self, now: Now, entropy: &mut dyn Entropy, input: Input) -> Vec<Effect> {
        let mut out = Vec::new();
        self.on_time(now, &mut out);
        match input {
            Input::Link { link, device, event } => self.link(now, link, device, event, &mut out),
            Input::Committed { token, result } => self.durable(now, token, &result, &mut out),
            Input::CommitFailed { token, full, reason, retry_ms } => self.failed(now, token, Failure { full, reason, retry_ms }, &mut out),
            Input::Bonding { device, event } => self.bonding(&device, event, &mut out),
            Input::Command { id, actor, command } => match self.at_once(&command, now, entropy, &mut out) {
                Some(result) => out.push(Effect::Reply { id, result }),
                None => self.queue(id, actor, command, &mut out),
            },
            Input::Changed(documents) => self.take_documents(&documents, now, &mut out),
            Input::BindingsChanged(versions) => {
                let changed: Vec<_> = versions.iter().map(|(_, binding)| binding.clone()).collect();
                self.association.apply(versions);
                self.rebound(&changed, &[], now);
            }
            Input::Scopes(scopes) => {
                self.association.know_scopes(scopes);
                if self.association.refresh(now.wall) {
                    self.move_alarms(now);
                    self.beds_changed.extend(self.settings.beds.iter().cloned());
                }
            }
            Input::Closed(patients) => self.close(patients, now, &mut out),
            Input::Configured(standing) => self.configure(&standing, &mut out),
            Input::Room(room) => self.room(room, now, &mut out),
            Input::Sync(view) => {
                if view.state == LinkState::Online && view.digest_equal == Some(true) {
                    self.series.release(now.mono.plus_micros(HEARD_US));
                }
                if self.sync != view {
                    self.sync = view.clone();
                    out.push(edge_api::live::LiveMessage::Sync(view).into());
                }
            }
            Input::Wake => {}
            Input::Stop => self.stop(),
        }
        self.score(now);
        self.write(now, entropy, &mut out);
        self.show(now, &mut out);
        self.ask_to_wake(now, &mut out);
        out
    }

    fn on_time(&mut self, now: Now, out: &mut Vec<Effect>) {
        for (link, device) in self.links.due(now.mono) {
            let arrival = self.hear(now, link, In::Wake);
            self.arrived(now, link, &device, arrival, out);
        }
        for device in self.pairings.expired(now.mono) {
            self.end_pairing(&device, now, out);
        }
        self.devices.on_time(now);
        self.series.on_time(now);
        if self.rescore_at <= now.mono {
            self.rescore_at = now.mono.plus_micros(RESCORE_EVERY_US);
            if self.association.refresh(now.wall) {
                self.move_alarms(now);
            }
            // Of others it is known when they are no longer heard.
            for device in self.device_alarms.overdue(now.wall) {
                if self.calls(&device) {
                    self.statements.push(&device, now.wall, What::Silent);
                }
            }
            self.to_score.extend(self.association.occupied().map(|(_, patient)| patient.clone()));
        }
    }

    fn link(&mut self, now: Now, link: LinkId, id: DeviceId, event: LinkEvent, out: &mut Vec<Effect>) {
        let Some(device) = self.devices.get_mut(&id) else {
            out.push(Effect::Note(Note::UnknownDevice(id)));
            return;
        };
        if self.stopping {
            return;
        }
        match event {
            LinkEvent::Connecting => device.connecting("connecting"),
            LinkEvent::Identified(address) => device.identified(&address),
            LinkEvent::Connected => self.open(now, link, &id, out),
            LinkEvent::Bytes(channel, bytes) => {
                if !self.links.is_up(link) {
                    self.open(now, link, &id, out);
                }
                let Some(device) = self.devices.get_mut(&id).filter(|_| self.links.is_up(link)) else { return };
                device.heard(now);
                let limit = self.settings.limits.arrival_bytes_max;
                let arrival = if bytes.len() > limit {
                    let fault = Fault::new(DecodeError::Oversized { limit }, bytes.len());
                    Arrival { faults: vec![fault], ..Arrival::default() }
                } else {
                    self.hear(now, link, In::Bytes(channel, &bytes))
                };
                self.arrived(now, link, &id, arrival, out);
            }
            LinkEvent::Disconnected { reason } => self.down(now, link, &id, &reason, out),
            LinkEvent::PairingNeeded { reason, lost } => {
                self.down(now, link, &id, &reason, out);
                self.asks_to_bond(&id, &reason, lost, out);
            }
        }
    }

    fn down(&mut self, now: Now, link: LinkId, id: &DeviceId, reason: &str, out: &mut Vec<Effect>) {
        let arrival = self.hear(now, link, In::Disconnected);
        self.arrived(now, link, id, arrival, out);
        self.links.close(link);
        if self.links.has(id) {
            return;
        }
        if let Some(device) = self.devices.get_mut(id) {
            device.down(reason);
            if !self.calls(id) {
                self.unheard(id, "line-down", now);
            }
        }
        if let Some(pairing) = self.pairings.of_device_mut(id) {
            pairing.link_down(reason);
        }
    }

    /// Whether a device calls for each message: it tells when its alarms end, and a link that closes says nothing.
    fn calls(&self, device: &DeviceId) -> bool {
        let row = self.devices.get(device).and_then(|device| catalogue::protocol(&device.setting.profile.protocol).ok());
        row.is_some_and(|row| row.link == Link::TcpListener)
    }

    /// A device is no longer heard: neither are its alarms, those that wait to be written included.
    pub(crate) fn unheard(&mut self, device: &DeviceId, why: &'static str, now: Now) {
        if self.device_alarms.stands(device) || self.statements.last_of(device) > 0 {
            self.statements.push(device, now.wall, What::Unheard(why));
        }
    }

    /// Alarms that stand follow their devices to another bed, and leave the patient who has left.
    pub(crate) fn move_alarms(&mut self, now: Now) {
        let devices: Vec<DeviceId> = self.devices.iter().map(|device| device.setting.id.clone()).collect();
        for device in devices {
            let whose = (&mut self.association, &self.patients);
            if self.statements.last_of(&device) > 0 || self.device_alarms.stands_elsewhere(&device, now.wall, whose.0, whose.1) {
                self.statements.push(&device, now.wall, What::Moved);
            }
        }
    }

    fn open(&mut self, now: Now, link: LinkId, id: &DeviceId, out: &mut Vec<Effect>) {
        let Some(device) = self.devices.get_mut(id) else { return };
        if let Err(note) = self.links.open(link, &device.setting) {
            device.down("this version cannot read it: check the profile's protocol and the number of links");
            out.push(Effect::Note(note));
            return;
        }
        device.connecting("connected, waiting for the first data");
        if let Some(pairing) = self.pairings.of_device_mut(id) {
            pairing.connected();
        }
        let arrival = self.hear(now, link, In::Connected);
        self.arrived(now, link, id, arrival, out);
    }

    fn hear(&mut self, now: Now, link: LinkId, input: In<'_>) -> Arrival {
        let (association, patients) = (&mut self.association, &self.patients);
        let full = self.writer.is_full() || self.statements.is_full();
        self.links.hear(link, now, input, full, |frame| association.place(frame, patients).bed)
    }

    fn arrived(&mut self, now: Now, link: LinkId, id: &DeviceId, arrival: Arrival, out: &mut Vec<Effect>) {
        let Some(device) = self.devices.get_mut(id) else { return };
        if let Some(pairing) = self.pairings.of_device_mut(id) {
            pairing.heard(&arrival, now);
        }
        out.extend(arrival.send.into_iter().map(|(channel, bytes)| Effect::Send { link, channel, bytes }));
        out.extend(arrival.notes.into_iter().map(Effect::Note));
        arrival.about.iter().for_each(|about| device.about(about));
        if let Some(clock) = arrival.clock {
            device.clock(clock);
        }
        if let Some(last) = arrival.faults.last()
            && let Some(count) = device.faulty(arrival.faults.len() as u64, now.mono)
        {
            out.push(Effect::Note(Note::unreadable(id, last, count)));
        }
        for frame in arrival.frames {
            self.counts.received += frame.numerics.len() as u64;
            let samples = self.writer.push(frame);
            if samples > 0 {
                self.losing = true;
                if device.lost_waves(samples) {
                    out.push(Effect::Note(Note::WavesDropped { samples }));
                }
            }
        }
        if arrival.refused {
            self.losing = true;
            if device.lost_readings() {
                out.push(Effect::Note(Note::ReadingsRefused { device: id.clone() }));
            }
        }
        for report in arrival.reports {
            self.statements.push(id, now.wall, What::Report(Box::new(report)));
        }
        for alarm in arrival.alarms {
            // Ends are always taken: an alarm must not stand for ever.
            let admitted = if alarm.active { self.device_alarms.admit(id, now.wall) } else { Ok(()) };
            match admitted {
                Ok(()) => self.statements.push(id, now.wall, What::Alarm(Box::new(alarm))),
                Err(true) => {
                    out.push(Effect::Note(Note::TooMany { what: "alarms of one device in a minute", limit: KEPT_A_MINUTE_MAX as usize }));
                }
                Err(false) => {}
            }
        }
        let statement = self.statements.last_of(id);
        for (boot, channel, bytes) in arrival.acknowledge {
            self.writer.acknowledge(Acknowledgement { after: 0, device: id.clone(), statement, link, boot, channel, bytes });
        }
        if self.saving.has_stopped() {
            self.show_unsaved(out);
        }
        self.release(out);
    }

    /// Sends the acknowledgements whose readings are durable, over links that still are what they were.
    pub(crate) fn release(&mut self, out: &mut Vec<Effect>) {
        for ready in self.writer.released(&self.statements) {
            if self.links.boot_of(ready.link) == Some(ready.boot) {
                out.push(Effect::Send { link: ready.link, channel: ready.channel, bytes: ready.bytes });
            }
        }
    }

    /// Everything is tried anew, a few times: what the store still refuses then is left to the next start.
    fn stop(&mut self) {
        if !self.stopping {
            self.stopping = true;
            self.refusals = Refusals::default();
        }
    }

    fn queue(&mut self, id: u64, actor: Actor, command: Command, out: &mut Vec<Effect>) {
        let waiting = self.commands.len();
        let refused = if self.stopping {
            Some(CommandError::Stopping)
        } else {
            (waiting >= self.settings.limits.commands_max).then_some(CommandError::Busy { waiting })
        };
        match refused {
            Some(error) => out.push(Effect::Reply { id, result: Err(error) }),
            None => self.commands.push_back(Queued { id, actor, command, attempts: 0 }),
        }
    }

    fn score(&mut self, now: Now) {
        if self.to_score.is_empty() {
            return;
        }
        let wanted = std::mem::take(&mut self.to_score);
        let occupied: Vec<(BedId, PatientId)> = self.association.occupied().map(|(b, p)| (b.clone(), p.clone())).collect();
        self.scores.retain(|patient, _| occupied.iter().any(|(_, p)| p == patient));
        self.limiting.keep(|patient| occupied.iter().any(|(_, p)| p == patient));
        for (bed, patient) in occupied.into_iter().filter(|(_, patient)| wanted.contains(patient)) {
            let empty = Chart::default();
            let chart = self.charts.get(&Whose::Patient(patient.clone())).unwrap_or(&empty);
            // Somebody whose Patient has not arrived yet is scored as of unknown age: no score would be the greater danger.
            let person = self.patients.get(&patient);
            let subject = person.map(|person| person.subject(now.wall)).unwrap_or_default();
            let whom = person.map(|person| person.whom(now.wall)).unwrap_or_default();
            self.counts.scored += 1;
            let inputs = chart.for_scores(subject);
            let here_since = self.association.here_since(&patient).unwrap_or(now.wall);
            let limited = self.limiting.judge(&patient, whom, &inputs, now.wall, now.mono);
            let (result, trigger) = (SCORE.assess(&inputs, now.wall), chart.trigger);
            let scored = Scored { bed: bed.clone(), here_since, at: now.wall, result, limited, inputs, trigger };
            self.alerts.follow(&patient, &scored, now.mono);
            self.scores.insert(patient, scored);
            self.beds_changed.insert(bed);
        }
    }

    fn ask_to_wake(&mut self, now: Now, out: &mut Vec<Effect>) {
        let asked = [
            self.links.wake_at(),
            self.devices.wake_at(),
            self.pairings.wake_at(),
            self.series.wake_at(now),
            self.alerts.wake_at(),
            self.writer.retry_at(),
            self.refusals.wake_at(now.mono),
            self.next_show(now),
            Some(self.rescore_at),
        ];
        // What is due already waits for the commit under way, not for time.
        let Some(next) = asked.into_iter().flatten().filter(|at| *at > now.mono).min() else { return };
        if self.wake_asked.is_none_or(|at| at <= now.mono || next.plus_micros(WAKE_SLACK_US) < at) {
            self.wake_asked = Some(next);
            out.push(Effect::WakeAt(next));
        }
    }
}

#[expect(clippy::expect_used, reason = "a constant with the shape of an id")]
fn manual() -> DeviceId {
    MANUAL.parse().expect("a FHIR id")
}
