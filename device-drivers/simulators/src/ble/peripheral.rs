//! The devices themselves: who they are, what they offer, what they measure.

use super::characteristics::{
    BloodPressure, CgmRecord, Composition, Glucose, Memory, Number, SessionStart, SpotCheck, Temperature, WallTime, Weight,
};
use crate::clock::now_ms;
use crate::faults::Faults;
use crate::physiology::Vitals;
use jiff::tz::TimeZone;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// What a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A chest strap: Heart Rate service.
    HeartRate,
    /// A finger oximeter: Pulse Oximeter service, continuous.
    Oximeter,
    /// A cuff: Blood Pressure service, a stamped result each time it has measured.
    BloodPressure,
    /// An ear thermometer: Health Thermometer service, used every half minute.
    Thermometer,
    /// A scale: Weight Scale service, stepped on every minute.
    Scale,
    /// A glucose meter: Glucose service, a new record each minute; it sends what it is asked for.
    GlucoseMeter,
    /// A glucose sensor under the skin: Continuous Glucose Monitoring service, a record each minute, said at once and stored.
    GlucoseSensor,
    /// A scale that measures what a body is made of: Body Composition service, stepped on every minute.
    BodyScale,
    /// A finger oximeter for single results: Pulse Oximeter service, spot-check, used every half minute.
    SpotOximeter,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::HeartRate,
        Self::Oximeter,
        Self::BloodPressure,
        Self::Thermometer,
        Self::Scale,
        Self::GlucoseMeter,
        Self::GlucoseSensor,
        Self::BodyScale,
        Self::SpotOximeter,
    ];

    /// The protocol it speaks.
    #[must_use]
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::HeartRate => "ble.heart-rate",
            Self::Oximeter => "ble.plx-continuous",
            Self::BloodPressure => "ble.blood-pressure",
            Self::Thermometer => "ble.thermometer",
            Self::Scale => "ble.weight",
            Self::GlucoseMeter => "ble.glucose",
            Self::GlucoseSensor => "ble.cgm",
            Self::BodyScale => "ble.body-composition",
            Self::SpotOximeter => "ble.plx-spot",
        }
    }

    /// Whether it answers requests for stored records.
    #[must_use]
    pub const fn has_memory(self) -> bool {
        matches!(self, Self::GlucoseMeter | Self::GlucoseSensor)
    }

    /// Whether its results carry the time of its own clock, which can be read.
    #[must_use]
    pub const fn has_clock(self) -> bool {
        !matches!(self, Self::HeartRate | Self::Oximeter)
    }
}

/// Seconds between uses of a thermometer, of a scale and of a glucose meter.
const THERMOMETER_EVERY_S: u64 = 30;
const SPOT_EVERY_S: u64 = 30;
const SCALE_EVERY_S: u64 = 60;
const GLUCOSE_EVERY_S: u64 = 60;
/// Seconds a sleeping device is awake once it was used.
const AWAKE_S: u64 = 3;
/// Records a meter holds; the oldest is overwritten.
const MEMORY_MAX: usize = 500;

/// One device.
pub struct Peripheral {
    /// What it is.
    pub kind: Kind,
    /// Its Bluetooth address.
    pub address: String,
    /// The name it advertises.
    pub name: String,
    /// In range and switched on.
    pub plugged: bool,
    /// Connected and saying nothing.
    pub silent: bool,
    /// On the patient.
    pub sensor_on: bool,
    /// What its link looks like from the Bluetooth service.
    pub link: Arc<Link>,
    /// Sleeps but for moments.
    pub sleeps: bool,
    /// Seconds until it goes back to sleep.
    pub awake_for: u64,
    /// Part of a beat, in 1/1024 s, left over from the last second.
    beat_left: f64,
    /// Seconds it has been on.
    seconds: u64,
    /// The last result of its cuff, mmHg.
    cuff: Option<(u16, u16)>,
    /// What it has stored.
    memory: Memory,
    /// How much of its memory a cuff has sent since somebody subscribed.
    sent: usize,
    /// When a sensor was put in.
    session: WallTime,
    /// What goes wrong with what it says next.
    pub faults: Faults,
}

