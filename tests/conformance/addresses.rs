//! `addresses.json`: URL prefixes, the `Listen` methods, and what a server reports once it is bound.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use kestrel_rs::listener::{Address, AddressKind, Builder};
use kestrel_rs::{Endpoint, KestrelListener};
use serde_json::{Value, json};

use crate::recording::Case;
use crate::table::How::{Like, Unsaid};
use crate::table::{Difference, Outcome, check, replay_all, rule};

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    rule("port-nonsense: what is no port is an error, not part of a host that means every address", 152, no_port, Like("refused: *")),
    rule("port-nonsense: a host with a colon or bracket that is no IPv6 address is an error", 32, no_ipv6, Like("refused: *")),
    rule("there are no named pipes on this system: refused when read, not when bound", 11, named_pipe, Like("refused: *")),
    rule("the file of a dead server's socket is replaced; Kestrel: in use", 1, stale_file, Like("it starts")),
    rule("there is no such method, or the type of its argument has no such value", 17, impossible, Unsaid),
    rule("lists of addresses belong to configuration", 90, configuration, Unsaid),
];

fn url(case: &Case) -> Option<&str> {
    case.input["url"].as_str()
}

fn call(case: &Case) -> Option<(&str, &str)> {
    case.input["call"].as_str()?.strip_suffix(')')?.split_once('(')
}

/// What stands between `//` and `/`, if Kestrel takes the URL and reads it as host and port.
fn authority(case: &Case) -> Option<&str> {
    let kind = case.output["endpoint"]["kind"].as_str()?;
    let (_, rest) = url(case)?.split_once("://")?;
    let authority = rest.split('/').next()?;
    (!matches!(kind, "unix socket" | "named pipe")).then_some(authority)
}

fn no_port(case: &Case) -> bool {
    let is_port = |text: &str| {
        (1..=5).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|port| port <= 65_535)
    };
    authority(case).is_some_and(|authority| match authority.rsplit_once(':') {
        Some((_, port)) => !is_port(port) && !authority.ends_with(']') && !is_ipv6(authority),
        None => false,
    })
}

fn no_ipv6(case: &Case) -> bool {
    case.output["endpoint"]["kind"] != "localhost"
        && !no_port(case)
        && authority(case).is_some_and(|authority| {
            let split = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
            let host = split.map_or(authority, |(host, _)| host);
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            host.contains([':', '[', ']']) && !is_ipv6(bare)
        })
}

