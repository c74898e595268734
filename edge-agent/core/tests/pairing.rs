//! Pairing, moving and exchanging devices, and what more may be asked of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use driver::Channel;
use driver::frame::mllp;
use edge_api::device::{
    BeginPairing, CommandView, FoundDevice, PairingStage, PairingView, Passkey, ReachedBy, Record, SendCommand, SpanView, SwapDevice,
};
use edge_core::{BondEvent, Command, CommandError, CommandReply, Effect, Input, LinkEvent, Sighting};
use protocol::{Draft, Where};
use record::code::Code;
use serde_json::json;
use support::*;

const ADDRESS: &str = "02:00:00:00:00:0A";
const DEVICE: &str = "ble-02000000000a.07070707";
const OTHER: &str = "ble-02000000000b.07070707";
const BP: Channel = Channel::assigned(0x2A35);

fn bluetooth(address: &str) -> ReachedBy {
    ReachedBy::Bluetooth { address: address.to_owned() }
}

fn ward() -> Ward {
    ward_with(|_| {})
}

fn ward_with(change: impl FnOnce(&mut edge_core::Settings)) -> Ward {
    let mut settings = settings(vec![device("hr-1", "sig-heart-rate", Some("3"))]);
    // A site that sets its devices' clocks says so in its profiles.
    for profile in &mut settings.profiles {
        if profile.name == "sig-pulse-oximeter-spot" {
            profile.utc_offset_min = Some(0);
        }
    }
    change(&mut settings);
    let mut ward = Ward::with(settings);
    for patient in ["ana", "berta"] {
        ward.register(patient, json!({}));
    }
    ward.place("1", Some("ana")).expect("placed");
    ward.place("2", Some("berta")).expect("placed");
    ward.log.clear();
    ward
}

fn request(address: &str, bed: &str, profile: &str) -> BeginPairing {
    BeginPairing {
        by: bluetooth(address),
        bed: bed.to_owned(),
        profile: Some(profile.to_owned()),
        name: None,
        replaces: None,
        bond: false,
        take_over: false,
    }
}

fn begin(ward: &mut Ward, request: BeginPairing) -> Result<PairingView, CommandError> {
    match ward.command(Command::BeginPairing(request))? {
        CommandReply::Pairing(view) => Ok(*view),
        other => panic!("{other:?}"),
    }
}

fn look(ward: &mut Ward, pairing: &str) -> PairingView {
    match ward.command(Command::ShowPairing(pairing.to_owned())) {
        Ok(CommandReply::Pairing(view)) => *view,
        other => panic!("{other:?}"),
    }
}

fn confirm(ward: &mut Ward, pairing: &str) -> Result<CommandReply, CommandError> {
    ward.command(Command::ConfirmPairing(pairing.to_owned()))
}

/// A second of valid data, each second.
fn valid(ward: &mut Ward, link: u64, device: &str, seconds: u64) {
    for _ in 0..=seconds {
        ward.bytes(link, device, PLX, &plx(97, 70));
        ward.pass_ms(1_000);
    }
}

/// Pairs an oximeter for a bed.
fn pair(ward: &mut Ward, link: u64, address: &str, device: &str, bed: &str) {
    let pairing = begin(ward, request(address, bed, "sig-pulse-oximeter")).expect("begun");
    ward.connect(link, device);
    valid(ward, link, device, 5);
    confirm(ward, &pairing.id).expect("confirmed");
}

fn spans(ward: &mut Ward, device: &str) -> Vec<SpanView> {
    match ward.command(Command::ListBindings(device.to_owned())) {
        Ok(CommandReply::Bindings(spans)) => spans,
        other => panic!("{other:?}"),
    }
}

fn scan(ward: &mut Ward, sightings: Vec<Sighting>) -> Vec<FoundDevice> {
    match ward.command(Command::Recognise(sightings)) {
        Ok(CommandReply::Found(found)) => found,
        other => panic!("{other:?}"),
    }
}

fn sighting(address: &str, name: &str, services: &[u16]) -> Sighting {
    let services = services.iter().map(|number| driver::profile::Uuid::assigned(*number).0).collect();
    Sighting { by: bluetooth(address), name: Some(name.to_owned()), rssi_dbm: Some(-60), services }
}

fn opened(ward: &Ward) -> Vec<(String, String)> {
    let one = |effect: &Effect| match effect {
        Effect::OpenLink { device, profile, .. } => Some((device.to_string(), profile.name.clone())),
        _ => None,
    };
    ward.log.iter().filter_map(one).collect()
}

