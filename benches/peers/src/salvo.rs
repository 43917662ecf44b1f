//! salvo.

use std::net::TcpListener;

use futures_util::StreamExt as _;
use salvo::conn::tcp::TcpAcceptor;
use salvo::http::ReqBody;
use salvo::prelude::*;

use crate::{HELLO, LARGE, Result};

pub(crate) fn serve(listener: TcpListener) -> Result<()> {
    let router = Router::new()
        .get(hello)
        .push(Router::with_path("echo").post(echo))
        .push(Router::with_path("length").post(length))
        .push(Router::with_path("large/1000000").get(large));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let acceptor = TcpAcceptor::try_from(tokio::net::TcpListener::from_std(listener)?)?;
        Server::new(acceptor).serve(router).await;
        Ok(())
    })
}

#[handler]
async fn hello() -> &'static str {
    HELLO
}

#[handler]
async fn echo(request: &mut Request, response: &mut Response) -> Result<(), StatusError> {
    let body = request.payload().await.map_err(|_| StatusError::bad_request())?;
    let _ = response.write_body(body.clone());
    Ok(())
}

#[handler]
async fn length(request: &mut Request) -> Result<String, StatusError> {
    let mut body: ReqBody = request.take_body();
    let mut octets = 0;
    while let Some(frame) = body.next().await {
        let frame = frame.map_err(|_| StatusError::bad_request())?;
        octets += frame.data_ref().map_or(0, |data| data.len());
    }
    Ok(octets.to_string())
}

#[handler]
async fn large(response: &mut Response) {
    let _ = response.write_body(LARGE);
}
