//! Handing patients over, erasing, revoking, shedding, keeping in bounds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use protocol::replica::{Retention, Transfer, Vitals, frames_of};
use protocol::store::State;
use protocol::{Draft, Peer, PeerRole, Store, Where};
use record::id::PatientId;
use record::ledger::Act;
use record::series::{Segment, SegmentKind};
use record::time::Timestamp;
use serde_json::{Value, json};
use support::{Node, enrolled, frame, sync};

fn task(node: &mut Node, patient: &PatientId, id: &str) {
    let resource = json!({"resourceType": "Task", "id": id, "status": "requested", "intent": "order"});
    node.commit(vec![Draft::Create { place: Where::Patient(patient.clone()), resource }]);
}

fn segment(node: &mut Node, place: Where, seq: u64, at_ms: i64) {
    let segment = Segment::build(SegmentKind::Numerics, &[frame(seq, at_ms, 97)]).expect("segment");
    node.commit(vec![Draft::Segment { place, segment }]);
}

fn vitals(node: &mut Node, patient: &PatientId) -> Vec<i64> {
    let wanted = Vitals { patient: patient.clone(), waves: false, from: Timestamp(0), to: Timestamp(i64::MAX), device: None };
    let frames = frames_of(node.store.begin().expect("begin").as_mut(), &wanted).expect("frames");
    frames.iter().map(|f| f.measured.millis()).collect()
}

fn holds(node: &mut Node, kind: &str, id: &str) -> bool {
    node.store.begin().expect("begin").document(kind, &id.parse().expect("id")).expect("read").is_some()
}

fn settle(node: &mut Node, keeper: &Node) -> bool {
    let now = node.now();
    node.replica.settle(&mut node.store, now, &mut node.entropy, Some(keeper.replica.id()), &|_| false).expect("settle").is_some()
}

fn incidents(node: &mut Node) -> Vec<String> {
    node.store.begin().expect("begin").incidents().expect("incidents").into_iter().map(|i| format!("{}: {}", i.kind, i.detail)).collect()
}

/// Two sites of one hub, one patient with history at the first.
fn two_sites() -> (Node, Node, Node, PatientId) {
    let (mut old, mut hub) = enrolled();
    let mut new = Node::new(3);
    let (now, peer) = (new.now(), hub.peer());
    new.replica.admit(&mut new.store, now, &mut new.entropy, peer).expect("admit");
    let patient = old.patient("p1");
    task(&mut old, &patient, "t1");
    segment(&mut old, Where::Patient(patient.clone()), 0, 1000);
    assert!(sync(&mut old, &mut hub).0.equal);
    assert!(sync(&mut new, &mut hub).0.equal);
    (old, hub, new, patient)
}

fn hand_over(hub: &mut Node, patient: &PatientId, from: &Node, to: &Node) {
    let peer = Peer { role: PeerRole::Neighbour, ..to.peer() };
    let now = hub.now();
    let transfer = Transfer { patient, to: &peer, leaving: &[from.replica.id()] };
    hub.replica.hand_over(&mut hub.store, now, &mut hub.entropy, &Act::system(), transfer).expect("hand over");
}

