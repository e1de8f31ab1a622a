//! What a terminal gets, and how it is left.

/// The text without what a terminal would obey: whoever caused the event wrote its values.
pub fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => clean.push(c),
            c => clean.extend(c.escape_debug()),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_terminal_gets_nothing_to_obey() {
        assert_eq!(printable("a \"é東\" \\ '"), "a \"é東\" \\ '");
        assert_eq!(printable("\u{1b}[2J\u{202e}\u{9b}\u{2028}"), r"\u{1b}[2J\u{202e}\u{9b}\u{2028}");
    }
}
