//! Bluetooth devices: straps, oximeters, cuffs, thermometers, scales and glucose meters behind a fake `org.bluez` on a private system bus. A
//! program under test finds it through `DBUS_SYSTEM_BUS_ADDRESS`, and uses its ordinary Bluetooth code.

mod bluez;
mod bus;
pub mod characteristics;
pub mod peripheral;

use crate::clock;
use crate::control::{Adapter, Command, means};
use crate::physiology::Patient;
use crate::ready::say;
use anyhow::{Context, Result};
use bluez::Bluez;
use bus::Bus;
use clap::{Parser, ValueEnum};
use peripheral::{Fault, Kind, Manner, Peripheral};
use serde_json::json;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How long a restarting service stays away.
const RESTART: Duration = Duration::from_millis(500);

/// How often an unconnected device advertises; real ones take 20 ms to some seconds.
const ADVERTISES_EVERY: Duration = Duration::from_millis(100);

/// Options of the Bluetooth devices.
#[derive(clap::Args)]
pub struct Options {
    /// Which devices: `hr`, `plx`, `bp`, `thermometer`, `scale`, `glucose`, `cgm`, `composition`, `plx-spot`.
    #[arg(long, value_delimiter = ',', default_value = "hr,plx")]
    pub devices: Vec<Kind>,
    /// Devices that say nothing until they are paired.
    #[arg(long, value_delimiter = ',')]
    pub pairing: Vec<Kind>,
    /// Devices that show six digits while they are paired, and ask for these.
    #[arg(long, value_delimiter = ',')]
    pub passkey: Vec<Kind>,
    /// Devices that sleep, and are awake for moments only.
    #[arg(long, value_delimiter = ',')]
    pub sleeping: Vec<Kind>,
    /// Seconds between the moments in which sleeping devices are awake.
    #[arg(long, default_value_t = 60)]
    pub wakes_every_s: u64,
    /// Properties that the Bluetooth service does not state: `hr.Trusted`, `adapter.Modalias`.
    #[arg(long, value_delimiter = ',')]
    pub omit: Vec<String>,
    /// A file that gets the bus address, for `DBUS_SYSTEM_BUS_ADDRESS`.
    #[arg(long)]
    pub address_file: Option<PathBuf>,
    /// Where the bus listens; by default in a temporary directory.
    #[arg(long)]
    pub socket: Option<PathBuf>,
}

/// The options alone, as a command line of their own.
#[derive(clap::Parser)]
struct Alone {
    #[command(flatten)]
    options: Options,
}

impl Options {
    /// One device, by its protocol in the catalogue.
    ///
    /// # Errors
    /// No device here speaks it.
    pub fn of(protocol: &str, socket: Option<PathBuf>) -> Result<Self> {
        let kind = Kind::ALL.into_iter().find(|kind| kind.protocol() == protocol);
        let kind = kind.with_context(|| format!("--protocol: no Bluetooth device here speaks {protocol:?}"))?;
        let socket = socket.map(|socket| [OsString::from("--socket"), socket.into()]);
        let words = ["ble", "--devices", kind.word()].map(OsString::from).into_iter().chain(socket.into_iter().flatten());
        Ok(Alone::try_parse_from(words)?.options)
    }
}

