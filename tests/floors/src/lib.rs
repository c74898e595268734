//! Which crate may use which: the house's floors, as a rule over a plain graph.
//!
//! ```text
//! 9  outside     xtask, tests/*: may use anything, nothing uses them
//! 4  programs    edge-agent, sync-hub, simulators, lamplight-desktop
//! 3  hands       stores, transport, web
//! 2  brains      edge-core, hub-core
//! 1  words in motion   driver, catalogue, risk, protocol, the two api crates
//! 0  words       record
//! ```
//!
//! Always: an arrow runs strictly down, except those of [`SAME_FLOOR`]; brains and hands never name each other; below the hands nothing
//! reaches a runtime, a socket, a database or a radio, however indirectly.
//! Dev-dependencies are free, as a test may set up a world, but nothing below floor 3 may be tested by running a program.
//! Never here: reading the workspace. `tests/house.rs` does, and hands over a [`House`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::collections::{BTreeMap, BTreeSet};

/// Floor of what stands outside the house.
pub const OUTSIDE: u8 = 9;

/// Arrows allowed on one floor, `(from, to)`, each for a reason: a catalogue is a table of drivers and implements their contract.
pub const SAME_FLOOR: &[(&str, &str)] = &[("catalogue", "driver")];

/// What nothing on floors 0 to 2 may reach, even through others: with one of these at hand, deciding code could act.
pub const HANDS_ONLY: &[&str] = &[
    "tokio",
    "async-std",
    "smol",
    "mio",
    "rusqlite",
    "sqlx",
    "reqwest",
    "hyper",
    "axum",
    "rumqttc",
    "btleplug",
    "serialport",
    "tokio-serial",
    "zbus",
];

const BRAINS: u8 = 2;
const HANDS: u8 = 3;
const PROGRAMS: u8 = 4;

/// The workspace's crates by name.
pub type House = BTreeMap<String, Crate>;

/// One crate of the workspace.
#[derive(Clone, Debug, Default)]
pub struct Crate {
    /// `package.metadata.floor`.
    pub floor: Option<u8>,
    /// Names of the dependencies it is built from, normal and build, of the workspace or not.
    pub uses: BTreeSet<String>,
    /// Names of its dev-dependencies.
    pub tested_with: BTreeSet<String>,
    /// Names of all packages it is built from, directly or through others.
    pub reaches: BTreeSet<String>,
}

/// An arrow that must not be there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
pub enum Breach {
    /// No floor stated.
    #[error("{name} states no package.metadata.floor (0 to 4, or {OUTSIDE} outside the house)")]
    NoFloor {
        /// The crate.
        name: String,
    },
    /// A dependency on the same floor or a higher one.
    #[error("{from} (floor {floor}) uses {to} (floor {other}): arrows run strictly down")]
    NotDown {
        /// The crate that uses.
        from: String,
        /// Its floor.
        floor: u8,
        /// The crate used.
        to: String,
        /// Its floor.
        other: u8,
    },
    /// A hand names a brain.
    #[error("{from} (a hand) uses {to} (a brain): they meet only in a program's event loop")]
    HandNamesBrain {
        /// The hand.
        from: String,
        /// The brain.
        to: String,
    },
    /// A crate below the hands can reach something that acts.
    #[error("{from} (floor {floor}) reaches {to}: below floor {HANDS} nothing can touch a runtime, socket, database or radio")]
    CanAct {
        /// The crate.
        from: String,
        /// Its floor.
        floor: u8,
        /// What it reaches.
        to: String,
    },
    /// A crate below the hands is tested by a program.
    #[error("{from} (floor {floor}) is tested with {to}, a program: test it on its own, or from tests/")]
    TestedByProgram {
        /// The crate.
        from: String,
        /// Its floor.
        floor: u8,
        /// The program.
        to: String,
    },
}

