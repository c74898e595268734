//! The OpenAPI documents, as the programs state them: `desktop-app/ui/openapi/{agent,hub}.json`; and the JSON Schemas of what people
//! write by hand: `firmware-configs/schema/`.

use crate::run::{cargo, must, root, screens, target};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::Command;

/// Programs that print their document, and the file it is kept in.
const DOCUMENTS: [(&str, &str); 2] = [("edge-agent", "agent.json"), ("sync-hub", "hub.json")];

/// Examples that print a schema, and the file it is kept in.
const SCHEMAS: [(&str, &str); 3] = [("profile_schema", "device.json"), ("limits_schema", "limits.json"), ("limits_schema", "bundle.json")];

/// Writes them all.
///
/// # Errors
/// A program does not build or does not print its document.
pub fn write() -> Result<()> {
    for (path, document) in documents()? {
        std::fs::write(&path, document).with_context(|| path.display().to_string())?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}

/// Whether what is checked in is what the programs state.
///
/// # Errors
/// It is not.
pub fn check() -> Result<()> {
    for (path, document) in documents()? {
        let kept = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        ensure!(kept == document, "{} is out of date: run `cargo xtask codegen` and check it in", path.display());
    }
    Ok(())
}

fn documents() -> Result<Vec<(PathBuf, String)>> {
    // All of the workspace at once: a part of it would have other features, and be built anew.
    let mut build = vec!["build", "--locked", "--workspace"];
    build.extend(DOCUMENTS.iter().flat_map(|(program, _)| ["--bin", *program]));
    build.extend(["--example", "profile_schema", "--example", "limits_schema"]);
    must(&mut cargo(&build))?;
    let built = target().join("debug");
    let mut documents = Vec::new();
    for (program, file) in DOCUMENTS {
        let text = printed(Command::new(built.join(program)).arg("openapi"), file)?;
        documents.push((screens().join("openapi").join(file), format!("{}\n", text.trim_end())));
    }
    for (example, file) in SCHEMAS {
        let text = printed(Command::new(built.join("examples").join(example)).arg(file), file)?;
        documents.push((root().join("firmware-configs/schema").join(file), text));
    }
    Ok(documents)
}

/// What a program prints: JSON.
fn printed(program: &mut Command, file: &str) -> Result<String> {
    let output = program.output().with_context(|| file.to_owned())?;
    ensure!(output.status.success(), "{file}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).with_context(|| file.to_owned())?;
    let _: serde::de::IgnoredAny = serde_json::from_str(&text).with_context(|| format!("{file} is no JSON"))?;
    Ok(text)
}
