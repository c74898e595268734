//! NEWS2 against an independent set of 1,775 scored charts, and what must hold for every chart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use record::code::Code;
use record::decimal::Decimal;
use record::time::Timestamp;
use risk::scores::news2::News2;
use risk::{
    Acvpu, Assessment, Chart, Input, NotForPatient, Oxygen, Parameter, Priority, Score, Source, Spo2Scale, Standing, Subject, Total,
};
use serde::Deserialize;
use std::path::Path;

const HOUR_S: i64 = 3600;

fn at(second: i64) -> Timestamp {
    Timestamp((1_800_000_000 + second) * 1_000_000)
}

fn input<T>(value: T, second: i64, source: Source) -> Input<T> {
    Input { value, measured_at: at(second), source }
}

fn enter(chart: &mut Chart, code: Code, value: Decimal, second: i64, source: Source) {
    chart.record(code, code.unit().expect("a unit"), input(value, second, source)).expect("charted");
}

/// A full set of points 0, measured once at second 0.
fn well() -> Chart {
    let mut chart = Chart::default();
    for (code, value) in [
        (Code::RESPIRATORY_RATE, Decimal::whole(16)),
        (Code::SPO2, Decimal::whole(97)),
        (Code::NIBP_SYSTOLIC, Decimal::whole(120)),
        (Code::HEART_RATE, Decimal::whole(70)),
        (Code::TEMPERATURE, Decimal::new(370, -1)),
    ] {
        enter(&mut chart, code, value, 0, Source::Spot);
    }
    chart.record_oxygen(input(Oxygen::Air, 0, Source::Spot));
    chart.record_consciousness(input(Acvpu::Alert, 0, Source::Spot));
    chart
}

fn assess(chart: &Chart, second: i64) -> Assessment {
    News2.assess(chart, at(second)).expect("in the population")
}

#[test]
fn a_set_is_whole_until_twelve_hours_and_partial_a_second_later() {
    assert_eq!(assess(&well(), 12 * HOUR_S).total, Total::Exact(0));
    let late = assess(&well(), 12 * HOUR_S + 1);
    assert_eq!(late.total, Total::AtLeast(0));
    assert_eq!(late.stale().count(), 7);
    assert_eq!(late.missing().count(), 0);
}

#[test]
fn a_monitor_silent_for_ten_minutes_no_longer_counts_and_is_named_stale() {
    let mut chart = well();
    enter(&mut chart, Code::SPO2, Decimal::whole(90), 60, Source::Streamed);
    assert_eq!(assess(&chart, 660).total, Total::Exact(3));
    let silent = assess(&chart, 661);
    assert_eq!(silent.total, Total::AtLeast(0));
    assert_eq!(silent.stale().collect::<Vec<_>>(), [Parameter::OxygenSaturation]);
    let part = silent.part(Parameter::OxygenSaturation).expect("part");
    assert_eq!(part.standing, Standing::Stale { age_s: 601, limit_s: 600 });
}

#[test]
fn a_value_from_the_future_is_missing_and_says_how_far_ahead() {
    let mut chart = well();
    enter(&mut chart, Code::TEMPERATURE, Decimal::whole(40), HOUR_S, Source::Streamed);
    let early = assess(&chart, 0);
    assert_eq!(early.missing().collect::<Vec<_>>(), [Parameter::Temperature]);
    assert_eq!(early.part(Parameter::Temperature).map(|p| &p.standing), Some(&Standing::Ahead { by_s: 3600 }));
}

#[test]
fn a_partial_set_alerts_on_its_lower_bound_and_on_a_single_three() {
    let mut chart = Chart::default();
    enter(&mut chart, Code::RESPIRATORY_RATE, Decimal::whole(25), 0, Source::Streamed);
    let single = assess(&chart, 0);
    assert_eq!((single.total, single.alert), (Total::AtLeast(3), Some(Priority::Medium)));
    assert_eq!(single.single_three().collect::<Vec<_>>(), [Parameter::RespiratoryRate]);
    enter(&mut chart, Code::HEART_RATE, Decimal::whole(131), 0, Source::Streamed);
    enter(&mut chart, Code::SPO2, Decimal::whole(95), 0, Source::Streamed);
    let high = assess(&chart, 0);
    assert_eq!((high.total.to_string(), high.alert), ("at least 7".to_owned(), Some(Priority::High)));
}

#[test]
fn children_and_pregnant_patients_get_no_score_and_unknown_age_does() {
    let score = |age_years, pregnant| {
        let mut chart = well();
        chart.subject = Subject { age_years, pregnant, ..Subject::default() };
        News2.assess(&chart, at(0)).map(|assessment| assessment.total)
    };
    assert_eq!(score(Some(15), None), Err(NotForPatient::TooYoung { age_years: 15, age_years_min: 16 }));
    assert_eq!(score(Some(30), Some(true)), Err(NotForPatient::Pregnant));
    assert_eq!(score(Some(16), Some(false)), Ok(Total::Exact(0)));
    assert_eq!(score(None, None), Ok(Total::Exact(0)));
}

