//! Units, as UCUM spells them.

use serde::{Deserialize, Serialize};

/// One row a unit: UCUM code, what a person reads, and the MDC dimension monitors send for it.
macro_rules! units {
    ($($(#[$doc:meta])* $name:ident $ucum:literal $shown:literal $mdc:expr;)*) => {
        /// A unit of measure.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        pub enum Unit { $($(#[$doc])* #[serde(rename = $ucum)] $name,)* }

        impl Unit {
            /// Every unit, in table order.
            pub const ALL: &'static [Unit] = &[$(Unit::$name,)*];
            /// The UCUM code.
            #[must_use]
            pub const fn ucum(self) -> &'static str { match self { $(Unit::$name => $ucum,)* } }
            /// What a screen shows.
            #[must_use]
            pub const fn shown(self) -> &'static str { match self { $(Unit::$name => $shown,)* } }
            /// The IEEE 11073 MDC_DIM code, context-free.
            #[must_use]
            pub const fn mdc(self) -> Option<u32> { match self { $(Unit::$name => $mdc,)* } }
        }
    };
}

units! {
    /// Beats or breaths a minute.
    PerMinute "/min" "/min" Some(264_864);
    /// Percent.
    Percent "%" "%" Some(262_688);
    /// Millimetres of mercury.
    MmHg "mm[Hg]" "mmHg" Some(266_016);
    /// Kilopascal.
    KiloPascal "kPa" "kPa" Some(265_987);
    /// Centimetres of water.
    CmH2O "cm[H2O]" "cmH₂O" Some(266_048);
    /// Degrees Celsius.
    Celsius "Cel" "°C" Some(268_192);
    /// Degrees Fahrenheit.
    Fahrenheit "[degF]" "°F" Some(266_560);
    /// Milliseconds.
    Millisecond "ms" "ms" Some(264_338);
    /// Kilojoule.
    KiloJoule "kJ" "kJ" None;
    /// Kilogram.
    Kilogram "kg" "kg" Some(263_875);
    /// Pound.
    Pound "[lb_av]" "lb" Some(263_904);
    /// Centimetre.
    Centimetre "cm" "cm" Some(263_441);
    /// Millimetre.
    Millimetre "mm" "mm" None;
    /// Milligram per decilitre.
    MilligramPerDecilitre "mg/dL" "mg/dL" Some(264_274);
    /// Millimole per litre.
    MillimolePerLitre "mmol/L" "mmol/L" Some(266_866);
    /// Litre per minute.
    LitrePerMinute "L/min" "L/min" None;
    /// Millilitre.
    Millilitre "mL" "mL" Some(263_762);
    /// Millivolt.
    Millivolt "mV" "mV" Some(266_418);
    /// Microvolt.
    Microvolt "uV" "µV" None;
    /// Ohm.
    Ohm "Ohm" "Ω" Some(266_432);
    /// No dimension.
    One "1" "" Some(262_656);
    /// Millibar.
    Millibar "mbar" "mbar" None;
    /// Litre.
    Litre "L" "L" None;
    /// A score.
    Score "{score}" "" None;
    /// Gram.
    Gram "g" "g" Some(263_872);
    /// Milligram.
    Milligram "mg" "mg" Some(263_890);
    /// Second.
    Second "s" "s" Some(264_320);
    /// Inch.
    Inch "[in_i]" "in" None;
    /// Kilogram per square metre.
    KilogramPerSquareMetre "kg/m2" "kg/m²" Some(264_096);
    /// Milligram per decilitre, each minute.
    MilligramPerDecilitreMinute "mg/dL/min" "mg/dL/min" None;
}

impl Unit {
    /// The unit with this UCUM code.
    #[must_use]
    pub fn from_ucum(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|u| u.ucum() == code)
    }
    /// The unit an MDC_DIM code stands for. 264928 (RESP_PER_MIN) is a second name of `/min`.
    #[must_use]
    pub fn from_mdc(code: u32) -> Option<Self> {
        if code == 264_928 {
            return Some(Self::PerMinute);
        }
        Self::ALL.iter().copied().find(|u| u.mdc() == Some(code))
    }
}
