//! `simulators`: devices to test and demonstrate against. See the library for what each does.

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use simulators::physiology::{COURSE_S, Course, Patient};
use simulators::table::Table;
use simulators::{ble, control, dri, mllp, wire};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Simulated medical devices that speak real protocols. Commands are read from stdin, one a line: `unplug [name]`,
/// `plug [name]`, `silence [name]`, `speak [name]`, `sensor-off [name]`, `sensor-on [name]`, `garbage [name]`,
/// `corrupt [name]`, `truncate [name]`, `lose [name]`, `again [name]`, `clock SECONDS`, `cuff`, `flap TIMES [name]`,
/// `drop [name]`, `wake [name]`, `lose-bond [name]`, `refuse ERROR [name]`, `storm [name]`, `wait [name]`, `mend [name]`,
/// `course stable|deteriorating|improving|sepsis|haemorrhage|respiratory-failure|opioid|recovery`, `adapter off|on|remove|add`,
/// `service restart [ms]`, `bus restart [ms]`, `quit`.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    device: Device,
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
struct Common {
    /// Which patient.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// What becomes of the patient.
    #[arg(long, global = true, value_enum, default_value_t = Course::Stable)]
    course: Course,
    /// Seconds that the longer courses take.
    #[arg(long, global = true, default_value_t = COURSE_S)]
    course_s: f64,
    /// A recorded table to play instead: CSV, a column of times, the others by LOINC code or by name.
    #[arg(long, global = true)]
    table: Option<PathBuf>,
    /// Seconds of the table that are played in one.
    #[arg(long, global = true, default_value_t = 1.0)]
    speed: f64,
    /// Quit when stdin closes.
    #[arg(long, global = true)]
    follow_stdin: bool,
}

#[derive(Subcommand)]
enum Device {
    /// Bluetooth devices behind a fake Bluetooth service on a private system bus.
    Ble(ble::Options),
    /// A GE bedside monitor (DRI) on a pseudo-terminal.
    Dri(dri::Options),
    /// A bedside monitor that sends HL7 v2 (IHE PCD-01) to a listener.
    Mllp(mllp::Options),
    /// Any other device, by its protocol, on a pseudo-terminal, a TCP port or a UDP port of its own.
    Wire(wire::Options),
    /// Any device by its protocol: `play --protocol ge.dri --link PATH --table F`.
    Play(Play),
}

#[derive(Args)]
struct Play {
    /// Which protocol of the catalogue.
    #[arg(long)]
    protocol: String,
    /// Serial: stable path of the port.
    #[arg(long)]
    link: Option<PathBuf>,
    /// Network: where it listens.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// HL7: the listener it connects to.
    #[arg(long)]
    connect: Option<String>,
    /// Bluetooth: where its bus listens.
    #[arg(long)]
    socket: Option<PathBuf>,
}

impl Play {
    /// The same in the words of the device that speaks it.
    fn device(self) -> Result<Device> {
        let Self { protocol, link, listen, connect, socket } = self;
        Ok(match protocol.as_str() {
            "ge.dri" => Device::Dri(dri::Options { link: link.context("ge.dri needs --link PATH")? }),
            "hl7.oru" => Device::Mllp(mllp::Options::to(&connect.context("hl7.oru needs --connect HOST:PORT")?)?),
            ble if ble.starts_with("ble.") => Device::Ble(ble::Options::of(ble, socket)?),
            known if wire::PROTOCOLS.contains(&known) => Device::Wire(wire::Options { protocol, link, listen }),
            _ => bail!("--protocol: {protocol:?} is not one of ge.dri, hl7.oru, ble.* or {}", wire::PROTOCOLS.join(", ")),
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let Cli { device, common } = Cli::parse();
    let commands = control::commands(common.follow_stdin)?;
    let mut patient = Patient::new(common.seed, common.course).over(common.course_s);
    if let Some(table) = &common.table {
        patient = patient.playing(Table::read(table)?, common.speed);
    }
    let device = if let Device::Play(play) = device { play.device()? } else { device };
    match device {
        Device::Ble(options) => ble::run(options, common.seed, patient, commands).await,
        Device::Dri(options) => dri::run(options, patient, commands).await,
        Device::Wire(options) => wire::run(options, patient, commands).await,
        Device::Play(_) => bail!("a protocol that is played is that of another device"),
        Device::Mllp(options) => mllp::run(options, common.seed, patient, commands).await,
    }
}
