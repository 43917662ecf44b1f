//! Upgrades and `CONNECT`, for every version of HTTP: the stream of a connection becomes the app's.
//!
//! What an app waits for is a [`hyper::upgrade::OnUpgrade`] in the extensions of its request (axum's `WebSocketUpgrade`
//! among them), and only hyper can make one. So a hyper of its own is asked for an upgrade over a stream of our making;
//! it never sees the request or its answer. Once the app has said yes and its answer is written, that stream passes on
//! to the real one.

mod limit;
mod switch;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use axum::body::Body;
use http::{Extensions, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

pub(crate) use limit::UpgradeLimit;
use switch::Switch;

use crate::connection::BoxIo;

/// An upgrade that an app has been offered with its request.
pub(in crate::http) struct Upgrade {
    switch: Switch,
    hyper: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Upgrade {
    /// Puts an `OnUpgrade` among the extensions of a request; `None` if hyper gave none, which it always does.
    #[cold]
    pub(in crate::http) fn offer(extensions: &mut Extensions) -> Option<Self> {
        let switch = Switch::default();
        let (accepted, on_upgrade) = (switch.clone(), Arc::new(Mutex::new(None::<OnUpgrade>)));
        let asked = Arc::clone(&on_upgrade);
        let service = service_fn(move |mut request: Request<Incoming>| {
            *lock(&asked) = Some(hyper::upgrade::on(&mut request));
            let accepted = accepted.clone();
            async move {
                poll_fn(|cx| accepted.poll_accepted(cx)).await;
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(switch.stream()), service)
            .with_upgrades();
        let mut hyper: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            // Ends when the upgrade is handed over, or with the stream.
            let _ = connection.await;
        });
        // It reads the question at once, and then waits for the app.
        let _ = hyper.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let on_upgrade = lock(&on_upgrade).take()?;
        extensions.insert(on_upgrade);
        Some(Self { switch, hyper })
    }

    /// The app has accepted, and its answer is on its way: hands `io` over, and waits until the app has let go of it.
    /// When this future is dropped before, the stream is cut.
    pub(in crate::http) async fn run(self, io: BoxIo) {
        let Self { switch, hyper } = self;
        let _cut = CutOnDrop(switch.clone());
        switch.accept(io);
        hyper.await;
        poll_fn(|cx| switch.poll_over(cx)).await;
    }
}

struct CutOnDrop(Switch);

impl Drop for CutOnDrop {
    fn drop(&mut self) {
        self.0.cut();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn the_stream_of_an_accepted_upgrade_is_the_real_one() {
        let mut extensions = Extensions::new();
        let upgrade = Upgrade::offer(&mut extensions).unwrap();
        let on_upgrade = extensions.remove::<OnUpgrade>().unwrap();
        let app = tokio::spawn(async move {
            let mut stream = TokioIo::new(on_upgrade.await.unwrap());
            let mut asked = [0; 4];
            stream.read_exact(&mut asked).await.unwrap();
            stream.write_all(b"pong").await.unwrap();
            stream.shutdown().await.unwrap();
            asked
        });
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"ping").await.unwrap();
        upgrade.run(BoxIo::new(server)).await;
        assert_eq!(&app.await.unwrap(), b"ping");
        let mut answered = String::new();
        client.read_to_string(&mut answered).await.unwrap();
        assert_eq!(answered, "pong");
    }

    #[tokio::test]
    async fn a_stream_that_is_cut_ends_for_who_waits_on_it() {
        let mut extensions = Extensions::new();
        let upgrade = Upgrade::offer(&mut extensions).unwrap();
        let on_upgrade = extensions.remove::<OnUpgrade>().unwrap();
        let (waits, waiting) = tokio::sync::oneshot::channel();
        let app = tokio::spawn(async move {
            let mut stream = TokioIo::new(on_upgrade.await.unwrap());
            waits.send(()).unwrap();
            stream.read(&mut [0]).await.unwrap()
        });
        let (mut client, server) = tokio::io::duplex(64);
        let tunnel = tokio::spawn(upgrade.run(BoxIo::new(server)));
        waiting.await.unwrap();
        tokio::task::yield_now().await;
        tunnel.abort();
        assert_eq!(app.await.unwrap(), 0);
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_upgrade_that_is_not_accepted_fails() {
        let mut extensions = Extensions::new();
        drop(Upgrade::offer(&mut extensions).unwrap());
        let on_upgrade = extensions.remove::<OnUpgrade>().unwrap();
        assert!(on_upgrade.await.is_err());
    }

    #[tokio::test]
    async fn an_app_that_does_not_take_the_stream_ends_it() {
        let mut extensions = Extensions::new();
        let upgrade = Upgrade::offer(&mut extensions).unwrap();
        drop(extensions);
        let (mut client, server) = tokio::io::duplex(64);
        upgrade.run(BoxIo::new(server)).await;
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    }
}
