//! A recorded exchange, from the options of its server to what its client saw.

use std::time::Duration;

use axum::Router;
use kestrel_rs::request::{MaxRequestBodySizeLayer, SynchronousIoLayer};
use kestrel_rs::test::TestServer;
use kestrel_rs::{Limits, MinDataRate, Protocols};
use serde_json::{Value, json};

use crate::cases::is_http2;
use crate::client::converse;
use crate::handler::{Given, Handlers, Results};
use crate::recording::Case;
use crate::table::{Different, Outcome};

/// Serves a case with its own options, and compares what its handlers and its client saw. What is there instead is
/// `{requests: [[step, what it gave]..], connection: what the client saw}`.
pub(crate) async fn replay(case: &Case) -> Outcome {
    let handlers = Handlers::new(&case.input);
    let app = routes(&handlers, &case.input)?;
    let limits = limits(&case.input["server"])?;
    let protocols = if is_http2(case) { Protocols::HTTP2 } else { Protocols::HTTP1 };
    let server = TestServer::builder(app).limits(limits).protocols(protocols).start();
    for option in case.input.as_object().into_iter().flatten().map(|(name, _)| &**name) {
        holds(OPTIONS.contains(&option), || format!("no counterpart: {option}"))?;
    }
    let seen = converse(case, &server, &handlers).await?;
    handlers.are_done().await;
    let results = handlers.results();
    if let Some((op, _)) = results.iter().flatten().find(|(_, given)| matches!(given, Given::Unknown)) {
        return Err(format!("no counterpart: {op}").into());
    }
    let what = compare_requests(&case.output["requests"], &results)
        .and_then(|()| compare_connections(&case.output["connection"], &seen));
    what.map_err(|what| {
        let requests: Vec<Vec<Value>> =
            results.iter().map(|steps| steps.iter().map(shown).collect()).collect();
        Different::new(what, json!({ "requests": requests, "connection": seen }))
    })
}

/// A step, and what it gave.
fn shown((op, given): &(Value, Given)) -> Value {
    let given = match given {
        Given::Nothing | Given::Unknown => Value::Null,
        Given::Value(value) => json!({ "value": value }),
        Given::Failure { status, message } => {
            json!({ "fails": message, "status": status.map(|status| status.as_u16()) })
        }
    };
    json!([op, given])
}

fn holds(holds: bool, else_say: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(else_say()) }
}

/// What a case says and is heeded here.
const OPTIONS: &[&str] = &[
    "protocol",
    "client",
    "handler",
    "handlers",
    "server",
    "endpoint",
    "before_routing",
    "after_routing",
    "linger",
    "head",
];

/// The limits of a server; an error names the option that there is not.
fn limits(options: &Value) -> Result<Limits, String> {
    let mut limits = Limits::default();
    for (name, value) in options.as_object().into_iter().flatten() {
        let number = value.as_u64().and_then(|number| usize::try_from(number).ok());
        let time = || value.as_f64().map(Duration::from_secs_f64);
        limits = match &**name {
            "max_request_body_size" => limits.max_request_body_size(value.as_u64()),
            "max_request_line_size" => limits.max_request_line_size(number.ok_or("no number")?),
            "max_request_headers_total_size" => {
                limits.max_request_headers_total_size(number.ok_or("no number")?)
            }
            "max_request_header_count" => limits.max_request_header_count(number.ok_or("no number")?),
            "max_concurrent_upgraded_connections" => limits.max_concurrent_upgraded_connections(number),
            "request_headers_timeout" => limits.request_headers_timeout(time()),
            "keep_alive_timeout" => limits.keep_alive_timeout(time()),
            "min_request_body_data_rate" => limits.min_request_body_data_rate(rate(value)),
            "min_response_data_rate" => limits.min_response_data_rate(rate(value)),
            "allow_synchronous_io" => limits, // a layer
            other => return Err(format!("no counterpart: {other}")),
        };
    }
    Ok(limits)
}

fn rate(value: &Value) -> Option<MinDataRate> {
    let grace = Duration::from_secs_f64(value[1].as_f64()?);
    Some(MinDataRate::new(value[0].as_f64()?, grace).expect("a rate"))
}

/// The layers of a case's routes around its handlers. What Kestrel finds last counts: that is the
/// layer furthest inside.
fn routes(handlers: &Handlers, input: &Value) -> Result<Router, String> {
    let endpoint = &input["endpoint"];
    let path = endpoint["pattern"].as_str();
    let mut app = Handlers::around(handlers.router(path), &input["after_routing"]);
    for layer in size_limits(endpoint)?.into_iter().rev() {
        // What is around a route is not around the answer that there is none.
        app = if path.is_some() { app.route_layer(layer) } else { app.layer(layer) };
    }
    app = Handlers::around(app, &input["before_routing"]);
    Ok(if input["server"]["allow_synchronous_io"] == true {
        app.layer(SynchronousIoLayer::allowed())
    } else {
        app
    })
}

