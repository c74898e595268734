//! Bluetooth Low Energy: btleplug for connecting and GATT, zbus beside it for what btleplug does not say.
//!
//!     radio    one task a process: is there a bus, a service, an adapter that is on?   ──▶ State
//!     sky      what is in the air while somebody seeks                                 ──▶ [Seen]
//!     link     one task a device: seek, connect in turn, subscribe, carry
//!     bluez    the Bluetooth service's own calls and refusals, and what these mean
//!     signals  the D-Bus signals that say something is gone; pairing  only when a person asks
//!
//! btleplug ends no stream when the adapter, the service or the bus goes, so nothing here waits on btleplug alone.

mod bluez;
mod link;
mod pairing;
mod radio;
mod signals;
mod sky;

pub(crate) use link::BleLink;
pub use pairing::PairingAsk;
pub(crate) use radio::Radio;
pub use sky::Seen;
