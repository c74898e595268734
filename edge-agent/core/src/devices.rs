//! Whether each device is heard, and what stands in its way.

use crate::association::Why;
use crate::ingest::{Measured, UNSET};
use crate::settings::DeviceSetting;
use driver::About;
use edge_api::device::ReachedBy;
use edge_api::ward::{DeviceState, DeviceView};
use record::id::{BedId, DeviceId};
use record::time::{Monotonic, Now, Timestamp};
use risk::Source;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Faults of one device are noted at most this often.
const FAULT_NOTE_EVERY_US: u64 = 10_000_000;

/// Characters kept of what a device says of itself.
const STATED_MAX: usize = 64;

/// Every device that is read.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    by_id: BTreeMap<DeviceId, Device>,
}

/// One device.
#[derive(Debug)]
pub(crate) struct Device {
    pub setting: DeviceSetting,
    /// Its FHIR Device is in the record.
    pub documented: bool,
    /// A person paired it; its configuration is in the record.
    pub paired: bool,
    /// It is being paired and not yet confirmed: no screen shows it.
    pub on_trial: bool,
    state: DeviceState,
    /// Why it is down.
    down: String,
    last_bytes: Option<(Timestamp, Monotonic)>,
    stated: Stated,
    clock: Option<Measured>,
    clock_unset: bool,
    /// The address that answered.
    address: Option<String>,
    pub recording_until: Option<Timestamp>,
    /// Why what it sends is not filed to a patient, where that needs a person.
    apart: Option<Why>,
    waves_dropped: u64,
    arrivals_refused: u64,
    faults: u64,
    faults_noted: Option<Monotonic>,
    /// What a screen shows of it has changed.
    pub touched: bool,
}

/// What a device says of itself. Claims.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stated {
    pub serial: Option<String>,
    pub model: Option<String>,
    pub firmware: Option<String>,
    pub location: Option<String>,
    pub battery_percent: Option<u8>,
}

impl Devices {
    pub fn new(settings: &[DeviceSetting]) -> Self {
        Self { by_id: settings.iter().map(|s| (s.id.clone(), Device::new(s.clone()))).collect() }
    }

    pub fn get(&self, id: &DeviceId) -> Option<&Device> {
        self.by_id.get(id)
    }

    pub fn get_mut(&mut self, id: &DeviceId) -> Option<&mut Device> {
        self.by_id.get_mut(id)
    }

    /// Takes a device on.
    pub fn insert(&mut self, setting: DeviceSetting) -> &mut Device {
        let id = setting.id.clone();
        let device = Device::new(setting);
        match self.by_id.entry(id) {
            Entry::Occupied(mut held) => {
                held.insert(device);
                held.into_mut()
            }
            Entry::Vacant(free) => free.insert(device),
        }
    }

    pub fn remove(&mut self, id: &DeviceId) -> Option<Device> {
        self.by_id.remove(id)
    }

    /// The device that is reached so, whether a person or its profile found it.
    pub fn reached_by(&self, by: &ReachedBy) -> Option<&Device> {
        self.by_id.values().find(|device| device.is_reached_by(by))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.by_id.values()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Device> {
        self.by_id.values_mut()
    }

    /// Finds devices that have gone silent, and recordings that have ended.
    pub fn on_time(&mut self, now: Now) {
        self.by_id.values_mut().for_each(|device| device.on_time(now));
    }

    pub fn wake_at(&self) -> Option<Monotonic> {
        self.by_id.values().filter_map(Device::silent_at).min()
    }

    /// How a device's values come: one whose silence means something streams.
    pub fn source(&self, id: &DeviceId) -> Source {
        match self.get(id) {
            Some(device) if device.setting.profile.silence_s.is_some() => Source::Streamed,
            _ => Source::Spot,
        }
    }
}

impl Device {
    fn new(setting: DeviceSetting) -> Self {
        Self {
            setting,
            documented: false,
            paired: false,
            on_trial: false,
            state: DeviceState::Connecting,
            down: "waiting for the first data".to_owned(),
            last_bytes: None,
            stated: Stated::default(),
            clock: None,
            clock_unset: false,
            address: None,
            recording_until: None,
            apart: None,
            waves_dropped: 0,
            arrivals_refused: 0,
            faults: 0,
            faults_noted: None,
            touched: true,
        }
    }

    pub fn connecting(&mut self, why: &str) {
        self.set(DeviceState::Connecting, why);
    }

    pub fn heard(&mut self, now: Now) {
        self.last_bytes = Some((now.wall, now.mono));
        self.set(DeviceState::Connected, "");
    }

    pub fn down(&mut self, why: &str) {
        self.set(DeviceState::Disconnected, why);
    }

    pub fn about(&mut self, about: &About) {
        let before = (self.stated.clone(), self.clock_unset);
        let stated = &mut self.stated;
        match about {
            About::BatteryPercent(percent) => stated.battery_percent = Some(*percent),
            About::Serial(text) => stated.serial = said(text),
            About::Model(text) => stated.model = said(text),
            About::Firmware(text) => stated.firmware = said(text),
            About::Location(text) => stated.location = said(text),
            About::ClockUnset => (self.clock_unset, self.clock) = (true, None),
            // A person index stands beside its reading, a clock is measured as it is heard; the profile names the maker.
            About::Maker(_) | About::Clock(_) | About::User(_) => {}
        }
        self.touched |= before != (self.stated.clone(), self.clock_unset);
    }

    pub const fn stated(&self) -> &Stated {
        &self.stated
    }

    pub fn clock(&mut self, measured: Measured) {
        self.touched |= self.clock != Some(measured) || self.clock_unset;
        (self.clock, self.clock_unset) = (Some(measured), false);
    }

