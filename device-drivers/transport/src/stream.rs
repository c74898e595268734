//! Carries bytes both ways over anything that is one stream: a serial port or a socket.

use crate::outbox::Outbox;
use crate::supervise::Write;
use crate::{Down, limits};
use driver::Channel;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;

/// Carries until one direction ends. `gone` is what the end of the stream means here, an error being one way to end.
pub(crate) async fn carry(
    stream: impl AsyncRead + AsyncWrite + Send,
    out: &mut Outbox,
    writes: &mut mpsc::Receiver<Write>,
    silence: Option<Duration>,
    gone: Down,
) -> Down {
    let (reader, writer) = tokio::io::split(stream);
    tokio::select! {
        reason = hear(reader, out, silence, gone.clone()) => reason,
        reason = speak(writer, writes, gone) => reason,
    }
}

async fn hear(mut reader: impl AsyncRead + Unpin, out: &mut Outbox, silence: Option<Duration>, gone: Down) -> Down {
    let mut piece = vec![0; limits::PIECE_BYTES];
    loop {
        let read = tokio::time::timeout(silence.unwrap_or(Duration::MAX), reader.read(&mut piece)).await;
        let heard = match read {
            Err(_) => return Down::Silent { after: silence.unwrap_or(Duration::MAX) },
            // A serial port whose other side has gone reads as nothing, again and again, and never as an error.
            Ok(Ok(0) | Err(_)) => return gone,
            Ok(Ok(count)) => piece.get(..count).unwrap_or_default().to_vec(),
        };
        if let Err(reason) = out.bytes(Channel::Stream, heard).await {
            return reason;
        }
    }
}

async fn speak(mut writer: impl AsyncWrite + Unpin, writes: &mut mpsc::Receiver<Write>, gone: Down) -> Down {
    while let Some(write) = writes.recv().await {
        // No flush: on a serial port it blocks the thread until the line has drained.
        match tokio::time::timeout(limits::WRITE_WAIT, writer.write_all(&write.bytes)).await {
            Err(_) => return Down::WriteStalled,
            Ok(Err(_)) => return gone,
            Ok(Ok(())) => {}
        }
    }
    Down::Stopped
}