fn audited(ward: &Ward, action: &str) -> Vec<Vec<String>> {
    let commits = ward.log.iter().filter_map(|e| if let Effect::Commit { commit, .. } = e { Some(commit) } else { None });
    let events = commits.flat_map(|c| &c.drafts).filter_map(|d| if let Draft::Audit(events) = d { Some(events) } else { None });
    events.flatten().filter(|event| event.action == action).map(|event| event.what.clone()).collect()
}

fn unassigned(ward: &Ward) -> usize {
    ward.sealed.iter().filter(|(place, _)| *place == Where::Unassigned).map(|(_, s)| s.frames().expect("frames").len()).sum()
}

#[test]
fn a_scan_says_what_a_device_is_and_whose_it_is_already() {
    let mut ward = ward();
    pair(&mut ward, 1, ADDRESS, DEVICE, "2");
    let found = scan(&mut ward, vec![sighting("02:00:00:00:00:0a", "OX", &[0x1822]), sighting("02:00:00:00:00:0C", "fridge", &[0xFEED])]);
    assert_eq!(found[0].profiles[0].protocol, "ble.plx-continuous");
    let paired = found[0].paired.as_ref().expect("paired");
    assert_eq!((paired.bed.as_deref(), paired.site.as_str(), paired.here), (Some("2"), "Hillside", true));
    assert_eq!((found[1].known_as.as_str(), found[1].paired.as_ref()), ("unknown protocol", None));
    let refused = begin(&mut ward, request(ADDRESS, "1", "sig-pulse-oximeter")).expect_err("paired");
    assert!(refused.to_string().contains("Hillside") && refused.to_string().contains("bed 2"), "{refused}");
}

#[test]
fn what_is_advertised_chooses_the_profile_and_an_unknown_protocol_is_refused() {
    let mut ward = ward();
    scan(&mut ward, vec![sighting(ADDRESS, "strap", &[0x180D]), sighting("02:00:00:00:00:0C", "fridge", &[0xFEED])]);
    let unnamed = |address: &str| BeginPairing { profile: None, ..request(address, "1", "") };
    assert_eq!(begin(&mut ward, unnamed(ADDRESS)).expect("begun").profile.name, "sig-heart-rate");
    assert_eq!(begin(&mut ward, unnamed("02:00:00:00:00:0C")).expect_err("unknown").kind(), "profile");
    let serial = BeginPairing { by: ReachedBy::Serial { path: "/dev/serial/by-id/x".into() }, ..request("", "1", "sig-heart-rate") };
    assert_eq!(begin(&mut ward, serial).expect_err("no serial protocol").kind(), "profile");
    for path in ["/etc/shadow", "/dev/../etc/shadow", "/dev/sda", "/dev/watchdog", ""] {
        let elsewhere = BeginPairing { by: ReachedBy::Serial { path: path.into() }, ..request("", "1", "nonin-xpod") };
        assert_eq!(begin(&mut ward, elsewhere).expect_err(path).kind(), "unreachable", "{path}");
    }
}

#[test]
fn a_device_is_confirmed_only_after_five_seconds_of_valid_data_in_a_row() {
    let mut ward = ward();
    let pairing = begin(&mut ward, request(ADDRESS, "1", "sig-pulse-oximeter")).expect("begun");
    assert_eq!((pairing.stage, opened(&ward)), (PairingStage::Connecting, vec![(DEVICE.to_owned(), "sig-pulse-oximeter".to_owned())]));
    assert_eq!(confirm(&mut ward, &pairing.id).expect_err("not heard").kind(), "not-ready");
    ward.connect(1, DEVICE);
    valid(&mut ward, 1, DEVICE, 4);
    let shown = look(&mut ward, &pairing.id);
    assert!(shown.stage == PairingStage::Listening && (4_000..5_000).contains(&shown.valid_ms), "{shown:?}");
    assert_eq!(shown.values.iter().map(|v| v.key.as_str()).collect::<Vec<_>>(), ["pulse-rate", "spo2"]);
    // The finger is out: what came before counts no more.
    ward.bytes(1, DEVICE, PLX, &[0, 0xFF, 0x07, 0xFF, 0x07]);
    valid(&mut ward, 1, DEVICE, 3);
    assert_eq!(confirm(&mut ward, &pairing.id).expect_err("interrupted").kind(), "not-ready");
    valid(&mut ward, 1, DEVICE, 1);
    assert_eq!(look(&mut ward, &pairing.id).stage, PairingStage::Ready);
    assert!(matches!(confirm(&mut ward, &pairing.id), Ok(CommandReply::Paired(paired)) if paired.saved.durable && paired.bed == "1"));
    assert_eq!(audited(&ward, "pair"), [vec![format!("Device/{DEVICE}")]]);
    assert_eq!(confirm(&mut ward, &pairing.id).expect_err("over").kind(), "unknown-pairing");
}

