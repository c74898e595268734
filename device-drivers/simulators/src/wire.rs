//! Devices that need no more than bytes in and bytes out: what each says in a second, and what it answers.

mod analyser;
mod intellivue;
mod mindray;
mod oximeters;
mod ventilator;

use crate::clock;
use crate::control::Command;
use crate::faults::Faults;
use crate::physiology::{Patient, Vitals};
use crate::port::{self, Port};
use crate::ready::say;
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// A device's side of a protocol.
pub trait Device {
    /// A second passes: what it sends. For datagrams each element is one.
    fn second(&mut self, vitals: &Vitals, sensor_on: bool) -> Vec<Vec<u8>>;
    /// What it answers to bytes from the host.
    fn hear(&mut self, bytes: &[u8]) -> Vec<Vec<u8>>;
    /// The cable was pulled or the host went.
    fn hang_up(&mut self) {}
}

/// The protocols spoken here.
pub const PROTOCOLS: [&str; 12] = [
    "contec.cms50-old",
    "contec.cms50-new",
    "bci.oximeter",
    "nonin.df2",
    "nonin.df7",
    "masimo.ascii",
    "nellcor.ascii",
    "astm.lis2",
    "mindray.231",
    "philips.intellivue",
    "philips.intellivue-serial",
    "draeger.medibus",
];

/// A device that speaks this protocol.
#[must_use]
pub fn device(protocol: &str) -> Option<Box<dyn Device>> {
    Some(match protocol {
        "contec.cms50-old" => Box::new(oximeters::FiveByte::contec()),
        "bci.oximeter" => Box::new(oximeters::FiveByte::bci()),
        "contec.cms50-new" => Box::new(oximeters::ContecNew::new()),
        "nonin.df2" => Box::new(oximeters::Nonin::format_2()),
        "nonin.df7" => Box::new(oximeters::Nonin::format_7()),
        "masimo.ascii" => Box::new(oximeters::Masimo),
        "nellcor.ascii" => Box::new(oximeters::Nellcor),
        "astm.lis2" => Box::new(analyser::Analyser::default()),
        "mindray.231" => Box::new(mindray::Mindray::default()),
        "philips.intellivue" => Box::new(intellivue::IntelliVue::on_network()),
        "philips.intellivue-serial" => Box::new(intellivue::IntelliVue::on_serial_port()),
        "draeger.medibus" => Box::new(ventilator::Ventilator::default()),
        _ => return None,
    })
}

/// Options of a device on a wire.
#[derive(clap::Args)]
pub struct Options {
    /// Which protocol.
    #[arg(long)]
    pub protocol: String,
    /// Serial: stable path of the port, a symlink that follows the pseudo-terminal through unplugging.
    #[arg(long)]
    pub link: Option<PathBuf>,
    /// Network: where it listens; port 0 lets the system choose.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
}

/// Runs the device until told to quit.
///
/// # Errors
/// An unknown protocol, or a port that cannot be had.
pub async fn run(options: Options, patient: Patient, commands: mpsc::Receiver<Command>) -> Result<()> {
    let Some(device) = device(&options.protocol) else {
        bail!("--protocol: {:?} is not one of {}", options.protocol, PROTOCOLS.join(", "));
    };
    let end = match (&options.link, options.listen, options.protocol.as_str()) {
        (Some(link), None, _) => {
            let port = Port::open(link)?;
            say(&json!({"ready": {"protocol": options.protocol, "port": link}}));
            End::Serial { link: link.clone(), port: Some(port) }
        }
        (None, Some(address), "philips.intellivue") => {
            let socket = UdpSocket::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
            say(&json!({"ready": {"protocol": options.protocol, "listen": socket.local_addr()?}}));
            End::Udp { socket, peer: None, plugged: true }
        }
        (None, Some(address), _) => {
            let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
            say(&json!({"ready": {"protocol": options.protocol, "listen": listener.local_addr()?}}));
            End::Tcp { listener, stream: None, plugged: true }
        }
        _ => bail!("give either --link PATH or --listen ADDRESS"),
    };
    Runner { device, end, patient, sensor_on: true, silent: false, faults: Faults::default(), said: Vec::new() }.run(commands).await
}

/// The device's end of its wire.
enum End {
    Serial { link: PathBuf, port: Option<Port> },
    Tcp { listener: TcpListener, stream: Option<TcpStream>, plugged: bool },
    Udp { socket: UdpSocket, peer: Option<SocketAddr>, plugged: bool },
}

