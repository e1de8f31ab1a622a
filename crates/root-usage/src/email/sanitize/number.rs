//! Which digits of a text somebody could dial or call up.
//!
//! Phones and mail programs take digits for a telephone number whatever stands between them: iOS's data detectors, and
//! Android's `Linkify`, which is libphonenumber. So a number is what libphonenumber's matcher takes for one: groups of
//! digits with its punctuation between them, seven digits or more, or five behind a `+`. What the alert's readers need
//! as it was written is left alone: account ids, UUIDs, dates, ids in hexadecimal, a product's version.

/// The fewest digits that are a telephone number. A short number, 110 or 0120, is in every text.
const DIGITS_MIN: usize = 7;

/// The same behind a `+`.
const DIGITS_MIN_PLUS: usize = 5;

/// The most digits of one group that can be a telephone number.
///
/// Source: libphonenumber, `MAX_LENGTH_FOR_NSN`.
const DIGITS_MAX: usize = 17;

/// The most digits of a number that stay together: no number that short is made a link of.
const TOGETHER: usize = 4;

/// An account's id has 12 digits.
const ACCOUNT: usize = 12;

/// What is written before, or instead of, a character so that no program takes it for a part of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing.
    None,
    /// `{}` before a digit: braces are in nobody's notation of a telephone number.
    Split,
    /// `[.]` instead of an IPv4 address's dot.
    Dot,
}

/// Digits that follow each other, or a date.
struct Group {
    start: usize,
    digits: usize,
    /// It reads as one thing, so it isn't split.
    whole: bool,
}

/// Whether this is a UUID: 8-4-4-4-12 hexadecimal digits.
pub(in crate::email) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.is_ascii() && uuid(&text.chars().collect::<Vec<_>>()).is_some()
}

/// What stands between the digits of a telephone number. A blank is one, however many there were. The long vowel mark
/// is a dash to whoever types on a Japanese keyboard, and to libphonenumber.
fn separates(c: char) -> bool {
    " -.()[]/\u{30fc}".contains(c)
}

/// The mark of each character of a text.
pub(super) fn marks(text: &[char]) -> Vec<Mark> {
    let mut marks = vec![Mark::None; text.len()];
    let mut run = Run::default();
    let mut at = 0;
    while at < text.len() {
        let before = at.checked_sub(1).map(|before| text[before]);
        let rest = &text[at..];
        let word_starts = before.is_none_or(|before| !before.is_ascii_alphanumeric());
        if let Some(length) = uuid(rest).filter(|_| word_starts) {
            run.end(&mut marks);
            at += length;
            continue;
        }
        let c = text[at];
        if !c.is_ascii_digit() {
            let times = matches!(c, 'x' | 'X') && before.is_some_and(|c| c.is_ascii_digit());
            if c == '+' && before.is_none_or(|before| !before.is_ascii_digit()) {
                run.end(&mut marks);
                run.plus = true;
            } else if !separates(c) && !times {
                run.end(&mut marks);
            }
            at += 1;
            continue;
        }
        let plus = run.plus;
        if let Some(length) = version(text, at).filter(|_| !plus) {
            run.end(&mut marks);
            at += length;
            continue;
        }
        let dots = dotted(rest);
        if dots.len() >= 3 {
            dots.iter().for_each(|dot| marks[at + dot] = Mark::Dot);
            if let Some(length) = ipv4(rest).filter(|_| !plus) {
                run.end(&mut marks);
                at += length;
                continue;
            }
        }
        let date = date(rest);
        let length = date.map_or_else(|| digits(rest), |(length, _)| length);
        let digits = date.map_or(length, |(_, digits)| digits);
        let account = digits == ACCOUNT && !plus;
        let whole = date.is_some() && !plus;
        if account || length > DIGITS_MAX || (!whole && run.digits() <= 2 && in_hexadecimal(text, at)) {
            run.end(&mut marks);
        } else {
            run.groups.push(Group { start: at, digits, whole });
        }
        at += length;
    }
    run.end(&mut marks);
    marks
}

/// Groups that could be one number.
#[derive(Default)]
struct Run {
    groups: Vec<Group>,
    plus: bool,
}

impl Run {
    fn digits(&self) -> usize {
        self.groups.iter().map(|group| group.digits).sum()
    }

    /// Nothing more belongs to it: splits it if it could be dialled.
    fn end(&mut self, marks: &mut [Mark]) {
        let digits = self.digits();
        let alone = matches!(self.groups.as_slice(), [group] if group.whole);
        if !alone && digits >= if self.plus { DIGITS_MIN_PLUS } else { DIGITS_MIN } {
            self.split(marks);
        }
        self.groups.clear();
        self.plus = false;
    }

