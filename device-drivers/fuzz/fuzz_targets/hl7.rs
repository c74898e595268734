#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| decoder_fuzz::family(&["hl7.oru", "mindray.231"], data));
