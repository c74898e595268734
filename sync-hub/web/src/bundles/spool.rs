//! Handing a bundle to the program that runs: only it may write its replica's record, and a sandboxed service need not see the
//! stick. The data directory's `bundles/` holds, for each request, files of the user alone:
//!
//! ```text
//! <id>.bundle   what is to be taken in, or was made
//! <id>.ask      the request, there once its bundle is whole; taken away by the program when it begins
//! <id>.done     how far it is, and in the end what came of it
//! ```

use super::{Progress, Report, part_of};
use record::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

const FOLDER: &str = "bundles";
/// How often the program looks, and whoever waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks without any change after which the program is given up: two minutes.
const PATIENCE: u32 = 480;
/// Largest request or answer, bytes.
const NOTE_MAX: u64 = 16 * 1024;
/// Leftovers of requests nobody came back for are removed after a day.
const STALE_US: i64 = 86_400 * 1_000_000;
/// Bytes between two notes of progress.
const NOTE_EVERY: u64 = 4 << 20;

/// What is asked of the running program.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// A bundle; for which site, where the program has several.
    Export {
        /// The site's name.
        site: Option<String>,
    },
    /// To take one in.
    Import,
    /// Of a hub: to roll out the configuration in the file.
    RollOut {
        /// To whom.
        to: String,
        /// Why.
        reason: String,
    },
    /// Of a hub: to roll sites back.
    RollBack {
        /// Whom.
        to: String,
        /// Why.
        reason: String,
    },
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Note {
    Working(Progress),
    Done(Report),
    Failed(String),
}

/// Why the running program did not do it.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// It says why.
    #[error("{0}")]
    Refused(String),
    /// It does not answer.
    #[error("the program running on {} does not answer: look at its log", .0.display())]
    Silent(PathBuf),
    /// A file.
    #[error("{}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Asks the program running on `data`, and waits. `id` is fresh; `file` is where the bundle is, or is to be.
///
/// # Errors
/// [`SpoolError`].
pub fn ask(data: &Path, id: &str, ask: &Ask, file: &Path, told: &mut dyn FnMut(Progress)) -> Result<Report, SpoolError> {
    let spool = Spool::open(data, id)?;
    let asked = spool.wait(data, ask, file, told);
    for left in [&spool.ask, &spool.bundle, &spool.done] {
        let _ = std::fs::remove_file(left);
    }
    asked
}

struct Spool {
    ask: PathBuf,
    bundle: PathBuf,
    done: PathBuf,
}

impl Spool {
    fn open(data: &Path, id: &str) -> Result<Self, SpoolError> {
        let folder = data.join(FOLDER);
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(at(&folder))?;
        Ok(Self::of(&folder, id))
    }

    fn of(folder: &Path, id: &str) -> Self {
        let file = |kind: &str| folder.join(format!("{id}.{kind}"));
        Self { ask: file("ask"), bundle: file("bundle"), done: file("done") }
    }

    fn wait(&self, data: &Path, ask: &Ask, file: &Path, told: &mut dyn FnMut(Progress)) -> Result<Report, SpoolError> {
        if matches!(ask, Ask::Import | Ask::RollOut { .. }) {
            copy(file, &self.bundle)?;
        }
        write(&self.ask, &serde_json::to_vec(ask).unwrap_or_default())?;
        let (mut seen, mut quiet) = (None, 0);
        while quiet < PATIENCE {
            std::thread::sleep(LOOK_EVERY);
            let note: Option<Note> = read(&self.done).and_then(|bytes| serde_json::from_slice(&bytes).ok());
            quiet = if note == seen { quiet + 1 } else { 0 };
            match &note {
                Some(Note::Working(progress)) => told(*progress),
                Some(Note::Failed(why)) => return Err(SpoolError::Refused(why.clone())),
                Some(Note::Done(report)) => {
                    if matches!(ask, Ask::Export { .. }) {
                        copy(&self.bundle, &part_of(file))?;
                        std::fs::rename(part_of(file), file).map_err(at(file))?;
                    }
                    return Ok(report.clone());
                }
                None => {}
            }
            seen = note;
        }
        Err(SpoolError::Silent(data.to_owned()))
    }
}

