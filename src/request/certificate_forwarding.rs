//! The client's certificate, from the header of a proxy that ended TLS.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use memchr::memmem;
use tower::{Layer, Service};

use crate::error::BoxError;
use crate::telemetry::events;
use crate::text::lines::joined;

/// Puts the certificate that a proxy wrote into a header into the request's extensions, as
/// [`ForwardedClientCertificate`].
///
/// Whoever can reach the server can write the header: the proxy must take away what its client wrote, and nobody
/// else may connect. The octets are not verified; that the client holds the key is the proxy's word.
///
/// # Defaults
///
/// | option | default |
/// |---|---|
/// | [`header`](Self::header) | `X-Client-Cert` |
/// | [`converter`](Self::converter) | base64 of DER, or of PEM, whose first certificate counts |
///
/// # Differences from ASP.NET Core
///
/// The header is read once, before the handler runs. The certificate stays octets, of which only the outermost length
/// is looked at. PKCS#12 is not read.
///
/// # Example
///
/// ```
/// use axum::{Extension, Router, routing::get};
/// use http::Request;
/// use kestrel_rs::request::{CertificateForwardingLayer, ForwardedClientCertificate};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// async fn length(certificate: Option<Extension<ForwardedClientCertificate>>) -> String {
///     let der = certificate.as_ref().and_then(|Extension(certificate)| certificate.der());
///     der.map_or(0, |der| der.len()).to_string()
/// }
///
/// let app: Router = Router::new().route("/", get(length)).layer(CertificateForwardingLayer::new());
/// let request = Request::get("/").header("x-client-cert", "MAMCAQE=").body(axum::body::Body::empty()).unwrap();
/// let response = app.oneshot(request).await.unwrap();
/// assert_eq!(axum::body::to_bytes(response.into_body(), 10).await.unwrap(), "5");
/// # }
/// ```
#[derive(Clone)]
pub struct CertificateForwardingLayer {
    header: HeaderName,
    convert: Arc<Converter>,
}

type Converter = dyn Fn(&HeaderValue) -> Result<Option<Bytes>, BoxError> + Send + Sync;

impl CertificateForwardingLayer {
    /// Reads `X-Client-Cert`.
    pub fn new() -> Self {
        Self { header: HeaderName::from_static("x-client-cert"), convert: Arc::new(from_base64) }
    }

    /// Reads this header instead.
    pub fn header(mut self, name: HeaderName) -> Self {
        self.header = name;
        self
    }

    /// Makes the DER octets of the header's value; `None` is "no certificate". What an error says goes to the log, at
    /// debug.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::request::CertificateForwardingLayer;
    ///
    /// let layer = CertificateForwardingLayer::new().converter(|value| {
    ///     let hex = value.to_str()?.as_bytes();
    ///     let octets = hex.chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    ///     Ok(Some(octets.collect::<Result<Vec<u8>, kestrel_rs::BoxError>>()?.into()))
    /// });
    /// # let _ = layer;
    /// ```
    pub fn converter<F>(mut self, convert: F) -> Self
    where
        F: Fn(&HeaderValue) -> Result<Option<Bytes>, BoxError> + Send + Sync + 'static,
    {
        self.convert = Arc::new(convert);
        self
    }

    fn read(&self, headers: &HeaderMap) -> Option<ForwardedClientCertificate> {
        let mut lines = headers.get_all(&self.header).iter();
        if lines.next()?.is_empty() && lines.next().is_none() {
            return None;
        }
        let value = HeaderValue::from_bytes(&joined(headers, &self.header));
        let der = value.map_err(BoxError::from).and_then(|value| (self.convert)(&value));
        let der = der.unwrap_or_else(|error: BoxError| {
            events::certificate_unreadable(&error);
            None
        });
        Some(ForwardedClientCertificate(der))
    }
}

impl Default for CertificateForwardingLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CertificateForwardingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CertificateForwardingLayer").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for CertificateForwardingLayer {
    type Service = CertificateForwarding<S>;

    fn layer(&self, inner: S) -> CertificateForwarding<S> {
        CertificateForwarding { inner, options: self.clone() }
    }
}

/// The certificate that a proxy forwarded: there when the header was, in a request's extensions.
///
/// [`TlsInfo`](crate::TlsInfo) goes on saying what the connection itself has, which is then the proxy's. Where clients
/// come through a proxy as well as without, this one counts before it.
///
/// # Example
///
/// ```
/// use axum::Extension;
/// use kestrel_rs::TlsInfo;
/// use kestrel_rs::request::ForwardedClientCertificate;
///
/// async fn whoami(
///     forwarded: Option<Extension<ForwardedClientCertificate>>,
///     tls: Option<TlsInfo>,
/// ) -> String {
///     let certificate = match (&forwarded, &tls) {
///         (Some(Extension(forwarded)), _) => forwarded.der().map(|der| der.to_vec()),
///         (None, Some(tls)) => tls.peer_certificates().next().map(<[u8]>::to_vec),
///         (None, None) => None,
///     };
///     certificate.map_or("nobody".to_owned(), |der| format!("{} octets", der.len()))
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(whoami));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedClientCertificate(Option<Bytes>);

