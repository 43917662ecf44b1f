//! `https-redirection.json`: who is sent to https, and where to.

use std::fmt::Write;

use axum::Router;
use http::{Method, Request, Response, StatusCode};
use kestrel_rs::request::{ForwardedHeaders, ForwardedHeadersLayer, HttpsRedirectionLayer, PathBase};
use kestrel_rs::test::TestServer;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

use crate::http::answers;
use crate::recording::{Case, add_header, add_headers, described, from_latin1, latin1, number, strings};
use crate::table::How::{Like, Such, Unsaid};
use crate::table::{Difference, Different, Outcome, check, replay_all, rule};

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    rule("websocket-scheme", 1, is_wss, Like("passed on")),
    rule("a port is a number of 16 bits; not to redirect is to leave the layer out", 1, |case| case.options()["https_port"] == -1, Unsaid),
    rule("what is no port is an error, where .NET redirects to it", 1, |case| case.id == "port.config-value.big", Like("refused: the environment names 70000 as the port for https, which is none")),
    rule("a status that does not redirect is an error", 1, has_odd_status, Like("refused: * does not redirect; use 301, 302, 303, 307 or 308")),
    rule("there is no such status in `http`", 3, has_odd_status, Unsaid),
    rule("target-octets", 2, |case| case.id.ends_with("specials"), Such(|_, here| here["status"] == 400)),
    rule("nobody is sent to what the server refuses as a host: 400", 19, is_no_host, Such(|_, here| here["status"] == 400 && here["headers"]["location"].is_null())),
];

fn is_wss(case: &Case) -> bool {
    case.input["scheme"].as_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss"))
}

fn has_odd_status(case: &Case) -> bool {
    let status = case.options()["redirect_status_code"].as_i64();
    status.is_some_and(|status| !matches!(status, 301..=303 | 307 | 308))
}

#[tokio::test]
async fn clients_are_redirected_as_aspnetcore_does() {
    replay_all("facts/https-redirection.json", DIFFERENCES, replay).await;
}

async fn replay(case: &Case) -> Outcome {
    if case.is_in("wire") {
        return wire(case).await;
    }
    let answers = case.output["answers"].as_array().ok_or("no answers")?;
    let layer = match layer(&case.input) {
        Err(_) if answers.iter().all(|answer| !answer["throws"].is_null()) => return Ok(()),
        layer => layer?,
    };
    let proxy = ForwardedHeadersLayer::new(ForwardedHeaders::PROTO).trusting_anyone();
    let passes = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new("passed")));
    let service = proxy.layer(layer.layer(passes));
    for answer in answers {
        let request = request(&case.input)?;
        let response = service.clone().oneshot(request).await.unwrap();
        if *response.body() == "passed" {
            check(answer["passed_on"] == true, || "passed on")?;
            continue;
        }
        let ours = json!({
            "status": response.status().as_u16(),
            "headers": described(response.headers()),
            "body": response.body(),
        });
        check(*answer == ours, || ours)?;
    }
    Ok(())
}

fn request(input: &Value) -> Result<Request<()>, String> {
    let target = encode(input["path"].as_str().unwrap()) + input["query"].as_str().unwrap();
    let target = match &*target {
        // Of a request for the server as a whole there is no path.
        "" if !input["path_base"].is_null() => "*".to_owned(),
        _ if target.starts_with('/') => target,
        _ => format!("/{target}"),
    };
    let mut request = Request::get(target).body(()).map_err(|error| error.to_string())?;
    if let Some(method) = input["method"].as_str() {
        *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
    }
    add_headers(&mut request, input)?;
    if let Some(scheme) = input["scheme"].as_str() {
        add_header(&mut request, "x-forwarded-proto", scheme)?;
    }
    if let Some(base) = input["path_base"].as_str() {
        request.extensions_mut().insert(PathBase::new(base).unwrap());
    }
    Ok(request)
}

