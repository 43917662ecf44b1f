//! Reads an address as Kestrel reads it, or says why not.
//!
//! ```text
//! http://127.0.0.1:5000   that address          http://localhost:5000   127.0.0.1 and [::1]
//! http://[::1]:0          a port of its own     http://*:80             every address
//! https://*               port 443              http://unix:/run/x.sock a Unix socket
//! ```
//!
//! # Differences from Kestrel
//!
//! Text after the last colon that is no port (`:abc`, `:80.0`, `: 80`, nothing at all) becomes part
//! of the host there, and a host that is no address means every address: a slip of the pen
//! listens to the whole network on port 80. Here it is an error, as is any host with a colon or a
//! bracket that is no IPv6 address.

use std::fmt;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::os::fd::RawFd;
use std::os::unix::net::SocketAddr as UnixAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::{Error, ErrorKind};
use crate::text::ip::{AddressText, parse_ipv6};
use crate::text::{decimal, inet_aton};

/// Where an endpoint listens, and whether it speaks TLS there.
///
/// Its text is the one under which the server reports the endpoint: every address is
/// `http://[::]:80`, `http://LOCALHOST:5000` is `http://localhost:5000`, port 0 becomes the real
/// port once it is bound.
///
/// # Differences from Kestrel
///
/// A port is 1 to 5 digits. What else stands there is an error, where Kestrel listens on every
/// address, port 80 (or trims it: ` 80`, `+80`). Named pipes are an error on this system when the
/// address is read, not when it is bound.
///
/// # Example
///
/// ```
/// use kestrel_rs::listener::{Address, AddressKind};
///
/// let address: Address = "https://www.example.org".parse()?;
/// assert_eq!(address.kind(), &AddressKind::AnyIp { port: 443 });
/// assert_eq!(address.to_string(), "https://[::]:443");
///
/// let error = "http://localhost:0".parse::<Address>().unwrap_err();
/// assert!(error.to_string().contains("http://127.0.0.1:0"));
/// # Ok::<(), kestrel_rs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    kind: AddressKind,
    https: bool,
    /// The name that was written for every address, if it was one.
    host: Option<Box<str>>,
}

/// What an [`Address`] stands for.
///
/// # Example
///
/// ```
/// use kestrel_rs::listener::{Address, AddressKind};
///
/// let address: Address = "http://unix:/run/app.sock".parse()?;
/// assert_eq!(address.kind(), &AddressKind::Unix("/run/app.sock".into()));
/// # Ok::<(), kestrel_rs::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AddressKind {
    /// One address. Port 0: the system picks one. `[::]` takes IPv4 too.
    Ip(SocketAddr),
    /// Both loopback addresses, `127.0.0.1` and `[::1]`.
    Localhost {
        /// `localhost`, or the name below it that was written: `shop.localhost`.
        name: Box<str>,
        /// The port of both; never 0, since they would get different ones.
        port: u16,
    },
    /// Every address of the machine: `*`, `+`, or any name that is no address. The name does not
    /// restrict which requests are served, and is an event at warn when it is bound.
    AnyIp {
        /// The port; for 0 the system picks one.
        port: u16,
    },
    /// A Unix socket at an absolute path.
    Unix(PathBuf),
    /// A listening socket that another process opened, by its number.
    Descriptor(RawFd),
    /// A custom listener, by its name; see [`Endpoint::custom`](crate::Endpoint::custom).
    Custom(Box<str>),
}

impl Address {
    pub(super) fn new(kind: AddressKind, https: bool) -> Self {
        Self { kind, https, host: None }
    }

    #[cfg(feature = "tls")]
    pub(super) fn with_https(self) -> Self {
        Self { https: true, ..self }
    }

    /// What it stands for.
    pub fn kind(&self) -> &AddressKind {
        &self.kind
    }

