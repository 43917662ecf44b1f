//! What a server's process owes the one that started it. `parent.rs` is the other side.

use std::io::Read as _;

/// Tells the parent where to send requests.
pub(crate) fn announce(port: u16) {
    println!("{port}");
}

/// Nobody is left behind when the parent is killed: its end of the pipe closes.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}
