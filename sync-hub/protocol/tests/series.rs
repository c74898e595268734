//! One series read by its columns is what the frames say, whatever has happened to the segments.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use protocol::reader::StoreReader;
use protocol::replica::{Asked, SeriesReader, Vitals, frames_of};
use protocol::{Commit, Draft, Store, Where};
use record::binding::{Binding, Bound};
use record::code::Code;
use record::decimal::Decimal;
use record::fhir::{Reader, Vital, VitalsQuery, group};
use record::id::PatientId;
use record::observation::{NoValue, Quality};
use record::series::{Boot, Frame, Minutes, Numeric, Samples, Segment, SegmentKind};
use record::time::Timestamp;
use record::unit::Unit;
use support::{Node, frame};

/// Seconds after the epoch, so that minutes are easy to see.
fn second(n: i64) -> Frame {
    let mut frame = frame(n as u64, n * 1000, 90 + n % 7);
    match n % 11 {
        3 => frame.numerics[0].value = Err(NoValue::SensorOff),
        5 => frame.numerics[0].quality = Quality::Questionable,
        7 => frame.numerics[0].value = Ok(Decimal::new(955, -1)),
        _ => {}
    }
    frame
}

fn seal(node: &mut Node, patient: &PatientId, seconds: std::ops::Range<i64>) {
    let segment = Segment::build(SegmentKind::Numerics, &seconds.map(second).collect::<Vec<_>>()).expect("segment");
    node.commit(vec![Draft::Segment { place: Where::Patient(patient.clone()), segment }]);
}

fn tick(node: &mut Node, seconds: std::ops::Range<i64>) {
    for n in seconds {
        let now = node.now();
        let commit = Commit { tick: vec![second(n)], ..Commit::default() };
        node.replica.commit(&mut node.store, now, &mut node.entropy, &commit).expect("tick");
    }
}

/// A ward of two patients; the device reads for the first until second 700, then for the other.
fn ward() -> (Node, [PatientId; 2]) {
    let mut node = Node::new(1);
    let patients = ["p1", "p2"].map(|id| node.patient(id));
    let bed = |n: usize| ["1", "2"][n].parse().expect("bed");
    for (n, patient) in patients.iter().enumerate() {
        let scope = node.replica.scope_of(patient).expect("scope");
        let what = Bound::Patient { patient: patient.clone(), scope };
        let who = Binding { id: format!("who-{n}").parse().expect("id"), what, bed: bed(n), from: Timestamp(0), until: None };
        let change = Timestamp::from_millis(700_000);
        let (from, until) = if n == 0 { (Timestamp(0), Some(change)) } else { (change, None) };
        let what = Bound::Device("ox-1".parse().expect("id"));
        let reads = Binding { id: format!("reads-{n}").parse().expect("id"), what, bed: bed(n), from, until };
        node.commit(vec![Draft::Bind(who), Draft::Bind(reads)]);
    }
    (node, patients)
}

/// Everything the reader says, beside what the frames say, for several stretches of time.
fn compare(node: &mut Node, reader: &mut SeriesReader, patients: &[PatientId]) -> usize {
    let mut found = 0;
    for patient in patients {
        for (from, to) in [(0, i64::MAX / 2), (130_500, 431_000), (250_000, 250_000), (500_000, 800_000), (690_000, 720_000)] {
            let (from, to) = (Timestamp::from_millis(from), Timestamp::from_millis(to.min(i64::MAX / 2000)));
            let mut tx = node.store.begin().expect("begin");
            let wanted = Vitals { patient: patient.clone(), waves: false, from, to, device: None };
            let frames = frames_of(tx.as_mut(), &wanted).expect("frames");
            let asked = Asked { patient: patient.clone(), code: Code::SPO2, from, to };
            let mut samples = Samples::default();
            reader.samples(tx.as_mut(), &asked, &mut samples).expect("samples");
            let said = frames.iter().flat_map(|f| f.numerics.iter().map(|n| (f.measured, n.value.as_ref().copied(), n.quality)));
            assert!(samples.iter().eq(said), "{patient} {from:?} {to:?}");
            let mut minutes = reader.minutes(tx.as_mut(), &asked).expect("minutes").into_iter().map(|(_, minutes)| minutes);
            let whole = Minutes::of(&samples);
            let minutes = minutes.next().unwrap_or(Minutes { exponent: whole.exponent, rows: Vec::new() });
            assert_eq!(minutes.plotted().collect::<Vec<_>>(), whole.plotted().collect::<Vec<_>>(), "{patient} {from:?} {to:?}");
            let latest = reader.latest(tx.as_mut(), patient, from).expect("latest");
            let wanted = Vitals { to: Timestamp(i64::MAX), ..wanted };
            let newest = frames_of(tx.as_mut(), &wanted).expect("frames").last().map(|f| (f.measured, f.numerics[0].clone()));
            assert_eq!(latest.get(&Code::SPO2).cloned(), newest, "{patient} {from:?}");
            found += frames.len();
        }
    }
    found
}

