//! Every log event, one function each, named as Kestrel names it.
//!
//! What a client can cause is logged at debug, never above: nobody outside may fill the log.

use crate::connection::ConnectionInfo;

/// Over the limit for connections.
pub(crate) fn connection_rejected(connection: &ConnectionInfo) {
    tracing::debug!(target: "kestrel_rs::connections", id = %connection.id(), endpoint = connection.endpoint(), "connection rejected: too many");
}
