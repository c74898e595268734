//! A real InfluxDB server of Debian's package in a directory of its own, with its own durability (it syncs its log at every write).
//! One tick is one `POST /write` in line protocol over one kept connection.

use super::Cache;
use crate::measure::cpu_of;
use anyhow::{Context, Result, bail, ensure};
use record::series::Frame;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running server, one client connected.
#[derive(Debug)]
pub struct Influx {
    server: Child,
    stream: BufReader<TcpStream>,
    /// Its version.
    pub version: String,
}

impl Influx {
    /// Starts a server below `folder`.
    ///
    /// # Errors
    /// It is not installed or does not start.
    pub fn start(cache: &Cache, folder: &Path) -> Result<Self> {
        let program = cache.program("influxd", "influxdb")?;
        let folder = folder.join("influxdb");
        std::fs::create_dir_all(&folder)?;
        let (http, rpc) = (free_port()?, free_port()?);
        let home = folder.display();
        let config = format!(
            "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc}\"\n[meta]\ndir = \"{home}/meta\"\n[data]\ndir = \"{home}/data\"\n\
             wal-dir = \"{home}/wal\"\nquery-log-enabled = false\n[http]\nbind-address = \"127.0.0.1:{http}\"\nlog-enabled = false\n\
             [monitor]\nstore-enabled = false\n"
        );
        std::fs::write(folder.join("influxdb.conf"), config)?;
        let log = File::create(folder.join("log"))?;
        let mut command = Command::new(program);
        command.arg("-config").arg(folder.join("influxdb.conf")).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut server = command.spawn()?;
        let mut tries = 0;
        let stream = loop {
            match TcpStream::connect(("127.0.0.1", http)) {
                Ok(stream) => break stream,
                Err(error) if tries == 200 || server.try_wait()?.is_some() => {
                    let _ = server.kill();
                    let _ = server.wait();
                    bail!("InfluxDB does not start: {error}");
                }
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
            tries += 1;
        };
        stream.set_nodelay(true)?;
        let mut influx = Self { server, stream: BufReader::new(stream), version: String::new() };
        influx.post("/query?q=CREATE%20DATABASE%20bench", b"").context("creating a database")?;
        Ok(influx)
    }

    /// A tick in line protocol.
    #[must_use]
    pub fn lines(frames: &[Frame]) -> Vec<u8> {
        let mut text = String::new();
        for (bed, frame) in frames.iter().enumerate() {
            for numeric in &frame.numerics {
                if let Ok(value) = &numeric.value {
                    let _ = writeln!(text, "numeric,bed={bed},code={} v={}i {}", numeric.code.key(), value.mantissa(), frame.measured.0);
                }
            }
            for wave in &frame.waves {
                let code = wave.code.key();
                for (step, value) in (0i64..).zip(&wave.raw) {
                    let _ = writeln!(text, "wave,bed={bed},code={code} v={value}i {}", frame.measured.0 + step * 4_000);
                }
            }
        }
        text.into_bytes()
    }

    /// Writes lines; on return they are in its log, and that is synced.
    ///
    /// # Errors
    /// It is refused.
    pub fn write(&mut self, lines: &[u8]) -> Result<()> {
        self.post("/write?db=bench&precision=u", lines)
    }

    /// CPU time it has used so far.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        cpu_of(self.server.id()).unwrap_or_default()
    }

    fn post(&mut self, path: &str, body: &[u8]) -> Result<()> {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", body.len());
        let stream = self.stream.get_mut();
        stream.write_all(&[head.as_bytes(), body].concat())?;
        let (mut status, mut length, mut chunked) = (String::new(), 0usize, false);
        self.stream.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            ensure!(self.stream.read_line(&mut line)? > 0, "InfluxDB hung up");
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if let Some(value) = line.strip_prefix("x-influxdb-version:") {
                value.trim().clone_into(&mut self.version);
            }
            chunked |= line.starts_with("transfer-encoding: chunked");
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        while chunked {
            let mut size = String::new();
            self.stream.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim(), 16)?;
            let mut chunk = vec![0; size + 2];
            self.stream.read_exact(&mut chunk)?;
            chunked = size > 0;
        }
        ensure!(status.contains(" 20"), "InfluxDB answers {}: {}", status.trim(), String::from_utf8_lossy(&answer));
        Ok(())
    }
}

impl Drop for Influx {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
