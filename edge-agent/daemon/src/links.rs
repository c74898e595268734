//! From configured devices to open links: profile and settings in, a [`transport::Spec`] out; link ids back to devices.

use crate::config::{Config, Device};
use anyhow::{Context, bail};
use catalogue::Link;
use driver::profile::{self, Profile};
use edge_api::device::ReachedBy;
use edge_core::DeviceSetting;
use record::id::{DeviceId, ReplicaId};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use transport::{
    BleMatch, BleSpec, DataBits, DialSpec, Feed, FeedMode, FlowControl, MllpListenSpec, Pace, Parity, ReplaySpec, SerialSpec, Spec,
    StopBits,
};

/// Silence after which a device counts as gone, where its profile states none.
const SILENCE: Duration = Duration::from_secs(8);
/// Monitors on one listener.
const CONNECTIONS_MAX: usize = 64;

/// A configured device, its profile found, and how to reach it.
#[derive(Debug)]
pub struct Attached {
    /// For the brain.
    pub setting: DeviceSetting,
    /// For the hands.
    pub spec: Spec,
}

/// A device's id in the record: what the configuration calls it, and which box reads it. A hub holds many boxes, and two
/// clinics may both have a `monitor-1`.
///
/// # Errors
/// The configured id is too long.
pub fn record_id(configured: &DeviceId, replica: ReplicaId) -> anyhow::Result<DeviceId> {
    let replica = replica.to_string();
    Ok(format!("{configured}.{}", replica.get(..8).unwrap_or_default()).parse()?)
}

/// Finds every device's profile and link, under the ids of the configuration.
///
/// # Errors
/// A profile that is not known or cannot be read, or a device without the address its link needs; each names the device.
pub fn attach(config: &Config, profiles: &[Profile]) -> anyhow::Result<Vec<Attached>> {
    config.devices.iter().map(|device| one(device, profiles).with_context(|| format!("devices.{}", device.id))).collect()
}

fn one(device: &Device, profiles: &[Profile]) -> anyhow::Result<Attached> {
    let Some(profile) = profiles.iter().find(|p| p.name == device.profile) else {
        let known: Vec<&str> = profiles.iter().map(|p| p.name.as_str()).collect();
        bail!("profile: {:?} is not known; there are {}", device.profile, known.join(", "));
    };
    let row = catalogue::protocol(&profile.protocol)?;
    let by = reached_by(device, row.link);
    let spec = match (&device.capture, row.link, &by) {
        (Some(path), ..) => Spec::Replay(ReplaySpec { path: path.clone(), pace: Pace::Recorded }),
        (None, _, Some(by)) => spec(profile, by)?,
        (None, Link::Ble, None) => Spec::Ble(ble(None, profile)),
        (None, Link::Serial, None) => bail!("serial: the path of its port, such as /dev/serial/by-id/…"),
        (None, Link::TcpListener, None) => bail!("listen: the address on which to wait for this monitor, such as 0.0.0.0:2575"),
        (None, Link::TcpClient(_) | Link::Udp(_), None) => bail!("address: the monitor's IP address, such as 10.0.0.7"),
    };
    let name = device.name.clone().unwrap_or_else(|| format!("{} {}", profile.maker, profile.model));
    let setting = DeviceSetting {
        id: device.id.clone(),
        name,
        profile: profile.clone(),
        bed: device.bed.clone(),
        by,
        replayed: device.capture.is_some(),
    };
    Ok(Attached { setting, spec })
}

/// How a configured device is reached, where the configuration says it.
fn reached_by(device: &Device, link: Link) -> Option<ReachedBy> {
    match link {
        _ if device.capture.is_some() => None,
        Link::Ble => device.address.clone().map(|address| ReachedBy::Bluetooth { address }),
        Link::Serial => device.serial.as_ref().map(|path| ReachedBy::Serial { path: path.display().to_string() }),
        Link::TcpListener => device.listen.map(|address| ReachedBy::Listen { address: address.to_string() }),
        Link::TcpClient(_) | Link::Udp(_) => device.address.clone().map(|address| ReachedBy::Network { address }),
    }
}

