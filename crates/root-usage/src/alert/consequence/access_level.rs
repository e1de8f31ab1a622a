//! What kind of call an action is, by AWS's own classification: for every action that the table of actions has no row for.

use std::sync::OnceLock;

use memchr::memmem;

/// Made by `templates/access_levels.py`; its first lines say how it is read and where it comes from.
const LEVELS: &str = include_str!("../../../templates/access-levels.tsv");

/// The line that has verbs in place of actions.
const VERBS: &str = "*";

/// What a call does, as far as its service and name tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AccessLevel {
    /// It changes who can get in, or hands out a secret.
    Credentials,
    /// It stops or changes what watches.
    Tampering,
    /// It opens or shares a resource.
    Exposure,
    /// It changes what holds for the organization.
    Organization,
    /// It changes something else; tagging does too.
    Write,
    /// It only reads.
    Read,
}

/// The level of an action; `None` if AWS names neither it nor its verb.
///
/// It costs a binary search and one pass over a service's line, of at most some kilobytes. Nothing is parsed beforehand but
/// where the lines begin.
pub(super) fn access_level(service: &str, event_name: &str) -> Option<AccessLevel> {
    listed(service, event_name).or_else(|| listed(VERBS, verb(event_name)))
}

fn listed(service: &str, name: &str) -> Option<AccessLevel> {
    static LINES: OnceLock<Vec<(&str, &str)>> = OnceLock::new();
    let lines = LINES.get_or_init(|| lines().collect());
    let line = lines.binary_search_by_key(&service, |(service, _)| service).ok()?;
    let classes = lines[line].1.as_bytes();
    // What stands between names; no name of AWS's has it, nor is any as long as a line.
    let between = |byte: &u8| matches!(byte, b',' | b':' | b'\t');
    if name.is_empty() || name.len() > classes.len() || name.as_bytes().iter().any(between) {
        return None;
    }
    let whole = |start: &usize| {
        let (before, after) = (classes[..*start].last(), classes.get(start + name.len()));
        before.is_some_and(between) && after.is_none_or(between)
    };
    let start = memmem::find_iter(classes, name).find(whole)?;
    let class = memchr::memrchr(b':', &classes[..start])?.checked_sub(1)?;
    level(classes[class])
}

/// Each service and what stands behind it, sorted by service.
fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    LEVELS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'))
}

fn level(class: u8) -> Option<AccessLevel> {
    Some(match class {
        b'c' => AccessLevel::Credentials,
        b't' => AccessLevel::Tampering,
        b'e' => AccessLevel::Exposure,
        b'o' => AccessLevel::Organization,
        b'w' => AccessLevel::Write,
        b'r' => AccessLevel::Read,
        _ => return None,
    })
}

/// The first word of a name, the first two if the first says nothing of what is done: `Delete`, `BatchGet`, `AdminCreate`.
fn verb(name: &str) -> &str {
    let is_upper = |text: &str| text.starts_with(|c: char| c.is_ascii_uppercase());
    let prefix = ["Batch", "Admin"].into_iter().find(|word| name.strip_prefix(word).is_some_and(is_upper));
    let start = prefix.map_or(0, str::len);
    let end = name[start..].char_indices().skip(1).find(|(_, c)| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    end.map_or(name, |(end, _)| &name[..start + end])
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;

    #[test]
    fn every_line_is_read_and_in_order() {
        let lines: Vec<_> = lines().collect();
        assert!(lines.len() > 200);
        assert!(lines.is_sorted_by(|(one, _), (other, _)| one < other));
        for (service, classes) in lines {
            for class in classes.split('\t') {
                let (class, names) = class.split_once(':').unwrap();
                let [class] = class.as_bytes() else { panic!("{service}: {class}") };
                for name in names.split(',') {
                    assert_eq!(listed(service, name), level(*class), "{service} {name}");
                    assert!(listed(service, name).is_some(), "{service} {name}");
                }
            }
        }
    }

    #[test]
    fn a_part_of_a_name_or_of_a_line_is_no_name() {
        assert_eq!(access_level("sns", "SetTopicAttributes"), Some(AccessLevel::Exposure));
        assert_eq!(listed("sns", "SetTopicAttribute"), None);
        assert_eq!(listed("sns", "etTopicAttributes"), None);
        for name in ["", "e", "e:", ",", "\t", "Get,Head", "r:BatchDescribe"] {
            assert_eq!(listed(VERBS, name), None, "{name:?}");
        }
    }

    /// The function's package may grow by 100 kB for it; it holds the table as it stands.
    #[test]
    fn the_table_is_small() {
        let mut packed = Vec::with_capacity(LEVELS.len());
        Compress::new(Compression::best(), false)
            .compress_vec(LEVELS.as_bytes(), &mut packed, FlushCompress::Finish)
            .unwrap();
        assert!(LEVELS.len() < 64 << 10, "{} bytes", LEVELS.len());
        assert!(packed.len() < 20 << 10, "{} bytes deflated", packed.len());
    }

    #[test]
    fn a_verb_is_the_first_word_that_says_something() {
        for (name, is) in [
            ("DeleteTrail", "Delete"),
            ("BatchGetSecretValue", "BatchGet"),
            ("AdminCreateUser", "AdminCreate"),
            ("Batch", "Batch"),
            ("Batching", "Batching"),
            ("GetV2Thing", "Get"),
            ("connect", "connect"),
            ("GETThing", "G"),
            ("Übung", "Übung"),
            ("Äé", "Ä"),
            ("", ""),
        ] {
            assert_eq!(verb(name), is, "{name}");
        }
    }
}
