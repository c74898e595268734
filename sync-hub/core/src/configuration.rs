//! Rolling out what sites are to go by: which sites are meant, and whether a bundle can be used at all.

use crate::site::SiteName;
use protocol::replica::Standing;
use record::ledger::configuration::Rollout;
use risk::limits::{Bundle, FORMAT, LimitsError, SHIPPED};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Groups of sites by name, as `[groups]` of `hub.toml` has them.
pub type Groups = BTreeMap<String, Vec<String>>;

/// Who is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Every site.
    All,
    /// The sites of a group.
    Group(String),
    /// One.
    Site(SiteName),
}

/// Text that names no target, or a group nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Neither of the three.
    #[error("write all, group:<name> or site:<name>, got {0:?}")]
    Form(String),
    /// No such group.
    #[error("there is no group {group:?}: groups are named in [groups] of hub.toml, those known are: {known}")]
    Group {
        /// As asked.
        group: String,
        /// Those there are.
        known: String,
    },
}

impl FromStr for Target {
    type Err = TargetError;
    fn from_str(text: &str) -> Result<Self, TargetError> {
        let refuse = || TargetError::Form(text.chars().take(80).collect());
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            Some(("group", name)) if !name.is_empty() && name.len() <= 64 => Ok(Self::Group(name.to_owned())),
            Some(("site", name)) => name.parse().map(Self::Site).map_err(|_| refuse()),
            _ => Err(refuse()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Site(name) => write!(f, "site:{name}"),
        }
    }
}

impl Target {
    /// Those of `sites` that are meant.
    ///
    /// # Errors
    /// A group nobody knows.
    pub fn of<'a>(&self, sites: impl Iterator<Item = &'a str>, groups: &Groups) -> Result<Vec<&'a str>, TargetError> {
        let group = match self {
            Self::Group(name) => {
                let known = || groups.keys().cloned().collect::<Vec<_>>().join(", ");
                Some(groups.get(name).ok_or_else(|| TargetError::Group { group: name.clone(), known: known() })?)
            }
            _ => None,
        };
        let meant = |site: &&str| match (self, group) {
            (Self::Site(name), _) => name.as_str() == *site,
            (_, Some(group)) => group.iter().any(|member| member == site),
            (..) => true,
        };
        Ok(sites.filter(meant).collect())
    }
}

/// A bundle for a site, checked as the site will check it.
///
/// # Errors
/// Why no site could use it.
pub fn rollout(site: &str, text: &str) -> Result<Rollout, LimitsError> {
    let bundle = Bundle::parse(text)?;
    Ok(Rollout { site: site.to_owned(), name: bundle.name, requires: bundle.requires, text: text.to_owned() })
}

/// What a site goes back to: what was rolled out to it before; if nothing was, what its program was shipped with. None where
/// nothing has been rolled out at all.
#[must_use]
pub fn before(site: &str, standing: &Standing) -> Option<Rollout> {
    let newest = standing.newest()?;
    let shipped = Rollout {
        site: site.to_owned(),
        name: SHIPPED.to_owned(),
        requires: FORMAT,
        text: format!("name = \"{SHIPPED}\"\nrequires = {FORMAT}\n"),
    };
    let before = standing.before().cloned().map(|rollout| Rollout { site: site.to_owned(), ..rollout });
    before.or_else(|| (newest.digest() != shipped.digest()).then_some(shipped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::ledger::Hlc;

    const WINTER: &str = "name = \"winter\"\nrequires = 1\n";
    const SPRING: &str = "name = \"spring\"\nrequires = 1\n";

    #[test]
    fn a_target_is_all_a_group_or_a_site_and_nothing_else() {
        for text in ["all", "group:north", "site:hillside"] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        for text in ["", "hillside", "All", "group:", "site:", "site:Hillside", "everyone:x"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        let groups = Groups::from([("north".to_owned(), vec!["hillside".to_owned(), "gone".to_owned()])]);
        let of = |text: &str| text.parse::<Target>().unwrap().of(["hillside", "riverside"].into_iter(), &groups);
        assert_eq!(of("all"), Ok(vec!["hillside", "riverside"]));
        assert_eq!(of("group:north"), Ok(vec!["hillside"]));
        assert_eq!(of("site:riverside"), Ok(vec!["riverside"]));
        assert!(of("group:south").unwrap_err().to_string().contains("north"));
    }

    #[test]
    fn rolling_back_twice_goes_forth_again_and_the_first_goes_back_to_what_was_shipped() {
        let mut standing = Standing::default();
        assert_eq!(before("a", &standing), None);
        let put = |standing: &mut Standing, rollout: Rollout| {
            let at = Hlc { trusted: true, wall_ms: standing.rollouts.len() as u64, counter: 0 };
            standing.rollouts.insert(0, (at, rollout));
        };
        put(&mut standing, rollout("a", WINTER).unwrap());
        assert_eq!(before("a", &standing).unwrap().name, SHIPPED);
        put(&mut standing, rollout("a", SPRING).unwrap());
        let back = before("a", &standing).unwrap();
        assert_eq!(back.name, "winter");
        put(&mut standing, back);
        assert_eq!(before("a", &standing).unwrap().name, "spring");
    }

    #[test]
    fn what_no_site_could_use_is_not_rolled_out() {
        assert!(rollout("a", "name = \"x\"\nrequires = 1\ncolour = 1\n").is_err());
        assert!(matches!(rollout("a", "name = \"x\"\nrequires = 2\nnews = 1\n"), Err(LimitsError::Newer { needs: 2, .. })));
    }
}
