//! Pairing a device as a technician does it: reach it, bond if it asks, watch what it says, then say that it is right.
//!
//! ```text
//! begin ──▶ Connecting ──▶ Listening ──▶ Ready ──▶ confirmed: its Device and its binding are one durable commit
//!             │   ▲            ▲ │ ▲        │
//!   asks to be│   │ bonded     │ └──────────┘ a break in its data
//!    paired   ▼   │            link down: back to Connecting
//!           Bonding ──▶ Passkey          refused ──▶ Failed
//! ```
//!
//! Always: before it is confirmed a device is bound to no bed, so what it sends goes to nobody's record; a restart forgets
//! pairings that were not confirmed.

use crate::devices::cut;
use crate::ingest::Arrival;
use crate::settings::DeviceSetting;
use edge_api::device::{PairingStage, PairingValue, PairingWave};
use record::code::Code;
use record::id::{BedId, DeviceId, ResourceId};
use record::observation::{Quality, WaveBlock};
use record::series::Numeric;
use record::time::{Monotonic, Now, Timestamp};
use std::collections::BTreeMap;

/// For how long data must be valid before a pairing may be confirmed.
pub const VALID_NEEDED_US: u64 = 5_000_000;
/// Pairings under way at once.
pub(crate) const PAIRINGS_MAX: usize = 8;
/// A pairing nobody confirms is given up after so long.
const LASTS_US: u64 = 600_000_000;
/// Results older than this come from a device's memory and show nothing.
const FRESH_US: i64 = 120_000_000;
/// Values and waves that are shown.
const VALUES_MAX: usize = 64;
const WAVES_MAX: usize = 8;
/// Samples of a wave that are shown.
const SAMPLES_MAX: usize = 1_500;

/// Every pairing under way.
#[derive(Debug, Default)]
pub(crate) struct Pairings {
    by_device: BTreeMap<DeviceId, Pairing>,
}

/// One pairing under way.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Pairing {
    pub id: ResourceId,
    pub setting: DeviceSetting,
    pub bed: BedId,
    pub replaces: Option<DeviceId>,
    expires: (Monotonic, Timestamp),
    step: Step,
    /// The device was asked to bond; a second refusal to talk is for a person.
    bonded: bool,
    valid: Option<Valid>,
    demo: bool,
    values: BTreeMap<Code, (Numeric, Timestamp)>,
    waves: BTreeMap<Code, WaveBlock>,
}

/// Where a pairing stands, apart from what is heard.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Connecting(String),
    Bonding,
    PasskeyAsked,
    /// The device wants to be told this number.
    PasskeyShown(String),
    Up,
    Failed(String),
}

/// A stretch of valid data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Valid {
    since: Monotonic,
    last: Monotonic,
}

/// What the radio says of a bonding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BondEvent {
    /// The device shows a number that is wanted here.
    PasskeyAsked,
    /// These digits are to be typed at the device.
    PasskeyShown(String),
    /// Done.
    Bonded,
    /// It will not; why and what to do, for a person.
    Refused(String),
}

impl Pairings {
    pub fn begin(&mut self, id: ResourceId, setting: DeviceSetting, bed: BedId, replaces: Option<DeviceId>, bond: bool, now: Now) {
        let device = setting.id.clone();
        let expires = (now.mono.plus_micros(LASTS_US), now.wall.plus_micros(i64::try_from(LASTS_US).unwrap_or(i64::MAX)));
        let step = if bond { Step::Bonding } else { Step::Connecting("looking for the device".to_owned()) };
        let (values, waves) = Default::default();
        let pairing = Pairing { id, setting, bed, replaces, expires, step, bonded: bond, valid: None, demo: false, values, waves };
        self.by_device.insert(device, pairing);
    }

