//! Numbers of IEEE 11073-20601: a decimal mantissa and exponent, never turned into a binary float.

use record::decimal::Decimal;
use record::observation::NoValue;

/// A number, or one of the five patterns that stand for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Float {
    /// A number, digits as sent.
    Number(Decimal),
    /// NaN: there is no measurement.
    NotANumber,
    /// NRes: there is one, but not at this resolution.
    NotAtThisResolution,
    /// Above what can be measured.
    PositiveInfinity,
    /// Below what can be measured.
    NegativeInfinity,
    /// A pattern kept for the future.
    Reserved,
}

impl Float {
    /// Reads a 16-bit SFLOAT, little-endian: exponent in the top 4 bits, mantissa in the lower 12.
    #[must_use]
    pub fn sfloat(bytes: [u8; 2]) -> Self {
        let word = i16::from_le_bytes(bytes);
        let exponent = (word >> 12) as i8;
        let mantissa = (word << 4) >> 4;
        // Compared without the exponent: some stacks send special mantissas with one.
        match mantissa {
            0x7FF => Self::NotANumber,
            -0x800 => Self::NotAtThisResolution,
            0x7FE => Self::PositiveInfinity,
            -0x7FE => Self::NegativeInfinity,
            -0x7FF => Self::Reserved,
            _ => Self::Number(Decimal::new(i64::from(mantissa), exponent)),
        }
    }

    /// Reads a 32-bit FLOAT, mantissa first, as Bluetooth sends it.
    #[must_use]
    pub fn float_le(bytes: [u8; 4]) -> Self {
        let word = i32::from_le_bytes(bytes);
        let exponent = (word >> 24) as i8;
        let mantissa = (word << 8) >> 8;
        match mantissa {
            0x7F_FFFF => Self::NotANumber,
            -0x80_0000 => Self::NotAtThisResolution,
            0x7F_FFFE => Self::PositiveInfinity,
            -0x7F_FFFE => Self::NegativeInfinity,
            -0x7F_FFFF => Self::Reserved,
            0 => Self::Number(Decimal::new(0, exponent.clamp(-18, 0))),
            // Past what a decimal holds: far outside anything a body can show.
            _ if exponent > 18 && mantissa > 0 => Self::PositiveInfinity,
            _ if exponent > 18 => Self::NegativeInfinity,
            _ if exponent < -18 => Self::NotAtThisResolution,
            _ => Self::Number(Decimal::new(i64::from(mantissa), exponent)),
        }
    }

    /// Reads a 32-bit FLOAT, exponent first, as monitors on a network send it.
    #[must_use]
    pub fn float_be([a, b, c, d]: [u8; 4]) -> Self {
        Self::float_le([d, c, b, a])
    }

    /// The number, or why there is none.
    ///
    /// # Errors
    /// Infinities are out of range; every other special pattern means that nothing was measured.
    pub const fn value(self) -> Result<Decimal, NoValue> {
        match self {
            Self::Number(number) => Ok(number),
            Self::PositiveInfinity | Self::NegativeInfinity => Err(NoValue::OutOfRange),
            Self::NotANumber | Self::NotAtThisResolution | Self::Reserved => Err(NoValue::NotMeasured),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_worked_examples_keep_their_digits() {
        let text = |f: Float| f.value().expect("number").to_string();
        assert_eq!(text(Float::sfloat([0xBD, 0xF0])), "18.9");
        assert_eq!(text(Float::sfloat([0x72, 0xF1])), "37.0");
        assert_eq!(text(Float::sfloat([0x9C, 0xEF])), "-1.00");
        assert_eq!(text(Float::float_le([0x6C, 0x01, 0x00, 0xFF])), "36.4");
        assert_eq!(text(Float::float_be([0xFD, 0x00, 0x7D, 0x00])), "32.000");
    }

    #[test]
    fn special_mantissas_are_never_numbers_whatever_their_exponent() {
        for exponent in 0..16u16 {
            for (mantissa, want) in [
                (0x7FFu16, Float::NotANumber),
                (0x800, Float::NotAtThisResolution),
                (0x7FE, Float::PositiveInfinity),
                (0x802, Float::NegativeInfinity),
                (0x801, Float::Reserved),
            ] {
                assert_eq!(Float::sfloat((exponent << 12 | mantissa).to_le_bytes()), want);
            }
        }
        for exponent in 0..=255u8 {
            for ([a, b, c], want) in [
                ([0xFF, 0xFF, 0x7F], Float::NotANumber),
                ([0x00, 0x00, 0x80], Float::NotAtThisResolution),
                ([0xFE, 0xFF, 0x7F], Float::PositiveInfinity),
                ([0x02, 0x00, 0x80], Float::NegativeInfinity),
                ([0x01, 0x00, 0x80], Float::Reserved),
            ] {
                assert_eq!(Float::float_le([a, b, c, exponent]), want);
            }
        }
    }

    #[test]
    fn the_last_number_before_a_special_mantissa_is_a_number() {
        assert_eq!(Float::sfloat([0xFD, 0x07]).value(), Ok(Decimal::whole(2045)));
        assert_eq!(Float::sfloat([0x03, 0x08]).value(), Ok(Decimal::whole(-2045)));
        assert_eq!(Float::float_le([0xFD, 0xFF, 0x7F, 0]).value(), Ok(Decimal::whole(0x7F_FFFD)));
    }

    proptest! {
        #[test]
        fn a_number_is_its_mantissa_times_ten_to_its_exponent(mantissa in -2045i16..=2045, exponent in -8i8..=7) {
            let word = ((exponent as i16) << 12) | (mantissa & 0xFFF);
            prop_assert_eq!(Float::sfloat(word.to_le_bytes()), Float::Number(Decimal::new(mantissa.into(), exponent)));
        }
    }
}
