//! A real replica over a store on disk, and a raw connection for doing to its file what nobody should.
#![allow(dead_code, reason = "each test file uses its part")]

use edge_store::SqliteStore;
use protocol::conformance::Counting;
use protocol::replica::CommitError;
use protocol::store::Store;
use protocol::{Commit, Committed, Draft, Replica, Where};
use record::code::Code;
use record::decimal::Decimal;
use record::id::RunId;
use record::ledger::{Act, Identity};
use record::observation::Quality;
use record::series::{Boot, Frame, Numeric, Segment, SegmentKind};
use record::time::{Monotonic, Now, Timestamp};
use record::unit::Unit;
use rusqlite::Connection;
use serde_json::json;
use std::path::Path;

pub const KEY: [u8; 32] = [0x5a; 32];

pub struct Ward {
    pub store: SqliteStore,
    pub replica: Replica,
    entropy: Counting,
    clock: i64,
}

impl Ward {
    /// Starts at `path`; `run` must differ between starts of one store.
    pub fn start(path: &Path, run: u8) -> Self {
        let mut store = SqliteStore::open(path, &KEY).expect("store");
        let mut entropy = Counting(u64::from(run) * 1_000_000);
        let clock = 1_700_000_000_000 + i64::from(run) * 3_600_000;
        let identity = Identity::from_seed(&[7; 32]).expect("identity");
        let now = Now { wall: Timestamp::from_millis(clock), ..Now::default() };
        let replica = Replica::open(&mut store, identity, RunId([run; 8]), "test/1", now, &mut entropy).expect("replica");
        Self { store, replica, entropy, clock }
    }

    pub fn commit(&mut self, tick: Vec<Frame>, drafts: Vec<Draft>) -> Committed {
        self.try_commit(tick, drafts).expect("commit")
    }

    pub fn try_commit(&mut self, tick: Vec<Frame>, drafts: Vec<Draft>) -> Result<Committed, CommitError> {
        let now = self.now();
        let commit = Commit { act: Act::system(), tick, drafts, ..Commit::default() };
        self.replica.commit(&mut self.store, now, &mut self.entropy, &commit)
    }

    pub fn patient(&mut self, id: &str) {
        let resource = json!({"resourceType": "Patient", "id": id, "name": [{"family": "Unverwechselbar"}], "gender": "female"});
        self.commit(vec![], vec![Draft::Create { place: Where::Site, resource }]);
    }

    pub fn segment(&mut self, patient: &str, spo2: &[i64]) {
        self.try_segment(patient, spo2).expect("commit");
    }

    pub fn try_segment(&mut self, patient: &str, spo2: &[i64]) -> Result<Committed, CommitError> {
        let frames: Vec<Frame> = spo2.iter().map(|value| self.frame(*value)).collect();
        let segment = Segment::build(SegmentKind::Numerics, &frames).expect("segment");
        self.try_commit(vec![], vec![Draft::Segment { place: Where::Patient(patient.parse().expect("id")), segment }])
    }

    /// Gives up payloads nobody else holds; how many bytes went.
    pub fn shed(&mut self, bytes: u64) -> Result<u64, CommitError> {
        let now = self.now();
        Ok(self.replica.shed(&mut self.store, now, &mut self.entropy, None, bytes)?.1)
    }

    /// Moves everything of the oximeter from one patient to another.
    pub fn refile(&mut self, from: &str, to: &str) {
        let place = |patient: &str| Where::Patient(patient.parse().expect("id"));
        let (device, start, end) = ("ox-1".parse().expect("id"), Timestamp(0), Timestamp(i64::MAX));
        self.commit(vec![], vec![Draft::Refile { from: place(from), to: place(to), device, start, end }]);
    }

    pub fn frame(&mut self, spo2: i64) -> Frame {
        let at = self.now().wall;
        Frame {
            device: "ox-1".parse().expect("id"),
            boot: Boot([9; 12]),
            first_seq: u64::try_from(self.clock).expect("seq"),
            arrived: at,
            arrived_mono: Monotonic(0),
            measured: at,
            device_time: None,
            offset_us: None,
            bed: None,
            numerics: vec![Numeric { code: Code::SPO2, value: Ok(Decimal::whole(spo2)), unit: Unit::Percent, quality: Quality::Good }],
            waves: vec![],
        }
    }

    pub fn value(&mut self, key: &str) -> Option<Vec<u8>> {
        self.store.begin().expect("begin").value(key).expect("value")
    }

    pub fn now(&mut self) -> Now {
        self.clock += 1000;
        Now { wall: Timestamp::from_millis(self.clock), ..Now::default() }
    }
}

/// The file as SQL, with nothing of this crate in between.
pub fn raw(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("open");
    connection.execute_batch(&format!("PRAGMA key = \"x'{}'\"; PRAGMA foreign_keys = OFF;", hex::encode(KEY))).expect("key");
    connection
}
