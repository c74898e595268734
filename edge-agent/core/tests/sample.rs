//! The path of one sample, and what screens are told.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use driver::Channel;
use edge_api::live::LiveMessage;
use edge_api::ward::DeviceState;
use edge_core::{Effect, Input, LiveEvent};
use record::code::Code;
use record::id::PatientId;
use support::*;

fn ward() -> Ward {
    let mut ward = Ward::new(vec![device("ox-1", "sig-pulse-oximeter", Some("2")), device("mon-1", "ge-b40-dri", Some("3"))]);
    ward.register("ana", serde_json::json!({}));
    ward.place("2", Some("ana")).expect("placed");
    ward.pass_ms(1_000);
    ward.log.clear();
    ward
}

#[test]
fn a_sample_is_durable_then_shown_then_published_with_whose_it_is() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.hold = true;
    ward.bytes(1, "ox-1", PLX, &plx(97, 72));
    let (_, commit) = ward.waiting.clone().expect("a commit");
    let frame = &commit.tick[0];
    assert_eq!((frame.numerics.len(), frame.first_seq, frame.bed.as_ref().map(|b| b.as_str())), (2, 0, Some("2")));
    assert_eq!((frame.arrived, frame.measured, frame.device_time), (ward.now.wall, ward.now.wall, None));
    ward.pass_ms(600);
    ward.log.clear();
    ward.answer();
    let position = |wanted: fn(&Effect) -> bool| ward.log.iter().position(wanted).expect("effect");
    let stored = position(|e| matches!(e, Effect::Live(LiveEvent::Message(m)) if matches!(**m, LiveMessage::Stored(_))));
    let published = position(|e| matches!(e, Effect::Telemetry(_)));
    let shown = position(|e| matches!(e, Effect::Live(LiveEvent::Message(m)) if matches!(**m, LiveMessage::Bed(_))));
    assert!(stored < published && published < shown);
    let Effect::Telemetry(telemetry) = &ward.log[published] else { panic!() };
    assert_eq!(telemetry[0].patient, Some("ana".parse::<PatientId>().expect("id")));
    assert_eq!((telemetry[0].code.as_str(), telemetry[0].status.as_str()), ("59408-5", "ok"));
    let spo2 = ward.shown("2", Code::SPO2).expect("shown");
    assert_eq!((spo2.value.map(|v| v.to_string()), spo2.points), (Some("97".to_owned()), Some(0)));
}

#[test]
fn nothing_is_shown_or_published_before_it_is_durable() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.hold = true;
    ward.log.clear();
    ward.bytes(1, "ox-1", PLX, &plx(97, 72));
    ward.pass_ms(3_000);
    assert_eq!(ward.value("2", Code::SPO2), None);
    let leaked = ward.log.iter().any(|e| match e {
        Effect::Telemetry(_) | Effect::Live(LiveEvent::Wave { .. }) => true,
        Effect::Live(LiveEvent::Message(message)) => match message.as_ref() {
            LiveMessage::Bed(bed) => !bed.numerics.is_empty(),
            LiveMessage::Stored(_) | LiveMessage::Alert(_) => true,
            _ => false,
        },
        _ => false,
    });
    assert!(!leaked, "{:?}", ward.log);
}

#[test]
fn what_arrives_during_a_commit_goes_into_the_next_one_together() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.hold = true;
    for spo2 in 90..95 {
        ward.bytes(1, "ox-1", PLX, &plx(spo2, 72));
    }
    assert_eq!(ward.waiting.as_ref().expect("first").1.tick.len(), 1);
    ward.answer();
    assert_eq!(ward.waiting.as_ref().expect("second").1.tick.len(), 4);
    ward.answer();
    assert_eq!(ward.value("2", Code::SPO2).as_deref(), Some("94"));
}

#[test]
fn bed_views_are_sent_at_most_five_times_a_second() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.log.clear();
    for n in 0..100u8 {
        ward.bytes(1, "ox-1", PLX, &plx(90 + n % 9, 72));
        ward.pass_ms(9);
    }
    ward.pass_ms(400);
    let beds: Vec<_> = ward.lives().into_iter().filter_map(|m| if let LiveMessage::Bed(bed) = m { Some(bed) } else { None }).collect();
    assert!((4..=8).contains(&beds.len()), "{}", beds.len());
    let last = beds.last().expect("a view");
    assert_eq!(last.numerics.iter().find(|n| n.key == "spo2").and_then(|n| n.value).map(|v| v.to_string()), ward.value("2", Code::SPO2));
}

#[test]
fn waves_reach_the_screens_of_their_bed_once_durable() {
    let mut ward = ward();
    ward.connect(2, "mon-1");
    ward.hold = true;
    ward.bytes(2, "mon-1", Channel::Stream, &dri_ecg(&[-177, -174, -168]));
    assert!(!ward.log.iter().any(|e| matches!(e, Effect::Live(LiveEvent::Wave { .. }))));
    ward.answer();
    let wave = ward.log.iter().find_map(|e| if let Effect::Live(LiveEvent::Wave { header, raw }) = e { Some((header, raw)) } else { None });
    let (header, raw) = wave.expect("a wave");
    assert_eq!((header.bed.as_str(), header.n, header.rate_hz, header.good), ("3", 3, 300.0, true));
    assert_eq!(raw, &[-177, -174, -168]);
    assert_eq!(ward.bed("3").waves[0].label, "ECG II");
}

