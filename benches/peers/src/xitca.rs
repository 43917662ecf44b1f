//! xitca-web.

use std::net::TcpListener;
use std::pin::pin;

use xitca_web::App;
use xitca_web::body::{BodyExt as _, RequestBody};
use xitca_web::bytes::Bytes;
use xitca_web::error::Error;
use xitca_web::handler::body::Body;
use xitca_web::handler::handler_service;
use xitca_web::route::{get, post};

use crate::{HELLO, LARGE, Result};

pub(crate) fn serve(listener: TcpListener) -> Result<()> {
    let server = App::new()
        .at("/", get(handler_service(async || HELLO)))
        .at("/echo", post(handler_service(async |body: Bytes| body)))
        .at("/length", post(handler_service(length)))
        .at("/large/1000000", get(handler_service(async || Bytes::from_static(LARGE))))
        .serve();
    Ok(server.disable_signal().listen(listener)?.run().wait()?)
}

async fn length(Body(body): Body<RequestBody>) -> Result<String, Error> {
    let mut body = pin!(body);
    let mut length = 0;
    while let Some(piece) = body.as_mut().data().await {
        length += piece?.len();
    }
    Ok(length.to_string())
}
