#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| decoder_fuzz::family(&["ble.heart-rate", "ble.plx-spot", "ble.plx-continuous"], data));