#[test]
fn a_falling_arterial_pressure_is_not_hidden_by_an_older_cuff() {
    let mut chart = well();
    enter(&mut chart, Code::ABP_SYSTOLIC, Decimal::whole(85), 300, Source::Streamed);
    assert_eq!(assess(&chart, 300).part(Parameter::SystolicPressure).and_then(risk::Part::points), Some(3));
}

#[test]
fn a_temperature_is_scored_wherever_in_the_core_it_was_taken_and_never_from_a_finger() {
    for (code, points) in
        [(Code::TEMPERATURE_EAR, 2), (Code::TEMPERATURE_AXILLARY, 2), (Code::TEMPERATURE_BODY, 2), (Code::TEMPERATURE_FINGER, 0)]
    {
        let mut chart = well();
        enter(&mut chart, code, Decimal::whole(40), 300, Source::Spot);
        assert_eq!(assess(&chart, 300).part(Parameter::Temperature).and_then(risk::Part::points), Some(points), "{}", code.key());
    }
}

#[test]
fn rules_do_not_change_under_their_version() {
    // A rule changed? Raise the version in `rules_version` first, then write the new hash here.
    let pinned = "70925221f650967ce7ad143edb0b5032029743179411c1758221bc2bfefe3eda";
    assert_eq!((News2.rules_version(), News2.rules_hash().as_str()), ("news2-2017/2", pinned), "{}", News2.rules());
}

#[test]
fn an_assessment_keeps_its_written_form() {
    let mut chart = Chart::default();
    enter(&mut chart, Code::RESPIRATORY_RATE, Decimal::whole(25), 0, Source::Streamed);
    chart.record_oxygen(input(Oxygen::Supplemental, -13 * HOUR_S, Source::Spot));
    enter(&mut chart, Code::TEMPERATURE, Decimal::whole(37), 121, Source::Spot);
    let assessment = assess(&chart, 0);
    let json = serde_json::to_value(&assessment).expect("json");
    assert_eq!(
        json,
        serde_json::json!({
            "score": "news2",
            "rules_version": "news2-2017/2",
            "at": 1_800_000_000_000_000_i64,
            "total": { "at-least": 3 },
            "risk": "Low–medium",
            "response": "Urgent ward-based response",
            "repeat_within_min": 60,
            "alert": "medium",
            "parts": [
                { "parameter": "respiratory-rate", "standing": { "used": {
                    "code": "respiratory-rate", "charted": "25", "points": 3, "age_s": 0, "source": "streamed" } } },
                { "parameter": "oxygen-saturation", "standing": "missing" },
                { "parameter": "oxygen", "standing": { "stale": { "age_s": 46_800, "limit_s": 43_200 } } },
                { "parameter": "systolic-pressure", "standing": "missing" },
                { "parameter": "pulse", "standing": "missing" },
                { "parameter": "consciousness", "standing": "missing" },
                { "parameter": "temperature", "standing": { "ahead": { "by_s": 121 } } },
            ],
        })
    );
    assert_eq!(serde_json::from_value::<Assessment>(json).expect("assessment"), assessment);
}

/// One row of the reference set.
#[derive(Deserialize)]
struct Row {
    rr: Decimal,
    spo2: Decimal,
    on_oxygen: u8,
    sbp: Decimal,
    hr: Decimal,
    acvpu: String,
    temp_c: String,
    spo2_scale: u8,
    p_rr: u8,
    p_spo2: u8,
    p_o2: u8,
    p_sbp: u8,
    p_hr: u8,
    p_acvpu: u8,
    p_temp: u8,
    total: u8,
    rcp_risk: String,
}