/// Does what is asked, with the bundle in the file given; says how far it is.
pub type Work = Arc<dyn Fn(&Ask, &Path, &mut dyn FnMut(Progress)) -> Result<Report, String> + Send + Sync>;

/// Looks for requests and has them done, one after the other, until it is dropped.
pub async fn serve(data: PathBuf, now: fn() -> Timestamp, work: Work) {
    let folder = data.join(FOLDER);
    let tidied = folder.clone();
    let _ = tokio::task::spawn_blocking(move || tidy(&tidied, now())).await;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let (folder, work) = (folder.clone(), Arc::clone(&work));
        if tokio::task::spawn_blocking(move || look(&folder, &work)).await.is_err() {
            tracing::error!("a request for a bundle panicked: it was not done");
        }
    }
}

fn look(folder: &Path, work: &Work) {
    // No folder: nobody has ever asked.
    let Ok(files) = folder.read_dir() else { return };
    let asks = files.filter_map(|file| Some(file.ok()?.path())).filter(|path| path.extension().is_some_and(|kind| kind == "ask"));
    for path in asks {
        let Some(id) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let spool = Spool::of(folder, id);
        let asked = read(&path).and_then(|bytes| serde_json::from_slice::<Ask>(&bytes).ok());
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::error!(%error, file = %path.display(), "a request for a bundle cannot be taken up");
            continue;
        }
        let mut noted = 0;
        let mut told = |progress: Progress| {
            if noted == 0 || progress.bytes >= noted + NOTE_EVERY {
                noted = progress.bytes.max(1);
                note(&spool.done, &Note::Working(progress));
            }
        };
        let result = match asked {
            Some(ask) => work(&ask, &spool.bundle, &mut told),
            None => Err("the request cannot be read".to_owned()),
        };
        let end = match result {
            Ok(report) => Note::Done(report),
            Err(why) => {
                tracing::warn!(why, "a bundle was not made or not taken in");
                Note::Failed(why)
            }
        };
        note(&spool.done, &end);
    }
}

fn note(file: &Path, note: &Note) {
    if let Err(error) = write(file, &serde_json::to_vec(note).unwrap_or_default()) {
        tracing::warn!(%error, "whoever asked for a bundle cannot be told how far it is");
    }
}

/// Removes what is left of requests from before.
fn tidy(folder: &Path, now: Timestamp) {
    let Ok(files) = folder.read_dir() else { return };
    for file in files.filter_map(Result::ok) {
        let changed = file.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let changed = changed.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
        if now.0.saturating_sub(changed) > STALE_US {
            let _ = std::fs::remove_file(file.path());
        }
    }
}

fn private(file: &Path) -> Result<File, SpoolError> {
    File::options().write(true).create(true).truncate(true).mode(0o600).open(file).map_err(at(file))
}

fn copy(from: &Path, to: &Path) -> Result<(), SpoolError> {
    let mut source = File::open(from).map_err(at(from))?;
    let mut copy = private(to)?;
    let copied = std::io::copy(&mut source, &mut copy).and_then(|_| copy.sync_all());
    if copied.is_err() {
        let _ = std::fs::remove_file(to);
    }
    copied.map_err(at(to))
}

/// Writes a file that appears complete or not at all.
fn write(file: &Path, bytes: &[u8]) -> Result<(), SpoolError> {
    let part = part_of(file);
    private(&part)?.write_all(bytes).map_err(at(&part))?;
    std::fs::rename(&part, file).map_err(at(file))
}

fn read(file: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(NOTE_MAX).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn at(file: &Path) -> impl Fn(std::io::Error) -> SpoolError + '_ {
    |source| SpoolError::File { file: file.to_owned(), source }
}
