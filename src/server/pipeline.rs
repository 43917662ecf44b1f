//! THE MAP: what a connection and a request pass, top = outermost.

use std::sync::Arc;

use axum::response::IntoResponse;
use tokio::sync::mpsc;
use tower::ServiceBuilder;
use tower::util::BoxCloneService;

use super::HttpService;
use super::axum_stream::{AxumStream, HandOver};
use crate::connection::{BoxConnectionService, ConnectionLayer, ConnectionLimitLayer};
use crate::http::upgrade::UpgradeLimit;
use crate::http::{App, HttpProtocol};
use crate::limits::Limits;
use crate::listener::BoundEndpoint;
use crate::request::{
    BadRequestLayer, CatchPanicLayer, DefaultHeadersLayer, MaxRequestBodySizeLayer,
    MinRequestBodyDataRateLayer, MinResponseDataRateLayer, ResetLayer, Stack, SynchronousIoLayer,
    TrailersLayer,
};

/// What serves the connections of one bound endpoint.
pub(super) fn connections<S: App>(
    endpoint: &BoundEndpoint,
    app: &S,
    upgrades: &Arc<UpgradeLimit>,
) -> BoxConnectionService {
    let http = HttpProtocol::new(app.clone(), &endpoint.limits, endpoint.protocols, upgrades.clone());
    around(endpoint, BoxCloneService::new(http))
}

/// The same for connections that another server takes.
pub(super) fn handed_over(endpoint: &BoundEndpoint, to: &mpsc::Sender<AxumStream>) -> BoxConnectionService {
    around(endpoint, BoxCloneService::new(HandOver(to.clone())))
}

fn around(endpoint: &BoundEndpoint, innermost: BoxConnectionService) -> BoxConnectionService {
    let limits = &endpoint.limits;
    let service = endpoint.layers.wrap(innermost);
    match limits.max_concurrent_connections {
        Some(limit) => ConnectionLimitLayer::new(limit).wrap(service),
        None => service,
    }
}

/// What answers requests: the default layers, unless they are not wanted, around the app.
pub(super) fn requests<S: HttpService>(app: S, limits: &Limits, default_layers: bool) -> impl App + use<S> {
    ServiceBuilder::new()
        .option_layer(default_layers.then(|| {
            Stack::outermost(limits.server_header.then(DefaultHeadersLayer::new))
                .then(ResetLayer::new())
                .then(BadRequestLayer::new())
                .then(TrailersLayer::new())
                .then(MinResponseDataRateLayer::new(limits.min_response_data_rate))
                .then(MinRequestBodyDataRateLayer::new(limits.min_request_body_data_rate))
                .then(MaxRequestBodySizeLayer::new(limits.max_request_body_size))
                .then(SynchronousIoLayer::refused())
        }))
        .option_layer(default_layers.then(CatchPanicLayer::new))
        // Inside, since this may panic too.
        .map_response(IntoResponse::into_response)
        .service(app)
}
