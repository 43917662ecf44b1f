//! ntex.

use std::net::TcpListener;

use ntex::rt::System;
use ntex::util::Bytes;
use ntex::web::error::PayloadError;
use ntex::web::types::Payload;
use ntex::web::{self, App, HttpServer};

use crate::{HELLO, LARGE, Result};

pub(crate) fn serve(listener: TcpListener) -> Result<()> {
    let app = || {
        App::new()
            .route("/", web::get().to(async || HELLO))
            .route("/echo", web::post().to(async |body: Bytes| body))
            .route("/length", web::post().to(length))
            .route("/large/1000000", web::get().to(async || LARGE))
    };
    let server = async move { HttpServer::new(app).disable_signals().listen(listener)?.run().await };
    Ok(System::new("peers").block_on(server)?)
}

async fn length(mut body: Payload) -> Result<String, PayloadError> {
    let mut length = 0;
    while let Some(piece) = body.recv().await {
        length += piece?.len();
    }
    Ok(length.to_string())
}
