//! Where brain and hands meet: everything that happens becomes an [`Input`], every [`Effect`] is done by a hand.

use crate::board::Board;
use crate::bonding::Bondings;
use crate::recordings::Recordings;
use crate::{clock, links};
use driver::profile::Profile;
use edge_api::device::ReachedBy;
use edge_api::sync::SyncView;
use edge_core::{Actor, Agent, Command, CommandError, CommandReply, Effect, Input, LinkEvent, LinkId, Telemetry};
use protocol::Committed;
use protocol::replica::CommitError;
use protocol::store::StoreError;
use record::id::DeviceId;
use record::time::Monotonic;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use transport::{Down, Stamped, Transport};
use web::recorder::Recorder;

/// Before a failed commit is asked for again.
const RETRY_MS: u64 = 1000;

/// Stands for a link that could not be opened; real ones count from 1.
const NO_LINK: LinkId = LinkId(0);

/// What others send into the loop.
pub enum Told {
    /// A person wants something; the answer comes once it is durable.
    Ask {
        /// Who.
        actor: Actor,
        /// What.
        command: Command,
        /// Where the answer goes.
        answer: oneshot::Sender<Result<CommandReply, CommandError>>,
    },
    /// Something else, as the brain hears it.
    Input(Box<Input>),
}

/// The hands of the loop.
pub struct Hands {
    /// Device links.
    pub transport: Transport,
    /// The writer.
    pub recorder: Recorder,
    /// The screens.
    pub board: Arc<Board>,
    /// Live numerics for the hub.
    pub telemetry: mpsc::Sender<Vec<Telemetry>>,
    /// Rung when a commit finds the disk full.
    pub full: Arc<Notify>,
    /// Bound listeners, by device.
    pub listening: watch::Sender<HashMap<DeviceId, SocketAddr>>,
    /// Raw bytes that are being written down.
    pub recordings: Recordings,
}

/// The loop.
pub struct EventLoop {
    agent: Agent,
    hands: Hands,
    devices: HashMap<transport::LinkId, DeviceId>,
    bondings: Bondings,
    answers: HashMap<u64, oneshot::Sender<Result<CommandReply, CommandError>>>,
    next_answer: u64,
    wake: Option<Monotonic>,
    done: mpsc::Sender<Input>,
    finished: mpsc::Receiver<Input>,
}

impl EventLoop {
    /// A loop around a brain and its first effects; `devices` says whose each opened link is. Must be called inside a tokio runtime.
    #[must_use]
    pub fn new(agent: Agent, first: Vec<Effect>, hands: Hands, devices: HashMap<transport::LinkId, DeviceId>) -> Self {
        // At most one commit is under way; bondings and links that could not be opened wait their turn.
        let (done, finished) = mpsc::channel(4);
        let (answers, bondings) = Default::default();
        let mut this = Self { agent, hands, devices, bondings, answers, next_answer: 0, wake: None, done, finished };
        this.act(first);
        this
    }

    /// Runs until everything is sealed after `stop`.
    pub async fn run(
        mut self,
        mut heard: mpsc::Receiver<Stamped>,
        mut told: mpsc::Receiver<Told>,
        mut sync: watch::Receiver<SyncView>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut stopping = false;
        loop {
            let wait = self.wake.map_or(Duration::from_secs(1), |at| Duration::from_micros(at.micros_since(clock::now().mono)));
            let stopped = tokio::select! {
                biased;
                Some(input) = self.finished.recv() => self.hear(input),
                Some(event) = heard.recv() => self.link(event),
                Some(told) = told.recv() => self.told(told),
                Ok(()) = sync.changed() => {
                    let view = sync.borrow_and_update().clone();
                    self.hear(Input::Sync(view))
                }
                Ok(()) = stop.changed(), if !stopping => {
                    stopping = true;
                    self.hear(Input::Stop)
                }
                () = tokio::time::sleep(wait) => {
                    self.wake = None;
                    self.hands.recordings.on_time(clock::now().mono);
                    self.hear(Input::Wake)
                }
            };
            if stopped {
                return;
            }
        }
    }

    fn hear(&mut self, input: Input) -> bool {
        self.hear_at(clock::now(), input)
    }

    fn hear_at(&mut self, now: record::time::Now, input: Input) -> bool {
        let effects = self.agent.handle(now, &mut clock::dice, input);
        self.hands.board.count(self.agent.counts());
        self.act(effects)
    }

    fn told(&mut self, told: Told) -> bool {
        match told {
            Told::Input(input) => self.hear(*input),
            Told::Ask { actor, command, answer } => {
                self.next_answer += 1;
                self.answers.insert(self.next_answer, answer);
                // Those whose asker has gone are forgotten.
                self.answers.retain(|_, answer| !answer.is_closed());
                self.hear(Input::Command { id: self.next_answer, actor, command })
            }
        }
    }

