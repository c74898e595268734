//! From a link's bytes to frames: provenance, sequence numbers, plausibility.
//!
//! Always: arrival is stamped once per arrival; a device clock is a claim, kept beside it; a record that the device
//! numbers and repeats is one sample; a number that cannot be one is an artefact.

mod clock;
mod repeats;

pub(crate) use clock::{Measured, UNSET};
pub(crate) use repeats::Repeats;
use repeats::{is_cuff, parts};

use crate::effects::Note;
use crate::input::LinkId;
use crate::plausible::checked;
use crate::settings::DeviceSetting;
use driver::alarm::Alarm;
use driver::profile::Profile;
use driver::{About, Channel, Driver, Fault, In, Out};
use protocol::commit::OWN_VALUES;
use record::code::Code;
use record::decimal::Decimal;
use record::id::{BedId, DeviceId, RunId};
use record::laboratory::{LabKind, LabReport};
use record::observation::{Quality, Reading};
use record::series::{Boot, Frame, Numeric};
use record::time::{Monotonic, Now, Timestamp};
use record::unit::Unit;
use std::collections::BTreeMap;

/// Links held at once.
pub(crate) const LINKS_MAX: usize = 1024;
/// Numerics in one frame; an arrival with more makes several frames.
const FRAME_NUMERICS_MAX: usize = 1024;

/// Every link that is up, and what is remembered of devices across links.
pub(crate) struct Links {
    run: RunId,
    sessions: u32,
    by_id: BTreeMap<LinkId, Link>,
    /// Drivers of devices whose link is down: what they remember of repeats outlives a connection.
    idle: BTreeMap<DeviceId, (Profile, Box<dyn Driver>)>,
    repeats: BTreeMap<DeviceId, Repeats>,
}

/// One session of a device on a link.
struct Link {
    setting: DeviceSetting,
    driver: Box<dyn Driver>,
    boot: Boot,
    next_seq: u64,
    wake_at: Option<Monotonic>,
    /// Device clock minus ours, µs, as last measured.
    offset_us: Option<i64>,
    /// Bytes were refused: the driver was told that the link broke off and must be told that it is back.
    deaf: bool,
}

/// What one arrival gave.
#[derive(Default)]
pub(crate) struct Arrival {
    pub frames: Vec<Frame>,
    pub send: Vec<(Channel, Vec<u8>)>,
    pub acknowledge: Vec<(Boot, Channel, Vec<u8>)>,
    pub reports: Vec<LabReport>,
    pub alarms: Vec<Alarm>,
    pub about: Vec<About>,
    pub faults: Vec<Fault>,
    pub clock: Option<Measured>,
    pub notes: Vec<Note>,
    /// Bytes came and were not read because there is no room for what they say.
    pub refused: bool,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links").field("sessions", &self.sessions).field("up", &self.by_id.keys()).finish()
    }
}

impl Links {
    pub fn new(run: RunId) -> Self {
        Self { run, sessions: 0, by_id: BTreeMap::new(), idle: BTreeMap::new(), repeats: BTreeMap::new() }
    }

    /// What journal and segments tell of a device's latest records.
    pub fn remember(&mut self, frame: &Frame) {
        self.repeats.entry(frame.device.clone()).or_default().recovered(frame);
    }

    /// What was kept of the records a device has sent.
    pub fn restore(&mut self, key: &str, value: &[u8]) {
        let Some((device, part)) = key.strip_prefix(OWN_VALUES).and_then(|key| key.split_once('/')) else { return };
        if let Ok(device) = device.parse() {
            self.repeats.entry(device).or_default().restore(part, value);
        }
    }

    /// What is to be kept with the frames queued so far, so that it is known after a restart which records they hold.
    pub fn notes(&mut self) -> Vec<(String, Vec<u8>)> {
        let of = |(device, repeats): (&DeviceId, &mut Repeats)| {
            let keyed = move |(part, value): (String, Vec<u8>)| (value_key(device, &part), value);
            repeats.notes().into_iter().map(keyed).collect::<Vec<_>>()
        };
        self.repeats.iter_mut().flat_map(of).collect()
    }

    /// Whether the notes taken last are durable.
    pub fn noted(&mut self, durable: bool) {
        self.repeats.values_mut().for_each(|repeats| repeats.noted(durable));
    }

    /// The boot of a session that no link carries: what people enter.
    pub fn manual_boot(&self) -> Boot {
        boot(self.run, 0)
    }

    pub fn is_up(&self, link: LinkId) -> bool {
        self.by_id.contains_key(&link)
    }

    /// The boot of a link's session.
    pub fn boot_of(&self, link: LinkId) -> Option<Boot> {
        self.by_id.get(&link).map(|l| l.boot)
    }

