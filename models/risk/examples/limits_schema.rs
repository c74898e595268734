//! Prints the JSON Schema named: `limits.json` or `bundle.json`; `cargo xtask codegen` keeps them.
#![allow(missing_docs)]

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    for (_, text) in risk::limits::schema::texts().into_iter().filter(|(name, _)| *name == wanted) {
        print!("{text}");
    }
}
