//! Parses a large JSON body with a library that cannot await: `serde_json::from_reader` takes the
//! body as it comes, so that its text is never in memory as a whole.
//!
//! ```sh
//! cargo run --example synchronous_json
//! seq -s, 1 1000000 | sed 's/.*/[&]/' | curl --data-binary @- localhost:5000
//! ```

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use kestrel_rs::SynchronousIo;
use kestrel_rs::request::{SynchronousIoError, SynchronousIoLayer};

#[tokio::main]
async fn main() -> Result<(), kestrel_rs::Error> {
    let app = Router::new().route("/", post(sum).layer(SynchronousIoLayer::allowed()));
    kestrel_rs::serve(app).await
}

/// Adds up an array of numbers.
async fn sum(io: SynchronousIo, body: Body) -> Result<Response, SynchronousIoError> {
    let numbers = io.read(body, |reader| serde_json::from_reader::<_, Vec<u64>>(reader)).await?;
    Ok(match numbers {
        Ok(numbers) => numbers.iter().sum::<u64>().to_string().into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()).into_response(),
    })
}
