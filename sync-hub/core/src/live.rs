//! Live data by MQTT: who is there, how fast it comes, and the newest value of each bed. Nothing of it is the record.

use crate::latency::Window;
use crate::site::SiteName;
use hub_api::fleet::Latency;
use hub_api::live::{LiveBatch, LiveReading, Presence, READINGS_MAX, TOPIC_ROOT, VERSION};
use record::time::Timestamp;
use std::collections::BTreeMap;

/// Newest values kept a site.
pub const VALUES_MAX: usize = 4096;
/// Longest text of a reading that is kept.
const TEXT_MAX: usize = 256;

/// Why a message was dropped. Nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// No topic of a site.
    #[error("not a topic of a site")]
    Topic,
    /// Not what travels on that topic.
    #[error("not a message of version {VERSION}")]
    Message,
    /// The message names another site than its topic.
    #[error("names another site than its topic")]
    OtherSite,
    /// Too many readings, or one with overlong text.
    #[error("over {READINGS_MAX} readings, or text over {TEXT_MAX} bytes")]
    TooLarge,
}

/// One site as its live data show it.
#[derive(Clone, Debug, Default)]
pub struct LiveSite {
    /// Present: its last word was not its last will.
    pub online: bool,
    /// Program version by its presence.
    pub version: Option<String>,
    /// When anything came last.
    pub heard: Option<Timestamp>,
    /// Readings since start.
    pub readings: u64,
    window: Window,
    newest: BTreeMap<(String, String), LiveReading>,
}

impl LiveSite {
    /// Wire at the bedside → here.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        self.window.latency()
    }

    /// The newest value of each (bed, code), at most [`VALUES_MAX`].
    pub fn newest(&self) -> impl Iterator<Item = &LiveReading> {
        self.newest.values()
    }

    fn take(&mut self, batch: LiveBatch, now: Timestamp) {
        for reading in batch.readings {
            self.readings += 1;
            // A site's clock ahead of ours shows as no time, not as less than none.
            self.window.add(u64::try_from(now.micros_since(Timestamp(reading.arrived_us))).unwrap_or(0));
            let key = (reading.bed.clone(), reading.code.clone());
            if self.newest.len() < VALUES_MAX || self.newest.contains_key(&key) {
                self.newest.insert(key, reading);
            }
        }
    }
}

/// All sites, as their live data show them.
#[derive(Clone, Debug, Default)]
pub struct LiveBoard {
    messages: u64,
    sites: BTreeMap<SiteName, LiveSite>,
}

impl LiveBoard {
    /// Takes a message; the front has made sure that only the site itself can publish on its topics.
    ///
    /// # Errors
    /// It was dropped.
    pub fn take(&mut self, topic: &str, payload: &[u8], now: Timestamp) -> Result<(), Dropped> {
        let (site, leaf) = place_of(topic).ok_or(Dropped::Topic)?;
        match leaf {
            "live" => {
                let batch: LiveBatch = serde_json::from_slice(payload).map_err(|_| Dropped::Message)?;
                check(&site, batch.v, &batch.site)?;
                if batch.readings.len() > READINGS_MAX || !batch.readings.iter().all(is_short) {
                    return Err(Dropped::TooLarge);
                }
                self.messages += 1;
                let entry = self.sites.entry(site).or_default();
                entry.heard = Some(now);
                entry.online = true;
                entry.take(batch, now);
            }
            "presence" => {
                let presence: Presence = serde_json::from_slice(payload).map_err(|_| Dropped::Message)?;
                check(&site, presence.v, &presence.site)?;
                let entry = self.sites.entry(site).or_default();
                entry.online = presence.online;
                if presence.online {
                    entry.heard = Some(now);
                    entry.version = Some(presence.version.chars().take(TEXT_MAX).collect());
                } else {
                    // What lay there is not what lies there.
                    entry.newest.clear();
                }
            }
            _ => return Err(Dropped::Topic),
        }
        Ok(())
    }

    /// A site's connection ended, whatever it last said.
    pub fn gone(&mut self, site: &SiteName) {
        if let Some(entry) = self.sites.get_mut(site) {
            entry.online = false;
            entry.newest.clear();
        }
    }

