//! The recorded facts about requests, without a wire: same status, same path, or a row of [`DIFFERENCES`].

use std::collections::BTreeMap;

use http::Uri;
use serde_json::Value;

use super::framing::BodyFraming;
use super::head::{EmptyLines, HeadParser};
use crate::http::exchange::target;
use crate::http::rules::HeadRules;
use crate::limits::{HeaderValues, Limits};

/// File, start of the id, recorded status, ours (0: the path is another), how many, STRICTNESS row.
/// The first row that fits counts; a row whose number is not met is a failure.
#[rustfmt::skip]
const DIFFERENCES: &[(&str, &str, u16, u16, usize, &str)] = &[
    ("request-targets", "absolute-host", 400, 200, 24, "absolute-form-case"),
    ("request-targets", "absolute-http10.", 400, 200, 1, "absolute-form-case"),
    ("request-targets", "absolute-override.05", 400, 200, 3, "absolute-form-case"),
    ("request-targets", "absolute-shape.", 400, 200, 2, "absolute-form-case"),
    ("request-targets", "absolute-percent.00", 200, 400, 1, "absolute-form-path"),
    ("request-targets", "absolute-path-byte.23", 200, 400, 1, "fragment-in-target"),
    ("request-targets", "absolute-path-byte.", 200, 400, 18, "target-octets"),
    ("request-targets", "absolute-shape.188", 200, 400, 2, "absolute-form-path"),
    ("request-targets", "absolute-shape.054", 200, 400, 2, "fragment-in-target"),
    ("request-targets", "absolute-shape.055", 200, 400, 1, "fragment-in-target"),
    ("request-targets", "absolute-shape.056", 200, 400, 2, "fragment-in-target"),
    ("request-targets", "absolute-shape.065", 200, 400, 2, "fragment-in-target"),
    ("request-targets", "absolute-shape.", 200, 400, 16, "target-octets"),
    ("request-targets", "absolute-shape.", 200, 0, 6, "absolute-form-path"),
    ("request-targets", "authority.", 200, 400, 8, "target-octets"),
    ("request-targets", "dots.odd-036", 200, 400, 1, "fragment-in-target"),
    ("request-targets", "origin.37", 200, 400, 1, "fragment-in-target"),
    ("request-targets", "origin.38", 200, 400, 1, "fragment-in-target"),
    ("request-targets", "origin.", 200, 400, 4, "target-octets"),
    ("request-targets", "raw-path.", 200, 400, 27, "target-octets"),
    ("request-targets", "raw-query.23", 200, 400, 1, "fragment-in-target"),
    ("request-targets", "raw-query.", 200, 400, 23, "target-octets"),
    ("header-names-values", "request.name-", 200, 400, 134, "field-name-token"),
    ("header-names-values", "request.value-", 200, 400, 84, "field-value-control"),
    ("header-names-values", "request.space.", 200, 400, 4, "field-value-control"),
    ("header-names-values", "request.content-length.", 200, 400, 2, "content-length-digits"),
    ("header-names-values", "request-trailer.name-", 200, 400, 33, "field-name-token"),
    ("header-names-values", "request-trailer.value-", 200, 400, 23, "field-value-control"),
    ("header-names-values", "request-trailer.", 500, 400, 100, "request-trailer-utf8"),
];

/// The options of a case; `None` where there is no such option.
fn limits(input: &Value) -> Option<Limits> {
    let limits = match input["encoding"].as_str() {
        Some("latin1") => Limits::default().header_values(HeaderValues::Octets),
        Some("ascii") => return None,
        _ => Limits::default(),
    };
    let overrides = input["allow_host_override"] == true;
    Some(if overrides { limits.allow_host_header_override() } else { limits })
}

/// What an input field is as octets: Latin-1 text, or text that is repeated.
fn octets(value: &Value) -> Vec<u8> {
    let latin1 = |text: &Value| -> Vec<u8> {
        text.as_str().unwrap_or("").chars().map(|char| u8::try_from(u32::from(char)).unwrap()).collect()
    };
    if value.is_object() {
        let times = usize::try_from(value["times"].as_u64().unwrap()).unwrap();
        return [latin1(&value["before"]), latin1(&value["text"]).repeat(times), latin1(&value["after"])]
            .concat();
    }
    latin1(value)
}

