//! Two replicas and what may happen between them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use protocol::conformance::Counting;
use protocol::memory::MemoryStore;
use protocol::replica::{Vitals, frames_of};
use protocol::session::{Session, Step};
use protocol::wire;
use protocol::{Commit, Draft, PeerRole, Store, Where};
use record::binding::{Binding, Bound};
use record::id::{PatientId, ReplicaId, ResourceId};
use record::ledger::Stretch;
use record::observation::Quality;
use record::series::{Segment, SegmentKind};
use record::time::Timestamp;
use serde_json::json;
use support::{Node, enrolled, frame, sync};

#[test]
fn the_memory_store_passes_the_suite() {
    protocol::conformance::run(&mut || Box::new(MemoryStore::default())).expect("conformance");
}

#[test]
fn a_session_makes_both_ends_hold_the_same_set_and_the_next_takes_one_round_trip() {
    let (mut site, mut hub) = enrolled();
    site.patient("p1");
    let (summary, _) = sync(&mut site, &mut hub);
    assert!(summary.equal && summary.refused.is_empty());
    assert_eq!(site.replica.digest(site.replica.id()).all, hub.replica.digest(site.replica.id()).all);
    assert_eq!(hub.shown("Patient", "p1")["gender"], "female");
    let (again, trips) = sync(&mut site, &mut hub);
    assert!(again.equal);
    assert_eq!(trips, 1);
    let me = site.replica.id();
    let waiting = site.store.begin().expect("begin").unheld(me, hub.replica.id()).expect("read");
    assert_eq!(waiting, (0, None), "the hub has signed for everything");
}

#[test]
fn an_unchanged_session_fits_in_200_bytes() {
    let (mut site, mut hub) = enrolled();
    site.patient("p1");
    sync(&mut site, &mut hub);
    let (sizes, equal) = exchange(&mut site, &mut hub);
    assert!(equal);
    assert_eq!(sizes.len(), 2, "one round trip: {sizes:?}");
    assert!(sizes.iter().sum::<usize>() <= 200, "{sizes:?}");
}

/// Runs a session and gives the bytes of each of its messages.
fn exchange(site: &mut Node, hub: &mut Node) -> (Vec<usize>, bool) {
    let now = site.now();
    let (mut session, mut message) = Session::open(&mut site.replica, &mut site.store, now, hub.replica.id()).expect("open");
    let mut sizes = Vec::new();
    loop {
        sizes.push(wire::encode(&message, site.replica.id(), hub.replica.id()).len());
        let now = hub.now();
        let (reply, _) = hub.replica.answer(&mut hub.store, now, site.replica.id(), &message).expect("answer");
        sizes.push(wire::encode(&reply, hub.replica.id(), site.replica.id()).len());
        let now = site.now();
        match session.handle(&mut site.replica, &mut site.store, now, &reply).expect("handle") {
            Step::Ask(next) => message = *next,
            Step::Done(summary) => return (sizes, summary.equal),
        }
    }
}

#[test]
fn one_changed_document_takes_one_round_trip_of_at_most_600_bytes() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    let task = json!({"resourceType": "Task", "id": "t1", "status": "requested", "intent": "order"});
    site.commit(vec![Draft::Create { place: Where::Patient(patient), resource: task }]);
    sync(&mut site, &mut hub);
    let elements = json!({"status": "accepted"}).as_object().expect("object").clone();
    let id = "t1".parse().expect("id");
    site.commit(vec![Draft::Update { resource_type: "Task".into(), id, elements, if_match: None }]);
    let (sizes, equal) = exchange(&mut site, &mut hub);
    assert!(equal);
    assert_eq!(sizes.len(), 2, "one round trip: {sizes:?}");
    println!("{sizes:?}");
    assert!(sizes.iter().sum::<usize>() <= 600, "{sizes:?}");
    assert_eq!(hub.shown("Task", "t1")["status"], "accepted");
}

#[test]
fn an_unenrolled_site_keeps_everything_and_the_hub_reads_it_once_it_joins() {
    let (mut site, mut hub) = (Node::new(1), Node::new(2));
    site.patient("early");
    let (now, peer) = (site.now(), hub.peer());
    site.replica.admit(&mut site.store, now, &mut site.entropy, peer).expect("admit");
    assert!(sync(&mut site, &mut hub).0.equal);
    assert_eq!(hub.shown("Patient", "early")["gender"], "female");
}

