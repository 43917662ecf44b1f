//! Makes the development certificate for `localhost` and says how to trust it.

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use kestrel_rs::Error;
use kestrel_rs::tls::create_development_certificate;

fn main() -> Result<(), Error> {
    let made = create_development_certificate()?;
    let certificate = made.certificate_path().display();
    println!("certificate: {certificate}");
    println!("private key: {} (keep it to yourself)", made.key_path().display());
    println!();
    println!("Browsers warn of it until you trust it:");
    if cfg!(target_os = "macos") {
        println!(
            "  security add-trusted-cert -p ssl -k ~/Library/Keychains/login.keychain-db '{certificate}'"
        );
    } else if cfg!(windows) {
        println!("  certutil -user -addstore Root \"{certificate}\"");
    } else {
        println!("curl and other programs that use OpenSSL or GnuTLS (Debian, Ubuntu, Alpine):");
        println!("  sudo cp '{certificate}' /usr/local/share/ca-certificates/kestrel-rs-localhost.crt");
        println!("  sudo update-ca-certificates");
        println!("the same on Fedora and its kin:");
        println!("  sudo cp '{certificate}' /etc/pki/ca-trust/source/anchors/kestrel-rs-localhost.pem");
        println!("  sudo update-ca-trust");
        println!("Chrome and Chromium (certutil is in libnss3-tools or nss-tools):");
        println!("  certutil -d sql:$HOME/.pki/nssdb -A -t 'P,,' -n kestrel-rs-localhost -i '{certificate}'");
    }
    println!(
        "Firefox keeps a store of its own: open the site and accept the risk, or, with the folder of your profile:"
    );
    println!("  certutil -d sql:PROFILE -A -t 'P,,' -n kestrel-rs-localhost -i '{certificate}'");
    Ok(())
}
