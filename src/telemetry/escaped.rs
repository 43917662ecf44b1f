//! Text of others in an event: it cannot end a line, begin another, or steer a terminal.

use std::fmt::{self, Display, Write};

/// Shows what is in it with control characters, and what a viewer takes for one, as `\n` or `\u{1b}`.
pub(super) struct Escaped<T>(pub(super) T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_special(*c)) {
            self.0.write_str(&text[plain..at])?;
            write!(self.0, "{}", c.escape_default())?;
            plain = at + c.len_utf8();
        }
        self.0.write_str(&text[plain..])
    }
}

fn is_special(c: char) -> bool {
    c.is_control()
        // Line and paragraph separators; marks that change the direction of what follows; the byte order mark.
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::Escaped;

    #[test]
    fn text_stays_on_its_line() {
        for (text, shown) in [
            ("b\u{fc}cher: a 'b' \"c\"", "b\u{fc}cher: a 'b' \"c\""),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{1b}[31mred\u{9b}0m\u{7f}\0", "\\u{1b}[31mred\\u{9b}0m\\u{7f}\\u{0}"),
            ("a\u{2028}b\u{202e}c\u{85}", "a\\u{2028}b\\u{202e}c\\u{85}"),
        ] {
            assert_eq!(Escaped(text).to_string(), shown);
        }
    }
}
