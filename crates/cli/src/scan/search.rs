//! Whether bytes could hold a record that a rule matches, before any of them is parsed.

use aho_corasick::AhoCorasick;
use filter_pattern::Literal;
use memchr::memmem::Finder;
use root_usage::rule::RuleSet;

/// A search for the texts that no rule can match without.
///
/// It may say yes too often, never no too often. A literal is printable ASCII without `"`, `\` and `/`, so JSON can
/// write it in one other way only: with at least one of its characters as `\u0052`.
pub struct Search {
    /// `None` if some rule can match without any text that is known beforehand.
    literals: Option<Literals>,
    escape: Finder<'static>,
    /// The characters of the literals.
    spelled: [bool; 128],
    /// How many bytes of what was searched already have to be searched again with what follows.
    pub overlap: usize,
}

enum Literals {
    /// A pass for each is faster than one for all, as long as they are few.
    Few(Vec<Finder<'static>>),
    Many(AhoCorasick),
}

/// The most literals that are searched for one by one.
const FEW: usize = 6;

impl Search {
    /// A search for what these rules need.
    pub fn new(rules: &RuleSet) -> Self {
        let each: Option<Vec<_>> = rules.rules().iter().map(|rule| rule.pattern.literals()).collect();
        let texts =
            |each: Vec<Vec<Literal>>| each.into_iter().flatten().map(|literal| literal.text).collect::<Vec<_>>();
        let mut texts = each.map(texts);
        if let Some(texts) = &mut texts {
            texts.sort();
            texts.dedup();
        }
        let mut spelled = [false; 128];
        for byte in texts.iter().flatten().flat_map(|text| text.bytes()) {
            spelled[usize::from(byte)] = true;
        }
        let longest = texts.iter().flatten().map(String::len).max().unwrap_or(0);
        let literals = texts.and_then(|texts| {
            if texts.len() <= FEW {
                Some(Literals::Few(texts.iter().map(|text| Finder::new(text).into_owned()).collect()))
            } else {
                // Built once, of a few hundred short texts. Should it fail, everything is parsed.
                AhoCorasick::new(texts).ok().map(Literals::Many)
            }
        });
        Self { literals, escape: Finder::new("\\u"), spelled, overlap: longest.saturating_sub(1) }
    }

    /// Whether a rule could match something in these bytes.
    pub fn finds(&self, bytes: &[u8]) -> bool {
        self.finds_written(bytes) || self.finds_escaped(bytes)
    }

    /// Whether one of the texts is in these bytes as it is.
    pub fn finds_written(&self, bytes: &[u8]) -> bool {
        match &self.literals {
            None => true,
            Some(Literals::Few(finders)) => finders.iter().any(|finder| finder.find(bytes).is_some()),
            Some(Literals::Many(automaton)) => automaton.is_match(bytes),
        }
    }

    /// Whether one of the texts could be in these bytes with an escape. No backslash, no escape.
    pub fn finds_escaped(&self, bytes: &[u8]) -> bool {
        self.escape.find_iter(bytes).any(|at| self.spells(&bytes[at + 2..]))
    }

    /// Whether four digits of `\u` are a character of a literal, as far as they are there.
    fn spells(&self, digits: &[u8]) -> bool {
        let Some(digits) = digits.first_chunk::<4>() else { return true };
        let code = std::str::from_utf8(digits).ok().and_then(|digits| u32::from_str_radix(digits, 16).ok());
        code.and_then(|code| self.spelled.get(code as usize)).is_some_and(|spelled| *spelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use root_usage::rule::Rule;

    #[test]
    fn a_literal_is_found_however_it_is_written() {
        let root = Search::new(&RuleSet::new(Rule::named("root-usage").unwrap()));
        let cis = Search::new(&RuleSet::new(Rule::named("cis").unwrap()));
        for (text, in_root, in_cis) in [
            ("{\"type\":\"Root\"}", true, true),
            ("\\u0052oot", true, true),
            ("R\\u006Fot", true, true),
            ("Roo\\u0074", true, true),
            ("Roo\\u00", true, true),
            ("root Roo oot", false, false),
            ("\\u003cp\\u003e \\u6771", false, false),
            ("CreateTrail", false, true),
            ("Create\\u0054rail", false, true),
            ("", false, false),
        ] {
            assert_eq!((root.finds(text.as_bytes()), cis.finds(text.as_bytes())), (in_root, in_cis), "{text}");
        }
    }

    #[test]
    fn a_pattern_without_a_literal_finds_everything() {
        let all = Search::new(&RuleSet::new(vec![Rule::own("").unwrap()]));
        assert!(all.finds(b"") && all.finds(b"x"));
    }
}
