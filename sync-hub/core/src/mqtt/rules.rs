//! Which certificate may say what on which topic.

use super::packet::{self, Connect, PacketError};
use crate::site::SiteName;
use hub_api::live::{live_topic, presence_topic, wake_topic};

/// Why a packet of a site does not reach the broker. Its connection ends with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Not readable.
    #[error(transparent)]
    Packet(#[from] PacketError),
    /// The client id is not the site's.
    #[error("the client id must be the site's name, or begin with it and a slash")]
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

    /// Checks a CONNECT.
    ///
    /// # Errors
    /// A client id or last will that is not the site's.
    pub fn connect(&self, connect: &Connect<'_>) -> Result<(), Forbidden> {
        let own = connect.client_id.strip_prefix(self.site.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if !own {
            return Err(Forbidden::ClientId);
        }
        if connect.will.is_some_and(|(topic, ..)| topic != self.presence) { Err(Forbidden::Will) } else { Ok(()) }
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
    fn the_client_id_and_the_last_will_are_the_sites_own() {
        let connect = |client_id, topic| Connect { clean_session: true, keep_alive: 10, client_id, will: Some((topic, &b""[..], 0)) };
        let own = "lamplight/v1/hill/presence";
        assert_eq!(rules().connect(&connect("hill", own)), Ok(()));
        assert_eq!(rules().connect(&connect("hill/2", own)), Ok(()));
        assert_eq!(rules().connect(&connect("hillside", own)), Err(Forbidden::ClientId));
        assert_eq!(rules().connect(&connect("", own)), Err(Forbidden::ClientId));
        assert_eq!(rules().connect(&connect("hill", "lamplight/v1/hillside/presence")), Err(Forbidden::Will));
    }

    #[test]
    fn a_second_connect_and_packets_of_a_server_have_no_place() {
        for kind in [0, 1, 2, 9, 11, 13, 15] {
            assert_eq!(rules().packet(kind, &[kind << 4, 0]), Err(Forbidden::OutOfPlace(kind)));
        }
        assert_eq!(rules().packet(packet::PINGREQ, &[0xc0, 0]), Ok(()));
    }
}
