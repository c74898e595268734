//! Displayed values: the basic class of a physiological record, group by group.
//!
//! A heart rate that the monitor took from pressure or pleth is left to the group it came from, which sends it under
//! its own code, and the ECG's own rate is charted: so every rate's code says its source. One body temperature is
//! charted, of the first probe that is in a body; skin, surface, airway and room are not body temperatures.
//! Not charted: unlabelled and peripheral pressure channels, gases but CO₂ and O₂, relaxation, cardiac output.

use super::record::{Record, i16_at, u16_at};
use ::record::code::Code;
use ::record::decimal::Decimal;
use ::record::observation::{NoValue, Quality, Reading};
use ::record::time::Timestamp;
use ::record::unit::Unit;
use driver::{DecodeError, Fault, Out};

const SUBRECORD_LEN: usize = 278;
const DISPLAYED_VALUES: u8 = 1;
const CLASS_AT: usize = 276;
const BASIC: u16 = 0;

const ECG_AT: usize = 4;
const PRESSURES_AT: [usize; 4] = [20, 34, 48, 62];
const NIBP_AT: usize = 76;
const TEMPERATURES_AT: [usize; 4] = [90, 98, 106, 114];
const SPO2_AT: usize = 122;
const CO2_AT: usize = 136;
const O2_AT: usize = 150;
const FLOW_AT: usize = 182;
/// Rate by ECG alone; a group without status and label.
const ECG_RATE_AT: usize = 230;

/// Water vapour at body temperature, in tenths of mmHg, by which the pressure of a gas measured wet is less.
const VAPOUR_TENTHS: i64 = 470;

/// What has to be remembered between records.
#[derive(Debug, Default)]
pub(super) struct Numerics {
    nibp: Nibp,
}

impl Numerics {
    /// Reads every basic subrecord of displayed values; `at` is the monitor's time for them, where its zone is known.
    pub(super) fn read(&mut self, record: &Record<'_>, at: Option<Timestamp>, out: &mut Vec<Out>) {
        for subrecord in record.subrecords() {
            match subrecord.and_then(|(kind, bytes)| self.subrecord(kind, bytes)) {
                Ok(readings) => out.extend(readings.into_iter().map(|r| Out::Reading(Reading { device_time: r.device_time.or(at), ..r }))),
                Err(error) => out.push(Out::Fault(Fault::new(error, 0))),
            }
        }
    }

    fn subrecord(&mut self, kind: u8, bytes: &[u8]) -> Result<Vec<Reading>, DecodeError> {
        if kind != DISPLAYED_VALUES {
            return Ok(Vec::new());
        }
        let bytes = bytes.get(..SUBRECORD_LEN).ok_or(DecodeError::Truncated { needed: SUBRECORD_LEN, got: bytes.len() })?;
        if u16_at(bytes, CLASS_AT)? >> 8 & 0xF != BASIC {
            return Ok(Vec::new());
        }
        let mut readings = Vec::new();
        ecg(bytes, &mut readings)?;
        let mut charted = Vec::new();
        for at in PRESSURES_AT {
            pressure(&Group::at(bytes, at)?, &mut charted, &mut readings)?;
        }
        self.nibp.read(&Group::at(bytes, NIBP_AT)?, &mut readings)?;
        temperature(bytes, &mut readings)?;
        spo2(&Group::at(bytes, SPO2_AT)?, &mut readings)?;
        co2(&Group::at(bytes, CO2_AT)?, &mut readings)?;
        let o2 = Group::at(bytes, O2_AT)?;
        if o2.exists() {
            readings.push(o2.reading(Code::FI_O2, 1, -2, Unit::Percent)?);
        }
        ventilation(&Group::at(bytes, FLOW_AT)?, &mut readings)?;
        Ok(readings)
    }
}

