//! What holds for every reader, whatever it is given: for the fuzz target `text`, and for some octets here.

#![allow(clippy::unwrap_used, reason = "what does not hold is to panic")]

use http::{HeaderMap, HeaderValue, Uri};

use super::{IpNetwork, authority, content_length, decimal, host, host_name, inet_aton, ip, list, percent};

/// Panics where a reader does not hold what it promises.
pub(crate) fn hold(octets: &[u8]) {
    lists(octets);
    hosts(octets);
    percents(octets);
    numbers(octets);
    if let Ok(text) = std::str::from_utf8(octets) {
        addresses(text);
    }
}

fn lists(octets: &[u8]) {
    let mut expected = 0;
    for member in list::split(octets, b',') {
        expected += member.len() + 1;
        // A member is one when it stands alone.
        assert_eq!(list::split(member, b',').collect::<Vec<_>>(), [member]);
        if let Some((name, value)) = list::parameter(member) {
            assert!(!name.is_empty() && value.len() < member.len());
        }
    }
    assert!(expected <= octets.len() + 1, "members are made of what there is");
    // What somebody wrote takes no member away from who writes behind it.
    for own in ["for=192.0.2.1", "for=\"[2001:db8::1]:80\"", "x;for=\"a\\\"b\";proto=https"] {
        let both = [octets, b", ", own.as_bytes()].concat();
        assert_eq!(list::split(&both, b',').last(), Some(own.as_bytes()));
    }
    assert!(list::unquoted(octets).len() <= octets.len());
}

fn hosts(octets: &[u8]) {
    let (name, port) = authority::split(octets);
    let length = name.len() + port.map_or(0, |port| port.len() + 1);
    assert_eq!(length, octets.len());
    if host::is_valid(octets) {
        let name = host_name::of(octets).unwrap();
        assert!(!name.contains(['/', '@', '?', '#', '%', ' ', ',']) && octets.starts_with(name.as_bytes()));
        assert!(host::is_valid(name.as_bytes()));
    } else {
        assert_eq!(host_name::of(octets), None);
    }
    if authority::is_valid(octets) {
        let host = authority::without_userinfo(octets);
        assert!(!host.contains(&b'@') && authority::is_valid(host));
    }
    if let Ok(value) = HeaderValue::from_bytes(octets) {
        let headers = HeaderMap::from_iter([(http::header::HOST, value)]);
        assert_eq!(host::of(&Uri::default(), &headers), octets);
    }
    if let Some(name) = host_name::of_any_script(octets) {
        assert!(host::is_valid(name.as_bytes()));
    }
    if let Ok(entry) = std::str::from_utf8(octets)
        && let Ok(spelled) = host_name::of_entry(entry)
    {
        assert_eq!(host_name::of(spelled.as_bytes()), Some(&*spelled));
    }
}

fn percents(octets: &[u8]) {
    if let Some(octet) = percent::triplet(octets) {
        assert!(octets[..3].eq_ignore_ascii_case(format!("%{octet:02x}").as_bytes()));
    }
    assert!(percent::decode_form(octets).len() <= octets.len());
    if let Some(decoded) = percent::decode_path(octets) {
        assert!(decoded.len() <= octets.len());
        let encoded = percent::encode_path(&decoded);
        assert!(encoded.bytes().all(|octet| octet.is_ascii_graphic() && !b"?#\"<>\\^`{|}".contains(&octet)));
        assert_eq!(percent::encode_path(&encoded), encoded);
    }
}

fn numbers(octets: &[u8]) {
    let is_digits = !octets.is_empty() && octets.iter().all(u8::is_ascii_digit);
    let parsed = std::str::from_utf8(octets).ok().and_then(|text| text.parse::<u64>().ok());
    assert_eq!(decimal(octets), parsed.filter(|_| is_digits));
    assert_eq!(content_length(octets), parsed.filter(|length| is_digits && i64::try_from(*length).is_ok()));
}

fn addresses(text: &str) {
    if let Ok(network) = text.parse::<IpNetwork>() {
        assert_eq!(network.to_string().parse::<IpNetwork>().unwrap(), network);
        let address = text.split('/').next().unwrap().parse().unwrap();
        assert!(network.contains(address));
    }
    if let Some((address, _)) = ip::parse_ipv6(text) {
        assert_eq!(ip::parse_ipv6(&ip::Ipv6Text(address).to_string()), Some((address, "")));
    }
    if let Ok(address) = text.parse::<std::net::Ipv4Addr>() {
        assert_eq!(inet_aton(text), Some(address));
    }
    if let Some(address) = inet_aton(text) {
        assert_eq!(inet_aton(&address.to_string()), Some(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of the octets that mean something to a reader, the same ones each time.
    #[test]
    fn readers_hold_what_they_promise() {
        const OCTETS: &[u8] = b"\"\"\\\\,,;;==  ::[]%%@/.09afxX12\t*-\xC3\xA9+\n\r\x0C";
        let mut seed = 1_u64;
        for _ in 0..100_000 {
            let octets: Vec<u8> = std::iter::from_fn(|| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let number = usize::try_from(seed >> 33).unwrap();
                (!number.is_multiple_of(13)).then(|| OCTETS[number % OCTETS.len()])
            })
            .collect();
            hold(&octets);
        }
    }
}
