//! How long a day of one series takes to read from an agent's encrypted store, warm: medians, one JSON line a question.
//!
//! `cargo run --release -p edge-store --example series_latency`. Four monitors of ten numerics at 1 Hz, sealed by the hour, of
//! four patients; then the same with an hour that is not sealed yet.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measuring program: stopping is its error handling")]
#![allow(clippy::disallowed_methods, reason = "it measures time")]

use edge_store::SqliteStore;
use protocol::conformance::Counting;
use protocol::replica::{Asked, SeriesReader};
use protocol::store::{Store, StoreError, Transaction};
use protocol::{Commit, Draft, Replica, Where};
use record::binding::{Binding, Bound};
use record::code::Code;
use record::decimal::Decimal;
use record::id::{PatientId, RunId};
use record::ledger::{Act, Identity};
use record::observation::Quality;
use record::series::{Boot, Frame, Numeric, Samples, Segment, SegmentKind};
use record::time::{Monotonic, Now, Timestamp};
use serde_json::json;
use std::time::Instant;

const CODES: [Code; 10] = [
    Code::HEART_RATE,
    Code::PULSE_RATE,
    Code::SPO2,
    Code::PERFUSION_INDEX,
    Code::RESPIRATORY_RATE,
    Code::ABP_SYSTOLIC,
    Code::ABP_DIASTOLIC,
    Code::ABP_MEAN,
    Code::TEMPERATURE,
    Code::ET_CO2,
];
const BEDS: usize = 4;
const START_S: i64 = 1_700_002_800;

fn main() {
    let directory = tempfile::tempdir().expect("directory");
    let mut store = SqliteStore::open(&directory.path().join("agent.db"), &[7; 32]).expect("store");
    let mut entropy = Counting(1);
    let now = |second: i64| Now { wall: Timestamp((START_S + second) * 1_000_000), ..Now::default() };
    let identity = Identity::from_seed(&[7; 32]).expect("identity");
    let mut replica = Replica::open(&mut store, identity, RunId([1; 8]), "latency/1", now(0), &mut entropy).expect("replica");
    let mut commit = |store: &mut SqliteStore, replica: &mut Replica, tick, drafts| {
        let commit = Commit { act: Act::system(), tick, drafts, ..Commit::default() };
        replica.commit(store, now(0), &mut entropy, &commit).expect("commit");
    };
    let patients: Vec<PatientId> = (0..BEDS).map(|bed| format!("p{bed}").parse().expect("id")).collect();
    for (bed, patient) in patients.iter().enumerate() {
        let resource = json!({"resourceType": "Patient", "id": patient.to_string(), "name": [{"family": "Test"}]});
        commit(&mut store, &mut replica, vec![], vec![Draft::Create { place: Where::Site, resource }]);
        let scope = replica.scope_of(patient).expect("scope");
        let device = Bound::Device(format!("monitor-{bed}").parse().expect("id"));
        let bind = [device, Bound::Patient { patient: patient.clone(), scope }].into_iter().enumerate().map(|(n, what)| {
            let (id, bed) = (format!("b{bed}-{n}").parse().expect("id"), bed.to_string().parse().expect("bed"));
            Draft::Bind(Binding { id, what, bed, from: Timestamp(0), until: None })
        });
        commit(&mut store, &mut replica, vec![], bind.collect());
    }
    let mut walks: Vec<Walk> = (0..BEDS * CODES.len()).map(|n| Walk { state: n as u64 + 1, away: 0.0 }).collect();
    for hour in 0..24 {
        for (bed, patient) in patients.iter().enumerate() {
            let walks = &mut walks[bed * CODES.len()..][..CODES.len()];
            let frames: Vec<Frame> = (0..3600).map(|second| frame(bed, hour * 3600 + second, walks)).collect();
            let segment = Segment::build(SegmentKind::Numerics, &frames).expect("segment");
            commit(&mut store, &mut replica, vec![], vec![Draft::Segment { place: Where::Patient(patient.clone()), segment }]);
        }
    }
    let mut reader = store.reader().expect("reader");
    let mut series = SeriesReader::default();
    measure("sealed", &mut reader, &mut series, &patients);
    for second in 86_400..90_000 {
        let tick = (0..BEDS).map(|bed| frame(bed, second, &mut walks[bed * CODES.len()..][..CODES.len()])).collect();
        commit(&mut store, &mut replica, tick, vec![]);
    }
    measure("with an hour unsealed", &mut reader, &mut series, &patients);
    measure("the same, read anew", &mut reader, &mut SeriesReader::default(), &patients);
}

