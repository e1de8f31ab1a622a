//! A text in which nothing is a link, markup or a mention, whatever shows it.
//!
//! What is changed can be seen, and read back:
//!
//! | written | shown | for |
//! | --- | --- | --- |
//! | `https://evil.example` | `https[:][//]evil[.]example` | links, with a scheme or without |
//! | `me@evil.example`, `@here`, `#general` | `me[@]evil[.]example`, `[@]here`, `[#]general` | addresses, mentions |
//! | `203.0.113.9` | `203[.]0[.]113[.]9` | addresses |
//! | `+1 (800) 555-0199` | `+1 (800) {}555-{}0199` | telephone numbers; see [`super::number`] |
//! | `&lt;` | `[&]lt;` | HTML's entities |
//! | `<b>`, `*b*`, `_b_`, `~b~`, `[x](y)` | by number, `{U+003C}b>` | markup of Markdown, Slack, Teams and HTML |
//! | `"` and the backtick | `'` | the mail's own quotation marks, code |
//! | a character that doesn't print or isn't a name's | `{U+202E}` | hidden and reordered text, look-alikes |
//!
//! What no program takes for anything stays: `x86_64`, `****MPLE`, `Botocore#1.34.0`, `rv:144.0`, an ARN's first five
//! colons, account ids and UUIDs.

use std::fmt::Write;

use super::number::{Mark, marks};
use crate::record::is_account;
use crate::region;

/// Whether a character may stand as it is, apart from what it means to somebody.
///
/// ASCII, and the letters of the scripts that resource names are written in. Everything else is shown by its number:
/// among it are marks that stack, letters that reorder what stands around them, blanks that look like nothing, and
/// look-alikes of dots, colons, quotation marks, digits and line breaks.
fn stands(c: char) -> bool {
    let letter = matches!(c,
        '\u{c0}'..='\u{24f}' | '\u{370}'..='\u{52f}' | '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    c == ' ' || (c.is_ascii_graphic() && !"\\<*~".contains(c)) || (letter && c.is_alphanumeric())
}

/// A letter or a digit that stands as it is.
fn in_word(c: Option<char>) -> bool {
    c.is_some_and(|c| stands(c) && c.is_alphanumeric())
}

/// Schemes that a program could make a link of without `//`. No service of AWS has such a name in its ARNs.
const SCHEMES: [&str; 22] = [
    "blob",
    "callto",
    "cid",
    "data",
    "facetime",
    "file",
    "ftp",
    "geo",
    "http",
    "https",
    "im",
    "javascript",
    "mailto",
    "maps",
    "news",
    "sip",
    "sips",
    "skype",
    "sms",
    "tel",
    "vbscript",
    "xmpp",
];

/// How long the beginning of an ARN is whose colons are plain: `arn:aws:iam::111122223333:`. 0 if not every part of it
/// is what it should be, since a colon behind anything else can make a link of what follows.
fn arn(rest: &[char]) -> usize {
    if !rest.starts_with(&['a', 'r', 'n', ':']) {
        return 0;
    }
    // The parts are short; 100 is more than any ARN's are.
    let text: String = rest.iter().take(100).collect();
    let mut parts = text.split(':');
    let mut part = || parts.next().unwrap_or_default();
    let (arn, partition, service, place, account) = (part(), part(), part(), part(), part());
    let partition_is = ["aws", "aws-cn", "aws-us-gov", "aws-eusc"].contains(&partition)
        || partition.strip_prefix("aws-iso").is_some_and(|rest| ["", "-b", "-e", "-f"].contains(&rest));
    let service_is = service.starts_with(|c: char| c.is_ascii_lowercase())
        && service.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        // `route53` has two; more could be a telephone number.
        && service.bytes().filter(u8::is_ascii_digit).count() <= 2
        && service.len() <= 40
        && !SCHEMES.contains(&service);
    let region_is = place.is_empty() || region::partition(place).is_some();
    // AWS's own policies have `aws` for an account.
    let account_is = account.is_empty() || account == "aws" || is_account(account);
    let ends = parts.next().is_some();
    let all = partition_is && service_is && region_is && account_is && ends;
    if all { [arn, partition, service, place, account].iter().map(|part| part.len() + 1).sum() } else { 0 }
}

/// Whether a masked access key id begins here, `****MPLE`. In front of it no letter, so that Markdown can't take the
/// asterisks for the end of something.
fn masked_key(before: Option<char>, rest: &[char]) -> bool {
    !in_word(before)
        && rest.starts_with(&['*'; 4])
        && rest.get(4..8).is_some_and(|key| key.iter().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()))
}

/// The first `max` characters, with runs of blanks as one, and how many there were of all, if there were more.
fn shortened(text: &str, max: usize) -> (Vec<char>, Option<usize>) {
    let text = text.trim();
    let mut shown: Vec<char> = Vec::with_capacity(text.len().min(max));
    for c in text.chars() {
        if c == ' ' && shown.last() == Some(&' ') {
            continue;
        }
        if shown.len() == max {
            return (shown, Some(text.chars().count()));
        }
        shown.push(c);
    }
    (shown, None)
}

