//! The routes of a gRPC service: limits that fit calls, refusals in gRPC's own words.

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use tower::Layer;

use super::shared::around::{Around, Step};
use super::{CatchPanic, CatchPanicLayer, RequestContext};
use crate::text::lines::joined;

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Makes a route fit for gRPC: calls have all the time and all the size, and a refusal is told in `grpc-status`.
///
/// A call may stay silent for hours in both directions and carry messages without end, which the limits of an upload
/// or of a page would cut. So for a call the largest body, the rate of the request body and the rate of the answer are
/// lifted, each as its layer does it. gRPC has its own bounds: the size of a message in the service, deadlines and
/// keep-alive pings.
///
/// An answer of a layer or a handler inside with another status than 200 becomes a call that failed: a client of gRPC
/// reads `grpc-status`, not the status of HTTP. The other headers stay. A panic is one too. Where a limit that stands inside
/// has struck and the service says `UNKNOWN` or `INTERNAL` for it, the code is that of the limit.
///
/// | status | `grpc-status` |
/// |---|---|
/// | 400 | 13, `INTERNAL` |
/// | 401 | 16, `UNAUTHENTICATED` |
/// | 403 | 7, `PERMISSION_DENIED` |
/// | 404, 405, 501 | 12, `UNIMPLEMENTED` |
/// | 408 | 4, `DEADLINE_EXCEEDED` |
/// | 413, 431 | 8, `RESOURCE_EXHAUSTED` |
/// | 429, 502, 503, 504 | 14, `UNAVAILABLE` |
/// | any other | 2, `UNKNOWN` |
///
/// It is for the routes of gRPC services, never for a whole app: what is lifted is lifted for whoever calls them. A
/// call is a POST over HTTP/2 whose Content-Type is `application/grpc`; other requests of the route keep their limits and
/// get their answers as they are.
///
/// # Differences from ASP.NET Core
///
/// There the limits are lifted for methods whose client sends a stream; a layer does not know the methods, and lifts
/// them for all. The mapping is that of gRPC's clients, with words of their own for limits.
///
/// # Example
///
/// With tonic, on one port with the other routes:
///
/// ```
/// use axum::{Router, routing::get};
/// use kestrel_rs::request::GrpcLayer;
/// # use axum::{body::Body, extract::Request, response::Response};
/// # type GreeterServer = tower::util::BoxCloneSyncService<Request, Response, std::convert::Infallible>;
///
/// fn app(greeter: GreeterServer) -> Router {
///     let grpc = Router::new().route_service("/greet.Greeter/{method}", greeter);
///     Router::new().route("/", get(|| async { "Hello, World!" })).merge(grpc.layer(GrpcLayer::new()))
/// }
/// # let _ = app;
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct GrpcLayer;

impl GrpcLayer {
    /// There is nothing to choose.
    pub fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for GrpcLayer {
    type Service = Grpc<S>;

    fn layer(&self, inner: S) -> Grpc<S> {
        Around::new(CatchPanicLayer::new().layer(inner), *self)
    }
}

/// The service of [`GrpcLayer`].
pub type Grpc<S> = Around<CatchPanic<S>, GrpcLayer>;

impl Step for GrpcLayer {
    /// Whether the request is a call.
    type Kept = bool;

    fn enter(&self, request: &mut Request<Body>, context: &RequestContext) -> bool {
        let is_call = is_call(request);
        if is_call {
            let limits = context.limits();
            limits.set_max_size(None);
            limits.set_request_rate(None);
            limits.set_response_rate(None);
        }
        is_call
    }

