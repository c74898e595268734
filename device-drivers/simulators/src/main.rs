//! `simulators`: devices to test and demonstrate against. See the library for what each does.

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use simulators::physiology::{Course, Patient};
use simulators::{ble, control, dri, mllp, wire};

/// Simulated medical devices that speak real protocols. Commands are read from stdin, one a line: `unplug [name]`,
/// `plug [name]`, `silence [name]`, `speak [name]`, `sensor-off [name]`, `sensor-on [name]`, `garbage [name]`,
/// `corrupt [name]`, `truncate [name]`, `drop [name]`, `wake [name]`, `lose-bond [name]`, `refuse ERROR [name]`, `storm [name]`, `wait [name]`, `mend [name]`,
/// `course stable|deteriorating|improving`, `adapter off|on|remove|add`, `service restart [ms]`, `bus restart [ms]`, `quit`.
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
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(tracing_subscriber::EnvFilter::from_default_env()).init();
    let Cli { device, common } = Cli::parse();
    let commands = control::commands(common.follow_stdin)?;
    let patient = Patient::new(common.seed, common.course);
    match device {
        Device::Ble(options) => ble::run(options, common.seed, patient, commands).await,
        Device::Dri(options) => dri::run(options, patient, commands).await,
        Device::Wire(options) => wire::run(options, patient, commands).await,
        Device::Mllp(options) => mllp::run(options, common.seed, patient, commands).await,
    }
}
