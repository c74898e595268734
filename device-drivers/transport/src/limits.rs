//! Every bound in this crate, in one place.

use std::time::Duration;

/// Events waiting to be taken, over all links.
pub const EVENTS: usize = 1024;
/// How long a link waits for room in the event queue before it gives up its connection.
pub const EVENT_WAIT: Duration = Duration::from_secs(5);
/// Events that a further reader of a link may be behind; it then misses the oldest.
pub const TAP_EVENTS: usize = 256;
/// Writes waiting on one link.
pub const COMMANDS: usize = 64;
/// Bytes in one piece of a stream. Frames of any length arrive as several pieces.
pub const PIECE_BYTES: usize = 8 * 1024;
/// How long one write may take before the link counts as stuck.
pub const WRITE_WAIT: Duration = Duration::from_secs(3);
/// First wait before a link is tried again; it doubles up to [`RETRY_MAX`].
pub const RETRY_MIN: Duration = Duration::from_millis(250);
/// Longest wait before a link is tried again.
pub const RETRY_MAX: Duration = Duration::from_secs(3);
/// A session that lasted this long starts the backoff afresh.
pub const SETTLED: Duration = Duration::from_secs(10);
/// How long a TCP connect may take.
pub const TCP_CONNECT_WAIT: Duration = Duration::from_secs(3);
/// A TCP peer that says nothing for this long is asked whether it is there …
pub const KEEP_ALIVE_AFTER: Duration = Duration::from_secs(10);
/// … again so often …
pub const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(5);
/// … and is gone after so many questions without an answer.
pub const KEEP_ALIVE_TRIES: u32 = 3;
/// Serial ports that are listed.
pub const PORTS: usize = 256;
/// The largest datagram there is.
pub const DATAGRAM_BYTES: usize = 65_536;
/// How long a Bluetooth connect may take; others wait their turn meanwhile.
pub const BLE_CONNECT_WAIT: Duration = Duration::from_secs(10);
/// How long any other question to the Bluetooth service may take.
pub const BLE_CALL_WAIT: Duration = Duration::from_secs(5);
/// How long pairing may take, a person included.
pub const BLE_PAIR_WAIT: Duration = Duration::from_secs(30);
/// A device sought for this long is reported as not seen; the search goes on.
pub const BLE_SEEK_WAIT: Duration = Duration::from_secs(5);
/// How often the list of devices heard is read while something is sought.
pub const BLE_SCAN_TICK: Duration = Duration::from_millis(300);
/// A device not heard for so many of these ticks is asleep, and is not called before it is heard again.
pub const BLE_AWAKE_TICKS: u32 = 10;
/// Devices in the air that are kept track of; a radio hears some hundreds.
pub const BLE_HEARD_MAX: usize = 4096;
/// How often the adapter is looked at when no signal says that it changed.
pub const BLE_LOOK_TICK: Duration = Duration::from_secs(2);
/// Bytes in one line of a capture.
pub const CAPTURE_LINE_BYTES: usize = 64 * 1024;
