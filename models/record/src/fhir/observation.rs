//! Renders vitals as FHIR Observations of the vital-signs profile.
//!
//! Always: a value keeps the digits and the unit that were sent; "no value" is a `dataAbsentReason` with its word as text,
//! never a zero; a profile is claimed only where its unit holds.

use super::vital::{PRESSURES, PressureSite, Vital, pressure_site};
use crate::code::{CODES, Code};
use crate::observation::{NoValue, Quality};
use crate::series::Numeric;
use crate::time::Timestamp;
use serde_json::{Map, Value, json};

/// Extension: when the bytes arrived (`valueInstant`).
pub const RECEIVED: &str = "urn:lamplight:fhir:received";
/// Extension: what the device's own clock said (`valueDateTime`); a claim.
pub const DEVICE_TIME: &str = "urn:lamplight:fhir:device-time";
/// LOINC.
pub const LOINC: &str = "http://loinc.org";
/// IEEE 11073-10101 (MDC).
pub const MDC: &str = "urn:iso:std:iso:11073:10101";
/// UCUM.
pub const UCUM: &str = "http://unitsofmeasure.org";
pub(super) const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const ABSENT: &str = "http://terminology.hl7.org/CodeSystem/data-absent-reason";
const PANEL: (&str, &str) = ("85354-9", "Blood pressure panel with all children optional");

