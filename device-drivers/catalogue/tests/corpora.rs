//! Every input of the fuzz corpora, by the fuzz targets' own rule: what was found once is tried at each build.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::path::Path;

#[test]
fn every_input_of_every_corpus_is_read_alike_wherever_it_is_cut() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let mut inputs = 0;
    for target in std::fs::read_dir(folder.join("fuzz_targets")).expect("targets").flatten() {
        let text = std::fs::read_to_string(target.path()).expect("target");
        // The target names its protocols in quotes.
        let protocols: Vec<&str> = text.split('"').skip(1).step_by(2).collect();
        assert!(!protocols.is_empty(), "{}", target.path().display());
        let name = target.path().file_stem().expect("name").to_owned();
        for input in std::fs::read_dir(folder.join("corpus").join(name)).expect("corpus").flatten() {
            fuzz::family(&protocols, &std::fs::read(input.path()).expect("input"));
            inputs += 1;
        }
    }
    assert!(inputs >= 16, "{inputs} inputs");
}