    /// Messages with readings since start.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// One site.
    #[must_use]
    pub fn site(&self, site: &SiteName) -> Option<&LiveSite> {
        self.sites.get(site)
    }
}

fn place_of(topic: &str) -> Option<(SiteName, &str)> {
    let (site, leaf) = topic.strip_prefix(TOPIC_ROOT)?.strip_prefix('/')?.split_once('/')?;
    Some((site.parse().ok()?, leaf))
}

fn check(site: &SiteName, version: u8, named: &str) -> Result<(), Dropped> {
    if version != VERSION {
        return Err(Dropped::Message);
    }
    if named == site.as_str() { Ok(()) } else { Err(Dropped::OtherSite) }
}

fn is_short(reading: &LiveReading) -> bool {
    let optional = |text: &Option<String>| text.as_deref().map_or(0, str::len);
    let texts = [reading.bed.len(), optional(&reading.patient), reading.device.len(), reading.code.len(), optional(&reading.value)];
    texts.into_iter().chain([reading.unit.len(), reading.status.len()]).all(|len| len <= TEXT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp(1_795_000_000_000_000);

    fn reading(bed: &str, value: &str) -> Value {
        json!({"bed": bed, "patient": null, "device": "ox1", "code": "59408-5", "value": value, "unit": "%", "status": "ok",
            "measured_us": NOW.0 - 60_000, "arrived_us": NOW.0 - 40_000})
    }
    fn batch(site: &str, readings: Vec<Value>) -> Vec<u8> {
        json!({"v": 1, "site": site, "sent_us": NOW.0, "readings": readings}).to_string().into_bytes()
    }
    fn hillside() -> SiteName {
        "hillside".parse().unwrap()
    }

    #[test]
    fn a_batch_counts_and_leaves_only_the_newest_value_of_each_bed() {
        let mut board = LiveBoard::default();
        let bytes = batch("hillside", vec![reading("1", "97"), reading("1", "96"), reading("2", "99")]);
        board.take("lamplight/v1/hillside/live", &bytes, NOW).unwrap();
        let site = board.site(&hillside()).unwrap();
        assert!(site.online);
        assert_eq!((board.messages(), site.readings), (1, 3));
        let newest: Vec<_> = site.newest().map(|r| (r.bed.as_str(), r.value.as_deref())).collect();
        assert_eq!(newest, [("1", Some("96")), ("2", Some("99"))]);
        assert_eq!(site.latency().unwrap().p50, 40.0);
    }

    #[test]
    fn a_message_under_a_foreign_name_or_of_another_shape_is_dropped() {
        let mut board = LiveBoard::default();
        let bytes = batch("riverside", vec![]);
        assert_eq!(board.take("lamplight/v1/hillside/live", &bytes, NOW), Err(Dropped::OtherSite));
        assert_eq!(board.take("lamplight/v1/riverside/presence", &bytes, NOW), Err(Dropped::Message));
        assert_eq!(board.take("lamplight/v1/riverside/other", &bytes, NOW), Err(Dropped::Topic));
        assert_eq!(board.take("elsewhere", &bytes, NOW), Err(Dropped::Topic));
        let many = batch("riverside", vec![reading("1", "97"); READINGS_MAX + 1]);
        assert_eq!(board.take("lamplight/v1/riverside/live", &many, NOW), Err(Dropped::TooLarge));
        assert_eq!(board.messages(), 0);
    }

    #[test]
    fn the_last_will_takes_a_site_off_the_board_and_its_values_with_it() {
        let mut board = LiveBoard::default();
        let will = json!({"v": 1, "site": "hillside", "online": false, "version": "1"}).to_string();
        board.take("lamplight/v1/hillside/live", &batch("hillside", vec![reading("1", "97")]), NOW).unwrap();
        board.take("lamplight/v1/hillside/presence", will.as_bytes(), NOW).unwrap();
        let site = board.site(&hillside()).unwrap();
        assert!(!site.online);
        assert_eq!(site.newest().count(), 0);
    }
}
