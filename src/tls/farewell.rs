//! The end of a connection whose client is to hear why.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::connection::BoxIo;

/// Says why, and lets the client hear it before the socket closes: what it has sent and nobody
/// reads would make that a reset, which throws away what is on its way to it.
pub(super) async fn refuse(io: &mut BoxIo, last_words: &[u8]) {
    let farewell = async {
        io.write_all(last_words).await?;
        io.shutdown().await?;
        let mut left = UNREAD;
        let mut buf = [0; 2048];
        while left > 0 {
            match io.read(&mut buf).await? {
                0 => break,
                n => left = left.saturating_sub(n),
            }
        }
        io::Result::Ok(())
    };
    // Whether it hears it is up to the client.
    let _ = tokio::time::timeout(FAREWELL, farewell).await;
}

/// How long, and for how many octets, a refused client is listened to so that it can read why.
const FAREWELL: Duration = Duration::from_secs(1);
const UNREAD: usize = 256 * 1024;