#[test]
fn a_series_is_what_the_frames_say_sealed_masked_refiled_doubled_or_not_sealed_yet() {
    let (mut node, patients) = ward();
    let reader = &mut SeriesReader::default();
    assert_eq!(compare(&mut node, reader, &patients), 0);
    seal(&mut node, &patients[0], 0..200);
    seal(&mut node, &patients[0], 200..400);
    tick(&mut node, 400..900);
    let before = compare(&mut node, reader, &patients);
    assert!(before > 900);
    node.commit(vec![Draft::Refile {
        from: Where::Patient(patients[0].clone()),
        to: Where::Patient(patients[1].clone()),
        device: "ox-1".parse().expect("id"),
        start: Timestamp::from_millis(150_000),
        end: Timestamp::from_millis(260_000),
    }]);
    compare(&mut node, reader, &patients);
    // What a restored box does: it seals again, cut at other places.
    seal(&mut node, &patients[0], 100..300);
    compare(&mut node, reader, &patients);
    // Most of the tail is sealed, and stays in the journal for the while.
    seal(&mut node, &patients[0], 400..650);
    compare(&mut node, reader, &patients);
    tick(&mut node, 900..910);
    assert!(compare(&mut node, reader, &patients) > 0);
    assert_eq!(compare(&mut node, &mut SeriesReader::default(), &patients), compare(&mut node, reader, &patients));
}

#[test]
fn an_erased_patient_has_no_series_even_where_it_was_read_before() {
    let (mut node, patients) = ward();
    let reader = &mut SeriesReader::default();
    seal(&mut node, &patients[0], 0..200);
    assert!(compare(&mut node, reader, &patients) > 0);
    let now = node.now();
    node.replica.erase(&mut node.store, now, &mut node.entropy, &Default::default(), &patients[0]).expect("erase");
    let asked = Asked { patient: patients[0].clone(), code: Code::SPO2, from: Timestamp(0), to: Timestamp(i64::MAX) };
    let mut samples = Samples::default();
    reader.samples(node.store.begin().expect("begin").as_mut(), &asked, &mut samples).expect("samples");
    assert_eq!(samples, Samples::default());
}

/// A monitor's frame beside the oximeter's: a pressure of three parts, and what the oximeter has too.
fn monitor(n: i64) -> Frame {
    let mut frame = second(n);
    frame.device = "monitor-1".parse().expect("id");
    frame.boot = Boot([8; 12]);
    frame.first_seq = 5 * n as u64;
    let numeric = |code, value| Numeric { code, value: Ok(Decimal::whole(value)), unit: Unit::MmHg, quality: Quality::Good };
    let spo2 = frame.numerics.remove(0);
    frame.numerics = vec![numeric(Code::ABP_SYSTOLIC, 120 + n % 5), spo2, numeric(Code::ABP_DIASTOLIC, 70 - n % 3)];
    if n % 3 == 0 {
        frame.numerics.push(numeric(Code::ABP_MEAN, 88));
    }
    if n % 60 == 0 {
        frame.numerics.insert(0, numeric(Code::TEMPERATURE, 37));
    }
    frame
}