#[test]
fn an_acknowledgement_at_the_hub_reaches_the_site_and_both_show_it() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    let issue = json!({"resourceType": "DetectedIssue", "id": "a1", "status": "preliminary"});
    site.commit(vec![Draft::Create { place: Where::Patient(patient), resource: issue }]);
    sync(&mut site, &mut hub);
    let at = hub.now().wall;
    hub.commit(vec![Draft::Acknowledge { alert: "a1".parse().expect("id"), by: "doctor".into(), at }]);
    let (summary, _) = sync(&mut site, &mut hub);
    assert!(summary.equal);
    assert_eq!(summary.received.documents.len(), 1);
    assert_eq!(site.shown("DetectedIssue", "a1")["mitigation"][0]["author"]["display"], "doctor");
    assert_eq!(site.shown("DetectedIssue", "a1"), hub.shown("DetectedIssue", "a1"));
}

#[test]
fn edits_on_both_sides_of_a_partition_converge() {
    let (mut site, mut hub) = enrolled();
    site.patient("p1");
    sync(&mut site, &mut hub);
    let update = |elements: serde_json::Value| Draft::Update {
        resource_type: "Patient".into(),
        id: "p1".parse().expect("id"),
        elements: elements.as_object().expect("object").clone(),
        if_match: None,
    };
    site.commit(vec![update(json!({"gender": "male", "birthDate": "1980-01-01"}))]);
    hub.clock += 60_000;
    hub.commit(vec![update(json!({"gender": "other", "active": true}))]);
    assert!(sync(&mut site, &mut hub).0.equal);
    let (here, there) = (site.shown("Patient", "p1"), hub.shown("Patient", "p1"));
    assert_eq!(here, there);
    assert_eq!(
        (here["gender"].as_str(), here["birthDate"].as_str(), here["active"].as_bool()),
        (Some("other"), Some("1980-01-01"), Some(true))
    );
}

#[test]
fn vitals_are_the_same_from_the_tail_the_segment_and_the_hub() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    let scope = site.replica.scope_of(&patient).expect("scope");
    let bind = |id: &str, what| {
        Draft::Bind(Binding { id: id.parse().expect("id"), what, bed: "2".parse().expect("bed"), from: Timestamp(0), until: None })
    };
    site.commit(vec![
        bind("b1", Bound::Device("ox-1".parse().expect("id"))),
        bind("b2", Bound::Patient { patient: patient.clone(), scope }),
    ]);
    let frames = vec![frame(0, 1000, 97), frame(1, 2000, 96), frame(2, 3000, 95)];
    let now = site.now();
    let tick = Commit { tick: frames.clone(), ..Commit::default() };
    let tick = site.replica.commit(&mut site.store, now, &mut site.entropy, &tick).expect("tick").tick;
    let wanted = Vitals { patient: patient.clone(), waves: false, from: Timestamp(0), to: Timestamp::from_millis(10_000), device: None };
    let read = |node: &mut Node| frames_of(node.store.begin().expect("begin").as_mut(), &wanted).expect("frames");
    assert_eq!(read(&mut site), frames);
    let segment = Segment::build(SegmentKind::Numerics, &frames).expect("segment");
    let seal = Commit {
        drop_ticks_through: [tick, None],
        drafts: vec![Draft::Segment { place: Where::Patient(patient), segment }],
        ..Commit::default()
    };
    let now = site.now();
    site.replica.commit(&mut site.store, now, &mut site.entropy, &seal).expect("seal");
    assert_eq!(read(&mut site), frames);
    assert!(sync(&mut site, &mut hub).0.equal);
    assert_eq!(read(&mut hub), frames);
}

#[test]
fn a_commit_that_fails_half_way_leaves_nothing() {
    let mut site = Node::new(1);
    let before = site.replica.written();
    let now = site.now();
    let commit = Commit {
        drafts: vec![
            Draft::Create { place: Where::Site, resource: json!({"resourceType": "Device", "id": "d1"}) },
            Draft::Create { place: Where::Patient("nobody".parse().expect("id")), resource: json!({"resourceType": "Encounter"}) },
        ],
        ..Commit::default()
    };
    let error = site.replica.commit(&mut site.store, now, &mut site.entropy, &commit).expect_err("unknown patient");
    assert!(error.to_string().contains("nobody"));
    assert_eq!(site.replica.written(), before);
    assert!(site.store.begin().expect("begin").document("Device", &"d1".parse().expect("id")).expect("read").is_none());
}

