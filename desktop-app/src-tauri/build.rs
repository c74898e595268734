//! Lets Tauri read `tauri.conf.json` and embed the waiting page.
fn main() {
    tauri_build::build();
}