#[test]
fn readiness_ends_with_the_data() {
    let mut ward = ward();
    let pairing = begin(&mut ward, request(ADDRESS, "1", "sig-pulse-oximeter")).expect("begun");
    ward.connect(1, DEVICE);
    valid(&mut ward, 1, DEVICE, 5);
    // Longer than the profile calls silence.
    ward.pass_ms(9_000);
    assert_eq!(confirm(&mut ward, &pairing.id).expect_err("silent").kind(), "not-ready");
    valid(&mut ward, 1, DEVICE, 5);
    ward.unplug(1, DEVICE);
    assert_eq!(confirm(&mut ward, &pairing.id).expect_err("unplugged").kind(), "not-ready");
}

#[test]
fn a_cuff_has_said_all_it_will_with_one_result() {
    let mut ward = ward();
    let pairing = begin(&mut ward, request(ADDRESS, "1", "sig-blood-pressure")).expect("begun");
    ward.connect(1, DEVICE);
    ward.bytes(1, DEVICE, BP, &[0x00, 120, 0, 80, 0, 93, 0]);
    ward.unplug(1, DEVICE);
    assert!(matches!(confirm(&mut ward, &pairing.id), Ok(CommandReply::Paired(_))));
}

#[test]
fn before_it_is_confirmed_nothing_of_a_device_is_a_patients() {
    let mut ward = ward();
    pair(&mut ward, 1, ADDRESS, DEVICE, "1");
    assert_eq!(ward.charted_values("ana", Code::SPO2), [""; 0]);
    ward.bytes(1, DEVICE, PLX, &plx(94, 70));
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["94"]);
    assert_eq!(ward.value("1", Code::SPO2).as_deref(), Some("94"));
    ward.stop();
    assert_eq!(unassigned(&ward), 6);
    ward.check_nothing_lost_or_doubled();
}

#[test]
fn a_confirmed_device_outlives_a_crash_and_one_on_trial_does_not() {
    let mut ward = ward();
    pair(&mut ward, 1, ADDRESS, DEVICE, "1");
    let pairing = begin(&mut ward, request("02:00:00:00:00:0B", "2", "sig-pulse-oximeter")).expect("begun");
    ward.log.clear();
    ward.crash();
    assert_eq!(opened(&ward), [(DEVICE.to_owned(), "sig-pulse-oximeter".to_owned())]);
    assert!(matches!(ward.command(Command::ShowPairing(pairing.id)), Err(CommandError::UnknownPairing)));
    assert_eq!(ward.bed("1").devices.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), [DEVICE]);
    ward.connect(1, DEVICE);
    ward.bytes(1, DEVICE, PLX, &plx(93, 70));
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["93"]);
}