#[test]
fn a_device_is_connected_only_by_its_bytes_and_an_unplugged_one_shows_at_once() {
    let mut ward = ward();
    let state = |ward: &Ward| ward.bed("2").devices[0].state;
    ward.connect(1, "ox-1");
    assert_eq!(state(&ward), DeviceState::Connecting);
    ward.bytes(1, "ox-1", PLX, &plx(97, 72));
    assert_eq!(state(&ward), DeviceState::Connected);
    ward.log.clear();
    ward.unplug(1, "ox-1");
    let told = ward.lives().into_iter().any(|m| matches!(m, LiveMessage::Device(d) if d.state == DeviceState::Disconnected));
    assert!(told);
    assert_eq!(ward.bed("2").devices[0].reason, "cable pulled: plug it in");
}

#[test]
fn a_silent_device_is_disconnected_after_its_profiles_silence_and_recovers_alone() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(97, 72));
    ward.pass_ms(7_900);
    assert_eq!(ward.bed("2").devices[0].state, DeviceState::Connected);
    ward.pass_ms(200);
    let view = ward.bed("2").devices[0].clone();
    assert!(view.state == DeviceState::Disconnected && view.reason.starts_with("silent for 8 s"), "{view:?}");
    ward.bytes(1, "ox-1", PLX, &plx(97, 72));
    assert_eq!(ward.bed("2").devices[0].state, DeviceState::Connected);
}

#[test]
fn a_replugged_device_begins_a_new_session_that_counts_from_zero() {
    let mut ward = ward();
    for link in 1..=2 {
        ward.connect(link, "ox-1");
        ward.bytes(link, "ox-1", PLX, &plx(97, 72));
        ward.bytes(link, "ox-1", PLX, &plx(97, 72));
        ward.unplug(link, "ox-1");
    }
    let seqs: Vec<_> = ward.ticked.iter().map(|f| f.first_seq).collect();
    assert_eq!(seqs, [0, 2, 0, 2]);
    assert_ne!(ward.ticked[0].boot, ward.ticked[2].boot);
    assert_eq!(ward.ticked[0].boot.0[..8], [1; 8]);
}

#[test]
fn a_missing_value_is_shown_with_its_reason_and_an_impossible_one_is_an_artefact() {
    let mut ward = ward();
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &[0, 0xFF, 0x07, 72, 0]);
    let spo2 = ward.shown("2", Code::SPO2).expect("shown");
    assert_eq!((spo2.value, spo2.status.as_str()), (None, "not-measured"));
    ward.bytes(1, "ox-1", PLX, &plx(180, 72));
    let spo2 = ward.shown("2", Code::SPO2).expect("shown");
    assert_eq!((spo2.value, spo2.status.as_str()), (None, "artefact"));
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["not-measured", "artefact"]);
}

#[test]
fn garbage_is_counted_not_fatal_and_the_next_frame_is_read() {
    let mut ward = ward();
    ward.connect(2, "mon-1");
    ward.bytes(2, "mon-1", Channel::Stream, &[0x7E, 1, 2, 3, 0x7E, 9, 9]);
    ward.bytes(2, "mon-1", Channel::Stream, &vec![0xAA; 100_000]);
    ward.bytes(2, "mon-1", Channel::Stream, &dri_ecg(&[1, 2]));
    assert!(ward.log.iter().any(|e| matches!(e, Effect::Note(edge_core::Note::Unreadable { .. }))));
    assert_eq!(ward.bed("3").waves.len(), 1);
}

#[test]
fn a_clock_set_back_by_an_hour_stops_nothing() {
    let mut ward = ward();
    ward.pass_ms(7_200_000);
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(97, 72));
    ward.now.wall = ward.now.wall.plus_micros(-3_600_000_000);
    ward.bytes(1, "ox-1", PLX, &plx(91, 72));
    ward.pass_ms(500);
    assert_eq!(ward.value("2", Code::SPO2).as_deref(), Some("91"));
    ward.pass_ms(120_000);
    ward.stop();
    ward.check_nothing_lost_or_doubled();
}

#[test]
fn the_same_inputs_give_the_same_effects() {
    let night = || {
        let mut ward = ward();
        ward.connect(1, "ox-1");
        for n in 0..40u8 {
            ward.bytes(1, "ox-1", PLX, &plx(80 + n % 20, 60 + n));
            ward.pass_ms(700);
        }
        ward.handle(Input::Stop);
        ward.log
    };
    assert_eq!(night(), night());
}

#[test]
fn an_unknown_device_is_noted_and_nothing_else() {
    let mut ward = ward();
    ward.bytes(9, "stranger", PLX, &plx(97, 72));
    assert!(ward.log.iter().any(|e| matches!(e, Effect::Note(edge_core::Note::UnknownDevice(_)))));
    assert!(ward.ticked.is_empty());
}
