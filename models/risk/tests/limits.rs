//! Alarm limits as data: what is shipped, what is refused, who goes by which.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use record::code::Code;
use record::time::Timestamp;
use record::unit::Unit;
use risk::limits::{Bundle, FILES, FORMAT, LimitsError, SHIPPED, Side, Whom};
use risk::{Chart, Input, Source, Spo2Scale};
use std::collections::BTreeSet;
use std::path::Path;

const AT: Timestamp = Timestamp(1_795_000_000_000_000);

const BUNDLE: &str = r#"
name = "2026-11.a"
requires = 1
note = "more time for restless patients"

[[sets]]
title  = "Adults"
source = "ward meeting"
ages   = { from_months = 192 }
limits = [{ codes = ["spo2"], low = "92", hold_s = 20, priority = "high" }]

[sampling.ge-b40-dri]
interval_s = 5
waves = ["ecg-ii"]

[sites.hillside]
ward = "intensive"
[sites.hillside.sampling.ge-b40-dri]
interval_s = 1
[[sites.hillside.sets]]
title  = "Adults of Hillside"
source = "ward meeting"
ages   = { from_months = 192 }
limits = [{ codes = ["heart-rate", "pulse-rate"], low = "45.5", high = "120" }]
"#;

fn whom(age_months: u16) -> Whom {
    Whom { age_months: Some(age_months), ..Whom::default() }
}

fn chart(values: &[(Code, &str, i64)]) -> Chart {
    let mut chart = Chart::default();
    for (code, value, age_s) in values {
        let input = Input { value: value.parse().unwrap(), measured_at: AT.plus_micros(-age_s * 1_000_000), source: Source::Streamed };
        chart.record(*code, code.unit().unwrap_or(Unit::One), input).unwrap();
    }
    chart
}

#[test]
fn an_older_way_of_measuring_does_not_speak_for_a_newer_one_that_fell_silent() {
    let shipped = Bundle::shipped().unwrap();
    let set = shipped.set_for("", whom(30)).unwrap();
    let judged = |values: &[(Code, &str, i64)]| set.judge(&chart(values), AT).any(|judged| judged.limit.code() == Code::HEART_RATE);
    // The leads came off two and a half minutes ago; the cuff counted a pulse three hours ago.
    assert!(!judged(&[(Code::HEART_RATE, "170", 150), (Code::PULSE_RATE_NIBP, "85", 3 * 3600)]));
    assert!(judged(&[(Code::PULSE_RATE_NIBP, "85", 3 * 3600)]), "where nothing newer was ever charted it stands");
    assert!(judged(&[(Code::HEART_RATE, "170", 150), (Code::PULSE_RATE_NIBP, "85", 60)]), "measured since");
}