/// Runs the devices until told to quit.
///
/// # Errors
/// `dbus-daemon` cannot be started, or the address file cannot be written.
pub async fn run(options: Options, seed: u64, mut patient: Patient, mut commands: mpsc::Receiver<Command>) -> Result<()> {
    let mut bus = Bus::start(options.socket.as_deref()).await?;
    let subscribed = Arc::new(Notify::new());
    let mut peripherals: Vec<Peripheral> =
        options.devices.iter().map(|kind| Peripheral::new(*kind, seed, options.manner(*kind), Arc::clone(&subscribed))).collect();
    let adapter_omits = options.omitted("adapter");
    let mut bluez = Bluez::start(&bus.address, &peripherals, &adapter_omits).await?;
    if let Some(path) = &options.address_file {
        std::fs::write(path, &bus.address).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let names: Vec<_> = peripherals.iter().map(|p| json!({"device": p.kind.word(), "address": p.address, "name": p.name})).collect();
    say(&json!({"ready": {"protocol": "ble", "address": bus.address, "devices": names}}));
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut advertisement = interval(ADVERTISES_EVERY);
    advertisement.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut vitals = patient.advance(0.0);
    let mut seconds = 0;
    loop {
        tokio::select! {
            _ = advertisement.tick() => {
                bluez.forget_removed(&peripherals).await?;
                bluez.advertise(&peripherals).await;
            }
            // What streams says something to whoever subscribes at once, and so does what has just been used.
            () = subscribed.notified() => for peripheral in peripherals.iter_mut().filter(|p| p.plugged && !p.silent) {
                if let Some(value) = peripheral.greeting(&vitals) {
                    bluez.notify(peripheral, value).await;
                }
            },
            _ = second.tick() => {
                seconds += 1;
                vitals = patient.advance(1.0);
                for peripheral in peripherals.iter_mut().filter(|p| p.sleeps && p.plugged) {
                    if seconds % options.wakes_every_s.max(1) == 0 {
                        peripheral.wake();
                    } else if peripheral.tires() {
                        bluez.disconnect(peripheral).await?;
                    }
                }
                for peripheral in peripherals.iter_mut().filter(|p| p.plugged && !p.silent) {
                    if let Some(value) = peripheral.measurement(&vitals) {
                        bluez.notify(peripheral, value).await;
                    }
                    for result in peripheral.replay() {
                        bluez.notify(peripheral, result).await;
                    }
                    for (records, said) in peripheral.answers() {
                        for record in records {
                            bluez.notify(peripheral, record).await;
                        }
                        bluez.answer(peripheral, said).await;
                    }
                }
            }
            command = commands.recv() => match command {
                None | Some(Command::Quit) => {
                    bluez.stop().await;
                    bus.stop().await;
                    return Ok(());
                }
                Some(Command::Course(course)) => patient.set_course(course),
                Some(Command::ClockStep(seconds)) => clock::step(seconds),
                Some(Command::Cuff) => patient.cuff_now(),
                Some(Command::Again(name)) => {
                    for peripheral in peripherals.iter_mut().filter(|p| p.plugged && means(name.as_ref(), p.kind.word())) {
                        for record in peripheral.again() {
                            bluez.notify(peripheral, record).await;
                        }
                    }
                }
                Some(command @ (Command::Corrupt(_) | Command::Truncate(_) | Command::Lose(_))) => {
                    peripherals.iter_mut().for_each(|peripheral| peripheral.faults.hear(&command, peripheral.kind.word()));
                }
                Some(Command::Adapter(what)) => {
                    match what {
                        Adapter::Off => bluez.power(false, &peripherals).await?,
                        Adapter::On => bluez.power(true, &peripherals).await?,
                        Adapter::Remove => bluez.remove_adapter(&peripherals).await?,
                        Adapter::Add => bluez.add_adapter(&peripherals).await?,
                    }
                }
                Some(Command::RestartService(away_ms)) => {
                    bluez.stop().await;
                    sleep(away_ms.map_or(RESTART, Duration::from_millis)).await;
                    bluez = Bluez::start(&bus.address, &peripherals, &adapter_omits).await?;
                }
                Some(Command::RestartBus(away_ms)) => {
                    // The bus goes first: whoever listens must not see the service leave it.
                    bus.restart(away_ms.map_or(Duration::ZERO, Duration::from_millis)).await?;
                    bluez.stop().await;
                    bluez = Bluez::start(&bus.address, &peripherals, &adapter_omits).await?;
                }
                Some(command) => change(&command, &mut peripherals, &bluez, &mut patient).await?,
            },
        }
    }
}

/// Applies a command to the devices it names.
async fn change(command: &Command, peripherals: &mut [Peripheral], bluez: &Bluez, patient: &mut Patient) -> Result<()> {
    let (Command::Unplug(name)
    | Command::Plug(name)
    | Command::Silence(name)
    | Command::Speak(name)
    | Command::SensorOff(name)
    | Command::SensorOn(name)
    | Command::Drop(name)
    | Command::Wake(name)
    | Command::LoseBond(name)
    | Command::Refuse(_, name)
    | Command::Storm(name)
    | Command::Wait(name)
    | Command::Mend(name)
    | Command::Garbage(name)) = command
    else {
        return Ok(());
    };
    for peripheral in peripherals.iter_mut().filter(|p| means(name.as_ref(), p.kind.word())) {
        match command {
            Command::Unplug(_) if peripheral.plugged => {
                peripheral.plugged = false;
                bluez.unplug(peripheral).await?;
            }
            Command::Plug(_) if !peripheral.plugged => {
                peripheral.plugged = true;
                bluez.plug(peripheral).await?;
            }
            Command::Drop(_) if peripheral.plugged => bluez.disconnect(peripheral).await?,
            Command::Wake(_) => peripheral.wake(),
            Command::LoseBond(_) if peripheral.plugged => {
                peripheral.link.bond_lost.store(true, Relaxed);
                bluez.disconnect(peripheral).await?;
            }
            Command::Refuse(error, _) => ail(peripheral, Some(Fault::Refuses(error.clone()))),
            Command::Storm(_) => ail(peripheral, Some(Fault::Storm)),
            Command::Wait(_) => ail(peripheral, Some(Fault::Waits)),
            Command::Mend(_) => ail(peripheral, None),
            Command::Silence(_) => peripheral.silent = true,
            Command::Speak(_) => peripheral.silent = false,
            Command::SensorOff(_) => peripheral.sensor_on = false,
            Command::SensorOn(_) => peripheral.sensor_on = true,
            Command::Garbage(_) => bluez.notify(peripheral, patient.noise(3)).await,
            _ => {}
        }
    }
    Ok(())
}

fn ail(peripheral: &Peripheral, fault: Option<Fault>) {
    *peripheral.link.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
}

impl Options {
    fn manner(&self, kind: Kind) -> Manner {
        Manner {
            wants_pairing: self.pairing.contains(&kind),
            asks_passkey: self.passkey.contains(&kind),
            sleeps: self.sleeping.contains(&kind),
            omitted: self.omitted(kind.word()),
        }
    }

    /// What is not stated of a device or the adapter.
    fn omitted(&self, of: &str) -> Vec<String> {
        let names = self.omit.iter().filter_map(|omit| omit.split_once('.'));
        names.filter(|(name, _)| *name == of).map(|(_, property)| property.to_owned()).collect()
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::HeartRate => "hr",
            Self::Oximeter => "plx",
            Self::BloodPressure => "bp",
            Self::Thermometer => "thermometer",
            Self::Scale => "scale",
            Self::GlucoseMeter => "glucose",
            Self::GlucoseSensor => "cgm",
            Self::BodyScale => "composition",
            Self::SpotOximeter => "plx-spot",
        }
    }
}

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.word()))
    }
}