    /// Whether any link of this device is up.
    pub fn has(&self, device: &DeviceId) -> bool {
        self.by_id.values().any(|l| l.setting.id == *device)
    }

    /// Begins a session.
    ///
    /// # Errors
    /// No driver for its protocol, or no room.
    pub fn open(&mut self, link: LinkId, setting: &DeviceSetting) -> Result<(), Note> {
        let Ok(row) = catalogue::protocol(&setting.profile.protocol) else { return Err(Note::UnknownProtocol(setting.id.clone())) };
        if self.by_id.len() >= LINKS_MAX && !self.is_up(link) {
            return Err(Note::TooMany { what: "links", limit: LINKS_MAX });
        }
        self.close(link);
        self.sessions = self.sessions.saturating_add(1);
        // One made for other facts, such as another interval, is of no use any more.
        let idle = self.idle.remove(&setting.id).filter(|(profile, _)| *profile == setting.profile);
        let driver = idle.map_or_else(|| (row.make)(&setting.profile), |(_, driver)| driver);
        let boot = boot(self.run, self.sessions);
        let setting = setting.clone();
        self.by_id.insert(link, Link { setting, driver, boot, next_seq: 0, wake_at: None, offset_us: None, deaf: false });
        Ok(())
    }

    pub fn close(&mut self, link: LinkId) {
        if let Some(closed) = self.by_id.remove(&link) {
            self.idle.insert(closed.setting.id, (closed.setting.profile, closed.driver));
        }
    }

    /// The link over which a device is heard, if one is up.
    pub fn of(&self, device: &DeviceId) -> Option<LinkId> {
        self.by_id.iter().find(|(_, l)| l.setting.id == *device).map(|(id, _)| *id)
    }

    /// A device is not read any more. Which of its records are charted stays known where it may come back: it sends again what its
    /// memory holds.
    pub fn forget(&mut self, device: &DeviceId, may_come_back: bool) {
        self.by_id.retain(|_, l| l.setting.id != *device);
        self.idle.remove(device);
        if !may_come_back {
            self.repeats.remove(device);
        }
    }

    /// A device's clock was set: what was measured of it before no longer holds.
    pub fn clock_was_set(&mut self, device: &DeviceId) {
        self.by_id.values_mut().filter(|l| l.setting.id == *device).for_each(|l| l.offset_us = None);
    }

    /// Gives a link's driver one input; `full` refuses bytes, `bed` says for which bed the device read at a moment.
    pub fn hear(&mut self, link: LinkId, now: Now, input: In<'_>, full: bool, bed: impl FnMut(&Frame) -> Option<BedId>) -> Arrival {
        let Some(held) = self.by_id.get_mut(&link) else { return Arrival::default() };
        let repeats = self.repeats.entry(held.setting.id.clone()).or_default();
        if full && matches!(input, In::Bytes(..)) {
            return held.refuse(now);
        }
        held.hear(now, input, repeats, bed)
    }

    /// Links whose drivers asked to be woken by now.
    pub fn due(&self, now: Monotonic) -> Vec<(LinkId, DeviceId)> {
        let due = self.by_id.iter().filter(|(_, l)| l.wake_at.is_some_and(|at| at <= now));
        due.map(|(id, l)| (*id, l.setting.id.clone())).collect()
    }

    pub fn wake_at(&self) -> Option<Monotonic> {
        self.by_id.values().filter_map(|l| l.wake_at).min()
    }
}

impl Link {
    /// Does not read. A driver that took a message would answer its repetition as known, so it is not given the bytes.
    fn refuse(&mut self, now: Now) -> Arrival {
        if !std::mem::replace(&mut self.deaf, true) {
            self.driver.handle(now.mono, In::Disconnected);
        }
        Arrival { refused: true, ..Arrival::default() }
    }