struct Runner {
    device: Box<dyn Device>,
    end: End,
    patient: Patient,
    sensor_on: bool,
    silent: bool,
    faults: Faults,
    /// What it said in the last second that it said anything.
    said: Vec<Vec<u8>>,
}

impl Runner {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) -> Result<()> {
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = second.tick() => {
                    let vitals = self.patient.advance(1.0);
                    let said = self.device.second(&vitals, self.sensor_on);
                    if !said.is_empty() {
                        self.said.clone_from(&said);
                    }
                    if !self.silent {
                        self.send(said).await;
                    }
                }
                heard = self.end.read() => match heard {
                    Some(bytes) => {
                        let answers = self.device.hear(&bytes);
                        if !self.silent {
                            self.send(answers).await;
                        }
                    }
                    None => self.device.hang_up(),
                },
                command = commands.recv() => match command {
                    None | Some(Command::Quit) => break,
                    Some(Command::Unplug(_)) => {
                        self.end.unplug();
                        self.device.hang_up();
                    }
                    Some(Command::Plug(_)) => self.end.plug()?,
                    Some(Command::Silence(_)) => self.silent = true,
                    Some(Command::Speak(_)) => self.silent = false,
                    Some(Command::SensorOff(_)) => self.sensor_on = false,
                    Some(Command::SensorOn(_)) => self.sensor_on = true,
                    Some(Command::Garbage(_)) => {
                        let noise = self.patient.noise(64);
                        self.end.write(&noise).await;
                    }
                    Some(Command::ClockStep(seconds)) => clock::step(seconds),
                    Some(Command::Cuff) => self.patient.cuff_now(),
                    Some(Command::Again(_)) => {
                        let said = self.said.clone();
                        self.send(said).await;
                    }
                    Some(Command::Course(course)) => self.patient.set_course(course),
                    Some(command) => self.faults.hear(&command, ""),
                },
            }
        }
        if let End::Serial { link, .. } = &self.end {
            let _ = std::fs::remove_file(link);
        }
        Ok(())
    }

    async fn send(&mut self, messages: Vec<Vec<u8>>) {
        for message in messages {
            if let Some(message) = self.faults.mangle(message) {
                self.end.write(&message).await;
            }
        }
    }
}

impl End {
    /// What the host sent; none where it has gone.
    async fn read(&mut self) -> Option<Vec<u8>> {
        let mut piece = vec![0; 4096];
        match self {
            Self::Serial { port, .. } => Some(port::read(port).await),
            Self::Tcp { plugged: false, .. } | Self::Udp { plugged: false, .. } => std::future::pending().await,
            Self::Tcp { listener, stream, .. } => match stream {
                None => {
                    if let Ok((accepted, _)) = listener.accept().await {
                        *stream = Some(accepted);
                    }
                    Some(Vec::new())
                }
                Some(open) => match open.read(&mut piece).await {
                    Ok(count) if count > 0 => Some(piece[..count].to_vec()),
                    _ => {
                        *stream = None;
                        None
                    }
                },
            },
            Self::Udp { socket, peer, .. } => {
                let (count, from) = socket.recv_from(&mut piece).await.ok()?;
                *peer = Some(from);
                Some(piece[..count].to_vec())
            }
        }
    }

    async fn write(&mut self, bytes: &[u8]) {
        match self {
            Self::Serial { port: Some(port), .. } => drop(port.write(bytes).await),
            Self::Tcp { stream: Some(open), .. } => drop(open.write_all(bytes).await),
            Self::Udp { socket, peer: Some(peer), plugged: true } => drop(socket.send_to(bytes, *peer).await),
            _ => {}
        }
    }

    fn unplug(&mut self) {
        match self {
            // The system takes the stable name away with the port.
            Self::Serial { link, port } => drop((port.take(), std::fs::remove_file(link))),
            Self::Tcp { stream, plugged, .. } => (*stream, *plugged) = (None, false),
            Self::Udp { peer, plugged, .. } => (*peer, *plugged) = (None, false),
        }
    }

    fn plug(&mut self) -> Result<()> {
        match self {
            Self::Serial { link, port } if port.is_none() => *port = Some(Port::open(link)?),
            Self::Serial { .. } => {}
            Self::Tcp { plugged, .. } | Self::Udp { plugged, .. } => *plugged = true,
        }
        Ok(())
    }
}

/// A vital sign as a whole number a device can show.
fn whole(value: f64) -> u16 {
    value.round().clamp(0.0, 999.0) as u16
}
