//! Raw bytes of devices, written down while a person with a role and a patient's consent asks for it.
//!
//! Always: a recording ends by itself, by time or by size; what cannot be written in time ends it and says so at its end; it lies
//! below the data directory, readable by this program's user alone. It is not encrypted: the disk must be.

use anyhow::{Context, bail, ensure};
use driver::Channel;
use edge_api::device::RecordingView;
use edge_core::Recording;
use record::id::DeviceId;
use record::time::{Monotonic, Now};
use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use transport::capture::Line;

/// The folder below the data directory.
const FOLDER: &str = "recordings";
/// Bytes of one recording.
pub const BYTES_MAX: u64 = 32 << 20;
/// Recordings kept at once; the next is refused until some are destroyed.
const FILES_MAX: usize = 64;
/// Lines that wait for the disk.
const WAITING: usize = 1024;

/// The recordings under way.
pub struct Recordings {
    folder: PathBuf,
    open: HashMap<DeviceId, Open>,
}

struct Open {
    began: Monotonic,
    until: Monotonic,
    bytes: u64,
    lines: SyncSender<String>,
}

impl Recordings {
    /// None under way.
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { folder: folder(data), open: HashMap::new() }
    }

    /// Begins one. What keeps it from beginning is logged: its promise is kept by an empty list.
    pub fn begin(&mut self, recording: Recording, now: Now) {
        let Recording { device, name, head, until, .. } = recording;
        match self.file(&name) {
            Ok(file) => {
                let lines = writer(file);
                let mut open = Open { began: now.mono, until, bytes: 0, lines };
                if head.into_iter().all(|line| open.put(line)) {
                    self.open.insert(device, open);
                }
            }
            Err(error) => tracing::error!(%device, error = format!("{error:#}"), "a recording could not begin"),
        }
    }

    /// Takes what a device sent, if it is being recorded.
    pub fn take(&mut self, device: &DeviceId, at: Now, channel: Channel, bytes: &[u8]) {
        let Some(open) = self.open.get_mut(device) else { return };
        let line = Line { at_ms: at.mono.micros_since(open.began) / 1000, channel, bytes: bytes.to_vec() };
        let goes_on = at.mono < open.until && open.put(line.to_string());
        if !goes_on {
            self.end(device);
        }
    }

    /// Ends one.
    pub fn end(&mut self, device: &DeviceId) {
        if let Some(mut open) = self.open.remove(device) {
            open.put("# ended".to_owned());
        }
    }

    /// Ends those whose time is up.
    pub fn on_time(&mut self, now: Monotonic) {
        let over: Vec<DeviceId> = self.open.iter().filter(|(_, open)| open.until <= now).map(|(device, _)| device.clone()).collect();
        over.iter().for_each(|device| self.end(device));
    }

    fn file(&self, name: &str) -> anyhow::Result<File> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).with_context(|| self.folder.display().to_string())?;
        let held = std::fs::read_dir(&self.folder)?.count();
        ensure!(held < FILES_MAX, "{held} recordings are kept already: destroy some");
        let path = self.folder.join(name);
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).with_context(|| path.display().to_string())
    }
}

impl Open {
    /// Whether the recording may go on.
    fn put(&mut self, line: String) -> bool {
        self.bytes += line.len() as u64 + 1;
        let fits = self.bytes <= BYTES_MAX;
        let line = if fits { line } else { format!("# ended: past {BYTES_MAX} bytes") };
        match self.lines.try_send(line) {
            Ok(()) => fits,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                tracing::warn!("a recording ended: the disk does not keep up");
                false
            }
        }
    }
}

/// A thread that writes lines until nobody sends any.
fn writer(file: File) -> SyncSender<String> {
    let (sender, lines) = sync_channel::<String>(WAITING);
    std::thread::spawn(move || {
        let mut out = BufWriter::new(file);
        let mut write = || -> std::io::Result<()> {
            while let Ok(line) = lines.recv() {
                writeln!(out, "{line}")?;
                for line in lines.try_iter() {
                    writeln!(out, "{line}")?;
                }
                // Whoever looks at it meanwhile sees what there is.
                out.flush()?;
            }
            out.get_ref().sync_all()
        };
        if let Err(error) = write() {
            tracing::error!(%error, "a recording could not be written on");
        }
    });
    sender
}

fn folder(data: &Path) -> PathBuf {
    data.join(FOLDER)
}

