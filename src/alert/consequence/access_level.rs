//! What kind of call an action is, by AWS's own classification: for every action that the table of actions has no row for.

use std::sync::OnceLock;

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
    let mut classes = lines[line].1.split('\t').filter_map(|class| class.split_once(':'));
    let (class, _) = classes.find(|(_, names)| names.split(',').any(|listed| listed == name))?;
    level(class)
}

/// Each service and what stands behind it, sorted by service.
fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
    LEVELS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'))
}

fn level(class: &str) -> Option<AccessLevel> {
    Some(match class {
        "c" => AccessLevel::Credentials,
        "t" => AccessLevel::Tampering,
        "e" => AccessLevel::Exposure,
        "o" => AccessLevel::Organization,
        "w" => AccessLevel::Write,
        "r" => AccessLevel::Read,
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
                assert!(level(class).is_some(), "{service} {class}");
                assert!(names.split(',').all(|name| !name.is_empty()), "{service} {class}");
            }
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
