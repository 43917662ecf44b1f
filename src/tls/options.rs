//! What an endpoint's TLS is set to.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;

use super::config::{self, Configs, Selector};
use super::reload::Followed;
use super::server_name::{ServerName, Settings};
use super::wrong_protocol::PlainHttp;
use super::{Certificate, ClientCertificates, ClientHello, ClientTrust};
use crate::connection::{ConnectionInfo, TlsVersion};
use crate::error::{BoxError, Error, ErrorKind};
use crate::protocols::Protocols;

/// How an endpoint speaks TLS: certificates, versions, who must show a certificate of its own.
///
/// # Defaults
///
/// | option | default |
/// |---|---|
/// | [`versions`](Self::versions) | TLS 1.2 and 1.3 |
/// | [`cipher_suites`](Self::cipher_suites) | all that rustls has; all of them have forward secrecy |
/// | [`client_certificates`](Self::client_certificates) | [`Ignore`](ClientCertificates::Ignore) |
/// | [`client_trust`](Self::client_trust) | what the [system](ClientTrust::system) trusts |
/// | [`handshake_timeout`](Self::handshake_timeout) | 10 s |
/// | [`protocols`](Self::protocols) | those of the endpoint |
/// | sessions | resumed, never across names, with tickets whose keys change every 6 hours; client certificates are verified again |
/// | plain HTTP | answered with a 400 in words |
///
/// # Differences from Kestrel
///
/// The end of a connection is announced (`close_notify`), and a refusal in the handshake says why
/// (an alert). The certificate given to [`new`](Self::new) serves every name that no other entry
/// is for, unless [`refuse_unknown_names`](Self::refuse_unknown_names) is set. A session is never
/// resumed under other rules for client certificates, and a request for a host that has other rules
/// than its connection is answered 421 (see [`server_name`](Self::server_name)).
///
/// # Example
///
/// ```no_run
/// use kestrel_rs::tls::{Certificate, ClientCertificates, TlsOptions};
/// use kestrel_rs::Endpoint;
///
/// let tls = TlsOptions::new(Certificate::from_pem_files("default.pem", "default.key")?)
///     .server_name("*.example.org", Certificate::from_pem_files("wild.pem", "wild.key")?)
///     .client_certificates(ClientCertificates::Allow);
/// let endpoint = Endpoint::any_ip(443).tls(tls);
/// # Ok::<(), kestrel_rs::Error>(())
/// ```
#[derive(Clone)]
pub struct TlsOptions {
    pub(super) source: TlsSource,
    pub(super) names: Vec<(String, ServerName)>,
    pub(super) refuse_unknown_names: bool,
    pub(super) all: Settings,
    pub(super) resumption: bool,
    pub(super) handshake_timeout: Option<Duration>,
    pub(super) plain_http: PlainHttp,
    pub(super) hello_callback: Option<HelloCallback>,
    /// What has been made of these options for connections that a resolver gave them to.
    pub(super) built: Arc<Mutex<Built>>,
}

/// By the protocols of the endpoint.
pub(super) type Built = Vec<(Protocols, Arc<Configs>)>;

/// What the certificate comes from.
#[derive(Clone)]
pub(super) enum TlsSource {
    Certificate(Certificate),
    /// Only the names have certificates.
    Names,
    Rustls(Arc<ServerConfig>),
    Resolver(Resolver),
    Selector(Selector),
}

pub(super) type Resolver = Arc<
    dyn Fn(ClientHello) -> Pin<Box<dyn Future<Output = Result<TlsOptions, BoxError>> + Send>> + Send + Sync,
>;
pub(super) type HelloCallback = Arc<dyn Fn(&ConnectionInfo, &[u8]) + Send + Sync>;

impl TlsOptions {
    /// This certificate, for every name that has none of its own.
    pub fn new(certificate: Certificate) -> Self {
        Self::with_source(TlsSource::Certificate(certificate))
    }

    /// Only the names that are added with [`server_name`](Self::server_name), each with a
    /// certificate of its own. Who asks for another is refused.
    pub fn for_server_names() -> Self {
        Self { refuse_unknown_names: true, ..Self::with_source(TlsSource::Names) }
    }

    /// Asks for the certificate at each handshake, with the name that the client asked for.
    ///
    /// `None` refuses the client with the alert `unrecognized_name`. The function runs on a thread
    /// that serves other connections too: it must not block. See [`resolver`](Self::resolver) for
    /// what takes time. The files of the certificates that it returns are not followed.
    ///
    /// # Example
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use kestrel_rs::tls::{Certificate, TlsOptions};
    ///
    /// fn options(tenants: HashMap<String, Certificate>) -> TlsOptions {
    ///     TlsOptions::certificate_selector(move |name| tenants.get(name?).cloned())
    /// }
    /// ```
    pub fn certificate_selector(
        select: impl Fn(Option<&str>) -> Option<Certificate> + Send + Sync + 'static,
    ) -> Self {
        Self::with_source(TlsSource::Selector(Arc::new(select)))
    }

