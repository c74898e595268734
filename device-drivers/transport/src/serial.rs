//! Serial ports. There is no plug event to wait for: the port is reopened with backoff, by its stable path.

use crate::Down;
use crate::event::Identity;
use crate::outbox::Outbox;
use crate::spec::SerialSpec;
use crate::stream::carry;
use crate::supervise::{Hand, Write};
use std::io;
use tokio::sync::mpsc;
use tokio_serial::{ErrorKind, SerialPortBuilderExt, SerialStream};

pub(crate) struct SerialLink(pub(crate) SerialSpec);

impl Hand for SerialLink {
    async fn session(&mut self, out: &mut Outbox, writes: &mut mpsc::Receiver<Write>) -> Down {
        let port = match open(&self.0) {
            Ok(port) => port,
            Err(reason) => return reason,
        };
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
