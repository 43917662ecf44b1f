//! `method-override.json`: the method that the handler sees.

use axum::body::Body;
use axum::response::IntoResponse;
use http::{Method, Request};
use http_body_util::BodyExt;
use kestrel_rs::request::HttpMethodOverrideLayer;
use serde_json::json;
use tower::{Layer, ServiceExt, service_fn};

use crate::recording::{Case, add_headers, described};
use crate::table::How::{Like, Unsaid};
use crate::table::{Difference, Outcome, check, replay_all, rule};

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    rule("a header has no control character", 1, |case| case.id == "header.value-crlf-free-control", Unsaid),
    rule("a method that is none is answered 400, where the app gets it", 6, no_method, Like("400 Bad Request")),
    rule("what comes with a path opens no tunnel: CONNECT is answered 400", 1, becomes_connect, Like("400 Bad Request")),
    rule("the charset of a form is not looked at", 1, |case| case.input.to_string().contains("charset="), Like("200 OK")),
];

fn becomes_connect(case: &Case) -> bool {
    case.output["method"] == "CONNECT" && case.input["method"] == "POST"
}

fn no_method(case: &Case) -> bool {
    case.output["method"].as_str().is_some_and(|method| method.parse::<Method>().is_err())
}

#[tokio::test]
async fn methods_are_overridden_as_aspnetcore_does() {
    replay_all("facts/method-override.json", DIFFERENCES, replay).await;
}

async fn replay(case: &Case) -> Outcome {
    let layer = match case.options()["form_field_name"].as_str() {
        Some(name) => HttpMethodOverrideLayer::form_field(name),
        None => HttpMethodOverrideLayer::new(),
    };
    let body = case.input["body"].as_str().unwrap_or_default().to_owned();
    let mut request = Request::new(Body::from(body.clone()));
    *request.method_mut() = case.input["method"].as_str().unwrap().parse().unwrap();
    add_headers(&mut request, &case.input)?;
    let app = service_fn(async |request: Request<Body>| {
        let method = request.method().to_string();
        let header = described(request.headers())["x-http-method-override"].clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok::<_, ()>(axum::Json(json!({ "method": method, "header": header, "body": body })).into_response())
    });
    let response = layer.layer(app).oneshot(request).await.unwrap();
    if case.throws() {
        return check(response.status().is_client_error(), || response.status().to_string());
    }
    check(response.status() == 200, || response.status().to_string())?;
    let seen = response.into_body().collect().await.unwrap().to_bytes();
    let seen: serde_json::Value = serde_json::from_slice(&seen).unwrap();
    check(seen["method"] == case.output["method"], || seen.clone())?;
    check(seen["header"] == case.output["header"], || seen.clone())?;
    // There the form stays to be read, here the body does.
    check(seen["body"] == *body, || seen.clone())
}