/// Every arrow that must not be there, in order of crate; empty for a sound house.
#[must_use]
pub fn breaches(house: &House) -> Vec<Breach> {
    let mut found = Vec::new();
    for (name, krate) in house {
        let Some(floor) = krate.floor.filter(|floor| *floor <= PROGRAMS || *floor == OUTSIDE) else {
            found.push(Breach::NoFloor { name: name.clone() });
            continue;
        };
        let of_the_house = |names: &BTreeSet<String>| -> Vec<(String, u8)> {
            names.iter().filter_map(|to| Some((to.clone(), house.get(to)?.floor?))).collect()
        };
        for (to, other) in of_the_house(&krate.uses) {
            if floor == HANDS && other == BRAINS {
                found.push(Breach::HandNamesBrain { from: name.clone(), to });
            } else if other >= floor && !allowed_level(name, &to, floor, other) {
                found.push(Breach::NotDown { from: name.clone(), floor, to, other });
            }
        }
        if floor >= HANDS {
            continue;
        }
        for to in krate.reaches.iter().filter(|to| HANDS_ONLY.contains(&to.as_str())) {
            found.push(Breach::CanAct { from: name.clone(), floor, to: to.clone() });
        }
        for (to, _) in of_the_house(&krate.tested_with).into_iter().filter(|(_, other)| *other >= PROGRAMS) {
            found.push(Breach::TestedByProgram { from: name.clone(), floor, to });
        }
    }
    found
}

fn allowed_level(from: &str, to: &str, floor: u8, other: u8) -> bool {
    floor == other && (floor == OUTSIDE || SAME_FLOOR.contains(&(from, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `name floor: uses…` a line, all of it reached.
    fn house(lines: &[&str]) -> House {
        lines
            .iter()
            .map(|line| {
                let (head, uses) = line.split_once(':').expect(line);
                let (name, floor) = head.split_once(' ').expect(line);
                let uses: BTreeSet<_> = uses.split_whitespace().map(str::to_owned).collect();
                (name.to_owned(), Crate { floor: floor.parse().ok(), reaches: uses.clone(), uses, tested_with: BTreeSet::new() })
            })
            .collect()
    }

    fn said(lines: &[&str]) -> Vec<String> {
        breaches(&house(lines)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_house_whose_arrows_run_down_is_sound() {
        let sound = [
            "words 0: serde",
            "driver 1: words",
            "catalogue 1: words driver",
            "brain 2: catalogue",
            "hand 3: words tokio",
            "program 4: brain hand",
            "xtask 9: program",
            "world 9: xtask words",
        ];
        assert_eq!(said(&sound), Vec::<String>::new());
    }

    #[test]
    fn an_arrow_that_runs_up_is_found() {
        assert_eq!(said(&["words 0: risk", "risk 1:"]), ["words (floor 0) uses risk (floor 1): arrows run strictly down"]);
    }

    #[test]
    fn an_arrow_on_one_floor_is_found_unless_it_is_listed() {
        assert_eq!(said(&["edge-api 1: hub-api", "hub-api 1:"]).len(), 1);
        assert_eq!(said(&["driver 1: catalogue", "catalogue 1:"]).len(), 1);
        assert_eq!(said(&["catalogue 1: driver", "driver 1:"]).len(), 0);
        assert_eq!(said(&["sync-hub 4: edge-agent", "edge-agent 4:"]).len(), 1);
    }

    #[test]
    fn brains_and_hands_that_name_each_other_are_found() {
        assert_eq!(said(&["hand 3: brain", "brain 2:"]), ["hand (a hand) uses brain (a brain): they meet only in a program's event loop"]);
        assert_eq!(said(&["hand 3:", "brain 2: hand"]).len(), 1);
    }

    #[test]
    fn nothing_in_the_house_uses_what_stands_outside() {
        assert_eq!(said(&["program 4: xtask", "xtask 9:"]).len(), 1);
    }

    #[test]
    fn a_runtime_reached_through_another_library_is_found() {
        let mut through = house(&["brain 2: harmless"]);
        through.entry("brain".to_owned()).or_default().reaches.insert("tokio".to_owned());
        assert_eq!(breaches(&through), [Breach::CanAct { from: "brain".to_owned(), floor: 2, to: "tokio".to_owned() }]);
        assert_eq!(said(&["hand 3: tokio"]).len(), 0);
    }

    #[test]
    fn a_crate_below_the_hands_is_not_tested_by_a_program() {
        let mut tested = house(&["brain 2:", "program 4:", "hand 3:"]);
        for tester in ["brain", "hand"] {
            tested.entry(tester.to_owned()).or_default().tested_with.insert("program".to_owned());
        }
        assert_eq!(breaches(&tested), [Breach::TestedByProgram { from: "brain".to_owned(), floor: 2, to: "program".to_owned() }]);
    }

    #[test]
    fn a_crate_without_a_floor_or_on_one_that_does_not_exist_is_found() {
        assert_eq!(said(&["lost none:", "attic 5:"]).len(), 2);
    }
}
