//! The fleet as of one moment: what the fleet's file, the ledger and the live board know, brought together.

use crate::hub::Hub;
use crate::register::SiteRow;
use crate::{VERSION, clock};
use hub_api::fleet::{ClosingView, FleetView, IncidentView};
use hub_core::fleet::{Facts, Held};
use hub_core::site::SiteName;
use protocol::replica::CommitError;
use protocol::store::Incident;
use protocol::{Store, StoreError};
use record::id::ReplicaId;
use record::ledger::Act;
use record::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use web::recorder::Busy;

/// How often open connections hear of memberships that have ended, by whatever process.
const EVERY: Duration = Duration::from_secs(1);
/// The picture for `/metrics` and `/readyz` is renewed at every so many of these: it looks at every chain.
const PICTURE_EVERY: u64 = 5;

/// The newest picture, or why there is none.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The fleet.
    pub fleet: Option<FleetView>,
    /// Why it could not be renewed.
    pub trouble: Option<String>,
}

/// Why the fleet cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// A file cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The recorder does not answer.
    #[error(transparent)]
    Busy(#[from] Busy),
    /// The reading thread ended early.
    #[error("the fleet's reader has stopped")]
    Stopped,
}

/// The fleet, now.
///
/// # Errors
/// [`ViewError`].
pub async fn fleet(hub: &Arc<Hub>) -> Result<FleetView, ViewError> {
    let rows = rows(hub).await?;
    let replicas: Vec<ReplicaId> = rows.iter().filter_map(|row| row.replica).collect();
    let asked = replicas.clone();
    let held = hub.recorder.write(move |desk| {
        let of = |replica: ReplicaId| {
            let heads = desk.replica.shared_heads(replica);
            let entries = heads.iter().filter(|head| head.chain.author == replica).map(|head| head.next).sum();
            (replica, Held { entries, digest: Some(desk.replica.digest(replica).all), ..Held::default() })
        };
        asked.into_iter().map(of).collect::<BTreeMap<_, _>>()
    });
    let mut held = held.await?;
    let (newest, incidents) = hub.recorder.read(move |store| Ok((newest(store)?, store.begin()?.incidents()?))).await?;
    {
        let alerts = hub.alerts();
        for (replica, held) in &mut held {
            held.newest = newest.get(replica).copied();
            held.alerts = alerts.of(*replica);
            held.incidents =
                u32::try_from(incidents.iter().filter(|incident| incident.author == *replica && incident.closed.is_none()).count())
                    .unwrap_or(u32::MAX);
        }
    }

    let now = clock::now().wall;
    let live = hub.live();
    let nothing = Held::default();
    let sites = rows.iter().filter_map(|row| {
        let site: SiteName = row.site.parse().ok()?;
        let held = row.replica.and_then(|replica| held.get(&replica)).unwrap_or(&nothing);
        let facts = Facts {
            site: &site,
            replica: row.replica,
            revoked: row.revocation.as_ref(),
            status: &row.status,
            live: live.site(&site),
            held,
        };
        let mut shown = facts.row(hub.config.patience(), now);
        shown.version = shown.version.or_else(|| row.version.clone());
        Some(shown)
    });
    let sites = sites.collect();
    Ok(FleetView {
        as_of_ms: now.millis(),
        version: VERSION.to_owned(),
        replica: hub.replica.to_string(),
        live_messages: live.messages(),
        sites,
    })
}

/// Incidents, the open ones first, newest first.
///
/// # Errors
/// [`ViewError`].
pub async fn incidents(hub: &Arc<Hub>) -> Result<Vec<IncidentView>, ViewError> {
    let names: BTreeMap<ReplicaId, String> = rows(hub).await?.into_iter().filter_map(|row| Some((row.replica?, row.site))).collect();
    let found = hub.recorder.read(|store| store.begin()?.incidents()).await?;
    let view = |incident: Incident| IncidentView {
        id: incident.id(),
        site: names.get(&incident.author).cloned().unwrap_or_else(|| incident.author.to_string()),
        kind: incident.kind,
        detail: incident.detail,
        at_ms: incident.at.millis(),
        closed: incident.closed.map(|closing| ClosingView { at_ms: closing.at.millis(), by: closing.by, reason: closing.reason }),
    };
    let mut views: Vec<IncidentView> = found.into_iter().map(view).collect();
    views.sort_by_key(|view| view.closed.is_some());
    Ok(views)
}

