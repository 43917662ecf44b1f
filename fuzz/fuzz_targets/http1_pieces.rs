//! The answers of the whole server do not depend on how the requests were cut into pieces, and each refusal is a bare
//! answer.

#![no_main]

use std::cell::RefCell;

use axum::Router;
use axum::body::Bytes;
use kestrel_rs::test::TestServer;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: RefCell<Runtime> =
        RefCell::new(Builder::new_current_thread().enable_all().start_paused(true).build().unwrap());
}

async fn answers(octets: &[u8], piece: usize) -> String {
    let app =
        Router::new().fallback(|body: Result<Bytes, axum::extract::rejection::BytesRejection>| async move {
            match body {
                Ok(body) => format!("{} octets", body.len()),
                Err(_) => "broken".to_owned(),
            }
        });
    let server = TestServer::builder(app).protocols(kestrel_rs::Protocols::HTTP1).start();
    let mut client = server.connect().await.unwrap();
    for piece in octets.chunks(piece) {
        if client.send(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let _ = client.finish().await;
    let answers = client.read_to_end().await.unwrap_or_default();
    // Neither the time of day nor whether the body had begun to come is what is compared.
    let answers = answers.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    answers
        .lines()
        .filter(|line| !line.to_ascii_lowercase().starts_with("date:"))
        .collect::<Vec<_>>()
        .join("\n")
}

fuzz_target!(|input: &[u8]| {
    let Some((&piece, octets)) = input.split_first() else { return };
    RUNTIME.with_borrow(|runtime| {
        runtime.block_on(async {
            let whole = answers(octets, octets.len().max(1)).await;
            for line in whole.lines().filter(|line| line.starts_with("HTTP/1.1 4")) {
                let own =
                    ["400", "405", "408", "413", "414", "431"].iter().any(|status| line.contains(status));
                assert!(own, "{line}");
            }
            for head in
                whole.split("HTTP/1.1 ").filter(|head| head.starts_with("400") || head.starts_with("431"))
            {
                assert!(head.contains("Content-Length: 0"), "not a bare answer: {head}");
            }
            // A body that ends early is answered or not, as the end of the stream is seen before or after.
            if !whole.contains("broken") {
                let cut = answers(octets, usize::from(piece).max(1)).await;
                assert!(cut == whole || cut.contains("broken"), "whole: {whole}\ncut: {cut}");
            }
        });
    });
});
