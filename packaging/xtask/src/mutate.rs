//! `cargo xtask mutate`: breaks one rule of the product at a time, in a copy of the sources, and runs simulated wards until one fails.
//! A fault that no seed notices is a hole in the simulation; what heals by itself is no fault: cursors that run ahead are corrected by
//! reconciliation, dead letters by the next one who brings them. Nor is what two
//! checks catch: the hash of a payload that comes with its header is made from it, and is then what was signed or not.

use crate::run::{command, root, target};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// How far to look.
#[derive(clap::Args)]
pub struct Options {
    /// Seeds run against each fault at most.
    #[arg(long, default_value_t = 400)]
    seeds: u64,
    /// Only the fault of this name.
    #[arg(long)]
    only: Option<String>,
}

/// A rule, and how to break it: in a file, one text for another.
struct Mutation {
    name: &'static str,
    file: &'static str,
    rule: &'static str,
    broken: &'static str,
    /// The faults that matter, where the seeds' own would take long to meet it.
    faults: &'static str,
}

const ACCEPT: &str = "sync-hub/protocol/src/replica/accept.rs";
const APPLY: &str = "sync-hub/protocol/src/replica/apply.rs";
const COMPOSE: &str = "sync-hub/protocol/src/session/compose.rs";
const SESSION: &str = "sync-hub/protocol/src/session/mod.rs";

const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "signatures are not checked",
        file: "models/record/src/ledger/chain.rs",
        rule: "if identity::verify(at.chain.author, \"head\", &at.hash.0, &self.signature) {",
        broken: "if identity::verify(at.chain.author, \"head\", &at.hash.0, &self.signature) || true {",
        faults: "poison",
    },
    Mutation {
        name: "receipts are signed for headers whose payloads are not here",
        file: COMPOSE,
        rule: "for (seq, _) in self.tx.lacking(head.chain)? {",
        broken: "for (seq, _) in self.tx.lacking(head.chain)?.into_iter().take(0) {",
        faults: "loss,reorder",
    },
    Mutation {
        name: "sets that differ are not reconciled",
        file: COMPOSE,
        rule: "if !same {\n            sent_ranges",
        broken: "if false {\n            sent_ranges",
        faults: "restore",
    },
    Mutation {
        name: "revoked entries are applied",
        file: APPLY,
        rule: "if scope.access.is_revoked(chain, header.seq) {",
        broken: "if false {",
        faults: "revoke",
    },
    Mutation {
        name: "bindings are resolved without the moment of measurement",
        file: "models/record/src/binding.rs",
        rule: "self.from <= at && self.until.is_none_or(|until| at < until)",
        broken: "self.from <= at.max(self.from) && self.until.is_none_or(|until| at < until)",
        faults: "refile",
    },
    Mutation {
        name: "refiled samples stay where they were",
        file: "sync-hub/protocol/src/replica/draft.rs",
        rule: "self.add(from, &Body::Refiling(mask), entropy)?;",
        broken: "let _ = (from, mask);",
        faults: "refile",
    },
    Mutation {
        name: "waiting entries are not taken up when their key comes",
        file: APPLY,
        rule: "self.retry_scope(header.scope, State::Waiting)?;",
        broken: "",
        faults: "handover",
    },
    Mutation {
        name: "concurrent values are ordered without their stamps, by what arrived",
        file: "models/record/src/ledger/hlc.rs",
        rule: "if wall_ms > self.wall_ms {",
        broken: "if true {",
        faults: "clock",
    },
    Mutation {
        name: "payloads are dropped without a receipt",
        file: "sync-hub/protocol/src/replica/duties.rs",
        rule: "if held || (row.chain.author == keeper) {",
        broken: "if held || true {",
        faults: "retain,partition",
    },
    Mutation {
        name: "shed without a word",
        file: "sync-hub/protocol/src/replica/duties.rs",
        rule: "writer.add(scope, &Body::Shed(spans), entropy)?;",
        broken: "let _ = (scope, spans, &mut *entropy);",
        faults: "diskfull,partition",
    },
    Mutation {
        name: "erasure leaves the payloads",
        file: APPLY,
        rule: "self.close(header.scope, State::Erased)?;",
        broken: "",
        faults: "erase",
    },
    Mutation {
        name: "forks are not looked for",
        file: COMPOSE,
        rule: "if same && state.unchecked && message.wants.is_empty() {",
        broken: "if false {",
        faults: "clone",
    },
    Mutation {
        name: "anybody may end what is in a scope",
        file: APPLY,
        rule: "!header.scope.is_begun_by(header.author) && !self.known.is_hub(me, header.author)",
        broken: "false",
        faults: "poison",
    },
    Mutation {
        name: "a payload is kept under the wrong bytes: its parts are not held against its header",
        file: ACCEPT,
        rule: "if sha256(&[&bytes]) == entry.header.payload_hash {",
        broken: "if true {",
        faults: "poison,loss",
    },
    Mutation {
        name: "damage is sent on",
        file: "sync-hub/protocol/src/replica/duties.rs",
        rule: "if sha256(&[&entry.payload]) == entry.header.payload_hash {",
        broken: "if true {",
        faults: "bitflip",
    },
    Mutation {
        name: "what a message brought is answered for before it is durable",
        file: SESSION,
        rule: "        tx.commit()?;\n        self.known = known;\n        self.introduced",
        broken: "        drop(tx);\n        self.known = known;\n        self.introduced",
        faults: "loss",
    },
];

