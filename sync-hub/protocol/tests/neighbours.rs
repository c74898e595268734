//! Two boxes of one clinic that hold each other's whole record, with a hub and without.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use protocol::{Draft, Peer, PeerRole, Replica, Store};
use record::binding::{Binding, Bound};
use record::ledger::Act;
use record::time::Timestamp;
use support::{Node, sync};

fn admit(node: &mut Node, peer: Peer) {
    let now = node.now();
    node.replica.admit(&mut node.store, now, &mut node.entropy, peer).expect("admit");
}

/// Two boxes that share with each other, and the hub of both.
fn clinic() -> (Node, Node, Node) {
    let (mut a, mut b, mut hub) = (Node::new(1), Node::new(3), Node::new(2));
    for node in [&mut a, &mut b] {
        admit(node, hub.peer());
    }
    assert!(sync(&mut a, &mut hub).0.equal && sync(&mut b, &mut hub).0.equal);
    let (of_a, of_b) = (Peer { role: PeerRole::Neighbour, ..a.peer() }, Peer { role: PeerRole::Neighbour, ..b.peer() });
    admit(&mut a, of_b);
    admit(&mut b, of_a);
    (a, b, hub)
}

fn binding(node: &mut Node, id: &str, device: &str) {
    let what = Bound::Device(device.parse().expect("id"));
    let binding = Binding { id: id.parse().expect("id"), what, bed: "1".parse().expect("bed"), from: Timestamp(0), until: None };
    node.commit(vec![Draft::Bind(binding)]);
}

fn bindings(node: &mut Node) -> Vec<String> {
    Replica::bindings(&mut node.store).expect("bindings").iter().map(|b| b.id.to_string()).collect()
}

#[test]
fn what_one_box_registers_reaches_the_hub_through_the_other() {
    let (mut a, mut b, mut hub) = clinic();
    a.patient("p1");
    assert!(sync(&mut a, &mut b).0.equal);
    assert_eq!(b.shown("Patient", "p1")["gender"], "female");
    // The first box is never seen again.
    let (summary, _) = sync(&mut b, &mut hub);
    assert_eq!(summary.refused, Vec::new());
    assert!(summary.equal);
    assert_eq!(hub.shown("Patient", "p1")["gender"], "female");
}

#[test]
fn what_reached_the_hub_through_a_neighbour_is_signed_for_to_its_writer_too() {
    let (mut a, mut b, mut hub) = clinic();
    a.patient("p1");
    assert!(sync(&mut a, &mut b).0.equal && sync(&mut b, &mut hub).0.equal);
    // It brings the hub nothing new, and must still learn that all of it is held there.
    assert!(sync(&mut a, &mut hub).0.equal);
    let unheld = |node: &mut Node| node.store.begin().expect("begin").unheld(node.replica.id(), hub.replica.id()).expect("unheld").0;
    assert_eq!(unheld(&mut a), 0);
    assert_eq!(unheld(&mut b), 0);
}

#[test]
fn a_neighbours_beds_are_not_this_wards_beds() {
    let (mut a, mut b, mut hub) = clinic();
    binding(&mut a, "at-a", "ox-a");
    binding(&mut b, "at-b", "ox-b");
    assert!(sync(&mut a, &mut b).0.equal);
    assert!(sync(&mut a, &mut hub).0.equal && sync(&mut b, &mut hub).0.equal);
    assert_eq!((bindings(&mut a), bindings(&mut b)), (vec!["at-a".to_owned()], vec!["at-b".to_owned()]));
    assert_eq!(bindings(&mut hub), ["at-a", "at-b"]);
}

#[test]
fn a_revocation_reaches_boxes_that_have_never_met_the_revoked_one() {
    let (mut a, mut b, mut hub) = clinic();
    let mut stranger = Node::new(4);
    admit(&mut stranger, hub.peer());
    sync(&mut stranger, &mut hub);
    let now = hub.now();
    hub.replica.revoke(&mut hub.store, now, &mut hub.entropy, &Act::system(), stranger.replica.id()).expect("revoked");
    sync(&mut a, &mut hub);
    assert!(a.replica.knows_revoked(stranger.replica.id()));
    assert!(!a.replica.knows_revoked(b.replica.id()));
    // From box to box as well, and nothing that is begun later is granted to it.
    sync(&mut b, &mut hub);
    let now = hub.now();
    hub.replica.revoke(&mut hub.store, now, &mut hub.entropy, &Act::system(), b.replica.id()).expect("revoked");
    sync(&mut a, &mut hub);
    let patient = a.patient("p2");
    let scope = a.replica.scope_of(&patient).expect("scope");
    assert!(!a.replica.scope(scope).expect("scope").access.has(b.replica.id()));
}

#[test]
fn a_neighbour_let_go_is_granted_nothing_new() {
    let (mut a, b, _) = clinic();
    a.replica.dismiss(&mut a.store, b.replica.id()).expect("dismissed");
    let mut a = a.restart(9);
    let patient = a.patient("p2");
    let scope = a.replica.scope_of(&patient).expect("scope");
    assert!(!a.replica.scope(scope).expect("scope").access.has(b.replica.id()));
}
