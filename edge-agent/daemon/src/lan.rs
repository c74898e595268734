//! Other boxes of the same clinic, with or without a hub in reach: found by mDNS or named in the configuration, known by the
//! certificate that their common hub gave them, spoken to in the same sessions as the hub.
//!
//! ```text
//!     discovery, lan.peers ──▶ a task per box ──▶ hello: do both share? ──▶ admit ──▶ session
//!     door ◀── the same, from the other side
//! ```
//!
//! Always: nothing is granted before both boxes have named each other; a box that the hub has revoked is let in nowhere that
//! knows of it. Off unless the configuration says otherwise: to look for others is to be seen.

mod discovery;
mod door;
mod member;

use crate::clock;
use crate::config::LanConfig;
use crate::enrolment::Enrolment;
use crate::session_line::{self, Broken, Line, ask, backoff};
use anyhow::{Context, anyhow};
use discovery::Heard;
use edge_api::sync::{LanView, NeighbourState, NeighbourView, SyncView};
use member::{Member, Neighbourly};
use protocol::replica::CommitError;
use protocol::session::Summary;
use protocol::{Peer, PeerRole, StoreError};
use record::id::ReplicaId;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use web::listener::{ConnectionLimits, serve};
use web::recorder::Desk;
use web::sync::NEIGHBOUR;

/// Boxes spoken to at a time.
const BOXES_MAX: usize = 16;
/// Announcements that wait.
const HEARD_MAX: usize = 64;
/// Connections at a time.
const CONNECTIONS_MAX: usize = 64;

/// What the parts share.
pub struct Lan {
    /// Sites this box shares its record with.
    pub share_with: Vec<String>,
    every: Duration,
    view: Arc<watch::Sender<SyncView>>,
}

/// Where this box listens for neighbours.
///
/// # Errors
/// The address cannot be had.
pub async fn bind(config: &LanConfig) -> anyhow::Result<Option<TcpListener>> {
    if !config.enabled {
        return Ok(None);
    }
    Ok(Some(TcpListener::bind(config.bind).await.with_context(|| format!("lan.bind: cannot listen on {}", config.bind))?))
}

/// Speaks with neighbours, from the first enrolment until the program ends. One that is named no longer is granted nothing new.
pub async fn run(
    config: LanConfig,
    listener: Option<TcpListener>,
    every: Duration,
    line: Line,
    data: PathBuf,
    mut enrolled: watch::Receiver<Option<Enrolment>>,
    view: Arc<watch::Sender<SyncView>>,
) {
    let share_with = if listener.is_some() { config.share_with.clone() } else { Vec::new() };
    if let Err(error) = dismiss(&line, share_with.clone()).await {
        tracing::error!(error = %format!("{error:#}"), "a neighbour that is not named any more is still granted new records");
    }
    let Some(listener) = listener else { return };
    let neighbours = share_with.iter().map(|site| unmet(site)).collect();
    view.send_modify(|view| view.lan = Some(LanView { address: None, neighbours }));
    let enrolment = match enrolled.wait_for(Option::is_some).await {
        Ok(enrolment) => enrolment.clone(),
        Err(_) => return,
    };
    let Some(enrolment) = enrolment else { return };
    let lan = Arc::new(Lan { share_with, every, view });
    if let Err(error) = lan.live(&config, listener, line, &data, &enrolment).await {
        tracing::error!(error = %format!("{error:#}"), "neighbours are not spoken to");
    }
}

fn unmet(site: &str) -> NeighbourView {
    NeighbourView {
        site: site.to_owned(),
        state: NeighbourState::Searching,
        address: None,
        last_session_ms: None,
        equal: None,
        waiting: 0,
        problem: None,
    }
}

/// Grants a member this box's record, unless it has been done.
fn admit<'a>(desk: Desk<'a>, member: &Member) -> Result<Desk<'a>, CommitError> {
    let peer = Peer { replica: member.replica, seal_public: member.seal_public, role: PeerRole::Neighbour };
    if !desk.replica.peers().contains(&peer) {
        desk.replica.admit(desk.store, desk.now, desk.entropy, peer)?;
        let mut tx = desk.store.begin()?;
        tx.put_value(&name_of(member.replica), member.site.as_bytes())?;
        tx.commit()?;
        tracing::info!(site = %member.site, "the record is shared with a neighbour");
    }
    Ok(desk)
}

