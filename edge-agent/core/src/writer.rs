//! Group commit: one commit under way at most; what arrives meanwhile is gathered into the next.
//!
//! Always: a frame leaves the queue only when it is durable; an acknowledgement leaves only after every frame before it.

use crate::MANUAL;
use crate::commands::Reply;
use crate::effects::Effect;
use crate::input::LinkId;
use crate::series::Cut;
use crate::statements::Statements;
use driver::Channel;
use protocol::{Commit, Draft, Where};
use record::binding::Binding;
use record::id::{DeviceId, PatientId};
use record::ledger::Act;
use record::observation::WaveBlock;
use record::series::{Boot, Frame, Numeric};
use record::time::{Monotonic, Timestamp};
use std::collections::VecDeque;

/// A command whose commit has failed this often is answered as not saved; what else fails this often during a stop is left
/// to the next start.
pub const COMMAND_ATTEMPTS: u32 = 3;
/// Protocol acknowledgements that wait for a commit.
const ACKNOWLEDGEMENTS_MAX: usize = 65_536;

/// Frames and acknowledgements that wait, and the commit under way.
#[derive(Debug)]
pub(crate) struct Writer {
    frames: VecDeque<Frame>,
    bytes: usize,
    bytes_max: usize,
    /// Frames ever queued, and how many of them are durable.
    queued: u64,
    durable: u64,
    /// How many of them were shown before they were durable, because nothing could be saved.
    shown: u64,
    acknowledgements: VecDeque<Acknowledgement>,
    under_way: Option<UnderWay>,
    tokens: u64,
    /// Failed commits in a row.
    pub failures: u32,
    retry_at: Option<Monotonic>,
}

/// Bytes a device waits for.
#[derive(Debug)]
pub(crate) struct Acknowledgement {
    /// Frames queued before it; filled in by the writer.
    pub after: u64,
    pub device: DeviceId,
    /// The last of the device's statements that must be durable, too; 0 for none.
    pub statement: u64,
    pub link: LinkId,
    pub boot: Boot,
    pub channel: Channel,
    pub bytes: Vec<u8>,
}

/// A commit that has not been answered.
#[derive(Debug)]
pub(crate) struct UnderWay {
    token: u64,
    /// Frames of the queue in it.
    taken: usize,
    /// Its tick.
    pub frames: Vec<Frame>,
    /// How many of these, from the first, screens have been shown.
    pub already_shown: usize,
    pub bindings: Vec<Binding>,
    /// What people measured and was filed to somebody else.
    pub moved: Vec<Moved>,
    pub cut: Option<Cut>,
    /// The answer owed once it is durable.
    pub reply: Option<Reply>,
    pub kind: Kind,
}

/// What people measured of one and was another's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Moved {
    pub was: PatientId,
    /// Nobody if it was nobody's.
    pub is: Option<PatientId>,
    from: Timestamp,
    last: Timestamp,
}

impl Moved {
    fn of(draft: &Draft) -> Option<Self> {
        match draft {
            Draft::Refile { from: Where::Patient(was), to, device, start, end } if device.as_str() == MANUAL => {
                let is = if let Where::Patient(patient) = to { Some(patient.clone()) } else { None };
                Some(Self { was: was.clone(), is, from: *start, last: *end })
            }
            _ => None,
        }
    }

    pub fn takes(&self, patient: &PatientId, measured: Timestamp) -> bool {
        self.was == *patient && self.from <= measured && measured <= self.last
    }
}

/// What a commit is about besides its tick. Each is written apart, so that one the store refuses holds up no other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// Nothing.
    Tick,
    /// A command.
    Command,
    /// Documents and first bindings of configured devices.
    Setup,
    /// Alerts.
    Alerts,
    /// What the hub is told of what it rolled out.
    Report,
    /// What devices state besides readings.
    Statements,
    /// Segments.
    Cut,
}

/// What a commit asks for besides the frames that wait.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub kind: Kind,
    pub act: Act,
    pub drafts: Vec<Draft>,
    /// Frames of a command.
    pub frames: Vec<Frame>,
    pub cut: Option<Cut>,
    pub reply: Option<Reply>,
}

impl Wanted {
    /// Something the box does by itself.
    pub fn system(kind: Kind, drafts: Vec<Draft>) -> Self {
        Self { kind, act: Act::system(), drafts, frames: Vec::new(), cut: None, reply: None }
    }
}