/// Peak inspiratory airway pressure, pressure at the end of expiration, expired volume of a breath and of a minute.
const PEAK_PRESSURE: Code = Code::Mdc(151_817);
const END_EXPIRATORY_PRESSURE: Code = Code::Mdc(151_976);
const EXPIRED_VOLUME: Code = Code::Mdc(151_868);
const MINUTE_VOLUME: Code = Code::Mdc(151_880);

fn ventilation(group: &Group<'_>, readings: &mut Vec<Reading>) -> Result<(), DecodeError> {
    if group.exists() {
        readings.push(group.reading(Code::RESPIRATORY_RATE_AIRWAY, 0, 0, Unit::PerMinute)?);
        readings.push(group.reading(PEAK_PRESSURE, 1, -2, Unit::CmH2O)?);
        readings.push(group.reading(END_EXPIRATORY_PRESSURE, 2, -2, Unit::CmH2O)?);
        readings.push(group.reading(EXPIRED_VOLUME, 5, -1, Unit::Millilitre)?);
        readings.push(group.reading(MINUTE_VOLUME, 7, -2, Unit::LitrePerMinute)?);
    }
    Ok(())
}

/// A group of values: six bytes of status and label, then words.
struct Group<'a> {
    status: u32,
    label: u16,
    words: &'a [u8],
}

impl<'a> Group<'a> {
    fn at(bytes: &'a [u8], offset: usize) -> Result<Self, DecodeError> {
        let status = u32::from(u16_at(bytes, offset)?) | u32::from(u16_at(bytes, offset + 2)?) << 16;
        let label = u16_at(bytes, offset + 4)?;
        let words = bytes.get(offset + 6..).ok_or(DecodeError::Truncated { needed: offset + 6, got: bytes.len() })?;
        Ok(Self { status, label, words })
    }
    const fn has(&self, bit: u8) -> bool {
        self.status & (1 << bit) != 0
    }
    /// Whether the monitor has the module.
    const fn exists(&self) -> bool {
        self.has(0)
    }
    /// Whether the module measures.
    const fn active(&self) -> bool {
        self.has(1)
    }
    /// The `index`th word, or why there is no number.
    fn value(&self, index: usize) -> Result<Result<i16, NoValue>, DecodeError> {
        let word = i16_at(self.words, 2 * index)?;
        Ok(if self.active() { number(word) } else { Err(NoValue::NotMeasured) })
    }
    fn reading(&self, code: Code, index: usize, exponent: i8, unit: Unit) -> Result<Reading, DecodeError> {
        Ok(reading(code, self.value(index)?, exponent, unit))
    }
}

/// Words of −32001 and less are marks.
fn number(word: i16) -> Result<i16, NoValue> {
    match word {
        -32764 | -32763 => Err(NoValue::OutOfRange),
        -32762 => Err(NoValue::Fault("not-calibrated".to_owned())),
        ..=-32001 => Err(NoValue::NotMeasured),
        _ => Ok(word),
    }
}

fn reading(code: Code, value: Result<i16, NoValue>, exponent: i8, unit: Unit) -> Reading {
    let value = value.map(|word| Decimal::new(word.into(), exponent));
    Reading { code, value, unit, quality: Quality::Good, device_time: None, device_seq: None }
}

fn ecg(bytes: &[u8], readings: &mut Vec<Reading>) -> Result<(), DecodeError> {
    let group = Group::at(bytes, ECG_AT)?;
    if !group.exists() {
        return Ok(());
    }
    let source = group.status >> 3 & 0xF;
    let by_pulse = (2..=6).contains(&source);
    let mut value = if by_pulse && group.active() { number(i16_at(bytes, ECG_RATE_AT)?) } else { group.value(0)? };
    if source == 0 && value == Ok(0) {
        value = Err(NoValue::NotMeasured);
    }
    let (noise, artefact, channel_off) = (group.has(7), group.has(8), group.status >> 11 & 0b111 != 0);
    let value = value.map_err(|why| match why {
        NoValue::NotMeasured if channel_off => NoValue::SensorOff,
        NoValue::NotMeasured if noise || artefact => NoValue::Artefact,
        other => other,
    });
    let mut rate = reading(Code::HEART_RATE, value, 0, Unit::PerMinute);
    if noise || artefact {
        rate.quality = Quality::Questionable;
    }
    readings.push(rate);
    for (index, shift) in [(1, 8), (2, 4), (3, 0)] {
        if let Some(code) = st_code(group.label >> shift & 0xF) {
            readings.push(group.reading(code, index, -2, Unit::Millimetre)?);
        }
    }
    readings.push(group.reading(Code::RESPIRATORY_RATE_IMPEDANCE, 4, 0, Unit::PerMinute)?);
    Ok(())
}

