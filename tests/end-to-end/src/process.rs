//! One child process: started, heard ready, measured, ended.

use crate::clock::Stopwatch;
use crate::paths;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// How long a program may take until it says that it is ready. Generous: tests share two cores with a compiler.
const READY_WAIT: Duration = Duration::from_secs(60);
/// How long a program may take to end when asked to.
const STOP_WAIT: Duration = Duration::from_secs(20);
/// Lines of its stdout that are kept.
const HEARD_MAX: usize = 1000;
/// Lines of its log shown when something is wrong with it.
const LAST_LINES: usize = 25;

/// What to start.
pub struct Spec<'a> {
    /// What it is called in errors and logs: `agent hillside`.
    pub name: String,
    /// The workspace's program.
    pub program: &'a str,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Added to its environment, which is otherwise ours without any `LAMPLIGHT_…`.
    pub env: Vec<(&'static str, String)>,
    /// Its log, which is appended to.
    pub log: PathBuf,
    /// Whether it is killed when its owner goes. Else it ends by itself as its stdin closes, and takes its own children along.
    pub die_with_us: bool,
}

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    log: PathBuf,
    heard: Arc<Mutex<VecDeque<Value>>>,
    /// From the start until it said that it is ready.
    pub ready_after: Duration,
}

impl Process {
    /// Starts a program and waits for its ready line: the first line of JSON with a `ready` on its stdout.
    ///
    /// # Errors
    /// It is not built, does not start, ends, or says nothing in time; with the end of its log.
    pub async fn start(spec: Spec<'_>) -> Result<(Self, Value)> {
        let watch = Stopwatch::start();
        let (mut process, mut lines) = Self::spawn(spec)?;
        let ready = match timeout(READY_WAIT, ready_line(&mut lines)).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(error)) => return Err(process.blame(&format!("{error:#}")).await),
            Err(_) => return Err(process.blame(&format!("not ready after {} s", READY_WAIT.as_secs())).await),
        };
        process.ready_after = watch.elapsed();
        let heard = Arc::clone(&process.heard);
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(said) = serde_json::from_str(&line) else { continue };
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                if heard.len() >= HEARD_MAX {
                    heard.pop_front();
                }
                heard.push_back(said);
            }
        });
        Ok((process, ready))
    }

    /// Starts a program and kills it after so long, wherever it is by then.
    ///
    /// # Errors
    /// It is not built, does not start, or cannot be waited for.
    pub async fn start_and_kill(spec: Spec<'_>, after: Duration) -> Result<()> {
        let (process, _lines) = Self::spawn(spec)?;
        tokio::time::sleep(after).await;
        process.kill().await
    }

    fn spawn(spec: Spec<'_>) -> Result<(Self, Lines<BufReader<ChildStdout>>)> {
        let program = paths::program(spec.program)?;
        let log = std::fs::File::options().create(true).append(true).open(&spec.log).with_context(|| spec.log.display().to_string())?;
        let mut command = if spec.die_with_us { dies_with_us(&program) } else { Command::new(&program) };
        command.args(&spec.args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).kill_on_drop(spec.die_with_us).process_group(0);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LAMPLIGHT_")) {
            command.env_remove(name);
        }
        command.envs(spec.env.iter().map(|(name, value)| (name, value.as_str())));
        let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let stdout = child.stdout.take().context("a child without stdout")?;
        let stdin = child.stdin.take();
        let process = Self { name: spec.name, child, stdin, log: spec.log, heard: Arc::default(), ready_after: Duration::ZERO };
        Ok((process, BufReader::new(stdout).lines()))
    }

    /// The lines of JSON it has said on its stdout since it was ready, oldest first; the last thousand.
    #[must_use]
    pub fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The most memory it has had resident, MiB.
    #[must_use]
    pub fn peak_rss_mb(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1024.0)
    }

    /// Writes one line to its stdin.
    ///
    /// # Errors
    /// It has ended.
    pub async fn tell(&mut self, line: &str) -> Result<()> {
        let Some(stdin) = &mut self.stdin else { bail!("{}: its stdin is closed", self.name) };
        let told = async {
            stdin.write_all(format!("{line}\n").as_bytes()).await?;
            stdin.flush().await
        };
        match told.await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.blame(&format!("cannot be told {line:?}: {error}")).await),
        }
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    /// It does not end in time (it is then killed), or ends badly.
    pub async fn stop(mut self) -> Result<()> {
        if let Some(pid) = self.pid() {
            // The shell's own `kill`: a bare system need not have the program.
            let _ = Command::new("sh").arg("-c").arg(format!("kill -TERM {pid}")).status().await;
        }
        drop(self.stdin.take());
        match timeout(STOP_WAIT, self.child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(self.blame(&format!("ended with {status}")).await),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(self.blame(&format!("does not end {} s after SIGTERM", STOP_WAIT.as_secs())).await),
        }
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.with_context(|| format!("killing {}", self.name))
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// It has ended; with the end of its log.
    pub async fn alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(self.blame(&format!("ended with {status}")).await),
        }
    }

    async fn blame(&mut self, what: &str) -> anyhow::Error {
        let _ = self.child.kill().await;
        anyhow!("{}: {what}\n{}", self.name, last_lines(&self.log))
    }
}

/// What a program said in its log last, indented for an error.
#[must_use]
pub fn last_lines(log: &Path) -> String {
    let text = std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
    last.iter().fold(format!("  its log ends ({}):", log.display()), |text, line| text + "\n  | " + line)
}

/// How a short-lived command ended.
#[derive(Debug)]
pub struct Said {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its stdout.
    pub out: String,
    /// Its stderr.
    pub err: String,
}

impl Said {
    /// Its stdout.
    ///
    /// # Errors
    /// It did not succeed; with what it said.
    pub fn ok(self) -> Result<String> {
        if self.status.success() { Ok(self.out) } else { bail!("ended with {}: {}{}", self.status, self.out, self.err) }
    }
}

/// Runs a program of the workspace to its end, at most a minute, with `stdin` typed at it.
///
/// # Errors
/// It cannot be run, or does not end.
pub async fn run(program: &str, args: &[OsString], stdin: &str) -> Result<Said> {
    run_with(program, args, stdin, &[]).await
}

/// As [`run`], with more in its environment.
///
/// # Errors
/// As [`run`].
pub async fn run_with(program: &str, args: &[OsString], stdin: &str, env: &[(&str, &str)]) -> Result<Said> {
    let path = paths::program(program)?;
    let mut command = dies_with_us(&path);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LAMPLIGHT_")) {
        command.env_remove(name);
    }
    command.envs(env.iter().copied());
    let mut child = command.spawn().with_context(|| format!("starting {}", path.display()))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A command that reads nothing may have ended before it is typed at.
        let _ = pipe.write_all(stdin.as_bytes()).await;
    }
    let ended = timeout(READY_WAIT, child.wait_with_output()).await;
    let output = ended.with_context(|| format!("{program} {args:?} does not end"))??;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said { status: output.status, out: text(&output.stdout), err: text(&output.stderr) })
}

/// A command that is killed by the system when our process is gone, however it went. `setpriv` is part of util-linux.
#[must_use]
pub fn dies_with_us(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

async fn ready_line(lines: &mut Lines<BufReader<ChildStdout>>) -> Result<Value> {
    while let Some(line) = lines.next_line().await? {
        if let Ok(value) = serde_json::from_str::<Value>(&line)
            && value.get("ready").is_some()
        {
            return Ok(value);
        }
    }
    bail!("ended before it was ready")
}