    fn split(&self, marks: &mut [Mark]) {
        let mut together = 0;
        let mut after_whole = false;
        for group in &self.groups {
            // A digit more makes no number of a date: us-east-1-2026-11-20.
            let one_more = if group.whole { together <= 1 } else { after_whole && group.digits == 1 };
            if together > 0 && together + group.digits > TOGETHER && !one_more {
                marks[group.start] = Mark::Split;
                together = 0;
            }
            if group.whole {
                together += group.digits;
            } else {
                for digit in 0..group.digits {
                    if together >= TOGETHER && digit > 0 {
                        marks[group.start + digit] = Mark::Split;
                        together = 0;
                    }
                    together += 1;
                }
            }
            after_whole = group.whole;
        }
    }
}

fn digits(rest: &[char]) -> usize {
    rest.iter().take_while(|c| c.is_ascii_digit()).count()
}

/// The length of a UUID that stands here, as a word of its own.
fn uuid(rest: &[char]) -> Option<usize> {
    const LENGTH: usize = 36;
    let text = rest.get(..LENGTH)?;
    let fits = |(index, c): (usize, &char)| match index {
        8 | 13 | 18 | 23 => *c == '-',
        _ => c.is_ascii_hexdigit(),
    };
    let ends = rest.get(LENGTH).is_none_or(|after| !after.is_ascii_alphanumeric());
    (ends && text.iter().enumerate().all(fits)).then_some(LENGTH)
}

/// Where the dots are in a number with dots that begins here.
fn dotted(rest: &[char]) -> Vec<usize> {
    let length = rest.iter().take_while(|c| c.is_ascii_digit() || **c == '.').count();
    let inner = |at: &usize| rest[*at] == '.' && rest.get(at + 1).is_some_and(char::is_ascii_digit);
    (0..length).filter(inner).collect()
}

/// The groups of a number with dots, and its length.
fn parts(rest: &[char]) -> (Vec<&[char]>, usize) {
    let length = rest.iter().take_while(|c| c.is_ascii_digit() || **c == '.').count();
    let text = &rest[..length];
    let end = text.iter().rposition(char::is_ascii_digit).map_or(0, |last| last + 1);
    (text[..end].split(|c| *c == '.').collect(), end)
}

/// The length of an IPv4 address that stands here.
fn ipv4(rest: &[char]) -> Option<usize> {
    let (parts, length) = parts(rest);
    let octet = |part: &&[char]| part.iter().collect::<String>().parse::<u8>().is_ok();
    (parts.len() == 4 && parts.iter().all(octet)).then_some(length)
}

/// The length of a product's version that stands here, `Chrome/142.0.7444.60` or `os/linux#6.1.94-99.176`, if it has
/// the form of a browser's (0 in the second place) or a kernel's, which no telephone number has.
fn version(text: &[char], at: usize) -> Option<usize> {
    let sign = matches!(text.get(at.checked_sub(1)?)?, '/' | '#');
    let product = text.get(at.checked_sub(2)?)?.is_ascii_alphanumeric();
    let rest = &text[at..];
    let (groups, mut length) = parts(rest);
    let sizes: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let (first, second) = (groups.first()?, groups.get(1)?);
    let browser = *second == ['0'] && first.len() <= 3;
    let kernel = first.len() == 1 && second.len() <= 2;
    if !(sign && product && (browser || kernel) && sizes.len() <= 4 && sizes.iter().all(|size| (1..=5).contains(size)))
    {
        return None;
    }
    // A kernel's own revision: -204.855
    if rest.get(length) == Some(&'-') && rest.get(length + 1).is_some_and(char::is_ascii_digit) {
        let (revision, more) = parts(&rest[length + 1..]);
        let sizes: Vec<usize> = revision.iter().map(|group| group.len()).collect();
        if !matches!(sizes.as_slice(), [1..=4] | [1..=4, 1..=3]) {
            return None;
        }
        length += 1 + more;
    }
    let goes_on = rest.get(length).is_some_and(|c| separates(*c) && *c != ' ' && *c != ')')
        && rest.get(length + 1).is_some_and(char::is_ascii_digit);
    (!goes_on).then_some(length)
}

/// The length of a date that stands here, and how many digits it has: 2026-11-20, 2026/11/20, 20261120.
fn date(rest: &[char]) -> Option<(usize, usize)> {
    let number = |from: usize, length: usize| -> Option<u32> {
        rest.get(from..from + length)?.iter().try_fold(0, |number, c| Some(number * 10 + c.to_digit(10)?))
    };
    let sign = *rest.get(4)?;
    let gap = usize::from(matches!(sign, '-' | '/' | '.'));
    let (year, month, day) = (number(0, 4)?, number(4 + gap, 2)?, number(6 + 2 * gap, 2)?);
    let length = 8 + 2 * gap;
    let same = gap == 0 || rest[7] == sign;
    let ends = rest.get(length).is_none_or(|after| !after.is_ascii_digit());
    let right = (1900..2100).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    (same && ends && right).then_some((length, 8))
}

