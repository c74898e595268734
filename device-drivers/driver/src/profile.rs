//! A device's page of facts: one TOML file a model, no Rust. Unknown keys are refused.

use record::code::Code;
use record::decimal::Decimal;
use record::laboratory::is_loinc;
use record::time::Timestamp;
use record::unit::Unit;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The longest profile read, in bytes: a page of facts, with room for comments.
pub const PROFILE_LEN_MAX: usize = 64 * 1024;

/// What is known of one device model: names, addresses, ranges, quirks. How its bytes are read is the protocol's.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The file's name without `.toml`; how configuration and records refer to the profile.
    #[serde(skip)]
    pub name: String,
    /// Who makes it.
    pub maker: String,
    /// Its model name.
    pub model: String,
    /// The protocol it speaks, with its quirks as suffixes: `ge.dri`, `ble.blood-pressure+beurer`.
    pub protocol: String,
    /// Ways in which the model departs from its protocol, each a row of that protocol's table of quirks. Those written as
    /// suffixes of `protocol` are among them once the profile is read.
    #[serde(default)]
    pub quirks: Vec<String>,
    /// What the facts rest on.
    pub evidence: Evidence,
    /// Not yet seen against the real device: shown with a mark wherever its values are.
    #[serde(default)]
    pub experimental: bool,
    /// How a device of this model is recognised. Nothing set: it is only ever chosen by a person.
    #[serde(default, rename = "match")]
    pub matching: Match,
    /// Characteristics to subscribe to or read (Bluetooth only).
    #[serde(default)]
    pub feed: Vec<Feed>,
    /// Line settings (serial only).
    pub serial: Option<Serial>,
    /// What its clock is worth.
    #[serde(default)]
    pub clock: Clock,
    /// Minutes east of UTC that a `local` clock is set to. Without it such times are provenance only.
    #[cfg_attr(feature = "schema", schemars(range(min = -840, max = 840)))]
    pub utc_offset_min: Option<i16>,
    /// Seconds without data after which the device counts as disconnected, 1–600. Absent for devices that speak
    /// only when used, whose silence means nothing.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 600)))]
    pub silence_s: Option<u16>,
    /// Seconds between numerics, for protocols that ask for them, 1–600.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 600)))]
    pub interval_s: Option<u16>,
    /// Waves to ask for, for protocols that ask.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::codes"))]
    pub waves: Vec<Code>,
    /// When messages are acknowledged, for protocols that acknowledge.
    #[serde(default)]
    pub acknowledge: Acknowledge,
    /// Numbers this model sends to mean "no value", beside those the protocol defines.
    #[serde(default, deserialize_with = "decimals")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub absent: Vec<Decimal>,
    /// LOINC codes of tests by the analyser's own, for laboratory analysers that send their own.
    #[serde(default)]
    pub loinc: BTreeMap<String, String>,
    /// What it is claimed to measure; every capture is checked against it. Empty only for laboratory analysers, whose
    /// results carry their own codes.
    pub measures: Vec<Measure>,
}

/// What a profile's facts rest on, strongest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// Bytes recorded from the device.
    Capture,
    /// Worked examples of a standard or manual.
    Vector,
    /// A description alone.
    Spec,
}

/// How a device is recognised; everything stated must hold.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// The advertised name begins so.
    #[serde(alias = "name-prefix")]
    pub name_prefix: Option<String>,
    /// Services it advertises or offers.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::uuids"))]
    pub services: Vec<Uuid>,
}

impl Match {
    /// Whether a device that advertises this name and these services is of this model.
    #[must_use]
    pub fn accepts(&self, name: Option<&str>, services: &[u128]) -> bool {
        if self.name_prefix.is_none() && self.services.is_empty() {
            return false;
        }
        self.name_prefix.as_deref().is_none_or(|prefix| name.is_some_and(|name| name.starts_with(prefix)))
            && self.services.iter().all(|uuid| services.contains(&uuid.0))
    }
}

/// A characteristic and how its values are had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// Which one.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::uuid"))]
    pub characteristic: Uuid,
    /// How.
    pub mode: FeedMode,
}

/// How a characteristic's values are had.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FeedMode {
    /// Subscribed; the device sends without waiting.
    Notify,
    /// Subscribed; the device waits for each value to be acknowledged by the stack.
    Indicate,
    /// Read once after connecting. A device without it is not refused.
    Read,
}

/// A 128-bit UUID; written as a SIG number (`2A37`) or in full.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid(pub u128);

impl Uuid {
    /// A number assigned by the Bluetooth SIG, on the SIG's base.
    #[must_use]
    pub const fn assigned(number: u16) -> Self {
        Self(0x0000_0000_0000_1000_8000_0080_5f9b_34fb | ((number as u128) << 96))
    }
}