/// The state of a device's link.
pub struct Link {
    /// Says nothing until paired.
    pub wants_pairing: bool,
    /// Paired.
    pub paired: AtomicBool,
    /// Connected.
    pub connected: AtomicBool,
    /// Its measurement is subscribed.
    pub notifying: AtomicBool,
    /// What was written to its record access control point and not answered yet.
    pub requests: Mutex<Vec<Vec<u8>>>,
    /// The digits it shows while it is paired, where it asks for a passkey.
    pub passkey: Option<u32>,
    /// It has forgotten the key of its pairing.
    pub bond_lost: AtomicBool,
    /// It takes connections and advertises.
    pub awake: AtomicBool,
    /// It was heard since it came into range.
    pub heard: AtomicBool,
    /// A connect to it was called off.
    pub given_up: AtomicBool,
    /// What is wrong with it.
    pub fault: Mutex<Option<Fault>>,
    /// Properties that the service does not state of it.
    pub omitted: Vec<String>,
    /// Somebody has subscribed and was told nothing yet.
    pub greet: AtomicBool,
    /// Wakes the device when somebody subscribes.
    pub subscribed: Arc<Notify>,
}

/// What is wrong with a device's link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Each connect is answered with this error, by its name below `org.bluez.Error`.
    Refuses(String),
    /// Each connection breaks at once.
    Storm,
    /// Each subscription is left unanswered, as the real service does that waits for a key.
    Waits,
}

/// How a device is found.
#[derive(Clone, Default, Debug)]
pub struct Manner {
    /// Says nothing until it is paired.
    pub wants_pairing: bool,
    /// Asks for the passkey it shows when it is paired.
    pub asks_passkey: bool,
    /// Sleeps, and is awake only for moments.
    pub sleeps: bool,
    /// Properties that the service does not state of it.
    pub omitted: Vec<String>,
}

impl Peripheral {
    /// A device in range; the seed makes its address its own.
    #[must_use]
    pub fn new(kind: Kind, seed: u64, manner: Manner, subscribed: Arc<Notify>) -> Self {
        let [.., a, b, c] = seed.to_be_bytes();
        let (last, name) = match kind {
            Kind::HeartRate => (1, "Lamplight HR"),
            Kind::Oximeter => (2, "Lamplight OX"),
            Kind::BloodPressure => (3, "Lamplight BP"),
            Kind::Thermometer => (4, "Lamplight TH"),
            Kind::Scale => (5, "Lamplight WS"),
            Kind::GlucoseMeter => (6, "Lamplight GL"),
            Kind::GlucoseSensor => (7, "Lamplight CG"),
            Kind::BodyScale => (8, "Lamplight BC"),
            Kind::SpotOximeter => (9, "Lamplight SP"),
        };
        let off = || AtomicBool::new(false);
        let link = Link {
            wants_pairing: manner.wants_pairing || manner.asks_passkey,
            paired: off(),
            connected: off(),
            notifying: off(),
            requests: Mutex::default(),
            // Each device shows digits of its own; the leading zero is easily lost on the way.
            passkey: manner.asks_passkey.then(|| 12_340 + u32::from(c) * 10 + last),
            bond_lost: off(),
            awake: AtomicBool::new(!manner.sleeps),
            heard: off(),
            given_up: off(),
            fault: Mutex::default(),
            omitted: manner.omitted,
            greet: off(),
            subscribed,
        };
        Self {
            kind,
            address: format!("02:00:{a:02X}:{b:02X}:{c:02X}:{last:02X}"),
            name: format!("{name} {seed}"),
            plugged: true,
            silent: false,
            sensor_on: true,
            link: Arc::new(link),
            sleeps: manner.sleeps,
            awake_for: 0,
            beat_left: 0.0,
            seconds: 0,
            cuff: None,
            memory: Memory::default(),
            sent: 0,
            session: WallTime::now(),
            faults: Faults::default(),
        }
    }

    /// A device that anybody may subscribe to, and somebody has.
    #[must_use]
    pub fn on_a_table(kind: Kind) -> Self {
        let device = Self::new(kind, 1, Manner::default(), Arc::default());
        device.link.notifying.store(true, Relaxed);
        device
    }

    /// The 16-bit numbers of its service and its measurement.
    #[must_use]
    pub fn service(&self) -> (u16, u16) {
        match self.kind {
            Kind::HeartRate => (0x180d, 0x2a37),
            Kind::Oximeter => (0x1822, 0x2a5f),
            Kind::BloodPressure => (0x1810, 0x2a35),
            Kind::Thermometer => (0x1809, 0x2a1c),
            Kind::Scale => (0x181d, 0x2a9d),
            Kind::GlucoseMeter => (0x1808, 0x2a18),
            Kind::GlucoseSensor => (0x181f, 0x2aa7),
            Kind::BodyScale => (0x181b, 0x2a9c),
            Kind::SpotOximeter => (0x1822, 0x2a5e),
        }
    }