    fn leave(is_call: bool, context: &RequestContext, response: &mut Response) {
        if !is_call {
            return;
        }
        if response.status() != StatusCode::OK {
            tell(response);
        } else if let Some(failure) = context.limits().failure()
            && passes_on(response)
        {
            response.headers_mut().insert(STATUS, code(failure).into());
        }
    }
}

fn is_call(request: &Request<Body>) -> bool {
    request.version() >= Version::HTTP_2
        && *request.method() == Method::POST
        && is_grpc(&joined(request.headers(), &CONTENT_TYPE))
}

/// `application/grpc`, alone or with what follows it; `application/grpc-web` is another protocol.
fn is_grpc(kind: &[u8]) -> bool {
    const GRPC: &[u8] = b"application/grpc";
    let Some((name, rest)) = kind.split_at_checked(GRPC.len()) else { return false };
    name.eq_ignore_ascii_case(GRPC) && matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b'\t'))
}

/// Whether a service made a status of a body's error that it does not know: `UNKNOWN` or `INTERNAL`.
fn passes_on(response: &Response) -> bool {
    response.headers().get(STATUS).is_some_and(|status| matches!(status.as_bytes(), b"2" | b"13"))
}

/// Makes a refusal of HTTP one of gRPC: an answer of trailers only.
fn tell(response: &mut Response) {
    let status = response.status();
    *response.status_mut() = StatusCode::OK;
    *response.body_mut() = Body::empty();
    let headers = response.headers_mut();
    for of_the_body in [ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING] {
        headers.remove(of_the_body);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.entry(STATUS).or_insert_with(|| code(status).into());
    // Of visible ASCII, which needs no coding.
    if let Ok(message) = HeaderValue::try_from(format!("HTTP status {status}")) {
        headers.entry(MESSAGE).or_insert(message);
    }
}

/// As gRPC's clients read a status, with the limits told apart.
fn code(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 | 405 | 501 => 12,
        408 => 4,
        413 | 431 => 8,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::response::IntoResponse;
    use axum::routing::any;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    const CALL: (Version, &str) = (Version::HTTP_2, "application/grpc");

    async fn answer((version, kind): (Version, &str), answer: Response) -> Response {
        let answer = std::sync::Mutex::new(Some(answer));
        let answer = std::sync::Arc::new(answer);
        let app = Router::new()
            .route("/", any(async move || answer.lock().unwrap().take().unwrap()))
            .layer(GrpcLayer::new());
        let request = Request::post("/").version(version).header(CONTENT_TYPE, kind);
        app.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_trailers_only() {
        for (status, code) in [(400, "13"), (401, "16"), (404, "12"), (413, "8"), (503, "14"), (418, "2")] {
            let refusal = (StatusCode::from_u16(status).unwrap(), [("x-id", "7"), ("allow", "GET")], "no");
            let response = answer(CALL, refusal.into_response()).await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["grpc-status"], code, "{status}");
            assert!(response.headers()["grpc-message"].to_str().unwrap().starts_with("HTTP status "));
            assert_eq!(response.headers()["content-type"], "application/grpc");
            assert_eq!(response.headers()["x-id"], "7");
            assert!(!response.headers().contains_key("allow"));
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "");
        }
    }

    #[tokio::test]
    async fn an_answer_is_left_alone() {
        let response = answer(CALL, ([("grpc-status", "5")], "no").into_response()).await;
        assert_eq!(response.headers()["grpc-status"], "5");
        let own = (StatusCode::NOT_FOUND, [("grpc-status", "5"), ("grpc-message", "own")]);
        let response = answer(CALL, own.into_response()).await;
        assert_eq!(response.headers()["grpc-status"], "5");
        assert_eq!(response.headers()["grpc-message"], "own");
    }

    #[tokio::test]
    async fn what_is_no_call_has_its_own_answer() {
        for no_call in [
            (Version::HTTP_11, "application/grpc"),
            (Version::HTTP_2, "application/grpc-web"),
            (Version::HTTP_2, "application/json"),
        ] {
            assert_eq!(answer(no_call, StatusCode::NOT_FOUND.into_response()).await.status(), 404);
        }
        assert!(is_grpc(b"Application/GRPC+proto") && is_grpc(b"application/grpc; a=b"));
    }
}
