//! The scores there are. To add one: a file here, a row in [`SCORES`], `cards/<id>.md`, `vectors/<id>.csv`.

pub mod news2;

use crate::score::Score;

/// Every score, one row each.
pub static SCORES: &[&dyn Score] = &[&news2::News2];

/// The score with this id.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static dyn Score> {
    SCORES.iter().copied().find(|score| score.id() == id)
}
