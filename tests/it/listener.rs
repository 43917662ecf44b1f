//! Endpoints become sockets, all or none.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use kestrel_rs::listener::{BoundAddr, SocketOptions};
use kestrel_rs::{Endpoint, Error, KestrelListener, Limits};

async fn bind(endpoint: Endpoint) -> Result<KestrelListener, Error> {
    KestrelListener::builder().endpoint(endpoint).bind().await
}

fn port(listener: &KestrelListener) -> u16 {
    listener.local_addrs()[0].socket_addr().unwrap().port()
}

fn connects(to: impl Into<IpAddr>, port: u16) -> bool {
    TcpStream::connect(SocketAddr::new(to.into(), port)).is_ok()
}

/// A port that is free on both loopback addresses, as far as one can tell.
fn free_port() -> u16 {
    loop {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = v4.local_addr().unwrap().port();
        if TcpListener::bind((Ipv6Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A scratch folder, gone when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kestrel-rs-it-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("x.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn port_0_becomes_a_real_port() {
    for url in ["http://127.0.0.1:0", "http://[::1]:0"] {
        let listener = KestrelListener::bind(url).await.unwrap();
        assert_ne!(port(&listener), 0);
        let expected = url.replace(":0", &format!(":{}", port(&listener)));
        assert_eq!(listener.addresses()[0].to_string(), expected);
        assert_eq!(listener.local_addrs()[0].to_string(), expected);
    }
}

#[tokio::test]
async fn localhost_is_both_loopback_addresses_and_nothing_else() {
    let port = free_port();
    let listener = bind(Endpoint::localhost(port)).await.unwrap();
    let expected = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
    assert_eq!(listener.local_addrs(), expected.map(|ip| BoundAddr::Tcp(SocketAddr::new(ip, port))));
    assert_eq!(listener.addresses()[0].to_string(), format!("http://localhost:{port}"));
    assert!(expected.iter().all(|ip| connects(*ip, port)));
    assert!(!connects([127, 0, 0, 2], port));
}

#[tokio::test]
async fn localhost_fails_if_either_address_is_taken() {
    for taken in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        let port = free_port();
        let _taken = TcpListener::bind((taken, port)).unwrap();
        let error = bind(Endpoint::localhost(port)).await.unwrap_err();
        assert!(error.is_bind());
        let text = error.to_string();
        for part in [format!("http://{}", SocketAddr::new(taken, port)), format!("http://localhost:{port}")] {
            assert!(text.contains(&part), "{text}");
        }
    }
}

#[tokio::test]
async fn any_ip_takes_both_families() {
    for endpoint in [Endpoint::any_ip(0), Endpoint::parse("http://www.example.org:0").unwrap()] {
        let listener = bind(endpoint).await.unwrap();
        assert!(connects(Ipv4Addr::LOCALHOST, port(&listener)));
        assert!(connects(Ipv6Addr::LOCALHOST, port(&listener)));
    }
}

#[cfg(feature = "test-util")]
#[tokio::test]
async fn a_host_name_that_restricts_nothing_is_an_event_at_warn() {
    let events = crate::support::Events::record();
    for (address, expected) in [("http://www.example.org:0", 1), ("http://*:0", 0), ("http://127.0.0.1:0", 0)]
    {
        let _listener = KestrelListener::bind(address).await.unwrap();
        let warnings: Vec<_> =
            events.take().into_iter().filter(|(level, _)| *level == tracing::Level::WARN).collect();
        assert_eq!(warnings.len(), expected, "{warnings:?}");
        assert!(warnings.iter().all(|(_, text)| text.contains("\"www.example.org\"")), "{warnings:?}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() {
    let first = KestrelListener::bind("http://127.0.0.1:0").await.unwrap();
    let url = first.addresses()[0].to_string();
    let error = KestrelListener::bind(&url).await.unwrap_err();
    assert!(error.is_bind());
    assert!(error.to_string().contains(&url) && error.to_string().contains("ss -ltnp"), "{error}");

    // On every address too: this must not end as a server for IPv4 alone.
    let all = bind(Endpoint::any_ip(0)).await.unwrap();
    let error = bind(Endpoint::any_ip(port(&all))).await.unwrap_err();
    assert!(error.to_string().contains("[::]"), "{error}");
}

#[tokio::test]
async fn an_address_of_another_machine_is_named() {
    let error = KestrelListener::bind("http://192.0.2.1:0").await.unwrap_err();
    assert!(error.to_string().contains("http://192.0.2.1:0: no interface"), "{error}");
    let error = KestrelListener::bind("http://[fe80::1]:0").await.unwrap_err();
    assert!(error.to_string().contains("needs its interface"), "{error}");
}

#[tokio::test]
async fn all_are_bound_or_none() {
    let folder = Folder::new("all-or-none");
    let free = free_port();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let builder = KestrelListener::builder()
        .endpoint(Endpoint::localhost(free))
        .endpoint(Endpoint::unix(folder.socket()))
        .endpoint(Endpoint::ip(taken.local_addr().unwrap()));
    assert!(builder.clone().bind().await.unwrap_err().is_bind());
    assert!(!folder.socket().exists());
    assert!(!connects(Ipv4Addr::LOCALHOST, free));

    drop(taken);
    assert_eq!(builder.bind().await.unwrap().local_addrs().len(), 4);
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_bound() {
    let folder = Folder::new("refused");
    let bad = Limits::default().max_request_line_size(0);
    let keepalive = std::time::Duration::from_millis(10);
    let builder = KestrelListener::builder().endpoint(Endpoint::unix(folder.socket()));
    for (builder, expected) in [
        (builder.clone().limits(bad.clone()), "x.sock: max_request_line_size"),
        (builder.clone().endpoint(Endpoint::any_ip(0).limits(bad)), "http://[::]:0: max_request_line_size"),
        #[cfg(not(feature = "tls"))]
        (
            builder.clone().endpoint("https://[::1]:0".parse().unwrap()),
            "https://[::1]:0: this build has no TLS",
        ),
        (builder.clone().socket_options(SocketOptions::default().keepalive(keepalive)), "keepalive: 10ms"),
    ] {
        let error = builder.bind().await.unwrap_err();
        assert!(error.is_option() && error.to_string().contains(expected), "{error}");
    }
    assert!(builder.endpoint(Endpoint::localhost(0)).bind().await.unwrap_err().is_address());
    assert!(!folder.socket().exists());
}

#[tokio::test]
async fn a_unix_socket_has_its_mode_and_goes_with_the_listener() {
    let folder = Folder::new("mode");
    let listener = bind(Endpoint::unix(folder.socket()).unix_mode(0o640)).await.unwrap();
    assert_eq!(fs::metadata(folder.socket()).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(listener.local_addrs(), [BoundAddr::Unix(folder.socket())]);
    assert_eq!(listener.addresses()[0].to_string(), format!("http://unix:{}", folder.socket().display()));
    assert!(UnixStream::connect(folder.socket()).is_ok());
    drop(listener);
    assert!(!folder.socket().exists());
}

#[tokio::test]
async fn a_unix_socket_belongs_to_whom_it_was_given() {
    let folder = Folder::new("owner");
    let uid = fs::metadata(&folder.0).unwrap().uid();
    // Root may give it to anybody, others to themselves only.
    let (owner, group) =
        if uid == 0 { (12_345, 54_321) } else { (uid, fs::metadata(&folder.0).unwrap().gid()) };
    let endpoint = Endpoint::unix(folder.socket()).unix_owner(owner).unix_group(group).unix_mode(0o660);
    let listener = bind(endpoint).await.unwrap();
    let file = fs::metadata(folder.socket()).unwrap();
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o777), (owner, group, 0o660));
    drop(listener);
    assert!(!folder.socket().exists());

    let listener = bind(Endpoint::unix(folder.socket()).unix_group(group)).await.unwrap();
    let file = fs::metadata(folder.socket()).unwrap();
    assert_eq!((file.uid(), file.gid()), (uid, group), "only the group was given");
    drop(listener);

    if uid != 0 {
        let error = bind(Endpoint::unix(folder.socket()).unix_owner("root")).await.unwrap_err();
        assert!(error.is_bind() && error.to_string().contains("cannot be given to user root"), "{error}");
        assert!(!folder.socket().exists());
    }
}

#[tokio::test]
async fn an_owner_that_cannot_be_is_refused_before_anything_is_bound() {
    let folder = Folder::new("nobody");
    for (endpoint, expected) in [
        (Endpoint::unix(folder.socket()).unix_owner("no such"), "x.sock: unix_owner: \"no such\" is not in"),
        (Endpoint::unix(folder.socket()).unix_group(""), "x.sock: unix_group: \"\" is not in /etc/group"),
        (Endpoint::any_ip(0).unix_owner(0), "http://[::]:0: unix_owner: only a Unix socket"),
        (Endpoint::any_ip(0).unix_group(0), "http://[::]:0: unix_group: only a Unix socket"),
    ] {
        let error = bind(endpoint).await.unwrap_err();
        assert!(error.is_option() && error.to_string().contains(expected), "{error}");
    }
    assert!(!folder.socket().exists());
}

#[tokio::test]
async fn the_file_of_another_server_is_left_alone_at_the_end() {
    let folder = Folder::new("replaced");
    let listener = bind(Endpoint::unix(folder.socket())).await.unwrap();
    fs::rename(folder.socket(), folder.0.join("old.sock")).unwrap();
    let _other = UnixListener::bind(folder.socket()).unwrap();
    drop(listener);
    assert!(UnixStream::connect(folder.socket()).is_ok());
}

#[tokio::test]
async fn the_file_of_a_dead_server_is_replaced() {
    let folder = Folder::new("stale");
    drop(UnixListener::bind(folder.socket()).unwrap());
    assert!(folder.socket().exists());
    let _listener = bind(Endpoint::unix(folder.socket())).await.unwrap();
    assert!(UnixStream::connect(folder.socket()).is_ok());
}

#[tokio::test]
async fn a_server_that_is_alive_keeps_its_file() {
    let folder = Folder::new("alive");
    let _alive = UnixListener::bind(folder.socket()).unwrap();
    let error = bind(Endpoint::unix(folder.socket())).await.unwrap_err();
    assert!(error.is_bind() && error.to_string().contains("somebody listens there already"), "{error}");
    assert!(UnixStream::connect(folder.socket()).is_ok());
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_never_removed() {
    let folder = Folder::new("regular");
    fs::write(folder.socket(), "precious").unwrap();
    let error = bind(Endpoint::unix(folder.socket())).await.unwrap_err();
    assert!(error.to_string().contains("x.sock: a file is there that is no socket"), "{error}");
    assert_eq!(fs::read(folder.socket()).unwrap(), b"precious");

    let error = bind(Endpoint::unix(folder.0.join("none/x.sock"))).await.unwrap_err();
    assert!(error.to_string().contains("folder does not exist"), "{error}");
    let error = bind(Endpoint::unix("/nul\0")).await.unwrap_err();
    assert!(error.is_bind(), "{error}");
}

#[tokio::test]
async fn a_descriptor_is_served_as_what_it_is() {
    let folder = Folder::new("descriptor");
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let unix = UnixListener::bind(folder.socket()).unwrap();
    let listener = KestrelListener::builder()
        .endpoint(Endpoint::descriptor(tcp))
        .endpoint(Endpoint::descriptor(unix))
        .bind()
        .await
        .unwrap();
    assert_eq!(listener.addresses()[0].to_string(), format!("http://{address}"));
    assert_eq!(listener.local_addrs()[1], BoundAddr::Unix(folder.socket()));
    drop(listener);
    assert!(!connects(address.ip(), address.port()), "nobody holds the socket any more");
    assert!(folder.socket().exists(), "the file is not ours");
}

#[tokio::test]
async fn a_descriptor_that_does_not_listen_is_refused() {
    let file = OwnedFd::from(fs::File::open("/dev/null").unwrap());
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let stream = UnixStream::pair().unwrap().0;
    for descriptor in [file, datagrams.into(), stream.into()] {
        let error = bind(Endpoint::descriptor(descriptor)).await.unwrap_err();
        assert!(error.is_bind() && error.to_string().contains("descriptor "), "{error}");
    }
}

#[tokio::test]
async fn systemd_hands_over_its_sockets() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    for (pid, expected) in [("$$", address.to_string()), ("1", String::new()), ("", String::new())] {
        // As systemd does: the first socket is descriptor 3, and the process is named.
        let script = format!("exec 3<&0; LISTEN_PID={pid} LISTEN_FDS=1 exec \"$0\" \"$@\"");
        let child = Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "listener::child_of_systemd", "--ignored"])
            .env("KESTREL_RS_EXPECTED", &expected)
            .stdin(Stdio::from(OwnedFd::from(socket.try_clone().unwrap())))
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    }
}

#[tokio::test]
#[ignore = "runs in a process of its own"]
async fn child_of_systemd() {
    let Ok(expected) = std::env::var("KESTREL_RS_EXPECTED") else { return };
    let mut found = Vec::new();
    for endpoint in Endpoint::systemd().unwrap() {
        found.push(bind(endpoint).await.unwrap().local_addrs()[0].socket_addr().unwrap().to_string());
    }
    assert_eq!(found.join(" "), expected);
    assert!(Endpoint::systemd().unwrap().is_empty());
}
