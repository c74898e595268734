//! What devices state besides readings and is kept as documents: laboratory reports, and alarms of their own.
//!
//! Always: a statement leaves the queue only when it is durable, or says nothing that is not durable already; what a device
//! waits for to be acknowledged waits for its statements. One that the store refuses holds up no other device.

use crate::writer::COMMAND_ATTEMPTS;
use driver::alarm::Alarm;
use record::id::{DeviceId, ResourceId, new_resource_id};
use record::laboratory::LabReport;
use record::time::Timestamp;
use std::collections::VecDeque;

/// Results of one report kept as one; more are kept as further reports.
const RESULTS_OF_ONE_MAX: usize = 512;
/// Results that wait; past it bytes are refused.
const RESULTS_MAX: usize = 16_384;
/// Statements that wait; past it bytes are refused.
const WAITING_MAX: usize = 4_096;

/// One statement of one device.
#[derive(Debug)]
pub(crate) struct Statement {
    serial: u64,
    pub device: DeviceId,
    pub heard: Timestamp,
    pub what: What,
    refusals: u32,
}

/// What is stated.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum What {
    /// Results of one specimen.
    Report(Box<LabReport>),
    /// An alarm of the device's own began, changed or ended.
    Alarm(Box<Alarm>),
    /// Nothing more is heard of the alarms that stand, and why.
    Unheard(&'static str),
    /// Nothing was heard of alarms for too long.
    Silent,
    /// The device reads for another bed or patient than before, or may.
    Moved,
}

impl What {
    /// Whether one that waits says all that a new one would.
    const fn covers(&self, new: &Self) -> bool {
        matches!((self, new), (Self::Unheard(_), Self::Unheard(_) | Self::Silent | Self::Moved) | (Self::Silent, Self::Silent))
    }
}

/// Statements that wait to be durable.
#[derive(Debug, Default)]
pub(crate) struct Statements {
    waiting: VecDeque<Statement>,
    serials: u64,
    results: usize,
    /// How many, from the first, the commit under way holds.
    under_way: usize,
    /// After a refusal each is tried by itself.
    singly: bool,
}

impl Statement {
    /// Whether it could not be kept where it belongs.
    pub const fn is_refused(&self) -> bool {
        self.refusals >= COMMAND_ATTEMPTS
    }
}

impl Statements {
    pub fn push(&mut self, device: &DeviceId, heard: Timestamp, what: What) {
        let parts = match what {
            What::Report(report) if report.results.len() > RESULTS_OF_ONE_MAX => split(&report),
            what => vec![what],
        };
        let under_way = self.under_way;
        let last = self.waiting.iter_mut().enumerate().rev().find(|(_, statement)| statement.device == *device);
        if let (Some((at, last)), [what]) = (last, &parts[..]) {
            if last.what.covers(what) {
                return;
            }
            // Where the device reads now counts; what a commit already says does not.
            if last.what == What::Moved && matches!(what, What::Moved | What::Unheard(_)) && at >= under_way {
                (last.heard, last.what) = (heard, what.clone());
                return;
            }
        }
        for what in parts {
            self.results += results(&what);
            self.serials += 1;
            self.waiting.push_back(Statement { serial: self.serials, device: device.clone(), heard, what, refusals: 0 });
        }
    }

    /// Whether new ones must be refused.
    pub fn is_full(&self) -> bool {
        self.results > RESULTS_MAX || self.waiting.len() > WAITING_MAX
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The last one of a device that waits; 0 if none does.
    pub fn last_of(&self, device: &DeviceId) -> u64 {
        self.waiting.iter().filter(|statement| statement.device == *device).map(|statement| statement.serial).max().unwrap_or_default()
    }

    /// Whether any of a device, up to this one, waits.
    pub fn waits(&self, device: &DeviceId, last: u64) -> bool {
        last > 0 && self.waiting.iter().any(|statement| statement.serial <= last && statement.device == *device)
    }

    /// Those that wait, first come first.
    pub fn iter(&self) -> impl Iterator<Item = &Statement> {
        self.waiting.iter().take(if self.singly { 1 } else { usize::MAX })
    }

    /// The next commit holds the first of them.
    pub const fn begin(&mut self, count: usize) {
        self.under_way = count;
    }

    /// What was begun is durable, or was so already.
    pub fn kept(&mut self) {
        for statement in self.waiting.drain(..self.under_way.min(self.waiting.len())) {
            self.results = self.results.saturating_sub(results(&statement.what));
        }
        self.under_way = 0;
        self.singly &= !self.waiting.is_empty();
    }

    /// The store refused what was begun. A single one goes behind all others, with whatever else its device has stated.
    pub fn refused(&mut self, full: bool) {
        let count = std::mem::take(&mut self.under_way);
        if full || count != 1 {
            self.singly |= count > 1 && !full;
            return;
        }
        let Some(first) = self.waiting.front_mut() else { return };
        first.refusals = first.refusals.saturating_add(1);
        let device = first.device.clone();
        let (behind, before): (VecDeque<_>, VecDeque<_>) = self.waiting.drain(..).partition(|statement| statement.device == device);
        self.waiting = before;
        self.waiting.extend(behind);
    }
}

/// Where the ids of documents of a kind ([`crate::REPORTS`], [`crate::ALARMS`]) begin that were begun since a moment: a store lists
/// by id, and is not to be asked for all of them.
#[must_use]
pub fn ids_since(kind: &str, at: Timestamp) -> String {
    format!("{kind}-{:010x}", at.millis().max(0) / 1000)
}

/// The id of a document of a kind begun at a moment.
pub(crate) fn new_dated_id(kind: &str, at: Timestamp, entropy: [u8; 16]) -> ResourceId {
    let (random, _) = entropy.split_at(8);
    let random: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{random}", ids_since(kind, at)).parse().unwrap_or_else(|_| new_resource_id(entropy))
}

fn results(what: &What) -> usize {
    match what {
        What::Report(report) => report.results.len(),
        What::Alarm(_) | What::Unheard(_) | What::Silent | What::Moved => 0,
    }
}

fn split(report: &LabReport) -> Vec<What> {
    let part = |results: &[_]| What::Report(Box::new(LabReport { results: results.to_vec(), ..report.clone() }));
    report.results.chunks(RESULTS_OF_ONE_MAX).map(part).collect()
}