/// Whether the word around here is an id in hexadecimal, as in `vpc-0a1234567890bcdef`, of a length that AWS's ids and
/// hashes have. No number in the middle of a word is made a link of, unless a program guesses more than it should.
fn in_hexadecimal(text: &[char], at: usize) -> bool {
    const LENGTHS: [usize; 6] = [8, 16, 17, 32, 40, 64];
    let start = text[..at].iter().rposition(|c| !c.is_ascii_alphanumeric()).map_or(0, |before| before + 1);
    let length = text[start..].iter().take_while(|c| c.is_ascii_alphanumeric()).count();
    let word = &text[start..start + length];
    LENGTHS.contains(&length) && word.iter().all(char::is_ascii_hexdigit) && word.iter().any(char::is_ascii_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        let mark = |(c, mark): (&char, Mark)| match mark {
            Mark::None => c.to_string(),
            Mark::Split => format!("{{}}{c}"),
            Mark::Dot => "[.]".to_owned(),
        };
        chars.iter().zip(marks(&chars)).map(mark).collect()
    }

    #[test]
    fn what_could_be_dialled_is_split() {
        let rows = [
            ("+1 (800) 555-0199", "+1 (800) {}555-{}0199"),
            ("(800) 555-0199", "(800) {}555-{}0199"),
            ("18005550199", "1800{}5550{}199"),
            ("1.800.555.0199", "1[.]800[.]{}555[.]{}0199"),
            ("x/1.800.555.0199", "x/1[.]800[.]{}555[.]{}0199"),
            ("x/800.555.0199", "x/800.{}555.{}0199"),
            ("+818012345678", "+8180{}1234{}5678"),
            ("x+81312345678", "x+8131{}2345{}678"),
            ("03-1234-5678", "03-{}1234-{}5678"),
            ("03-20120203", "03-{}20120203"),
            ("2012-02-0312", "2012-{}02-{}0312"),
            ("2012-02-03-12", "2012-02-03-{}12"),
            ("0120-828-828", "0120-{}828-{}828"),
            ("0120ー828ー828", "0120ー{}828ー{}828"),
            ("0120-828-828まで", "0120-{}828-{}828まで"),
            ("555-0199", "555-{}0199"),
            ("x_18005550199", "x_1800{}5550{}199"),
            ("(800) 555-0199a18005550199", "(800) {}555-{}0199a18005550199"),
            ("0a18005550199", "0a1800{}5550{}199"),
            ("tel18005550199", "tel1800{}5550{}199"),
            ("800-555-0199x5", "800-{}555-{}0199x{}5"),
            ("800-555-0199ext5", "800-{}555-{}0199ext5"),
            ("1800555-019901", "1800{}555-{}0199{}01"),
            ("203.0.113.9", "203[.]0[.]113[.]9"),
            ("http//203.0.113.9", "http//203[.]0[.]113[.]9"),
            ("1.2.3.4.5", "1[.]2[.]3[.]4[.]5"),
        ];
        for (text, expected) in rows {
            assert_eq!(marked(text), expected, "{text}");
        }
    }

    #[test]
    fn what_readers_need_stays_as_it_is() {
        let rows = [
            "111122223333",
            "logs-111122223333-us-east-1-2026-11-20",
            "us-east-1-111122223333",
            "id 9736d713-1694-4c72-adc5-2513d32702f2.",
            "80055501-9980-0555-0199-800555019900",
            "backup-2026-11-20",
            "2026/11/20/[$LATEST]0123456789abcdef",
            "vpc-0a1234567890bcdef sg-01234567890abcdef",
            "Gecko/20100101 Firefox/144.0",
            "(Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML) Chrome/142.0.7444.60 Safari/537.36",
            "os/linux#6.1.94-99.176.amzn2023 Linux/5.10.216-204.855.amzn2int md/Botocore#1.34.0",
            "Linux/5.15.0-1055-aws aws-sdk-java/1.12.750",
            "39301234567890123456789012345678901234567890123456789012",
            "10, 110, 0120, 400",
        ];
        for text in rows {
            assert_eq!(marked(text), text);
        }
    }

    #[test]
    fn a_uuid_has_its_form() {
        assert!(is_uuid("9736d713-1694-4c72-adc5-2513d32702f2"));
        for text in ["", "x", "9736d713-1694-4c72-adc5-2513d32702f", "1-800-555-0199-1-800-555-0199-abcdef00"] {
            assert!(!is_uuid(text), "{text}");
        }
    }
}
