//! The box in the clinic.
//!
//!     main ─ run ─┬─ event_loop   brain (edge-core) and hands: device links, recorder, board
//!                 ├─ bonding, recordings   pairing by a person; raw bytes written down
//!                 ├─ local_api    screens and FHIR over `web`      device_api   a technician's routes
//!                 ├─ hub_link     sync sessions        live_link   numerics and presence over MQTT
//!                 ├─ duties       erasures, departures, retention, a full disk
//!                 ├─ lan          sync sessions with other boxes of the clinic
//!                 └─ recovery     store → brain at start
//!     main ─ offline              decode, replay, verify, backup, restore       accounts, enrolment, bundles
//!     main ─ devices              this box's own radio and ports     technician, agent_client: the running agent, asked
//!
//! Always: the record is written by one thread only (`web::recorder`); `clock.rs` alone reads time and randomness.
//! Never here: deciding (`edge-core`), what entries mean (`protocol`), how HTTP is guarded (`web`).
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod accounts;
mod agent_client;
mod audit_trail;
mod board;
mod bonding;
mod bundles;
mod clock;
mod config;
mod device_api;
mod devices;
mod duties;
mod enrolment;
mod event_loop;
mod hub_link;
mod lan;
mod links;
mod live_link;
mod local_api;
mod offline;
mod recordings;
mod recovery;
mod run;
mod session_line;
mod state;
mod technician;

use crate::config::Config;
use anyhow::Context;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use web::accounts::Role;
use web::bundles::spool::Ask;

/// This program's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The name of its store within the data directory.
pub const STORE: &str = "agent";

/// How long the end waits for the record, in looks.
const WRITING_LOOKS: u32 = 1000;
const LOOK: Duration = Duration::from_millis(10);

/// Lamplight in the clinic: hears devices, keeps the record, scores, alerts, syncs.
#[derive(Parser)]
#[command(name = "edge-agent", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the agent until it is told to stop.
    Run(At),
    /// Joins a hub with a one-time code; a running agent takes notice by itself.
    Enroll {
        #[command(flatten)]
        at: At,
        /// The hub's address, such as https://hub.example.org:7400.
        #[arg(long)]
        hub: String,
        /// The one-time code; good once, so it may be given here.
        #[arg(long, required_unless_present = "code_stdin")]
        code: Option<String>,
        /// Read the code from standard input.
        #[arg(long)]
        code_stdin: bool,
    },
    /// People who may sign in.
    #[command(subcommand)]
    User(User),
    /// Devices: what is configured, what is in the air, pairing, moving, exchanging, trying.
    #[command(subcommand)]
    Devices(devices::Devices),
    /// Checks every chain, hash, signature and receipt; exits 1 naming the first bad entry.
    Verify(At),
    /// Copies the record, encrypted as it is, while the agent runs.
    Backup {
        #[command(flatten)]
        at: At,
        /// The new file.
        #[arg(long)]
        to: PathBuf,
    },
    /// Makes a data directory's record from a backup; never over an existing one.
    Restore {
        #[command(flatten)]
        at: At,
        /// The backup.
        #[arg(long)]
        from: PathBuf,
    },
    /// Makes a ledger bundle for the hub, sealed and signed: what it has not said it has.
    Export {
        #[command(flatten)]
        at: At,
        /// The file to make.
        #[arg(long)]
        bundle: PathBuf,
    },
    /// Takes in a ledger bundle that the hub made.
    Import {
        #[command(flatten)]
        at: At,
        /// The file.
        #[arg(long)]
        bundle: PathBuf,
    },
    /// Prints what bytes of a protocol say, one JSON line a reading.
    Decode {
        /// Protocol id, such as ge.dri.
        #[arg(long)]
        protocol: String,
        /// The bytes in hex; spaces are ignored.
        #[arg(long, conflicts_with = "file", required_unless_present = "file")]
        hex: Option<String>,
        /// A file with the bytes.
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Plays a recording through its driver, one JSON line a reading.
    Replay {
        /// The recording.
        capture: PathBuf,
        /// Protocol id; a recording's `# protocol: …` line says it otherwise.
        #[arg(long)]
        protocol: Option<String>,
    },
    /// Prints the OpenAPI document.
    #[command(hide = true)]
    Openapi,
}

/// Where the agent's configuration is.
#[derive(clap::Args)]
pub struct At {
    /// The configuration file.
    #[arg(long, default_value = "agent.toml", env = "LAMPLIGHT_CONFIG")]
    pub config: PathBuf,
}

#[derive(Subcommand)]
enum User {
    /// Adds one; the PIN or password is read from standard input.
    Add {
        /// The name typed at sign-in.
        name: String,
        #[command(flatten)]
        at: At,
        /// nurse, technician, operator, admin or auditor.
        #[arg(long, default_value = "nurse")]
        role: Role,
        /// The name shown.
        #[arg(long)]
        display_name: Option<String>,
        /// Accepted for scripts; standard input is read either way.
        #[arg(long)]
        secret_stdin: bool,
    },
    /// Lists them.
    List(At),
}

fn main() -> ExitCode {
    // Where, never what: a panic's words may hold what was being worked on.
    std::panic::set_hook(Box::new(|panic| match panic.location() {
        Some(at) => eprintln!("edge-agent: panic at {at}"),
        None => eprintln!("edge-agent: panic"),
    }));
    // One TLS stack for the process; a second call would be the only failure.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("edge-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(at) => {
            let config = Config::load(&at.config)?;
            offline::log(config.log_json);
            let runtime = runtime()?;
            let writing = runtime.block_on(run::run(config))?;
            // Every task's handle to the record goes with the runtime. A process that ends while the record is being written
            // takes the ground from under the database's cryptography.
            drop(runtime);
            let ended = (0..WRITING_LOOKS).any(|_| {
                std::thread::sleep(LOOK);
                writing.is_finished()
            });
            if !ended {
                eprintln!("edge-agent: the record was still being written; what was answered is durable");
            }
        }
        Command::Enroll { at, hub, code, .. } => {
            let config = Config::load(&at.config)?;
            let code = code.map_or_else(accounts::read_secret, Ok)?;
            let enrolment = runtime()?.block_on(enrolment::enrol(&config.data, &hub, &code))?;
            println!("enrolled as {} at {}", enrolment.site, enrolment.url);
        }
        Command::User(User::Add { name, at, role, display_name, .. }) => {
            accounts::add(&Config::load(&at.config)?.data, &name, display_name.as_deref(), role)?;
            println!("user {name} may sign in as {role}");
        }
        Command::User(User::List(at)) => offline::list_users(&Config::load(&at.config)?)?,
        Command::Devices(devices) => return devices::command(devices),
        Command::Verify(at) => return offline::verify(&Config::load(&at.config)?),
        Command::Backup { at, to } => offline::backup(&Config::load(&at.config)?, &to)?,
        Command::Restore { at, from } => offline::restore(&Config::load(&at.config)?, &from)?,
        Command::Export { at, bundle } => bundles::command(&Config::load(&at.config)?, &Ask::Export { site: None }, &bundle)?,
        Command::Import { at, bundle } => bundles::command(&Config::load(&at.config)?, &Ask::Import, &bundle)?,
        Command::Decode { protocol, hex, file } => offline::decode(&protocol, hex.as_deref(), file.as_deref())?,
        Command::Replay { capture, protocol } => offline::replay(&capture, protocol.as_deref())?,
        Command::Openapi => println!("{}", serde_json::to_string_pretty(&run::openapi())?),
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().context("the system gives no threads")
}
