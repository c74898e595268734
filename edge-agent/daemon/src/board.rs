//! What every screen shows at this moment: the brain's messages folded into one picture, and streamed on.

use axum::body::Bytes;
use axum::extract::ws::Utf8Bytes;
use edge_api::live::LiveMessage;
use edge_api::status::StatusView;
use edge_api::ward::{DeviceView, WardView};
use edge_core::{Counts, LiveEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;
use web::live::{LiveFrame, LiveSource};

/// How many messages a screen may fall behind before it is shown everything afresh.
const BACKLOG: usize = 1024;

/// The picture and its stream.
pub struct Board {
    ward: Mutex<WardView>,
    devices: Mutex<BTreeMap<String, DeviceView>>,
    status: Mutex<StatusView>,
    raised: Mutex<BTreeSet<String>>,
    frames: broadcast::Sender<Arc<LiveFrame>>,
}

impl Board {
    /// A board that shows `ward`.
    #[must_use]
    pub fn new(ward: WardView) -> Self {
        let devices = ward.beds.iter().flat_map(|b| &b.devices).map(|d| (d.id.clone(), d.clone())).collect();
        Self {
            ward: Mutex::new(ward),
            devices: Mutex::new(devices),
            status: Mutex::default(),
            raised: Mutex::default(),
            frames: broadcast::channel(BACKLOG).0,
        }
    }

    /// Takes what the brain says and passes it on.
    pub fn show(&self, event: LiveEvent) {
        let frame = match event {
            LiveEvent::Message(message) => {
                fold(&mut lock(&self.ward), &message);
                self.keep_devices(&message);
                self.count_message(&message);
                match serde_json::to_string(&message) {
                    Ok(text) => LiveFrame::Text(Utf8Bytes::from(text)),
                    Err(_) => return,
                }
            }
            LiveEvent::Wave { header, raw } => {
                if self.frames.receiver_count() == 0 {
                    return;
                }
                let Ok(head) = serde_json::to_vec(&header) else { return };
                let Ok(length) = u16::try_from(head.len()) else { return };
                let mut bytes = Vec::with_capacity(2 + head.len() + raw.len() * 4);
                bytes.extend_from_slice(&length.to_le_bytes());
                bytes.extend_from_slice(&head);
                bytes.extend(raw.iter().flat_map(|sample| sample.to_le_bytes()));
                LiveFrame::Binary(Bytes::from(bytes))
            }
        };
        // Nobody watching is not an error.
        let _ = self.frames.send(Arc::new(frame));
    }

    /// The picture.
    #[must_use]
    pub fn ward(&self) -> WardView {
        let mut ward = lock(&self.ward).clone();
        ward.as_of_ms = crate::clock::now().wall.millis();
        ward
    }

    /// What keeps everything from being saved, if anything does.
    #[must_use]
    pub fn not_saving(&self) -> Option<String> {
        lock(&self.ward).saving.problem.clone()
    }

    /// Every device, by id.
    #[must_use]
    pub fn devices(&self) -> Vec<DeviceView> {
        lock(&self.devices).values().cloned().collect()
    }

    /// A device is not read any more.
    pub fn forget(&self, device: &str) {
        lock(&self.devices).remove(device);
        for bed in &mut lock(&self.ward).beds {
            bed.devices.retain(|held| held.id != device);
        }
    }

    /// Counts since start, and memory as of now.
    #[must_use]
    pub fn status(&self) -> StatusView {
        StatusView { rss_kb: rss_kb(), ..*lock(&self.status) }
    }

    /// Takes the brain's counts.
    pub fn count(&self, counts: Counts) {
        let mut status = lock(&self.status);
        (status.received, status.scored) = (counts.received, counts.scored);
    }

    fn count_message(&self, message: &LiveMessage) {
        match message {
            LiveMessage::Stored(stored) => {
                let mut status = lock(&self.status);
                status.stored += u64::from(stored.numerics);
                status.wave_samples += u64::from(stored.wave_samples);
            }
            // An alert has a latency when it was raised in this run; it is sent again as it is acknowledged.
            LiveMessage::Alert(alert) if alert.latency_us.is_some() => {
                let mut raised = lock(&self.raised);
                raised.insert(alert.id.clone());
                lock(&self.status).alerts = raised.len() as u64;
            }
            _ => {}
        }
    }

    fn keep_devices(&self, message: &LiveMessage) {
        let mut devices = lock(&self.devices);
        let mut keep = |device: &DeviceView| {
            devices.insert(device.id.clone(), device.clone());
        };
        match message {
            LiveMessage::Device(device) => keep(device),
            LiveMessage::Bed(bed) => bed.devices.iter().for_each(keep),
            LiveMessage::Ward(ward) => ward.beds.iter().flat_map(|bed| &bed.devices).for_each(keep),
            _ => {}
        }
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Memory in use, kB; 0 where the system does not tell.
fn rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
}

impl LiveSource for Board {
    fn snapshot(&self) -> LiveFrame {
        let message = LiveMessage::Ward(Box::new(self.ward()));
        LiveFrame::Text(Utf8Bytes::from(serde_json::to_string(&message).unwrap_or_default()))
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<LiveFrame>> {
        self.frames.subscribe()
    }
}

/// A message's part in the picture.
fn fold(ward: &mut WardView, message: &LiveMessage) {
    match message {
        LiveMessage::Ward(new) => {
            let sync = std::mem::replace(ward, (**new).clone()).sync;
            // The sync line is this program's, not the brain's.
            ward.sync = sync;
        }
        LiveMessage::Bed(bed) => match ward.beds.iter_mut().find(|b| b.bed == bed.bed) {
            Some(held) => held.clone_from(bed),
            None => ward.beds.push((**bed).clone()),
        },
        LiveMessage::Alert(alert) => {
            ward.alerts.retain(|a| a.id != alert.id);
            if alert.state != edge_api::alert::AlertState::Resolved {
                ward.alerts.push(alert.clone());
                ward.alerts.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.raised_ms.cmp(&b.raised_ms)).then(a.id.cmp(&b.id)));
            }
        }
        LiveMessage::Device(device) => {
            for held in ward.beds.iter_mut().flat_map(|bed| &mut bed.devices).filter(|d| d.id == device.id) {
                held.clone_from(device);
            }
        }
        LiveMessage::Sync(sync) => ward.sync = sync.clone(),
        LiveMessage::Saving(saving) => ward.saving = saving.clone(),
        LiveMessage::Stored(_) => {}
    }
}