    /// Asks for all options at each handshake, with what the client has said of itself.
    ///
    /// Of the options that it returns, the [time](Self::handshake_timeout), the answer to plain
    /// HTTP and the [callback](Self::client_hello_callback) do not count, those of the outer
    /// options do; and they cannot have a resolver themselves. Make them once and return clones:
    /// clones share what is costly to make, and the sessions that can be resumed. An error refuses
    /// the client with the alert `unrecognized_name`, and goes to the debug log. The files of the
    /// certificates in them are not followed.
    ///
    /// It is asked again for a request whose host is another name than the client has asked for, once
    /// for each such host in a row: if what it returns has other rules for client certificates, or it
    /// returns an error, or nothing within the time for a handshake, the request is answered 421 and
    /// no handler sees it.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::tls::{ClientHello, TlsOptions};
    ///
    /// fn options(standard: TlsOptions) -> TlsOptions {
    ///     TlsOptions::resolver(move |hello: ClientHello| {
    ///         let standard = standard.clone();
    ///         async move {
    ///             match hello.server_name() {
    ///                 Some("example.org") => Ok(standard), // or ask a database
    ///                 _ => Err("not one of ours".into()),
    ///             }
    ///         }
    ///     })
    /// }
    /// ```
    pub fn resolver<F, Fut>(resolve: F) -> Self
    where
        F: Fn(ClientHello) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<TlsOptions, BoxError>> + Send + 'static,
    {
        Self::with_source(TlsSource::Resolver(Arc::new(move |hello| Box::pin(resolve(hello)))))
    }

    /// A configuration of rustls as it is, for what cannot be said here.
    ///
    /// Versions, cipher suites, client certificates, session resumption and ALPN are what it says;
    /// give it `alpn_protocols`, or clients speak HTTP/1.1. Names that are
    /// [added](Self::server_name) are served as with other options, and need certificates.
    ///
    /// What it asks of clients nobody can see from outside. Where hosts are judged by their rules for
    /// client certificates (see [`server_name`](Self::server_name)) it fits no name but its own, unless
    /// [`client_certificates`](Self::client_certificates) and [`client_trust`](Self::client_trust) say
    /// what it does.
    pub fn from_rustls(config: Arc<ServerConfig>) -> Self {
        Self::with_source(TlsSource::Rustls(config))
    }

    /// Adds a name, or replaces an equal one: with a [`Certificate`], or a [`ServerName`] where
    /// more than the certificate differs.
    ///
    /// `a.example.org` is exactly that, `*.example.org` every name below it at any depth, `*` every
    /// client that no other entry is for, also one that asks for no name. The exact name wins, then
    /// the longest suffix. Case does not matter. A client that asks for a malformed name, or connects
    /// to an IP address, is only served by `*`. An entry that no client can ask for (`https://a/`,
    /// `a:8080`, an IP address, a name in punycode and not in Unicode) is an error at `bind` that says
    /// what to write.
    ///
    /// Rules for client certificates hold for the host of each request too. A client may ask for one
    /// name in the handshake and for another in `Host` or `:authority`: if that one has other rules
    /// ([`ServerName::client_certificates`], [`ServerName::client_trust`]), the request is answered 421
    /// (Misdirected Request), no handler sees it, and the client may come again on a connection of its
    /// own. A request without a host is one for `*`, or for the endpoint. Where rules are compared, two
    /// files with one path are the same, two closures and two configurations of rustls are not. Under
    /// [`axum::serve`](crate::KestrelListener::into_axum) nobody judges hosts: compare them with
    /// [`TlsInfo::server_name`](crate::TlsInfo::server_name) there.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::Protocols;
    /// use kestrel_rs::tls::{Certificate, ClientCertificates, ServerName, TlsOptions};
    ///
    /// fn options(default: Certificate, wild: Certificate) -> TlsOptions {
    ///     TlsOptions::new(default)
    ///         .server_name("*.example.org", wild)
    ///         .server_name("old.example.org", ServerName::new().protocols(Protocols::HTTP1))
    ///         .server_name(
    ///             "partners.example.org",
    ///             ServerName::new().client_certificates(ClientCertificates::Require),
    ///         )
    /// }
    /// ```
    pub fn server_name(mut self, name: impl Into<String>, options: impl Into<ServerName>) -> Self {
        self.names.push((name.into(), options.into()));
        self.changed()
    }

    /// Refuses a client that asks for a name that is not [added](Self::server_name), or for none,
    /// with the alert `unrecognized_name`: the certificate of the endpoint is then only for names
    /// without one of their own. Kestrel does this wherever there is a table of names.
    pub fn refuse_unknown_names(mut self) -> Self {
        self.refuse_unknown_names = true;
        self.changed()
    }

    /// Whether clients are asked for a certificate; default [`Ignore`](ClientCertificates::Ignore).
    pub fn client_certificates(mut self, mode: ClientCertificates) -> Self {
        self.all.client_certificates = Some(mode);
        self.changed()
    }

    /// Which client certificates are good; default what the [system](ClientTrust::system) trusts.
    /// Without effect where no client is asked.
    pub fn client_trust(mut self, trust: ClientTrust) -> Self {
        self.all.client_trust = Some(trust);
        self.changed()
    }

