//! A GE Datex-Ohmeda monitor's computer interface on a pseudo-terminal. Like the real one it says nothing until asked:
//! displayed values at the interval requested, waves until stopped.

mod frame;
mod record;
mod request;

use crate::clock;
use crate::control::Command;
use crate::faults::Faults;
use crate::physiology::{Patient, Vitals};
use crate::port::{self, Port};
use crate::ready::say;
use crate::waves::Wave;
use anyhow::Result;
use frame::Opener;
use record::Page;
use request::Request;
use serde_json::json;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// Options of the DRI monitor.
#[derive(clap::Args)]
pub struct Options {
    /// Stable path of the port: a symlink that follows the pseudo-terminal through unplugging.
    #[arg(long)]
    pub link: PathBuf,
}

/// What the host asked for.
#[derive(Default)]
struct Asked {
    /// Seconds between pages of displayed values, and seconds until the next.
    page: Option<(u32, u32)>,
    classes: i32,
    waves: Vec<u8>,
}

struct Monitor {
    patient: Patient,
    vitals: Vitals,
    ecg: Wave,
    pleth: Wave,
    respiration: Wave,
    asked: Asked,
    number: u8,
    sensor_on: bool,
    silent: bool,
}

/// Runs the monitor until told to quit.
///
/// # Errors
/// The pseudo-terminal or its link cannot be made.
pub async fn run(options: Options, mut patient: Patient, mut commands: mpsc::Receiver<Command>) -> Result<()> {
    let mut port = Some(Port::open(&options.link)?);
    say(&json!({"ready": {"protocol": "ge.dri", "port": options.link}}));
    let vitals = patient.advance(0.0);
    let (ecg, pleth, respiration, asked) = (Wave::ecg(), Wave::pleth(), Wave::respiration(25.0), Asked::default());
    let mut monitor = Monitor { patient, vitals, ecg, pleth, respiration, asked, number: 0, sensor_on: true, silent: false };
    let mut opener = Opener::default();
    let (mut faults, mut last) = (Faults::default(), Vec::new());
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = second.tick() => {
                let frames = monitor.second();
                if !frames.is_empty() {
                    last.clone_from(&frames);
                }
                let frames = faults.mangle(frames).unwrap_or_default();
                if let Some(port) = &mut port {
                    // A host that takes nothing for 2 s has dropped its handshake line: waves stop until asked again.
                    if !port.write(&frames).await {
                        monitor.asked.waves.clear();
                    }
                }
            }
            heard = port::read(&mut port) => {
                let requests: Vec<Request> = opener.push(&heard).iter().filter_map(|record| request::parse(record)).collect();
                let answers: Vec<u8> = requests.iter().flat_map(|request| monitor.answer(request)).collect();
                if let Some(port) = &mut port {
                    port.write(&answers).await;
                }
            }
            command = commands.recv() => match command {
                None | Some(Command::Quit) => break,
                Some(Command::Unplug(_)) => {
                    // The system takes the stable name away with the port.
                    drop((port.take(), std::fs::remove_file(&options.link)));
                    opener = Opener::default();
                }
                Some(Command::Plug(_)) if port.is_none() => port = Some(Port::open(&options.link)?),
                Some(Command::Garbage(_)) => {
                    let noise = monitor.patient.noise(64);
                    if let Some(port) = &mut port {
                        port.write(&noise).await;
                    }
                }
                Some(Command::SensorOff(_)) => monitor.sensor_on = false,
                Some(Command::SensorOn(_)) => monitor.sensor_on = true,
                Some(Command::Silence(_)) => monitor.silent = true,
                Some(Command::Speak(_)) => monitor.silent = false,
                Some(Command::Course(course)) => monitor.patient.set_course(course),
                Some(Command::ClockStep(seconds)) => clock::step(seconds),
                Some(Command::Cuff) => monitor.patient.cuff_now(),
                Some(Command::Again(_)) => {
                    if let Some(port) = &mut port {
                        port.write(&last).await;
                    }
                }
                Some(command) => faults.hear(&command, "")
            },
        }
    }
    drop(port);
    let _ = std::fs::remove_file(&options.link);
    Ok(())
}

impl Monitor {
    /// One second passes; the frames that are due.
    fn second(&mut self) -> Vec<u8> {
        self.vitals = self.patient.advance(1.0);
        let ecg = self.ecg.next(300, &self.vitals);
        let pleth = if self.sensor_on { self.pleth.next(100, &self.vitals) } else { vec![record::INVALID; 100] };
        let respiration = self.respiration.next(25, &self.vitals);
        if self.silent {
            return Vec::new();
        }
        let mut frames = Vec::new();
        if let Some((every, left)) = &mut self.asked.page {
            *left = left.saturating_sub(1);
            if *left == 0 {
                *left = *every;
                frames.extend(self.page());
            }
        }
        let waves: Vec<(u8, &[i16])> =
            [(record::ECG1, ecg.as_slice()), (record::PLETH, pleth.as_slice()), (record::RESPIRATION, respiration.as_slice())]
                .into_iter()
                .filter(|(kind, _)| self.asked.waves.contains(kind))
                .collect();
        if !waves.is_empty() {
            frames.extend(frame::seal(&record::waves(self.next_number(), clock::now_ms(), &waves)));
        }
        frames
    }

    fn answer(&mut self, request: &Request) -> Vec<u8> {
        match request {
            Request::Displayed { interval_s: -1, classes } => {
                self.asked.classes = *classes;
                return self.page();
            }
            Request::Displayed { interval_s, classes } => {
                self.asked.classes = *classes;
                self.asked.page = u32::try_from(*interval_s).ok().filter(|every| *every > 0).map(|every| (every, 1));
            }
            Request::WavesStart(kinds) => self.asked.waves.clone_from(kinds),
            Request::WavesStop => self.asked.waves.clear(),
        }
        Vec::new()
    }

    fn page(&mut self) -> Vec<u8> {
        let page = Page { vitals: self.vitals, sensor_on: self.sensor_on, classes: self.asked.classes };
        frame::seal(&record::displayed(self.next_number(), clock::now_ms(), &page))
    }

    fn next_number(&mut self) -> u8 {
        self.number = self.number.wrapping_add(1);
        self.number
    }
}
