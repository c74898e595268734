//! MQTT 3.1.1 as far as the front needs it: enough of each packet to know whether a site may say it.

pub mod packet;
pub mod rules;

pub use packet::{Connect, PacketError};
pub use rules::{Forbidden, Rules};
