//! Answers do not depend on how their requests were cut. The first octet is the size of the pieces.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_all().start_paused(true).build().unwrap());
}

fuzz_target!(|input: &[u8]| {
    RUNTIME.with_borrow(|runtime| {
        if let Err(difference) = runtime.block_on(kestrel_rs::fuzzing::http1_pieces(input)) {
            panic!("{difference}");
        }
    });
});