/// The link to a device of a profile.
///
/// # Errors
/// It is not reached the way its protocol travels, or by an address that is none; each says what is expected.
pub fn spec(profile: &Profile, by: &ReachedBy) -> anyhow::Result<Spec> {
    let row = catalogue::protocol(&profile.protocol)?;
    Ok(match (row.link, by) {
        (Link::Ble, ReachedBy::Bluetooth { address }) => Spec::Ble(ble(Some(address), profile)),
        (Link::Serial, ReachedBy::Serial { path }) => Spec::Serial(serial(path.into(), profile)?),
        (Link::TcpListener, ReachedBy::Listen { address }) => Spec::Mllp(MllpListenSpec {
            address: address.parse().with_context(|| format!("listen: {address:?} is no address with a port, such as 0.0.0.0:2575"))?,
            connections_max: CONNECTIONS_MAX,
            idle: silence(profile).unwrap_or(SILENCE),
        }),
        (Link::TcpClient(port), ReachedBy::Network { address }) => Spec::Tcp(dial(address, profile, port)?),
        (Link::Udp(port), ReachedBy::Network { address }) => Spec::Udp(dial(address, profile, port)?),
        _ => bail!("{} does not travel by {by}", row.id),
    })
}

/// Profiles: those shipped, and the site's own, which take the place of those of the same name.
///
/// # Errors
/// A file that cannot be read, or is no profile; it is named.
pub fn profiles(config: &Config) -> anyhow::Result<Vec<Profile>> {
    let mut profiles = catalogue::profiles()?;
    let Some(directory) = &config.profiles else { return Ok(profiles) };
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .with_context(|| format!("profiles: {}", directory.display()))?
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "toml"))
        .collect();
    files.sort();
    for path in files {
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let profile = catalogue::profile(&path.file_name().unwrap_or_default().to_string_lossy(), &text)?;
        profiles.retain(|p| p.name != profile.name);
        profiles.push(profile);
    }
    Ok(profiles)
}

fn silence(profile: &Profile) -> Option<Duration> {
    profile.silence_s.map(|s| Duration::from_secs(u64::from(s)))
}

fn ble(address: Option<&str>, profile: &Profile) -> BleSpec {
    let matching = &profile.matching;
    let matches = match address {
        Some(address) => BleMatch { address: Some(address.to_owned()), ..BleMatch::default() },
        None => BleMatch {
            address: None,
            name_prefix: matching.name_prefix.clone(),
            services: matching.services.iter().map(|uuid| uuid.0).collect(),
        },
    };
    let feed = |feed: &profile::Feed| Feed {
        characteristic: feed.characteristic.0,
        mode: match feed.mode {
            profile::FeedMode::Notify => FeedMode::Notify,
            profile::FeedMode::Indicate => FeedMode::Indicate,
            profile::FeedMode::Read => FeedMode::Read,
        },
    };
    BleSpec { matches, feeds: profile.feed.iter().map(feed).collect(), silence: silence(profile) }
}

fn dial(said: &str, profile: &Profile, port: u16) -> anyhow::Result<DialSpec> {
    let address = said.parse().or_else(|_| said.parse().map(|host| SocketAddr::new(host, port)));
    let address = address.with_context(|| format!("address: {said:?} is neither an IP address nor one with a port"))?;
    Ok(DialSpec { address, silence: Some(silence(profile).unwrap_or(SILENCE)) })
}

fn serial(path: PathBuf, profile: &Profile) -> anyhow::Result<SerialSpec> {
    let line = profile.serial.as_ref().with_context(|| format!("profile {} states no serial settings", profile.name))?;
    Ok(SerialSpec {
        path,
        baud: line.baud,
        data_bits: match line.data_bits {
            7 => DataBits::Seven,
            _ => DataBits::Eight,
        },
        parity: match line.parity {
            profile::Parity::None => Parity::None,
            profile::Parity::Even => Parity::Even,
            profile::Parity::Odd => Parity::Odd,
        },
        stop_bits: match line.stop_bits {
            2 => StopBits::Two,
            _ => StopBits::One,
        },
        flow: match line.flow {
            profile::Flow::None => FlowControl::None,
            profile::Flow::RtsCts => FlowControl::Hardware,
            profile::Flow::XonXoff => FlowControl::Software,
        },
        silence: silence(profile),
    })
}