    /// What a second brings, if anything.
    pub fn measurement(&mut self, vitals: &Vitals) -> Option<Vec<u8>> {
        let used = |every_s: u64, seconds: u64| seconds % every_s == 1;
        self.seconds += 1;
        let said = match self.kind {
            Kind::HeartRate => Some(self.heart_rate(vitals)),
            Kind::Oximeter => Some(self.oximetry(vitals)),
            Kind::BloodPressure => {
                self.blood_pressure(vitals);
                None
            }
            Kind::Thermometer => (!self.sleeps && used(THERMOMETER_EVERY_S, self.seconds)).then(|| self.temperature(vitals)),
            Kind::Scale => used(SCALE_EVERY_S, self.seconds).then(|| weight(vitals)),
            Kind::GlucoseMeter => {
                if used(GLUCOSE_EVERY_S, self.seconds) {
                    self.store_glucose(vitals);
                }
                None
            }
            Kind::GlucoseSensor => used(GLUCOSE_EVERY_S, self.seconds).then(|| self.sense_glucose(vitals)),
            Kind::BodyScale => used(SCALE_EVERY_S, self.seconds).then(|| composition(vitals)),
            Kind::SpotOximeter => used(SPOT_EVERY_S, self.seconds).then(|| self.spot_check(vitals)),
        };
        said.and_then(|said| self.faults.mangle(said))
    }

    /// What is stored is sent once more to whoever is subscribed, as if it were new.
    pub fn again(&mut self) -> Vec<Vec<u8>> {
        self.sent = 0;
        let stored = if self.kind.has_memory() { &self.memory.records[..] } else { &[] };
        stored.iter().map(|(_, bytes)| bytes.clone()).collect()
    }

    /// When a sensor's session began, for who reads it.
    #[must_use]
    pub fn session_start(&self) -> Option<Vec<u8>> {
        let start = SessionStart { at: self.session, zone: 0, dst: 0, protected: true };
        (self.kind == Kind::GlucoseSensor).then(|| start.bytes())
    }

    /// What it says to somebody who has just subscribed, where it has something to say.
    pub fn greeting(&mut self, vitals: &Vitals) -> Option<Vec<u8>> {
        if !self.link.greet.swap(false, Relaxed) {
            return None;
        }
        match self.kind {
            Kind::HeartRate => Some(self.heart_rate(vitals)),
            Kind::Oximeter => Some(self.oximetry(vitals)),
            Kind::Thermometer if self.sleeps => Some(self.temperature(vitals)),
            _ => None,
        }
    }

    /// Is used: awake for a moment.
    pub fn wake(&mut self) {
        self.awake_for = AWAKE_S;
        self.link.awake.store(true, Relaxed);
    }

    /// A second passes: whether it falls asleep now, ending its connection.
    pub fn tires(&mut self) -> bool {
        let falls_asleep = self.awake_for == 1;
        self.awake_for = self.awake_for.saturating_sub(1);
        if self.awake_for == 0 {
            self.link.awake.store(false, Relaxed);
        }
        falls_asleep
    }

    /// Answers requests for stored records: the measurements, and behind them what the control point says.
    pub fn answers(&self) -> Vec<(Vec<Vec<u8>>, Vec<u8>)> {
        let requests = std::mem::take(&mut *self.link.requests.lock().unwrap_or_else(PoisonError::into_inner));
        requests.iter().map(|request| self.memory.answer(request)).collect()
    }

    /// What a cuff sends of itself: its whole memory to whoever subscribes, oldest first and without a mark, then each new result.
    pub fn replay(&mut self) -> Vec<Vec<u8>> {
        if self.kind != Kind::BloodPressure || !self.link.notifying.load(Relaxed) {
            self.sent = 0;
            return Vec::new();
        }
        let unsent = self.memory.records.get(self.sent..).unwrap_or_default();
        self.sent = self.memory.records.len();
        unsent.iter().map(|(_, bytes)| bytes.clone()).collect()
    }

    /// Stores a result whenever the cuff has measured; one off the arm fails.
    fn blood_pressure(&mut self, vitals: &Vitals) {
        const CUFF_TOO_LOOSE: u16 = 1 << 1;
        let result = (whole(vitals.systolic), whole(vitals.diastolic));
        if self.cuff.replace(result) == Some(result) || self.memory.records.len() >= MEMORY_MAX {
            return;
        }
        let number = |value: u16| if self.sensor_on { Number::Of(value.into(), 0) } else { Number::NotANumber };
        let said = BloodPressure {
            kilopascal: false,
            pressures: [number(result.0), number(result.1), number(whole(vitals.mean_pressure()))],
            at: Some(WallTime::now()),
            pulse: Some(number(whole(vitals.heart_rate))),
            user: Some(1),
            status: Some(if self.sensor_on { 0 } else { CUFF_TOO_LOOSE }),
        };
        self.memory.records.push((0, said.measurement()));
    }

