//! What the simulated devices say is what the decoders hear: each side written from the specification without the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use driver::profile::Profile;
use driver::{About, Channel, In, Out};
use proptest::option;
use proptest::prelude::*;
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Quality, Reading};
use record::time::{Monotonic, Timestamp};
use record::unit::Unit;
use simulators::ble::characteristics::{
    BloodPressure, CgmRecord, Composition, Glucose, Memory, Number, SessionStart, SpotCheck, Temperature, WallTime, Weight,
};

fn sfloats() -> impl Strategy<Value = Number> {
    prop_oneof![
        8 => (-2045i32..=2045, -8i8..=7).prop_map(|(m, e)| Number::Of(m, e)),
        1 => specials(),
    ]
}
fn floats() -> impl Strategy<Value = Number> {
    prop_oneof![
        8 => (-8_388_605i32..=8_388_605, -18i8..=18).prop_map(|(m, e)| Number::Of(m, e)),
        1 => specials(),
    ]
}
fn specials() -> impl Strategy<Value = Number> {
    prop::sample::select(vec![
        Number::NotANumber,
        Number::NotAtThisResolution,
        Number::PositiveInfinity,
        Number::NegativeInfinity,
        Number::Reserved,
    ])
}
fn times() -> impl Strategy<Value = WallTime> {
    (2015u16..2060, 1u8..=12, 1u8..=28, 0u8..24, 0u8..60, 0u8..60).prop_map(|(year, month, day, hour, minute, second)| WallTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
    })
}

fn readings(out: &[Out]) -> Vec<Reading> {
    assert!(!out.iter().any(|o| matches!(o, Out::Fault(_))), "{out:?}");
    out.iter().filter_map(|o| if let Out::Reading(r) = o { Some(r.clone()) } else { None }).collect()
}
fn heard(protocol: &str, frame: &[u8]) -> (Vec<Out>, Vec<Reading>) {
    let out = catalogue::decode(protocol, frame).expect("known");
    let readings = readings(&out);
    (out, readings)
}
fn of(all: &[Reading], code: Code) -> Option<&Reading> {
    all.iter().find(|reading| reading.code == code)
}

/// Whether what was heard is what was said, `places` decimal places further left; a number that is missing may say more of why.
fn same(said: Number, heard: &Reading, places: i8) -> bool {
    match (said, &heard.value) {
        (Number::Of(mantissa, exponent), Ok(value)) => *value == Decimal::new(mantissa.into(), exponent + places),
        (Number::PositiveInfinity | Number::NegativeInfinity, Err(why)) => *why == NoValue::OutOfRange,
        (Number::NotANumber | Number::NotAtThisResolution | Number::Reserved, Err(why)) => *why != NoValue::OutOfRange,
        _ => false,
    }
}
/// A pressure or pulse of zero is none.
fn same_but_zero(said: Number, heard: &Reading) -> bool {
    same(if matches!(said, Number::Of(0, _)) { Number::NotANumber } else { said }, heard, 0)
}
fn utc(at: WallTime, plus_min: i64) -> Timestamp {
    let text = format!("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", at.year, at.month, at.day, at.hour, at.minute, at.second);
    Timestamp::parse(&text).expect("time").plus_micros(plus_min * 60_000_000)
}
fn steps(raw: u16, of: i64, exponent: i8) -> Result<Decimal, NoValue> {
    Ok(Decimal::new(i64::from(raw) * of, exponent))
}

prop_compose! {
    fn blood_pressures()(
        kilopascal in any::<bool>(), pressures in [sfloats(), sfloats(), sfloats()], at in option::of(times()), pulse in option::of(sfloats()),
        user in option::of(any::<u8>()), status in option::of(any::<u16>()),
    ) -> BloodPressure {
        BloodPressure { kilopascal, pressures, at, pulse, user, status }
    }
}

fn holds_pressure(said: &BloodPressure, out: &[Out], heard: &[Reading], user: Option<u8>) -> Result<(), TestCaseError> {
    let unit = if said.kilopascal { Unit::KiloPascal } else { Unit::MmHg };
    for (code, value) in [Code::NIBP_SYSTOLIC, Code::NIBP_DIASTOLIC, Code::NIBP_MEAN].into_iter().zip(said.pressures) {
        let heard = of(heard, code).expect("pressure");
        prop_assert!(heard.unit == unit && same_but_zero(value, heard), "{value:?} {heard:?}");
    }
    prop_assert_eq!(said.pulse.is_some(), of(heard, Code::PULSE_RATE_NIBP).is_some());
    if let (Some(pulse), Some(heard)) = (said.pulse, of(heard, Code::PULSE_RATE_NIBP)) {
        prop_assert!(same_but_zero(pulse, heard), "{pulse:?} {heard:?}");
    }
    let status = said.status.filter(|bits| *bits != 0).map(|bits| Ok(Decimal::whole(bits.into())));
    prop_assert_eq!(of(heard, Code::NIBP_STATUS).map(|r| r.value.clone()), status);
    let told = out.iter().find_map(|o| if let Out::About(About::User(id)) = o { Some(*id) } else { None });
    prop_assert_eq!(told, user.filter(|id| *id != 0xFF));
    Ok(())
}

