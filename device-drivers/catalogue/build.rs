//! Lists the shipped device profiles for `profiles()`. Writes to `OUT_DIR` only.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let variable = |name| env::var_os(name).map(PathBuf::from).ok_or_else(|| io::Error::other(format!("{name} is not set")));
    let folder = variable("CARGO_MANIFEST_DIR")?.join("../../firmware-configs/devices");
    println!("cargo::rerun-if-changed={}", folder.display());

    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?.map(|entry| entry.map(|e| e.path())).collect::<io::Result<_>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();

    let mut list = String::from("&[\n");
    for path in files {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&path)?;
        // Debug form is Rust's own string literal; the text goes in whole, so no path ends up in the program.
        writeln!(list, "    ({name:?}, {text:?}),").map_err(io::Error::other)?;
    }
    list.push_str("]\n");
    fs::write(variable("OUT_DIR")?.join("profiles.rs"), list)
}
