//! The layer, its options, and where the port comes from.

use std::fmt::Display;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::StatusCode;
use tower::Layer;

use super::HttpsRedirection;
use crate::error::{Error, ErrorKind};

/// Redirects requests that came in clear to https.
///
/// # Defaults
///
/// | option | default |
/// |---|---|
/// | [`status`](Self::status) | 307 Temporary Redirect |
/// | [`https_port`](Self::https_port), [`variables`](Self::variables), [`addresses`](Self::addresses) | not known: requests pass |
///
/// # Example
///
/// ```
/// use http::StatusCode;
/// use kestrel_rs::request::HttpsRedirectionLayer;
///
/// # fn main() -> Result<(), kestrel_rs::Error> {
/// let layer = HttpsRedirectionLayer::new().https_port(443)?.status(StatusCode::PERMANENT_REDIRECT)?;
/// let layer = HttpsRedirectionLayer::new().variables(std::env::vars())?; // ASPNETCORE_HTTPS_PORT
/// let layer = HttpsRedirectionLayer::new().addresses(["http://[::]:80", "https://[::]:443"])?;
/// # let _ = layer; Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct HttpsRedirectionLayer {
    pub(super) status: StatusCode,
    option: Option<NonZeroU16>,
    variable: Option<Variable>,
    address: Option<NonZeroU16>,
    /// The log has been told that there is no port.
    pub(super) warned: Arc<AtomicBool>,
}

#[derive(Clone, Copy, Debug)]
enum Variable {
    Never,
    Port(NonZeroU16),
}

/// Where a request in clear is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Unknown,
    Nowhere,
    Port(NonZeroU16),
}

impl HttpsRedirectionLayer {
    /// Redirects once it knows a port.
    pub fn new() -> Self {
        Self {
            status: StatusCode::TEMPORARY_REDIRECT,
            option: None,
            variable: None,
            address: None,
            warned: Arc::default(),
        }
    }

    /// Redirects to this port, which is not written if it is 443. 0 is an error.
    pub fn https_port(mut self, port: u16) -> Result<Self, Error> {
        self.option = Some(NonZeroU16::new(port).ok_or_else(|| error("no server listens on https port 0"))?);
        Ok(self)
    }

    /// Redirects to the port that environment variables name: `HTTPS_PORT`, else `ANCM_HTTPS_PORT`, each also with
    /// `ASPNETCORE_` or `DOTNET_` before it, in any case. `-1` is "do not redirect"; what is no number does not
    /// count; another number that is no port is an error.
    pub fn variables<I, K, V>(mut self, variables: I) -> Result<Self, Error>
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<str>,
        V: AsRef<str>,
    {
        // The bare name counts most, as the configuration that is read last does there.
        let names = ["HTTPS_PORT", "ANCM_HTTPS_PORT"]
            .map(|name| [name.to_owned(), format!("ASPNETCORE_{name}"), format!("DOTNET_{name}")]);
        let mut values: [[Option<Option<i32>>; 3]; 2] = [[None; 3]; 2];
        for (key, value) in variables {
            for (name, value_of) in names.iter().flatten().zip(values.iter_mut().flatten()) {
                if name.eq_ignore_ascii_case(key.as_ref()) {
                    *value_of = Some(number(value.as_ref()));
                }
            }
        }
        // A bare name hides the same with a prefix, even if its value is no number.
        let port = values.iter().find_map(|values| values.iter().find_map(|value| *value).flatten());
        if let Some(port) = port {
            self.variable = Some(match port {
                -1 => Variable::Never,
                port => u16::try_from(port).ok().and_then(NonZeroU16::new).map(Variable::Port).ok_or_else(
                    || error(&format!("the environment names {port} as the port for https, which is none")),
                )?,
            });
        }
        Ok(self)
    }

    /// Redirects to the port of the `https` addresses among these, which are those that the server
    /// [listens on](crate::KestrelListener::addresses). Different ports are an error, since it cannot know which;
    /// so is a Unix socket for https, which has none.
    pub fn addresses<I>(mut self, addresses: I) -> Result<Self, Error>
    where
        I: IntoIterator<Item: Display>,
    {
        let mut found = None;
        for address in addresses {
            let text = address.to_string();
            let Some(port) = https_port(&text)? else { continue };
            if found.is_some_and(|found| found != port) {
                return Err(error(
                    "the server has different ports for https; say which one with `https_port`",
                ));
            }
            found = Some(port);
        }
        self.address = found.or(self.address);
        Ok(self)
    }