impl FromStr for Uuid {
    type Err = UuidError;
    fn from_str(text: &str) -> Result<Self, UuidError> {
        let refuse = || UuidError(text.chars().take(64).collect());
        if text.len() == 4 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return u16::from_str_radix(text, 16).map(Self::assigned).map_err(|_| refuse());
        }
        let groups: Vec<usize> = text.split('-').map(str::len).collect();
        let digits = text.replace('-', "");
        if groups != [8, 4, 4, 4, 12] || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        u128::from_str_radix(&digits, 16).map(Self).map_err(|_| refuse())
    }
}

/// Text that is no UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a SIG number such as \"2A37\" or a full UUID, got {0:?}")]
pub struct UuidError(pub String);

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let u = self.0;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            u >> 96,
            u >> 80 & 0xFFFF,
            u >> 64 & 0xFFFF,
            u >> 48 & 0xFFFF,
            u & 0xFFFF_FFFF_FFFF
        )
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Settings of a serial line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Serial {
    /// Bits a second.
    pub baud: u32,
    /// 7 or 8.
    pub data_bits: u8,
    /// Parity bit.
    pub parity: Parity,
    /// 1 or 2.
    pub stop_bits: u8,
    /// Handshake.
    #[serde(default)]
    pub flow: Flow,
}

/// Parity bit of a serial line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Parity {
    /// No parity bit.
    None,
    /// Even parity.
    Even,
    /// Odd parity.
    Odd,
}

/// Handshake of a serial line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Flow {
    /// None.
    #[default]
    None,
    /// Hardware: RTS and CTS lines.
    RtsCts,
    /// Software: XON and XOFF bytes.
    XonXoff,
}

/// What a device's clock is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Clock {
    /// It sends no time: arrival time is used, and provenance says so.
    #[default]
    None,
    /// Its times carry a zone.
    Stated,
    /// Its times carry no zone and are UTC.
    Utc,
    /// Its times carry no zone and are those of the wall it hangs on.
    Local,
}

/// When messages are acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Acknowledge {
    /// As each message asks, by the protocol's rules.
    #[default]
    AsAsked,
    /// As asked, but a message that could be read only in part is accepted: for senders that repeat a refused message
    /// for ever and hold back those behind it.
    Accept,
    /// Never: for senders that take no answer.
    Never,
}

/// One thing a device measures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// What.
    #[cfg_attr(feature = "schema", schemars(schema_with = "schema::code"))]
    pub code: Code,
    /// The unit it is sent in.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub unit: Unit,
    /// The lowest number the manual allows, in `unit`.
    pub low: i32,
    /// The highest number the manual allows, in `unit`.
    pub high: i32,
}

/// A profile that cannot be used: which file, and what is wrong with which key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {why}")]
pub struct ProfileError {
    /// The file's name.
    pub file: String,
    /// The key and what is wrong with it.
    pub why: String,
}

impl ProfileError {
    /// An error about `file`.
    #[must_use]
    pub fn new(file: &str, why: impl Into<String>) -> Self {
        Self { file: file.to_owned(), why: why.into() }
    }
}

impl Profile {
    /// Reads a profile; `file` is its name and appears in errors.
    ///
    /// # Errors
    /// An unknown or missing key, a value of the wrong kind, or one outside its limits.
    pub fn parse(file: &str, text: &str) -> Result<Self, ProfileError> {
        let refuse = |why: String| ProfileError::new(file, why);
        if text.len() > PROFILE_LEN_MAX {
            return Err(refuse(format!("longer than {PROFILE_LEN_MAX} bytes")));
        }
        let mut profile: Self = toml::from_str(text).map_err(|e| refuse(e.to_string().trim_end().to_owned()))?;
        profile.name = file.strip_suffix(".toml").unwrap_or(file).to_owned();
        profile.name_quirks();
        profile.check().map_err(refuse)?;
        Ok(profile)
    }

    /// The profile of a device of which nothing is known but its protocol: for decoding bytes by hand.
    #[must_use]
    pub fn bare(protocol: &str) -> Self {
        let mut profile = Self {
            name: protocol.to_owned(),
            maker: String::new(),
            model: String::new(),
            protocol: protocol.to_owned(),
            quirks: Vec::new(),
            evidence: Evidence::Spec,
            experimental: true,
            matching: Match::default(),
            feed: Vec::new(),
            serial: None,
            clock: Clock::None,
            utc_offset_min: None,
            silence_s: None,
            interval_s: None,
            waves: Vec::new(),
            acknowledge: Acknowledge::AsAsked,
            absent: Vec::new(),
            loinc: BTreeMap::new(),
            measures: Vec::new(),
        };
        profile.name_quirks();
        profile
    }