#[test]
fn a_patient_who_is_handed_over_arrives_with_the_whole_history_and_the_old_site_leaves_nothing_orphaned() {
    let (mut old, mut hub, mut new, patient) = two_sites();
    hand_over(&mut hub, &patient, &old, &new);
    assert!(sync(&mut new, &mut hub).0.equal);
    assert_eq!(new.shown("Task", "t1"), hub.shown("Task", "t1"));
    assert_eq!(vitals(&mut new, &patient), [1000]);

    // The old site has not heard of it and goes on writing; what it wrote arrives as well.
    task(&mut old, &patient, "late");
    assert!(!settle(&mut old, &hub), "it has not been told to leave");
    assert!(sync(&mut old, &mut hub).0.equal);
    task(&mut old, &patient, "later");
    assert!(!settle(&mut old, &hub), "what it wrote is not held by the hub yet");
    assert!(sync(&mut old, &mut hub).0.equal);
    assert!(settle(&mut old, &hub), "now it may leave");
    assert!(!holds(&mut old, "Task", "t1") && !holds(&mut old, "Patient", "p1"), "nothing of the patient stays");
    assert_eq!(old.replica.scope_of(&patient), None);
    assert!(sync(&mut old, &mut hub).0.equal, "the purge list is signed and both agree on what they share");

    task(&mut new, &patient, "t2");
    assert!(sync(&mut new, &mut hub).0.equal);
    for id in ["t1", "late", "later", "t2"] {
        assert_eq!(new.shown("Task", id), hub.shown("Task", id));
    }
    assert!(sync(&mut old, &mut hub).0.equal);
    assert!(!holds(&mut old, "Task", "t2"), "what is written since is not the old site's to have");
    assert!(incidents(&mut hub).is_empty() && incidents(&mut old).is_empty() && incidents(&mut new).is_empty());
}

#[test]
fn a_patient_may_come_back_to_the_site_that_handed_them_over() {
    let (mut old, mut hub, mut new, patient) = two_sites();
    hand_over(&mut hub, &patient, &old, &new);
    for _ in 0..2 {
        sync(&mut new, &mut hub);
        sync(&mut old, &mut hub);
        settle(&mut old, &hub);
    }
    assert!(!holds(&mut old, "Task", "t1"));
    task(&mut new, &patient, "t2");
    sync(&mut new, &mut hub);
    hand_over(&mut hub, &patient, &new, &old);
    for _ in 0..3 {
        sync(&mut old, &mut hub);
        sync(&mut new, &mut hub);
        settle(&mut new, &hub);
    }
    assert!(sync(&mut old, &mut hub).0.equal && sync(&mut new, &mut hub).0.equal);
    assert!(holds(&mut old, "Task", "t1") && holds(&mut old, "Task", "t2"));
    assert_eq!(vitals(&mut old, &patient), [1000]);
    assert!(!holds(&mut new, "Task", "t2"));
}

#[test]
fn a_hub_that_goes_back_to_before_it_knew_a_record_learns_from_the_order_to_erase_it_who_takes_part() {
    let (mut site, mut hub) = enrolled();
    assert!(sync(&mut site, &mut hub).0.equal);
    let backup = hub.store.clone();
    let patient = site.patient("p1");
    assert!(sync(&mut site, &mut hub).0.equal);
    let now = site.now();
    site.replica.erase(&mut site.store, now, &mut site.entropy, &Act::system(), &patient).expect("erase");
    assert!(sync(&mut site, &mut hub).0.equal);
    assert!(settle(&mut hub, &site), "the hub signs");
    assert!(sync(&mut site, &mut hub).0.equal);

    let mut hub = Node { store: backup, ..hub }.restart(9);
    for _ in 0..3 {
        sync(&mut site, &mut hub);
        settle(&mut hub, &site);
    }
    assert!(sync(&mut site, &mut hub).0.equal, "the grants are gone, and both still agree on who shares what");
    let erasures = hub.replica.erasures();
    assert_eq!(erasures.iter().map(|(_, outstanding)| outstanding.len()).collect::<Vec<_>>(), [0]);
    assert_eq!(erasures, site.replica.erasures());
}

