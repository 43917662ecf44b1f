//! THE MAP: what a connection and a request pass, top = outermost.

use std::sync::Arc;

use axum::body::Body;
use axum::response::IntoResponse;
use http::{Response, StatusCode};
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;

use super::HttpService;
use crate::connection::{BoxConnectionService, ConnectionLimitLayer, wrap};
use crate::http::upgrade::UpgradeLimit;
use crate::http::{App, HttpProtocol};
use crate::limits::Limits;
use crate::listener::BoundEndpoint;
use crate::request::{
    BadRequestLayer, DefaultHeadersLayer, MaxRequestBodySizeLayer, MinRequestBodyDataRateLayer,
    MinResponseDataRateLayer,
};

/// What serves the connections of one bound endpoint.
pub(super) fn connections<S: App>(
    endpoint: &BoundEndpoint,
    app: &S,
    upgrades: &Arc<UpgradeLimit>,
) -> BoxConnectionService {
    let limits = &endpoint.limits;
    let http = HttpProtocol::new(app.clone(), limits, endpoint.protocols, upgrades.clone());
    let service = endpoint.layers.wrap(BoxCloneSyncService::new(http));
    match limits.max_concurrent_connections {
        Some(limit) => wrap(&ConnectionLimitLayer::new(limit), service),
        None => service,
    }
}

/// What answers requests: the default layers, unless they are not wanted, around the app.
pub(super) fn requests<S: HttpService>(app: S, limits: &Limits, default_layers: bool) -> impl App + use<S> {
    let size = limits.max_request_body_size;
    let size = size.map_or(MaxRequestBodySizeLayer::unlimited(), MaxRequestBodySizeLayer::bytes);
    ServiceBuilder::new()
        .option_layer(default_layers.then(|| {
            ServiceBuilder::new()
                .layer(DefaultHeadersLayer::default())
                .layer(BadRequestLayer::new())
                .map_response(|response: Response<_>| response.map(Body::new))
                .layer(CatchPanicLayer::custom(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response()))
                .layer(MinResponseDataRateLayer::new(limits.min_response_data_rate))
                .layer(MinRequestBodyDataRateLayer::new(limits.min_request_body_data_rate))
                .layer(size)
                .into_inner()
        }))
        .service(app.map_response(IntoResponse::into_response))
}