    /// The protocol without its quirks.
    #[must_use]
    pub fn base_protocol(&self) -> &str {
        split_quirks(&self.protocol).0
    }

    /// Whether the model departs from its protocol in this way.
    #[must_use]
    pub fn has_quirk(&self, quirk: &str) -> bool {
        self.quirks.iter().any(|own| own == quirk)
    }

    fn name_quirks(&mut self) {
        let suffixes: Vec<String> = split_quirks(&self.protocol).1.map(str::to_owned).collect();
        for quirk in suffixes {
            if !self.has_quirk(&quirk) {
                self.quirks.push(quirk);
            }
        }
    }

    /// The moment meant by a device time without a zone, read as if it were UTC; `None` where the zone is unknown.
    #[must_use]
    pub fn moment(&self, read_as_utc: Timestamp) -> Option<Timestamp> {
        match self.clock {
            Clock::Utc => Some(read_as_utc),
            Clock::Local => Some(read_as_utc.plus_micros(-i64::from(self.utc_offset_min?) * 60_000_000)),
            Clock::None | Clock::Stated => None,
        }
    }

    fn check(&self) -> Result<(), String> {
        for (key, text) in [("maker", &self.maker), ("model", &self.model), ("protocol", &self.protocol)] {
            if text.trim().is_empty() {
                return Err(format!("{key}: is empty"));
            }
        }
        for (key, seconds) in [("silence_s", self.silence_s), ("interval_s", self.interval_s)] {
            if seconds.is_some_and(|s| !(1..=600).contains(&s)) {
                return Err(format!("{key}: must be 1 to 600 seconds"));
            }
        }
        if self.utc_offset_min.is_some_and(|m| !(-14 * 60..=14 * 60).contains(&m)) {
            return Err("utc_offset_min: must be within 14 hours (−840 to 840)".to_owned());
        }
        if self.utc_offset_min.is_some() && self.clock != Clock::Local {
            return Err("utc_offset_min: only means something with clock = \"local\"".to_owned());
        }
        if let Some(serial) = self.serial {
            if !(300..=4_000_000).contains(&serial.baud) {
                return Err("serial.baud: must be 300 to 4000000".to_owned());
            }
            if !(7..=8).contains(&serial.data_bits) || !(1..=2).contains(&serial.stop_bits) {
                return Err("serial: data_bits must be 7 or 8, stop_bits 1 or 2".to_owned());
            }
        }
        if let Some((own, code)) = self.loinc.iter().find(|(_, code)| !is_loinc(code)) {
            return Err(format!("loinc: {code:?} of {own:?} is no LOINC code: look it up at loinc.org"));
        }
        for measure in &self.measures {
            if measure.low > measure.high {
                return Err(format!("measures: {} has low {} above high {}", measure.code.key(), measure.low, measure.high));
            }
        }
        Ok(())
    }
}

/// A protocol id and the quirks written behind it: `ble.blood-pressure` and `beurer` of `ble.blood-pressure+beurer`.
pub fn split_quirks(protocol: &str) -> (&str, impl Iterator<Item = &str>) {
    let mut parts = protocol.split('+');
    (parts.next().unwrap_or_default(), parts)
}

/// Decimals are written as text, so that `-99.9` stays what it is.
fn decimals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Decimal>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

/// The JSON Schema of a profile, for editors: what is written by hand completes and is checked as it is typed.
#[cfg(feature = "schema")]
pub mod schema {
    use super::Profile;
    use record::code::CODES;
    use schemars::{Schema, SchemaGenerator, json_schema};

    /// As it lies in `firmware-configs/schema/device.json`.
    #[must_use]
    pub fn text() -> String {
        let mut schema = schemars::schema_for!(Profile);
        schema.insert("title".to_owned(), "A device model's page of facts".into());
        // Both spellings are read.
        if let Some(properties) = schema.pointer_mut("/$defs/Match/properties").and_then(|value| value.as_object_mut())
            && let Some(prefix) = properties.get("name_prefix").cloned()
        {
            properties.insert("name-prefix".to_owned(), prefix);
        }
        // A schema is plain data: it cannot fail to be written.
        serde_json::to_string_pretty(&schema).unwrap_or_default() + "\n"
    }

    pub(super) fn code(_: &mut SchemaGenerator) -> Schema {
        let keys: Vec<&str> = CODES.iter().map(|row| row.key).collect();
        json_schema!({"anyOf": [{"enum": keys}, {"type": "string", "pattern": "^(mdc:[0-9]+|[0-9]{1,7}-[0-9])$"}]})
    }

