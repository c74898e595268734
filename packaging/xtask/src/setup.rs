//! What the machine must have, and how it gets it.

use crate::run::{cargo, command, must, quietly, root, screens, succeeds, target};
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;

/// The oldest Node that the screens build with.
const NODE: (u32, u32) = (20, 19);
/// Speaks WebDriver to a Tauri window; later majors are not released.
const TAURI_DRIVER: &str = "2.1.0";

/// What a package is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum For {
    /// Building and running the appliance.
    Demo,
    /// Building the desktop window, and the tests.
    Tests,
}

/// A Debian package and why it is needed.
struct Package {
    name: &'static str,
    why: &'static str,
    wanted: For,
}

const fn package(name: &'static str, wanted: For, why: &'static str) -> Package {
    Package { name, why, wanted }
}

const PACKAGES: &[Package] = &[
    package("build-essential", For::Demo, "compiles the C parts of SQLite, ring and zstd"),
    package("pkg-config", For::Demo, "finds system libraries"),
    package("libssl-dev", For::Demo, "SQLCipher's cryptography"),
    package("libdbus-1-dev", For::Demo, "talks to the Bluetooth service"),
    package("libudev-dev", For::Demo, "lists serial ports"),
    package("dbus", For::Demo, "a private bus for the simulated Bluetooth devices"),
    package("util-linux", For::Demo, "setpriv: no process outlives the demonstration"),
    package("libwebkit2gtk-4.1-dev", For::Tests, "the desktop window"),
    package("webkit2gtk-driver", For::Tests, "drives the desktop window in a test"),
    package("xvfb", For::Tests, "a screen for it where there is none"),
    package("fonts-dejavu-core", For::Tests, "letters on that screen"),
];

/// Not to be had everywhere; without it the browser tests are skipped.
const BROWSER: Package = package("chromium", For::Tests, "the browser of the screen tests");

/// All of it.
///
/// # Errors
/// Something cannot be installed.
pub fn everything() -> Result<()> {
    for_demo()?;
    for_tests()
}

/// What `demo` needs.
///
/// # Errors
/// Something cannot be installed.
pub fn for_demo() -> Result<()> {
    system(For::Demo)?;
    npm()
}

/// What the Rust tests need: they build the whole workspace, the desktop window too.
///
/// # Errors
/// Something cannot be installed.
pub fn for_rust() -> Result<()> {
    system(For::Tests)?;
    nextest()
}

/// What all tests need.
///
/// # Errors
/// Something cannot be installed.
pub fn for_tests() -> Result<()> {
    for_rust()?;
    npm()?;
    if let Err(error) = tauri_driver() {
        eprintln!("tauri-driver cannot be had, the desktop window's test will be skipped: {error:#}");
    }
    if browser().is_none() && install(&[&BROWSER]).is_err() {
        eprintln!("{} cannot be had, the browser tests will be skipped", BROWSER.name);
    }
    Ok(())
}

/// The browser that the screen tests drive.
#[must_use]
pub fn browser() -> Option<PathBuf> {
    let chosen = std::env::var_os("LAMPLIGHT_CHROMIUM").map(PathBuf::from);
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].map(PathBuf::from);
    chosen.into_iter().chain(usual).find(|path| path.is_file())
}

/// Whether `cargo nextest` is there.
#[must_use]
pub fn has_nextest() -> bool {
    quietly(&mut cargo(&["nextest", "--version"])).is_some()
}

fn system(up_to: For) -> Result<()> {
    let wanted: Vec<&Package> = PACKAGES.iter().filter(|package| package.wanted <= up_to).collect();
    if quietly(&mut command(&root(), "dpkg-query", &["--version"])).is_none() {
        let names: Vec<_> = wanted.iter().map(|package| package.name).collect();
        eprintln!("this is no Debian or Ubuntu: see to it yourself that there is what these packages hold: {}", names.join(" "));
        return Ok(());
    }
    install(&wanted)
}

fn install(wanted: &[&Package]) -> Result<()> {
    let missing: Vec<&&Package> = wanted.iter().filter(|package| !is_installed(package.name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    for package in &missing {
        eprintln!("missing: {} ({})", package.name, package.why);
    }
    // Another installation may be under way: wait for it.
    let lock = "DPkg::Lock::Timeout=400";
    must(&mut apt(&["-o", lock, "update"])?)?;
    let mut args = vec!["-o", lock, "install", "-y", "--no-install-recommends"];
    args.extend(missing.iter().map(|package| package.name));
    must(&mut apt(&args)?)
}

fn is_installed(package: &str) -> bool {
    let status = quietly(&mut command(&root(), "dpkg-query", &["-W", "-f", "${db:Status-Status}", package]));
    status.is_some_and(|status| status == "installed")
}

fn apt(args: &[&str]) -> Result<std::process::Command> {
    let is_root = quietly(&mut command(&root(), "id", &["-u"])).is_some_and(|id| id.trim() == "0");
    let mut apt = if is_root {
        command(&root(), "apt-get", args)
    } else {
        ensure!(quietly(&mut command(&root(), "sudo", &["-V"])).is_some(), "installing packages needs root or sudo");
        let mut sudo = command(&root(), "sudo", &["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo.args(args);
        sudo
    };
    apt.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(apt)
}

/// The screens' modules, again whenever the lockfile has changed.
fn npm() -> Result<()> {
    let found = quietly(&mut command(&root(), "node", &["--version"])).context("Node.js is missing: install 20.19 or later with npm")?;
    let mut parts = found.trim().trim_start_matches('v').split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    let version = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    ensure!(version >= NODE, "Node.js {}.{} or later is needed to build the screens, this is {}", NODE.0, NODE.1, found.trim());
    let lock = std::fs::read(screens().join("package-lock.json")).context("desktop-app/ui/package-lock.json")?;
    // Beside the modules, so that it goes when they do.
    let installed = screens().join("node_modules/.installed-lock.json");
    if std::fs::read(&installed).is_ok_and(|bytes| bytes == lock) {
        return Ok(());
    }
    eprintln!("missing: npm modules (the screens)");
    // Not `npm ci`: it refuses a lockfile without the optional binaries of every other platform. This too installs what the lockfile
    // says, and leaves it alone.
    must(&mut command(&screens(), "npm", &["install", "--no-save", "--no-audit", "--no-fund"]))?;
    std::fs::write(&installed, lock).with_context(|| installed.display().to_string())
}

/// Without it `cargo test` runs the tests, slower and one crate after the other.
fn nextest() -> Result<()> {
    if has_nextest() {
        return Ok(());
    }
    eprintln!("missing: cargo-nextest (runs tests side by side and reports them); building it takes some minutes");
    let build = target().join("tools/build");
    let build = build.to_str().context("a target directory whose path is UTF-8")?;
    if !succeeds(&mut cargo(&["install", "cargo-nextest", "--locked", "--debug", "--target-dir", build]))? {
        eprintln!("cargo-nextest cannot be had: `cargo test` will do");
    }
    Ok(())
}

fn tauri_driver() -> Result<()> {
    let tools = target().join("tools");
    if tools.join("bin/tauri-driver").is_file() {
        return Ok(());
    }
    eprintln!("missing: tauri-driver (drives the desktop window in a test)");
    let (home, build) = (tools.clone(), tools.join("build"));
    let (Some(home), Some(build)) = (home.to_str(), build.to_str()) else { bail!("a target directory whose path is not UTF-8") };
    let args = ["install", "tauri-driver", "--version", TAURI_DRIVER, "--locked", "--debug", "--root", home, "--target-dir", build];
    must(&mut cargo(&args))
}
