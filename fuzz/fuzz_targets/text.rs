//! Every reader of text holds what it promises, whatever it is given: lists and quoted strings, hosts and authorities,
//! percent-encoding, numbers, addresses and networks.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| kestrel_rs::fuzzing::hold_readers(octets));
