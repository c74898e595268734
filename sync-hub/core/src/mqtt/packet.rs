//! Control packets of MQTT 3.1.1 (OASIS, 2014): the fixed header, CONNECT, and the topics of PUBLISH, SUBSCRIBE and UNSUBSCRIBE.

use hub_api::live::PACKET_LIMIT;

/// CONNECT, once, first.
pub const CONNECT: u8 = 1;
/// A message.
pub const PUBLISH: u8 = 3;
/// PUBACK to PUBCOMP are 4 to 7.
pub const PUBACK: u8 = 4;
/// The last of the acknowledgements.
pub const PUBCOMP: u8 = 7;
/// Topic filters wanted.
pub const SUBSCRIBE: u8 = 8;
/// Topic filters no longer wanted.
pub const UNSUBSCRIBE: u8 = 10;
/// Sign of life.
pub const PINGREQ: u8 = 12;
/// Leaving in order: no last will.
pub const DISCONNECT: u8 = 14;

/// A packet that is not as the standard has it, or is past a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Longer than [`PACKET_LIMIT`].
    #[error("a packet of {0} bytes is past the limit of {PACKET_LIMIT}")]
    TooLarge(usize),
    /// Its parts do not add up.
    #[error("malformed {0}")]
    Malformed(&'static str),
    /// Another version than 3.1.1.
    #[error("MQTT protocol level {0} is not spoken here (3.1.1, level 4, is)")]
    Level(u8),
}

/// The fixed header at the front of `bytes`: packet type, and the packet's whole length. `None` while more bytes are needed.
///
/// # Errors
/// A length that is malformed or past the limit.
pub fn frame(bytes: &[u8]) -> Result<Option<(u8, usize)>, PacketError> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    let (mut length, mut shift) = (0_usize, 0);
    for (index, byte) in rest.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            let whole = 2 + index + length;
            return if whole > PACKET_LIMIT { Err(PacketError::TooLarge(whole)) } else { Ok(Some((first >> 4, whole))) };
        }
    }
    if rest.len() >= 4 { Err(PacketError::Malformed("length")) } else { Ok(None) }
}

/// A CONNECT. Whatever user name and password it holds are not kept: the certificate says who it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Connect<'a> {
    /// Begin without earlier state.
    pub clean_session: bool,
    /// Seconds between signs of life.
    pub keep_alive: u16,
    /// Client id.
    pub client_id: &'a str,
    /// Topic, message, and the will's QoS and retain flags as they stand in the connect flags.
    pub will: Option<(&'a str, &'a [u8], u8)>,
}

const FLAG_CLEAN: u8 = 0x02;
const FLAG_WILL: u8 = 0x04;
const FLAGS_WILL_HOW: u8 = 0x38;
const FLAG_PASSWORD: u8 = 0x40;
const FLAG_USER: u8 = 0x80;

impl<'a> Connect<'a> {
    /// Reads a whole CONNECT packet.
    ///
    /// # Errors
    /// Malformed, or of another protocol version.
    pub fn read(packet: &'a [u8]) -> Result<Self, PacketError> {
        let malformed = PacketError::Malformed("CONNECT");
        let mut fields = Fields(body(packet).ok_or(malformed)?);
        let name = fields.bytes().ok_or(malformed)?;
        let level = fields.byte().ok_or(malformed)?;
        if name != b"MQTT" || level != 4 {
            return Err(PacketError::Level(level));
        }
        let flags = fields.byte().ok_or(malformed)?;
        let keep_alive = fields.number().ok_or(malformed)?;
        let client_id = fields.text().ok_or(malformed)?;
        let will = if flags & FLAG_WILL == 0 {
            None
        } else {
            Some((fields.text().ok_or(malformed)?, fields.bytes().ok_or(malformed)?, flags & FLAGS_WILL_HOW))
        };
        if flags & FLAG_USER != 0 {
            fields.bytes().ok_or(malformed)?;
        }
        if flags & FLAG_PASSWORD != 0 {
            fields.bytes().ok_or(malformed)?;
        }
        if !fields.0.is_empty() || flags & 1 != 0 {
            return Err(malformed);
        }
        Ok(Self { clean_session: flags & FLAG_CLEAN != 0, keep_alive, client_id, will })
    }

    /// The packet under another client id and with these credentials in it.
    #[must_use]
    pub fn write(&self, client_id: &str, user: &str, password: &str) -> Vec<u8> {
        let mut flags = FLAG_USER | FLAG_PASSWORD;
        if self.clean_session {
            flags |= FLAG_CLEAN;
        }
        let mut rest = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 0];
        rest.extend_from_slice(&self.keep_alive.to_be_bytes());
        put(&mut rest, client_id.as_bytes());
        if let Some((topic, message, how)) = self.will {
            flags |= FLAG_WILL | how;
            put(&mut rest, topic.as_bytes());
            put(&mut rest, message);
        }
        put(&mut rest, user.as_bytes());
        put(&mut rest, password.as_bytes());
        if let Some(byte) = rest.get_mut(7) {
            *byte = flags;
        }
        let mut packet = vec![CONNECT << 4];
        let mut length = rest.len();
        loop {
            let more = length >= 0x80;
            packet.push((length & 0x7f) as u8 | if more { 0x80 } else { 0 });
            length >>= 7;
            if !more {
                break;
            }
        }
        packet.extend_from_slice(&rest);
        packet
    }
}

