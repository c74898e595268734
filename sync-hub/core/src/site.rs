//! A site's name: it stands in topics, certificates and addresses.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A site's name: 1 to 64 of `a–z 0–9 -`, beginning and ending with a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SiteName(String);

/// Text that is no site name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a site name is 1 to 64 of a-z, 0-9 and - (not first or last), got {0:?}")]
pub struct SiteNameError(pub String);

impl SiteName {
    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SiteName {
    type Err = SiteNameError;
    fn from_str(text: &str) -> Result<Self, SiteNameError> {
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits && !text.starts_with('-') && !text.ends_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(SiteNameError(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for SiteName {
    type Error = SiteNameError;
    fn try_from(text: String) -> Result<Self, SiteNameError> {
        text.parse()
    }
}

impl From<SiteName> for String {
    fn from(name: SiteName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_a_topic_wildcard_or_another_level_is_refused() {
        for text in ["", "+", "#", "a/b", "Hillside", "hill side", "-a", "a-", &"a".repeat(65)] {
            assert!(text.parse::<SiteName>().is_err(), "{text}");
        }
        for text in ["a", "hillside", "bay-12", &"a".repeat(64)] {
            assert!(text.parse::<SiteName>().is_ok(), "{text}");
        }
    }
}
