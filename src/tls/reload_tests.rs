//! Files change while the clock stands still.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::time::sleep;

use super::{PERIOD, SETTLE};
use crate::tls::Certificate;
use crate::tls::test_log::Log;

fn fact(name: &str) -> PathBuf {
    Path::new("tests/reference/facts/certs").join(name)
}

/// A scratch folder with a site's files.
struct Site(PathBuf);

impl Site {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name =
            format!("kestrel-rs-reload-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// With the files of `name`.
    fn of(name: &str) -> Self {
        let site = Self::new();
        site.put(name);
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn put(&self, name: &str) {
        self.copy(&format!("{name}.key"), "site.key");
        self.copy(&format!("{name}.pem"), "site.pem");
    }

    fn copy(&self, fact_name: &str, to: &str) {
        fs::write(self.path(to), fs::read(fact(fact_name)).unwrap()).unwrap();
    }

    fn certificate(&self) -> Certificate {
        Certificate::from_pem_files(self.path("site.pem"), self.path("site.key")).unwrap()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The name of the facts file whose certificate is in use.
fn is(certificate: &Certificate, name: &str) -> bool {
    let expected = CertificateDer::from_pem_file(fact(&format!("{name}.pem"))).unwrap();
    certificate.current().cert[0] == expected
}

fn watch(certificate: &Certificate) -> tokio::task::JoinHandle<()> {
    tokio::spawn(certificate.watch().unwrap())
}

/// Long enough for a change to be noticed, whenever it was made.
async fn noticed() {
    sleep(PERIOD + 2 * SETTLE).await;
}

#[tokio::test(start_paused = true)]
async fn a_replaced_pair_is_noticed_and_what_is_in_use_lives_on() {
    let site = Site::of("a");
    let certificate = site.certificate();
    let _watch = watch(&certificate);
    let in_use = certificate.current();
    site.put("b");
    sleep(PERIOD.saturating_sub(Duration::from_millis(1))).await;
    assert!(is(&certificate, "a"));
    noticed().await;
    assert!(is(&certificate, "b"));
    assert!(is(&certificate.clone(), "b"));
    assert_ne!(in_use.cert, certificate.current().cert);
    // And again.
    site.put("a");
    noticed().await;
    assert!(is(&certificate, "a"));
}

#[tokio::test(start_paused = true)]
async fn what_changes_before_the_server_starts_is_noticed() {
    let site = Site::of("a");
    let certificate = site.certificate();
    site.put("b");
    let _watch = watch(&certificate);
    noticed().await;
    assert!(is(&certificate, "b"));
}

#[cfg(feature = "pfx")]
#[tokio::test(start_paused = true)]
async fn a_file_replaced_by_renaming_is_noticed() {
    let site = Site::new();
    site.copy("rsa.pfx", "site.pfx");
    let certificate = Certificate::from_pfx_file(site.path("site.pfx"), "secret").unwrap();
    let _watch = watch(&certificate);
    site.copy("ecdsa.pfx", "new.pfx");
    fs::rename(site.path("new.pfx"), site.path("site.pfx")).unwrap();
    noticed().await;
    assert!(is(&certificate, "ecdsa"));
}

#[tokio::test(start_paused = true)]
async fn a_link_pointed_elsewhere_is_noticed() {
    // As Kubernetes lays out a secret: site.pem -> ..data/site.pem, ..data -> ..v1
    let site = Site::new();
    for (version, name) in [("..v1", "a"), ("..v2", "b")] {
        fs::create_dir(site.path(version)).unwrap();
        site.copy(&format!("{name}.pem"), &format!("{version}/site.pem"));
        site.copy(&format!("{name}.key"), &format!("{version}/site.key"));
    }
    symlink("..v1", site.path("..data")).unwrap();
    symlink("..data/site.pem", site.path("site.pem")).unwrap();
    symlink("..data/site.key", site.path("site.key")).unwrap();
    let certificate = site.certificate();
    let _watch = watch(&certificate);
    symlink("..v2", site.path("..data_tmp")).unwrap();
    fs::rename(site.path("..data_tmp"), site.path("..data")).unwrap();
    fs::remove_dir_all(site.path("..v1")).unwrap();
    noticed().await;
    assert!(is(&certificate, "b"));
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_leaves_the_old_certificate_and_is_said_once() {
    let log = Log::default();
    let _log = tracing::subscriber::set_default(log.clone());
    let site = Site::of("a");
    let certificate = site.certificate();
    let _watch = watch(&certificate);
    site.copy("broken.pem", "site.pem");
    for _ in 0..5 {
        noticed().await;
        assert!(is(&certificate, "a"));
    }
    let warnings = log.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(site.path("site.pem").to_str().unwrap()), "{warnings:?}");
    // Mended.
    site.put("b");
    noticed().await;
    assert!(is(&certificate, "b"));
    assert_eq!(log.warnings().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_comes_late_is_waited_for() {
    let site = Site::of("a");
    let certificate = site.certificate();
    let _watch = watch(&certificate);
    site.copy("b.pem", "site.pem");
    noticed().await;
    assert!(is(&certificate, "a"));
    // Only the key file changes now.
    site.copy("b.key", "site.key");
    noticed().await;
    assert!(is(&certificate, "b"));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_file_is_ignored_until_it_is_back() {
    let log = Log::default();
    let _log = tracing::subscriber::set_default(log.clone());
    let site = Site::of("a");
    let certificate = site.certificate();
    let _watch = watch(&certificate);
    fs::remove_file(site.path("site.pem")).unwrap();
    noticed().await;
    assert!(is(&certificate, "a"));
    assert!(log.warnings().is_empty());
    site.put("b");
    noticed().await;
    assert!(is(&certificate, "b"));
}

#[tokio::test(start_paused = true)]
async fn the_same_content_written_again_changes_nothing() {
    let site = Site::of("a");
    let certificate = site.certificate();
    let _watch = watch(&certificate);
    let before = certificate.current();
    site.put("a");
    noticed().await;
    assert!(Arc::ptr_eq(&before, &certificate.current()));
}

#[tokio::test(start_paused = true)]
async fn files_that_keep_changing_are_not_read() {
    let site = Site::of("a");
    let certificate = site.certificate();
    let _watch = watch(&certificate);
    sleep(PERIOD.saturating_sub(SETTLE / 2)).await;
    for round in 0..10 {
        site.put("b");
        fs::OpenOptions::new().append(true).open(site.path("site.pem")).unwrap().set_len(20 + round).unwrap();
        sleep(SETTLE).await;
        assert!(is(&certificate, "a"));
    }
    site.put("b");
    noticed().await;
    assert!(is(&certificate, "b"));
}

#[tokio::test(start_paused = true)]
async fn when_one_watcher_of_clones_is_gone_another_takes_over() {
    let site = Site::of("a");
    let certificate = site.certificate();
    let (first, second) = (watch(&certificate), watch(&certificate.clone()));
    noticed().await;
    first.abort();
    site.put("b");
    noticed().await;
    noticed().await;
    assert!(is(&certificate, "b"));
    second.abort();
}

#[tokio::test(start_paused = true)]
async fn nothing_is_watched_without_files_or_when_turned_off() {
    let site = Site::of("a");
    let (pem, key) = (fs::read(fact("a.pem")).unwrap(), fs::read(fact("a.key")).unwrap());
    assert!(Certificate::from_pem(pem, key).unwrap().watch().is_none());
    let followed = site.certificate();
    let fixed = followed.clone().without_reload();
    assert!(fixed.watch().is_none());
    let _watch = watch(&followed);
    site.put("b");
    noticed().await;
    assert!(is(&fixed, "a"));
    assert!(is(&followed, "b"));
}
