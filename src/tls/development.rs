//! A certificate for `localhost`, made once for each user and kept.
//!
//! ```no_run
//! # fn main() -> Result<(), kestrel_rs::Error> {
//! let certificate = kestrel_rs::Certificate::development()?;
//! # Ok(())
//! # }
//! ```
//!
//! **Differences from Kestrel**: it is made by the program itself rather than by `dotnet dev-certs`, has an ECDSA key,
//! and lies as PEM in the user's data folder. Trusting it is left to the user, since it changes the whole machine.

use std::fs;
use std::path::{Path, PathBuf};

use super::certificate::Certificate;
use crate::error::{Error, ErrorKind};
use crate::telemetry::events;

#[cfg(feature = "dev-certificate")]
mod maker;

impl Certificate {
    /// The development certificate of this user, made if there is none that can be used.
    ///
    /// It is for `localhost`, `*.dev.localhost`, `*.dev.internal`, `host.docker.internal`,
    /// `host.containers.internal`, `127.0.0.1` and `[::1]`, the names of ASP.NET Core's, and valid for a year, after
    /// which the next call makes a new one. Browsers warn of it until it is trusted; the example `dev_certificate`
    /// shows how. Not for production: nobody but this machine can trust it.
    ///
    /// # Errors
    ///
    /// The user has no data folder (neither `XDG_DATA_HOME` nor a home is set), or it cannot be written to, or there is
    /// none yet and the cargo feature `dev-certificate`, which makes one, is off.
    ///
    /// # Differences from Kestrel
    ///
    /// Kestrel only looks for one, as [`find_development`](Self::find_development) does.
    pub fn development() -> Result<Self, Error> {
        development_in(&folder()?).map(|(certificate, _)| certificate)
    }

    /// The development certificate of this user, if it was made before and has not expired. Makes nothing.
    ///
    /// One that is there and cannot be used is an event at warn, which says why and what to do.
    ///
    /// Whoever gives no endpoint at all, or one of `https` without TLS, gets this one.
    pub fn find_development() -> Option<Self> {
        find(&DevelopmentCertificate::of(&folder().ok()?))
    }
}

/// Makes the development certificate of this user, unless there is one that can be used, and says where it is.
///
/// # Errors
///
/// As [`Certificate::development`].
pub fn create_development_certificate() -> Result<DevelopmentCertificate, Error> {
    development_in(&folder()?).map(|(_, paths)| paths)
}

/// Where the development certificate of a user is: in `kestrel-rs` of the user's data folder, which is
/// `$XDG_DATA_HOME` if that is set, else `~/.local/share` (on Windows `%LOCALAPPDATA%`).
///
/// The folder is the user's alone (mode 0700), and so is the key (mode 0600).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevelopmentCertificate {
    certificate: PathBuf,
    key: PathBuf,
}

impl DevelopmentCertificate {
    /// The certificate in PEM, which is what has to be trusted.
    pub fn certificate_path(&self) -> &Path {
        &self.certificate
    }

    /// The private key in PEM, which is nobody else's business.
    pub fn key_path(&self) -> &Path {
        &self.key
    }

    fn of(folder: &Path) -> Self {
        Self { certificate: folder.join("localhost.pem"), key: folder.join("localhost.key") }
    }
}

fn development_in(folder: &Path) -> Result<(Certificate, DevelopmentCertificate), Error> {
    let paths = DevelopmentCertificate::of(folder);
    match find(&paths) {
        Some(certificate) => Ok((certificate, paths)),
        None => make(folder, paths),
    }
}

#[cfg(not(feature = "dev-certificate"))]
fn make(_: &Path, _: DevelopmentCertificate) -> Result<(Certificate, DevelopmentCertificate), Error> {
    let text =
        "to make a development certificate takes the cargo feature `dev-certificate`; turn it on, for once";
    Err(Error::new(ErrorKind::Certificate, text))
}

#[cfg(feature = "dev-certificate")]
fn make(
    folder: &Path,
    paths: DevelopmentCertificate,
) -> Result<(Certificate, DevelopmentCertificate), Error> {
    let failed = |error: crate::error::BoxError| {
        let text = format!(
            "cannot make a development certificate in '{}'; check who owns the folder, or set XDG_DATA_HOME to another",
            folder.display()
        );
        Error::new(ErrorKind::Certificate, text).with_source(error)
    };
    maker::private_folder(folder).map_err(|error| failed(error.into()))?;
    // Held until the end of the function: of two programs that start together, one makes it.
    let _lock = maker::lock(&folder.join(".lock")).map_err(|error| failed(error.into()))?;
    if let Some(certificate) = find(&paths) {
        return Ok((certificate, paths));
    }
    maker::create(&paths.certificate, &paths.key).map_err(failed)?;
    events::development_certificate_created(&paths.certificate);
    let certificate = Certificate::from_pem_files(&paths.certificate, &paths.key)?;
    Ok((certificate, paths))
}

/// Only what is current and was kept private is used.
fn find(paths: &DevelopmentCertificate) -> Option<Certificate> {
    if !paths.certificate.exists() {
        return None;
    }
    let unusable = |reason: &dyn std::fmt::Display| {
        events::development_certificate_unusable(&paths.certificate, reason);
        None
    };
    if !is_private(&paths.key) {
        return unusable(&"others may read its key");
    }
    // Before it is loaded, which would warn of the date.
    match Certificate::is_current_pem(&paths.certificate) {
        Ok(true) => {}
        Ok(false) => return unusable(&"it has expired"),
        Err(error) => return unusable(&error),
    }
    Certificate::from_pem_files(&paths.certificate, &paths.key).map_or_else(|error| unusable(&error), Some)
}

