//! What the machine must have, and how it gets it.

use crate::run::{cargo, command, must, quietly, root, screens, succeeds, target};
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

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
    /// What the bench measures against.
    Bench,
    /// The little machine with the real Bluetooth service.
    BleVm,
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

/// Not to be had everywhere either; without it the tests of a hub over PostgreSQL are skipped.
const DATABASE: Package = package("postgresql", For::Tests, "a real database for the tests of the hub's record");
/// Each may be missing: its rows are skipped then.
const PEERS: [Package; 4] = [
    package("postgresql", For::Bench, "takes the same ticks by COPY"),
    package("influxdb", For::Bench, "takes the same ticks in line protocol"),
    package("flac", For::Bench, "packs the same waves"),
    package("python3-venv", For::Bench, "runs DuckDB and Parquet"),
];
/// The kernel and bluetoothd are unpacked beside these, not installed.
const BLE_VM: [Package; 5] = [
    package("qemu-system-x86", For::BleVm, "emulates the little machine"),
    package("busybox-static", For::BleVm, "its shell"),
    package("cpio", For::BleVm, "packs its files"),
    package("xz-utils", For::BleVm, "unpacks the kernel's modules"),
    package("python3-venv", For::BleVm, "runs the strap (bumble)"),
];
/// PyPI: DuckDB takes the same backfill, pyarrow writes the same numerics as Parquet, sdc11073 sends the same reports.
const PYTHON_PEERS: [&str; 3] = ["duckdb==2.0.0", "pyarrow==26.0.1", "sdc11073==3.0.0"];
/// npm: replicates the same documents.
const NODE_PEERS: [&str; 2] = ["pouchdb@9.0.0", "pouchdb-server@4.2.0"];

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
    if install(&[&DATABASE]).is_err() {
        eprintln!("{} cannot be had, the tests that need it will be skipped", DATABASE.name);
    }
    if browser().is_none() && install(&[&BROWSER]).is_err() {
        eprintln!("{} cannot be had, the browser tests will be skipped", BROWSER.name);
    }
    Ok(())
}

/// What the bench measures against: what can be had is installed, what cannot is named. Libraries go to a cache directory of this user,
/// outside the checkout; that directory.
///
/// # Errors
/// There is no place for a cache.
pub fn peers() -> Result<PathBuf> {
    let cache = cache("lamplight-bench")?;
    std::fs::create_dir_all(cache.join("npm")).with_context(|| cache.display().to_string())?;
    let is_debian = quietly(&mut command(&root(), "dpkg-query", &["--version"])).is_some();
    for package in &PEERS {
        if is_debian && install(&[package]).is_err() {
            eprintln!("{} cannot be had, the rows beside it will be skipped", package.name);
        }
    }
    if !is_set_up(&cache, "python", &PYTHON_PEERS) {
        eprintln!("missing: {} (bench peers)", PYTHON_PEERS.join(" "));
        let made = succeeds(&mut command(&cache, "python3", &["-m", "venv", "python"]))?;
        let pip = cache.join("python/bin/pip");
        let args: Vec<&str> = ["install", "--quiet"].into_iter().chain(PYTHON_PEERS).collect();
        if made && succeeds(&mut command(&cache, &pip.to_string_lossy(), &args))? {
            note_set_up(&cache, "python", &PYTHON_PEERS)?;
        }
    }
    if !is_set_up(&cache, "npm", &NODE_PEERS) {
        eprintln!("missing: {} (bench peers)", NODE_PEERS.join(" "));
        let args: Vec<&str> = ["install", "--no-save", "--no-audit", "--no-fund"].into_iter().chain(NODE_PEERS).collect();
        if succeeds(&mut command(&cache.join("npm"), "npm", &args))? {
            note_set_up(&cache, "npm", &NODE_PEERS)?;
        }
    }
    Ok(cache)
}

/// A cache directory of this user, outside the checkout.
///
/// # Errors
/// There is no place for one.
pub fn cache(name: &str) -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .context("neither XDG_CACHE_HOME nor HOME is set")?
        .join(name);
    std::fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
    Ok(cache)
}

/// What the little machine with the real Bluetooth service is made with.
///
/// # Errors
/// It cannot be had here.
pub fn for_ble_vm() -> Result<()> {
    ensure!(cfg!(target_arch = "x86_64"), "the little machine is an x86-64");
    ensure!(quietly(&mut command(&root(), "dpkg-query", &["--version"])).is_some(), "its parts are Debian packages, and this is no Debian");
    install(&BLE_VM.iter().collect::<Vec<_>>()).context("what the little machine is made with cannot be had")
}

fn is_set_up(cache: &Path, part: &str, what: &[&str]) -> bool {
    std::fs::read_to_string(cache.join(part).join(".installed")).is_ok_and(|list| list == what.join(" "))
}

fn note_set_up(cache: &Path, part: &str, what: &[&str]) -> Result<()> {
    std::fs::write(cache.join(part).join(".installed"), what.join(" ")).context("the note of what is installed")
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
