//! Segments come from other boxes: whatever their bytes say, reading them ends, in bounded memory, without a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use record::code::Code;
use record::decimal::Decimal;
use record::id::{ReplicaId, RunId, ScopeId};
use record::ledger::seal::{CANONICAL_LIMIT, Place, SealError, open, seal};
use record::ledger::{Body, Kind};
use record::observation::{NoValue, Quality, WaveBlock};
use record::series::{Boot, Frame, Numeric, Samples, Segment, SegmentError, SegmentKind, limits};
use record::time::{Monotonic, Timestamp};
use record::unit::Unit;
use std::sync::OnceLock;

fn frame(second: i64, numerics: Vec<Numeric>, waves: Vec<WaveBlock>) -> Frame {
    let at = 1_700_000_000_000_000 + second * 1_000_000;
    Frame {
        device: "monitor-1".parse().expect("id"),
        boot: Boot([1; 12]),
        first_seq: second as u64 * 4,
        arrived: Timestamp(at + second % 7 * 311),
        arrived_mono: Monotonic(at as u64),
        measured: Timestamp(at),
        device_time: (second % 3 == 0).then_some(Timestamp(at + 5)),
        offset_us: None,
        bed: None,
        numerics,
        waves,
    }
}

/// A minute and a half of a monitor, lively enough that every codec is at work.
fn frames() -> Vec<Frame> {
    let noise = |n: i64| (n * 7_919 % 101 - 50) * (n * 104_729 % 13);
    let numeric = |code, value| Numeric { code, value, unit: Unit::PerMinute, quality: Quality::Good };
    let wave = |code, second: i64| WaveBlock {
        code,
        rate_hz: Decimal::whole(50),
        unit: Unit::Millivolt,
        scale: Decimal::new(5, -3),
        raw: (0..50).map(|n| ((second * 50 + n) as i32 % 60).pow(2) + noise(second * 50 + n) as i32 / 20).collect(),
        good: second != 3,
        demo: false,
    };
    let one = |second: i64| {
        let numerics = vec![
            numeric(Code::HEART_RATE, Ok(Decimal::whole(80 + noise(second / 4) / 300))),
            numeric(Code::ABP_MEAN, Ok(Decimal::new(900 + noise(second), -1))),
            numeric(Code::SPO2, if second % 40 < 35 { Ok(Decimal::whole(97)) } else { Err(NoValue::Fault("cable".into())) }),
            numeric(Code::Mdc(9), Ok(Decimal::whole(noise(second).pow(3)))),
        ];
        frame(second, numerics, vec![wave(Code::ECG_I, second), wave(Code::ECG_II, second)])
    };
    (0..90).map(one).collect()
}

/// Bodies of numerics and of waves as the first version wrote them. How they are coded may get better; what they say may not change.
fn bodies() -> &'static [Vec<u8>; 2] {
    static BODIES: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    BODIES.get_or_init(|| {
        [include_str!("formats/numerics.hex"), include_str!("formats/waves.hex")].map(|text| hex::decode(text.trim()).expect("hex"))
    })
}

fn built(kind: SegmentKind) -> Segment {
    Segment::build(kind, &frames()).expect("segment")
}

/// Everything that can be asked of a segment; true if all of it was answered.
fn read(bytes: &[u8]) -> bool {
    let Ok((_, Body::Segment(segment))) = Body::decode(bytes) else { return false };
    let frames = segment.frames();
    if let Ok(frames) = &frames {
        assert!(frames.len() <= limits::FRAMES);
        assert!(frames.iter().map(Frame::len).sum::<u64>() <= limits::POINTS as u64);
        assert!(frames.iter().map(Frame::wave_samples).sum::<u64>() <= limits::SAMPLES as u64);
    }
    let mut samples = Samples::default();
    assert_eq!(segment.view().check().is_ok(), frames.is_ok());
    let one = segment.view().codes().try_for_each(|code| segment.samples(code, &mut samples));
    let minutes = segment.minutes().map(|list| list.iter().map(|(_, _, m)| m.encode()).collect::<Vec<_>>());
    assert!(samples.iter().count() <= limits::POINTS);
    frames.is_ok() && one.is_ok() && minutes.is_ok()
}

#[test]
fn what_the_first_version_wrote_reads_as_it_was() {
    let both = [SegmentKind::Numerics, SegmentKind::Waves].into_iter().zip(bodies());
    for (kind, bytes) in both {
        let Ok((_, Body::Segment(segment))) = Body::decode(bytes) else { panic!("{kind:?} does not decode") };
        assert_eq!(segment.frames(), built(kind).frames(), "{kind:?}");
        assert_eq!((segment.start, segment.end, segment.next_seq()), (built(kind).start, built(kind).end, built(kind).next_seq()));
    }
}

