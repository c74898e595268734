//! What the parts of a running hub share.

use crate::authority::Authority;
use crate::clock;
use crate::config::Config;
use crate::fleet_view::Seen;
use crate::register::{Fleet, SiteRow};
use hub_api::fleet::StateView;
use hub_core::alerts::AlertBoard;
use hub_core::live::LiveBoard;
use hub_core::membership::Revocation;
use hub_core::site::SiteName;
use protocol::commit::DocumentState;
use protocol::{Store, StoreError};
use record::id::{Hash, ReplicaId, ResourceId};
use record::ledger::Identity;
use record::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};
use web::recorder::{Gate, Recorder};

/// Sites that may wait to be woken.
pub const WAKES: usize = 64;
/// Alerts read when the hub starts.
const ALERTS_MAX: usize = 100_000;

/// A running hub.
pub struct Hub {
    /// Its configuration.
    pub config: Config,
    /// Its replica id.
    pub replica: ReplicaId,
    /// Its X25519 public key, hex.
    pub seal_key: String,
    /// Signs sites' certificates.
    pub authority: Authority,
    /// Where agents are told to reach MQTT.
    pub mqtt: String,
    /// The ledger.
    pub recorder: Recorder,
    /// Closed while what keeps all this is away.
    pub gate: Gate,
    /// The newest picture, for what must answer at once.
    pub seen: watch::Sender<Arc<Seen>>,
    /// Sites whose membership has ended: their connections end.
    pub revoked: watch::Sender<Arc<BTreeSet<SiteName>>>,
    /// Sites to be woken over MQTT.
    pub wake: mpsc::Sender<SiteName>,
    fleet: Mutex<Fleet>,
    live: Mutex<LiveBoard>,
    alerts: Mutex<AlertBoard>,
    connections: Mutex<BTreeMap<SiteName, usize>>,
    states: Mutex<BTreeMap<ReplicaId, StateView>>,
}

/// What a hub is made of.
pub struct Parts {
    /// Its configuration.
    pub config: Config,
    /// Its keys.
    pub identity: Identity,
    /// Signs sites' certificates.
    pub authority: Authority,
    /// Where agents are told to reach MQTT.
    pub mqtt: String,
    /// The ledger's writer.
    pub recorder: Recorder,
    /// Closed while what keeps all this is away.
    pub gate: Gate,
    /// Who belongs.
    pub fleet: Fleet,
    /// Takes sites to be woken.
    pub wake: mpsc::Sender<SiteName>,
}

/// A certificate's owner, or why it is nobody.
#[derive(Debug, thiserror::Error)]
pub enum Stranger {
    /// Nobody's.
    #[error("this certificate was not given out to a site of this hub: enrol again")]
    Unknown,
    /// Of a site whose membership has ended.
    #[error("{}", .1.sentence(.0))]
    Revoked(SiteName, Box<Revocation>),
    /// The fleet cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A site that has shown its certificate.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its name.
    pub site: SiteName,
    /// Its replica.
    pub replica: ReplicaId,
    /// What is kept of it.
    pub row: SiteRow,
}

