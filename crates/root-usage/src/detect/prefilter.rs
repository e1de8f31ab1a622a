//! Tells log events that no rule can match, by a search in their bytes, so that almost none has to be parsed.
//!
//! A rule needs certain [`Literal`]s. Few of them are searched for as they are. Where many are the values of one field
//! (`eventName`, in most of the shipped rules), that field's name is searched for, and what follows it is compared: one
//! search instead of a hundred, and a record that only speaks of such a value doesn't count.
//!
//! A log event's message is JSON inside a JSON string, and both may write a character as `\u0052`. What is searched for
//! is plain ASCII that neither has to escape; an event with an escape that could stand for it has to be parsed.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::AhoCorasick;
use memchr::memchr2;
use memchr::memmem::{self, Finder};

use filter_pattern::Literal;

/// The most values of a field that are searched for on their own.
const FEW_VALUES: usize = 2;

/// The most texts that are searched for one after the other. Each such search is many times faster than one for all.
const FEW_TEXTS: usize = 12;

/// The fields whose names are searched for, instead of their values.
#[derive(Debug, Clone, Default)]
pub struct Fields(BTreeSet<String>);

impl Fields {
    /// Those that have more than a few values among the literals.
    pub fn of<'l>(literals: impl IntoIterator<Item = &'l Literal>) -> Self {
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for literal in literals {
            if let Some(field) = &literal.field {
                values.entry(field).or_default().insert(&literal.text);
            }
        }
        Self(values.into_iter().filter(|(_, all)| all.len() > FEW_VALUES).map(|(name, _)| name.to_owned()).collect())
    }
}

/// What is searched for.
#[derive(Debug, Clone)]
pub(crate) struct Prefilter {
    texts: Texts,
    fields: Vec<Field>,
    /// The most bytes of what is searched for.
    longest: usize,
}

#[derive(Debug, Clone)]
enum Texts {
    Few(Vec<Finder<'static>>),
    Many(AhoCorasick),
}

/// A field of which a match has one of these values.
#[derive(Debug, Clone)]
struct Field {
    name: Finder<'static>,
    values: BTreeSet<Vec<u8>>,
}

impl Prefilter {
    /// A search for any of these literals.
    pub fn new(literals: &[Literal], fields: &Fields) -> Self {
        let mut texts = BTreeSet::new();
        let mut values: BTreeMap<&str, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for Literal { text, field } in literals {
            match field {
                Some(name) if fields.0.contains(name) => {
                    values.entry(name).or_default().insert(text.as_bytes().to_vec());
                }
                _ => drop(texts.insert(text.as_str())),
            }
        }
        // What holds a text with another one in it holds that one too: it need not be searched for.
        let texts: BTreeSet<&str> = texts
            .iter()
            .copied()
            .filter(|text| !texts.iter().any(|other| other != text && text.contains(other)))
            .collect();
        let longest = texts.iter().copied().chain(values.keys().copied()).map(str::len).max().unwrap_or(0);
        let few =
            |texts: &BTreeSet<&str>| Texts::Few(texts.iter().map(|text| Finder::new(text).into_owned()).collect());
        let texts = match AhoCorasick::new(&texts) {
            Ok(many) if texts.len() > FEW_TEXTS => Texts::Many(many),
            _ => few(&texts),
        };
        let field = |(name, values)| Field { name: Finder::new(name).into_owned(), values };
        Self { texts, fields: values.into_iter().map(field).collect(), longest }
    }

    /// How many bytes of one part of a text have to be searched again with the next one.
    pub fn overlap(&self) -> usize {
        self.longest
    }

    /// Whether one of the literals may be in the message inside this log event, given as it stands in a batch. It says
    /// yes too often, never no too often, as long as [`hides_text`] says no.
    pub(crate) fn may_hold(&self, raw: &[u8]) -> bool {
        self.holds_text(raw) || self.fields.iter().any(|field| field.any(raw, Field::may_follow))
    }

    /// Whether one of the literals is in this text, which should have been JSON.
    pub fn holds(&self, text: &[u8]) -> bool {
        self.holds_text(text) || self.fields.iter().any(|field| field.any(text, Field::follows))
    }

    fn holds_text(&self, bytes: &[u8]) -> bool {
        match &self.texts {
            Texts::Few(texts) => texts.iter().any(|text| text.find(bytes).is_some()),
            Texts::Many(texts) => texts.is_match(bytes),
        }
    }
}

impl Field {
    /// Whether what follows the name is such anywhere.
    fn any(&self, bytes: &[u8], follows: fn(&Self, &[u8]) -> bool) -> bool {
        self.name.find_iter(bytes).any(|at| follows(self, &bytes[at + self.name.needle().len()..]))
    }

    /// Whether one of the values may follow the name, in JSON inside a JSON string. Whatever is not said in the usual
    /// way, without white space and escapes, may be one.
    fn may_follow(&self, after: &[u8]) -> bool {
        let Some(after) = after.strip_prefix(br#"\""#) else {
            // Otherwise the name goes on, or it is none. A quote that is not escaped ends the string, or there is none.
            return after.first() == Some(&b'"');
        };
        let Some(value) = after.strip_prefix(br#":\""#) else { return true };
        let Some(end) = memchr2(b'"', b'\\', value) else { return true };
        !value[end..].starts_with(br#"\""#) || self.values.contains(&value[..end])
    }

    /// Whether one of the values follows the name, or may, because the text breaks off or is odd.
    fn follows(&self, after: &[u8]) -> bool {
        let Some(after) = after.strip_prefix(b"\"") else { return false };
        let Some(after) = after.trim_ascii_start().strip_prefix(b":") else { return true };
        let Some(value) = after.trim_ascii_start().strip_prefix(b"\"") else { return true };
        match memchr2(b'"', b'\\', value) {
            Some(end) => self.values.contains(&value[..end]),
            None => self.values.iter().any(|whole| whole.starts_with(value)),
        }
    }
}

/// Whether a `\u` escape in these bytes, of the batch or of the message in it, may hide a character of a literal or of
/// its surroundings.
///
/// Escapes that writers use without being asked to don't: those of what is not ASCII, and of what HTML reads.
pub(crate) fn hides_text(raw: &[u8]) -> bool {
    memmem::find_iter(raw, b"\\u").any(|at| {
        let digits = raw.get(at + 2..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        code.is_none_or(|code| code < 0x80 && !b"<>&='".iter().any(|byte| u32::from(*byte) == code))
    })
}