#[test]
fn an_erased_record_is_gone_everywhere_once_each_replica_has_signed_and_chains_still_verify() {
    let (mut old, mut hub, mut new, patient) = two_sites();
    let before = hub.replica.digest(old.replica.id()).all;
    let now = hub.now();
    hub.replica.erase(&mut hub.store, now, &mut hub.entropy, &Act::system(), &patient).expect("erase");
    assert!(!holds(&mut hub, "Patient", "p1"));
    let scope = hub.replica.erasures()[0].clone();
    assert_eq!(scope.1, [old.replica.id()], "the site has not signed yet");
    task(&mut old, &patient, "unaware");
    assert!(sync(&mut old, &mut hub).0.equal);
    assert!(!holds(&mut old, "Patient", "p1") && !holds(&mut old, "Task", "t1") && !holds(&mut hub, "Task", "unaware"));
    assert!(settle(&mut old, &hub));
    assert!(sync(&mut old, &mut hub).0.equal);
    assert_eq!(hub.replica.erasures(), [(scope.0, vec![])], "all have signed");
    assert_ne!(hub.replica.digest(old.replica.id()).all, before);
    for node in [&mut old, &mut hub] {
        let mut tx = node.store.begin().expect("begin");
        assert!(tx.scope(scope.0).expect("read").expect("scope").key.is_none(), "the key is destroyed");
        for chain in tx.chains().expect("chains").into_iter().filter(|c| c.head.chain.scope == scope.0) {
            for seq in 0..chain.head.next {
                let entry = tx.entry(chain.head.chain, seq).expect("read").expect("entry");
                assert!(entry.header.kind.outlives_scope() || entry.payload.is_empty(), "{:?}", entry.header.kind);
            }
        }
    }
    assert!(sync(&mut new, &mut hub).0.equal);
}

#[test]
fn what_a_revoked_site_writes_later_is_quarantined_until_somebody_lets_it_through() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    sync(&mut site, &mut hub);
    let revoke = |hub: &mut Node, site: &Node| {
        let now = hub.now();
        hub.replica.revoke(&mut hub.store, now, &mut hub.entropy, &Act::system(), site.replica.id()).expect("revoke");
    };
    revoke(&mut hub, &site);
    assert!(hub.replica.has_revoked(site.replica.id()));
    task(&mut site, &patient, "t1");
    sync(&mut site, &mut hub);
    assert!(!holds(&mut hub, "Task", "t1"));
    let waiting = hub.store.begin().expect("begin").in_state(State::Quarantined, None, 10).expect("read");
    assert_eq!(waiting.len(), 1);
    revoke(&mut hub, &site);
    assert!(holds(&mut hub, "Task", "t1"), "revoking again names what has come since");
}

#[test]
fn on_a_full_disk_waves_go_first_after_a_signed_entry_says_so_and_documents_never() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    segment(&mut site, Where::Patient(patient.clone()), 0, 1000);
    sync(&mut site, &mut hub);
    segment(&mut site, Where::Patient(patient.clone()), 1, 2000);
    task(&mut site, &patient, "t1");
    let (now, keeper) = (site.now(), Some(hub.replica.id()));
    let (committed, bytes) = site.replica.shed(&mut site.store, now, &mut site.entropy, keeper, 1).expect("shed");
    assert_eq!(committed.entries, 0, "what the hub holds goes without loss");
    assert!(bytes > 0);
    assert_eq!(vitals(&mut site, &patient), [2000]);
    let now = site.now();
    let (committed, _) = site.replica.shed(&mut site.store, now, &mut site.entropy, keeper, 1).expect("shed");
    assert_eq!(committed.entries, 1, "what nobody holds is named first");
    assert_eq!(vitals(&mut site, &patient), Vec::<i64>::new());
    assert!(sync(&mut site, &mut hub).0.equal);
    assert_eq!(vitals(&mut hub, &patient), [1000], "the hub has what it had");
    assert!(incidents(&mut hub).iter().any(|i| i.starts_with("shed")), "{:?}", incidents(&mut hub));
    assert!(hub.store.begin().expect("begin").dead_letters().expect("read").is_empty(), "a loss that was told is no dead letter");
    assert!(holds(&mut site, "Task", "t1") && holds(&mut hub, "Task", "t1"));
    let waiting = site.store.begin().expect("begin").unheld(site.replica.id(), hub.replica.id()).expect("read");
    assert_eq!(waiting.0, 0, "nothing that is here waits");
}

