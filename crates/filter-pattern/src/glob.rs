//! The wildcard `*` in a value.

/// What a `*` that is neither at the start nor at the end of a value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InnerStar {
    /// The character `*`: `Ev*ent` equals `Ev*ent` only.
    Literal,
    /// Any text, as at the ends: `Ev*ent` equals `Event` and `EvXent`.
    Wildcard,
    /// Such a pattern is an error.
    Refused,
}

/// How this crate reads a `*` in the middle of a value.
///
/// The CloudWatch Logs User Guide of 2018 to 2020 shows `*` at the start and at the end of a value and nowhere else;
/// the editions since 2022 don't mention the middle. No answer of the real service is on record. [`Literal`] is what
/// was documented; a change of this one line is a change of the language, so decide it by asking `TestMetricFilter`.
///
/// [`Literal`]: InnerStar::Literal
pub const INNER_STAR: InnerStar = InnerStar::Literal;

/// A text with wildcards, cut at them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob {
    /// Whether the value may have any text before the first piece.
    open_start: bool,
    /// Whether the value may have any text after the last piece.
    open_end: bool,
    /// What has to be found, in this order and not overlapping. No piece is empty.
    pieces: Vec<String>,
}

impl Glob {
    /// Reads a value; `None` if it has an inner `*` and those are refused.
    pub(super) fn new(text: &str, inner: InnerStar) -> Option<Self> {
        let core = text.trim_matches('*');
        let pieces = match inner {
            InnerStar::Refused if core.contains('*') => return None,
            InnerStar::Wildcard => core.split('*').filter(|piece| !piece.is_empty()).map(str::to_owned).collect(),
            InnerStar::Literal | InnerStar::Refused if core.is_empty() => Vec::new(),
            InnerStar::Literal | InnerStar::Refused => vec![core.to_owned()],
        };
        Some(Self { open_start: text.starts_with('*'), open_end: text.ends_with('*'), pieces })
    }

    /// Whether `value` has this form; in time linear in its length.
    pub(super) fn matches(&self, value: &str) -> bool {
        let (first, last) = match &self.pieces[..] {
            [] => return self.open_start || value.is_empty(),
            [only] if !self.open_start && !self.open_end => return value == only,
            [first, .., last] => (first, last),
            [only] => (only, only),
        };
        let mut rest = value;
        let mut inner = &self.pieces[..];
        if !self.open_start {
            let Some(after) = rest.strip_prefix(first.as_str()) else { return false };
            (rest, inner) = (after, &inner[1..]);
        }
        if !self.open_end {
            let Some(before) = rest.strip_suffix(last.as_str()) else { return false };
            (rest, inner) = (before, &inner[..inner.len() - 1]);
        }
        inner.iter().all(|piece| {
            let Some((_, after)) = rest.split_once(piece.as_str()) else { return false };
            rest = after;
            true
        })
    }

    /// Whether this text, and no other, matches.
    pub(super) fn is(&self, text: &str) -> bool {
        !self.open_start && !self.open_end && self.pieces == [text]
    }

    /// The texts that every matching value contains.
    pub(super) fn pieces(&self) -> &[String] {
        &self.pieces
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, inner: InnerStar, value: &str) -> bool {
        Glob::new(pattern, inner).unwrap().matches(value)
    }

    #[test]
    fn a_star_at_an_end_is_a_wildcard_in_every_reading() {
        for inner in [InnerStar::Literal, InnerStar::Wildcard, InnerStar::Refused] {
            for (pattern, yes, no) in [
                ("", &[""][..], &["x", "*"][..]),
                ("*", &["", "x", "*", "日本"], &[]),
                ("**", &["", "x", "**"], &[]),
                ("ab", &["ab"], &["a", "abc", "xab", "AB", ""]),
                ("ab*", &["ab", "abc", "ab*"], &["xab", "a", ""]),
                ("*ab", &["ab", "xab", "abab"], &["abx", "b", ""]),
                ("*ab*", &["ab", "xaby", "aab"], &["a b", "ba", ""]),
                ("**ab", &["ab", "xab"], &["abx"]),
                ("a?b", &["a?b"], &["axb", "ab"]),
            ] {
                yes.iter().for_each(|value| assert!(matches(pattern, inner, value), "{pattern} {value}"));
                no.iter().for_each(|value| assert!(!matches(pattern, inner, value), "{pattern} {value}"));
            }
        }
    }

    #[test]
    fn the_three_readings_of_an_inner_star() {
        assert!(matches("Ev*ent", InnerStar::Literal, "Ev*ent"));
        assert!(!matches("Ev*ent", InnerStar::Literal, "EvXent"));
        assert!(matches("*v*en*", InnerStar::Literal, "Ev*ent"));
        assert!(!matches("*v*en*", InnerStar::Literal, "EvXent"));

        assert!(matches("Ev*ent", InnerStar::Wildcard, "EvXent"));
        assert!(matches("Ev*ent", InnerStar::Wildcard, "Event"));
        assert!(!matches("Eve*vent", InnerStar::Wildcard, "Event"), "pieces don't overlap");
        assert!(matches("a*b*a", InnerStar::Wildcard, "aba"));
        assert!(!matches("a*b*a", InnerStar::Wildcard, "ab"));
        assert!(matches("*a*b*", InnerStar::Wildcard, "xaybz"));
        assert!(!matches("*a*b*", InnerStar::Wildcard, "ba"));

        assert_eq!(Glob::new("Ev*ent", InnerStar::Refused), None);
    }
}
