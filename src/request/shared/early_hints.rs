//! What a client may begin with while its answer is being made.

use std::fmt;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::{NotServedByKestrel, RequestContext};

/// Sends `103 Early Hints` (RFC 8297) before the answer: what it will need, so that a browser loads it while the handler
/// is still at work.
///
/// An extractor. What is sent leaves at once, as often as the handler likes, while it has not answered. HTTP/1.0 has no
/// such answers, and there nothing is sent. Under another server than [`serve`](crate::serve) the extractor refuses with
/// [`NotServedByKestrel`]; take an `Option<EarlyHints>` where that is no mistake.
///
/// # Example
///
/// ```
/// use axum::{Router, response::Html, routing::get};
/// use kestrel_rs::request::EarlyHints;
///
/// async fn page(hints: EarlyHints) -> Html<String> {
///     hints.link("</style.css>; rel=preload; as=style");
///     Html(from_the_database().await)
/// }
/// # async fn from_the_database() -> String { String::new() }
/// # let _: Router = Router::new().route("/", get(page));
/// ```
///
/// # Differences from Kestrel
///
/// It has no such thing.
#[derive(Clone)]
pub struct EarlyHints(RequestContext);

impl EarlyHints {
    /// Sends one 103 with this `Link`, such as `</style.css>; rel=preload; as=style` (RFC 8288). `false`, and nothing is
    /// sent, if it is no header value or the answer has begun.
    pub fn link(&self, link: impl TryInto<HeaderValue>) -> bool {
        const LINK: HeaderName = http::header::LINK;
        let Ok(link) = link.try_into() else { return false };
        self.send(HeaderMap::from_iter([(LINK, link)]))
    }

    /// Sends one 103 with these headers; those that frame a message or are about the connection are left out. `false`, and
    /// nothing is sent, if the answer has begun.
    pub fn send(&self, mut headers: HeaderMap) -> bool {
        for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE] {
            headers.remove(name);
        }
        self.0.early_hints().push(headers)
    }

    fn find(parts: &mut Parts) -> Result<Self, NotServedByKestrel> {
        let context = parts.extensions.get::<RequestContext>().filter(|context| context.is_served());
        let context = context.ok_or(NotServedByKestrel)?.clone();
        context.early_hints().enter();
        Ok(Self(context))
    }
}

extractor!(EarlyHints, NotServedByKestrel);

impl fmt::Debug for EarlyHints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EarlyHints").finish_non_exhaustive()
    }
}
