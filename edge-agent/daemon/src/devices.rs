//! `edge-agent devices`: what a technician asks of the box's own radio and ports.

use crate::config::Config;
use crate::technician::{self, Asked, Pair, Person};
use crate::{At, clock, links, runtime};
use clap::Subcommand;
use driver::{In, Out};
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use transport::{LinkEvent, PairingAsk, Spec, Transport};

/// Device commands.
#[derive(Subcommand)]
pub enum Devices {
    /// Lists devices: those of the running agent with --as, else those of the configuration.
    List {
        /// Ask the running agent, signed in with this name; the PIN or password is the first line of standard input.
        #[arg(long = "as", value_name = "USER")]
        user: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Lists devices in range: what they are and whose they are with --as, else what this box's own radio hears.
    Scan {
        /// Seconds to listen.
        #[arg(long, default_value_t = 8)]
        seconds: u8,
        /// Ask the running agent, signed in with this name; the PIN or password is the first line of standard input.
        #[arg(long = "as", value_name = "USER")]
        user: Option<String>,
        #[command(flatten)]
        at: At,
    },
    /// Pairs a device for a bed with the running agent: shows what it says, and confirms once that is valid. Without --bed only
    /// this box's radio is paired with a Bluetooth device that is in its pairing mode.
    Pair(Pair),
    /// Opens one configured device and prints what it says, without recording it. Stop the agent first: a port has one user.
    Test {
        /// The device's id.
        device: String,
        #[command(flatten)]
        at: At,
        /// Seconds to listen.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    #[command(flatten)]
    Asked(Asked),
}

/// Does one.
///
/// # Errors
/// The configuration, a radio that is not there, or a refusal of the agent; each says what to do.
pub fn command(command: Devices) -> anyhow::Result<ExitCode> {
    match command {
        Devices::List { user: Some(user), at } => runtime()?.block_on(technician::list(&Person { user, at })),
        Devices::List { user: None, at } => list(&Config::load(&at.config)?),
        Devices::Scan { seconds, user: Some(user), at } => runtime()?.block_on(technician::scan(&Person { user, at }, seconds)),
        Devices::Scan { seconds, user: None, .. } => runtime()?.block_on(scan(seconds.into())),
        Devices::Pair(pair) => match (pair.bed.clone(), pair.user.clone()) {
            (Some(bed), Some(user)) => runtime()?.block_on(technician::pair(pair, bed, user)),
            _ => runtime()?.block_on(bond(&pair.address)),
        },
        Devices::Test { device, at, seconds } => runtime()?.block_on(test(&Config::load(&at.config)?, &device, seconds)),
        Devices::Asked(asked) => runtime()?.block_on(technician::ask(asked)),
    }
}

fn list(config: &Config) -> anyhow::Result<ExitCode> {
    let attached = links::attach(config, &links::profiles(config)?)?;
    if attached.is_empty() {
        println!("no device is configured: add [[devices]] to the configuration");
    }
    for device in attached {
        let reached = match &device.spec {
            Spec::Ble(spec) => format!("Bluetooth {}", spec.matches.address.clone().unwrap_or_else(|| "by profile".to_owned())),
            Spec::Serial(spec) => format!("serial {}", spec.path.display()),
            Spec::Mllp(spec) => format!("waits on {}", spec.address),
            Spec::Tcp(spec) => format!("connects to {}", spec.address),
            Spec::Udp(spec) => format!("asks {} (UDP)", spec.address),
            Spec::Replay(spec) => format!("recording {}", spec.path.display()),
        };
        let bed = device.setting.bed.map_or_else(|| "-".to_owned(), |b| b.to_string());
        println!("{}\t{}\t{}\tbed {bed}\t{reached}", device.setting.id, device.setting.name, device.setting.profile.protocol);
    }
    Ok(ExitCode::SUCCESS)
}

async fn scan(seconds: u64) -> anyhow::Result<ExitCode> {
    let (transport, heard) = Transport::new(clock::now);
    drop(heard);
    match transport.scan(Duration::from_secs(seconds.min(60))).await {
        Ok(seen) if seen.is_empty() => println!("nothing heard in {seconds} s: is the device on and near?"),
        Ok(seen) => {
            for one in seen {
                let rssi = one.rssi.map_or_else(|| "-".to_owned(), |r| format!("{r} dBm"));
                println!("{}\t{rssi}\t{}", one.address, one.name.unwrap_or_default());
            }
        }
        Err(down) => {
            eprintln!("{down}. {}", down.next_step());
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn bond(address: &str) -> anyhow::Result<ExitCode> {
    let (transport, heard) = Transport::new(clock::now);
    drop(heard);
    let (person, mut asked) = mpsc::channel(1);
    let answers = async {
        while let Some(ask) = asked.recv().await {
            answer(ask).await;
        }
    };
    let (outcome, ()) = tokio::join!(transport.pair_asking(address, person), answers);
    match outcome {
        Ok(()) => {
            println!("paired with {address}");
            Ok(ExitCode::SUCCESS)
        }
        Err(down) => {
            eprintln!("{down}. {}", down.next_step());
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Asks the person at the terminal. Whoever types nothing, or what cannot be meant, gives up.
async fn answer(ask: PairingAsk) {
    match ask {
        PairingAsk::Passkey(answer) => {
            eprintln!("Type the six digits that the device shows (nothing to give up):");
            if let Some(digits) = line().await.and_then(|typed| typed.parse().ok()) {
                let _ = answer.send(digits);
            }
        }
        PairingAsk::Pin(answer) => {
            eprintln!("Type the device's PIN (nothing to give up):");
            if let Some(pin) = line().await {
                let _ = answer.send(pin);
            }
        }
        PairingAsk::Compare { passkey, answer } => {
            eprintln!("Does the device show {passkey:06}? [yes/no]");
            if let Some(said) = line().await {
                let _ = answer.send(said.eq_ignore_ascii_case("yes") || said.eq_ignore_ascii_case("y"));
            }
        }
        PairingAsk::Show { digits } => eprintln!("Type these digits on the device: {digits}"),
    }
}

/// A line that is not empty; read by a thread of its own, which a pairing that ends first leaves behind.
async fn line() -> Option<String> {
    let (read, typed) = oneshot::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = std::io::stdin().read_line(&mut line);
        let _ = read.send(line.trim().to_owned());
    });
    typed.await.ok().filter(|line| !line.is_empty())
}

async fn test(config: &Config, device: &str, seconds: u64) -> anyhow::Result<ExitCode> {
    let attached = links::attach(config, &links::profiles(config)?)?.into_iter().find(|a| a.setting.id.as_str() == device);
    let Some(attached) = attached else { anyhow::bail!("device {device:?} is not configured") };
    let row = catalogue::protocol(&attached.setting.profile.protocol)?;
    let mut driver = (row.make)(&attached.setting.profile);
    let (transport, mut heard) = Transport::new(clock::now);
    transport.open(attached.spec);
    let mut readings = 0u64;
    let listen = async {
        while let Some(stamped) = heard.recv().await {
            let outs = match &stamped.event {
                LinkEvent::Listening { address } => {
                    eprintln!("waiting for the device on {address}");
                    Vec::new()
                }
                LinkEvent::Connected { identity, .. } => {
                    eprintln!("connected: {}", identity.address);
                    driver.handle(stamped.at.mono, In::Connected)
                }
                LinkEvent::Bytes(channel, bytes) => driver.handle(stamped.at.mono, In::Bytes(*channel, bytes)),
                LinkEvent::Disconnected { reason } => {
                    eprintln!("{reason}. {}", reason.next_step());
                    driver.handle(stamped.at.mono, In::Disconnected)
                }
            };
            for out in outs {
                for line in catalogue::lines::Line::of(Some(stamped.at.wall.millis()), Some(device), &out) {
                    readings += 1;
                    println!("{}", serde_json::to_string(&line)?);
                }
                match out {
                    Out::Send(channel, bytes) | Out::Acknowledge(channel, bytes) => {
                        if let Err(error) = transport.send(stamped.link, channel, bytes) {
                            eprintln!("not sent: {error}");
                        }
                    }
                    Out::Fault(fault) => eprintln!("fault: {fault}"),
                    _ => {}
                }
            }
        }
        anyhow::Ok(())
    };
    if let Ok(ended) = tokio::time::timeout(Duration::from_secs(seconds.min(600)), listen).await {
        ended?;
    }
    eprintln!("{readings} readings in {seconds} s");
    Ok(if readings > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
