//! Why a link is down, and what to do about it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Why a link is down. `Display` says what happened, [`Down::next_step`] what a person can do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Down {
    /// The link was closed by this program.
    #[error("closed")]
    Stopped,
    /// Nothing is at the port's path.
    #[error("no serial port at {}", path.display())]
    PortMissing {
        /// The configured path.
        path: PathBuf,
    },
    /// Another program holds the port's exclusive lock.
    #[error("serial port {} is held by another program", path.display())]
    PortBusy {
        /// The configured path.
        path: PathBuf,
    },
    /// The port exists and this user may not open it.
    #[error("no permission for serial port {}", path.display())]
    PortDenied {
        /// The configured path.
        path: PathBuf,
    },
    /// The port exists and refuses its settings.
    #[error("serial port {} cannot be set up: {why}", path.display())]
    PortRefused {
        /// The configured path.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// The port went away while open.
    #[error("the serial port was unplugged")]
    Unplugged,
    /// Connected, and nothing heard for the link's silence limit.
    #[error("nothing heard for {} s", after.as_secs_f32())]
    Silent {
        /// The limit.
        after: Duration,
    },
    /// A write was not taken in time.
    #[error("the device takes no bytes")]
    WriteStalled,
    /// A write was refused.
    #[error("a write was refused: {why}")]
    WriteRefused {
        /// The system's words.
        why: String,
    },
    /// This program did not take events in time.
    #[error("events were not taken in time")]
    NotTaken,
    /// The other end closed its connection.
    #[error("the other end closed the connection")]
    PeerClosed,
    /// A monitor's address does not answer.
    #[error("cannot reach {address}: {why}")]
    Unreachable {
        /// The configured address.
        address: SocketAddr,
        /// The system's words.
        why: String,
    },
    /// The address to listen on is in use or not ours.
    #[error("cannot listen on {address}: {why}")]
    AddressRefused {
        /// The configured address.
        address: SocketAddr,
        /// The system's words.
        why: String,
    },
    /// There is no Bluetooth to use.
    #[error("no Bluetooth: {0}")]
    AdapterMissing(Missing),
    /// The Bluetooth adapter is switched off.
    #[error("the Bluetooth adapter is off")]
    AdapterOff,
    /// The device was sought and not heard.
    #[error("the device is not in range or not switched on")]
    NotSeen,
    /// The device was heard and a connection failed.
    #[error("cannot connect: {why}")]
    ConnectFailed {
        /// The Bluetooth service's words.
        why: String,
    },
    /// A connected device went away.
    #[error("the Bluetooth connection was lost")]
    LinkLost,
    /// The device wants to be paired before it speaks.
    #[error("the device asks to be paired")]
    PairingNeeded,
    /// A device that speaks only now and then is silent now.
    #[error("the device is asleep or out of range")]
    Asleep,
    /// It was paired once, and no longer takes the key of that.
    #[error("the device no longer knows this appliance: its pairing was lost")]
    BondLost,
    /// A person's attempt to pair did not succeed.
    #[error("not paired: {0}")]
    PairingFailed(Unpaired),
    /// The Bluetooth service leaves out what must be known of a device or adapter to use it.
    #[error("the Bluetooth service does not state the {of}'s {property}")]
    Unstated {
        /// `device` or `adapter`.
        of: &'static str,
        /// The property of its D-Bus object.
        property: &'static str,
    },
    /// The device does not offer the measurement its profile says.
    #[error("the device offers no characteristic {characteristic:032x}")]
    FeedMissing {
        /// The characteristic's UUID.
        characteristic: u128,
    },
    /// A recording was played to its end.
    #[error("the recording has ended")]
    ReplayEnded,
    /// A recording cannot be opened or read.
    #[error("recording {}: {why}", path.display())]
    ReplayBroken {
        /// The recording.
        path: PathBuf,
        /// What and where.
        why: String,
    },
}

