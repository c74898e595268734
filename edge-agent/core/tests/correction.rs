//! Putting right who lay in a bed, and records that are no longer here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use edge_api::bed::PlacePatient;
use edge_core::{Command, CommandError, CommandReply, Input, Room};
use protocol::commit::GivenUp;
use record::code::Code;
use serde_json::json;
use support::{BEGIN_MS, PLX, Ward, device, plx, plx_demo};

fn ward() -> Ward {
    let mut ward = Ward::new(vec![device("ox-1", "sig-pulse-oximeter", Some("1")), device("ox-2", "sig-pulse-oximeter", Some("2"))]);
    ward.register("ana", json!({}));
    ward.register("berta", json!({}));
    ward.connect(1, "ox-1");
    ward.connect(2, "ox-2");
    ward
}

fn since(ward: &mut Ward, bed: &str, patient: Option<&str>, since_ms: i64) -> Result<CommandReply, CommandError> {
    let request = PlacePatient { patient: patient.map(str::to_owned), since_ms: Some(since_ms) };
    ward.command(Command::PlacePatient { bed: bed.to_owned(), request })
}

fn measure(ward: &mut Ward, values: &[(u8, u8)]) {
    for (one, two) in values {
        ward.bytes(1, "ox-1", PLX, &plx(*one, 70));
        ward.bytes(2, "ox-2", PLX, &plx(*two, 80));
        ward.pass_ms(20_000);
    }
}

#[test]
fn two_who_were_swapped_get_their_own_values_sealed_or_not_and_each_once() {
    let mut ward = ward();
    ward.place("1", Some("ana")).expect("placed");
    ward.place("2", Some("berta")).expect("placed");
    ward.observe("1", "ana", &[("temperature", "38.5", "Cel")]).expect("observed");
    measure(&mut ward, &[(98, 88)]);
    let swapped = ward.now.wall.millis();
    // Sealed after a minute; the last of it still waits.
    measure(&mut ward, &[(97, 87), (96, 86), (95, 85), (94, 84), (93, 83)]);
    ward.observe("1", "ana", &[("temperature", "36.6", "Cel")]).expect("observed");
    assert!(!ward.sealed.is_empty() && !ward.journal().is_empty());
    let alerts = ward.open_alerts().len();

    since(&mut ward, "1", Some("berta"), swapped).expect("corrected");
    since(&mut ward, "2", Some("ana"), swapped).expect("corrected");
    let check = |ward: &mut Ward| {
        assert_eq!(ward.charted_values("ana", Code::SPO2), ["98", "87", "86", "85", "84", "83"]);
        assert_eq!(ward.charted_values("berta", Code::SPO2), ["88", "97", "96", "95", "94", "93"]);
        assert_eq!(ward.charted_values("ana", Code::TEMPERATURE), ["38.5"]);
        assert_eq!(ward.charted_values("berta", Code::TEMPERATURE), ["36.6"]);
    };
    check(&mut ward);
    assert_eq!(ward.bed("1").patient.expect("patient").id, "berta");
    assert_eq!((ward.value("1", Code::SPO2), ward.value("2", Code::SPO2)), (Some("93".into()), Some("83".into())));
    assert!(ward.open_alerts().len() <= alerts + 1, "what is moved is not rung for again");
    // Said twice, it is so already.
    let commits = ward.commits;
    since(&mut ward, "2", Some("ana"), swapped).expect("corrected");
    assert_eq!(ward.commits, commits);
    ward.crash();
    check(&mut ward);
    ward.stop();
    check(&mut ward);
}

#[test]
fn what_was_filed_to_nobody_is_found_for_whoever_lay_there_all_along() {
    let mut ward = ward();
    let came = ward.now.wall.millis();
    measure(&mut ward, &[(98, 88), (97, 87), (96, 86), (95, 85), (94, 84)]);
    ward.bytes(1, "ox-1", PLX, &plx_demo(50, 50));
    ward.pass_ms(61_000);
    assert!(ward.charted_values("ana", Code::SPO2).is_empty());
    since(&mut ward, "1", Some("ana"), came).expect("corrected");
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["98", "97", "96", "95", "94"], "without demonstration data");
    since(&mut ward, "1", None, came).expect("corrected");
    assert!(ward.charted_values("ana", Code::SPO2).is_empty(), "taken back");
}