/// At most `max` characters of a text, and at most about `4 * max` bytes, before the mark that says how long it was.
pub(super) fn defanged(text: &str, max: usize) -> String {
    let (chars, mut cut) = shortened(text, max);
    let marks = marks(&chars);
    let mut out = String::with_capacity(chars.len() + chars.len() / 4);
    let mut at = 0;
    let mut arn_end = 0;
    while at < chars.len() {
        if out.len() >= max.saturating_mul(4) {
            cut = Some(text.trim().chars().count());
            break;
        }
        let c = chars[at];
        let before = at.checked_sub(1).map(|before| chars[before]);
        let next = chars.get(at + 1).copied();
        let rest = &chars[at..];
        if c == 'a' && at >= arn_end && !in_word(before) {
            arn_end = at + arn(rest);
        }
        let mut taken = 1;
        match c {
            '.' if marks[at] == Mark::Dot || links(&chars[..at], next) => out.push_str("[.]"),
            ':' if at < arn_end => out.push(c),
            // Firefox's version: every one of its user agents has it.
            ':' if out.ends_with(" rv") && next.is_some_and(|next| next.is_ascii_digit()) => out.push(c),
            ':' => out.push_str("[:]"),
            '/' if next == Some('/') => {
                out.push_str("[//]");
                taken = 2;
            }
            '@' => out.push_str("[@]"),
            '&' if next.is_some_and(|next| next == '#' || next.is_alphabetic()) => out.push_str("[&]"),
            '#' if !in_word(before) && in_word(next) => out.push_str("[#]"),
            '"' | '`' => out.push('\''),
            '*' if masked_key(before, rest) => {
                out.extend(&rest[..8]);
                taken = 8;
            }
            // No link of Markdown, whose address would begin here, and no page of a wiki.
            '(' if out.ends_with(']') => by_number(&mut out, c),
            '[' if out.ends_with('[') => by_number(&mut out, c),
            '|' if before == Some('|') => by_number(&mut out, c),
            // Inside a word it is no emphasis to anybody; of two in a row that isn't sure.
            '_' if !(in_word(before) && in_word(next)) => by_number(&mut out, c),
            c if stands(c) => {
                if marks[at] == Mark::Split {
                    out.push_str("{}");
                }
                out.push(c);
            }
            c => by_number(&mut out, c),
        }
        at += taken;
    }
    if let Some(length) = cut {
        // Writing to a string can't fail.
        let _ = write!(out, "... [{length} characters]");
    }
    out
}

/// Whether a dot between these could be one of a host's name: a top-level domain begins with a letter. Behind `www.`
/// anything is a host to some.
fn links(before: &[char], next: Option<char>) -> bool {
    let (Some(last), Some(next)) = (before.last(), next) else { return false };
    let www = || before.len() >= 3 && before[before.len() - 3..].iter().all(|c| c.eq_ignore_ascii_case(&'w'));
    (*last != ' ' && next.is_alphabetic()) || (next.is_alphanumeric() && www())
}

fn by_number(out: &mut String, c: char) {
    // Writing to a string can't fail.
    let _ = write!(out, "{{U+{:04X}}}", u32::from(c));
}

