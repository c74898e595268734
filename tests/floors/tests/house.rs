//! The workspace as it is, held against the rules of the house.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use floors::{Crate, House};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

const FOLDERS: &[&str] = &["models", "device-drivers", "sync-hub", "edge-agent", "desktop-app", "firmware-configs", "tests", "packaging"];
const FILES: &[&str] = &["Cargo.toml", "Cargo.lock", "README.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"];

#[test]
fn every_arrow_of_the_workspace_runs_down() {
    let house = house();
    // What must be seen, lest an empty graph pass: a deep arrow, and a hand's runtime reached through another library.
    let reached = |from: &str, to: &str| house.get(from).is_some_and(|krate| krate.reaches.contains(to));
    assert!(reached("edge-agent", "record") && reached("transport", "mio"), "the graph was not read");
    let breaches: Vec<_> = floors::breaches(&house).iter().map(ToString::to_string).collect();
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn every_exception_on_one_floor_is_still_needed() {
    let house = house();
    for (from, to) in floors::SAME_FLOOR {
        assert!(house.get(*from).is_some_and(|krate| krate.uses.contains(*to)), "{from} no longer uses {to}: take it off the list");
    }
}

#[test]
fn only_a_clock_file_lifts_the_ban_on_clocks_and_randomness() {
    let Some(files) = checked_in() else { return };
    let floors: BTreeMap<String, u8> = folders();
    let lifts = |path: &str| std::fs::read_to_string(root().join(path)).is_ok_and(|text| text.contains("disallowed_methods"));
    let floor = |path: &str| floors.iter().find(|(folder, _)| path.starts_with(folder.as_str())).map(|(_, floor)| *floor);
    let wrong: Vec<_> = files.iter().filter(|path| path.ends_with(".rs") && !may_lift_the_ban(path, floor(path)) && lifts(path)).collect();
    assert!(wrong.is_empty(), "take time and entropy as arguments: {wrong:?}");
}

#[test]
fn a_brain_may_not_have_a_clock_file_and_a_program_may_have_nothing_else() {
    assert!(!may_lift_the_ban("edge-agent/core/src/clock.rs", Some(2)));
    assert!(!may_lift_the_ban("edge-agent/daemon/src/main.rs", Some(4)));
    assert!(may_lift_the_ban("edge-agent/daemon/src/clock.rs", Some(4)));
    assert!(may_lift_the_ban("edge-agent/daemon/tests/start.rs", Some(4)));
}

/// Integration tests and measuring examples above the brains run against real time.
fn may_lift_the_ban(path: &str, floor: Option<u8>) -> bool {
    floor.is_some_and(|floor| floor > 2)
        && (path.ends_with("/clock.rs") || path.split('/').any(|folder| folder == "tests" || folder == "examples"))
}

#[test]
fn the_top_level_holds_the_folders_of_the_layout_and_nothing_else() {
    let Some(files) = checked_in() else { return };
    let strays: BTreeSet<_> = files.iter().filter(|path| !has_a_place(path)).collect();
    assert!(strays.is_empty(), "no place at the top level for {strays:?}");
}

#[test]
fn a_stray_file_or_folder_has_no_place() {
    for path in ["notes.md", "src/main.rs", "models", "license"] {
        assert!(!has_a_place(path), "{path}");
    }
    for path in ["models/record/Cargo.toml", "LICENSE", ".clippy.toml", ".config/nextest.toml"] {
        assert!(has_a_place(path), "{path}");
    }
}

fn has_a_place(path: &str) -> bool {
    path.starts_with('.')
        || match path.split_once('/') {
            Some((folder, _)) => FOLDERS.contains(&folder),
            None => FILES.contains(&path),
        }
}

/// What git holds or would take, by path from the root.
fn checked_in() -> Option<Vec<String>> {
    let git = Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(root()).output();
    let Some(listing) = git.ok().filter(|output| output.status.success()) else {
        eprintln!("skipped: not a git checkout");
        return None;
    };
    let listing = String::from_utf8(listing.stdout).expect("paths in UTF-8");
    Some(listing.lines().map(str::to_owned).collect())
}

/// Each crate's folder from the root, with its floor.
fn folders() -> BTreeMap<String, u8> {
    let metadata = metadata();
    let packages = metadata.workspace_packages().into_iter();
    packages
        .filter_map(|package| {
            let folder = package.manifest_path.parent()?.strip_prefix(&metadata.workspace_root).ok()?;
            Some((format!("{folder}/"), stated_floor(package)?))
        })
        .collect()
}

fn stated_floor(package: &Package) -> Option<u8> {
    u8::try_from(package.metadata.get("floor")?.as_u64()?).ok()
}

fn house() -> House {
    let metadata = metadata();
    let members: BTreeSet<_> = metadata.workspace_members.iter().collect();
    let names: BTreeMap<&PackageId, &str> = metadata.packages.iter().map(|package| (&package.id, package.name.as_str())).collect();
    let built_from = built_from(&metadata);
    let of_kind = |package: &Package, wanted: &[DependencyKind]| -> BTreeSet<String> {
        package
            .dependencies
            .iter()
            .filter(|dependency| wanted.contains(&dependency.kind))
            .map(|dependency| dependency.name.to_string())
            .collect()
    };
    metadata
        .packages
        .iter()
        .filter(|package| members.contains(&package.id))
        .map(|package| {
            let krate = Crate {
                floor: stated_floor(package),
                uses: of_kind(package, &[DependencyKind::Normal, DependencyKind::Build]),
                tested_with: of_kind(package, &[DependencyKind::Development]),
                reaches: reach(&built_from, &package.id).iter().filter_map(|id| names.get(id)).map(|&name| name.to_owned()).collect(),
            };
            (package.name.to_string(), krate)
        })
        .collect()
}

/// Normal dependencies only: a build script or a macro runs on the builder's machine and acts for nobody.
fn built_from(metadata: &Metadata) -> BTreeMap<&PackageId, Vec<&PackageId>> {
    let resolve = metadata.resolve.as_ref().expect("a resolved graph");
    let normal = |dep: &cargo_metadata::NodeDep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
    resolve.nodes.iter().map(|node| (&node.id, node.deps.iter().filter(|dep| normal(dep)).map(|dep| &dep.pkg).collect())).collect()
}

fn reach<'a>(built_from: &BTreeMap<&'a PackageId, Vec<&'a PackageId>>, from: &'a PackageId) -> BTreeSet<&'a PackageId> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(next) = open.pop() {
        for &dependency in built_from.get(next).into_iter().flatten() {
            if seen.insert(dependency) {
                open.push(dependency);
            }
        }
    }
    seen
}

/// For this machine's platform and features as locked, so that it needs no package a build here does not.
fn metadata() -> Metadata {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc");
    let version = String::from_utf8(rustc.stdout).expect("rustc's version");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host triple");
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).features(CargoOpt::AllFeatures);
    command.other_options(["--locked", "--filter-platform", host].map(str::to_owned)).exec().expect("cargo metadata")
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