/// Runs every mutation, or the one asked for; prints a line each.
///
/// # Errors
/// A mutation does not apply or build, or no seed noticed it.
pub fn run(options: &Options) -> Result<()> {
    let house = target().join("mutations");
    copy_sources(&house)?;
    let mut unnoticed = Vec::new();
    for mutation in MUTATIONS.iter().filter(|m| options.only.as_deref().is_none_or(|only| only == m.name)) {
        let file = house.join(mutation.file);
        let sound = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        if !sound.contains(mutation.rule) {
            bail!("{}: {} has no {:?}", mutation.name, mutation.file, mutation.rule);
        }
        std::fs::write(&file, sound.replace(mutation.rule, mutation.broken))?;
        let noticed = noticed(&house, mutation, options.seeds);
        std::fs::write(&file, sound)?;
        match noticed? {
            Some(failure) => println!("noticed    {}: {failure}", mutation.name),
            None => {
                println!("UNNOTICED  {}", mutation.name);
                unnoticed.push(mutation.name);
            }
        }
    }
    if unnoticed.is_empty() { Ok(()) } else { bail!("{} faults pass unnoticed: {unnoticed:?}", unnoticed.len()) }
}

/// The first failure of a seed against the broken copy: first with the faults that matter, then with the seeds' own.
fn noticed(house: &Path, mutation: &Mutation, seeds: u64) -> Result<Option<String>> {
    // Apart from what the tests run: a broken program must not be taken for a sound one.
    let built = house.join("target");
    let mut build = command(house, "cargo", &["build", "--quiet", "--locked", "--workspace", "--bin", "simulate"]);
    let build = build.env("CARGO_TARGET_DIR", &built).status()?;
    if !build.success() {
        bail!("{} does not build", mutation.name);
    }
    for faults in [&["--only", mutation.faults][..], &[]] {
        let mut simulate = command(house, &built.join("debug/simulate").to_string_lossy(), &["--first", "--seeds", &seeds.to_string()]);
        let output = simulate.args(faults).stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Ok(Some(told.lines().next().unwrap_or("it ended badly").chars().take(160).collect()));
        }
    }
    Ok(None)
}

fn copy_sources(house: &Path) -> Result<()> {
    let listed = command(&root(), "git", &["ls-files"]).output().context("git ls-files")?;
    for name in String::from_utf8_lossy(&listed.stdout).lines() {
        let (from, to): (PathBuf, PathBuf) = (root().join(name), house.join(name));
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder)?;
        }
        // What is unchanged keeps its time, and what was built of it stands.
        let (old, new) = (std::fs::read(&to).ok(), std::fs::read(&from));
        if let Ok(new) = new
            && old.as_deref() != Some(new.as_slice())
        {
            std::fs::write(&to, new)?;
        }
    }
    Ok(())
}