    pub fn len(&self) -> usize {
        self.by_device.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Pairing> {
        self.by_device.values()
    }

    pub fn of_device_mut(&mut self, device: &DeviceId) -> Option<&mut Pairing> {
        self.by_device.get_mut(device)
    }

    pub fn of_device(&self, device: &DeviceId) -> Option<&Pairing> {
        self.by_device.get(device)
    }

    pub fn get(&self, id: &str) -> Option<&Pairing> {
        self.by_device.values().find(|pairing| pairing.id.as_str() == id)
    }

    pub fn remove(&mut self, device: &DeviceId) -> Option<Pairing> {
        self.by_device.remove(device)
    }

    /// Those whose time is up.
    pub fn expired(&self, now: Monotonic) -> Vec<DeviceId> {
        self.by_device.iter().filter(|(_, pairing)| pairing.expires.0 <= now).map(|(device, _)| device.clone()).collect()
    }

    pub fn wake_at(&self) -> Option<Monotonic> {
        self.by_device.values().map(|pairing| pairing.expires.0).min()
    }
}

impl Pairing {
    /// Takes what one arrival said. Data are valid while at least one number in each arrival of numerics can be believed.
    pub fn heard(&mut self, arrival: &Arrival, now: Now) {
        let mut numerics = arrival.frames.iter().flat_map(|f| f.numerics.iter().map(|n| (n, f.measured))).peekable();
        let said_nothing = numerics.peek().is_none();
        let mut believed = false;
        for (numeric, measured) in numerics {
            let fresh = now.wall.micros_since(measured) <= FRESH_US;
            believed |= fresh && numeric.value.is_ok() && numeric.quality == Quality::Good;
            self.demo |= numeric.quality == Quality::Demo;
            if self.values.len() < VALUES_MAX || self.values.contains_key(&numeric.code) {
                self.values.insert(numeric.code, (numeric.clone(), measured));
            }
        }
        for wave in arrival.frames.iter().flat_map(|f| &f.waves) {
            self.take_wave(wave);
        }
        if !matches!(self.step, Step::Failed(_)) && (!arrival.frames.is_empty() || !arrival.about.is_empty()) {
            self.step = Step::Up;
        }
        if believed {
            self.demo = false;
            let since = self.valid.filter(|valid| !self.is_break(*valid, now.mono)).map_or(now.mono, |valid| valid.since);
            self.valid = Some(Valid { since, last: now.mono });
        } else if self.streams() && (!said_nothing || !arrival.faults.is_empty()) {
            self.valid = None;
        }
    }

    fn take_wave(&mut self, block: &WaveBlock) {
        if let Some(held) = self.waves.get_mut(&block.code).filter(|held| held.rate_hz == block.rate_hz && held.scale == block.scale) {
            held.raw.extend(&block.raw);
            let over = held.raw.len().saturating_sub(SAMPLES_MAX);
            held.raw.drain(..over);
        } else if self.waves.len() < WAVES_MAX || self.waves.contains_key(&block.code) {
            let over = block.raw.len().saturating_sub(SAMPLES_MAX);
            let raw = block.raw.get(over..).unwrap_or_default().to_vec();
            self.waves.insert(block.code, WaveBlock { raw, ..block.clone() });
        }
    }

    /// The link is up; nothing is heard yet.
    pub fn connected(&mut self) {
        self.say_connecting("connected, waiting for the first data");
    }

    /// The link is down; data that come later are a new stretch. A device that speaks only when used goes once it has spoken.
    pub fn link_down(&mut self, reason: &str) {
        if !self.streams() && self.valid.is_some() {
            return;
        }
        self.valid = None;
        self.say_connecting(reason);
    }

    fn say_connecting(&mut self, reason: &str) {
        if matches!(self.step, Step::Connecting(_) | Step::Up) {
            self.step = Step::Connecting(reason.to_owned());
        }
    }

    /// The device will not talk before it is paired. Whether to begin to bond: once.
    pub fn asks_to_bond(&mut self, reason: &str) -> bool {
        self.valid = None;
        match self.step {
            Step::Connecting(_) | Step::Up if !self.bonded => {
                (self.bonded, self.step) = (true, Step::Bonding);
                true
            }
            Step::Connecting(_) | Step::Up => {
                self.step = Step::Failed(format!("it still asks to be paired after it was: {reason}"));
                false
            }
            _ => false,
        }
    }

    /// What the radio says of its bonding. Whether the device may be reached.
    pub fn bond(&mut self, event: BondEvent) -> bool {
        if !matches!(self.step, Step::Bonding | Step::PasskeyAsked | Step::PasskeyShown(_)) {
            return false;
        }
        let bonded = event == BondEvent::Bonded;
        self.step = match event {
            BondEvent::PasskeyAsked => Step::PasskeyAsked,
            BondEvent::PasskeyShown(number) => Step::PasskeyShown(number),
            BondEvent::Bonded => Step::Connecting("paired, connecting again".to_owned()),
            BondEvent::Refused(reason) => Step::Failed(reason),
        };
        bonded
    }

    /// A person has said the number. Whether one was asked for.
    pub fn passkey_given(&mut self) -> bool {
        let asked = self.step == Step::PasskeyAsked;
        if asked {
            self.step = Step::Bonding;
        }
        asked
    }

