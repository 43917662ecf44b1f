//! The simplest program: `cargo run --example hello`, then <http://localhost:5000>.

use axum::{Router, routing::get};

#[tokio::main]
async fn main() -> Result<(), kestrel_rs::Error> {
    let app = Router::new().route("/", get(|| async { "Hello, World!" }));
    kestrel_rs::serve(app).await
}
