//! Devices as the record holds them: FHIR Devices, whose extension says how a paired one is reached. What a person has paired
//! thus travels like everything else, comes back after a crash, and is seen by other boxes of the clinic.

use crate::devices::{Device, cut};
use driver::profile::Profile;
use edge_api::device::{PairedView, ReachedBy};
use record::id::{BedId, DeviceId, ReplicaId};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Extension of a Device that a person paired: JSON of its profile's name and how it is reached.
pub const PAIRING_URL: &str = "urn:lamplight:fhir:device-pairing";
/// System of an identifier that is a Bluetooth address.
const BLUETOOTH_ADDRESS: &str = "urn:lamplight:bluetooth-address";
/// Devices of other sites that are remembered.
const ELSEWHERE_MAX: usize = 4096;
/// The record appends a dot and so many characters of the replica that reads a device to its id.
const SUFFIX_LEN: usize = 8;

/// What the record says of devices beside those that are read.
#[derive(Debug)]
pub(crate) struct OnRecord {
    suffix: String,
    /// Devices of this box that have a document, in use or not.
    documented: BTreeSet<DeviceId>,
    elsewhere: BTreeMap<DeviceId, (ReachedBy, PairedView)>,
}

/// A device that a person paired with this box.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Recorded {
    pub id: DeviceId,
    pub name: String,
    pub profile: String,
    pub by: ReachedBy,
}

impl OnRecord {
    pub fn new(replica: ReplicaId) -> Self {
        let replica = replica.to_string();
        let suffix = format!(".{}", replica.get(..SUFFIX_LEN).unwrap_or_default());
        Self { suffix, documented: BTreeSet::new(), elsewhere: BTreeMap::new() }
    }

    /// Takes in a Device; gives it back if a person paired it with this box and it is in use.
    pub fn take(&mut self, device: &Value) -> Option<Recorded> {
        let text = |pointer: &str| device.pointer(pointer).and_then(Value::as_str);
        let id: DeviceId = text("/id")?.parse().ok()?;
        let paired = pairing_of(device).filter(|_| text("/status") == Some("active"));
        let name = text("/deviceName/0/name").map(cut).unwrap_or_default();
        if self.is_own(&id) {
            self.documented.insert(id.clone());
            return paired.map(|(profile, by)| Recorded { id, name, profile, by });
        }
        match paired {
            Some((_, by)) if self.elsewhere.len() < ELSEWHERE_MAX || self.elsewhere.contains_key(&id) => {
                let site = text("/owner/display").map_or_else(|| "another site".to_owned(), cut);
                let bed = text("/location/display").map(|said| cut(said.strip_prefix(BED).unwrap_or(said)));
                self.elsewhere.insert(id.clone(), (by, PairedView { device: id.to_string(), name, bed, site, here: false }));
            }
            _ => {
                self.elsewhere.remove(&id);
            }
        }
        None
    }

    /// Whether the record's id of a device says that this box reads it.
    pub fn is_own(&self, device: &DeviceId) -> bool {
        device.as_str().ends_with(&self.suffix)
    }

    /// The device of another site that is reached so.
    pub fn elsewhere(&self, by: &ReachedBy) -> Option<&PairedView> {
        // A port or an address of a network means something at its own site only.
        let everywhere = matches!(by, ReachedBy::Bluetooth { .. });
        self.elsewhere.values().filter(|_| everywhere).find(|(theirs, _)| theirs.is_same(by)).map(|(_, view)| view)
    }

    pub fn is_documented(&self, device: &DeviceId) -> bool {
        self.documented.contains(device)
    }

    /// The id of a device that is reached so: the same whenever it is paired with this box anew.
    pub fn id_of(&self, by: &ReachedBy) -> Option<DeviceId> {
        let name = match by {
            ReachedBy::Bluetooth { address } => format!("ble-{}", address.replace(':', "").to_ascii_lowercase()),
            ReachedBy::Serial { path } => format!("serial-{:016x}", fingerprint(path)),
            ReachedBy::Listen { address } => format!("listen-{:016x}", fingerprint(address)),
            ReachedBy::Network { address } => format!("network-{:016x}", fingerprint(address)),
        };
        format!("{name}{}", self.suffix).parse().ok()
    }
}

const BED: &str = "bed ";

fn pairing_of(device: &Value) -> Option<(String, ReachedBy)> {
    let extensions = device.get("extension")?.as_array()?;
    let ours = extensions.iter().find(|one| one.get("url").and_then(Value::as_str) == Some(PAIRING_URL))?;
    let mut said: Value = serde_json::from_str(ours.get("valueString")?.as_str()?).ok()?;
    let by = serde_json::from_value(said.get_mut("by")?.take()).ok()?;
    Some((said.get("profile")?.as_str()?.to_owned(), by))
}

/// A device as a FHIR Device of this site.
pub(crate) fn resource(device: &Device, site: &str, bed: Option<&BedId>) -> Value {
    let (setting, profile, stated) = (&device.setting, &device.setting.profile, device.stated());
    let mut resource = json!({
        "resourceType": "Device",
        "id": setting.id.as_str(),
        "status": "active",
        "deviceName": [{"name": device.name(), "type": "user-friendly-name"}],
        "type": {"text": profile.protocol},
    });
    // FHIR has no empty strings.
    let model = stated.model.as_ref().unwrap_or(&profile.model);
    for (key, text) in [("manufacturer", Some(&profile.maker)), ("modelNumber", Some(model)), ("serialNumber", stated.serial.as_ref())] {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            resource[key] = text.as_str().into();
        }
    }
    if let Some(firmware) = &stated.firmware {
        resource["version"] = json!([{"type": {"text": "firmware"}, "value": firmware}]);
    }
    if let Some(by) = setting.by.as_ref().filter(|_| device.paired || device.on_trial) {
        let said = json!({"profile": profile.name, "by": by}).to_string();
        resource["extension"] = json!([{"url": PAIRING_URL, "valueString": said}]);
        if let ReachedBy::Bluetooth { address } = by {
            resource["identifier"] = json!([{"system": BLUETOOTH_ADDRESS, "value": address}]);
        }
        if !site.is_empty() {
            resource["owner"] = json!({"display": site});
        }
        if let Some(bed) = bed {
            resource["location"] = stands_at(bed);
        }
    }
    resource
}

/// What changes in a Device as it is moved.
pub(crate) fn moved(bed: Option<&BedId>) -> Map<String, Value> {
    Map::from_iter([("location".to_owned(), bed.map_or(Value::Null, stands_at))])
}

fn stands_at(bed: &BedId) -> Value {
    json!({"display": format!("{BED}{bed}")})
}

/// Whether a profile's protocol travels the way a device is reached; why not, in words.
pub(crate) fn carries(profile: &Profile, by: &ReachedBy) -> Result<(), String> {
    use catalogue::Link;
    let row = catalogue::protocol(&profile.protocol).map_err(|error| error.to_string())?;
    match (row.link, by) {
        (Link::Ble, ReachedBy::Bluetooth { .. })
        | (Link::Serial, ReachedBy::Serial { .. })
        | (Link::TcpListener, ReachedBy::Listen { .. })
        | (Link::TcpClient(_) | Link::Udp(_), ReachedBy::Network { .. }) => Ok(()),
        _ => Err(format!("{} speaks {}, which does not travel by {by}: choose another profile", profile.name, row.id)),
    }
}

/// FNV-1a.
fn fingerprint(text: &str) -> u64 {
    text.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3))
}
