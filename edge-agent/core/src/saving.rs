//! Whether what is heard is being saved, in words for a ward.

use edge_api::live::LiveMessage;
use edge_api::saving::{SavingView, SheddingView};
use protocol::commit::GivenUp;
use record::time::Timestamp;

/// Whether saving has stopped.
#[derive(Debug, Default)]
pub(crate) struct Saving(SavingView);

impl Saving {
    /// The view of it.
    pub fn view(&self) -> &SavingView {
        &self.0
    }

    pub const fn has_stopped(&self) -> bool {
        self.0.stopped_ms.is_some()
    }

    /// A commit that everything waits for was refused; what screens are told, if it is news.
    pub fn stopped(&mut self, full: bool, now: Timestamp) -> Option<LiveMessage> {
        let problem = if full {
            "The disk is full: nothing is being saved, and no alert can be raised. Watch the bedside monitors; free space on this box."
        } else {
            "Nothing is being saved, and no alert can be raised. Watch the bedside monitors; look at this box's log."
        };
        let stopped_ms = self.0.stopped_ms.or(Some(now.millis()));
        self.news(SavingView { stopped_ms, problem: Some(problem.to_owned()), ..self.0.clone() })
    }

    /// A commit is durable; what screens are told, if it is news.
    pub fn goes_on(&mut self) -> Option<LiveMessage> {
        self.news(SavingView { stopped_ms: None, problem: None, ..self.0.clone() })
    }

    /// The disk was full and this was given up; what screens are told.
    pub fn gives_up(&mut self, given_up: GivenUp, now: Timestamp) -> Option<LiveMessage> {
        let held = self.0.shedding.unwrap_or(SheddingView { since_ms: now.millis(), ..SheddingView::default() });
        let shedding = SheddingView {
            waves_bytes: held.waves_bytes.saturating_add(given_up.waves),
            numerics_bytes: held.numerics_bytes.saturating_add(given_up.numerics),
            held_elsewhere_bytes: held.held_elsewhere_bytes.saturating_add(given_up.safe),
            ..held
        };
        self.news(SavingView { shedding: Some(shedding), ..self.0.clone() })
    }

    /// There is room again; what screens are told, if it is news.
    pub fn has_room(&mut self) -> Option<LiveMessage> {
        self.news(SavingView { shedding: None, ..self.0.clone() })
    }

    fn news(&mut self, view: SavingView) -> Option<LiveMessage> {
        (self.0 != view).then(|| {
            self.0 = view.clone();
            LiveMessage::Saving(view)
        })
    }
}
