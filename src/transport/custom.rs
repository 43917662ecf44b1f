//! Any listener that `axum::serve` takes, as a socket.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;

use axum::serve::Listener;
use http::Extensions;
use tokio::sync::Mutex;

use super::{Accepted, BoxIo, Peer, ResetOnDrop};
use crate::text::ip::canonical;

/// A listener of somebody else's.
pub(crate) struct CustomSocket {
    name: Box<str>,
    local: Option<SocketAddr>,
    listener: Mutex<Box<dyn Accept>>,
}

impl CustomSocket {
    pub(crate) fn new<L>(name: &str, listener: L) -> Self
    where
        L: Listener<Addr: Clone + Sync + 'static>,
    {
        let local = listener.local_addr().ok().and_then(|address| socket_addr(&address));
        Self { name: name.into(), local, listener: Mutex::new(Box::new(listener)) }
    }

    pub(super) async fn accept(&self) -> Accepted {
        // One task waits for the listener, the others for the lock.
        let mut listener = self.listener.lock().await;
        let accepted = listener.accept().await;
        Accepted { local: self.local, ..accepted }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }
}

impl fmt::Debug for CustomSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomSocket").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A [`Listener`] with its type erased.
trait Accept: Send {
    fn accept(&mut self) -> Pin<Box<dyn Future<Output = Accepted> + Send + '_>>;
}

impl<L> Accept for L
where
    L: Listener<Addr: Clone + Sync + 'static>,
{
    fn accept(&mut self) -> Pin<Box<dyn Future<Output = Accepted> + Send + '_>> {
        Box::pin(async {
            let (io, remote) = Listener::accept(self).await;
            let mut items = Extensions::new();
            let peer = socket_addr(&remote).map_or(Peer::Unknown, Peer::Ip);
            items.insert(remote);
            let reset = ResetOnDrop::default(); // what a reset is, the transport alone knows
            Accepted { io: BoxIo::new(io), local: None, peer, reset, items }
        })
    }
}

/// The IP address and port, if that is what an address is.
fn socket_addr(address: &dyn Any) -> Option<SocketAddr> {
    address.downcast_ref().copied().map(canonical)
}
