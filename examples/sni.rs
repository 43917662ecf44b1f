//! One port, several names, each with its certificate and its rules: `cargo run --example sni -- FOLDER`,
//! where `FOLDER` has `default`, `wild` and `partners` as `.pem` and `.key`, and `ca.pem`. Then
//! `curl --cacert FOLDER/ca.pem --resolve a.example.org:5001:127.0.0.1 https://a.example.org:5001`.

use std::path::PathBuf;

use axum::{Router, routing::get};
use kestrel_rs::tls::{ClientTrust, ServerName, TlsVersion};
use kestrel_rs::{
    BoxError, Certificate, ClientCertificates, Endpoint, Error, KestrelListener, TlsInfo, TlsOptions,
};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: sni FOLDER")?);
    let certificate = |name: &str| -> Result<Certificate, Error> {
        Certificate::from_pem_files(folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")))
    };
    let partners = ServerName::from(certificate("partners")?)
        .versions([TlsVersion::Tls13])
        .client_certificates(ClientCertificates::Require)
        .client_trust(ClientTrust::from_pem_file(folder.join("ca.pem"))?);
    let tls = TlsOptions::new(certificate("default")?)
        .server_name("*.example.org", certificate("wild")?)
        .server_name("partners.example.org", partners);
    let listener = KestrelListener::builder().endpoint(Endpoint::localhost(5001).tls(tls)).bind().await?;

    let app = Router::new().route("/", get(whoami));
    kestrel_rs::serve(app).listener(listener).await?;
    Ok(())
}

async fn whoami(tls: TlsInfo) -> String {
    let name = tls.server_name().unwrap_or("no name");
    format!("You asked for {name} and showed {} certificates.\n", tls.peer_certificates().len())
}
