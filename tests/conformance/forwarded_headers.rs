//! `forwarded-headers.json`: what is believed of what proxies say.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::str::FromStr;

use axum::extract::ConnectInfo;
use http::{HeaderName, Request};
use kestrel_rs::request::{
    AllowedHosts, ForwardedHeaders, ForwardedHeadersLayer, IpNetwork, PathBase, RequestScheme,
};
use serde_json::{Value, json};
use tower::{Layer, ServiceExt, service_fn};

use crate::recording::{Case, add_headers, described, number, strings};
use crate::table::How::{Like, Such, Unsaid};
use crate::table::{Difference, Different, Outcome, check, replay_all, rule};

#[rustfmt::skip]
const DIFFERENCES: &[Difference] = &[
    rule("the variable that turns it on belongs to configuration", 11, |case| case.is_in("environment"), Unsaid),
    rule("there are no options to read back", 4, |case| case.is_in("options"), Unsaid),
    rule("a header has no control character", 4, control_character, Unsaid),
    rule("a host that is no internationalized name is passed over, where the middleware throws", 2, bad_punycode, Such(|case, here| here["host"] == case.input["host"])),
    rule("a prefix with an encoded NUL is passed over, where the middleware throws", 2, encoded_nul, Such(|case, here| here["path_base"] == case.input["path_base"].as_str().unwrap_or_default())),
    rule("a known proxy has no zone, which is the name of a link of one machine", 0, zoned_proxy, Unsaid),
    rule("an allowed host that no request can name is an error", 2, odd_host, Like("refused: allowed hosts: no request can name *")),
    rule("forwarded-open-quote", 0, has_open_quote, Such(|_, here| here["remote"].is_string())),
    rule("forwarded-nobody", 4, |case| case.input["remote_ip"].is_null(), Such(believes_nothing)),
    rule("::ffff:0:0/96 has every IPv4-mapped address, and for .NET none", 1, every_mapped, Like(r#"*"x-original-for":["[::ffff:1.2.3.4]:40000"]*"#)),
];

fn odd_host(case: &Case) -> bool {
    strings(&case.options()["allowed_hosts"]).iter().any(|host| AllowedHosts::new([host]).is_err())
}

fn has_open_quote(case: &Case) -> bool {
    values(case).any(|value| value.contains('"') && !is_quoted_well(value))
}

fn believes_nothing(case: &Case, here: &Value) -> bool {
    let sent = case.input["headers"].as_array().into_iter().flatten();
    here["remote"].is_null() && { sent }.all(|header| {
        let name = header[0].as_str().unwrap_or_default().to_ascii_lowercase();
        here["headers"][name].as_array().is_some_and(|lines| lines.contains(&header[1]))
    })
}

fn values(case: &Case) -> impl Iterator<Item = &str> {
    case.input["headers"].as_array().into_iter().flatten().filter_map(|header| header[1].as_str())
}

fn control_character(case: &Case) -> bool {
    values(case).any(|value| value.chars().any(|character| character.is_ascii_control() && character != '\t'))
}

fn bad_punycode(case: &Case) -> bool {
    case.throws() && values(case).any(|value| value.contains("xn--"))
}

fn encoded_nul(case: &Case) -> bool {
    case.throws() && values(case).any(|value| value.contains("%00"))
}

fn zoned_proxy(case: &Case) -> bool {
    strings(&case.options()["known_proxies"]).iter().any(|proxy| proxy.contains('%'))
}

/// Whether every quote belongs to a value that begins and ends with one, without backslashes.
fn is_quoted_well(value: &str) -> bool {
    let values = value.split('"').skip(1).step_by(2);
    value.matches('"').count().is_multiple_of(2)
        && !value.contains('\\')
        && values.clone().all(|inside| {
            value
                .split(&format!("\"{inside}\""))
                .skip(1)
                .all(|behind| matches!(behind.trim_start().chars().next(), None | Some(',')))
        })
}

fn every_mapped(case: &Case) -> bool {
    strings(&case.options()["known_networks"]) == ["::ffff:0:0/96"]
}

#[tokio::test]
async fn forwarded_headers_are_believed_as_aspnetcore_does() {
    replay_all("facts/forwarded-headers.json", DIFFERENCES, replay).await;
}

async fn replay(case: &Case) -> Outcome {
    if case.is_in("environment") || case.is_in("options") {
        return Err("not replayed".into());
    }
    let layer = match layer(case.options()) {
        Err(_) if case.throws() => return Ok(()),
        layer => layer?,
    };
    let mut request = Request::get("/").body(()).unwrap();
    add_headers(&mut request, &case.input)?;
    if let Some(ip) = case.input["remote_ip"].as_str() {
        request.extensions_mut().insert(ConnectInfo(address(ip, number(&case.input["remote_port"])?)?));
    }
    if let Some(base) = case.input["path_base"].as_str() {
        request.extensions_mut().insert(PathBase::new(base).unwrap());
    }

    let app = service_fn(async |request: Request<()>| Ok::<_, ()>(request));
    let request = layer.layer(app).oneshot(request).await.unwrap();
    let output = &case.output;
    let remote = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(remote)| *remote);
    let here = json!({
        "headers": described(request.headers()),
        "host": request.headers().get("host").map_or("", |host| host.to_str().unwrap()),
        "remote": remote.map(|remote| remote.to_string()),
        "scheme": RequestScheme::of(&request).as_str(),
        "path_base": request.extensions().get::<PathBase>().cloned().unwrap_or_default().as_str(),
        "path": request.uri().path(),
    });
    let theirs = match output["remote_ip"].as_str() {
        Some(ip) => Some(address(ip, number(&output["remote_port"])?)?),
        None => None,
    };
    // What the app sees as host there is the header in Unicode.
    let is_unicode = output["host"].as_str().is_none_or(|host| !host.is_ascii());
    let agrees = !case.throws()
        && remote == theirs
        && (is_unicode || output["host"] == here["host"])
        && ["headers", "scheme", "path_base", "path"].iter().all(|name| output[name] == here[name]);
    check(agrees, || here)
}

fn layer(options: &Value) -> Result<ForwardedHeadersLayer, Different> {
    let flags = strings(&options["forwarded_headers"]).into_iter().map(|name| match name.as_str() {
        "XForwardedFor" => ForwardedHeaders::FOR,
        "XForwardedProto" => ForwardedHeaders::PROTO,
        "XForwardedHost" => ForwardedHeaders::HOST,
        "XForwardedPrefix" => ForwardedHeaders::PREFIX,
        _ => ForwardedHeaders::ALL,
    });
    // Without any header there is no layer to make; one without an effect stands for it.
    let Some(flags) = flags.reduce(|flags, flag| flags | flag) else {
        return Ok(ForwardedHeadersLayer::new(ForwardedHeaders::ALL).forward_limit(0));
    };
    let mut layer = ForwardedHeadersLayer::new(flags);
    // Nobody is known there where anyone is trusted.
    let is_empty = |name: &str| options[name].as_array().is_some_and(Vec::is_empty);
    let trusts_anyone = is_empty("known_proxies") && is_empty("known_networks");
    // The old list of networks is the new one by another name, set last here. An empty list of hosts is every host.
    let has_no_effect = |name: &str, value: &Value| match name {
        "forwarded_headers" => true,
        "known_networks" => options["legacy_known_networks"].is_array(),
        "require_header_symmetry" => *value == false,
        "allowed_hosts" => strings(value).is_empty(),
        _ => false,
    };
    let options = options.as_object().unwrap();
    for (name, value) in options.iter().filter(|(name, value)| !has_no_effect(name, value)) {
        layer = match name.as_str() {
            "forward_limit" if value.is_null() => layer.forward_limit(None),
            "forward_limit" => layer.forward_limit(number::<usize>(value)?),
            "known_proxies" => layer.known_proxies(parsed::<IpAddr>(value)?),
            "known_networks" | "legacy_known_networks" => layer.known_networks(parsed::<IpNetwork>(value)?),
            "require_header_symmetry" => layer.require_header_symmetry(),
            "allowed_hosts" => layer.allowed_hosts(AllowedHosts::new(strings(value))?),
            "names" => names(layer, value)?,
            name => return Err(format!("there is no option {name}").into()),
        };
    }
    Ok(if trusts_anyone { layer.trusting_anyone() } else { layer })
}

fn parsed<T: FromStr<Err: Display>>(list: &Value) -> Result<Vec<T>, String> {
    strings(list).iter().map(|text| text.parse().map_err(|error| format!("{text}: {error}"))).collect()
}

fn names(mut layer: ForwardedHeadersLayer, names: &Value) -> Result<ForwardedHeadersLayer, String> {
    for (name, value) in names.as_object().unwrap() {
        let value = value.as_str().ok_or("no name")?;
        let value = HeaderName::try_from(value).map_err(|error| error.to_string())?;
        layer = match name.as_str() {
            "forwarded_for" => layer.for_header(value),
            "forwarded_proto" => layer.proto_header(value),
            "forwarded_host" => layer.host_header(value),
            "forwarded_prefix" => layer.prefix_header(value),
            "original_for" => layer.original_for_header(value),
            "original_proto" => layer.original_proto_header(value),
            "original_host" => layer.original_host_header(value),
            "original_prefix" => layer.original_prefix_header(value),
            name => return Err(format!("there is no name {name}")),
        };
    }
    Ok(layer)
}

fn address(ip: &str, port: u16) -> Result<SocketAddr, String> {
    let no_address = || format!("no address: {ip}");
    Ok(match ip.split_once('%') {
        Some((ip, zone)) => {
            let zone = zone.parse().map_err(|_| no_address())?;
            SocketAddrV6::new(ip.parse().map_err(|_| no_address())?, port, 0, zone).into()
        }
        None => (ip.parse::<IpAddr>().map_err(|_| no_address())?, port).into(),
    })
}