/// The limits that an endpoint has been given, the last one being its own.
fn size_limits(endpoint: &Value) -> Result<Vec<MaxRequestBodySizeLayer>, String> {
    let names = ["group_size_limit", "size_limit", "size_limit_attribute"];
    let mut values: Vec<_> = names.iter().filter_map(|name| endpoint.get(name)).collect();
    values.extend(endpoint["size_limits"].as_array().into_iter().flatten());
    if endpoint["disable_size_limit_attribute"] == true {
        values.push(&Value::Null);
    }
    let layer = |value: &Value| match value {
        Value::Null => Ok(MaxRequestBodySizeLayer::new(None)),
        _ => value.as_u64().map(MaxRequestBodySizeLayer::new).ok_or_else(|| format!("no limit: {value}")),
    };
    values.into_iter().map(layer).collect()
}

/// Compares what the steps of each request gave.
fn compare_requests(recorded: &Value, ours: &[Results]) -> Result<(), String> {
    let recorded = recorded.as_array().into_iter().flatten();
    // One that found no route, and no middleware either, has not been seen here.
    let recorded: Vec<_> = recorded.filter(|request| request["steps"] != json!([])).collect();
    let ours: Vec<_> = ours.iter().filter(|results| !results.is_empty()).collect();
    holds(recorded.len() == ours.len(), || {
        format!("{} requests reached the app, recorded {}", ours.len(), recorded.len())
    })?;
    recorded.iter().zip(ours).try_for_each(|(recorded, ours)| compare_steps(&recorded["steps"], ours))
}

fn compare_steps(recorded: &Value, ours: &Results) -> Result<(), String> {
    let recorded = recorded.as_array().into_iter().flatten();
    let mut recorded = recorded.filter(|step| step["callback"].is_null());
    for (op, given) in ours {
        let Some(theirs) = recorded.next() else { return Err(format!("{op} was not recorded")) };
        holds(*op == theirs["op"], || format!("{op}, recorded {}", theirs["op"]))?;
        let agrees = match given {
            Given::Nothing | Given::Unknown => true,
            Given::Value(value) => theirs["throws"].is_null() && same(value, &theirs["value"]),
            Given::Failure { status, .. } if theirs["status"].is_null() => {
                status.is_none() && !theirs["throws"].is_null()
            }
            // The client has gone: no answer would reach it, so that there is no status for one.
            Given::Failure { status: None, .. } => theirs["message"] == "Unexpected end of request content.",
            Given::Failure { status: Some(status), .. } => theirs["status"] == status.as_u16(),
        };
        holds(agrees, || format!("{op}: {given}, recorded {theirs}"))?;
    }
    match recorded.next() {
        Some(theirs) => Err(format!("not done: {theirs}")),
        None => Ok(()),
    }
}

/// Whether two values are the same: numbers as numbers, the names of fields without case, and a long
/// text by its length.
pub(crate) fn same(ours: &Value, recorded: &Value) -> bool {
    match (ours, recorded) {
        (Value::Object(ours), Value::Object(recorded)) => {
            let of = |name: &str| ours.iter().find(|(ours, _)| ours.eq_ignore_ascii_case(name));
            // What came out differently each time was not recorded.
            ours.keys().all(|name| {
                matches!(&**name, "body" | "responses")
                    || recorded.keys().any(|recorded| recorded.eq_ignore_ascii_case(name))
            }) && recorded.iter().all(|(name, value)| of(name).is_some_and(|(_, ours)| same(ours, value)))
        }
        (Value::Array(ours), Value::Array(recorded)) => {
            ours.len() == recorded.len()
                && ours.iter().zip(recorded).all(|(ours, recorded)| same(ours, recorded))
        }
        (Value::String(ours), Value::String(text)) => {
            ours == text || *text == format!("{} bytes", ours.len())
        }
        (Value::Number(ours), Value::Number(number)) => ours.as_f64() == number.as_f64(),
        _ => ours == recorded,
    }
}

fn compare_connections(recorded: &Value, ours: &Value) -> Result<(), String> {
    // Octets behind an answer that begin no other one: whatever was recorded, and no row covers it.
    assert!(ours["rest"].is_null() || ours["responses"] == json!([]), "{ours}");
    holds(same(ours, recorded), || format!("the client saw {ours}, recorded {recorded}"))
}