#[test]
fn what_is_shipped_can_be_used_and_is_all_of_the_folder() {
    let shipped = Bundle::shipped().unwrap();
    assert_eq!((shipped.name.as_str(), shipped.requires), (SHIPPED, FORMAT));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware-configs/limits");
    let files: BTreeSet<String> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(files, FILES.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn everybody_of_any_age_and_on_either_scale_has_a_set() {
    let shipped = Bundle::shipped().unwrap();
    for months in 0..1200 {
        for spo2_scale in [Spo2Scale::One, Spo2Scale::Two] {
            let whom = Whom { age_months: Some(months), spo2_scale };
            let set = shipped.set_for("", whom).unwrap_or_else(|| panic!("{months} months on {spo2_scale:?}"));
            assert!(set.limits.iter().any(|limit| limit.codes.contains(&Code::SPO2)), "{}", set.title);
        }
    }
    assert_eq!(shipped.set_for("", Whom::default()).unwrap().title, "Adults", "somebody of unknown age");
    assert_eq!(shipped.set_for("", whom(2)).unwrap().title, "Children of 1-3 months");
    assert_eq!(shipped.set_for("", whom(3)).unwrap().title, "Children of 3-6 months");
}

#[test]
fn an_adults_limits_lie_where_the_score_alerts_too() {
    let shipped = Bundle::shipped().unwrap();
    for spo2_scale in [Spo2Scale::One, Spo2Scale::Two] {
        let set = shipped.set_for("", Whom { age_months: Some(500), spo2_scale }).unwrap();
        for limit in &set.limits {
            for (bound, step) in [(limit.low, -1), (limit.high, 1)] {
                let Some(bound) = bound else { continue };
                let just_beyond = record::decimal::Decimal::whole(bound.mantissa() + step);
                let mut chart = chart(&[(limit.codes[0], &just_beyond.to_string(), 0)]);
                chart.subject.spo2_scale = spo2_scale;
                let assessment = risk::by_id("news2").unwrap().assess(&chart, AT).unwrap();
                assert!(assessment.alert.is_some(), "{} {just_beyond} crosses a limit and earns no alert", limit.code().key());
            }
        }
    }
}

#[test]
fn a_limit_itself_is_within_and_the_next_step_is_beyond() {
    let bundle = Bundle::parse(BUNDLE).unwrap();
    let set = bundle.set_for("", whom(600)).unwrap();
    for (value, beyond) in [("92", false), ("91.9", true), ("100", false)] {
        let chart = chart(&[(Code::SPO2, value, 0)]);
        let judged: Vec<_> = set.judge(&chart, AT).collect();
        assert_eq!(judged.len(), 1);
        assert_eq!(judged[0].beyond.map(|(side, _)| side), beyond.then_some(Side::Below), "{value}");
    }
}

#[test]
fn what_is_old_or_missing_is_not_judged_and_the_first_fresh_way_of_measuring_counts() {
    let bundle = Bundle::parse(BUNDLE).unwrap();
    let set = bundle.set_for("hillside", whom(600)).unwrap();
    let judged = |values: &[(Code, &str, i64)]| {
        let chart = chart(values);
        set.judge(&chart, AT).map(|j| (j.code, j.beyond.is_some())).collect::<Vec<_>>()
    };
    assert_eq!(judged(&[]), []);
    assert_eq!(judged(&[(Code::HEART_RATE, "180", 121)]), []);
    assert_eq!(judged(&[(Code::HEART_RATE, "180", 120)]), [(Code::HEART_RATE, true)]);
    assert_eq!(judged(&[(Code::HEART_RATE, "180", 300), (Code::PULSE_RATE, "45.5", 1)]), [(Code::PULSE_RATE, false)]);
}

#[test]
fn a_sites_own_sets_and_sampling_go_before_those_for_all() {
    let bundle = Bundle::parse(BUNDLE).unwrap();
    assert_eq!(bundle.set_for("riverside", whom(600)).unwrap().title, "Adults");
    assert_eq!(bundle.set_for("hillside", whom(600)).unwrap().title, "Adults of Hillside");
    assert_eq!(bundle.set_for("hillside", whom(12)), None, "who has none goes by the shipped ones");
    let interval = |site| bundle.sampling_of(site, "ge-b40-dri").and_then(|sampling| sampling.interval_s);
    assert_eq!((interval("hillside"), interval("riverside")), (Some(1), Some(5)));
    assert_eq!(bundle.sampling_of("hillside", "other"), None);
}

#[test]
fn every_refusal_names_the_key() {
    for (from, to, names) in [
        ("note =", "colour = 1\nnote =", "colour"),
        ("hold_s = 20", "colour = 1", "colour"),
        ("low = \"92\"", "low = \"0\"", "low"),
        ("low = \"92\"", "low = \"101\"", "low"),
        ("low = \"92\"", "low = 92", "low"),
        ("low = \"92\"", "low = \"92\", high = \"92\"", "low lies below high"),
        ("low = \"92\", ", "", "neither low nor high"),
        ("hold_s = 20", "hold_s = 301", "hold_s"),
        ("\"spo2\"", "\"spo3\"", "spo3"),
        ("\"spo2\"", "\"spo2\", \"heart-rate\"", "heart-rate"),
        ("\"spo2\"", "", "codes"),
        ("from_months = 192", "from_months = 192, to_months = 192", "ages"),
        ("priority = \"high\"", "priority = \"low\"", "priority"),
        ("interval_s = 5", "interval_s = 0", "interval_s"),
        ("source = \"ward meeting\"", "source = \" \"", "source"),
        ("2026-11.a", "2026 11", "name"),
        ("requires = 1", "requires = 0", "requires"),
        ("ward = \"intensive\"", "ward = \"cellar\"", "cellar"),
    ] {
        assert!(BUNDLE.contains(from), "{from}");
        let error = Bundle::parse(&BUNDLE.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(error.contains(names), "{to}: {error}");
    }
    let twice = format!(
        "{BUNDLE}\n[[sets]]\ntitle = \"x\"\nsource = \"y\"\nages = {{ from_months = 0, to_months = 193 }}\nlimits = [{{ codes = [\"spo2\"], low = \"90\" }}]\n"
    );
    assert!(Bundle::parse(&twice).unwrap_err().to_string().contains("Adults"), "two sets for one patient");
    assert!(Bundle::parse(&format!("{BUNDLE}#{}", "x".repeat(70_000))).is_err());
}

#[test]
fn a_bundle_for_a_newer_program_says_so_whatever_else_it_holds() {
    let newer = BUNDLE.replacen("requires = 1", "requires = 2\nworld = { of = \"tomorrow\" }", 1);
    assert_eq!(Bundle::parse(&newer), Err(LimitsError::Newer { needs: 2, understands: 1 }));
}

#[test]
fn the_schemas_that_editors_use_are_those_kept() {
    for (name, text) in risk::limits::schema::texts() {
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware-configs/schema").join(name);
        assert_eq!(std::fs::read_to_string(kept).unwrap(), text, "{name}: run `cargo xtask codegen` and check it in");
    }
}

#[test]
fn the_example_that_is_shown_can_be_used() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware-configs/bundles/example.toml");
    let bundle = Bundle::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!(bundle.sampling_of("hillside", "ge-b40-dri").and_then(|sampling| sampling.interval_s), Some(5));
}
