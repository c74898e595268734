//! Names of things. Each is its own type so that a bed can never be passed where a patient is meant.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A name that could not be read, with what was offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {expected}, got {got:?}")]
pub struct IdError {
    /// Which name was being read.
    pub what: &'static str,
    /// The shape it must have.
    pub expected: &'static str,
    /// The offending text, cut to 64 characters.
    pub got: String,
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| IdError {
                    what: stringify!($name),
                    expected: concat!(stringify!($len), " bytes of hex"),
                    got: text.chars().take(64).collect(),
                })?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = String::deserialize(deserializer)?;
                    text.parse().map_err(serde::de::Error::custom)
                } else {
                    Ok(Self(Deserialize::deserialize(deserializer)?))
                }
            }
        }
    };
}

bytes_id!(
    /// A replica of the ledger (an agent, a hub): its Ed25519 public key, so that it certifies itself.
    ReplicaId,
    32
);
bytes_id!(
    /// One process lifetime of a replica, random at every start.
    RunId,
    8
);
bytes_id!(
    /// What an entry is about: a patient, a site, a replica's own audit. Random, so that it says nothing by itself.
    ScopeId,
    16
);
bytes_id!(
    /// Ties entries of several scopes into one act.
    GroupId,
    8
);
bytes_id!(
    /// A SHA-256 hash.
    Hash,
    32
);

impl ScopeId {
    /// The id of a scope that `creator` begins: random, and bound to the creator, so that nobody else can claim to have begun it.
    #[must_use]
    pub fn begun_by(creator: ReplicaId, nonce: [u8; 8]) -> Self {
        let bound = crate::ledger::entry::sha256(&[b"lamplight/scope/1", &creator.0, &nonce]);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&nonce);
        id[8..].copy_from_slice(&bound.0[..8]);
        Self(id)
    }

    /// Whether a replica has begun this scope.
    #[must_use]
    pub fn is_begun_by(self, creator: ReplicaId) -> bool {
        let mut nonce = [0; 8];
        nonce.copy_from_slice(&self.0[..8]);
        Self::begun_by(creator, nonce) == self
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text: 1 to 64 of `A–Z a–z 0–9 - .`, FHIR's `id`.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                if is_fhir_id(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError {
                        what: stringify!($name),
                        expected: "1 to 64 of A-Z a-z 0-9 - .",
                        got: text.chars().take(64).collect(),
                    })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

text_id!(
    /// A FHIR resource's logical id.
    ResourceId
);
text_id!(
    /// A device as the record knows it; also the id of its FHIR Device.
    DeviceId
);
text_id!(
    /// A bed of the ward, as painted on the wall ("2", "bay-1.4").
    BedId
);
text_id!(
    /// A patient; also the id of the FHIR Patient.
    PatientId
);

impl From<PatientId> for ResourceId {
    fn from(id: PatientId) -> Self {
        Self(id.0)
    }
}

impl From<DeviceId> for ResourceId {
    fn from(id: DeviceId) -> Self {
        Self(id.0)
    }
}

/// Whether `text` has the shape of a FHIR `id`.
#[must_use]
pub fn is_fhir_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

/// A version-4 UUID made of the entropy given: the id of a new resource.
#[must_use]
pub fn new_resource_id(entropy: [u8; 16]) -> ResourceId {
    ResourceId(uuid::Builder::from_random_bytes(entropy).into_uuid().to_string())
}

/// All zero: of nothing.
impl Default for Hash {
    fn default() -> Self {
        Self([0; 32])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_slash_is_refused_and_the_error_says_which_name() {
        let error = "ward/2".parse::<BedId>().expect_err("slash");
        assert_eq!(error.what, "BedId");
        assert!("x".repeat(65).parse::<PatientId>().is_err());
        assert!("".parse::<PatientId>().is_err());
    }

    #[test]
    fn a_new_resource_id_is_a_random_uuid() {
        assert_eq!(new_resource_id([0xff; 16]).as_str(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