fn name_of(replica: ReplicaId) -> String {
    format!("neighbour/{replica}")
}

/// Lets go of neighbours that the configuration does not name.
async fn dismiss(line: &Line, share_with: Vec<String>) -> anyhow::Result<()> {
    let dismissed = line.recorder.write(move |desk| -> Result<(), StoreError> {
        let neighbours = desk.replica.peers().iter().filter(|p| p.role == PeerRole::Neighbour).map(|p| p.replica);
        for replica in neighbours.collect::<Vec<_>>() {
            let name = desk.store.begin()?.value(&name_of(replica))?.unwrap_or_default();
            if !share_with.iter().any(|site| site.as_bytes() == name) {
                desk.replica.dismiss(desk.store, replica)?;
            }
        }
        Ok(())
    });
    Ok(dismissed.await??)
}

impl Lan {
    async fn live(
        self: Arc<Self>,
        config: &LanConfig,
        listener: TcpListener,
        line: Line,
        data: &std::path::Path,
        enrolment: &Enrolment,
    ) -> anyhow::Result<()> {
        let address = listener.local_addr()?;
        let (chain, key) = enrolment.certificate(data)?;
        let tls = web::tls::server_config(chain, key, Some(enrolment.roots()?))?;
        let router = door::routes(Arc::clone(&self), line.clone());
        let limits = ConnectionLimits { connections_max: CONNECTIONS_MAX, ..ConnectionLimits::default() };
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = serve(listener, router, Some(tls), limits, std::future::pending()).await {
                tracing::error!(%error, "neighbours cannot reach this box");
            }
        });
        self.view.send_modify(|view| {
            if let Some(lan) = &mut view.lan {
                lan.address = Some(address.to_string());
            }
        });

        let (tell, mut heard) = mpsc::channel(HEARD_MAX);
        if config.discover {
            let (site, share_with, replica) = (enrolment.site.clone(), self.share_with.clone(), line.clone());
            let me = replica.recorder.write(|desk| desk.replica.id().to_string()).await?;
            tasks.spawn(async move {
                if let Err(error) = discovery::run(&site, &me, address.port(), &share_with, tell).await {
                    tracing::warn!(error = %format!("{error:#}"), "other boxes are not looked for; those in lan.peers are spoken to");
                }
            });
        }
        let visitor = |addresses: Vec<SocketAddr>| {
            let (lan, line, enrolment, data) = (Arc::clone(&self), line.clone(), enrolment.clone(), data.to_owned());
            async move { lan.visit_for_ever(&line, &enrolment, &data, &addresses).await }
        };
        for peer in config.peers.iter().take(BOXES_MAX) {
            tasks.spawn(visitor(vec![*peer]));
        }
        let mut found: HashMap<String, (Vec<SocketAddr>, AbortHandle)> = HashMap::new();
        while let Some(heard) = heard.recv().await {
            match heard {
                Heard::Found { name, addresses } => {
                    let known = found.get(&name).is_some_and(|(held, _)| *held == addresses);
                    if known || addresses.is_empty() || (found.len() >= BOXES_MAX && !found.contains_key(&name)) {
                        continue;
                    }
                    let task = tasks.spawn(visitor(addresses.clone()));
                    if let Some((_, old)) = found.insert(name, (addresses, task)) {
                        old.abort();
                    }
                }
                Heard::Lost(name) => {
                    if let Some((_, task)) = found.remove(&name) {
                        task.abort();
                    }
                }
            }
        }
        // Without discovery the boxes named are spoken to until the program ends.
        while tasks.join_next().await.is_some() {}
        Ok(())
    }

    /// Visits a box again and again, at the first of its addresses that answers.
    async fn visit_for_ever(&self, line: &Line, enrolment: &Enrolment, data: &std::path::Path, addresses: &[SocketAddr]) {
        let mut failures = 0_u32;
        let mut clients: HashMap<SocketAddr, (Arc<Neighbourly>, reqwest::Client)> = HashMap::new();
        loop {
            let mut reached = false;
            for address in addresses {
                let client = match clients.remove(address) {
                    Some(client) => Ok(client),
                    None => self.client(enrolment, data),
                };
                let Ok(client) = client.inspect_err(|error| tracing::error!(error = %format!("{error:#}"), "no line to a neighbour"))
                else {
                    continue;
                };
                let visited = self.visit(line, &client, *address).await;
                let member = client.0.seen().cloned();
                reached = visited.is_ok();
                self.note(line, member.as_ref(), *address, visited).await;
                if reached {
                    // A client that failed is made anew: another box may have been given the address.
                    clients.insert(*address, client);
                    break;
                }
            }
            failures = if reached { 0 } else { failures.saturating_add(1) };
            tokio::time::sleep(backoff(self.every, failures)).await;
        }
    }

    fn client(&self, enrolment: &Enrolment, data: &std::path::Path) -> anyhow::Result<(Arc<Neighbourly>, reqwest::Client)> {
        let verifier = Arc::new(Neighbourly::new(enrolment.roots()?, self.share_with.clone()));
        let (chain, key) = enrolment.certificate(data)?;
        let tls = rustls::ClientConfig::builder().dangerous().with_custom_certificate_verifier(Arc::clone(&verifier) as _);
        let client = session_line::client(tls.with_client_auth_cert(chain, key)?).no_proxy().build()?;
        Ok((verifier, client))
    }

    async fn visit(
        &self,
        line: &Line,
        (verifier, client): &(Arc<Neighbourly>, reqwest::Client),
        at: SocketAddr,
    ) -> Result<Summary, Broken> {
        let url = format!("https://{at}");
        ask(client.get(format!("{url}{NEIGHBOUR}")), &url).await?;
        let member = verifier.seen().cloned().ok_or_else(|| anyhow!("{url} has shown no certificate"))?;
        let replica = member.replica;
        let admitted = line.recorder.write(move |desk| -> anyhow::Result<bool> {
            if desk.replica.knows_revoked(member.replica) || member.replica == desk.replica.id() {
                return Ok(false);
            }
            Ok(admit(desk, &member).map(|_| true)?)
        });
        if !admitted.await.map_err(anyhow::Error::from)?? {
            return Err(Broken::Refused("the hub has ended this box's membership, or it is this very box".to_owned()));
        }
        line.session(replica, client, &url).await
    }

    /// Puts what came of a visit on the sync line.
    async fn note(&self, line: &Line, member: Option<&Member>, at: SocketAddr, visited: Result<Summary, Broken>) {
        let Some(member) = member else {
            if let Err(broken) = visited {
                tracing::debug!(%at, error = %format!("{:#}", anyhow::Error::from(broken)), "no neighbour that is shared with answers");
            }
            return;
        };
        let replica = member.replica;
        let counted = line.recorder.write(move |desk| desk.store.begin()?.unheld(desk.replica.id(), replica));
        let waiting = match counted.await {
            Ok(Ok((waiting, _))) => waiting,
            _ => 0,
        };
        let now = clock::now().wall.millis();
        self.view.send_modify(|view| {
            let Some(shown) = view.lan.iter_mut().flat_map(|lan| &mut lan.neighbours).find(|shown| shown.site == member.site) else {
                return;
            };
            shown.address = Some(at.to_string());
            shown.waiting = waiting;
            match visited {
                Ok(summary) => {
                    let refused = summary.refused.first();
                    shown.state = NeighbourState::Online;
                    shown.last_session_ms = Some(now);
                    shown.equal = Some(summary.equal);
                    shown.problem = refused.map(|r| format!("it refused {} stretches, the first: {}", summary.refused.len(), r.reason));
                }
                Err(broken) => {
                    shown.state = if matches!(broken, Broken::Refused(_)) { NeighbourState::Refused } else { NeighbourState::Offline };
                    shown.problem = Some(format!("{:#}", anyhow::Error::from(broken)));
                }
            }
        });
    }
}