/// What a code is rendered with besides its own row.
struct Style {
    code: Code,
    /// The profile's generic LOINC code and its display, where it is another than the code's own.
    generic: Option<(&'static str, &'static str)>,
    /// Profile of FHIR core, and the UCUM units it allows.
    profile: Option<(&'static str, &'static [&'static str])>,
    /// How it was measured.
    method: Option<&'static str>,
}

const HEART: Option<(&str, &[&str])> = Some(("heartrate", &["/min"]));
const BREATH: Option<(&str, &[&str])> = Some(("resprate", &["/min"]));
const HEAT: Option<(&str, &[&str])> = Some(("bodytemp", &["Cel", "[degF]"]));
const BODY_TEMPERATURE: Option<(&str, &str)> = Some(("8310-5", "Body temperature"));
const OXYGEN: Option<(&str, &[&str])> = Some(("oxygensat", &["%"]));

const fn style(
    code: Code,
    generic: Option<(&'static str, &'static str)>,
    profile: Option<(&'static str, &'static [&'static str])>,
    method: Option<&'static str>,
) -> Style {
    Style { code, generic, profile, method }
}

static STYLES: &[Style] = &[
    style(Code::HEART_RATE, None, HEART, Some("ECG")),
    style(Code::PULSE_RATE, Some(("8867-4", "Heart rate")), HEART, Some("Pulse oximetry")),
    style(Code::PULSE_RATE_NIBP, None, HEART, Some("Blood pressure cuff")),
    style(Code::PULSE_RATE_ABP, None, HEART, Some("Arterial line")),
    style(Code::SPO2, Some(("2708-6", "Oxygen saturation in Arterial blood")), OXYGEN, Some("Pulse oximetry")),
    style(Code::PERFUSION_INDEX, None, None, Some("Pulse oximetry")),
    style(Code::RESPIRATORY_RATE, None, BREATH, None),
    style(Code::RESPIRATORY_RATE_IMPEDANCE, None, BREATH, Some("Thoracic impedance")),
    style(Code::RESPIRATORY_RATE_CO2, None, BREATH, Some("Capnography")),
    style(Code::RESPIRATORY_RATE_AIRWAY, None, BREATH, Some("Airway flow")),
    style(Code::TEMPERATURE, None, HEAT, None),
    style(Code::TEMPERATURE_BODY, None, HEAT, None),
    style(Code::TEMPERATURE_ORAL, BODY_TEMPERATURE, HEAT, None),
    style(Code::TEMPERATURE_RECTAL, BODY_TEMPERATURE, HEAT, None),
    style(Code::TEMPERATURE_AXILLARY, BODY_TEMPERATURE, HEAT, None),
    style(Code::TEMPERATURE_EAR, BODY_TEMPERATURE, HEAT, None),
    style(Code::TEMPERATURE_TYMPANIC, BODY_TEMPERATURE, HEAT, None),
    style(Code::TEMPERATURE_GASTROINTESTINAL, None, HEAT, None),
    style(Code::TEMPERATURE_FINGER, None, HEAT, None),
    style(Code::TEMPERATURE_TOE, None, HEAT, None),
    style(Code::WEIGHT, None, Some(("bodyweight", &["kg", "[lb_av]"])), None),
    style(Code::HEIGHT, None, Some(("bodyheight", &["cm", "[in_i]"])), None),
    style(Code::BMI, None, Some(("bmi", &["kg/m2"])), None),
    style(Code::BODY_FAT, None, None, Some("Bioelectrical impedance")),
    style(Code::NIBP_SYSTOLIC, None, None, Some("Blood pressure cuff")),
    style(Code::NIBP_DIASTOLIC, None, None, Some("Blood pressure cuff")),
    style(Code::NIBP_MEAN, None, None, Some("Blood pressure cuff")),
    style(Code::ABP_SYSTOLIC, Some(("8480-6", "Systolic blood pressure")), None, Some("Arterial line")),
    style(Code::ABP_DIASTOLIC, Some(("8462-4", "Diastolic blood pressure")), None, Some("Arterial line")),
    style(Code::ABP_MEAN, Some(("8478-0", "Mean blood pressure")), None, Some("Arterial line")),
];

fn styled(code: Code) -> Option<&'static Style> {
    STYLES.iter().find(|style| style.code == code)
}

/// The Observation of a vital; `None` of one without numerics.
#[must_use]
pub fn render(vital: &Vital) -> Option<Value> {
    let first = vital.numerics.first()?;
    let panel = if vital.numerics.len() > 1 { pressure_site(first.code) } else { None };
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| out.insert(key.to_owned(), value);
    put("resourceType", "Observation".into());
    put("id", vital.id().to_string().into());
    put("meta", meta(vital, first, panel.is_some()));
    put("extension", extensions(vital));
    let questionable = vital.numerics.iter().any(|numeric| numeric.quality == Quality::Questionable);
    put("status", if questionable { "preliminary" } else { "final" }.into());
    put("category", json!([{"coding": [{"system": CATEGORY, "code": "vital-signs", "display": "Vital Signs"}]}]));
    put("code", panel.map_or_else(|| concept(first.code), panel_concept));
    put("subject", json!({"reference": format!("Patient/{}", vital.patient)}));
    put("effectiveDateTime", vital.measured.rfc3339().into());
    put("issued", vital.arrived.rfc3339().into());
    if let Some(method) = styled(first.code).and_then(|style| style.method) {
        put("method", json!({"text": method}));
    }
    put("device", json!({"reference": format!("Device/{}", vital.device)}));
    if panel.is_some() {
        let component = |numeric: &Numeric| {
            let (key, value) = value(numeric);
            json!({"code": concept(numeric.code), key: value})
        };
        put("component", vital.numerics.iter().map(component).collect());
    } else {
        let (key, value) = value(first);
        put(key, value);
    }
    Some(Value::Object(out))
}

fn meta(vital: &Vital, first: &Numeric, panel: bool) -> Value {
    let mut profiles = vec!["http://hl7.org/fhir/StructureDefinition/vitalsigns".to_owned()];
    let fits = |numeric: &Numeric, units: &[&str]| numeric.value.is_err() || units.contains(&numeric.unit.ucum());
    let special = if panel {
        let has = |part: usize| PRESSURES.iter().any(|(_, codes)| vital.numerics.iter().any(|n| codes.get(part) == Some(&n.code)));
        (has(0) && has(1) && vital.numerics.iter().all(|n| fits(n, &["mm[Hg]"]))).then_some("bp")
    } else {
        styled(first.code).and_then(|style| style.profile).filter(|(_, units)| fits(first, units)).map(|(name, _)| name)
    };
    profiles.extend(special.map(|name| format!("http://hl7.org/fhir/StructureDefinition/{name}")));
    let mut meta = json!({"versionId": "1", "lastUpdated": vital.arrived.rfc3339(), "profile": profiles});
    if vital.numerics.iter().any(|numeric| numeric.quality == Quality::Demo)
        && let Some(object) = meta.as_object_mut()
    {
        object.insert("tag".to_owned(), json!([super::patient::test_tag()]));
    }
    meta
}

fn extensions(vital: &Vital) -> Value {
    let mut list = vec![json!({"url": RECEIVED, "valueInstant": vital.arrived.rfc3339()})];
    list.extend(vital.device_time.map(|at: Timestamp| json!({"url": DEVICE_TIME, "valueDateTime": at.rfc3339()})));
    Value::Array(list)
}

/// The codings a code is rendered with, its own LOINC code first.
fn codings(code: Code) -> Vec<(&'static str, String, Option<&'static str>)> {
    let row = code.row();
    let mut list = Vec::new();
    if let Some(row) = row
        && let Some(own) = row.loinc
    {
        list.push((LOINC, own.to_owned(), Some(row.display)));
    }
    if let Some((generic, display)) = styled(code).and_then(|style| style.generic) {
        list.push((LOINC, generic.to_owned(), Some(display)));
    }
    list.extend(code.mdc().map(|mdc| (MDC, mdc.to_string(), None)));
    list
}

fn concept(code: Code) -> Value {
    let text = code.row().map_or_else(|| code.to_string(), |row| row.display.to_owned());
    coded(codings(code), &text)
}

fn panel_concept(site: PressureSite) -> Value {
    coded(panel_codings(site), "Blood pressure")
}

fn panel_codings(site: PressureSite) -> Vec<(&'static str, String, Option<&'static str>)> {
    // MDC_PRESS_BLD_NONINV and MDC_PRESS_BLD_ART_ABP.
    let mdc = match site {
        PressureSite::Cuff => "150020",
        PressureSite::Artery => "150036",
    };
    vec![(LOINC, PANEL.0.to_owned(), Some(PANEL.1)), (MDC, mdc.to_owned(), None)]
}

fn coded(codings: Vec<(&'static str, String, Option<&'static str>)>, text: &str) -> Value {
    let coding = |(system, code, display): (&str, String, Option<&str>)| match display {
        Some(display) => json!({"system": system, "code": code, "display": display}),
        None => json!({"system": system, "code": code}),
    };
    let list: Vec<Value> = codings.into_iter().map(coding).collect();
    if list.is_empty() { json!({"text": text}) } else { json!({"coding": list, "text": text}) }
}

fn value(numeric: &Numeric) -> (&'static str, Value) {
    let number = match &numeric.value {
        Err(why) => return ("dataAbsentReason", absent(why)),
        Ok(number) => *number,
    };
    if numeric.code == Code::CONSCIOUSNESS
        && let Some(level) = usize::try_from(number.mantissa()).ok().filter(|_| number.exponent() == 0)
        && let Some(text) = ["Alert", "Confusion", "Voice", "Pain", "Unresponsive"].get(level)
    {
        return ("valueCodeableConcept", json!({"text": text}));
    }
    let shown = Some(numeric.unit.shown()).filter(|shown| !shown.is_empty()).unwrap_or(numeric.unit.ucum());
    ("valueQuantity", json!({"value": number.to_json(), "unit": shown, "system": UCUM, "code": numeric.unit.ucum()}))
}

fn absent(why: &NoValue) -> Value {
    let (code, display) = match why {
        NoValue::SensorOff => ("not-performed", "Not Performed"),
        NoValue::NotMeasured => ("temp-unknown", "Temporarily Unknown"),
        // Above or below what the device can measure: which of the two it does not say.
        NoValue::OutOfRange => ("unknown", "Unknown"),
        NoValue::Artefact | NoValue::Fault(_) => ("error", "Error"),
    };
    json!({"coding": [{"system": ABSENT, "code": code, "display": display}], "text": why.to_string()})
}

/// The codes whose Observations a search for this token may find: by any coding of the Observation or of its components.
/// A blood pressure is found by its panel and by each part.
#[must_use]
pub fn codes_for(system: Option<&str>, code: Option<&str>) -> Vec<Code> {
    let wanted = |(own_system, own, _): &(&str, String, Option<&str>)| {
        system.is_none_or(|system| system == *own_system) && code.is_none_or(|code| code == own)
    };
    let all = (0..CODES.len()).filter_map(|index| CODES.get(index)).filter_map(|row| Code::from_key(row.key));
    let mut found: Vec<Code> = all
        .filter(|code| codings(*code).iter().any(wanted) || pressure_site(*code).is_some_and(|s| panel_codings(s).iter().any(wanted)))
        .collect();
    // A monitor's own code that has no row.
    if let Some(mdc) = code.and_then(|code| code.parse().ok()).filter(|_| system.is_none_or(|system| system == MDC)) {
        let code = Code::from_mdc(mdc);
        if code.row().is_none() {
            found.push(code);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::Boot;
    use crate::unit::Unit;

    fn vital(numerics: Vec<Numeric>) -> Vital {
        Vital {
            patient: "p1".parse().expect("id"),
            device: "ox-1".parse().expect("id"),
            boot: Boot([1; 12]),
            seq: 1,
            measured: Timestamp(1_000_000),
            arrived: Timestamp(2_000_000),
            device_time: None,
            numerics,
        }
    }
    fn numeric(code: Code, text: &str, unit: Unit) -> Numeric {
        Numeric { code, value: Ok(text.parse().expect("decimal")), unit, quality: Quality::Good }
    }

    #[test]
    fn a_value_keeps_its_digits_and_absence_is_no_zero() {
        let shown = render(&vital(vec![numeric(Code::TEMPERATURE, "37.0", Unit::Celsius)])).expect("render");
        assert_eq!(shown["valueQuantity"].to_string(), r#"{"code":"Cel","system":"http://unitsofmeasure.org","unit":"°C","value":37.0}"#);
        let off = Numeric { value: Err(NoValue::SensorOff), ..numeric(Code::SPO2, "1", Unit::Percent) };
        let shown = render(&vital(vec![off])).expect("render");
        assert_eq!(shown["dataAbsentReason"]["coding"][0]["code"], "not-performed");
        assert!(shown.get("valueQuantity").is_none());
    }

    #[test]
    fn a_profile_is_claimed_only_in_its_unit() {
        let claims = |unit| render(&vital(vec![numeric(Code::TEMPERATURE, "98", unit)])).expect("render")["meta"]["profile"].to_string();
        assert!(claims(Unit::Fahrenheit).contains("bodytemp"));
        assert!(!claims(Unit::One).contains("bodytemp"));
    }

    #[test]
    fn a_search_by_the_generic_code_finds_the_specific_ones() {
        let rates = codes_for(Some(LOINC), Some("8867-4"));
        assert!(rates.contains(&Code::HEART_RATE) && rates.contains(&Code::PULSE_RATE));
        assert_eq!(codes_for(None, Some("2708-6")), [Code::SPO2]);
        assert_eq!(codes_for(Some(LOINC), Some("85354-9")).len(), 6);
        assert_eq!(codes_for(Some(MDC), Some("150456")), [Code::SPO2]);
        assert_eq!(codes_for(Some(MDC), Some("7")), [Code::Mdc(7)]);
        assert_eq!(codes_for(Some("urn:other"), Some("8867-4")), []);
    }
}
