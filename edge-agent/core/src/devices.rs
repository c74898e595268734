//! Whether each device is heard, and what stands in its way.

use crate::association::Why;
use crate::settings::DeviceSetting;
use driver::About;
use edge_api::ward::{DeviceState, DeviceView};
use record::id::{BedId, DeviceId};
use record::time::{Monotonic, Now, Timestamp};
use risk::Source;
use std::collections::BTreeMap;

/// Faults of one device are noted at most this often.
const FAULT_NOTE_EVERY_US: u64 = 10_000_000;

/// Every configured device.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    by_id: BTreeMap<DeviceId, Device>,
}

/// One configured device.
#[derive(Debug)]
pub(crate) struct Device {
    pub setting: DeviceSetting,
    /// Its FHIR Device is in the record.
    pub documented: bool,
    state: DeviceState,
    /// Why it is down.
    down: String,
    last_bytes: Option<(Timestamp, Monotonic)>,
    battery_percent: Option<u8>,
    clock_offset_us: Option<i64>,
    /// Why what it sends is not filed to a patient, where that needs a person.
    apart: Option<Why>,
    waves_dropped: u64,
    arrivals_refused: u64,
    faults: u64,
    faults_noted: Option<Monotonic>,
    /// What a screen shows of it has changed.
    pub touched: bool,
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

    pub fn iter(&self) -> impl Iterator<Item = &Device> {
        self.by_id.values()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Device> {
        self.by_id.values_mut()
    }

    /// Finds devices that have gone silent.
    pub fn on_time(&mut self, now: Monotonic) {
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
            state: DeviceState::Connecting,
            down: "waiting for the first data".to_owned(),
            last_bytes: None,
            battery_percent: None,
            clock_offset_us: None,
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
        if let About::BatteryPercent(percent) = about
            && self.battery_percent != Some(*percent)
        {
            self.battery_percent = Some(*percent);
            self.touched = true;
        }
    }

    pub fn clock_offset(&mut self, us: i64) {
        self.clock_offset_us = Some(us);
        self.touched = true;
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
            name: if self.setting.name.is_empty() { format!("{} {}", profile.maker, profile.model) } else { self.setting.name.clone() },
            protocol: profile.protocol.clone(),
            state: self.state,
            reason: self.reason(),
            last_data_ms: self.last_bytes.map(|(at, _)| at.millis()),
            bed: bed.map(ToString::to_string),
            battery_percent: self.battery_percent,
            clock_offset_ms: self.clock_offset_us.map(|us| us.div_euclid(1000)),
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

    fn on_time(&mut self, now: Monotonic) {
        if self.silent_at().is_some_and(|at| at <= now) {
            let silence_s = self.setting.profile.silence_s.unwrap_or_default();
            self.down(&format!("silent for {silence_s} s: check that it is switched on, in range and its cable is plugged in"));
        }
    }
}
