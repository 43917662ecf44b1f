//! The sockets of one endpoint, or why there are none.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::endpoint::Custom;
use super::{Address, AddressKind, BoundAddr, Endpoint, SocketOptions};
use crate::error::{Error, ErrorKind};
use crate::telemetry::events;
use crate::transport::{Bound, TcpSocket, UnixBinding};

/// Opens the sockets of an endpoint; also returns the address that they really have.
pub(super) fn bind(endpoint: &Endpoint, defaults: &SocketOptions) -> Result<(Address, Vec<Bound>), Error> {
    let options = endpoint.socket_options.as_ref().unwrap_or(defaults);
    let address = endpoint.address();
    let bound = match address.kind() {
        AddressKind::Localhost { port, .. } => {
            return Ok((address.clone(), bind_localhost(address, *port, options)?));
        }
        AddressKind::Ip(ip) => TcpSocket::bind(*ip, options).map(Bound::Tcp),
        AddressKind::AnyIp { port } => {
            if let Some(host) = address.misleading_host() {
                events::host_name_restricts_nothing(host, *port);
            }
            TcpSocket::bind_any_ip(*port, options).map(Bound::Tcp)
        }
        AddressKind::Unix(path) => return bind_unix(endpoint, path, options),
        AddressKind::Descriptor(_) => inherit(endpoint, options),
        AddressKind::Custom(_) => {
            let custom = endpoint.custom.as_ref().and_then(Custom::take).ok_or_else(|| {
                Error::new(
                    ErrorKind::Bind,
                    format!("cannot listen on {address}: its listener has been taken; an endpoint with a custom one is bound once"),
                )
            })?;
            return Ok((address.clone(), vec![Bound::Custom(custom)]));
        }
    };
    let bound = bound.map_err(|error| refused(address, address, error))?;
    let kind = match bound.local_addr() {
        BoundAddr::Tcp(ip) => AddressKind::Ip(ip),
        BoundAddr::Unix(path) => AddressKind::Unix(path),
        BoundAddr::Custom(name) => AddressKind::Custom(name),
    };
    Ok((Address::new(kind, address.is_https()), vec![bound]))
}

/// Both loopback addresses; one may be missing on this machine, but neither may be taken.
fn bind_localhost(address: &Address, port: u16, options: &SocketOptions) -> Result<Vec<Bound>, Error> {
    let mut bound = Vec::with_capacity(2);
    let mut missing = None;
    for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
        let ip = SocketAddr::new(ip, port);
        match TcpSocket::bind(ip, options) {
            Ok(socket) => bound.push(Bound::Tcp(socket)),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                return Err(refused(address, &Address::new(AddressKind::Ip(ip), address.is_https()), error));
            }
            Err(error) => missing = Some((ip, error)),
        }
    }
    match missing {
        Some((_, error)) if bound.is_empty() => Err(refused(address, address, error)),
        Some((ip, error)) => {
            events::loopback_unavailable(address, ip, &error);
            Ok(bound)
        }
        None => Ok(bound),
    }
}

/// The file has its mode, owner and group before anybody can connect.
fn bind_unix(
    endpoint: &Endpoint,
    path: &Path,
    options: &SocketOptions,
) -> Result<(Address, Vec<Bound>), Error> {
    let address = endpoint.address();
    let file = &endpoint.unix_file;
    let (owner, group) = file.ids()?;
    let refused = |error| refused(address, address, error);
    let socket = UnixBinding::at(path).map_err(refused)?;
    if let Some(mode) = file.mode {
        socket.set_mode(mode).map_err(refused)?;
    }
    socket.set_owner(owner, group).map_err(|error| {
        let to = [("user", &file.owner), ("group", &file.group)].into_iter();
        let to = to.filter_map(|(what, id)| id.as_ref().map(|id| format!("{what} {id}")));
        let text = format!(
            "cannot listen on {address}: its file cannot be given to {}; that takes root or CAP_CHOWN, or for a group that this user is in it",
            to.collect::<Vec<_>>().join(" and ")
        );
        Error::new(ErrorKind::Bind, text).with_source(error)
    })?;
    let socket = socket.listen(options).map_err(refused)?;
    Ok((address.clone(), vec![Bound::Unix(socket)]))
}

