//! Bundles between replicas that no line connects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use protocol::bundle::{Opened, Opener, Sealer};
use protocol::session::{Learned, Packed, Packing};
use protocol::wire::Message;
use protocol::{Draft, Store, Where};
use record::series::{Segment, SegmentKind};
use serde_json::json;
use support::{Node, enrolled, frame, sync};

/// Everything a node has for another, as the bytes of a file.
fn export(from: &mut Node, to: &Node) -> Vec<u8> {
    let (now, peer) = (from.now(), to.peer());
    let me = from.replica.id();
    let (mut sealer, mut file) = Sealer::begin(me, peer.replica, &peer.seal_public, now.wall, &mut from.entropy).expect("begun");
    let mut packing = Packing::open(&from.replica, &mut from.store, peer.replica).expect("open");
    for _ in 0..1000 {
        let now = from.now();
        match packing.next(&from.replica, &mut from.store, now).expect("packed") {
            Packed::More(message) => file.extend(sealer.frame(&message).expect("frame")),
            Packed::Last(message) => {
                file.extend(sealer.end(from.replica.identity(), &message).expect("end"));
                return file;
            }
        }
    }
    panic!("the bundle does not end");
}

fn messages(at: &Node, mut file: &[u8]) -> Vec<Message> {
    let (mut opener, mut found) = (Opener::default(), Vec::new());
    while opener.needs() > 0 {
        let (piece, rest) = file.split_at(opener.needs());
        file = rest;
        if let Opened::Message(message) = opener.take(at.replica.identity(), piece.to_vec()).expect("opens") {
            found.push(*message);
        }
    }
    found
}

/// Takes a file in; whether it proves both equal, and what each message brought.
fn import(at: &mut Node, from: &Node, file: &[u8]) -> (bool, Vec<Learned>) {
    let messages = messages(at, file);
    let peer = from.replica.id();
    let mut learned = Vec::new();
    for message in &messages {
        let now = at.now();
        learned.push(at.replica.take_in_packed(&mut at.store, now, peer, message).expect("taken in"));
    }
    let proven = at.replica.is_proven(&mut at.store, peer, messages.last().expect("a message")).expect("read");
    (proven, learned)
}

fn waiting(at: &mut Node, hub: &Node) -> u64 {
    let me = at.replica.id();
    at.store.begin().expect("begin").unheld(me, hub.replica.id()).expect("read").0
}

fn segment(node: &mut Node, place: Where, seq: u64) {
    let segment = Segment::build(SegmentKind::Numerics, &[frame(seq, 1000 + i64::try_from(seq).expect("small"), 97)]).expect("segment");
    node.commit(vec![Draft::Segment { place, segment }]);
}

#[test]
fn a_month_on_a_stick_and_a_stick_back_prove_both_equal() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    for seq in 0..40 {
        segment(&mut site, Where::Patient(patient.clone()), seq);
    }
    let out = export(&mut site, &hub);
    assert!(waiting(&mut site, &hub) > 0);
    let (_, learned) = import(&mut hub, &site, &out);
    assert_eq!(learned.iter().map(|l| l.accepted.refused.len()).sum::<usize>(), 0);
    assert_eq!(hub.shown("Patient", "p1")["gender"], "female");
    assert_eq!(site.replica.digest(hub.replica.id()).all, hub.replica.digest(site.replica.id()).all);

    // What is written meanwhile waits, and takes nothing from the proof.
    site.commit(vec![Draft::Create {
        place: Where::Patient(patient),
        resource: json!({"resourceType": "Task", "id": "t1", "status": "requested", "intent": "order"}),
    }]);
    let back = export(&mut hub, &site);
    let (proven, _) = import(&mut site, &hub, &back);
    assert!(proven, "the hub's receipt and digest do not prove what it holds");
    assert_eq!(waiting(&mut site, &hub), 1);

    let next = export(&mut site, &hub);
    assert!(next.len() < out.len() / 4, "{} bytes after {}", next.len(), out.len());
    import(&mut hub, &site, &next);
    let back = export(&mut hub, &site);
    assert!(import(&mut site, &hub, &back).0);
    assert_eq!(waiting(&mut site, &hub), 0);
}

#[test]
fn a_bundle_twice_an_old_one_late_and_one_that_was_lost_change_nothing() {
    let (mut site, mut hub) = enrolled();
    site.patient("p1");
    let first = export(&mut site, &hub);
    import(&mut hub, &site, &first);
    let (_, again) = import(&mut hub, &site, &first);
    assert!(again.iter().all(|l| !l.accepted.is_new()));
    let back = export(&mut hub, &site);
    import(&mut site, &hub, &back);
    site.patient("p2");
    let _lost = export(&mut site, &hub);
    site.patient("p3");
    let third = export(&mut site, &hub);
    import(&mut hub, &site, &third);
    let newer = export(&mut hub, &site);
    assert!(import(&mut site, &hub, &newer).0);
    assert_eq!(waiting(&mut site, &hub), 0);
    // The old ones come in late, at both ends.
    import(&mut hub, &site, &first);
    import(&mut site, &hub, &back);
    assert_eq!(waiting(&mut site, &hub), 0, "an old receipt has taken the place of a newer one");
    let empty = export(&mut site, &hub);
    assert!(empty.len() < 800, "{} bytes where nothing is new", empty.len());
    let (summary, trips) = sync(&mut site, &mut hub);
    assert!(summary.equal && trips <= 2, "{trips} round trips");
}

#[test]
fn payloads_that_a_cut_line_left_behind_come_with_the_bundle() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    for seq in 0..300 {
        segment(&mut site, Where::Patient(patient.clone()), seq);
    }
    // One message of a session arrives: headers, and few payloads. Then the line is gone for good.
    let (now, peer) = (site.now(), hub.replica.id());
    let greeting = site.replica.greet(&mut site.store, now, peer).expect("greeting");
    let now = hub.now();
    let (answer, _) = hub.replica.answer(&mut hub.store, now, site.replica.id(), &greeting).expect("answer");
    assert!(!answer.wants.is_empty(), "everything fitted into one message");
    let now = site.now();
    site.replica.take_in(&mut site.store, now, hub.replica.id(), &answer).expect("taken in");
    let out = export(&mut site, &hub);
    import(&mut hub, &site, &out);
    let back = export(&mut hub, &site);
    assert!(import(&mut site, &hub, &back).0);
    assert_eq!(waiting(&mut site, &hub), 0);
}
