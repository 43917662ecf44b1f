//! One handshake: hear the client, choose a configuration, agree.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustls::server::{Accepted, AcceptedAlert, Acceptor};
use rustls::{HandshakeKind, PeerMisbehaved, ProtocolVersion};
use rustls_pki_types::UnixTime;
use tokio::io::AsyncReadExt;
use tokio_rustls::StartHandshake;
use tokio_rustls::server::TlsStream;

use super::ClientHello;
use super::config::{Config, Configs, name_of};
use super::farewell::refuse;
use super::hello::length_of_records;
use super::host_rules::{ByResolver, ByTable};
use super::options::TlsSource;
use super::setup::TlsSetup;
use super::wrong_protocol;
use crate::connection::{
    BoxIo, Connection, ConnectionInfo, HostRules, TlsFacts, TlsInfo, TlsVersion, WeakConnection,
};
use crate::error::BoxError;
use crate::protocols::Protocols;
use crate::telemetry::events;

/// Shakes hands. `None` if that came to nothing, of which the log and, where there is something to
/// say, the client know.
pub(super) async fn handshake(setup: Arc<TlsSetup>, connection: Connection) -> Option<Connection> {
    let (io, info) = connection.into_parts();
    let mut agreed = pin!(agree(&setup, io, &info));
    let mut timeout = pin!(sleep(setup.options.handshake_timeout));
    let mut closing = pin!(info.close_requested());
    let result = std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = agreed.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        if timeout.as_mut().poll(cx).is_ready() {
            events::tls_handshake_timed_out(&info);
            return Poll::Ready(None);
        }
        info.set_driver(cx.waker());
        let cut = closing.as_mut().poll(cx).is_ready() || info.wants_abort();
        if cut { Poll::Ready(None) } else { Poll::Pending }
    })
    .await?;
    match result {
        Ok(io) => io.map(|io| Connection::new(io, info.clone())),
        Err(error) => {
            events::tls_handshake_failed(&info, &error);
            None
        }
    }
}

/// Ready after this time; never for `None`.
async fn sleep(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

async fn agree(
    setup: &Arc<TlsSetup>,
    mut io: BoxIo,
    info: &ConnectionInfo,
) -> Result<Option<BoxIo>, BoxError> {
    let accepted = match hear(setup, &mut io, info).await? {
        Heard::Hello(accepted) => *accepted,
        Heard::Refused(error, alert) => {
            refuse(&mut io, &alert).await;
            return Err(error.into());
        }
        Heard::PlainHttp(read) => {
            events::http_over_tls_port(info);
            wrong_protocol::answer(&mut io, read, setup.options.plain_http).await?;
            return Ok(None);
        }
    };
    let (config, host_rules) = match choose(setup, info, &accepted).await {
        Ok(chosen) => chosen,
        Err(error) => {
            refuse(&mut io, &UNRECOGNIZED_NAME).await;
            return Err(error);
        }
    };
    let accept = StartHandshake::from_parts(accepted, io).into_stream(config.rustls.clone());
    match accept.into_fallible().await {
        Ok(stream) => {
            if let Err(error) = verify_again(&stream, &config) {
                refuse(&mut BoxIo::new(stream), &[]).await;
                return Err(error.into());
            }
            info.set_tls(describe(&stream, config.protocols, host_rules));
            Ok(Some(BoxIo::new(stream)))
        }
        Err((error, mut io)) => {
            refuse(&mut io, &[]).await; // the alert has been written
            Err(error.into())
        }
    }
}

enum Heard {
    Hello(Box<Accepted>),
    /// It is no `ClientHello`, or not one that anybody could answer.
    Refused(rustls::Error, Vec<u8>),
    /// What has been read of what looks like HTTP.
    PlainHttp(Vec<u8>),
}

/// Reads the `ClientHello`.
async fn hear(setup: &TlsSetup, io: &mut BoxIo, info: &ConnectionInfo) -> Result<Heard, BoxError> {
    let mut acceptor = Acceptor::default();
    let mut wire = Vec::new();
    let mut buf = [0; CHUNK];
    let mut first = true;
    loop {
        let n = io.read(&mut buf).await?;
        if n == 0 {
            return Err("the client has gone".into());
        }
        // No record of TLS begins with a letter, every request does.
        if std::mem::take(&mut first) && buf[0].is_ascii_alphabetic() {
            return Ok(Heard::PlainHttp(buf[..n].to_vec()));
        }
        if setup.options.hello_callback.is_some() || wire.len() < VERSION.end {
            wire.extend_from_slice(&buf[..n]);
        }
        let mut unread = &buf[..n];
        while !unread.is_empty() {
            acceptor.read_tls(&mut unread)?;
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                if let Some(callback) = &setup.options.hello_callback {
                    callback(info, &wire[..length_of_records(&wire)]);
                }
                return Ok(Heard::Hello(Box::new(accepted)));
            }
            Err((error, alert)) => {
                let alert = alert_for(&error, alert, &wire)?;
                return Ok(Heard::Refused(error, alert));
            }
        }
    }
}