fn inherit(endpoint: &Endpoint, options: &SocketOptions) -> io::Result<Bound> {
    // `Endpoint` is `Clone`, so its socket may be wanted again.
    let descriptor = endpoint.descriptor.as_ref().ok_or(io::ErrorKind::NotFound)?;
    Bound::inherit(descriptor.try_clone()?, options)
}

/// What to tell somebody whose server does not start. `socket` is the one of `address` that failed.
fn refused(address: &Address, socket: &Address, error: io::Error) -> Error {
    let text = if address == socket {
        format!("cannot listen on {}", Name(address))
    } else {
        format!("cannot listen on {socket}, which {address} needs")
    };
    let text = match advice(socket, &error) {
        Some(advice) => format!("{text}: {advice}"),
        None => text,
    };
    Error::new(ErrorKind::Bind, text).with_source(error)
}

/// What to do about the common causes; any other is left to the words of the system.
fn advice(address: &Address, error: &io::Error) -> Option<String> {
    let advice = match (error.kind(), address.kind()) {
        (io::ErrorKind::AddrInUse, AddressKind::Unix(path)) => {
            return Some(format!(
                "somebody listens there already; see who with `ss -lxp src {}`, or use another path",
                path.display()
            ));
        }
        (io::ErrorKind::AlreadyExists, AddressKind::Unix(_)) => {
            "a file is there that is no socket; move it away, or use another path"
        }
        (io::ErrorKind::NotFound, AddressKind::Unix(_)) => "its folder does not exist; create it first",
        (io::ErrorKind::PermissionDenied, AddressKind::Unix(_)) => {
            "this user may not create files in its folder, or not replace the file that is there"
        }
        (io::ErrorKind::AddrInUse, _) => {
            "the port is in use, by another process or another endpoint of this one; see which with `ss -ltnp`, or use another port"
        }
        (io::ErrorKind::PermissionDenied, _) => {
            "permission denied; a port below 1024 needs CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE), or use a higher port"
        }
        (io::ErrorKind::AddrNotAvailable, _) => {
            "no interface of this machine has this address; see which there are with `ip address`"
        }
        (io::ErrorKind::InvalidInput, AddressKind::Descriptor(_)) => {
            "it is no listening stream socket, TCP or Unix"
        }
        (io::ErrorKind::InvalidInput, AddressKind::Ip(SocketAddr::V6(ip)))
            if ip.ip().is_unicast_link_local() && ip.scope_id() == 0 =>
        {
            "a link-local address needs its interface, as in [fe80::1%eth0]"
        }
        _ => return None,
    };
    Some(advice.to_owned())
}

/// A descriptor has no address, but a number.
struct Name<'a>(&'a Address);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.kind() {
            AddressKind::Descriptor(number) => write!(f, "descriptor {number}"),
            _ => fmt::Display::fmt(self.0, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_address_and_says_what_to_do() {
        for (endpoint, kind, expected) in [
            (Endpoint::any_ip(80), io::ErrorKind::PermissionDenied, "CAP_NET_BIND_SERVICE"),
            (Endpoint::ip(([192, 0, 2, 1], 80)), io::ErrorKind::AddrNotAvailable, "no interface"),
            (Endpoint::localhost(80), io::ErrorKind::AddrInUse, "ss -ltnp"),
            (Endpoint::unix("/run/x"), io::ErrorKind::NotFound, "folder does not exist"),
        ] {
            let address = endpoint.address();
            let error = refused(address, address, kind.into());
            assert!(error.is_bind());
            let text = error.to_string();
            assert!(text.contains(&address.to_string()) && text.contains(expected), "{text}");
        }
    }
}
