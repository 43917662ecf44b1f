//! `certificate-forwarding.json`: the certificate that a handler finds.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderName, HeaderValue, Request, Response};
use kestrel_rs::request::{CertificateForwardingLayer, ForwardedClientCertificate};
use percent_encoding::percent_decode;
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};

use crate::recording::{Case, add_headers};
use crate::table::How::Like;
use crate::table::{Difference, Outcome, check, replay_all, rule};

const DIFFERENCES: &[Difference] =
    &[rule("of what .NET takes for a certificate, DER and PEM are read", 0, is_pkcs, Like("None"))];

fn is_pkcs(case: &Case) -> bool {
    case.id.contains("pkcs")
}

#[tokio::test]
async fn certificates_are_forwarded_as_aspnetcore_does() {
    replay_all("facts/certificate-forwarding.json", DIFFERENCES, replay).await;
}

async fn replay(case: &Case) -> Outcome {
    let mut layer = CertificateForwardingLayer::new();
    if let Some(name) = case.options()["certificate_header"].as_str() {
        layer = layer.header(HeaderName::try_from(name).map_err(|error| error.to_string())?);
    }
    layer = match case.options()["header_converter"].as_str() {
        None => layer,
        Some("null") => layer.converter(|_| Ok(None)),
        Some("pem, percent-encoded") => layer.converter(pem),
        Some(name) => return Err(format!("there is no converter {name}").into()),
    };
    let mut request = Request::get("/").body(()).unwrap();
    add_headers(&mut request, &case.input)?;
    let app = service_fn(async |request: Request<()>| {
        Ok::<_, ()>(Response::new(request.extensions().get::<ForwardedClientCertificate>().cloned()))
    });
    let certificate = layer.layer(app).oneshot(request).await.unwrap().into_body();

    let from_header = case.output["tls_feature"] == "from the header";
    check(certificate.is_some() == from_header, || format!("{certificate:?}"))?;
    // There the header is converted at each of three reads.
    for read in case.output["reads"].as_array().ok_or("no reads")?.iter().filter(|_| from_header) {
        let der = certificate.as_ref().and_then(ForwardedClientCertificate::der);
        check(der.is_some() != read.is_null(), || format!("{der:?}"))?;
        let Some(der) = der else { continue };
        let name = common_name(read);
        check(der.windows(name.len()).any(|text| text == name.as_bytes()), || format!("not {name}"))?;
    }
    Ok(())
}

/// The name by which the two certificates differ.
fn common_name(read: &Value) -> String {
    read["subject"].as_str().unwrap().rsplit_once("CN=").unwrap().1.to_owned()
}

fn pem(value: &HeaderValue) -> Result<Option<bytes::Bytes>, kestrel_rs::BoxError> {
    let text =
        percent_decode(value.as_bytes()).decode_utf8()?.replace("BEGIN+", "BEGIN ").replace("END+", "END ");
    let inside =
        text.split_once("-----BEGIN CERTIFICATE-----").and_then(|(_, text)| text.split_once("-----END"));
    let (inside, _) = inside.ok_or("no PEM")?;
    Ok(Some(BASE64_STANDARD.decode(inside.replace('\n', ""))?.into()))
}
