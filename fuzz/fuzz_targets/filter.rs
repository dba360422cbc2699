#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| karat_test_support::fuzz::run("filter", data));
