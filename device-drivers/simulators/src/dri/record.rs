//! The records a monitor sends: pages of displayed values and blocks of waves. Little-endian, packed.

use crate::physiology::Vitals;

/// Wave type of the first ECG channel, 300 samples a second, µV.
pub const ECG1: u8 = 1;
/// Wave type of the plethysmogram, 100 samples a second, hundredths of a percent.
pub const PLETH: u8 = 8;
/// Wave type of impedance respiration, 25 samples a second, hundredths of an ohm.
pub const RESPIRATION: u8 = 15;
/// The value that says "no valid value".
pub const INVALID: i16 = -32767;

const HEADER: usize = 40;
/// Bytes of one class of a page: time, 270 bytes of groups, marker, reserved, class.
const SUBRECORD: usize = 278;
const LEVEL_2015: u8 = 11;
const DISPLAYED: u8 = 1;
const MAIN_PHYSIOLOGICAL: i16 = 0;
const MAIN_WAVE: i16 = 1;
/// Group status: the module is there, and measures.
const EXISTS: u32 = 1;
const ACTIVE: u32 = 2;
const HR_SOURCE_ECG: u32 = 1 << 3;
const LEADS_II: u16 = 0x0200;
const NIBP_AUTO: u16 = 1 << 3;
const TEMP_SKIN: u16 = 7;

/// What a page shows.
pub struct Page {
    /// The patient.
    pub vitals: Vitals,
    /// Whether the oximeter's sensor is on.
    pub sensor_on: bool,
    /// Classes asked for: bit 1 ext1, bit 2 ext2, bit 3 ext3. They hold no module here.
    pub classes: i32,
}

/// A page of displayed values: the basic class, then the extended ones asked for.
#[must_use]
pub fn displayed(number: u8, now_ms: i64, page: &Page) -> Vec<u8> {
    let extended = (1..=3_u16).filter(|class| page.classes & (1 << class) != 0);
    let subrecords: Vec<(u8, Vec<u8>)> =
        std::iter::once(basic(now_ms, page)).chain(extended.map(|class| empty(now_ms, class))).map(|bytes| (DISPLAYED, bytes)).collect();
    record(number, now_ms, MAIN_PHYSIOLOGICAL, &subrecords)
}

/// One block of each wave.
#[must_use]
pub fn waves(number: u8, now_ms: i64, waves: &[(u8, &[i16])]) -> Vec<u8> {
    let subrecords: Vec<(u8, Vec<u8>)> = waves
        .iter()
        .map(|(kind, samples)| {
            let status_and_label = [0; 4];
            let head = u16::try_from(samples.len()).unwrap_or(u16::MAX).to_le_bytes();
            (*kind, head.into_iter().chain(status_and_label).chain(samples.iter().flat_map(|sample| sample.to_le_bytes())).collect())
        })
        .collect();
    record(number, now_ms, MAIN_WAVE, &subrecords)
}

fn record(number: u8, now_ms: i64, main: i16, subrecords: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let length: usize = HEADER + subrecords.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    let mut out = Vec::with_capacity(length);
    out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    out.extend([number, LEVEL_2015, 0, 0]);
    out.extend(seconds(now_ms).to_le_bytes());
    out.extend([0; 4]);
    out.extend(main.to_le_bytes());
    let mut offset = 0_u16;
    for (kind, bytes) in subrecords {
        out.extend(offset.to_le_bytes());
        out.push(*kind);
        offset += u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    }
    if subrecords.len() < 8 {
        out.extend([0, 0, 0xff]);
    }
    out.resize(HEADER, 0);
    out.extend(subrecords.iter().flat_map(|(_, bytes)| bytes));
    out
}

fn basic(now_ms: i64, page: &Page) -> Vec<u8> {
    let Vitals { heart_rate, spo2, respiration, temperature, systolic, diastolic, .. } = page.vitals;
    let pulse = whole(heart_rate);
    let mut out = empty(now_ms, 0);
    group(&mut out, 4, EXISTS | ACTIVE | HR_SOURCE_ECG, LEADS_II, &[pulse, 0, 0, 0, whole(respiration)]);
    let mean = whole(page.vitals.mean_pressure().round() * 100.0);
    group(&mut out, 76, EXISTS | ACTIVE, NIBP_AUTO, &[whole(systolic.round() * 100.0), whole(diastolic.round() * 100.0), mean, pulse]);
    group(&mut out, 90, EXISTS | ACTIVE, TEMP_SKIN, &[whole(temperature * 100.0)]);
    if page.sensor_on {
        group(&mut out, 122, EXISTS | ACTIVE, 0, &[whole(spo2 * 100.0), pulse, 210, INVALID]);
    } else {
        group(&mut out, 122, EXISTS, 0, &[INVALID; 4]);
    }
    out
}

/// A class in which no module is present.
fn empty(now_ms: i64, class: u16) -> Vec<u8> {
    let mut out = vec![0; SUBRECORD];
    put(&mut out, 0, &seconds(now_ms).to_le_bytes());
    put(&mut out, SUBRECORD - 2, &(class << 8).to_le_bytes());
    out
}

fn group(out: &mut [u8], at: usize, status: u32, label: u16, values: &[i16]) {
    put(out, at, &status.to_le_bytes());
    put(out, at + 4, &label.to_le_bytes());
    for (index, value) in values.iter().enumerate() {
        put(out, at + 6 + 2 * index, &value.to_le_bytes());
    }
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}

#[expect(clippy::cast_possible_truncation, reason = "a float cast to i16 saturates")]
fn whole(value: f64) -> i16 {
    value.round() as i16
}

fn seconds(now_ms: i64) -> u32 {
    u32::try_from(now_ms / 1000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::physiology::{Course, Patient};

    #[test]
    fn a_page_of_all_classes_is_as_long_as_a_real_one_and_holds_what_it_says_where_it_says() {
        let vitals = Vitals { heart_rate: 80.0, spo2: 96.65, ..Patient::new(1, Course::Stable).advance(0.0) };
        let page = displayed(1, 0, &Page { vitals, sensor_on: true, classes: 14 });
        assert_eq!(page.len(), 1152);
        assert_eq!(page[16..28], [0, 0, 1, 0x16, 1, 1, 0x2c, 2, 1, 0x42, 3, 1]);
        assert_eq!(page[40 + 10..40 + 12], 80_i16.to_le_bytes());
        assert_eq!(page[40 + 128..40 + 130], 9665_i16.to_le_bytes());
    }
}