/// Whether a line that begins with this would be a heading, a quotation or a list to Markdown.
pub(super) fn begins_a_block(text: &str) -> bool {
    let after_digits = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let numbered = after_digits.len() < text.len() && after_digits.starts_with(['.', ')']);
    numbered || text.starts_with(['#', '>', '-', '+', '=', '|'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_link_or_markup() {
        let rows = [
            ("x\nOutcome: succeeded", "x{U+000A}Outcome[:] succeeded"),
            ("a\u{202e}b\u{200b}c\u{2028}d", "a{U+202E}b{U+200B}c{U+2028}d"),
            ("Outcome\u{2d0} x\u{2ba}\u{64b}\u{5d0}", "Outcome{U+02D0} x{U+02BA}{U+064B}{U+05D0}"),
            ("https://evil.example/x", "https[:][//]evil[.]example/x"),
            ("http: //203.0.113.9/x", "http[:] [//]203[.]0[.]113[.]9/x"),
            ("https:\t//x", "https[:]{U+0009}[//]x"),
            ("//localhost:80", "[//]localhost[:]80"),
            ("file:///etc", "file[:][//]/etc"),
            ("go to 203.0.113.9:8443/x", "go to 203[.]0[.]113[.]9[:]8443/x"),
            ("[2001:db8::7]:80", "[2001[:]db8[:][:]7][:]80"),
            ("tel:+18005550199", "tel[:]+1800{}5550{}199"),
            ("call +1 (800) 555-0199", "call +1 (800) {}555-{}0199"),
            ("call (800) 555-0199", "call (800) {}555-{}0199"),
            ("800    555    0199", "800 {}555 {}0199"),
            ("\u{ff10}120-828-828", "{U+FF10}120-{}828-{}828"),
            ("\\\\203.0.113.9\\share", "{U+005C}{U+005C}203[.]0[.]113[.]9{U+005C}share"),
            ("mail me@evil.example", "mail me[@]evil[.]example"),
            (
                "例え.jp 例え\u{3002}jp evil\u{ff0e}jp x\u{ff61}jp",
                "例え[.]jp 例え{U+3002}jp evil{U+FF0E}jp x{U+FF61}jp",
            ),
            ("www.1x xn--r8jz45g.xn--p1ai", "www[.]1x xn--r8jz45g[.]xn--p1ai"),
            ("[a](b) ![c](d) x:(y)", "[a]{U+0028}b) ![c]{U+0028}d) x[:]{U+0028}y)"),
            ("[[a]]", "[{U+005B}a]]"),
            ("<https://x.co|y> <!here> <b>", "{U+003C}https[:][//]x[.]co|y> {U+003C}!here> {U+003C}b>"),
            ("@here @channel #general", "[@]here [@]channel [#]general"),
            (
                "*a* _a_ __a__ ~a~",
                "{U+002A}a{U+002A} {U+005F}a{U+005F} {U+005F}{U+005F}a{U+005F}{U+005F} {U+007E}a{U+007E}",
            ),
            ("a_b a__b", "a_b a{U+005F}{U+005F}b"),
            ("`a` a | b || c", "'a' a | b |{U+007C} c"),
            ("&lt; &#46; a & b", "[&]lt; [&][#]46; a & b"),
            (":smile: ::", "[:]smile[:] [:][:]"),
            ("x****MPLE", "x{U+002A}{U+002A}{U+002A}{U+002A}MPLE"),
            ("rv:1 rv:x", "rv[:]1 rv[:]x"),
            ("a    b:   c", "a b[:] c"),
            ("say \"done\"", "say 'done'"),
        ];
        for (text, clean) in rows {
            assert_eq!(defanged(text, 200), clean);
        }
    }

    #[test]
    fn only_what_an_arn_is_made_of_stands_between_its_colons() {
        for arn in [
            "arn:aws:iam::111122223333:user/a_b",
            "arn:aws-us-gov:iam::aws:policy/AdministratorAccess",
            "arn:aws:s3:::example-bucket/x",
            "(arn:aws-iso-b:cloudtrail:us-isob-east-1:111122223333:trail/x)",
        ] {
            assert_eq!(defanged(arn, 200), arn);
        }
        let rows = [
            ("arn:aws:iam::111122223333:user/a:b", "arn:aws:iam::111122223333:user/a[:]b"),
            ("arn:tel:1", "arn[:]tel[:]1"),
            ("arn:aws:https://203.0.113.9/login", "arn[:]aws[:]https[:][//]203[.]0[.]113[.]9/login"),
            ("arn:aws:tel:18005550199", "arn[:]aws[:]tel[:]1800{}5550{}199"),
            ("arn:aws:tel::111122223333:x", "arn[:]aws[:]tel[:][:]111122223333[:]x"),
            ("arn:aws:iam:18005550199-:111122223333:x", "arn[:]aws[:]iam[:]1800{}5550{}199-[:]111122223333[:]x"),
            ("arn:aws:iam01-800-5550199::111122223333:x", "arn[:]aws[:]iam01-{}800-{}5550{}199[:][:]111122223333[:]x"),
            ("arn:aws:route53::111122223333:x", "arn:aws:route53::111122223333:x"),
            ("arn:aws:iam::111122223333://x", "arn:aws:iam::111122223333:[//]x"),
            ("arn:aws:iam::18005550199:x", "arn[:]aws[:]iam[:][:]1800{}5550{}199[:]x"),
            ("arn:aws-evil:iam::111122223333:x", "arn[:]aws-evil[:]iam[:][:]111122223333[:]x"),
            ("xarn:aws:iam::111122223333:x", "xarn[:]aws[:]iam[:][:]111122223333[:]x"),
        ];
        for (text, clean) in rows {
            assert_eq!(defanged(text, 200), clean);
        }
    }

    #[test]
    fn ordinary_values_stay_as_they_are() {
        for text in [
            "aws-cli/2.15.0 md/Botocore#1.34.0 md/arch#x86_64 lang/python#3.13.9 m/b,E,Z,n",
            "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0",
            "g6e.12xlarge python3.12 amzn2.2",
            "[aws-cli/2.31.39] x -> y, a = b; 50 % (c) {d}",
            "key ****MPLE, =****MPLE",
            "東京リージョン é ж 東_京",
        ] {
            assert_eq!(defanged(text, 200), text);
        }
    }

    #[test]
    fn a_text_is_cut_before_it_is_looked_at() {
        assert_eq!(defanged(&"x".repeat(500), 5), "xxxxx... [500 characters]");
        assert!(defanged(&"\u{335}".repeat(500), 80).len() < 400);
        // Twelve digits would be an account.
        assert_eq!(defanged("180055501990", 11), "1800{}5550{}199... [12 characters]");
    }
}
