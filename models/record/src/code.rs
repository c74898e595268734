//! What can be measured: one row each. To add an observation code, add a row.

use crate::unit::Unit;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A row of the table of codes.
#[derive(Debug, PartialEq, Eq)]
pub struct CodeRow {
    /// The word used in profiles and on the API ("spo2").
    pub key: &'static str,
    /// LOINC code; waveforms and some device settings have none.
    pub loinc: Option<&'static str>,
    /// IEEE 11073-10101 context-free code (partition × 65536 + term).
    pub mdc: Option<u32>,
    /// The unit it is charted in.
    pub unit: Unit,
    /// LOINC's (or MDC's) display name.
    pub display: &'static str,
    /// What a tile shows ("SpO₂").
    pub label: &'static str,
    /// Decimal range outside which a value is an artefact, in `unit`; from physiology, not from alarm limits.
    pub plausible: (i32, i32),
}

macro_rules! codes {
    ($($name:ident $key:literal $loinc:expr, $mdc:expr, $unit:ident, $display:literal, $label:literal, $low:literal..=$high:literal;)*) => {
        /// Every known code.
        pub static CODES: &[CodeRow] = &[$(CodeRow {
            key: $key, loinc: $loinc, mdc: $mdc, unit: Unit::$unit, display: $display, label: $label, plausible: ($low, $high),
        },)*];
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[derive(Clone, Copy)]
        enum Index { $($name,)* }
        impl Code { $(#[doc = $display] pub const $name: Code = Code::Row(Index::$name as u16);)* }
    };
}

codes! {
    HEART_RATE "heart-rate" Some("8867-4"), Some(147_842), PerMinute, "Heart rate", "HR", 0..=350;
    PULSE_RATE "pulse-rate" Some("8889-8"), Some(149_530), PerMinute, "Heart rate by Pulse oximetry", "PR", 0..=350;
    PULSE_RATE_NIBP "pulse-rate-nibp" Some("8867-4"), Some(149_546), PerMinute, "Heart rate", "PR (NIBP)", 0..=350;
    PULSE_RATE_ABP "pulse-rate-abp" Some("8867-4"), Some(149_522), PerMinute, "Heart rate", "PR (ABP)", 0..=350;
    SPO2 "spo2" Some("59408-5"), Some(150_456), Percent, "Oxygen saturation in Arterial blood by Pulse oximetry", "SpO₂", 1..=100;
    PERFUSION_INDEX "perfusion-index" Some("61006-3"), Some(150_488), Percent, "Perfusion index Tissue by Pulse oximetry", "PI", 0..=100;
    RESPIRATORY_RATE "respiratory-rate" Some("9279-1"), Some(151_562), PerMinute, "Respiratory rate", "RR", 0..=150;
    RESPIRATORY_RATE_IMPEDANCE "respiratory-rate-impedance" Some("9279-1"), Some(151_578), PerMinute, "Respiratory rate", "RR", 0..=150;
    RESPIRATORY_RATE_CO2 "respiratory-rate-co2" Some("9279-1"), Some(151_594), PerMinute, "Respiratory rate", "RR (CO₂)", 0..=150;
    RESPIRATORY_RATE_AIRWAY "respiratory-rate-airway" Some("9279-1"), Some(151_570), PerMinute, "Respiratory rate", "RR (airway)", 0..=150;
    NIBP_SYSTOLIC "nibp-systolic" Some("8480-6"), Some(150_021), MmHg, "Systolic blood pressure", "NIBP sys", 20..=300;
    NIBP_DIASTOLIC "nibp-diastolic" Some("8462-4"), Some(150_022), MmHg, "Diastolic blood pressure", "NIBP dia", 5..=250;
    NIBP_MEAN "nibp-mean" Some("8478-0"), Some(150_023), MmHg, "Mean blood pressure", "NIBP mean", 10..=275;
    ABP_SYSTOLIC "abp-systolic" Some("76215-3"), Some(150_037), MmHg, "Invasive Systolic blood pressure", "ABP sys", -20..=350;
    ABP_DIASTOLIC "abp-diastolic" Some("76213-8"), Some(150_038), MmHg, "Invasive Diastolic blood pressure", "ABP dia", -20..=350;
    ABP_MEAN "abp-mean" Some("76214-6"), Some(150_039), MmHg, "Invasive Mean blood pressure", "ABP mean", -20..=350;
    CVP_MEAN "cvp-mean" Some("60985-9"), Some(150_087), MmHg, "Central venous pressure (CVP) mean", "CVP", -50..=100;
    ICP_MEAN "icp-mean" Some("60956-0"), Some(153_611), MmHg, "Intracranial pressure (ICP) mean", "ICP", -50..=200;
    TEMPERATURE "temperature" Some("8310-5"), Some(150_344), Celsius, "Body temperature", "Temp", 20..=46;
    TEMPERATURE_BODY "temperature-body" Some("8310-5"), Some(150_364), Celsius, "Body temperature", "Temp", 20..=46;
    // Where on the body a thermometer measured. A finger or a toe is not the body's core: it has a row so that it is not scored as one.
    TEMPERATURE_ORAL "temperature-oral" Some("8331-1"), Some(188_424), Celsius, "Oral temperature", "Temp (mouth)", 20..=46;
    TEMPERATURE_RECTAL "temperature-rectal" Some("8332-9"), Some(188_420), Celsius, "Rectal temperature", "Temp (rectal)", 20..=46;
    TEMPERATURE_AXILLARY "temperature-axillary" Some("8328-7"), Some(188_452), Celsius, "Axillary temperature", "Temp (armpit)", 20..=46;
    TEMPERATURE_EAR "temperature-ear" Some("8333-7"), Some(188_428), Celsius, "Tympanic membrane temperature", "Temp (ear)", 20..=46;
    TEMPERATURE_TYMPANIC "temperature-tympanic" Some("8333-7"), Some(150_392), Celsius, "Tympanic membrane temperature", "Temp (ear)", 20..=46;
    TEMPERATURE_GASTROINTESTINAL "temperature-gastrointestinal" Some("8310-5"), Some(188_456), Celsius, "Body temperature", "Temp (gut)", 20..=46;
    TEMPERATURE_FINGER "temperature-finger" Some("8310-5"), Some(188_432), Celsius, "Body temperature", "Temp (finger)", 5..=46;
    TEMPERATURE_TOE "temperature-toe" Some("8310-5"), Some(188_448), Celsius, "Body temperature", "Temp (toe)", 5..=46;
    CUFF_PRESSURE "cuff-pressure" None, Some(150_300), MmHg, "Cuff pressure", "Cuff", 0..=330;
    // Glucose by what was sampled; LOINC has one code for mass and one for moles.
    GLUCOSE_CAPILLARY "glucose-capillary" Some("41653-7"), Some(160_184), MilligramPerDecilitre, "Glucose [Mass/volume] in Capillary blood by Glucometer", "Glucose", 1..=2000;
    GLUCOSE_CAPILLARY_MOLAR "glucose-capillary-molar" Some("14743-9"), None, MillimolePerLitre, "Glucose [Moles/volume] in Capillary blood by Glucometer", "Glucose", 0..=110;
    GLUCOSE_BLOOD "glucose-blood" Some("2339-0"), Some(160_020), MilligramPerDecilitre, "Glucose [Mass/volume] in Blood", "Glucose", 1..=2000;
    GLUCOSE_BLOOD_MOLAR "glucose-blood-molar" Some("15074-8"), None, MillimolePerLitre, "Glucose [Moles/volume] in Blood", "Glucose", 0..=110;
    GLUCOSE_INTERSTITIAL "glucose-interstitial" Some("99504-3"), Some(160_212), MilligramPerDecilitre, "Glucose [Mass/volume] in Interstitial fluid", "Glucose (CGM)", 1..=2000;
    GLUCOSE_INTERSTITIAL_MOLAR "glucose-interstitial-molar" None, None, MillimolePerLitre, "Glucose [Moles/volume] in Interstitial fluid", "Glucose (CGM)", 0..=110;
    GLUCOSE_CONTROL "glucose-control" None, Some(160_208), MilligramPerDecilitre, "Glucose of a control solution", "Control", 1..=2000;
    GLUCOSE_TREND "glucose-trend" None, None, MilligramPerDecilitreMinute, "Glucose trend", "Trend", -100..=100;
    GLUCOSE_QUALITY "glucose-quality" None, None, Percent, "Quality of a glucose measurement", "Quality", 0..=100;
    // What the user of a glucose meter told it beside the measurement.
    CARBOHYDRATE "carbohydrate" None, Some(8_417_764), Gram, "Carbohydrate intake", "Carbs", 0..=2000;
    GLUCOSE_MEAL "glucose-meal" None, Some(8_417_864), One, "Meal of a glucose measurement: 1 before, 2 after, 3 fasting, 4 casual, 5 bedtime", "Meal", 0..=255;
    GLUCOSE_TESTER "glucose-tester" None, Some(8_417_884), One, "Tester of a glucose measurement: 1 self, 2 health care professional, 3 laboratory", "Tester", 0..=15;
    GLUCOSE_HEALTH "glucose-health" None, Some(8_417_820), One, "Health at a glucose measurement: 1 minor, 2 major issues, 3 menses, 4 stress, 5 none", "Health", 0..=15;
    EXERCISE_DURATION "exercise-duration" Some("55411-3"), None, Second, "Exercise duration", "Exercise", 0..=65_535;
    EXERCISE_INTENSITY "exercise-intensity" None, Some(8_417_760), Percent, "Exercise intensity", "Exercise", 0..=100;
    GLUCOSE_MEDICATION "glucose-medication" None, Some(8_417_796), Milligram, "Medication told to a glucose meter", "Medication", 0..=1_000_000;
    HBA1C "hba1c" Some("4548-4"), Some(160_220), Percent, "Hemoglobin A1c/Hemoglobin.total in Blood", "HbA1c", 0..=30;
    WEIGHT "weight" Some("29463-7"), Some(188_736), Kilogram, "Body weight", "Weight", 0..=650;
    HEIGHT "height" Some("8302-2"), Some(188_740), Centimetre, "Body height", "Height", 10..=280;
    BMI "bmi" Some("39156-5"), Some(188_752), KilogramPerSquareMetre, "Body mass index (BMI) [Ratio]", "BMI", 1..=200;
    // Composition is an estimate from impedance and what the scale was told of its user.
    BODY_FAT "body-fat" Some("41982-0"), Some(188_748), Percent, "Percentage of body fat Measured", "Body fat", 0..=100;
    BASAL_METABOLISM "basal-metabolism" None, None, KiloJoule, "Basal metabolism", "Metabolism", 0..=65_535;
    MUSCLE_PERCENT "muscle-percent" None, None, Percent, "Muscle percentage", "Muscle", 0..=100;
    MUSCLE_MASS "muscle-mass" None, None, Kilogram, "Muscle mass", "Muscle", 0..=650;
    FAT_FREE_MASS "fat-free-mass" None, Some(188_756), Kilogram, "Fat free mass", "Fat free", 0..=650;
    SOFT_LEAN_MASS "soft-lean-mass" None, Some(188_760), Kilogram, "Soft lean mass", "Soft lean", 0..=650;
    BODY_WATER "body-water" None, Some(188_764), Kilogram, "Body water mass", "Water", 0..=650;
    BODY_IMPEDANCE "body-impedance" None, None, Ohm, "Body impedance", "Impedance", 0..=10_000;
    // Status words as the device sent them, bit by bit as its Bluetooth service numbers them; charted where any bit is set.
    NIBP_STATUS "nibp-status" None, None, One, "Blood pressure measurement status", "NIBP status", 0..=65_535;
    OXIMETER_STATUS "oximeter-status" None, None, One, "Pulse oximeter device and sensor status", "SpO₂ status", 0..=16_777_215;
    GLUCOSE_STATUS "glucose-status" None, None, One, "Glucose sensor status", "Glucose status", 0..=65_535;
    CGM_STATUS "cgm-status" None, None, One, "Continuous glucose sensor status", "CGM status", 0..=16_777_215;
    // Which of its users a device of several filed a result under: its own number, never a patient.
    DEVICE_USER "device-user" None, None, One, "User of the device, by its own number", "Device user", 0..=255;
    ET_CO2 "etco2" Some("19891-1"), Some(151_708), MmHg, "Carbon dioxide [Partial pressure] in Exhaled gas --at end expiration", "etCO₂", 0..=150;
    ET_CO2_EXPIRED "etco2-expired" Some("19891-1"), Some(151_712), MmHg, "Carbon dioxide [Partial pressure] in Exhaled gas --at end expiration", "etCO₂", 0..=150;
    FI_CO2 "fico2" None, Some(151_716), MmHg, "Inspired carbon dioxide", "FiCO₂", 0..=150;
    FI_O2 "fio2" Some("3150-6"), Some(152_196), Percent, "Inhaled oxygen concentration", "FiO₂", 0..=100;
    RR_INTERVAL "rr-interval" Some("8637-1"), None, Millisecond, "R-R interval by EKG", "RR int", 0..=64_000;
    ENERGY_EXPENDED "energy-expended" None, Some(8_454_263), KiloJoule, "Energy expended", "Energy", 0..=65_535;
    ST_I "st-i" None, Some(131_841), Millimetre, "ST level lead I", "ST I", -99..=99;
    ST_II "st-ii" None, Some(131_842), Millimetre, "ST level lead II", "ST II", -99..=99;
    ST_V "st-v" None, Some(131_907), Millimetre, "ST level lead V", "ST V", -99..=99;
    // Recorded by a person: the two inputs of NEWS2 that no monitor gives.
    CONSCIOUSNESS "consciousness" Some("80288-4"), None, Score, "Level of consciousness", "ACVPU", 0..=4;
    INSPIRED_OXYGEN "inspired-oxygen" Some("3151-8"), None, LitrePerMinute, "Inhaled oxygen flow rate", "O₂", 0..=100;
    // Waveforms: LOINC has no codes for live waves.
    ECG "ecg" None, Some(131_328), Millivolt, "ECG", "ECG", -2_147_483_648..=2_147_483_647;
    ECG_I "ecg-i" None, Some(131_329), Millivolt, "ECG lead I", "ECG I", -2_147_483_648..=2_147_483_647;
    ECG_II "ecg-ii" None, Some(131_330), Millivolt, "ECG lead II", "ECG II", -2_147_483_648..=2_147_483_647;
    ECG_III "ecg-iii" None, Some(131_389), Millivolt, "ECG lead III", "ECG III", -2_147_483_648..=2_147_483_647;
    ECG_V "ecg-v" None, Some(131_395), Millivolt, "ECG lead V", "ECG V", -2_147_483_648..=2_147_483_647;
    PLETH "pleth" None, Some(150_452), One, "Plethysmogram", "Pleth", -2_147_483_648..=2_147_483_647;
    RESP_IMPEDANCE "resp-impedance" None, Some(151_552), Ohm, "Respiration impedance", "Resp", -2_147_483_648..=2_147_483_647;
    ABP_WAVE "abp" None, Some(150_036), MmHg, "Arterial blood pressure", "ABP", -2_147_483_648..=2_147_483_647;
    CO2_WAVE "co2" None, Some(151_700), Percent, "CO2 concentration", "CO₂", -2_147_483_648..=2_147_483_647;
}

/// What was measured: a row of the table, or an MDC code the table does not hold yet.
///
/// Prints, and is kept on disk, as LOINC where there is one and `mdc:<n>` otherwise; two rows that share a LOINC code
/// (heart rate by ECG and by cuff) keep their own MDC in binary form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Code {
    /// Index into [`CODES`]; made only by this module.
    #[doc(hidden)]
    Row(u16),
    /// A code with no row.
    Mdc(u32),
}

impl Code {
    /// The table row, if there is one.
    #[must_use]
    pub fn row(self) -> Option<&'static CodeRow> {
        match self {
            Self::Row(index) => CODES.get(usize::from(index)),
            Self::Mdc(_) => None,
        }
    }
    /// The code a monitor means by this MDC number.
    #[must_use]
    pub fn from_mdc(mdc: u32) -> Self {
        Self::find(|row| row.mdc == Some(mdc)).unwrap_or(Self::Mdc(mdc))
    }
    /// The first row with this key ("spo2").
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        Self::find(|row| row.key == key)
    }
    /// The first row with this LOINC code.
    #[must_use]
    pub fn from_loinc(loinc: &str) -> Option<Self> {
        Self::find(|row| row.loinc == Some(loinc))
    }
    /// LOINC code.
    #[must_use]
    pub fn loinc(self) -> Option<&'static str> {
        self.row()?.loinc
    }
    /// MDC code.
    #[must_use]
    pub fn mdc(self) -> Option<u32> {
        match self {
            Self::Row(_) => self.row()?.mdc,
            Self::Mdc(mdc) => Some(mdc),
        }
    }
    /// The unit it is charted in, for rows.
    #[must_use]
    pub fn unit(self) -> Option<Unit> {
        Some(self.row()?.unit)
    }
    /// The name used between programs ("spo2", `mdc:131841`).
    #[must_use]
    pub fn key(self) -> String {
        match (self.row(), self) {
            (Some(row), _) => row.key.to_owned(),
            (None, Self::Mdc(mdc)) => format!("mdc:{mdc}"),
            (None, Self::Row(index)) => format!("row:{index}"),
        }
    }
    /// What a person reads.
    #[must_use]
    pub fn label(self) -> String {
        self.row().map_or_else(|| self.to_string(), |row| row.label.to_owned())
    }
    fn find(test: impl Fn(&CodeRow) -> bool) -> Option<Self> {
        CODES.iter().position(test).and_then(|at| u16::try_from(at).ok()).map(Self::Row)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.loinc(), self.mdc()) {
            (Some(loinc), _) => f.write_str(loinc),
            (None, Some(mdc)) => write!(f, "mdc:{mdc}"),
            (None, None) => f.write_str(&self.key()),
        }
    }
}

