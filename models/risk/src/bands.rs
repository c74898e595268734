//! Bands of a published chart: which points a number earns.

use record::decimal::Decimal;

/// The rows of one parameter, from the lowest band up. Gapless by construction: a band begins where the one below ends.
#[derive(Clone, Copy, Debug)]
pub struct Bands {
    /// Decimal places the chart is published at; a number is rounded to them first.
    pub places: u8,
    /// `(highest number of the band × 10^places, points)`, ascending.
    pub rows: &'static [(i32, u8)],
    /// Points above the last row.
    pub above: u8,
}

impl Bands {
    /// The number as a nurse charts it, and its points.
    ///
    /// Published bands leave gaps between their limits (SpO₂ 91 | 92): they are written for numbers charted at that
    /// precision. So a finer number is rounded half up, as it would be when written on the chart: 91.4 is charted 91, 91.5 is charted 92.
    #[must_use]
    pub fn points(&self, value: Decimal) -> (Decimal, u8) {
        let charted = rounded(value, self.places);
        let points = self.rows.iter().find(|(high, _)| charted.mantissa() <= i64::from(*high)).map_or(self.above, |(_, points)| *points);
        (charted, points)
    }

    /// One line that changes whenever a band does: `places=0 ≤8:3 ≤11:1 else:2`.
    #[must_use]
    pub fn text(&self) -> String {
        let rows: String =
            self.rows.iter().map(|(high, points)| format!(" ≤{}:{points}", Decimal::new((*high).into(), -places(self.places)))).collect();
        format!("places={}{rows} else:{}", self.places, self.above)
    }
}

/// Rounds half up to `places` decimals, exactly; past the range of `i64` it stays at the edge.
#[must_use]
pub fn rounded(value: Decimal, places: u8) -> Decimal {
    let places = self::places(places);
    let shift = i32::from(value.exponent()) + i32::from(places);
    let mantissa = i128::from(value.mantissa());
    // |shift| ≤ 36 and 10^36 × 2 fits; a positive shift that overflows is far outside any band, where only the sign counts.
    let power = 10i128.checked_pow(shift.unsigned_abs()).unwrap_or(i128::MAX / 4);
    let scaled = if shift >= 0 {
        mantissa.saturating_mul(power)
    } else {
        mantissa.saturating_mul(2).saturating_add(power).div_euclid(power.saturating_mul(2))
    };
    let edge = if scaled < 0 { i64::MIN } else { i64::MAX };
    Decimal::new(i64::try_from(scaled).unwrap_or(edge), -places)
}

/// Charts are published at no more than a few decimals; `Decimal` holds 18.
fn places(places: u8) -> i8 {
    i8::try_from(places).unwrap_or(18).min(18)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str, places: u8) -> String {
        rounded(text.parse().expect(text), places).to_string()
    }

    #[test]
    fn numbers_are_rounded_half_up_and_exactly() {
        assert_eq!(["91", "91.4", "91.49999999999", "91.5", "91.50"].map(|t| round(t, 0)), ["91", "91", "91", "92", "92"]);
        assert_eq!(["35", "35.04", "35.05", "35.149999", "36.35"].map(|t| round(t, 1)), ["35.0", "35.0", "35.1", "35.1", "36.4"]);
        assert_eq!(["-0.5", "-0.6", "9e2"].map(|t| round(t, 0)), ["0", "-1", "900"]);
    }

    #[test]
    fn numbers_beyond_all_bands_stay_at_the_edge() {
        assert_eq!(rounded(Decimal::new(i64::MAX, 18), 1).mantissa(), i64::MAX);
        assert_eq!(rounded(Decimal::new(i64::MIN, 18), 1).mantissa(), i64::MIN);
        assert_eq!(rounded(Decimal::new(1, -18), 0).to_string(), "0");
    }

    #[test]
    fn a_band_ends_at_its_limit_and_the_next_begins_just_above() {
        let bands = Bands { places: 1, rows: &[(350, 3), (360, 1)], above: 0 };
        let points = |text: &str| bands.points(text.parse().expect(text)).1;
        assert_eq!(["35.0", "35", "35.1", "36.0", "36.1"].map(points), [3, 3, 1, 1, 0]);
        assert_eq!(bands.text(), "places=1 ≤35.0:3 ≤36.0:1 else:0");
    }
}
