//! Commands that do more than read a device: they press, erase, reset or set its clock.
//!
//! ```text
//! profile ──▶ catalogue::commands::of ──▶ [DeviceCommand] ──▶ encode ──▶ bytes for one channel
//! ```
//!
//! Always: a driver never sends one by itself. A person with a role asks, the site has allowed it by name, and the audit holds it
//! before the bytes leave; none of that is decided here.

use crate::Channel;
use crate::profile::{Clock, Profile};
use record::time::Timestamp;

/// What a command does to a device or its wearer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    /// Presses on the patient's arm.
    Inflates,
    /// Takes away what is stored.
    Erases,
    /// Sets a counter or state back.
    Resets,
    /// Changes what results are stamped with.
    SetsClock,
}

/// One such command of a protocol.
pub struct DeviceCommand {
    /// Its public name, in kebab case.
    pub id: &'static str,
    /// What it does.
    pub deed: Deed,
    /// The same, in words.
    pub says: &'static str,
    /// Its bytes.
    encode: Encode,
}

/// Makes a command's bytes, and says where they go.
pub type Encode = fn(&Asked<'_>) -> Result<(Channel, Vec<u8>), CommandRefusal>;

/// What a command is made from.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The device's page of facts.
    pub profile: &'a Profile,
    /// Now.
    pub now: Timestamp,
    /// Minutes east of UTC, where a person said it.
    pub utc_offset_min: Option<i16>,
}

/// Why a command cannot be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandRefusal {
    /// A clock without a zone, and nobody said which.
    #[error("the zone its clock is to show is not known: give utc_offset_min, or set it in the device's profile")]
    ZoneUnknown,
    /// No zone on earth, or a year the device cannot hold.
    #[error("the time does not fit its clock: check this box's clock and utc_offset_min (-720 to 840)")]
    TimeUnfit,
}

impl DeviceCommand {
    /// A command; `encode` gives where its bytes go, and the bytes.
    #[must_use]
    pub const fn new(id: &'static str, deed: Deed, says: &'static str, encode: Encode) -> Self {
        Self { id, deed, says, encode }
    }

    /// Where its bytes go, and the bytes.
    ///
    /// # Errors
    /// What it needs to know is not known.
    pub fn encode(&self, asked: &Asked<'_>) -> Result<(Channel, Vec<u8>), CommandRefusal> {
        (self.encode)(asked)
    }
}

impl std::fmt::Debug for DeviceCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceCommand").field("id", &self.id).field("deed", &self.deed).finish_non_exhaustive()
    }
}

impl Asked<'_> {
    /// The moment a clock is to show, as if it were UTC: what a person said of its zone counts, then its profile.
    ///
    /// # Errors
    /// Neither says it, or no zone has such an offset.
    pub fn wall(&self) -> Result<Timestamp, CommandRefusal> {
        let offset_min = match (self.utc_offset_min, self.profile.clock, self.profile.utc_offset_min) {
            (Some(said), ..) => said,
            (None, Clock::Utc, _) => 0,
            (None, Clock::Local, Some(stated)) => stated,
            (None, ..) => return Err(CommandRefusal::ZoneUnknown),
        };
        if !(-720..=840).contains(&offset_min) {
            return Err(CommandRefusal::TimeUnfit);
        }
        Ok(self.now.plus_micros(i64::from(offset_min) * 60_000_000))
    }
}
