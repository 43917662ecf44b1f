//! `hsts.json`: which answers have a Strict-Transport-Security header.

use std::time::Duration;

use http::header::STRICT_TRANSPORT_SECURITY;
use http::{Request, Response, StatusCode};
use kestrel_rs::request::{ForwardedHeaders, ForwardedHeadersLayer, HstsLayer};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

use crate::recording::{Case, add_header, add_headers, number, strings};
use crate::table::How::{Like, Such, Unsaid};
use crate::table::{Difference, Different, Outcome, check, replay_all, rule};

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    rule("websocket-scheme", 1, is_wss, Like("max-age=2592000")),
    rule("there are no options to read back", 1, |case| case.is_in("options"), Unsaid),
    rule("a time is not negative", 1, has_negative_age, Unsaid),
    rule("before the handler there is no answer to have a header", 3, |case| !case.input["response_header_before"].is_null(), Unsaid),
    rule("an excluded host may be given in punycode", 2, |case| case.id.starts_with("exclusion.xn--"), Such(|_, here| here.is_null())),
    rule("an excluded host that no request can name is an error", 8, has_odd_exclusion, Like("refused: excluded from HSTS: no request can name *")),
    rule("what the server refuses as a host is not excluded", 1, |case| case.input["host"] == "::1", Like("max-age=2592000")),
    rule("there is no scheme with a blank in it", 1, |case| case.input["scheme"].as_str().is_some_and(|scheme| scheme.contains(' ')), Unsaid),
];

fn is_wss(case: &Case) -> bool {
    case.input["scheme"].as_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss"))
}

fn has_negative_age(case: &Case) -> bool {
    case.options()["max_age_ms"].as_f64().is_some_and(|time| time < 0.0)
}

fn has_odd_exclusion(case: &Case) -> bool {
    HstsLayer::new().excluded_hosts(strings(&case.options()["excluded_hosts"])).is_err()
}

#[tokio::test]
async fn hsts_is_sent_as_aspnetcore_does() {
    replay_all("facts/hsts.json", DIFFERENCES, replay).await;
}

async fn replay(case: &Case) -> Outcome {
    if case.is_in("options") || !case.input["response_header_before"].is_null() {
        return Err("not replayed".into());
    }
    let layer = layer(case.options())?;
    let mut request = Request::get("/").body(()).unwrap();
    add_headers(&mut request, &case.input)?;
    // Any scheme can come from a proxy.
    let scheme = case.input["scheme"].as_str().unwrap();
    if scheme.contains(' ') {
        return Err("not replayed".into());
    }
    add_header(&mut request, "x-forwarded-proto", scheme)?;
    let proxy = ForwardedHeadersLayer::new(ForwardedHeaders::PROTO).trusting_anyone();

    let status = case.input.get("handler_status").map_or(Ok(200), number)?;
    let sets = case.input["handler_sets"].as_str();
    let app = service_fn(async |_: Request<()>| {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(value) = sets {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value.parse().unwrap());
        }
        Ok::<_, ()>(response)
    });
    let response = proxy.layer(layer.layer(app)).oneshot(request).await.unwrap();
    let header = response.headers().get(STRICT_TRANSPORT_SECURITY).map(|value| value.to_str().unwrap());
    check(case.output["header"].as_str() == header, || json!(header))
}

fn layer(options: &Value) -> Result<HstsLayer, Different> {
    let mut layer = HstsLayer::new();
    for (name, value) in options.as_object().into_iter().flatten() {
        layer = match name.as_str() {
            "max_age_ms" => layer.max_age(
                Duration::try_from_secs_f64(value.as_f64().unwrap() / 1000.0)
                    .map_err(|error| error.to_string())?,
            ),
            "include_sub_domains" if *value == true => layer.include_sub_domains(),
            "preload" if *value == true => layer.preload(),
            "include_sub_domains" | "preload" => layer,
            "excluded_hosts" => layer.excluded_hosts(strings(value))?,
            "add_excluded_hosts" => {
                strings(value).iter().try_fold(layer, |layer, host| layer.exclude_host(host))?
            }
            name => return Err(format!("there is no option {name}").into()),
        };
    }
    Ok(layer)
}
