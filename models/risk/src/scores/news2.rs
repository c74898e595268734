//! National Early Warning Score 2. Royal College of Physicians, *National Early Warning Score (NEWS) 2: Standardising the
//! assessment of acute-illness severity in the NHS*, London 2017. Chart 1 (scoring), 2 (thresholds), 4 (response).
//!
//! For patients of 16 years and over who are not pregnant. See `cards/news2.md` for what is published and what is our choice.

use crate::bands::Bands;
use crate::chart::{Acvpu, Chart, Oxygen, Spo2Scale};
use crate::freshness::{self, AHEAD_MAX_S, EQUALLY_NEW_S, Found, Limit, Measure};
use crate::score::{Assessment, Band, NotForPatient, Parameter, Part, Population, Priority, Score, Total};
use record::code::Code;
use record::time::Timestamp;
use std::borrow::Cow;
use std::fmt::Write;

/// NEWS2.
#[derive(Clone, Copy, Debug)]
pub struct News2;

/// What a monitor measures all the time: ten minutes of silence and it no longer speaks for the patient. Anything
/// measured once stands for the longest interval between sets that the RCP allows, 12 hours.
const WATCHED: Limit = Limit { streamed_s: 10 * 60, spot_s: 12 * 3600 };
/// What is measured or judged once a set even on a monitored bed: cuff, thermometer, consciousness, oxygen.
const ONCE_A_SET: Limit = Limit { streamed_s: 12 * 3600, spot_s: 12 * 3600 };

/// A parameter that is one number against one table.
struct Vital {
    parameter: Parameter,
    measures: &'static [Measure],
    bands: Bands,
}

const fn watched(code: Code) -> Measure {
    Measure { code, limit: WATCHED }
}

const RESPIRATORY_RATE: Vital = Vital {
    parameter: Parameter::RespiratoryRate,
    measures: &[watched(Code::RESPIRATORY_RATE), watched(Code::RESPIRATORY_RATE_CO2), watched(Code::RESPIRATORY_RATE_IMPEDANCE)],
    bands: Bands { places: 0, rows: &[(8, 3), (11, 1), (20, 0), (24, 2)], above: 3 },
};
const SYSTOLIC_PRESSURE: Vital = Vital {
    parameter: Parameter::SystolicPressure,
    measures: &[watched(Code::ABP_SYSTOLIC), Measure { code: Code::NIBP_SYSTOLIC, limit: ONCE_A_SET }],
    bands: Bands { places: 0, rows: &[(90, 3), (100, 2), (110, 1), (219, 0)], above: 3 },
};
const PULSE: Vital = Vital {
    parameter: Parameter::Pulse,
    measures: &[watched(Code::HEART_RATE), watched(Code::PULSE_RATE), Measure { code: Code::PULSE_RATE_NIBP, limit: ONCE_A_SET }],
    bands: Bands { places: 0, rows: &[(40, 3), (50, 1), (90, 0), (110, 1), (130, 2)], above: 3 },
};
const TEMPERATURE: Vital = Vital {
    parameter: Parameter::Temperature,
    // Of the body's core, nearest to it first; a finger's or a toe's temperature is not scored.
    measures: &[
        Measure { code: Code::TEMPERATURE, limit: ONCE_A_SET },
        Measure { code: Code::TEMPERATURE_BODY, limit: ONCE_A_SET },
        Measure { code: Code::TEMPERATURE_GASTROINTESTINAL, limit: ONCE_A_SET },
        Measure { code: Code::TEMPERATURE_RECTAL, limit: ONCE_A_SET },
        Measure { code: Code::TEMPERATURE_TYMPANIC, limit: ONCE_A_SET },
        Measure { code: Code::TEMPERATURE_EAR, limit: ONCE_A_SET },
        Measure { code: Code::TEMPERATURE_ORAL, limit: ONCE_A_SET },
        Measure { code: Code::TEMPERATURE_AXILLARY, limit: ONCE_A_SET },
    ],
    bands: Bands { places: 1, rows: &[(350, 3), (360, 1), (380, 0), (390, 1)], above: 2 },
};

const SPO2: &[Measure] = &[watched(Code::SPO2)];
const SPO2_SCALE_1: Bands = Bands { places: 0, rows: &[(91, 3), (93, 2), (95, 1)], above: 0 };
/// Scale 2 below its target, and for a patient on air above it too.
const SPO2_SCALE_2_AIR: Bands = Bands { places: 0, rows: &[(83, 3), (85, 2), (87, 1)], above: 0 };
const SPO2_SCALE_2_OXYGEN: Bands = Bands { places: 0, rows: &[(83, 3), (85, 2), (87, 1), (92, 0), (94, 1), (96, 2)], above: 3 };