    pub(super) fn codes(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "items": code(generator)})
    }

    pub(super) fn uuid(_: &mut SchemaGenerator) -> Schema {
        let full = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";
        json_schema!({"type": "string", "pattern": format!("^([0-9A-Fa-f]{{4}}|{full})$")})
    }

    pub(super) fn uuids(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "array", "items": uuid(generator)})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"
maker    = "Acme"
model    = "OX-1"
protocol = "ble.plx-continuous"
evidence = "capture"
match    = { name-prefix = "ACME-OX", services = ["1822"] }
feed     = [{ characteristic = "2A5F", mode = "notify" }]
clock    = "none"
silence_s = 8
absent   = ["-99.9"]
measures = [{ code = "spo2", unit = "%", low = 35, high = 100 }]
"#;

    #[test]
    fn a_page_of_facts_is_read_as_written() {
        let profile = Profile::parse("acme-ox1.toml", PAGE).expect("profile");
        assert_eq!(profile.name, "acme-ox1");
        assert_eq!(profile.feed[0].characteristic, Uuid::assigned(0x2A5F));
        assert_eq!(profile.measures[0].code, Code::SPO2);
        assert_eq!(profile.absent, ["-99.9".parse().expect("decimal")]);
        assert!(!profile.experimental);
    }

    #[test]
    fn every_refusal_names_the_file_and_the_key() {
        for (from, to, names) in [
            ("maker ", "colour = 1\nmaker ", "colour"),
            ("\"2A5F\"", "\"2A5FX\"", "characteristic"),
            ("\"%\"", "\"furlong\"", "unit"),
            ("\"spo2\"", "\"spo3\"", "spo3"),
            ("silence_s = 8", "silence_s = 0", "silence_s"),
            ("silence_s = 8", "silence_s = \"8\"", "silence_s"),
            ("low = 35", "low = 135", "measures"),
            ("\"-99.9\"", "\"none\"", "absent"),
            ("\"Acme\"", "\"\"", "maker"),
            ("evidence = \"capture\"\n", "", "evidence"),
            ("services = [", "colour = 1, services = [", "colour"),
        ] {
            assert!(PAGE.contains(from), "{from}");
            let error = Profile::parse("acme-ox1.toml", &PAGE.replacen(from, to, 1)).expect_err(to).to_string();
            assert!(error.starts_with("acme-ox1.toml: ") && error.contains(names), "{error}");
        }
    }

    #[test]
    fn a_quirk_is_named_as_a_suffix_or_in_its_own_key_and_once() {
        let page = PAGE.replace("\"ble.plx-continuous\"", "\"ble.plx-continuous+odd\"\nquirks = [\"odd\", \"late\"]");
        let profile = Profile::parse("acme-ox1.toml", &page).expect("profile");
        assert_eq!((profile.base_protocol(), &profile.quirks[..]), ("ble.plx-continuous", &["odd".to_owned(), "late".to_owned()][..]));
        let bare = Profile::bare("ble.plx-continuous+odd");
        assert!(bare.has_quirk("odd") && !bare.has_quirk("late"));
    }

    #[test]
    fn a_sig_number_stands_for_its_full_uuid() {
        let full = "00002a37-0000-1000-8000-00805f9b34fb";
        assert_eq!("2A37".parse::<Uuid>().expect("short"), full.parse().expect("full"));
        assert_eq!(Uuid::assigned(0x2A37).to_string(), full);
        for bad in ["", "2A3", "0x2A37", "+A37", "2a37-0000", "00002a3700001000800000805f9b34fb"] {
            assert!(bad.parse::<Uuid>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_device_matches_only_when_all_that_is_stated_holds() {
        let profile = Profile::parse("acme-ox1.toml", PAGE).expect("profile");
        let plx = [Uuid::assigned(0x1822).0];
        assert!(profile.matching.accepts(Some("ACME-OX 12"), &plx));
        assert!(!profile.matching.accepts(Some("ACME-OX 12"), &[]));
        assert!(!profile.matching.accepts(None, &plx));
        assert!(!Match::default().accepts(Some("anything"), &plx));
    }

    #[test]
    fn a_local_time_is_a_moment_only_where_its_zone_is_known() {
        let mut profile = Profile::bare("ge.dri");
        let at = Timestamp::parse("2026-11-22T04:00:00Z").expect("time");
        profile.clock = Clock::Local;
        assert_eq!(profile.moment(at), None);
        profile.utc_offset_min = Some(180);
        assert_eq!(profile.moment(at), Some(Timestamp::parse("2026-11-22T01:00:00Z").expect("time")));
    }
}
