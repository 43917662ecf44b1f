//! Whatever answer a handler makes, hyper's client reads back what it was made of. Each eight octets are an answer.

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
        if let Err(difference) = runtime.block_on(kestrel_rs::fuzzing::http1_answers(input)) {
            panic!("{difference}");
        }
    });
});