    /// The status of the redirect: 301, 302, 303, 307 or 308; others are errors.
    ///
    /// After 301 and 302 browsers turn a POST into a GET. 301 and 308 are remembered for long.
    pub fn status(mut self, status: StatusCode) -> Result<Self, Error> {
        if !matches!(status.as_u16(), 301..=303 | 307 | 308) {
            return Err(error(&format!("{status} does not redirect; use 301, 302, 303, 307 or 308")));
        }
        self.status = status;
        Ok(self)
    }

    pub(super) fn target(&self) -> Target {
        match (self.option, self.variable, self.address) {
            (Some(port), ..) | (None, Some(Variable::Port(port)), _) | (None, None, Some(port)) => {
                Target::Port(port)
            }
            (None, Some(Variable::Never), _) => Target::Nowhere,
            (None, None, None) => Target::Unknown,
        }
    }
}

impl Default for HttpsRedirectionLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for HttpsRedirectionLayer {
    type Service = HttpsRedirection<S>;

    fn layer(&self, inner: S) -> HttpsRedirection<S> {
        HttpsRedirection { inner, target: self.target(), options: self.clone() }
    }
}

/// A sign and digits, as .NET's `int` takes them here: nothing around, nothing between.
fn number(text: &str) -> Option<i32> {
    text.parse().ok()
}

/// The port of an address of the server, if it is one for https.
fn https_port(address: &str) -> Result<Option<NonZeroU16>, Error> {
    let no_address = || error(&format!("{address:?} is no address of a server"));
    let (scheme, rest) = address.split_once("://").ok_or_else(no_address)?;
    if !scheme.eq_ignore_ascii_case("https") {
        return Ok(None);
    }
    if rest.starts_with("unix:/") {
        return Err(error(&format!("{address:?} has no port to redirect to")));
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, NonZeroU16::new(443)),
    };
    if host.is_empty() { Err(no_address()) } else { port.map(Some).ok_or_else(no_address) }
}

fn error(message: &str) -> Error {
    Error::new(ErrorKind::Option, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(layer: Result<HttpsRedirectionLayer, Error>) -> Target {
        layer.unwrap().target()
    }

    fn to(port: u16) -> Target {
        Target::Port(NonZeroU16::new(port).unwrap())
    }

    #[test]
    fn the_option_counts_before_variables_before_addresses() {
        let layer = HttpsRedirectionLayer::new();
        assert_eq!(layer.target(), Target::Unknown);
        let layer = layer.addresses(["http://a:1", "https://[::1]:3", "HTTPS://*:3/x"]).unwrap();
        assert_eq!(layer.target(), to(3));
        let layer = layer.variables([("ancm_https_port", "4"), ("https_port", "+2")]).unwrap();
        assert_eq!(layer.target(), to(2));
        assert_eq!(port(layer.https_port(1)), to(1));
    }

    #[test]
    fn addresses_have_one_port() {
        let addresses = |addresses: &[&str]| HttpsRedirectionLayer::new().addresses(addresses);
        assert_eq!(port(addresses(&["https://localhost", "https://[::]:443", "https://[::1]"])), to(443));
        assert_eq!(port(addresses(&["http://localhost", "http://unix:/x"])), Target::Unknown);
        for wrong in
            [&["https://a:1", "https://b:2"][..], &["https://unix:/x"], &["nonsense"], &["https://:1"]]
        {
            assert!(addresses(wrong).unwrap_err().is_option(), "{wrong:?}");
        }
    }

    #[test]
    fn variables_are_numbers() {
        let variable =
            |value: &str| HttpsRedirectionLayer::new().variables([("ASPNETCORE_HTTPS_PORT", value)]);
        assert_eq!(port(variable("-1")), Target::Nowhere);
        for text in ["", "abc", " 1", "1;2", "0x1"] {
            assert_eq!(port(variable(text)), Target::Unknown, "{text}");
        }
        for text in ["0", "-2", "70000"] {
            assert!(variable(text).is_err(), "{text}");
        }
    }
}
