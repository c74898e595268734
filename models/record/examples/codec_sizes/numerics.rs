//! Generated numerics: 40 series of four monitors, a day at 1 Hz, each a wandering value shown in the steps of a display.

use crate::{KEY, place, reference, sealed, timed};
use record::code::{CODES, Code};
use record::decimal::Decimal;
use record::ledger::body::segment_in;
use record::ledger::seal::Opener;
use record::observation::Quality;
use record::series::{Boot, Frame, Minutes, Numeric, Samples, Segment, SegmentKind};
use record::time::{Monotonic, Timestamp};

const DEVICES: usize = 4;
const SERIES: usize = 10;
const SECONDS: usize = 86_400;
/// How far a value wanders in a second, in steps of its display; series differ.
const RESTLESSNESS: [f64; SERIES] = [0.12, 0.20, 0.25, 0.30, 0.34, 0.38, 0.42, 0.46, 0.55, 0.75];

pub fn measure() {
    let walks: Vec<Vec<i64>> = (0..DEVICES * SERIES).map(|n| walk(n as u64 + 1, RESTLESSNESS[n % SERIES])).collect();
    let samples = (walks.len() * SECONDS) as f64;
    let pco: usize = walks.iter().map(|w| reference::pco_bytes(w)).sum();
    let hourly: usize = walks.iter().flat_map(|w| w.chunks(3600)).map(reference::pco_bytes).sum();
    let deltas = |w: &[i64]| w.windows(2).map(|p| p[1] - p[0]).collect::<Vec<_>>();
    let floor: f64 = walks.iter().map(|w| reference::entropy_bytes(deltas(w).into_iter())).sum();
    let devices: Vec<Vec<Frame>> = walks.chunks(SERIES).enumerate().map(|(n, walks)| frames(n, walks)).collect();
    let hours =
        || devices.iter().flat_map(|frames| frames.chunks(3600)).map(|h| Segment::build(SegmentKind::Numerics, h).expect("segment"));
    let (segments, encode) = timed(|| hours().collect::<Vec<_>>());
    let (_, decode) = timed(|| segments.iter().map(|s| s.frames().expect("frames").len()).sum::<usize>());
    for (frames, segment) in devices.iter().flat_map(|frames| frames.chunks(3600)).zip(&segments) {
        assert!(segment.frames().expect("frames") == frames, "numerics come back changed");
    }
    let payloads: Vec<Vec<u8>> = segments.iter().enumerate().map(|(at, s)| sealed(s, at as u64)).collect();
    let bytes: usize = payloads.iter().map(Vec::len).sum();
    let mut day = Samples::default();
    let mut opener = Opener::default();
    let (_, day_ns) = timed(|| {
        day = Samples::default();
        day.reserve(SECONDS);
        for (at, payload) in payloads[..24].iter().enumerate() {
            let canonical = opener.reopen(&KEY, &place(at as u64), payload.clone()).expect("open");
            segment_in(&canonical).expect("segment").samples(CODES_USED[4], &mut day).expect("samples");
        }
    });
    assert_eq!(day.mantissas, walks[4]);
    let (_, decode_ns) = timed(|| {
        day.clear();
        segments[..24].iter().try_for_each(|s| s.samples(CODES_USED[4], &mut day)).expect("samples");
    });
    let (_, check) = timed(|| segments.iter().try_for_each(|s| s.view().check()).expect("sound"));
    let (minutes, summing) = timed(|| segments.iter().flat_map(|s| s.minutes().expect("minutes")).collect::<Vec<_>>());
    let blobs: Vec<Vec<u8>> = minutes.iter().map(|(_, _, m)| m.encode()).collect();
    let minute_bytes: usize = blobs.iter().map(Vec::len).sum();
    let one: Vec<&Vec<u8>> = blobs.iter().skip(4).step_by(SERIES).take(24).collect();
    let (plotted, day_of_minutes) =
        timed(|| one.iter().flat_map(|b| Minutes::decode(b).expect("minutes").plotted().collect::<Vec<_>>()).count());
    let per = |n: f64, of: f64| (n / of * 1e5).round() / 1e5;
    let line = serde_json::json!({
        "name": "numerics", "samples": samples, "bytes": bytes, "bytes_per_sample": per(bytes as f64, samples),
        "order0_entropy": per(floor, samples), "pco_alone": per(pco as f64, samples), "pco_hourly": per(hourly as f64, samples),
        "encode_us_per_sample": per(encode, samples * 1e3), "decode_us_per_sample": per(decode, samples * 1e3),
        "minutes_bytes_per_sample": per(minute_bytes as f64, samples), "minutes_us_per_sample": per(summing, samples * 1e3),
        "minutes_of_a_day": plotted, "day_of_minutes_us": per(day_of_minutes, 1e3), "day_of_one_series_us": per(day_ns, 1e3), "of_that_decoding_us": per(decode_ns, 1e3),
        "check_us_per_sample": per(check, samples * 1e3),
    });
    println!("{line}");
}

const CODES_USED: [Code; SERIES] = [
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

fn frames(device: usize, walks: &[Vec<i64>]) -> Vec<Frame> {
    let numeric = |second: usize| {
        move |(n, walk): (usize, &Vec<i64>)| Numeric {
            code: CODES_USED[n],
            value: Ok(Decimal::new(walk[second], if n == 8 { -1 } else { 0 })),
            unit: CODES.iter().find(|row| row.key == CODES_USED[n].key()).expect("row").unit,
            quality: Quality::Good,
        }
    };
    let frame = |second: usize| {
        let at = 1_700_002_800_000_000 + second as i64 * 1_000_000;
        Frame {
            device: format!("monitor-{device}").parse().expect("id"),
            boot: Boot([1; 12]),
            first_seq: (second * SERIES) as u64,
            arrived: Timestamp(at + 1500),
            arrived_mono: Monotonic(at as u64 - 1_600_000_000_000_000),
            measured: Timestamp(at),
            device_time: None,
            offset_us: None,
            bed: None,
            numerics: walks.iter().enumerate().map(numeric(second)).collect(),
            waves: Vec::new(),
        }
    };
    (0..SECONDS).map(frame).collect()
}

/// A walk drawn back to where it began, rounded.
fn walk(seed: u64, restlessness: f64) -> Vec<i64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut uniform = move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    };
    let mut away = 0.0f64;
    (0..SECONDS)
        .map(|_| {
            // Twelve uniform numbers are near enough to normal.
            let normal = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
            away = away * 0.999 + normal * restlessness;
            (90.0 + away).round() as i64
        })
        .collect()
}
