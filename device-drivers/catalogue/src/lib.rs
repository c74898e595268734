//! The protocols Lamplight speaks, one row each, and the device profiles it is shipped with.
//!
//! ```text
//! profile ──▶ protocol(id) ──▶ row.make(&profile) ──▶ Box<dyn Driver>     (the agent)
//! bytes ──▶ decode(id, bytes) ──▶ Out … ──▶ lines::Line                   (a person at a terminal)
//! ```
//!
//! Always: a driver here is a decoder of bytes and holds no device names; facts about models are in profiles. What a
//! "no value" pattern means is decided here, once, and never comes out as a number.
//! Never here: files, radio, ports, clocks (a site's own profiles come in as text); patients: of those whom laboratories
//! name only the numbers are read.
//!
//! Start at [`PROTOCOLS`]. To add a protocol: one file beside the others, one row.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod ble;
pub mod commands;
mod laboratory;
pub mod lines;
pub mod network;
pub mod serial;
mod stream;

use driver::profile::{Profile, ProfileError, split_quirks};
use driver::{Channel, Driver, In, Out};
use record::time::Monotonic;

/// What carries a protocol's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// Bluetooth Low Energy: the appliance connects and subscribes to the profile's feeds.
    Ble,
    /// A serial port, with the profile's line settings.
    Serial,
    /// The device connects to a TCP port of the appliance.
    TcpListener,
    /// The appliance connects to the device's TCP port, this one unless the site says otherwise.
    TcpClient(u16),
    /// The appliance exchanges datagrams with the device's UDP port, this one unless the site says otherwise. One
    /// datagram is one [`In::Bytes`].
    Udp(u16),
}

/// A way in which some models depart from their protocol, named behind its id: `ble.blood-pressure+beurer`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quirk {
    /// Its name.
    pub id: &'static str,
    /// Known from one source only: a profile that uses it must be marked experimental.
    pub experimental: bool,
    /// What is different.
    pub says: &'static str,
}

/// One protocol.
pub struct ProtocolRow {
    /// Its public id.
    pub id: &'static str,
    /// How models may depart from it.
    pub quirks: &'static [Quirk],
    /// What carries it.
    pub link: Link,
    /// Where its main bytes arrive.
    pub channel: Channel,
    /// A driver for one device of this profile.
    pub make: fn(&Profile) -> Box<dyn Driver>,
    /// Whether a profile says all this protocol needs; the text names the key at fault.
    pub check: fn(&Profile) -> Result<(), String>,
    /// Bytes from a file or a person, as the device would send them: adds the frame where it was left out.
    pub as_sent: fn(&[u8]) -> Vec<u8>,
}

/// Every protocol.
pub static PROTOCOLS: &[ProtocolRow] = &[
    ble::heart_rate::PROTOCOL,
    ble::plx::SPOT,
    ble::plx::CONTINUOUS,
    ble::blood_pressure::PROTOCOL,
    ble::thermometer::PROTOCOL,
    ble::glucose::PROTOCOL,
    ble::cgm::PROTOCOL,
    ble::weight::WEIGHT,
    ble::weight::BODY_COMPOSITION,
    serial::five_byte::CONTEC_OLD,
    serial::contec_new::PROTOCOL,
    serial::five_byte::BCI,
    serial::nonin::DF2,
    serial::nonin::DF7,
    serial::masimo::PROTOCOL,
    serial::nellcor::PROTOCOL,
    serial::medibus::PROTOCOL,
    serial::ge_dri::PROTOCOL,
    serial::astm::PROTOCOL,
    network::hl7::PROTOCOL,
    network::mindray::PROTOCOL,
    network::intellivue::UDP,
    network::intellivue::SERIAL,
];

/// A protocol id nobody knows, or a quirk that its protocol does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown protocol {given:?}: expected one of {}", known())]
pub struct UnknownProtocol {
    /// The id as given, at most 64 characters of it.
    pub given: String,
}

