//! No bytes make a driver panic, lose its footing, or depend on how they were cut.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use catalogue::{PROTOCOLS, ProtocolRow};
use driver::frame::mllp;
use driver::profile::Profile;
use driver::{In, Out};
use hex_literal::hex;
use proptest::prelude::*;
use record::time::Monotonic;
use support::readings;

/// One frame of each protocol, as the link carries it.
fn frame(row: &ProtocolRow) -> Vec<u8> {
    match row.id {
        "ble.heart-rate" => hex!("1F 01 01 32 01 01 00 02 01 FF FF").to_vec(),
        "ble.plx-spot" => hex!("1F 6100 6000 E107 01 01 01 22 13 2000 200000 0CF1").to_vec(),
        "ble.plx-continuous" => hex!("1F BDF3 3C00 6100 3D00 6200 3E00 0000 000000 0CF1").to_vec(),
        "ge.dri" => [dri_numerics(), dri_wave()].concat(),
        "hl7.oru" => mllp(
            b"MSH|^~\\&|MON|W|||20150118143000+0000||ORU^R01^ORU_R01|id1|P|2.6|||AL|AL\rPID|||1\rPV1||I|\\S\\^^B\rOBR|1||||||20150118143000\r\
              OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1|97|262688^MDC_DIM_PERCENT^MDC||QUES|||R|||20150118143000.1+0100||||0123^EUI\r\
              OBX|2|NM|150021^MDC_PRESS_BLD_NONINV_SYS^MDC|1.1|120|266016^MDC_DIM_MMHG^MDC|||||R\r",
        ),
        other => panic!("give {other} a frame here"),
    }
}

fn dri_record(main: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![0u8; 40];
    let len = i16::try_from(40 + body.len()).expect("length");
    record[..2].copy_from_slice(&len.to_le_bytes());
    record[6..10].copy_from_slice(&1_532_624_765u32.to_le_bytes());
    record[14] = main;
    record[18] = kind;
    record[21] = 0xFF;
    record.extend(body);
    catalogue::serial::ge_dri::record::framed(&record)
}

fn dri_numerics() -> Vec<u8> {
    let mut body = vec![0u8; 278];
    for at in [4, 20, 34, 76, 90, 122, 136, 150] {
        body[at] = 3;
        body[at + 4] = 1;
        body[at + 6..at + 14].copy_from_slice(&hex!("7E00 7D00 C125 AE1D"));
    }
    dri_record(0, 1, &body)
}

fn dri_wave() -> Vec<u8> {
    dri_record(1, 1, &hex!("0400 0000 0200 4FFF 7E7D 0180 6000"))
}

fn feed(row: &ProtocolRow, pieces: &[&[u8]]) -> Vec<Out> {
    let mut driver = (row.make)(&Profile::bare(row.id));
    pieces.iter().flat_map(|piece| driver.handle(Monotonic(0), In::Bytes(row.channel, piece))).collect()
}

fn streams() -> impl Iterator<Item = &'static ProtocolRow> {
    PROTOCOLS.iter().filter(|row| row.channel == driver::Channel::Stream)
}

#[test]
fn each_sample_frame_is_read_whole() {
    for row in PROTOCOLS {
        let out = feed(row, &[&frame(row)]);
        assert!(readings(&out).len() >= 2 && !out.iter().any(|o| matches!(o, Out::Fault(_))), "{}: {out:?}", row.id);
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
            // An opening mark in the garbage may swallow what follows up to the next mark, never a whole frame.
            prop_assert_eq!(readings(&clean), readings(&dirty), "{}", row.id);
        }
    }
}