#[test]
fn a_move_is_made_on_purpose_and_keeps_both_spans_so_that_late_data_find_their_patient() {
    let mut ward = ward();
    let pairing = begin(&mut ward, request(ADDRESS, "1", "sig-pulse-oximeter-spot")).expect("begun");
    ward.connect(1, DEVICE);
    ward.bytes(1, DEVICE, PLX_SPOT, &plx_stored(98, 70, ward.now.wall));
    confirm(&mut ward, &pairing.id).expect("confirmed");
    ward.pass_ms(30_000);
    let at_ana = ward.now.wall;
    ward.pass_ms(30_000);
    assert_eq!(ward.attach("2", DEVICE, false).expect_err("elsewhere").kind(), "device-elsewhere");
    ward.attach("2", DEVICE, true).expect("moved");
    ward.pass_ms(30_000);
    ward.bytes(1, DEVICE, PLX_SPOT, &plx_stored(91, 66, at_ana));
    ward.bytes(1, DEVICE, PLX_SPOT, &plx_stored(96, 67, ward.now.wall));
    assert_eq!((ward.charted_values("ana", Code::SPO2), ward.charted_values("berta", Code::SPO2)), (vec!["91".into()], vec!["96".into()]));
    ward.crash();
    let spans = spans(&mut ward, DEVICE);
    assert_eq!(spans.iter().map(|s| s.bed.as_str()).collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!((spans[0].until_ms, spans[1].until_ms), (Some(spans[1].from_ms), None));
}

#[test]
fn an_exchanged_device_keeps_its_span_and_reads_for_nobody_from_then_on() {
    let mut ward = ward();
    pair(&mut ward, 1, ADDRESS, DEVICE, "1");
    pair(&mut ward, 2, "02:00:00:00:00:0B", OTHER, "2");
    let swap = |may_move| Command::SwapDevice {
        device: DEVICE.to_owned(),
        request: SwapDevice { with: OTHER.to_owned(), move_from_other_bed: may_move },
    };
    assert_eq!(ward.command(swap(false)).expect_err("elsewhere").kind(), "device-elsewhere");
    ward.command(swap(true)).expect("exchanged");
    ward.bytes(1, DEVICE, PLX, &plx(88, 70));
    ward.bytes(2, OTHER, PLX, &plx(95, 70));
    assert_eq!(ward.charted_values("ana", Code::SPO2), ["95"]);
    assert_eq!(spans(&mut ward, DEVICE).iter().filter(|s| s.until_ms.is_some()).count(), 1);
    assert_eq!(spans(&mut ward, OTHER).iter().map(|s| s.bed.clone()).collect::<Vec<_>>(), ["2", "1"]);
    assert_eq!(ward.command(swap(true)).expect_err("reads for no bed").kind(), "device-unbound");
}

#[test]
fn a_device_paired_to_replace_another_takes_its_place_in_one_act() {
    let mut ward = ward();
    pair(&mut ward, 1, ADDRESS, DEVICE, "1");
    let replacing =
        |bed: &str| BeginPairing { replaces: Some(DEVICE.to_owned()), ..request("02:00:00:00:00:0B", bed, "sig-pulse-oximeter") };
    assert_eq!(begin(&mut ward, replacing("2")).expect_err("another bed").kind(), "device-elsewhere");
    let pairing = begin(&mut ward, replacing("1")).expect("begun");
    ward.connect(2, OTHER);
    valid(&mut ward, 2, OTHER, 5);
    ward.log.clear();
    confirm(&mut ward, &pairing.id).expect("confirmed");
    let commits = ward.log.iter().filter_map(|e| if let Effect::Commit { commit, .. } = e { Some(commit) } else { None });
    let bound = commits.map(|c| c.drafts.iter().filter(|d| matches!(d, Draft::Bind(_))).count()).filter(|count| *count > 0);
    assert_eq!(bound.collect::<Vec<_>>(), [2], "one closed and one opened, in one commit");
    assert_eq!(ward.bed("1").devices.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), [OTHER]);
}

#[test]
fn a_device_of_another_site_is_named_with_bed_and_site_and_taken_over_only_on_purpose() {
    let mut ward = ward();
    let said = json!({"profile": "sig-pulse-oximeter", "by": {"kind": "bluetooth", "address": ADDRESS}}).to_string();
    let theirs = json!({"resourceType": "Device", "id": "ble-02000000000a.99999999", "status": "active",
        "deviceName": [{"name": "Oximeter 7", "type": "user-friendly-name"}], "owner": {"display": "Riverside"},
        "location": {"display": "bed 4"}, "extension": [{"url": edge_core::PAIRING_URL, "valueString": said}]});
    ward.elsewhere(vec![Draft::Create { place: Where::Site, resource: theirs }]);
    let paired = scan(&mut ward, vec![sighting(ADDRESS, "OX", &[0x1822])]).remove(0).paired.expect("paired");
    assert_eq!((paired.site.as_str(), paired.bed.as_deref(), paired.here), ("Riverside", Some("4"), false));
    let refused = begin(&mut ward, request(ADDRESS, "1", "sig-pulse-oximeter")).expect_err("theirs").to_string();
    assert!(["Oximeter 7", "Riverside", "bed 4", "on purpose"].iter().all(|word| refused.contains(word)), "{refused}");
    begin(&mut ward, BeginPairing { take_over: true, ..request(ADDRESS, "1", "sig-pulse-oximeter") }).expect("on purpose");
    ward.crash();
    assert_eq!(opened(&ward).len(), 1, "theirs is not opened here, and ours was not confirmed");
}

