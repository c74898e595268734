//! The devices themselves: who they are, what they offer, what they measure.

use crate::physiology::Vitals;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What a device is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A chest strap: Heart Rate service.
    HeartRate,
    /// A finger oximeter: Pulse Oximeter service, continuous.
    Oximeter,
}

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
    /// Part of a beat, in 1/1024 s, left over from the last second.
    beat_left: f64,
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
}

impl Peripheral {
    /// A device in range; the seed makes its address its own.
    #[must_use]
    pub fn new(kind: Kind, seed: u64, wants_pairing: bool) -> Self {
        let [.., a, b, c] = seed.to_be_bytes();
        let (last, name) = match kind {
            Kind::HeartRate => (1, "Lamplight HR"),
            Kind::Oximeter => (2, "Lamplight OX"),
        };
        let off = || AtomicBool::new(false);
        Self {
            kind,
            address: format!("02:00:{a:02X}:{b:02X}:{c:02X}:{last:02X}"),
            name: format!("{name} {seed}"),
            plugged: true,
            silent: false,
            sensor_on: true,
            link: Arc::new(Link { wants_pairing, paired: off(), connected: off(), notifying: off() }),
            beat_left: 0.0,
        }
    }

    /// The 16-bit numbers of its service and its measurement.
    #[must_use]
    pub fn service(&self) -> (u16, u16) {
        match self.kind {
            Kind::HeartRate => (0x180d, 0x2a37),
            Kind::Oximeter => (0x1822, 0x2a5f),
        }
    }

    /// One second's measurement.
    pub fn measurement(&mut self, vitals: &Vitals) -> Vec<u8> {
        match self.kind {
            Kind::HeartRate => self.heart_rate(vitals),
            Kind::Oximeter => self.oximetry(vitals),
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

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast to u16 saturates")]
fn whole(value: f64) -> u16 {
    value.round() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    const VITALS: Vitals = Vitals { heart_rate: 60.0, spo2: 98.0, respiration: 15.0, temperature: 36.8, systolic: 120.0, diastolic: 75.0 };

    #[test]
    fn the_strap_sends_rate_contact_and_the_time_between_beats() {
        let mut strap = Peripheral::new(Kind::HeartRate, 1, false);
        assert_eq!(strap.measurement(&VITALS), [0x16, 60, 0, 4]);
        strap.sensor_on = false;
        assert_eq!(strap.measurement(&VITALS), [0x04, 0]);
    }

    #[test]
    fn the_oximeter_sends_numbers_or_not_a_number_with_the_reason() {
        let mut oximeter = Peripheral::new(Kind::Oximeter, 1, false);
        assert_eq!(oximeter.measurement(&VITALS), [0x0c, 98, 0, 60, 0, 0, 1, 0, 0, 0]);
        oximeter.sensor_on = false;
        assert_eq!(oximeter.measurement(&VITALS), [0x0c, 0xff, 7, 0xff, 7, 0, 0x80, 0, 8, 0]);
    }
}
