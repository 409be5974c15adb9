//! Compares the strict reader of assertions with the library's parser: see `../src/oracle.rs`.
#![no_main]

#[expect(dead_code, reason = "the other target uses the rest")]
#[path = "../src/oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    oracle::assertion(input);
});
