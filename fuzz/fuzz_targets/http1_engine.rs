//! What the engine takes, hyper takes and frames alike. The first octet chooses the rules.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: RefCell<Runtime> = RefCell::new(Builder::new_current_thread().enable_all().build().unwrap());
}

fuzz_target!(|input: &[u8]| {
    let Some((&choice, octets)) = input.split_first() else { return };
    RUNTIME.with_borrow(|runtime| {
        if let Err(difference) =
            runtime.block_on(kestrel_rs::fuzzing::agrees_with_hyper(octets, choice & 1 == 1))
        {
            panic!("{difference}");
        }
    });
});
