//! `cargo xtask ble-vm`: the real program on the real Bluetooth service, in a little machine whose Bluetooth controller and heart-rate strap
//! are bumble's. Not part of `ci`: it emulates a processor and takes one to three minutes.
//!
//!     bumble: strap ─ air ─ controller ──unix socket── qemu's second serial port ─ btattach ─ kernel ─ bluetoothd ─ edge-agent

use crate::run::{cargo, command, must, quietly, root, succeeds, target};
use crate::setup;
use anyhow::{Context, Result, ensure};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// From PyPI.
const BUMBLE: &str = "bumble==0.0.236";
/// In an order in which each finds what it needs.
const MODULES: [&str; 13] = [
    "rfkill",
    "crc16",
    "ecdh_generic",
    "cmac",
    "af_alg",
    "algif_hash",
    "algif_skcipher",
    "bluetooth",
    "btbcm",
    "btintel",
    "btqca",
    "btrtl",
    "hci_uart",
];
/// Programs of this machine that the little one has, too.
const PROGRAMS: [&str; 2] = ["/usr/bin/dbus-daemon", "/usr/bin/dbus-send"];
/// What the strap says (see `peripheral.py`), as the program must print it: rate, and one of its intervals between beats.
const SAID: [&str; 2] = [r#""code":"8867-4","value":72"#, r#""device":"strap""#];
/// How long the little machine may run; an emulated processor beside a busy compiler is slow.
const RUN_S: u64 = 400;
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What is done.
#[derive(clap::Args)]
pub struct Options {
    /// Show the machine's whole console, not only what is wrong.
    #[arg(long)]
    console: bool,
}

/// Builds the machine, runs it, and judges what its console says. What cannot be had here is a reason to skip.
///
/// # Errors
/// The program did not read the strap; with the console.
pub fn run(options: &Options) -> Result<()> {
    let cache = match prepare() {
        Ok(cache) => cache,
        Err(error) => {
            println!("skipped: {error:#}");
            return Ok(());
        }
    };
    must(&mut cargo(&["build", "--locked", "--workspace", "--bin", "edge-agent"]))?;
    let image = image(&cache).context("the little machine cannot be put together")?;
    let console = boot(&cache, &image)?;
    if options.console {
        eprintln!("{console}");
    }
    judge(&console)
}

/// Everything that comes from elsewhere; its directory.
fn prepare() -> Result<PathBuf> {
    let cache = setup::cache("lamplight-ble-vm")?;
    setup::for_ble_vm()?;
    let named = |package: &str| quietly(&mut command(&cache, "apt-cache", &["depends", "--important", package]));
    let depends = named("linux-image-6.12-amd64").context("no kernel 6.12 with Bluetooth among this system's packages")?;
    let kernel = depends.split_whitespace().find(|word| word.starts_with("linux-image-6.12.")).context("no kernel 6.12 package")?;
    for package in [kernel, "bluez", "libdw1", "libglib2.0-0", "libasound2"] {
        let unpacked = cache.join(package);
        if unpacked.is_dir() {
            continue;
        }
        let debs = cache.join("download");
        let _ = std::fs::remove_dir_all(&debs);
        std::fs::create_dir_all(&debs)?;
        ensure!(succeeds(&mut command(&debs, "apt-get", &["download", package]))?, "{package} cannot be had");
        let deb = std::fs::read_dir(&debs)?.flatten().next().context("apt-get downloaded nothing")?.path();
        let (deb, to) = (deb.to_string_lossy().into_owned(), unpacked.to_string_lossy().into_owned());
        ensure!(succeeds(&mut command(&cache, "dpkg-deb", &["-x", &deb, &to]))?, "{package} cannot be unpacked");
    }
    let current = cache.join("kernel");
    let _ = std::fs::remove_file(&current);
    symlink(cache.join(kernel), &current)?;
    if quietly(&mut command(&cache, "python/bin/python", &["-c", "import bumble"])).is_none() {
        ensure!(succeeds(&mut command(&cache, "python3", &["-m", "venv", "python"]))?, "no Python with venv");
        ensure!(succeeds(&mut command(&cache, "python/bin/pip", &["install", "--quiet", BUMBLE]))?, "{BUMBLE} cannot be had");
    }
    Ok(cache)
}

/// The machine's files, packed as the kernel takes them.
fn image(cache: &Path) -> Result<PathBuf> {
    let (files, parts) = (cache.join("image"), root().join("packaging/ble-vm"));
    let _ = std::fs::remove_dir_all(&files);
    for folder in ["bin", "proc", "sys", "dev", "run", "tmp", "etc", "modules", "var/lib/bluetooth"] {
        std::fs::create_dir_all(files.join(folder))?;
    }
    for module in MODULES {
        let found = quietly(&mut command(cache, "find", &["kernel/", "-name", &format!("{module}.ko.xz")])).unwrap_or_default();
        let packed = found.lines().next().with_context(|| format!("the kernel has no module {module}"))?;
        let to = std::fs::File::create(files.join(format!("modules/{module}.ko")))?;
        ensure!(command(cache, "xz", &["-dc", packed]).stdout(to).status()?.success(), "{packed} cannot be unpacked");
    }
    let bin = files.join("bin");
    std::fs::copy("/bin/busybox", bin.join("busybox")).context("/bin/busybox")?;
    symlink("busybox", bin.join("sh"))?;
    let bluez = ["usr/libexec/bluetooth/bluetoothd", "usr/bin/btattach"].map(|name| cache.join("bluez").join(name));
    for program in bluez.into_iter().chain(PROGRAMS.map(PathBuf::from)) {
        std::fs::copy(&program, bin.join(program.file_name().unwrap_or_default())).with_context(|| program.display().to_string())?;
    }
    let (ours, stripped) = (target().join("debug/edge-agent"), bin.join("edge-agent"));
    must(&mut command(cache, "strip", &["-o", &stripped.to_string_lossy(), &ours.to_string_lossy()]))?;
    libraries(cache, &files)?;
    for name in ["agent.toml", "bus.conf"] {
        std::fs::copy(parts.join(name), files.join("etc").join(name))?;
    }
    std::fs::write(files.join("etc/passwd"), "root:x:0:0:root:/:/bin/sh\n")?;
    std::fs::write(files.join("etc/group"), "root:x:0:\n")?;
    std::fs::copy(parts.join("init"), files.join("init"))?;
    std::fs::set_permissions(files.join("init"), std::fs::Permissions::from_mode(0o755))?;
    let packed = "find . | cpio -o -H newc --quiet | gzip -1 > ../image.gz";
    must(&mut command(&files, "sh", &["-c", packed]))?;
    Ok(cache.join("image.gz"))
}

/// Copies the libraries that the programs load, at the places where they look for them.
fn libraries(cache: &Path, files: &Path) -> Result<()> {
    let unpacked = ["libdw1", "libglib2.0-0", "libasound2"].map(|name| cache.join(name).join("usr/lib/x86_64-linux-gnu"));
    let search = unpacked.iter().map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>().join(":");
    let own = files.join("lib/x86_64-linux-gnu");
    std::fs::create_dir_all(&own)?;
    for program in std::fs::read_dir(files.join("bin"))?.flatten() {
        let path = program.path().to_string_lossy().into_owned();
        // A program that loads none fails here, as it should.
        let listed = quietly(command(cache, "ldd", &[&path]).env("LD_LIBRARY_PATH", &search)).unwrap_or_default();
        for library in listed.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new) {
            let loader = library.starts_with("/lib64");
            let to = if loader { files.join("lib64") } else { own.clone() };
            std::fs::create_dir_all(&to)?;
            std::fs::copy(library, to.join(library.file_name().unwrap_or_default())).with_context(|| library.display().to_string())?;
        }
    }
    Ok(())
}

