//! actix-web.

use std::net::TcpListener;

use actix_web::rt::System;
use actix_web::web::{Bytes, Payload};
use actix_web::{App, HttpServer, web};
use futures_util::StreamExt as _;

use crate::{HELLO, LARGE, Result};

pub(crate) fn serve(listener: TcpListener) -> Result<()> {
    let app = || {
        App::new()
            .route("/", web::get().to(async || HELLO))
            .route("/echo", web::post().to(async |body: Bytes| body))
            .route("/length", web::post().to(length))
            .route("/large/1000000", web::get().to(async || LARGE))
    };
    // Whoever starts the server ends it.
    let server = HttpServer::new(app).disable_signals().listen(listener)?;
    Ok(System::new().block_on(server.run())?)
}

async fn length(mut body: Payload) -> actix_web::Result<String> {
    let mut length = 0;
    while let Some(piece) = body.next().await {
        length += piece?.len();
    }
    Ok(length.to_string())
}