    /// For how long its data have been valid without a break.
    pub fn valid_us(&self, now: Monotonic) -> u64 {
        let held = self.valid.filter(|valid| !self.is_break(*valid, now));
        held.map_or(0, |valid| valid.last.micros_since(valid.since))
    }

    /// For how long they must be: a device that speaks only when used has said all it will with its first result.
    pub fn needed_us(&self) -> u64 {
        if self.streams() { VALID_NEEDED_US } else { 0 }
    }

    const fn streams(&self) -> bool {
        self.setting.profile.silence_s.is_some()
    }

    /// Whether it may be confirmed.
    pub fn is_ready(&self, now: Monotonic) -> bool {
        let heard = self.valid.is_some_and(|valid| !self.is_break(valid, now));
        self.step == Step::Up && heard && self.valid_us(now) >= self.needed_us()
    }

    /// A stretch ends where the profile says that silence means something.
    fn is_break(&self, valid: Valid, now: Monotonic) -> bool {
        let silence_s = self.setting.profile.silence_s;
        silence_s.is_some_and(|s| now.micros_since(valid.last) > u64::from(s) * 1_000_000)
    }

    pub fn stage(&self, now: Monotonic) -> PairingStage {
        match self.step {
            Step::Connecting(_) => PairingStage::Connecting,
            Step::Bonding | Step::PasskeyShown(_) => PairingStage::Bonding,
            Step::PasskeyAsked => PairingStage::Passkey,
            Step::Up if self.is_ready(now) => PairingStage::Ready,
            Step::Up => PairingStage::Listening,
            Step::Failed(_) => PairingStage::Failed,
        }
    }

    pub fn says(&self, now: Monotonic) -> String {
        match &self.step {
            Step::Connecting(why) | Step::Failed(why) => why.clone(),
            Step::Bonding => "pairing: keep the device in its pairing mode and near".to_owned(),
            Step::PasskeyAsked => "the device shows a number: type it here".to_owned(),
            Step::PasskeyShown(number) => format!("type {number} at the device"),
            Step::Up if self.is_ready(now) => "its data are valid: compare them with the device's display, then confirm".to_owned(),
            Step::Up if self.demo => "it sends demonstration data: switch its demonstration mode off".to_owned(),
            Step::Up if self.values.is_empty() => "connected: measure once, or put the sensor on".to_owned(),
            Step::Up if self.valid_us(now) > 0 || self.valid.is_some() => "its data are valid: keep the sensor on".to_owned(),
            Step::Up => "no value that can be believed: check the sensor".to_owned(),
        }
    }

    pub fn expires_ms(&self) -> i64 {
        self.expires.1.millis()
    }

    pub fn values(&self) -> Vec<PairingValue> {
        let shown = |(numeric, measured): &(Numeric, Timestamp)| PairingValue {
            code: numeric.code.to_string(),
            key: numeric.code.key(),
            label: numeric.code.label(),
            value: numeric.value.clone().ok(),
            unit: numeric.unit.ucum().to_owned(),
            unit_shown: numeric.unit.shown().to_owned(),
            status: numeric.status(),
            measured_ms: measured.millis(),
        };
        self.values.values().map(shown).collect()
    }

    pub fn waves(&self) -> Vec<PairingWave> {
        let shown = |wave: &WaveBlock| PairingWave {
            code: wave.code.to_string(),
            label: wave.code.label(),
            rate_hz: wave.rate_hz.to_f64(),
            unit: wave.unit.ucum().to_owned(),
            scale: wave.scale.to_f64(),
            samples: wave.raw.clone(),
        };
        self.waves.values().map(shown).collect()
    }
}

/// A passkey as a person typed it.
pub(crate) fn passkey(typed: &str) -> Option<String> {
    let digits = typed.trim();
    let fits = (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| digits.to_owned())
}

/// A Bluetooth address in capitals; `None` for any other text.
pub(crate) fn bluetooth_address(typed: &str) -> Option<String> {
    let pairs: Vec<&str> = typed.trim().split(':').collect();
    let fits = pairs.len() == 6 && pairs.iter().all(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit()));
    fits.then(|| typed.trim().to_ascii_uppercase())
}

/// What the ward calls a device, as typed; `None` where nothing was.
pub(crate) fn device_name(typed: Option<&str>) -> Option<String> {
    typed.map(cut).filter(|name| !name.is_empty())
}
