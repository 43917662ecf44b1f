//! What the compiler says to who writes what one writes first, and what to write instead.
//!
//! Each program is given to the compiler with the libraries that this test was built with, so that
//! nothing is built again.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Programs that do not compile, and what has to be said of them.
const PROGRAMS: &[(&str, &[&str])] = &[
    (
        "async fn f(app: axum::Router) { let _ = kestrel_rs::serve(app.into_make_service()).await; }",
        &["`IntoMakeService<Router>` cannot be served", "served as it is, without `.into_make_service()`"],
    ),
    (
        "async fn f(app: axum::Router, listener: kestrel_rs::KestrelListener) {
            let _ = kestrel_rs::serve(listener, app).await;
        }",
        &["`KestrelListener` cannot be served", "`serve(app).listener(listener)`"],
    ),
    (
        "async fn f(app: axum::Router, listener: tokio::net::TcpListener) {
            let _ = kestrel_rs::serve(listener, app).await;
        }",
        &["`tokio::net::TcpListener` cannot be served", "`serve(app).listener(listener)`"],
    ),
    (
        "async fn f(app: axum::Router, listener: tokio::net::TcpListener) {
            let _ = kestrel_rs::serve(app).listener(listener).await;
        }",
        &[
            "`tokio::net::TcpListener` is not a `KestrelListener`",
            "KestrelListener::bind(\"http://localhost:8080\").await?",
            "Endpoint::descriptor(listener.into_std()?)",
            "Endpoint::custom(\"name\", listener)",
        ],
    ),
    (
        "async fn f(app: axum::Router) {
            let _ = kestrel_rs::serve(app).listener(kestrel_rs::KestrelListener::builder()).await;
        }",
        &["`kestrel_rs::listener::Builder` is not a `KestrelListener`", "so does `.bind().await?`"],
    ),
    (
        "fn f() { kestrel_rs::serve(axum::Router::<String>::new()); }",
        &["`Router<String>` cannot be served", "by `.with_state(..)`"],
    ),
    (
        "use kestrel_rs::{Endpoint, request::HstsLayer};
        fn f() { let _ = Endpoint::any_ip(80).layer(HstsLayer::new()); }",
        &["`HstsLayer` is no layer for connections", "`let app = app.layer(..)`, then `serve(app)`"],
    ),
    (
        "use axum::{extract::Request, middleware::{Next, from_fn}};
        fn f() {
            let layer = from_fn(async |request: Request, next: Next| next.run(request).await);
            let _ = kestrel_rs::Endpoint::any_ip(80).layer(layer);
        }",
        &["is no layer for connections", "`let app = app.layer(..)`, then `serve(app)`"],
    ),
    (
        "fn f(app: axum::Router) {
            let _: axum::Router = app.layer(kestrel_rs::connection::ConnectionLimitLayer::new(5));
        }",
        &["a layer for connections, and `Route` serves none", "Endpoint::any_ip(80).layer(..)"],
    ),
    (
        "fn f(app: axum::Router) {
            let _: axum::Router = app.layer(kestrel_rs::connection::ConnectionLoggingLayer::new());
        }",
        &["a layer for connections, and `Route` serves none", "Endpoint::any_ip(80).layer(..)"],
    ),
    (
        "use kestrel_rs::connection::{Connection, Next, from_fn};
        fn f(app: axum::Router) {
            let layer = from_fn(async |connection: Connection, next: Next| next.run(connection).await);
            let _: axum::Router = app.layer(layer);
        }",
        &["a layer for connections, and `Route` serves none", "Endpoint::any_ip(80).layer(..)"],
    ),
];

/// So that what fails above fails for what is said of it.
const COMPILES: &str = "
    use kestrel_rs::connection::{Connection, ConnectionLimitLayer, Next, from_fn};
    use kestrel_rs::{Endpoint, KestrelListener, request::HstsLayer};

    async fn f(app: axum::Router, tcp: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
        let layer = from_fn(async |connection: Connection, next: Next| next.run(connection).await);
        let endpoint = Endpoint::descriptor(tcp.into_std()?).layer(ConnectionLimitLayer::new(5)).layer(layer);
        let listener = KestrelListener::builder().endpoint(endpoint).bind().await?;
        kestrel_rs::serve(app.layer(HstsLayer::new())).listener(listener).await?;
        Ok(())
    }";

/// The libraries that this test was built with.
struct Libraries {
    folder: PathBuf,
    externs: Vec<String>,
}

impl Libraries {
    fn find() -> Self {
        let test = std::env::current_exe().unwrap();
        let folder = test.parent().unwrap().to_owned();
        let target = folder.ancestors().nth(2).unwrap();
        // Everything is there, so this only says where.
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["test", "--no-run", "--offline", "--test", "it", "--message-format", "json"]);
        cargo.args(["--no-default-features", "--features", &features()]).arg("--target-dir").arg(target);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let messages = String::from_utf8(output.stdout).unwrap();
        let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let externs = messages.filter_map(|message| library(&message)).collect::<Vec<_>>();
        assert_eq!(externs.len(), 3, "{externs:?}");
        Self { folder, externs }
    }

    /// What the compiler says, if the program does not compile.
    fn compile(&self, program: &str, out: &Path) -> Result<(), String> {
        let source = out.join("program.rs");
        std::fs::write(&source, format!("#![allow(dead_code)]\n{program}\nfn main() {{}}\n")).unwrap();
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["--edition", "2024", "--emit", "metadata", "--out-dir"]).arg(out).arg(source);
        rustc.arg("-L").arg(format!("dependency={}", self.folder.display()));
        let externs = self.externs.iter().flat_map(|library| ["--extern", library.as_str()]);
        let output = rustc.args(externs).output().unwrap();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
    }
}

/// The features of this build.
fn features() -> String {
    let features = [
        ("default", cfg!(feature = "default")),
        ("tls", cfg!(feature = "tls")),
        ("test-util", cfg!(feature = "test-util")),
    ];
    let on = features.into_iter().filter(|(_, on)| *on).map(|(name, _)| name);
    on.collect::<Vec<_>>().join(",")
}

/// The name and file of a library that the programs use.
fn library(message: &Value) -> Option<String> {
    let name = message.pointer("/target/name")?.as_str()?;
    if !["axum", "kestrel_rs", "tokio"].contains(&name) {
        return None;
    }
    let files = message.get("filenames")?.as_array()?.iter().filter_map(Value::as_str);
    let mut libraries = files.filter(|file| Path::new(file).extension().is_some_and(|end| end == "rlib"));
    libraries.next().map(|file| format!("{name}={file}"))
}

#[test]
fn says_what_to_write() {
    let libraries = Libraries::find();
    let out = std::env::temp_dir().join(format!("kestrel-rs-compiler-{}", std::process::id()));
    std::fs::create_dir_all(&out).unwrap();
    let mut wrong = String::new();
    for (program, expected) in PROGRAMS {
        let Err(said) = libraries.compile(program, &out) else {
            wrong = format!("{wrong}{program}\ncompiles\n\n");
            continue;
        };
        for text in expected.iter().filter(|text| !said.contains(**text)) {
            wrong = format!("{wrong}{program}\nis not told {text:?}, but:\n{said}\n");
        }
    }
    let compiles = libraries.compile(COMPILES, &out);
    std::fs::remove_dir_all(&out).unwrap();
    assert_eq!(compiles, Ok(()));
    assert!(wrong.is_empty(), "{wrong}");
}