    fn temperature(&self, vitals: &Vitals) -> Vec<u8> {
        const EAR: u8 = 3;
        let value = if self.sensor_on { Number::Of(whole(vitals.temperature * 10.0).into(), -1) } else { Number::NotANumber };
        Temperature { fahrenheit: false, value, at: Some(WallTime::now()), site: Some(EAR) }.measurement()
    }

    fn spot_check(&self, vitals: &Vitals) -> Vec<u8> {
        const SENSOR_OFF: u32 = 1 << 11;
        let number = |value: f64| if self.sensor_on { Number::Of(whole(value).into(), 0) } else { Number::NotANumber };
        let sensor = (!self.sensor_on).then_some(SENSOR_OFF);
        let (spo2, pulse) = (number(vitals.spo2), number(vitals.heart_rate));
        SpotCheck { spo2, pulse, at: Some(WallTime::now()), status: Some(0), sensor, amplitude: None, clock_not_set: false }.measurement()
    }

    /// A record each minute of the session; one of a sensor that has come off has no number, and says why.
    fn sense_glucose(&mut self, vitals: &Vitals) -> Vec<u8> {
        const SENSOR_MALFUNCTION: u8 = 1 << 3;
        let offset_min = u16::try_from(self.seconds / GLUCOSE_EVERY_S).unwrap_or(u16::MAX);
        let glucose = if self.sensor_on { Number::Of(whole(vitals.glucose).into(), 0) } else { Number::NotANumber };
        let status = Some(if self.sensor_on { 0 } else { SENSOR_MALFUNCTION });
        let record =
            CgmRecord { glucose, offset_min, status, calibration: None, warning: None, trend: None, quality: None, protected: true };
        self.memory.records.push((offset_min, record.bytes()));
        if self.memory.records.len() > MEMORY_MAX {
            self.memory.records.remove(0);
        }
        record.bytes()
    }

    fn store_glucose(&mut self, vitals: &Vitals) {
        const CAPILLARY_WHOLE_BLOOD: u8 = 1;
        const FINGER: u8 = 1;
        let sequence = self.memory.records.last().map_or(1, |(number, _)| number.wrapping_add(1));
        // mg/dL as kg/L.
        let value = Number::Of(whole(vitals.glucose).into(), -5);
        let concentration = Some((value, CAPILLARY_WHOLE_BLOOD, FINGER));
        let said = Glucose {
            sequence,
            base: WallTime::now(),
            offset_min: Some(0),
            concentration,
            molar: false,
            status: Some(0),
            context_follows: false,
        };
        self.memory.records.push((sequence, said.measurement()));
        if self.memory.records.len() > MEMORY_MAX {
            self.memory.records.remove(0);
        }
    }

    /// Flags: contact supported and detected, intervals between beats present.
    fn heart_rate(&mut self, vitals: &Vitals) -> Vec<u8> {
        if !self.sensor_on {
            return vec![0x04, 0];
        }
        let beat = 1024.0 * 60.0 / vitals.heart_rate;
        self.beat_left += 1024.0;
        let mut value = vec![0x16, whole(vitals.heart_rate).to_le_bytes()[0]];
        while self.beat_left >= beat {
            self.beat_left -= beat;
            value.extend(whole(beat).to_le_bytes());
        }
        if value.len() == 2 {
            value[0] = 0x06;
        }
        value
    }

    /// Flags: measurement status and sensor status present. Numbers are SFLOATs with exponent 0.
    fn oximetry(&self, vitals: &Vitals) -> Vec<u8> {
        const NOT_A_NUMBER: u16 = 0x07ff;
        const FULLY_QUALIFIED: u16 = 1 << 8;
        const INVALID: u16 = 1 << 15;
        const SENSOR_OFF: u32 = 1 << 11;
        let (spo2, pulse, status, sensor) = if self.sensor_on {
            (whole(vitals.spo2), whole(vitals.heart_rate), FULLY_QUALIFIED, 0)
        } else {
            (NOT_A_NUMBER, NOT_A_NUMBER, INVALID, SENSOR_OFF)
        };
        let [s0, s1, s2, _] = sensor.to_le_bytes();
        [0x0c].into_iter().chain(spo2.to_le_bytes()).chain(pulse.to_le_bytes()).chain(status.to_le_bytes()).chain([s0, s1, s2]).collect()
    }
}