    /// Whether connections here begin with TLS.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// A host name that reads as if it said where to listen.
    pub(super) fn misleading_host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Why nothing can listen on this address, if so.
    pub(super) fn check(&self) -> Result<(), Error> {
        match &self.kind {
            AddressKind::Localhost { name, port: 0 } => Err(error(
                self,
                format_args!(
                    "{name} is two sockets, which would get two ports; use http://127.0.0.1:0 or http://[::1]:0"
                ),
            )),
            AddressKind::Unix(path) => check_socket_path(path).map_err(|why| error(self, why)),
            AddressKind::Custom(name) if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) => {
                Err(error(
                    &format_args!("{name:?}"),
                    "the name of a custom listener is letters, digits and signs of ASCII, without spaces",
                ))
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (https, kind) = parse(text).map_err(|why| error(&format_args!("{text:?}"), why))?;
        let host = match kind {
            AddressKind::AnyIp { .. } => host_name(text),
            _ => None,
        };
        let address = Self { kind, https, host };
        address.check()?;
        Ok(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.https { "https://" } else { "http://" })?;
        match &self.kind {
            AddressKind::Ip(address) => write!(f, "{}", AddressText(*address)),
            AddressKind::Localhost { name, port } => write!(f, "{name}:{port}"),
            AddressKind::AnyIp { port } => write!(f, "[::]:{port}"),
            AddressKind::Unix(path) => write!(f, "unix:{}", path.display()),
            AddressKind::Descriptor(_) => f.write_str("<file handle>"),
            AddressKind::Custom(name) => f.write_str(name),
        }
    }
}

fn error(address: &dyn fmt::Display, why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Address, format!("the address {address} cannot be used: {why}"))
}

/// What stands behind the scheme, and whether that is https.
fn parse(text: &str) -> Result<(bool, AddressKind), String> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(format!("it has no scheme; write it like {}", with_scheme(text)));
    };
    let https = scheme.eq_ignore_ascii_case("https");
    if !https && !scheme.eq_ignore_ascii_case("http") {
        let advice = match scheme {
            "unix" => format!("; write it like {}", with_scheme(text)),
            _ => String::new(),
        };
        return Err(format!("its scheme is {scheme:?}; only http and https are known{advice}"));
    }
    // `unix` and `pipe` can be hosts too, with a port.
    let is_path = |text: &str| parse_port(text.strip_suffix('/').unwrap_or(text)).is_none();
    if rest.strip_prefix("pipe:").is_some_and(is_path) {
        return Err("there are no named pipes on this system; use http://unix:/path".to_owned());
    }
    if let Some(path) = rest.strip_prefix("unix:").filter(|path| is_path(path)) {
        return Ok((https, AddressKind::Unix(parse_socket_path(path)?)));
    }
    // Without a path, one slash at the end is nothing.
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !path.is_empty() {
        return Err(format!(
            "it has the path {:?}, but a server listens for all paths; nest the router there instead",
            format!("/{path}")
        ));
    }
    let (host, port) = split_port(authority, if https { 443 } else { 80 })?;
    Ok((https, parse_host(host, port)?))
}

/// What somebody meant who left the scheme out, or took `unix` for one.
fn with_scheme(text: &str) -> String {
    let path = text.strip_prefix("unix:").map(|path| path.strip_prefix("//").unwrap_or(path));
    let meant = match path.unwrap_or(text) {
        path if path.starts_with('/') => format!("http://unix:{path}"),
        _ if path.is_some() => String::new(),
        authority => format!("http://{authority}"),
    };
    // Nothing that is an error again, or listens everywhere.
    match meant.parse::<Address>() {
        Ok(address) if address.host.is_none() => meant,
        _ => "http://localhost:5000 or http://unix:/run/app.sock".to_owned(),
    }
}

/// The host of an address, unless it is one of the two signs for every address.
fn host_name(address: &str) -> Option<Box<str>> {
    let (_, rest) = address.split_once("://")?;
    let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, _) = authority.split_once(':').unwrap_or((authority, ""));
    (!matches!(host, "*" | "+")).then(|| host.into())
}

