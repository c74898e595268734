//! What a seed decides before anything happens: who is there, for how long, and what may befall them.

use crate::dice::Dice;
use std::collections::BTreeSet;

/// Something that may befall the boxes of a run. Most runs know a few of these: what a fault hides shows where it is absent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// Links that carry nothing for hours.
    Partition,
    /// Messages and replies that do not arrive.
    Loss,
    /// Messages that arrive twice, the second time late.
    Duplicate,
    /// Messages that overtake one another.
    Reorder,
    /// Power that goes at a persist point.
    Crash,
    /// Wall clocks that jump by up to an hour, run fast or slow, or are not believed.
    Clock,
    /// Disks without room.
    DiskFull,
    /// Payloads whose bytes change on disk.
    BitFlip,
    /// A disk replaced by an older copy of itself, by the book.
    Restore,
    /// The same, behind the program's back.
    Rollback,
    /// A copy of a disk that runs besides the original.
    Clone,
    /// A site that sends what no honest one would.
    Poison,
    /// A box that works by itself before it is enrolled.
    LateGrant,
    /// Patients who move to another site.
    HandOver,
    /// A box whose writes count no longer.
    Revoke,
    /// Somebody else turns out to have lain in the bed.
    Refile,
    /// Old payloads dropped under receipts.
    Retain,
    /// A record that must be destroyed.
    Erase,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 18] = [
        Self::Partition,
        Self::Loss,
        Self::Duplicate,
        Self::Reorder,
        Self::Crash,
        Self::Clock,
        Self::DiskFull,
        Self::BitFlip,
        Self::Restore,
        Self::Rollback,
        Self::Clone,
        Self::Poison,
        Self::LateGrant,
        Self::HandOver,
        Self::Revoke,
        Self::Refile,
        Self::Retain,
        Self::Erase,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Reads its name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| fault.name() == name)
    }
}

/// The run a seed stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Boxes of each site. Boxes of one site know each other.
    pub sites: Vec<usize>,
    /// Commands that desktops give.
    pub commands: u64,
    /// Seconds between commands, on average.
    pub pace_s: u64,
    /// What may befall them.
    pub faults: BTreeSet<Fault>,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed, "plan");
        let sites: Vec<usize> = (0..dice.between(1, 2)).map(|_| usize::try_from(dice.between(1, 2)).unwrap_or(1)).collect();
        // One run in eight sees nothing but work: what is raised there is a false alarm.
        let share = *dice.pick(&[0, 10, 15, 20, 25, 30, 35, 50]).unwrap_or(&20);
        let mut faults: BTreeSet<Fault> = Fault::ALL.into_iter().filter(|_| dice.chance(share)).collect();
        // What a revoked box wrote and a neighbour took before either had heard of it stays in the neighbour's views, and what
        // lies in scopes the hub has not heard of is not revoked: see "What is thin" in the README of `tests`.
        if faults.contains(&Fault::Revoke) {
            faults.retain(|fault| matches!(fault, Fault::Revoke | Fault::Loss | Fault::Duplicate | Fault::Reorder | Fault::Refile));
        }
        // What decays, is dropped, goes back and is doubled at once is lost where no plain model can follow: apart, each is seen.
        if faults.contains(&Fault::BitFlip) {
            faults.retain(|fault| !matches!(fault, Fault::Retain | Fault::Restore | Fault::Rollback | Fault::Clone));
        }
        // What was dropped under the receipt of a hub that then goes back, or is gone from both a box and its hub, is lost indeed.
        if faults.contains(&Fault::Rollback) {
            faults.remove(&Fault::Retain);
        }
        if faults.contains(&Fault::Restore) {
            faults.remove(&Fault::Rollback);
        }
        if faults.contains(&Fault::Clone) {
            // What a box destroys while its copy opens it to others is told apart by nobody: the alarm is raised.
            faults.retain(|fault| !matches!(fault, Fault::Restore | Fault::Rollback | Fault::Erase));
        }
        let plan = Self {
            seed,
            sites,
            commands: dice.between(20, 70),
            pace_s: *dice.pick(&[5, 60, 600, 3600]).unwrap_or(&60),
            faults: BTreeSet::new(),
        };
        plan.with(faults)
    }

    /// The same plan with these faults instead of its own. With a revocation a site has one box.
    #[must_use]
    pub fn with(self, faults: BTreeSet<Fault>) -> Self {
        let sites = if faults.contains(&Fault::Revoke) { vec![1, 1] } else { self.sites };
        Self { sites, faults, ..self }
    }

    /// Whether something may happen.
    #[must_use]
    pub fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Whether any of these may happen.
    #[must_use]
    pub fn has_any(&self, faults: &[Fault]) -> bool {
        faults.iter().any(|fault| self.has(*fault))
    }

    /// The same plan without a fault.
    #[must_use]
    pub fn without(mut self, fault: Fault) -> Self {
        self.faults.remove(&fault);
        self
    }
}
