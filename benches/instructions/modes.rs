//! What one connection asks.

use std::net::SocketAddr;

use crate::common::http1::{Client, connect};
use crate::common::protocol::Protocol;
use crate::common::requests::Ask;
use crate::common::{Result, http2};

/// One line of the table.
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    work: Work,
    /// Turns of the shorter run, unless something else is asked for.
    pub(crate) turns: u32,
}

#[derive(Clone, Copy)]
enum Work {
    /// `depth` requests in one write, and all their answers.
    Ask { ask: Ask, depth: u32 },
    /// The same over HTTP/2, a stream for each.
    Http2 { streams: u64 },
}

const fn ask(name: &'static str, ask: Ask, turns: u32) -> Mode {
    Mode { name, work: Work::Ask { ask, depth: 1 }, turns }
}

const fn pipelined(name: &'static str, depth: u32) -> Mode {
    Mode { name, work: Work::Ask { ask: Ask::Wrk, depth }, turns: 800 / depth }
}

pub(crate) const MODES: [Mode; 13] = [
    ask("wrk", Ask::Wrk, 800),
    ask("curl", Ask::Curl, 800),
    ask("browser", Ask::Browser, 800),
    ask("varied", Ask::Varied, 800),
    ask("post", Ask::Post, 800),
    ask("post-chunked", Ask::PostChunked, 800),
    ask("tiny-chunks", Ask::TinyChunks, 10),
    ask("upload", Ask::Upload, 10),
    ask("download", Ask::Download, 10),
    pipelined("pipelined-4", 4),
    pipelined("pipelined-16", 16),
    Mode { name: "http2", work: Work::Http2 { streams: 10 }, turns: 80 },
    Mode { name: "http2-single", work: Work::Http2 { streams: 1 }, turns: 800 },
];

impl Mode {
    pub(crate) fn protocol(&self) -> Protocol {
        match self.work {
            Work::Ask { .. } => Protocol::Http1,
            Work::Http2 { .. } => Protocol::Http2,
        }
    }

    pub(crate) fn requests_a_turn(&self) -> u64 {
        match self.work {
            Work::Ask { depth, .. } => depth.into(),
            Work::Http2 { streams } => streams,
        }
    }

    /// One connection, and so many turns on it.
    pub(crate) async fn run(&self, server: SocketAddr, turns: u32) -> Result<()> {
        match self.work {
            Work::Ask { ask, depth } => {
                let mut client = Client::start(connect(server).await?, server, ask, depth).await?;
                for _ in 0..turns {
                    client.turn().await?;
                }
            }
            Work::Http2 { streams } => {
                let mut client = http2::Client::start(server).await?;
                for _ in 0..turns {
                    client.ask(streams);
                    client.answers(streams).await?;
                }
            }
        }
        Ok(())
    }
}
