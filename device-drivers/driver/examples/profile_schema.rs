//! Prints the JSON Schema of device profiles; `cargo xtask codegen` keeps it.
#![allow(missing_docs)]

fn main() {
    print!("{}", driver::profile::schema::text());
}
