//! Commands that need no running agent: reading bytes, checking and copying the record.

use crate::STORE;
use crate::clock;
use crate::config::Config;
use anyhow::{Context, bail};
use catalogue::lines::Line;
use driver::profile::Profile;
use driver::{In, Out};
use edge_store::{DataDir, SqliteStore};
use record::time::Monotonic;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Largest file read whole.
const FILE_MAX: u64 = 256 << 20;

/// Logs to standard error; `RUST_LOG` chooses what.
pub fn log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if json { log.json().init() } else { log.init() }
}

/// `decode`: bytes in, JSON lines out; faults to standard error.
///
/// # Errors
/// An unknown protocol, bad hex, a file that cannot be read.
pub fn decode(protocol: &str, hex: Option<&str>, file: Option<&Path>) -> anyhow::Result<()> {
    let bytes = match (hex, file) {
        (Some(text), _) => {
            let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            hex::decode(digits).context("--hex")?
        }
        (None, Some(path)) => read(path)?,
        (None, None) => bail!("give --hex or --file"),
    };
    let outs = catalogue::decode(protocol, &bytes)?;
    print(&mut std::io::stdout().lock(), None, &outs)
}

/// `replay`: a recording through its driver, as it was timed.
///
/// # Errors
/// A recording that cannot be read, or whose protocol is not known.
pub fn replay(capture: &Path, protocol: Option<&str>) -> anyhow::Result<()> {
    let bytes = read(capture)?;
    let text = std::str::from_utf8(&bytes).ok().filter(|text| text.lines().all(|l| transport::capture::Line::parse(l).is_ok()));
    let said = text.and_then(|t| t.lines().find_map(|l| l.trim().strip_prefix("# protocol:"))).map(str::trim);
    let protocol = protocol
        .or(said)
        .or_else(|| by_extension(capture))
        .with_context(|| format!("{}: which protocol? Give --protocol, or write `# protocol: …` into the recording", capture.display()))?;
    let mut out = std::io::stdout().lock();
    let Some(text) = text else {
        // Not a timed recording: the plain bytes of a stream.
        return print(&mut out, None, &catalogue::decode(protocol, &bytes)?);
    };
    let row = catalogue::protocol(protocol)?;
    let mut driver = (row.make)(&Profile::bare(protocol));
    print(&mut out, Some(0), &driver.handle(Monotonic(0), In::Connected))?;
    for (number, line) in text.lines().enumerate() {
        let line = transport::capture::Line::parse(line).with_context(|| format!("{}:{}", capture.display(), number + 1))?;
        let Some(line) = line else { continue };
        let outs = driver.handle(Monotonic(line.at_ms.saturating_mul(1000)), In::Bytes(line.channel, &line.bytes));
        print(&mut out, i64::try_from(line.at_ms).ok(), &outs)?;
    }
    Ok(())
}

fn by_extension(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()? {
        "hl7" => Some("hl7.oru"),
        "raw" | "dri" => Some("ge.dri"),
        "astm" => Some("astm.lis2"),
        _ => None,
    }
}

/// Prints readings and waves; faults go to standard error and do not end anything.
fn print(out: &mut impl Write, t_ms: Option<i64>, outs: &[Out]) -> anyhow::Result<()> {
    for one in outs {
        for line in Line::of(t_ms, None, one) {
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        }
        if let Out::Fault(fault) = one {
            eprintln!("fault: {fault}");
        }
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let size = std::fs::metadata(path).with_context(|| path.display().to_string())?.len();
    if size > FILE_MAX {
        bail!("{}: {size} bytes are past the limit of {FILE_MAX}", path.display());
    }
    std::fs::read(path).with_context(|| path.display().to_string())
}

/// `verify`.
///
/// # Errors
/// The store cannot be opened.
pub fn verify(config: &Config) -> anyhow::Result<ExitCode> {
    let directory = DataDir::open(&config.data)?;
    match edge_store::verify::verify_file(&directory.store_path(STORE), directory.store_key(), &mut |_| ()) {
        Ok(report) => {
            println!(
                "{} chains, {} entries, {} segments, {} receipts: all good\ndigest {}",
                report.chains, report.entries, report.segments, report.receipts, report.digest
            );
            if report.dead > 0 {
                println!("{} payloads could not be read when they came and lie among the dead letters", report.dead);
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(fault) => {
            eprintln!("{fault}");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// `backup`.
///
/// # Errors
/// See [`edge_store::BackupError`].
pub fn backup(config: &Config, to: &Path) -> anyhow::Result<()> {
    let directory = DataDir::open(&config.data)?;
    let mut shown = 0;
    edge_store::backup::backup(&directory.store_path(STORE), directory.store_key(), to, &mut |progress| {
        let percent = progress.done.saturating_mul(100) / progress.of.max(1);
        if percent >= shown + 10 {
            shown = percent;
            eprintln!("{percent} %");
        }
        ControlFlow::Continue(())
    })?;
    println!("backed up to {}; it opens only with the keys in {}", to.display(), config.data.join("keys").display());
    Ok(())
}

/// `restore`.
///
/// # Errors
/// See [`edge_store::BackupError`].
pub fn restore(config: &Config, from: &Path) -> anyhow::Result<()> {
    let directory = DataDir::open(&config.data)
        .context("a restore needs the keys of the box that made the backup: put its keys/ folder into the data directory first")?;
    edge_store::backup::restore(from, directory.store_key(), &directory.store_path(STORE))?;
    println!("restored; start the agent, and what the hub holds beyond the backup comes back by itself");
    Ok(())
}

/// `user list`.
///
/// # Errors
/// The store cannot be opened.
pub fn list_users(config: &Config) -> anyhow::Result<()> {
    let directory = DataDir::open(&config.data)?;
    let users = SqliteStore::open(&directory.store_path(STORE), directory.store_key())?.accounts()?.list()?;
    if users.is_empty() {
        println!("nobody may sign in yet: add somebody with `edge-agent user add NAME`");
    }
    let now = clock::now().wall;
    for user in users {
        let state = match (user.disabled, user.locked_until.filter(|until| *until > now)) {
            (true, _) => "disabled".to_owned(),
            (false, Some(until)) => format!("locked until {until}"),
            (false, None) => "active".to_owned(),
        };
        println!("{}\t{}\t{}\t{state}", user.user, user.role, user.display_name);
    }
    Ok(())
}
