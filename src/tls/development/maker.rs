//! Makes a certificate and its key, and writes them so that others cannot read the key.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use x509_parser::time::ASN1Time;

use crate::error::BoxError;

pub(super) fn create(certificate_path: &Path, key_path: &Path) -> Result<(), BoxError> {
    let key = KeyPair::generate()?;
    let names = [
        "localhost",
        "*.dev.localhost",
        "*.dev.internal",
        "host.docker.internal",
        "host.containers.internal",
    ];
    let mut params = CertificateParams::new(names.map(str::to_owned))?;
    for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        params.subject_alt_names.push(SanType::IpAddress(address));
    }
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, "localhost");
    name.push(DnType::OrganizationName, "kestrel-rs development certificate");
    params.distinguished_name = name;
    let now = ASN1Time::now().to_datetime();
    params.not_before = now;
    params.not_after = now + VALIDITY;
    // An authority's key on a developer's disk could vouch for any site.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.self_signed(&key)?;
    replace(key_path, key.serialize_pem().as_bytes(), 0o600)?;
    replace(certificate_path, certificate.pem().as_bytes(), 0o644)?;
    Ok(())
}

/// A year, as ASP.NET Core's; more than 398 days, and Apple's systems refuse it.
const VALIDITY: Duration = Duration::from_secs(365 * 24 * 3600);

/// Writes beside the file and moves it there, so that nobody sees half of it.
fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    // With another mode, or a link to somewhere else.
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = options.open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// Waits until nobody else has the lock; it is let go when the file is closed.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    #[cfg(unix)]
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(file)
}

pub(super) fn private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    // One that was there already may be open to others.
    #[cfg(unix)]
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}
