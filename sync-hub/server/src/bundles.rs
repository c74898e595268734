//! `export`/`import --bundle`: the ledger on a stick, for sites that no line reaches.
//!
//! While the hub runs, it alone writes its record: a command hands it the request through `web::bundles::spool`.

use crate::clock;
use crate::config::Config;
use crate::configuring::{self, Wish};
use crate::house::House;
use crate::hub::Hub;
use crate::keeping;
use crate::register::Fleet;
use anyhow::{Context, bail};
use edge_store::{DataDir, DataDirError};
use hub_api::configuration::RolledOut;
use hub_core::configuration::Groups;
use hub_core::membership::Revocation;
use hub_core::site::SiteName;
use protocol::{Peer, PeerRole};
use record::id::ReplicaId;
use record::ledger::Act;
use record::time::Timestamp;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use web::bundles::spool::{self, Ask};
use web::bundles::{BundleFault, Hands, Progress, Report, Welcome};
use web::recorder::Recorder;

/// What bundles are made and read with.
pub struct Bundles {
    hands: Hands,
    fleet: Arc<Mutex<Fleet>>,
    groups: Groups,
    /// Told of alerts; none for a command.
    hub: Option<Arc<Hub>>,
}

/// A site whose bundle was refused, as its membership has ended.
type Ended = Arc<Mutex<Option<(SiteName, ReplicaId, Box<Revocation>)>>>;

impl Bundles {
    /// Over an opened house, its recorder, and a connection to the fleet of its own.
    ///
    /// # Errors
    /// The keys cannot be used.
    pub fn new(house: &House, recorder: Recorder, fleet: Fleet, groups: Groups, hub: Option<Arc<Hub>>) -> anyhow::Result<Self> {
        let hands = Hands { recorder, identity: Arc::new(house.identity()?) };
        Ok(Self { hands, fleet: Arc::new(Mutex::new(fleet)), groups, hub })
    }

    /// Does what is asked. Waits for disk and recorder.
    ///
    /// # Errors
    /// Why nothing was done.
    pub fn work(&self, ask: &Ask, file: &Path, told: &mut dyn FnMut(Progress)) -> anyhow::Result<Report> {
        match ask {
            Ask::Export { site } => {
                let peer = self.site(site.as_deref().context("for which site? Give --site")?)?;
                let name = format!("Site/{}", site.as_deref().unwrap_or_default());
                Ok(self.hands.export(&peer, &name, file, told)?)
            }
            Ask::Import => self.import(file, told),
            Ask::RollOut { to, reason } => self.configure(to, reason, Wish::RollOut(configuring::read(file)?)),
            Ask::RollBack { to, reason } => self.configure(to, reason, Wish::RollBack),
        }
    }

    /// Not about bundles on a stick, and yet here: it is the same door for commands beside a running hub.
    fn configure(&self, to: &str, reason: &str, wish: Wish) -> anyhow::Result<Report> {
        let meant = configuring::meant(&to.parse()?, &fleet(&self.fleet).sites()?, &self.groups)?;
        let act = Act { user: "command-line".to_owned(), session: String::new(), reason: reason.to_owned() };
        let done = self.hands.recorder.submit(move |desk| configuring::carry_out(desk, &act, &meant, &wish))?;
        let RolledOut { sites, skipped } = done.blocking_recv()??;
        if let Some(hub) = &self.hub {
            hub.wake_named(&sites);
        }
        Ok(Report::RolledOut { sites, skipped })
    }

    fn site(&self, site: &str) -> anyhow::Result<Peer> {
        let row = fleet(&self.fleet).site(site)?.with_context(|| format!("there is no site {site}"))?;
        if let Some(revocation) = row.revocation {
            bail!("{}", revocation.sentence(&site.parse()?));
        }
        let (Some(replica), Some(seal_public)) = (row.replica, row.seal_key) else { bail!("{site} has not enrolled yet") };
        Ok(Peer { replica, seal_public, role: PeerRole::Neighbour })
    }

