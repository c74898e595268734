//! What to open. Facts come from device profiles and the site's settings; nothing here knows a device.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio_serial::{DataBits, FlowControl, Parity, StopBits};

/// A link to open.
#[derive(Clone, Debug)]
pub enum Spec {
    /// A Bluetooth Low Energy device.
    Ble(BleSpec),
    /// A serial port.
    Serial(SerialSpec),
    /// A socket that monitors connect to; each connection becomes a link of its own.
    Mllp(MllpListenSpec),
    /// A monitor's TCP server.
    Tcp(DialSpec),
    /// A monitor's UDP port.
    Udp(DialSpec),
    /// A recording.
    Replay(ReplaySpec),
}

/// Which Bluetooth device, and what to subscribe to.
#[derive(Clone, Debug)]
pub struct BleSpec {
    /// Which device.
    pub matches: BleMatch,
    /// What to subscribe to or read, in this order.
    pub feeds: Vec<Feed>,
    /// How long it may say nothing while connected; `None` for devices that speak only now and then.
    pub silence: Option<Duration>,
}

/// Which Bluetooth device: everything given must hold. Nothing given matches nothing.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct BleMatch {
    /// Its address, `AA:BB:CC:DD:EE:FF`, in either case.
    pub address: Option<String>,
    /// How its name begins.
    pub name_prefix: Option<String>,
    /// Services it advertises, as 128-bit UUIDs: at least one of these.
    pub services: Vec<u128>,
}

/// One characteristic to listen to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Feed {
    /// Its 128-bit UUID.
    pub characteristic: u128,
    /// How its value comes.
    pub mode: FeedMode,
}

/// How a characteristic's value comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FeedMode {
    /// Pushed, unacknowledged.
    Notify,
    /// Pushed, acknowledged by the radio.
    Indicate,
    /// Read once after each connect, if the device offers it.
    Read,
}

/// Which serial port and how it is set. The path should be stable (`/dev/serial/by-id/…`).
#[derive(Clone, Debug)]
pub struct SerialSpec {
    /// Path of the port; symlinks are followed at each attempt.
    pub path: PathBuf,
    /// Line rate in baud.
    pub baud: u32,
    /// Bits a character.
    pub data_bits: DataBits,
    /// Parity.
    pub parity: Parity,
    /// Stop bits.
    pub stop_bits: StopBits,
    /// Handshake.
    pub flow: FlowControl,
    /// How long the device may say nothing.
    pub silence: Option<Duration>,
}

/// Where to wait for monitors that connect to us.
#[derive(Clone, Debug)]
pub struct MllpListenSpec {
    /// Address; port 0 lets the system choose, and [`crate::LinkEvent::Listening`] says what it chose.
    pub address: SocketAddr,
    /// Connections at one time; further ones are refused.
    pub connections_max: usize,
    /// How long a connection may say nothing before it is closed.
    pub idle: Duration,
}

/// A monitor that waits for us.
#[derive(Clone, Copy, Debug)]
pub struct DialSpec {
    /// Its address.
    pub address: SocketAddr,
    /// How long it may say nothing.
    pub silence: Option<Duration>,
}

/// A recording in the format of [`crate::capture`].
#[derive(Clone, Debug)]
pub struct ReplaySpec {
    /// The file.
    pub path: PathBuf,
    /// How fast.
    pub pace: Pace,
}

/// How fast a recording is played.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// As it was recorded.
    Recorded,
    /// Without waiting.
    AtOnce,
}