/// Which part of Bluetooth is absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Missing {
    /// No D-Bus system bus.
    #[error("no system bus")]
    Bus,
    /// Nothing owns `org.bluez`.
    #[error("the Bluetooth service is not running")]
    Service,
    /// The service runs and has no adapter.
    #[error("no adapter")]
    Adapter,
}

/// Why a device was not paired.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unpaired {
    /// The device did not take the passkey, or takes nobody.
    #[error("the passkey was wrong, or the device refused")]
    Refused,
    /// The person gave up.
    #[error("it was cancelled")]
    Cancelled,
    /// Nobody answered.
    #[error("it took too long")]
    TimedOut,
    /// One at a time.
    #[error("another pairing is under way")]
    Busy,
    /// A link of this program has the device and lets nobody else at it.
    #[error("the device is in use here")]
    InUse,
}

impl Down {
    /// What a person can do next, as one sentence.
    #[must_use]
    pub fn next_step(&self) -> &'static str {
        match self {
            Self::Stopped => "Nothing to do: the link was closed here.",
            Self::PortMissing { .. } => "Plug the adapter cable in, or correct the port's path in the device's settings.",
            Self::PortBusy { .. } => "Close the other program that uses this port.",
            Self::PortDenied { .. } => "Add the appliance's user to the group that owns the port (often dialout).",
            Self::PortRefused { .. } => "Check the baud rate, parity and flow control in the device's settings.",
            Self::Unplugged => "Plug the cable back in; the link recovers by itself.",
            Self::Silent { .. } => "Check that the device is on, its cable is in at both ends, and its data output is enabled.",
            Self::WriteStalled => "Check the cable's handshake lines and the device's flow control setting.",
            Self::WriteRefused { .. } => "Check that the device matches its profile.",
            Self::NotTaken => "The appliance is overloaded: check its disk and processor load.",
            Self::PeerClosed => "Wait for the monitor to connect again, or check its export settings.",
            Self::Unreachable { .. } => "Check that the monitor is on, its network cable is in, and its address in the settings.",
            Self::AddressRefused { .. } => "Choose a free port and an address of this machine in the settings.",
            Self::AdapterMissing(Missing::Bus | Missing::Service) => "Start the Bluetooth service (bluetoothd) on this machine.",
            Self::AdapterMissing(Missing::Adapter) => "Plug a Bluetooth adapter in.",
            Self::AdapterOff => "Switch the Bluetooth adapter on.",
            Self::NotSeen => "Switch the device on and bring it nearer.",
            Self::ConnectFailed { .. } => "Bring the device nearer; if it stays so, switch it off and on.",
            Self::LinkLost => "Bring the device nearer; the link recovers by itself.",
            Self::PairingNeeded => "Put the device in its pairing mode and pair it under Devices.",
            Self::Asleep => "Nothing to do: it is heard again when it is next used.",
            Self::BondLost => "Put the device in its pairing mode and pair it anew under Devices.",
            Self::PairingFailed(Unpaired::Refused) => "Put the device in its pairing mode again and type the digits it shows.",
            Self::PairingFailed(Unpaired::Cancelled | Unpaired::TimedOut) => "Put the device in its pairing mode and pair it again.",
            Self::PairingFailed(Unpaired::Busy) => "Finish the other pairing first.",
            Self::PairingFailed(Unpaired::InUse) => "Nothing to do: it works. To pair it anew, close its link first.",
            Self::Unstated { .. } => "Update the Bluetooth service (BlueZ) on this machine, or use another adapter.",
            Self::FeedMissing { .. } => "Choose the profile that fits this device and firmware.",
            Self::ReplayEnded => "Nothing to do: the recording has been played.",
            Self::ReplayBroken { .. } => "Check the recording at the place named.",
        }
    }

    /// Whether the link will not be tried again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Stopped | Self::ReplayEnded | Self::ReplayBroken { .. })
    }
}
