//! Whether a number can be one at all. Values are kept as sent; they are converted only to be compared or scored.

use record::decimal::Decimal;
use record::observation::NoValue;
use record::series::Numeric;
use record::unit::Unit;

/// The numeric with a number outside its code's plausible range turned into an artefact. A unit that cannot be compared
/// with the code's own leaves it as it is: it is charted and never scored.
pub(crate) fn checked(numeric: Numeric) -> Numeric {
    let (Ok(value), Some(row)) = (&numeric.value, numeric.code.row()) else { return numeric };
    let (low, high) = row.plausible;
    match in_unit(*value, numeric.unit, row.unit) {
        Some(value) if value < Decimal::whole(low.into()) || value > Decimal::whole(high.into()) => {
            Numeric { value: Err(NoValue::Artefact), ..numeric }
        }
        _ => numeric,
    }
}

/// The value in another unit of the same quantity, to three decimals, rounded half up; `None` where there is no such
/// conversion or the number is beyond any measurement.
pub(crate) fn in_unit(value: Decimal, from: Unit, to: Unit) -> Option<Decimal> {
    if from == to {
        return Some(value);
    }
    // (subtracted first, numerator, denominator)
    let (offset, numerator, denominator): (i128, i128, i128) = match (from, to) {
        (Unit::Fahrenheit, Unit::Celsius) => (32, 5, 9),
        (Unit::KiloPascal, Unit::MmHg) => (0, 7_500_617, 1_000_000),
        (Unit::CmH2O, Unit::MmHg) => (0, 735_559, 1_000_000),
        (Unit::Pound, Unit::Kilogram) => (0, 45_359_237, 100_000_000),
        (Unit::Microvolt, Unit::Millivolt) => (0, 1, 1000),
        _ => return None,
    };
    let micro = scaled(value, 6)?;
    let top = (micro - offset * 1_000_000).checked_mul(numerator)?;
    let bottom = denominator * 1000;
    let milli = (top.checked_mul(2)? + bottom).div_euclid(bottom * 2);
    Some(Decimal::new(i64::try_from(milli).ok()?, -3))
}

/// The value × 10^`places`, digits beyond them cut.
fn scaled(value: Decimal, places: i32) -> Option<i128> {
    let power = i32::from(value.exponent()) + places;
    let ten = 10i128.checked_pow(power.unsigned_abs())?;
    let mantissa = i128::from(value.mantissa());
    if power >= 0 { mantissa.checked_mul(ten) } else { Some(mantissa.div_euclid(ten)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::code::Code;
    use record::observation::Quality;

    fn numeric(code: Code, text: &str, unit: Unit) -> Numeric {
        Numeric { code, value: Ok(text.parse().expect(text)), unit, quality: Quality::Good }
    }

    #[test]
    fn fahrenheit_is_judged_as_celsius_and_kept_as_sent() {
        let fever = numeric(Code::TEMPERATURE, "102.2", Unit::Fahrenheit);
        assert_eq!(checked(fever.clone()), fever);
        assert_eq!(in_unit("102.2".parse().expect("decimal"), Unit::Fahrenheit, Unit::Celsius), Some(Decimal::new(39_000, -3)));
        assert_eq!(checked(numeric(Code::TEMPERATURE, "36.5", Unit::Fahrenheit)).value, Err(NoValue::Artefact));
    }

    #[test]
    fn a_plausible_range_includes_its_limits() {
        for (text, plausible) in [("100", true), ("100.01", false), ("1", true), ("0.99", false), ("1e18", false)] {
            assert_eq!(checked(numeric(Code::SPO2, text, Unit::Percent)).value.is_ok(), plausible, "{text}");
        }
    }

    #[test]
    fn a_unit_that_cannot_be_compared_is_left_alone() {
        let odd = numeric(Code::ET_CO2, "5.1", Unit::Percent);
        assert_eq!(checked(odd.clone()), odd);
    }

    #[test]
    fn no_number_is_too_large_to_judge() {
        for value in [Decimal::new(i64::MAX, 18), Decimal::new(i64::MIN, 18), Decimal::new(i64::MIN, -18)] {
            let _ = in_unit(value, Unit::Fahrenheit, Unit::Celsius);
        }
    }
}