    fn hear(&mut self, now: Now, input: In<'_>, repeats: &mut Repeats, mut bed: impl FnMut(&Frame) -> Option<BedId>) -> Arrival {
        if input == In::Wake {
            self.wake_at = None;
        }
        let mut arrival = Arrival::default();
        let mut clock_unusable = false;
        let mut user = None;
        let mut outs = Vec::new();
        if matches!(input, In::Bytes(..)) && std::mem::take(&mut self.deaf) {
            outs = self.driver.handle(now.mono, In::Connected);
        }
        outs.extend(self.driver.handle(now.mono, input));
        let old_cuff = repeats.is_old_cuff(&outs);
        for out in outs {
            match out {
                Out::Reading(mut reading) => {
                    if self.setting.replayed {
                        reading.quality = Quality::Demo;
                    }
                    if !(old_cuff && is_cuff(&reading)) && repeats.is_new(&reading) {
                        let (measured, usable) = clock::measured(self.setting.profile.clock, reading.device_time, self.offset_us, now.wall);
                        clock_unusable |= !usable;
                        let frame = self.frame_for(&mut arrival.frames, now, &reading, measured);
                        // Whom the device takes it for stands beside the reading; who lies in the bed is not read from it.
                        let person = user.take().map(|index| person(index, reading.quality));
                        frame.numerics.extend(person.into_iter().chain([checked(Numeric::from(reading))]));
                    }
                }
                Out::Wave(mut block) => {
                    block.demo |= self.setting.replayed;
                    let demo = block.demo;
                    self.wave_frame(&mut arrival.frames, now, demo).waves.push(block);
                }
                Out::Send(channel, bytes) => arrival.send.push((channel, bytes)),
                Out::Acknowledge(channel, bytes) => arrival.acknowledge.push((self.boot, channel, bytes)),
                Out::WakeAt(at) => self.wake_at = Some(at),
                Out::About(About::Clock(said)) => {
                    let measured = clock::measure(&self.setting.profile, said, now.wall);
                    self.offset_us = measured.correction();
                    arrival.clock = Some(measured);
                }
                Out::About(About::User(index)) => user = Some(index),
                Out::About(about) => arrival.about.push(about),
                Out::Alarm(mut alarm) => {
                    alarm.demo |= self.setting.replayed;
                    arrival.alarms.push(alarm);
                }
                Out::Laboratory(mut report) => {
                    if self.setting.replayed {
                        report.kind = LabKind::Demo;
                    }
                    arrival.reports.push(report);
                }
                Out::Fault(fault) => arrival.faults.push(fault),
            }
        }
        if clock_unusable {
            arrival.notes.push(Note::ClockUnusable(self.setting.id.clone()));
        }
        for frame in &mut arrival.frames {
            frame.first_seq = self.next_seq;
            self.next_seq = self.next_seq.saturating_add(frame.len());
            frame.bed = bed(frame);
        }
        arrival
    }

    /// The frame a reading belongs to: the last one, unless that has another device time, mixes demonstration data with
    /// real ones, or is full.
    fn frame_for<'a>(&self, frames: &'a mut Vec<Frame>, now: Now, reading: &Reading, measured: Timestamp) -> &'a mut Frame {
        let demo = reading.quality == Quality::Demo;
        let fits = frames.last().is_some_and(|f| {
            f.device_time == reading.device_time && is_demo(f).is_none_or(|d| d == demo) && f.numerics.len() < FRAME_NUMERICS_MAX
        });
        if !fits {
            frames.push(Frame { measured, device_time: reading.device_time, ..self.blank(now) });
        }
        // Not empty: it fitted, or one was pushed.
        let at = frames.len() - 1;
        &mut frames[at]
    }

    /// Waves carry no device time; they join whatever frame of their kind is last.
    fn wave_frame<'a>(&self, frames: &'a mut Vec<Frame>, now: Now, demo: bool) -> &'a mut Frame {
        if !frames.last().is_some_and(|f| f.device_time.is_none() && is_demo(f).is_none_or(|d| d == demo)) {
            frames.push(self.blank(now));
        }
        let at = frames.len() - 1;
        &mut frames[at]
    }

    fn blank(&self, now: Now) -> Frame {
        Frame {
            device: self.setting.id.clone(),
            boot: self.boot,
            first_seq: 0,
            arrived: now.wall,
            arrived_mono: now.mono,
            measured: now.wall,
            device_time: None,
            offset_us: self.offset_us,
            bed: None,
            numerics: Vec::new(),
            waves: Vec::new(),
        }
    }
}

/// Whether a frame holds demonstration data; `None` while it is empty.
fn is_demo(frame: &Frame) -> Option<bool> {
    frame.numerics.first().map(|n| n.quality == Quality::Demo).or_else(|| frame.waves.first().map(|w| w.demo))
}

/// The person of a device of several, by the device's own number.
fn person(index: u8, quality: Quality) -> Numeric {
    Numeric { code: Code::DEVICE_USER, value: Ok(Decimal::whole(index.into())), unit: Unit::One, quality }
}

/// The keys under which it is kept which records a device has sent.
pub fn value_keys(device: &DeviceId) -> impl Iterator<Item = String> + use<'_> {
    parts().map(move |part| value_key(device, &part))
}

fn value_key(device: &DeviceId, part: &str) -> String {
    format!("{OWN_VALUES}{device}/{part}")
}

fn boot(run: RunId, session: u32) -> Boot {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&run.0);
    bytes[8..].copy_from_slice(&session.to_be_bytes());
    Boot(bytes)
}
