//! One file for each piece of work. To add one: a file with a `run`, and a line in [`WORKS`].

mod agent;
mod agent_hundred;
mod backfill;
mod decode_ble;
mod decode_streams;
mod disk_numerics;
mod disk_real;
mod ingest;
mod link;
mod live;
mod query;
mod sync_documents;
mod sync_quiet;
mod sync_week;

use crate::peers::Cache;
use crate::report::{Goal, Row, Side};
use anyhow::{Context as _, Result};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// How to measure.
#[derive(Clone, Debug)]
pub struct Context {
    /// Rounds, each with ours and every peer; the middle counts.
    pub rounds: usize,
    /// Tiny sizes: shows that all of it runs, judges nothing.
    pub quick: bool,
    /// The peers.
    pub peers: Cache,
}

impl Context {
    /// The first, or in a quick run the second.
    #[must_use]
    pub const fn size(&self, whole: usize, quick: usize) -> usize {
        if self.quick { quick } else { whole }
    }

    /// A directory for one piece of work: on a disk, where `/tmp` may be memory.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn scratch(&self) -> Result<TempDir> {
        let folder = tempfile::Builder::new().prefix("lamplight-bench-").tempdir_in("/var/tmp").context("a directory in /var/tmp")?;
        // PostgreSQL runs as a user of its own and must get to its part.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        Ok(folder)
    }
}

/// A piece of work: what its rows' names begin with, and how they are measured.
pub struct Work {
    /// What the names of its rows begin with.
    pub name: &'static str,
    run: fn(&Context) -> Result<Vec<Row>>,
}

/// All of it, in the order it is measured and shown.
pub const WORKS: &[Work] = &[
    Work { name: "ingest", run: ingest::run },
    Work { name: "backfill", run: backfill::run },
    Work { name: "disk-numerics", run: disk_numerics::run },
    Work { name: "disk-real", run: disk_real::run },
    Work { name: "query", run: query::run },
    Work { name: "sync-documents", run: sync_documents::run },
    Work { name: "sync-week", run: sync_week::run },
    Work { name: "sync-idle", run: sync_quiet::idle },
    Work { name: "sync-one-document", run: sync_quiet::one_document },
    Work { name: "decode-streams", run: decode_streams::run },
    Work { name: "decode-ble", run: decode_ble::run },
    Work { name: "agent", run: agent::run },
    Work { name: "link", run: link::run },
    Work { name: "agent-100-beds", run: agent_hundred::run },
    Work { name: "live", run: live::run },
];

impl Work {
    /// Whether it is asked for: by its own name, or by one that begins with it or that it begins with.
    #[must_use]
    pub fn is_asked_for(&self, only: &str) -> bool {
        self.name.starts_with(only) || only.starts_with(self.name)
    }

    /// Measures it. What cannot be measured is a row that says so.
    #[must_use]
    pub fn rows(&self, context: &Context) -> Vec<Row> {
        let rows = (self.run)(context);
        let mut rows = rows.unwrap_or_else(|error| {
            let mut failed = Row::new(self.name, "", Side::Skipped(format!("{error:#}")), Goal::Told);
            failed.met = Some(false);
            vec![failed]
        });
        if context.quick {
            for row in &mut rows {
                row.met = None;
                *row = row.clone().note("quick: too small to judge by");
            }
        }
        rows
    }
}
