//! A real PostgreSQL server of Debian's package in a directory of its own, with its own durability: `fsync` and
//! `synchronous_commit` on. Ticks go in by `COPY … BINARY` from files written beforehand, one transaction each, through one `psql`.

use super::{Cache, said};
use crate::measure::cpu_of;
use anyhow::{Context, Result, ensure};
use record::series::Frame;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// How samples lie in its tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// A row for each value.
    Rows,
    /// A row for each numeric and for each block of a wave, the block an array.
    Blocks,
}

/// A running server, one client connected.
#[derive(Debug)]
pub struct Postgres {
    folder: PathBuf,
    user: Option<u32>,
    binaries: PathBuf,
    client: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Postgres {
    /// Starts a server below `folder`.
    ///
    /// # Errors
    /// It is not installed or does not start.
    pub fn start(cache: &Cache, folder: &Path) -> Result<Self> {
        let binaries = binaries(cache)?;
        let psql = cache.program("psql", "postgresql-client")?;
        // It refuses to run as root.
        let user = is_root()?.then(postgres_user).transpose()?;
        let folder = folder.join("postgresql");
        std::fs::create_dir_all(&folder)?;
        if let Some(user) = user {
            chown(&folder, Some(user), None)?;
        }
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
        let data = folder.join("data");
        said(as_user(user, &binaries.join("initdb")).args(["-A", "trust", "-U", "bench", "-D"]).arg(&data))?;
        let options = format!("-c listen_addresses= -c unix_socket_directories={}", folder.display());
        let log = folder.join("log");
        // Its output is not ours to hold: a pipe it inherits would never end.
        let started = as_user(user, &binaries.join("pg_ctl"))
            .args(["-w", "-o", &options, "-l"])
            .arg(&log)
            .arg("-D")
            .arg(&data)
            .arg("start")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(started.success(), "PostgreSQL does not start: {}", std::fs::read_to_string(&log).unwrap_or_default());
        let mut client = Command::new(psql)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "bench", "-d", "postgres", "-h"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (stdin, stdout) = (client.stdin.take().context("psql's stdin")?, client.stdout.take().context("psql's stdout")?);
        let mut server = Self { folder, user, binaries, client, stdin, stdout: BufReader::new(stdout) };
        server.run("CREATE TABLE samples (at int8 NOT NULL, series int4 NOT NULL, value int4 NOT NULL);")?;
        server.run("CREATE TABLE blocks (at int8 NOT NULL, series int4 NOT NULL, values int4[] NOT NULL);")?;
        Ok(server)
    }

    /// Its version.
    ///
    /// # Errors
    /// It has ended.
    pub fn version(&mut self) -> Result<String> {
        let mut said = String::new();
        self.stdin.write_all(b"\\t on\nSHOW server_version;\n\\t off\n\\echo end\n")?;
        loop {
            let mut line = String::new();
            ensure!(self.stdout.read_line(&mut line)? > 0, "psql has ended");
            if line.trim() == "end" {
                return Ok(said.split_whitespace().next().unwrap_or_default().to_owned());
            }
            said.push_str(&line);
        }
    }

    /// Writes a tick as a file for [`Postgres::copy`].
    ///
    /// # Errors
    /// The disk.
    pub fn prepare(&self, name: &str, frames: &[Frame], layout: Layout) -> Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, binary(frames, layout))?;
        Ok(path)
    }

    /// One tick as one durable `COPY`.
    ///
    /// # Errors
    /// It is refused.
    pub fn copy(&mut self, file: &Path, layout: Layout) -> Result<()> {
        let table = if layout == Layout::Rows { "samples" } else { "blocks" };
        self.run(&format!("\\copy {table} from '{}' with (format binary)", file.display()))
    }

    /// CPU time of all its processes so far, its client's too.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        let postmaster = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap_or_default();
        let Some(postmaster) = postmaster.lines().next().and_then(|pid| pid.trim().parse::<u32>().ok()) else { return Duration::ZERO };
        let children = std::fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        children.chain([postmaster, self.client.id()]).filter_map(cpu_of).sum()
    }

    fn run(&mut self, command: &str) -> Result<()> {
        // What comes back is nothing but our own word: a failed command ends psql.
        self.stdin.write_all(format!("{command}\n\\echo done\n").as_bytes())?;
        self.stdin.flush()?;
        let mut line = String::new();
        ensure!(self.stdout.read_line(&mut line)? > 0 && line.trim() == "done", "psql refused {command:?}: {line}");
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.client.kill();
        let _ = self.client.wait();
        let mut stop = as_user(self.user, &self.binaries.join("pg_ctl"));
        stop.args(["-w", "-m", "immediate", "-D"]).arg(self.folder.join("data")).arg("stop");
        let _ = stop.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Debian keeps a server's programs out of the path, by version.
fn binaries(cache: &Cache) -> Result<PathBuf> {
    cache.wanted()?;
    let versions = std::fs::read_dir("/usr/lib/postgresql").context("Debian's package postgresql is not installed")?;
    let mut found: Vec<PathBuf> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    found.retain(|bin| bin.join("initdb").is_file());
    found.sort();
    found.pop().context("Debian's package postgresql is not installed")
}

fn is_root() -> Result<bool> {
    Ok(said(Command::new("id").arg("-u"))?.trim() == "0")
}

fn postgres_user() -> Result<u32> {
    said(Command::new("id").args(["-u", "postgres"]))?.trim().parse().context("the user postgres")
}

fn as_user(user: Option<u32>, program: &Path) -> Command {
    let Some(user) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".into(), "--".into()]).arg(program);
    // A directory it may be in.
    command.current_dir("/");
    command
}

/// The bytes of `COPY … BINARY`.
fn binary(frames: &[Frame], layout: Layout) -> Vec<u8> {
    let mut out = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    let mut row = |at: i64, series: i32, value: &dyn Fn(&mut Vec<u8>)| {
        out.extend_from_slice(&3i16.to_be_bytes());
        out.extend_from_slice(&8i32.to_be_bytes());
        out.extend_from_slice(&at.to_be_bytes());
        out.extend_from_slice(&4i32.to_be_bytes());
        out.extend_from_slice(&series.to_be_bytes());
        value(&mut out);
    };
    let number = |value: i32| move |out: &mut Vec<u8>| out.extend([4, value].into_iter().flat_map(i32::to_be_bytes));
    let array = |values: &[i32]| {
        // Dimensions, no nulls, the oid of int4, length and first index of the one dimension, then each value with its length.
        let head = [20 + 8 * values.len() as i32, 1, 0, 23, values.len() as i32, 1];
        let body = values.iter().flat_map(|value| [4, *value]);
        head.into_iter().chain(body).flat_map(i32::to_be_bytes).collect::<Vec<u8>>()
    };
    for (bed, frame) in (0i32..).zip(frames) {
        for (at, numeric) in (0i32..).zip(&frame.numerics) {
            let value = numeric.value.as_ref().map_or(i32::MIN, |decimal| decimal.mantissa() as i32);
            match layout {
                Layout::Rows => row(frame.measured.0, bed * 100 + at, &number(value)),
                Layout::Blocks => row(frame.measured.0, bed * 100 + at, &|out| out.extend(array(&[value]))),
            }
        }
        for (at, wave) in (50i32..).zip(&frame.waves) {
            match layout {
                Layout::Blocks => row(frame.measured.0, bed * 100 + at, &|out| out.extend(array(&wave.raw))),
                Layout::Rows => {
                    for (step, value) in (0i64..).zip(&wave.raw) {
                        row(frame.measured.0 + step * 4_000, bed * 100 + at, &number(*value));
                    }
                }
            }
        }
    }
    out.extend_from_slice(&(-1i16).to_be_bytes());
    out
}
