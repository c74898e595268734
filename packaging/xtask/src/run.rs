//! Running other programs, in the workspace's root, their stdout joined to our stderr.

use anyhow::{Context, Result, bail};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The workspace's root.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where cargo builds to.
#[must_use]
pub fn target() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    // A relative one is relative to where cargo was started; cargo starts us there too.
    chosen.map_or_else(|| root().join("target"), |path| std::path::absolute(&path).unwrap_or(path))
}

/// The screens' folder.
#[must_use]
pub fn screens() -> PathBuf {
    root().join("desktop-app/ui")
}

/// A command in `folder`.
#[must_use]
pub fn command(folder: &Path, program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder);
    command
}

/// The cargo that started us.
#[must_use]
pub fn cargo(args: &[&str]) -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    command(&root(), &cargo, args)
}

/// Says what is run, runs it, its stdout on our stderr; whether it succeeded.
///
/// # Errors
/// It cannot be started.
pub fn succeeds(command: &mut Command) -> Result<bool> {
    eprintln!("$ {}", shown(command));
    let to_stderr = std::io::stderr().as_fd().try_clone_to_owned().context("our stderr")?;
    let status = command.stdout(Stdio::from(to_stderr)).stdin(Stdio::null()).status();
    Ok(status.with_context(|| format!("{} cannot be started", shown(command)))?.success())
}

/// As [`succeeds`], and it must.
///
/// # Errors
/// It cannot be started, or fails.
pub fn must(command: &mut Command) -> Result<()> {
    if succeeds(command)? { Ok(()) } else { bail!("{} failed", shown(command)) }
}

/// Runs quietly; its stdout if it succeeded, `None` if it failed or is not there.
#[must_use]
pub fn quietly(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
