//! Runs every `vectors/<score>.csv` against the score of that name. A new score needs no code here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use record::code::Code;
use record::time::Timestamp;
use risk::{Assessment, Chart, Input, Priority, SCORES, Score, Source, Spo2Scale};
use std::path::{Path, PathBuf};

const AT: Timestamp = Timestamp(1_800_000_000_000_000);

#[test]
fn every_score_has_vectors_and_a_card() {
    for score in SCORES {
        for file in [vectors().join(format!("{}.csv", score.id())), room().join(format!("cards/{}.md", score.id()))] {
            assert!(file.is_file(), "{} is missing", file.display());
        }
    }
}

#[test]
fn every_vector_scores_as_published() {
    let mut failures = Vec::new();
    for entry in std::fs::read_dir(vectors()).expect("vectors") {
        let path = entry.expect("entry").path();
        let id = path.file_stem().and_then(|stem| stem.to_str()).expect("a file name");
        let score = risk::by_id(id).unwrap_or_else(|| panic!("{id} is no score"));
        let count = run(score, &path, &mut failures);
        assert!(count > 0, "{} holds no vectors", path.display());
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn run(score: &dyn Score, path: &Path, failures: &mut Vec<String>) -> usize {
    let mut file = csv::ReaderBuilder::new().comment(Some(b'#')).from_path(path).expect("csv");
    let header = file.headers().expect("header").clone();
    let mut count = 0;
    for row in file.records() {
        let row = row.expect("row");
        let mut chart = Chart::default();
        let mut wanted = Vec::new();
        for (column, cell) in header.iter().zip(row.iter()) {
            match column.strip_prefix('=') {
                Some(what) => wanted.push((what, cell)),
                None => enter(&mut chart, column, cell),
            }
        }
        let assessment = score.assess(&chart, AT).expect("in the population");
        for (what, cell) in wanted {
            let got = stated(&assessment, what);
            if got != cell {
                failures.push(format!("{}: {what} is {got:?}, should be {cell:?}: {row:?}", score.id()));
            }
        }
        count += 1;
    }
    count
}

fn enter(chart: &mut Chart, column: &str, cell: &str) {
    match column {
        "spo2-scale" => chart.subject.spo2_scale = if cell == "2" { Spo2Scale::Two } else { Spo2Scale::One },
        _ if cell.is_empty() => {}
        key => {
            let code = Code::from_key(key).unwrap_or_else(|| panic!("column {key} is no code"));
            let input = Input { value: cell.parse().expect("a number"), measured_at: AT, source: Source::Spot };
            chart.record(code, code.unit().expect("a unit"), input).expect("charted");
        }
    }
}

fn stated(assessment: &Assessment, what: &str) -> String {
    match what {
        "points" => assessment.parts.iter().map(|part| part.points().map_or('-', |points| char::from(b'0' + points))).collect(),
        "total" => assessment.total.to_string(),
        "risk" => assessment.risk.to_string(),
        "alert" => match assessment.alert {
            None => String::new(),
            Some(Priority::Medium) => "medium".to_owned(),
            Some(Priority::High) => "high".to_owned(),
        },
        other => panic!("column ={other} is not known"),
    }
}

fn room() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn vectors() -> PathBuf {
    room().join("vectors")
}
