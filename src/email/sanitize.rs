//! Text that somebody else wrote, made safe to stand in a mail.
//!
//! User agents, names, parameters and error messages come from whoever made the call. A [`Clean`] text can't start a
//! line, hide or reorder what stands around it, look like one of the mail's own labels, carry a link that a mail
//! program makes clickable, or be longer than was asked for.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
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
/// ASCII, and the letters of the scripts that resource names are written in. Everything else is shown by its number:
/// among it are marks that stack, letters that reorder what stands around them, blanks that look like nothing, and
/// look-alikes of dots, colons, quotation marks and line breaks.
fn stands(c: char) -> bool {
    let letter = matches!(c,
        '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{52f}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    c == ' ' || (c.is_ascii_graphic() && c != '\\') || (letter && c.is_alphanumeric())
}

/// How many colons of an ARN that begins here are plain: `arn:aws:iam::111122223333:…`.
fn arn_colons(rest: &[char]) -> usize {
    if !rest.starts_with(&['a', 'r', 'n', ':', 'a', 'w', 's']) {
        return 0;
    }
    let plain = |c: &&char| c.is_ascii_lowercase() || c.is_ascii_digit() || **c == '-' || **c == ':';
    rest.iter().take_while(plain).filter(|c| **c == ':').count().min(5)
}

/// Whether a telephone number or an address could go on with this.
fn in_number(c: char) -> bool {
    c.is_ascii_digit() || " ()+-.".contains(c)
}

/// Whether a number that begins here could be dialled or called up: a telephone number, or an IPv4 address that is no
/// product's version.
fn dialable(before: char, rest: &[char]) -> bool {
    let run = || rest.iter().take_while(|c| in_number(**c));
    let digits = run().filter(|c| c.is_ascii_digit()).count();
    let separators = run().filter(|c| "()+-".contains(**c)).count() + run().filter(|c| **c == ' ').count();
    let dots = rest.iter().take_while(|c| c.is_ascii_digit() || **c == '.').filter(|c| **c == '.').count();
    (digits >= 7 && separators > 1) || (rest.first() == Some(&'+') && digits >= 5) || (dots >= 3 && before != '/')
}

/// The text with all but the last four characters of each access key id masked.
#[must_use]
pub fn mask_access_keys(text: &str) -> String {
    const LENGTH: usize = 20;
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let id = rest.get(..LENGTH).filter(|id| {
            (id.starts_with("AKIA") || id.starts_with("ASIA"))
                && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        });
        if let Some(id) = id {
            masked.push_str("****");
            masked.push_str(&id[LENGTH - 4..]);
            rest = &rest[LENGTH..];
        } else {
            masked.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    masked
}

impl Clean {
    /// The text itself if it is made of a field's own alphabet and no longer than that field ever is, else cleaned
    /// like any other.
    fn token(text: &str, max: usize, allowed: impl Fn(char) -> bool) -> Self {
        if !text.is_empty() && text.len() <= max && text.chars().all(allowed) {
            Self(text.to_owned())
        } else {
            Self::quoted(text, max)
        }
    }

    /// Free text, at most `max` characters of it before the mark that says how long it was.
    ///
    /// Characters that don't print become `<U+202E>`; runs of blanks become one; and what a mail program could make a
    /// link of is defanged: `https[:]//example[.]com`, `tel[:]…`, host names, addresses, telephone numbers. A colon
    /// stands plain in an ARN only, so no text can look like a label either.
    #[must_use]
    pub fn text(text: &str, max: usize) -> Self {
        let chars: Vec<char> = text.trim().chars().collect();
        let mut clean = String::with_capacity(text.len().min(max.saturating_mul(4)));
        let mut plain_colons = 0;
        let mut number_end = 0;
        let mut before = ' ';
        for (index, &c) in chars.iter().enumerate() {
            if index == max || clean.len() >= max.saturating_mul(4) {
                clean.push_str(&format!("... [{} characters]", chars.len()));
                break;
            }
            let rest = &chars[index..];
            let next = rest.get(1).copied();
            if !before.is_alphanumeric() && plain_colons == 0 {
                plain_colons = arn_colons(rest);
            }
            if index >= number_end && (c.is_ascii_digit() || c == '+' || c == '(') {
                number_end = index + rest.iter().take_while(|c| in_number(**c)).count();
                if dialable(before, rest) {
                    clean.push_str("[#]");
                }
            }
            match c {
                ' ' if before == ' ' => continue,
                '.' if before != ' ' && next.is_some_and(char::is_alphabetic) => clean.push_str("[.]"),
                ':' if plain_colons > 0 => {
                    plain_colons -= 1;
                    clean.push(c);
                }
                // Firefox's version: every one of its user agents has it.
                ':' if clean.ends_with(" rv") => clean.push(c),
                ':' => clean.push_str("[:]"),
                '@' => clean.push_str("[@]"),
                '"' => clean.push('\''),
                c if stands(c) => clean.push(c),
                c => clean.push_str(&format!("<U+{:04X}>", c as u32)),
            }
            before = c;
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
            Err(_) if text == "AWS Internal" => Self(text.to_owned()),
            Err(_) => Self::service(text),
        }
    }

    /// A network, `2001:db8::/64`.
    #[must_use]
    pub fn network(network: &IpNet) -> Self {
        Self(network.trunc().to_string())
    }

    /// A service's host name, `iam.amazonaws.com`. Only one label may stand before AWS's own: others can be a
    /// customer's, as in `name.s3.amazonaws.com`.
    #[must_use]
    pub fn service(text: &str) -> Self {
        let label = text.strip_suffix(".amazonaws.com").or_else(|| text.strip_suffix(".amazonaws.com.cn"));
        let aws = label.is_some_and(|label| !label.contains('.'));
        Self::token(text, 80, |c| aws && (c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c)))
    }

    /// A name made of letters, digits, `-` and `_`: an action, a Region, an account, an event id, an error code.
    #[must_use]
    pub fn name(text: &str) -> Self {
        Self::token(text, 80, |c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    }

    /// An error code. EC2's begin with `Client.` or `Server.`; no other may have a dot, or it could be a host's name.
    #[must_use]
    pub fn code(text: &str) -> Self {
        let side = ["Client.", "Server."].into_iter().find(|side| text.starts_with(side)).unwrap_or_default();
        let name = &text[side.len()..];
        let known = !name.is_empty() && name.len() <= 80 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if known { Self(text.to_owned()) } else { Self::name(text) }
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
            ("Mozilla/5.0 Chrome/142.0.0.0", "Mozilla/5.0 Chrome/142.0.0.0"),
            ("x\nOutcome: succeeded", "x<U+000A>Outcome[:] succeeded"),
            ("a\u{202e}b\u{200b}c\u{2028}d", "a<U+202E>b<U+200B>c<U+2028>d"),
            ("Outcome\u{2d0} x\u{2ba}\u{64b}\u{5d0}", "Outcome<U+02D0> x<U+02BA><U+064B><U+05D0>"),
            ("https://evil.example/x", "https[:]//evil[.]example/x"),
            ("http: //203.0.113.9/x", "http[:] //203.0.113.9/x"),
            ("https:\t//x", "https[:]<U+0009>//x"),
            ("go to 203.0.113.9:8443/x", "go to [#]203.0.113.9[:]8443/x"),
            ("tel:+18005550199", "tel[:][#]+18005550199"),
            ("call +1 (800) 555-0199", "call [#]+1 (800) 555-0199"),
            ("\\\\203.0.113.9\\share", "<U+005C><U+005C>[#]203.0.113.9<U+005C>share"),
            ("mail me@evil.example", "mail me[@]evil[.]example"),
            ("arn:aws:iam::111122223333:user/a:b", "arn:aws:iam::111122223333:user/a[:]b"),
            ("arn:tel:1", "arn[:]tel[:]1"),
            ("a    b:   c", "a b[:] c"),
            ("say \"done\"", "say 'done'"),
            ("東京リージョン é ж", "東京リージョン é ж"),
        ];
        for (text, clean) in rows {
            assert_eq!(Clean::text(text, 100).as_str(), clean);
        }
        assert_eq!(Clean::text(&"x".repeat(500), 5).as_str(), "xxxxx... [500 characters]");
        assert!(Clean::text(&"\u{335}".repeat(500), 80).as_str().len() < 400);
    }

    #[test]
    fn keys_in_a_text_are_masked() {
        let text = "key AKIAIOSFODNN7EXAMPLE, not AKIAshort or é";
        assert_eq!(mask_access_keys(text), "key ****MPLE, not AKIAshort or é");
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
        assert_eq!(Clean::source("evil.example").as_str(), "\"evil[.]example\"");
        assert_eq!(Clean::source("x.s3.amazonaws.com").as_str(), "\"x[.]s3[.]amazonaws[.]com\"");
    }
}