#[test]
fn a_device_written_by_others_is_not_opened_where_a_person_could_not_have_paired_it() {
    let mut ward = ward();
    for (n, by) in
        [json!({"kind": "serial", "path": "/etc/shadow"}), json!({"kind": "bluetooth", "address": "here"}), json!(7)].iter().enumerate()
    {
        let said = json!({"profile": "ge-b40-dri", "by": by}).to_string();
        let device = json!({"resourceType": "Device", "id": format!("odd-{n}.07070707"), "status": "active",
            "extension": [{"url": edge_core::PAIRING_URL, "valueString": said}]});
        ward.elsewhere(vec![Draft::Create { place: Where::Site, resource: device }]);
    }
    ward.log.clear();
    ward.crash();
    assert!(opened(&ward).is_empty());
}

#[test]
fn a_device_that_asks_for_it_is_bonded_with_once_and_its_number_is_asked_of_the_person() {
    let mut ward = ward();
    let pairing = begin(&mut ward, request(ADDRESS, "1", "sig-pulse-oximeter")).expect("begun");
    let needed = || LinkEvent::PairingNeeded { reason: "it asks to be paired".into(), lost: false };
    ward.link(1, DEVICE, needed());
    let asked = |ward: &Ward| ward.log.iter().filter(|e| matches!(e, Effect::Bond { anew: false, .. })).count();
    assert_eq!((look(&mut ward, &pairing.id).stage, asked(&ward)), (PairingStage::Bonding, 1));
    let passkey = |typed: &str| Command::GivePasskey { pairing: pairing.id.clone(), request: Passkey { passkey: typed.to_owned() } };
    assert_eq!(ward.command(passkey("123456")).expect_err("not asked").kind(), "passkey");
    let device: record::id::DeviceId = DEVICE.parse().expect("id");
    let bond = |event| Input::Bonding { device: device.clone(), event };
    ward.handle(bond(BondEvent::PasskeyAsked));
    assert_eq!(look(&mut ward, &pairing.id).stage, PairingStage::Passkey);
    assert_eq!(ward.command(passkey("12 or so")).expect_err("no digits").kind(), "passkey");
    ward.command(passkey("012345")).expect("given");
    assert!(ward.log.contains(&Effect::Passkey { device: device.clone(), typed: "012345".to_owned() }));
    ward.log.clear();
    ward.handle(bond(BondEvent::Bonded));
    assert_eq!(opened(&ward).len(), 1);
    ward.link(2, DEVICE, needed());
    assert_eq!((look(&mut ward, &pairing.id).stage, asked(&ward)), (PairingStage::Failed, 0));
}

#[test]
fn a_bond_that_is_refused_ends_the_pairing_and_a_lost_one_is_made_anew() {
    let mut ward = ward();
    let bonded = BeginPairing { bond: true, ..request(ADDRESS, "1", "sig-pulse-oximeter") };
    let pairing = begin(&mut ward, bonded).expect("begun");
    assert!(opened(&ward).is_empty(), "bonded with before it is reached");
    let device: record::id::DeviceId = DEVICE.parse().expect("id");
    ward.handle(Input::Bonding { device, event: BondEvent::Refused("the passkey was wrong".into()) });
    let shown = look(&mut ward, &pairing.id);
    assert_eq!((shown.stage, shown.says.as_str()), (PairingStage::Failed, "the passkey was wrong"));
    ward.command(Command::CancelPairing(pairing.id)).expect("given up");
    begin(&mut ward, request(ADDRESS, "1", "sig-pulse-oximeter")).expect("begun anew");
    ward.link(1, DEVICE, LinkEvent::PairingNeeded { reason: "lost".into(), lost: true });
    assert!(ward.log.iter().any(|e| matches!(e, Effect::Bond { anew: true, .. })));
}

#[test]
fn a_wave_is_shown_while_pairing_and_does_not_make_a_device_ready() {
    let mut ward = ward();
    let by = ReachedBy::Serial { path: "/dev/serial/by-id/usb-ge".to_owned() };
    let pairing = begin(&mut ward, BeginPairing { by, ..request("", "1", "ge-b40-dri") }).expect("begun");
    ward.connect(1, &pairing.device);
    for _ in 0..700 {
        ward.bytes(1, &pairing.device, Channel::Stream, &dri_ecg(&[1, 2, 3]));
        ward.pass_ms(10);
    }
    let shown = look(&mut ward, &pairing.id);
    assert_eq!((shown.waves.len(), shown.waves[0].samples.len(), &shown.waves[0].samples[..3]), (1, 1_500, &[1, 2, 3][..]));
    assert_eq!((shown.stage, shown.values.len(), shown.valid_ms), (PairingStage::Listening, 0, 0));
}

