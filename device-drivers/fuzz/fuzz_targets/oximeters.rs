#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| decoder_fuzz::family(&["contec.cms50-old", "contec.cms50-new", "bci.oximeter", "nonin.df2", "nonin.df7"], data));