impl Hub {
    /// The parts put together.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { config, identity, authority, mqtt, recorder, gate, fleet, wake } = parts;
        Self {
            config,
            replica: identity.replica(),
            seal_key: hex::encode(identity.seal_public()),
            authority,
            mqtt,
            recorder,
            gate,
            seen: watch::Sender::new(Arc::new(Seen::default())),
            revoked: watch::Sender::default(),
            wake,
            fleet: Mutex::new(fleet),
            live: Mutex::default(),
            alerts: Mutex::default(),
            connections: Mutex::default(),
            states: Mutex::default(),
        }
    }

    /// Who belongs. Calls wait for a disk or a server: not for async threads.
    pub fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What came over MQTT.
    pub fn live(&self) -> MutexGuard<'_, LiveBoard> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which alerts are open.
    pub fn alerts(&self) -> MutexGuard<'_, AlertBoard> {
        self.alerts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose certificate this is. Waits for the disk.
    ///
    /// # Errors
    /// Why it opens nothing.
    pub fn caller(&self, fingerprint: &Hash) -> Result<Caller, Stranger> {
        let row = self.fleet().site_of_certificate(fingerprint)?.ok_or(Stranger::Unknown)?;
        let (Ok(site), Some(replica)) = (row.site.parse::<SiteName>(), row.replica) else { return Err(Stranger::Unknown) };
        match row.revocation {
            Some(revocation) => Err(Stranger::Revoked(site, Box::new(revocation))),
            None => Ok(Caller { site, replica, row }),
        }
    }

    /// Tells sites that there is something for them. Only a courtesy: they sync by themselves too.
    pub fn wake_named(&self, sites: &[String]) {
        for site in sites.iter().filter_map(|site| site.parse::<SiteName>().ok()) {
            if self.wake.try_send(site).is_err() {
                tracing::debug!("too many sites wait to be woken");
            }
        }
    }

    /// Notes alerts among documents that have changed; `of` says which replica began a document's scope.
    pub fn note_alerts(&self, site: ReplicaId, documents: &[DocumentState]) {
        let mut alerts = self.alerts();
        for document in documents.iter().filter(|document| document.resource_type == ALERT) {
            alerts.note(site, &document.id, &document.json);
        }
    }

    /// Reads the open alerts from the record, at start and after writes of this hub's own.
    ///
    /// # Errors
    /// The record cannot be read.
    pub async fn load_alerts(&self, only: Option<Vec<ResourceId>>) -> Result<(), StoreError> {
        let found = self.recorder.read(move |store| alerts_in(store, only.as_deref())).await?;
        let mut alerts = self.alerts();
        for (site, id, resource) in found {
            alerts.note(site, &id, &resource);
        }
        Ok(())
    }

    /// Reads the open alerts anew: records have gone, or have come back.
    ///
    /// # Errors
    /// The record cannot be read; alerts that came meanwhile are still shown.
    pub async fn forget_alerts(&self) -> Result<(), StoreError> {
        *self.alerts() = AlertBoard::default();
        self.load_alerts(None).await
    }

    /// What sites last said they show, compared.
    pub fn states(&self) -> MutexGuard<'_, BTreeMap<ReplicaId, StateView>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A site has connected over MQTT.
    pub fn connected(&self, site: &SiteName) {
        *self.connections().entry(site.clone()).or_default() += 1;
    }

    /// A connection of a site has ended; with its last one the site is gone, whatever it said last.
    pub fn disconnected(&self, site: &SiteName) {
        let mut connections = self.connections();
        let left = connections.get(site).map_or(0, |count| count.saturating_sub(1));
        if left == 0 {
            connections.remove(site);
            self.live().gone(site);
        } else {
            connections.insert(site.clone(), left);
        }
    }

    fn connections(&self) -> MutexGuard<'_, BTreeMap<SiteName, usize>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The wall clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        clock::now().wall
    }
}

/// The FHIR type of an alert.
pub const ALERT: &str = "DetectedIssue";

type Alert = (ReplicaId, ResourceId, serde_json::Value);

fn alerts_in(store: &mut dyn Store, only: Option<&[ResourceId]>) -> Result<Vec<Alert>, StoreError> {
    let mut tx = store.begin()?;
    let creators: BTreeMap<_, _> = tx.scopes()?.into_iter().map(|scope| (scope.id, scope.creator)).collect();
    let documents = match only {
        Some(ids) => {
            let mut found = Vec::new();
            for id in ids {
                found.extend(tx.document(ALERT, id)?.filter(|document| !document.json.is_empty()));
            }
            found
        }
        None => {
            let filter = protocol::store::DocumentFilter { resource_type: ALERT.to_owned(), limit: ALERTS_MAX, ..Default::default() };
            tx.documents(&filter)?
        }
    };
    let mut alerts = Vec::new();
    for document in documents {
        let Some(creator) = creators.get(&document.scope) else { continue };
        let resource = serde_json::from_str(&document.json)
            .map_err(|e| StoreError::Damaged { what: format!("{ALERT}/{}", document.id), why: e.to_string() })?;
        alerts.push((*creator, document.id, resource));
    }
    Ok(alerts)
}
