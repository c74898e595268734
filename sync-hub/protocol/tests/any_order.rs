//! What a replica holds and shows is a function of its set of entries: any order, any repeats, any batches of the same entries
//! give the same digest and the same canonical JSON.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use proptest::sample::Index;
use protocol::conformance::Counting;
use protocol::memory::MemoryStore;
use protocol::store::DocumentFilter;
use protocol::{Commit, Draft, Peer, PeerRole, Replica, Store, Where};
use record::id::{ReplicaId, RunId};
use record::ledger::{Identity, SetDigest, Stretch};
use record::time::{Now, Timestamp};
use serde_json::json;

struct Box {
    replica: Replica,
    store: MemoryStore,
    dice: Counting,
    clock: i64,
}

impl Box {
    fn new(seed: u8) -> Self {
        let (mut store, mut dice) = (MemoryStore::default(), Counting(u64::from(seed) * 1_000_000));
        let identity = Identity::from_seed(&[seed; 32]).expect("identity");
        let replica = Replica::open(&mut store, identity, RunId([seed; 8]), "test/1", now(0), &mut dice).expect("open");
        Self { replica, store, dice, clock: 0 }
    }
    fn peer(&self, role: PeerRole) -> Peer {
        Peer { replica: self.replica.id(), seal_public: self.replica.identity().seal_public(), role }
    }
    fn admit(&mut self, peer: Peer) {
        self.clock += 1;
        self.replica.admit(&mut self.store, now(self.clock), &mut self.dice, peer).expect("admit");
    }
    fn commit(&mut self, drafts: Vec<Draft>) {
        self.clock += 1;
        let commit = Commit { drafts, ..Commit::default() };
        self.replica.commit(&mut self.store, now(self.clock), &mut self.dice, &commit).expect("commit");
    }
    /// Whether anything was new.
    fn take(&mut self, from: ReplicaId, stretches: &[Stretch]) -> bool {
        self.replica.accept(&mut self.store, now(1), from, stretches, &[]).expect("accept").is_new()
    }
    /// Everything it holds, payloads included.
    fn entries(&mut self) -> Vec<Stretch> {
        let mut tx = self.store.begin().expect("begin");
        let chains = tx.chains().expect("chains");
        let mut stretches: Vec<Stretch> = chains.iter().flat_map(|c| tx.stretches(c.head.chain, 0, 10_000).expect("read")).collect();
        for stretch in &mut stretches {
            for (header, payload) in stretch.headers.iter().zip(&mut stretch.payloads) {
                *payload = tx.entry(header.chain(), header.seq).expect("read").expect("entry").payload;
            }
        }
        stretches
    }
    fn shown(&mut self) -> (SetDigest, Vec<(String, String)>) {
        let digest = self.replica.digest(self.replica.id());
        let mut tx = self.store.begin().expect("begin");
        let mut all = Vec::new();
        for kind in ["Patient", "Task", "DetectedIssue"] {
            let filter = DocumentFilter { resource_type: kind.to_owned(), limit: 1000, ..DocumentFilter::default() };
            all.extend(tx.documents(&filter).expect("documents").into_iter().map(|d| (d.json, d.version)));
        }
        (digest, all)
    }
}

fn now(ms: i64) -> Now {
    Now { wall: Timestamp::from_millis(1_700_000_000_000 + ms), ..Now::default() }
}

/// A site, its hub and a neighbour that have all written to one patient's record; what all of them hold together.
fn world() -> (Box, Box, Vec<Stretch>) {
    let (mut site, mut neighbour, mut hub) = (Box::new(1), Box::new(3), Box::new(2));
    site.admit(hub.peer(PeerRole::Hub));
    site.admit(neighbour.peer(PeerRole::Neighbour));
    neighbour.admit(hub.peer(PeerRole::Hub));
    neighbour.admit(site.peer(PeerRole::Neighbour));
    site.commit(vec![Draft::Create { place: Where::Site, resource: json!({"resourceType": "Patient", "id": "p1", "gender": "female"}) }]);
    let place = Where::Patient("p1".parse().expect("id"));
    for (kind, id) in [("Task", "t1"), ("DetectedIssue", "a1")] {
        let resource = json!({"resourceType": kind, "id": id, "status": "preliminary"});
        site.commit(vec![Draft::Create { place: place.clone(), resource }]);
    }
    let first = site.entries();
    neighbour.take(site.replica.id(), &first);
    hub.take(site.replica.id(), &first);
    for (at, writer) in [&mut site, &mut neighbour, &mut hub].into_iter().enumerate() {
        let elements = json!({"description": format!("by {at}"), "priority": "urgent"}).as_object().expect("object").clone();
        let id = "t1".parse().expect("id");
        writer.commit(vec![Draft::Update { resource_type: "Task".into(), id, elements, if_match: None }]);
        let alert = "a1".parse().expect("id");
        writer.commit(vec![Draft::Acknowledge { alert, by: format!("nurse {at}"), at: now(50).wall }]);
    }
    let mut all = site.entries();
    all.extend(neighbour.entries());
    all.extend(hub.entries());
    (site, hub, all)
}

/// Delivers until every entry of `set` is held: entries that come before those they follow are refused, and come again.
fn deliver(to: &mut Box, from: ReplicaId, order: &[usize], set: &[Stretch], batch: usize) {
    loop {
        let mut new = false;
        for indices in order.chunks(batch.max(1)) {
            let stretches: Vec<Stretch> = indices.iter().filter_map(|i| set.get(*i)).cloned().collect();
            new |= to.take(from, &stretches);
        }
        if !new {
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_order_any_repeats_and_any_batches_give_the_same_record(
        picks in prop::collection::vec(any::<Index>(), 0..40), swaps in prop::collection::vec((any::<Index>(), any::<Index>()), 40), batch in 1usize..8
    ) {
        let (site, _, set) = world();
        let straight: Vec<usize> = (0..set.len()).collect();
        let mut order = straight.clone();
        for (a, b) in swaps {
            order.swap(a.index(set.len()), b.index(set.len()));
        }
        order.extend(picks.iter().map(|i| i.index(set.len())));
        let (mut one, mut other) = (Box::new(2), Box::new(2));
        deliver(&mut one, site.replica.id(), &straight, &set, set.len());
        deliver(&mut other, site.replica.id(), &order, &set, batch);
        prop_assert_eq!(one.shown(), other.shown());
        prop_assert!(one.shown().1.len() == 3);
    }
}