#[test]
fn a_stale_if_match_is_refused_with_both_versions() {
    let mut site = Node::new(1);
    site.patient("p1");
    let now = site.now();
    let draft = Draft::Update {
        resource_type: "Patient".into(),
        id: "p1".parse().expect("id"),
        elements: json!({"gender": "male"}).as_object().expect("object").clone(),
        if_match: Some("stale".into()),
    };
    let commit = Commit { drafts: vec![draft], ..Commit::default() };
    let error = site.replica.commit(&mut site.store, now, &mut site.entropy, &commit).expect_err("stale");
    assert!(error.to_string().contains("stale"), "{error}");
}

/// Everything a node holds, with its payloads.
fn pushed(site: &mut Node) -> Vec<Stretch> {
    let mut tx = site.store.begin().expect("begin");
    let chains = tx.chains().expect("chains");
    let mut stretches: Vec<Stretch> = chains.iter().flat_map(|c| tx.stretches(c.head.chain, 0, 10_000).expect("stretches")).collect();
    for stretch in &mut stretches {
        for (header, payload) in stretch.headers.iter().zip(&mut stretch.payloads) {
            *payload = tx.entry(header.chain(), header.seq).expect("read").expect("entry").payload;
        }
    }
    stretches
}

#[test]
fn a_replayed_entry_changes_nothing() {
    let (mut site, mut hub) = enrolled();
    site.patient("p1");
    sync(&mut site, &mut hub);
    let before = hub.replica.digest(site.replica.id()).all;
    let now = hub.now();
    let accepted = hub.replica.accept(&mut hub.store, now, site.replica.id(), &pushed(&mut site), &[]).expect("accept");
    assert_eq!((accepted.entries, accepted.refused.len()), (0, 0));
    assert_eq!(hub.replica.digest(site.replica.id()).all, before);
}

#[test]
fn a_broken_chain_stops_alone_and_says_where_and_the_others_go_on() {
    let (mut site, mut hub) = enrolled();
    site.patient("p1");
    site.patient("p2");
    let mut stretches = pushed(&mut site);
    let victim = site.replica.scope_of(&"p1".parse().expect("id")).expect("scope");
    let bad = stretches.iter_mut().find(|s| s.headers[0].scope == victim).expect("stretch");
    let last = bad.payloads.last_mut().expect("payload");
    last[0] ^= 1;
    let now = hub.now();
    let accepted = hub.replica.accept(&mut hub.store, now, site.replica.id(), &stretches, &[]).expect("accept");
    assert_eq!(accepted.refused.len(), 1);
    assert!(accepted.refused[0].reason.contains("payload does not match"), "{}", accepted.refused[0].reason);
    assert_eq!(hub.shown("Patient", "p2")["gender"], "female");
    assert_eq!(hub.store.begin().expect("begin").incidents().expect("incidents")[0].kind, "broken-chain");
    // Once sent right, it is taken.
    assert!(sync(&mut site, &mut hub).0.equal);
    assert_eq!(hub.shown("Patient", "p1")["gender"], "female");
}

#[test]
fn a_site_cannot_write_into_another_sites_scope_even_with_its_keys() {
    let (mut site, mut hub) = enrolled();
    site.patient("p1");
    sync(&mut site, &mut hub);
    let mut thief = Node::started(3, site.store.clone(), Counting(88), site.clock, 4);
    let elements = json!({"gender": "other"}).as_object().expect("object").clone();
    let draft = Draft::Update { resource_type: "Patient".into(), id: "p1".parse().expect("id"), elements, if_match: None };
    thief.commit(vec![draft]);
    let mut stretches = pushed(&mut thief);
    let scope = site.replica.scope_of(&"p1".parse().expect("id")).expect("scope");
    stretches.retain(|s| s.headers[0].scope == scope && s.headers[0].author == thief.replica.id());
    let now = hub.now();
    let accepted = hub.replica.accept(&mut hub.store, now, thief.replica.id(), &stretches, &[]).expect("accept");
    assert_eq!((accepted.entries, accepted.refused.len()), (0, 1));
    assert_eq!(hub.shown("Patient", "p1")["gender"], "female");
}

