//! What every request of a connection has in its extensions.

use axum::extract::ConnectInfo;
use http::Extensions;

use crate::connection::ConnectionInfo;

/// Made once and cloned, with room for what the server and a router add: a table that grows would
/// cost each request more than all of its other work here.
pub(in crate::http) fn extensions(info: &ConnectionInfo) -> Extensions {
    #[derive(Clone)]
    struct Room<const N: usize>;

    let mut extensions = Extensions::new();
    extensions.insert(Room::<0>);
    extensions.insert(Room::<1>);
    extensions.insert(Room::<2>);
    extensions.insert(Room::<3>);
    extensions.remove::<Room<0>>();
    extensions.remove::<Room<1>>();
    extensions.remove::<Room<2>>();
    extensions.remove::<Room<3>>();
    if let Some(remote) = info.remote_addr() {
        extensions.insert(ConnectInfo(remote));
    }
    extensions
}