    /// Its clock was set: what was known of it no longer holds.
    pub fn clock_was_set(&mut self) {
        (self.clock, self.clock_unset, self.touched) = (None, false, true);
    }

    /// Who answered, as far as the link knows.
    pub fn identified(&mut self, address: &str) {
        // A recording answers with its file's name.
        self.address = said(address).filter(|_| !self.setting.replayed);
    }

    fn is_reached_by(&self, by: &ReachedBy) -> bool {
        self.setting.by.as_ref().is_some_and(|own| own.is_same(by))
            || matches!(by, ReachedBy::Bluetooth { address } if self.address.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(address)))
    }

    /// How it is reached: as a person or the configuration said, else by the address that answered.
    pub fn by(&self) -> Option<ReachedBy> {
        let answered = || self.address.clone().filter(|_| self.setting.profile.protocol.starts_with("ble."));
        self.setting.by.clone().or_else(|| answered().map(|address| ReachedBy::Bluetooth { address }))
    }

    pub fn clock_offset_ms(&self) -> Option<i64> {
        self.clock.map(|clock| clock.offset_us.div_euclid(1000))
    }

    pub fn clock_note(&self) -> Option<String> {
        if self.clock_unset { Some(UNSET.to_owned()) } else { self.clock.and_then(Measured::note) }
    }

    /// What the ward calls it.
    pub fn name(&self) -> String {
        let profile = &self.setting.profile;
        if self.setting.name.is_empty() { format!("{} {}", profile.maker, profile.model) } else { self.setting.name.clone() }
    }

    pub fn filed(&mut self, why: Why) {
        let apart = matches!(why, Why::Conflict | Why::Demo).then_some(why);
        self.touched |= self.apart != apart;
        self.apart = apart;
    }

    /// True the first time in a row.
    pub fn lost_waves(&mut self, samples: u64) -> bool {
        let first = self.waves_dropped == 0;
        self.waves_dropped = self.waves_dropped.saturating_add(samples);
        self.touched = true;
        first
    }

    /// True the first time in a row.
    pub fn lost_readings(&mut self) -> bool {
        let first = self.arrivals_refused == 0;
        self.arrivals_refused = self.arrivals_refused.saturating_add(1);
        self.touched = true;
        first
    }

    /// Storing has caught up: what was lost is no longer news.
    pub fn storing_caught_up(&mut self) {
        self.touched |= self.waves_dropped > 0 || self.arrivals_refused > 0;
        (self.waves_dropped, self.arrivals_refused) = (0, 0);
    }

    /// Counts faults; the count to be noted, if it is time to.
    pub fn faulty(&mut self, count: u64, now: Monotonic) -> Option<u64> {
        self.faults = self.faults.saturating_add(count);
        let quiet = self.faults_noted.is_some_and(|at| now.micros_since(at) < FAULT_NOTE_EVERY_US);
        if quiet {
            return None;
        }
        self.faults_noted = Some(now);
        Some(std::mem::take(&mut self.faults))
    }

    pub fn view(&self, bed: Option<&BedId>) -> DeviceView {
        let profile = &self.setting.profile;
        DeviceView {
            id: self.setting.id.to_string(),
            name: self.name(),
            protocol: profile.protocol.clone(),
            state: self.state,
            reason: self.reason(),
            last_data_ms: self.last_bytes.map(|(at, _)| at.millis()),
            bed: bed.map(ToString::to_string),
            battery_percent: self.stated.battery_percent,
            clock_offset_ms: self.clock_offset_ms(),
            clock_note: self.clock_note(),
            by: self.by(),
            profile: Some(profile.name.clone()),
            serial: self.stated.serial.clone(),
            model: self.stated.model.clone(),
            firmware: self.stated.firmware.clone(),
            stated_location: self.stated.location.clone(),
            recording_until_ms: self.recording_until.map(Timestamp::millis),
        }
    }

    fn reason(&self) -> String {
        if self.state != DeviceState::Connected {
            return self.down.clone();
        }
        if self.arrivals_refused > 0 {
            return format!("storing is far behind: {} messages were not read; check the disk", self.arrivals_refused);
        }
        if self.waves_dropped > 0 {
            return format!("storing is behind: {} wave samples were dropped; check the disk", self.waves_dropped);
        }
        match self.apart {
            Some(Why::Conflict) => "two beds or two patients at once: its readings are filed to nobody until one is chosen".to_owned(),
            Some(Why::Demo) => "sends demonstration data: kept apart, because the patient is not tagged test".to_owned(),
            _ => String::new(),
        }
    }

    fn set(&mut self, state: DeviceState, why: &str) {
        if self.state != state || self.down != why {
            (self.state, self.down) = (state, why.to_owned());
            self.touched = true;
        }
    }

    fn silent_at(&self) -> Option<Monotonic> {
        let silence_s = self.setting.profile.silence_s.filter(|_| self.state == DeviceState::Connected)?;
        self.last_bytes.map(|(_, at)| at.plus_micros(u64::from(silence_s) * 1_000_000))
    }

    fn on_time(&mut self, now: Now) {
        if self.recording_until.is_some_and(|until| until <= now.wall) {
            (self.recording_until, self.touched) = (None, true);
        }
        if self.silent_at().is_some_and(|at| at <= now.mono) {
            let silence_s = self.setting.profile.silence_s.unwrap_or_default();
            self.down(&format!("silent for {silence_s} s: check that it is switched on, in range and its cable is plugged in"));
        }
    }
}

/// What a device or a person said, short and without control characters.
pub(crate) fn cut(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(STATED_MAX).collect::<String>().trim().to_owned()
}

fn said(text: &str) -> Option<String> {
    Some(cut(text)).filter(|text| !text.is_empty())
}
