//! Replicas over stores in memory, and sessions between them through the bytes of their messages.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code)]

use protocol::conformance::Counting;
use protocol::memory::MemoryStore;
use protocol::session::{Session, Step, Summary};
use protocol::wire::{self, Message};
use protocol::{Commit, Draft, Peer, PeerRole, Replica, Store, Where};
use record::code::Code;
use record::decimal::Decimal;
use record::id::{PatientId, ResourceId, RunId};
use record::ledger::{Act, Identity};
use record::observation::Quality;
use record::series::{Boot, Frame, Numeric};
use record::time::{Monotonic, Now, Timestamp};
use record::unit::Unit;
use serde_json::json;

pub struct Node {
    pub replica: Replica,
    pub store: MemoryStore,
    pub entropy: Counting,
    pub clock: i64,
    pub seed: u8,
}

impl Node {
    pub fn new(seed: u8) -> Self {
        Self::started(seed, MemoryStore::default(), Counting(u64::from(seed) * 1_000_000), 1_700_000_000_000, 1)
    }
    pub fn started(seed: u8, mut store: MemoryStore, mut entropy: Counting, clock: i64, run: u8) -> Self {
        let identity = Identity::from_seed(&[seed; 32]).expect("identity");
        let now = Now { wall: Timestamp::from_millis(clock), ..Now::default() };
        let replica = Replica::open(&mut store, identity, RunId([run; 8]), "test/1", now, &mut entropy).expect("open");
        Self { replica, store, entropy, clock, seed }
    }
    pub fn now(&mut self) -> Now {
        self.clock += 1;
        Now { wall: Timestamp::from_millis(self.clock), mono: Monotonic(0), ..Now::default() }
    }
    pub fn commit(&mut self, drafts: Vec<Draft>) -> protocol::Committed {
        let now = self.now();
        let commit = Commit { act: Act { user: "nurse".into(), ..Act::default() }, drafts, ..Commit::default() };
        self.replica.commit(&mut self.store, now, &mut self.entropy, &commit).expect("commit")
    }
    pub fn patient(&mut self, id: &str) -> PatientId {
        let resource = json!({"resourceType": "Patient", "id": id, "name": [{"family": "Test"}], "gender": "female"});
        self.commit(vec![Draft::Create { place: Where::Site, resource }]);
        id.parse().expect("id")
    }
    pub fn shown(&mut self, kind: &str, id: &str) -> serde_json::Value {
        let id: ResourceId = id.parse().expect("id");
        let document = self.store.begin().expect("begin").document(kind, &id).expect("read").expect("document");
        serde_json::from_str(&document.json).expect("json")
    }
    pub fn restart(self, run: u8) -> Self {
        Self::started(self.seed, self.store, self.entropy, self.clock + 1000, run)
    }
    pub fn peer(&self) -> Peer {
        Peer { replica: self.replica.id(), seal_public: self.replica.identity().seal_public(), role: PeerRole::Hub }
    }
}

pub fn enrolled() -> (Node, Node) {
    let (mut site, hub) = (Node::new(1), Node::new(2));
    let (now, peer) = (site.now(), hub.peer());
    site.replica.admit(&mut site.store, now, &mut site.entropy, peer).expect("admit");
    (site, hub)
}

/// Sends a message through its bytes.
pub fn sent(message: &Message, from: &Node, to: &Node) -> Message {
    let (from, to) = (from.replica.id(), to.replica.id());
    wire::decode(&wire::encode(message, from, to), from, to).expect("message")
}

/// Runs a session, each message through its bytes; gives its summary and how many round trips it took.
pub fn sync(site: &mut Node, hub: &mut Node) -> (Summary, usize) {
    let now = site.now();
    let (mut session, mut message) = Session::open(&mut site.replica, &mut site.store, now, hub.replica.id()).expect("open");
    for trips in 1..500 {
        let (now, received) = (hub.now(), sent(&message, site, hub));
        let (reply, _) = hub.replica.answer(&mut hub.store, now, site.replica.id(), &received).expect("answer");
        let (now, reply) = (site.now(), sent(&reply, hub, site));
        match session.handle(&mut site.replica, &mut site.store, now, &reply).expect("handle") {
            Step::Ask(next) => message = *next,
            Step::Done(summary) => return (*summary, trips),
        }
    }
    panic!("the session does not end");
}

pub fn frame(seq: u64, measured_ms: i64, spo2: i64) -> Frame {
    Frame {
        device: "ox-1".parse().expect("id"),
        boot: Boot([1; 12]),
        first_seq: seq,
        arrived: Timestamp::from_millis(measured_ms),
        arrived_mono: Monotonic(0),
        measured: Timestamp::from_millis(measured_ms),
        device_time: None,
        offset_us: None,
        bed: Some("2".parse().expect("bed")),
        numerics: vec![Numeric { code: Code::SPO2, value: Ok(Decimal::whole(spo2)), unit: Unit::Percent, quality: Quality::Good }],
        waves: Vec::new(),
    }
}