    /// The versions of TLS; default 1.2 and 1.3. None at all is an error at `bind`.
    pub fn versions(mut self, versions: impl IntoIterator<Item = TlsVersion>) -> Self {
        self.all.versions = Some(versions.into_iter().collect());
        self.changed()
    }

    /// The cipher suites, by their IANA names; default all that rustls has. A name that it does not
    /// have, and none at all, is an error at `bind` that lists those it has.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::tls::{Certificate, TlsOptions};
    ///
    /// fn options(certificate: Certificate) -> TlsOptions {
    ///     TlsOptions::new(certificate).cipher_suites([
    ///         "TLS_AES_256_GCM_SHA384",
    ///         "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    ///     ])
    /// }
    /// ```
    pub fn cipher_suites(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.all.cipher_suites = Some(names.into_iter().map(Into::into).collect());
        self.changed()
    }

    /// The versions of HTTP that are offered by ALPN; default those of the endpoint.
    pub fn protocols(mut self, protocols: Protocols) -> Self {
        self.all.protocols = Some(protocols);
        self.changed()
    }

    /// Makes every handshake a full one: no session is remembered, no ticket given.
    pub fn without_resumption(mut self) -> Self {
        self.resumption = false;
        self.changed()
    }

    /// How long a client may take from its first octet on the connection, or from none at all, to
    /// the end of the handshake; default 10 s, `None` is for ever, which lets anybody keep
    /// connections open at no cost. It is cut with nothing sent.
    pub fn handshake_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.handshake_timeout = timeout.into();
        self
    }

    /// Answers plain HTTP on this port with a 308 to the same host over https, instead of a 400.
    /// A request without a good `Host`, or with a target that is no path, still gets the 400.
    pub fn redirect_http(mut self) -> Self {
        self.plain_http = PlainHttp::Redirect;
        self
    }

    /// Shows each `ClientHello` to `callback`, as it came: whole TLS records, before anything is
    /// decided. It must not block.
    ///
    /// What it finds can be kept with the connection: [`ConnectionInfo::insert`].
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::tls::{Certificate, TlsOptions};
    ///
    /// #[derive(Clone)]
    /// struct HelloLength(usize);
    ///
    /// fn options(certificate: Certificate) -> TlsOptions {
    ///     TlsOptions::new(certificate).client_hello_callback(|connection, hello| {
    ///         connection.insert(HelloLength(hello.len()));
    ///     })
    /// }
    /// ```
    pub fn client_hello_callback(
        mut self,
        callback: impl Fn(&ConnectionInfo, &[u8]) + Send + Sync + 'static,
    ) -> Self {
        self.hello_callback = Some(Arc::new(callback));
        self
    }

    fn with_source(source: TlsSource) -> Self {
        Self {
            source,
            names: Vec::new(),
            refuse_unknown_names: false,
            all: Settings::default(),
            resumption: true,
            handshake_timeout: Some(HANDSHAKE_TIMEOUT),
            plain_http: PlainHttp::Refuse,
            hello_callback: None,
            built: Arc::default(),
        }
    }

    /// Clones made before go on sharing what was made of the options as they were.
    fn changed(mut self) -> Self {
        self.built = Arc::default();
        self
    }

    /// What may follow files, as far as it is known before a client comes.
    pub(crate) fn followed(&self) -> Vec<Followed> {
        let own = match &self.source {
            TlsSource::Certificate(certificate) => Some(certificate),
            _ => None,
        };
        let names = self.names.iter().map(|(_, name)| name);
        let certificates = own.into_iter().chain(names.clone().filter_map(|name| name.certificate.as_ref()));
        let settings = std::iter::once(&self.all).chain(names.map(|name| &name.settings));
        let trusts = settings.filter_map(|settings| settings.client_trust.as_ref()?.followed());
        certificates.map(Certificate::followed).chain(trusts).collect()
    }

    /// Whether the options can be at all: the first that cannot is the error, with its name. `bind`
    /// calls it, and then looks at names and certificates too.
    ///
    /// # Example
    ///
    /// ```
    /// use kestrel_rs::tls::TlsOptions;
    ///
    /// let options = TlsOptions::certificate_selector(|_| None).cipher_suites(["TLS_NONE"]);
    /// assert!(options.check().unwrap_err().to_string().starts_with("cipher_suites"));
    /// ```
    pub fn check(&self) -> Result<(), Error> {
        if self.handshake_timeout == Some(Duration::ZERO) {
            let what = "handshake_timeout: 0 s leaves no time; give more, or None for no limit";
            return Err(Error::new(ErrorKind::Option, what));
        }
        if matches!(self.source, TlsSource::Resolver(_)) && !self.names.is_empty() {
            let what = "a resolver decides for every name; add names to the options that it gives";
            return Err(Error::new(ErrorKind::Option, what));
        }
        config::check(&self.all)?;
        self.names.iter().try_for_each(|(name, entry)| {
            config::check(&entry.settings)
                .map_err(|error| Error::new(ErrorKind::Option, format!("server name {name:?}: {error}")))
        })
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("names", &self.names.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("all", &self.all)
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}

/// Kestrel's.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