#[test]
fn a_neighbour_may_bring_what_was_written_before_its_own_grant_was_read() {
    let (mut site, mut hub) = enrolled();
    site.patient("p1");
    let mut neighbour = Node::new(3);
    let (now, mut peer) = (site.now(), neighbour.peer());
    peer.role = PeerRole::Neighbour;
    site.replica.admit(&mut site.store, now, &mut site.entropy, peer).expect("admit");
    let (mut peer, now) = (site.peer(), neighbour.now());
    peer.role = PeerRole::Neighbour;
    neighbour.replica.admit(&mut neighbour.store, now, &mut neighbour.entropy, peer).expect("admit");
    let (now, peer) = (neighbour.now(), hub.peer());
    neighbour.replica.admit(&mut neighbour.store, now, &mut neighbour.entropy, peer).expect("admit");
    sync(&mut site, &mut neighbour);
    sync(&mut neighbour, &mut hub);
    assert_eq!(hub.shown("Patient", "p1")["gender"], "female");
    assert!(hub.store.begin().expect("begin").incidents().expect("incidents").is_empty());
}

#[test]
fn a_cloned_data_directory_is_seen_and_both_branches_are_kept() {
    let (mut site, mut hub) = enrolled();
    site.patient("p1");
    sync(&mut site, &mut hub);
    let clone = Node::started(1, site.store.clone(), Counting(77), site.clock, 9);
    let mut clone = clone;
    site.patient("p2");
    clone.patient("p3");
    sync(&mut site, &mut hub);
    sync(&mut clone, &mut hub);
    site.patient("p4");
    sync(&mut site, &mut hub);
    let kinds: Vec<String> = hub.store.begin().expect("begin").incidents().expect("incidents").into_iter().map(|i| i.kind).collect();
    assert!(kinds.iter().any(|k| k == "clone" || k == "fork"), "{kinds:?}");
    for id in ["p2", "p3", "p4"] {
        assert_eq!(hub.shown("Patient", id)["gender"], "female");
    }
}

#[test]
fn a_restart_continues_without_an_incident() {
    let (mut site, mut hub) = enrolled();
    site.patient("p1");
    sync(&mut site, &mut hub);
    let mut site = site.restart(2);
    site.patient("p2");
    let mut site = {
        sync(&mut site, &mut hub);
        site.restart(3)
    };
    site.patient("p3");
    assert!(sync(&mut site, &mut hub).0.equal);
    assert!(hub.store.begin().expect("begin").incidents().expect("incidents").is_empty());
}

#[test]
fn a_site_restored_from_an_old_backup_gets_its_own_entries_back() {
    let (mut site, mut hub) = enrolled();
    site.patient("p1");
    let backup = site.store.clone();
    site.patient("p2");
    sync(&mut site, &mut hub);
    let mut restored = Node::started(1, backup, Counting(5_555), site.clock + 1000, 8);
    restored.patient("p3");
    for _ in 0..3 {
        sync(&mut restored, &mut hub);
    }
    assert_eq!(restored.replica.digest(restored.replica.id()).all, hub.replica.digest(restored.replica.id()).all);
    assert_eq!(hub.shown("Patient", "p3")["gender"], "female");
    let kinds: Vec<String> = hub.store.begin().expect("begin").incidents().expect("incidents").into_iter().map(|i| i.kind).collect();
    assert!(kinds.contains(&"fork".to_owned()), "{kinds:?}");
}

#[test]
fn garbage_on_the_wire_is_an_error_and_never_a_panic() {
    for length in 0..64usize {
        let bytes: Vec<u8> = (0..length).map(|i| (i * 37 % 256) as u8).collect();
        let (a, b) = (ReplicaId([1; 32]), ReplicaId([2; 32]));
        let _ = wire::decode(&bytes, a, b);
        let _ = wire::decode(&[&[wire::VERSION], bytes.as_slice()].concat(), a, b);
    }
    let ends = (ReplicaId([1; 32]), ReplicaId([2; 32]));
    assert_eq!(wire::decode(&[9, 0], ends.0, ends.1), Err(wire::WireError::Version(9)));
}

#[test]
fn demonstration_data_of_the_tail_show_on_test_patients_only() {
    for (id, tags, shown) in [("real", json!([]), 0), ("test", json!([record::fhir::patient::test_tag()]), 1)] {
        let mut site = Node::new(1);
        let resource = json!({"resourceType": "Patient", "id": id, "meta": {"tag": tags}});
        site.commit(vec![Draft::Create { place: Where::Site, resource }]);
        let patient: PatientId = id.parse().expect("id");
        let scope = site.replica.scope_of(&patient).expect("scope");
        let bind = |id: &str, what| {
            Draft::Bind(Binding { id: id.parse().expect("id"), what, bed: "2".parse().expect("bed"), from: Timestamp(0), until: None })
        };
        site.commit(vec![
            bind("b1", Bound::Device("ox-1".parse().expect("id"))),
            bind("b2", Bound::Patient { patient: patient.clone(), scope }),
        ]);
        let mut demo = frame(0, 1000, 97);
        demo.numerics[0].quality = Quality::Demo;
        let now = site.now();
        let tick = Commit { tick: vec![demo], ..Commit::default() };
        site.replica.commit(&mut site.store, now, &mut site.entropy, &tick).expect("tick");
        let wanted = Vitals { patient, waves: false, from: Timestamp(0), to: Timestamp::from_millis(10_000), device: None };
        let found = frames_of(site.store.begin().expect("begin").as_mut(), &wanted).expect("frames");
        assert_eq!(found.len(), shown, "{id}");
    }
}