#[test]
fn a_payload_leaves_the_edge_only_past_its_time_and_under_a_receipt() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    segment(&mut site, Where::Patient(patient.clone()), 0, 1000);
    let retention = Retention { waves_us: 1_000_000, numerics_us: 60_000_000 };
    let retain = |site: &mut Node, hub: &Node| {
        let now = site.now();
        site.replica.retain(&mut site.store, now, hub.replica.id(), retention).expect("retain")
    };
    assert_eq!(retain(&mut site, &hub), 0, "nobody has signed for it");
    sync(&mut site, &mut hub);
    assert_eq!(retain(&mut site, &hub), 1);
    assert_eq!(vitals(&mut site, &patient), Vec::<i64>::new());
    assert_eq!(vitals(&mut hub, &patient), [1000]);
    assert!(sync(&mut site, &mut hub).0.equal);
    let at = site.clock;
    segment(&mut site, Where::Patient(patient.clone()), 1, at);
    sync(&mut site, &mut hub);
    assert_eq!(retain(&mut site, &hub), 0, "it is not past its time");
}

#[test]
fn samples_filed_to_the_wrong_patient_are_moved_as_one_act_and_shown_once() {
    let (mut site, mut hub) = enrolled();
    let (wrong, right) = (site.patient("wrong"), site.patient("right"));
    let frames: Vec<_> = (0..4).map(|n| frame(n, 1000 * (n as i64 + 1), 97)).collect();
    let whole = Segment::build(SegmentKind::Numerics, &frames).expect("segment");
    site.commit(vec![Draft::Segment { place: Where::Patient(wrong.clone()), segment: whole }]);
    sync(&mut site, &mut hub);
    let refile = || Draft::Refile {
        from: Where::Patient(wrong.clone()),
        to: Where::Patient(right.clone()),
        device: "ox-1".parse().expect("id"),
        start: Timestamp::from_millis(2000),
        end: Timestamp::from_millis(3000),
    };
    site.commit(vec![refile()]);
    site.commit(vec![refile()]);
    assert!(sync(&mut site, &mut hub).0.equal);
    for node in [&mut site, &mut hub] {
        assert_eq!(vitals(node, &wrong), [1000, 4000]);
        assert_eq!(vitals(node, &right), [2000, 3000]);
    }
}

#[test]
fn an_unreadable_event_is_a_dead_letter_that_a_retry_may_heal() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    task(&mut site, &patient, "t1");
    sync(&mut site, &mut hub);
    let letters = |node: &mut Node| node.store.begin().expect("begin").dead_letters().expect("read").len();
    assert_eq!(letters(&mut hub), 0);
    // A payload lost at the hub's store, as a bit flip that verification found would leave it.
    let scope = site.replica.scope_of(&patient).expect("scope");
    let chain =
        hub.store.begin().expect("begin").chains().expect("chains").into_iter().find(|c| c.head.chain.scope == scope).expect("chain");
    let mut tx = hub.store.begin().expect("begin");
    tx.mark(chain.head.chain, chain.head.next - 1, State::Absent).expect("mark");
    tx.put_dead_letter(&protocol::store::DeadLetter { chain: chain.head.chain, seq: chain.head.next - 1, reason: "lost".into() })
        .expect("put");
    tx.commit().expect("commit");
    let now = hub.now();
    hub.replica.retry_dead_letters(&mut hub.store, now).expect("retry");
    assert_eq!(letters(&mut hub), 0, "it is asked for again");
    assert!(sync(&mut site, &mut hub).0.equal);
    let entry = hub.store.begin().expect("begin").entry(chain.head.chain, chain.head.next - 1).expect("read").expect("entry");
    assert_eq!(entry.state, State::Done);
    let shown: Value = hub.shown("Task", "t1");
    assert_eq!(shown["status"], "requested");
}