/// The topic of a whole PUBLISH packet.
///
/// # Errors
/// Malformed.
pub fn publish_topic(packet: &[u8]) -> Result<&str, PacketError> {
    body(packet).and_then(|body| Fields(body).text()).ok_or(PacketError::Malformed("PUBLISH"))
}

/// The topic filters of a whole SUBSCRIBE (`with_qos`) or UNSUBSCRIBE packet; at least one.
///
/// # Errors
/// Malformed.
pub fn filters(packet: &[u8], with_qos: bool) -> Result<Vec<&str>, PacketError> {
    let malformed = PacketError::Malformed("SUBSCRIBE");
    let mut fields = Fields(body(packet).ok_or(malformed)?);
    fields.number().ok_or(malformed)?;
    let mut filters = Vec::new();
    while !fields.0.is_empty() {
        filters.push(fields.text().ok_or(malformed)?);
        if with_qos {
            fields.byte().ok_or(malformed)?;
        }
    }
    if filters.is_empty() { Err(malformed) } else { Ok(filters) }
}

/// What follows the fixed header, if the packet is whole.
fn body(packet: &[u8]) -> Option<&[u8]> {
    let (_, whole) = frame(packet).ok().flatten().filter(|(_, whole)| *whole == packet.len())?;
    let header = 1 + packet.iter().skip(1).take_while(|byte| *byte & 0x80 != 0).count() + 1;
    packet.get(header..whole)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    // Every text here came out of a packet or is short, so its length fits.
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes.get(..usize::from(len)).unwrap_or(bytes));
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::from(self.number()?);
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }
    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok().filter(|text| !text.contains('\0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CONNECT with everything in it, written by hand from the standard.
    const FULL: &[u8] = &[
        0x10, 35, 0, 4, b'M', b'Q', b'T', b'T', 4, 0xe6, 0, 30, 0, 4, b'h', b'i', b'l', b'l', 0, 4, b'w', b'/', b'i', b'l', 0, 3, b'o',
        b'f', b'f', 0, 1, b'u', 0, 3, b'p', b'w', b'd',
    ];

    #[test]
    fn a_connect_is_read_and_written_anew_with_other_credentials() {
        let connect = Connect::read(FULL).unwrap();
        assert_eq!(connect.client_id, "hill");
        assert_eq!(connect.keep_alive, 30);
        assert_eq!(connect.will, Some(("w/il", &b"off"[..], 0x20)));
        let written = connect.write("hill", "front", &"x".repeat(200));
        assert_eq!(frame(&written), Ok(Some((CONNECT, written.len()))));
        assert_eq!(Connect::read(&written), Ok(connect));
    }

    #[test]
    fn every_prefix_of_a_connect_is_refused_or_waits_for_more() {
        for end in 0..FULL.len() {
            assert!(Connect::read(&FULL[..end]).is_err(), "{end}");
        }
        let mut five = FULL.to_vec();
        five[8] = 5;
        assert_eq!(Connect::read(&five), Err(PacketError::Level(5)));
        let mut trailing = FULL.to_vec();
        trailing.push(0);
        trailing[1] += 1;
        assert!(Connect::read(&trailing).is_err());
    }

    #[test]
    fn lengths_are_read_up_to_the_limit_and_no_further() {
        assert_eq!(frame(&[]), Ok(None));
        assert_eq!(frame(&[0x30]), Ok(None));
        assert_eq!(frame(&[0x30, 0x80]), Ok(None));
        assert_eq!(frame(&[0x30, 0x7f]), Ok(Some((PUBLISH, 129))));
        assert_eq!(frame(&[0x30, 0x80, 0x01]), Ok(Some((PUBLISH, 131))));
        assert!(matches!(frame(&[0x30, 0xff, 0xff, 0xff, 0x7f]), Err(PacketError::TooLarge(_))));
        assert_eq!(frame(&[0x30, 0xff, 0xff, 0xff, 0xff]), Err(PacketError::Malformed("length")));
    }

    #[test]
    fn topics_are_found_where_the_standard_puts_them() {
        assert_eq!(publish_topic(&[0x32, 7, 0, 3, b'a', b'/', b'b', 0, 1]), Ok("a/b"));
        assert!(publish_topic(&[0x32, 3, 0, 3, b'a']).is_err());
        let subscribe = [0x82, 11, 0, 1, 0, 1, b'a', 0, 0, 2, b'b', b'c', 1];
        assert_eq!(filters(&subscribe, true), Ok(vec!["a", "bc"]));
        assert_eq!(filters(&[0xa2, 5, 0, 1, 0, 1, b'a'], false), Ok(vec!["a"]));
        assert!(filters(&[0x82, 2, 0, 1], true).is_err(), "no filter at all");
    }
}