#[test]
fn a_pairing_nobody_confirms_is_given_up_and_their_number_is_limited() {
    let mut ward = ward();
    for n in 0..8 {
        begin(&mut ward, request(&format!("02:00:00:00:01:{n:02}"), "1", "sig-pulse-oximeter")).expect("begun");
    }
    assert_eq!(begin(&mut ward, request(ADDRESS, "1", "sig-pulse-oximeter")).expect_err("nine").kind(), "too-many");
    ward.log.clear();
    ward.pass_ms(601_000);
    assert_eq!(ward.log.iter().filter(|e| matches!(e, Effect::CloseLinks(_))).count(), 8);
    assert_eq!(ward.agent.devices().iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), ["hr-1"], "no screen hears of it");
}

#[test]
fn a_retired_device_is_not_read_keeps_its_span_and_comes_back_under_its_id() {
    let mut ward = ward();
    pair(&mut ward, 1, ADDRESS, DEVICE, "1");
    assert_eq!(ward.command(Command::RetireDevice("hr-1".into())).expect_err("in the configuration").kind(), "configured");
    ward.command(Command::RetireDevice(DEVICE.to_owned())).expect("retired");
    ward.bytes(1, DEVICE, PLX, &plx(90, 70));
    assert_eq!((ward.charted_values("ana", Code::SPO2), spans(&mut ward, DEVICE).len()), (Vec::<String>::new(), 1));
    ward.log.clear();
    ward.crash();
    assert!(opened(&ward).is_empty());
    pair(&mut ward, 1, ADDRESS, DEVICE, "2");
    assert_eq!(spans(&mut ward, DEVICE).iter().map(|s| s.bed.clone()).collect::<Vec<_>>(), ["1", "2"]);
}

/// A glucose measurement with a number and a time after 16:00, 5.0 mmol/L from capillary whole blood.
fn glucose(number: u16, minute: u8) -> Vec<u8> {
    [&[0b0000_0010][..], &number.to_le_bytes(), &2025u16.to_le_bytes(), &[11, 24, 16, minute, 0], &[0xF4, 0xB1, 0x11]].concat()
}

#[test]
fn what_a_retired_meter_holds_is_not_charted_again_when_it_is_paired_anew() {
    const GLUCOSE: Channel = Channel::assigned(0x2A18);
    let zoned = |profile: &mut driver::profile::Profile| profile.utc_offset_min = Some(0);
    let mut ward = ward_with(|settings| settings.profiles.iter_mut().filter(|profile| profile.name == "sig-glucose").for_each(zoned));
    let mut charted = Vec::new();
    let count = |ward: &mut Ward| ward.charted("ana").iter().flat_map(|f| &f.numerics).filter(|n| n.value.is_ok()).count();
    for (new, minute) in [(1, 0), (2, 11)] {
        let pairing = begin(&mut ward, request(ADDRESS, "1", "sig-glucose")).expect("begun");
        ward.connect(1, DEVICE);
        // It shows what it is with a measurement of its own, which is nobody's.
        ward.bytes(1, DEVICE, GLUCOSE, &glucose(100 + new, minute));
        confirm(&mut ward, &pairing.id).expect("confirmed");
        ward.pass_ms(600_000);
        for number in 1..=2 + new {
            ward.bytes(1, DEVICE, GLUCOSE, &glucose(number, 5));
        }
        charted.push(count(&mut ward));
        ward.command(Command::RetireDevice(DEVICE.to_owned())).expect("retired");
        ward.pass_ms(90_000);
    }
    assert!(charted[0] > 0 && charted[0] % 3 == 0, "{charted:?}");
    assert_eq!(charted[1] * 3, charted[0] * 4, "one more, and those of before not again");
}

