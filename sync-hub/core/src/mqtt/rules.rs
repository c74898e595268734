//! Which certificate may say what on which topic.

use super::packet::{self, Connect, PacketError};
use crate::site::SiteName;
use hub_api::live::{live_topic, presence_topic, wake_topic};

/// Longest client id, bytes.
pub const CLIENT_ID_MAX: usize = 128;

/// Why a packet of a site does not reach the broker. Its connection ends with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Not readable.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// The client id is too long.
    #[error("a client id has at most {CLIENT_ID_MAX} bytes")]
    ClientId,
    /// The last will is for a topic that is not the site's presence.
    #[error("the last will must be for the site's presence")]
    Will,
    /// A topic that is not the site's to publish on.
    #[error("not a topic this site may publish on")]
    Publish,
    /// A topic filter that is not the site's to listen to.
    #[error("not a topic this site may subscribe to")]
    Subscribe,
    /// A packet that has no place here.
    #[error("packet type {0} is out of place")]
    OutOfPlace(u8),
}

/// What one site may do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    site: SiteName,
    live: String,
    presence: String,
    wake: String,
}

impl Rules {
    /// The rules of a site.
    #[must_use]
    pub fn of(site: SiteName) -> Self {
        let (live, presence, wake) = (live_topic(site.as_str()), presence_topic(site.as_str()), wake_topic(site.as_str()));
        Self { site, live, presence, wake }
    }

    /// Checks a CONNECT; the client id under which the broker knows this client. It begins with the site's name and a slash,
    /// which no name holds, so that no site can take over another's connection.
    ///
    /// # Errors
    /// An overlong client id, or a last will that is not the site's.
    pub fn connect(&self, connect: &Connect<'_>) -> Result<String, Forbidden> {
        if connect.client_id.len() > CLIENT_ID_MAX {
            return Err(Forbidden::ClientId);
        }
        if connect.will.is_some_and(|(topic, ..)| topic != self.presence) {
            return Err(Forbidden::Will);
        }
        Ok(format!("{}/{}", self.site, connect.client_id))
    }

    /// Checks any later packet.
    ///
    /// # Errors
    /// It must not reach the broker.
    pub fn packet(&self, kind: u8, bytes: &[u8]) -> Result<(), Forbidden> {
        match kind {
            packet::PUBLISH => {
                let topic = packet::publish_topic(bytes)?;
                if topic == self.live || topic == self.presence { Ok(()) } else { Err(Forbidden::Publish) }
            }
            packet::SUBSCRIBE | packet::UNSUBSCRIBE => {
                let filters = packet::filters(bytes, kind == packet::SUBSCRIBE)?;
                if filters.iter().all(|filter| *filter == self.wake) { Ok(()) } else { Err(Forbidden::Subscribe) }
            }
            packet::PUBACK..=packet::PUBCOMP | packet::PINGREQ | packet::DISCONNECT => Ok(()),
            other => Err(Forbidden::OutOfPlace(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules::of("hill".parse().unwrap())
    }
    fn publish(topic: &str) -> Vec<u8> {
        let mut bytes = vec![0x30, topic.len() as u8 + 2, 0, topic.len() as u8];
        bytes.extend_from_slice(topic.as_bytes());
        bytes
    }
    fn subscribe(filter: &str) -> Vec<u8> {
        let mut bytes = vec![0x82, filter.len() as u8 + 5, 0, 1, 0, filter.len() as u8];
        bytes.extend_from_slice(filter.as_bytes());
        bytes.push(0);
        bytes
    }

    #[test]
    fn a_site_publishes_on_its_own_two_topics_only() {
        for topic in ["lamplight/v1/hill/live", "lamplight/v1/hill/presence"] {
            assert_eq!(rules().packet(packet::PUBLISH, &publish(topic)), Ok(()));
        }
        for topic in ["lamplight/v1/hillside/live", "lamplight/v1/hill/wake", "lamplight/v1/hill/live/x", "$SYS/x", ""] {
            assert_eq!(rules().packet(packet::PUBLISH, &publish(topic)), Err(Forbidden::Publish), "{topic}");
        }
    }

    #[test]
    fn a_site_listens_to_its_own_wake_only_and_to_no_wildcard() {
        assert_eq!(rules().packet(packet::SUBSCRIBE, &subscribe("lamplight/v1/hill/wake")), Ok(()));
        for filter in ["#", "lamplight/v1/+/live", "lamplight/v1/hill/#", "$share/g/lamplight/v1/hill/wake", "lamplight/v1/hillside/wake"] {
            assert_eq!(rules().packet(packet::SUBSCRIBE, &subscribe(filter)), Err(Forbidden::Subscribe), "{filter}");
        }
    }

    #[test]
    fn clients_of_one_site_never_meet_those_of_another_and_its_last_will_is_its_own() {
        fn connect<'a>(client_id: &'a str, topic: &'a str) -> Connect<'a> {
            Connect { clean_session: true, keep_alive: 10, client_id, will: Some((topic, &[], 0)) }
        }
        let own = "lamplight/v1/hill/presence";
        assert_eq!(rules().connect(&connect("side/1", own)).as_deref(), Ok("hill/side/1"));
        let overlong = "x".repeat(CLIENT_ID_MAX + 1);
        assert_eq!(rules().connect(&connect(&overlong, own)), Err(Forbidden::ClientId));
        assert_eq!(rules().connect(&connect("1", "lamplight/v1/hillside/presence")), Err(Forbidden::Will));
    }

    #[test]
    fn a_second_connect_and_packets_of_a_server_have_no_place() {
        for kind in [0, 1, 2, 9, 11, 13, 15] {
            assert_eq!(rules().packet(kind, &[kind << 4, 0]), Err(Forbidden::OutOfPlace(kind)));
        }
        assert_eq!(rules().packet(packet::PINGREQ, &[0xc0, 0]), Ok(()));
    }
}