/// Redirected to what is no host.
fn is_no_host(case: &Case) -> bool {
    let raw = case.input["raw"].as_str().and_then(|raw| raw.split("Host:").nth(1)?.split("\r\n").next());
    let host = raw.or(case.input["host"].as_str()).unwrap_or_default().trim();
    let (name, port) = match host.rfind(':').filter(|colon| !host[*colon..].contains(']')) {
        Some(colon) => (&host[..colon], &host[colon + 1..]),
        None => (host, "0"),
    };
    let is_address = name.starts_with('[') && name.ends_with(']') && !name.contains('%');
    let is_name = !name.is_empty() && !name.contains([':', ' ', '/', '%', '[', ']']);
    !(is_address || is_name) || port.is_empty() || !port.bytes().all(|octet| octet.is_ascii_digit())
}

/// A decoded path as a client writes it.
fn encode(path: &str) -> String {
    let mut text = String::new();
    for (i, octet) in path.bytes().enumerate() {
        if octet.is_ascii_alphanumeric()
            || b"/-._~!$&'()*+,;=:@".contains(&octet)
            || path.as_bytes()[i..].starts_with(b"%2F")
        {
            text.push(char::from(octet));
        } else {
            write!(text, "%{octet:02X}").unwrap();
        }
    }
    text
}

/// As there, what is not needed is not looked at.
fn layer(input: &Value) -> Result<HttpsRedirectionLayer, Different> {
    let mut layer = HttpsRedirectionLayer::new();
    let options = &input["options"];
    if options["redirect_status_code"].is_i64() {
        let status = StatusCode::from_u16(number(&options["redirect_status_code"])?);
        layer = layer.status(status.map_err(|error| error.to_string())?)?;
    }
    if options["https_port"].is_i64() {
        return Ok(layer.https_port(number(&options["https_port"])?)?);
    }
    let mut variables = Vec::new();
    for (key, value) in
        [&input["config"], &input["environment"]].iter().filter_map(|map| map.as_object()).flatten()
    {
        // A key of the configuration is a variable whose prefix has been taken off.
        if input["config"].is_null() || !key.starts_with("ASPNETCORE_") && !key.starts_with("DOTNET_") {
            variables.push((key.as_str(), value.as_str().unwrap()));
        }
    }
    let found = variables.iter().any(|(_, value)| value.parse::<i32>().is_ok());
    layer = layer.variables(variables)?;
    if !found {
        let mut addresses = strings(&input["addresses"]);
        for port in input["https_listen"].as_array().into_iter().flatten() {
            addresses.push(format!("https://127.0.0.1:{port}"));
        }
        layer = layer.addresses(addresses)?;
    }
    Ok(layer)
}

/// A raw request to a real server.
async fn wire(case: &Case) -> Outcome {
    let layer = match layer(&case.input) {
        Err(_) if case.output["status"] == 500 => return Ok(()),
        layer => layer?,
    };
    let app = Router::new().fallback(|| async { "passed on" }).layer(layer);
    let server = TestServer::new(app);
    let mut client = server.connect().await.map_err(|error| error.to_string())?;
    let raw = case.input["raw"].as_str().unwrap().replacen("\r\n", "\r\nConnection: close\r\n", 1);
    client.send(latin1(&raw)).await.map_err(|error| error.to_string())?;
    let answer = client.read_to_end().await.map_err(|error| error.to_string())?;
    let answers = answers(answer.as_bytes(), &[]);
    let answer = answers.first().ok_or("no answer")?;
    let here = json!({
        "status": answer.status,
        "headers": answer.header("location").map_or(json!({}), |location| json!({ "location": [location] })),
        "body": from_latin1(&answer.body),
    });
    let agrees = case.output["status"] == here["status"]
        && case.output["headers"]["location"] == here["headers"]["location"]
        && case.output["body"] == here["body"];
    check(agrees, || here)
}