/// The ST level of a lead by its number in the label.
const fn st_code(lead: u16) -> Option<Code> {
    match lead {
        1 => Some(Code::ST_I),
        2 => Some(Code::ST_II),
        3 => Some(Code::Mdc(131_901)),
        4 => Some(Code::Mdc(131_902)),
        5 => Some(Code::Mdc(131_903)),
        6 => Some(Code::Mdc(131_904)),
        7 => Some(Code::ST_V),
        _ => None,
    }
}

/// Invasive pressure. Two channels of one label would be charted as one: the first counts.
fn pressure(group: &Group<'_>, charted: &mut Vec<Code>, readings: &mut Vec<Reading>) -> Result<(), DecodeError> {
    const ARTERIAL: &[(Code, usize)] = &[(Code::ABP_SYSTOLIC, 0), (Code::ABP_DIASTOLIC, 1), (Code::ABP_MEAN, 2)];
    const CENTRAL_VENOUS: &[(Code, usize)] = &[(Code::CVP_MEAN, 2)];
    const INTRACRANIAL: &[(Code, usize)] = &[(Code::ICP_MEAN, 2)];
    let values = match group.label {
        1 | 8 => ARTERIAL,
        2 => CENTRAL_VENOUS,
        7 => INTRACRANIAL,
        _ => &[],
    };
    if !group.exists() || values.iter().any(|(code, _)| charted.contains(code)) {
        return Ok(());
    }
    for (code, index) in values {
        charted.push(*code);
        readings.push(group.reading(*code, *index, -2, Unit::MmHg)?);
    }
    if matches!(group.label, 1 | 8) {
        readings.push(group.reading(Code::PULSE_RATE_ABP, 3, 0, Unit::PerMinute)?);
    }
    Ok(())
}

/// The first probe in a body: by label oesophageal, nasopharyngeal, tympanic, rectal, bladder, axillary, myocardial,
/// T1–T4 or core.
fn temperature(bytes: &[u8], readings: &mut Vec<Reading>) -> Result<(), DecodeError> {
    let mut first = None;
    for at in TEMPERATURES_AT {
        let group = Group::at(bytes, at)?;
        if !group.exists() || !matches!(group.label, 1..=6 | 10..=15) {
            continue;
        }
        let reading = group.reading(Code::TEMPERATURE, 0, -2, Unit::Celsius)?;
        if reading.value.is_ok() {
            first = Some(reading);
            break;
        }
        first = first.or(Some(reading));
    }
    readings.extend(first);
    Ok(())
}

fn spo2(group: &Group<'_>, readings: &mut Vec<Reading>) -> Result<(), DecodeError> {
    if group.exists() {
        readings.push(group.reading(Code::SPO2, 0, -2, Unit::Percent)?);
        readings.push(group.reading(Code::PULSE_RATE, 1, 0, Unit::PerMinute)?);
        readings.push(group.reading(Code::PERFUSION_INDEX, 2, -2, Unit::Percent)?);
    }
    Ok(())
}