impl ForwardedClientCertificate {
    /// The certificate in DER; `None` if what stood in the header was none. A certificate of the connection itself,
    /// which is the proxy's, does not count then either.
    pub fn der(&self) -> Option<&Bytes> {
        self.0.as_ref()
    }
}

/// The service of [`CertificateForwardingLayer`].
///
/// # Example
///
/// See [`CertificateForwardingLayer`].
#[derive(Clone, Debug)]
pub struct CertificateForwarding<S> {
    inner: S,
    options: CertificateForwardingLayer,
}

impl<S, B> Service<Request<B>> for CertificateForwarding<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(certificate) = self.options.read(request.headers()) {
            request.extensions_mut().insert(certificate);
        }
        self.inner.call(request)
    }
}

/// As .NET reads base64: white space may stand anywhere, padding must be there, bits that are left over do not matter.
const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));

fn decode(text: &[u8]) -> Result<Vec<u8>, base64::DecodeError> {
    let text: Vec<u8> = text.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
    BASE64.decode(text)
}

fn from_base64(value: &HeaderValue) -> Result<Option<Bytes>, BoxError> {
    let octets = decode(value.as_bytes())?;
    let octets = match pem(&octets) {
        Some(inside) => decode(inside)?,
        None => octets,
    };
    let length = der_length(&octets).ok_or("it is no certificate")?;
    Ok(Some(Bytes::from(octets).slice(..length)))
}

/// What stands between the first pair of PEM's lines.
fn pem(text: &[u8]) -> Option<&[u8]> {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    let begin = memmem::find(text, BEGIN)? + BEGIN.len();
    let end = memmem::find(&text[begin..], b"-----END CERTIFICATE-----")?;
    Some(&text[begin..begin + end])
}

/// How long the sequence is that the octets begin with (X.690, 8.1.3), if all of it is there.
fn der_length(octets: &[u8]) -> Option<usize> {
    let [0x30, length, rest @ ..] = octets else { return None };
    let (length, head) = match length {
        0..=0x7F => (usize::from(*length), 2),
        // No certificate has more than 16 MiB.
        0x81..=0x83 => {
            let count = usize::from(length & 0x7F);
            let digits = rest.get(..count)?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), 2 + count)
        }
        _ => return None,
    };
    Some(head + length).filter(|end| *end <= octets.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Response;
    use std::convert::Infallible;
    use tower::{ServiceExt, service_fn};

    async fn seen(layer: &CertificateForwardingLayer, value: &str) -> Option<ForwardedClientCertificate> {
        let inner = service_fn(async |request: Request<()>| {
            Ok::<_, Infallible>(Response::new(
                request.extensions().get::<ForwardedClientCertificate>().cloned(),
            ))
        });
        let request = Request::get("/").header("x-client-cert", value).body(()).unwrap();
        let Ok(response) = layer.layer(inner).oneshot(request).await;
        response.into_body()
    }

    #[tokio::test]
    async fn reads_base64_of_der_or_pem() {
        let layer = CertificateForwardingLayer::new();
        let der = Some(ForwardedClientCertificate(Some(Bytes::from_static(b"\x30\x03\x02\x01\x01"))));
        assert_eq!(seen(&layer, "MAMCAQE=").await, der);
        assert_eq!(seen(&layer, "MAMC\tAQ E=").await, der);
        assert_eq!(seen(&layer, "MAMCAQEAAA==").await, der); // octets behind it
        let pem = BASE64.encode("-----BEGIN CERTIFICATE-----\nMAMC\nAQE=\n-----END CERTIFICATE-----\n");
        assert_eq!(seen(&layer, &pem).await, der);
    }

    #[tokio::test]
    async fn of_several_lines_those_that_are_empty_do_not_count() {
        let layer = CertificateForwardingLayer::new();
        let read = |lines: &[&'static str]| {
            let name = layer.header.clone();
            let headers = lines
                .iter()
                .map(|line| (name.clone(), HeaderValue::from_static(line)))
                .collect::<HeaderMap>();
            layer.read(&headers).map(|certificate| certificate.der().cloned())
        };
        let der = Some(Some(Bytes::from_static(b"\x30\x03\x02\x01\x01")));
        assert_eq!(read(&["", "MAMCAQE="]), der);
        assert_eq!(read(&["MAMCAQE=", ""]), der);
        assert_eq!(read(&["", "MAMCAQE=", "", ""]), der);
        assert_eq!(read(&["MAMCAQE=", "MAMCAQE="]), Some(None));
        assert_eq!(read(&["", ""]), Some(None));
        assert_eq!(read(&[""]), None);
        assert_eq!(read(&[]), None);
    }

    #[tokio::test]
    async fn what_is_none_is_there_without_octets() {
        let layer = CertificateForwardingLayer::new();
        let none = Some(ForwardedClientCertificate(None));
        for value in ["!!!", "MAMCAQE", "MAMCAQ==", "AAAA", ",MAMCAQE=", "MAMCAQE=,MAMCAQE=", "MAMCAQ_-"] {
            assert_eq!(seen(&layer, value).await, none, "{value}");
        }
        assert_eq!(seen(&layer, "").await, None);
        assert_eq!(seen(&layer.converter(|_| Ok(None)), "MAMCAQE=").await, none);
    }
}