/// Kestrel's form is `unix:/path:/base`, so a colon ends the path, and nothing may come after it.
fn parse_socket_path(text: &str) -> Result<PathBuf, String> {
    let (path, base) = text.split_once(':').unwrap_or((text, ""));
    if !matches!(base, "" | "/") {
        return Err("a colon ends the path of a Unix socket, and nothing may follow it".to_owned());
    }
    if !path.starts_with('/') {
        return Err("the path of a Unix socket must be absolute, as in http://unix:/run/app.sock".to_owned());
    }
    if text.ends_with('/') && base.is_empty() {
        return Err("the path of a Unix socket names a file and cannot end with a slash".to_owned());
    }
    Ok(PathBuf::from(path))
}

fn check_socket_path(path: &Path) -> Result<(), &'static str> {
    let bytes = path.as_os_str().as_encoded_bytes();
    if !path.is_absolute() {
        Err("the path of a Unix socket must be absolute, as in /run/app.sock")
    } else if !bytes.contains(&0) && UnixAddr::from_pathname(path).is_err() {
        Err("the path of a Unix socket may have 107 bytes at most; use a shorter one")
    } else {
        Ok(())
    }
}

/// Host and port of what stands between `//` and `/`.
fn split_port(authority: &str, default: u16) -> Result<(&str, u16), String> {
    let Some((host, port)) = authority.rsplit_once(':') else {
        return Ok((authority, default));
    };
    match parse_port(port) {
        Some(port) => Ok((host, port)),
        // The colon is one of a bare address (`::`), or stands in brackets (`[::1]`).
        None if authority.ends_with(']') || parse_ipv6(authority).is_some() => Ok((authority, default)),
        None => Err(format!("{port:?} is no port; a port is a number from 0 to 65535")),
    }
}

/// One to five digits: what `str::parse` also takes, a sign, is nothing that anybody means.
fn parse_port(text: &str) -> Option<u16> {
    decimal(text.as_bytes()).filter(|_| text.len() <= 5)
}

fn parse_host(host: &str, port: u16) -> Result<AddressKind, String> {
    if host.is_empty() {
        return Err("it has no host; write * for every address of the machine".to_owned());
    }
    if let Some(name) = localhost_name(host) {
        return Ok(AddressKind::Localhost { name, port });
    }
    if let Some((ip, zone)) = parse_ipv6(host) {
        return Ok(AddressKind::Ip(SocketAddrV6::new(ip, port, 0, zone_index(zone)).into()));
    }
    if host.contains([':', '[', ']']) {
        return Err(format!(
            "the host {host:?} has a colon or a bracket and is no IPv6 address; write one in brackets, like http://[::1]:5000"
        ));
    }
    Ok(match inet_aton(host) {
        Some(ip) => AddressKind::Ip(SocketAddr::new(IpAddr::V4(ip), port)),
        None => AddressKind::AnyIp { port },
    })
}

/// `localhost` or a name below it (RFC 6761), as the server reports it: the last label in lower case.
fn localhost_name(host: &str) -> Option<Box<str>> {
    const LAST: &str = "localhost";
    let at = host.len().checked_sub(LAST.len())?;
    let last = host.get(at..)?;
    if !last.eq_ignore_ascii_case(LAST) {
        return None;
    }
    let below = &host[..at];
    (below.is_empty() || (below.len() > 1 && below.ends_with('.'))).then(|| format!("{below}{LAST}").into())
}

