//! `cargo xtask ci`: what must hold before a change is taken.

use crate::run::{cargo, command, must, screens};
use crate::{codegen, setup, test};
use anyhow::Result;

/// Format, lints, generated files, tests; stops at the first of these that does not hold.
///
/// # Errors
/// One does not hold.
pub fn run() -> Result<()> {
    setup::everything()?;
    must(&mut cargo(&["fmt", "--all", "--check"]))?;
    must(&mut command(&screens(), "npm", &["run", "--silent", "lint"]))?;
    codegen::check()?;
    must(&mut cargo(&["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    test::run(&test::Options::default())
}
