//! The table of actions: what an action means to the reader, row by row.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::Category;
use super::deed::{Deed, is_own_credential};
use crate::record::{Outcome, Record};

/// The table; its first lines say how it is read.
const ACTIONS: &str = include_str!("../../../templates/actions.tsv");

/// How the line begins that names the table's columns.
const HEADING: &str = "# service\teventName\tcategory\t";

/// What stands behind an action's name where root did it to its own credentials.
const OF_ROOT: &str = "@root";

/// No action of AWS's has a longer name, and no longer one is looked for.
const LONGEST_NAME: usize = 128;

/// A row of the table of actions.
#[derive(Debug)]
pub struct Known {
    /// The consequence.
    pub category: Category,
    /// What kind of deed it is.
    pub deed: Deed,
    /// What it sets off, where the rule for root doesn't see that.
    pub unseen: Option<Unseen>,
    /// It reads a secret, which goes on working until it is replaced.
    pub secret: bool,
    /// Its columns in the mails' languages.
    words: &'static str,
    /// The request parameters that identify the resource.
    pub names: Vec<&'static str>,
}

impl Known {
    /// The words in a language's column, which that language makes a sentence of.
    pub(crate) fn words(&self, language: &str) -> Option<&'static str> {
        let column = heading().split('\t').position(|column| column == language)?;
        self.words.split('\t').nth(column).filter(|words| !words.is_empty())
    }
}

/// How what an action sets off escapes the rule that saw the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// A service carries it out, later or elsewhere: what a stack, a schedule or a command then does is recorded with
    /// `invokedBy`, under a role, or not at all.
    Service,
    /// It is done under another identity: a role, a federated user.
    Identity,
}

/// The table's row for an action, whoever it was done to.
#[must_use]
pub fn known(service: &str, event_name: &str) -> Option<&'static Known> {
    let named = service.len() <= LONGEST_NAME && event_name.len() <= LONGEST_NAME;
    named.then(table)?.get(service)?.get(without_version(event_name))
}

/// The table's row for what a record tells: the one about root's own credentials, where that is what it tells.
#[must_use]
pub(crate) fn known_of(record: &Record) -> Option<&'static Known> {
    let (service, name) = (record.service()?, record.event_name()?);
    let of_root = || known(service, &format!("{name}{OF_ROOT}"));
    is_own_credential(record).then(of_root).flatten().or_else(|| known(service, name))
}

/// How what a record's action sets off escapes this rule, if it does. What failed set nothing off.
#[must_use]
pub(crate) fn acts_unseen(record: &Record) -> Option<Unseen> {
    known_of(record).filter(|_| record.outcome() == Outcome::Succeeded)?.unseen
}

/// Whether a record tells that a secret was read, which is known to others until it is replaced.
#[must_use]
pub(crate) fn reads_secret(record: &Record) -> bool {
    known_of(record).is_some_and(|known| known.secret) && !record.reads_public_parameters()
}

/// The names of the columns behind those that every row needs: the languages and, at the end, the parameters.
fn heading() -> &'static str {
    ACTIONS.lines().find_map(|line| line.strip_prefix(HEADING)).unwrap_or_default()
}

fn table() -> &'static HashMap<&'static str, HashMap<&'static str, Known>> {
    static TABLE: OnceLock<HashMap<&str, HashMap<&str, Known>>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table: HashMap<_, HashMap<_, _>> = HashMap::new();
        for ((service, event_name), known) in rows() {
            table.entry(service).or_default().insert(event_name, known);
        }
        table
    })
}

fn rows() -> impl Iterator<Item = ((&'static str, &'static str), Known)> {
    ACTIONS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let (service, rest) = line.split_once('\t')?;
        let (event_name, rest) = rest.split_once('\t')?;
        let (category, rest) = rest.split_once('\t')?;
        let (words, names) = rest.rsplit_once('\t')?;
        let (category, mark) = category.split_once('+').map_or((category, None), |(name, mark)| (name, Some(mark)));
        let category = match category {
            "credentials" => Category::Credentials,
            "tampering" => Category::Tampering,
            "exposure" => Category::Exposure,
            "organization" => Category::Organization,
            "write" => Category::Write,
            "read" => Category::Read,
            _ => return None,
        };
        let deed = match mark {
            None | Some("service" | "identity" | "secret") => Deed::of(category),
            Some("account") => Deed::Account,
            Some("watch") => Deed::Watch,
            Some("change") => Deed::Change,
            Some(_) => return None,
        };
        let unseen = match mark {
            Some("service") => Some(Unseen::Service),
            Some("identity") => Some(Unseen::Identity),
            _ => None,
        };
        let known = Known {
            category,
            deed,
            unseen,
            secret: mark == Some("secret"),
            words,
            names: names.split(',').filter(|name| !name.is_empty()).collect(),
        };
        Some(((service, event_name), known))
    })
}

/// A name without the version of the API that some services put behind it: Lambda's `UpdateFunctionCode20150331v2`,
/// CloudFront's `CreateDistribution2020_05_31`.
pub(super) fn without_version(event_name: &str) -> &str {
    let Some(start) = event_name.rfind("20").into_iter().chain(event_name.find("20")).find(|start| {
        let version = &event_name.as_bytes()[*start..];
        let digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
        match version {
            [year @ .., b'_', m1, m2, b'_', d1, d2] => year.len() == 4 && digits(year) && digits(&[*m1, *m2, *d1, *d2]),
            _ => version.len() >= 8 && digits(&version[..8]) && matches!(version.get(8), None | Some(b'v')),
        }
    }) else {
        return event_name;
    };
    &event_name[..start]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::email::Language;

    #[test]
    fn every_row_of_the_table_is_read_once() {
        let lines = ACTIONS.lines().filter(|line| !line.starts_with('#')).count();
        assert!(lines > 200);
        assert_eq!(rows().count(), lines);
        assert_eq!(rows().map(|(key, _)| key).collect::<std::collections::HashSet<_>>().len(), lines);
        let columns = |text: &str| text.split('\t').count();
        for language in Language::ALL {
            for ((service, name), known) in rows() {
                assert_eq!(columns(known.words) + 1, columns(heading()), "{service} {name}");
                let did = [true, false].map(|done| language.did(&known, done));
                assert!(did.iter().all(Option::is_some), "{service} {name} in {}", language.code());
            }
        }
        assert!(rows().all(|((service, name), _)| service.len().max(name.len()) <= LONGEST_NAME));
        // What is said of root's own credentials is said of a user's too.
        let of_root: Vec<_> = rows().map(|(key, _)| key).filter(|(_, name)| name.ends_with(OF_ROOT)).collect();
        assert!(of_root.len() > 10);
        for (service, name) in of_root {
            assert!(known(service, name.trim_end_matches(OF_ROOT)).is_some(), "{service} {name}");
        }
    }

    #[test]
    fn versions_are_dropped() {
        for (name, bare) in [
            ("UpdateFunctionCode20150331v2", "UpdateFunctionCode"),
            ("DeleteFunction20150331", "DeleteFunction"),
            ("CreateDistribution2020_05_31", "CreateDistribution"),
            ("CreateDistribution2020_05_31x", "CreateDistribution2020_05_31x"),
            ("Describe20Things20150331", "Describe20Things"),
            ("DeleteFunction20202020", "DeleteFunction"),
            ("GetFunction2", "GetFunction2"),
            ("List2020Things", "List2020Things"),
            ("20", "20"),
            ("", ""),
        ] {
            assert_eq!(without_version(name), bare, "{name}");
        }
    }
}