#[test]
fn a_whole_segment_is_read_and_any_part_of_it_is_refused() {
    for bytes in bodies() {
        assert!(read(bytes));
        for cut in (0..bytes.len()).filter(|cut| *cut < 200 || cut % 7 == 0 || cut + 9 > bytes.len()) {
            assert!(!read(&bytes[..cut]), "cut at {cut} of {}", bytes.len());
        }
    }
}

#[test]
fn one_series_is_what_the_frames_say() {
    let segment = Segment::build(SegmentKind::Numerics, &frames()).expect("segment");
    for code in [Code::HEART_RATE, Code::ABP_MEAN, Code::SPO2, Code::Mdc(9)] {
        let mut samples = Samples::default();
        segment.samples(code, &mut samples).expect("samples");
        let frames = frames();
        let wanted = frames
            .iter()
            .flat_map(|f| f.numerics.iter().filter(|n| n.code == code).map(|n| (f.measured, n.value.as_ref().copied(), n.quality)));
        assert!(samples.iter().eq(wanted), "{code}");
    }
    let mut none = Samples::default();
    segment.samples(Code::CVP_MEAN, &mut none).expect("samples");
    assert_eq!(none, Samples::default());
}

#[test]
fn more_than_a_segment_may_hold_is_not_written() {
    let many: Vec<Frame> = (0..=limits::FRAMES as i64)
        .map(|n| {
            frame(n, vec![Numeric { code: Code::SPO2, value: Ok(Decimal::whole(97)), unit: Unit::Percent, quality: Quality::Good }], vec![])
        })
        .collect();
    assert_eq!(Segment::build(SegmentKind::Numerics, &many), Err(SegmentError::TooMuch { what: "frames", limit: limits::FRAMES }));
    assert!(Segment::build(SegmentKind::Numerics, &many[1..]).is_ok_and(|s| s.frames().is_ok_and(|f| f.len() == limits::FRAMES)));
}

#[test]
fn a_payload_says_how_it_is_packed_and_what_it_unpacks_to_is_bounded() {
    let place = |kind| Place { author: ReplicaId([1; 32]), run: RunId([2; 8]), scope: ScopeId([3; 16]), seq: 1, kind };
    let zeros = vec![0u8; 100_000];
    assert!(seal(None, &place(Kind::AUDIT), &zeros).expect("seal").len() < 200);
    assert_eq!(seal(None, &place(Kind::NUMERICS), &zeros).expect("seal").len(), zeros.len() + 17);
    for kind in [Kind::AUDIT, Kind::WAVES] {
        assert_eq!(open(None, &place(kind), &seal(None, &place(kind), &zeros).expect("seal")).expect("open"), zeros);
    }
    let packed = |len: usize, content: &[u8]| {
        let bomb = zstd::bulk::compress(content, 3).expect("zstd");
        [[0; 16].as_slice(), &[1], &(len as u32).to_be_bytes(), &bomb].concat()
    };
    let bomb = vec![0u8; CANONICAL_LIMIT + 1];
    assert_eq!(open(None, &place(Kind::AUDIT), &packed(bomb.len(), &bomb)), Err(SealError::Damaged("too long")));
    assert_eq!(open(None, &place(Kind::AUDIT), &packed(10, &bomb)), Err(SealError::Damaged("not compressed as stated")));
    assert_eq!(open(None, &place(Kind::AUDIT), &packed(10, b"nine byte")), Err(SealError::Damaged("shorter than stated")));
    assert!(matches!(open(None, &place(Kind::AUDIT), &[[0; 16].as_slice(), &[9]].concat()), Err(SealError::Damaged(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn altered_segments_are_refused_or_bounded(which in 0usize..2, changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = bodies()[which].clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read(&bytes);
    }

    #[test]
    fn any_wave_comes_back(leads in proptest::collection::vec(proptest::collection::vec(prop_oneof![any::<i32>(), -9i32..9], 0..400), 1..4), step in 1i32..40) {
        let block = |(n, raw): (usize, Vec<i32>)| WaveBlock {
            code: Code::Mdc(n as u32),
            rate_hz: Decimal::whole(100),
            unit: Unit::One,
            scale: Decimal::whole(1),
            raw: raw.into_iter().map(|v| if step > 20 { (v % 5) * step } else { v }).collect(),
            good: true,
            demo: false,
        };
        let frames = vec![frame(0, Vec::new(), leads.into_iter().enumerate().map(block).collect())];
        let segment = Segment::build(SegmentKind::Waves, &frames).expect("segment");
        prop_assert_eq!(segment.frames().expect("frames"), frames);
    }
}
