//! Reads blocks of fields (RFC 7541): h2 has a reader, and keeps it to itself.

use std::collections::VecDeque;

/// The state of a connection's reader.
pub(super) struct Decoder {
    /// The newest first.
    table: VecDeque<Field>,
    limit: usize,
    /// What our SETTINGS allow.
    pub(super) allowed: usize,
}

type Field = (Vec<u8>, Vec<u8>);

impl Default for Decoder {
    fn default() -> Self {
        Self { table: VecDeque::new(), limit: DEFAULT, allowed: DEFAULT }
    }
}

impl Decoder {
    pub(super) fn decode(&mut self, mut block: &[u8]) -> Result<Vec<Field>, &'static str> {
        let mut fields = Vec::new();
        while let Some(&first) = block.first() {
            if first & 0x80 != 0 {
                let index = integer(&mut block, 7)?;
                fields.push(self.field(index)?);
            } else if first & 0xE0 == 0x20 {
                let limit = integer(&mut block, 5)?;
                check(limit <= self.allowed, "a table larger than allowed")?;
                self.limit = limit;
                self.evict();
            } else {
                let is_kept = first & 0x40 != 0;
                let index = integer(&mut block, if is_kept { 6 } else { 4 })?;
                let name = if index == 0 { string(&mut block)? } else { self.field(index)?.0 };
                let field = (name, string(&mut block)?);
                if is_kept {
                    self.table.push_front(field.clone());
                    self.evict();
                }
                fields.push(field);
            }
        }
        check(self.limit <= self.allowed, "a table that was not made smaller")?;
        Ok(fields)
    }

    fn field(&self, index: usize) -> Result<Field, &'static str> {
        let index = index.checked_sub(1).ok_or("the index 0")?;
        match STATIC.get(index) {
            Some((name, value)) => Ok((name.as_bytes().to_vec(), value.as_bytes().to_vec())),
            None => self.table.get(index - STATIC.len()).cloned().ok_or("an index of nothing"),
        }
    }

    /// Section 4.1: a field counts 32 octets more than it has.
    fn evict(&mut self) {
        let size = |table: &VecDeque<Field>| -> usize {
            table.iter().map(|(name, value)| name.len() + value.len() + 32).sum()
        };
        while size(&self.table) > self.limit {
            self.table.pop_back();
        }
    }
}

/// Section 5.1.
fn integer(block: &mut &[u8], prefix: u32) -> Result<usize, &'static str> {
    let mask = (1 << prefix) - 1;
    let mut value = usize::from(next(block)?) & mask;
    if value < mask {
        return Ok(value);
    }
    for shift in (0..28).step_by(7) {
        let octet = next(block)?;
        value += usize::from(octet & 0x7F) << shift;
        if octet & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a number too long")
}

/// Section 5.2.
fn string(block: &mut &[u8]) -> Result<Vec<u8>, &'static str> {
    let is_coded = block.first().is_some_and(|first| first & 0x80 != 0);
    let length = integer(block, 7)?;
    let (octets, rest) = block.split_at_checked(length).ok_or("a string that is cut")?;
    *block = rest;
    if is_coded { huffman(octets) } else { Ok(octets.to_vec()) }
}

fn next(block: &mut &[u8]) -> Result<u8, &'static str> {
    let (first, rest) = block.split_first().ok_or("a block that is cut")?;
    *block = rest;
    Ok(*first)
}

/// The codes of one length follow each other in the order of their octets, and each length goes on where the one before
/// it ended: the lengths say it all.
fn huffman(octets: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut text = Vec::new();
    let (mut code, mut length, mut first) = (0_u32, 0_u8, 0_u32);
    for bit in octets.iter().flat_map(|octet| (0..8).rev().map(move |at| octet >> at & 1)) {
        (code, length, first) = (code << 1 | u32::from(bit), length + 1, first << 1);
        let mut symbols = (0..).zip(LENGTHS).filter(|(_, of)| **of == length);
        let count = symbols.clone().count();
        let place = (code - first) as usize;
        if place < count {
            let symbol = symbols.nth(place).map(|(symbol, _): (u16, _)| symbol);
            text.push(
                symbol.and_then(|symbol| u8::try_from(symbol).ok()).ok_or("the end of a string in it")?,
            );
            (code, length, first) = (0, 0, 0);
        } else {
            first += u32::try_from(count).expect("257 at most");
        }
    }
    // What is left is the beginning of the code of the end.
    check(length < 8 && code == (1 << length) - 1, "a string that is not filled up with ones")?;
    Ok(text)
}

fn check(holds: bool, what: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(what) }
}

const DEFAULT: usize = 4_096;

/// The lengths of the codes of each octet, and of the end (appendix B).
#[rustfmt::skip]
const LENGTHS: &[u8; 257] = &[
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// Appendix A.
#[rustfmt::skip]
const STATIC: &[(&str, &str)] = &[
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::Decoder;

    /// RFC 7541, appendix C.4.1 and C.4.2: literals that are coded and kept, and what refers to them.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let first = b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        let second = b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf";
        let mut decoder = Decoder::default();
        let mut read = |block: &[u8]| decoder.decode(block).unwrap().pop().unwrap();
        assert_eq!(read(first), (b":authority".to_vec(), b"www.example.com".to_vec()));
        assert_eq!(read(second), (b"cache-control".to_vec(), b"no-cache".to_vec()));
    }
}
