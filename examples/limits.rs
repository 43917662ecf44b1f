//! Limits at their three heights: the server's, a route's, and one request's.
//!
//! ```text
//! cargo run --example limits
//! head -c 2000 /dev/zero | curl -i --data-binary @- http://localhost:5000/note      # 413
//! head -c 2000 /dev/zero | curl -i --data-binary @- http://localhost:5000/upload    # 200
//! ```

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{BoxError, Router};
use http_body_util::BodyExt;
use kestrel_rs::request::{
    BodyError, LimitError, MaxRequestBodySizeLayer, MinResponseDataRateLayer, RequestLimits,
};
use kestrel_rs::{Endpoint, KestrelListener, Limits, MinDataRate};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    // The server's: for every request that nothing below speaks for.
    let limits = Limits::default()
        .max_request_body_size(10_000)
        .min_request_body_data_rate(MinDataRate::new(100.0, Duration::from_secs(10))?);

    let app = Router::new()
        .route("/", post(length))
        // A route's: notes are short, and events may be taken as slowly as one likes.
        .route("/note", post(length).layer(MaxRequestBodySizeLayer::new(1000)))
        .route("/events", get(async || "once upon a time").layer(MinResponseDataRateLayer::new(None)))
        // One request's: the handler decides.
        .route("/upload", post(upload));

    let listener =
        KestrelListener::builder().limits(limits).endpoint(Endpoint::localhost(5000)).bind().await?;
    kestrel_rs::serve(app).listener(listener).await?;
    Ok(())
}

async fn upload(limits: RequestLimits, body: Body) -> Result<Result<String, Response>, LimitError> {
    limits.set_max_request_body_size(1 << 30)?; // before the first read
    limits.set_min_request_body_data_rate(None)?;
    Ok(length(body).await)
}

async fn length(mut body: Body) -> Result<String, Response> {
    let mut octets = 0;
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => octets += frame.data_ref().map_or(0, Bytes::len),
            Err(error) => {
                // To pass it on as a 400 or 500 would do too: the server knows better, and says so.
                let status = BodyError::find(&error).and_then(BodyError::status);
                return Err(status.unwrap_or(StatusCode::BAD_REQUEST).into_response());
            }
        }
    }
    Ok(format!("{octets} bytes\n"))
}