/// The alert of rustls, but where another one says it better.
fn alert_for(error: &rustls::Error, mut alert: AcceptedAlert, wire: &[u8]) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    // It looks for what only TLS 1.2 has before it looks at the version.
    let is_old = wire.get(VERSION).is_some_and(|version| *version < [3, 3][..]);
    match error {
        rustls::Error::PeerMisbehaved(PeerMisbehaved::ServerNameMustContainOneHostName) => {
            octets.extend(UNRECOGNIZED_NAME);
        }
        rustls::Error::PeerIncompatible(_) if is_old => octets.extend(PROTOCOL_VERSION),
        _ => alert.write_all(&mut octets)?,
    }
    Ok(octets)
}

/// The configuration for this client, and what judges the hosts that it asks for later. An error refuses it by its name.
async fn choose(
    setup: &Arc<TlsSetup>,
    info: &ConnectionInfo,
    accepted: &Accepted,
) -> Result<(Config, Option<Arc<dyn HostRules>>), BoxError> {
    let hello = ClientHello::new(info, &accepted.client_hello());
    let name = hello.server_name().map(str::to_owned);
    let found = |configs: &Configs| -> Result<_, BoxError> {
        let config: &Config = configs.find(name.as_deref()).ok_or_else(|| match &name {
            Some(name) => format!("there is no certificate for {name:?}"),
            None => "there is no certificate for a client that asks for no name".to_owned(),
        })?;
        Ok(config.for_name(name.as_deref()).ok_or("the selector has no certificate")?)
    };
    match (&setup.options.source, &setup.configs) {
        (TlsSource::Resolver(resolve), _) => {
            let offers = hello.offers();
            let options = resolve(hello).await?;
            let config = found(&*setup.configs_of(&options)?)?;
            let host_rules = ByResolver {
                setup: Arc::clone(setup),
                resolve: resolve.clone(),
                connection: WeakConnection::of(info),
                server_name: name,
                offers,
                rules: config.rules.clone(),
                last: Arc::default(),
            };
            Ok((config, Some(Arc::new(host_rules))))
        }
        (_, Some(configs)) => {
            let config = found(configs)?;
            let by_table = || ByTable { configs: Arc::clone(configs), rules: config.rules.clone() };
            let host_rules = configs.has_different_rules.then(|| Arc::new(by_table()) as Arc<dyn HostRules>);
            Ok((config, host_rules))
        }
        (_, None) => Err("there is no configuration".into()),
    }
}

/// rustls takes the client's certificate of a resumed session as it was: by now it may have expired,
/// or a check of yours may have another answer.
fn verify_again(stream: &TlsStream<BoxIo>, config: &Config) -> Result<(), rustls::Error> {
    let (_, session) = stream.get_ref();
    if session.handshake_kind() == Some(HandshakeKind::Resumed)
        && let Some(verifier) = &config.verifier
        && let Some([certificate, issuers @ ..]) = session.peer_certificates()
    {
        verifier.verify_client_cert(certificate, issuers, UnixTime::now())?;
    }
    Ok(())
}

fn describe(
    stream: &TlsStream<BoxIo>,
    protocols: Protocols,
    host_rules: Option<Arc<dyn HostRules>>,
) -> TlsInfo {
    let (_, session) = stream.get_ref();
    let version = match session.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
        _ => TlsVersion::Tls13,
    };
    let suite = session.negotiated_cipher_suite().map(|suite| suite.suite());
    let certificates = session.peer_certificates().unwrap_or_default();
    TlsInfo::new(TlsFacts {
        version,
        cipher_suite: suite.map_or_else(Default::default, |suite| (u16::from(suite), name_of(suite))),
        server_name: session.server_name().map(str::to_owned),
        alpn: session.alpn_protocol().map(<[u8]>::to_vec),
        peer_certificates: certificates.iter().map(|certificate| certificate.to_vec()).collect(),
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        protocols,
        host_rules,
    })
}

/// Most hellos fit in it.
const CHUNK: usize = 2048;

/// Where the version stands in a `ClientHello` whose head is in one record.
const VERSION: std::ops::Range<usize> = 9..11;

/// Fatal alerts in records of their own, in clear: nothing has been agreed on yet. rustls has no way
/// to send one at will.
const UNRECOGNIZED_NAME: [u8; 7] = [21, 3, 3, 0, 2, 2, 112];
const PROTOCOL_VERSION: [u8; 7] = [21, 3, 1, 0, 2, 2, 70];
