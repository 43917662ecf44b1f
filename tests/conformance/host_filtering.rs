//! `host-filtering.json`: which hosts pass, and what the others get.

use http::{Request, Response, Version};
use kestrel_rs::request::{AllowedHosts, HostFilteringLayer};
use serde_json::Value;
use tower::{Layer, ServiceExt, service_fn};

use crate::recording::{Case, add_headers, described, strings};
use crate::table::How::{Like, Unsaid};
use crate::table::{Difference, Outcome, check, replay_all, rule};

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    rule("a pattern that no request can match is an error", 59, odd_pattern, Like("refused: allowed hosts: no request can name *")),
    rule("a host that the server refuses is in no list", 7, refused_by_the_server, Like("allowed: false")),
    rule("only the list of hosts can change while the server runs", 2, other_option_changes, Unsaid),
    rule("there is no list that is null", 1, |case| case.id == "unconfigured.null-list", Unsaid),
];

fn odd_pattern(case: &Case) -> bool {
    let patterns = strings(&case.options()["allowed_hosts"]);
    let configured = case.input["config"]["AllowedHosts"].as_str().unwrap_or_default();
    let configured = configured.split(';').filter(|pattern| !pattern.is_empty()).map(str::to_owned);
    patterns.into_iter().chain(configured).any(|pattern| AllowedHosts::new([pattern]).is_err())
}

fn refused_by_the_server(case: &Case) -> bool {
    case.output["server_status"] == 400
}

fn other_option_changes(case: &Case) -> bool {
    let then = case.input["then_options"].as_object();
    then.is_some_and(|then| {
        then.keys().any(|name| name != "allowed_hosts" && then[name] != case.options()[name])
    })
}

#[tokio::test]
async fn hosts_are_filtered_as_aspnetcore_does() {
    replay_all("facts/host-filtering.json", DIFFERENCES, replay).await;
}

async fn replay(case: &Case) -> Outcome {
    if case.is_in("config") {
        return config(case).await;
    }
    let allowed = &case.options()["allowed_hosts"];
    if allowed.is_null() && case.options().get("allowed_hosts").is_some() || other_option_changes(case) {
        return Err("not replayed".into());
    }
    let hosts = match AllowedHosts::new(strings(allowed)) {
        Err(error) if case.throws() && case.output["throws"] != "FormatException" => {
            return check(error.is_option(), || format!("not about the option: {error}"));
        }
        result => result?,
    };
    let mut layer = HostFilteringLayer::new(hosts.clone());
    if case.options()["allow_empty_hosts"] == false {
        layer = layer.refuse_empty_hosts();
    }
    if case.options()["include_failure_message"] == false {
        layer = layer.without_failure_message();
    }
    ask(&layer, &case.input, &case.output).await?;
    if case.input["then_options"].is_object() {
        let set = hosts.set(strings(&case.input["then_options"]["allowed_hosts"]));
        if case.output["then"]["throws"] == "InvalidOperationException" {
            return check(set.is_err_and(|error| error.is_option()), || "an empty list is taken".to_owned());
        }
        set.map_err(|error| error.to_string())?;
        ask(&layer, &case.input, &case.output["then"]).await?;
    }
    Ok(())
}

/// The counterpart of the configuration key is the list as text.
async fn config(case: &Case) -> Outcome {
    let configured = &case.input["configure"]["allowed_hosts"];
    let hosts = if configured.is_array() {
        AllowedHosts::new(strings(configured))
    } else {
        case.input["config"]["AllowedHosts"].as_str().unwrap_or_default().parse()
    };
    let layer = HostFilteringLayer::new(hosts?);
    let statuses = case.output["statuses"].as_array().ok_or("no statuses")?;
    for (host, status) in strings(&case.input["hosts"]).into_iter().zip(statuses) {
        let output = serde_json::json!({ "allowed": *status == 200, "status": status });
        ask(&layer, &serde_json::json!({ "host": host }), &output).await?;
    }
    Ok(())
}

async fn ask(layer: &HostFilteringLayer, input: &Value, output: &Value) -> Outcome {
    let mut request = Request::get("/").body(()).unwrap();
    *request.version_mut() = match input["protocol"].as_str() {
        Some("HTTP/1.0") => Version::HTTP_10,
        Some("HTTP/2") => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    if let Err(error) = add_headers(&mut request, input) {
        // The server refuses it too.
        return check(output["allowed"] == false, || error);
    }
    let app = service_fn(async |_: Request<()>| Ok::<_, ()>(Response::new(String::from("passed"))));
    let response = layer.layer(app).oneshot(request).await.unwrap();

    let allowed = response.body() == "passed";
    check(output["allowed"] == allowed, || format!("allowed: {allowed}"))?;
    if allowed {
        return Ok(());
    }
    check(output["status"] == response.status().as_u16(), || response.status().to_string())?;
    let octets = &output["body_octets"];
    check(octets.is_null() || *octets == response.body().len(), || {
        format!("{} octets", response.body().len())
    })?;
    if output["headers"].is_object() {
        // The server adds the length.
        let mut headers = output["headers"].clone();
        headers.as_object_mut().unwrap().remove("content-length");
        check(output["body"] == **response.body(), || response.body().clone())?;
        check(headers == described(response.headers()), || format!("{:?}", response.headers()))?;
    }
    Ok(())
}
