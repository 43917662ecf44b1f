//! The algorithm: walks from the nearest proxy outward, then rewrites the request.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use http::header::{FORWARDED, HOST};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Request, Uri};

use super::values::{self, Element, Value};
use super::{ForwardedHeaders, ForwardedHeadersLayer, address};
use crate::connection::ConnectionInfo;
use crate::request::shared::ForwardedRemote;
use crate::request::{PathBase, RequestContext, RequestScheme};
use crate::telemetry::events;
use crate::text::host;
use crate::text::ip::AddressText;
use crate::transport::Peer;

/// What the headers say, a list each; the nearest proxy is the last.
#[derive(Default)]
struct Said {
    client: Vec<Value>,
    proto: Vec<Value>,
    host: Vec<Value>,
    prefix: Vec<Value>,
    /// The elements of `Forwarded`, where that is what is read. The lists are as long as this then.
    elements: Vec<Element>,
}

/// What to believe.
#[derive(Default)]
struct Found {
    client: Option<SocketAddr>,
    proto: Option<Value>,
    host: Option<HeaderValue>,
    prefix: Option<PathBase>,
    /// How many places were gone through.
    places: usize,
}

impl ForwardedHeadersLayer {
    pub(super) fn apply<B>(&self, request: &mut Request<B>) {
        let said = self.said(request);
        let connection = remote(request);
        if let Some(found) = self.find(&said, connection) {
            self.rewrite(request, &said, found, connection);
        }
    }

    fn said<B>(&self, request: &Request<B>) -> Said {
        if self.standard {
            let elements = values::elements(request.headers().get_all(FORWARDED));
            let column = |flag, of: fn(&Element) -> &Option<Value>| {
                let values = elements.iter().map(|element| of(element).clone().unwrap_or_default());
                if self.headers.contains(flag) { values.collect() } else { Vec::new() }
            };
            return Said {
                client: column(ForwardedHeaders::FOR, |element| &element.client),
                proto: column(ForwardedHeaders::PROTO, |element| &element.proto),
                host: column(ForwardedHeaders::HOST, |element| &element.host),
                prefix: Vec::new(),
                elements,
            };
        }
        let list = |flag, name: &HeaderName| {
            let wanted = self.headers.contains(flag);
            if wanted { values::list(request.headers().get_all(name)) } else { Vec::new() }
        };
        Said {
            client: list(ForwardedHeaders::FOR, &self.names.client),
            proto: list(ForwardedHeaders::PROTO, &self.names.proto),
            host: list(ForwardedHeaders::HOST, &self.names.host),
            prefix: list(ForwardedHeaders::PREFIX, &self.names.prefix),
            elements: Vec::new(),
        }
    }

    /// `None`: nothing is to be changed.
    fn find(&self, said: &Said, connection: Peer) -> Option<Found> {
        let wants = |flag| self.headers.contains(flag);
        let lengths = [
            (ForwardedHeaders::FOR, said.client.len()),
            (ForwardedHeaders::PROTO, said.proto.len()),
            (ForwardedHeaders::HOST, said.host.len()),
            (ForwardedHeaders::PREFIX, said.prefix.len()),
        ];
        let mut lengths = lengths.iter().filter(|(flag, _)| wants(*flag)).map(|(_, length)| *length);
        let first = lengths.next()?;
        let (longest, even) = lengths
            .fold((first, true), |(longest, even), length| (longest.max(length), even && length == first));
        if self.symmetric && !self.standard && !even {
            events::forwarded_headers_uneven();
            return None;
        }

        let mut found = Found::default();
        let mut current = connection;
        let mut any = false;
        for place in 0..longest.min(self.limit.unwrap_or(usize::MAX)) {
            if !self.trust.covers(current) {
                events::unknown_proxy(&current);
                break;
            }
            if let Some(element) = from_nearest(&said.elements, place).filter(|element| !element.is_readable)
            {
                events::forwarded_element_unreadable(&element.text);
                break;
            }
            let mut is_last = false;
            if wants(ForwardedHeaders::FOR) {
                if let Some(text) = at(&said.client, place) {
                    let Some(address) = address::parse(text) else {
                        events::forwarded_address_unreadable(text);
                        break;
                    };
                    current = Peer::Ip(address);
                    any = true;
                } else if self.symmetric {
                    return uneven();
                } else {
                    is_last = self.standard;
                }
            }
            if wants(ForwardedHeaders::PROTO) {
                match at(&said.proto, place).filter(|text| is_scheme(text)) {
                    Some(text) => found.proto = Some(text.to_vec()),
                    None if self.symmetric => return uneven(),
                    None => {}
                }
            }
            if wants(ForwardedHeaders::HOST) {
                match at(&said.host, place).and_then(|text| self.host(text)) {
                    Some(host) => found.host = Some(host),
                    None if self.symmetric => return uneven(),
                    None => {}
                }
            }
            if wants(ForwardedHeaders::PREFIX) {
                match at(&said.prefix, place).and_then(PathBase::from_header) {
                    Some(prefix) => found.prefix = Some(prefix),
                    None if self.symmetric && !self.standard => return uneven(),
                    None => {}
                }
            }
            found.places = place + 1;
            if is_last {
                break;
            }
        }
        any |= found.proto.is_some() || found.host.is_some() || found.prefix.is_some();
        if wants(ForwardedHeaders::FOR) {
            // That of the connection counts as found once anything is.
            found.client = current.ip();
        }
        any.then_some(found)
    }