#[cfg(unix)]
fn is_private(key: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    // No bit for the group or for others. That the key is missing is said when it is read.
    fs::metadata(key).map_or(true, |metadata| metadata.permissions().mode().trailing_zeros() >= 6)
}

/// The folder of a Windows user is the user's alone already.
#[cfg(not(unix))]
fn is_private(_key: &Path) -> bool {
    true
}

fn folder() -> Result<PathBuf, Error> {
    let data = if cfg!(windows) { "LOCALAPPDATA" } else { "XDG_DATA_HOME" };
    folder_of(std::env::var_os(data).map(PathBuf::from), std::env::home_dir())
}

fn folder_of(data: Option<PathBuf>, home: Option<PathBuf>) -> Result<PathBuf, Error> {
    // The specification of base directories: a relative path counts as unset.
    let data = data.filter(|data| data.is_absolute());
    let home = home.filter(|home| home.is_absolute());
    let data = data.or_else(|| home.map(|home| home.join(".local/share")));
    data.map(|data| data.join("kestrel-rs")).ok_or_else(|| {
        let text = "no folder for a development certificate: set XDG_DATA_HOME or HOME to an absolute path";
        Error::new(ErrorKind::Certificate, text)
    })
}

#[cfg(feature = "dev-certificate")]
#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;

    use super::*;
    use crate::tls::certificate::is_current;

    struct Home(PathBuf);

    impl Home {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("kestrel-rs-dev-{}-{name}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Self(path)
        }
    }

    impl Drop for Home {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn chain(certificate: &Certificate) -> Vec<CertificateDer<'static>> {
        certificate.current().cert.clone()
    }

    #[test]
    fn is_made_once_and_kept_private() {
        let home = Home::new("once");
        let (first, paths) = development_in(&home.0).unwrap();
        assert_eq!(mode(&home.0), 0o700);
        assert_eq!(mode(paths.key_path()), 0o600);
        assert!(is_current(&CertificateDer::from_pem_file(paths.certificate_path()).unwrap()));
        let (second, _) = development_in(&home.0).unwrap();
        assert_eq!(chain(&first), chain(&second));
        let text = format!("{first:?}");
        for name in ["localhost", "*.dev.localhost", "127.0.0.1", "CN=localhost"] {
            assert!(text.contains(name), "{text}");
        }
    }

    #[test]
    fn only_looking_makes_nothing() {
        let home = Home::new("look");
        assert!(find(&DevelopmentCertificate::of(&home.0)).is_none());
        assert!(!home.0.exists());
        development_in(&home.0).unwrap();
        assert!(find(&DevelopmentCertificate::of(&home.0)).is_some());
    }

    #[test]
    fn what_has_expired_is_damaged_or_was_open_to_others_is_made_anew() {
        let facts = Path::new("tests/reference/facts/certs");
        let home = Home::new("anew");
        let (mut last, paths) = development_in(&home.0).unwrap();
        let spoilers: [&dyn Fn(); 5] = [
            &|| {
                fs::copy(facts.join("expired.pem"), paths.certificate_path()).unwrap();
                fs::write(paths.key_path(), fs::read(facts.join("expired.key")).unwrap()).unwrap();
            },
            &|| fs::write(paths.certificate_path(), "half").unwrap(),
            &|| fs::remove_file(paths.key_path()).unwrap(),
            &|| fs::write(paths.key_path(), fs::read(facts.join("a.key")).unwrap()).unwrap(),
            &|| fs::set_permissions(paths.key_path(), fs::Permissions::from_mode(0o644)).unwrap(),
        ];
        for (at, spoil) in spoilers.iter().enumerate() {
            spoil();
            assert!(find(&paths).is_none(), "{at}");
            let (new, _) = development_in(&home.0).unwrap();
            assert_ne!(chain(&new), chain(&last), "{at}");
            assert_eq!(mode(paths.key_path()), 0o600, "{at}");
            last = new;
        }
    }

    #[test]
    fn an_open_folder_is_closed() {
        let home = Home::new("open");
        fs::create_dir_all(&home.0).unwrap();
        fs::set_permissions(&home.0, fs::Permissions::from_mode(0o777)).unwrap();
        development_in(&home.0).unwrap();
        assert_eq!(mode(&home.0), 0o700);
    }

    #[test]
    fn programs_that_start_together_get_the_same() {
        let home = Home::new("together");
        let made: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..8).map(|_| scope.spawn(|| chain(&development_in(&home.0).unwrap().0))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(made.windows(2).all(|two| two[0] == two[1]));
    }

    #[test]
    fn the_folder_is_the_users_data_folder() {
        let folder =
            |data: Option<&str>, home: Option<&str>| folder_of(data.map(Into::into), home.map(Into::into));
        assert_eq!(folder(Some("/data"), Some("/home/u")).unwrap(), Path::new("/data/kestrel-rs"));
        for unset in [None, Some(""), Some("data")] {
            let of_home = Path::new("/home/u/.local/share/kestrel-rs");
            assert_eq!(folder(unset, Some("/home/u")).unwrap(), of_home);
            assert!(folder(unset, None).unwrap_err().to_string().contains("XDG_DATA_HOME"));
        }
    }

    #[test]
    fn an_error_names_the_folder() {
        let home = Home::new("file");
        fs::write(&home.0, "").unwrap();
        let error = development_in(&home.0.join("x")).unwrap_err();
        let _ = fs::remove_file(&home.0);
        assert!(error.is_certificate());
        assert!(error.to_string().contains(home.0.to_str().unwrap()), "{error}");
    }
}