#[test]
fn a_correction_has_bounds() {
    let mut ward = ward();
    let now = ward.now.wall.millis();
    assert_eq!(since(&mut ward, "1", Some("ana"), now + 120_000), Err(CommandError::InFuture));
    assert_eq!(since(&mut ward, "1", Some("ana"), now - 13 * 3_600_000), Err(CommandError::TooLongAgo { hours_max: 12 }));
    assert!(matches!(since(&mut ward, "1", Some("nobody"), BEGIN_MS), Err(CommandError::UnknownPatient { .. })));
}

#[test]
fn of_a_record_that_closed_nothing_is_kept_nothing_is_filed_to_it_and_the_bed_says_so() {
    let mut ward = ward();
    ward.place("1", Some("ana")).expect("placed");
    measure(&mut ward, &[(80, 88)]);
    assert_eq!(ward.open_alerts().len(), 1);
    ward.log.clear();
    ward.handle(Input::Closed(vec!["ana".parse().expect("id")]));
    ward.pass_ms(1_000);
    let bed = ward.bed("1");
    assert!(bed.record_closed && bed.patient.is_none() && bed.score.is_none());
    assert!(ward.open_alerts().is_empty());
    measure(&mut ward, &[(81, 88)]);
    assert_eq!(ward.value("1", Code::SPO2), Some("81".into()), "the bed is still shown");
    assert!(ward.open_alerts().is_empty());
    assert!(matches!(ward.place("2", Some("ana")), Err(CommandError::UnknownPatient { .. })));
    ward.pass_ms(61_000);
    assert!(ward.journal().len() <= 1, "what was measured since is sealed, to nobody");
    ward.place("1", Some("berta")).expect("placed");
    assert!(!ward.bed("1").record_closed);
}

#[test]
fn with_room_for_little_an_alert_is_written_without_what_waits() {
    let mut ward = ward();
    ward.place("1", Some("ana")).expect("placed");
    measure(&mut ward, &[(97, 97)]);
    // No commit with readings has room.
    ward.hold = true;
    ward.bytes(1, "ox-1", PLX, &plx(80, 70));
    ward.refuse_as(true, "full", 1_000);
    ward.handle(Input::Room(Room::Scarce(GivenUp { waves: 10, ..GivenUp::default() })));
    assert_eq!(ward.ward().saving.shedding.expect("told").waves_bytes, 10);
    ward.pass_ms(30_000);
    for _ in 0..20 {
        let Some((_, commit)) = &ward.waiting else { break };
        if commit.tick.is_empty() {
            ward.answer();
        } else {
            ward.refuse_as(true, "full", 1_000);
            ward.pass_ms(2_000);
        }
    }
    ward.ask(Command::PlacePatient { bed: "2".to_owned(), request: PlacePatient { patient: Some("berta".to_owned()), since_ms: None } });
    for _ in 0..20 {
        match ward.waiting.as_ref().map(|(_, commit)| commit.tick.is_empty()) {
            Some(true) => ward.answer(),
            Some(false) => ward.refuse_as(true, "full", 1_000),
            None => {}
        }
        ward.pass_ms(2_000);
    }
    assert_eq!(ward.bed("2").patient.expect("placed").id, "berta");
    ward.handle(Input::Room(Room::Freed(GivenUp { waves: 5, numerics: 1, safe: 2 })));
    ward.hold = false;
    while ward.waiting.is_some() {
        ward.answer();
    }
    ward.pass_ms(2_000);
    let shedding = ward.ward().saving.shedding.expect("told");
    assert_eq!((shedding.waves_bytes, shedding.numerics_bytes, shedding.held_elsewhere_bytes), (15, 1, 2));
    assert_eq!(ward.ward().saving.stopped_ms, None);
    ward.handle(Input::Room(Room::Plenty));
    assert_eq!(ward.ward().saving, edge_api::saving::SavingView::default());
}