/// The number of a network interface; 0, which is none, if there is no such interface.
fn zone_index(zone: &str) -> u32 {
    let is_name = zone.bytes().all(|byte| byte.is_ascii_graphic());
    if zone.is_empty() || !is_name {
        return 0;
    }
    // The one way of the standard library to turn a name into its number; an address is not looked up.
    let mut found = (format!("fe80::%{zone}"), 0).to_socket_addrs().ok();
    match found.as_mut().and_then(Iterator::next) {
        Some(SocketAddr::V6(address)) => address.scope_id(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, display: &str) {
        assert_eq!(text.parse::<Address>().unwrap().to_string(), display, "{text}");
    }

    #[track_caller]
    fn refuses(text: &str, why: &str) {
        let error = text.parse::<Address>().unwrap_err();
        assert!(error.is_address());
        assert!(error.to_string().contains(why), "{error}");
    }

    #[test]
    fn reads_the_forms_that_inet_aton_knows() {
        for text in ["127.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.0.1", "0X7F000001"] {
            reads(&format!("http://{text}:1"), "http://127.0.0.1:1");
        }
        for text in
            ["256.1.1.1", "1.2.3.4.5", "1.2.3.", "08.1", "4294967296", "1.+2", "0x", "1..2", "1.2.65536"]
        {
            reads(&format!("http://{text}:1"), "http://[::]:1");
        }
        reads("http://0:1", "http://0.0.0.0:1");
        reads("http://255.255.65535", "http://255.255.255.255:80");
    }

    #[test]
    fn reads_ipv6_in_brackets_and_bare() {
        reads("http://[2001:DB8:0:0:1::1]:1", "http://[2001:db8::1:0:0:1]:1");
        reads("http://2001:db8::1:5000", "http://[2001:db8::1]:5000");
        reads("https://::", "https://[::]:443");
        reads("http://[::1]", "http://[::1]:80");
        reads("http://[fe80::5efe:1.2.3.4]:1", "http://[fe80::5efe:1.2.3.4]:1");
        reads("http://[::ffff:0:0]:1", "http://[::ffff:0:0]:1");
        reads("http://[1:2:3:4:5:6:7:8]:1", "http://[1:2:3:4:5:6:7:8]:1");
    }

    #[test]
    fn reads_a_zone_by_number_and_by_name() {
        reads("http://[fe80::1%25]:1", "http://[fe80::1%25]:1");
        reads("http://[fe80::1%no-such-interface]:1", "http://[fe80::1]:1");
        #[cfg(target_os = "linux")]
        reads("http://[fe80::1%lo]:1", "http://[fe80::1%1]:1");
    }

    #[test]
    fn refuses_what_would_listen_to_everybody_by_accident() {
        for port in ["", "abc", "80.0", " 80", "80 ", "+80", "-0", "-1", "65536", "000080", "８０", "80?x=1"]
        {
            refuses(&format!("http://localhost:{port}"), "is no port");
        }
        for host in ["[1:2:3:4:5:6:7:8:9]", "[::1", "::1]", "[]", "[1.2.3.4]", "a:80", "[::1]:"] {
            refuses(&format!("http://{host}:80"), "is no IPv6 address");
        }
        refuses("http://::1", "write one in brackets");
        refuses("http://unix:x", "must be absolute");
        refuses("http://pipe:x", "named pipes");
        reads("http://unix:8080", "http://[::]:8080");
    }

    #[test]
    fn knows_a_host_name_that_restricts_nothing() {
        let host = |text: &str| text.parse::<Address>().unwrap().misleading_host().map(str::to_owned);
        for text in ["http://example.com:80", "https://example.com", "http://example.com/"] {
            assert_eq!(host(text).as_deref(), Some("example.com"), "{text}");
        }
        for text in [
            "http://*:80",
            "https://+",
            "http://*/",
            "http://0.0.0.0:80",
            "http://[::]",
            "http://localhost:1",
        ] {
            assert_eq!(host(text), None, "{text}");
        }
    }

    #[test]
    fn says_what_to_do() {
        refuses("localhost:5000", "write it like http://localhost:5000");
        refuses("127.0.0.1", "write it like http://127.0.0.1");
        refuses("unix:/run/x.sock", "write it like http://unix:/run/x.sock");
        refuses("unix:///run/x.sock", "write it like http://unix:/run/x.sock");
        refuses("/run/x.sock", "write it like http://unix:/run/x.sock");
        refuses("unix:x", "write it like http://localhost:5000 or http://unix:/run/app.sock");
        refuses("unix://x", "write it like http://localhost:5000 or http://unix:/run/app.sock");
        refuses("www.example.org", "write it like http://localhost:5000 or");
        refuses("", "write it like http://localhost:5000 or");
        refuses("ftp://localhost", "\"ftp\"");
        refuses("http://localhost/base/", "\"/base/\"");
        refuses("http://localhost:0", "use http://127.0.0.1:0");
        refuses("http://unix:/a/", "cannot end with a slash");
        refuses("http://unix:/a:80", "a colon ends the path");
        refuses(&format!("http://unix:/{}", "a".repeat(107)), "107 bytes at most");
    }
}