#[test]
fn a_hub_restored_from_an_old_backup_gets_its_own_entries_back_from_its_site() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    let issue = json!({"resourceType": "DetectedIssue", "id": "a1", "status": "preliminary"});
    site.commit(vec![Draft::Create { place: Where::Patient(patient), resource: issue }]);
    sync(&mut site, &mut hub);
    let backup = hub.store.clone();
    let at = hub.now().wall;
    hub.commit(vec![Draft::Acknowledge { alert: "a1".parse().expect("id"), by: "doctor".into(), at }]);
    sync(&mut site, &mut hub);
    let mut restored = Node::started(2, backup, Counting(9_999), hub.clock + 1000, 7);
    assert!(sync(&mut site, &mut restored).0.equal);
    assert_eq!(restored.shown("DetectedIssue", "a1")["mitigation"][0]["author"]["display"], "doctor");
}

#[test]
fn a_hub_cannot_write_samples_or_bindings_into_a_sites_scopes() {
    let (mut site, mut hub) = enrolled();
    let patient = site.patient("p1");
    sync(&mut site, &mut hub);
    let segment = Segment::build(SegmentKind::Numerics, &[frame(0, 1000, 97)]).expect("segment");
    hub.commit(vec![Draft::Segment { place: Where::Patient(patient), segment }]);
    let (summary, _) = sync(&mut site, &mut hub);
    assert!(!summary.equal);
    assert!(summary.received.refused.iter().any(|r| r.reason.contains("the site's own")), "{:?}", summary.received.refused);
    assert!(site.store.begin().expect("begin").sealed_through(Timestamp(0)).expect("read").is_empty());
}

#[test]
fn what_is_written_while_a_session_runs_is_pushed_before_it_ends() {
    let (mut site, mut hub) = enrolled();
    site.patient("p1");
    let now = site.now();
    let (mut session, mut message) = Session::open(&mut site.replica, &mut site.store, now, hub.replica.id()).expect("open");
    let mut late = 0;
    let summary = loop {
        let now = hub.now();
        let (reply, _) = hub.replica.answer(&mut hub.store, now, site.replica.id(), &message).expect("answer");
        if late < 2 {
            late += 1;
            site.patient(&format!("late-{late}"));
        }
        let now = site.now();
        match session.handle(&mut site.replica, &mut site.store, now, &reply).expect("handle") {
            Step::Ask(next) => message = *next,
            Step::Done(summary) => break summary,
        }
    };
    assert!(summary.equal);
    assert_eq!(hub.shown("Patient", "late-2")["gender"], "female");
    assert!(hub.store.begin().expect("begin").incidents().expect("incidents").is_empty());
}

#[test]
fn a_restart_names_only_runs_that_no_other_run_continues() {
    let mut site = Node::new(1);
    site.patient("p1");
    for run in 2..8 {
        site = site.restart(run);
        site.patient(&format!("p{run}"));
    }
    let mut tx = site.store.begin().expect("begin");
    let chains = tx.chains().expect("chains");
    let longest = chains.iter().map(|c| tx.entry(c.head.chain, 0).expect("read").expect("entry").payload.len()).max().expect("runs");
    assert!(longest < 400, "a first entry of {longest} bytes grows with every restart");
}

#[test]
fn a_site_with_a_wild_clock_does_not_move_the_hubs_stamps_past_a_restart() {
    let (mut site, mut hub) = enrolled();
    site.clock = 4_000_000_000_000;
    site.patient("p1");
    sync(&mut site, &mut hub);
    let mut hub = hub.restart(2);
    hub.patient("p2");
    let id: ResourceId = "p2".parse().expect("id");
    let updated = hub.store.begin().expect("begin").document("Patient", &id).expect("read").expect("document").updated;
    assert!(updated.wall_ms < 1_800_000_000_000, "{updated}");
}
