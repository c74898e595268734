//! Glucose Measurement Context (2A34): what the user of a meter told it beside a measurement. Spec: GLS 1.0.1.

use super::{Fields, number, shifted};
use driver::DecodeError;
use record::code::Code;
use record::decimal::Decimal;
use record::observation::{NoValue, Reading};
use record::unit::Unit;

/// More than the meter can count.
const OVERRUN: u16 = 0xFFFF;

/// The number of the measurement, and what is told of it in wire order. Which carbohydrate and which medication is not kept.
pub(super) fn read(bytes: &[u8]) -> Result<(u16, Vec<Reading>), DecodeError> {
    let mut fields = Fields::new(bytes);
    let flags = fields.u8()?;
    let has = |bit: u8| flags & (1 << bit) != 0;
    let sequence = fields.u16()?;
    let _extended = fields.optional(has(7), Fields::u8)?;
    let mut readings = Vec::new();
    let told = |code, value: u8| Reading::new(code, Decimal::whole(value.into()), Unit::One);
    if has(0) {
        let _kind = fields.u8()?;
        readings.push(shifted(number(Code::CARBOHYDRATE, fields.sfloat()?, Unit::Gram, None), 3));
    }
    if let Some(meal) = fields.optional(has(1), Fields::u8)? {
        readings.push(told(Code::GLUCOSE_MEAL, meal));
    }
    if let Some(both) = fields.optional(has(2), Fields::u8)? {
        readings.push(told(Code::GLUCOSE_TESTER, both & 0x0F));
        readings.push(told(Code::GLUCOSE_HEALTH, both >> 4));
    }
    if has(3) {
        let (duration_s, intensity) = (fields.u16()?, fields.u8()?);
        readings.push(match duration_s {
            OVERRUN => Reading::absent(Code::EXERCISE_DURATION, NoValue::OutOfRange, Unit::Second),
            _ => Reading::new(Code::EXERCISE_DURATION, Decimal::whole(duration_s.into()), Unit::Second),
        });
        readings.push(Reading::new(Code::EXERCISE_INTENSITY, Decimal::whole(intensity.into()), Unit::Percent));
    }
    if has(4) {
        let _kind = fields.u8()?;
        // Kilogram or litre.
        let (unit, places) = if has(5) { (Unit::Millilitre, 3) } else { (Unit::Milligram, 6) };
        readings.push(shifted(number(Code::GLUCOSE_MEDICATION, fields.sfloat()?, unit, None), places));
    }
    if let Some(hba1c) = fields.optional(has(6), Fields::sfloat)? {
        readings.push(number(Code::HBA1C, hba1c, Unit::Percent, None));
    }
    Ok((sequence, readings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const ALL: [u8; 17] = hex!("DF 0100 00 01 32D0 03 52 100E 41 01 0AA0 48F0");

    #[test]
    fn everything_told_beside_a_measurement_is_read_in_its_order() {
        let (sequence, readings) = read(&ALL).expect("context");
        let rows: Vec<_> = readings.iter().map(|r| (r.code, r.value.as_ref().map(ToString::to_string).expect("value"), r.unit)).collect();
        let want = [
            (Code::CARBOHYDRATE, "50", Unit::Gram),
            (Code::GLUCOSE_MEAL, "3", Unit::One),
            (Code::GLUCOSE_TESTER, "2", Unit::One),
            (Code::GLUCOSE_HEALTH, "5", Unit::One),
            (Code::EXERCISE_DURATION, "3600", Unit::Second),
            (Code::EXERCISE_INTENSITY, "65", Unit::Percent),
            (Code::GLUCOSE_MEDICATION, "10", Unit::Milligram),
            (Code::HBA1C, "7.2", Unit::Percent),
        ];
        assert_eq!((sequence, rows), (1, want.map(|(code, value, unit)| (code, value.to_owned(), unit)).to_vec()));
    }

    #[test]
    fn a_dose_in_litres_is_told_in_millilitres_and_an_overrun_is_no_duration() {
        let (_, readings) = read(&hex!("38 0100 FFFF 00 01 05D0")).expect("context");
        assert_eq!(readings[0].value, Err(NoValue::OutOfRange));
        assert_eq!((readings[2].unit, readings[2].value.clone().map(|v| v.to_string())), (Unit::Millilitre, Ok("5".to_owned())));
    }

    #[test]
    fn flags_that_promise_missing_fields_are_refused() {
        for len in 0..ALL.len() {
            assert!(matches!(read(&ALL[..len]), Err(DecodeError::Truncated { got, .. }) if got == len), "{len}");
        }
    }
}
