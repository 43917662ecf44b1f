//! What the engine shows the app is what hyper would, whatever the client sends and the handler does with it. The first two
//! octets choose rules, behaviour and pieces.

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
        if let Err(difference) = runtime.block_on(kestrel_rs::fuzzing::http1_engine(input)) {
            panic!("{difference}");
        }
    });
});
