//! How small and how fast segments are: one JSON line a data set, over generated numerics and real records.
//!
//! `cargo run --release -p record --example codec_sizes`. Bytes are those of sealed payloads, cut as an appliance cuts them
//! (numerics by the hour, waves by the minute). Times are CPU time of this thread.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a measuring program: stopping is its error handling")]

mod numerics;
mod reference;
mod wfdb;

use record::code::Code;
use record::decimal::Decimal;
use record::id::{ReplicaId, RunId, ScopeId};
use record::ledger::seal::{Place, ScopeKey, seal};
use record::ledger::{Act, Body, Kind};
use record::observation::WaveBlock;
use record::series::{Boot, Frame, Segment, SegmentKind};
use record::time::{Monotonic, Timestamp};
use record::unit::Unit;
use std::path::Path;

fn main() {
    numerics::measure();
    let records = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/clinical/waveforms");
    for name in ["mimic_03700181/03700181", "alarm2015_a103l/a103l", "mitbih_100/100", "ptb_s0010/s0010_re"] {
        match wfdb::read(&records.join(name)) {
            Ok(channels) => waves(name, &channels),
            Err(why) => println!("{}", serde_json::json!({ "name": name, "skipped": why })),
        }
    }
}

/// CPU time of this thread, ns.
pub fn cpu_ns() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    stat.split_whitespace().next().and_then(|n| n.parse().ok()).expect("schedstat")
}

/// What `work` gives, and its CPU time, ns, over as many runs as give a steady figure: the kernel counts in ticks.
pub fn timed<T>(mut work: impl FnMut() -> T) -> (T, f64) {
    let before = cpu_ns();
    let mut runs = 0;
    loop {
        let out = work();
        runs += 1;
        let spent = cpu_ns() - before;
        if spent > 400_000_000 {
            return (out, spent as f64 / f64::from(runs));
        }
    }
}

/// Of the scope whose segments are measured.
pub const KEY: ScopeKey = ScopeKey([4; 32]);

/// Where a payload stands in it.
pub const fn place(seq: u64) -> Place {
    Place { author: ReplicaId([1; 32]), run: RunId([2; 8]), scope: ScopeId([3; 16]), seq, kind: Kind::NUMERICS }
}

/// Bytes of a segment as they lie in the ledger.
pub fn sealed(segment: &Segment, seq: u64) -> Vec<u8> {
    let body = Body::Segment(segment.clone());
    seal(Some(&KEY), &Place { kind: body.kind(), ..place(seq) }, &body.encode(&Act::system())).expect("seal")
}

fn waves(name: &str, channels: &[wfdb::Channel]) {
    let seconds = channels.iter().map(|c| c.samples.len() / c.rate_hz).min().expect("channels");
    let frames: Vec<Frame> = (0..seconds)
        .map(|second| {
            let block = |(n, channel): (usize, &wfdb::Channel)| WaveBlock {
                code: Code::Mdc(n as u32),
                rate_hz: Decimal::whole(channel.rate_hz as i64),
                unit: Unit::Millivolt,
                scale: Decimal::new(5, -3),
                raw: channel.samples[second * channel.rate_hz..(second + 1) * channel.rate_hz].to_vec(),
                good: true,
                demo: false,
            };
            let at = 1_700_002_800_000_000 + second as i64 * 1_000_000;
            Frame {
                device: "monitor-1".parse().expect("id"),
                boot: Boot([1; 12]),
                first_seq: (second * channels.len()) as u64,
                arrived: Timestamp(at),
                arrived_mono: Monotonic(at as u64),
                measured: Timestamp(at),
                device_time: None,
                offset_us: None,
                bed: None,
                numerics: Vec::new(),
                waves: channels.iter().enumerate().map(block).collect(),
            }
        })
        .collect();
    let samples: f64 = frames.iter().map(Frame::wave_samples).sum::<u64>() as f64;
    let minutes = || frames.chunks(60).map(|minute| Segment::build(SegmentKind::Waves, minute).expect("segment"));
    let (segments, encode) = timed(|| minutes().collect::<Vec<_>>());
    let (back, decode) = timed(|| segments.iter().flat_map(|s| s.frames().expect("frames")).collect::<Vec<_>>());
    assert!(back == frames, "{name} comes back changed");
    let bytes: usize = segments.iter().map(|s| sealed(s, 7).len()).sum();
    let whole: usize = channels.iter().map(|c| c.samples.len()).sum();
    let entropy: f64 = channels.iter().map(|c| reference::lpc_entropy_bytes(&c.samples, 32)).sum();
    let pco: usize = channels.iter().map(|c| reference::pco_bytes(&c.samples)).sum();
    let per = |n: f64, of: f64| (n / of * 1e5).round() / 1e5;
    let line = serde_json::json!({
        "name": name, "channels": channels.len(), "samples": samples, "bytes": bytes, "bytes_per_sample": per(bytes as f64, samples),
        "lpc32_entropy": per(entropy, whole as f64), "of_entropy": per(bytes as f64 / samples * whole as f64, entropy),
        "pco_alone": per(pco as f64, whole as f64),
        "encode_us_per_sample": per(encode, samples * 1e3), "decode_us_per_sample": per(decode, samples * 1e3),
    });
    println!("{line}");
}