proptest! {
    #[test]
    fn a_blood_pressure_is_heard_as_it_was_said(said in blood_pressures()) {
        let (out, heard) = heard("ble.blood-pressure", &said.measurement());
        holds_pressure(&said, &out, &heard, said.user)?;
    }

    #[test]
    fn a_beurer_s_blood_pressure_is_heard_as_it_was_said(said in blood_pressures()) {
        let (out, heard) = heard("ble.blood-pressure+beurer", &said.beurer());
        holds_pressure(&said, &out, &heard, said.user)?;
    }

    #[test]
    fn a_temperature_is_heard_as_it_was_said(fahrenheit: bool, value in floats(), at in option::of(times()), site in option::of(any::<u8>())) {
        let said = Temperature { fahrenheit, value, at, site };
        let (_, heard) = heard("ble.thermometer", &said.measurement());
        let unit = if fahrenheit { Unit::Fahrenheit } else { Unit::Celsius };
        prop_assert_eq!((heard.len(), heard[0].unit), (1, unit));
        // Zero keeps at most 18 places and has no sign of its own size.
        let zero = matches!(value, Number::Of(0, _)) && heard[0].value.as_ref().is_ok_and(|v| v.mantissa() == 0);
        prop_assert!(zero || same(value, &heard[0], 0), "{:?} {:?}", value, heard[0]);
    }

    #[test]
    fn a_spot_check_is_heard_as_it_was_said(
        spo2 in sfloats(), pulse in sfloats(), at in option::of(times()), amplitude in option::of(sfloats()), sensor in option::of(0u32..1 << 24),
        clock_not_set: bool, stored: bool,
    ) {
        let said = SpotCheck { spo2, pulse, at, status: Some(u16::from(stored) << 9), sensor, amplitude, clock_not_set };
        let (_, heard) = heard("ble.plx-spot", &said.measurement());
        let off = sensor.is_some_and(|bits| bits & 1 << 11 != 0);
        for (code, value) in [(Code::SPO2, Some(spo2)), (Code::PULSE_RATE, Some(pulse)), (Code::PERFUSION_INDEX, amplitude)] {
            let heard = of(&heard, code);
            prop_assert_eq!(heard.is_some(), value.is_some());
            if let (Some(heard), Some(value)) = (heard, value) {
                let holds = if off { heard.value == Err(NoValue::SensorOff) } else { same(value, heard, 0) };
                prop_assert!(holds, "{:?} {:?}", value, heard);
            }
        }
    }

    #[test]
    fn a_glucose_is_heard_as_it_was_said(
        sequence: u16, base in times(), offset_min in option::of(any::<i16>()), concentration in option::of((sfloats(), 0u8..16, 0u8..16)), molar: bool,
        status in option::of(any::<u16>()),
    ) {
        let said = Glucose { sequence, base, offset_min, concentration, molar, status, context_follows: false };
        let mut profile = Profile::bare("ble.glucose");
        profile.clock = driver::profile::Clock::Utc;
        let row = catalogue::protocol("ble.glucose").expect("known");
        let out = (row.make)(&profile).handle(Monotonic(0), In::Bytes(row.channel, &said.measurement()));
        let heard = readings(&out);
        let (unit, places) = if molar { (Unit::MillimolePerLitre, 3) } else { (Unit::MilligramPerDecilitre, 5) };
        prop_assert_eq!(heard[0].unit, unit);
        prop_assert!(same(concentration.map_or(Number::NotANumber, |(value, ..)| value), &heard[0], places) || status.is_some_and(|bits| bits & 0x60 != 0), "{:?}", heard[0]);
        let control = concentration.is_some_and(|(_, fluid, place)| fluid == 10 || place == 4);
        prop_assert_eq!(heard.iter().all(|r| r.quality == Quality::Demo), control);
        let clock_fault = status.is_some_and(|bits| bits & 1 << 11 != 0);
        let taken = (!clock_fault).then(|| utc(base, offset_min.unwrap_or(0).into()));
        prop_assert!(heard.iter().all(|r| r.device_time == taken && r.device_seq == heard[0].device_seq && r.device_seq.is_some()));
    }

    #[test]
    fn a_sensor_s_records_are_heard_as_they_were_said(
        records in prop::collection::vec((sfloats(), any::<u16>(), [option::of(any::<u8>()), option::of(any::<u8>()), option::of(any::<u8>())],
            [option::of(sfloats()), option::of(sfloats())], any::<bool>()), 1..4),
        at in times(), zone in -48i8..=56, dst in prop::sample::select(vec![0u8, 2, 4, 8]),
    ) {
        let said: Vec<CgmRecord> = records.iter().map(|(glucose, offset_min, [status, calibration, warning], [trend, quality], protected)| CgmRecord {
            glucose: *glucose, offset_min: *offset_min, status: *status, calibration: *calibration, warning: *warning, trend: *trend, quality: *quality,
            protected: *protected,
        }).collect();
        let mut profile = Profile::bare("ble.cgm");
        profile.clock = driver::profile::Clock::Stated;
        let row = catalogue::protocol("ble.cgm").expect("known");
        let mut driver = (row.make)(&profile);
        let start = SessionStart { at, zone, dst, protected: true };
        prop_assert_eq!(driver.handle(Monotonic(0), In::Bytes(Channel::assigned(0x2AAA), &start.bytes())), vec![]);
        let frame: Vec<u8> = said.iter().flat_map(CgmRecord::bytes).collect();
        let heard = readings(&driver.handle(Monotonic(0), In::Bytes(row.channel, &frame)));
        let mut heard = heard.into_iter();
        for one in &said {
            let taken = utc(at, i64::from(one.offset_min) - 15 * (i64::from(zone) + i64::from(dst)));
            let mut next = |code: Code| heard.next().filter(|r| r.code == code && r.device_time == Some(taken));
            let glucose = next(Code::GLUCOSE_INTERSTITIAL);
            // Past what the sensor can process is out of range, whatever stands for the missing number.
            let past = one.warning.is_some_and(|octet| octet & 0xC0 != 0) && glucose.as_ref().is_some_and(|r| r.value == Err(NoValue::OutOfRange));
            prop_assert!(glucose.is_some_and(|r| past || same(one.glucose, &r, 0)));
            for (code, value) in [(Code::GLUCOSE_TREND, one.trend), (Code::GLUCOSE_QUALITY, one.quality)] {
                if let Some(value) = value {
                    prop_assert!(next(code).is_some_and(|r| same(value, &r, 0)));
                }
            }
            let word = u32::from_le_bytes([one.status.unwrap_or(0), one.calibration.unwrap_or(0), one.warning.unwrap_or(0), 0]);
            if word != 0 {
                prop_assert!(next(Code::CGM_STATUS).is_some_and(|r| r.value == Ok(Decimal::whole(word.into()))));
            }
        }
        prop_assert!(heard.next().is_none());
    }

    #[test]
    fn a_changed_bit_of_a_protected_record_is_never_heard_as_a_number(offset_min: u16, mantissa in 0i32..2000, bit in 16usize..80) {
        let said = CgmRecord { glucose: Number::Of(mantissa, 0), offset_min, status: Some(0), calibration: None, warning: None, trend: Some(Number::Of(1, -1)),
            quality: None, protected: true };
        let mut frame = said.bytes();
        frame[bit / 8] ^= 1 << (bit % 8);
        let out = catalogue::decode("ble.cgm", &frame).expect("known");
        prop_assert!(matches!(&out[..], [Out::Fault(_)]), "{:?}", out);
    }

    #[test]
    fn a_weight_is_heard_as_it_was_said(
        imperial: bool, raw: u16, at in option::of(times()), user in option::of(any::<u8>()), bmi_height in option::of((any::<u16>(), any::<u16>())),
    ) {
        let said = Weight { imperial, steps: raw, at, user, bmi_height };
        let (_, heard) = heard("ble.weight", &said.measurement());
        let (unit, value) = if imperial { (Unit::Pound, steps(raw, 1, -2)) } else { (Unit::Kilogram, steps(raw, 5, -3)) };
        prop_assert_eq!(heard[0].unit, unit);
        let failed = raw == 0xFFFF;
        prop_assert!(failed && heard[0].value.is_err() || !failed && heard[0].value == value);
        if let Some((bmi, height)) = bmi_height {
            prop_assert_eq!(&of(&heard, Code::BMI).expect("bmi").value, &steps(bmi, 1, -1));
            prop_assert_eq!(&of(&heard, Code::HEIGHT).expect("height").value, &steps(height, 1, -1));
        }
    }

    #[test]
    fn a_composition_is_heard_as_it_was_said(
        imperial: bool, fat in 0u16..0xFFFF, at in option::of(times()), user in option::of(any::<u8>()), parts in prop::array::uniform9(option::of(0u16..0xFFFF)),
    ) {
        let said = Composition { imperial, fat, at, user, parts };
        let (_, heard) = heard("ble.body-composition", &said.measurement());
        let mass = if imperial { (1, -2) } else { (5, -3) };
        let places = [(Code::BASAL_METABOLISM, (1, 0)), (Code::MUSCLE_PERCENT, (1, -1)), (Code::MUSCLE_MASS, mass), (Code::FAT_FREE_MASS, mass),
            (Code::SOFT_LEAN_MASS, mass), (Code::BODY_WATER, mass), (Code::BODY_IMPEDANCE, (1, -1)), (Code::WEIGHT, mass), (Code::HEIGHT, (1, -1))];
        prop_assert_eq!(heard.len(), 1 + parts.iter().flatten().count());
        prop_assert_eq!(&heard[0].value, &steps(fat, 1, -1));
        for ((code, (step, exponent)), part) in places.into_iter().zip(parts) {
            prop_assert_eq!(of(&heard, code).map(|r| r.value.clone()), part.map(|raw| steps(raw, step, exponent)));
        }
    }
}

