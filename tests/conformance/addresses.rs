//! `addresses.json`: URL prefixes, the `Listen` methods, and what a server reports once it is bound.

use std::collections::HashMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use kestrel_rs::listener::{Address, AddressKind, Builder};
use kestrel_rs::{Endpoint, KestrelListener};
use serde_json::Value;

/// What differs on purpose, or is not replayed: reason, how many of the recorded cases, which.
const DIFFERENCES: &[Difference] = &[
    ("port-nonsense: what is no port is an error, not part of a host that means every address", 152, no_port),
    ("port-nonsense: a host with a colon or bracket that is no IPv6 address is an error", 32, no_ipv6),
    ("there are no named pipes on this system: refused when read, not when bound", 15, named_pipe),
    ("the file of a dead server's socket is replaced; Kestrel: in use", 1, stale_file),
    ("there is no such method, or the type of its argument has no such value", 13, impossible),
    ("lists of addresses belong to configuration", 90, configuration),
];

type Difference = (&'static str, usize, fn(&Case) -> bool);

struct Case {
    id: String,
    input: Value,
    output: Value,
}

impl Case {
    fn is_in(&self, group: &str) -> bool {
        self.id.split('.').next() == Some(group)
    }

    fn url(&self) -> Option<&str> {
        self.input["url"].as_str()
    }

    fn call(&self) -> Option<(&str, &str)> {
        self.input["call"].as_str()?.strip_suffix(')')?.split_once('(')
    }

    /// What stands between `//` and `/`, if Kestrel takes the URL and reads it as host and port.
    fn authority(&self) -> Option<&str> {
        let kind = self.output["endpoint"]["kind"].as_str()?;
        let (_, rest) = self.url()?.split_once("://")?;
        let authority = rest.split('/').next()?;
        (!matches!(kind, "unix socket" | "named pipe")).then_some(authority)
    }
}

fn no_port(case: &Case) -> bool {
    let is_port = |text: &str| {
        (1..=5).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|port| port <= 65_535)
    };
    case.authority().is_some_and(|authority| match authority.rsplit_once(':') {
        Some((_, port)) => !is_port(port) && !authority.ends_with(']') && !is_ipv6(authority),
        None => false,
    })
}

fn no_ipv6(case: &Case) -> bool {
    case.output["endpoint"]["kind"] != "localhost"
        && !no_port(case)
        && case.authority().is_some_and(|authority| {
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
        return case.url().is_none();
    }
    case.call().is_some_and(|(method, arguments)| {
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
    let other = std::env::var_os("KESTREL_REFERENCE").map(PathBuf::from);
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    let folder = other.as_deref().unwrap_or(&here);
    let files = ["facts/addresses.json", "addresses.json"].map(|file| folder.join(file));
    let Some(text) = files.iter().find_map(|file| std::fs::read_to_string(file).ok()) else {
        assert!(other.is_some(), "{} is missing", files[0].display());
        return;
    };
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();

    let mut found = vec![0; DIFFERENCES.len()];
    let mut wrong = String::new();
    for case in cases {
        let id = case["id"].as_str().unwrap().to_owned();
        let case = Case { id, input: case["input"].clone(), output: case["output"].clone() };
        let row = DIFFERENCES.iter().position(|(_, _, covers)| covers(&case));
        // What cannot be replayed is a difference without a look.
        let result = if impossible(&case) || configuration(&case) {
            Err("not replayed".to_owned())
        } else {
            replay(&case).await
        };
        match (result, row) {
            (Err(_), Some(row)) => found[row] += 1,
            (Err(difference), None) => writeln!(wrong, "{} {}: {difference}", case.id, case.input).unwrap(),
            (Ok(()), _) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    if other.is_none() {
        let expected: Vec<_> = DIFFERENCES.iter().map(|(_, count, _)| *count).collect();
        assert_eq!(found, expected, "the numbers of cases in the table");
    }
}

async fn replay(case: &Case) -> Result<(), String> {
    if let Some(url) = case.url() {
        return compare(Endpoint::parse(url), &case.output);
    }
    if let Some((method, arguments)) = case.call() {
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

fn compare(ours: Result<Endpoint, kestrel_rs::Error>, recorded: &Value) -> Result<(), String> {
    let theirs = &recorded["endpoint"];
    let ours = match ours {
        Err(error) if theirs.is_null() => {
            return check(error.is_address(), || format!("not about the address: {error}"));
        }
        Err(error) => return Err(format!("refused: {error}")),
        Ok(endpoint) if theirs.is_null() => return Err(format!("taken as {}", endpoint.address())),
        Ok(endpoint) => endpoint,
    };
    let ours = describe(ours.address());
    for (name, value) in &ours {
        check(theirs[*name] == *value, || format!("{name} is {value}, should be {}", theirs[*name]))?;
    }
    for (name, value) in theirs.as_object().ok_or("no endpoint")? {
        // A descriptor is made by the test, its number does not say anything.
        check(name == "handle" || ours.contains_key(name.as_str()), || format!("{name} is not {value}"))?;
    }
    Ok(())
}

fn describe(address: &Address) -> HashMap<&'static str, Value> {
    let mut all =
        HashMap::from([("https", Value::from(address.is_https())), ("display", address.to_string().into())]);
    let kind = match address.kind() {
        AddressKind::Ip(ip) => {
            // The recording has it as the text that is also in `display`.
            let display = address.to_string();
            let (_, text) = display.split_once("://").unwrap();
            let (text, _) = text.rsplit_once(':').unwrap();
            all.insert("address", text.trim_matches(['[', ']']).into());
            all.insert("port", ip.port().into());
            "ip"
        }
        AddressKind::Localhost { port, .. } => {
            all.insert("port", (*port).into());
            "localhost"
        }
        AddressKind::AnyIp { port } => {
            all.insert("port", (*port).into());
            "any"
        }
        AddressKind::Unix(path) => {
            all.insert("socket_path", path.to_str().unwrap().into());
            "unix socket"
        }
        AddressKind::Descriptor(_) => "file handle",
        _ => "unknown",
    };
    all.insert("kind", kind.into());
    all
}

/// Starts a server. The recorded ports are replaced by ones that are free here.
async fn bound(case: &Case) -> Result<(), String> {
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
        (Err(error), Some(_)) => return Err(format!("refused: {error}")),
        (Ok(_), None) => return Err("it starts".to_owned()),
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
    check(case.output["socket_file"] != true || folder.0.join("x.sock").exists(), || {
        "no socket file".to_owned()
    })
}

fn check(holds: bool, else_say: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(else_say()) }
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