fn is_ipv6(text: &str) -> bool {
    text.split('%').next().is_some_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

fn named_pipe(case: &Case) -> bool {
    case.output["endpoint"]["kind"] == "named pipe"
}

fn stale_file(case: &Case) -> bool {
    case.id.starts_with("bound.") && case.id.ends_with("-stale-file")
}

fn impossible(case: &Case) -> bool {
    if case.is_in("url") {
        return url(case).is_none();
    }
    call(case).is_some_and(|(method, arguments)| {
        let port = arguments.rsplit([',', ' ']).next().unwrap_or_default();
        let wide = port.parse::<i64>().is_ok_and(|port| u16::try_from(port).is_err());
        let null = arguments.split([',', ' ']).any(|word| word == "null");
        let closed = method == "ListenHandle" && port.parse::<i32>().is_err();
        wide || null || closed || arguments.starts_with("DnsEndPoint") || method == "ListenNamedPipe"
    })
}

fn configuration(case: &Case) -> bool {
    let both =
        !case.input["listen"].is_null() && case.input["urls"].as_array().is_some_and(|urls| !urls.is_empty());
    case.is_in("list") || both
}

#[tokio::test]
async fn addresses_are_read_and_reported_as_kestrel_does() {
    replay_all("facts/addresses.json", DIFFERENCES, replay).await;
}

async fn replay(case: &Case) -> Outcome {
    if impossible(case) || configuration(case) {
        return Err("not replayed".into());
    }
    if let Some(url) = url(case) {
        return compare(Endpoint::parse(url), &case.output);
    }
    if let Some((method, arguments)) = call(case) {
        return compare(listen(method, arguments)?, &case.output);
    }
    bound(case).await
}

/// The endpoint that a `Listen` method makes.
fn listen(method: &str, arguments: &str) -> Result<Result<Endpoint, kestrel_rs::Error>, String> {
    let port = || arguments.parse().map_err(|_| format!("no port: {arguments}"));
    let endpoint = match method {
        "ListenAnyIP" => Endpoint::any_ip(port()?),
        "ListenLocalhost" => Endpoint::localhost(port()?),
        "ListenUnixSocket" => Endpoint::unix(arguments),
        "ListenHandle" => Endpoint::descriptor(TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?),
        "Listen" => {
            let (ip, port) = arguments.split_once(", ").ok_or("no port")?;
            let ip: IpAddr = ip.parse().map_err(|_| format!("no address: {ip}"))?;
            Endpoint::ip((ip, port.parse().map_err(|_| format!("no port: {port}"))?))
        }
        _ => return Err(format!("there is no {method}")),
    };
    Ok(endpoint.check().map(|()| endpoint))
}

fn compare(ours: Result<Endpoint, kestrel_rs::Error>, recorded: &Value) -> Outcome {
    let theirs = &recorded["endpoint"];
    let ours = match ours {
        Err(error) if theirs.is_null() => {
            return check(error.is_address(), || format!("not about the address: {error}"));
        }
        ours => describe(ours?.address()),
    };
    // A descriptor is made by the test, its number does not say anything.
    let mut theirs = theirs.as_object().cloned().unwrap_or_default();
    theirs.remove("handle");
    check(ours == Value::Object(theirs), || ours)
}

fn describe(address: &Address) -> Value {
    let mut all = json!({ "https": address.is_https(), "display": address.to_string() });
    let kind = match address.kind() {
        AddressKind::Ip(ip) => {
            // The recording has it as the text that is also in `display`.
            let display = address.to_string();
            let (_, text) = display.split_once("://").unwrap();
            let (text, _) = text.rsplit_once(':').unwrap();
            all["address"] = text.trim_matches(['[', ']']).into();
            all["port"] = ip.port().into();
            "ip"
        }
        AddressKind::Localhost { port, .. } => {
            all["port"] = (*port).into();
            "localhost"
        }
        AddressKind::AnyIp { port } => {
            all["port"] = (*port).into();
            "any"
        }
        AddressKind::Unix(path) => {
            all["socket_path"] = path.to_str().unwrap().into();
            "unix socket"
        }
        AddressKind::Descriptor(_) => "file handle",
        _ => "unknown",
    };
    all["kind"] = kind.into();
    all
}

/// Starts a server. The recorded ports are replaced by ones that are free here.
async fn bound(case: &Case) -> Outcome {
    let folder = Folder::new(&case.id);
    let ports = free_ports();
    let here = |text: &str| {
        let text = text.replace("DIR", folder.0.to_str().unwrap());
        (0..)
            .zip(ports)
            .fold(text, |text, (i, port)| text.replace(&(22_010 + i).to_string(), &port.to_string()))
    };
    let text = |value: &Value| here(value.as_str().unwrap_or_default());

    let taken = match () {
        () if case.id.ends_with("-v4-taken") => Some("127.0.0.1"),
        () if case.id.ends_with("-v6-taken") => Some("::1"),
        () => None,
    };
    let _taken = taken.map(|ip| TcpListener::bind((ip, ports[2])).unwrap());
    if stale_file(case) {
        drop(UnixListener::bind(folder.0.join("x.sock")).unwrap());
    }

    let mut endpoints = Vec::new();
    for url in case.input["urls"].as_array().ok_or("no urls")? {
        endpoints.push(Endpoint::parse(&text(url)));
    }
    let listen_text = text(&case.input["listen"]);
    if let Some((method, rest)) = listen_text.split_once('(') {
        let (arguments, times) = rest.split_once(')').ok_or("not a call")?;
        for _ in 0..if times == " twice" { 2 } else { 1 } {
            endpoints.push(listen(method, arguments)?);
        }
    }

    let result = match endpoints.into_iter().collect::<Result<Vec<_>, _>>() {
        Ok(endpoints) => {
            endpoints.into_iter().fold(KestrelListener::builder(), Builder::endpoint).bind().await
        }
        Err(error) => Err(error),
    };
    let (ours, theirs) = match (result, case.output["addresses"].as_array()) {
        (Err(error), None) => {
            let in_use = case.output["error"]["type"] == "IOException";
            return check(!in_use || error.is_bind(), || format!("not about binding: {error}"));
        }
        (Err(error), Some(_)) => return Err(error.into()),
        (Ok(_), None) => return check(false, || "it starts"),
        (Ok(ours), Some(theirs)) => (ours, theirs),
    };
    check(ours.addresses().len() == theirs.len(), || format!("{:?}", ours.addresses()))?;
    for ((address, theirs), input) in ours.addresses().iter().zip(theirs).zip(0..) {
        let port = match address.kind() {
            AddressKind::Ip(ip) => ip.port().to_string(),
            _ => String::new(),
        };
        let theirs = text(theirs).replace("PORT", &port);
        check(address.to_string() == theirs && port != "0", || {
            format!("{input}: {address}, should be {theirs}")
        })?;
    }
    check(case.output["socket_file"] != true || folder.0.join("x.sock").exists(), || "no socket file")
}

/// Ports that are free on both loopback addresses, as far as one can tell.
fn free_ports() -> [u16; 3] {
    let sockets = [(); 3].map(|()| {
        loop {
            let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
            let port = v4.local_addr().unwrap().port();
            if let Ok(v6) = TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))) {
                break (v4, v6, port);
            }
        }
    });
    sockets.map(|(_, _, port)| port)
}

/// A scratch folder, gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kestrel-rs-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