#[test]
fn every_chart_of_the_reference_set_scores_the_same() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/clinical/scores/news2_vectors.csv");
    if !path.is_file() {
        eprintln!("skipped: {} is absent", path.display());
        return;
    }
    let mut count = 0;
    for row in csv::Reader::from_path(path).expect("csv").deserialize() {
        let row: Row = row.expect("row");
        let spo2_scale = if row.spo2_scale == 2 { Spo2Scale::Two } else { Spo2Scale::One };
        let mut chart = Chart::of(Subject { spo2_scale, ..Subject::default() });
        for (code, value) in [
            (Code::RESPIRATORY_RATE, row.rr),
            (Code::SPO2, row.spo2),
            (Code::NIBP_SYSTOLIC, row.sbp),
            (Code::HEART_RATE, row.hr),
            (Code::TEMPERATURE, row.temp_c.parse().expect("temperature")),
        ] {
            enter(&mut chart, code, value, 0, Source::Spot);
        }
        chart.record_oxygen(input(if row.on_oxygen == 1 { Oxygen::Supplemental } else { Oxygen::Air }, 0, Source::Spot));
        let level = Acvpu::ALL.into_iter().find(|level| level.to_string() == row.acvpu).expect("ACVPU");
        chart.record_consciousness(input(level, 0, Source::Spot));
        let got = assess(&chart, 0);
        let points: Vec<_> = got.parts.iter().filter_map(risk::Part::points).collect();
        assert_eq!(points, [row.p_rr, row.p_spo2, row.p_o2, row.p_sbp, row.p_hr, row.p_acvpu, row.p_temp], "row {count}");
        assert_eq!(got.total, Total::Exact(row.total), "row {count}");
        assert_eq!(got.risk.to_lowercase().replace('–', "-"), row.rcp_risk, "row {count}");
        count += 1;
    }
    assert!(count > 1000, "only {count} rows");
}

/// Seven values that may each be absent.
#[derive(Clone, Debug)]
struct Values {
    numerics: Vec<Option<(Code, Decimal)>>,
    oxygen: Option<Oxygen>,
    consciousness: Option<Acvpu>,
    spo2_scale: Spo2Scale,
}

impl Values {
    fn chart(&self) -> Chart {
        let mut chart = Chart::of(Subject { spo2_scale: self.spo2_scale, ..Subject::default() });
        for (code, value) in self.numerics.iter().copied().flatten() {
            enter(&mut chart, code, value, 0, Source::Spot);
        }
        if let Some(oxygen) = self.oxygen {
            chart.record_oxygen(input(oxygen, 0, Source::Spot));
        }
        if let Some(level) = self.consciousness {
            chart.record_consciousness(input(level, 0, Source::Spot));
        }
        chart
    }

    /// Keeps only the values whose bit is set.
    fn only(&self, mask: u8) -> Self {
        let kept = |at: usize| mask >> at & 1 == 1;
        Self {
            numerics: self.numerics.iter().enumerate().map(|(at, value)| value.filter(|_| kept(at))).collect(),
            oxygen: self.oxygen.filter(|_| kept(5)),
            consciousness: self.consciousness.filter(|_| kept(6)),
            spo2_scale: self.spo2_scale,
        }
    }
}

fn whole_sets() -> impl Strategy<Value = Values> {
    let tenths = |code: Code, low: i64, high: i64| (low..=high).prop_map(move |tenths| Some((code, Decimal::new(tenths, -1))));
    (
        (
            tenths(Code::RESPIRATORY_RATE, 0, 600),
            tenths(Code::SPO2, 700, 1000),
            tenths(Code::NIBP_SYSTOLIC, 500, 2500),
            tenths(Code::HEART_RATE, 200, 2000),
            tenths(Code::TEMPERATURE, 320, 420),
        ),
        any::<bool>(),
        0..Acvpu::ALL.len(),
        any::<bool>(),
    )
        .prop_map(|((rr, spo2, sbp, hr, temperature), oxygen, level, two)| Values {
            numerics: vec![rr, spo2, sbp, hr, temperature],
            oxygen: Some(if oxygen { Oxygen::Supplemental } else { Oxygen::Air }),
            consciousness: Some(Acvpu::ALL[level]),
            spo2_scale: if two { Spo2Scale::Two } else { Spo2Scale::One },
        })
}

proptest! {
    #[test]
    fn adding_an_input_never_lowers_the_lower_bound_nor_the_alert(set in whole_sets(), mask in 0u8..128, more in 0u8..128) {
        let fewer = assess(&set.only(mask).chart(), 0);
        let greater = assess(&set.only(mask | more).chart(), 0);
        prop_assert!(fewer.total.points() <= greater.total.points(), "{} then {}", fewer.total, greater.total);
        prop_assert!(fewer.alert <= greater.alert);
    }

    #[test]
    fn a_partial_lower_bound_is_never_above_the_total(set in whole_sets(), mask in 0u8..127) {
        let partial = assess(&set.only(mask).chart(), 0);
        let whole = assess(&set.chart(), 0);
        prop_assert!(whole.total.is_exact() && !partial.total.is_exact());
        prop_assert!(partial.total.points() <= whole.total.points());
        prop_assert_eq!(partial.missing().count(), 7 - mask.count_ones() as usize);
    }

    #[test]
    fn time_passing_alone_never_raises_the_lower_bound(set in whole_sets(), earlier in 0i64..50_000, later in 0i64..50_000) {
        let chart = set.chart();
        let (earlier, later) = (earlier.min(later), earlier.max(later));
        prop_assert!(assess(&chart, later).total.points() <= assess(&chart, earlier).total.points());
    }
}
