//! A replica as an agent opens it: an encrypted store in a file, patients with a bed and a monitor each.

use crate::chance::Chance;
use crate::clock;
use anyhow::{Context, Result};
use edge_store::SqliteStore;
use protocol::{Commit, Committed, Draft, Peer, PeerRole, Replica, Where};
use record::binding::{Binding, Bound};
use record::id::{BedId, DeviceId, PatientId, RunId};
use record::ledger::{Act, Identity};
use record::series::{Frame, Segment};
use record::time::Timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const KEY: [u8; 32] = [0x5a; 32];

/// A replica and its store.
#[derive(Debug)]
pub struct World {
    /// The store: SQLCipher, WAL, `synchronous=FULL`.
    pub store: SqliteStore,
    /// The replica.
    pub replica: Replica,
    /// What it draws its keys from.
    pub chance: Chance,
    path: PathBuf,
}

impl World {
    /// Opens the replica of `seed` kept in `folder`, a new one if there is none. `run` must differ between openings of one store.
    ///
    /// # Errors
    /// The store.
    pub fn open(folder: &Path, seed: u8, run: u8) -> Result<Self> {
        let path = folder.join(format!("replica-{seed}.db"));
        let mut store = SqliteStore::open(&path, &KEY).context("opening the store")?;
        let mut chance = Chance::new(u64::from(seed) << 8 | u64::from(run));
        let identity = Identity::from_seed(&[seed; 32])?;
        let replica = Replica::open(&mut store, identity, RunId([run; 8]), "bench", clock::now(), &mut chance)?;
        Ok(Self { store, replica, chance, path })
    }

    /// How others know it.
    #[must_use]
    pub fn peer(&self) -> Peer {
        Peer { replica: self.replica.id(), seal_public: self.replica.identity().seal_public(), role: PeerRole::Hub }
    }

    /// One durable commit.
    ///
    /// # Errors
    /// The store's.
    pub fn commit(&mut self, commit: &Commit) -> Result<Committed> {
        Ok(self.replica.commit(&mut self.store, clock::now(), &mut self.chance, commit)?)
    }

    /// One durable commit of drafts.
    ///
    /// # Errors
    /// The store's.
    pub fn write(&mut self, drafts: Vec<Draft>) -> Result<Committed> {
        self.commit(&Commit { act: Act::system(), drafts, ..Commit::default() })
    }

    /// One durable commit of a tick.
    ///
    /// # Errors
    /// The store's.
    pub fn tick(&mut self, frames: Vec<Frame>) -> Result<Committed> {
        self.commit(&Commit { act: Act::system(), tick: frames, ..Commit::default() })
    }

    /// Registers `count` patients, the first in bed 1 read by monitor 1, and so on.
    ///
    /// # Errors
    /// The store's.
    pub fn admit(&mut self, count: usize) -> Result<()> {
        for number in 1..=count {
            let resource = patient_resource(number);
            self.write(vec![Draft::Create { place: Where::Site, resource }])?;
            let patient = patient(number)?;
            let scope = self.replica.scope_of(&patient).context("a patient without a scope")?;
            let bind = |id: String, what: Bound| -> Result<Draft> {
                Ok(Draft::Bind(Binding { id: id.parse()?, what, bed: bed(number)?, from: Timestamp(0), until: None }))
            };
            let bound = [
                bind(format!("bind-patient-{number}"), Bound::Patient { patient, scope })?,
                bind(format!("bind-device-{number}"), Bound::Device(device(number)?))?,
            ];
            self.write(bound.into())?;
        }
        Ok(())
    }

    /// Closes it, so that the log is folded into the file; how large that is.
    ///
    /// # Errors
    /// The file cannot be seen.
    pub fn close(self) -> Result<u64> {
        let Self { store, path, .. } = self;
        drop(store);
        Ok(std::fs::metadata(&path).with_context(|| path.display().to_string())?.len())
    }
}

/// A segment into the record of the numbered patient.
///
/// # Errors
/// Never for the numbers used here.
pub fn segment_of(number: usize, segment: Segment) -> Result<Draft> {
    Ok(Draft::Segment { place: Where::Patient(patient(number)?), segment })
}

/// The numbered patient.
///
/// # Errors
/// Never for the numbers used here.
pub fn patient(number: usize) -> Result<PatientId> {
    Ok(format!("patient-{number}").parse()?)
}

/// The monitor at the numbered bed.
///
/// # Errors
/// Never for the numbers used here.
pub fn device(number: usize) -> Result<DeviceId> {
    Ok(format!("monitor-{number}.b0").parse()?)
}

/// The numbered bed.
///
/// # Errors
/// Never for the numbers used here.
pub fn bed(number: usize) -> Result<BedId> {
    Ok(number.to_string().parse()?)
}

fn patient_resource(number: usize) -> Value {
    json!({
        "resourceType": "Patient",
        "id": format!("patient-{number}"),
        "meta": {"tag": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}]},
        "name": [{"family": format!("Test{number}"), "given": ["Ward"]}],
        "gender": if number.is_multiple_of(2) { "female" } else { "male" },
        "birthDate": format!("19{:02}-0{}-1{}", 30 + number % 60, 1 + number % 9, number % 10),
    })
}