fn known() -> String {
    let with_quirks = |row: &ProtocolRow| {
        let quirks: String = row.quirks.iter().map(|quirk| format!("[+{}]", quirk.id)).collect();
        format!("{}{quirks}", row.id)
    };
    PROTOCOLS.iter().map(with_quirks).collect::<Vec<_>>().join(", ")
}

/// The row of a protocol; `id` may end in the protocol's quirks.
///
/// # Errors
/// An id that is not in [`PROTOCOLS`], or a quirk that is not in its row.
pub fn protocol(id: &str) -> Result<&'static ProtocolRow, UnknownProtocol> {
    let (base, mut quirks) = split_quirks(id);
    let row = PROTOCOLS.iter().find(|row| row.id == base).filter(|row| quirks.all(|quirk| row.quirk(quirk).is_some()));
    row.ok_or_else(|| UnknownProtocol { given: id.chars().take(64).collect() })
}

impl ProtocolRow {
    /// The quirk of this name.
    #[must_use]
    pub fn quirk(&self, id: &str) -> Option<&'static Quirk> {
        self.quirks.iter().find(|quirk| quirk.id == id)
    }

    fn check_quirks(&self, profile: &Profile) -> Result<(), String> {
        for id in &profile.quirks {
            let Some(quirk) = self.quirk(id) else {
                let known: Vec<_> = self.quirks.iter().map(|quirk| quirk.id).collect();
                return Err(format!("quirks: {} has no quirk {id:?}; it has [{}]", self.id, known.join(", ")));
            };
            if quirk.experimental {
                experimental_only(profile).map_err(|why| format!("{why} (quirk {id})"))?;
            }
        }
        Ok(())
    }
}

/// A [`ProtocolRow::check`] for what rests on a single source: its profiles must say so.
///
/// # Errors
/// A profile not marked experimental.
pub fn experimental_only(profile: &Profile) -> Result<(), String> {
    if profile.experimental { Ok(()) } else { Err("experimental: must be true, because one source alone describes it".to_owned()) }
}

/// Reads a profile and checks that its protocol is known and has all it needs. For the profiles a site adds; `file`
/// appears in errors.
///
/// # Errors
/// As [`Profile::parse`], an unknown protocol, or a key that the protocol needs.
pub fn profile(file: &str, text: &str) -> Result<Profile, ProfileError> {
    let profile = Profile::parse(file, text)?;
    let row = protocol(&profile.protocol).map_err(|e| ProfileError::new(file, format!("protocol: {e}")))?;
    if profile.measures.is_empty() && row.id != serial::astm::PROTOCOL.id {
        return Err(ProfileError::new(file, "measures: is empty; state at least one code the device measures"));
    }
    row.check_quirks(&profile).and_then(|()| (row.check)(&profile)).map_err(|why| ProfileError::new(file, why))?;
    Ok(profile)
}

/// Every shipped profile, in order of file name.
///
/// # Errors
/// A shipped file that cannot be used; a test keeps this from being released.
pub fn profiles() -> Result<Vec<Profile>, ProfileError> {
    let shipped: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/profiles.rs"));
    shipped.iter().map(|(file, text)| profile(file, text)).collect()
}

/// Decodes bytes from a file or a person with a driver that knows nothing but the protocol. For Bluetooth `bytes` is
/// one notification of the protocol's main characteristic.
///
/// # Errors
/// An unknown protocol. Bytes that cannot be read are [`Out::Fault`].
pub fn decode(protocol_id: &str, bytes: &[u8]) -> Result<Vec<Out>, UnknownProtocol> {
    let row = protocol(protocol_id)?;
    let mut driver = (row.make)(&Profile::bare(protocol_id));
    let mut out = driver.handle(Monotonic::default(), In::Bytes(row.channel, &(row.as_sent)(bytes)));
    // A file ends; what was gathered and not yet said is said now.
    out.extend(driver.handle(Monotonic::default(), In::Disconnected));
    Ok(out)
}

/// Bytes that are on file as they are on the wire.
pub(crate) fn as_is(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

/// Lines of which the last may lack its end.
pub(crate) fn ended_line(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    bytes
}