/// A code nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown code {0:?}: expected a LOINC code, `mdc:<number>` or a key such as \"spo2\"")]
pub struct CodeError(pub String);

impl FromStr for Code {
    type Err = CodeError;
    fn from_str(text: &str) -> Result<Self, CodeError> {
        text.strip_prefix("mdc:")
            .and_then(|n| n.parse().ok())
            .map(Self::from_mdc)
            .or_else(|| Self::from_loinc(text))
            .or_else(|| Self::from_key(text))
            .ok_or_else(|| CodeError(text.chars().take(64).collect()))
    }
}

/// By key, so that the table may be reordered without touching what is on disk.
impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.key())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_key(&text).map_or_else(|| text.parse().map_err(serde::de::Error::custom), Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn keys_and_mdc_codes_are_unique() {
        let keys: BTreeSet<_> = CODES.iter().map(|r| r.key).collect();
        assert_eq!(keys.len(), CODES.len());
        let mdc: Vec<_> = CODES.iter().filter_map(|r| r.mdc).collect();
        assert_eq!(mdc.iter().collect::<BTreeSet<_>>().len(), mdc.len());
    }

    #[test]
    fn a_code_survives_its_own_printing() {
        assert_eq!("59408-5".parse(), Ok(Code::SPO2));
        assert_eq!("mdc:150456".parse(), Ok(Code::SPO2));
        assert_eq!("mdc:1".parse(), Ok(Code::Mdc(1)));
        assert_eq!(Code::ECG_II.to_string(), "mdc:131330");
        assert!("nonsense".parse::<Code>().is_err());
    }

    #[test]
    fn a_row_sharing_its_loinc_with_another_keeps_its_own_identity_on_disk() {
        let json = serde_json::to_string(&Code::PULSE_RATE_NIBP).expect("json");
        assert_eq!(serde_json::from_str::<Code>(&json).expect("code"), Code::PULSE_RATE_NIBP);
    }
}
