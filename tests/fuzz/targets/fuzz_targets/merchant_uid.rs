#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::merchant_uid(input));