/// CO₂ is sent as a volume fraction and charted as a pressure, by the ambient pressure sent beside it; without that it
/// stays a fraction.
fn co2(group: &Group<'_>, readings: &mut Vec<Reading>) -> Result<(), DecodeError> {
    const OCCLUSION: u8 = 5;
    const WET: u8 = 9;
    if !group.exists() {
        return Ok(());
    }
    let ambient_tenths = group.value(3)?.ok().filter(|tenths| *tenths > 0);
    for (code, index) in [(Code::ET_CO2, 0), (Code::FI_CO2, 1)] {
        let mut gas = match (group.value(index)?, ambient_tenths) {
            (Ok(fraction), Some(ambient)) => {
                let dry = i64::from(ambient) - if group.has(WET) { VAPOUR_TENTHS } else { 0 };
                // 0.01 % × 0.1 mmHg is 10⁻⁵ mmHg; charted to 0.1 mmHg, half away from zero.
                let product = i64::from(fraction) * dry;
                let tenths = (product + 5_000 * product.signum()) / 10_000;
                Reading::new(code, Decimal::new(tenths, -1), Unit::MmHg)
            }
            (Err(why), _) => Reading::absent(code, why, Unit::MmHg),
            (value, None) => reading(code, value, -2, Unit::Percent),
        };
        if group.has(OCCLUSION) {
            gas.quality = Quality::Questionable;
        }
        readings.push(gas);
    }
    readings.push(group.reading(Code::RESPIRATORY_RATE_CO2, 2, 0, Unit::PerMinute)?);
    Ok(())
}

/// The cuff: the monitor repeats a result until the next, so it is charted only when it is new.
#[derive(Debug, Default)]
struct Nibp {
    last: Option<[Result<i16, NoValue>; 4]>,
    /// The last one seen was marked old, or a measurement has begun since: the next fresh one is new even if equal.
    outdated: bool,
}

