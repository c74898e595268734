//! The device's side of each protocol, for tests and demonstrations: what a monitor or wearable puts on the wire.
//!
//!     physiology, or a recorded table ─┐
//!     control (stdin), faults ─────────┼─▶ dri   a GE monitor on a pseudo-terminal
//!                                      ├─▶ mllp  an IHE PCD-01 monitor, as a TCP client
//!                                      ├─▶ wire  oximeters, a ventilator, an analyser, monitors: serial, TCP, UDP
//!                                      └─▶ ble   straps, oximeters, cuffs, thermometers, scales, glucose meters and sensors behind a
//!                                                fake `org.bluez`
//!
//! Always: a seed gives the same patient; devices behave as the protocol says, faults included, on command.
//! Never here: the decoders, their tables or any other crate of the house. What both sides believe wrongly, no test
//! would find; so each side is written from the specification on its own.

pub mod ble;
pub mod clock;
pub mod control;
pub mod dri;
pub mod faults;
pub mod mllp;
pub mod physiology;
pub mod port;
pub mod ready;
pub mod table;
pub mod waves;
pub mod wire;
