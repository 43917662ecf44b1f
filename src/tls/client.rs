//! Client certificates: who is asked for one, and which are good.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::authorities::{Authorities, AuthorityFile};
use super::reload::Followed;
use crate::error::{BoxError, Error};

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
/// # What is accepted
///
/// A client's certificate is one of X.509 version 3, as rustls takes no other, also with
/// [`danger_accept_any`](Self::danger_accept_any). One of version 1, as `openssl x509 -req` of OpenSSL before 3.2 makes
/// without extensions, ends the handshake; `-extfile` with a line such as `extendedKeyUsage = clientAuth` makes it version 3. If
/// it has an extended key usage, that must have client authentication. An authority may be of version 1.
///
/// # Differences from Kestrel
///
/// .NET takes certificates of version 1 too. There a changed file of authorities is never noticed.
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
    /// Read when an endpoint is made.
    System,
    Known(Known),
}

#[derive(Clone)]
enum Known {
    Any,
    Given(Arc<Authorities>),
    File(Arc<AuthorityFile>),
}

impl ClientTrust {
    /// The authorities that the system trusts. That is every public authority there is, so add a
    /// check of your own with [`also`](Self::also).
    pub fn system() -> Self {
        Self { anchors: Anchors::System, checks: Vec::new() }
    }

    /// The authorities in a PEM file, and no others.
    ///
    /// The file is followed as those of a [`Certificate`](super::Certificate#reload) are: when it has changed,
    /// handshakes that begin then are judged by what is in it, also those that resume a session. A file that cannot be
    /// used is a warning in the log, and the authorities loaded before stay. [`without_reload`](Self::without_reload)
    /// turns this off.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let file = AuthorityFile::read(path.as_ref())?;
        Ok(Self { anchors: Anchors::Known(Known::File(Arc::new(file))), checks: Vec::new() })
    }

    /// These authorities, in DER, and no others.
    pub fn from_der(certificates: impl IntoIterator<Item = impl Into<Vec<u8>>>) -> Result<Self, Error> {
        let certificates: Vec<_> =
            certificates.into_iter().map(|octets| CertificateDer::from(octets.into())).collect();
        let given = Authorities::new(&certificates, &"the given certificates")?;
        Ok(Self { anchors: Anchors::Known(Known::Given(Arc::new(given))), checks: Vec::new() })
    }

    /// The authorities as they are now, whatever becomes of their file. Clones made before keep following it.
    ///
    /// # Example
    ///
    /// ```no_run
    /// use kestrel_rs::tls::ClientTrust;
    ///
    /// let trust = ClientTrust::from_pem_file("partners-ca.pem")?.without_reload();
    /// # Ok::<(), kestrel_rs::Error>(())
    /// ```
    pub fn without_reload(mut self) -> Self {
        if let Anchors::Known(Known::File(file)) = &self.anchors {
            self.anchors = Anchors::Known(Known::Given(file.current()));
        }
        self
    }

    /// Any certificate at all, whoever has signed it, whatever it is for, expired or not. It says
    /// nothing but that the client holds its key: compare it with something you know, with
    /// [`also`](Self::also) or in the handler.
    pub fn danger_accept_any() -> Self {
        Self { anchors: Anchors::Known(Known::Any), checks: Vec::new() }
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

    /// What follows the file, if there is one.
    pub(super) fn followed(&self) -> Option<Followed> {
        match &self.anchors {
            Anchors::Known(Known::File(file)) => Some(Followed::new(Arc::clone(file))),
            Anchors::Known(Known::Any | Known::Given(_)) | Anchors::System => None,
        }
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
        let known = match &self.anchors {
            Anchors::System => Known::Given(Arc::new(Authorities::of_the_system()?)),
            Anchors::Known(known) => known.clone(),
        };
        let checks = self.checks.clone();
        Ok(Arc::new(Verifier { known, required, checks, provider: Arc::clone(provider) }))
    }

    /// The same authorities and the same checks. What was given as two closures is two checks.
    fn is_same(&self, other: &Self) -> bool {
        let anchors = match (&self.anchors, &other.anchors) {
            (Anchors::System, Anchors::System) => true,
            (Anchors::Known(this), Anchors::Known(that)) => match (this, that) {
                (Known::Any, Known::Any) => true,
                (Known::Given(ours), Known::Given(others)) => ours == others,
                (Known::File(this), Known::File(that)) => this == that,
                _ => false,
            },
            _ => false,
        };
        let same = |(this, that): (&Arc<Check>, &Arc<Check>)| Arc::ptr_eq(this, that);
        anchors && self.checks.len() == other.checks.len() && self.checks.iter().zip(&other.checks).all(same)
    }
}

