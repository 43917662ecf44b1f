//! The options of TLS, of layers, of sockets and of the server, set one at a time.

use std::fmt::Debug;

use axum::Router;
use axum::http::{HeaderName, StatusCode};
use kestrel_rs::connection::TlsVersion;
use kestrel_rs::listener::SocketOptions;
use kestrel_rs::request::{
    AllowedHosts, ForwardedHeaders, ForwardedHeadersLayer, HostFilteringLayer, HstsLayer,
    HttpsRedirectionLayer, SynchronousIoLayer,
};
use kestrel_rs::tls::{ClientCertificates, ClientTrust, TlsLayer};
use kestrel_rs::{Endpoint, Error, Limits, Protocols, TlsOptions};
use serde_json::Value;

use crate::limits::{Given, Setting, number, time};

/// New options, to be shown by `Debug`.
pub(crate) fn defaults(kind: &str) -> Option<Box<dyn Debug>> {
    Some(match kind {
        "ForwardedHeadersOptions" => Box::new(ForwardedHeadersLayer::new(ForwardedHeaders::ALL)),
        "HostFilteringOptions" => Box::new(HostFilteringLayer::new(AllowedHosts::any())),
        "HstsOptions" => Box::new(HstsLayer::new()),
        "HttpsConnectionAdapterOptions" | "TlsHandshakeCallbackOptions" => Box::new(tls()),
        "HttpsRedirectionOptions" => Box::new(HttpsRedirectionLayer::new()),
        "SocketTransportOptions" => Box::new(SocketOptions::default()),
        _ => return None,
    })
}

/// The field that shows an option; `None` for a callback, for what has to be given when the options are made, and
/// for what is no option here.
pub(crate) fn field_name(property: &str) -> Option<&'static str> {
    Some(match property {
        "AllowEmptyHosts" => "empty",
        "Backlog" => "backlog",
        "ClientCertificateMode" => "client_certificates",
        "ExcludedHosts" => "excluded",
        "ForwardLimit" => "limit",
        "ForwardedForHeaderName" => "client",
        "ForwardedHostHeaderName" => "host",
        "ForwardedPrefixHeaderName" => "prefix",
        "ForwardedProtoHeaderName" => "proto",
        "HandshakeTimeout" => "handshake_timeout",
        "HttpsPort" => "option",
        "IncludeFailureMessage" => "message",
        "IncludeSubDomains" => "sub_domains",
        "KnownIPNetworks" => "networks",
        "KnownProxies" => "proxies",
        "MaxAge" => "max_age",
        "NoDelay" => "nodelay",
        "OriginalForHeaderName" => "original_client",
        "OriginalHostHeaderName" => "original_host",
        "OriginalPrefixHeaderName" => "original_prefix",
        "OriginalProtoHeaderName" => "original_proto",
        "Preload" => "preload",
        "RedirectStatusCode" => "status",
        "RequireHeaderSymmetry" => "symmetric",
        "SslProtocols" => "versions",
        _ => return None,
    })
}

pub(crate) fn set(kind: &str, property: &str, value: &Value) -> Setting {
    if value.is_null() && property != "ForwardLimit" && property != "RequestHeaderEncodingSelector" {
        return Setting::NotThere; // what is not set is not called
    }
    match kind {
        "HostOptions" | "KestrelServerOptions" => set_server(property, value),
        "HttpsConnectionAdapterOptions" | "TlsHandshakeCallbackOptions" => set_tls(property, value),
        "ForwardedHeadersOptions" => set_forwarded_headers(property, value),
        "HostFilteringOptions" => set_host_filtering(property, value),
        "HstsOptions" => set_hsts(property, value),
        "HttpsRedirectionOptions" => set_https_redirection(property, value),
        "SocketTransportOptions" => set_socket(property, value),
        _ => Setting::NotThere,
    }
}

/// What was called with arguments that may be wrong.
pub(crate) fn call(name: &str) -> Setting {
    match name {
        "allow-any-client-certificate" => checked(&tls().client_trust(ClientTrust::danger_accept_any())),
        "use-https-callback-without-callback" => cannot_be("a resolver is a function"),
        "use-https-no-certificate" => outcome(Endpoint::parse("https://localhost:5001")),
        "use-https-null-options" => cannot_be("TlsOptions are no Option"),
        _ => Setting::NotThere,
    }
}

fn set_server(property: &str, value: &Value) -> Setting {
    let on = *value == true;
    match property {
        "AddServerHeader" if !on => outcome(Limits::default().without_server_header().check()),
        "AllowHostHeaderOverride" if on => outcome(Limits::default().allow_host_header_override().check()),
        "AddServerHeader" | "AllowHostHeaderOverride" => outcome(Limits::default().check()),
        "AllowSynchronousIO" => {
            _ = if on { SynchronousIoLayer::allowed() } else { SynchronousIoLayer::refused() };
            Setting::Accepted
        }
        "RequestHeaderEncodingSelector" if value.is_null() => cannot_be("HeaderValues has no null"),
        "ShutdownTimeout" => match time(value) {
            Given::Is(timeout) => {
                _ = kestrel_rs::serve(Router::new()).with_shutdown_timeout(timeout);
                Setting::Accepted
            }
            Given::CannotBe(why) => Setting::Refused(why),
        },
        _ => Setting::NotThere,
    }
}

