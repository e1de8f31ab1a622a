//! Text that somebody else wrote, made safe to stand in a mail.
//!
//! User agents, names, parameters and error messages come from whoever made the call. A [`Clean`] text can't start a
//! line, hide or reorder what stands around it, look like one of the mail's own labels, carry a link that a mail
//! program makes clickable, or be longer than was asked for.

use std::fmt;
use std::net::IpAddr;

use serde::Serialize;

/// A text that is safe to print inside a line of the mail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Clean(String);

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a character may stand as it is.
///
/// Letters and digits of any script, but no filler that looks like nothing, no combining mark, and no punctuation
/// beyond ASCII: among that are look-alikes of dots, colons and line breaks.
fn stands(c: char) -> bool {
    const FILLERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];
    c == ' ' || c.is_ascii_graphic() || (!c.is_ascii() && c.is_alphanumeric() && !FILLERS.contains(&c))
}

impl Clean {
    /// The text itself if it is made of a field's own alphabet and no longer than that field ever is, else cleaned
    /// like any other.
    fn token(text: &str, max: usize, allowed: impl Fn(char) -> bool) -> Self {
        if !text.is_empty() && text.len() <= max && text.chars().all(allowed) {
            Self(text.to_owned())
        } else {
            Self::text(text, max)
        }
    }

    /// Free text, at most `max` characters of it before the mark that says how long it was.
    ///
    /// Characters that don't print become `<U+202E>`, links and host names are defanged (`hxxps[:]//example[.]com`),
    /// runs of blanks become one, and a colon loses the blank behind it, so that it is no label.
    #[must_use]
    pub fn text(text: &str, max: usize) -> Self {
        let mut clean = String::with_capacity(text.len().min(max.saturating_mul(4)));
        let mut chars = text.trim().chars().peekable();
        let mut taken = 0_usize;
        let mut before = ' ';
        while let Some(c) = chars.next() {
            if taken == max {
                let total = taken + 1 + chars.count();
                clean.push_str(&format!("... [{total} characters]"));
                break;
            }
            taken += 1;
            let next = chars.peek().copied();
            match c {
                ' ' if before == ' ' || before == ':' => continue,
                '.' if before.is_alphanumeric() && next.is_some_and(char::is_alphabetic) => clean.push_str("[.]"),
                ':' if next == Some('/') => clean.push_str("[:]"),
                '@' => clean.push_str("[@]"),
                '"' => clean.push('\''),
                c if stands(c) => clean.push(c),
                c => clean.push_str(&format!("<U+{:04X}>", c as u32)),
            }
            before = c;
        }
        for scheme in ["http", "HTTP", "Http"] {
            for end in ["[:]//", "s[:]//", "S[:]//"] {
                clean = clean.replace(&format!("{scheme}{end}"), &format!("hxxp{}", end.to_ascii_lowercase()));
            }
        }
        Self(clean)
    }

    /// Free text in quotation marks, so that a reader sees where it ends.
    #[must_use]
    pub fn quoted(text: &str, max: usize) -> Self {
        Self(format!("\"{}\"", Self::text(text, max)))
    }

    /// An address, or the name of the AWS service that stands in its place.
    #[must_use]
    pub fn source(text: &str) -> Self {
        match text.parse::<IpAddr>() {
            Ok(address) => Self(address.to_string()),
            Err(_) => Self::service(text),
        }
    }

    /// A service's host name, `iam.amazonaws.com`; AWS's own are left whole.
    #[must_use]
    pub fn service(text: &str) -> Self {
        let aws = [".amazonaws.com", ".amazonaws.com.cn"].iter().any(|suffix| text.ends_with(suffix));
        Self::token(text, 80, |c| aws && (c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c)))
    }

    /// A name made of letters, digits, `-` and `_`: an action, a Region, an account, an event id, an error code.
    #[must_use]
    pub fn name(text: &str) -> Self {
        Self::token(text, 80, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    }

    /// A log group's or stream's name.
    #[must_use]
    pub fn log_name(text: &str) -> Self {
        Self::token(text, 512, |c| c.is_ascii_alphanumeric() || "-_/#$[]".contains(c))
    }

    /// An access key id, all but its last four characters masked where `mask` is set.
    #[must_use]
    pub fn access_key(id: &str, mask: bool) -> Self {
        let clean = Self::name(id).0;
        let hidden = clean.chars().count().saturating_sub(4);
        if mask {
            Self(clean.chars().skip(hidden).fold("****".to_owned(), |mut id, c| {
                id.push(c);
                id
            }))
        } else {
            Self(clean)
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_inside_its_line() {
        let rows = [
            ("aws-cli/2.15.0 md/Botocore#1.34.0", "aws-cli/2.15.0 md/Botocore#1.34.0"),
            ("x\nOutcome: succeeded", "x<U+000A>Outcome:succeeded"),
            ("a\u{202e}b\u{200b}c\u{2028}d", "a<U+202E>b<U+200B>c<U+2028>d"),
            ("https://evil.example/x", "hxxps[:]//evil[.]example/x"),
            ("HTTP://EVIL.EXAMPLE", "hxxp[:]//EVIL[.]EXAMPLE"),
            ("mail me@evil.example", "mail me[@]evil[.]example"),
            ("a    b:   c", "a b:c"),
            ("say \"done\"", "say 'done'"),
            ("東京リージョン", "東京リージョン"),
        ];
        for (text, clean) in rows {
            assert_eq!(Clean::text(text, 100).as_str(), clean);
        }
        assert_eq!(Clean::text(&"x".repeat(500), 5).as_str(), "xxxxx... [500 characters]");
    }

    #[test]
    fn keys_are_masked_to_their_last_four() {
        assert_eq!(Clean::access_key("AKIAIOSFODNN7EXAMPLE", true).as_str(), "****MPLE");
        assert_eq!(Clean::access_key("AKIAIOSFODNN7EXAMPLE", false).as_str(), "AKIAIOSFODNN7EXAMPLE");
        assert_eq!(Clean::access_key("abc", true).as_str(), "****abc");
    }

    #[test]
    fn addresses_and_services_keep_their_form() {
        for text in ["203.0.113.7", "2001:db8::7", "cloudformation.amazonaws.com"] {
            assert_eq!(Clean::source(text).as_str(), text);
        }
        assert_eq!(Clean::source("AWS Internal").as_str(), "AWS Internal");
        assert_eq!(Clean::source("evil.example").as_str(), "evil[.]example");
    }
}