    fn import(&self, file: &Path, told: &mut dyn FnMut(Progress)) -> anyhow::Result<Report> {
        let ended = Ended::default();
        let welcome = welcome(Arc::clone(&self.fleet), Arc::clone(&ended));
        let mut sender = None;
        let imported = self.hands.import(
            file,
            &welcome,
            &mut |from, learned| {
                sender = Some(from);
                if let Some(hub) = &self.hub {
                    hub.note_alerts(from, &learned.accepted.documents);
                }
                if let Some(opening) = &learned.opening {
                    let oldest = opening.oldest_s.map(|s| Timestamp::from_millis(s.saturating_mul(1000)));
                    self.note(from, |status, now| status.opened(now, opening.program.as_deref(), opening.waiting, oldest));
                }
            },
            told,
        );
        match (&imported, sender) {
            (Ok(Report::Imported { equal, .. }), Some(from)) => self.note(from, |status, now| status.closed(now, *equal)),
            (Err(BundleFault::Unwelcome(_)), _) => self.raise(&ended)?,
            _ => {}
        }
        Ok(imported?)
    }

    /// Keeps what a bundle says of its site where sessions keep it.
    fn note(&self, site: ReplicaId, change: impl FnOnce(&mut hub_core::fleet::Status, Timestamp)) {
        let mut fleet = fleet(&self.fleet);
        let noted = fleet.site_of_replica(site).and_then(|row| {
            let Some(mut row) = row else { return Ok(()) };
            change(&mut row.status, clock::now().wall);
            fleet.put_status(&row.site, &row.status)
        });
        if let Err(error) = noted {
            tracing::warn!(%error, "the fleet does not show the bundle that was taken in");
        }
    }

    /// A site that goes on writing after its end is an incident, whatever carries what it writes.
    fn raise(&self, ended: &Ended) -> anyhow::Result<()> {
        let Some((site, replica, revocation)) = ended.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
        let raised = self.hands.recorder.submit(move |desk| {
            let mut tx = desk.store.begin()?;
            tx.put_incident(&revocation.incident(&site, replica, desk.now.wall))?;
            tx.commit()
        })?;
        Ok(raised.blocking_recv()??)
    }
}

fn fleet(fleet: &Mutex<Fleet>) -> MutexGuard<'_, Fleet> {
    fleet.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sites that are enrolled and still belong.
fn welcome(register: Arc<Mutex<Fleet>>, ended: Ended) -> Welcome {
    Arc::new(move |from| {
        let row = fleet(&register).site_of_replica(from).map_err(|error| error.to_string())?;
        let row = row.ok_or_else(|| format!("the bundle is from replica {from}, which is no site of this hub"))?;
        let site: SiteName = row.site.parse().map_err(|_| format!("{} is no site's name", row.site))?;
        match row.revocation {
            None => Ok(()),
            Some(revocation) => {
                let sentence = revocation.sentence(&site);
                *ended.lock().unwrap_or_else(PoisonError::into_inner) = Some((site, from, Box::new(revocation)));
                Err(sentence)
            }
        }
    })
}

/// A command: at the running hub if there is one, else here.
///
/// # Errors
/// Why nothing was done.
pub fn command(config: &Config, ask: &Ask, file: &Path) -> anyhow::Result<()> {
    let mut told = |progress: Progress| eprintln!("{} entries, {} MB", progress.entries, progress.bytes >> 20);
    DataDir::open(&config.data)?;
    let house = match House::open_or_create(config) {
        Ok(house) => house,
        Err(error) if matches!(error.downcast_ref(), Some(DataDirError::InUse { .. })) => {
            let mut id = [0; 8];
            clock::dice(&mut id);
            return print(&spool::ask(&config.data, &hex::encode(id), ask, file, &mut told)?);
        }
        Err(error) => return Err(error),
    };
    let (recorder, recording) = keeping::open(&house)?;
    let fleet = house.shelf.fleet()?;
    let done = Bundles::new(&house, recorder, fleet, config.groups.clone(), None).and_then(|bundles| bundles.work(ask, file, &mut told));
    let _ = recording.join();
    print(&done?)
}

fn print(report: &Report) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(report)?);
    match report {
        Report::Imported { refused, first_refusal, .. } if *refused > 0 => {
            bail!("{refused} stretches were not taken, the first: {}", first_refusal.as_deref().unwrap_or_default())
        }
        _ => Ok(()),
    }
}