#[test]
fn a_device_that_was_moved_while_its_replacement_was_being_paired_stays_where_it_is() {
    let mut ward = ward();
    pair(&mut ward, 1, ADDRESS, DEVICE, "1");
    let pairing =
        begin(&mut ward, BeginPairing { replaces: Some(DEVICE.to_owned()), ..request("02:00:00:00:00:0B", "1", "sig-pulse-oximeter") })
            .expect("begun");
    ward.connect(2, OTHER);
    valid(&mut ward, 2, OTHER, 5);
    ward.attach("2", DEVICE, true).expect("moved");
    confirm(&mut ward, &pairing.id).expect("confirmed");
    let at = |ward: &Ward, bed: &str| ward.bed(bed).devices.iter().map(|d| d.id.clone()).collect::<Vec<_>>();
    assert_eq!((at(&ward, "1"), at(&ward, "2")), (vec![OTHER.to_owned()], vec![DEVICE.to_owned()]));
}

#[test]
fn the_alarms_of_a_device_end_as_it_is_retired() {
    let mut ward = ward();
    let by = ReachedBy::Serial { path: "/dev/serial/by-id/usb-nellcor".to_owned() };
    let pairing = begin(&mut ward, BeginPairing { by, ..request("", "1", "nellcor-n395") }).expect("begun");
    let line = b"24-Nov-25 16:00:00     90    110    50   SL\r\n";
    ward.connect(1, &pairing.device);
    for _ in 0..7 {
        ward.bytes(1, &pairing.device, Channel::Stream, line);
        ward.pass_ms(1_000);
    }
    confirm(&mut ward, &pairing.id).expect("confirmed");
    ward.pass_ms(1_000);
    assert_eq!(ward.bed("1").device_alarms.len(), 1, "it stands at the bed");
    ward.command(Command::RetireDevice(pairing.device)).expect("retired");
    ward.pass_ms(1_000);
    let updates = ward.log.iter().filter_map(|e| if let Effect::Commit { commit, .. } = e { Some(&commit.drafts) } else { None });
    let mut ends = updates.flatten().filter_map(|draft| match draft {
        Draft::Update { resource_type, elements, .. } if resource_type == "Communication" => Some(json!(elements).to_string()),
        _ => None,
    });
    assert!(ends.any(|said| said.contains("retired") && said.contains("completed")));
}

