//! A bedside monitor that sends IHE PCD-01 messages over MLLP, one a second, and keeps each until it is acknowledged.
//! After a broken connection the same message goes out again under its own id, so nothing acknowledged twice is new and
//! nothing unacknowledged is lost, up to [`KEPT_MAX`] messages.

mod oru;

use crate::clock;
use crate::control::Command;
use crate::faults::Faults;
use crate::physiology::Patient;
use crate::ready::say;
use anyhow::{Context, Result};
use oru::{Monitor, Oru};
use serde_json::json;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// Messages kept for acknowledgement; past it the oldest is given up, as a monitor's memory would.
pub const KEPT_MAX: usize = 3600;
const ACK_WAIT: Duration = Duration::from_secs(10);
const RECONNECT: Duration = Duration::from_millis(300);
const ACK_BYTES_MAX: usize = 4096;
const START: u8 = 0x0b;
const END: [u8; 2] = [0x1c, 0x0d];

/// Options of the HL7 monitor.
#[derive(clap::Args)]
pub struct Options {
    /// The listener, host and port.
    #[arg(long)]
    pub connect: String,
    /// PID-3.
    #[arg(long, default_value = "TEST0001")]
    pub patient_id: String,
    /// PV1-3: where the monitor believes it stands.
    #[arg(long, default_value = "Ward^Room^Bed1")]
    pub location: String,
    /// A file that gets one JSON line for each acknowledged message: `{"id","t_ms","values":{"<LOINC>":number}}`.
    #[arg(long)]
    pub ack_log: Option<PathBuf>,
}

/// The options alone, as a command line of their own.
#[derive(clap::Parser)]
struct Alone {
    #[command(flatten)]
    options: Options,
}

impl Options {
    /// A monitor that calls this listener, and is otherwise like any.
    ///
    /// # Errors
    /// Never for a host and a port.
    pub fn to(connect: &str) -> Result<Self> {
        Ok(<Alone as clap::Parser>::try_parse_from(["mllp", "--connect", connect])?.options)
    }
}

/// What the measuring side and the sending side share; both run on one thread and hold no lock across a wait.
struct Shared {
    kept: std::sync::Mutex<VecDeque<Oru>>,
    more: Notify,
    plugged: watch::Sender<bool>,
    garbage: std::sync::Mutex<Option<Vec<u8>>>,
    faults: std::sync::Mutex<Faults>,
    /// The message acknowledged last, where it is to go out again.
    again: std::sync::Mutex<Option<Oru>>,
    last: std::sync::Mutex<Option<Oru>>,
}

/// Runs the monitor until told to quit.
///
/// # Errors
/// The acknowledgement log cannot be opened.
pub async fn run(options: Options, seed: u64, mut patient: Patient, mut commands: mpsc::Receiver<Command>) -> Result<()> {
    let log = options
        .ack_log
        .as_ref()
        .map(|path| File::options().create(true).append(true).open(path).with_context(|| format!("cannot open {}", path.display())))
        .transpose()?;
    let shared = Shared {
        kept: Default::default(),
        more: Notify::new(),
        plugged: watch::Sender::new(true),
        garbage: Default::default(),
        faults: Default::default(),
        again: Default::default(),
        last: Default::default(),
    };
    say(&json!({"ready": {"protocol": "hl7.oru", "connect": options.connect}}));
    let mut monitor = Monitor::new(seed, clock::now_ms(), &options);
    let measure = async {
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = false;
        loop {
            tokio::select! {
                _ = second.tick() => {
                    let vitals = patient.advance(1.0);
                    if !silent {
                        shared.keep(monitor.message(clock::now_ms(), &vitals));
                    }
                }
                command = commands.recv() => match command {
                    None | Some(Command::Quit) => break,
                    Some(Command::Unplug(_)) => drop(shared.plugged.send_replace(false)),
                    Some(Command::Plug(_)) => drop(shared.plugged.send_replace(true)),
                    Some(Command::Silence(_)) => silent = true,
                    Some(Command::Speak(_)) => silent = false,
                    Some(Command::SensorOff(_)) => monitor.sensor_on = false,
                    Some(Command::SensorOn(_)) => monitor.sensor_on = true,
                    Some(Command::Garbage(_)) => *lock(&shared.garbage) = Some(patient.noise(64)),
                    Some(Command::Course(course)) => patient.set_course(course),
                    Some(Command::ClockStep(seconds)) => clock::step(seconds),
                    Some(Command::Cuff) => patient.cuff_now(),
                    Some(Command::Again(_)) => {
                        *lock(&shared.again) = lock(&shared.last).clone();
                        shared.more.notify_one();
                    }
                    Some(command) => lock(&shared.faults).hear(&command, "")
                },
            }
        }
    };
    tokio::select! {
        () = measure => {}
        () = deliver(&options.connect, &shared, log) => {}
    }
    Ok(())
}

