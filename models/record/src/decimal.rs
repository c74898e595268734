//! Numbers as the device sent them: 36.4 stays 364 × 10⁻¹ and prints as `36.4`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// `mantissa × 10^exponent`. Equality is of notation (37.0 ≠ 37), order is of value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Decimal {
    mantissa: i64,
    exponent: i8,
}

/// Text that is no decimal number of at most 18 digits and exponent −18 to 18.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number: {0:?}")]
pub struct DecimalError(pub String);

impl Decimal {
    /// `mantissa × 10^exponent`; the exponent is pinned to −18..=18.
    #[must_use]
    pub const fn new(mantissa: i64, exponent: i8) -> Self {
        let exponent = if exponent < -18 {
            -18
        } else if exponent > 18 {
            18
        } else {
            exponent
        };
        Self { mantissa, exponent }
    }
    /// A whole number.
    #[must_use]
    pub const fn whole(value: i64) -> Self {
        Self { mantissa: value, exponent: 0 }
    }
    /// The digits, without the point.
    #[must_use]
    pub const fn mantissa(self) -> i64 {
        self.mantissa
    }
    /// The power of ten the digits are multiplied by.
    #[must_use]
    pub const fn exponent(self) -> i8 {
        self.exponent
    }
    /// The nearest binary float: for drawing and scoring, never for keeping.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        // Division by an exact power of ten rounds once; multiplication by 10^-n would round twice.
        if self.exponent < 0 {
            self.mantissa as f64 / 10f64.powi(-i32::from(self.exponent))
        } else {
            self.mantissa as f64 * 10f64.powi(i32::from(self.exponent))
        }
    }
    /// A JSON number of the same digits.
    #[must_use]
    pub fn to_json(self) -> serde_json::Value {
        // What a decimal prints is a JSON number.
        self.to_string().parse().map_or(serde_json::Value::Null, serde_json::Value::Number)
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let lowest = self.exponent.min(other.exponent);
        let scaled = |d: &Self| {
            // i64 × 10^36 can pass i128; the sign then decides, as the value dwarfs the other side's.
            10i128.checked_pow(u32::from((d.exponent - lowest).unsigned_abs())).and_then(|p| i128::from(d.mantissa).checked_mul(p))
        };
        match (scaled(self), scaled(other)) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => self.to_f64().partial_cmp(&other.to_f64()),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mantissa < 0 {
            f.write_str("-")?;
        }
        let digits = self.mantissa.unsigned_abs().to_string();
        if self.exponent >= 0 {
            f.write_str(&digits)?;
            if self.mantissa != 0 {
                for _ in 0..self.exponent {
                    f.write_str("0")?;
                }
            }
            return Ok(());
        }
        let places = usize::from(self.exponent.unsigned_abs());
        let padded = format!("{digits:0>width$}", width = places + 1);
        let (whole, fraction) = padded.split_at(padded.len() - places);
        write!(f, "{whole}.{fraction}")
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        if let Some(number) = plain(text.as_bytes()) {
            return Ok(number);
        }
        let refuse = || DecimalError(text.chars().take(64).collect());
        let (digits, power) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i16>().map_err(|_| refuse())?),
            None => (text, 0),
        };
        let (negative, digits) = match digits.as_bytes().first() {
            Some(b'-') => (true, &digits[1..]),
            Some(b'+') => (false, &digits[1..]),
            _ => (false, digits),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let count = whole.len() + fraction.len();
        if count == 0 || count > 18 || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
            return Err(refuse());
        }
        // Eighteen digits fit.
        let mantissa = whole.bytes().chain(fraction.bytes()).fold(0, |mantissa: i64, digit| mantissa * 10 + i64::from(digit - b'0'));
        let exponent = power
            .checked_sub(fraction.len() as i16)
            .and_then(|e| i8::try_from(e).ok())
            .filter(|e| (-18..=18).contains(e))
            .ok_or_else(refuse)?;
        Ok(Self { mantissa: if negative { -mantissa } else { mantissa }, exponent })
    }
}

/// A sign, at most eighteen digits and a point: nearly all numbers of devices, read in one pass.
fn plain(text: &[u8]) -> Option<Decimal> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.len() > 18 {
        return None;
    }
    let (mut mantissa, mut point) = (0i64, None);
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + i64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let fraction = point.map_or(0, |at| digits.len() - at - 1);
    // A point alone is no number.
    if digits.len() == usize::from(point.is_some()) {
        return None;
    }
    Some(Decimal { mantissa: if negative { -mantissa } else { mantissa }, exponent: -i8::try_from(fraction).ok()? })
}

/// In JSON a bare number with the digits as sent; in binary formats mantissa and exponent.
impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let raw = serde_json::value::RawValue::from_string(self.to_string()).map_err(serde::ser::Error::custom)?;
            raw.serialize(serializer)
        } else {
            (self.mantissa, self.exponent).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let number = serde_json::Number::deserialize(deserializer)?;
            number.to_string().parse().map_err(serde::de::Error::custom)
        } else {
            let (mantissa, exponent) = Deserialize::deserialize(deserializer)?;
            Ok(Self::new(mantissa, exponent))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decimal_prints_the_digits_it_was_given() {
        for text in ["36.4", "97", "-0.05", "37.0", "0.00", "100"] {
            assert_eq!(text.parse::<Decimal>().expect(text).to_string(), text);
        }
        assert_eq!(Decimal::new(9665, -2).to_string(), "96.65");
        assert_eq!(Decimal::new(5, 2).to_string(), "500");
        assert_eq!(serde_json::to_string(&Decimal::new(370, -1)).expect("json"), "37.0");
        assert_eq!(Decimal::new(3660, -2).to_json().to_string(), "36.60");
    }

    #[test]
    fn order_is_of_value_across_exponents() {
        let d = |t: &str| t.parse::<Decimal>().expect(t);
        assert!(d("36.1") > d("36.09"));
        assert!(d("36") < d("36.01"));
        assert_eq!(d("1e18").partial_cmp(&d("1e-18")), Some(Ordering::Greater));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "1.2.3", "NaN", "1e99", "1.5e-32768", "1234567890123456789", "١"] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }
}