const SUPPLEMENTAL_OXYGEN_POINTS: u8 = 2;
const NOT_ALERT_POINTS: u8 = 3;

static PARAMETERS: [Parameter; 7] = [
    Parameter::RespiratoryRate,
    Parameter::OxygenSaturation,
    Parameter::Oxygen,
    Parameter::SystolicPressure,
    Parameter::Pulse,
    Parameter::Consciousness,
    Parameter::Temperature,
];

static POPULATION: Population = Population { age_years_min: 16, pregnancy: false, words: "16 years and over, not pregnant" };

const ZERO: Band = Band {
    when: "Aggregate score 0",
    risk: "Low",
    response: "Ward-based response",
    monitoring: "Minimum 12 hourly",
    actions: &["Continue routine NEWS monitoring"],
    repeat_within_min: 12 * 60,
    alert: None,
};
const LOW: Band = Band {
    when: "Aggregate score 1–4",
    risk: "Low",
    response: "Ward-based response",
    monitoring: "Minimum 4–6 hourly",
    actions: &[
        "Inform registered nurse, who must assess the patient",
        "Registered nurse decides whether increased frequency of monitoring and/or escalation of care is required",
    ],
    repeat_within_min: 6 * 60,
    alert: None,
};
const SINGLE_THREE: Band = Band {
    when: "Score of 3 in any individual parameter",
    risk: "Low–medium",
    response: "Urgent ward-based response",
    monitoring: "Minimum 1 hourly",
    actions: &[
        "Registered nurse to inform medical team caring for the patient, who will review and decide whether escalation of care is necessary",
    ],
    repeat_within_min: 60,
    alert: Some(Priority::Medium),
};
const MEDIUM: Band = Band {
    when: "Aggregate score 5–6",
    risk: "Medium",
    response: "Key threshold for urgent response",
    monitoring: "Minimum 1 hourly",
    actions: &[
        "Registered nurse to immediately inform the medical team caring for the patient",
        "Registered nurse to request urgent assessment by a clinician or team with core competencies in the care of acutely ill patients",
        "Provide clinical care in an environment with monitoring facilities",
    ],
    repeat_within_min: 60,
    alert: Some(Priority::Medium),
};
const HIGH: Band = Band {
    when: "Aggregate score 7 or more",
    risk: "High",
    response: "Urgent or emergency response",
    monitoring: "Continuous monitoring of vital signs",
    actions: &[
        "Registered nurse to immediately inform the medical team caring for the patient – this should be at least at specialist registrar level",
        "Emergency assessment by a team with critical care competencies, including practitioner(s) with advanced airway management skills",
        "Consider transfer of care to a level 2 or 3 clinical care facility, ie higher-dependency unit or ICU",
        "Clinical care in an environment with monitoring facilities",
    ],
    repeat_within_min: 0,
    alert: Some(Priority::High),
};
static BANDS: [Band; 5] = [ZERO, LOW, SINGLE_THREE, MEDIUM, HIGH];