/// The recordings kept of a device; `until_ms` is left to whoever knows which is under way.
///
/// # Errors
/// The folder cannot be read.
pub fn list(data: &Path, device: &str) -> std::io::Result<Vec<RecordingView>> {
    let entries = match std::fs::read_dir(folder(data)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        let recording = entry.file_name().to_string_lossy().into_owned();
        if is_of(&recording, device) {
            found.push(RecordingView { recording, bytes: entry.metadata()?.len(), until_ms: None });
        }
    }
    found.sort_by(|a, b| a.recording.cmp(&b.recording));
    Ok(found)
}

/// Reads one.
///
/// # Errors
/// There is none of that name, or it cannot be read.
pub fn read(data: &Path, device: &str, recording: &str) -> anyhow::Result<String> {
    Ok(std::fs::read_to_string(path(data, device, recording)?)?)
}

/// Destroys one.
///
/// # Errors
/// There is none of that name, or it cannot be removed.
pub fn destroy(data: &Path, device: &str, recording: &str) -> anyhow::Result<()> {
    Ok(std::fs::remove_file(path(data, device, recording)?)?)
}

/// Names come from outside: only those this program makes are looked for.
fn path(data: &Path, device: &str, recording: &str) -> anyhow::Result<PathBuf> {
    let path = folder(data).join(recording);
    if !is_of(recording, device) || !path.is_file() {
        bail!("there is no recording {:?} of the device", recording.chars().take(64).collect::<String>());
    }
    Ok(path)
}

/// `<device>-20261122T041500Z.cap`.
fn is_of(recording: &str, device: &str) -> bool {
    let stamp = recording.strip_prefix(device).and_then(|rest| rest.strip_prefix('-')).and_then(|rest| rest.strip_suffix("Z.cap"));
    !device.is_empty()
        && !device.contains(['/', '\\'])
        && stamp.is_some_and(|stamp| stamp.len() == 15 && stamp.bytes().all(|b| b.is_ascii_digit() || b == b'T'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::time::Timestamp;

    fn at(ms: u64) -> Now {
        Now { mono: Monotonic(1_000_000 + ms * 1000), ..Now::default() }
    }

    fn recording(until_ms: u64) -> Recording {
        Recording {
            device: "ox-1".parse().expect("id"),
            name: "ox-1-20261122T041500Z.cap".to_owned(),
            head: vec!["# protocol: ble.plx-continuous".to_owned()],
            until: at(until_ms).mono,
            until_wall: Timestamp(0),
        }
    }

    fn text(data: &Path) -> String {
        // The writer has a thread of its own; it ends once nobody sends to it.
        for _ in 0..500 {
            if let Ok(text) = read(data, "ox-1", "ox-1-20261122T041500Z.cap")
                && text.contains("# ended")
            {
                return text;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the recording did not end");
    }

    #[test]
    fn what_a_device_sends_is_written_until_the_time_is_up_and_of_no_other() {
        let data = tempfile::tempdir().expect("directory");
        let mut recordings = Recordings::new(data.path());
        let (device, other) = ("ox-1".parse().expect("id"), "ox-2".parse().expect("id"));
        recordings.begin(recording(5_000), at(0));
        let channel = Channel::assigned(0x2A5F);
        recordings.take(&device, at(20), channel, &[0, 98]);
        recordings.take(&other, at(25), channel, &[1, 1]);
        recordings.take(&device, at(5_001), channel, &[0, 97]);
        assert_eq!(text(data.path()), "# protocol: ble.plx-continuous\n20 2a5f 00 62\n# ended\n");
        let listed = list(data.path(), "ox-1").expect("list");
        assert_eq!((listed.len(), list(data.path(), "ox-2").expect("list").len()), (1, 0));
        destroy(data.path(), "ox-1", &listed[0].recording).expect("destroyed");
        assert!(read(data.path(), "ox-1", &listed[0].recording).is_err());
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_no_recording() {
        let data = tempfile::tempdir().expect("directory");
        std::fs::write(data.path().join("secret"), "x").expect("write");
        for name in ["../secret", "ox-1-../../secret", "ox-1-20261122T041500Z.cap/../secret", ""] {
            assert!(read(data.path(), "ox-1", name).is_err(), "{name}");
        }
        assert!(!is_of("../x-20261122T041500Z.cap", "../x"));
    }

    #[test]
    fn a_recording_that_grows_too_large_ends() {
        let data = tempfile::tempdir().expect("directory");
        let mut recordings = Recordings::new(data.path());
        recordings.begin(recording(u64::MAX / 2000), at(0));
        let device = "ox-1".parse().expect("id");
        let open = recordings.open.get_mut(&device).expect("open");
        open.bytes = BYTES_MAX - 4;
        recordings.take(&device, at(1), Channel::Stream, &[1]);
        assert!(recordings.open.is_empty());
        assert!(text(data.path()).contains("past 33554432 bytes"));
    }
}