/// What a client has to show, as far as it can be compared.
#[derive(Clone)]
pub(super) enum ClientRules {
    Ours(ClientCertificates, ClientTrust),
    /// Those of a configuration of rustls, which nobody can ask.
    Rustls(Arc<ServerConfig>),
}

impl PartialEq for ClientRules {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ours(this, trust), Self::Ours(that, other)) => {
                this == that && (*this == ClientCertificates::Ignore || trust.is_same(other))
            }
            (Self::Rustls(this), Self::Rustls(that)) => Arc::ptr_eq(this, that),
            _ => false,
        }
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
            Anchors::System => "system".to_owned(),
            Anchors::Known(Known::Any) => "any".to_owned(),
            Anchors::Known(Known::Given(given)) => format!("{} authorities", given.len()),
            Anchors::Known(Known::File(file)) => format!("{} authorities", file.current().len()),
        };
        f.debug_struct("ClientTrust").field("anchors", &anchors).field("checks", &self.checks.len()).finish()
    }
}

struct Verifier {
    known: Known,
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
        let authorities = match &self.known {
            Known::Any => None,
            Known::Given(given) => Some(Arc::clone(given)),
            Known::File(file) => Some(file.current()),
        };
        if let Some(authorities) = authorities {
            authorities.verifier.verify_client_cert(certificate, issuers, now)?;
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

#[cfg(test)]
mod tests {
    use rustls_pki_types::pem::PemObject;

    use super::*;

    /// Self-signed, of version 1, made by OpenSSL 3.0: good for a hundred years.
    const VERSION_1: &str = "-----BEGIN CERTIFICATE-----
MIIBHzCBxQIUCqS02McFf78m6WHMjaH3zt7ucCowCgYIKoZIzj0EAwIwETEPMA0G
A1UEAwwGY2xpZW50MCAXDTI2MTEyNzE3NDYwMVoYDzIxMjYxMTAzMTc0NjAxWjAR
MQ8wDQYDVQQDDAZjbGllbnQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASgM1E/
0D6yr6EioY3aCp3jnFY4IVncqeRioK+48So5cDs9f4yXrJFi2mY/XnQaiFAGAXc+
m1wMy2fZGeud1xrwMAoGCCqGSM49BAMCA0kAMEYCIQC8R9I1QTb7u3Ic9yXFctSs
a8hJTWIWHWRXlUXwj63vDgIhAO7383Ib0dWwYquzfcLQHk1DQTqqoCADdbGaYh92
ZyjN
-----END CERTIFICATE-----
";

    #[test]
    fn a_client_certificate_is_one_of_version_3_and_an_authority_may_be_older() {
        let old = CertificateDer::from_pem_slice(VERSION_1.as_bytes()).unwrap();
        let trust = ClientTrust::from_der([old.to_vec()]).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = trust.verifier(ClientCertificates::Require, &provider).unwrap();
        let refused = verifier.verify_client_cert(&old, &[], UnixTime::now()).unwrap_err();
        assert!(format!("{refused:?}").contains("UnsupportedCertVersion"), "{refused:?}");
    }

    #[test]
    fn trust_is_the_same_by_what_it_says() {
        let ca = "tests/reference/facts/certs/ca.pem";
        let (file, checked) = (ClientTrust::from_pem_file(ca).unwrap(), |_: &[&[u8]]| Ok(()));
        assert!(file.is_same(&ClientTrust::from_pem_file(ca).unwrap()));
        assert!(ClientTrust::system().is_same(&ClientTrust::default()));
        let fixed = file.clone().without_reload();
        assert!(fixed.is_same(&fixed.clone()) && !fixed.is_same(&file));
        let with_check = file.clone().also(checked);
        assert!(with_check.is_same(&with_check.clone()));
        assert!(!with_check.is_same(&file.clone().also(checked)) && !with_check.is_same(&file));
        assert!(!file.is_same(&ClientTrust::system()) && !file.is_same(&ClientTrust::danger_accept_any()));
    }
}