/// Renews the picture and cuts off whoever no longer belongs, until the program ends.
pub async fn watch(hub: Arc<Hub>) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for count in 0_u64.. {
        tick.tick().await;
        // Readiness tells of it, and the log has.
        if (hub.gate)().is_some() {
            continue;
        }
        if let Err(error) = cut_revoked(&hub).await {
            tracing::warn!(%error, "the fleet cannot be read");
        }
        settle(&hub).await;
        if count % PICTURE_EVERY == 0 {
            let seen = match fleet(&hub).await {
                Ok(view) => Seen { fleet: Some(view), trouble: None },
                Err(ViewError::Busy(Busy::Away) | ViewError::Store(StoreError::Away { .. })) => continue,
                Err(error) => {
                    tracing::warn!(%error, "the fleet cannot be looked at");
                    Seen { fleet: hub.seen.borrow().fleet.clone(), trouble: Some(error.to_string()) }
                }
            };
            hub.seen.send_replace(Arc::new(seen));
        }
    }
}

/// Tells open connections which sites no longer belong.
///
/// # Errors
/// [`ViewError`].
pub async fn cut_revoked(hub: &Arc<Hub>) -> Result<(), ViewError> {
    let rows = rows(hub).await?;
    let revoked: BTreeSet<SiteName> = rows.iter().filter(|row| row.revocation.is_some()).filter_map(|row| row.site.parse().ok()).collect();
    let ended = rows.iter().filter(|row| row.revocation.is_some()).filter_map(|row| row.replica).collect::<Vec<_>>();
    let noted = hub.recorder.write(move |desk| {
        for replica in ended {
            if !desk.replica.has_revoked(replica) {
                desk.replica.revoke(desk.store, desk.now, desk.entropy, &Act::system(), replica)?;
            }
        }
        Ok::<_, CommitError>(())
    });
    if let Err(error) = noted.await? {
        tracing::error!(%error, "a revocation is not in the ledger yet; it is tried again");
    }
    hub.revoked.send_if_modified(|known| {
        let changed = **known != revoked;
        if changed {
            *known = Arc::new(revoked);
        }
        changed
    });
    Ok(())
}

/// Signs for erasures that others have ordered.
async fn settle(hub: &Arc<Hub>) {
    let settled = hub.recorder.write(|desk| desk.replica.settle(desk.store, desk.now, desk.entropy, None, &|_| true)).await;
    match settled {
        Ok(Ok(Some(_))) => {
            if let Err(error) = hub.forget_alerts().await {
                tracing::warn!(%error, "the open alerts cannot be read");
            }
        }
        Ok(Err(error)) => tracing::error!(%error, "what others' entries ask of this hub cannot be written; it is tried again"),
        Ok(Ok(None)) | Err(_) => {}
    }
}

async fn rows(hub: &Arc<Hub>) -> Result<Vec<SiteRow>, ViewError> {
    let hub = Arc::clone(hub);
    Ok(spawn_blocking(move || hub.fleet().sites()).await.map_err(|_| ViewError::Stopped)??)
}

/// The end of the newest segment of numerics of every replica.
fn newest(store: &mut dyn Store) -> Result<BTreeMap<ReplicaId, Timestamp>, StoreError> {
    let mut tx = store.begin()?;
    let mut newest: BTreeMap<ReplicaId, Timestamp> = BTreeMap::new();
    for scope in tx.scopes()? {
        for segment in tx.segments(scope.id, false, Timestamp(i64::MIN), Timestamp(i64::MAX), 1)? {
            let known = newest.entry(scope.creator).or_insert(segment.end);
            *known = segment.end.max(*known);
        }
    }
    Ok(newest)
}