fn commands(ward: &mut Ward, device: &str) -> Vec<CommandView> {
    match ward.command(Command::ListCommands(device.to_owned())) {
        Ok(CommandReply::Commands(commands)) => commands,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_that_does_more_than_read_is_off_until_the_site_allows_it_and_is_audited_before_it_leaves() {
    let send = || Command::SendCommand {
        device: "hr-1".to_owned(),
        command: "reset-energy".to_owned(),
        request: SendCommand { reason: "a new wearer".to_owned(), utc_offset_min: None },
    };
    let mut ward = ward();
    assert_eq!(commands(&mut ward, "hr-1").iter().map(|c| (c.command.as_str(), c.allowed)).collect::<Vec<_>>(), [("reset-energy", false)]);
    ward.connect(1, "hr-1");
    assert_eq!(ward.command(send()).expect_err("off").kind(), "command-off");
    assert!(ward.sends().is_empty());

    let mut ward = ward_with(|settings| settings.device_commands.extend(["reset-energy".to_owned()]));
    assert!(commands(&mut ward, "hr-1")[0].allowed);
    assert_eq!(ward.command(send()).expect_err("away").kind(), "not-connected");
    ward.connect(1, "hr-1");
    ward.hold = true;
    let id = ward.ask(send());
    let (_, commit) = ward.waiting.clone().expect("audited first");
    assert_eq!((commit.act.reason.as_str(), ward.sends().len()), ("a new wearer", 0));
    ward.answer();
    assert!(matches!(ward.answer_to(id), Some(Ok(_))));
    assert_eq!(ward.sends(), [vec![1]]);
    assert_eq!(audited(&ward, "device-command"), [vec!["Device/hr-1".to_owned(), "DeviceCommand/reset-energy".to_owned()]]);
}

#[test]
fn a_recording_needs_consent_is_audited_first_and_holds_no_name() {
    let mut ward = ward();
    let record = |seconds, consent: &str| Command::Record {
        device: "hr-1".to_owned(),
        request: Record { seconds, consent: consent.to_owned(), how: Some("strap on".to_owned()) },
    };
    assert_eq!(ward.command(record(60, " ")).expect_err("no consent").kind(), "too-many");
    assert_eq!(ward.command(record(3_601, "Ana agreed")).expect_err("too long").kind(), "too-many");
    assert!(matches!(ward.command(record(60, "Ana agreed")), Ok(CommandReply::Recording(_))));
    let recording = ward.log.iter().find_map(|e| if let Effect::Record(recording) = e { Some(recording.clone()) } else { None });
    let head = recording.expect("begun").head.join("\n");
    assert!(head.contains("# protocol: ble.heart-rate") && head.contains("strap on") && !head.contains("Ana"), "{head}");
    assert_eq!(audited(&ward, "record-frames").len(), 1);
    assert_eq!(ward.command(record(60, "Ana agreed")).expect_err("one at a time").kind(), "too-many");
    ward.pass_ms(61_000);
    assert!(matches!(ward.command(record(60, "Ana agreed")), Ok(CommandReply::Recording(_))));
}

#[test]
fn whom_a_device_takes_its_wearer_for_is_charted_beside_the_result_and_files_nothing() {
    let mut ward = Ward::new(vec![device("cuff", "sig-blood-pressure", Some("2"))]);
    ward.register("ana", json!({}));
    ward.place("2", Some("ana")).expect("placed");
    ward.connect(1, "cuff");
    ward.bytes(1, "cuff", BP, &[0x08, 120, 0, 80, 0, 93, 0, 2]);
    assert_eq!(ward.charted_values("ana", Code::DEVICE_USER), ["2"]);
    assert_eq!(ward.charted_values("ana", Code::NIBP_SYSTOLIC), ["120"]);
}

#[test]
fn a_clock_that_was_never_set_or_names_no_zone_is_flagged_with_its_offset() {
    let mut ward = Ward::new(vec![device("cuff", "and-ua651ble", Some("2"))]);
    let note = |ward: &Ward| ward.agent.devices()[0].clock_note.clone().unwrap_or_default();
    ward.connect(1, "cuff");
    ward.bytes(1, "cuff", Channel::assigned(0x2A08), &[0, 0, 0, 0, 0, 0, 0]);
    assert!(note(&ward).contains("never set"), "{}", note(&ward));
    // 2025-11-24T16:00:00Z, as a clock two hours east of it and right shows it.
    ward.bytes(1, "cuff", Channel::assigned(0x2A08), &[0xE9, 0x07, 11, 24, 18, 0, 0]);
    assert!(note(&ward).contains("utc_offset_min") && !note(&ward).contains("min off"), "{}", note(&ward));
    let shown = ward.agent.devices()[0].clock_offset_ms.expect("measured");
    assert!((shown - 7_200_000).abs() < 60_000, "{shown}");
}

#[test]
fn a_monitors_own_idea_of_its_patient_and_bed_files_nothing() {
    let mut ward = Ward::new(vec![device("mon", "ihe-pcd01", Some("2"))]);
    ward.register("ana", json!({}));
    ward.register("berta", json!({}));
    ward.place("2", Some("ana")).expect("placed");
    ward.place("3", Some("berta")).expect("placed");
    ward.pass_ms(120_000);
    ward.connect(1, "mon");
    let message = "MSH|^~\\&|MON^1^EUI-64|W|||20251124160130+0000||ORU^R01^ORU_R01|7|P|2.6\rPID|||berta^^^clinic^MR||berta^A\r\
        PV1||I|ICU^^3\rOBR|1||||||20251124160130+0000\rOBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1|95|262688^MDC_DIM_PERCENT^MDC|||||R\r";
    ward.bytes(1, "mon", Channel::Stream, &mllp(message.as_bytes()));
    assert_eq!((ward.charted_values("ana", Code::SPO2), ward.charted_values("berta", Code::SPO2).len()), (vec!["95".to_owned()], 0));
    assert!(ward.agent.devices()[0].stated_location.as_deref().is_some_and(|said| said.contains('3')));
}

#[test]
fn a_recording_played_as_a_device_is_demonstration_data() {
    let replayed = edge_core::DeviceSetting { replayed: true, ..device("ox-1", "sig-pulse-oximeter", Some("2")) };
    let mut ward = Ward::new(vec![replayed]);
    ward.register("ana", json!({}));
    ward.place("2", Some("ana")).expect("placed");
    ward.connect(1, "ox-1");
    ward.bytes(1, "ox-1", PLX, &plx(97, 70));
    assert_eq!(ward.charted_values("ana", Code::SPO2), [""; 0]);
    assert!(ward.agent.devices()[0].reason.contains("demonstration"), "{}", ward.agent.devices()[0].reason);
}
