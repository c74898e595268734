//! The OpenAPI documents, as the programs state them: `desktop-app/ui/openapi/{agent,hub}.json`; and the JSON Schemas of what people
//! write by hand: `firmware-configs/schema/`.

use crate::run::{cargo, must, root, screens, target};
use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::Command;

const DOCUMENTS: [(&str, &str); 2] = [("edge-agent", "agent.json"), ("sync-hub", "hub.json")];

/// Crates, their example that prints a schema, and the file it is kept in.
const SCHEMAS: [(&str, &str, &str); 3] =
    [("driver", "profile_schema", "device.json"), ("risk", "limits_schema", "limits.json"), ("risk", "limits_schema", "bundle.json")];

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
    let mut documents = Vec::new();
    for (program, file) in DOCUMENTS {
        must(&mut cargo(&["build", "--locked", "--package", program]))?;
        let output = Command::new(target().join("debug").join(program)).arg("openapi").output();
        let output = output.with_context(|| format!("{program} openapi"))?;
        ensure!(output.status.success(), "{program} openapi: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).with_context(|| format!("{program} openapi"))?;
        let _: serde::de::IgnoredAny = serde_json::from_str(&text).with_context(|| format!("{program} openapi is no JSON"))?;
        documents.push((screens().join("openapi").join(file), format!("{}\n", text.trim_end())));
    }
    for (of, example, file) in SCHEMAS {
        let output = cargo(&["run", "--quiet", "--locked", "--package", of, "--example", example, "--", file]).output();
        let output = output.with_context(|| format!("the schema {file}"))?;
        ensure!(output.status.success(), "the schema {file}: {}", String::from_utf8_lossy(&output.stderr));
        documents.push((root().join("firmware-configs/schema").join(file), String::from_utf8(output.stdout)?));
    }
    Ok(documents)
}