fn set_socket(property: &str, value: &Value) -> Setting {
    let options = SocketOptions::default();
    _ = match (property, value.as_bool()) {
        ("Backlog", _) => match number(value).required() {
            Given::Is(connections) => options.backlog(connections),
            Given::CannotBe(why) => return Setting::Refused(why),
        },
        ("NoDelay", Some(true)) => options,
        ("NoDelay", Some(false)) => options.without_nodelay(),
        _ => return Setting::NotThere,
    };
    Setting::Accepted
}

/// Options that need no certificate before a client comes.
fn tls() -> TlsOptions {
    TlsOptions::certificate_selector(|_| None)
}

fn set_tls(property: &str, value: &Value) -> Setting {
    match (property, value.as_str()) {
        ("HandshakeTimeout", _) => match time(value) {
            Given::Is(timeout) => checked(&tls().handshake_timeout(timeout)),
            Given::CannotBe(why) => Setting::Refused(why),
        },
        ("ClientCertificateMode", Some(mode)) => checked(&tls().client_certificates(match mode {
            "NoCertificate" => ClientCertificates::Ignore,
            "AllowCertificate" => ClientCertificates::Allow,
            "RequireCertificate" => ClientCertificates::Require,
            _ => return cannot_be("no such mode"),
        })),
        ("SslProtocols", Some(versions)) => checked(&match versions {
            "None" => tls(),
            "Tls12" => tls().versions([TlsVersion::Tls12]),
            "Tls13" => tls().versions([TlsVersion::Tls13]),
            _ => return cannot_be("no such version"),
        }),
        _ => Setting::NotThere,
    }
}

fn set_forwarded_headers(property: &str, value: &Value) -> Setting {
    let layer = ForwardedHeadersLayer::new(ForwardedHeaders::ALL);
    _ = match property {
        "ForwardLimit" => match number::<usize>(value) {
            Given::Is(limit) => layer.forward_limit(limit),
            Given::CannotBe(why) => return Setting::Refused(why),
        },
        "ForwardedHeaders" => ForwardedHeadersLayer::new(match value.as_str() {
            Some("XForwardedFor") => ForwardedHeaders::FOR,
            Some("XForwardedHost") => ForwardedHeaders::HOST,
            Some("XForwardedPrefix") => ForwardedHeaders::PREFIX,
            Some("XForwardedProto") => ForwardedHeaders::PROTO,
            Some("All") => ForwardedHeaders::ALL,
            _ => return cannot_be("a layer believes one header at least"),
        }),
        "RequireHeaderSymmetry" if *value == true => layer.require_header_symmetry(),
        "RequireHeaderSymmetry" => layer,
        header => {
            let name = match HeaderName::try_from(value.as_str().unwrap_or_default()) {
                Ok(name) => name,
                Err(error) => return cannot_be(&error.to_string()),
            };
            match header {
                "ForwardedForHeaderName" => layer.for_header(name),
                "ForwardedHostHeaderName" => layer.host_header(name),
                "ForwardedPrefixHeaderName" => layer.prefix_header(name),
                "ForwardedProtoHeaderName" => layer.proto_header(name),
                "OriginalForHeaderName" => layer.original_for_header(name),
                "OriginalHostHeaderName" => layer.original_host_header(name),
                "OriginalPrefixHeaderName" => layer.original_prefix_header(name),
                "OriginalProtoHeaderName" => layer.original_proto_header(name),
                _ => return Setting::NotThere,
            }
        }
    };
    Setting::Accepted
}

fn set_host_filtering(property: &str, value: &Value) -> Setting {
    let layer = HostFilteringLayer::new(AllowedHosts::any());
    _ = match (property, *value == true) {
        ("AllowEmptyHosts" | "IncludeFailureMessage", true) => layer,
        ("AllowEmptyHosts", false) => layer.refuse_empty_hosts(),
        ("IncludeFailureMessage", false) => layer.without_failure_message(),
        _ => return Setting::NotThere,
    };
    Setting::Accepted
}

fn set_hsts(property: &str, value: &Value) -> Setting {
    let layer = HstsLayer::new();
    _ = match (property, *value == true) {
        ("IncludeSubDomains", true) => layer.include_sub_domains(),
        ("Preload", true) => layer.preload(),
        ("IncludeSubDomains" | "Preload", false) => layer,
        ("MaxAge", _) => match time(value) {
            Given::Is(Some(age)) => layer.max_age(age),
            Given::Is(None) => return cannot_be("an age has an end"),
            Given::CannotBe(why) => return Setting::Refused(why),
        },
        _ => return Setting::NotThere,
    };
    Setting::Accepted
}

fn set_https_redirection(property: &str, value: &Value) -> Setting {
    let layer = HttpsRedirectionLayer::new();
    match property {
        "HttpsPort" => match number::<u16>(value).required() {
            Given::Is(port) => outcome(layer.https_port(port)),
            Given::CannotBe(why) => Setting::Refused(why),
        },
        "RedirectStatusCode" => match number::<u16>(value).required() {
            Given::Is(status) => match StatusCode::from_u16(status) {
                Ok(status) => outcome(layer.status(status)),
                Err(error) => cannot_be(&error.to_string()),
            },
            Given::CannotBe(why) => Setting::Refused(why),
        },
        _ => Setting::NotThere,
    }
}

fn checked(options: &TlsOptions) -> Setting {
    outcome(TlsLayer::new(options.clone(), Protocols::default()))
}

fn outcome<T>(result: Result<T, Error>) -> Setting {
    match result {
        Ok(_) => Setting::Accepted,
        Err(error) if error.is_option() => Setting::Refused(error.to_string()),
        Err(error) => Setting::Lost(error.to_string()),
    }
}

fn cannot_be(why: &str) -> Setting {
    Setting::Refused(why.to_owned())
}