/// A child that ends with us.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the machine to its end, or to the end of our patience; its console.
fn boot(cache: &Path, image: &Path) -> Result<String> {
    let (socket, console) = (cache.join("hci"), cache.join("console.log"));
    let (_, _) = (std::fs::remove_file(&socket), std::fs::remove_file(&console));
    let mut qemu = Command::new("qemu-system-x86_64");
    qemu.args("-accel tcg -m 512 -nodefaults -no-user-config -display none -no-reboot".split(' '));
    let kernels = quietly(&mut command(cache, "find", &["kernel/boot", "-name", "vmlinuz-*"])).unwrap_or_default();
    qemu.arg("-kernel").arg(cache.join(kernels.lines().next().context("no kernel in its package")?)).arg("-initrd").arg(image);
    qemu.args(["-append", "console=ttyS0 no_timer_check cryptomgr.notests panic=-1 quiet"]);
    qemu.args(["-chardev", &format!("file,id=console,path={}", console.display()), "-serial", "chardev:console"]);
    qemu.args(["-chardev", &format!("socket,id=hci,path={},server=on,wait=off", socket.display()), "-serial", "chardev:hci"]);
    let mut machine = Ends(qemu.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("qemu cannot be started")?);
    let looks = RUN_S * 2;
    let mut strap = None;
    for _ in 0..looks {
        if strap.is_none() && socket.exists() {
            let peripheral = root().join("packaging/ble-vm/peripheral.py");
            let mut python = command(cache, "python/bin/python", &[&peripheral.to_string_lossy(), &socket.to_string_lossy()]);
            strap = Some(Ends(python.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("bumble cannot be started")?));
        }
        if let Some(strap) = &mut strap {
            ensure!(strap.0.try_wait()?.is_none(), "the strap (packaging/ble-vm/peripheral.py) has ended");
        }
        if machine.0.try_wait()?.is_some() {
            break;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    // A console ends its lines as a typewriter does.
    Ok(std::fs::read(&console).map(|bytes| String::from_utf8_lossy(&bytes).replace('\r', "")).unwrap_or_default())
}

fn judge(console: &str) -> Result<()> {
    let part = |name: &str| console.split("ble-vm: ").find_map(|part| part.strip_prefix(name)).unwrap_or_default();
    let scanned = part("scan\n").lines().any(|line| line.starts_with("F0:F1:F2:F3:F4:F5") && line.contains("Strap"));
    let rates = part("test\n").lines().filter(|line| SAID.iter().all(|said| line.contains(said))).count();
    let checks = [
        ("the strap is found", scanned),
        ("unpaired, it asks to be paired", part("unpaired\n").contains("the device asks to be paired.")),
        ("a wrong passkey pairs nobody", part("wrong passkey\n").contains("not paired: the passkey was wrong")),
        ("the right one does", part("right passkey\n").contains("paired with F0:F1:F2:F3:F4:F5")),
        ("the strap is read", rates > 0 && console.contains("ble-vm: tested 0")),
    ];
    for (what, holds) in checks {
        println!("ble-vm: {what}: {}", if holds { "yes" } else { "NO" });
    }
    ensure!(checks.iter().all(|(_, holds)| *holds), "not all of it holds; the console says:\n{console}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_strap_that_was_found_paired_and_read_is_a_success() {
        let parts = [
            "ble-vm: scan\nF0:F1:F2:F3:F4:F5\t-50 dBm\tStrap\n",
            "ble-vm: unpaired\nthe device asks to be paired. Put it …\n",
            "ble-vm: wrong passkey\nnot paired: the passkey was wrong, or the device refused.\n",
            "ble-vm: right passkey\npaired with F0:F1:F2:F3:F4:F5\n",
            "ble-vm: test\n{\"t_ms\":1,\"device\":\"strap\",\"code\":\"8867-4\",\"value\":72,\"unit\":\"/min\",\"status\":\"ok\"}\n",
            "ble-vm: tested 0\n",
        ];
        assert!(judge(&parts.concat()).is_ok());
        for missing in 0..parts.len() {
            let rest: String = parts.iter().enumerate().filter(|(number, _)| *number != missing).map(|(_, part)| *part).collect();
            assert!(judge(&rest).is_err(), "{rest}");
        }
    }
}