impl Shared {
    fn keep(&self, message: Oru) {
        let mut kept = lock(&self.kept);
        if kept.len() >= KEPT_MAX {
            tracing::warn!("memory full: the oldest message is given up");
            kept.pop_front();
        }
        kept.push_back(message);
        self.more.notify_one();
    }

    async fn oldest(&self) -> Oru {
        loop {
            // As a monitor does whose memory is read anew: under its old id.
            let again = lock(&self.again).take();
            if let Some(message) = again.or_else(|| lock(&self.kept).front().cloned()) {
                return message;
            }
            self.more.notified().await;
        }
    }

    fn done_with(&self, message: &Oru) {
        *lock(&self.last) = Some(message.clone());
        lock(&self.kept).retain(|kept| kept.id != message.id);
    }
}

/// Connects, delivers one message after the other, and begins again when the connection breaks or the cable is pulled.
async fn deliver(address: &str, shared: &Shared, mut log: Option<File>) {
    let mut plugged = shared.plugged.subscribe();
    loop {
        let _ = plugged.wait_for(|plugged| *plugged).await;
        if let Ok(stream) = TcpStream::connect(address).await {
            tokio::select! {
                outcome = converse(stream, shared, &mut log) => {
                    if let Err(error) = outcome {
                        tracing::info!(%error, "connection ended");
                    }
                }
                _ = plugged.wait_for(|plugged| !plugged) => {}
            }
        }
        sleep(RECONNECT).await;
    }
}

async fn converse(mut stream: TcpStream, shared: &Shared, log: &mut Option<File>) -> Result<()> {
    let mut heard = Vec::new();
    loop {
        let message = shared.oldest().await;
        let noise = lock(&shared.garbage).take().unwrap_or_default();
        let wire: Vec<u8> = noise.into_iter().chain([START]).chain(message.text.bytes()).chain(END).collect();
        // What is lost or damaged is not acknowledged, and goes out again after a while.
        let wire = lock(&shared.faults).mangle(wire).unwrap_or_default();
        stream.write_all(&wire).await?;
        let code = timeout(ACK_WAIT, acknowledged(&mut stream, &mut heard, &message.id)).await.context("no acknowledgement")??;
        match code.as_str() {
            "AA" | "CA" => {
                if let Some(log) = log {
                    // One write a line, so that a killed process never leaves half of one before a whole one.
                    log.write_all(format!("{}\n", json!({"id": message.id, "t_ms": message.t_ms, "values": message.values})).as_bytes())?;
                }
                shared.done_with(&message);
            }
            "AR" | "CR" => {
                tracing::warn!(id = message.id, "rejected");
                shared.done_with(&message);
            }
            _ => sleep(Duration::from_secs(1)).await,
        }
    }
}

/// Waits for the acknowledgement of `id` and gives its code; those of other messages are passed over.
async fn acknowledged(stream: &mut TcpStream, heard: &mut Vec<u8>, id: &str) -> Result<String> {
    loop {
        while let Some(end) = heard.windows(END.len()).position(|pair| pair == END) {
            let frame: Vec<u8> = heard.drain(..end + END.len()).collect();
            let text = String::from_utf8_lossy(&frame);
            for segment in text.split(['\r', '\n']) {
                let mut fields = segment.split('|');
                if fields.next() == Some("MSA")
                    && let (Some(code), Some(about)) = (fields.next(), fields.next())
                    && about == id
                {
                    return Ok(code.to_owned());
                }
            }
        }
        anyhow::ensure!(heard.len() < ACK_BYTES_MAX, "an acknowledgement without end");
        let count = stream.read_buf(heard).await?;
        anyhow::ensure!(count > 0, "closed by the listener");
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
