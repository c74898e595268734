//! Where things are: the workspace, the built programs, the screens, the shared reference material.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

/// The workspace's root.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// A built program of the workspace, found beside the running test or program.
///
/// # Errors
/// It has not been built.
pub fn program(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe().context("where this program is")?;
    let found = here.ancestors().skip(1).take(3).map(|folder| folder.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: `cargo xtask test --only e2e` builds it, or `cargo build -p {name}`"))
}

/// Where a test may leave something to look at, under the target directory.
///
/// # Errors
/// The directory cannot be made.
pub fn keepsakes() -> Result<PathBuf> {
    let here = std::env::current_exe().context("where this program is")?;
    let target = here.ancestors().find(|folder| folder.ends_with("debug") || folder.ends_with("release")).and_then(Path::parent);
    let folder = target.context("not started from a target directory")?.join("end-to-end");
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// The built screens.
///
/// # Errors
/// They have not been built.
pub fn screens() -> Result<PathBuf> {
    let folder = root().join("desktop-app/ui/dist");
    ensure!(
        folder.join("index.html").is_file(),
        "the screens are not built: `npm install && npm run build` in desktop-app/ui, or `cargo xtask demo`"
    );
    Ok(folder)
}

/// A file or folder of the shared reference material beside the workspace; `None` prints why a test is skipped.
#[must_use]
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = root().join("../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    println!("skipped: ../shared/{path} is not here");
    None
}