impl Score for News2 {
    fn id(&self) -> &'static str {
        "news2"
    }
    fn title(&self) -> &'static str {
        "National Early Warning Score 2"
    }
    fn rules_version(&self) -> &'static str {
        "news2-2017/2"
    }
    fn population(&self) -> &'static Population {
        &POPULATION
    }
    fn parameters(&self) -> &'static [Parameter] {
        &PARAMETERS
    }
    fn bands(&self) -> &'static [Band] {
        &BANDS
    }

    fn assess(&self, chart: &Chart, at: Timestamp) -> Result<Assessment, NotForPatient> {
        POPULATION.admit(chart)?;
        let oxygen = freshness::one(chart.oxygen(), ONCE_A_SET, at);
        let consciousness = freshness::one(chart.consciousness(), ONCE_A_SET, at);
        let parts = vec![
            RESPIRATORY_RATE.part(chart, at),
            Part::of(Parameter::OxygenSaturation, freshness::number(chart, SPO2, at), |(code, value)| {
                let (charted, points) = spo2_bands(chart.subject.spo2_scale, oxygen).points(value);
                (code, charted.to_string(), points)
            }),
            Part::of(Parameter::Oxygen, oxygen, |given| {
                let points = if given == Oxygen::Supplemental { SUPPLEMENTAL_OXYGEN_POINTS } else { 0 };
                (Code::INSPIRED_OXYGEN, given.to_string(), points)
            }),
            SYSTOLIC_PRESSURE.part(chart, at),
            PULSE.part(chart, at),
            Part::of(Parameter::Consciousness, consciousness, |level| {
                let points = if level == Acvpu::Alert { 0 } else { NOT_ALERT_POINTS };
                (Code::CONSCIOUSNESS, level.to_string(), points)
            }),
            TEMPERATURE.part(chart, at),
        ];
        let total = Total::of(&parts);
        let band = band(total.points(), parts.iter().any(|part| part.points() == Some(3)));
        Ok(Assessment {
            score: Cow::Borrowed(self.id()),
            rules_version: Cow::Borrowed(self.rules_version()),
            at,
            total,
            risk: Cow::Borrowed(band.risk),
            response: Cow::Borrowed(band.response),
            repeat_within_min: band.repeat_within_min,
            alert: band.alert,
            parts,
        })
    }

    fn rules(&self) -> String {
        let mut text =
            format!("{}\npopulation age≥{} pregnancy={}\n", self.rules_version(), POPULATION.age_years_min, POPULATION.pregnancy);
        let mut line = |words: std::fmt::Arguments<'_>| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{words}");
        };
        line(format_args!("ahead≤{AHEAD_MAX_S}s equally-new≤{EQUALLY_NEW_S}s"));
        for vital in [RESPIRATORY_RATE, SYSTOLIC_PRESSURE, PULSE, TEMPERATURE] {
            line(format_args!("{} {}", vital.parameter, vital.bands.text()));
            vital.measures.iter().for_each(|measure| line(format_args!("  {}", measure_text(measure))));
        }
        for (name, bands) in [("scale-1", SPO2_SCALE_1), ("scale-2 on air", SPO2_SCALE_2_AIR), ("scale-2 on oxygen", SPO2_SCALE_2_OXYGEN)] {
            line(format_args!("{} {name} {}", Parameter::OxygenSaturation, bands.text()));
        }
        SPO2.iter().for_each(|measure| line(format_args!("  {}", measure_text(measure))));
        let once = limit_text(ONCE_A_SET);
        line(format_args!("{} supplemental:{SUPPLEMENTAL_OXYGEN_POINTS} {once}", Parameter::Oxygen));
        line(format_args!("{} not-alert:{NOT_ALERT_POINTS} {once}", Parameter::Consciousness));
        for (least, single_three) in [(0, false), (1, false), (1, true), (5, false), (7, false)] {
            let Band { risk, response, repeat_within_min, alert, .. } = band(least, single_three);
            line(format_args!("total≥{least} single-three={single_three}: {risk}, {response}, {repeat_within_min} min, {alert:?}"));
        }
        text
    }
}

/// RCP chart 2. A total of 5 or more outranks a single 3.
const fn band(points: u8, single_three: bool) -> &'static Band {
    match points {
        7.. => &HIGH,
        5..=6 => &MEDIUM,
        _ if single_three => &SINGLE_THREE,
        1..=4 => &LOW,
        0 => &ZERO,
    }
}

/// Scale 2 needs to know whether oxygen is given. Where that is not known it takes the table with fewer points, so that the
/// sum stays a lower bound; the set is partial then anyway.
const fn spo2_bands(scale: Spo2Scale, oxygen: Found<Oxygen>) -> Bands {
    match (scale, oxygen) {
        (Spo2Scale::One, _) => SPO2_SCALE_1,
        (Spo2Scale::Two, Found::Fresh { value: Oxygen::Supplemental, .. }) => SPO2_SCALE_2_OXYGEN,
        (Spo2Scale::Two, _) => SPO2_SCALE_2_AIR,
    }
}

impl Vital {
    fn part(&self, chart: &Chart, at: Timestamp) -> Part {
        Part::of(self.parameter, freshness::number(chart, self.measures, at), |(code, value)| {
            let (charted, points) = self.bands.points(value);
            (code, charted.to_string(), points)
        })
    }
}

fn measure_text(measure: &Measure) -> String {
    format!("{} {}", measure.code.key(), limit_text(measure.limit))
}

fn limit_text(limit: Limit) -> String {
    format!("streamed≤{}s spot≤{}s", limit.streamed_s, limit.spot_s)
}
