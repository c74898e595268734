//! Serial ports. There is no plug event to wait for: the port is reopened with backoff, by its stable path.

use crate::event::Identity;
use crate::outbox::Outbox;
use crate::spec::SerialSpec;
use crate::stream::carry;
use crate::supervise::{Hand, Write};
use crate::{Down, limits};
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc;
use tokio_serial::{ErrorKind, SerialPortBuilderExt, SerialStream};

/// Where the system names ports by what is plugged in, whichever number that is given.
const BY_ID: &str = "/dev/serial/by-id";

/// A serial port that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Port {
    /// Its stable name, which is what a device is configured with: it names maker, model and serial number of the adapter.
    pub path: PathBuf,
    /// The number it has until it is unplugged: `/dev/ttyUSB0`.
    pub now: PathBuf,
}

/// The ports that have a stable name, by that name. Ports of the machine itself (`/dev/ttyS0`) are where they are and not listed.
#[must_use]
pub fn ports() -> Vec<Port> {
    named_in(Path::new(BY_ID))
}

fn named_in(directory: &Path) -> Vec<Port> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().take(limits::PORTS);
    let mut ports: Vec<Port> =
        entries.filter_map(|entry| Some(Port { now: entry.path().canonicalize().ok()?, path: entry.path() })).collect();
    ports.sort_by(|a, b| a.path.cmp(&b.path));
    ports
}

/// A number that another device may have tomorrow.
fn is_a_number(path: &Path) -> bool {
    let path = path.to_string_lossy();
    ["/dev/ttyUSB", "/dev/ttyACM", "/dev/pts/"].iter().any(|numbers| path.starts_with(numbers))
}

pub(crate) struct SerialLink(pub(crate) SerialSpec);

impl Hand for SerialLink {
    async fn session(&mut self, out: &mut Outbox, writes: &mut mpsc::Receiver<Write>) -> Down {
        let port = match open(&self.0) {
            Ok(port) => port,
            Err(reason) => return reason,
        };
        if is_a_number(&self.0.path) {
            let path = self.0.path.display();
            tracing::warn!(%path, "this port is configured by its number, which changes: use its name in {BY_ID}");
        }
        let identity = Identity { address: self.0.path.display().to_string(), name: None };
        if let Err(reason) = out.connected(identity, None).await {
            return reason;
        }
        carry(port, out, writes, self.0.silence, Down::Unplugged).await
    }
}

fn open(spec: &SerialSpec) -> Result<SerialStream, Down> {
    tokio_serial::new(spec.path.to_string_lossy(), spec.baud)
        .data_bits(spec.data_bits)
        .parity(spec.parity)
        .stop_bits(spec.stop_bits)
        .flow_control(spec.flow)
        .open_native_async()
        .map_err(|error| {
            let path = spec.path.clone();
            match error.kind {
                ErrorKind::Io(io::ErrorKind::NotFound) => Down::PortMissing { path },
                ErrorKind::Io(io::ErrorKind::PermissionDenied) => Down::PortDenied { path },
                // A held lock and a vanished device share one kind; the path tells them apart.
                ErrorKind::NoDevice if path.exists() => Down::PortBusy { path },
                ErrorKind::NoDevice => Down::PortMissing { path },
                _ => Down::PortRefused { path, why: error.description },
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn ports_are_listed_by_their_stable_name_and_what_dangles_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let (names, device) = (directory.path().join("by-id"), directory.path().join("ttyUSB7"));
        std::fs::create_dir(&names).unwrap();
        std::fs::write(&device, "").unwrap();
        symlink(&device, names.join("usb-Acme_Cable_0042-if00-port0")).unwrap();
        symlink(directory.path().join("ttyUSB8"), names.join("usb-Acme_Cable_0043-if00-port0")).unwrap();
        let now = device.canonicalize().unwrap();
        assert_eq!(named_in(&names), [Port { path: names.join("usb-Acme_Cable_0042-if00-port0"), now }]);
        assert_eq!(named_in(&directory.path().join("nothing")), []);
    }

    #[test]
    fn a_number_is_told_from_a_name() {
        assert!(is_a_number(Path::new("/dev/ttyUSB0")) && is_a_number(Path::new("/dev/pts/3")));
        assert!(!is_a_number(Path::new("/dev/serial/by-id/usb-Acme")) && !is_a_number(Path::new("/dev/ttyS0")));
    }
}