/// An adult who steps on it dressed.
fn weight(vitals: &Vitals) -> Vec<u8> {
    Weight { imperial: false, steps: steps(vitals), at: Some(WallTime::now()), user: Some(1), bmi_height: None }.measurement()
}

/// What a scale of that kind tells a healthy adult: fat, and besides it water, impedance and weight.
fn composition(vitals: &Vitals) -> Vec<u8> {
    let (water, impedance) = (steps(vitals) / 100 * 55, 5_000);
    let parts = [None, None, None, None, None, Some(water), Some(impedance), Some(steps(vitals)), None];
    Composition { imperial: false, fat: 231, at: Some(WallTime::now()), user: Some(1), parts }.measurement()
}

/// A scale's steps of 5 g.
fn steps(vitals: &Vitals) -> u16 {
    whole(vitals.weight * 200.0)
}

impl WallTime {
    /// The device's clock is right, and set to UTC.
    #[must_use]
    pub fn now() -> Self {
        let at = jiff::Timestamp::from_millisecond(now_ms()).unwrap_or_default().to_zoned(TimeZone::UTC);
        let small = |part: i8| part.unsigned_abs();
        Self {
            year: at.year().unsigned_abs(),
            month: small(at.month()),
            day: small(at.day()),
            hour: small(at.hour()),
            minute: small(at.minute()),
            second: small(at.second()),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast to u16 saturates")]
fn whole(value: f64) -> u16 {
    value.round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(kind: Kind) -> Peripheral {
        Peripheral::new(kind, 1, Manner::default(), Arc::default())
    }

    const VITALS: Vitals = Vitals {
        heart_rate: 60.0,
        spo2: 98.0,
        respiration: 15.0,
        temperature: 36.8,
        systolic: 120.0,
        diastolic: 75.0,
        glucose: 104.0,
        weight: 72.25,
    };

    #[test]
    fn the_strap_sends_rate_contact_and_the_time_between_beats() {
        let mut strap = device(Kind::HeartRate);
        assert_eq!(strap.measurement(&VITALS).expect("value"), [0x16, 60, 0, 4]);
        strap.sensor_on = false;
        assert_eq!(strap.measurement(&VITALS).expect("value"), [0x04, 0]);
    }

    #[test]
    fn the_oximeter_sends_numbers_or_not_a_number_with_the_reason() {
        let mut oximeter = device(Kind::Oximeter);
        assert_eq!(oximeter.measurement(&VITALS).expect("value"), [0x0c, 98, 0, 60, 0, 0, 1, 0, 0, 0]);
        oximeter.sensor_on = false;
        assert_eq!(oximeter.measurement(&VITALS).expect("value"), [0x0c, 0xff, 7, 0xff, 7, 0, 0x80, 0, 8, 0]);
    }

    #[test]
    fn a_cuff_sends_its_memory_to_whoever_subscribes_and_a_result_off_the_arm_failed() {
        let mut cuff = device(Kind::BloodPressure);
        for _ in 0..2 {
            assert_eq!(cuff.measurement(&VITALS), None);
        }
        assert!(cuff.replay().is_empty());
        cuff.link.notifying.store(true, Relaxed);
        let said = cuff.replay();
        assert_eq!((said.len(), said[0][0], &said[0][1..7]), (1, 0x1e, &[120, 0, 75, 0, 90, 0][..]));
        cuff.sensor_on = false;
        cuff.measurement(&Vitals { systolic: 121.0, ..VITALS });
        let failed = cuff.replay();
        assert_eq!((failed.len(), &failed[0][1..3], failed[0].last_chunk::<2>()), (1, &[0xff, 7][..], Some(&[2, 0])));
        cuff.link.notifying.store(false, Relaxed);
        assert!(cuff.replay().is_empty());
        cuff.link.notifying.store(true, Relaxed);
        assert_eq!(cuff.replay().len(), 2);
    }

    #[test]
    fn a_meter_says_nothing_of_itself_and_answers_with_its_memory() {
        let mut meter = device(Kind::GlucoseMeter);
        for _ in 0..=GLUCOSE_EVERY_S {
            assert_eq!(meter.measurement(&VITALS), None);
        }
        meter.link.requests.lock().expect("lock").push(vec![1, 1]);
        let answers = meter.answers();
        assert_eq!((answers.len(), answers[0].0.len(), &answers[0].1[..]), (1, 2, &[6, 0, 1, 1][..]));
        assert!(meter.answers().is_empty());
    }
}
