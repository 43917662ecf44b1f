//! Client certificates: who is asked for one, and which are good.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::error::{BoxError, Error, ErrorKind};

/// Whether clients are asked for a certificate.
///
/// What makes one good is the [`ClientTrust`]. A certificate that is not good ends the handshake,
/// where one is only allowed too.
///
/// # Differences from Kestrel
///
/// There is no `DelayCertificate`: rustls has neither renegotiation nor authentication after the
/// handshake.
///
/// # Example
///
/// ```
/// use kestrel_rs::tls::{Certificate, ClientCertificates, ClientTrust, TlsOptions};
///
/// fn options(certificate: Certificate) -> Result<TlsOptions, kestrel_rs::Error> {
///     Ok(TlsOptions::new(certificate)
///         .client_certificates(ClientCertificates::Require)
///         .client_trust(ClientTrust::from_pem_file("partners-ca.pem")?))
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientCertificates {
    /// A client is asked, and served with none too: [`TlsInfo`](crate::TlsInfo) tells.
    Allow,
    /// No client is asked. The default.
    #[default]
    Ignore,
    /// A client without a certificate is refused.
    Require,
}

/// Which client certificates are good.
///
/// The default is what the [system](Self::system) trusts. That a client holds the private key of
/// its certificate is checked in any case.
///
/// # Example
///
/// ```
/// use kestrel_rs::tls::ClientTrust;
///
/// # fn example() -> Result<(), kestrel_rs::Error> {
/// // Signed by this authority, and one of the first generation of devices.
/// let trust = ClientTrust::from_pem_file("devices-ca.pem")?.also(|chain| {
///     let generation = b"device-1";
///     let is_first = chain[0].windows(generation.len()).any(|octets| octets == generation);
///     if is_first { Ok(()) } else { Err("not a device of the first generation".into()) }
/// });
/// # let _ = trust; Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClientTrust {
    anchors: Anchors,
    checks: Vec<Arc<Check>>,
}

type Check = dyn Fn(&[&[u8]]) -> Result<(), BoxError> + Send + Sync;

#[derive(Clone)]
enum Anchors {
    Any,
    Roots(Arc<RootCertStore>),
    System,
}

impl ClientTrust {
    /// The authorities that the system trusts. That is every public authority there is, so add a
    /// check of your own with [`also`](Self::also).
    pub fn system() -> Self {
        Self { anchors: Anchors::System, checks: Vec::new() }
    }

    /// The authorities in a PEM file, and no others.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(&path.display(), error))?;
        Self::from_certificates(&certificates, &path.display())
    }

    /// These authorities, in DER, and no others.
    pub fn from_der(certificates: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Result<Self, Error> {
        let certificates: Vec<_> =
            certificates.into_iter().map(|octets| CertificateDer::from(octets.into())).collect();
        Self::from_certificates(&certificates, &"the given certificates")
    }

    fn from_certificates(
        certificates: &[CertificateDer<'static>],
        origin: &dyn fmt::Display,
    ) -> Result<Self, Error> {
        if certificates.is_empty() {
            return Err(cannot_trust(origin, "there is no certificate in it"));
        }
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate.clone()).map_err(|error| failed(origin, error))?;
        }
        Ok(Self { anchors: Anchors::Roots(Arc::new(roots)), checks: Vec::new() })
    }

    /// Any certificate at all, whoever has signed it, whatever it is for, expired or not. It says
    /// nothing but that the client holds its key: compare it with something you know, with
    /// [`also`](Self::also) or in the handler.
    pub fn danger_accept_any() -> Self {
        Self { anchors: Anchors::Any, checks: Vec::new() }
    }

    /// Asks `check` too, once everything else is good: with the certificates in DER, the client's
    /// own first. What it returns as an error goes to the debug log; the client sees that its
    /// certificate is not taken.
    ///
    /// It runs in each handshake, a resumed one too, on a thread that serves other connections: it
    /// must not block.
    pub fn also(mut self, check: impl Fn(&[&[u8]]) -> Result<(), BoxError> + Send + Sync + 'static) -> Self {
        self.checks.push(Arc::new(check));
        self
    }

    pub(super) fn verifier(
        &self,
        mode: ClientCertificates,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        let required = match mode {
            ClientCertificates::Ignore => return Ok(WebPkiClientVerifier::no_client_auth()),
            ClientCertificates::Allow => false,
            ClientCertificates::Require => true,
        };
        let roots = match &self.anchors {
            Anchors::Any => None,
            Anchors::Roots(roots) => Some(Arc::clone(roots)),
            Anchors::System => Some(Arc::new(system_roots()?)),
        };
        let chain = roots.map(|roots| {
            WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
                // The names of authorities in the request would tell strangers whom we trust.
                .clear_root_hint_subjects()
                .build()
                .map_err(|error| failed(&"the authorities for client certificates", error))
        });
        Ok(Arc::new(Verifier {
            chain: chain.transpose()?,
            required,
            checks: self.checks.clone(),
            provider: Arc::clone(provider),
        }))
    }
}

impl Default for ClientTrust {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let anchors = match &self.anchors {
            Anchors::Any => "any".to_owned(),
            Anchors::Roots(roots) => format!("{} authorities", roots.len()),
            Anchors::System => "system".to_owned(),
        };
        f.debug_struct("ClientTrust").field("anchors", &anchors).field("checks", &self.checks.len()).finish()
    }
}

fn cannot_trust(origin: &dyn fmt::Display, why: &str) -> Error {
    Error::new(ErrorKind::Option, format!("cannot trust {origin}: {why}"))
}

fn failed(origin: &dyn fmt::Display, error: impl Into<BoxError>) -> Error {
    Error::new(ErrorKind::Option, format!("cannot trust {origin}")).with_source(error)
}

fn system_roots() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    match found.errors.into_iter().next() {
        Some(error) if added == 0 => Err(failed(&"the authorities of the system", error)),
        None if added == 0 => Err(cannot_trust(
            &"the authorities of the system",
            "there are none; install ca-certificates, or give them with ClientTrust::from_pem_file",
        )),
        _ => Ok(roots),
    }
}

struct Verifier {
    /// `None` takes any.
    chain: Option<Arc<dyn ClientCertVerifier>>,
    required: bool,
    checks: Vec<Arc<Check>>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if let Some(chain) = &self.chain {
            chain.verify_client_cert(certificate, issuers, now)?;
        }
        let sent: Vec<&[u8]> = std::iter::once(certificate).chain(issuers).map(AsRef::as_ref).collect();
        for check in &self.checks {
            check(&sent).map_err(|error| CertificateError::Other(OtherError(Arc::from(error))))?;
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("required", &self.required).finish_non_exhaustive()
    }
}