/// A meter with a memory, read by the real driver over and over.
#[test]
fn a_meter_s_memory_is_fetched_once_and_after_its_battery_was_changed_anew() {
    let record = |sequence, day| {
        let base = WallTime { year: 2026, month: 11, day, hour: 8, minute: 0, second: 0 };
        let concentration = Some((Number::Of(97, -5), 1, 1));
        Glucose { sequence, base, offset_min: None, concentration, molar: false, status: None, context_follows: false }
    };
    let store = |records: &[(u16, u8)]| Memory { records: records.iter().map(|(n, day)| (*n, record(*n, *day).measurement())).collect() };
    let text = "maker='A'\nmodel='B'\nprotocol='ble.glucose'\nevidence='spec'\nclock='utc'\n\
                feed=[{characteristic='2A18',mode='notify'},{characteristic='2A52',mode='indicate'}]\n\
                measures=[{code='glucose-capillary',unit='mg/dL',low=10,high=600}]\n";
    let profile = catalogue::profile("meter.toml", text).expect("profile");
    let row = catalogue::protocol("ble.glucose").expect("known");
    let mut driver = (row.make)(&profile);
    let mut minute = 0;
    let mut visit = |memory: &Memory| {
        minute += 1;
        let at = |s: u64| Monotonic((minute * 60 + s) * 1_000_000);
        let mut samples = Vec::new();
        driver.handle(at(0), In::Connected);
        let mut asked: Vec<Out> = driver.handle(at(1), In::Wake);
        for _ in 0..4 {
            let Some(request) = asked.iter().find_map(|o| if let Out::Send(_, bytes) = o { Some(bytes.clone()) } else { None }) else {
                break;
            };
            let (records, said) = memory.answer(&request);
            for record in records {
                let out = driver.handle(at(2), In::Bytes(row.channel, &record));
                samples.extend(readings(&out).into_iter().map(|r| (r.device_seq.expect("number"), r.device_time.expect("time"))));
            }
            asked = driver.handle(at(3), In::Bytes(Channel::assigned(0x2A52), &said));
            assert!(!asked.iter().any(|o| matches!(o, Out::Fault(_))), "{asked:?}");
        }
        driver.handle(at(4), In::Disconnected);
        samples
    };
    let first = visit(&store(&[(1, 1), (2, 2)]));
    assert_eq!(first.len(), 2);
    // Nothing is new: only the last is sent again, under its old number.
    assert_eq!(visit(&store(&[(1, 1), (2, 2)])), first[1..]);
    assert_eq!(visit(&store(&[(1, 1), (2, 2), (3, 3)])).len(), 1);
    // The battery was changed and the numbering began anew: nothing is lost, and no number is one of the old ones.
    let anew = visit(&store(&[(1, 4), (2, 5)]));
    assert!(anew.len() >= 2 && anew.iter().all(|sample| !first.contains(sample)), "{anew:?}");
}