fn measure(what: &str, reader: &mut dyn Store, series: &mut SeriesReader, patients: &[PatientId]) {
    let (from, to) = (Timestamp(START_S * 1_000_000), Timestamp(i64::MAX));
    let asked = |n: usize| Asked { patient: patients[n % BEDS].clone(), code: CODES[n / BEDS % CODES.len()], from, to };
    let mut day = Samples::default();
    let mut count = 0;
    let samples = median(400, |n| {
        day.clear();
        let mut tx = reader.begin()?;
        series.samples(tx.as_mut(), &asked(n), &mut day)?;
        count = day.at.len();
        Ok(())
    });
    let mut points = 0;
    let minutes = median(400, |n| {
        let mut tx = reader.begin()?;
        points = series.minutes(tx.as_mut(), &asked(n))?.iter().map(|(_, m)| m.plotted().count()).sum();
        Ok(())
    });
    let newest = to.0.min((START_S + 86_000) * 1_000_000);
    let latest = median(400, |n| {
        let mut tx = reader.begin()?;
        series.latest(tx.as_mut(), &asked(n).patient, Timestamp(newest - 3_600_000_000)).map(drop)
    });
    let index = median(400, |n| index(reader.begin()?.as_mut(), &asked(n)));
    let line = json!({"what": what, "samples": count, "minutes": points, "samples_us": samples, "minutes_us": minutes, "latest_us": latest, "index_us": index});
    println!("{line}");
}

/// What the questions to the store alone take.
fn index(tx: &mut dyn Transaction, asked: &Asked) -> Result<(), StoreError> {
    for scope in tx.scopes_of(&asked.patient)? {
        tx.masks(scope.id)?;
        tx.segments(scope.id, false, asked.from, asked.to, 4096)?;
    }
    Ok(())
}

/// First of all once, median and ninety-ninth of a hundred, µs.
fn median(times: usize, mut work: impl FnMut(usize) -> Result<(), StoreError>) -> [f64; 3] {
    let mut spent: Vec<f64> = (0..times)
        .map(|n| {
            let before = Instant::now();
            work(n).expect("read");
            before.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    let first = spent[0];
    spent.sort_by(f64::total_cmp);
    [first, spent[times / 2], spent[times * 99 / 100]].map(|us| (us * 10.0).round() / 10.0)
}

fn frame(bed: usize, second: i64, walks: &mut [Walk]) -> Frame {
    let at = (START_S + second) * 1_000_000;
    let numerics = CODES.iter().zip(walks).map(|(code, walk)| Numeric {
        code: *code,
        value: Ok(Decimal::whole(walk.step())),
        unit: code.unit().expect("unit"),
        quality: Quality::Good,
    });
    Frame {
        device: format!("monitor-{bed}").parse().expect("id"),
        boot: Boot([bed as u8; 12]),
        first_seq: second as u64 * CODES.len() as u64,
        arrived: Timestamp(at + 1500),
        arrived_mono: Monotonic(at as u64),
        measured: Timestamp(at),
        device_time: None,
        offset_us: None,
        bed: Some(bed.to_string().parse().expect("bed")),
        numerics: numerics.collect(),
        waves: Vec::new(),
    }
}

/// A value that wanders and is drawn back, in the steps of a display.
struct Walk {
    state: u64,
    away: f64,
}

impl Walk {
    fn step(&mut self) -> i64 {
        let mut uniform = || {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.state >> 33) as f64 / f64::from(1u32 << 31)
        };
        let normal = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
        self.away = self.away * 0.999 + normal * 0.4;
        (90.0 + self.away).round() as i64
    }
}