impl Nibp {
    fn read(&mut self, group: &Group<'_>, readings: &mut Vec<Reading>) -> Result<(), DecodeError> {
        let measuring = group.label & 1 << 5 != 0;
        let older_than_60_s = group.label & 1 << 8 != 0;
        if !group.exists() {
            return Ok(());
        }
        if measuring {
            self.outdated = true;
            return Ok(());
        }
        let values = [group.value(0)?, group.value(1)?, group.value(2)?, group.value(3)?];
        let is_new = self.last.as_ref() != Some(&values) || (self.outdated && !older_than_60_s);
        let seen_from_the_start = self.last.is_some();
        self.outdated = older_than_60_s;
        self.last = Some(values);
        if !is_new {
            return Ok(());
        }
        for (code, index) in [(Code::NIBP_SYSTOLIC, 0), (Code::NIBP_DIASTOLIC, 1), (Code::NIBP_MEAN, 2)] {
            readings.push(group.reading(code, index, -2, Unit::MmHg)?);
        }
        readings.push(group.reading(Code::PULSE_RATE_NIBP, 3, 0, Unit::PerMinute)?);
        if older_than_60_s && !seen_from_the_start {
            // Taken before we listened, at a moment nobody can name: charted, but not to be scored as fresh.
            let count = readings.len();
            for reading in readings.iter_mut().skip(count.saturating_sub(4)) {
                reading.quality = Quality::Questionable;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A basic subrecord in which nothing exists.
    fn nothing() -> Vec<u8> {
        let mut bytes = vec![0; SUBRECORD_LEN];
        bytes[230..236].copy_from_slice(&[1, 0x80, 1, 0x80, 1, 0x80]);
        bytes
    }
    fn group(bytes: &mut [u8], at: usize, status: u32, label: u16, words: &[i16]) {
        bytes[at..at + 4].copy_from_slice(&status.to_le_bytes());
        bytes[at + 4..at + 6].copy_from_slice(&label.to_le_bytes());
        for (n, word) in words.iter().enumerate() {
            bytes[at + 6 + 2 * n..at + 8 + 2 * n].copy_from_slice(&word.to_le_bytes());
        }
    }
    fn read(numerics: &mut Numerics, bytes: &[u8]) -> Vec<(Code, String, Quality)> {
        let text = |r: Reading| (r.code, r.value.map_or_else(|why| why.to_string(), |v| v.to_string()), r.quality);
        numerics.subrecord(DISPLAYED_VALUES, bytes).expect("subrecord").into_iter().map(text).collect()
    }
    fn one(at: usize, status: u32, label: u16, words: &[i16], code: Code) -> (String, Quality) {
        let mut bytes = nothing();
        group(&mut bytes, at, status, label, words);
        let found = read(&mut Numerics::default(), &bytes).into_iter().find(|(c, ..)| *c == code).expect("reading");
        (found.1, found.2)
    }

    #[test]
    fn every_special_value_is_absent_with_its_reason_and_the_first_number_is_a_number() {
        let spo2 = |word| one(SPO2_AT, 3, 0, &[word, 0, 0], Code::SPO2).0;
        assert_eq!(
            [-32767, -32766, -32765, -32764, -32763, -32762, -32761, -32001, -32000, 9665].map(spo2),
            [
                "not-measured",
                "not-measured",
                "not-measured",
                "out-of-range",
                "out-of-range",
                "fault:not-calibrated",
                "not-measured",
                "not-measured",
                "-320.00",
                "96.65"
            ]
        );
    }

    #[test]
    fn a_module_that_is_there_but_idle_is_not_measured_and_one_that_is_not_there_is_silent() {
        assert_eq!(one(SPO2_AT, 1, 0, &[9700, 60, 0], Code::SPO2).0, "not-measured");
        assert_eq!(read(&mut Numerics::default(), &nothing()), []);
    }

    #[test]
    fn end_tidal_carbon_dioxide_becomes_a_pressure() {
        let etco2 = |status, words: &[i16]| one(CO2_AT, status, 0, words, Code::ET_CO2);
        assert_eq!(etco2(3, &[487, 26, 15, 7598]).0, "37.0");
        assert_eq!(etco2(3 | 1 << 9, &[487, 26, 15, 7598]).0, "34.7");
        assert_eq!(etco2(3, &[487, 26, 15, -32767]).0, "4.87");
        assert_eq!(etco2(3 | 1 << 5, &[487, 26, 15, 7598]).1, Quality::Questionable);
    }

    #[test]
    fn a_rate_taken_from_the_pulse_is_not_charted_as_the_hearts() {
        let mut bytes = nothing();
        group(&mut bytes, ECG_AT, 3 | 6 << 3, 0, &[88, 0, 0, 0, 14]);
        assert_eq!(read(&mut Numerics::default(), &bytes)[0].1, "not-measured");
        bytes[ECG_RATE_AT..ECG_RATE_AT + 2].copy_from_slice(&91i16.to_le_bytes());
        assert_eq!(read(&mut Numerics::default(), &bytes)[0].1, "91");
        assert_eq!(one(ECG_AT, 3 | 1 << 3, 0, &[88, 0, 0, 0, 14], Code::HEART_RATE).0, "88");
        assert_eq!(one(ECG_AT, 3, 0, &[0, 0, 0, 0, 14], Code::HEART_RATE).0, "not-measured");
    }

    #[test]
    fn electrodes_off_and_noise_are_told_apart() {
        assert_eq!(one(ECG_AT, 3 | 1 << 3 | 1 << 11, 0, &[-32767, 0, 0, 0, 0], Code::HEART_RATE).0, "sensor-off");
        assert_eq!(one(ECG_AT, 3 | 1 << 3 | 1 << 7, 0, &[-32767, 0, 0, 0, 0], Code::HEART_RATE).0, "artefact");
        assert_eq!(one(ECG_AT, 3 | 1 << 3 | 1 << 8, 0, &[70, 0, 0, 0, 0], Code::HEART_RATE), ("70".to_owned(), Quality::Questionable));
    }

    #[test]
    fn a_pressure_is_charted_by_its_label_alone() {
        let mut bytes = nothing();
        group(&mut bytes, PRESSURES_AT[0], 3, 9, &[12000, 8000, 9300, 70]);
        group(&mut bytes, PRESSURES_AT[1], 3, 2, &[900, 300, 550, -32767]);
        group(&mut bytes, PRESSURES_AT[2], 3, 1, &[12100, 8100, 9400, 71]);
        group(&mut bytes, PRESSURES_AT[3], 3, 8, &[5, 5, 5, 5]);
        let got: Vec<_> = read(&mut Numerics::default(), &bytes).into_iter().map(|(code, value, _)| (code, value)).collect();
        let want = [
            (Code::CVP_MEAN, "5.50"),
            (Code::ABP_SYSTOLIC, "121.00"),
            (Code::ABP_DIASTOLIC, "81.00"),
            (Code::ABP_MEAN, "94.00"),
            (Code::PULSE_RATE_ABP, "71"),
        ];
        assert_eq!(got, want.map(|(code, value)| (code, value.to_owned())));
    }

    #[test]
    fn a_ventilated_breath_has_its_pressures_and_volumes() {
        let words = &[14, 2150, 500, 1800, 5012, 4987, 450, 702];
        let one = |code| one(FLOW_AT, 3, 0, words, code).0;
        assert_eq!([PEAK_PRESSURE, END_EXPIRATORY_PRESSURE, EXPIRED_VOLUME, MINUTE_VOLUME].map(one), ["21.50", "5.00", "498.7", "7.02"]);
        assert_eq!(one(Code::RESPIRATORY_RATE_AIRWAY), "14");
    }

    #[test]
    fn skin_is_not_a_body_temperature() {
        let mut bytes = nothing();
        group(&mut bytes, TEMPERATURES_AT[0], 3, 7, &[3300]);
        assert_eq!(read(&mut Numerics::default(), &bytes), []);
        group(&mut bytes, TEMPERATURES_AT[1], 3, 4, &[-32767]);
        group(&mut bytes, TEMPERATURES_AT[2], 3, 11, &[3710]);
        assert_eq!(read(&mut Numerics::default(), &bytes), [(Code::TEMPERATURE, "37.10".to_owned(), Quality::Good)]);
    }

    #[test]
    fn a_cuff_result_is_charted_once_and_an_equal_new_one_again() {
        let mut numerics = Numerics::default();
        let mut count = |label: u16, sys: i16| {
            let mut bytes = nothing();
            group(&mut bytes, NIBP_AT, 3, label, &[sys, 4800, 6900, 70]);
            read(&mut numerics, &bytes).len()
        };
        const AUTO: u16 = 1 << 3;
        const MEASURING: u16 = 1 << 5;
        const OLD: u16 = 1 << 8;
        assert_eq!(count(AUTO, 9300), 4);
        assert_eq!(count(AUTO, 9300), 0);
        assert_eq!(count(AUTO | OLD, 9300), 0);
        assert_eq!(count(AUTO | MEASURING, -32767), 0);
        assert_eq!(count(AUTO, 9300), 4);
        assert_eq!(count(AUTO | OLD, 9300), 0);
        assert_eq!(count(AUTO, 9300), 4);
        assert_eq!(count(AUTO, 9400), 4);
    }

    #[test]
    fn a_cuff_result_from_before_we_listened_is_not_scored_as_fresh() {
        assert_eq!(one(NIBP_AT, 3, 1 << 8, &[9300, 4800, 6900, 70], Code::NIBP_SYSTOLIC), ("93.00".to_owned(), Quality::Questionable));
    }

    #[test]
    fn only_the_basic_class_of_displayed_values_is_read_and_a_short_one_is_refused() {
        let mut bytes = nothing();
        group(&mut bytes, SPO2_AT, 3, 0, &[9700, 60, 100]);
        let mut numerics = Numerics::default();
        assert_eq!(numerics.subrecord(2, &bytes), Ok(Vec::new()));
        assert_eq!(numerics.subrecord(1, &bytes[..277]), Err(DecodeError::Truncated { needed: 278, got: 277 }));
        bytes[CLASS_AT + 1] = 1;
        assert_eq!(numerics.subrecord(1, &bytes), Ok(Vec::new()));
    }
}
