//! `export`/`import --bundle`: the ledger on a stick, to the hub and back.
//!
//! While the agent runs, it alone writes its record: a command hands it the request through `web::bundles::spool`.

use crate::clock::{self, SystemEntropy};
use crate::config::Config;
use crate::enrolment::{self, Enrolment};
use crate::session_line::Brought;
use crate::{STORE, VERSION};
use anyhow::{Context, bail};
use edge_store::{DataDir, DataDirError, SqliteReader, SqliteStore};
use protocol::replica::CommitError;
use protocol::{Peer, Replica};
use record::id::RunId;
use record::ledger::Identity;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};
use web::bundles::spool::{self, Ask};
use web::bundles::{Hands, Progress, Report};
use web::recorder::Recorder;

/// What bundles are made and read with.
pub struct Bundles {
    /// The record and its keys.
    pub hands: Hands,
    /// Where the enrolment lies.
    pub data: PathBuf,
    /// Who hears of what a bundle brought, while the agent runs.
    pub heard: Option<(mpsc::Sender<Brought>, Arc<Notify>)>,
}

impl Bundles {
    /// Does what is asked. Waits for disk and recorder.
    ///
    /// # Errors
    /// Why nothing was done.
    pub fn work(&self, ask: &Ask, file: &Path, told: &mut dyn FnMut(Progress)) -> anyhow::Result<Report> {
        let enrolment = Enrolment::load(&self.data)?.context("this box is enrolled at no hub: enrol it first")?;
        let hub = enrolment.peer()?;
        let report = match ask {
            Ask::Export { .. } => {
                self.admit(hub)?;
                self.hands.export(&hub, "Hub", file, told)?
            }
            Ask::Import => {
                let welcome = move |from| match from == hub.replica {
                    true => Ok(()),
                    false => Err(format!("the bundle is from replica {from}, not from the hub this box is enrolled at")),
                };
                let mut heard = |_, learned: protocol::session::Learned| {
                    if let Some((brought, _)) = &self.heard
                        && learned.accepted.is_new()
                        && brought.blocking_send(learned.accepted).is_err()
                    {
                        tracing::debug!("the event loop has ended");
                    }
                };
                self.hands.import(file, &(Arc::new(welcome) as _), &mut heard, told)?
            }
            Ask::RollOut { .. } | Ask::RollBack { .. } => bail!("only a hub rolls out what sites go by"),
        };
        if let Some((_, nudge)) = &self.heard {
            nudge.notify_one();
        }
        Ok(report)
    }

    /// A box that has just been enrolled has granted the hub nothing yet.
    fn admit(&self, hub: Peer) -> anyhow::Result<()> {
        let admitted = self.hands.recorder.submit(move |desk| -> Result<(), CommitError> {
            if !desk.replica.peers().contains(&hub) {
                desk.replica.admit(desk.store, desk.now, desk.entropy, hub)?;
            }
            Ok(())
        })?;
        Ok(admitted.blocking_recv()??)
    }
}

/// A command: at the running agent if there is one, else here.
///
/// # Errors
/// Why nothing was done.
pub fn command(config: &Config, ask: &Ask, file: &Path) -> anyhow::Result<()> {
    let mut told = |progress: Progress| eprintln!("{} entries, {} MB", progress.entries, progress.bytes >> 20);
    DataDir::open(&config.data)?;
    let directory = match DataDir::open_or_create(&config.data, &mut clock::dice) {
        Ok(directory) => directory,
        Err(DataDirError::InUse { .. }) => {
            return print(&spool::ask(&config.data, &enrolment::random_hex(), ask, file, &mut told)?);
        }
        Err(error) => return Err(error.into()),
    };
    let (path, key) = (directory.store_path(STORE), *directory.store_key());
    let mut store = SqliteStore::open(&path, &key)?;
    let mut run = [0; 8];
    clock::dice(&mut run);
    let identity = || Identity::from_seed(directory.identity_seed());
    let program = format!("edge-agent/{VERSION}");
    let replica = Replica::open(&mut store, identity()?, RunId(run), &program, clock::now(), &mut clock::dice)?;
    let reader = Arc::new(move || SqliteReader::open(&path, &key).map(|reader| Box::new(reader) as _));
    let (recorder, recording) = Recorder::start(replica, Box::new(store), reader, Arc::new(clock::now), Arc::new(SystemEntropy))?;
    let bundles = Bundles { hands: Hands { recorder, identity: Arc::new(identity()?) }, data: config.data.clone(), heard: None };
    let done = bundles.work(ask, file, &mut told);
    drop(bundles);
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