impl Writer {
    pub const fn new(bytes_max: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            bytes_max,
            queued: 0,
            durable: 0,
            shown: 0,
            acknowledgements: VecDeque::new(),
            under_way: None,
            tokens: 0,
            failures: 0,
            retry_at: None,
        }
    }

    /// Whether new readings must be refused.
    pub const fn is_full(&self) -> bool {
        self.bytes > self.bytes_max.saturating_mul(2)
    }

    /// Queues a frame. Returns the wave samples that had to be dropped to make room.
    pub fn push(&mut self, frame: Frame) -> u64 {
        self.queued += 1;
        self.bytes = self.bytes.saturating_add(bytes_of(&frame));
        self.frames.push_back(frame);
        if self.bytes <= self.bytes_max {
            return 0;
        }
        let mut dropped = 0;
        let taken = self.under_way.as_ref().map_or(0, |u| u.taken);
        for frame in self.frames.iter_mut().skip(taken).filter(|f| !f.waves.is_empty()) {
            dropped += frame.wave_samples();
            let before = bytes_of(frame);
            frame.waves.clear();
            self.bytes = self.bytes.saturating_sub(before - bytes_of(frame));
            if self.bytes <= self.bytes_max {
                break;
            }
        }
        dropped
    }

    /// Holds an acknowledgement until every frame queued so far is durable. False if too many wait.
    pub fn acknowledge(&mut self, mut acknowledgement: Acknowledgement) -> bool {
        if self.acknowledgements.len() >= ACKNOWLEDGEMENTS_MAX {
            return false;
        }
        acknowledgement.after = self.queued;
        self.acknowledgements.push_back(acknowledgement);
        true
    }

    /// Acknowledgements that may go; those that wait for a statement hold up no other device's.
    pub fn released(&mut self, statements: &Statements) -> Vec<Acknowledgement> {
        let ready = self.acknowledgements.iter().take_while(|a| a.after <= self.durable).count();
        let waits = |a: &Acknowledgement| statements.waits(&a.device, a.statement);
        let (held, ready): (Vec<_>, Vec<_>) = self.acknowledgements.drain(..ready).partition(waits);
        held.into_iter().rev().for_each(|a| self.acknowledgements.push_front(a));
        ready
    }

    /// Whether a commit may begin.
    pub fn is_free(&self, now: Monotonic) -> bool {
        self.under_way.is_none() && self.retry_at.is_none_or(|at| at <= now)
    }

    /// The next commit need not wait any longer.
    pub const fn retry_now(&mut self) {
        self.retry_at = None;
    }

    pub const fn retry_at(&self) -> Option<Monotonic> {
        self.retry_at
    }

    pub fn has_frames(&self) -> bool {
        !self.frames.is_empty()
    }

    /// Begins a commit of what is `wanted`, with everything queued unless there is room for little, and small values.
    pub fn begin(&mut self, wanted: Wanted, with_frames: bool, values: Vec<(String, Vec<u8>)>) -> Effect {
        let Wanted { kind, act, drafts, frames, cut, reply } = wanted;
        let taken = if with_frames { self.frames.len() } else { 0 };
        let tick: Vec<Frame> = self.frames.iter().take(taken).filter(|f| !f.is_empty()).cloned().chain(frames).collect();
        let bindings = drafts.iter().filter_map(|d| if let Draft::Bind(binding) = d { Some(binding.clone()) } else { None });
        let moved = drafts.iter().filter_map(Moved::of).collect();
        self.tokens += 1;
        self.retry_at = None;
        self.under_way = Some(UnderWay {
            token: self.tokens,
            taken,
            frames: tick.clone(),
            already_shown: 0,
            bindings: bindings.collect(),
            moved,
            cut,
            reply,
            kind,
        });
        let drop_ticks_through = self.under_way.as_ref().and_then(|u| u.cut.as_ref()).map(|cut| cut.drop_ticks_through).unwrap_or_default();
        Effect::Commit { token: self.tokens, commit: Commit { act, tick, drop_ticks_through, drafts, values } }
    }

    /// The commit of this token is durable; `None` for a token that is not awaited.
    pub fn succeeded(&mut self, token: u64) -> Option<UnderWay> {
        let mut done = self.under_way.take_if(|u| u.token == token)?;
        for frame in self.frames.drain(..done.taken.min(self.frames.len())) {
            self.durable += 1;
            // Empty ones were not part of the tick.
            done.already_shown += usize::from(self.durable <= self.shown && !frame.is_empty());
            self.bytes = self.bytes.saturating_sub(bytes_of(&frame));
        }
        self.failures = 0;
        Some(done)
    }

    /// The frames that wait and that no screen has been shown; from here on they count as shown.
    pub fn not_yet_shown(&mut self) -> Vec<Frame> {
        let from = usize::try_from(self.shown.saturating_sub(self.durable)).unwrap_or(usize::MAX);
        self.shown = self.queued;
        self.frames.iter().skip(from).filter(|frame| !frame.is_empty()).cloned().collect()
    }

    /// Nothing of the commit of this token was kept: its frames stay queued.
    pub fn failed(&mut self, token: u64, retry_at: Monotonic) -> Option<UnderWay> {
        let failed = self.under_way.take_if(|u| u.token == token)?;
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(retry_at);
        Some(failed)
    }
}

/// Memory a frame takes, roughly.
fn bytes_of(frame: &Frame) -> usize {
    let waves: usize = frame.waves.iter().map(|w| size_of::<WaveBlock>() + w.raw.len() * size_of::<i32>()).sum();
    size_of::<Frame>() + frame.numerics.len() * size_of::<Numeric>() + waves
}