/// All that FHIR asks for in pages, beside what the frames say; how many there are.
fn compare_vitals(node: &mut Node, reader: &mut SeriesReader, patients: &[PatientId]) -> usize {
    let codes = [None, Some(vec![Code::SPO2]), Some(vec![Code::ABP_DIASTOLIC]), Some(vec![Code::TEMPERATURE, Code::SPO2]), Some(vec![])];
    let devices = [None, Some("monitor-1".parse().expect("id"))];
    let mut count = 0;
    for (patient, codes) in patients.iter().flat_map(|patient| codes.iter().map(move |codes| (patient, codes))) {
        for ((from, to), device) in
            [(0, i64::MAX), (130_500, 431_000), (690_000, 720_000)].into_iter().flat_map(|span| devices.iter().map(move |d| (span, d)))
        {
            for newest_first in [true, false] {
                let (from, to) = (Timestamp::from_millis(from), Timestamp(to.saturating_mul(1000)));
                let mut query = VitalsQuery {
                    patient: patient.clone(),
                    codes: codes.clone(),
                    device: device.clone(),
                    from,
                    to,
                    after: None,
                    limit: 700,
                    newest_first,
                };
                let mut tx = node.store.begin().expect("begin");
                let wanted = Vitals { patient: patient.clone(), waves: false, from, to, device: device.clone() };
                let frames = frames_of(tx.as_mut(), &wanted).expect("frames");
                assert!(reader.numerics(tx.as_mut(), &wanted).expect("numerics") == frames);
                let said = VitalsQuery { limit: usize::MAX, ..query.clone() }.select(frames.iter().flat_map(|frame| group(frame, patient)));
                let mut fhir = StoreReader::new(tx.as_mut(), reader);
                let mut got: Vec<Vital> = Vec::new();
                loop {
                    let page = fhir.vitals(&query).expect("vitals");
                    query.after = page.last().map(Vital::id);
                    got.extend(page.iter().cloned());
                    if page.len() < query.limit {
                        break;
                    }
                }
                assert!(got == said, "{query:?}: {} beside {}", got.len(), said.len());
                for vital in said.iter().step_by(331) {
                    assert_eq!(fhir.vital(&vital.id()).expect("vital").as_ref(), Some(vital));
                }
                count += said.len();
            }
        }
    }
    count
}

#[test]
fn fhir_finds_by_code_what_the_frames_say_of_several_devices_sealed_masked_doubled_or_not_sealed_yet() {
    let (mut node, patients) = ward();
    let patient = &patients[0];
    let scope = node.replica.scope_of(patient).expect("scope");
    let what = Bound::Device("monitor-1".parse().expect("id"));
    let reads = Binding { id: "reads-m".parse().expect("id"), what, bed: "1".parse().expect("bed"), from: Timestamp(0), until: None };
    node.commit(vec![Draft::Bind(reads)]);
    let reader = &mut SeriesReader::default();
    let sealed = |node: &mut Node, frames: Vec<Frame>| {
        let segment = Segment::build(SegmentKind::Numerics, &frames).expect("segment");
        node.commit(vec![Draft::Segment { place: Where::Patient(patients[0].clone()), segment }]);
    };
    let ticked = |node: &mut Node, frames: Vec<Frame>| {
        let (now, commit) = (node.now(), Commit { tick: frames, ..Commit::default() });
        node.replica.commit(&mut node.store, now, &mut node.entropy, &commit).expect("tick");
    };
    assert_eq!(compare_vitals(&mut node, reader, &patients), 0);
    // An hour is missing between them.
    sealed(&mut node, (0..120).map(|n| monitor(n * 2 + 1)).collect());
    seal(&mut node, patient, 0..200);
    seal(&mut node, patient, 200..400);
    (400..420).for_each(|n| ticked(&mut node, vec![second(n), monitor(n)]));
    assert!(compare_vitals(&mut node, reader, &patients) > 1000);
    // More comes, and is found without being asked for anew; then it changes hands at second 700.
    (420..760).for_each(|n| ticked(&mut node, vec![second(n), monitor(n)]));
    assert!(compare_vitals(&mut node, reader, &patients) > 2000);
    node.commit(vec![Draft::Refile {
        from: Where::Patient(patients[0].clone()),
        to: Where::Patient(patients[1].clone()),
        device: "ox-1".parse().expect("id"),
        start: Timestamp::from_millis(150_000),
        end: Timestamp::from_millis(260_000),
    }]);
    compare_vitals(&mut node, reader, &patients);
    // Sealed again by a restored box, cut at other places; and part of the tail sealed while it is still in the journal.
    seal(&mut node, patient, 80..140);
    seal(&mut node, patient, 270..390);
    sealed(&mut node, (400..600).map(monitor).collect());
    let kept = compare_vitals(&mut node, reader, &patients);
    assert_eq!(compare_vitals(&mut node, &mut SeriesReader::default(), &patients), kept);
    let what = Bound::Patient { patient: patient.clone(), scope };
    let left = Binding {
        id: "who-0".parse().expect("id"),
        what,
        bed: "1".parse().expect("bed"),
        from: Timestamp(0),
        until: Some(Timestamp::from_millis(650_000)),
    };
    node.commit(vec![Draft::Bind(left)]);
    assert!(compare_vitals(&mut node, reader, &patients) < kept);
}