    fn link(&mut self, stamped: Stamped) -> bool {
        let Stamped { at, link, event } = stamped;
        let mut ends = false;
        let event = match event {
            transport::LinkEvent::Listening { address } => {
                if let Some(device) = self.devices.get(&link).cloned() {
                    self.hands.listening.send_modify(|all| {
                        all.insert(device, address);
                    });
                }
                LinkEvent::Connecting
            }
            transport::LinkEvent::Connected { listener, identity } => {
                if let Some(device) = listener.and_then(|l| self.devices.get(&l)).cloned() {
                    self.devices.insert(link, device);
                }
                if let Some(device) = self.devices.get(&link).cloned() {
                    let event = LinkEvent::Identified(identity.address);
                    self.hear_at(at, Input::Link { link: LinkId(link.0), device, event });
                }
                LinkEvent::Connected
            }
            transport::LinkEvent::Bytes(channel, bytes) => {
                if let Some(device) = self.devices.get(&link) {
                    self.hands.recordings.take(device, at, channel, &bytes);
                }
                LinkEvent::Bytes(channel, bytes)
            }
            transport::LinkEvent::Disconnected { reason } => {
                ends = reason.is_final();
                let said = format!("{reason}. {}", reason.next_step());
                match reason {
                    Down::PairingNeeded | Down::BondLost => LinkEvent::PairingNeeded { reason: said, lost: reason == Down::BondLost },
                    _ => LinkEvent::Disconnected { reason: said },
                }
            }
        };
        let Some(device) = self.devices.get(&link).cloned() else { return false };
        if ends {
            self.devices.remove(&link);
        }
        self.hear_at(at, Input::Link { link: LinkId(link.0), device, event })
    }

    /// Does the effects in order; whether the brain has stopped.
    fn act(&mut self, effects: Vec<Effect>) -> bool {
        let mut stopped = false;
        for effect in effects {
            match effect {
                Effect::Send { link, channel, bytes } => {
                    if let Err(error) = self.hands.transport.send(transport::LinkId(link.0), channel, bytes) {
                        tracing::debug!(%error, link = link.0, "bytes for a device were not sent");
                    }
                }
                Effect::OpenLink { device, profile, by } => self.open(device, &profile, &by),
                Effect::CloseLinks(device) => self.close(&device),
                Effect::Bond { device, address, anew } => {
                    self.bondings.begin(&self.hands.transport, device, address, anew, self.done.clone());
                }
                Effect::Passkey { device, typed } => self.bondings.answer(&device, typed),
                Effect::Record(recording) => self.hands.recordings.begin(*recording, clock::now()),
                Effect::StopRecording(device) => self.hands.recordings.end(&device),
                Effect::Commit { token, commit } => self.commit(token, commit),
                Effect::Reply { id, result } => {
                    if let Some(answer) = self.answers.remove(&id) {
                        // An asker that has gone away has its work done all the same.
                        let _ = answer.send(result);
                    }
                }
                Effect::Live(event) => self.hands.board.show(event),
                Effect::Telemetry(batch) => {
                    // Live values are dropped when the line is slow.
                    let _ = self.hands.telemetry.try_send(batch);
                }
                Effect::WakeAt(at) => self.wake = Some(at),
                Effect::Note(note) => tracing::info!("{note}"),
                Effect::Stopped => stopped = true,
            }
        }
        stopped
    }

    fn open(&mut self, device: DeviceId, profile: &Profile, by: &ReachedBy) {
        match links::spec(profile, by) {
            Ok(spec) => {
                self.devices.insert(self.hands.transport.open(spec), device);
            }
            Err(error) => {
                let event = LinkEvent::Disconnected { reason: format!("{error:#}") };
                let (done, input) = (self.done.clone(), Input::Link { link: NO_LINK, device, event });
                tokio::spawn(async move { done.send(input).await });
            }
        }
    }

    /// Closes a device's links at once: what they still say is nobody's.
    fn close(&mut self, device: &DeviceId) {
        for (link, _) in self.devices.extract_if(|_, of| of == device) {
            self.hands.transport.close(link);
        }
        self.bondings.end(device);
        self.hands.recordings.end(device);
        self.hands.listening.send_modify(|all| {
            all.remove(device);
        });
        self.hands.board.forget(device.as_str());
    }

    fn commit(&self, token: u64, commit: protocol::Commit) {
        let (done, full) = (self.done.clone(), Arc::clone(&self.hands.full));
        let failed = move |full: bool, reason: String| Input::CommitFailed { token, full, reason, retry_ms: RETRY_MS };
        let handed = self
            .hands
            .recorder
            .submit(move |desk| -> Result<Committed, CommitError> { desk.replica.commit(desk.store, desk.now, desk.entropy, &commit) });
        tokio::spawn(async move {
            let input = match handed {
                Err(busy) => failed(false, busy.to_string()),
                Ok(answer) => match answer.await {
                    Ok(Ok(result)) => Input::Committed { token, result },
                    Ok(Err(error)) => failed(matches!(error, CommitError::Store(StoreError::Full(_))), plain(&error)),
                    Err(_) => failed(false, "the recorder has stopped".to_owned()),
                },
            };
            if matches!(input, Input::CommitFailed { full: true, .. }) {
                full.notify_one();
            }
            let _ = done.send(input).await;
        });
    }
}

/// A commit error for the log: what concerns the store in its own words, the rest without ids of patients.
fn plain(error: &CommitError) -> String {
    match error {
        CommitError::Store(_) | CommitError::Seal(_) | CommitError::Grant(_) => error.to_string(),
        CommitError::UnknownPatient(_) => "a patient of the commit is not known".to_owned(),
        CommitError::Closed(_) => "a record of the commit is closed here".to_owned(),
        CommitError::UnknownDocument(_) => "a document of the commit is not known".to_owned(),
        CommitError::Exists(_) => "a document of the commit exists already".to_owned(),
        CommitError::Version { .. } => "a document of the commit has changed since".to_owned(),
        CommitError::Document(_) | CommitError::Resource(_) | CommitError::Content(_) => {
            "a document of the commit cannot be kept".to_owned()
        }
    }
}
