//! Text that somebody else wrote, made safe to stand in a mail.
//!
//! User agents, names, parameters and error messages come from whoever made the call. A [`Clean`] text can't start a
//! line, hide or reorder what stands around it, look like one of the mail's own labels, become a link, a mention or
//! markup in a mail program, on a phone, in Slack, Teams or Markdown, or be longer than was asked for.

mod defang;
mod number;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::region::is_service_host;

pub(super) use number::is_uuid;

/// A text that is safe to print inside a line of the mail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Clean(String);

impl fmt::Display for Clean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text with all but the last four characters of each access key id masked.
#[must_use]
pub fn mask_access_keys(text: &str) -> String {
    const LENGTH: usize = 20;
    if !text.contains("AKIA") && !text.contains("ASIA") {
        return text.to_owned();
    }
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

/// Whether a text is one that cleaning leaves as it is.
pub(super) fn is_plain(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let simple = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    // What nearly all names are; the rest takes longer.
    (simple && (digits < 5 || (digits == 12 && text.len() == 12) || is_uuid(text)))
        || defang::defanged(text, usize::MAX) == text
}

impl Clean {
    /// The text itself if it is made of a field's own alphabet, no longer than that field ever is and nothing that a
    /// program could take for more than text; else in quotation marks.
    fn token(text: &str, max: usize, allowed: impl Fn(char) -> bool) -> Self {
        if !text.is_empty() && text.len() <= max && text.chars().all(allowed) && is_plain(text) {
            Self(text.to_owned())
        } else {
            Self::quoted(text, max)
        }
    }

    /// Free text, at most `max` characters of it before the mark that says how long it was.
    ///
    /// No program makes a link, markup or a mention of it, and no text can look like one of the mail's labels: a colon
    /// stands plain in an ARN only. [`defang`] says what is changed, and into what. What would be a heading or a list
    /// at the start of a line is in quotation marks.
    #[must_use]
    pub fn text(text: &str, max: usize) -> Self {
        let clean = defang::defanged(text, max);
        if defang::begins_a_block(&clean) { Self(format!("\"{clean}\"")) } else { Self(clean) }
    }

    /// Free text in quotation marks, so that a reader sees where it ends.
    #[must_use]
    pub fn quoted(text: &str, max: usize) -> Self {
        Self(format!("\"{}\"", defang::defanged(text, max)))
    }

    /// An address, or the name of the AWS service that stands in its place.
    ///
    /// The address that a call came from is plain, so that it can be looked up: whoever made the call can choose among
    /// the addresses that they have, and no program makes a link of one without a scheme, port or path.
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
        let label = text.split('.').next().unwrap_or_default();
        let aws = is_service_host(text) && label.starts_with(|c: char| c.is_ascii_lowercase()) && is_plain(label);
        if aws && text.len() <= 80 { Self(text.to_owned()) } else { Self::quoted(text, 80) }
    }

    /// A name made of letters, digits, `-` and `_`: an action, a Region, an account, an event id, an error code.
    ///
    /// It begins with a letter or a digit, or it could make a list of the line that it begins.
    #[must_use]
    pub fn name(text: &str) -> Self {
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        Self::token(text, 80, |c| begins && (c.is_ascii_alphanumeric() || c == '-' || c == '_'))
    }

    /// An error code. EC2's begin with `Client.` or `Server.`; no other may have a dot, or it could be a host's name.
    ///
    /// `Client.com` could be one too, so the dot is plain only before what is no top-level domain: the codes that are
    /// seen most, and words longer than any of those.
    #[must_use]
    pub fn code(text: &str) -> Self {
        /// The longest in letters, `northwesternmutual`, has 18. Source: IANA's list of top-level domains.
        const TOP_LEVEL_MAX: usize = 18;
        const KNOWN: [&str; 4] = ["AuthFailure", "DryRunOperation", "InternalError", "InternalFailure"];
        let Some((side, name)) = text.split_once('.').filter(|(side, _)| ["Client", "Server"].contains(side)) else {
            return Self::name(text);
        };
        if name.is_empty() || name.len() > 80 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Self::name(text);
        }
        let dot = if name.len() > TOP_LEVEL_MAX || KNOWN.contains(&name) { "." } else { "[.]" };
        Self(format!("{side}{dot}{name}"))
    }

    /// A log group's or stream's name.
    #[must_use]
    pub fn log_name(text: &str) -> Self {
        let begins = !text.starts_with(['-', '#']);
        Self::token(text, 512, |c| begins && (c.is_ascii_alphanumeric() || "-_/#$[]".contains(c)))
    }

    /// An access key id, all but its last four characters masked where `mask` is set.
    #[must_use]
    pub(crate) fn access_key(id: &str, mask: bool) -> Self {
        if !mask {
            return Self::name(id);
        }
        let tail: String = id.chars().skip(id.chars().count().saturating_sub(4)).collect();
        if tail.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Self(format!("****{tail}"))
        } else {
            // No key of AWS's. Before anything but a letter or a digit asterisks could be the end of an emphasis.
            Self::quoted(&format!("...{tail}"), 80)
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
    fn a_name_is_plain_only_if_nothing_can_be_made_of_it() {
        for text in ["CreateUser", "us-east-1", "111122223333", "9736d713-1694-4c72-adc5-2513d32702f2", "a_b", "x86_64"]
        {
            assert_eq!(Clean::name(text).as_str(), text);
        }
        let rows = [
            ("evil.com", "\"evil[.]com\""),
            ("18005550199", "\"1800{}5550{}199\""),
            ("0120-828-828", "\"0120-{}828-{}828\""),
            ("_CreateUser_", "\"{U+005F}CreateUser{U+005F}\""),
            ("-", "\"-\""),
            ("", "\"\""),
        ];
        for (text, clean) in rows {
            assert_eq!(Clean::name(text).as_str(), clean);
        }
    }

    #[test]
    fn a_code_is_no_host() {
        let rows = [
            ("AccessDenied", "AccessDenied"),
            ("Client.UnauthorizedOperation", "Client.UnauthorizedOperation"),
            ("Client.AuthFailure", "Client.AuthFailure"),
            ("Client.com", "Client[.]com"),
            ("Server.dev", "Server[.]dev"),
            ("Client.InvalidGroup.NotFound", "\"Client[.]InvalidGroup[.]NotFound\""),
            ("evil.com", "\"evil[.]com\""),
        ];
        for (text, clean) in rows {
            assert_eq!(Clean::code(text).as_str(), clean);
        }
    }

    #[test]
    fn log_names_keep_their_form() {
        for text in
            ["/aws/lambda/x_y", "cloudtrail/management-events", "111122223333_CloudTrail_us-east-1", "a/[$LATEST]0"]
        {
            assert_eq!(Clean::log_name(text).as_str(), text);
        }
        let rows = [
            ("//host", "\"[//]host\""),
            ("#general", "\"[#]general\""),
            ("_x_", "\"{U+005F}x{U+005F}\""),
            ("www.x.co", "\"www[.]x[.]co\""),
        ];
        for (text, clean) in rows {
            assert_eq!(Clean::log_name(text).as_str(), clean);
        }
    }

    #[test]
    fn a_text_begins_no_block() {
        for (text, clean) in
            [("# x", "\"# x\""), ("> x", "\"> x\""), ("1. x", "\"1. x\""), ("UPDATED_DATA", "UPDATED_DATA")]
        {
            assert_eq!(Clean::text(text, 80).as_str(), clean);
        }
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
        assert_eq!(Clean::access_key("x@a.b", true).as_str(), "\"...[@]a[.]b\"");
        assert_eq!(Clean::access_key("18005550199", false).as_str(), "\"1800{}5550{}199\"");
    }

    #[test]
    fn addresses_and_services_keep_their_form() {
        for text in ["203.0.113.7", "2001:db8::7", "cloudformation.amazonaws.com"] {
            assert_eq!(Clean::source(text).as_str(), text);
        }
        assert_eq!(Clean::source("AWS Internal").as_str(), "AWS Internal");
        assert_eq!(Clean::source("evil.example").as_str(), "\"evil[.]example\"");
        assert_eq!(Clean::source("x.s3.amazonaws.com").as_str(), "\"x[.]s3[.]amazonaws[.]com\"");
        assert_eq!(Clean::service("1-800-555-0199.amazonaws.com").as_str(), "\"1-800-{}555-{}0199[.]amazonaws[.]com\"");
    }
}
