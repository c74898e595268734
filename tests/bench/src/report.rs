//! What is reported: one row for each goal, judged here and nowhere else.

use serde::Serialize;
use std::fmt;

/// What a row is held to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Goal {
    /// Ours is at most this, in the row's unit.
    OursAtMost(f64),
    /// Ours is at least this, in the row's unit.
    OursAtLeast(f64),
    /// Ours ÷ peer is at least this.
    RatioAtLeast(f64),
    /// Ours ÷ peer is at most this.
    RatioAtMost(f64),
    /// Ours is less than the peer's.
    LessThanPeer,
    /// None is stated: the figure is for the reader.
    Told,
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OursAtMost(most) => write!(f, "≤ {most}"),
            Self::OursAtLeast(least) => write!(f, "≥ {least}"),
            Self::RatioAtLeast(least) => write!(f, "≥ {least} × peer"),
            Self::RatioAtMost(most) => write!(f, "≤ {most} × peer"),
            Self::LessThanPeer => f.write_str("< peer"),
            Self::Told => f.write_str("none"),
        }
    }
}

/// One line of the result, as `cargo xtask bench --json` prints it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Row {
    /// Which measurement.
    pub name: String,
    /// Of `ours` and `peer`.
    pub unit: &'static str,
    /// What Lamplight does; absent if it could not be measured.
    pub ours: Option<f64>,
    /// What the peer does in the same run; absent if it is not here.
    pub peer: Option<f64>,
    /// Who the peer is; empty where there is none.
    pub peer_name: String,
    /// Ours ÷ peer.
    pub ratio: Option<f64>,
    /// What is wanted.
    pub goal: String,
    /// Whether it is reached; absent if that cannot be told.
    pub met: Option<bool>,
    /// How it was measured; what bounds it; why something was skipped.
    pub note: String,
}

/// One side of a row.
#[derive(Clone, PartialEq, Debug)]
pub enum Side {
    /// What was measured.
    Measured(f64),
    /// Why it was not.
    Skipped(String),
    /// There is no such side.
    None,
}

impl From<f64> for Side {
    fn from(value: f64) -> Self {
        Self::Measured(value)
    }
}

impl From<Option<f64>> for Side {
    fn from(value: Option<f64>) -> Self {
        value.map_or_else(|| Self::Skipped("nothing was measured".to_owned()), Self::Measured)
    }
}

impl From<anyhow::Result<f64>> for Side {
    fn from(result: anyhow::Result<f64>) -> Self {
        result.map_or_else(|why| Self::Skipped(format!("{why:#}")), Self::Measured)
    }
}

impl Side {
    const fn value(&self) -> Option<f64> {
        match self {
            Self::Measured(value) => Some(*value),
            Self::Skipped(_) | Self::None => None,
        }
    }
}

impl Row {
    /// A row, judged.
    #[must_use]
    pub fn new(name: &str, unit: &'static str, ours: impl Into<Side>, goal: Goal) -> Self {
        Self::against(name, unit, ours, "", Side::None, goal)
    }

    /// A row beside a peer, judged.
    #[must_use]
    pub fn against(name: &str, unit: &'static str, ours: impl Into<Side>, peer_name: &str, peer: impl Into<Side>, goal: Goal) -> Self {
        let (ours, peer) = (ours.into(), peer.into());
        let ratio = ours.value().zip(peer.value()).map(|(ours, peer)| ours / peer).filter(|ratio| ratio.is_finite());
        let met = match goal {
            Goal::OursAtMost(most) => ours.value().map(|ours| ours <= most),
            Goal::OursAtLeast(least) => ours.value().map(|ours| ours >= least),
            Goal::RatioAtLeast(least) => ratio.map(|ratio| ratio >= least),
            Goal::RatioAtMost(most) => ratio.map(|ratio| ratio <= most),
            Goal::LessThanPeer => ratio.map(|ratio| ratio < 1.0),
            Goal::Told => None,
        };
        let skipped = [&ours, &peer].into_iter().filter_map(|side| match side {
            Side::Skipped(why) => Some(format!("skipped: {why}")),
            Side::Measured(_) | Side::None => None,
        });
        Self {
            name: name.to_owned(),
            unit,
            ours: ours.value(),
            peer: peer.value(),
            peer_name: peer_name.to_owned(),
            ratio,
            goal: goal.to_string(),
            met,
            note: skipped.collect::<Vec<_>>().join("; "),
        }
    }

    /// Adds to the note.
    #[must_use]
    pub fn note(mut self, words: impl AsRef<str>) -> Self {
        if !self.note.is_empty() {
            self.note.push_str("; ");
        }
        self.note.push_str(words.as_ref());
        self
    }

    /// Adds to the note, if the goal was not reached, what stands in the way.
    #[must_use]
    pub fn bound_by(self, words: &str) -> Self {
        if self.met == Some(false) { self.note(format!("bound by: {words}")) } else { self }
    }
}

/// The rows as a table for people.
#[must_use]
pub fn table(rows: &[Row]) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), shown);
    let mut text = format!("{:<34} {:>12} {:>12} {:>8}  {:<14} {:<4} {}\n", "name", "ours", "peer", "ratio", "goal", "met", "unit · peer");
    for row in rows {
        let met = row.met.map_or("–", |met| if met { "yes" } else { "NO" });
        let (ours, peer, ratio) = (number(row.ours), number(row.peer), number(row.ratio));
        let against = if row.peer_name.is_empty() { String::new() } else { format!(" · {}", row.peer_name) };
        text += &format!("{:<34} {ours:>12} {peer:>12} {ratio:>8}  {:<14} {met:<4} {}{against}\n", row.name, row.goal, row.unit);
        if !row.note.is_empty() {
            text += &format!("    {}\n", row.note);
        }
    }
    text
}

/// Four significant digits.
fn shown(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = 3 - value.abs().log10().floor().clamp(-6.0, 3.0) as i32;
    format!("{value:.*}", usize::try_from(digits).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_that_is_not_reached_is_told_as_it_is() {
        let row = Row::against("x", "B", 12.0, "y", 10.0, Goal::RatioAtMost(1.1)).bound_by("the disk");
        assert_eq!((row.ratio, row.met, row.note.as_str()), (Some(1.2), Some(false), "bound by: the disk"));
        assert_eq!(Row::new("x", "B", 1.0, Goal::OursAtMost(1.0)).bound_by("nothing").note, "");
    }

    #[test]
    fn a_peer_that_is_not_here_is_skipped_with_the_reason_and_judges_nothing() {
        let row = Row::against("x", "B", 12.0, "y", Side::Skipped("no server".to_owned()), Goal::LessThanPeer);
        assert_eq!((row.met, row.ratio, row.note.as_str()), (None, None, "skipped: no server"));
        // What is held to a figure of its own is judged all the same.
        let row = Row::against("x", "B", 12.0, "y", Side::Skipped("no server".to_owned()), Goal::OursAtMost(13.0));
        assert_eq!(row.met, Some(true));
    }

    #[test]
    fn the_table_names_every_row() {
        let rows = [Row::new("one", "s", 0.000_123_41, Goal::Told), Row::new("two", "s", 123_456.0, Goal::Told)];
        let text = table(&rows);
        assert!(text.contains("0.0001234") && text.contains("123456") && text.lines().count() == 3, "{text}");
    }
}