fn request(file: &str, id: &str, input: &Value) -> Option<Vec<u8>> {
    let lines = |name: &str| octets(&input[name]);
    Some(match file {
        "request-targets" => {
            let mut request = [
                lines("method"),
                b" ".to_vec(),
                lines("target"),
                b" ".to_vec(),
                lines("version"),
                b"\r\n".to_vec(),
            ]
            .concat();
            for host in input["hosts"].as_array().unwrap() {
                request.extend([b"Host: ".to_vec(), octets(host), b"\r\n".to_vec()].concat());
            }
            [request, b"Connection: close\r\n\r\n".to_vec()].concat()
        }
        "hosts" => [
            b"GET / ".to_vec(),
            lines("version"),
            b"\r\n".to_vec(),
            lines("header_lines"),
            b"Connection: close\r\n\r\n".to_vec(),
        ]
        .concat(),
        "header-names-values" if id.starts_with("request.") => [
            b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec(),
            lines("header_lines"),
            b"Connection: close\r\n\r\n".to_vec(),
        ]
        .concat(),
        "header-names-values" if id.starts_with("request-trailer.") => [
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n".to_vec(),
            lines("trailer_lines"),
            b"\r\n".to_vec(),
        ]
        .concat(),
        "known-methods-status" if id.starts_with("method.") => {
            let version = if id.starts_with("method.http10") { " / HTTP/1.0" } else { " / HTTP/1.1" };
            [lines("method"), version.into(), b"\r\nHost: a\r\nConnection: close\r\n\r\n".to_vec()].concat()
        }
        _ => return None,
    })
}

/// Status (0: waits for more) and the path that the application decodes.
fn outcome(request: &[u8], rules: &HeadRules) -> (u16, Option<String>) {
    let run = || {
        let request = &request[EmptyLines::default().advance(request, rules)?..];
        let Some(head) = HeadParser::default().advance(request, rules)? else { return Ok((0, None)) };
        let mut framing = BodyFraming::new(&head);
        let body = framing.advance(&request[head.len..], rules).map_err(|(_, rejection)| rejection)?;
        let target = request.split(|&octet| octet == b' ').nth(1).unwrap();
        let uri = Uri::try_from(target).unwrap();
        let path = target::normalize(&uri).unwrap_or(uri).path().to_owned();
        Ok((if body.done { 200 } else { 0 }, Some(decode(&path))))
    };
    run().unwrap_or_else(|rejection: crate::http::exchange::rejection::Rejection| {
        (rejection.status().as_u16(), None)
    })
}

/// Decodes a path once, as UTF-8; `%2F` and what is not UTF-8 stay.
fn decode(path: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < path.len() {
        let run: Vec<u8> = (0..4)
            .map_while(|triplet| {
                let text = path.get(at + 3 * triplet..at + 3 * triplet + 3)?;
                u8::from_str_radix(text.strip_prefix('%').filter(|hex| !hex.starts_with('+'))?, 16).ok()
            })
            .collect();
        let whole =
            (1..=run.len()).find_map(|len| std::str::from_utf8(&run[..len]).ok().map(|text| (text, len)));
        match whole {
            Some((text, len)) if text != "/" => {
                out.push_str(text);
                at += 3 * len;
            }
            _ => {
                out.push(char::from(path.as_bytes()[at]));
                at += 1;
            }
        }
    }
    out
}

#[test]
fn judges_requests_as_recorded() {
    let mut counts = BTreeMap::new();
    let mut skipped = 0;
    let mut unexplained = Vec::new();
    let mut same = 0;
    for file in ["request-targets", "hosts", "header-names-values", "known-methods-status"] {
        let path = format!("{}/tests/reference/facts/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let cases: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for case in cases.as_array().unwrap() {
            let (id, input, output) = (case["id"].as_str().unwrap(), &case["input"], &case["output"]);
            let Some(request) = request(file, id, input) else { continue };
            let Some(limits) = limits(input) else {
                skipped += 1;
                continue;
            };
            let (ours, path) = outcome(&request, &HeadRules::new(&limits));
            let recorded = u16::try_from(output["status"].as_u64().unwrap()).unwrap();
            let has_path = matches!(output["form"].as_str(), Some("origin" | "absolute"));
            let other_path =
                has_path && output["path"].is_string() && output["path"].as_str() != path.as_deref();
            let seen = if ours == recorded && other_path { 0 } else { ours };
            if seen == recorded {
                same += 1;
                continue;
            }
            let row = DIFFERENCES
                .iter()
                .position(|row| row.0 == file && id.starts_with(row.1) && row.2 == recorded && row.3 == seen);
            match row {
                Some(row) => *counts.entry(row).or_insert(0) += 1,
                None => unexplained
                    .push(format!("{file} {id}: {recorded}, not {ours} {path:?} {}", request.escape_ascii())),
            }
        }
    }
    for (row, difference) in DIFFERENCES.iter().enumerate() {
        let count = counts.get(&row).copied().unwrap_or(0);
        println!("{count} {difference:?}");
        if count != difference.4 {
            unexplained.push(format!("{count} cases for {difference:?}"));
        }
    }
    println!("{same} the same; {skipped} without such an option");
    assert!(
        unexplained.is_empty(),
        "{} differences without a row:\n{}",
        unexplained.len(),
        unexplained.join("\n")
    );
}
