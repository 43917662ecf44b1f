//! The layer and its options.

use std::sync::Arc;

use tower::Layer;

use super::HttpMethodOverride;

/// Takes the method of a POST from a header, or from a field of its form.
///
/// # Defaults
///
/// | option | default |
/// |---|---|
/// | source | the header `X-HTTP-Method-Override`; [`form_field`](Self::form_field) instead of it |
/// | [`max_form_size`](Self::max_form_size) | 1 MiB |
///
/// # Example
///
/// ```
/// use axum::{Router, routing::delete};
/// use kestrel_rs::request::HttpMethodOverrideLayer;
/// use tower::Layer;
///
/// let app: Router = Router::new().route("/", delete(|| async { "gone" }));
/// let app = HttpMethodOverrideLayer::form_field("_method").max_form_size(64 * 1024).layer(app);
/// # let _ = app;
/// ```
#[derive(Clone, Debug)]
pub struct HttpMethodOverrideLayer {
    /// `None`: the header.
    pub(super) field: Option<Arc<str>>,
    pub(super) max_form_size: usize,
}

impl HttpMethodOverrideLayer {
    /// Reads the header `X-HTTP-Method-Override`.
    pub fn new() -> Self {
        Self { field: None, max_form_size: 1024 * 1024 }
    }

    /// Reads this field of forms, url-encoded or multipart, and no header. The form of each POST is kept in memory
    /// until its method is known.
    pub fn form_field(name: &str) -> Self {
        Self { field: Some(name.into()), ..Self::new() }
    }

    /// The largest body, in octets, that is read for its form; a larger one is answered 413. Each client can make the
    /// server hold as much.
    pub fn max_form_size(mut self, octets: usize) -> Self {
        self.max_form_size = octets;
        self
    }
}

impl Default for HttpMethodOverrideLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for HttpMethodOverrideLayer {
    type Service = HttpMethodOverride<S>;

    fn layer(&self, inner: S) -> HttpMethodOverride<S> {
        HttpMethodOverride { inner, options: self.clone() }
    }
}
