//! No bytes make a driver panic, lose its footing, or depend on how they were cut.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod frames;
mod support;

use catalogue::{PROTOCOLS, ProtocolRow};
use driver::frame::mllp;
use driver::profile::Profile;
use driver::{In, Out};
use frames::{dri_record, frame};
use hex_literal::hex;
use proptest::prelude::*;
use record::time::Monotonic;
use support::said;

fn feed(row: &ProtocolRow, pieces: &[&[u8]]) -> Vec<Out> {
    let mut driver = (row.make)(&Profile::bare(row.id));
    let mut out: Vec<Out> = pieces.iter().flat_map(|piece| driver.handle(Monotonic(0), In::Bytes(row.channel, piece))).collect();
    out.extend(driver.handle(Monotonic(0), In::Disconnected));
    out
}

fn streams() -> impl Iterator<Item = &'static ProtocolRow> {
    // A datagram is never cut.
    PROTOCOLS.iter().filter(|row| row.channel == driver::Channel::Stream && !matches!(row.link, catalogue::Link::Udp(_)))
}

#[test]
fn each_sample_frame_is_read_whole() {
    for row in PROTOCOLS {
        let out = feed(row, &[&frame(row)]);
        assert!(!said(&out).is_empty() && !out.iter().any(|o| matches!(o, Out::Fault(_))), "{}: {out:?}", row.id);
    }
}

#[test]
fn no_prefix_panics() {
    for row in PROTOCOLS {
        let frame = frame(row);
        for len in 0..frame.len() {
            feed(row, &[&frame[..len]]);
            catalogue::decode(row.id, &frame[..len]).expect("known");
        }
    }
}

#[test]
fn no_changed_byte_panics() {
    for row in PROTOCOLS {
        let frame = frame(row);
        for at in 0..frame.len() {
            let values: Vec<u8> =
                if frame.len() < 64 { (0..=255).collect() } else { vec![0, 1, 0x0B, 0x1C, 0x7D, 0x7E, 0x80, 0xFF, b'|', b'\\'] };
            for value in values {
                let mut changed = frame.clone();
                changed[at] = value;
                feed(row, &[&changed]);
            }
        }
    }
}

#[test]
fn no_changed_byte_behind_a_good_checksum_panics() {
    let row = catalogue::protocol("ge.dri").expect("row");
    for (main, body) in [(0, vec![0u8; 278]), (1, hex!("0400 0000 0200 4FFF 7E7D 0180 6000").to_vec())] {
        let framed = dri_record(main, 1, &body);
        let plain = driver::frame::FlagFramer::new(4096).push(&framed);
        let [driver::frame::Framed::Frame(plain)] = &plain[..] else { panic!("{plain:?}") };
        for at in 0..plain.len() - 1 {
            for value in [0, 1, 3, 0x7F, 0x80, 0xFF] {
                let mut record = plain[..plain.len() - 1].to_vec();
                record[at] = value;
                feed(row, &[&catalogue::serial::ge_dri::record::framed(&record)]);
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for row in PROTOCOLS {
            feed(row, &[&bytes]);
            catalogue::decode(row.id, &bytes).expect("known");
        }
    }

    #[test]
    fn no_message_text_panics(text in "(MSH\\|\\^~\\\\&\\|[A-Z^|\\\\~&0-9+.-]{0,80}[\r\n])?((OBX|OBR|PV1|MSH)\\|[A-Za-z0-9|^~&\\\\.+-]{0,60}[\r\n]){0,6}\\PC{0,20}") {
        feed(catalogue::protocol("hl7.oru").expect("row"), &[&mllp(text.as_bytes())]);
    }

    #[test]
    fn where_a_stream_is_cut_changes_nothing(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8), garbage in prop::collection::vec(any::<u8>(), 0..40)) {
        for row in streams() {
            let stream = [garbage.clone(), frame(row), garbage.clone(), frame(row)].concat();
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).chain([0, stream.len()]).collect();
            at.sort_unstable();
            let pieces: Vec<&[u8]> = at.windows(2).map(|w| &stream[w[0]..w[1]]).collect();
            prop_assert_eq!(feed(row, &[&stream]), feed(row, &pieces));
        }
    }

    #[test]
    fn garbage_between_frames_costs_no_frame(garbage in prop::collection::vec(any::<u8>(), 0..80)) {
        for row in streams() {
            let (clean, dirty) = (feed(row, &[&frame(row)]), feed(row, &[&garbage, &frame(row)]));
            let (clean, dirty) = (said(&clean), said(&dirty));
            // Without a checksum garbage can look like frames; what follows it is read all the same.
            let unchecked = matches!(row.id, "contec.cms50-old" | "contec.cms50-new" | "bci.oximeter");
            if !unchecked {
                prop_assert_eq!(clean.len(), dirty.len(), "{}", row.id);
            }
            prop_assert!(dirty.ends_with(&clean), "{}: {:?}", row.id, dirty);
        }
    }
}