    /// The host as a header's value, if it is one and allowed.
    fn host(&self, text: &[u8]) -> Option<HeaderValue> {
        if !host::is_valid(text) || self.hosts.as_ref().is_some_and(|hosts| !hosts.contains(text)) {
            return None;
        }
        let text = std::str::from_utf8(text).ok()?;
        if !text.contains("xn--") {
            return HeaderValue::from_str(text).ok();
        }
        // Punycode has one spelling only.
        let (name, port) = text.split_once(':').unwrap_or((text, ""));
        let name = host::to_ascii(name)?;
        let text = if port.is_empty() { name.into_owned() } else { format!("{name}:{port}") };
        HeaderValue::try_from(text).ok()
    }

    fn rewrite<B>(&self, request: &mut Request<B>, said: &Said, found: Found, connection: Peer) {
        let names = &self.names;
        let Found { client, proto, host, prefix, places } = found;
        if self.standard {
            let left = said.elements.len().saturating_sub(places);
            let left: Vec<_> = said.elements[..left].iter().map(|element| &element.text).collect();
            values::put_back(request.headers_mut(), &FORWARDED, &left);
        }
        let cut = |request: &mut Request<B>, name, values: &[Value]| {
            if !self.standard {
                values::put_back(request.headers_mut(), name, &values[..values.len().saturating_sub(places)]);
            }
        };
        if let Some(client) = client {
            if let Some(original) = connection.ip() {
                keep(request, &names.original_client, AddressText(original).to_string().as_bytes());
            }
            cut(request, &names.client, &said.client);
            request.extensions_mut().insert(ConnectInfo(client));
            if let Some(ConnectInfo(connection)) =
                request.extensions_mut().get_mut::<ConnectInfo<ConnectionInfo>>()
            {
                *connection = connection.clone().with_remote_addr(client);
            }
            request.extensions_mut().insert(ForwardedRemote(client));
        }
        if let Some(proto) = proto {
            let original = RequestScheme::of(request);
            keep(request, &names.original_proto, original.as_str().as_bytes());
            cut(request, &names.proto, &said.proto);
            let text = String::from_utf8_lossy(&proto);
            request.extensions_mut().insert(RequestScheme::new(&text));
            set_scheme(request.uri_mut(), &proto);
        }
        if let Some(host) = host {
            let original = host::of(request.uri(), request.headers()).into_owned();
            keep(request, &names.original_host, &original);
            cut(request, &names.host, &said.host);
            set_authority(request.uri_mut(), host.as_bytes());
            request.headers_mut().insert(HOST, host);
        }
        if let Some(prefix) = prefix {
            if let Some(original) = request.extensions().get::<PathBase>().filter(|base| !base.is_empty()) {
                let original = original.to_uri();
                keep(request, &names.original_prefix, original.as_bytes());
            }
            cut(request, &names.prefix, &said.prefix);
            request.extensions_mut().insert(prefix);
        }
    }
}

fn uneven() -> Option<Found> {
    events::forwarded_headers_uneven();
    None
}

/// What the proxy at this place said, counted from the nearest.
fn at(values: &[Value], place: usize) -> Option<&[u8]> {
    Some(from_nearest(values, place)?.as_slice()).filter(|value| !value.is_empty())
}

fn from_nearest<T>(values: &[T], place: usize) -> Option<&T> {
    values.get(values.len().checked_sub(place + 1)?)
}

fn is_scheme(text: &[u8]) -> bool {
    text.iter().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(octet))
}

/// The client, or a proxy before it, as far as it is known.
fn remote<B>(request: &Request<B>) -> Peer {
    let extensions = request.extensions();
    if let Some(ConnectInfo(address)) = extensions.get::<ConnectInfo<SocketAddr>>() {
        return Peer::Ip(*address);
    }
    let served = extensions.get::<RequestContext>().and_then(RequestContext::connection);
    // Under `axum::serve` it is there if the program has asked for it.
    let connection = served.or_else(|| extensions.get().map(|ConnectInfo(connection)| connection));
    connection.map_or(Peer::Unknown, ConnectionInfo::remote)
}

fn keep<B>(request: &mut Request<B>, name: &HeaderName, value: &[u8]) {
    // All of them came from a header, or are text without control characters.
    if let Ok(value) = HeaderValue::from_bytes(value) {
        request.headers_mut().insert(name.clone(), value);
    }
}

/// Replaces the scheme of a URI that has one.
fn set_scheme(uri: &mut Uri, scheme: &[u8]) {
    let (Some(_), Ok(scheme)) = (uri.scheme(), Scheme::try_from(scheme)) else { return };
    let mut parts = std::mem::take(uri).into_parts();
    parts.scheme = Some(scheme);
    // It had one, so it has what goes with it.
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

/// Replaces the authority of a URI that has one. A host that `http` takes for none takes the old one away, lest the
/// URI and the Host header contradict each other.
fn set_authority(uri: &mut Uri, host: &[u8]) {
    if uri.authority().is_none() {
        return;
    }
    let mut parts = std::mem::take(uri).into_parts();
    parts.authority = Authority::try_from(host).ok();
    if parts.authority.is_none() {
        parts.scheme = None;
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    }
    *uri = Uri::from_parts(parts).unwrap_or_default();
}
